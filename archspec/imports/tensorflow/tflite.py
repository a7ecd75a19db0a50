"""TFLite's networks: the operators of the main subgraph, as the converter left them.

The converter folds batch norms and activations into what is before them, and adds biases of zeros.
Each operator is written as the steps of ONNX that do the same, which are read as an ONNX file is.
What the file no longer says is not guessed; what it says in a roundabout way (dilation as
space-to-batch, 16-bit weights behind an operator) is read as what it means.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

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
from archspec.imports.onnx.writing import Unwritten
from archspec.imports.protobuf import shortest
from archspec.imports.tensorflow.alike import OPERATORS as ALIKE
from archspec.imports.tensorflow.alike import plain
from archspec.imports.tensorflow.names import common_root, is_nameless, layer_name, with_kernel
from archspec.imports.tensorflow.tflitefile import (
    INTEGERS,
    Operator,
    Tensor,
    TfliteFile,
    in_bounds,
    open_tflite,
)
from archspec.imports.tensorflow.writing import MOST_SHORT, OPSET, Writer
from archspec.lazy import np
from archspec.ops.fields import LARGEST

_PADDINGS: Final = {0: "same", 1: "valid"}
"""Paddings of windows, by TFLite's numbers."""

_WITH_KERNEL: Final = {
    "CONV_2D", "CONV_3D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"
}  # fmt: skip
"""Operators whose second input is a kernel, which is called like the layer."""


def read(path: str | os.PathLike[str], *, given: Given = NOTHING_GIVEN) -> ImportedModel:
    """Return the network of a TFLite file.

    Raises:
        UsageError: It cannot be read, is damaged, or the packages that read it are missing.
    """
    file = open_tflite(path)
    with in_bounds(path):
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

        return Source(
            "", self.steps, self.constants, inputs, outputs, self.dims, frozenset(whole),
            opened=lambda: in_bounds(file.path),
        )  # fmt: skip

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
            rule and partial(rule, self, Call(o, inputs, outputs)),
            on_spread=o.kind in _ON_SPREAD,
            reasons=_REASONS,
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

    def activate(self, o: Operator, x: str, function: int) -> None:
        """Write the function that is fused into an operator, on what the operator gives."""
        if function not in _ACTIVATIONS:
            raise Unwritten("its fused function has no name here")
        op, attributes = _ACTIVATIONS[function]
        own, full = self.names_of(o, first=False)
        if full == self.full_name:
            full = f"{self.scope}_activation"
        self.scope, self.full_name = own, full
        self.step(op, [x], [self.value(o.outputs[0])], **attributes)


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


class Call(NamedTuple):
    """An operator with the names of what it reads and gives."""

    operator: Operator
    inputs: Sequence[str]
    outputs: Sequence[str]

    def read(self, table: str) -> Any:
        """Return its arguments as a table of the schema."""
        return self.operator.read(table)


Rule: TypeAlias = Callable[[_Net, Call], None]


def _fusing(table: str, rule: Callable[[_Net, Call, Any], None]) -> Rule:
    """Return the rule of an operator that may have a function fused into it.

    Args:
        table: The operator's options.
        rule: Writes the operator without the function; the last argument is the options.
    """

    def write(net: _Net, o: Call) -> None:
        options = o.read(table)
        function = options.FusedActivationFunction()
        if not function:
            rule(net, o, options)
            return
        output = o.outputs[0]
        inner = f"{output} before"
        if output in net.dims:
            net.dims[inner] = net.dims[output]
        rule(net, o._replace(outputs=[inner]), options)
        net.activate(o.operator, inner, function)

    return write


def _padding_of(options: Any) -> str:
    """Return the padding of a window."""
    number = options.Padding()
    if number not in _PADDINGS:
        raise Unwritten(f"its padding is number {number}, and TFLite has 0 and 1 alone")
    return _PADDINGS[number]


def _strides(options: Any, rank: int = 2) -> list[int]:
    return [getattr(options, f"Stride{axis}")() for axis in "DHW"[-rank:]]


