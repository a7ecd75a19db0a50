"""Names of a table's columns -> those of images, features, labels and parts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from archspec.data.filetypes import SUFFIXES
from archspec.errors import Problem, RecipeError, UsageError, suggestion
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    from archspec.data.csvtable import CsvTable
    from archspec.data.parquettable import ParquetTable
    from archspec.data.recipe import DataRecipe

ImageTable: TypeAlias = "CsvTable | ParquetTable"

IMAGES: Final = (
    ("filename", "filepath", "file", "path", "fname", "imagepath", "imagefile", "imagename"),
    ("image", "images", "img", "imagefilename", "imgpath", "imgname", "photo", "picture"),
    ("id", "imageid", "imgid"),
)
"""Usual names of a column of images, likelier ones first, without punctuation and case."""

LABELS: Final = (
    ("label", "labels", "class", "classes", "category", "classname", "labelname", "categoryname"),
    ("target", "y", "classid", "labelid", "categoryid", "finelabel"),
)

SPLITS: Final = (("split", "subset", "partition", "part", "set", "fold", "usage", "datasplit"),)


class ChosenColumns(NamedTuple):
    """The columns that are read."""

    images: Mapping[str, str]
    """The column of each input that is an image, by the input's name."""
    features: Mapping[str, tuple[str, ...]]
    """The columns of each input that is a vector, by the input's name."""
    labels: tuple[str, ...]
    """Columns of labels: usually one; empty if each class may have a column."""
    split: str | None
    split_is_guessed: bool
    group: str | None
    """None if the recipe's `group` is a pattern of names, not a column."""

    @property
    def numbers(self) -> list[str]:
        """The columns of all features, input by input."""
        return _values(self.features)

    def by_input(self, numbers: Iterator[Any]) -> dict[str, list[Any]]:
        """Return the next values of the columns `numbers`, by the input that they are for."""
        return {name: list(islice(numbers, len(names))) for name, names in self.features.items()}


def choose(recipe: DataRecipe, table: ImageTable, inputs: Mapping[str, Shape]) -> ChosenColumns:
    """Return the columns that a recipe names, or else those with usual names.

    Raises:
        UsageError: A column does not exist, or it is not obvious which one is meant.
        RecipeError: `images` or `features` are not for these inputs.

    """
    where, columns = str(table.path), table.columns
    for role, name in (
        *(("images", name) for name in _values(recipe.images)),
        *(("features", name) for name in _values(recipe.features)),
        *(("labels", name) for name in recipe.label_columns),
        ("split", recipe.split),
    ):
        if name is not None and name not in columns:
            hint = suggestion(name, columns, what="its columns")
            raise UsageError(f"{where} has no column `{name}`, which `{role}` names; {hint}")
    images = {}
    if wanted := [name for name, shape in inputs.items() if shape.rank]:
        images = _images_of(recipe, wanted, table)
    elif recipe.images is not None:
        raise _for_others("images", "the network takes no images")
    vectors = [name for name, shape in inputs.items() if not shape.rank]
    features = _features(recipe, vectors)
    taken = {*images.values(), *_values(features)}
    others = [name for name in columns if name not in taken]
    labels = recipe.label_columns
    if not labels and (usual := one_of(where, "labels", LABELS, others)):
        labels = (usual,)
    others = [name for name in others if name not in labels]
    split = recipe.split or one_of(where, "split", SPLITS, others)
    group = recipe.group if recipe.group in columns else None
    if vectors and not features:
        features = {vectors[0]: tuple(n for n in others if n not in (*labels, split, group))}
    return ChosenColumns(images, features, labels, split, recipe.split is None, group)


def _values(given: str | Sequence[str] | Mapping[str, str | Sequence[str]] | None) -> list[str]:
    """Return all names of columns in a recipe's `images` or `features`."""
    if given is None or isinstance(given, str):
        return [] if given is None else [given]
    if isinstance(given, Mapping):
        return [name for value in given.values() for name in _values(value)]
    return list(given)


