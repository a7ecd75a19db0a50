"""Pools of PyTorch as ONNX's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from archspec.imports.onnx.writing import Unwritten
from archspec.imports.pytorch.writing import (
    Arguments,
    Operator,
    Program,
    by_rank,
    each_axis,
)


def pool(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    _pool(p, a, outputs, "MaxPool")


def avg_pool(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    if a.get("divisor_override"):
        raise ValueError
    counted = 1 if a.get("count_include_pad", True) else 0
    _pool(p, a, outputs, "AveragePool", count_include_pad=counted)


def _pool(p: Program, a: Arguments, outputs: Sequence[str], op: str, **more: Any) -> None:
    rank = p.rank(a["self"]) - 2
    kernel = each_axis(a["kernel_size"], rank)
    p.step(
        op,
        [a["self"].name],
        outputs,
        kernel_shape=kernel,
        strides=each_axis(a.get("stride") or kernel, rank),
        pads=each_axis(a.get("padding") or 0, rank) * 2,
        dilations=each_axis(a.get("dilation") or 1, rank),
        ceil_mode=int(bool(a.get("ceil_mode"))),
        **more,
    )


def _adaptive(whole: str, window: str) -> Operator:
    """Return the function of a pool to a given size."""

    def write(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
        x = a["self"].name
        before, after = p.dims[x][2:], p.dims[outputs[0]][2:]
        if all(n == 1 for n in after):
            p.step(whole, [x], outputs[:1])
            return
        if any(not isinstance(n, int) or n % m for n, m in zip(before, after, strict=True)):
            raise Unwritten("its windows are of several sizes")
        kernel = [n // m for n, m in zip(before, after, strict=True)]
        p.step(window, [x], outputs[:1], kernel_shape=kernel, strides=kernel)

    return write


OPERATORS: Final[Mapping[str, Operator]] = {
    **by_rank("max_pool", pool),
    **{f"max_pool{rank}d_with_indices": pool for rank in (2, 3)},
    **by_rank("avg_pool", avg_pool),
    **by_rank("adaptive_avg_pool", _adaptive("GlobalAveragePool", "AveragePool")),
    **by_rank("_adaptive_avg_pool", _adaptive("GlobalAveragePool", "AveragePool")),
    **by_rank("adaptive_max_pool", _adaptive("GlobalMaxPool", "MaxPool")),
}
"""The function of each operator, without its overload and the `_` of those in place."""
