"""Kernels known by formula, with their published source.

Kernels correlate, as convolutions of Keras do: x grows to the right, y downwards, and an angle
turns from x to y.
"""

from __future__ import annotations

from math import pi
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Kernels: TypeAlias = NDArray[np.float64]


def gabor(
    extent: tuple[int, int],
    *,
    wavelength: float,
    orientation: float,
    phase: float = 0.0,
    sigma: float,
    aspect: float = 1.0,
    centre: tuple[float, float] = (0.0, 0.0),
) -> Kernels:
    """Return a Gabor function sampled at the taps of a kernel: a wave under a Gaussian.

    exp(-(x'^2 + aspect^2 y'^2) / (2 sigma^2)) cos(2 pi x' / wavelength + phase), where x' runs
    along the wave and y' across it. (Gabor 1946; in two dimensions Daugman 1985, in this notation
    Petkov & Kruizinga 1997)

    Args:
        extent: Taps of the kernel, (height, width).
        wavelength: Taps from one crest to the next.
        orientation: Angle from the x axis to the direction in which the wave runs, in radians;
            at 0 the stripes are upright.
        phase: In radians; 0 is a bright stripe in the middle, -pi/2 an edge that brightens
            along the wave.
        sigma: Deviation of the Gaussian along the wave, in taps.
        aspect: That deviation divided by the one along the stripes.
        centre: Where the Gaussian stands, (y, x), in taps from the middle of the kernel.

    Returns:
        An array of shape `extent`, neither centred nor scaled: 1 is its largest possible value.

    Example:
        >>> gabor((1, 3), wavelength=2, orientation=0, sigma=1).round(2)
        array([[-0.61,  1.  , -0.61]])
    """
    import numpy as np  # noqa: PLC0415

    y, x = _taps(extent)
    y, x = y - centre[0], x - centre[1]
    along = x * np.cos(orientation) + y * np.sin(orientation)
    across = y * np.cos(orientation) - x * np.sin(orientation)
    envelope = np.exp(-(along**2 + (aspect * across) ** 2) / (2 * sigma**2))
    kernel: Kernels = envelope * np.cos(2 * pi * along / wavelength + phase)
    return kernel


def _taps(extent: tuple[int, int]) -> tuple[Any, Any]:
    """(y, x) of each tap, from the middle of the kernel, as a column and a row."""
    import numpy as np  # noqa: PLC0415

    height, width = (np.arange(n) - (n - 1) / 2 for n in extent)
    return height[:, None], width[None, :]
