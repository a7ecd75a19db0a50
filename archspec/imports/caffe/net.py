"""A Caffe network as it is read: its blobs so far, and what adds layers to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Final, NamedTuple, TypeAlias

from archspec.element import Element
from archspec.graph.graph import Node
from archspec.imports.building import ModelBuilder
from archspec.imports.caffe.layer import Layer
from archspec.imports.caffe.weights import Weighted
from archspec.imports.modeltext import parse_op
from archspec.imports.multiplying import may_multiply
from archspec.imports.prototext import Message
from archspec.ops.arrangement import Flatten
from archspec.ops.axes import names_of_axes
from archspec.ops.normalization import BatchNorm
from archspec.ops.op import Elementwise, Op, Weight
from archspec.ops.shape import Shape
from archspec.ops.shuffles import Permute
from archspec.ops.tokens import Embedding
from archspec.ops.unknown import Unknown

_LEARNED: Final = {
    "BN", "Bias", "Convolution", "Deconvolution", "Embed", "InnerProduct", "Normalize", "PReLU",
    "Scale",
}  # fmt: skip
"""Types whose `param` says whether training changes the weights, and who shares them."""


class Laid(NamedTuple):
    """A blob: a node, and the place in its shape of each of Caffe's axes after the batch."""

    node: Node
    order: tuple[int, ...]

    @property
    def is_usual(self) -> bool:
        """Whether the channels come first in Caffe, and last here."""
        return self.order == _usual(self.node.shape)

    @property
    def is_straight(self) -> bool:
        """Whether Caffe's axes are in the order that they have here."""
        return self.order == tuple(range(len(self.node.shape)))

    def name_of(self, axis: int) -> str | None:
        """Return the name of one of Caffe's axes; None for the batch, or an axis there is not."""
        axis += len(self.order) + 1 if axis < 0 else 0
        if not 0 < axis <= len(self.order):
            return None
        return names_of_axes(self.node.shape)[self.order[axis - 1]]


def _usual(x: Shape) -> tuple[int, ...]:
    """Return the order of Caffe's axes where the channels come first."""
    return (len(x) - 1, *range(len(x) - 1)) if x else ()


Made: TypeAlias = "Node | Laid | Sequence[Node | Laid]"
"""The nodes of a layer's tops: one for all, or one each."""


