"""Embedding: which images a layer takes for alike, and all of them on one map."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Unpack

from archspec.diagnostics import UsageError
from archspec.explain import embedding
from archspec.explain.circuit import Call
from archspec.explain.gallery import Chart, Exhibit, Gallery, Page, Picture, Table, Value
from archspec.explain.method import LAYER, Option, method
from archspec.explain.pictures.explorer import MOST as MOST_EXPLORED
from archspec.explain.pictures.explorer import Explorer
from archspec.explain.points import Points, points_of
from archspec.explain.samples import Images, Samples, drawn
from archspec.explain.study import Common, Study
from archspec.explain.subject import Explainable

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST: Final = 5_000
"""Images that are drawn of more: scikit-learn's t-SNE of them takes a minute or two."""

MOST_FAST: Final = 20_000
"""The same where openTSNE is installed."""

FASTER: Final = "openTSNE is faster for many: pip install 'keras-archspec[tsne]'"

MEMORY: Final = 2**29
"""Bytes of pixels, and of features, at most."""

TRUSTWORTHINESS: Final = "trustworthiness"

OTHER: Final = "≠"
"""Mark of a neighbour whose class is not the query's."""


@method(
    layer=Option(LAYER.help + "  [the input of the last layer with weights]", metavar="LAYER"),
    k=Option("Nearest neighbours of an image.", "whole", least=1, most=100),
    metric=Option("What is near in features.", choices=tuple(embedding.METRICS)),
    queries=Option("Images that are shown with their neighbours.", "whole", least=1, most=100),
    tsne=Option(
        "What computes t-SNE: `auto` is openTSNE for many images if installed, else scikit-learn.",
        choices=("auto", "sklearn", "open", "none"),
    ),
    perplexity=Option(
        "Neighbours a point of t-SNE has in effect.  [30; less for few images]", "number", least=1
    ),
    sample=Option(
        f"Draw so many images of more.  [{MOST:,}; with openTSNE {MOST_FAST:,}]",
        "whole",
        least=2,
        most=100_000,
    ),
)
def embed(
    run: Explainable,
    images: Images = None,
    *,
    layer: str | None = None,
    k: int = 10,
    metric: str = "l2",
    queries: int = 8,
    tsne: str = "auto",
    perplexity: float | None = None,
    sample: int | None = None,
    **common: Unpack[Common],
) -> Gallery:
    """Return which images a layer takes for alike: neighbours, PCA, t-SNE, a map to explore.

    The features of an image are the outputs of a layer, flattened; by default of the penultimate
    one, after its activation. Its nearest neighbours in features are set against those in pixels,
    and the share of neighbours of the same class says how much better features tell classes apart.
    PCA and t-SNE (van der Maaten and Hinton 2008, after PCA to 50 dimensions) put all images on a
    plane; trustworthiness says how far neighbours there are neighbours in the features. In a map of
    t-SNE distances between groups and sizes of groups mean nothing.

    Args:
        run: a run, its folder, a .keras file, a Keras model, or a spec.
        images: files, folders, arrays, or images of the data such as `test:0-99`; by default all of
            the test part.
        layer: the layer whose outputs are the features.
        k: nearest neighbours of each image, itself left out.
        metric: `l2`, or `cosine` for features; pixels are always compared by L2.
        queries: images that are shown with their neighbours: of as many classes as there are.
        tsne: `sklearn`, `open` (openTSNE), `none`, or `auto`.
        perplexity: neighbours that a point of t-SNE has in effect, less than there are images.
        sample: images that are drawn by the seed where there are more.
        **common: `normalize`, `white`, `data`, `batch`, `seed`, `progress`: see `Common`.

    Returns:
        A gallery of the exhibits `neighbours`, `PCA`, `t-SNE` and `map`, the last one a page whose
        points show their images.

    Raises:
        UsageError: there is no such run, layer or image, or the features cannot be embedded.

    """
    if tsne == "open" and not embedding.has_open_tsne():
        raise UsageError("`tsne='open'` needs openTSNE: pip install 'keras-archspec[tsne]'")
    study = Study.open(run, images, **common)
    call = study.subject.penultimate if layer is None else study.subject.layer(layer)
    chosen, notes = _chosen(study, call, sample, tsne)
    fast = tsne == "open" or (tsne == "auto" and len(chosen) > MOST and embedding.has_open_tsne())
    perplexity = _perplexity(perplexity, len(chosen), notes) if tsne != "none" else None
    neighbours = max(1, min(k, len(chosen) - 1))
    if neighbours < k:
        notes.append(f"of {len(chosen)} images each has at most {neighbours} others, not {k}")
    if chosen.labels is not None and (fewest := _fewest(chosen.labels)) <= neighbours:
        notes.append(
            f"`k={neighbours}` is more than the {fewest - 1} others of the smallest class: no "
            "agreement can reach 100 %"
        )
    if chosen.labels is None:
        notes.append(
            "the images have no labels, so nothing is said of agreement; `data=FOLDER` takes the "
            "labels of a folder of classes"
        )

    def exhibits() -> Iterator[Exhibit]:
        points = points_of(study, chosen, call, metric, neighbours)
        yield _neighbours(points, queries)
        components, shares = embedding.principal(points.features, seed=study.seed)
        views = [_pca(points, components, shares)]
        yield views[0].exhibit
        if perplexity is not None:
            places = study.unless_interrupted(
                lambda: embedding.tsne(
                    components, perplexity, seed=study.seed, fast=fast, tick=study.tick
                )
            )
            if places is not None:
                views.insert(0, _tsne(points, places, perplexity, fast=fast))
                yield views[0].exhibit
        yield _explorer(points, views)

    settings: dict[str, Value] = {
        "layer": call.name,
        "k": neighbours,
        "metric": metric,
        "tsne": tsne,
        "perplexity": perplexity,
        "sample": len(chosen),
        "queries": queries,
    }
    return study.gallery("embed", exhibits(), settings, notes)


