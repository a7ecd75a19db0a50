"""The arithmetic of each number of a report, in the form of CS231n's case studies."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import groupby
from math import prod
from operator import itemgetter
from textwrap import wrap
from typing import Final, NamedTuple

from archspec.cost.report import Report, Row
from archspec.graph.graph import Graph, Node
from archspec.ops.atleast import AtLeast
from archspec.ops.convolution import Convolution
from archspec.render.amounts import PrintedExtents, byte_size, extents, joined

GAP = "  "

MOST_TERMS: Final = 6
"""Largest number of terms of a sum that is written out."""


class Derivation(NamedTuple):
    """The terms of each number of a row; empty where there is no more to say than the number."""

    activations: str
    params: str
    macs: str
    other_ops: str
    field: str
    stride: str


def derivation(report: Report, row: Row) -> Derivation:
    """Return the terms of each number of a row."""
    nodes = report.graph.nodes[row.start : row.stop]
    return Derivation(
        _memory(row),
        _params(report.graph, nodes),
        _macs(nodes, row.macs) if row.macs else "",
        _other_ops(nodes),
        *_reach(report, row),
    )


def formulas(
    report: Report, *, depth: int | None = None, ops: bool = False, width: int | None = None
) -> Iterator[str]:
    """Yield a line for every row of the table and one for their sum, broken where it is too wide.

    CONV3-64: [224x224x64]  memory: 224*224*64 = 3,211,264  params: (3*3*3)*64 = 1,728 (+64 biases)
    """
    lines = [arithmetic(report, row) for row in report.rows(depth, ops=ops)]
    lines.append(_total(report))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    if width is not None and sum(widths) + len(GAP) * (len(widths) - 1) > width:
        for label, shape, *parts in lines:
            yield f"{label} {shape}".rstrip()
            for part in parts:
                yield from wrap(part, width, initial_indent=GAP, subsequent_indent=2 * GAP)
        return
    for cells in lines:
        padded = (cell.ljust(size) for cell, size in zip(cells, widths, strict=True))
        yield GAP.join(padded).rstrip()


def arithmetic(report: Report, row: Row) -> tuple[str, ...]:
    """Return a row's label, its shape, and how its memory, parameters and MACs come about."""
    nodes = report.graph.nodes[row.start : row.stop]
    return (
        f"{row.label}:",
        f"[{row.shape}]",
        f"memory: {_memory(row)}",
        f"params: {_params(report.graph, nodes)}",
        f"MACs: {_macs(nodes, row.macs)}" if row.macs else "",
    )


def _total(report: Report) -> tuple[str, ...]:
    batch, value_bytes = report.setting.batch, report.setting.value_bytes
    values = _factor(report.totals.activations) + (f"*{batch}" if batch > 1 else "")
    memory = report.totals.activations * batch * value_bytes
    return (
        "TOTAL:",
        "",
        f"memory: {values}*{value_bytes} bytes = {byte_size(memory)}",
        f"params: {_params(report.graph, report.graph.nodes)}",
        f"MACs: {report.totals.macs:,}",
    )


def _factor(value: int) -> str:
    """Return a number, or a formula in the input's size, as a factor."""
    if isinstance(value, int):
        return f"{value:,}"
    from archspec.ops.extent import bracketed  # noqa: PLC0415

    return bracketed(f"{value:,}")


def _memory(row: Row) -> str:
    if row.activations == row.shape.size and row.shape.rank > 0:
        if row.shape.is_open:  # the product is the formula
            return f"{row.activations:,}"
        return f"{'*'.join(map(str, row.shape))} = {row.activations:,}"
    return f"{row.activations:,}"


def _params(graph: Graph, nodes: tuple[Node, ...]) -> str:
    kernels = []
    biases = norms = others = 0
    for node in nodes:
        for weight in node.layer.weights:
            if weight.name == "kernel":
                kernels.append((node, weight.shape))
            elif weight.name == "bias":
                biases += prod(weight.shape)
            elif node.op.family == "normalization":
                norms += prod(weight.shape)
            else:
                others += prod(weight.shape)
    total = sum(prod(kernel) for _, kernel in kernels)
    if len(kernels) == 1:
        text = f"{_product(graph, *kernels[0])} = {total:,}"
    elif kernels:
        text = f"{len(kernels)} kernels = {total:,}"
    else:
        text = "0"
    more = [f"+{biases:,} biases"] if biases else []
    more += [f"+{norms:,} norm"] if norms else []
    more += [f"+{others:,} other"] if others else []
    if more:
        text = f"{text} ({', '.join(more)})"
    if any(isinstance(node.layer.params, AtLeast) for node in nodes):
        return f"{text} + ?" if kernels or more else "?"
    return text


def _product(graph: Graph, node: Node, kernel: tuple[int, ...]) -> str:
    """(3*3*3)*64: the values that one output sees, times the outputs."""
    if isinstance(node.op, Convolution):
        return f"({'*'.join(map(str, kernel[:-1]))})*{kernel[-1]}"
    # Of other layers, the kernel's last axis is not the outputs, or it sees one position alone.
    if len(kernel) > 2 or node.layer.inputs[0].rank:
        return "*".join(map(str, kernel))
    # A fully connected layer sees every value of the tensor that was flattened for it.
    seen = graph.nodes[node.inputs[0]]
    while seen.op.view:
        seen = graph.nodes[seen.inputs[0]]
    return "*".join(map(str, (*seen.shape, kernel[-1])))


def _macs(nodes: tuple[Node, ...], macs: int) -> str:
    kernels = [prod(w.shape) for node in nodes for w in node.layer.used if w.name == "kernel"]
    if len(kernels) != 1 or macs == kernels[0] or not isinstance(macs, int):
        return f"{macs:,}"
    return f"{kernels[0]:,}*{macs // kernels[0]:,} = {macs:,}"


def _other_ops(nodes: tuple[Node, ...]) -> str:
    """Return the sum by kinds of ops, as in `conv 64 + relu 3,211,264 = 3,211,328`."""
    counts = sorted((node.op.kind, node.layer.other_ops) for node in nodes if node.layer.other_ops)
    kinds = [
        (kind, sum(count for _, count in group)) for kind, group in groupby(counts, itemgetter(0))
    ]
    if not 1 < len(kinds) <= MOST_TERMS:
        return ""
    terms = " + ".join(f"{kind} {count:,}" for kind, count in kinds)
    return f"{terms} = {sum(count for _, count in kinds):,}"


def _reach(report: Report, row: Row) -> tuple[str, str]:
    """3 + (2-1)*1 = 4 and 1*2 = 2: field and stride, from those of the input of a row's window."""
    windows = [
        (node, reach)
        for node in report.graph.nodes[row.start : row.stop]
        if (reach := node.layer.reach) is not None
        and any(window != 1 or by != 1 for window, by in zip(*reach, strict=True))
    ]
    if len(windows) != 1 or row.field is None:
        return "", ""
    ((node, reach),) = windows
    seen, after = report.fields[node.inputs[0]], report.fields[node.index]
    if seen is None or after is None:
        return "", ""
    fields = [
        f"{_extent(size)} + ({window}-1)*{_extent(step)} = {_extent(result)}"
        for size, step, window, result in zip(*seen, reach.window, after.size, strict=True)
    ]
    strides = [
        f"{_extent(step)}*{_extent(by)} = {_extent(result)}"
        for step, by, result in zip(seen.stride, reach.stride, after.stride, strict=True)
    ]
    return joined(fields, " x "), joined(strides, " x ")


def _extent(value: int | Fraction) -> str:
    return extents(PrintedExtents((value,)))
