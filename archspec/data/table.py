"""`table`: a CSV, TSV or Parquet file with columns of images, of features and of labels.

An image is a path, relative to the table, or in Parquet may be the encoded image itself. Features
are numbers, for an input that is a vector. A label is a class, a set of labels, or one or several
numbers (`tablelabels.py`).
"""

from __future__ import annotations

import hashlib
import re
import stat
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from archspec.data import columns, filetypes, inspection
from archspec.data.collecting import ImageCollection, Label
from archspec.data.columns import ChosenColumns, ImageTable
from archspec.data.csvtable import CsvTable
from archspec.data.examples import LabelledImages, Preview
from archspec.data.names import PARTS, TRAIN, check_names, legible
from archspec.data.shards import shards
from archspec.data.tablelabels import LARGEST, LabelReader, TableValue
from archspec.data.task import TaskKind
from archspec.data.values import measure
from archspec.errors import Problem, RecipeError, UsageError, first_few, listed, suggestion
from archspec.lazy import np
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    from archspec.data.recipe import DataRecipe

SUFFIXES: Final = (".csv", ".tsv", ".parquet")

MOST_FOLDERS: Final = 1_000
"""Folders beside a table that are searched for its images."""

TRUTH: Final = {"true": 1.0, "false": 0.0}
"""Words for yes and no in a column of features, as pandas and Parquet write them."""


class _Example(NamedTuple):
    """A row of a table."""

    table: ImageTable
    shard: str
    row: int
    images: Mapping[str, TableValue]
    """The image of each input."""
    features: Mapping[str, Sequence[TableValue]]
    """The cells of each input that is a vector."""
    label: Label | None
    part: int
    group: str | None

    @property
    def place(self) -> str:
        return self.table.place(self.row)

    @property
    def image(self) -> TableValue:
        """The image, or that of the first input; None where there is none."""
        return next(iter(self.images.values()), None)

    @property
    def name(self) -> str:
        """Name of the image in messages."""
        text = f": {legible(self.image)}" if isinstance(self.image, str) else ""
        return self.place + text


class Reading(NamedTuple):
    """Facts by which a program reads a table of text for a network of one input."""

    delimiter: str
    encoding: str
    image: str | None
    """The column of images; None for features."""
    folder: Path
    """The folder in which images are."""
    suffix: str
    """The suffix that paths of images lack."""
    features: tuple[str, ...]
    has_words: bool
    """Whether some features are the words true and false."""
    labels: tuple[str, ...]
    split: str | None
    parts: Mapping[str, int]
    """TRAIN, VALIDATION or TEST by each word in the column of parts, in lower case."""
    cells: tuple[str, ...]
    """The cells of the first column of labels, without empty ones."""
    has_gaps: bool
    """Whether rows lack a label."""


