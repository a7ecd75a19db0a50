"""A run's losses, accuracies and learning rates over its epochs, and a learning-rate search."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from archspec.render.figures import (
    BOTTOM,
    INK,
    LEFT,
    LIGHT,
    LOW_PANEL,
    PANEL,
    QUIET,
    STRONG,
    TOP,
    VAST,
    WIDTH,
    Dashes,
    Line,
    Points,
    draw_line,
    draw_lines,
    epoch_axis,
    head,
    log_ticks,
    panels,
    picture,
    say,
    upright,
)
from archspec.text import is_error, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_CROSSES: Final = 100
"""Most epochs that are marked for a loss that is not finite."""

MOST_HEADS: Final = 5
"""Most outputs whose own losses are drawn."""

History: TypeAlias = Mapping[int, Mapping[str, float]]
"""Numbers by epoch and column."""

LOG_LOSS: Final = 100
"""Ratio of the greatest loss to the least from which the axis is logarithmic."""

LOG_RATE: Final = 9.999
"""The same ratio of learning rates, without their lowest and highest quarter: a cosine ends at 0,
which a linear axis shows best."""


def write_curves(
    rows: Sequence[Mapping[str, Any]],
    best_epoch: int | None,
    title: str,
    *files: Path,
    measure: str = "accuracy",
    least_loss: float | None = None,
) -> None:
    """Draw loss, measure and learning rate over the epochs of a run, into files by their suffix.

    A measure that no row has is not drawn. A value that is not finite is a gap, and in a loss a
    cross.

    Args:
        rows: The rows of `history.csv`.
        best_epoch: The epoch to mark.
        title: The picture's title.
        files: Paths of the picture.
        measure: The column of the main output's accuracy, or of its error.
        least_loss: The value below which the loss cannot fall, drawn as a dashed line.

    """
    history = _by_epoch(rows)
    present = {key for row in history.values() for key in row}
    measures: list[tuple[float, Callable[[Axes], None]]] = [
        (PANEL, lambda axes: _losses(axes, history, least_loss))
    ]
    if {measure, f"val_{measure}"} & present:
        measures.append((PANEL, lambda axes: _measure(axes, history, measure)))
    if "learning_rate" in present:
        measures.append((LOW_PANEL, lambda axes: _learning_rates(axes, history)))
    with panels([inches for inches, _ in measures], files, label(title, 70)) as stack:
        for axes, (_, draw) in zip(stack, measures, strict=True):
            draw(axes)
        epoch_axis(stack, min(history, default=1), max(history, default=1))
        if best_epoch in history:
            _mark_best(stack, history, best_epoch, measure)


def write_rates(
    rates: Sequence[float],
    losses: Sequence[float],
    chosen: float | None,
    title: str,
    *files: Path,
) -> None:
    """Draw the loss over the learning rates that were tried, and the chosen rate."""
    pairs = zip(rates, losses, strict=True)
    points = sorted((x, y) for x, y in pairs if 0 < x < VAST and abs(y) < VAST)
    height = TOP + PANEL * 1.25 + BOTTOM
    with picture(WIDTH, height, files, [title]) as figure:
        head(figure, label(title, 70), LEFT)
        width = 1 - (LEFT + 0.3) / WIDTH
        axes = figure.add_axes((LEFT / WIDTH, BOTTOM / height, width, PANEL * 1.25 / height))
        axes.set(xlabel="learning rate (logarithmic)", ylabel="loss", xscale="log")
        if not points:
            say(axes, "no loss was a finite number")
            return
        draw_line(axes, points, Line("loss", STRONG, 1.6))
        lowest = min(range(len(points)), key=lambda place: points[place][1])
        # Past its lowest point the loss grows without bound, which would press the rest flat.
        before = [loss for _, loss in points[: lowest + 1]]
        room = 0.15 * (max(before) - min(before)) or 0.5 * abs(before[0]) or 1.0
        axes.set_ylim(min(before) - room, max(before) + room)
        axes.set_xlim(points[0][0] / 1.05, points[-1][0] * 1.05)
        log_ticks(axes.xaxis, points[0][0], points[-1][0])
        if chosen is not None:
            upright(axes, chosen, f"learning rate {chosen:.2g}")


def _by_epoch(rows: Iterable[Mapping[str, Any]]) -> dict[int, dict[str, float]]:
    """Numbers by epoch, in order. The later row counts where a resumed run repeated an epoch."""
    epochs: dict[int, dict[str, float]] = {}
    for place, row in enumerate(rows, 1):
        numbers = {}
        for key, value in row.items():
            try:
                number = float(value)
            except (TypeError, ValueError):
                continue  # an empty cell
            numbers[key] = number if abs(number) < VAST else math.inf
        epoch = numbers.get("epoch", place)
        epochs[int(epoch) if math.isfinite(epoch) else place] = numbers
    return dict(sorted(epochs.items()))


def _points(history: History, key: str) -> Points:
    """(epoch, value) of each epoch with a value; NaN for one that is not finite."""
    values = ((epoch, row[key]) for epoch, row in history.items() if key in row)
    return [(epoch, value if math.isfinite(value) else math.nan) for epoch, value in values]


def _losses(axes: Axes, history: History, least: float | None) -> None:
    keys = dict.fromkeys(key for row in history.values() for key in row)
    heads = [key for key in keys if key.endswith("_loss") and not key.startswith("val_")]
    styles: tuple[Dashes, ...] = ("--", "-.", ":", (0, (5, 1)), (0, (1, 3)))
    lines = [
        (Line(label(key.removesuffix("_loss"), 12), QUIET, 0.9, style), _points(history, key))
        for key, style in zip(heads[:MOST_HEADS], styles, strict=False)
    ]
    lines += _both(history, "loss")
    values = _finite(lines)
    axes.set_ylabel("loss")
    ends = []
    if least is not None and values:
        axes.axhline(least, color=QUIET, linewidth=0.8, linestyle=(0, (6, 4)))
        ends.append((least, f"least possible {least:.3g}", QUIET))
        values.append(least)
    if not values:
        say(axes, "no epoch with a finite loss" if history else "no epoch was completed")
    elif min(values) > 0 and max(values) >= LOG_LOSS * min(values):
        axes.set(yscale="log", ylabel="loss (logarithmic)")
        log_ticks(axes.yaxis, min(values), max(values))
    draw_lines(axes, lines, "{:.3g}", PANEL, ends)
    _crosses(axes, history)


def _measure(axes: Axes, history: History, measure: str) -> None:
    """Draw the main output's accuracy, or its error."""
    from matplotlib.ticker import PercentFormatter  # noqa: PLC0415

    lines = _both(history, measure)
    if is_error(measure):
        axes.set_ylabel("mean absolute error")
    else:
        axes.set_ylabel("accuracy")
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        if values := _finite(lines):
            room = 0.06 * (max(values) - min(values)) or 0.05
            axes.set_ylim(max(min(values) - room, -0.01), min(max(values) + room, 1 + room / 4))
    draw_lines(axes, lines, _said(measure)[1], PANEL)


