"""Keras's callbacks of a recipe, which write to one folder of the run and nowhere else.

Every function gets the `keras` module as an argument, so importing this one costs nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path, PurePosixPath, PureWindowsPath
from string import Formatter
from typing import Any, Final

from archspec.element import show
from archspec.errors import KeyPath, Problem, RecipeError, suggestion
from archspec.recipe.families import CALLBACKS
from archspec.recipe.mistakes import check_all
from archspec.recipe.objects import make_object
from archspec.recipe.sections import Named
from archspec.recipe.train import Recipe


@dataclass(frozen=True, slots=True)
class CallbackFile:
    """The argument of a callback that names its file or folder."""

    argument: str
    default: str
    template: bool = False
    """Whether the file's name contains fields for the epoch and measures."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Defaults of further arguments."""


WRITTEN: Final[Mapping[str, CallbackFile]] = {
    # A resumed run appends to it.
    "csv_logger": CallbackFile("filename", "log.csv", more={"append": True}),
    "model_checkpoint": CallbackFile("filepath", "epoch{epoch:03d}.keras", template=True),
    "tensor_board": CallbackFile("log_dir", "tensorboard"),
}


def check(recipe: Recipe) -> None:
    """Raise `RecipeError` for each file outside the run's folder; needs no Keras."""
    callbacks = enumerate(recipe.callbacks)
    check_all(*(partial(rewritten, one, ("callbacks", i), Path()) for i, one in callbacks))


def make(keras: Any, recipe: Recipe, folder: Path, *, monitor: str) -> list[Any]:
    """Return the callbacks, with `monitor` as their default; makes no folder."""
    made: list[Any] = []

    def one(index: int, named: Named) -> None:
        path = ("callbacks", index)
        if named.name == "tensor_board":
            _check_writers((*path, named.name))
        made.append(
            make_object(keras, CALLBACKS, rewritten(named, path, folder), path, monitor=monitor)
        )

    check_all(*(partial(one, index, named) for index, named in enumerate(recipe.callbacks)))
    return made


def _check_writers(path: KeyPath) -> None:
    missing = [name for name in ("tensorflow", "tensorboard") if find_spec(name) is None]
    if missing:
        message = f"`tensor_board` needs {' and '.join(missing)}, which is not installed"
        hint = "`tensorboard: true` writes logs without TensorFlow"
        raise RecipeError([(path, Problem("value", message, help=hint))])


def rewritten(callback: Named, path: KeyPath, folder: Path) -> Named:
    """Return the callback with its file inside `folder`; raise `RecipeError` if it is not."""
    written = WRITTEN.get(callback.name)
    if written is None:
        return callback
    file = callback.arguments.get(written.argument, written.default)
    place = (*path, callback.name, written.argument)
    if not isinstance(file, str) or not _is_inside(file):
        message = f"`{written.argument}` must be a path inside the run's folder, not {show(file)}"
        hint = f"such as {written.default}: it is written to the run's folder `callbacks`"
        raise RecipeError([(place, Problem("value", message, help=hint))])
    if written.template:
        measures_in(file, place)
    arguments = {
        **written.more,
        **callback.arguments,
        written.argument: str(folder / file),
    }
    return callback.model_copy(update={"arguments": arguments})


def make_folders(callbacks: Iterable[Named], folder: Path) -> None:
    """Make the folders of the callbacks' files."""
    for callback in callbacks:
        written = WRITTEN.get(callback.name)
        if written is not None:
            file = callback.arguments.get(written.argument, written.default)
            (folder / file).parent.mkdir(parents=True, exist_ok=True)


def _is_inside(path: str) -> bool:
    """Return whether a path stays inside a folder, on any system."""
    parts = PureWindowsPath(path).parts  # it knows both slashes
    return (
        0 < len(path) <= 200
        and path.isprintable()
        and not PurePosixPath(path).is_absolute()
        and not PureWindowsPath(path).anchor
        and ".." not in parts
    )


def measures_in(template: str, place: KeyPath) -> set[str]:
    """Return the measures in a file's name; raise `RecipeError` for any other field."""
    try:
        named = {name for _, name, _, _ in Formatter().parse(template) if name is not None}
        if all(name.isidentifier() for name in named):
            template.format(**dict.fromkeys(named, 1.0) | {"epoch": 1, "batch": 1})
            return named - {"epoch", "batch"}
    except (ValueError, IndexError, KeyError):
        pass
    message = f"{show(template)} is not a name with measures in it"
    hint = "write them as {epoch:03d} or {val_loss:.4f}"
    raise RecipeError([(place, Problem("value", message, help=hint))]) from None


def check_measures(recipe: Recipe, measures: Collection[str]) -> None:
    """Raise `RecipeError` for names that are monitored, or in a file's name, but not measures.

    `measures` are the names in Keras's logs at the end of an epoch, such as val_loss.
    """
    asked: list[tuple[KeyPath, str]] = []
    for index, callback in enumerate(recipe.callbacks):
        path = ("callbacks", index, callback.name)
        if "monitor" in callback.arguments:
            asked.append(((*path, "monitor"), callback.arguments["monitor"]))
        written = WRITTEN.get(callback.name)
        if written is not None and written.template:
            place = (*path, written.argument)
            template = callback.arguments.get(written.argument, written.default)
            asked += [(place, name) for name in sorted(measures_in(template, place))]
    plateau = recipe.schedule.plateau if recipe.schedule else None
    if plateau is not None and plateau.monitor is not None:
        asked.append((("schedule", "plateau", "monitor"), plateau.monitor))
    problems: list[tuple[KeyPath, Problem]] = []
    for where, name in asked:
        if name not in measures:
            hint = suggestion(name, measures, what="measures")
            unknown = Problem("value", f"there is no `{name}` to monitor", help=hint)
            problems.append((where, unknown))
    if problems:
        raise RecipeError(problems)
