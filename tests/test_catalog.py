"""Names to classes, and what every class must say about itself."""

import pytest
import yaml
from support.commands import imported_by

from archspec import vocabulary
from archspec.blocks.block import Block
from archspec.compile import catalog
from archspec.element import Element, field_docs, summary
from archspec.errors import Problem
from archspec.ops.op import Op
from archspec.reference import entries, example, reference, spoken

KINDS = catalog.kinds()


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_found_by_its_name(kind):
    cls = catalog.find(kind)
    assert cls is KINDS[kind]
    assert cls.kind == kind


def test_a_block_stands_in_the_file_of_its_name():
    """A spec loads only the blocks that it uses."""
    blocks = {kind: cls for kind, cls in KINDS.items() if issubclass(cls, Block)}
    assert {kind: cls.__module__ for kind, cls in blocks.items()} == {
        kind: f"archspec.blocks.{kind}" for kind in blocks
    }


def test_every_class_of_a_kind_is_an_op_or_a_block():
    assert {cls for cls in KINDS.values() if issubclass(cls, Op) == issubclass(cls, Block)} == set()


def test_finding_one_block_imports_no_other():
    modules = imported_by("from archspec.compile.catalog import find; find('fire')")
    assert {"archspec.blocks.fire", "archspec.blocks.conv"} <= modules
    assert "archspec.blocks.inception" not in modules


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_one_line_of_help_that_ends(kind):
    line = summary(KINDS[kind])
    assert line[-1] in ".)"
    assert len(line) <= 100


@pytest.mark.parametrize("kind", KINDS)
def test_every_argument_has_its_help(kind):
    cls = KINDS[kind]
    assert set(field_docs(cls)) == set(cls.model_fields)
    assert [entry.name for entry in entries(cls) if entry.type == "a value"] == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_main_argument_is_an_argument(kind):
    cls = KINDS[kind]
    assert cls.main is None or cls.main in cls.model_fields


@pytest.mark.parametrize("kind", KINDS)
def test_hints_are_for_arguments_that_it_does_not_have(kind):
    cls = KINDS[kind]
    assert set(cls.hints) & set(cls.model_fields) == set()


@pytest.mark.parametrize("kind", KINDS)
def test_its_example_is_a_step_of_it(kind):
    text, _ = example(KINDS[kind])
    (step,) = yaml.safe_load(text)
    assert step == kind or kind in step


@pytest.mark.parametrize(
    ("word", "help_"),
    [
        ("covn", "did you mean `conv`?"),
        ("maxpool", "archspec says `max_pool`"),
        ("Conv2D", "archspec says `conv`"),
        ("linear", "archspec says `fc`"),
        ("relu", "archspec says `activation: relu`"),
        ("mybolck", "did you mean `myblock`?"),
    ],
)
def test_a_word_that_is_no_kind_gets_a_hint(word, help_):
    problem = catalog.unknown_kind(word, ("myblock",))
    assert (problem.code, problem.help) == ("unknown-kind", help_)
    with pytest.raises(Problem):
        catalog.find(word)


def test_hints_lead_to_kinds():
    assert set(vocabulary.KINDS.values()) <= set(KINDS)
    foreign = {*vocabulary.KINDS, *vocabulary.KIND_NOTES}
    assert foreign & set(KINDS) == {"dense"}  # Keras's Dense is not DenseNet's block


def test_a_kind_cannot_be_defined_twice():
    with pytest.raises(ValueError, match="defined by both"):
        type("Other", (Element,), {"__module__": __name__}, kind="conv")
    assert catalog.find("conv").__module__ == "archspec.blocks.conv"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        ([1, [2, 3]], "[1, [2, 3]]"),
        ({"a": [1.5]}, "{a: [1.5]}"),
        ("", '""'),
    ],
)
def test_values_are_shown_as_a_spec_would_say_them(value, text):
    assert spoken(value) == text
    assert yaml.safe_load(text) == value


def test_the_reference_is_the_generated_one(pytestconfig):
    """Regenerate it by `python -m archspec.reference > docs/reference.md`."""
    written = (pytestconfig.rootpath / "docs/reference.md").read_text(encoding="utf-8")
    assert written == reference()
