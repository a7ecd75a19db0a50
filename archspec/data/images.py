"""Image files -> pixels of the extent and channels that a network takes.

Pillow decodes most of them; plain JPEGs take a faster way to much the same pixels (`jpeg`), and
files of more than 8 bits a sample keep their values (`depth`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from archspec.data import filetypes, png, pnm, tiff
from archspec.data.depth import OF_BYTES, SampleFormat, on_paper
from archspec.data.filetypes import FileType
from archspec.data.imagefile import Encoded, UnreadableError, content_of
from archspec.data.jpeg import decode_plain
from archspec.data.resizing import match_channels, placement, upright, visible_region
from archspec.data.values import BYTES, SHARES, Range
from archspec.lazy import np
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

FORMATS: Final = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
"""Pillow's names of the types that are read, frequent ones first: it tries them in order."""

DEEP_FORMATS: Final = {"PNG": png, "PPM": pnm, "TIFF": tiff}
"""The modules for types that may hold more than 8 bits a sample."""

MOST_PIXELS: Final = 2**26
"""Largest number of pixels of an image: a file of a few kilobytes may claim more than fits into
memory."""

REDUCTION: Final = 2
"""Ratio to the needed extent that a JPEG keeps if it is decoded at a half, a quarter or an eighth:
several times faster, and the resizing smooths over what little differs."""

ORIENTATION: Final = 0x0112
"""The EXIF tag that says how a camera was held."""

_END: Final = {
    filetypes.JPEG: b"\xff\xd9",
    filetypes.PNG: b"IEND\xaeB`\x82",
    filetypes.GIF: b";",
}
"""The last bytes of an undamaged file, by type."""

_TRANSPOSITIONS: Final = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
"""EXIF's orientations as Pillow's transpositions: mirrored, turned, or both."""

_SIDEWAYS: Final = {5, 6, 7, 8}


class OtherTypeError(UnreadableError):
    """A picture of a type that archspec does not read."""

    def __init__(self, file_type: FileType) -> None:
        super().__init__(f"{file_type.name}, which archspec does not read; convert it to PNG")
        self.file_type = file_type


class ImageInfo(NamedTuple):
    """Facts about an image file that are known before it is decoded for training."""

    file_type: FileType
    plain: tuple[int, int] | None
    """Height and width of a plain JPEG; None for others."""
    extent: tuple[int, int]
    """Height and width, held upright."""
    samples: SampleFormat
    extremes: tuple[float, float] | None
    """The smallest and the largest value, where the file does not state its white; else None."""
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

    The first page or frame, turned upright as EXIF says. Transparent pixels show white paper; CMYK
    and palettes become RGB.

    Args:
        encoded: A file's path, or its content.
        shape: The extent to resize to, with 1 or 3 channels.
        how: "stretch", "pad" or "crop".
        plain: `ImageInfo.plain`, where the file has been inspected.
        limits: Black and white in the result. None leaves values as they are in the file, which
            then must not state its white.
        unstated: Black and white in a file that does not state them (floats, signed numbers).
            None guesses: [0, 1] if all values are in it, else `limits`.
        exact: Whether a file of more than 8 bits gives float32 even if `limits` are those of
            bytes, instead of uint8.

    Raises:
        UnreadableError: The file is damaged, too large, or of a type that archspec does not read.

    """
    if plain is not None:
        pixels = decode_plain(encoded, plain, shape, how)
        if pixels is not None:
            return _in_range(pixels.reshape(shape), BYTES, limits)
    with _as_unreadable():
        samples, values = _read(encoded, shape, how, plain)
    values = values.reshape(shape)
    if samples is OF_BYTES and limits == BYTES:
        return values
    if samples.white is not None:
        own: Range | None = Range(0.0, samples.white)
    elif limits is not None and unstated is None and values.min() >= 0 and values.max() <= 1:
        own = SHARES
    else:
        own = unstated or limits
    values = _in_range(values, own, limits)
    if limits == BYTES and not exact and values.dtype != np.uint8:
        values = np.clip(np.rint(values), 0, BYTES.white).astype(np.uint8)
    return values


def _in_range(values: NDArray[Any], own: Range | None, limits: Range | None) -> NDArray[Any]:
    """Return values of the range `own` on the scale of `limits`."""
    if own == limits:
        return values
    if own is None or limits is None:
        raise UnreadableError("it states which value is white, and the training images do not")
    scaled: NDArray[Any] = (values - np.float32(own.black)) * np.float32(limits.span / own.span)
    return scaled + np.float32(limits.black)


def _read(
    encoded: Encoded, shape: Shape, how: str, plain: tuple[int, int] | None
) -> tuple[SampleFormat, NDArray[Any]]:
    """Return the samples' type, and pixels fitted to `shape`: bytes, or float32 as in the file."""
    from PIL import UnidentifiedImageError  # noqa: PLC0415

    try:
        image = _open(encoded)
    except UnidentifiedImageError:
        samples, values = _unopened(encoded)
    else:
        with image:
            samples = _sample_format(image)
            if samples is OF_BYTES:
                return samples, _bytes_of(image, encoded, shape, how, plain)
            values = _values_of(image, encoded, samples)
    values = match_channels(values, shape.channels)
    return samples, _fitted_values(values, shape.spatial, how)


