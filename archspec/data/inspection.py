"""Encoded images -> `LabelledImages`: each is inspected before anything is trained.

That is its header and its end, and all of it if the whole set is small enough to read.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from archspec.data import filetypes
from archspec.data.depth import OF_BYTES
from archspec.data.examples import EncodedImages, LabelledImages, Skipped
from archspec.data.filetypes import FileType
from archspec.data.imagefile import UnreadableError
from archspec.data.images import ImageInfo, OtherTypeError, inspect
from archspec.data.names import TRAIN, legible
from archspec.data.values import BYTES, SHARES, PixelValues, Range, usual
from archspec.errors import UsageError, listed
from archspec.system import cores

if TYPE_CHECKING:
    from archspec.data.recipe import DataRecipe

MOST_DIGESTED_BYTES: Final = 2**30
"""Largest set of images whose whole content is read for the fingerprint."""

ENDS_BYTES: Final = 4096
"""Bytes that are read at the start and at the end of each file of a larger set."""

MOST_NAMED: Final = 5
"""Images that a message names."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageListing:
    """The examples of a source, whose images are not inspected yet."""

    where: str
    """The folder, table or archives that they are in."""
    examples: LabelledImages
    """All examples. Their names are those in the fingerprint: the same wherever the source lies."""
    images: EncodedImages
    """The images, by their names in messages."""
    class_names: tuple[str, ...]
    """Names of the classes of the labels, which are of one class where there are targets."""
    lengths: Sequence[int]
    """Size of each image in bytes; 0 if there is no file."""
    missing: tuple[Skipped, ...] = ()
    """Images that the source names and does not have: errors, as damaged files are."""
    stamp: bytes = b""
    """Content that the fingerprint covers beside the images."""


def load(recipe: DataRecipe, listing: ImageListing) -> LabelledImages:
    """Return the images that can be read.

    Raises `UsageError` if some cannot, unless the recipe's `on_error` is `skip`; and if a class
    has nothing to train on.
    """
    inspection, examples, images = _inspect(listing), listing.examples, listing.images
    damaged, others = list(listing.missing), list[tuple[str, FileType]]()
    infos: dict[int, ImageInfo] = {}
    for i, (name, finding) in enumerate(zip(images.names, inspection.findings, strict=True)):
        if isinstance(finding, ImageInfo):
            infos[i] = finding
        elif isinstance(finding, FileType):
            others.append((legible(name), finding))
        else:
            damaged.append((legible(name), finding))
    if (damaged or others) and recipe.on_error == "stop":
        total = len(images.names) + len(listing.missing)
        raise _unreadable(listing.where, damaged, others, total)
    good = list(infos)
    values = _values(list(infos.values()))
    limits, unstated = _range(listing.where, list(infos.values()), values)
    if not good and (damaged or others):
        reasons = [kind.name for _, kind in others] + [reason for _, reason in damaged]
        raise UsageError(f"no image in {listing.where} can be read: {filetypes.counted(reasons)}")
    readable = EncodedImages(
        [images.names[i] for i in good],
        lambda i: images.get(good[i]),
        [info.plain for info in infos.values()],
        [info.extent for info in infos.values()],
        unstated,
        any(info.samples is not OF_BYTES for info in infos.values()),
    )
    loaded = examples.only(good, readable)
    _check_classes(listing, loaded)
    return replace(
        loaded,
        range=limits,
        values=values if values is not None and values.range == limits else None,
        skipped=(
            *examples.skipped,
            *((name, f"{kind.name}, which archspec does not read") for name, kind in others),
            *damaged,
        ),
        digests=_distinct_digests(listing, inspection.digests, good),
        digest=inspection.digest,
        covers=inspection.covers,
        notes=(*examples.notes, *_notes(images.names, infos, others, limits)),
    )


def _values(infos: Sequence[ImageInfo]) -> PixelValues | None:
    """Return the values of files that do not state black and white; None if there are none."""
    unstated = [info for info in infos if info.extremes is not None]
    if not unstated:
        return None
    low = min(info.extremes[0] for info in unstated if info.extremes)
    high = max(info.extremes[1] for info in unstated if info.extremes)
    names = sorted({str(info.samples) for info in unstated})
    whole = all(info.samples.kind == "signed" for info in unstated)
    return PixelValues(" and ".join(names), low, high, usual("", low, high, whole=whole))


def _range(
    where: str, infos: Sequence[ImageInfo], values: PixelValues | None
) -> tuple[Range | None, Range | None]:
    """Return black and white in all images; and in those that do not state them, if they differ.

    They are those of the deepest file that states them. Among such files, others have their white
    at 1 or at the same value; raises `UsageError` if their values do not show which.
    """
    stated = [info.samples.white for info in infos if info.samples.white is not None]
    if not stated and values is not None:
        return values.range, None
    limits = Range(0.0, max(stated, default=BYTES.white))
    if values is None or values.range == limits:
        return limits, None
    if values.range != SHARES:
        raise UsageError(
            f"{where} has files of {values.dtype} from {values.minimum:g} to {values.maximum:g}, "
            f"among others in which white is {limits.white:g}, and does not say how they compare: "
            f"save them as the others are, or with values that fill [0, 1] or {limits}"
        )
    return limits, SHARES


