"""A name or a file -> the accelerator that it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archspec import arguments
from archspec.device import target
from archspec.device.device import Device
from archspec.device.table import BY_NAME
from archspec.errors import UsageError, suggestion


def find(device: Any, others: Mapping[str, Device] | None = None) -> Device:
    """Return a device by its name, or by a file that describes it.

    Args:
        device: A name of the table, as `h100`, in any case; or the path of a `.txtpb` file; or a
            device, which is returned as it is.
        others: Further devices by their names, which mean something here alone.

    Raises:
        UsageError: There is no device of that name, or the file describes none.

    Example:
        >>> find("h100").memory
        80000000000
    """
    if isinstance(device, Device):
        return device
    word = arguments.place("device", device)
    if word.endswith(target.SUFFIX):
        return target.read(Path(word))
    name = word.lower().replace("_", "-").replace(" ", "-")
    named = {**BY_NAME, **(others or {})}
    known = named.get(name)
    if known is None:
        hint = suggestion(name, named, what="devices")
        raise UsageError(
            f"device `{word[: arguments.LONGEST]}` is not known; {hint} "
            f"(another is described by a file, as `mine{target.SUFFIX}`)"
        )
    return known
