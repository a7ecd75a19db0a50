"""Overrides of a spec's recipe, such as `optimizer.sgd.momentum=0.8`."""

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
"""Keys that are not overridden by None: arguments of functions, with that default."""

NAMED: Final = frozenset({"optimizer", "loss", "schedule", "inner_optimizer", "learning_rate"})
"""Keys whose value is a name, or one name with its arguments; another name replaces both."""

OF_A_SOURCE: Final = (
    *("path", "name", "images", "labels", "split", "separator", "classes", "per_class"),
    "targets",
)
"""Keys of `data` that fit one source only."""


def as_overrides(settings: Mapping[str, Any]) -> dict[Keys, Any]:
    """Return values by paths from values by dotted keys; raise `UsageError` for a wrong key."""
    overrides: dict[Keys, Any] = {}
    for key, value in settings.items():
        if value is None and key in OPTIONS:
            continue
        keys = tuple(str(key).split("."))
        if "" in keys:
            raise UsageError(f"`{key}` is not a key of a recipe, such as data.resize or epochs")
        overrides[keys] = value
    rate = overrides.get(("learning_rate",), 1.0)
    if not isinstance(rate, (int, float)) or isinstance(rate, bool) or not 0 < rate < math.inf:
        raise UsageError(f"`learning_rate={rate!r}`: it must be a finite number above 0")
    return overrides


def overridden(recipe: dict[str, Any], overrides: Mapping[Keys, Any]) -> dict[str, Any]:
    """Return a recipe as plain data, with overrides."""
    for keys, value in overrides.items():
        if keys == ("data",) and isinstance(value, str):
            recipe["data"] = _data(recipe["data"], value)
        elif keys == ("optimizer",) and value == _name(recipe["optimizer"]):
            continue  # its arguments stay
        elif keys != ("learning_rate",):
            recipe = _put(recipe, keys, value)
    if ("learning_rate",) in overrides:
        keys = _rate(recipe["optimizer"], ("optimizer",))
        recipe = _put(recipe, keys, overrides["learning_rate",])
    return recipe


def _data(data: Mapping[str, Any], source: str) -> dict[str, Any]:
    if source == data["source"]:
        return dict(data)
    kept = {key: value for key, value in data.items() if key not in OF_A_SOURCE}
    return {**kept, **keys_of(source)}


def _name(named: Any) -> Any:
    """Return the name from a name, or from one name with its arguments."""
    if isinstance(named, Mapping) and len(named) == 1:
        return next(iter(named))
    return named


def _rate(optimizer: Any, path: Keys) -> Keys:
    """Return the keys of an optimizer's learning rate, or of that of the optimizer inside it."""
    name = _name(optimizer)
    inside = (*path, str(name))
    arguments = optimizer[name] if isinstance(optimizer, Mapping) and name in optimizer else None
    if isinstance(arguments, Mapping) and "inner_optimizer" in arguments:
        return _rate(arguments["inner_optimizer"], (*inside, "inner_optimizer"))
    return (*inside, "learning_rate")


def _put(value: Any, keys: Keys, new: Any, *, named: bool = False) -> Any:
    """Return `value` with `new` at `keys`; whatever has a key becomes a mapping."""
    if not keys:
        return new
    key, *rest = keys
    if isinstance(value, (tuple, list)):
        return _put_in_list(list(value), key, tuple(rest), new)
    if named and key != _name(value):
        value = {}
    inside = dict(value) if isinstance(value, Mapping) else {}
    inside[key] = _put(inside.get(key), tuple(rest), new, named=key in NAMED)
    return inside


def _put_in_list(items: list[Any], key: str, rest: Keys, new: Any) -> tuple[Any, ...]:
    """Change the item with a number (from 0) or a name; append an item with a new name."""
    if key.isdecimal():
        if int(key) >= len(items):
            raise UsageError(f"there is no item {key} in a list of {len(items)}")
        items[int(key)] = _put(items[int(key)], rest, new)
        return tuple(items)
    index = next((i for i, item in enumerate(items) if _name(item) == key), len(items))
    old = items[index] if index < len(items) else key
    items[index : index + 1] = [_put(old, (key, *rest), new, named=True)]
    return tuple(items)


@contextmanager
def blaming(overrides: Mapping[Keys, Any], optimizer: str) -> Iterator[None]:
    """Turn a `RecipeError` about overrides into a `UsageError` that names their keys.

    `optimizer` is the name of the spec's own.
    """
    try:
        yield
    except RecipeError as error:
        messages = []
        for path, problem in error.problems:
            culprit = _culprit(path, overrides, optimizer)
            if culprit is not None:
                words = f"{problem.message}; {problem.help}" if problem.help else problem.message
                messages.append(f"`{culprit}=`: {words}")
        if messages:
            raise UsageError("; ".join(messages)) from None
        raise


def _culprit(path: KeyPath, overrides: Mapping[Keys, Any], optimizer: str) -> str | None:
    """Return the override, as a dotted key, that caused a mistake at `path`; None if none did."""
    path = tuple(takewhile(lambda key: isinstance(key, str), path))  # overrides name items
    for keys, value in overrides.items():
        place: KeyPath = keys
        if keys == ("learning_rate",):
            if path[:1] == ("optimizer",) and path[-1] == "learning_rate":
                return "learning_rate"
            continue
        whole = isinstance(value, (Mapping, list, tuple)) or value != optimizer
        if path == place or (path[: len(place)] == place and whole) or place[: len(path)] == path:
            return ".".join(keys)
    return None
