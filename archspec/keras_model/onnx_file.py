"""Writes a Keras model as ONNX: by the backend's converter, then with the model's own names.

Converters name nodes and values by themselves. While they trace a model, each call of a layer is
in a scope whose name says which call of which layer it is; that part survives in what converters of
TensorFlow and torch write, and is replaced by the layer's name.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from archspec.keras_model.calls import by_name, given, inputs_of
from archspec.lazy import np
from archspec.text import free_name

Scope: TypeAlias = Callable[[str], contextlib.AbstractContextManager[Any]]
"""A function from a name to the scope of that name, which operations inside record."""

_MARK: Final = re.compile(r"LAYER(\d+)CALL(\d+)END")
"""Name of a scope: the place of a layer in the model, and the number of its call."""

_MADE: Final = re.compile(r"__\d+$")
"""End of the names that tf2onnx makes of others, for nodes that it adds."""

_MOVES: Final = frozenset(
    ("Cast", "Concat", "Constant", "Expand", "Gather", "Identity", "Reshape", "Shape", "Slice",
     "Squeeze", "Transpose", "Unsqueeze")
)  # fmt: skip
"""Operators with which converters prepare and arrange what a layer computes."""

_ROLES: Final[Mapping[str, Mapping[int, str]]] = {
    "Conv": {1: "kernel", 2: "bias"},
    "ConvTranspose": {1: "kernel", 2: "bias"},
    "MatMul": {0: "kernel", 1: "kernel"},
    "Gemm": {1: "kernel", 2: "bias"},
    "Add": {0: "bias", 1: "bias"},
    "BatchNormalization": {1: "gamma", 2: "beta", 3: "moving_mean", 4: "moving_variance"},
    "PRelu": {1: "alpha"},
}
"""Keras's names of weights by the operator that reads them and their place among its inputs."""

OPSETS: Final[Mapping[str, range]] = {
    "tensorflow": range(13, 19),
    "torch": range(18, 24),
    "jax": range(18, 24),
}
"""Versions of ONNX's operators that the converter of each backend writes."""


def write(model: Any, path: Path, *, opset: int | None = None) -> None:
    """Write a Keras model as an ONNX file.

    Nodes and values have the names of the model's layers on TensorFlow and torch: `conv1` is the
    node that gives a layer's output, and its output; `conv1/Transpose` another node of that layer,
    `conv1.kernel` a weight. Where a layer is called again, it is `conv1_2`. On JAX, jax2onnx keeps
    no record of layers, so that only inputs and outputs have the model's names.

    Args:
        model: A functional or sequential model.
        path: The file.
        opset: Version of ONNX's operators. Default: that which the converter prefers.
    """
    import keras  # noqa: PLC0415
    import onnx  # noqa: PLC0415

    match keras.backend.backend():
        case "tensorflow":
            _convert_tensorflow(model, path, opset)
        case "torch":
            _convert_torch(model, path, opset)
        case _:
            # Keras exports a model only once it was called, and JAX's `predict` does not count.
            model(given(model, _zeros(model, 1)), training=False)
            model.export(path, format="onnx", verbose=False, opset_version=opset)
    # Each of the three invents names for the outputs and for the size of the batch, torch and
    # jax2onnx for the inputs too, and torch's notes from which file of this machine a node comes.
    proto = onnx.load(path)
    ends = [*proto.graph.input, *proto.graph.output]
    called = [*inputs_of(model), *by_name(model.output)]
    names = {tensor.name: name for tensor, name in zip(ends, called, strict=True)}
    # A value inside, which converters name after its operation, may have the name of an input.
    inner = {name: f"{name}/inner" for name in called}
    _rename(proto.graph, inner | names)
    for tensor in ends:
        tensor.type.tensor_type.shape.dim[0].dim_param = "batch"
    _name_after_layers(proto.graph, [layer.name for layer in model.layers])
    for node in proto.graph.node:
        node.ClearField("metadata_props")
    onnx.save(proto, path)


# Conversion.


def _convert_tensorflow(model: Any, path: Path, opset: int | None) -> None:
    import tensorflow as tf  # noqa: PLC0415

    # A grouped convolution is a function compiled by XLA, because TensorFlow could not run it on a
    # CPU otherwise. tf2onnx knows no such functions, but it does what is traced in their place.
    _teach_erfc()
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(run_eagerly=True)
    try:
        with _marked(model, tf.name_scope):
            model.export(path, format="onnx", verbose=False, opset_version=opset)
    finally:
        tf.config.run_functions_eagerly(before)


