"""Changes of a file, whichever way an editor saves it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from watchfiles import Change, awatch

SETTLING: Final = 5
"""Milliseconds without a change after which a save is over: some editors empty a file first."""

LONGEST_SETTLING: Final = 40
"""Milliseconds after which a change is told although more of them follow."""

LOOKING: Final = 1_000
"""Milliseconds after which one looks although nothing was told, as on network file systems."""


async def changes(path: Path) -> AsyncIterator[None]:
    """Yield when a file may have changed: at once after a change, and now and then.

    Its folder is watched, because editors write a new file and rename it, and the file may be
    deleted and come back. So may the folder.
    """

    def is_it(change: Change, name: str) -> bool:  # noqa: ARG001
        return Path(name).name == path.name

    while True:
        folder = _identity(path.parent)
        try:
            async for _ in awatch(
                path.parent,
                watch_filter=is_it,
                debounce=LONGEST_SETTLING,
                step=SETTLING,
                rust_timeout=LOOKING,
                yield_on_timeout=True,
                recursive=False,
            ):
                yield
                if _identity(path.parent) != folder:  # another folder of the same name
                    break
        except (OSError, RuntimeError):  # there is no folder, or the system has no watches left
            yield
            await asyncio.sleep(LOOKING / 1_000)


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