def _chosen(study: Study, call: Call, sample: int | None, tsne: str) -> tuple[Samples, list[str]]:
    """The images that are embedded: all, or as many as time and memory allow."""
    import math  # noqa: PLC0415

    samples = study.all_samples
    total = len(samples)
    is_fast = tsne in {"auto", "open"} and embedding.has_open_tsne()
    most = sample or (MOST_FAST if is_fast else MOST)
    held = max(2, MEMORY // (4 * max(study.subject.shape.size, math.prod(call.shape))))
    if total <= min(most, held):
        slow = total > MOST and not is_fast and tsne != "none"
        return samples, [f"t-SNE of {total:,} images takes minutes: {FASTER}"] if slow else []
    chosen = samples.only(drawn(total, min(most, held), study.seed))
    why = f"`sample={total}` takes all"
    if held < most:
        why = f"more would hold over {MEMORY >> 20} MiB of pixels or features"
    elif total > MOST and not is_fast and tsne != "none":
        why += f", and {FASTER}"
    return chosen, [f"{len(chosen):,} of {total:,} images, drawn by seed {study.seed}: {why}"]


def _perplexity(given: float | None, count: int, notes: list[str]) -> float | None:
    """The perplexity of so many points; None where they are too few for t-SNE."""
    if given is not None:
        if given >= count:
            raise UsageError(
                f"`perplexity={given:g}` must be less than the number of images, {count}"
            )
        return given
    if count < 4:
        notes.append("t-SNE is left out: it needs four images or more")
        return None
    return min(embedding.PERPLEXITY, max(1.0, (count - 1) // 3))


def _neighbours(points: Points, queries: int) -> Exhibit:
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


def _fewest(labels: NDArray[Any]) -> int:
    """How many images the smallest class has, of those that have any."""
    import numpy as np  # noqa: PLC0415

    return int(np.unique(labels, return_counts=True)[1].min())


@dataclass(frozen=True, eq=False)
class _View:
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


def _pca(points: Points, components: NDArray[Any], shares: NDArray[Any]) -> _View:
    about = f"two components explain {shares[:2].sum():.1%} of the variance"
    facts = {
        "variance explained by component 1": float(shares[0]),
        "by component 2": float(shares[1]),
        f"by the first {len(shares)}": float(shares.sum()),
    }
    return _View(points, "PCA", components[:, :2], about, facts)


def _tsne(points: Points, places: NDArray[Any], perplexity: float, *, fast: bool) -> _View:
    by = "openTSNE" if fast else "scikit-learn"
    facts: dict[str, Value] = {"perplexity": perplexity, "computed by": by}
    return _View(points, "t-SNE", places, f"perplexity {perplexity:g}, by {by}", facts)


def _groups(points: Points) -> tuple[str, NDArray[Any]]:
    """What colours stand for, and the group of each image."""
    import numpy as np  # noqa: PLC0415

    if points.labels is not None:
        return "class", points.labels
    if points.predictions is not None:
        return "predicted class", points.predictions
    return "image", np.zeros(len(points.samples), np.intp)


def _chart(view: _View) -> Chart:
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


def _table(view: _View) -> Table:
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


def _explorer(points: Points, views: Sequence[_View]) -> Exhibit:
    """The page whose points show their images."""
    shown, numbers = points.at_most(MOST_EXPLORED)
    total = len(points.samples)
    about = f"Features of {points.layer}, {points.study.subject.name}. " + (
        f"{len(numbers):,} images."
        if len(numbers) == total
        else f"{len(numbers):,} of {total:,} images, drawn by seed {points.study.seed}."
    )
    explorer = Explorer(
        title=f"What {points.layer} takes for alike",
        about=about,
        names=shown.samples.names,
        images=shown.pixels,
        limits=points.study.subject.range,
        class_names=points.class_names,
        labels=shown.labels,
        predictions=shown.predictions,
        maps={view.name: view.places[numbers] for view in views},
        notes={view.name: view.summary for view in views},
        near=shown.near,
    )
    page = Page("map", "every point shows its image", explorer.html())
    return Exhibit("map", f"{len(numbers):,} images to explore, on index.html", [page])
