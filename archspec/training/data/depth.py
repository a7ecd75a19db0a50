"""Pictures of more than 8 bits a sample -> their values as they are stored.

Pillow reads grey of 16 bits and floats; of colour it keeps the upper byte and says nothing, so
that is OpenCV's. Where neither gives the values of a file, it is refused.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from archspec.training.data.decoding import Encoded, opencv

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

BYTE: Final = 255.0

# Tags of TIFF.
BITS, PHOTOMETRIC, SAMPLES, PLANAR, EXTRA, FORMAT = 258, 262, 277, 284, 338, 339
WHITE_IS_ZERO: Final = 0
UNSIGNED, SIGNED, FLOAT = 1, 2, 3


class UnreadableError(Exception):
    """Why an image cannot be had from its file."""


class Layout(NamedTuple):
    """What a file holds, by its header."""

    kind: str
    """"bytes", "unsigned", "signed" or "float"."""
    white: float | None
    """The value of white; None where nothing tells it: signed values and floats."""

    def __str__(self) -> str:
        if self.white is None:
            return "floats" if self.kind == "float" else "signed numbers"
        return f"{math.ceil(math.log2(self.white + 1))} bits"


BYTES: Final = Layout("bytes", BYTE)


def layout(image: Image) -> Layout:
    """Return what an image file holds, of which Pillow has read the header."""
    if image.format == "PNG":
        return Layout("unsigned", 65535.0) if raw_mode(image).endswith("16B") else BYTES
    if image.format == "PPM":
        return _layout_of_pnm(image)
    if image.format == "TIFF":
        return _layout_of_tiff(image.tag_v2)  # type: ignore[attr-defined]
    return BYTES


def read(image: Image, encoded: Encoded, found: Layout) -> NDArray[np.float32]:
    """Return the values of a file that holds more than bytes, (height, width, 1 or 3).

    What is transparent shows white paper. Raises `UnreadableError`.
    """
    import numpy as np  # noqa: PLC0415

    if image.format == "PNG":
        values = _of_png(image, encoded)
    elif image.format == "PPM":
        values = _of_pnm(image, encoded, found)
    else:
        values = _of_tiff(image, encoded, found)
    values = np.asarray(values, np.float32)
    if values.ndim == 2:
        values = values[..., np.newaxis]
    if found.white is None and not np.isfinite(values).all():
        raise UnreadableError("it holds infinity or no number")
    return _on_paper(values, found.white)


def raw_mode(image: Image) -> str:
    args = image.tile[0][3] if image.tile else ""  # type: ignore[attr-defined]
    return args if isinstance(args, str) else ""


def content_of(encoded: Encoded) -> bytes:
    return encoded if isinstance(encoded, bytes) else Path(encoded).read_bytes()


def _by_opencv(encoded: Encoded, what: str) -> NDArray[Any]:
    """Grey, RGB or RGBA as stored."""
    import numpy as np  # noqa: PLC0415

    cv2 = opencv()
    if cv2 is None:
        raise UnreadableError(
            f"{what} needs OpenCV: pip install opencv-python-headless; "
            "or save it with 8 bits a channel"
        )
    try:
        pixels = cv2.imdecode(np.frombuffer(content_of(encoded), np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise UnreadableError(f"damaged, or {what} in a way that OpenCV does not read")
    if pixels.ndim == 3 and pixels.shape[-1] >= 3:
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[-1]]]
    array: NDArray[Any] = pixels
    return array


# PNG


def _of_png(image: Image, encoded: Encoded) -> NDArray[Any]:
    """Grey, or with a channel of what covers the paper where something is transparent."""
    import numpy as np  # noqa: PLC0415

    if raw_mode(image) == "I;16B":
        values = np.asarray(image)[..., np.newaxis]
    else:
        values = _by_opencv(encoded, "a PNG of 16 bits a channel")
        if values.dtype != np.uint16:
            raise UnreadableError("OpenCV gives its 16 bits as 8")
    key = image.info.get("transparency")
    if key is None or values.shape[-1] == 4:
        return values
    covers = (values != np.array(key)).any(axis=-1, keepdims=True)
    return np.concatenate([values, covers * np.uint16(65535)], axis=-1)


# PNM


def _layout_of_pnm(image: Image) -> Layout:
    args = image.tile[0][3] if image.tile else ()  # type: ignore[attr-defined]
    if image.mode == "F":
        return Layout("float", None)
    white = args[1] if isinstance(args, tuple) and len(args) == 2 else BYTE
    return Layout("unsigned", float(white)) if white > BYTE else BYTES


def _of_pnm(image: Image, encoded: Encoded, found: Layout) -> NDArray[Any]:
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


def _layout_of_tiff(tags: Any) -> Layout:
    bits = max(_tuple(tags.get(BITS, 1)))
    form = max(_tuple(tags.get(FORMAT, UNSIGNED)))
    if form == FLOAT:
        return Layout("float", None)
    if form == SIGNED:
        return Layout("signed", None)
    return Layout("unsigned", float(2**bits - 1)) if bits > 8 else BYTES


def _tuple(value: Any) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,)


def _of_tiff(image: Image, encoded: Encoded, found: Layout) -> NDArray[Any]:
    import numpy as np  # noqa: PLC0415

    tags = image.tag_v2  # type: ignore[attr-defined]
    samples = tags.get(SAMPLES, 1)
    if samples == 1:
        values = np.asarray(image)
        if found.kind == "signed" and values.dtype == np.uint8:
            values = values.view(np.int8)
        elif found.kind == "unsigned" and values.dtype == np.int32:
            values = values.view(np.uint32)
        if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO and found.white is not None:
            values = np.float32(found.white) - values
        return values
    if image.mode not in {"RGB", "RGBA", "RGBX"} or tags.get(PLANAR, 1) != 1:
        bits = max(_tuple(tags.get(BITS, 1)))
        raise UnreadableError(
            f"a TIFF of {samples} channels of {bits} bits as {image.mode}, or in planes, "
            "is not read; save it as RGB or grey, its channels together"
        )
    values = _by_opencv(encoded, "a TIFF in colour of more than 8 bits a channel")
    if values.dtype == np.uint8 or values.ndim != 3:
        raise UnreadableError("OpenCV gives it as 8 bits")
    extra = _tuple(tags.get(EXTRA, ()))[:1]
    if values.shape[-1] == 4 and extra == (0,):
        values = values[..., :3]
    elif values.shape[-1] == 4 and extra == (1,):
        return _unmultiplied(values)
    return values


def _unmultiplied(values: NDArray[Any]) -> NDArray[Any]:
    """RGBA of colours that were stored multiplied by what covers the paper."""
    import numpy as np  # noqa: PLC0415

    white = np.float32(np.iinfo(values.dtype).max) if values.dtype.kind == "u" else np.float32(1)
    colours, covers = np.split(values.astype(np.float32), [3], axis=-1)
    share = np.where(covers > 0, covers / white, 1)
    return np.concatenate([np.minimum(colours / share, white), covers], axis=-1)


def _on_paper(values: NDArray[np.float32], white: float | None) -> NDArray[np.float32]:
    """Without a last channel that says how much covers the white paper."""
    import numpy as np  # noqa: PLC0415

    channels = values.shape[-1]
    if channels in {1, 3}:
        return values
    paper = np.float32(1 if white is None else white)
    colours, covers = np.split(values, [channels - 1], axis=-1)
    return paper + (colours - paper) * (covers / paper)
