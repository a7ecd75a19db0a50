"""CSV and TSV files as tables: a header, then a row for each image."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from archspec.data.examples import is_displayable
from archspec.data.filetypes import SUFFIXES
from archspec.errors import UsageError

DELIMITERS: Final = ("\t", ";", ",", "|")

MOST_BYTES: Final = 2**29
"""Of a table, whose paths and labels are kept in memory."""

MOST_COLUMNS: Final = 100_000


class CsvTable:
    """A table in a text file, read row by row."""

    pictures: tuple[str, ...] = ()
    """Columns that hold images themselves: text has none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if (size := path.stat().st_size) > MOST_BYTES:
            raise UsageError(
                f"{path} has {size / 2**30:,.1f} GiB, more than {MOST_BYTES / 2**30:g}: "
                "save it as Parquet, or only its columns of paths and labels"
            )
        self._encoding = _encoding(path)
        with self._reading() as file:
            line = file.readline(2**20)
        self._delimiter = max(DELIMITERS, key=line.count)
        self.columns = tuple(next((fields for _, fields in self._lines()), ()))
        self._check_header()
        self.texts = self.columns
        self.first = next((fields for _, fields in self._records()), [])

    def class_names(self, _: str) -> None:
        """Names of a column's numbers: text has none."""

    def place(self, row: int) -> str:
        """A row, as a message has it."""
        return f"{self.path}:{row}"

    def rows(self, columns: Sequence[str]) -> Iterator[tuple[int, list[str | bytes | None]]]:
        """The number of each row's line and its values in these columns, None for empty ones."""
        places = [self.columns.index(name) for name in columns]
        for row, fields in self._records():
            yield row, [fields[place].strip() or None for place in places]

    def _check_header(self) -> None:
        names = self.columns
        if not any(names):
            raise UsageError(f"{self.path} is empty: it needs a header, as `filename,label`")
        if any(name.lower().endswith(SUFFIXES) for name in names):
            raise UsageError(
                f"the first row of {self.path} is not a header, but holds the path of an image "
                f"({', '.join(names)[:80]}): write the columns' names above it, as `filename` and "
                "`label`"
            )
        if len(names) > MOST_COLUMNS:
            raise UsageError(f"{self.path} has more than {MOST_COLUMNS:,} columns")
        if hidden := [name for name in names if not is_displayable(name)]:
            raise UsageError(f"{self.path} has a column that cannot be shown: {hidden[0]!a:.80}")
        if twice := {name for name in names if name and names.count(name) > 1}:
            raise UsageError(f"{self.path} has two columns `{min(twice)}`: rename one of them")

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """Each row below the header, of which every field is there."""
        lines = self._lines()
        next(lines, None)
        width = len(self.columns)
        for row, fields in lines:
            if len(fields) != width:
                raise UsageError(
                    f"{self.place(row)} has {len(fields)} fields, but the header has {width}: "
                    f"put a field in quotes that holds {self._delimiter!r}"
                )
            yield row, fields

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        with self._reading() as file:
            reader = csv.reader(file, delimiter=self._delimiter)
            try:
                for fields in reader:
                    if any(map(str.strip, fields)):
                        yield reader.line_num, [field.strip() for field in fields]
            except csv.Error as error:
                raise UsageError(
                    f"{self.place(reader.line_num)}: {error}; is a quotation mark not closed?"
                ) from None

    @contextmanager
    def _reading(self) -> Iterator[TextIO]:
        try:
            with self.path.open(encoding=self._encoding, newline="") as file:
                yield file
        except OSError as error:
            raise UsageError(f"cannot read {self.path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise UsageError(
                f"{self.path} is not UTF-8 text: save it so, as spreadsheets can"
            ) from None


def _encoding(path: Path) -> str:
    """UTF-8 unless the file's first two bytes say UTF-16, which Excel calls Unicode text."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    if start == b"PK\x03\x04":  # as of .xlsx, .ods and .numbers
        raise UsageError(f"{path} is a spreadsheet or an archive, not text: save it as CSV")
    return "utf-16" if start[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