def _images_of(recipe: DataRecipe, wanted: Sequence[str], table: ImageTable) -> dict[str, str]:
    """Return the column of each input that is an image."""
    if isinstance(recipe.images, Mapping):
        _check_inputs("images", recipe.images, wanted)
        return {name: recipe.images[name] for name in wanted}
    if len(wanted) == 1:
        return {wanted[0]: recipe.images or _images(recipe, table)}
    if recipe.images is None and all(name in table.columns for name in wanted):
        return {name: name for name in wanted}
    example = ", ".join(f"{name}: COLUMN" for name in wanted)
    raise _for_others(
        "images",
        f"the network has several inputs of images ({', '.join(wanted)})",
        f"name the column of each: `images: {{{example}}}`; "
        + suggestion("", table.columns, what="the columns"),
    )


def _features(recipe: DataRecipe, wanted: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the columns that a recipe names for each input that is a vector."""
    given = recipe.features
    if given is not None and not wanted:
        raise _for_others("features", "no input of the network is a vector")
    if isinstance(given, Mapping):
        _check_inputs("features", given, wanted)
        return {name: given[name] for name in wanted}
    if len(wanted) > 1:
        example = ", ".join(f"{name}: [COLUMN, ...]" for name in wanted)
        raise _for_others(
            "features",
            f"the network has several inputs that are vectors ({', '.join(wanted)})",
            f"name the columns of each: `features: {{{example}}}`",
        )
    return {} if given is None else {wanted[0]: given}


def _check_inputs(key: str, given: Mapping[str, object], wanted: Sequence[str]) -> None:
    """Raise `RecipeError` unless columns are named for each input that wants them, and no other."""
    for name in given:
        if name not in wanted:
            what = "an image" if key == "images" else "a vector"
            hint = suggestion(name, wanted, what="such inputs")
            raise _for_others(key, f"the network has no input `{name}` that is {what}", hint)
    for name in wanted:
        if name not in given:
            raise _for_others(key, f"the input `{name}` is not among them", "name its columns too")


def _for_others(key: str, message: str, hint: str = "leave it out") -> RecipeError:
    return RecipeError([(("data", key), Problem("value", f"`{key}`: {message}", help=hint))])


def _images(recipe: DataRecipe, table: ImageTable) -> str:
    """Return the only column of images, by its type, its name or the path in the first row."""
    where, columns = str(table.path), table.columns
    # Labels may be stored as bytes, too.
    labels = recipe.label_columns
    pictures = [n for n in table.pictures if n not in labels and not _is_called(n, LABELS)]
    if len(pictures) == 1:
        return pictures[0]
    if pictures:
        raise _several(where, "images", pictures)
    if named := one_of(where, "images", IMAGES, columns):
        return named
    telling = [
        name
        for name, value in zip(columns, table.first, strict=False)
        if value.lower().endswith(SUFFIXES)
    ]
    if len(telling) == 1:
        return telling[0]
    hint = suggestion("", columns, what="its columns")
    raise UsageError(
        f"{where}: which column holds the images is not obvious; name it: `images: COLUMN`; {hint}"
    )


def one_of(
    table: str, role: str, tiers: Sequence[Sequence[str]], columns: Sequence[str]
) -> str | None:
    """Return the column whose name is in the first of `tiers` that has one, or None.

    Raises `UsageError` if a tier has several.
    """
    for tier in tiers:
        named = [name for name in columns if _is_called(name, [tier])]
        if len(named) > 1:
            raise _several(table, role, named)
        if named:
            return named[0]
    return None


def _is_called(name: str, tiers: Sequence[Sequence[str]]) -> bool:
    plain = re.sub(r"[\W_]", "", name.lower())
    return any(plain in tier for tier in tiers)


def _several(table: str, role: str, columns: Sequence[str]) -> UsageError:
    named = ", ".join(f"`{name}`" for name in columns)
    return UsageError(
        f"{table}: each of the columns {named} may be meant; name one, as `{role}: {columns[0]}`"
    )
