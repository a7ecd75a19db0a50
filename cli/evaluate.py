"""`archspec evaluate`: scores of trained networks, alone and together."""

from __future__ import annotations

from typing import Any

import click

from .engine import EngineCommand, counter
from .options import AT_LEAST_1, Place, images_options, output_options, threshold_option
from .output import deliver, tell

PARTS = ("test", "validation", "train", "all")


@click.command("evaluate", cls=EngineCommand)
@click.argument("runs", nargs=-1, required=True, type=Place(), metavar="RUN...")
@click.option(
    "--data", metavar="SOURCE", help="Other data: digits, cifar10, ..., a folder, a table, an .npz."
)
@click.option(
    "--part",
    type=click.Choice(PARTS),
    metavar="PART",
    help=f"Part of the data: {', '.join(PARTS)}.  [test; of other data without test images all]",
)
@click.option("--top", type=AT_LEAST_1, metavar="K", help="The k of top-k accuracy.  [5]")
@threshold_option
@images_options
@output_options("text", "json", "markdown")
def command(
    runs: tuple[str, ...], form: str, outputs: tuple[str, ...], quiet: bool, **options: Any
) -> None:
    """Score trained networks on images they were not trained on.

    RUN is a run's folder or a model file. Several runs are scored each alone, and together by the
    mean of their probabilities. They must have the same classes; each gets the images prepared as
    in its training.

    \b
    archspec evaluate runs/lenet5-1
    archspec evaluate runs/lenet5-1 runs/lenet5-2 runs/resnet20-1 --flip
    archspec evaluate runs/lenet5-1 --data photos/ --json
    archspec evaluate best.keras --data cifar10 --normalize unit
    """
    from archspec.evaluation.evaluation import evaluate

    with counter(quiet=quiet) as progress:
        evaluation = evaluate(runs, progress=progress, **options)
    tell(evaluation.notes)
    deliver(evaluation, form, outputs)
