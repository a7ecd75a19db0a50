"""The split: which examples are used, and which to train on, to validate and to test."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from archspec.data.examples import LabelledImages, Preview
from archspec.data.names import TEST, TRAIN, VALIDATION
from archspec.data.recipe import DataRecipe
from archspec.errors import Problem, RecipeError, UsageError, listed, suggestion
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SplitRule = Literal[1, 2]

SPLIT_RULE: Final[SplitRule] = 2
"""The rule of new runs; rule 1, of archspec 0.1.0, rounded the share of each class by itself."""

PASSES: Final = 4
"""Passes over all groups: one over 100,000 takes seconds."""


def chosen_classes(recipe: DataRecipe, preview: Preview) -> list[int]:
    """Return the classes to use, by their numbers in the source."""
    numbers = {name: number for number, name in enumerate(preview.class_names)}
    if recipe.classes is None:
        return list(numbers.values())
    for place, name in enumerate(recipe.classes):
        if name not in numbers:
            hint = suggestion(name, numbers, what="classes")
            problem = Problem("unknown-name", f"{recipe.source} has no class `{name}`", help=hint)
            raise RecipeError([(("data", "classes", place), problem)])
    return [numbers[name] for name in recipe.classes]


def check_several(source: str, class_names: Sequence[str]) -> None:
    """Raise `UsageError` if there is only one class."""
    if len(class_names) < 2:
        raise UsageError(
            f"{source} has only one class, `{class_names[0]}`: a network needs two or more"
        )


def labels_of(
    recipe: DataRecipe, loaded: LabelledImages
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Return each example's index among the classes to use, -1 for others; and their names."""
    chosen = chosen_classes(recipe, Preview(loaded.class_names, None))
    names = tuple(loaded.class_names[number] for number in chosen)
    places = np.full(len(loaded.class_names), -1, np.int32)
    places[chosen] = np.arange(len(chosen))
    labels = places[loaded.labels]
    check_several(loaded.name, names)
    counts = np.bincount(labels[labels >= 0], minlength=len(names))
    if not counts.all():
        empty = [names[number] for number in np.flatnonzero(counts == 0)]
        raise UsageError(
            f"{loaded.name} has no image of {listed(empty)}: choose the other classes, "
            "as `classes: [...]`"
        )
    return labels, names


class Split(NamedTuple):
    """Indices of the examples to train on, to validate and to test, each in ascending order."""

    train: NDArray[np.intp]
    validation: NDArray[np.intp]
    test: NDArray[np.intp]


def split(
    labels: NDArray[np.int32],
    recipe: DataRecipe,
    own: NDArray[np.int8] | None = None,
    groups: NDArray[np.intp] | None = None,
    rule: SplitRule = SPLIT_RULE,
) -> Split:
    """Return which examples are for training, validation and test.

    Examples that the source itself holds out (`own`) stay held out; a part that it lacks is taken
    from its training examples. The test images depend only on the seed, `test`, `stratify` and the
    groups. The shares are met in total: each class (without `stratify`, all classes together) gives
    its share rounded down, and the classes with the largest remainders give one more. For
    validation, remainders include what a class gave to the test, so that small classes take turns.
    At least one image of each class is left to train on. Examples of a group stay together, and
    shares are met as nearly as that allows.

    Args:
        labels: (examples,); -1 for examples of classes that are not used.
        recipe: The shares, the seed and `per_class`.
        own: (examples,) TRAIN, VALIDATION or TEST for each, where the source comes split.
        groups: (examples,) the number of each example's group.
        rule: The rule to split by; 1 for runs whose `data.json` names none.

    """
    if own is None:
        own = np.full(len(labels), TRAIN, np.int8)
    used = labels >= 0
    held_out = {part: np.flatnonzero(used & (own == part)) for part in (VALIDATION, TEST)}
    shares = {
        part: 0.0 if len(held_out[part]) else share
        for part, share in ((VALIDATION, recipe.validation), (TEST, recipe.test))
    }
    random = np.random.default_rng(recipe.seed)
    trainable = used & (own == TRAIN)
    kinds = np.unique(labels[trainable]) if recipe.stratify else [None]
    members = [
        random.permutation(
            np.flatnonzero(trainable if kind is None else trainable & (labels == kind))
        )
        for kind in kinds
    ]
    if groups is not None:
        dealt = _split_groups(members, groups, shares, random)
    else:
        sizes = np.array([len(each) for each in members], np.intp)
        dealt = _split_members(members, _counts(sizes, shares, random, rule))
    shuffled = dealt[TRAIN]
    if recipe.per_class is not None and len(shuffled):
        classes = (shuffled[labels[shuffled] == label] for label in np.unique(labels[shuffled]))
        shuffled = np.concatenate([each[: recipe.per_class] for each in classes])
    validation, test = (
        np.sort(np.concatenate([held_out[part], dealt[part]])) for part in (VALIDATION, TEST)
    )
    return Split(np.sort(shuffled), validation, test)


