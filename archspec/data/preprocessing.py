"""Pixels -> a network's input: one affine map, the same in training and for a new file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar, cast

from pydantic import Field, FiniteFloat, NonNegativeInt

from archspec.data.imagefile import Encoded
from archspec.data.images import decode
from archspec.data.values import BYTES, UNKNOWN, Range
from archspec.lazy import np
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archspec.data.pixels import Pixels

ArrayOrTensor = TypeVar("ArrayOrTensor")

TORCH: Final = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and deviation of ImageNet's RGB, white being 1: torchvision's weights expect them."""

CAFFE_MEAN: Final = (103.939, 116.779, 123.68)
"""Mean of ImageNet's BGR, white being 255: VGG's and the first ResNets' weights expect images
without it."""

MEASURED: Final = 2_000
"""Images that mean and deviation are estimated from, if not all are in memory."""

NEEDS_COLOUR: Final = ("torch", "caffe")
NEEDS_RANGE: Final = ("unit", "symmetric", "torch", "caffe")

Resize = Literal["stretch", "pad", "crop"]
PositiveFinite = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """(pixels - mean) / deviation, for each channel, on the pixels' own scale."""

    mean: tuple[FiniteFloat, ...]
    deviation: tuple[PositiveFinite, ...]
    reverse_channels: bool = False
    """Whether RGB becomes BGR first."""
    resize: Resize = "stretch"
    """The way in which images of other proportions are fitted."""
    range: Range | None = BYTES
    """Black and white in the pixels that it is for; None if they are not known."""
    measured: NonNegativeInt = 0
    """Number of training images that mean and deviation are of; 0 if they are published or
    fixed."""
    inputs: tuple[tuple[str, Preprocessing], ...] = ()
    """The preprocessing of each input, of a network with several; the rest is that of the first."""

    def __call__(self, pixels: ArrayOrTensor) -> ArrayOrTensor:
        """Return pixels, an array or a tensor inside tf.data, normalised as float32.

        Of a network with several inputs, `pixels` and the result are a mapping by their names.
        """
        if self.inputs:
            by_name = cast("Mapping[str, Any]", pixels)
            return cast("ArrayOrTensor", {name: how(by_name[name]) for name, how in self.inputs})

        values: Any = pixels
        if self.reverse_channels:
            values = values[..., ::-1]
        result: Any
        if isinstance(values, np.ndarray):
            # By whole lines: along the few channels NumPy takes several times as long.
            *outer, width, channels = values.shape
            result = values.reshape(*outer, width * channels).astype(np.float32)
            result -= _line(self.mean, width)
            result /= _line(self.deviation, width)
            result = result.reshape(values.shape)
        else:
            import tensorflow as tf  # noqa: PLC0415  (loaded already: it is its tensor)

            result = tf.cast(values, "float32") - _line(self.mean, 1)
            result /= _line(self.deviation, 1)
        return cast("ArrayOrTensor", result)

    def read(self, encoded: Encoded, input_shape: Shape) -> NDArray[Any]:
        """Return a new image file's pixels, (height, width, channels), in the training range.

        Raises `UnreadableError`.
        """
        return decode(encoded, input_shape, self.resize, limits=self.range, exact=True)

    def on(self, limits: Range | None) -> Preprocessing:
        """Return the same preprocessing for pixels with another range of values.

        Raises ValueError if one of the two ranges is not known.
        """
        if limits == self.range:
            return self
        if limits is None or self.range is None:
            raise ValueError("black and white must be known to change them")
        black, ratio = self.range.black, limits.span / self.range.span
        return replace(
            self,
            mean=tuple(limits.black + (value - black) * ratio for value in self.mean),
            deviation=tuple(value * ratio for value in self.deviation),
            range=limits,
        )


@lru_cache(maxsize=16)
def _line(channels: tuple[float, ...], width: int) -> NDArray[np.float32]:
    """Return a value for each channel, repeated for the pixels of a line."""
    return np.tile(np.array(channels, np.float32), width)


def fit(how: str, resize: Resize, pixels: Pixels, train: NDArray[np.intp]) -> Preprocessing:
    """Return the preprocessing that `how` names; `standardize` measures the `train` images."""
    channels, limits = pixels.shape.channels, pixels.range
    black, white = limits or UNKNOWN
    span = white - black
    mean, deviation, measured = (0.0,) * channels, (1.0,) * channels, 0
    match how:
        case "standardize":
            chosen = _sample(pixels, train)
            mean, deviation = _statistics(pixels, chosen)
            measured = len(chosen)
        case "unit":
            mean, deviation = (black,) * channels, (span,) * channels
        case "symmetric":
            mean, deviation = ((black + white) / 2,) * channels, (span / 2,) * channels
        case "torch":
            mean = tuple(black + value * span for value in TORCH[0])
            deviation = tuple(value * span for value in TORCH[1])
        case "caffe":
            mean = tuple(black + value * span / BYTES.span for value in CAFFE_MEAN)
            deviation = (span / BYTES.span,) * channels
    return Preprocessing(mean, deviation, how == "caffe", resize, limits, measured)


def _sample(pixels: Pixels, train: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return all training images if they are in memory, else some, always the same."""
    if pixels.array is not None or len(train) <= MEASURED:
        return train
    return np.sort(np.random.default_rng(0).choice(train, MEASURED, replace=False))


def _statistics(
    pixels: Pixels, chosen: NDArray[np.intp]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and the deviation of each channel; 1 for a channel that does not vary."""
    channels, size = pixels.shape.channels, pixels.shape.size
    step = max(1, 2**20 // size)
    batches = [chosen[start : start + step] for start in range(0, len(chosen), step)]
    # Relative to a value near the mean, little is lost to rounding.
    origin = pixels.read(batches[0]).reshape(-1, channels).mean(axis=0, dtype=np.float64)
    everywhere = np.tile(origin, size // channels)
    sums = np.zeros((2, size))  # for each place at first, which is faster
    for batch in batches:
        values = pixels.read(batch).reshape(len(batch), size) - everywhere
        sums[0] += values.sum(axis=0)
        sums[1] += np.square(values, out=values).sum(axis=0)
    sums = sums.reshape(2, -1, channels).sum(axis=1)
    count = len(chosen) * (size // channels)
    shift, squares = sums / count
    deviation = np.sqrt(np.maximum(squares - shift**2, 0))
    mean = origin + shift
    # For a single level everywhere, only rounding is left.
    deviation[deviation <= 1e-6 * np.maximum(np.abs(mean), 1e-30)] = 1
    return tuple(map(float, mean)), tuple(map(float, deviation))
