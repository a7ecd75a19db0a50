"""TIFFs of more than 8 bits a sample that Pillow does not give in full: colour, alpha, float64 ...

Pillow reads the directory. Samples that are stored plainly or deflated are read here, whatever
their number, type and arrangement; where they are packed in another way, by OpenCV, which knows
grey, RGB and RGBA. (OpenCV 5.0 mixes up channels in planes, and makes 8 bits of grey with alpha.)
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping
from io import BytesIO
from itertools import product
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from archspec.data.jpeg import Encoded, UnreadableError, content_of, opencv
from archspec.data.placing import upright

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION = 256, 257, 258, 259, 262, 274
STRIPS, SAMPLES, ROWS, STRIP_BYTES, PLANAR, PREDICTOR = 273, 277, 278, 279, 284, 317
TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES, EXTRA, FORMAT = 322, 323, 324, 325, 338, 339
"""Tags of a TIFF's directory (TIFF 6.0, section 8 and supplements)."""

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, CMYK = 0, 1, 2, 5
UNSIGNED, SIGNED, FLOAT = 1, 2, 3
PLAIN, DEFLATED = (1,), (8, 32946)
TOGETHER, IN_PLANES = 1, 2
UNSPECIFIED, MULTIPLIED = 0, 1

MOST_BITS: Final = 64

MOST_SAMPLES: Final = 16
"""Of a pixel: others than the first few are left out."""


Tags: TypeAlias = Mapping[int, Any]


def directory(encoded: Encoded) -> Tags:
    """Return the tags of a TIFF's first page. Raises what Pillow does where it is none."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2  # noqa: PLC0415

    file = BytesIO(content_of(encoded))
    header = file.read(8)
    if header[2:3] == b"\x2b" or header[3:4] == b"\x2b":  # the larger kind
        header += file.read(8)
    tags = ImageFileDirectory_v2(header)
    file.seek(tags.next)
    tags.load(file)
    return tags


def first(tags: Tags, tag: int, default: int) -> int:
    """Return a tag's value, or the first of several."""
    value = tags.get(tag, default)
    return int(value[0] if isinstance(value, tuple) else value)


def white(tags: Tags) -> float | None:
    """Return the value of white, None where that is not stated: in floats and signed numbers.

    Raises `UnreadableError` for samples of a size that there is not.
    """
    if first(tags, FORMAT, UNSIGNED) in {SIGNED, FLOAT}:
        return None
    bits = first(tags, BITS, 1)
    if not 1 <= bits <= MOST_BITS:
        raise UnreadableError(f"damaged ({bits} bits a sample)")
    return float(2**bits - 1)


class _Tiling(NamedTuple):
    """How a page is cut into strips, or tiles, of so many rows and columns."""

    tall: int
    wide: int
    down: int
    across: int
    planes: int


def check(tags: Tags) -> None:
    """Raise `UnreadableError` where rows are missing, which Pillow leaves black."""
    grid = _grid(tags)
    there = len(tags.get(TILES if TILES in tags else STRIPS, ()))
    if there < grid.planes * grid.down * grid.across:
        raise UnreadableError("damaged (rows are missing)")


def _grid(tags: Tags) -> _Tiling:
    width, height = tags[WIDTH], tags[HEIGHT]
    tall = first(tags, TILE_HEIGHT, min(first(tags, ROWS, height), height))
    wide = first(tags, TILE_WIDTH, width)
    if min(tall, wide) < 1:
        raise UnreadableError("damaged (strips of no rows)")
    in_planes = first(tags, PLANAR, TOGETHER) == IN_PLANES
    planes = first(tags, SAMPLES, 1) if in_planes else 1
    return _Tiling(tall, wide, math.ceil(height / tall), math.ceil(width / wide), planes)


def values(tags: Tags, encoded: Encoded) -> NDArray[Any]:
    """Return a page's upright values, (height, width, channels): grey or RGB, perhaps with alpha.

    Alpha is 1 in the scale of white. Raises `UnreadableError`.
    """
    import numpy as np  # noqa: PLC0415

    if first(tags, COMPRESSION, 1) in PLAIN + DEFLATED and first(tags, PREDICTOR, 1) < 3:
        samples = upright(_stored(tags, content_of(encoded)), first(tags, ORIENTATION, 1))
    else:
        samples = _by_opencv(tags, encoded)
    colours = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, CMYK: 4}.get(
        first(tags, PHOTOMETRIC, BLACK_IS_ZERO)
    )
    if colours is None or samples.shape[-1] < colours:
        raise _unread(tags)
    return np.asarray(_meant(samples, colours, tags))


