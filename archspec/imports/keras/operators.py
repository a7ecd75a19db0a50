"""Operators between tensors as ops: Operations of Keras 3, TensorFlow's functions in Keras 2.

`x + y` is a class Add of Keras's own in a file of Keras 3, and `tf.__operators__.add` in one of
Keras 2. Both are the function `add` here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final

from archspec.graph.graph import Node
from archspec.imports.building import one_or_each
from archspec.imports.keras.activation import named, rectified
from archspec.imports.keras.arrangement import permuted, reshaped
from archspec.imports.keras.layer import Function, KerasLayer, UnlikeError, simplest, window
from archspec.imports.keras.merging import concat, merged
from archspec.ops import functions
from archspec.ops.arrangement import Flatten, Pad, PadChannels, Reshape, Slice
from archspec.ops.elementwise import Activate, Rescale, Softmax
from archspec.ops.merge import Add, Concat, Divide, MatMul, Max, Min, Multiply, Subtract
from archspec.ops.normalization import UnitNorm
from archspec.ops.op import Op
from archspec.ops.pooling import AvgPool, GlobalAvgPool, GlobalMaxPool, MaxPool
from archspec.ops.resizing import Resize
from archspec.ops.shuffles import DepthToSpace, Permute, SpaceToDepth


def argument(layer: KerasLayer, place: int, *names: str, default: Any = None) -> Any:
    """Return an argument of an operator, whatever a version of Keras did with it.

    Args:
        layer: The operator.
        place: The argument's place in the call.
        names: The argument's names: of Keras 3, then of TensorFlow.
        default: The value of an argument that is not there.
    """
    for name in names:
        for source in (layer.kwargs, layer.config):
            if source.get(name) is not None:
                return source[name]
    if place < len(layer.args) and layer.args[place] is not None:
        return layer.args[place]
    return default


def _both(layer: KerasLayer) -> tuple[Any, Any]:
    """Return the two operands: nodes or numbers."""
    first = layer.args[0] if layer.args else argument(layer, 0, "x1", "x", "a")
    if isinstance(first, list) and len(first) == 2:
        return first[0], first[1]
    return first, argument(layer, 1, "x2", "y", "b")


def _number(value: Any) -> Any:
    """Return a constant operand: a number, or one for each channel."""
    if isinstance(value, Mapping):
        config = value.get("config", value)
        value = config.get("value") if isinstance(config, Mapping) else None
    if isinstance(value, bool) or value is None:
        raise UnlikeError("its second operand is not a number")
    if isinstance(value, (list, tuple)):
        while len(value) == 1 and isinstance(value[0], (list, tuple)):
            value = value[0]
        numbers = [_number(each) for each in value]
        if not numbers or any(isinstance(each, tuple) for each in numbers):
            raise UnlikeError("its second operand is an array")
        return one_or_each(numbers)
    return float(value)


def _mapped(value: Any, function: Callable[[float], float]) -> Any:
    return tuple(map(function, value)) if isinstance(value, tuple) else function(value)


def _arithmetic(merge: Op, constant: Callable[[Any, bool], Rescale]) -> Function:
    """Return the function of an operator that takes two tensors, or a tensor and a number."""

    def operator(layer: KerasLayer) -> Node:
        a, b = _both(layer)
        if isinstance(a, Node) and isinstance(b, Node):
            return merged(layer, merge, a, b)
        x, value = _with_constant(layer, a, b)
        return layer.add(constant(value, isinstance(a, Node)), x)

    return operator


def _with_constant(layer: KerasLayer, a: Any, b: Any) -> tuple[Node, Any]:
    """Return the operand that is a tensor, and the number or numbers that are the other."""
    x, number = (a, b) if isinstance(a, Node) else (b, a)
    if not isinstance(x, Node):
        raise UnlikeError("it has no tensor among its operands")
    value = _number(number)
    if isinstance(value, tuple) and layer.channels_first and layer.shape.rank:
        raise UnlikeError("its constants stand along another axis than the channels")
    return x, value


def _plus(number: Any, _: bool) -> Rescale:
    return Rescale(scale=1.0, offset=number)


def _minus(number: Any, first: bool) -> Rescale:
    if first:
        return Rescale(scale=1.0, offset=_mapped(number, lambda n: -n))
    return Rescale(scale=-1.0, offset=number)


def _times(number: Any, _: bool) -> Rescale:
    return Rescale(scale=number)


def _over(number: Any, first: bool) -> Rescale:
    if not first:
        raise UnlikeError("it divides a number by a tensor")
    if 0.0 in (number if isinstance(number, tuple) else (number,)):
        raise UnlikeError("it divides by zero")
    return Rescale(scale=_mapped(number, lambda n: 1 / n))


def maximum(layer: KerasLayer) -> Node:
    """Add the larger of two tensors; of a tensor and a number, a relu of what it has more."""
    a, b = _both(layer)
    if isinstance(a, Node) and isinstance(b, Node):
        return merged(layer, Max(), a, b)
    x, number = _with_constant(layer, a, b)
    if number == 0:
        return layer.add(Activate(function="relu"))
    node = layer.add(_minus(number, True), x, part="less")
    node = layer.add(Activate(function="relu"), node, part="relu")
    return layer.add(_plus(number, True), node)


def square(layer: KerasLayer) -> Node:
    """Add x * x."""
    return layer.add(Multiply(), layer.x, layer.x)


def power(layer: KerasLayer) -> Node:
    """Add a power, where it is a square."""
    a, b = _both(layer)
    if not isinstance(a, Node) or isinstance(b, Node) or _number(b) != 2:
        raise UnlikeError("its power is not 2")
    return square(layer)


def minimum(layer: KerasLayer) -> Node:
    """Add the smaller of two tensors."""
    a, b = _both(layer)
    if not isinstance(a, Node) or not isinstance(b, Node):
        raise UnlikeError("it takes the smaller of a tensor and a number")
    return merged(layer, Min(), a, b)


def matmul(layer: KerasLayer) -> Node:
    """Add the product of two matrices."""
    a, b = _both(layer)
    if argument(layer, 2, "transpose_a", "adj_x") or not isinstance(b, Node):
        raise UnlikeError("its first operand is transposed, or its second a constant")
    transpose = bool(argument(layer, 3, "transpose_b", "adj_y", default=False))
    return layer.add(MatMul(transpose_b=transpose), a, b)


def clip(layer: KerasLayer) -> Node:
    """Add a clip, where it is one of the activations."""
    low = argument(layer, 1, "x_min", "clip_value_min")
    high = argument(layer, 2, "x_max", "clip_value_max")
    words = {(0, 6): "relu6", (-1, 1): "hard_tanh"}
    if (low, high) in words:
        return layer.add(Activate(function=words[low, high]))
    if low == 0 and isinstance(high, (int, float)) and high > 0:
        return layer.add(Activate(function=functions.Relu(max=float(high))))
    raise UnlikeError(f"it limits values to {low} and {high}")


def relu(layer: KerasLayer) -> Node:
    """Add a relu, which `keras.activations` gives arguments."""
    given = {
        "negative_slope": argument(layer, 1, "negative_slope", "alpha"),
        "max_value": argument(layer, 2, "max_value"),
        "threshold": argument(layer, 3, "threshold"),
    }
    return layer.add(rectified(given))


def leaky_relu(layer: KerasLayer) -> Node:
    """Add a leaky relu."""
    slope = argument(layer, 1, "negative_slope", "alpha", default=0.2)
    return layer.add(Activate(function=functions.LeakyRelu(slope=float(slope))))


def gelu(layer: KerasLayer) -> Node:
    """Add a gelu."""
    if argument(layer, 1, "approximate", default=layer.keras > 2):
        return layer.add(Activate(function=functions.Gelu(approximate=True)))
    return layer.add(Activate(function="gelu"))


def softmax(layer: KerasLayer) -> Node:
    """Add a softmax."""
    axis = argument(layer, 1, "axis", default=-1)
    return layer.add(Softmax(axis=layer.axis_name(axis)))


def activation(layer: KerasLayer) -> Node:
    """Add an elementwise function without arguments."""
    return layer.add(named(layer.kind, layer))


def concatenate(layer: KerasLayer) -> Node:
    """Add the tensors of a list along an axis."""
    axis = argument(layer, 1, "axis", default=-1)
    return merged(layer, concat(layer, axis))


def reduced(pool: Callable[..., Op], window_pool: Callable[..., Op]) -> Function:
    """Return the function of a mean or a maximum over some axes.

    Args:
        pool: Makes the op over all spatial axes.
        window_pool: Makes the op over windows of a size, for some of them.
    """

    def reduce(layer: KerasLayer) -> Node:
        axes = argument(layer, 1, "axis")
        if axes is None:
            raise UnlikeError("it reduces the batch too")
        places = {layer.axis(axis) for axis in (axes if isinstance(axes, list) else [axes])}
        x = layer.shape
        keep = bool(argument(layer, 2, "keepdims", "keep_dims", default=False))
        if x.rank and places == {*range(x.rank)}:
            return layer.add(pool(keep_axes=True) if keep else pool())
        to = tuple(1 if i in places else n for i, n in enumerate(x) if keep or i not in places)
        if x.is_open or not x.rank or not to:
            raise UnlikeError(f"it reduces the axes {axes} of {x}")
        if not keep and len(to) > 1 and layer.channels_first:
            raise UnlikeError(f"it drops the axes {axes}, and its channels are first")
        if places == {x.rank}:  # of the channels, which a permutation makes places
            node = layer.add(Reshape(to=(x.size // x.channels, x.channels)), part="places")
            node = layer.add(Permute(to=("channels", "length")), node, part="turned")
            node = layer.add(pool(), node, part="pool")
            return layer.add(Reshape(to=to), node) if len(to) > 1 else layer.add(Flatten(), node)
        if x.rank in places:
            raise UnlikeError(f"it reduces the axes {axes} of {x}")
        size = tuple(n if i in places else 1 for i, n in enumerate(x.spatial))
        node = layer.add(window_pool(size=size), part="" if keep else "pool")
        return node if keep else layer.add(Reshape(to=to), node)

    return reduce


def summed(layer: KerasLayer) -> Node:
    """Add a sum over some axes: the mean, as often as there are values."""
    if layer.shape.is_open:
        raise UnlikeError("it sums over axes whose extents are not known")
    mean = reduced(GlobalAvgPool, AvgPool)(
        replace(layer, name=f"{layer.name}/mean", declared=None, parts={})
    )
    assert isinstance(mean, Node)  # noqa: S101  (a mean has one output)
    return layer.add(Rescale(scale=float(layer.shape.size // mean.shape.size)), mean)


def reshape(layer: KerasLayer) -> Node:
    """Add a reshape."""
    shape = argument(layer, 1, "newshape", "shape")
    if not isinstance(shape, (list, tuple)) or any(isinstance(n, Node) for n in shape):
        raise UnlikeError("its new shape is computed")
    return reshaped(layer, shape[1:], layer.x)


def transpose(layer: KerasLayer) -> Node:
    """Add a permutation of the axes."""
    axes = argument(layer, 1, "axes", "perm")
    if axes is None or axes[0] != 0:
        raise UnlikeError("it moves the batch")
    return permuted(layer, axes[1:])


def expand_dims(layer: KerasLayer) -> Node:
    """Add an axis of extent 1."""
    axis = int(argument(layer, 1, "axis", default=-1))
    x = layer.shape
    place = axis + len(x) + 1 if axis < 0 else axis - 1
    if not 0 <= place <= len(x) or x.is_open:
        raise UnlikeError(f"it adds the axis {axis} to {x}")
    return layer.add(Reshape(to=(*x[:place], 1, *x[place:])))


def squeeze(layer: KerasLayer) -> Node:
    """Leave axes of extent 1 out."""
    axes, x = argument(layer, 1, "axis"), layer.shape
    if x.is_open:
        raise UnlikeError("it drops axes of an input whose size is not known")
    listed = [i + 1 for i, n in enumerate(x) if n == 1] if axes is None else axes
    places = {layer.axis(axis) for axis in (listed if isinstance(listed, list) else [listed])}
    return layer.add(Reshape(to=tuple(n for i, n in enumerate(x) if i not in places)))


def pad(layer: KerasLayer) -> Node:
    """Add padding of the spatial axes, or of the channels at their end."""
    amounts = argument(layer, 1, "pad_width", "paddings")
    mode = str(argument(layer, 2, "mode", default="constant")).lower()
    value = argument(layer, 3, "constant_values", default=0)
    x = layer.shape
    if value or mode not in PAD_MODES:
        raise UnlikeError(f"it pads with other values (mode {mode!r})")
    pairs = [(int(a), int(b)) for a, b in amounts]
    if len(pairs) != len(x) + 1 or pairs[0] != (0, 0):
        raise UnlikeError("it pads the batch")
    *spatial, (before, after) = pairs[1:]
    if (before, after) == (0, 0):
        return layer.add(Pad(amount=simplest(spatial), mode=PAD_MODES[mode]))
    if before or any(map(any, spatial)) or mode != "constant":
        raise UnlikeError("it pads before the channels")
    return layer.add(PadChannels(to=x.channels + after))


PAD_MODES: Final[Mapping[str, Any]] = {"constant": "zeros", "reflect": "reflect"}
"""The values that padding has here, by their name in Keras and TensorFlow."""


def resize(layer: KerasLayer) -> Node:
    """Add a resize of images."""
    size = argument(layer, 1, "size")
    method: Any = argument(layer, 2, "interpolation", "method", default="bilinear")
    if method not in ("nearest", "bilinear", "bicubic"):
        raise UnlikeError(f"its interpolation is {method!r}")
    flags = ("antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio", "preserve_aspect_ratio")
    if given := [name for name in flags if layer.config.get(name) or layer.kwargs.get(name)]:
        raise UnlikeError(f"it has `{given[0]}`")
    return layer.add(Resize(to=window(size), method=method))


def _blocks(op: Callable[..., Op]) -> Function:
    """Return the function of an operator between places and channels."""
    return lambda layer: layer.add(op(factor=argument(layer, 1, "block_size")))


def split(layer: KerasLayer) -> Mapping[int, Node]:
    """Add a slice for each part that is used."""
    x = layer.shape
    given = argument(layer, 2, "axis", default=0 if layer.keras < 3 else -1)
    place, name = layer.axis(given), layer.axis_name(given)
    parts = argument(layer, 1, "indices_or_sections", "num_or_size_splits")
    extent = x[place]
    if isinstance(parts, int):
        if parts < 1 or extent % parts or parts > MOST_PARTS:
            raise UnlikeError(f"it splits {extent} values in {parts} parts")
        bounds = [extent // parts * i for i in range(parts + 1)]
    elif layer.keras < 3:  # sizes
        bounds = [sum(parts[:i]) for i in range(len(parts) + 1)]
    else:
        bounds = [0, *parts, extent]
    return {
        i: layer.add(Slice(start=a, stop=b, axis=name), layer.x, part=f"part{i}")
        for i, (a, b) in enumerate(pairwise(bounds))
        if i in layer.used
    }


MOST_PARTS: Final = 1_000
"""Largest number of parts of a split."""


def get_item(layer: KerasLayer) -> Node:
    """Add what picks values by indices: slices, strides, and axes that one index drops."""
    keys = argument(layer, 1, "key", "slice_spec")
    keys = list(keys) if isinstance(keys, (list, tuple)) else [keys]
    x = layer.x
    names = [str(key.get("class_name", "")) if isinstance(key, Mapping) else "" for key in keys]
    if "__ellipsis__" in names:
        at = names.index("__ellipsis__")
        keys[at : at + 1] = [{}] * (len(layer.shape) + 2 - len(keys))
    keys += [{}] * (len(layer.shape) + 1 - len(keys))
    if len(keys) != len(layer.shape) + 1 or _bounds(keys[0], 1)[:2] != (0, 1):
        raise UnlikeError("it picks from the batch, or adds an axis")
    if isinstance(keys[0], int):
        raise UnlikeError("it picks one example of the batch")
    extents: list[int] = []
    strides: list[int] = []
    dropped: set[int] = set()
    ops: list[Op] = []
    for place, extent in enumerate(layer.shape):
        if _is_backwards(keys[place + 1]) and extent <= MOST_PARTS:
            x = _reversed(layer, x, place, int(extent))
            keys[place + 1] = {}
    for place, key in enumerate(keys[1:]):
        extent = layer.shape[place]
        start, stop, step = _bounds(key, extent)
        if isinstance(key, int):
            dropped.add(place)
        extents.append(stop - start)
        strides.append(step)
        if (start, stop) != (0, extent):
            ops.append(Slice(start=start, stop=stop, axis=layer.axis_name(place + 1)))
    if any(step != 1 for step in strides):
        if strides[-1] != 1 or dropped:
            raise UnlikeError("it picks every second channel")
        ops.append(MaxPool(size=1, stride=window(strides[:-1])))
    if dropped:
        kept = tuple(n for i, n in enumerate(extents) if i not in dropped)
        ops.append(Reshape(to=kept))
    if not ops:
        return layer.add(Activate(function="linear"), x)
    for number, op in enumerate(ops):
        x = layer.add(op, x, part="" if op is ops[-1] else f"part{number}")
    return x


def _is_backwards(key: Any) -> bool:
    """Return whether a key picks all values along an axis in the other order."""
    config = (key.get("config") or key) if isinstance(key, Mapping) else {}
    return [config.get(name) for name in ("start", "stop", "step")] == [None, None, -1]


def _reversed(layer: KerasLayer, x: Node, place: int, extent: int) -> Node:
    """Add the values of a short axis in the other order, as of the channels of a BGR image."""
    name = layer.axis_name(place + 1)
    values = [
        layer.add(Slice(start=i, stop=i + 1, axis=name), x, part=f"{name}{i}")
        for i in reversed(range(extent))
    ]
    return layer.add(Concat(axis=name), *values, part="reversed") if extent > 1 else x


def _bounds(key: Any, extent: Any) -> tuple[Any, Any, int]:
    """Return the first value that a key picks along an axis, the one after its last, the step."""
    if isinstance(key, int) and not isinstance(key, bool):
        start = key + extent if key < 0 else key
        return start, start + 1, 1
    if not isinstance(key, Mapping):
        raise UnlikeError("it picks by an array of indices")
    config = key.get("config") or key
    start, stop, step = (config.get(name) for name in ("start", "stop", "step"))
    if any(value is not None and not isinstance(value, int) for value in (start, stop, step)):
        raise UnlikeError("it picks by indices that are computed")
    step = 1 if step is None else step
    if step < 1:
        raise UnlikeError("it picks values backwards")
    start = 0 if start is None else start + extent if start < 0 else start
    stop = extent if stop is None else stop + extent if stop < 0 else stop
    if isinstance(stop, int) and isinstance(extent, int):
        stop = min(stop, extent)
    return start, stop, step


def bias_add(layer: KerasLayer) -> Node:
    """Add TensorFlow's sum of a tensor and a constant for each channel."""
    number = _number(argument(layer, 1, "bias"))
    if layer.channels_first or argument(layer, 2, "data_format") == "NC...":
        raise UnlikeError("its constants stand along another axis than the channels")
    return layer.add(_plus(number, True))


