"""`archspec fit`: train a network, and keep all of the run in a folder."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from .options import load_spec, spec_options


@click.command("fit")
@spec_options
@click.option("--data", metavar="SOURCE", help="What to train on: digits.")
@click.option("--epochs", type=click.IntRange(min=1), metavar="N", help="How often to see all.")
@click.option("--batch", type=click.IntRange(min=1), metavar="N", help="Images per step.")
@click.option("--optimizer", metavar="NAME", help="One of Keras's: adam, sgd, rmsprop, ...")
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="X",
    help="The optimizer's, at its highest.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), metavar="N", help="Repeats a run.")
@click.option("--out", metavar="DIR", help="The run's folder, a new one.  [default: runs/NAME-N]")
@click.option("--quiet", is_flag=True, help="No progress, only the result.")
def command(
    spec: str, variant: str | None, settings: Mapping[str, Any], quiet: bool, **options: Any
) -> None:
    """Train a network, and keep all of the run in a folder.

    The spec's `train:` section is the recipe; options go before it. Ctrl-C stops and saves.
    """
    from archspec.training.run import fit, verdict

    network = load_spec(spec, variant, settings)
    run = fit(network, progress=None if quiet else sys.stderr, **options)
    click.echo(verdict(run))
    if run.history:
        click.echo(f"{run.seconds:,.1f} s, {run.images_per_second:,.0f} images/s")
    click.echo(str(run.folder))
    if run.outcome == "interrupted":
        raise click.exceptions.Exit(130)
    if run.outcome == "diverged":
        raise click.exceptions.Exit(1)
