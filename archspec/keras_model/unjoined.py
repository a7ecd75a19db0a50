"""A file of weights alone: which of its layers corresponds to which of a network's.

Such a file does not say how its layers are joined, and before Keras 3.15 not even their names. But
Keras lists a layer after those that it depends on. So if all layers with weights of the same shapes
depend on each other, one after the other, a file can have them in one order only. If two of them
are in parallel branches, either could come first, and the file is refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple, TypeAlias

from archspec.imports.keras.config import Extents
from archspec.imports.keras.stored import NORMALIZATION, StoredLayer
from archspec.keras_model.assembly import normalization
from archspec.keras_model.heads import heads
from archspec.keras_model.matching import LayerGraph, LayerNode, without_ones

Signature: TypeAlias = tuple[Extents, ...]


EXACT, PLAIN, COVERING = LIKENESSES = ("exact", "plain", "covering")
"""Ways to compare the shapes of layers: exactly; with a 1x1 convolution equal to a fully connected
layer; and with a convolution over its whole input equal to one, too."""


class UncertainError(Exception):
    """A file's layers do not fit a network, or in more than one way; the message says why."""


class _Item(NamedTuple):
    """Weights for a node: those of a stored layer, or half of a separable convolution's."""

    name: str
    order: tuple[str, ...]
    arrays: tuple[Any, ...]

    def signature(self, likeness: str) -> Signature:
        shapes = [tuple(array.shape) for array in self.arrays]
        return tuple(shapes if likeness == EXACT else map(_plain, shapes))


def adopt(graph: LayerGraph, layers: Sequence[StoredLayer]) -> LayerGraph:
    """Return a network's graph with the weights of a file.

    The last layers may have another number of classes.

    Args:
        graph: The network.
        layers: The layers in the file.

    Raises:
        UncertainError: The file holds other layers, or it is not certain which is which.

    """
    constants = [layer for layer in layers if layer.kind == NORMALIZATION]
    items = [item for layer in layers if layer not in constants for item in _items(layer)]
    pairs = _by_name(graph, items)
    if pairs is None:
        pairs = _by_order(graph, items)
    nodes = list(graph.nodes)
    named = all(item.name for item in items)
    given = {
        graph.nodes[index].name: _given(graph.nodes[index], item, named=named)
        for index, item in pairs.items()
    }
    for index, node in enumerate(nodes):
        if node.weights and (new := given.get(node.name)):  # a layer may be used several times
            shape = (*node.shape[:-1], new.shape[-1])
            nodes[index] = node._replace(name=new.name, weights=new.weights, shape=shape)
    added = [normalization(layer.name or layer.kind, *layer.arrays[:2]) for layer in constants]
    return graph._replace(nodes=tuple(nodes), constants=(*graph.constants, *added))


def _items(layer: StoredLayer) -> Iterator[_Item]:
    if layer.kind.startswith("separable"):
        depthwise, *pointwise = layer.arrays
        yield _Item(f"{layer.name}/depthwise" if layer.name else "", layer.order, (depthwise,))
        yield _Item(f"{layer.name}/pointwise" if layer.name else "", layer.order, (*pointwise,))
    else:
        yield _Item(layer.name, layer.order, layer.arrays)


def _given(node: LayerNode, item: _Item, *, named: bool) -> LayerNode:
    """Return a node with an item's arrays as its weights."""
    weights = []
    for weight, array in zip(node.weights, item.arrays, strict=True):
        shape = tuple(array.shape)
        form: Extents = shape
        if prod(shape[:-1]) == prod(n or 0 for n in weight.shape[:-1]):
            form = (*weight.form[:-1], shape[-1])
        if shape == weight.shape:
            form = weight.form
        weights.append(weight._replace(shape=shape, form=form, value=array))
    classes = weights[-1].shape[-1] if len(weights[-1].shape) == 1 else node.shape[-1]
    kernels = [weight for weight in weights if weight.name == "kernel" and len(weight.shape) > 1]
    if kernels and kernels[0].form[:-1] == node.weights[0].form[:-1]:
        classes = kernels[0].form[-1]
    name = item.name if named else node.name
    return node._replace(name=name, weights=tuple(weights), shape=(*node.shape[:-1], classes))


