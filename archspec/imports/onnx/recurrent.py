"""LSTM, GRU and the plain recurrence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from archspec.graph.graph import Node
from archspec.imports.model import ABSENT, BATCH
from archspec.imports.onnx.activation import sloped
from archspec.imports.onnx.source import Constant, Step
from archspec.imports.onnx.trace import Handler, Trace, Unsupported, Value
from archspec.lazy import np
from archspec.ops.arrangement import Slice
from archspec.ops.merge import Concat
from archspec.ops.recurrence import Gru, Lstm, Rnn


def _recurrent(
    t: Trace, step: Step, kind: type[Any], gates: Sequence[int], **arguments: Any
) -> None:
    """Add a recurrence. ONNX's tensors are [positions, batch, channels]."""
    x = t.value(step)
    kernel, inner = t.weight(step, 1, "kernel"), t.weight(step, 2, "recurrent kernel")
    bias = t.constant(step, 3)
    units, ways = inner.dims[-1], kernel.dims[0]
    if step.get("layout", 0):
        raise Unsupported("its axes are in another order than archspec reads")
    if t.constant(step, 4) is None and t.optional(step, 4) is not None:
        raise Unsupported("the lengths of its sequences are given as the network runs")
    if step.get("direction", "forward") == "reverse":
        raise Unsupported("it reads its sequence backwards")
    if x.rank != 3 or x.axes[1] not in (BATCH, ABSENT):
        raise Unsupported("its input is not a sequence of vectors")
    if step.input(7):
        raise Unsupported("it has peepholes")
    whole, final = step.outputs[0], step.outputs[1] if len(step.outputs) > 1 else ""
    wants_all = bool(whole) and (whole in t.users or whole in t.source.outputs)
    wants_last = bool(final) and (final in t.users or final in t.source.outputs)
    if len(step.outputs) > 2 and {step.outputs[2]} & (t.users.keys() | {*t.source.outputs}):
        raise Unsupported("its last cell is read")
    for place in (5, 6):
        first = t.constant(step, place)
        if step.input(place) and not (first and t.is_zero(first)):
            raise Unsupported("it begins with a state that it is given")
    node = t.aligned(step, x, (0, 2))
    op = kind(
        units=units,
        bias=bias is not None,
        bidirectional=ways == 2,
        output="sequence" if wants_all or ways == 2 else "last",
        **arguments,
        **_functions(step, kind, ways),
    )
    biases = op.biases
    reads = [r for way in range(ways) for r in _gates_of(way, kernel, inner, bias, gates, biases)]
    constants = [kernel, inner, *([bias] if bias is not None else [])]
    result = t.add(step, op, node, constants=constants, weights=reads)
    if bias is not None and biases == 1 and bias.dims[-1] != len(gates) * units:
        t.note("two biases")
    if wants_all:
        if ways == 2:
            t.values[whole] = _two_ways(t, step, result, units, x.batch)
        else:
            t.values[whole] = Value(result, (0, ABSENT, BATCH, 1), x.batch)
    if ways == 2 or (wants_all and wants_last):
        if wants_last:
            t.values[final] = _last_states(t, step, result, units, x.batch)
    elif final:
        t.values[final] = Value(result, (ABSENT, BATCH, 0), x.batch)


def _gates_of(
    way: int,
    kernel: Constant,
    inner: Constant,
    bias: Constant | None,
    gates: Sequence[int],
    biases: int,
) -> Iterator[Callable[[], Any]]:
    """Yield what reads the weights of a direction, with the gates in Keras's order."""

    def gated(array: Any) -> Any:
        parts = np.split(array, len(gates), 0)
        return np.concatenate([parts[gate] for gate in gates], 0)

    yield lambda: gated(kernel.load()[way]).T
    yield lambda: gated(inner.load()[way]).T
    if bias is None:
        return

    def offsets() -> Any:
        array = bias.load()[way]
        if array.size == len(gates) * inner.dims[-1]:  # TFLite has one
            return gated(array)
        both = [gated(half) for half in np.split(array, 2)]
        return both[0] + both[1] if biases == 1 else np.stack(both)

    yield offsets


def _last_states(t: Trace, step: Step, node: Node, units: int, batch: Any) -> Value:
    """Return the last state of each direction, [directions, batch, units].

    That of the direction which reads the sequence backwards stands at the first position.
    """
    end = node.shape[0]
    ways = node.shape[-1] // units
    states = []
    for way, place in enumerate((end - 1, 0)[:ways]):
        suffix = ("-last", "-first")[way] if ways == 2 else "-last"
        at = t.add(
            step,
            Slice(axis="length", start=place, stop=place + 1),
            node,
            suffix=suffix,
            checked=False,
        )
        if ways == 2:
            part = Slice(start=way * units, stop=(way + 1) * units)
            at = t.add(step, part, at, suffix=f"{suffix}-state", checked=False)
        states.append(at)
    joined = states[0]
    if ways == 2:
        joined = t.add(step, Concat(axis="length"), *states, suffix="-states", checked=False)
    return Value(joined, (0, BATCH, 1), batch)


def _functions(step: Step, kind: type[Any], ways: int) -> dict[str, Any]:
    """Return the functions of a recurrence as arguments: in ONNX first that of the gates."""
    gated = "recurrent_activation" in kind.model_fields
    given = step.get("activations", ["Sigmoid", "Tanh"][not gated :] * ways)
    count = len(given) // ways
    if not count:
        raise Unsupported("it has no functions")
    if step.get("clip", 0) or step.get("input_forget", 0):
        raise Unsupported("it clips its sums, or couples its gates")
    if any(given[:count] != given[i : i + count] for i in range(0, len(given), count)):
        raise Unsupported("its two directions have different functions")
    first, *others = (_in_recurrence(step, str(each)) for each in given[:count])
    if any(each != others[0] for each in others[1:]):
        raise Unsupported("its cell has another function than its candidate")
    if not gated:
        return {"activation": first}
    return {"recurrent_activation": first, "activation": others[0] if others else "tanh"}


def _in_recurrence(step: Step, name: str) -> Any:
    """Return a function among a recurrence's `activations`."""
    plain = {"sigmoid", "tanh", "relu", "softsign", "softplus"}
    if name.lower() in plain:
        return name.lower()
    if name.lower() == "hardsigmoid":
        # Only functions with arguments have theirs in the two lists.
        return sloped(
            next(iter(step.get("activation_alpha", ())), 0.2),
            next(iter(step.get("activation_beta", ())), 0.5),
        )
    raise Unsupported(f"its function is {name}")


def _two_ways(t: Trace, step: Step, node: Node, units: int, batch: Any) -> Value:
    """Return the outputs of both directions, [positions, directions, batch, units]."""
    split = t.reshape(step, node, (node.shape[0], 2, units))
    return Value(split, (0, 1, BATCH, 2), batch)


LAYERS: Final[dict[str, Handler]] = {
    # In ONNX input, output, forget, candidate; update, reset, candidate in both.
    "LSTM": lambda t, step: _recurrent(t, step, Lstm, (0, 2, 3, 1)),
    "GRU": lambda t, step: _recurrent(
        t, step, Gru, (0, 1, 2), reset_after=bool(step.get("linear_before_reset", 0))
    ),
    "RNN": lambda t, step: _recurrent(t, step, Rnn, (0,)),
}
"""The function for each operator."""
