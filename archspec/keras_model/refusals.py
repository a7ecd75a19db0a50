"""Errors of engines without enough memory, or without a kernel, told as an `EngineError`.

Engines raise many kinds of exceptions for a lack of memory: TensorFlow `ResourceExhaustedError`,
which it has for a full disk too, JAX `JaxRuntimeError`, PyTorch `OutOfMemoryError` on a GPU and
`RuntimeError` on a CPU, NumPy `MemoryError`. So their text tells which it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from archspec.errors import ArchspecError, EngineError

_NO_MEMORY: Final = re.compile(
    r"(OOM when allocating|out of memory|can(no|')t allocate memory|(unable|failed) to allocate"
    r"|CU\w+_STATUS_ALLOC_FAILED|Dst tensor is not initialized)"
    r"[^\n]*?(?=\.?( on /job:| \[Op:|\x1b|\n|$))",
    re.IGNORECASE,
)
"""The part of a text that tells what could not be allocated.

It ends before the places that TensorFlow names and the end of the bold type that Keras adds.
"""

_NO_KERNEL: Final = re.compile(r"CPU implementations? do(es)? not yet support dilation rates")


def refusal(error: Exception, advice: str = "") -> str:
    """Return why an engine could not compute something here; "" for any other exception.

    Args:
        error: What was raised.
        advice: End of the message if there is too little memory.

    """
    text = "" if isinstance(error, ArchspecError) else str(error)
    if lack := _NO_MEMORY.search(text):
        return f"there is too little memory: {lack[0]}{advice}"
    if isinstance(error, MemoryError):
        return f"there is too little memory{advice}"
    if _NO_KERNEL.search(text):
        return (
            "TensorFlow cannot compute a dilated transposed convolution on a CPU without XLA; "
            "Keras on JAX can: set KERAS_BACKEND=jax"
        )
    return ""


@contextmanager
def explained(advice: str = "") -> Iterator[None]:
    """Raise `EngineError` in place of an engine's exception inside, if it is a `refusal`."""
    try:
        yield
    except Exception as error:
        if not (reason := refusal(error, advice)):
            raise
        raise EngineError(reason) from error
