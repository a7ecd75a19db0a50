"""What a method of `archspec.explain` gives: pictures, curves and tables, with their numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from archspec.display import renderer

if TYPE_CHECKING:
    from numpy.typing import NDArray

PictureLook: TypeAlias = Literal["pixels", "positive", "signed", "mask", "classes"]
"""How values are shown.

`pixels`: as an image, from black to white. `positive`: dark is 0, bright is much. `signed`: red is
above 0, blue below, white 0. `mask`: what is 0 is darkened. `classes`: numbers of classes, whose
names the picture has; each has a colour.
"""

Fact: TypeAlias = "str | int | float | bool | Sequence[Fact] | None"
"""A fact beside a picture."""


@dataclass(frozen=True, eq=False)
class Picture:
    """Values with a place in an image, and how they are shown."""

    name: str
    """Stem of its files, of letters, digits and `-`: `saliency`. Unique in its exhibit."""
    title: str
    """What stands above it."""
    values: NDArray[Any]
    """(height, width) or (height, width, channels); one more axis in front where there are `tiles`.
    Of signals (length,), and of volumes (depth, height, width), likewise. Of a volume the middle
    slice is drawn, and of channels that are neither 1 nor 3 the mean."""
    look: PictureLook
    facts: Mapping[str, Fact] = field(default_factory=dict)
    """What is said below it, as the class, its score, the seed."""
    limits: tuple[float, float] | None = None
    """Values that are shown as black and white, or as the strongest colour. Without them those of
    `pixels` are the least and the largest, and of others 0 and the 99th percentile of |values|."""
    over: NDArray[Any] | None = None
    """(height, width, channels) pixels from 0 to 1 that a map is laid over; of signals and volumes
    likewise."""
    tiles: Sequence[str] | None = None
    """What stands below each of several pictures, which are drawn as a grid; empty for nothing."""
    columns: int | None = None
    """Tiles in a row; as many as make the grid a little wider than high, where it is not given."""
    names: Sequence[str] = ()
    """What the numbers of `classes` are called."""
    own_scale: Literal["tile", "row"] | None = None
    """What has limits of its own: each tile, or each row of tiles; None where all have the same."""

    @property
    def is_zero(self) -> bool:
        """Whether there is nothing to see: a map that is 0 everywhere."""
        return self.look not in ("pixels", "classes") and not self.values.any()


@dataclass(frozen=True, eq=False)
class Chart:
    """Curves in one picture."""

    name: str
    title: str
    x_label: str
    y_label: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    """What each line is called, and its points (x, y)."""
    facts: Mapping[str, Fact] = field(default_factory=dict)
    log_x: bool = False
    log_y: bool = False
    y_limits: tuple[float, float] | None = None
    scattered: bool = False
    """Whether the points of a line are dots on a plane, which are not joined."""


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of numbers, which become a CSV file."""

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Fact]]


@dataclass(frozen=True, eq=False)
class Page:
    """An HTML page of its own, for what can be played with."""

    name: str
    title: str
    html: str


@dataclass(frozen=True, eq=False)
class PictureFile:
    """A picture file as it is, not enlarged, for a network to read."""

    name: str
    title: str
    png: bytes
    facts: Mapping[str, Fact] = field(default_factory=dict)


Item: TypeAlias = Picture | Chart | Table | Page | PictureFile


@dataclass(frozen=True, eq=False)
class Exhibit:
    """What belongs together: usually what is shown of one image, or of one layer."""

    name: str
    """What the user calls it: an image, a layer, a class."""
    summary: str
    """One line for the terminal, without the name: `saliency of 3 (score 8.1, 98.2%)`."""
    items: Sequence[Item] = ()
    facts: Mapping[str, Fact] = field(default_factory=dict)
    """What is said of all of its items."""
    seconds: float | None = None


@dataclass(frozen=True, eq=False)
class Gallery(Sequence[Exhibit]):
    """What a method found, to be looked at, saved, or read as numbers."""

    method: str
    network: str
    settings: Mapping[str, Fact]
    """What the method was told, defaults included: with it and the seed the result comes again."""
    exhibits: tuple[Exhibit, ...]
    notes: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    """Images that cannot be read, and why."""
    interrupted: bool = False
    """Whether Ctrl-C ended it early: the exhibits are those that were done."""
    seconds: float = 0.0
    given: Mapping[str, Fact] = field(default_factory=dict)
    """What it was of, and how it ran: the images and the data as they were named, how they were
    prepared, the batch, the backend and the version of archspec."""

    def __len__(self) -> int:
        return len(self.exhibits)

    def __getitem__(self, index: Any) -> Any:
        return self.exhibits[index]

    @property
    def lines(self) -> tuple[str, ...]:
        """A line for each exhibit."""
        return tuple(f"{each.name}  {each.summary}" for each in self.exhibits)

    def __str__(self) -> str:
        return "\n".join([*self.lines, *(f"note: {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        return str(renderer("gallery.page").fragment(self))

    def save(self, folder: str | PathLike[str]) -> Path:
        """Write `index.html`, `explain.json`, and each picture as .png and .npy, into a folder.

        The folder is made; one that an earlier `save` wrote is replaced.

        Raises:
            UsageError: the folder holds something else, or cannot be written.

        """
        saved: Path = renderer("gallery.saving").save(self, Path(folder))
        return saved

    def to_dict(self) -> dict[str, Any]:
        """Plain data: everything but the values of pictures, which `save` writes as .npy."""
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


def plain(value: Any) -> Any:
    """Data that JSON can hold: numbers of NumPy as Python's, what is not finite as None."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if hasattr(value, "item") and not hasattr(value, "__len__"):
        value = value.item()
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
