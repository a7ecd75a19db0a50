"""The document: the top level of a spec, as declarations, and the spec that is loaded from it.

What stands in `layers` is only known to be a list here; `archspec.compile.plan` reads the steps.
"""

import keyword
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
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
from archspec.spec.located import MAX_NESTING
from archspec.spec.operations import MAX_ITEMS, has_arguments
from archspec.spec.source import Source
from archspec.vocabulary import key_hint, key_meant, readings

Mapped: TypeAlias = dict[str, Any]
Steps: TypeAlias = Annotated[list[Any], MinLength(1)]

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
"""The names that a variable, a step, a block or a head may have."""

RESERVED = frozenset({"input", "output", "index", "in"})
"""Names that already have a meaning in specs."""

INPUT_KEYS = ("input", "inputs")
"""The two keys of which a spec has one: the shape of its input, or the shapes of several."""

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

ArgType = Literal["int", "float", "bool", "str", "list", "activation"]

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

    type: ArgType | None = None
    """int, float, bool, str, list or activation; by default that of the default."""
    default: Any = None
    """The value if a step gives none, which may be computed from other arguments; without a
    default, a step must give one."""
    about: str = ""
    """One line of help."""


class BlockDefinition(Declaration):
    """A block that the spec defines. It is then a kind like any other."""

    about: str = ""
    """One line of help."""
    args: Mapped = made_by(dict)
    """Name to type (`int`), to default value (`3`), or to {type, default, about}. The first is the
    main one: `my_block: 64` sets it."""
    inputs: Annotated[list[Any], Expect("a list of names")] = made_by(list)
    """Names of the inputs, where there are several; the steps start from the first."""
    let: Mapped = made_by(dict)
    """Names with values for the steps, computed at each use."""
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
    """The steps from there to the output, at least one: `[activation: linear]` puts out a step as
    it is."""


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
    connections: Total = None
    """Weighted inputs and biases of all outputs, as LeCun et al. 1998 count them."""
    weight_layers: Total = None
    """Number of layers that have a kernel."""
    activations: Total = None
    """Values of the forward pass, with the input's, for one example."""
    stages: Mapped = made_by(dict)
    """Path of a step to its output shape, channels last."""
    at: Annotated[str | int | None, Expect("a size such as 512x768")] = None
    """Size of an open input at which the figures hold, such as 512x768."""
    source: str
    """The paper or page that the figures are from."""


class Document(Declaration):
    """A spec as it is written."""

    name: str
    """The network's name."""
    about: str = ""
    """A line about the network, with its paper."""
    tags: list[Tag] = made_by(list)
    """Tasks and properties of the network, by which lists of networks are narrowed."""
    history: str = ""
    """A line about the ideas of earlier networks that it carries on."""
    input: Annotated[
        Annotated[list[Any], MinLength(1)] | None, Expect("a list of whole numbers")
    ] = None
    """Shape of one example, channels last: [height, width, channels], one or three axes and the
    channels, or [values] for a vector. A spatial axis of any size is `null`, or `multiple of 32`:
    what depends on it is then a formula, which `at` evaluates, as `at="512x768"`."""
    inputs: dict[str, Annotated[list[Any], MinLength(1)]] = made_by(dict)
    """Shapes of several inputs by name, instead of `input`; `layers` begins at the first."""
    vars: Mapped = made_by(dict)
    """Variables for expressions, `=name`; variants and values from outside may change them."""
    variants: dict[str, Mapped | None] = made_by(dict)
    """Members of the family: the variables (or `input`, `inputs`) in which each differs."""
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
    search: Mapped = made_by(dict)
    """Values of variables among which `archspec search` looks, beside those of `vars`: a list, or
    `{range: [8, 64], step: 8}`; `input` and `variant` too."""
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
    if isinstance(source.data, dict):
        _check_inputs(findings, source.data)
    try:
        document = Document.model_validate(source.data)
    except DeclarationError as error:
        _translate(findings, error)
        rest, lost = _without(source.data, error)
        try:
            document = Document.model_validate(rest)
        except DeclarationError:
            raise findings.error() from None
    wrong = _check_inputs_of_variants(findings, document)
    if wrong or ("input" not in source.data and not document.inputs):
        lost |= {("inputs",)}
    _check_names(findings, document, lost)
    if document.search:
        _check_search(findings, document, lost)
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
        if key in ("name", "inputs", "vars", "variants", "defaults", "blocks"):
            lost.add((str(key), *map(str, below[:1])))
    rest.setdefault("name", "unnamed")
    return rest, frozenset(lost)