def normalize(layer: KerasLayer) -> Node:
    """Add a division by the Euclidean norm along an axis."""
    if argument(layer, 2, "order", default=2) != 2:
        raise UnlikeError("it divides by another norm than the Euclidean")
    return layer.add(UnitNorm(axis=layer.axis_name(argument(layer, 1, "axis", default=-1))))


def l2_normalize(layer: KerasLayer) -> Node:
    """Add TensorFlow's name for it, whose third argument is an epsilon."""
    axis = argument(layer, 1, "axis")
    if axis is None:
        raise UnlikeError("it divides by a norm over the batch too")
    return layer.add(UnitNorm(axis=layer.axis_name(axis)))


def stack(layer: KerasLayer) -> Node:
    """Add tensors of one shape along a new axis."""
    axis = int(argument(layer, 1, "axis", default=0))
    x = layer.shape
    place = axis + len(x) + 1 if axis < 0 else axis - 1
    if not 0 <= place <= len(x) or x.is_open or layer.channels_first:
        raise UnlikeError(f"it puts tensors along the axis {axis} of {x}")
    to = (*x[:place], 1, *x[place:])
    parts = [
        layer.add(Reshape(to=to), node, part=f"part{number}")
        for number, node in enumerate(layer.inputs)
    ]
    name = layer.axis_name(place + 1, parts[0].shape)
    return merged(layer, Concat(axis=name), *parts)


