"""Integrated gradients: what each pixel adds to a score, on the way from a baseline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Unpack

from archspec.explain import replacements
from archspec.explain.attribution import class_gradients, groups
from archspec.explain.gallery import Exhibit, Gallery, Picture
from archspec.explain.method import TARGET, Option, method
from archspec.explain.samples import ImagesLike
from archspec.explain.study import BATCH, Common, Study, Tick
from archspec.explain.subject import Explainable, Subject, even

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STEPS: Final = 50
LIMIT: Final = 1_350
GAP: Final = 0.01
"""The largest part of F(x) - F(baseline) that the map may miss, or steps are refined."""

ROUNDING: Final = 1e-5
"""Part of the sum of |map| below which a gap is the rounding of float32."""


@method(
    target=TARGET,
    baseline=Option(
        "Where the way begins: black, white, mean, blurred, or a raw pixel's value.",
        metavar="VALUE",
    ),
    steps=Option("Points on the way, at first.", "whole", 1, 1_000_000),
    limit=Option("Points at most: they are tripled while over 1 % is missing.", "whole", 1),
)
def integrated_gradients(
    run: Explainable,
    images: ImagesLike = None,
    *,
    target: str | int | None = None,
    baseline: str | float = "black",
    steps: int = STEPS,
    limit: int = LIMIT,
    **common: Unpack[Common],
) -> Gallery:
    """Return what each pixel adds to the score of a class, from a baseline to the image.

    The map is (x - x0) times the mean of d score / d pixel on the straight way from the baseline x0
    to the image x, summed over the channels; its sum is score(x) - score(x0) (completeness). The
    integral is taken by the midpoint rule; what is missing is said, and while it is over 1 % the
    points are tripled, up to a limit. Sundararajan, Taly and Yan 2017, Axiomatic attribution for
    deep networks, section 3.

    Args:
        run: a run, its folder, a .keras file, a Keras model, or a spec.
        images: files, folders, arrays, or images of the data such as `test:0-3`.
        target: the class, by name; by default the one that the network finds most probable.
        baseline: `black`, `white`, `mean`, `blurred`, or a raw pixel's value.
        steps: points on the way, at first.
        limit: points at most.
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
            found = integral(
                study.subject,
                group.pixels[0],
                group.targets[0],
                start,
                steps=steps,
                limit=limit,
                batch=study.batch,
                tick=group.tick,
            )
            facts = {"baseline": words, **found.facts()}
            map_ = found.values.sum(axis=-1)
            yield group.exhibit(
                0,
                "integrated gradients",
                [
                    Picture("integrated-gradients", "what pixels add", map_, "signed"),
                    study.picture_of(start, "baseline", "baseline"),
                ],
                f"; {found.words()}",
                **facts,
            )

    settings = {"target": target, "baseline": baseline, "steps": steps, "limit": limit}
    return study.gallery("integrated-gradients", exhibits(), settings)


def maps(
    subject: Subject,
    pixels: NDArray[Any],
    targets: Sequence[int],
    *,
    baseline: str | float = "black",
    steps: int = STEPS,
    limit: int = LIMIT,
    batch: int = BATCH,
    seed: int = 0,  # noqa: ARG001  (nothing is random)
    tick: Tick | None = None,
) -> NDArray[np.float64]:
    """What each pixel adds to the score, summed over the channels (see `Maps`)."""
    import numpy as np  # noqa: PLC0415

    found = []
    for at, (image, target) in enumerate(zip(pixels, targets, strict=True)):
        start, _ = replacements.stand_in(subject, image, baseline, "baseline")
        values = integral(subject, image, target, start, steps=steps, limit=limit, batch=batch)
        found.append(values.values.sum(axis=-1))
        if tick:
            tick(at + 1, len(pixels))
    return np.stack(found)


class Integral(NamedTuple):
    """An integral of gradients, and how well it is complete."""

    values: NDArray[np.float64]
    """(*shape): (x - x0) times the mean gradient."""
    difference: float
    """score(x) - score(x0)."""
    steps: int

    @property
    def gap(self) -> float:
        """What the values miss, as a part of the difference; 0 where that is mere rounding."""
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
        """How complete it is, for a summary."""
        points = "1 step" if self.steps == 1 else f"{self.steps:,} steps"
        text = f"{self.gap:.2%} missing after {points}"
        return text if self.gap <= GAP else f"{text}: over {GAP:.0%}, raise `limit=`"


def integral(
    subject: Subject,
    image: NDArray[Any],
    target: int,
    baseline: NDArray[Any],
    *,
    steps: int,
    limit: int,
    batch: int,
    tick: Tick | None = None,
) -> Integral:
    """Integrate the gradient from the baseline to the image, with three times the points each time.

    The midpoints of n parts are among those of 3 n, so that none is computed twice.
    """
    import numpy as np  # noqa: PLC0415

    ends = subject.scores(np.stack([image, baseline]), 2)[:, target]
    way = image.astype(float) - baseline
    total = np.zeros(image.shape)
    size = even(steps, batch)
    shares = (np.arange(steps) + 0.5) / steps
    while True:
        total += _sum_of_gradients(subject, target, baseline, way, shares, size, tick)
        found = Integral(way * total / steps, float(ends[0] - ends[1]), steps)
        if found.gap <= GAP or steps * 3 > limit:
            return found
        steps *= 3
        numbers = np.arange(steps)
        shares = (numbers[numbers % 3 != 1] + 0.5) / steps


def _sum_of_gradients(
    subject: Subject,
    target: int,
    baseline: NDArray[Any],
    way: NDArray[Any],
    shares: NDArray[Any],
    size: int,
    tick: Tick | None,
) -> NDArray[np.float64]:
    """The sum of the gradients at some shares of the way, in batches of one size."""
    import numpy as np  # noqa: PLC0415

    total = np.zeros(way.shape)
    for start in range(0, len(shares), size):
        some = shares[start : start + size]
        filled = np.concatenate([some, np.repeat(some[:1], size - len(some))])
        points = baseline + filled.reshape(-1, *(1,) * way.ndim) * way
        gradients = class_gradients(subject, points.astype(np.float32), [target] * size, size)
        total += gradients[: len(some)].sum(axis=0, dtype=float)
        if tick:
            tick(0, 1)  # how often the points are tripled is not known: only Ctrl-C is heard
    return total
