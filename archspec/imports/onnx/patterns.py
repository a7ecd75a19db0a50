"""Functions that exporters spell out in several steps, found and put back into one.

`x * sigmoid(x)` is swish, and `x * 0.5 * (1 + erf(x / sqrt(2)))` is gelu, whatever the order of the
factors. A pattern is anchored at its last step; the steps before it must be read by it alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isclose, sqrt
from typing import Any, Final, NamedTuple

from archspec.imports.onnx.source import MALFORMED, Constant, Step

TOLERANCE: Final = 2e-3
"""Relative difference of a constant to the one of a formula: 0.1667 stands for 1/6."""

MOST_FACTORS: Final = 6

MOST_NEIGHBOURS: Final = 256
"""Largest number of steps in a sum over neighbouring channels."""


class Product(NamedTuple):
    """A chain of products: its factors, the product of the constants, and the steps inside."""

    factors: list[str]
    constant: float
    steps: list[Step]


class Finder:
    """Finds patterns among the steps of a graph."""

    def __init__(
        self,
        steps: Sequence[Step],
        constants: Mapping[str, Constant],
        outputs: Sequence[str],
        users: Mapping[str, Sequence[Step]],
    ) -> None:
        self.constants = constants
        self.makers = {output: step for step in steps for output in step.outputs}
        self.users = users
        self.outputs = set(outputs)

    def maker(self, name: str, *ops: str) -> Step | None:
        """Return the step of one of these operators that gives a value."""
        step = self.makers.get(name)
        return step if step is not None and step.op in ops else None

    def number(self, name: str) -> float | None:
        """Return the only number that a constant holds; None for any other value."""
        constant = self.constants.get(name)
        value = constant.number if constant is not None else None
        return float(value) if isinstance(value, (int, float)) else None

    def is_number(self, name: str, wanted: float) -> bool:
        number = self.number(name)
        return number is not None and isclose(number, wanted, rel_tol=TOLERANCE, abs_tol=1e-9)

    def is_vector(self, name: str) -> bool:
        """Whether a constant has values along its last axis alone."""
        return all(n == 1 for n in self.constants[name].dims[:-1])

    def operand(self, step: Step, wanted: float) -> str | None:
        """Return the other operand of a step on a value and this constant."""
        for value, constant in ((0, 1), (1, 0)):
            if len(step.inputs) == 2 and self.is_number(step.inputs[constant], wanted):
                return step.inputs[value]
        return None

    def product(self, step: Step) -> Product:
        """Return the factors of a chain of products that ends in a step."""
        product = Product([], 1.0, [])
        pending: list[tuple[str, bool]] = [(step.outputs[0], True)]
        constant = 1.0
        while pending:
            name, is_end = pending.pop()
            inner = self.maker(name, "Mul", "Div", "Neg")
            number = self.number(name)
            if number is not None:
                constant *= number
            elif (
                inner is not None
                and (is_end or self.is_private(name))
                and len(product.steps) < MOST_FACTORS
                and (inner.op != "Div" or self.number(inner.inputs[1]))
            ):
                product.steps.append(inner)
                if inner.op == "Neg":
                    constant = -constant
                    pending.append((inner.inputs[0], False))
                elif inner.op == "Div":
                    constant /= self.number(inner.inputs[1]) or 1.0
                    pending.append((inner.inputs[0], False))
                else:
                    pending += [(each, False) for each in inner.inputs]
            else:
                product.factors.append(name)
        return product._replace(constant=constant)

    def is_private(self, name: str) -> bool:
        """Whether one step alone reads a value."""
        return name not in self.outputs and len(self.users.get(name, ())) == 1


class Match(NamedTuple):
    """A pattern that was found."""

    op: str
    inputs: tuple[str, ...]
    inner: list[Step]
    """The steps that it stands for, beside the last."""
    attributes: Mapping[str, Any] = {}


def put_together(steps: Sequence[Step], finder: Finder) -> list[Step]:
    """Return the steps with those of each pattern replaced by one, in the place of the last."""
    gone: set[int] = set()
    new: dict[int, Step] = {}
    for step in steps:
        for pattern in PATTERNS.get(step.op, ()):
            match = _matched(pattern, finder, step)
            if match is None or any(id(inner) in gone or id(inner) in new for inner in match.inner):
                continue
            inside = {id(step), *map(id, match.inner)}
            if any(
                output in finder.outputs
                or any(id(user) not in inside for user in finder.users.get(output, ()))
                for inner in match.inner
                if inner is not step
                for output in inner.outputs
            ):
                continue
            gone |= inside - {id(step)}
            attributes = {**match.attributes}
            for key in step.attributes:
                if key.startswith("archspec."):
                    attributes[key] = step.attributes[key]
            new[id(step)] = Step(match.op, step.name, match.inputs, step.outputs, attributes)
            break
    return [new.get(id(step), step) for step in steps if id(step) not in gone]


Pattern = Callable[[Finder, Step], Match | None]


def _matched(pattern: Pattern, finder: Finder, step: Step) -> Match | None:
    """Return what a pattern finds; None where a step is malformed, which its own rule tells."""
    try:
        return pattern(finder, step)
    except MALFORMED:
        return None


def _gate(f: Finder, step: Step) -> Match | None:
    """Match x times a function of x: swish, hard swish, mish, gelu."""
    product = f.product(step)
    if len(product.factors) != 2:
        return None
    for x, gate in (product.factors, product.factors[::-1]):
        for found in (_sigmoid_gate, _clipped_gate, _mish_gate, _normal_gate):
            match = found(f, x, gate, product.constant)
            if match is not None:
                inner = [each for each in product.steps if each is not step]
                return match._replace(inner=[*inner, *match.inner])
    return None


def _sigmoid_gate(f: Finder, x: str, gate: str, constant: float) -> Match | None:
    step = f.maker(gate, "Sigmoid", "HardSigmoid")
    if step is None or step.inputs[0] != x or not isclose(constant, 1, rel_tol=TOLERANCE):
        return None
    if step.op == "Sigmoid":
        return Match("archspec.Swish", (x,), [step])
    alpha, beta = step.get("alpha", 0.2), step.get("beta", 0.5)
    if isclose(alpha, 1 / 6, rel_tol=TOLERANCE) and isclose(beta, 0.5):
        return Match("archspec.HardSwish", (x,), [step])
    return None


def _shifted_relu6(f: Finder, name: str) -> tuple[str, list[Step]] | None:
    """Return x and the steps of min(max(x + 3, 0), 6)."""
    clip = f.maker(name, "Clip")
    if clip is None:
        return None
    limits = [clip.attributes.get("min"), clip.attributes.get("max")]
    for place in (1, 2):
        if len(clip.inputs) > place and clip.inputs[place]:
            limits[place - 1] = f.number(clip.inputs[place])
    add = f.maker(clip.inputs[0], "Add")
    x = f.operand(add, 3.0) if add is not None else None
    if add is None or x is None or limits[0] != 0 or limits[1] != 6:
        return None
    return x, [clip, add]


def _clipped_gate(f: Finder, x: str, gate: str, constant: float) -> Match | None:
    found = _shifted_relu6(f, gate)
    if found is None or found[0] != x or not isclose(constant, 1 / 6, rel_tol=TOLERANCE):
        return None
    return Match("archspec.HardSwish", (x,), found[1])


def _mish_gate(f: Finder, x: str, gate: str, constant: float) -> Match | None:
    tanh = f.maker(gate, "Tanh")
    softplus = f.maker(tanh.inputs[0], "Softplus") if tanh is not None else None
    if tanh is None or softplus is None or softplus.inputs[0] != x or constant != 1:
        return None
    return Match("archspec.Mish", (x,), [tanh, softplus])


def _normal_gate(f: Finder, x: str, gate: str, constant: float) -> Match | None:
    """Match the factor of gelu, 1 + erf(x / sqrt(2)), or its approximation by a tanh."""
    add = f.maker(gate, "Add", "Sub")
    inner = f.operand(add, 1.0) if add is not None else None
    if add is None or inner is None or not isclose(constant, 0.5, rel_tol=TOLERANCE):
        return None
    sign = -1 if add.op == "Sub" else 1  # 1 - erf(-x), as TensorFlow writes it
    if add.op == "Sub" and inner != add.inputs[1]:
        return None
    erf = f.maker(inner, "Erf")
    if erf is not None:
        scaled = f.maker(erf.inputs[0], "Mul", "Div", "Neg")
        product = f.product(scaled) if scaled is not None else None
        if product is None or product.factors != [x]:
            return None
        if not isclose(product.constant, sign / sqrt(2), rel_tol=TOLERANCE):
            return None
        return Match("archspec.Gelu", (x,), [add, erf, *product.steps])
    tanh = f.maker(inner, "Tanh")
    if tanh is None or sign < 0:
        return None
    inside = list(_between(f, tanh.inputs[0], x))
    ops = sorted(step.op for step in inside)
    if ops.count("Add") == 1 and len(inside) <= 6 and set(ops) <= {"Add", "Mul", "Pow"}:
        return Match("archspec.Gelu", (x,), [add, tanh, *inside], {"tanh": 1})
    return None


def _between(f: Finder, name: str, x: str) -> Iterator[Step]:
    """Yield the steps between a value and `x`, ten at most."""
    pending: list[str] = [name]
    seen: set[int] = set()
    while pending and len(seen) < 10:
        each = pending.pop()
        step = f.makers.get(each)
        if each == x or step is None or id(step) in seen:
            continue
        seen.add(id(step))
        yield step
        pending += step.inputs


def _hard_sigmoid(f: Finder, step: Step) -> Match | None:
    product = f.product(step)
    if len(product.factors) != 1 or not isclose(product.constant, 1 / 6, rel_tol=TOLERANCE):
        return None
    found = _shifted_relu6(f, product.factors[0])
    if found is None:
        return None
    inner = [each for each in product.steps if each is not step]
    return Match("archspec.HardSigmoid", (found[0],), [*inner, *found[1]])


def _clipped_line(f: Finder, step: Step) -> Match | None:
    """Match min(max(slope * x + 1/2, 0), 1)."""
    limits = [step.attributes.get("min"), step.attributes.get("max")]
    for place in (1, 2):
        if len(step.inputs) > place and step.inputs[place]:
            limits[place - 1] = f.number(step.inputs[place])
    add = f.maker(step.inputs[0], "Add")
    scaled = f.operand(add, 0.5) if add is not None else None
    mul = f.maker(scaled, "Mul", "Div") if scaled is not None else None
    if add is None or mul is None or limits != [0, 1]:
        return None
    product = f.product(mul)
    if len(product.factors) != 1 or product.constant <= 0:
        return None
    slope = {"alpha": product.constant}
    return Match("HardSigmoid", (product.factors[0],), [add, *product.steps], slope)


def _layer_norm(f: Finder, step: Step) -> Match | None:
    """Match (x - mean) / sqrt(variance + epsilon) * gamma + beta over the last axis."""
    beta = next((name for name in step.inputs if name in f.constants), "")
    scaled = next((name for name in step.inputs if name != beta), "")
    mul = f.maker(scaled, "Mul")
    if not beta or mul is None:
        return None
    gamma = next((name for name in mul.inputs if name in f.constants), "")
    div = f.maker(next((name for name in mul.inputs if name != gamma), ""), "Div")
    if not gamma or div is None:
        return None
    found = _standardized(f, div)
    if found is None:
        return None
    x, epsilon, inner = found
    attributes = {"epsilon": epsilon, "axis": -1}
    return Match("LayerNormalization", (x, gamma, beta), [mul, div, *inner], attributes)


def _standardized(f: Finder, div: Step) -> tuple[str, float, list[Step]] | None:
    """Return x, epsilon and the steps of (x - mean) / sqrt(variance + epsilon)."""
    sub, root = f.maker(div.inputs[0], "Sub"), f.maker(div.inputs[1], "Sqrt")
    add = f.maker(root.inputs[0], "Add") if root is not None else None
    if sub is None or root is None or add is None:
        return None
    epsilon = next((n for name in add.inputs if (n := f.number(name)) is not None), None)
    variance = next((s for name in add.inputs if (s := f.maker(name, "ReduceMean"))), None)
    mean = f.maker(sub.inputs[1], "ReduceMean")
    x = sub.inputs[0]
    if epsilon is None or variance is None or mean is None or mean.inputs[0] != x:
        return None
    if _axes(f, mean) != [-1] or _axes(f, variance) != [-1]:
        return None
    square = f.maker(variance.inputs[0], "Pow", "Mul")
    if square is None or square.inputs[0] != sub.outputs[0]:
        return None
    return x, epsilon, [sub, root, add, variance, mean, square]


def _norm_of_keras(f: Finder, step: Step) -> Match | None:
    """Match x * m - mean * m + beta, where m is gamma / sqrt(variance + epsilon).

    Over the last axis it is a layer norm, over all but those of the batch and of groups, into which
    the channels were split, a group norm.
    """
    for scaled_name, rest_name in (step.inputs, step.inputs[::-1]):
        scaled = f.maker(scaled_name, "Mul")
        rest = f.maker(rest_name, "Mul", "Add", "Sub")
        if scaled is None or rest is None:
            continue
        beta, inner = "", [scaled, rest]
        if rest.op != "Mul":
            beta = next((name for name in rest.inputs if name in f.constants), "")
            moved = f.maker(next((n for n in rest.inputs if n != beta), ""), "Mul")
            if not beta or moved is None:
                continue
            inner.append(moved)
        else:
            moved = rest
        for x, factor in (scaled.inputs, scaled.inputs[::-1]):
            found = _factor_of_norm(f, x, factor)
            if found is None or factor not in moved.inputs:
                continue
            gamma, epsilon, mean, axes, steps = found
            shift = next((name for name in moved.inputs if name != factor), "")
            neg = f.maker(shift, "Neg")
            if (neg.inputs[0] if neg is not None else shift) != mean:
                continue
            inner += [*steps, *([neg] if neg is not None else [])]
            inputs = (x, gamma, beta) if beta else (x, gamma)
            if axes == [-1]:
                attributes = {"epsilon": epsilon, "axis": -1}
                return Match("LayerNormalization", inputs, inner, attributes)
            return _group_norm_of_keras(f, step, inputs, inner, axes, epsilon)
    return None


def _group_norm_of_keras(
    f: Finder,
    step: Step,
    inputs: Sequence[str],
    inner: list[Step],
    axes: Sequence[int],
    epsilon: float,
) -> Match | None:
    """Match the norm of a map whose channels were split into groups, and are joined after it."""
    x, *weights = inputs
    split, dims = f.maker(x, "Reshape"), f.constants[weights[0]].dims
    rank = len(dims)
    if split is None or len(weights) != 2 or rank < 4 or dims[:-2] != (1,) * (rank - 2):
        return None
    if sorted(axis % rank for axis in axes) != [*range(1, rank - 2), rank - 1]:
        return None
    joined = f.users.get(step.outputs[0], ())
    if len(joined) == 1 and joined[0].op in ("Relu", "Clip"):
        joined = f.users.get(joined[0].outputs[0], ())
    if [each.op for each in joined] != ["Reshape"]:
        return None
    attributes = {"num_groups": dims[-2], "epsilon": epsilon, "archspec.channels": -1}
    return Match("GroupNormalization", (split.inputs[0], *weights), [*inner, split], attributes)


def _factor_of_norm(
    f: Finder, x: str, name: str
) -> tuple[str, float, str, list[int], list[Step]] | None:
    """Return gamma, epsilon, the mean's name, the axes and the steps of a norm's factor.

    That is gamma / sqrt(variance + epsilon).
    """
    product = f.maker(name, "Mul")
    gamma = next((n for n in product.inputs if n in f.constants), "") if product else ""
    inverse = product and f.maker(next((n for n in product.inputs if n != gamma), ""), "Reciprocal")
    root = inverse and f.maker(inverse.inputs[0], "Sqrt")
    add = root and f.maker(root.inputs[0], "Add")
    if not (product and inverse and root and add and gamma):
        return None
    epsilon = next((n for each in add.inputs if (n := f.number(each)) is not None), None)
    means = ("GlobalAveragePool", "ReduceMean")
    variance = next((s for each in add.inputs if (s := f.maker(each, *means))), None)
    square = variance and f.maker(variance.inputs[0], "Mul")
    sub = square and f.maker(square.inputs[0], "Sub")
    mean = sub and f.maker(sub.inputs[1], *means)
    if not (variance and square and sub and mean) or epsilon is None:
        return None
    if sub.inputs[0] != x or mean.inputs[0] != x or square.inputs[0] != square.inputs[1]:
        return None
    axes = {tuple(_axes(f, each) or ()) for each in (mean, variance) if each.op == "ReduceMean"}
    if len(axes) > 1:
        return None
    if any(each.op == "GlobalAveragePool" for each in (mean, variance)) and not f.is_vector(gamma):
        return None
    steps = [product, inverse, root, add, variance, square, sub, mean]
    return gamma, epsilon, mean.outputs[0], list(*axes or [(-1,)]), steps


def _local_response_norm(f: Finder, step: Step) -> Match | None:
    """Match x / (k + alpha * s) ** beta, where s sums the squares of neighbouring channels.

    The squares are padded along one axis, and s is the sum of all slices of the old length. A
    converter may put the axes of x and of the divisor in another order before the division.
    """
    x, divisor = step.inputs
    power = f.maker(divisor, "Pow")
    beta = f.number(power.inputs[1]) if power is not None else None
    if power is None or beta is None:
        return None
    source, base, perm, inner = x, power.inputs[0], None, [power]
    turned, turned_base = f.maker(x, "Transpose"), f.maker(base, "Transpose")
    if turned is not None and turned_base is not None:
        perm = list(turned.attributes["perm"])
        if perm != list(turned_base.attributes["perm"]):
            return None
        source, base = turned.inputs[0], turned_base.inputs[0]
        inner.append(turned_base)
    add = f.maker(base, "Add")
    k, scaled = _with_number(f, add) if add is not None else (None, "")
    mul = f.maker(scaled, "Mul")
    alpha, total = _with_number(f, mul) if mul is not None else (None, "")
    found = _sum_of_windows(f, total, source) if alpha is not None else None
    if add is None or mul is None or k is None or alpha is None or found is None:
        return None
    axis, size, steps = found
    return Match(
        "LRN",
        (x,),
        [*inner, add, mul, *steps],
        {
            "axis": axis if perm is None else perm.index(axis),
            "size": size,
            "alpha": alpha * size,  # ONNX means the mean of the squares
            "beta": beta,
            "bias": k,
        },
    )


def _with_number(f: Finder, step: Step) -> tuple[float | None, str]:
    """Return the number that a step adds or multiplies by, and its other input."""
    a, b = step.inputs
    number = f.number(a)
    return (number, b) if number is not None else (f.number(b), a)


def _sum_of_windows(f: Finder, total: str, x: str) -> tuple[int, int, list[Step]] | None:
    """Return the axis, the number of neighbours and the steps of a sum of squares along an axis."""
    steps: list[Step] = []
    starts: list[int] = []
    places: set[tuple[str, int, int]] = set()
    pending = [total]
    while pending:
        step = f.maker(pending.pop(), "Add", "Identity", "Slice")
        if step is None or len(steps) > MOST_NEIGHBOURS:
            return None
        steps.append(step)
        if step.op != "Slice":
            pending += step.inputs
            continue
        if len(step.inputs) > 4 and f.number(step.inputs[4]) != 1:
            return None
        (start,), (end,), (axis,) = (f.constants[name].values or () for name in step.inputs[1:4])
        starts.append(start)
        places.add((step.inputs[0], axis, end - start))
    ((padded, axis, length),) = places
    pad = f.maker(padded, "Pad")
    square = f.maker(pad.inputs[0], "Mul") if pad is not None else None
    if pad is None or square is None or list(square.inputs) != [x, x] or not _pads_zeros(f, pad):
        return None
    amounts = f.constants[pad.inputs[1]].values or ()
    rank, radius = len(amounts) // 2, len(starts) // 2
    axis %= rank
    wanted = [0] * len(amounts)
    wanted[axis] = wanted[rank + axis] = radius
    # A slice of one channel would be broadcast over all.
    if sorted(starts) != [*range(2 * radius + 1)] or list(amounts) != wanted or length < 2:
        return None
    return axis, len(starts), [*steps, pad, square]


def _pads_zeros(f: Finder, pad: Step) -> bool:
    """Whether a step pads with zeros, by amounts for each axis."""
    value, axes = [*pad.inputs[2:], "", ""][:2]
    return (
        pad.get("mode", "constant") == "constant"
        and not pad.attributes.get("value")
        and (not value or f.number(value) == 0)
        and not axes
    )


def _axes(f: Finder, step: Step) -> list[int] | None:
    if "axes" in step.attributes:
        return list(step.attributes["axes"])
    constant = f.constants.get(step.inputs[1]) if len(step.inputs) > 1 else None
    return list(constant.values) if constant is not None and constant.values else None


def _group_norm(f: Finder, step: Step) -> Match | None:
    """Match torch's group norm: an instance norm of reshaped groups, then gamma and beta."""
    beta = next((name for name in step.inputs if name in f.constants), "")
    mul = f.maker(next((name for name in step.inputs if name != beta), ""), "Mul")
    if not beta or mul is None:
        return None
    gamma = next((name for name in mul.inputs if name in f.constants), "")
    back = f.maker(next((name for name in mul.inputs if name != gamma), ""), "Reshape")
    norm = f.maker(back.inputs[0], "InstanceNormalization") if back is not None else None
    if not gamma or back is None or norm is None:
        return None
    factor = f.constants.get(norm.inputs[1])
    split = f.maker(norm.inputs[0], "Reshape")
    if factor is None or split is None or factor.number != 1:
        return None
    attributes = {"num_groups": factor.size, "epsilon": norm.get("epsilon", 1e-5)}
    inner = [mul, back, norm, split]
    return Match("GroupNormalization", (split.inputs[0], gamma, beta), inner, attributes)


