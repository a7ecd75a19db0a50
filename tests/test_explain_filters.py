"""`filters`: kernels, their norms, noise and Gabor functions, with planted answers."""

from math import radians

import numpy as np
import pytest

from archspec import explain
from archspec.errors import UsageError
from archspec.explain.kernels import likeness, noise_likeness
from archspec.ops.banks import gabor

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.keras

LAYERS = keras.layers


def model_of(shape, *layers):
    inputs = keras.Input(shape)
    x = inputs
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x)


def with_kernels(kernels, **given):
    """A convolution of an image with these kernels, (filters, height, width)."""
    filters, *size = kernels.shape
    layer = LAYERS.Conv2D(filters, size, use_bias=False, name="conv")
    model = model_of((16, 16, 1), layer)
    layer.set_weights([np.moveaxis(kernels, 0, -1)[:, :, None].astype(np.float32)])
    return explain.filters(model, normalize="unit", **given)


def column(exhibit, name):
    table = exhibit.items[-1]
    return [row[list(table.columns).index(name)] for row in table.rows]


WAVE = gabor(
    (7, 7), wavelength=4.5, orientation=radians(30), phase=radians(40), sigma=2, aspect=0.7
)
NOISE = np.random.default_rng(1).normal(size=(40, 7, 7))


def test_white_noise_is_noisy_and_a_wave_is_not():
    (found,) = with_kernels(np.stack([WAVE, *NOISE]))
    noisy = column(found, "noisy")
    assert not noisy[0]
    assert sum(noisy[1:]) >= 35  # of 40, where 38 are expected
    assert found.facts["noisy"] == sum(noisy)


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        (np.ones((5, 5)), 1.0),
        (np.indices((5, 5)).sum(0) % 2 * 2 - 1, 1.0),  # a checkerboard, along its diagonals
        (np.arange(5)[None] % 2 * 2 - 1 + np.zeros((5, 1)), 1.0),  # stripes, however fine
        (np.diag([1.0, 1, 1]), 1.0),  # a line, along itself
        (np.array([[1, 2, 1], [0, 0, 0], [-1, -2, -1]]), 0.8),
        (np.zeros((3, 3)), np.nan),
    ],
)
def test_likeness_is_the_largest_autocorrelation_of_neighbours(kernel, expected):
    found = likeness(kernel[None, ..., None].astype(np.float32))
    assert found == pytest.approx([expected], nan_ok=True)


def test_noise_is_compared_with_noise_of_its_size():
    small, large = noise_likeness((3, 3, 1), 0), noise_likeness((3, 3, 64), 0)
    assert 0.75 < small < 0.9  # of nine numbers little can be said
    assert large < 0.2
    fresh = np.random.default_rng(7).normal(size=(1000, 5, 5, 3))
    assert (likeness(fresh) < noise_likeness((5, 5, 3), 0)).mean() == pytest.approx(0.95, abs=0.03)


def test_norms_tell_a_faint_filter_that_its_picture_does_not():
    kernels = np.stack([WAVE, WAVE * 0.01, WAVE * 2, np.zeros((7, 7))])
    (own,) = with_kernels(kernels)
    assert column(own, "norm") == pytest.approx(np.linalg.norm(kernels, axis=(1, 2)), rel=1e-5)
    assert column(own, "faint") == [False, True, False, True]
    assert own.items[0].own_scale == "tile"
    assert own.items[0].tiles[0] == f"0: {np.linalg.norm(WAVE):.2g}"
    (shared,) = with_kernels(kernels, scale="layer")
    assert shared.items[0].own_scale is None
    assert shared.items[0].limits == pytest.approx((-2 * WAVE.max(), 2 * WAVE.max()))


def test_a_gabor_function_is_found_again():
    (found,) = with_kernels(np.stack([WAVE * 0.3 + 0.05, NOISE[0]]), gabor=True)
    assert column(found, "gabor r2")[0] == pytest.approx(1, abs=1e-6)
    expected = {
        "wavelength": 4.5,
        "orientation": 30,
        "phase": 40,
        "sigma": 2,
        "aspect": 0.7,
        "amplitude": 0.3,
        "offset": 0.05,
    }
    for name, value in expected.items():
        assert column(found, f"gabor {name}")[0] == pytest.approx(value, abs=1e-2), name
    assert column(found, "gabor r2")[1] < 0.6  # noise has an R2 above 0, which is said:
    assert 0.2 < found.facts["R2 of noise"] < 0.5
    np.testing.assert_allclose(found.items[1].values[0], WAVE * 0.3 + 0.05, atol=1e-5)


