"""Labelled training sets of synthetic jobs: how they are drawn, and the files that store them."""
