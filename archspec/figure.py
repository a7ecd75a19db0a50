"""Figures of networks: what is drawn, without how."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Final

from archspec import arguments
from archspec.cost.compare import Comparison
from archspec.cost.difference import Difference
from archspec.cost.report import Report, check_rows, report
from archspec.cost.roofline import Roofline
from archspec.cost.size import at_if_open, refuse_open
from archspec.display import renderer
from archspec.errors import UsageError
from archspec.imports.loading import as_network, as_networks
from archspec.imports.model import Network

STYLES: Final = ("graph", "maps", "table")
"""Styles of figures: nested blocks; feature maps to scale; a table of stages."""

MEASURES: Final = ("params", "macs", "other_ops", "memory", "field")
"""Columns of the table that a figure can show."""

THEMES: Final = ("auto", "light", "dark")
"""Grounds of a picture: as its viewer prefers, light where a format cannot know it; light; dark."""

MANY: Final = 5
"""Number of networks from which a figure's name no longer lists them."""


class AnyFigure(ABC):
    """A figure of any kind. A notebook shows it; `save` writes it to a file."""

    RENDERER = "figure.writing"

    style: str
    depth: int | None

    @property
    @abstractmethod
    def name(self) -> str:
        """Names of the networks that it shows."""

    def save(self, path: str | PathLike[str], *, theme: str = "auto", scale: float = 2.0) -> Path:
        """Write the figure to a file in the format of its suffix.

        Args:
            path: A file: `.svg`, `.pdf`, `.png`, `.html` (a page that zooms), `.tex` (TikZ, which
                compiles by itself and as part of a document) or `.json` (every mark with its
                place). The style `"table"` also has `.md`, `.csv` and `.txt`, and its `.tex` is a
                `tabular`.
            theme: `"light"`, `"dark"`, or `"auto"`: as the viewer prefers in SVG and HTML, light
                in other formats.
            scale: Pixels of a PNG to a point of the figure, whose letters are 11 points high.

        Returns:
            The path.

        Raises:
            UsageError: There is no such format, the file cannot be written, or the PNG would have
                more than 67 million pixels.

        Example:
            >>> archspec.draw("lenet5").save("lenet5.png", theme="dark").stat().st_size > 10_000
            True
        """
        target = Path(arguments.place("path", path))
        arguments.one_of("theme", theme, THEMES)
        arguments.finite("scale", scale)
        return Path(renderer(self.RENDERER).write(self, target, theme=theme, scale=scale))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: its settings, and every mark with its place in points."""
        return dict(renderer(self.RENDERER).as_data(self))

    def _repr_html_(self) -> str:
        return str(renderer("notebook").html(self))

    def _repr_svg_(self) -> str:
        # Not Markdown as well: Jupyter would prefer it, and removes pictures from it.
        return str(renderer(self.RENDERER).as_svg(self))

    def __str__(self) -> str:
        """Return the figure as text; of one that text cannot show, a line that names it."""
        return str(renderer(self.RENDERER).text(self))

    def __repr__(self) -> str:
        """Return one line, as a figure may be in a list."""
        return f"<Figure of {self.name}: {self.style}>"


@dataclass(frozen=True, repr=False)
class Figure(AnyFigure):
    """A figure of networks. A notebook shows it; `save` writes it to a file."""

    reports: tuple[Report, ...]
    """Networks that it shows, with their costs."""
    style: str = "graph"
    depth: int | None = None
    """Levels of the path that have boxes, as in the table; all if None."""
    ops: bool = False
    """Whether layers such as `conv` are opened into their primitive ops."""
    repeats: bool = False
    """Whether every repeat of a block is drawn; else the first, with how often there is one."""
    show: tuple[str, ...] = ()
    """Figures that every box shows, of `MEASURES`."""
    bar: str | None = None
    """The figure that every box shows as a bar."""
    color: str = "kind"
    """The property that colours a box: `kind`, or a figure."""

    @property
    def report(self) -> Report:
        """The first network."""
        return self.reports[0]

    @property
    def name(self) -> str:
        """Names of the networks; of many, the first and the last."""
        return _listed([report.name for report in self.reports])


@dataclass(frozen=True, repr=False)
class ComparisonFigure(AnyFigure):
    """Parameters of networks against their MACs; the area of a circle is the memory."""

    comparison: Comparison
    style: str = field(default="plot", init=False)
    depth: None = field(default=None, init=False)

    @property
    def name(self) -> str:
        """Names of the networks; of many, the first and the last."""
        return _listed(self.comparison.names)


@dataclass(frozen=True, repr=False)
class DifferenceFigure(AnyFigure):
    """Two networks beside each other, with what differs marked."""

    difference: Difference
    style: str = field(default="difference", init=False)
    depth: int | None = field(init=False)
    """Deepest level of paths that has boxes; all if None."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", self.difference.depth)

    @property
    def name(self) -> str:
        """Names of both networks."""
        return f"{self.difference.before.name} and {self.difference.after.name}"


@dataclass(frozen=True, repr=False)
class RooflineFigure(AnyFigure):
    """The rows of a network under the roof of a device: operations a second against intensity."""

    roofline: Roofline
    measured: Mapping[str, float] = field(default_factory=dict)
    """Seconds that rows took, by path, where they were measured."""
    style: str = field(default="roofline", init=False)
    depth: None = field(default=None, init=False)

    @property
    def name(self) -> str:
        """Name of the network and of the device."""
        return f"{self.roofline.name} on {self.roofline.device.name}"


