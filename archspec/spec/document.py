"""The document: the top level of a spec, as declarations, and the spec that is loaded from it.

What stands in `layers` is only known to be a list here; `archspec.compile.plan` reads the steps.
"""

import keyword
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias, get_args

from archspec.declare.declaration import REQUIRED, Declaration, DeclarationError, Field
from archspec.declare.metadata import Bounds, Converted, Expect, Key, MinLength, made_by
from archspec.display import Displayed
from archspec.element import AnyField, expectation, mend, show, whole, wrong_code
from archspec.errors import (
    Diagnostic,
    KeyPath,
    Mend,
    Problem,
    UsageError,
    did_you_mean,
    nearest,
    suggestion,
)
from archspec.spec.expressions import Expression, is_expression
from archspec.spec.findings import Findings, spec_error
from archspec.spec.operations import MAX_ITEMS
from archspec.spec.source import MAX_NESTING, Source
from archspec.vocabulary import key_hint, key_meant, readings

Mapped: TypeAlias = dict[str, Any]
Steps: TypeAlias = Annotated[list[Any], MinLength(1)]

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
"""The names that a variable, a step, a block or a head may have."""

RESERVED = frozenset({"input", "output", "index", "in"})
"""Names that already have a meaning in specs."""

Total: TypeAlias = Annotated[
    Annotated[int, Converted(whole)] | None, Expect("a whole number or null")
]

RECIPE_KEYS = frozenset(
    [
        *("augment", "batch", "callbacks", "class_weights", "data", "deterministic", "devices"),
        *("epochs", "jit", "loss", "metrics", "optimizer", "precision", "schedule", "seed"),
        *("steps_per_execution", "tensorboard", "transfer", "warmup", "watch_units"),
    ]
)
"""The keys of `train`, known before the recipe is read."""

ArgType = Literal["int", "float", "bool", "str", "list"]

Tag = Literal[
    "classification",
    "detection",
    "segmentation",
    "generation",
    "matching",
    "sequence",
    "video",
    "mobile",
    "attention",
    "example",
]
"""Tasks, kinds of data and properties by which networks are listed.

`matching` compares inputs, as a Siamese network does; `sequence` is for text and sound; `mobile` is
made for small devices; `example` makes a point of a lecture.
"""


class Argument(Declaration):
    """An argument of a block that the spec defines."""

    type: ArgType
    """int, float, bool, str or list."""
    default: Any = None
    """The value if a step gives none; without a default, a step must give one."""
    about: str = ""
    """One line of help."""


class BlockDefinition(Declaration):
    """A block that the spec defines. It is then a kind like any other."""

    about: str = ""
    """One line of help."""
    args: Mapped = made_by(dict)
    """Name to type (`int`), to default value (`3`), or to {type, default, about}."""
    layers: Steps
    """The steps; the arguments are variables in them."""


class Head(Declaration):
    """An output beside the main one."""

    source: Annotated[str | None, Key("from")] = None
    """The step it starts from; by default the last of `layers`."""
    loss_weight: Annotated[float, Bounds(ge=0), Expect("a number from 0")] = 1.0
    """Weight of its loss in training; the main output's is 1."""
    when: Annotated[bool | str, Expect("true, false or an expression")] = True
    """Whether the network has it: true, false, or an expression such as `=auxiliary`."""
    layers: Steps
    """The steps from there to the output."""


class Published(Declaration):
    """Figures of a variant from the literature. `archspec check` proves them."""

    params: Total = None
    """All parameters, trainable or not."""
    trainable: Total = None
    """Trainable parameters."""
    non_trainable: Total = None
    """Parameters that are not trained: moving statistics."""
    macs: Total = None
    """Multiply-adds of convolutions and fully connected layers, one example."""
    weight_layers: Total = None
    """Number of layers that have a kernel."""
    activations: Total = None
    """Values of the forward pass, with the input's, for one example."""
    stages: Mapped = made_by(dict)
    """Path of a step to its output shape, channels last."""
    source: str
    """The paper or page that the figures are from."""


