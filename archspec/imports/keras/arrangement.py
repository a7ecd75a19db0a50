"""Keras's layers that move values, and those that only work in training, as ops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, Final

from archspec.graph.graph import Node
from archspec.imports.keras.layer import (
    Function,
    KerasLayer,
    UnlikeError,
    plain,
    simplest,
    window,
)
from archspec.imports.keras.layout import Flattened, file_axes
from archspec.ops.arrangement import Crop, Flatten, Pad, Reshape, Upsample
from archspec.ops.axes import names_of_axes
from archspec.ops.elementwise import Activate, Dropout, DropPath, SpatialDropout
from archspec.ops.op import Op
from archspec.ops.resizing import Resize
from archspec.ops.shape import Shape
from archspec.ops.shuffles import Permute


def flatten(layer: KerasLayer) -> Node:
    """Add Flatten."""
    x = layer.shape
    order = file_axes(len(x), first=layer.channels_first)
    if layer.config.get("data_format") == "channels_first":  # Keras puts the first axis last
        order = (*order[1:], order[0])
    wide = [axis for axis in order if x[axis] != 1]
    if wide != sorted(wide):
        layer.made = Flattened(x, order)
        layer.model.note(
            f"{layer.name} flattens its maps in another order of their axes than archspec does: "
            "`weights()` gives the rows of the kernel after it in archspec's order."
        )
    return layer.add(Flatten())


def reshaped(layer: KerasLayer, target: Sequence[Any], *inputs: Node) -> Node:
    """Add a reshape to extents of which -1 takes what is left."""
    extents = [None if n in (-1, None) else int(n) for n in target]
    if layer.wants_first and len(extents) > 1 and all(n == 1 for n in extents[1:]):
        layer.makes_first = True
        extents = [*extents[1:], extents[0]]
    # `multiple of` what is known: where nothing is open, every extent can be written.
    x = inputs[0].shape if inputs else layer.shape
    if extents.count(None) == 1 and not x.is_open:
        known = prod(n for n in extents if n is not None)
        if known and x.size % known == 0:
            extents = [x.size // known if n is None else n for n in extents]
    return layer.add(Reshape(to=tuple(extents)), *inputs)


def permuted(layer: KerasLayer, axes: Sequence[Any]) -> Node:
    """Add a permutation of the axes, which Keras counts from 1."""
    layer.makes_first = layer.wants_first
    names = tuple(layer.axis_name(axis) for axis in axes)
    if layer.makes_first:
        names = (*names[1:], names[0])
    if names == names_of_axes(layer.shape):
        return layer.add(Activate(function="linear"))
    return layer.add(Permute(to=names))


def repeat_vector(layer: KerasLayer) -> Node:
    """Add RepeatVector: the vector as a sequence of one place, which is repeated."""
    x = layer.add(Reshape(to=(1, layer.shape.channels)), part="reshape")
    return layer.add(Upsample(factor=layer.config["n"]), x)


def _at_sides(op: type[Op], name: str) -> Function:
    """Return the function of a layer that adds places before and after maps, or cuts them off."""
    return lambda layer: layer.add(op(amount=simplest(layer.sides(layer.config[name]))))


def up_sampling(layer: KerasLayer) -> Node:
    """Add UpSampling1D, UpSampling2D or UpSampling3D."""
    method = layer.config.get("interpolation", "nearest")
    if layer.times and method != "nearest":
        raise UnlikeError("it interpolates at each time")
    factor = layer.spatial(layer.config["size"])
    if method in ("nearest", "bilinear"):
        return layer.add(Upsample(factor=factor, method=method))
    x = layer.shape
    if method != "bicubic" or x.is_open:
        raise UnlikeError(f"its interpolation is {method!r}")
    factors = (factor,) * x.rank if isinstance(factor, int) else factor
    to = window([n * f for n, f in zip(x.spatial, factors, strict=True)])
    return layer.add(Resize(to=to, method=method))


def resizing(layer: KerasLayer) -> Node:
    """Add Resizing."""
    config = layer.config
    method = config.get("interpolation", "bilinear")
    for name in ("crop_to_aspect_ratio", "pad_to_aspect_ratio"):
        if config.get(name):
            raise UnlikeError(f"it keeps the aspect ratio (`{name}`)")
    if method not in ("nearest", "bilinear", "bicubic"):
        raise UnlikeError(f"its interpolation is {method!r}")
    return layer.add(Resize(to=window([config["height"], config["width"]]), method=method))


def center_crop(layer: KerasLayer) -> Node:
    """Add CenterCrop, where the image is large enough for it."""
    x, config = layer.shape, layer.config
    wanted = (config["height"], config["width"])
    if x.is_open or x.rank != 2 or any(n < m for n, m in zip(x.spatial, wanted, strict=True)):
        raise UnlikeError(f"it makes images of {wanted[0]}x{wanted[1]} of any size")
    amounts = [((n - m) // 2, n - m - (n - m) // 2) for n, m in zip(x.spatial, wanted, strict=True)]
    return layer.add(Crop(amount=simplest(amounts)))


def dropout(layer: KerasLayer) -> Node:
    """Add Dropout; with a noise shape that drops channels or whole examples, what does that."""
    rate, noise = layer.config["rate"], layer.config.get("noise_shape")
    if noise is None:
        return layer.add(Dropout(rate=rate))
    extents = tuple(noise)[1:]
    if layer.channels_first and len(extents) > 1:
        extents = (*extents[1:], extents[0])
    ones = (1,) * (len(extents) - 1)
    if extents == (*ones, 1):
        return layer.add(DropPath(rate=rate))
    if extents[:-1] == ones and extents[-1] in (None, layer.shape.channels):
        return layer.add(SpatialDropout(rate=rate) if ones else Dropout(rate=rate))
    if all(n is None for n in extents) or Shape(extents) == layer.shape:
        return layer.add(Dropout(rate=rate))
    raise UnlikeError(f"its noise has the shape {noise}")


def identity(layer: KerasLayer) -> Node:
    """Add a layer that changes nothing, or nothing outside training."""
    if layer.kind != "Identity":
        layer.model.note(
            f"{layer.name} ({layer.kind}) does nothing at inference, and is shown as such."
        )
    return layer.add(Activate(function="linear"))


def masking(layer: KerasLayer) -> Node:
    """Add Masking, as the identity that it is for other places than those it marks."""
    value = layer.config.get("mask_value", 0.0)
    makes = " and makes them 0" if value else ""
    layer.model.note(
        f"{layer.name} marks places whose values are all {value:g}{makes}, and the file's "
        "recurrent layers leave them out (`Masking`); here all places are taken."
    )
    return layer.add(Activate(function="linear"))


_IDENTITIES: Final = """
    Identity ActivityRegularization GaussianDropout GaussianNoise AlphaDropout
    RandomFlip RandomRotation RandomTranslation RandomZoom RandomContrast RandomBrightness
    RandomShear RandomColorJitter RandomColorDegeneration RandomGrayscale RandomHue
    RandomSaturation RandomSharpness RandomPosterization RandomPerspective RandomErasing
    RandomGaussianBlur RandomInvert RandomElasticTransform
"""

LAYERS: Final[Mapping[str, Function]] = {
    "Flatten": flatten,
    "Masking": masking,
    "Reshape": lambda layer: reshaped(layer, layer.config["target_shape"]),
    "Permute": lambda layer: permuted(layer, layer.config["dims"]),
    "RepeatVector": repeat_vector,
    **{
        f"{name}{rank}D": function
        for rank in (1, 2, 3)
        for name, function in (
            ("ZeroPadding", _at_sides(Pad, "padding")),
            ("Cropping", _at_sides(Crop, "cropping")),
            ("UpSampling", up_sampling),
            ("SpatialDropout", plain(SpatialDropout, rate="rate")),
        )
    },
    "Resizing": resizing,
    "CenterCrop": center_crop,
    "Dropout": dropout,
    "StochasticDepth": plain(DropPath, rate="drop_path_rate"),
    **dict.fromkeys(_IDENTITIES.split(), identity),
}
"""The function of each class."""
