"""Augmentations: random changes of batches of training images, as a recipe lists them.

They are applied to pixels before normalisation. Each is NumPy on whole batches, a pure function of
its arguments and a random generator. That is why they are not those of a library: a resumed run
must draw bit for bit the batches of an uninterrupted one, on every backend, and a recipe must be
checked without importing an engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from pydantic import BeforeValidator

from archspec.data.augment.augmentation import Augmentation
from archspec.data.augment.colour import ColorJitter, PcaLighting
from archspec.data.augment.geometry import (
    HorizontalFlip,
    RandomCrop,
    RandomResizedCrop,
    Rotation,
    Shift,
    VerticalFlip,
)
from archspec.data.augment.mixing import CutMix, Mixup
from archspec.data.augment.noise import GaussianNoise, RandomErasing
from archspec.data.values import UNKNOWN, Range
from archspec.element import show
from archspec.errors import suggestion
from archspec.vocabulary import value_meant

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
__all__ = ["AUGMENTATIONS", "Augment", "Augmentation", "augment", "augmentation", "fit"]

_CLASSES: Final[tuple[type[Augmentation], ...]] = (
    HorizontalFlip,
    VerticalFlip,
    RandomCrop,
    RandomResizedCrop,
    Shift,
    Rotation,
    ColorJitter,
    PcaLighting,
    GaussianNoise,
    RandomErasing,
    Mixup,
    CutMix,
)

AUGMENTATIONS: Final[Mapping[str, type[Augmentation]]] = {cls.name: cls for cls in _CLASSES}
"""The augmentations that a recipe's `augment` may list, by name."""


def augmentation(value: Any) -> Augmentation:
    """Return the augmentation of `name` or `{name: arguments}`. Raises ValueError."""
    if isinstance(value, Augmentation):
        return value
    name: Any = value
    arguments: Any = {}
    if isinstance(value, Mapping) and len(value) == 1:
        name, arguments = next(iter(value.items()))
    if not isinstance(name, str) or not isinstance(arguments, Mapping | None):
        raise ValueError(  # noqa: TRY004  (pydantic reads it)
            "write a name, or one name with its arguments, as `{random_crop: {padding: 4}}`, "
            f"not {show(value)}"
        )
    if name not in AUGMENTATIONS:
        hint = suggestion(
            name, AUGMENTATIONS, what="augmentations", meant=value_meant(name, AUGMENTATIONS)
        )
        raise ValueError(f"there is no augmentation `{name}`; {hint}")
    return AUGMENTATIONS[name].parse(arguments or {})


Augment: TypeAlias = Annotated[Augmentation, BeforeValidator(augmentation)]
"""An item of the list as a field's type, so that a mistake is reported at its place."""


def fit(chosen: Sequence[Augmentation], sample: NDArray[Any]) -> tuple[Augmentation, ...]:
    """Return the augmentations fitted to a sample of the training images.

    Call it once before `augment`, with pixels of the same range.
    """
    return tuple(one.fitted(sample) for one in chosen)


def augment(
    images: NDArray[Any],
    labels: NDArray[Any],
    chosen: Sequence[Augmentation],
    random: np.random.Generator,
    *,
    limits: Range | None,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return a batch changed by each augmentation in turn; see `Augmentation.__call__`.

    `limits` may be None if none of them needs the range.
    """
    for one in chosen:
        images, labels = one(images, labels, random, limits=limits or UNKNOWN)
    return images, labels
