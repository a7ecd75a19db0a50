"""`archspec check`: every variant valid, what the literature says true, budgets kept."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from .options import set_option, variant_option
from .output import has_color, terminal_width

if TYPE_CHECKING:
    from archspec.spec.document import Spec


@click.command(
    name="check", short_help="Prove a spec: every variant valid, its figures and budgets true."
)
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...")
@variant_option
@set_option
def command(specs: tuple[str, ...], variant: str | None, settings: dict[str, Any]) -> None:
    """Prove a spec: every variant valid, its figures and budgets true.

    A family is checked in all its variants; the exit code is 1 if any fails.

    \b
    archspec check specs/mine.yaml
    archspec check vgg resnet50 densenet
    """
    from archspec.diagnostics import SpecError
    from archspec.render.diagnostics import render

    failed = False
    for name in specs:
        try:
            members = list(_members(name, variant, settings))
        except SpecError as error:
            members = []
            failed = True
            width = terminal_width(sys.stderr) or 100
            click.echo(render(error, color=has_color(sys.stderr), width=width), err=True)
        seen: set[str] = set()
        for spec in members:
            try:
                click.echo(_prove(spec))
            except SpecError as error:
                failed = True
                text = render(error, color=has_color(sys.stderr), width=100)
                if text not in seen:  # the same mistake in every variant is said once
                    click.echo(text, err=True)
                seen.add(text)
                click.echo(f"{spec.name}: failed")
    if failed:
        raise click.exceptions.Exit(1)


def _members(name: str, variant: str | None, settings: dict[str, Any]) -> Iterator[Spec]:
    """The networks that a SPEC stands for: all variants of a family, or the one named."""
    from archspec.spec.document import choose
    from archspec.spec.library import find

    source, validated, named = find(name)
    chosen = variant or named
    members: list[str | None] = [chosen] if chosen else [*validated.document.variants]
    for member in members or [None]:
        yield choose(validated, source, member, settings)


def _prove(spec: Spec) -> str:
    """A line on what was proved; `SpecError` with every claim that does not hold."""
    from archspec.analysis.report import report
    from archspec.spec.document import spec_error

    costs = report(spec)
    wrong = [check.diagnostic(spec) for check in costs.checks if not check.holds]
    if wrong:
        raise spec_error(spec.source, wrong)
    totals = costs.totals
    claims = f"{len(costs.checks)} claims hold" if costs.checks else "makes no claims"
    return f"{spec.name}: ok, {totals.params:,} parameters, {totals.macs:,} MACs, {claims}"
