"""Labelled training sets of synthetic jobs: what is drawn, and the files that keep it."""
