"""TensorFlow's SavedModels: the graph behind a signature, without the checkpoint beside it.

A signature leads to a graph of TensorFlow's operators: calls of functions are followed, variables
and constants are told from maps, and what Keras wrote as several operators (a convolution and its
bias, a batch norm) becomes one op again. The shapes of weights are in the graph; their values are
in a checkpoint, which is not read.
"""

from __future__ import annotations

import math
import mmap
import operator
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, Final, TypeAlias

from archspec.element import ArgumentProblems, Element
from archspec.errors import UsageError
from archspec.graph.graph import Node
from archspec.imports.building import ModelBuilder, one_or_each
from archspec.imports.inputs import NOTHING_GIVEN, Given
from archspec.imports.keras.reader import read_saved
from archspec.imports.limits import open_file, refuse
from archspec.imports.model import Arrays, ImportedModel
from archspec.imports.protobuf import Reader, Schemas, Span
from archspec.imports.tensornames import common_root, is_nameless, layer_name
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
from archspec.ops.arrangement import Flatten, Reshape, Upsample
from archspec.ops.axes import names_of_axes
from archspec.ops.convolution import (
    Convolution,
    DepthwiseConvolution,
    FullyConnected,
    TransposedConvolution,
)
from archspec.ops.elementwise import Activate, Rescale, Scale, Softmax
from archspec.ops.merge import Add, Concat, Divide, Max, Min, Multiply, Subtract
from archspec.ops.normalization import BatchNorm, LocalResponseNorm
from archspec.ops.op import Op, Weight
from archspec.ops.pooling import AvgPool, GlobalAvgPool, GlobalMaxPool, MaxPool
from archspec.ops.shuffles import DepthToSpace, Permute, SpaceToDepth
from archspec.ops.unknown import Unknown

MOST_CALLS: Final = 30
"""Largest number of functions that call each other."""

MOST_STEPS: Final = 300_000
"""Largest number of operators that are followed."""

MOST_VALUES: Final = 64
"""Largest number of values of a constant that are read."""

_SCHEMAS: Final[Schemas] = {
    "SavedModel": {2: ("meta_graphs", "MetaGraph*")},
    "MetaGraph": {
        1: ("meta_info_def", "MetaInfo"),
        2: ("graph_def", "Graph"),
        5: ("signature_def", "SignatureEntry*"),
        3: ("saver_def", "Saver"),
        7: ("object_graph_def", "Objects"),
    },
    "Saver": {3: ("restore_op_name", "text")},
    "MetaInfo": {4: ("tags", "text*"), 5: ("tensorflow_version", "text")},
    "Graph": {1: ("node", "Node*"), 2: ("library", "Library")},
    "Library": {1: ("function", "spans")},
    "FunctionHead": {1: ("signature", "Name")},
    "Name": {1: ("name", "text")},
    "Function": {
        1: ("signature", "Signature"),
        3: ("node_def", "Node*"),
        4: ("ret", "TextEntry*"),
    },
    "Signature": {1: ("name", "text"), 2: ("input_arg", "Name*"), 3: ("output_arg", "Name*")},
    "Node": {
        1: ("name", "text"),
        2: ("op", "text"),
        3: ("input", "text*"),
        5: ("attr", "AttributeEntry*"),
    },
    "AttributeEntry": {1: ("key", "text"), 2: ("value", "Attribute")},
    "Attribute": {
        1: ("list", "List"),
        2: ("s", "bytes"),
        3: ("i", "int"),
        4: ("f", "float"),
        5: ("b", "int"),
        7: ("shape", "Shape"),
        8: ("tensor", "Tensor"),
        10: ("func", "Name"),
    },
    "List": {3: ("i", "int*"), 7: ("shape", "Shape*")},
    "Shape": {2: ("dim", "Dimension*"), 3: ("unknown_rank", "int")},
    "Dimension": {1: ("size", "int")},
    "Tensor": {
        1: ("dtype", "int"),
        2: ("tensor_shape", "Shape"),
        4: ("tensor_content", "spans"),
        5: ("float_val", "float*"),
        6: ("double_val", "double*"),
        7: ("int_val", "int*"),
        8: ("string_val", "text*"),
        10: ("int64_val", "int*"),
    },
    "SignatureEntry": {1: ("key", "text"), 2: ("value", "Ends")},
    "Ends": {1: ("inputs", "EndEntry*"), 2: ("outputs", "EndEntry*")},
    "EndEntry": {1: ("key", "text"), 2: ("value", "End")},
    "End": {1: ("name", "text"), 3: ("tensor_shape", "Shape")},
    "TextEntry": {1: ("key", "text"), 2: ("value", "text")},
    "Objects": {1: ("nodes", "Object*")},
    "Object": {1: ("children", "Child*"), 7: ("variable", "Variable")},
    "Child": {1: ("node_id", "int"), 2: ("local_name", "text")},
    "Variable": {3: ("trainable", "int"), 6: ("name", "text")},
}
"""Every message that is read: the numbers are those of TensorFlow's definitions."""

_DTYPES: Final = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8", 19: "<f2"}
"""NumPy's name of each number type, by TensorFlow's number."""

Dims: TypeAlias = "tuple[int | None, ...] | None"
"""A shape with the batch; None where it is not told, and for an open extent."""


@dataclass(frozen=True)
class Variable:
    """A variable, or what is the same with other extents or of another type."""

    name: str
    shape: tuple[int, ...]
    trainable: bool = True
    handle: str = ""
    """Name of the operator that makes it in the main graph."""


@dataclass(frozen=True)
class Constant:
    """A constant; of a large one, the shape alone."""

    shape: tuple[int, ...]
    values: tuple[float, ...] | None


@dataclass(frozen=True)
class Derived:
    """A value that is computed from variables and constants alone."""

    kind: str
    inputs: tuple[Any, ...]


@dataclass(frozen=True)
class Extents:
    """A value that is computed from the shapes of maps."""


@dataclass(eq=False)
class Waiting:
    """A map that is added when it is known what follows: a layer without its bias yet."""

    add: Callable[[Step, Any], Node]
    """Adds the layer with the bias that an operator adds to it; None stands for no bias."""
    step: Step
    channels: int
    is_norm: bool = False
    """Whether it is the product of a batch norm, whose offset follows."""
    is_reshaped: bool = False
    """Whether it has other axes until its bias follows: a convolution of a sequence has one more, a
    product at each place has the places in the batch."""
    node: Node | None = None
    """Its node, once it is added."""


@dataclass(frozen=True)
class Spread:
    """A map whose places stand in the batch: half of a dilated convolution."""

    x: Node
    block: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    step: Step | None = None
    """The convolution of it, if that came already."""
    kernel: Any = None


@dataclass(frozen=True)
class Widened:
    """A sequence with an axis of 1 more, as convolutions and pools of sequences read it."""

    x: Node
    axis: int
    """The axis that it has more, from 0 without the batch."""


