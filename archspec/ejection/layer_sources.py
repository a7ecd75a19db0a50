"""The source of archspec's own layers, which Keras lacks.

`layer_sources.json` is made of them by `tests/layer_sources.py`, in black's layout: so that a
program is written without Keras and without black.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable
from functools import cache
from importlib import resources
from typing import Any

from archspec.ejection.parts import Parts


@cache
def table() -> Parts:
    """Return every definition by its name."""
    text = resources.files(__package__).joinpath("layer_sources.json").read_text(encoding="utf-8")
    known: Parts = json.loads(text)
    return known


def short_form(name: str, uses: Iterable[Container[Any]]) -> str:
    """Return the definition of a class that is enough for some uses.

    Args:
        name: The class.
        uses: The arguments that each use gives.
    """
    return "Pad (constant)" if name == "Pad" and not any("mode" in each for each in uses) else name
