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
from math import prod
from typing import Any, Final, NamedTuple, TypeAlias

from archspec.declare.declaration import DeclarationError
from archspec.element import Element
from archspec.errors import Problem, UsageError
from archspec.graph.graph import Node
from archspec.imports.building import ModelBuilder, one_or_each
from archspec.imports.caffemodel import Weighted, read_weights
from archspec.imports.inputs import NOTHING_GIVEN, Given
from archspec.imports.model import ImportedModel
from archspec.imports.modeltext import ModelText, TextProblem, parse_op, read_text
from archspec.imports.prototext import Message, parse
from archspec.ops.arrangement import Crop, Flatten, Reshape, Slice
from archspec.ops.arrangement import Upsample as UpsampleOp
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
from archspec.ops.normalization import BatchNorm, InstanceNorm, LocalResponseNorm, UnitNorm
from archspec.ops.op import Elementwise, Op, Weight
from archspec.ops.pooling import AvgPool, GlobalAvgPool, GlobalMaxPool, MaxPool, MaxUnpool
from archspec.ops.resizing import Resize
from archspec.ops.shape import Shape
from archspec.ops.shuffles import ChannelShuffle, Permute
from archspec.ops.tokens import Embedding, Parameter
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

_LEARNED: Final = {
    "BN", "Bias", "Convolution", "Deconvolution", "Embed", "InnerProduct", "Normalize", "PReLU",
    "Scale",
}  # fmt: skip
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
    "DetectionOutput",
}  # fmt: skip
"""Types of layers after the network: losses that only compare, scores, and what makes boxes."""

_BOXES: Final = {"DetectionOutput": 2, "MultiBoxLoss": 2}
"""Number of a layer's inputs that are the network's outputs: places and classes of boxes."""

_WITHOUT_WEIGHTS: Final = {
    "ArgMax", "BatchReindex", "Filter", "Im2col", "ImResize", "Log", "Nms", "Reduction",
    "Threshold", "Tile",
}  # fmt: skip
"""Types that archspec has no op for, and that learn nothing."""

_PRIORS: Final = "PriorBox"
"""The type of a layer that makes boxes of extents alone, which are no part of the network."""

_REGIONS: Final = {
    "PSROIPooling": "psroi_pooling",
    "ROIAlign": "roi_align",
    "ROIPooling": "roi_pooling",
}
"""Types of pools of regions, with what their arguments are called."""

_RECURRENT: Final = {"LSTM", "RNN"}
"""Types of layers on [times, sequences, values]."""

