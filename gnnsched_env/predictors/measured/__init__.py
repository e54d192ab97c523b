"""Measured latencies: their CSV file, how to fill it, and models that predict them."""
