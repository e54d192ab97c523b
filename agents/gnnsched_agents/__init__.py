"""Trainable agents and their adapters to reinforcement-learning libraries; they run from a clone."""