def _convolve(
    net: _Net, o: Call, options: Any, places: Sequence[int], *, order: list[int], groups: int = 1
) -> None:
    """Write a convolution.

    Args:
        net: Where it is written.
        o: The operator, which reads a map, the kernel, and the bias if there is one.
        options: The operator's options.
        places: The kernel's spatial extents.
        order: The kernel's axes in ONNX's order.
        groups: Number of groups.
    """
    rank = len(places)
    net.convolution(
        o.inputs[0],
        o.outputs[0],
        kernel=net.made("Transpose", o.inputs[1], perm=order),
        places=places,
        strides=_strides(options, rank),
        dilations=[getattr(options, f"Dilation{axis}Factor")() for axis in "DHW"[-rank:]],
        padding=_padding_of(options),
        bias=net.bias(o.operator, 2),
        groups=groups,
    )


def conv_2d(net: _Net, o: Call, options: Any) -> None:
    """Write a convolution, whose kernel is [filters, height, width, channels of a group]."""
    filters, *places, depth = net.kernel(o.inputs[1], 4)
    groups = net.groups(o.inputs[0], depth, filters)
    _convolve(net, o, options, places, order=[0, 3, 1, 2], groups=groups)


def depthwise_conv_2d(net: _Net, o: Call, options: Any) -> None:
    """Write a depthwise convolution, whose kernel is [1, height, width, filters]."""
    _, *places, filters = net.kernel(o.inputs[1], 4)
    groups = filters // max(options.DepthMultiplier(), 1)
    _convolve(net, o, options, places, order=[3, 0, 1, 2], groups=groups)


def conv_3d(net: _Net, o: Call, options: Any) -> None:
    """Write a convolution whose kernel is [places, channels, filters]."""
    *places, _, _ = net.kernel(o.inputs[1], 5)
    _convolve(net, o, options, places, order=[4, 3, 0, 1, 2])


def transpose_conv(net: _Net, o: Call, options: Any) -> None:
    """Write a transposed convolution, whose kernel is [filters, height, width, channels]."""
    net.transposed(
        o.inputs[2],
        o.outputs[0],
        kernel=net.made("Transpose", o.inputs[1], perm=[3, 0, 1, 2]),
        places=net.kernel(o.inputs[1], 4)[1:3],
        strides=_strides(options),
        padding=_padding_of(options),
        bias=net.bias(o.operator, 3),
    )


def fully_connected(net: _Net, o: Call, options: Any) -> None:
    """Write a matrix product, whose kernel is [units, channels]."""
    x, kernel = o.inputs[:2]
    _, depth = net.kernel(kernel, 2)
    if not options.KeepNumDims() and net.rank(x) != 2:
        x = net.made("Reshape", x, net.ints([-1, depth]))
    net.step("Gemm", [x, kernel, net.bias(o.operator, 2)], o.outputs[:1], transB=1)


def _pool(op: str) -> Rule:
    def write(net: _Net, o: Call, options: Any) -> None:
        size = [options.FilterHeight(), options.FilterWidth()]
        padding = _padding_of(options)
        net.pool(op, o.inputs[0], o.outputs[0], size, _strides(options), padding)

    return _fusing("Pool2DOptions", write)


def _reduced(op: str) -> Rule:
    return plain(op, lambda o: {"keepdims": int(bool(o.read("ReducerOptions").KeepDims()))})


def gelu(o: Call) -> dict[str, str]:
    """Return the attribute of a GELU."""
    return {"approximate": "tanh" if o.read("GeluOptions").Approximate() else "none"}


def lrn(net: _Net, o: Call) -> None:
    options = o.read("LocalResponseNormalizationOptions")
    numbers = {"alpha": options.Alpha(), "beta": options.Beta(), "bias": options.Bias()}
    net.response_norm(o.inputs[0], o.outputs[0], options.Radius(), **numbers)