def unstack(layer: KerasLayer) -> Mapping[int, Node]:
    """Add what picks each place of an axis that is used, without the axis."""
    given = argument(layer, 2, "axis", default=0)
    x, place = layer.shape, layer.axis(given)
    if x.is_open or len(x) < 2 or layer.channels_first:
        raise UnlikeError(f"it takes {x} apart along the axis {given}")
    name = layer.axis_name(given)
    to = tuple(n for i, n in enumerate(x) if i != place)
    parts = {
        i: layer.add(Slice(start=i, stop=i + 1, axis=name), layer.x, part=f"place{i}")
        for i in layer.used
        if i < x[place]
    }
    return {i: layer.add(Reshape(to=to), node, part=f"part{i}") for i, node in parts.items()}


def swapaxes(layer: KerasLayer) -> Node:
    """Add a permutation that exchanges two axes."""
    axes = [*range(len(layer.shape) + 1)]
    one, other = (int(argument(layer, at, f"axis{at}")) % len(axes) for at in (1, 2))
    if not one or not other:
        raise UnlikeError("it moves the batch")
    axes[one], axes[other] = axes[other], axes[one]
    return permuted(layer, axes[1:])


def squared_difference(layer: KerasLayer) -> Node:
    """Add the square of a difference."""
    within = replace(layer, name=f"{layer.name}/difference", declared=None, parts={})
    node = LAYERS["subtract"](within)
    assert isinstance(node, Node)  # noqa: S101  (a difference has one output)
    return layer.add(Multiply(), node, node)