def inspect(content: bytes, encoded: Encoded, name: str = "") -> ImageInfo:
    """Return what an image file is, if its ends show no damage.

    It is decoded only where its ends do not show whether it is complete: damage in between is
    found when it is decoded for training.

    Args:
        content: The file, or its start and its end.
        encoded: The file's path, or its content.
        name: The file's name, which shows the type where the content does not.

    Raises:
        OtherTypeError: A picture of a type that archspec does not read.
        UnreadableError: The file is damaged, too large, or not a picture.

    """
    if not content:
        raise UnreadableError("empty")
    from PIL import UnidentifiedImageError  # noqa: PLC0415

    file_type = _readable(filetypes.file_type(name, content[: filetypes.HEAD_BYTES]))
    with _as_unreadable():
        try:
            image = _open(encoded)
        except UnidentifiedImageError:
            samples, values = _unopened(encoded)
            extent = values.shape[0], values.shape[1]
            extremes = _extremes(values, samples)
            return ImageInfo(file_type, None, extent, samples, extremes, has_more=False)
        with image:
            samples, extremes = _sample_format(image), None
            if samples is not OF_BYTES and (samples.white is None or isinstance(encoded, bytes)):
                extremes = _extremes(_values_of(image, encoded, samples), samples)
            # Cameras and editors leave things behind the end: only a decoder can tell.
            elif file_type not in _END or not content.endswith(_END[file_type]):
                image.load()
            if file_type is filetypes.PNG and isinstance(encoded, bytes):
                png.check_rows(encoded)
            width, height = image.size
            extent = (width, height) if _orientation(image) in _SIDEWAYS else (height, width)
            return ImageInfo(file_type, _plain(image), extent, samples, extremes, _has_more(image))


def _readable(file_type: FileType | None) -> FileType:
    """Return a type of file that is read; raise `UnreadableError` for others."""
    if file_type is None:
        raise UnreadableError(f"not a {filetypes.NAMES} image")
    if not file_type.is_read:
        raise OtherTypeError(file_type)
    return file_type


def _extremes(values: NDArray[np.float32], samples: SampleFormat) -> tuple[float, float] | None:
    return None if samples.white else (float(values.min()), float(values.max()))


@contextmanager
def _as_unreadable() -> Iterator[None]:
    """Raise `UnreadableError` for whatever a broken file leads to."""
    try:
        yield
    except UnreadableError:
        raise
    except Exception as error:  # noqa: BLE001  (Pillow lets through what a broken file leads to)
        raise UnreadableError(_reason(error)) from None


def _reason(error: Exception) -> str:
    from PIL import Image  # noqa: PLC0415

    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return f"more than {MOST_PIXELS:,} pixels"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"damaged ({error})" if str(error) else "damaged"


def _has_more(image: Image) -> bool:
    if image.format not in {"TIFF", "GIF", "WEBP", "PNG"}:
        return False
    try:
        image.seek(1)
    except Exception:  # noqa: BLE001  (EOFError, or what a damaged second page leads to)
        return False
    return True


def _plain(image: Image) -> tuple[int, int] | None:
    """Return the height and width of an upright JPEG, grey or RGB: all decoders read it alike."""
    if image.format != "JPEG" or image.mode not in {"L", "RGB"} or _orientation(image) != 1:
        return None
    return image.size[1], image.size[0]


def _open(encoded: Encoded) -> Image:
    """Return an image of which only the header has been read."""
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


def _sample_format(image: Image) -> SampleFormat:
    deep = DEEP_FORMATS.get(str(image.format))
    return deep.sample_format(image) if deep else OF_BYTES