_KEEPS_PLACES: Final = {
    "AbsVal", "BNLL", "Dropout", "ELU", "Exp", "Power", "ReLU", "ReLU6", "Sigmoid", "Split",
    "Swish", "TanH",
}  # fmt: skip
"""Types of layers to which every value is alike, wherever it stands."""


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
class _Net:
    """A file as it is read: the nodes of its blobs so far."""

    text: ModelText
    message: Message
    given: Given
    weights: str | os.PathLike[str] | None
    blobs: dict[str, Laid] = field(default_factory=dict)
    folded: dict[int, Layer] = field(default_factory=dict)
    """The Scale layer that belongs to a BatchNorm layer, by the line of the latter."""
    builder: ModelBuilder = field(init=False)
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
        self.blobs.update((name, _laid(node)) for name, node in self.builder.inputs.items())
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
            if layer.type == _PRIORS or (layer.bottoms and not sources and layer.type not in _ENDS):
                self.priors.update(layer.tops)
                continue
            if layer.line in scales and len(sources) == 1:
                made: Made = sources[0]
            elif layer.type in _ENDS:
                ends.update((blob, self.blobs[blob].node) for blob in self._ends(layer))
                continue
            else:
                made = self._made(layer, sources)
            nodes = [made] * len(layer.tops) if isinstance(made, Node | Laid) else made
            for top, each in zip(layer.tops, nodes, strict=False):
                if top in self.pooled and top in layer.tops[1:]:
                    continue
                laid = self.blobs[top] = each if isinstance(each, Laid) else _laid(each)
                outputs.pop(top, None)
                outputs[top] = laid.node
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

    def _ends(self, layer: Layer) -> Sequence[str]:
        """Return the blobs that are outputs of the network, of those that a last layer reads."""
        if layer.type == "DetectionOutput":
            self.builder.note(
                "What a DetectionOutput layer reads is an output; that it makes boxes of it costs "
                "nothing here."
            )
        if layer.type in _BOXES or layer.type.endswith("Loss"):
            return layer.bottoms[: _BOXES.get(layer.type, 1)]
        return ()

    def _sources(self, layer: Layer) -> list[Laid]:
        """Return a layer's bottoms, but for labels, boxes and places of maxima."""
        sources = []
        for number, bottom in enumerate(layer.bottoms):
            if bottom in self.blobs:
                sources.append(self.blobs[bottom])
            elif bottom in self.priors or bottom in self.pooled:
                continue
            elif number == 0 or layer.type not in _ENDS | _LOSSES.keys():
                raise TextProblem(
                    layer.line,
                    f"layer `{layer.name}` reads `{bottom}`, which no layer before it makes",
                )
        return sources

    def _made(self, layer: Layer, sources: list[Laid]) -> Made:
        """Return the nodes of a layer's tops."""
        if layer.type in MOVING:
            self._check_count(layer, sources, range(1, 2))
            return MOVING[layer.type](self, layer, sources[0])
        orders = {each.order for each in sources}
        if layer.type in MERGES:
            merge, counts = MERGES[layer.type]
            self._check_count(layer, sources, counts)
            if layer.type in _RECURRENT:
                return merge(self, layer, sources)
            if layer.type in ("Concat", "Eltwise") and len(orders) == 1:
                return _as_before(merge(self, layer, sources), sources[0])
            return merge(self, layer, [self.usual(layer, each) for each in sources])
        rule = LAYERS.get(layer.type)
        if rule is None:
            return self._unweighted(layer, sources)
        self._check_count(layer, sources, range(1, 2))
        if layer.type in _KEEPS_PLACES:
            return _as_before(rule(self, layer, sources[0].node), sources[0])
        return rule(self, layer, self.usual(layer, sources[0]).node)

    def _unweighted(self, layer: Layer, sources: Sequence[Laid]) -> Node:
        """Add a layer of a type that archspec lacks, some of which learn nothing."""
        nodes = [each.node for each in sources]
        if layer.type not in _WITHOUT_WEIGHTS or not nodes:
            return self.unknown(layer, *nodes)
        shape: tuple[int, ...] | None = None
        if layer.type in ("Log", "Threshold"):
            shape = tuple(nodes[0].shape)
        elif layer.type == "ArgMax" and layer.param("argmax").integer("axis") == 1:
            shape = (*nodes[0].shape[:-1], layer.param("argmax").integer("top_k", 1))
        return self.unknown(layer, *nodes, shape=shape or None, arrays=())

    def usual(self, layer: Layer, x: Laid) -> Laid:
        """Return a blob with its channels last, and first in Caffe."""
        return x if x.is_usual else self._in_order(layer, x, (*range(1, len(x.order)), 0))

    def straightened(self, layer: Layer, x: Laid) -> Laid:
        """Return a blob with its axes in Caffe's order."""
        return x if x.is_straight else self._in_order(layer, x, tuple(range(len(x.order))))

    def _in_order(self, layer: Layer, x: Laid, axes: Sequence[int]) -> Laid:
        """Return a blob whose node has the given axes of Caffe's, counted after the batch."""
        names = names_of_axes(x.node.shape)
        to = tuple(names[x.order[axis]] for axis in axes)
        node = self.add(layer, Permute, x.node, part="permute", to=to)
        return Laid(node, tuple(axes.index(axis) for axis in range(len(axes))))

    @staticmethod
    def _check_count(layer: Layer, sources: Sequence[Laid], counts: range) -> None:
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
        )


Rule: TypeAlias = Callable[[_Net, Layer, Node], Made]
Move: TypeAlias = Callable[[_Net, Layer, Laid], Made]
Merge: TypeAlias = Callable[[_Net, Layer, "list[Laid]"], Made]


def _laid(node: Node) -> Laid:
    """Return a blob of a node with the channels last, which are first in Caffe."""
    return Laid(node, _usual(node.shape))


def _as_before(made: Made, x: Laid) -> Made:
    """Return what a layer made of a blob, with the blob's order if it has as many axes."""
    if isinstance(made, Node) and len(made.shape) == len(x.order):
        return Laid(made, x.order)
    return made


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


