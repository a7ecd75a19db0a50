"""Keras's callbacks of a recipe, which write in a folder of the run's own and nowhere else.

Every function gets the `keras` module as an argument, so that importing this one costs nothing.
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
from archspec.recipe.mistakes import together
from archspec.recipe.parts import Named
from archspec.recipe.train import Recipe


@dataclass(frozen=True, slots=True)
class Written:
    """The argument of a callback that says what it writes."""

    argument: str
    default: str
    template: bool = False
    """Whether the epoch and measures are put into it."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """What other arguments are unless a recipe says them."""


WRITTEN: Final[Mapping[str, Written]] = {
    # A resumed run writes on.
    "csv_logger": Written("filename", "log.csv", more={"append": True}),
    "model_checkpoint": Written("filepath", "epoch{epoch:03d}.keras", template=True),
    "tensor_board": Written("log_dir", "tensorboard"),
}


def check(recipe: Recipe) -> None:
    """Raise `RecipeError` for each file that would not be in the run's folder; needs no Keras."""
    callbacks = enumerate(recipe.callbacks)
    together(*(partial(rewritten, one, ("callbacks", i), Path()) for i, one in callbacks))


def make(keras: Any, recipe: Recipe, folder: Path, *, monitor: str) -> list[Any]:
    """The callbacks, each watching `monitor` unless it says what; makes no folder."""
    made: list[Any] = []

    def one(index: int, named: Named) -> None:
        path = ("callbacks", index)
        if named.name == "tensor_board":
            _check_writers((*path, named.name))
        made.append(CALLBACKS.make(keras, rewritten(named, path, folder), path, monitor=monitor))

    together(*(partial(one, index, named) for index, named in enumerate(recipe.callbacks)))
    return made


def _check_writers(path: KeyPath) -> None:
    missing = [name for name in ("tensorflow", "tensorboard") if find_spec(name) is None]
    if missing:
        message = f"`tensor_board` needs {' and '.join(missing)}, which is not installed"
        hint = "`tensorboard: true` writes logs without TensorFlow"
        raise RecipeError([(path, Problem("value", message, help=hint))])


def rewritten(callback: Named, path: KeyPath, folder: Path) -> Named:
    """The callback with its file inside `folder`."""
    written = WRITTEN.get(callback.name)
    if written is None:
        return callback
    said = callback.arguments.get(written.argument, written.default)
    place = (*path, callback.name, written.argument)
    if not isinstance(said, str) or not _is_inside(said):
        message = f"`{written.argument}` must be a path inside the run's folder, not {show(said)}"
        hint = f"as {written.default}: it is written to the run's folder `callbacks`"
        raise RecipeError([(place, Problem("value", message, help=hint))])
    if written.template:
        fields(said, place)
    arguments = {
        **written.more,
        **callback.arguments,
        written.argument: str(folder / said),
    }
    return callback.model_copy(update={"arguments": arguments})


def make_folders(callbacks: Iterable[Named], folder: Path) -> None:
    """Make the folders that files are to be written to."""
    for callback in callbacks:
        written = WRITTEN.get(callback.name)
        if written is not None:
            said = callback.arguments.get(written.argument, written.default)
            (folder / said).parent.mkdir(parents=True, exist_ok=True)


def _is_inside(path: str) -> bool:
    """Whether a path of any system leads into a folder and not out of it."""
    parts = PureWindowsPath(path).parts  # it knows both slashes
    return (
        0 < len(path) <= 200
        and path.isprintable()
        and not PurePosixPath(path).is_absolute()
        and not PureWindowsPath(path).anchor
        and ".." not in parts
    )


def fields(template: str, place: KeyPath) -> set[str]:
    """The measures that a file's name is made of."""
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


def unknown_measures(recipe: Recipe, measures: Collection[str]) -> list[tuple[KeyPath, Problem]]:
    """What callbacks and the schedule watch, or put into a file's name, and is no measure."""
    asked: list[tuple[KeyPath, str]] = []
    for index, callback in enumerate(recipe.callbacks):
        path = ("callbacks", index, callback.name)
        if "monitor" in callback.arguments:
            asked.append(((*path, "monitor"), callback.arguments["monitor"]))
        written = WRITTEN.get(callback.name)
        if written is not None and written.template:
            place = (*path, written.argument)
            template = callback.arguments.get(written.argument, written.default)
            asked += [(place, name) for name in sorted(fields(template, place))]
    plateau = recipe.schedule.plateau if recipe.schedule else None
    if plateau is not None and plateau.monitor is not None:
        asked.append((("schedule", "plateau", "monitor"), plateau.monitor))
    found: list[tuple[KeyPath, Problem]] = []
    for where, name in asked:
        if name not in measures:
            hint = suggestion(name, measures, what="measures")
            unknown = Problem("value", f"there is no `{name}` to monitor", help=hint)
            found.append((where, unknown))
    return found
