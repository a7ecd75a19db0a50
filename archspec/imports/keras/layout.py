"""Tensors of a file with their channels first, and vectors that are such maps in another order.

Each tensor of maps has its channels first or last in the file; archspec's nodes have them last. A
layer that needs the other order of a tensor, as Dense needs the file's last axis last, reads it
through a `permute`, so that every value is where the file has it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final, NamedTuple

from archspec.graph.graph import Node
from archspec.imports.building import ModelBuilder
from archspec.imports.keras.calls import Call
from archspec.imports.keras.config import class_of, function_name, operator_of
from archspec.ops.arrangement import Flatten, Reshape
from archspec.ops.axes import names_of_axes
from archspec.ops.op import Op
from archspec.ops.shape import Shape, UnknownShape
from archspec.ops.shuffles import Permute

_LAST_AXIS = """
    Dense EinsumDense Embedding Reshape Dot LSTM GRU SimpleRNN Bidirectional TimeDistributed
    MultiHeadAttention GroupQueryAttention Attention AdditiveAttention
    matmul reshape expand_dims squeeze pad get_item
"""
LAST_AXIS: Final = frozenset(_LAST_AXIS.split())
"""Layers, and functions of operators, for which the file's axes stand in the file's order."""

REORDERED: Final = frozenset({"Flatten", "Permute", "Reshape", "reshape", "transpose"})
"""Layers after which another order of the axes begins."""

_ELEMENTWISE = """
    Dropout Activation ReLU LeakyReLU ELU ThresholdedReLU Identity ActivityRegularization
    GaussianDropout GaussianNoise AlphaDropout
"""
ELEMENTWISE: Final = frozenset(_ELEMENTWISE.split())
"""Layers that leave a vector in its order."""

FOLLOWING: Final = ELEMENTWISE | {"Dense", "BatchNormalization", "SyncBatchNormalization"}
"""Layers that can read a vector in another order: their weights are put in archspec's."""

_MERGED = """
    Add Subtract Multiply Average Maximum Minimum add subtract multiply divide maximum minimum
"""
_MERGES: Final = frozenset(_MERGED.split())


class Flattened(NamedTuple):
    """The order in which the file has the values of a vector that was made of maps."""

    maps: Shape
    """Shape of the maps, channels last."""
    order: tuple[int, ...]
    """The axes of the maps, from the slowest in the file to the fastest."""


def kind_of_call(call: Call) -> str:
    """Return the class of a layer, or the name of an operator's function."""
    return function_name(operator_of(call.layer)) or class_of(call.layer)


def _is_first(call: Call) -> bool | None:
    """Return whether a call needs its input's channels first; None if it takes any order."""
    if (kind := kind_of_call(call)) in LAST_AXIS:
        return False
    if kind in REORDERED:
        return None
    for given in (call.layer["config"], call.arguments.kwargs):
        if given.get("data_format") in ("channels_first", "channels_last"):
            return bool(given["data_format"] == "channels_first")
    return None


class Layouts:
    """The order of each tensor's axes in a file, and its nodes in each order."""

    def __init__(self, calls: Sequence[Call]) -> None:
        """Find the order in which the layers need each tensor."""
        self._needed = [_is_first(call) for call in calls]
        self._by_call = {id(call): need for call, need in zip(calls, self._needed, strict=True)}
        self.any_first = any(self._needed)
        """Whether a layer of the file has its channels first."""
        self.first: dict[Hashable, bool] = {}
        """Whether the node of each tensor is of one whose channels are first in the file."""
        self.flattened: dict[int, Flattened] = {}
        """The order of each vector in which the file has another than archspec, by its node."""
        self._made: dict[str, Node] = {}
        self._wished: dict[Hashable, bool] = {}
        for call, need in zip(reversed(calls), reversed(self._needed), strict=True):
            wish = need
            if need is None and kind_of_call(call) not in REORDERED:
                wish = self._wished.get(call.output())
            if wish is not None:
                self._wished.update(dict.fromkeys(call.inputs, wish))

    def wishes_first(self, key: Hashable) -> bool:
        """Return whether the first layer that minds has the channels of a tensor first."""
        return self._wished.get(key, False)

    def order_for(self, call: Call, nodes: Sequence[Node]) -> bool:
        """Return whether a call reads its inputs with their channels first."""
        need = self._by_call[id(call)]
        if need is not None:
            return need
        maps = [
            self.first.get(key, False)
            for key, node in zip(call.inputs, nodes, strict=True)
            if len(node.shape) > 1
        ]
        mixed = len({len(node.shape) for node in nodes}) > 1 and kind_of_call(call) in _MERGES
        return bool(maps) and maps[0] and not mixed

    def node(self, model: ModelBuilder, key: Hashable, node: Node, *, first: bool) -> Node:
        """Return the node of a tensor for a layer that reads its channels first, or last."""
        x = node.shape
        if len(x) < 2 or isinstance(x, UnknownShape) or self.first.get(key, False) == first:
            return node
        names = names_of_axes(x)
        to = (*names[1:], names[0]) if first else (names[-1], *names[:-1])
        return self._once(model, node, f"{node.name}/permute", Permute(to=to))

    def straight(self, model: ModelBuilder, node: Node) -> Node | None:
        """Return a vector with its values in the file's order; None where it cannot be."""
        flattened = self.flattened.get(node.index)
        if flattened is None:
            return node
        if flattened.maps.is_open:
            return None
        names = names_of_axes(flattened.maps)
        x = node
        for part, op in (
            ("maps", Reshape(to=tuple(flattened.maps))),
            ("permute", Permute(to=tuple(names[at] for at in flattened.order))),
            ("flatten", Flatten()),
        ):
            x = self._once(model, x, f"{node.name}/{part}", op)
        return x

    def _once(self, model: ModelBuilder, x: Node, name: str, op: Op) -> Node:
        """Return the node of a helper, which is added at its first use."""
        if name not in self._made:
            self._made[name] = model.add(op, x, name=name, type_name=type(op).__name__)
        return self._made[name]


def file_axes(rank: int, *, first: bool) -> tuple[int, ...]:
    """Return the place in archspec's shape of each axis that a tensor has in the file."""
    places = tuple(range(rank))
    return (places[-1], *places[:-1]) if first and rank > 1 else places
