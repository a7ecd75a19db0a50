"""Explanation of one word of the language, or the text of a spec that comes with archspec."""

from __future__ import annotations

import inspect
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from archspec import arguments
from archspec.display import Displayed
from archspec.errors import Problem, UsageError

if TYPE_CHECKING:
    from archspec.element import Element
    from archspec.reference import ReferenceEntry


@dataclass(frozen=True)
class Explanation(Displayed):
    """Explanation of a word. Print it, or read its parts."""

    RENDERER = "explanation"

    name: str
    sort: str
    """One of block, op, word, function, section of a spec, and spec."""
    about: str
    """Meaning of the word, in paragraphs; empty for a spec."""
    entries: tuple[ReferenceEntry, ...] = ()
    """Arguments of a kind, or keys of a section."""
    note: str = ""
    """Short form of its main argument."""
    example: str = ""
    """Text of an example; for a spec, its whole text."""
    origin: str = ""
    """Network that the example is from, if it is from one."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: the JSON form."""
        return asdict(self)


def show(name: str) -> Explanation:
    """Explain a kind of step or another word of the language, or show a spec that is bundled.

    Args:
        name: A kind (`"conv"`), a word beside one (`"branches"`), a function of expressions, a
            section of a spec (`"published"`), or a network (`"resnet"`).

    Returns:
        An explanation that prints itself: what it is, its arguments, an example; for a network,
        its spec.

    Raises:
        UsageError: There is nothing of that name.

    Example:
        >>> archspec.show("conv").sort
        'block'
    """
    from archspec.compile import catalog  # noqa: PLC0415  (loaded on use)
    from archspec.ops.banks import BANKS  # noqa: PLC0415
    from archspec.reference import SECTIONS, WORDS, entries  # noqa: PLC0415
    from archspec.spec.bundled import names_of_networks  # noqa: PLC0415
    from archspec.spec.document import Document  # noqa: PLC0415
    from archspec.spec.loading import find  # noqa: PLC0415
    from archspec.spec.operations import FUNCTIONS  # noqa: PLC0415

    name = arguments.text("name", name)
    if name in WORDS:
        word = WORDS[name]
        return Explanation(name, "word", f"{word.about}\n\n{word.text}", example=word.example)
    try:
        return _kind(catalog.find(name))
    except Problem:
        pass
    if name in FUNCTIONS:
        return Explanation(f"={FUNCTIONS[name].usage}", "function", FUNCTIONS[name].about)
    if name in BANKS:
        return show("initial")
    sections = {entry.name: entry for entry in entries(Document)}
    if name in sections:
        keys = entries(SECTIONS[name]) if name in SECTIONS else ()
        return Explanation(name, "section of a spec", sections[name].about, keys)
    specs = names_of_networks()
    if name.partition(":")[0] in specs:
        source, *_ = find(name)
        return Explanation(name, "spec", "", example="\n".join(source.lines).rstrip())
    problem = catalog.unknown_kind(name, (*WORDS, *FUNCTIONS, *sections, *specs))
    hint = problem.help if len(problem.help or "") < 100 else "see `archspec.kinds()`"
    raise UsageError(f"there is nothing called `{name}`; {hint}")


def _kind(cls: type[Element]) -> Explanation:
    from archspec.ops.op import Op  # noqa: PLC0415
    from archspec.reference import entries, example  # noqa: PLC0415

    note = ""
    if cls.main:
        note = f"`{cls.kind}: x` is short for `{cls.kind}: {{{cls.main}: x}}`."
    text, family = example(cls)
    return Explanation(
        cls.kind,
        "op" if issubclass(cls, Op) else "block",
        inspect.getdoc(cls) or "",
        entries(cls),
        note,
        text,
        family or "",
    )
