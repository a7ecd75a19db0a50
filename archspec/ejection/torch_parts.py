"""Modules and functions that PyTorch lacks. It is read as text: its parts go into ejected sources.

Lines are as black lays them out, 88 characters at most.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F


def without_weight(norm: nn.Module) -> nn.Module:
    """Return a normalisation that learns offsets alone."""
    norm.register_parameter("weight", None)
    return norm


def without_bias(norm: nn.Module) -> nn.Module:
    """Return a normalisation that learns factors alone."""
    norm.register_parameter("bias", None)
    return norm


def crop_like(
    x: torch.Tensor, like: torch.Tensor, offsets: Sequence[int] | None = None
) -> torch.Tensor:
    """Return the middle of x, or what begins at offsets, with the extents of another map."""
    for axis in range(2, x.ndim):
        length = like.shape[axis]
        start = offsets[axis - 2] if offsets else (x.shape[axis] - length) // 2
        x = x.narrow(axis, start, length)
    return x


class FrozenBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation that training leaves as it is, its statistics too."""

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(channels, eps=eps, momentum=momentum)
        self.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean, variance = self.running_mean, self.running_var
        return F.batch_norm(x, mean, variance, self.weight, self.bias, eps=self.eps)


class LayerNorm2d(nn.LayerNorm):
    """Each place of a map normalised over its channels, which stand before the places."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class DropPath(nn.Module):
    """A branch dropped at random in training, for each example by itself."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.rate == 0:
            return x
        shape = (x.shape[0],) + (1,) * (x.ndim - 1)
        kept = torch.rand(shape, device=x.device) >= self.rate
        return x * kept / (1 - self.rate)


