"""Which examples are used, and for what: classes, shares, and parts that must not be empty."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from archspec.diagnostics import Problem, UsageError, suggestion
from archspec.training.data.examples import TEST, TRAIN, VALIDATION, Facts, Loaded
from archspec.training.recipe.recipe import DataRecipe, RecipeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_NAMED: Final = 5
"""How many classes a message names."""


def chosen_classes(recipe: DataRecipe, facts: Facts) -> list[int]:
    """The classes to use, by their numbers in the source."""
    numbers = {name: number for number, name in enumerate(facts.class_names)}
    if recipe.classes is None:
        return list(numbers.values())
    for place, name in enumerate(recipe.classes):
        if name not in numbers:
            hint = suggestion(name, numbers, what="classes")
            problem = Problem("unknown-name", f"{recipe.source} has no class `{name}`", help=hint)
            raise RecipeError([(("data", "classes", place), problem)])
    return [numbers[name] for name in recipe.classes]


def check_several(source: str, class_names: Sequence[str]) -> None:
    """Raise `UsageError` where there is only one class."""
    if len(class_names) < 2:
        raise UsageError(f"{source} has one class only, `{class_names[0]}`: nothing to tell apart")


def labels_of(recipe: DataRecipe, loaded: Loaded) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Each example's place among the classes to use, -1 for none of them; and their names."""
    import numpy as np  # noqa: PLC0415

    chosen = chosen_classes(recipe, Facts(loaded.class_names, None))
    names = tuple(loaded.class_names[number] for number in chosen)
    places = np.full(len(loaded.class_names), -1, np.int32)
    places[chosen] = np.arange(len(chosen))
    labels = places[loaded.labels]
    check_several(loaded.name, names)
    counts = np.bincount(labels[labels >= 0], minlength=len(names))
    if not counts.all():
        empty = [names[number] for number in np.flatnonzero(counts == 0)]
        raise UsageError(f"{loaded.name} has no image of {_listed(empty)}; labels count from 0")
    return labels, names


def split(
    labels: NDArray[np.int32], recipe: DataRecipe, own: NDArray[np.int8] | None = None
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Indices to train on, to validate and to test, of the examples whose label is not negative.

    What the source holds out itself (`own`) stays so; a part that it does not have is taken from
    what there is to train on. The test images depend on the seed and on `test` alone.
    """
    import numpy as np  # noqa: PLC0415

    if own is None:
        own = np.full(len(labels), TRAIN, np.int8)
    used = labels >= 0
    held_out = {part: np.flatnonzero(used & (own == part)) for part in (VALIDATION, TEST)}
    shares = {
        part: 0.0 if len(held_out[part]) else share
        for part, share in ((VALIDATION, recipe.validation), (TEST, recipe.test))
    }
    random = np.random.default_rng(recipe.seed)
    train: list[NDArray[np.intp]] = []
    taken: dict[int, list[NDArray[np.intp]]] = {part: [held_out[part]] for part in held_out}
    trainable = used & (own == TRAIN)
    groups = np.unique(labels[trainable]) if recipe.stratify else [None]
    for label in groups:
        group = trainable if label is None else trainable & (labels == label)
        members = random.permutation(np.flatnonzero(group))
        tested = round(len(members) * shares[TEST])
        validated = tested + round(len(members) * shares[VALIDATION])
        taken[TEST].append(members[:tested])
        taken[VALIDATION].append(members[tested:validated])
        train.append(members[validated:])
    shuffled = np.concatenate(train) if train else np.empty(0, np.intp)
    if recipe.per_class is not None:
        classes = (shuffled[labels[shuffled] == label] for label in np.unique(labels[shuffled]))
        shuffled = np.concatenate([members[: recipe.per_class] for members in classes])
    validation, test = (np.sort(np.concatenate(taken[part])) for part in (VALIDATION, TEST))
    return np.sort(shuffled), validation, test


def split_digest(parts: Sequence[NDArray[np.intp]]) -> str:
    """Return the SHA-256 of which examples are in which part: those to train on come first."""
    import numpy as np  # noqa: PLC0415

    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(np.ascontiguousarray(part, "<i8").data)
    return digest.hexdigest()


def check_parts(
    recipe: DataRecipe,
    loaded: Loaded,
    labels: NDArray[np.int32],
    parts: tuple[NDArray[np.intp], ...],
    class_names: tuple[str, ...],
) -> None:
    """Raise `UsageError` where a part is empty that is needed."""
    import numpy as np  # noqa: PLC0415

    for part, name, share in (
        (VALIDATION, "validation", recipe.validation),
        (TEST, "test", recipe.test),
    ):
        if share and not len(parts[part]):
            raise UsageError(
                f"{loaded.name} has too few images for a `{name}` of {share:g}: it would be empty; "
                f"say `{name}: 0`, a larger share, or `stratify: false`"
            )
    present = np.bincount(labels[parts[TRAIN]], minlength=len(class_names))
    if not present.all():
        missing = [class_names[number] for number in np.flatnonzero(present == 0)]
        raise UsageError(
            f"{loaded.name} has too few images: none of {_listed(missing)} is left to train on"
        )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return ", ".join(f"`{name}`" for name in names[:MOST_NAMED]) + more
