"""Reads an ONNX file: constants first, then the steps in the file's order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any, Final

from archspec.element import ArgumentProblems
from archspec.errors import Problem, UsageError, listed
from archspec.imports.building import ModelBuilder
from archspec.imports.inputs import NOTHING_GIVEN, Given
from archspec.imports.model import ABSENT, BATCH, ImportedModel
from archspec.imports.onnx import (
    activation,
    axes,
    bodies,
    convolution,
    einsum,
    merging,
    normalization,
    parts,
    pooling,
    products,
    recurrent,
    resizing,
)
from archspec.imports.onnx.extents import CannotFold
from archspec.imports.onnx.folding import folded
from archspec.imports.onnx.notes import notes
from archspec.imports.onnx.patterns import Finder, put_together
from archspec.imports.onnx.quantized import MICROSOFT, floated
from archspec.imports.onnx.source import (
    MALFORMED,
    REASON,
    STORED,
    Constant,
    Dims,
    Source,
    Step,
    read_source,
)
from archspec.imports.onnx.trace import (
    CHANNELS_SECOND,
    RECURRENT,
    Handler,
    Trace,
    Unsupported,
    Value,
)

HANDLERS: Final[Mapping[str, Handler]] = {
    **activation.LAYERS,
    **axes.LAYERS,
    **convolution.LAYERS,
    **einsum.LAYERS,
    **merging.LAYERS,
    **normalization.LAYERS,
    **parts.LAYERS,
    **pooling.LAYERS,
    **products.LAYERS,
    **recurrent.LAYERS,
    **resizing.LAYERS,
}
"""The function for each operator; those of `archspec.` stand for several steps, see `patterns`."""


def read(path: Path, *, given: Given = NOTHING_GIVEN) -> ImportedModel:
    """Return the network of an ONNX file.

    Raises:
        UsageError: The file is damaged, or holds no network.
    """
    model = read_source(path)
    graph = model.graph
    _check_is_network(path, graph)
    if model.functions:
        graph = replace(graph, steps=list(bodies.written_out(graph.steps, model.functions)))
    version = model.version.split()[0].partition("+")[0] if model.version.strip() else ""
    written = " ".join(each for each in (model.producer, version) if each)
    name = graph.name if graph.name and graph.name.lower() not in _NO_NAMES else path.stem
    return build(
        path,
        graph,
        name=name,
        format_name=f"ONNX, opset {model.opset}" + (f", written by {written}" if written else ""),
        opset=model.opset,
        writer=model.producer,
        given=given,
    )


_OTHER_MODELS: Final = {
    "TreeEnsemble": "an ensemble of trees",
    "TreeEnsembleClassifier": "an ensemble of trees",
    "TreeEnsembleRegressor": "an ensemble of trees",
    "SVMClassifier": "a support vector machine",
    "SVMRegressor": "a support vector machine",
    "LinearClassifier": "a linear model",
    "LinearRegressor": "a linear model",
}
"""Models that are not networks, by their operators in the domain ai.onnx.ml."""

_OF_NETWORKS: Final = r"(?:\w+\.)*(?:\w*Conv\w*|Q?Gemm|\w*MatMul\w*|LSTM|GRU|RNN|\w*Attention)"
"""Operators without which a graph of ai.onnx.ml is not a network."""


def _check_is_network(path: Path, graph: Source) -> None:
    """Refuse a model that is not a network, as skl2onnx writes those of scikit-learn.

    Raises:
        UsageError: It is one.
    """
    domain = "ai.onnx.ml."
    others = [step.op.removeprefix(domain) for step in graph.steps if step.op.startswith(domain)]
    if not others:
        return
    models = [_OTHER_MODELS[op] for op in others if op in _OTHER_MODELS]
    layers = {step.op for step in graph.steps if re.fullmatch(_OF_NETWORKS, step.op)}
    # PCA before an ensemble of trees is a product, too.
    if not layers - ({"MatMul"} if models else set()):
        what = models[0] if models else f"{listed([*dict.fromkeys(others)])} without any layers"
        raise UsageError(
            f"{path} is a model of machine learning such as scikit-learn's ({what}), and no neural "
            "network: archspec reads networks"
        )


_SEVERAL: Final = {"Attention", "ImageScaler", "SimplifiedLayerNormalization"}
"""Operators of ONNX's own domain that are several others."""