def _pooled(pool: Callable[..., Op]) -> Function:
    """Return the function of a pool, whose window and steps TensorFlow may give for all axes."""

    def function(layer: KerasLayer) -> Node:
        rank = layer.shape.rank
        size = _spatial(argument(layer, 1, "pool_size", "ksize"), rank)
        strides = argument(layer, 2, "strides")
        stride = size if strides is None else _spatial(strides, rank)
        padding = str(argument(layer, 3, "padding", default="valid")).lower()
        if layer.channels_first or padding not in ("valid", "same"):
            raise UnlikeError("it pools other axes, or pads otherwise")
        return layer.add(pool(size=size, stride=stride, padding=padding))

    return function


def _spatial(value: Any, rank: int) -> Any:
    """Return the extents along the spatial axes."""
    if isinstance(value, list) and len(value) == rank + 2:
        if (value[0], value[-1]) != (1, 1):
            raise UnlikeError("it pools the batch or the channels")
        value = value[1:-1]
    return window(value, rank)


_ACTIVATIONS: Final = """
    relu6 elu selu celu softplus softsign silu sigmoid tanh exponential hard_sigmoid hard_swish
    log_softmax log_sigmoid mish hard_tanh hard_shrink soft_shrink squareplus tanh_shrink
    sparse_plus sparse_sigmoid sparsemax glu
"""

