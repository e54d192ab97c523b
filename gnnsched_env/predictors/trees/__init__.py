"""Boosted trees that correct a closed form: their arrays, training and files."""
