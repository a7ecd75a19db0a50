"""Imports of commands: a table, a list or a help page must not wait for Keras, or for NumPy."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import click
import pytest
from support.commands import imported_by

from archspec.cli import COMMANDS, main
from archspec.compile import catalog
from archspec.element import Element

HEAVY = {"keras", "tensorflow", "jax", "torch", "numpy", "scipy", "sklearn", "pandas", "h5py"}

ALLOWED = {"archspec", "click"}
"""Packages that a command about archspec's own specs may import, beside the standard library."""

READS_YAML = {"_yaml", "yaml"}
"""Packages that a command about a user's spec imports as well."""

ON_USE = {
    "archspec.cost.size",
    "archspec.graph.sizes",
    "archspec.imports.inputs",
    "archspec.ops.extent",
    "archspec.render.formulas",
    "archspec.spec.json_text",
    "csv",
    "decimal",
    "fractions",
}
"""Modules that most tables can do without: those of open sizes, mistakes and other formats."""

BASE = {"archspec"}
"""Modules that `import archspec` imports."""

BARE = """
import gc, json, os, sys
before = set(sys.modules)
answers = os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
for line in sys.stdin:
    if os.fork():
        if os.wait()[1]:
            print("null", file=answers, flush=True)
        continue
    from archspec.cli import main
    try:
        main(json.loads(line))
    except SystemExit as end:
        assert not end.code, end.code
    collects = gc.isenabled() and gc.get_freeze_count() > 0
    print(json.dumps([sorted(set(sys.modules) - before), collects]), file=answers, flush=True)
    break
"""
"""A process that has imported nothing and forks for each command, which saves Python's own start.

It reads a list of arguments a line, and writes the modules that the command imported and whether
garbage is collected after it, or `null` for a command that failed.
"""


@pytest.fixture(scope="module")
def bare():
    command = [sys.executable, "-c", BARE]
    with subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as it:
        yield it
        it.communicate()


@pytest.fixture(scope="module")
def answer(bare):
    """The function that has a command run: one run for all tests of its imports."""

    @cache
    def answer(*arguments: str) -> tuple[set[str], bool]:
        print(json.dumps(arguments), file=bare.stdin, flush=True)
        answered = json.loads(bare.stdout.readline())
        assert answered, f"archspec {' '.join(arguments)} failed"
        return set(answered[0]), answered[1]

    return answer


@pytest.fixture(scope="module")
def imported(answer):
    """The function that returns the modules that `archspec ARGUMENTS` imports."""
    return lambda *arguments: answer(*arguments)[0]


def packages(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


def third_party(modules: set[str]) -> set[str]:
    """Packages that somebody installed: not the standard library's, nor what installs leave."""
    machinery = ("__editable__", "_sysconfigdata", "_cython", "cython_runtime")
    found = packages(modules) - set(sys.stdlib_module_names)
    return {name for name in found if not name.startswith(machinery)}


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "vgg"],
        ["compare", "vgg", "lenet5", "--plot"],
        ["compare", "--diff", "vgg16", "vgg19", "--plot"],
        ["draw", "vgg16", "--format", "html"],
        ["draw", "vgg", "--style", "table", "--format", "tex"],
        ["list", "--kinds"],
        ["show", "conv"],
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_imported(arguments, imported):
    assert packages(imported(*arguments)) & HEAVY == set()


@pytest.mark.parametrize("name", ["net-2.15.h5", "net-3.0.5.keras"])
def test_nothing_heavy_is_imported_to_read_a_file_of_keras(name, imported):
    path = Path(__file__).parent / "modelfiles" / name
    assert packages(imported("build", str(path))) & HEAVY == set()


def test_nothing_heavy_is_imported_to_write_a_page(tmp_path, imported):
    arguments = ("build", "vgg16", "-o", str(tmp_path / "vgg16.html"))
    assert packages(imported(*arguments)) & HEAVY == set()


def test_a_page_server_and_what_answers_for_it_import_nothing_heavy():
    pytest.importorskip("uvicorn")
    modules = imported_by("import archspec.serve.answers, archspec.serve.page_server")
    assert packages(modules) & HEAVY == set()


