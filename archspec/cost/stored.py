"""Bytes of stored weights: kernels at int8 or int4, or with zeros left out.

Kernels alone are made smaller: biases, norms and moving statistics stay float32, as every tool for
weights leaves them. A kernel at int8 or int4 has a float32 scale for each output channel beside it.
Activations are another matter: nothing here says that a device computes in int8.

What Keras 3.15's `model.quantize` stores is counted beside it: it takes dense layers alone, leaves
convolutions as they are, and adds for int4 a scale and a zero point for each block of 128 inputs
of each output, and a float32 index for each input.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import ceil, prod
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from archspec.errors import UsageError, suggestion

if TYPE_CHECKING:
    from archspec.graph.graph import Graph, Layer
    from archspec.ops.op import Weight

FLOAT: Final = 4
"""Bytes of a value that is not made smaller, and of a scale."""

BLOCK: Final = 128
"""Inputs that share a scale in Keras's int4."""

FORMS: Final = ("int8", "int4", "sparse:0.9")
"""Forms of storage; the number is the share of a kernel's values that are zero."""

RECURRENT: Final = ("lstm", "gru", "rnn")

_SPARSE: Final = re.compile(r"sparse:(0?\.\d+)")


class Stored(NamedTuple):
    """The bytes of a network's weights in a form of storage."""

    form: str
    bytes: int
    """Bytes of all weights, scales and places included."""
    float_bytes: int
    """Bytes of the same weights in float32."""
    kernel_values: int
    """Values of kernels, which are those that are made smaller."""
    keras_bytes: int | None
    """Bytes after Keras's `model.quantize`; None for a form that Keras does not have."""

    @property
    def share(self) -> float:
        """Bytes as a share of those in float32."""
        return self.bytes / self.float_bytes if self.float_bytes else 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, as in every JSON form."""
        return {**self._asdict(), "share": self.share}


def stored(graph: Graph, form: str) -> Stored:
    """Return the bytes of a network's weights in a form of storage.

    Args:
        graph: The network.
        form: `int8`, `int4`, or `sparse:SHARE`, as `sparse:0.9` for kernels of which nine tenths
            are zeros: the values that are left, in float32, and for each value a bit that says
            whether it is there, or for each that is left a place of 4 bytes, whichever is less.

    Raises:
        UsageError: There is no such form.
    """
    size = _sizes(form)
    total = plain = values = in_keras = 0
    for node in graph.nodes:
        layer = node.layer
        for weight in layer.weights:
            count = prod(weight.shape)
            plain += FLOAT * count
            kernel = _is_kernel(weight)
            values += count * kernel
            total += size(count, _channels(layer, weight)) if kernel else FLOAT * count
            in_keras += _in_keras(layer, weight, form)
    known = in_keras if form in ("int8", "int4") else None
    return Stored(form, total, plain, values, known)


def _sizes(form: str) -> Callable[[int, int], int]:
    """Return the function that gives a kernel's bytes from its values and its output channels."""
    if form == "int8":
        return lambda count, channels: count + FLOAT * channels
    if form == "int4":
        return lambda count, channels: ceil(count / 2) + FLOAT * channels
    sparse = _SPARSE.fullmatch(form) if isinstance(form, str) else None
    if sparse is None:
        hint = suggestion(str(form), FORMS, what="forms")
        raise UsageError(f"`stored={form!r}` must be int8, int4 or sparse:SHARE; {hint}")
    zeros = float(sparse[1])

    def left(count: int, _channels: int) -> int:
        kept = count - round(zeros * count)
        return FLOAT * kept + min(ceil(count / 8), FLOAT * kept)

    return left


def _is_kernel(weight: Weight) -> bool:
    return weight.name.endswith("kernel") and len(weight.shape) > 1


def _channels(layer: Layer, weight: Weight) -> int:
    """Return the output channels of a kernel, each of which has a scale."""
    return weight.shape[-1] if layer.op.kind in RECURRENT else layer.output.channels


def _in_keras(layer: Layer, weight: Weight, form: str) -> int:
    """Return the bytes of a weight after Keras's `model.quantize`."""
    count = prod(weight.shape)
    if layer.op.kind != "fully_connected" or not _is_kernel(weight):
        return FLOAT * count
    inputs, units = weight.shape
    if form == "int8":
        return count + FLOAT * units
    blocks = ceil(inputs / BLOCK)
    return inputs * ceil(units / 2) + blocks * units * (FLOAT + 1) + FLOAT * inputs
