"""NumPy, imported when it is first used: what ends before that does not wait for the import.

Modules say `from archspec.lazy import np` instead of an import in each function.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
else:
    np = ModuleType("numpy")

    def _load(name: str) -> Any:
        value = getattr(import_module("numpy"), name)
        setattr(np, name, value)  # so that each name is looked up here once
        return value

    np.__getattr__ = _load

__all__ = ["np"]
