"""`archspec list`: the networks that come with archspec, or the kinds of steps."""

from __future__ import annotations

import sys
from typing import Any

import click

from .options import format_option, out_option
from .output import as_json, check_outputs, deliver, suffixes
from .spelling import spelled

FORMS = ("text", "json", "markdown")


@click.command(name="list")
@click.option("--kinds", is_flag=True, help="List the kinds of steps instead.")
@format_option(*FORMS)
@out_option(*suffixes(*FORMS))
def command(kinds: bool, form: str, outputs: tuple[str, ...]) -> None:
    """List the networks that come with archspec, or the kinds of steps.

    In a pipe, each line has its fields behind tabs: family, name, parameters, MACs and what it is;
    or kind, sort and what it is. The figures are those of the literature, where it says any.
    """
    from archspec import inventory
    from archspec.display import renderer

    check_outputs(outputs, suffixes(*FORMS))
    found: Any = inventory.kinds() if kinds else inventory.networks()
    render = renderer("kinds" if kinds else "networks")
    in_pipe = not sys.stdout.isatty()

    def rendered(form: str, **screen: Any) -> str:
        match form:
            case "json":
                return as_json(found.to_dict())
            case "markdown":
                return str(render.markdown(found))
            case _ if screen and in_pipe:
                return str(render.tabbed_lines(found))
            case _:
                return spelled(render.text(found, **screen))

    deliver(rendered, form, outputs)
