"""Integrated gradients: what each pixel adds to a score, on the way from a baseline."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, Unpack

from archspec.explain import replacements
from archspec.explain.attribution import MapRequest, class_gradients, groups
from archspec.explain.gallery import Exhibit, Gallery, Picture
from archspec.explain.method import Allowed, ClassName, PixelValue, method
from archspec.explain.samples import ImagesLike
from archspec.explain.study import Common, Study
from archspec.explain.subject import Explainable, even
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEPS: Final = 50
LIMIT: Final = 1_350
GAP: Final = 0.01
"""Largest part of score(x) - score(baseline) that the map may miss before steps are refined."""

ROUNDING: Final = 1e-5
"""Share of the sum of |map| below which a gap is the rounding of float32."""


@method
def integrated_gradients(
    run: Explainable,
    images: ImagesLike = None,
    *,
    target: ClassName = None,
    baseline: PixelValue = "black",
    steps: Annotated[int, Allowed(1, 1_000_000)] = STEPS,
    limit: Annotated[int, Allowed(1)] = LIMIT,
    **common: Unpack[Common],
) -> Gallery:
    """Return what each pixel adds to the score of a class, from a baseline to the image.

    The map is (x - x0) times the mean of d score / d pixel on the straight way from the baseline x0
    to the image x, summed over the channels; its sum is score(x) - score(x0) (completeness). The
    integral is taken by the midpoint rule; the share of the sum that is missing is reported, and
    while it is over 1 % the points are tripled, up to a limit. Sundararajan, Taly and Yan 2017,
    Axiomatic attribution for deep networks, section 3.

    Args:
        run: a run, its folder, a model file, a Keras model, or a spec.
        images: files, folders, arrays, or images of the data such as `test:0-3`.
        target: the class, by name; by default the most probable one.
        baseline: the image where the way begins: `black`, `white`, `mean`, `blurred`, or a raw
            pixel's value.
        steps: points on the way, at first.
        limit: largest number of points: they are tripled while over 1 % of the sum is missing.
        **common: `normalize`, `white`, `data`, `batch`, `seed`, `progress`: see `Common`.

    Returns:
        A gallery with an exhibit for each image: the image, its signed map (height, width), and the
        baseline.

    Raises:
        UsageError: there is no such run, image or class.

    """
    baseline = replacements.checked("baseline", baseline)
    study = Study.open(run, images, **common)

    def exhibits() -> Iterator[Exhibit]:
        for group in groups(study, target, 1):
            start, words = replacements.stand_in(
                study.subject, group.pixels[0], baseline, "baseline"
            )
            result = integral(group, start, steps, limit)
            pictures = [
                Picture("integrated-gradients", "what pixels add", result.map, "signed"),
                study.picture_of(start, "baseline", "baseline"),
            ]
            facts = {"baseline": words, **result.facts()}
            extra = f"; {result.words()}"
            yield group.exhibit("integrated gradients", pictures, facts, extra=extra)

    return study.gallery(exhibits(), baseline=baseline)


def maps(
    request: MapRequest,
    *,
    baseline: str | float = "black",
    steps: int = STEPS,
    limit: int = LIMIT,
) -> NDArray[np.float64]:
    """Return what each pixel adds to the score, summed over the channels."""
    results = []
    for each in request.each():
        start, _ = replacements.stand_in(each.subject, each.pixels[0], baseline, "baseline")
        results.append(integral(each, start, steps, limit).map)
        each.tick(1, 1)
    return np.stack(results)


class Integral(NamedTuple):
    """An integral of gradients, and how complete it is."""

    values: NDArray[np.float64]
    """(*shape): (x - x0) times the mean gradient."""
    difference: float
    """score(x) - score(x0)."""
    steps: int

    @property
    def map(self) -> NDArray[np.float64]:
        """The values summed over the channels."""
        summed: NDArray[np.float64] = self.values.sum(axis=-1)
        return summed

    @property
    def gap(self) -> float:
        """Part of the difference that the values miss; 0 where that is mere rounding."""
        missing = abs(float(self.values.sum()) - self.difference)
        if missing <= ROUNDING * float(abs(self.values).sum()):
            return 0.0
        return missing / abs(self.difference) if self.difference else math.inf

    def facts(self) -> dict[str, Any]:
        return {
            "score above the baseline's": self.difference,
            "sum of the map": float(self.values.sum()),
            "missing": self.gap,
            "steps": self.steps,
        }

    def words(self) -> str:
        """Return how complete it is, for a summary."""
        points = "1 step" if self.steps == 1 else f"{self.steps:,} steps"
        text = f"{self.gap:.2%} missing after {points}"
        return text if self.gap <= GAP else f"{text}: over {GAP:.0%}, raise `limit=`"


def integral(request: MapRequest, baseline: NDArray[Any], steps: int, limit: int) -> Integral:
    """Integrate the gradient from the baseline to an image, with three times the points each time.

    The midpoints of n parts are among those of 3 n, so that none is computed twice.
    """
    (image,), (target,) = request.pixels, request.targets
    ends = request.subject.scores(np.stack([image, baseline]), 2)[:, target]
    way = image.astype(float) - baseline
    total = np.zeros(image.shape)
    size = even(steps, request.batch)
    shares = (np.arange(steps) + 0.5) / steps
    while True:
        total += _sum_of_gradients(request, baseline, way, shares, size)
        result = Integral(way * total / steps, float(ends[0] - ends[1]), steps)
        if result.gap <= GAP or steps * 3 > limit:
            return result
        steps *= 3
        numbers = np.arange(steps)
        shares = (numbers[numbers % 3 != 1] + 0.5) / steps


def _sum_of_gradients(
    request: MapRequest,
    baseline: NDArray[Any],
    way: NDArray[Any],
    shares: NDArray[Any],
    size: int,
) -> NDArray[np.float64]:
    """Return the sum of the gradients at some shares of the way, in batches of one size."""
    total = np.zeros(way.shape)
    targets = [request.targets[0]] * size
    for start in range(0, len(shares), size):
        some = shares[start : start + size]
        filled = np.concatenate([some, np.repeat(some[:1], size - len(some))])
        points = (baseline + filled.reshape(-1, *(1,) * way.ndim) * way).astype(np.float32)
        gradients = class_gradients(request.subject, points, targets, size)
        total += gradients[: len(some)].sum(axis=0, dtype=float)
        request.tick(0, 1)  # the number of steps is not known: this only lets Ctrl-C end the work
    return total
