"""The document: the top level of a spec, as a pydantic model, and the spec that is loaded from it.

What stands in `layers` is only known to be a list here; `archspec.plan` reads the steps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

from annotated_types import MinLen
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from archspec.diagnostics import (
    Diagnostic,
    Problem,
    Span,
    SpecError,
    UsageError,
    suggestion,
)
from archspec.element import Expect
from archspec.spec.expressions import Expression, is_expression
from archspec.spec.source import Source

Path: TypeAlias = tuple[str | int, ...]
"""Where a value stands in a document: keys and list indices from the top."""

Mapped: TypeAlias = dict[str, Any]
Steps: TypeAlias = Annotated[list[Any], MinLen(1)]

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
"""What a variable, a step, a block or a head may be called."""

RESERVED = frozenset({"input", "output", "index", "in"})
"""Names with a meaning of their own."""

ArgType = Literal["int", "float", "bool", "str", "list"]


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, defer_build=True, populate_by_name=True
    )


class Argument(_Section):
    """An argument of a block that the spec defines."""

    type: ArgType
    """int, float, bool, str or list."""
    default: Any = None
    """What it is when a step does not say; without one, a step must say."""
    about: str = ""
    """One line of help."""


class BlockDefinition(_Section):
    """A block that the spec defines. It is then a kind like any other."""

    about: str = ""
    """One line of help."""
    args: Mapped = Field(default_factory=dict)
    """Name to type (`int`), to default value (`3`), or to {type, default, about}."""
    layers: Steps
    """The steps; the arguments are variables in them."""


class Head(_Section):
    """An output beside the main one."""

    source: str | None = Field(default=None, alias="from")
    """The step it starts from; by default the last of `layers`."""
    loss_weight: float = 1.0
    """Weight of its loss in training; the main output's is 1."""
    when: bool | str = True
    """Whether the network has it: true, false, or an expression such as `=auxiliary`."""
    layers: Steps
    """The steps from there to the output."""


class Published(_Section):
    """What the literature says of a variant. `archspec check` proves it."""

    params: int | None = None
    """All parameters, trainable or not."""
    trainable: int | None = None
    """Trainable parameters."""
    non_trainable: int | None = None
    """Parameters that are not trained: moving statistics."""
    macs: int | None = None
    """Multiply-adds of convolutions and fully connected layers, one example."""
    weight_layers: int | None = None
    """Number of layers that have a kernel."""
    activations: int | None = None
    """Values of the forward pass, the input's included, one example."""
    stages: Mapped = Field(default_factory=dict)
    """Path of a step to its output shape, channels last."""
    source: str
    """Where it is said."""


class Document(_Section):
    """A spec as it is written."""

    name: str
    """What the network is called."""
    about: str = ""
    """What it is, and the paper it comes from."""
    input: Annotated[Annotated[list[Any], MinLen(2)] | None, Expect("a list of whole numbers")]
    """Extent of one example, channels last: [height, width, channels], or one or three axes."""
    vars: Mapped = Field(default_factory=dict)
    """Variables for expressions, `=name`; variants and `--set` may change them."""
    variants: dict[str, Mapped | None] = Field(default_factory=dict)
    """Members of the family: the variables (or `input`) in which each differs."""
    defaults: dict[str, Mapped] = Field(default_factory=dict)
    """Kind to arguments: what a step of that kind has unless it says otherwise, in blocks too."""
    blocks: dict[str, BlockDefinition] = Field(default_factory=dict)
    """Blocks of the spec's own."""
    layers: Steps
    """The steps, from the input to the main output."""
    heads: dict[str, Head] = Field(default_factory=dict)
    """Further outputs."""
    published: dict[str, Published] = Field(default_factory=dict)
    """What the literature says, by variant (or the spec's name), with its source."""
    expect: Mapped = Field(default_factory=dict)
    """Figure to what it must be: an exact value or a comparison such as `"< 5M"`."""
    budget: Mapped = Field(default_factory=dict)
    """Figure to the most it may be, such as `600M` or `40MB`."""
    train: Mapped = Field(default_factory=dict)
    """The recipe that `archspec fit` follows."""


_SECTIONS: dict[tuple[str, ...], type[_Section]] = {
    (): Document,
    ("blocks",): BlockDefinition,
    ("heads",): Head,
    ("published",): Published,
}
"""The model of the mapping under each key; one level of names stands between."""


class Validated(NamedTuple):
    """A document, and mistakes in it that do not keep its steps from being read."""

    document: Document
    found: tuple[Diagnostic, ...]


def validate(source: Source) -> Validated:
    """Check the document's own structure; raise `SpecError` where there are no steps to go on with.

    What is wrong beside the steps is left out of the document, so that the steps are checked too.
    """
    found = list(source.diagnostics)
    try:
        document = Document.model_validate(source.data)
    except ValidationError as error:
        found += _translate(source, error)
        try:
            document = Document.model_validate(_without(source.data, error))
        except ValidationError:
            raise spec_error(source, found) from None
    found += [problem.at(source.span(path, key=key)) for path, key, problem in _names(document)]
    return Validated(document, tuple(found))


