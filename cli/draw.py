"""`archspec draw`: a network as a figure."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from .options import (
    AT_LEAST_1,
    BoundedNumber,
    Form,
    Option,
    Words,
    files_option,
    inference_option,
    load_network,
    memory_options,
    set_option,
    specs_argument,
    variant_option,
)
from .output import check_outputs, complain, echo, screen, terminal_width, uncollected

if TYPE_CHECKING:
    from archspec.errors import SpecError
    from archspec.figure import AnyFigure
    from archspec.imports.model import Network

STYLES = ("graph", "maps", "table")
MEASURES = ("params", "macs", "other_ops", "memory", "field")
THEMES = ("auto", "light", "dark")

FORMS = {"svg": ".svg", "html": ".html", "tex": ".tex", "json": ".json"} | {
    "text": ".txt",
    "markdown": ".md",
    "csv": ".csv",
}
"""Values of `--format`, with the suffix of a file in each; a table has all."""


@click.command(name="draw")
@specs_argument
@variant_option
@set_option
@click.option(
    "--style",
    type=Words(*STYLES),
    default=STYLES[0],
    metavar="STYLE",
    help="graph (nested blocks), maps (feature maps to scale) or table (stages, as papers print "
    "them).  [graph]",
)
@click.option(
    "--depth", type=AT_LEAST_1, metavar="N", help="Open N levels of blocks; a deeper one is a box."
)
@click.option("--ops", is_flag=True, help="Open layers such as conv into their primitive ops.")
@click.option("--repeats", is_flag=True, help="Draw every repeat of a block, not the first alone.")
@click.option(
    "--show",
    type=Words(*MEASURES, several=True),
    metavar="A,B,..",
    help=f"Show figures in each box: {', '.join(MEASURES)}.",
)
@click.option(
    "--bar", type=Words(*MEASURES), metavar="NAME", help="Show a figure as a bar in each box."
)
@click.option(
    "--color",
    type=Words("kind", *MEASURES),
    metavar="NAME",
    help="Colour boxes by their kind, or by a figure.  [kind]",
)
@memory_options
@inference_option
@click.option(
    "--theme",
    type=Words(*THEMES),
    default=THEMES[0],
    metavar="NAME",
    help="light, dark, or auto: as the viewer prefers in SVG and HTML, else light.  [auto]",
)
@click.option(
    "--scale",
    type=BoundedNumber(min=0, min_open=True),
    metavar="X",
    help="Pixels per point of a PNG; letters are 11 points high.  [2]",
)
@click.option(
    "--format",
    "form",
    cls=Option,
    aliases={"--json": "json"},
    type=Form(tuple(FORMS)),
    metavar="FORMAT",
    help="What to print: svg, html, tex or json; of a table also text, markdown or csv.  "
    "[svg; text for a table]",
)
@files_option(
    "Write .svg, .pdf, .png, .html, .tex (TikZ) or .json; of a table also .md, .csv, .txt, and "
    ".tex is a tabular."
)
def command(
    specs: tuple[str, ...],
    variant: str | None,
    settings: dict[str, Any],
    style: str,
    show: str | None,
    color: str | None,
    theme: str,
    scale: float | None,
    form: str | None,
    outputs: tuple[str, ...],
    **options: Any,
) -> None:
    """Draw a network: blocks, feature maps, or the table of a paper.

    SPEC is a file, a network that comes with archspec (vgg), or a variant of one (vgg16). Blocks of
    several are beside each other. The table has a column for each; a family or a file means all its
    variants.

    \b
    archspec draw inception_bottleneck -o inception.svg
    archspec draw resnet34 --depth 2 --color macs -o resnet34.pdf
    archspec draw inception_naive inception_bottleneck -o modules.svg
    archspec draw squeezenet --show params,macs --bar params -o squeezenet.html
    archspec draw lenet5 --theme dark --scale 4 -o lenet5.png
    archspec draw vgg --style table -o vgg.svg -o vgg.tex
    """
    from archspec.arguments import one_of
    from archspec.display import renderer
    from archspec.figure import Figure

    one_of("style", style, STYLES)
    one_of("theme", theme, THEMES)
    writing = renderer(Figure.RENDERER)
    _check_target(specs, style, scale, form, outputs, writing.suffixes(style))
    if variant and len(specs) > 1:
        raise click.UsageError("--variant goes with one SPEC; write each as family:variant")
    options["show"] = [name.strip() for name in show.split(",")] if show else ()
    options["color"] = color or "kind"
    with uncollected():
        loaded = _loaded(specs, variant, settings, families=style == "table" and not variant)
        figure, errors = _drawn(loaded, style=style, **options)
        if form is None and not outputs:
            form = "text" if style == "table" else "svg"
        if form == "text":
            echo(writing.text(figure, **screen()))
        elif form:
            echo(writing.content(figure, FORMS[form], theme=theme))
        for path in outputs:
            figure.save(path, theme=theme, scale=scale or 2.0)
            echo(f"wrote {path}", err=True)
    if errors:
        complain(errors)
        raise click.exceptions.Exit(1)


def _check_target(
    specs: Sequence[str],
    style: str,
    scale: float | None,
    form: str | None,
    outputs: Sequence[str],
    endings: Sequence[str],
) -> None:
    """Refuse to draw if the figure could not be written: in this format, there, in this size."""
    check_outputs(outputs, endings, specs=specs)
    if scale and not any(path.endswith(".png") for path in outputs):
        raise click.UsageError("--scale goes with -o NAME.png")
    if form and FORMS[form] not in endings:
        raise click.UsageError(f"--format {form} goes with --style table")
    if not (form or outputs or style == "table" or terminal_width(sys.stdout) is None):
        name = specs[0].rpartition(":")[2].rpartition("/")[2].partition(".")[0]
        raise click.UsageError(f"a figure goes to a file: add -o {name}.svg, or --format svg")


def _loaded(
    specs: Sequence[str], variant: str | None, settings: dict[str, Any], *, families: bool
) -> list[Network]:
    """Return the networks to draw; of `families`, all their variants."""
    from archspec.imports.loading import members

    if families:
        return [each for spec in specs for each in members(spec, **settings)]
    return [load_network(spec, variant, settings) for spec in specs]


def _drawn(specs: Sequence[Network], **settings: Any) -> tuple[AnyFigure, list[SpecError]]:
    """Return a figure of all networks that have no mistakes, and the errors of the others."""
    from archspec.cost.report import report
    from archspec.errors import SpecError
    from archspec.figure import draw

    try:
        return draw(*specs, **settings), []
    except SpecError:
        if len(specs) == 1:
            raise
    sound, errors = [], []
    for spec in specs:
        try:
            report(spec)
        except SpecError as error:
            errors.append(error)
        else:
            sound.append(spec)
    if not sound or not errors:  # the mistake is another, which `draw` says again
        sound = list(specs)
    return draw(*sound, **settings), errors
