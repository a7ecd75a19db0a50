"""The JSON Schema: it accepts every spec that archspec accepts, and refuses what it can know."""

import json
from importlib import resources
from typing import Any

import pytest
from conftest import MORE
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from support.random_specs import MERGES, specs
from support.specs import spec_of

from archspec.compile import catalog
from archspec.compile.expand import expand
from archspec.cost.checks import check_graph
from archspec.cost.report import report
from archspec.element import KINDS
from archspec.errors import ArchspecError, SpecError
from archspec.json_schema import schema
from archspec.ops.arrangement import Flatten
from archspec.recipe.train import Recipe
from archspec.reference import entries
from archspec.schema_from_classes import generated
from archspec.spec.bundled import bundled
from archspec.spec.source import parse, read

SHIPPED = resources.files("archspec.spec") / "schema.json"
SCHEMA = json.loads(SHIPPED.read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)


def complaint(text: str) -> str | None:
    """Return the schema's first error for a spec with these lines below its name and input."""
    data = parse(f"name: net\ninput: [8, 8, 3]\n{text}").data
    error = best_match(VALIDATOR.iter_errors(data))
    return None if error is None else error.message


def check(text: str) -> None:
    """Have archspec itself read the same spec, to its last claim and its recipe."""
    spec = spec_of(f"name: net\ninput: [8, 8, 3]\n{text}")
    check_graph(spec, report(spec))
    Recipe.resolve(spec.train)


def values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a schema of an argument accepts, extreme ones among them; no expressions."""
    if schema == {"$ref": "#/$defs/inner_step"}:
        return st.sampled_from(["squeeze_excitation", {"squeeze_excitation": {"ratio": 2}}])
    while "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    if "anyOf" in schema:
        options = [each for each in schema["anyOf"] if each != {"$ref": "#/$defs/expression"}]
        return st.one_of(map(values, options))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "const" in schema:
        return st.just(schema["const"])
    if "prefixItems" in schema:
        return st.tuples(*map(values, schema["prefixItems"])).map(list)
    match schema["type"]:
        case "array":
            return st.lists(values(schema["items"]), min_size=schema.get("minItems", 0), max_size=4)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case "string":
            return st.just("input")
        case kind:
            numbers = [-1, 0, 1, 2, 3, 5, 8, 32, 2**31 - 1, 2**31, 1.0, 4.0, 0.5, 0.999, -2.5, 1e9]
            numbers = [n for n in numbers if kind == "number" or float(n).is_integer()]
            return st.sampled_from(numbers).filter(Draft202012Validator(schema).is_valid)


ARGUMENTS = {
    kind: {
        name: values(each)
        for name, each in SCHEMA["$defs"][f"arguments.{kind}"]["properties"].items()
    }
    for kind in catalog.kinds()
}


def codes_of(spec: dict[str, Any]) -> set[str]:
    """Return the codes of archspec's diagnostics of a spec."""
    try:
        expand(spec_of(json.dumps(spec)))
    except SpecError as error:
        return {diagnostic.code for diagnostic in error.diagnostics}
    return set()


@pytest.mark.parametrize("kind", ARGUMENTS)
@given(st.data(), st.sampled_from([[8, 4], [9, 9, 8], [5, 5, 5, 4]]))
@settings(max_examples=round(25 * MORE))
def test_arguments_that_it_accepts_make_a_network_or_do_not_fit_together(kind, data, extent):
    names = [name for name in ARGUMENTS[kind] if data.draw(st.booleans(), label=name)]
    given_ = {name: data.draw(ARGUMENTS[kind][name], label=name) for name in names}
    step = {kind: given_, "from": ["input", "input"]} if kind in MERGES else {kind: given_}
    spec = {"name": "net", "input": extent, "layers": [step]}
    assert VALIDATOR.is_valid(spec)
    too_small = {"value"} if "initial" in given_ else set()  # for a bank of filters
    assert codes_of(spec) <= {"missing", "shape", "limit"} | too_small


@given(specs())
@settings(max_examples=round(60 * MORE))
def test_it_accepts_what_archspec_accepts(spec):
    assert list(VALIDATOR.iter_errors(json.loads(json.dumps(spec)))) == []


@pytest.mark.parametrize("kind", catalog.kinds())
def test_the_reference_documents_the_arguments_that_the_schema_has(kind):
    documented = [entry.name for entry in entries(catalog.kinds()[kind])]
    assert sorted(documented) == sorted(ARGUMENTS[kind])


def test_it_is_a_schema_of_its_dialect():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("family", bundled())
def test_it_accepts_every_bundled_spec(family):
    assert list(VALIDATOR.iter_errors(read(bundled()[family]).data)) == []


