"""Whoever is told of a run while it goes on; what it runs on, and why it failed."""
