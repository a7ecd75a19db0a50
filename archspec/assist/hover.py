"""Explanation of what stands at a place, and of what it costs."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from archspec.assist import language
from archspec.assist.definition import defined, inner, names_a_step, use_at, variables_at
from archspec.assist.document import Document, Region
from archspec.assist.hints import summary, table
from archspec.assist.lenses import figures
from archspec.assist.sketch import Place, find, place_at
from archspec.assist.steps import BESIDE, is_inner_step, is_step
from archspec.compile import catalog
from archspec.cost.report import Report, Row
from archspec.element import Element
from archspec.errors import KeyPath
from archspec.ops.op import Op
from archspec.reference import WORDS, entries, spoken
from archspec.render.amounts import byte_size, extents
from archspec.render.formulas import arithmetic
from archspec.render.report import value
from archspec.spec.expressions import INPUTS, is_expression
from archspec.spec.operations import FUNCTIONS

_WORD: Final = re.compile(r"(?:\bin\.)?\w+")
LONGEST: Final = 200
"""Characters of a value that are quoted."""


class Hover(NamedTuple):
    """An explanation in Markdown, and the part of the text that it is about."""

    markdown: str
    region: Region


def hover(document: Document, offset: int) -> Hover | None:
    """Return the explanation of what stands at an offset; None where there is nothing to say.

    A kind is explained with what this step costs and how these numbers come about, while the text
    has no mistake.
    """
    if not document.is_spec:
        return None
    place = place_at(document.root, offset)
    if place is None:
        return None
    region = Region(*inner(document.text, place.node))
    if not place.is_key and is_expression(document.text[slice(*region)]):
        return _in_expression(document, place, region, offset)
    parts = list(_parts(document, place, offset))
    return Hover("\n\n---\n\n".join(parts), region) if parts else None


def _parts(document: Document, place: Place, offset: int) -> Iterator[str]:
    path, text = place.path, place.node.text
    step = path[:-1] if place.is_key else path
    if is_inner_step(step) or (is_step(step) and (place.is_key or is_step(path))):
        yield from _of_step(document, step, text)
    elif place.is_key:
        yield from _key(document, path)
    elif names_a_step(path):
        yield from _named(document, offset)
    else:
        word = language.values_at(path).get(text)
        about = word.about if word else ""
        known = language.word_at(path)
        if about:
            yield f"**`{text}`**\n\n{about}"
        elif known:
            yield from _key(document, path)


def _named(document: Document, offset: int) -> Iterator[str]:
    """Yield the shape and the costs of the step whose name is at an offset."""
    use = use_at(document, offset)
    target = defined(document, use) if use and use.sort == "step" else None
    at = place_at(document.root, target.start) if target else None
    if at is not None:
        named = at.path[:-1] if at.path[-1:] == ("name",) or at.is_key else at.path
        yield from _costs(document, named)


def _of_step(document: Document, step: KeyPath, word: str) -> Iterator[str]:
    """Yield what a key of a step, or the word that is one, means, and what the step costs."""
    cls = None if word in BESIDE else catalog.get(word)
    own = find(document.root, ("blocks", word))
    if own is not None:
        about = own.at("about")
        said = f"\n\n{about.text}" if about else ""
        yield f"**`{word}`** (block of this spec){said}"
    elif cls is not None:
        yield _kind(cls)
    elif word in WORDS:
        yield f"**`{word}`**\n\n{WORDS[word].about}\n\n{WORDS[word].text}".rstrip()
    else:
        return
    if word not in BESIDE or word in ("layers", "branches"):
        yield from _costs(document, step)


def _kind(cls: type[Element]) -> str:
    """Return what a kind is, and a table of its arguments."""
    sort = "op" if issubclass(cls, Op) else "block"
    lines = [f"**`{cls.kind}`** ({sort})", "", inspect.getdoc(cls) or ""]
    arguments = entries(cls)
    if arguments:
        lines += ["", "| argument | default | |", "|---|---|---|"]
        for each in arguments:
            default = "required" if each.default is None else f"`{each.default}`"
            about = re.sub(r"\s+", " ", each.about).replace("|", "\\|")
            lines.append(f"| `{each.name}` | {default} | {about} |")
    return "\n".join(lines)


def _key(document: Document, path: KeyPath) -> Iterator[str]:
    """Yield what a key means."""
    name = str(path[-1])
    match path:
        case ("variants", _):
            member = document.members.get(name)
            shown = document.examined.member
            member = shown if shown.name == name else member
            if member is not None:
                yield f"**`{name}`**: {figures(member)}"
            return
        case ("vars", _) | ("variants", _, _):
            yield from _variable(document, path, name)
            return
        case (*step, str(kind), _) if is_step(tuple(step)) or is_inner_step(tuple(step)):
            cls = None if kind in BESIDE else catalog.get(kind)
            entry = next((e for e in entries(cls) if e.name == name), None) if cls else None
            if entry is not None:
                default = "required" if entry.default is None else f"default `{entry.default}`"
                yield f"**`{name}`** of `{kind}` ({default})\n\n{entry.about}\n\n{entry.type}"
                return
            argument = find(document.root, ("blocks", kind, "args", name))
            if argument is not None:
                yield f"**`{name}`**: argument of the block `{kind}` of this spec"
                return
    word = language.word_at(path)
    if word is None:
        return
    default = "" if word.default in (None, "{}", "[]") else f" (default `{word.default}`)"
    yield "\n\n".join(filter(None, [f"**`{name}`**{default}", word.about, word.type]))


def _costs(document: Document, step: KeyPath) -> Iterator[str]:
    """Yield the shape and the costs of a step of the network that is shown."""
    good = document.examined
    rows = good.rows.get(step, ())
    if good.report is None or not rows:
        return
    if len(rows) > 1:
        yield f"{summary(rows)}\n\n{table(rows, good.member.name)}"
    else:
        yield _row(good.member.name, good.report, rows[0])


def _row(network: str, report: Report, row: Row) -> str:
    _, _, memory, params, *macs = arithmetic(report, row)
    trained = "" if not row.non_trainable else f", {row.non_trainable:,} not trained"
    field, stride = (extents(value(name, row, report)) for name in ("field", "stride"))
    lines = [
        f"In `{network}`: `{row.path}` {row.label} → **{row.shape}**",
        "",
        "| | |",
        "|---|---|",
        f"| parameters | {row.params:,}{trained} |",
        f"| MACs | {row.macs:,} |",
        f"| other ops | {row.other_ops:,} |",
        f"| memory | {byte_size(int(value('memory', row, report)))} |",
        f"| receptive field | {field}, stride {stride} |",
        "",
        "```",
        *(line for line in (memory, params, *macs) if line),
        "```",
    ]
    return "\n".join(lines)


def _in_expression(document: Document, place: Place, region: Region, offset: int) -> Hover | None:
    """Return what a name in an expression means."""
    words = _WORD.finditer(document.text, *region)
    match = next((each for each in words if each.start() <= offset <= each.end()), None)
    if match is None:
        return None
    word = match[0]
    found = Region(*match.span())
    if word in FUNCTIONS:
        function = FUNCTIONS[word]
        return Hover(f"**`{function.usage}`**\n\n{function.about}", found)
    if word.startswith("in.") and word[3:] in INPUTS:
        return Hover(f"**`{word}`**: {word[3:]} of the step's input", found)
    about = dict(reversed(list(variables_at(document.root, place.path)))).get(word)
    if about is None:
        parts = list(_named(document, offset))
        return Hover("\n\n".join(parts), found) if parts else None
    if about.startswith("variable") and "loop" not in about:
        parts = list(_variable(document, ("vars", word), word))
        return Hover(parts[0], found) if parts else None
    return Hover(f"**`{word}`**: {about}", found)


def _variable(document: Document, path: KeyPath, name: str) -> Iterator[str]:
    """Yield the value of a variable in the network that is shown."""
    spec = document.examined.spec
    written = find(document.root, path)
    default = f", {_short(written.text)} as written" if written and written.text else ""
    if spec is None or name not in spec.settings:
        yield f"**`{name}`**: variable{default}"
        return
    shown, _ = spec.settings[name]
    yield f"**`{name}`**: {_short(spoken(shown))} in `{spec.name}`{default}"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
