"""Runs side by side as a picture: a panel for each measure, a colour for each entry."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from archspec.render.curves import LOG_LOSS
from archspec.render.figures import (
    LABEL_INCHES,
    PANEL,
    RIGHT,
    SEVERAL,
    VAST,
    Dashes,
    Line,
    Points,
    draw_lines,
    epoch_axis,
    log_ticks,
    panels,
    sequence,
    thinned,
)
from archspec.runs.comparison import VALIDATION, Curve, RunComparison
from archspec.text import label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHARES: Final = ("accuracy", "error", "dead", "saturated")
"""Measures that are shown in percent."""

LONGEST: Final = 34
"""Characters of an entry's name that are shown beside its line."""

LOG_GRADIENT: Final = 10
"""`LOG_LOSS` for gradients, where the order of magnitude matters."""

LETTER: Final = 0.075
"""Inches that a letter takes."""

BAND: Final = 0.18
"""Opacity of a band."""


def write_comparison(
    comparison: RunComparison, drawn: Sequence[tuple[str, tuple[str, ...]]], path: Path
) -> None:
    """Draw measures over the epochs. `drawn` is as `RunComparison.drawn` returns it."""
    names = [label(entry.name, LONGEST) for entry in comparison.entries]
    panel = max(PANEL, (LABEL_INCHES + 0.01) * len(names))
    right = max(RIGHT, LETTER * (8 + max(map(len, names))))
    colours = SEVERAL if len(names) <= len(SEVERAL) else sequence(len(names))
    title, below = _title(comparison, drawn)
    heights = [panel] * len(drawn)
    with panels(heights, [path], title, below=below, right=right, texts=names) as stack:
        for axes, (measure, parts) in zip(stack, drawn, strict=True):
            _draw(axes, comparison, measure, parts, names, colours, panel)
        epochs = [
            epoch
            for measure, parts in drawn
            for part in parts
            for entry in comparison.entries
            if (curve := entry.curve(measure, part))
            for epoch in curve.epochs
        ]
        epoch_axis(stack, min(epochs, default=1), max(epochs, default=1))


def _title(
    comparison: RunComparison, drawn: Sequence[tuple[str, tuple[str, ...]]]
) -> tuple[str, str]:
    """Return the title, and a line that explains the lines of the picture."""
    notes = []
    if any(len(parts) > 1 for _, parts in drawn):
        notes.append("solid: validation; dashed: training")
    if any(len(entry.runs) > 1 for entry in comparison.entries):
        notes.append("line: mean of the runs; band: lowest to highest")
    runs = sum(len(entry.runs) for entry in comparison.entries)
    return f"{runs:,} runs", "; ".join(notes)


def _draw(
    axes: Axes,
    comparison: RunComparison,
    measure: str,
    parts: tuple[str, ...],
    names: Sequence[str],
    colours: Sequence[str],
    panel: float,
) -> None:
    from matplotlib.ticker import PercentFormatter  # noqa: PLC0415

    kind = measure.partition(":")[0]
    curves = {
        (number, part): curve
        for number, entry in enumerate(comparison.entries)
        for part in parts
        if (curve := entry.curve(measure, part))
    }
    values = [y for curve in curves.values() for y in curve.mean if _shows(y)]
    positive = [y for y in values if y > 0]
    far = LOG_GRADIENT if kind == "gradient" else LOG_LOSS
    is_one = len(parts) == 1 and ":" not in measure  # of a measure that has both
    only = {"": "training ", VALIDATION: "validation "}[parts[0]] if is_one else ""
    axes.set_ylabel(f"{only}{measure.replace('_', ' ')}")
    if kind in SHARES:
        axes.yaxis.set_major_formatter(
            PercentFormatter(1.0, decimals=0 if max(values, default=0) > 0.1 else None)
        )
    elif positive and len(positive) == len(values) and max(values) >= far * min(values):
        axes.set_yscale("log")
        axes.set_ylabel(f"{axes.get_ylabel()} (logarithmic)")
        log_ticks(axes.yaxis, min(values), max(values))
    lines: list[tuple[Line, Points]] = []
    for (number, part), curve in curves.items():
        leads = part == parts[-1]
        style: Dashes = "-" if leads else (0, (4, 2))
        name, width = (names[number], 1.6) if leads else ("", 0.9)
        points: Points = [
            (x, y if _shows(y) else math.nan) for x, y in zip(curve.epochs, curve.mean, strict=True)
        ]
        lines.append((Line(name, colours[number], width, style), points))
        if leads:
            _band(axes, curve, colours[number])
    draw_lines(axes, lines, "{:.1%}" if kind in SHARES else "{:.3g}", panel)


def _band(axes: Axes, curve: Curve, colour: str) -> None:
    """Shade from the lowest run to the highest."""
    if curve.lowest == curve.highest:
        return
    low = thinned(list(zip(curve.epochs, curve.lowest, strict=True)))
    x = [epoch for epoch, _ in low]
    place = {epoch: n for n, epoch in enumerate(curve.epochs)}
    high = [curve.highest[place[int(epoch)]] for epoch in x]
    axes.fill_between(x, [y for _, y in low], high, color=colour, alpha=BAND, linewidth=0)


def _shows(value: float) -> bool:
    return abs(value) < VAST
