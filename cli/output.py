"""Output of commands: terminals, formats, files and error messages."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import click

from archspec.errors import SpecError

FORMATS = ("text", "json", "csv", "markdown")
"""Values of `--format`."""

SUFFIXES: Mapping[str, str] = {".txt": "text", ".json": "json", ".csv": "csv", ".md": "markdown"}
"""Format of a file that `-o` names, by its suffix."""

FIGURES = (".svg", ".pdf", ".png", ".html", ".tex")
"""Suffixes of figures that `-o` may write."""


def has_color(stream: TextIO | None) -> bool:
    """Whether a stream shows colours: a terminal does, unless NO_COLOR is set."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream is not None and stream.isatty()


def terminal_width(stream: TextIO | None) -> int | None:
    """Return the columns of a stream's terminal; None if it is not a terminal."""
    if stream is None or not stream.isatty():
        return None
    import shutil  # slow to import, and not needed in a pipe

    return shutil.get_terminal_size().columns


def screen() -> dict[str, Any]:
    """Return the arguments of a renderer of text for standard output."""
    return {"width": terminal_width(sys.stdout), "color": has_color(sys.stdout)}


def as_json(data: Any) -> str:
    """Return plain data as JSON, in ASCII."""
    import json

    return json.dumps(data, indent=2, allow_nan=False) + "\n"


def complain(errors: Sequence[SpecError]) -> None:
    """Print errors on standard error; the same mistake of several variants once."""
    from archspec.render.errors import render

    from .spelling import spelled

    color, width = has_color(sys.stderr), terminal_width(sys.stderr) or 100
    texts = (render(error, color=color, width=width, say=spelled) for error in errors)
    for text in dict.fromkeys(texts):
        echo(text, err=True)


def echo(text: str, *, err: bool = False) -> None:
    """Print text without control characters, which names of files may contain.

    A closed pipe, as after `head`, is not an error: other work goes on.
    """
    from archspec.text import without_controls

    text = without_controls(text, styled=has_color(sys.stderr if err else sys.stdout))
    try:
        click.echo(text, nl=not text.endswith("\n"), err=err)
    except BrokenPipeError:
        # Flushing what is still buffered would fail again when the process ends.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, (sys.stderr if err else sys.stdout).fileno())
        os.close(nowhere)


def write(text: str, path: str | None) -> None:
    """Write text to a file, or to standard output if `path` is None or `-`."""
    if path is None or path == "-":
        echo(text)
        return
    from archspec.atomic import save

    save(path, text)


def deliver(
    value: Any,
    form: str | None,
    outputs: Sequence[str] = (),
    *,
    layout: Mapping[str, Any] = {},
    data: Mapping[str, Any] = {},
    **text: Any,
) -> None:
    """Print a value in a format, and write it to files in the formats of their suffixes.

    Args:
        value: A `Displayed`.
        form: One of `FORMATS`; None to print nothing.
        outputs: Paths of the files.
        layout: Arguments of the value's renderer in every format but JSON.
        data: Arguments of the value's `to_dict`, which is its JSON.
        text: Arguments of its renderer in text alone.

    """
    from archspec.display import renderer

    from .spelling import spelled

    render = renderer(value.RENDERER)

    def rendered(form: str, **screen: Any) -> str:
        if form == "json":
            return as_json(value.to_dict(**data))
        if form == "text":
            return spelled(render.text(value, **layout, **text, **screen))
        return str(getattr(render, form)(value, **layout))

    if form and (shown := rendered(form, **(screen() if form == "text" else {}))):
        echo(shown)
    for path in outputs:
        write(rendered(SUFFIXES[Path(path).suffix]), path)
        echo(f"wrote {path}", err=True)


def apart(paths: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the paths of tables and those of figures."""
    tables: list[str] = []
    figures: list[str] = []
    for path in paths:
        (figures if Path(path).suffix in FIGURES else tables).append(path)
    return tables, figures


def save(figure: Any, paths: Iterable[str]) -> None:
    """Write a figure to files, by its method `save`, and name each on standard error."""
    for path in paths:
        figure.save(path)
        echo(f"wrote {path}", err=True)


def tell(notes: Iterable[str]) -> None:
    """Print notes on standard error."""
    from .spelling import spelled

    for note in notes:
        echo(f"note: {spelled(note)}", err=True)


def suffixes(*forms: str) -> tuple[str, ...]:
    """Return the suffixes of files in these formats."""
    return tuple(suffix for suffix, form in SUFFIXES.items() if form in forms)


def check_outputs(
    paths: Sequence[str], suffixes: Sequence[str], *, specs: Iterable[str] = ()
) -> None:
    """Refuse a path of `-o` that cannot be written, before any work is done.

    Args:
        paths: The files to write.
        suffixes: Suffixes that they may have.
        specs: Specs that are read, whose files must not be overwritten.

    """
    names = [name for spec in specs for name in (spec, spec.rpartition(":")[0])]
    # `Path.is_file` raises an error for a name that is too long to be a file's.
    sources = [Path(name) for name in names if os.path.isfile(name)]  # noqa: PTH113
    for number, name in enumerate(paths):
        try:
            problem = _problem(Path(name), suffixes, sources)
        except OSError as error:  # such as for a name that is too long
            problem = f": {error.strerror or error}"
        if problem:
            raise click.BadParameter(f"{name}{problem}", param_hint="-o")
        if Path(name) in map(Path, paths[:number]):
            raise click.BadParameter(f"{name} is given twice", param_hint="-o")


def _problem(path: Path, suffixes: Sequence[str], sources: Sequence[Path]) -> str:
    """Return why a file cannot be written, to stand after its name; nothing if it can."""
    if path.suffix not in suffixes:
        return f": the suffix says what to write: {', '.join(suffixes)}"
    if not path.parent.is_dir():
        return f": there is no folder {path.parent}"
    if path.is_dir():
        return " is a folder"
    if not os.access(path.parent, os.W_OK) or (path.exists() and not path.is_file()):
        return " cannot be written"
    if any(path.exists() and path.samefile(source) for source in sources):
        return " is what is read: name another file"
    return ""


@contextmanager
def vanishing_line(*, quiet: bool) -> Iterator[Callable[[str], None] | None]:
    """Yield a function that shows a text on a terminal, in a line that vanishes.

    It is None where nothing is to be shown: with `quiet`, or without a terminal.
    """
    if quiet or terminal_width(sys.stderr) is None:
        yield None
        return
    longest = 0

    def show(text: str) -> None:
        nonlocal longest
        longest = max(longest, len(text))
        click.echo(f"\r{text.ljust(longest)}", nl=False, err=True)

    try:
        yield show
    finally:
        click.echo(f"\r{' ' * longest}\r", nl=False, err=True)


@contextmanager
def uncollected() -> Iterator[None]:
    """Run without the garbage collector: all objects of a report are needed until it is written.

    The objects made until then, mostly modules and classes, stay in use. They are frozen, so that
    no later collection visits them, not even the one when the process ends.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
