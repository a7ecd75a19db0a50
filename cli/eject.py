"""`archspec eject`: a network as source code."""

from __future__ import annotations

from typing import Any

import click

from .options import file_option, load_spec, spec_options
from .output import check_outputs, echo, tell, write


@click.command("eject")
@spec_options
@file_option("Write to a .py file instead of showing it.")
@click.option(
    "--style",
    type=click.Choice(["functional", "sequential", "subclassed"]),
    default="functional",
    help="Functions of tensors, a keras.Sequential, or classes of layers.  [functional]",
)
@click.option(
    "--train",
    is_flag=True,
    help="Write the spec's recipe as well: a script that trains the network with Keras alone.",
)
@click.option(
    "--framework",
    type=click.Choice(["keras", "torch"]),
    default="keras",
    help="Keras, or PyTorch: a nn.Module for each kind of block.  [keras]",
)
@click.option(
    "--weights",
    metavar="FILE",
    help="For PyTorch: write the weights of a model file beside -o, as a .npz file.",
)
def command(
    spec: str,
    variant: str | None,
    settings: dict[str, Any],
    out: str | None,
    style: str,
    train: bool,
    framework: str,
    weights: str | None,
) -> None:
    """Write a network as plain source of Keras or PyTorch, in which there is no archspec.

    The source is what a person would have written: a function for each kind of block, loops for
    what repeats, and classes only for layers that Keras lacks. Its function `build_model` gives
    the model that `archspec build` makes, with the same layers, names and weights. With
    --train, the file is a script that trains it; what it leaves out of the recipe is noted.

    With --framework torch it has a nn.Module for each kind of block, and takes what Keras means in
    PyTorch's terms. --weights carries trained weights over: `-o model.py` writes model.npz as
    well, which the source's `load_weights(model, "model.npz")` reads.

    \b
    archspec eject resnet50 -o resnet50.py
    archspec eject mine.yaml:wide --set classes=10 -o model.py
    archspec eject vgg16 --style sequential
    archspec eject resnet50 --style subclassed
    archspec eject lenet5 --train -o lenet5.py
    archspec eject mine.yaml --framework torch -o model.py --weights mine.keras
    """
    from pathlib import Path

    from archspec.ejection.ejecting import ejected

    if out is not None:
        check_outputs([out], (".py",))
    if weights is not None and (framework != "torch" or out is None):
        raise click.BadParameter(
            "it goes with --framework torch and -o; Keras's source reads the file itself, by "
            "`model.load_weights`",
            param_hint="--weights",
        )
    network = load_spec(spec, variant, settings)
    written = [out] if out is not None else []
    source, notes = ejected(network, style=style, train=train, framework=framework)
    if weights is not None and out is not None:
        import numpy as np

        from archspec.atomic import saving
        from archspec.ejection.torch_weights import torch_weights

        arrays = torch_weights(network, weights)
        with saving(Path(out).with_suffix(".npz")) as partial:
            np.savez(partial, **arrays)
        written.append(str(Path(out).with_suffix(".npz")))
    write(source if out else source.removesuffix("\n"), out)
    for path in written:
        echo(f"wrote {path}", err=True)
    tell(notes)
