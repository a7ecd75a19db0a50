"""An explanation of a word as text and Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from archspec.render.table import Column, PrintedTable, Style, wrapped

if TYPE_CHECKING:
    from archspec.explanation import Explanation
    from archspec.reference import ReferenceEntry


def text(explanation: Explanation, *, width: int | None = None, color: bool = False) -> str:
    """Return what the word is, its arguments or keys, and an example; of a spec, its text."""
    return "\n".join(_lines(explanation, width, Style(color))).rstrip() + "\n"


def _lines(explanation: Explanation, width: int | None, style: Style) -> Iterator[str]:
    if explanation.sort == "spec":
        yield explanation.example
        return
    bare = explanation.sort in {"word", "function"}
    yield style.bold(explanation.name) + ("" if bare else f" ({explanation.sort})")
    yield from wrapped(explanation.about, width)
    if explanation.sort != "function":
        yield ""
    if explanation.entries:
        yield style.bold("Keys" if explanation.sort == "section of a spec" else "Arguments")
        for entry in explanation.entries:
            yield f"  {style.bold(entry.name)}  [{_default(entry)}]"
            yield from _indented(wrapped(entry.about, width, 6), 6)
            yield from _indented(wrapped(f"Value: {entry.type}.", width, 6), 6)
        yield ""
    if explanation.note:
        yield from (explanation.note, "")
    if explanation.example:
        origin = f", from {explanation.origin}" if explanation.origin else ""
        yield style.bold(f"Example{origin}")
        yield from _indented(explanation.example.splitlines(), 2)


def markdown(explanation: Explanation) -> str:
    """Return what the word is, its arguments or keys, and an example; of a spec, its text."""
    code = f"```yaml\n{explanation.example}\n```\n"
    if explanation.sort == "spec":
        return code
    lines = [f"### {explanation.name} ({explanation.sort})", "", explanation.about, ""]
    if explanation.entries:
        columns = [Column(name, left=True) for name in ("name", "value", "default", "about")]
        rows = [
            [f"`{each.name}`", each.type, _default(each), each.about]
            for each in explanation.entries
        ]
        lines += [PrintedTable(columns, rows).markdown(), ""]
    if explanation.note:
        lines += [explanation.note, ""]
    if explanation.example:
        lines += ["Example:", "", code]
    return "\n".join(lines)


def _default(entry: ReferenceEntry) -> str:
    return "required" if entry.default is None else f"default {entry.default}"


def _indented(lines: Iterable[str], by: int) -> list[str]:
    return [" " * by + line if line else "" for line in lines]
