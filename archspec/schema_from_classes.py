"""The JSON Schema of specs, made from the classes.

    python -m archspec.schema_from_classes > archspec/spec/schema.json

That file is what `archspec.schema()` reads, as long as there are no kinds but archspec's own.

It refuses nothing that archspec accepts. What depends on other parts of a spec is left to
`archspec check`: arguments that `defaults` may give, names of steps, shapes. A spec with `blocks`
may use kinds that no schema can know, so there, and only there, a kind may be any word. What a
recipe names of Keras is what Keras has that archspec was written with; a newer one may have more.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, TypeAlias

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from archspec.blocks.activated import OPS, Activation
from archspec.compile import catalog
from archspec.compile.step import GROUPS, MODIFIERS
from archspec.cost.checks import CLAIM_NAMES, TRAINING, TRAINING_NAMES
from archspec.data.augment import AUGMENTATIONS
from archspec.data.sources import SOURCES
from archspec.declare.declaration import Declaration
from archspec.declare.metadata import InstanceOf
from archspec.element import Element, field_docs
from archspec.ops import fields
from archspec.ops.functions import FUNCTIONS, ElementwiseFunction
from archspec.ops.merge import Merge
from archspec.ops.padding import Padding, ZeroPadding
from archspec.recipe.arguments import TYPES, type_of
from archspec.recipe.families import (
    CALLBACKS,
    LOSSES,
    METRICS,
    OPTIMIZERS,
    SCHEDULES,
    KerasFamily,
    Parameters,
)
from archspec.recipe.train import Recipe
from archspec.reference import WORDS
from archspec.spec.document import INPUT_KEYS, NAME, RESERVED, Argument, Document
from archspec.spec.space import SearchRange

Schema: TypeAlias = dict[str, Any]


DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_NAME: Final = f"^(?!(?:{'|'.join(sorted(RESERVED))})$){NAME.pattern}$"
_BESIDE: Final = sorted({*MODIFIERS, *GROUPS["layers"], *GROUPS["branches"]})
"""Keys that a step may have beside its kind."""


def generated() -> Schema:
    """Return the JSON Schema of specs with every kind that is registered or installed."""
    kinds = dict(sorted(catalog.kinds().items()))
    values = _Values()
    definitions: Schema = {
        "expression": {
            "type": "string",
            "pattern": "^=",
            "description": WORDS["expressions"].about,
        },
        "name": {"type": "string", "pattern": _NAME},
        "names": {
            "anyOf": [_NAMED_STEP, {"type": "array", "items": _NAMED_STEP, "minItems": 1}],
        },
        "value": {
            "anyOf": [
                {"type": ["string", "number", "boolean", "null"]},
                {"type": "array", "items": _ref("value")},
                {
                    "description": "An activation with its arguments.",
                    "type": "object",
                    "propertyNames": _one_of(FUNCTIONS | OPS),
                    "minProperties": 1,
                    "maxProperties": 1,
                },
            ]
        },
        "steps": {"type": "array", "items": _ref("step")},
        "own_steps": {"type": "array", "items": _ref("own_step")},
        "step": _step(kinds, own=False),
        "own_step": _step(kinds, own=True),
        "inner_step": _inner_step(kinds),
        "argument": _argument(),
        **{f"train.{name}": value for name, value in _train().items()},
    }
    for kind, cls in kinds.items():
        definitions[f"arguments.{kind}"] = values.arguments(cls)
        definitions[f"step.{kind}"] = values.step(cls)
    definitions |= values.definitions
    return {
        "$schema": DIALECT,
        "title": "archspec",
        **_document(kinds),
        "$defs": definitions,
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


_NAMED_STEP: Final = {"type": "string", "minLength": 1}
_NAMED_INPUTS: Final = {
    "type": "object",
    "additionalProperties": _NAMED_STEP,
    "description": "Steps by the names of a block's inputs; one left out is the step before.",
}
_EXPRESSION: Final = _ref("expression")


# What pydantic says of a class, in our own words.


class _Described(GenerateJsonSchema):
    """Pydantic's schema with the fields' own docs in place of titles."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> Schema:
        described = super().model_schema(schema)
        described.pop("title", None)
        cls: Any = getattr(schema["cls"], "declaration", schema["cls"])
        described["description"] = inspect.getdoc(cls) or ""
        for name, text in field_docs(cls).items():
            shown = described["properties"][cls.model_fields[name].alias or name]
            shown["description"] = text
            if shown.get("default", ...) is None:
                del shown["default"]
        return described


def _described(model: type[BaseModel | Declaration], prefix: str = "") -> Schema:
    template = f"#/$defs/{prefix}{{model}}"
    return model.model_json_schema(schema_generator=_Described, ref_template=template)


# Kinds and their arguments.


