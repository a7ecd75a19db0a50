"""Keras's layers from their configuration alone: their variables and output shapes.

A model's file describes each layer by a class and a configuration, from which the shapes follow. So
a file is read without Keras, which cannot load everything that other versions wrote. Shapes are
channels last, without the batch; None is an open extent. Nothing in a file
is run: a class that is not in these tables raises `UnfamiliarError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, Final, TypeAlias

from archspec.imports.keras.config import Config, Extents, UnfamiliarError, family_of
from archspec.ops.windows import slide


def kernel_shape(kind: str, config: Config, x: Extents) -> Extents | None:
    """Return the shape of a layer's kernel for an input; None if `x` does not tell it."""
    family = family_of(kind)
    if family == "Dense":
        return (x[-1], config["units"])
    if family not in {"Conv", "DepthwiseConv", "SeparableConv"}:
        return None
    if config.get("data_format") == "channels_first":
        return None
    size = _axes(config["kernel_size"], len(x) - 1)
    if family != "Conv":
        return (*size, x[-1], config.get("depth_multiplier", 1))
    channels = None if x[-1] is None else x[-1] // config.get("groups", 1)
    return (*size, channels, config["filters"])


def output_shape(kind: str, config: Config, shapes: Sequence[Extents]) -> Extents:
    """Return the output shape of a layer for its inputs' shapes.

    Raises `UnfamiliarError` for an unknown class or configuration.
    """
    family = family_of(kind)
    rule = _RULES.get(family)
    if rule is None:
        raise UnfamiliarError(kind)
    try:
        return rule(config, shapes)
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError):
        raise UnfamiliarError(f"{kind} with other arguments than Keras's") from None


def _axes(value: Any, rank: int) -> list[int]:
    return [value] * rank if isinstance(value, int) else list(value)


def _sides(value: Any, rank: int) -> list[tuple[int, int]]:
    pairs: list[Any] = _axes(value, rank)
    if rank == 1 and isinstance(value, (list, tuple)) and len(value) == 2:
        pairs = [value]
    return [(pair, pair) if isinstance(pair, int) else (pair[0], pair[1]) for pair in pairs]


def _windows(config: Config, x: Extents, size: Any) -> Extents:
    """Return the spatial extents after a window has slid over them."""
    rank = len(x) - 1
    strides = config.get("strides")
    axes = zip(
        x[:-1],
        _axes(size, rank),
        _axes(size if strides is None else strides, rank),
        _axes(config.get("dilation_rate", 1), rank),
        strict=True,
    )
    padding = config.get("padding", "valid")
    if padding not in {"same", "valid"}:
        raise ValueError(padding)
    return tuple(
        None if n is None else slide(n, (size - 1) * dilation + 1, stride, padding).fits
        for n, size, stride, dilation in axes
    )


def _conv(config: Config, shapes: Sequence[Extents]) -> Extents:
    (x,) = shapes
    return (*_windows(config, x, config["kernel_size"]), config["filters"])


def _depthwise(config: Config, shapes: Sequence[Extents]) -> Extents:
    (x,) = shapes
    channels = None if x[-1] is None else x[-1] * config.get("depth_multiplier", 1)
    return (*_windows(config, x, config["kernel_size"]), channels)


def _transposed(config: Config, shapes: Sequence[Extents]) -> Extents:
    (x,) = shapes
    rank = len(x) - 1
    dilation = _axes(config.get("dilation_rate", 1), rank)
    if config.get("output_padding") is not None or max(dilation) > 1:
        raise ValueError("another padding or dilation")
    axes = zip(
        x[:-1],
        _axes(config["kernel_size"], rank),
        _axes(config.get("strides", 1), rank),
        strict=True,
    )
    longer = config.get("padding", "valid") == "valid"
    spatial = (
        None if n is None else n * step + (max(size - step, 0) if longer else 0)
        for n, size, step in axes
    )
    return (*spatial, config["filters"])


def _pool(config: Config, shapes: Sequence[Extents]) -> Extents:
    (x,) = shapes
    return (*_windows(config, x, config["pool_size"]), x[-1])


def _own_pool(config: Config, shapes: Sequence[Extents]) -> Extents:
    padded = _pad({"padding": config["padding"]}, shapes)
    return _pool({**config, "padding": "valid"}, [padded])


def _global_pool(config: Config, shapes: Sequence[Extents]) -> Extents:
    (x,) = shapes
    return (*(1,) * (len(x) - 1), x[-1]) if config.get("keepdims") else x[-1:]


def _pad(config: Config, shapes: Sequence[Extents]) -> Extents:
    (x,) = shapes
    sides = _sides(config["padding"], len(x) - 1)
    return (*_longer(x[:-1], sides), x[-1])


def _crop(config: Config, shapes: Sequence[Extents]) -> Extents:
    (x,) = shapes
    sides = [(-a, -b) for a, b in _sides(config["cropping"], len(x) - 1)]
    return (*_longer(x[:-1], sides), x[-1])


def _own_pad(config: Config, shapes: Sequence[Extents]) -> Extents:
    (x,) = shapes
    sides = [(a, b) for a, b in config["amounts"]]
    return (*_longer(x[: len(sides)], sides), *x[len(sides) :])


def _longer(extents: Extents, sides: Sequence[tuple[int, int]]) -> Extents:
    axes = zip(extents, sides, strict=True)
    return tuple(None if n is None else n + before + after for n, (before, after) in axes)


def _upsample(config: Config, shapes: Sequence[Extents]) -> Extents:
    (x,) = shapes
    axes = zip(x[:-1], _axes(config["size"], len(x) - 1), strict=True)
    return (*(None if n is None else n * times for n, times in axes), x[-1])


def _flatten(_: Config, shapes: Sequence[Extents]) -> Extents:
    return (size_of(shapes[0]),)


