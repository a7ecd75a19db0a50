"""The result of a method of `archspec.explain`: pictures, curves and tables, with their numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from archspec.display import renderer
from archspec.runs.storage import plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

PictureLook: TypeAlias = Literal["pixels", "positive", "signed", "mask", "classes"]
"""Way in which values are shown.

`pixels`: an image, from black to white. `positive`: dark is 0, bright is large. `signed`: red is
above 0, blue below, white 0. `mask`: values of 0 are darkened. `classes`: numbers of classes, each
with a color.
"""

FactValue: TypeAlias = "str | int | float | bool | Sequence[FactValue] | None"
"""Value of a fact that is shown beside a picture."""


@dataclass(frozen=True, eq=False)
class Picture:
    """Values at the pixels of an image, and how they are shown."""

    name: str
    """Stem of its files, unique in its exhibit, of letters, digits and `-`: `saliency`."""
    title: str
    """Title above the picture."""
    values: NDArray[Any]
    """(height, width) or (height, width, channels), with an axis in front where there are `tiles`;
    likewise (length,) for signals and (depth, height, width) for volumes. The middle slice of a
    volume is drawn, and the mean of channels unless there are 1 or 3."""
    look: PictureLook
    facts: Mapping[str, FactValue] = field(default_factory=dict)
    """Facts below the picture, such as the class, its score, the seed."""
    limits: tuple[float, float] | None = None
    """Values that are shown as black and white, or as the strongest color. By default the least and
    largest of `pixels`, and 0 and the 99th percentile of |values| of others."""
    over: NDArray[Any] | None = None
    """(height, width, channels) pixels from 0 to 1 that a map is laid over, or those of a signal or
    volume."""
    tiles: Sequence[str] | None = None
    """Text below each of several pictures, which are drawn as a grid."""
    columns: int | None = None
    """Tiles in a row; by default as many as make the grid a little wider than high."""
    names: Sequence[str] = ()
    """Names of the numbers of `classes`."""
    own_scale: Literal["tile", "row"] | None = None
    """Whether each tile, or each row of tiles, has its own limits; None if all share them."""

    @property
    def is_zero(self) -> bool:
        """Whether the picture is a map that is 0 everywhere."""
        return self.look not in ("pixels", "classes") and not self.values.any()


@dataclass(frozen=True, eq=False)
class Chart:
    """Curves in one picture."""

    name: str
    title: str
    x_label: str
    y_label: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    """Points (x, y) of each line, by its name."""
    facts: Mapping[str, FactValue] = field(default_factory=dict)
    log_x: bool = False
    log_y: bool = False
    y_limits: tuple[float, float] | None = None
    scattered: bool = False
    """Whether the points of a line are separate dots."""


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of numbers, which are saved as a CSV file."""

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[FactValue]]

    @classmethod
    def of_rows(cls, name: str, title: str, rows: Sequence[Mapping[str, FactValue]]) -> Table:
        """Return a table of rows whose keys are the columns."""
        return cls(name, title, list(rows[0]), [list(row.values()) for row in rows])


@dataclass(frozen=True, eq=False)
class Page:
    """A separate interactive HTML page."""

    name: str
    title: str
    html: str


@dataclass(frozen=True, eq=False)
class PictureFile:
    """A picture file in its own size, for a network to read."""

    name: str
    title: str
    png: bytes
    facts: Mapping[str, FactValue] = field(default_factory=dict)


Item: TypeAlias = Picture | Chart | Table | Page | PictureFile


@dataclass(frozen=True, eq=False)
class Exhibit:
    """Pictures, charts and tables that belong together, usually those of one image or layer."""

    name: str
    """Name as the user writes it: an image, a layer, a class."""
    summary: str
    """One line for the terminal, without the name: `saliency of 3 (score 8.1, 98.2%)`."""
    items: Sequence[Item] = ()
    facts: Mapping[str, FactValue] = field(default_factory=dict)
    """Facts that hold for all items."""
    seconds: float | None = None


@dataclass(frozen=True, eq=False)
class Gallery(Sequence[Exhibit]):
    """The result of a method, to look at, to save, or to read as numbers."""

    method: str
    network: str
    settings: Mapping[str, FactValue]
    """Arguments of the method, defaults included, which reproduce the result."""
    exhibits: tuple[Exhibit, ...]
    notes: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    """Images that cannot be read, and why."""
    interrupted: bool = False
    """Whether Ctrl-C ended it early: the exhibits are those that were done."""
    seconds: float = 0.0
    given: Mapping[str, FactValue] = field(default_factory=dict)
    """Images and data as they were named, their preparation, the batch, the backend and the
    version of archspec."""

    def __len__(self) -> int:
        return len(self.exhibits)

    def __getitem__(self, index: Any) -> Any:
        return self.exhibits[index]

    @property
    def lines(self) -> tuple[str, ...]:
        """One line for each exhibit."""
        return tuple(f"{each.name}  {each.summary}" for each in self.exhibits)

    def __str__(self) -> str:
        return "\n".join([*self.lines, *(f"note: {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        return str(renderer("gallery.page").fragment(self))

    def save(self, folder: str | PathLike[str]) -> Path:
        """Write `index.html`, `explain.json`, and each picture as .png and .npy, into a folder.

        The folder is created; one that an earlier `save` wrote is replaced.

        Raises:
            UsageError: the folder holds something else, or cannot be written.

        """
        saved: Path = renderer("gallery.saving").save(self, Path(folder))
        return saved

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: everything but the values of pictures, which `save` writes as .npy."""
        return {
            "method": self.method,
            "network": self.network,
            "settings": plain(self.settings),
            "given": plain(self.given),
            "exhibits": [_exhibit(each) for each in self.exhibits],
            "notes": list(self.notes),
            "unread": list(self.unread),
            "interrupted": self.interrupted,
            "seconds": round(self.seconds, 3),
        }


def _exhibit(exhibit: Exhibit) -> dict[str, Any]:
    return {
        "name": exhibit.name,
        "summary": exhibit.summary,
        "facts": plain(exhibit.facts),
        "seconds": None if exhibit.seconds is None else round(exhibit.seconds, 3),
        "items": [_item(each) for each in exhibit.items],
    }


def _item(item: Item) -> dict[str, Any]:
    record: dict[str, Any] = {
        "kind": type(item).__name__.lower(),
        "name": item.name,
        "title": item.title,
    }
    match item:
        case Picture():
            record |= {
                "shape": list(item.values.shape),
                "look": item.look,
                "facts": plain(item.facts),
            }
        case Chart():
            lines = {name: plain(points) for name, points in item.lines.items()}
            record |= {
                "x": item.x_label,
                "y": item.y_label,
                "scattered": item.scattered,
                "lines": lines,
                "facts": plain(item.facts),
            }
        case PictureFile():
            record |= {"facts": plain(item.facts)}
        case Table():
            record |= {"columns": list(item.columns), "rows": plain(item.rows)}
    return record
