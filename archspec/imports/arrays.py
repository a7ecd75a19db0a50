"""Arrays as files store them: bytes, the least significant of each number first."""

from __future__ import annotations

from typing import Any

from archspec.lazy import np


def item_size(dtype: str) -> int:
    """Return the number of bytes of each number.

    Args:
        dtype: NumPy's name of the type, or `bfloat16`.
    """
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize


def numbers_in(data: Any, dtype: str) -> Any:
    """Return the numbers in bytes, as NumPy's; `bfloat16`, which it lacks, as `float32`.

    Args:
        data: The bytes.
        dtype: NumPy's name of the type, or `bfloat16`.

    Raises:
        ValueError: The bytes end in the middle of a number.

    Example:
        >>> numbers_in(bytes([0x80, 0x3F, 0x00, 0xC0]), "bfloat16").tolist()
        [1.0, -2.0]
    """
    if dtype == "bfloat16":  # the first half of the 32 bits
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    return np.frombuffer(data, np.dtype(dtype).newbyteorder("<"))
