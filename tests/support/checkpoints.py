"""Checkpoints as TensorFlow writes them, by hand: LevelDB's tables of protocol buffers."""

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of bytes, bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> bytes:
    """Return the sum of bytes as LevelDB stores it."""
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def varint(number: int) -> bytes:
    """Return a whole number in groups of seven bits."""
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def field(number: int, value: bytes | int) -> bytes:
    """Return a field of a protocol buffer: a message or bytes, or a whole number."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def block(rows: Mapping[bytes, bytes]) -> bytes:
    """Return a block of a table with its end; each key shares what it can with the last."""
    content, last = b"", b""
    for key, value in rows.items():
        shared = next((n for n in range(len(key), 0, -1) if last[:n] == key[:n]), 0)
        content += varint(shared) + varint(len(key) - shared) + varint(len(value))
        content += key[shared:] + value
        last = key
    content += struct.pack("<II", 0, 1) + b"\0"
    return content + masked(content)


def write_checkpoint(prefix: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays of float32 as the files of a checkpoint."""
    rows = {b"": field(1, 1) + field(3, field(1, 1))}
    data = b""
    for key, array in sorted(arrays.items()):
        content = array.astype("<f4").tobytes()
        shape = b"".join(field(2, field(1, extent)) for extent in array.shape)
        rows[key.encode()] = (
            field(1, 1)
            + field(2, shape)
            + field(4, len(data))
            + field(5, len(content))
            + varint(6 << 3 | 5)
            + masked(content)
        )
        data += content
    prefix.with_name(f"{prefix.name}.data-00000-of-00001").write_bytes(data)
    table = block(rows)
    handle = varint(0) + varint(len(table) - 5)
    index = block({b"z": handle})
    empty = block({})
    ends = varint(len(table) + len(index)) + varint(len(empty) - 5)
    ends += varint(len(table)) + varint(len(index) - 5)
    magic = struct.pack("<Q", 0xDB4775248B80FB57)
    whole = table + index + empty + ends.ljust(40, b"\0") + magic
    prefix.with_name(f"{prefix.name}.index").write_bytes(whole)
