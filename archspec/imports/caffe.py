"""Caffe's networks: `.prototxt` files, in all three generations of their syntax but the first.

`layers { type: CONVOLUTION }` (V1) and `layer { type: "Convolution" }` (V2) are read; a file for
deployment gives the shape of its input, one for training (`train_val`) where its data layer crops.
Layouts differ: Caffe's arrays are channels first, the graph's are channels last.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

from archspec.declare.declaration import DeclarationError
from archspec.element import Element
from archspec.errors import Problem, UsageError
from archspec.graph.graph import Node
from archspec.imports.building import ModelBuilder
from archspec.imports.caffemodel import Weighted, read_weights
from archspec.imports.inputs import NOTHING_GIVEN, Given
from archspec.imports.model import ImportedModel
from archspec.imports.modeltext import ModelText, TextProblem, parse_op, read_text
from archspec.imports.prototext import Message, parse
from archspec.ops.arrangement import Crop, Flatten, Reshape, Slice
from archspec.ops.axes import names_of_axes
from archspec.ops.convolution import (
    Convolution,
    DepthwiseConvolution,
    FullyConnected,
    TransposedConvolution,
)
from archspec.ops.elementwise import Activate, Dropout, PRelu, Rescale, Scale
from archspec.ops.elementwise import Softmax as SoftmaxOp
from archspec.ops.merge import Add, Concat, Max, Multiply, Subtract
from archspec.ops.normalization import BatchNorm, InstanceNorm, LocalResponseNorm
from archspec.ops.op import Elementwise, Op, Weight
from archspec.ops.pooling import AvgPool, GlobalAvgPool, GlobalMaxPool, MaxPool
from archspec.ops.shape import Shape
from archspec.ops.shuffles import ChannelShuffle
from archspec.ops.unknown import Unknown

TRAIN: Final = "TRAIN"
TEST: Final = "TEST"

_V1_TYPES: Final = {
    "ABSVAL": "AbsVal",
    "ACCURACY": "Accuracy",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "CONCAT": "Concat",
    "CONTRASTIVE_LOSS": "ContrastiveLoss",
    "CONVOLUTION": "Convolution",
    "DATA": "Data",
    "DECONVOLUTION": "Deconvolution",
    "DROPOUT": "Dropout",
    "DUMMY_DATA": "DummyData",
    "ELTWISE": "Eltwise",
    "EUCLIDEAN_LOSS": "EuclideanLoss",
    "EXP": "Exp",
    "FLATTEN": "Flatten",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "HINGE_LOSS": "HingeLoss",
    "IM2COL": "Im2col",
    "IMAGE_DATA": "ImageData",
    "INFOGAIN_LOSS": "InfogainLoss",
    "INNER_PRODUCT": "InnerProduct",
    "LRN": "LRN",
    "MEMORY_DATA": "MemoryData",
    "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss",
    "MVN": "MVN",
    "POOLING": "Pooling",
    "POWER": "Power",
    "RELU": "ReLU",
    "SIGMOID": "Sigmoid",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss",
    "SILENCE": "Silence",
    "SLICE": "Slice",
    "SOFTMAX": "Softmax",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "SPLIT": "Split",
    "TANH": "TanH",
    "THRESHOLD": "Threshold",
    "WINDOW_DATA": "WindowData",
}
"""The type of a layer since 2014, by its word before."""

_OLDER_NAMES: Final = {"SoftmaxLoss": "SoftmaxWithLoss"}

_LEARNED: Final = {"Convolution", "Deconvolution", "InnerProduct", "Scale", "PReLU", "Bias"}
"""Types whose `param` says whether training changes the weights, and who shares them."""

_DATA: Final = {
    "Data", "ImageData", "HDF5Data", "MemoryData", "WindowData", "DummyData", "Input",
    "AnnotatedData", "VideoData", "DenseImageData",
}  # fmt: skip
"""Types of layers that make data."""

_LOSSES: Final = {"SoftmaxWithLoss": "softmax", "SigmoidCrossEntropyLoss": "sigmoid"}
"""Types of losses that hold the network's last function, which is read."""

_ENDS: Final = {
    "Accuracy", "Silence", "HDF5Output", "ContrastiveLoss", "EuclideanLoss", "HingeLoss",
    "InfogainLoss", "MultinomialLogisticLoss", "SmoothL1Loss", "MultiBoxLoss", "DetectionEvaluate",
}  # fmt: skip
"""Types of layers after the network: losses that only compare, and scores."""


