"""`archspec show`: one word of the language explained, or a bundled spec as it is written."""

from __future__ import annotations

from collections.abc import Iterable

import click

from .options import NetworkName, output_options
from .output import deliver


class WordOrNetwork(NetworkName):
    """A word of the language, or a network that comes with archspec."""

    name = "word"

    def names(self) -> Iterable[str]:
        from archspec.compile.catalog import kinds

        return (*kinds(), *super().names())


@click.command(name="show")
@click.argument("word", type=WordOrNetwork(), metavar="KIND|SPEC")
@output_options("text", "json", "markdown")
def command(word: str, form: str, outputs: tuple[str, ...]) -> None:
    """Explain a kind of step, or print a bundled spec.

    \b
    archspec show conv          a kind: its arguments, and an example
    archspec show branches      a word that groups steps, or stands beside a kind
    archspec show published     a section of a spec
    archspec show resnet        a spec that comes with archspec
    """
    from archspec.explanation import show

    deliver(show(word), form, outputs)
