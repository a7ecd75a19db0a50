"""Image files and arrays become pixels of the network's extents, by one definition."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from support.image_files import chunk, exif, png, tiff, transparent

from archspec.data import imagefile
from archspec.data.imagefile import UnreadableError
from archspec.data.images import MOST_PIXELS, decode, inspect
from archspec.data.resizing import match_channels, resize
from archspec.data.values import BYTES, SHARES, SIGNED, Range
from archspec.ops.shape import Shape

needs_opencv = pytest.mark.skipif(imagefile.opencv() is None, reason="16 bits in colour: OpenCV's")

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def encoded(image: Image.Image | np.ndarray, kind: str = "PNG", **options) -> bytes:
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def a_photo(height: int, width: int) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.integers(0, 256, (height, width, 3), np.uint8)


# Resizing


@pytest.mark.parametrize(
    ("row", "width", "resized"),
    [
        ([0, 4], 2, [0, 4]),
        ([0, 4], 4, [0, 1, 3, 4]),
        ([0, 4], 1, [2]),
        ([1, 1, 1], 7, [1] * 7),
        # Where two pixels become one, it is a mean over both and a little of their neighbours.
        ([0, 0, 8, 8], 2, [1 / 7 * 8, 6 / 7 * 8]),
    ],
)
def test_resizing_is_bilinear_with_pixel_centres_aligned(row, width, resized):
    image = np.array(row, np.float32).reshape(1, 1, -1, 1)
    assert resize(image, (1, width))[0, 0, :, 0] == pytest.approx(resized)


def test_shrinking_loses_no_pixel():
    stripes = np.tile(np.array([0, 255], np.uint8), 64)[np.newaxis, np.newaxis, :, np.newaxis]
    small = resize(stripes, (1, 16))
    assert np.abs(small.astype(int) - 128).max() <= 20  # and not 0 or 255


@pytest.mark.parametrize("how", ["stretch", "pad", "crop"])
@pytest.mark.parametrize(
    ("old", "new"),
    [((24, 32), (22, 22)), ((24, 32), (3, 5)), ((7, 7), (16, 16)), ((17, 5), (3, 20))],
)
def test_files_and_arrays_are_resized_alike(how, old, new):
    photo = a_photo(*old)
    file = decode(encoded(photo), Shape((*new, 3)), how)
    array = resize(photo[np.newaxis], new, how)[0]
    assert file.dtype == array.dtype == np.uint8
    assert np.abs(file.astype(int) - array).max() <= 1  # Pillow rounds twice


def test_padding_keeps_proportions_between_black_bars():
    white = np.full((10, 20, 3), 255, np.uint8)
    padded = decode(encoded(white), Shape((8, 8, 3)), "pad")
    assert padded[..., 0].tolist() == [[0] * 8] * 2 + [[255] * 8] * 4 + [[0] * 8] * 2


def test_cropping_keeps_proportions_and_shows_the_middle():
    image = np.zeros((2, 6, 1), np.uint8)
    image[:, 2:4] = 100
    assert resize(image[np.newaxis], (2, 2), "crop").ravel().tolist() == [100] * 4


def test_no_images_are_resized_to_none():
    assert resize(np.empty((0, 4, 4, 3), np.uint8), (2, 2)).shape == (0, 2, 2, 3)


def test_whole_numbers_stay_whole_and_are_rounded():
    image = np.array([0, 1], np.uint8).reshape(1, 1, 2, 1)
    assert resize(image, (1, 5))[0, 0, :, 0].tolist() == [0, 0, 0, 1, 1]


# Channels


def test_grey_is_repeated_and_colour_becomes_its_luminance():
    grey = np.array([[[[7]]]], np.uint8)
    assert match_channels(grey, 3).tolist() == [[[[7, 7, 7]]]]
    colours = np.array([[[RED, GREEN, BLUE]]], np.uint8)
    assert match_channels(colours, 1).ravel().tolist() == [76, 150, 29]
    assert decode(encoded(colours[0]), Shape((1, 3, 1)), "stretch").ravel().tolist() == [
        76,
        150,
        29,
    ]


# Kinds of files


def grey16() -> bytes:
    return encoded(Image.fromarray(np.array([[0, 257 * 128, 65535]], np.uint16)))


def palette() -> bytes:
    return encoded(Image.fromarray(np.array([[RED, GREEN, BLUE]], np.uint8)).quantize(3))


def clear() -> bytes:
    """Red, half transparent red, and fully transparent black."""
    return encoded(np.array([[(*RED, 255), (*RED, 128), (0, 0, 0, 0)]], np.uint8))


def clear_palette() -> bytes:
    image = Image.new("P", (1, 1))
    image.putpalette([0, 0, 0])
    return encoded(image, "GIF", transparency=0)


def cmyk() -> bytes:
    return encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100)


@pytest.mark.parametrize(
    ("content", "width", "pixels"),
    [
        (grey16, 3, [(0,) * 3, (128,) * 3, (255,) * 3]),
        (palette, 3, [RED, GREEN, BLUE]),
        (clear, 3, [RED, (255, 127, 127), (255,) * 3]),
        (clear_palette, 1, [(255,) * 3]),
        (lambda: encoded(Image.new("1", (1, 1), 1)), 1, [(255,) * 3]),
        (lambda: encoded(np.array([[RED]], np.uint8), "BMP"), 1, [RED]),
    ],
    ids=["16 bits", "palette", "alpha", "transparent colour", "1 bit", "bmp"],
)
def test_every_kind_of_pixel_becomes_rgb(content, width, pixels):
    found = decode(content(), Shape((1, width, 3)), "stretch")
    assert [tuple(pixel) for pixel in found[0].tolist()] == pixels


# Depth

DEEP_RANGE = Range(0, 65535)
GREYS = np.array([[[0], [1040], [1130], [65535]]], np.uint16)
COLOURS = np.concatenate([GREYS, GREYS // 3, GREYS // 2], axis=-1)
FRACTIONS = (GREYS / 65535).astype(np.float32)

DEEP = {
    "png": (png(GREYS, 16), GREYS),
    "png in colour": (png(COLOURS, 16), COLOURS),
    "tiff": (tiff(GREYS), GREYS),
    "tiff, other byte order": (tiff(GREYS, order=">"), GREYS),
    "tiff in colour": (tiff(COLOURS), COLOURS),
    "tiff in colour, other byte order": (tiff(COLOURS, order=">"), COLOURS),
    "tiff in colour, deflated": (tiff(COLOURS, deflated=True), COLOURS),
    "tiff in planes": (tiff(COLOURS, in_planes=True), COLOURS),
    "tiff whose white is 0": (tiff(65535 - GREYS, colours=0), GREYS),
    "tiff of inks": (
        tiff(np.concatenate([65535 - COLOURS, GREYS * 0], axis=-1), colours=5),
        COLOURS,
    ),
    "tiff with a spare channel": (tiff(np.dstack([COLOURS, GREYS]), extra=0), COLOURS),
    "pgm": (b"P5 4 1 65535\n" + GREYS.astype(">u2").tobytes(), GREYS),
    "ppm": (b"P6\n# a comment\n4 1\n65535\n" + COLOURS.astype(">u2").tobytes(), COLOURS),
    "ppm in digits": (b"P3 4 1 65535\n" + b" ".join(b"%d" % v for v in COLOURS.flat), COLOURS),
}
FLOATS = {
    "float32": (tiff(FRACTIONS), FRACTIONS),
    "float32, other byte order": (tiff(FRACTIONS, order=">"), FRACTIONS),
    "float64": (tiff(FRACTIONS.astype(np.float64)), FRACTIONS),
    "float16": (tiff(np.float16([[[0], [0.5], [1], [0.25]]])), [[[0], [0.5], [1], [0.25]]]),
    "colours": (tiff((COLOURS / 65535).astype(np.float32)), COLOURS / 65535),
    "int16": (tiff(GREYS.astype(np.int16) - 1100), GREYS.astype(np.int16) - 1100),
    "int8": (tiff(np.int8([[[-5], [0], [5], [127]]])), [[[-5], [0], [5], [127]]]),
    "pfm": (b"Pf\n4 1\n-1.0\n" + FRACTIONS.astype("<f4").tobytes(), FRACTIONS),
}


@needs_opencv
@pytest.mark.parametrize(("content", "values"), DEEP.values(), ids=DEEP)
def test_16_bits_reach_the_network(content, values):
    assert inspect(content, content).samples.white == 65535
    found = decode(content, Shape((1, 4, values.shape[-1])), "stretch", limits=DEEP_RANGE)
    assert found.dtype == np.float32
    assert found.tolist() == values.tolist()


@pytest.mark.parametrize(("content", "values"), FLOATS.values(), ids=FLOATS)
def test_values_that_state_no_white_stay_as_they_are(content, values):
    seen = inspect(content, content)
    assert seen.samples.white is None
    assert seen.extremes == pytest.approx((np.min(values), np.max(values)))
    shape = Shape((1, 4, np.shape(values)[-1]))
    found = decode(content, shape, "stretch", limits=None)
    assert found == pytest.approx(np.array(values), abs=1e-3)


@pytest.mark.parametrize(
    ("content", "white"),
    [
        (png(np.array([[[0], [255]]])), 255),
        (png(np.array([[[0], [15]]]), 4), 15),
        (png(np.array([[[0], [65535]]]), 16), 65535),
        (b"P5 2 1 4095\n\0\0\x0f\xff", 4095),
        (tiff(np.array([[[0], [65535]]], np.uint16)), 65535),
        (tiff(np.array([[[0], [2**32 - 1]]], np.uint32)), 2**32 - 1),
        (tiff(np.array([[[0], [1]]], np.float32)), 1),
        (encoded(np.array([[0, 255]], np.uint8), "WEBP", lossless=True), 255),
    ],
)
def test_white_is_white_at_every_depth(content, white):
    del white  # says what stands in the file
    for scale in (255, 4095, 65535, 1):
        found = decode(content, Shape((1, 2, 1)), "stretch", limits=Range(0, scale))
        assert found.ravel() == pytest.approx([0, scale])


@pytest.mark.parametrize(
    ("values", "limits", "expected"),
    [
        ([0, 0.5, 1], DEEP_RANGE, [0, 32767.5, 65535]),  # no other white is likely
        ([0, 0.5, 30], DEEP_RANGE, [0, 0.5, 30]),
        ([-1, 0.5, 1], SIGNED, [-1, 0.5, 1]),
        ([0, 0.5, 1], SIGNED, [-1, 0, 1]),
        ([-1000, 0, 3000], None, [-1000, 0, 3000]),
    ],
)
def test_new_floats_are_on_the_scale_of_training_or_shares(values, limits, expected):
    content = tiff(np.array(values, np.float32).reshape(1, 3, 1))
    found = decode(content, Shape((1, 3, 1)), "stretch", limits=limits)
    assert found.ravel() == pytest.approx(expected)


def test_a_file_that_says_its_white_cannot_be_put_on_an_unknown_scale():
    with pytest.raises(UnreadableError, match="which value is white"):
        decode(png(GREYS, 16), Shape((1, 4, 1)), "stretch", limits=None)
    found = decode(png(GREYS >> 8), Shape((1, 4, 1)), "stretch", limits=SHARES)
    assert found.ravel() == pytest.approx([0, 4 / 255, 4 / 255, 1])


def test_exact_pixels_are_not_rounded_to_bytes():
    found = decode(png(GREYS, 16), Shape((1, 4, 1)), "stretch", limits=BYTES, exact=True)
    assert found.ravel() == pytest.approx(GREYS.ravel() / 257)


def test_at_8_bits_pixels_are_bytes_whatever_the_file_holds():
    found = decode(png(GREYS, 16), Shape((1, 4, 1)), "stretch")
    assert found.dtype == np.uint8
    assert found.ravel().tolist() == [0, 4, 4, 255]


@needs_opencv
@pytest.mark.parametrize("how", ["stretch", "pad", "crop"])
def test_deep_files_are_resized_as_arrays_are(how):
    values = NOISE[:12]
    found = decode(png(values, 16), Shape((5, 7, 3)), how, limits=DEEP_RANGE)
    array = resize(values[np.newaxis].astype(np.float32), (5, 7), how)[0]
    assert found == pytest.approx(array)


@pytest.mark.parametrize("content", [png(COLOURS, 16), png(np.dstack([GREYS, GREYS]), 16)])
def test_without_opencv_deep_colour_is_refused_and_grey_is_read(monkeypatch, content):
    monkeypatch.setattr(imagefile, "opencv", lambda: None)
    with pytest.raises(UnreadableError, match="pip install opencv-python-headless"):
        inspect(content, content)
    found = decode(png(GREYS, 16), Shape((1, 4, 1)), "stretch", limits=DEEP_RANGE)
    assert found.ravel().tolist() == GREYS.ravel().tolist()


# Transparency


def grey_key(bits: int) -> tuple[bytes, bytes]:
    """A picture of 4 greys, the third of them transparent, with a key and with alpha."""
    top = 2**bits - 1
    greys = np.array([[[0], [top // 4], [top // 2], [top]]])
    alpha = np.where(greys == top // 2, 0, 1)
    deep = 16 if bits == 16 else 8
    scaled = greys * ((2**deep - 1) // top)
    return (
        png(greys, bits, before=transparent(top // 2)),
        png(np.dstack([scaled] * 3 + [alpha * (2**deep - 1)]), deep),
    )


def colour_key(bits: int) -> tuple[bytes, bytes]:
    colours = COLOURS.astype(int) >> (16 - bits)
    alpha = np.array([[[1], [0], [1], [1]]]) * (2**bits - 1)
    key = transparent(*map(int, colours[0, 1]))
    if bits == 8:  # where 1040 and 1130 are the same
        colours[0, 2] = 9
    return png(colours, bits, before=key), png(np.dstack([colours, alpha]), bits)


def palette_key() -> tuple[bytes, bytes]:
    colours = np.array([RED, GREEN, BLUE, (9, 9, 9)])
    alpha = np.array([255, 0, 128, 255])
    palette = bytes(colours.astype(np.uint8))
    clear = chunk(b"tRNS", bytes(alpha.astype(np.uint8)))
    numbers = np.arange(4).reshape(1, 4, 1)
    return (
        png(numbers, palette=palette, before=clear),
        png(np.dstack([colours[np.newaxis], alpha.reshape(1, 4, 1)])),
    )


def tiff_alpha() -> tuple[bytes, bytes]:
    alpha = np.array([[[65535], [0], [30000], [65535]]], np.uint16)
    return tiff(np.dstack([GREYS, alpha]), extra=2), png(np.dstack([GREYS] * 3 + [alpha]), 16)


def png_alpha() -> tuple[bytes, bytes]:
    alpha = np.array([[[65535], [0], [30000], [65535]]], np.uint16)
    return png(np.dstack([GREYS, alpha]), 16), png(np.dstack([GREYS] * 3 + [alpha]), 16)


PAIRS = {
    **{f"grey of {bits}": grey_key(bits) for bits in (1, 2, 4, 8, 16)},
    **{f"colour of {bits}": colour_key(bits) for bits in (8, 16)},
    "palette": palette_key(),
    "tiff": tiff_alpha(),
    "grey with alpha": png_alpha(),
}


@needs_opencv
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("content", "rgba"), PAIRS.values(), ids=PAIRS)
def test_what_is_transparent_shows_white_paper(content, rgba, channels):
    shape, white = Shape((1, 4, channels)), inspect(content, content).samples.white
    found = decode(content, shape, "stretch", limits=Range(0, white))
    assert found == pytest.approx(decode(rgba, shape, "stretch", limits=Range(0, white)), abs=0.01)
    assert (found == white).all(axis=-1).any()


def test_colours_that_are_multiplied_by_their_alpha_are_divided_by_it():
    stored = np.array([[[100, 0, 0, 20_000], [0, 0, 0, 0]]], np.uint16)
    found = decode(tiff(stored, extra=1), Shape((1, 2, 3)), "stretch", limits=DEEP_RANGE)
    paper = 65535 - 20_000  # shines through
    expected = [[paper + 100, paper, paper], [65535] * 3]
    assert found[0] == pytest.approx(np.array(expected), abs=0.1)


def test_cmyk_becomes_rgb():
    pixel = decode(cmyk(), Shape((8, 8, 3)), "stretch")[4, 4]
    assert pixel[0] > 240
    assert pixel[1:].max() < 15


@needs_opencv
@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize(
    "stored",
    [
        lambda values, turned: png(values, 16, after=chunk(b"eXIf", exif(turned))),
        lambda values, turned: png(values >> 8, after=chunk(b"eXIf", exif(turned))),
        lambda values, turned: png(values[..., :1] >> 8, before=chunk(b"eXIf", exif(turned))),
        lambda values, turned: tiff(values, orientation=turned),
        lambda values, turned: tiff(values[..., :1], orientation=turned),
        lambda values, turned: tiff((values >> 8).astype(np.uint8), orientation=turned),
        lambda values, turned: tiff(values / 65535, orientation=turned),
        lambda values, turned: encoded(
            (values >> 8).astype(np.uint8), "WEBP", lossless=True, exif=b"Exif\0\0" + exif(turned)
        ),
        lambda values, turned: encoded(
            (values >> 8).astype(np.uint8), "JPEG", quality=100, exif=b"Exif\0\0" + exif(turned)
        ),
    ],
    ids=["late", "late, 8 bits", "early", "tiff", "grey", "bytes", "floats", "webp", "jpeg"],
)
def test_every_type_is_held_upright(stored, turned):
    upright = np.zeros((16, 32, 3), np.uint16)
    upright[:8, :16] = 65535  # the top left
    image = Image.fromarray((upright >> 8).astype(np.uint8))
    if turned > 1:  # what undoes it: 6 and 8 are each other's
        image = image.transpose(Image.Transpose((0, 3, 1, 5, 2, 6, 4)[turned - 2]))
    values = np.asarray(image).astype(np.uint16) * 257
    file = stored(values, turned)
    found = decode(file, Shape((16, 32, 3)), "stretch")
    lost = 30 if file.startswith(b"\xff\xd8") else 0  # by JPEG
    assert np.abs(found.astype(int) - (upright >> 8)).max() <= lost


def test_an_animation_is_its_first_frame():
    frames = [Image.new("RGB", (2, 2), colour) for colour in (RED, BLUE)]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(content, Shape((2, 2, 3)), "stretch")[0, 0].tolist() == list(RED)


def test_a_large_jpeg_is_decoded_smaller_to_much_the_same_pixels():
    coarse = Image.fromarray(a_photo(4, 6)).resize((600, 400), Image.Resampling.BICUBIC)
    shape = Shape((32, 32, 3))
    fast = decode(encoded(coarse, "JPEG", quality=95), shape, "stretch")
    slow = decode(encoded(coarse), shape, "stretch")
    assert np.abs(fast.astype(int) - slow).mean() < 1


# What is no image


def bomb() -> bytes:
    """A PNG of a few bytes that claims more pixels than fit into memory."""
    side = int(MOST_PIXELS**0.5) + 1
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def claiming(content: bytes, number: int, *tags: int) -> bytes:
    """A TIFF of which some tags say another number."""
    for tag in tags:
        place = content.index(struct.pack("<HHI", tag, 4, 1)) + 8
        content = content[:place] + struct.pack("<I", number) + content[place + 4 :]
    return content


def large_tiff(values: np.ndarray) -> bytes:
    """A TIFF that claims to be 40,000 pixels high and wide."""
    return claiming(tiff(values), 40_000, 256, 257)


def short_tiff(values: np.ndarray, **options) -> bytes:
    """A TIFF whose strips hold half of the rows that it announces."""
    return claiming(tiff(values, **options), 2 * len(values), 257, 278)


NOISE = np.random.default_rng(0).integers(0, 65536, (16, 16, 3), np.uint16)

BROKEN = {
    "empty": (b"", "empty"),
    "text": (b"this is no image", "not a JPEG, PNG, BMP, GIF, TIFF, WebP or PNM image"),
    "another kind": (
        encoded(a_photo(16, 16), "ICO"),
        "ICO, which archspec does not read",
    ),
    "too large": (bomb(), "pixels, more than 67,108,864"),
    "truncated jpeg": (encoded(a_photo(64, 64), "JPEG")[:-1000], "damaged"),
    "truncated png": (encoded(a_photo(64, 64))[:-1000], "damaged"),
    "truncated gif": (encoded(a_photo(64, 64), "GIF")[:-1000], "damaged"),
    "truncated bmp": (encoded(a_photo(64, 64), "BMP")[:-1000], "damaged"),
    "png without its last rows": (png(NOISE % 256, rows=9), "rows are missing"),
    "16-bit png without its last rows": (png(NOISE, 16, rows=9), "rows are missing"),
    "16-bit grey png without rows": (png(NOISE[..., :1], 16, rows=1), "rows are missing"),
    "truncated tiff": (tiff(NOISE[..., :1])[:200], "damaged"),
    "tiff without its last strips": (short_tiff(NOISE), "rows are missing"),
    "tiff of too few strips": (
        tiff(NOISE[..., :1]).replace(
            struct.pack("<HHII", 278, 4, 1, 16), struct.pack("<HHII", 278, 4, 1, 8)
        ),
        "rows are missing",
    ),
    "deflated tiff of too few rows": (short_tiff(NOISE, deflated=True), "damaged"),
    "too large a tiff": (large_tiff(NOISE[..., :1]), "more than 67,108,864 pixels"),
    "too large a tiff of floats": (large_tiff(NOISE / 2), "40000x40000 pixels, more than"),
    "truncated webp": (encoded(a_photo(64, 64), "WEBP")[:-1000], "damaged|not a JPEG"),
    "truncated ppm": (b"P6 4 4 65535\n" + bytes(50), "pixels are missing"),
    "truncated pgm": (b"P5 4 4 255\n" + bytes(5), "damaged"),
    "no numbers in a tiff": (tiff(np.full((2, 2, 1), np.nan, np.float32)), "infinite or NaN"),
    "only a header": (encoded(a_photo(64, 64), "JPEG")[:20], "not a JPEG"),
}


@pytest.mark.parametrize(("content", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_found_before_it_is_needed(content, reason):
    with pytest.raises(UnreadableError, match=reason):
        inspect(content, content)


@pytest.mark.parametrize("name", [name for name in BROKEN if name != "empty"])
def test_a_broken_file_is_never_pixels(name):
    with pytest.raises(UnreadableError):
        decode(BROKEN[name][0], Shape((8, 8, 3)), "stretch")


def test_an_interlaced_png_is_whole_with_its_last_pass_only():
    values = NOISE[..., :1] % 256
    passes = [
        values[top::down, left::across]
        for left, top, across, down in (
            (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
            (0, 1, 1, 2),
        )
    ]  # fmt: skip
    lines = [b"\0" + row.astype(np.uint8).tobytes() for each in passes for row in each]
    whole, short = (interlaced(16, lines[:count]) for count in (len(lines), -1))
    inspect(whole, whole)
    assert decode(whole, Shape((16, 16, 1)), "stretch").tolist() == values.tolist()
    with pytest.raises(UnreadableError, match="rows are missing"):
        inspect(short, short)


def interlaced(side: int, lines: list[bytes]) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 1))
    data = chunk(b"IDAT", zlib.compress(b"".join(lines)))
    return b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b"")


def test_an_image_with_something_behind_its_end_is_one():
    content = encoded(a_photo(6, 4), "JPEG") + b"left by an editor"
    assert inspect(content, content).plain == (6, 4)


@pytest.mark.parametrize(
    ("content", "plain"),
    [
        (encoded(a_photo(4, 6), "JPEG"), (4, 6)),
        (encoded(a_photo(4, 6)), None),
        (cmyk(), None),
    ],
    ids=["rgb", "png", "cmyk"],
)
def test_plain_jpegs_are_told_from_others(content, plain):
    assert inspect(content, content).plain == plain


def test_damage_at_random_is_pixels_or_a_reason():
    random = np.random.default_rng(0)
    files = [encoded(a_photo(16, 16), kind) for kind in ("JPEG", "PNG", "GIF", "BMP", "WEBP")]
    files += [tiff(NOISE, deflated=True), tiff(NOISE[..., :1]), png(NOISE, 16)]
    for content in files:
        whole = np.frombuffer(content, np.uint8)
        for _ in range(100):
            damaged = whole.copy()
            where = random.integers(0, len(damaged), 8)
            damaged[where] = random.integers(0, 256, 8)
            try:
                shape = decode(damaged.tobytes(), Shape((8, 8, 3)), "crop").shape
            except UnreadableError:
                continue
            assert shape == (8, 8, 3)


def test_a_damaged_file_that_opencv_reads_writes_nothing_to_the_terminal(capfd):
    pytest.importorskip("cv2")
    compressed = bytearray(encoded(a_photo(16, 16), "TIFF", compression="tiff_lzw"))
    bits = compressed.index(struct.pack("<HHI", 258, 3, 3))
    place = struct.unpack_from("<I", compressed, bits + 8)[0]
    compressed[place : place + 6] = struct.pack("<HHH", 16, 16, 16)  # twice what is there
    with pytest.raises(UnreadableError):
        decode(bytes(compressed), Shape((16, 16, 3)), "stretch")
    assert capfd.readouterr() == ("", "")
