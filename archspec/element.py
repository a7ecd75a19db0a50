"""The base of every kind of step: a declaration of its arguments, known by its `kind`.

Ops (primitives) and blocks (compositions) share this face, so that a spec, the help, the JSON
Schema, the reference pages and the tests read both in the same way.

Where declarations stand (here, in `ops`, `blocks`, `graph.graph`, `spec.document`), there is no
`from __future__ import annotations`, see `archspec.declare`.
"""

import ast
import inspect
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias, get_args, get_origin

from archspec.declare.declaration import Declaration, DeclarationError, Field
from archspec.declare.metadata import Chosen, Expect, InstanceOf, Instead
from archspec.errors import Mend, Portable, Problem, did_you_mean, nearest
from archspec.vocabulary import folded, key_hint, readings, value_meant

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

AnyField: TypeAlias = "Field | FieldInfo"
"""A field of a declaration, or of one of pydantic's own models."""

KINDS: dict[str, "type[Element]"] = {}
"""Every kind whose class has been imported."""


class Element(Declaration):
    """A kind of step: its fields are its arguments, its docstring is its help."""

    kind: ClassVar[str] = ""
    """The word a spec uses. Empty on the bases that are not kinds themselves."""

    main: ClassVar[str | None] = None
    """The field that `kind: scalar` sets."""

    most_inputs: ClassVar[int] = 1
    """Largest number of inputs of a step; a merge has two or more."""

    hints: ClassVar[dict[str, str]] = {}
    """Help for arguments that people write here by mistake; '' for one that needs no help."""

    def __init_subclass__(cls, *, kind: str = "", main: str | None = None, **config: Any) -> None:
        super().__init_subclass__(**config)
        cls.kind = kind
        if main is not None:
            cls.main = main
        if not kind:
            return
        known = KINDS.setdefault(kind, cls)
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ValueError(f"kind {kind!r} is defined by both {known!r} and {cls!r}")

    @property
    def word(self) -> str:
        """The word by which tables call it: its kind, or what stands for one."""
        return self.kind

    @property
    def label(self) -> str:
        """The layer's name as in a paper's table, such as CONV3-64."""
        return self.kind.upper()

    @classmethod
    def parse(cls, arguments: Mapping[str, Any]) -> Any:  # Self, which pydantic's plugin mangles
        """Build from plain data; raise `ArgumentProblems` in the language's own words."""
        arguments = {name: whole(value) for name, value in arguments.items()}
        try:
            return cls(**arguments)
        except DeclarationError as error:
            raise ArgumentProblems(cls._problems(error, arguments)) from None

    @classmethod
    def problems(
        cls, arguments: Mapping[str, Any], *, later: Collection[str]
    ) -> Mapping[str, Problem]:
        """Return what is wrong with some arguments, by name; those in `later` come later."""
        arguments = {name: whole(value) for name, value in arguments.items()}
        if cls.is_sure_of(arguments, later=later):
            return {}
        try:
            cls(**arguments)
        except DeclarationError as error:
            problems = cls._problems(error, arguments)
            unknown = {name for name in later if name not in arguments}
            return {name: problem for name, problem in problems.items() if name not in unknown}
        return {}

    @classmethod
    def _problems(cls, error: DeclarationError, arguments: Mapping[str, Any]) -> dict[str, Problem]:
        by_name: dict[str, list[Any]] = {}
        for item in error.errors:
            by_name.setdefault(str(item["loc"][0]), []).append(item)
        return {
            name: cls._problem(name, items, arguments.get(name)) for name, items in by_name.items()
        }

    @classmethod
    def _problem(cls, name: str, items: list[Any], value: object) -> Problem:
        """Return one problem for all of pydantic's errors of a field: a union has one a member."""
        match items[0]["type"]:
            case "missing":
                what = expectation(cls.model_fields[name])
                return Problem(
                    "missing", f"`{cls.kind}` needs `{name}`", help=f"`{name}` is {what}"
                )
            case "extra_forbidden":
                return unknown_argument(cls, name)
            case "value_error":
                message = items[0]["msg"].removeprefix("Value error, ")
                return Problem("value", f"`{name}` of `{cls.kind}`: {message}")
        code = wrong_code([item["type"] for item in items], value)
        info = cls.model_fields[name]
        if (problem := _wrong_arguments(info, value)) is not None:
            return problem
        message = f"`{name}` of `{cls.kind}` must be {expectation(info)}, not {show(value)}"
        return Problem(code, message, help=mend(info, value) or cls._listed(name, value))

    @classmethod
    def _listed(cls, name: str, value: object) -> str | None:
        """Return a help line for arguments in a list, as other tools take them in order."""
        others = [each for each in cls.model_fields if each != cls.main]
        if name != cls.main or not isinstance(value, list | tuple) or not others:
            return None
        return (
            f"the one value is `{name}`; several arguments are named, as "
            f"`{cls.kind}: {{{name}: ..., {others[0]}: ...}}`"
        )


class ArgumentProblems(Portable):
    """The problems of an element's arguments, by the name of each."""

    def __init__(self, problems: dict[str, Problem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems.values()))
        self.problems = problems


