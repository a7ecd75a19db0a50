"""The look of all pictures of a run: colours, fonts, axes, labels, and how files are written.

matplotlib is used through `Figure` alone, so a user's pyplot, backend and style neither change nor
matter.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from archspec import atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

INK: Final = "#222222"
QUIET: Final = "#6b6b6b"
RULE: Final = "#e3e3e3"
STRONG: Final = "#0b4a80"
"""Dark blue."""
LIGHT: Final = "#d9661f"
"""Orange, lighter than `STRONG`, so that they differ to the colour-blind and in grey print."""

SEVERAL: Final = (
    STRONG, LIGHT, "#2b8a5a", "#8a4ba8", "#b59410", "#35a0c4", "#c23b63", "#6b6b6b",
)  # fmt: skip
"""Colours of lines without an order, of different lightness for the colour-blind."""

FONT: Final = "DejaVu Sans"
"""A font that comes with matplotlib, so that a picture is the same everywhere."""

STYLE: Final[dict[str, Any]] = {
    "axes.axisbelow": True,
    "axes.edgecolor": QUIET,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "image.composite_image": False,  # each image of an SVG keeps its own pixels
    "lines.solid_capstyle": "round",
    "lines.solid_joinstyle": "round",
    "savefig.dpi": 150,
    "svg.fonttype": "none",  # text stays text: to be searched, and drawn in the reader's fonts
    "svg.hashsalt": "archspec",
    "text.color": INK,
    "text.parse_math": False,  # a class may be called $
    "xtick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.color": QUIET,
    "ytick.labelcolor": INK,
}

METADATA: Final[dict[str, dict[str, str | None]]] = {
    "svg": {"Creator": "archspec", "Date": None},
    "png": {"Software": "archspec"},
}
"""Metadata of a file, by its format, without dates: the same picture is the same bytes."""

SHORT_LOG: Final = 15
"""Ratio of a logarithmic axis's ends below which powers of ten would be only one or two."""

LABEL_INCHES: Final = 0.17
"""Height of a line of text, which labels keep from each other."""

MOST_POINTS: Final = 1_000
"""Most points of a line: as many as a picture has dots across, which bounds its file."""

MARKED: Final = 30
"""Most points of a line that has a dot on each."""

VAST: Final = 1e100
"""Value from which a picture takes a number for infinite: beyond single precision."""

WIDTH: Final = 7.8
LEFT: Final = 0.95
RIGHT: Final = 1.65
TOP: Final = 0.62
GAP: Final = 0.22
BOTTOM: Final = 0.5
PANEL: Final = 2.3
LOW_PANEL: Final = 0.9
"""Inches of a picture of panels: `LEFT` has room for numbers, `RIGHT` for names of lines."""

DENSE: Final = 500
"""Most points of a line of full width: one of more would look like a band."""

Points: TypeAlias = list[tuple[float, float]]


@contextmanager
def picture(
    width: float, height: float, paths: Iterable[Path], texts: Iterable[str] = ()
) -> Iterator[Figure]:
    """Yield a figure to draw on, and write it to each path in the format of its suffix.

    Args:
        width: In inches.
        height: In inches.
        paths: The files, .svg or .png.
        texts: What will stand in the picture in any script.

    """
    matplotlib = load()
    from matplotlib.figure import Figure  # noqa: PLC0415

    with matplotlib.rc_context(), warnings.catch_warnings():
        # What no font can show stands as a box in the PNG, and is still text in the SVG.
        warnings.filterwarnings("ignore", message="(?s).*Glyph .* missing from font")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        matplotlib.rcParams["font.family"] = [FONT, *fonts_for("".join(texts))]
        figure = Figure(figsize=(width, height))
        yield figure
        for path in paths:
            kind = path.suffix.removeprefix(".")
            with atomic.whole(path) as partial:
                figure.savefig(partial, format=kind, metadata=METADATA[kind])


@contextmanager
def panels(
    heights: Sequence[float],
    paths: Iterable[Path],
    title: str,
    *,
    below: str = "",
    right: float = RIGHT,
    texts: Iterable[str] = (),
) -> Iterator[list[Axes]]:
    """Yield axes of these heights in inches, one below the other, which share a horizontal axis.

    `right` is the room for what is named beside them; the other arguments are those of `picture`
    and `head`.
    """
    width = WIDTH + (right - RIGHT)
    height = TOP + BOTTOM + sum(inches + GAP for inches in heights) - GAP
    with picture(width, height, paths, [title, *texts]) as figure:
        head(figure, title, LEFT, below)
        stack: list[Axes] = []
        upper = height - TOP
        for inches in heights:
            place = (LEFT / width, (upper - inches) / height)
            extent = (1 - (LEFT + right) / width, inches / height)
            axes = figure.add_axes((*place, *extent), sharex=stack[0] if stack else None)
            axes.yaxis.set_label_coords((0.3 - LEFT) / (width - LEFT - right), 0.5)
            stack.append(axes)
            upper -= inches + GAP
        yield stack


