"""A spec as text and Markdown: its YAML; of a loaded one, the variant and variables resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archspec.spec.document import Spec
from archspec.spec.writing import to_yaml

if TYPE_CHECKING:
    from archspec.decompile.importing import ImportedSpec


def text(spec: Spec | ImportedSpec) -> str:
    """Return the YAML."""
    return to_yaml(spec.to_dict()) if isinstance(spec, Spec) else spec.text


def markdown(spec: Spec | ImportedSpec) -> str:
    """Return the YAML in a block of code."""
    return f"```yaml\n{text(spec)}```\n"
