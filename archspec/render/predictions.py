"""Predictions as text, Markdown and CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from archspec.render.table import Column, PrintedTable, Style
from archspec.text import csv_lines, label

if TYPE_CHECKING:
    from archspec.evaluation.prediction import Guess, Predictions, Value

LABELS: Final = (
    Column("image", "image", left=True, shortens=True),
    Column("labels", "labels", left=True),
)
"""The columns of predicted sets of labels."""

COLUMNS: Final = (
    Column("image", "image", left=True, shortens=True),
    Column("class", "class", left=True),
    Column("probability", "probability"),
    Column("next", "next", left=True, rank=1),
)

LONGEST: Final = 60
"""Characters of a file's name that are shown."""


def text(predictions: Predictions, *, width: int | None = None, color: bool = False) -> str:
    """Return a line for each image that could be read; nothing if there is none."""
    table = _table(predictions)
    return f"{table.text(Style(color), width)}\n" if table.rows else ""


def markdown(predictions: Predictions) -> str:
    """Return a line for each image that could be read, and below them why others could not."""
    unread = [f"- {label(each.image, LONGEST)}: {each.error}" for each in predictions.unread]
    return "\n".join([_table(predictions).markdown(), *(["", *unread] if unread else [])]) + "\n"


def _table(predictions: Predictions) -> PrintedTable:
    read = [image for image in predictions if image.error is None]
    if predictions.task == "regression":
        names = [value.name for value in read[0].values] if read else []
        columns = (COLUMNS[0], *(Column(name, label(name)) for name in names))
        rows = [
            [label(image.image, LONGEST), *(_number(value) for value in image.values)]
            for image in read
        ]
        return PrintedTable(columns, rows)
    if predictions.task == "multi_label":
        rows = [[label(image.image, LONGEST), _labels(image.guesses)] for image in read]
        return PrintedTable(LABELS, rows)
    rows = [[label(image.image, LONGEST), *_likeliest(image.guesses)] for image in read]
    if any(row[-1] for row in rows):
        return PrintedTable(COLUMNS, rows)
    return PrintedTable(COLUMNS[:-1], [row[:-1] for row in rows])


def _likeliest(guesses: tuple[Guess, ...]) -> list[str]:
    first, *others = guesses
    rest = ", ".join(f"{label(other.class_name)} {_share(other)}" for other in others)
    return [label(first.class_name), _share(first), rest]


def _labels(guesses: tuple[Guess, ...]) -> str:
    """Return the labels of an image, the surest first; a dash for none."""
    return ", ".join(f"{label(each.class_name)} {_share(each)}" for each in guesses) or "-"


def _number(value: Value) -> str:
    """Return the number, with its standard deviation where there is one."""
    spread = "" if value.deviation is None else f" ± {value.deviation:.2g}"
    return f"{value.number:.5g}{spread}"


def _share(guess: Guess) -> str:
    """Return the probability, with its standard deviation where there is one."""
    spread = "" if guess.deviation is None else f" ± {guess.deviation:.1%}"
    return f"{guess.probability:.1%}{spread}"


def csv(predictions: Predictions) -> str:
    """Return a line for each image: its classes or labels, likeliest first, or its numbers.

    An image that could not be read has the reason in the last column.
    """
    if predictions.task == "regression":
        return _numbers_csv(predictions)
    most = max((len(image.guesses) for image in predictions), default=1)
    spreads = any(g.deviation is not None for image in predictions for g in image.guesses)
    first = "label" if predictions.task == "multi_label" else "class"
    fields = (first, "probability", "deviation")[: 3 if spreads else 2]
    lines = [["image", *(f"{name}_{n}" for n in range(1, most + 1) for name in fields), "error"]]
    for image in predictions:
        cells = [
            cell
            for name, *shares in image.guesses
            for cell in (name, *(f"{share:.6f}" for share in shares[: len(fields) - 1]))
        ]
        empty = [""] * (len(fields) * most - len(cells))
        lines.append([image.image, *cells, *empty, image.error or ""])
    return csv_lines(lines)


def _numbers_csv(predictions: Predictions) -> str:
    values = next((image.values for image in predictions if image.values), ())
    spreads = any(value.deviation is not None for value in values)
    fields = [
        field
        for value in values
        for field in (value.name, *([f"{value.name} deviation"] if spreads else []))
    ]
    lines = [["image", *fields, "error"]]
    for image in predictions:
        cells = [f"{n:.8g}" for _, *numbers in image.values for n in numbers if n is not None]
        lines.append([image.image, *(cells or [""] * len(fields)), image.error or ""])
    return csv_lines(lines)