def _unit_norm(f: Finder, step: Step) -> Match | None:
    """Match a vector divided by its length, which is kept from 0."""
    name, inner = step.inputs[1], []
    while (wrapped := f.maker(name, "Clip", "Max", "Expand")) is not None:
        inner.append(wrapped)
        name = wrapped.inputs[0]
    length = f.maker(name, "ReduceL2")
    if length is None or length.inputs[0] != step.inputs[0] or not length.get("keepdims", 1):
        return None
    axes = _axes(f, length)
    if axes is None or len(axes) != 1:
        return None
    match = Match("LpNormalization", (step.inputs[0],), [*inner, length], {"axis": axes[0]})
    return match._replace(attributes={"axis": axes[0], "p": 2})


def _unit_norm_of_keras(f: Finder, step: Step) -> Match | None:
    """Match x / sqrt(sum of squares), whose second factor is kept from infinity."""
    for x, factor in (step.inputs, step.inputs[::-1]):
        limited = f.maker(factor, "Min")
        names = limited.inputs if limited is not None else ()
        inverse = next((s for name in names if (s := f.maker(name, "Reciprocal"))), None)
        root = f.maker(inverse.inputs[0], "Sqrt") if inverse is not None else None
        total = f.maker(root.inputs[0], "ReduceSum") if root is not None else None
        square = f.maker(total.inputs[0], "Mul") if total is not None else None
        if not (limited and inverse and root and total and square) or {*square.inputs} != {x}:
            continue
        axes = _axes(f, total)
        if axes is None or len(axes) != 1 or not total.get("keepdims", 1):
            continue
        inner = [limited, inverse, root, total, square]
        return Match("LpNormalization", (x,), inner, {"axis": axes[0], "p": 2})
    return None


