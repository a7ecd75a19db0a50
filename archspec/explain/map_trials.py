"""Tests of attribution maps: does a map depend on the network, and say what it depends on?

Each takes any function that returns maps (see `archspec.explain.attribution.Maps`), so that a
control that ignores the network can be compared with the methods.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from archspec.explain.attribution import MapRequest, Maps
from archspec.explain.subject import Subject, even
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ONES: Final = frozenset({"gamma", "scale", "variance", "moving_variance"})
"""Weights of normalisations that are set to 1."""

DEPTHS: Final = 12
"""Largest number of depths of re-initialised layers that are tried."""


@dataclass(frozen=True, eq=False)
class Curves:
    """Probability of an image's class, while its pixels are removed or inserted."""

    shares: NDArray[np.float64]
    """(steps + 1,) share of the pixels, from 0 to 1."""
    deletion: NDArray[np.float64]
    """(n, steps + 1)."""
    insertion: NDArray[np.float64]

    def area(self, which: str) -> float:
        """Return the mean area under the curves, by trapezoids: from 0 to 1."""
        heights = getattr(self, which).mean(axis=0)
        return float(np.diff(self.shares) @ (heights[1:] + heights[:-1]) / 2)


def curves(
    subject: Subject,
    pixels: NDArray[Any],
    fills: NDArray[Any],
    targets: Sequence[int],
    orders: Sequence[NDArray[Any]],
    *,
    steps: int,
    batch: int,
) -> Curves:
    """Return the probabilities of the targets while pixels are replaced by fills, in an order.

    Pixels and fills are (n, *shape). `orders` are the numbers of each image's pixels in the order
    in which they are replaced, in `steps` steps, which are at most as many as the pixels.
    """
    count = len(orders[0])
    cuts = np.unique(np.rint(np.linspace(0, count, steps + 1)).astype(int))
    size = even(len(cuts), batch)
    filled = np.pad(cuts, (0, -len(cuts) % size), mode="edge")  # batches of one size
    removed: list[NDArray[Any]] = []
    put_in: list[NDArray[Any]] = []
    for image, fill, target, order in zip(pixels, fills, targets, orders, strict=True):
        ranks = np.empty(count, int)
        ranks[order] = np.arange(count)
        for result, there, instead in ((removed, image, fill), (put_in, fill, image)):
            shares = []
            for some in filled.reshape(-1, size):
                taken = (ranks < some[:, None]).reshape(size, *image.shape[:-1], 1)
                variants = np.where(taken, instead, there).astype(np.float32)
                scores = subject.scores(variants, size)
                shares.append(subject.probabilities(scores)[:, target].copy())
            result.append(np.concatenate(shares)[: len(cuts)])
    return Curves(cuts / count, np.stack(removed), np.stack(put_in))


def order_of(map_: NDArray[Any], generator: np.random.Generator) -> NDArray[np.intp]:
    """Return the numbers of a map's values in descending order, ties in random order."""
    result: NDArray[np.intp] = np.lexsort((generator.random(map_.size), -map_.ravel()))
    return result


@dataclass(frozen=True, eq=False)
class Cascade:
    """Similarity of maps while more and more layers are re-initialised, the last one first."""

    layers: tuple[str, ...]
    """Layer that is reached at each depth, the last of the network first."""
    counts: tuple[int, ...]
    """Number of layers that are re-initialised at each depth."""
    likeness: NDArray[np.float64]
    """(depths, n): Spearman's rank correlation of |map| with that of the trained network."""
    first: NDArray[np.float64]
    """(1 + depths, *extent): maps of the first image, starting with the trained network's."""

    def mean(self, depth: int) -> float:
        """Return the mean likeness over images at a depth."""
        return float(self.likeness[depth].mean())


def cascade(request: MapRequest, maps: Maps) -> Cascade:
    """Re-initialise a network's layers, the last one first, and compare its maps.

    Adebayo et al. 2018, Sanity checks for saliency maps, section 3: cascading randomisation. The
    trained weights are restored in the end, whatever happens.
    """
    with reinitialised(request.subject, request.seed) as layers:
        numbers = np.unique(np.rint(np.linspace(0, len(layers) - 1, min(DEPTHS, len(layers)))))
        result = [maps(request)]
        names = list(layers)
        reached = 0
        for number in numbers.astype(int):
            for name in names[reached : number + 1]:
                layers[name]()
            reached = number + 1
            result.append(maps(request))
    likeness = [
        [spearman(*pair) for pair in zip(result[0], each, strict=True)] for each in result[1:]
    ]
    return Cascade(
        tuple(names[int(number)] for number in numbers),
        tuple(int(number) + 1 for number in numbers),
        np.array(likeness),
        np.stack([each[0] for each in result]),
    )


