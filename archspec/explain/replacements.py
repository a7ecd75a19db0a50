"""Replacements of pixels that are removed: black, white, the mean, the image blurred."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from archspec import arguments
from archspec.data.values import Range
from archspec.errors import UsageError
from archspec.explain.method import finite
from archspec.explain.subject import Subject
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

WORDS: Final = ("mean", "black", "white", "blurred")

BLUR: Final = 0.1
"""Standard deviation of the blur, as a share of the image's longest side."""


def checked(argument: str, how: str | float) -> str | float:
    """Return one of `WORDS`, or a number; raise `UsageError` if `how` is neither."""
    if how in WORDS:
        return str(how)
    number = finite(how)
    if number is None:
        raise arguments.wrong(argument, how, f"a raw pixel's value, or one of {', '.join(WORDS)}")
    return number


def check_pixel(argument: str, value: float, limits: Range | None) -> None:
    """Raise `UsageError` for a value beyond black and white, where they are known."""
    if limits and not limits.black <= value <= limits.white:
        raise UsageError(
            f"`{argument}={value:g}`: pixels lie between {limits.black:g}, black, and "
            f"{limits.white:g}, white"
        )


def stand_in(
    subject: Subject, pixels: NDArray[Any], how: str | float, argument: str
) -> tuple[NDArray[np.float32], str]:
    """Return the replacements of an image's pixels (*shape), and their description.

    `how` is a word of `WORDS`, or a raw pixel's value. `mean` is that of the training images for
    each channel, where the run measured it, and else that of the image itself. Raises `UsageError`,
    which names the `argument`, for black or white that are not known.
    """
    if how == "blurred":
        from scipy.ndimage import gaussian_filter  # noqa: PLC0415

        *extent, _ = pixels.shape
        deviation = BLUR * max(extent)
        widths = [*(deviation for _ in extent), 0.0]
        result = gaussian_filter(pixels.astype(np.float32), widths, mode="nearest")
        return result, f"the image blurred (Gaussian, deviation {deviation:.3g} pixels)"
    value, words = _value(subject, pixels, how, argument)
    return np.broadcast_to(np.asarray(value, np.float32), pixels.shape), words


def _value(
    subject: Subject, pixels: NDArray[Any], how: str | float, argument: str
) -> tuple[Any, str]:
    """Return a value for all channels, or one for each."""
    if how == "mean":
        preprocessing = subject.preprocessing
        if preprocessing.measured and not preprocessing.reverse_channels:
            return preprocessing.mean, f"the training images' mean, {_listed(preprocessing.mean)}"
        mean = pixels.reshape(-1, pixels.shape[-1]).mean(axis=0, dtype=float)
        return mean, f"the image's own mean, {_listed(mean)}"
    if not isinstance(how, str):
        check_pixel(argument, how, subject.range)
        return how, f"{how:g}"
    if subject.range is None:
        raise UsageError(
            f"`{argument}={how!r}`: {subject.name} was trained on arrays of which black and white "
            "are not known; give a number"
        )
    value = subject.range.black if how == "black" else subject.range.white
    return value, f"{how}, {value:g}"


def _listed(values: Any) -> str:
    """Return the values of the channels as text, the first few of many."""
    shown = ", ".join(f"{value:.4g}" for value in values[:3])
    return shown + (", .." if len(values) > 3 else "")
