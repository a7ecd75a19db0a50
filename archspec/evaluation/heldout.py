"""The images to score trained networks on: the same for all, and none that one was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from archspec.data import dataset
from archspec.data.arrays import without_labels
from archspec.data.dataset import Data
from archspec.data.fitting import input_misfits
from archspec.data.names import TEST, TRAIN, VALIDATION
from archspec.data.pixels import JoinedPixels, Pixels
from archspec.data.recipe import DataRecipe
from archspec.data.sources import SOURCES, keys_of
from archspec.data.splitting import split_digest
from archspec.data.task import NOUNS, Task
from archspec.data.values import Range
from archspec.errors import RecipeError, UsageError, listed, suggestion
from archspec.evaluation.trained import LoadedNetwork, Trained
from archspec.lazy import np
from archspec.ops.shape import Shape
from archspec.runs.records import PartSizes

if TYPE_CHECKING:
    from numpy.typing import NDArray

PARTS: Final = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
ALL: Final = "all"

WITHIN: Final = ("images", "labels", "features", "split", "separator")
"""Keys of a recipe that locate images, numbers and labels in a file."""

LOOKED_AT: Final = 1_000
"""Number of an array's images from which its extremes are taken."""


class EmptyPartError(UsageError):
    """The chosen part of the data is empty; others have images."""

    def __init__(self, name: str, part: str, others: Sequence[str]) -> None:
        super().__init__(f"{name} has no {part} images: choose `part=` {' or '.join(others)}")
        self.name = name
        self.others = others


@dataclass(frozen=True, slots=True)
class DataChoice:
    """The chosen data, before any of it is loaded."""

    recipe: DataRecipe
    is_own: bool
    """Whether the data's source is that of the networks' own training images."""
    is_given: bool
    """Whether the user named it."""


def choose(trained: Sequence[Trained], data: str | PathLike[str] | None) -> DataChoice:
    """Return the data to score on: `data`, a source's name or a path, or else the runs' own."""
    runs = [(each, each.recipe.data) for each in trained if each.recipe is not None]
    if data is not None:
        fields = _source(fspath(data))
        own = next((recipe for _, recipe in runs if _is_there(recipe, fields)), None)
        if own is None and runs:
            learnt = runs[0][1]
            fields["on_error"] = learnt.on_error
            if learnt.source == fields["source"]:  # a table like the training one
                fields |= {field: getattr(learnt, field) for field in WITHIN}
        return DataChoice(own or DataRecipe.model_validate(fields), own is not None, True)
    if not runs:
        raise UsageError(f"{trained[0].name} does not record its training data: give `data=`")
    first, recipe = runs[0]
    for other, theirs in runs[1:]:
        if not _is_there(theirs, recipe.model_dump()):
            raise UsageError(
                f"{first.name} was trained on {_where(recipe)} and {other.name} on "
                f"{_where(theirs)}: choose one with `data=`"
            )
    return DataChoice(recipe, True, False)


def _source(given: str) -> dict[str, Any]:
    """Return the recipe's keys for data by name or path; raise `UsageError` if there is none."""
    fields: dict[str, Any] = dict(keys_of(given))
    source = fields["source"]
    if source not in SOURCES:
        named = [name for name, each in SOURCES.items() if each.needs is None]
        hint = suggestion(given, named, what="sources")
        raise UsageError(f"`data={given!r}`: there is no such source, folder or file; {hint}")
    needed = SOURCES[source].needs
    if needed and needed not in fields:
        hint = "name the folder or the file itself"
        if needed == "name":
            hint = "which only a run's recipe can give"
        raise UsageError(f"`data={given!r}` needs a {needed}: {hint}")
    if "path" in fields:
        path = Path(given)
        if source in {"folder", "arrays"} and not path.exists():
            raise UsageError(f"`data={given!r}`: there is no such folder or file")
        if path.is_file() and path.suffix == ".npy":
            raise UsageError(f"`data={given!r}` {without_labels(path)}")
        if path.is_file() and source == "folder":
            raise UsageError(f"`data={given!r}` is neither a folder of images nor a file of them")
    return fields


def _is_there(recipe: DataRecipe, fields: dict[str, Any]) -> bool:
    """Return whether a recipe's images are in the place that these fields give."""
    for field in fields.keys() & {"source", "name", "path", *WITHIN}:
        here, there = getattr(recipe, field), fields[field]
        if field == "path" and here and there:
            here, there = Path(here).resolve(), Path(there).resolve()
        if here != there:
            return False
    return True


