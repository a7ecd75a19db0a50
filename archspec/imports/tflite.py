"""TFLite's networks: the operators of the main subgraph, as the converter left them.

The converter folds batch norms and activations into what is before them, drops biases of zeros and
adds others. What the file no longer says is not guessed; what it says in a roundabout way (dilation
as space-to-batch, 16-bit weights behind an operator) is read as what it means.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from archspec.element import ArgumentProblems, Element
from archspec.errors import UsageError
from archspec.graph.graph import Node
from archspec.imports.building import ModelBuilder, one_or_each
from archspec.imports.inputs import NOTHING_GIVEN, Given
from archspec.imports.model import Arrays, ImportedModel
from archspec.imports.protobuf import shortest
from archspec.imports.tensornames import common_root, is_nameless, layer_name, with_kernel
from archspec.imports.tensorops import (
    are_all_places,
    axis_name,
    cutting,
    padding,
    rescaling,
    resizing,
    transposing,
    undilated,
)
from archspec.imports.tflitefile import Operator, Tensor, TfliteFile, in_bounds, open_tflite
from archspec.ops.arrangement import Flatten, Reshape, Slice, Upsample
from archspec.ops.axes import names_of_axes
from archspec.ops.convolution import (
    Convolution,
    DepthwiseConvolution,
    FullyConnected,
    TransposedConvolution,
)
from archspec.ops.elementwise import Activate, PRelu, Rescale, Scale, Softmax
from archspec.ops.merge import Add, Concat, Divide, MatMul, Max, Min, Multiply, Subtract
from archspec.ops.normalization import LocalResponseNorm, UnitNorm
from archspec.ops.op import Op, Weight
from archspec.ops.pooling import AvgPool, GlobalAvgPool, GlobalMaxPool, L2Pool, MaxPool
from archspec.ops.shuffles import DepthToSpace, Permute, SpaceToDepth
from archspec.ops.unknown import Unknown

MOST_WRITTEN: Final = 16
"""Largest number of constants that an op writes out, one for each channel."""

_PADDINGS: Final = {0: "same", 1: "valid"}
"""Paddings of windows, by TFLite's numbers."""

_ACTIVATIONS: Final = {1: "relu", 2: "hard_tanh", 3: "relu6", 4: "tanh"}
"""The functions that operators have fused into them, by TFLite's numbers."""

_WITH_KERNEL: Final = {
    "CONV_2D", "CONV_3D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"
}  # fmt: skip
"""Operators whose second input is a kernel, which is called like the layer."""


class Stored(NamedTuple):
    """An array of the file, and how it becomes the weight of an op."""

    tensor: int
    axes: tuple[int, ...]
    """The order of its axes in Keras's layout."""
    shape: tuple[int, ...]
    """The shape of the op's weight."""


@dataclass
class Spread:
    """A map whose places stand in the batch: half of a dilated convolution."""

    x: Node
    block: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    operator: Operator | None = None
    """The convolution of it, if that came already."""


Made: TypeAlias = "Node | Sequence[Node] | Spread | None"
"""The outputs of an operator; None for one that is no part of the network."""


