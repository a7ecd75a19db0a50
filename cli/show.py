"""`archspec show`: one word of the language explained, or a bundled spec as it is written."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from .output import bold, wrapped, write

if TYPE_CHECKING:
    from archspec.element import Element
    from archspec.reference import Entry, Word


@click.command(name="show")
@click.argument("word", metavar="KIND|SPEC")
def command(word: str) -> None:
    """Explain a kind of step, or print a bundled spec.

    \b
    archspec show conv          a kind: its arguments, and an example
    archspec show branches      a word that groups steps, or stands beside a kind
    archspec show published     a section of a spec
    archspec show resnet        a spec that comes with archspec
    """
    lines = _explained(word)
    if lines is None:
        from archspec.spec.loading import find

        source, *_ = find(word)
        lines = source.lines
    write("\n".join(lines).rstrip() + "\n", None)


def _explained(word: str) -> Sequence[str] | None:
    """The lines about a word of the language; None for the name of a bundled spec."""
    from archspec import catalog
    from archspec.diagnostics import Problem, UsageError
    from archspec.reference import SECTIONS, WORDS, entries
    from archspec.spec.document import Document
    from archspec.spec.loading import bundled, families
    from archspec.spec.operations import FUNCTIONS

    if word in WORDS:
        return _word(word, WORDS[word])
    try:
        return _kind(catalog.find(word))
    except Problem:
        pass
    if word in FUNCTIONS:
        function = FUNCTIONS[word]
        return [bold(f"={function.usage}"), *wrapped(function.about)]
    sections = {entry.name: entry for entry in entries(Document)}
    if word in sections:
        return _section(sections[word], entries(SECTIONS[word]) if word in SECTIONS else ())
    specs = {name for _, document in families() for name in document.variants} | {*bundled()}
    if word.partition(":")[0] in specs:
        return None
    problem = catalog.unknown_kind(word, (*WORDS, *FUNCTIONS, *sections, *specs))
    hint = problem.help if len(problem.help or "") < 100 else "see archspec list --kinds"
    raise UsageError(f"there is nothing called `{word}`; {hint}")


def _kind(cls: type[Element]) -> list[str]:
    from archspec.ops.op import Op
    from archspec.reference import entries, example

    sort = "op" if issubclass(cls, Op) else "block"
    lines = [f"{bold(cls.kind)} ({sort})", *wrapped(inspect.getdoc(cls) or ""), ""]
    lines += _entries("Arguments", entries(cls))
    if cls.main:
        lines += [f"`{cls.kind}: x` is short for `{cls.kind}: {{{cls.main}: x}}`.", ""]
    text, family = example(cls)
    title = f"Example, from {family}" if family else "Example"
    return [*lines, bold(title), *_indented(text.splitlines())]


def _word(name: str, word: Word) -> list[str]:
    lines = [bold(name), *wrapped(f"{word.about}\n\n{word.text}")]
    return [*lines, "", bold("Example"), *_indented(word.example.splitlines())]


def _section(entry: Entry, parts: Sequence[Entry]) -> list[str]:
    lines = [f"{bold(entry.name)} (section of a spec)", *wrapped(entry.about), ""]
    return lines + _entries("Keys", parts)


def _entries(title: str, entries: Sequence[Entry]) -> list[str]:
    if not entries:
        return []
    lines = [bold(title)]
    for entry in entries:
        default = "required" if entry.default is None else f"default {entry.default}"
        lines.append(f"  {bold(entry.name)}  [{default}]")
        lines += _indented(wrapped(entry.about, 6), 6)
        lines += _indented(wrapped(f"Value: {entry.type}.", 6), 6)
    return [*lines, ""]


def _indented(lines: Iterable[str], by: int = 2) -> list[str]:
    return [" " * by + line if line else "" for line in lines]
