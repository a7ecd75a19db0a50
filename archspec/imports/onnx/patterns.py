"""Functions that exporters spell out in several steps, found and put back into one.

`x * sigmoid(x)` is swish, and `x * 0.5 * (1 + erf(x / sqrt(2)))` is gelu, whatever the order of the
factors. A pattern is anchored at its last step; the steps before it must be read by it alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from math import inf, isclose, pi, sqrt
from typing import Any, Final, NamedTuple, TypeAlias

from archspec.imports.onnx.extents import axes_of
from archspec.imports.onnx.small_arrays import limits_of
from archspec.imports.onnx.source import MALFORMED, Constant, Step

TOLERANCE: Final = 2e-3
"""Relative difference of a constant to the one of a formula: 0.1667 stands for 1/6."""

MOST_FACTORS: Final = 6

MOST_NEIGHBOURS: Final = 256
"""Largest number of steps in a sum over neighbouring channels."""


class Factors(NamedTuple):
    """A chain of products: its factors, the product of the constants, and the steps inside."""

    values: list[str]
    constant: float
    steps: list[Step]


class Call:
    """The form of a value that a step of one of these operators gives.

        Call("Add|Sub", "x", 1.0)  # x + 1, 1 + x, x - 1

    Its first operands have the forms that are given, in any order where the operator has none.
    """

    def __init__(self, ops: str, *operands: Form, name: str = "") -> None:
        self.ops = ops.split("|")
        self.operands = operands
        self.name = name
        """The name of the value elsewhere in the form."""


class Product:
    """The form of a value that is a number times others, however many steps multiply them."""

    def __init__(self, number: float | str, *factors: Form) -> None:
        self.number = number
        """The number, or a name for any number above 0."""
        self.factors = factors


@dataclass(frozen=True)
class Between:
    """The form of a number that is in a range."""

    least: float
    most: float


@dataclass(frozen=True)
class Array:
    """The form of a constant."""

    name: str
    is_number: bool = False
    """Whether all its values are one number."""


Form: TypeAlias = "Call | Product | Between | Array | str | float | tuple[Form, ...] | None"
"""The form of a value: a name is any value, the same one wherever it stands; a number is a constant
that is near it; None is an operand that is left out; of a tuple, one is enough."""

Operand: TypeAlias = "str | float | None"
"""The name of a value, or a number that is an attribute."""

_COMMUTATIVE: Final = {"Add", "Mul", "Max", "Min"}


class Found(NamedTuple):
    """The names of values that have a form, by what the form calls them, and the steps in it."""

    values: Mapping[str, Any]
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

    def first(self, form: Form, step: Step) -> Found | None:
        """Return how the output of a step has a form."""
        return next(self._found(form, step.outputs[0], Found({}, [])), None)

    def _found(self, form: Form, operand: Operand, before: Found) -> Iterator[Found]:
        """Yield the ways in which an operand has a form, added to what was found before."""
        values, steps = before
        if isinstance(form, tuple):
            for each in form:
                yield from self._found(each, operand, before)
        elif form is None:
            if operand is None:
                yield before
        elif isinstance(form, Between):
            number = self.number(operand)
            if number is not None and form.least <= number <= form.most:
                yield before
        elif isinstance(form, float):
            if self.is_number(operand, form):
                yield before
        elif isinstance(form, str):
            if values.get(form, operand) == operand:
                yield Found({**values, form: operand}, steps)
        elif isinstance(form, Array):
            stored = self.constants.get(operand) if isinstance(operand, str) else None
            if stored is not None and not (form.is_number and self.number(operand) is None):
                yield Found({**values, form.name: operand}, steps)
        elif isinstance(form, Product):
            step = self.maker(operand, "Mul", "Div", "Neg")
            product = self.product(step) if step else Factors([], 0.0, [])
            if isinstance(form.number, str) and product.constant > 0:
                values = {**values, form.number: product.constant}
            elif not (isinstance(form.number, float) and _is_near(product.constant, form.number)):
                return
            if len(product.values) == len(form.factors):
                for factors in permutations(product.values):
                    inside = Found(values, [*steps, *product.steps])
                    yield from self._all_found(form.factors, factors, inside)
        else:
            step = self.maker(operand, *form.ops)
            if step is None or values.get(form.name, operand) != operand:
                return
            named = {form.name: operand} if form.name else {}
            inside = Found({**values, **named}, [*steps, step])
            given = self.operands(step)
            if step.op not in _COMMUTATIVE:
                yield from self._all_found(form.operands, given, inside)
            elif len(given) == 2:  # Max and Min may have more
                yield from self._all_found(form.operands, given, inside)
                yield from self._all_found(form.operands, given[::-1], inside)

    def _all_found(
        self, forms: Sequence[Form], operands: Sequence[Operand], before: Found
    ) -> Iterator[Found]:
        if not forms:
            yield before
        elif operands:
            for found in self._found(forms[0], operands[0], before):
                yield from self._all_found(forms[1:], operands[1:], found)

    def operands(self, step: Step) -> Sequence[Operand]:
        """Return what a step reads, and the numbers of its attributes that could be inputs."""
        if step.op == "Clip":
            return [step.inputs[0], *limits_of(step, [name or None for name in step.inputs[1:]])]
        if step.op == "HardSigmoid":
            return [*step.inputs, step.get("alpha", 0.2), step.get("beta", 0.5)]
        return step.inputs

    def maker(self, name: Operand, *ops: str) -> Step | None:
        """Return the step of one of these operators that gives a value."""
        step = self.makers.get(name) if isinstance(name, str) else None
        return step if step is not None and step.op in ops else None

    def number(self, name: Operand) -> float | None:
        """Return the only number that a constant holds; None for any other value."""
        if not isinstance(name, str):
            return name
        constant = self.constants.get(name)
        value = constant.number if constant is not None else None
        return float(value) if isinstance(value, (int, float)) else None

    def is_number(self, name: Operand, wanted: float) -> bool:
        number = self.number(name)
        return number is not None and _is_near(number, wanted)

    def is_vector(self, name: str) -> bool:
        """Whether a constant has several values, along its last axis alone."""
        constant = self.constants[name]
        return constant.size == constant.dims[-1] > 1

    def axes(self, step: Step) -> list[int]:
        """Return the axes that a step names."""
        return axes_of(step, [self.constants.get(name) for name in step.inputs]) or []

    def product(self, step: Step) -> Factors:
        """Return the factors of a chain of products that ends in a step."""
        values: list[str] = []
        steps: list[Step] = []
        constant, pending = 1.0, [step.outputs[0]]
        while pending:
            name = pending.pop()
            inner = self.maker(name, "Mul", "Div", "Neg")
            number = self.number(name)
            if number is not None:
                constant *= number
            elif (
                inner is not None
                and (inner is step or self.is_private(name))
                and len(steps) < MOST_FACTORS
                and (inner.op != "Div" or self.number(inner.inputs[1]))
            ):
                steps.append(inner)
                if inner.op == "Mul":
                    pending += inner.inputs
                    continue
                constant /= -1.0 if inner.op == "Neg" else self.number(inner.inputs[1]) or 1.0
                pending.append(inner.inputs[0])
            else:
                values.append(name)
        return Factors(values, constant, steps)

    def is_private(self, name: str) -> bool:
        """Whether one step alone reads a value."""
        return name not in self.outputs and len(self.users.get(name, ())) == 1


def _is_near(number: float, wanted: float) -> bool:
    return isclose(number, wanted, rel_tol=TOLERANCE, abs_tol=1e-9)


class Match(NamedTuple):
    """A pattern that was found."""

    op: str
    inputs: tuple[str, ...]
    inner: list[Step]
    """The steps that it stands for."""
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


Pattern: TypeAlias = Callable[[Finder, Step], Match | None]


def _matched(pattern: Pattern, finder: Finder, step: Step) -> Match | None:
    """Return what a pattern finds; None where a step is malformed, which its own rule tells."""
    try:
        return pattern(finder, step)
    except MALFORMED:
        return None


def _form(op: str, form: Form, *inputs: str, **attributes: Any) -> Pattern:
    """Return the pattern of a form that is an operator on values in it, by default `x` alone."""

    def match(f: Finder, step: Step) -> Match | None:
        found = f.first(form, step)
        if found is None:
            return None
        names = tuple(found.values[name] for name in inputs or ("x",))
        return Match(op, names, found.steps, attributes)

    return match


_CLIPPED: Final = Call("Clip", Call("Add", "x", 3.0), 0.0, 6.0)
"""min(max(x + 3, 0), 6)"""

_ERF: Final = (
    Call("Add", 1.0, Call("Erf", Product(sqrt(0.5), "x"))),
    Call("Sub", 1.0, Call("Erf", Product(-sqrt(0.5), "x"))),  # as TensorFlow writes it
)
"""1 + erf(x / sqrt(2)), the factor of gelu"""


def _cube(number: float) -> tuple[Form, ...]:
    """Return the forms of a number times x ** 3."""
    return (
        Product(number, Call("Pow", "x", 3.0)),
        Product(number, "x", "x", "x"),
        Product(number, "x", Call("Pow", "x", 2.0)),
    )


def _square(number: float) -> tuple[Form, ...]:
    """Return the forms of a number times x ** 2."""
    return Product(number, Call("Pow", "x", 2.0)), Product(number, "x", "x")


_SLOPE_OF_CURVE, _BEND = sqrt(2 / pi), 0.044715

_CURVE: Final = (
    Product(_SLOPE_OF_CURVE, Call("Add", "x", _cube(_BEND))),
    Product(_SLOPE_OF_CURVE, "x", Call("Add", 1.0, _square(_BEND))),
    Call("Add", Product(_SLOPE_OF_CURVE, "x"), _cube(_SLOPE_OF_CURVE * _BEND)),
    Product(1.0, "x", Call("Add", _SLOPE_OF_CURVE, _square(_SLOPE_OF_CURVE * _BEND))),
)
"""sqrt(2 / pi) * (x + 0.044715 * x ** 3), of gelu's approximation by a tanh"""

