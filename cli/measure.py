"""`archspec measure`: the memory of a network by a device's compiler; its time, measured here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .engine import EngineCommand, say
from .options import (
    AT_LEAST_1,
    DeviceName,
    at_option,
    dtype_option,
    format_option,
    load_spec,
    optimizer_option,
    out_option,
    quiet_option,
    spec_options,
)
from .output import FIGURES, FORMATS, SUFFIXES, apart, deliver, save


@click.command("measure", cls=EngineCommand)
@spec_options
@click.option(
    "--device",
    type=DeviceName(),
    metavar="NAME",
    help="Device to compile for: h100, v5e, cpu, or a .txtpb file that describes a GPU. With "
    "--time: cpu for this machine, or its accelerator.  [h100; with --time cpu]",
)
@click.option("--batch", type=AT_LEAST_1, metavar="N", help="Images of a step.  [the recipe's]")
@dtype_option
@optimizer_option
@at_option
@click.option("--time", "timing", is_flag=True, help="Run the layers here, and show their times.")
@click.option("--training", is_flag=True, help="With --time: run a training step too (JAX).")
@click.option("--fresh", is_flag=True, help="Compile even if the result is in the cache.")
@quiet_option
@format_option(*FORMATS)
@out_option(*SUFFIXES, *FIGURES)
def command(
    spec: str,
    variant: str | None,
    settings: dict[str, Any],
    device: str | None,
    timing: bool,
    training: bool,
    optimizer: Any,
    fresh: bool,
    quiet: bool,
    form: str,
    outputs: tuple[str, ...],
    **options: Any,
) -> None:
    """Compile a network for a device and show the memory that it takes; or time it here.

    The training step of the spec's recipe, as `archspec fit` runs it on JAX, is given to XLA's
    compiler for the device. No such device is needed: only the extra, as in `pip install
    'keras-archspec[measure]'`. This takes a minute or so, once: the result is kept in the cache.
    With --device cpu it is compiled for a CPU, for which JAX is enough.

    \b
    archspec measure vgg16 --device h100 --batch 32
    archspec measure resnet50 --device l4 --dtype mixed_bfloat16
    archspec measure my.yaml --device mine.txtpb --json

    With --time, each distinct layer and the whole network run on the machine at hand, by Keras's
    backend. Their times stand beside the least time of a roofline, for which the peak and bandwidth
    of this machine are measured; with --device l4, where there is one, they are the data sheet's.

    \b
    archspec measure resnet18 --time --batch 8
    KERAS_BACKEND=jax archspec measure lenet5 --time --training -o roofline.svg
    """
    tables, figures = apart(outputs)
    progress = None if quiet or form == "json" else say
    if not timing:
        if (
            training
            or figures
            or "csv" in {form, *(SUFFIXES[Path(path).suffix] for path in tables)}
        ):
            raise click.UsageError("--training, figures and CSV go with --time")
        from archspec.measurement.measurement import measure

        options |= {"optimizer": optimizer, "fresh": fresh, "progress": progress}
        loaded = load_spec(spec, variant, settings)
        deliver(measure(loaded, device or "h100", **options), form, tables)
        return
    if fresh or optimizer is not None:
        raise click.UsageError("--fresh and --optimizer do not go with --time")
    from archspec.figure import RooflineFigure
    from archspec.measurement.timing import CPU, time_network

    loaded = load_spec(spec, variant, settings)
    options |= {"training": training, "progress": progress}
    times = time_network(loaded, device or CPU, **options)
    deliver(times, form, tables)
    save(RooflineFigure(times.roofline, times.paths), figures)
