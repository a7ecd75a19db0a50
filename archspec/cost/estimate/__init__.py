"""Estimates of what a training step takes on an engine, on the graph: one rule an engine."""

ESTIMATED = ("jax-gpu", "tensorflow-gpu", "torch-gpu", "jax-tpu", "cpu")
"""Names of the engines that have an estimate."""
