"""`archspec roofline`: the least time of each layer on a device."""

from __future__ import annotations

from typing import Any

import click

from .options import (
    DeviceName,
    depth_option,
    format_option,
    inference_option,
    load_network,
    memory_options,
    out_option,
    spec_options,
)
from .output import FIGURES, FORMATS, SUFFIXES, apart, deliver, save, uncollected


@click.command(
    name="roofline",
    short_help="Show the least time of each layer on a device, and draw it.",
)
@spec_options
@click.option(
    "--device",
    required=True,
    type=DeviceName(),
    metavar="NAME",
    help="Device: h100, rtx4090, or a .txtpb file that describes one.",
)
@memory_options
@click.option("--training", is_flag=True, help="Show a training step, not inference.")
@inference_option
@depth_option
@format_option(*FORMATS)
@out_option(*SUFFIXES, *FIGURES)
def command(
    spec: str,
    variant: str | None,
    settings: dict[str, Any],
    device: str,
    training: bool,
    inference: bool,
    depth: int | None,
    form: str,
    outputs: tuple[str, ...],
    **memory: Any,
) -> None:
    """Show the least time of each layer on a device: by its multiply-adds, by the bytes it moves.

    An engine that runs the rows one by one cannot be faster. The line `floor` is the least time of
    one that fuses them. -o FILE.svg draws the rows under the roof of the device.

    \b
    archspec roofline resnet50 --device h100 --batch 32
    archspec roofline vgg16 --device v5e --dtype mixed_bfloat16 --training
    archspec roofline mobilenet_v2 --device l4 -o roofline.svg
    """
    from archspec.cost.roofline import roofline
    from archspec.figure import draw

    with uncollected():
        loaded = load_network(spec, variant, settings)
        result = roofline(loaded, device, training=training, inference=inference, **memory)
        tables, figures = apart(outputs)
        layout = {"depth": depth}
        deliver(result, form, tables, layout=layout, data=layout)
    if figures:
        save(draw(result), figures)
