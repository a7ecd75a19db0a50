"""`table`: a CSV, TSV or Parquet file with a column of images and one of labels, or several such.

An image is a path, relative to the table, or in Parquet may be the encoded image itself.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias

from archspec.diagnostics import UsageError, suggestion
from archspec.ops.shape import Shape
from archspec.training.data import columns, inspection
from archspec.training.data.columns import Columns
from archspec.training.data.csvtable import CsvTable
from archspec.training.data.decoding import Encoded
from archspec.training.data.examples import (
    MOST_CLASSES,
    PARTS,
    TRAIN,
    Facts,
    Loaded,
    Skipped,
    legible,
)
from archspec.training.data.ranges import Ranges, Spool
from archspec.training.data.referenced import Finder
from archspec.training.data.shards import shards

if TYPE_CHECKING:
    from archspec.training.recipe.recipe import DataRecipe

SUFFIXES: Final = (".csv", ".tsv", ".parquet")

LONGEST_NAME: Final = 200
"""Characters of a class's name; what is longer is a text about an image."""

Value: TypeAlias = str | bytes | None

_WHOLE: Final = re.compile(r"(-?(?:0|[1-9]\d{0,17}))(?:\.0+)?")
_FRACTION: Final = re.compile(r"-?\d*\.\d+(?:e[+-]?\d+)?", re.IGNORECASE)


class Table(Protocol):
    """A file of rows, all with the same columns."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Their names."""

    @property
    def texts(self) -> tuple[str, ...]:
        """Those that have a single value in a row, which can be shown."""

    @property
    def pictures(self) -> tuple[str, ...]:
        """Those that hold encoded images."""

    @property
    def first(self) -> Sequence[str]:
        """The values of the first row, in the order of the columns."""

    def class_names(self, column: str) -> tuple[str, ...] | None:
        """What the numbers in a column stand for, where the file says so."""

    def rows(self, columns: Sequence[str]) -> Iterator[tuple[int, Sequence[Value]]]:
        """The number of each row, and its values in some of the columns."""

    def place(self, row: int) -> str:
        """A row, as a message has it."""


class _Example(NamedTuple):
    """A row of a table."""

    table: Table
    shard: str
    row: int
    image: Value
    label: str | None
    part: int

    @property
    def place(self) -> str:
        return self.table.place(self.row)

    @property
    def name(self) -> str:
        """What a message calls it."""
        text = f": {legible(self.image)}" if isinstance(self.image, str) else ""
        return self.place + text

    @property
    def identity(self) -> str:
        """What it is called wherever the table lies."""
        return self.image if isinstance(self.image, str) else f"{self.shard}:{self.row}"


class _Tables:
    """All tables of a source, read as one."""

    def __init__(self, recipe: DataRecipe) -> None:
        self.shards = shards(recipe.path or "", SUFFIXES)
        self._tables = [_open(shard.path) for shard in self.shards]
        first = self._tables[0]
        self._columns = columns.choose(
            recipe, str(first.path), first.columns, first.pictures, first.first
        )
        needed = [name for name in self._columns[:3] if name is not None]
        for table in self._tables[1:]:
            if missing := [name for name in needed if name not in table.columns]:
                raise UsageError(
                    f"{table.path} has no column `{missing[0]}`, which {first.path} has"
                )
        self._onehot = () if self._columns.labels else _onehot(self._tables, self._columns)
        self._named = self._names()
        self._has_split = self._columns.split is not None and self._says_parts()

    def examples(self, *, with_images: bool) -> Iterator[_Example]:
        """All rows."""
        labels = [self._columns.labels] if self._columns.labels else list(self._onehot)
        wanted = [*labels]
        if self._has_split:
            wanted.append(str(self._columns.split))
        if with_images:
            wanted.append(self._columns.images)
        for shard, table in zip(self.shards, self._tables, strict=True):
            part = TRAIN if shard.part is None else shard.part
            for row, values in table.rows(wanted):
                example = _Example(
                    table, shard.name, row, values[-1] if with_images else None, None, part
                )
                if self._has_split:
                    part = _part(values[len(labels)], example.place, str(self._columns.split))
                label = self._label(values[: len(labels)], example)
                yield example._replace(label=label, part=part)

    def class_names(self, labels: Collection[str]) -> tuple[str, ...]:
        """The classes in their order: as the file says, or else of numbers or names."""
        where = self._tables[0].path
        _check_names(self._named or labels, where)
        return self._named or _in_order(set(labels), where)

    @property
    def is_split(self) -> bool:
        """Whether the tables say of each image which part it is in."""
        return self._has_split or self.shards[0].part is not None

    def _names(self) -> tuple[str, ...] | None:
        if self._columns.labels is None:
            return None
        named = {table.class_names(self._columns.labels) for table in self._tables}
        if len(named) > 1:
            raise UsageError(f"{self._tables[0].path} and others beside it have different classes")
        return named.pop()

    def _says_parts(self) -> bool:
        """Whether the values of the column are parts; of one that is only guessed they need not."""
        column = str(self._columns.split)
        strange = known = None
        for table in self._tables:
            for row, (value,) in table.rows([column]):
                if str(value).lower() in PARTS:
                    known = known or str(value)
                else:
                    strange = strange or (table.place(row), value)
                if strange and (known or not self._columns.split_is_guessed):
                    _part(strange[1], strange[0], column)
        return known is not None

    def _label(self, values: Sequence[Value], example: _Example) -> str | None:
        """A row's class, None where there is none."""
        if self._onehot:
            ones = [name for name, value in zip(self._onehot, values, strict=True) if _one(value)]
            if len(ones) != 1:
                raise UsageError(
                    f"{example.place}: {len(ones)} of the columns `{self._onehot[0]}` ... "
                    f"`{self._onehot[-1]}` are 1, but an image has one class; "
                    "say which column holds the labels, as `labels: COLUMN`"
                )
            return ones[0]
        (value,) = values
        if not isinstance(value, str):
            return None
        whole = _WHOLE.fullmatch(value)
        if self._named is None:
            return whole[1] if whole else value
        number = int(whole[1]) if whole else len(self._named)
        if number >= len(self._named):
            raise UsageError(
                f"{example.place}: the label {value} is none of {len(self._named)} classes"
            )
        return self._named[number] if number >= 0 else None


