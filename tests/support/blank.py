"""Blank pictures, where a test is about something else of a run.

Drawing a run's pictures takes as much time as training a small network. What they show is tested
in `test_pictures.py`, and that each kind of run draws them in `test_task_runs.py`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

BLANK = '<svg xmlns="http://www.w3.org/2000/svg"/>'

RUNS = {name: f"archspec.render.{name}" for name in ("confusion", "curves", "mistakes", "units")}
"""The modules that draw each run's pictures, whose function `write_NAME` is not called at all."""


def _write(figure: Any, file: Path, **_: Any) -> None:  # noqa: ARG001
    file.write_text(BLANK, encoding="utf-8")


def _write_all(*arguments: Any, **_: Any) -> None:
    """Write the files among the arguments of a function that draws a run's picture."""
    for argument in arguments:
        if isinstance(argument, Path):
            _write(None, argument)


@cache
def _own() -> tuple[Any, dict[str, Any]]:
    """Return what really draws, which must be asked for before it is replaced.

    That is matplotlib's function, and archspec's by their names.
    """
    from matplotlib.figure import Figure

    writers = {name: getattr(import_module(place), f"write_{name}") for name, place in RUNS.items()}
    return Figure.savefig, writers


@contextmanager
def _written_by(savefig: Any, writers: dict[str, Any]) -> Iterator[None]:
    from matplotlib.figure import Figure

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", savefig)
        for name, writer in writers.items():
            patch.setattr(f"{RUNS[name]}.write_{name}", writer)
        yield


@contextmanager
def blank() -> Iterator[None]:
    """Leave the pictures of runs blank, within this context."""
    _own()
    with _written_by(_write, dict.fromkeys(RUNS, _write_all)):
        yield


@contextmanager
def drawn() -> Iterator[None]:
    """Draw them after all, within this context."""
    with _written_by(*_own()):
        yield


@pytest.fixture(scope="module")
def blank_pictures() -> Iterator[None]:
    """The context `blank`, for the tests of a file."""
    with blank():
        yield
