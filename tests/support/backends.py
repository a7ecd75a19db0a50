"""The same maps on every backend: cases that a process a backend computes, once a test session.

`python -m support.backends FILE [CASE...]` computes cases on the backend of KERAS_BACKEND.

A part of `archspec.explain` adds its cases in a file of its own, `maps/PART.py`, in its table
`CASES`: by name a function that takes `keras` and returns arrays by name. `test_backends.py`
compares all of them. Weights and images come from NumPy (`networks.seeded`, `networks.images`),
so that all backends have the same.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Case = Callable[[Any], Mapping[str, Any]]
"""Keras -> arrays by name."""

BACKENDS = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}
"""Keras's backends, and what Python imports for each."""

ERROR = "error"
"""Name of the array with the message of a case that failed."""

PATIENCE = 1_200
"""Seconds that a backend may take for all cases, on a loaded machine."""


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


def maps_of(backend: str, shared: Path) -> dict[str, dict[str, np.ndarray]]:
    """The arrays of all cases on a backend: case -> name -> array.

    Computed by the first process that asks, in a folder that all processes of the session share.
    """
    file = shared / f"{backend}.npz"
    lock = shared / f"{backend}.lock"
    try:
        lock.touch(exist_ok=False)
    except FileExistsError:
        _wait(file)
    else:
        compute(backend, file)
    found: dict[str, dict[str, np.ndarray]] = {}
    with np.load(file) as arrays:
        for key in arrays.files:
            case, _, name = key.partition(":")
            found.setdefault(case, {})[name] = arrays[key]
    return found


def compute(backend: str, file: Path) -> None:
    """Let a process of its own compute all cases."""
    unfinished = file.with_suffix(".part.npz")
    result = subprocess.run(
        [sys.executable, "-m", "support.backends", str(unfinished)],
        cwd=Path(__file__).parents[1],
        env=os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if result.returncode:
        np.savez(unfinished, **{f"{case}:{ERROR}": result.stderr[-2_000:] for case in cases()})
    unfinished.rename(file)


def _wait(file: Path) -> None:
    """Wait for another process of the session to compute the cases."""
    end = time.monotonic() + PATIENCE
    while not file.exists():
        assert time.monotonic() < end, f"no {file.name} after {PATIENCE} s"
        time.sleep(0.2)


def main(file: str, *names: str) -> None:
    import keras

    arrays: dict[str, Any] = {}
    for name, case in cases().items():
        if names and name not in names:
            continue
        try:
            arrays |= {f"{name}:{key}": value for key, value in case(keras).items()}
        except Exception as error:  # noqa: BLE001  (a case that fails must not end the others)
            arrays[f"{name}:{ERROR}"] = f"{type(error).__name__}: {error}"
    np.savez(file, **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
