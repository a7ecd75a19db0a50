"""A training step of Keras on TensorFlow, as XLA compiles it for an NVIDIA GPU.

Keras compiles the step with XLA by default (`jit_compile="auto"`). XLA plans TensorFlow's program
nearly as it plans JAX's, so the rule and its factors are those of `jax_gpu`. Its errors are of its
own: `benchmarks/memory/calibrate.py --engine tensorflow-gpu` judges it on TensorFlow's programs,
each family by factors that were fitted to JAX's programs of all others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from archspec.cost.estimate import jax_gpu
from archspec.cost.estimate.calibrated import LinearRule

RULE: Final = LinearRule(
    "the rule for jax-gpu, as XLA plans TensorFlow's steps much like JAX's",
    Path(__file__).with_name("tensorflow_gpu.json"),
    jax_gpu.terms,
)