_SHARED: Final[Mapping[str, Any]] = {
    "count": fields.Count,
    "index": fields.Index,
    "rate": fields.Rate,
    "window": fields.Window,
    "sides": fields.Sides,
    "padding": Padding,
    "zero_padding": ZeroPadding,
    "activation": Activation,
    "function": ElementwiseFunction,
}
"""Types of many arguments, each written out once."""


class _Values:
    """Schemas of arguments; `definitions` gathers those that are shared."""

    def __init__(self) -> None:
        self.definitions: Schema = {}
        self.names = {
            _key(TypeAdapter(kind).json_schema(schema_generator=_Described)): name
            for name, kind in _SHARED.items()
        }

    def arguments(self, cls: type[Element]) -> Schema:
        """Return a mapping of arguments: none is required, because `defaults` may give it."""
        described = _described(cls)
        described.pop("required", None)
        described["properties"] = {
            name: self.open(value) for name, value in described["properties"].items()
        }
        return described

    def step(self, cls: type[Element]) -> Schema:
        """Return the values after `kind:`: a mapping, a value of the main argument, or nothing."""
        forms = [_ref(f"arguments.{cls.kind}"), {"type": "null"}]
        if issubclass(cls, Merge):
            several = {"type": "array", "items": _NAMED_STEP, "minItems": 2}
            forms += [_NAMED_STEP, several]
        elif cls.main:
            forms.append(self.open(_described(cls)["properties"][cls.main]))
        return {"description": inspect.getdoc(cls) or "", "anyOf": forms}

    def open(self, schema: Schema) -> Schema:
        """Return the same values, or an expression for any of them or of their items."""
        words: Schema = {key: schema[key] for key in ("description", "default") if key in schema}
        bare = {key: value for key, value in schema.items() if key not in words}
        name = self.names.get(_key(bare))
        if name is None and _NULL in (options := bare.get("anyOf", [])):
            others = [option for option in options if option != _NULL]
            inner = self.open({"anyOf": others} if len(others) > 1 else others[0])
            return {**words, "anyOf": [*inner.get("anyOf", [inner]), _NULL]}
        if name is None:
            return {**words, "anyOf": self._options(bare)}
        if f"value.{name}" not in self.definitions:
            self.definitions[f"value.{name}"] = {"anyOf": self._options(bare)}
        return {**words, **_ref(f"value.{name}")}

    def _options(self, schema: Schema) -> list[Schema]:
        options = [self._inner(option) for option in schema.get("anyOf", [schema])]
        return [*options, _EXPRESSION]

    def _inner(self, schema: Schema) -> Schema:
        if schema == _INNER_STEP:
            return _ref("inner_step")
        inner = dict(schema)
        if "properties" in inner:
            inner["properties"] = {
                key: self.open(value) for key, value in inner["properties"].items()
            }
        if "items" in inner:
            inner["items"] = self.open(inner["items"])
        if "prefixItems" in inner:
            inner["prefixItems"] = [self.open(item) for item in inner["prefixItems"]]
        return inner


_INNER_STEP: Final[Schema] = TypeAdapter(Annotated[Element, InstanceOf(Element)]).json_schema()
"""Pydantic's schema of an argument that is a step, as a gate."""


_NULL: Final = {"type": "null"}


def _key(schema: Schema) -> str:
    return json.dumps(schema, sort_keys=True)


# Steps.


def _step(kinds: Mapping[str, type[Element]], *, own: bool) -> Schema:
    """Return a step; with `own`, its kind may be one that the spec defines."""
    steps = _ref("own_steps" if own else "steps")
    merges = [kind for kind, cls in kinds.items() if issubclass(cls, Merge)]
    branches: Schema = {
        "anyOf": [
            {"type": "array", "items": steps, "minItems": 2},
            {
                "type": "object",
                "propertyNames": _ref("name"),
                "additionalProperties": steps,
                "minProperties": 2,
            },
        ]
    }
    lists = {"anyOf": [{"type": "array", "items": _ref("value")}, _EXPRESSION]}
    properties: Schema = {
        "layers": steps,
        "branches": branches,
        "merge": _one_of(merges),
        "share": {"type": "string", "minLength": 1},
        "for": {
            "type": "object",
            "propertyNames": _ref("name"),
            "additionalProperties": lists,
            "minProperties": 1,
        },
        "name": {"anyOf": [_ref("name"), _EXPRESSION, {"type": "null"}]},
        "let": {**_NAMED, "type": "object", "additionalProperties": _ref("value")},
        "from": {"anyOf": [_ref("names"), {"type": "null"}, *([_NAMED_INPUTS] if own else [])]},
        "repeat": {"anyOf": [{"type": "integer", "minimum": 0}, _EXPRESSION, {"type": "null"}]},
        "when": {"anyOf": [{"type": "boolean"}, _EXPRESSION]},
    }
    properties = {
        word: {"description": WORDS[word].about, **value} for word, value in properties.items()
    }
    mapping: Schema = {
        "type": "object",
        "properties": properties | {kind: _ref(f"step.{kind}") for kind in kinds},
        "not": {"propertyNames": _one_of(_BESIDE)},  # something says what the step is
        "dependentSchemas": {
            "for": {
                "anyOf": [{"required": ["layers"]}, {"required": ["branches"]}],
                "not": {"required": ["repeat"]},
            },
            "let": {"required": ["layers"]},
            "merge": {"required": ["branches"]},
            "branches": {"required": ["merge"]},
        },
    }
    if own:
        return {"anyOf": [{"type": "string", "pattern": _NAME}, mapping]}
    mapping["additionalProperties"] = False
    mapping["oneOf"] = [{"required": [what]} for what in (*GROUPS, *kinds)]
    return {"anyOf": [_one_of(kinds), mapping]}


