"""Caffe's weights: arrays of a `.caffemodel` in Keras's layout."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from random import Random

import numpy as np
import pytest
from support.broken_files import changed
from support.checkpoints import field, varint

import archspec
from archspec.errors import ArchspecError, UsageError

NET = """
input: "data" input_shape { dim: 1 dim: 2 dim: 6 dim: 5 }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 group: 2 } }
layer { name: "norm" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "up" type: "Deconvolution" bottom: "conv" top: "up"
  convolution_param { num_output: 3 kernel_size: 2 stride: 2 } }
layer { name: "relu" type: "PReLU" bottom: "up" top: "up" }
layer { name: "fc" type: "InnerProduct" bottom: "up" top: "fc"
  inner_product_param { num_output: 7 } }
layer { name: "norm2" type: "BatchNorm" bottom: "fc" top: "fc" }
layer { name: "end" type: "InnerProduct" bottom: "fc" top: "end"
  inner_product_param { num_output: 2 bias_term: false } }
"""

SHAPES = {
    "conv": [(4, 1, 3, 3), (4,)],
    "norm": [(4,), (4,), (1,)],
    "scale": [(4,), (4,)],
    "up": [(4, 3, 2, 2), (3,)],
    "relu": [(3,)],
    "fc": [(7, 3 * 8 * 6), (7,)],
    "norm2": [(7,), (7,), (1,)],
    "end": [(2, 7)],
}
"""Shapes of the blobs of each layer of NET, as Caffe has them."""


@pytest.fixture
def blobs() -> dict[str, list[np.ndarray]]:
    random = np.random.default_rng(3)
    return {
        name: [random.random(shape, np.float32) + 0.5 for shape in shapes]
        for name, shapes in SHAPES.items()
    }


def caffemodel(blobs: Mapping[str, list[np.ndarray]], *, old: bool = False) -> bytes:
    """Return the bytes of a `.caffemodel`; with `old`, in the syntax before 2014."""
    content = field(1, b"net")
    for name, arrays in blobs.items():
        message = field(4 if old else 1, name.encode())
        for array in arrays:
            if old:  # four extents, and a field for each number
                extents = (1,) * (4 - array.ndim) + array.shape
                blob = b"".join(field(n, extent) for n, extent in enumerate(extents, 1))
                numbers = array.ravel().astype("<f4")
                blob += b"".join(varint(5 << 3 | 5) + number.tobytes() for number in numbers)
            else:
                shape = b"".join(varint(extent) for extent in array.shape)
                blob = field(7, field(1, shape)) + field(5, array.astype("<f4").tobytes())
            message += field(6 if old else 7, blob)
        content += field(2 if old else 100, message)
    return content


def network(folder: Path, content: bytes) -> archspec.ImportedModel:
    path, weights = folder / "net.prototxt", folder / "net.caffemodel"
    path.write_text(NET, encoding="utf-8")
    weights.write_bytes(content)
    return archspec.load(path, weights=weights)


def forward(blobs: Mapping[str, list[np.ndarray]], x: np.ndarray) -> np.ndarray:
    """Return what Caffe computes of [channels, height, width], written out in its layout."""
    kernel, bias = blobs["conv"]
    y = np.zeros((4, 4, 3))
    for o, i, j in np.ndindex(y.shape):
        group = o // 2  # of two groups, each with one channel
        y[o, i, j] = (x[group : group + 1, i : i + 3, j : j + 3] * kernel[o]).sum() + bias[o]
    y = _norm(blobs["norm"], y)
    factor, offset = blobs["scale"]
    y = y * factor[:, None, None] + offset[:, None, None]
    kernel, bias = blobs["up"]
    up = np.zeros((3, 8, 6)) + bias[:, None, None]
    for c, i, j in np.ndindex(y.shape):
        up[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2] += y[c, i, j] * kernel[c]
    (slope,) = blobs["relu"]
    up = np.where(up > 0, up, up * slope[:, None, None])
    kernel, bias = blobs["fc"]
    z = _norm(blobs["norm2"], kernel @ up.ravel() + bias)
    return blobs["end"][0] @ z


def _norm(blobs: list[np.ndarray], y: np.ndarray) -> np.ndarray:
    """Return a BatchNorm layer's output: it stores sums, and the factor that divides them."""
    mean, variance = (each / blobs[2] for each in blobs[:2])
    mean, variance = (each.reshape(-1, *(1,) * (y.ndim - 1)) for each in (mean, variance))
    return (y - mean) / np.sqrt(variance + 1e-5)


@pytest.mark.keras
@pytest.mark.parametrize("old", [False, True])
def test_the_network_with_the_weights_computes_what_caffe_does(tmp_path, blobs, old):
    model = network(tmp_path, caffemodel(blobs, old=old))
    x = np.random.default_rng(5).random((2, 6, 5), np.float32)
    built = archspec.import_model(model).build()
    given = built(x.transpose(1, 2, 0)[None])
    found = np.asarray(given["main"] if isinstance(given, dict) else given).ravel()
    assert found == pytest.approx(forward(blobs, x), rel=1e-4)


@pytest.mark.parametrize("old", [False, True])
def test_each_layer_has_its_arrays_in_keras_layout(tmp_path, blobs, old):
    weights = network(tmp_path, caffemodel(blobs, old=old)).weights()
    kernel, bias = weights["conv"]
    assert kernel.shape == (3, 3, 2, 2)[:2] + kernel.shape[2:]
    assert np.array_equal(bias, blobs["conv"][1])
    gamma, beta, mean, variance = weights["norm"]
    assert np.array_equal(gamma, blobs["scale"][0])
    assert np.array_equal(beta, blobs["scale"][1])
    assert mean == pytest.approx(blobs["norm"][0] / blobs["norm"][2])
    assert variance == pytest.approx(blobs["norm"][1] / blobs["norm"][2])
    assert np.array_equal(weights["up"][0], blobs["up"][0].transpose(2, 3, 1, 0))
    rows = blobs["fc"][0].reshape(7, 3, 8, 6)
    assert np.array_equal(weights["fc"][0], rows.transpose(2, 3, 1, 0).reshape(-1, 7))


def test_the_weights_of_another_network_are_refused(tmp_path, blobs):
    blobs["conv"][0] = blobs["conv"][0][:3]
    with pytest.raises(UsageError, match="layer `conv` has 27, 4 numbers there, and 36, 4 here"):
        network(tmp_path, caffemodel(blobs)).weights()
    del blobs["conv"]
    with pytest.raises(UsageError, match="layer `conv` has no numbers there"):
        network(tmp_path, caffemodel(blobs)).weights()


def test_a_damaged_file_gives_weights_or_a_sentence(tmp_path, blobs):
    random = Random(2)  # noqa: S311  (it keeps no secret)
    content = caffemodel(blobs)
    model = network(tmp_path, content)
    for _ in range(100):
        (tmp_path / "net.caffemodel").write_bytes(changed(content, random))
        with suppress(ArchspecError):  # anything else fails the test
            assert len(model.weights()) == 7
