"""What a table calls an image -> its file: a path below the table, perhaps without its suffix."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Final

from archspec.data.filetypes import SUFFIXES
from archspec.errors import UsageError

MOST_FOLDERS: Final = 1_000
"""How many folders beside a table are looked into."""


class ImageFinder:
    """Files by the names that a table has for them."""

    def __init__(self, table: Path, first: str | None) -> None:
        """`first` is the first name in `table`: it shows in which folder the images are."""
        self._table = table
        self._suffix = ""  # the one that the last file had which was called without it
        self.folder = table.parent
        """Relative to which paths are."""
        if first is not None and self.find(first) is None:
            self.folder = self._beside(first) or self.folder

    def find(self, text: str) -> Path | None:
        """The file that a table calls so; None if there is none."""
        return self._found(self.folder, text) or (
            self._found(self.folder, text.replace("\\", "/")) if "\\" in text else None
        )

    def _found(self, folder: Path, text: str) -> Path | None:
        path = folder / text
        if _is_file(path):
            return path
        for suffix in (self._suffix, *SUFFIXES, *map(str.upper, SUFFIXES)):
            longer = path.with_name(path.name + suffix) if path.name else path
            if suffix and _is_file(longer):
                self._suffix = suffix
                return longer
        return None

    def _beside(self, text: str) -> Path | None:
        """The folder beside the table in which a file is called so."""
        try:
            entries = sorted(self.folder.iterdir())[:MOST_FOLDERS]
        except OSError:
            return None
        folders = [each for each in entries if each.is_dir() and not each.name.startswith(".")]
        holding = [each for each in folders if self._found(each, text)]
        if len(holding) > 1:  # train_images/ and test_images/ beside train.csv
            word = _first_word(self._table.stem)
            holding = [each for each in holding if _first_word(each.name) == word] or holding
        if len(holding) > 1:
            raise UsageError(
                f"`{text}` of {self._table} is in {holding[0].name}/ and in {holding[1].name}/: "
                f"put the table into the folder that it is about"
            )
        return holding[0] if holding else None


def _first_word(name: str) -> str:
    return re.split(r"[\W_]+", name.lower(), maxsplit=1)[0]


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):  # ValueError: a null character
        return False