_GATES: Final = (
    _form("archspec.Swish", Product(1.0, "x", Call("Sigmoid", "x"))),
    _form(
        "archspec.HardSwish",
        (Product(1.0, "x", Call("HardSigmoid", "x", 1 / 6, 0.5)), Product(1 / 6, "x", _CLIPPED)),
    ),
    _form("archspec.Mish", Product(1.0, "x", Call("Tanh", Call("Softplus", "x")))),
    _form("archspec.Gelu", Product(0.5, "x", _ERF)),
    _form("archspec.Gelu", Product(0.5, "x", Call("Add", 1.0, Call("Tanh", _CURVE))), tanh=1),
    _form("archspec.HardSigmoid", Product(1 / 6, _CLIPPED)),
)
"""Products of x and a function of it, and one that is a product alone."""


def _clipped_line(f: Finder, step: Step) -> Match | None:
    """Match min(max(slope * x + 1/2, 0), 1)."""
    found = f.first(Call("Clip", Call("Add", 0.5, Product("slope", "x")), 0.0, 1.0), step)
    if found is None:
        return None
    values = found.values
    return Match("HardSigmoid", (values["x"],), found.steps, {"alpha": values["slope"]})


_MEAN: Final = "GlobalAveragePool|ReduceMean"

_CENTRED: Final = Call("Sub", "x", Call(_MEAN, "x", name="mean"), name="centred")