def _without(data: Any, error: ValidationError) -> dict[str, Any]:
    """The data without what is wrong; a stand-in where something must be."""
    rest = dict(data)
    for item in error.errors(include_url=False, include_context=False):
        key = str(item["loc"][0]) if item["loc"] else ""
        if key in ("layers", ""):
            continue
        section = rest.pop(key, None)
        if len(item["loc"]) > 1 and isinstance(section, dict):
            rest[key] = {name: v for name, v in section.items() if name != item["loc"][1]}
    rest.setdefault("name", "unnamed")
    rest.setdefault("input", None)
    return rest


def spec_error(source: Source, found: list[Diagnostic]) -> SpecError:
    """All that was found, each once, in the order of the text."""
    unique = list(dict.fromkeys(found))
    unique.sort(key=lambda d: d.span or Span(0, 0, 0, 0))
    named = tuple(
        Diagnostic(d.code, d.message, d.span, d.notes, d.help, d.file or source.name)
        for d in unique
    )
    return SpecError(named, source.lines)


_WORDS = {
    "string_type": "a word",
    "dict_type": "a mapping of names to values",
    "model_type": "a mapping of names to values",
    "list_type": "a list",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "literal_error": "one of int, float, bool, str, list",
}


def _translate(source: Source, error: ValidationError) -> list[Diagnostic]:
    """Pydantic's findings in the language's own words."""
    found = []
    for item in error.errors(include_url=False, include_context=False):
        # A union's members stand in the location too; the user wrote no such key.
        path: Path = tuple(p for p in item["loc"] if not str(p).startswith(("list[", "none")))
        section = _SECTIONS[()] if len(path) == 1 else _SECTIONS.get((str(path[0]),), Document)
        shown = "/".join(map(str, path)) or "a spec"
        match item["type"]:
            case "extra_forbidden":
                problem = Problem(
                    "unknown-key",
                    f"`{path[-1]}` is not a key here",
                    help=suggestion(str(path[-1]), _keys(section), what="keys"),
                )
                found.append(problem.at(source.span(path, key=True)))
            case "missing":
                about = section.model_fields.get(str(path[-1]))
                example = {"input": "input: [224, 224, 3]", "name": "name: mynet"}
                problem = Problem(
                    "missing",
                    f"`{path[-1]}` is missing" + ("" if len(path) == 1 else f" in `{path[-2]}`"),
                    help=example.get(str(path[-1])) if about else None,
                )
                found.append(problem.at(source.span(path)))
            case "too_short":
                what = (
                    "`input` needs an extent for each spatial axis and the channels, "
                    "as [224, 224, 3]"
                    if path == ("input",)
                    else f"`{shown}` is empty"
                )
                found.append(Problem("value", what).at(source.span(path)))
            case kind:
                what = _WORDS.get(kind, "something else")
                problem = Problem("type", f"`{shown}` must be {what}")
                found.append(problem.at(source.span(path)))
    return found


def _keys(section: type[_Section]) -> list[str]:
    return [info.alias or name for name, info in section.model_fields.items()]


class _Found(NamedTuple):
    path: Path
    key: bool
    problem: Problem


def _names(document: Document) -> list[_Found]:
    """What names break the rules for names, and what refers to a name that is not there."""
    found = []

    def bad(path: Path, what: str) -> None:
        name = path[-1]
        if not NAME.fullmatch(str(name)):
            problem = Problem(
                "value",
                f"{what} cannot be called `{name}`",
                help="a name is a letter, then letters, digits and underscores",
            )
            found.append(_Found(path, True, problem))
        elif name in RESERVED:
            problem = Problem("value", f"`{name}` has a meaning of its own; {what} needs another")
            found.append(_Found(path, True, problem))

    for name in document.vars:
        bad(("vars", name), "a variable")
    for name in document.blocks:
        bad(("blocks", name), "a block")
    for name in document.heads:
        bad(("heads", name), "a head")
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,99}", document.name):
        problem = Problem(
            "value",
            f"a network cannot be called {document.name[:60]!r}",
            help="use letters, digits, `_`, `-` and `.`: the name becomes a folder's",
        )
        found.append(_Found(("name",), False, problem))
    known = (*document.vars, "input")
    for variant, values in document.variants.items():
        for name in values or {}:
            if name not in known:
                problem = Problem(
                    "unknown-name",
                    f"variant `{variant}` sets `{name}`, which is not a variable",
                    help=suggestion(name, known, what="variables"),
                )
                found.append(_Found(("variants", variant, name), True, problem))
    for name in document.published:
        members = tuple(document.variants) or (document.name,)
        if name not in members:
            problem = Problem(
                "unknown-name",
                f"`published` speaks of `{name}`, which is not a variant",
                help=suggestion(name, members, what="variants"),
            )
            found.append(_Found(("published", name), True, problem))
    return found