def _translate(findings: Findings, error: DeclarationError) -> None:
    """Report pydantic's errors in the language's own words."""
    items = error.errors
    misspelt: set[KeyPath] = set()
    if any(item["type"] == "missing" for item in items):
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
                if path[0] == "heads":
                    help_ = "`layers: [activation: linear]` puts out a step as it is"
                findings.report(Problem("value", f"`{shown}` is {what}", help=help_), path)
            case kind:
                info = _field(path)
                what = expectation(info) if info else "a mapping"
                message = f"`{shown}` must be {what}, not {show(item['input'])}"
                code = wrong_code([kind], item["input"])
                help_ = _help(path, item["input"]) or (mend(info, item["input"]) if info else None)
                findings.report(Problem(code, message, help=help_), path)


def _field(path: KeyPath) -> "AnyField | None":
    """Return the declaration of the value at a path: a field, or an item of a field's list."""
    *outer, name = path
    if isinstance(name, int):
        (item,) = get_args(Document.model_fields[str(path[0])].annotation)
        return Field(item, REQUIRED)
    if outer == ["inputs"]:
        return Document.model_fields["input"]
    if len(outer) == 1:
        return None
    return _section(tuple(outer)).model_fields.get("source" if name == "from" else str(name))


def _of_training(key: str) -> str | None:
    """Return a help line for a key of `train`, or another tool's word for one, at the top level."""
    if key == "learning_rate":
        return "it is the optimizer's: `train: {optimizer: {adam: {learning_rate: ...}}}`"
    ours = key if key in RECIPE_KEYS else key_meant(key, RECIPE_KEYS)
    return f"it belongs to the recipe: `train: {{{ours}: ...}}`" if ours else None


def _help(path: KeyPath, value: Any) -> str | None:
    """Return a help line for a value of the wrong type."""
    name = str(path[-1])
    if path == ("inputs",):
        return _meant_inputs(value)
    if path[:1] == ("blocks",) and name == "inputs":
        return "as `inputs: [skip, below]`"
    if path[:-1] == ("inputs",):
        name = "input"
    if name == "layers" and isinstance(value, dict):
        return "begin each step with a dash, as `- conv: 64`"
    if path[0] == "heads" and len(path) <= 2:
        return _EXAMPLES["heads"]
    if name == "input" and type(value) is int:
        return f"one vector is `input: [{value}]`, an image `input: [height, width, channels]`"
    for reading in readings(value):
        if name == "input" and isinstance(reading, list):
            return did_you_mean(show(reading))
    return _EXAMPLES.get(name)


def _meant_inputs(value: Any) -> str:
    """Return a help line for a value of `inputs` that is not a mapping."""
    if isinstance(value, list) and any(isinstance(extent, int) for extent in value):
        return f"one input needs no name: `input: {show(value)}`"
    return _EXAMPLES["inputs"]


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
    "input": "as `input: [224, 224, 3]`: up to three spatial axes, then the channels",
    "inputs": "as `inputs: {left: [64, 64, 3], right: [64, 64, 3]}`: a shape by the name of each",
    "layers": "as `layers: [conv: 64, flatten, fc: 10]`: a list with at least one step",
    "tags": "as `tags: [classification]`",
    "heads": "as `heads: {auxiliary: {from: conv3, layers: [global_avg_pool, fc: 10]}}`",
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


def _check_inputs(findings: Findings, data: Mapping[str, Any]) -> None:
    """Report a spec without inputs, or with both ways to give them, and wrong names of inputs."""
    given = [key for key in INPUT_KEYS if key in data]
    if len(given) > 1:
        findings.report(_both_inputs(), ("inputs",), key=True)
    elif not given:
        unknown = [(key,) for key in data if key not in Document.model_fields]
        if not {(key,) for key in INPUT_KEYS} & _misspelt(unknown):
            help_ = f"{_EXAMPLES['input']}; several are `inputs: {{left: [...], right: [...]}}`"
            findings.report(Problem("missing", "`input` is missing", help=help_), ("input",))
    if isinstance(data.get("inputs"), dict):
        _check_names_of_inputs(findings, data["inputs"], ("inputs",))


