"""Trained policies: what they read, their network, their weights; none of it needs torch."""