class Layer(NamedTuple):
    """A layer of the file, in the words of the newest syntax."""

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    message: Message

    @property
    def line(self) -> int:
        return self.message.line

    def param(self, name: str) -> Message:
        """Return the arguments in `NAME_param`."""
        return self.message.message(f"{name}_param")

    @property
    def rates(self) -> list[float]:
        """The factors of the learning rate for its weights, as far as they are given."""
        v2 = [param.real("lr_mult", 1.0) for param in self._params]
        return v2 or self.message.reals("blobs_lr")

    @property
    def is_data(self) -> bool:
        """Whether the layer gives the images: a type of data, or Python code that reads nothing."""
        return self.type in _DATA or (self.type == "Python" and not self.bottoms)

    @property
    def shared_names(self) -> tuple[str, ...]:
        """The names of its weights, which layers of one name share."""
        if self._params:
            return tuple(param.word("name") for param in self._params)
        return tuple(self.message.words("param"))

    @property
    def _params(self) -> list[Message]:
        """The messages `param { ... }`; the syntax before has names alone, as `param: "w"`."""
        values = [value for name, value in self.message.fields if name == "param"]
        return [value for value in values if isinstance(value, Message)]


MOST_INPUTS: Final = 10_000
"""Largest number of inputs of a layer."""


def read(
    path: str | os.PathLike[str],
    *,
    given: Given = NOTHING_GIVEN,
    weights: str | os.PathLike[str] | None = None,
) -> ImportedModel:
    """Return the network of a Caffe `.prototxt` file.

    Args:
        path: The file.
        given: The shape of its first input, which a file for training may lack, before its own.
        weights: The `.caffemodel` file of its weights, which is read when they are asked for.

    Raises:
        UsageError: It cannot be read, or has no input or no output.
        SpecError: It is not protobuf's text format, or its layers do not join.
    """
    if not isinstance(weights, str | os.PathLike | None):
        raise UsageError(f"`weights` must be the path of a .caffemodel file, not {weights!r:.80}")
    text = read_text(path, "a Caffe network")
    try:
        return _Net(text, parse(text.text), given, weights).read()
    except TextProblem as problem:
        raise text.error(problem) from None


Made: TypeAlias = "Node | Sequence[Node] | None"
"""The nodes of a layer's tops: one for all, one each, or None for a layer after the network."""


