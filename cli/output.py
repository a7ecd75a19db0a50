"""Where output goes: what a stream can show, and files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import click

from archspec.diagnostics import UsageError


def has_color(stream: TextIO | None) -> bool:
    """Whether to colour what is written there: on a terminal, unless NO_COLOR is set."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream is not None and stream.isatty()


def terminal_width(stream: TextIO | None) -> int | None:
    """Columns of the terminal behind a stream; None where there is no terminal."""
    if stream is None or not stream.isatty():
        return None
    import shutil  # slow to import, and not needed in a pipe

    return shutil.get_terminal_size().columns


def write(text: str, path: str | None) -> None:
    """Write to a file, or to standard output where `path` is None or `-`."""
    if path is None or path == "-":
        click.echo(text, nl=not text.endswith("\n"))
        return
    try:
        Path(path).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None


def check_outputs(paths: Sequence[str], suffixes: Sequence[str]) -> None:
    """Refuse a path for `-o` that cannot be written, before any work is done."""
    for path in paths:
        if Path(path).suffix not in suffixes:
            raise click.BadParameter(
                f"{path}: the suffix says what to write: {', '.join(suffixes)}", param_hint="-o"
            )
        folder = Path(path).parent
        if not folder.is_dir():
            raise click.BadParameter(f"{path}: there is no folder {folder}", param_hint="-o")
        if Path(path).is_dir() or not os.access(folder, os.W_OK):
            raise click.BadParameter(f"{path} cannot be written", param_hint="-o")
