"""Behaviour that all commands share, and that each shares with its Python function."""

import inspect
import json
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import archspec
from archspec.cli import COMMANDS, main
from archspec.errors import UsageError

RESULTS = ["explain saliency", *sorted({*COMMANDS} - {"explain", "completion", "serve", "lsp"})]
"""Commands that have a result; `completion` prints a script, servers go on until they are ended,
and each method of `explain` is a command."""


def command(name: str) -> click.Command:
    found: click.Command | None = main
    for word in name.split():
        assert isinstance(found, click.Group)
        found = found.get_command(click.Context(found), word)
    assert found is not None
    return found


def option(name: str, flag: str) -> click.Option:
    return next(
        param
        for param in command(name).params
        if isinstance(param, click.Option) and flag in param.opts
    )


@pytest.mark.parametrize("name", sorted({*RESULTS} - {"eject"}))  # a program is not a result
def test_every_command_says_its_format_alike(name: str) -> None:
    form = option(name, "--format")
    assert isinstance(form.type, click.Choice)
    assert "json" in form.type.choices
    assert set(form.type.choices) <= {"text", "json", "csv", "markdown", "svg", "html", "tex"}
    aliases: dict[str, str] = form.aliases  # type: ignore[attr-defined]
    assert aliases["--json"] == "json"


@pytest.mark.parametrize("name", RESULTS)
def test_every_command_writes_where_o_says(name: str) -> None:
    assert option(name, "-o") is option(name, "--out")


@pytest.mark.parametrize("name", sorted({*RESULTS} - {"fit", "search"}))  # always had --out
def test_the_old_spelling_goes_on_working_and_is_not_shown(name: str) -> None:
    written = CliRunner().invoke(main, [*name.split(), "--help"]).output
    assert "--out " in written
    assert "--output" not in written
    assert "--output" in option(name, "--out").aliases  # type: ignore[attr-defined]


RUNS = {
    "build": ["build", "lenet5"],
    "check": ["check", "lenet5"],
    "compare": ["compare", "lenet5"],
    "list": ["list"],
    "show": ["show", "conv"],
    "schema": ["schema"],
}


@pytest.mark.parametrize("name", RUNS)
def test_json_is_short_for_the_format(name: str, tmp_path: Path) -> None:
    said = CliRunner().invoke(main, [*RUNS[name], "--json"])
    assert said.exit_code == 0
    assert json.loads(said.stdout)
    assert CliRunner().invoke(main, [*RUNS[name], "--format", "json"]).stdout == said.stdout
    for spelling in ("-o", "--out", "--output")[: 1 if name == "schema" else 3]:
        path = tmp_path / f"{spelling}.json"
        assert CliRunner().invoke(main, [*RUNS[name], spelling, str(path)]).exit_code == 0
        assert json.loads(path.read_text(encoding="utf-8")) == json.loads(said.stdout)


@pytest.mark.parametrize(
    ("value", "arguments"),
    [
        (lambda: archspec.report("lenet5"), RUNS["build"]),
        (lambda: archspec.check("lenet5"), RUNS["check"]),
        (lambda: archspec.compare("lenet5"), RUNS["compare"]),
        (archspec.networks, RUNS["list"]),
        (archspec.kinds, ["list", "--kinds"]),
        (lambda: archspec.show("conv"), RUNS["show"]),
        (archspec.schema, RUNS["schema"]),
        (lambda: archspec.diff("lenet5", "vgg16"), ["compare", "--diff", "lenet5", "vgg16"]),
    ],
    ids=["report", "check", "compare", "networks", "kinds", "show", "schema", "diff"],
)
def test_a_command_has_a_python_form(value, arguments: list[str]) -> None:
    found = value()
    printed = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).stdout)
    assert json.loads(json.dumps(found.to_dict())) == printed
    assert str(found).strip()
    assert found._repr_markdown_().strip()


def test_lists_are_gone_through_by_name() -> None:
    assert {"vgg16", "lenet5"} <= set(archspec.networks())
    assert {"conv", "residual", "repeat"} <= set(archspec.kinds())
    assert len(archspec.networks()) == len(list(archspec.networks()))


def test_a_proof_says_what_does_not_hold(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\ninput: [8, 8, 3]\nlayers: [flatten, fc: 2]\n"
        "budget: {training_bytes: 1MB, params: 100}\n"
        "train: {batch: 4096, epochs: none}\n",
        encoding="utf-8",
    )
    proof = archspec.check(path)
    assert not proof.holds
    assert not proof  # else `assert archspec.check(...)` would hold whatever is wrong
    (mine,) = proof.networks
    # Bytes are not judged by a recipe that is wrong.
    assert [each["code"] for each in mine.to_dict()["problems"]] == ["budget", "type"]
    assert "`train.epochs` must be a whole number" in str(proof)
    assert "1 of 1 network failed" in str(proof)
    assert "**failed**" in proof._repr_markdown_()


def test_a_list_of_specs_is_told_from_several() -> None:
    for function in (archspec.check, archspec.compare):
        with pytest.raises(UsageError, match=r"what `archspec.load` gives; write `\*specs`"):
            function(["lenet5", "vgg16"])  # type: ignore[arg-type]


