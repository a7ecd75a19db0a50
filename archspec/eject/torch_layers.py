"""Ops as PyTorch's modules and functions: what each node of a graph becomes there.

Maps are channels first, as PyTorch's layers want them; sequences of tokens are channels last, as
its linear layers want those. Where an op takes the other order than that of its input, its call
says so: the name of the construction then has the permutation of each input after a `|`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from archspec.eject.recording import Construction
from archspec.errors import UsageError
from archspec.graph.graph import Graph, Node
from archspec.ops import (
    arrangement,
    attention,
    convolution,
    elementwise,
    merge,
    normalization,
    paths,
    pooling,
    recurrence,
    resizing,
    shuffles,
    tokens,
)
from archspec.ops.axes import place_of_axis
from archspec.ops.fields import per_axis, per_side
from archspec.ops.functions import function
from archspec.ops.shape import Shape

FIRST: Final = "first"
"""The layout with the channels before the spatial axes."""

LAST: Final = "last"
"""The layout with the channels after the spatial axes."""


class Place(NamedTuple):
    """An op's node with its shapes, and whether its input has the channels first or last."""

    op: Any
    x: Shape
    inputs: tuple[Shape, ...]
    y: Shape
    layout: str

    def axis(self, place: int) -> int:
        """Return the axis in PyTorch of an axis of a shape, the batch being 0."""
        rank = self.x.rank
        if self.layout == LAST or not rank:
            return -1 if place == rank else place + 1
        return 1 if place == rank else place + 2

    @property
    def spatial(self) -> tuple[int, ...]:
        """The spatial axes in PyTorch."""
        return tuple(self.axis(place) for place in range(self.x.rank))


class CannotWriteError(Exception):
    """Raised for an op that has no counterpart here; the text says why."""


