"""The activation that a layer or op of Keras is or ends in, and whether it is a ReLU.

ReLUs take many forms: a layer's argument as a word, a function or a layer; `Activation` and `ReLU`
layers; `relu`, `relu6`, `maximum` and `clip` in the graph; a Lambda.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from archspec.lazy import np
from archspec.training.activity import DYING

FUSED: Final = (
    "Dense",
    "EinsumDense",
    *(f"Conv{rank}D{kind}" for rank in (1, 2, 3) for kind in ("", "Transpose")),
    *(f"{kind}Conv{rank}D" for rank in (1, 2) for kind in ("Depthwise", "Separable")),
)
"""Keras's layers that have an activation as argument."""

OTHERWISE_NAMED: Final = {
    "ReLU": "relu",
    "LeakyReLU": "leaky_relu",
    "PReLU": "prelu",
    "ELU": "elu",
    "Exp": "exponential",
}
"""Activations whose class is not named like the function, by class."""

ENDS: Final = frozenset({"softmax", "sigmoid", "log_softmax", "log_sigmoid"})
"""Activations that turn scores into probabilities."""

PASSING: Final = frozenset({"linear", "identity"})
"""Activations that change nothing."""


@dataclass(frozen=True, slots=True)
class Rectifier:
    """A ReLU: 0 below the threshold, at most `most`, with slope 1 in between."""

    threshold: float = 0.0
    most: float = float("inf")


def facts_of(keras: Any, op: Any, given: Sequence[Any]) -> dict[str, Any]:
    """Return the fields of a `CircuitCall` on the activation that an operation is or ends in.

    `given` are the operation's arguments, flattened.
    """
    kind = _kind(op)
    if kind is None:
        return {"opaque": True}
    fused = kind in FUSED
    if kind == "Identity":
        return {"activation": "identity"}
    if fused or kind == "Activation":
        name, rectifier = _function(keras, op.activation)
        return {} if fused and name in PASSING else _fields(name, rectifier, fused)
    if kind == "Function":  # archspec's own, with arguments
        return _fields(op.function, None)
    if kind == "Lambda":
        name, rectifier = _function(keras, partial(op.function, **(op.arguments or {})))
        return _fields(name, rectifier) if rectifier else {"opaque": True}
    if kind == "Maximum":
        return _fields("relu", Rectifier()) if 0 in filter(is_number, given) else {}
    if kind == "Clip":
        zero = is_number(op.x_min) and op.x_min == 0 and is_number(op.x_max)
        return _fields("relu", Rectifier(most=float(op.x_max))) if zero else {}
    if own := _name_of(keras, kind):
        return _fields(*_of_object(op, own))
    inside = (keras.layers.Wrapper, keras.layers.Bidirectional, keras.layers.RNN, keras.Model)
    return {"opaque": isinstance(op, inside)}


def _fields(name: str, rectifier: Rectifier | None, fused: bool = False) -> dict[str, Any]:
    return {"activation": name, "fused": fused, "rectifier": rectifier}


def _kind(op: Any) -> str | None:
    """Return the name of Keras's class that an operation's call is from; None of other code."""
    for each in type(op).__mro__:
        if each.__module__.startswith(("keras.", "archspec.")):
            own = getattr(type(op), "call", None) is not getattr(each, "call", None)
            return None if own else each.__name__
    return None


def _name_of(keras: Any, kind: str) -> str | None:
    """Return Keras's name of the activation that a layer or op of this class is; None of others."""
    name = OTHERWISE_NAMED.get(kind) or re.sub(r"(?<!^)(?=[A-Z])", "_", kind).lower()
    return name if name == "prelu" or hasattr(keras.activations, name) else None


def _function(keras: Any, activation: Any) -> tuple[str, Rectifier | None]:
    """Return Keras's name of an activation, or else Python's, and the ReLU that it is."""
    if activation is None:
        return "linear", None
    if isinstance(activation, keras.layers.Layer):
        kind = _kind(activation)
        if kind == "Activation":
            return _function(keras, activation.activation)
        return _of_object(activation, _name_of(keras, kind or "") or type(activation).__name__)
    called = getattr(activation, "func", activation)
    name = str(getattr(called, "__name__", type(called).__name__))
    if called is activation and str(getattr(called, "__module__", "")).startswith("keras."):
        return name, {"relu": Rectifier(), "relu6": Rectifier(most=6.0)}.get(name)
    rectifier = _measured(keras, activation)
    return ("relu" if rectifier else name), rectifier


def _of_object(op: Any, name: str) -> tuple[str, Rectifier | None]:
    """Return the activation that a layer or op of Keras is, by its attributes."""
    if name not in DYING:
        return name, None
    if float(getattr(op, "negative_slope", 0.0) or 0.0):
        return "leaky_relu", None  # passes every gradient
    most = 6.0 if name == "relu6" else getattr(op, "max_value", None)
    threshold = float(getattr(op, "threshold", 0.0) or 0.0)
    return name, Rectifier(threshold, float("inf") if most is None else float(most))


def _measured(keras: Any, function: Callable[[Any], Any]) -> Rectifier | None:
    """Return the ReLU that any function is, by its values from -8 to 8."""
    x = np.arange(-8, 8.25, 0.25, dtype=np.float32)
    try:
        y = np.asarray(keras.ops.convert_to_numpy(function(keras.ops.convert_to_tensor(x))))
        most = float(y.max())
        same = y.shape == x.shape and bool(np.allclose(y, np.clip(x, 0, most), atol=1e-6))
    except Exception:  # noqa: BLE001  (a function of other tensors: not an activation)
        return None
    if not same or most <= 0:
        return None
    return Rectifier(most=most if most < float(x.max()) else float("inf"))


def is_number(value: Any) -> bool:
    """Return whether an argument of an op is a Python number, not a tensor."""
    return isinstance(value, (int, float))
