"""Values in which expressions may stand: compiled once, evaluated wherever they are needed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final, TypeAlias

from archspec.errors import Portable, Problem, did_you_mean, suggestion
from archspec.spec.expressions import Expression, Meter, Shapes, is_expression
from archspec.spec.findings import Findings
from archspec.spec.operations import MAX_ITEMS, bounded_list


class Broken:
    """A stand-in for a value that is wrong, which was reported."""


BROKEN: Final = Broken()


class Passed(Portable):
    """Raised where a value depends on a mistake that was reported."""


# Plain classes: to make a dataclass takes 0.4 ms of every command.


class Listing:
    """A list with expressions in it. A list without any is a tuple, and needs no evaluation."""

    __slots__ = ("items",)

    def __init__(self, items: tuple[Template, ...]) -> None:
        self.items = items


class Inner:
    """A step that is the value of an argument, as a gate. The expander knows how to evaluate it."""

    __slots__ = ("step",)

    def __init__(self, step: Any) -> None:
        self.step = step


class Fields:
    """A mapping with expressions in it. A mapping without any is a dict as it stands."""

    __slots__ = ("items",)

    def __init__(self, items: tuple[tuple[str, Template], ...]) -> None:
        self.items = items


Template: TypeAlias = Any
"""A constant, an `Expression`, a `Listing`, `Fields`, an `Inner`, or `BROKEN`."""


class Known(AbstractSet[str]):
    """The variables at a step: those around it, and its own loop's.

    A chain, because a spec may have as many variables as it has loops.
    """

    __slots__ = ("_around", "_own")

    def __init__(self, own: Collection[str] = (), around: Known | None = None) -> None:
        self._own = own
        self._around = around

    def inside(self, own: Collection[str]) -> Known:
        """Return these variables and more, as in a loop."""
        return Known(own, self)

    def __contains__(self, name: object) -> bool:
        return name in self._own or (self._around is not None and name in self._around)

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        if self._around is not None:
            yield from (name for name in self._around if name not in self._own)

    def __len__(self) -> int:
        return sum(1 for _ in self)


_VALUES: Final = (
    "a value is a number, a word, true, false, null, a list of these, or an activation with its "
    "arguments such as {leaky_relu: 0.1}"
)


def compile_template(
    value: Any,
    path: tuple[str | int, ...],
    known: Collection[str],
    findings: Findings,
    *,
    shaped: bool = True,
    mappings: bool = False,
) -> Template:
    """Return the template of the value at `path`; report what is wrong with it.

    `known` are the variables there. `shaped` says whether there are steps, so that `in.channels`
    means something, `mappings` whether a mapping may stand there.
    """
    if isinstance(value, (list, tuple)):
        if len(value) > MAX_ITEMS:
            problem = Problem("limit", f"a list of {len(value):,} is longer than {MAX_ITEMS:,}")
            findings.report(problem, path)
            return BROKEN
        items = tuple(
            compile_template(item, (*path, i), known, findings, shaped=shaped, mappings=mappings)
            for i, item in enumerate(value)
        )
        return items if all(map(is_constant, items)) else Listing(items)
    if isinstance(value, dict) and mappings:
        fields = {
            name: compile_template(
                item, (*path, name), known, findings, shaped=shaped, mappings=True
            )
            for name, item in value.items()
        }
        return fields if all(map(is_constant, fields.values())) else Fields(tuple(fields.items()))
    if isinstance(value, dict):
        help_ = expression_meant(value, known) or _VALUES
        findings.report(Problem("type", "a mapping is not allowed here", help=help_), path)
        return BROKEN
    if not is_expression(value):
        return value
    try:
        expression = Expression.parse(value)
    except Problem as problem:
        findings.report(problem, path)
        return BROKEN
    unknown = sorted(name for name in expression.names if name not in known)
    for name in unknown:
        hint = suggestion(name, known, what="variables")
        if name == "index":
            hint = "`index` counts the rounds of `for` and `repeat`: it is defined in them"
        findings.report(Problem("unknown-name", f"`{name}` is not defined", help=hint), path)
    if expression.shaped and not shaped:
        name = "in" if "in" in expression.steps else min(expression.steps, default="channels")
        help_ = "only where steps are do their shapes have values"
        if name == "in":
            help_ = "it is the input of a step, and this is not a step"
            if path[0] == "defaults":
                help_ = "`defaults` hold for all steps: write this where the step is"
        findings.report(Problem("expression", f"`{name}` has no meaning here", help=help_), path)
        return BROKEN
    return BROKEN if unknown else expression


_OF_TEMPLATES = re.compile(r"\$?\{{0,2}\s*(.*?)\s*\}{0,2}", re.DOTALL)
"""Other tools' marks of a variable: `$n`, `${n}`, `{{ n }}`."""


