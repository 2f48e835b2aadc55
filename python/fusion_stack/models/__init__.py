"""Architectures that no library has: written here so that published checkpoints of them load."""
