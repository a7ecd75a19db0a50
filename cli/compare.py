"""`archspec compare`: networks side by side, or where two of them differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from .options import Network, format_option, memory_options, out_option, rows_options, set_option
from .output import FORMATS, SUFFIXES, as_json, check_outputs, complain, deliver

if TYPE_CHECKING:
    from archspec.analysis.report import Report
    from archspec.diagnostics import SpecError

Renderer: TypeAlias = Callable[..., str]
"""Text in a format, for what a terminal is like where the format is text."""


@click.command(
    name="compare", short_help="Show networks side by side, or where two of them differ."
)
@click.argument("specs", nargs=-1, required=True, type=Network(), metavar="SPEC...")
@set_option
@memory_options
@click.option(
    "--sort", metavar="COLUMN", help="Sort by a column; -COLUMN puts the largest first.  [as given]"
)
@click.option("--columns", metavar="A,B,..", help="Columns to show, such as name,params,flops.")
@click.option("--diff", is_flag=True, help="Show where two networks differ, row by row.")
@rows_options
@format_option(*FORMATS)
@out_option(*SUFFIXES)
def command(
    specs: tuple[str, ...],
    settings: dict[str, Any],
    sort: str | None,
    columns: str | None,
    diff: bool,
    depth: int | None,
    ops: bool,
    form: str,
    outputs: tuple[str, ...],
    **memory: Any,
) -> None:
    """Show networks side by side, or where two of them differ.

    A family or a file stands for all its variants; a colon names one. Ratios are to the first.

    \b
    archspec compare alexnet vgg16 googlenet resnet50 --sort params
    archspec compare resnet densenet --batch 32 --columns name,params,macs,training
    archspec compare mine.yaml mine.yaml:wide vgg:vgg19
    archspec compare --diff resnet50 resnet50_keras
    """
    check_outputs(outputs, tuple(SUFFIXES))
    forms = {form, *(SUFFIXES[Path(path).suffix] for path in outputs)}
    if diff and (sort or columns):
        raise click.UsageError("--sort and --columns do not go with --diff")
    if diff and "csv" in forms:
        raise click.UsageError("--diff has no CSV; it can be text, json or markdown")
    if not diff and (depth or ops):
        raise click.UsageError("--depth and --ops go with --diff")
    if columns and "json" in forms:
        raise click.UsageError("--columns does not go with JSON, which has every figure")
    names = columns.split(",") if columns else None
    order = _order(sort, names)
    reports, errors = _reports(specs, settings, memory)
    if diff:
        render = _difference(reports, errors, depth, ops=ops)
    else:
        render = _comparison(reports, order, names)
    if render:
        deliver(render, form, outputs)
    if errors:
        complain(errors)
        raise click.exceptions.Exit(1)


def _order(sort: str | None, columns: Sequence[str] | None) -> str | None:
    """The figure to sort by, once every column that is named is known."""
    from archspec.render.comparison import find

    for name in columns or ():
        find(name)
    if sort is None:
        return None
    column = sort.removeprefix("-")
    return sort[: len(sort) - len(column)] + find(column).figure


def _reports(
    names: Sequence[str], settings: dict[str, Any], memory: dict[str, Any]
) -> tuple[list[Report], list[SpecError]]:
    """What every network costs, and what is wrong with those that cannot be costed."""
    from archspec.analysis.report import report
    from archspec.diagnostics import SpecError
    from archspec.spec.loading import networks

    reports, errors = [], []
    for name in names:
        try:
            members = networks(name, **settings)
        except SpecError as error:
            errors.append(error)
            continue
        for spec in members:
            try:
                reports.append(report(spec, **memory))
            except SpecError as error:
                errors.append(error)
    return reports, errors


def _comparison(
    reports: Sequence[Report], sort: str | None, columns: Sequence[str] | None
) -> Renderer | None:
    from archspec.analysis.compare import Comparison
    from archspec.render import comparison

    if not reports:
        return None
    found = Comparison(tuple(reports), sort)

    def render(form: str, **screen: Any) -> str:
        if form == "json":
            return as_json(found.to_dict())
        text: str = getattr(comparison, form)(found, columns=columns, **screen)
        return text

    return render


def _difference(
    reports: Sequence[Report], errors: Sequence[SpecError], depth: int | None, *, ops: bool
) -> Renderer | None:
    from archspec.analysis.difference import Difference
    from archspec.render import difference

    if len(reports) + len(errors) != 2:
        names = ", ".join(report.name for report in reports)
        raise click.UsageError(
            f"--diff takes two networks, not {len(reports) + len(errors)}: {names}"
        )
    if errors:
        return None
    before, after = reports
    found = Difference(before, after, depth, ops)

    def render(form: str, **screen: Any) -> str:
        if form == "json":
            return as_json(found.to_dict())
        text: str = getattr(difference, form)(found, **screen)
        return text

    return render
