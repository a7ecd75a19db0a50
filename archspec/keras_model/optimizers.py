"""The optimizers of Keras's torch backend, under names that every backend knows.

On torch Keras 3.15.1 makes nine optimizers of a class of that backend's own, and a compiled model's
file names that class: `keras.src.backend.torch.optimizers.torch_adam`. Another backend cannot
import it, and loads the model only without what training needs. So what archspec compiles is saved
under the public name (`name_publicly`), and where a file has the other one, a stand-in for torch's
module gives the public class (`stand_in_for_torch`).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final

TORCH: Final = "keras.src.backend.torch.optimizers."
"""How the names of torch's modules begin."""

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
"""The optimizers for which torch has a class of its own."""


def stand_in_for_torch(keras: Any) -> None:
    """Let a model that was compiled on torch be loaded on this backend, if it is another one.

    Keras imports the module that a file names. A stand-in, which is there already, is not looked
    for among torch's, so that it makes no difference whether torch is installed.
    """
    if keras.backend.backend() == "torch":
        return
    for name in NAMES:
        place = f"{TORCH}torch_{name.lower()}"
        module = ModuleType(place, f"The public class of {name}, for files of the torch backend.")
        setattr(module, name, getattr(keras.optimizers, name))
        sys.modules.setdefault(place, module)


def name_publicly(keras: Any, model: Any) -> None:
    """Have a model's files name Keras's public optimizers, however often it is compiled."""
    if keras.backend.backend() != "torch" or "get_compile_config" in vars(model):
        return
    compiled = model.get_compile_config

    def get_compile_config() -> Any:
        return _public(compiled())

    model.get_compile_config = get_compile_config


def _public(config: Any) -> Any:
    """The same configuration with public names; an optimizer may stand within another."""
    if isinstance(config, Mapping):
        config = {key: _public(value) for key, value in config.items()}
        if str(config.get("module", "")).startswith(TORCH):
            config |= {"module": "keras.optimizers", "registered_name": None}
    return config