def _takes_arguments(info: AnyField) -> bool:
    """Return whether a field takes names with arguments, as `{leaky_relu: 0.1}`."""
    return any(isinstance(part, Chosen) for part in _metadata(info))


def is_choice(cls: type[Element], data: Mapping[Any, Any]) -> bool:
    """Return whether the mapping after `kind:` is the main argument: a name with arguments."""
    if cls.main not in choice_arguments(cls) or len(data) != 1:
        return False
    (name,) = data
    parts = _metadata(cls.model_fields[cls.main])
    return name not in cls.model_fields and any(
        name in part.options for part in parts if isinstance(part, Chosen)
    )


def unknown_argument(cls: type[Element], name: str) -> Problem:
    """Return the problem of an argument that `cls` does not have."""
    return Problem(
        "unknown-key",
        f"`{cls.kind}` has no argument `{name}`",
        help=cls.hints.get(name)
        or key_hint(name, cls.model_fields, what=f"arguments of `{cls.kind}`"),
    )


def _wrong_arguments(info: AnyField, value: object) -> Problem | None:
    """Return the problem of the arguments of a name that a field takes; None for other values."""
    for part in _metadata(info):
        found = part.arguments(value) if isinstance(part, Chosen) else None
        if found is not None:
            name, given = found
            cls = part.options[name]
            if isinstance(cls, str):
                return None
            unnamed = next((key for key in given if not isinstance(key, str)), None)
            if unnamed is not None:
                return unknown_argument(cls, str(unnamed))
            return next(iter(cls.problems(given, later=()).values()), None)
    return None


def mend(info: AnyField, value: object) -> str | None:
    """Return a help line for a wrong value: the right one that was probably meant."""
    words = _names(info)
    if isinstance(value, dict) and _takes_arguments(info):
        return _mend_choice(info, value, words)
    if isinstance(value, bool) and words:
        return Mend(f"name it, as `{words[0]}`", words[0])
    if isinstance(value, str):
        note = _notes(info).get(folded(value))
        if note:
            return note
        match = value_meant(value, words) or nearest(value, words) or nearest(folded(value), words)
        if match:
            return did_you_mean(match, value)
    for reading in (*readings(value), *_choices_meant(info, value, words)):
        if accepts(info, reading):
            return did_you_mean(reading if isinstance(reading, str) else show(reading))
    if not isinstance(value, str) and "" in _notes(info):
        return _notes(info)[""]
    near = max(int(value), 1) if isinstance(value, float) and isfinite(value) else None
    if near and accepts(info, near) and not accepts(info, near - 0.5):
        return "`=int(...)`, `=round(...)` and `=divisible(..., 8)` give whole numbers"
    return f"names: {', '.join(words)}" if _takes_arguments(info) else None


def _mend_choice(info: AnyField, value: Mapping[Any, Any], words: list[str]) -> str | None:
    """Return a help line for a mapping that should be a name with its arguments."""
    for reading in _choices_meant(info, value, words):
        if accepts(info, reading):
            return did_you_mean(show(reading))
    if len(value) != 1:
        return "it is one name alone, with its arguments" if value else None
    name = str(next(iter(value)))
    if name in words:
        return Mend(f"`{name}` has no arguments: write `{name}`", name)
    match = value_meant(name, words) or nearest(name, words) or nearest(folded(name), words)
    listed = f"names: {', '.join(words)}"
    return _notes(info).get(folded(name)) or (did_you_mean(match, name) if match else listed)


def _choices_meant(info: AnyField, value: object, words: list[str]) -> Iterator[object]:
    """Yield a name with its arguments that was written as in other tools.

    These are a call, `leaky_relu(0.1)`, a list, `[leaky_relu, 0.1]`, and a mapping whose values
    hold the name, `{type: leaky_relu, slope: 0.1}`.
    """
    if not _takes_arguments(info):
        return
    if isinstance(value, str) and (call := re.fullmatch(r"(\w+)\(([^()]*)\)", value)):
        yield from ({call[1]: argument} for argument in readings(call[2]))
    elif isinstance(value, list | tuple) and len(value) == 2 and isinstance(value[0], str):
        yield {value[0]: value[1]}
    elif isinstance(value, dict) and len(value) > 1:
        named = [key for key, given in value.items() if given in words]
        if len(named) == 1:
            yield {value[named[0]]: {key: given for key, given in value.items() if key != named[0]}}


def accepts(info: AnyField, value: object) -> bool:
    """Return whether a field takes a value of plain data."""
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415  (only for what is wrong)

    annotation: Any = Annotated[(info.annotation, *info.metadata, Expect(""))]
    try:
        TypeAdapter(annotation).validate_python(_frozen(whole(value)), strict=True)
    except ValidationError:
        return False
    return True


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


def whole(value: Any) -> Any:
    """Return the value with an int for each float that is a whole number; also within lists.

    A computed count such as `16 * 0.5` is a float. Beyond 2^53, where a float cannot represent
    every whole number, it is left as it is.
    """
    if isinstance(value, float):
        return int(value) if abs(value) <= 2**53 and value.is_integer() else value
    return tuple(map(whole, value)) if isinstance(value, tuple) else value


