"""Gradients, dead and saturated units of each layer over the epochs, as a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from archspec.render.figures import (
    LABEL_INCHES,
    PANEL,
    Line,
    Points,
    draw_lines,
    epoch_axis,
    log_ticks,
    panels,
    say,
    sequence,
)
from archspec.runs.units import MEASURES, LayerMeasures
from archspec.text import label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TITLES: Final = {
    "gradient": "gradient's norm\n(logarithmic)",
    "dead": "dead units",
    "saturated": "saturated outputs",
}
"""Label of each measure's axis."""


def write_units(epochs: Sequence[LayerMeasures], title: str, *files: Path) -> None:
    """Draw each layer's gradient, dead and saturated units over the epochs, from epoch 0.

    Layers go from dark, the first, to light. A gradient of 0 has no place on a logarithmic axis,
    and is a gap.
    """
    layers = list(epochs[0]) if epochs else []
    shown = [
        measure
        for measure in MEASURES
        if any(each[measure] is not None for epoch in epochs for each in epoch.values())
    ]
    colours = dict(zip(layers, sequence(len(layers)), strict=True))
    with panels([PANEL] * len(shown), files, label(title, 70), texts=layers) as stack:
        for axes, measure in zip(stack, shown, strict=True):
            _draw(axes, measure, epochs, colours)
        epoch_axis(stack, 0, len(epochs) - 1)


def _draw(
    axes: Axes, measure: str, epochs: Sequence[LayerMeasures], colours: dict[str, str]
) -> None:
    from matplotlib.ticker import PercentFormatter  # noqa: PLC0415

    axes.set_ylabel(TITLES[measure])
    lines = {
        layer: points
        for layer in colours
        if (points := _points(epochs, layer, measure, positive=measure == "gradient"))
    }
    values = [y for points in lines.values() for _, y in points if math.isfinite(y)]
    if not values:
        say(axes, "no finite number above 0")
        return
    if measure == "gradient":
        axes.set_yscale("log")
        log_ticks(axes.yaxis, min(values), max(values))
    else:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_ylim(-0.03 * max(*values, 0.1), 1.06 * max(*values, 0.1))
    # There is room to name only some layers: every n-th.
    every = math.ceil(len(lines) / (PANEL / LABEL_INCHES))
    named = [
        (Line("" if number % every else label(layer, 18), colours[layer], 1.4), points)
        for number, (layer, points) in enumerate(lines.items())
    ]
    draw_lines(axes, named, "{:.2g}" if measure == "gradient" else "{:.0%}", PANEL)


def _points(epochs: Sequence[LayerMeasures], layer: str, measure: str, *, positive: bool) -> Points:
    """(epoch, value), NaN for a value that cannot be shown; empty if that is every value."""
    points: Points = []
    for number, layers in enumerate(epochs):
        value = layers.get(layer, {}).get(measure)
        shows = value is not None and math.isfinite(value) and (value > 0 or not positive)
        points.append((number, float(value) if shows and value is not None else math.nan))
    return points if any(math.isfinite(y) for _, y in points) else []