class BatchDropPath(nn.Module):
    """A branch dropped at random in training, for the whole batch (Huang et al. 2016)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return x * (1 - self.rate)
        return x * (torch.rand((), device=x.device) >= self.rate)


class PathDraw(nn.Module):
    """A row: 1 for the column that a training step keeps, or only zeros."""

    def __init__(self, columns: int, global_share: float) -> None:
        super().__init__()
        self.columns = columns
        self.global_share = global_share

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        row = x.new_zeros(self.columns)
        if self.training and torch.rand(()) < self.global_share:
            row[torch.randint(self.columns, ())] = 1
        return row.expand(x.shape[0], -1)


class Join(nn.Module):
    """The mean of the inputs that survive drop-path; at inference, of all.

    With columns, the last input is a PathDraw's output. If it keeps one of them, that
    input survives; if it keeps another column, all do, because this join is not used.
    """

    def __init__(self, rate: float, columns: Sequence[int] | None) -> None:
        super().__init__()
        self.rate = rate
        self.columns = columns

    def forward(self, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        values = torch.stack(list(inputs if self.columns is None else inputs[:-1]))
        if not self.training:
            return values.mean(dim=0)
        alive = torch.rand(len(values), device=values.device) >= self.rate
        if not alive.any():
            alive[torch.randint(len(values), ())] = True
        if self.columns is not None:
            draw = inputs[-1][0] > 0
            here = draw[list(self.columns)]
            if draw.any():
                alive = here if here.any() else torch.ones_like(alive)
        return values[alive].mean(dim=0)


class Scale(nn.Module):
    """Each channel times a learned factor, plus a learned offset.

    The channels stand before so many axes: 2 for maps, 0 where they are last.
    """

    def __init__(
        self,
        channels: int,
        bias: bool = True,
        initial: float = 1.0,
        axes_after: int = 0,
    ) -> None:
        super().__init__()
        shape = (channels,) + (1,) * axes_after
        self.weight = nn.Parameter(torch.full(shape, initial))
        self.bias = nn.Parameter(torch.zeros(shape)) if bias else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x * self.weight
        return x if self.bias is None else x + self.bias


class RescaleChannels(nn.Module):
    """Each channel times a constant of its own, plus another."""

    scale: torch.Tensor
    offset: torch.Tensor

    def __init__(
        self, scale: float | Sequence[float], offset: float | Sequence[float], dim: int
    ) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(scale), persistent=False)
        self.register_buffer("offset", torch.tensor(offset), persistent=False)
        self.dim = dim

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x.movedim(self.dim, -1) * self.scale + self.offset
        return y.movedim(-1, self.dim)


class PaddedAvgPool(nn.Module):
    """Means over windows of a padded map. Only the padding in counted is in the divisor.

    Amounts are as in F.pad: before and after, the last axis first.
    """

    def __init__(
        self,
        size: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
        counted: Sequence[int],
    ) -> None:
        super().__init__()
        self.size, self.stride = tuple(size), tuple(stride)
        self.padding, self.counted = tuple(padding), tuple(counted)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[x.ndim - 3]
        rest = [
            all_ - own for all_, own in zip(self.padding, self.counted, strict=True)
        ]
        ones = F.pad(torch.ones_like(x[:1, :1]), self.counted, value=1.0)
        means = pool(F.pad(x, self.padding), self.size, self.stride)
        return means / pool(F.pad(ones, rest), self.size, self.stride)


class Parameter(nn.Module):
    """A learned constant added to the input, multiplying it, or in its place."""

    def __init__(
        self, shape: Sequence[int], use: str, mean: float = 0.0, deviation: float = 0.0
    ) -> None:
        super().__init__()
        start = mean + deviation * torch.randn(tuple(shape))
        self.parameter = nn.Parameter(start)
        self.use = use

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.use == "alone":
            return self.parameter.expand(x.shape[0], *self.parameter.shape)
        return x + self.parameter if self.use == "add" else x * self.parameter


class SpaceToDepth(nn.Module):
    """Each block of places as the channels of one place; the channels are last."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.factors = rows, columns

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, height, width, channels = x.shape
        a, b = self.factors
        x = x.reshape(batch, height // a, a, width // b, b, channels).transpose(2, 3)
        return x.reshape(batch, height // a, width // b, a * b * channels)


class DepthToSpace(nn.Module):
    """The channels of each place spread over a block of places; the channels are last."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.factors = rows, columns

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, height, width, channels = x.shape
        a, b = self.factors
        x = x.reshape(batch, height, width, a, b, channels // (a * b)).transpose(2, 3)
        return x.reshape(batch, height * a, width * b, channels // (a * b))


class ClassToken(nn.Module):
    """Learned vectors put before a sequence."""

    def __init__(self, count: int, channels: int) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(count, channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1)


class PositionEmbedding(nn.Module):
    """A learned vector for each place added to the values there."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.empty(shape).normal_(std=0.02))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.embedding


class RelativePositionBias(nn.Module):
    """A learned offset of each score, by head and by the way from the query to the key.

    The table has a row for each distance that two positions of a window can have.
    """

    rows: torch.Tensor

    def __init__(self, window: Sequence[int], heads: int) -> None:
        super().__init__()
        distances = math.prod(2 * extent - 1 for extent in window)
        self.table = nn.Parameter(torch.empty(distances, heads).normal_(std=0.02))
        axes = torch.meshgrid(*map(torch.arange, window), indexing="ij")
        rows = torch.zeros(math.prod(window), math.prod(window), dtype=torch.long)
        for places, extent in zip(axes, window, strict=True):
            flat = places.flatten()
            along = flat[:, None] - flat[None, :]
            rows = rows * (2 * extent - 1) + along + extent - 1
        self.register_buffer("rows", rows, persistent=False)

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        return scores + self.table[self.rows].permute(2, 0, 1)


class ShiftedWindowMask(nn.Module):
    """Scores between places that only a cyclic shift made neighbours: minus infinity."""

    kept: torch.Tensor

    def __init__(
        self, extents: Sequence[int], window: Sequence[int], shift: Sequence[int]
    ) -> None:
        super().__init__()
        axes = zip(extents, shift, strict=True)
        moved = [torch.arange(extent) >= extent - by for extent, by in axes]
        places = torch.stack(torch.meshgrid(*moved, indexing="ij"), dim=-1)
        rank = len(extents)
        split: list[int] = []
        for extent, size in zip(extents, window, strict=True):
            split += [extent // size, size]
        order = [*range(0, 2 * rank, 2), *range(1, 2 * rank, 2), 2 * rank]
        places = places.reshape(*split, rank).permute(order)
        places = places.reshape(-1, math.prod(window), rank)
        kept = (places[:, :, None] == places[:, None]).all(dim=-1)[:, None]
        self.register_buffer("kept", kept, persistent=False)

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        return scores.masked_fill(~self.kept, -math.inf)


class CausalMask(nn.Module):
    """Scores of keys after the query become minus infinity."""

    kept: torch.Tensor

    def __init__(self, positions: int) -> None:
        super().__init__()
        kept = torch.ones(positions, positions, dtype=torch.bool).tril()
        self.register_buffer("kept", kept, persistent=False)

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        return scores.masked_fill(~self.kept, -math.inf)


class Lstm(nn.LSTM):
    """An LSTM that returns its output alone, for all positions or the last state."""

    def __init__(
        self,
        channels: int,
        units: int,
        bias: bool = True,
        bidirectional: bool = False,
        last: bool = False,
    ) -> None:
        super().__init__(
            channels, units, bias=bias, bidirectional=bidirectional, batch_first=True
        )
        self.last = last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, (state, _) = super().forward(x)
        return torch.cat([*state], dim=-1) if self.last else y


class Gru(nn.GRU):
    """A GRU that returns its output alone, for all positions or the last state."""

    def __init__(
        self,
        channels: int,
        units: int,
        bias: bool = True,
        bidirectional: bool = False,
        last: bool = False,
    ) -> None:
        super().__init__(
            channels, units, bias=bias, bidirectional=bidirectional, batch_first=True
        )
        self.last = last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, state = super().forward(x)
        return torch.cat([*state], dim=-1) if self.last else y


class Rnn(nn.RNN):
    """An RNN that returns its output alone, for all positions or the last state."""

    def __init__(
        self,
        channels: int,
        units: int,
        bias: bool = True,
        bidirectional: bool = False,
        last: bool = False,
    ) -> None:
        super().__init__(
            channels, units, bias=bias, bidirectional=bidirectional, batch_first=True
        )
        self.last = last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, state = super().forward(x)
        return torch.cat([*state], dim=-1) if self.last else y
