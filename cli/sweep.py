"""`archspec sweep`: the figures of all combinations of some variables' values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from .options import (
    AT_LEAST_1,
    format_option,
    inference_option,
    load_spec,
    memory_options,
    out_option,
    quiet_option,
    spec_options,
    varied,
    vary_option,
    where_option,
)
from .output import FIGURES, FORMATS, SUFFIXES, apart, deliver, save, vanishing_line


@click.command("sweep")
@spec_options
@vary_option
@click.option(
    "--front",
    metavar="GOALS",
    default="min macs, max params",
    show_default=True,
    help="Objectives of the Pareto front: min or max, and a figure.",
)
@where_option
@memory_options
@inference_option
@click.option("--jobs", type=AT_LEAST_1, metavar="N", default=1, help="Number of processes.  [1]")
@format_option(*FORMATS)
@out_option(*SUFFIXES, *FIGURES)
@quiet_option
def command(
    spec: str,
    variant: str | None,
    settings: Mapping[str, Any],
    vary: Sequence[tuple[str, str]],
    form: str,
    outputs: Sequence[str],
    quiet: bool,
    **options: Any,
) -> None:
    """Cost all combinations of some variables' values, and show the Pareto front.

    Nothing is built or trained: thousands of networks take seconds. CSV and JSON have every
    combination, text and Markdown the front; a picture has both.

    \b
    archspec sweep resnet50 --vary input=128..256:32 --vary classes=10,100,1000
    archspec sweep mine.yaml --vary width=8..64:8 --vary depth=2,3,4 --where 'params < 100K' \\
        --front 'min macs, max params' -o sweep.csv -o sweep.svg
    """
    from archspec.studies.sweep import sweep

    network = load_spec(spec, variant, settings)
    values = varied(vary)
    with vanishing_line(quiet=quiet) as show:
        progress: Callable[[int, int], None] | None = show and (
            lambda done, total: show(f"{done:,} of {total:,} candidates")
        )
        found = sweep(network, values, progress=progress, **options)
    tables, figures = apart(outputs)
    deliver(found, form, tables)
    save(found, figures)
    if not found.within:
        raise click.exceptions.Exit(1)