ACCEPTED = {
    "a bare kind": "layers: [flatten]",
    "a value for the main argument": "layers: [conv: 64]",
    "a list for the main argument": "layers: [{reshape: [4, 4, 12]}]",
    "nothing after the kind": "layers: [{max_pool: }]",
    "a required argument that defaults may give": "layers: [conv]\ndefaults: {conv: {filters: 8}}",
    "an expression for any argument": "layers: [{conv: {filters: =8 * 2, kernel: =3}}]",
    "an expression for the main argument": "layers: [dropout: =0.5]",
    "an expression inside a list": "layers: [{conv: {filters: 8, kernel: [=3, 5]}}]",
    "an expression inside pairs": "layers: [{pad: [[0, =1], [1, 1]]}]",
    "every modifier": "layers: [{conv: 8, name: a, from: input, repeat: =2, when: =true}]",
    "a computed name": "layers: [{conv: 8, name: ='a' if true else 'b'}]",
    "several inputs": "layers: [{concat: {}, from: [a, input]}]",
    "a merge with one name": "layers: [add: shortcut]",
    "a merge with several names": "layers: [{concat: [a, b, input]}]",
    "a group": "layers: [{layers: [conv: 8], repeat: 2, name: stage}]",
    "a loop": "layers: [{for: {n: [1, 2], m: =list}, layers: [conv: =n]}]",
    "branches": "layers: [{branches: [[], [conv: 8]], merge: add}]",
    "named branches": "layers: [{branches: {a: [], b: [conv: 8]}, merge: concat, name: two}]",
    "variables of every type": "vars: {a: 1, b: x, c: [1, [2, 3]], d: =a, e: true}\nlayers: [conv]",
    "variants": "vars: {a: 1}\nvariants: {x: , y: {a: 2, input: [4, 4, 3]}}\nlayers: [conv]",
    "blocks and their use": (
        "blocks: {unit: {args: {n: int, k: 3, s: {type: str, default: x}}, layers: [conv: =n]}}\n"
        "defaults: {unit: {k: 5}}\nlayers: [unit: 8, {layers: [unit]}]\n"
        "heads: {aux: {layers: [unit: 4]}}"
    ),
    "defaults of every type": (
        "blocks: {b: {args: {a: {type: int, default: 8.0}, b: {type: float, default: 1}, "
        "c: {type: str, default: x}, d: {type: list, default: [1, x]}, e: {type: bool, "
        "default: =1 > 0}, f: {type: int, default: }}, layers: [conv: 8]}}\nlayers: [b]"
    ),
    "whole floats": "layers: [{conv: {filters: 8.0, kernel: [3.0, 3]}, repeat: 2.0}]",
    "heads": "layers: [conv: 8]\nheads: {aux: {from: conv1, loss_weight: 0.3, layers: [flatten]}}",
    "published": "layers: [conv]\npublished: {net: {params: 1, stages: {a: [1, 2]}, source: x}}",
    "bounds": 'layers: [conv]\nexpect: {params: "< 5M"}\nbudget: {training_bytes: 1GB, macs: 9}',
    "a recipe": (
        "layers: [conv]\ntrain: {data: digits, batch: 8, optimizer: {sgd: {learning_rate: 0.1}}, "
        "schedule: {step: {at: [3]}}, callbacks: [{early_stopping: {patience: 3}}]}"
    ),
    "a recipe of every sort": (
        "layers: [conv]\ntrain: {schedule: {exponential_decay: {decay_steps: 9, decay_rate: 1}}, "
        "metrics: [auc, {recall: {top_k: 3}}], augment: [mixup, {random_crop: {padding: 2}}], "
        "class_weights: {cat: 2, dog: 1.5}, jit: false, devices: all, steps_per_execution: 3, "
        "transfer: {from: runs/a, freeze: all, unfreeze: [{epoch: 3, learning_rate: 0.1}]}}"
    ),
    "arguments that are nothing": (
        "layers: [conv]\ntrain: {optimizer: {sgd: }, schedule: {cosine: }, callbacks: "
        "[{early_stopping: }], augment: [{mixup: }], transfer: }"
    ),
    "classes by number": "layers: [conv]\ntrain: {data: {source: digits, classes: [0, three]}}",
    "a short recipe": "layers: [conv]\ntrain: {data: {source: digits}, schedule: cosine}",
}


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED)
def test_it_accepts(text):
    assert complaint(text) is None


