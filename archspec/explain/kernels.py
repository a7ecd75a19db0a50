"""Kernels of a network, as filters: their norms, and how similar they are to noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, Final

from archspec.errors import UsageError
from archspec.explain.circuit import INPUT, Circuit, CircuitCall
from archspec.explain.subject import Subject
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEEPING: Final = frozenset({"Dropout", "Flatten", "Identity", "Reshape"})
"""Layers that keep the order of values, so that a dense layer behind them sees a whole map."""

SCALING: Final = frozenset({"Normalization", "Rescaling"})
"""Layers with weights whose output is still an image."""

LEVEL: Final = 0.95
"""Share of white noise that a kernel must exceed in likeness not to be noisy."""

_DRAWS: Final = (50, 1_000)
"""Least and largest number of kernels of white noise to compare with."""

_DRAWN: Final = 2_000_000
"""Approximate number of values that are drawn for them."""


@dataclass(frozen=True, eq=False)
class Kernels:
    """The kernels of a layer."""

    call: CircuitCall
    values: NDArray[np.float32]
    """(filters, *space, channels), or (filters, inputs) for a matrix."""
    what: str = "filters"
    """Name of the elements of the first axis."""
    is_of_image: bool = False
    """Whether the channels are those of the images."""

    @property
    def space(self) -> tuple[int, ...]:
        """Extents of a kernel in space; empty if it has a single position."""
        extents = self.values.shape[1:-1]
        return extents if prod(extents) > 1 else ()

    @property
    def channels(self) -> int:
        return int(self.values.shape[-1])

    @property
    def size(self) -> str:
        """Extents of a kernel, as `5x5x1`."""
        return "x".join(map(str, self.values.shape[1:]))

    @property
    def norms(self) -> NDArray[Any]:
        """(filters,) L2 norm of all weights of each filter."""
        flat = self.values.reshape(len(self.values), -1)
        norms: NDArray[Any] = np.sqrt(np.einsum("ij,ij->i", flat, flat, dtype=np.float64))
        return norms


def kernels_of(subject: Subject, call: CircuitCall) -> Kernels | None:
    """Return the kernels of a layer; None for one that has none.

    A filter computes one channel of the output; in a transposed convolution, it spreads one channel
    of the input; in a depthwise one, it reads one channel. A fully connected layer on a flattened
    map is a convolution as large as the map.
    """
    layer = call.layer
    weights = getattr(layer, "depthwise_kernel", None)
    weights = getattr(layer, "kernel", None) if weights is None else weights
    if weights is None:
        return None
    values = np.asarray(subject.keras.ops.convert_to_numpy(weights)).astype(np.float32)
    result = _filters(subject, call, values)
    if result is None:
        return None
    filters, what = result
    is_of_image = _sees_image(subject.circuit, call)
    if is_of_image and subject.preprocessing.reverse_channels:
        filters = filters[..., ::-1]  # in the order of the pixels
    return Kernels(call, filters, what, is_of_image)


def _filters(subject: Subject, call: CircuitCall, values: Any) -> tuple[Any, str] | None:
    """Return a kernel with its filters first, (filters, *space, channels), and their name."""
    for kind in (each.__name__ for each in type(call.layer).__mro__):
        if kind.startswith(("DepthwiseConv", "SeparableConv")):
            *space, inputs, multiplier = values.shape
            filters = values.reshape(*space, inputs * multiplier)
            return np.moveaxis(filters, -1, 0)[..., None], "depthwise filters"
        if kind.startswith("Conv") and kind.endswith("Transpose"):
            return np.moveaxis(values, -1, 0), "filters (one for each input channel)"
        if kind.startswith("Conv"):
            return np.moveaxis(values, -1, 0), "filters"
        if kind == "LocalConv":
            middle = values[len(values) // 2]
            filters = middle.reshape(*call.layer.kernel_size, -1, values.shape[-1])
            return np.moveaxis(filters, -1, 0), "filters at the middle place"
        if kind == "Dense":
            seen = _seen(subject.circuit, call)
            return values.T.reshape(-1, *seen) if prod(seen) == len(values) else values.T, "units"
    return None


def _seen(circuit: Circuit, call: CircuitCall) -> tuple[int, ...]:
    """Return the shape of a fully connected layer's input before it was flattened."""
    name = call.inputs[0]
    shape = circuit.shape_of(name)
    if len(shape) > 1:  # applied at each position
        return shape[-1:]
    while name != INPUT and circuit[name].kind in KEEPING:
        name = circuit[name].inputs[0]
    return circuit.shape_of(name)


