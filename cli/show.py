"""`archspec show`: one word of the language explained, or a bundled spec as it is written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from .options import Network, format_option, out_option
from .output import as_json, check_outputs, deliver, suffixes

FORMS = ("text", "json", "markdown")


class Word(Network):
    """A word of the language, or a network that comes with archspec."""

    name = "word"

    def names(self) -> Iterable[str]:
        from archspec.compile.catalog import kinds

        return (*kinds(), *super().names())


@click.command(name="show")
@click.argument("word", type=Word(), metavar="KIND|SPEC")
@format_option(*FORMS)
@out_option(*suffixes(*FORMS))
def command(word: str, form: str, outputs: tuple[str, ...]) -> None:
    """Explain a kind of step, or print a bundled spec.

    \b
    archspec show conv          a kind: its arguments, and an example
    archspec show branches      a word that groups steps, or stands beside a kind
    archspec show published     a section of a spec
    archspec show resnet        a spec that comes with archspec
    """
    from archspec.explanation import show
    from archspec.render import explanation as render

    check_outputs(outputs, suffixes(*FORMS))
    found = show(word)

    def rendered(form: str, **screen: Any) -> str:
        match form:
            case "json":
                return as_json(found.to_dict())
            case "markdown":
                return render.markdown(found)
            case _:
                return render.text(found, **screen)

    deliver(rendered, form, outputs)
