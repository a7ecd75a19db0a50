"""Keras's convolutions and dense layers as ops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from archspec.graph.graph import Node
from archspec.imports.keras import own, quantized
from archspec.imports.keras.activation import activated
from archspec.imports.keras.layer import (
    Function,
    KerasLayer,
    UnlikeError,
    per_axis,
    simplest,
    window,
    window_arguments,
)
from archspec.ops.convolution import (
    Convolution,
    DepthwiseConvolution,
    FullyConnected,
    LocalConv,
    TransposedConvolution,
)
from archspec.ops.tokens import Embedding


def conv(layer: KerasLayer) -> Node:
    """Add Conv1D, Conv2D or Conv3D."""
    config = layer.config
    op = Convolution(
        filters=config["filters"],
        groups=config.get("groups", 1),
        **window_arguments(layer),
        **own.bank(config, "kernel_initializer"),
    )
    return activated(layer, layer.add(op))


def depthwise_conv(layer: KerasLayer) -> Node:
    """Add DepthwiseConv1D or DepthwiseConv2D."""
    config = layer.config
    op = DepthwiseConvolution(
        multiplier=config.get("depth_multiplier", 1),
        **window_arguments(layer),
        **own.bank(config, "depthwise_initializer"),
    )
    return activated(layer, layer.add(op))


def separable_conv(layer: KerasLayer) -> Node:
    """Add SeparableConv1D or SeparableConv2D: a depthwise convolution, then one of 1x1."""
    config, stored = layer.config, layer.stored
    multiplier = config.get("depth_multiplier", 1)
    op = DepthwiseConvolution(multiplier=multiplier, **window_arguments(layer) | {"bias": False})
    x = layer.add(op, part="depthwise", stored=None if stored is None else stored[:1])
    pointwise = Convolution(
        filters=config["filters"], kernel=1, bias=config.get("use_bias", True), **layer.trainable
    )
    rest = None if stored is None else stored[1:]
    return activated(layer, layer.add(pointwise, x, stored=rest))


def conv_transpose(layer: KerasLayer) -> Node:
    """Add Conv1DTranspose, Conv2DTranspose or Conv3DTranspose."""
    ends = _ends(layer)
    arguments = window_arguments(layer) | ends
    op = TransposedConvolution(filters=layer.config["filters"], **arguments)
    return activated(layer, layer.add(op))


def _ends(layer: KerasLayer) -> dict[str, Any]:
    """Return the arguments of a transposed convolution that say what is cut off its ends.

    With an `output_padding`, Keras's `same` is (n - 1) * stride + size % 2 + output_padding long.
    """
    config, rank = layer.config, layer.shape.rank
    padding, given = config.get("padding", "valid"), config.get("output_padding")
    if given is None:
        return {"padding": padding}
    if layer.times:
        raise UnlikeError("it has an `output_padding`, which counts otherwise than torch's")
    margins, sizes, strides, dilations = (
        per_axis(value, rank)
        for value in (
            given,
            config["kernel_size"],
            config.get("strides", 1),
            config.get("dilation_rate", 1),
        )
    )
    spans = [(size - 1) * dilation + 1 for size, dilation in zip(sizes, dilations, strict=True)]
    if padding == "same":
        cuts = [n - n % 2 - margin for n, margin in zip(spans, margins, strict=True)]
        usual = [n - stride for n, stride in zip(spans, strides, strict=True)]
    else:
        cuts = [-margin for margin in margins]
        usual = [min(n - stride, 0) for n, stride in zip(spans, strides, strict=True)]
    if cuts == usual:
        return {"padding": padding}
    pairs = [(cut // 2, cut - cut // 2) if cut > 0 else (0, 0) for cut in cuts]
    return {
        "padding": simplest(pairs),
        "output_padding": window([max(-cut, 0) for cut in cuts]),
    }


def local_conv(layer: KerasLayer) -> Node:
    """Add LocallyConnected1D or LocallyConnected2D of Keras 2."""
    config = layer.config
    if config.get("implementation", 1) != 1:
        raise UnlikeError("its kernel is stored as a sparse matrix")
    arguments = window_arguments(layer)
    return activated(layer, layer.add(LocalConv(filters=config["filters"], **arguments)))


def dense(layer: KerasLayer) -> Node:
    """Add Dense, which works at each place of maps by itself."""
    units = layer.config["units"]
    op = _fully_connected(layer, units, bias=layer.config.get("use_bias", True))
    kernel = quantized.sources(layer, (layer.shape.channels, units))
    return activated(layer, layer.add(op, sources=kernel))


def _fully_connected(layer: KerasLayer, units: int, *, bias: bool) -> FullyConnected:
    each_place = layer.shape.rank > 1
    return FullyConnected(units=units, bias=bias, each_place=each_place, **layer.trainable)


def einsum_dense(layer: KerasLayer) -> Node:
    """Add EinsumDense where it is a dense layer at each place: `...x,xy->...y`, `abc,cd->abd`."""
    config = layer.config
    equation = str(config["equation"]).replace(" ", "")
    left, _, result = equation.partition("->")
    given, _, kernel = left.partition(",")
    shared, made = (kernel[:1], kernel[1:2]) if len(kernel) == 2 else ("", "")
    if not shared or given[-1:] != shared or result != given[:-1] + made:
        raise UnlikeError(f"it computes {equation}")
    x = layer.shape
    named = given.replace("...", "")
    if "..." not in given and len(named) != len(x) + 1:
        raise UnlikeError(f"it computes {equation} of {x}")
    units = config["output_shape"]
    units = units[-1] if isinstance(units, list) else units
    op = _fully_connected(layer, units, bias=config.get("bias_axes") is not None)
    return activated(layer, layer.add(op))


def embedding(layer: KerasLayer) -> Node:
    """Add Embedding."""
    config = layer.config
    if config.get("mask_zero") and layer.keras < 3:
        layer.model.note(
            f"{layer.name} marks the places of word 0, which the file's recurrent layers and means "
            "leave out (`mask_zero`); those shown take all places."
        )
    op = Embedding(words=config["input_dim"], filters=config["output_dim"], **layer.trainable)
    return layer.add(op)


LAYERS: Final[Mapping[str, Function]] = {
    **{f"Conv{rank}D": conv for rank in (1, 2, 3)},
    **{f"DepthwiseConv{rank}D": depthwise_conv for rank in (1, 2)},
    **{f"SeparableConv{rank}D": separable_conv for rank in (1, 2)},
    **{f"Conv{rank}DTranspose": conv_transpose for rank in (1, 2, 3)},
    **{f"LocallyConnected{rank}D": local_conv for rank in (1, 2)},
    "Dense": dense,
    "EinsumDense": einsum_dense,
    "Embedding": embedding,
}
"""The function of each class."""