@dataclass
class _Net:
    """A file as it is read: the nodes of its blobs so far."""

    text: ModelText
    message: Message
    given: Given
    weights: str | os.PathLike[str] | None
    blobs: dict[str, Node] = field(default_factory=dict)
    folded: dict[int, Layer] = field(default_factory=dict)
    """The Scale layer that belongs to a BatchNorm layer, by the line of the latter."""
    builder: ModelBuilder = field(init=False)
    owners: dict[tuple[str, ...], Node] = field(default_factory=dict)
    """The first layer with weights of these names, which later ones share."""
    nodes: dict[int, Node] = field(default_factory=dict)
    """All nodes so far, by their numbers."""
    weighted: list[Weighted] = field(default_factory=list)
    """The nodes with weights, and their layers."""
    unfit: list[str] = field(default_factory=list)
    """Names of nodes whose weights are in no known order."""
    averages: int = 0
    """Number of BatchNorm layers."""
    params: int | None = 0
    """Number of parameters so far as Caffe counts them; None after a layer that is not known."""

    def read(self) -> ImportedModel:
        phase, layers = _chosen(self.message)
        if not layers:
            raise TextProblem(
                1, "this file holds no layers", help="a network is a list of `layer { ... }`"
            )
        assumed: list[str] = []
        inputs = dict(_inputs(self.message, layers, assumed))
        if self.given.shape is not None:
            inputs = {next(iter(inputs), "data"): self.given.shape} | dict([*inputs.items()][1:])
            assumed.clear()
        kind = "train_val, phase " + phase if _is_phased(self.message) else "deploy"
        self.builder = ModelBuilder(
            self.text.path,
            inputs or {"data": ()},
            name=self.message.word("name") or self.text.stem,
            format_name=f"Caffe .prototxt ({kind})",
            given=self.given,
        )
        for sentence in assumed:
            self.builder.note(sentence)
        self.blobs.update(self.builder.inputs)
        self.nodes.update((node.index, node) for node in self.builder.inputs.values())
        self.folded = _scales(layers)
        scales = {layer.line for layer in self.folded.values()}
        read: set[str] = set()
        outputs: dict[str, Node] = {}
        ends: dict[str, Node] = {}
        for layer in layers:
            if layer.is_data:
                continue
            sources = self._sources(layer)
            read.update(layer.bottoms)
            if layer.line in scales and len(sources) == 1:
                made: Made = sources[0]
            elif layer.type in _ENDS:
                if layer.type.endswith("Loss"):
                    ends.update(zip(layer.bottoms[:1], sources[:1], strict=True))
                continue
            else:
                made = self._made(layer, sources)
            nodes = [made] * len(layer.tops) if isinstance(made, Node) else list(made or ())
            for top, node in zip(layer.tops, nodes, strict=False):
                self.blobs[top] = node
                outputs.pop(top, None)
                outputs[top] = node
                if top not in layer.bottoms:
                    read.discard(top)
        found = {top: node for top, node in outputs.items() if top not in read}
        found.update({top: node for top, node in ends.items() if top not in found})
        if self.averages:
            self.builder.note(
                "Caffe keeps one number more in each BatchNorm layer, the factor of its moving "
                "averages; the table leaves it out."
            )
        reader = None
        if self.weights is not None:
            reader = partial(read_weights, self.weights, self.weighted, self.unfit)
        return self.builder.finish(
            dict(reversed(found.items())), params=self.params, weights=reader
        )

    def _sources(self, layer: Layer) -> list[Node]:
        """Return the nodes of a layer's bottoms, but for labels."""
        nodes = []
        for number, bottom in enumerate(layer.bottoms):
            if bottom in self.blobs:
                nodes.append(self.blobs[bottom])
            elif number == 0 or layer.type not in _ENDS | _LOSSES.keys():
                raise TextProblem(
                    layer.line,
                    f"layer `{layer.name}` reads `{bottom}`, which no layer before it makes",
                )
        return nodes

    def _made(self, layer: Layer, sources: list[Node]) -> Made:
        """Return the nodes of a layer's tops."""
        if layer.type in MERGES:
            merge, counts = MERGES[layer.type]
            self._check_count(layer, sources, counts)
            return merge(self, layer, sources)
        rule = LAYERS.get(layer.type)
        if rule is None:
            return self.unknown(layer, *sources)
        self._check_count(layer, sources, range(1, 2))
        return rule(self, layer, sources[0])

    @staticmethod
    def _check_count(layer: Layer, sources: list[Node], counts: range) -> None:
        if len(sources) not in counts:
            found = f"{len(sources)} {'bottom' if len(sources) == 1 else 'bottoms'}"
            message = f"layer `{layer.name}` ({layer.type}) cannot have {found}"
            raise TextProblem(layer.line, message)

    def add(
        self, layer: Layer, kind: type[Element], *inputs: Node, part: str = "", **arguments: Any
    ) -> Node:
        """Add an op for a layer, or for a part of it."""
        op: Op = parse_op(kind, arguments, layer.line, f"layer `{layer.name}`")
        name = f"{layer.name}_{part}" if part else layer.name
        key = layer.shared_names if layer.type in _LEARNED and not part else ()
        if all(key) and key in self.owners:
            first = self.owners[key]
            return self.builder.share(first, *inputs, name=name, type_name=layer.type)
        node = self.builder.add(op, *inputs, name=name, type_name=layer.type)
        if key and all(key):
            self.owners[key] = node
        if isinstance(node.op, Unknown) or self.params is None:
            self.params = None
        else:
            self.params += node.layer.params + isinstance(op, BatchNorm)
        self.nodes[node.index] = node
        if node.layer.weights and not isinstance(node.op, Unknown):
            self._keep(layer, node, inputs[0])
        return node

    def _keep(self, layer: Layer, node: Node, x: Node) -> None:
        """Remember which layers have the weights of a node."""
        scale = self.folded.get(layer.line)
        names = (layer.name,) if scale is None else (layer.name, scale.name)
        known, maps = self._flattened(x)
        if not known:
            self.unfit.append(node.name)
        is_transposed = layer.param("inner_product").flag("transpose", default=False)
        self.weighted.append(Weighted(node, names, maps, is_transposed))

    def _flattened(self, x: Node) -> tuple[bool, tuple[int, ...] | None]:
        """Return whether the order of a vector's values is known, and the maps that it holds."""
        while not x.shape.rank and x.inputs and all(each in self.nodes for each in x.inputs):
            before = [self.nodes[index] for index in x.inputs]
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
        self.params = None if arrays is None else self.params
        return self.builder.unknown(
            layer.type,
            *inputs,
            name=layer.name,
            reason=reason,
            declared=shape,
            arrays=arrays,
        )


