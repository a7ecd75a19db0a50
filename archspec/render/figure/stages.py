"""The table of a family as its paper prints it: stages by variants.

A row is a stage: a group of the spec, a block that has a name, or layers in series whose outputs
have one size; a pool has a row of its own. A cell has the stage's layers in one variant, equal
blocks as one bracket with their number. Listed are layers that have a kernel, pools, and few
others; what a paper leaves to its caption, such as the stride of a stage's first unit, is a note.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from archspec.cost.compare import distinct_names
from archspec.cost.report import Report, Row
from archspec.errors import UsageError
from archspec.graph.graph import SEPARATOR, Scope
from archspec.ops.extent import bracketed
from archspec.ops.shape import Shape
from archspec.render.amounts import thousands
from archspec.render.figure.layer_labels import TIMES, block_label, series_label
from archspec.render.figure.listing import Listing, Part, list_layers
from archspec.render.figure.outline import Box, opened

MOST_COLUMNS: Final = 100
"""Largest number of networks in a table."""

MOST_LINES: Final = 5_000
"""Largest number of lines in all cells."""

MOST_NAMES: Final = 8
"""Number of stages from which a note does not name all."""

TO: Final = " \u2013 "
"""Sign between the first and the last layer of a stage without a name."""

TOTALS: Final = {"weight_layers": "weight layers", "params": "parameters", "macs": "MACs"}
"""Figures in the table's last rows, and their titles."""

NETWORKS: Final = 2
"""Number of columns before those of the networks."""

COSTS: Final = {"params": "parameters", "macs": "MACs"}
"""Figures that stages show where there is one network, and their titles."""

LEFT_OUT: Final = {"normalization": "normalization", "activation": "activations"}
"""Families of layers that no cell lists, and what a note calls them."""

DROPS: Final = frozenset({"dropout", "spatial_dropout", "drop_path"})
"""Kinds of layers that a note calls dropout."""

Sort = tuple[object, ...]

ATTACHED: Final[Sort] = ("attached",)
"""The sort of layers such as a softmax, which belong to the stage before them."""

BODY: Final[Sort] = ("body",)
"""The sort of the layers and blocks of a group."""


class Cell(NamedTuple):
    """A stage of one network."""

    parts: tuple[Part, ...]
    row: Row
    """Its costs, with those of layers that are not listed."""
    shape: Shape
    """Output shape of its last layer that is listed."""
    weight_layers: int
    """Number of layers that have a kernel."""
    shortcuts: int
    """Number of them that are on shortcuts, and not listed."""
    size: str = ""
    """Size of its output, where the networks differ in it."""

    @property
    def lines(self) -> tuple[str, ...]:
        """Its text: a line for each layer, or for each bracket with its number."""
        return tuple(text for part in self.parts for text in part.texts)


class Stage(NamedTuple):
    """A row of the table: a stage in every network that has it."""

    path: str
    """Path of the group, the block or the first layer that it is."""
    name: str
    """Its name in the table; empty for a further row of a group."""
    size: str
    """Size of its output; empty where the networks differ in it."""
    cells: tuple[Cell | None, ...]
    """One for each network."""

    @property
    def spans(self) -> bool:
        """Whether one cell is enough, as several networks have the same layers."""
        first, *others = self.cells
        if first is None or not others or not self.size:
            return False
        return all(cell is not None and cell.parts == first.parts for cell in others)


