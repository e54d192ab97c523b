"""Replaying finished live runs in the simulator, and calibrating it by them."""
