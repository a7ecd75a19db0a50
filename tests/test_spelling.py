"""Messages name arguments to whoever calls the library, options to whoever types a command."""

import ast
import inspect
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import archspec
from archspec.cli import COMMANDS, main, spelling
from archspec.errors import call
from archspec.recipe.train import Recipe

ROOT = Path(__file__).parent.parent

PAGES = {
    "archspec/families.py",
    "archspec/measurement/fits.py",  # the command that compiles, for both
    "archspec/render/summary.py",  # below tables, for both
    "archspec/runs/summary.py",  # of a run's folder, for whoever opens it
}
"""Modules that write documentation, in which commands stand as they are typed."""

OPTION = re.compile(r"(?:^|[\s`(])--[a-z][a-z-]+")


def texts(path: Path) -> list[tuple[int, str]]:
    """Return the string literals of a module that may name options, without its docstring."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source if "--" in source else "")
    about = ast.get_docstring(tree, clean=False)
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value != about
    ]


def test_no_message_of_the_library_names_an_option() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in sorted((ROOT / "archspec").rglob("*.py"))
        if str(path.relative_to(ROOT)) not in PAGES
        for line, text in texts(path)
        if OPTION.search(text)
        and "xla" not in text.lower()  # a flag of XLA's own
        and not text.startswith("--")  # an argument of another program
        and "`tar --" not in text
    ]
    assert found == []


def command(name: str) -> click.Command:
    found = main.get_command(click.Context(main), name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "said", "expected"),
    [
        ("fit", "`epochs=`: wrong", "`--epochs`: wrong"),
        ("fit", "`epochs=3` and more", "`--epochs 3` and more"),
        ("fit", "`learning_rate=-1`", "`--learning-rate -1`"),
        ("fit", "`transfer.from='my runs/a'`", "`--from 'my runs/a'`"),
        ("fit", "`transfer.freeze=`", "`--freeze`"),
        ("fit", "`hosts.count=0`", "`--hosts 0`"),
        ("fit", "`data.path=`", "`--train data.path=...`"),
        ("fit", "`optimizer.sgd.momentum=2`", "`--train optimizer.sgd.momentum=2`"),
        ("fit", "`schedule=`", "`--train schedule=...`"),
        ("fit", "`schedul=`", "`--train schedul=...`"),
        ("fit", "`=filters * 2`", "`=filters * 2`"),
        ("fit", "`stage1/conv`", "`stage1/conv`"),
        ("evaluate", "`part='half'` is not one", "`--part half` is not one"),
        ("evaluate", "`flip=True`", "`--flip`"),
        ("evaluate", "`epochs=3`", "`epochs=3`"),
        ("export", "`force=True` replaces it", "`--force` replaces it"),
        ("build", "`batch=0`", "`--batch 0`"),
        ("build", "`optimizer={'adam': True}`", "`--optimizer '{\"adam\": true}'`"),
        ("show", "``; see `archspec.kinds()`", "``; see `archspec list --kinds`"),
        ("fit", "`archspec.resume('my runs/a')`", "`archspec fit --resume 'my runs/a'`"),
        ("build", "`archspec.resume(..., epochs=9)`", "`archspec fit --resume ... --epochs 9`"),
        ("build", "`archspec.diff('a', 'b')`", "`archspec compare --diff a b`"),
        ("build", "`archspec.load_model('a')`", "`archspec.load_model('a')`"),
        ("build", "`archspec.report(" + "(" * 500 + ")`", "`archspec.report(" + "(" * 500 + ")`"),
    ],
)
def test_a_command_shows_its_own_options(name: str, said: str, expected: str) -> None:
    with click.Context(command(name)):
        assert spelling.spelled(said) == expected


def test_calls_are_shown_as_python() -> None:
    assert call("resume", Path("runs/a"), epochs=3) == "`archspec.resume('runs/a', epochs=3)`"
    assert call("export", ..., ...) == "`archspec.export(..., ...)`"


def test_every_function_with_a_command_of_another_name_is_public() -> None:
    for function, words in spelling.CALLS.items():
        assert function in archspec.__all__
        name, *options = words.split()
        known = {flag for param in command(name).params for flag in param.opts}
        assert set(options) <= known


FUNCTIONS = {
    "build": ("report", "build", "verify"),
    "import": ("import_model",),
    "measure": ("measure", "time_network"),
    "fits": ("fits",),
    "draw": ("draw",),
    "check": ("check",),
    "compare": ("compare", "diff", "compare_runs"),
    "sweep": ("sweep",),
    "roofline": ("roofline",),
    "search": ("search", "join_search"),
    "fit": ("fit", "resume", "find_lr"),
    "evaluate": ("evaluate",),
    "predict": ("predict",),
    "export": ("export",),
    "eject": ("eject", "torch_weights"),
    "probe": ("probe",),
    "list": ("networks", "kinds"),
    "show": ("show",),
    "schema": ("schema",),
}
"""Public functions that a command calls."""

SHOWN = {
    *("form", "outputs", "out"),  # how and where; in Python, methods of what is returned
    *("depth", "ops", "columns", "formulas", "curves", "plot", "theme", "scale"),
    "quiet",  # in Python, no `progress` and no `watchers`
}
"""Options for how a result is shown."""

LOADED = {"variant", "settings"}
"""Options that are arguments of `archspec.load`: a function is given what that returns."""

CHOSEN = {"diff", "runs", "timing", "resume", "place", "find_lr", "kinds", "verify"}
"""Options that choose another function."""

RECIPE = {
    *(*Recipe.model_fields, "learning_rate", "train"),
    *("transfer_from", "transfer_freeze", "transfer_unfreeze"),
    *("hosts_count", "hosts_index", "hosts_coordinator"),
}
"""Options whose values are keys of a recipe, or fields of an argument, as `transfer.from`."""

ONLY_OPTIONS = {
    "import": {"file", "weights", "verify"},  # a path, a variable, and a test of what is returned
    "fit": {"serve"},  # in Python, one of the `watchers`
    "predict": {"run", "others"},  # in Python, one list
    "export": {"source", "which"},  # the model, and where it is in the folder of a run
    "show": {"word"},
}
"""Further options that no function has under this name."""

ONLY_ARGUMENTS = {
    "build": {"model"},  # whose table `--verify` proves: the one that is built
    "compare": {"before", "after"},  # of two networks; they are in `specs`
    "import": {"model"},
    "fit": {"hosts", "run"},  # by its fields; the value of `--resume`
    "predict": {"runs"},
    "export": {"model", "path", "inputs"},  # also those of a run; random ones otherwise
    "show": {"name"},
}
"""Further arguments of functions that no option is called by."""


def parameters(name: str) -> dict[str, inspect.Parameter]:
    """Return the parameters of the functions that a command calls."""
    signatures = [inspect.signature(getattr(archspec, each)) for each in FUNCTIONS[name]]
    return {key: value for each in signatures for key, value in each.parameters.items()}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_options_have_the_names_of_arguments(name: str) -> None:
    """`spelled` relies on it: a message names an argument, and the command shows its option."""
    options = {str(param.name) for param in command(name).params}
    beside = SHOWN | LOADED | CHOSEN | ONLY_OPTIONS.get(name, set())
    beside |= RECIPE if "recipe" in parameters(name) else set()
    assert options - set(parameters(name)) <= beside


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_argument_has_an_option(name: str) -> None:
    options = {str(param.name) for param in command(name).params}
    keywords = {"recipe", "variables", "progress", "watchers"}  # `--train`, `--set`, not `--quiet`
    assert set(parameters(name)) - options - keywords == ONLY_ARGUMENTS.get(name, set())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_option_has_the_default_of_the_argument(name: str) -> None:
    arguments = parameters(name)
    with click.Context(command(name)) as context:
        for param in command(name).params:
            default = param.get_default(context)
            if param.name in arguments and isinstance(default, str | int | float) and default:
                assert default == arguments[param.name].default


def test_every_function_is_a_command() -> None:
    called = {function for functions in FUNCTIONS.values() for function in functions}
    # `load` is in all of them, `load_model` is for programs.
    exported = {name for name in archspec.__all__ if inspect.isfunction(getattr(archspec, name))}
    assert exported - called == {"load", "load_model"}


def test_every_command_is_a_command() -> None:
    assert all(command(name).name == name for name in COMMANDS)


@pytest.mark.parametrize("name", ["build", "check", "evaluate"])
def test_an_argument_without_a_name_has_its_place_in_the_usage(name: str) -> None:
    result = CliRunner().invoke(main, [name, ""])
    word = "RUN" if name == "evaluate" else "SPEC"
    assert result.output == f"error: `{word} ''` must be a path or a name\n"


def test_folders_of_runs_that_are_missing_are_not_called_specs() -> None:
    assert "Missing argument 'RUN...'" in CliRunner().invoke(main, ["compare", "--runs"]).output
