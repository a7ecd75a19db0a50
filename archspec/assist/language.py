"""Words of the language at a place of a document, from the JSON Schema of specs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, NamedTuple, TypeAlias

from archspec.errors import KeyPath
from archspec.json_schema import schema
from archspec.reference import spoken

Schema: TypeAlias = Mapping[str, Any]

_PARTS: Final = ("anyOf", "oneOf", "allOf")
_WORDS: Final = {
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}
"""Words for the types of JSON."""


class Word(NamedTuple):
    """A key or a value that may stand at a place."""

    name: str
    about: str
    type: str
    """Description of right values; empty for a value."""
    default: str | None
    forms: tuple[Schema, ...] = ()
    """Schemas of the values of a key."""


_schema = cache(schema)


def warm_up() -> None:
    """Read the schema before the first answer needs it."""
    _schema()


def keys_at(path: KeyPath) -> dict[str, Word]:
    """Return the keys of the mapping that may stand at a path, with what they mean."""
    words: dict[str, Word] = {}
    for form in forms_at(path):
        for name, value in form.get("properties", {}).items():
            if name not in words or not words[name].about:
                words[name] = _word(name, value)
    return words


def values_at(path: KeyPath) -> dict[str, Word]:
    """Return the words that may stand as a value at a path, with what they mean."""
    words: dict[str, Word] = {}
    forms = forms_at(path)
    for form in forms:
        about = form.get("description", "")
        names = [spoken(value) for value in form.get("enum", ())]
        types = form.get("type", ())
        types = (types,) if isinstance(types, str) else types
        names += [name for kind in types for name in _CONSTANTS.get(kind, ())]
        for name in names:
            words.setdefault(name, Word(name, about if name not in _NAMELESS else "", "", None))
    keys = keys_at(path)
    return {name: keys.get(name, word)._replace(forms=()) for name, word in words.items()}


_CONSTANTS: Final = {"boolean": ("true", "false"), "null": ("null",)}
_NAMELESS: Final = frozenset({"true", "false", "null"})


def word_at(path: KeyPath) -> Word | None:
    """Return what a key means, by its path; None if the language has no such key."""
    if not path or not isinstance(path[-1], str):
        return None
    return keys_at(path[:-1]).get(path[-1])


def forms_at(path: KeyPath) -> tuple[Schema, ...]:
    """Return the schemas of what may stand at a path, all references followed."""
    forms = tuple(_forms(_schema()))
    for part in path:
        forms = tuple(each for form in forms for each in _inner(form, part))
        if not forms:
            break
    return forms


def _inner(form: Schema, part: str | int) -> Iterator[Schema]:
    """Yield the schemas of a part of a value."""
    if isinstance(part, int):
        items = form.get("prefixItems", ())
        inner = items[part] if part < len(items) else form.get("items")
    else:
        inner = form.get("properties", {}).get(part)
        if inner is None:
            inner = form.get("additionalProperties")
    if isinstance(inner, Mapping):
        yield from _forms(inner)


def _forms(form: Schema, about: Schema | None = None, depth: int = 0) -> Iterator[Schema]:
    """Yield the schemas that a schema stands for: its references and alternatives."""
    if depth > 12:
        return
    about = {**(about or {}), **{k: form[k] for k in ("description", "default") if k in form}}
    own = {key: value for key, value in form.items() if key not in ("$ref", *_PARTS)}
    if set(own) - {"description", "default"}:
        yield {**about, **own}
    if "$ref" in form:
        name = form["$ref"].removeprefix("#/$defs/")
        yield from _forms(_schema()["$defs"][name], about, depth + 1)
    for part in _PARTS:
        for each in form.get(part, ()):
            yield from _forms(each, about, depth + 1)
    for part in ("then", "else"):
        if part in form:
            yield from _forms(form[part], None, depth + 1)


def _word(name: str, value: Schema) -> Word:
    forms = tuple(_forms(value))
    about = value.get("description") or next(
        (form["description"] for form in forms if form.get("description")), ""
    )
    default = next((form["default"] for form in (value, *forms) if "default" in form), ...)
    return Word(name, about, _type(forms), None if default is ... else spoken(default), forms)


def _type(forms: tuple[Schema, ...]) -> str:
    """Return words for the values that schemas describe."""
    words: list[str] = []
    for form in forms:
        if form.get("pattern") == "^=":
            continue  # every value may be an expression
        if "enum" in form:
            names = [spoken(value) for value in form["enum"]]
            more = ", ..." if len(names) > _MOST else ""
            words += [f"one of {', '.join(names[:_MOST])}{more}"]
            continue
        types = form.get("type", ())
        for kind in (types,) if isinstance(types, str) else types:
            words.append(_WORDS[kind] + (_bounds(form) if kind in ("integer", "number") else ""))
    return " or ".join(dict.fromkeys(words))


_MOST: Final = 8
"""Words of an enumeration that are listed."""


def _bounds(form: Schema) -> str:
    """Return words for the bounds of a number."""
    words = ""
    if "minimum" in form:
        words += f" from {form['minimum']:g}"
    if "exclusiveMinimum" in form:
        words += f" above {form['exclusiveMinimum']:g}"
    if "maximum" in form and form["maximum"] < 2**31 - 1:
        words += f" to {form['maximum']:g}"
    if "exclusiveMaximum" in form:
        words += f" below {form['exclusiveMaximum']:g}"
    return words