_SQUARE: Final = (Call("Mul", _CENTRED, "centred"), Call("Pow", _CENTRED, 2.0))

_DEVIATION: Final = Call(
    "Sqrt", Call("Add", Array("epsilon", is_number=True), Call(_MEAN, _SQUARE, name="variance"))
)

_NORM: Final = Call(
    "Add", Array("beta"), Call("Mul", Array("gamma"), Call("Div", _CENTRED, _DEVIATION))
)
"""(x - mean) / sqrt(variance + epsilon) * gamma + beta"""

_FACTOR: Final = Call("Mul", Array("gamma"), Call("Reciprocal", _DEVIATION), name="factor")

_AWAY: Final = Call("Mul", Call("Neg", "mean"), "factor")

_NORM_OF_KERAS: Final = Call(
    "Add",
    Call("Mul", "x", _FACTOR),
    (
        _AWAY,
        Call("Add", Array("beta"), _AWAY),
        Call("Sub", Array("beta"), Call("Mul", "mean", "factor")),
    ),
)
"""x * m - mean * m + beta, where m is gamma / sqrt(variance + epsilon)"""


def _axes_of_norm(f: Finder, found: Found) -> list[int] | None:
    """Return the axes along which a norm's mean and variance are.

    A pool over all places is one along the last axis, in Keras's norms of vectors at positions,
    whose factors are of that axis. None where it is another one, or where the two differ.
    """
    steps = [f.makers[found.values[name]] for name in ("mean", "variance")]
    axes = {tuple(f.axes(each)) for each in steps if each.op == "ReduceMean"}
    if len(axes) > 1:
        return None
    is_pooled = any(each.op == "GlobalAveragePool" for each in steps)
    if is_pooled and not ("factor" in found.values and f.is_vector(found.values["gamma"])):
        return None
    return list(*axes or [(-1,)])


