"""Encoded images -> `LabelledImages`: each is looked at before anything is trained.

Its header, its end, and all of it if the whole set is small enough to read.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from archspec.data import filetypes
from archspec.data.depth import OF_BYTES
from archspec.data.examples import (
    TRAIN,
    EncodedImages,
    LabelledImages,
    Skipped,
    legible,
)
from archspec.data.filetypes import FileType
from archspec.data.images import ImageInfo, OtherTypeError, UnreadableError, inspect
from archspec.data.jpeg import Encoded
from archspec.data.values import BYTES, SHARES, PixelValues, Range, usual
from archspec.errors import UsageError
from archspec.system import cores

if TYPE_CHECKING:
    from archspec.data.recipe import DataRecipe

MOST_DIGESTED_BYTES: Final = 2**30
"""Of images all of whose content is read for their fingerprint."""

ENDS_BYTES: Final = 4096
"""How much of each file is read at its start and at its end, where there is more."""

MOST_NAMED: Final = 5
"""How many images or classes a message names."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageListing:
    """The images of a source, by name; none has been looked at."""

    name: str
    """The source, as a message calls it."""
    where: str
    """The folder, table or archives that they are in."""
    class_names: tuple[str, ...]
    names: Sequence[str]
    """Of each image, as a message calls it."""
    identities: Sequence[str]
    """Of each image, as the fingerprint has it: the same wherever the source lies."""
    labels: Sequence[int]
    parts: Sequence[int] | None
    """TRAIN, VALIDATION or TEST for each, where the source comes split."""
    get: Callable[[int], Encoded]
    lengths: Sequence[int]
    """In bytes; 0 where there is no file."""
    missing: tuple[Skipped, ...] = ()
    """Images that the source names and does not have: errors, as damaged files are."""
    groups: Sequence[str] | None = None
    """The group of each image, where a column that the recipe names says it."""
    strangers: tuple[Skipped, ...] = ()
    """What else lies there, is no picture, and is left out."""
    notes: tuple[str, ...] = ()
    """What else is to be known of how it is read."""
    stamp: bytes = b""
    """What the fingerprint covers beside the images."""


def load(recipe: DataRecipe, listing: ImageListing) -> LabelledImages:
    """The images that can be read.

    Raises `UsageError` for others, unless the recipe's `on_error` is `skip`; and where a class
    has nothing to train on.
    """
    import numpy as np  # noqa: PLC0415

    seen = _inspect(listing)
    damaged, others = list(listing.missing), list[tuple[str, FileType]]()
    for name, found in zip(listing.names, seen.findings, strict=True):
        if isinstance(found, str):
            damaged.append((legible(name), found))
        elif isinstance(found, FileType):
            others.append((legible(name), found))
    if (damaged or others) and recipe.on_error == "stop":
        total = len(listing.names) + len(listing.missing)
        raise _unreadable(listing.where, damaged, others, total)
    looks = {i: found for i, found in enumerate(seen.findings) if isinstance(found, ImageInfo)}
    good = list(looks)
    values = _values(list(looks.values()))
    limits, unstated = _range(listing.where, list(looks.values()), values)
    parts = None if listing.parts is None else [listing.parts[i] for i in good]
    labels = [listing.labels[i] for i in good]
    if not good and (damaged or others):
        reasons = [kind.name for _, kind in others] + [reason for _, reason in damaged]
        raise UsageError(f"no image in {listing.where} can be read: {filetypes.counted(reasons)}")
    _check_classes(listing, labels, parts)
    return LabelledImages(
        name=listing.name,
        class_names=listing.class_names,
        labels=np.array(labels, np.int32),
        images=EncodedImages(
            [listing.names[i] for i in good],
            lambda i: listing.get(good[i]),
            [found.plain for found in looks.values()],
            [found.extent for found in looks.values()],
            unstated,
            any(found.layout is not OF_BYTES for found in looks.values()),
        ),
        range=limits,
        values=values if values is not None and values.range == limits else None,
        parts=None if parts is None else np.array(parts, np.int8),
        skipped=(
            *listing.strangers,
            *((name, f"{kind.name}, which is not read") for name, kind in others),
            *damaged,
        ),
        names=[listing.identities[i] for i in good],
        groups=None if listing.groups is None else [listing.groups[i] for i in good],
        digests=_told_apart(listing, seen.digests, good),
        digest=seen.digest,
        covers=seen.covers,
        notes=(*listing.notes, *_notes(listing, looks, others, limits)),
    )