def _inner_step(kinds: Mapping[str, type[Element]]) -> Schema:
    """Return a step that is an argument: a kind, which the spec may define, with its arguments."""
    properties = {
        kind: _ref(f"step.{kind}") for kind, cls in kinds.items() if not issubclass(cls, Merge)
    }
    when = {"description": WORDS["when"].about, "anyOf": [{"type": "boolean"}, _EXPRESSION]}
    mapping: Schema = {
        "type": "object",
        "properties": {**properties, "when": when},
        "propertyNames": {"not": _one_of(sorted({*_BESIDE, *GROUPS} - {"when"}))},
        "not": {"propertyNames": {"const": "when"}},  # something says what the step is
    }
    return {"anyOf": [_one_of(properties), {"type": "string", "pattern": _NAME}, mapping]}


# The document.


def _document(kinds: Mapping[str, type[Element]]) -> Schema:
    described = _described(Document)
    sections = described.pop("$defs")
    block, head, published = (sections[n] for n in ("BlockDefinition", "Head", "Published"))
    extents = {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": fields.LARGEST},
            {"type": "null"},
            {"type": "string", "pattern": "^multiple of [1-9]"},
            _EXPRESSION,
        ]
    }
    shape = {"type": "array", "items": extents, "minItems": 1, "maxItems": 4}
    bound = {"type": ["integer", "string"]}
    figures: dict[str, Any] = dict.fromkeys(CLAIM_NAMES, bound)
    of_training = dict.fromkeys(TRAINING_NAMES, bound)
    mapping = {"type": "object", "properties": of_training, "additionalProperties": False}
    figures[TRAINING] = {"anyOf": [bound, mapping]}
    bounds = {"properties": figures, "additionalProperties": False}
    defaults = {kind: _ref(f"arguments.{kind}") for kind in kinds}
    _refine(
        block["properties"],
        layers={"items": _ref("own_step")},
        args={**_NAMED, "additionalProperties": _ref("argument")},
        inputs={"items": _ref("name")},
        let={**_NAMED, "additionalProperties": _ref("value")},
    )
    _refine(head["properties"], when={"anyOf": [{"type": "boolean"}, _EXPRESSION]})
    _refine(
        described["properties"],
        name={"pattern": r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"},
        input={**shape, "anyOf": None},
        inputs={**_NAMED, "additionalProperties": shape, "minProperties": 1},
        vars={**_NAMED, "additionalProperties": _ref("value")},
        variants={
            "additionalProperties": {
                "type": ["object", "null"],
                "properties": {"inputs": {"type": "object"}},
                "additionalProperties": _ref("value"),
            }
        },
        defaults={"properties": defaults, "additionalProperties": {"type": "object"}},
        blocks={**_NAMED, "additionalProperties": block},
        heads={**_NAMED, "additionalProperties": head},
        published={"additionalProperties": published},
        expect=bounds,
        budget=bounds,
        search=_search(),
        train=_ref("train.Recipe"),
    )
    return {
        **described,
        "oneOf": [{"required": [key]} for key in INPUT_KEYS],
        "if": {"required": ["blocks"]},
        "then": {"properties": _steps("own_step")},
        "else": {"properties": {**_steps("step"), "defaults": {"propertyNames": _one_of(kinds)}}},
    }


def _search() -> Schema:
    """Return the values of a variable of `search`: a list, a range or a choice."""
    described = _described(SearchRange)
    number = {"type": "number"}
    values = {"type": "array", "items": _ref("value"), "minItems": 1}
    _refine(
        described["properties"],
        range={"type": "array", "items": number, "minItems": 2, "maxItems": 2, "anyOf": None},
        step={"type": "number", "exclusiveMinimum": 0, "anyOf": None},
        choice={**values, "anyOf": None},
    )
    described["oneOf"] = [{"required": ["range"]}, {"required": ["choice"]}]
    return {"additionalProperties": {"anyOf": [values, described]}}


_NAMED: Final = {"propertyNames": _ref("name")}


def _refine(properties: Schema, **more: Schema) -> None:
    """Say more of some properties than pydantic knows; None takes something back."""
    for name, words in more.items():
        refined = {**properties[name], **words}
        properties[name] = {key: value for key, value in refined.items() if value is not None}


def _one_of(words: Iterable[str]) -> Schema:
    return {"enum": list(words)}


def _steps(step: str) -> Schema:
    """Schema of the places of a document that hold steps."""
    layers = {"layers": {"items": _ref(step)}}
    return {**layers, "heads": {"additionalProperties": {"properties": layers}}}


_ARGUMENT_VALUES: Final[Mapping[str, Schema]] = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "str": {"type": "string", "pattern": "^(?!=)"},
    "list": {"type": "array", "items": _ref("value")},
    "activation": _ref("activation"),
}
"""Schema of an argument's default, by the argument's type."""


