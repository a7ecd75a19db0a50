"""Readers: functions, each made of a type, that accept its values without pydantic.

They convert nothing but an int where a float is needed, as strict pydantic does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, TypeAlias, Union, get_args, get_origin

from archspec.declare.metadata import (
    Bounds,
    Chosen,
    Converted,
    Expect,
    InstanceOf,
    Instead,
    Key,
    MinLength,
    Rule,
)

Reader: TypeAlias = Callable[[Any], Any]
"""A function that returns what a value is read as, or `UNSURE`."""

UNSURE: Final = object()
"""Returned by a reader for a value that it leaves to pydantic."""


def reader(annotation: Any) -> Reader:
    """Return the reader of a type."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return _anything
    if annotation is float:
        return _float
    if annotation in (int, bool, str, NoneType, None):
        return _exactly(NoneType if annotation is None else annotation)
    if origin is Annotated:
        made = [item.cls for item in parts[1:] if isinstance(item, InstanceOf)]
        chosen = [item for item in parts[1:] if isinstance(item, Chosen)]
        if chosen:
            return partial(chosen[0].read, unsure=UNSURE)
        return _instance_of(made[0]) if made else _restricted(reader(parts[0]), parts[1:])
    if origin is Literal and all(type(word) is str for word in parts):
        words = frozenset(parts)
        return lambda value: value if type(value) is str and value in words else UNSURE
    if origin in (Union, UnionType):
        return _one_of([reader(part) for part in parts])
    if origin is tuple and parts[1:] == (...,):
        return _collection(tuple, reader(parts[0]))
    if origin is tuple and parts:
        return _row([reader(part) for part in parts])
    if origin is list:
        return _collection(list, reader(parts[0]))
    if origin is dict and parts[0] is str:
        return _mapping(reader(parts[1]))
    nested: Reader = getattr(annotation, "read_mapping", _nothing)  # of a declaration
    return nested


def may_mix(annotation: Any) -> bool:
    """Return whether a type may hold values that are equal and not the same, as 1 and True."""
    leaves = set(_leaves(annotation))
    return not leaves <= _PLAIN or len(leaves & {bool, int, float}) > 1


_PLAIN: Final = frozenset({bool, int, float, str, NoneType})


def _leaves(annotation: Any) -> Iterator[Any]:
    """Yield the types of which a type is made."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        yield from map(type, parts)
    elif origin is Annotated:
        # Declarations and their names are never equal to each other.
        chosen = any(isinstance(part, Chosen) for part in parts[1:])
        yield from _leaves(str if chosen else parts[0])
    elif parts:
        for part in parts:
            if part is not ...:
                yield from _leaves(part)
    else:
        yield NoneType if annotation is None else annotation


def _anything(value: Any) -> Any:
    return value


def _nothing(_: Any) -> Any:
    return UNSURE


def _float(value: Any) -> Any:
    if type(value) is float:
        return value
    return float(value) if type(value) is int and abs(value) <= 2**53 else UNSURE


def _exactly(kind: type) -> Reader:
    return lambda value: value if type(value) is kind else UNSURE


def _instance_of(kind: type) -> Reader:
    return lambda value: value if isinstance(value, kind) else UNSURE


def _restricted(read: Reader, metadata: tuple[Any, ...]) -> Reader:
    """Return a reader of those values of a type that its metadata allow."""
    allowing = [
        item for item in metadata if not isinstance(item, (Expect, Instead, Key, Converted))
    ]
    checks = [item.holds for item in allowing if isinstance(item, (Bounds, MinLength, Rule))]
    if len(checks) < len(allowing):
        return _nothing

    def restricted(value: Any) -> Any:
        result = read(value)
        if result is not UNSURE:
            for check in checks:
                if not check(result):
                    return UNSURE
        return result

    return restricted if checks else read


def _one_of(readers: list[Reader]) -> Reader:
    """Return a reader of a union: a member that takes the value as it is goes before others."""
    if _nothing in readers:
        return _nothing

    def read(value: Any) -> Any:
        converted = UNSURE
        for each in readers:
            result = each(value)
            if result is value:
                return result
            if converted is UNSURE:
                converted = result
        return converted

    return read


def _collection(kind: Callable[..., Any], item: Reader) -> Reader:
    def read(value: Any) -> Any:
        return _unless_unsure(kind(map(item, value))) if type(value) is kind else UNSURE

    return read


def _row(items: list[Reader]) -> Reader:
    def read(value: Any) -> Any:
        if type(value) is not tuple or len(value) != len(items):
            return UNSURE
        return _unless_unsure(tuple(item(each) for item, each in zip(items, value, strict=True)))

    return read


def _mapping(item: Reader) -> Reader:
    def read(value: Any) -> Any:
        if type(value) is not dict or not all(type(key) is str for key in value):
            return UNSURE
        results = {key: item(each) for key, each in value.items()}
        return UNSURE if any(each is UNSURE for each in results.values()) else results

    return read


def _unless_unsure(results: Any) -> Any:
    return UNSURE if any(result is UNSURE for result in results) else results
