"""Keras's constructors as a person writes them: without what is the default anyway."""

from __future__ import annotations

from typing import Any, Final

from archspec.ejection.recording import Construction

EITHER_PADDING: Final = "valid|same"
"""The padding of a window of one place, which needs none: both words mean the same."""

_CONV: Final = {
    "strides": 1,
    "padding": "valid",
    "dilation_rate": 1,
    "groups": 1,
    "use_bias": True,
}
_NORM: Final = {"epsilon": 0.001, "center": True, "scale": True}

DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    **{f"Conv{rank}D": _CONV for rank in (1, 2, 3)},
    **{
        f"Conv{rank}DTranspose": {k: v for k, v in _CONV.items() if k != "groups"}
        for rank in (1, 2, 3)
    },
    **{
        f"DepthwiseConv{rank}D": {
            **{k: v for k, v in _CONV.items() if k != "groups"},
            "depth_multiplier": 1,
        }
        for rank in (1, 2)
    },
    **{
        f"MaxPooling{rank}D": {"pool_size": 2, "strides": None, "padding": "valid"}
        for rank in (1, 2, 3)
    },
    **{f"AveragePooling{rank}D": {"strides": None, "padding": "valid"} for rank in (1, 2, 3)},
    **{
        f"Global{kind}Pooling{rank}D": {"keepdims": False}
        for kind in ("Max", "Average")
        for rank in (1, 2, 3)
    },
    "Dense": {"use_bias": True},
    "BatchNormalization": {"momentum": 0.99, **_NORM},
    "LayerNormalization": {"axis": -1, **_NORM},
    "GroupNormalization": {"groups": 32, "axis": -1, **_NORM},
    "Concatenate": {"axis": -1},
    "ReLU": {"max_value": None, "threshold": 0.0},
    "Dropout": {"noise_shape": None},
    "Rescaling": {"offset": 0.0},
    "PReLU": {"shared_axes": None},
    **{
        name: {"use_bias": True, "dropout": 0.0, "return_sequences": False}
        for name in ("LSTM", "GRU", "SimpleRNN")
    },
}
"""Default values of the arguments that ops give, by the constructor. A test reads them in Keras."""

_WINDOWS: Final = ("kernel_size", "strides", "dilation_rate", "pool_size", "size")

_OWN_PAIRS: Final = ("ZeroPadding2D", "ZeroPadding3D", "Cropping2D", "Cropping3D")


def tidied(made: Construction) -> Construction:
    """Return a constructor's call in its shortest form, its defaults still in it."""
    defaults = DEFAULTS.get(made.name)
    arguments: dict[int | str, Any] = {
        key: tidied(value) if isinstance(value, Construction) else value
        for key, value in made.arguments.items()
    }
    if made.name in _OWN_PAIRS and isinstance(arguments[0], tuple):
        arguments[0] = _amounts(arguments[0])
    if made.name in ("ZeroPadding1D", "Cropping1D") and isinstance(arguments[0], (tuple, list)):
        before, after = arguments[0]
        arguments[0] = before if before == after else (before, after)
    if made.name == "Rescaling" and 1 in arguments:
        arguments["offset"] = arguments.pop(1)
    if defaults is None:
        return Construction(made.name, arguments)
    for key in _WINDOWS:
        value = arguments.get(key)
        if isinstance(value, tuple) and len({*value}) == 1:
            arguments[key] = value[0]
    if "pool_size" in arguments and arguments.get("strides") == arguments["pool_size"]:
        arguments["strides"] = None
    window = arguments.get("kernel_size", arguments.get("pool_size"))
    is_word = arguments.get("padding") in ("same", "valid")
    if window == 1 and is_word and not made.name.endswith("Transpose"):
        arguments["padding"] = EITHER_PADDING
    name = arguments.pop("name", None)
    for key, value in defaults.items():
        arguments.setdefault(key, value)
    if name is not None:
        arguments["name"] = name  # the last one, as everybody writes it
    return Construction(made.name, arguments)


def _amounts(pairs: Any) -> Any:
    """Return amounts at both ends of each axis in the shortest form that Keras takes."""
    if all(isinstance(pair, int) for pair in pairs):
        return pairs
    sides = [tuple(pair) for pair in pairs]
    if any(before != after for before, after in sides):
        return tuple(sides)
    amounts = tuple(before for before, _ in sides)
    return amounts[0] if len({*amounts}) == 1 else amounts
