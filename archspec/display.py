"""Display of results: the one way from values up to `archspec.render`, imported on use.

Values are numbers and import no renderer; a class names the module that shows it, and the module is
imported when a value is shown. Nothing else reaches from a lower room into `archspec.render`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar


def renderer(name: str) -> Any:
    """Return the module `archspec.render.<name>`."""
    return import_module(f"archspec.render.{name}")


class Displayed:
    """A value that prints itself, and that a notebook shows.

    Its renderer has functions `text(value)` and `markdown(value)`, each of which returns a string.
    Of values that have a figure, `render/notebook.py` makes HTML, which notebooks prefer.
    """

    __slots__ = ()

    RENDERER: ClassVar[str]
    """Name of the module in `archspec.render` that shows the value."""

    def __str__(self) -> str:
        """Return the value as text for a terminal."""
        return str(renderer(self.RENDERER).text(self))

    def _repr_markdown_(self) -> str:
        return str(renderer(self.RENDERER).markdown(self))

    def _repr_html_(self) -> str | None:
        shown: str | None = renderer("notebook").html(self)
        return shown


class Sentences:
    """A value whose text is a sentence or a few, one a line, and shown like that in a notebook."""

    __slots__ = ()

    def _repr_markdown_(self) -> str:
        return "  \n".join(str(self).splitlines())
