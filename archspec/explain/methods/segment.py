"""Segmentation by GrabCut, seeded by a map of what a class's score depends on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Unpack

from archspec.diagnostics import UsageError
from archspec.explain.attribution import ATTRIBUTIONS, Group, groups, maps_by
from archspec.explain.gallery import Exhibit, Gallery, Picture, Value
from archspec.explain.method import TARGET, Option, method
from archspec.explain.samples import Images
from archspec.explain.study import Common, Study
from archspec.explain.subject import Explainable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SEEDS: Final = ("soft", "hard")
FOREGROUND: Final = 0.95
BACKGROUND: Final = 0.30
ITERATIONS: Final = 5

BLUR: Final = 1 / 32
"""Standard deviation of the map's blur, by default, as a share of the image's longer side."""


@method(
    target=TARGET,
    by=Option("The method whose map seeds the cut.", choices=tuple(ATTRIBUTIONS), metavar="METHOD"),
    seeds=Option("`soft` seeds may be undone by the cut, `hard` ones may not.", choices=SEEDS),
    foreground=Option("Quantile of the map above which a pixel is inside.", "number", 0, 1),
    background=Option("Quantile of the map up to which a pixel is outside.", "number", 0, 1),
    blur=Option(
        "Standard deviation of the map's blur in pixels.  [1/32 of the longer side]",
        "number",
        0,
        1000,
    ),
    iterations=Option("Iterations of the cut.", "whole", 1, 1_000),
    truth=Option("A true mask for each image, to compare with: files.", several=True),
    ink=Option("Compare with the pixels that are brighter than this raw value.", "number"),
)
def segment(
    run: Explainable,
    images: Images = None,
    *,
    target: str | int | None = None,
    by: str = "saliency",
    seeds: str = "soft",
    foreground: float = FOREGROUND,
    background: float = BACKGROUND,
    blur: float | None = None,
    iterations: int = ITERATIONS,
    truth: Sequence[str] = (),
    ink: float | None = None,
    **common: Unpack[Common],
) -> Gallery:
    """Return masks of what a class's score depends on: GrabCut, seeded by a map.

    The map is blurred. Pixels up to its lower quantile begin as background and all others as
    foreground; then the cut separates their colours. With `soft` seeds it may change every pixel;
    with `hard` ones those above the upper quantile stay foreground and those up to the lower one
    background, however noisy the map is. Of the cut the largest connected part is kept. Simonyan,
    Vedaldi and Zisserman 2013, section 3.2; Rother, Kolmogorov and Blake 2004, GrabCut.

    It needs a map that is strong on the object itself: of digits the gradient is as strong beside
    the ink as on it, and `integrated_gradients` is not.

    Args:
        run: a run, its folder, a .keras file, a Keras model, or a spec.
        images: files, folders, arrays, or images of the data such as `test:0-3`.
        target: the class, by name; by default the one that the network finds most probable.
        by: the method whose map seeds the cut; of a signed map what is above 0.
        seeds: `soft` or `hard`.
        foreground: quantile of the map above which a pixel is inside, for `hard` seeds.
        background: quantile of the map up to which a pixel is outside.
        blur: standard deviation of the map's blur in pixels; by default 1/32 of the longer side.
        iterations: iterations of GrabCut.
        truth: a file with the true mask of each image, white inside, to compare with.
        ink: raw value above which a pixel is ink, to compare the mask with.
        **common: `normalize`, `white`, `data`, `batch`, `seed`, `progress`: see `Common`.

    Returns:
        A gallery with an exhibit for each image: the image, its mask (height, width), and the map.

    Raises:
        UsageError: there is no such run, image, class or mask; the images are not pictures of 1 or
            3 channels; or OpenCV is missing.

    """
    if background >= foreground:
        raise UsageError(
            f"`background={background:g}` must be below `foreground={foreground:g}`: both are "
            "quantiles of the map"
        )
    if truth and ink is not None:
        raise UsageError("give either `truth=` or `ink=`, not both")
    opencv()
    study = Study.open(run, images, **common)
    subject = study.subject
    if subject.shape.rank != 2 or subject.shape.channels not in (1, 3):
        raise UsageError(
            f"GrabCut cuts pictures of 1 or 3 channels, and {subject.name} takes {subject.shape}"
        )
    masks = [read_mask(file, subject.shape[:2]) for file in truth]
    if masks and len(masks) != len(study.samples):
        raise UsageError(f"`truth=` has {len(masks)} masks for {len(study.samples)} images")
    deviation = BLUR * max(subject.shape[:2]) if blur is None else blur
    options = Cut(seeds, foreground, background, deviation, iterations)
    explain = maps_by(by)

    def exhibits() -> Iterator[Exhibit]:
        for group in groups(study, target, 1):
            (map_,) = explain(
                subject,
                group.pixels,
                group.targets,
                batch=study.batch,
                seed=study.seed,
                tick=group.tick,
            )
            mask = cut(study.shown(group.pixels[0]), map_, options, study.seed)
            real = masks[group.begin] if masks else None
            if ink is not None:
                real = group.pixels[0].mean(axis=-1) > ink
            yield _exhibit(group, by, map_, mask, real, options)

    settings = {"target": target, "by": by, **options._asdict(), "truth": list(truth), "ink": ink}
    return study.gallery("segment", exhibits(), settings)


def _exhibit(
    group: Group,
    by: str,
    map_: NDArray[Any],
    mask: NDArray[np.bool_],
    real: NDArray[np.bool_] | None,
    options: Cut,
) -> Exhibit:
    facts: dict[str, Value] = {"map": by, "seeds": options.seeds, "inside": float(mask.mean())}
    said = f"; {_share(mask)}"
    if real is not None:
        facts["IoU"] = overlap(mask, real)
        said += f", IoU {facts['IoU']:.2f}"
    over = group.study.shown(group.pixels[0])
    items = [
        Picture("mask", "what is inside", mask, "mask", facts, over=over),
        Picture("map", by, map_, ATTRIBUTIONS[by]),
    ]
    return group.exhibit(0, "segment", items, said, **facts)


def _share(mask: NDArray[np.bool_]) -> str:
    """How much is inside, and what that means where the cut failed."""
    if not mask.any():
        return "nothing is left inside: the seeds have the colours of the background"
    if mask.all():
        return "everything is inside: the seeds have the colours of the background"
    return f"{mask.mean():.1%} inside"


class Cut(NamedTuple):
    """How a map seeds a cut."""

    seeds: str
    foreground: float
    background: float
    blur: float
    iterations: int


def cut(image: NDArray[Any], map_: NDArray[Any], options: Cut, seed: int = 0) -> NDArray[np.bool_]:
    """Return the largest connected part that GrabCut finds inside, (height, width).

    Args:
        image: (height, width, 1 or 3), from 0 to 1.
        map_: (height, width) of how much a pixel matters; what is below 0 does not.
        options: how the map seeds the cut.
        seed: seed of OpenCV's random numbers, by which it groups colours.

    """
    import numpy as np  # noqa: PLC0415
    from scipy import ndimage  # noqa: PLC0415

    cv2 = opencv()
    strength = ndimage.gaussian_filter(np.maximum(map_, 0).astype(float), options.blur)
    marks = seeds_of(strength, options)
    inside = (marks & 1).astype(bool)  # OpenCV's marks of the foreground are odd
    if not inside.any() or inside.all():  # OpenCV takes no such seeds
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
    found: NDArray[np.bool_] = parts == sizes.argmax() + 1
    return found


def seeds_of(strength: NDArray[Any], options: Cut) -> NDArray[np.uint8]:
    """OpenCV's marks: 0 and 1 are background and foreground for good, 2 and 3 probably."""
    import numpy as np  # noqa: PLC0415

    low, high = np.quantile(strength, [options.background, options.foreground])
    outside = strength <= low
    if options.seeds == "soft":
        return np.where(outside, 2, 3).astype(np.uint8)
    marks = np.where(strength > high, 1, 3)
    return np.where(outside, 0, marks).astype(np.uint8)


