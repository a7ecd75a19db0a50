"""`archspec eject`: a network as source code."""

from __future__ import annotations

from typing import Any

import click

from .options import Option, load_spec, spec_options
from .output import tell, write


@click.command("eject")
@spec_options
@click.option(
    "-o",
    "--out",
    cls=Option,
    aliases={"--output": None},
    metavar="FILE",
    help="Write to a .py file instead of showing it.",
)
@click.option(
    "--style",
    type=click.Choice(["functional", "sequential"]),
    default="functional",
    help="Functions of tensors, or a keras.Sequential.  [functional]",
)
@click.option(
    "--train",
    is_flag=True,
    help="Write the spec's recipe as well: a script that trains the network with Keras alone.",
)
def command(
    spec: str,
    variant: str | None,
    settings: dict[str, Any],
    out: str | None,
    style: str,
    train: bool,
) -> None:
    """Write a network as plain Keras source, in which there is no archspec.

    The source is what a person would have written: a function for each kind of block, loops for
    what repeats, and classes only for layers that Keras lacks. Its function `build_model` gives
    the model that `archspec build` makes, with the same layers, names and weights. With
    --train, the file is a script that trains it; what it leaves out of the recipe is noted.

    \b
    archspec eject resnet50 -o resnet50.py
    archspec eject mine.yaml:wide --set classes=10 -o model.py
    archspec eject vgg16 --style sequential
    archspec eject lenet5 --train -o lenet5.py
    """
    from pathlib import Path

    from archspec.eject.ejecting import ejected

    if out is not None and Path(out).suffix != ".py":
        raise click.BadParameter(f"{out} is not a .py file", param_hint="-o")
    source, notes = ejected(load_spec(spec, variant, settings), style=style, train=train)
    write(source if out else source.removesuffix("\n"), out)
    tell(notes)
