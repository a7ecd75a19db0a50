"""Functions of one value at a time, softmax, and what keeps every value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from archspec.imports.model import ABSENT
from archspec.imports.onnx.source import Step, is_one
from archspec.imports.onnx.trace import Handler, Trace, Unsupported, Value
from archspec.ops.elementwise import Activate, Dropout, Glu, PRelu, Softmax
from archspec.ops.functions import (
    Celu,
    Elu,
    Gelu,
    HardShrink,
    HardSigmoid,
    LeakyRelu,
    Relu,
    SoftShrink,
)
from archspec.ops.functions import Threshold as ThresholdFunction
from archspec.ops.op import Op


def elementwise(t: Trace, step: Step, op: Op, place: int = 0) -> None:
    """Add an op that leaves every value of an input where it is."""
    elementwise_on(t, step, t.value(step, place), op)


def elementwise_on(t: Trace, step: Step, x: Value, op: Op, **more: Any) -> None:
    """Add an op that leaves every value of `x` where it is; `more` is for `Trace.add`."""
    t.values[step.outputs[0]] = replace(x, node=t.add(step, op, x.node, **more))


def _activation(word: str) -> Handler:
    return _function(lambda _: word)


def _function(make: Callable[[Step], Any]) -> Handler:
    def handler(t: Trace, step: Step) -> None:
        elementwise(t, step, Activate(function=make(step)))

    return handler


def clip(t: Trace, step: Step) -> None:
    bounds = []
    for place, name in ((1, "min"), (2, "max")):
        number: Any = step.attributes.get(name)
        if number is None and step.input(place):
            values = t.numbers(step, place, "limit")
            number = values[0] if values else None
        bounds.append(None if number is None or abs(number) > 1e38 else float(number))
    low, high = bounds
    words: dict[tuple[Any, Any], Any] = {
        (0.0, 6.0): "relu6",
        (0.0, None): "relu",
        (-1.0, 1.0): "hard_tanh",
        (None, None): "linear",
    }
    if (low, high) in words:
        function = words[low, high]
    elif low == 0 and high is not None and high > 0:
        function = Relu(max=high)
    else:
        raise Unsupported(f"archspec has no function that cuts at {low} and {high}")
    elementwise(t, step, Activate(function=function))


def sloped(slope: float, offset: float) -> Any:
    """Return the hard sigmoid with a slope."""
    if abs(offset - 0.5) > 1e-6 or slope <= 0:
        raise Unsupported(f"archspec's hard sigmoid is 0.5 at 0, not {offset:g}")
    return "hard_sigmoid" if abs(slope - 1 / 6) < 1e-3 else HardSigmoid(slope=slope)


def shrink(t: Trace, step: Step) -> None:
    limit, bias = step.get("lambd", 0.5), step.get("bias", 0.0)
    if bias not in (0.0, limit):
        raise Unsupported("archspec has no such shrinkage")
    function = SoftShrink(threshold=limit) if bias else HardShrink(threshold=limit)
    elementwise(t, step, Activate(function=function))


def prelu(t: Trace, step: Step) -> None:
    x, slope = t.value(step), t.weight(step, 1, "slope")
    dims = (1,) * (x.rank - 1 - len(slope.dims)) + slope.dims[-(x.rank - 1) :]
    by_channel = slope.size == x.node.shape.channels
    if x.is_mixed:
        x = t.straight(step, x)
    if slope.size == 1:
        shared, order = "all", None
    elif by_channel and (slope.size == dims[x.channels - 1] or len(slope.dims) == 1):
        shared, order = "places", None
    elif slope.size == x.node.shape.size:
        shared = "none"
        order = [x.axes.index(axis) - 1 for axis in range(len(x.node.shape))]
    else:
        raise Unsupported("archspec shares slopes between all places of a channel, or all values")
    op = PRelu.parse({"shared": shared})
    shape = op.weights(x.node.shape)[0].shape

    def read() -> Any:
        array = -slope.load() if step.get("archspec.negative", 0) else slope.load()
        return (array.reshape(dims).transpose(order) if order else array).reshape(shape)

    elementwise_on(t, step, x, op, constants=[slope], weights=[read])


def softmax(t: Trace, step: Step) -> None:
    x = t.value(step)
    logarithm = step.op == "LogSoftmax"
    axis = x.at(step.get("axis", -1 if t.opset >= 13 else 1))
    if x.axes[axis] == ABSENT:
        raise Unsupported("it works along an axis of one place")
    name = x.name_of(axis)
    if t.opset < 13 and any(not is_one(n) for n in x.dims[axis + 1 :]):
        raise Unsupported("it works along several axes at once")
    if logarithm and name != "channels":
        others = [a for a in range(x.rank) if a != axis and x.axes[a] >= 0]
        x = t.ordered(step, x, [*others, axis])
    op: Op = Softmax(axis=name)
    if logarithm or x.node.shape.rank == 0:
        op = Activate(function="log_softmax" if logarithm else "softmax")
    elementwise_on(t, step, x, op)


def glu(t: Trace, step: Step) -> None:
    x = t.value(step)
    channel = 1 if x.rank > 2 else x.rank - 1
    if x.axes[channel] != len(x.node.shape) - 1:
        raise Unsupported("it halves another axis than the channels")
    elementwise(t, step, Glu())


def quantized(t: Trace, step: Step) -> None:
    """Pass on values that are rounded to whole numbers, or made real again."""
    t.values[step.outputs[0]] = t.value(step)
    t.b.note(
        "The file rounds the values between its layers to whole numbers; the table counts every "
        "value and weight as the number that it stands for. A ReLU may hide in the range of these."
    )


def dropout(t: Trace, step: Step) -> None:
    rate: Any = step.attributes.get("ratio")
    if rate is None and step.input(1):
        rate = t.numbers(step, 1, "rate")[0]
    rate = 0.5 if rate is None else rate
    if not 0 < rate < 1:
        passed(t, step)
    else:
        elementwise(t, step, Dropout(rate=float(rate)))


def passed(t: Trace, step: Step) -> None:
    """Let a step that changes nothing vanish."""
    t.keep(step, t.seen(step))


_SAME: Final = "Abs Mish Relu Selu Sigmoid Softplus Softsign Swish Tanh"
"""Functions that archspec calls by ONNX's names, in small letters."""

