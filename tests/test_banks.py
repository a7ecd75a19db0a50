"""Kernels known by formula, and weights that training leaves alone: `initial` and `trainable`."""

from itertools import pairwise
from math import cos, exp, pi, radians, sqrt
from typing import get_args

import numpy as np
import pytest
from support.specs import graph_of, spec_of

import archspec
from archspec.compile.expand import expand
from archspec.cost.report import Report
from archspec.errors import SpecError
from archspec.keras_model.build import build, load_model
from archspec.keras_model.verify import verify
from archspec.ops import banks
from archspec.ops.banks import gabor, kernels
from archspec.ops.fields import Bank

EXTENTS = [(3, 3), (3, 5), (4, 4), (5, 5), (7, 7), (11, 11)]
COUNTS = [1, 2, 3, 5, 8, 16, 17, 24, 64]


def cosines(bank: np.ndarray) -> np.ndarray:
    """Return the cosine of each two kernels of a bank: 1 for equal ones, -1 for opposite."""
    rows = bank.reshape(-1, bank.shape[-1])
    return rows.T @ rows


# The formulas


def test_a_gabor_kernel_is_its_formula_at_every_tap():
    kernel = gabor(
        (5, 7), wavelength=4, orientation=radians(30), phase=0.5, sigma=2, aspect=0.5, centre=(1, 0)
    )
    for row, column in [(0, 0), (2, 3), (4, 1)]:
        y, x = row - 2 - 1, column - 3
        along = x * cos(radians(30)) + y * cos(radians(60))
        across = y * cos(radians(30)) - x * cos(radians(60))
        envelope = exp(-(along**2 + 0.25 * across**2) / 8)
        assert kernel[row, column] == pytest.approx(envelope * cos(2 * pi * along / 4 + 0.5))


def test_a_gabor_kernel_turns_with_its_orientation():
    upright = gabor((5, 5), wavelength=3, orientation=0, phase=-pi / 2, sigma=1.5)
    assert (upright[:, 3] > 0).all()  # it brightens to the right
    assert np.allclose(upright, -upright[:, ::-1])
    lying = gabor((5, 5), wavelength=3, orientation=pi / 2, phase=-pi / 2, sigma=1.5)
    assert np.allclose(lying, upright.T)


def test_there_is_a_bank_for_each_word():
    assert banks.BANKS.keys() == {*get_args(get_args(Bank)[0])}


@pytest.mark.parametrize("extent", EXTENTS)
@pytest.mark.parametrize("name", banks.BANKS)
def test_every_kernel_ignores_the_brightness_and_has_the_same_strength(name, extent):
    for count in COUNTS:
        bank = kernels(name, extent, count)
        assert bank.shape == (*extent, count)
        assert np.allclose(bank.sum((0, 1)), 0)
        assert np.allclose(np.diag(cosines(bank)), 1)


@pytest.mark.parametrize("extent", EXTENTS)
@pytest.mark.parametrize("name", banks.BANKS)
def test_no_kernel_comes_twice(name, extent):
    for count in COUNTS:
        alike = cosines(kernels(name, extent, count)) - np.eye(count)
        assert alike.max() < 1 - 1e-6


def test_gabor_kernels_are_bars_and_edges_of_eight_orientations():
    bank = kernels("gabor", (7, 7), 16)
    turned = bank[::-1, ::-1]
    assert np.allclose(bank[..., :8], turned[..., :8])  # bars are even,
    assert np.allclose(bank[..., 8:], -turned[..., 8:])  # edges odd
    for first in (0, 8):
        upright, lying = bank[..., first], bank[..., first + 4]
        assert np.allclose(lying, upright.T)


