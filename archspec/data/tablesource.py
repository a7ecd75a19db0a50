"""`table`: a CSV, TSV or Parquet file with a column of images and one of labels, or several such.

An image is a path, relative to the table, or in Parquet may be the encoded image itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias

from archspec.data import columns, inspection
from archspec.data.classes import check_names, in_order, label_of, named
from archspec.data.collecting import ImageCollection
from archspec.data.columns import ChosenColumns
from archspec.data.csvtable import CsvTable
from archspec.data.examples import PARTS, TRAIN, LabelledImages, Preview, legible
from archspec.data.referenced import ImageFinder
from archspec.data.shards import shards
from archspec.errors import UsageError, suggestion
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    from archspec.data.recipe import DataRecipe

SUFFIXES: Final = (".csv", ".tsv", ".parquet")

Value: TypeAlias = str | bytes | None


class ImageTable(Protocol):
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

    table: ImageTable
    shard: str
    row: int
    image: Value
    label: str | None
    part: int
    group: str | None

    @property
    def place(self) -> str:
        return self.table.place(self.row)

    @property
    def name(self) -> str:
        """What a message calls it."""
        text = f": {legible(self.image)}" if isinstance(self.image, str) else ""
        return self.place + text


class _Tables:
    """All tables of a source, read as one."""

    def __init__(self, recipe: DataRecipe) -> None:
        self.where = recipe.path or ""
        self._shards = shards(self.where, SUFFIXES)
        self._tables = [_open(shard.path) for shard in self._shards]
        first = self._tables[0]
        self._columns = columns.choose(
            recipe, str(first.path), first.columns, first.pictures, first.first
        )
        chosen = self._columns
        needed = [chosen.images, chosen.labels, chosen.split, chosen.group]
        for table in self._tables[1:]:
            if missing := [name for name in needed if name and name not in table.columns]:
                raise UsageError(
                    f"{table.path} has no column `{missing[0]}`, which {first.path} has"
                )
        self._onehot = () if self._columns.labels else _onehot(self._tables, self._columns)
        self.named = self._names()
        self._has_split = self._columns.split is not None and self._says_parts()

    def examples(self, *, with_images: bool) -> Iterator[_Example]:
        """All rows."""
        chosen = self._columns
        labels = [chosen.labels] if chosen.labels else list(self._onehot)
        others: dict[str, str] = {}
        if self._has_split and chosen.split:
            others["split"] = chosen.split
        if with_images:
            others["image"] = chosen.images
        if with_images and chosen.group:
            others["group"] = chosen.group
        wanted = [*labels, *others.values()]
        for shard, table in zip(self._shards, self._tables, strict=True):
            part = TRAIN if shard.part is None else shard.part
            for row, values in table.rows(wanted):
                said = dict(zip(others, values[len(labels) :], strict=True))
                example = _Example(table, shard.name, row, said.get("image"), None, part, None)
                if "split" in said:
                    part = _part(said["split"], example.place, others["split"])
                group = None
                if "group" in said:
                    group = _group(said["group"], example.place, others["group"])
                label = self._label(values[: len(labels)], example)
                yield example._replace(label=label, part=part, group=group)

    @property
    def is_split(self) -> bool:
        """Whether the tables say of each image which part it is in."""
        return self._has_split or self._shards[0].part is not None

    def describe(self) -> str:
        """Which columns are read, some of which are guessed."""
        labels = f"`{self._columns.labels}`"
        if self._onehot:
            labels = f"`{self._onehot[0]}` ... `{self._onehot[-1]}`"
        split = f", parts from `{self._columns.split}`" if self._has_split else ""
        group = f", groups from `{self._columns.group}`" if self._columns.group else ""
        if self._columns.split and not self._has_split:
            split = f"; `{self._columns.split}` names no parts and is not used"
        images = f"images from the column `{self._columns.images}`"
        return f"{images}, labels from {labels}{group}{split}"

    def _names(self) -> tuple[str, ...] | None:
        if self._columns.labels is None:
            return None
        differing = {table.class_names(self._columns.labels) for table in self._tables}
        if len(differing) > 1:
            raise UsageError(f"{self._tables[0].path} and others beside it have different classes")
        class_names = differing.pop()
        if class_names is not None:
            check_names(class_names, self.where)
        return class_names

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
        if isinstance(value, bytes):
            value = _decoded(value, example.place)
        if not value:
            return None
        if self.named is None:
            return label_of(value)
        return named(value, self.named, example.place)


def preview(recipe: DataRecipe, _: Shape) -> Preview:
    """The classes; no image is looked for."""
    tables = _Tables(recipe)
    if tables.named:
        return Preview(tables.named, None)
    labels = {example.label for example in tables.examples(with_images=False)}
    return Preview(in_order({label for label in labels if label is not None}, tables.where), None)


def load(recipe: DataRecipe, _: Shape) -> LabelledImages:
    """The images that the tables name or hold, each looked at, and their labels."""
    tables = _Tables(recipe)
    rows = _Rows()
    for example in tables.examples(with_images=True):
        rows.add(example)
    listing = rows.collected.listing(
        f"table {tables.where}",
        tables.where,
        tables.named,
        (tables.describe(), *rows.elsewhere()),
        is_split=tables.is_split,
    )
    return inspection.load(recipe, listing)


class _Rows:
    """The images of tables' rows, found one by one."""

    def __init__(self) -> None:
        self.collected = ImageCollection()
        self._finders: dict[Path, ImageFinder] = {}
        self._first: dict[str, _Example] = {}
        """The first row of each file."""

    def add(self, example: _Example) -> None:
        """Note a row; raise `UsageError` where it contradicts another."""
        image, label = example.image, example.label
        if label is None:
            self.collected.add_unlabelled(example.name, example.part)
        elif isinstance(image, bytes):
            number = self.collected.unpack(image)
            identity = f"{example.shard}:{example.row}"
            self._note(number, example.place, identity, label, example)
        elif image is None:
            self.collected.add_missing(example.name, label, "no image")
        else:
            self._refer(example, image, label)

    def _refer(self, example: _Example, text: str, label: str) -> None:
        table = example.table
        finder = self._finders.get(table.path)
        if finder is None:
            finder = self._finders[table.path] = ImageFinder(table.path, text)
        path = finder.find(text)
        if path is None:
            self.collected.add_missing(example.name, label, _absence(table, finder.folder, text))
            return
        before = self._first.setdefault(str(path), example)
        if before is example:
            self._note(str(path), str(path), text, label, example)
            return
        for what, here, there in (
            ("class", label, before.label),
            ("part of the data", example.part, before.part),
            ("group", example.group, before.group),
        ):
            if here != there:
                raise UsageError(
                    f"{example.name} has another {what} than in {before.place}: "
                    "an image has one; remove a row"
                )
        self.collected.leave_out(example.name, f"the image of {before.place} again")

    def _note(
        self, image: str | int, name: str, identity: str, label: str, example: _Example
    ) -> None:
        self.collected.add(image, name, identity, label, example.part, example.group)

    def elsewhere(self) -> tuple[str, ...]:
        """In which folders the images are, where they are not the tables'."""
        folders = {
            finder.folder for path, finder in self._finders.items() if finder.folder != path.parent
        }
        return tuple(f"the images of the table are in {folder}" for folder in sorted(folders))


