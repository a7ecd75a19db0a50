"""Cells of a table -> labels: the class of a row, its set of labels, or its numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from archspec.data.collecting import Label
from archspec.data.examples import Preview
from archspec.data.names import check_names, class_of, in_order, label_of, legible
from archspec.data.task import TaskKind
from archspec.errors import UsageError

TableValue: TypeAlias = str | bytes | None

LARGEST: Final = 3.4e38
"""Largest number that float32 holds, to two digits."""


class LabelReader:
    """The labels of rows, by the cells of the columns of labels."""

    def __init__(
        self, columns: Sequence[str], class_names: tuple[str, ...] | None, separator: str | None
    ) -> None:
        """Begin; `columns` are those of labels.

        Cells are the numbers of the `class_names`; without these, they are names themselves, or
        sets of them with the `separator` in between.
        """
        self._columns = tuple(columns)
        self._class_names = class_names
        self._separator = separator
        self._sets: tuple[str, ...] = ()
        """Names of all labels that occur in sets."""

    def preview(self, rows: Iterable[tuple[Sequence[TableValue], str]], where: str) -> Preview:
        """Return what the labels of all rows may be."""
        if self._separator is not None:
            occurring = {label for (cell,), place in rows for label in self._set(cell, place)}
            if not occurring:
                raise UsageError(f"there are no labels in the column `{self._columns[0]}`")
            self._sets = in_order(occurring, where)
            return Preview((), None, {"multi_label": self._sets}, "`separator` says that")
        return self._of_columns(rows, where)

    def _of_columns(self, rows: Iterable[tuple[Sequence[TableValue], str]], where: str) -> Preview:
        classes: set[str] = set()
        fault: UsageError | None = None
        are_numbers = are_binary = True
        for values, place in rows:
            if any(value is None for value in values):
                continue
            numbers = self._numbers(values)
            are_numbers = are_numbers and numbers is not None
            are_binary = are_binary and numbers is not None and set(numbers) <= {0.0, 1.0}
            if fault is None:
                try:
                    label = self._class(values, place)
                except UsageError as error:
                    fault = error
                else:
                    classes.update([] if label is None else [label])
        others: dict[TaskKind, tuple[str, ...]] = {}
        if are_binary:
            others["multi_label"] = self._columns
        if are_numbers and self._class_names is None:
            others["regression"] = self._columns
        if fault is None:
            try:
                if len(self._columns) > 1:
                    check_names(self._columns, where)
                names = self._class_names or in_order(classes, where)
                return Preview(names, None, others)
            except UsageError as error:
                fault = error
        if not others:
            raise fault
        return Preview((), None, others, str(fault))

    def read(self, kind: TaskKind, values: Sequence[TableValue], place: str) -> Label | None:
        """Return a row's label for a kind of task, None if it has none.

        After a `preview`, for sets of labels.
        """
        if kind == "classification":
            return self._class(values, place)
        if self._separator is not None:
            present = set(self._set(values[0], place))
            return tuple(float(name in present) for name in self._sets)
        if any(value is None for value in values):
            return None
        numbers = self._numbers(values)
        if numbers is None:
            shown = ", ".join(legible(str(value)[:40]) for value in values)
            raise UsageError(f"{place}: the label {shown} is not a finite number")
        return numbers

    def _class(self, values: Sequence[TableValue], place: str) -> str | None:
        """Return a row's class, None if it has none."""
        if len(self._columns) > 1:
            numbers = self._numbers(values) or ()
            ones = [name for name, one in zip(self._columns, numbers, strict=False) if one == 1]
            if len(ones) != 1 or set(numbers) > {0.0, 1.0}:
                raise UsageError(
                    f"{place}: {len(ones)} of the columns `{self._columns[0]}` ... "
                    f"`{self._columns[-1]}` are 1, but an image has one class; "
                    "name the column of labels: `labels: COLUMN`"
                )
            return ones[0]
        (value,) = values
        if isinstance(value, bytes):
            value = _decoded(value, place)
        if not value:
            return None
        if self._class_names is None:
            return label_of(value)
        return class_of(value, self._class_names, place)

    def _set(self, cell: TableValue, place: str) -> list[str]:
        """Return the labels in a cell; of an empty one, none."""
        text = _decoded(cell, place) if isinstance(cell, bytes) else cell
        parts = (text or "").split(self._separator)
        return [label_of(part.strip()) for part in parts if part.strip()]

    def _numbers(self, values: Sequence[TableValue]) -> tuple[float, ...] | None:
        """Return cells as numbers; None if one of them is not a finite number."""
        try:
            numbers = tuple(float(value or "") for value in values)
        except ValueError:
            return None
        return numbers if all(abs(number) <= LARGEST for number in numbers) else None


def _decoded(label: bytes, place: str) -> str:
    try:
        return label.decode().strip()
    except UnicodeDecodeError:
        raise UsageError(f"{place}: the label is bytes that are not text in UTF-8") from None
