"""Every mistake with its message. The cases are in tests/diagnostics, one file a theme.

A case is a title, a spec (or only its steps), `=>` and what is printed. After a change of words,
`python tests/test_diagnostics.py` writes what is printed now; read the difference.
"""

import ast
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.specs import spec_of

from archspec.compile.expand import expand
from archspec.errors import CODES, Problem, RecipeError, SpecError, UsageError
from archspec.keras_model.export import Exported, UnequalError
from archspec.render.errors import render
from archspec.runs.outcome import DivergedError, Run
from archspec.runs.storage import DamagedError

FOLDER = Path(__file__).parent / "diagnostics"
HEADER = "name: net\ninput: [8, 8, 3]\nlayers:\n"


def read_cases(path: Path) -> dict[str, tuple[str, str]]:
    """Title to spec and expected text."""
    cases = {}
    for case in path.read_text(encoding="utf-8").removeprefix("# ").split("\n\n# "):
        title, _, rest = case.partition("\n")
        spec, _, expected = rest.partition("\n=>\n")
        cases[title] = (spec.strip("\n"), expected.strip("\n"))
    return cases


CASES = {
    f"{path.stem}: {title}": case
    for path in sorted(FOLDER.glob("*.txt"))
    for title, case in read_cases(path).items()
}


def printed(text: str) -> str:
    """Return the printed diagnostics of a spec, which may be only its steps."""
    text = HEADER + text if text.startswith("- ") else text
    try:
        expand(spec_of(text))
    except SpecError as error:
        return render(error)
    return "nothing is wrong"


@pytest.mark.parametrize("title", CASES)
def test_what_is_said_of_a_mistake(title):
    spec, expected = CASES[title]
    assert printed(spec) == expected


def test_every_code_has_a_case():
    shown = set(
        re.findall(r"error\[([\w-]+)\]", "\n".join(expected for _, expected in CASES.values()))
    )
    elsewhere = {
        "file",  # tests/test_source.py
        "published",  # tests/test_published.py
        "expect",  # tests/test_claims.py
        "budget",
    }
    assert shown | elsewhere == set(CODES)


MODULES = (
    "compile/*.py",
    "element.py",
    "spec/document.py",
    "spec/template.py",
    "spec/variables.py",
    "graph/*.py",
    "ops/*.py",
    "blocks/*.py",
)
"""Where it is found out what is wrong with a spec. Texts and expressions have their own tests."""

UNREACHED = {
    "`{}` of `{}`: {}",  # of a validator, which only kinds of third parties have
    "the path of a step is longer than {} characters",  # below, it is too long for a table
    "{} blocks are more than {}",
    "{} inputs are more than {}",
    "a list of {} is longer than {}",
    "the extent {} depends on the size: cannot {}",  # of kinds of third parties
    "{} must be a multiple of {}, not {}",  # of a size that is given: tests/test_open.py
    "more than {} layers were tried",  # ends a guess, and is never shown
}


def messages(module: Path) -> Iterator[str]:
    """The messages of all problems that a module makes, `{}` for what is put into them."""
    text = module.read_text(encoding="utf-8")
    if "Problem(" not in text:
        return
    for function in ast.walk(ast.parse(text)):
        if not isinstance(function, ast.FunctionDef):
            continue
        names: dict[str, list[ast.expr]] = {}
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                names.setdefault(node.targets[0].id, []).append(node.value)
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Problem":
                message = node.args[1]
                of_name = names.get(message.id, []) if isinstance(message, ast.Name) else []
                yield from map(plain, of_name or [message])


def plain(text: ast.expr) -> str:
    if isinstance(text, ast.Constant):
        return str(text.value)
    if isinstance(text, ast.JoinedStr):
        return "".join(plain(part) for part in text.values)
    return "{}"


def every_message() -> set[str]:
    root = Path(__file__).parent.parent / "archspec"
    return {text for module in MODULES for path in root.glob(module) for text in messages(path)}


def test_every_module_of_messages_is_there():
    root = Path(__file__).parent.parent / "archspec"
    assert [module for module in MODULES if not any(root.glob(module))] == []


def test_every_message_has_a_case():
    said = "\n".join(expected for _, expected in CASES.values())
    without = [
        message
        for message in every_message() - UNREACHED - {"{}"}
        if not re.search(".*".join(map(re.escape, message.split("{}"))), said)
    ]
    assert without == []


if __name__ == "__main__":
    for path in sorted(FOLDER.glob("*.txt")):
        cases = read_cases(path).items()
        parts = [f"# {title}\n{spec}\n=>\n{printed(spec)}\n" for title, (spec, _) in cases]
        path.write_text("\n".join(parts), encoding="utf-8")


def raised() -> Iterator[Exception]:
    """One of each exception that a caller may get."""
    problem = Problem("value", "it is wrong", help="write another")
    problem.path = "stage1/conv"
    yield problem
    yield UsageError("no such folder")
    yield DamagedError("run.json is damaged")
    yield RecipeError([(("data", "path"), problem)])
    yield UnequalError(Exported(Path("a.onnx"), 9, 0.5, 1e-4, 32, None))
    with pytest.raises(SpecError) as error:
        expand(spec_of("{name: net, input: [8, 8, 1], layers: [convv: 3]}"))
    yield error.value
    yield SpecError(diagnostics=error.value.diagnostics, lines=error.value.lines)
    run = Run(
        "a", "diverged", (), None, {}, None, 0.0, 9, "The rate is too high.", folder=Path("a")
    )
    yield DivergedError(run)


@pytest.mark.parametrize("error", list(raised()), ids=lambda error: type(error).__name__)
def test_an_exception_comes_from_another_process_as_it_was(error):
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(copy), str(copy), vars(copy).keys()) == (
        type(error),
        str(error),
        vars(error).keys(),
    )
    for name in ("help", "path", "diagnostics", "lines", "run", "exported"):
        assert getattr(copy, name, None) == getattr(error, name, None)