_SAME_SHAPE = """
    sqrt rsqrt log log1p log2 log10 expm1 sin cos tan sinh cosh asin acos atan erf
    sign floor ceil round reciprocal isnan isfinite logical_not floor_divide mod cumsum
    sort flip reverse roll nan_to_num bitwise_not
"""
SAME_SHAPE: Final = frozenset(_SAME_SHAPE.split())
"""Operators that archspec does not have, but whose output has the shape of their first input."""

_COMPARISONS = """
    greater less greater_equal less_equal equal not_equal logical_and logical_or logical_xor where
    arctan2 floormod zeros_like ones_like
"""
COMPARISONS: Final = frozenset(_COMPARISONS.split())
"""Operators whose output has the shape of their inputs, where these have one."""

_REDUCTIONS = """
    min reduce_min var std reduce_variance reduce_std norm argmax argmin arg_max arg_min any all
    prod logsumexp reduce_any reduce_all reduce_prod reduce_logsumexp median
"""
REDUCTIONS: Final = frozenset(_REDUCTIONS.split())
"""Operators whose output lacks axes of their input, or has them with an extent of 1."""


def declare(layer: KerasLayer) -> None:
    """Say the shape of an operator that archspec does not have, where it follows from its name."""
    shapes = {x.shape.known for x in layer.inputs}
    is_choice = layer.kind != "where" or argument(layer, 2, "x2", "y") is not None
    if layer.kind in SAME_SHAPE or (layer.kind in COMPARISONS and len(shapes) == 1 and is_choice):
        layer.declare_input()
    if layer.kind not in REDUCTIONS or layer.declared is not None or layer.channels_first:
        return
    axes = argument(layer, len(layer.args), "axis")
    shape = layer.x.shape.known
    if axes is None or not shape:
        return
    listed = axes if isinstance(axes, list) else [axes]
    places = {axis + len(shape) if axis < 0 else axis - 1 for axis in listed}
    keep = argument(layer, len(layer.args), "keepdims", "keep_dims")
    if -1 not in places:
        left = tuple(
            1 if i in places else n for i, n in enumerate(shape) if keep or i not in places
        )
        layer.declared = left or None


