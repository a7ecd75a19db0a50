"""OpenCV decodes what Pillow does, and leaves it what it cannot do as well."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from archspec.data import jpeg
from archspec.data.imagefile import UnreadableError
from archspec.data.images import decode, inspect
from archspec.data.jpeg import halvings
from archspec.ops.shape import Shape

RESIZES = ("stretch", "pad", "crop")


def a_jpeg(height: int, width: int, mode: str = "RGB", **options) -> bytes:
    """The content of a JPEG of smooth colours, like a photograph."""
    coarse = np.random.default_rng(0).integers(0, 256, (3, 4, 3), np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    stream = io.BytesIO()
    image.convert(mode).save(stream, "JPEG", quality=95, **options)
    return stream.getvalue()


@pytest.fixture
def by_pillow(monkeypatch):
    """A function that decodes without OpenCV."""

    def decoded(content: bytes, shape: Shape, how: str) -> np.ndarray:
        with monkeypatch.context() as patch:
            patch.setattr(jpeg, "opencv", lambda: None)
            return decode(content, shape, how)

    return decoded


def test_a_jpeg_is_halved_while_it_is_large_enough_and_an_odd_one_is_left_to_pillow():
    extents = [(224, 224), (447, 800), (448, 448), (4000, 3000), (100, 100)]
    regions = [((0.0, height), (0.0, width)) for height, width in extents]
    assert [halvings(region, (224, 224)) for region in regions] == [0, None, 1, 3, 0]


@pytest.mark.parametrize("how", RESIZES)
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "extent", [(32, 40), (31, 40), (48, 56), (90, 70), (161, 203), (700, 800), (20, 30)]
)
def test_opencv_decodes_what_pillow_does(by_pillow, how, mode, channels, extent):
    pytest.importorskip("cv2")
    content, shape = a_jpeg(*extent, mode), Shape((32, 40, channels))
    found = decode(content, shape, how)
    assert found.shape == shape
    assert found.dtype == np.uint8
    assert np.array_equal(found, decode(content, shape, how, inspect(content, content).plain))
    off = np.abs(found.astype(int) - by_pillow(content, shape, how))
    assert off.mean() < 2  # levels
    assert off.max() < 12


def test_without_resizing_the_pixels_are_the_same(by_pillow):
    pytest.importorskip("cv2")
    content, shape = a_jpeg(33, 41), Shape((33, 41, 3))
    assert np.array_equal(decode(content, shape, "stretch"), by_pillow(content, shape, "stretch"))


def test_cropping_shows_the_middle_and_padding_all_of_it():
    pytest.importorskip("cv2")
    white_in_the_middle = np.zeros((16, 48, 3), np.uint8)
    white_in_the_middle[:, 16:32] = 255
    stream = io.BytesIO()
    Image.fromarray(white_in_the_middle).save(stream, "JPEG", quality=100)
    content, shape = stream.getvalue(), Shape((12, 12, 3))
    assert decode(content, shape, "crop").min() > 230
    assert decode(content, shape, "pad")[:, 6, 0].tolist() == [0] * 4 + [255] * 4 + [0] * 4


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return a_jpeg(64, 48, exif=exif)


@pytest.mark.parametrize(
    "content",
    [turned(), a_jpeg(64, 64, "CMYK"), a_jpeg(40, 400), a_jpeg(64, 64) + b"more"],
    ids=["turned", "cmyk", "odd", "with a tail"],
)
def test_of_other_files_the_pixels_are_pillows(by_pillow, content):
    shape = Shape((32, 32, 3))
    found = decode(content, shape, "stretch", inspect(content, content).plain)
    assert np.abs(found.astype(int) - by_pillow(content, shape, "stretch")).mean() < 1


@pytest.mark.parametrize("plain", [None, (64, 64)])
@pytest.mark.parametrize(
    "content", [b"", b"no image", a_jpeg(64, 64)[:-700]], ids=["empty", "text", "truncated"]
)
def test_the_reason_for_damage_is_given_by_pillow(content, plain):
    with pytest.raises(UnreadableError):
        decode(content, Shape((8, 8, 3)), "stretch", plain)


def test_a_file_that_became_another_since_it_was_looked_at_is_seen_as_it_is(tmp_path, by_pillow):
    path, shape = tmp_path / "a.jpg", Shape((8, 8, 3))
    content = a_jpeg(64, 64)
    path.write_bytes(content)
    found = decode(path, shape, "crop", (300, 20))
    assert np.array_equal(found, by_pillow(content, shape, "crop"))
    path.unlink()
    with pytest.raises(UnreadableError, match="No such file"):
        decode(path, shape, "crop", (64, 64))