def look(recipe: DataRecipe, _: Shape) -> Facts:
    """The classes; no image is looked for."""
    tables = _Tables(recipe)
    labels = {example.label for example in tables.examples(with_images=False)} - {None}
    return Facts(tables.class_names({str(label) for label in labels}), None)


def load(recipe: DataRecipe, _: Shape) -> Loaded:
    """The images that the tables name or hold, each looked at, and their labels."""
    tables = _Tables(recipe)
    rows = _Rows()
    for example in tables.examples(with_images=True):
        rows.add(example)
    return inspection.load(recipe, rows.listing(recipe.path or "", tables))


class _Rows:
    """The images of tables' rows, found one by one."""

    def __init__(self) -> None:
        self._finders: dict[Path, Finder] = {}
        self._images: list[str | int] = []
        """The path of each, or its number among the `_ranges`."""
        self._examples: list[_Example] = []
        self._first: dict[str, int] = {}
        self._labels: dict[str, str] = {}
        self._unlabelled: list[tuple[int, Skipped]] = []
        self._missing: list[Skipped] = []
        self._twice: list[Skipped] = []
        self._ranges = Ranges()
        self._spool: Spool | None = None

    def add(self, example: _Example) -> None:
        """Note a row; raise `UsageError` where it contradicts another."""
        if example.label is None:
            self._unlabelled.append((example.part, (example.name, "no label")))
            return
        # One text for each class, not one for each row.
        label = self._labels.setdefault(example.label, example.label)
        example = example._replace(label=label)
        if isinstance(example.image, bytes):
            self._append(self._stored(example.image), example._replace(image=None))
        elif example.image is None:
            self._missing.append((example.name, "no image"))
        else:
            self._refer(example, example.image)

    def _stored(self, content: bytes) -> int:
        if self._spool is None:
            self._spool = Spool()
            self._ranges.add_file(self._spool)
        return self._ranges.add(self._spool.write(content), len(content))

    def _refer(self, example: _Example, text: str) -> None:
        finder = self._finders.get(example.table.path)
        if finder is None:
            finder = self._finders[example.table.path] = Finder(example.table.path, text)
        path = finder.find(text)
        if path is None:
            self._missing.append((example.name, _absence(example.table, finder.folder, text)))
            return
        other = self._first.setdefault(str(path), len(self._images))
        if other == len(self._images):
            self._append(str(path), example)
            return
        before = self._examples[other]
        for what, here, there in (
            ("class", example.label, before.label),
            ("part of the data", example.part, before.part),
        ):
            if here != there:
                raise UsageError(
                    f"{example.name} has another {what} than in {before.place}: "
                    "an image has one; remove a row"
                )
        self._twice.append((example.name, f"the image of {before.place} again"))

    def _append(self, image: str | int, example: _Example) -> None:
        self._images.append(image)
        self._examples.append(example)

    def _elsewhere(self) -> str:
        """In which folder the images are, where it is not the table's."""
        for path, finder in self._finders.items():
            if finder.folder != path.parent:
                return f" (images in {finder.folder})"
        return ""

    def listing(self, where: str, tables: _Tables) -> inspection.Listing:
        """All of them, for a closer look."""
        class_names = tables.class_names(self._labels)
        numbers = {name: number for number, name in enumerate(class_names)}
        # A part without any label is a competition's, whose labels are kept secret.
        labelled = {example.part for example in self._examples}
        unlabelled = [each for part, each in self._unlabelled if part in labelled]
        secret = [each for part, each in self._unlabelled if part not in labelled]
        images, ranges = self._images, self._ranges

        def get(index: int) -> Encoded:
            image = images[index]
            return ranges[image] if isinstance(image, int) else Path(image)

        return inspection.Listing(
            name=f"table {where}{self._elsewhere()}",
            where=where,
            class_names=class_names,
            names=[
                example.place if isinstance(image, int) else image
                for image, example in zip(images, self._examples, strict=True)
            ],
            identities=[example.identity for example in self._examples],
            labels=[numbers[str(example.label)] for example in self._examples],
            parts=[example.part for example in self._examples] if tables.is_split else None,
            get=get,
            lengths=[
                ranges.lengths[image] if isinstance(image, int) else inspection.length(image)
                for image in images
            ],
            missing=(*unlabelled, *self._missing),
            strangers=(*secret, *self._twice),
        )


