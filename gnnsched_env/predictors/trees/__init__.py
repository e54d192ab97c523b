"""Boosted trees that correct a closed form: their regressors, training and files."""
