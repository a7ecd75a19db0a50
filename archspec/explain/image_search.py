"""Search for an image by gradient descent: its scale, start, priors and steps.

`maximize` and `invert` work on u = (pixel - origin) / span: origin is the mean of the training
images where it is known, else the middle between black and white, and span is white - black. So
steps and weights of priors do not depend on the scale of the pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from archspec.explain.circuit import AnyTensor
from archspec.explain.subject import Subject
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

STARTS: Final = ("noise", "mean", "grey")
"""Starts of a search: the origin with noise, the origin, the middle of the range."""

NOISE: Final = 0.1
"""Standard deviation of the noise of a start, as a share of the range."""

DECAYS: Final = 0.9, 0.99
"""Decays of Adam's moments. The second is below the usual 0.999, for a few hundred steps."""

TINY: Final = 1e-12
"""Number that keeps Adam from dividing by 0."""

FLAT: Final = 1e-6
"""Number that is added below a root, whose slope at 0 is infinite."""


@dataclass(frozen=True, eq=False)
class Canvas:
    """The scale of an image that is searched for."""

    origin: NDArray[np.float32]
    """(channels,) raw pixel at u = 0."""
    span: NDArray[np.float32]
    """(channels,) difference of raw pixels per u."""
    low: NDArray[np.float32]
    """(channels,) u of black; minus infinity where it is not known."""
    high: NDArray[np.float32]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, subject: Subject) -> Canvas:
        """Return a network's scale; without known black and white, that of its preparation."""
        how, limits = subject.preprocessing, subject.range
        mean = np.array(how.mean[:: -1 if how.reverse_channels else 1], np.float32)
        shape = tuple(subject.shape)
        if limits is None:
            endless = np.full_like(mean, np.inf)
            return cls(mean, np.array(how.deviation, np.float32), -endless, endless, shape)
        origin = mean if how.measured else np.full_like(mean, (limits.black + limits.white) / 2)
        span = np.full_like(mean, limits.span)
        return cls(
            origin, span, (limits.black - origin) / span, (limits.white - origin) / span, shape
        )

    @property
    def is_bounded(self) -> bool:
        """Whether black and white are known, so that the image stays between them."""
        return bool(np.isfinite(self.low).all())

    @property
    def notes(self) -> list[str]:
        """Remarks on the images that a search can find."""
        if self.is_bounded:
            return []
        return ["black and white are not known: nothing keeps the images between them"]

    def pixels(self, u: NDArray[Any]) -> NDArray[np.float32]:
        """Return the raw pixels of u."""
        result: NDArray[np.float32] = u * self.span + self.origin
        return result

    def tensor_of_pixels(self, ops: Any, u: AnyTensor) -> AnyTensor:
        """Return the raw pixels of a tensor of u."""
        return u * ops.array(self.span) + ops.array(self.origin)

    def clipped(self, ops: Any, u: AnyTensor) -> AnyTensor:
        """Return a tensor of u clipped to black and white."""
        if not self.is_bounded:
            return u
        return ops.clip(u, ops.array(self.low), ops.array(self.high))

    def u(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return u of raw pixels."""
        result: NDArray[np.float32] = ((pixels - self.origin) / self.span).astype(np.float32)
        return result

    def start(self, kind: str, seed: int) -> NDArray[np.float32]:
        """Return (*shape) u at which a search starts, drawn by NumPy on every backend."""
        begin = np.zeros(self.shape, np.float32)
        if kind == "grey" and self.is_bounded:
            begin += (self.low + self.high) / 2
        if kind == "noise":
            begin += np.random.default_rng(seed).normal(0, NOISE, self.shape).astype(np.float32)
        return np.clip(begin, self.low, self.high)


def total_variation(ops: Any, u: AnyTensor, beta: float = 2.0) -> AnyTensor:
    """Return (n,) sums of (dx^2 + dy^2)^(beta / 2) over pixels and channels of images.

    dx and dy are the differences to the next pixel, 0 at the last: Mahendran and Vedaldi 2015,
    section 3. A lone pixel of 1 gives 4 for beta 2, and 3.41 for beta 1. Below 2 the slope of the
    power is infinite at 0, in flat images, so `FLAT` is added inside.
    """
    squares = ops.zeros_like(u)
    for axis in range(1, len(u.shape) - 1):
        extent = u.shape[axis]
        last = ops.take(u, ops.array([extent - 1]), axis=axis)
        following = ops.concatenate([u[(slice(None),) * axis + (slice(1, None),)], last], axis=axis)
        squares = squares + ops.square(following - u)
    if beta != 2:
        squares = ops.power(squares + FLAT, beta / 2) - FLAT ** (beta / 2)
    return ops.sum(squares, axis=tuple(range(1, len(u.shape))))


def rolled(ops: Any, u: AnyTensor, shift: AnyTensor) -> AnyTensor:
    """Return images moved cyclically by whole pixels, a number for each spatial axis."""
    for axis in range(1, len(u.shape) - 1):
        extent = u.shape[axis]
        u = ops.take(u, ops.mod(ops.arange(extent) - shift[axis - 1], extent), axis=axis)
    return u


def blurred(ops: Any, u: AnyTensor, sigma: float) -> AnyTensor:
    """Return images smoothed by a Gaussian of a standard deviation in pixels, axis by axis."""
    for axis in range(1, len(u.shape) - 1):
        places = np.arange(u.shape[axis])
        weights = np.exp(-((places[:, None] - places) ** 2) / (2 * sigma**2))
        matrix = ops.array((weights / weights.sum(axis=1, keepdims=True)).astype(np.float32))
        u = ops.moveaxis(ops.tensordot(matrix, u, axes=[[1], [axis]]), 0, axis)
    return u


def descended(
    ops: Any,
    number: AnyTensor,
    steps: AnyTensor,
    state: tuple[AnyTensor, ...],
    slope: AnyTensor,
    rate: AnyTensor,
) -> tuple[AnyTensor, ...]:
    """Return (u, first, second moment) after a step of Adam (Kingma and Ba 2014).

    The rate falls to 0 along half a cosine, so that the search converges.
    """
    u, first, second = state
    done = ops.cast(number, "float32") / ops.cast(steps, "float32")
    rate = rate * (1 + ops.cos(math.pi * done)) / 2
    first = DECAYS[0] * first + (1 - DECAYS[0]) * slope
    second = DECAYS[1] * second + (1 - DECAYS[1]) * ops.square(slope)
    age = ops.cast(number + 1, "float32")
    mean, size = first / (1 - DECAYS[0] ** age), second / (1 - DECAYS[1] ** age)
    return u - rate * mean / (ops.sqrt(size) + TINY), first, second


def stretches(steps: int, count: int = 10) -> list[tuple[int, int]]:
    """Return the steps of a search in stretches (first, last), between which it can end."""
    length = max(1, math.ceil(steps / count))
    return [(first, min(first + length, steps)) for first in range(0, steps, length)]