def draw(
    *specs: Network | str | PathLike[str] | Comparison | Difference | Roofline,
    style: str = "graph",
    depth: int | None = None,
    ops: bool = False,
    repeats: bool = False,
    show: Iterable[str] | str = (),
    bar: str | None = None,
    color: str = "kind",
    batch: int | None = None,
    dtype: str | None = None,
    optimizer: str | Mapping[str, Any] | None = None,
    inference: bool = False,
    at: str | int | Sequence[int] | None = None,
) -> AnyFigure:
    """Return a figure of a network, of several, or of a comparison.

    Args:
        specs: A spec, a model file's model, or a path or a name as `load` takes them. The style
            `"graph"` draws several beside each other; `"table"` has a column for each, and a family
            means all its variants.
            Without other arguments: a difference, as `diff` returns it, is both networks beside
            each other, what differs marked; a comparison, as `compare` returns it, is a plot of
            parameters against MACs; a roofline, as `roofline` returns it, has its rows under the
            roof of the device.
        style: `"graph"` for nested blocks, `"maps"` for feature maps as boxes to scale, `"table"`
            for the table of stages as papers print it.
        depth: Levels of the path that have boxes, as in the table. Default: all; in the style
            `"maps"` the steps in groups, and blocks as one map each.
        ops: Whether layers such as `conv` are opened into their primitive ops.
        repeats: Whether every repeat of a block is drawn, rather than the first with its number.
        show: Figures that every box shows: `"params"`, `"macs"`, `"other_ops"`, `"memory"`,
            `"field"`.
        bar: One of them that every box shows as a bar.
        color: What colours the boxes: `"kind"`, or one of those figures.
        batch: As for `report`; so are `dtype`, `optimizer` and `inference`.
        dtype: See `batch`.
        optimizer: See `batch`.
        inference: See `batch`.
        at: As in `report`, for the networks whose input is open.

    Returns:
        A figure: a notebook shows it, and `save` writes it as .svg, .pdf, .png, .html or .tex.

    Raises:
        SpecError: The spec has mistakes.
        UsageError: An argument is wrong, or there are more than 5,000 boxes.

    Example:
        >>> archspec.draw("lenet5", depth=1)
        <Figure of lenet5: graph>
        >>> archspec.draw(archspec.diff("vgg16", "vgg19"))
        <Figure of vgg16 and vgg19: difference>
    """
    shown = tuple(dict.fromkeys(arguments.names("show", show))) if show else ()
    _check(style, depth, ops=ops, repeats=repeats, show=shown, bar=bar, color=color)
    if len(specs) == 1 and isinstance(specs[0], Comparison | Difference | Roofline):
        options = (style, depth, ops, repeats, shown, bar, color)
        if (*options, batch, dtype, optimizer, inference, at) != _DEFAULTS:
            kind = type(specs[0]).__name__.lower()
            raise UsageError(f"a {kind} is drawn as it is, without other arguments")
        if isinstance(specs[0], Difference):
            return DifferenceFigure(specs[0])
        if isinstance(specs[0], Roofline):
            return RooflineFigure(specs[0])
        return ComparisonFigure(specs[0])
    reports = tuple(
        report(spec, batch=batch, dtype=dtype, optimizer=optimizer, at=at_if_open(spec, at))
        for spec in _networks(specs, style, inference=inference)
    )
    if style == "maps" or bar or color != "kind":
        for costs in reports:
            refuse_open(costs.graph, "a figure to scale")
    return Figure(reports, style, depth, ops, repeats, shown, bar, color)


_DEFAULTS: Final = tuple((draw.__kwdefaults__ or {}).values())
"""Defaults of the options of `draw`."""


def _check(
    style: str,
    depth: int | None,
    *,
    ops: bool,
    repeats: bool,
    show: Sequence[str],
    bar: str | None,
    color: str,
) -> None:
    """Raise `UsageError` if a setting of a figure is wrong, or does not go with its style."""
    arguments.one_of("style", style, STYLES)
    check_rows(depth, ops=ops)
    arguments.flag("repeats", repeats)
    for name in show:
        arguments.one_of("show", name, MEASURES)
    if bar is not None:
        arguments.one_of("bar", bar, MEASURES)
    arguments.one_of("color", color, ("kind", *MEASURES))
    if style != "table":
        return
    others = {"depth": depth, "ops": ops, "repeats": repeats, "show": ",".join(show), "bar": bar}
    for name, value in {**others, "color": color if color != "kind" else None}.items():
        if value:
            raise UsageError(f"`{name}={value!r}` does not go with the style table")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) < MANY else f"{names[0]} to {names[-1]}"


def _networks(
    specs: Sequence[Network | str | PathLike[str] | Comparison | Difference | Roofline],
    style: str,
    *,
    inference: bool,
) -> Iterator[Network]:
    if not specs:
        raise UsageError("there is nothing to draw; give a spec, a path or a name")
    drawn_alone = Comparison | Difference | Roofline
    networks = [each for each in specs if not isinstance(each, drawn_alone)]
    if len(networks) < len(specs):
        raise UsageError("a comparison, a difference or a roofline is drawn alone, not with others")
    if style == "table":
        yield from as_networks(networks, inference=inference)
    elif style == "graph" or len(specs) == 1:
        yield from (as_network(each, inference=inference) for each in networks)
    else:
        raise UsageError(f"the style {style} draws one network, not {len(specs)}")
