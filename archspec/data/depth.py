"""Pictures of more than 8 bits a sample -> their values as they are stored.

Pillow reads grey of 16 bits and floats; of colour it keeps the upper byte and says nothing, so
that is OpenCV's and `tiff`'s. Where none gives the values of a file, it is refused.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from archspec.data import tiff
from archspec.data.jpeg import Encoded, UnreadableError, content_of, opencv
from archspec.data.tiff import Tags

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

BYTE: Final = 255.0


class SampleFormat(NamedTuple):
    """What a file holds, by its header."""

    kind: str
    """"bytes", "unsigned", "signed" or "float"."""
    white: float | None
    """The value of white; None where nothing tells it: signed values and floats."""

    def __str__(self) -> str:
        if self.white is None:
            return "floats" if self.kind == "float" else "signed numbers"
        return f"{math.ceil(math.log2(self.white + 1))} bits"


OF_BYTES: Final = SampleFormat("bytes", BYTE)


def layout(image: Image) -> SampleFormat:
    """Return what an image file holds, of which Pillow has read the header."""
    if image.format == "PNG":
        return SampleFormat("unsigned", 65535.0) if raw_mode(image).endswith("16B") else OF_BYTES
    if image.format == "PPM":
        return _layout_of_pnm(image)
    if image.format == "TIFF":
        tiff.check(image.tag_v2)  # type: ignore[attr-defined]
        return layout_of_tiff(image.tag_v2)  # type: ignore[attr-defined]
    return OF_BYTES


def read(image: Image, encoded: Encoded, found: SampleFormat) -> NDArray[np.float32]:
    """Return the values of a file that holds more than bytes, (height, width, 1 or 3).

    What is transparent shows white paper. Raises `UnreadableError`.
    """
    if image.format == "PNG":
        values = _of_png(image, encoded)
    elif image.format == "PPM":
        values = _of_pnm(image, encoded, found)
    else:
        values = _of_tiff(image, encoded, found)
    return on_paper(values, found)


def on_paper(values: NDArray[Any], found: SampleFormat) -> NDArray[np.float32]:
    """Return values as float32, (height, width, 1 or 3), what is transparent as white paper.

    A second or fourth channel says how much covers the paper. Raises `UnreadableError` for
    infinity and what is no number.
    """
    import numpy as np  # noqa: PLC0415

    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
        values = values.astype(np.float32, copy=False)
    if values.ndim == 2:
        values = values[..., np.newaxis]
    if found.white is None and not np.isfinite(values).all():
        raise UnreadableError("it holds infinity or no number")
    channels = values.shape[-1]
    if channels in {1, 3}:
        return values
    paper = np.float32(1 if found.white is None else found.white)
    colours, covers = np.split(values, [channels - 1], axis=-1)
    covered = paper + (colours - paper) * (covers / paper)
    return covered.astype(np.float32, copy=False)


def raw_mode(image: Image) -> str:
    args = image.tile[0][3] if image.tile else ""  # type: ignore[attr-defined]
    return args if isinstance(args, str) else ""


# PNG


def _of_png(image: Image, encoded: Encoded) -> NDArray[Any]:
    """Grey, or with a channel of what covers the paper where something is transparent."""
    import numpy as np  # noqa: PLC0415

    if image.mode.startswith("I"):
        values = np.asarray(image)[..., np.newaxis]
    else:
        values = _colour_of_png(encoded)
    key = image.info.get("transparency")
    if key is None or values.shape[-1] == 4:
        return values
    covers = (values != np.array(key)).any(axis=-1, keepdims=True)
    return np.concatenate([values, covers * np.uint16(65535)], axis=-1)


def _colour_of_png(encoded: Encoded) -> NDArray[np.uint16]:
    """RGB or RGBA of 16 bits; grey with alpha as RGBA, too."""
    import numpy as np  # noqa: PLC0415

    cv2 = opencv()
    if cv2 is None:
        raise UnreadableError(
            "a PNG of 16 bits a channel in colour or with alpha needs OpenCV: "
            "pip install opencv-python-headless; or save it with 8 bits"
        )
    pixels = cv2.imdecode(np.frombuffer(content_of(encoded), np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3:
        raise UnreadableError("damaged")
    colours: NDArray[np.uint16] = pixels[..., [2, 1, 0, 3][: pixels.shape[-1]]]
    return colours


# PNM


def _layout_of_pnm(image: Image) -> SampleFormat:
    args = image.tile[0][3] if image.tile else ()  # type: ignore[attr-defined]
    if image.mode == "F":
        return SampleFormat("float", None)
    if image.mode == "I" and args == "I;16B":
        return SampleFormat("unsigned", 65535.0)  # which Pillow decodes as it stands
    white = args[1] if isinstance(args, tuple) and len(args) == 2 else BYTE
    return SampleFormat("unsigned", float(white)) if white > BYTE else OF_BYTES


def _of_pnm(image: Image, encoded: Encoded, found: SampleFormat) -> NDArray[Any]:
    """Numbers as they are written; Pillow would stretch grey to 16 bits and cut colour to 8."""
    import numpy as np  # noqa: PLC0415

    if found.kind == "float":
        return np.asarray(image)
    name, _, offset, _ = image.tile[0]  # type: ignore[attr-defined]
    width, height = image.size
    shape = (height, width, 3 if image.mode == "RGB" else 1)
    count = int(np.prod(shape))
    body = content_of(encoded)[offset:]
    numbers: NDArray[Any]
    if name == "ppm_plain":
        numbers = np.array(body.split(maxsplit=count)[:count], np.uint32)
    else:
        numbers = np.frombuffer(body[: 2 * count], ">u2")
    if numbers.size != count:
        raise UnreadableError("damaged (pixels are missing)")
    return numbers.reshape(shape)


# TIFF


def layout_of_tiff(tags: Tags) -> SampleFormat:
    """Return what a TIFF's page holds, by its tags."""
    white = tiff.white(tags)
    if white is None:
        return SampleFormat(
            "float" if tiff.first(tags, tiff.FORMAT, 1) == tiff.FLOAT else "signed", None
        )
    return SampleFormat("unsigned", white) if white > BYTE else OF_BYTES


def _of_tiff(image: Image, encoded: Encoded, found: SampleFormat) -> NDArray[Any]:
    import numpy as np  # noqa: PLC0415

    tags = image.tag_v2  # type: ignore[attr-defined]
    if tiff.first(tags, tiff.SAMPLES, 1) > 1:
        return tiff.values(tags, encoded)
    values = np.asarray(image)
    if found.kind == "signed" and values.dtype == np.uint8:
        values = values.view(np.int8)
    elif found.kind == "unsigned" and values.dtype == np.int32:
        values = values.view(np.uint32)
    if found.white is not None and tiff.first(tags, tiff.PHOTOMETRIC, 1) == tiff.WHITE_IS_ZERO:
        return np.float32(found.white) - values
    return values
