"""Trained policies: their features, network and weights; nothing here needs torch."""
