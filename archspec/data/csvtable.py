"""CSV and TSV files as tables: a header, then a row for each image."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from archspec.data.fileaccess import reading
from archspec.data.filetypes import SUFFIXES
from archspec.data.names import check_columns
from archspec.errors import UsageError

DELIMITERS: Final = ("\t", ";", ",", "|")

MOST_BYTES: Final = 2**29
"""Largest table: its paths and labels are kept in memory."""

MOST_COLUMNS: Final = 100_000


class CsvTable:
    """A table in a text file, read row by row."""

    pictures: tuple[str, ...] = ()
    """Columns of encoded images: text has none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if (size := path.stat().st_size) > MOST_BYTES:
            raise UsageError(
                f"{path} has {size / 2**30:,.1f} GiB, more than {MOST_BYTES / 2**30:g}: "
                "save it as Parquet, or only its columns of paths and labels"
            )
        self.encoding = _encoding(path)
        with self._reading() as file:
            line = file.readline(2**20)
        self.delimiter = max(DELIMITERS, key=line.count)
        self.columns = tuple(next((fields for _, fields in self._lines()), ()))
        self._check_header()
        self.texts = self.columns
        """Columns with a single value in a row, which can be shown."""
        self.first = next((fields for _, fields in self._records()), [])
        """The values of the first row, in the order of the columns."""

    def class_names(self, _: str) -> None:
        """Return None: a CSV file does not name the classes of a column's numbers."""

    def place(self, row: int) -> str:
        """Return the name of a row in messages."""
        return f"{self.path}:{row}"

    def rows(self, columns: Sequence[str]) -> Iterator[tuple[int, list[str | bytes | None]]]:
        """Yield the line of each row and its values in these columns, None for empty ones."""
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
        check_columns(names, self.path)

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """Yield each row below the header; raise `UsageError` for one that lacks fields."""
        lines = self._lines()
        next(lines, None)
        width = len(self.columns)
        for row, fields in lines:
            if len(fields) != width:
                raise UsageError(
                    f"{self.place(row)} has {len(fields)} fields, but the header has {width}: "
                    f"add what is missing, or put fields that contain {self.delimiter!r} in quotes"
                )
            yield row, fields

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        with self._reading() as file:
            reader = csv.reader(file, delimiter=self.delimiter)
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
            with (
                reading(self.path),
                self.path.open(encoding=self.encoding, newline="") as file,
            ):
                yield file
        except UnicodeDecodeError:
            raise UsageError(
                f"{self.path} is not UTF-8 text: save it as CSV UTF-8, as spreadsheets can"
            ) from None


def _encoding(path: Path) -> str:
    """Return UTF-8 unless the file begins as UTF-16, which Excel calls Unicode text."""
    with reading(path), path.open("rb") as file:
        start = file.read(4)
    if start == b"PK\x03\x04":  # the zip archive that .xlsx, .ods and .numbers are
        raise UsageError(f"{path} is a spreadsheet or an archive, not text: save it as CSV")
    return "utf-16" if start[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