class _Tables:
    """All tables of a source, read as one."""

    def __init__(
        self,
        recipe: DataRecipe,
        inputs: Mapping[str, Shape],
        kind: TaskKind = "classification",
    ) -> None:
        """Open the tables, whose labels are read for a kind of task."""
        self.where = recipe.path or ""
        self._kind = kind
        self._separator = recipe.separator
        self._shards = shards(self.where, SUFFIXES)
        self._tables = [_open(shard.path) for shard in self._shards]
        first = self._tables[0]
        self._columns = chosen = columns.choose(recipe, first, inputs)
        self.images, self.features = chosen.images, chosen.features
        pictures = chosen.images.values()
        needed = [*pictures, *chosen.numbers, *chosen.labels, chosen.split, chosen.group]
        for table in self._tables[1:]:
            if missing := [name for name in needed if name and name not in table.columns]:
                raise UsageError(
                    f"{table.path} has no column `{missing[0]}`, which {first.path} has"
                )
        self.inputs = tuple(inputs)
        if chosen.features and not chosen.labels:
            hint = suggestion("", first.columns, what="its columns")
            raise UsageError(
                f"{first.path}: which column holds the labels is not obvious; name it: "
                f"`labels: COLUMN`; {hint}"
            )
        self._label_columns = chosen.labels or _onehot(self._tables, chosen)
        self.class_names = self._class_names()
        self.reader = LabelReader(self._label_columns, self.class_names, self._separator)
        self._has_split = chosen.split is not None and self._says_parts()

    def examples(self) -> Iterator[_Example]:
        """Yield all rows."""
        chosen = self._columns
        labels = list(self._label_columns)
        split = chosen.split if self._has_split else None
        wanted = [
            *labels,
            *chosen.images.values(),
            *chosen.numbers,
            *(name for name in (split, chosen.group) if name),
        ]
        for shard, table in zip(self._shards, self._tables, strict=True):
            part = TRAIN if shard.part is None else shard.part
            for row, values in table.rows(wanted):
                rest = iter(values[len(labels) :])
                images = {name: next(rest) for name in chosen.images}
                features = chosen.by_input(rest)
                example = _Example(table, shard.name, row, images, features, None, part, None)
                if split:
                    part = _part(next(rest), example.place, split)
                group = _group(next(rest), example.place, chosen.group) if chosen.group else None
                label = self.reader.read(self._kind, values[: len(labels)], example.place)
                yield example._replace(label=label, part=part, group=group)

    def all_labels(self) -> Iterator[tuple[Sequence[TableValue], str]]:
        """Yield the cells of labels of all rows, with the place of each row."""
        for table in self._tables:
            for row, values in table.rows(self._label_columns):
                yield values, table.place(row)

    def numbers(
        self, recipe: DataRecipe, features: Mapping[str, Sequence[TableValue]], place: str
    ) -> dict[str, list[float]] | UsageError:
        """Return a row's features for each input; under `on_error: skip`, why there are none.

        Raises `UsageError` otherwise.
        """
        try:
            return {
                name: [
                    _number(cell, column, place)
                    for column, cell in zip(names, features[name], strict=True)
                ]
                for name, names in self.features.items()
            }
        except UsageError as error:
            if recipe.on_error == "skip":
                return error
            remedy = "" if self.images else "; or leave such rows out: `on_error: skip`"
            raise UsageError(f"{error}{remedy}") from None

    def check_features(self, recipe: DataRecipe) -> None:
        """Raise `UsageError` if a row with a label has features that are not numbers."""
        labels, chosen = self._label_columns, self._columns
        for table in self._tables if chosen.features else ():
            for row, values in table.rows([*labels, *chosen.numbers]):
                if self._separator or None not in values[: len(labels)]:
                    features = chosen.by_input(iter(values[len(labels) :]))
                    self.numbers(recipe, features, table.place(row))

    @property
    def is_split(self) -> bool:
        """Whether the tables say for each image which part it is in."""
        return self._has_split or self._shards[0].part is not None

    def reading(self) -> Reading | None:
        """Return how the only table is read; None if that is not said by its columns."""
        table, *others = self._tables
        if others or not isinstance(table, CsvTable) or self._columns.group:
            return None
        image, split = self.images.get(""), self._columns.split if self._has_split else None
        first = self._label_columns[0]
        cells: list[str | None] = []
        parts: dict[str, int] = {}
        finder: _ImageFinder | None = None
        features = self.features.get("", ())
        has_words = False
        wanted = [first, image or first, split or first, *features]
        for row, (label, text, word, *numbers) in table.rows(wanted):
            has_words = has_words or any(str(each).lower() in TRUTH for each in numbers)
            cells.append(None if label is None else str(label))
            if split:
                parts[str(word).lower()] = _part(word, table.place(row), split)
            if image and finder is None:
                finder = _ImageFinder(table.path, str(text))
                finder.find(str(text))
        return Reading(
            table.delimiter,
            table.encoding,
            image,
            finder.folder if finder else table.path.parent,
            finder.suffix if finder else "",
            features,
            has_words,
            self._label_columns,
            split,
            parts,
            tuple(each for each in cells if each is not None),
            None in cells,
        )

    def describe(self) -> str:
        """Return which columns are read, since some of them are guessed."""
        first, *more = self._label_columns
        labels = f"`{first}`" + (f" ... `{more[-1]}`" if more else "")
        split = f", parts from `{self._columns.split}`" if self._has_split else ""
        group = f", groups from `{self._columns.group}`" if self._columns.group else ""
        if self._columns.split and not self._has_split:
            split = f"; `{self._columns.split}` names no parts and is not used"
        images = _described(self._columns)
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


def _described(chosen: ChosenColumns) -> str:
    """Return which columns the inputs are read from."""
    if len(chosen.images) == 1 and not chosen.features:
        return f"images from the column `{next(iter(chosen.images.values()))}`"
    read = [f"{name or 'images'} from `{column}`" for name, column in chosen.images.items()]
    for name, columns_ in chosen.features.items():
        more = " ... " if len(columns_) > 2 else " and "
        ends = more.join(f"`{each}`" for each in dict.fromkeys((columns_[0], columns_[-1])))
        read.append(f"{name or 'features'} from {ends}")
    return ", ".join(read)


def reading_of(recipe: DataRecipe, input_shape: Shape) -> Reading | None:
    """Return how a table is read; None for several files, for Parquet and for groups."""
    return _Tables(recipe, {"": input_shape}).reading()


