"""TIFFs of more than 8 bits a sample that Pillow does not give in full: colour, alpha, float64 ...

Pillow reads the directory. Samples that are stored plainly or deflated are read here, whatever
their number, type and arrangement; those compressed in another way are read by OpenCV, which knows
grey, RGB and RGBA. (OpenCV 5.0 mixes up channels in planes, and makes 8 bits of grey with alpha.)
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from io import BytesIO
from itertools import product
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from archspec.data.depth import SampleFormat, unsigned
from archspec.data.imagefile import Encoded, UnreadableError, content_of, samples_by_opencv
from archspec.data.resizing import upright
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION = 256, 257, 258, 259, 262, 274
STRIPS, SAMPLES, ROWS, STRIP_BYTES, PLANAR, PREDICTOR = 273, 277, 278, 279, 284, 317
TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES, EXTRA, FORMAT = 322, 323, 324, 325, 338, 339
"""Tags of a TIFF's directory (TIFF 6.0, section 8 and supplements)."""

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, CMYK = 0, 1, 2, 5
UNSIGNED, SIGNED, FLOAT = 1, 2, 3
PLAIN, DEFLATED = (1,), (8, 32946)
IN_PIXELS, IN_PLANES = 1, 2
UNSPECIFIED, MULTIPLIED = 0, 1

MOST_BITS: Final = 64

MOST_SAMPLES: Final = 16
"""Largest number of samples of a pixel."""

Tags: TypeAlias = Mapping[int, Any]


def sample_format(image: Image) -> SampleFormat:
    """Return the type of the samples. Raises `UnreadableError` where rows are missing."""
    tags: Tags = image.tag_v2  # type: ignore[attr-defined]
    check_rows(tags)
    return format_of(tags)


def values(image: Image, encoded: Encoded, samples: SampleFormat) -> NDArray[Any]:
    """Return the upright values of an image that Pillow has opened: (height, width, channels).

    Raises `UnreadableError`.
    """
    tags: Tags = image.tag_v2  # type: ignore[attr-defined]
    if _first(tags, SAMPLES, 1) > 1:
        return values_by_tags(tags, encoded)
    grey = np.asarray(image)
    if samples.kind == "signed" and grey.dtype == np.uint8:
        grey = grey.view(np.int8)
    elif samples.kind == "unsigned" and grey.dtype == np.int32:
        grey = grey.view(np.uint32)
    if samples.white is not None and _first(tags, PHOTOMETRIC, 1) == WHITE_IS_ZERO:
        return np.float32(samples.white) - grey
    return grey


def directory(encoded: Encoded) -> Tags:
    """Return the tags of a TIFF's first page. Raises what Pillow raises where there is none."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2  # noqa: PLC0415

    file = BytesIO(content_of(encoded))
    header = file.read(8)
    if header[2:3] == b"\x2b" or header[3:4] == b"\x2b":  # BigTIFF
        header += file.read(8)
    tags = ImageFileDirectory_v2(header)
    file.seek(tags.next)
    tags.load(file)
    return tags


def _first(tags: Tags, tag: int, default: int) -> int:
    """Return a tag's value, or the first of several."""
    value = tags.get(tag, default)
    return int(value[0] if isinstance(value, tuple) else value)


def format_of(tags: Tags) -> SampleFormat:
    """Return the type of a page's samples.

    Raises `UnreadableError` for samples of an impossible size.
    """
    kind = _first(tags, FORMAT, UNSIGNED)
    if kind in {SIGNED, FLOAT}:
        return SampleFormat("float" if kind == FLOAT else "signed", None)
    bits = _first(tags, BITS, 1)
    if not 1 <= bits <= MOST_BITS:
        raise UnreadableError(f"damaged ({bits} bits a sample)")
    return unsigned(float(2**bits - 1))


class _Tiling(NamedTuple):
    """The grid of strips, or tiles, that a page is cut into."""

    tall: int
    wide: int
    down: int
    across: int
    planes: int


def check_rows(tags: Tags) -> None:
    """Raise `UnreadableError` where rows are missing, which Pillow leaves black."""
    tiling = _tiling(tags)
    count = len(tags.get(TILES if TILES in tags else STRIPS, ()))
    if count < tiling.planes * tiling.down * tiling.across:
        raise UnreadableError("damaged (rows are missing)")


def _tiling(tags: Tags) -> _Tiling:
    width, height = tags[WIDTH], tags[HEIGHT]
    tall = _first(tags, TILE_HEIGHT, min(_first(tags, ROWS, height), height))
    wide = _first(tags, TILE_WIDTH, width)
    if min(tall, wide) < 1:
        raise UnreadableError("damaged (strips without rows)")
    in_planes = _first(tags, PLANAR, IN_PIXELS) == IN_PLANES
    planes = _first(tags, SAMPLES, 1) if in_planes else 1
    return _Tiling(tall, wide, math.ceil(height / tall), math.ceil(width / wide), planes)


