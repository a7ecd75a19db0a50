"""Estimates of what a training step takes on an engine, on the graph: one rule an engine."""

ESTIMATED = ("jax-gpu", "torch-gpu")
"""Names of the engines that have an estimate."""

ENGINES = (*ESTIMATED, "tensorflow-gpu", "jax-tpu", "cpu")
"""Names of the engines, also of those that have no estimate yet."""