class Document(Declaration):
    """A spec as it is written."""

    name: str
    """The network's name."""
    about: str = ""
    """A line about the network, with its paper."""
    tags: list[Tag] = made_by(list)
    """Tasks and properties by which `archspec list --tag` finds the network."""
    history: str = ""
    """A line about the ideas of earlier networks that it carries on."""
    input: Annotated[Annotated[list[Any], MinLength(2)] | None, Expect("a list of whole numbers")]
    """Shape of one example, channels last: [height, width, channels], or one or three axes."""
    vars: Mapped = made_by(dict)
    """Variables for expressions, `=name`; variants and values from outside may change them."""
    variants: dict[str, Mapped | None] = made_by(dict)
    """Members of the family: the variables (or `input`) in which each differs."""
    defaults: dict[str, Mapped] = made_by(dict)
    """Arguments by kind: what a step of that kind has unless it gives its own, in blocks too."""
    blocks: dict[str, BlockDefinition] = made_by(dict)
    """Blocks of the spec's own."""
    layers: Steps
    """The steps, from the input to the main output."""
    heads: dict[str, Head] = made_by(dict)
    """Further outputs."""
    published: dict[str, Published] = made_by(dict)
    """Figures from the literature and their source, by variant (or the spec's name)."""
    expect: Mapped = made_by(dict)
    """Figures that the network must have: exact values, or comparisons such as `"< 5M"`."""
    budget: Mapped = made_by(dict)
    """The most that figures may be, such as `600M` or `40MB`."""
    train: Mapped = made_by(dict)
    """The recipe that `archspec fit` follows."""


_SECTIONS: dict[KeyPath, type[Declaration]] = {
    ("blocks",): BlockDefinition,
    ("heads",): Head,
    ("published",): Published,
}
"""The declaration of the mappings under each key, below a level of names."""


class Validated(NamedTuple):
    """A document, and mistakes in it despite which its steps can be read."""

    document: Document
    diagnostics: tuple[Diagnostic, ...]
    lost: frozenset[KeyPath] = frozenset()
    """Places that steps may refer to, and that are left out because they are wrong."""


def validate(source: Source) -> Validated:
    """Check the document's own structure; raise `SpecError` where there are no steps to go on with.

    What is wrong beside the steps is left out of the document, so that the steps are checked too.
    """
    findings = Findings(source, source.diagnostics)
    lost: frozenset[KeyPath] = frozenset()
    try:
        document = Document.model_validate(source.data)
    except DeclarationError as error:
        _translate(findings, error)
        rest, lost = _without(source.data, error)
        try:
            document = Document.model_validate(rest)
        except DeclarationError:
            raise findings.error() from None
    _check_names(findings, document, lost)
    return Validated(document, tuple(findings.diagnostics), lost - {("name",)})


def _without(data: Any, error: DeclarationError) -> tuple[dict[str, Any], frozenset[KeyPath]]:
    """Return the data without its mistakes, and the places that were left out.

    A required key gets a stand-in.
    """
    rest = dict(data)
    lost: set[KeyPath] = set()
    for item in error.errors:
        key, *below = item["loc"]
        section = rest.get(str(key))
        if below and isinstance(section, dict):
            without = {name: value for name, value in section.items() if name != below[0]}
            # A variant must be there to be chosen, even if it changes nothing now.
            rest[str(key)] = without | ({below[0]: None} if key == "variants" else {})
        else:
            below = []
            rest.pop(str(key), None)
        if key in ("name", "vars", "variants", "defaults", "blocks"):
            lost.add((str(key), *map(str, below[:1])))
    rest.setdefault("name", "unnamed")
    rest.setdefault("input", None)
    return rest, frozenset(lost)


def _translate(findings: Findings, error: DeclarationError) -> None:
    """Report pydantic's errors in the language's own words."""
    items = error.errors
    misspelt = _misspelt(item["loc"] for item in items if item["type"] == "extra_forbidden")
    for item in items:
        if item["type"] == "missing" and item["loc"] in misspelt:
            continue
        path = _written(findings.source.data, item["loc"], missing=item["type"] == "missing")
        name = str(path[-1]) if path else ""
        section = _section(path[:-1])
        shown = "/".join(map(str, path))
        match item["type"]:
            case "extra_forbidden":
                keys = [info.alias or key for key, info in section.model_fields.items()]
                hint = key_hint(name, keys, what="keys")
                if section is Document:
                    hint = _of_training(name) or hint
                problem = Problem("unknown-key", f"`{name}` is not a key here", help=hint)
                findings.report(problem, path, key=True)
            case "missing":
                where = f" in `{'/'.join(map(str, path[:-1]))}`" if path[:-1] else ""
                help_ = _EXAMPLES.get(name)
                findings.report(Problem("missing", f"`{name}` is missing{where}", help=help_), path)
            case "too_short":
                what = "too short" if item["input"] else "empty"
                help_ = _EXAMPLES.get(name)
                findings.report(Problem("value", f"`{shown}` is {what}", help=help_), path)
            case kind:
                info = _field(path)
                what = expectation(info) if info else "a mapping"
                message = f"`{shown}` must be {what}, not {show(item['input'])}"
                code = wrong_code([kind], item["input"])
                help_ = _help(name, item["input"]) or (mend(info, item["input"]) if info else None)
                findings.report(Problem(code, message, help=help_), path)