def _values(looks: Sequence[ImageInfo]) -> PixelValues | None:
    """What the values of files are that do not state black and white; None where there are none."""
    unstated = [found for found in looks if found.extremes is not None]
    if not unstated:
        return None
    low = min(found.extremes[0] for found in unstated if found.extremes)
    high = max(found.extremes[1] for found in unstated if found.extremes)
    names = sorted({str(found.layout) for found in unstated})
    whole = all(found.layout.kind == "signed" for found in unstated)
    return PixelValues(" and ".join(names), low, high, usual("", low, high, whole=whole))


def _range(
    where: str, looks: Sequence[ImageInfo], values: PixelValues | None
) -> tuple[Range | None, Range | None]:
    """Black and white in all images, and in those that do not state them, where they differ.

    The deepest file's, where there is one that states them. Others among such have their white at
    1, or where that one has it; raise `UsageError` where their values do not show which.
    """
    stated = [found.layout.white for found in looks if found.layout.white is not None]
    if not stated and values is not None:
        return values.range, None
    limits = Range(0.0, max(stated, default=BYTES.white))
    if values is None or values.range == limits:
        return limits, None
    if values.range != SHARES:
        raise UsageError(
            f"{where} has files of {values.dtype} from {values.minimum:g} to {values.maximum:g}, "
            f"among others in which white is {limits.white:g}; how they compare is not told: save "
            f"them as the others are, or with values that fill [0, 1] or {limits}"
        )
    return limits, SHARES


def _notes(
    listing: ImageListing,
    looks: Mapping[int, ImageInfo],
    others: Sequence[tuple[str, FileType]],
    limits: Range | None,
) -> Iterator[str]:
    """What is to be known of the images that are read, and of pictures that are not."""
    if others:
        kinds = filetypes.counted(kind.name for _, kind in others)
        pictures = "picture" if len(others) == 1 else "pictures"
        yield f"{len(others):,} {pictures} left out: {kinds}"
    misnamed = [
        (i, found.file_type.name)
        for i, found in looks.items()
        if (called := filetypes.by_suffix(listing.names[i])) and called is not found.file_type
    ]
    if misnamed:
        example, kind = legible(listing.names[misnamed[0][0]]), misnamed[0][1]
        yield f"{_files(len(misnamed))} of another type than their names say, as {example} ({kind})"
    if several := [i for i, found in looks.items() if found.has_more]:
        example, pages = legible(listing.names[several[0]]), "several pages or frames"
        yield f"{_files(len(several))} of {pages}, of which the first is read, as {example}"
    depths = Counter(str(found.layout) for found in looks.values())
    if len(depths) > 1:
        counts = ", ".join(f"{count:,} of {depth}" for depth, count in depths.most_common())
        white = f"; all are scaled so that white is {limits.white:,g}" if limits else ""
        yield f"files of different depths: {counts}{white}"


def _files(count: int) -> str:
    return "1 file is" if count == 1 else f"{count:,} files are"


class _Inspection(NamedTuple):
    """What looking at images has shown."""

    findings: list[ImageInfo | FileType | str]
    """Of each: what it is, its type where that is not read, or why it cannot be read."""
    digest: str
    covers: str
    digests: Sequence[bytes]
    """Of each: of all its bytes, or else of those that were read."""


def _inspect(listing: ImageListing) -> _Inspection:
    count = len(listing.names)
    whole = sum(listing.lengths) <= MOST_DIGESTED_BYTES
    findings: list[ImageInfo | FileType | str] = [""] * count
    digests = [b""] * count

    def inspect_some(start: int) -> None:
        for i in range(start, count, workers):
            try:
                encoded = listing.get(i)
                if isinstance(encoded, bytes):
                    content = encoded
                else:
                    content = _content(encoded, None if whole else ENDS_BYTES)
                findings[i] = inspect(content, content if whole else encoded, listing.names[i])
            except OtherTypeError as error:
                findings[i] = error.file_type
            except UnreadableError as error:
                findings[i] = str(error)
                continue
            except OSError as error:
                findings[i] = error.strerror or "unreadable"
                continue
            digests[i] = hashlib.sha256(content).digest()

    workers = cores()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(inspect_some, range(workers)))
    digest = hashlib.sha256(listing.stamp)
    for name, length, of_content in zip(listing.identities, listing.lengths, digests, strict=True):
        digest.update(os.fsencode(name))
        digest.update(b"\0%d\0" % length + (of_content if whole else b""))
    covers = "names, sizes and contents of the files" if whole else "names and sizes of the files"
    return _Inspection(findings, digest.hexdigest(), covers, digests)


