"""Parquet files as tables, with images as Hugging Face writes them, or as bytes, or as paths."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from archspec.data.fileaccess import reading
from archspec.data.names import check_columns
from archspec.errors import UsageError, extra

if TYPE_CHECKING:
    import pyarrow as pa

ROWS: Final = 4_096
"""Rows of labels that are read at a time."""

IMAGES: Final = 32
"""Rows of images that are read at a time."""

MOST_ROWS: Final = 2**24
"""Largest number of rows: their labels are kept in memory, and a small file may claim billions."""

BUFFER_BYTES: Final = 2**20
"""Bytes of a column that are read at a time: a single group of rows may be larger than memory."""


class ParquetTable:
    """A table in a Parquet file."""

    def __init__(self, path: Path) -> None:
        self._arrow, parquet = _library()
        self.path = path
        with self._reading():
            self._file = parquet.ParquetFile(path, buffer_size=BUFFER_BYTES, pre_buffer=False)
            self._schema = self._file.schema_arrow
        self.columns: tuple[str, ...] = tuple(self._schema.names)
        check_columns(self.columns, path)
        if (count := self._file.metadata.num_rows) > MOST_ROWS:
            raise UsageError(f"{path} has {count:,} rows, more than {MOST_ROWS:,}")
        types = dict(zip(self.columns, self._schema.types, strict=True))
        self.pictures = tuple(name for name, kind in types.items() if self._holds_images(kind))
        """Columns of encoded images."""
        nested = self._arrow.types.is_nested
        self.texts = tuple(
            name
            for name, kind in types.items()
            if name not in self.pictures and not nested(kind) and not self._is_binary(kind)
        )
        """Columns with a single value in a row, which can be shown."""
        first = next(self.rows(self.texts), (0, [None] * len(self.texts)))[1]
        values = dict(zip(self.texts, first, strict=True))
        self.first = [str(values.get(name) or "") for name in self.columns]
        """The values of the first row, in the order of the columns."""

    def class_names(self, column: str) -> tuple[str, ...] | None:
        """Return the classes of a column's numbers, as Hugging Face writes them in the schema."""
        written = (self._schema.metadata or {}).get(b"huggingface")
        if written is None:
            return None
        try:
            names = json.loads(written)["info"]["features"][column]["names"]
        except (ValueError, LookupError, TypeError, RecursionError):
            return None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            return None
        return tuple(names)

    def place(self, row: int) -> str:
        """Return the name of a row in messages."""
        return f"{self.path}, row {row}"

    def rows(self, columns: Sequence[str]) -> Iterator[tuple[int, list[str | bytes | None]]]:
        """Yield the number of each row, from 0, and its values in these columns."""
        for name in columns:
            if name not in self.texts and name not in self.pictures:
                kind = self._schema.field(name).type
                raise UsageError(
                    f"the column `{name}` of {self.path} holds {str(kind)[:60]}; an image is an "
                    "encoded file, as bytes, or a path, and its class is a number or a name"
                )
        size = IMAGES if set(columns) & set(self.pictures) else ROWS
        row = 0
        with self._reading():
            batches = self._file.iter_batches(
                size, columns=list(dict.fromkeys(columns)), use_threads=False
            )
            for batch in batches:
                # A column that is asked for twice is read once.
                lists = [batch.column(name).to_pylist() for name in columns]
                for number, values in enumerate(zip(*lists, strict=True), start=row):
                    yield number, list(map(_value, values))
                row += len(batch)

    def _holds_images(self, kind: pa.DataType) -> bool:
        """Return whether a column has bytes, or pairs of bytes and the path that they were at."""
        if self._arrow.types.is_struct(kind):
            names = {kind.field(i).name for i in range(kind.num_fields)}
            return {"bytes", "path"} <= names
        return self._is_binary(kind)

    def _is_binary(self, kind: pa.DataType) -> bool:
        types = self._arrow.types
        return bool(types.is_binary(kind) or types.is_large_binary(kind))

    def _reading(self) -> AbstractContextManager[None]:
        damage = (self._arrow.ArrowException, ValueError, MemoryError)
        return reading(self.path, *damage, kind="a Parquet file")


def _value(value: Any) -> str | bytes | None:
    """Return a path or a class as text, an image as bytes."""
    if isinstance(value, dict):
        content, path = value["bytes"], value["path"]
        return content if content is not None else _value(path)
    if value is None or value != value:  # noqa: PLR0124  (NaN)
        return None
    if isinstance(value, bytes):
        return value
    return str(value).strip() or None


def _library() -> tuple[Any, Any]:
    with extra("parquet", "a Parquet file needs PyArrow"):
        import pyarrow as pa  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415
    return pa, parquet