@dataclass(frozen=True)
class Spec:
    """A document with a variant chosen and variables set: one network.

    Make one with `archspec.load`. `overrides` are the values given from outside, as by `--set`.
    """

    document: Document
    source: Source = field(repr=False)
    variant: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    found: tuple[Diagnostic, ...] = ()
    """Mistakes beside the steps, which `expand` reports together with those in them."""

    @property
    def name(self) -> str:
        return self.variant or self.document.name

    @property
    def about(self) -> str:
        return self.document.about

    @property
    def train(self) -> Mapping[str, Any]:
        """The recipe as written, {} without one."""
        return self.document.train

    @property
    def published(self) -> Published | None:
        """What the literature says of this network as it is: nothing once variables are set."""
        return None if self.overrides else self.document.published.get(self.name)

    @cached_property
    def settings(self) -> dict[str, tuple[Any, Path | None]]:
        """Each variable, and `input`, with the value in force and where that stands."""
        document = self.document
        settings: dict[str, tuple[Any, Path | None]] = {"input": (document.input, ("input",))}
        settings |= {name: (value, ("vars", name)) for name, value in document.vars.items()}
        if self.variant is not None:
            changes = document.variants[self.variant] or {}
            for name, value in changes.items():
                settings[name] = (value, ("variants", self.variant, name))
        settings |= {name: (value, None) for name, value in self.overrides.items()}
        return settings

    def to_dict(self) -> dict[str, Any]:
        """The network as plain data, its variant and variables resolved: a spec of its own."""
        data = {k: v for k, v in self.source.data.items() if k not in {"variants", "published"}}
        data["name"] = self.name
        data["input"] = self.settings["input"][0]
        values = {name: value for name, (value, _) in self.settings.items() if name != "input"}
        if values:
            data["vars"] = values
        if self.published is not None:
            data["published"] = {self.name: self.source.data["published"][self.name]}
        return data


def choose(
    validated: Validated, source: Source, variant: str | None, overrides: Mapping[str, Any]
) -> Spec:
    """The spec of one variant; without a name, the one called like the family, or the first.

    Raises `UsageError` for a variant or a variable that the document does not have.
    """
    document, found = validated
    variants = document.variants
    if variant is None and variants:
        variant = document.name if document.name in variants else next(iter(variants))
    elif variant is not None and variant not in variants:
        hint = suggestion(variant, variants, what="variants")
        raise UsageError(f"{source.name} has no variant `{variant}`; {hint}")
    for name in overrides:
        if name != "input" and name not in document.vars:
            hint = suggestion(name, (*document.vars, "input"), what="variables")
            raise UsageError(f"{source.name} has no variable `{name}`; {hint}")
    return Spec(document, source, variant, dict(overrides), found)


def variables(spec: Spec) -> tuple[dict[str, Any], list[Diagnostic]]:
    """Every variable's value, and `input`, expressions evaluated; and what is wrong with them."""
    values: dict[str, Any] = {}
    found: list[Diagnostic] = []
    underway: list[str] = []
    failed: set[str] = set()

    def place(name: str) -> Span | None:
        path = spec.settings[name][1]
        return None if path is None else spec.source.span(path)

    def evaluate(template: Any) -> Any:
        if is_expression(template):
            expression = Expression.parse(template)
            for name in sorted(expression.names):
                resolve(name)
            if expression.inputs:
                raise Problem("expression", "`in` has no meaning in a variable")
            return expression.evaluate(values)
        if isinstance(template, (list, tuple)):
            return tuple(evaluate(item) for item in template)
        if isinstance(template, dict):
            raise Problem("type", "a variable is a number, a word, a truth value or a list")
        return template

    def resolve(name: str) -> None:
        if name in values or name not in spec.settings:
            return  # an unknown name is the expression's own complaint
        if name in failed:
            raise _AlreadyReported
        if name in underway:
            circle = " -> ".join([*underway[underway.index(name) :], name])
            raise Problem("circular", f"variables that need each other: {circle}")
        if len(underway) >= 50:
            raise Problem("limit", "variables that need more than 50 others, one after another")
        underway.append(name)
        try:
            values[name] = evaluate(spec.settings[name][0])
        except Problem as problem:
            failed.add(name)
            found.append(problem.at(place(name)))
            raise _AlreadyReported from None
        except _AlreadyReported:
            failed.add(name)
            raise
        finally:
            underway.pop()

    for name in spec.settings:
        try:
            resolve(name)
        except _AlreadyReported:
            continue
    return values, found


class _AlreadyReported(Exception):  # noqa: N818
    """A variable that needs a broken one: the broken one is what the user hears of."""
