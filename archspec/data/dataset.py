"""Images and labels for training: chosen, split, fitted to the network.

A source gives labelled images, and the recipe's `data` says how they are used. NumPy is imported
where it is needed, so that mistakes in a spec or a recipe are reported sooner.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from archspec.data import duplicates, grouping, preprocessing, targets
from archspec.data.depth import SampleFormat
from archspec.data.duplicates import Copies
from archspec.data.examples import EncodedImages, LabelledImages, Skipped
from archspec.data.fileaccess import check_memory
from archspec.data.filewatch import FileWatch
from archspec.data.fitting import (
    check_range,
    is_measured,
    of_vector,
    shape_misfit,
    values_of,
)
from archspec.data.pixels import (
    MEMORY_SHARE,
    ArrayPixels,
    CachedPixels,
    FilePixels,
    JoinedPixels,
    Pixels,
)
from archspec.data.preprocessing import Preprocessing
from archspec.data.recipe import DataRecipe
from archspec.data.sources import SOURCES
from archspec.data.splitting import (
    SPLIT_RULE,
    Split,
    SplitRule,
    check_groups,
    check_parts,
    labels_of,
    split,
    without_held_out,
)
from archspec.data.targets import TargetScale
from archspec.data.task import Task, TaskKind
from archspec.data.values import PixelValues, Range, chunk_length
from archspec.errors import UsageError, first_few
from archspec.lazy import np
from archspec.ops.shape import Shape
from archspec.system import free_memory

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALL_BYTES: Final = 2**28
"""Largest array that is resized before training, so that batches are only looked up."""

OBSERVED: Final = 100
"""Training images whose values are measured before training."""

LITTLE: Final = 0.02
"""Share of the range below which the values of images get a note."""

MOST_COPIES_NAMED: Final = 3
"""Copies of a picture that a line names."""

MOST_DIGESTED_BYTES: Final = 2**30
"""Bytes of an array that the fingerprint covers: of a larger one, pixels evenly spread."""


@dataclass(frozen=True, slots=True, eq=False)
class Subset:
    """The examples for one purpose: training, validation or test."""

    pixels: Pixels
    indices: NDArray[np.intp]
    """The images' numbers among `pixels`."""
    labels: NDArray[Any]
    """(images,) int32: the class of each, from 0; or (images, outputs) float32: its set of labels,
    as 1 and 0, or its numbers."""

    def __len__(self) -> int:
        return len(self.indices)


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """All examples of a source, as a recipe can split them."""

    labels: NDArray[np.int32]
    """(examples,); -1 for those of classes that are not used."""
    own: NDArray[np.int8] | None
    """TRAIN, VALIDATION or TEST for each, where the source comes split."""
    loaded: LabelledImages
    grouped_by: str | None
    """The recipe's `group` when the source was loaded."""
    pictures: NDArray[np.intp] | None
    """A number for each, equal for copies of a picture; None where they are not compared."""

    def split_with_copies(self, recipe: DataRecipe, rule: SplitRule = SPLIT_RULE) -> Split:
        """Split the examples as a recipe says, with all copies."""
        return split(self.labels, recipe, self.own, self._groups(recipe), rule)

    def split(self, recipe: DataRecipe, rule: SplitRule = SPLIT_RULE) -> Split:
        """Split the examples as a recipe says, without copies if it drops them."""
        parts = self.split_with_copies(recipe, rule)
        if recipe.duplicates != "drop":
            return parts
        return duplicates.without(parts, self.pictures, self.copied(parts))

    def copied(self, parts: Split) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return which examples have copies in other parts, and which in other classes."""
        return duplicates.find(self.pictures, self.labels, parts)

    def _groups(self, recipe: DataRecipe) -> NDArray[np.intp] | None:
        """Return the number of each example's group."""
        if recipe.group is None:
            return None
        if self.loaded.groups is not None and recipe.group != self.grouped_by:
            raise UsageError(
                f"{self.loaded.name} was split by groups of `{recipe.group}` and of "
                f"`{self.grouped_by}`: evaluate such runs separately"
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
    """The data of a run: what it trains on, chooses its best epoch by, and is tested on."""

    name: str
    task: Task
    """The task that is learnt of the images."""
    scale: TargetScale | None
    """The scale on which the network learns numbers; None for that of the labels."""
    original: Shape | None
    """Shape of an image before it is resized; None for files, which may differ."""
    train: Subset
    validation: Subset
    test: Subset
    values: PixelValues | None
    """The values of the images; None for files that state their white, until `observed`."""
    preprocessing: Preprocessing
    fingerprint: str
    """SHA-256 over what `covers` names."""
    covers: str
    examples: Examples
    split_rule: SplitRule
    watched: FileWatch
    may_skip: bool
    """Whether an image that cannot be read is left out, instead of an error."""
    copies: Copies
    unread: list[Skipped]
    """Files that were left out. Grows if an image turns out to be damaged when it is decoded."""
    notes: tuple[str, ...] = ()
    """Lines to print once, before training."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, labels or values, in the order of the network's outputs."""
        return self.task.names

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Files that were left out, and why."""
        return tuple(self.unread)

    def check_unchanged(self, part: Subset | None = None) -> None:
        """Check whether files changed during the run: those of a part, or by default many files.

        Under `on_error: skip`, changed images count as unreadable. Otherwise, and for a changed
        array, raises `UsageError`.
        """
        indices = None if part is None else part.indices.tolist()
        changes = self.watched.changes(indices)
        used = [c for c in changes if c.image is None or self.examples.labels[c.image] >= 0]
        if used and not self.may_skip:
            named = first_few([f"`{each.name}` ({each.what})" for each in used])
            raise UsageError(
                f"{len(used):,} of the files of {self.name} changed since the run began: "
                f"{named}; put them back and resume the run, or start a new one"
            )
        for change in used:
            if change.image is not None:
                self.train.pixels.fail(change.image, f"{change.what} since the run began")

    def without_failed(self, part: Subset) -> Subset:
        """Return a part without the images that were replaced by others: no score counts these."""
        kept = ~np.isin(part.indices, list(part.pixels.failed))
        return part if kept.all() else Subset(part.pixels, part.indices[kept], part.labels[kept])

    def describe(self) -> str:
        """Return a line: how many images for which purpose, and their shapes."""
        shape = self.train.pixels.shape
        extents = f", {self.original}" if self.original else ", image files"
        if isinstance(self.train.pixels, JoinedPixels):
            inputs = self.train.pixels.inputs.items()
            extents = "".join(f", {name} {each.shape}" for name, each in inputs)
        elif not shape.rank:
            extents = f", {shape.channels:,} numbers each"
        elif shape != self.original:
            extents += f", resized to {shape}"
        are_images = shape.rank and not isinstance(self.train.pixels, JoinedPixels)
        noun = "images" if are_images else "examples"
        files = "file" if len(self.unread) == 1 else "files"
        skipped = f", {len(self.unread):,} {files} skipped" if self.unread else ""
        return (
            f"{self.name}: {len(self.train):,} {noun} to train on, "
            f"{len(self.validation):,} to validate, {len(self.test):,} to test, "
            f"{self.task.outputs}{extents}{skipped}"
        )


def load(
    recipe: DataRecipe,
    network: Shape | Mapping[str, Shape],
    rule: SplitRule = SPLIT_RULE,
    kind: TaskKind = "classification",
) -> Data:
    """Return the images that a recipe names, split by it and fitted to a network.

    `network` is the shape of its input; of several, the shape of each by its name.

    Raises:
        UsageError: Files cannot be read, a download failed, or a part would be empty.
        RecipeError: A class does not exist, or black and white are not known.

    """
    shapes = network if isinstance(network, Mapping) else {"input": network}
    several = len(shapes) > 1
    ways = {name: of_vector(recipe, shape) if several else recipe for name, shape in shapes.items()}
    loaded = SOURCES[recipe.source].load(recipe, network, kind)
    if loaded.targets is None:
        labels, class_names = labels_of(recipe, loaded)
    else:  # all examples are split as those of one class
        labels, class_names = loaded.labels, (loaded.name,)
    original = _shape_of(loaded)
    sources = loaded.inputs or dict.fromkeys(shapes, loaded)
    for name, shape in shapes.items():
        problem = shape_misfit(recipe.source, _shape_of(sources[name]), shape)
        if problem is not None:
            raise UsageError(f"{problem.message}; {problem.help}")
    pictures = duplicates.picture_numbers(loaded)
    examples = Examples(labels, loaded.parts, loaded, recipe.group, pictures)
    before = examples.split_with_copies(recipe, rule)
    check_parts(recipe, loaded, labels, before, class_names)
    copies = duplicates.copies(loaded, pictures, examples.copied(before))
    parts = examples.split(recipe, rule)
    notes = [*loaded.notes, *_notes(recipe, copies, before, parts)]
    if parts is not before:
        check_parts(recipe, loaded, labels, parts, class_names)
    if missing := without_held_out(parts, labels, class_names):
        notes.append(missing)
    unread = list(loaded.skipped)
    kinds = labels * 3
    for number, indices in enumerate(parts):
        kinds[indices] += number
    given = {
        name: _of_input(ways[name], sources[name], shape, kinds, unread)
        for name, shape in shapes.items()
    }
    stores = {name: store for name, (_, store) in given.items()}
    prepared = {
        name: preprocessing.fit(ways[name].normalize, recipe.resize, store, parts.train)
        for name, store in stores.items()
    }
    first = next(iter(shapes))
    pixels = JoinedPixels(stores) if several else stores[first]
    learnt = labels if loaded.targets is None else loaded.targets
    train, validation, test = (Subset(pixels, part, learnt[part]) for part in parts)
    task = Task(kind, class_names if loaded.targets is None else loaded.class_names)
    fingerprint, covers = _fingerprint(loaded, learnt, task.names)
    return Data(
        name=loaded.name,
        task=task,
        scale=targets.fit(recipe.targets, train.labels) if kind == "regression" else None,
        original=original,
        train=train,
        validation=validation,
        test=test,
        values=given[first][0],
        preprocessing=replace(prepared[first], inputs=tuple(prepared.items()) if several else ()),
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

    For files that state their white, a sample is read, as the network sees it. Where the extremes
    are a small part of the range, a note says what to write.
    """
    values, limits = data.values, data.train.pixels.range
    if values is None and limits is not None:
        indices = data.train.indices[:: -(-len(data.train) // OBSERVED)]
        store = data.train.pixels
        store = store.first if isinstance(store, JoinedPixels) else store
        pixels = store.read(np.sort(indices))
        name = str(SampleFormat("unsigned", limits.white))
        values = PixelValues(name, float(pixels.min()), float(pixels.max()), limits)
    if values is None or limits is None:
        return data
    share = (values.maximum - values.minimum) / limits.span
    notes = data.notes
    if share == 0:
        notes += (f"all pixels of all training images have the value {values.minimum:g}",)
    elif share < LITTLE:
        notes += (
            f"the training images' values, from {values.minimum:g} to {values.maximum:g}, use "
            f"{share:.2%} of their range {limits}: "
            + (
                "`normalize: standardize`, which is set, spreads them"
                if normalize == "standardize"
                else f"`normalize: {normalize}` leaves them nearly equal; "
                "write `normalize: standardize`"
            ),
        )
    return replace(data, values=values, notes=notes)


def _notes(recipe: DataRecipe, copies: Copies, before: Split, parts: Split) -> Iterator[str]:
    """Yield a line about copies of images; raise `UsageError` if the recipe allows none."""
    if not copies:
        return
    first = ", ".join(f"`{name}`" for name in copies.images[0][:MOST_COPIES_NAMED])
    if recipe.duplicates == "error":
        raise UsageError(
            f"{copies}, as {first}; remove the copies, or write `duplicates: drop` or `warn`"
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
    kinds: NDArray[np.int32],
    unread: list[Skipped],
) -> Pixels:
    """Return the pixels as the network takes them, kept in memory if the recipe says so."""
    store: ArrayPixels | FilePixels
    if isinstance(loaded.images, EncodedImages):
        store = FilePixels(
            loaded.images,
            shape,
            recipe.resize,
            limits=limits,
            kinds=kinds,
            skip=recipe.on_error == "skip",
            skipped=unread,
        )
    else:
        store = ArrayPixels(loaded.images, shape, recipe.resize, limits=limits)
    if store.array is not None or recipe.cache is False:
        return store
    needed = int((kinds >= 0).sum()) * shape.size * (1 if store.dtype == "uint8" else 4)
    if recipe.cache is True:
        check_memory("`cache: true`", needed, "; write `cache: auto`")
    elif needed > MEMORY_SHARE * free_memory():
        return store
    try:
        kept = CachedPixels(store, len(loaded.labels))
    except MemoryError:  # has room for all images, even if a recipe uses few of them
        return store
    if isinstance(store, ArrayPixels) and needed <= SMALL_BYTES:
        kept.fill()
    return kept


def _shape_of(loaded: LabelledImages) -> Shape | None:
    """Return the shape of an example; None for files."""
    images = loaded.images
    return None if isinstance(images, EncodedImages) else Shape(images.shape[1:])


def _of_input(
    recipe: DataRecipe,
    loaded: LabelledImages,
    shape: Shape,
    kinds: NDArray[np.int32],
    unread: list[Skipped],
) -> tuple[PixelValues | None, Pixels]:
    """Return the values of an input's examples, None for files that state theirs, and the pixels.

    Raises `RecipeError` if the recipe needs black and white, which values do not show.
    """
    values = values_of(recipe, loaded)
    if is_measured(recipe, shape):
        values = values and replace(values, range=None)
    limits = loaded.range if values is None else values.range
    if limits is None:
        check_range(recipe, values, _shape_of(loaded), shape)
    return values, _pixels(recipe, loaded, shape, limits, kinds, unread)


def _fingerprint(
    loaded: LabelledImages, labels: NDArray[Any], class_names: tuple[str, ...]
) -> tuple[str, str]:
    """Return a digest of the data, and what it covers."""
    digest = hashlib.sha256("\0".join(class_names).encode())
    digest.update(np.ascontiguousarray(labels, labels.dtype.newbyteorder("<")).data)
    covers = []
    for name, one in (loaded.inputs or {"": loaded}).items():
        digest.update(name.encode())
        digest.update(one.digest.encode())
        if isinstance(one.images, EncodedImages):
            covers.append(one.covers)
        else:
            covers.append(_digest_pixels(digest, one.images))
    return digest.hexdigest(), ", ".join(dict.fromkeys(("classes", "labels", *covers)))


def _digest_pixels(digest: Any, images: NDArray[Any]) -> str:
    """Add an array to a digest, and return what of it is covered."""
    digest.update(f"{images.shape} {images.dtype.str}".encode())
    size = images.dtype.itemsize * int(np.prod(images.shape, dtype=np.int64))
    every = -(-size // MOST_DIGESTED_BYTES)
    step = chunk_length(images)
    for start in range(0, len(images), step * every):
        digest.update(np.ascontiguousarray(images[start : start + step]).data)
    return "pixels" if every == 1 else f"one pixel in {every}"


def class_weights(
    setting: Literal["balanced"] | Mapping[str, float], data: Data
) -> NDArray[np.float32]:
    """Return the weight of each class's examples in the loss; of classes without a weight, 1.

    `balanced` gives every class the same sum over the training images.
    """
    names = data.class_names
    if setting == "balanced":
        counts = np.bincount(data.train.labels, minlength=len(names))
        weights = [len(data.train) / (len(names) * int(count)) for count in counts]
    else:
        weights = [float(setting.get(name, 1)) for name in names]
    return np.array(weights, np.float32)