def overlap(mask: NDArray[np.bool_], real: NDArray[np.bool_]) -> float:
    """Intersection over union of two masks; 1 where both are empty."""
    union = int((mask | real).sum())
    return int((mask & real).sum()) / union if union else 1.0


def read_mask(file: str, extent: Sequence[int]) -> NDArray[np.bool_]:
    """Return a mask of the image's extent from a picture or a .npy file, white being inside.

    Raises:
        UsageError: it cannot be read, or has another extent.

    """
    import numpy as np  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    try:
        if file.endswith(".npy"):
            values = np.load(file, allow_pickle=False)
        else:
            with Image.open(file) as picture:
                values = np.asarray(picture.convert("L")) > 127
    except (OSError, ValueError, SyntaxError) as error:
        raise UsageError(f"`truth={file!r}` cannot be read as a mask: {error}") from None
    if values.shape != tuple(extent):
        raise UsageError(
            f"`truth={file!r}` has the extent {values.shape}, and the network takes {tuple(extent)}"
        )
    inside: NDArray[np.bool_] = values.astype(bool)
    return inside


def opencv() -> Any:
    """OpenCV, which the extras of the engines hold.

    Raises:
        UsageError: it is not installed.

    """
    try:
        import cv2  # noqa: PLC0415
    except ImportError:
        raise UsageError("GrabCut needs OpenCV: pip install opencv-python-headless") from None
    return cv2