LAYERS: Final[dict[str, Handler]] = {
    **{op: _activation(op.lower()) for op in _SAME.split()},
    "HardSwish": _activation("hard_swish"),
    "Exp": _activation("exponential"),
    "archspec.Swish": _activation("swish"),
    "archspec.HardSwish": _activation("hard_swish"),
    "archspec.HardSigmoid": _activation("hard_sigmoid"),
    "archspec.Mish": _activation("mish"),
    "archspec.Glu": glu,
    "archspec.Threshold": _function(
        lambda step: ThresholdFunction(
            threshold=step.get("threshold", 0.0), value=step.get("value", 0.0)
        )
    ),
    "archspec.LogSigmoid": _activation("log_sigmoid"),
    "archspec.Gelu": _function(lambda step: Gelu(approximate=bool(step.get("tanh", 0)))),
    "Gelu": _function(lambda step: Gelu(approximate=step.get("approximate", "none") == "tanh")),
    "LeakyRelu": _function(lambda step: LeakyRelu(slope=step.get("alpha", 0.01))),
    "Elu": _function(lambda step: Elu(alpha=step.get("alpha", 1.0))),
    "Celu": _function(lambda step: Celu(alpha=step.get("alpha", 1.0))),
    "ThresholdedRelu": _function(
        lambda step: ThresholdFunction(threshold=step.get("alpha", 1.0), value=0.0)
    ),
    "Clip": clip,
    "HardSigmoid": _function(lambda step: sloped(step.get("alpha", 0.2), step.get("beta", 0.5))),
    "Shrink": shrink,
    "PRelu": prelu,
    "Softmax": softmax,
    "LogSoftmax": softmax,
    "DequantizeLinear": quantized,
    "DynamicQuantizeLinear": quantized,
    "Dropout": dropout,
    "QuantizeLinear": quantized,
    "Identity": passed,
    "Cast": passed,
    "CastLike": passed,
}
"""The function for each operator."""