@pytest.mark.parametrize(
    "arguments",
    [
        ["build", "vgg16"],
        ["build", "resnet50", "--format", "json"],
        ["build", "lenet5", "--formulas"],
        ["compare", "fractalnet", "squeezenet"],
        ["compare", "--diff", "vgg16", "vgg19"],
        ["draw", "resnet50", "--format", "svg"],
        ["draw", "alexnet", "--style", "maps", "--format", "json"],
        ["list"],
        ["schema"],
    ],
    ids=" ".join,
)
def test_a_table_imports_few_packages(arguments, imported):
    """Pydantic, whose import would take longer than all else, is for what may be wrong."""
    assert third_party(imported(*arguments)) <= ALLOWED


def test_a_table_of_a_file_imports_the_reader_of_yaml_as_well(tmp_path, imported):
    path = tmp_path / "mine.yaml"
    path.write_text("{name: mine, input: [8, 8, 3], layers: [conv: 4, flatten, fc: 10]}")
    modules = imported("build", str(path))
    assert third_party(modules) <= ALLOWED | READS_YAML
    assert modules & ON_USE == set()


@pytest.mark.parametrize("name", ["vgg16", "resnet50", "densenet201"])
def test_a_table_imports_nothing_that_it_can_do_without(name, imported):
    modules = imported("build", name)
    assert modules & ON_USE == set()
    assert "archspec.spec.reader" not in modules


def test_no_spec_that_comes_with_archspec_needs_pydantic():
    code = """
import archspec
from archspec.spec.bundled import bundled
from archspec.spec.loading import networks
for family in bundled():
    for spec in networks(family):
        archspec.report(spec).rows()
"""
    assert "pydantic" not in imported_by(code)


def test_a_table_imports_only_the_blocks_that_the_spec_uses(imported):
    blocks = {name for name in imported("build", "vgg16") if name.startswith("archspec.blocks.")}
    assert blocks == {
        f"archspec.blocks.{name}" for name in ("activated", "block", "conv", "fc", "normalized")
    }


def test_the_help_imports_no_command_and_nothing_of_the_library(imported):
    own = {name for name in imported("--help") if name.startswith("archspec")}
    assert own == {*BASE, "archspec.cli", "archspec.cli.commands"}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_imports_that_command_alone(command, imported):
    own = {name for name in imported(command, "--help") if name.startswith("archspec")}
    shared = {
        "archspec.cli",
        "archspec.cli.engine",
        "archspec.cli.options",
        "archspec.cli.output",
        "archspec.cli.spelling",
    }
    shared |= {"archspec.cli.commands", "archspec.errors"}
    if command == "explain":  # whose help lists the methods
        shared.add("archspec.explain")
    assert own - shared - BASE == {f"archspec.cli.{command}"}


@pytest.mark.parametrize("kind", catalog.kinds())
def test_annotations_of_a_kind_are_types(kind):
    """Strings would have to be parsed again for each class."""
    own = [base for base in catalog.find(kind).__mro__ if issubclass(base, Element)]
    found = {value for base in own for value in vars(base).get("__annotations__", {}).values()}
    assert {value for value in found if isinstance(value, str)} == set()


def test_garbage_is_collected_again_after_a_table(answer):
    _, collects = answer("build", "vgg16")
    assert collects


@pytest.mark.parametrize("command", COMMANDS)
def test_the_list_of_commands_says_what_the_command_says_of_itself(command):
    context = click.Context(main)
    found = main.get_command(context, command)
    assert found.name == command
    assert found.get_short_help_str(limit=200).rstrip(".") == COMMANDS[command].rstrip(".")


def test_importing_archspec_imports_nothing_else():
    code = "import sys; old = set(sys.modules); import archspec; print(*set(sys.modules) - old)"
    names = set(subprocess.check_output([sys.executable, "-c", code], text=True).split())
    assert {name for name in names if name.startswith("archspec")} == BASE
    assert third_party(names) == {"archspec"}


def test_every_public_name_can_be_loaded():
    import archspec

    assert {name for name in archspec.__all__ if getattr(archspec, name, None) is None} == set()
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        archspec.nonsense  # noqa: B018
