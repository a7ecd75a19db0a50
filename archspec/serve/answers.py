"""Answers about a text: its picture and mistakes, completions, explanations.

`python -P -m archspec.serve.answers` reads one question a line, a JSON object, and writes two lines
of JSON for each: the answer, and the page to show or null. It is a process of its own: the server
can end it if an answer takes too long, and nothing that a text asks for exhausts the server.
"""

from __future__ import annotations

import contextlib
import json
import sys
import traceback
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from archspec.assist.completion import Completion, completions
from archspec.assist.diagnostics import Mistake, identity, mistakes
from archspec.assist.document import Document, Region
from archspec.assist.fixes import Fix, fixes
from archspec.assist.hints import Hint, hints
from archspec.assist.hover import hover
from archspec.assist.places import Units
from archspec.cost.report import Report, report
from archspec.cost.size import at_if_open
from archspec.errors import Diagnostic, Problem, SpecError, UsageError
from archspec.graph.sizes import open_input, usual, words
from archspec.render.page.data import page_data
from archspec.spec.document import INPUT_KEYS, Spec, choose
from archspec.spec.source import read_value

MOST_MEMORY: Final = 2 * 2**30
"""Bytes of address space of the process; the largest network that is allowed needs a tenth."""

MOST_MISTAKES: Final = 100
"""Largest number of mistakes that are shown."""

MOST_COMPLETIONS: Final = 500
"""Largest number of completions that are listed."""

MOST_HINTS: Final = 2_000
"""Largest number of hints behind lines."""

MOST_DOCUMENTS: Final = 8
"""Largest number of variants whose last text is remembered."""

MOST_VARIABLES: Final = 50
"""Largest number of variables that become controls."""

SIZE: Final = "at"
"""Control of the size at which an open input is shown, named as the argument of `report`."""

TOO_MUCH: Final = "this needs more memory than archspec allows a page, and was stopped"


class Answer(NamedTuple):
    """Statements about a text, and the page of its network if there is one."""

    said: dict[str, Any]
    page: Any = None


class Reader:
    """Answers questions, and remembers the last text of each variant that was asked about.

    So a text is examined once for all that is asked about it, and one that is broken while somebody
    types still has the names and figures of the last good one.
    """

    def __init__(self) -> None:
        self._documents: OrderedDict[str | None, Document] = OrderedDict()

    def answer(self, question: Mapping[str, Any]) -> Answer:
        """Return the answer to a question: its `ask` is `look`, `complete` or `hover`."""
        document = self._document(question["text"], question["name"], question.get("variant"))
        units = Units(document.text)
        if question["ask"] == "look":
            return _look(document, question.get("variables") or {}, units)
        offset = units.offset(question["at"])
        if question["ask"] == "complete":
            listed = completions(document, offset)[:MOST_COMPLETIONS]
            return Answer({"completions": [_completion(each, units) for each in listed]})
        explained = hover(document, offset)
        if explained is None:
            return Answer({"hover": None})
        return Answer({"hover": {"markdown": explained.markdown, **_span(explained.region, units)}})

    def _document(self, text: str, name: str, variant: str | None) -> Document:
        document = self._documents.get(variant) or Document(text, name, variant)
        if document.text != text:
            document = document.edited(text)
        self._documents[variant] = document
        self._documents.move_to_end(variant)
        while len(self._documents) > MOST_DOCUMENTS:
            self._documents.popitem(last=False)
        return document


def _look(document: Document, variables: Mapping[str, str], units: Units) -> Answer:
    said: dict[str, Any] = {"problem": None}
    size = variables.get(SIZE, "")
    costs: Report | None = None
    examined = document.examined
    found = [*mistakes(document)] or _marked(document, examined.member.diagnostics)
    try:
        if examined.source is not None and examined.validated is not None:
            said["variants"] = list(examined.validated.document.variants)
            own = {name: text for name, text in variables.items() if name != SIZE}
            values = _values(own)
            spec = choose(examined.validated, examined.source, document.variant, values)
            written = choose(examined.validated, examined.source, document.variant, {})
            said |= _controls(written, spec, size)
            at = at_if_open(spec, size)
            costs = report(spec, at=at or None) if values or at else examined.report
            if costs is not None and costs.graph.is_open:
                costs, shown = _at_usual_size(costs)
                said["variables"][-1] |= {"written": shown, "value": shown}
    except SpecError as error:
        known = {identity(mistake.diagnostic) for mistake in found}
        fresh = (each for each in error.diagnostics if identity(each) not in known)
        found += _marked(document, fresh)
    except UsageError as error:  # the text may have lost the variant, or a variable
        said["problem"] = str(error)
        if examined.spec is not None:
            said |= _controls(examined.spec, examined.spec, size)
    page = None
    if costs is not None:
        try:
            page = page_data(costs)
        except UsageError as error:
            said["problem"] = str(error)
    said |= {
        "mistakes": [_mark(each, units) for each in found[:MOST_MISTAKES]],
        "more": max(0, len(found) - MOST_MISTAKES),
        "fixes": [_fix(each, units) for each in fixes(document, Region(0, len(document.text)))][
            :MOST_MISTAKES
        ],
        "hints": [_hint(each, units) for each in hints(document)[:MOST_HINTS]],
    }
    return Answer(said, page)