def _bytes_of(
    image: Image, encoded: Encoded, shape: Shape, how: str, plain: tuple[int, int] | None
) -> NDArray[np.uint8]:
    """Return the pixels of a file of up to 8 bits a sample."""
    if plain is None and (stored := _plain(image)):
        pixels = decode_plain(encoded, stored, shape, how)
        if pixels is not None:
            return pixels
    if image.format == "PNG":  # its orientation may follow its pixels
        png.load(image, encoded)
    return np.asarray(_fitted(image, shape, how))


def _values_of(image: Image, encoded: Encoded, samples: SampleFormat) -> NDArray[np.float32]:
    """Return the upright values of a file of more than 8 bits, (height, width, 1 or 3)."""
    values = DEEP_FORMATS[str(image.format)].values(image, encoded, samples)
    values = on_paper(values, samples)
    # Pillow and OpenCV turn a TIFF themselves.
    return values if image.format == "TIFF" else upright(values, _orientation(image))


def _unopened(encoded: Encoded) -> tuple[SampleFormat, NDArray[np.float32]]:
    """Return the samples' type and the upright values of a TIFF that Pillow does not open."""
    content = content_of(encoded)
    file_type = _readable(filetypes.by_content(content[: filetypes.HEAD_BYTES]))
    if content.startswith(b"PF"):
        raise UnreadableError(
            "a PFM in colour, which archspec does not read; save it as a TIFF of floats"
        )
    if file_type is not filetypes.TIFF:
        raise UnreadableError(f"damaged, or not a {file_type.name} after all")
    tags = tiff.directory(content)
    _check_extent(tags[tiff.WIDTH], tags[tiff.HEIGHT])
    samples = tiff.format_of(tags)
    return samples, on_paper(tiff.values_by_tags(tags, content), samples)


def _fitted(image: Image, shape: Shape, how: str) -> Image:
    """Return an image of up to 8 bits a sample, fitted to `shape`."""
    from PIL import Image as Images  # noqa: PLC0415

    height, width, channels = shape
    mode = "RGB" if channels == 3 else "L"
    orientation = _orientation(image)
    target = (width, height) if orientation in _SIDEWAYS else (height, width)
    stored = (image.size[1], image.size[0])
    inner, _ = placement(stored, target, how)
    region = visible_region(stored, target, how)
    if image.format == "JPEG":
        scale = [new / (end - start) for new, (start, end) in zip(inner, region, strict=True)]
        wanted = [round(old * s * REDUCTION) for old, s in zip(stored, scale, strict=True)]
        image.draft(mode if image.mode != "CMYK" else None, (wanted[1], wanted[0]))
        region = visible_region((image.size[1], image.size[0]), target, how)
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
    if orientation == 1:
        return image
    return image.transpose(Images.Transpose(_TRANSPOSITIONS[orientation]))


def _fitted_values(
    values: NDArray[np.float32], extent: tuple[int, ...], how: str
) -> NDArray[np.float32]:
    """Return an upright array of floats, (height, width, channels), fitted to `extent`."""
    from PIL import Image as Images  # noqa: PLC0415

    inner, bars = placement(values.shape[:2], extent, how)
    (top, bottom), (left, right) = visible_region(values.shape[:2], extent, how)
    if values.shape[:2] != inner or how == "crop":
        channels = [
            Images.fromarray(np.ascontiguousarray(values[..., channel])).resize(
                (inner[1], inner[0]), Images.Resampling.BILINEAR, box=(left, top, right, bottom)
            )
            for channel in range(values.shape[-1])
        ]
        values = np.stack([np.asarray(channel) for channel in channels], axis=-1)
    return np.pad(values, (*bars, (0, 0))) if inner != extent else values


def _orientation(image: Image) -> int:
    """Return how the camera was held, as EXIF says: 1 is upright. Pillow turns a TIFF itself."""
    if "exif" not in image.info and "Raw profile type exif" not in image.info:
        return 1
    orientation = image.getexif().get(ORIENTATION, 1)
    return orientation if orientation in _TRANSPOSITIONS and image.format != "TIFF" else 1


def _in_mode(image: Image, mode: str) -> Image:
    """Return an image as RGB or grey, of 8 bits, on white."""
    from PIL import Image as Images  # noqa: PLC0415

    has_key = "transparency" in image.info
    if image.mode == mode and not has_key:
        return image
    if has_key or image.mode in {"LA", "PA", "RGBA", "La", "RGBa"}:
        image = image.convert("RGBA")
        paper = Images.new("RGBA", image.size, "white")
        image = Images.alpha_composite(paper, image).convert("RGB")
    elif image.mode not in {"1", "L", "RGB"}:
        image = image.convert("RGB")
    return image.convert(mode)
