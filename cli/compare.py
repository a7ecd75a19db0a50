"""`archspec compare`: networks side by side, or where two of them differ; or trained runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import (
    NetworkName,
    convention_option,
    engine_option,
    format_option,
    memory_options,
    out_option,
    rows_options,
    set_option,
)
from .output import (
    FIGURES,
    FORMATS,
    SUFFIXES,
    apart,
    check_outputs,
    complain,
    deliver,
    echo,
    save,
    tell,
    terminal_width,
)

if TYPE_CHECKING:
    from archspec.cost.compare import Comparison
    from archspec.cost.difference import Difference
    from archspec.cost.report import Report
    from archspec.errors import SpecError

PICTURES = (".svg", ".png")
"""Suffixes of pictures that `-o` may write with --runs."""

BY = ("recipe", "network", "run")
"""Values of `--by`."""


@click.command(
    name="compare",
    short_help="Show networks side by side, or where two of them differ; or trainings.",
)
@click.argument("specs", nargs=-1, type=NetworkName(), metavar="SPEC...", is_eager=True)
@click.option("--runs", is_flag=True, help="Compare the trainings in the folders of runs; no SPEC.")
@click.option(
    "--curves",
    metavar="A,B,..",
    help="With --runs: the measures in a picture, such as loss,val_accuracy.  [loss,error]",
)
@click.option(
    "--by",
    type=click.Choice(BY),
    metavar="WHAT",
    help="With --runs: group the runs that have this in common: recipe (all but the seeds), "
    "network or run.  [recipe]",
)
@set_option
@memory_options
@engine_option
@convention_option
@click.option(
    "--sort", metavar="COLUMN", help="Sort by a column; -COLUMN puts the largest first.  [as given]"
)
@click.option("--columns", metavar="A,B,..", help="Columns to show, such as name,params,flops.")
@click.option("--diff", is_flag=True, help="Show where two networks differ, row by row.")
@click.option(
    "--plot", is_flag=True, help="Write the figure alone: to -o FILE.svg, or as SVG into a pipe."
)
@rows_options
@format_option(*FORMATS)
@out_option(*SUFFIXES, *FIGURES)
def command(
    specs: tuple[str, ...],
    runs: bool,
    curves: str | None,
    by: str | None,
    settings: dict[str, Any],
    sort: str | None,
    columns: str | None,
    diff: bool,
    plot: bool,
    depth: int | None,
    ops: bool,
    form: str,
    outputs: tuple[str, ...],
    **memory: Any,
) -> None:
    """Show networks side by side, or where two of them differ; with --runs, trainings.

    A family or a file means all its variants; a colon names one; a model file, such as a .keras or
    an .onnx, is a network like others. Ratios are to the first. -o FILE.svg draws parameters
    against MACs, with --diff both networks beside each other. With --runs the words are folders of
    runs; -o FILE.svg or FILE.png draws their curves.

    \b
    archspec compare alexnet vgg16 googlenet resnet50 --sort params
    archspec compare resnet densenet --batch 32 --columns name,params,macs,must_keep
    archspec compare mine.yaml mine.yaml:wide vgg:vgg19
    archspec compare --diff resnet50 resnet50_keras -o difference.svg
    archspec compare --runs runs/lenet5-* runs/mine-1 -o curves.svg --curves loss,error
    """
    from archspec.cost.compare import Comparison
    from archspec.cost.difference import Difference

    if not specs:
        what = "RUN...': folders of runs" if runs else "SPEC...': specs, or names of networks"
        raise click.UsageError(f"Missing argument '{what}.")
    if runs:
        others = {"--set": settings, "--columns": columns, "--diff": diff, "--depth": depth}
        others["--plot"] = plot
        others |= {"--ops": ops, **{f"--{name}": value for name, value in memory.items()}}
        _refuse("--runs", others)
        _compare_runs(specs, curves, by, sort, form, outputs)
        return
    _refuse("networks, only with --runs", {"--curves": curves, "--by": by})
    check_outputs(outputs, (*SUFFIXES, *FIGURES), specs=specs)
    tables, figures = apart(outputs)
    _check_table(form, tables, sort, columns, diff=diff, opened=bool(depth or ops))
    if plot:
        _check_plot(form, columns, tables, figures)
    names = columns.split(",") if columns else None
    if diff:
        _refuse("--diff", {"--convention": memory["convention"], "--engine": memory["engine"]})
    order = _order(sort, names)
    reports, errors = _reports(specs, settings, memory)
    value: Comparison | Difference | None = None
    if diff:
        _check_two(reports, errors)
        value = None if errors else Difference(reports[0], reports[1], depth, ops)
    elif reports:
        value = Comparison(tuple(reports), order)
    if value:
        layout = {} if diff else {"columns": names}
        deliver(value, None if plot else form, tables, layout=layout)
        _draw(value, figures, shown=plot and not figures)
    if errors:
        complain(errors)
        raise click.exceptions.Exit(1)


def _check_table(
    form: str,
    tables: Sequence[str],
    sort: str | None,
    columns: str | None,
    *,
    diff: bool,
    opened: bool,
) -> None:
    """Refuse options of a comparison with `--diff`, those of a difference without it."""
    forms = {form, *(SUFFIXES[Path(path).suffix] for path in tables)}
    if diff and (sort or columns):
        raise click.UsageError("--sort and --columns do not go with --diff")
    if diff and "csv" in forms:
        raise click.UsageError("--diff has no CSV; it can be text, json or markdown")
    if not diff and opened:
        raise click.UsageError("--depth and --ops go with --diff")
    if columns and "json" in forms:
        raise click.UsageError("--columns does not go with JSON, which has every figure")


def _check_plot(
    form: str, columns: str | None, tables: Sequence[str], figures: Sequence[str]
) -> None:
    """Refuse `--plot` with options of the table that it replaces, or with nowhere to go."""
    if not figures and terminal_width(sys.stdout) is not None:
        raise click.UsageError("a figure goes to a file: add -o plot.svg")
    if form != "text":
        raise click.UsageError(f"--format {form} does not go with --plot, which prints no table")
    if columns and not tables:
        raise click.UsageError("--columns does not go with --plot, which prints no table")


def _draw(value: Comparison | Difference, paths: Sequence[str], *, shown: bool) -> None:
    """Write the figure of a comparison or a difference; `shown` prints it as SVG."""
    if not (paths or shown):
        return
    from archspec.display import renderer
    from archspec.figure import draw

    figure = draw(value)
    if shown:
        echo(renderer(figure.RENDERER).as_svg(figure))
    save(figure, paths)


def _refuse(what: str, options: dict[str, Any]) -> None:
    given = [name for name, value in options.items() if value]
    if given:
        verb = "does" if len(given) == 1 else "do"
        raise click.UsageError(f"{' and '.join(given)} {verb} not go with {what}")


def _compare_runs(
    runs: Sequence[str],
    curves: str | None,
    by: str | None,
    sort: str | None,
    form: str,
    outputs: Sequence[str],
) -> None:
    from archspec.runs.comparison import compare_runs

    check_outputs(outputs, (*SUFFIXES, *PICTURES))
    named = curves.split(",") if curves else None
    comparison = compare_runs(*runs, by=by or BY[0], sort=sort)
    comparison.drawn(named)  # before anything is printed
    tables, pictures = apart(outputs)
    deliver(comparison, form, tables, data={"curves": named})
    if pictures:
        tell(comparison.missing(named))
    for path in pictures:
        comparison.draw(path, named)
        echo(f"wrote {path}", err=True)


def _order(sort: str | None, columns: Sequence[str] | None) -> str | None:
    """Return the figure to sort by. Raises `UsageError` for a column that does not exist."""
    from archspec.render.comparison import figure_of, find

    for name in columns or ():
        find(name)
    if sort is None:
        return None
    column = sort.removeprefix("-")
    return sort[: len(sort) - len(column)] + figure_of(find(column))


def _reports(
    names: Sequence[str], settings: dict[str, Any], memory: dict[str, Any]
) -> tuple[list[Report], list[SpecError]]:
    """Return the report of every network, and the error of each that has none."""
    from archspec.cost.report import report
    from archspec.cost.size import at_if_open
    from archspec.errors import SpecError
    from archspec.imports.loading import members

    reports, errors = [], []
    for name in names:
        try:
            networks = members(name, **settings)
        except SpecError as error:
            errors.append(error)
            continue
        for spec in networks:
            try:
                at = at_if_open(spec, memory["at"])
                reports.append(report(spec, **memory | {"at": at}))
            except SpecError as error:
                errors.append(error)
    return reports, errors


def _check_two(reports: Sequence[Report], errors: Sequence[SpecError]) -> None:
    if len(reports) + len(errors) != 2:
        names = ", ".join(report.name for report in reports)
        raise click.UsageError(
            f"--diff takes two networks, not {len(reports) + len(errors)}: {names}"
        )