LAYERS: Final[Mapping[str, Function]] = {
    "add": _arithmetic(Add(), _plus),
    "subtract": _arithmetic(Subtract(), _minus),
    "multiply": _arithmetic(Multiply(), _times),
    "divide": _arithmetic(Divide(), _over),
    "negative": lambda layer: layer.add(Rescale(scale=-1.0)),
    "maximum": maximum,
    "minimum": minimum,
    "matmul": matmul,
    "clip": clip,
    "relu": relu,
    "leaky_relu": leaky_relu,
    "gelu": gelu,
    "softmax": softmax,
    **dict.fromkeys(_ACTIVATIONS.split(), activation),
    "absolute": lambda layer: layer.add(Activate(function="abs")),
    "concatenate": concatenate,
    "mean": reduced(GlobalAvgPool, AvgPool),
    "sum": summed,
    "square": square,
    "power": power,
    "pow": power,
    "max": reduced(GlobalMaxPool, MaxPool),
    "bias_add": bias_add,
    "normalize": normalize,
    "l2_normalize": l2_normalize,
    "stack": stack,
    "reshape": reshape,
    "transpose": transpose,
    "expand_dims": expand_dims,
    "squeeze": squeeze,
    "pad": pad,
    "resize": resize,
    "depth_to_space": _blocks(DepthToSpace),
    "space_to_depth": _blocks(SpaceToDepth),
    "split": split,
    "unstack": unstack,
    "swapaxes": swapaxes,
    "squared_difference": squared_difference,
    **dict.fromkeys(("average_pool", "avg_pool", "avg_pool2d"), _pooled(AvgPool)),
    **dict.fromkeys(("max_pool", "max_pool2d"), _pooled(MaxPool)),
    "get_item": get_item,
    **dict.fromkeys(
        ("cast", "stop_gradient", "identity", "convert_to_tensor"),
        lambda layer: layer.add(Activate(function="linear")),
    ),
}
"""The function of each operator, by its name."""
