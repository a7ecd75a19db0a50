"""Blank pictures, where a test is about something else of a run.

Drawing a run's pictures takes as much time as training a small network. What they show is tested
in `test_pictures.py`, and that each kind of run draws them in `test_task_runs.py`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

BLANK = '<svg xmlns="http://www.w3.org/2000/svg"/>'


def _write(figure: Any, file: Path, **_: Any) -> None:  # noqa: ARG001
    file.write_text(BLANK, encoding="utf-8")


@cache
def _savefig() -> Any:
    """Return matplotlib's own function, which must be asked for before it is replaced."""
    from matplotlib.figure import Figure

    return Figure.savefig


@contextmanager
def _written_by(function: Any) -> Iterator[None]:
    from matplotlib.figure import Figure

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", function)
        yield


@contextmanager
def blank() -> Iterator[None]:
    """Leave the pictures of runs blank, within this context."""
    _savefig()
    with _written_by(_write):
        yield


@contextmanager
def drawn() -> Iterator[None]:
    """Draw them after all, within this context."""
    with _written_by(_savefig()):
        yield


@pytest.fixture(scope="module")
def blank_pictures() -> Iterator[None]:
    """The context `blank`, for the tests of a file."""
    with blank():
        yield
