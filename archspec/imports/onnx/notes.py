"""Sentences about what an exporter changed, and what is shown otherwise than the file has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from archspec.imports.onnx.source import COMPUTED, FIXED


class Sentence(NamedTuple):
    """A sentence about things that were counted; `numbers` and `instead` are filled in."""

    one: str
    """Subject and verb of a single thing, after "One"."""
    many: str
    """Subject and verb of several, after their count."""
    rest: str


COUNTED: Final[Mapping[str, Sentence]] = {
    FIXED: Sentence(
        "layer has",
        "layers have",
        "{numbers} numbers that are constants and not parameters of the model, as masks and grids "
        "are: they count as not trainable.",
    ),
    COMPUTED: Sentence(
        "layer has",
        "layers have",
        "{numbers} numbers that were computed before the network runs, from weights or from "
        "nothing, as tables of positions are: they count as not trainable, and the model "
        "{instead}. What computes them is not counted.",
    ),
    "positions": Sentence(
        "table of relative positions is",
        "tables of positions are",
        "read out of the offsets that the exporter wrote for all pairs of positions; a model that "
        "computes them has learned other numbers.",
    ),
    "finite masks": Sentence(
        "mask of shifted windows adds",
        "masks of shifted windows add",
        "a number such as -100 to the scores of places that are not neighbours, archspec's minus "
        "infinity: after the softmax both are 0.",
    ),
    "standardized": Sentence(
        "kernel is",
        "kernels are",
        "standardised each time the network runs (Qiao et al. 2019): the weights here are what "
        "results, and gains a scale.",
    ),
    "joined": Sentence(
        "layer has",
        "layers have",
        "{numbers} numbers among the weights that follow from others or are constants, as the "
        "zeros of a bias are that a part of a kernel lacks: they count as trained.",
    ),
    "merged": Sentence(
        "layer has",
        "layers have",
        "weights that are all equal and that the exporter stored once with those of another: they "
        "count for each layer.",
    ),
    "norm as a scale": Sentence(
        "layer is",
        "layers are",
        "a factor and an offset for each channel: as exporters write batch norms, with 2 numbers a "
        "channel instead of 4.",
    ),
    "two biases": Sentence(
        "recurrent layer has",
        "recurrent layers have",
        "two biases in the file; they are added up to the one that archspec has.",
    ),
    "pool of one place": Sentence(
        "pool covers", "pools cover", "a single place: it changes nothing, and is left out."
    ),
    "folded norm": Sentence(
        "convolution has",
        "convolutions have",
        "a batch norm folded in by the exporter, as a bias: the model had 4 numbers a channel "
        "instead, 2 of them trained.",
    ),
}
"""Sentences with a count, by the key of the count."""

TOLD: Final[Mapping[str, str]] = {
    "corners": "A resize counts places from corner pixels or from the first one (align_corners, "
    "asymmetric), archspec's from the borders of the image: its outputs differ a little.",
    "flattened": "The file flattens its maps with the channels first, archspec with the channels "
    "last; the rows of the fully connected layer after it are put in that order.",
}
"""Sentences told once, however often their cause occurs, by its key."""


def notes(counts: Mapping[str, int], writer: str, unread: int, sources: int) -> Iterator[str]:
    """Yield the notes on a file.

    Args:
        counts: Occurrences by key; under a key and `numbers` the values that they concern.
        writer: The program that wrote the file.
        unread: Count of learned numbers that no layer has.
        sources: Count of those that no layer has, but from which numbers follow that one has.
    """
    if unread:
        yield (
            f"{unread:,} stored numbers are in no layer of the graph, as those of heads that only "
            "help to train."
        )
    instead = "may have learned others instead"
    if sources:
        instead = f"learned {sources:,} others, from which they follow"
    for key, sentence in COUNTED.items():
        if key in counts:
            what = f"{counts[key]:,} {sentence.many}" if counts[key] > 1 else f"One {sentence.one}"
            numbers = f"{counts[f'{key} numbers']:,}" if "{numbers}" in sentence.rest else ""
            yield f"{what} {sentence.rest.format(numbers=numbers, instead=instead)}"
    yield from (sentence for key, sentence in TOLD.items() if key in counts)
    if writer == "tf2onnx":
        yield (
            "tf2onnx leaves out biases that are all zero and folds batch norms into convolutions: "
            "the model may have had more parameters."
        )
