"""`archspec list`: the networks that come with archspec, or the kinds of steps."""

from __future__ import annotations

import sys

import click

from .options import output_options
from .output import deliver, echo


@click.command(name="list")
@click.option("--kinds", is_flag=True, help="List the kinds of steps instead.")
@output_options("text", "json", "markdown")
def command(kinds: bool, form: str | None, outputs: tuple[str, ...]) -> None:
    """List the networks that come with archspec, or the kinds of steps.

    In a pipe, each line has its fields behind tabs: family, name, parameters, MACs and what it is;
    or kind, sort and what it is. The figures are those of the literature, where it says any.
    """
    from archspec import inventory
    from archspec.display import renderer

    listed = inventory.kinds() if kinds else inventory.networks()
    if form == "text" and not sys.stdout.isatty():
        echo(renderer(listed.RENDERER).tabbed_lines(listed))
        form = None
    deliver(listed, form, outputs)
