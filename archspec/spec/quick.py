"""YAML text -> plain data without places, for texts with nothing to report; else `reader` decides.

Places are needed for mistakes alone, and most texts have none: `Source` reads them when it is asked
for one. Whatever `archspec.spec.reader` would report, or read differently, is left to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import yaml
from yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from archspec.errors import Problem
from archspec.spec.located import MAX_NESTING, MAX_VALUES
from archspec.spec.scalars import plain_scalar
from archspec.spec.syntax import expression_end

LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The parser: libyaml, where PyYAML has it."""

SPECIAL: Final = frozenset("<=(")
"""First characters of unquoted texts that may be more than a word or a number."""

SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""Half of a character, which an escape may write."""


def data_of(text: str, lines: tuple[str, ...]) -> dict[str, Any] | None:
    """Return the mapping that a text of these lines is; None where `reader` has to decide."""
    try:
        data = _Data(lines).read(text)
    except (_Undecided, Problem, yaml.YAMLError, ValueError, OverflowError):
        return None
    return data if isinstance(data, dict) else None


class _Undecided(Exception):  # noqa: N818  (no error: another reader goes on)
    """The text has something that only a reader which knows places can judge."""


@dataclass(slots=True)
class _Open:
    """A collection whose end has not been read yet."""

    value: Any
    flow: bool
    anchor: str | None
    values_before: int
    height: int = 0
    """Levels of collections inside."""
    key: str | None = None
    """The key whose value comes next."""


class _Data:
    """The state of reading one text."""

    def __init__(self, lines: tuple[str, ...]) -> None:
        self.lines = lines
        self.open: list[_Open] = []
        self.anchors: dict[str, tuple[Any, int, int]] = {}
        """The value of each anchor, the number of values in it, and its height."""
        self.values = 1
        self.documents: list[Any] = []

    def read(self, text: str) -> Any:
        """Return the value of the one document."""
        parser = LOADER(text)
        while (event := parser.get_event()) is not None:
            kind = type(event)
            if kind is ScalarEvent:
                self.scalar(event)
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                self.begin(event, {} if kind is MappingStartEvent else [])
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                self.end()
            elif kind is AliasEvent:
                self.place(*self.anchors.get(event.anchor) or _undecided())
            elif kind is DocumentStartEvent and self.documents:
                _undecided()
        return self.documents[0] if self.documents else None

    def scalar(self, event: ScalarEvent) -> None:
        value: Any = event.value
        if event.style:  # quotes, or a block indicator
            if SURROGATE.search(value):
                _undecided()
        else:
            if value[:1] in SPECIAL and (value[0] != "=" or self.is_cut(event)):
                _undecided()
            value = plain_scalar(value)
        if event.tag is not None:
            _undecided()
        if event.anchor:
            self.anchors[event.anchor] = value, 1, 0
        self.place(value)

    def is_cut(self, event: Any) -> bool:
        """Whether an expression may go on behind the place where YAML ends it."""
        start, stop = event.start_mark, event.end_mark
        flow = bool(self.open) and self.open[-1].flow
        end = expression_end(self.lines[start.line], start.column, flow=flow)
        return end is None or end > stop.column or stop.line > start.line

    def begin(self, event: CollectionStartEvent, value: Any) -> None:
        if event.tag is not None or len(self.open) >= MAX_NESTING:
            _undecided()
        if event.anchor:
            self.anchors.pop(event.anchor, None)  # until its end, no alias may mean it
        self.open.append(_Open(value, bool(event.flow_style), event.anchor, self.values))

    def end(self) -> None:
        done = self.open.pop()
        size = 1 + self.values - done.values_before
        if done.anchor:
            self.anchors[done.anchor] = done.value, size, done.height
        self.place(done.value, 1, done.height)

    def place(self, value: Any, size: int = 1, height: int = 0) -> None:
        """Put a finished value into the collection around it, which has as many values more."""
        if not self.open:
            self.documents.append(value)
            return
        around = self.open[-1]
        if height >= around.height:
            around.height = height + 1
            if len(self.open) + height > MAX_NESTING:
                _undecided()
        target = around.value
        if type(target) is dict and around.key is None:
            if type(value) is not str or value in target:
                _undecided()
            around.key = value
            return
        self.values += size
        if self.values > MAX_VALUES:
            _undecided()
        if around.key is None:
            target.append(value)
        else:
            target[around.key] = value
            around.key = None


def _undecided() -> Any:
    raise _Undecided
