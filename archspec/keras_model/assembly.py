"""Calls of layers -> the layer graph that `matching` compares.

A separable convolution, one layer of Keras and two of other libraries, becomes two nodes.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Final, NamedTuple

from archspec.errors import UsageError
from archspec.imports.keras.config import Config, Extents, alike, mean_and_deviation
from archspec.keras_model.matching import (
    INPUT,
    Constant,
    LayerGraph,
    LayerNode,
    LayerWeight,
    without_ones,
)

CONSTANTS: Final = frozenset({"Rescaling", "Normalization"})
"""Layers that shift and scale all values by given constants."""

SCALED_SUM: Final = "CustomScaleLayer"
"""The class of Inception-ResNet-v2 in keras.applications that computes x + scale * y."""

SCALING: Final = CONSTANTS | {SCALED_SUM}
"""Layers whose configuration has constants by which values are scaled."""

REORDERING: Final = frozenset({"Permute"})
"""Layers that matter to what follows though they have one input and no weights."""


def size_of(shape: Extents) -> int | None:
    """Return the number of values of a shape; None if an extent is open."""
    return None if None in shape else prod(n for n in shape if n is not None)


class LayerArray(NamedTuple):
    """An array of a layer, with the layer's name for it."""

    name: str
    shape: tuple[int, ...]
    value: Any


class LayerCall(NamedTuple):
    """A call of a layer; `inputs` and `outputs` are keys of tensors."""

    name: str
    kind: str
    config: Config
    weights: Sequence[LayerArray]
    inputs: Sequence[Hashable]
    outputs: Sequence[Hashable]
    shape: Extents


class Tensor(NamedTuple):
    """A tensor: the node that makes it, its shape, and its shape before it was flattened."""

    node: int
    shape: Extents
    spread: Extents


@dataclass
class Assembly:
    """A layer graph in the making, call by call."""

    model: str
    nodes: list[LayerNode]
    tensors: dict[Hashable, Tensor]
    constants: list[Constant] = field(default_factory=list)
    scaled: dict[Hashable, Constant] = field(default_factory=dict)
    """Constants by the tensors that they make."""

    def add(self, call: LayerCall) -> None:
        if any(key in self.tensors for key in call.outputs):  # the input, which is a layer as well
            return
        if call.config.get("data_format") == "channels_first":
            raise UsageError(f"`{call.name}` has its channels first, archspec has them last")
        given = [self.maker(key, call.name) for key in call.inputs]
        weights = call.weights
        if call.kind == SCALED_SUM:
            scale = float(call.config.get("scale", 1))
            self.constants.append(Constant(call.name, (0.0,), (_over(1, scale),)))
        elif call.kind in CONSTANTS:
            self._scale(call)
            weights = ()
        made = tuple(tensor.node for tensor in given)
        if weights or len(given) != 1 or call.kind in REORDERING:
            spread = given[0].spread if given else ()
            for node in _nodes(call, weights, spread):
                self.nodes.append(node._replace(inputs=made))
                made = (len(self.nodes) - 1,)
        spread = call.shape
        if given and len(call.shape) == 1 and size_of(given[0].spread) == call.shape[0]:
            spread = given[0].spread
        tensor = Tensor(made[0], call.shape, spread)
        self.tensors.update(dict.fromkeys(call.outputs, tensor))

    def _scale(self, call: LayerCall) -> None:
        """Keep the constants of a layer: as one with those of the layer before, if it has any."""
        constant = _constant(call)
        before = self.scaled.get(call.inputs[0])
        if before is not None:
            constant = _composed(before, constant)
            self.constants = [each for each in self.constants if each is not before]
        self.constants.append(constant)
        self.scaled.update(dict.fromkeys(call.outputs, constant))

    def maker(self, key: Hashable, name: str) -> Tensor:
        if key not in self.tensors:
            raise UsageError(f"`{name}` gets a tensor that no layer of `{self.model}` makes")
        return self.tensors[key]

    def finish(self, outputs: Mapping[str, Hashable]) -> LayerGraph:
        ends = {name: self.maker(key, self.model).node for name, key in outputs.items()}
        return LayerGraph(tuple(self.nodes), ends, tuple(self.constants))


