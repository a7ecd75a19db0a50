"""Bytes that PyTorch's autograd saves for the backward pass of Keras's model, byte for byte.

Keras computes convolutions and pools of channels-last maps through views with the channels first.
A pool reads a copy in that layout, a convolution a copy of that copy in PyTorch's `channels_last`
layout; each is made even where a copy of the same tensor was made before, unless its memory is laid
out so already, and autograd saves the copy. So the layout of each tensor is followed here: the
order of its axes in memory, slowest first, which elementwise functions pass on.

`tests/test_estimate.py` holds the rule against `torch.autograd.graph.saved_tensors_hooks`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, Final, NamedTuple, TypeAlias

from archspec.cost.estimate.footprint import LinearFootprint
from archspec.cost.setting import Setting
from archspec.errors import UsageError
from archspec.graph.graph import Graph, Layer, Node
from archspec.ops.functions import kind_of
from archspec.ops.shape import Shape
from archspec.ops.windows import Windowed

INDEX_BYTES: Final = 8
"""Bytes of a place that a max pool or a pad keeps: PyTorch's integers are of 64 bits."""

STATISTIC_BYTES: Final = 4
"""Least bytes of a value in a norm: Keras computes norms in float32 at least."""

KEEPS_INPUT: Final = frozenset(
    {"relu6", "silu", "swish", "gelu", "leaky_relu", "hard_swish", "hard_sigmoid"}
)
"""Functions whose derivative PyTorch takes from the input."""

KEEPS_OUTPUT: Final = frozenset({"relu", "sigmoid", "tanh", "softmax"})
"""Functions whose derivative PyTorch takes from the output."""


class Tensor(NamedTuple):
    """The output of a layer, as it lies in memory."""

    buffer: int
    """Index of the memory that it shows."""
    order: tuple[int, ...]
    """Its axes, the batch's being 0, from the one that changes slowest in memory to the fastest."""
    gaps: int
    """0 where its values stand one after the other; 1 with gaps between examples, 2 inside them."""
    learns: bool
    """Whether the backward pass comes to it."""
    item: int
    """Bytes of a value."""


class Buffer(NamedTuple):
    """A piece of memory."""

    example: int
    """Bytes for each example of the batch."""
    fixed: int
    """Bytes for the batch as a whole."""


class SavedTensors:
    """The memory that a training step's forward pass makes, and which of it autograd saves."""

    def __init__(self, setting: Setting, *, on_cpu: bool) -> None:
        self.weight_bytes = setting.weight_bytes
        self.compute_in(setting.value_bytes)
        self.on_cpu = on_cpu
        self.buffers: list[Buffer] = []
        self.saved: set[int] = set()
        self.outputs: set[int] = set()
        """Memory of the layers' outputs, which Keras holds until the forward pass has ended."""

    def compute_in(self, value_bytes: int) -> None:
        """Let the next layers compute with values of so many bytes."""
        self.value_bytes = value_bytes
        self.mixed = value_bytes != self.weight_bytes
        self.statistic_bytes = max(value_bytes, STATISTIC_BYTES)

    def cast(self, x: Tensor, shape: Shape) -> Tensor:
        """Return a tensor in the precision in which the next layers compute."""
        if x.item == self.value_bytes:
            return x
        return Tensor(self.values(shape.size), x.order, 0, x.learns, self.value_bytes)

    def footprint(self, buffers: set[int]) -> LinearFootprint:
        """Return the bytes of some buffers, for any batch."""
        kept = [self.buffers[index] for index in buffers]
        return LinearFootprint(sum(each.fixed for each in kept), sum(each.example for each in kept))

    def new(self, example: int, fixed: int = 0) -> int:
        """Return the index of new memory of so many bytes."""
        self.buffers.append(Buffer(example, fixed))
        return len(self.buffers) - 1

    def values(self, size: int) -> int:
        """Return the index of new memory for so many activations of an example."""
        return self.new(size * self.value_bytes)

    def save(self, *buffers: int) -> None:
        self.saved.update(buffers)

    def laid(self, x: Tensor, shape: Shape, order: tuple[int, ...]) -> Tensor:
        """Return a tensor with its axes in this order in memory: itself, or a copy of it."""
        if x.gaps == 0 and _order(x.order, shape) == _order(order, shape):
            return x._replace(order=order)
        return self.fresh(shape, x, order=order)

    def fresh(
        self, y: Shape, *inputs: Tensor, order: tuple[int, ...] = (), learns: bool = False
    ) -> Tensor:
        """Return a new tensor of this shape, of inputs through which its gradient goes on."""
        learns = learns or any(x.learns for x in inputs)
        return Tensor(self.values(y.size), order or _plain(y), 0, learns, self.value_bytes)