REFUSED = {
    "a misspelt key": "layer: [conv]\nlayers: [conv]",
    "no layers": "vars: {a: 1}",
    "empty layers": "layers: []",
    "a misspelt kind": "layers: [{covn: 8}]",
    "a misspelt bare kind": "layers: [flaten]",
    "a misspelt kind in a branch": "layers: [{branches: [[], [covn: 8]], merge: add}]",
    "a misspelt kind in a head": "layers: [conv]\nheads: {aux: {layers: [covn: 8]}}",
    "a misspelt kind in defaults": "layers: [conv]\ndefaults: {covn: {kernel: 3}}",
    "a misspelt argument": "layers: [{conv: {filters: 8, kernal: 3}}]",
    "a misspelt argument beside blocks": (
        "blocks: {b: {layers: [conv: 8]}}\nlayers: [{conv: {kernal: 3}}]"
    ),
    "a misspelt argument in defaults": "layers: [conv]\ndefaults: {conv: {kernal: 3}}",
    "a misspelt word": "layers: [{conv: {filters: 8, norm: bach}}]",
    "a word for a number": "layers: [conv: many]",
    "a fraction of a filter": "layers: [conv: 1.5]",
    "too small a number": "layers: [conv: 0]",
    "an even number of neighbours": "layers: [lrn: 4]",
    "an amount for a word": "layers: [{transposed_conv: {filters: 8, kernel: 3, padding: causal}}]",
    "a mapping in a loop's list": "layers: [{for: {n: [{a: 1}]}, layers: [conv: 8]}]",
    "too large an extent": "variants: {}\nlayers: [{upsample: 2147483648}]",
    "a word for a head's condition": (
        "layers: [conv: 8]\nheads: {a: {when: yes, layers: [flatten]}}"
    ),
    "a default of another type": (
        "blocks: {b: {args: {n: {type: int, default: x}}, layers: [conv: 8]}}\nlayers: [b]"
    ),
    "a number for a truth value": "layers: [{conv: {filters: 8, bias: 1}}]",
    "a mapping for a list": "layers: {conv: 8}",
    "two kinds in one step": "layers: [{conv: 8, flatten: }]",
    "no kind": "layers: [{name: a}]",
    "an argument beside the kind": "layers: [{conv: 8, kernel: 3}]",
    "a value for a kind without a main argument": "layers: [flatten: 3]",
    "a loop without a group": "layers: [{conv: 8, for: {n: [1]}}]",
    "a loop that is repeated": "layers: [{layers: [conv], for: {n: [1]}, repeat: 2}]",
    "branches without a merge": "layers: [{branches: [[], [conv: 8]]}]",
    "an unknown merge": "layers: [{branches: [[], [conv: 8]], merge: sideways}]",
    "one branch": "layers: [{branches: [[]], merge: add}]",
    "a merge of one": "layers: [{add: [a]}]",
    "a negative repeat": "layers: [{conv: 8, repeat: -1}]",
    "a reserved name": "layers: [{conv: 8, name: input}]",
    "a name with a space": "layers: [{conv: 8, name: my conv}]",
    "figures without a source": "layers: [conv]\npublished: {net: {params: 1}}",
    "an unknown figure": 'layers: [conv]\nbudget: {parms: "5M"}',
    "an unknown type of argument": "blocks: {b: {args: {n: integer}, layers: [conv]}}\nlayers: [b]",
    "a misspelt key of the recipe": "layers: [conv]\ntrain: {epoch: 3}",
    "two schedules": "layers: [conv]\ntrain: {schedule: {cosine: {}, plateau: {}}}",
    "an unknown callback": "layers: [conv]\ntrain: {callbacks: [lambda]}",
    "an unknown optimizer": "layers: [conv]\ntrain: {optimizer: adan}",
    "an unknown schedule": "layers: [conv]\ntrain: {schedule: plato}",
    "two optimizers": "layers: [conv]\ntrain: {optimizer: {adam: {}, sgd: {}}}",
    "an argument that a schedule has not": (
        "layers: [conv]\ntrain: {schedule: {plateau: {patiense: 3}}}"
    ),
    "an argument that an augmentation has not": (
        "layers: [conv]\ntrain: {augment: [{random_crop: {size: 3}}]}"
    ),
    "weights of nothing": "layers: [conv]\ntrain: {transfer: {freeze: all}}",
    "a negative class weight": "layers: [conv]\ntrain: {class_weights: {cat: -1}}",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_it_refuses(text):
    assert complaint(text) is not None


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_it_refuses_archspec_refuses_too(text):
    with pytest.raises(ArchspecError):
        check(text)


def test_beside_blocks_a_kind_may_be_any_word():
    """No schema can look up names: `archspec check` finds the misspelt kind there."""
    assert complaint("blocks: {unit: {layers: [conv: 8]}}\nlayers: [unitt]") is None


@pytest.mark.parametrize("kind", catalog.kinds())
def test_every_argument_is_explained(kind):
    definition = SCHEMA["$defs"][f"arguments.{kind}"]
    assert definition["description"]
    assert [n for n, value in definition["properties"].items() if not value["description"]] == []


def test_every_key_of_the_document_is_explained():
    assert [name for name, value in SCHEMA["properties"].items() if not value["description"]] == []


def test_every_definition_is_used():
    text = json.dumps(SCHEMA)
    unused = [name for name in SCHEMA["$defs"] if f'"#/$defs/{name}"' not in text]
    assert unused == []


def test_the_shipped_schema_is_the_generated_one():
    """Regenerate it by `python -m archspec.schema_from_classes > archspec/spec/schema.json`."""
    assert json.loads(json.dumps(generated())) == SCHEMA
    assert schema() == SCHEMA


class Mine(Flatten):
    """Somebody's own op."""


def test_a_kind_that_is_defined_here_is_in_the_schema(monkeypatch):
    monkeypatch.setitem(KINDS, "mine", Mine)
    assert schema()["$defs"].keys() - SCHEMA["$defs"].keys() == {"arguments.mine", "step.mine"}
