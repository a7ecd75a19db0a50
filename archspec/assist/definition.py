"""Definitions and uses of names of steps, blocks and variables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from archspec.assist.document import Document, Region
from archspec.assist.sketch import Mapping, Node, Place, children, find, place_at, scalars
from archspec.assist.steps import (
    BESIDE,
    Step,
    head_steps,
    inner_steps,
    is_inner_step,
    is_step,
    step_at,
    visible_steps,
)
from archspec.compile import catalog
from archspec.errors import KeyPath
from archspec.graph.graph import SEPARATOR
from archspec.ops.merge import Merge
from archspec.spec.expressions import is_expression

_TEXT_OR_WORD: Final = re.compile(
    r"""(?P<quote>['"])(?P<text>[^'"]*)(?P=quote)|"""
    r"(?<![\w.])(?P<word>[A-Za-z_]\w*)(?![\w(])(?P<shape>\.\w)?"
)
"""A text of an expression, or a name in it."""

MOST: Final = 1_000
"""Largest number of uses that are listed."""


class Use(NamedTuple):
    """A name where it is used."""

    name: str
    region: Region
    sort: str
    """One of step, block, variable, variant, input (of a block) and anchor."""
    path: KeyPath


def definition(document: Document, offset: int) -> Region | None:
    """Return where the name at an offset is defined; None where there is no such name."""
    use = use_at(document, offset)
    return defined(document, use) if use else None


def references(document: Document, offset: int) -> tuple[Region, ...]:
    """Return every place that uses or defines the name at an offset, in the order of the text."""
    use = use_at(document, offset)
    target = defined(document, use) if use else _defined_at(document, offset)
    if target is None:
        return ()
    name = document.text[target.start : target.stop].strip("\"'&")
    found = {target}
    if not name:
        return ()
    for path, node, is_key in scalars(document.root):
        if name not in node.text:
            continue
        for other in _uses(document, path, node, is_key=is_key):
            parts = {part.rstrip("0123456789") for part in other.name.split(SEPARATOR)}
            if name.rstrip("0123456789") not in parts:
                continue
            if defined(document, other) == target:
                found.add(other.region)
        if len(found) >= MOST:
            break
    return tuple(sorted(found))


def use_at(document: Document, offset: int) -> Use | None:
    """Return the name that is used at an offset; None elsewhere."""
    if not document.is_spec:
        return None
    place = place_at(document.root, offset)
    if place is None:
        return None
    uses = _uses(document, place.path, place.node, is_key=place.is_key)
    return next((use for use in uses if use.region.start <= offset <= use.region.stop), None)


def _uses(document: Document, path: KeyPath, node: Node, *, is_key: bool) -> Iterator[Use]:
    """Yield the names that a key or a scalar uses."""
    region = Region(*inner(document.text, node))
    if is_key or is_step(path) or is_inner_step(path):
        sort = _sort_of_key(document, path, node)
        if sort:
            yield Use(node.text, region, sort, path)
        if is_key or not is_expression(node.text):
            return
    if node.text.startswith("*"):
        yield Use(node.text[1:], region, "anchor", path)
    elif is_expression(node.text):
        yield from _in_expression(document, region, path)
    elif names_a_step(path):
        yield Use(node.text, region, "step", path)


def _in_expression(document: Document, region: Region, path: KeyPath) -> Iterator[Use]:
    """Yield the variables of an expression, and the steps whose names or shapes it gives."""
    for match in _TEXT_OR_WORD.finditer(document.text, *region):
        name = match["text"] or match["word"]
        span = Region(*match.span("text" if match["text"] else "word"))
        if match["text"] is not None:
            if match["text"] and names_a_step(path):
                yield Use(name, span, "step", path)
        elif _variable(document.root, name, path) is None and match["shape"]:
            yield Use(name, span, "step", path)
        else:
            yield Use(name, span, "variable", path)


def _sort_of_key(document: Document, path: KeyPath, node: Node) -> str:
    place = path[:-1] if path[-1] == node.text else path  # of a key, or of the word alone
    if is_step(place) or is_inner_step(place):
        is_own = node.text not in BESIDE and find(document.root, ("blocks", node.text)) is not None
        return "block" if is_own else ""
    match path:
        case ("variants", _, _):
            return "variable"
        case ("published", _):
            return "variant"
        case ("defaults", _):
            return "block"
        case (*step, "from", _) if is_step(tuple(step)):
            return "input"
    return ""


def names_a_step(path: KeyPath) -> bool:
    """Return whether the value at a path names a step: of `from`, `share`, or a merge's input."""
    for part in (path, path[:-1]):
        match part:
            case ("heads", _, "from"):
                return True
            case (*step, key) if is_step(tuple(step)) and isinstance(key, str):
                if key in ("from", "share"):
                    return True
                cls = None if key in BESIDE else catalog.get(key)
                return cls is not None and issubclass(cls, Merge)
    return False


def inner(text: str, node: Node) -> tuple[int, int]:
    """Return the offsets of a scalar without its quotes."""
    quote = text[node.start : node.start + 1]
    if quote in ("'", '"') and quote:
        closed = node.stop - node.start > 1 and text[node.stop - 1 : node.stop] == quote
        return node.start + 1, node.stop - closed
    return node.start, node.stop


def defined(document: Document, use: Use) -> Region | None:
    """Return where a name is defined."""
    node: Node | None = None
    root = document.root
    match use.sort:
        case "block":
            node = _key(root, "blocks", use.name)
        case "variant":
            node = _key(root, "variants", use.name) or find(root, ("name",))
        case "variable":
            node = _variable(root, use.name, use.path)
        case "step":
            node = _step(document, use)
            if node is None and use.path[0] == "blocks":
                node = _input(root, str(use.path[1]), use.name)
            elif node is None:
                node = _key(root, "inputs", use.name)
        case "input":
            kind = step_at(root, use.path[:-2]).kind
            node = _input(root, kind.text, use.name) if kind else None
        case "anchor":
            match = re.search(rf"&{re.escape(use.name)}(?=[\s,\]}}]|$)", document.text)
            return Region(*match.span()) if match else None
    return Region(*inner(document.text, node)) if node else None


def _key(root: Node | None, section: str, name: str) -> Node | None:
    found = find(root, (section,))
    return found.key_at(name) if found else None


def _input(root: Node | None, block: str, name: str) -> Node | None:
    """Return an input of a block where its definition names it."""
    names = children(find(root, ("blocks", block, "inputs")))
    return next((each.value for each in names if each.value and each.text == name), None)


def _variable(root: Node | None, name: str, path: KeyPath) -> Node | None:
    """Return the key of a variable: of the nearest `let` or `for`, of a block, or of `vars`."""
    scopes = [
        (*path[:length], word)
        for length in range(len(path), 0, -1)
        if is_step(path[:length])
        for word in ("let", "for")
    ]
    if path[:1] == ("blocks",):
        scopes += [(*path[:2], "let"), (*path[:2], "args")]
    for scope in scopes:
        found = find(root, scope)
        node = found.key_at(name) if found else None
        if node:
            return node
    return _key(root, "vars", name)


def _step(document: Document, use: Use) -> Node | None:
    """Return the name of a step, or its kind if it has no name of its own."""
    root = document.root
    first, *rest = use.name.split(SEPARATOR)
    visible = head_steps(root) if use.path[0] == "heads" else visible_steps(root, use.path)
    step = next((each for each in visible if _is_called(document, each, first)), None)
    for part in rest:
        if step is None:
            return None
        deeper = next(
            (each for each in inner_steps(step) if _is_called(document, each, part)), None
        )
        if deeper is None:
            break  # inside a block, which is one step of the text
        step = deeper
    return (step.name or step.kind) if step else None


def _is_called(document: Document, step: Step, name: str) -> bool:
    """Return whether a step has a name, by itself or as a round of it."""
    own = step.name
    is_computed = own is not None and is_expression(own.text)
    if own is not None and own.text and not is_computed:
        rounds = name.rstrip("0123456789") == own.text and step.loops
        return own.text == name or rounds
    branches = step.arguments if step.kind and step.kind.text == "branches" else None
    if isinstance(branches, Mapping) and branches.key_at(name):
        return True
    good = document.known_good
    if good is None or step.kind is None:
        return False
    if not is_computed and name.rstrip("0123456789") != step.kind.text:
        return False
    return any(row.path.rpartition(SEPARATOR)[2] == name for row in good.rows.get(step.path, ()))


def _defined_at(document: Document, offset: int) -> Region | None:
    """Return the region of the name that is defined at an offset; None elsewhere."""
    if not document.is_spec:
        return None
    place = place_at(document.root, offset)
    return Region(*inner(document.text, place.node)) if place and _defines(place) else None


def _defines(place: Place) -> bool:
    match place.path:
        case ("vars" | "blocks" | "variants" | "inputs", _) if place.is_key:
            return True
        case ("blocks", _, "args" | "let", _) if place.is_key:
            return True
        case ("blocks", _, "inputs", _):
            return True
        case (*step, "for" | "let", _) if place.is_key and is_step(tuple(step)):
            return True
        case (*step, "name") if not place.is_key and is_step(tuple(step)):
            return True
    return False


def variables_at(root: Node | None, path: KeyPath) -> Iterator[tuple[str, str]]:
    """Yield the variables that an expression may use, each with what it is, the nearest first."""
    for length in range(len(path), 0, -1):
        outer = path[:length]
        if is_step(outer):
            entry = find(root, outer)
            for each in children(entry.at("let") if entry else None):
                yield each.name, "value of `let`"
            for each in children(entry.at("for") if entry else None):
                yield each.name, "variable of the loop"
            if entry and (entry.key_at("for") or entry.key_at("repeat")):
                yield "index", "number of the round, from 0"
    if path[:1] == ("blocks",):
        for each in children(find(root, (*path[:2], "let"))):
            yield each.name, "value of `let`"
        for each in children(find(root, (*path[:2], "args"))):
            yield each.name, f"argument of `{path[1]}`"
    for each in children(find(root, ("vars",))):
        yield each.name, f"variable{f', {each.text} by default' if each.text else ''}"
