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
from archspec.ops.elementwise import Activate, Dropout, Rescale, Softmax
from archspec.ops.merge import Add, MatMul
from archspec.ops.shuffles import Permute

SWAPPED: Final[tuple[Axis, ...]] = ("width", "height", "channels")
"""The axes of heads and positions, in the other order."""


def multi_head_attention(layer: KerasLayer) -> Node | Mapping[int, Node]:
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
    weights, shares = _shares(layer, scores)
    y = layer.add(MatMul(), shares, values, part="values")
    y = layer.add(Permute(to=SWAPPED), y, part="by_position")
    y = layer.add(Reshape(to=(y.shape[0], heads * value_size)), y, part="joined")
    given = config.get("output_shape")
    units = query.channels if given is None else given[-1] if isinstance(given, list) else given
    output = FullyConnected(units=units, bias=bias, each_place=True, **layer.trainable)
    y = layer.add(output, y, stored=parts[3])
    return {0: y, 1: weights} if layer.kwargs.get("return_attention_scores") else y


def _shares(layer: KerasLayer, scores: Node) -> tuple[Node, Node]:
    """Add the weights of attention; return them, and what dropout leaves of them."""
    if layer.kwargs.get("use_causal_mask") or layer.config.get("causal"):
        scores = layer.add(CausalMask(), scores, part="causal_mask")
    weights = layer.add(Softmax(), scores, part="softmax")
    rate = layer.config.get("dropout")
    return weights, layer.add(Dropout(rate=rate), weights, part="dropout") if rate else weights


def attention(layer: KerasLayer) -> Node | Mapping[int, Node]:
    """Add Attention: the softmax of products of queries and keys, times the values."""
    if layer.config.get("use_scale") or layer.config.get("score_mode", "dot") != "dot":
        raise UnlikeError("its scores have a learned scale, or are not products")
    query, value, key = _sequences(layer)
    scores = layer.add(MatMul(transpose_b=True), query, key, part="scores")
    return _weighed(layer, scores, value)


def additive_attention(layer: KerasLayer) -> Node | Mapping[int, Node]:
    """Add AdditiveAttention: its scores are sums of `scale * tanh(query + key)`, for each pair."""
    if not layer.config.get("use_scale", True):
        raise UnlikeError("its scores are sums without a scale")
    query, value, key = _sequences(layer)
    rows, columns, size = query.shape[0], key.shape[0], query.shape.channels
    queries = layer.add(Reshape(to=(rows, 1, size)), query, part="queries")
    keys = layer.add(Reshape(to=(1, columns, size)), key, part="keys")
    sums = layer.add(Add(), queries, keys, part="sums")
    sums = layer.add(Activate(function="tanh"), sums, part="tanh")
    product = FullyConnected(units=1, bias=False, each_place=True, **layer.trainable)
    scores = layer.add(product, sums, part="scale", stored=layer.stored)
    scores = layer.add(Reshape(to=(rows, columns)), scores, part="scores")
    return _weighed(layer, scores, value)


def _sequences(layer: KerasLayer) -> tuple[Node, Node, Node]:
    """Return the queries, the values and the keys of a call that has them in a list."""
    given = layer.args[0] if layer.args else layer.kwargs.get("inputs")
    if not isinstance(given, list) or len(given) not in (2, 3):
        raise UnlikeError("its call names no queries and values")
    query, value = given[:2]
    key = given[2] if len(given) > 2 else value
    mask = layer.kwargs.get("mask")
    if any(isinstance(each, Node) for each in (mask if isinstance(mask, list) else [mask])):
        raise UnlikeError("a mask says which places it leaves out")
    _check_sequences(query, value)
    return query, value, key


def _weighed(layer: KerasLayer, scores: Node, value: Node) -> Node | Mapping[int, Node]:
    """Add what Keras makes of scores and values: the weights are an output too, if asked for."""
    weights, shares = _shares(layer, scores)
    y = layer.add(MatMul(), shares, value, stored=[])
    return {0: y, 1: weights} if layer.kwargs.get("return_attention_scores") else y


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
    if config.get("use_gate") or config.get("sliding_window"):
        raise UnlikeError("it has a gate or a sliding window")
    _check_sequences(query, value)
    if config.get("attention_axes") not in (None, [1]):
        raise UnlikeError(f"it attends along the axes {config['attention_axes']}")


def _check_sequences(query: Node, value: Node) -> None:
    if query.shape.rank != 1 or value.shape.rank != 1:
        raise UnlikeError(f"it attends along other axes than those of sequences, in {query.shape}")
    if query.shape.is_open or value.shape.is_open:
        raise UnlikeError("the length of its sequences is open")


def _stored(layer: KerasLayer, count: int) -> list[Any]:
    """Return the arrays of each of the four projections; None for each where there are none."""
    stored = layer.stored
    if not stored:
        return [stored] * 4
    if len(stored) != 4 * count:
        raise UnlikeError(f"it has {len(stored)} arrays")
    return [stored[count * i : count * (i + 1)] for i in range(4)]


LAYERS: Final[Mapping[str, Function]] = {
    "MultiHeadAttention": multi_head_attention,
    "Attention": attention,
    "AdditiveAttention": additive_attention,
}
"""The function of each class."""
