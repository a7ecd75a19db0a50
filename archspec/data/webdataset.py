"""`webdataset`: tar archives in which successive members with the same name are a sample.

`cats/0001.jpg` and `cats/0001.cls` are a sample: the suffix, which follows the first dot of a
file's name, is a member's kind. A plain archive is read where it lies; a gzipped one is unpacked
to a temporary file, because a shuffled epoch reads its images in random order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from archspec.data import filetypes, inspection, tarfiles
from archspec.data.collecting import ImageCollection
from archspec.data.columns import LABELS, one_of
from archspec.data.examples import LabelledImages, Preview
from archspec.data.names import TRAIN, in_order, label_of, legible
from archspec.data.shards import Shard, shards
from archspec.data.tarfiles import Member
from archspec.errors import UsageError
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    from archspec.data.recipe import DataRecipe

SUFFIXES: Final = (".tar", ".tar.gz", ".tgz")

MOST_TEXT_BYTES: Final = 2**20
"""Largest member that is read as a label."""

MOST_MEMBERS: Final = 1_000
"""Largest number of members of a sample."""

CLASS: Final = "cls"
JSON: Final = "json"
TEXT: Final = "txt"


class _Sample(NamedTuple):
    shard: Shard
    key: str
    texts: dict[str, bytes]
    """Content of the members that may be labels, by kind."""
    pictures: dict[str, tuple[Member, int]]
    """The pictures by kind, and their numbers in the collection."""

    @property
    def place(self) -> str:
        return f"{self.shard.path}: {legible(self.key)}"


def preview(recipe: DataRecipe, _: Shape) -> Preview:
    """Return the classes, for which all archives are read through."""
    where = recipe.path or ""
    labels = {label for _, label in _labelled(recipe, None)}
    return Preview(in_order({label for label in labels if label is not None}, where), None)


def load(recipe: DataRecipe, _: Shape) -> LabelledImages:
    """Return the pictures of all samples, each inspected, and their labels."""
    where = recipe.path or ""
    collected = ImageCollection()
    is_split = False
    for sample, label in _labelled(recipe, collected):
        part = TRAIN if sample.shard.part is None else sample.shard.part
        is_split = is_split or sample.shard.part is not None
        if label is None:
            collected.add_unlabelled(sample.place, part)
            continue
        kind = _picture(recipe, sample)
        if kind is None:
            collected.add_missing(sample.place, label, "no picture")
            continue
        member, number = sample.pictures[kind]
        name = f"{sample.shard.path}: {legible(member.name)}"
        collected.add(number, name, f"{sample.shard.name}/{member.name}", label, part)
    listing = collected.listing(f"webdataset {where}", where, None, is_split=is_split)
    return inspection.load(recipe, listing)


def _labelled(
    recipe: DataRecipe, collected: ImageCollection | None
) -> Iterator[tuple[_Sample, str | None]]:
    """Yield all samples with their classes; raise `UsageError` if none has a class."""
    where = recipe.path or ""
    first: _Sample | None = None
    labelled = False
    for sample in _samples(where, collected):
        label = _label(recipe, sample)
        first, labelled = first or sample, labelled or label is not None
        yield sample, label
    if first is None:
        raise UsageError(f"there is no sample in {where}, such as 0001.jpg with 0001.cls")
    if not labelled:
        members = ", ".join(f"`{kind}`" for kind in [*first.pictures, *first.texts])
        raise UsageError(
            f"no sample in {where} has a label in {recipe.label_name or 'cls, json or txt'}: "
            f"{first.place} has {members}; name the label's kind: `labels: KIND`"
        )


def _samples(where: str, collected: ImageCollection | None) -> Iterator[_Sample]:
    """Yield the samples of all archives, and add their pictures to `collected` if it is given."""
    for shard in shards(where, SUFFIXES):
        packed = tarfiles.is_packed(shard.path)
        sample = _Sample(shard, "", {}, {})
        seen: dict[str, str] = {}
        last = ""
        for member in tarfiles.members(shard.path):
            key, kind = _parted(member.name)
            if kind is None:
                continue
            if key != sample.key:
                if key in seen:
                    raise UsageError(
                        f"{shard.path}: the members of `{legible(key)}` do not follow each other: "
                        f"`{legible(last)}` is between `{legible(seen[key])}` and "
                        f"`{legible(member.name)}`; write the archive with `tar --sort=name`"
                    )
                if sample.key:
                    yield sample
                sample = _Sample(shard, key, {}, {})
            seen[key] = last = member.name
            if kind in sample.texts or kind in sample.pictures:
                raise UsageError(f"{shard.path} has two members `{legible(member.name)}`")
            if len(sample.texts) + len(sample.pictures) >= MOST_MEMBERS:
                raise UsageError(f"{sample.place} has more than {MOST_MEMBERS:,} members")
            if filetypes.by_suffix(f".{kind}"):
                number = -1
                if collected is not None and packed:
                    number = collected.unpack(member.read())
                elif collected is not None:
                    number = collected.ranges.add(shard.path, member.start, member.size)
                sample.pictures[kind] = member, number
            elif member.size <= MOST_TEXT_BYTES:
                sample.texts[kind] = member.read()
        if sample.key:
            yield sample


def _parted(name: str) -> tuple[str, str | None]:
    """Return a sample's name and a member's kind; None for a member that belongs to no sample."""
    folder, slash, file = name.removeprefix("./").rpartition("/")
    stem, dot, kind = file.partition(".")
    if not stem or not dot:
        return name, None
    return folder + slash + stem, kind.lower()


def _picture(recipe: DataRecipe, sample: _Sample) -> str | None:
    if recipe.image_name is not None:
        kind = recipe.image_name.lower().removeprefix(".")
        return kind if kind in sample.pictures else None
    if len(sample.pictures) > 1:
        named = ", ".join(f"`{kind}`" for kind in sample.pictures)
        raise UsageError(
            f"{sample.place} has several pictures: {named}; name one, "
            f"as `images: {next(iter(sample.pictures))}`"
        )
    return next(iter(sample.pictures), None)


def _label(recipe: DataRecipe, sample: _Sample) -> str | None:
    """Return a sample's class from its .cls, .json or .txt, or from what `labels` names."""
    wanted = recipe.label_name
    if wanted is not None and wanted.removeprefix(".") in sample.texts:
        return _text(sample, wanted.removeprefix("."))
    if wanted is None and CLASS in sample.texts:
        return _text(sample, CLASS)
    if JSON in sample.texts:
        values = _json(sample)
        key = wanted or one_of(f"{sample.place}.json", "labels", LABELS, list(values))
        if key is not None and key in values:
            value = values[key]
            if isinstance(value, (list, dict)):
                raise UsageError(f"{sample.place}.json: `{key}` is not a single label")
            return None if value is None else label_of(str(value).strip()) or None
    if wanted is None and TEXT in sample.texts:
        return _text(sample, TEXT)
    return None


def _text(sample: _Sample, kind: str) -> str | None:
    try:
        return label_of(sample.texts[kind].decode().strip()) or None
    except UnicodeDecodeError:
        raise UsageError(f"{sample.place}.{kind} is not text") from None


def _json(sample: _Sample) -> Mapping[str, Any]:
    try:
        values = json.loads(sample.texts[JSON])
    except (ValueError, RecursionError):
        raise UsageError(f"{sample.place}.json is not valid JSON") from None
    return values if isinstance(values, dict) else {}