Rule: TypeAlias = Callable[[_Net, Layer, Node], Made]
Merge: TypeAlias = Callable[[_Net, Layer, "list[Node]"], Made]


def _axes(param: Message, name: str, default: int) -> int | tuple[int, ...]:
    """Return an extent along the spatial axes: `pad: 1`, one `pad` each, or `pad_h`, `pad_w`."""
    stem = name.removesuffix("_size")
    if f"{stem}_h" in param or f"{stem}_w" in param:
        height, width = param.integer(f"{stem}_h", default), param.integer(f"{stem}_w", default)
        return height if height == width else (height, width)
    values = param.integers(name)
    if not values:
        return default
    return values[0] if len({*values}) == 1 else tuple(values)


def _trainable(layer: Layer) -> dict[str, Any]:
    """Return the argument of an op whose weights training leaves alone."""
    rates = layer.rates
    return {"trainable": False} if rates and not any(rates) else {}


def _kernel(layer: Layer) -> dict[str, Any]:
    """Return the arguments that Caffe's convolutions have in common."""
    param = layer.param("convolution")
    if not {"kernel_size", "kernel_h", "kernel_w"} & {name for name, _ in param.fields}:
        raise TextProblem(layer.line, f"layer `{layer.name}` has no `kernel_size`")
    arguments: dict[str, Any] = {
        "kernel": _axes(param, "kernel_size", 1),
        "stride": _axes(param, "stride", 1),
        "padding": _axes(param, "pad", 0) or "valid",
        "dilation": _axes(param, "dilation", 1),
    }
    if not param.flag("bias_term", default=True):
        arguments["bias"] = False
    return arguments | _trainable(layer)


def convolution(net: _Net, layer: Layer, x: Node) -> Node:
    param = layer.param("convolution")
    filters, groups = param.integer("num_output"), param.integer("group", 1)
    if layer.type != "Convolution" and groups == 1:
        groups = filters
    arguments = _kernel(layer)
    channels = x.shape.channels if x.shape else 0
    if groups > 1 and groups == channels and filters and filters % channels == 0:
        multiplier = filters // channels
        return net.add(layer, DepthwiseConvolution, x, multiplier=multiplier, **arguments)
    return net.add(layer, Convolution, x, filters=filters, groups=groups, **arguments)


def deconvolution(net: _Net, layer: Layer, x: Node) -> Node:
    param = layer.param("convolution")
    return net.add(
        layer,
        TransposedConvolution,
        x,
        filters=param.integer("num_output"),
        groups=param.integer("group", 1),
        **_kernel(layer),
    )


def inner_product(net: _Net, layer: Layer, x: Node) -> Node:
    param = layer.param("inner_product")
    arguments: dict[str, Any] = {"units": param.integer("num_output")} | _trainable(layer)
    if not param.flag("bias_term", default=True):
        arguments["bias"] = False
    if param.integer("axis", 1) not in {1, -len(x.shape)}:
        reason = "it is applied along an axis that holds places"
        return net.unknown(layer, x, reason=reason)
    if len(x.shape) > 1:
        x = net.add(layer, Flatten, x, part="flatten")
    return net.add(layer, FullyConnected, x, **arguments)


_POOLS: Final[Mapping[str, tuple[type[Op], type[Op]]]] = {
    **dict.fromkeys(("MAX", "0"), (MaxPool, GlobalMaxPool)),
    **dict.fromkeys(("AVE", "1"), (AvgPool, GlobalAvgPool)),
}
"""The pool of a window, and that of the whole plane, by Caffe's word or number."""


def pooling(net: _Net, layer: Layer, x: Node) -> Node:
    param = layer.param("pooling")
    method = param.word("pool", "MAX")
    if method not in _POOLS:
        return net.unknown(layer, x, reason=f"archspec has no pool of the kind {method}", arrays=())
    window, whole = _POOLS[method]
    if param.flag("global_pooling", default=False):
        return net.add(layer, whole, x, keep_axes=True)
    arguments: dict[str, Any] = {
        "size": _axes(param, "kernel_size", 1),
        "stride": _axes(param, "stride", 1),
        "padding": _axes(param, "pad", 0) or "valid",
    }
    if window is AvgPool and arguments["padding"] != "valid":
        arguments["count_padding"] = True
    if param.word("round_mode", "CEIL") not in {"FLOOR", "1"} and _hangs_over(x, arguments):
        arguments["ceil"] = True
    return net.add(layer, window, x, **arguments)