def _norm(f: Finder, step: Step) -> Match | None:
    """Match a layer norm over the last axis, or a group norm."""
    found = f.first((_NORM, _NORM_OF_KERAS), step)
    axes = found and _axes_of_norm(f, found)
    if found is None or axes is None:
        return None
    inputs = tuple(found.values[key] for key in ("x", "gamma", "beta") if key in found.values)
    attributes = {"epsilon": f.number(found.values["epsilon"]), "axis": -1}
    norm = Match("LayerNormalization", inputs, found.steps, attributes)
    return norm if axes == [-1] else _group_norm_of_keras(f, step, norm, axes)


def _group_norm_of_keras(f: Finder, step: Step, norm: Match, axes: Sequence[int]) -> Match | None:
    """Match the norm of a map whose channels were split into groups, and are joined after it."""
    x, *weights = norm.inputs
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
    attributes = {
        "num_groups": dims[-2],
        "epsilon": norm.attributes["epsilon"],
        "archspec.channels": -1,
    }
    inputs = (split.inputs[0], *weights)
    return Match("GroupNormalization", inputs, [*norm.inner, split], attributes)


_SUM_OF_SQUARES: Final = Call(
    "Add", Array("k", is_number=True), Call("Mul", Array("alpha", is_number=True), "total")
)

_LRN: Final = Call(
    "Div",
    "x",
    Call(
        "Pow",
        (Call("Transpose", _SUM_OF_SQUARES, name="turned"), _SUM_OF_SQUARES),
        Array("beta", is_number=True),
    ),
)


def _local_response_norm(f: Finder, step: Step) -> Match | None:
    """Match x / (k + alpha * s) ** beta, where s sums the squares of neighbouring channels.

    The squares are padded along one axis, and s is the sum of all slices of the old length. A
    converter may put the axes of x and of the divisor in another order before the division.
    """
    found = f.first(_LRN, step)
    if found is None:
        return None
    values = found.values
    source, perm = values["x"], None
    if "turned" in values:
        turned = f.makers[source]
        source, perm = turned.inputs[0], list(turned.attributes["perm"])
        if turned.op != "Transpose" or perm != list(f.makers[values["turned"]].attributes["perm"]):
            return None
    windows = _sum_of_windows(f, values["total"], source)
    if windows is None:
        return None
    axis, size, steps = windows
    k, alpha, beta = (f.number(values[name]) or 0.0 for name in ("k", "alpha", "beta"))
    return Match(
        "LRN",
        (values["x"],),
        [*found.steps, *steps],
        {
            "axis": axis if perm is None else perm.index(axis),
            "size": size,
            "alpha": alpha * size,  # ONNX means the mean of the squares
            "beta": beta,
            "bias": k,
        },
    )


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


def _group_norm(f: Finder, step: Step) -> Match | None:
    """Match torch's group norm: an instance norm of reshaped groups, then gamma and beta."""
    groups = Call("InstanceNormalization", Call("Reshape", "x"), Array("ones"), name="norm")
    scaled = Call("Mul", Array("gamma"), Call("Reshape", groups))
    found = f.first(Call("Add", Array("beta"), scaled), step)
    if found is None:
        return None
    values = found.values
    factor, norm = f.constants[values["ones"]], f.makers[values["norm"]]
    if factor.number != 1:
        return None
    attributes = {"num_groups": factor.size, "epsilon": norm.get("epsilon", 1e-5)}
    inputs = (values["x"], values["gamma"], values["beta"])
    return Match("GroupNormalization", inputs, found.steps, attributes)


