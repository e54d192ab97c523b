"""Measuring a live fleet: latencies in a CSV file, a predictor trained on them, a latency table."""
