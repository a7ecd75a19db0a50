"""The best network for a budget: sweeps of all combinations, and searches that train."""
