"""The source of archspec's own layers, which Keras lacks.

`layer_sources.json` is made of them by `tests/layer_sources.py`, in black's layout: so that a
program is written without Keras and without black.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterable
from functools import cache
from importlib import resources
from typing import Any


@cache
def table() -> dict[str, dict[str, Any]]:
    """Return every definition by its name: source, what it needs, and imports."""
    text = resources.files(__package__).joinpath("layer_sources.json").read_text(encoding="utf-8")
    known: dict[str, dict[str, Any]] = json.loads(text)
    return known


def short_form(name: str, uses: Iterable[Container[Any]]) -> str:
    """Return the definition of a class that is enough for some uses.

    Args:
        name: The class.
        uses: The arguments that each use gives.
    """
    return "Pad (constant)" if name == "Pad" and not any("mode" in each for each in uses) else name


def own_sources(names: Iterable[str]) -> tuple[list[str], set[str]]:
    """Return the lines of classes and of all that they need, and the imports that these need."""
    needed: set[str] = set()
    waiting = [*names]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += table()[name]["needs"]
    lines: list[str] = []
    imports: set[str] = set()
    follows_long = False
    for name, entry in table().items():
        if name not in needed:
            continue
        source = entry["source"].splitlines()
        is_long = re.match(r"(@|class |def )", source[0])
        lines += ["", *source, ""] if is_long or follows_long else [*source, ""]
        follows_long = bool(is_long)
        imports.update(entry["imports"])
    return _separated(lines), imports


def _separated(lines: list[str]) -> list[str]:
    """Return lines without more than two empty ones after each other."""
    result: list[str] = []
    for line in lines:
        if line or result[-2:] != ["", ""]:
            result.append(line)
    return result