def _binary(op: str) -> Rule:
    """Return the rule of an operator of two values."""
    without = plain(op)
    fusing = _fusing(f"{op}Options", lambda net, o, _: without(net, o))
    return lambda net, o: (without if o.operator.options is None else fusing)(net, o)


def reshape(net: _Net, o: Call) -> None:
    to = o.inputs[1] if len(o.inputs) > 1 else ""
    if not to:  # an older file has the extents among its options
        options = o.read("ReshapeOptions")
        to = net.ints([options.NewShape(at) for at in range(options.NewShapeLength())])
    if o.inputs[0] in net.spreads:  # a sequence loses the axis that it gained
        net.squeeze(o.inputs[0], o.outputs[0], [net.spreads[o.inputs[0]].axis])
        return
    net.step("Reshape", [o.inputs[0], to], o.outputs)


def squeeze(net: _Net, o: Call) -> None:
    options = o.read("SqueezeOptions")
    axes = [options.SqueezeDims(at) for at in range(options.SqueezeDimsLength())]
    net.squeeze(o.inputs[0], o.outputs[0], axes)


def strided_slice(net: _Net, o: Call) -> None:
    options = o.read("StridedSliceOptions")
    masks = {
        "begin": options.BeginMask(),
        "end": options.EndMask(),
        "ellipsis": options.EllipsisMask(),
        "new_axis": options.NewAxisMask(),
        "shrink_axis": options.ShrinkAxisMask(),
    }
    net.strided_slice(o.inputs, o.outputs[0], masks)


def gather(net: _Net, o: Call) -> None:
    options = o.read("GatherOptions")
    if options.BatchDims():
        raise Unwritten("it looks up in each example apart")
    net.step("Gather", o.inputs, o.outputs, axis=options.Axis())


def mirror_pad(net: _Net, o: Call) -> None:
    if o.read("MirrorPadOptions").Mode() != 0:
        raise Unwritten("it repeats the border")
    net.pad(o.inputs[0], o.outputs[0], o.inputs[1], "reflect")


def _resize(mode: str, table: str) -> Rule:
    def write(net: _Net, o: Call) -> None:
        options = o.read(table)
        centred = options.HalfPixelCenters() and not options.AlignCorners()
        net.resize(o.inputs[0], o.outputs[0], o.inputs[1], mode, centred=centred)

    return write


def _blocks(op: str) -> Rule:
    def write(net: _Net, o: Call) -> None:
        size = o.read(f"{op}Options").BlockSize()
        net.with_channels(op, o.inputs, o.outputs[0], 4, blocksize=size)

    return write


def batch_matmul(net: _Net, o: Call) -> None:
    options = o.read("BatchMatMulOptions")
    turn_a, turn_b = bool(options.AdjX()), bool(options.AdjY())
    net.product(o.inputs[0], o.inputs[1], o.outputs[0], turn_a=turn_a, turn_b=turn_b)


def rounded(net: _Net, o: Call) -> None:
    """Write what rounds values to whole numbers, or makes them real again."""
    net.is_rounded = True
    net.values[o.operator.outputs[0]] = o.inputs[0]


def cast(net: _Net, o: Call) -> None:
    is_whole = net.file.tensors[o.operator.outputs[0]].dtype in INTEGERS
    net.step("Cast", o.inputs, o.outputs, to=7 if is_whole else 1)


def lstm(net: _Net, o: Call) -> None:
    """Write an LSTM, whose gates have an array each: input, forget, candidate, output."""
    options = o.read("UnidirectionalSequenceLSTMOptions")
    names = [*o.inputs, *[""] * (24 - len(o.inputs))]
    if any(names[place] for place in (*range(9, 12), 16, 17, *range(20, 24))):
        raise Unwritten("it has peepholes, a projection or norms")
    if any(not names[place] for place in (*range(1, 9), *range(12, 16))):
        raise Unwritten("its gates are coupled")
    if options.FusedActivationFunction() != 4:
        raise Unwritten("its function is not tanh")
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
    x = o.inputs[0]
    if not options.TimeMajor():
        x = net.made("Transpose", x, perm=[1, 0, 2])
    units = net.kernel(names[5], 2)[1]
    y = net.made("LSTM", x, kernel, inner, bias, hidden_size=units)
    y = net.made("Squeeze", y, net.ints([1]))
    if options.TimeMajor():
        net.step("Identity", [y], o.outputs)
    else:
        net.step("Transpose", [y], o.outputs, perm=[1, 0, 2])


