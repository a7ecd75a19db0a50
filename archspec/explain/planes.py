"""Images on a plane, by PCA or t-SNE: how good it is, its picture and its table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from archspec.explain import embedding
from archspec.explain.gallery import Chart, Exhibit, Table, Value
from archspec.explain.points import Points

if TYPE_CHECKING:
    from numpy.typing import NDArray

TRUSTWORTHINESS: Final = "trustworthiness"
"""Name of the figure that is no share of images: from 0 to 1, and printed so."""


@dataclass(frozen=True, eq=False)
class View:
    """All images on a plane."""

    points: Points
    name: str
    places: NDArray[Any]
    """(n, 2)."""
    about: str
    facts: Mapping[str, Value]

    @cached_property
    def quality(self) -> dict[str, float]:
        """How far neighbours on the plane are neighbours in the features, and of the same class."""
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


def pca(points: Points, components: NDArray[Any], shares: NDArray[Any]) -> View:
    about = f"two components explain {shares[:2].sum():.1%} of the variance"
    facts = {
        "variance explained by component 1": float(shares[0]),
        "by component 2": float(shares[1]),
        f"by the first {len(shares)}": float(shares.sum()),
    }
    return View(points, "PCA", components[:, :2], about, facts)


def tsne(points: Points, places: NDArray[Any], perplexity: float, *, fast: bool) -> View:
    by = "openTSNE" if fast else "scikit-learn"
    facts: dict[str, Value] = {"perplexity": perplexity, "computed by": by}
    return View(points, "t-SNE", places, f"perplexity {perplexity:g}, by {by}", facts)


def _groups(points: Points) -> tuple[str, NDArray[Any]]:
    """What colours stand for, and the group of each image."""
    import numpy as np  # noqa: PLC0415

    if points.labels is not None:
        return "class", points.labels
    if points.predictions is not None:
        return "predicted class", points.predictions
    return "image", np.zeros(len(points.samples), np.intp)


def _chart(view: View) -> Chart:
    import numpy as np  # noqa: PLC0415

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
    """The places of all images, by name."""
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
