"""CRC-32C of large arrays: the check sum of TensorFlow's checkpoints.

A byte at a time takes minutes for the weights of a network. Many stretches are run through at
once, in columns of an array, and their sums joined: the sum of two stretches follows from the sum
of each and the length of the second (Intel, "Fast CRC Computation", 2009, describes the algebra).
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from archspec.lazy import np

_POLYNOMIAL: Final = 0x82F63B78
"""Castagnoli's polynomial, its lowest power in the highest bit."""

_STRETCH: Final = 1024
"""Bytes of a stretch."""

_BATCH: Final = 2**16
"""Stretches that are run through at once."""

_MASK: Final = 0xA282EAD8
"""The number that LevelDB adds to a sum that it stores."""


def masked_crc(data: Any) -> int:
    """Return the check sum of bytes as LevelDB stores it: turned, with a number added.

    Args:
        data: Bytes, or an array of `uint8`.
    """
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF


def crc32c(data: Any) -> int:
    """Return the CRC-32C of bytes.

    Args:
        data: Bytes, or an array of `uint8`.

    Example:
        >>> hex(crc32c(b"123456789"))
        '0xe3069283'
    """
    values = np.frombuffer(data, np.uint8)
    table = _table()
    whole = len(values) // _STRETCH
    crc = 0xFFFFFFFF
    for first in range(0, whole, _BATCH):
        count = min(_BATCH, whole - first)
        stop = (first + count) * _STRETCH
        columns = values[first * _STRETCH : stop].reshape(count, _STRETCH).T
        sums = np.zeros(count, np.uint32)
        sums[0] = crc
        for column in np.ascontiguousarray(columns):
            sums = table[(sums ^ column) & 0xFF] ^ (sums >> 8)
        crc = _joined(sums)
    for byte in values[whole * _STRETCH :].tolist():
        crc = int(table[(crc ^ byte) & 0xFF]) ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


@cache
def _table() -> Any:
    """Return the sum of each byte."""
    sums = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        sums = np.where(sums & 1, (sums >> 1) ^ np.uint32(_POLYNOMIAL), sums >> 1)
    return sums.astype(np.uint32)


def _joined(sums: Any) -> int:
    """Return the sum of stretches behind each other: of pairs, of pairs of those, and so on."""
    length = _STRETCH
    if len(sums) & (len(sums) - 1):  # sums of 0 before the first change nothing
        wanted = 1 << len(sums).bit_length()
        sums = np.concatenate([np.zeros(wanted - len(sums), np.uint32), sums])
    while len(sums) > 1:
        sums = _applied(_zeros(length), sums[::2]) ^ sums[1::2]
        length *= 2
    return int(sums[0])


@cache
def _zeros(length: int) -> Any:
    """Return what so many bytes of 0, a power of two, make of the sum of each bit."""
    if length > 1:
        half = _zeros(length // 2)
        return _applied(half, half)
    bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
    return _table()[bits & 0xFF] ^ (bits >> 8)


def _applied(matrix: Any, sums: Any) -> Any:
    """Return the product of a matrix of bits and each sum."""
    made = np.zeros_like(sums)
    for bit, column in enumerate(matrix):
        made ^= np.where(sums >> np.uint32(bit) & 1, column, np.uint32(0))
    return made
