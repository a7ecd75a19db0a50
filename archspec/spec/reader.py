"""YAML or JSON text -> plain data that remembers its places: the first step of the pipeline.

The text is read as a stream of parser events on an explicit stack, so no input can exhaust the
interpreter's own stack, and every limit is checked before memory is spent. Plain scalars follow
YAML 1.2's core schema: `no` is a word and `1e-3` is a number.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, NoReturn

import yaml

from archspec.errors import (
    Diagnostic,
    Mend,
    Portable,
    Problem,
    Span,
    SpecError,
    did_you_mean,
    nearest,
)
from archspec.spec.located import (
    LINE_BREAK,
    MAX_BYTES,
    MAX_NESTING,
    MAX_VALUES,
    Located,
    LocatedCollection,
    location,
)
from archspec.spec.quick import LOADER, SPECIAL, SURROGATE
from archspec.spec.scalars import plain_scalar
from archspec.spec.syntax import UNQUOTED, explain, expression_end, quoted
from archspec.vocabulary import readings

_NOT_TEXT = re.compile(
    "[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]"
)
"""Characters that YAML refuses; a pattern of those it accepts takes milliseconds to compile."""


class Parsed(NamedTuple):
    """A text that was read."""

    root: Located
    """The outermost value, a mapping."""
    diagnostics: tuple[Diagnostic, ...]
    """Problems that leave the data readable."""


_MOST_REREADS: Final = 20
_LONGEST_REREAD: Final = 1 << 16
"""Times that a text is read anew, and characters of one for which it is: both bound the time."""


class _UnquotedError(Portable):
    """The parser stopped at an expression that needs quotes."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


@dataclass(slots=True)
class _Open:
    """A collection whose end has not been read yet."""

    node: LocatedCollection
    flow: bool
    anchor: str | None
    values_before: int
    last: Located
    """The value or key that was read last; the collection itself while it is empty."""
    expects_key: bool
    """Whether the next node of a mapping is a key."""
    key: Located | None = None


