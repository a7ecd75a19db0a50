"""Keras's activations as ops, as layers and as arguments of other layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from archspec.graph.graph import Node
from archspec.imports.keras.layer import Function, KerasLayer, StoredArray, UnlikeError
from archspec.ops import functions
from archspec.ops.elementwise import Activate, Glu, PRelu, Softmax
from archspec.ops.functions import FUNCTIONS
from archspec.ops.op import Op

OTHER_WORDS: Final = {"swish": "silu", "hard_silu": "hard_swish", "exp": "exponential"}
"""Archspec's word for each function that Keras calls by another."""

NONE: Final = (None, "linear", "identity")
"""Values of the argument `activation` that change nothing."""

ALONG_LAST: Final = frozenset({"softmax", "log_softmax", "sparsemax", "glu"})
"""Functions of all values along the last axis, which a file with channels first has elsewhere."""


def activated(layer: KerasLayer, x: Node) -> Node:
    """Add the `activation` of a layer after its op `x`; return `x` where it has none."""
    given = _function_name(layer.config.get("activation"))
    if given in NONE:
        return x
    op = _op(given, layer)
    part = op.function if isinstance(op, Activate) and isinstance(op.function, str) else op.kind
    return layer.add(op, x, part=str(part))


def activation(layer: KerasLayer) -> Node:
    """Add Activation."""
    return layer.add(_op(_function_name(layer.config.get("activation")), layer))


def _function_name(given: Any) -> Any:
    """Return the name of a function that a configuration names; a layer's as it is."""
    if isinstance(given, Mapping):
        config = given.get("config")
        if isinstance(config, str):  # {"class_name": "function", "config": "relu"}
            return config
        if given.get("class_name") == "function" and isinstance(config, Mapping):
            return config.get("name") or config.get("function_name")
    return given


def function(given: Any, layer: KerasLayer) -> Any:
    """Return the elementwise function that an argument of a layer names."""
    word = _function_name(given)
    op = _op(word, layer)
    if not isinstance(op, Activate):
        raise UnlikeError(f"its activation is {word!r}")
    return op.function


def _op(given: Any, layer: KerasLayer) -> Op:
    if given in NONE:
        return Activate(function="linear")
    if isinstance(given, Mapping):
        function = _OPS.get(str(given.get("class_name")).rpartition(">")[2])
        config = given.get("config")
        if function is None or not isinstance(config, Mapping):
            raise UnlikeError(f"its activation is {given.get('class_name')}")
        return function(config)
    return named(str(given).rpartition(">")[2], layer)


def named(word: str, layer: KerasLayer) -> Op:
    """Return the op of a function by its name in Keras."""
    word = OTHER_WORDS.get(word, word)
    if word in ALONG_LAST and layer.channels_first and layer.shape.rank:
        raise UnlikeError(f"its activation {word!r} works along the last axis of channels first")
    if word == "glu":
        return Glu()
    if word not in FUNCTIONS:
        raise UnlikeError(f"its activation is {word!r}")
    if word == "hard_sigmoid" and layer.keras < 3:
        return Activate(function=functions.HardSigmoid(slope=0.2))
    return Activate(function=word)


def rectified(config: Mapping[str, Any]) -> Op:
    """Return the op of a relu with these arguments, which may be None."""
    most, slope, threshold = (
        config.get(name) or 0 for name in ("max_value", "negative_slope", "threshold")
    )
    if slope:
        if most or threshold:
            raise UnlikeError("it has a slope below 0 and a limit")
        return Activate(function=functions.LeakyRelu(slope=_number(slope)))
    if not most and not threshold:
        return Activate(function="relu")
    limit = {"max": _number(most)} if most else {}
    return Activate(function=functions.Relu(threshold=_number(threshold), **limit))


def _leaky_relu(config: Mapping[str, Any]) -> Op:
    slope = config["negative_slope"] if "negative_slope" in config else config.get("alpha", 0.3)
    return Activate(function=functions.LeakyRelu(slope=_number(slope)))


