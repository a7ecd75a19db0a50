"""`archspec measure`: the memory of a network on a device, by the compiler for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from .engine import EngineCommand, say
from .options import (
    AT_LEAST_1,
    NameOrMapping,
    Place,
    at_option,
    load_spec,
    output_options,
    spec_options,
)
from .output import deliver


class DeviceName(Place):
    """A device of the table, or a file that describes one."""

    name = "device"

    def names(self) -> Iterable[str]:
        from archspec.device.table import BY_NAME

        return BY_NAME


@click.command("measure", cls=EngineCommand)
@spec_options
@click.option(
    "--device",
    type=DeviceName(),
    metavar="NAME",
    default="h100",
    help="Device to compile for, or a .txtpb file that describes a GPU to XLA.  [h100]",
)
@click.option("--batch", type=AT_LEAST_1, metavar="N", help="Examples of a step.  [the recipe's]")
@click.option("--dtype", metavar="NAME", help="Keras dtype policy.  [the recipe's, or float32]")
@click.option(
    "--optimizer",
    type=NameOrMapping(),
    metavar="NAME",
    help="Optimizer of the step.  [the recipe's, or momentum]",
)
@at_option
@click.option("--fresh", is_flag=True, help="Compile again what was compiled before.")
@click.option("--quiet", is_flag=True, help="Print no progress.")
@output_options("text", "json", "markdown")
def command(
    spec: str,
    variant: str | None,
    settings: dict[str, Any],
    quiet: bool,
    form: str,
    outputs: tuple[str, ...],
    **options: Any,
) -> None:
    """Compile a network for a device, and show the memory that it takes.

    The training step of the spec's recipe, as `archspec fit` runs it on JAX, is given to XLA's
    compiler for the device. No such device is needed: only the extra, as in `pip install
    'keras-archspec[measure]'`. This takes a minute or so, once: the result is kept in the cache.

    \b
    archspec measure vgg16 --device h100 --batch 32
    archspec measure resnet50 --device l4 --dtype mixed_bfloat16
    archspec measure my.yaml --device mine.txtpb --json
    """
    from archspec.measurement.measurement import measure

    deliver(
        measure(
            load_spec(spec, variant, settings),
            progress=None if quiet or form == "json" else say,
            **options,
        ),
        form,
        outputs,
    )
