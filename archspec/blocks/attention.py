"""Multi-head attention, from products and a softmax."""

from math import prod
from typing import ClassVar

from archspec.blocks.block import Block
from archspec.errors import Problem
from archspec.graph.builder import Builder
from archspec.graph.graph import Node
from archspec.ops.arrangement import Reshape, Slice
from archspec.ops.attention import CausalMask, RelativePositionBias, ShiftedWindowMask
from archspec.ops.axes import Axis, names_of_axes
from archspec.ops.convolution import FullyConnected
from archspec.ops.elementwise import Dropout, Rescale, Softmax
from archspec.ops.fields import Count, Index, Rate, Window, per_axis
from archspec.ops.merge import MatMul
from archspec.ops.op import needs_spatial
from archspec.ops.shape import Shape
from archspec.ops.shuffles import Permute, Roll


class Attention(Block, kind="attention", main="heads"):
    """Multi-head attention: each position takes from all others what suits it.

    (Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2)

    On a sequence all positions attend to each other, on maps all places. With a second input, of
    which keys and values are made, it is cross-attention: `{attention: 8, from: [x, memory]}`. With
    `window`, places attend to those of their window alone, and `shift` moves the windows by that
    much (Liu et al. 2021, arXiv:2103.14030, section 3.2).

    The kernel of queries, keys and values is one, its columns in this order and head by head in
    each, as in the linear layers of PyTorch and timm; in cross-attention, queries have their own.
    """

    row: ClassVar[bool] = True
    most_inputs: ClassVar[int] = 2

    hints: ClassVar[dict[str, str]] = {
        **dict.fromkeys(
            ("embed_dim", "dim", "d_model", "hidden_dim"),
            "its channels are those of its input: leave it out",
        ),
        **dict.fromkeys(
            ("value_dim", "vdim", "kdim"), "queries, keys and values have the length `head_size`"
        ),
        "mask": "archspec has `causal: true`, and the masks of shifted windows",
        "batch_first": "the batch is always first: leave it out",
    }

    heads: Count
    """Number of heads."""
    head_size: Count | None = None
    """Channels of a head's queries, keys and values; by default its share of the input's."""
    qkv_bias: bool = True
    """Whether queries, keys and values have learned offsets."""
    bias: bool = True
    """Whether the projection of the output has learned offsets."""
    dropout: Rate = 0.0
    """Share of the attention weights dropped in training."""
    causal: bool = False
    """Whether a position attends to those before it alone, and to itself."""
    window: Window | None = None
    """Extents of the windows in which places attend to each other; null for everywhere."""
    shift: Index | tuple[Index, ...] = 0
    """Distance by which windows are moved; no axis is shifted that has one window alone."""
    relative_position_bias: bool = False
    """Whether scores have a learned offset by the way from one place to the other."""

    def expand(self, b: Builder, x: Node, source: Node | None = None) -> Node:
        self._check(x.shape, source and source.shape)
        channels = x.channels
        shift = self._shift(x.shape)
        size = self.head_size or channels // self.heads
        inner = self.heads * size
        y = x
        if any(shift):
            y = b(Roll(by=tuple(-step for step in shift)), y, name="shift")
        y = self._as_positions(b, y)
        if source is None:
            q, k, v = self._parts(b, y, ("q", "k", "v"), "qkv", inner)
        else:
            (q,) = self._parts(b, y, ("q",), "query", inner)
            source = self._as_positions(b, source, "source")
            k, v = self._parts(b, source, ("k", "v"), "key_value", inner)
        q = b(Rescale(scale=size**-0.5), q, name="scale")
        scores = b(MatMul(transpose_b=True), q, k, name="scores")
        if self.relative_position_bias:
            window = self._window(x.shape) if self.window else x.shape.spatial
            scores = b(RelativePositionBias(window=window), scores, name="relative_position_bias")
        if any(shift):
            mask = ShiftedWindowMask(
                extent=x.shape.spatial, window=self._window(x.shape), shift=shift
            )
            scores = b(mask, scores, name="shifted_window_mask")
        if self.causal:
            scores = b(CausalMask(), scores, name="causal_mask")
        weights = b(Softmax(axis="channels"), scores, name="softmax")
        if self.dropout:
            weights = b(Dropout(rate=self.dropout), weights, name="dropout")
        y = b(MatMul(transpose_b=False), weights, v, name="values")
        y = b(Permute(to=_swapped(y.shape)), y, name="by_position")
        y = b(Reshape(to=(*y.shape[:-2], inner)), y, name="joined")
        projection = FullyConnected(units=channels, bias=self.bias, each_place=True)
        y = b(projection, y, name="projection")
        y = self._as_map(b, y, x.shape)
        return b(Roll(by=shift), y, name="unshift") if any(shift) else y

    @property
    def label(self) -> str:
        return f"ATTENTION-{self.heads}"

    def _check(self, x: Shape, source: Shape | None) -> None:
        needs_spatial(self.kind, x)
        if self.head_size is None and x.channels % self.heads:
            raise Problem(
                "shape",
                f"{x.channels} channels cannot be split into {self.heads} heads",
                help="the number of heads must divide the channels, or set `head_size`",
            )
        if source is not None:
            needs_spatial(self.kind, source)
            own = [
                name
                for name in ("causal", "window", "relative_position_bias")
                if getattr(self, name)
            ]
            if own:
                message = f"`{own[0]}` of `attention` is for one input, not for cross-attention"
                raise Problem("shape", message)
        if self.window is None and self.shift:
            raise Problem("shape", "`shift` of `attention` moves windows: it needs `window`")
        if self.causal and (self.window or x.rank != 1):
            raise Problem("shape", f"causal attention needs a sequence, not {x} or windows")
        if self.window is None:
            return
        if x.rank > 2:
            raise Problem("shape", f"windows of attention have one or two spatial axes, not {x}")
        for extent, window in zip(x.spatial, self._window(x), strict=True):
            if extent % window:
                raise Problem(
                    "shape",
                    f"windows of {window} do not fit {extent} places without rest",
                    help="`pad` or `crop` before it makes the extents multiples of the window",
                )

    def _window(self, x: Shape) -> tuple[int, ...]:
        return per_axis(self.window or (), x.rank, "window")

    def _shift(self, x: Shape) -> tuple[int, ...]:
        """Return the shift along each axis, 0 where one window is all of it."""
        if self.window is None:
            return (0,) * x.rank
        shifts = per_axis(self.shift, x.rank, "shift")
        return tuple(
            0 if extent == window else shift
            for extent, window, shift in zip(x.spatial, self._window(x), shifts, strict=True)
        )

    def _as_positions(self, b: Builder, x: Node, name: str = "positions") -> Node:
        """Add what makes a sequence of maps, or one of each window, [windows, positions, ...]."""
        *spatial, channels = x.shape
        if self.window is None:
            to = (prod(spatial), channels)
            return x if x.shape.rank == 1 else b(Reshape(to=to), x, name=name)
        window = self._window(x.shape)
        if len(spatial) == 2:
            (height, width), (rows, columns) = spatial, window
            split = (height // rows, rows, width // columns, columns * channels)
            x = b(Reshape(to=split), x, name="bands")
            x = b(Permute(to=("depth", "width", "height", "channels")), x, name="tiles")
        windows = prod(n // own for n, own in zip(spatial, window, strict=True))
        return b(Reshape(to=(windows, prod(window), channels)), x, name="windows")

    def _as_map(self, b: Builder, y: Node, x: Shape) -> Node:
        """Add the reverse of `_as_positions`; `x` is the shape that the map had."""
        if self.window and x.rank == 2:
            (height, width), (rows, columns) = x.spatial, self._window(x)
            split = (height // rows, width // columns, rows, columns * x.channels)
            y = b(Reshape(to=split), y, name="untiled")
            y = b(Permute(to=("depth", "width", "height", "channels")), y, name="unbanded")
        return b(Reshape(to=tuple(x)), y, name="map") if y.shape != x else y

    def _parts(
        self, b: Builder, x: Node, names: tuple[str, ...], layer: str, inner: int
    ) -> list[Node]:
        """Add a fully connected layer for `names`, and return each by head and position."""
        units = len(names) * inner
        y = b(FullyConnected(units=units, bias=self.qkv_bias, each_place=True), x, name=layer)
        heads = len(names) * self.heads
        y = b(Reshape(to=(*y.shape[:-1], heads, inner // self.heads)), y, name=f"{layer}_heads")
        y = b(Permute(to=_swapped(y.shape)), y, name=f"{layer}_by_head")
        if len(names) == 1:
            return [y]
        axis = names_of_axes(y.shape)[-3]
        return [
            b(Slice(axis=axis, start=i * self.heads, stop=(i + 1) * self.heads), y, name=name)
            for i, name in enumerate(names)
        ]


def _swapped(x: Shape) -> tuple[Axis, ...]:
    """Return the names of the axes with the last two spatial ones in the other order."""
    *outer, a, b, channels = names_of_axes(x)
    return (*outer, b, a, channels)