def preview(recipe: DataRecipe, inputs: Mapping[str, Shape]) -> Preview:
    """Return what the labels may be, and the columns of features, without a look at images."""
    tables = _Tables(recipe, inputs)
    found = tables.reader.preview(tables.all_labels(), tables.where)
    for name, names in tables.features.items():
        shape = inputs[name]
        if len(names) != shape.channels:
            what = f"the input `{name}`" if name else "the input"
            message = (
                f"{what} takes {shape.channels:,} numbers, and {tables.where} has {len(names):,} "
                f"columns for it: {listed(names)}"
            )
            hint = f"use an input of [{len(names)}], or name the columns: `features: [COLUMN, ...]`"
            raise RecipeError([(("data", "features"), Problem("shape", message, help=hint))])
    tables.check_features(recipe)
    every = {name: None if shape.rank else shape for name, shape in inputs.items()}
    own, shapes = (None, every) if len(inputs) > 1 else (every[""], {})
    return replace(found, shape=own, shapes=shapes, features=tables.features)


def load(
    recipe: DataRecipe, inputs: Mapping[str, Shape], kind: TaskKind = "classification"
) -> LabelledImages:
    """Return the images that the tables name or contain, each inspected, and their labels.

    Features are the examples of an input that is a vector.
    """
    tables = _Tables(recipe, inputs, kind)
    names = None
    if kind != "classification":
        names = tables.reader.preview(tables.all_labels(), tables.where).names[kind]
    if len(inputs) > 1 or tables.features:
        return _load_inputs(recipe, tables, names)
    rows = _Rows(names)
    for example in tables.examples():
        rows.add(example)
    return inspection.load(recipe, _listing(tables, rows))


def _listing(tables: _Tables, rows: _Rows) -> inspection.ImageListing:
    return rows.collected.listing(
        f"table {tables.where}",
        tables.where,
        tables.class_names,
        (tables.describe(), *rows.elsewhere()),
        is_split=tables.is_split,
    )


def _load_inputs(
    recipe: DataRecipe, tables: _Tables, names: tuple[str, ...] | None
) -> LabelledImages:
    """Return the examples of a network that takes features, or several images."""
    images = {name: _Rows(names, may_repeat=True) for name in tables.images}
    features = {name: array("f") for name in tables.features}
    bare = _Rows(names)
    for example in tables.examples():
        if example.label is None:
            for rows in (bare, *images.values()):
                rows.add_bare(example)
            continue
        numbers = tables.numbers(recipe, example.features, example.place)
        if isinstance(numbers, UsageError):
            bare.collected.add_missing(example.place, example.label, str(numbers))
            continue
        for name, rows in images.items():
            rows.add(example._replace(images={name: example.images[name]}))
        bare.add_bare(example)
        for name, values in numbers.items():
            features[name].extend(values)
    loaded = {
        name: inspection.load(recipe, _listing(tables, rows)) for name, rows in images.items()
    }
    base = next(iter(loaded.values()), None) or _of_rows(recipe, _listing(tables, bare))
    for name, floats in features.items():
        matrix = np.frombuffer(floats, np.float32).reshape(len(base.labels), -1)
        known = measure(matrix, tables.where)
        loaded[name] = replace(base, images=matrix, values=known, notes=())
    if len(loaded) == 1:
        (only,) = loaded.values()
        return replace(only, notes=base.notes)
    return replace(base, inputs={name: loaded[name] for name in tables.inputs})


def _of_rows(recipe: DataRecipe, listing: inspection.ImageListing) -> LabelledImages:
    """Return rows without images; raise `UsageError` if some have no label."""
    examples = listing.examples
    if listing.missing and recipe.on_error == "stop":
        shown = first_few([f"{name} ({why})" for name, why in listing.missing])
        raise UsageError(
            f"{len(listing.missing):,} rows of {listing.where} cannot be used: {shown}; "
            "complete them, or write `on_error: skip`"
        )
    if not len(examples.labels):
        raise UsageError(f"there are no rows with a label in {listing.where}")
    return replace(
        examples,
        images=np.empty((len(examples.labels), 0), np.float32),
        range=None,
        skipped=(*examples.skipped, *listing.missing),
        digest=hashlib.sha256(listing.stamp).hexdigest(),
    )


def _number(cell: TableValue, column: str, place: str) -> float:
    """Return a feature; raise `UsageError` if a cell is empty or not a finite number."""
    if cell is None:
        raise UsageError(f"{place}: `{column}` is empty, and a feature is a number: fill it in")
    text = str(cell).strip()
    try:
        number = TRUTH[text.lower()] if text.lower() in TRUTH else float(text)
    except ValueError:
        raise UsageError(
            f"{place}: `{column}` is `{legible(text[:40])}`, and a feature is a number: make a "
            "column of 0 and 1 for each of its values, or choose others: `features: [COLUMN, ...]`"
        ) from None
    if not abs(number) <= LARGEST:
        raise UsageError(f"{place}: `{column}` is {number:g}, and a feature is a finite number")
    return number