def load() -> Any:
    """Return matplotlib, even if a notebook's MPLBACKEND names a module that is not installed."""
    try:
        import matplotlib  # noqa: ICN001, PLC0415
    except ValueError:
        named = os.environ.pop("MPLBACKEND", None)
        if named is None:
            raise
        try:
            import matplotlib  # noqa: ICN001, PLC0415
        finally:
            os.environ["MPLBACKEND"] = named
    return matplotlib


def fonts_for(text: str) -> list[str]:
    """Return installed fonts with the characters that `FONT` lacks: none for most texts."""
    if text.isascii():
        return []
    from matplotlib import font_manager  # noqa: PLC0415
    from matplotlib.ft2font import FT2Font  # noqa: PLC0415

    manager = font_manager.fontManager
    own = FT2Font(manager.findfont(FONT)).get_charmap()
    missing = {ord(character) for character in text} - own.keys()
    fonts: list[str] = []
    for entry in sorted(manager.ttflist, key=lambda each: (each.name, str(each.fname))):
        if not missing:
            break
        # "Last Resort" has a box for everything.
        upright = entry.style == "normal" and entry.weight in (400, "normal", "regular")
        if not upright or entry.name.startswith("Last Resort"):
            continue
        try:
            letters = missing & FT2Font(entry.fname).get_charmap().keys()
        except (OSError, RuntimeError):  # removed since the list was made, or broken
            continue
        if letters:
            fonts.append(entry.name)
            missing -= letters
    return fonts


def head(figure: Figure, title: str, left: float, below: str = "") -> None:
    """Write the title at the top of a figure, and a line below it, `left` inches from the edge."""
    width, height = figure.get_size_inches()
    for text, down, style in (
        (title, 0.12, {"fontsize": 11, "weight": "bold"}),
        (below, 0.36, {"color": QUIET}),
    ):
        figure.text(left / width, 1 - down / height, text, ha="left", va="top", fontdict=style)


def end_labels(axes: Axes, labels: list[tuple[float, str, str]], inches: float) -> None:
    """Name lines at their ends, right of the axes. Labels that would overlap move apart.

    Args:
        axes: The axes.
        labels: (height in data, text, colour) of each line.
        inches: The height of the axes.

    """
    axes.get_ylim()  # makes matplotlib choose the limits, which `transData` needs
    to_axes = axes.transData + axes.transAxes.inverted()
    placed = sorted(
        (_inside(to_axes.transform((1, height))[1]), text, colour)
        for height, text, colour in labels
    )
    heights = spread([height for height, *_ in placed], LABEL_INCHES / inches)
    for height, (_, text, colour) in zip(heights, placed, strict=True):
        axes.text(1.015, height, text, color=colour, va="center", transform=axes.transAxes)


def _inside(share: float) -> float:
    """Return a height from 0 to 1; 0 for values that a logarithmic axis cannot show."""
    return float(min(max(share, 0.0), 1.0)) if math.isfinite(share) else 0.0


def spread(places: list[float], gap: float) -> list[float]:
    """Return rising places from 0 to 1, at least `gap` apart, each group around its middle."""
    groups: list[list[float]] = []  # places of each group of labels that touch
    for place in places:
        groups.append([place])
        while len(groups) > 1 and _low(groups[-1], gap) < _high(groups[-2], gap) + gap:
            last = groups.pop()
            groups[-1] += last
    return [_low(group, gap) + gap * n for group in groups for n in range(len(group))]


def _low(group: list[float], gap: float) -> float:
    height = gap * (len(group) - 1)
    return max(min(sum(group) / len(group) - height / 2, 1 - height), 0.0)


def _high(group: list[float], gap: float) -> float:
    return _low(group, gap) + gap * (len(group) - 1)


Dashes: TypeAlias = str | tuple[int, tuple[int, int]]
"""Dashes of a line, in matplotlib's form."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line: the name at its end, if it has one, and its look."""

    name: str
    colour: str
    width: float
    style: Dashes = "-"
    steps: bool = False
    """Whether values jump from one to the next."""


