"""Pictures of `embed`: images with their neighbours, and all images on a plane by PCA or t-SNE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from archspec.explain import embedding
from archspec.explain.features import ImageFeatures
from archspec.explain.gallery import Chart, Exhibit, FactValue, Picture, Table
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

TRUSTWORTHINESS: Final = "trustworthiness"
"""Name of the measure that is printed from 0 to 1, not in percent."""


@dataclass(frozen=True, eq=False)
class View:
    """All images on a plane."""

    points: ImageFeatures
    name: str
    places: NDArray[Any]
    """(n, 2)."""
    about: str
    facts: Mapping[str, FactValue]

    @cached_property
    def quality(self) -> dict[str, float]:
        """Trustworthiness of the plane, and the share of nearest neighbours of the same class."""
        quality = {}
        if len(self.places) >= 4:
            quality[TRUSTWORTHINESS] = embedding.trustworthiness(self.points.features, self.places)
        if self.points.labels is not None:
            shares = embedding.agreement(embedding.nearest(self.places, 1), self.points.labels)
            quality["1-NN agreement on the plane"] = float(shares.mean())
        return quality

    @property
    def summary(self) -> str:
        numbers = [
            f"{what} {value:.3f}" if what == TRUSTWORTHINESS else f"{what} {value:.1%}"
            for what, value in self.quality.items()
        ]
        return "; ".join([self.about, *numbers])

    @property
    def exhibit(self) -> Exhibit:
        facts = {**self.facts, **self.quality}
        return Exhibit(self.name, self.summary, [_chart(self), _table(self)], facts)


def pca(points: ImageFeatures, components: NDArray[Any], shares: NDArray[Any]) -> View:
    about = f"two components explain {shares[:2].sum():.1%} of the variance"
    facts = {
        "variance explained by component 1": float(shares[0]),
        "by component 2": float(shares[1]),
        f"by the first {len(shares)}": float(shares.sum()),
    }
    return View(points, "PCA", components[:, :2], about, facts)


def tsne(points: ImageFeatures, places: NDArray[Any], perplexity: float, *, fast: bool) -> View:
    by = "openTSNE" if fast else "scikit-learn"
    facts: dict[str, FactValue] = {"perplexity": perplexity, "computed by": by}
    return View(points, "t-SNE", places, f"perplexity {perplexity:g}, by {by}", facts)


def _groups(points: ImageFeatures) -> tuple[str, NDArray[Any]]:
    """Return the meaning of the colors, and the group of each image."""
    if points.labels is not None:
        return "class", points.labels
    if points.predictions is not None:
        return "predicted class", points.predictions
    return "image", np.zeros(len(points.samples), np.intp)


def _chart(view: View) -> Chart:
    what, groups = _groups(view.points)
    names = view.points.class_names or ("images",)
    lines = {
        names[group]: [(float(x), float(y)) for x, y in view.places[groups == group]]
        for group in np.unique(groups)
    }
    title = f"{view.name} of {len(groups):,} images by {what}"
    axes = f"{view.name} 1", f"{view.name} 2"
    return Chart("map", title, *axes, lines, scattered=True)


def _table(view: View) -> Table:
    """Return the positions of all images, by name."""
    points, names = view.points, view.points.class_names

    def classes(numbers: NDArray[Any] | None) -> list[str | None]:
        if numbers is None:
            return [None] * len(view.places)
        return [names[number] for number in numbers]

    columns = points.samples.names, classes(points.labels), classes(points.predictions)
    rows = [
        [*known, float(x), float(y)] for *known, (x, y) in zip(*columns, view.places, strict=True)
    ]
    return Table("places", "places", ["image", "class", "prediction", "x", "y"], rows)


OTHER: Final = "≠"
"""Mark of a neighbour of another class than the query's."""


def neighbours_of(points: ImageFeatures, queries: int) -> Exhibit:
    """Return images with their neighbours in pixels and features, and how many share a class."""
    k = points.near["features"].shape[1]
    chosen = _queries(points.labels, len(points.samples), queries)
    pictures = [
        _with_neighbours(points, chosen, space, f"nearest {k} in {space}") for space in points.near
    ]
    if points.labels is None:
        return Exhibit("neighbours", f"of {len(points.samples):,} images, unlabelled", pictures)
    shares = {
        space: embedding.agreement(near, points.labels) for space, near in points.near.items()
    }
    means = {space: float(share.mean()) for space, share in shares.items()}
    words = ", ".join(f"{mean:.1%} in {space}" for space, mean in means.items())
    return Exhibit(
        "neighbours",
        f"{k}-NN label agreement {words} of {len(points.samples):,} images",
        [*pictures, _by_class(points, shares)],
        {"layer": points.layer, **{f"agreement in {space}": mean for space, mean in means.items()}},
    )


def _queries(labels: NDArray[Any] | None, count: int, most: int) -> list[int]:
    """Return the first image of each class, then the second of each, up to `most`."""
    if labels is None:
        return list(range(min(count, most)))
    turns = zip_longest(*(np.flatnonzero(labels == label) for label in np.unique(labels)))
    return [int(number) for turn in turns for number in turn if number is not None][:most]


def _with_neighbours(points: ImageFeatures, queries: list[int], space: str, title: str) -> Picture:
    """Return a picture with a row for each query: the query, then its neighbours."""
    rows = [[query, *points.near[space][query].tolist()] for query in queries]
    names = [
        points.called(number)
        if points.labels is None or points.labels[number] == points.labels[row[0]]
        else f"{OTHER} {points.called(number)}"
        for row in rows
        for number in row
    ]
    order = [number for row in rows for number in row]
    facts = {"a row": "the query, then its nearest, the nearest first"}
    if points.labels is not None:
        facts[OTHER] = "of another class"
    limits = points.study.subject.range
    return Picture(
        space,
        title,
        points.pixels[order],
        "pixels",
        facts,
        limits=limits,
        tiles=names,
        columns=len(rows[0]),
    )


def _by_class(points: ImageFeatures, shares: Mapping[str, NDArray[Any]]) -> Table:
    """Return the agreement in both spaces, class by class."""
    labels = np.asarray(points.labels)
    rows: list[list[Any]] = []
    for label in np.unique(labels):
        own = labels == label
        means = [float(share[own].mean()) for share in shares.values()]
        rows.append([points.class_names[label], int(own.sum()), *means])
    rows.append(["all", len(points.samples), *(float(share.mean()) for share in shares.values())])
    columns = ["class", "images", *(f"agreement in {space}" for space in shares)]
    return Table("agreement", "share of neighbours of the same class", columns, rows)
