"""Charts as PNG; charts and tables as CSV."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from archspec.explain.gallery import Chart, Table
from archspec.lazy import np
from archspec.render import figures
from archspec.render.gallery.drawing import shortened
from archspec.runs.storage import plain
from archspec.text import csv_lines

TITLE_LETTER_INCHES: Final = 0.1
"""Approximate width of a letter of a title."""

DASHES: Final[tuple[figures.Dashes, ...]] = ("-", (0, (5, 2)), (0, (1, 1)))
"""Styles of lines, which tell lines of one color apart."""

LETTER_INCHES: Final = 0.075
"""Approximate width of a letter in the name of a line."""

LONGEST: Final = 24
"""Largest number of characters of a name beside a chart."""

MOST_LISTED: Final = 28
"""Largest number of names beside a scatter plot."""

MARKS: Final = "os^Dv"
"""Shapes of dots, which make 40 different pairs with the colors."""

MARKS_LARGE: Final = 60
"""Number of dots of a group from which they are drawn small."""

COLOURS: Final = (
    "#0b4a80",
    "#d9661f",
    "#3a8f5c",
    "#8e4a9e",
    "#8a6d1f",
    "#5a5a5a",
    "#c2185b",
    "#00838f",
)
"""Colors of lines, distinguishable for the color-blind in this order."""


def chart_png(chart: Chart) -> bytes:
    """Return a chart as a PNG file."""
    names = [shortened(name, LONGEST) for name in chart.lines]
    listed = min(len(names), MOST_LISTED)
    right = 0.25 + LETTER_INCHES * max(map(len, names), default=0)
    width, height, left = 4.8 + right, max(3.6, 1.2 + figures.LABEL_INCHES * listed), 0.75
    if chart.scattered:
        right += 0.15
        width, height = 6.9, 5.6
    title = shortened(chart.title, int((width - 0.2) / TITLE_LETTER_INCHES))
    texts = [title, chart.x_label, chart.y_label, *names]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "chart.png")
        with figures.picture(width, height, [path], texts) as figure:
            bounds = left / width, 0.55 / height, 1 - (left + right) / width, 1 - 1.0 / height
            axes = figure.add_axes(bounds)
            draw = _dots if chart.scattered else _lines
            draw(chart, axes, names, listed, height - 1.0)
            axes.set_xlabel(chart.x_label)
            axes.set_ylabel(chart.y_label)
            figures.head(figure, title, 0.12)
        return path.read_bytes()


def _lines(chart: Chart, axes: Any, names: Sequence[str], listed: int, height: float) -> None:
    """Draw curves, each with its name at its end."""
    if chart.log_x:
        axes.set_xscale("log")
    if chart.log_y:
        axes.set_yscale("log")
    ends: list[tuple[float, str, str]] = []
    for number, (name, points) in enumerate(zip(names, chart.lines.values(), strict=True)):
        colour = COLOURS[number % len(COLOURS)]
        line = figures.Line(name, colour, 1.6, DASHES[number // len(COLOURS) % 3])
        figures.draw_line(axes, [(float(x), float(y)) for x, y in points], line)
        finite = [y for _, y in points if math.isfinite(y)]
        if finite and len(ends) < listed:
            ends.append((float(finite[-1]), name, colour))
    if chart.y_limits:
        axes.set_ylim(*chart.y_limits)
    for is_log, axis in ((chart.log_x, axes.xaxis), (chart.log_y, axes.yaxis)):
        if is_log:
            figures.log_ticks(axis, *axis.get_view_interval())
    figures.end_labels(axes, ends, height)


def _dots(chart: Chart, axes: Any, names: Sequence[str], listed: int, _: float) -> None:
    """Draw dots on a plane with equal axes, each line in a color and shape of its own."""
    axes.set_aspect("equal", adjustable="datalim")
    most = max(map(len, chart.lines.values()), default=0)
    for number, (name, points) in enumerate(zip(names, chart.lines.values(), strict=True)):
        x, y = np.asarray(points, dtype=float).reshape(-1, 2).T
        axes.scatter(
            x,
            y,
            s=30 if most < MARKS_LARGE else 12,
            c=COLOURS[number % len(COLOURS)],
            marker=MARKS[number % len(MARKS)],
            linewidths=0,
            alpha=0.8,
            label=name if number < listed else None,
        )
    axes.grid(visible=False)
    if len(names) > 1:
        more = f"and {len(names) - listed:,} more" if listed < len(names) else None
        place = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.2}
        axes.legend(frameon=False, title=more, handletextpad=0.1, **place)


def chart_csv(chart: Chart) -> str:
    """Return the points of all lines as CSV, a row each."""
    rows = [[name, x, y] for name, points in chart.lines.items() for x, y in points]
    return _csv(["line", chart.x_label, chart.y_label], rows)


def table_csv(table: Table) -> str:
    """Return the rows of a table as CSV."""
    return _csv(table.columns, table.rows)


def _csv(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    return csv_lines([columns, *(plain(list(row)) for row in rows)])
