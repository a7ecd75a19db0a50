"""The data of a network's page: one JSON value, from which the page's script draws everything.

Memory is there as the coefficients of `MemoryModel`, so that the page can compute it for any batch,
dtype and optimizer. Whole numbers that JavaScript cannot hold exactly are strings of digits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import inf
from typing import Any, Final

from archspec.compile.expand import expand
from archspec.cost.checks import MUST_KEEP, TRAINING, Check
from archspec.cost.estimate import ESTIMATED
from archspec.cost.estimate.engines import estimate
from archspec.cost.estimate.jax_tpu import ON_CHIP, TiledFootprint
from archspec.cost.memory import MemoryModel
from archspec.cost.optimizers import KNOWN, WRAPPER, Optimizer
from archspec.cost.report import CONVENTION, Report, Row, Totals, check_rows, float_or_int
from archspec.cost.setting import ITEM_BYTES, Setting
from archspec.cost.size import at_if_open, at_size, refuse_open
from archspec.errors import SpecError, UsageError
from archspec.figure import Figure
from archspec.ops.atleast import AtLeast
from archspec.ops.functions import NAMES
from archspec.render import report as table
from archspec.render.amounts import thousands
from archspec.render.figure.network import drawing
from archspec.render.figure.outline import Box, opened, outline
from archspec.render.figure.svg import svg
from archspec.render.formulas import derivation
from archspec.render.summary import facts_of_file, lacking
from archspec.render.table import Column
from archspec.spec.document import Spec
from archspec.spec.findings import Findings
from archspec.spec.variables import variables
from archspec.text import counted, printable

MOST_ROWS: Final = 5_000
"""Largest number of rows, blocks included. Of a larger network, blocks are not opened as deep."""

MOST_BOXES: Final = 1_000
"""Largest number of boxes of a figure."""

LARGEST_FIGURES: Final = 450_000
"""Largest number of characters of all figures."""

FEW_ROWS: Final = 100
"""Largest number of rows that are shown at first, where folding blocks makes them so few."""

MOST_VARIANTS: Final = 40
"""Largest number of a family's variants that are listed."""

EXACT: Final = 2**53 - 1
"""Largest whole number up to which JavaScript has every whole number."""

BYTES: Final = (
    "weight_bytes",
    "inference_bytes",
    MUST_KEEP,
    *(f"{TRAINING}.{n}" for n in ESTIMATED),
)
"""Figures that depend on the setting."""


def page_data(
    report: Report,
    *,
    depth: int | None = None,
    ops: bool = False,
    columns: Sequence[str] | None = None,
    variants: bool = True,
) -> dict[str, Any]:
    """Return all that a network's page shows, as plain data.

    Args:
        report: The network with its costs.
        depth: Levels of the path that have rows and boxes; all unless given.
        ops: Whether each primitive op has a row and a box.
        columns: Columns to show at first.
        variants: Whether the family's other variants are there, each of which must be costed.

    Raises:
        UsageError: There is no such column, or a network without blocks has too many layers.

    """
    check_rows(depth, ops=ops)
    refuse_open(report.graph, "a page")
    root = opened(report, ops=ops)
    counts = _counts(root)
    levels = _levels(counts, depth)
    rows = [_row(report, box, level, levels) for box, level in _walk(root, levels)]
    of_any_size = _of_any_size(report)
    if of_any_size is not None:
        boxes = _walk(opened(of_any_size, ops=ops), levels)
        for row, (box, _) in zip(rows, boxes, strict=True):
            row["formulas"] = _formulas(box.row)
    fewest = (level for level in range(levels, 0, -1) if sum(counts[:level]) <= FEW_ROWS)
    data = {
        "name": printable(report.name),
        "about": printable(report.about),
        "convention": CONVENTION,
        "input": _input(report, of_any_size),
        "extent": list(report.graph.input[:-1]),
        "variables": _variables(report),
        "columns": [_column(each) for each in table.COLUMNS],
        "shown": [each.name for each in table.choose(columns, report)] if columns else None,
        "levels": levels,
        "level": next(fewest, 1),
        "note": _note(counts, levels, depth),
        "rows": rows,
        "totals": report.totals._asdict(),
        "formulas": _formulas(of_any_size.totals) if of_any_size else {},
        "lacking": lacking(report),
        "file": [
            [fact.name, f"{fact.figure} {fact.detail}".strip()] for fact in facts_of_file(report)
        ],
        "figures": list(_figures(report, levels, ops=ops)),
        "checks": [_check(check) for check in report.checks],
        "setting": _setting(report.setting),
        "estimates": _estimates(report),
        "dtypes": {name: list(sizes) for name, sizes in ITEM_BYTES.items()},
        "optimizers": [
            {"value": text, "label": label} for text, label, _ in _optimizers(report.setting)
        ],
        "memory": _memory(report.memory_model, report.setting),
        "variants": list(_variants(report)) if variants else [],
    }
    if max(report.totals) > EXACT:  # no number of a row is larger
        data["rows"] = _exact(rows)
    for name in ("totals", "memory", "estimates", "variants"):
        data[name] = _exact(data[name])
    return data