def _notes(
    names: Sequence[str],
    infos: Mapping[int, ImageInfo],
    others: Sequence[tuple[str, FileType]],
    limits: Range | None,
) -> Iterator[str]:
    """Yield a line for each unusual fact about the images, and about pictures that are left out."""
    if others:
        kinds = filetypes.counted(kind.name for _, kind in others)
        pictures = "picture" if len(others) == 1 else "pictures"
        yield f"{len(others):,} {pictures} left out: {kinds}"
    misnamed = [
        (i, info.file_type.name)
        for i, info in infos.items()
        if (by_name := filetypes.by_suffix(names[i])) and by_name is not info.file_type
    ]
    if misnamed:
        example, kind = legible(names[misnamed[0][0]]), misnamed[0][1]
        files = _files(len(misnamed), "has", "have")
        yield f"{files} another type than the name says, as {example} ({kind})"
    if several := [i for i, info in infos.items() if info.has_more]:
        files, example = _files(len(several), "has", "have"), legible(names[several[0]])
        yield f"{files} several pages or frames, of which the first is read, as {example}"
    depths = Counter(str(info.samples) for info in infos.values())
    if len(depths) > 1:
        counts = ", ".join(f"{count:,} of {depth}" for depth, count in depths.most_common())
        white = f"; all are scaled so that white is {limits.white:,g}" if limits else ""
        yield f"files of different depths: {counts}{white}"


def _files(count: int, singular: str, plural: str) -> str:
    return f"1 file {singular}" if count == 1 else f"{count:,} files {plural}"


class _Inspection(NamedTuple):
    """The results for all images."""

    findings: list[ImageInfo | FileType | str]
    """Each image's info, or a type that archspec does not read, or why it is unreadable."""
    digest: str
    covers: str
    digests: Sequence[bytes]
    """Digest of each image: of all its bytes, or else of those that were read."""


def _inspect(listing: ImageListing) -> _Inspection:
    names, count = listing.images.names, len(listing.images.names)
    whole = sum(listing.lengths) <= MOST_DIGESTED_BYTES
    findings: list[ImageInfo | FileType | str] = [""] * count
    digests = [b""] * count

    def inspect_some(start: int) -> None:
        for i in range(start, count, workers):
            try:
                encoded = listing.images.get(i)
                if isinstance(encoded, bytes):
                    content = encoded
                else:
                    content = _content(encoded, None if whole else ENDS_BYTES)
                findings[i] = inspect(content, content if whole else encoded, names[i])
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
    identities = listing.examples.names or ()
    for name, length, of_content in zip(identities, listing.lengths, digests, strict=True):
        digest.update(os.fsencode(name))
        digest.update(b"\0%d\0" % length + (of_content if whole else b""))
    covers = "names, sizes and contents of the files" if whole else "names and sizes of the files"
    return _Inspection(findings, digest.hexdigest(), covers, digests)


def _distinct_digests(
    listing: ImageListing, digests: Sequence[bytes], good: Sequence[int]
) -> list[bytes]:
    """Return a digest for each image, equal only for images of the same bytes.

    If only the ends of files were read, those with equal ends and lengths are now read whole, up
    to a GiB of them; beyond that they count as equal.
    """
    keys = [(listing.lengths[i], digests[i]) for i in good]
    if sum(listing.lengths) <= MOST_DIGESTED_BYTES:
        return [key[1] for key in keys]
    count = Counter(keys)
    read, distinct = 0, []
    for i, key in zip(good, keys, strict=True):
        of_all = key[1] + b"%d" % key[0]
        if count[key] > 1 and (read := read + key[0]) <= MOST_DIGESTED_BYTES:
            encoded = listing.images.get(i)
            if isinstance(encoded, Path):
                with suppress(UnreadableError, OSError):  # reported when it is decoded
                    of_all = hashlib.sha256(_content(encoded, None)).digest()
        distinct.append(of_all)
    return distinct


def _content(path: Path, ends: int | None) -> bytes:
    """Return the content of a file, or `ends` bytes of its start and of its end."""
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
    """Return the error that names unreadable files, and what to do about them."""
    reasons = [*damaged, *((name, kind.name) for name, kind in others)]
    runs = groupby(reasons[:MOST_NAMED], key=lambda reason: reason[1])
    named = "; ".join(f"{', '.join(path for path, _ in run)} ({why})" for why, run in runs)
    more = f"; and {len(reasons) - MOST_NAMED:,} more" if len(reasons) > MOST_NAMED else ""
    remedies = ["repair or remove them"] if damaged else []
    if others:
        kinds = filetypes.counted(kind.name for _, kind in others)
        remedies.append(f"convert the types that archspec does not read ({kinds}) to PNG")
    if len(reasons) < total:
        remedies.append("write `on_error: skip`")
    advice = ", or ".join(remedies)
    return UsageError(
        f"{len(reasons):,} of {total:,} image files in {where} cannot be read: {named}{more}. "
        f"{advice[0].upper()}{advice[1:]}"
    )


def _check_classes(listing: ImageListing, loaded: LabelledImages) -> None:
    """Raise `UsageError` if there is no class, or one has nothing to train on."""
    if not listing.class_names:
        raise UsageError(f"there are no images with a label in {listing.where}")
    labels, parts = loaded.labels, loaded.parts
    present = set((labels if parts is None else labels[parts == TRAIN]).tolist())
    empty = [name for label, name in enumerate(listing.class_names) if label not in present]
    if not empty:
        return
    if len(empty) == len(listing.class_names):
        raise UsageError(f"there are no images in {listing.where}: no {filetypes.NAMES} file")
    classes = f"class {listed(empty)}" if len(empty) == 1 else f"classes {listed(empty)}"
    raise UsageError(f"{listing.where} has no image to train on in the {classes}")
