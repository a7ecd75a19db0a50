"""`archspec probe`: activations and gradients of a network before training."""

from __future__ import annotations

from typing import Any

import click

from .engine import EngineCommand
from .options import Whole, load_spec, output_options, rows_options, spec_options
from .output import FORMATS, deliver


@click.command("probe", cls=EngineCommand)
@spec_options
@click.option(
    "--init",
    metavar="HOW",
    default="keras",
    help="Initialiser of kernels: keras, normal:X, xavier or he.  [keras]",
)
@click.option(
    "--data",
    metavar="SOURCE",
    default="gaussian",
    help="Data to feed: gaussian or digits.  [gaussian]",
)
@click.option("--batch", type=Whole(1), metavar="N", default=32, help="Images in the batch.  [32]")
@click.option(
    "--seed",
    type=Whole(0, 2**32 - 1),
    metavar="N",
    default=0,
    help="Seed of weights, data and labels.  [0]",
)
@rows_options
@output_options(*FORMATS)
def command(
    spec: str,
    variant: str | None,
    settings: dict[str, Any],
    depth: int | None,
    ops: bool,
    form: str,
    outputs: tuple[str, ...],
    **options: Any,
) -> None:
    """Show activations and gradients at initialisation.

    Feeds one batch to the untrained network and takes the gradients of its loss on random labels,
    as the first training step would. For each layer: mean and standard deviation of its outputs,
    the share of dead or saturated units, and the norm of its weights' gradient.

    --init is keras (Keras's own initialisers), normal:0.01 (a gaussian of that deviation), xavier
    (a gaussian of variance 1 / fan in) or he (2 / fan in). --data is gaussian or digits.

    \b
    archspec probe lecture_tanh --batch 1000 --init normal:0.01
    archspec probe lenet5 --data digits --init xavier
    archspec probe resnet50 --batch 8 --depth 2
    """
    from archspec.training.probe import probe

    rows = {"depth": depth, "ops": ops}
    deliver(
        probe(load_spec(spec, variant, settings), **options),
        form,
        outputs,
        layout=rows,
        data=rows,
    )
