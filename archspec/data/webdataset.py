"""`webdataset`: tar archives in which a sample is a run of members of one name.

`cats/0001.jpg` and `cats/0001.cls` are a sample: what follows the first dot of a file's name says
what a member is. A plain archive is read where it lies; one by gzip is unpacked to a temporary
file, since a shuffled epoch reads it in no order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from archspec.data import filetypes, inspection, tarfiles
from archspec.data.classes import in_order, label_of
from archspec.data.collecting import ImageCollection
from archspec.data.columns import LABELS, one_of
from archspec.data.examples import TRAIN, LabelledImages, Preview, legible
from archspec.data.shards import Shard, shards
from archspec.data.tarfiles import Member
from archspec.errors import UsageError
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    from archspec.data.recipe import DataRecipe

SUFFIXES: Final = (".tar", ".tar.gz", ".tgz")

MOST_TEXT_BYTES: Final = 2**20
"""Of a member that says a label."""

MOST_MEMBERS: Final = 1_000
"""Of a sample."""

CLASS: Final = "cls"
JSON: Final = "json"
TEXT: Final = "txt"


class _Sample(NamedTuple):
    shard: Shard
    key: str
    texts: dict[str, bytes]
    """What its members hold that may say a label, by what follows the dot."""
    pictures: dict[str, tuple[Member, int]]
    """Its pictures, by what follows the dot, and their numbers among what was collected."""

    @property
    def place(self) -> str:
        return f"{self.shard.path}: {legible(self.key)}"


def preview(recipe: DataRecipe, _: Shape) -> Preview:
    """The classes, which the whole of each archive is gone through for."""
    where = recipe.path or ""
    labels = {label for _, label in _labelled(recipe, None)}
    return Preview(in_order({label for label in labels if label is not None}, where), None)


def load(recipe: DataRecipe, _: Shape) -> LabelledImages:
    """The pictures of all samples, each looked at, and their labels."""
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
    """All samples with their classes; `UsageError` where none has one."""
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
            f"no sample in {where} has a label in {recipe.labels or 'cls, json or txt'}: "
            f"{first.place} has {members}; say which is the label, as `labels: KIND`"
        )


def _samples(where: str, collected: ImageCollection | None) -> Iterator[_Sample]:
    """The samples of all archives. With `collected`, it is told where their pictures are."""
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
                        f"`{legible(last)}` stands between `{legible(seen[key])}` and "
                        f"`{legible(member.name)}`; write the archive by `tar --sort=name`"
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
                    number = collected.extracts.add(shard.path, member.start, member.size)
                sample.pictures[kind] = member, number
            elif member.size <= MOST_TEXT_BYTES:
                sample.texts[kind] = member.read()
        if sample.key:
            yield sample


def _parted(name: str) -> tuple[str, str | None]:
    """A sample's name and what a member is to it; None for what belongs to no sample."""
    folder, slash, file = name.removeprefix("./").rpartition("/")
    stem, dot, kind = file.partition(".")
    if not stem or not dot:
        return name, None
    return folder + slash + stem, kind.lower()


def _picture(recipe: DataRecipe, sample: _Sample) -> str | None:
    if recipe.images is not None:
        kind = recipe.images.lower().removeprefix(".")
        return kind if kind in sample.pictures else None
    if len(sample.pictures) > 1:
        named = ", ".join(f"`{kind}`" for kind in sample.pictures)
        raise UsageError(
            f"{sample.place} has several pictures: {named}; say which, "
            f"as `images: {next(iter(sample.pictures))}`"
        )
    return next(iter(sample.pictures), None)


def _label(recipe: DataRecipe, sample: _Sample) -> str | None:
    """A sample's class, from its `.cls`, `.json` or `.txt`, or what the recipe's `labels` names."""
    wanted = recipe.labels
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
        raise UsageError(f"{sample.place}.json is no JSON") from None
    return values if isinstance(values, dict) else {}
