"""Metadata of a field's type: words for people, and further constraints."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sized
from typing import Any, Final


class Expect:
    """Metadata of a field's type: the words that say what a right value is."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Instead:
    """Metadata of a field's type: what to write for words of other tools that it does not take."""

    __slots__ = ("notes",)

    def __init__(self, notes: Mapping[str, str]) -> None:
        self.notes = notes
        """Help lines by the word, folded; '' for any value that is not a word."""


class InstanceOf:
    """Metadata of a field's type: a value is an instance of a class, made before it is given."""

    __slots__ = ("cls",)

    def __init__(self, cls: type) -> None:
        self.cls = cls

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.is_instance_schema(self.cls)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        return {"type": "object", "format": self.cls.__name__}


class Key:
    """Metadata of a field's type: the key of the field where it is not the field's name."""

    __slots__ = ("key",)

    def __init__(self, key: str) -> None:
        self.key = key


class Converted:
    """Metadata of a type: a function that corrects some wrong values and returns all right ones."""

    __slots__ = ("convert",)

    def __init__(self, convert: Callable[[Any], Any]) -> None:
        self.convert = convert

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_before_validator_function(self.convert, handler(source))


class Bounds:
    """Metadata of a number's type: above `gt` or from `ge`, below `lt` or up to `le`."""

    __slots__ = ("_tests", "limits")

    def __init__(self, **limits: float) -> None:
        self.limits = limits
        self._tests = [(_COMPARE[name], limit) for name, limit in limits.items()]

    def holds(self, value: float) -> bool:
        """Return whether a number is within the bounds; NaN is not."""
        for compare, limit in self._tests:  # noqa: SIM110  (`all` takes five times as long)
            if not compare(value, limit):
                return False
        return True

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return {**handler(source), **self.limits}


_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    name: getattr(operator, name) for name in ("ge", "gt", "le", "lt")
}


class MinLength:
    """Metadata of a list's or tuple's type: how many items it has at least."""

    __slots__ = ("least",)

    def __init__(self, least: int) -> None:
        self.least = least

    def holds(self, value: Sized) -> bool:
        return len(value) >= self.least

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return {**handler(source), "min_length": self.least}


class Rule:
    """Metadata of a type: a test of its values, and what it is in JSON Schema."""

    __slots__ = ("holds", "json_schema")

    def __init__(self, holds: Callable[[Any], bool], json_schema: Mapping[str, Any]) -> None:
        self.holds = holds
        self.json_schema = json_schema

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import PydanticCustomError, core_schema

        def check(value: Any) -> Any:
            if not self.holds(value):
                raise PydanticCustomError("rule", "it does not obey the rule of its type")
            return value

        return core_schema.no_info_after_validator_function(check, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        return {**handler(schema), **self.json_schema}


class Chosen:
    """Metadata of a type: names, some of which may have arguments, as `{leaky_relu: 0.1}`.

    `options` maps each name to the declaration of its arguments, or to a description where it has
    none. The attribute `main` of a declaration is the argument that a single value sets. A value
    of the type is the name itself where no argument is given, else an instance of the declaration.
    """

    __slots__ = ("options",)

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options

    def arguments(self, value: Any) -> tuple[str, dict[Any, Any]] | None:
        """Return the name and the arguments that plain data give; None for other values."""
        if type(value) is str:
            return (value, {}) if value in self.options else None
        if type(value) is not dict or len(value) != 1:
            return None
        ((name, given),) = value.items()
        if type(name) is not str or name not in self.options:
            return None
        if given is None or given == {}:
            return name, {}
        cls = self.options[name]
        if isinstance(cls, str):
            return None
        if type(given) is dict:
            return name, given
        return None if cls.main is None else (name, {cls.main: given})

    def read(self, value: Any, unsure: Any) -> Any:
        """Return the value that plain data describe; `unsure` where pydantic has to decide."""
        if type(value) is str:
            return value if value in self.options else unsure
        if type(value) in self.options.values():
            return value
        found = self.arguments(value)
        if found is None:
            return unsure
        name, given = found
        return self.options[name].read_mapping(given) if given else name

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import PydanticCustomError, core_schema

        def check(value: Any) -> Any:
            if type(value) in self.options.values():
                return value
            found = self.arguments(value)
            if found is None:
                raise PydanticCustomError("choice", "it is neither a name nor one with arguments")
            name, given = found
            try:
                return self.options[name].model_validate(given) if given else name
            except ValueError:
                raise PydanticCustomError("choice", "its arguments are wrong") from None

        return core_schema.no_info_plain_validator_function(check)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        properties: dict[str, Any] = {}
        for name, cls in self.options.items():
            if isinstance(cls, str):
                properties[name] = {"description": cls, "type": "null"}
                continue
            core = cls.pydantic_model().__pydantic_core_schema__
            described = _without(handler.resolve_ref_schema(handler(core)), "title")
            forms = [described, {"type": "null"}]
            if cls.main is not None:
                main = _without(described["properties"][cls.main], "description", "default")
                forms[1:1] = main.get("anyOf", [main])
            properties[name] = {"description": described.get("description", ""), "anyOf": forms}
        mapping = {
            "type": "object",
            "properties": properties,
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        }
        return {"anyOf": [{"enum": [*self.options]}, mapping]}


def _without(schema: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in keys}


class Factory:
    """A default that is made anew for each instance."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make


def made_by(make: Callable[[], Any]) -> Any:
    """Return a default that is made anew for each instance, typed as the field is."""
    return Factory(make)
