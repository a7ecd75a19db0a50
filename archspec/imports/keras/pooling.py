"""Keras's pools as ops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from archspec.graph.graph import Node
from archspec.imports.keras.layer import Function, KerasLayer, UnlikeError, padded, window
from archspec.ops.pooling import AvgPool, GlobalAvgPool, GlobalMaxPool, MaxPool


def max_pooling(layer: KerasLayer) -> Node:
    """Add MaxPooling1D, MaxPooling2D or MaxPooling3D."""
    return layer.add(MaxPool(**pool_arguments(layer)))


def average_pooling(layer: KerasLayer) -> Node:
    """Add AveragePooling1D, AveragePooling2D or AveragePooling3D."""
    return layer.add(AvgPool(**pool_arguments(layer)))


def global_max_pooling(layer: KerasLayer) -> Node:
    """Add GlobalMaxPooling1D, GlobalMaxPooling2D or GlobalMaxPooling3D."""
    return layer.add(GlobalMaxPool(**_keep(layer)))


def global_average_pooling(layer: KerasLayer) -> Node:
    """Add GlobalAveragePooling1D, GlobalAveragePooling2D or GlobalAveragePooling3D."""
    return layer.add(GlobalAvgPool(**_keep(layer)))


def adaptive_average_pooling(layer: KerasLayer) -> Node:
    """Add AdaptiveAveragePooling1D, AdaptiveAveragePooling2D or AdaptiveAveragePooling3D."""
    return _adaptive(layer, AvgPool, GlobalAvgPool)


def adaptive_max_pooling(layer: KerasLayer) -> Node:
    """Add AdaptiveMaxPooling1D, AdaptiveMaxPooling2D or AdaptiveMaxPooling3D."""
    return _adaptive(layer, MaxPool, GlobalMaxPool)


def _adaptive(layer: KerasLayer, pool: Any, whole: Any) -> Node:
    x, size = layer.shape, layer.config["output_size"]
    extents = (size,) * x.rank if isinstance(size, int) else tuple(size)
    if set(extents) == {1}:
        return layer.add(whole(keep_axes=True))
    if x.is_open or any(n % m for n, m in zip(x.spatial, extents, strict=True)):
        raise UnlikeError(f"its windows differ in size: {x} to {'x'.join(map(str, extents))}")
    sizes = window([n // m for n, m in zip(x.spatial, extents, strict=True)])
    return layer.add(pool(size=sizes))


def _keep(layer: KerasLayer) -> dict[str, bool]:
    return {"keep_axes": True} if layer.config.get("keepdims") else {}


def pool_arguments(layer: KerasLayer) -> dict[str, Any]:
    """Return the arguments that all pools have."""
    config, rank = layer.config, layer.shape.rank
    size = window(config["pool_size"], rank)
    strides = config.get("strides")
    stride = size if strides is None else window(strides, rank)
    padding = config.get("padding", "valid")
    arguments: dict[str, Any] = {"size": size, "padding": padding}
    if stride != size:
        arguments["stride"] = stride
    if layer.padding is not None and padding == "valid":
        pool = layer.padding.pool
        if pool is None:
            arguments["padding"] = padded(layer.padding)
        else:
            arguments["padding"] = open_padding(pool["padding"])
            arguments["ceil"] = bool(pool["ceil"])
    return arguments


def open_padding(given: Any) -> Any:
    """Return the padding of a pool for inputs of any size: a word, or amounts."""
    return given if isinstance(given, str) else tuple((int(a), int(b)) for a, b in given)


LAYERS: Final[Mapping[str, Function]] = {
    f"{name}{rank}D": function
    for rank in (1, 2, 3)
    for name, function in (
        ("MaxPooling", max_pooling),
        ("AveragePooling", average_pooling),
        ("GlobalMaxPooling", global_max_pooling),
        ("GlobalAveragePooling", global_average_pooling),
        ("AdaptiveAveragePooling", adaptive_average_pooling),
        ("AdaptiveMaxPooling", adaptive_max_pooling),
    )
}
"""The function of each class."""
