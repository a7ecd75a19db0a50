"""`units.csv`: gradients, dead and saturated units while a network trains, by layer and epoch."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeAlias

from archspec.runs import folder, storage
from archspec.runs.files import UNITS
from archspec.runs.storage import RecordedNumber

MEASURES: Final = ("gradient", "dead", "saturated")
"""Norm of the gradient with respect to a layer's weights; shares of its units or outputs."""

LayerMeasures: TypeAlias = dict[str, dict[str, RecordedNumber | None]]
"""The value of each of `MEASURES` by layer, None where a layer has no such measure."""


def write(home: Path, epochs: Sequence[LayerMeasures]) -> None:
    """Write `units.csv`; the first of `epochs` is epoch 0, the network before its first step."""
    rows = [
        {"epoch": epoch, "layer": layer, **measures}
        for epoch, layers in enumerate(epochs)
        for layer, measures in layers.items()
    ]
    if rows:
        folder.write_rows(home / UNITS, rows)


def read(home: Path) -> tuple[LayerMeasures, ...]:
    """Return the measures of each epoch in `units.csv`, from epoch 0; none without the file.

    Raises:
        UsageError: The file cannot be read, or is damaged.

    """
    path = home / UNITS
    try:
        text = storage.content(path).decode()
    except FileNotFoundError:
        return ()
    except UnicodeDecodeError:
        raise storage.damaged(path, "it is not text") from None
    epochs: list[LayerMeasures] = []
    try:
        for row in csv.DictReader(io.StringIO(text), strict=True):
            epoch = int(row["epoch"])
            if epoch == len(epochs):
                epochs.append({})
            epochs[epoch][row["layer"]] = {
                name: float(row[name]) if row[name] else None for name in MEASURES
            }
    except (KeyError, ValueError, TypeError, IndexError, csv.Error) as error:
        raise storage.damaged(path, f"a row is not one of {', '.join(MEASURES)}") from error
    return tuple(epochs)