def _of_any_size(report: Report) -> Report | None:
    """Return the network as its spec has it, if the spec leaves the size of the input open."""
    if report.spec is None or not at_if_open(report.spec, at=True):
        return None
    try:
        return Report(expand(report.spec))
    except SpecError:  # it is right at some sizes alone
        return None


def _input(report: Report, of_any_size: Report | None) -> str:
    text = report.graph.input_text
    return f"{text}, of {of_any_size.graph.input_text}" if of_any_size else text


def _formulas(figures: Row | Totals) -> dict[str, str]:
    """Return what depends on the size of the input, as formulas; of a row, without long ends."""
    values = {name: getattr(figures, name) for name in ("macs", "other_ops", "activations")}
    by_size = {name: value for name, value in values.items() if not isinstance(value, int)}
    if isinstance(figures, Totals):
        return {name: f"{value:,}" for name, value in by_size.items()}
    texts = {name: thousands(value) for name, value in by_size.items()}
    return texts | ({"output": str(figures.shape)} if figures.shape.is_open else {})


def _counts(root: Box) -> list[int]:
    """Return the number of boxes at each level."""
    counts = []
    boxes = root.boxes
    while boxes:
        counts.append(len(boxes))
        boxes = [inner for box in boxes for inner in box.boxes]
    return counts


def _levels(counts: Sequence[int], depth: int | None) -> int:
    """Return the number of levels that have rows."""
    levels = min(depth or len(counts), len(counts))
    while levels > 1 and sum(counts[:levels]) > MOST_ROWS:
        levels -= 1
    if sum(counts[:levels]) > MOST_ROWS:
        raise UsageError(
            f"{counts[0]:,} layers are too many for a page, which has {MOST_ROWS:,} rows at most; "
            "a .csv file has all of them"
        )
    return levels


def _note(counts: Sequence[int], levels: int, depth: int | None) -> str:
    if levels == min(depth or len(counts), len(counts)):
        return ""
    return (
        f"Blocks are opened to {counted(levels, 'level')}: all {sum(counts):,} rows are too many "
        "for a page. A .csv file has every layer."
    )


def _walk(root: Box, levels: int) -> Iterator[tuple[Box, int]]:
    """Yield the boxes in the table's order, each with its level from 1."""
    waiting = [(box, 1) for box in reversed(root.boxes)]
    while waiting:
        box, level = waiting.pop()
        yield box, level
        if level < levels:
            waiting += [(inner, level + 1) for inner in reversed(box.boxes)]


def _row(report: Report, box: Box, level: int, levels: int) -> dict[str, Any]:
    """Return a row: its values by column, and how its numbers come about."""
    row = box.row
    values = {
        each.name: table.value(each.name, row, report)
        for each in table.COLUMNS
        if each.name not in ("layer", "memory")
    }
    reach = row.field
    return {
        "path": row.path,
        "level": level,
        "block": bool(box.boxes) and level < levels,
        **values,
        **{name: table.BY_NAME[name].text(values[name]) for name in ("field", "stride")},
        "size": row.shape.size,
        "unknown": _unknown_values(row),
        "reach": reach and [list(map(float_or_int, each)) for each in reach],
        "start": row.start,
        "stop": row.stop,
        "why": {name: text for name, text in derivation(report, row)._asdict().items() if text},
    }


def _unknown_values(row: Row) -> list[str]:
    """Return the columns in which nothing of a row is known."""
    names = [name for name, value in row._asdict().items() if isinstance(value, AtLeast)]
    return [*names, "memory"] if "activations" in names else names


def _column(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "title": column.title or column.name,
        "left": column.left,
        "rank": column.rank,
    }


def _figures(report: Report, levels: int, *, ops: bool) -> Iterator[dict[str, Any]]:
    """Yield a figure for each level, as long as they are not too large."""
    length = drawn = 0
    for level in range(1, levels + 1):
        boxes = list(outline(report, level, ops=ops).walk())[1:]
        if len(boxes) == drawn:
            continue
        drawn = len(boxes)
        if drawn > MOST_BOXES:
            return
        figure = Figure((report,), depth=level, ops=ops)
        picture = svg(drawing(figure, tallest=inf), inline=True)  # its pane scrolls
        length += len(picture)
        if length > LARGEST_FIGURES:
            return
        places = [[box.path, box.start, box.end] for box in boxes]
        yield {"level": level, "svg": picture, "boxes": places}