@dataclass(frozen=True)
class Repeated:
    """A map with an axis more, along which its values are repeated."""

    x: Node
    axis: int
    """The axis of the map before which the other one stands, from 0 without the batch."""
    count: int = 1


@dataclass(frozen=True)
class Step:
    """An operator of a graph or of a function."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def integers(self, name: str) -> list[int]:
        return list(self.attributes.get(name, {}).get("list", {}).get("i", []))

    def integer(self, name: str, default: int = 0) -> int:
        return int(self.attributes.get(name, {}).get("i", default))

    def real(self, name: str, default: float) -> float:
        return float(self.attributes.get(name, {}).get("f", default))

    def flag(self, name: str) -> bool:
        return bool(self.attributes.get(name, {}).get("b", 0))

    def word(self, name: str) -> str:
        return bytes(self.attributes.get(name, {}).get("s", b"")).decode(errors="replace")

    def declared(self, output: int = 0) -> Dims:
        """Return the shape that the file declares for an output."""
        shapes = self.attributes.get("_output_shapes", {}).get("list", {}).get("shape", [])
        return _dims(shapes[output]) if output < len(shapes) else None

    @property
    def declared_outputs(self) -> int:
        """Number of outputs whose shapes the file declares."""
        return len(self.attributes.get("_output_shapes", {}).get("list", {}).get("shape", []))


@dataclass
class Scope:
    """A graph or a function: its operators, and their outputs so far."""

    steps: dict[str, Step]
    values: dict[str, list[Any]] = field(default_factory=dict)
    readers: dict[str, list[Step]] = field(default_factory=dict)
    """The operators that read each operator."""


def _dims(shape: Mapping[str, Any]) -> Dims:
    """Return the extents in a shape's message."""
    if shape.get("unknown_rank"):
        return None
    sizes = [dim.get("size", 0) for dim in shape.get("dim", [])]
    return tuple(None if size < 0 else size for size in sizes)


def _scope(nodes: Sequence[Mapping[str, Any]]) -> Scope:
    steps = {}
    for node in nodes:
        attributes = {
            entry.get("key", ""): entry.get("value", {}) for entry in node.get("attr", [])
        }
        inputs = tuple(each for each in node.get("input", []) if not each.startswith("^"))
        name = node.get("name", "")
        steps[name] = Step(name, node.get("op", ""), inputs, attributes)
    readers: dict[str, list[Step]] = {}
    for step in steps.values():
        for source in {_source(each)[0] for each in step.inputs}:
            readers.setdefault(source, []).append(step)
    return Scope(steps, readers=readers)


def _source(text: str) -> tuple[str, int]:
    """Return the operator that an input names, and the number of its output.

    A graph writes `name` or `name:1`, a function `name:output:1`.
    """
    name, *rest = text.split(":")
    return name, int(rest[-1]) if rest and rest[-1].isdecimal() else 0


@dataclass
class _Net:
    """A SavedModel as it is read."""

    reader: Reader
    path: Path
    functions: dict[str, Span]
    trainable: dict[str, bool]
    builder: ModelBuilder
    root: str = ""
    """The part before the names of operators that all of them share."""
    suffix: str = ""
    """The end of all layers' names that Keras adds when it traces a model for its export."""
    names: set[str] = field(default_factory=set)
    steps: int = 0
    params: dict[str, int] = field(default_factory=dict)
    """Number of values of each variable that the network uses."""
    arrays: dict[str, list[tuple[Variable, tuple[int, ...]]]] = field(default_factory=dict)
    """The variables of each node, and their shapes as weights of its op."""
    unfit: list[str] = field(default_factory=list)
    """Names of nodes whose weights are computed from variables."""

    def name(self, step: Step) -> str:
        """Return the name of an operator: that of its layer, or its own if that is taken."""
        if is_nameless(step.name):
            return step.kind
        layer, mark, rest = step.name.removeprefix(self.root).partition("/")
        name = f"{layer.removesuffix(self.suffix)}{mark}{rest}" if mark else layer
        short = layer_name(name, "")
        return name if short in self.names else short

    def add(
        self,
        step: Step,
        kind: type[Element],
        *inputs: Node,
        by: Step | None = None,
        weights: Sequence[Any] = (),
        without: int | None = None,
        **arguments: Any,
    ) -> Node:
        """Add an op for an operator.

        Args:
            step: The operator.
            kind: The op's class.
            inputs: The nodes that it reads.
            by: The operator that has the name, if that is another.
            weights: The values that are its weights.
            without: The axis that the operator's output has more, from 0 without the batch.
            arguments: The op's arguments.
        """
        variables = [each for value in weights for each in _variables(value)]
        self.count(variables)
        try:
            op: Op = kind.parse(arguments)
        except ArgumentProblems as problems:
            return self.unknown(step, *inputs, reason=str(problems))
        name = self.name(by or step)
        self.names.add(name)
        declared = _without_batch(step.declared())
        if declared is not None and without is not None:
            declared = declared[:without] + declared[without + 1 :]
        if kind is FullyConnected and declared and len(declared) < len(inputs[0].shape):
            declared = None  # its places stand in the batch
        node = self.builder.add(
            op,
            *inputs,
            name=name,
            type_name=step.kind,
            declared=declared,
            weights=tuple(each.name for each in variables),
        )
        self._keep(node, [each for each in weights if each is not None])
        return node

    def _keep(self, node: Node, weights: Sequence[Any]) -> None:
        """Remember the variables that are a node's weights."""
        wanted = node.layer.weights
        variables = [each for each in weights if isinstance(each, Variable)]
        if not wanted or isinstance(node.op, Unknown):
            return
        if len(variables) == len(wanted) and all(
            prod(variable.shape) == prod(weight.shape)
            and (variable.shape == weight.shape or len(variable.shape) != len(weight.shape))
            for variable, weight in zip(variables, wanted, strict=True)
        ):
            pairs = zip(variables, wanted, strict=True)
            self.arrays[node.name] = [(variable, weight.shape) for variable, weight in pairs]
        else:
            self.unfit.append(node.name)

    def count(self, variables: Iterable[Variable]) -> None:
        """Count the variables of a layer, each once."""
        self.params.update({each.name: prod(each.shape) for each in variables})

    def unknown(
        self,
        step: Step,
        *inputs: Node,
        reason: str = "archspec does not know this operator",
        output: int | None = 0,
        weights: Sequence[Any] = (),
    ) -> Node:
        """Add a layer that archspec does not know; its shape is that of an output, or of none."""
        name = self.name(step)
        self.names.add(name)
        variables = {each.name: each for value in weights for each in _variables(value)}
        self.count(variables.values())
        return self.builder.unknown(
            step.kind,
            *inputs,
            name=name,
            reason=reason,
            declared=None if output is None else _without_batch(step.declared(output)),
            arrays=tuple(
                Weight(each.name, each.shape, each.trainable) for each in variables.values()
            ),
        )

    def node(self, value: Any) -> Node | None:
        """Return the node of a map, which is added now if it waited; None for another value."""
        if isinstance(value, Waiting):
            value.node = value.node or value.add(value.step, None)
            return value.node
        if isinstance(value, Spread | Repeated | Widened):
            return value.x
        return value if isinstance(value, Node) else None


