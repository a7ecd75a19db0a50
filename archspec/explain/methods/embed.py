"""Embedding: images that are similar to a layer, and all images on one map."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Final, Unpack

from archspec.display import renderer
from archspec.errors import UsageError
from archspec.explain import embedding
from archspec.explain.circuit import CircuitCall
from archspec.explain.embedding_pictures import View, neighbours_of, pca
from archspec.explain.embedding_pictures import tsne as tsne_view
from archspec.explain.features import ImageFeatures, points_of
from archspec.explain.gallery import Exhibit, Gallery, Page
from archspec.explain.method import Allowed, LayerName, method
from archspec.explain.samples import ImagesLike, Samples, drawn
from archspec.explain.study import Common, Study
from archspec.explain.subject import Explainable
from archspec.lazy import np

MOST: Final = 5_000
"""Default largest number of images: scikit-learn's t-SNE of them takes a minute or two."""

MOST_FAST: Final = 20_000
"""Default largest number of images where openTSNE is installed."""

FASTER: Final = "openTSNE is faster for many: pip install 'keras-archspec[tsne]'"

MEMORY: Final = 2**29
"""Largest number of bytes of pixels, and of features."""


@method
def embed(
    run: Explainable,
    images: ImagesLike = None,
    *,
    layer: LayerName = None,
    k: Annotated[int, Allowed(1, 100)] = 10,
    metric: Annotated[str, Allowed(words=tuple(embedding.METRICS))] = "l2",
    queries: Annotated[int, Allowed(1, 100)] = 8,
    tsne: Annotated[str, Allowed(words=("auto", "sklearn", "open", "none"))] = "auto",
    perplexity: Annotated[float | None, Allowed(1)] = None,
    sample: Annotated[int | None, Allowed(2, 100_000)] = None,
    **common: Unpack[Common],
) -> Gallery:
    """Return images that are similar to a layer: neighbours, PCA, t-SNE, a map to explore.

    The features of an image are the outputs of a layer, flattened; by default of the penultimate
    one, after its activation. Its nearest neighbours in features are compared with those in
    pixels, by the share of neighbours of the same class.
    PCA and t-SNE (van der Maaten and Hinton 2008, after PCA to 50 dimensions) put all images on a
    plane; trustworthiness measures how far neighbours on it are neighbours in the features. In a
    map of t-SNE, distances between groups and sizes of groups mean nothing.

    Args:
        run: a run, its folder, a model file, a Keras model, or a spec.
        images: files, folders, arrays, or images of the data such as `test:0-99`; by default all of
            the test part.
        layer: the layer whose outputs are the features; by default the input of the last layer with
            weights.
        k: nearest neighbours of each image, itself left out.
        metric: distance of features, `l2` or `cosine`; pixels are always compared by L2.
        queries: images that are shown with their neighbours: of as many classes as there are.
        tsne: program that computes t-SNE: `sklearn`, `open` (openTSNE), `none`, or `auto`, which is
            openTSNE for many images if it is installed, else scikit-learn.
        perplexity: effective number of neighbours of a point of t-SNE, less than the number of
            images; by default 30, or less for few images.
        sample: largest number of images; of more, as many are drawn by the seed. By default 5,000,
            or 20,000 with openTSNE.
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
    if chosen.labels is not None:
        fewest = int(np.unique(chosen.labels, return_counts=True)[1].min())
        if fewest <= neighbours:
            notes.append(
                f"`k={neighbours}` is more than the {fewest - 1} others of the smallest class: no "
                "agreement can reach 100 %"
            )
    else:
        notes.append(
            "the images have no labels, so there is no agreement; `data=FOLDER` takes the labels "
            "of a folder of classes"
        )

    def exhibits() -> Iterator[Exhibit]:
        points = points_of(study, chosen, call, metric, neighbours)
        yield neighbours_of(points, queries)
        components, shares = embedding.principal(points.features, seed=study.seed)
        views = [pca(points, components, shares)]
        yield views[0].exhibit
        if perplexity is not None:
            places = study.unless_interrupted(
                lambda: embedding.tsne(
                    components, perplexity, seed=study.seed, fast=fast, tick=study.tick
                )
            )
            if places is not None:
                views.insert(0, tsne_view(points, places, perplexity, fast=fast))
                yield views[0].exhibit
        yield _explorer(points, views)

    return study.gallery(
        exhibits(),
        notes,
        layer=call.name,
        k=neighbours,
        perplexity=perplexity,
        sample=len(chosen),
    )


def _chosen(
    study: Study, call: CircuitCall, sample: int | None, tsne: str
) -> tuple[Samples, list[str]]:
    """Return the images to embed, all or as many as time and memory allow, and notes."""
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
    """Return the perplexity for `count` points; None if they are too few for t-SNE."""
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


def _explorer(points: ImageFeatures, views: Sequence[View]) -> Exhibit:
    """Return the page whose points show their images."""
    explorer = renderer("gallery.explorer")
    shown, numbers = points.at_most(explorer.MOST)
    total = len(points.samples)
    about = f"Features of {points.layer}, {points.study.subject.name}. " + (
        f"{len(numbers):,} images."
        if len(numbers) == total
        else f"{len(numbers):,} of {total:,} images, drawn by seed {points.study.seed}."
    )
    page = explorer.Explorer(
        title=f"Images that are similar to {points.layer}",
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
    shown_by = Page("map", "every point shows its image", page.html())
    return Exhibit("map", f"{len(numbers):,} images to explore, on index.html", [shown_by])
