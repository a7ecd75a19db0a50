"""Recurrences of PyTorch, whole ones and single cells, as ONNX's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from archspec.imports.onnx.source import Constant
from archspec.imports.onnx.writing import Unwritten
from archspec.imports.pytorch.writing import (
    Arguments,
    Operator,
    Program,
    tensor_name,
    tensor_names,
)
from archspec.lazy import np


def _recurrence(op: str, gates: Sequence[int], **attributes: Any) -> Operator:
    """Return the function of a recurrence; `gates` are the places of ONNX's among torch's."""

    def write(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
        x, scope = a["input"].name, p.scope
        params = [p.constants[each.name] for each in a["params"]]
        ways, layers = 1 + bool(a.get("bidirectional")), int(a["num_layers"])
        each = 4 if a.get("has_biases") else 2
        if any(name not in p.zeros for name in tensor_names(a["hx"])):
            raise Unwritten("it begins with a state that it is given")
        if any(name in p.read_later for name in outputs[2:]):
            raise Unwritten("its last cell is read")
        if len(params) != each * ways * layers:
            raise Unwritten("its state is projected to fewer channels")
        states: list[str] | None = [] if {*outputs[1:2]} & p.read_later else None
        turned = bool(a.get("batch_first"))
        if turned:
            x = p.stepped("Transpose", [x], perm=[1, 0, 2])
        for layer in range(layers):
            p.scope = f"{scope}.{layer}" if layers > 1 else scope
            own = params[layer * ways * each : (layer + 1) * ways * each]
            arrays = [_stacked(own[at::each], gates) for at in range(each)]
            names = [p.constant(arrays[0]), p.constant(arrays[1])]
            if each == 4:
                names.append(p.constant(_joined(arrays[2], arrays[3])))
            direction = "bidirectional" if ways == 2 else "forward"
            y = p.new("archspec")
            made = [y]
            if states is not None:
                states.append(p.new("archspec_state"))
                made.append(states[-1])
            p.step(op, [x, *names], made, direction=direction, **attributes)
            if layer == layers - 1 and outputs[0] not in p.read_later:
                continue
            y = p.stepped("Transpose", [y], perm=[0, 2, 1, 3])
            x = p.stepped("Reshape", [y, p.ints([0, 0, -1])])
        if outputs[0] in p.read_later:
            axes = [1, 0, 2] if turned else [0, 1, 2]
            p.step("Transpose", [x], outputs[:1], perm=axes)
        if states is not None:
            p.step("Concat", states, outputs[1:2], axis=0)
        p.stacked.update(each.name for each in a["params"])

    return write


def _recurrent_cell(gates: Callable[..., None]) -> Operator:
    """Return the function of one step of a recurrence: two products, and what `gates` does.

    It is given the program, the products of input and state, the states before, and the outputs.
    """

    def write(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
        states = tensor_names(a["hx"])
        scope, products = p.scope, []
        for word, x in (("input", a["input"].name), ("state", states[0])):
            p.scope = f"{scope}.{word}"
            short = "ih" if word == "input" else "hh"
            names = [x, a[f"w_{short}"].name, tensor_name(a.get(f"b_{short}"))]
            products.append(p.stepped("Gemm", names, transB=1))
        p.scope = scope
        gates(p, products, states, outputs)

    return write


def _plain_cell(function: str) -> Operator:
    def gates(
        p: Program, products: Sequence[str], states: Sequence[str], outputs: Sequence[str]
    ) -> None:
        del states  # the product has it
        p.step(function, [p.stepped("Add", products)], outputs)

    return _recurrent_cell(gates)


def _apart(p: Program, x: str, count: int) -> list[str]:
    """Return equal parts of the channels."""
    parts = [p.new(f"{x}_{at}") for at in range(count)]
    p.step("Split", [x], parts, axis=-1, num_outputs=count)
    return parts


def _lstm_cell(
    p: Program, products: Sequence[str], states: Sequence[str], outputs: Sequence[str]
) -> None:
    enter, forget, new, out = _apart(p, p.stepped("Add", products), 4)
    kept = p.stepped("Mul", [p.stepped("Sigmoid", [forget]), states[1]])
    added = p.stepped("Mul", [p.stepped("Sigmoid", [enter]), p.stepped("Tanh", [new])])
    p.step("Add", [kept, added], outputs[1:2])
    p.step("Mul", [p.stepped("Sigmoid", [out]), p.stepped("Tanh", [outputs[1]])], outputs[:1])


def _gru_cell(
    p: Program, products: Sequence[str], states: Sequence[str], outputs: Sequence[str]
) -> None:
    (reset, update, new), (reset_2, update_2, new_2) = (_apart(p, each, 3) for each in products)
    gate = p.stepped("Sigmoid", [p.stepped("Add", [reset, reset_2])])
    share = p.stepped("Sigmoid", [p.stepped("Add", [update, update_2])])
    sum_ = p.stepped("Add", [new, p.stepped("Mul", [gate, new_2])])
    new = p.stepped("Tanh", [sum_])
    difference = p.stepped("Sub", [states[0], new])
    p.step("Add", [new, p.stepped("Mul", [share, difference])], outputs)


def _stacked(arrays: Sequence[Constant], gates: Sequence[int]) -> Constant:
    """Return the arrays of all directions as one, with the gates in ONNX's order."""

    def load() -> Any:
        parts = [np.split(each.load(), len(gates)) for each in arrays]
        return np.stack([np.concatenate([way[gate] for gate in gates]) for way in parts])

    dims = (len(arrays), *arrays[0].dims)
    count = sum(each.count for each in arrays)
    return Constant(dims, "float", None, load, arrays[0].name, count)


def _joined(first: Constant, second: Constant) -> Constant:
    """Return the two biases of a recurrence side by side."""

    def load() -> Any:
        return np.concatenate([first.load(), second.load()], 1)

    dims = (first.dims[0], first.dims[1] + second.dims[1])
    return Constant(dims, "float", None, load, first.name, first.count + second.count)


OPERATORS: Final[Mapping[str, Operator]] = {
    "lstm": _recurrence("LSTM", (0, 3, 1, 2)),
    "gru": _recurrence("GRU", (1, 0, 2), linear_before_reset=1),
    "rnn_tanh": _recurrence("RNN", (0,), activations=["Tanh", "Tanh"]),
    "rnn_relu": _recurrence("RNN", (0,), activations=["Relu", "Relu"]),
    "lstm_cell": _recurrent_cell(_lstm_cell),
    "gru_cell": _recurrent_cell(_gru_cell),
    "rnn_tanh_cell": _plain_cell("Tanh"),
    "rnn_relu_cell": _plain_cell("Relu"),
}
"""The function of each operator, without its overload and the `_` of those in place."""