def _told_apart(
    listing: ImageListing, digests: Sequence[bytes], good: Sequence[int]
) -> list[bytes]:
    """A digest for each image that only images of the same bytes share.

    Where no more than the ends of files were read, those whose ends and lengths are the same are
    read whole, up to a GiB of them; then they count as the same.
    """
    keys = [(listing.lengths[i], digests[i]) for i in good]
    if sum(listing.lengths) <= MOST_DIGESTED_BYTES:
        return [key[1] for key in keys]
    count = Counter(keys)
    seen, found = 0, []
    for i, key in zip(good, keys, strict=True):
        of_all = key[1] + b"%d" % key[0]
        if count[key] > 1 and (seen := seen + key[0]) <= MOST_DIGESTED_BYTES:
            encoded = listing.get(i)
            if isinstance(encoded, Path):
                with suppress(UnreadableError, OSError):  # it is said when it is decoded
                    of_all = hashlib.sha256(_content(encoded, None)).digest()
        found.append(of_all)
    return found


def length(path: str) -> int:
    """A file's bytes, 0 if there is none: that is said when it is read."""
    try:
        return Path(path).stat().st_size
    except OSError:  # a link to nothing
        return 0


def _content(path: Path, ends: int | None) -> bytes:
    """A file, or so many bytes of its start and of its end."""
    if not path.is_file():
        raise UnreadableError("not a file" if path.exists() else "a link to nothing")
    with path.open("rb") as file:
        if ends is None:
            return file.read()
        start = file.read(ends)
        length = file.seek(0, os.SEEK_END)
        file.seek(max(len(start), length - ends))
        return start + file.read()


def _unreadable(
    where: str, damaged: list[Skipped], others: list[tuple[str, FileType]], total: int
) -> UsageError:
    reasons = [*damaged, *((name, kind.name) for name, kind in others)]
    runs = groupby(reasons[:MOST_NAMED], key=lambda reason: reason[1])
    named = "; ".join(f"{', '.join(path for path, _ in run)} ({why})" for why, run in runs)
    more = f"; and {len(reasons) - MOST_NAMED:,} more" if len(reasons) > MOST_NAMED else ""
    mends = ["mend or remove them"] if damaged else []
    if others:
        kinds = filetypes.counted(kind.name for _, kind in others)
        mends.append(f"convert what is not read ({kinds}) to PNG")
    if len(reasons) < total:
        mends.append("say `on_error: skip`")
    advice = ", or ".join(mends)
    return UsageError(
        f"{len(reasons):,} of {total:,} image files in {where} cannot be read: {named}{more}. "
        f"{advice[0].upper()}{advice[1:]}"
    )


def _check_classes(listing: ImageListing, labels: list[int], parts: list[int] | None) -> None:
    """Raise `UsageError` where there is no class, or one has nothing to train on."""
    if not listing.class_names:
        raise UsageError(f"there are no images with a label in {listing.where}")
    if parts is None:
        present = set(labels)
    else:
        present = {label for label, part in zip(labels, parts, strict=True) if part == TRAIN}
    empty = [name for label, name in enumerate(listing.class_names) if label not in present]
    if not empty:
        return
    if len(empty) == len(listing.class_names):
        raise UsageError(f"there are no images in {listing.where}: no {filetypes.NAMES} file")
    named = ", ".join(f"`{name}`" for name in empty[:MOST_NAMED])
    more = f" and {len(empty) - MOST_NAMED:,} more" if len(empty) > MOST_NAMED else ""
    raise UsageError(f"no image to train on is in {named}{more}, in {listing.where}")
