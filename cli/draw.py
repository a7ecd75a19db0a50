"""`archspec draw`: a network as a figure."""

from __future__ import annotations

from typing import Any

import click

from .options import (
    Option,
    format_option,
    load_spec,
    memory_options,
    rows_options,
    set_option,
    specs_argument,
    variant_option,
)
from .output import as_json, check_outputs, echo

STYLES = ("graph", "maps", "table")
MEASURES = ("params", "macs", "other_ops", "memory", "field")


@click.command(name="draw")
@specs_argument
@variant_option
@set_option
@click.option(
    "--style",
    type=click.Choice(STYLES),
    default=STYLES[0],
    metavar="STYLE",
    help=f"{', '.join(STYLES)}.  [{STYLES[0]}]",
)
@rows_options
@click.option("--repeats", is_flag=True, help="Draw every repeat of a block, not the first alone.")
@click.option("--show", metavar="A,B,..", help=f"Figures in each box: {', '.join(MEASURES)}.")
@click.option("--bar", metavar="NAME", help="A figure that each box shows as a bar.")
@click.option("--color", metavar="NAME", help="What colours boxes: a figure.  [kind]")
@memory_options
@click.option("--inference", is_flag=True, help="Leave out the heads, which only help to train.")
@format_option("svg", "json")
@click.option(
    "-o",
    "--out",
    "outputs",
    cls=Option,
    aliases={"--output": None},
    multiple=True,
    metavar="FILE",
    help="Write .svg. May be given several times.  [SVG to standard output]",
)
def command(
    specs: tuple[str, ...],
    variant: str | None,
    settings: dict[str, Any],
    style: str,
    depth: int | None,
    ops: bool,
    repeats: bool,
    show: str | None,
    bar: str | None,
    color: str | None,
    batch: int | None,
    dtype: str | None,
    optimizer: Any,
    inference: bool,
    form: str,
    outputs: tuple[str, ...],
) -> None:
    """Draw a network: blocks, feature maps, or the table of a paper.

    SPEC is a file, a network that comes with archspec (vgg), or a variant of one (vgg16). The table
    takes several, each a column; a family or a file means all its variants.

    \b
    archspec draw inception_bottleneck -o inception.svg
    archspec draw resnet34 --depth 2 --color macs -o resnet34.svg
    archspec draw squeezenet --show params,macs --bar params -o squeezenet.svg
    archspec draw vgg --style table -o vgg.svg
    """
    from archspec.display import renderer
    from archspec.figure import draw
    from archspec.spec.loading import networks

    check_outputs(outputs, (".svg",), specs=specs)
    if variant and len(specs) > 1:
        raise click.UsageError("--variant goes with one SPEC; write each as family:variant")
    if style == "table" and not variant:
        loaded = [each for spec in specs for each in networks(spec, **settings)]
    else:
        loaded = [load_spec(spec, variant, settings) for spec in specs]
    figure = draw(
        *loaded,
        style=style,
        depth=depth,
        ops=ops,
        repeats=repeats,
        show=[name.strip() for name in show.split(",")] if show else (),
        bar=bar,
        color=color or "kind",
        batch=batch,
        dtype=dtype,
        optimizer=optimizer,
        inference=inference,
    )
    if not outputs:
        svg = form == "svg"
        echo(renderer(figure.RENDERER).as_svg(figure) if svg else as_json(figure.to_dict()))
    for path in outputs:
        figure.save(path)
        echo(f"wrote {path}", err=True)
