"""Weights of a network as the state of its PyTorch module."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from math import prod
from os import PathLike
from typing import Any, Final

from archspec.compile.expand import expand
from archspec.ejection.chains import is_chain
from archspec.ejection.program import Apply, Call, For, If, Statement
from archspec.ejection.recording import layer_name
from archspec.ejection.torch_ejecting import written
from archspec.ejection.torch_writer import TorchWriter, is_link, is_module, kind
from archspec.errors import UsageError
from archspec.graph.graph import Graph, Node
from archspec.imports.loading import load, spec_for
from archspec.imports.model import ImportedModel
from archspec.lazy import np
from archspec.ops import attention, convolution, elementwise, normalization, recurrence, tokens
from archspec.ops.shape import Shape
from archspec.spec.document import Spec


def torch_weights(spec: Spec | Graph | str | PathLike[str], weights: Any) -> dict[str, Any]:
    """Return a network's weights for the module that `eject(spec, framework="torch")` gives.

    Args:
        spec: The network, as `eject` takes it.
        weights: What has the weights: a Keras model that `build` made, or the path of its file.

    Returns:
        NumPy arrays by the names of the module's state dict, in PyTorch's layout. Written by
        `numpy.savez`, the source's `load_weights` reads them.

    Raises:
        SpecError: The spec has mistakes.
        UsageError: A layer has no weights there, or others than the spec's; or the network cannot
            be written for PyTorch.

    Example:
        >>> sorted(archspec.torch_weights("lenet5", archspec.build("lenet5")))[0]
        'c1.convolution.bias'
    """
    known: Spec | None = None
    if isinstance(spec, Graph):
        graph = spec
    else:
        known = spec_for("`archspec.torch_weights`", spec)
        graph = expand(known)
    writer, _ = written(graph, ("",), known)
    nodes = [node for node in graph.nodes if not node.is_input and not node.layer.owner]
    if isinstance(weights, (str, PathLike)):
        model = load(weights)
        if not isinstance(model, ImportedModel):
            raise UsageError(f"`{weights}` is a spec: weights are in a model file")
        given: Mapping[str, Sequence[Any]] = model.weights()
    else:
        given = {
            layer.name: [np.asarray(each.numpy()) for each in layer.weights]
            for layer in weights.layers
        }
    arrays = {node.name: given[name] for node in nodes if (name := layer_name(node.name)) in given}
    return state(writer, arrays)


def state(writer: TorchWriter, arrays: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Return the state dict of a module with the weights of a network.

    Args:
        writer: The module's writer, after it wrote the source.
        arrays: NumPy arrays by node, in the order of `op.weights` and in Keras's layout.

    Raises:
        UsageError: Weights are missing, or their shapes are others.
    """
    result: dict[str, Any] = {}
    torch = writer.torch
    for prefix, node in _places(writer, writer.program.body, "", 0):
        x = (*node.layer.inputs, node.shape)[0]
        wanted = node.op.weights(*node.layer.inputs)
        if not wanted or node.layer.owner:
            continue
        given = arrays.get(node.name)
        if given is None:
            raise UsageError(f"there are no weights for `{node.name}`")
        shapes = [tuple(each.shape) for each in given]
        if shapes != [each.shape for each in wanted]:
            wants = [each.shape for each in wanted]
            message = f"the weights of `{node.name}` have the shapes {shapes}, not {wants}"
            raise UsageError(message)
        named = {each.name: value for each, value in zip(wanted, given, strict=True)}
        values: Any = given if isinstance(node.op, recurrence._Recurrent) else named  # noqa: SLF001
        flat = torch.flat.get(node.inputs[0])
        layout = torch.layouts[node.index]
        rule = next(_RULES[each] for each in type(node.op).__mro__ if each in _RULES)
        for name, value in rule(node.op, x, values, flat, layout).items():
            result[f"{prefix}.{name}"] = value
    return result


def _places(
    writer: TorchWriter, body: Sequence[Statement], prefix: str, use: int
) -> Iterator[tuple[str, Node]]:
    """Yield each node of one use of a module with the name of its own in the state dict."""
    attributes = writer.classes[id(body)].attributes

    def walk(
        body: Sequence[Statement], use: int, end: str = "", chain: Iterator[str] | None = None
    ) -> Iterator[tuple[str, Node]]:
        for each in body:
            if isinstance(each, If):
                yield from walk(each.body, use, end, chain)
            elif isinstance(each, For):
                names = chain
                if names is None and is_chain(each, is_link):
                    names = map(f"{prefix}{attributes[id(each)]}{end}.{{}}".format, count())
                rounds = (c for c, parent in enumerate(each.parents) if parent == use)
                for number, c in enumerate(rounds):
                    yield from walk(each.body, c, f"{end}.{number}", names)
            elif isinstance(each, (Apply, Call)) and (chain or id(each) in attributes):
                if (each.nodes if isinstance(each, Apply) else each.uses)[use] is None:
                    continue
                if isinstance(each, Apply) and each.reuse and not each.first:
                    continue
                name = next(chain) if chain else f"{prefix}{attributes[id(each)]}{end}"
                if isinstance(each, Call):
                    inner = each.uses[use] or 0
                    yield from _places(writer, each.function.body, f"{name}.", inner)
                # A step's last module has its weights; a convolution may be followed by a crop.
                elif (node := each.nodes[use]) and is_module(each) and "Pad" not in kind(each):
                    yield name, node

    yield from walk(body, use)