def assembly(model: str, inputs: Mapping[Hashable, tuple[str, Extents]]) -> Assembly:
    """Return the beginning of a layer graph: the name and the shape of each input, by its key."""
    nodes = [LayerNode(name, INPUT, (), shape, ()) for name, shape in inputs.values()]
    tensors = {key: Tensor(i, nodes[i].shape, nodes[i].shape) for i, key in enumerate(inputs)}
    return Assembly(model, nodes, tensors)


def _nodes(call: LayerCall, weights: Sequence[LayerArray], spread: Extents) -> Iterator[LayerNode]:
    """Yield the nodes of a call, each with the one before as its input."""
    sort = call.kind if len(call.inputs) != 1 or call.kind in REORDERING else "layer"
    if sort == SCALED_SUM:
        sort = "Add"
    if not call.kind.startswith("Separable"):
        yield LayerNode(call.name, sort, _weights(call.kind, weights, spread), call.shape, ())
        return
    depthwise, pointwise, *bias = weights
    first = [depthwise._replace(name="kernel")]
    shape = (*call.shape[:-1], prod(depthwise.shape[-2:]))
    made = _weights("DepthwiseConv", first)
    yield LayerNode(f"{call.name}/depthwise", sort, made, shape, ())
    second = [pointwise._replace(name="kernel"), *bias]
    made = _weights("Conv", second)
    yield LayerNode(f"{call.name}/pointwise", sort, made, call.shape, ())


def _weights(
    kind: str, arrays: Sequence[LayerArray], spread: Extents = ()
) -> tuple[LayerWeight, ...]:
    return tuple(
        LayerWeight(each.name, each.shape, _form(kind, each, spread), each.value) for each in arrays
    )


def _form(kind: str, array: LayerArray, spread: Extents) -> Extents:
    """Return the shape of an array in the plainest layer that computes the same.

    A fully connected layer is a convolution over all that was flattened, a 1x1 convolution a fully
    connected layer at each place, and a depthwise convolution one in as many groups as channels.
    """
    shape: Extents = array.shape
    if array.name != "kernel":
        return shape
    if kind.startswith("Depthwise"):
        return (*shape[:-2], 1, prod(array.shape[-2:]))
    if kind == "Dense" and len(without_ones(spread)) > 1 and size_of(spread) == shape[0]:
        return (*spread, shape[-1])
    if kind.startswith("Conv") and all(extent == 1 for extent in shape[:-2]):
        return shape[-2:]
    return shape


def _constant(call: LayerCall) -> Constant:
    """Return the constants of a layer as (x - mean) / deviation."""
    config = call.config
    if call.kind == "Rescaling":
        scales, offsets = alike(config.get("scale", 1), config.get("offset", 0))
        mean = tuple(_over(-offset, scale) for scale, offset in zip(scales, offsets, strict=True))
        return Constant(call.name, mean, tuple(_over(1, scale) for scale in scales))
    given = config.get("mean"), config.get("variance")
    if given[0] is None:
        given = call.weights[0].value, call.weights[1].value
    constant = normalization(call.name, *given)
    if not config.get("invert"):
        return constant
    pairs = tuple(zip(constant.mean, constant.deviation, strict=True))
    return Constant(
        call.name, tuple(_over(-m, d) for m, d in pairs), tuple(_over(1, d) for _, d in pairs)
    )


def _composed(first: Constant, then: Constant) -> Constant:
    """Return the constants of one layer that computes what two do, one after the other."""
    means, deviations, shifts, factors = alike(*first[1:], *then[1:])
    return Constant(
        first.name,
        tuple(a + b * d for a, b, d in zip(means, shifts, deviations, strict=True)),
        tuple(d * f for d, f in zip(deviations, factors, strict=True)),
    )


def normalization(name: str, mean: Any, variance: Any) -> Constant:
    """Return the constants of a layer that normalizes images, from numbers, lists or arrays."""
    means, deviations = mean_and_deviation(mean, variance)
    return Constant(name, tuple(means), tuple(deviations))


def _over(a: float, b: float) -> float:
    return a / b if b else float("inf")


def unknown(name: str) -> str:
    """Return the message that a model does not say how its layers are joined."""
    return (
        f"the layers of `{name}` are not known: only a functional or sequential model whose input "
        "shape is given says how its layers are joined"
    )
