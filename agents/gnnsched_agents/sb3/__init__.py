"""Adapters for Stable-Baselines3: the batch as a VecEnv, the pair network as its policies, its models as policies."""
