"""The variables of Keras's layers by their names, in Keras's order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from archspec.imports.keras.config import Config, class_of, function_of


def kind_of(layer: Mapping[str, Any]) -> str:
    """Return the class of a layer; for an operator of Keras 2, that of the layer of Keras 3."""
    kind = class_of(layer)
    if kind != "TFOpLambda":
        return kind
    function = function_of(layer)
    return _OPERATORS.get(function, f"TFOpLambda of {function}")


def names_of_kind(kind: str, count: int) -> tuple[str, ...]:
    """Return the names of a layer's arrays from its class in snake case and their number.

    Empty where they are not certain: a layer may lack its bias.
    """
    for name, names in _VARIABLES.items():
        if snake(name) == kind and (len(names) == count or names[:count] == names[:-1]):
            return names[:count]
    return ()


def snake(kind: str) -> str:
    """Return a class's name as Keras writes it in paths."""
    kind = _OWN_NAMES.get(kind, kind)
    kind = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", kind))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", kind).lower()


def variable_names(kind: str, config: Config) -> tuple[str, ...]:
    """Return the names of the variables of a layer, in Keras's order."""
    names = _VARIABLES.get(kind, ())
    optional = {"bias": "use_bias", "gamma": "scale", "beta": "center"}
    owned = tuple(name for name in names if config.get(optional.get(name, ""), True))
    constant = (
        config.get("mean") is not None
        if kind == "Normalization"
        else (kind == "PositionEmbedding" and config.get("method") == "sine")
    )
    return () if constant else owned


_OWN_NAMES: Final = {"GroupQueryAttention": "GroupedQueryAttention"}
"""Names of classes in Keras's source, which its paths have, for those that it exports otherwise."""

_OPERATORS: Final = {
    "add": "Add",
    "subtract": "Subtract",
    "sub": "Subtract",
    "mul": "Multiply",
    "multiply": "Multiply",
    "concat": "Concatenate",
    "relu": "ReLU",
    "relu6": "ReLU",
    "sigmoid": "Sigmoid",
    "softmax": "Softmax",
}
"""Layers that compute the same as TensorFlow's functions of these names."""

_KERNEL: Final = ("kernel", "bias")
_AFFINE: Final = ("gamma", "beta")

_VARIABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "Dense": _KERNEL,
    **{f"{what}{rank}D": _KERNEL for what in ("Conv", "DepthwiseConv") for rank in (1, 2, 3)},
    **{f"Conv{rank}DTranspose": _KERNEL for rank in (1, 2, 3)},
    **{
        f"SeparableConv{rank}D": ("depthwise_kernel", "pointwise_kernel", "bias") for rank in (1, 2)
    },
    "LocalConv": _KERNEL,
    "BatchNormalization": (*_AFFINE, "moving_mean", "moving_variance"),
    "SyncBatchNormalization": (*_AFFINE, "moving_mean", "moving_variance"),
    "LayerNormalization": _AFFINE,
    "GroupNormalization": _AFFINE,
    "PReLU": ("alpha",),
    "Scale": ("scale", "bias"),
    "Parameter": ("parameter",),
    "ClassToken": ("token",),
    "PositionEmbedding": ("embedding",),
    "RelativePositionBias": ("table",),
    "LayerScale": ("scale",),
    "Normalization": ("mean", "variance", "count"),
}