class StageTable(NamedTuple):
    """Stages by networks."""

    names: tuple[str, ...]
    """Names of the networks."""
    inputs: tuple[Shape, ...]
    """Input shapes of the networks: of each the first."""
    input_texts: tuple[str, ...]
    """All inputs of each network, as text."""
    stages: tuple[Stage, ...]
    totals: Mapping[str, tuple[int, ...]]
    """Figures of every network, by name, for the last rows."""
    notes: tuple[str, ...]
    """Sentences on what is not listed."""

    @property
    def head(self) -> tuple[str, ...]:
        """Titles of the columns. A single network has what each of its stages costs beside it."""
        return ("stage", "output", *self.names, *(COSTS.values() if self.is_single else ()))

    @property
    def is_single(self) -> bool:
        """Whether there is one network."""
        return len(self.names) == 1

    def costs(self, stage: Stage) -> tuple[str, ...]:
        """Return the texts of a stage in the columns after the networks."""
        cell = stage.cells[0]
        if not self.is_single or cell is None:
            return ()
        return tuple(thousands(getattr(cell.row, name)) for name in COSTS)

    @property
    def ends(self) -> tuple[tuple[str, ...], ...]:
        """The texts of the last rows, in all columns."""
        if not self.is_single:
            rows = self.totals.items()
            return tuple((TOTALS[name], "", *map(thousands, values)) for name, values in rows)
        values = {name: thousands(value) for name, (value,) in self.totals.items()}
        layers = f"{values['weight_layers']} {TOTALS['weight_layers']}"
        return (("total", "", layers, *(values[name] for name in COSTS)),)

    @property
    def title(self) -> str:
        """The networks' inputs."""
        texts = list(dict.fromkeys(self.input_texts))
        return f"input {texts[0]}" if len(texts) == 1 else f"inputs {', '.join(texts)}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "networks": list(self.names),
            "inputs": [list(shape) for shape in self.inputs],
            "stages": [
                {
                    "path": stage.path,
                    "name": stage.name,
                    "output": stage.size or None,
                    "cells": [cell and _plain(cell) for cell in stage.cells],
                }
                for stage in self.stages
            ],
            "totals": {name: list(values) for name, values in self.totals.items()},
            "notes": list(self.notes),
        }


def _times(extents: Iterable[int]) -> str:
    """Return extents with the sign of multiplication; a formula of several terms in brackets."""
    return TIMES.join(n if n.isalnum() else bracketed(n) for n in map(str, extents))


def _plain(cell: Cell) -> dict[str, Any]:
    return {
        "parts": [{"lines": list(part.lines), "times": part.times} for part in cell.parts],
        "shape": list(cell.shape),
        "weight_layers": cell.weight_layers,
        "params": cell.row.params,
        "macs": cell.row.macs,
    }


def stage_tables(reports: Sequence[Report]) -> tuple[StageTable, ...]:
    """Return the tables of networks: one for all whose stages are alike.

    They are if they are the same, or if half of the common ones have outputs of the same size. So a
    family with variants for ImageNet and others for CIFAR has two tables.

    Raises:
        UsageError: There are more than `MOST_COLUMNS` networks, or more than `MOST_LINES` lines.

    """
    if len(reports) > MOST_COLUMNS:
        message = f"{len(reports)} networks are too many for a table, which has {MOST_COLUMNS}"
        raise UsageError(message)
    groups: list[list[_Column]] = []
    for report, name in zip(reports, distinct_names(reports), strict=True):
        column = _Column(report, name)
        for group in groups:
            if group[0].is_like(column):
                group.append(column)
                break
        else:
            groups.append([column])
    return tuple(map(_table, groups))


def title(reports: Sequence[Report]) -> str:
    """Return the name of the family of networks, or their names if they have none in common."""
    names = [report.name for report in reports]
    families = {report.spec.document.name if report.spec else "" for report in reports}
    if len(names) > 1 and len(families) == 1:
        return families.pop() or ", ".join(names)
    return ", ".join(names)


@dataclass(eq=False)
class _Stage:
    """A stage of one network in the making."""

    path: str
    name: str
    sort: Sort
    items: list[Box]
    grouped: bool = False
    """Whether the stage is of a group of the spec, whose blocks stand in brackets."""