def _field(path: KeyPath) -> "AnyField | None":
    """Return the declaration of the value at a path: a field, or an item of a field's list."""
    *outer, name = path
    if isinstance(name, int):
        (item,) = get_args(Document.model_fields[str(path[0])].annotation)
        return Field(item, REQUIRED)
    if len(outer) == 1:
        return None
    return _section(tuple(outer)).model_fields.get("source" if name == "from" else str(name))


def _of_training(key: str) -> str | None:
    """Return a help line for a key of `train`, or another tool's word for one, at the top level."""
    if key == "learning_rate":
        return "it is the optimizer's: `train: {optimizer: {adam: {learning_rate: ...}}}`"
    ours = key if key in RECIPE_KEYS else key_meant(key, RECIPE_KEYS)
    return f"it belongs to the recipe: `train: {{{ours}: ...}}`" if ours else None


def _help(name: str, value: Any) -> str | None:
    """Return a help line for a value of the wrong type."""
    if name == "layers" and isinstance(value, dict):
        return "begin each step with a dash, as `- conv: 64`"
    for reading in readings(value):
        if name == "input" and isinstance(reading, list):
            return did_you_mean(show(reading))
    return _EXAMPLES.get(name)


def _misspelt(places: Iterable[KeyPath]) -> set[KeyPath]:
    """Return the keys that misspelt ones probably mean, which are not missing then."""
    meant: set[KeyPath] = set()
    for *path, name in places:
        keys = [info.alias or key for key, info in _section(tuple(path)).model_fields.items()]
        key = key_meant(str(name), keys) or nearest(str(name), keys)
        if key:
            meant.add((*path, key))
    return meant


def _section(path: KeyPath) -> type[Declaration]:
    """Return the declaration of the mapping at a path."""
    return _SECTIONS[path[:1]] if len(path) > 1 else Document


_EXAMPLES = {
    "name": "as `name: mynet`",
    "input": "as `input: [224, 224, 3]`: one to three spatial axes, then the channels",
    "layers": "as `layers: [conv: 64, flatten, fc: 10]`: a list with at least one step",
    "tags": "as `tags: [classification]`",
    "source": "say where the figures are from, as `source: table 1`",
}
"""An example of a right value, by the key."""


def _written(data: Any, location: KeyPath, *, missing: bool) -> KeyPath:
    """Return pydantic's location without what the user did not write: a union's members."""
    path: KeyPath = ()
    for part in location:
        item = isinstance(data, list) and isinstance(part, int)
        if item or (isinstance(data, dict) and part in data):
            path, data = (*path, part), data[part]
    return (*path, location[-1]) if missing else path


def _check_names(findings: Findings, document: Document, lost: frozenset[KeyPath]) -> None:
    """Report names that break the rules for names, and references to what is not there."""
    sections = {"vars": "a variable", "blocks": "a block", "heads": "a head"}
    for section, what in sections.items():
        for name in getattr(document, section):
            problem = name_problem(name, what, variable=section == "vars")
            if problem:
                findings.report(problem, (section, name), key=True)
    networks: list[tuple[str, KeyPath]] = [(document.name, ("name",))]
    networks += [(variant, ("variants", variant)) for variant in document.variants]
    for name, path in networks:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", name):
            message = f"a network cannot be called {show(name)}"
            help_ = "use letters, digits, `_`, `-` and `.`: the name becomes a folder's"
            findings.report(Problem("value", message, help=help_), path, key=len(path) > 1)
    known = (*document.vars, "input")
    for variant, values in document.variants.items():
        for name in values or {}:
            if name not in known and ("vars",) not in lost:
                message = f"variant `{variant}` sets `{name}`, which is not a variable"
                hint = suggestion(name, known, what="variables")
                problem = Problem("unknown-name", message, help=hint)
                findings.report(problem, ("variants", variant, name), key=True)
    members = tuple(document.variants) or (document.name,)
    for name in document.published:
        if name not in members and lost.isdisjoint([("name",), ("variants",)]):
            message = f"`published` names `{name}`, which is not a variant"
            hint = suggestion(name, members, what="variants")
            problem = Problem("unknown-name", message, help=hint)
            findings.report(problem, ("published", name), key=True)


