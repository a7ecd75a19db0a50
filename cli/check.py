"""`archspec check`: every variant valid, what the literature says true, budgets kept."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from .options import set_option, variant_option
from .output import complain, echo, has_color

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

    members: list[Spec] = []
    claims = failures = 0
    for name in specs:
        try:
            members += _members(name, variant, settings)
        except SpecError as error:
            failures += 1
            complain([error])
    networks = len(members) + failures
    width = max((len(spec.name) for spec in members), default=0)
    said: set[str] = set()  # the same mistake in every variant is said once
    for spec in members:
        try:
            line, proved = _prove(spec)
            claims += proved
        except SpecError as error:
            failures += 1
            line = _style("failed", fg="red", bold=True)
            if str(error) not in said:
                complain([error])
            said.add(str(error))
        echo(f"{spec.name:<{width}}  {line}")
    if failures:
        echo(f"{failures} of {_count(networks, 'network')} failed", err=True)
        raise click.exceptions.Exit(1)
    echo(f"{_count(networks, 'network')}, {_count(claims, 'claim')}: all hold")


def _members(name: str, variant: str | None, settings: dict[str, Any]) -> list[Spec]:
    """The networks that a SPEC stands for: all variants of a family, or the one named."""
    from archspec.spec.document import choose
    from archspec.spec.loading import find

    source, validated, named = find(name)
    chosen = variant or named
    variants: list[str | None] = [chosen] if chosen else [*validated.document.variants]
    return [choose(validated, source, each, settings) for each in variants or [None]]


def _prove(spec: Spec) -> tuple[str, int]:
    """What was proved, and how many claims; `SpecError` with every claim that does not hold."""
    from archspec.analysis.report import report
    from archspec.diagnostics import SpecError
    from archspec.spec.findings import spec_error
    from archspec.training.recipe.recipe import Recipe, places

    costs = report(spec)
    wrong = [check.diagnostic(spec) for check in costs.checks if not check.holds]
    try:
        with places(spec):
            Recipe.resolve(spec.train)
    except SpecError as error:
        wrong += error.diagnostics
    if wrong:
        raise spec_error(spec.source, wrong)
    totals, proved = costs.totals, len(costs.checks)
    line = (
        f"{_style('ok', fg='green')}  {totals.params:>13,} parameters  {totals.macs:>14,} MACs  "
        f"{_count(proved, 'claim')}"
    )
    return line, proved


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _style(text: str, **style: Any) -> str:
    return click.style(text, **style) if has_color(sys.stdout) else text