def _elu(config: Mapping[str, Any]) -> Op:
    alpha = _number(config.get("alpha", 1.0))
    return Activate(function="elu" if alpha == 1 else functions.Elu(alpha=alpha))


def _thresholded_relu(config: Mapping[str, Any]) -> Op:
    return Activate(function=functions.Threshold(threshold=_number(config.get("theta", 1.0))))


def _number(value: Any) -> float:
    """Return a number of a configuration, which Keras 2 may have written as an array."""
    if isinstance(value, Mapping):
        value = value.get("value", value.get("config", {}).get("value"))
    return float(value)


def with_arguments(config: Mapping[str, Any]) -> Op:
    """Return the op of archspec's layer `Function`, from a function's name and its arguments."""
    if not {"function", "given"} <= config.keys():
        raise UnlikeError("its function is not one of archspec's")
    word, given = config["function"], dict(config["given"])
    if word == "glu":
        return Glu()
    cls = FUNCTIONS.get(word)
    if cls is None:
        raise UnlikeError(f"its function is {word!r}")
    if isinstance(cls, str):
        return Activate(function=word)
    if cls is functions.Threshold:
        given["value"] = given.pop("default_value", 0.0)
    made = cls(**given)
    return Activate(function=word if made == cls() else made)


_OPS: Final[Mapping[str, Callable[[Mapping[str, Any]], Op]]] = {
    "ReLU": rectified,
    "LeakyReLU": _leaky_relu,
    "ELU": _elu,
    "ThresholdedReLU": _thresholded_relu,
    "Softmax": lambda _: Softmax(),
    "Function": with_arguments,
}
"""The op of each layer without weights that is a function, from its arguments."""


def _from_arguments(op: Callable[[Mapping[str, Any]], Op]) -> Function:
    """Return the function of a layer whose op follows from its arguments."""
    return lambda layer: layer.add(op(layer.config))


def softmax(layer: KerasLayer) -> Node:
    """Add Softmax."""
    return layer.add(Softmax(axis=layer.axis_name(layer.config.get("axis", -1))))


def prelu(layer: KerasLayer) -> Node:
    """Add PReLU."""
    x, shared = layer.shape, layer.config.get("shared_axes") or []
    shared = [shared] if isinstance(shared, int) else shared
    places = sorted({layer.axis(axis) for axis in shared})
    ways: dict[tuple[int, ...], Any] = {
        (): "none",
        tuple(range(x.rank)): "places",
        tuple(range(len(x))): "all",
    }
    # A vector has no places: there every channel has a slope in both ways.
    word: Any = "places" if not x.rank and not places else ways.get(tuple(places))
    if word is None:
        raise UnlikeError(f"it shares its slopes along the axes {shared}")
    slopes = PRelu(shared=word, **_initial(layer.config), **layer.trainable)
    if not layer.channels_first or not layer.stored or len(layer.stored[0][0]) < 2:
        return layer.add(slopes)
    (shape, data), *_ = layer.stored
    last = (*shape[1:], shape[0])
    source = StoredArray(last, (data.name,), lambda alpha: alpha.reshape(shape[0], -1).T)
    return layer.add(slopes, sources=[source])


def _initial(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value that slopes begin with, as an argument, where it is a constant."""
    given = config.get("alpha_initializer")
    if not isinstance(given, Mapping):
        return {}
    values = {"Zeros": 0.0, "Ones": 1.0, "Constant": given.get("config", {}).get("value")}
    value = values.get(str(given.get("class_name")))
    return {} if value is None else {"initial": _number(value)}


LAYERS: Final[Mapping[str, Function]] = {
    "Activation": activation,
    **{
        name: _from_arguments(_OPS[name])
        for name in ("ReLU", "LeakyReLU", "ELU", "ThresholdedReLU")
    },
    "Softmax": softmax,
    "PReLU": prelu,
}
"""The function of each class."""