def split_digest(parts: Sequence[NDArray[np.intp]]) -> str:
    """Return the SHA-256 of the indices of training, validation and test, in this order."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(np.ascontiguousarray(part, "<i8").data)
    return digest.hexdigest()


def _counts(
    sizes: NDArray[np.intp],
    shares: Mapping[int, float],
    random: np.random.Generator,
    rule: SplitRule,
) -> dict[int, NDArray[np.intp]]:
    """Return how many images of each class are held out, for each part."""
    if rule == 1:
        return {part: np.rint(sizes * share).astype(np.intp) for part, share in shares.items()}
    tested = _apportioned(sizes, shares[TEST], np.zeros_like(sizes), 0.0, random)
    validated = _apportioned(sizes, shares[VALIDATION], tested, shares[TEST], random)
    return {TEST: tested, VALIDATION: validated}


def _apportioned(
    sizes: NDArray[np.intp],
    share: float,
    given: NDArray[np.intp],
    given_share: float,
    random: np.random.Generator,
) -> NDArray[np.intp]:
    """Return how many images of each class make up a share of all, by the largest remainder.

    Each class has already `given` as many for a share before this one, of `given_share`.
    """
    total = round(int(sizes.sum()) * share)
    most = np.maximum(sizes - given - 1, 0)
    # 0.1 * 30 is a little above 3; a share of 3 images is a little below them.
    counts: NDArray[np.intp] = np.minimum(np.floor(sizes * share + 1e-9).astype(np.intp), most)
    remainders = np.round(sizes * (share + given_share) - given - counts, 9)
    order = np.lexsort((random.random(len(sizes)), -remainders))
    while share and (missing := total - int(counts.sum())) > 0:
        able = order[counts[order] < most[order]][:missing]
        if not len(able):
            break
        counts[able] += 1
    return counts


def _split_members(
    members: Sequence[NDArray[np.intp]], counts: Mapping[int, NDArray[np.intp]]
) -> list[NDArray[np.intp]]:
    """Return the indices for each part, by the part's number."""
    dealt: list[list[NDArray[np.intp]]] = [[], [], []]
    for number, each in enumerate(members):
        tested = counts[TEST][number]
        validated = tested + counts[VALIDATION][number]
        dealt[TEST].append(each[:tested])
        dealt[VALIDATION].append(each[tested:validated])
        dealt[TRAIN].append(each[validated:])
    return [np.concatenate(each) if each else np.empty(0, np.intp) for each in dealt]


def _split_groups(
    members: Sequence[NDArray[np.intp]],
    groups: NDArray[np.intp],
    shares: Mapping[int, float],
    random: np.random.Generator,
) -> list[NDArray[np.intp]]:
    """Return the indices for each part, by the part's number; a group's are all in one."""
    indices = np.concatenate([*members, np.empty(0, np.intp)])
    kinds = np.repeat(np.arange(len(members)), [len(each) for each in members])
    sizes = np.array([len(each) for each in members], np.intp)
    _, numbers = np.unique(groups[indices], return_inverse=True)
    count = int(numbers.max(initial=-1)) + 1
    # For each group, which classes it has, and how many images of each.
    pairs, amounts = np.unique(numbers * len(members) + kinds, return_counts=True)
    ends = np.searchsorted(pairs, np.arange(count + 1) * len(members)).tolist()
    classes = pairs % max(1, len(members))
    contents = [(classes[start:end], amounts[start:end]) for start, end in pairwise(ends)]
    part_of = np.full(count, TRAIN, np.int8)
    for part, wanted in _counts(sizes, shares, random, SPLIT_RULE).items():
        if wanted.any():
            part_of[_held_out(contents, part_of == TRAIN, wanted, sizes, random)] = part
    return [indices[part_of[numbers] == part] for part in (TRAIN, VALIDATION, TEST)]