def _marked(document: Document, diagnostics: Iterable[Diagnostic]) -> list[Mistake]:
    return [Mistake(each, document.region(each.span)) for each in diagnostics]


def _at_usual_size(costs: Report) -> tuple[Report, str]:
    """Return a network of open input at a size that is usual, and that size.

    Raises:
        UsageError: It takes none.
    """
    sizes = usual(costs.graph, costs.smallest)
    if sizes is None or costs.spec is None:
        raise UsageError(f"{costs.name} takes an input of no size")
    shape = open_input(costs.graph)
    return report(costs.spec, at=shape.at(sizes).spatial), words(shape, sizes)


def _controls(written: Spec, shown: Spec, size: str) -> dict[str, Any]:
    """Return the variant that is shown, and its variables as the text has them and as they are.

    An open input has its size as one more, the last.
    """
    names = [name for name in written.settings if name not in INPUT_KEYS]
    inputs = [key for key in INPUT_KEYS if key in written.settings and key in shown.settings]
    return {
        "variant": shown.variant,
        "variables": [
            {
                "name": name,
                "written": _written(written.settings[name][0]),
                "value": _written(shown.settings[name][0]),
            }
            for name in [*inputs, *names[:MOST_VARIABLES]]
            if name != SIZE
        ]
        + ([{"name": SIZE, "written": "", "value": size}] if at_if_open(shown, at=True) else []),
    }


def _values(variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of variables that a person typed."""
    values = {}
    for name, text in variables.items():
        try:
            values[name] = read_value(text, mappings=name == "inputs")
        except Problem as problem:
            hint = f"; {problem.help}" if problem.help else ""
            raise UsageError(f"`{name}`: {problem}{hint}") from None
    return values


def _written(value: Any) -> str:
    """Return a value as a person would type it."""
    if isinstance(value, str):
        with contextlib.suppress(Problem):
            if read_value(value) == value:
                return value
    return json.dumps(value, ensure_ascii=False)


def _mark(mistake: Mistake, units: Units) -> dict[str, Any]:
    diagnostic = mistake.diagnostic
    return {
        "code": diagnostic.code,
        "message": diagnostic.message,
        "notes": list(diagnostic.notes),
        "help": diagnostic.help,
        "line": diagnostic.span.line if diagnostic.span else None,
        "column": diagnostic.span.column if diagnostic.span else None,
        **_span(mistake.region, units),
    }


def _span(region: Region, units: Units) -> dict[str, int]:
    return {"from": units.unit(region.start), "to": units.unit(region.stop)}


def _hint(hint: Hint, units: Units) -> dict[str, Any]:
    return {"at": units.unit(hint.offset), "text": hint.text}


def _fix(fix: Fix, units: Units) -> dict[str, Any]:
    at = units.unit(fix.mistake.region.start)
    return {"title": fix.title, "of": at, **_span(fix.edit.region, units), "text": fix.edit.text}


def _completion(completion: Completion, units: Units) -> dict[str, Any]:
    return {
        "label": completion.label,
        **_span(completion.region, units),
        "text": completion.text,
        "sort": completion.sort,
        "detail": completion.detail,
        "about": completion.about,
        "snippet": completion.is_snippet,
    }


def main() -> None:
    """Answer the questions on standard input until it is closed."""
    _bound_memory()
    reader = Reader()
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # whatever is printed stays out of the answers
    for question in questions:
        try:
            said, page = reader.answer(json.loads(question))
        except MemoryError:
            said, page = {"failed": TOO_MUCH}, None
        except Exception:  # noqa: BLE001  (the server goes on, and says that there is a bug)
            traceback.print_exc()
            said, page = {"failed": "archspec has a bug here: the terminal shows a traceback"}, None
        lines = [json.dumps(each, allow_nan=False, separators=(",", ":")) for each in (said, page)]
        answers.write("\n".join([*lines, ""]).encode())
        answers.flush()


def _bound_memory() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows, macOS
        import resource  # noqa: PLC0415

        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))


if __name__ == "__main__":
    main()