def _by_name(graph: LayerGraph, items: Sequence[_Item]) -> dict[int, _Item] | None:
    """Return pairs by the names of layers, if they are the network's; None if they are not.

    keras.applications has renamed its last layer, and had conv1/conv for conv1_conv.
    """
    named = {item.name.replace("/", "_"): item for item in items}
    wanted = {name.replace("/", "_"): index for name, index in graph.places.items()}
    here, there = wanted.keys() - named.keys(), named.keys() - wanted.keys()
    if len(named) != len(items) or len(items) != len(wanted) or len(there) > 1:
        return None
    for name, other in zip(here, there, strict=True):
        named[name] = named[other]
    pairs = {index: named[name] for name, index in wanted.items()}
    if any(len(graph.nodes[index].weights) != len(item.arrays) for index, item in pairs.items()):
        return None
    return pairs


def _by_order(graph: LayerGraph, items: Sequence[_Item]) -> dict[int, _Item]:
    """Return pairs by the shapes of weights, and by their order where that is certain."""
    weighted = {index: graph.nodes[index] for index in graph.places.values()}
    if len(items) != len(weighted):
        raise UncertainError(f"`{{}}` has {len(weighted)} layers with weights")
    last = heads(graph)
    for likeness in LIKENESSES:
        here = {index: _signature(node, likeness) for index, node in weighted.items()}
        there = [(item.signature(likeness), item) for item in items]
        pairs = _grouped(here, there)
        if pairs is None:
            pairs = _with_other_classes(here, there, last)
        if pairs is not None:
            _check_order(graph, pairs, likeness)
            return pairs
    stored = {item.signature(PLAIN) for item in items}
    for node in weighted.values():
        if not {_signature(node, likeness) for likeness in LIKENESSES[1:]} & stored:
            raise UncertainError(f"none of them has the shapes of {node}")
    raise UncertainError("their shapes are not those of the layers of `{}`")


def _grouped(
    here: Mapping[int, Signature], there: Sequence[tuple[Signature, _Item]]
) -> dict[int, _Item] | None:
    """Return pairs: the first layer of a signature with the first item of it, and so on."""
    groups: dict[Signature, list[_Item]] = defaultdict(list)
    for signature, item in there:
        groups[signature].append(item)
    waiting = {signature: iter(group) for signature, group in groups.items()}
    pairs = {index: next(waiting.get(each, iter(())), None) for index, each in here.items()}
    complete = {index: item for index, item in pairs.items() if item is not None}
    return complete if len(complete) == len(here) == len(there) else None


def _with_other_classes(
    here: Mapping[int, Signature],
    there: Sequence[tuple[Signature, _Item]],
    last: frozenset[int],
) -> dict[int, _Item] | None:
    """Return pairs in which the last layers may have another last extent."""
    body = {index: each for index, each in here.items() if index not in last}
    bodies = set(body.values())
    pairs = _grouped(body, [pair for pair in there if pair[0] in bodies])
    left = [pair for pair in there if pair[0] not in bodies]
    ends = [index for index in here if index in last]
    if pairs is None or len(left) != len(ends):
        return None
    for index, (signature, item) in zip(ends, left, strict=True):
        if [shape[:-1] for shape in here[index]] != [shape[:-1] for shape in signature]:
            return None
        pairs[index] = item
    return pairs


def _check_order(graph: LayerGraph, pairs: Mapping[int, _Item], likeness: str) -> None:
    """Raise `UncertainError` if a file could have its layers in another order."""
    before = _ancestors(graph)
    latest: dict[Signature, int] = {}
    for index in sorted(pairs):
        node, item = graph.nodes[index], pairs[index]
        signature = item.signature(likeness)
        other = latest.get(signature)
        if other is not None and not (
            before[index] >> other & 1 and pairs[other].order == item.order
        ):
            raise UncertainError(
                f"`{graph.nodes[other].name}` and `{node.name}` of `{{}}` have weights of the same "
                "shapes: nothing tells which is which"
            )
        latest[signature] = index


def _ancestors(graph: LayerGraph) -> list[int]:
    """Return, for each node, a number with a bit for each node that it depends on."""
    bits: list[int] = []
    for node in graph.nodes:
        mine = 0
        for index in node.inputs:
            mine |= bits[index] | 1 << index
        bits.append(mine)
    return bits


def _signature(node: LayerNode, likeness: str) -> Signature:
    """Return the shapes of a node's weights, as far as they must agree."""
    if likeness == EXACT:
        return tuple(weight.shape for weight in node.weights)
    covers = likeness == COVERING and len(without_ones(node.shape)) == 1
    return tuple(
        (prod(n or 0 for n in weight.shape[:-1]), weight.shape[-1])
        if covers and len(weight.shape) > 2
        else _plain(weight.shape)
        for weight in node.weights
    )


def _plain(shape: Extents) -> Extents:
    """Return the shape of a 1x1 convolution's kernel as that of a fully connected layer."""
    return shape[-2:] if len(shape) > 2 and all(n == 1 for n in shape[:-2]) else shape
