"""Source of what a framework lacks, taken from the text of modules that nobody imports."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

TORCH = "torch_parts.py"
"""File of the parts that PyTorch lacks for a network."""

TRAINING = "training_parts.py"
"""File of the parts that Keras and NumPy lack for a recipe."""


@cache
def _parts(file: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the source of each part, and each import by the name that it gives."""
    text = (Path(__file__).parent / file).read_text(encoding="utf-8")
    parts: dict[str, str] = {}
    imports: dict[str, str] = {}
    for item in ast.parse(text).body:
        source = ast.get_source_segment(text, item) or ""
        if isinstance(item, (ast.ClassDef, ast.FunctionDef)):
            decorators = [ast.get_source_segment(text, each) for each in item.decorator_list]
            parts[item.name] = "\n".join([*(f"@{each}" for each in decorators), source])
        elif isinstance(item, (ast.Import, ast.ImportFrom)):
            for each in item.names:
                module = getattr(item, "module", "")
                line = f"from {module} import {each.name}" if module else f"import {each.name}"
                line += f" as {each.asname}" if each.asname else ""
                imports[each.asname or each.name] = line
    return parts, imports


def part_names(file: str) -> frozenset[str]:
    """Return the names of all parts."""
    return frozenset(_parts(file)[0])


def own_parts(file: str, names: Iterable[str]) -> tuple[list[str], set[str]]:
    """Return the lines of the parts that are needed, and the imports that these need.

    A part that another one calls is needed as well.
    """
    parts, imports = _parts(file)
    wanted: set[str] = set()
    waiting = [*({*names} & {*parts})]
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            waiting += _names_in(parts[name]) & {*parts}
    result: list[str] = []
    needed: set[str] = set()
    for name, source in parts.items():
        if name in wanted:
            result += ["", *source.split("\n"), ""]
            needed |= {line for given, line in imports.items() if given in _names_in(source)}
    return result, needed - {"from __future__ import annotations"}


def _names_in(source: str) -> set[str]:
    return {each.id for each in ast.walk(ast.parse(source)) if isinstance(each, ast.Name)}
