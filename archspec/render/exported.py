"""An exported model as text and Markdown: its file, and how near its outputs are to the model's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archspec.render.amounts import byte_size

if TYPE_CHECKING:
    from archspec.keras_model.export import Exported


def text(exported: Exported, *, examples: str = "examples") -> str:
    """Return a line, and another for a model whose dtype was widened.

    Args:
        exported: The model that was written.
        examples: The name of what both were given, such as `test images`.

    """
    difference = exported.largest_difference
    path = f"{exported.path}/" if exported.path.is_dir() else str(exported.path)
    lines = [
        f"{path}: {byte_size(exported.bytes)}, largest difference to the model "
        f"{f'{difference:.1e}' if difference else '0'} over {exported.images} {examples}: "
        f"equal within {exported.tolerance:g}"
    ]
    if exported.widened:
        lines.append(f"{path}: computes in float32, the model in {exported.widened}")
    return "\n".join(lines)


def markdown(exported: Exported) -> str:
    """Return the same lines as a list."""
    return "\n".join(f"- {line}" for line in text(exported).splitlines()) + "\n"
