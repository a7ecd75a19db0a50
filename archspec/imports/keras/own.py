"""archspec's own Keras layers as the ops that they were made of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any, Final

from archspec.graph.graph import Node
from archspec.imports.keras.activation import with_arguments
from archspec.imports.keras.layer import (
    Function,
    KerasLayer,
    Padding,
    UnlikeError,
    plain,
    simplest,
    trainable,
    window,
    window_arguments,
)
from archspec.imports.keras.pooling import open_padding
from archspec.ops.arrangement import Crop, Pad, PadChannels, Slice
from archspec.ops.attention import CausalMask, RelativePositionBias, ShiftedWindowMask
from archspec.ops.convolution import (
    Convolution,
    DepthwiseConvolution,
    LocalConv,
    Rbf,
    TransposedConvolution,
)
from archspec.ops.elementwise import DropPath, Scale, Squash
from archspec.ops.merge import AbsoluteDifference, Divide, MatMul
from archspec.ops.normalization import LocalResponseNorm
from archspec.ops.op import Op
from archspec.ops.paths import Join, PathDraw
from archspec.ops.pooling import AvgPool, BlurPool, L2Pool, MaxUnpool, Subsampling
from archspec.ops.resizing import Resize
from archspec.ops.shuffles import ChannelShuffle, DepthToSpace, Roll, SpaceToDepth
from archspec.ops.tokens import ClassToken, Embedding, Parameter, PositionEmbedding
from archspec.ops.windows import slide

PACKAGE: Final = "archspec"
"""Name under which archspec registers its layers with Keras."""

SUFFIX: Final = "-pad"
"""End of the name of a layer that pads for the next one."""


def padding_of(kind: str, config: Mapping[str, Any], consumer: str) -> Padding | None:
    """Return the padding that a layer adds for the one after it; None if it is a step by itself.

    Args:
        kind: Class of the layer.
        config: Its arguments.
        consumer: Class of the only layer that reads it.
    """
    if consumer == "BlurPooling":  # it always mirrors its input
        return Padding(())
    if kind == "WindowPadding" and consumer.startswith(_POOLS):
        return Padding((), pool=config)
    if kind.startswith("ZeroPadding") and _PADDED.fullmatch(consumer):
        given = config["padding"]
        rank = int(kind[-2])
        return Padding(tuple(_pairs([given] if rank == 1 else given)))
    if kind != "Pad":
        return None
    pairs = tuple(_pairs(config["amounts"]))
    mode, value = config.get("mode", "constant"), float(config.get("value", 0.0))
    if consumer.startswith("MaxPooling"):
        return Padding(pairs) if value == -inf and mode == "constant" else None
    if not _PADDED.fullmatch(consumer) or value:
        return None
    return Padding(pairs, "zeros" if mode == "constant" else mode)


def _pairs(amounts: Sequence[Any]) -> list[tuple[int, int]]:
    """Return the amounts on both sides of each axis."""
    return [(int(before), int(after)) for before, after in amounts]


_POOLS: Final = ("MaxPooling", "L2Pooling", "Subsampling")
"""Beginnings of the classes of pools before which a layer pads an input of any size."""

_PADDED: Final = re.compile(r"(Depthwise)?Conv\dD|LocalConv|StructuredConv")
"""Classes that can pad their input by themselves."""


def pad(layer: KerasLayer) -> Node:
    """Add Pad: of the spatial axes, or of the channels at their end."""
    config, x = layer.config, layer.shape
    pairs = _pairs(config["amounts"])
    if float(config.get("value", 0.0)):
        raise UnlikeError("it pads with a number")
    mode = config.get("mode", "constant")
    if len(pairs) == len(x):
        return layer.add(PadChannels(to=x.channels + pairs[-1][1]))
    words = {} if mode == "constant" else {"mode": mode}
    return layer.add(Pad(amount=simplest(pairs), **words))


def _pool(op: type[Op]) -> Function:
    """Return the function of a pool whose padding is in its arguments."""

    def pool(layer: KerasLayer) -> Node:
        arguments = _size(layer)
        if layer.padding is not None and layer.padding.pool is not None:
            arguments |= _open(layer.padding.pool)
        else:
            arguments |= _amounts(layer)
        return layer.add(op(**arguments, **trainable(layer, op)))

    return pool


def _size(layer: KerasLayer) -> dict[str, Any]:
    size = window(layer.config["pool_size"], layer.shape.rank)
    stride = window(layer.config["strides"], layer.shape.rank)
    return {"size": size} if size == stride else {"size": size, "stride": stride}


def _open(pool: Mapping[str, Any]) -> dict[str, Any]:
    return {"padding": open_padding(pool["padding"])} | ({"ceil": True} if pool["ceil"] else {})


def _amounts(layer: KerasLayer) -> dict[str, Any]:
    """Return `padding` of a pool by its amounts: `same` where they are those of it."""
    pairs = _pairs(layer.config["padding"])
    if not any(map(any, pairs)):
        return {}
    sizes, strides = ([*layer.config[name]] for name in ("pool_size", "strides"))
    axes = zip(layer.shape.spatial, sizes, strides, strict=True)
    same = [slide(*axis, "same") for axis in axes]
    if [(place.before, place.after) for place in same] == pairs and len(pairs) == layer.shape.rank:
        return {"padding": "same"}
    return {"padding": simplest(pairs)}


def padded_average(layer: KerasLayer) -> Node:
    """Add PaddedAveragePooling, whose divisor counts a part of the padding."""
    counted = _pairs(layer.config["counted"])
    if not any(map(any, counted)):
        return layer.add(AvgPool(**_size(layer), **_amounts(layer)))
    ceil = {"ceil": True} if counted != _pairs(layer.config["padding"]) else {}
    return layer.add(AvgPool(**_size(layer), padding=simplest(counted), count_padding=True, **ceil))


def open_average(layer: KerasLayer) -> Node:
    """Add OpenAveragePooling, which computes its padding as it runs."""
    counted = {"count_padding": True} if layer.config["counted"] else {}
    return layer.add(AvgPool(**_size(layer), **_open(layer.config), **counted))


def local_conv(layer: KerasLayer) -> Node:
    """Add LocalConv."""
    return layer.add(LocalConv(filters=layer.config["filters"], **window_arguments(layer)))


def structured_conv(layer: KerasLayer) -> Node:
    """Add StructuredConv: what no convolution of Keras does."""
    config = layer.config
    arguments = window_arguments(layer) | bank(config, "kernel_initializer")
    if config.get("multiplier") is not None:
        return layer.add(DepthwiseConvolution(multiplier=config["multiplier"], **arguments))
    connections = config.get("connections")
    if connections is not None:
        arguments["connections"] = tuple(tuple(each) for each in connections)
    if config.get("standardize"):
        arguments["standardize"] = True
    return layer.add(
        Convolution(filters=config["filters"], groups=config.get("groups", 1), **arguments)
    )


def bank(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the bank of filters that a kernel starts as, as an argument; nothing for others."""
    initializer = config.get(name)
    if not isinstance(initializer, Mapping):
        return {}
    words = str(initializer.get("registered_name") or initializer.get("class_name"))
    return {"initial": initializer["config"]["bank"]} if words == "archspec>FilterBank" else {}