def _check_inputs_of_variants(findings: Findings, document: Document) -> bool:
    """Report wrong inputs of variants; return whether a variant's `inputs` cannot be used."""
    unusable = False
    for variant, values in document.variants.items():
        if not values or "inputs" not in values:
            continue
        path: KeyPath = ("variants", variant, "inputs")
        if "input" in values:
            findings.report(_both_inputs(), path, key=True)
        if isinstance(values["inputs"], dict):
            _check_names_of_inputs(findings, values["inputs"], path)
        else:
            message = f"`inputs` must be a mapping, not {show(values['inputs'])}"
            help_ = _meant_inputs(values["inputs"])
            findings.report(Problem("type", message, help=help_), path)
        unusable |= not isinstance(values["inputs"], dict) or not values["inputs"]
    return unusable


def _check_names_of_inputs(findings: Findings, inputs: Mapping[str, Any], path: KeyPath) -> None:
    if not inputs:
        findings.report(Problem("value", "`inputs` is empty", help=_EXAMPLES["inputs"]), path)
    for name in inputs:
        if problem := name_problem(name, "an input"):
            findings.report(problem, (*path, name), key=True)


def _both_inputs() -> Problem:
    help_ = "`inputs` names each; `input` is for one that needs no name"
    return Problem("unknown-key", "`input` and `inputs` cannot be used together", help=help_)


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
    known = (*document.vars, *INPUT_KEYS)
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


def searchable(document: Document) -> list[str]:
    """Return the names of what a sweep or a search may vary."""
    return [*document.vars, "input", *(["variant"] if document.variants else [])]


def _check_search(findings: Findings, document: Document, lost: frozenset[KeyPath]) -> None:
    """Report variables of `search` that do not exist, and invalid values."""
    from archspec.spec.space import dimension  # noqa: PLC0415  (few specs have any)

    known = searchable(document)
    for name, values in document.search.items():
        path = ("search", name)
        if name not in known and ("vars",) not in lost:
            hint = suggestion(str(name), known, what="variables")
            unknown = Problem("unknown-name", f"`{name}` is not a variable", help=hint)
            findings.report(unknown, path, key=True)
            continue
        try:
            found = dimension(name, values)
        except Problem as problem:
            findings.report(problem, path)
            continue
        for i, variant in enumerate(found.choices if name == "variant" else ()):
            if variant not in document.variants:
                hint = suggestion(str(variant), document.variants, what="variants")
                unknown = Problem("unknown-name", f"`{variant}` is not a variant", help=hint)
                findings.report(unknown, (*path, i))


