"""Stable-Baselines3: the native batch in its shape, the pair network as its policies, its models as ours."""
