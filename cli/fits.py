"""`archspec fits`: the largest batch that fits in a memory."""

from __future__ import annotations

from typing import Any

import click

from .options import (
    AT_LEAST_1,
    DeviceName,
    NameOrMapping,
    at_option,
    engine_option,
    load_network,
    output_options,
    spec_options,
)
from .output import deliver


@click.command("fits")
@spec_options
@click.option("--memory", metavar="SIZE", help="Memory, as 24GB or 80GiB.  [the device's]")
@click.option("--device", type=DeviceName(), metavar="NAME", help="Device, as h100 or rtx4090.")
@click.option("--dtype", metavar="NAME", help="Keras dtype policy.  [the recipe's, or float32]")
@click.option(
    "--optimizer",
    type=NameOrMapping(),
    metavar="NAME",
    help="Whose state to count, as adam or {adam: {amsgrad: true}}.  [the recipe's, or adam]",
)
@click.option(
    "--global-batch",
    type=AT_LEAST_1,
    metavar="N",
    help="Examples of an update, which accumulated batches reach.",
)
@engine_option
@at_option
@output_options("text", "json", "markdown")
def command(
    spec: str,
    variant: str | None,
    settings: dict[str, Any],
    form: str,
    outputs: tuple[str, ...],
    **options: Any,
) -> None:
    """Find the largest batch of a training step that fits in a memory.

    By each figure: what must be kept on any engine, the estimate for one (jax-gpu unless another is
    named), and the compiler's plan where `archspec measure` has made it. Where nothing fits, the
    changes are listed by which something does. The exit code is 1 where no batch fits.

    \b
    archspec fits vgg16 --memory 24GB
    archspec fits resnet50 --device rtx4090 --dtype mixed_bfloat16 --global-batch 1024
    """
    from archspec.measurement.fits import fits

    found = fits(load_network(spec, variant, settings), **options)
    deliver(found, form, outputs)
    if not all(entry.batch for entry in found.entries):
        raise click.exceptions.Exit(1)
