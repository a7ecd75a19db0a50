"""Source of what PyTorch lacks, taken from the text of `torch_parts.py`."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path


@cache
def _parts() -> tuple[dict[str, str], dict[str, str]]:
    """Return the source of each part, and each import by the name that it gives."""
    text = (Path(__file__).parent / "torch_parts.py").read_text(encoding="utf-8")
    parts: dict[str, str] = {}
    imports: dict[str, str] = {}
    for item in ast.parse(text).body:
        source = ast.get_source_segment(text, item) or ""
        if isinstance(item, (ast.ClassDef, ast.FunctionDef)):
            parts[item.name] = source
        elif isinstance(item, (ast.Import, ast.ImportFrom)):
            for each in item.names:
                module = getattr(item, "module", "")
                line = f"from {module} import {each.name}" if module else f"import {each.name}"
                line += f" as {each.asname}" if each.asname else ""
                imports[each.asname or each.name] = line
    return parts, imports


def part_names() -> frozenset[str]:
    """Return the names of all parts."""
    return frozenset(_parts()[0])


def own_parts(names: Iterable[str]) -> tuple[list[str], set[str]]:
    """Return the lines of the parts that are needed, and the imports that these need."""
    parts, imports = _parts()
    wanted = {*names} & {*parts}
    result: list[str] = []
    needed: set[str] = set()
    for name, source in parts.items():
        if name not in wanted:
            continue
        result += ["", *source.split("\n"), ""]
        used = {each.id for each in ast.walk(ast.parse(source)) if isinstance(each, ast.Name)}
        needed |= {line for given, line in imports.items() if given in used}
    return result, needed - {"from __future__ import annotations"}
