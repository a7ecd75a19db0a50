"""Images that a source adds one by one, as files or as parts of files -> an `ImageListing`."""

from __future__ import annotations

import math
from array import array
from pathlib import Path
from typing import Final, TypeAlias

from archspec.data.byteranges import ByteRanges, Spool
from archspec.data.examples import EncodedImages, LabelledImages, Skipped
from archspec.data.fileaccess import byte_count
from archspec.data.imagefile import Encoded
from archspec.data.inspection import ImageListing
from archspec.data.names import in_order
from archspec.lazy import np

EXAMPLE: Final = "example"
"""The class of all images whose labels are not classes."""

Label: TypeAlias = str | tuple[float, ...]
"""The class of an image; or 1 for each label that it has and else 0, or its numbers."""


class ImageCollection:
    """The images of a source, added one by one."""

    def __init__(self, outputs: tuple[str, ...] | None = None) -> None:
        """Begin; `outputs` are the names of labels or values, where labels are not classes."""
        self._outputs = outputs
        self._targets: list[tuple[float, ...]] = []
        self.ranges = ByteRanges()
        self._spool: Spool | None = None
        self._images: list[str | int] = []
        """Path of each image, or its number in `ranges`."""
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

    def unpack(self, content: bytes) -> int:
        """Write an encoded image to a temporary file; return its number in `ranges`."""
        if self._spool is None:
            self._spool = Spool()
        return self.ranges.add(self._spool, self._spool.write(content), len(content))

    def add(
        self,
        image: str | int,
        name: str,
        identity: str,
        label: Label,
        part: int,
        group: str | None = None,
    ) -> None:
        """Add an image: its path or its number in `ranges`, and its class or its numbers.

        Either all images have a `group` or none has.
        """
        self._images.append(image)
        self._names.append(name)
        self._identities.append(identity)
        self._labels.append(self._class(label))
        if not isinstance(label, str):
            self._targets.append(label)
        self._parts.append(part)
        if group is not None:
            self._groups.append(self._texts.setdefault(group, group))

    def add_unlabelled(self, name: str, part: int) -> None:
        """Add an image without a class."""
        self._unlabelled.append((part, (name, "no label")))

    def add_missing(self, name: str, label: Label, reason: str) -> None:
        """Add an image that cannot be found; its class counts nevertheless."""
        self._class(label)
        self._missing.append((name, reason))

    def leave_out(self, name: str, reason: str) -> None:
        """Add an image that is not used, which is not a mistake."""
        self._left_out.append((name, reason))

    def _class(self, label: Label) -> str:
        """Return the same text for all images of a class, so that memory holds it once."""
        name = label if isinstance(label, str) else EXAMPLE
        return self._classes.setdefault(name, name)

    def listing(
        self,
        name: str,
        where: str,
        class_names: tuple[str, ...] | None,
        notes: tuple[str, ...] = (),
        *,
        is_split: bool,
    ) -> ImageListing:
        """Return the listing of all images. `class_names` are by default those that occur."""
        class_names = class_names or in_order(self._classes, where)
        numbers = {name: number for number, name in enumerate(class_names)}
        # A part without any label is a competition's, which keeps them secret.
        labelled = set(self._parts)
        unlabelled = [each for part, each in self._unlabelled if part in labelled]
        secret = [each for part, each in self._unlabelled if part not in labelled]
        images, ranges = self._images, self.ranges
        # A table of test images alone is for `evaluate`, not one without training images.
        is_split = is_split and len(labelled) > 1

        def get(index: int) -> Encoded:
            image = images[index]
            return ranges[image] if isinstance(image, int) else Path(image)

        if self._spool is not None:
            size = math.ceil(self._spool.size / 2**20)
            notes += (f"{size:,} MiB are unpacked to {self._spool.folder} during the run",)
        encoded = EncodedImages(self._names, get)
        examples = LabelledImages(
            name=name,
            class_names=self._outputs or class_names,
            labels=np.array([numbers[label] for label in self._labels], np.int32),
            images=encoded,
            parts=np.array(self._parts, np.int8) if is_split else None,
            skipped=(*secret, *self._left_out),
            names=self._identities,
            groups=self._groups or None,
            notes=notes,
            targets=np.array(self._targets, np.float32) if self._outputs else None,
        )
        return ImageListing(
            where,
            examples,
            encoded,
            class_names,
            [
                ranges.lengths[image] if isinstance(image, int) else byte_count(image)
                for image in images
            ],
            missing=(*unlabelled, *self._missing),
            # The source's own split and groups are part of the data's identity.
            stamp=(self._parts.tobytes() if is_split else b"") + "\0".join(self._groups).encode(),
        )