def _convert_torch(model: Any, path: Path, opset: int | None) -> None:
    import torch  # noqa: PLC0415

    # Keras falls back on torch's old exporter where the batch is open, and that one refuses any
    # pooling whose padding Keras works out from the extents. To the new one a size of 1 is fixed.
    batch = torch.export.Dim("batch")
    shapes = {name: {0: batch} for name in inputs_of(model)}
    training = model.training
    model.eval()
    try:
        with _torch_notes() as note, _marked(model, note):
            program = torch.onnx.export(
                model,
                (given(model, _zeros(model, 2)), {}),  # a dict at the end would be keywords
                dynamo=True,
                dynamic_shapes=((given(model, shapes),),),
                opset_version=opset,
                verbose=False,
            )
    finally:
        model.train(training)
    marks = {
        node.name: node.meta.get("custom", {}).get(_TORCH_KEY, "")
        for node in program.exported_program.graph.nodes
    }
    for node in program.model.graph:
        traced = re.match(r"%(\w+) :", node.metadata_props.get("pkg.torch.onnx.fx_node", ""))
        if traced:
            node.name = f"{marks.get(traced[1], '')}/{node.name}"
    program.save(path)


_TORCH_KEY: Final = "archspec"
"""Key of the name of a scope among torch's notes on an operation."""


@contextlib.contextmanager
def _torch_notes() -> Iterator[Scope]:
    """Have torch keep notes on operations, and give the scope for them; no notes before 2.9."""
    from torch.fx import traceback  # noqa: PLC0415

    annotate = getattr(traceback, "annotate", None)
    if annotate is None:
        yield contextlib.nullcontext
        return
    with traceback.preserve_node_meta():  # `torch.export` drops notes without it
        yield lambda name: annotate({_TORCH_KEY: name})


@contextlib.contextmanager
def _marked(model: Any, scope: Scope) -> Iterator[None]:
    """Put each call of the model's layers in a scope of its own, as long as this lasts."""

    def marked(number: int, call: Callable[..., Any]) -> Callable[..., Any]:
        count = itertools.count()

        @functools.wraps(call)
        def run(*arguments: Any, **options: Any) -> Any:
            with scope(f"LAYER{number}CALL{next(count)}END"):
                return call(*arguments, **options)

        return run

    for number, layer in enumerate(model.layers):
        vars(layer)["call"] = marked(number, layer.call)
    try:
        yield
    finally:
        for layer in model.layers:
            del vars(layer)["call"]


def _zeros(model: Any, size: int) -> dict[str, Any]:
    """Return a batch of zeros for each input of a model."""
    import keras  # noqa: PLC0415

    return {
        name: keras.ops.zeros((size, *tensor.shape[1:]), dtype=tensor.dtype)
        for name, tensor in inputs_of(model).items()
    }


@functools.cache
def _teach_erfc() -> None:
    """Have tf2onnx write 1 - erf(x) for erfc(x), TensorFlow's for GELU, which ONNX lacks."""
    from tf2onnx.handler import tf_op  # noqa: PLC0415

    @tf_op("Erfc")
    class _Erfc:
        @classmethod
        def version_9(cls, graph: Any, node: Any, **_: Any) -> None:
            name, inputs, outputs = node.name, node.input, node.output
            about = {
                "shapes": [graph.get_shape(outputs[0])],
                "dtypes": [graph.get_dtype(outputs[0])],
            }
            graph.remove_node(name)
            one = graph.make_const(f"{name}/one", np.float32(1))
            erf = graph.make_node("Erf", inputs, name=f"{name}/erf", **about)
            made = [one.output[0], erf.output[0]]
            graph.make_node("Sub", made, name=name, outputs=outputs, **about)


# Names.


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    """Rename values of an ONNX graph, also in the graphs that are arguments of its nodes."""
    for value in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        for values in (node.input, node.output):
            values[:] = [names.get(name, name) for name in values]
        for inside in _inside(node):
            _rename(inside, names)


def _inside(node: Any) -> Iterator[Any]:
    """Yield the graphs that are arguments of a node."""
    for argument in node.attribute:
        yield from [argument.g] * argument.HasField("g")
        yield from argument.graphs


