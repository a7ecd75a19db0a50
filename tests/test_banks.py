"""Kernels known by formula: each against its definition."""

from math import cos, exp, pi, radians

import numpy as np
import pytest

from archspec.ops.banks import gabor


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
