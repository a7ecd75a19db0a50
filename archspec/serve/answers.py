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
from bisect import bisect_left
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from archspec.assist.completion import Completion, completions
from archspec.assist.diagnostics import mistakes
from archspec.assist.document import Document, Region
from archspec.assist.fixes import Fix, fixes
from archspec.assist.hover import hover
from archspec.cost.report import report
from archspec.errors import Diagnostic, Problem, SpecError, UsageError
from archspec.render.page.data import page_data
from archspec.spec.document import Spec, Validated, choose, validate
from archspec.spec.source import LINE_BREAK, Source, parse, read_value

MOST_MEMORY: Final = 2 * 2**30
"""Bytes of address space of the process; the largest network that is allowed needs a tenth."""

MOST_MISTAKES: Final = 100
"""Largest number of mistakes that are shown."""

MOST_COMPLETIONS: Final = 500
"""Largest number of completions that are listed."""

MOST_VARIABLES: Final = 50
"""Largest number of variables that become controls."""

TOO_MUCH: Final = "this needs more memory than archspec allows a page, and was stopped"


class Answer(NamedTuple):
    """Statements about a text, and the page of its network if there is one."""

    said: dict[str, Any]
    page: Any = None


def answer(question: Mapping[str, Any]) -> Answer:
    """Return the answer to a question: its `ask` is `look`, `complete` or `hover`."""
    text, name = question["text"], question["name"]
    variant = question.get("variant")
    document = Document(text, name, variant)
    units = Units(text)
    if question["ask"] == "look":
        return _look(document, question.get("variables") or {}, units)
    offset = units.offset(question["at"])
    if question["ask"] == "complete":
        listed = completions(document, offset)[:MOST_COMPLETIONS]
        return Answer({"completions": [_completion(each, units) for each in listed]})
    explained = hover(document, offset)
    if explained is None:
        return Answer({"hover": None})
    start, stop = map(units.unit, explained.region)
    return Answer({"hover": {"markdown": explained.markdown, "from": start, "to": stop}})


class Units:
    """Offsets of a text as Python counts them, in characters, and as browsers do, in UTF-16."""

    def __init__(self, text: str) -> None:
        self._length = len(text)
        self._wide = [] if text.isascii() else [i for i, c in enumerate(text) if c > "\uffff"]
        self._wide_units = [index + before for before, index in enumerate(self._wide)]

    def unit(self, offset: int) -> int:
        """Return a browser's offset for one of Python's."""
        return offset + bisect_left(self._wide, offset)

    def offset(self, unit: int) -> int:
        """Return Python's offset for one of a browser's."""
        return max(0, min(unit - bisect_left(self._wide_units, unit), self._length))


def _look(document: Document, variables: Mapping[str, str], units: Units) -> Answer:
    said: dict[str, Any] = {"problem": None}
    page = None
    found = list(mistakes(document))
    known = {each.diagnostic for each in found}
    own: tuple[Diagnostic, ...] = ()
    try:
        source = parse(document.text, document.name)
        validated = validate(source)
        said |= _choices(validated)
        spec = choose(validated, source, document.variant, _values(variables))
        said |= _controls(validated, source, spec)
        page = _page(spec)
    except SpecError as error:
        own = error.diagnostics
    except UsageError as error:
        said["problem"] = str(error)
    marks = [_mark(each, region, units) for each, region in found]
    marks += [_mark(each, _region(document.text, each), units) for each in own if each not in known]
    mends = fixes(document, Region(0, len(document.text))) if found else ()
    said |= {
        "mistakes": marks[:MOST_MISTAKES],
        "more": max(0, len(marks) - MOST_MISTAKES),
        "fixes": [_fix(each, units) for each in mends[:MOST_MISTAKES]],
    }
    return Answer(said, page)


def _region(text: str, diagnostic: Diagnostic) -> Region:
    """Return the part of a text that a diagnostic is about; its start for none."""
    span = diagnostic.span
    if span is None:
        return Region(0, 0)
    starts = [0, *(each.end() for each in LINE_BREAK.finditer(text))]
    ends = [(span.line, span.column), (span.end_line, span.end_column)]
    start, stop = (min(starts[line - 1] + column - 1, len(text)) for line, column in ends)
    return Region(start, stop)


def _choices(validated: Validated) -> dict[str, Any]:
    """Return the names of the variants."""
    return {"variants": list(validated.document.variants)}


def _controls(validated: Validated, source: Source, spec: Spec) -> dict[str, Any]:
    """Return the variant that is shown, and its variables as the text has them and as they are."""
    written = choose(validated, source, spec.variant, {}).settings
    names = [name for name in written if name != "input"]
    return {
        "variant": spec.variant,
        "variables": [
            {
                "name": name,
                "written": _written(written[name][0]),
                "value": _written(spec.settings[name][0]),
            }
            for name in ["input", *names[:MOST_VARIABLES]]
        ],
    }


def _values(variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of variables that a person typed."""
    values = {}
    for name, text in variables.items():
        try:
            values[name] = read_value(text)
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


def _page(spec: Spec) -> Any:
    """Return the data of a network's page."""
    costs = report(spec)
    return page_data(costs)


def _mark(diagnostic: Diagnostic, region: Region, units: Units) -> dict[str, Any]:
    start, stop = map(units.unit, region)
    return {
        "code": diagnostic.code,
        "message": diagnostic.message,
        "notes": list(diagnostic.notes),
        "help": diagnostic.help,
        "line": diagnostic.span.line if diagnostic.span else None,
        "column": diagnostic.span.column if diagnostic.span else None,
        "from": start,
        "to": stop,
    }


def _fix(fix: Fix, units: Units) -> dict[str, Any]:
    start, stop = map(units.unit, fix.edit.region)
    at = units.unit(fix.mistake.region.start)
    return {"title": fix.title, "of": at, "from": start, "to": stop, "text": fix.edit.text}


def _completion(completion: Completion, units: Units) -> dict[str, Any]:
    start, stop = map(units.unit, completion.region)
    return {
        "label": completion.label,
        "from": start,
        "to": stop,
        "text": completion.text,
        "sort": completion.sort,
        "detail": completion.detail,
        "about": completion.about,
        "snippet": completion.is_snippet,
    }


def main() -> None:
    """Answer the questions on standard input until it is closed."""
    _bound_memory()
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # whatever is printed stays out of the answers
    for question in questions:
        try:
            said, page = answer(json.loads(question))
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