def draw_lines(
    axes: Axes,
    lines: Iterable[tuple[Line, Points]],
    text: str,
    inches: float,
    others: Iterable[tuple[float, str, str]] = (),
) -> None:
    """Draw lines, each with its name, if it has one, and its last value at its end.

    Args:
        axes: The axes.
        lines: The lines with their points.
        text: Format of the last values.
        inches: The height of the axes.
        others: What else is named there, as `end_labels` takes it.

    """
    ends = list(others)
    for line, points in lines:
        draw_line(axes, points, line)
        if line.name and (finite := [y for _, y in points if math.isfinite(y)]):
            ends.append((finite[-1], f"{line.name} {text.format(finite[-1])}", line.colour))
    end_labels(axes, ends, inches)


def draw_line(axes: Axes, points: Points, line: Line) -> None:
    thin = thinned(points)
    x, y = [x for x, _ in thin], [y for _, y in thin]
    axes.plot(
        x,
        y,
        color=line.colour,
        linewidth=line.width if line.steps or len(points) <= DENSE else line.width / 2,
        linestyle=line.style,
        drawstyle="steps-mid" if line.steps else "default",
    )
    here = [math.isfinite(value) for value in y]
    # A point between two gaps is not a line, and would not be seen.
    alone = [
        on and not before and not after
        for before, on, after in zip([False, *here], here, [*here[1:], False], strict=False)
    ]
    dots = here if len(points) <= MARKED and not line.steps else alone
    marked = [place for place, dot in enumerate(dots) if dot]
    if marked:
        axes.plot(
            [x[place] for place in marked],
            [y[place] for place in marked],
            linestyle="none",
            marker="o",
            markersize=2 + line.width,
            color=line.colour,
        )


def thinned(points: Points) -> Points:
    """Return at most `MOST_POINTS` points: the first, the last, the extremes of stretches."""
    if len(points) <= MOST_POINTS:
        return points
    stretches = MOST_POINTS // 2 - 1
    inner = len(points) - 2
    kept = {0, len(points) - 1}
    for stretch in range(stretches):
        places = range(1 + inner * stretch // stretches, 1 + inner * (stretch + 1) // stretches)
        finite = [place for place in places if math.isfinite(points[place][1])]
        if finite:
            kept.add(min(finite, key=lambda place: points[place][1]))
            kept.add(max(finite, key=lambda place: points[place][1]))
        else:
            kept.add(places[0])  # the gap stays one
    return [points[place] for place in sorted(kept)]


def upright(axes: Axes, x: float, text: str = "") -> None:
    """Draw a dashed line at `x`, and name it above the axes."""
    axes.axvline(x, color=QUIET, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    if text:
        to_axes = axes.transData + axes.transAxes.inverted()
        across = _inside(to_axes.transform((x, axes.get_ylim()[1]))[0])
        side = "left" if across < 1 / 3 else "right" if across > 2 / 3 else "center"
        axes.text(across, 1.03, text, ha=side, va="bottom", transform=axes.transAxes)


def log_ticks(axis: Axis, low: float, high: float) -> None:
    """Write plain numbers on a logarithmic axis, and more of them within a single decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter  # noqa: PLC0415

    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < SHORT_LOG * low else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def epoch_axis(stack: Sequence[Axes], first: int, last: int) -> None:
    """Write whole epochs below the lowest of axes that share them."""
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415

    room = 0.02 * (last - first) or 0.5
    stack[0].set_xlim(first - room, last + room)
    stack[0].xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    stack[0].xaxis.set_major_formatter("{x:,.0f}")
    for axes in stack[:-1]:
        axes.tick_params(labelbottom=False)
    stack[-1].set_xlabel("epoch")


def sequence(count: int) -> list[str]:
    """Return colours from dark to light for lines that have an order, none of them too pale."""
    from matplotlib import colormaps  # noqa: PLC0415
    from matplotlib.colors import to_hex  # noqa: PLC0415

    shades = colormaps["viridis"]
    return [to_hex(shades(0.9 * number / max(count - 1, 1))) for number in range(count)]


def say(axes: Axes, text: str) -> None:
    """Write a sentence where there is nothing to draw."""
    axes.set_yticks([])
    axes.text(0.5, 0.5, text, ha="center", va="center", color=QUIET, transform=axes.transAxes)