def test_more_gabor_kernels_have_more_wavelengths():
    def crossings(kernel: np.ndarray) -> int:
        """Return the number of sign changes in the middle row of vertical stripes."""
        row = kernel[kernel.shape[0] // 2]
        return sum(a * b < 0 for a, b in pairwise(row[np.abs(row) > 1e-3]))

    bank = kernels("gabor", (11, 11), 48)
    fine, middle, coarse = (crossings(bank[..., first]) for first in (0, 16, 32))
    assert fine > middle > coarse


def test_sobel_is_the_one_of_the_books():
    right, down, left, up = np.moveaxis(kernels("sobel", (3, 3), 4), -1, 0) * sqrt(12)
    assert np.allclose(right, [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    assert np.allclose(down, [[-1, -2, -1], [0, 0, 0], [1, 2, 1]])
    assert np.allclose(left, -right)
    assert np.allclose(up, -down)
    assert np.allclose(kernels("sobel", (3, 3), 1)[..., 0] * sqrt(12), right)
    diagonal = kernels("sobel", (3, 3), 8)[..., 1]
    assert np.allclose(diagonal * sqrt(24), right + down)


def test_a_larger_sobel_smooths_by_binomials():
    right = kernels("sobel", (5, 5), 1)[..., 0]
    exact = np.outer([1, 4, 6, 4, 1], [-1, -2, 0, 2, 1])
    assert np.allclose(right, exact / np.linalg.norm(exact))
    assert np.isfinite(kernels("sobel", (2001, 3), 2)).all()


def test_log_kernels_are_spots_that_grow_and_their_negatives():
    bank = kernels("log", (9, 9), 6)
    assert np.allclose(bank[..., 1::2], -bank[..., ::2])
    middles = bank[4, 4, ::2]
    assert (middles > 0).all()
    assert (np.diff(middles) < 0).all()  # the wider a spot, the lower
    # The Laplacian of a Gaussian is 0 at a distance of sqrt(2) deviations, here of 9 / 4.
    widest = np.stack(banks.logs((9, 9), 6), axis=-1)[..., 4]
    assert widest[4, 4 + 3] > 0 > widest[4, 4 + 4]


# In a spec

FIXED = """
name: fixed
input: [8, 8, 3]
layers:
  - conv: {filters: 8, kernel: 5, initial: gabor, trainable: false, norm: batch, activation: relu}
  - depthwise_conv: {kernel: 3, multiplier: 2, initial: sobel, bias: false}
  - flatten
  - fc: {units: 10, trainable: false}
"""


def test_what_is_not_trained_is_counted_as_such():
    report = Report(expand(spec_of(FIXED)))
    kernel, norm, sobel, fc = 5 * 5 * 3 * 8, 8, 3 * 3 * 8 * 2, 2 * 2 * 16 * 10 + 10
    assert report.totals.trainable == 2 * norm + sobel
    assert report.totals.non_trainable == kernel + 2 * norm + fc
    assert report.memory.gradients == 4 * report.totals.trainable
    first = report.to_dict()["rows"][1]
    assert (first["trainable"], first["non_trainable"]) == (2 * norm, kernel + 2 * norm)


@pytest.mark.parametrize(
    ("layers", "extent", "message", "hint"),
    [
        (
            "conv: {filters: 4, kernel: 2, initial: gabor}",
            "[8, 8, 1]",
            "a kernel of 2x2 is too small for `gabor`",
            "use at least `kernel: 3`, 5 or more to show a wave",
        ),
        (
            "convolution: {filters: 4, kernel: [5, 1], initial: sobel}",
            "[8, 8, 1]",
            "a kernel of 5x1 is too small for `sobel`",
            "use at least `kernel: 3`",
        ),
        (
            "depthwise_conv: {kernel: 3, initial: log}",
            "[8, 1]",
            "`log` kernels have two spatial axes, and the input of `depthwise_convolution` is 8x1",
            "leave `initial` out: the kernels start random",
        ),
        (
            "conv: {filters: 4, initial: random}",
            "[8, 8, 1]",
            "must be one of gabor, sobel, log or null",
            "leave `initial` out: kernels start random",
        ),
        (
            "conv: {filters: 4, initial: laplacian}",
            "[8, 8, 1]",
            "must be one of gabor, sobel, log or null",
            "did you mean `log`, the Laplacian of Gaussian?",
        ),
        (
            "conv: {filters: 4, kernel_initializer: gabor}",
            "[8, 8, 1]",
            "`conv` has no argument `kernel_initializer`",
            "did you mean `initial`?",
        ),
        (
            "batch_norm: {frozen: true}",
            "[8, 8, 1]",
            "`batch_norm` has no argument `frozen`",
            "weights that training leaves alone are `trainable: false`",
        ),
        (
            "max_pool: {size: 2, trainable: false}",
            "[8, 8, 1]",
            "`max_pool` has no argument `trainable`",
            "arguments of `max_pool`",
        ),
    ],
)
def test_what_is_no_bank_is_refused_at_its_place(layers, extent, message, hint):
    with pytest.raises(SpecError) as refused:
        graph_of(layers, extent)
    (problem,) = refused.value.diagnostics
    assert message in problem.message
    assert hint in str(problem.help)
    assert problem.span is not None


@pytest.mark.parametrize("word", ["initial", *banks.BANKS])
def test_the_banks_are_explained(word):
    shown = str(archspec.show(word))
    assert all(f"`{bank}`: " in shown for bank in banks.BANKS)


# In Keras


@pytest.mark.keras
def test_the_model_holds_the_banks_for_every_channel_and_so_does_a_saved_one(tmp_path):
    import keras

    spec = spec_of(FIXED)
    model = build(spec)
    model.save(tmp_path / "fixed.keras")
    again = load_model(tmp_path / "fixed.keras")
    rebuilt = keras.Model.from_config(model.get_config())
    for each in (model, again, rebuilt):
        assert not verify(spec, each).mismatches
        kernel = keras.ops.convert_to_numpy(each.get_layer("conv1-convolution").kernel)
        one = kernels("gabor", (5, 5), 8) / sqrt(3)
        assert np.allclose(kernel, one[:, :, None, :], atol=1e-7)
        depthwise = keras.ops.convert_to_numpy(each.get_layer("depthwise_conv1").kernel)
        assert np.allclose(depthwise, kernels("sobel", (3, 3), 2)[:, :, None, :], atol=1e-7)


@pytest.mark.keras
def test_training_leaves_alone_what_is_fixed(tmp_path):
    import keras

    spec = spec_of(
        "{name: small, input: [8, 8, 1], layers: ["
        "conv: {filters: 1, kernel: 5, initial: log, trainable: false}, "
        "conv: {filters: 4, initial: sobel, activation: relu}, flatten, fc: 10], "
        "train: {epochs: 1}}"
    )
    before, after = build(spec), archspec.fit(spec, out=tmp_path / "run").model()

    def is_kept(layer: str) -> bool:
        kernels = [model.get_layer(layer).kernel for model in (before, after)]
        return np.array_equal(*map(keras.ops.convert_to_numpy, kernels))

    assert is_kept("conv1-convolution")
    assert not is_kept("conv2-convolution")


@pytest.mark.parametrize(
    ("fc", "why"),
    [("fc: {units: 10, trainable: false}", "`trainable: false`"), ("reshape: [64]", "no weights")],
)
def test_a_network_of_which_nothing_can_be_trained_is_refused(fc, why, tmp_path):
    spec = spec_of(f"{{name: still, input: [8, 8, 1], layers: [flatten, {fc}]}}")
    with pytest.raises(SpecError, match=f"nothing of `still` can be trained: .*{why}"):
        archspec.fit(spec, out=tmp_path / "run")


@pytest.mark.keras
def test_a_probe_of_other_random_kernels_keeps_the_banks():
    spec = spec_of(FIXED)
    usual, other = (archspec.probe(spec, init=init) for init in ("keras", "normal:0.5"))
    first, *_, last = (
        (a.std, b.std) for a, b in zip(usual.activities[1:], other.activities[1:], strict=True)
    )
    assert first[0] == first[1]
    assert last[0] != last[1]
