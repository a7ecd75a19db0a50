"""docs/python.md, made of the docstrings of all that `archspec` exports.

python tests/python_page.py > docs/python.md
"""

import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import archspec
from archspec import explain

GROUPS: dict[str, tuple[str, ...]] = {
    "Specs and what they cost": (
        "load",
        "import_model",
        "report",
        "draw",
        "compare",
        "diff",
        "roofline",
        "fits",
        "check",
    ),
    "Keras models": (
        "build",
        "eject",
        "torch_weights",
        "verify",
        "weights.copy",
        "load_model",
        "export",
        "probe",
        "measure",
        "time_network",
    ),
    "Training": ("fit", "resume", "find_lr", "compare_runs"),
    "The best network for a budget": ("sweep", "search", "join_search"),
    "Trained networks": ("evaluate", "predict"),
    "What there is": ("networks", "kinds", "show", "schema"),
}
"""Every function by what it is for, in the order of use."""

HEAD = """\
# From Python

Everything that the command line does, as functions. Importing `archspec` imports nothing heavy:
Keras and its backend are loaded by the functions that need them. What a function returns prints
itself, shows itself in a notebook, and has `to_dict()` for plain data. A mistake of the user raises
`SpecError`, which knows the lines of the spec, or `UsageError`; both are `ArchspecError`s.

This page is made of the docstrings (`make docs`), and a test runs the examples. Those that name
`runs/lenet5-1` follow the example of `fit`, which writes it.
"""

EXPLAIN = """\
Each method takes a run, its folder, a model file, a Keras model or a spec, and images; it returns a
`Gallery`. All methods also take `normalize`, `white`, `data`, `batch`, `seed` and `progress`. What
they compute, and how to read it, is in [explaining.md](explaining.md).
"""

SECTIONS = ("Args", "Returns", "Raises", "Example")


def function(name: str) -> Callable[..., Any]:
    """A function by the name it has in `archspec`."""
    value: Any = archspec
    for part in name.split("."):
        value = getattr(value, part)
    return value  # type: ignore[no-any-return]


def page() -> str:
    """The whole page."""
    lines = [HEAD]
    for group, names in GROUPS.items():
        lines.append(f"## {group}")
        for name in names:
            lines += described(f"archspec.{name}", function(name))
    lines += ["## What a network sees", EXPLAIN]
    for name in explain.FUNCTIONS:
        lines += described(f"archspec.explain.{name}", getattr(explain, name))
    lines.append("## What they return")
    lines += ["| type | what it is |", "|---|---|"]
    for name in types():
        about = summary(inspect.getdoc(getattr(archspec, name)) or "")
        lines.append(f"| `{name}` | {about} |")
    return "\n".join(lines) + "\n"


def types() -> list[str]:
    """The classes that `archspec` exports."""
    return [name for name in archspec.__all__ if inspect.isclass(getattr(archspec, name))]


def described(name: str, what: Callable[..., Any]) -> Iterator[str]:
    """The section of a function."""
    sections = sections_of(inspect.getdoc(what) or "")
    yield f"### `{name}`"
    yield f"```\n{name}{shown_signature(what)}\n```"
    yield escaped(sections[""]) + "\n"
    if text := sections.get("Args"):
        yield "| argument | meaning |\n|---|---|"
        for argument, about in entries(text):
            yield f"| `{argument}` | {cell(about)} |"
        yield ""
    if text := sections.get("Returns"):
        yield f"Returns: {flat(text)}\n"
    if text := sections.get("Raises"):
        yield "Raises:\n"
        for error, about in entries(text):
            yield f"- `{error}`: {flat(about)}"
        yield ""
    if text := sections.get("Example"):
        yield f"```pycon\n{text}\n```\n"


def sections_of(doc: str) -> dict[str, str]:
    """A docstring's description, under "", and its sections."""
    sections: dict[str, list[str]] = {"": []}
    current = ""
    for line in doc.splitlines():
        title = line.removesuffix(":")
        if line.endswith(":") and title in SECTIONS:
            current = title
            sections[current] = []
        else:
            sections[current].append(line)
    return {
        title: textwrap.dedent("\n".join(lines)).strip() if title else "\n".join(lines).strip()
        for title, lines in sections.items()
    }


def entries(text: str) -> Iterator[tuple[str, str]]:
    """Yield names and their texts, from `name: text` with its further lines indented."""
    for match in re.finditer(r"^(\S[^:\n]*):((?:.*\n?)(?:^[ \t]+.*\n?|^\n)*)", text, re.MULTILINE):
        yield match[1].lstrip("*"), match[2]


def shown_signature(what: Callable[..., Any]) -> str:
    """A signature as one would write it, without annotations."""
    parameters = [
        each.replace(annotation=inspect.Parameter.empty)
        for each in inspect.signature(what).parameters.values()
    ]
    text = str(inspect.Signature(parameters))
    return re.sub(r"Hosts\(count=1, .*?\)", "Hosts()", text)


def summary(doc: str) -> str:
    """The first sentence or paragraph, on one line."""
    return cell(doc.partition("\n\n")[0])


def flat(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def cell(text: str) -> str:
    return flat(text).replace("|", "\\|")


def escaped(text: str) -> str:
    """A description, in which Markdown would take neither code nor a list for anything else."""
    return text.replace("*", "\\*").replace("<", "&lt;")


if __name__ == "__main__":
    sys.stdout.write(page())
