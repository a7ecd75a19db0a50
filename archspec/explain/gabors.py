"""Gabor functions, which describe cells of the visual cortex, fitted to kernels."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from archspec.lazy import np
from archspec.ops.banks import gabor

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALLEST: Final = 5
"""Smallest side of a kernel: 3x3 weights are 9 numbers for 9 parameters."""

COLOURS: Final = 4
"""Largest number of channels of a kernel: a Gabor function has at most a color."""

STARTS: Final = 8
"""Number of starting points of a fit, which ends in one of many local minima."""

RANDOM: Final = 20
"""Number of kernels of white noise that are fitted for comparison."""

_FIRST_STEPS: Final = 10
"""Largest number of steps from each start."""

_FOLLOWED: Final = 2
"""Number of starts that are continued: those with the best fits."""

_STEPS: Final = 60
"""Largest number of further steps."""


@dataclass(frozen=True, eq=False)
class Fit:
    """The Gabor function that fits a kernel best.

    amplitude exp(-(x'^2 + aspect^2 y'^2) / (2 sigma^2)) cos(2 pi x' / wavelength + phase) + offset
    """

    r2: float
    """Share of the kernel's variance that the function explains."""
    values: NDArray[Any]
    """(height, width) values of the function."""
    amplitude: float
    wavelength: float
    """Wavelength, in taps."""
    orientation: float
    """Direction of the wave, in degrees from 0 to 180, turning from x to y."""
    phase: float
    """Phase, in degrees."""
    sigma: float
    """Deviation of the Gaussian along the wave, in taps."""
    aspect: float
    centre: tuple[float, float]
    """(y, x) in taps from the middle."""
    offset: float


def pattern(kernel: NDArray[Any]) -> NDArray[Any]:
    """Return the spatial pattern (height, width) that explains most of a kernel with channels.

    That is its first singular vector; for one channel, the kernel itself.
    """
    *space, channels = kernel.shape
    if channels == 1:
        return kernel[..., 0].astype(np.float64)
    vectors, strengths, _ = np.linalg.svd(kernel.reshape(-1, channels), full_matrices=False)
    first: NDArray[Any] = (vectors[:, 0] * strengths[0]).reshape(space).astype(np.float64)
    return first


def fit(kernel: NDArray[Any], seed: int) -> Fit | None:
    """Return the Gabor function that fits a kernel by least squares; None for a constant one.

    The kernel is (height, width), at least 5x5. Amplitude, phase and offset are linear and solved
    for at each step (variable projection: Golub and Pereyra 1973); orientation, wavelength, sigma,
    aspect and centre are searched for from `STARTS` random points. A wave is at least 2 taps long,
    the Nyquist limit, and at most four times the kernel's side.
    """
    from scipy.optimize import least_squares  # noqa: PLC0415

    height, width = kernel.shape
    spread = float(kernel.std())
    if not spread > 0:
        return None
    wanted = ((kernel - kernel.mean()) / spread).ravel()
    side = max(height, width)
    least = [
        -np.inf,
        math.log(2),
        math.log(0.5),
        math.log(0.2),
        -(height - 1) / 2,
        -(width - 1) / 2,
    ]
    most = [np.inf, math.log(4 * side), math.log(side), math.log(5), *(-edge for edge in least[4:])]
    random = np.random.default_rng(seed)

    def residuals(place: NDArray[Any]) -> NDArray[Any]:
        basis = _basis(place, (height, width))
        left: NDArray[Any] = basis @ _shares(basis, wanted) - wanted
        return left

    def descend(starts: Any, steps: int) -> list[Any]:
        ends = [
            least_squares(residuals, start, bounds=(least, most), ftol=1e-6, max_nfev=steps)
            for start in starts
        ]
        return sorted(ends, key=lambda end: float(end.cost))

    tried = descend(_starts(random, side), _FIRST_STEPS)
    place = descend([end.x for end in tried[:_FOLLOWED]], _STEPS)[0].x
    basis = _basis(place, (height, width))
    shares = _shares(basis, wanted)
    even, odd, constant = shares * spread
    angle = float(place[0])
    wavelength, sigma, aspect = (float(each) for each in np.exp(place[1:4]))
    return Fit(
        r2=1 - float(((basis @ shares - wanted) ** 2).mean()),
        values=(basis @ shares).reshape(height, width) * spread + kernel.mean(),
        amplitude=math.hypot(even, odd),
        wavelength=wavelength,
        orientation=math.degrees(angle) % 180,
        phase=_phase(even, odd, angle),
        sigma=sigma,
        aspect=aspect,
        centre=(float(place[4]), float(place[5])),
        offset=float(constant + kernel.mean()),
    )


def _phase(even: float, odd: float, angle: float) -> float:
    """Return the phase in degrees, for a direction from 0 to 180."""
    phase = math.degrees(math.atan2(-odd, even))
    turned = math.degrees(angle) % 360 >= 180  # the same wave in the opposite direction
    return (-phase if turned else phase) % 360


def _starts(random: Any, side: int) -> list[list[float]]:
    """Return starting points: evenly spaced orientations, the rest random."""
    return [
        [
            math.pi * (number + random.uniform()) / STARTS,
            math.log(random.uniform(2.5, side)),
            math.log(random.uniform(side / 5, side / 2)),
            0.0,
            random.uniform(-1, 1),
            random.uniform(-1, 1),
        ]
        for number in range(STARTS)
    ]


def _basis(place: NDArray[Any], extent: tuple[int, int]) -> NDArray[Any]:
    """Return (taps, 3): the wave as a cosine and as a sine, and a constant."""
    wavelength, sigma, aspect = np.exp(place[1:4])
    waves = [
        gabor(
            extent,
            wavelength=wavelength,
            orientation=place[0],
            phase=phase,
            sigma=sigma,
            aspect=aspect,
            centre=(place[4], place[5]),
        ).ravel()
        for phase in (0.0, -math.pi / 2)
    ]
    return np.stack([*waves, np.ones_like(waves[0])], axis=1)


def _shares(basis: NDArray[Any], wanted: NDArray[Any]) -> NDArray[Any]:
    """Return the weights of the basis functions that fit best."""
    result: NDArray[Any] = np.linalg.lstsq(basis, wanted, rcond=None)[0]
    return result


def random_r2(shape: tuple[int, ...], seed: int, tick: Callable[[], None]) -> list[float]:
    """Return R^2 of fits to kernels of white noise (height, width, channels), in ascending order.

    `tick` is called before each of the `RANDOM` fits.
    """
    random = np.random.default_rng(seed)
    result = []
    for number in range(RANDOM):
        tick()
        fitted = fit(pattern(random.standard_normal(shape)), seed + number)
        result.append(fitted.r2 if fitted else 0.0)
    return sorted(result)
