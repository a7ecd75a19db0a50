"""Layers whose outputs are maps of the image, and maps enlarged to its extent."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, Final

from archspec.errors import UsageError
from archspec.explain.circuit import CircuitCall
from archspec.explain.subject import Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

AFTER: Final = ("Pooling", "Dropout", "Padding", "Cropping", "UpSampling", "Flatten", "Reshape")
"""Parts of the names of layers that only rearrange or subsample the maps before them."""


def has_place(subject: Subject, call: CircuitCall) -> bool:
    """Return whether a layer's outputs are maps of more than one position."""
    return len(call.shape) == len(subject.shape) and prod(call.shape[:-1]) > 1


def _with_place(subject: Subject) -> list[CircuitCall]:
    """Return the layers that have maps and that the scores depend on."""
    return [call for call in subject.circuit.used if has_place(subject, call)]


def last_maps(subject: Subject) -> CircuitCall | None:
    """Return the last layer that has maps, before pooling; None without one.

    It is a convolution, or a ReLU or a sum with a shortcut behind it.
    """
    known = _with_place(subject)
    computed = [call for call in known if not any(part in call.kind for part in AFTER)]
    return computed[-1] if computed else None


def maps_layer(subject: Subject, name: str | None) -> CircuitCall:
    """Return the layer of a name, or for None the last one that has maps (see `last_maps`).

    Raises `UsageError` if there is no such layer, it has no maps, or no score depends on it.
    """
    if name is None:
        if (last := last_maps(subject)) is None:
            raise UsageError(f"{subject.name} has no layer with feature maps")
        return last
    call = subject.layer(name)
    known = _with_place(subject)
    if not has_place(subject, call):
        hint = f"; name one with maps, such as `{known[-1].name}`" if known else ""
        raise UsageError(f"`layer={name!r}`: its output {call.shape} is not a feature map{hint}")
    if call not in known:
        raise UsageError(f"`layer={name!r}`: no score depends on this layer")
    return call


def enlarged(map_: NDArray[Any], extent: tuple[int, ...]) -> NDArray[np.float64]:
    """Return a map of another extent, by linear interpolation."""
    from scipy.ndimage import zoom  # noqa: PLC0415

    factors = [new / old for new, old in zip(extent, map_.shape, strict=True)]
    result: NDArray[np.float64] = zoom(
        map_.astype(float), factors, order=1, mode="nearest", grid_mode=True
    )
    return result