OPERATORS: Final[Mapping[str, Rule]] = {
    # TFLite's names are TensorFlow's in capitals, as EXPAND_DIMS is.
    **{re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper(): ALIKE[name] for name in ALIKE},
    "ADD": _binary("Add"),
    "AVERAGE_POOL_2D": _pool("AveragePool"),
    "BATCH_MATMUL": batch_matmul,
    "CAST": cast,
    "CONCATENATION": _fusing(
        "ConcatenationOptions",
        lambda net, o, options: net.step("Concat", o.inputs, o.outputs[:1], axis=options.Axis()),
    ),
    "CONV_2D": _fusing("Conv2DOptions", conv_2d),
    "CONV_3D": _fusing("Conv3DOptions", conv_3d),
    "DEPTHWISE_CONV_2D": _fusing("DepthwiseConv2DOptions", depthwise_conv_2d),
    "DEPTH_TO_SPACE": _blocks("DepthToSpace"),
    "DEQUANTIZE": rounded,
    "DIV": _binary("Div"),
    "EMBEDDING_LOOKUP": lambda net, o: net.step("Gather", o.inputs[::-1], o.outputs, axis=0),
    "FAKE_QUANT": rounded,
    "FULLY_CONNECTED": _fusing("FullyConnectedOptions", fully_connected),
    "GATHER": gather,
    "GELU": plain("Gelu", gelu),
    "HARD_SWISH": plain("HardSwish"),
    "L2_NORMALIZATION": plain("LpNormalization", axis=-1, p=2),
    "L2_POOL_2D": _pool("LpPool"),
    "LEAKY_RELU": plain(
        "LeakyRelu", lambda o: {"alpha": shortest(o.read("LeakyReluOptions").Alpha())}
    ),
    "LOCAL_RESPONSE_NORMALIZATION": lrn,
    "LOGISTIC": plain("Sigmoid"),
    "MAX_POOL_2D": _pool("MaxPool"),
    "MEAN": _reduced("ReduceMean"),
    "MIRROR_PAD": mirror_pad,
    "MUL": _binary("Mul"),
    "PACK": lambda net, o: net.pack(o.inputs, o.outputs[0], o.read("PackOptions").Axis()),
    "PADV2": ALIKE["Pad"],
    "PRELU": plain("PRelu"),
    "QUANTIZE": rounded,
    "REDUCE_MAX": _reduced("ReduceMax"),
    "REDUCE_MIN": _reduced("ReduceMin"),
    "REDUCE_PROD": _reduced("ReduceProd"),
    "RELU_0_TO_1": plain("Clip", min=0.0, max=1.0),
    "RELU_N1_TO_1": plain("Clip", min=-1.0, max=1.0),
    "RESHAPE": reshape,
    "RESIZE_BILINEAR": _resize("linear", "ResizeBilinearOptions"),
    "RESIZE_NEAREST_NEIGHBOR": _resize("nearest", "ResizeNearestNeighborOptions"),
    "SPACE_TO_DEPTH": _blocks("SpaceToDepth"),
    "SQUEEZE": squeeze,
    "STRIDED_SLICE": strided_slice,
    "SUB": _binary("Sub"),
    "SUM": _reduced("ReduceSum"),
    "TRANSPOSE_CONV": _fusing("TransposeConvOptions", transpose_conv),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": lstm,
    "UNPACK": lambda net, o: net.unpack(o.inputs[0], o.outputs, o.read("UnpackOptions").Axis()),
}
"""The operators, by TFLite's names."""