class Torch:
    """A network's nodes as constructions of PyTorch.

    Args:
        graph: The network.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.readers: dict[int, list[Node]] = {}
        for node in graph.nodes:
            for index in node.inputs:
                self.readers.setdefault(index, []).append(node)
        self.layouts: dict[int, str] = {}
        """The layout of each tensor with spatial axes."""
        self.flat: dict[int, Shape] = {}
        """The shape that a vector was, its channels first, before it was flattened."""
        self.made: dict[int, tuple[Construction, ...]] = {}
        results = set(graph.outputs.values())
        owners = {node.layer.owner for node in graph.nodes} - {""}
        self.shared = owners | {node.name for node in graph.nodes if node.layer.owner}
        """Names of nodes that use the same weights as others."""
        for node in graph.nodes:
            if node.is_input:
                self.layouts[node.index] = FIRST
            else:
                self._make(node, results)
        shared: dict[str, tuple[Construction, ...]] = {}
        for node in graph.nodes:
            owner = node.layer.owner
            if not node.is_input and not owner:
                shared[node.name] = self.made[node.index]
            if owner and shared[owner] != self.made[node.index]:
                raise self._refused(
                    node, f"it shares the weights of `{owner}`, on another kind of input"
                )

    def layers_of(self, node: Node) -> tuple[Construction, ...]:
        """Return the constructor calls of a node, in the order in which they are applied."""
        return self.made[node.index]

    def _refused(self, node: Node, why: str) -> UsageError:
        return UsageError(f"`{node.name}` (`{node.op.kind}`) cannot be written for PyTorch: {why}")

    def _make(self, node: Node, results: set[int]) -> None:
        op = node.op
        rule = RULES.get(type(op))
        if rule is None:
            raise self._refused(node, "this writer does not know the step")
        make, wanted = rule
        inputs = [self.graph.nodes[index] for index in node.inputs]
        first = inputs[0]
        if isinstance(op, normalization.LayerNorm) and self._stays_first(node, first):
            wanted = FIRST
        if getattr(op, "order", "") == "channels":  # PyTorch's pixel shuffles
            wanted = FIRST
        layout = wanted or next(
            (self.layouts[each.index] for each in inputs if each.shape.rank), LAST
        )
        if isinstance(op, arrangement.Flatten):
            layout = self._flattened(node, first, results)
        elif first.index in self.flat and not isinstance(op, convolution.FullyConnected):
            self.flat[node.index] = self.flat[first.index]
        if any(each.shape.is_open for each in (*inputs, node)) and not isinstance(op, _ANY_SIZE):
            slides = getattr(op, "slides", None)
            if slides is None or any(place.is_open for place in slides(first.shape)):
                raise self._refused(node, "what it does depends on the input's size, which is open")
        permuted = []
        for each in inputs:
            rank = each.shape.rank
            is_other = rank and self.layouts[each.index] != layout
            permuted.append(_permutation(rank, layout) if is_other else "")
        shapes = tuple(each.shape for each in inputs)
        place = Place(op, first.shape, shapes, node.shape, layout)
        try:
            made = make(place)
        except CannotWriteError as error:
            raise self._refused(node, str(error)) from None
        chain = [made] if isinstance(made, Construction) else [*made]
        if op.frozen and chain[-1].name != "FrozenBatchNorm2d":
            chain[-1] = Construction("frozen", {0: chain[-1]})
        if any(permuted):
            head = chain[0]
            chain[0] = Construction("|".join([head.name, *permuted]), head.arguments)
        self.made[node.index] = tuple(chain)
        self.layouts[node.index] = layout

    def _stays_first(self, node: Node, x: Node) -> bool:
        """Return whether a map is normalised between layers that have the channels first."""
        readers = [RULES.get(type(each.op)) for each in self.readers.get(node.index, ())]
        is_map = node.shape.rank == 2 and self.layouts[x.index] == FIRST
        return is_map and not any(each is None or each[1] == LAST for each in readers)

    def _flattened(self, node: Node, x: Node, results: set[int]) -> str:
        """Return the layout in which a map is flattened: channels first if nothing tells."""
        layout = self.layouts[x.index]
        if layout == LAST or not x.shape.rank:
            return layout
        waiting = [node]
        while waiting:
            each = waiting.pop()
            if each.index in results:
                return LAST
            for reader in self.readers.get(each.index, ()):
                if reader.name in self.shared or not isinstance(reader.op, _KEEP_ORDER):
                    return LAST
                if isinstance(reader.op, convolution.FullyConnected):
                    continue
                waiting.append(reader)
        self.flat[node.index] = x.shape
        return FIRST


def _permutation(rank: int, to: str) -> str:
    axes = (0, rank + 1, *range(1, rank + 1)) if to == FIRST else (0, *range(2, rank + 2), 1)
    return ", ".join(map(str, axes))


def to_first(rank: int) -> str:
    """Return the permutation that puts the channels first."""
    return _permutation(rank, FIRST)


_KEEP_ORDER: Final = (
    convolution.FullyConnected,
    elementwise.Activate,
    elementwise.Dropout,
    elementwise.DropPath,
    normalization.BatchNorm,
)
"""Ops that treat all values of a vector alike, or have weights for each that can be reordered."""

_ANY_SIZE: Final = (
    elementwise.Activate,
    elementwise.Dropout,
    elementwise.SpatialDropout,
    elementwise.DropPath,
    elementwise.Rescale,
    elementwise.Scale,
    normalization._Normalization,  # noqa: SLF001
    normalization.LocalResponseNorm,
    merge.Merge,
    pooling._GlobalPool,  # noqa: SLF001
    convolution.TransposedConvolution,
    convolution.FullyConnected,
    arrangement.Upsample,
    arrangement.Pad,
    arrangement.Crop,
    arrangement.PadChannels,
    resizing.Resize,
    shuffles.ChannelShuffle,
)
"""Ops that are the same whatever the extents of their input."""


def call(name: str, *positional: Any, **named: Any) -> Construction:
    """Return the call of a constructor or of a function."""
    arguments: dict[int | str, Any] = dict(enumerate(positional))
    arguments.update(named)
    return Construction(name, arguments)


def _window(extents: Sequence[int]) -> Any:
    return extents[0] if len({*extents}) == 1 else tuple(extents)


# Windows.


def _pads(sides: Sequence[tuple[int, int]]) -> Any:
    """Return amounts as PyTorch's paddings take them: the last axis first."""
    amounts = tuple(amount for side in reversed(sides) for amount in side)
    return _window(amounts)


def _padding(sides: Sequence[tuple[int, int]], mode: str = "", value: float = 0.0) -> Construction:
    rank = len(sides)
    if mode:
        name = {"reflect": "Reflection", "replicate": "Replication", "circular": "Circular"}[mode]
        return call(f"nn.{name}Pad{rank}d", _pads(sides))
    if value:
        return call(f"nn.ConstantPad{rank}d", _pads(sides), value)
    return call(f"nn.ZeroPad{rank}d", _pads(sides))