_NO_NAMES: Final = {"main_graph", "torch_jit", "torch-jit-export", "tf2onnx", "graph", "model",
                    "torch_jit_export", "main", "mxnet_converted_model"}  # fmt: skip
"""Names that exporters give every graph."""


def build(
    path: Path,
    graph: Source,
    *,
    name: str,
    format_name: str,
    opset: int,
    writer: str,
    params: int | None = None,
    given: Given = NOTHING_GIVEN,
    channels_last: bool = False,
    told: Iterable[str] = (),
) -> ImportedModel:
    """Return the model of a graph.

    Args:
        path: The file.
        graph: Its graph, in ONNX's operators.
        name: The network's name.
        format_name: The format and who wrote the file.
        opset: Version of the operators.
        writer: The program that wrote the file.
        params: Number of parameters as that program counts them.
        given: What is known of the inputs beside what the graph declares.
        channels_last: Whether the inputs have their channels last, whatever reads them.
        told: Notes about the file.
    """
    learned = {each.name: each.count for each in graph.constants.values() if each.origin == STORED}
    inputs = {name: dims for name, dims in graph.inputs.items() if not _is_weight(graph, name)}
    constants = dict(graph.constants)
    for each in graph.inputs.keys() - inputs.keys():
        constants[each] = _without_values(path, each, graph.inputs[each] or ())
    graph = replace(graph, constants=constants, inputs=inputs)
    told = dict.fromkeys(told)
    if 0 < opset < 7:
        from archspec.imports.onnx.older import written_today  # noqa: PLC0415  (few files are)

        graph.steps[:] = written_today(graph, constants)
    if any(step.op in _SEVERAL or step.op.startswith(MICROSOFT) for step in graph.steps):
        from archspec.imports.onnx.fused import written_out  # noqa: PLC0415  (few files have some)

        graph.steps[:] = written_out(graph.steps, constants, told)
    graph.steps[:] = floated(_without_constants(graph.steps, constants), constants)
    layouts = {
        each: (dims or (), tuple(range(1, len(dims or ()))))
        if channels_last
        else layout(graph, each, dims, is_torch=writer in _TORCH)
        for each, dims in inputs.items()
    }
    shapes = {
        each: [n if isinstance(n, int) else None for n in (dims[a] for a in order)]
        for each, (dims, order) in layouts.items()
    }
    biases: dict[int, tuple[Constant, Step]] = {}
    for _ in range(2):  # again, if it turned out that what a layer's output is added to is its bias
        b = ModelBuilder(path, shapes, name=name, format_name=format_name, given=given)
        t = Trace(graph, b, opset, exact=params is not None)
        t.biases.update(biases)
        for each, node in b.inputs.items():
            dims, order = layouts[each]
            t.values[each] = input_value(node, dims, order)
            t.nodes[node.index] = node
        run(t, graph.steps)
        if t.biases == biases:
            break
        biases = t.biases
    made = {each: t.values.get(each) for each in graph.outputs}
    values = {each: value for each, value in made.items() if isinstance(value, Value)}
    unread = sum(count for name, count in learned.items() if name and name not in t.used)
    sources = sum(learned.get(name, 0) for name in t.computed - t.trained)
    for sentence in (
        *told,
        *notes(t.counts, writer, *((unread, sources) if params else (0, 0))),
    ):
        b.note(sentence)
    return b.finish(
        {each: value.node for each, value in values.items()},
        params=params,
        weights=t.weights,
        input_axes=[input_value(node, *layouts[each]).axes for each, node in b.inputs.items()],
        output_axes=[() if x.order or x.joined else x.axes for x in values.values()],
    )


