"""`table`: a CSV, TSV or Parquet file with a column of images and one of labels, or several such.

An image is a path, relative to the table, or in Parquet may be the encoded image itself. Its label
is a class, a set of labels, or one or several numbers (`tablelabels.py`).
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from archspec.data import columns, filetypes, inspection
from archspec.data.collecting import ImageCollection, Label
from archspec.data.columns import ChosenColumns
from archspec.data.csvtable import CsvTable
from archspec.data.examples import LabelledImages, Preview
from archspec.data.names import PARTS, TRAIN, check_names, legible
from archspec.data.shards import shards
from archspec.data.tablelabels import LabelReader, TableValue
from archspec.data.task import TaskKind
from archspec.errors import UsageError, suggestion
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    from archspec.data.parquettable import ParquetTable
    from archspec.data.recipe import DataRecipe

SUFFIXES: Final = (".csv", ".tsv", ".parquet")

MOST_FOLDERS: Final = 1_000
"""Folders beside a table that are searched for its images."""

ImageTable: TypeAlias = "CsvTable | ParquetTable"


class _Example(NamedTuple):
    """A row of a table."""

    table: ImageTable
    shard: str
    row: int
    image: TableValue
    label: Label | None
    part: int
    group: str | None

    @property
    def place(self) -> str:
        return self.table.place(self.row)

    @property
    def name(self) -> str:
        """Name of the image in messages."""
        text = f": {legible(self.image)}" if isinstance(self.image, str) else ""
        return self.place + text


class _Tables:
    """All tables of a source, read as one."""

    def __init__(self, recipe: DataRecipe, kind: TaskKind = "classification") -> None:
        """Open the tables, whose labels are read for a kind of task."""
        self.where = recipe.path or ""
        self._kind = kind
        self._separator = recipe.separator
        self._shards = shards(self.where, SUFFIXES)
        self._tables = [_open(shard.path) for shard in self._shards]
        first = self._tables[0]
        self._columns = chosen = columns.choose(
            recipe, str(first.path), first.columns, first.pictures, first.first
        )
        needed = [chosen.images, *chosen.labels, chosen.split, chosen.group]
        for table in self._tables[1:]:
            if missing := [name for name in needed if name and name not in table.columns]:
                raise UsageError(
                    f"{table.path} has no column `{missing[0]}`, which {first.path} has"
                )
        self._label_columns = chosen.labels or _onehot(self._tables, chosen)
        self.class_names = self._class_names()
        self.reader = LabelReader(self._label_columns, self.class_names, self._separator)
        self._has_split = chosen.split is not None and self._says_parts()

    def examples(self, *, with_images: bool) -> Iterator[_Example]:
        """Yield all rows."""
        chosen = self._columns
        labels = list(self._label_columns)
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
                value = dict(zip(others, values[len(labels) :], strict=True))
                example = _Example(table, shard.name, row, value.get("image"), None, part, None)
                if "split" in value:
                    part = _part(value["split"], example.place, others["split"])
                group = None
                if "group" in value:
                    group = _group(value["group"], example.place, others["group"])
                label = self.reader.read(self._kind, values[: len(labels)], example.place)
                yield example._replace(label=label, part=part, group=group)

    def all_labels(self) -> Iterator[tuple[Sequence[TableValue], str]]:
        """Yield the cells of labels of all rows, with the place of each row."""
        for table in self._tables:
            for row, values in table.rows(self._label_columns):
                yield values, table.place(row)

    @property
    def is_split(self) -> bool:
        """Whether the tables say for each image which part it is in."""
        return self._has_split or self._shards[0].part is not None

    def describe(self) -> str:
        """Return which columns are read, since some of them are guessed."""
        first, *more = self._label_columns
        labels = f"`{first}`" + (f" ... `{more[-1]}`" if more else "")
        split = f", parts from `{self._columns.split}`" if self._has_split else ""
        group = f", groups from `{self._columns.group}`" if self._columns.group else ""
        if self._columns.split and not self._has_split:
            split = f"; `{self._columns.split}` names no parts and is not used"
        images = f"images from the column `{self._columns.images}`"
        return f"{images}, labels from {labels}{group}{split}"

    def _class_names(self) -> tuple[str, ...] | None:
        if len(self._label_columns) > 1:
            return None
        differing = {table.class_names(self._label_columns[0]) for table in self._tables}
        if len(differing) > 1:
            raise UsageError(f"{self._tables[0].path} and others beside it have different classes")
        class_names = differing.pop()
        if class_names is not None:
            check_names(class_names, self.where)
        return class_names

    def _says_parts(self) -> bool:
        """Return whether the column's values are parts; a column that is guessed may have others.

        Raises `UsageError` for other values in a column that the recipe names, or among parts.
        """
        column = str(self._columns.split)
        other = part = None
        for table in self._tables:
            for row, (value,) in table.rows([column]):
                if str(value).lower() in PARTS:
                    part = part or str(value)
                else:
                    other = other or (table.place(row), value)
                if other and (part or not self._columns.split_is_guessed):
                    _part(other[1], other[0], column)
        return part is not None


def preview(recipe: DataRecipe, _: Shape) -> Preview:
    """Return what the labels may be, without a look at images."""
    tables = _Tables(recipe)
    return tables.reader.preview(tables.all_labels(), tables.where)


def load(recipe: DataRecipe, _: Shape, kind: TaskKind = "classification") -> LabelledImages:
    """Return the images that the tables name or contain, each inspected, and their labels."""
    tables = _Tables(recipe, kind)
    names = None
    if kind != "classification":
        names = tables.reader.preview(tables.all_labels(), tables.where).names[kind]
    rows = _Rows(names)
    for example in tables.examples(with_images=True):
        rows.add(example)
    listing = rows.collected.listing(
        f"table {tables.where}",
        tables.where,
        tables.class_names,
        (tables.describe(), *rows.elsewhere()),
        is_split=tables.is_split,
    )
    return inspection.load(recipe, listing)


class _Rows:
    """The images of tables' rows, found one by one."""

    def __init__(self, names: tuple[str, ...] | None = None) -> None:
        """Begin; `names` are those of labels or values, which are not classes."""
        self.collected = ImageCollection(names)
        self._finders: dict[Path, _ImageFinder] = {}
        self._first: dict[str, _Example] = {}
        """The first row of each image file."""

    def add(self, example: _Example) -> None:
        """Add a row's image; raise `UsageError` if the row contradicts another."""
        image, label = example.image, example.label
        if label is None:
            self.collected.add_unlabelled(example.name, example.part)
        elif isinstance(image, bytes):
            number, identity = self.collected.unpack(image), f"{example.shard}:{example.row}"
            self.collected.add(number, example.place, identity, label, example.part, example.group)
        elif image is None:
            self.collected.add_missing(example.name, label, "no image")
        else:
            self._add_file(example, image, label)

    def _add_file(self, example: _Example, text: str, label: Label) -> None:
        table = example.table
        finder = self._finders.get(table.path)
        if finder is None:
            finder = self._finders[table.path] = _ImageFinder(table.path, text)
        file = finder.find(text)
        if file is None:
            self.collected.add_missing(example.name, label, _absence(table, finder.folder, text))
            return
        path = str(file)
        before = self._first.setdefault(path, example)
        if before is example:
            self.collected.add(path, path, text, label, example.part, example.group)
            return
        for what, own, other in (
            ("class" if isinstance(label, str) else "label", label, before.label),
            ("part of the data", example.part, before.part),
            ("group", example.group, before.group),
        ):
            if own != other:
                raise UsageError(
                    f"{example.name} has another {what} than the same image in {before.place}: "
                    "remove one of the rows"
                )
        self.collected.leave_out(example.name, f"the image of {before.place} again")

    def elsewhere(self) -> tuple[str, ...]:
        """Return lines about images that are in other folders than their tables."""
        folders = {
            finder.folder for path, finder in self._finders.items() if finder.folder != path.parent
        }
        return tuple(f"the images of the table are in {folder}" for folder in sorted(folders))


