"""Image files and arrays become pixels of the network's extents, by one definition."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from archspec.ops.shape import Shape
from archspec.training.data.images import (
    MOST_PIXELS,
    UnreadableError,
    decode,
    look,
    match_channels,
    resize,
)

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
    """Red, half of it transparent, and black that is not there at all."""
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


def test_cmyk_becomes_rgb():
    pixel = decode(cmyk(), Shape((8, 8, 3)), "stretch")[4, 4]
    assert pixel[0] > 240
    assert pixel[1:].max() < 15


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_images_are_held_as_the_camera_was(turned, kind):
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :16] = 255  # the top left
    image = Image.fromarray(upright)
    stored = {
        1: image,
        2: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: image.transpose(Image.Transpose.ROTATE_180),
        4: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: image.transpose(Image.Transpose.TRANSPOSE),
        6: image.transpose(Image.Transpose.ROTATE_90),
        7: image.transpose(Image.Transpose.TRANSVERSE),
        8: image.transpose(Image.Transpose.ROTATE_270),
    }[turned]
    exif = Image.Exif()
    exif[0x0112] = turned
    found = decode(encoded(stored, kind, exif=exif), Shape((16, 32, 3)), "stretch")
    assert np.abs(found.astype(int) - upright).max() <= 30  # what JPEG leaves of it


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
    """A PNG of a few bytes that claims more pixels than there is memory."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    side = int(MOST_PIXELS**0.5) + 1
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


BROKEN = {
    "empty": (b"", "empty"),
    "text": (b"this is no image", "not a JPEG, PNG, BMP, GIF, TIFF, WebP or PNM image"),
    "another kind": (encoded(a_photo(16, 16), "ICO"), "not a JPEG, PNG, BMP, GIF"),
    "too large": (bomb(), "pixels, more than 67,108,864"),
    "truncated jpeg": (encoded(a_photo(64, 64), "JPEG")[:-1000], "damaged"),
    "truncated png": (encoded(a_photo(64, 64))[:-1000], "damaged"),
    "truncated gif": (encoded(a_photo(64, 64), "GIF")[:-1000], "damaged"),
    "truncated bmp": (encoded(a_photo(64, 64), "BMP")[:-1000], "damaged"),
    "only a header": (encoded(a_photo(64, 64), "JPEG")[:20], "not a JPEG"),
}


@pytest.mark.parametrize(("content", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_found_before_it_is_needed(content, reason):
    with pytest.raises(UnreadableError, match=reason):
        look(content, content)


@pytest.mark.parametrize("name", [name for name in BROKEN if name != "empty"])
def test_a_broken_file_is_never_pixels(name):
    with pytest.raises(UnreadableError):
        decode(BROKEN[name][0], Shape((8, 8, 3)), "stretch")


def test_an_image_with_something_behind_its_end_is_one():
    content = encoded(a_photo(6, 4), "JPEG") + b"left by an editor"
    assert look(content, content).plain == (6, 4)


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
    assert look(content, content).plain == plain


def test_damage_at_random_is_pixels_or_a_reason():
    random = np.random.default_rng(0)
    for kind in ("JPEG", "PNG", "GIF", "BMP"):
        whole = np.frombuffer(encoded(a_photo(16, 16), kind), np.uint8)
        for _ in range(100):
            damaged = whole.copy()
            where = random.integers(0, len(damaged), 8)
            damaged[where] = random.integers(0, 256, 8)
            try:
                shape = decode(damaged.tobytes(), Shape((8, 8, 3)), "crop").shape
            except UnreadableError:
                continue
            assert shape == (8, 8, 3)
