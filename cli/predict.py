"""`archspec predict`: the most likely classes of images, their labels, or numbers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import click

from .engine import EngineCommand, counter
from .options import AT_LEAST_1, Place, images_options, output_options, threshold_option
from .output import FORMATS, deliver, echo, tell


@click.command("predict", cls=EngineCommand)
@click.argument("run", type=Place())
@click.argument("images", nargs=-1, required=True, type=Place(), metavar="IMAGE...")
@click.option(
    "--with",
    "others",
    multiple=True,
    metavar="RUN",
    help="Another run to predict together with. May be given several times.",
)
@click.option("--top", type=AT_LEAST_1, metavar="K", help="Classes per image.  [3]")
@threshold_option
@click.option(
    "--at",
    metavar="SIZE",
    help="Size to resize images to, as 96x128, for a network of open input.  [as in training]",
)
@images_options
@output_options(*FORMATS, csv="csv")
def command(
    run: str,
    images: tuple[str, ...],
    others: tuple[str, ...],
    form: str,
    outputs: tuple[str, ...],
    quiet: bool,
    batch: int | None,
    **options: Any,
) -> None:
    """Predict the classes, labels or numbers of images with a trained network.

    RUN is a run's folder or a model file. IMAGE is a picture file, a folder of them, an array of
    images (.npy, .npz), or a table (.csv, .tsv, .parquet); `-` reads such paths from
    standard input, one per line. Images that cannot be read are named, and the others predicted.

    \b
    archspec predict runs/lenet5-1 photo.jpg more/
    archspec predict runs/lenet5-1 --with runs/lenet5-2 digits.npy --top 1 --format csv
    find . -name '*.png' | archspec predict runs/lenet5-1 -
    """
    from archspec.evaluation.evaluation import BATCH
    from archspec.evaluation.prediction import predict

    paths = list(_paths(images))
    with counter(quiet=quiet) as progress:
        predictions = predict(
            [run, *others], paths, batch=batch or BATCH, progress=progress, **options
        )
    tell(predictions.notes)
    deliver(predictions, form, outputs)
    for image in predictions.unread:
        echo(f"error: {image.image}: {image.error}", err=True)
    if predictions.unread:
        raise click.exceptions.Exit(1)


def _paths(images: Sequence[str]) -> Iterator[str]:
    if images.count("-") > 1:
        raise click.UsageError("standard input can be read only once: give `-` once")
    for path in images:
        if path == "-":
            for line in sys.stdin.buffer:
                if name := line.rstrip(b"\r\n"):
                    yield os.fsdecode(name)
        else:
            yield path