class _ImageFinder:
    """The files that a table's paths mean, which may lack a suffix or a folder beside the table."""

    def __init__(self, table: Path, first: str) -> None:
        """`first` is the first path in `table`: it shows in which folder the images are."""
        self._table = table
        self._suffix = ""  # that of the last file whose path lacked it
        self.folder = table.parent
        """The folder that paths are relative to."""
        if self.find(first) is None:
            self.folder = self._beside(first) or self.folder

    def find(self, text: str) -> Path | None:
        """Return the file that a path means; None if there is none."""
        return self._in_folder(self.folder, text) or (
            self._in_folder(self.folder, text.replace("\\", "/")) if "\\" in text else None
        )

    def _in_folder(self, folder: Path, text: str) -> Path | None:
        path = folder / text
        if _is_file(path):
            return path
        suffixes = filetypes.SUFFIXES
        for suffix in (self._suffix, *suffixes, *map(str.upper, suffixes)):
            longer = path.with_name(path.name + suffix) if path.name else path
            if suffix and _is_file(longer):
                self._suffix = suffix
                return longer
        return None

    def _beside(self, text: str) -> Path | None:
        """Return the folder beside the table that has the file."""
        try:
            entries = sorted(self.folder.iterdir())[:MOST_FOLDERS]
        except OSError:
            return None
        folders = [each for each in entries if each.is_dir() and not each.name.startswith(".")]
        holding = [each for each in folders if self._in_folder(each, text)]
        if len(holding) > 1:  # train_images/ and test_images/ beside train.csv
            word = _first_word(self._table.stem)
            holding = [each for each in holding if _first_word(each.name) == word] or holding
        if len(holding) > 1:
            raise UsageError(
                f"`{text}` of {self._table} is in {holding[0].name}/ and in {holding[1].name}/: "
                "move the table into the folder of its images"
            )
        return holding[0] if holding else None


def _first_word(name: str) -> str:
    return re.split(r"[\W_]+", name.lower(), maxsplit=1)[0]


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):  # ValueError: a null character
        return False


def _absence(table: ImageTable, folder: Path, text: str) -> str:
    """Return why there is no image at a path."""
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


def _part(value: TableValue, place: str, column: str) -> int:
    part = PARTS.get(str(value).lower())
    if part is None:
        shown = f"`{legible(str(value)[:60])}`" if value is not None else "nothing"
        raise UsageError(
            f"{place}: the column `{column}` says {shown}, but must say train, validation or test "
            "for each image"
        )
    return part


def _group(value: TableValue, place: str, column: str) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{place}: the column `{column}`, which `group` names, is empty")
    return value


def _onehot(tables: Sequence[ImageTable], chosen: ChosenColumns) -> tuple[str, ...]:
    """Return the columns that are 0 or 1 in each row: one for each class that occurs."""
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
    onehot = [name for name, *right in zip(names, is_binary, occurs, strict=True) if all(right)]
    if len(onehot) < 2:
        hint = suggestion("", names, what="its other columns")
        raise UsageError(
            f"{first.path}: which column holds the labels is not obvious; "
            f"name it: `labels: COLUMN`; {hint}"
        )
    return tuple(onehot)
