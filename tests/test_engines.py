"""Every kind and every family gives on each backend what it gives on the first one.

Shapes, weights and counts are proven on one backend by `test_keras.py`; here are numbers, and the
weights after a step of training.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.backends import BACKENDS, ERROR, installed, missing, read
from support.random_specs import (
    KINDS,
    MERGES,
    MOST_NODES,
    MOST_VALUES,
    arguments,
    inputs,
    pooled_and_back,
)
from support.specs import spec_of

from archspec.compile.expand import expand
from archspec.errors import ArchspecError, SpecError
from archspec.spec.bundled import bundled
from archspec.spec.loading import load
from archspec.spec.writing import to_yaml

pytestmark = [pytest.mark.keras, pytest.mark.slow]

NOISE = {True: 1e-4, False: 3e-3}
"""Tolerance of rounding, as a share of the largest value of an array, of networks that are trained
and of whole families. Logits of those are thousands, rounding makes a millionth of a difference,
and a sigmoid between them passes on a quarter of it."""

UNPOOL = "max_unpool"
"""The kind that needs another step's input, beside those of `KINDS` and `MERGES`."""

EVERY_KIND = (*KINDS, *MERGES, UNPOOL)

A_KIND = 3
"""Random networks of each kind."""

SIZES = (32, 48, 64, 80, 96, 128, 160, 188, 192, 224)
"""Extents of inputs to try for a family; the smallest that it takes is run."""


def random_networks(kind: str) -> list[str]:
    """Return specs of a step of a kind, each with other arguments; the same at each call."""
    found: list[str] = []

    @hypothesis.seed(0)
    @settings(
        max_examples=100,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def draw(data: st.DataObject) -> None:
        x = data.draw(inputs(kind))
        if kind == UNPOOL:
            step, _ = data.draw(pooled_and_back(x)) or ({}, x)
        else:
            step = {kind: data.draw(arguments(KINDS.get(kind) or MERGES[kind], x))}
        spec: dict[str, Any] = {"name": "alone", "input": [*x], "layers": [step]}
        if kind in MERGES:
            spec["inputs"] = {"left": spec.pop("input"), "right": [*x]}
            step["from"] = ["left", "right"]
        text = json.dumps(spec)
        try:
            graph = expand(spec_of(text))
        except SpecError:
            return
        largest = max(node.shape.size for node in graph.nodes)
        if largest <= MOST_VALUES and len(graph.nodes) <= MOST_NODES and text not in found:
            found.append(text)

    draw()
    return found[:: max(1, len(found) // A_KIND)][:A_KIND]


def small_network(family: str) -> str:
    """Return the spec of a family's smallest network, at the smallest input of `SIZES` it takes."""
    variants = load(family).document.variants or [None]

    def params(variant: str | None) -> int:
        return sum(node.layer.params for node in expand(load(family, variant)).nodes)

    smallest = min(variants, key=params)
    spec = load(family, smallest)
    shapes = expand(spec).input_shapes
    for size in SIZES:
        smaller = {
            name: [*(min(size, x) if isinstance(x, int) else size for x in shape[:-1]), shape[-1]]
            for name, shape in shapes.items()
        }
        changed = {"inputs": smaller} if len(smaller) > 1 else {"input": smaller["input"]}
        found = load(family, smallest, **changed)
        try:
            expand(found)
        except ArchspecError:
            continue
        return to_yaml(found.to_dict())
    return to_yaml(spec.to_dict())


@pytest.fixture(scope="session")
def networks() -> dict[str, dict[str, Any]]:
    """All networks by name, as `support.engine_outputs` takes them."""
    return {
        f"{kind} {number}": {"spec": text, "train": True}
        for kind in EVERY_KIND
        for number, text in enumerate(random_networks(kind))
    } | {family: {"spec": small_network(family), "train": False} for family in bundled()}


@pytest.fixture(scope="session")
def outputs(networks, tmp_path_factory) -> dict[str, dict[str, dict[str, np.ndarray]]]:
    """The arrays of each backend that is installed, by network and name."""
    place = tmp_path_factory.mktemp("engines")
    (place / "networks.json").write_text(json.dumps(networks), encoding="utf-8")
    found = {}
    for backend in installed():
        file = place / f"{backend}.npz"
        done = subprocess.run(
            [sys.executable, "-m", "support.engine_outputs", place / "networks.json", file],
            cwd=Path(__file__).parent,
            env={**os.environ, "KERAS_BACKEND": backend},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found[backend] = read(file)
    return found


@pytest.mark.parametrize("name", sorted({*EVERY_KIND, *bundled()}))
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_network_computes_on_each_backend_what_it_does_on_another(
    networks, outputs, backend, name
):
    if reason := missing(backend):
        pytest.skip(reason)
    first = outputs[installed()[0]]
    chosen = [each for each in first if each.partition(" ")[0] == name]
    assert chosen
    for network in chosen:
        found, expected = outputs[backend][network], first[network]
        assert ERROR not in found, str(found[ERROR])
        assert sorted(found) == sorted(expected)
        for each, array in expected.items():
            finite = np.isfinite(array)
            tolerance = NOISE[networks[network]["train"]]
            noise = tolerance * np.abs(array[finite]).max(initial=1e-3)
            np.testing.assert_allclose(found[each], array, rtol=0, atol=noise, err_msg=each)
