"""Mistakes of a recipe as archspec's problems, each with its path inside `train:`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError

from archspec.element import expectation, show
from archspec.errors import KeyPath, Problem, RecipeError
from archspec.spec.document import Spec
from archspec.spec.findings import spec_error
from archspec.vocabulary import key_hint


def check_all(*checks: Callable[[], object]) -> None:
    """Call each, and raise one `RecipeError` with the problems of all."""
    problems: list[tuple[KeyPath, Problem]] = []
    for check in checks:
        try:
            check()
        except RecipeError as error:
            problems += error.problems
    if problems:
        raise RecipeError(problems)


@contextmanager
def places(spec: Spec) -> Iterator[None]:
    """Turn a `RecipeError` into a `SpecError` with the problems' places in the text."""
    try:
        yield
    except RecipeError as error:
        diagnostics = [
            problem.at(spec.source.span(("train", *path), key=problem.code == "unknown-key"))
            for path, problem in error.problems
        ]
        raise spec_error(spec.source, diagnostics) from None


def problems(
    error: ValidationError, model: type[BaseModel], data: object
) -> list[tuple[KeyPath, Problem]]:
    """Return the problems of `data`, from the errors of its validation as a `model`."""
    by_path: dict[KeyPath, Problem] = {}
    for item in error.errors(include_url=False):
        path, owner, value = _place(item, model, data)
        if any(other[: len(path)] == path for other in by_path):
            continue  # a list is wrong because an item of it is
        label = ".".join(map(str, ("train", *path)))
        name = next((key for key in reversed(path) if isinstance(key, str)), "")
        match item["type"]:
            case "extra_forbidden" | "invalid_key":
                key = str(path[-1])
                hints: Mapping[str, str] = getattr(owner, "hints", {})
                keys = [info.alias or name for name, info in owner.model_fields.items()]
                hint = hints.get(key) or key_hint(key, keys, what="keys")
                by_path[path] = Problem("unknown-key", f"`{path[-1]}` is not a key here", help=hint)
            case "missing":
                what = _expected(owner, name)
                by_path[path] = Problem("missing", f"`{label}` is missing", help=f"it is {what}")
            case "value_error":
                message = item["msg"].removeprefix("Value error, ")
                by_path[path] = Problem("value", f"`{label}`: {message}")
            case "unknown_name":
                words = item["ctx"]
                by_path[path] = Problem("unknown-name", words["message"], help=words["help"])
            case kind:
                code = "value" if kind.startswith(("greater", "less", "too_")) else "type"
                what = _expected(owner, name)
                if kind in {"model_type", "dict_type"} and isinstance(value, (str, int, float)):
                    what = "a mapping"
                message = f"`{label}` must be {what}, not {show(value)}"
                by_path[path] = Problem(code, message)
    return list(by_path.items())


def _place(
    item: Any, model: type[BaseModel], data: object
) -> tuple[KeyPath, type[BaseModel], object]:
    """Return an error's path in the data as it was written, the section there, and the value.

    Pydantic's path continues into members of unions, and into the full form of a short one.
    """
    owner, value, several = model, data, False
    annotation: Any = None
    path: list[str | int] = []
    for key in item["loc"]:
        if several or not (_has(value, key) or item["type"] == "missing"):
            break
        inner = _sections(annotation)
        if isinstance(key, str) and inner:
            owner = inner[0]
        path.append(key)
        value = _item(value, key)
        if isinstance(key, str):
            fields = owner.model_fields
            info = next((i for n, i in fields.items() if key in (n, i.alias)), None)
            annotation = info.annotation if info else None
            several = len(_members(annotation)) > 1
    return tuple(path), owner, value


def _has(value: object, key: str | int) -> bool:
    if isinstance(value, Mapping):
        return key in value
    return isinstance(value, (list, tuple)) and isinstance(key, int)


def _item(value: Any, key: str | int) -> object:
    return value[key] if _has(value, key) else None


def _members(annotation: Any) -> list[Any]:
    """Return the members of a union, without None; of another annotation, itself."""
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (tuple, dict, Literal) or not get_args(annotation):
        return [annotation]
    return [member for member in get_args(annotation) if member is not type(None)]


def _sections(annotation: Any) -> list[type[BaseModel]]:
    """Return the sections that a field holds, alone or in a list."""
    sections = []
    for part in (annotation, *get_args(annotation)):
        inner = get_args(part)[0] if get_origin(part) is Annotated else part
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            sections.append(inner)
    return sections


def _expected(owner: type[BaseModel], name: str) -> str:
    info = next((i for n, i in owner.model_fields.items() if name in (n, i.alias)), None)
    if info is None:
        return "something else"
    if get_origin(info.annotation) is tuple and not info.metadata:
        return "a list"
    return expectation(info)