def _without_batch(dims: Dims) -> tuple[int | None, ...] | None:
    return dims[1:] if dims is not None and len(dims) > 1 else None


def read(path: str | os.PathLike[str], *, given: Given = NOTHING_GIVEN) -> ImportedModel:
    """Return the network of a SavedModel: the folder, or the `saved_model.pb` in it.

    Args:
        path: The folder or the file.
        given: What is known of its inputs beside that.

    Raises:
        UsageError: It cannot be read, is damaged, or no signature leads to a network.
    """
    path = Path(path)
    described = read_saved(path if path.is_dir() else path.parent, given)
    if described is not None:
        return described
    file = path / "saved_model.pb" if path.is_dir() else path
    with open_file(file) as stream:
        try:
            content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:
            refuse(file, "it is empty")
    reader = Reader(content, _SCHEMAS, file)
    graphs = reader.message("SavedModel").get("meta_graphs", [])
    serving = [
        graph for graph in graphs if "serve" in graph.get("meta_info_def", {}).get("tags", [])
    ]
    if not graphs:
        refuse(file, "it holds no graph")
    graph = (serving or graphs)[0]
    key, ends = _signature(file, graph)
    inputs = {each["key"]: each.get("value", {}) for each in ends.get("inputs", [])}
    outputs = {each["key"]: each.get("value", {}) for each in ends.get("outputs", [])}
    shapes = {
        name: _without_batch(_dims(end.get("tensor_shape", {"unknown_rank": 1}))) or ()
        for name, end in inputs.items()
    }
    version = graph.get("meta_info_def", {}).get("tensorflow_version", "")
    written = f", written by TensorFlow {version}" if version else ""
    builder = ModelBuilder(
        path,
        shapes,
        name=(path if path.is_dir() else path.parent).resolve().name,
        format_name=f"SavedModel{written}",
        given=given,
    )
    spans = graph.get("graph_def", {}).get("library", {}).get("function", [])
    functions = {
        reader.message("FunctionHead", span).get("signature", {}).get("name", ""): span
        for span in spans
    }
    trainable = _trainable(graph.get("object_graph_def", {}).get("nodes", []))
    net = _Net(reader, path, functions, trainable, builder)
    scope = _scope(graph.get("graph_def", {}).get("node", []))
    for name, end in inputs.items():
        scope.values[_source(end.get("name", ""))[0]] = [builder.inputs[name]]
    found = {}
    for name, end in outputs.items():
        source, number = _source(end.get("name", ""))
        _run(net, scope, [source], 0)
        node = net.node(_output(scope, source, number))
        if node is not None:
            found[name] = node
    if key != "serving_default":
        builder.note(f"The signature {key} is shown.")
    prefix = file.parent / "variables" / "variables"
    weights = None
    if prefix.with_suffix(".index").is_file():
        keys = _keys(net, scope, graph.get("saver_def", {}).get("restore_op_name", ""))
        weights = partial(_arrays, net, prefix, keys)
    elif net.params:
        builder.note("The values of the weights are not there: a folder `variables` has them.")
    params = sum(net.params.values()) if net.params else None
    return builder.finish(found, params=params, weights=weights)


def _keys(net: _Net, scope: Scope, restore: str) -> dict[str, str]:
    """Return the key in the checkpoint of each variable, by the operator that makes it.

    The graph itself says so: it has the operators that read the checkpoint and assign each array.
    """
    step = scope.steps.get(restore)
    if step is None:
        return {}
    handles = {name: name for name in scope.steps}
    steps = scope.steps
    if step.kind in _CALLS:
        name = step.attributes.get("f", {}).get("func", {}).get("name", "")
        if name not in net.functions:
            return {}
        function = net.reader.message("Function", net.functions[name])
        arguments = [
            each.get("name", "") for each in function.get("signature", {}).get("input_arg", [])
        ]
        given = [_source(each)[0] for each in step.inputs]
        handles = dict(zip(arguments, given, strict=False))
        steps = _scope(function.get("node_def", [])).steps
    found: dict[str, str] = {}
    for each in steps.values():
        if each.kind not in ("AssignVariableOp", "Assign") or len(each.inputs) != 2:
            continue
        handle, (source, number) = handles.get(_source(each.inputs[0])[0]), _source(each.inputs[1])
        while source in steps and steps[source].kind == "Identity" and steps[source].inputs:
            source, number = _source(steps[source].inputs[0])
        read = steps.get(source)
        if handle is None or read is None or read.kind != "RestoreV2" or len(read.inputs) < 2:
            continue
        names = steps.get(_source(read.inputs[1])[0])
        tensor = {} if names is None else names.attributes.get("value", {}).get("tensor", {})
        keys = tensor.get("string_val", [])
        if number < len(keys):
            found[handle] = keys[number]
    return found


def _arrays(net: _Net, prefix: Path, keys: Mapping[str, str]) -> Arrays:
    """Return the weights of each node from the checkpoint."""
    from archspec.imports.checkpoint import Checkpoint  # noqa: PLC0415  (a table needs none)

    if net.unfit:
        more = f" (and {len(net.unfit) - 1} more such)" if net.unfit[1:] else ""
        raise UsageError(
            f"{net.path}: the weights of {net.unfit[0]} are computed from variables{more}, so they "
            "cannot be given"
        )
    checkpoint = Checkpoint(prefix)

    def value(node: str, variable: Variable, shape: tuple[int, ...]) -> Any:
        key = keys.get(variable.handle)
        if key is None:
            raise UsageError(f"{net.path}: nothing restores `{variable.name}`, a weight of {node}")
        array = checkpoint.values(key)
        if array.shape != variable.shape:
            refuse(checkpoint.path, f"`{key[:80]}` has other extents than the graph's variable")
        return array.reshape(shape)

    return {node: [value(node, *each) for each in stored] for node, stored in net.arrays.items()}


def _trainable(objects: Sequence[Mapping[str, Any]]) -> dict[str, bool]:
    """Return whether training changes each variable.

    Keras lists the trainable ones beside the model; what it stores with a variable itself is true
    for those of frozen layers too, and counts for models of others.
    """
    found = {
        each["variable"].get("name", ""): bool(each["variable"].get("trainable"))
        for each in objects
        if "variable" in each
    }
    lists = {
        child.get("local_name", ""): child.get("node_id", 0)
        for child in (objects[0].get("children", []) if objects else [])
    }
    place = lists.get("trainable_variables", -1)
    if 0 <= place < len(objects):
        listed = [child.get("node_id", 0) for child in objects[place].get("children", [])]
        names = [objects[at].get("variable", {}) for at in listed if 0 <= at < len(objects)]
        found = dict.fromkeys(found, False) | {each.get("name", ""): True for each in names}
    return found