class Reader:
    """The state of reading one text."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: tuple[str, ...] = ()
        self.diagnostics: list[Diagnostic] = []
        self.open: list[_Open] = []
        self.anchors: dict[str, Located | None] = {}  # None: still being read
        self.values = 1
        """Number of values so far, with the outermost one."""
        self.root: Located | None = None
        self.cut: tuple[int, int] | None = None
        """Line and column where an expression ends that YAML cut in two."""
        self.orphaned = False
        """Whether a value follows whose key was a part of it."""
        self.hidden: dict[tuple[int, int], Diagnostic] = {}
        """Line and column of expressions that the parser is not shown, as it stops at them."""

    @property
    def is_json(self) -> bool:
        return self.name.lower().endswith(".json")

    def read(self, text: str) -> Parsed:
        """Return the values of a text, which `text` decoded."""
        if self.is_json:
            from archspec.spec.json_text import yaml_of_json  # noqa: PLC0415

            self.take(yaml_of_json(text), rereads=0)
        else:
            self.take(text, rereads=_MOST_REREADS if len(text) <= _LONGEST_REREAD else 0)
        if self.root is None or self.root.value is None:
            self.stop(
                Diagnostic(
                    "missing",
                    "the spec is empty",
                    help="a spec needs `input: [height, width, channels]` "
                    "and `layers:`, a list of steps",
                )
            )
        if not isinstance(self.root.value, dict):
            shape = "a list" if isinstance(self.root.value, list) else "a single value"
            self.report(
                "type",
                f"a spec is a mapping, and this is {shape}",
                self.span(self.root),
                help="start with keys such as `input:` and `layers:`",
            )
        # After anything else, it is a guess what the rest means.
        if any(each.code not in ("duplicate", "expression") for each in self.diagnostics):
            raise self.error()
        return Parsed(self.root, self.in_order())

    def take(self, text: str, *, rereads: int) -> None:
        """Read the values of a text.

        YAML's parser stops at an expression whose bracket needs quotes. That is reported, hidden
        from the parser, and the text is read anew, so that all of them are found at once.
        """
        while True:
            try:
                for event in self.events(text):
                    if self.cut is None or not self.is_cut_off(event, self.cut):
                        _TAKE[type(event)](self, event)
            except _UnquotedError as error:
                hidden = self.hide(text, error.diagnostic) if rereads else None
                if hidden is None:
                    if error.diagnostic not in self.diagnostics:
                        self.add(error.diagnostic)
                    raise self.error() from None
                text = hidden
                rereads -= 1
            else:
                return

    def hide(self, text: str, diagnostic: Diagnostic) -> str | None:
        """Return the text with a word of equal length for an expression, and begin anew.

        None where it is hidden already, or has a colon: then it may be a mapping.
        """
        span = diagnostic.span
        if span is None or (span.line, span.column) in self.hidden:
            return None
        start, end = span.column - 1, span.end_column - 1
        if ": " in self.lines[span.line - 1][start:end]:
            return None
        at = [0, *(match.end() for match in LINE_BREAK.finditer(text))][span.line - 1]
        self.hidden[span.line, span.column] = diagnostic
        self.diagnostics = list(self.hidden.values())
        self.open, self.anchors, self.values, self.root = [], {}, 1, None
        self.cut, self.orphaned = None, False
        return f"{text[: at + start]}={'_' * (end - start - 1)}{text[at + end :]}"

    def text(self, raw: str | bytes) -> str:
        """Return the decoded text and keep its `lines`; stop at what no spec may hold."""
        size = len(raw if isinstance(raw, bytes) else raw.encode(errors="surrogatepass"))
        if size > MAX_BYTES:
            self.stop(Diagnostic("limit", "the spec is larger than 1 MiB"))
        invalid: int | None = None
        if isinstance(raw, bytes):
            raw = raw.removeprefix(codecs.BOM_UTF8)
            try:
                text = raw.decode()
            except UnicodeDecodeError as error:
                text = raw.decode(errors="replace")
                invalid = len(raw[: error.start].decode())
        else:
            text = raw.removeprefix("\ufeff")
        self.lines = tuple(LINE_BREAK.split(text))
        if invalid is not None:
            span = _span_at(text, invalid)
            help_ = "save the file as UTF-8"
            if "\0" in text and not text.startswith("\ufffd\ufffd"):  # the mark of UTF-16
                help_ = "a spec is text, and no model file that archspec reads begins like this"
            self.stop(Diagnostic("file", "this is not UTF-8 text", span, help=help_))
        if match := _NOT_TEXT.search(text):
            message = f"the character U+{ord(match[0]):04X} is not allowed in a spec"
            span = _span_at(text, match.start())
            self.stop(Diagnostic("file", message, span, help="a spec is a text file in UTF-8"))
        for number, line in enumerate(self.lines if "%" in text else (), 1):
            if line.startswith("%"):
                message = "directives are not part of the language"
                span = Span(number, 1, number, len(line) + 1)
                self.stop(Diagnostic("syntax", message, span, help="leave this line out"))
        return text

    def events(self, text: str) -> Iterator[yaml.Event]:
        try:
            parser = LOADER(text)
            while (event := parser.get_event()) is not None:
                yield event
        except yaml.MarkedYAMLError as error:
            diagnostic = replace(explain(error, self.lines), file=self.name)
            if diagnostic.message == UNQUOTED:
                raise _UnquotedError(diagnostic) from None
            self.stop(diagnostic)
        except (yaml.YAMLError, ValueError, OverflowError):
            # What PyYAML's own scanner lets escape on characters that do not exist.
            self.stop(Diagnostic("syntax", "this text is not YAML"))

    def ignore(self, event: yaml.Event) -> None:
        """Take an event that says nothing about the spec."""

    def document(self, event: yaml.Event) -> None:
        if self.root is not None:
            self.stop(
                Diagnostic(
                    "syntax",
                    "a second document starts here",
                    self.span(Located(None, *location(event))),
                    help="one file holds one spec: leave out this `---`",
                )
            )

    def is_cut_off(self, event: yaml.Event, cut: tuple[int, int]) -> bool:
        """Whether an event is a part of the expression that ends at `cut`."""
        if self.orphaned:  # its key was such a part
            self.orphaned = False
            return True
        span = self.span(Located(None, *location(event)))
        if (span.line, span.column - 1) >= cut or isinstance(event, yaml.CollectionEndEvent):
            return False
        if not isinstance(event, yaml.ScalarEvent):
            raise self.error()
        self.orphaned = bool(self.open) and self.open[-1].expects_key
        return True

    def expression(self, value: str, span: Span) -> str:
        """Return the whole of an expression; report one that YAML ends too early."""
        line = self.lines[span.line - 1]
        start, stop = span.column - 1, span.end_column - 1
        flow = bool(self.open) and self.open[-1].flow
        if (span.line, span.column) in self.hidden:
            return line[start:stop]
        end = expression_end(line, start, flow=flow)
        if flow and end is None:
            message = "a bracket or a quote in this expression is not closed"
            help_ = "close it; an expression with a comma needs quotes here, too"
            self.stop(Diagnostic("expression", message, span, help=help_))
        if span.end_line > span.line or end is None or end <= stop:
            return value
        self.cut = (span.line, end)
        whole = span._replace(end_column=end + 1)
        self.report("expression", UNQUOTED, whole, help=quoted(line, start, end))
        return line[start:end]

    def parenthesised(self, value: str, span: Span) -> Any:
        """Return the list that Python writes as `(3, 3)`, and report it: for YAML it is text."""
        line = self.lines[span.line - 1]
        flow = bool(self.open) and self.open[-1].flow
        end = expression_end(line, span.column - 1, flow=flow)
        text = line[span.column - 1 : end]
        numbers = next((each for each in readings(text) if isinstance(each, list)), None)
        if end is None or numbers is None or span.end_line > span.line:
            return value
        self.cut = (span.line, end)
        hint = did_you_mean(f"[{text[1:-1]}]")
        whole = span._replace(end_column=end + 1)
        self.report("expression", "a list is written in square brackets", whole, help=hint)
        return numbers

    def scalar(self, event: yaml.ScalarEvent) -> None:
        node = Located(event.value, *location(event))
        if event.tag is not None:
            self.refuse_tag(node)
        if not event.style:  # plain: no quotes, no block indicator
            self.plain(node)
        elif SURROGATE.search(event.value):
            self.report("syntax", "half of a surrogate pair is not a character", self.span(node))
        if event.anchor:
            self.anchors[event.anchor] = node
        self.place(node)

    def plain(self, node: Located) -> None:
        """Give an unquoted text its value."""
        text: str = node.value
        try:
            node.value = plain_scalar(text)
        except Problem as problem:
            self.add(problem.at(self.span(node)))
        if text[:1] not in SPECIAL:
            return
        is_key = bool(self.open) and self.open[-1].expects_key
        if text == "<<" and is_key:
            self.report(
                "unknown-key",
                "merge keys are not part of the language",
                self.span(node),
                help="write the keys out, or use `defaults`",
            )
        elif text.startswith("=") and not is_key:
            node.value = self.expression(text, self.span(node))
        elif text.startswith("("):
            node.value = self.parenthesised(text, self.span(node))

    def alias(self, event: yaml.AliasEvent) -> None:
        node = Located(None, *location(event))
        name = str(event.anchor)
        anchored = self.anchors.get(name)
        if anchored is None:
            if name in self.anchors:
                message = f"`*{name}` is inside what it names"
                self.stop(Diagnostic("circular", message, self.span(node)))
            match = nearest(name, self.anchors)
            hint = did_you_mean(f"*{match}") if match else "is it a text? Then it needs quotes"
            message = f"there is no anchor `&{name}`"
            self.stop(Diagnostic("unknown-name", message, self.span(node), help=hint))
        node = replace(anchored)
        node.line, node.column, node.end_line, node.end_column = location(event)
        if len(self.open) + node.height > MAX_NESTING:
            self.too_deep(node)
        self.place(node, values=node.size)

    def begin(self, event: yaml.CollectionStartEvent) -> None:
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        node = LocatedCollection({} if is_mapping else [], *location(event))
        if event.tag is not None:
            self.refuse_tag(node)
        if len(self.open) >= MAX_NESTING:
            self.too_deep(node)
        self.open.append(
            _Open(node, bool(event.flow_style), event.anchor, self.values, node, is_mapping)
        )
        if event.anchor:
            self.anchors[event.anchor] = None

    def end(self, event: yaml.CollectionEndEvent) -> None:
        frame = self.open.pop()
        node = frame.node
        node.size = 1 + self.values - frame.values_before
        # The parser ends a block where the next one starts; a reader, where its last value does.
        last = Located(None, *location(event)) if frame.flow else frame.last
        node.end_line, node.end_column = last.end(self.lines)
        if frame.anchor:
            self.anchors[frame.anchor] = node
        self.place(node)

    def place(self, node: Located, values: int = 1) -> None:
        """Put a finished value into the collection around it; an alias counts as several values."""
        if not self.open:
            self.root = node
            return
        frame = self.open[-1]
        frame.last = node
        parent = frame.node
        if node.height >= parent.height:
            parent.height = node.height + 1
        if frame.expects_key:
            frame.key = node
            frame.expects_key = False
            if not isinstance(node.value, str):
                self.refuse_key(node, flow=frame.flow)
            return
        self.values += values
        if self.values > MAX_VALUES:
            self.too_many(node)
        key = frame.key
        if key is None:
            parent.children[len(parent.value)] = node
            parent.value.append(node.value)
            return
        frame.key, frame.expects_key = None, True
        name = key.value
        if not isinstance(name, str):
            return
        if name in parent.value:
            first = parent.keys[name].line + 1
            self.report(
                "duplicate",
                f"`{name}` appears twice: first on line {first}",
                self.span(key),
                help="keep one of the two",
            )
            return
        parent.value[name] = node.value
        parent.children[name] = node
        parent.keys[name] = key

    def refuse_key(self, node: Located, *, flow: bool) -> None:
        span = self.span(node)
        if isinstance(node.value, list | dict):
            variable = "write a variable as `=name`, not as `{{name}}`"
            help_ = variable if isinstance(node.value, dict) and flow else None
            self.report("type", "a key is a word, not a list or a mapping", span, help=help_)
            return
        written = self.lines[span.line - 1][span.column - 1 : span.end_column - 1]
        self.report(
            "type",
            f"a key is a word, and `{written}` is not one" if written else "a key is empty",
            span,
            help=Mend(f'write it in quotes: "{written}"', f'"{written}"') if written else None,
        )

    def too_many(self, node: Located) -> NoReturn:
        message = f"the spec holds more than {MAX_VALUES:,} values, with aliases written out"
        self.stop(Diagnostic("limit", message, self.span(node)))

    def too_deep(self, node: Located) -> NoReturn:
        message = f"the spec is nested more than {MAX_NESTING} levels deep"
        self.stop(Diagnostic("limit", message, self.span(node)))

    def refuse_tag(self, node: Located) -> None:
        self.report(
            "syntax",
            "tags (`!...`) are not part of the language: a spec is plain data",
            self.span(node),
            help="leave the tag out; a text that starts with `!` needs quotes",
        )

    def span(self, node: Located) -> Span:
        return node.span(self.lines)

    def report(
        self,
        code: str,
        message: str,
        span: Span,
        *,
        help: str | None = None,  # noqa: A002
    ) -> None:
        self.add(Diagnostic(code, message, span, help=help))

    def add(self, diagnostic: Diagnostic) -> None:
        self.diagnostics.append(replace(diagnostic, file=self.name))

    def stop(self, diagnostic: Diagnostic) -> NoReturn:
        self.add(diagnostic)
        raise self.error()

    def error(self) -> SpecError:
        return SpecError(self.in_order(), self.lines)

    def in_order(self) -> tuple[Diagnostic, ...]:
        """Return the diagnostics in the order of the text."""
        start = Span(0, 0, 0, 0)
        return tuple(sorted(self.diagnostics, key=lambda diagnostic: diagnostic.span or start))


_TAKE: Final[dict[type[yaml.Event], Callable[[Reader, Any], None]]] = {
    yaml.ScalarEvent: Reader.scalar,
    yaml.AliasEvent: Reader.alias,
    yaml.SequenceStartEvent: Reader.begin,
    yaml.MappingStartEvent: Reader.begin,
    yaml.SequenceEndEvent: Reader.end,
    yaml.MappingEndEvent: Reader.end,
    yaml.DocumentStartEvent: Reader.document,
    yaml.DocumentEndEvent: Reader.ignore,
    yaml.StreamStartEvent: Reader.ignore,
    yaml.StreamEndEvent: Reader.ignore,
}
"""The method for each kind of event."""


def _span_at(text: str, index: int) -> Span:
    before = LINE_BREAK.split(text[:index])
    line, column = len(before), len(before[-1]) + 1
    return Span(line, column, line, column + 1)
