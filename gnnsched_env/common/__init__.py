"""Foundations of the other packages: errors, checks, files, stored arrays, caches, progress, the policy protocol."""
