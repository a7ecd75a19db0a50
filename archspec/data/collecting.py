"""Images that a source names one by one, in files or within larger ones -> a `ImageListing`."""

from __future__ import annotations

import math
from array import array
from pathlib import Path

from archspec.data import inspection
from archspec.data.classes import in_order
from archspec.data.examples import Skipped
from archspec.data.extracts import ByteRanges, Spool
from archspec.data.jpeg import Encoded


class ImageCollection:
    """What was found so far."""

    def __init__(self) -> None:
        self.extracts = ByteRanges()
        self._spool: Spool | None = None
        self._images: list[str | int] = []
        """The path of each, or its number among the `extracts`."""
        self._names: list[str] = []
        self._identities: list[str] = []
        self._labels: list[str] = []
        self._parts = array("b")
        self._groups: list[str] = []
        self._texts: dict[str, str] = {}
        self._classes: dict[str, str] = {}
        self._unlabelled: list[tuple[int, Skipped]] = []
        self._missing: list[Skipped] = []
        self._left_out: list[Skipped] = []

    def __len__(self) -> int:
        return len(self._images)

    def unpack(self, content: bytes) -> int:
        """Keep an encoded image in a temporary file; its number among the `extracts`."""
        if self._spool is None:
            self._spool = Spool()
        return self.extracts.add(self._spool, self._spool.write(content), len(content))

    def add(
        self,
        image: str | int,
        name: str,
        identity: str,
        label: str,
        part: int,
        group: str | None = None,
    ) -> None:
        """Note an image: its path or its number among the `extracts`, and its class.

        Either all images have a `group` or none has.
        """
        self._images.append(image)
        self._names.append(name)
        self._identities.append(identity)
        self._labels.append(self._class(label))
        self._parts.append(part)
        if group is not None:
            self._groups.append(self._texts.setdefault(group, group))

    def add_unlabelled(self, name: str, part: int) -> None:
        """Note an image without a class."""
        self._unlabelled.append((part, (name, "no label")))

    def add_missing(self, name: str, label: str, reason: str) -> None:
        """Note an image that cannot be found; its class is one nevertheless."""
        self._class(label)
        self._missing.append((name, reason))

    def leave_out(self, name: str, reason: str) -> None:
        """Note what is not used, and is no mistake."""
        self._left_out.append((name, reason))

    def _class(self, label: str) -> str:
        """One text for each class, not one for each image."""
        return self._classes.setdefault(label, label)

    def listing(
        self,
        name: str,
        where: str,
        class_names: tuple[str, ...] | None,
        notes: tuple[str, ...] = (),
        *,
        is_split: bool,
    ) -> inspection.ImageListing:
        """All of it, for a closer look. `class_names` are known or else those that occur."""
        class_names = class_names or in_order(self._classes, where)
        numbers = {name: number for number, name in enumerate(class_names)}
        # A part without any label is a competition's, whose labels are kept secret.
        labelled = set(self._parts)
        unlabelled = [each for part, each in self._unlabelled if part in labelled]
        secret = [each for part, each in self._unlabelled if part not in labelled]
        images, extracts = self._images, self.extracts
        # A table of test images alone is one to judge by, not one without training images.
        is_split = is_split and len(labelled) > 1

        def get(index: int) -> Encoded:
            image = images[index]
            return extracts[image] if isinstance(image, int) else Path(image)

        if self._spool is not None:
            size = math.ceil(self._spool.size / 2**20)
            notes += (f"{size:,} MiB unpacked to {self._spool.folder} while this runs",)
        return inspection.ImageListing(
            name=name,
            where=where,
            class_names=class_names,
            names=self._names,
            identities=self._identities,
            labels=[numbers[label] for label in self._labels],
            parts=self._parts if is_split else None,
            get=get,
            lengths=[
                extracts.lengths[image] if isinstance(image, int) else inspection.length(image)
                for image in images
            ],
            missing=(*unlabelled, *self._missing),
            strangers=(*secret, *self._left_out),
            notes=notes,
            groups=self._groups or None,
            # What is held out, or must be together, is part of what the data are.
            stamp=(self._parts.tobytes() if is_split else b"") + "\0".join(self._groups).encode(),
        )
