"""docs/counting.md: its table is what the ops say."""

import re

import pytest
from pages import ROOT

from archspec.compile import catalog
from archspec.graph.graph import layer_at
from archspec.ops.merge import Merge
from archspec.ops.op import Op
from archspec.ops.shape import Shape
from archspec.spec.source import parse

PAGE = (ROOT / "docs" / "counting.md").read_text(encoding="utf-8")

IMAGE, VECTOR, SEQUENCE = Shape((8, 8, 4)), Shape((256,)), Shape((64, 4))
POOLED = Shape((4, 4, 4))
SCORES, WINDOW_SCORES = Shape((4, 8, 8)), Shape((2, 4, 8, 8))
INPUTS = {
    **dict.fromkeys(("class_token", "lstm", "gru", "rnn"), SEQUENCE),
    **dict.fromkeys(("relative_position_bias", "causal_mask"), SCORES),
    "shifted_window_mask": WINDOW_SCORES,
    "embedding": VECTOR,
}
"""Inputs of the ops that do not take an image."""


def rows() -> list[list[str]]:
    """The cells of the table of ops."""
    lines = PAGE.partition("\n## What each op counts\n")[2].partition("\n## ")[0].splitlines()
    table = [re.split(r" *\| *", line)[1:-1] for line in lines if line.startswith("| `")]
    assert {len(cells) for cells in table} == {6}
    return table


@pytest.mark.parametrize(("step", "macs", "other_ops", "_words", "kept", "memory"), rows())
def test_an_op_counts_what_the_page_says(step, macs, other_ops, _words, kept, memory):
    op = op_of(step.strip("`"))
    x = INPUTS.get(op.kind, IMAGE)
    if op.kind == "rbf" or (op.kind == "fully_connected" and not op.each_place):
        x = VECTOR
    inputs = (x, x) if isinstance(op, Merge) else (x,)
    if op.kind == "max_unpool":
        inputs = (POOLED, x)
    layer = layer_at(op, inputs)
    assert (f"{layer.macs:,}", f"{layer.other_ops:,}") == (macs, other_ops)
    saved = [name for name in ("input", "output", "mask") if getattr(layer.saved, name)]
    saved += [f"{layer.saved_inside:,} inside"] if layer.saved_inside else []
    assert ", ".join(saved or ["nothing"]) == kept
    assert ("view" if op.view else "in place" if op.in_place else "own") == memory


def op_of(step: str) -> Op:
    ((kind, given),) = parse(f"step: {{{step}}}").data["step"].items()
    cls = catalog.find(kind)
    arguments = given if isinstance(given, dict) else {} if given is None else {cls.main: given}
    return cls.parse({k: tuple(v) if isinstance(v, list) else v for k, v in arguments.items()})


def test_the_page_has_every_op():
    listed = {op_of(cells[0].strip("`")).kind for cells in rows()}
    assert listed == {kind for kind, cls in catalog.kinds().items() if issubclass(cls, Op)}


def test_the_lectures_rows_add_up_on_the_page():
    rows, _, result = PAGE.partition("\n150,528")[2].partition("\n```")[0].rpartition("\n= ")
    terms = re.findall(r"\+ (?:(\d+) x )? *([\d,]+)", rows)
    values = [int(times or 1) * int(value.replace(",", "")) for times, value in terms]
    assert f"{150_528 + sum(values):,}" == result == "15,237,608"