def _along_one_axis(op: str, form: Form, **attributes: Any) -> Pattern:
    """Return the pattern of an operator along the axis of the reduction `total` in a form."""

    def match(f: Finder, step: Step) -> Match | None:
        found = f.first(form, step)
        reduction = f.makers[found.values["total"]] if found else None
        axes = f.axes(reduction) if reduction else ()
        if not found or not reduction or len(axes) != 1 or not reduction.get("keepdims", 1):
            return None
        return Match(op, (found.values["x"],), found.steps, {"axis": axes[0], **attributes})

    return match


def _counted_from_end(f: Finder, step: Step) -> Match | None:
    """Match a number below 0 that is made one from the end, as Keras's lookups do."""
    found = f.first(Call("Where", Call("Less", "x", 0.0), Call("Add", "x"), "x"), step)
    users = f.users[step.outputs[0]]
    if any(user.op != "Gather" or user.inputs[1] != step.outputs[0] for user in users):
        return None
    return found and Match("Identity", (found.values["x"],), found.steps)


_EXP: Final = Call("Exp", Call("Sub", "x", Call("ReduceMax", "x")), name="exp")

_SOFTMAX: Final = _along_one_axis(
    "Softmax", Call("Div", _EXP, Call("ReduceSum", "exp", name="total"))
)

_LENGTH: Final = Call("ReduceL2", "x", name="total")

_SMALL, _LARGE = Between(0.0, 1e-3), Between(1e3, inf)
"""Limits that keep a divisor from 0, and its inverse from infinity."""

_KEPT_FROM_0: Final = (
    Call("Max", _LENGTH, _SMALL),
    Call("Clip", _LENGTH, _SMALL, (_LARGE, None)),
    _LENGTH,
)

_UNIT_NORM: Final = _along_one_axis(
    "LpNormalization", Call("Div", "x", (Call("Expand", _KEPT_FROM_0), *_KEPT_FROM_0)), p=2
)

_INVERSE_LENGTH: Final = Call(
    "Reciprocal", Call("Sqrt", Call("ReduceSum", Call("Mul", "x", "x"), name="total"))
)

_UNIT_NORM_OF_KERAS: Final = _along_one_axis(
    "LpNormalization", Call("Mul", "x", Call("Min", _INVERSE_LENGTH, _LARGE)), p=2
)
"""x / sqrt(sum of squares)"""

_SOFTPLUS: Final = _form("Softplus", Call("Log", Call("Add", Call("Exp", "x"), 1.0)))

_SOFTSIGN: Final = _form("Softsign", Call("Div", "x", Call("Add", Call("Abs", "x"), 1.0)))

_PRELU: Final = _form(
    "PRelu",
    Call("Add", Call("Relu", "x"), Call("Mul", Array("slope"), Call("Relu", Call("Neg", "x")))),
    "x",
    "slope",
    **{"archspec.negative": 1},
)
"""relu(x) + c * relu(-x), as Keras writes it: the slope is -c."""

_SCALE, _SLOPE = 1.0507009873554805, 1.6732632423543772
"""Scale and slope of selu (Klambauer et al. 2017, arXiv:1706.02515)."""

_SELU: Final = _form(
    "Selu",
    Call(
        "Where",
        Call("Greater", "x", 0.0),
        Call("Mul", "x", _SCALE),
        Call("Mul", Call("Sub", Call("Exp", "x"), 1.0), _SCALE * _SLOPE),
    ),
)

_RELU6: Final = _form(
    "Clip", Call("Min", (Call("Relu", "x"), Call("Max", "x", 0.0)), 6.0), min=0.0, max=6.0
)

PATTERNS: Final[Mapping[str, Sequence[Pattern]]] = {
    "Mul": (*_GATES, _UNIT_NORM_OF_KERAS),
    "Div": (*_GATES, _SOFTMAX, _UNIT_NORM, _SOFTSIGN, _local_response_norm),
    "Clip": (_clipped_line,),
    "Add": (_norm, _group_norm, _PRELU),
    "Log": (_SOFTPLUS,),
    "Min": (_RELU6,),
    "Where": (_SELU, _counted_from_end),
}
"""The patterns that end in each operator."""