@dataclass
class _Net:
    """A file as it is read: the node of each tensor so far."""

    file: TfliteFile
    builder: ModelBuilder
    nodes: dict[int, Node] = field(default_factory=dict)
    spreads: dict[int, Spread] = field(default_factory=dict)
    repeats: dict[int, tuple[Node, int, int]] = field(default_factory=dict)
    """Maps to which an axis was added so that values may repeat: the axis, and how often."""
    waiting: dict[int, Callable[[Operator, int, int], Node]] = field(default_factory=dict)
    """Products and convolutions that are added once the sum with a constant after them comes.

    It takes the sum's operator, the constant, and the number of the function fused into it.
    """
    extents: set[int] = field(default_factory=set)
    """Tensors that are computed from shapes and constants alone."""
    arrays: dict[str, list[Stored]] = field(default_factory=dict)
    zero_biases: int = 0
    readers: dict[int, list[Operator]] = field(default_factory=dict)
    """The operators that read each tensor."""
    names: set[str] = field(default_factory=set)
    """The names so far."""
    root: str = ""
    """The beginning that all names have in common."""

    def tensor(self, index: int) -> Tensor:
        return self.file.tensors[index]

    def declared(self, index: int) -> tuple[int | None, ...] | None:
        """Return the shape that the file has for a map, without the batch; None where it lacks."""
        shape = self.tensor(index).shape
        if shape is None or len(shape) < 2:
            return None
        return tuple(None if n < 0 else n for n in shape[1:])

    def name(self, operator: Operator, *, first: bool = False) -> str:
        """Return the name of an operator: that of its kernel, or of its output.

        An output has the names of all operators that were fused into one, the last of them first.

        Args:
            operator: The operator.
            first: Whether the name of what others were fused into is asked for.
        """
        tensors = [operator.outputs[0]]
        if first and operator.kind in _WITH_KERNEL:
            tensors.insert(0, operator.inputs[1])
        for index in tensors:
            names = self.tensor(index).name
            name = with_kernel(names) if first else names.partition(";")[0]
            if not is_nameless(name):
                break
        short = layer_name(name, self.root)
        return name.removesuffix(":0").removeprefix(self.root) if short in self.names else short

    def add(
        self,
        operator: Operator,
        kind: type[Element],
        *inputs: Node,
        name: str | None = None,
        stored: Sequence[Stored] = (),
        fused: int = 0,
        output: int = 0,
        **arguments: Any,
    ) -> Node:
        """Add an op for an operator, and the function that is fused into it.

        Args:
            operator: The operator.
            kind: The op's class.
            inputs: The nodes that it reads.
            name: Its name, if not that of the operator.
            stored: The arrays of its weights, without the shapes.
            fused: The number of the function.
            output: The number of the operator's output that it is.
            arguments: The op's arguments.
        """
        try:
            op: Op = kind.parse(arguments)
        except ArgumentProblems as problems:
            return self.unknown(operator, *inputs, reason=str(problems))
        tensor = operator.outputs[output]
        name = name or self.name(operator, first=True)
        self.names.add(name)
        node = self.builder.add(
            op,
            *inputs,
            name=name,
            type_name=operator.kind,
            declared=self.declared(tensor),
            weights=self.kernels(stored),
        )
        if stored and not node.layer.owner and not isinstance(node.op, Unknown):
            shapes = [weight.shape for weight in node.layer.weights]
            self.arrays[node.name] = [
                each._replace(shape=shape) for each, shape in zip(stored, shapes, strict=True)
            ]
        if not fused:
            return node
        if fused not in _ACTIVATIONS:
            return self.unknown(operator, node, reason="its fused function has no name here")
        own = self.name(operator)
        name = f"{node.name}_activation" if own == node.name else own
        self.names.add(name)
        activation: Op = Activate(function=_ACTIVATIONS[fused])
        declared = self.declared(tensor)
        return self.builder.add(
            activation, node, name=name, type_name=operator.kind, declared=declared
        )

    def kernels(self, stored: Sequence[Stored]) -> tuple[int, ...]:
        """Return the tensors of a layer's weights; none if they may be another layer's by chance.

        The converter merges equal constants, as the biases of layers that were never trained; equal
        kernels are those of a layer that is used twice.
        """
        indices = tuple(each.tensor for each in stored)
        is_kernel = bool(indices) and len(self.tensor(indices[0]).shape or ()) > 1
        return indices if is_kernel else ()

    def unknown(
        self,
        operator: Operator,
        *inputs: Node,
        reason: str = "archspec does not know this operator",
        output: int = 0,
    ) -> Node:
        """Add a layer that archspec does not know, with the constants that it reads as weights."""
        constants = [self.tensor(i) for i in operator.inputs if self.file.is_constant(i)]
        arrays = tuple(
            Weight(tensor.name or "constant", tensor.shape or ())
            for tensor in constants
            if tensor.dtype not in {2, 4}  # whole numbers are arguments
        )
        return self.builder.unknown(
            operator.kind,
            *inputs,
            name=self.name(operator),
            reason=reason,
            declared=self.declared(operator.outputs[output]),
            arrays=arrays,
        )

    def bias(self, operator: Operator, place: int) -> list[Stored]:
        """Return where an operator's bias is; [] where it has none, or one of zeros."""
        index = operator.inputs[place] if len(operator.inputs) > place else -1
        if index < 0:
            return []
        if self.is_zero(index):
            self.zero_biases += 1
            return []
        return [Stored(index, (0,), ())]

    def is_zero(self, index: int) -> bool:
        """Whether a tensor is a constant of zeros."""
        import numpy as np  # noqa: PLC0415

        # `any` warns of what is not a number, which a damaged file may hold.
        return self.file.is_constant(index) and not np.count_nonzero(self.file.values(index))


def read(path: str | os.PathLike[str], *, given: Given = NOTHING_GIVEN) -> ImportedModel:
    """Return the network of a TFLite file.

    Args:
        path: The file.
        given: What is known of its inputs beside that.

    Raises:
        UsageError: It cannot be read, is damaged, or the packages that read it are missing.
    """
    file = open_tflite(path)
    with in_bounds(path):
        return _read(file, given)