def size_of(shape: Extents) -> int | None:
    """Return the number of values of a shape; None if an extent is open."""
    return None if None in shape else prod(n for n in shape if n is not None)


def _reshape(config: Config, shapes: Sequence[Extents]) -> Extents:
    (x,) = shapes
    target, size = list(config["target_shape"]), size_of(x)
    if -1 in target:
        known = prod(n for n in target if n != -1)
        target[target.index(-1)] = None if size is None else size // known
    return tuple(target)


def _permute(config: Config, shapes: Sequence[Extents]) -> Extents:
    return tuple(shapes[0][axis - 1] for axis in config["dims"])


def _dense(config: Config, shapes: Sequence[Extents]) -> Extents:
    return (*shapes[0][:-1], config["units"])


def _same(_: Config, shapes: Sequence[Extents]) -> Extents:
    return shapes[0]


def _merge(_: Config, shapes: Sequence[Extents]) -> Extents:
    """Return the shape of values that are broadcast against each other."""
    longest = max(map(len, shapes))
    spread = [(1,) * (longest - len(shape)) + shape for shape in shapes]
    return tuple(None if None in axis else max(axis) for axis in zip(*spread, strict=True))


def _concatenate(config: Config, shapes: Sequence[Extents]) -> Extents:
    axis = config.get("axis", -1)
    axis = axis - 1 if axis > 0 else axis + len(shapes[0])
    along = [shape[axis] for shape in shapes]
    total = None if None in along else sum(n for n in along if n is not None)
    return (*shapes[0][:axis], total, *shapes[0][axis + 1 :])


def _slice(config: Config, shapes: Sequence[Extents]) -> Extents:
    return (*shapes[0][:-1], config["stop"] - config["start"])


def _axis_slice(config: Config, shapes: Sequence[Extents]) -> Extents:
    (x,), place = shapes, config["axis"] - 1
    return (*x[:place], config["stop"] - config["start"], *x[place + 1 :])


def _matmul(config: Config, shapes: Sequence[Extents]) -> Extents:
    a, b = shapes
    return (*a[:-1], b[-2 if config["transpose_b"] else -1])


def _token(config: Config, shapes: Sequence[Extents]) -> Extents:
    ((length, channels),) = shapes
    return (None if length is None else length + config["count"], channels)


def _parameter(config: Config, shapes: Sequence[Extents]) -> Extents:
    return tuple(config["shape"]) if config["use"] == "alone" else shapes[0]


def _resized(config: Config, shapes: Sequence[Extents]) -> Extents:
    spatial = shapes[1][:-1] if config["size"] is None else config["size"]
    return (*spatial, shapes[0][-1])


def _space_to_depth(config: Config, shapes: Sequence[Extents]) -> Extents:
    *spatial, channels = shapes[0]
    factors = config["factors"]
    blocks = [
        None if n is None else n // factor for n, factor in zip(spatial, factors, strict=True)
    ]
    return (*blocks, None if channels is None else channels * prod(factors))


def _depth_to_space(config: Config, shapes: Sequence[Extents]) -> Extents:
    *spatial, channels = shapes[0]
    factors = config["factors"]
    places = [None if n is None else n * factor for n, factor in zip(spatial, factors, strict=True)]
    return (*places, None if channels is None else channels // prod(factors))


def _draw(config: Config, _: Sequence[Extents]) -> Extents:
    return (config["columns"],)


def _local(config: Config, shapes: Sequence[Extents]) -> Extents:
    return _conv({**config, "padding": "valid"}, shapes)


_Rule: TypeAlias = Callable[[Config, Sequence[Extents]], Extents]

_KEEP_SHAPE: Final = """
    Activation ReLU LeakyReLU PReLU ELU Softmax ThresholdedReLU
    Dropout SpatialDropout GaussianDropout GaussianNoise AlphaDropout ActivityRegularization
    BatchNormalization SyncBatchNormalization LayerNormalization GroupNormalization
    UnitNormalization Normalization Rescaling
    Relu Relu6 LeakyRelu Elu Gelu Silu Sigmoid Tanh HardSwish
    Roll ChannelShuffle PositionEmbedding RelativePositionBias CausalMask ShiftedWindowMask
    Identity BatchDropPath StochasticDepth LocalResponseNormalization Scale LayerScale
    RandomFlip RandomRotation RandomTranslation RandomZoom RandomContrast RandomBrightness
"""

_RULES: Final[Mapping[str, _Rule]] = {
    **dict.fromkeys(_KEEP_SHAPE.split(), _same),
    **dict.fromkeys(("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract"), _merge),
    "Divide": _merge,
    "CustomScaleLayer": _merge,
    "Concatenate": _concatenate,
    "AbsoluteDifference": _same,
    "Join": _same,
    "PathDraw": _draw,
    "Conv": _conv,
    "SeparableConv": _conv,
    "DepthwiseConv": _depthwise,
    "ConvTranspose": _transposed,
    "LocalConv": _local,
    "Dense": _dense,
    "MaxPooling": _pool,
    "AveragePooling": _pool,
    "GlobalMaxPooling": _global_pool,
    "GlobalAveragePooling": _global_pool,
    "PaddedAveragePooling": _own_pool,
    "L2Pooling": _own_pool,
    "ZeroPadding": _pad,
    "Cropping": _crop,
    "Pad": _own_pad,
    "UpSampling": _upsample,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Permute": _permute,
    "ChannelSlice": _slice,
    "AxisSlice": _axis_slice,
    "MatMul": _matmul,
    "ClassToken": _token,
    "Parameter": _parameter,
    "Resize": _resized,
    "SpaceToDepth": _space_to_depth,
    "DepthToSpace": _depth_to_space,
}
