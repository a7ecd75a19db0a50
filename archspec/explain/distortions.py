"""Changes of images, in raw pixels: moved, rotated, scaled, squeezed, thicker strokes, noise.

Every change starts from the original image, so that pixels are interpolated once; background comes
into sight. Signals are images of a single row; volumes are changed slice by slice, in the plane of
height and width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from archspec import arguments
from archspec.data.augment.sampling import interpolate
from archspec.data.values import Range
from archspec.errors import UsageError
from archspec.explain.method import finite
from archspec.explain.replacements import check_pixel
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALIKE: Final = 0.05
"""Largest difference of border pixels of one background, as a share of the range."""

INK: Final = 0.1
"""Least difference of ink from the background, as a share of the range."""


class Move(NamedTuple):
    """An affine map of (x, y), counted from the centre: a matrix and a shift."""

    xx: float = 1.0
    xy: float = 0.0
    yx: float = 0.0
    yy: float = 1.0
    right: float = 0.0
    down: float = 0.0


@dataclass(frozen=True, slots=True)
class Ground:
    """The background of images."""

    value: NDArray[Any] | None
    """(channels,) raw values; None where the pixels at the edge are repeated."""
    span: float
    """Difference of white and black."""
    sign: int = 1
    """1 where ink is brighter than its background, else -1."""
    words: str = ""
    """Description of the value."""

    def ink(self, images: NDArray[Any]) -> NDArray[np.bool_] | None:
        """Return which pixels are ink, (n, height, width); None where no background is known."""
        if self.value is None:
            return None
        result: NDArray[Any] = abs(images - self.value).max(axis=-1) > INK * self.span
        return result


def in_planes(images: NDArray[Any]) -> NDArray[Any]:
    """Return signals (n, length, channels) and volumes as images (m, height, width, channels)."""
    if images.ndim < 4:
        return images.reshape(len(images), 1, -1, images.shape[-1])
    return images.reshape(-1, *images.shape[-3:])


def ground(images: NDArray[Any], limits: Range | None, given: str | float | None = None) -> Ground:
    """Return the background of images (n, *shape): by default the value of most border pixels.

    `given` is `black`, `white`, `edge`, or a value, which takes the place of the border's. Raises
    `UsageError` if it is none of these.
    """
    images = in_planes(images.astype(np.float32))
    span = limits.span if limits else float(np.ptp(images)) or 1.0
    if given is not None:
        value, words = _given(given, limits, images.shape[-1])
    else:
        value, words = _border_color(images, span)
    if value is None:
        return Ground(None, span, words=words)
    return Ground(value, span, -1 if (images - value).mean() < 0 else 1, words)


def _given(given: str | float, limits: Range | None, channels: int) -> Any:
    if given == "edge":
        return None, "edge"
    if given in {"black", "white"}:
        if limits is None:
            raise UsageError(
                f"`background={given!r}`: black and white of these arrays are not known; "
                "give the value itself"
            )
        number: float | None = limits.black if given == "black" else limits.white
    elif (number := finite(given)) is None:
        raise arguments.wrong("background", given, "black, white, edge or a number")
    else:
        check_pixel("background", number, limits)
    words = f"{given} ({number:g})" if given in {"black", "white"} else f"{number:g}"
    return np.full(channels, number, np.float32), words


def _border_color(images: NDArray[Any], span: float) -> Any:
    """Return the value of more than half of the border's pixels, (channels,), if there is one."""
    height, width = images.shape[1:3]
    sides = [images[:, :, 0], images[:, :, -1]]
    if height > 1:
        sides += [images[:, 0, 1 : width - 1], images[:, -1, 1 : width - 1]]
    border = np.concatenate([each.reshape(-1, images.shape[-1]) for each in sides])
    value = np.median(border, axis=0).astype(np.float32)
    share = (abs(border - value).max(axis=-1) <= ALIKE * span).mean()
    if share <= 0.5:
        return None, "edge, as the border has no single value"
    values = ", ".join(f"{each:g}" for each in (value[:1] if np.ptp(value) == 0 else value))
    return value, f"{values}, as {share:.0%} of the border"


def moved(images: NDArray[Any], move: Move, around: Ground) -> NDArray[np.float32]:
    """Return images (n, height, width, channels) after a move, by bilinear interpolation."""
    count, height, width, _ = images.shape
    y, x = _from_centre(height, width)
    y, x = y - move.down, x - move.right
    area = move.xx * move.yy - move.xy * move.yx
    # The sine of 180 degrees is not quite 0: rounded, pixels land on pixels.
    rows = np.round((move.xx * y - move.yx * x) / area + (height - 1) / 2, 6)
    columns = np.round((move.yy * x - move.xy * y) / area + (width - 1) / 2, 6)
    extent = count, height, width
    rows, columns = np.broadcast_to(rows, extent), np.broadcast_to(columns, extent)
    if around.value is None:
        return interpolate(images, rows, columns, "edge")
    result = interpolate(images - around.value, rows, columns, "zero")
    result += around.value
    return result


def leaving(move: Move, height: int, width: int) -> NDArray[np.bool_]:
    """Return whether the centre of each pixel leaves the image, (height, width)."""
    y, x = _from_centre(height, width)
    across = np.round(move.xx * x + move.xy * y + move.right, 6)
    along = np.round(move.yx * x + move.yy * y + move.down, 6)
    outside: NDArray[Any] = (abs(across) > width / 2) | (abs(along) > height / 2)
    return outside