def _argument() -> Schema:
    """Return an argument of a spec's block: a type, a default value, or a mapping with both."""
    described = _described(Argument)
    types = described["properties"]["type"]["anyOf"][0]["enum"]
    typed = (name for name in _ARGUMENT_VALUES if name not in ("str", "activation"))
    values = [_ARGUMENT_VALUES[name] for name in typed]
    described["allOf"] = [
        {
            "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
            "then": {"properties": {"default": {"anyOf": [value, _EXPRESSION, {"type": "null"}]}}},
        }
        for name, value in _ARGUMENT_VALUES.items()
    ]
    return {"anyOf": [{"enum": types}, *values, described]}


def _train() -> Schema:
    """Return the recipe, and the short forms that its parts may also be written in."""
    recipe = _described(Recipe, "train.")
    parts: Schema = recipe.pop("$defs")
    del parts["Named"]
    properties = recipe["properties"]
    source = {"description": "The training data.", **_one_of(SOURCES)}
    parts["DataRecipe"]["properties"]["source"] |= source
    parts["DataRecipe"] = {"anyOf": [source, parts["DataRecipe"]]}
    own = {name: _ref(f"train.{name.capitalize()}Schedule") for name in SCHEDULES.own}
    parts["Schedule"] = {
        "description": parts["Schedule"]["description"],
        **_named({**own, **_classes(SCHEDULES)}),
    }
    augmentations = {name: _described(cls) for name, cls in AUGMENTATIONS.items()}
    parts["Augmentation"] = _named(augmentations)
    for family in (OPTIMIZERS, LOSSES, METRICS, CALLBACKS):
        parts[family.word] = _named(_classes(family))
        for inner in family.objects.values():
            parts.setdefault(inner.word, _named(_classes(inner)))
    for key, family in (("optimizer", OPTIMIZERS), ("loss", LOSSES)):
        named = _ref(f"train.{family.word}")
        if "anyOf" in properties[key]:  # it may be null
            named = {"anyOf": [named, _NULL]}
        properties[key] |= named
    for key, family in (("metrics", METRICS), ("callbacks", CALLBACKS)):
        properties[key]["items"] = _ref(f"train.{family.word}")
    return {"Recipe": recipe, **parts}


def _classes(family: KerasFamily) -> Mapping[str, Schema]:
    """Return a schema of the arguments of each of a family's classes."""
    return {name: _keras(family, parameters) for name, parameters in family.classes.items()}


def _keras(family: KerasFamily, parameters: Parameters) -> Schema:
    """Return the schema of a mapping of the arguments of a class of Keras's."""
    needed = [name for name, default in parameters.items() if not default]
    return {
        "type": "object",
        "properties": {
            name: _argument_of(family, name, default) for name, default in parameters.items()
        },
        "required": [name for name in needed if name not in family.given],
        "additionalProperties": False,
    }


def _argument_of(family: KerasFamily, name: str, default: tuple[()] | tuple[Any]) -> Schema:
    options: list[Schema] = []
    if name in family.objects:
        options.append(_ref(f"train.{family.objects[name].word}"))
    if name in TYPES or not options:
        adapter: TypeAdapter[Any] = TypeAdapter(type_of(name, default))
        options.append(adapter.json_schema(schema_generator=_Described))
    if default == (None,):
        options.append({"type": "null"})
    words = {"default": default[0]} if default and default != (None,) else {}
    return words | (options[0] if len(options) == 1 else {"anyOf": options})


def _named(arguments: Mapping[str, Schema]) -> Schema:
    """Return a name, or one name with its arguments or nothing."""
    return {
        "anyOf": [
            _one_of(arguments),
            {
                "type": "object",
                "properties": {name: {"anyOf": [one, _NULL]} for name, one in arguments.items()},
                "additionalProperties": False,
                "minProperties": 1,
                "maxProperties": 1,
            },
        ]
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(generated(), indent=2, allow_nan=False) + "\n")
