"""docs/python.md: it is what the docstrings say, and the examples in them are true."""

import contextlib
import doctest
import inspect
import io
import re
from functools import cache
from pathlib import Path

import pytest
from pages import ROOT
from python_page import GROUPS, function, page, sections_of, types

import archspec
from archspec import explain
from archspec.recipe.train import Recipe
from archspec.runs.origin import MAY_CHANGE

NAMES = [name for names in GROUPS.values() for name in names]

FOLLOWING = {
    **dict.fromkeys(["resume", "compare_runs", "evaluate", "predict", "import_model"], "fit"),
    "join_search": "search",
}
"""Functions whose example follows another's, in the folder in which that one was run."""

ENGINE = {
    *("build", "load_model", "probe", "verify", "weights.copy", "export", "fit", "find_lr"),
    *("torch_weights", "search"),
    *FOLLOWING,
}
"""Functions whose example needs Keras."""


@pytest.fixture(scope="module")
def ran(tmp_path_factory, blank_pictures):  # noqa: ARG001
    """Gives the folder in which a function's example was run, once."""

    @cache
    def ran(name: str) -> Path:
        folder: Path = tmp_path_factory.mktemp(name)
        with contextlib.chdir(folder):
            assert complaints(name) == ""
        return folder

    return ran


def complaints(name: str) -> str:
    """Return doctest's report on a function's example; '' if it passes."""
    doc = inspect.getdoc(function(name)) or ""
    test = doctest.DocTestParser().get_doctest(doc, {"archspec": archspec}, name, None, 0)
    assert test.examples
    said = io.StringIO()
    doctest.DocTestRunner(verbose=False).run(test, out=said.write)
    return said.getvalue()


def test_the_page_is_what_the_docstrings_say():
    assert (ROOT / "docs" / "python.md").read_text(encoding="utf-8") == page()


def test_the_page_has_every_function_that_archspec_exports():
    exported = {name for name in archspec.__all__ if inspect.isroutine(getattr(archspec, name))}
    assert exported == {name for name in NAMES if "." not in name}


@pytest.mark.parametrize("name", [*NAMES, *(f"explain.{name}" for name in explain.FUNCTIONS)])
def test_a_docstring_says_what_goes_in_and_what_comes_out(name):
    sections = sections_of(inspect.getdoc(function(name)) or "")
    parameters = inspect.signature(function(name)).parameters
    assert "Returns" in sections
    for parameter in parameters:
        assert f"\n{parameter}:" in f"\n{sections.get('Args', '')}".replace("\n*", "\n").replace(
            "\n*", "\n"
        )


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.keras) if name in ENGINE else name
        for name in NAMES
        if name not in FOLLOWING.values()  # run for those that follow
    ],
)
def test_an_example_is_true(name, tmp_path, monkeypatch, ran):
    monkeypatch.chdir(ran(FOLLOWING[name]) if name in FOLLOWING else tmp_path)
    assert complaints(name) == ""


def test_what_a_function_returns_is_exported():
    functions = [*NAMES, *(f"explain.{name}" for name in explain.FUNCTIONS)]
    returned = {
        kind
        for name in functions
        for kind in str(inspect.signature(function(name)).return_annotation).strip("'").split(" | ")
    }
    # A Keras model; source code; arrays by name.
    assert returned - set(types()) == {"Any", "str", "dict[str, Any]"}


VALUES = [name for name in types() if not issubclass(getattr(archspec, name), Exception)]


@pytest.mark.parametrize("name", VALUES)
def test_a_value_prints_itself_shows_itself_and_is_plain_data(name):
    kind = getattr(archspec, name)
    assert kind.__str__ is not object.__str__
    assert any(hasattr(kind, f"_repr_{form}_") for form in ("markdown", "html", "svg"))
    assert callable(kind.to_dict)


def test_fit_lists_every_key_of_the_recipe():
    recipe = sections_of(inspect.getdoc(archspec.fit) or "")["Args"].partition("\nrecipe:")[2]
    listed = re.findall(r"`(\w+)`", recipe.partition(". ")[0])
    assert sorted(listed) == sorted([*Recipe.model_fields, "learning_rate"])
    assert all(key in inspect.getdoc(archspec.resume) for key in MAY_CHANGE)