def inner_product(net: _Net, layer: Layer, x: Laid) -> Made:
    param = layer.param("inner_product")
    arguments: dict[str, Any] = {"units": param.integer("num_output")} | _trainable(layer)
    if not param.flag("bias_term", default=True):
        arguments["bias"] = False
    axis, rank = param.integer("axis", 1), len(x.order)
    if rank > 1 and axis in {rank, -1}:
        straight = net.straightened(layer, x)
        node = net.add(layer, FullyConnected, straight.node, each_place=True, **arguments)
        return Laid(node, straight.order)
    if axis not in {1, -rank}:
        reason = "it is applied along an axis that holds places"
        return net.unknown(layer, x.node, reason=reason)
    return net.add(layer, FullyConnected, _vector(net, layer, x, "flatten").node, **arguments)


def _vector(net: _Net, layer: Layer, x: Laid, part: str = "") -> Laid:
    """Return all values as a vector: those of maps in archspec's order, others in Caffe's."""
    if len(x.order) < 2:
        return x
    if not x.is_usual:
        x = net.straightened(layer, x)
    node = net.add(layer, Flatten, x.node, part=part)
    if x.is_straight:
        net.straight.add(node.index)
    return _laid(node)


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
    net.pooled.update(dict.fromkeys(layer.tops[1:], x))
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


def softmax(net: _Net, layer: Layer, x: Laid) -> Made:
    axis, node = x.name_of(layer.param("softmax").integer("axis", 1)), x.node
    if axis is None:
        reason = "its axis is that of the batch"
        made = net.unknown(layer, node, reason=reason, shape=node.shape, arrays=())
    else:
        made = net.add(layer, SoftmaxOp, node, **_along(axis))
    return Laid(made, x.order)


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


def flatten(net: _Net, layer: Layer, x: Laid) -> Made:
    param, rank = layer.param("flatten"), len(x.order)
    first, last = (
        axis + (rank + 1 if axis < 0 else 0)
        for axis in (param.integer("axis", 1), param.integer("end_axis", -1))
    )
    if (first, last) == (1, rank):
        return _vector(net, layer, x)
    if not 1 <= first <= last <= rank:
        return net.unknown(layer, x.node, reason="it joins the batch with other axes", arrays=())
    extents = [x.node.shape[axis] for axis in x.order]
    joined = [*extents[: first - 1], prod(extents[first - 1 : last]), *extents[last:]]
    return _reshaped(net, layer, x, joined)


def reshape(net: _Net, layer: Layer, x: Laid) -> Made:
    param = layer.param("reshape")
    dims = param.message("shape").integers("dim")
    own = [0, *(x.node.shape[axis] for axis in x.order)]  # 0 for the batch
    start, count = param.integer("axis"), param.integer("num_axes", -1)
    start += len(own) + 1 if start < 0 else 0
    end = len(own) if count < 0 else start + count
    given = [
        own[start + at] if n == 0 and start + at < len(own) else n for at, n in enumerate(dims)
    ]
    batch, *extents = [*own[:start], *given, *own[end:]] or [0]
    known = prod(n for n in extents if n != -1)
    size = x.node.shape.size
    if extents.count(-1) == 1 and known and size % known == 0 and batch in {0, 1}:
        extents = [size // known if n == -1 else n for n in extents]
    if batch not in {0, 1, -1} or not extents or -1 in extents or prod(extents) != size:
        return net.unknown(layer, x.node, reason="it joins the batch with other axes", arrays=())
    return _reshaped(net, layer, x, extents)


def _reshaped(net: _Net, layer: Layer, x: Laid, extents: Sequence[int]) -> Laid:
    """Return a blob with other extents: its values in Caffe's order."""
    if len(extents) == 1:
        return _vector(net, layer, x)
    if list(extents) == [x.node.shape[axis] for axis in x.order]:
        return x
    straight = net.straightened(layer, x)
    node = net.add(layer, Reshape, straight.node, to=tuple(extents))
    return Laid(node, tuple(range(len(extents))))


def permute(net: _Net, layer: Layer, x: Laid) -> Made:
    """Give Caffe's axes another order: nothing moves until a layer needs it."""
    given = layer.param("permute").integers("order")
    order = [*given, *(axis for axis in range(len(x.order) + 1) if axis not in given)]
    if order[0] != 0 or sorted(order) != list(range(len(x.order) + 1)):
        return net.unknown(layer, x.node, reason="it moves the batch", arrays=())
    return Laid(x.node, tuple(x.order[axis - 1] for axis in order[1:]))


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


def slice_(net: _Net, layer: Layer, laid: Laid) -> Made:
    param, x = layer.param("slice"), laid.node
    axis = laid.name_of(param.integer("axis", param.integer("slice_dim", 1)))
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
        Laid(
            net.add(layer, Slice, x, part=str(n + 1), start=ends[n], stop=ends[n + 1], axis=axis),
            laid.order,
        )
        for n in parts
    ]