def _softplus(f: Finder, step: Step) -> Match | None:
    """Match log(exp(x) + 1)."""
    add = f.maker(step.inputs[0], "Add")
    name = f.operand(add, 1.0) if add is not None else None
    exp = f.maker(name, "Exp") if name is not None else None
    if add is None or exp is None:
        return None
    return Match("Softplus", exp.inputs, [add, exp])


def _softsign(f: Finder, step: Step) -> Match | None:
    """Match x / (|x| + 1)."""
    add = f.maker(step.inputs[1], "Add")
    name = f.operand(add, 1.0) if add is not None else None
    size = f.maker(name, "Abs") if name is not None else None
    if add is None or size is None or size.inputs != step.inputs[:1]:
        return None
    return Match("Softsign", size.inputs, [add, size])


def _prelu(f: Finder, step: Step) -> Match | None:
    """Match relu(x) + c * relu(-x), as Keras writes it: the slope is -c."""
    for above, below in (step.inputs, step.inputs[::-1]):
        relu, product = f.maker(above, "Relu"), f.maker(below, "Mul")
        if relu is None or product is None:
            continue
        slope = next((name for name in product.inputs if name in f.constants), "")
        rest = f.maker(next((name for name in product.inputs if name != slope), ""), "Relu")
        neg = f.maker(rest.inputs[0], "Neg") if rest is not None else None
        if not slope or rest is None or neg is None or neg.inputs != relu.inputs:
            continue
        inner = [relu, product, rest, neg]
        return Match("PRelu", (*relu.inputs, slope), inner, {"archspec.negative": 1})
    return None


