"""Masks: computed by GrabCut from the seeds of a map, read from a file, and compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from archspec.errors import UsageError
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Cut(NamedTuple):
    """Settings of a cut: see `segment`."""

    seeds: str
    foreground: float
    background: float
    blur: float
    iterations: int


def cut(image: NDArray[Any], map_: NDArray[Any], options: Cut, seed: int = 0) -> NDArray[np.bool_]:
    """Return the largest connected part of the foreground by GrabCut, (height, width).

    `image` is (height, width, 1 or 3), from 0 to 1. `map_` is the importance of each pixel,
    (height, width); values below 0 count as 0. OpenCV groups colors by random numbers of `seed`.
    """
    from scipy import ndimage  # noqa: PLC0415

    cv2 = opencv()
    strength = ndimage.gaussian_filter(np.maximum(map_, 0).astype(float), options.blur)
    marks = seeds_of(strength, options)
    inside = (marks & 1).astype(bool)  # OpenCV's marks of the foreground are odd
    if not inside.any() or inside.all():  # OpenCV refuses such seeds
        return inside
    colours = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    if colours.shape[-1] == 1:
        colours = np.repeat(colours, 3, axis=-1)
    cv2.setRNGSeed(seed % 2**31)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(
        np.ascontiguousarray(colours),
        marks,
        None,
        *models,
        options.iterations,
        cv2.GC_INIT_WITH_MASK,
    )
    parts, count = ndimage.label(marks & 1)
    if not count:
        return np.zeros(inside.shape, bool)
    sizes = np.bincount(parts.ravel())[1:]
    result: NDArray[np.bool_] = parts == sizes.argmax() + 1
    return result


def seeds_of(strength: NDArray[Any], options: Cut) -> NDArray[np.uint8]:
    """Return OpenCV's marks: 0 and 1 are background and foreground, 2 and 3 probably so."""
    low, high = np.quantile(strength, [options.background, options.foreground])
    outside = strength <= low
    if options.seeds == "soft":
        return np.where(outside, 2, 3).astype(np.uint8)
    marks = np.where(strength > high, 1, 3)
    return np.where(outside, 0, marks).astype(np.uint8)


def overlap(mask: NDArray[np.bool_], real: NDArray[np.bool_]) -> float:
    """Return the intersection over union of two masks; 1 if both are empty."""
    union = int((mask | real).sum())
    return int((mask & real).sum()) / union if union else 1.0


def read_mask(file: str, extent: Sequence[int]) -> NDArray[np.bool_]:
    """Return a mask of the image's extent from a picture or .npy file, white inside.

    Raise `UsageError` if it cannot be read, or has another extent.
    """
    from PIL import Image  # noqa: PLC0415

    try:
        if file.endswith(".npy"):
            values = np.load(file, allow_pickle=False)
        else:
            with Image.open(file) as picture:
                values = np.asarray(picture.convert("L")) > 127
    except (OSError, ValueError, SyntaxError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"`truth={file!r}` cannot be read as a mask: {why}") from None
    if values.shape != tuple(extent):
        raise UsageError(
            f"`truth={file!r}` has the extent {values.shape}, and the network takes {tuple(extent)}"
        )
    inside: NDArray[np.bool_] = values.astype(bool)
    return inside


def opencv() -> Any:
    """Return OpenCV, which the extras of the engines install.

    Raise `UsageError` if it is not installed.
    """
    try:
        import cv2  # noqa: PLC0415
    except ImportError:
        raise UsageError("GrabCut needs OpenCV: pip install opencv-python-headless") from None
    return cv2
