"""Names of TensorFlow's operators, shortened to those of the layers that they belong to."""

import re
from collections.abc import Iterable
from typing import Final

_NAMELESS: Final = ("StatefulPartitionedCall", "PartitionedCall", "arith.constant")
"""Beginnings of names that say nothing."""

_KERNEL: Final = (
    "convolution|depthwise|separable_conv2d|conv_transpose|Conv[123]D|DepthwiseConv2dNative"
    "|DepthwiseConv2D|MatMul"
)
_OPERATORS: Final = re.compile(
    rf"/(?:{_KERNEL}|BiasAdd|Relu6?|Elu|Selu|Sigmoid|Tanh|Softmax|LeakyRelu"
    r"|(?:Max|Avg)Pool(?:[23]d|3D)?|Mean|Max|[Aa]dd|[Mm]ul|concat|Reshape|Squeeze|Pad|Sum"
    r"|FusedBatchNormV3|Tile|ExpandDims|convolution/\w+|batchnorm/\w+)_?\d*$"
)
"""Ends of a tensor's name that say which operator made it."""

_KERNELS: Final = re.compile(rf"/(?:{_KERNEL})_?\d*$")
"""Ends of the names of operators with a kernel."""


def with_kernel(names: str) -> str:
    """Return the name of the operator with a kernel among those of a fused one, else the last.

    Example:
        >>> with_kernel("model/relu/Relu;model/norm/add_1;model/conv/convolution;model/norm/mul")
        'model/conv/convolution'
    """
    parts = [part for part in names.split(";") if part]
    return next(filter(_KERNELS.search, parts), parts[-1] if parts else "")


def is_nameless(name: str) -> bool:
    """Return whether a tensor's name says nothing about the layer that made it."""
    return not name or name.startswith(_NAMELESS)


def common_root(names: Iterable[str]) -> str:
    """Return the first part of names with its `/`, if all of several parts have the same.

    Example:
        >>> common_root(["model/conv/Relu", "model/dense/MatMul", "Identity"])
        'model/'
    """
    roots = {name.partition("/")[0] for name in names if "/" in name}
    return f"{roots.pop()}/" if len(roots) == 1 else ""


def layer_name(name: str, root: str) -> str:
    """Return the name of the layer that an operator belongs to.

    Args:
        name: The name of the operator or of its output.
        root: The part before it that all names have in common.

    Example:
        >>> layer_name("model/conv1/BiasAdd", "model/")
        'conv1'
    """
    name = name.removesuffix(":0").removeprefix(root)
    return _OPERATORS.sub("", name) or name