def cut_conv_transpose(layer: KerasLayer) -> Node:
    """Add CutConvTranspose."""
    config, rank = layer.config, layer.shape.rank
    kernel, stride, dilation = (
        [*config[name]] for name in ("kernel_size", "strides", "dilation_rate")
    )
    sides, margins = [], []
    for (before, after), k, s, d in zip(config["cuts"], kernel, stride, dilation, strict=True):
        beyond = max(s - ((k - 1) * d + 1), 0)
        margin = max(beyond - after, 0)
        margins.append(margin)
        sides.append((before, after - beyond + margin))
    if any(before < 0 or after < 0 for before, after in sides):
        raise UnlikeError("it cuts off less than nothing")
    op = TransposedConvolution(
        filters=config["filters"],
        kernel=window(kernel, rank),
        stride=window(stride, rank),
        dilation=window(dilation, rank),
        groups=config["groups"],
        padding=simplest(sides),
        output_padding=window(margins),
        bias=config.get("use_bias", True),
        **layer.trainable,
    )
    return layer.add(op)


def function(layer: KerasLayer) -> Node:
    """Add Function: one of the functions that Keras lacks, or one with arguments."""
    if layer.config["function"] == "squash":
        return layer.add(Squash(axis=layer.axis_name(layer.config["given"]["axis"])))
    return layer.add(with_arguments(layer.config))


