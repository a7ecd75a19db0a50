"""Names of a table's columns -> those of images, labels and parts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from archspec.data.filetypes import SUFFIXES
from archspec.errors import UsageError, suggestion

if TYPE_CHECKING:
    from archspec.data.recipe import DataRecipe

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

    images: str
    labels: tuple[str, ...]
    """Columns of labels: usually one; empty if each class may have a column."""
    split: str | None
    split_is_guessed: bool
    group: str | None
    """None if the recipe's `group` is a pattern of names, not a column."""


def choose(
    recipe: DataRecipe,
    table: str,
    columns: Sequence[str],
    pictures: Sequence[str],
    first: Sequence[str],
) -> ChosenColumns:
    """Return the columns that a recipe names, or else those with usual names.

    Args:
        recipe: Its `images`, `labels` and `split` name columns, its `group` may.
        table: The table's name in messages.
        columns: All columns.
        pictures: Columns of encoded images, by their type.
        first: The values of the first row, among which a path shows the column of images.

    Raises:
        UsageError: A column does not exist, or it is not obvious which one is meant.

    """
    for role, name in (
        ("images", recipe.images),
        *(("labels", name) for name in recipe.label_columns),
        ("split", recipe.split),
    ):
        if name is not None and name not in columns:
            hint = suggestion(name, columns, what="its columns")
            raise UsageError(f"{table} has no column `{name}`, which `{role}` names; {hint}")
    # Labels may be stored as bytes, too.
    pictures = [
        name
        for name in pictures
        if name not in recipe.label_columns and not _is_called(name, LABELS)
    ]
    images = recipe.images or _images(table, columns, pictures, first)
    others = [name for name in columns if name != images]
    labels = recipe.label_columns
    if not labels and (usual := one_of(table, "labels", LABELS, others)):
        labels = (usual,)
    others = [name for name in others if name not in labels]
    split = recipe.split or one_of(table, "split", SPLITS, others)
    group = recipe.group if recipe.group in columns else None
    return ChosenColumns(images, labels, split, recipe.split is None, group)


def _images(
    table: str, columns: Sequence[str], pictures: Sequence[str], first: Sequence[str]
) -> str:
    if len(pictures) == 1:
        return pictures[0]
    if pictures:
        raise _several(table, "images", pictures)
    if named := one_of(table, "images", IMAGES, columns):
        return named
    telling = [
        name
        for name, value in zip(columns, first, strict=False)
        if value.lower().endswith(SUFFIXES)
    ]
    if len(telling) == 1:
        return telling[0]
    hint = suggestion("", columns, what="its columns")
    raise UsageError(
        f"{table}: which column holds the images is not obvious; name it: `images: COLUMN`; {hint}"
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