def _sees_image(circuit: Circuit, call: CircuitCall) -> bool:
    """Return whether a layer's channels are the image's: no layer before it has weights."""
    before = [circuit[name] for name in circuit.before(call.name) - {call.name}]
    return all(not each.weights or each.kind in SCALING for each in before)


def chosen_kernels(subject: Subject, names: Any) -> list[Kernels]:
    """Return the kernels of the named layers or blocks, by default of all layers.

    Raise `UsageError` if there is no such layer, or it has no kernel.
    """
    circuit = subject.circuit
    calls = {id(call.layer): call for call in reversed(circuit.calls.values())}
    kernels = {
        call.name: result
        for call in reversed(calls.values())
        if (result := kernels_of(subject, call)) is not None
    }
    if not kernels:
        raise UsageError(f"{subject.name} has no convolution and no fully connected layer")
    if names is None:
        return list(kernels.values())
    chosen: list[Kernels] = []
    for name in names:
        last = circuit.find(name).name
        block = f"{name.replace('-', '/')}/"
        inside = [
            each
            for key, each in kernels.items()
            if key == last or key.replace("-", "/").startswith(block)
        ]
        if not inside:
            raise UsageError(
                f"layer `{name}` has no kernel: name a convolution or a fully connected layer, "
                f"such as {', '.join(list(kernels)[:3])}"
            )
        chosen += [each for each in inside if each not in chosen]
    return chosen


def likeness(values: NDArray[Any]) -> NDArray[Any]:
    """Return how alike neighbouring weights of kernels are: from -1 to 1, noise being near 0.

    The autocorrelation at a distance of one tap, 2 sum(v w) / sum(v^2 + w^2) over all pairs of
    neighbours (v, w) along a direction and over all channels, in the direction in which it is
    largest: along an axis or a diagonal. An oriented filter is smooth along its stripes, however
    fine they are. The mean is not removed: a constant kernel is smooth, and has 1. Of (filters,
    *space, channels) it is (filters,), and NaN for a kernel that is 0 everywhere.
    """
    filters = len(values)
    result = []
    for first, second in _neighbours(values):
        v, w = first.reshape(filters, -1), second.reshape(filters, -1)
        products = np.einsum("ij,ij->i", v, w, dtype=np.float64)
        squares = np.einsum("ij,ij->i", v, v, dtype=np.float64)
        squares += np.einsum("ij,ij->i", w, w, dtype=np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            result.append(np.where(squares > 0, 2 * products / squares, np.nan))
    largest: NDArray[Any] = np.fmax.reduce(result)
    return largest


def _neighbours(values: NDArray[Any]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Yield for each direction the weights that have a neighbour there, and these neighbours."""
    extents = values.shape[1:-1]
    for step in product((-1, 0, 1), repeat=len(extents)):
        if step <= (0,) * len(step) or any(
            move and extent < 2 for move, extent in zip(step, extents, strict=True)
        ):
            continue
        first = [
            slice(max(-move, 0), n - max(move, 0)) for move, n in zip(step, extents, strict=True)
        ]
        second = [
            slice(max(move, 0), n - max(-move, 0)) for move, n in zip(step, extents, strict=True)
        ]
        yield values[(slice(None), *first)], values[(slice(None), *second)]


def noise_likeness(shape: tuple[int, ...], seed: int) -> float:
    """Return the likeness that 95 % of kernels of white noise, (*space, channels), do not reach."""
    least, most = _DRAWS
    draws = max(least, min(most, _DRAWN // prod(shape)))
    noise = np.random.default_rng(seed).standard_normal((draws, *shape), dtype=np.float32)
    return float(np.quantile(likeness(noise), LEVEL))
