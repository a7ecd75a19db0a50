"""Steps of the spec that is being written, before they are text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, NamedTuple, Self

from archspec.element import Element, whole
from archspec.ops.merge import Merge
from archspec.ops.shape import Shape

PREVIOUS: Final = -1
"""Source of a step that reads the step before it."""


class Expression(str):
    """A value that the spec computes, without its `=`."""

    __slots__ = ("type",)

    type: str | None
    """Its type as the argument of a block has it; None for one that no block may take."""

    def __new__(cls, text: str, type_: str | None = None) -> Self:
        """Return an expression with its type."""
        made = super().__new__(cls, text)
        made.type = type_
        return made


def computes(value: Any) -> bool:
    """Return whether the spec computes a value, or a part of it."""
    if isinstance(value, list):
        return any(map(computes, value))
    return isinstance(value, (Expression, First))


@dataclass(frozen=True)
class First:
    """A value that the first round of a `repeat` has, and another that the others have."""

    first: Any
    others: Any


_TYPES: Final = {bool: "bool", int: "int", float: "float", str: "str", list: "list"}


def type_name(value: Any) -> str | None:
    """Return the type of a value as the argument of a block has it; None if it has none."""
    return value.type if isinstance(value, Expression) else _TYPES.get(type(value))


def type_of(values: Sequence[Any]) -> str | None:
    """Return the type of an argument of a block that has these values; None if there is none.

    Some values may be None: this is the argument's default then.
    """
    kinds = {type_name(value) for value in values if value is not None}
    if kinds == {"int", "float"}:
        return "float"
    return kinds.pop() if len(kinds) == 1 else None


class Call(NamedTuple):
    """A block of the spec's own, with the arguments of a place where it stands."""

    kind: str
    """The block's name."""
    arguments: dict[str, Any]


@dataclass
class Step:
    """A step with all its arguments, or a group of steps (`layers`, `branches`).

    Of a step inside a loop, outputs and sources are those of the first round.
    """

    kind: str
    output: int
    """The node that is its output."""
    nodes: tuple[int, ...] = ()
    """The nodes that it becomes, in order; of `branches`, those of the merge."""
    element: type[Element] | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    """Plain values, also those that are the defaults; of `branches`, the merge."""
    sources: tuple[int, ...] = (PREVIOUS,)
    """The node that each input is, or PREVIOUS."""
    owner: int = -1
    """Output of the step whose weights a `share` uses."""
    name: str = ""
    layer: str = ""
    """Name that the graph gives to its main layer."""
    repeat: Any = None
    when: Any = None
    """Condition under which a block of the spec's own has the step; None for always."""
    loop: dict[str, list[Any]] = field(default_factory=dict)
    """Variables of a loop, each with its value in every round."""
    rounds: tuple[int, ...] = ()
    """The output of each round of a loop."""
    shape: Shape | None = None
    """The shape of its only input; None where it has several, or they differ between rounds."""
    body: list[Step] = field(default_factory=list)
    branches: list[list[Step]] = field(default_factory=list)
    main: str = ""
    """The argument that a block of the spec's own takes without its name."""

    @property
    def is_merge(self) -> bool:
        """Whether the step is an op that joins several inputs."""
        return self.element is not None and issubclass(self.element, Merge)

    @property
    def adds_previous(self) -> bool:
        """Whether the step joins the one before with another, and names only that other one."""
        if not self.is_merge or len(self.sources) != 2 or self.sources[0] != PREVIOUS:
            return False
        return all(value == usual(self, name) for name, value in self.arguments.items())

    @property
    def inner(self) -> list[list[Step]]:
        """The sequences of steps inside it."""
        return [self.body] if self.body else self.branches

    def order(self) -> Iterator[int]:
        """Yield the nodes that a step outside of loops becomes, in order."""
        for sequence in self.inner:
            for step in sequence:
                yield from step.order()
        yield from self.nodes


def walk(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield steps and all steps inside them, as they stand in the text."""
    for step in steps:
        yield step
        for sequence in step.inner:
            yield from walk(sequence)


def plain(value: Any) -> Any:
    """Return a value as a spec has it: an element is a word, or a word with its arguments."""
    if isinstance(value, Element):
        given = given_arguments(value)
        if not given:
            return value.kind
        if value.main in given and len(given) == 1:
            return {value.kind: given[value.main]}
        return {value.kind: given}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return whole(value)


def given_arguments(element: Element) -> dict[str, Any]:
    """Return the arguments of an element that are not the defaults, as a spec has them."""
    return {
        name: plain(value)
        for name, value in every_argument(element).items()
        if value != default_of(type(element), name)
    }


def usual(step: Step, name: str) -> Any:
    """Return the default of a step's argument, as a spec has it."""
    return object() if step.element is None else _usual(step.element, name)


@cache
def _usual(cls: type[Element], name: str) -> Any:
    return plain(default_of(cls, name))


def arguments_of(element: Element | Call) -> dict[str, Any]:
    """Return all arguments of an element by name, as a spec has them."""
    if isinstance(element, Call):
        return element.arguments
    return {name: plain(value) for name, value in every_argument(element).items()}


def every_argument(element: Element) -> dict[str, Any]:
    """Return all arguments of an element by name."""
    return {name: getattr(element, name) for name in type(element).model_fields}


def default_of(cls: type[Element], name: str) -> Any:
    """Return the default of an argument; an object that equals nothing for one without."""
    info = cls.model_fields[name]
    return object() if info.is_required() else info.get_default(call_default_factory=True)
