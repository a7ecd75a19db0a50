"""TFLite's networks: the operators of the main subgraph, as the converter left them.

The converter folds batch norms and activations into what is before them, and adds biases of zeros.
Each operator is written as the steps of ONNX that do the same, which are read as an ONNX file is.
What the file no longer says is not guessed; what it says in a roundabout way (dilation as
space-to-batch, 16-bit weights behind an operator) is read as what it means.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, Final, TypeAlias

from archspec.imports.inputs import NOTHING_GIVEN, Given
from archspec.imports.limits import refuse
from archspec.imports.model import ImportedModel
from archspec.imports.onnx.reader import build
from archspec.imports.onnx.source import (
    FIXED,
    MOST_VALUES,
    STORED,
    Constant,
    Dims,
    Source,
)
from archspec.imports.protobuf import shortest
from archspec.imports.tensorflow.names import common_root, is_nameless, layer_name, with_kernel
from archspec.imports.tensorflow.tflitefile import (
    INTEGERS,
    Operator,
    Tensor,
    TfliteFile,
    in_bounds,
    open_tflite,
)
from archspec.imports.tensorflow.writing import NOT_KNOWN, OPSET, Unwritable, Writer
from archspec.ops.fields import LARGEST

_PADDINGS: Final = {0: "same", 1: "valid"}
"""Paddings of windows, by TFLite's numbers."""

_WITH_KERNEL: Final = {
    "CONV_2D", "CONV_3D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"
}  # fmt: skip
"""Operators whose second input is a kernel, which is called like the layer."""

MOST_SHORT: Final = 64
"""Largest number of values of a constant that are made as short as they were written."""


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
    net = _Net(file)
    source = net.source()
    writer = f", {file.description.rstrip('.')}" if file.description else ""
    return build(
        Path(file.path),
        source,
        name=file.name if file.name not in {"", "main"} else Path(file.path).stem,
        format_name=f"TFLite{writer}",
        opset=OPSET,
        writer="TFLite",
        given=given,
        channels_last=True,
        told=net.notes(),
    )


