"""Ops as PyTorch has them, with a rule for each; `network.py` applies them to a graph."""