def test_a_value_at_the_prompt_is_a_line() -> None:
    costs = archspec.report("lenet5")
    assert repr(costs) == "<Report of lenet5: 61,706 parameters, 416,520 MACs>"
    assert repr(costs) in repr(archspec.check("lenet5"))


def test_a_variant_beside_a_single_network_is_refused() -> None:
    for name in ("build", "check", "probe", "fit"):
        done = CliRunner().invoke(main, [name, "vgg16", "--variant", "vgg19"])
        assert done.exit_code == 2
        assert "`vgg16` is one network: it has no variant `vgg19`" in done.stderr
    done = CliRunner().invoke(main, ["check", "vgg", "--variant", "vgg16"])
    assert done.stdout.startswith("vgg16  ok")
    with pytest.raises(UsageError, match="has no variant `vgg19`"):
        archspec.check("vgg16", variant="vgg19")


WRONG = [
    (archspec.report, ("lenet5",), {"batch": 2.5}),
    (archspec.report, ("lenet5",), {"dtype": 32}),
    (archspec.report, ("lenet5",), {"optimizer": 0.1}),
    (archspec.report, (3,), {}),
    (archspec.compare, ("lenet5",), {"sort": 3}),
    (archspec.compare, ("lenet5",), {"batch": "8"}),
    (archspec.compare, (), {}),
    (archspec.diff, ("lenet5", "vgg16"), {"depth": "two"}),
    (archspec.diff, ("lenet5", "vgg16"), {"ops": "yes"}),
    (archspec.diff, ("lenet5", 5), {}),
    (archspec.check, (), {}),
    (archspec.check, (3,), {}),
    (archspec.check, ("vgg",), {"variant": 19}),
    (archspec.check, ("lenet5",), {"clases": 3}),
    (archspec.load, (3,), {}),
    (archspec.load, ("vgg", 19), {}),
    (archspec.show, (3,), {}),
    (archspec.show, ("",), {}),
    (archspec.show, ("convv",), {}),
    (archspec.build, (3,), {}),
    (archspec.probe, ("lenet5",), {"batch": 2.5}),
    (archspec.probe, ("lenet5",), {"batch": True}),
    (archspec.probe, ("lenet5",), {"seed": -1}),
    (archspec.probe, ("lenet5",), {"seed": "1"}),
    (archspec.probe, ("lenet5",), {"init": 3}),
    (archspec.probe, ("lenet5",), {"data": 3}),
    (archspec.evaluate, (3,), {}),
    (archspec.evaluate, ("nowhere",), {"batch": 2.5}),
    (archspec.evaluate, ("nowhere",), {"top": "5"}),
    (archspec.evaluate, ("nowhere",), {"part": 3}),
    (archspec.evaluate, ("nowhere",), {"white": "1"}),
    (archspec.evaluate, ("nowhere",), {"white": True}),
    (archspec.evaluate, ("nowhere",), {"flip": "yes"}),
    (archspec.evaluate, ("nowhere",), {"normalize": 3}),
    (archspec.evaluate, ("nowhere",), {"data": 3}),
    (archspec.predict, ("nowhere", "a.png"), {"top": 2.5}),
    (archspec.predict, ("nowhere", "a.png"), {"batch": "all"}),
    (archspec.predict, ("nowhere", "a.png"), {"flip": 1}),
    (archspec.predict, ("nowhere", 3), {}),
    (archspec.resume, (3,), {}),
    (archspec.fit, (3,), {}),
    (archspec.fit, ("lenet5",), {"epochs": "5"}),
    (archspec.fit, ("lenet5",), {"out": 3}),
    (archspec.find_lr, (3,), {}),
    (archspec.find_lr, ("lenet5",), {"batch": "many"}),
]


@pytest.mark.parametrize(("function", "arguments", "named"), WRONG)
def test_an_argument_that_cannot_be_is_named(function, arguments, named) -> None:
    """No traceback, and no answer to another question; nothing of Keras is loaded for it."""
    with pytest.raises(UsageError) as caught:
        function(*arguments, **named)
    for name in named:
        assert re.search(rf"\b{name}\b", str(caught.value)), str(caught.value)


def test_what_a_report_is_asked_for_is_checked() -> None:
    costs = archspec.report("lenet5")
    for wrong in ("two", 0, 1.5, True):
        with pytest.raises(UsageError, match="`depth="):
            costs.rows(wrong)
    with pytest.raises(UsageError, match="`ops='no'`"):
        costs.to_dict(ops="no")


@pytest.mark.parametrize(
    "name", ["report", "compare", "diff", "check", "networks", "kinds", "show", "schema", "find_lr"]
)
def test_what_is_public_is_explained(name: str) -> None:
    doc = inspect.getdoc(getattr(archspec, name)) or ""
    assert "Returns:" in doc
    if inspect.signature(getattr(archspec, name)).parameters:
        assert "Args:" in doc
        assert "Raises:" in doc
