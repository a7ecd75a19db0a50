"""Estimates of what a training step takes on an engine, on the graph: one rule an engine."""

ESTIMATED = ("jax-gpu", "tensorflow-gpu", "torch-gpu", "cpu")
"""Names of the engines that have an estimate."""

ENGINES = (*ESTIMATED, "jax-tpu")
"""Names of the engines, also of those that have no estimate yet."""
