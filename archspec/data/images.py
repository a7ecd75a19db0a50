"""Image files -> pixels, and how pixels of one extent become those of another.

Files go through Pillow, arrays through a few lines of NumPy, by the same definitions: bilinear,
each new pixel a mean over what it covers where an image shrinks, pixel centres aligned. (The
backends' resizing differs from each other's in the last digits, or does not smooth at all.)
Most JPEGs take a faster way to much the same pixels, `decoding`; files of more than 8 bits a
sample keep their values, `depth`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from archspec.data import depth, filetypes, pngrows, tiff
from archspec.data.depth import OF_BYTES, SampleFormat
from archspec.data.filetypes import FileType
from archspec.data.jpeg import Encoded, UnreadableError, content_of, interpolated
from archspec.data.placing import placement, shown, upright
from archspec.data.values import BYTES, SHARES, Range
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = [
    "ImageInfo",
    "OtherTypeError",
    "UnreadableError",
    "decode",
    "inspect",
    "match_channels",
    "resize",
]

FORMATS: Final = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
"""What Pillow calls the types that are read; the frequent ones first, which it tries in order."""

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
    filetypes.JPEG: b"\xff\xd9",
    filetypes.PNG: b"IEND\xaeB`\x82",
    filetypes.GIF: b";",
}
"""How a whole file of a type ends."""


class OtherTypeError(UnreadableError):
    """A picture of a type that is not read."""

    def __init__(self, file_type: FileType) -> None:
        super().__init__(f"{file_type.name}, which is not read; convert it to PNG")
        self.file_type = file_type


class ImageInfo(NamedTuple):
    """What a look at an image file has shown."""

    file_type: FileType
    plain: tuple[int, int] | None
    """Height and width of a plain JPEG; None of others."""
    extent: tuple[int, int]
    """Height and width of any, held upright."""
    layout: SampleFormat
    extremes: tuple[float, float] | None
    """The least and the largest value where the file does not state its white; else None."""
    has_more: bool
    """Whether pages or frames follow the first."""


def decode(
    encoded: Encoded,
    shape: Shape,
    how: str,
    plain: tuple[int, int] | None = None,
    limits: Range | None = BYTES,
    unstated: Range | None = None,
    exact: bool = False,
) -> NDArray[Any]:
    """Return an image file's pixels, (height, width, channels), fitted to `shape`.

    The first page or frame, turned upright as EXIF says. What is transparent shows white paper;
    CMYK and palettes become RGB.

    Args:
        encoded: A file's path, or its content.
        shape: What the pixels are resized to; 1 or 3 channels.
        how: "stretch", "pad" or "crop".
        plain: What `look` said, which then need not be found out.
        limits: Black and white in the result. None leaves values as they are in the file, which
            then must not state what white is.
        unstated: Black and white in a file that does not state them (floats, signed numbers).
            None guesses: [0, 1] where all values are in it, else `limits`.
        exact: Whether a file of more than bytes gives float32 also where `limits` are those of
            bytes; else it is rounded to uint8.

    Raises:
        UnreadableError: The file is damaged, too large, or of a type that is not read.

    """
    import numpy as np  # noqa: PLC0415

    if plain is not None:
        pixels = interpolated(encoded, plain, shape, how)
        if pixels is not None:
            return _in_range(pixels.reshape(shape), BYTES, limits)
    with _explained():
        found, values = _read(encoded, shape, how, plain)
    values = values.reshape(shape)
    if found is OF_BYTES and limits == BYTES:
        return values
    if found.white is not None:
        own: Range | None = Range(0.0, found.white)
    elif limits is not None and unstated is None and values.min() >= 0 and values.max() <= 1:
        own = SHARES
    else:
        own = unstated or limits
    values = _in_range(values, own, limits)
    if limits == BYTES and not exact and values.dtype != np.uint8:
        values = np.clip(np.rint(values), 0, BYTES.white).astype(np.uint8)
    return values


def _in_range(values: NDArray[Any], own: Range | None, limits: Range | None) -> NDArray[Any]:
    """Values of one range in another."""
    import numpy as np  # noqa: PLC0415

    if own == limits:
        return values
    if own is None or limits is None:
        raise UnreadableError("it says what white is, which those that were trained on do not")
    scaled: NDArray[Any] = (values - np.float32(own.black)) * np.float32(limits.span / own.span)
    return scaled + np.float32(limits.black)


def _read(
    encoded: Encoded, shape: Shape, how: str, plain: tuple[int, int] | None
) -> tuple[SampleFormat, NDArray[Any]]:
    """What a file holds, and its pixels fitted to `shape`: bytes, or float32 as in the file."""
    from PIL import UnidentifiedImageError  # noqa: PLC0415

    try:
        image = _open(encoded)
    except UnidentifiedImageError:
        found, values = _of_other(encoded)
    else:
        with image:
            found = depth.layout(image)
            if found is OF_BYTES:
                return found, _of_bytes(image, encoded, shape, how, plain)
            values = _of_values(image, encoded, found)
    values = match_channels(values, shape.channels)
    return found, _fitted_values(values, shape.spatial, how)


def inspect(content: bytes, encoded: Encoded, name: str = "") -> ImageInfo:
    """Return what an image file is and whether it is whole.

    It is decoded only where its ends do not tell: what is damaged in between is found when it is
    decoded.

    Args:
        content: The file, or its start and its end.
        encoded: The file's path, or its content.
        name: What the file is called, which tells a type where its bytes do not.

    Raises:
        OtherTypeError: It is a picture of a type that is not read.
        UnreadableError: It is damaged, too large, or no picture.

    """
    if not content:
        raise UnreadableError("empty")
    from PIL import UnidentifiedImageError  # noqa: PLC0415

    kind = filetypes.tell(name, content[: filetypes.HEAD_BYTES])
    if kind is None:
        raise UnreadableError(f"not a {filetypes.NAMES} image")
    if not kind.is_read:
        raise OtherTypeError(kind)
    with _explained():
        try:
            image = _open(encoded)
        except UnidentifiedImageError:
            found, values = _of_other(encoded)
            extent = values.shape[0], values.shape[1]
            return ImageInfo(kind, None, extent, found, _extremes(values, found), has_more=False)
        with image:
            found, extremes = depth.layout(image), None
            if found is not OF_BYTES and (found.white is None or isinstance(encoded, bytes)):
                extremes = _extremes(_of_values(image, encoded, found), found)
            # Cameras and editors leave things behind the end: only a decoder can tell.
            elif kind not in _END or not content.endswith(_END[kind]):
                image.load()
            if kind is filetypes.PNG and isinstance(encoded, bytes):
                pngrows.check(encoded)
            width, height = image.size
            extent = (width, height) if _turned(image) in _SIDEWAYS else (height, width)
            return ImageInfo(kind, _plain(image), extent, found, extremes, _has_more(image))


def _extremes(values: NDArray[np.float32], found: SampleFormat) -> tuple[float, float] | None:
    return None if found.white else (float(values.min()), float(values.max()))


@contextmanager
def _explained() -> Iterator[None]:
    """Make whatever a broken file leads to an `UnreadableError`."""
    try:
        yield
    except UnreadableError:
        raise
    except Exception as error:  # noqa: BLE001  (Pillow lets through what a broken file leads to)
        raise UnreadableError(_reason(error)) from None


def _has_more(image: Image) -> bool:
    if image.format not in {"TIFF", "GIF", "WEBP", "PNG"}:
        return False
    try:
        image.seek(1)
    except Exception:  # noqa: BLE001  (EOFError, or what a damaged second page leads to)
        return False
    return True


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
    try:
        _check_extent(*image.size)
    except UnreadableError:
        image.close()
        raise
    return image


def _check_extent(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise UnreadableError(f"{width}x{height} pixels, more than {MOST_PIXELS:,}")


def _reason(error: Exception) -> str:
    from PIL import Image  # noqa: PLC0415

    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return f"more than {MOST_PIXELS:,} pixels"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"damaged ({error})" if str(error) else "damaged"


def _of_bytes(
    image: Image, encoded: Encoded, shape: Shape, how: str, plain: tuple[int, int] | None
) -> NDArray[np.uint8]:
    """The pixels of a file of 8 bits a sample or fewer."""
    import numpy as np  # noqa: PLC0415

    found = _plain(image) if plain is None else None
    pixels = interpolated(encoded, found, shape, how) if found is not None else None
    if pixels is not None:
        return pixels
    if image.format == "PNG":  # what says how it is held may follow its pixels
        _load_png(image, encoded)
    return np.asarray(_fitted(image, shape, how))


def _of_values(image: Image, encoded: Encoded, found: SampleFormat) -> NDArray[np.float32]:
    """The upright values of a file of more than bytes, (height, width, 1 or 3)."""
    if image.format == "PNG":
        _load_png(image, encoded)
    values = depth.read(image, encoded, found)
    # Pillow and OpenCV turn a TIFF themselves.
    return values if image.format == "TIFF" else upright(values, _turned(image))


def _of_other(encoded: Encoded) -> tuple[SampleFormat, NDArray[np.float32]]:
    """What a file holds that Pillow does not open, and its upright values: some TIFFs."""
    content = content_of(encoded)
    kind = filetypes.by_content(content[: filetypes.HEAD_BYTES])
    if kind is None:
        raise UnreadableError(f"not a {filetypes.NAMES} image")
    if not kind.is_read:
        raise OtherTypeError(kind)
    if content.startswith(b"PF"):
        raise UnreadableError("a PFM in colour, which is not read; save it as a TIFF of floats")
    if kind is not filetypes.TIFF:
        raise UnreadableError(f"damaged, or not a {kind.name} after all")
    tags = tiff.directory(content)
    _check_extent(tags[tiff.WIDTH], tags[tiff.HEIGHT])
    found = depth.layout_of_tiff(tags)
    return found, depth.on_paper(tiff.values(tags, content), found)


def _load_png(image: Image, encoded: Encoded) -> None:
    """Decode a PNG. Pillow leaves rows black that are not there, and says nothing."""
    # Of 2 or 4 bits Pillow makes 8, but leaves the grey that is transparent as it is written.
    factor = {"L;2": 85, "L;4": 17}.get(depth.raw_mode(image))
    if factor and "transparency" in image.info:
        image.info["transparency"] *= factor
    image.load()
    width, height = image.size
    # The last pixel tells a whole file of the many whose last row is not black, in a tenth of
    # the time that it takes to look at the row.
    corner = image.getpixel((width - 1, height - 1))
    if any(corner if isinstance(corner, tuple) else (corner,)):
        return
    if image.crop((0, height - 1, width, height)).getbbox(alpha_only=False) is None:
        pngrows.check(content_of(encoded))


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


def _fitted_values(
    values: NDArray[np.float32], extent: tuple[int, ...], how: str
) -> NDArray[np.float32]:
    """The same for an upright array of floats, (height, width, channels)."""
    import numpy as np  # noqa: PLC0415
    from PIL import Image as Images  # noqa: PLC0415

    inner, bars = placement(values.shape[:2], extent, how)
    (top, bottom), (left, right) = shown(values.shape[:2], extent, how)
    if values.shape[:2] != inner or how == "crop":
        channels = [
            Images.fromarray(np.ascontiguousarray(values[..., channel])).resize(
                (inner[1], inner[0]), Images.Resampling.BILINEAR, box=(left, top, right, bottom)
            )
            for channel in range(values.shape[-1])
        ]
        values = np.stack([np.asarray(channel) for channel in channels], axis=-1)
    return np.pad(values, (*bars, (0, 0))) if inner != extent else values


_TURNS: Final = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
"""EXIF's orientations as Pillow's transpositions: mirrored, turned, or both."""

_SIDEWAYS: Final = {5, 6, 7, 8}


def _turned(image: Image) -> int:
    """How the camera was held: 1 is upright. Pillow turns a TIFF itself."""
    if "exif" not in image.info and "Raw profile type exif" not in image.info:
        return 1
    turned = image.getexif().get(ORIENTATION, 1)
    return turned if turned in _TURNS and image.format != "TIFF" else 1


def _in_mode(image: Image, mode: str) -> Image:
    """As RGB or grey, of 8 bits, on white."""
    from PIL import Image as Images  # noqa: PLC0415

    is_clear = "transparency" in image.info
    if image.mode == mode and not is_clear:
        return image
    if is_clear or image.mode in {"LA", "PA", "RGBA", "La", "RGBa"}:
        image = image.convert("RGBA")
        paper = Images.new("RGBA", image.size, "white")
        image = Images.alpha_composite(paper, image).convert("RGB")
    elif image.mode not in {"1", "L", "RGB"}:
        image = image.convert("RGB")
    return image.convert(mode)


def resize(
    images: NDArray[Any], extent: tuple[int, ...], how: str = "stretch", black: float = 0.0
) -> NDArray[Any]:
    """(images, height, width, channels) to another height and width; whole numbers are rounded.

    Bars are `black`.
    """
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
        limits = np.iinfo(images.dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    values = values.astype(images.dtype, copy=False)
    if inner == extent:
        return values
    return np.pad(values, ((0, 0), *bars, (0, 0)), constant_values=black)


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
