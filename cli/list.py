"""`archspec list`: the networks that come with archspec, or the kinds of steps."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from .output import WIDEST, as_json, bold, terminal_width, wrapped, write

if TYPE_CHECKING:
    from archspec.spec.document import Published


@click.command(name="list")
@click.option("--kinds", is_flag=True, help="List the kinds of steps instead.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="  [text]"
)
def command(kinds: bool, form: str) -> None:
    """List the networks that come with archspec, or the kinds of steps.

    In a pipe, each line has its fields behind tabs: family, name, parameters, MACs and what it is;
    or kind, sort and what it is. The figures are those of the literature, where it says any.
    """
    found = _kinds() if kinds else _families()
    if form == "json":
        write(as_json(found), None)
    elif kinds:
        write(_kinds_text(found), None)
    else:
        write(_families_text(found), None)


def _families() -> list[dict[str, Any]]:
    from archspec.spec.loading import families

    found = []
    for _, document in families():
        members = []
        for name in document.variants or [document.name]:
            published = document.published.get(name)
            params = _params(published) if published else None
            macs = published.macs if published else None
            members.append({"name": name, "params": params, "macs": macs})
        found.append({"family": document.name, "about": document.about, "variants": members})
    return found


def _params(published: Published) -> int | None:
    if published.params is None and None not in (published.trainable, published.non_trainable):
        return (published.trainable or 0) + (published.non_trainable or 0)
    return published.params


def _families_text(families: list[dict[str, Any]]) -> str:
    if not sys.stdout.isatty():
        rows = [
            (family["family"], each["name"], each["params"], each["macs"], family["about"])
            for family in families
            for each in family["variants"]
        ]
        return _tabbed(rows)
    longest = max(len(each["name"]) for family in families for each in family["variants"])
    figures = _figures((terminal_width(sys.stdout) or WIDEST) - len("  ") - longest)
    lines = []
    for family in families:
        first, *more = wrapped(f"{family['family']}: {family['about']}")
        lines += [first.replace(family["family"], bold(family["family"]), 1), *more]
        for each in family["variants"]:
            cells = [_figure(each[key], unit).rjust(width) for key, unit, width in figures]
            lines.append("  ".join([f"  {each['name']:<{longest}}", *cells]).rstrip())
    return "\n".join(lines) + "\n"


def _figures(room: int) -> list[tuple[str, str, int]]:
    """The figures that fit beside a name: their keys, units and widths."""
    figures = [("params", "parameters", 24), ("macs", "MACs", 20)]
    while figures and sum(len("  ") + width for *_, width in figures) > room:
        figures.pop()
    return figures


def _figure(value: int | None, unit: str) -> str:
    return "" if value is None else f"{value:,} {unit}"


def _kinds() -> list[dict[str, str]]:
    from archspec import catalog
    from archspec.element import summary
    from archspec.ops.merge import Merge
    from archspec.ops.op import Op
    from archspec.reference import WORDS

    found = []
    for kind, cls in sorted(catalog.kinds().items()):
        sort = "merge" if issubclass(cls, Merge) else "op" if issubclass(cls, Op) else "block"
        found.append({"kind": kind, "sort": sort, "about": summary(cls)})
    found += [{"kind": word, "sort": "word", "about": each.about} for word, each in WORDS.items()]
    return sorted(found, key=lambda each: ("block", "op", "merge", "word").index(each["sort"]))


TITLES = {
    "block": "Blocks",
    "op": "Ops",
    "merge": "Merges",
    "word": "Words that stand beside a kind, or group steps",
}


def _kinds_text(kinds: list[dict[str, str]]) -> str:
    if not sys.stdout.isatty():
        return _tabbed([(each["kind"], each["sort"], each["about"]) for each in kinds])
    indent = max(len(each["kind"]) for each in kinds) + len("    ")
    lines = []
    for sort, title in TITLES.items():
        lines += ["", *map(bold, wrapped(title))]
        for each in (each for each in kinds if each["sort"] == sort):
            first, *more = wrapped(each["about"], indent) or [""]
            lines.append(f"  {each['kind']}".ljust(indent) + first)
            lines += [" " * indent + line for line in more]
    return "\n".join([*lines[1:], "", "archspec show KIND explains one.", ""])


def _tabbed(rows: list[tuple[Any, ...]]) -> str:
    return "".join(
        "\t".join("" if value is None else str(value) for value in row) + "\n" for row in rows
    )
