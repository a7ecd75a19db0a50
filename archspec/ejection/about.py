"""A sentence about a function of the source: what its block does wherever it is used."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from archspec.element import Element

LAYERS: Final = {
    "conv": "convolution",
    "depthwise_conv": "depthwise convolution",
    "fc": "fully connected layer",
    "separable_conv": "depthwise convolution and 1x1 convolution",
    "transposed_conv": "transposed convolution",
}
"""Blocks of a layer with what is before or after it, by kind."""


def about(elements: Sequence[Element]) -> str:
    """Return the sentence about a block's uses: of a layer what it has, else the block's own.

    Args:
        elements: The block of each use; one or more, of one kind.
    """
    first = elements[0]
    text = re.sub(r"\s+", " ", (type(first).__doc__ or "").strip().split("\n\n")[0])
    orders = {getattr(each, "order", "conv-norm-act") for each in elements}
    if first.kind in LAYERS and len(orders) == 1:
        steps, papers = _steps(elements, orders.pop()), re.search(r" \([^()]*\)$", text)
        return f"{_joined(steps).capitalize()}.{papers[0] if papers else ''}"
    return text or f"Return `{first.kind}` of a tensor."


def _steps(elements: Sequence[Any], order: str) -> list[str]:
    """Return what is done one after the other; what only some of the uses do is optional."""
    layer = LAYERS[elements[0].kind]
    dropped = _step("dropout", [bool(getattr(each, "dropout", 0)) for each in elements])
    before = _step("normalisation", [each.norm is not None for each in elements])
    before += _step("activation", [each.activation is not None for each in elements])
    return [*before, layer, *dropped] if order == "norm-act-conv" else [layer, *dropped, *before]


def _step(name: str, uses: Sequence[bool]) -> list[str]:
    return [name if all(uses) else f"optional {name}"] if any(uses) else []


def _joined(steps: Sequence[str]) -> str:
    first, *rest = steps
    if not rest:
        return first
    *middle, last = rest
    return f"{first}, then {', '.join(middle)} and {last}" if middle else f"{first}, then {last}"