def _absence(table: ImageTable, folder: Path, text: str) -> str:
    """Why there is no image of such a name."""
    if "://" in text:
        return "a URL: download the images"
    if table.pictures:
        return "no bytes in the table, and no file at this path: it may be of another machine"
    return "no such file" if Path(text).is_absolute() else f"no such file in {folder}"


def _open(path: Path) -> ImageTable:
    if path.suffix.lower() == ".parquet":
        from archspec.data.parquettable import ParquetTable  # noqa: PLC0415

        return ParquetTable(path)
    return CsvTable(path)


def _decoded(label: bytes, place: str) -> str:
    try:
        return label.decode().strip()
    except UnicodeDecodeError:
        raise UsageError(f"{place}: the label is bytes, and no text") from None


def _part(value: Value, place: str, column: str) -> int:
    part = PARTS.get(str(value).lower())
    if part is None:
        shown = f"`{legible(str(value)[:60])}`" if value is not None else "nothing"
        raise UsageError(
            f"{place}: the column `{column}` says {shown}, but must say of each image that "
            "it is train, validation or test"
        )
    return part


def _group(value: Value, place: str, column: str) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{place}: the column `{column}`, to `group` by, says nothing")
    return value


def _one(value: Value) -> bool:
    return isinstance(value, str) and float(value) == 1


def _onehot(tables: Sequence[ImageTable], chosen: ChosenColumns) -> tuple[str, ...]:
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
        hint = suggestion("", names, what="its other columns")
        raise UsageError(
            f"{first.path}: which column holds the labels is not obvious; "
            f"say it as `labels: COLUMN`; {hint}"
        )
    return tuple(found)
