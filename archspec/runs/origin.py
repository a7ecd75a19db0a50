"""The network, recipe and data of a run, checked against what they were when it began.

People may edit `spec.yaml` and `data.json`, so `origin.json` keeps a copy of both. Some keys may
change (`MAY_CHANGE`). Any other difference is refused by name before anything is computed or
written, because the network, its preprocessing or the held-out images would not be the same.
Folders of archspec 0.1.0 have no `origin.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import ConfigDict

from archspec.compile.expand import expand
from archspec.cost.size import graph_at
from archspec.element import show
from archspec.errors import KeyPath, RecipeError, UsageError
from archspec.graph.graph import Graph
from archspec.recipe.mistakes import places
from archspec.recipe.train import Recipe
from archspec.runs import storage
from archspec.runs.files import DATA, ORIGIN, SPEC
from archspec.runs.records import DataRecord
from archspec.runs.storage import STRICT, NotNegativeInt
from archspec.spec.document import Spec
from archspec.spec.loading import load

MAY_CHANGE: Final = (
    "epochs",
    "devices",
    "jit",
    "steps_per_execution",
    "tensorboard",
    "data.path",
    "data.cache",
)
"""Keys of a recipe that may change when a run is resumed: how long and on what it trains, and the
place of the same images, which are compared by their fingerprint."""

NOT_THE_NETWORK: Final = ("about", "published", "expect", "budget")
"""Keys of a spec that do not change the network."""

DATA_MAY_CHANGE: Final = ("description", "skipped", "notes")
"""Fields of `data.json` that may change while a run trains."""

MOST_SHOWN: Final = 5
"""Largest number of differences that an error names."""


@dataclass(frozen=True, slots=True)
class Origin:
    """`origin.json`: the contents of `spec.yaml` and `data.json` when the run began."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    version: NotNegativeInt
    network: Mapping[str, Any]
    """The spec without its `train:` section."""
    recipe: Mapping[str, Any]
    data: DataRecord

    def write(self, home: Path) -> None:
        """Write `origin.json`."""
        storage.write(home / ORIGIN, self)


@dataclass(frozen=True, slots=True)
class RunSetup:
    """Network, recipe and data of a run, as its folder holds them."""

    spec: Spec
    recipe: Recipe
    data: DataRecord

    @property
    def graph(self) -> Graph:
        """The network; one with an open input at the size of its training images."""
        size = self.recipe.data.size
        return expand(self.spec) if size is None else graph_at(self.spec, size)

    @classmethod
    def read(cls, home: Path) -> RunSetup:
        """Read a run's folder, and compare it with its origin.

        Raises:
            SpecError: `spec.yaml` is wrong or cannot be read.
            UsageError: Another file cannot be read, or one was edited.

        """
        spec, recipe = read_spec(home)
        data = DataRecord.read(home)
        try:
            origin = storage.read(home / ORIGIN, Origin)
        except FileNotFoundError:
            if data.version:
                raise UsageError(
                    f"there is no {home / ORIGIN}, which records how the run began: put it back"
                ) from None
            return cls(spec, recipe, data)
        try:
            began = Recipe.resolve(origin.recipe).to_dict()  # with defaults for newer keys
        except RecipeError as error:
            raise storage.damaged(home / ORIGIN, str(error)) from None
        edited = [
            *changes(origin.network, network(spec), "", free=NOT_THE_NETWORK),
            *changes(began, recipe.to_dict(), "train."),
        ]
        _refuse(home / SPEC, edited)
        known = origin.data if data.version else origin.data.as_version_0()
        _refuse(home / DATA, [*changes(asdict(known), asdict(data), "", free=DATA_MAY_CHANGE)])
        return cls(spec, recipe, data)


def read_spec(home: Path) -> tuple[Spec, Recipe]:
    """Return the network and the recipe of a run's folder; raise `SpecError`."""
    spec = load(home / SPEC)
    with places(spec):
        return spec, Recipe.resolve(spec.train)


def network(spec: Spec) -> dict[str, Any]:
    """Return a spec as plain data, without its `train:` section."""
    return {key: value for key, value in spec.to_dict().items() if key != "train"}


def changes(
    before: Any, after: Any, place: str, *, free: tuple[str, ...] = MAY_CHANGE
) -> Iterator[str]:
    """Yield "`KEY` was X and is Y" for each difference of plain data.

    `place` is a prefix of the keys in the message, such as "train."; `free` are dotted keys,
    without it, that may differ.
    """
    for path, was, now in _differences(_plain(before), _plain(after), ()):
        dotted = ".".join(map(str, path))
        if not any(f"{dotted}.".startswith(f"{key}.") for key in free):
            yield f"`{place}{dotted}` was {_shown(was)} and is {_shown(now)}"


_NOTHING: Final = object()
"""The value of a missing key."""


def _differences(before: Any, after: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any, Any]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in {**before, **after}:
            was, now = before.get(key, _NOTHING), after.get(key, _NOTHING)
            yield from _differences(was, now, (*path, key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (was, now) in enumerate(zip(before, after, strict=True)):
            yield from _differences(was, now, (*path, index))
    elif before != after:
        yield path, before, after


def _plain(data: Any) -> Any:
    """Return data as JSON would return it: lists for tuples, words for keys."""
    return json.loads(json.dumps(data, default=str))


def _shown(value: Any) -> str:
    return "not there" if value is _NOTHING else show(value)


def _refuse(path: Path, edited: list[str]) -> None:
    if edited:
        raise UsageError(
            f"{path} was edited since the run began, as {ORIGIN} shows: {listed(edited)}; "
            "put back what was there, or start a new run"
        )


def listed(edited: list[str]) -> str:
    """Return the first differences, and the number of the others."""
    more = f"; and {len(edited) - MOST_SHOWN:,} more" if len(edited) > MOST_SHOWN else ""
    return "; ".join(islice(edited, MOST_SHOWN)) + more
