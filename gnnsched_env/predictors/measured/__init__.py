"""Measured latencies: their CSV file, and models that predict them."""
