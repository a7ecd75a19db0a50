"""Completion: what may be written at a place.

The place is found in a sketch of the text with a mark where the cursor is, so that half a word, an
empty line and an open bracket are all the same: the mark is a key, a value or an item somewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from typing import Final, NamedTuple

from archspec.assist import language, sketch
from archspec.assist.definition import names_a_step, variables_at
from archspec.assist.document import Document, Region
from archspec.assist.language import Word
from archspec.assist.sketch import Entry, Node, Place, Sequence, children, find, place_at
from archspec.assist.steps import (
    BESIDE,
    head_steps,
    is_inner_step,
    is_step,
    is_step_list,
    step_at,
    step_of,
    visible_steps,
)
from archspec.compile import catalog
from archspec.compile.step import GROUPS, MODIFIERS
from archspec.element import Element, summary
from archspec.errors import KeyPath
from archspec.graph.graph import SEPARATOR
from archspec.ops.merge import Merge
from archspec.spec.expressions import INPUTS, is_expression
from archspec.spec.operations import FUNCTIONS

MARK: Final = "\ue000"
"""A character without a meaning, which stands for the cursor."""

LONGEST_BEGINNING: Final = 10_000
"""Characters of a text that may be nothing but comments and a word, so that it is still empty."""

MOST_ROUNDS: Final = 12
"""Rounds of a loop that are offered by name."""

LARGE: Final = 2**16
"""Characters of a text from which on only the lines around the cursor are read closely."""

NEAR: Final = 300
"""Lines before and after the cursor that are read closely in a large text."""

_WORD: Final = re.compile(r"(?:in\.)?\w*$")
_CONSTANT: Final = re.compile(r"true|false|null|-?[0-9.]+")
_ITEM: Final = re.compile(r"^( *-) .*$", re.MULTILINE)

_BEGINNINGS: Final = (
    (
        "network",
        "A network to begin with",
        "name: ${1:mynet}\ninput: [${2:32}, ${3:32}, ${4:3}]\nlayers:\n"
        "  - conv: {filters: ${5:16}, kernel: 3, padding: same, activation: relu}\n"
        "  - max_pool: 2\n  - global_avg_pool\n  - fc: {units: ${6:10}, activation: softmax}\n",
    ),
    (
        "family",
        "A family of networks with variants and a recipe",
        "name: ${1:mynet}\ninput: [${2:32}, ${3:32}, ${4:3}]\nvars: {width: 16, depth: 3}\n"
        "variants:\n  ${5:small}: {}\n  ${6:large}: {width: 64, depth: 5}\ndefaults:\n"
        "  conv: {kernel: 3, padding: same, norm: batch, activation: relu}\nlayers:\n"
        "  - {conv: =width, repeat: =depth}\n  - max_pool: 2\n  - global_avg_pool\n"
        "  - fc: {units: ${7:10}, activation: softmax}\n"
        "train: {data: digits, optimizer: adam, epochs: 20}\n",
    ),
)
"""Snippets of an empty document: label, explanation, text."""


class Completion(NamedTuple):
    """A word or a piece of a spec that may stand at a place."""

    label: str
    region: Region
    """The part of the text that it replaces."""
    text: str
    """The text to insert; `${1:x}` marks places to fill in if `is_snippet`."""
    sort: str
    """One of kind, argument, value, name, variable, function, block, key and snippet."""
    detail: str = ""
    """One line: the value's type and the default."""
    about: str = ""
    """Explanation in Markdown."""
    is_snippet: bool = False


def completions(document: Document, offset: int) -> tuple[Completion, ...]:
    """Return everything that may be written at an offset, likeliest first."""
    text = document.text
    offset = min(max(offset, 0), len(text))
    if re.fullmatch(r"(?:\s*#[^\r\n]*)*\s*\w*\s*", text[:LONGEST_BEGINNING]):
        return () if document.is_json else tuple(_beginnings(text, offset))
    if not document.is_spec:
        return ()
    if len(text) > LARGE:
        near, removed = _near(text, offset)
        offers = _offers(replace(document, text=near), offset - removed)
        return tuple(each._replace(region=_moved(each.region, removed)) for each in offers)
    return _offers(document, offset)


def _offers(document: Document, offset: int) -> tuple[Completion, ...]:
    marked = document.text[:offset] + MARK + document.text[offset:]
    root = sketch.sketch(marked)
    place = place_at(root, offset)
    if place is None or MARK not in place.node.text:
        return ()
    if re.search(r"[\r\n]", marked[place.node.start : place.node.stop]):
        return ()  # an offer would replace a text of several lines
    cursor = _Cursor(document, offset, root, place)
    found = {each.label: each for each in reversed(list(cursor.completions()))}
    return tuple(reversed(found.values()))