def _sides(place: Place) -> list[tuple[int, int]]:
    return [(each.before, each.after) for each in place.op.slides(place.x)]


def _kernel(place: Place, channels: int, filters: int, groups: int) -> list[Construction]:
    op, x = place.op, place.x
    if getattr(op, "initial", None):
        raise CannotWriteError("its filters begin as a bank, which only `archspec.build` makes")
    sides = _sides(place)
    chain = []
    steps = op.steps(x.rank)
    even = all(before == after for before, after in sides) and not op.mode
    padding: Any = _window([before for before, _ in sides]) if even else 0
    same = [(total // 2, total - total // 2) for total in map(sum, sides)]
    if not even and not op.mode and max(steps) == 1 and sides == same and op.amount == "same":
        padding = "same"
    elif not even or op.mode:
        chain.append(_padding(sides, op.mode))
    chain.append(
        call(
            f"nn.Conv{x.rank}d",
            channels,
            filters,
            _window(op.taps(x.rank)),
            stride=_window(steps),
            padding=padding,
            dilation=_window(per_axis(op.dilation, x.rank, "dilation")),
            groups=groups,
            bias=op.bias,
        )
    )
    return chain


def _convolution(place: Place) -> list[Construction]:
    op = place.op
    if op.connections is not None or op.standardize:
        which = "connections" if op.connections is not None else "standardize"
        raise CannotWriteError(f"torch.nn has no convolution with `{which}`")
    return _kernel(place, place.x.channels, op.filters, op.groups)


def _depthwise(place: Place) -> list[Construction]:
    channels = place.x.channels
    return _kernel(place, channels, channels * place.op.multiplier, channels)


def _transposed(place: Place) -> list[Construction]:
    op, x = place.op, place.x
    rank = x.rank
    steps, window = op.steps(rank), op.window(rank)
    dilation = per_axis(op.dilation, rank, "dilation")
    margins, kept = [], []
    for (before, after), step, size in zip(op._cuts(x), steps, window, strict=True):  # noqa: SLF001
        end = after - max(step - size, 0)  # PyTorch's output ends with the last kernel
        margins.append((before, end))
    plain = all(
        before >= 0 and 0 <= before - end < max(step, rate)
        for (before, end), step, rate in zip(margins, steps, dilation, strict=True)
    )
    if plain:
        kept = [before for before, _ in margins]
        extra = [before - end for before, end in margins]
    else:
        kept, extra = [0] * rank, [0] * rank
    chain = [
        call(
            f"nn.ConvTranspose{rank}d",
            x.channels,
            op.filters,
            _window(op.taps(rank)),
            stride=_window(steps),
            padding=_window(kept),
            output_padding=_window(extra),
            groups=op.groups,
            bias=op.bias,
            dilation=_window(dilation),
        )
    ]
    if not plain and any(map(any, margins)):
        if any(cut < 0 for pair in margins for cut in pair) and op.bias:
            raise CannotWriteError("its output is longer than its kernels paint")
        chain.append(_padding([(-before, -after) for before, after in margins]))
    return chain


def _torch_window(place: Place) -> tuple[Any, bool, bool] | None:
    """Return padding, `ceil_mode` and whether all padding is explicit; None if it cannot.

    PyTorch pads both ends alike, and a last window may hang over the end with `ceil_mode`.
    """
    op, x = place.op, place.x
    window, steps = op.window(x.rank), op.steps(x.rank)
    slides = op.slides(x)
    before = [each.before for each in slides]
    if any(2 * b > w for b, w in zip(before, window, strict=True)):
        return None
    modes = []
    for extent, each, w, s in zip(x.spatial, slides, window, steps, strict=True):
        if not isinstance(extent, int):
            modes.append({False} if each.before == each.after else set())
            continue
        room = extent + 2 * each.before - w
        floor, ceil = room // s + 1, -(-room // s) + 1
        if (ceil - 1) * s >= extent + each.before:
            ceil -= 1
        modes.append({mode for mode, n in ((False, floor), (True, ceil)) if n == each.fits})
    common = set.intersection(*modes)
    if not common:
        return None
    mode = min(common)
    return _window(before), mode, all(each.before == each.after for each in slides)


def _max_pool(place: Place) -> list[Construction]:
    op, x = place.op, place.x
    window, steps = op.window(x.rank), op.steps(x.rank)
    found = _torch_window(place)
    chain = []
    padding, ceil = (0, False) if found is None else found[:2]
    if found is None:
        chain.append(_padding(_sides(place), value=float("-inf")))
    stride = None if steps == window else _window(steps)
    name = f"nn.MaxPool{x.rank}d"
    chain.append(call(name, _window(window), stride=stride, padding=padding, ceil_mode=ceil))
    return chain


def _avg_pool(place: Place) -> list[Construction]:
    op, x = place.op, place.x
    window, steps = op.window(x.rank), op.steps(x.rank)
    found = _torch_window(place)
    if found is None or (op.counts_zeros and (op.ceil or not found[2])):
        counted = op.counted_padding(x) if op.counts_zeros else ((0, 0),) * x.rank
        sides = [
            tuple(amount for side in reversed(each) for amount in side)
            for each in (_sides(place), counted)
        ]
        return [call("PaddedAvgPool", window, steps, *sides)]
    padding, ceil, _ = found
    counts = op.counts_zeros or padding == 0
    stride = None if steps == window else _window(steps)
    return [
        call(
            f"nn.AvgPool{x.rank}d",
            _window(window),
            stride=stride,
            padding=padding,
            ceil_mode=ceil,
            count_include_pad=counts,
        )
    ]


def _l2_pool(place: Place) -> list[Construction]:
    op, x = place.op, place.x
    sides = _sides(place)
    chain = [_padding(sides)] if any(map(any, sides)) else []
    window, steps = op.window(x.rank), op.steps(x.rank)
    stride = None if steps == window else _window(steps)
    return [*chain, call(f"nn.LPPool{x.rank}d", 2, _window(window), stride=stride)]


def _global(name: str) -> Callable[[Place], Construction]:
    def make(place: Place) -> Construction:
        keep = place.op.keep_axes
        return call(name, _window_or_all(place.spatial), keepdim=keep)

    return make


def _window_or_all(axes: tuple[int, ...]) -> Any:
    return axes[0] if len(axes) == 1 else axes


# Vectors and elementwise functions.


def _linear(place: Place) -> Construction:
    return call("nn.Linear", place.x.channels, place.op.units, bias=place.op.bias)


PLAIN: Final = {
    "relu": "nn.ReLU",
    "relu6": "nn.ReLU6",
    "selu": "nn.SELU",
    "silu": "nn.SiLU",
    "swish": "nn.SiLU",
    "mish": "nn.Mish",
    "tanh": "nn.Tanh",
    "sigmoid": "nn.Sigmoid",
    "hard_sigmoid": "nn.Hardsigmoid",
    "hard_swish": "nn.Hardswish",
    "hard_tanh": "nn.Hardtanh",
    "softplus": "nn.Softplus",
    "softsign": "nn.Softsign",
    "log_sigmoid": "nn.LogSigmoid",
    "tanh_shrink": "nn.Tanhshrink",
    "linear": "nn.Identity",
    "elu": "nn.ELU",
    "celu": "nn.CELU",
    "gelu": "nn.GELU",
}
"""Modules of functions by their words, where both have the same defaults."""


def _activation(place: Place) -> Construction:
    f: Any = function(place.op.function)
    word = f.kind
    if word in ("softmax", "log_softmax"):
        name = "nn.Softmax" if word == "softmax" else "nn.LogSoftmax"
        return call(name, dim=place.axis(place.x.rank))
    if word in ("exponential", "abs"):
        return call({"exponential": "torch.exp", "abs": "torch.abs"}[word])
    plain = word in PLAIN and (not hasattr(f, "model_dump") or f == type(f)())
    if plain:
        return call("activation", word)
    made = {
        "relu": lambda: _bounded(f),
        "leaky_relu": lambda: call("nn.LeakyReLU", f.slope),
        "elu": lambda: call("nn.ELU", f.alpha),
        "celu": lambda: call("nn.CELU", f.alpha),
        "gelu": lambda: call("nn.GELU", approximate="tanh"),
        "soft_shrink": lambda: call("nn.Softshrink", f.threshold),
        "hard_shrink": lambda: call("nn.Hardshrink", f.threshold),
        "threshold": lambda: call("nn.Threshold", f.threshold, f.value),
        "scaled_tanh": lambda: call("scaled_tanh", f.amplitude, f.slope),
        "squareplus": lambda: call("squareplus", f.b),
        "hard_sigmoid": lambda: call("hard_sigmoid", f.slope),
    }.get(word)
    if made is None:
        raise CannotWriteError(f"torch.nn has no `{word}`")
    return made()


def _bounded(f: Any) -> Construction:
    if f.threshold:
        if f.max is not None:
            raise CannotWriteError("torch.nn has no relu with both a threshold and a largest value")
        return call("nn.Threshold", f.threshold, 0.0)
    return call("nn.ReLU6") if f.max == 6 else call("nn.Hardtanh", 0.0, f.max)


def _glu(place: Place) -> Construction:
    return call("nn.GLU", dim=place.axis(place.x.rank))


def _softmax(place: Place) -> Construction:
    op, x = place.op, place.x
    return call("nn.Softmax", dim=place.axis(place_of_axis(op.kind, op.axis, x)))


def _unit_norm(place: Place) -> Construction:
    axis = place.axis(place_of_axis(place.op.kind, place.op.axis, place.x))
    return call("F.normalize", dim=axis)


def _prelu(place: Place) -> Construction:
    op = place.op
    if op.shared == "none":
        raise CannotWriteError("nn.PReLU has no slope for each place")
    count = place.x.channels if op.shared == "places" else 1
    return call("nn.PReLU", count, init=op.initial)


def _drop_path(place: Place) -> Construction:
    is_batch = place.op.mode == "batch"
    return call("BatchDropPath" if is_batch else "DropPath", place.op.rate)


def _spatial_dropout(place: Place) -> Construction:
    return call(f"nn.Dropout{place.x.rank}d", place.op.rate)


def _dropout(place: Place) -> Construction:
    return call("nn.Dropout", place.op.rate)


def _rescale(place: Place) -> Construction:
    op = place.op
    if isinstance(op.scale, tuple) or isinstance(op.offset, tuple):
        return call("RescaleChannels", op.scale, op.offset, dim=place.axis(place.x.rank))
    return call("rescale", op.scale, op.offset)


def _scale(place: Place) -> Construction:
    op, x = place.op, place.x
    after = x.rank if place.layout == FIRST else 0
    return call("Scale", x.channels, bias=op.bias, initial=op.initial, axes_after=after)


# Normalisation.


def _batch_norm(place: Place) -> Construction:
    op, x = place.op, place.x
    rank = max(x.rank, 1)
    frozen = op.frozen and rank == 2 and op.scale and op.center
    if op.frozen and not frozen:
        raise CannotWriteError("a `batch_norm` that training leaves as it is has two spatial axes")
    momentum = round(1 - op.momentum, 12)
    name = "FrozenBatchNorm2d" if frozen else f"nn.BatchNorm{rank}d"
    made = call(name, x.channels, eps=op.epsilon, momentum=momentum)
    return _without(op, made)


def _without(op: Any, made: Construction) -> Construction:
    if not op.scale and not op.center:
        key = "elementwise_affine" if made.name.endswith(("LayerNorm", "LayerNorm2d")) else "affine"
        return Construction(made.name, {**made.arguments, key: False})
    if not op.scale:
        return call("without_weight", made)
    return made if op.center else call("without_bias", made)


def _layer_norm(place: Place) -> Construction:
    op = place.op
    name = "LayerNorm2d" if place.layout == FIRST else "nn.LayerNorm"
    return _without(op, call(name, place.x.channels, eps=op.epsilon))


def _group_norm(place: Place) -> Construction:
    op = place.op
    groups = getattr(op, "groups", place.x.channels)
    return _without(op, call("nn.GroupNorm", groups, place.x.channels, eps=op.epsilon))


def _rms_norm(place: Place) -> Construction:
    return call("nn.RMSNorm", place.x.channels, eps=place.op.epsilon)


def _lrn(place: Place) -> Construction:
    if not place.x.rank:
        raise CannotWriteError("nn.LocalResponseNorm takes no vectors")
    op = place.op  # PyTorch divides alpha by the size
    alpha = op.alpha if op.divide else op.alpha * op.size
    return call("nn.LocalResponseNorm", op.size, alpha=alpha, beta=op.beta, k=op.k)


# Values moved.


def _reshape(place: Place) -> Construction:
    return call("reshape", *(-1 if n is None else n for n in place.op.to))


def _pad(place: Place) -> Construction:
    op = place.op
    mode = "" if op.mode == "zeros" else op.mode
    return _padding(per_side(op.amount, place.x.rank, "amount"), mode)


def _pad_channels(place: Place) -> Construction:
    amount = place.op.to - place.x.channels
    rank = place.x.rank if place.layout == FIRST else 0
    return call("pad_channels", (*(0, 0) * rank, 0, amount))


def _crop(place: Place) -> Construction:
    op, x = place.op, place.x
    if op.amount is None:
        offsets = op.offsets(x.rank)
        return call("crop_like", None if offsets is None else tuple(offsets))
    sides = per_side(op.amount, x.rank, "amount")
    return _padding([(-before, -after) for before, after in sides])


def _upsample(place: Place) -> Construction:
    op, x = place.op, place.x
    factor = _window(per_axis(op.factor, x.rank, "factor"))
    if op.method == "nearest":
        return call("nn.Upsample", scale_factor=factor)
    return call("nn.Upsample", scale_factor=factor, mode="bilinear")


def _resize(place: Place) -> Construction:
    op, x = place.op, place.x
    mode = {"nearest": "nearest-exact", "bilinear": "bilinear", "bicubic": "bicubic"}[op.method]
    if x.rank == 1 and op.method != "nearest":
        if op.method == "bicubic":
            raise CannotWriteError("F.interpolate has no bicubic method for sequences")
        mode = "linear"
    if op.to is None:
        return call("resize_like", mode)
    return call("resize", per_axis(op.to, x.rank, "to"), mode)


def _slice(place: Place) -> Construction:
    at, start, stop = place.op.cut(place.x)
    return call("slice", place.axis(at) % (len(place.x) + 1), start, stop, len(place.x))


def _permute(place: Place) -> Construction:
    return call("permute", *(at + 1 for at in place.op.order(place.x)))


def _roll(place: Place) -> Construction:
    steps = place.op.steps(place.x)
    return call("roll", _window_or_all(steps), _window_or_all(place.spatial))


def _shuffle(place: Place) -> Construction:
    if not place.x.rank:
        raise CannotWriteError("nn.ChannelShuffle takes no vectors")
    return call("nn.ChannelShuffle", place.op.groups)


def _space_to_depth(place: Place) -> Construction:
    op, x = place.op, place.x
    factors = op.factors(x)
    if x.rank != 2:
        raise CannotWriteError("it has other than two spatial axes")
    is_forward = isinstance(op, shuffles.SpaceToDepth)
    if op.order == "places":
        return call("SpaceToDepth" if is_forward else "DepthToSpace", *factors)
    if len({*factors}) > 1:
        raise CannotWriteError("PyTorch's pixel shuffle has one factor for both axes")
    return call("nn.PixelUnshuffle" if is_forward else "nn.PixelShuffle", factors[0])


# Merges.


def _plain_call(name: str) -> Callable[[Place], Construction]:
    """Return a rule for an op whose call needs no arguments."""
    return lambda place: call(name)  # noqa: ARG005


def _concat(place: Place) -> Construction:
    return call("cat", dim=place.axis(place_of_axis(place.op.kind, place.op.axis, place.x)))


def _matmul(place: Place) -> Construction:
    return call("matmul_transposed" if place.op.transpose_b else "matmul")


def _join(place: Place) -> Construction:
    return call("Join", place.op.rate, place.op.columns)


def _path_draw(place: Place) -> Construction:
    return call("PathDraw", place.op.columns, place.op.global_share)


# Tokens and attention.


def _class_token(place: Place) -> Construction:
    return call("ClassToken", place.op.count, place.x.channels)


def _parameter(place: Place) -> Construction:
    op = place.op
    return call("Parameter", op.shape, op.use, mean=op.initial, deviation=op.deviation)


def _position(place: Place) -> Construction:
    if place.op.method != "learned":
        raise CannotWriteError("the method `sine` has no counterpart in torch.nn")
    return call("PositionEmbedding", *place.x)


def _relative_bias(place: Place) -> Construction:
    return call("RelativePositionBias", place.op.extents(), place.x[-3])


def _window_mask(place: Place) -> Construction:
    return call("ShiftedWindowMask", *zip(*place.op.axes(), strict=True))


def _causal(place: Place) -> Construction:
    return call("CausalMask", place.x[-1])


def _recurrent(place: Place) -> Construction:
    op = place.op
    if op.dropout:
        raise CannotWriteError("PyTorch's recurrent layers drop no inputs")
    name = type(op).__name__
    usual = type(op)(units=op.units)
    for argument in ("activation", "recurrent_activation", "reset_after"):
        default = getattr(usual, argument, None)
        if getattr(op, argument, None) != default:
            said = str(default).lower()
            raise CannotWriteError(
                f"PyTorch's nn.{name.upper()} has no other `{argument}` than {said}"
            )
    return call(
        name,
        place.x.channels,
        op.units,
        bias=op.bias,
        bidirectional=op.bidirectional,
        last=op.output == "last",
    )


Rule = tuple[Callable[[Place], Any], str]

RULES: Final[dict[type, Rule]] = {
    convolution.Convolution: (_convolution, FIRST),
    convolution.DepthwiseConvolution: (_depthwise, FIRST),
    convolution.TransposedConvolution: (_transposed, FIRST),
    convolution.FullyConnected: (_linear, LAST),
    pooling.MaxPool: (_max_pool, FIRST),
    pooling.AvgPool: (_avg_pool, FIRST),
    pooling.L2Pool: (_l2_pool, FIRST),
    pooling.GlobalAvgPool: (_global("mean"), ""),
    pooling.GlobalMaxPool: (_global("amax"), ""),
    elementwise.Activate: (_activation, ""),
    elementwise.Glu: (_glu, ""),
    elementwise.Softmax: (_softmax, ""),
    elementwise.PRelu: (_prelu, FIRST),
    elementwise.Dropout: (_dropout, ""),
    elementwise.SpatialDropout: (_spatial_dropout, FIRST),
    elementwise.DropPath: (_drop_path, ""),
    elementwise.Rescale: (_rescale, ""),
    elementwise.Scale: (_scale, ""),
    normalization.BatchNorm: (_batch_norm, FIRST),
    normalization.LayerNorm: (_layer_norm, LAST),
    normalization.GroupNorm: (_group_norm, FIRST),
    normalization.InstanceNorm: (_group_norm, FIRST),
    normalization.RmsNorm: (_rms_norm, LAST),
    normalization.UnitNorm: (_unit_norm, ""),
    normalization.LocalResponseNorm: (_lrn, FIRST),
    arrangement.Flatten: (_plain_call("nn.Flatten"), ""),
    arrangement.Reshape: (_reshape, LAST),
    arrangement.Pad: (_pad, FIRST),
    arrangement.PadChannels: (_pad_channels, ""),
    arrangement.Crop: (_crop, FIRST),
    arrangement.Upsample: (_upsample, FIRST),
    arrangement.Slice: (_slice, ""),
    resizing.Resize: (_resize, FIRST),
    shuffles.Permute: (_permute, LAST),
    shuffles.Roll: (_roll, ""),
    shuffles.ChannelShuffle: (_shuffle, FIRST),
    shuffles.SpaceToDepth: (_space_to_depth, LAST),
    shuffles.DepthToSpace: (_space_to_depth, LAST),
    merge.Add: (_plain_call("add"), ""),
    merge.Mean: (_plain_call("mean_of"), ""),
    merge.Max: (_plain_call("maximum"), ""),
    merge.Min: (_plain_call("minimum"), ""),
    merge.Subtract: (_plain_call("subtract"), ""),
    merge.Divide: (_plain_call("divide"), ""),
    merge.AbsoluteDifference: (_plain_call("difference"), ""),
    merge.Multiply: (_plain_call("multiply"), ""),
    merge.Concat: (_concat, ""),
    merge.MatMul: (_matmul, LAST),
    paths.Join: (_join, ""),
    paths.PathDraw: (_path_draw, ""),
    tokens.ClassToken: (_class_token, LAST),
    tokens.Parameter: (_parameter, LAST),
    tokens.PositionEmbedding: (_position, LAST),
    attention.RelativePositionBias: (_relative_bias, LAST),
    attention.ShiftedWindowMask: (_window_mask, LAST),
    attention.CausalMask: (_causal, LAST),
    recurrence.Lstm: (_recurrent, LAST),
    recurrence.Gru: (_recurrent, LAST),
    recurrence.Rnn: (_recurrent, LAST),
}
"""Constructions of each op, and the layout of its input; empty is that of the first input."""
