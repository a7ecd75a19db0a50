"""A tree of a spec's text in any state: complete, half-written or broken.

The reader of specs (`archspec.spec.reader`) says what a text means, or why it means nothing. While
somebody writes, most states of a text mean nothing, and still it is clear in which list the cursor
is. A sketch knows that: keys, items and scalars with their places, from the indentation of lines
and the brackets in them, and no state of a text stops it. What it cannot place it leaves out.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from archspec.errors import KeyPath
from archspec.spec.located import MAX_BYTES, MAX_NESTING, MAX_VALUES

DEEPEST: Final = MAX_NESTING + 6
"""Largest nesting that is followed: a spec may have less."""

_LINE: Final = re.compile(r"([ \t]*)([^\r\n]*)(?:\r\n|\r|\n|\Z)")
_KEY: Final = re.compile(
    r"""(?P<key>"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|(?:[^\s"'\[\]{},#&*!|>%@`-]|-(?=\S))[^:#]*)"""
    r""":(?=[ ]|$)"""
)
_ANCHOR: Final = re.compile(r"[&!][^\s\[\]{},]*[ ]*")
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|\'(?:[^\']|\'\')*\'?')
_PLAIN: Final = re.compile(r"(?:(?! #)[^\r\n])*")
_PLAIN_IN_FLOW: Final = re.compile(r"(?:(?! #|:[\s,\[\]{}]|:\Z)[^\r\n,\[\]{}])*")
_SPACE: Final = re.compile(r"(?:[ \t]|#(?<=[\s,\[\]{}]#)[^\r\n]*)*")


@dataclass(slots=True)
class Node:
    """A scalar of the text, or a list or mapping with all that is in it."""

    start: int
    stop: int
    text: str = ""
    """A scalar as it is written, without quotes."""
    flow: bool = False
    """Whether the node is written in brackets."""

    def key_at(self, part: str | int) -> Node | None:  # noqa: ARG002
        """Return the key of an entry; None where there is no such entry."""
        return None

    def at(self, part: str | int) -> Node | None:  # noqa: ARG002
        """Return the value of an entry; None where there is no such entry."""
        return None


@dataclass(slots=True)
class Entry:
    """A key with its value, or an item of a list, whose key is its number."""

    key: Node | None
    value: Node | None
    start: int
    stop: int

    @property
    def name(self) -> str:
        return self.key.text if self.key else ""

    @property
    def text(self) -> str:
        """The value as it is written; empty where there is none."""
        return self.value.text if self.value else ""


@dataclass(slots=True)
class Mapping(Node):
    """Keys with values; a key that is still being written has none."""

    entries: list[Entry] = field(default_factory=list)

    def key_at(self, part: str | int) -> Node | None:
        return next((each.key for each in self.entries if each.name == part), None)

    def at(self, part: str | int) -> Node | None:
        return next((each.value for each in self.entries if each.name == part), None)


@dataclass(slots=True)
class Sequence(Node):
    """Items of a list."""

    entries: list[Entry] = field(default_factory=list)

    def at(self, part: str | int) -> Node | None:
        known = isinstance(part, int) and part < len(self.entries)
        return self.entries[int(part)].value if known else None


Collection: TypeAlias = Mapping | Sequence


def children(node: Node | None) -> list[Entry]:
    """Return the entries of a collection; none of a scalar."""
    return node.entries if isinstance(node, (Mapping, Sequence)) else []


def find(root: Node | None, path: KeyPath) -> Node | None:
    """Return the value at a path; None where nothing is there."""
    for part in path:
        root = root.at(part) if root else None
    return root


