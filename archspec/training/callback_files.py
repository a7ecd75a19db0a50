"""Where Keras's callbacks write: in a folder of the run's own, whatever a recipe calls the file."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from string import Formatter
from typing import Any, Final

from archspec.diagnostics import Problem, suggestion
from archspec.element import show
from archspec.training.mistakes import RecipeError
from archspec.training.parts import Named

FOLDER: Final = "callbacks"
"""Inside the run's folder: what stands beside it is the run's."""


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


def rewritten(callback: Named, path: tuple[str | int, ...], home: Path) -> Named:
    """The callback with its file inside the folder of the run at `home`."""
    written = WRITTEN.get(callback.name)
    if written is None:
        return callback
    said = callback.arguments.get(written.argument, written.default)
    place = (*path, callback.name, written.argument)
    if not isinstance(said, str) or not _is_inside(said):
        message = f"`{written.argument}` must be a path inside the run's folder, not {show(said)}"
        hint = f"as {written.default}: it is written to RUN/{FOLDER}"
        raise RecipeError([(place, Problem("value", message, help=hint))])
    if written.template:
        fields(said, place)
    arguments = {**written.more, **callback.arguments, written.argument: str(home / FOLDER / said)}
    return callback.model_copy(update={"arguments": arguments})


def make_folders(callbacks: Iterable[Named], home: Path) -> None:
    """Make the folders that files are to be written to."""
    for callback in callbacks:
        written = WRITTEN.get(callback.name)
        if written is not None:
            said = callback.arguments.get(written.argument, written.default)
            (home / FOLDER / said).parent.mkdir(parents=True, exist_ok=True)


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


def fields(template: str, place: tuple[str | int, ...]) -> set[str]:
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


def unknown_measures(
    callback: Named, path: tuple[str | int, ...], measures: Collection[str]
) -> list[tuple[tuple[str | int, ...], Problem]]:
    """What a callback is to watch, or to put into a file's name, and no run of this recipe has."""
    asked: list[tuple[str, str]] = []
    if "monitor" in callback.arguments:
        asked.append(("monitor", str(callback.arguments["monitor"])))
    written = WRITTEN.get(callback.name)
    if written is not None and written.template:
        template = str(callback.arguments.get(written.argument, written.default))
        place = (*path, callback.name, written.argument)
        asked += [(written.argument, name) for name in sorted(fields(template, place))]
    found: list[tuple[tuple[str | int, ...], Problem]] = []
    for argument, name in asked:
        if name not in measures:
            found.append(((*path, callback.name, argument), unknown(name, measures)))
    return found


def unknown(measure: str, measures: Collection[str]) -> Problem:
    """The problem of a measure that is to be watched and is none."""
    hint = suggestion(measure, measures, what="measures")
    return Problem("value", f"there is no `{measure}` to monitor", help=hint)