class _Net(Writer):
    """A file as it is written in ONNX's operators."""

    def __init__(self, file: TfliteFile) -> None:
        super().__init__(Path(file.path))
        self.file = file
        self.values: dict[int, str] = {}
        """The name of each tensor's value."""
        self.counted: set[int] = set()
        """The buffers of arrays that stand in subgraphs."""
        self.zero_biases = 0
        self.is_rounded = False
        """Whether there are operators between whole numbers and floats."""
        self.root = common_root(
            file.tensors[each.outputs[0]].name for each in file.operators if each.outputs
        )
        """The beginning that all names have in common."""

    def source(self) -> Source:
        """Return the graph."""
        file = self.file
        inputs: dict[str, Dims | None] = {}
        whole: set[str] = set()
        for index in file.inputs:
            if index >= 0:
                tensor = file.tensors[index]
                name = _input_name(tensor.name, index)
                name = name if name not in inputs else f"{name}_{index}"
                self.values[index] = name
                inputs[name] = self.shape(index)
                self.dims[name] = inputs[name] or ()
                if tensor.dtype in INTEGERS and not tensor.scales:
                    whole.add(name)
        for operator in file.operators:
            self.write(operator)
        outputs = []
        for index in file.outputs:
            if index >= 0:
                # An input may have the name of an output.
                outputs.append(f"{file.tensors[index].name.removesuffix(':0')} ")
                self.step("Identity", [self.value(index)], outputs[-1:])

        @contextmanager
        def opened() -> Any:
            with in_bounds(file.path):
                yield

        return Source(
            "", self.steps, self.constants, inputs, outputs, self.dims, frozenset(whole), opened
        )

    def notes(self) -> list[str]:
        """Return sentences about what the converter changed."""
        told = [*self.told]
        if self.zero_biases:
            biases = "bias of zeros is" if self.zero_biases == 1 else "biases of zeros are"
            told.append(
                f"{self.zero_biases} {biases} left out: the converter adds one to each layer that "
                "has none, and a bias that was never trained is zeros, too."
            )
        told.append(
            "TFLite's converter folds batch norms and activations into the layers before them: "
            "their parameters are in the kernels and biases."
        )
        if self.is_rounded:
            told.append("Operators between whole numbers and floats are left out.")
        if self.file.subgraph_count > 1:
            told.append(f"Only the main one of {self.file.subgraph_count} subgraphs is shown.")
        return told

    # Tensors.

    def shape(self, index: int) -> Dims | None:
        """Return the shape that the file has for a tensor, with None for an open extent."""
        shape = self.file.tensors[index].shape
        return None if shape is None else tuple(None if n < 0 else n for n in shape)

    def value(self, index: int) -> str:
        """Return the name of a tensor's value; of a constant, which is kept; "" for none."""
        if index < 0:
            return ""
        if index not in self.values:
            name = self.values[index] = f"tensor {index}"
            if self.file.is_constant(index):
                self.constants[name] = self._constant(self.file, index)
            elif (shape := self.shape(index)) is not None:
                self.dims[name] = shape
        return self.values[index]

    def _inside(self, o: Operator) -> list[str]:
        """Return the names of the arrays in the subgraphs that an operator runs, as a loop does."""
        names = []
        for file in self.file.inside(o):
            for index in file.origins:
                tensor = file.tensors[index]
                if index == file.origins[index] and tensor.buffer not in self.counted:
                    self.counted.add(tensor.buffer)
                    names.append(f"buffer {tensor.buffer}")
                    self.constants[names[-1]] = self._constant(file, index)
        return names

    def _constant(self, file: TfliteFile, index: int) -> Constant:
        tensor: Tensor = file.tensors[file.origins[index]]
        dims = tuple(file.tensors[index].shape or ())
        if any(not 0 <= n <= LARGEST for n in dims):
            refuse(file.path, f"the array {tensor.name[:60]!r} has impossible extents")
        is_whole = tensor.dtype in INTEGERS and not tensor.scales
        size = prod(dims)

        def load() -> Any:
            return file.values(index).reshape(dims)

        values = None
        if size <= MOST_VALUES and not tensor.is_sparse:
            values = load().ravel().tolist()
            if size <= MOST_SHORT and not is_whole:
                values = list(map(shortest, values))
        place = f"{tensor.place} in {file.number}" if file.number else tensor.place
        name = f"{tensor.name or 'constant'} {place}" if dims and not is_whole else ""
        return Constant(
            dims,
            "int" if is_whole else "float",
            None if values is None else tuple(values),
            load,
            name,
            size if name else 0,
            STORED if name else FIXED,
        )

    def bias(self, o: Operator, place: int) -> str:
        """Return an operator's bias; "" where it has none, or one of zeros."""
        index = o.inputs[place] if len(o.inputs) > place else -1
        if index < 0:
            return ""
        if self.is_zero(index):
            self.zero_biases += 1
            return ""
        return self.value(index)

    def is_zero(self, index: int) -> bool:
        """Whether a tensor is a constant of zeros."""
        import numpy as np  # noqa: PLC0415

        # `any` warns of what is not a number, which a damaged file may hold.
        return self.file.is_constant(index) and not np.count_nonzero(self.file.values(index))

    # Operators.

    def write(self, o: Operator) -> None:
        """Write an operator; one that has no counterpart becomes an unknown layer."""
        if not o.outputs or all(self.file.is_constant(index) for index in o.outputs):
            return
        self.scope, self.full_name = self.names_of(o, first=True)
        inputs, outputs = list(map(self.value, o.inputs)), list(map(self.value, o.outputs))
        if inside := self._inside(o):
            # A loop begins with states of zeros, which nobody learned.
            inputs = [
                x for index, x in zip(o.inputs, inputs, strict=True) if not self.is_zero(index)
            ]
            inputs += inside
        rule = OPERATORS.get(o.kind)
        self.attempt(
            o.kind,
            inputs,
            outputs,
            rule and partial(rule, self, o, inputs, outputs),
            on_spread=o.kind in _ON_SPREAD,
            reason=_REASONS.get(o.kind, NOT_KNOWN),
        )

    def names_of(self, o: Operator, *, first: bool) -> tuple[str, str]:
        """Return the name of an operator, that of its kernel or its output, and a longer one.

        An output has the names of all operators that were fused into one, the last of them first.

        Args:
            o: The operator.
            first: Whether the name of what others were fused into is asked for.
        """
        kernels = o.inputs[1:2] if first and o.kind in _WITH_KERNEL else ()
        tensors = [*(index for index in kernels if index >= 0), o.outputs[0]]
        name = ""
        for index in tensors:
            names = self.file.tensors[index].name
            name = with_kernel(names) if first else names.partition(";")[0]
            if not is_nameless(name):
                break
        return layer_name(name, self.root), name.removesuffix(":0").removeprefix(self.root)

    def fused(self, o: Operator, function: int) -> str:
        """Return the name of a value that a fused function makes the operator's output."""
        output = self.value(o.outputs[0])
        if not function:
            return output
        inner = f"{output} before"
        if output in self.dims:
            self.dims[inner] = self.dims[output]
        return inner

    def activate(self, o: Operator, function: int) -> None:
        """Write the function that is fused into an operator."""
        if not function:
            return
        if function not in _ACTIVATIONS:
            raise Unwritable("its fused function has no name here")
        op, attributes = _ACTIVATIONS[function]
        own, full = self.names_of(o, first=False)
        if full == self.full_name:
            full = f"{self.scope}_activation"
        self.scope, self.full_name = own, full
        self.step(op, [self.fused(o, function)], [self.value(o.outputs[0])], **attributes)


