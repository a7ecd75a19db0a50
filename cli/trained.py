"""What commands share that show images to trained networks: options, and a count meanwhile."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import click

from .options import AT_LEAST_1, Command

NORMALIZE: Final = ("unit", "symmetric", "torch", "caffe", "none")


def images_options(command: Command) -> Command:
    """How images are given: parameters `flip`, `batch`, `normalize`, `white` and `quiet`."""
    flip = click.option("--flip", is_flag=True, help="Take the mean over an image and its mirror.")
    batch = click.option("--batch", type=AT_LEAST_1, metavar="N", help="Images at a time.")
    normalize = click.option(
        "--normalize",
        type=click.Choice(NORMALIZE),
        metavar="HOW",
        help=f"How the images of a .keras file were prepared: {', '.join(NORMALIZE)}.",
    )
    white = click.option(
        "--white",
        type=click.FloatRange(min=0, min_open=True),
        metavar="X",
        help="The value of white in arrays.  [as in training]",
    )
    quiet = click.option("--quiet", is_flag=True, help="No count of images, only the result.")
    return flip(batch(normalize(white(quiet(command)))))


@contextmanager
def counter(*, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Counts images on standard error, in a line that is gone in the end; only on a terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    longest = 0

    def show(text: str) -> None:
        nonlocal longest
        longest = max(longest, len(text))
        click.echo(f"\r{text.ljust(longest)}", nl=False, err=True)

    show("loading ..")
    try:
        yield lambda done, total: show(f"{done:,} of {total:,} images")
    finally:
        click.echo(f"\r{' ' * longest}\r", nl=False, err=True)