class _Column:
    """A network and its stages."""

    def __init__(self, report: Report, name: str) -> None:
        self.report = report
        self.name = name
        self.input = report.graph.input
        shapes = report.graph.input_shapes
        texts = [_times(shape) for shape in shapes.values()]
        if len(texts) > 1:
            texts = [f"{name} {text}" for name, text in zip(shapes, texts, strict=True)]
        self.input_text = ", ".join(texts)
        self._nodes = report.graph.nodes
        spec = report.spec
        self._named = set(_names_of_single_steps(spec.document.layers)) if spec else set()
        self.stages: list[_Stage] = []
        _, *boxes = opened(report, ops=True).boxes  # without the input
        for box in boxes:
            if box.is_group:
                self._add_group(box)
            else:
                self._add(self.stages, box, self._sort(box))

    def is_like(self, other: _Column) -> bool:
        """Whether both networks go into one table."""
        sizes, others = self._sizes(), other._sizes()
        common = sizes.keys() & others.keys()
        same = sum(sizes[path] == others[path] for path in common)
        return [*sizes] == [*others] or (2 * same >= len(common) and same > 0)

    def _sizes(self) -> dict[str, tuple[int, ...]]:
        """Return the size of the plane after each stage."""
        return {
            stage.path: self._nodes[stage.items[-1].stop - 1].shape.spatial for stage in self.stages
        }

    @property
    def in_series(self) -> bool:
        """Whether the network has no blocks, but layers and groups of them alone."""
        return all(scope.row or scope.kind == "layers" for scope in self.report.graph.scopes)

    def _add_group(self, group: Box) -> None:
        """Add the stages of a group: its pools, and all that is between two of them."""
        stages: list[_Stage] = []
        if self.stages and self.stages[-1].sort == ATTACHED:
            stages.append(self.stages.pop())  # nothing but layers such as a pad
        for box in group.boxes:
            sort = self._sort(box)
            self._add(stages, box, sort if sort == ATTACHED or sort[0] == "pool" else BODY)
        body = next((stage for stage in stages if stage.sort == BODY), None)
        for stage in stages:
            stage.grouped = group.path not in self.report.graph.outputs  # a head is not a repeat
            stage.name = "" if stage.sort == BODY else _last(stage.path)
        if body:
            body.path = group.path
        stages[0].name = group.name
        self.stages += stages

    def _sort(self, box: Box) -> Sort:
        """Return the sort of a box: those of one sort that follow each other are one stage."""
        size = box.nodes[-1].shape.spatial
        if isinstance(box.item, Scope) and box.is_block:
            alone = box.path in self._named
            return ("block", box.path) if alone else ("blocks", box.item.kind, size)
        for node in box.nodes:
            if node.op.family == "pooling" and node.shape.spatial:
                return ("pool", box.path)
            if node.layer.kernels or node.op.family == "pooling" or node.op.kind == "upsample":
                return ("layers", size)
        return ATTACHED

    def _add(self, stages: list[_Stage], box: Box, sort: Sort) -> None:
        """Add a box to the last stage, or as a stage of its own."""
        last = stages[-1] if stages else None
        if last is None or (last.sort != sort and ATTACHED not in (last.sort, sort)):
            stages.append(_Stage(box.path, box.name, sort, [box]))
            return
        if sort != ATTACHED and not self._has_kernels(last.items):
            last.path, last.name, last.sort = box.path, box.name, sort
        elif sort != ATTACHED:
            last.name = f"{_last(last.path)}{TO}{box.name}"
        last.items.append(box)

    def _has_kernels(self, items: Sequence[Box]) -> bool:
        """Whether a layer has a kernel."""
        nodes = self._nodes[items[0].start : items[-1].stop]
        return any(node.layer.kernels for node in nodes)

    def cell(self, stage: _Stage, *, series: bool) -> tuple[Cell, Listing]:
        """Return a stage as a cell, layers written as those of a network in series or not."""
        labels = series_label if series else block_label
        listing = list_layers(stage.items, labels, brackets=stage.grouped)
        start, stop = stage.items[0].start, stage.items[-1].stop
        row = self.report.row(Scope(stage.path, "stage", stage.name, start, stop))
        nodes = self._nodes[start:stop]
        parts = listing.parts or (Part(tuple(node.op.label.lower() for node in nodes)),)
        shape = (listing.last or nodes[-1]).shape
        if not series and not shape.spatial:
            parts = _on_one_line(parts)
        kernels = sum(node.layer.kernels for node in nodes)
        cell = Cell(parts, row, shape, kernels, listing.shortcuts)
        return cell, listing


