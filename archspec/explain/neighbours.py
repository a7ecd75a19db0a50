"""A few images with their nearest neighbours, and how many of all neighbours are of one class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from archspec.explain import embedding
from archspec.explain.gallery import Exhibit, Picture, Table
from archspec.explain.points import Points

if TYPE_CHECKING:
    from numpy.typing import NDArray

OTHER: Final = "≠"
"""Mark of a neighbour whose class is not the query's."""


def neighbours_of(points: Points, queries: int) -> Exhibit:
    """A few images with their neighbours in pixels and in features, and how many agree."""
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
    said = ", ".join(f"{mean:.1%} in {space}" for space, mean in means.items())
    return Exhibit(
        "neighbours",
        f"{k}-NN label agreement {said} of {len(points.samples):,} images",
        [*pictures, _by_class(points, shares)],
        {"layer": points.layer, **{f"agreement in {space}": mean for space, mean in means.items()}},
    )


def _queries(labels: NDArray[Any] | None, count: int, most: int) -> list[int]:
    """The first image of each class, then the second of each, up to `most`."""
    if labels is None:
        return list(range(min(count, most)))
    turns: dict[int, int] = {}
    order = []
    for number, label in enumerate(labels.tolist()):
        turns[label] = turns.get(label, 0) + 1
        order.append((turns[label], label, number))
    return [number for _, _, number in sorted(order)[:most]]


def _with_neighbours(points: Points, queries: list[int], space: str, title: str) -> Picture:
    """A row for each query: the query, then its neighbours."""
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


def _by_class(points: Points, shares: Mapping[str, NDArray[Any]]) -> Table:
    """The agreement in both spaces, class by class."""
    import numpy as np  # noqa: PLC0415

    labels = np.asarray(points.labels)
    rows: list[list[Any]] = []
    for label in np.unique(labels):
        own = labels == label
        means = [float(share[own].mean()) for share in shares.values()]
        rows.append([points.class_names[label], int(own.sum()), *means])
    rows.append(["all", len(points.samples), *(float(share.mean()) for share in shares.values())])
    columns = ["class", "images", *(f"agreement in {space}" for space in shares)]
    return Table("agreement", "share of neighbours of the same class", columns, rows)


def fewest_of(labels: NDArray[Any]) -> int:
    """How many images the smallest class has, of those that have any."""
    import numpy as np  # noqa: PLC0415

    return int(np.unique(labels, return_counts=True)[1].min())