def scale(layer: KerasLayer) -> Node:
    """Add Scale."""
    config = layer.config
    initial = {"initial": config["initial"]} if config.get("initial", 1.0) != 1 else {}
    return layer.add(Scale(bias=config["use_bias"], **initial, **layer.trainable))


def axis_slice(layer: KerasLayer) -> Node:
    """Add AxisSlice."""
    config = layer.config
    axis = layer.axis_name(config["axis"])
    return layer.add(Slice(start=config["start"], stop=config["stop"], axis=axis))


def parameter(layer: KerasLayer) -> Node:
    """Add Parameter."""
    config = layer.config
    return layer.add(
        Parameter(
            shape=tuple(config["shape"]),
            use=config["use"],
            initial=config.get("initial", 0.0),
            deviation=config.get("deviation", 0.0),
            **layer.trainable,
        )
    )


LAYERS: Final[Mapping[str, Function]] = {
    "Pad": pad,
    "PaddedAveragePooling": padded_average,
    "OpenAveragePooling": open_average,
    "L2Pooling": _pool(L2Pool),
    "Subsampling": _pool(Subsampling),
    "BlurPooling": plain(BlurPool, size="size", stride="strides"),
    "Rbf": plain(Rbf, units="units"),
    "LocalConv": local_conv,
    "StructuredConv": structured_conv,
    "CutConvTranspose": cut_conv_transpose,
    "Function": function,
    "Scale": scale,
    "ChannelSlice": plain(Slice, start="start", stop="stop"),
    "AxisSlice": axis_slice,
    "CropLike": plain(Crop, offset="offset"),
    "LocalResponseNormalization": plain(  # whose alpha is that of the formula
        LocalResponseNorm, fixed={"divide": False}, size="size", alpha="alpha", beta="beta", k="k"
    ),
    "BatchDropPath": plain(DropPath, fixed={"mode": "batch"}, rate="rate"),
    "PathDraw": plain(PathDraw, columns="columns", global_share="global_share"),
    "Join": plain(
        Join,
        lambda each: tuple(each) if isinstance(each, list) else each,
        rate="rate",
        columns="columns",
    ),
    "AbsoluteDifference": plain(AbsoluteDifference),
    "Divide": plain(Divide),
    "MatMul": plain(MatMul, transpose_b="transpose_b"),
    "RelativePositionBias": plain(RelativePositionBias, tuple, window="window"),
    "CausalMask": plain(CausalMask),
    "ShiftedWindowMask": plain(
        ShiftedWindowMask, tuple, extent="extents", window="window", shift="shift"
    ),
    "Parameter": parameter,
    "PositionEmbedding": plain(PositionEmbedding, method="method"),
    "ClassToken": plain(ClassToken, count="count"),
    "Roll": plain(Roll, by="steps"),
    "ChannelShuffle": plain(ChannelShuffle, groups="groups"),
    "DepthToSpace": plain(DepthToSpace, factor="factors", order="order"),
    "SpaceToDepth": plain(SpaceToDepth, factor="factors", order="order"),
    "Resize": plain(Resize, to="size", method="method"),
    "MaxUnpooling": plain(MaxUnpool, size="size"),
    "WordEmbedding": plain(Embedding, words="words", filters="filters"),
}
"""The function of each of archspec's layers, by its class."""