_ACTIVATIONS: Final[Mapping[int, tuple[str, dict[str, Any]]]] = {
    1: ("Relu", {}),
    2: ("Clip", {"min": -1.0, "max": 1.0}),
    3: ("Clip", {"min": 0.0, "max": 6.0}),
    4: ("Tanh", {}),
}
"""The functions that operators have fused into them, by TFLite's numbers."""

_ON_SPREAD: Final = {
    "BATCH_TO_SPACE_ND", "CONV_2D", "DEPTHWISE_CONV_2D", "EXPAND_DIMS", "RESHAPE", "SQUEEZE"
}  # fmt: skip
"""Operators that may read a map whose places stand in the batch."""


_REASONS: Final = {
    "IF": "it chooses between two networks as it runs",
    "WHILE": "it repeats a part of the network as often as that says itself",
}
"""A clause for operators of which more can be said."""


def _input_name(name: str, index: int) -> str:
    name = name.removeprefix("serving_default_").removesuffix(":0")
    return name or f"input_{index}"


Rule: TypeAlias = Callable[[_Net, Operator, "list[str]", "list[str]"], None]


def _plain(op: str, **attributes: Any) -> Rule:
    """Return the rule of an operator that ONNX has as well."""

    def write(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:  # noqa: ARG001
        net.step(op, inputs, outputs[:1], **attributes)

    return write


def _padding_of(options: Any) -> str:
    """Return the padding of a window."""
    number = options.Padding()
    if number not in _PADDINGS:
        raise Unwritable(f"its padding is number {number}, and TFLite has 0 and 1 alone")
    return _PADDINGS[number]


def _strides(options: Any, rank: int = 2) -> list[int]:
    return [getattr(options, f"Stride{axis}")() for axis in "DHW"[-rank:]]


def _convolve(
    net: _Net,
    o: Operator,
    inputs: list[str],
    options: Any,
    places: list[int],
    *,
    order: list[int],
    groups: int = 1,
) -> None:
    """Write a convolution and its fused function.

    Args:
        net: Where it is written.
        o: The operator.
        inputs: What it reads: a map, the kernel, and the bias if there is one.
        options: The operator's options.
        places: The kernel's spatial extents.
        order: The kernel's axes in ONNX's order.
        groups: Number of groups.
    """
    function = options.FusedActivationFunction()
    rank = len(places)
    net.convolution(
        inputs[0],
        net.fused(o, function),
        kernel=net.made("Transpose", inputs[1], perm=order),
        places=places,
        strides=_strides(options, rank),
        dilations=[getattr(options, f"Dilation{axis}Factor")() for axis in "DHW"[-rank:]],
        padding=_padding_of(options),
        bias=net.bias(o, 2),
        groups=groups,
    )
    net.activate(o, function)


def conv_2d(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:  # noqa: ARG001
    """Write a convolution, whose kernel is [filters, height, width, channels of a group]."""
    options = o.read("Conv2DOptions")
    filters, *places, depth = net.kernel(inputs[1], 4)
    groups = net.groups(inputs[0], depth, filters)
    _convolve(net, o, inputs, options, places, order=[0, 3, 1, 2], groups=groups)


def depthwise_conv_2d(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:  # noqa: ARG001
    """Write a depthwise convolution, whose kernel is [1, height, width, filters]."""
    options = o.read("DepthwiseConv2DOptions")
    _, *places, filters = net.kernel(inputs[1], 4)
    groups = filters // max(options.DepthMultiplier(), 1)
    _convolve(net, o, inputs, options, places, order=[3, 0, 1, 2], groups=groups)


def conv_3d(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:  # noqa: ARG001
    """Write a convolution whose kernel is [places, channels, filters]."""
    *places, _, _ = net.kernel(inputs[1], 5)
    _convolve(net, o, inputs, o.read("Conv3DOptions"), places, order=[4, 3, 0, 1, 2])


def transpose_conv(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:  # noqa: ARG001
    """Write a transposed convolution, whose kernel is [filters, height, width, channels]."""
    options = o.read("TransposeConvOptions")
    function = options.FusedActivationFunction()
    net.transposed(
        inputs[2],
        net.fused(o, function),
        kernel=net.made("Transpose", inputs[1], perm=[3, 0, 1, 2]),
        places=net.kernel(inputs[1], 4)[1:3],
        strides=_strides(options),
        padding=_padding_of(options),
        bias=net.bias(o, 3),
    )
    net.activate(o, function)


def fully_connected(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:  # noqa: ARG001
    """Write a matrix product, whose kernel is [units, channels]."""
    options = o.read("FullyConnectedOptions")
    function = options.FusedActivationFunction()
    x, kernel = inputs[:2]
    _, depth = net.kernel(kernel, 2)
    if not options.KeepNumDims() and net.rank(x) != 2:
        x = net.made("Reshape", x, net.ints([-1, depth]))
    bias = net.bias(o, 2)
    net.step("Gemm", [x, kernel, bias], [net.fused(o, function)], transB=1)
    net.activate(o, function)


def _pool(op: str) -> Rule:
    def write(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:  # noqa: ARG001
        options = o.read("Pool2DOptions")
        function = options.FusedActivationFunction()
        size = [options.FilterHeight(), options.FilterWidth()]
        padding = _padding_of(options)
        net.pool(op, inputs[0], net.fused(o, function), size, _strides(options), padding)
        net.activate(o, function)

    return write


def _reduced(op: str) -> Rule:
    def write(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:
        keep = int(bool(o.read("ReducerOptions").KeepDims()))
        net.step(op, inputs, outputs[:1], keepdims=keep)

    return write


def leaky_relu(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:
    net.step("LeakyRelu", inputs, outputs, alpha=shortest(o.read("LeakyReluOptions").Alpha()))


def gelu(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:
    is_tanh = o.read("GeluOptions").Approximate()
    net.step("Gelu", inputs, outputs, approximate="tanh" if is_tanh else "none")


def prelu(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:  # noqa: ARG001
    net.step("PRelu", inputs, outputs)


def lrn(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:
    options = o.read("LocalResponseNormalizationOptions")
    size = 2 * options.Radius() + 1
    net.with_channels(
        "LRN",
        inputs,
        outputs[0],
        4,
        size=size,
        alpha=options.Alpha() * size,  # ONNX divides it by the size
        beta=options.Beta(),
        bias=options.Bias(),
    )


def _binary(op: str, table: str) -> Rule:
    """Return the rule of an operator of two values."""

    def write(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:  # noqa: ARG001
        function = o.read(table).FusedActivationFunction() if o.options is not None else 0
        net.step(op, inputs, [net.fused(o, function)])
        net.activate(o, function)

    return write


def squared(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:  # noqa: ARG001
    net.squared(inputs[0], outputs[0])


def squared_difference(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:  # noqa: ARG001
    net.squared(net.made("Sub", *inputs), outputs[0])


def inverse_root(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:  # noqa: ARG001
    net.inverse_root(inputs[0], outputs[0])


def concatenation(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:  # noqa: ARG001
    options = o.read("ConcatenationOptions")
    function = options.FusedActivationFunction()
    net.step("Concat", inputs, [net.fused(o, function)], axis=options.Axis())
    net.activate(o, function)


def reshape(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:
    to = inputs[1] if len(inputs) > 1 else ""
    if not to:  # an older file has the extents among its options
        options = o.read("ReshapeOptions")
        to = net.ints([options.NewShape(at) for at in range(options.NewShapeLength())])
    if inputs[0] in net.spreads:  # a sequence loses the axis that it gained
        net.squeeze(inputs[0], outputs[0], [net.spreads[inputs[0]].axis])
        return
    net.step("Reshape", [inputs[0], to], outputs)


def squeeze(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:
    options = o.read("SqueezeOptions")
    axes = [options.SqueezeDims(at) for at in range(options.SqueezeDimsLength())]
    net.squeeze(inputs[0], outputs[0], axes)


def expand_dims(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:  # noqa: ARG001
    net.unsqueeze(inputs[0], outputs[0], net.wanted(inputs[1], "axis")[0])


def transpose(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:  # noqa: ARG001
    net.step("Transpose", inputs[:1], outputs, perm=net.wanted(inputs[1], "order"))


def pack(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:
    net.pack(inputs, outputs[0], o.read("PackOptions").Axis())


def unpack(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:
    net.unpack(inputs[0], outputs, o.read("UnpackOptions").Axis())


def split(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:  # noqa: ARG001
    net.split(inputs[1], outputs, net.wanted(inputs[0], "axis")[0])


def split_v(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:  # noqa: ARG001
    sizes = net.wanted(inputs[1], "sizes")
    net.split(inputs[0], outputs, net.wanted(inputs[2], "axis")[0], sizes)


def slice_(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:  # noqa: ARG001
    net.cut(inputs[0], outputs[0], *inputs[1:3])


def strided_slice(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:
    options = o.read("StridedSliceOptions")
    begin, end, strides = (net.wanted(each, "places") for each in inputs[1:4])
    masks = {
        "begin": options.BeginMask(),
        "end": options.EndMask(),
        "ellipsis": options.EllipsisMask(),
        "new_axis": options.NewAxisMask(),
        "shrink_axis": options.ShrinkAxisMask(),
    }
    net.strided_slice(inputs[0], outputs[0], begin, end, strides, masks)


def gather(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:
    options = o.read("GatherOptions")
    if options.BatchDims():
        raise Unwritable("it looks up in each example apart")
    net.step("Gather", inputs, outputs, axis=options.Axis())


def embedding_lookup(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:  # noqa: ARG001
    net.step("Gather", inputs[::-1], outputs, axis=0)


def pad(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:  # noqa: ARG001
    net.pad(inputs[0], outputs[0], inputs[1], value="".join(inputs[2:3]))


def mirror_pad(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:
    if o.read("MirrorPadOptions").Mode() != 0:
        raise Unwritable("it repeats the border")
    net.pad(inputs[0], outputs[0], inputs[1], "reflect")


def _resize(mode: str, table: str) -> Rule:
    def write(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:
        options = o.read(table)
        places = "half_pixel" if options.HalfPixelCenters() else "asymmetric"
        if options.AlignCorners():
            places = "align_corners"
        net.resize(inputs[0], outputs[0], inputs[1], mode, places)

    return write


def space_to_batch(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:  # noqa: ARG001
    net.space_to_batch(inputs[0], outputs[0], *inputs[1:3])


def batch_to_space(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:  # noqa: ARG001
    net.batch_to_space(inputs[0], outputs[0], inputs[2])


def _blocks(op: str, table: str) -> Rule:
    def write(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:
        net.with_channels(op, inputs, outputs[0], 4, blocksize=o.read(table).BlockSize())

    return write


def batch_matmul(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:
    options = o.read("BatchMatMulOptions")
    turn_a, turn_b = bool(options.AdjX()), bool(options.AdjY())
    net.product(inputs[0], inputs[1], outputs[0], turn_a=turn_a, turn_b=turn_b)


def rounded(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:  # noqa: ARG001
    """Write what rounds values to whole numbers, or makes them real again."""
    net.is_rounded = True
    net.values[o.outputs[0]] = inputs[0]


def cast(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:
    is_whole = net.file.tensors[o.outputs[0]].dtype in INTEGERS
    net.step("Cast", inputs, outputs, to=7 if is_whole else 1)


def lstm(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:
    """Write an LSTM, whose gates have an array each: input, forget, candidate, output."""
    options = o.read("UnidirectionalSequenceLSTMOptions")
    names = [*inputs, *[""] * (24 - len(inputs))]
    if any(names[place] for place in (*range(9, 12), 16, 17, *range(20, 24))):
        raise Unwritable("it has peepholes, a projection or norms")
    if any(not names[place] for place in (*range(1, 9), *range(12, 16))):
        raise Unwritable("its gates are coupled")
    if options.FusedActivationFunction() != 4:
        raise Unwritable("its function is not tanh")
    if clip := options.CellClip():
        net.told.setdefault(f"An LSTM keeps its cells within {clip:g}, archspec's does not.")
    order = (0, 3, 1, 2)  # ONNX: input, output, forget, candidate
    kernel, inner, bias = (
        net.made(
            "Unsqueeze",
            net.made("Concat", *(names[first + gate] for gate in order), axis=0),
            net.ints([0]),
        )
        for first in (1, 5, 12)
    )
    x = inputs[0]
    if not options.TimeMajor():
        x = net.made("Transpose", x, perm=[1, 0, 2])
    units = net.kernel(names[5], 2)[1]
    y = net.made("LSTM", x, kernel, inner, bias, hidden_size=units)
    y = net.made("Squeeze", y, net.ints([1]))
    if options.TimeMajor():
        net.step("Identity", [y], outputs)
    else:
        net.step("Transpose", [y], outputs, perm=[1, 0, 2])


def fill(net: _Net, o: Operator, inputs: list[str], outputs: list[str]) -> None:  # noqa: ARG001
    net.fill(inputs[0], inputs[1], outputs[0])


OPERATORS: Final[Mapping[str, Rule]] = {
    "ABS": _plain("Abs"),
    "ADD": _binary("Add", "AddOptions"),
    "ADD_N": _plain("Sum"),
    "AVERAGE_POOL_2D": _pool("AveragePool"),
    "BATCH_MATMUL": batch_matmul,
    "BATCH_TO_SPACE_ND": batch_to_space,
    "BROADCAST_TO": _plain("Expand"),
    "CAST": cast,
    "CEIL": _plain("Ceil"),
    "CONCATENATION": concatenation,
    "CONV_2D": conv_2d,
    "CONV_3D": conv_3d,
    "COS": _plain("Cos"),
    "DEPTHWISE_CONV_2D": depthwise_conv_2d,
    "DEPTH_TO_SPACE": _blocks("DepthToSpace", "DepthToSpaceOptions"),
    "DEQUANTIZE": rounded,
    "DIV": _binary("Div", "DivOptions"),
    "ELU": _plain("Elu"),
    "EMBEDDING_LOOKUP": embedding_lookup,
    "EQUAL": _plain("Equal"),
    "EXP": _plain("Exp"),
    "EXPAND_DIMS": expand_dims,
    "FAKE_QUANT": rounded,
    "FILL": fill,
    "FLOOR": _plain("Floor"),
    "FLOOR_DIV": _plain("Div"),
    "FLOOR_MOD": _plain("Mod"),
    "FULLY_CONNECTED": fully_connected,
    "GATHER": gather,
    "GELU": gelu,
    "GREATER": _plain("Greater"),
    "GREATER_EQUAL": _plain("GreaterOrEqual"),
    "HARD_SWISH": _plain("HardSwish"),
    "L2_NORMALIZATION": _plain("LpNormalization", axis=-1, p=2),
    "L2_POOL_2D": _pool("LpPool"),
    "LEAKY_RELU": leaky_relu,
    "LESS": _plain("Less"),
    "LESS_EQUAL": _plain("LessOrEqual"),
    "LOCAL_RESPONSE_NORMALIZATION": lrn,
    "LOGICAL_AND": _plain("And"),
    "LOGICAL_NOT": _plain("Not"),
    "LOGICAL_OR": _plain("Or"),
    "LOG": _plain("Log"),
    "LOGISTIC": _plain("Sigmoid"),
    "LOG_SOFTMAX": _plain("LogSoftmax", axis=-1),
    "MAXIMUM": _plain("Max"),
    "MAX_POOL_2D": _pool("MaxPool"),
    "MEAN": _reduced("ReduceMean"),
    "MINIMUM": _plain("Min"),
    "MIRROR_PAD": mirror_pad,
    "MUL": _binary("Mul", "MulOptions"),
    "NEG": _plain("Neg"),
    "PACK": pack,
    "PAD": pad,
    "PADV2": pad,
    "POW": _plain("Pow"),
    "PRELU": prelu,
    "QUANTIZE": rounded,
    "RANGE": _plain("Range"),
    "REDUCE_MAX": _reduced("ReduceMax"),
    "REDUCE_MIN": _reduced("ReduceMin"),
    "REDUCE_PROD": _reduced("ReduceProd"),
    "RELU": _plain("Relu"),
    "RELU6": _plain("Clip", min=0.0, max=6.0),
    "RELU_0_TO_1": _plain("Clip", min=0.0, max=1.0),
    "RELU_N1_TO_1": _plain("Clip", min=-1.0, max=1.0),
    "RESHAPE": reshape,
    "RESIZE_BILINEAR": _resize("linear", "ResizeBilinearOptions"),
    "RESIZE_NEAREST_NEIGHBOR": _resize("nearest", "ResizeNearestNeighborOptions"),
    "RSQRT": inverse_root,
    "SELECT": _plain("Where"),
    "SELECT_V2": _plain("Where"),
    "SHAPE": _plain("Shape"),
    "SIN": _plain("Sin"),
    "SLICE": slice_,
    "SOFTMAX": _plain("Softmax", axis=-1),
    "SPACE_TO_BATCH_ND": space_to_batch,
    "SPACE_TO_DEPTH": _blocks("SpaceToDepth", "SpaceToDepthOptions"),
    "SPLIT": split,
    "SPLIT_V": split_v,
    "SQRT": _plain("Sqrt"),
    "SQUARE": squared,
    "SQUARED_DIFFERENCE": squared_difference,
    "SQUEEZE": squeeze,
    "STRIDED_SLICE": strided_slice,
    "SUB": _binary("Sub", "SubOptions"),
    "SUM": _reduced("ReduceSum"),
    "TANH": _plain("Tanh"),
    "TILE": _plain("Tile"),
    "TRANSPOSE": transpose,
    "TRANSPOSE_CONV": transpose_conv,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": lstm,
    "UNPACK": unpack,
}
"""The operators, by TFLite's names."""