def _hangs_over(x: Node, arguments: Mapping[str, Any]) -> bool:
    """Whether the last window of a pool hangs over the edge, as Caffe lets it.

    Where none does, rounding up and rounding down are the same, and the op need not say it.
    """
    if x.shape.is_open:
        return True
    try:
        rounded = [MaxPool(**arguments, ceil=ceil).output_shape(x.shape) for ceil in (False, True)]
    except (Problem, DeclarationError):
        return False  # it does not fit at all, which is said where it is added
    return rounded[0] != rounded[1]


def relu(net: _Net, layer: Layer, x: Node) -> Node:
    slope = layer.param("relu").real("negative_slope")
    function = {"leaky_relu": slope} if slope else "relu"
    return net.add(layer, Activate, x, function=function)


def prelu(net: _Net, layer: Layer, x: Node) -> Node:
    shared = layer.param("prelu").flag("channel_shared", default=False)
    return net.add(layer, PRelu, x, shared="all" if shared else "places", **_trainable(layer))


def elu(net: _Net, layer: Layer, x: Node) -> Node:
    alpha = layer.param("elu").real("alpha", 1.0)
    return net.add(layer, Activate, x, function="elu" if alpha == 1 else {"elu": alpha})


def power(net: _Net, layer: Layer, x: Node) -> Node:
    param = layer.param("power")
    if param.real("power", 1.0) != 1:
        return net.unknown(layer, x, reason="it raises to a power", shape=x.shape, arrays=())
    scale, shift = param.real("scale", 1.0), param.real("shift")
    return net.add(layer, Rescale, x, scale=scale, offset=shift)


def exponential(net: _Net, layer: Layer, x: Node) -> Node:
    param = layer.param("exp")
    plain = (param.real("base", -1.0), param.real("scale", 1.0), param.real("shift"))
    if plain != (-1.0, 1.0, 0.0):
        return net.unknown(layer, x, reason="its base is not e", shape=x.shape, arrays=())
    return net.add(layer, Activate, x, function="exponential")


def softmax(net: _Net, layer: Layer, x: Node) -> Node:
    axis = _axis(layer.param("softmax").integer("axis", 1), x.shape)
    if axis is None:
        return net.unknown(
            layer, x, reason="its axis is that of the batch", shape=x.shape, arrays=()
        )
    return net.add(layer, SoftmaxOp, x, **_along(axis))


def lrn(net: _Net, layer: Layer, x: Node) -> Node:
    param = layer.param("lrn")
    if param.word("norm_region", "ACROSS_CHANNELS") not in {"ACROSS_CHANNELS", "0"}:
        reason = "its neighbours are those in the plane of a channel"
        return net.unknown(layer, x, reason=reason, shape=x.shape, arrays=())
    return net.add(
        layer,
        LocalResponseNorm,
        x,
        size=param.integer("local_size", 5),
        alpha=param.real("alpha", 1.0),
        beta=param.real("beta", 0.75),
        k=param.real("k", 1.0),
    )


def batch_norm(net: _Net, layer: Layer, x: Node) -> Node:
    """Add a batch norm; its factor and offset are those of the Scale layer after it."""
    net.averages += 1
    param = layer.param("batch_norm")
    scale = net.folded.get(layer.line)
    return net.add(
        layer,
        BatchNorm,
        x,
        epsilon=param.real("eps", 1e-5),
        momentum=param.real("moving_average_fraction", 0.999),
        scale=scale is not None,
        center=scale is not None and scale.param("scale").flag("bias_term", default=False),
        **(_trainable(scale) if scale else {}),
    )


def dropout(net: _Net, layer: Layer, x: Node) -> Node:
    return net.add(layer, Dropout, x, rate=layer.param("dropout").real("dropout_ratio", 0.5))


def flatten(net: _Net, layer: Layer, x: Node) -> Node:
    param = layer.param("flatten")
    if (param.integer("axis", 1), param.integer("end_axis", -1)) not in {
        (1, -1),
        (1, len(x.shape)),
    }:
        return net.unknown(layer, x, reason="it keeps some of the axes", arrays=())
    return net.add(layer, Flatten, x)


def reshape(net: _Net, layer: Layer, x: Node) -> Node:
    param = layer.param("reshape")
    dims = param.message("shape").integers("dim")
    if len(dims) == 2 and "axis" not in param and dims[1] in {-1, x.shape.size}:
        return net.add(layer, Flatten, x)
    return net.unknown(
        layer, x, reason="its values move as Caffe's channels-first order has them", arrays=()
    )


