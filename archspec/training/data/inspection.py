"""Encoded images with their labels -> `Loaded`: each is looked at before anything is trained.

Its header, its end, and all of it if the whole set is small enough to read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from archspec.diagnostics import UsageError
from archspec.training.data.decoding import Encoded
from archspec.training.data.examples import TRAIN, EncodedImages, Loaded, Skipped, legible
from archspec.training.data.images import SUFFIXES, UnreadableError, check
from archspec.training.watching.machine import cores

if TYPE_CHECKING:
    from archspec.training.recipe.recipe import DataRecipe

MOST_DIGESTED_BYTES: Final = 2**30
"""Of images all of whose content is read for their fingerprint."""

ENDS_BYTES: Final = 4096
"""How much of each file is read at its start and at its end, where there is more."""

MOST_NAMED: Final = 5
"""How many images or classes a message names."""


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
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
    strangers: tuple[Skipped, ...] = ()
    """What else lies there and is left out."""


def load(recipe: DataRecipe, listing: Listing) -> Loaded:
    """The images that can be read.

    Raises `UsageError` for others, unless the recipe's `on_error` is `skip`; and where a class
    has nothing to train on.
    """
    import numpy as np  # noqa: PLC0415

    seen = _inspect(listing)
    damaged = [
        *listing.missing,
        *(
            (legible(name), reason)
            for name, reason in zip(listing.names, seen.reasons, strict=True)
            if reason is not None
        ),
    ]
    if damaged and recipe.on_error == "stop":
        raise _unreadable(listing.where, damaged, len(listing.names) + len(listing.missing))
    good = [i for i, reason in enumerate(seen.reasons) if reason is None]
    parts = None if listing.parts is None else [listing.parts[i] for i in good]
    labels = [listing.labels[i] for i in good]
    _check_classes(listing, labels, parts)
    return Loaded(
        name=listing.name,
        class_names=listing.class_names,
        labels=np.array(labels, np.int32),
        images=EncodedImages(
            [listing.names[i] for i in good],
            lambda i: listing.get(good[i]),
            [seen.plain[i] for i in good],
        ),
        parts=None if parts is None else np.array(parts, np.int8),
        skipped=(*listing.strangers, *damaged),
        digest=seen.digest,
        covers=seen.covers,
    )


class _Inspection(NamedTuple):
    """What looking at images has shown, for each of them."""

    plain: list[tuple[int, int] | None]
    """Height and width of a plain JPEG, or None."""
    reasons: list[str | None]
    """Why it cannot be read, or None."""
    digest: str
    covers: str


def _inspect(listing: Listing) -> _Inspection:
    count = len(listing.names)
    whole = sum(listing.lengths) <= MOST_DIGESTED_BYTES
    plain: list[tuple[int, int] | None] = [None] * count
    reasons: list[str | None] = [None] * count
    digests = [b""] * count

    def inspect(start: int) -> None:
        for i in range(start, count, workers):
            try:
                encoded = listing.get(i)
                if isinstance(encoded, bytes):
                    content = encoded
                else:
                    content = _content(encoded, None if whole else ENDS_BYTES)
                plain[i] = check(content, content if whole else encoded)
            except UnreadableError as error:
                reasons[i] = str(error)
                continue
            except OSError as error:
                reasons[i] = error.strerror or "unreadable"
                continue
            if whole:
                digests[i] = hashlib.sha256(content).digest()

    workers = cores()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(inspect, range(workers)))
    digest = hashlib.sha256()
    for name, length, of_content in zip(listing.identities, listing.lengths, digests, strict=True):
        digest.update(os.fsencode(name))
        digest.update(b"\0%d\0" % length + of_content)
    covers = "names, sizes and contents of the files" if whole else "names and sizes of the files"
    return _Inspection(plain, reasons, digest.hexdigest(), covers)


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


def _unreadable(where: str, damaged: list[Skipped], total: int) -> UsageError:
    named = "; ".join(f"{path} ({why})" for path, why in damaged[:MOST_NAMED])
    more = f"; and {len(damaged) - MOST_NAMED:,} more" if len(damaged) > MOST_NAMED else ""
    return UsageError(
        f"{len(damaged):,} of {total:,} image files in {where} cannot be read: {named}{more}. "
        "Mend or remove them, or say `on_error: skip`"
    )


def _check_classes(listing: Listing, labels: list[int], parts: list[int] | None) -> None:
    """Raise `UsageError` where a class has nothing to train on."""
    if parts is None:
        present = set(labels)
    else:
        present = {label for label, part in zip(labels, parts, strict=True) if part == TRAIN}
    empty = [name for label, name in enumerate(listing.class_names) if label not in present]
    if not empty:
        return
    if len(empty) == len(listing.class_names):
        raise UsageError(f"there are no images in {listing.where}: no {', '.join(SUFFIXES)} file")
    named = ", ".join(f"`{name}`" for name in empty[:MOST_NAMED])
    more = f" and {len(empty) - MOST_NAMED:,} more" if len(empty) > MOST_NAMED else ""
    raise UsageError(f"no image to train on is in {named}{more}, in {listing.where}")