def _where(recipe: DataRecipe) -> str:
    return " ".join(filter(None, (recipe.source, recipe.path or recipe.name)))


def with_known_classes(
    choice: DataChoice, network: Trained, inputs: Mapping[str, Shape]
) -> DataChoice:
    """Return the choice of the data's images of the classes of a network, without loading them.

    Raises:
        UsageError: The data have other classes, or images that do not fit.

    """
    recipe, name, class_names, kind = choice.recipe, network.name, network.class_names, network.kind
    try:
        preview = SOURCES[recipe.source].preview(recipe, inputs)
    except RecipeError as error:
        raise UsageError(str(error)) from None
    for _, problem in input_misfits(recipe, preview, inputs):
        raise UsageError(f"{name}: {problem.message}")
    if kind not in preview.names:
        why = f": {preview.no_classes}" if kind == "classification" else ""
        raise UsageError(
            f"{name} was trained for {kind}, and the labels of {_where(recipe)} are not for it{why}"
        )
    if kind != "classification":
        known, names = class_names or (), preview.names[kind]
        if len(known) != len(names) or (kind == "multi_label" and known != names):
            raise UsageError(
                f"{_where(recipe)} has the {NOUNS[kind][1]} {listed(names)}, and {name} was "
                f"trained for {listed(known)}"
            )
        return choice
    names = recipe.classes or preview.class_names
    if class_names is None:
        return choice
    if unknown := [each for each in names if each not in class_names]:
        raise UsageError(
            f"{_where(recipe)} has {listed(unknown)}, which {name} does not "
            f"know; it knows {listed(class_names)}"
        )
    known = tuple(each for each in class_names if each in names)
    if known == names:
        return choice
    return replace(choice, recipe=recipe.model_copy(update={"classes": known}))


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutImages:
    """Images of known classes, as each of several networks takes them."""

    name: str
    part: str
    task: Task
    indices: NDArray[np.intp]
    labels: NDArray[Any]
    """The class of each image, (images,); or its set of labels or numbers, (images, outputs)."""
    stores: tuple[Pixels, ...]
    """Pixels for each network; networks that take the same pixels share them."""
    ranges: tuple[Range | None, ...]
    """Black and white of each network's pixels; None where they are those of its training."""
    notes: tuple[str, ...]
    """Remarks about the images."""


def load(
    networks: Sequence[LoadedNetwork],
    choice: DataChoice,
    *,
    part: str | None = None,
    white: float | None = None,
) -> HeldOutImages:
    """Load the images of a part: by default the test images, or all of foreign data.

    Raises:
        UsageError: There are none, or one of the networks was trained on them.

    """
    recipe = choice.recipe.model_copy(
        update={
            "validation": 0.0,
            "test": 0.0,
            "per_class": None,
            "normalize": "none",
            "duplicates": "warn",
        }
    )
    every = _loaded(networks, recipe)
    data = every[0]
    kind = networks[0].kind
    class_names = networks[0].trained.class_names or data.class_names
    if networks[0].classes != len(class_names):
        raise UsageError(
            f"{networks[0].name} has {networks[0].classes} {NOUNS[kind][1]}, and {data.name} has "
            f"{len(class_names)}"
        )
    labels = data.examples.labels
    splits = {
        network.name: data.examples.split(network.trained.recipe.data, network.trained.split_rule)
        for network in networks
        if network.trained.recipe is not None and network.trained.fingerprint == data.fingerprint
    }
    notes = _changed(networks, choice, data)
    notes += _split_anew(networks, splits, part)
    first = [*splits.values(), data.examples.split_with_copies(recipe)][0]
    held_out = dict(zip(PARTS, first, strict=True))
    if part is None:
        part = "test" if splits or len(held_out["test"]) else ALL
    chosen = np.flatnonzero(labels >= 0) if part == ALL else held_out[part]
    if not len(chosen):
        others = [name for name, indices in held_out.items() if len(indices)]
        raise EmptyPartError(data.name, part, others)
    notes += _learnt(splits, chosen, part)
    if skipped := data.skipped:
        files = "file was" if len(skipped) == 1 else "files were"
        notes.append(f"{len(skipped):,} {files} left out of {data.name}, as {skipped[0][0]}")
    targets = data.examples.loaded.targets
    if targets is None:
        numbers = np.array([class_names.index(name) for name in data.class_names], np.int32)
        truth = numbers[labels[chosen]]
    else:
        truth = targets[chosen]
    stores = tuple(each.train.pixels for each in every)
    ranges = [
        _range(
            network,
            store,
            chosen,
            data,
            white,
            arrays=recipe.source == "arrays",
            known=network.name in splits,
        )
        for network, store in zip(networks, stores, strict=True)
    ]
    return HeldOutImages(
        name=data.name,
        part=part,
        task=Task(kind, class_names),
        indices=chosen,
        labels=truth,
        stores=stores,
        ranges=tuple(ranges),
        notes=tuple(notes),
    )


