"""Hints behind the steps: output shape, parameters, MACs."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from archspec.assist.document import Document, Examined, Region
from archspec.assist.places import Lines, lines_of
from archspec.assist.sketch import find
from archspec.assist.steps import Step
from archspec.cost.report import Row
from archspec.errors import KeyPath
from archspec.render.amounts import short

SHOWN: Final = 8
"""Rounds of a step that a tooltip lists."""

GAP: Final = " · "


class Hint(NamedTuple):
    """A remark that an editor shows behind a line without it being in the text."""

    offset: int
    text: str
    about: str
    """Longer form for a tooltip, in Markdown."""


def hints(document: Document, region: Region | None = None) -> tuple[Hint, ...]:
    """Return the hints of all steps, or of those in a region.

    While the text is broken these are the hints of its last good state, each where its line is now.
    """
    good = document.good
    if good is None or not document.is_spec:
        return ()
    placed = _placed(good)
    if good.text != document.text:
        placed = _moved(placed, good.text, document.text)
    return tuple(
        _hint(good, step, offset)
        for offset, step in placed
        if region is None or region.start <= offset <= region.stop
    )


def _placed(good: Examined) -> Iterator[tuple[int, Step]]:
    """Yield the steps of a good text that have a hint, each with its offset."""
    lines = lines_of(good.text, "utf-32")
    left_out: KeyPath | None = None
    for step in good.steps:
        if left_out is not None and step.path[: len(left_out)] == left_out:
            continue
        left_out = None
        if step.path not in good.rows and step.path[0] != "blocks" and step.kind is not None:
            left_out = step.path
        if good.rows.get(step.path) or left_out:
            yield _offset(good, step, lines), step


def _hint(good: Examined, step: Step, offset: int) -> Hint:
    rows = good.rows.get(step.path, ())
    if rows:
        return Hint(offset, summary(rows), table(rows, good.member.name))
    kind = step.kind.text if step.kind else ""
    about = f"`{kind}` is left out: its `when` is false, or it is repeated 0 times"
    return Hint(offset, f"not in {good.member.name}", about)


def _offset(good: Examined, step: Step, lines: Lines) -> int:
    """Return the end of the line where a step begins; within brackets, the end of the step."""
    outer = find(good.root, step.path[:-1])
    if outer is not None and outer.flow:
        return step.entry.stop
    return lines.end(bisect_right(lines.starts, step.entry.start) - 1)


def summary(rows: Sequence[Row]) -> str:
    """Return a step's output, parameters and MACs in a few words; of several rounds, their range.

    28x28x128 · 230K params · 180M MACs; 6 x 28x28x128 · 74K...115K params · 58M...90M MACs each
    """
    first, last = rows[0], rows[-1]
    shape = str(first.shape) if first.shape == last.shape else f"{first.shape}...{last.shape}"
    parts = [shape if len(rows) == 1 else f"{len(rows)} x {shape}"]
    for name, values in (
        ("params", [row.params for row in rows]),
        ("MACs", [row.macs for row in rows]),
    ):
        if any(values):
            parts.append(f"{_range(values)} {name}")
    return GAP.join(parts) + (" each" if len(parts) > 1 and len(rows) > 1 else "")


def _range(values: Sequence[int]) -> str:
    formula = next((value for value in values if not isinstance(value, int)), None)
    if formula is not None:  # which of several formulas is larger may depend on the size
        return short(formula)
    least, most = short(min(values)), short(max(values))
    return least if least == most else f"{least}...{most}"


def table(rows: Sequence[Row], network: str) -> str:
    """Return a table of a step's rounds in Markdown."""
    lines = [f"In `{network}`:", "", "| layer | output | params | MACs |", "|---|---|--:|--:|"]
    lines += [
        f"| `{row.path}` {row.label} | {row.shape} | {row.params:,} | {row.macs:,} |"
        for row in rows[:SHOWN]
    ]
    if len(rows) > SHOWN:
        lines.append(f"| and {len(rows) - SHOWN:,} more | | | |")
    if len(rows) > 1:
        params, macs = sum(row.params for row in rows), sum(row.macs for row in rows)
        lines.append(f"| together | | {params:,} | {macs:,} |")
    return "\n".join(lines)


def _moved(
    placed: Iterator[tuple[int, Step]], before: str, after: str
) -> Iterator[tuple[int, Step]]:
    """Yield steps of another text with the offsets of their hints now.

    Lines that both texts begin with or end with have kept their hints. Of the lines between, which
    are being written, each keeps the hint of the line in its place.
    """
    old, new = lines_of(before, "utf-32"), lines_of(after, "utf-32")
    old_lines = [before[start : old.end(i)] for i, start in enumerate(old.starts)]
    new_lines = [after[start : new.end(i)] for i, start in enumerate(new.starts)]
    most = min(len(old_lines), len(new_lines))
    first = next((i for i in range(most) if old_lines[i] != new_lines[i]), most)
    last = next((i for i in range(most - first) if old_lines[-1 - i] != new_lines[-1 - i]), None)
    last = most - first if last is None else last
    for offset, step in placed:
        line = bisect_right(old.starts, offset) - 1
        column = offset - old.starts[line]
        if line >= len(old_lines) - last:
            line += len(new_lines) - len(old_lines)
        elif line >= first and (
            line >= len(new_lines) - last or column < len(old_lines[line].rstrip())
        ):
            continue
        elif line >= first:
            column = len(new_lines[line])
        yield new.starts[line] + column, step
