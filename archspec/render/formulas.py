"""The lecture's arithmetic: how each number of the table comes about (CS231n, case studies)."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from archspec.analysis.report import Report, Row
from archspec.graph.graph import Layer


def formulas(report: Report, *, depth: int | None = None, ops: bool = False) -> Iterator[str]:
    """A line for every row of the table.

    CONV3-64: [224x224x64]  memory: 224*224*64 = 3,211,264  params: (3*3*3)*64 = 1,728 (+64 biases)
    """
    rows = report.rows(depth, ops=ops)
    label_width = max(len(row.label) for row in rows) + 1
    shape_width = max(len(str(row.shape)) for row in rows) + 2
    for row in rows:
        layers = [node.layer for node in report.graph.nodes[row.start : row.stop]]
        parts = [
            f"{row.label + ':':<{label_width}} {f'[{row.shape}]':<{shape_width}}",
            f"memory: {_memory(row)}",
            f"params: {_params(layers)}",
        ]
        if row.macs:
            parts.append(f"MACs: {_macs(layers, row.macs)}")
        yield "  ".join(parts)


def _memory(row: Row) -> str:
    if not row.activations:
        return "0"
    if row.activations != row.shape.size:
        return f"{row.activations:,}"
    product = "*".join(map(str, row.shape))
    return f"{product} = {row.activations:,}" if len(row.shape) > 1 else f"{row.activations:,}"


def _kernels(layers: list[Layer]) -> list[tuple[int, ...]]:
    return [w.shape for layer in layers for w in layer.weights if w.name == "kernel"]


def _params(layers: list[Layer]) -> str:
    kernels = _kernels(layers)
    counts: dict[str, int] = {}
    for layer in layers:
        for weight in layer.weights:
            counts[weight.name] = counts.get(weight.name, 0) + prod(weight.shape)
    biases = counts.pop("bias", 0)
    kernel = counts.pop("kernel", 0)
    norms = sum(counts.values())
    if len(kernels) == 1:
        text = f"{_product(kernels[0])} = {kernel:,}"
    elif kernels:
        text = f"{len(kernels)} kernels = {kernel:,}"
    else:
        text = "0"
    more = [f"{biases:,} biases"] if biases else []
    more += [f"{norms:,} norm"] if norms else []
    return f"{text} (+{', +'.join(more)})" if more else text


def _product(kernel: tuple[int, ...]) -> str:
    """(3*3*3)*64: the values that one output sees, times the outputs."""
    seen = "*".join(map(str, kernel[:-1]))
    return f"({seen})*{kernel[-1]}" if len(kernel) > 2 else f"{seen}*{kernel[-1]}"


def _macs(layers: list[Layer], macs: int) -> str:
    kernels = _kernels(layers)
    if len(kernels) != 1:
        return f"{macs:,}"
    weights = prod(kernels[0])
    return f"{weights:,}*{macs // weights:,} = {macs:,}" if macs > weights else f"{macs:,}"
