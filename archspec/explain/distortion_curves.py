"""Predictions of a network for images that are changed by one amount after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from archspec.explain.distortions import Distortion
from archspec.explain.gallery import Chart, Exhibit, Picture, Table
from archspec.explain.samples import Samples
from archspec.explain.study import Study
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEPT: Final = 0.9
"""Share of the unchanged images' accuracy that a tolerated change leaves."""

FRAMES: Final = 9
"""Largest number of pictures of an image along a sweep."""


@dataclass
class Sweeps:
    """Predictions of all images, changed by one amount after the other."""

    study: Study
    samples: Samples
    size: int
    """Images at a time, as in `evaluate`, whose results are then equal to the last bit."""
    total: int = 0
    done: int = 0
    classes: list[NDArray[Any]] = field(default_factory=list)
    """True classes of each batch, or else the predictions for unchanged images."""
    unchanged: tuple[float, float] = (0.0, 0.0)
    """Accuracy and probability of the true class for unchanged images."""

    def begin(self) -> None:
        """Predict the unchanged images."""
        tallies: list[tuple[Any, Any]] = []
        for numbers, pixels in self._batches():
            shares = self._shares(pixels)
            labels = self.samples.labels
            truth = shares.argmax(axis=1) if labels is None else labels[numbers]
            self.classes.append(truth)
            tallies.append(_judged(shares, truth))
        self.unchanged = _means(tallies)

    def exhibit(
        self, distortion: Distortion, values: Sequence[float], image: NDArray[Any]
    ) -> Exhibit:
        """Return the curves of one change."""
        tallies: dict[float, list[tuple[Any, Any]]] = {value: [] for value in values}
        cut = dict.fromkeys(values, 0)
        for (numbers, pixels), truth in zip(self._batches(), self.classes, strict=True):
            for value in values:
                if (lost := distortion.cuts(pixels, value)) is not None:
                    cut[value] += int(lost.sum())
                if value != distortion.none:
                    changed = distortion(pixels, value, numbers)
                    tallies[value].append(_judged(self._shares(changed), truth))
        points = {
            value: self.unchanged if value == distortion.none else _means(result)
            for value, result in tallies.items()
        }
        shares = {value: count / len(self.samples) for value, count in cut.items()}
        return self._shown(distortion, points, shares, image)

    def _shown(
        self,
        distortion: Distortion,
        points: dict[float, tuple[float, float]],
        cut: dict[float, float],
        image: NDArray[Any],
    ) -> Exhibit:
        right = "accuracy" if self.samples.labels is not None else "same class"
        of_whom = "true class" if self.samples.labels is not None else "class"
        lines = {
            right: [(value, each[0]) for value, each in points.items()],
            f"probability of the {of_whom}": [(value, each[1]) for value, each in points.items()],
        }
        summary = _summary(right, {value: each[0] for value, each in points.items()}, distortion)
        if any(cut.values()):
            lines["ink cut"] = list(cut.items())
            worst = max(cut, key=lambda value: cut[value])
            summary += f"; cuts the ink of {cut[worst]:.0%} of the images at {worst:.3g}"
        name, label = distortion.name, distortion.label
        chart = Chart(
            "curve",
            f"{name}: {self.study.subject.name}",
            label,
            "share of images",
            lines,
            y_limits=(0.0, 1.02),
            log_x=distortion.none == 1,
        )
        rows = [[value, *points[value], cut[value], len(self.samples)] for value in points]
        columns = [label, right, f"probability of the {of_whom}", "ink cut", "images"]
        table = Table("values", name, columns, rows)
        return Exhibit(name, summary, [chart, self._strip(distortion, list(points), image), table])

    def _strip(
        self, distortion: Distortion, values: Sequence[float], image: NDArray[Any]
    ) -> Picture:
        """Return the first image along the sweep."""
        chosen = np.linspace(0, len(values) - 1, min(FRAMES, len(values))).round().astype(int)
        frames = [distortion(image[None], values[at], [0])[0] for at in chosen]
        return Picture(
            "image",
            f"{self.samples.names[0]} along the sweep",
            np.stack(frames).astype(np.float32),
            "pixels",
            limits=self.samples.limits,
            tiles=[f"{values[at]:.3g}" for at in chosen],
            columns=FRAMES,
        )

    def _batches(self) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        return replace(self.samples, read=self.samples.stored).batches(self.size)

    def _shares(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return (n, classes) probabilities, computed as in `evaluate`."""
        subject = self.study.subject
        shares = subject.network.answers(pixels, limits=self.samples.limits, batch=self.size)
        subject.check_finite(shares)
        self.done += 1
        self.study.tick(self.done, self.total)
        return shares


def _judged(shares: NDArray[Any], truth: NDArray[Any]) -> tuple[Any, Any]:
    """Return whether each image was classified correctly, and the probability of its class."""
    return shares.argmax(axis=1) == truth, shares[range(len(truth)), truth]


def _means(tallies: Sequence[tuple[Any, Any]]) -> tuple[float, float]:
    right, shares = (np.concatenate(each) for each in zip(*tallies, strict=True))
    return int(right.sum()) / len(right), float(shares.mean())


def _summary(right: str, result: dict[float, float], distortion: Distortion) -> str:
    """Return the range of amounts that is tolerated, and the worst amount."""
    none = distortion.none
    values, enough = list(result), KEPT * result[none]
    low = high = values.index(none)
    while low > 0 and result[values[low - 1]] >= enough:
        low -= 1
    while high + 1 < len(values) and result[values[high + 1]] >= enough:
        high += 1
    worst = min(result, key=lambda value: result[value])
    kept = f"at least {enough:.1%} from {values[low]:.3g} to {values[high]:.3g}"
    if low == high:
        kept = f"less than {enough:.1%} at any other amount"
    return f"{right} {result[none]:.1%}; {kept}; worst {result[worst]:.1%} at {worst:.3g}"
