"""The spec of a model file, as text and Markdown: its YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archspec.decompile.importing import ImportedSpec


def text(imported: ImportedSpec) -> str:
    """Return the YAML."""
    return imported.text


def markdown(imported: ImportedSpec) -> str:
    """Return the YAML in a block of code."""
    return f"```yaml\n{imported.text}```\n"