def _meant(samples: NDArray[Any], colours: int, tags: Tags) -> NDArray[Any]:
    """Grey or RGB, and what covers the paper if that is among the samples."""
    import numpy as np  # noqa: PLC0415

    top = white(tags) or 1.0
    picture = samples[..., :colours]
    if first(tags, PHOTOMETRIC, BLACK_IS_ZERO) == WHITE_IS_ZERO and white(tags):
        picture = np.float32(top) - picture
    elif colours == 4:
        ink = picture.astype(np.float32)
        picture = (top - ink[..., :3]) * (top - ink[..., 3:]) / np.float32(top)
    extra = first(tags, EXTRA, UNSPECIFIED)
    if samples.shape[-1] == colours or extra == UNSPECIFIED:
        return picture
    covers = samples[..., colours : colours + 1].astype(np.float32)
    if extra == MULTIPLIED:
        picture = np.minimum(picture / np.where(covers > 0, covers / np.float32(top), 1), top)
    return np.concatenate([picture, covers], axis=-1)


def _unread(tags: Tags) -> UnreadableError:
    bits, samples = first(tags, BITS, 1), first(tags, SAMPLES, 1)
    return UnreadableError(
        f"a TIFF of {samples} x {bits} bits a pixel, stored in a way that is not read "
        f"(compression {first(tags, COMPRESSION, 1)}, colours "
        f"{first(tags, PHOTOMETRIC, BLACK_IS_ZERO)}); save it as grey or RGB without compression"
    )


def _by_opencv(tags: Tags, encoded: Encoded) -> NDArray[Any]:
    import numpy as np  # noqa: PLC0415

    cv2, count = opencv(), first(tags, SAMPLES, 1)
    if count not in {1, 3, 4} or (first(tags, PLANAR, TOGETHER) == IN_PLANES and count > 1):
        raise _unread(tags)
    if cv2 is None:
        raise UnreadableError(
            "a compressed TIFF of more than 8 bits in colour needs OpenCV: "
            "pip install opencv-python-headless; or save it without compression"
        )
    try:
        pixels = cv2.imdecode(np.frombuffer(content_of(encoded), np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise _unread(tags)
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    if pixels.dtype == np.uint8 or pixels.shape[-1] != count:
        raise _unread(tags)
    array: NDArray[Any] = pixels[..., [2, 1, 0, 3][:count]] if count > 1 else pixels
    return array


class _Strip(NamedTuple):
    """A strip or a tile: where it stands in the image, and its samples in the file."""

    top: int
    left: int
    plane: int
    data: bytes


def _stored(tags: Tags, content: bytes) -> NDArray[Any]:
    """All samples, (height, width, samples), as they are stored."""
    import numpy as np  # noqa: PLC0415

    width, height, count = tags[WIDTH], tags[HEIGHT], first(tags, SAMPLES, 1)
    bits, form = first(tags, BITS, 1), first(tags, FORMAT, UNSIGNED)
    if bits not in {8, 16, 32, 64} or not UNSIGNED <= form <= FLOAT or count > MOST_SAMPLES:
        raise _unread(tags)
    order = "<" if content[:2] == b"II" else ">"
    dtype = np.dtype(f"{order}{'uif'[form - 1]}{bits // 8}")
    grid = _grid(tags)
    together = count // grid.planes
    is_deflated = first(tags, COMPRESSION, 1) in DEFLATED
    result = np.empty((height, width, count), dtype.newbyteorder("="))
    for block in _blocks(tags, content, grid):
        rows = grid.tall if TILES in tags else min(grid.tall, height - block.top)
        size = rows * grid.wide * together * dtype.itemsize
        data = _inflated(block.data, size) if is_deflated else block.data
        if len(data) < size:
            raise UnreadableError("damaged (rows are missing)")
        samples = np.frombuffer(data[:size], dtype).reshape(rows, grid.wide, together)
        if first(tags, PREDICTOR, 1) == 2:  # each is the difference from the one to its left
            samples = np.cumsum(samples, axis=1, dtype=result.dtype)
        place = result[block.top : block.top + rows, block.left : block.left + grid.wide]
        place = place[..., block.plane : block.plane + together]
        place[:] = samples[: place.shape[0], : place.shape[1]]
    return result


def _blocks(tags: Tags, content: bytes, grid: _Tiling) -> Iterator[_Strip]:
    check(tags)
    offsets = tags[TILES if TILES in tags else STRIPS]
    lengths = tags[TILE_BYTES if TILES in tags else STRIP_BYTES]
    places = product(range(grid.planes), range(grid.down), range(grid.across))
    for (plane, row, column), start, length in zip(places, offsets, lengths, strict=False):
        data = content[start : start + length]
        yield _Strip(row * grid.tall, column * grid.wide, plane, data)


def _inflated(data: bytes, size: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, size)
    except zlib.error:
        raise UnreadableError("damaged (its rows cannot be inflated)") from None