def _range(
    network: LoadedNetwork,
    store: Pixels,
    chosen: NDArray[np.intp],
    data: Data,
    white: float | None,
    *,
    arrays: bool,
    known: bool,
) -> Range | None:
    """Return black and white: those of training if the images are `known` from there."""
    if isinstance(store, JoinedPixels) and not arrays:
        _check_ranges(network, store, data.name)
        return network.preprocessing.range
    if not arrays:
        if store.range is None:  # files that do not state their white
            return network.preprocessing.range
        if store.range != network.preprocessing.range:
            network.check_range(data.name)
        return store.range
    if (known and white is None) or len(network.inputs) > 1:
        return network.preprocessing.range
    seen = store.read(chosen[:: -(-len(chosen) // LOOKED_AT)])
    return network.range_of((float(seen.min()), float(seen.max())), data.name, white)


def _check_ranges(network: LoadedNetwork, store: JoinedPixels, where: str) -> None:
    """Raise `UsageError` if an input's images have another black and white than in training."""
    for name, how in network.preprocessing.inputs:
        if store.inputs[name].range != how.range:
            raise UsageError(
                f"the images for `{name}` in {where} have other values for black and white than "
                f"those that {network.name} was trained on: convert them to the same depth"
            )


def _loaded(networks: Sequence[LoadedNetwork], recipe: DataRecipe) -> list[Data]:
    """Return the data for each network, loaded once for those that take the same pixels."""
    known: dict[tuple[str, tuple[Any, ...]], Data] = {}
    for network in networks:
        key = network.preprocessing.resize, tuple(network.inputs.items())
        if key not in known:
            fitting = recipe.model_copy(update={"resize": key[0], "cache": False})
            known[key] = dataset.load(fitting, network.inputs, kind=network.kind)
    return [known[each.preprocessing.resize, tuple(each.inputs.items())] for each in networks]


def _changed(networks: Sequence[LoadedNetwork], choice: DataChoice, data: Data) -> list[str]:
    """Return notes on images that changed since training; raise unless they were asked for."""
    notes = []
    for network in networks:
        recipe, before = network.trained.recipe, network.trained.fingerprint
        if recipe is None or before == data.fingerprint:
            continue
        if not choice.is_own or not _is_there(recipe.data, choice.recipe.model_dump()):
            continue
        changed = f"{data.name} has changed since {network.name} was trained on it"
        if not choice.is_given:
            there = recipe.data.path or recipe.data.source
            raise UsageError(
                f"{changed}, so it is not known which images it was trained on: "
                f"`data={there!r}` scores it nevertheless"
            )
        notes.append(f"{changed}: it may have been trained on some of these images")
    return notes


def _split_anew(
    networks: Sequence[LoadedNetwork], splits: Mapping[str, Sequence[Any]], part: str | None
) -> list[str]:
    """Return notes on a different split of the images today; raise if the part depends on it."""
    notes = []
    for network in networks:
        data = network.trained.data
        if data is None or network.name not in splits:
            continue
        train, validation, test = splits[network.name]
        sizes = PartSizes(len(train), len(validation), len(test))
        same = split_digest((train, validation, test)) == data.split if data.split else True
        if same and sizes == data.images:
            continue
        other = f"this archspec splits the data differently than {network.name} did"
        if part != ALL:
            raise UsageError(
                f"{other}, so it is not known which images it was trained on: "
                f"`part='{ALL}'` scores it on all"
            )
        notes.append(f"{other}: it was trained on some of these images")
    return notes


def _learnt(splits: Mapping[str, Sequence[Any]], chosen: NDArray[np.intp], part: str) -> list[str]:
    """Return notes on images that were trained on; raise if they should be held out."""
    notes = []
    for name, (train, _, _) in splits.items():
        learnt = int(np.isin(chosen, train).sum())
        if learnt and part not in {ALL, "train"}:
            first = next(iter(splits))
            raise UsageError(
                f"{name} was trained on {learnt:,} of {first}'s {len(chosen):,} {part} images: "
                "their recipes split the data differently (data.seed, data.test, "
                "data.validation); score them separately, or train them with the same split"
            )
        if learnt:
            notes.append(f"{name} was trained on {learnt:,} of these {len(chosen):,} images")
    return notes
