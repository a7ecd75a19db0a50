"""`archspec predict`: the classes that images likely show."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import click

from .engine import EngineCommand
from .options import AT_LEAST_1, images_options
from .output import as_json, counter, echo, screen
from .spelling import spelled


@click.command("predict", cls=EngineCommand)
@click.argument("run")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option(
    "--with",
    "others",
    multiple=True,
    metavar="RUN",
    help="Let another run answer together with it. May be given several times.",
)
@click.option("--top", type=AT_LEAST_1, metavar="K", default=3, help="Classes of an image.  [3]")
@images_options
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@click.option("--csv", "is_csv", is_flag=True, help="Print CSV.")
def command(
    run: str,
    images: tuple[str, ...],
    others: tuple[str, ...],
    is_json: bool,
    is_csv: bool,
    quiet: bool,
    batch: int | None,
    **options: Any,
) -> None:
    """Say what images show, by a trained network.

    RUN is a run's folder, or a .keras file. IMAGE is a picture file, a folder of them, or an array
    of images (.npy, .npz); `-` reads such paths from standard input, one a line. What cannot be
    read is named, and the rest is done.

    \b
    archspec predict runs/lenet5-1 photo.jpg more/
    archspec predict runs/lenet5-1 --with runs/lenet5-2 digits.npy --top 1 --csv
    find . -name '*.png' | archspec predict runs/lenet5-1 -
    """
    from archspec.training.scoring import prediction, prediction_tables

    if is_json and is_csv:
        raise click.UsageError("--json and --csv are two formats: choose one")
    paths = list(_paths(images))
    with counter(quiet=quiet) as progress:
        found = prediction.predict(
            [run, *others],
            paths,
            batch=batch or prediction.BATCH,
            progress=progress,
            **options,
        )
    for note in found.notes:
        echo(f"note: {spelled(note)}", err=True)
    if is_json:
        echo(as_json(found.to_dict()))
    elif is_csv:
        echo(prediction_tables.csv(found))
    elif table := prediction_tables.text(found, **screen()):
        echo(table)
    for image in found.unread:
        echo(f"error: {image.image}: {image.error}", err=True)
    if found.unread:
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
