"""The images on which attribution maps are tested, and the outcome for each method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from archspec.explain import map_trials, replacements
from archspec.explain.attribution import MapRequest, Maps
from archspec.explain.gallery import Chart, Exhibit, FactValue, Item, Picture
from archspec.explain.study import Study
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RANDOM: Final = "random"

COMPLETE: Final = {"integrated-gradients": "black"}
"""Methods whose maps sum to score(x) - score(baseline), with the baseline."""

INDEPENDENT: Final = 0.9
"""Correlation without any trained weight, above which a map hardly depends on them."""


@dataclass(eq=False)
class Verdict:
    """The outcome for a method."""

    name: str
    curves: map_trials.Curves | None = None
    cascade: map_trials.Cascade | None = None
    hits: float | None = None
    pointed: NDArray[Any] | None = None
    gap: float | None = None

    def areas(self) -> list[FactValue]:
        if self.curves is None:
            return [None, None]
        return [self.curves.area("deletion"), self.curves.area("insertion")]

    def row(self) -> list[FactValue]:
        alike: list[FactValue] = [None, None]
        if self.cascade is not None:
            alike = [self.cascade.mean(0), self.cascade.mean(-1)]
        return [self.name, *self.areas(), *alike, self.hits, self.gap]

    def words(self, bench: Bench) -> str:
        parts = []
        for which, random in bench.random.items():
            if self.curves:
                area = self.curves.area(which)
                parts.append(f"{which} {area:.3f} (random {random[0]:.3f}, sd {random[1]:.3f})")
        if self.cascade is not None:
            last, whole = self.cascade.mean(0), self.cascade.mean(-1)
            parts.append(
                f"Spearman {last:.2f} without the last layer's weights, {whole:.2f} without all"
            )
            if whole > INDEPENDENT:
                much = "does not depend" if whole == 1 else "hardly depends"
                parts.append(f"{much} on the network")
        if self.hits is not None:
            parts.append(f"points at its class in {self.hits:.0%} (chance 50%)")
        if self.gap is not None:
            parts.append(f"{self.gap:.2%} missing")
        return "; ".join(parts) or "none of the chosen trials applies to it"

    def exhibit(self, bench: Bench) -> Exhibit:
        items: list[Item] = list(charts(bench, {self.name: self}))
        if self.cascade is not None:
            names = ["trained", *self.cascade.layers]
            items.append(
                Picture(
                    "sanity-maps",
                    "the map of the first image, while layers are re-initialised down to ..",
                    abs(self.cascade.first),
                    "positive",
                    tiles=names,
                    own_scale="tile",
                )
            )
        if self.pointed is not None and bench.pairs is not None:
            left = bench.study.subject.class_names[bench.pairs.targets[0, 0]]
            items += [
                bench.study.picture_of(bench.pairs.pixels[0], "pair", "the first pair"),
                Picture("pointed", f"its map of {left}, on the left", self.pointed, "signed"),
            ]
        return Exhibit(self.name, self.words(bench), items)


@dataclass(eq=False)
class Bench:
    """Images with their classes, and the random orders that methods are compared with."""

    study: Study
    check: tuple[str, ...]
    fill: str | float
    steps: int
    draws: int
    count: int
    methods: int
    notes: list[str] = field(default_factory=list)
    random: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Mean and standard deviation of the area under each kind of curve, over draws."""
    pairs: map_trials.Pairs | None = None

    def __post_init__(self) -> None:
        study, subject = self.study, self.study.subject
        samples = study.load(most=self.count)
        self.pixels = samples.pixels
        scores = subject.scores(self.pixels, study.batch)
        self.targets: list[int] = scores.argmax(axis=1).tolist()
        self.notes += [f"{len(samples)} images of {samples.where or 'those given'}"]
        depths = min(map_trials.DEPTHS, map_trials.layers_of(subject))
        self.done = 0
        self.each = 1 + (1 + depths) * ("sanity" in self.check) + 2 * ("pointing" in self.check)
        if "curves" in self.check:
            filled = [
                replacements.stand_in(subject, each, self.fill, "fill") for each in self.pixels
            ]
            self.fills = np.stack([fill for fill, _ in filled])
            parts = list(dict.fromkeys(words for _, words in filled))
            # The mean of one image is not that of all.
            words = parts[0] if len(parts) == 1 else parts[0].partition(",")[0]
            self.notes.append(f"pixels are replaced by {words}")
            self._draw_random()
        if "pointing" in self.check:
            labels = np.array(self.targets) if samples.labels is None else samples.labels
            self.pairs = map_trials.pairs_of(
                self.pixels, labels, len(self.pixels), self.generator("pairs")
            )
            if self.pairs is None:
                self.notes.append("no pointing game: the images are of one class")

    def generator(self, what: str) -> np.random.Generator:
        return np.random.default_rng([self.study.seed, *what.encode()])

    def _draw_random(self) -> None:
        generator = self.generator(RANDOM)
        size = int(np.prod(self.pixels.shape[1:-1]))
        self.drawn = []
        for _ in range(self.draws):
            orders = [generator.permutation(size) for _ in self.pixels]
            self.drawn.append(self._curves(orders))
            self.tick(0, 1)
        self.random = {
            which: (float(np.mean(areas)), float(np.std(areas, ddof=1)))
            for which in ("deletion", "insertion")
            for areas in [[each.area(which) for each in self.drawn]]
        }

    def _curves(self, orders: Sequence[NDArray[Any]]) -> map_trials.Curves:
        return map_trials.curves(
            self.study.subject,
            self.pixels,
            self.fills,
            self.targets,
            orders,
            steps=self.steps,
            batch=self.study.batch,
        )

    def tick(self, done: int, total: int) -> None:
        """Report how far a step of the work is; end the work if Ctrl-C was pressed."""
        steps = self.methods * self.each
        self.study.tick(100 * min(self.done, steps) + 100 * done // max(total, 1), 100 * steps)

    def _counted(self, maps: Maps) -> Maps:
        """Return the same function, each call of which is a step of the work."""

        def stepping(request: MapRequest) -> NDArray[Any]:
            result = maps(request)
            self.done += 1
            self.tick(0, 1)
            return result

        return stepping

    def of(self, name: str, maps: Maps) -> Verdict:
        """Return the outcome for a method."""
        result, maps = Verdict(name), self._counted(maps)
        request = MapRequest(
            subject=self.study.subject,
            pixels=self.pixels,
            targets=self.targets,
            batch=self.study.batch,
            seed=self.study.seed,
            progress=self.tick,
        )
        own = maps(request)
        if "curves" in self.check:
            generator = self.generator("ties")
            result.curves = self._curves([map_trials.order_of(each, generator) for each in own])
        if "sanity" in self.check:
            result.cascade = map_trials.cascade(request, maps)
        if self.pairs is not None:
            result.hits, result.pointed = map_trials.pointing(request, self.pairs, maps)
        if "completeness" in self.check and name in COMPLETE:
            result.gap = self._gap(own, COMPLETE[name])
        return result

    def _gap(self, maps: NDArray[Any], baseline: str) -> float:
        """Return the median share of score(x) - score(baseline) that maps miss."""
        subject, batch = self.study.subject, self.study.batch
        starts = np.stack(
            [replacements.stand_in(subject, each, baseline, "baseline")[0] for each in self.pixels]
        )
        rows = np.arange(len(maps)), self.targets
        rise = subject.scores(self.pixels, batch)[rows] - subject.scores(starts, batch)[rows]
        sums = maps.reshape(len(maps), -1).sum(axis=1)
        return float(np.median(abs(sums - rise) / np.maximum(abs(rise), 1e-12)))


def charts(bench: Bench, result: Mapping[str, Verdict]) -> Iterator[Chart]:
    """Yield charts with the curves of several methods."""
    curves = {name: each.curves for name, each in result.items() if each.curves is not None}
    titles = {"deletion": "share of pixels replaced", "insertion": "share of pixels put in"}
    for which in bench.random if curves else ():
        lines = {name: _points(each.shares, getattr(each, which)) for name, each in curves.items()}
        drawn = np.concatenate([getattr(each, which) for each in bench.drawn])
        lines[RANDOM] = _points(bench.drawn[0].shares, drawn)
        mean, deviation = bench.random[which]
        areas = {f"area of {name}": each.area(which) for name, each in curves.items()}
        facts = {**areas, "area of random": mean, "sd over draws": deviation}
        yield Chart(which, which, titles[which], "probability of the class", lines, facts)
    cascades = {name: each.cascade for name, each in result.items() if each.cascade is not None}
    if cascades:
        lines = {
            name: [(0.0, 1.0), *_points(np.array(each.counts), each.likeness.T)]
            for name, each in cascades.items()
        }
        yield Chart(
            "sanity",
            "sanity: layers re-initialised, the last first",
            "layers re-initialised",
            "Spearman's correlation of |map|",
            lines,
        )


def _points(x: NDArray[Any], y: NDArray[Any]) -> list[tuple[float, float]]:
    """Return a line through the means over images."""
    return list(zip(x.tolist(), y.mean(axis=0).tolist(), strict=True))
