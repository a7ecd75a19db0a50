"""All guesses, with the ops at which their blocks may end.

A new block takes part by a function in this package and its line in `PROPOSALS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from archspec.decompile.proposals import attention, branching, layers, shortcuts
from archspec.decompile.proposals.layers import ACTIVATIONS, NORM_OPS, Proposal
from archspec.decompile.view import Place, View
from archspec.ops.arrangement import Reshape
from archspec.ops.convolution import (
    Convolution,
    DepthwiseConvolution,
    FullyConnected,
    TransposedConvolution,
)
from archspec.ops.elementwise import Dropout
from archspec.ops.merge import Add, Concat, Mean, Multiply
from archspec.ops.normalization import LayerNorm
from archspec.ops.op import Op
from archspec.ops.paths import Join
from archspec.ops.pooling import AvgPool
from archspec.ops.shuffles import Roll

_Propose: TypeAlias = Callable[[View, Place], Iterator[Proposal]]

_AFTER: Final = (*ACTIVATIONS, *NORM_OPS)
"""Ops that may stand behind the one after which a layer is called."""

PROPOSALS: Final[tuple[tuple[_Propose, tuple[type[Op], ...]], ...]] = (
    (attention.transformer, (Add, LayerNorm)),
    (attention.attention, (Roll, Reshape, FullyConnected)),
    (branching.dual_path, (Concat,)),
    (branching.dense, (Concat,)),
    (branching.fractal, (Mean, Join)),
    (shortcuts.residual, (*ACTIVATIONS, Add)),
    (shortcuts.inverted_residual, (Add, *NORM_OPS)),
    (branching.inception, (Concat,)),
    (branching.fire, (Add, Concat)),
    (shortcuts.squeeze_excitation, (Multiply,)),
    (branching.transition, (AvgPool,)),
    (layers.mlpconv, ACTIVATIONS),
    (layers.separable_conv, (*_AFTER, Convolution)),
    (layers.patchify, (Reshape, *NORM_OPS)),
    (layers.depthwise_conv, (*_AFTER, DepthwiseConvolution)),
    (layers.transposed_conv, (*_AFTER, TransposedConvolution)),
    (layers.fc, (*_AFTER, FullyConnected)),
    (layers.conv, (*_AFTER, Convolution, Dropout)),
)
"""The guesses, larger blocks first, each with the ops at which its block may end."""
