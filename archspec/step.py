"""A step, compiled: what a plan consists of, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

from archspec.diagnostics import Diagnostic, Problem
from archspec.element import ArgumentProblems, Element
from archspec.ops.merge import Merge
from archspec.spec.document import NAME, RESERVED, Path
from archspec.spec.expressions import Expression

Template: TypeAlias = Any
"""Plain data (tuples for lists) in which expressions may stand."""

MODIFIERS = ("name", "from", "repeat", "when")
"""What may stand beside the kind of any step."""

GROUPS = {"layers": (*MODIFIERS, "for"), "branches": (*MODIFIERS, "for", "merge")}
"""What is a step of steps, and what may stand beside it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One compiled step. Exactly one of `element`, `body` and `branches` says what it is."""

    path: Path
    """Where it stands in the document."""
    kind: str
    name: Template = None
    sources: tuple[str, ...] = ()
    """Names it takes its inputs from; the previous step if empty."""
    sources_key: str = "from"
    """The key under which they stand."""
    with_previous: bool = False
    """Whether the previous step comes before the named ones, as in `add: shortcut`."""
    repeat: Template = None
    loop: Mapping[str, Template] = field(default_factory=dict)
    when: Template = True
    element: type[Element] | None = None
    arguments: Mapping[str, Template] = field(default_factory=dict)
    """What it is given, completed by the spec's `defaults`."""
    given: frozenset[str] = frozenset()
    """Which of them stand at the step itself."""
    constant: Element | None = None
    """The element itself, where no argument is an expression."""
    body: tuple[Step, ...] = ()
    branches: tuple[tuple[str, tuple[Step, ...]], ...] = ()
    merge: type[Merge] | None = None
    broken: bool = False
    """Whether something about it is wrong, so that it has no output to speak of."""


class SpecBlock(Element):
    """A block that a spec defines: its fields are the arguments, its body the steps."""

    body: ClassVar[tuple[Step, ...]] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A spec's steps, compiled."""

    layers: tuple[Step, ...]
    heads: Mapping[str, Step]
    """Each a group of its own, called like the head."""
    defaults: Mapping[str, Mapping[str, Template]]
    names: frozenset[str]
    """Every name that a step, a group or a head of the spec has."""
    found: tuple[Diagnostic, ...]


def argument_places(
    step: Step, problems: ArgumentProblems, given: Iterable[str]
) -> Iterable[tuple[Path, bool, Problem]]:
    """Where the user wrote each argument that is wrong: path, whether its key, and the problem.

    What is wrong in `defaults` is said there, once, and not at each step that it completes.
    """
    where = (*step.path, step.kind)
    for name, problem in problems.problems.items():
        if problem.code == "missing" or not name:
            yield where, True, problem
        elif name in given:
            yield (*where, name), False, problem


def default_problems(
    cls: type[Element], values: Mapping[str, Any]
) -> Iterable[tuple[str, Problem]]:
    """What is wrong with some arguments of a kind, when others are yet to be given."""
    try:
        cls.parse(values)
    except ArgumentProblems as problems:
        for name, problem in problems.problems.items():
            if name in values:
                yield name, problem


def has_expression(template: Template) -> bool:
    if isinstance(template, tuple):
        return any(map(has_expression, template))
    return isinstance(template, Expression)


def name_problem(name: object) -> Problem | None:
    """What is wrong with a name for a step, if anything is."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        help_ = "a name is a letter, then letters, digits and underscores"
        return Problem("value", f"a step cannot be called `{name}`", help=help_)
    if name in RESERVED:
        return Problem("value", f"`{name}` has a meaning of its own; choose another name")
    return None