def _held_out(
    contents: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]],
    free: NDArray[np.bool_],
    wanted: NDArray[np.intp],
    left: NDArray[np.intp],
    random: np.random.Generator,
) -> list[int]:
    """Return groups, of those that are free, with about `wanted` images of each class.

    In a random order, a group is taken, or put back, if that brings the counts of the classes and
    of all together nearer to what is wanted, by their sum of squares, until no group does or after
    a few passes. One is taken in any case. `left` counts down the images of each class that are
    left to train on.
    """
    taken: dict[int, None] = {}
    missing, short = wanted.copy(), int(wanted.sum())
    nearest: tuple[int, int] | None = None
    for _ in range(PASSES):
        changed = False
        for group in random.permutation(free.nonzero()[0]).tolist():
            classes, images = contents[group]
            if group in taken:
                images = -images
            elif (left[classes] <= images).any():
                continue
            total = int(images.sum())
            gain = int((images * (2 * missing[classes] - images)).sum())
            gain += total * (2 * short - total)
            if gain > 0:
                missing[classes] -= images
                left[classes] -= images
                short -= total
                changed = True
                if group in taken:
                    del taken[group]
                else:
                    taken[group] = None
            elif nearest is None or gain > nearest[0]:
                nearest = gain, group
        if not changed:
            break
    if not taken and nearest is not None:
        classes, images = contents[nearest[1]]
        left[classes] -= images
        taken[nearest[1]] = None
    return list(taken)


def check_groups(
    labels: NDArray[np.int32], own: NDArray[np.int8], groups: NDArray[np.intp], names: Sequence[str]
) -> None:
    """Raise `UsageError` if the source, which comes split, has a group in two parts."""
    used = labels >= 0
    first = np.full(len(names), -1, np.int8)
    first[groups[used]] = own[used]
    apart = used & (first[groups] != own)
    if apart.any():
        number = int(np.unique(groups[apart]).size)
        which = names[int(groups[int(apart.argmax())])]
        raise UsageError(
            f"{number:,} groups, such as `{which}`, have images in more than one of train, "
            "validation and test, and the data come split: leave out `group`, or move the images"
        )


def without_held_out(
    parts: Split, labels: NDArray[np.int32], class_names: Sequence[str]
) -> str | None:
    """Return a line that names the classes without held-out images, where others have some."""
    lines = []
    for name, indices in (("validation", parts.validation), ("test", parts.test)):
        missing = np.bincount(labels[indices], minlength=len(class_names)) == 0
        if len(indices) and missing.any():
            which = [class_names[number] for number in np.flatnonzero(missing).tolist()]
            lines.append(f"no {name} image of {listed(which)}")
    return "; ".join(lines) or None


def check_parts(
    recipe: DataRecipe,
    loaded: LabelledImages,
    labels: NDArray[np.int32],
    parts: Split,
    class_names: tuple[str, ...],
) -> None:
    """Raise `UsageError` if a part is empty that must not be."""
    for part, name, share in (
        (VALIDATION, "validation", recipe.validation),
        (TEST, "test", recipe.test),
    ):
        if share and not len(parts[part]):
            few, hint = (
                ("images", "`stratify: false`")
                if recipe.group is None
                else (f"groups of `{recipe.group}`", "a `group` of fewer images")
            )
            raise UsageError(
                f"{loaded.name} has too few {few} for a `{name}` of {share:g}: it would be empty; "
                f"write `{name}: 0`, a larger share, or {hint}"
            )
    present = np.bincount(labels[parts[TRAIN]], minlength=len(class_names))
    if not present.all():
        missing = [class_names[number] for number in np.flatnonzero(present == 0)]
        raise UsageError(
            f"{loaded.name} has too few images: none of {listed(missing)} is left to train on"
        )
