"""Images and labels for training: chosen, split, made to fit the network.

A source gives labelled images; what becomes of them is the recipe's `data`. numpy is imported
where it is needed: what is wrong with a spec or a recipe is said before that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from archspec.data import duplicates, grouping, preprocessing
from archspec.data.depth import SampleFormat
from archspec.data.duplicates import Copies
from archspec.data.examples import EncodedImages, LabelledImages, Skipped
from archspec.data.filewatch import FileWatch
from archspec.data.pixels import (
    MEMORY_SHARE,
    ArrayPixels,
    CachedPixels,
    FilePixels,
    Pixels,
    free_memory,
)
from archspec.data.preprocessing import NEEDS_COLOUR, Preprocessing
from archspec.data.ranging import check_range, values_of
from archspec.data.recipe import DataRecipe
from archspec.data.sources import SOURCES
from archspec.data.splitting import (
    SPLIT_RULE,
    Split,
    SplitRule,
    check_groups,
    check_parts,
    check_several,
    chosen_classes,
    labels_of,
    split,
    without_held_out,
)
from archspec.data.values import PixelValues, Range, at_once
from archspec.errors import Problem, RecipeError, UsageError, suggestion
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "SOURCES",
    "Data",
    "Pixels",
    "Preprocessing",
    "Subset",
    "class_weights",
    "load",
    "misfits",
    "split",
]

SMALL_BYTES: Final = 2**28
"""Of arrays that are resized at once, before training, so that batches are only looked up."""

OBSERVED: Final = 100
"""Training images whose values are looked at before training."""

LITTLE: Final = 0.02
"""The share of its range that an image's values should at least use."""

MOST_NAMED: Final = 5
"""Files that a message names."""

MOST_COPIES_NAMED: Final = 3
"""Of a picture, in a line."""

MOST_DIGESTED_BYTES: Final = 2**30
"""Of an array's pixels in the fingerprint; of a larger one, so much evenly spread."""


