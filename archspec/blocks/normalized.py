"""Norms in blocks: what a block's `norm` may be, and the one place that adds it."""

from typing import Annotated, Final, Literal, TypeAlias

from archspec.declare.metadata import Instead
from archspec.element import Element
from archspec.errors import Mend
from archspec.graph.builder import Builder
from archspec.graph.graph import Node
from archspec.ops.normalization import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LocalResponseNorm,
    RmsNorm,
)

Norm: TypeAlias = Annotated[
    Literal["batch", "layer", "group", "instance", "rms", "lrn"],
    Instead(
        {"weight": "weight standardisation is `standardize: true`"}
        | dict.fromkeys(("weightnorm", "spectral", "spectralnorm"), "archspec has no such norm")
        | dict.fromkeys(
            ("unit", "l2", "unitnorm"), "vectors of length 1 are made by a step, `- unit_norm`"
        )
        | dict.fromkeys(("none", "no", "off", "false"), Mend("for no norm write `null`", "null"))
    ),
]
"""A norm by its word; its details are set by `defaults`, as `batch_norm: {epsilon: 1e-5}`."""

NORMS: Final[dict[str, type[Element]]] = {
    "batch": BatchNorm,
    "layer": LayerNorm,
    "group": GroupNorm,
    "instance": InstanceNorm,
    "rms": RmsNorm,
    "lrn": LocalResponseNorm,
}
"""The op of each word."""

NORM_HINTS: Final = {
    name: f"it belongs to the norm: set it for all, as `defaults: {{batch_norm: {{{ours}: ...}}}}`"
    for name, ours in {
        "epsilon": "epsilon",
        "eps": "epsilon",
        "bn_epsilon": "epsilon",
        "momentum": "momentum",
        "bn_momentum": "momentum",
    }.items()
}
"""Help for a norm's arguments where people write them: in the layer that the norm belongs to."""


def normalized(b: Builder, x: Node, norm: Norm | None, name: str = "norm") -> Node:
    """Add a norm on `x` and return its output; `x` itself where there is none."""
    return x if norm is None else b(NORMS[norm](), x, name=name)
