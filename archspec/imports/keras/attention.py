"""Keras's attention layers as ops: projections, products and a softmax."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from archspec.graph.graph import Node
from archspec.imports.keras.layer import Function, KerasLayer, UnlikeError
from archspec.ops.arrangement import Reshape
from archspec.ops.attention import CausalMask
from archspec.ops.axes import Axis
from archspec.ops.convolution import FullyConnected
from archspec.ops.elementwise import Dropout, Rescale, Softmax
from archspec.ops.merge import MatMul
from archspec.ops.shuffles import Permute

SWAPPED: Final[tuple[Axis, ...]] = ("width", "height", "channels")
"""The axes of heads and positions, in the other order."""


def multi_head_attention(layer: KerasLayer) -> Node:
    """Add MultiHeadAttention of sequences.

    Keras's weights are those of queries, keys, values and output, each a kernel and a bias.
    """
    config = layer.config
    heads, size = config["num_heads"], config["key_dim"]
    value_size = config.get("value_dim") or size
    query, value, key = _inputs(layer)
    _check(layer, query, value)
    bias = config.get("use_bias", True)
    count = 2 if bias else 1
    parts = _stored(layer, count)
    made = []
    for place, (name, x, each) in enumerate(
        (("query", query, size), ("key", key, size), ("value", value, value_size))
    ):
        projection = FullyConnected(
            units=heads * each, bias=bias, each_place=True, **layer.trainable
        )
        y = layer.add(projection, x, part=name, stored=parts[place])
        y = layer.add(Reshape(to=(*y.shape[:-1], heads, each)), y, part=f"{name}_heads")
        made.append(layer.add(Permute(to=SWAPPED), y, part=f"{name}_by_head"))
    queries, keys, values = made
    queries = layer.add(Rescale(scale=size**-0.5), queries, part="scale")
    scores = layer.add(MatMul(transpose_b=True), queries, keys, part="scores")
    if layer.kwargs.get("use_causal_mask"):
        scores = layer.add(CausalMask(), scores, part="causal_mask")
    scores = layer.add(Softmax(), scores, part="softmax")
    if config.get("dropout"):
        scores = layer.add(Dropout(rate=config["dropout"]), scores, part="dropout")
    y = layer.add(MatMul(), scores, values, part="values")
    y = layer.add(Permute(to=SWAPPED), y, part="by_position")
    y = layer.add(Reshape(to=(y.shape[0], heads * value_size)), y, part="joined")
    given = config.get("output_shape")
    units = query.channels if given is None else given[-1] if isinstance(given, list) else given
    output = FullyConnected(units=units, bias=bias, each_place=True, **layer.trainable)
    return layer.add(output, y, stored=parts[3])


def _inputs(layer: KerasLayer) -> tuple[Node, Node, Node]:
    """Return the queries' input, the values' and the keys'."""
    given: dict[str, Any] = dict(zip(("query", "value", "key"), layer.args, strict=False))
    given.update(layer.kwargs)
    query, value = given.get("query"), given.get("value")
    key = given.get("key") or value
    if not all(isinstance(each, Node) for each in (query, value, key)):
        raise UnlikeError("its call names no queries and values")
    return query, value, key  # type: ignore[return-value]


def _check(layer: KerasLayer, query: Node, value: Node) -> None:
    config = layer.config
    for name in ("attention_mask", "query_mask", "value_mask", "key_mask"):
        if layer.kwargs.get(name) is not None:
            raise UnlikeError(f"its call has a mask (`{name}`)")
    if layer.kwargs.get("return_attention_scores"):
        raise UnlikeError("it returns its scores too")
    if config.get("use_gate") or config.get("sliding_window"):
        raise UnlikeError("it has a gate or a sliding window")
    if query.shape.rank != 1 or value.shape.rank != 1:
        raise UnlikeError(f"it attends along other axes than those of sequences, in {query.shape}")
    if query.shape.is_open or value.shape.is_open:
        raise UnlikeError("the length of its sequences is open")
    if config.get("attention_axes") not in (None, [1]):
        raise UnlikeError(f"it attends along the axes {config['attention_axes']}")


def _stored(layer: KerasLayer, count: int) -> list[Any]:
    """Return the arrays of each of the four projections; None for each where there are none."""
    stored = layer.stored
    if not stored:
        return [stored] * 4
    if len(stored) != 4 * count:
        raise UnlikeError(f"it has {len(stored)} arrays")
    return [stored[count * i : count * (i + 1)] for i in range(4)]


LAYERS: Final[Mapping[str, Function]] = {"MultiHeadAttention": multi_head_attention}
"""The function of each class."""