def _plain(shape: Shape) -> tuple[int, ...]:
    """Return the order of axes of a tensor with the channels last."""
    return tuple(range(len(shape) + 1))


def _channels_first(shape: Shape) -> tuple[int, ...]:
    """Return the order of axes of a tensor with the channels first."""
    last = len(shape)
    return (0, last, *range(1, last))


def _order(order: tuple[int, ...], shape: Shape) -> tuple[int, ...]:
    """Return an order of axes without those of extent 1, which may stand anywhere."""
    return tuple(axis for axis in order if axis == 0 or shape[axis - 1] != 1)


Rule: TypeAlias = Callable[[SavedTensors, Layer, Sequence[Tensor]], Tensor]
"""The memory of one layer: what it saves, and its output."""


def saved_tensors(graph: Graph, setting: Setting, *, on_cpu: bool = False) -> SavedTensors:
    """Return the memory that the forward pass of a training step makes and saves.

    Args:
        graph: The network, of known size.
        setting: The setting, of which the dtype matters here.
        on_cpu: Whether dropout's masks are of floats, as on a CPU; on a GPU they are of bytes.

    Raises:
        UsageError: A layer has no rule.
    """
    memory = SavedTensors(setting, on_cpu=on_cpu)
    ends = [graph.nodes[index] for index in graph.outputs.values()]
    exact = {each.layer.owner or each.name for each in ends}
    tensors: list[Tensor] = []
    for node in graph.nodes:
        in_full = node.is_input or (node.layer.owner or node.name) in exact
        memory.compute_in(setting.weight_bytes if in_full else setting.value_bytes)
        # Each layer casts its inputs for itself.
        inputs = [memory.cast(tensors[index], graph.nodes[index].shape) for index in node.inputs]
        tensors.append(_rule(node)(memory, node.layer, inputs))
    memory.outputs = {tensor.buffer for tensor in tensors}
    return memory


def _rule(node: Node) -> Rule:
    rule = RULES.get(node.op.word)
    if rule is None:
        raise UsageError(
            f"there is no estimate for torch-gpu of a network with `{node.op.kind}` ({node.name}): "
            "what PyTorch saves for it was not traced"
        )
    return rule


