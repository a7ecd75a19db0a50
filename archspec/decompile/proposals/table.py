"""All guesses, with the ops at which their blocks may end.

A new block takes part by a function in this package and its line in `PROPOSALS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from archspec.decompile.proposals.attention import attention, transformer
from archspec.decompile.proposals.branching import (
    dense,
    dual_path,
    fire,
    fractal,
    inception,
    transition,
)
from archspec.decompile.proposals.layers import (
    ACTIVATIONS,
    NORM_OPS,
    Proposal,
    conv,
    depthwise_conv,
    fc,
    mlpconv,
    patchify,
    separable_conv,
    transposed_conv,
)
from archspec.decompile.proposals.shortcuts import inverted_residual, residual, squeeze_excitation
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

PROPOSALS: Final[tuple[tuple[_Propose, tuple[type[Op], ...]], ...]] = (
    (transformer, (Add, LayerNorm)),
    (attention, (Roll, Reshape, FullyConnected)),
    (dual_path, (Concat,)),
    (dense, (Concat,)),
    (fractal, (Mean, Join)),
    (residual, (*ACTIVATIONS, Add)),
    (inverted_residual, (Add, *NORM_OPS)),
    (inception, (Concat,)),
    (fire, (Add, Concat)),
    (squeeze_excitation, (Multiply,)),
    (transition, (AvgPool,)),
    (mlpconv, ACTIVATIONS),
    (separable_conv, (*ACTIVATIONS, *NORM_OPS, Convolution)),
    (patchify, (Reshape, *NORM_OPS)),
    (depthwise_conv, (*ACTIVATIONS, *NORM_OPS, DepthwiseConvolution)),
    (transposed_conv, (*ACTIVATIONS, *NORM_OPS, TransposedConvolution)),
    (fc, (*ACTIVATIONS, *NORM_OPS, FullyConnected)),
    (conv, (*ACTIVATIONS, *NORM_OPS, Convolution, Dropout)),
)
"""The guesses, larger blocks first, each with the ops at which its block may end."""