def _check(check: Check) -> dict[str, Any]:
    """Return a claim. One about bytes has its bound, for the page to compare it again.

    A claim about another size has none: the page counts at its own.
    """
    data = check.to_dict() | {"source": printable(check.source)}
    if check.figure in BYTES and " at " not in check.claim:
        data |= {"symbol": check.claim.rpartition(" ")[0] or "=", "bound": str(check.bound)}
    return data


def _estimates(report: Report) -> list[dict[str, Any]]:
    """Return the estimates for the engine that was named, and for those of claims.

    Each has the bytes by dtype: those that stand for any batch, without the optimizer's state, and
    those of an example; or the tensors from which they follow, where they fill tiles.
    """
    claimed = {check.figure.removeprefix(f"{TRAINING}.") for check in report.checks}
    return [
        {
            "engine": engine,
            "shown": engine == report.engine,
            "accuracy": estimate(report, engine).accuracy,
            "bytes": {dtype: _footprint(report, engine, dtype) for dtype in ITEM_BYTES},
        }
        for engine in ESTIMATED
        if engine == report.engine or engine in claimed
    ]


def _footprint(report: Report, engine: str, dtype: str) -> list[int | None] | dict[str, Any]:
    costs = replace(report, setting=replace(report.setting, dtype=dtype))
    footprint = estimate(costs, engine).footprint
    if isinstance(footprint, TiledFootprint):
        return {
            **footprint.tensors._asdict(),
            "kept": list(footprint.tensors.kept.items()),
            "on_chip": ON_CHIP,
            # Factors are rounded to thousandths.
            "factors": {name: int(1000 * each) for name, each in footprint.factors.items()},
        }
    return [footprint.fixed - costs.memory.optimizer, footprint.example]


def _setting(setting: Setting) -> dict[str, Any]:
    return {
        "batch": setting.batch,
        "training_batch": setting.training_batch,
        "dtype": setting.dtype,
        "optimizer": _flow(setting.optimizer),
        "by_recipe": list(setting.by_recipe),
    }


def _flow(optimizer: Optimizer) -> str:
    """Return an optimizer as a command line takes it."""
    data = optimizer.to_dict()
    return data if isinstance(data, str) else json.dumps(data, default=str)


def _optimizers(setting: Setting) -> Iterator[tuple[str, str, Optimizer]]:
    """Yield the optimizers that the page offers: the text of each, its label and itself."""
    given = setting.optimizer
    text = _flow(given)
    if text not in KNOWN or given.name == WRAPPER:
        source = "by train:" if "optimizer" in setting.by_recipe else "as given"
        yield text, f"{given.label} ({source})", given
    for name in KNOWN:
        if name != WRAPPER:
            yield name, name, Optimizer(name)


def _memory(model: MemoryModel, setting: Setting) -> dict[str, Any]:
    """Return the coefficients of memory."""
    return {
        "params": model.params,
        "trainable": model.trainable,
        "saved_values": model.saved_values,
        "saved_mask_bytes": model.saved_mask_bytes,
        "forward_values": model.forward_values,
        "optimizer_values": {
            text: model.optimizer_values(optimizer) for text, _, optimizer in _optimizers(setting)
        },
    }


def _variables(report: Report) -> list[dict[str, str]]:
    """Return the network's variables with their values."""
    if report.spec is None:
        return []
    values = variables(report.spec, Findings(report.spec.source), NAMES)
    return [
        {"name": name, "value": printable(value if isinstance(value, str) else json.dumps(value))}
        for name, value in values.items()
    ]


def _variants(report: Report) -> Iterator[dict[str, Any]]:
    """Yield the family's variants with their totals; those that are wrong are left out."""
    spec = report.spec
    names = list(spec.document.variants) if spec else []
    for name in names[:MOST_VARIANTS]:
        size = report.graph.input.spatial
        costs = report if spec is None or name == spec.variant else _variant(spec, name, size)
        if costs is not None:
            yield {
                "name": printable(name),
                "params": costs.totals.params,
                "macs": costs.totals.macs,
                "memory": _memory(costs.memory_model, report.setting),
                "current": costs is report,
            }


def _variant(spec: Spec, name: str, size: tuple[int, ...]) -> Report | None:
    """Return the costs of another variant, at a size if its input is open; None if it is wrong."""
    try:
        graph = expand(replace(spec, variant=name))
        return Report(at_size(graph, size) if graph.is_open else graph)
    except (SpecError, UsageError):
        return None


def _exact(value: Any) -> Any:
    """Return plain data with large whole numbers as strings."""
    if isinstance(value, dict):
        return {name: _exact(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_exact(each) for each in value]
    if isinstance(value, int) and abs(value) > EXACT:
        return str(value)
    return value
