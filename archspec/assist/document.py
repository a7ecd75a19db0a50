"""A spec while it is written: its text, and what is known of its network.

Every feature of `archspec.assist` is a function of a `Document` and, mostly, an offset: the number
of characters of the text before a place. Servers translate these to what their clients count
(`archspec.assist.places`). Nothing but the text is read, and nothing in it is executed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, NamedTuple

from archspec.assist import sketch
from archspec.assist.sketch import Node
from archspec.assist.steps import Step, all_steps
from archspec.cost.report import Report, Row, RowItem, Totals
from archspec.errors import Diagnostic, KeyPath, Span, SpecError
from archspec.graph.graph import Graph, Scope
from archspec.proof import proof
from archspec.spec.document import Spec, Validated, choose, validate
from archspec.spec.located import LINE_BREAK, MAX_BYTES
from archspec.spec.source import Source, parse

_KEYS: Final = re.compile(r"""^["']?(layers|input)["']?[ ]*:""", re.MULTILINE)
_SCHEMA: Final = re.compile(r"#.*\$schema\s*=\s*\S*archspec")


class Region(NamedTuple):
    """A stretch of a text: offsets of its first character and of the one after its last."""

    start: int
    stop: int


class Edit(NamedTuple):
    """A change of a text: what stands in a region afterwards."""

    region: Region
    text: str


class Member(NamedTuple):
    """A variant, or the one network of a spec: its totals, and what is wrong with it."""

    name: str
    totals: Totals | None
    """None if the network is not valid."""
    diagnostics: tuple[Diagnostic, ...]


@dataclass(frozen=True)
class Examined:
    """All that is known of a text and of one network in it."""

    text: str
    member: Member
    """The network; one without a name if the text has none."""
    report: Report | None
    """The network's costs; None where the text has a mistake."""
    source: Source | None
    """The text's values and places; None where it is not YAML."""
    validated: Validated | None

    @property
    def spec(self) -> Spec | None:
        return self.report.spec if self.report else None

    @cached_property
    def root(self) -> Node | None:
        return sketch.sketch(self.text)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The steps as they are written, a group before the steps in it."""
        return tuple(all_steps(self.root))

    @cached_property
    def rows(self) -> Mapping[KeyPath, tuple[Row, ...]]:
        """A row for each round of each step, by the step's place in the document.

        A step that became many layers, or a group of steps, has one row for all of them.
        """
        if self.report is None:
            return {}
        graph = self.report.graph
        scopes: dict[tuple[int, int], Scope] = {}
        for scope in graph.scopes:
            scopes.setdefault((scope.start, scope.stop), scope)
        return {
            path: tuple(
                self.report.row(_item(graph, scopes, start, stop))
                for start, stop in rounds
                if start < stop
            )
            for path, rounds in graph.steps.items()
        }


def _item(graph: Graph, scopes: Mapping[tuple[int, int], Scope], start: int, stop: int) -> RowItem:
    scope = scopes.get((start, stop))
    if scope is None and stop == start + 1:
        return graph.nodes[start]
    return scope or Scope(graph.nodes[start].name, "layers", "", start, stop)


@dataclass(frozen=True)
class Document:
    """A text that may be a spec. `edited` gives the next one, which keeps the last good report."""

    text: str
    name: str = "<spec>"
    """Name of the file, as messages show it; `.json` admits JSON."""
    variant: str | None = None
    """The variant whose figures are shown; by default the one that `archspec build` would show."""
    before: Examined | None = field(default=None, repr=False, compare=False)
    """The last text whose network could be computed."""
    members: dict[str, Member] = field(default_factory=dict, repr=False, compare=False)
    """The other variants that were examined, by name."""
    was_spec: bool = field(default=False, repr=False, compare=False)
    """Whether the text before it was a spec."""

    def edited(self, text: str) -> Document:
        """Return the document with another text."""
        return replace(self, text=text, before=self.known_good, members={}, was_spec=self.is_spec)

    def showing(self, variant: str | None) -> Document:
        """Return the document with another variant chosen."""
        return replace(self, variant=variant, before=self.known_good, members={})

    @property
    def known_good(self) -> Examined | None:
        """The last good state of the text, as far as it is known without examining this one's."""
        examined: Examined | None = vars(self).get("examined")
        return examined if examined and examined.report else self.before

    @property
    def is_json(self) -> bool:
        """Whether the file is JSON by its name."""
        return self.name.lower().endswith(".json")

    @cached_property
    def is_spec(self) -> bool:
        """Whether the text is meant as a spec: other files are left alone.

        It is if it has the keys `input` and `layers` at the top, or if a comment in its first lines
        names a schema of archspec, as `# yaml-language-server: $schema=archspec.schema.json`. A
        text that was a spec stays one as long as it has one of the two.
        """
        head = self.text[:MAX_BYTES]
        if _SCHEMA.search(head[:2_000]):
            return True
        keys = {match[1] for match in _KEYS.finditer(head)}
        if head[:2_000].lstrip("\ufeff \t\r\n").startswith("{"):  # all of it is in brackets
            keys = {entry.name for entry in sketch.children(self.root)} & {"layers", "input"}
        return bool(keys) if self.was_spec else len(keys) == 2

    @cached_property
    def root(self) -> Node | None:
        """The tree of the text, which even a broken text has."""
        return sketch.sketch(self.text)

    @cached_property
    def examined(self) -> Examined:
        """The network that is shown, and its mistakes."""
        return examine(self.text, self.name, self.variant)

    @property
    def report(self) -> Report | None:
        """The network's costs; None where the text has a mistake."""
        return self.examined.report

    @property
    def good(self) -> Examined | None:
        """The last state of the text whose network could be computed: this one's if it can."""
        return self.examined if self.examined.report else self.before

    def to_examine(self) -> tuple[str, ...]:
        """Return the variants that `archspec check` would examine too, and that are still to be."""
        validated = self.examined.validated
        names = validated.document.variants if validated else ()
        done = {self.examined.member.name, *self.members}
        return tuple(name for name in names if name not in done)

    def examine(self, variant: str) -> Member:
        """Examine another variant, and keep its figures and mistakes."""
        source, validated = self.examined.source, self.examined.validated
        if source is None or validated is None:
            raise ValueError(variant)
        member, _ = _network(choose(validated, source, variant, {}))
        self.members[variant] = member
        return member

    # Places.

    @cached_property
    def line_starts(self) -> list[int]:
        """The offsets at which lines begin, as the YAML parser ends them."""
        return [0, *(match.end() for match in LINE_BREAK.finditer(self.text))]

    def region(self, span: Span | None) -> Region:
        """Return the region of a diagnostic's place; of the first line if it has none."""
        if span is None:
            end = self.line_starts[1] - 1 if len(self.line_starts) > 1 else len(self.text)
            return Region(0, max(end, 0))
        start = self._offset(span.line, span.column)
        return Region(start, max(start, self._offset(span.end_line, span.end_column)))

    def _offset(self, line: int, column: int) -> int:
        starts = self.line_starts
        if line > len(starts):
            return len(self.text)
        mark = 1 if line == 1 and self.text.startswith("\ufeff") else 0
        end = starts[line] if line < len(starts) else len(self.text)
        return min(starts[line - 1] + column - 1 + mark, end)


def examine(text: str, name: str, variant: str | None) -> Examined:
    """Return what there is to know of a text: its network's costs, or its mistakes."""
    source: Source | None = None
    validated: Validated | None = None
    try:
        source = parse(text, name)
        validated = validate(source)
        if variant not in validated.document.variants:
            variant = None
        member, report = _network(choose(validated, source, variant, {}))
    except SpecError as error:
        return Examined(text, Member("", None, error.diagnostics), None, source, validated)
    return Examined(text, member, report, source, validated)


def _network(spec: Spec) -> tuple[Member, Report | None]:
    proved = proof((spec,), None, {}).networks[0]
    totals = proved.report.totals if proved.report else None
    diagnostics = proved.error.diagnostics if proved.error else ()
    return Member(proved.name, totals, diagnostics), proved.report