@contextmanager
def reinitialised(subject: Subject, seed: int) -> Iterator[dict[str, Any]]:
    """Yield functions that re-initialise layers, by name, the last first; restore all after.

    Kernels are drawn from a normal distribution of variance 2 / fan-in (He et al. 2015); scales and
    variances become 1, all other weights 0.
    """
    keras, generator = subject.keras, np.random.default_rng(seed)
    layers: dict[str, Any] = {}
    kept: dict[int, tuple[Any, NDArray[Any]]] = {}
    for call in reversed(subject.circuit.used):
        floats = (each for each in call.weights if keras.backend.is_float_dtype(each.dtype))
        new = [variable for variable in floats if id(variable) not in kept]
        kept |= {id(each): (each, keras.ops.convert_to_numpy(each).copy()) for each in new}
        if new:
            layers[call.name] = partial(_draw, new, generator)
    try:
        yield layers
    finally:
        for variable, value in kept.values():
            variable.assign(value)


def layers_of(subject: Subject) -> int:
    """Return the number of layers that have weights."""
    return len({id(call.layer) for call in subject.circuit.used if call.weights})


def _draw(variables: Sequence[Any], generator: np.random.Generator) -> None:
    for variable in variables:
        shape = tuple(variable.shape)
        if len(shape) > 1:
            value = generator.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape)
        else:
            value = np.full(shape, float(variable.name in ONES))
        variable.assign(value.astype(np.float32))


def spearman(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Return Spearman's rank correlation of two maps' absolute values; 1 for equal maps.

    A constant map has no ranks: its correlation with another map is taken as 0.
    """
    from scipy.stats import rankdata  # noqa: PLC0415

    if np.array_equal(one, other):
        return 1.0
    ranks = [rankdata(abs(each).ravel()) for each in (one, other)]
    if any(np.ptp(each) == 0 for each in ranks):
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


@dataclass(frozen=True, eq=False)
class Pairs:
    """Images of two classes: the left half of one beside the right half of another.

    So each pixel keeps its position and scale. Whole images that are shrunk to fit beside each
    other are unlike the training images: for 60 such pairs of digits 20 to 38 % of the classes were
    among the first two predictions, and for halves 63 %.
    """

    pixels: NDArray[np.float32]
    """(pairs, *shape)."""
    targets: NDArray[np.intp]
    """(pairs, 2): the class of the left half, and of the right one."""


def pairs_of(
    pixels: NDArray[Any], labels: NDArray[Any], count: int, generator: np.random.Generator
) -> Pairs | None:
    """Return joined halves of images of different classes; None if there is one class."""
    if len(np.unique(labels)) < 2:
        return None
    half = pixels.shape[-2] // 2
    joined, targets = [], []
    for number in generator.permutation(len(pixels))[:count]:
        other = generator.choice(np.flatnonzero(labels != labels[number]))
        halves = pixels[number, ..., :half, :], pixels[other, ..., half:, :]
        joined.append(np.concatenate(halves, axis=-2))
        targets.append((labels[number], labels[other]))
    return Pairs(np.stack(joined).astype(np.float32), np.array(targets, np.intp))


def pointing(request: MapRequest, pairs: Pairs, maps: Maps) -> tuple[float, NDArray[np.float64]]:
    """Play the pointing game: is a map's maximum on the half that shows its class?

    Zhang et al. 2016, Top-down neural attention by excitation backprop, section 4.2. A map with
    several maxima scores the share of them on that half, so that a constant one scores a half. The
    pairs take the place of the request's images.

    Returns:
        The share of hits, over both classes of each pair; the map of the first pair's left class.

    """
    half = pairs.pixels.shape[-2] // 2
    hits: list[float] = []
    first: list[NDArray[Any]] = []
    for side in (0, 1):
        targets = pairs.targets[:, side].tolist()
        result = maps(replace(request, pixels=pairs.pixels, targets=targets))
        first.append(result[0])
        for map_ in result:
            at = map_ == map_.max()
            here = at[..., half:] if side else at[..., :half]
            hits.append(float(here.sum() / at.sum()))
    return float(np.mean(hits)), first[0]


def edges(request: MapRequest) -> NDArray[np.float64]:
    """Return the slope of the image at each pixel: a control that ignores the network."""
    values = request.pixels.astype(float)
    axes = [axis for axis in range(1, values.ndim - 1) if values.shape[axis] > 1]
    squares = sum(np.gradient(values, axis=axis) ** 2 for axis in axes)
    result: NDArray[np.float64] = np.sqrt(squares).max(axis=-1)
    return result
