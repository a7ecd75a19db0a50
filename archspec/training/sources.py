"""What can be trained on, by the name that a recipe gives; nothing is loaded before it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Source:
    """A set of labelled grey images."""

    class_names: tuple[str, ...]
    load: Callable[[], tuple[NDArray[np.float32], NDArray[np.int32]]]
    """Gives (images, height, width) from 0 to 1, and a whole number as each one's class."""
    needs: str | None = None
    """What a recipe must say beside the source's name: `path`, `name`, or nothing."""


def _digits() -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """1,797 handwritten digits of 8x8, bundled with scikit-learn."""
    import numpy as np  # noqa: PLC0415
    from sklearn.datasets import load_digits  # noqa: PLC0415

    digits = load_digits()
    return digits.images.astype(np.float32) / 16, digits.target.astype(np.int32)


SOURCES: Final[Mapping[str, Source]] = {"digits": Source(tuple("0123456789"), _digits)}