def input_value(node: Any, dims: Dims, order: Sequence[int]) -> Value:
    """Return the value of an input whose node has the file's axes in this order."""
    axes = [BATCH if at not in order else list(order).index(at) for at in range(len(dims))]
    batch = next((dims[at] for at, axis in enumerate(axes) if axis == BATCH), 1)
    if not isinstance(batch, int):
        from archspec.ops.extent import Extent  # noqa: PLC0415  (few files have an open batch)

        batch = Extent.open("batch")
    if len(node.shape) != len(order):
        return Value(node, (), batch)
    return Value(node, tuple(axes), batch)


_TORCH: Final = {"pytorch", "torch.export"}
"""Writers whose maps have their channels second."""


def layout(
    graph: Source, name: str, dims: Dims | None, *, is_torch: bool = False
) -> tuple[Dims, tuple[int, ...]]:
    """Return an input's extents, and its axes in archspec's order: channels last, no batch.

    The first step that knows its channels decides, as a convolution, whose are the second axis.
    Where none does, they are the second axis of torch's maps, and of those whose last axis is
    resized or padded.
    """
    if dims is None:
        return (), ()
    rank = len(dims)
    if rank == 0:
        return dims, ()
    if rank == 1:
        return (1, *dims), (1,)
    batch, channels = _batch_and_channels(graph, name, rank) or (0, None)
    if channels is None:
        channels = rank - 1
        few = (1, 3, 4)
        is_second = dims[1] in few and dims[-1] not in few
        if rank > 3 and (is_torch or is_second or _has_places_last(graph, name)):
            channels = 1
    places = (at for at in range(rank) if at not in (batch, channels))
    return dims, (*places, channels)


_TRANSPARENT: Final = {
    "Add",
    "Cast",
    "Clip",
    "Concat",
    "Div",
    "Dropout",
    "Identity",
    "Mul",
    "Neg",
    "Pad",
    "QuantizeLinear",
    "DequantizeLinear",
    "Relu",
    "Resize",
    "Sigmoid",
    "Slice",
    "Split",
    "Sub",
    "Upsample",
}
"""Operators that leave the axes where they are."""


def _batch_and_channels(graph: Source, name: str, rank: int) -> tuple[int, int] | None:
    """Return an input's axes of the batch and the channels; None if no step tells them.

    Those of a convolution are its first two, of a recurrence its last two.
    """
    users: dict[str, list[Step]] = {}
    _count_users(graph.steps, users)
    pending: list[tuple[str, tuple[int, ...]]] = [(name, tuple(range(rank)))]
    seen: set[str] = set()
    while pending and len(seen) < 200:
        value, axes = pending.pop(0)
        if value in seen:
            continue
        seen.add(value)
        for step in users.get(value, ()):
            if step.op in CHANNELS_SECOND and step.inputs[0] == value and len(axes) > 1:
                return axes[0], axes[1]
            if step.op in RECURRENT and step.inputs[0] == value and len(axes) == 3:
                return axes[1], axes[2]
            order = step.get("perm", []) or list(reversed(range(len(axes))))
            if step.op == "Transpose" and sorted(order) == list(range(len(axes))):
                pending += [(out, tuple(axes[at] for at in order)) for out in step.outputs]
            elif step.op in _TRANSPARENT:
                pending += [(out, axes) for out in step.outputs]
    return None


def _has_places_last(graph: Source, name: str) -> bool:
    """Return whether a step changes the extent of an input's last axis, and not of its second."""
    for step in graph.steps:
        if step.op not in ("Pad", "Resize", "Upsample") or step.inputs[:1] != (name,):
            continue
        given = [graph.constants.get(each) for each in step.inputs[1:3]]
        if step.op == "Pad":
            pads = step.get("pads", []) or list((given and given[0] and given[0].values) or ())
            half = len(pads) // 2
            changed = [bool(a or b) for a, b in zip(pads[:half], pads[half:], strict=False)]
        else:
            stored = next((each.values for each in reversed(given) if each and each.values), ())
            changed = [n != 1 for n in step.get("scales", []) or stored]
        return len(changed) > 3 and changed[-1] and not changed[1]
    return False


_WEIGHT_PLACES: Final = {
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "Gemm": (1, 2),
    "BatchNormalization": (1, 2, 3, 4),
    "InstanceNormalization": (1, 2),
    "PRelu": (1,),
}


