"""`archspec fits`: the largest batch that fits in a memory."""

from __future__ import annotations

from typing import Any

import click

from .options import (
    AT_LEAST_1,
    DeviceName,
    at_option,
    dtype_option,
    engine_option,
    load_network,
    optimizer_option,
    output_options,
    spec_options,
)
from .output import deliver


@click.command("fits")
@spec_options
@click.option("--memory", metavar="SIZE", help="Memory: 24GB, 80GiB.  [the device's]")
@click.option(
    "--device",
    type=DeviceName(),
    metavar="NAME",
    help="Device: h100, rtx4090, or a .txtpb file that describes one.",
)
@dtype_option
@optimizer_option
@click.option(
    "--global-batch",
    type=AT_LEAST_1,
    metavar="N",
    help="Images of an update of the weights, whose gradients several batches may add up to.",
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

    There is an answer for each figure of its bytes: what must be kept on any engine, the estimate
    for an engine (by default jax-gpu, for a TPU jax-tpu), and the compiler's plan if
    `archspec measure` has made it. Where nothing fits, changes are listed with which a batch does.
    The exit code is 1 where no batch fits.

    \b
    archspec fits vgg16 --memory 24GB
    archspec fits resnet50 --device rtx4090 --dtype mixed_bfloat16 --global-batch 1024
    """
    from archspec.measurement.fits import fits

    found = fits(load_network(spec, variant, settings), **options)
    deliver(found, form, outputs)
    if not all(entry.batch for entry in found.entries):
        raise click.exceptions.Exit(1)
