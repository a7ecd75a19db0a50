"""The labelled images that a source gives, as it stores them: not split, resized or normalised."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from archspec.data.imagefile import Encoded
from archspec.data.task import TaskKind
from archspec.data.values import BYTES, PixelValues, Range
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Skipped: TypeAlias = tuple[str, str]
"""A file that is left out, and why."""


@dataclass(frozen=True, slots=True)
class Preview:
    """Facts about a source that are known before its pixels are loaded."""

    class_names: tuple[str, ...]
    """Names of the classes; empty if the labels are not classes."""
    shape: Shape | None
    """Shape of an image; None for files, which may differ and become grey or colour as needed."""
    other_names: Mapping[TaskKind, tuple[str, ...]] = field(default_factory=dict)
    """Names of labels or of values, by each other kind of task that the labels may be for."""
    no_classes: str = ""
    """The reason why the labels are not classes."""
    shapes: Mapping[str, Shape | None] = field(default_factory=dict)
    """Shape of each input's examples, for a network with several; None for image files."""
    features: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Columns of a table that each input of numbers is read from."""

    @property
    def names(self) -> Mapping[TaskKind, tuple[str, ...]]:
        """Names of the outputs, by each kind of task that the labels may be for."""
        classes: Mapping[TaskKind, tuple[str, ...]] = {"classification": self.class_names}
        return {**(classes if self.class_names else {}), **self.other_names}


@dataclass(frozen=True, slots=True, eq=False)
class EncodedImages:
    """Images in files or in records, to be decoded one by one."""

    names: Sequence[str]
    get: Callable[[int], Encoded]
    plain: Sequence[tuple[int, int] | None] | None = None
    """Height and width of each plain JPEG, None for others; None if they were not inspected."""
    extents: Sequence[tuple[int, int]] | None = None
    """Height and width of each image; None if they were not inspected."""
    unstated: Range | None = None
    """Black and white in files that do not state them, floats and signed numbers, where those
    differ from the range of all images."""
    is_deep: bool = False
    """Whether some have more than 8 bits a sample."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImages:
    """All examples of a source."""

    name: str
    class_names: tuple[str, ...]
    """Names of the classes; of the labels or values, where there are `targets`."""
    labels: NDArray[np.int32]
    """The class of each example, from 0; 0 where there are `targets`."""
    images: NDArray[Any] | EncodedImages
    """(images, *extent, channels), in memory or mapped from a file; or encoded."""
    range: Range | None = BYTES
    """Black and white in encoded images."""
    values: PixelValues | None = None
    """The values of an array, where they have been measured already; or of files that do not
    state their white."""
    parts: NDArray[np.int8] | None = None
    """TRAIN, VALIDATION or TEST for each image, where the source comes split."""
    skipped: tuple[Skipped, ...] = ()
    digest: str = ""
    """SHA-256 of the encoded images, where reading them has given it already."""
    covers: str = ""
    """The content that `digest` covers."""
    names: Sequence[str] | None = None
    """Name of each image within the source, which a pattern for groups is matched with."""
    groups: Sequence[str] | None = None
    """Group of each image, where the recipe names a column or an array of groups."""
    digests: Sequence[bytes] | None = None
    """Digest of each encoded image: equal only for those of equal bytes."""
    notes: tuple[str, ...] = ()
    """Lines to print once, such as that files have different depths."""
    inputs: Mapping[str, LabelledImages] = field(default_factory=dict)
    """The same examples with the images of each input by name, for a network with several."""
    targets: NDArray[np.float32] | None = None
    """(examples, outputs): 1 for each label that an example has and else 0, or its numbers; None
    for classes."""

    def only(self, numbers: Sequence[int], images: NDArray[Any] | EncodedImages) -> LabelledImages:
        """Return the examples of these numbers, whose images are given."""
        return replace(
            self,
            images=images,
            labels=self.labels[numbers],
            parts=None if self.parts is None else self.parts[numbers],
            names=None if self.names is None else [self.names[i] for i in numbers],
            groups=None if self.groups is None else [self.groups[i] for i in numbers],
            targets=None if self.targets is None else self.targets[numbers],
        )