def wrong_code(errors: Iterable[str], value: object) -> str:
    """Return the code for a value: of the wrong type, or of the right one but not allowed.

    `errors` are pydantic's names for what is wrong with it.
    """
    outside = {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "rule"}
    if isinstance(value, str):
        outside.add("literal_error")
    return "value" if outside.intersection(errors) else "type"


def expectation(info: AnyField) -> str:
    """Return in words what a field's right values are."""
    for item in info.metadata:
        if isinstance(item, Expect):
            return item.text
    return _words(info.annotation)


def _words(annotation: Any) -> str:
    """Return words for an annotation without `Expect`, such as Literal, bool and unions."""
    for item in getattr(annotation, "__metadata__", ()):
        if isinstance(item, Expect):
            return item.text
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(str(value) for value in get_args(annotation))
    plain = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
    if annotation in plain:
        return plain[annotation]
    if annotation is type(None):
        return "null"
    container = get_origin(annotation) or annotation
    if container in (list, tuple):
        item = _words(get_args(annotation)[0])
        return "a list" if item == "a value" else f"a list, each item {item}"
    if container is dict or hasattr(container, "model_fields"):
        return "a mapping"
    if container is Annotated:
        return _words(get_args(annotation)[0])
    if get_args(annotation):  # a union
        return " or ".join(_words(part) for part in get_args(annotation))
    return "a value"


def _notes(info: AnyField) -> Mapping[str, str]:
    """Return the help lines of a field's type for words that it does not take."""
    return {
        word: note
        for part in _metadata(info)
        if isinstance(part, Instead)
        for word, note in part.notes.items()
    }


def _metadata(info: AnyField) -> Iterator[Any]:
    """Yield all metadata of a field, with those of a union's members."""
    yield from info.metadata
    parts = [info.annotation]
    for part in parts:
        yield from getattr(part, "__metadata__", ())
        parts += get_args(part)


@lru_cache(maxsize=256)
def step_arguments(cls: type[Element]) -> frozenset[str]:
    """Return the arguments of a kind whose value is itself a step, such as `gate`."""
    return _arguments_with(cls, InstanceOf)


@lru_cache(maxsize=256)
def choice_arguments(cls: type[Element]) -> frozenset[str]:
    """Return the arguments of a kind that take names with arguments, as `{leaky_relu: 0.1}`."""
    return _arguments_with(cls, Chosen)


def _arguments_with(cls: type[Element], metadata: type) -> frozenset[str]:
    return frozenset(
        name
        for name, info in cls.model_fields.items()
        if any(isinstance(part, metadata) for part in _metadata(info))
    )


def _names(info: AnyField) -> list[str]:
    """Return the words that a field allows, also those that may have arguments."""
    chosen = [part for part in _metadata(info) if isinstance(part, Chosen)]
    return [*_literals(info.annotation), *(name for part in chosen for name in part.options)]


def _literals(annotation: Any) -> list[str]:
    """Return the words that an annotation allows."""
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    return [word for part in get_args(annotation) for word in _literals(part)]


def show(value: object) -> str:
    """Return a value as the user wrote it, shortened."""
    import json  # noqa: PLC0415  (mostly of a value that is wrong)

    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def summary(cls: type[Element]) -> str:
    """Return the first line of a kind's help."""
    return (inspect.getdoc(cls) or "").partition("\n")[0]


def field_docs(cls: "type[Declaration | BaseModel]") -> dict[str, str]:
    """Return each field's own docstring, the string below it in the class body.

    Read from the source on demand, because only the help, the schema and the reference need it.
    A class without a source file, as one typed into a console, has no field docs.
    """
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.partition(".")[0] in ("builtins", "pydantic"):
            continue
        try:
            source = inspect.getsource(sys.modules[base.__module__])
        except (KeyError, OSError, TypeError):
            continue
        docs.update(_docs_by_class(source).get(base.__qualname__, {}))
    return {name: docs[name] for name in cls.model_fields if name in docs}


@lru_cache(maxsize=256)
def _docs_by_class(source: str) -> dict[str, dict[str, str]]:
    """Return the docstrings of fields of every class in a module, parsed once for all of them."""
    try:
        inside: list[tuple[str, ast.AST]] = [("", ast.parse(source))]
    except SyntaxError:
        return {}
    docs: dict[str, dict[str, str]] = {}
    for prefix, outer in inside:
        body = getattr(outer, "body", [])
        for each in body:
            if isinstance(each, ast.ClassDef | ast.FunctionDef):
                scope = "" if isinstance(each, ast.ClassDef) else "<locals>."
                inside.append((f"{prefix}{each.name}.{scope}", each))
        docs[prefix.removesuffix(".")] = {
            statement.target.id: inspect.cleandoc(following.value.value)
            for statement, following in pairwise(body)
            if isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
            and isinstance(following.value.value, str)
        }
    return docs
