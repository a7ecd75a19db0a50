"""docs/families.md, and what every spec that comes with archspec says of itself."""

import re
from pathlib import Path

import pytest
from support.specs import families

import archspec
from archspec.families import page
from archspec.spec.bundled import bundled, names_of_networks
from archspec.spec.loading import load

PAGE = Path(__file__).parents[1] / "docs" / "families.md"


@pytest.fixture(scope="module")
def made():
    return page()


def test_the_page_is_up_to_date(made):
    """Regenerate it by `python -m archspec.families > docs/families.md`."""
    assert PAGE.read_text(encoding="utf-8") == made


@pytest.mark.parametrize("family", archspec.networks().families, ids=lambda family: family.name)
def test_a_family_says_what_it_is(family):
    assert re.fullmatch(r"[^()]+ \(.*\b(19|20)\d\d\b.*\)", family.about), "its name and its paper"
    assert family.tags
    assert len(set(family.tags)) == len(family.tags)
    assert family.history, "a line about the ideas that it carries on"
    assert len(family.history) <= 100
    assert re.fullmatch(r"[A-Z0-9].*[^.]", family.history), "one line, without a full stop"


def test_the_page_lists_the_families_by_year(made):
    years = [int(year) for year in re.findall(r"^\| (\d{4}) \|", made, re.MULTILINE)]
    assert len(years) == len(archspec.networks().families)
    assert years == sorted(years)


def test_names_are_found_in_the_text_as_the_parsed_specs_have_them():
    parsed = [document for _, document in families()]
    names = [*bundled(), *(variant for document in parsed for variant in document.variants)]
    assert names_of_networks() == names
    for document in parsed:
        for name in document.variants:
            assert load(name).document.name == document.name
