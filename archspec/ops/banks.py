"""Kernels known by formula, with their published source: what `initial:` of a convolution names.

A bank is a function of the kernel's extent and the number of filters; `kernels` centres and scales
what it gives, `weights` makes it a kernel of Keras. All is computed with NumPy, so every backend
gets the same numbers. Kernels correlate, as convolutions of Keras do: x grows to the right, y
downwards, and an angle turns from x to y.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from math import ceil, pi, sqrt
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from archspec.errors import Problem
from archspec.lazy import np
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Kernels: TypeAlias = NDArray[np.float64]

Extent: TypeAlias = tuple[int, int]
"""Taps of a kernel, (height, width)."""

LEAST_TAPS: Final = 3
"""Taps along an axis from which a bank has a middle and two sides."""

SHORTEST_WAVE: Final = 3.0
"""Wavelength in taps. At 2, the least there is, an odd Gabor kernel is zero at every tap."""

PER_WAVELENGTH: Final = 16
"""Gabor kernels of one wavelength, before there is another: 8 orientations, even and odd."""

OCTAVE: Final = 0.56
"""Deviation by wavelength at which a Gabor function passes one octave. (Petkov & Kruizinga 1997)"""


def gabor(
    extent: Extent,
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
    y, x = _taps(extent)
    y, x = y - centre[0], x - centre[1]
    along = x * np.cos(orientation) + y * np.sin(orientation)
    across = y * np.cos(orientation) - x * np.sin(orientation)
    envelope = np.exp(-(along**2 + (aspect * across) ** 2) / (2 * sigma**2))
    kernel: Kernels = envelope * np.cos(2 * pi * along / wavelength + phase)
    return kernel


def gabors(extent: Extent, count: int) -> list[Kernels]:
    """Stripes under a Gaussian, as simple cells of the visual cortex see them.

    Bars, then edges, in orientations spread over half a turn from upright on; beyond 16 filters,
    at several wavelengths from 3 taps to the extent. (Gabor 1946; Daugman 1985)
    """
    shortest = min(extent)
    scales = ceil(count / PER_WAVELENGTH) if shortest > SHORTEST_WAVE else 1
    orientations = ceil(count / (2 * scales))
    settings = product(
        _spread(SHORTEST_WAVE, shortest, scales),
        (0.0, -pi / 2),
        (pi * index / orientations for index in range(orientations)),
    )
    return [
        gabor(
            extent,
            wavelength=wavelength,
            orientation=orientation,
            phase=phase,
            sigma=min(OCTAVE * wavelength, shortest / 4),
        )
        for wavelength, phase, orientation in settings
    ][:count]


def sobels(extent: Extent, count: int) -> list[Kernels]:
    """Return slopes of the brightness; for 3x3, (-1, 0, 1) along an axis and (1, 2, 1) across.

    To the right, then down, left and up; more than four filters share the full turn, each the
    mixture of the first two for its direction. Larger kernels smooth by longer binomials. (Sobel &
    Feldman 1968; the mixture: Freeman & Adelson 1991)
    """
    height, width = extent
    right = np.outer(_binomial(height), _slope(width))
    down = np.outer(_slope(height), _binomial(width))
    right, down = right / np.linalg.norm(right), down / np.linalg.norm(down)
    angles = (2 * pi * index / max(count, 4) for index in range(count))
    return [np.cos(angle) * right + np.sin(angle) * down for angle in angles]


def logs(extent: Extent, count: int) -> list[Kernels]:
    """Laplacian of Gaussian: a spot, bright in the middle and dark around it, then its negative.

    Each further pair has a wider Gaussian, from a deviation of half a tap to a quarter of the
    extent. (Marr & Hildreth 1980)
    """
    y, x = _taps(extent)
    kernels: list[Kernels] = []
    for sigma in _spread(0.5, min(extent) / 4, ceil(count / 2)):
        squares = (x**2 + y**2) / (2 * sigma**2)
        spot = (1 - squares) * np.exp(-squares)
        kernels += [spot, -spot]
    return kernels[:count]


BANKS: Final[Mapping[str, Callable[[Extent, int], list[Kernels]]]] = MappingProxyType(
    {"gabor": gabors, "sobel": sobels, "log": logs}
)


def check(bank: str, kind: str, x: Shape, taps: tuple[int, ...]) -> None:
    """Raise `Problem` where a step's kernel cannot start as a bank.

    Args:
        bank: A word of `BANKS`.
        kind: The step's kind, for the message.
        x: Its input.
        taps: Extent of its kernel, a number for each spatial axis of `x`.

    """
    if x.rank != 2:
        raise Problem(
            "shape",
            f"`{bank}` kernels have two spatial axes, and the input of `{kind}` is {x}",
            help="leave `initial` out: the kernels start random",
        )
    if min(taps) < LEAST_TAPS:
        raise Problem(
            "value",
            f"a kernel of {taps[0]}x{taps[1]} is too small for `{bank}`",
            help=f"use at least `kernel: {LEAST_TAPS}`"
            + (", 5 or more to show a wave" if bank == "gabor" else ""),
        )


def kernels(bank: str, extent: Extent, count: int) -> Kernels:
    """Return a bank's kernels, each with mean 0 and a sum of squares of 1.

    Args:
        bank: A word of `BANKS`.
        extent: Taps of a kernel, (height, width), at least 3 each.
        count: Number of kernels.

    Returns:
        An array (height, width, count).

    """
    kernels: Kernels = np.stack(BANKS[bank](extent, count), axis=-1)
    kernels -= kernels.mean((0, 1))
    kernels /= np.sqrt((kernels**2).sum((0, 1)))
    return kernels


def weights(bank: str, shape: tuple[int, ...], *, depthwise: bool = False) -> Any:
    """Return a bank as the kernel of a convolution, the same for each input channel.

    What a filter sees has a sum of squares of 1: its kernels of all channels together, or the one
    kernel of a depthwise convolution.

    Args:
        bank: A word of `BANKS`.
        shape: (height, width, input channels, filters), as Keras has it.
        depthwise: Whether each channel is convolved by itself.

    Returns:
        A float32 array of this shape.

    """
    height, width, channels, count = shape
    each = kernels(bank, (height, width), count)[:, :, None, :]
    if not depthwise:
        each = each / sqrt(channels)
    return np.repeat(each, channels, axis=2).astype("float32")


def _spread(low: float, high: float, count: int) -> list[float]:
    """Return `count` numbers at equal ratios from `low` to `high`; a single one lies between."""
    if count == 1:
        return [sqrt(low * high)]
    return [low * (high / low) ** (index / (count - 1)) for index in range(count)]


def _binomial(taps: int) -> Any:
    """Weights 1, 2, 1 of three taps, 1, 4, 6, 4, 1 of five; the largest is scaled to 1."""
    place = np.arange(1, taps)
    row = np.concatenate([[0.0], np.cumsum(np.log((taps - place) / place))])
    return np.exp(row - row.max())


def _slope(taps: int) -> Any:
    """Differences -1, 0, 1 of three taps, -1, -2, 0, 2, 1 of five, up to a factor."""
    return np.convolve(_binomial(taps - 1), [-1.0, 1.0])


def _taps(extent: Extent) -> tuple[Any, Any]:
    """(y, x) of each tap, from the middle of the kernel, as a column and a row."""
    height, width = (np.arange(n) - (n - 1) / 2 for n in extent)
    return height[:, None], width[None, :]
