"""Runnable examples, each ending in a result."""
