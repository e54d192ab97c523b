"""Devices in processes of their own: Ray actors, and the cluster that they run on."""
