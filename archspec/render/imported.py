"""A model that was read from a file, as text and Markdown: its table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archspec.cost.report import report
from archspec.render import report as renderer

if TYPE_CHECKING:
    from archspec.imports.model import ImportedModel


def text(model: ImportedModel) -> str:
    """Return the model's table."""
    return renderer.text(report(model))


def markdown(model: ImportedModel) -> str:
    """Return the model's table."""
    return renderer.markdown(report(model))