_SELU: Final = 1.0507009873554805, 1.6732632423543772
"""Scale and slope of selu (Klambauer et al. 2017, arXiv:1706.02515)."""


def _selu(f: Finder, step: Step) -> Match | None:
    """Match scale * x where x > 0, else scale * alpha * (exp(x) - 1)."""
    test, above, below = (f.maker(name, "Greater", "Mul") for name in step.inputs)
    if test is None or above is None or below is None or test.op != "Greater":
        return None
    scale, alpha = _SELU
    x = f.operand(above, scale)
    rest = f.operand(below, scale * alpha)
    sub = f.maker(rest, "Sub") if rest is not None else None
    exp = f.maker(sub.inputs[0], "Exp") if sub is not None else None
    if x is None or sub is None or exp is None or not f.is_number(sub.inputs[1], 1.0):
        return None
    if exp.inputs != (x,) or test.inputs[0] != x or not f.is_number(test.inputs[1], 0.0):
        return None
    return Match("Selu", (x,), [test, above, below, sub, exp])


def _counted_from_end(f: Finder, step: Step) -> Match | None:
    """Match a number below 0 that is made one from the end, as Keras's lookups do."""
    test, moved = f.maker(step.inputs[0], "Less"), f.maker(step.inputs[1], "Add")
    x = step.inputs[2]
    if test is None or moved is None or test.inputs[0] != x or x not in moved.inputs:
        return None
    if not f.is_number(test.inputs[1], 0.0):
        return None
    if any(
        user.op != "Gather" or user.inputs[1] != step.outputs[0]
        for user in f.users[step.outputs[0]]
    ):
        return None
    return Match("Identity", (x,), [test, moved])