def _near(text: str, offset: int) -> tuple[str, int]:
    """Return a large text without the contents of far items, and the characters missing before.

    The items themselves stay, so that every path is as it was.
    """
    start = stop = offset
    for _ in range(NEAR):
        start = max(text.rfind("\n", 0, start), 0)
        stop = text.find("\n", stop + 1) if stop >= 0 else stop
    stop = len(text) if stop < 0 else stop
    before = _ITEM.sub(r"\1", text[:start])
    return before + text[start:stop] + _ITEM.sub(r"\1", text[stop:]), start - len(before)


def _moved(region: Region, by: int) -> Region:
    return Region(region.start + by, region.stop + by)


def _beginnings(text: str, offset: int) -> Iterator[Completion]:
    start = len(text[:offset].rstrip("abcdefghijklmnopqrstuvwxyz"))
    for label, about, snippet in _BEGINNINGS:
        region = Region(start, offset)
        yield Completion(label, region, snippet, "snippet", about, "", is_snippet=True)


class _Cursor:
    """A cursor in a document, and what surrounds it."""

    def __init__(self, document: Document, offset: int, root: Node | None, place: Place) -> None:
        self.document = document
        self.offset = offset
        self.root = root
        self.place = place
        node = place.node
        text = document.text
        start, stop = node.start, node.stop - 1  # without the mark
        self.in_quotes = start < offset and text[start] in "\"'"
        self.in_json = document.is_json
        if self.in_quotes:
            start += 1
            stop -= stop > offset and text[stop - 1] in "\"'"
        self.region = Region(start, max(stop, offset))
        self.written = text[start:offset]
        line_start = max(text.rfind("\n", 0, start), text.rfind("\r", 0, start)) + 1
        self.before = text[line_start:start]
        line = re.match(r"[^\r\n]*", text[self.region.stop :])
        self.after = line[0] if line else ""
        self.in_flow = bool(place.parent and place.parent.flow)
        self.indent = " " * (len(self.before) - len(self.before.lstrip(" -")))

    def completions(self) -> Iterator[Completion]:
        path = self.place.path
        if self.written.startswith("=") and not self.place.is_key:
            yield from self.expression(path)
            return
        if self.place.is_key:
            yield from self.keys(path[:-1])
            return
        yield from self.values(path)
        begins_line = not self.before.strip(" -")
        is_item = isinstance(self.place.parent, Sequence)
        if begins_line or is_item:
            yield from self.keys(path)
        if begins_line and not is_item and is_step_list(path):
            for each in self.keys((*path, 0)):
                yield each._replace(text=f"- {each.text}")

    @property
    def lacks_dash(self) -> bool:
        """Whether the cursor is where an item of a list begins, and its dash is not written."""
        parent = self.place.parent
        is_item = isinstance(parent, Sequence) and not self.in_flow and not self.place.is_key
        return is_item and not self.before.strip()

    def entries(self, section: str) -> list[Entry]:
        """Return the entries of a section of the spec, without one that is being written."""
        written = children(find(self.root, (section,)))
        return [each for each in written if each.name and MARK not in each.name]

    # Keys.

    def keys(self, container: KeyPath) -> Iterator[Completion]:
        """Yield the keys that may be added to a mapping, or begin one."""
        node = find(self.root, container)
        taken = {entry.name for entry in children(node) if isinstance(node, sketch.Mapping)}
        if is_step(container):
            yield from self.step_keys(container, node, taken)
            return
        if is_inner_step(container):
            yield from self.own_blocks(as_step=True)
        words = self.own_keys(container) or language.keys_at(container)
        of_step = is_step(container[:-1]) or is_inner_step(container[:-1])
        sort = "argument" if of_step or container[:1] == ("defaults",) else "key"
        if container == ("defaults",):
            yield from self.kinds(as_step=False)
            return
        for word in words.values():
            if word.name not in taken:
                yield self.key(word, sort)

    def own_keys(self, container: KeyPath) -> dict[str, Word]:
        """Return the keys that the spec itself defines, where it does."""
        match container:
            case (*step, "from") if is_step(tuple(step)):
                kind = step_at(self.root, tuple(step)).kind
                names = children(find(self.root, ("blocks", kind.text if kind else "", "inputs")))
                inputs = [each.text for each in names if each.value]
                return {name: Word(name, "Input of the block.", "", None) for name in inputs}
            case ("variants", _):
                key = "inputs" if find(self.root, ("inputs",)) else "input"
                values = {each.name: each.text for each in self.entries("vars")}
                return {
                    name: Word(name, "", "", value or None)
                    for name, value in {**values, key: ""}.items()
                }
            case ("published",):
                networks = [each.name for each in self.entries("variants")]
                own = find(self.root, ("name",))
                networks = networks or ([own.text] if own else [])
                return {each: Word(each, "A network of this spec.", "", None) for each in networks}
            case ("published", _, "stages"):
                good = self.document.known_good
                scopes = good.report.graph.outer_scopes if good and good.report else ()
                pieces = good.report.graph.pieces if good and good.report else ()
                shapes = {piece.name: str(piece.shape) for piece in pieces[1:]}
                paths = {**{scope.name: "" for scope in scopes}, **shapes}
                return {each: Word(each, "", shape, None) for each, shape in paths.items()}
        of_step = is_step(container[:-1]) or is_inner_step(container[:-1])
        if of_step or (container[:1] == ("defaults",) and len(container) == 2):
            arguments = find(self.root, ("blocks", container[-1], "args"))
            return {
                each.name: Word(each.name, f"Argument of `{container[-1]}`.", each.text, None)
                for each in children(arguments)
            }
        return {}

    def step_keys(
        self, container: KeyPath, node: Node | None, taken: Iterable[str]
    ) -> Iterator[Completion]:
        """Yield kinds for a step that has none, and what may stand beside its kind."""
        taken = {name for name in taken if MARK not in name}
        entry = Entry(None, node, self.region.start, self.region.stop)
        kind = step_of(container, entry).kind
        word = kind.text if kind and MARK not in kind.text else ""
        others = isinstance(node, sketch.Mapping) and any(name not in BESIDE for name in taken)
        if not (word or others):
            yield from self.kinds(as_step=True)
        beside = GROUPS.get(word, MODIFIERS if word or others else BESIDE)
        known = language.keys_at(container)
        begins_step = not taken and not word
        for name in (*beside, *(() if word or others else GROUPS)):
            if name in taken or name not in known:
                continue
            if begins_step and name in MODIFIERS and not self.in_flow and self.written == "":
                continue  # a step begins with its kind, unless its author begins otherwise
            yield self.key(known[name], "key")

    def own_blocks(self, *, as_step: bool) -> Iterator[Completion]:
        """Yield the blocks that the spec defines."""
        for each in self.entries("blocks"):
            said = find(self.root, ("blocks", each.name, "about"))
            takes_none = not children(find(self.root, ("blocks", each.name, "args")))
            text = each.name if as_step and takes_none else f"{each.name}: "
            yield self.completion(
                each.name,
                self._without_colon(text),
                "block",
                "block of this spec",
                said.text if said else "",
            )

    def kinds(self, *, as_step: bool) -> Iterator[Completion]:
        yield from self.own_blocks(as_step=as_step)
        for kind, (line, about, snippet) in sorted(_kinds().items()):
            text = snippet if as_step else f"{kind}: {{$1}}"
            text = self._without_colon(text)
            yield self.completion(kind, text, "kind", line, about, is_snippet="$" in text)

    def _without_colon(self, text: str) -> str:
        """Return only the key of a text where its colon is there already."""
        return text.partition(":")[0] if re.match(r"\s*:", self.after) else text

    def key(self, word: Word, sort: str) -> Completion:
        text = self._without_colon(f"{word.name}: ")
        is_snippet = False
        if text.endswith(": ") and not self.in_flow and self.after.strip() == "":
            value = self.opening(word)
            is_snippet = "$" in value
            text = text.rstrip() + value if value.startswith("\n") else text + value
        detail = word.type
        if word.default is not None:
            detail = f"{detail}; {word.default} by default" if detail else word.default
        return self.completion(
            word.name, text, sort, detail[:200], word.about, is_snippet=is_snippet
        )

    def opening(self, word: Word) -> str:
        """Return how the value of a key begins: on lines of its own, in brackets, or neither."""
        if word.name in ("layers", "branches"):
            return f"\n{self.indent}  - $0"
        if word.name == "input":
            return "[${1:224}, ${2:224}, ${3:3}]"
        kinds = [form.get("type") for form in word.forms]  # one, or a list of them
        kind = kinds[0] if kinds and kinds.count(kinds[0]) == len(kinds) else None
        if kind == "object" and len(self.place.path) == 1:
            return f"\n{self.indent}  $0"
        return "{$1}" if kind == "object" else "[$1]" if kind == "array" else ""

    # Values.

    def values(self, path: KeyPath) -> Iterator[Completion]:
        if names_a_step(path):
            yield from self.step_names(path)
        if is_inner_step(path):
            yield from (each._replace(text=each.label) for each in self.own_blocks(as_step=True))
        is_kind = is_step(path)
        for word in language.values_at(path).values():
            if not is_kind:  # kinds come with their arguments
                detail = "" if word.default is None else f"{word.default} by default"
                yield self.completion(word.name, word.name, "value", detail, word.about)

    def step_names(self, path: KeyPath) -> Iterator[Completion]:
        """Yield the names of the steps that one at a path may take from, the nearest first."""
        is_head = path[0] == "heads"
        visible = head_steps(self.root) if is_head else visible_steps(self.root, path)
        good = self.document.known_good
        for step in visible:
            rows = good.rows.get(step.path, ()) if good else ()
            own = step.name.text if step.name else ""
            named = {row.path.rpartition(SEPARATOR)[2]: str(row.shape) for row in rows}
            if own and not step.loops and not is_expression(own):
                named = {own: str(rows[-1].shape) if rows else ""}
            for name, shape in [*named.items()][-MOST_ROUNDS:]:
                kind = step.kind.text if step.kind else ""
                yield self.completion(name, name, "name", f"{kind} {shape}".strip())
        if path[0] == "blocks":
            for each in children(find(self.root, (*path[:2], "inputs"))):
                if each.text and MARK not in each.text:
                    yield self.completion(each.text, each.text, "name", f"input of `{path[1]}`")
        for each in () if path[0] == "blocks" else self.entries("inputs"):
            yield self.completion(each.name, each.name, "name", "input of the network")
        yield self.completion("input", "input", "name", "input of the group, or the image")

    # Expressions.

    def expression(self, path: KeyPath) -> Iterator[Completion]:
        """Yield variables, functions and extents of the input for the word before the cursor."""
        match = _WORD.search(self.written)
        word = match[0] if match else ""
        rest = re.match(r"\w*", self.document.text[self.offset :])
        stop = self.offset + (rest.end() if rest else 0)
        region = Region(self.offset - len(word), stop)
        if not word.startswith("in."):
            for name, about in variables_at(self.root, path):
                if name and MARK not in name:
                    yield Completion(name, region, name, "variable", about)
            for function in FUNCTIONS.values():
                name = function.usage.partition("(")[0]
                text = f"{name}($1)"
                about = function.about
                yield Completion(
                    name, region, text, "function", function.usage, about, is_snippet=True
                )
        for name in INPUTS:
            about = f"{name} of the step's input"
            yield Completion(f"in.{name}", region, f"in.{name}", "variable", about)

    def completion(
        self,
        label: str,
        text: str,
        sort: str,
        detail: str = "",
        about: str = "",
        *,
        is_snippet: bool = False,
    ) -> Completion:
        if self.in_quotes:
            text, is_snippet = label, False
        elif self.in_json:
            text, is_snippet = self.json(label, opens=":" in text)
        elif self.lacks_dash:
            text = f"- {text}"
        return Completion(label, self.region, text, sort, detail, about, is_snippet)

    def json(self, label: str, *, opens: bool) -> tuple[str, bool]:
        """Return a word as JSON writes it, and whether that is a snippet.

        A key whose value is still to come has a colon, and braces where it is an item of a list.
        """
        if not opens:
            return (label if _CONSTANT.fullmatch(label) else f'"{label}"'), False
        if isinstance(self.place.parent, Sequence) and not self.place.is_key:
            return f'{{"{label}": $1}}', True
        return f'"{label}": ', False


@cache
def _kinds() -> dict[str, tuple[str, str, str]]:
    """Return a line, an explanation and a snippet for each kind of step."""
    import inspect  # noqa: PLC0415  (loaded on use)

    return {
        kind: (summary(cls), inspect.getdoc(cls) or "", _snippet(cls))
        for kind, cls in catalog.kinds().items()
    }


def _snippet(cls: type[Element]) -> str:
    """Return a step of a kind with places for what it must be given."""
    if issubclass(cls, Merge):
        return f"{cls.kind}: ${{1:name}}"
    required = [name for name, field in cls.model_fields.items() if field.is_required()]
    if not required:
        return cls.kind
    if required == [cls.main]:
        return f"{cls.kind}: ${{1:{cls.main}}}"
    values = ", ".join(f"{name}: ${{{i}}}" for i, name in enumerate(required, start=1))
    return f"{cls.kind}: {{{values}}}"