def name_problem(name: object, what: str, *, variable: bool = False) -> Problem | None:
    """Return the problem of a name for a step, a variable or the like; None if it is right."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        help_ = "a name is a letter, then at most 63 letters, digits and underscores"
        if isinstance(name, str) and name.isascii():
            tidy = re.sub(r"[^A-Za-z0-9]+", "_", name[:80]).strip("_")
            help_ = Mend(f"{help_}, as `{tidy}`", tidy, name) if NAME.fullmatch(tidy) else help_
        return Problem("value", f"{what} cannot be called {show(name)}", help=help_)
    if name in RESERVED or (variable and name.lower() in _NO_VARIABLES):
        return Problem("value", f"`{name}` is a reserved word; choose another name")
    return None


_NO_VARIABLES = {*map(str.lower, keyword.kwlist), "null", *INPUT_KEYS}
"""Words that no variable may be called: Python's parser, which reads expressions, has a meaning for
them, or they are set as variables are."""


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
        """Each variable, and `input` or `inputs`, with the value in force and where that stands."""
        document = self.document
        changes = (document.variants[self.variant] or {}) if self.variant is not None else {}
        settings: dict[str, tuple[Any, KeyPath | None]] = {}
        if not any(key in changes for key in INPUT_KEYS):  # of one input, or of several
            key = "inputs" if document.inputs else "input"
            settings[key] = getattr(document, key), (key,)
        for name, value in document.vars.items():
            if name not in INPUT_KEYS:
                settings[name] = value, ("vars", name)
        for name, value in changes.items():
            settings[name] = value, ("variants", str(self.variant), name)
        return settings | {name: (value, None) for name, value in self.overrides.items()}

    @property
    def inputs(self) -> dict[str, tuple[Any, KeyPath | None]]:
        """The shape of each input as it is written, and where it stands; of one, as `input`."""
        if "inputs" not in self.settings:
            return {"input": self.settings["input"]}
        shapes, place = self.settings["inputs"]
        return {
            name: (shape, None if place is None else (*place, name))
            for name, shape in shapes.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the network as plain data, variant and variables resolved: a complete spec."""
        dropped = {"variants", "published"}
        data = {k: v for k, v in self.source.data.items() if k not in dropped}
        if self.inference and "heads" in data:
            data["heads"] = {name: head | {"when": False} for name, head in data["heads"].items()}
        data["name"] = self.name
        values = {name: value for name, (value, _) in self.settings.items()}
        for key in INPUT_KEYS:
            if key in values:
                data[key] = values.pop(key)
            else:
                data.pop(key, None)
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
    spec = Spec(document, source, variant, diagnostics=diagnostics, lost=lost)
    key = next(key for key in INPUT_KEYS if key in spec.settings)
    for name in overrides:
        if name in INPUT_KEYS and name != key:
            how = "names its inputs" if key == "inputs" else "has one input, without a name"
            raise UsageError(f"{source.name} {how}: set `{key}`, not `{name}`")
        if name != key and name not in document.vars:
            hint = suggestion(name, (*document.vars, key), what="variables")
            if name == "variant" and variants:
                hint = (
                    f"a variant is named with the spec, as `{document.name}:{next(iter(variants))}`"
                )
            raise UsageError(f"{source.name} has no variable `{name}`; {hint}")
    return replace(
        spec,
        overrides={
            name: _given_inputs(value, document.vars)
            if name == "inputs"
            else _given(name, value, document.vars)
            for name, value in overrides.items()
        },
    )


def _given_inputs(value: Any, known: Mapped) -> Mapped:
    """Return shapes of inputs given from outside; raise `UsageError` if they are not shapes."""
    if not isinstance(value, Mapping) or not 0 < len(value) <= MAX_ITEMS:
        help_ = "as `inputs={left: [64, 64, 3], right: [64, 64, 3]}`"
        raise UsageError(f"`inputs` must be set to a mapping of names to shapes, {help_}")
    for name in value:
        if problem := name_problem(name, "an input"):
            raise UsageError(f"`inputs`, as it was set: {problem.message}")
    return {name: _given(name, shape, known) for name, shape in value.items()}


def _given(name: str, value: Any, known: Mapped, depth: int = 0) -> Any:
    """Return a value given from outside as plain data; raise `UsageError` if it is not a value."""
    if isinstance(value, (list, tuple)) and len(value) <= MAX_ITEMS and depth < MAX_NESTING:
        return [_given(name, item, known, depth + 1) for item in value]
    is_mapping = isinstance(value, dict) and (depth > 0 or has_arguments(value))
    if is_mapping and len(value) <= MAX_ITEMS and depth < MAX_NESTING:
        return {str(key): _given(name, item, known, depth + 1) for key, item in value.items()}
    if is_expression(value):
        try:
            expression = Expression.parse(value)
        except Problem as problem:
            raise UsageError(f"`{name}` cannot be set to `{value}`: {problem.message}") from None
        unknown = sorted(expression.names.difference(known))
        if unknown or expression.shaped:
            missing = unknown[0] if unknown else min(expression.steps, default="in")
            raise UsageError(f"`{name}` cannot be set to `{value}`: there is no `{missing}`")
    elif not isinstance(value, (bool, int, float, str, type(None))):
        given = (
            "a mapping" if isinstance(value, dict) else f"a value of type {type(value).__name__}"
        )
        raise no_value(name, given)
    return value


def no_value(name: str, given: str) -> UsageError:
    """Return the error of a variable that was set to something that is not a value."""
    return UsageError(
        f"`{name}` cannot be set to {given}: "
        f"a variable is a number, a word, a truth value, a list of at most {MAX_ITEMS:,}, or "
        "an activation with its arguments such as {leaky_relu: 0.1}"
    )