def scalars(root: Node | None) -> Iterator[tuple[KeyPath, Node, bool]]:
    """Yield each scalar with its path, and whether it is a key, in the order of the text."""
    stack: list[tuple[KeyPath, Node, bool]] = [((), root, False)] if root else []
    while stack:
        path, node, is_key = stack.pop()
        if not isinstance(node, (Mapping, Sequence)):
            yield path, node, is_key
            continue
        inner: list[tuple[KeyPath, Node, bool]] = []
        for number, entry in enumerate(node.entries):
            part = (*path, entry.name if isinstance(node, Mapping) else number)
            if entry.key is not None:
                inner.append((part, entry.key, True))
            if entry.value is not None:
                inner.append((part, entry.value, False))
        stack += reversed(inner)


@dataclass(slots=True)
class Place:
    """The scalar, or the gap between others, at an offset."""

    path: KeyPath
    """Keys and indices that lead to it: of a key, to its entry."""
    node: Node
    is_key: bool
    parents: list[Collection]
    """The collections around it, the root first."""

    @property
    def parent(self) -> Collection | None:
        return self.parents[-1] if self.parents else None


def place_at(root: Node | None, offset: int) -> Place | None:
    """Return the scalar at an offset, or None where there is none."""
    path: KeyPath = ()
    parents: list[Collection] = []
    node = root
    while isinstance(node, (Mapping, Sequence)):
        parents.append(node)
        step = _entry_at(node, offset)
        if step is None:
            return None
        number, entry = step
        path = (*path, entry.name if isinstance(node, Mapping) else number)
        if entry.key is not None and entry.key.start <= offset <= entry.key.stop:
            return Place(path, entry.key, is_key=True, parents=parents)
        node = entry.value
    if node is None or not node.start <= offset <= node.stop:
        return None
    return Place(path, node, is_key=False, parents=parents)


def _entry_at(node: Collection, offset: int) -> tuple[int, Entry] | None:
    """Return the last entry that begins up to an offset, with its number."""
    number = bisect_right(node.entries, offset, key=lambda entry: entry.start)
    return (number - 1, node.entries[number - 1]) if number else None


def sketch(text: str) -> Node | None:
    """Return the tree of a text; None where there is nothing in it."""
    return _Sketcher(text[:MAX_BYTES]).root()


@dataclass(slots=True)
class _Open:
    """A block collection to which lines below may add."""

    node: Collection
    column: int