def _read(file: TfliteFile, given: Given) -> ImportedModel:
    """Return the network of an open file."""
    path = file.path
    names = {index: file.tensors[index].name for index in file.inputs if index >= 0}
    net = _Net(file, None)  # type: ignore[arg-type]  # follows, when the shapes are known
    inputs = {_input_name(name, index): net.declared(index) or () for index, name in names.items()}
    writer = f", {file.description.rstrip('.')}" if file.description else ""
    net.builder = ModelBuilder(
        path,
        inputs,
        name=file.name if file.name not in {"", "main"} else Path(path).stem,
        format_name=f"TFLite{writer}",
        given=given,
    )
    net.nodes = dict(zip(names, net.builder.inputs.values(), strict=True))
    net.root = common_root(
        file.tensors[each.outputs[0]].name for each in file.operators if each.outputs
    )
    for operator in file.operators:
        for index in set(operator.inputs):
            net.readers.setdefault(index, []).append(operator)
    for operator in file.operators:
        _add(net, operator)
    if net.zero_biases:
        biases = "bias of zeros is" if net.zero_biases == 1 else "biases of zeros are"
        net.builder.note(
            f"{net.zero_biases} {biases} left out: the converter adds one to a layer without."
        )
    net.builder.note(
        "TFLite's converter folds batch norms and activations into the layers before them: "
        "their parameters are in the kernels and biases."
    )
    if file.subgraph_count > 1:
        net.builder.note(f"Only the main one of {file.subgraph_count} subgraphs is shown.")
    outputs = {
        net.tensor(index).name.removesuffix(":0"): net.nodes[index]
        for index in file.outputs
        if index in net.nodes
    }
    return net.builder.finish(outputs, weights=lambda: _weights(net))


def _input_name(name: str, index: int) -> str:
    name = name.removeprefix("serving_default_").removesuffix(":0")
    return name or f"input_{index}"


def _add(net: _Net, operator: Operator) -> None:
    """Add the nodes of an operator."""
    if not operator.outputs:
        return
    sources = [index for index in operator.inputs if index >= 0]
    is_fixed = all(index in net.extents or net.file.is_constant(index) for index in sources)
    if operator.kind == "SHAPE" or is_fixed:
        net.extents.update(operator.outputs)
        return
    rule = OPERATORS.get(operator.kind)
    spread = next((net.spreads[index] for index in sources if index in net.spreads), None)
    inputs = [net.nodes[index] for index in sources if index in net.nodes]
    made: Made
    if spread is not None and operator.kind not in _ON_SPREAD:
        made = net.unknown(operator, spread.x, reason="places stand in the batch of its input")
    elif rule is None:
        made = [net.unknown(operator, *inputs, output=n) for n in range(len(operator.outputs))]
    elif (
        not inputs
        and spread is None
        and operator.inputs[0] not in net.repeats.keys() | net.waiting.keys()
    ):
        made = net.unknown(operator, reason="its inputs are not known")
    else:
        try:
            made = rule(net, operator)
        except _Unsupported as why:
            made = net.unknown(operator, *inputs, reason=str(why))
        except (ArithmeticError, AttributeError, LookupError):
            reason = "its inputs and arguments are not as TFLite writes them"
            made = net.unknown(operator, *inputs, reason=reason)
    if isinstance(made, Spread):
        net.spreads[operator.outputs[0]] = made
    elif isinstance(made, Node):
        net.nodes[operator.outputs[0]] = made
    else:
        net.nodes.update(zip(operator.outputs, made or (), strict=False))


Rule: TypeAlias = Callable[[_Net, Operator], Made]


class _Unsupported(Exception):  # noqa: N818  (no error: the layer is shown as unknown)
    """A clause that says why archspec has no op for an operator."""


def _padding_of(options: Any) -> str:
    """Return the padding of a window."""
    number = options.Padding()
    if number not in _PADDINGS:
        raise _Unsupported(f"its padding is number {number}, and TFLite has 0 and 1 alone")
    return _PADDINGS[number]


def _window(options: Any, prefix: str = "Stride") -> tuple[int, int]:
    return getattr(options, f"{prefix}H")(), getattr(options, f"{prefix}W")()


def conv_2d(net: _Net, operator: Operator) -> Made:
    x = operator.inputs[0]
    if x in net.spreads:
        spread = net.spreads[x]
        return Spread(spread.x, spread.block, spread.pads, operator)
    options = _convolution_options(operator)
    padding = _padding_of(options)
    dilation = (options.DilationHFactor(), options.DilationWFactor())
    return _convolution(net, operator, operator, net.nodes[x], padding, dilation)


def _convolution_options(operator: Operator) -> Any:
    """Return the arguments of a convolution; a depthwise one has the same and one more."""
    is_depthwise = operator.kind == "DEPTHWISE_CONV_2D"
    return operator.read("DepthwiseConv2DOptions" if is_depthwise else "Conv2DOptions")


