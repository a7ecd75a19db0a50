"""Image files -> pixels, and how pixels of one extent become those of another.

Files go through Pillow, arrays through a few lines of NumPy, by the same definitions: bilinear,
each new pixel a mean over what it covers where an image shrinks, pixel centres aligned. (The
backends' resizing differs from each other's in the last digits, or does not smooth at all.)
Most JPEGs take a faster way to much the same pixels, `decoding`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from archspec.ops.shape import Shape
from archspec.training.data.decoding import Encoded, interpolated
from archspec.training.data.placing import placement, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

FORMATS: Final = ("JPEG", "PNG", "BMP", "GIF")
SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".bmp", ".gif")

MOST_PIXELS: Final = 2**26
"""Of one image. A file of a few kilobytes may claim more than any memory holds."""

REDUCTION: Final = 2
"""A JPEG is decoded at a half, a quarter or an eighth while that is so many times what is wanted:
several times faster, and the resizing smooths over what little differs."""

LUMINANCE: Final = (0.299, 0.587, 0.114)
"""Of red, green and blue (ITU-R BT.601), as Pillow weighs them."""

ORIENTATION: Final = 0x0112
"""The EXIF tag that says how a camera was held."""

_END: Final = {
    b"\xff\xd8": b"\xff\xd9",
    b"\x89PNG": b"IEND\xaeB`\x82",
    b"GIF8": b";",
}
"""How a whole file of a kind ends, by how it starts."""


class UnreadableError(Exception):
    """Why an image cannot be had from its file."""


def decode(
    encoded: Encoded, shape: Shape, how: str, plain: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """An image file's pixels, (height, width, channels) as `shape` says, which has 1 or 3 channels.

    The first frame, held as the camera's EXIF says. What is transparent shows white paper; 16 bits
    become 8; CMYK and palettes become RGB. `plain` is what `check` said, which then need not be
    found out. Raises `UnreadableError`.
    """
    import numpy as np  # noqa: PLC0415

    pixels = interpolated(encoded, plain, shape, how) if plain is not None else None
    if pixels is not None:
        return pixels
    try:
        with _open(encoded) as image:
            found = _plain(image) if plain is None else None
            pixels = interpolated(encoded, found, shape, how) if found is not None else None
            if pixels is None:
                pixels = np.asarray(_fitted(image, shape, how))
    except UnreadableError:
        raise
    except Exception as error:  # noqa: BLE001  (Pillow lets through what a broken file leads to)
        raise UnreadableError(_reason(error)) from None
    return pixels.reshape(shape)


def check(content: bytes, encoded: Encoded) -> tuple[int, int] | None:
    """Look whether a file is whole; its height and width if it is a plain JPEG.

    `content` is the file, or its start and its end. It is decoded only where looks do not tell:
    what is damaged in between is found when it is decoded. Raises `UnreadableError`.
    """
    if not content:
        raise UnreadableError("empty")
    end = next((end for start, end in _END.items() if content.startswith(start)), None)
    try:
        with _open(encoded) as image:
            # Cameras and editors leave things behind the end: only a decoder can tell.
            if end is None or not content.endswith(end):
                image.load()
            return _plain(image)
    except UnreadableError:
        raise
    except Exception as error:  # noqa: BLE001
        raise UnreadableError(_reason(error)) from None


def _plain(image: Image) -> tuple[int, int] | None:
    """The height and width of a JPEG, grey or RGB, held upright: what decoders read alike."""
    if image.format != "JPEG" or image.mode not in {"L", "RGB"} or _turned(image) != 1:
        return None
    return image.size[1], image.size[0]


def _open(encoded: Encoded) -> Image:
    """An image of which no more than the header has been read."""
    from io import BytesIO  # noqa: PLC0415

    from PIL import Image  # noqa: PLC0415

    image = Image.open(BytesIO(encoded) if isinstance(encoded, bytes) else encoded, formats=FORMATS)
    width, height = image.size
    if width * height > MOST_PIXELS:
        image.close()
        raise UnreadableError(f"{width}x{height} pixels, more than {MOST_PIXELS:,}")
    return image


def _reason(error: Exception) -> str:
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415

    if isinstance(error, UnidentifiedImageError):
        return "not a JPEG, PNG, BMP or GIF image"
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return f"more than {MOST_PIXELS:,} pixels"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"damaged ({error})" if str(error) else "damaged"


def _fitted(image: Image, shape: Shape, how: str) -> Image:
    from PIL import Image as Images  # noqa: PLC0415

    height, width, channels = shape
    mode = "RGB" if channels == 3 else "L"
    turned = _turned(image)
    target = (width, height) if turned in _SIDEWAYS else (height, width)
    stored = (image.size[1], image.size[0])
    inner, _ = placement(stored, target, how)
    region = shown(stored, target, how)
    if image.format == "JPEG":
        scale = [new / (end - start) for new, (start, end) in zip(inner, region, strict=True)]
        wanted = [round(old * s * REDUCTION) for old, s in zip(stored, scale, strict=True)]
        image.draft(mode if image.mode != "CMYK" else None, (wanted[1], wanted[0]))
        region = shown((image.size[1], image.size[0]), target, how)
    image = _in_mode(image, mode)
    if (image.size[1], image.size[0]) != inner or how == "crop":
        (top, bottom), (left, right) = region
        image = image.resize(
            (inner[1], inner[0]), Images.Resampling.BILINEAR, box=(left, top, right, bottom)
        )
    if inner != target:
        canvas = Images.new(mode, (target[1], target[0]))
        canvas.paste(image, ((target[1] - inner[1]) // 2, (target[0] - inner[0]) // 2))
        image = canvas
    return image if turned == 1 else image.transpose(Images.Transpose(_TURNS[turned]))


_TURNS: Final = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
"""EXIF's orientations as Pillow's transpositions: mirrored, turned, or both."""

_SIDEWAYS: Final = {5, 6, 7, 8}


def _turned(image: Image) -> int:
    """How the camera was held: 1 is upright."""
    if "exif" not in image.info and "Raw profile type exif" not in image.info:
        return 1
    turned = image.getexif().get(ORIENTATION, 1)
    return turned if turned in _TURNS else 1


def _in_mode(image: Image, mode: str) -> Image:
    """As RGB or grey, of 8 bits, on white."""
    from PIL import Image as Images  # noqa: PLC0415

    if image.mode == mode:
        return image
    if image.mode.startswith("I"):  # grey of 16 bits, which Pillow would cut off at 255
        import numpy as np  # noqa: PLC0415

        levels = np.asarray(image).astype(np.float32) / 257
        image = Images.fromarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8))
    elif image.mode in {"LA", "PA", "RGBA", "La", "RGBa"} or "transparency" in image.info:
        image = image.convert("RGBA")
        paper = Images.new("RGBA", image.size, "white")
        image = Images.alpha_composite(paper, image).convert("RGB")
    elif image.mode not in {"1", "L", "RGB"}:
        image = image.convert("RGB")
    return image.convert(mode)


def resize(images: NDArray[Any], extent: tuple[int, ...], how: str = "stretch") -> NDArray[Any]:
    """(images, height, width, channels) to another height and width; whole numbers are rounded."""
    import numpy as np  # noqa: PLC0415

    count, *old, channels = images.shape
    if tuple(old) == extent:
        return images
    inner, bars = placement(tuple(old), extent, how)
    region = shown(tuple(old), extent, how)
    rows, columns = (_weights(o, i, r) for o, i, r in zip(old, inner, region, strict=True))
    values: NDArray[Any] = images.astype(np.float32, copy=False)
    values = rows @ values.reshape(count, old[0], old[1] * channels)
    # One large product instead of many small ones.
    values = values.reshape(count, inner[0], old[1], channels).swapaxes(2, 3)
    values = values.reshape(-1, old[1]) @ columns.T
    values = values.reshape(count, inner[0], channels, inner[1]).swapaxes(2, 3)
    if images.dtype.kind in "iu":
        values = np.clip(np.rint(values), 0, np.iinfo(images.dtype).max)
    values = values.astype(images.dtype, copy=False)
    return np.pad(values, ((0, 0), *bars, (0, 0))) if inner != extent else values


def _weights(old: int, new: int, region: tuple[float, float]) -> NDArray[np.float32]:
    """(new, old): how much of each old pixel of a line is in each new one, which fill `region`."""
    import numpy as np  # noqa: PLC0415

    start, end = region
    scale = (end - start) / new
    position = start + (np.arange(new) + 0.5) * scale - 0.5
    # A new pixel takes from the old ones around it, the nearer the more; from a wider circle
    # where it stands for several.
    distance = np.abs(position[:, np.newaxis] - np.arange(old)) / max(scale, 1.0)
    weights = np.clip(1 - distance, 0, 1)
    normalised: NDArray[np.float32] = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    return normalised


def match_channels(images: NDArray[Any], channels: int) -> NDArray[Any]:
    """Grey becomes three equal channels, and colour becomes its luminance."""
    import numpy as np  # noqa: PLC0415

    if images.shape[-1] == channels:
        return images
    if images.shape[-1] == 1:
        return np.repeat(images, channels, axis=-1)
    grey = images.reshape(-1, 3).astype(np.float32, copy=False) @ np.array(LUMINANCE, np.float32)
    grey = grey.reshape(*images.shape[:-1], 1)
    return (np.rint(grey) if images.dtype.kind in "iu" else grey).astype(images.dtype, copy=False)
