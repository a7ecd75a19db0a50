"""The specs that come with archspec: their data without YAML, equal to what their texts say."""

import pytest
from support.commands import imported_by

import archspec
from archspec.errors import SpecError
from archspec.spec import bundled as module
from archspec.spec.bundled import bundled, parsed_specs, read_bundled
from archspec.spec.source import read


def test_the_parsed_specs_are_those_of_the_texts():
    """Write them again by `python -m archspec.spec.bundled`, which `make docs` does too."""
    assert (bundled()["vgg"].parent / module.PARSED).read_text(encoding="utf-8") == parsed_specs()


@pytest.mark.parametrize("family", bundled())
def test_data_and_places_are_those_of_the_text(family):
    at_hand, parsed = read_bundled(family), read(bundled()[family])
    assert at_hand == parsed
    paths = [(), ("name",), ("layers",), ("layers", 0), ("published", "nothing"), ("train",)]
    for path in paths:
        assert at_hand.span(path) == parsed.span(path)
        assert at_hand.span(path, key=True) == parsed.span(path, key=True)


def test_a_spec_that_was_edited_is_parsed_again(tmp_path, monkeypatch):
    text = bundled()["vgg"].read_text(encoding="utf-8")
    edited = tmp_path / "vgg.yaml"
    edited.write_text(text.replace("name: vgg", "name: edited"), encoding="utf-8")
    monkeypatch.setattr(module, "bundled", lambda: {"vgg": edited})
    assert read_bundled("vgg").data["name"] == "edited"


def test_a_mistake_in_a_spec_that_was_not_parsed_has_its_place():
    with pytest.raises(SpecError) as caught:
        archspec.report(archspec.load("vgg16", classes="many"))
    (diagnostic,) = caught.value.diagnostics
    assert "=classes" in caught.value.lines[diagnostic.span.line - 1]


def test_a_list_of_networks_parses_no_yaml():
    assert "yaml" not in imported_by("import archspec; archspec.networks()")
