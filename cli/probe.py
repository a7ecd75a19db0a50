"""`archspec probe`: what happens in a network at initialisation."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from .options import load_spec, spec_options
from .output import has_color, terminal_width

if TYPE_CHECKING:
    from archspec.analysis.probe import Probe

FORMATS = ("text", "json", "csv", "markdown")


@click.command("probe")
@spec_options
@click.option("--init", metavar="HOW", default="keras", help="How kernels are drawn.  [keras]")
@click.option("--data", metavar="SOURCE", default="gaussian", help="What is fed.  [gaussian]")
@click.option("--batch", type=click.IntRange(1), metavar="N", default=32, help="Examples.  [32]")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    metavar="N",
    default=0,
    help="Of weights, data, labels.  [0]",
)
@click.option("--depth", type=click.IntRange(1), metavar="N", help="Group what lies deeper.")
@click.option("--ops", is_flag=True, help="A line for every primitive op.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    metavar="FORMAT",
    default="text",
    help=f"{', '.join(FORMATS)}.  [text]",
)
def command(
    spec: str,
    variant: str | None,
    settings: dict[str, Any],
    depth: int | None,
    ops: bool,
    form: str,
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

    found = probe(load_spec(spec, variant, settings), **options)
    click.echo(_rendered(found, form, depth=depth, ops=ops), nl=False)


def _rendered(probe: Probe, form: str, **rows: Any) -> str:
    from archspec.render import probe as render

    match form:
        case "json":
            import json

            return json.dumps(probe.to_dict(**rows), indent=2, allow_nan=False) + "\n"
        case "csv":
            return render.csv(probe, **rows)
        case "markdown":
            return render.markdown(probe, **rows)
        case _:
            width, color = terminal_width(sys.stdout), has_color(sys.stdout)
            return render.text(probe, **rows, width=width, color=color)
