"""`archspec draw`: a network as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from archspec.figure import Figure

STYLES = ("graph", "maps", "table")
TEXTS = {".txt": "text", ".md": "markdown", ".csv": "csv", ".tex": "tex"}
"""Formats of the table alone, by their suffixes."""

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
@format_option("svg", "json", *TEXTS.values())
@click.option(
    "-o",
    "--out",
    "outputs",
    cls=Option,
    aliases={"--output": None},
    multiple=True,
    metavar="FILE",
    help="Write .svg; a table also .md .tex .csv .txt. May be given several times.  "
    "[SVG to standard output]",
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
    from archspec.figure import draw
    from archspec.spec.loading import networks

    check_outputs(outputs, (".svg", *(TEXTS if style == "table" else ())), specs=specs)
    if form in TEXTS.values() and style != "table":
        raise click.UsageError(f"--format {form} goes with --style table")
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
        echo(_text(figure, form))
    for path in outputs:
        figure.save(path)
        echo(f"wrote {path}", err=True)


def _text(figure: Figure, form: str) -> str:
    from archspec.display import renderer

    writing = renderer(figure.RENDERER)
    if form == "json":
        return as_json(figure.to_dict())
    if form == "svg":
        return str(writing.as_svg(figure))
    suffix = next(suffix for suffix, name in TEXTS.items() if name == form)
    return str(writing.TEXTS[figure.style][suffix](figure))
