"""What a run began with, as its folder tells it, and whether that is still what it began with.

`spec.yaml` and `data.json` are for people, who may edit them. What they said when the run began
stands in `origin.json` too. Some of it may change (`MAY_CHANGE`); any other difference is refused,
by name, before anything is computed or written: the images that were held out would be others, or
the network, or how its images are prepared. Folders of archspec 0.1.0 have no `origin.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import ConfigDict

from archspec.element import show
from archspec.errors import RecipeError, UsageError
from archspec.recipe.mistakes import places
from archspec.recipe.train import Recipe
from archspec.runs import storage
from archspec.runs.files import DATA, ORIGIN, SPEC
from archspec.runs.records import DataRecord
from archspec.runs.storage import STRICT, Count
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
"""Keys of a recipe that may change while a run goes on: how long, on what, and where the same
images are. The images themselves are compared by their fingerprint."""

SAYS_NOTHING: Final = ("about", "published", "expect", "budget")
"""Keys of a spec of which the network does not depend."""

GROWS: Final = ("description", "skipped", "notes")
"""Fields of `data.json` that may change while a run trains."""

MOST_SHOWN: Final = 5
"""How many differences an error names."""


@dataclass(frozen=True, slots=True)
class Origin:
    """`origin.json`: what `spec.yaml` and `data.json` said when the run began."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    version: Count
    network: Mapping[str, Any]
    """The spec without its `train:` section."""
    recipe: Mapping[str, Any]
    data: DataRecord

    def write(self, home: Path) -> None:
        """Write `origin.json`."""
        storage.write(home / ORIGIN, self)


@dataclass(frozen=True, slots=True)
class RunSetup:
    """What a run's folder says of its beginning."""

    spec: Spec
    recipe: Recipe
    data: DataRecord

    @classmethod
    def read(cls, home: Path) -> RunSetup:
        """Read a run's beginning, and compare it with its origin.

        Raises:
            SpecError: `spec.yaml` cannot be read.
            UsageError: Another file cannot be read, or one was edited.

        """
        spec, recipe = read_spec(home)
        data = DataRecord.read(home)
        try:
            origin = storage.read(home / ORIGIN, Origin)
        except FileNotFoundError:
            if data.version:
                raise UsageError(
                    f"there is no {home / ORIGIN}, which says how the run began: put it back"
                ) from None
            return cls(spec, recipe, data)
        try:
            began = Recipe.resolve(origin.recipe).to_dict()  # with what it is too old to say
        except RecipeError as error:
            raise storage.damaged(home / ORIGIN, str(error)) from None
        edited = [
            *changes(origin.network, network(spec), "", free=SAYS_NOTHING),
            *changes(began, recipe.to_dict(), "train."),
        ]
        _refuse(home / SPEC, edited)
        known = origin.data if data.version else origin.data.of_version_0()
        _refuse(home / DATA, [*changes(asdict(known), asdict(data), "", free=GROWS)])
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
    """Yield "`place` was X and is Y" for each difference of plain data, but at `free` places.

    Args:
        before: What it was.
        after: What it is.
        place: What stands before the keys in the message, such as "train.".
        free: Dotted keys, without `place`, that may differ.

    """
    for path, was, now in _differences(_plain(before), _plain(after), ()):
        dotted = ".".join(map(str, path))
        if not any(f"{dotted}.".startswith(f"{key}.") for key in free):
            yield f"`{place}{dotted}` was {_shown(was)} and is {_shown(now)}"


_NOTHING: Final = object()
"""What stands at a key that is not there."""


def _differences(
    before: Any, after: Any, path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], Any, Any]]:
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
    """The same as JSON would give it back: lists for tuples, words for keys."""
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
    """Return the first of some differences, and how many more there are."""
    more = f"; and {len(edited) - MOST_SHOWN:,} more" if len(edited) > MOST_SHOWN else ""
    return "; ".join(islice(edited, MOST_SHOWN)) + more