def _name_after_layers(graph: Any, layers: Sequence[str]) -> None:
    """Name nodes and values after the layers whose marks they have.

    Args:
        graph: An ONNX graph.
        layers: Names of the layers, by the numbers in the marks.
    """
    calls = _calls_of(graph.node)
    bases = _bases(calls, layers)
    taken = {end.name for end in (*graph.input, *graph.output)}
    names: dict[str, str] = {}
    for node, call in _main_first(graph.node, calls):
        base = bases.get(call)
        if base is None:
            continue
        is_main = base not in taken
        node.name = _free(base if is_main else f"{base}/{node.op_type}", taken)
        for number, output in enumerate(node.output):
            names[output] = node.name if number == 0 else _free(f"{node.name}:{number}", taken)
    kept = {end.name for end in (*graph.input, *graph.output)}
    weights = {tensor.name for tensor in graph.initializer}
    for node, call in zip(graph.node, calls, strict=True):
        for place, name in enumerate(node.input):
            if name in weights and name not in names and call in bases:
                names[name] = _free(f"{bases[call]}.{_role(node, place)}", taken)
    _rename(graph, {old: new for old, new in names.items() if old not in kept})
    _clear_marks(graph, lambda mark: bases.get((int(mark[1]), int(mark[2])), layers[int(mark[1])]))


Call: TypeAlias = tuple[int, int]
"""A layer's number and the number of its call."""


def _calls_of(nodes: Sequence[Any]) -> list[Call | None]:
    """Return which call each node belongs to.

    A node without a mark, as tf2onnx makes some, belongs to the call whose kernel it reads, else to
    the one that reads what it gives, else to the one whose output it reads.
    """
    calls = [_marked_call(node) for node in nodes]
    reader: dict[str, Call] = {}
    for at in reversed(range(len(nodes))):
        call = calls[at] or next((reader[y] for y in nodes[at].output if y in reader), None)
        calls[at] = call
        if call is not None:
            reader.update(dict.fromkeys(nodes[at].input, call))
    maker: dict[str, Call] = {}
    for at, node in enumerate(nodes):
        call = calls[at] or next((maker[x] for x in node.input if x in maker), None)
        calls[at] = call
        if call is not None:
            maker.update(dict.fromkeys(node.output, call))
    return calls


def _marked_call(node: Any) -> Call | None:
    """Return the call whose mark a node has itself, or has its kernel."""
    kernels = [node.input[at] for at in (1, 0) if _role(node, at) == "kernel"]
    is_own = not (node.op_type in _MOVES and _MADE.search(node.name))
    for name in (*[node.name, *node.output] * is_own, *kernels):
        if mark := _MARK.search(name):
            return int(mark[1]), int(mark[2])
    return None


def _role(node: Any, place: int) -> str:
    """Return Keras's name of an initializer that a node reads at a place among its inputs."""
    return _ROLES.get(node.op_type, {}).get(place, "constant")


def _bases(calls: Iterable[Call | None], layers: Sequence[str]) -> dict[Call | None, str]:
    """Return the name of each call: its layer's, and for all but the first a number after it."""
    bases: dict[Call | None, str] = {}
    taken = set(layers)
    counts: dict[int, int] = {}
    for call in sorted({call for call in calls if call is not None}):
        layer = layers[call[0]]
        bases[call] = _free(layer, taken) if counts.get(call[0]) else layer
        counts[call[0]] = counts.get(call[0], 0) + 1
    return bases


def _main_first(
    nodes: Sequence[Any], calls: Sequence[Call | None]
) -> Iterator[tuple[Any, Call | None]]:
    """Yield nodes with their calls, before all others the one that gives each call's output."""
    main: dict[Call | None, int] = {}
    for at, (node, call) in enumerate(zip(nodes, calls, strict=True)):
        if call not in main or node.op_type not in _MOVES or nodes[main[call]].op_type in _MOVES:
            main[call] = at
    firsts = set(main.values())
    for at in sorted(range(len(nodes)), key=lambda at: (at not in firsts, at)):
        yield nodes[at], calls[at]


def _free(name: str, taken: set[str]) -> str:
    """Return a name that is not taken yet, with a number after it if need be, and take it."""
    free = free_name(name, taken.__contains__)
    taken.add(free)
    return free


def _clear_marks(graph: Any, name: Callable[[re.Match[str]], str]) -> None:
    """Write the names of layers for marks that are left, such as in graphs inside nodes."""
    values = {each for node in graph.node for each in (*node.input, *node.output)}
    values |= {each.name for each in (*graph.initializer, *graph.value_info)}
    _rename(graph, {each: _MARK.sub(name, each) for each in values if _MARK.search(each)})
    for node in graph.node:
        node.name = _MARK.sub(name, node.name)
        for inside in _inside(node):
            _clear_marks(inside, name)
