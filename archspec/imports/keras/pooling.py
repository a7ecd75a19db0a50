"""Keras's pools as ops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from archspec.graph.graph import Node
from archspec.imports.keras.layer import Function, KerasLayer, UnlikeError, padded, window
from archspec.ops.op import Op
from archspec.ops.pooling import AvgPool, GlobalAvgPool, GlobalMaxPool, MaxPool


def _pool(pool: Callable[..., Op]) -> Function:
    """Return the function of a pool over windows."""
    return lambda layer: layer.add(pool(**pool_arguments(layer)))


def _whole(pool: Callable[..., Op]) -> Function:
    """Return the function of a pool over all places."""
    return lambda layer: layer.add(pool(keep_axes=bool(layer.config.get("keepdims"))))


def _adaptive(pool: Callable[..., Op], whole: Callable[..., Op]) -> Function:
    """Return the function of a pool to extents that are given, by a window's pool or a whole's."""

    def adaptive(layer: KerasLayer) -> Node:
        x, size = layer.shape, layer.config["output_size"]
        extents = (size,) * x.rank if isinstance(size, int) else tuple(size)
        if set(extents) == {1}:
            return layer.add(whole(keep_axes=True))
        if x.is_open or any(n % m for n, m in zip(x.spatial, extents, strict=True)):
            raise UnlikeError(f"its windows differ in size: {x} to {'x'.join(map(str, extents))}")
        sizes = window([n // m for n, m in zip(x.spatial, extents, strict=True)])
        return layer.add(pool(size=sizes))

    return adaptive


def pool_arguments(layer: KerasLayer) -> dict[str, Any]:
    """Return the arguments that all pools have."""
    config = layer.config
    size = layer.spatial(config["pool_size"])
    strides = config.get("strides")
    stride = size if strides is None else layer.spatial(strides)
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
        ("MaxPooling", _pool(MaxPool)),
        ("AveragePooling", _pool(AvgPool)),
        ("GlobalMaxPooling", _whole(GlobalMaxPool)),
        ("GlobalAveragePooling", _whole(GlobalAvgPool)),
        ("AdaptiveAveragePooling", _adaptive(AvgPool, GlobalAvgPool)),
        ("AdaptiveMaxPooling", _adaptive(MaxPool, GlobalMaxPool)),
    )
}
"""The function of each class."""
