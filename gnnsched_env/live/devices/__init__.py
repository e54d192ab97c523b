"""Kinds of live devices: what runs jobs, and in which ways."""