def _is_weight(graph: Source, name: str) -> bool:
    """Whether an input of the graph stands only where weights do."""
    dims = graph.inputs.get(name)
    if not dims or any(not isinstance(n, int) for n in dims):
        return False
    places = [
        (step.op, place)
        for step in graph.steps
        for place, each in enumerate(step.inputs)
        if each == name
    ]
    return bool(places) and all(place in _WEIGHT_PLACES.get(op, ()) for op, place in places)


def _without_values(path: Path, name: str, dims: Dims) -> Constant:
    def load() -> Any:
        raise UsageError(f"{path} has no values for {name}: it is an input of the network there")

    return Constant(tuple(dims), "float", None, load, name, prod(dims))


# Steps.


def _without_constants(steps: Sequence[Step], constants: dict[str, Constant]) -> list[Step]:
    """Return the steps that do not follow from constants; the results of the others are kept."""
    return [step for step in steps if not _fold(step, constants)]


def _fold(step: Step, constants: dict[str, Constant]) -> bool:
    """Compute a step on constants; return whether it was one."""
    if step.op == "Constant":
        constant = _constant_of(step) if step.outputs else None
        if constant is None:
            return False
        constants[step.outputs[0]] = constant
        return True
    names = [name for name in step.inputs if name]
    if step.op == "CastLike" and names and names[0] in constants:  # the other only says the type
        names = names[:1]
        step = Step("Cast", step.name, tuple(names), step.outputs, {"to": _type(step, constants)})
    if not names or any(name not in constants for name in names):
        return False
    try:
        results = folded(step, [constants[name] if name else None for name in step.inputs])
    except CannotFold:
        return False
    constants.update(zip(step.outputs, results, strict=False))
    return True


def _type(step: Step, constants: Mapping[str, Constant]) -> int:
    """Return ONNX's number of the type of a step's second input: values are real numbers."""
    like = constants.get(step.input(1))
    return 7 if like is not None and like.kind == "int" else 1


def _constant_of(step: Step) -> Constant | None:
    """Return what a Constant holds."""
    for key, value in step.attributes.items():
        if isinstance(value, Constant):
            return replace(value, name=value.name or step.outputs[0])
        if key in ("value_int", "value_float"):
            return Constant.of((), [value], "int" if key == "value_int" else "float")
        if key in ("value_ints", "value_floats"):
            kind = "int" if key == "value_ints" else "float"
            return Constant.of((len(value),), value, kind)
    return None


def run(t: Trace, steps: Sequence[Step], depth: int = 0) -> None:
    """Follow steps, and add what they do to the graph."""
    users, count = t.users, 0
    while len(steps) != count:  # a function may be a part of another
        count = len(steps)
        users.clear()
        _count_users(steps, users)
        steps = put_together(steps, Finder(steps, t.constants, t.source.outputs, users))
    for step in steps:
        _follow(t, step, depth)


def _count_users(steps: Iterable[Step], users: dict[str, list[Step]]) -> None:
    """Add the steps that read each value; those inside a branch read for the step around them."""
    for step in steps:
        for name in dict.fromkeys(step.inputs):
            users.setdefault(name, []).append(step)
        for value in step.attributes.values():
            if isinstance(value, Source):
                _count_users(value.steps, users)
                for output in value.outputs:
                    users.setdefault(output, []).append(step)


def _follow(t: Trace, step: Step, depth: int) -> None:
    if not step.outputs:
        return
    if id(step) in t.done:
        value = next(t.values[name] for name in step.inputs if name in t.values)
        t.values[step.outputs[0]] = value
        return
    start = t.b.size
    t.absorbed.clear()
    try:
        if step.op in ("Shape", "Size"):
            _shape(t, step)
            return
        if _fold(step, t.constants):
            return
        if step.op == "If":
            _branch(t, step, depth)
            return
        HANDLERS.get(step.op, _other)(t, step)
        t.done.update(map(id, t.absorbed))
    except Unsupported as why:
        t.unknown(step, str(why))
    except CannotFold:
        t.unknown(step, "its extents are not known before the network runs")
    except (Problem, ArgumentProblems) as problem:
        t.unknown(step, str(problem))
    except MALFORMED:
        t.unknown(step, "its inputs and attributes are not as ONNX defines them")
    for output in step.outputs:
        if output in t.source.outputs:
            _settle(t, step, output)
        _compare(t, output, start)