def _on_one_line(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Return a classifier of one layer on one line: `average pool, 1000-d fc, softmax`."""
    kernels = sum(part.kernels * part.times for part in parts)
    if kernels > 1 or any(part.bracket for part in parts):
        return parts
    return (Part((", ".join(part.text for part in parts),), kernels=kernels),)


def _names_of_single_steps(steps: Any) -> Iterator[str]:
    """Yield the names of a spec's steps that are not repeated."""
    for step in steps if isinstance(steps, list | tuple) else ():
        if isinstance(step, dict):
            name = step.get("name")
            if isinstance(name, str) and not {"repeat", "for"} & step.keys():
                yield name
            yield from _names_of_single_steps(step.get("layers"))


def _last(path: str) -> str:
    return path.rpartition(SEPARATOR)[2]


def _table(columns: Sequence[_Column]) -> StageTable:
    series = all(column.in_series for column in columns)
    stages: list[Stage] = []
    listings: list[tuple[str, Listing]] = []
    for row in _aligned(columns):
        cells: list[Cell | None] = []
        names = {stage.name for stage in row if stage}
        path = next(stage.path for stage in row if stage)
        name = names.pop() if len(names) == 1 else _last(path)
        for column, stage in zip(columns, row, strict=True):
            cell = None
            if stage:
                cell, listing = column.cell(stage, series=series)
                listings.append((name, listing))
            cells.append(cell)
        stages.append(Stage(path, name, "", tuple(cells)))
    lines = sum(len(part.lines) for stage in stages for c in stage.cells if c for part in c.parts)
    if lines > MOST_LINES:
        raise UsageError(f"{lines:,} lines of layers are too many for a table")
    return StageTable(
        tuple(column.name for column in columns),
        tuple(column.input for column in columns),
        tuple(column.input_text for column in columns),
        tuple(_sized(stages, columns)),
        {name: tuple(getattr(each.report.totals, name) for each in columns) for name in TOTALS},
        tuple(_notes(listings)),
    )


def _aligned(columns: Sequence[_Column]) -> list[list[_Stage | None]]:
    """Return the stages of all columns, equal ones in one row, each column's in their order.

    Where two columns disagree on the order of two stages, one of these has two rows.
    """
    rows: list[list[_Stage | None]] = []
    paths: list[str] = []
    for number, column in enumerate(columns):
        place = 0
        for stage in column.stages:
            if stage.path in paths[place:]:
                place = paths.index(stage.path, place)
            else:
                paths.insert(place, stage.path)
                rows.insert(place, [None] * len(columns))
            rows[place][number] = stage
            place += 1
    return rows


def _sized(stages: Sequence[Stage], columns: Sequence[_Column]) -> Iterator[Stage]:
    """Yield the stages with the sizes of their outputs.

    They have channels if the networks have the same everywhere. A vector without them is 1x1.
    """
    whole = all(len({cell.shape for cell in stage.cells if cell}) == 1 for stage in stages)
    for stage in stages:
        sizes = [
            cell and _times(cell.shape if whole else cell.shape.spatial or (1,) * column.input.rank)
            for cell, column in zip(stage.cells, columns, strict=True)
        ]
        known = {size for size in sizes if size}
        if len(known) == 1:
            yield stage._replace(size=known.pop())
        else:
            cells = (
                cell and cell._replace(size=size or "")
                for cell, size in zip(stage.cells, sizes, strict=True)
            )
            yield stage._replace(cells=tuple(cells))


def _notes(listings: Iterable[tuple[str, Listing]]) -> Iterator[str]:
    """Yield sentences on what the cells of stages do not list."""
    strided: dict[str, list[str]] = {}
    shortcuts: dict[str, None] = {}
    left_out: set[str] = set()
    for name, listing in listings:
        for where in sorted(listing.strided):
            names = strided.setdefault(where, [])
            if name not in names:
                names.append(name)
        if listing.shortcuts:
            shortcuts[name] = None
        left_out |= listing.left_out
    for where, names in strided.items():
        units = "some units" if where == "some" else f"the {where} unit"
        yield f"Not listed: the stride of {units} of {_and(names)}."
    if shortcuts:
        yield f"Not listed: convolutions on shortcuts of {_and([*shortcuts])}."
    words = [word for family, word in LEFT_OUT.items() if family in left_out]
    words += ["dropout"] if left_out & DROPS else []
    if words:
        yield f"Not listed: {_and(words)}."


def _and(words: Sequence[str]) -> str:
    if len(words) > MOST_NAMES:
        words = [*words[: MOST_NAMES - 1], f"{len(words) - MOST_NAMES + 1} others"]
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
