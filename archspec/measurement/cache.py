"""Results of earlier compilations, kept in the user's cache folder: a file for each job."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Final

from archspec import atomic
from archspec.measurement.dump import CompiledMemory

MOST_BYTES: Final = 1_000_000
"""Largest file that is read; one of ten buffers has 2,000 bytes."""


def folder() -> Path:
    """Return the folder of compiled results: `archspec/measure` in the user's cache folder.

    Raises:
        RuntimeError: The user has no home folder.
    """
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "archspec" / "measure"


def read(digest: str) -> CompiledMemory | None:
    """Return what was kept under a digest; None if there is nothing, or it is damaged."""
    with contextlib.suppress(OSError, RuntimeError, ValueError, LookupError, TypeError):
        with (folder() / f"{digest}.json").open("rb") as file:
            data = json.loads(file.read(MOST_BYTES))
        return CompiledMemory.from_dict(data)
    return None


def keep(digest: str, memory: CompiledMemory) -> None:
    """Keep a result under a digest; where that is not possible, it is compiled again next time."""
    with contextlib.suppress(OSError, RuntimeError):
        place = folder()
        place.mkdir(parents=True, exist_ok=True)
        with atomic.whole(place / f"{digest}.json") as partial:
            partial.write_text(json.dumps(memory.to_dict()), encoding="utf-8")
