"""Keras's files: `.keras`, `.h5`, configurations and weights, of every version, without Keras."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from archspec.imports.inputs import NOTHING_GIVEN, Given

if TYPE_CHECKING:
    from archspec.imports.model import ImportedModel


def read(path: Path, *, given: Given = NOTHING_GIVEN) -> ImportedModel:
    """Return the network in a file of Keras's.

    Args:
        path: A `.keras` or `.h5` file, a configuration in JSON or YAML, a file of weights alone, or
            the folder that a `.keras` file was unpacked to.
        given: What is known of its inputs beside that.

    Raises:
        UsageError: The file is damaged, or holds no network.
    """
    from archspec.imports.keras.reader import read_file  # noqa: PLC0415  (weights need no reader)

    return read_file(path, given)
