"""Keras's normalisations, and the layers that prepare images, as ops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from archspec.graph.graph import Node
from archspec.imports.building import one_or_each
from archspec.imports.keras.config import mean_and_deviation, numbers_in
from archspec.imports.keras.layer import Function, KerasLayer, UnlikeError
from archspec.ops.elementwise import Rescale, Scale
from archspec.ops.normalization import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    RmsNorm,
    UnitNorm,
)
from archspec.ops.op import Weight
from archspec.ops.shape import Shape


class Standardization(Rescale):
    """Keras's Normalization: (x - mean) / deviation, with both as arrays that are not trained.

    It is not a kind: a spec writes the constants as a `rescale`.
    """

    kept: tuple[Any, ...] = ()
    """Shapes of the mean, the variance and the count that it stores."""

    @property
    def word(self) -> str:
        return "rescale"

    @property
    def label(self) -> str:
        return "NORMALIZATION"

    def weights(self, x: Shape) -> tuple[Weight, ...]:  # noqa: ARG002
        names = ("mean", "variance", "count")
        return tuple(
            Weight(name, shape, False) for name, shape in zip(names, self.kept, strict=False)
        )


def batch_normalization(layer: KerasLayer) -> Node:
    """Add BatchNormalization or SyncBatchNormalization."""
    _along_channels(layer)
    if layer.config.get("renorm"):
        raise UnlikeError("it renormalizes its batches")
    return layer.add(BatchNorm(momentum=layer.config.get("momentum", 0.99), **_affine(layer)))


def layer_normalization(layer: KerasLayer) -> Node:
    """Add LayerNormalization."""
    _along_channels(layer)
    if layer.config.get("rms_scaling"):
        raise UnlikeError("it divides by the deviation alone (`rms_scaling`)")
    return layer.add(LayerNorm(**_affine(layer)))


def group_normalization(layer: KerasLayer) -> Node:
    """Add GroupNormalization: with a group for each channel, an instance normalisation."""
    groups = layer.config.get("groups", 32)
    _along_channels(layer)
    if groups in (-1, layer.shape.channels) and layer.shape.rank:
        return layer.add(InstanceNorm(**_affine(layer)))
    return layer.add(GroupNorm(groups=groups, **_affine(layer)))


def rms_normalization(layer: KerasLayer) -> Node:
    """Add RMSNormalization."""
    _along_channels(layer)
    return layer.add(RmsNorm(epsilon=layer.config.get("epsilon", 1e-6), **layer.trainable))


def unit_normalization(layer: KerasLayer) -> Node:
    """Add UnitNormalization."""
    return layer.add(UnitNorm(axis=layer.axis_name(layer.config.get("axis", -1))))


def rescaling(layer: KerasLayer) -> Node:
    """Add Rescaling."""
    config = layer.config
    scale, offset = constants(config.get("scale", 1.0)), constants(config.get("offset", 0.0))
    if (
        layer.channels_first
        and layer.shape.rank
        and (isinstance(scale, tuple) or isinstance(offset, tuple))
    ):
        raise UnlikeError("its constants stand along an axis that depends on Keras's settings")
    return layer.add(Rescale(scale=scale, offset=offset))


def normalization(layer: KerasLayer) -> Node:
    """Add Normalization, with constants of its configuration or of its arrays."""
    config = layer.config
    axis = config.get("axis", -1)
    if axis not in (None, [], ()):
        _along_channels(layer)
    mean, variance = config.get("mean"), config.get("variance")
    arrays = layer.stored or ()
    kept: tuple[tuple[int, ...], ...] = tuple(shape for shape, _ in arrays)
    if mean is None and layer.stored is None:
        channels = () if axis in (None, [], ()) else (layer.shape.channels,)
        kept = (channels, channels, ())
    if (mean is None or variance is None) and len(arrays) > 1:
        mean, variance = arrays[0][1], arrays[1][1]
    if mean is None or variance is None:
        layer.model.note(f"The mean and the variance of {layer.name} are not in the file.")
        mean, variance = 0.0, 1.0
    means, deviations = mean_and_deviation(mean, variance)
    if config.get("invert"):
        scales, offsets = deviations, means
    else:
        scales = [1 / deviation for deviation in deviations]
        offsets = [-m / d for m, d in zip(means, deviations, strict=True)]
    op = Standardization(scale=one_or_each(scales), offset=one_or_each(offsets), kept=kept)
    return layer.add(op)


def layer_scale(layer: KerasLayer) -> Node:
    """Add LayerScale of keras.applications' ConvNeXt."""
    initial = layer.config.get("init_values", 1.0)
    return layer.add(Scale(bias=False, initial=initial, **layer.trainable))


def constants(value: Any) -> Any:
    """Return a constant of a configuration, or one for each channel."""
    return one_or_each(numbers_in(value))


def _along_channels(layer: KerasLayer) -> None:
    """Raise `UnlikeError` where a layer normalizes along another axis than the channels."""
    axis = layer.config.get("axis", -1)
    if layer.axis(axis) != layer.shape.rank:
        raise UnlikeError(f"it works along the axis {axis}, not along the channels")


def _affine(layer: KerasLayer) -> dict[str, Any]:
    config = layer.config
    return {
        "epsilon": config.get("epsilon", 1e-3),
        "scale": config.get("scale", True),
        "center": config.get("center", True),
        **layer.trainable,
    }


LAYERS: Final[Mapping[str, Function]] = {
    **{f"BatchNormalization{version}": batch_normalization for version in ("", "V1", "V2")},
    "SyncBatchNormalization": batch_normalization,
    "LayerNormalization": layer_normalization,
    "GroupNormalization": group_normalization,
    "RMSNormalization": rms_normalization,
    "UnitNormalization": unit_normalization,
    "Rescaling": rescaling,
    "Normalization": normalization,
    "LayerScale": layer_scale,
}
"""The function of each class."""