@dataclass
class Net:
    """A network as it is read: the nodes of its blobs so far."""

    builder: ModelBuilder
    folded: Mapping[int, Layer]
    """The Scale layer that belongs to a BatchNorm layer, by the line of the latter."""
    blobs: dict[str, Laid] = field(default_factory=dict)
    owners: dict[tuple[str, ...], Node] = field(default_factory=dict)
    """The first layer with weights of these names, which later ones share."""
    tied: dict[str, Node] = field(default_factory=dict)
    """The first layer with a weight of each name."""
    nodes: dict[int, Node] = field(default_factory=dict)
    """All nodes so far, by their numbers."""
    weighted: list[Weighted] = field(default_factory=list)
    """The nodes with weights, and their layers."""
    priors: set[str] = field(default_factory=set)
    """Blobs that are boxes made of extents alone."""
    pooled: dict[str, Node] = field(default_factory=dict)
    """The input of each pool, by the blob of the places of its maxima."""
    straight: set[int] = field(default_factory=set)
    """Numbers of the nodes that are vectors of maps in Caffe's own order."""
    unfit: list[str] = field(default_factory=list)
    """Names of nodes whose weights are in no known order."""
    averages: int = 0
    """Number of BatchNorm layers."""
    params: int | None = 0
    """Number of parameters so far as Caffe counts them; None after a layer that is not known."""

    def __post_init__(self) -> None:
        for name, node in self.builder.inputs.items():
            self.blobs[name] = laid(node)
            self.nodes[node.index] = node

    def usual(self, layer: Layer, x: Laid) -> Laid:
        """Return a blob with its channels last, and first in Caffe."""
        return x if x.is_usual else self._in_order(layer, x, (*range(1, len(x.order)), 0))

    def alike(self, layer: Layer, blobs: Sequence[Laid]) -> list[Laid]:
        """Return blobs whose axes are in one order: their own if they agree, else the usual one."""
        if len({each.order for each in blobs}) == 1:
            return list(blobs)
        return [self.usual(layer, each) for each in blobs]

    def usual_nodes(self, layer: Layer, blobs: Sequence[Laid]) -> list[Node]:
        """Return the nodes of blobs, all with their channels last."""
        return [self.usual(layer, each).node for each in blobs]

    def straightened(self, layer: Layer, x: Laid) -> Laid:
        """Return a blob with its axes in Caffe's order."""
        return x if x.is_straight else self._in_order(layer, x, tuple(range(len(x.order))))

    def _in_order(self, layer: Layer, x: Laid, axes: Sequence[int]) -> Laid:
        """Return a blob whose node has the given axes of Caffe's, counted after the batch."""
        names = names_of_axes(x.node.shape)
        to = tuple(names[x.order[axis]] for axis in axes)
        node = self.add(layer, Permute, x.node, part="permute", to=to)
        return Laid(node, tuple(axes.index(axis) for axis in range(len(axes))))

    def add(
        self, layer: Layer, kind: type[Element], *inputs: Node, part: str = "", **arguments: Any
    ) -> Node:
        """Add an op for a layer, or for a part of it."""
        op: Op = parse_op(kind, arguments, layer.line, f"layer `{layer.name}`")
        name = f"{layer.name}_{part}" if part else layer.name
        key = () if part else self._names_of_weights(layer)
        first = self.owners.get(key)
        if first is not None and first.op == op and len(key) >= len(first.layer.used):
            return self.builder.share(first, *inputs, name=name, type_name=layer.type)
        node = self.builder.add(op, *inputs, name=name, type_name=layer.type)
        if key and all(key):
            self.owners.setdefault(key, node)
        if isinstance(node.op, Unknown) or self.params is None:
            self.params = None
        else:
            self.params += node.layer.params + (isinstance(op, BatchNorm) and layer.type != "BN")
            self._note_tied(node, key)
        self.nodes[node.index] = node
        if node.layer.weights and not isinstance(node.op, Unknown):
            self._keep(layer, node, inputs[0])
        return node

    def _names_of_weights(self, layer: Layer) -> tuple[str, ...]:
        """Return the names of a layer's weights, and of the factors that belong to its norm."""
        if layer.type not in _LEARNED | {"BatchNorm"}:
            return ()
        scale = self.folded.get(layer.line)
        return layer.shared_names + (scale.shared_names if scale else ())

    def _note_tied(self, node: Node, key: Sequence[str]) -> None:
        """Note weights that a layer shares with an earlier one, though not all of them."""
        if isinstance(node.op, BatchNorm):
            return
        for name, weight in zip(key, node.layer.weights, strict=False):
            first = self.tied.setdefault(name, node) if name else node
            if first is not node and self.params is not None:
                count = prod(weight.shape)
                self.params -= count
                self.builder.note(
                    f"Layer {node.name} has {count:,} numbers in common with {first.name} (tied "
                    "weights): they count in both."
                )

    def _keep(self, layer: Layer, node: Node, x: Node) -> None:
        """Remember which layers have the weights of a node."""
        scale = self.folded.get(layer.line)
        names = (layer.name,) if scale is None else (layer.name, scale.name)
        known, maps = self._flattened(x)
        if not known:
            self.unfit.append(node.name)
        is_transposed = layer.param("inner_product").flag("transpose", default=False)
        blobs: tuple[int, int | None] = (0, None)
        if layer.type == "Embed":  # the vectors and their bias are two nodes
            blobs = (0, 1) if isinstance(node.op, Embedding) else (1, 2)
        self.weighted.append(Weighted(node, names, maps, is_transposed, blobs))

    def _flattened(self, x: Node) -> tuple[bool, tuple[int, ...] | None]:
        """Return whether the order of a vector's values is known, and the maps that it holds."""
        while not x.shape.rank and x.inputs and all(each in self.nodes for each in x.inputs):
            before = [self.nodes[index] for index in x.inputs]
            if x.index in self.straight:
                return True, None
            if isinstance(x.op, Flatten):
                maps = before[0].shape
                wide = sum(extent > 1 for extent in maps) > 1
                return True, tuple(maps) if wide else None
            if len(before) > 1:
                found = [self._flattened(each) for each in before]
                return all(known and maps is None for known, maps in found), None
            if not isinstance(x.op, Elementwise):
                return True, None
            (x,) = before
        return True, None

    def unknown(
        self,
        layer: Layer,
        *inputs: Node,
        reason: str = "archspec does not know this type of layer",
        shape: Sequence[int] | None = None,
        arrays: tuple[Weight, ...] | None = None,
    ) -> Node:
        """Add a layer that archspec does not know."""
        if arrays is None or self.params is None:
            self.params = None
        else:
            self.params += sum(prod(weight.shape) for weight in arrays)
        return self.builder.unknown(
            layer.type,
            *inputs,
            name=layer.name,
            reason=reason,
            declared=shape,
            arrays=arrays,
            multiplies=may_multiply(layer.type),
        )


def laid(node: Node) -> Laid:
    """Return a blob of a node with the channels last, which are first in Caffe."""
    return Laid(node, _usual(node.shape))


def as_before(made: Made, x: Laid) -> Made:
    """Return what a layer made of a blob, with the blob's order if it has as many axes."""
    if isinstance(made, Node) and len(made.shape) == len(x.order):
        return Laid(made, x.order)
    return made


class Rule(NamedTuple):
    """The rule of a type of layers."""

    add: Callable[[Net, Layer, list[Laid]], Made]
    """Adds a layer, of inputs whose axes may be in any order."""
    counts: range = range(1, 2)
    """Numbers of inputs that it may have."""


def moving(add: Callable[[Net, Layer, Laid], Made]) -> Rule:
    """Return the rule of a layer of one input to which the order of Caffe's axes matters."""
    return Rule(lambda net, layer, inputs: add(net, layer, inputs[0]))


def pointwise(add: Callable[[Net, Layer, Node], Made]) -> Rule:
    """Return the rule of a layer to which every value is alike, wherever it stands."""
    return moving(lambda net, layer, x: as_before(add(net, layer, x.node), x))


def usual(add: Callable[[Net, Layer, Node], Made]) -> Rule:
    """Return the rule of a layer whose one input has its channels last."""
    return moving(lambda net, layer, x: add(net, layer, net.usual(layer, x).node))


def spatial(param: Message, name: str, default: int) -> int | tuple[int, ...]:
    """Return an extent along the spatial axes: `pad: 1`, one `pad` each, or `pad_h`, `pad_w`."""
    stem = name.removesuffix("_size")
    if f"{stem}_h" in param or f"{stem}_w" in param:
        height, width = param.integer(f"{stem}_h", default), param.integer(f"{stem}_w", default)
        return height if height == width else (height, width)
    values = param.integers(name)
    if not values:
        return default
    return values[0] if len({*values}) == 1 else tuple(values)


def trainable(layer: Layer) -> dict[str, Any]:
    """Return the argument of an op whose weights training leaves alone."""
    rates = layer.rates
    return {"trainable": False} if rates and not any(rates) else {}