def _settle(t: Trace, step: Step, output: str) -> None:
    """Lay out an output of the network as archspec does."""
    try:
        value = t.settled(output, step)
        if value is None or not value.known or value.order:
            return
        kept = sorted(axis for axis in value.axes if axis >= 0)
        shape = value.node.shape
        if kept and len(kept) < len(shape):  # the file dropped axes of extent 1
            node = t.reshape(step, value.node, [shape[axis] for axis in kept])
            axes = tuple(kept.index(axis) if axis >= 0 else axis for axis in value.axes)
            t.values[output] = replace(value, node=node, axes=axes)
    except Unsupported as why:
        t.unknown(step, str(why))


def _other(t: Trace, step: Step) -> None:  # noqa: ARG001  (as every handler is called)
    reason = step.attributes.get(REASON) or REASONS.get(step.op)
    raise Unsupported(reason or "archspec has no such layer")


REASONS: Final = {
    "Loop": "it repeats a part of the network as often as that says itself",
    "Scan": "it repeats a part of the network for each position",
    "NonMaxSuppression": "the number of its outputs depends on their values",
}
"""A clause for operators of which more can be said."""


def _shape(t: Trace, step: Step) -> None:
    """Take the extents of a value as a constant."""
    value = t.values.get(step.inputs[0])
    dims: Sequence[Any] | None = None
    if step.inputs[0] in t.constants:
        dims = t.constants[step.inputs[0]].dims
    elif value is not None and value.known and value.axes:
        dims = value.file_dims
    if dims is None:
        t.unknown(step, "the shape of its input is not known")
        return
    if step.op == "Size":
        t.constants[step.outputs[0]] = Constant.of((), [prod(dims)])
        return
    dims = dims[step.get("start", 0) : step.get("end", len(dims))]
    t.constants[step.outputs[0]] = Constant.of((len(dims),), list(dims))


def _branch(t: Trace, step: Step, depth: int) -> None:
    """Follow a branch of an If: the one that its condition takes, else the larger one."""
    branches = [step.attributes.get(name) for name in ("then_branch", "else_branch")]
    given = [each for each in branches if isinstance(each, Source)]
    if len(given) != 2 or depth > bodies.MOST_BODIES:
        t.unknown(step, "its branches are missing")
        return
    condition = t.constants.get(step.inputs[0]) if step.inputs else None
    if condition is not None and condition.values:
        chosen = given[0 if condition.values[0] else 1]
    else:
        chosen = max(given, key=lambda branch: len(branch.steps))
        side = "then" if chosen is given[0] else "else"
        t.b.note(
            f"{step.name or 'An If'} chooses between two networks as it runs; the table shows "
            f"its {side}-branch."
        )
    t.constants.update(chosen.constants)
    t.source.declared.update(chosen.declared)
    outer = dict(t.users)
    for inner in chosen.steps:  # whose readers were counted with the graph around it
        _follow(t, inner, depth + 1)
    t.users.update(outer)
    for name, output in zip(chosen.outputs, step.outputs, strict=False):
        if name in t.values:
            t.values[output] = t.values[name]
        elif name in t.constants:
            t.constants[output] = t.constants[name]


def _compare(t: Trace, output: str, start: int) -> None:
    """Compare the shape of a node that was just added with the declared one."""
    value, declared = t.values.get(output), t.source.declared.get(output)
    if (
        not isinstance(value, Value)
        or declared is None
        or not value.known
        or value.node.index < start
    ):
        return
    if len(declared) != len(value.axes) or any(axis == ABSENT for axis in value.axes):
        return
    extent: list[int | None] = [None] * len(value.node.shape)
    for axis, n in zip(value.axes, declared, strict=True):
        if axis >= 0:
            extent[axis] = n if isinstance(n, int) else None
    t.b.compare(value.node, tuple(extent))