def conv_3d(net: _Net, operator: Operator) -> Node:
    options = operator.read("Conv3DOptions")
    x, shape = net.nodes[operator.inputs[0]], net.tensor(operator.inputs[1]).shape or ()
    if len(shape) != 5:
        return net.unknown(operator, x, reason="its kernel is not known")
    bias = net.bias(operator, 2)
    return net.add(
        operator,
        Convolution,
        x,
        stored=[Stored(operator.inputs[1], (0, 1, 2, 3, 4), ()), *bias],
        fused=options.FusedActivationFunction(),
        filters=shape[-1],
        kernel=shape[:3],
        stride=(options.StrideD(), *_window(options)),
        dilation=(
            options.DilationDFactor(),
            options.DilationHFactor(),
            options.DilationWFactor(),
        ),
        padding=_padding_of(options),
        bias=bool(bias),
    )


def _convolution(
    net: _Net,
    operator: Operator,
    last: Operator,
    x: Node,
    padding: Any,
    dilation: tuple[int, ...],
    fused: int = 0,
) -> Node:
    """Add a convolution, depthwise or not.

    Args:
        net: The network.
        operator: The operator that has the kernel.
        last: The operator whose output it is: another one, if places stood in the batch.
        x: The node that it reads.
        padding: The padding.
        dilation: The dilation.
        fused: The function that is fused into `last`, if that has one beside the convolution's.
    """
    options = _convolution_options(operator)
    shape = net.tensor(operator.inputs[1]).shape or ()
    channels = x.shape[-1] if x.shape else 0
    if len(shape) != 4 or min(shape) < 1 or not channels:
        return net.unknown(last, x, reason="its kernel, or its input, is not known")
    bias = net.bias(operator, 2)
    arguments: dict[str, Any] = {
        "kernel": shape[1] if shape[1] == shape[2] else shape[1:3],
        "stride": one_or_each(_window(options)),
        "dilation": one_or_each(dilation),
        "padding": padding,
        "bias": bool(bias),
        "name": net.name(operator, first=True),
        "stored": [Stored(operator.inputs[1], (1, 2, 3, 0), ()), *bias],
        "fused": fused or options.FusedActivationFunction(),
    }
    if operator.kind == "DEPTHWISE_CONV_2D":
        multiplier = max(shape[3] // channels, 1)
        return net.add(last, DepthwiseConvolution, x, multiplier=multiplier, **arguments)
    # The number of groups is nowhere but in the depth of the filters.
    groups = channels // shape[3] if channels % shape[3] == 0 else 1
    if groups == channels > 1 and shape[0] % channels == 0:
        arguments["stored"][0] = Stored(operator.inputs[1], (1, 2, 0, 3), ())
        multiplier = shape[0] // channels
        return net.add(last, DepthwiseConvolution, x, multiplier=multiplier, **arguments)
    return net.add(last, Convolution, x, filters=shape[0], groups=groups, **arguments)


def space_to_batch_nd(net: _Net, operator: Operator) -> Made:
    x = net.nodes[operator.inputs[0]]
    block, pads = (net.file.integers(index) for index in operator.inputs[1:3])
    if not block or pads is None or len(pads) != 2 * len(block):
        return net.unknown(operator, x, reason="its block is not in the file")
    return Spread(x, tuple(block), tuple(zip(pads[::2], pads[1::2], strict=True)))


def batch_to_space_nd(net: _Net, operator: Operator) -> Made:
    spread = net.spreads.get(operator.inputs[0])
    crops = net.file.integers(operator.inputs[2])
    if spread is None or crops is None:
        return net.unknown(operator, *([spread.x] if spread else []))
    inner = spread.operator
    if inner is None:
        return net.unknown(operator, spread.x, reason="no convolution stands before it")
    options = _convolution_options(inner)
    kernel = net.tensor(inner.inputs[1]).shape or ()
    padding = undilated(spread.pads, crops, kernel[1:3], spread.block)
    if _padding_of(options) != "valid" or len(kernel) != 4 or padding is None:
        return net.unknown(operator, spread.x, reason="its padding is of no known kind")
    filters = kernel[3] if inner.kind == "DEPTHWISE_CONV_2D" else kernel[0]
    if _sum_follows(net, operator, filters) and all(map(net.is_zero, inner.inputs[2:])):
        biased = partial(_biased, net, inner, spread.x, padding, spread.block)
        net.waiting[operator.outputs[0]] = biased
        return None
    return _convolution(net, inner, operator, spread.x, padding, spread.block)


def _biased(
    net: _Net,
    inner: Operator,
    x: Node,
    padding: Any,
    dilation: tuple[int, ...],
    operator: Operator,
    offset: int,
    fused: int,
) -> Node:
    """Add a dilated convolution with the bias that is a sum after it."""
    with_bias = inner._replace(inputs=(*inner.inputs[:2], offset))
    return _convolution(net, with_bias, operator, x, padding, dilation, fused)


_ON_SPREAD: Final = {"CONV_2D", "DEPTHWISE_CONV_2D", "BATCH_TO_SPACE_ND"}
"""Operators that may read a map whose places stand in the batch."""


def transpose_conv(net: _Net, operator: Operator) -> Node:
    options = operator.read("TransposeConvOptions")
    x, shape = net.nodes[operator.inputs[2]], net.tensor(operator.inputs[1]).shape or ()
    if len(shape) != 4:
        return net.unknown(operator, x, reason="its kernel is not known")
    bias = net.bias(operator, 3)
    return net.add(
        operator,
        TransposedConvolution,
        x,
        stored=[Stored(operator.inputs[1], (1, 2, 0, 3), ()), *bias],
        fused=options.FusedActivationFunction(),
        filters=shape[0],
        kernel=one_or_each(shape[1:3]),
        stride=one_or_each(_window(options)),
        padding=_padding_of(options),
        bias=bool(bias),
    )


def fully_connected(net: _Net, operator: Operator) -> Node:
    options = operator.read("FullyConnectedOptions")
    x, shape = net.nodes[operator.inputs[0]], net.tensor(operator.inputs[1]).shape or ()
    if not net.file.is_constant(operator.inputs[1]) or len(shape) != 2:
        return net.unknown(operator, x, reason="its kernel is not a constant")
    name = net.name(operator, first=True)
    arguments: dict[str, Any] = {}
    if len(x.shape) > 1 and options.KeepNumDims():
        arguments["each_place"] = len(x.shape) > 2
    elif len(x.shape) > 1:
        x = net.builder.add(Flatten(), x, name=f"{name}_flatten", type_name=operator.kind)
    bias = net.bias(operator, 2)
    return net.add(
        operator,
        FullyConnected,
        x,
        name=name,
        stored=[Stored(operator.inputs[1], (1, 0), ()), *bias],
        fused=options.FusedActivationFunction(),
        units=shape[0],
        bias=bool(bias),
        **{key: value for key, value in arguments.items() if value},
    )


def _pool(kind: type[Op]) -> Rule:
    def rule(net: _Net, operator: Operator) -> Node:
        options = operator.read("Pool2DOptions")
        return net.add(
            operator,
            kind,
            net.nodes[operator.inputs[0]],
            fused=options.FusedActivationFunction(),
            size=one_or_each((options.FilterHeight(), options.FilterWidth())),
            stride=one_or_each(_window(options)),
            padding=_padding_of(options),
        )

    return rule


def _reduced(kind: type[Op]) -> Rule:
    """Return the rule of a reduction: over all places it is a global pool."""

    def rule(net: _Net, operator: Operator) -> Node:
        x = net.nodes[operator.inputs[0]]
        if not are_all_places(net.file.integers(operator.inputs[1]) or (), x.shape):
            return net.unknown(operator, x, reason="it does not reduce all places of a map")
        keep = operator.read("ReducerOptions").KeepDims()
        own: dict[str, Any] = {"keep_axes": True} if keep else {}
        return net.add(operator, kind, x, **own)

    return rule


def _function(function: str) -> Rule:
    return lambda net, operator: net.add(
        operator, Activate, net.nodes[operator.inputs[0]], function=function
    )


def leaky_relu(net: _Net, operator: Operator) -> Node:
    slope = operator.read("LeakyReluOptions").Alpha()
    function = {"leaky_relu": shortest(slope)}
    return net.add(operator, Activate, net.nodes[operator.inputs[0]], function=function)


def gelu(net: _Net, operator: Operator) -> Node:
    is_tanh = operator.read("GeluOptions").Approximate()
    function = {"gelu": {"approximate": True}} if is_tanh else "gelu"
    return net.add(operator, Activate, net.nodes[operator.inputs[0]], function=function)


def prelu(net: _Net, operator: Operator) -> Node:
    x, shape = net.nodes[operator.inputs[0]], net.tensor(operator.inputs[1]).shape or ()
    slopes = tuple(shape)[-len(x.shape) :] if x.shape else ()
    size = prod(slopes)
    shared = "all" if size == 1 else "places" if size == x.shape.channels else "none"
    axes = tuple(range(len(shape)))
    return net.add(operator, PRelu, x, stored=[Stored(operator.inputs[1], axes, ())], shared=shared)


def softmax(net: _Net, operator: Operator) -> Node:
    return net.add(operator, Softmax, net.nodes[operator.inputs[0]])


def lrn(net: _Net, operator: Operator) -> Node:
    options = operator.read("LocalResponseNormalizationOptions")
    return net.add(
        operator,
        LocalResponseNorm,
        net.nodes[operator.inputs[0]],
        size=2 * options.Radius() + 1,
        alpha=options.Alpha(),
        beta=options.Beta(),
        k=options.Bias(),
        divide=False,
    )


def l2_normalization(net: _Net, operator: Operator) -> Node:
    return net.add(operator, UnitNorm, net.nodes[operator.inputs[0]])


def _binary(kind: type[Op], table: str) -> Rule:
    """Return the rule of an operator of two maps, or of a map and a constant."""

    def rule(net: _Net, operator: Operator) -> Made:
        fused = operator.read(table).FusedActivationFunction() if table else 0
        first, second = operator.inputs[:2]
        for index, offset in ((first, second), (second, first)):
            if index in net.waiting:
                return net.waiting[index](operator, offset, fused)
        if first in net.nodes and second in net.nodes:
            return net.add(operator, kind, net.nodes[first], net.nodes[second], fused=fused)
        maps = [index for index in (first, second) if index in net.nodes]
        constants = [index for index in (first, second) if net.file.is_constant(index)]
        if not maps or not constants:
            return net.unknown(operator, *(net.nodes[index] for index in maps))
        return _with_constant(net, operator, kind, maps[0], constants[0], fused)

    return rule


def _with_constant(
    net: _Net, operator: Operator, kind: type[Op], x: int, constant: int, fused: int
) -> Made:
    """Add a map with a constant: a learned factor for each channel, or numbers of the op's own."""
    node, shape = net.nodes[x], net.tensor(constant).shape or ()
    size = prod(shape)
    channels = node.shape[-1] if node.shape else 0
    if size not in {1, channels} or (size > 1 and shape[-1] != size):
        return net.unknown(operator, node, reason="its constant differs from place to place")
    if kind is Multiply and size > 1:
        if not fused and _sum_follows(net, operator, channels):
            net.waiting[operator.outputs[0]] = partial(_scaled, net, node, constant)
            return None
        stored = [Stored(constant, tuple(range(len(shape))), ())]
        return net.add(operator, Scale, node, stored=stored, fused=fused, bias=False)
    if size > MOST_WRITTEN:
        return net.unknown(operator, node, reason="archspec has no op of an offset alone")
    values = [float(value) for value in net.file.values(constant).ravel()]
    own = rescaling(kind, values, is_first=operator.inputs[0] == constant)
    if own is None:
        return net.unknown(operator, node, reason="archspec has no such op with a constant")
    return net.add(operator, Rescale, node, fused=fused, **own)


def _sum_follows(net: _Net, operator: Operator, channels: int) -> bool:
    """Whether the one reader of a product adds a number to each of its channels."""
    output = operator.outputs[0]
    readers = net.readers.get(output, [])
    if len(readers) != 1 or output in net.file.outputs:
        return False
    (reader,) = readers
    others = [index for index in reader.inputs if index != output]
    return (
        reader.kind == "ADD"
        and len(others) == 1
        and net.file.is_constant(others[0])
        and (net.tensor(others[0]).shape or ())[-1:] == (channels,)
        and all(extent == 1 for extent in (net.tensor(others[0]).shape or ())[:-1])
    )


def _scaled(net: _Net, x: Node, factor: int, operator: Operator, offset: int, fused: int) -> Node:
    """Add a product with a constant and the sum after it: a norm that no convolution took in."""
    net.builder.note(
        "A product and a sum with constants, as a batch norm without a convolution before it "
        "becomes, is read as a scale."
    )
    stored = [
        Stored(index, tuple(range(len(net.tensor(index).shape or ()))), ())
        for index in (factor, offset)
    ]
    return net.add(operator, Scale, x, stored=stored, fused=fused)


def concatenation(net: _Net, operator: Operator) -> Node:
    options = operator.read("ConcatenationOptions")
    inputs = [net.nodes[index] for index in operator.inputs if index in net.nodes]
    if len(inputs) < len(operator.inputs):
        return net.unknown(operator, *inputs, reason="one of its inputs is a constant")
    axis = axis_name(options.Axis(), inputs[0].shape)
    if axis is None:
        return net.unknown(operator, *inputs, reason="it joins batches")
    fused = options.FusedActivationFunction()
    own: dict[str, Any] = {} if axis == "channels" else {"axis": axis}
    return net.add(operator, Concat, *inputs, fused=fused, **own)


def reshape(net: _Net, operator: Operator) -> Node:
    """Add a reshape, or the end of a repetition: an axis is added, tiled, and merged again."""
    source = operator.inputs[0]
    if source in net.repeats:
        x, axis, count = net.repeats[source]
        factor = [1] * x.shape.rank
        if not 1 <= axis <= len(factor):
            return net.unknown(operator, x, reason="it repeats channels")
        factor[axis - 1] = count
        return net.builder.add(  # the shape that the converter declares is often wrong here
            Upsample(factor=tuple(factor)),
            x,
            name=net.name(operator),
            type_name=operator.kind,
        )
    x, declared = net.nodes[source], net.declared(operator.outputs[0])
    if declared is None or (None in declared and len(declared) > 1):
        return net.unknown(operator, x, reason="its shape is computed as the model runs")
    if len(declared) == 1:
        return net.add(operator, Flatten, x) if len(x.shape) > 1 else x
    return net.add(operator, Reshape, x, to=declared)


def expand_dims(net: _Net, operator: Operator) -> Made:
    x, axis = net.nodes[operator.inputs[0]], net.file.integers(operator.inputs[1])
    readers = net.readers.get(operator.outputs[0], [])
    if axis and [each.kind for each in readers] == ["TILE"]:
        place = axis[0] if axis[0] >= 0 else axis[0] + len(x.shape) + 2
        net.repeats[operator.outputs[0]] = (x, place - 1, 1)
        return None
    return reshape(net, operator)


def tile(net: _Net, operator: Operator) -> Made:
    counts = net.file.integers(operator.inputs[1]) or []
    if operator.inputs[0] not in net.repeats:
        return net.unknown(operator, net.nodes[operator.inputs[0]])
    x, axis, _ = net.repeats[operator.inputs[0]]
    many = [place for place, count in enumerate(counts) if count != 1]
    if many != [axis + 1]:
        return net.unknown(operator, x, reason="it repeats along several axes")
    net.repeats[operator.outputs[0]] = (x, axis, counts[axis + 1])
    return None


def transpose(net: _Net, operator: Operator) -> Node:
    x, order = net.nodes[operator.inputs[0]], net.file.integers(operator.inputs[1])
    to = transposing(order, x.shape)
    if to is None:
        return net.unknown(operator, x, reason="it moves the batch")
    return x if to == names_of_axes(x.shape) else net.add(operator, Permute, x, to=to)


def pad(net: _Net, operator: Operator) -> Node:
    x, amounts = net.nodes[operator.inputs[0]], net.file.integers(operator.inputs[1])
    mode = ""
    if operator.kind == "MIRROR_PAD":
        if operator.read("MirrorPadOptions").Mode() != 0:
            return net.unknown(operator, x, reason="it repeats the border")
        mode = "reflect"
    made = padding(x.shape, amounts, mode)
    if isinstance(made, str):
        return net.unknown(operator, x, reason=made)
    kind, arguments = made
    return net.add(operator, kind, x, **arguments)


def strided_slice(net: _Net, operator: Operator) -> Node:
    x, options = net.nodes[operator.inputs[0]], operator.read("StridedSliceOptions")
    begin, end, steps = (net.file.integers(index) for index in operator.inputs[1:4])
    masks = options.EllipsisMask() | options.NewAxisMask() | options.ShrinkAxisMask()
    if begin is None or end is None or steps is None or masks or {*steps} != {1}:
        return net.unknown(operator, x, reason="it takes some of the places, or drops an axis")
    starts = [0 if options.BeginMask() >> n & 1 else at for n, at in enumerate(begin)]
    stops = [None if options.EndMask() >> n & 1 else at for n, at in enumerate(end)]
    return _cut(net, operator, x, starts, stops)


def slice_(net: _Net, operator: Operator) -> Node:
    x = net.nodes[operator.inputs[0]]
    begin, size = (net.file.integers(index) for index in operator.inputs[1:3])
    if begin is None or size is None:
        return net.unknown(operator, x, reason="its places are computed as the model runs")
    stops = [None if n < 0 else at + n for at, n in zip(begin, size, strict=True)]
    return _cut(net, operator, x, begin, stops)


def _cut(
    net: _Net, operator: Operator, x: Node, starts: Sequence[int], stops: Sequence[int | None]
) -> Node:
    """Add a slice along one axis, or a crop."""
    made = cutting(x.shape, starts, stops) if x.shape else None
    if made is None:
        return net.unknown(operator, x, reason="it cuts the batch, or channels among others")
    kind, arguments = made
    return x if kind is None else net.add(operator, kind, x, **arguments)


def split(net: _Net, operator: Operator) -> Made:
    x, axes = net.nodes[operator.inputs[1]], net.file.integers(operator.inputs[0])
    axis = axis_name(axes[0], x.shape) if axes else None
    count = len(operator.outputs)
    if axis is None:
        return [net.unknown(operator, x, output=n) for n in range(count)]
    size = x.shape[names_of_axes(x.shape).index(axis)] // count
    own: dict[str, Any] = {} if axis == "channels" else {"axis": axis}
    return [
        net.add(
            operator,
            Slice,
            x,
            name=f"{net.name(operator)}_{n + 1}",
            output=n,
            start=n * size,
            stop=(n + 1) * size,
            **own,
        )
        for n in range(count)
    ]


def _resize(method: str, table: str) -> Rule:
    def rule(net: _Net, operator: Operator) -> Node:
        x, to = net.nodes[operator.inputs[0]], net.file.integers(operator.inputs[1])
        if to is None or len(to) != 2 or len(x.shape) != 3:
            return net.unknown(operator, x, reason="its size is computed as the model runs")
        options = operator.read(table)
        if not options.HalfPixelCenters():
            net.builder.note(
                "A resize of the file places its pixels otherwise (align_corners, or pixels from "
                "0 on); archspec's has their centres at halves."
            )
        kind, arguments = resizing(x.shape, to, method)
        return net.add(operator, kind, x, **arguments)

    return rule


def space_to_depth(net: _Net, operator: Operator) -> Node:
    factor = operator.read("SpaceToDepthOptions").BlockSize()
    return net.add(operator, SpaceToDepth, net.nodes[operator.inputs[0]], factor=factor)


def depth_to_space(net: _Net, operator: Operator) -> Node:
    factor = operator.read("DepthToSpaceOptions").BlockSize()
    return net.add(operator, DepthToSpace, net.nodes[operator.inputs[0]], factor=factor)


def batch_matmul(net: _Net, operator: Operator) -> Node:
    options = operator.read("BatchMatMulOptions")
    inputs = [net.nodes[index] for index in operator.inputs if index in net.nodes]
    if len(inputs) != 2 or options.AdjX():
        return net.unknown(operator, *inputs)
    own: dict[str, Any] = {"transpose_b": True} if options.AdjY() else {}
    return net.add(operator, MatMul, *inputs, **own)


def quantize(net: _Net, operator: Operator) -> Node:
    net.builder.note("Operators between whole numbers and floats are left out.")
    return net.nodes[operator.inputs[0]]


OPERATORS: Final[Mapping[str, Rule]] = {
    "ABS": _function("abs"),
    "ADD": _binary(Add, "AddOptions"),
    "AVERAGE_POOL_2D": _pool(AvgPool),
    "BATCH_MATMUL": batch_matmul,
    "BATCH_TO_SPACE_ND": batch_to_space_nd,
    "CONCATENATION": concatenation,
    "CONV_2D": conv_2d,
    "CONV_3D": conv_3d,
    "DEPTHWISE_CONV_2D": conv_2d,
    "DEPTH_TO_SPACE": depth_to_space,
    "DEQUANTIZE": quantize,
    "DIV": _binary(Divide, "DivOptions"),
    "ELU": _function("elu"),
    "EXP": _function("exponential"),
    "EXPAND_DIMS": expand_dims,
    "FAKE_QUANT": quantize,
    "FULLY_CONNECTED": fully_connected,
    "GELU": gelu,
    "HARD_SWISH": _function("hard_swish"),
    "L2_NORMALIZATION": l2_normalization,
    "L2_POOL_2D": _pool(L2Pool),
    "LEAKY_RELU": leaky_relu,
    "LOCAL_RESPONSE_NORMALIZATION": lrn,
    "LOGISTIC": _function("sigmoid"),
    "LOG_SOFTMAX": _function("log_softmax"),
    "MAXIMUM": _binary(Max, ""),
    "MINIMUM": _binary(Min, ""),
    "MAX_POOL_2D": _pool(MaxPool),
    "MEAN": _reduced(GlobalAvgPool),
    "MIRROR_PAD": pad,
    "MUL": _binary(Multiply, "MulOptions"),
    "PAD": pad,
    "PADV2": pad,
    "PRELU": prelu,
    "QUANTIZE": quantize,
    "REDUCE_MAX": _reduced(GlobalMaxPool),
    "RELU": _function("relu"),
    "RELU6": _function("relu6"),
    "RELU_N1_TO_1": _function("hard_tanh"),
    "RESHAPE": reshape,
    "RESIZE_BILINEAR": _resize("bilinear", "ResizeBilinearOptions"),
    "RESIZE_NEAREST_NEIGHBOR": _resize("nearest", "ResizeNearestNeighborOptions"),
    "SLICE": slice_,
    "SOFTMAX": softmax,
    "SPACE_TO_BATCH_ND": space_to_batch_nd,
    "SPACE_TO_DEPTH": space_to_depth,
    "SPLIT": split,
    "SQUEEZE": reshape,
    "STRIDED_SLICE": strided_slice,
    "SUB": _binary(Subtract, "SubOptions"),
    "TANH": _function("tanh"),
    "TILE": tile,
    "TRANSPOSE": transpose,
    "TRANSPOSE_CONV": transpose_conv,
}
"""The operators, by TFLite's names."""


def _weights(net: _Net) -> Arrays:
    """Return the weights of each node, of whole numbers as the floats that they stand for."""
    lacking = [node for node, stored in net.arrays.items() for each in stored if each.tensor < 0]
    if lacking:
        raise UsageError(f"{net.file.path} lacks weights of {lacking[0]}")
    with in_bounds(net.file.path):
        return {
            node: [
                net.file.values(each.tensor).transpose(each.axes).reshape(each.shape)
                for each in stored
            ]
            for node, stored in net.arrays.items()
        }