def values_by_tags(tags: Tags, encoded: Encoded) -> NDArray[Any]:
    """Return a page's upright values, (height, width, channels): grey or RGB, perhaps with alpha.

    Alpha is on the scale of white. Raises `UnreadableError`.
    """
    if _first(tags, COMPRESSION, 1) in PLAIN + DEFLATED and _first(tags, PREDICTOR, 1) < 3:
        samples = upright(_stored(tags, content_of(encoded)), _first(tags, ORIENTATION, 1))
    else:
        samples = _by_opencv(tags, encoded)
    colours = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, CMYK: 4}.get(
        _first(tags, PHOTOMETRIC, BLACK_IS_ZERO)
    )
    if colours is None or samples.shape[-1] < colours:
        raise _unread(tags)
    return np.asarray(_interpreted(samples, colours, tags))


def _interpreted(samples: NDArray[Any], colours: int, tags: Tags) -> NDArray[Any]:
    """Return grey or RGB, with alpha where that is among the samples."""
    white = format_of(tags).white
    top = white or 1.0
    picture = samples[..., :colours]
    if _first(tags, PHOTOMETRIC, BLACK_IS_ZERO) == WHITE_IS_ZERO and white:
        picture = np.float32(top) - picture
    elif colours == 4:
        ink = picture.astype(np.float32)
        picture = (top - ink[..., :3]) * (top - ink[..., 3:]) / np.float32(top)
    extra = _first(tags, EXTRA, UNSPECIFIED)
    if samples.shape[-1] == colours or extra == UNSPECIFIED:
        return picture
    alpha = samples[..., colours : colours + 1].astype(np.float32)
    if extra == MULTIPLIED:
        picture = np.minimum(picture / np.where(alpha > 0, alpha / np.float32(top), 1), top)
    return np.concatenate([picture, alpha], axis=-1)


def _unread(tags: Tags) -> UnreadableError:
    bits, samples = _first(tags, BITS, 1), _first(tags, SAMPLES, 1)
    return UnreadableError(
        f"a TIFF of {samples} x {bits} bits a pixel, stored in a way that archspec cannot read "
        f"(compression {_first(tags, COMPRESSION, 1)}, colours "
        f"{_first(tags, PHOTOMETRIC, BLACK_IS_ZERO)}); save it as grey or RGB without compression"
    )


def _by_opencv(tags: Tags, encoded: Encoded) -> NDArray[Any]:
    count = _first(tags, SAMPLES, 1)
    if count not in {1, 3, 4} or (_first(tags, PLANAR, IN_PIXELS) == IN_PLANES and count > 1):
        raise _unread(tags)
    needed_for = "a compressed TIFF of more than 8 bits in colour"
    samples = samples_by_opencv(encoded, needed_for)
    if samples is None or samples.dtype.name == "uint8" or samples.shape[-1] != count:
        raise _unread(tags)
    return samples


def _stored(tags: Tags, content: bytes) -> NDArray[Any]:
    """Return all samples, (height, width, samples), as they are stored."""
    width, height, count = tags[WIDTH], tags[HEIGHT], _first(tags, SAMPLES, 1)
    bits, kind = _first(tags, BITS, 1), _first(tags, FORMAT, UNSIGNED)
    if bits not in {8, 16, 32, 64} or not UNSIGNED <= kind <= FLOAT or count > MOST_SAMPLES:
        raise _unread(tags)
    order = "<" if content[:2] == b"II" else ">"
    dtype = np.dtype(f"{order}{'uif'[kind - 1]}{bits // 8}")
    tiling = _tiling(tags)
    in_pixel = count // tiling.planes
    is_deflated = _first(tags, COMPRESSION, 1) in DEFLATED
    result = np.empty((height, width, count), dtype.newbyteorder("="))
    check_rows(tags)
    offsets = tags[TILES if TILES in tags else STRIPS]
    lengths = tags[TILE_BYTES if TILES in tags else STRIP_BYTES]
    places = product(range(tiling.planes), range(tiling.down), range(tiling.across))
    for (plane, row, column), start, length in zip(places, offsets, lengths, strict=False):
        top, left = row * tiling.tall, column * tiling.wide
        rows = tiling.tall if TILES in tags else min(tiling.tall, height - top)
        size = rows * tiling.wide * in_pixel * dtype.itemsize
        data = content[start : start + length]
        if is_deflated:
            data = _inflated(data, size)
        if len(data) < size:
            raise UnreadableError("damaged (rows are missing)")
        samples = np.frombuffer(data[:size], dtype).reshape(rows, tiling.wide, in_pixel)
        if _first(tags, PREDICTOR, 1) == 2:  # each is the difference from the one to its left
            samples = np.cumsum(samples, axis=1, dtype=result.dtype)
        place = result[top : top + rows, left : left + tiling.wide, plane : plane + in_pixel]
        place[:] = samples[: place.shape[0], : place.shape[1]]
    return result


def _inflated(data: bytes, size: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, size)
    except zlib.error:
        raise UnreadableError("damaged (its rows cannot be inflated)") from None
