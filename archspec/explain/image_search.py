"""An image that a search makes: its scale, its start, how natural it is, and its steps.

`maximize` and `invert` look for an image by the gradient of what they want of it. Both work on
u = (pixel - origin) / span: origin is the mean of the training images where that is known, else
the middle between black and white, and span is white - black. So a step, and the weight of a
prior, mean the same whatever the scale of the pixels is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from archspec.explain.circuit import Tensor
from archspec.explain.subject import Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STARTS: Final = ("noise", "mean", "grey")
"""Where a search can start: the origin with noise added, the origin, the middle of the range."""

NOISE: Final = 0.1
"""Standard deviation of the noise of a start, as a share of the range."""

DECAYS: Final = 0.9, 0.99
"""Decays of Adam's moments. The second is less than usual (0.999), for some hundred steps."""

TINY: Final = 1e-12
"""Keeps Adam's division by the size of a gradient that is 0 from giving no number."""

FLAT: Final = 1e-6
"""Added to squared differences below a root, whose slope at 0 is infinite."""


@dataclass(frozen=True, eq=False)
class Canvas:
    """The scale on which an image for a network is made."""

    origin: NDArray[np.float32]
    """(channels,) raw pixel where u is 0."""
    span: NDArray[np.float32]
    """(channels,) raw pixels that u = 1 is away from it."""
    low: NDArray[np.float32]
    """(channels,) u of black; minus infinity where nobody knows it."""
    high: NDArray[np.float32]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, subject: Subject) -> Canvas:
        """The scale of a network's raw pixels; without known black and white, that of training."""
        import numpy as np  # noqa: PLC0415

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
        """Whether black and white are known, so that the image is kept between them."""
        import numpy as np  # noqa: PLC0415

        return bool(np.isfinite(self.low).all())

    def pixels(self, u: NDArray[Any]) -> NDArray[np.float32]:
        """Raw pixels of u."""
        result: NDArray[np.float32] = u * self.span + self.origin
        return result

    def tensor_of_pixels(self, ops: Any, u: Tensor) -> Tensor:
        """The same of a tensor."""
        return u * ops.array(self.span) + ops.array(self.origin)

    def clipped(self, ops: Any, u: Tensor) -> Tensor:
        """A tensor of u kept between black and white."""
        if not self.is_bounded:
            return u
        return ops.clip(u, ops.array(self.low), ops.array(self.high))

    def u(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """The scale's own values of raw pixels."""
        import numpy as np  # noqa: PLC0415

        result: NDArray[np.float32] = ((pixels - self.origin) / self.span).astype(np.float32)
        return result

    def start(self, kind: str, seed: int) -> NDArray[np.float32]:
        """(*shape) u where a search starts, by NumPy: the same on every backend."""
        import numpy as np  # noqa: PLC0415

        begin = np.zeros(self.shape, np.float32)
        if kind == "grey" and self.is_bounded:
            begin += (self.low + self.high) / 2
        if kind == "noise":
            begin += np.random.default_rng(seed).normal(0, NOISE, self.shape).astype(np.float32)
        return np.clip(begin, self.low, self.high)


def total_variation(ops: Any, u: Tensor, beta: float = 2.0) -> Tensor:
    """(n,) sums over pixels and channels of (dx^2 + dy^2)^(beta / 2), for (n, *spatial, channels).

    dx and dy are the differences to the next pixel, 0 at the last: Mahendran and Vedaldi 2015,
    section 3. A lone pixel of 1 has 4 for beta 2, and 3.41 for beta 1. Below 2 the slope of the
    power has no limit at 0, where a flat image is, so `FLAT` is added inside.
    """
    squares = ops.zeros_like(u)
    for axis in range(1, len(u.shape) - 1):
        extent = u.shape[axis]
        last = ops.take(u, ops.array([extent - 1]), axis=axis)
        following = ops.concatenate([_sliced(u, axis, 1, extent), last], axis=axis)
        squares = squares + ops.square(following - u)
    if beta != 2:
        squares = ops.power(squares + FLAT, beta / 2) - FLAT ** (beta / 2)
    return ops.sum(squares, axis=tuple(range(1, len(u.shape))))


def _sliced(u: Tensor, axis: int, start: int, stop: int) -> Tensor:
    return u[(slice(None),) * axis + (slice(start, stop),)]


def rolled(ops: Any, u: Tensor, shift: Tensor) -> Tensor:
    """Images moved by whole pixels, (one number for each spatial axis); what leaves comes back."""
    for axis in range(1, len(u.shape) - 1):
        extent = u.shape[axis]
        u = ops.take(u, ops.mod(ops.arange(extent) - shift[axis - 1], extent), axis=axis)
    return u


def blurred(ops: Any, u: Tensor, sigma: float) -> Tensor:
    """Images smoothed by a Gaussian of this standard deviation in pixels; each axis by a matrix."""
    import numpy as np  # noqa: PLC0415

    for axis in range(1, len(u.shape) - 1):
        places = np.arange(u.shape[axis])
        weights = np.exp(-((places[:, None] - places) ** 2) / (2 * sigma**2))
        matrix = ops.array((weights / weights.sum(axis=1, keepdims=True)).astype(np.float32))
        u = ops.moveaxis(ops.tensordot(matrix, u, axes=[[1], [axis]]), 0, axis)
    return u


def descended(
    ops: Any, number: Tensor, steps: Tensor, state: tuple[Tensor, ...], slope: Tensor, rate: Tensor
) -> tuple[Tensor, ...]:
    """(u, first, second moment) after a step of Adam against a slope (Kingma and Ba 2014).

    The rate falls along half a cosine to 0 at the last step, so that the search comes to rest.
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
    """The steps of a search in stretches (first, to before last), between which it can end."""
    length = max(1, math.ceil(steps / count))
    return [(first, min(first + length, steps)) for first in range(0, steps, length)]
