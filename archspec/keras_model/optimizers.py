"""The optimizers of Keras's torch backend, under names that every backend knows.

On torch, Keras 3.15.1 replaces nine optimizers by classes of that backend, and the file of a
compiled model names such a class: `keras.src.backend.torch.optimizers.torch_adam`. Another backend
cannot import it, and loads the model only uncompiled. So archspec saves the public name
(`name_publicly`), and provides modules of the other names for files that have them
(`stand_in_for_torch`).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final

TORCH: Final = "keras.src.backend.torch.optimizers."
"""Prefix of the names of torch's modules."""

NAMES: Final = (
    "Adadelta",
    "Adagrad",
    "Adam",
    "Adamax",
    "AdamW",
    "Lion",
    "Nadam",
    "RMSprop",
    "SGD",
)
"""Optimizers for which Keras has a separate class on torch."""


def stand_in_for_torch(keras: Any) -> None:
    """Let Keras load models that were compiled on torch, if this is another backend.

    Keras imports the module that a file names. The stand-ins are in `sys.modules`, so torch need
    not be installed.
    """
    if keras.backend.backend() == "torch":
        return
    for name in NAMES:
        place = f"{TORCH}torch_{name.lower()}"
        module = ModuleType(place, f"The public class of {name}, for files of the torch backend.")
        setattr(module, name, getattr(keras.optimizers, name))
        sys.modules.setdefault(place, module)


def name_publicly(keras: Any, model: Any) -> None:
    """Let a model's files name Keras's public optimizers, however often it is compiled."""
    if keras.backend.backend() != "torch" or "get_compile_config" in vars(model):
        return
    compiled = model.get_compile_config

    def get_compile_config() -> Any:
        return _public(compiled())

    model.get_compile_config = get_compile_config


def _public(config: Any) -> Any:
    """Return a configuration with public names; an optimizer may be inside another."""
    if isinstance(config, Mapping):
        config = {key: _public(value) for key, value in config.items()}
        if str(config.get("module", "")).startswith(TORCH):
            config |= {"module": "keras.optimizers", "registered_name": None}
    return config