def _absence(table: Table, folder: Path, text: str) -> str:
    """Why there is no image of such a name."""
    if "://" in text:
        return "a URL: download the images"
    if table.pictures:
        return "no bytes in the table, and no file at this path: it may be of another machine"
    return "no such file" if Path(text).is_absolute() else f"no such file in {folder}"


def _open(path: Path) -> Table:
    if path.suffix.lower() == ".parquet":
        from archspec.training.data.parquettable import ParquetTable  # noqa: PLC0415

        return ParquetTable(path)
    return CsvTable(path)


def _part(value: Value, place: str, column: str) -> int:
    part = PARTS.get(str(value).lower())
    if part is None:
        shown = f"`{value!s}`" if value is not None else "nothing"
        raise UsageError(
            f"{place}: the column `{column}` says {shown}, but must say of each image that "
            "it is train, validation or test"
        )
    return part


def _one(value: Value) -> bool:
    return isinstance(value, str) and float(value) == 1


def _onehot(tables: Sequence[Table], chosen: Columns) -> tuple[str, ...]:
    """The columns that are 0 or 1 in each row, one for each class that occurs."""
    first = tables[0]
    names = [name for name in first.texts if name not in {chosen.images, chosen.split}]
    is_binary, occurs = [True] * len(names), [False] * len(names)
    for table in tables:
        for _, values in table.rows(names):
            for place, value in enumerate(values):
                if value in {"1", "1.0"}:
                    occurs[place] = True
                elif value not in {"0", "0.0"}:
                    is_binary[place] = False
    found = [name for name, *right in zip(names, is_binary, occurs, strict=True) if all(right)]
    if len(found) < 2:
        hint = suggestion("", names, what="its columns")
        raise UsageError(
            f"{first.path}: which column holds the labels is not obvious; "
            f"say it as `labels: COLUMN`; {hint}"
        )
    return tuple(found)


def _check_names(names: Collection[str], where: Path) -> None:
    if len(names) > MOST_CLASSES:
        raise UsageError(f"{where} has {len(names):,} classes, more than {MOST_CLASSES:,}")
    if len(set(names)) < len(names):
        raise UsageError(f"{where} has two classes of one name")
    for name in names:
        if len(name) > LONGEST_NAME:
            raise UsageError(f"{where}: a label is a text, not a class's name: {name[:60]} ...")
        if not name.isprintable() or not name:
            raise UsageError(f"{where}: a class has a name that cannot be shown: {name!a}")


def _in_order(labels: set[str], where: Path) -> tuple[str, ...]:
    """Numbers in their order, names in the alphabet's."""
    if all(map(_WHOLE.fullmatch, labels)):
        return tuple(sorted(labels, key=int))
    fractions = set(filter(_FRACTION.fullmatch, labels))
    if fractions and all(label in fractions or _WHOLE.fullmatch(label) for label in labels):
        raise UsageError(
            f"{where}: the labels are numbers such as {min(fractions)}; "
            "classes have names or whole numbers"
        )
    return tuple(sorted(labels))
