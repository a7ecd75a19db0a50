"""`archspec check`: every variant valid, what the literature says true, budgets kept."""

from __future__ import annotations

from typing import Any

import click

from .options import Network, format_option, out_option, set_option, variant_option
from .output import as_json, check_outputs, complain, deliver, echo, suffixes

FORMS = ("text", "json", "markdown")


@click.command(
    name="check", short_help="Prove a spec: every variant valid, its figures and budgets true."
)
@click.argument("specs", nargs=-1, required=True, type=Network(), metavar="SPEC...")
@variant_option
@set_option
@format_option(*FORMS)
@out_option(*suffixes(*FORMS))
def command(
    specs: tuple[str, ...],
    variant: str | None,
    settings: dict[str, Any],
    form: str,
    outputs: tuple[str, ...],
) -> None:
    """Prove a spec: every variant valid, its figures and budgets true.

    A family is checked in all its variants; the exit code is 1 if any fails. Bytes are counted for
    the batch, precision and optimizer of the spec's recipe.

    \b
    archspec check specs/mine.yaml
    archspec check vgg resnet50 densenet
    """
    from archspec.proof import proof
    from archspec.render import proof as render

    check_outputs(outputs, suffixes(*FORMS))
    found = proof(specs, variant, settings)
    complain([each.error for each in found.networks if each.error])

    def rendered(form: str, **screen: Any) -> str:
        match form:
            case "json":
                return as_json(found.to_dict())
            case "markdown":
                return render.markdown(found)
            case _:
                return render.lines(found, color=screen.get("color", False))

    deliver(rendered, form, outputs)
    if not found.holds:
        echo(render.verdict(found), err=True)
        raise click.exceptions.Exit(1)
