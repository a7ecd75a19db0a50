"""XLA's description of a GPU: written for a device of the table, or read from a user's file.

It is the text form of XLA's message `GpuTargetConfigProto`: `key: value` lines and `key { ... }`
groups. XLA's own repository has such files under `xla/backends/gpu/target_config/specs`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from archspec.device.device import Device, NvidiaChip
from archspec.errors import UsageError

SUFFIX: Final = ".txtpb"

MOST_BYTES: Final = 1_000_000
"""Largest size of a description's file; XLA's own have 5,000 bytes."""

DEEPEST: Final = 20
"""Most groups inside each other."""

CUDNN: Final = (9, 28)
"""Version of cuDNN that the compiler is to assume: that of the tried extra `measure`."""

CUDA: Final = (12, 9)
"""Version of CUDA that the compiler is to assume."""

INFO: Final = "gpu_device_info"

NEEDED: Final = ("core_count", "memory_bandwidth", "device_memory_size")
"""Numbers of a description that archspec needs as well."""

_TOKEN: Final = re.compile(
    r"""\s+|\#[^\n]*|(?P<word>[A-Za-z_][\w.]*)|(?P<number>-?[\d.][\w.+-]*)"""
    r"""|(?P<text>"(?:[^"\\\n]|\\.)*")|(?P<sign>[{}<>:;,\[\]])"""
)

_CLOSING: Final = {"{": "}", "<": ">"}


def described(device: Device) -> str:
    """Return XLA's description of a GPU.

    Args:
        device: A device whose chip is NVIDIA's, or one that was read from a file.

    Raises:
        UsageError: The device is not a GPU.
    """
    if device.target:
        return device.target
    chip = device.chip
    if not isinstance(chip, NvidiaChip):
        raise UsageError(f"{device.title} is not a GPU that XLA's CUDA compiler knows")
    major, minor = chip.capability
    return f"""\
{INFO} {{
  threads_per_block_limit: 1024
  threads_per_warp: 32
  shared_memory_per_block: 49152
  shared_memory_per_core: {chip.shared_memory}
  shared_memory_per_block_optin: {chip.most_shared_memory}
  threads_per_core_limit: {chip.threads}
  core_count: {chip.cores}
  fpus_per_core: {chip.lanes}
  thread_dim_limit_x: 1024
  thread_dim_limit_y: 1024
  thread_dim_limit_z: 64
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
  memory_bandwidth: {int(device.bandwidth)}
  l2_cache_size: {chip.l2_cache}
  clock_rate_ghz: {chip.clock}
  device_memory_size: {device.memory}
  cuda_compute_capability {{ major: {major} minor: {minor} }}
  device_vendor: "NVIDIA Corporation"
  name: "{device.title}"
}}
platform_name: "CUDA"
dnn_version_info {{ major: {CUDNN[0]} minor: {CUDNN[1]} }}
runtime_version {{ major: {CUDA[0]} minor: {CUDA[1]} }}
device_description_str: "{device.title}"
"""


def read(path: Path) -> Device:
    """Return the GPU that a file describes.

    Args:
        path: The file, in the text form of XLA's `GpuTargetConfigProto`.

    Raises:
        UsageError: The file cannot be read, is not such a text, or lacks a number that is needed.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise UsageError(f"cannot read the description of a device in {path}: {reason}") from None
    if len(data) > MOST_BYTES:
        raise UsageError(f"{path} is larger than {MOST_BYTES:,} bytes: it describes no device")
    try:
        text = data.decode("utf-8")
        message = _group(iter([*_tokens(text), ("end", "")]), "", 0)
    except ValueError as error:  # also of what is not UTF-8
        raise UsageError(
            f"{path} is not the text form of XLA's GpuTargetConfigProto: {error}"
        ) from None
    info = message.get(INFO)
    if not isinstance(info, Mapping):
        raise UsageError(f"{path} has no group `{INFO} {{ ... }}`")
    numbers = {key: _number(info.get(key)) for key in NEEDED}
    missing = [key for key, number in numbers.items() if not number]
    if missing:
        raise UsageError(f"{path}: `{INFO}` needs a number above 0 for {', '.join(missing)}")
    if message.get("platform_name") != "CUDA":
        raise UsageError(f'{path} needs `platform_name: "CUDA"`: archspec compiles for such GPUs')
    title = message.get("device_description_str") or info.get("name") or path.stem
    lanes, clock = _number(info.get("fpus_per_core")), _number(info.get("clock_rate_ghz"))
    exact = 2 * numbers["core_count"] * lanes * clock * 1e9
    return Device(
        path.stem,
        str(title),
        int(numbers["device_memory_size"]),
        numbers["memory_bandwidth"],
        {"float32": exact} if exact else {},
        str(path),
        target=text,
    )


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Yield the kind and the text of each symbol; raise `ValueError` at any other text."""
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            line = text.count("\n", 0, place) + 1
            raise ValueError(f"line {line} has {text[place]!r}")
        place = match.end()
        if match.lastgroup:
            yield match.lastgroup, match.group()


def _group(tokens: Iterator[tuple[str, str]], closing: str, depth: int) -> dict[str, Any]:
    """Return the fields up to a closing symbol; of a field that is repeated, the last value."""
    if depth > DEEPEST:
        raise ValueError(f"groups are nested more than {DEEPEST} deep")
    fields: dict[str, Any] = {}
    for kind, symbol in tokens:
        if symbol == closing:
            return fields
        if symbol in {",", ";"}:
            continue
        if kind == "end":
            break
        if kind != "word":
            raise ValueError(f"the name of a field is missing before {symbol}")
        fields[symbol] = _value(tokens, symbol, depth)
    raise ValueError("a group is not closed")


def _value(tokens: Iterator[tuple[str, str]], name: str, depth: int) -> Any:
    """Return the value of a field, which may be a group or a list."""
    _, symbol = next(tokens)
    if symbol == ":":
        kind, symbol = next(tokens)
    elif symbol in _CLOSING:
        kind = "sign"
    else:
        raise ValueError(f"`{name}` is followed by neither `:` nor a group")
    if symbol in _CLOSING:
        return _group(tokens, _CLOSING[symbol], depth + 1)
    if symbol == "[":
        return _list(tokens)
    if kind == "text":
        return symbol[1:-1]
    if kind not in {"word", "number"}:
        raise ValueError(f"`{name}` has no value")
    return symbol


def _list(tokens: Iterator[tuple[str, str]]) -> list[str]:
    values: list[str] = []
    for kind, symbol in tokens:
        if symbol == "]":
            return values
        if kind != "sign":
            values.append(symbol)
    raise ValueError("a list is not closed")


def _number(value: Any) -> float:
    """Return a field's number; 0 where there is none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return 0.0
    return number if 0 < number < 1e18 else 0.0
