"""What a source gives: labelled images as they are stored, not yet split, resized or normalised."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from archspec.data.jpeg import Encoded
from archspec.data.values import BYTES, PixelValues, Range
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TRAIN, VALIDATION, TEST = range(3)

PARTS: Final = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "dev": VALIDATION,
    "test": TEST,
    "testing": TEST,
}
"""Names, in any case, of folders, files and rows that are parts of the data and no classes."""

MOST_CLASSES: Final = 100_000

TURNS: Final = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
"""Kinds of characters that turn the direction of others, and so can show another name."""

Skipped: TypeAlias = tuple[str, str]
"""A file that is left out, and why."""


class Preview(NamedTuple):
    """What is known of a source before its pixels are loaded."""

    class_names: tuple[str, ...]
    shape: Shape | None
    """Of one image; None where they differ: files, which are grey or in colour as is wanted."""


@dataclass(frozen=True, slots=True, eq=False)
class EncodedImages:
    """Images in files or in records, to be decoded one by one."""

    names: Sequence[str]
    get: Callable[[int], Encoded]
    plain: Sequence[tuple[int, int] | None] | None = None
    """Height and width of each plain JPEG, None of others; None where nobody looked."""
    extents: Sequence[tuple[int, int]] | None = None
    """Height and width of each; None where nobody looked."""
    unstated: Range | None = None
    """Black and white in files that do not state them, floats and signed numbers, where those
    differ from the range of all."""
    is_deep: bool = False
    """Whether some hold more than bytes."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImages:
    """All examples of a source."""

    name: str
    class_names: tuple[str, ...]
    labels: NDArray[np.int32]
    images: NDArray[Any] | EncodedImages
    """(images, *extent, channels), in memory or mapped from a file; or encoded."""
    range: Range | None = BYTES
    """Black and white in encoded images."""
    values: PixelValues | None = None
    """What the values of an array are, where that has been looked at already; or of files that
    do not state their white."""
    parts: NDArray[np.int8] | None = None
    """TRAIN, VALIDATION or TEST for each, where the source comes split."""
    skipped: tuple[Skipped, ...] = ()
    digest: str = ""
    """SHA-256 of the pixels, where reading them has given it already."""
    covers: str = ""
    """What `digest` is of."""
    names: Sequence[str] | None = None
    """Of each image, within the source: what a pattern for groups is matched with."""
    groups: Sequence[str] | None = None
    """The group of each image, where a column or an array that the recipe names says it."""
    digests: Sequence[bytes] | None = None
    """Of each encoded image: equal only for those of equal bytes."""
    notes: tuple[str, ...] = ()
    """Lines to be said once, as that files are of different depths."""


def legible(path: str) -> str:
    """A file's name as it can be written to a terminal."""
    return path if is_displayable(path) else ascii(path)


def is_displayable(name: str) -> bool:
    """Whether a name can be shown: joiners of emoji and of letters are, what drives a terminal not.

    That is control characters, separators of lines, halves of characters, and what turns the
    direction of the text after it.
    """
    return not any(
        unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
        or unicodedata.bidirectional(character) in TURNS
        for character in name
    )
