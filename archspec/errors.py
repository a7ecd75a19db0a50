"""Problems as data: where they are, what is wrong, what would be right. Rendering is elsewhere.

Exception
└── Portable               can be pickled
    ├── ArchspecError      everything archspec raises on a user's mistake
    │   ├── SpecError      one or more diagnostics, each at a place in a spec
    │   ├── UsageError     a wrong argument of a command or a function: no place in a file
    │   ├── EngineError    what an engine cannot compute here: too little memory, or no kernel
    │   └── DivergedError  a training whose loss became infinite or not a number (runs/outcome)
    └── Problem            raised where the place is not known; made a diagnostic where it is

Messages quote Python in backticks: an argument as `epochs=3`, or `epochs=` whatever its value; a
key of a recipe as `data.path=`; a call as `archspec.resume('runs/a')`. On the command line
`archspec.cli.spelling` shows these as options and commands, so no message names an option.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

KeyPath: TypeAlias = tuple[str | int, ...]
"""Keys and indices that lead from the top of a document to a value."""

CODES: Final[dict[str, str]] = {
    "file": "the spec cannot be read",
    "syntax": "the text is not YAML or JSON",
    "limit": "the spec is larger than archspec accepts",
    "duplicate": "a key or a name stands twice",
    "missing": "something required is not there",
    "unknown-key": "a key that the language does not have",
    "unknown-kind": "a step of a kind that does not exist",
    "unknown-name": "a step, variable or variant that is not defined",
    "circular": "a definition that leads back to itself",
    "type": "a value of the wrong type",
    "value": "a value outside what is allowed",
    "expression": "an expression that cannot be evaluated",
    "shape": "layers, or arguments of one, that do not fit together",
    "unused": "a step whose output nothing takes",
    "published": "a figure that differs from the published one",
    "expect": "a figure that is not what the author expects",
    "budget": "a figure over what the author allows",
}
"""Every code a diagnostic may carry, with its meaning."""

MOST_CHARACTERS: Final = 2_000
"""Largest length of a message: what it quotes may be as long as a spec."""

MOST_CANDIDATES: Final = 1_000
"""Largest number of names that a misspelt one is compared with: each takes time."""

MOST_LISTED: Final = 100
"""Largest number of names in a help line."""


class Span(NamedTuple):
    """A stretch of text: 1-based lines and columns; the end column is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


class Mend(str):
    """A help line that knows what to write: editors offer it as a quick fix.

    It is text like every other help line, so it passes through all that handles those.

    Args:
        text: The help line.
        replacement: What to write, in the form of a spec.
        word: The part of the wrong value that it replaces; by default all of it.

    Example:
        >>> Mend("did you mean `conv`?", "conv", "cnov").replacement
        'conv'
    """

    __slots__ = ("replacement", "word")

    replacement: str
    word: str | None

    def __new__(cls, text: str, replacement: str = "", word: str | None = None) -> Self:
        mend = super().__new__(cls, text)
        mend.replacement = replacement
        mend.word = word
        return mend


def did_you_mean(right: str, word: str | None = None) -> Mend:
    """Return the help line that asks whether `right` was meant, in place of `word` or of all."""
    return Mend(f"did you mean `{right}`?", right, word)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem of a spec. `span` is None when it concerns the file as a whole."""

    code: str
    message: str
    span: Span | None = None
    notes: tuple[str, ...] = ()
    help: str | None = None
    file: str | None = None

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise KeyError(self.code)

    def __str__(self) -> str:
        place = f":{self.span.line}:{self.span.column}" if self.span else ""
        return f"{self.file or '<spec>'}{place}: error[{self.code}] {self.message}"

    def _repr_markdown_(self) -> str:
        return str(self)

    @property
    def replacement(self) -> str | None:
        """The right text in place of the mistake, where the help line knows it."""
        return self.help.replacement if isinstance(self.help, Mend) else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: the place, the code, the message, the help and the replacement."""
        return {
            "file": self.file,
            "line": self.span.line if self.span else None,
            "column": self.span.column if self.span else None,
            "code": self.code,
            "message": self.message,
            "help": self.help,
            "replacement": self.replacement,
        }


class Portable(Exception):  # noqa: N818  (a base class, also of exceptions that are not errors)
    """An exception that can be pickled, for other processes, whatever its `__init__` takes.

    By default, unpickling calls the class with `args`, which is only the message.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[Portable], args: tuple[object, ...], state: dict[str, object]) -> Portable:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class Problem(Portable):
    """A mistake, raised by code that does not know where the user wrote it."""

    def __init__(self, code: str, message: str, *, help: str | None = None) -> None:  # noqa: A002
        super().__init__(code, message)  # the arguments with which a copy is made of a pickle
        self.code = code
        self.message = _cut(message)
        self.help = help
        self.path: str | None = None
        """Path of the layer inside the step that the user wrote, as stage1/unit2/conv1."""
        self.note: str | None = None
        """A fact that helps to see the mistake."""

    def __str__(self) -> str:
        return self.message

    def at(self, span: Span | None) -> Diagnostic:
        notes = (f"at {self.path}",) if self.path else ()
        notes = (*notes, self.note) if self.note else notes
        return Diagnostic(self.code, self.message, span, notes, self.help)


class ArchspecError(Portable):
    """A user's mistake."""


class UsageError(ArchspecError):
    """A wrong argument of a command or a function."""


class EngineError(ArchspecError):
    """A network that this machine cannot compute, as it has too little memory or no kernel."""