@dataclass(frozen=True, slots=True, eq=False)
class Subset:
    """Some of the examples: which images, and a whole number from 0 as each one's class."""

    pixels: Pixels
    indices: NDArray[np.intp]
    labels: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.indices)


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """What a split of all examples of a source depends on, beside the recipe."""

    labels: NDArray[np.int32]
    """(examples,); -1 for those of classes that are not used."""
    own: NDArray[np.int8] | None
    """The part of each, where the source comes split."""
    loaded: LabelledImages
    grouped_by: str | None
    """The recipe's `group` when it was loaded, which a column's groups are of."""
    twins: NDArray[np.intp] | None
    """A number for each that copies of an image share; None where nobody can tell."""

    def split(self, recipe: DataRecipe, rule: SplitRule = SPLIT_RULE) -> Split:
        """Deal out the examples as a recipe says; copies stay where they are."""
        return split(self.labels, recipe, self.own, self._groups(recipe), rule)

    def parts(self, recipe: DataRecipe, rule: SplitRule = SPLIT_RULE) -> Split:
        """Deal out the examples as a recipe says; copies are dropped where it says so."""
        parts = self.split(recipe, rule)
        if recipe.duplicates != "drop":
            return parts
        return duplicates.without(parts, self.twins, self.copied(parts))

    def copied(self, parts: Split) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which have copies in other parts, and in other classes."""
        return duplicates.find(self.twins, self.labels, parts)

    def _groups(self, recipe: DataRecipe) -> NDArray[np.intp] | None:
        """The number of each one's group."""
        if recipe.group is None:
            return None
        if self.loaded.groups is not None and recipe.group != self.grouped_by:
            raise UsageError(
                f"{self.loaded.name} was split by groups of `{recipe.group}` and of "
                f"`{self.grouped_by}`: judge such runs apart"
            )
        if self.loaded.groups is not None:
            groups = self.loaded.groups
        elif self.loaded.names is not None:
            groups = grouping.by_names(recipe.group, self.loaded.names)
        else:
            raise UsageError(f"the images of {self.loaded.name} have no names to `group` them by")
        numbers, names = grouping.numbered(groups)
        if self.own is not None:
            check_groups(self.labels, self.own, numbers, names)
        return numbers


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """What a run learns from, chooses its best epoch by, and is judged on."""

    name: str
    class_names: tuple[str, ...]
    original: Shape | None
    """Of an image before it was resized; None where they differ."""
    train: Subset
    validation: Subset
    test: Subset
    values: PixelValues | None
    """What the values of the images are; None of files that state it, until they are seen."""
    preprocessing: Preprocessing
    fingerprint: str
    """SHA-256 over the names of the classes, the labels, and what `covers` says."""
    covers: str
    examples: Examples
    split_rule: SplitRule
    """By which they are split."""
    watched: FileWatch
    """The files, as they were when they were loaded."""
    may_skip: bool
    """Whether an image that cannot be read is left out; else that is an error."""
    copies: Copies
    """Pictures in several parts or in several classes."""
    unread: list[Skipped]
    """Grows where an image turns out to be damaged when it is decoded."""
    notes: tuple[str, ...] = ()
    """Lines to be said once, before training."""

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Files that were left out, and why."""
        return tuple(self.unread)

    def check_unchanged(self, part: Subset | None = None) -> None:
        """Look whether files changed under the run: those of a part, else of many images.

        Under `on_error: skip`, images that did are as those that cannot be read. Raises
        `UsageError` where that may not be, or an array changed.
        """
        indices = None if part is None else part.indices.tolist()
        changes = self.watched.changes(indices)
        used = [c for c in changes if c.image is None or self.examples.labels[c.image] >= 0]
        if used and not self.may_skip:
            named = ", ".join(f"`{each.name}` ({each.what})" for each in used[:MOST_NAMED])
            more = ", ..." if len(used) > MOST_NAMED else ""
            raise UsageError(
                f"{len(used):,} of the files of {self.name} are not what they were when the "
                f"run began: {named}{more}; put them back and resume the run, or start anew"
            )
        for change in used:
            if change.image is not None:
                self.train.pixels.fail(change.image, f"{change.what} since the run has begun")

    def read_well(self, part: Subset) -> Subset:
        """A part without the images for which others stand in, so that no score counts these."""
        import numpy as np  # noqa: PLC0415

        kept = ~np.isin(part.indices, list(part.pixels.failed))
        return part if kept.all() else Subset(part.pixels, part.indices[kept], part.labels[kept])

    def describe(self) -> str:
        """One line: how many images for what, and their extents."""
        shape = self.train.pixels.shape
        extents = f", {self.original}" if self.original else ", image files"
        if shape != self.original:
            extents += f", resized to {shape}"
        files = "file" if len(self.unread) == 1 else "files"
        skipped = f", {len(self.unread):,} {files} skipped" if self.unread else ""
        return (
            f"{self.name}: {len(self.train):,} images to train on, "
            f"{len(self.validation):,} to validate, {len(self.test):,} to test, "
            f"{len(self.class_names)} classes{extents}{skipped}"
        )


def misfits(
    recipe: DataRecipe,
    input_shape: Shape,
    outputs: Mapping[str, Shape],
    weighted: Iterable[str] = (),
) -> Iterator[tuple[str, Problem]]:
    """Why a network of these shapes cannot learn this: "input" or an output's name, and what.

    Loads no pixels. Raises `UsageError` for files that cannot be read or hold one class, and
    `RecipeError` for classes, also `weighted` ones, that are not there.
    """
    preview = SOURCES[recipe.source].preview(recipe, input_shape)
    class_names = [preview.class_names[number] for number in chosen_classes(recipe, preview)]
    classes = len(class_names)
    source = recipe.source if recipe.path is None else recipe.path
    if outputs:
        check_several(source, class_names)
    for name in weighted:
        if name not in class_names:
            hint = suggestion(name, class_names, what="classes")
            unknown = Problem("unknown-name", f"the data has no class `{name}`", help=hint)
            raise RecipeError([(("class_weights", name), unknown)])
    problem = _misfit(source, preview.shape, input_shape)
    if problem is None and recipe.normalize in NEEDS_COLOUR and input_shape.channels != 3:
        problem = Problem(
            "shape",
            f"`normalize: {recipe.normalize}` is for 3 channels, but the input is {input_shape}",
            help="use standardize, unit or symmetric",
        )
    if problem is not None:
        yield "input", problem
    for name, shape in outputs.items():
        if shape.rank != 0:
            message = f"the output is {shape}, but {source} needs one number for each class"
            hint = "end with `flatten` or `global_avg_pool`, then `fc`"
            yield name, Problem("shape", message, help=hint)
        elif shape.size != classes:
            message = f"the output has {shape.size:,} values, but {source} has {classes:,} classes"
            hint = (
                "give other data with `data=`, such as a folder of images; or give the last layer "
                f"{classes} units"
            )
            yield name, Problem("shape", message, help=hint)


def _misfit(source: str, image: Shape | None, wanted: Shape) -> Problem | None:
    """Why images of a shape, or files, cannot become what a network takes."""
    if image is None or (image.rank == 2 and image.channels in {1, 3}):
        if wanted.rank == 2 and wanted.channels in {1, 3}:
            return None
        if image != wanted:
            return Problem(
                "shape",
                f"{source} is images, which do not fit an input of {wanted}",
                help="use [height, width, 1] or [height, width, 3]",
            )
    elif image != wanted and not (
        image.rank == wanted.rank == 2 and image.channels == wanted.channels
    ):
        channels_first = image.rank == 2 and image[0] == wanted.channels
        return Problem(
            "shape",
            f"{source} has examples of {image}, which do not fit an input of {wanted}",
            help="the channels seem to stand first: save them last, as `numpy.moveaxis(x, 1, -1)`"
            if channels_first
            else f"use an input of {list(image)}",
        )
    return None


def load(recipe: DataRecipe, input_shape: Shape, rule: SplitRule = SPLIT_RULE) -> Data:
    """The images that `recipe` names, split by it and made to fit `input_shape`.

    `rule` is the one of `split`. Raises `UsageError` for files, a network out of reach, and parts
    left empty; `RecipeError` for classes that are not there.
    """
    loaded = SOURCES[recipe.source].load(recipe, input_shape)
    labels, class_names = labels_of(recipe, loaded)
    images = loaded.images
    original = None if isinstance(images, EncodedImages) else Shape(images.shape[1:])
    if problem := _misfit(recipe.source, original, input_shape):
        raise UsageError(f"{problem.message}; {problem.help}")
    examples = Examples(labels, loaded.parts, loaded, recipe.group, duplicates.twins(loaded))
    before = examples.split(recipe, rule)
    check_parts(recipe, loaded, labels, before, class_names)
    copies = duplicates.copies(loaded, examples.twins, examples.copied(before))
    parts = examples.parts(recipe, rule)
    notes = [*loaded.notes, *_notes(recipe, copies, before, parts)]
    if parts is not before:
        check_parts(recipe, loaded, labels, parts, class_names)
    if missing := without_held_out(parts, labels, class_names):
        notes.append(missing)
    unread = list(loaded.skipped)
    kin = labels * 3
    for number, indices in enumerate(parts):
        kin[indices] += number
    values = values_of(recipe, loaded)
    limits = loaded.range if values is None else values.range
    if limits is None:
        check_range(recipe, values, original, input_shape)
    pixels = _pixels(recipe, loaded, input_shape, limits, kin, unread)
    train, validation, test = (Subset(pixels, part, labels[part]) for part in parts)
    fingerprint, covers = _fingerprint(loaded, labels, class_names)
    return Data(
        name=loaded.name,
        class_names=class_names,
        original=original,
        train=train,
        validation=validation,
        test=test,
        values=values,
        preprocessing=preprocessing.fit(recipe.normalize, recipe.resize, pixels, train.indices),
        fingerprint=fingerprint,
        covers=covers,
        examples=examples,
        split_rule=rule,
        watched=FileWatch(loaded),
        may_skip=original is None and recipe.on_error == "skip",
        copies=copies,
        unread=unread,
        notes=tuple(notes),
    )


def observed(data: Data, normalize: str) -> Data:
    """Return the data with the extremes of their training images' values.

    Those of files that state their white are of a sample, as the network's input has them. A note
    says where they are a small part of the range, and what to write then.
    """
    import numpy as np  # noqa: PLC0415

    values, limits = data.values, data.train.pixels.range
    if values is None and limits is not None:
        indices = data.train.indices[:: -(-len(data.train) // OBSERVED)]
        pixels = data.train.pixels.read(np.sort(indices))
        name = str(SampleFormat("unsigned", limits.white))
        values = PixelValues(name, float(pixels.min()), float(pixels.max()), limits)
    if values is None or limits is None:
        return data
    share = (values.maximum - values.minimum) / limits.span
    notes = data.notes
    if share == 0:
        notes += (f"all values of the training images are {values.minimum:g}: they are all alike",)
    elif share < LITTLE:
        notes += (
            f"the training images' values, from {values.minimum:g} to {values.maximum:g}, use "
            f"{share:.2%} of their range {limits}: " + _spreading(normalize),
        )
    return replace(data, values=values, notes=notes)


def _spreading(normalize: str) -> str:
    """What to write for values that lie close together."""
    if normalize == "standardize":
        return "`normalize: standardize`, as it is, spreads them"
    return f"`normalize: {normalize}` leaves them all but equal; write `normalize: standardize`"


def _notes(recipe: DataRecipe, copies: Copies, before: Split, parts: Split) -> Iterator[str]:
    """A line for copies of images; raise `UsageError` where the recipe wants none."""
    if not copies:
        return
    first = ", ".join(f"`{name}`" for name in copies.images[0][:MOST_COPIES_NAMED])
    if recipe.duplicates == "error":
        raise UsageError(
            f"{copies}, as {first}; remove the copies, or say `duplicates: drop` or `warn`"
        )
    if recipe.duplicates == "drop":
        dropped = sum(map(len, before)) - sum(map(len, parts))
        images = "1 image is" if dropped == 1 else f"{dropped:,} images are"
        yield f"{copies}, as {first}: {images} left out; data.json names them"
    else:
        yield f"{copies}, as {first}; data.json names them, `data.duplicates: drop` leaves them out"


def _pixels(
    recipe: DataRecipe,
    loaded: LabelledImages,
    shape: Shape,
    limits: Range | None,
    kin: NDArray[np.int32],
    unread: list[Skipped],
) -> Pixels:
    """Where the pixels come from, as the network takes them."""
    store: ArrayPixels | FilePixels
    if isinstance(loaded.images, EncodedImages):
        skip = recipe.on_error == "skip"
        store = FilePixels(
            loaded.images,
            shape,
            recipe.resize,
            limits=limits,
            kin=kin,
            skip=skip,
            skipped=unread,
        )
    else:
        store = ArrayPixels(loaded.images, shape, recipe.resize, limits=limits)
    if store.array is not None or recipe.cache is False:
        return store
    needed = int((kin >= 0).sum()) * shape.size * (1 if store.dtype == "uint8" else 4)
    free = free_memory()
    if recipe.cache is True and needed > free:
        raise UsageError(
            f"`cache: true` needs {needed / 2**30:,.1f} GiB of memory, "
            f"but {free / 2**30:,.1f} GiB are free; say `cache: auto`"
        )
    if recipe.cache == "auto" and needed > MEMORY_SHARE * free:
        return store
    try:
        kept = CachedPixels(store, len(loaded.labels))
    except MemoryError:  # a few images of very many
        return store
    if isinstance(store, ArrayPixels) and needed <= SMALL_BYTES:
        kept.fill()
    return kept


def _fingerprint(
    loaded: LabelledImages, labels: NDArray[np.int32], class_names: tuple[str, ...]
) -> tuple[str, str]:
    """A digest of what is trained on, and what it covers."""
    import numpy as np  # noqa: PLC0415

    digest = hashlib.sha256("\0".join(class_names).encode())
    digest.update(np.ascontiguousarray(labels, "<i4").data)
    if isinstance(loaded.images, EncodedImages):
        digest.update(loaded.digest.encode())
        return digest.hexdigest(), f"classes, labels, {loaded.covers}"
    images = loaded.images
    digest.update(f"{images.shape} {images.dtype.str}".encode())
    size = images.dtype.itemsize * int(np.prod(images.shape, dtype=np.int64))
    every = -(-size // MOST_DIGESTED_BYTES)
    step = at_once(images)
    for start in range(0, len(images), step * every):
        digest.update(np.ascontiguousarray(images[start : start + step]).data)
    pixels = "pixels" if every == 1 else f"one pixel in {every}"
    return digest.hexdigest(), f"classes, labels, {pixels}"


def class_weights(
    setting: Literal["balanced"] | Mapping[str, float], data: Data
) -> dict[int, float]:
    """What an example of each class weighs in the loss; a class that is not named weighs 1.

    `balanced` gives every class the same sum over the training images.
    """
    import numpy as np  # noqa: PLC0415

    classes = len(data.class_names)
    if setting == "balanced":
        counts = np.bincount(data.train.labels, minlength=classes)
        return {label: len(data.train) / (classes * int(n)) for label, n in enumerate(counts)}
    return {label: float(setting.get(name, 1)) for label, name in enumerate(data.class_names)}
