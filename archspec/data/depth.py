"""The depth of a picture: the type of its samples, and which value is white.

`png`, `pnm` and `tiff` determine it for their files, and read values of more than 8 bits as they
are stored. Pillow reads grey of 16 bits and floats; of colour it keeps the upper byte without a
warning, so colour is read by OpenCV and `tiff`. A file that neither can read is refused.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from archspec.data.imagefile import UnreadableError
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class SampleFormat(NamedTuple):
    """The type of a file's samples, by its header."""

    kind: str
    """"bytes", "unsigned", "signed" or "float"."""
    white: float | None
    """The value of white; None where the file does not state it: signed numbers and floats."""

    def __str__(self) -> str:
        if self.white is None:
            return "floats" if self.kind == "float" else "signed numbers"
        return f"{math.ceil(math.log2(self.white + 1))} bits"


OF_BYTES: Final = SampleFormat("bytes", 255.0)


def unsigned(white: float) -> SampleFormat:
    """Return the format of whole numbers from 0 to `white`."""
    return SampleFormat("unsigned", white) if white > 255 else OF_BYTES


def on_paper(values: NDArray[Any], samples: SampleFormat) -> NDArray[np.float32]:
    """Return values as float32, (height, width, 1 or 3); transparent pixels show white paper.

    A second or fourth channel is alpha, on the scale of white. Raises `UnreadableError` for
    infinity and NaN.
    """
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
        values = values.astype(np.float32, copy=False)
    if values.ndim == 2:
        values = values[..., np.newaxis]
    if samples.white is None and not np.isfinite(values).all():
        raise UnreadableError("it has pixels that are infinite or NaN")
    channels = values.shape[-1]
    if channels in {1, 3}:
        return values
    paper = np.float32(1 if samples.white is None else samples.white)
    colours, alpha = np.split(values, [channels - 1], axis=-1)
    covered = paper + (colours - paper) * (alpha / paper)
    return covered.astype(np.float32, copy=False)