def unlabelled(
    path: Path, recipe: DataRecipe | None, inputs: Mapping[str, Shape]
) -> Iterator[tuple[str, dict[str, Any] | str]]:
    """Yield the place of each row of a table without labels, and what each input takes of it.

    That is an image's path or content, or the numbers of a vector; or the reason why there is none.
    The columns are those of `recipe`, the training's, if that is known.

    Raises:
        UsageError: The table cannot be read, or lacks a column.
        RecipeError: It is not clear which columns are meant.

    """
    from archspec.data.recipe import DataRecipe as Recipe  # noqa: PLC0415

    known = recipe is not None and recipe.source == "table"
    names = {key: getattr(recipe, key) for key in ("images", "features")} if known else {}
    table = _open(path)
    reading = Recipe(source="table", path=str(path), **names)
    chosen = columns.choose(reading, table, inputs)
    for name, each in chosen.features.items():
        if len(each) != inputs[name].channels:
            raise UsageError(
                f"{path} has {len(each):,} columns of features, and the network takes "
                f"{inputs[name].channels:,}"
            )
    rows = _Rows()
    for row, values in table.rows([*chosen.images.values(), *chosen.numbers]):
        rest, place = iter(values), table.place(row)
        given: dict[str, Any] = {}
        try:
            for name in chosen.images:
                given[name] = rows.place_of(table, next(rest))
            for name, each in chosen.features.items():
                given[name] = [_number(next(rest), column, place) for column in each]
        except UsageError as error:
            yield place, str(error).removeprefix(f"{place}: ")
        else:
            yield place, given


class _Rows:
    """The images of tables' rows, found one by one."""

    def __init__(self, names: tuple[str, ...] | None = None, *, may_repeat: bool = False) -> None:
        """Begin; `names` are those of labels or values, which are not classes.

        If images `may_repeat`, one may be in several rows, with other images or features.
        """
        self.collected = ImageCollection(names)
        self._may_repeat = may_repeat
        self._finders: dict[Path, _ImageFinder] = {}
        self._first: dict[str, _Example] = {}
        """The first row of each image file."""

    def add(self, example: _Example) -> None:
        """Add a row's image; raise `UsageError` if the row contradicts another."""
        label, part, group = example.label, example.part, example.group
        if label is None:
            self.collected.add_unlabelled(example.name, part)
            return
        try:
            file = self.place_of(example.table, example.image)
        except UsageError as error:
            self.collected.add_missing(example.name, label, str(error))
            return
        if isinstance(file, bytes):
            number, identity = self.collected.unpack(file), f"{example.shard}:{example.row}"
            self.collected.add(number, example.place, identity, label, part, group)
            return
        path = str(file)
        before = example if self._may_repeat else self._first.setdefault(path, example)
        if before is example:
            self.collected.add(path, path, str(example.image), label, part, group)
            return
        for what, own, other in (
            ("class" if isinstance(label, str) else "label", label, before.label),
            ("part of the data", part, before.part),
            ("group", group, before.group),
        ):
            if own != other:
                raise UsageError(
                    f"{example.name} has another {what} than the same image in {before.place}: "
                    "remove one of the rows"
                )
        self.collected.leave_out(example.name, f"the image of {before.place} again")

    def add_bare(self, example: _Example) -> None:
        """Add a row without its image."""
        if example.label is None:
            self.collected.add_unlabelled(example.place, example.part)
        else:
            place = example.place
            self.collected.add("", place, place, example.label, example.part, example.group)

    def place_of(self, table: ImageTable, image: TableValue) -> bytes | Path:
        """Return an image's content or file; raise `UsageError` if there is none."""
        if isinstance(image, bytes):
            return image
        if image is None:
            raise UsageError("no image")
        finder = self._finders.get(table.path)
        if finder is None:
            finder = self._finders[table.path] = _ImageFinder(table.path, image)
        file = finder.find(image)
        if file is None:
            raise UsageError(_absence(table, finder.folder, image))
        return file

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
        self.suffix = ""
        """Suffix of the last file whose path lacked it."""
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
        for suffix in (self.suffix, *suffixes, *map(str.upper, suffixes)):
            longer = path.with_name(path.name + suffix) if path.name else path
            if suffix and _is_file(longer):
                self.suffix = suffix
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
    names = [name for name in first.texts if name not in {*chosen.images.values(), chosen.split}]
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