@dataclass(eq=False)
class SpecError(ArchspecError):
    """All problems of a spec, in the order of the text."""

    diagnostics: tuple[Diagnostic, ...]
    lines: Sequence[str] = field(default=(), repr=False)
    """The text of the spec, to show with each place."""

    def __post_init__(self) -> None:
        self.args = (self.diagnostics, self.lines)  # for a pickle, however they were given

    def __str__(self) -> str:
        return "\n".join(map(str, self.diagnostics))


def _cut(message: str) -> str:
    return message if len(message) <= MOST_CHARACTERS else f"{message[:MOST_CHARACTERS]}..."


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that `word` misspells, or None.

    Case, separators and a plural's `s` count nothing. One letter in four may be missing, wrong, too
    many or swapped with the next: with more, or in a word of two, another word is as likely. So it
    is with another first letter in a word of three: `gpu` is not `cpu`. A word may also be a short
    form: `cosine` of `cosine_decay`, `exp_decay` of `exponential_decay`.
    """
    names = list(islice(candidates, MOST_CANDIDATES))
    word = word[:80]
    plain = _plain(word)
    for name in names:
        if plain and _alike(plain, _plain(name)):
            return name
    for slips in range(1, min(len(word) // 4 or len(word) // 3, 3) + 1):
        near = [
            name
            for name in names
            if _misspells(word, name, slips) and not (len(name) == 3 and name[1:] == word[1:])
        ]
        if near:
            from difflib import SequenceMatcher  # noqa: PLC0415  (only where something is wrong)

            def likelihood(name: str) -> tuple[bool, float]:
                swapped = sorted(name) == sorted(word)
                return swapped, SequenceMatcher(None, word, name).ratio()

            return max(near, key=likelihood)
    longer = [name for name in names if _abbreviates(word, name)]
    shortest = min(longer, key=len, default="")
    return shortest if shortest and all(name.startswith(shortest) for name in longer) else None


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()


def _alike(word: str, name: str) -> bool:
    """Return whether two words are the same, or singular and plural."""
    shorter, longer = sorted((word, name), key=len)
    return longer in (shorter, f"{shorter}s", f"{shorter}es")


def _abbreviates(word: str, name: str) -> bool:
    """Return whether the parts of a word begin those of the name, one by one."""
    parts, others = word.lower().split("_"), name.lower().split("_")
    shortest = min(map(len, parts))
    if shortest < 3 or len(parts) > len(others):
        return False
    return all(b.startswith(a) for a, b in zip(parts, others, strict=False))


def _same_start(word: str, name: str) -> int:
    """Return the number of characters with which both words begin."""
    pairs = enumerate(zip(word, name, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(word), len(name)))


def _misspells(word: str, name: str, slips: int) -> bool:
    """Return whether at most `slips` slips turn `name` into `word`."""
    if abs(len(word) - len(name)) > slips:
        return False
    same = _same_start(word, name)
    word, name = word[same:], name[same:]
    if not word or not name or not slips:
        return len(word) + len(name) <= slips
    ways = [(word[1:], name), (word, name[1:]), (word[1:], name[1:])]
    if word[:2] == name[1::-1]:
        ways.append((word[2:], name[2:]))
    return any(_misspells(*way, slips - 1) for way in ways)


def call(function: str, *arguments: object, **named: object) -> str:
    """Return a call of a public function as messages quote it: `archspec.load('vgg', classes=3)`.

    Paths and strings are shown as strings; `...` stands for what the reader is to fill in.
    """
    words = [_literal(value) for value in arguments]
    words += [f"{name}={_literal(value)}" for name, value in named.items()]
    return f"`archspec.{function}({', '.join(words)})`"


def _literal(value: object) -> str:
    if value is ...:
        return "..."
    return repr(os.fspath(value) if isinstance(value, os.PathLike) else value)


@contextmanager
def extra(name: str, need: str) -> Iterator[None]:
    """Run imports of packages that are installed with an extra of archspec.

    Args:
        name: The extra.
        need: Beginning of the message if they are missing: what needs which packages.

    Raises:
        UsageError: One of them is missing; the message says how to install them.

    """
    try:
        yield
    except ImportError as error:
        raise UsageError(f"{need} ({error}): pip install 'keras-archspec[{name}]'") from None


def beside(path: Path) -> str:
    """Return the end of a sentence about a missing path: a file beside it with a like name."""
    siblings = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
    match = nearest(path.name, siblings)
    return f"; did you mean `{path.with_name(match)}`?" if match else ""


def listed(names: Sequence[str], most: int = 5) -> str:
    """Return the first of some names in backticks, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(f"`{name}`" for name in names[:most]) + more


def first_few(names: Sequence[str], most: int = 5) -> str:
    """Return the first of some names, and an ellipsis if there are more."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def suggestion(word: str, candidates: Iterable[str], *, what: str, meant: str | None = None) -> str:
    """Return a help line: the candidate that is `meant` or nearest, or else all of them.

    `meant` is known from elsewhere, as from another tool's word for it.
    """
    names = sorted(candidates)
    match = meant or nearest(word, names)
    if match is not None:
        return did_you_mean(match, word)
    if not names:
        return f"there are no {what}"
    return _cut(f"{what}: {first_few(names, MOST_LISTED)}")


class RecipeError(ArchspecError):
    """All problems of a recipe, each with its path inside `train:`."""

    def __init__(self, problems: Iterable[tuple[KeyPath, Problem]]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "; ".join(problem.message for _, problem in self.problems)