def _softmax(f: Finder, step: Step) -> Match | None:
    """Match exp(x - max) / sum of these."""
    exp, total = f.maker(step.inputs[0], "Exp"), f.maker(step.inputs[1], "ReduceSum")
    if exp is None or total is None or total.inputs[0] != exp.outputs[0]:
        return None
    axes = _axes(f, total)
    sub = f.maker(exp.inputs[0], "Sub")
    most = f.maker(sub.inputs[1], "ReduceMax") if sub is not None else None
    if axes is None or len(axes) != 1 or sub is None or most is None:
        return None
    if most.inputs[0] != sub.inputs[0]:
        return None
    return Match("Softmax", (sub.inputs[0],), [exp, total, sub, most], {"axis": axes[0]})


def _relu6(f: Finder, step: Step) -> Match | None:
    """Match min(max(x, 0), 6) of two steps."""
    inner = next((s for name in step.inputs if (s := f.maker(name, "Relu", "Max", "Clip"))), None)
    if inner is None or f.operand(step, 6.0) != inner.outputs[0]:
        return None
    if inner.op == "Max" and f.operand(inner, 0.0) is None:
        return None
    x = inner.inputs[0] if inner.op != "Max" else f.operand(inner, 0.0)
    if inner.op == "Clip" or x is None:
        return None
    return Match("Clip", (x,), [inner], {"min": 0.0, "max": 6.0})


PATTERNS: Final[Mapping[str, Sequence[Pattern]]] = {
    "Mul": (_gate, _hard_sigmoid, _unit_norm_of_keras),
    "Div": (_gate, _hard_sigmoid, _softmax, _unit_norm, _softsign, _local_response_norm),
    "Clip": (_clipped_line,),
    "Add": (_layer_norm, _norm_of_keras, _group_norm, _prelu),
    "Log": (_softplus,),
    "Min": (_relu6,),
    "Where": (_selu, _counted_from_end),
}
"""The patterns that end in each operator."""
