"""Source of what a framework lacks: parts of modules that nobody imports, and archspec's layers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

Parts: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Definitions by name: `source`, the names that it `needs`, and `imports`."""

TORCH = "torch_parts.py"
"""File of the parts that PyTorch lacks for a network."""

TRAINING = "training_parts.py"
"""File of the parts that Keras and NumPy lack for a recipe."""


@cache
def parts_of(file: str) -> Parts:
    """Return the classes and functions of a file, which is read as text."""
    text = (Path(__file__).parent / file).read_text(encoding="utf-8")
    body = ast.parse(text).body
    defined = {each.name for each in body if isinstance(each, (ast.ClassDef, ast.FunctionDef))}
    imports: dict[str, str] = {}
    parts: dict[str, dict[str, Any]] = {}
    for item in body:
        if isinstance(item, (ast.Import, ast.ImportFrom)):
            for each in [*item.names]:
                item.names = [each]  # a line for each name
                imports[each.asname or each.name] = ast.unparse(item)
        elif isinstance(item, (ast.ClassDef, ast.FunctionDef)):
            decorators = [ast.get_source_segment(text, each) for each in item.decorator_list]
            source = ast.get_source_segment(text, item) or ""
            used = {each.id for each in ast.walk(item) if isinstance(each, ast.Name)}
            parts[item.name] = {
                "source": "\n".join([*(f"@{each}" for each in decorators), source]),
                "needs": used & defined,
                "imports": [line for given, line in imports.items() if given in used],
            }
    return parts


def own_parts(parts: Parts, names: Iterable[str]) -> tuple[list[str], set[str]]:
    """Return the lines of definitions and of all that they need, and the imports that these need.

    Names without a definition are left out.
    """
    wanted: set[str] = set()
    waiting = [*({*names} & {*parts})]
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            waiting += parts[name]["needs"]
    lines: list[str] = []
    imports: set[str] = set()
    follows_long = False
    for name, part in parts.items():
        if name not in wanted:
            continue
        source = part["source"].splitlines()
        is_long = bool(re.match(r"(@|class |def )", source[0]))
        lines += ["", *source, ""] if is_long or follows_long else [*source, ""]
        follows_long = is_long
        imports.update(part["imports"])
    return _separated(lines), imports


def _separated(lines: Sequence[str]) -> list[str]:
    """Return lines without more than two empty ones after each other."""
    result: list[str] = []
    for line in lines:
        if line or result[-2:] != ["", ""]:
            result.append(line)
    return result