# Arrays.

Arrays = dict[str, Any]


def _biased(kernel: Any, values: Any) -> Arrays:
    made = {"weight": _whole(kernel)}
    if "bias" in values:
        made["bias"] = _whole(values["bias"])
    return made


def _whole(array: Any) -> Any:
    return np.ascontiguousarray(array)


def _convolution(op: Any, x: Shape, values: Any, flat: Any, layout: str) -> Arrays:  # noqa: ARG001
    kernel = values["kernel"]
    rank = kernel.ndim - 2
    return _biased(kernel.transpose(rank + 1, rank, *range(rank)), values)


def _depthwise(op: Any, x: Shape, values: Any, flat: Any, layout: str) -> Arrays:  # noqa: ARG001
    kernel = values["kernel"]
    rank = kernel.ndim - 2
    kernel = kernel.transpose(rank, rank + 1, *range(rank))
    return _biased(kernel.reshape(-1, 1, *kernel.shape[2:]), values)


def _linear(op: Any, x: Shape, values: Any, flat: Any, layout: str) -> Arrays:  # noqa: ARG001
    kernel = values["kernel"]
    return _biased(_first(kernel, flat).T, values)


def _first(array: Any, flat: Shape | None) -> Any:
    """Return an array with its first axis in the order of a map whose channels are first."""
    if flat is None:
        return array
    rest = array.shape[1:]
    order = (flat.rank, *range(flat.rank), *range(flat.rank + 1, flat.rank + 1 + len(rest)))
    return array.reshape(*flat, *rest).transpose(order).reshape(prod(flat), *rest)


_NORM: Final = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def _norm(op: Any, x: Shape, values: Any, flat: Any, layout: str) -> Arrays:  # noqa: ARG001
    made = {_NORM[name]: _whole(_first(value, flat)) for name, value in values.items()}
    if isinstance(op, normalization.BatchNorm):
        made["num_batches_tracked"] = np.array(0, dtype="int64")
    return made


def _scale(op: Any, x: Shape, values: Any, flat: Any, layout: str) -> Arrays:  # noqa: ARG001
    after = (1,) * (x.rank if layout == "first" else 0)
    names = {"scale": "weight", "bias": "bias"}
    return {names[name]: value.reshape(-1, *after) for name, value in values.items()}


def _prelu(op: Any, x: Shape, values: Any, flat: Any, layout: str) -> Arrays:  # noqa: ARG001
    return {"weight": values["alpha"].reshape(-1)}


def _named(name: str) -> Callable[..., Arrays]:
    def same(op: Any, x: Shape, values: Any, flat: Any, layout: str) -> Arrays:  # noqa: ARG001
        (value,) = values.values()
        return {name: value}

    return same


def _recurrent(op: Any, x: Shape, values: Any, flat: Any, layout: str) -> Arrays:  # noqa: ARG001
    size = 3 if op.bias else 2
    made: Arrays = {}
    for way in range(op.ways):
        end = "_reverse" if way else ""
        kernel, recurrent, *bias = values[way * size : (way + 1) * size]
        made[f"weight_ih_l0{end}"] = _whole(_gates(op, kernel).T)
        made[f"weight_hh_l0{end}"] = _whole(_gates(op, recurrent).T)
        if bias:
            (both,) = bias
            rows = both if both.ndim == 2 else np.stack([both, np.zeros_like(both)])
            made[f"bias_ih_l0{end}"] = _whole(_gates(op, rows[0]))
            made[f"bias_hh_l0{end}"] = _whole(_gates(op, rows[1]))
    return made


def _gates(op: Any, array: Any) -> Any:
    """Return the gates in PyTorch's order: a GRU has its reset gate before the update gate."""
    if not isinstance(op, recurrence.Gru):
        return array
    update, reset, candidate = np.split(array, 3, axis=-1)
    return np.concatenate([reset, update, candidate], axis=-1)


_RULES: Final[dict[type, Callable[..., Arrays]]] = {
    convolution.Convolution: _convolution,
    convolution.TransposedConvolution: _convolution,
    convolution.DepthwiseConvolution: _depthwise,
    convolution.FullyConnected: _linear,
    normalization._Normalization: _norm,  # noqa: SLF001
    normalization.RmsNorm: _named("weight"),
    elementwise.Scale: _scale,
    elementwise.PRelu: _prelu,
    tokens.ClassToken: _named("token"),
    tokens.Parameter: _named("parameter"),
    tokens.PositionEmbedding: _named("embedding"),
    attention.RelativePositionBias: _named("table"),
    recurrence._Recurrent: _recurrent,  # noqa: SLF001
}
"""Arrays of each op with weights as its module has them, by the module's names."""