def _from_centre(height: int, width: int) -> tuple[NDArray[Any], NDArray[Any]]:
    return np.arange(height)[:, None] - (height - 1) / 2, np.arange(width) - (width - 1) / 2


def thickened(images: NDArray[Any], radius: float, around: Ground) -> NDArray[np.float32]:
    """Return images whose strokes are wider by a radius on each side, or narrower if negative.

    It is a grey dilation by a disc, or an erosion.
    """
    from scipy import ndimage  # noqa: PLC0415

    reach = np.arange(-math.floor(abs(radius)), math.floor(abs(radius)) + 1)
    disc = (reach[:, None] ** 2 + reach**2 <= radius**2)[None, :, :, None]
    change = ndimage.grey_dilation if radius > 0 else ndimage.grey_erosion
    ink = around.sign * (images - around.value)
    wider: NDArray[Any] = change(ink, footprint=disc, mode="constant", cval=0.0)
    result: NDArray[np.float32] = (around.sign * wider + around.value).astype(np.float32)
    return result


def noisy(
    images: NDArray[Any], numbers: Sequence[int] | NDArray[np.intp], deviation: float, seed: int
) -> NDArray[np.float32]:
    """Return images with normal noise, which depends on the seed and their numbers only."""
    result = images.astype(np.float32)
    for at, number in enumerate(numbers):
        draw = np.random.default_rng([seed, int(number)])
        result[at] += np.float32(deviation) * draw.standard_normal(result.shape[1:], np.float32)
    return result


def amounts(name: str, largest: float, steps: int) -> tuple[float, ...]:
    """Return the amounts of a change in order, `steps` to each side of the unchanged image.

    Shifts are whole pixels, which need no interpolation; strokes grow by half pixels; the
    logarithms of factors are evenly spaced. Equal amounts come once.
    """
    parts = [step / steps for step in range(1, steps + 1)]
    if name in FACTORS:
        factors = [largest**part for part in parts]
        return (*(1 / each for each in reversed(factors)), 1.0, *factors)
    result = [largest * part for part in parts]
    if name == "noise":
        return (0.0, *result)
    if name == "stroke":
        result = [each for each in (round(2 * each) / 2 for each in result) if each >= 1]
    elif name != "rotation":
        result = [float(round(each)) for each in result]
    return tuple(sorted({0.0, *result, *(-each for each in result)}))


@dataclass(frozen=True, slots=True)
class Distortion:
    """A kind of change of images that have the same background."""

    name: str
    around: Ground
    limits: Range | None
    """Black and white, which bound noise, where they are known."""
    seed: int

    @property
    def label(self) -> str:
        """Name of its amounts, with their unit."""
        return LABELS[self.name]

    @property
    def none(self) -> float:
        """Amount that changes nothing."""
        return 1.0 if self.name in FACTORS else 0.0

    def __call__(
        self, images: NDArray[Any], amount: float, numbers: Sequence[int] | NDArray[np.intp]
    ) -> NDArray[Any]:
        """Return images (n, *shape) changed by an amount; their numbers determine their noise."""
        if amount == self.none:
            return images
        values = images.astype("float32")
        if self.name == "noise":
            values = noisy(values, numbers, amount * self.around.span, self.seed)
            return values if self.limits is None else values.clip(*self.limits)
        planes = in_planes(values)
        if self.name == "stroke":
            planes = thickened(planes, amount, self.around)
        else:
            planes = moved(planes, MOVES[self.name](amount), self.around)
        return planes.reshape(images.shape)

    def cuts(self, images: NDArray[Any], amount: float) -> NDArray[np.bool_] | None:
        """Return (n,) whether ink leaves an image; None where nothing moves or no ink is known."""
        if self.name not in MOVES:
            return None
        planes = in_planes(images.astype("float32"))
        ink = self.around.ink(planes)
        if ink is None:
            return None
        lost = ink & leaving(MOVES[self.name](amount), *planes.shape[1:3])
        result: NDArray[np.bool_] = np.any(lost.reshape(len(images), -1), axis=1)
        return result


def _turned(degrees: float) -> Move:
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return Move(cosine, sine, -sine, cosine)


MOVES: Final[dict[str, Callable[[float], Move]]] = {
    "translation-x": lambda amount: Move(right=amount),
    "translation-y": lambda amount: Move(down=amount),
    "rotation": _turned,
    "scale": lambda amount: Move(xx=amount, yy=amount),
    "squeeze": lambda amount: Move(xx=math.sqrt(amount), yy=1 / math.sqrt(amount)),
}
"""Moves of pixels, as functions of the amount."""

LABELS: Final = {
    "translation-x": "shift to the right, pixels",
    "translation-y": "shift down, pixels",
    "rotation": "angle anticlockwise, degrees",
    "scale": "scale",
    "squeeze": "width / height, area unchanged",
    "stroke": "stroke wider on each side, pixels",
    "noise": "standard deviation of noise, black to white being 1",
}
"""Names of the amounts of each change."""

FACTORS: Final = frozenset({"scale", "squeeze"})
"""Changes whose amounts are factors, so that 1 changes nothing."""
