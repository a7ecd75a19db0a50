"""`archspec list`: the networks that come with archspec, or the kinds of steps."""

from __future__ import annotations

import sys

import click

from .options import Words, output_options
from .output import deliver, echo

TAGS = (
    *("classification", "detection", "segmentation", "generation", "matching"),
    *("sequence", "video", "mobile", "attention", "example"),
)
"""The tags of specs, known here without the library: the help waits for nothing."""


@click.command(name="list")
@click.option("--kinds", is_flag=True, help="List the kinds of steps instead.")
@click.option(
    "--tag",
    "tags",
    type=Words(*TAGS, several=True),
    metavar="TAG",
    multiple=True,
    help=f"Only families with this tag, or with all of several: {', '.join(TAGS)}.",
)
@output_options("text", "json", "markdown")
def command(kinds: bool, tags: tuple[str, ...], form: str | None, outputs: tuple[str, ...]) -> None:
    """List the networks that come with archspec, or the kinds of steps.

    In a pipe, each line has its fields behind tabs: family, name, parameters, MACs, what it is,
    tags and history; or kind, sort and what it is. The figures are those of the literature, where
    it says any. The history says which ideas of earlier networks a family carries on.
    """
    from archspec import inventory
    from archspec.display import renderer

    if kinds and tags:
        raise click.UsageError("kinds of steps have no tags: leave out --kinds or --tag")
    names = [name for tag in tags for name in tag.split(",")]
    listed = inventory.kinds() if kinds else inventory.networks(*names)
    if form == "text" and not sys.stdout.isatty():
        echo(renderer(listed.RENDERER).tabbed_lines(listed))
        form = None
    deliver(listed, form, outputs)
