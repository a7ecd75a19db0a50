"""Estimates of what a training step takes on an engine, on the graph: one rule an engine."""

ENGINES = ("jax-gpu", "tensorflow-gpu", "torch-gpu", "jax-tpu", "cpu")
"""Names of the engines, also of those that have no estimate yet."""
