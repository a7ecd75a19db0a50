"""Which room may import which, and what code must not contain; modules are only parsed."""

import ast
import gc
import re
import sys
from collections.abc import Callable, Collection, Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from types import ModuleType

import pytest

import archspec

ROOT = Path(__file__).parent.parent

ROOMS = (
    "errors",
    "atomic",
    "text",
    "lazy",
    "display",
    "arguments",
    "vocabulary",
    "system",
    "device",
    "declare",
    "element",
    "spec",
    "ops",
    "graph",
    "blocks",
    "imports",
    "compile",
    "keras_model",
    "layers",
    "data",
    "recipe",
    "cost",
    "decompile",
    "ejection",
    "figure",
    "runs",
    "evaluation",
    "training",
    "measurement",
    "explain",
    "studies",
    "render",
    "proof",
    "reference",
    "inventory",
    "families",
    "explanation",
    "schema_from_classes",
    "json_schema",
    "assist",
    "serve",
    "cli",
    "__main__",
)
"""A room may import from itself and from the rooms before it, also inside a function. Results show
themselves through `archspec.display`, the one way upward. `archspec` itself names all rooms."""

AT_LAST = {
    # Subclasses of Keras's layers and schedules: only imported where a model is built.
    "archspec/keras_model/layers.py": {"keras"},
    "archspec/keras_model/measures.py": {"keras"},
    "archspec/keras_model/own_layer.py": {"keras"},
    "archspec/keras_model/attention_layers.py": {"keras", "numpy"},
    "archspec/keras_model/moving_layers.py": {"keras"},
    "archspec/keras_model/open_layers.py": {"keras"},
    "archspec/keras_model/schedules.py": {"keras"},
    # Never imported: they are read as text, and their parts go into ejected sources.
    "archspec/ejection/torch_parts.py": {"torch", "torch.nn"},
    "archspec/ejection/training_parts.py": {"keras", "numpy", "PIL"},
    # Servers: only imported by the command that starts them.
    "archspec/serve/language_server.py": {"lsprotocol", "pygls.lsp.server", "pygls.uris"},
    # The server of a page, which only `archspec serve` imports.
    "archspec/serve/run_server.py": {
        "starlette.applications",
        "starlette.requests",
        "starlette.responses",
        "starlette.routing",
        "uvicorn",
    },
    "archspec/serve/page_server.py": {
        "starlette.applications",
        "starlette.requests",
        "starlette.responses",
        "starlette.routing",
        "uvicorn",
    },
    "archspec/serve/loopback.py": {"uvicorn"},
    "archspec/serve/watching.py": {"watchfiles"},
}
"""Heavy imports at the top of modules whose purpose they are."""

EVERYWHERE = {"annotated_types", "pydantic", "pydantic_core", "yaml"}
"""Packages that a module may import when it is imported, beside the standard library."""

LIBRARY = sorted((ROOT / "archspec").rglob("*.py"))
CLI = sorted((ROOT / "cli").glob("*.py"))
MODULES = {str(path.relative_to(ROOT)): path for path in [*LIBRARY, *CLI]}


@pytest.fixture(scope="module", autouse=True)
def _no_search_for_garbage() -> Iterator[None]:
    """Look for no garbage among the million nodes of all modules, which are kept."""
    gc.disable()
    yield
    gc.enable()


def wrong(
    found: Callable[[str], Collection[object]], modules: Collection[str] = MODULES
) -> dict[str, Collection[object]]:
    """Return what a check finds wrong, by module."""
    return {module: faults for module in modules if (faults := found(module))}


