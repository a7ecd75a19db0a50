"""The arguments that a network's layers have in common, which the spec says once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, TypeAlias

from archspec.decompile.proposals.layers import ACTIVATIONS, WORDS, activation_of
from archspec.decompile.steps import default_of
from archspec.decompile.view import View
from archspec.ops.convolution import Convolution
from archspec.ops.elementwise import DropPath

Defaults: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Values of arguments, by kind and name."""


def common_arguments(view: View) -> dict[str, dict[str, Any]]:
    """Return what most norms of a graph have, whose details no block says; likewise `drop_path`."""
    defaults: dict[str, dict[str, Any]] = {}
    counts: dict[tuple[str, str], Counter[Any]] = {}
    for place in view.places:
        if isinstance(place.op, (*WORDS, DropPath)):
            for name, value in place.op.model_dump().items():
                if not type(place.op).model_fields[name].is_required():
                    counts.setdefault((place.op.kind, name), Counter())[value] += 1
            if isinstance(place.op, DropPath):
                counts.pop((place.op.kind, "rate"), None)
    known = {place.op.kind: type(place.op) for place in view.places}
    for (kind, name), values in counts.items():
        value, _ = values.most_common(1)[0]
        if value != default_of(known[kind], name):
            defaults.setdefault(kind, {})[name] = value
    return defaults


def convolution_defaults(view: View) -> dict[str, Any]:
    """Return the norm, the activation and the bias that most convolutions of a graph have."""
    norms: Counter[Any] = Counter()
    activations: Counter[Any] = Counter()
    biases: Counter[bool] = Counter()
    for place in view.places:
        if not isinstance(place.op, Convolution):
            continue
        norm = activation = None
        after = place
        while view.is_inner(after.index):
            after = view.places[view.readers[after.index][0]]
            if isinstance(after.op, tuple(WORDS)) and norm is None:
                norm = WORDS[type(after.op)]
            elif isinstance(after.op, ACTIVATIONS):
                activation = activation_of(after.op)
                break
            else:
                break
        norms[norm] += 1
        activations[activation] += 1
        biases[place.op.bias == (norm is None)] += 1
    if not norms:
        return {}
    common = {"norm": norms.most_common(1)[0][0], "activation": activations.most_common(1)[0][0]}
    found = {name: value for name, value in common.items() if value is not None}
    if found.get("norm") and not biases.most_common(1)[0][0]:
        found["bias"] = True
    return found