def _new(memory: SavedTensors, layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
    """Compute new values in plain order, of which the backward pass needs none."""
    return memory.fresh(layer.output, *inputs, learns=layer.learns)


def _like_first(memory: SavedTensors, layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
    """Compute new values in the first input's layout, of which the backward pass needs none."""
    return memory.fresh(layer.output, *inputs, order=inputs[0].order)


def _pad(memory: SavedTensors, layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
    """Save, where values of the input stand in the padding, the place of each along an axis."""
    (x,), op = inputs, layer.op
    if x.learns and op.mode != "zeros":  # type: ignore[attr-defined]
        for extent, padded in zip(layer.inputs[0].spatial, layer.output.spatial, strict=True):
            if padded != extent:
                memory.save(memory.new(0, padded * INDEX_BYTES))
    return memory.fresh(layer.output, x)


def _join(memory: SavedTensors, layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
    """Save the factor of each input, which is 0 for those that drop-path leaves out."""
    if any(x.learns for x in inputs):
        memory.save(memory.new(0, len(inputs) * memory.value_bytes))
    return _like_first(memory, layer, inputs)


def _reshape(memory: SavedTensors, layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
    (x,) = inputs
    shape = layer.inputs[0]
    if x.gaps > 1 or _order(x.order, shape) != _order(_plain(shape), shape):
        x = memory.laid(x, shape, _plain(shape))
    return x._replace(order=_plain(layer.output))


def _permute(memory: SavedTensors, layer: Layer, inputs: Sequence[Tensor]) -> Tensor:  # noqa: ARG001
    (x,) = inputs
    op: Any = layer.op
    places = [0, *(place + 1 for place in op.order(layer.inputs[0]))]
    return x._replace(order=tuple(places.index(axis) for axis in x.order))


def _part(memory: SavedTensors, layer: Layer, inputs: Sequence[Tensor]) -> Tensor:  # noqa: ARG001
    (x, *_), shape, part = inputs, layer.inputs[0], layer.output
    if shape == part:
        return x
    slowest = next(axis for axis in x.order if axis and part[axis - 1] != 1)
    inside = any(
        part[axis - 1] != shape[axis - 1] for axis in x.order[x.order.index(slowest) + 1 :]
    )
    return x._replace(gaps=2 if inside else max(x.gaps, 1))


def _kernel(memory: SavedTensors, layer: Layer) -> int:
    """Return the bytes of a kernel's copy in PyTorch's layout; 0 where the kernel has it."""
    *window, channels, filters = next(w.shape for w in layer.used if w.name == "kernel")
    if layer.op.kind == "depthwise_convolution":
        channels, filters = 1, channels * filters
    each = prod(window) * channels
    as_it_is = (filters == 1 or each == 1) and not memory.mixed
    return 0 if as_it_is else each * filters * memory.value_bytes


def _cast_kernel(memory: SavedTensors, layer: Layer) -> Sequence[int]:
    """Return the kernel in the lower precision of a mixed policy; nothing in other policies."""
    if not memory.mixed:
        return ()
    return (memory.new(0, prod(layer.used[0].shape) * memory.value_bytes),)


def _padded(memory: SavedTensors, x: Tensor, shape: Shape, op: Windowed) -> Tensor:
    """Return the input of a pool or a convolution, padded where the two sides differ.

    A pool repeats the border's values there, and the derivative of that wants what it padded.
    """
    if all(place.before == place.after for place in op.slides(shape)):
        return x
    if x.learns and op.family == "pooling":
        memory.save(x.buffer)
    return memory.fresh(_padded_shape(op, shape), x, order=x.order)


def _padded_shape(op: Windowed, shape: Shape) -> Shape:
    places = op.slides(shape)
    extents = [n + each.before + each.after for n, each in zip(shape.spatial, places, strict=True)]
    return Shape((*extents, shape.channels))


def _windowed(
    memory: SavedTensors, layer: Layer, x: Tensor, orders: Sequence[tuple[int, ...]]
) -> Tensor:
    """Return the tensor that PyTorch's function reads, after copies in these layouts."""
    op: Any = layer.op
    shape = layer.inputs[0]
    by_layer = not op.keras_padding(shape)  # of its own, before this one
    if by_layer:
        shape = _padded_shape(op, shape)
        x = memory.fresh(shape, x)
    for order in orders:
        x = memory.laid(x, shape, order)
    return x if by_layer else _padded(memory, x, shape, op)


def _convolution(memory: SavedTensors, layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
    (x,), shape = inputs, layer.inputs[0]
    learns = x.learns or layer.learns
    first, last = _channels_first(shape), _plain(shape)
    if layer.op.kind == "transposed_convolution" or shape.rank == 1:
        x = memory.laid(x, shape, first) if shape.rank > 1 else _windowed(memory, layer, x, [first])
        if learns:
            memory.save(x.buffer, *_cast_kernel(memory, layer))
        return memory.fresh(layer.output, order=first, learns=learns)
    x = _windowed(memory, layer, x, [first, last])
    if learns:
        memory.save(x.buffer)
        if kernel := _kernel(memory, layer):
            memory.save(memory.new(0, kernel))
    return memory.fresh(layer.output, learns=learns)


def _fully_connected(memory: SavedTensors, layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
    (x,), shape = inputs, layer.inputs[0]
    if shape.rank:  # the places of all examples become the rows of a matrix
        x = memory.laid(x, shape, _plain(shape))
    if layer.learns:
        memory.save(x.buffer)
    if x.learns:
        memory.save(*_cast_kernel(memory, layer))
    return memory.fresh(layer.output, x, learns=layer.learns)


def _max_pool(memory: SavedTensors, layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
    (x,), y = inputs, layer.output
    x = _windowed(memory, layer, x, [_channels_first(y)])
    if x.learns:
        memory.save(x.buffer, memory.new(y.size * INDEX_BYTES))
    return memory.fresh(y, x, order=_channels_first(y))


def _avg_pool(memory: SavedTensors, layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
    (x,), y, shape = inputs, layer.output, layer.inputs[0]
    op: Any = layer.op
    first = _channels_first(y)
    if op.is_plain(shape):
        x = memory.laid(x, shape, first)
    else:  # archspec's own layer pads with zeros, and divides by the number of values
        padded = _padded_shape(op, shape)
        x = memory.laid(memory.fresh(padded, x) if padded != shape else x, padded, first)
        if x.learns:
            memory.save(memory.new(0, prod(y.spatial) * memory.value_bytes))
    if x.learns:
        memory.save(x.buffer)
    return memory.fresh(y, x, order=first)


def _global_max_pool(memory: SavedTensors, layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
    y = memory.fresh(layer.output, *inputs)
    if y.learns:
        memory.save(inputs[0].buffer, y.buffer)
    return y


def _function(memory: SavedTensors, layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
    (x,) = inputs
    kind = kind_of(layer.op)
    if kind == "linear":
        return x
    if kind not in KEEPS_INPUT | KEEPS_OUTPUT:
        raise UsageError(
            f"there is no estimate for torch-gpu of a network with `{kind}`: "
            "what PyTorch saves for it was not traced"
        )
    y = memory.fresh(layer.output, x, order=x.order)
    if x.learns:
        memory.save(x.buffer if kind in KEEPS_INPUT else y.buffer)
    return y


def _in_full(memory: SavedTensors, x: Tensor, shape: Shape) -> int:
    """Return the input of a norm, which computes in float32 at least."""
    if memory.statistic_bytes == memory.value_bytes:
        return x.buffer
    return memory.new(shape.size * memory.statistic_bytes)


def _batch_norm(memory: SavedTensors, layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
    """Save the input, for its square, and the input less its mean, for the factor."""
    (x,), shape = inputs, layer.inputs[0]
    vector = shape.channels * memory.statistic_bytes
    whole = shape.size * memory.statistic_bytes
    y = memory.fresh(shape, x, order=x.order, learns=layer.learns)
    if layer.op.frozen:
        if x.learns:
            memory.save(memory.new(0, vector))
    elif x.learns:
        scaled = layer.op.scale  # type: ignore[attr-defined]
        vectors = 3 if scaled else 4  # mean, deviation, factor; and ones for gamma
        memory.save(_in_full(memory, x, shape), memory.new(whole), memory.new(0, vectors * vector))
    elif layer.learns:
        memory.save(memory.new(whole), memory.new(0, vector))
    return y


def _layer_norm(memory: SavedTensors, layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
    (x,), shape = inputs, layer.inputs[0]
    y = memory.fresh(shape, x, learns=layer.learns)
    if y.learns:
        places = shape.size // shape.channels
        memory.save(_in_full(memory, x, shape))
        memory.save(memory.new(2 * places * memory.statistic_bytes))
    return y


def _dropout(memory: SavedTensors, layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
    (x,), shape = inputs, layer.output
    if not layer.op.rate:  # type: ignore[attr-defined]
        return x
    if x.learns:
        of_kind = {"spatial_dropout": shape.channels, "drop_path": 1}
        drawn = of_kind.get(
            layer.op.kind or "", shape.size * (memory.value_bytes if memory.on_cpu else 1)
        )
        memory.save(memory.new(drawn))
    return memory.fresh(shape, x, order=x.order)


def _multiply(memory: SavedTensors, layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
    product, *others = inputs
    for other in others:
        if other.learns:
            memory.save(product.buffer)
        if product.learns:
            memory.save(other.buffer)
        product = memory.fresh(layer.output, product, other, order=product.order)
    return product


def _matmul(memory: SavedTensors, layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
    """Save both matrices, in copies where the axes before the last two do not lie in order."""
    read = []
    for x, shape in zip(inputs, layer.inputs, strict=True):
        outer = _plain(shape)[:-2]
        in_order = x.gaps == 0 and _order(x.order, shape)[: len(_order(outer, shape))] == _order(
            outer, shape
        )
        read.append(x.buffer if in_order else memory.values(shape.size))
    for buffer, other in zip(read, reversed(inputs), strict=True):
        if other.learns:
            memory.save(buffer)
    return memory.fresh(layer.output, *inputs)


def _scale(memory: SavedTensors, layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
    (x,) = inputs
    if layer.learns:
        memory.save(x.buffer)
    if x.learns:
        memory.save(*_cast_kernel(memory, layer))
    return memory.fresh(layer.output, x, order=x.order, learns=layer.learns)


def _rescale(memory: SavedTensors, layer: Layer, inputs: Sequence[Tensor]) -> Tensor:
    (x,) = inputs
    if x.learns:
        factors = layer.op.scale  # type: ignore[attr-defined]
        count = len(factors) if isinstance(factors, tuple) else 1
        memory.save(memory.new(0, count * memory.value_bytes))
    return memory.fresh(layer.output, x, order=x.order)


RULES: Final[Mapping[str, Rule]] = {
    "input": _new,
    "convolution": _convolution,
    "depthwise_convolution": _convolution,
    "transposed_convolution": _convolution,
    "fully_connected": _fully_connected,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "global_avg_pool": _new,
    "global_max_pool": _global_max_pool,
    "activation": _function,
    "softmax": _function,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "dropout": _dropout,
    "spatial_dropout": _dropout,
    "drop_path": _dropout,
    "add": _like_first,
    "mean": _like_first,
    "subtract": _like_first,
    "join": _join,
    "multiply": _multiply,
    "concat": _new,
    "matmul": _matmul,
    "scale": _scale,
    "rescale": _rescale,
    "flatten": _reshape,
    "reshape": _reshape,
    "permute": _permute,
    "slice": _part,
    "crop": _part,
    "pad": _pad,
    "class_token": _new,
    "position_embedding": _new,
}
"""The rule of each op, by its kind."""
