"""Points of many dimensions: nearest neighbours, PCA and t-SNE.

Points are (n, dimensions) arrays that `check` returned. Distances are computed in blocks of rows,
so that memory does not grow with the square of the number of points.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from archspec.errors import UsageError
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

METRICS: Final = {"l2": "euclidean", "cosine": "cosine"}
"""Distances, and scikit-learn's names of them."""

BEFORE_TSNE: Final = 50
"""Largest number of principal components for t-SNE (van der Maaten and Hinton 2008: 30)."""

PERPLEXITY: Final = 30.0
"""Default perplexity of t-SNE, as the paper and scikit-learn recommend."""

LOCAL: Final = 5
"""Number of neighbours that trustworthiness uses."""

BLOCK: Final = 2**24
"""Number of distances in memory at a time."""


def check(
    points: NDArray[Any], what: str, names: Sequence[str], *, reason: str = ""
) -> NDArray[np.float32]:
    """Return points (n, dimensions) scaled so that their largest absolute value is 1.

    Raises `UsageError` if they are fewer than two, not finite, or all the same. The message calls
    them `what`, and gives a `reason` for values that are not finite.
    """
    if len(points) < 2:
        raise UsageError(f"there is one image, {names[0]}: neighbours and maps need two or more")
    finite = np.isfinite(points).all(axis=1)
    if not finite.all():
        first = names[int(np.argmin(finite))]
        raise UsageError(
            f"{what} are not finite for {np.sum(~finite):,} of {len(points):,} images, as {first}"
            f"{reason}"
        )
    if (points == points[0]).all():
        raise UsageError(
            f"{what} are the same for all {len(points):,} images: there is nothing to tell apart"
        )
    scaled: NDArray[np.float32] = (points / np.abs(points).max()).astype(np.float32)
    return scaled


def nearest(points: NDArray[Any], count: int, metric: str = "l2") -> NDArray[np.intp]:
    """Return (n, count) numbers of each point's nearest neighbours, in order of distance."""
    from sklearn.neighbors import NearestNeighbors  # noqa: PLC0415

    search = NearestNeighbors(n_neighbors=count, algorithm="brute", metric=METRICS[metric])
    result: NDArray[np.intp] = search.fit(points).kneighbors(return_distance=False)
    return result


def agreement(neighbours: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.float64]:
    """Return for each point the share of its neighbours that have its label."""
    same: NDArray[np.float64] = (labels[neighbours] == labels[:, None]).mean(axis=1)
    return same


def principal(
    points: NDArray[Any], *, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return the first principal components of points, and the share of variance of each.

    They are (n, 2 to `BEFORE_TSNE`) coordinates and (components,) shares of the total variance. The
    sign of a component makes its largest weight positive. At least two are returned; of points with
    one dimension, the second is 0. `seed` is that of scikit-learn's approximation for many
    dimensions.
    """
    from sklearn.decomposition import PCA  # noqa: PLC0415

    pca = PCA(min(BEFORE_TSNE, *points.shape), random_state=seed)
    coordinates = pca.fit_transform(points)
    weights = pca.components_
    largest = np.take_along_axis(weights, np.abs(weights).argmax(axis=1)[:, None], axis=1)[:, 0]
    coordinates = coordinates * np.where(largest < 0, -1, 1)
    shares = pca.explained_variance_ratio_.astype(np.float64)
    lacking = max(0, 2 - coordinates.shape[1])
    return (
        np.pad(coordinates, ((0, 0), (0, lacking))).astype(np.float32),
        np.pad(shares, (0, lacking)),
    )


def trustworthiness(points: NDArray[Any], shown: NDArray[Any]) -> float:
    """Return how far neighbours in a map (n, 2) are neighbours of the points, 1 being best.

    Each of the `LOCAL` nearest in the map lowers it by its rank beyond `LOCAL` among the neighbours
    of the point; random places give about 0.5. n is at least 4. Venna and Kaski 2001, Neighborhood
    preservation in nonlinear projection methods.
    """
    count = len(points)
    points = points - points.mean(axis=0)  # which reduces cancellation below
    local = min(LOCAL, (count - 1) // 2)
    neighbours = nearest(shown, local)
    squares = np.einsum("ij,ij->i", points, points)
    beyond = 0
    for start in range(0, count, step := max(1, BLOCK // count)):
        rows = np.arange(start, min(start + step, count))
        distances = squares - 2 * (points[rows] @ points.T)  # up to a constant of the row
        distances[np.arange(len(rows)), rows] = -np.inf  # so that ranks start at 1
        near = np.take_along_axis(distances, neighbours[rows], axis=1)
        for column in range(local):
            ranks = (distances < near[:, column, None]).sum(axis=1)
            beyond += int(np.maximum(ranks - local, 0).sum())
    return 1 - 2 * beyond / (count * local * (2 * count - 3 * local - 1))


def has_open_tsne() -> bool:
    """Return whether openTSNE is installed."""
    return importlib.util.find_spec("openTSNE") is not None


def tsne(
    components: NDArray[Any],
    perplexity: float,
    *,
    seed: int = 0,
    fast: bool = False,
    tick: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Return (n, 2) positions by t-SNE, initialised with the first two principal components.

    Van der Maaten and Hinton 2008, Visualizing data using t-SNE. In its map, distances between
    groups and sizes of groups mean nothing. The perplexity, an effective number of neighbours, is
    less than n. With `fast`, openTSNE computes the map instead of scikit-learn, and reports to
    `tick`.
    """
    start = components[:, :2] / components[:, 0].std() * 1e-4  # as both libraries recommend
    if not fast:
        from sklearn.manifold import TSNE  # noqa: PLC0415

        model = TSNE(perplexity=perplexity, init=start, random_state=seed)
        places: NDArray[np.float32] = model.fit_transform(components).astype(np.float32)
        return places
    from openTSNE import TSNE as OpenTSNE  # noqa: N811, PLC0415

    done = 0

    def step(*_: Any) -> None:
        nonlocal done
        done += every
        if tick:
            tick(min(done, total), total)

    every, early, late = 50, 250, 500
    total = early + late
    result = OpenTSNE(
        perplexity=perplexity,
        initialization=start.astype(np.float64),
        random_state=seed,
        early_exaggeration_iter=early,
        n_iter=late,
        callbacks=step,
        callbacks_every_iters=every,
    ).fit(components.astype(np.float64))
    return np.asarray(result, dtype=np.float32)
