"""Residual units: basic and bottleneck, post- and pre-activation, wide, grouped."""

from typing import Any, Literal

from archspec.blocks.activated import Activation, activated
from archspec.blocks.block import Block
from archspec.blocks.conv import Conv, Order
from archspec.blocks.gate import Gate, gated
from archspec.blocks.normalized import Norm, normalized
from archspec.errors import Problem
from archspec.graph.builder import Builder
from archspec.graph.graph import Node
from archspec.ops.arrangement import PadChannels
from archspec.ops.elementwise import Dropout, DropPath
from archspec.ops.fields import Count, Rate
from archspec.ops.merge import Add
from archspec.ops.pooling import AvgPool, MaxPool


class Residual(Block, kind="residual", main="filters"):
    """Convolutions whose output is added to their input. (He et al. 2015, arXiv:1512.03385)

    Pre-activation: He et al. 2016, arXiv:1603.05027. Wide: Zagoruyko & Komodakis 2016,
    arXiv:1605.07146. Cardinality: Xie et al. 2017, arXiv:1611.05431. Stochastic depth: Huang et
    al. 2016, arXiv:1603.09382. Gate: Hu et al. 2017, arXiv:1709.01507, figure 3.
    """

    filters: Count
    """Filters of the 3x3 convolutions; a bottleneck's output has `expansion` times as many."""
    style: Literal["basic", "bottleneck"] = "basic"
    """Two 3x3 convolutions, or 1x1, 3x3, 1x1."""
    stride: Count = 1
    """Step of the unit."""
    stride_on: Literal["3x3", "1x1"] = "3x3"
    """Convolution of a bottleneck that strides: the 3x3, or the first 1x1 as in the paper."""
    expansion: Count = 4
    """A bottleneck's output channels, in multiples of `filters`."""
    cardinality: Count = 1
    """Groups of the bottleneck's 3x3 convolution."""
    width: Count | None = None
    """Channels of each group of the bottleneck's 3x3; by default `filters` over all groups."""
    shortcut: Literal["projection", "pad", "identity"] = "projection"
    """Shortcut of unlike shapes: 1x1 convolution (option B), zero channels (A), or an error."""
    subsample: Literal["stride", "average"] = "stride"
    """Way in which a `pad` shortcut shrinks its input: take every stride-th place, or average."""
    order: Order = "conv-norm-act"
    """Post-activation, or the pre-activation of He et al. 2016."""
    preactivate: bool = True
    """Whether a pre-activation unit starts with norm and activation (not where the stem did)."""
    bias: bool | Literal["outer"] = False
    """Whether convolutions have a bias: all, none, or `outer`, those whose outputs are added."""
    norm: Norm = "batch"
    """Normalisation of every convolution."""
    activation: Activation = "relu"
    """Activation, after the sum too in post-activation order."""
    dropout: Rate = 0.0
    """Share dropped before the last convolution in training (Wide ResNet)."""
    drop_path: Rate = 0.0
    """Share dropped of the branch in training (stochastic depth); the kind `drop_path` says how."""
    gate: Gate | None = None
    """Step that weighs the branch before the sum, such as squeeze_excitation (Hu et al. 2017)."""
    gate_on: Literal["branch", "3x3"] = "branch"
    """Output that passes the gate: the branch's, or that of a bottleneck's 3x3 (RegNet)."""

    def expand(self, b: Builder, x: Node) -> Node:
        post = self.order == "conv-norm-act"
        entry = x if post or not self.preactivate else self._activated(b, x, "")
        y = entry
        windows = self._windows()
        last = len(windows)
        for number, window in enumerate(windows, start=1):
            norm: Norm | None = self.norm
            activation = self.activation if not post or number < last else None
            if not post and number == 1:  # the entry is activated, if it should be
                norm = activation = None
            if self.dropout and number == last:
                if not post:
                    y = self._activated(b, y, str(number))
                    norm = activation = None
                y = b(Dropout(rate=self.dropout), y, name="dropout")
            bias = number == last if self.bias == "outer" else self.bias
            conv = Conv(norm=norm, activation=activation, order=self.order, bias=bias, **window)
            y = b(conv, y, name=f"conv{number}")
            if number == (2 if self.gate_on == "3x3" else last):
                y = gated(b, y, self.gate)
        if self.drop_path:
            y = b(DropPath(rate=self.drop_path), y, name="drop_path")
        y = b(Add(), y, self._shortcut(b, x, entry, y), name="add")
        return activated(b, y, self.activation) if post else y

    def _windows(self) -> list[dict[str, Any]]:
        """Return the arguments in which the unit's convolutions differ."""

        def window(filters: int, kernel: int, stride: int) -> dict[str, Any]:
            padding = kernel // 2 or "valid"
            return {"filters": filters, "kernel": kernel, "stride": stride, "padding": padding}

        if self.style == "basic":
            if self.cardinality > 1 or self.width is not None:
                raise Problem(
                    "shape",
                    "a basic `residual` has neither `cardinality` nor `width`",
                    help="add `style: bottleneck`",
                )
            return [window(self.filters, 3, self.stride), window(self.filters, 3, 1)]
        width = self.width or max(self.filters // self.cardinality, 1)
        inner = width * self.cardinality
        first, middle = (self.stride, 1) if self.stride_on == "1x1" else (1, self.stride)
        return [
            window(inner, 1, first),
            window(inner, 3, middle) | {"groups": self.cardinality},
            window(self.filters * self.expansion, 1, 1),
        ]

    def _activated(self, b: Builder, x: Node, number: str) -> Node:
        x = normalized(b, x, self.norm, f"norm{number}")
        return activated(b, x, self.activation, f"activation{number}")

    def _shortcut(self, b: Builder, x: Node, entry: Node, y: Node) -> Node:
        """Return the other summand: the input itself, made to fit where the shapes differ."""
        if x.shape == y.shape:
            return x
        if self.shortcut == "identity":
            raise Problem(
                "shape",
                f"an identity shortcut cannot join {x.shape} and {y.shape}",
                help="`shortcut: projection` or `pad` makes them fit",
            )
        if self.shortcut == "projection":
            pre = self.order == "norm-act-conv"
            projection = Conv(
                filters=y.channels,
                kernel=1,
                stride=self.stride,
                padding="valid",
                bias=self.bias is not False,
                norm=None if pre else self.norm,
                activation=None,
            )
            return b(projection, entry, name="projection")
        if self.stride > 1:
            every = MaxPool(size=1, stride=self.stride, padding="valid")
            # Rounded up, as the convolutions beside it round.
            mean = AvgPool(size=self.stride, stride=self.stride, padding="valid", ceil=True)
            x = b(every if self.subsample == "stride" else mean, x, name="subsample")
        if x.channels != y.channels:
            x = b(PadChannels(to=y.channels), x, name="pad_channels")
        return x
