"""The values of black and white in images: what a format states, or what an array's values show.

Augmentations, fixed normalisations and new image files depend on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydantic import FiniteFloat

from archspec.errors import UsageError
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK_BYTES: Final = 2**24
"""Bytes of a large array that are measured at a time."""

MOST_BYTES_SEEN: Final = 2**30
"""Bytes of a uint8 array after which measuring ends once its range is certain."""


class Range(NamedTuple):
    """The values of black and of white."""

    black: FiniteFloat
    white: FiniteFloat

    @property
    def span(self) -> float:
        """The difference between white and black."""
        return self.white - self.black

    def __str__(self) -> str:
        return f"[{self.black:g}, {self.white:g}]"


BYTES: Final = Range(0.0, 255.0)

UNKNOWN: Final = Range(float("nan"), float("nan"))
"""A range for computations that do not depend on it: a mistake shows as NaN."""

SHARES: Final = Range(0.0, 1.0)
SIGNED: Final = Range(-1.0, 1.0)
LEVELS: Final = Range(0.0, 16.0)
"""Grey levels of scikit-learn's digits."""

OF_DTYPES: Final[Mapping[str, Range]] = {"uint8": BYTES, "uint16": Range(0.0, 65535.0)}
OF_DEPTHS: Final = (BYTES, Range(0.0, 4095.0), Range(0.0, 65535.0))
"""Ranges of 8, 12 and 16 bits, which values of other types show that fill more than half."""


@dataclass(frozen=True, slots=True)
class PixelValues:
    """The values of a data set's images: their type, their extremes, black and white."""

    dtype: str
    minimum: FiniteFloat
    maximum: FiniteFloat
    range: Range | None
    """Black and white; None where values do not show them and the recipe does not give them."""


def usual(dtype: str, minimum: float, maximum: float, *, whole: bool) -> Range | None:
    """Return the range that values with these extremes usually have; None if several are likely.

    In this order: from 0 to 1; from -1 to 1, if some are below -0.5 (values from -0.5 to 0.5, or
    from 0 to 1 and interpolated a little beyond, have another white); whole numbers from 0 to 16,
    if some are above 8; the whole of uint8 and of uint16; of other types 8, 12 or 16 bits, if the
    largest value is in the upper half.
    """
    if minimum < 0:
        fills = SIGNED.black <= minimum < SIGNED.black / 2 and maximum <= SIGNED.white
        return SIGNED if fills else None
    if maximum <= SHARES.white:
        return SHARES
    if whole and LEVELS.white / 2 < maximum <= LEVELS.white:
        return LEVELS
    if dtype in OF_DTYPES:
        return OF_DTYPES[dtype]
    return next((one for one in OF_DEPTHS if one.white / 2 < maximum <= one.white), None)


def measure(images: NDArray[Any], where: str) -> PixelValues:
    """Return the type, extremes and range of an array's values, measured a chunk at a time.

    Once bytes exceed the narrower ranges, only the first GiB is measured. `where` is the array's
    name in messages. Raises `UsageError` for an array without images, not of numbers, or with a
    value that is not finite.
    """
    if images.dtype.kind not in "biuf":
        raise UsageError(f"{where} must be numbers, not {images.dtype}")
    if images.ndim < 2 or images.size == 0:
        raise UsageError(f"{where} is {'x'.join(map(str, images.shape))}: there are no images")
    minimum, maximum, whole = np.inf, -np.inf, True
    is_float, is_bytes = images.dtype.kind == "f", images.dtype == np.uint8
    step = chunk_length(images)
    for start in range(0, len(images), step):
        chunk = images[start : start + step]
        low, high = float(chunk.min()), float(chunk.max())
        largest = max(abs(low), abs(high))
        if is_float and not largest <= float(np.finfo(np.float32).max):
            raise _not_finite(chunk, start, where)
        minimum, maximum = min(minimum, low), max(maximum, high)
        whole = whole and (not is_float or bool((chunk == np.rint(chunk)).all()))
        seen = (start + len(chunk)) * chunk[0].nbytes
        if is_bytes and maximum > LEVELS.white and seen >= MOST_BYTES_SEEN:
            break
    name = images.dtype.name
    return PixelValues(name, minimum, maximum, usual(name, minimum, maximum, whole=whole))


def _not_finite(chunk: NDArray[Any], start: int, where: str) -> UsageError:
    """Return the error that names the first image with a value that float32 cannot hold."""
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
        values = chunk.reshape(len(chunk), -1).astype(np.float32)
    bad = ~np.isfinite(values)
    index = int(bad.any(axis=1).argmax())
    return UsageError(
        f"{where}: image {start + index} has a value that is {values[index][bad[index]][0]}"
    )


def chunk_length(images: NDArray[Any]) -> int:
    """Return how many images are read at a time."""
    return max(1, CHUNK_BYTES // max(1, int(images[0].nbytes)))
