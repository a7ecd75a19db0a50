"""The same maps on every backend: cases that a process of each backend computes.

A part of `archspec.explain` adds its cases in a file of its own, `maps/PART.py`, in its table
`CASES`: by name a function that takes `keras` and returns arrays by name. `test_backends.py`
compares all of them. Weights and images come from NumPy (`networks.seeded`, `networks.images`),
so that all backends have the same.
"""

from __future__ import annotations

import importlib
import importlib.util
import tempfile
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from support.commands import run

Case = Callable[[Any], Mapping[str, Any]]
"""Keras -> arrays by name."""

BACKENDS = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}
"""Keras's backends, and what Python imports for each."""

ERROR = "error"
"""Name of the array with the message of a case that failed."""


def cases() -> dict[str, Case]:
    """All cases, by part and name: `attribution/saliency`."""
    found: dict[str, Case] = {}
    for file in sorted(Path(__file__).parent.glob("maps/*.py")):
        for name, case in importlib.import_module(f"support.maps.{file.stem}").CASES.items():
            found[f"{file.stem}/{name}"] = case
    return found


def missing(backend: str) -> str | None:
    """Why a backend cannot be run here."""
    if importlib.util.find_spec(BACKENDS[backend]) is None:
        return f"{backend} is not installed"
    return None


def installed() -> list[str]:
    return [backend for backend in BACKENDS if not missing(backend)]


def drawn(weight: Any, random: np.random.Generator) -> np.ndarray:
    """Return values with which activations keep their size."""
    shape = tuple(weight.shape)
    if weight.name in ("gamma", "moving_variance"):
        return random.uniform(0.5, 1.5, shape)
    spread = np.sqrt(2 / np.prod(shape[:-1])) if len(shape) > 1 else 0.1
    return random.normal(0, spread, shape)


COMPUTE = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from support.backends import main
main(*sys.argv[1:])
"""


@cache
def maps_of(backend: str) -> dict[str, dict[str, np.ndarray]]:
    """Return the arrays of all cases on a backend, computed in a separate process.

    They are case -> name -> array.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "maps.npz")
        done = run(file, code=COMPUTE, engine=backend)
        assert done.returncode == 0, done.stderr
        return read(file)


def write(file: str, cases: Mapping[str, Callable[[], Mapping[str, Any]]]) -> None:
    """Compute each case, and write its arrays, or the message of its failure."""
    arrays: dict[str, Any] = {}
    for name, case in cases.items():
        try:
            found = case()
        except Exception as error:  # noqa: BLE001  (a case that fails must not end the others)
            found = {ERROR: f"{type(error).__name__}: {error}"}
        arrays |= {f"{name}:{key}": value for key, value in found.items()}
    np.savez(file, **arrays)


def read(file: Path) -> dict[str, dict[str, np.ndarray]]:
    """Return the arrays that were written: case -> name -> array."""
    found: dict[str, dict[str, np.ndarray]] = {}
    with np.load(file) as arrays:
        for key in arrays.files:
            case, _, name = key.partition(":")
            found.setdefault(case, {})[name] = arrays[key]
    return found


def main(file: str) -> None:
    import keras

    write(file, {name: partial(case, keras) for name, case in cases().items()})