class _Sketcher:
    """The state of reading one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.stack: list[_Open] = []
        self.top: Node | None = None
        self.position = 0
        self.scalars = 0

    def root(self) -> Node | None:
        while self.position < len(self.text) and self.scalars < MAX_VALUES:
            match = _LINE.match(self.text, self.position)
            if match is None:
                break
            self.scalars += 1
            start = match.start(2)
            content = match[2]
            self.position = match.end()
            if content.strip() and content[0] not in "#%" and content not in ("---", "..."):
                self.line(start, match.start(), match.end(2))
        _settle(self.top)
        return self.top

    def line(self, start: int, begin: int, end: int) -> None:
        """Take a line: its dashes and keys from left to right, then its value."""
        column = start - begin
        while self.stack and self.stack[-1].column > column:
            if len(self.stack) == 1:  # further left than the first line: take it as aligned
                column = self.stack[0].column
                break
            self.stack.pop()
        while True:
            if self.text.startswith("-", start) and self.text[start + 1 : start + 2] in (
                *" \t\r\n",
                "",
            ):
                if not self.item(start, column):
                    return
                start, column = self.after(start + 1, begin, end)
            elif match := _KEY.match(self.text, start, end):
                if not self.entry(match, column):
                    return
                start, column = self.after(match.end(), begin, end)
            else:
                break
            if start >= end:
                return
        self.value(start, end, column)

    def after(self, start: int, begin: int, end: int) -> tuple[int, int]:
        """Return the offset and the column of what follows a dash or a key on its line."""
        space = _SPACE.match(self.text, start, end)
        start = space.end() if space else start
        match = _ANCHOR.match(self.text, start, end)
        start = match.end() if match else start
        return start, start - begin

    def item(self, start: int, column: int) -> bool:
        """Begin an item of the list at a column; return whether that was possible."""
        self.scalars += 1
        if self.stack and self.stack[-1].column == column:
            top = self.stack[-1].node
            if isinstance(top, Sequence):
                top.entries.append(Entry(None, None, start, start + 1))
                return True
        return self.begin(Sequence(start, start + 1), column, Entry(None, None, start, start + 1))

    def entry(self, match: re.Match[str], column: int) -> bool:
        """Begin an entry of the mapping at a column; return whether that was possible."""
        self.scalars += 1
        written = match["key"].rstrip()
        key = Node(match.start("key"), match.start("key") + len(written), _unquoted(written))
        entry = Entry(key, None, key.start, match.end())
        while len(self.stack) > 1 and self.stack[-1].column == column:
            if isinstance(self.stack[-1].node, Mapping):
                break
            self.stack.pop()  # a list at the column of the key that it belongs to
        top = self.stack[-1] if self.stack else None
        if top and isinstance(top.node, Mapping):
            filled = bool(top.node.entries) and top.node.entries[-1].value is not None
            if top.column == column or filled:  # or it is indented too far
                top.node.entries.append(entry)
                return True
        return self.begin(Mapping(key.start, match.end()), column, entry)

    def begin(self, node: Collection, column: int, entry: Entry) -> bool:
        """Open a collection where a value is due; return whether one is."""
        if len(self.stack) >= DEEPEST or not self.fill(node):
            return False
        node.entries.append(entry)
        self.stack.append(_Open(node, column))
        return True

    def fill(self, node: Node) -> bool:
        """Make a node the value of the entry that waits for one; return whether an entry did."""
        if not self.stack:
            if self.top is not None:
                return False
            self.top = node
            return True
        entries = self.stack[-1].node.entries
        if not entries or entries[-1].value is not None:
            return False
        entries[-1].value = node
        return True

    def value(self, start: int, end: int, column: int) -> None:
        """Take what stands on a line after its dashes and keys."""
        first = self.text[start]
        opened = self.stack[-1] if self.stack else None
        limit = opened.column if opened else -1
        if first in "[{":
            node, stop = self.flow(start, limit, 0)
            self.position = max(self.position, self.next_line(stop))
            self.fill(node)
            return
        if first in "|>" and opened:
            self.fill(self.block_text(start, limit))
            return
        match = (_QUOTED if first in "\"'" else _PLAIN).match(self.text, start, end)
        stop = match.end() if match else end
        written = self.text[start:stop].rstrip()
        node = Node(start, start + len(written), _unquoted(written))
        if stop > end:
            self.position = max(self.position, self.next_line(stop))
        if opened and column == opened.column and isinstance(opened.node, Mapping):
            # A key that is still being written.
            opened.node.entries.append(Entry(node, None, node.start, node.stop))
        elif opened and column == opened.column:
            outer = self.stack[-2].node if len(self.stack) > 1 else None
            if isinstance(outer, Mapping) and self.stack[-2].column == column:
                self.stack.pop()
                outer.entries.append(Entry(node, None, node.start, node.stop))
            else:  # an item whose dash is still to be written
                opened.node.entries.append(Entry(None, node, node.start, node.stop))
        elif not self.fill(node) and opened and opened.node.entries:
            last = opened.node.entries[-1]
            if last.value and not isinstance(last.value, (Mapping, Sequence)):  # it continues
                last.value.stop = node.stop

    def next_line(self, stop: int) -> int:
        match = _LINE.match(self.text, stop)
        return match.end() if match else len(self.text)

    def block_text(self, start: int, limit: int) -> Node:
        """Return a text of several lines, which are indented further than `limit`."""
        stop = start + 1
        while self.position < len(self.text):
            match = _LINE.match(self.text, self.position)
            if match is None or (match[2] and len(match[1]) <= limit):
                break
            stop, self.position = match.end(2), match.end()
        return Node(start, stop, self.text[start:stop])

    # Within brackets.

    def flow(self, start: int, limit: int, depth: int) -> tuple[Node, int]:
        """Return the collection whose bracket is at `start`, and where the text goes on.

        It ends with its bracket, with that of one around it, or before a line that is not indented
        further than `limit`: then its bracket is still to be written.
        """
        is_mapping = self.text[start] == "{"
        node: Collection = (Mapping if is_mapping else Sequence)(start, start + 1, flow=True)
        position = start + 1
        while True:
            position, ended = self.skip(position, limit)
            self.scalars += 1
            if ended or position >= len(self.text) or self.scalars > MAX_VALUES:
                break
            character = self.text[position]
            if character in "]}":
                if character == ("}" if is_mapping else "]"):
                    position += 1
                    node.stop = position
                    return node, position
                if depth or limit >= 0:
                    break
                position += 1
                continue
            if character == ",":
                position += 1
                continue
            before = position
            entry, position = self.flow_entry(position, limit, depth, keyed=is_mapping)
            if entry is not None:
                node.entries.append(entry)
            position = max(position, before + 1)
        node.stop = max(position, node.entries[-1].stop if node.entries else start + 1)
        return node, position

    def flow_entry(
        self, start: int, limit: int, depth: int, *, keyed: bool
    ) -> tuple[Entry | None, int]:
        first, position = self.flow_value(start, limit, depth)
        follows, ended = self.skip(position, limit)
        is_key = not ended and self.text.startswith(":", follows)
        if not is_key:
            if keyed:
                return Entry(first, None, first.start, first.stop), position
            return Entry(None, first, first.start, first.stop), position
        position, ended = self.skip(follows + 1, limit)
        value: Node | None = None
        if ended:
            position = follows + 1
        elif position < len(self.text) and self.text[position] not in ",]}":
            value, position = self.flow_value(position, limit, depth)
        else:
            position = follows + 1
        stop = value.stop if value else follows + 1
        entry = Entry(first, value, first.start, stop)
        if keyed:
            return entry, position
        pair = Mapping(first.start, stop, flow=True, entries=[entry])
        return Entry(None, pair, first.start, stop), position

    def flow_value(self, start: int, limit: int, depth: int) -> tuple[Node, int]:
        if anchor := _ANCHOR.match(self.text, start):
            start = anchor.end()
        first = self.text[start : start + 1]
        if first and first in "[{":
            if depth >= DEEPEST:
                return Node(start, start + 1), start + 1
            return self.flow(start, limit, depth + 1)
        quote = _QUOTED.match(self.text, start) if first in ('"', "'") else None
        if quote and ("\n" not in quote[0] and "\r" not in quote[0]):
            return Node(start, quote.end(), _unquoted(quote[0])), quote.end()
        match = _PLAIN_IN_FLOW.match(self.text, start)
        stop = match.end() if match else start
        written = self.text[start:stop].rstrip()
        return Node(start, start + len(written), _unquoted(written)), stop

    def skip(self, position: int, limit: int) -> tuple[int, bool]:
        """Return where the next character within brackets is, and whether the brackets end."""
        while position < len(self.text):
            space = _SPACE.match(self.text, position)
            position = space.end() if space else position
            if self.text[position : position + 1] not in ("\n", "\r"):
                return position, False
            after = self.next_line(position)
            line = _LINE.match(self.text, after)
            content = line[2] if line else ""
            if content and content[0] not in "#]}" and line and len(line[1]) <= limit:
                return position, True
            position = after
        return position, False


def _settle(node: Node | None) -> None:
    """Let entries end where their values end, and collections where their last entries end."""
    entries = children(node)
    for entry in entries:
        _settle(entry.value)
        entry.stop = max(entry.stop, entry.value.stop if entry.value else 0)
    if node and entries:
        node.stop = max(node.stop, entries[-1].stop)


def _unquoted(written: str) -> str:
    """Return a scalar without its quotes; escapes stay as they are."""
    if written[:1] in ('"', "'"):
        closed = len(written) > 1 and written[-1] == written[0]
        return written[1 : -1 if closed else None]
    return written