def expression_meant(value: object, known: Collection[str]) -> str | None:
    """Return a help line for an expression without its `=`: a variable, or a computation."""
    single = value
    if isinstance(value, dict) and len(value) == 1:  # {n}, not quoted
        single = next(iter(value))
    if not isinstance(single, str) or not (match := _OF_TEMPLATES.fullmatch(single)):
        return None
    text = f"={match[1].removeprefix('=')}"
    try:
        expression = Expression.parse(text)
        if not expression.names and not expression.shaped:
            expression.evaluate({})
    except Problem:
        return None
    named = expression.names | (expression.steps - {"in", "input"})
    if any(name not in known for name in named):
        return None
    computed = expression.names or expression.shaped or any(mark in text for mark in "+-*/%(")
    if not computed:
        return None
    right = did_you_mean(text)
    return str(right) if single is not value else right  # that replaces the key alone


def evaluate(
    template: Template,
    variables: Mapping[str, Any],
    shapes: Shapes | None = None,
    meter: Meter | None = None,
) -> Any:
    """Return the value of a template; raise `Passed` where it depends on something broken."""
    if isinstance(template, Expression):
        for name in template.names:
            if variables[name] is BROKEN:
                raise Passed
        for name in template.steps:
            if variables.get(name) is BROKEN:
                raise Passed
        return template.evaluate(variables, shapes, meter)
    if isinstance(template, Listing):
        items = tuple([evaluate(item, variables, shapes, meter) for item in template.items])
        return bounded_list(items)
    if isinstance(template, Fields):
        return {name: evaluate(item, variables, shapes, meter) for name, item in template.items}
    if template is BROKEN:
        raise Passed
    return template


def is_constant(template: Template) -> bool:
    return not isinstance(template, (Expression, Listing, Fields, Inner, Broken))


def names_in(template: Template) -> Iterator[str]:
    """Yield the variables that a template needs."""
    for expression in _expressions_in(template):
        yield from expression.names


def shapes_in(template: Template) -> Iterator[str]:
    """Yield the names whose shape a template asks for: of steps, or of variables that name one."""
    for expression in _expressions_in(template):
        yield from expression.steps


def _expressions_in(template: Template) -> Iterator[Expression]:
    if isinstance(template, Expression):
        yield template
    elif isinstance(template, Listing):
        for item in template.items:
            yield from _expressions_in(item)
    elif isinstance(template, Fields):
        for _, item in template.items:
            yield from _expressions_in(item)


def names_written(value: Any) -> Iterator[str]:
    """Yield the variables in the expressions of a value as it is written, where they can be read.

    They are those of lists, too.
    """
    if isinstance(value, list):
        for item in value:
            yield from names_written(item)
    elif is_expression(value):
        try:
            yield from sorted(Expression.parse(value).names)
        except Problem:  # reported where the value is compiled
            return


def size(template: Template) -> int:
    """Return the amount of work to evaluate a template: values, and characters of expressions."""
    if isinstance(template, Expression):
        return len(template.text)
    if isinstance(template, Listing):
        return sum(map(size, template.items))
    if isinstance(template, Fields):
        return sum(size(item) for _, item in template.items)
    return len(template) if isinstance(template, tuple) else 1
