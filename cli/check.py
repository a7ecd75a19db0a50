"""`archspec check`: prove that variants are valid, published figures true and budgets kept."""

from __future__ import annotations

from typing import Any

import click

from .options import engine_option, output_options, set_option, specs_argument, variant_option
from .output import complain, deliver, echo


@click.command(name="check")
@specs_argument
@variant_option
@set_option
@engine_option
@output_options("text", "json", "markdown")
def command(
    specs: tuple[str, ...],
    variant: str | None,
    settings: dict[str, Any],
    engine: str | None,
    form: str,
    outputs: tuple[str, ...],
) -> None:
    """Prove a spec: every variant valid, its figures and budgets true.

    A family is checked in all its variants; the exit code is 1 if any fails. Bytes are counted for
    the batch, precision and optimizer of the spec's recipe. With --engine, a training step must fit
    in a budget for `training_bytes` by the estimate for that engine too. A model file claims
    nothing: it fails if archspec does not know one of its layers.

    \b
    archspec check specs/mine.yaml
    archspec check vgg resnet50 densenet
    archspec check specs/mine.yaml --engine jax-gpu
    archspec check model.onnx
    """
    from archspec.proof import proof
    from archspec.render.proof import verdict

    result = proof(specs, variant, settings, engine)
    complain([each.error for each in result.networks if each.error])
    deliver(result, form, outputs, problems=False)
    if not result.holds:
        echo(verdict(result), err=True)
        raise click.exceptions.Exit(1)
