"""The steps of a spec as they are written, found in any state of its text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from archspec.assist.sketch import Entry, Mapping, Node, Sequence, children, find
from archspec.compile import catalog
from archspec.compile.step import GROUPS, MODIFIERS
from archspec.element import step_arguments
from archspec.errors import KeyPath

BESIDE = tuple(dict.fromkeys((*MODIFIERS, *GROUPS["layers"], *GROUPS["branches"])))
"""Keys that may stand beside the one that gives the kind of a step, in the order of offers."""


class Step(NamedTuple):
    """A step where it is written."""

    path: KeyPath
    entry: Entry
    kind: Node | None
    """The word that says what it is; None while there is none."""
    arguments: Node | None

    @property
    def name(self) -> Node | None:
        """The name that it is given."""
        return self.entry.value.at("name") if self.entry.value else None

    @property
    def loops(self) -> bool:
        """Whether the rounds are named by the step's name and a number."""
        value = self.entry.value
        return value is not None and bool(value.key_at("for") or value.key_at("repeat"))


def step_of(path: KeyPath, entry: Entry) -> Step:
    """Return what is written at an item of a list of steps."""
    value = entry.value
    if not isinstance(value, Mapping):
        return Step(path, entry, value if value and value.text else None, None)
    named = {each.name: each for each in value.entries}
    word = next((word for word in GROUPS if word in named), None)
    word = word or next((name for name in named if name not in BESIDE), None)
    chosen = named.get(word or "")
    return Step(path, entry, chosen.key if chosen else None, chosen.value if chosen else None)


def step_at(root: Node | None, path: KeyPath) -> Step:
    """Return the step at a path, as far as it is written."""
    value = find(root, path)
    at = (value.start, value.stop) if value else (0, 0)
    return step_of(path, Entry(None, value, *at))


def step_lists(root: Node | None) -> Iterator[tuple[KeyPath, Sequence]]:
    """Yield the lists of steps at the top: of `blocks`, `layers` and `heads`."""
    for section, each in (("blocks", True), ("layers", False), ("heads", True)):
        found = find(root, (section,))
        named = [(section, entry.name) for entry in children(found)] if each else [()]
        for path in named:
            steps = find(root, (*path, "layers"))
            if isinstance(steps, Sequence):
                yield (*path, "layers"), steps


def inner_lists(step: Step) -> Iterator[tuple[KeyPath, Sequence]]:
    """Yield the lists of steps in a group."""
    if step.kind is None or step.kind.text not in GROUPS:
        return
    path = (*step.path, step.kind.text)
    if step.kind.text == "layers":
        if isinstance(step.arguments, Sequence):
            yield path, step.arguments
        return
    for number, entry in enumerate(children(step.arguments)):
        part = entry.name if isinstance(step.arguments, Mapping) else number
        if isinstance(entry.value, Sequence):
            yield (*path, part), entry.value


def steps_in(path: KeyPath, steps: Sequence) -> list[Step]:
    """Return the steps of a list."""
    return [step_of((*path, number), entry) for number, entry in enumerate(steps.entries)]


def inner_steps(step: Step) -> list[Step]:
    """Return the steps of all lists in a group."""
    return [each for path, steps in inner_lists(step) for each in steps_in(path, steps)]


def all_steps(root: Node | None) -> Iterator[Step]:
    """Yield every step, a group before the steps in it."""
    lists = [*step_lists(root)]
    stack = [step for path, steps in reversed(lists) for step in reversed(steps_in(path, steps))]
    while stack:
        step = stack.pop()
        yield step
        stack += reversed(inner_steps(step))


def is_step_list(path: KeyPath) -> bool:
    """Return whether what stands at a path is a list of steps."""
    match path:
        case ("layers",) | ("blocks" | "heads", _, "layers"):
            return True
        case (*outer, int(), "layers") | (*outer, int(), "branches", _):
            return is_step_list(tuple(outer))
    return False


def is_step(path: KeyPath) -> bool:
    """Return whether what stands at a path is a step."""
    return bool(path) and isinstance(path[-1], int) and is_step_list(path[:-1])


def is_inner_step(path: KeyPath) -> bool:
    """Return whether what stands at a path is a step that is an argument, as a gate."""
    match path:
        case (*outer, str(kind), str(argument)):
            around = tuple(outer)
            if around == ("defaults",) or is_step(around) or is_inner_step(around):
                cls = None if kind in BESIDE else catalog.get(kind)
                return cls is not None and argument in step_arguments(cls)
    return False


def visible_steps(root: Node | None, path: KeyPath) -> Iterator[Step]:
    """Yield the steps that the one at a path may take from, the nearest first."""
    while path:
        if is_step(path):
            *outer, number = path
            steps = find(root, tuple(outer))
            if isinstance(steps, Sequence):
                before = steps_in(tuple(outer), steps)[: int(number)]
                yield from _with_nameless_groups(reversed(before))
            if len(path) == 4 and path[0] == "blocks":
                return
        path = path[:-1]


def head_steps(root: Node | None) -> list[Step]:
    """Return the steps that a head may start from: those of `layers`."""
    steps = find(root, ("layers",))
    if not isinstance(steps, Sequence):
        return []
    return [*_with_nameless_groups(reversed(steps_in(("layers",), steps)))]


def _with_nameless_groups(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield steps, and those in groups without a name: they have their names around it, too."""
    for step in steps:
        if step.kind and step.kind.text == "layers" and step.name is None:
            yield from _with_nameless_groups(reversed(inner_steps(step)))
        yield step