def _signature(file: Path, graph: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return the name and the ends of the signature that serves, or of the first."""
    signatures = {
        entry.get("key", ""): entry.get("value", {}) for entry in graph.get("signature_def", [])
    }
    usable = {key: ends for key, ends in signatures.items() if ends.get("inputs")}
    if not usable:
        raise UsageError(
            f"{file} has no signature, so nothing says where its network begins: save it with "
            "`tf.saved_model.save(model, path, signatures=...)`, or with `model.export(path)` of "
            "Keras"
        )
    key = "serving_default" if "serving_default" in usable else next(iter(usable))
    return key, usable[key]


def _output(scope: Scope, name: str, number: int) -> Any:
    values = scope.values.get(name, [])
    return values[number] if number < len(values) else Extents()


def _run(net: _Net, scope: Scope, wanted: Sequence[str], depth: int) -> None:
    """Carry out the operators that some of a scope need, each after what it reads."""
    stack = [(name, False) for name in reversed(wanted)]
    begun: set[str] = set()
    while stack:
        name, is_ready = stack.pop()
        if name in scope.values:
            continue
        step = scope.steps.get(name)
        if step is None:
            refuse(net.path, f"an operator reads `{name[:80]}`, which is not there")
        if is_ready:
            net.steps += 1
            if net.steps > MOST_STEPS:
                refuse(net.path, f"it has more than {MOST_STEPS:,} operators")
            values = [_output(scope, *_source(each)) for each in step.inputs]
            made = _made(net, scope, step, values, depth)
            scope.values[name] = made if isinstance(made, list) else [made]
            continue
        if name in begun:
            raise UsageError(f"{net.path} cannot be shown: its operators form a loop")
        begun.add(name)
        stack.append((name, True))
        sources = [_source(each)[0] for each in step.inputs]
        stack += [(each, False) for each in reversed(sources) if each not in scope.values]


def _made(net: _Net, scope: Scope, step: Step, values: list[Any], depth: int) -> Any:
    """Return the value of an operator, or a list of the values of all its outputs."""
    if step.kind in _CALLS and step.attributes.get("f", {}).get("func"):
        return _called(net, step.attributes["f"]["func"].get("name", ""), values, depth)
    if step.kind in {"VarHandleOp", "VariableV2", "Variable"}:
        return _variable(net, step)
    if step.kind == "Const":
        return _constant(net, step)
    if step.kind in _SAME:
        return values if step.kind == "IdentityN" else values[0]
    if step.kind == "Shape":
        return Extents()
    if not any(isinstance(value, Node | Waiting | Spread | Repeated | Widened) for value in values):
        if any(isinstance(value, Extents) for value in values):
            return Extents()
        return _computed(step, values)
    rule = OPERATORS.get(step.kind)
    is_spread = any(isinstance(value, Spread) for value in values)
    is_repeated = any(isinstance(value, Repeated) for value in values)
    if (
        rule is None
        or (is_spread and step.kind not in _ON_SPREAD)
        or (is_repeated and step.kind not in _ON_REPEATED)
    ):
        inputs = [node for node in map(net.node, values) if node is not None]
        outputs = _outputs(scope, step)
        reason = _REASONS.get(step.kind, "archspec does not know this operator")
        output = 0 if outputs == 1 else None
        return [net.unknown(step, *inputs, reason=reason, output=output, weights=values)] * outputs
    return rule(net, scope, step, values)


def _outputs(scope: Scope, step: Step) -> int:
    """Return the number of an operator's outputs, as far as any is read or declared."""
    sources = [_source(each) for by in scope.readers.get(step.name, ()) for each in by.inputs]
    read = [number for name, number in sources if name == step.name]
    return max(max(read, default=0) + 1, step.declared_outputs, 1)


def _computed(step: Step, values: list[Any]) -> Any:
    """Return the value of an operator that reads variables and constants alone."""
    if step.kind in _REFORMED and isinstance(values[0], Variable):
        return values[0]
    constants = [value for value in values if isinstance(value, Constant)]
    numbers = [value.values for value in constants]
    if len(constants) < len(values) or None in numbers:
        return Derived(step.kind, tuple(values))
    if step.kind in _REFORMED:
        return Constant((len(numbers[0] or ()),), numbers[0])
    if step.kind in {"Pack", "ConcatV2"}:
        parts = numbers if step.kind == "Pack" else numbers[:-1]
        joined = tuple(number for part in parts for number in part or ())
        return Constant((len(joined),), joined[:MOST_VALUES])
    function = _ARITHMETIC.get(step.kind)
    if function is None:
        return Derived(step.kind, tuple(values))
    longest = max((len(part or ()) for part in numbers), default=0)
    widened = [part * longest if part and len(part) == 1 else part or () for part in numbers]
    try:
        made = tuple(function(*each) for each in zip(*widened, strict=True))
    except (ArithmeticError, TypeError, ValueError):
        return Derived(step.kind, tuple(values))
    return Constant(max((each.shape for each in constants), key=len, default=()), made)


_ARITHMETIC: Final[Mapping[str, Callable[..., float]]] = {
    "Add": operator.add,
    "AddV2": operator.add,
    "Maximum": max,
    "Mul": operator.mul,
    "Rsqrt": lambda x: 1 / math.sqrt(x),
    "Sqrt": math.sqrt,
    "Sub": operator.sub,
}
"""Operators that are computed of small constants, as a Normalization layer has them."""


_LOOP: Final = "it repeats its steps as often as the values say when it runs"
_BRANCH: Final = "it chooses its steps by the values when it runs"
_REASONS: Final[Mapping[str, str]] = {
    "While": _LOOP, "StatelessWhile": _LOOP,
    "If": _BRANCH, "StatelessIf": _BRANCH, "Case": _BRANCH, "StatelessCase": _BRANCH,
}  # fmt: skip
"""Why operators that no table can show are unknown."""

_CALLS: Final = {"PartitionedCall", "StatefulPartitionedCall"}
_SAME: Final = {
    "Identity", "IdentityN", "ReadVariableOp", "StopGradient", "PreventGradient", "CheckNumerics",
    "Cast", "PlaceholderWithDefault", "EnsureShape",
}  # fmt: skip
"""Operators whose output is their input."""

_REFORMED: Final = {"Reshape", "Squeeze", "ExpandDims"}
"""Operators that give a variable other extents."""

_ON_SPREAD: Final = {"Conv2D", "DepthwiseConv2dNative", "BatchToSpaceND"}
"""Operators that may read a map whose places stand in the batch."""

_ON_WIDENED: Final = {"Conv2D", "DepthwiseConv2dNative", "MaxPool", "AvgPool"}
"""Operators that may read a sequence with an axis more."""

_ON_REPEATED: Final = {"Tile", "Reshape"}
"""Operators that may read a map whose values are repeated along an axis of its own."""


def _called(net: _Net, name: str, values: list[Any], depth: int) -> Any:
    """Return the outputs of a function for these inputs."""
    span = net.functions.get(name)
    if span is None:
        refuse(net.path, f"there is no function `{name[:80]}`")
    if depth >= MOST_CALLS:
        refuse(net.path, f"more than {MOST_CALLS} functions call each other")
    function = net.reader.message("Function", span)
    scope = _scope(function.get("node_def", []))
    signature = function.get("signature", {})
    for argument, value in zip(signature.get("input_arg", []), values, strict=False):
        scope.values[argument.get("name", "")] = [value]
    if not net.root:
        net.root = common_root(scope.steps)
        net.suffix = _added_suffix(scope.steps, net.root, net.trainable)
    results = {entry.get("key", ""): entry.get("value", "") for entry in function.get("ret", [])}
    sources = [
        _source(results.get(each.get("name", ""), "")) for each in signature.get("output_arg", [])
    ]
    _run(net, scope, [name for name, _ in sources], depth + 1)
    return [_output(scope, *source) for source in sources]


def _added_suffix(names: Iterable[str], root: str, variables: Iterable[str]) -> str:
    """Return the `_1` that Keras adds to each layer's name when it exports a model; else nothing.

    Args:
        names: The names of the operators.
        root: The part before them that all have in common.
        variables: The names of the variables, to which nothing is added.
    """
    inside = [name.removeprefix(root) for name in names if name.startswith(root)]
    layers = {name.partition("/")[0] for name in inside if "/" in name}
    owners = {name.partition("/")[0] for name in variables if "/" in name}
    # A second call of a layer has a higher number.
    is_added = all(re.search(r"_\d+$", name) for name in layers) and not layers & owners
    return "_1" if is_added and owners & {name.removesuffix("_1") for name in layers} else ""


def _variable(net: _Net, step: Step) -> Variable:
    dims = _dims(step.attributes.get("shape", {}).get("shape", {})) or ()
    name = step.word("shared_name") or step.name
    shape = tuple(n or 0 for n in dims)
    # A second handle of one variable has a number after its name.
    stored = name if name in net.trainable else re.sub(r"_\d+$", "", name)
    return Variable(name, shape, net.trainable.get(stored, True), step.name)


def _constant(net: _Net, step: Step) -> Constant:
    """Return a constant, with its values if they are few."""
    tensor = step.attributes.get("value", {}).get("tensor", {})
    shape = tuple(n or 0 for n in _dims(tensor.get("tensor_shape", {})) or ())
    size = prod(shape)
    if size > MOST_VALUES:
        return Constant(shape, None)
    values: list[float] = next(
        (
            tensor[name]
            for name in ("float_val", "double_val", "int_val", "int64_val")
            if name in tensor
        ),
        [],
    )
    dtype = _DTYPES.get(tensor.get("dtype", 0))
    if not values and tensor.get("tensor_content") and dtype:
        import numpy as np  # noqa: PLC0415

        start, stop = tensor["tensor_content"][-1]
        values = np.frombuffer(net.reader.data[start:stop], dtype).tolist()
    if values and len(values) < size:  # equal values at the end are written once
        values = [*values, *[values[-1]] * (size - len(values))]
    return Constant(shape, tuple(values[:size]) if len(values) >= size else None)


def _variables(value: Any) -> Iterator[Variable]:
    """Yield the variables that a value is computed from, in order."""
    stack, count = [value], 0
    while stack and count < MOST_VALUES:
        each = stack.pop()
        count += 1
        if isinstance(each, Variable):
            yield each
        elif isinstance(each, Derived):
            stack += reversed(each.inputs)


def _shape(value: Any) -> tuple[int, ...]:
    """Return the shape of a variable or a constant; () for another value."""
    return value.shape if isinstance(value, Variable | Constant) else ()


def _integers(value: Any) -> list[int] | None:
    """Return the values of a small constant as whole numbers; None for another value."""
    if not isinstance(value, Constant) or value.values is None:
        return None
    return [int(number) for number in value.values]


Rule: TypeAlias = Callable[[_Net, Scope, Step, "list[Any]"], Any]


def _frozen(*weights: Any) -> dict[str, Any]:
    """Return the argument of a layer with weights that training does not change."""
    variables = [each for value in weights for each in _variables(value)]
    is_frozen = bool(variables) and not any(each.trainable for each in variables)
    return {"trainable": False} if is_frozen else {}


def _spatial(step: Step, name: str) -> list[int]:
    """Return an attribute along the places, of one number for each axis."""
    numbers = step.integers(name) or [1, 1, 1, 1]
    return numbers[2:] if step.word("data_format").startswith("NC") else numbers[1:-1]


def _along(step: Step, name: str, read: Any) -> list[int]:
    """Return an attribute along the axes of what is read; without that which a sequence gained."""
    numbers = _spatial(step, name)
    if isinstance(read, Widened):
        del numbers[read.axis : read.axis + 1]
    return numbers


def _padding(step: Step) -> Any:
    word = step.word("padding")
    if word != "EXPLICIT":
        return word.lower() or "valid"
    amounts = step.integers("explicit_paddings")
    pairs = list(zip(amounts[::2], amounts[1::2], strict=False))
    return tuple(pairs[2:] if step.word("data_format").startswith("NC") else pairs[1:-1])


def _later(scope: Scope, step: Step, channels: int, add: Callable[[Step, Any], Node]) -> Any:
    """Return a layer that waits for its bias if one operator reads it; else its node."""
    if len(scope.readers.get(step.name, ())) == 1:
        return Waiting(add, step, channels)
    return add(step, None)


def convolution(net: _Net, scope: Scope, step: Step, values: list[Any]) -> Any:
    """Add Conv2D, Conv3D or DepthwiseConv2dNative."""
    x, kernel = values
    if isinstance(x, Spread):
        return replace(x, step=step, kernel=kernel)
    dilation = _along(step, "dilations", x) if step.integers("dilations") else [1]
    return _convolution(net, scope, step, step, x, kernel, _padding(step), dilation)


def _convolution(
    net: _Net,
    scope: Scope,
    step: Step,
    last: Step,
    read: Any,
    kernel: Any,
    padding: Any,
    dilation: Sequence[int],
) -> Any:
    shape, x = _shape(kernel), net.node(read)
    strides = _along(step, "strides", read)
    if x is None or len(shape) < 3 or not x.shape or min(shape) < 1 or _is_first(step):
        inputs = [] if x is None else [x]
        reason = "its kernel, or its input, is not known"
        return net.unknown(last, *inputs, reason=reason, weights=[kernel])
    arguments: dict[str, Any] = {
        "kernel": one_or_each(shape[:-2]),
        "stride": one_or_each(strides),
        "padding": padding,
        "dilation": one_or_each(dilation),
    }
    channels = x.shape.channels
    kind: type[Op] = Convolution
    if step.kind == "DepthwiseConv2dNative":
        kind, filters = DepthwiseConvolution, channels * shape[-1]
        arguments["multiplier"] = shape[-1]
    else:
        filters = shape[-1]
        arguments |= {"filters": filters, "groups": max(channels // shape[-2], 1)}

    def add(after: Step, bias: Any) -> Node:
        own = arguments | _frozen(kernel, bias)
        weights = [kernel, bias]
        return net.add(
            after,
            kind,
            x,
            by=step,
            without=read.axis if isinstance(read, Widened) and after is last else None,
            weights=weights,
            bias=bias is not None,
            **own,
        )

    later = _later(scope, last, filters, add)
    if isinstance(later, Waiting):
        later.is_reshaped = isinstance(read, Widened)
    return later


def _is_first(step: Step) -> bool:
    """Whether an operator has the channels before the places."""
    return step.word("data_format").startswith("NC")


def transposed(net: _Net, scope: Scope, step: Step, values: list[Any]) -> Any:
    """Add Conv2DBackpropInput, which Keras calls Conv2DTranspose."""
    _, kernel, x = values
    shape, node = _shape(kernel), net.node(x)
    if node is None or len(shape) < 3 or _is_first(step):
        return net.unknown(step, *([] if node is None else [node]), weights=values)

    def add(after: Step, bias: Any) -> Node:
        return net.add(
            after,
            TransposedConvolution,
            node,
            by=step,
            filters=shape[-2],
            kernel=one_or_each(shape[:-2]),
            stride=one_or_each(_spatial(step, "strides")),
            padding=_padding(step),
            bias=bias is not None,
            weights=[kernel, bias],
            **_frozen(kernel, bias),
        )

    return _later(scope, step, shape[-2], add)


def mat_mul(net: _Net, scope: Scope, step: Step, values: list[Any]) -> Any:
    x, kernel = values[:2]
    shape, node = _shape(kernel), net.node(x)
    if node is None or len(shape) != 2 or step.flag("transpose_a"):
        inputs = [each for each in map(net.node, values) if each is not None]
        return net.unknown(step, *inputs, weights=values)
    units = shape[0] if step.flag("transpose_b") else shape[1]
    each_place: dict[str, Any] = {"each_place": True} if node.shape.rank > 1 else {}

    def add(after: Step, bias: Any) -> Node:
        return net.add(
            after,
            FullyConnected,
            node,
            by=step,
            weights=[kernel, bias],
            units=units,
            bias=bias is not None,
            **each_place | _frozen(kernel, bias),
        )

    later = _later(scope, step, units, add)
    if isinstance(later, Waiting):
        later.is_reshaped = len(node.shape) > 1
    return later


def batch_norm(net: _Net, scope: Scope, step: Step, values: list[Any]) -> Any:  # noqa: ARG001
    """Add a fused batch norm."""
    x, gamma, beta, mean, variance = values
    node = net.node(x)
    if node is None or _is_first(step):
        return net.unknown(step, *([] if node is None else [node]), weights=values)
    return net.add(
        step,
        BatchNorm,
        node,
        epsilon=step.real("epsilon", 1e-4),
        scale=isinstance(gamma, Variable),
        center=isinstance(beta, Variable),
        weights=[gamma, beta, mean, variance],
        **_frozen(gamma, beta),
    )


def bias_add(net: _Net, scope: Scope, step: Step, values: list[Any]) -> Any:
    """Add a sum: the bias of a layer that waits for one, or a merge, or a constant."""
    first, second = values[:2]
    for x, other in ((first, second), (second, first)):
        is_weight = isinstance(other, Variable | Derived)
        if isinstance(x, Waiting) and is_weight and (x.is_norm or _is_vector(other, x.channels)):
            x.node = x.add(step, other)
            return x.node
    return _sum(net, scope, step, values)


def _is_vector(value: Any, channels: int) -> bool:
    return isinstance(value, Variable) and prod(value.shape) == channels


def _merge(kind: type[Op]) -> Rule:
    """Return the rule of an operator of two maps, or of a map and a constant."""

    def rule(net: _Net, scope: Scope, step: Step, values: list[Any]) -> Any:  # noqa: ARG001
        nodes = [net.node(value) for value in values]
        found = [node for node in nodes if node is not None]
        if len(found) == len(values):
            return net.add(step, kind, *found)
        constant = next(value for value, node in zip(values, nodes, strict=True) if node is None)
        numbers = constant.values if isinstance(constant, Constant) else None
        own = rescaling(kind, numbers or (), is_first=nodes[0] is None)
        if len(values) != 2 or own is None:
            reason = "archspec has no such op with a constant"
            return net.unknown(step, *found, reason=reason, weights=values)
        return net.add(step, Rescale, found[0], **own)

    return rule


_sum: Final = _merge(Add)
_product: Final = _merge(Multiply)


def mul(net: _Net, scope: Scope, step: Step, values: list[Any]) -> Any:
    """Add a product: half of a batch norm, a learned factor, a merge, or a constant."""
    weights = [value for value in values if isinstance(value, Variable | Derived)]
    maps = [node for node in map(net.node, values) if node is not None]
    if len(weights) != 1 or len(maps) != 1 or not maps[0].shape:
        return _product(net, scope, step, values)
    (weight,), (x,) = weights, maps
    channels = x.shape.channels
    inner = list(dict.fromkeys(_variables(weight)))
    if _has(weight, "Rsqrt") and all(prod(each.shape) == channels for each in inner):

        def add_norm(after: Step, offset: Any) -> Node:
            # The factor has the variance, and gamma if there is one; the offset has the mean too,
            # and beta if there is one.
            outer = [each for each in dict.fromkeys(_variables(offset)) if each not in inner]
            inside = list(_inside(weight, "Rsqrt"))
            factors = [each for each in inner if each not in inside]
            means = [each for each in outer if each in [*_inside(offset, "Mul")]]
            shifts = [each for each in outer if each not in means]
            learned = [each for each in (*inner, *outer) if each.trainable]
            return net.add(
                after,
                BatchNorm,
                x,
                by=step,
                weights=[*factors, *shifts, *means, *inside],
                epsilon=_epsilon(weight),
                scale=len(inner) > 1,
                center=len(outer) > 1,
                **({} if learned or len(inner) + len(outer) < 3 else {"trainable": False}),
            )

        return Waiting(add_norm, step, channels, is_norm=True)
    if not isinstance(weight, Variable) or prod(weight.shape) != channels:
        reason = "its factor is computed from several weights"
        return net.unknown(step, x, reason=reason, weights=values)

    def add_scale(after: Step, bias: Any) -> Node:
        own, weights = _frozen(weight, bias), [weight, bias]
        return net.add(after, Scale, x, by=step, weights=weights, bias=bias is not None, **own)

    return _later(scope, step, channels, add_scale)


def _inside(value: Any, kind: str) -> Iterator[Variable]:
    """Yield the variables within the first operator of a kind by which a value is computed."""
    stack, count = [value], 0
    while stack and count < MOST_VALUES:
        each = stack.pop()
        count += 1
        if isinstance(each, Derived):
            if each.kind == kind:
                yield from _variables(each)
                return
            stack += each.inputs


def _has(value: Any, kind: str) -> bool:
    """Whether a computed value is computed with an operator of this kind."""
    stack, count = [value], 0
    while stack and count < MOST_VALUES:
        each = stack.pop()
        count += 1
        if isinstance(each, Derived):
            if each.kind == kind:
                return True
            stack += each.inputs
    return False


def _epsilon(value: Any) -> float:
    """Return the one number that is added to the variance in the factor of a batch norm."""
    stack = [value]
    for _ in range(MOST_VALUES):
        if not stack:
            break
        each = stack.pop()
        if isinstance(each, Constant) and each.values and len(each.values) == 1:
            return float(f"{each.values[0]:.7g}")  # as it was before it had 32 bits
        if isinstance(each, Derived):
            stack += each.inputs
    return 1e-3


def _pool(kind: type[Op]) -> Rule:
    def rule(net: _Net, scope: Scope, step: Step, values: list[Any]) -> Any:  # noqa: ARG001
        x = net.node(values[0])
        if x is None or _is_first(step):
            return net.unknown(step, *([] if x is None else [x]))
        return net.add(
            step,
            kind,
            x,
            without=values[0].axis if isinstance(values[0], Widened) else None,
            size=one_or_each(_along(step, "ksize", values[0])),
            stride=one_or_each(_along(step, "strides", values[0])),
            padding=_padding(step),
        )

    return rule


def _reduced(kind: type[Op]) -> Rule:
    """Return the rule of a reduction: over all places it is a global pool."""

    def rule(net: _Net, scope: Scope, step: Step, values: list[Any]) -> Any:  # noqa: ARG001
        x, axes = net.node(values[0]), _integers(values[1])
        if x is None or not x.shape or axes is None:
            return net.unknown(step, *([] if x is None else [x]))
        if not are_all_places(axes, x.shape):
            return net.unknown(step, x, reason="it does not reduce all places of a map")
        keep: dict[str, Any] = {"keep_axes": True} if step.flag("keep_dims") else {}
        return net.add(step, kind, x, **keep)

    return rule


def _unary(add: Callable[[_Net, Step, Node], Node]) -> Rule:
    def rule(net: _Net, scope: Scope, step: Step, values: list[Any]) -> Any:  # noqa: ARG001
        x = net.node(values[0])
        return net.unknown(step) if x is None else add(net, step, x)

    return rule


def _function(function: str) -> Rule:
    return _unary(lambda net, step, x: net.add(step, Activate, x, function=function))


def leaky_relu(net: _Net, step: Step, x: Node) -> Node:
    slope = round(step.real("alpha", 0.2), 7)  # as it was before it had 32 bits
    return net.add(step, Activate, x, function={"leaky_relu": slope})


def softmax(net: _Net, step: Step, x: Node) -> Node:
    return net.add(step, Softmax, x)


def lrn(net: _Net, step: Step, x: Node) -> Node:
    return net.add(
        step,
        LocalResponseNorm,
        x,
        size=2 * step.integer("depth_radius", 5) + 1,
        alpha=step.real("alpha", 1.0),
        beta=step.real("beta", 0.5),
        k=step.real("bias", 1.0),
        divide=False,
    )


def space_to_depth(net: _Net, step: Step, x: Node) -> Node:
    return net.add(step, SpaceToDepth, x, factor=step.integer("block_size", 2))


def depth_to_space(net: _Net, step: Step, x: Node) -> Node:
    return net.add(step, DepthToSpace, x, factor=step.integer("block_size", 2))


def concat(net: _Net, scope: Scope, step: Step, values: list[Any]) -> Any:  # noqa: ARG001
    *parts, axis = values
    nodes = [node for node in map(net.node, parts) if node is not None]
    places = _integers(axis)
    name = axis_name(places[0], nodes[0].shape) if places and nodes else None
    if len(nodes) < len(parts) or name is None:
        return net.unknown(step, *nodes, reason="it joins something else than maps")
    own: dict[str, Any] = {} if name == "channels" else {"axis": name}
    return net.add(step, Concat, *nodes, **own)


def reshape(net: _Net, scope: Scope, step: Step, values: list[Any]) -> Any:
    first = values[0]
    if isinstance(first, Repeated):
        return _repeated(net, step, first)
    is_read_once = len(scope.readers.get(step.name, ())) == 1
    if isinstance(first, Waiting) and first.is_reshaped and is_read_once:
        return first
    x, declared = net.node(values[0]), _without_batch(step.declared())
    if x is None:
        return net.unknown(step)
    if declared is None or None in declared:
        wanted = _integers(values[1]) if len(values) > 1 else None
        if _is_product_at_each_place(scope, step, x):
            return x
        if wanted is None or len(wanted) < 2 or min(wanted[1:]) < 1:
            return net.unknown(step, x, reason="its shape is computed as the model runs")
        declared = tuple(wanted[1:])
    if tuple(x.shape) == declared:
        return x
    if len(declared) == 1:
        return net.add(step, Flatten, x)
    return net.add(step, Reshape, x, to=declared)


def _is_product_at_each_place(scope: Scope, step: Step, x: Node) -> bool:
    """Whether places are moved into the batch for a matrix product, as Keras's Dense does."""
    readers = scope.readers.get(step.name, [])
    dims = step.declared()
    return (
        [each.kind for each in readers] == ["MatMul"]
        and dims is not None
        and len(dims) == 2
        and len(x.shape) > 1
        and dims[0] is None
        and dims[1] in (None, x.shape.channels)
        and "/Tensordot" in step.name
    )


def expand_dims(net: _Net, scope: Scope, step: Step, values: list[Any]) -> Any:
    """Add an axis; if its values are then repeated along it, as UpSampling2D does, with those."""
    x, axis = net.node(values[0]), _integers(values[1])
    readers = scope.readers.get(step.name, [])
    if x is not None and x.shape and axis and len(readers) == 1:
        place = axis[0] if axis[0] >= 0 else axis[0] + len(x.shape) + 2
        if readers[0].kind == "Tile":
            return Repeated(x, place - 1)
        if readers[0].kind in _ON_WIDENED and x.shape.rank == 1 and place in (1, 2):
            return Widened(x, place - 1)
    return reshape(net, scope, step, values[:1])


def tile(net: _Net, scope: Scope, step: Step, values: list[Any]) -> Any:  # noqa: ARG001
    x, counts = values[0], _integers(values[1]) or []
    many = [place for place, count in enumerate(counts) if count != 1]
    if isinstance(x, Repeated) and many == [x.axis + 1]:
        return replace(x, count=counts[x.axis + 1])
    node = net.node(x)
    reason = "it repeats along several axes"
    return net.unknown(step, *([] if node is None else [node]), reason=reason)


def _repeated(net: _Net, step: Step, repeated: Repeated) -> Node:
    """Add the end of a repetition, at which the axes become one again."""
    x, factor = repeated.x, [1] * repeated.x.shape.rank
    if not 1 <= repeated.axis <= len(factor):
        return net.unknown(step, x, reason="it repeats something else than places")
    factor[repeated.axis - 1] = repeated.count
    return net.add(step, Upsample, x, factor=tuple(factor))


def squeeze(net: _Net, scope: Scope, step: Step, values: list[Any]) -> Any:
    return reshape(net, scope, step, values[:1])


def transpose(net: _Net, scope: Scope, step: Step, values: list[Any]) -> Any:  # noqa: ARG001
    x, order = net.node(values[0]), _integers(values[1])
    to = None if x is None else transposing(order, x.shape)
    if x is None or to is None:
        return net.unknown(step, *([] if x is None else [x]), reason="it moves the batch")
    return x if to == names_of_axes(x.shape) else net.add(step, Permute, x, to=to)


def pad(net: _Net, scope: Scope, step: Step, values: list[Any]) -> Any:  # noqa: ARG001
    x, amounts = net.node(values[0]), _integers(values[1])
    if x is None:
        return net.unknown(step, reason="its amounts are not in the file")
    mode = ""
    if step.kind == "MirrorPad":
        if step.word("mode") != "REFLECT":
            return net.unknown(step, x, reason="it repeats the border")
        mode = "reflect"
    made = padding(x.shape, amounts, mode)
    if isinstance(made, str):
        return net.unknown(step, x, reason=made)
    kind, arguments = made
    return net.add(step, kind, x, **arguments)


def strided_slice(net: _Net, scope: Scope, step: Step, values: list[Any]) -> Any:  # noqa: ARG001
    x = net.node(values[0])
    begin, end, steps = map(_integers, values[1:4])
    masks = [step.integer(f"{name}_mask") for name in ("ellipsis", "new_axis", "shrink_axis")]
    if x is None or begin is None or end is None or steps is None or any(masks) or {*steps} != {1}:
        reason = "it takes some of the places, or drops an axis"
        return net.unknown(step, *([] if x is None else [x]), reason=reason)
    from_start, to_end = step.integer("begin_mask"), step.integer("end_mask")
    starts = [0 if from_start >> n & 1 else at for n, at in enumerate(begin)]
    stops = [None if to_end >> n & 1 else at for n, at in enumerate(end)]
    made = cutting(x.shape, starts, stops) if x.shape and len(begin) == len(end) else None
    if made is None:
        return net.unknown(step, x, reason="it cuts the batch, or channels among others")
    kind, arguments = made
    return x if kind is None else net.add(step, kind, x, **arguments)


def _resize(method: str) -> Rule:
    def rule(net: _Net, scope: Scope, step: Step, values: list[Any]) -> Any:  # noqa: ARG001
        x, to = net.node(values[0]), _integers(values[1])
        declared = _without_batch(step.declared())
        if to is None and declared is not None and None not in declared:
            to = [n for n in declared[:-1] if n is not None]
        if x is None or to is None or len(to) != 2 or len(x.shape) != 3 or min(to) < 1:
            reason = "its size is computed as the model runs"
            return net.unknown(step, *([] if x is None else [x]), reason=reason)
        kind, arguments = resizing(x.shape, to, method)
        return net.add(step, kind, x, **arguments)

    return rule


def space_to_batch(net: _Net, scope: Scope, step: Step, values: list[Any]) -> Any:  # noqa: ARG001
    x, block, pads = net.node(values[0]), _integers(values[1]), _integers(values[2])
    if x is None or not block or pads is None or len(pads) != 2 * len(block):
        reason = "its block is not in the file"
        return net.unknown(step, *([] if x is None else [x]), reason=reason)
    return Spread(x, tuple(block), tuple(zip(pads[::2], pads[1::2], strict=True)))


def batch_to_space(net: _Net, scope: Scope, step: Step, values: list[Any]) -> Any:
    spread, crops = values[0], _integers(values[2])
    if not isinstance(spread, Spread) or spread.step is None or crops is None:
        x = net.node(spread)
        return net.unknown(step, *([] if x is None else [x]))
    kernel = _shape(spread.kernel)
    amount = undilated(spread.pads, crops, kernel[:-2], spread.block)
    if amount is None:
        return net.unknown(step, spread.x, weights=[spread.kernel])
    return _convolution(
        net, scope, spread.step, step, spread.x, spread.kernel, amount, spread.block
    )


OPERATORS: Final[Mapping[str, Rule]] = {
    "Abs": _function("abs"),
    "Add": bias_add,
    "AddN": _sum,
    "AddV2": bias_add,
    "AvgPool": _pool(AvgPool),
    "AvgPool3D": _pool(AvgPool),
    "BatchToSpaceND": batch_to_space,
    "BiasAdd": bias_add,
    "ConcatV2": concat,
    "Conv2D": convolution,
    "Conv2DBackpropInput": transposed,
    "Conv3D": convolution,
    "Conv3DBackpropInputV2": transposed,
    "DepthToSpace": _unary(depth_to_space),
    "DepthwiseConv2dNative": convolution,
    "Div": _merge(Divide),
    "Elu": _function("elu"),
    "Exp": _function("exponential"),
    "ExpandDims": expand_dims,
    "FusedBatchNorm": batch_norm,
    "FusedBatchNormV2": batch_norm,
    "FusedBatchNormV3": batch_norm,
    "LRN": _unary(lrn),
    "LeakyRelu": _unary(leaky_relu),
    "LogSoftmax": _function("log_softmax"),
    "MatMul": mat_mul,
    "Max": _reduced(GlobalMaxPool),
    "MaxPool": _pool(MaxPool),
    "MaxPool3D": _pool(MaxPool),
    "Maximum": _merge(Max),
    "Minimum": _merge(Min),
    "Mean": _reduced(GlobalAvgPool),
    "MirrorPad": pad,
    "Mul": mul,
    "Pad": pad,
    "PadV2": pad,
    "RealDiv": _merge(Divide),
    "Relu": _function("relu"),
    "Relu6": _function("relu6"),
    "Reshape": reshape,
    "ResizeBilinear": _resize("bilinear"),
    "ResizeNearestNeighbor": _resize("nearest"),
    "Selu": _function("selu"),
    "Sigmoid": _function("sigmoid"),
    "Softmax": _unary(softmax),
    "Softplus": _function("softplus"),
    "Softsign": _function("softsign"),
    "SpaceToBatchND": space_to_batch,
    "SpaceToDepth": _unary(space_to_depth),
    "Squeeze": squeeze,
    "StridedSlice": strided_slice,
    "Sub": _merge(Subtract),
    "Tanh": _function("tanh"),
    "Tile": tile,
    "Transpose": transpose,
}
"""The operators that read maps, by TensorFlow's names."""