def _both(history: History, measure: str) -> list[tuple[Line, Points]]:
    """Return the lines of a measure of the training and of the validation images."""
    return [
        (Line("training", LIGHT, 1.2), _points(history, measure)),
        (Line("validation", STRONG, 1.8), _points(history, f"val_{measure}")),
    ]


def _said(measure: str) -> tuple[str, str]:
    """Return the name of a main measure in a sentence, and the format of its values."""
    return ("mae", "{:.3g}") if is_error(measure) else ("accuracy", "{:.2%}")


def _finite(lines: Iterable[tuple[Line, Points]]) -> list[float]:
    """Return the values of lines that are finite."""
    return [y for _, points in lines for _, y in points if math.isfinite(y)]


def _learning_rates(axes: Axes, history: History) -> None:
    points = _points(history, "learning_rate")
    positive = sorted({y for _, y in points if y > 0})
    axes.yaxis.set_major_formatter("{x:g}")
    quarter = (len(positive) - 1) / 4
    if positive and positive[round(3 * quarter)] >= LOG_RATE * positive[round(quarter)]:
        axes.set(yscale="log", ylim=(positive[0] / 1.6, positive[-1] * 1.6))
        log_ticks(axes.yaxis, positive[0], positive[-1])
    elif positive:
        axes.set_ylim(0, 1.25 * positive[-1])
        axes.locator_params(axis="y", nbins=3)
    line = Line("learning rate", INK, 1.2, steps=True)
    draw_lines(axes, [(line, points)], "{:.3g}", LOW_PANEL)


def _crosses(axes: Axes, history: History) -> None:
    """Draw a cross at the top for each epoch whose loss was not finite."""
    losses = {"loss", "val_loss"}
    broken = [
        epoch
        for epoch, row in history.items()
        if any(not math.isfinite(row[key]) for key in losses & row.keys())
    ]
    if broken:
        step = -(-len(broken) // MOST_CROSSES)
        x = broken[::step]
        where = axes.get_xaxis_transform()
        axes.plot(x, [0.96] * len(x), "x", markersize=5, color=INK, transform=where)
        text = "x: loss infinite or not a number"
        axes.text(0.99, 0.87, text, ha="right", va="top", color=QUIET, transform=axes.transAxes)


def _mark_best(stack: Sequence[Axes], history: History, best: int, measure: str) -> None:
    """Draw a line across all panels at the best epoch, and dots on the measures that chose it."""
    row = history[best]
    judged = "validation" if f"val_{measure}" in row or "val_loss" in row else "training"
    measures = []
    for axes, column, name, text in (
        (stack[0], "loss", "loss", "{:.3g}"),
        (stack[min(1, len(stack) - 1)], measure, *_said(measure)),
    ):
        key = f"val_{column}" if judged == "validation" else column
        if math.isfinite(row.get(key, math.nan)):
            measures.append(f"{name} {text.format(row[key])}")
            colour = STRONG if judged == "validation" else LIGHT
            axes.plot(
                [best], [row[key]], marker="o", markersize=7, color="white", markeredgecolor=colour
            )
    upright(stack[0], best, f"best epoch {best:,}: {judged} {', '.join(measures)}")
    for axes in stack[1:]:
        upright(axes, best)