def mvn(net: _Net, layer: Layer, x: Node) -> Node:
    param = layer.param("mvn")
    whole = param.flag("across_channels", default=False)
    if whole or not param.flag("normalize_variance", default=True):
        reason = "archspec normalises each channel by its mean and variance"
        return net.unknown(layer, x, reason=reason, shape=x.shape, arrays=())
    epsilon = param.real("eps", 1e-9)
    return net.add(layer, InstanceNorm, x, epsilon=epsilon, scale=False, center=False)


def split(net: _Net, layer: Layer, x: Node) -> Node:  # noqa: ARG001
    return x


def slice_(net: _Net, layer: Layer, x: Node) -> Made:
    param = layer.param("slice")
    axis = _axis(param.integer("axis", param.integer("slice_dim", 1)), x.shape)
    if axis is None:
        return [net.unknown(layer, x, reason="it divides the batch")] * len(layer.tops)
    extent = x.shape[names_of_axes(x.shape).index(axis)]
    tops = len(layer.tops)
    points = param.integers("slice_point")
    if not points and extent % tops == 0:
        points = [extent // tops * number for number in range(1, tops)]
    if len(points) != tops - 1:
        message = f"layer `{layer.name}` has {tops} tops, but {len(points)} places to cut at"
        raise TextProblem(layer.line, message)
    ends = [0, *points, extent]
    parts = range(tops)
    return [
        net.add(layer, Slice, x, part=str(n + 1), start=ends[n], stop=ends[n + 1], axis=axis)
        for n in parts
    ]


def shuffle_channel(net: _Net, layer: Layer, x: Node) -> Node:
    return net.add(
        layer, ChannelShuffle, x, groups=layer.param("shuffle_channel").integer("group", 1)
    )


def softmax_with_loss(net: _Net, layer: Layer, inputs: list[Node]) -> Node:
    """Add the last function of the network, which Caffe computes together with the loss."""
    net.builder.note(
        f"A {layer.type} layer is read as the {_LOSSES[layer.type]} in it; the loss is no part of "
        "the network."
    )
    return net.add(layer, Activate, inputs[0], function=_LOSSES[layer.type])


def scale(net: _Net, layer: Layer, inputs: list[Node]) -> Node:
    """Add a learned factor for each channel; with a second input, a product with that."""
    param = layer.param("scale")
    x = inputs[0]
    if len(inputs) > 1:
        return _times(net, layer, x, inputs[1])
    if param.integer("axis", 1) != 1 or param.integer("num_axes", 1) != 1:
        return net.unknown(layer, x, reason="it has a factor for each place", shape=x.shape)
    bias = param.flag("bias_term", default=False)
    return net.add(layer, Scale, x, bias=bias, **_trainable(layer))


def _times(net: _Net, layer: Layer, x: Node, gate: Node, part: str = "") -> Node:
    """Add the product of an input with a gate, a vector of factors for its channels."""
    if gate.shape.rank == 0 and x.shape.rank:
        extents = (*(1,) * x.shape.rank, gate.shape.channels)
        gate = net.add(layer, Reshape, gate, part="reshape", to=extents)
    return net.add(layer, Multiply, x, gate, part=part)


def axpy(net: _Net, layer: Layer, inputs: list[Node]) -> Node:
    """Add gate * x + y, as SENet's own layer computes it."""
    gate, x, y = inputs
    return net.add(layer, Add, _times(net, layer, x, gate, "multiply"), y)


def eltwise(net: _Net, layer: Layer, inputs: list[Node]) -> Node:
    param = layer.param("eltwise")
    method = {"PROD": "0", "SUM": "1", "MAX": "2"}.get(param.word("operation", "SUM"))
    method = method or param.word("operation")
    factors = param.reals("coeff")
    if method == "1" and factors == [1, -1] and len(inputs) == 2:
        return net.add(layer, Subtract, *inputs)
    if method == "1" and any(factor != 1 for factor in factors):
        inputs = [
            x if factor == 1 else net.add(layer, Rescale, x, part=f"coeff{n + 1}", scale=factor)
            for n, (x, factor) in enumerate(zip(inputs, factors, strict=False))
        ]
    kinds: dict[str, type[Op]] = {"0": Multiply, "1": Add, "2": Max}
    if method not in kinds:
        raise TextProblem(layer.line, f"layer `{layer.name}`: there is no operation {method!r}")
    return net.add(layer, kinds[method], *inputs)


def concat(net: _Net, layer: Layer, inputs: list[Node]) -> Node:
    param = layer.param("concat")
    axis = _axis(param.integer("axis", param.integer("concat_dim", 1)), inputs[0].shape)
    if axis is None:
        return net.unknown(layer, *inputs, reason="it joins batches", arrays=())
    return net.add(layer, Concat, *inputs, **_along(axis))


def crop(net: _Net, layer: Layer, inputs: list[Node]) -> Node:
    param = layer.param("crop")
    x, like = inputs
    offsets = param.integers("offset") or [0]
    if param.integer("axis", 2) != 2:
        return net.unknown(layer, x, like, reason="it cuts channels", arrays=())
    offset = offsets[0] if len(offsets) == 1 else offsets
    return net.add(layer, Crop, x, like, offset=offset)


def _axis(axis: int, x: Shape) -> str | None:
    """Return the name of one of Caffe's axes, which are the batch, the channels, the places."""
    axis += len(x) + 1 if axis < 0 else 0
    names = ("", "channels", *names_of_axes(x)[:-1])
    return names[axis] or None if 0 <= axis < len(names) else None


def _along(axis: str) -> dict[str, str]:
    """Return the argument of an op along an axis; that of the channels is the default."""
    return {} if axis == "channels" else {"axis": axis}


def _activation(function: str) -> Rule:
    return lambda net, layer, x: net.add(layer, Activate, x, function=function)


LAYERS: Final[Mapping[str, Rule]] = {
    "AbsVal": _activation("abs"),
    "BNLL": _activation("softplus"),
    "BatchNorm": batch_norm,
    "Convolution": convolution,
    "ConvolutionDepthwise": convolution,
    "Deconvolution": deconvolution,
    "DepthwiseConvolution": convolution,
    "Dropout": dropout,
    "ELU": elu,
    "Exp": exponential,
    "Flatten": flatten,
    "InnerProduct": inner_product,
    "LRN": lrn,
    "MVN": mvn,
    "PReLU": prelu,
    "Pooling": pooling,
    "Power": power,
    "ReLU": relu,
    "ReLU6": _activation("relu6"),
    "Reshape": reshape,
    "ShuffleChannel": shuffle_channel,
    "Sigmoid": _activation("sigmoid"),
    "Slice": slice_,
    "Softmax": softmax,
    "Split": split,
    "Swish": _activation("swish"),
    "TanH": _activation("tanh"),
}
"""The layers of one input, by their types."""

MERGES: Final[Mapping[str, tuple[Merge, range]]] = {
    "Axpy": (axpy, range(3, 4)),
    "Concat": (concat, range(1, MOST_INPUTS)),
    "Crop": (crop, range(2, 3)),
    "Eltwise": (eltwise, range(2, MOST_INPUTS)),
    "Scale": (scale, range(1, 3)),
    "SigmoidCrossEntropyLoss": (softmax_with_loss, range(1, 4)),
    "SoftmaxWithLoss": (softmax_with_loss, range(1, 4)),
}
"""The layers that may have several inputs, by their types, and how many."""


def _chosen(message: Message) -> tuple[str, list[Layer]]:
    """Return the phase that is read, and its layers: the one of training, if there are two."""
    layers = list(_layers(message))
    phases = {rule.word("phase") for layer in layers for rule in _rules(layer)}
    phase = TRAIN if {TRAIN, "0"} & phases or {TEST, "1"} & phases else TEST
    return phase, [layer for layer in layers if _is_in(layer, phase)]


def _rules(layer: Layer) -> list[Message]:
    return [*layer.message.messages("include"), *layer.message.messages("exclude")]


def _is_phased(message: Message) -> bool:
    return any(_rules(layer) for layer in _layers(message))


def _is_in(layer: Layer, phase: str) -> bool:
    """Whether a layer belongs to a phase, by its `include` or `exclude` rules."""
    include, exclude = layer.message.messages("include"), layer.message.messages("exclude")
    if include:
        return any(_meets(rule, phase) for rule in include)
    return not any(_meets(rule, phase) for rule in exclude)


def _meets(rule: Message, phase: str) -> bool:
    """Whether the state of training or of testing, without stages and at level 0, meets a rule."""
    named = {"0": TRAIN, "1": TEST}.get(rule.word("phase"), rule.word("phase", phase))
    levels = rule.integer("min_level") <= 0 <= rule.integer("max_level")
    return named == phase and levels and not rule.words("stage")


def _layers(message: Message) -> Iterator[Layer]:
    """Yield the layers of a network, in either syntax."""
    for name, value in message.fields:
        if name not in {"layer", "layers"} or not isinstance(value, Message):
            continue
        if "layer" in value:
            raise TextProblem(
                value.line,
                "this is Caffe's first syntax, with `layer` inside `layers`",
                help="Caffe's `upgrade_net_proto_text` rewrites it in the newest",
            )
        word = value.word("type")
        type_name = _V1_TYPES.get(word, word) if name == "layers" else word
        type_name = _OLDER_NAMES.get(type_name, type_name)
        bottoms, tops = tuple(value.words("bottom")), tuple(value.words("top"))
        yield Layer(value.word("name") or type_name, type_name, bottoms, tops, value)


def _scales(layers: Sequence[Layer]) -> dict[int, Layer]:
    """Return the Scale layer after each BatchNorm layer that nothing else reads, by its line."""
    made: dict[str, Layer] = {}
    readers: dict[int, list[Layer]] = {}
    for layer in layers:
        for bottom in layer.bottoms:
            if bottom in made:
                readers.setdefault(made[bottom].line, []).append(layer)
        made.update(dict.fromkeys(layer.tops, layer))
    found = {}
    for layer in layers:
        after = readers.get(layer.line, [])
        if layer.type == "BatchNorm" and len(after) == 1 and _is_plain_scale(after[0]):
            found[layer.line] = after[0]
    return found


def _is_plain_scale(layer: Layer) -> bool:
    """Whether a layer is a learned factor for each channel."""
    param = layer.param("scale")
    axes = param.integer("axis", 1), param.integer("num_axes", 1)
    return layer.type == "Scale" and len(layer.bottoms) == 1 and axes == (1, 1)


def _inputs(
    message: Message, layers: Sequence[Layer], assumed: list[str]
) -> Iterator[tuple[str, tuple[int | None, ...]]]:
    """Yield the name and the shape of each input, channels last; () where the file does not tell.

    Args:
        message: The network.
        layers: The layers of the phase that is read.
        assumed: Sentences about what the file does not tell are added to it.
    """
    names = message.words("input")
    shapes = [shape.integers("dim") for shape in message.messages("input_shape")]
    dims = message.integers("input_dim")
    shapes += [dims[start : start + 4] for start in range(0, len(dims), 4)]
    for number, name in enumerate(names):
        yield name, _channels_last(shapes[number]) if number < len(shapes) else ()
    read = {bottom for layer in layers if layer.type not in _ENDS for bottom in layer.bottoms[:1]}
    for layer in layers:
        if layer.is_data:
            for number, top in enumerate(layer.tops):
                if number == 0 or top in read:
                    yield top, _data_shape(layer, number, assumed)


def _channels_last(dims: Sequence[int]) -> tuple[int, ...]:
    """Return a shape of Caffe's, whose first extent is the batch and whose second the channels."""
    return (*dims[2:], dims[1]) if len(dims) > 1 else ()


def _data_shape(layer: Layer, number: int, assumed: list[str]) -> tuple[int | None, ...]:
    """Return the shape that a data layer gives; () where it does not tell."""
    param = layer.param(
        {"DummyData": "dummy_data", "MemoryData": "memory_data"}.get(layer.type, "input")
    )
    shapes = [shape.integers("dim") for shape in param.messages("shape")]
    if shapes:
        return _channels_last(shapes[min(number, len(shapes) - 1)])
    if "channels" in param:
        sizes = [param.integers(name) for name in ("height", "width", "channels")]
        return tuple(size[min(number, len(size) - 1)] for size in sizes if size)
    if number:
        return ()
    own = {"ImageData": "image_data", "WindowData": "window_data"}.get(layer.type, "data")
    transform, data = layer.param("transform"), layer.param(own)
    crop = transform.integer("crop_size") or data.integer("crop_size")
    height = crop or data.integer("new_height")
    width = crop or data.integer("new_width")
    if not height or not width:
        assumed.append(
            f"The file does not say how large the images of layer {layer.name} are: set `input`, "
            "as [28, 28, 1]."
        )
        return ()
    means = len(transform.words("mean_value"))
    if not data.flag("is_color", default=True) or transform.flag("force_gray", default=False):
        channels = 1
    elif (
        means > 1
        or layer.type in {"ImageData", "WindowData"}
        or transform.flag("force_color", default=False)
    ):
        channels = means if means > 1 else 3
    else:
        channels = 3
        assumed.append(
            f"The file does not say how many channels the images of layer {layer.name} have; "
            "3 are assumed."
        )
    return (height, width, channels)
