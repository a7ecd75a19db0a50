"""A spec as text and Markdown: its YAML, the variant and the variables resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archspec.spec.writing import to_yaml

if TYPE_CHECKING:
    from archspec.spec.document import Spec


def text(spec: Spec) -> str:
    """Return the YAML."""
    return to_yaml(spec.to_dict())


def markdown(spec: Spec) -> str:
    """Return the YAML in a block of code."""
    return f"```yaml\n{text(spec)}```\n"