def name_problem(name: object, what: str, *, variable: bool = False) -> Problem | None:
    """Return the problem of a name for a step, a variable or the like; None if it is right."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        help_ = "a name is a letter, then at most 63 letters, digits and underscores"
        if isinstance(name, str) and name.isascii():
            tidy = re.sub(r"[^A-Za-z0-9]+", "_", name[:80]).strip("_")
            help_ = Mend(f"{help_}, as `{tidy}`", tidy, name) if NAME.fullmatch(tidy) else help_
        return Problem("value", f"{what} cannot be called {show(name)}", help=help_)
    if name in RESERVED or (variable and name.lower() in _WORDS_OF_EXPRESSIONS):
        return Problem("value", f"`{name}` is a reserved word; choose another name")
    return None


_WORDS_OF_EXPRESSIONS = {*map(str.lower, keyword.kwlist), "null"}
"""Names that an expression cannot use, because Python's parser reads it."""


@dataclass(frozen=True)
class Spec(Displayed):
    """A document with a variant chosen and variables set: one network.

    Make one with `archspec.load`. `overrides` are the values given from outside, as to `load`.
    """

    RENDERER = "spec"

    document: Document
    source: Source = field(repr=False)
    variant: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    inference: bool = False
    """Whether the heads, which only help to train, are left out."""
    diagnostics: tuple[Diagnostic, ...] = ()
    """Mistakes outside the steps, which `expand` reports together with those in them."""
    lost: frozenset[KeyPath] = frozenset()
    """Places that are not in the document because of such a mistake."""

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
        """The figures from the literature; None for a network that was changed from outside."""
        changed = self.overrides or (self.inference and self.document.heads)
        return None if changed else self.document.published.get(self.name)

    @cached_property
    def settings(self) -> dict[str, tuple[Any, KeyPath | None]]:
        """Each variable, and `input`, with the value in force and where that stands."""
        document = self.document
        settings: dict[str, tuple[Any, KeyPath | None]] = {"input": (document.input, ("input",))}
        settings |= {name: (value, ("vars", name)) for name, value in document.vars.items()}
        if self.variant is not None:
            changes = document.variants[self.variant] or {}
            for name, value in changes.items():
                settings[name] = (value, ("variants", self.variant, name))
        settings |= {name: (value, None) for name, value in self.overrides.items()}
        return settings

    def to_dict(self) -> dict[str, Any]:
        """Return the network as plain data, variant and variables resolved: a complete spec."""
        dropped = {"variants", "published"}
        data = {k: v for k, v in self.source.data.items() if k not in dropped}
        if self.inference and "heads" in data:
            data["heads"] = {name: head | {"when": False} for name, head in data["heads"].items()}
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
    """Return one variant's spec; without a name, the family's namesake, or the first.

    Raises:
        UsageError: If the document has no such variant or variable.
    """
    document, diagnostics, lost = validated
    variants = document.variants
    if (variant is not None and ("variants",) in lost) or (overrides and ("vars",) in lost):
        raise spec_error(source, diagnostics)
    if variant is None and variants:
        variant = document.name if document.name in variants else next(iter(variants))
    elif variant is not None and variant not in variants:
        hint = suggestion(variant, variants, what="variants")
        raise UsageError(f"{source.name} has no variant `{variant}`; {hint}")
    for name in overrides:
        if name != "input" and name not in document.vars:
            hint = suggestion(name, (*document.vars, "input"), what="variables")
            if name == "variant" and variants:
                hint = (
                    f"a variant is named with the spec, as `{document.name}:{next(iter(variants))}`"
                )
            raise UsageError(f"{source.name} has no variable `{name}`; {hint}")
    given = {name: _given(name, value, document.vars) for name, value in overrides.items()}
    return Spec(document, source, variant, given, diagnostics=diagnostics, lost=lost)


def _given(name: str, value: Any, known: Mapped, depth: int = 0) -> Any:
    """Return a value given from outside as plain data; raise `UsageError` if it is none."""
    if isinstance(value, (list, tuple)) and len(value) <= MAX_ITEMS and depth < MAX_NESTING:
        return [_given(name, item, known, depth + 1) for item in value]
    if is_expression(value):
        try:
            expression = Expression.parse(value)
        except Problem as problem:
            raise UsageError(f"`{name}` cannot be set to `{value}`: {problem.message}") from None
        unknown = sorted(expression.names.difference(known))
        if unknown or expression.inputs:
            missing = "in" if expression.inputs else unknown[0]
            raise UsageError(f"`{name}` cannot be set to `{value}`: there is no `{missing}`")
    elif not isinstance(value, (bool, int, float, str, type(None))):
        raise UsageError(
            f"`{name}` cannot be set to a value of type {type(value).__name__}: "
            f"a variable is a number, a word, a truth value or a list of at most {MAX_ITEMS:,}"
        )
    return value