def test_the_design_lists_every_room_in_its_order():
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)(?:\.py|/)` ", text, flags=re.MULTILINE)
    assert [name for name in listed if name in ROOMS] == list(ROOMS)


def test_no_room_is_called_like_a_public_function_or_class():
    """Importing anything in such a room would put the room in the place of the function."""
    public = {
        name for name in archspec.__all__ if not isinstance(getattr(archspec, name), ModuleType)
    }
    assert public & {*ROOMS} == set()


@pytest.mark.parametrize("folder", ["explain", "render/figure", "assist", "serve"])
def test_the_design_says_what_every_module_of_a_large_room_is_for(folder):
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    modules = {path.name for path in (ROOT / "archspec" / folder).glob("[a-z]*.py")}
    assert modules
    assert modules - set(re.findall(r"`(?:\w+/)*(\w+\.py)`", text)) == set()


def test_a_newcomer_has_at_most_fifteen_words_to_learn():
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    words = text.partition("## Words")[2].partition("## Names")[0]
    assert 0 < len(re.findall(r"^\| (?!word )\w+ \|", words, flags=re.MULTILINE)) <= 15


def room(module: str) -> str:
    parts = Path(module).with_suffix("").parts
    return parts[0] if parts[0] == "cli" else parts[1]


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


@cache
def everything(module: str) -> list[ast.AST]:
    """All nodes of a module."""
    return list(ast.walk(tree(module)))


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and is_name(node.test, "TYPE_CHECKING")


def is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


@cache
def import_statements(module: str, *, deep: bool) -> list[ast.Import | ast.ImportFrom]:
    """All imports that run, or with deep=False those that run when the module is imported."""
    found = []
    waiting: list[ast.AST] = [tree(module)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found.append(node)
        elif isinstance(node, ast.expr) or is_for_types(node):
            continue
        elif deep or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            waiting += ast.iter_child_nodes(node)
    return found


def called(node: ast.Call) -> str:
    """The name that is called, as `print` or `sys.exit`; "" for what has none."""
    parts = []
    function = node.func
    while isinstance(function, ast.Attribute):
        parts.append(function.attr)
        function = function.value
    return ".".join([function.id, *reversed(parts)]) if isinstance(function, ast.Name) else ""


@cache
def imports(module: str, *, deep: bool) -> set[str]:
    """Full names of the modules that a module imports; of `from a import b`, both a and a.b."""
    found = set()
    for node in import_statements(module, deep=deep):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif node.level == 0:
            found.add(str(node.module))
            if node.module == "archspec":
                found |= {f"archspec.{alias.name}" for alias in node.names}
    return found


def module_name(module: str) -> str:
    """The full name, as `archspec.cli.build` of cli/build.py."""
    parts = Path(module).with_suffix("").parts
    parts = ("archspec", *parts) if parts[0] == "cli" else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = set(map(module_name, MODULES))


def dependencies(module: str) -> set[str]:
    """Full names of archspec's modules that a module imports, anywhere in it; packages are not
    counted for the modules in them, which Python imports with those.
    """
    own = module_name(module)
    package = own if module.endswith("__init__.py") else own.rpartition(".")[0]
    found = set()
    for node in import_statements(module, deep=True):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        else:
            base = package if node.level else ""
            base = ".".join(filter(None, [base, node.module]))
            for alias in node.names:
                full = f"{base}.{alias.name}"
                found.add(full if full in NAMES else base)
    return (found & NAMES) - {own, "archspec"}


def imported_room(name: str) -> str | None:
    package, _, rest = name.partition(".")
    return rest.partition(".")[0] if package == "archspec" else None


def test_a_room_imports_only_the_rooms_before_it():
    def found(module: str) -> set[str]:
        later = set(ROOMS[ROOMS.index(room(module)) + 1 :])
        return {name for name in imports(module, deep=True) if imported_room(name) in later}

    assert wrong(found, [name for name in MODULES if room(name) != "__init__"]) == {}


def test_no_modules_import_each_other_in_a_circle_not_even_inside_functions():
    sorter = TopologicalSorter({module_name(path): dependencies(path) for path in MODULES})
    sorter.prepare()  # raises CycleError, which names the circle


def test_every_renderer_that_a_value_names_is_there():
    named = {
        ast.literal_eval(node.value)
        for module in MODULES
        for node in everything(module)
        if isinstance(node, ast.Assign) and is_name(node.targets[0], "RENDERER")
    }
    asked = {
        str(ast.literal_eval(node.args[0]))
        for module in MODULES
        for node in everything(module)
        if isinstance(node, ast.Call)
        and called(node) == "renderer"
        and isinstance(node.args[0], ast.Constant)
    }
    assert named
    for name in named | asked:
        assert (ROOT / "archspec" / "render" / f"{name.replace('.', '/')}.py").is_file(), name


def test_every_module_stands_in_a_room():
    assert {module for module in MODULES if room(module) not in {*ROOMS, "__init__"}} == set()


def test_nothing_heavy_is_imported_when_a_module_is():
    def found(module: str) -> set[str]:
        allowed = {*EVERYWHERE, "archspec", *(["click"] if room(module) == "cli" else [])}
        allowed |= sys.stdlib_module_names
        names = imports(module, deep=False)
        return {name for name in names if name.partition(".")[0] not in allowed}

    assert wrong(found) == AT_LAST


def test_names_of_a_spec_never_become_code():
    """No eval, exec or globals(); but the package keeps what it has loaded among its own names."""
    forbidden = {"eval", "exec", "compile", "globals", "locals", "__import__", "input"}

    def found(module: str) -> set[str]:
        calls = {called(node) for node in everything(module) if isinstance(node, ast.Call)}
        is_lazy = module in {"archspec/__init__.py", "archspec/explain/__init__.py"}
        return calls & (forbidden - {"globals"} if is_lazy else forbidden)

    assert wrong(found) == {}


def test_the_library_neither_prints_nor_exits():
    def found(module: str) -> set[str]:
        calls = {called(node) for node in everything(module) if isinstance(node, ast.Call)}
        return calls & {"print", "exit", "quit", "sys.exit", "os._exit", "os.abort"}

    assert wrong(found, [name for name in MODULES if room(name) != "cli"]) == {}


def test_siblings_of_the_command_line_are_imported_relatively_and_nothing_else_is():
    """`cli/` installs as archspec.cli; the library is addressed by its full name everywhere."""

    def found(module: str) -> list[str]:
        levels = [node.level for node in everything(module) if isinstance(node, ast.ImportFrom)]
        if room(module) != "cli":
            return ["relative" for level in levels if level]
        absolute = [n for n in imports(module, deep=True) if n.startswith("archspec.cli")]
        return absolute + ["from a package outside" for level in levels if level > 1]

    assert wrong(found) == {}


def test_a_module_is_named_for_its_job_and_says_it():
    names = {path.stem for path in MODULES.values()}
    assert names & {"utils", "util", "helpers", "common", "misc"} == set()
    assert {module for module in MODULES if not ast.get_docstring(tree(module))} == set()


FRAGMENT = re.compile(
    r"(Of|That|What|Which|Where|When|How|Who|Whose|As|By|For|To|In|On|At|With|Those|From|If|It|And"
    r"|Is|Are|Has|So)\b"
)


def test_a_docstring_stands_alone_when_an_editor_shows_it():
    """It begins with a noun phrase or a verb; it does not continue the name that it is of."""

    def found(module: str) -> list[str]:
        bodies = [getattr(outer, "body", None) for outer in everything(module)]
        documented = [
            str(node.value.value)
            for body in bodies
            if isinstance(body, list)
            for node in body
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ]
        return [text for text in documented if FRAGMENT.match(text.strip())]

    assert wrong(found) == {}


NEGATED_NOUN = re.compile(r"(?<![Tt]here )\b(is|are|was|were) no (?!longer|more|matter)\w")


def test_a_sentence_negates_its_verb_and_not_the_noun():
    """A text "is not a shape"; it never "is no shape"."""

    def found(module: str) -> list[str]:
        strings = [
            " ".join(node.value.split())
            for node in everything(module)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        return [text for text in strings if NEGATED_NOUN.search(text)]

    assert wrong(found) == {}


def words_of(module: str) -> set[str]:
    """All strings in a module except its docstrings and other bare ones."""
    bare = {id(node.value) for node in everything(module) if isinstance(node, ast.Expr)}
    constants = (node for node in everything(module) if isinstance(node, ast.Constant))
    return {
        node.value for node in constants if isinstance(node.value, str) and id(node) not in bare
    }


def test_only_one_module_spells_the_names_of_a_runs_files():
    owner = "archspec/runs/files.py"
    names = words_of(owner) - {"callbacks", "tensorboard"}  # also keys of the recipe
    assert {"history.csv", "best.keras", "checkpoints"} <= names

    def found(module: str) -> set[str]:
        return {word.rpartition("/")[2] for word in words_of(module)} & names

    assert wrong(found, MODULES.keys() - {owner}) == {}
