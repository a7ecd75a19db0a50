"""What is given beside a spec, as optimizer.sgd.momentum=0.8, put into its recipe."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import takewhile
from typing import Any, Final, TypeAlias

from archspec.data.sources import keys_of
from archspec.errors import KeyPath, RecipeError, UsageError

Keys: TypeAlias = tuple[str, ...]

OPTIONS: Final = ("data", "batch", "epochs", "optimizer", "learning_rate", "seed", "devices")
"""Keys whose value is not given where it is None."""

CALLED: Final = frozenset({"optimizer", "loss", "schedule", "inner_optimizer", "learning_rate"})
"""Keys whose value is a name, or one name with its arguments: another name takes its place."""

OF_A_SOURCE: Final = ("path", "name", "images", "labels", "split", "classes", "per_class")
"""What a recipe says of its own data, and of no other."""


def given(overrides: Mapping[str, Any]) -> dict[Keys, Any]:
    """What is to be changed, by its path."""
    found: dict[Keys, Any] = {}
    for key, value in overrides.items():
        if value is None and key in OPTIONS:
            continue
        keys = tuple(str(key).split("."))
        if "" in keys:
            raise UsageError(f"`{key}` is not a key of a recipe, such as data.resize or epochs")
        found[keys] = value
    rate = found.get(("learning_rate",), 1.0)
    if not isinstance(rate, (int, float)) or isinstance(rate, bool) or not 0 < rate < math.inf:
        raise UsageError(f"`learning_rate={rate!r}`: it must be a finite number above 0")
    return found


def changed(recipe: dict[str, Any], given: Mapping[Keys, Any]) -> dict[str, Any]:
    """A recipe as plain data, with what was given in its place."""
    for keys, value in given.items():
        if keys == ("data",) and isinstance(value, str):
            recipe["data"] = _data(recipe["data"], value)
        elif keys == ("optimizer",) and value == _name(recipe["optimizer"]):
            continue  # its arguments stay
        elif keys != ("learning_rate",):
            recipe = _put(recipe, keys, value)
    if ("learning_rate",) in given:
        keys = _rate(recipe["optimizer"], ("optimizer",))
        recipe = _put(recipe, keys, given["learning_rate",])
    return recipe


def _data(data: Mapping[str, Any], source: str) -> dict[str, Any]:
    if source == data["source"]:
        return dict(data)
    kept = {key: value for key, value in data.items() if key not in OF_A_SOURCE}
    return {**kept, **keys_of(source)}


def _name(named: Any) -> Any:
    """The name in a name, or in one name with its arguments."""
    if isinstance(named, Mapping) and len(named) == 1:
        return next(iter(named))
    return named


def _rate(optimizer: Any, path: Keys) -> Keys:
    """Where the learning rate of an optimizer is said, or of the one inside it."""
    name = _name(optimizer)
    inside = (*path, str(name))
    arguments = optimizer[name] if isinstance(optimizer, Mapping) and name in optimizer else None
    if isinstance(arguments, Mapping) and "inner_optimizer" in arguments:
        return _rate(arguments["inner_optimizer"], (*inside, "inner_optimizer"))
    return (*inside, "learning_rate")


def _put(value: Any, keys: Keys, new: Any, *, called: bool = False) -> Any:
    """`value` with `new` at `keys`; what is on the way and no mapping becomes one."""
    if not keys:
        return new
    key, *rest = keys
    if isinstance(value, (tuple, list)):
        return _put_in_list(list(value), key, tuple(rest), new)
    if called and key != _name(value):
        value = {}
    inside = dict(value) if isinstance(value, Mapping) else {}
    inside[key] = _put(inside.get(key), tuple(rest), new, called=key in CALLED)
    return inside


def _put_in_list(items: list[Any], key: str, rest: Keys, new: Any) -> tuple[Any, ...]:
    """In the item at a place (counted from 0) or of a name; a new name comes last."""
    if key.isdecimal():
        if int(key) >= len(items):
            raise UsageError(f"there is no item {key} in a list of {len(items)}")
        items[int(key)] = _put(items[int(key)], rest, new)
        return tuple(items)
    index = next((i for i, item in enumerate(items) if _name(item) == key), len(items))
    old = items[index] if index < len(items) else key
    items[index : index + 1] = [_put(old, (key, *rest), new, called=True)]
    return tuple(items)


@contextmanager
def blamed(given: Mapping[Keys, Any], optimizer: str) -> Iterator[None]:
    """Make the problems of what was given a `UsageError`, which names the key of each.

    `optimizer` is the name of the spec's own.
    """
    try:
        yield
    except RecipeError as error:
        said = []
        for path, problem in error.problems:
            culprit = _culprit(path, given, optimizer)
            if culprit is not None:
                words = f"{problem.message}; {problem.help}" if problem.help else problem.message
                said.append(f"`{culprit}=`: {words}")
        if said:
            raise UsageError("; ".join(said)) from None
        raise


def _culprit(path: KeyPath, given: Mapping[Keys, Any], optimizer: str) -> str | None:
    """The key that put there what is wrong at `path`, if one did."""
    path = tuple(takewhile(lambda key: isinstance(key, str), path))  # items have names outside
    for keys, value in given.items():
        place: KeyPath = keys
        if keys == ("learning_rate",):
            if path[:1] == ("optimizer",) and path[-1] == "learning_rate":
                return "learning_rate"
            continue
        whole = isinstance(value, (Mapping, list, tuple)) or value != optimizer
        if path == place or (path[: len(place)] == place and whole) or place[: len(path)] == path:
            return ".".join(keys)
    return None