def test_too_few_weights_for_a_gabor_function_are_refused():
    with pytest.raises(UsageError, match="3x3, 9 numbers for the 9 parameters"):
        with_kernels(np.ones((2, 3, 3)), gabor=True)
    deep = model_of(
        (16, 16, 1), LAYERS.Conv2D(2, 3, name="first"), LAYERS.Conv2D(2, 5, name="second")
    )
    with pytest.raises(UsageError, match="first: its kernels are 3x3"):
        explain.filters(deep, layer=["first", "second"], gabor=True, normalize="unit")


def test_every_layer_with_a_kernel_is_shown_in_its_own_way(tmp_path):
    model = model_of(
        (16, 16, 3),
        LAYERS.Conv2D(8, 5, padding="same", name="colours"),
        LAYERS.DepthwiseConv2D(3, depth_multiplier=2, padding="same", name="depthwise"),
        LAYERS.Conv2D(20, 1, name="points"),
        LAYERS.Conv2DTranspose(4, 3, padding="same", name="transposed"),
        LAYERS.Conv2D(6, 3, groups=2, padding="same", name="groups"),
        LAYERS.MaxPooling2D(4),
        LAYERS.Flatten(),
        LAYERS.Dropout(0.5),
        LAYERS.Dense(5, name="fc1"),
        LAYERS.Dense(2, name="fc2"),
    )
    found = explain.filters(model, most=4, normalize="unit")
    shapes = {each.name: each.items[0].values.shape for each in found}
    assert shapes == {
        "colours": (4, 5, 5, 3),  # the four strongest, in colour
        "depthwise": (4, 3, 3),
        "points": (4, 16),  # a matrix
        "transposed": (4 * 4, 3, 3),  # four of the input's channels, four of the output
        "groups": (4 * 2, 3, 3),
        "fc1": (4 * 6, 4, 4),  # as large as the map that was flattened
        "fc2": (2, 5),
    }
    kernel = np.asarray(model.get_layer("fc1").kernel).reshape(4, 4, 6, 5)
    order = np.argsort(-np.linalg.norm(kernel.reshape(-1, 5), axis=0))
    np.testing.assert_array_equal(found[5].items[0].values[1], kernel[:, :, 1, order[0]])
    assert len(column(found[0], "norm")) == 8  # the table has those that are not shown too
    kernel = np.asarray(model.get_layer("transposed").kernel)
    assert column(found[3], "norm") == pytest.approx(
        np.sqrt((kernel**2).sum(axis=(0, 1, 2))), rel=1e-5
    )
    folder = found.save(tmp_path / "out")
    assert (folder / "fc1-filters.png").exists()
    assert (folder / "fc1-filters.csv").exists()


@pytest.mark.parametrize(
    ("shape", "layers", "kinds"),
    [
        (
            (30, 1),
            [LAYERS.Conv1D(3, 7, name="a"), LAYERS.Conv1D(4, 3, name="b")],
            [None, (4, 3, 3)],
        ),
        ((6, 7, 8, 1), [LAYERS.Conv3D(3, 3, name="a")], [(3 * 3, 3, 3)]),
        ((6, 7, 8, 2), [LAYERS.Conv3D(3, (2, 3, 3), name="a")], [(3 * 2, 3, 3)]),
    ],
    ids=["signals", "volumes", "channels"],
)
def test_signals_are_curves_and_volumes_slices(shape, layers, kinds, tmp_path):
    found = explain.filters(model_of(shape, *layers), normalize="unit")
    for exhibit, kind in zip(found, kinds, strict=True):
        if kind is None:
            assert [len(line) for line in exhibit.items[0].lines.values()] == [7] * 3
        else:
            assert exhibit.items[0].values.shape == kind
    found.save(tmp_path / "out")


def test_a_unit_that_sees_the_image_is_an_image():
    model = model_of((6, 9, 1), LAYERS.Flatten(), LAYERS.Dense(3, name="fc"))
    (found,) = explain.filters(model, normalize="unit")
    np.testing.assert_array_equal(
        found.items[0].values, np.asarray(model.get_layer("fc").kernel).T.reshape(3, 6, 9)
    )


def test_a_spec_needs_no_training_and_a_block_has_all_of_its_kernels():
    (found,) = explain.filters("lenet5", layer="c1")
    assert found.items[0].values.shape == (6, 5, 5)
    assert found.name == "c1-convolution"  # the convolution in it, not its activation


def test_a_network_without_kernels_says_so():
    with pytest.raises(UsageError, match="no convolution and no fully connected layer"):
        explain.filters(model_of((6, 6, 1), LAYERS.MaxPooling2D()), normalize="unit")