def shuffle_channel(net: _Net, layer: Layer, x: Node) -> Node:
    return net.add(
        layer, ChannelShuffle, x, groups=layer.param("shuffle_channel").integer("group", 1)
    )


def normalize(net: _Net, layer: Layer, x: Node) -> Node:
    """Add SSD's norm: the channels of a place at length 1, times a learned factor."""
    param = layer.param("norm")
    if param.flag("across_spatial", default=True):
        reason = "it normalises over all places"
        return net.unknown(layer, x, reason=reason, shape=x.shape)
    y = net.add(layer, UnitNorm, x, part="norm")
    if param.flag("channel_shared", default=True):
        return net.add(layer, Parameter, y, shape=(1,), use="multiply", **_trainable(layer))
    return net.add(layer, Scale, y, bias=False, **_trainable(layer))


def interp(net: _Net, layer: Layer, x: Node) -> Node:
    """Add the bilinear resize of DeepLab and PSPNet, whose corners stay where they are."""
    param = layer.param("interp")
    cut = [param.integer(name) for name in ("pad_beg", "pad_end")]
    if any(cut) or not x.shape.rank or x.shape.is_open:
        return net.unknown(layer, x, reason="it cuts the maps, or their size is open", arrays=())
    shrink, zoom = param.integer("shrink_factor", 1), param.integer("zoom_factor", 1)
    sizes = [
        param.integer(name) or _zoomed((extent - 1) // max(shrink, 1) + 1, zoom)
        for name, extent in zip(("height", "width"), x.shape.spatial, strict=True)
    ]
    net.builder.note(
        "An Interp layer keeps the centres of corner pixels where they are; archspec's resize "
        "does not."
    )
    return net.add(layer, Resize, x, to=one_or_each(sizes), method="bilinear")


def _zoomed(extent: int, factor: int) -> int:
    """Return an extent of which every gap between two places becomes as many as the factor."""
    return extent + (extent - 1) * (factor - 1)


def upsample(net: _Net, layer: Layer, x: Node) -> Node:
    """Repeat values; with the places of maxima, put them back there (SegNet)."""
    param = layer.param("upsample")
    factor = param.integer("scale", 2)
    before = next((net.pooled[each] for each in layer.bottoms if each in net.pooled), None)
    if before is None:
        return net.add(layer, UpsampleOp, x, factor=factor)
    if any(n != factor * m for n, m in zip(before.shape.spatial, x.shape.spatial, strict=True)):
        reason = "its maps are no whole multiple of what was pooled"
        shape = (*before.shape.spatial, x.shape.channels)
        return net.unknown(layer, x, reason=reason, shape=shape, arrays=())
    return net.add(layer, MaxUnpool, x, before, size=factor)


def pyramid(net: _Net, layer: Layer, x: Node) -> Node:
    """Add pools to 1, 2, 4 places an axis and so on, joined as a vector. (He et al. 2014)"""
    param = layer.param("spp")
    height = param.integer("pyramid_height")
    method = param.word("pool", "MAX")
    if method not in _POOLS or not 0 < height < 10 or x.shape.is_open:
        return net.unknown(layer, x, reason="archspec has no pyramid of this kind", arrays=())
    parts = []
    for level in range(height):
        windows = [-(-extent // 2**level) for extent in x.shape.spatial]
        pads = [
            (window * 2**level - extent + 1) // 2
            for window, extent in zip(windows, x.shape.spatial, strict=True)
        ]
        arguments: dict[str, Any] = {
            "size": one_or_each(windows),
            "stride": one_or_each(windows),
            "padding": one_or_each(pads) or "valid",
        }
        if _hangs_over(x, arguments):
            arguments["ceil"] = True
        if _POOLS[method][0] is AvgPool and any(pads):
            arguments["count_padding"] = True
        pool = net.add(layer, _POOLS[method][0], x, part=f"pool{2**level}", **arguments)
        parts.append(net.add(layer, Flatten, pool, part=f"flatten{2**level}"))
    return parts[0] if len(parts) == 1 else net.add(layer, Concat, *parts)


def batch_norm_with_factors(net: _Net, layer: Layer, x: Node) -> Node:
    """Add the norm of Caffe's variants that keeps factors, offsets and statistics in one layer.

    For inference SegNet's has the statistics in its factors.
    """
    param = layer.param("bn")
    if param.word("bn_mode") in {"INFERENCE", "1"}:
        return net.add(layer, Scale, x, **_trainable(layer))
    epsilon = param.real("eps", 1e-5)
    return net.add(layer, BatchNorm, x, epsilon=epsilon, **_trainable(layer))


def embed(net: _Net, layer: Layer, x: Laid) -> Made:
    param = layer.param("embed")
    words, filters = param.integer("input_dim"), param.integer("num_output")
    frozen = _trainable(layer)
    node = net.add(layer, Embedding, x.node, words=words, filters=filters, **frozen)
    if param.flag("bias_term", default=True):
        node = net.add(layer, Parameter, node, part="bias", shape=(filters,), **frozen)
    return Laid(node, (*x.order, len(x.order)))


def offset(net: _Net, layer: Layer, inputs: list[Laid]) -> Node:
    """Add a learned offset for each channel; with a second input, a sum with that."""
    param = layer.param("bias")
    x = inputs[0].node
    if len(inputs) > 1:
        return net.add(layer, Add, x, _by_channel(net, layer, x, inputs[1].node))
    if param.integer("axis", 1) != 1 or param.integer("num_axes", 1) != 1 or not x.shape:
        return net.unknown(layer, x, reason="it has an offset for each place", shape=x.shape)
    return net.add(layer, Parameter, x, shape=(x.shape.channels,), **_trainable(layer))


def recurrence(net: _Net, layer: Layer, inputs: list[Laid]) -> Laid:
    """Keep a recurrence as a layer of known shape and weights. (Donahue et al. 2015)"""
    nodes = [each.node for each in inputs]
    extents = [inputs[0].node.shape[axis] for axis in inputs[0].order]
    units = layer.param("recurrent").integer("num_output")
    if len(extents) < 2 or not units:
        return _laid(net.unknown(layer, *nodes, reason="archspec does not know its extents"))
    gates = 4 if layer.type == "LSTM" else 1
    sizes = {"input": prod(extents[1:]), "state": units}
    if len(nodes) > 2:
        sizes["static"] = nodes[2].shape.size
    arrays = [Weight(f"{what}_kernel", (size, gates * units)) for what, size in sizes.items()]
    arrays.append(Weight("bias", (gates * units,)))
    if layer.type == "RNN":
        arrays += [Weight("output_kernel", (units, units)), Weight("output_bias", (units,))]
    reason = "an input says where its sequences begin"
    shape = (extents[0], units)
    return Laid(
        net.unknown(layer, *nodes, reason=reason, shape=shape, arrays=tuple(arrays)), (0, 1)
    )


def regions(net: _Net, layer: Layer, inputs: list[Laid]) -> Node:
    """Keep the pools of regions as a layer of known shape, for one region. (Girshick 2015)"""
    param = layer.param(_REGIONS[layer.type])
    channels = param.integer("output_dim") or inputs[0].node.shape.channels
    extents = [
        param.integer(name) or param.integer("group_size") for name in ("pooled_h", "pooled_w")
    ]
    net.builder.note(f"What comes after a {layer.type} layer is counted for one region.")
    reason = "its regions depend on values"
    nodes = [each.node for each in inputs]
    shape = (*extents, channels) if all(extents) else None
    return net.unknown(layer, *nodes, reason=reason, shape=shape, arrays=())


def softmax_with_loss(net: _Net, layer: Layer, inputs: list[Laid]) -> Node:
    """Add the last function of the network, which Caffe computes together with the loss."""
    net.builder.note(
        f"A {layer.type} layer is read as the {_LOSSES[layer.type]} in it; the loss is no part of "
        "the network."
    )
    return net.add(layer, Activate, inputs[0].node, function=_LOSSES[layer.type])


def scale(net: _Net, layer: Layer, inputs: list[Laid]) -> Node:
    """Add a learned factor for each channel; with a second input, a product with that."""
    param = layer.param("scale")
    x = inputs[0].node
    if len(inputs) > 1:
        return _times(net, layer, x, inputs[1].node)
    if param.integer("axis", 1) != 1 or param.integer("num_axes", 1) != 1:
        return net.unknown(layer, x, reason="it has a factor for each place", shape=x.shape)
    bias = param.flag("bias_term", default=False)
    return net.add(layer, Scale, x, bias=bias, **_trainable(layer))


def _times(net: _Net, layer: Layer, x: Node, gate: Node, part: str = "") -> Node:
    """Add the product of an input with a gate, a vector of factors for its channels."""
    return net.add(layer, Multiply, x, _by_channel(net, layer, x, gate), part=part)


def _by_channel(net: _Net, layer: Layer, x: Node, vector: Node) -> Node:
    """Return a vector with an axis of 1 for each along which maps have places."""
    if vector.shape.rank or not x.shape.rank:
        return vector
    extents = (*(1,) * x.shape.rank, vector.shape.channels)
    return net.add(layer, Reshape, vector, part="reshape", to=extents)


def axpy(net: _Net, layer: Layer, inputs: list[Laid]) -> Node:
    """Add gate * x + y, as SENet's own layer computes it."""
    gate, x, y = (each.node for each in inputs)
    return net.add(layer, Add, _times(net, layer, x, gate, "multiply"), y)


def eltwise(net: _Net, layer: Layer, laid: list[Laid]) -> Node:
    param, inputs = layer.param("eltwise"), [each.node for each in laid]
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


def concat(net: _Net, layer: Layer, laid: list[Laid]) -> Node:
    param, inputs = layer.param("concat"), [each.node for each in laid]
    axis = laid[0].name_of(param.integer("axis", param.integer("concat_dim", 1)))
    if axis is None:
        return net.unknown(layer, *inputs, reason="it joins batches", arrays=())
    return net.add(layer, Concat, *inputs, **_along(axis))


def crop(net: _Net, layer: Layer, inputs: list[Laid]) -> Node:
    param = layer.param("crop")
    x, like = (each.node for each in inputs)
    offsets = param.integers("offset") or [0]
    if param.integer("axis", 2) != 2:
        return net.unknown(layer, x, like, reason="it cuts channels", arrays=())
    offset = offsets[0] if len(offsets) == 1 else offsets
    return net.add(layer, Crop, x, like, offset=offset)


def _along(axis: str) -> dict[str, str]:
    """Return the argument of an op along an axis; that of the channels is the default."""
    return {} if axis == "channels" else {"axis": axis}


def _activation(function: str) -> Rule:
    return lambda net, layer, x: net.add(layer, Activate, x, function=function)


LAYERS: Final[Mapping[str, Rule]] = {
    "AbsVal": _activation("abs"),
    "BN": batch_norm_with_factors,
    "BNLL": _activation("softplus"),
    "BatchNorm": batch_norm,
    "Convolution": convolution,
    "ConvolutionDepthwise": convolution,
    "Deconvolution": deconvolution,
    "DepthwiseConvolution": convolution,
    "Dropout": dropout,
    "ELU": elu,
    "Exp": exponential,
    "Interp": interp,
    "LRN": lrn,
    "MVN": mvn,
    "Normalize": normalize,
    "PReLU": prelu,
    "Pooling": pooling,
    "Power": power,
    "ReLU": relu,
    "ReLU6": _activation("relu6"),
    "SPP": pyramid,
    "ShuffleChannel": shuffle_channel,
    "Sigmoid": _activation("sigmoid"),
    "Split": split,
    "Swish": _activation("swish"),
    "TanH": _activation("tanh"),
    "Upsample": upsample,
}
"""The layers of one input, by their types."""

MOVING: Final[Mapping[str, Move]] = {
    "Embed": embed,
    "Flatten": flatten,
    "InnerProduct": inner_product,
    "Permute": permute,
    "Reshape": reshape,
    "Slice": slice_,
    "Softmax": softmax,
}
"""The layers of one input to which the order of Caffe's axes matters, by their types."""

MERGES: Final[Mapping[str, tuple[Merge, range]]] = {
    "Axpy": (axpy, range(3, 4)),
    "Bias": (offset, range(1, 3)),
    "Concat": (concat, range(1, MOST_INPUTS)),
    "Crop": (crop, range(2, 3)),
    "Eltwise": (eltwise, range(2, MOST_INPUTS)),
    **dict.fromkeys(_RECURRENT, (recurrence, range(2, 4))),
    **dict.fromkeys(_REGIONS, (regions, range(2, 3))),
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
    read = {
        bottom
        for layer in layers
        if layer.type not in _ENDS
        for bottom in layer.bottoms[: 1 if layer.type in _LOSSES else None]
    }
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
    resized = transform.message("resize_param")
    height = crop or data.integer("new_height") or resized.integer("height")
    width = crop or data.integer("new_width") or resized.integer("width")
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
