"""Keras's configuration of a model: its layers, their names, and the tensors between them.

Versions write it differently: how inputs are named, whether a sequential model has an input,
whether the calls of a model are counted from 0 or 1, how the arguments of a call are written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

from archspec.lazy import np

Config: TypeAlias = Mapping[str, Any]
"""The arguments of a layer, by name."""

LayerConfig: TypeAlias = Mapping[str, Any]
"""A layer as a configuration describes it: `class_name`, `config`, perhaps `inbound_nodes`."""

Extents: TypeAlias = tuple[int | None, ...]
"""A shape without the batch; None for an open extent, or for any number of classes."""

TIME_DISTRIBUTED: Final = "TimeDistributed"
"""Class of the layer that applies another at each time."""

SHARED: Final = "shared_object_id"
"""Key of the number that Keras 3 gives to an object in several places of a configuration."""

TENSOR: Final = "__keras_tensor__"
"""Class that stands for a tensor in the configurations of Keras 3."""

CONSTANT: Final = "_CONSTANT_VALUE"
"""Name of the layer that Keras 2 writes where a call's first argument is a number."""


class UnfamiliarError(Exception):
    """A layer of an unknown class, or a configuration that is not Keras's."""


class Reference(NamedTuple):
    """A tensor: the name of the layer that makes it, the numbers of the call and of the output."""

    name: str
    number: int
    output: int
    shape: Extents | None = None
    """The tensor's shape, which Keras 3 writes beside it."""

    @property
    def call(self) -> tuple[str, int]:
        """The call that makes the tensor."""
        return self.name, self.number


@dataclass(frozen=True)
class Arguments:
    """The arguments of one call of a layer, with a `Reference` for each tensor."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @property
    def references(self) -> list[Reference]:
        """The tensors among the arguments, in their order."""
        return list(_tensors((*self.args, *self.kwargs.values())))


def name_of(layer: LayerConfig) -> str:
    """Return the name of a layer."""
    return str(layer.get("name") or layer["config"]["name"])


def layers_of(model: LayerConfig) -> list[LayerConfig] | None:
    """Return the layers of a model, which may be a layer itself; None for any other layer."""
    config = model.get("config")
    # Keras 2.0 wrote a sequential model's layers without a name around them.
    layers = config.get("layers") if isinstance(config, Mapping) else config
    return layers if isinstance(layers, list) else None


def model_in(layer: LayerConfig) -> LayerConfig | None:
    """Return the model that a layer is, or applies at each time; None for any other layer."""
    if layers_of(layer) is not None:
        return layer
    inner = layer["config"].get("layer") if class_of(layer) == TIME_DISTRIBUTED else None
    return inner if isinstance(inner, Mapping) and layers_of(inner) is not None else None


def is_own_class(model: LayerConfig) -> bool:
    """Return whether a model is of a user's class, whose file does not say which layers it has."""
    if layers_of(model) is not None or "class_name" not in model:
        return False
    return class_of(model) not in ("Functional", "Model", "Sequential")


def is_joined(model: LayerConfig) -> bool:
    """Return whether a model says how its layers are joined, as a functional one does."""
    return isinstance(model["config"], Mapping) and "input_layers" in model["config"]


def class_of(layer: LayerConfig) -> str:
    """Return the class of a layer, without the package that it was registered for."""
    return str(layer["class_name"]).rpartition(">")[2]


_BRIEF: Final = frozenset(
    {
        "Discretization",
        "HashedCrossing",
        "Pipeline",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "SpatialDropout3D",
    }
)
"""Layers of Keras 3 whose configuration lacks `trainable`."""


def is_operator(layer: LayerConfig) -> bool:
    """Return whether a layer is an operator between tensors, such as the + of x + y.

    Keras 3 tells the sum `x + y` from the layer Add by the module alone, and `.h5` files drop it:
    there an operator is told by having no `trainable`, which every layer has but `_BRIEF`.
    """
    module = layer.get("module")
    if module is not None:
        return ".ops" in str(module)
    is_keras_3 = any(isinstance(node, Mapping) for node in layer.get("inbound_nodes") or ())
    return is_keras_3 and "trainable" not in layer["config"] and class_of(layer) not in _BRIEF


def operator_of(layer: LayerConfig) -> str:
    """Return the function that an operator computes, as the file calls it; empty for a layer."""
    kind = class_of(layer)
    if kind in ("TFOpLambda", "SlicingOpLambda") or is_operator(layer):
        return str(layer["config"].get("function") or kind)
    return ""


def function_of(layer: LayerConfig) -> str:
    """Return the name of the function that an operator layer of Keras 2 calls, such as `add`."""
    return str(layer["config"].get("function")).rpartition(".")[2]


def shape_without_batch(shape: Any) -> Extents:
    """Return the extents of a shape in a configuration.

    Raises:
        ValueError: It is not a list of extents.
    """
    extents = list(shape)[1:]
    if not all(n is None or (isinstance(n, int) and n >= 0) for n in extents):
        raise ValueError(f"the shape {str(shape)[:100]}")
    return tuple(extents)


def arguments_of(node: Any) -> Arguments:
    """Return the arguments of a call, from what a version of Keras wrote about it."""
    if isinstance(node, Mapping):  # Keras 3
        args, kwargs = node.get("args", ()), node.get("kwargs", {})
        return Arguments(tuple(map(_plain, args)), {name: _plain(kwargs[name]) for name in kwargs})
    if _is_old(node):  # Keras 2: a tensor, with the other arguments behind it
        return Arguments((_plain(node),), _old_kwargs(node))
    tensors = [each for each in node or () if _is_old(each)]
    first: tuple[Any, ...] = tuple(map(_plain, tensors))
    kwargs = _old_kwargs(tensors[0]) if tensors else {}
    return Arguments(first if len(first) == 1 else (list(first),), kwargs)


def references_in(node: Any) -> list[Reference]:
    """Return the tensors that a part of a configuration names, at any depth."""
    return list(_tensors(_plain(node, deep=True)))


def _is_old(node: Any) -> bool:
    """Whether a part of a configuration is a tensor, or a constant, as Keras 2 writes it."""
    return (
        isinstance(node, (list, tuple))
        and len(node) > 2
        and isinstance(node[0], str)
        and isinstance(node[1], int)
    )


def _old_kwargs(node: Any) -> dict[str, Any]:
    kwargs = node[3] if len(node) > 3 and isinstance(node[3], Mapping) else {}
    return {name: _plain(value) for name, value in kwargs.items()}


def _plain(value: Any, *, deep: bool = False) -> Any:
    """Return an argument with references in it instead of what Keras writes for tensors.

    With `deep`, the arguments behind a tensor of Keras 2 are kept in a list with it.
    """
    if isinstance(value, Mapping):
        config = value.get("config")
        if value.get("class_name") == TENSOR and isinstance(config, Mapping):
            shape = config.get("shape")
            known = None if shape is None else shape_without_batch(shape)
            name, number, output = config["keras_history"][:3]
            return Reference(str(name), int(number), int(output), known)
        return {name: _plain(each, deep=deep) for name, each in value.items()}
    if _is_old(value):
        if value[0] == CONSTANT:
            tensor: Any = value[2]
        else:
            tensor = Reference(str(value[0]), int(value[1]), int(value[2]))
        return [tensor, *(_plain(each, deep=True) for each in value[3:])] if deep else tensor
    if isinstance(value, (list, tuple)):
        return [_plain(each, deep=deep) for each in value]
    return value


def _tensors(value: Any) -> Iterator[Reference]:
    if isinstance(value, Reference):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _tensors(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _tensors(each)


SMALLEST_DEVIATION: Final = 1e-7
"""Smallest deviation by which Keras's Normalization divides."""


def numbers_in(value: Any) -> list[float]:
    """Return all numbers of a nested list, of an array as Keras writes it, or of an array."""
    if isinstance(value, Mapping):
        config = value.get("config")
        return numbers_in(config["value"] if isinstance(config, Mapping) else value["value"])
    if hasattr(value, "shape"):
        value = np.asarray(value).ravel().tolist()
    if isinstance(value, (list, tuple)):
        return [number for each in value for number in numbers_in(each)]
    return [float(value)]


def alike(*lists: Any) -> tuple[list[float], ...]:
    """Return the numbers in each, all as many: one number is repeated."""
    listed = [numbers_in(each) for each in lists]
    longest = max(map(len, listed))
    return tuple(each * longest if len(each) == 1 else each for each in listed)


def mean_and_deviation(mean: Any, variance: Any) -> tuple[list[float], list[float]]:
    """Return what Keras's Normalization subtracts, and by what it divides then."""
    means, variances = alike(mean, variance)
    return means, [max(max(value, 0.0) ** 0.5, SMALLEST_DEVIATION) for value in variances]


OTHER_NAMES: Final[Mapping[str, str]] = {
    "addv2": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide",
    "true_divide": "divide", "realdiv": "divide", "div": "divide",
    "reduce_mean": "mean", "reduce_max": "max", "reduce_sum": "sum",
    "concat": "concatenate", "concatv2": "concatenate",
    "getitem": "get_item", "clip_by_value": "clip", "batch_matmul": "matmul", "batchmatmulv2":
    "matmul", "abs": "absolute", "neg": "negative", "resize_bilinear": "resize", "swish": "silu",
    "hard_silu": "hard_swish", "exp": "exponential", "leaky_re_lu": "leaky_relu", "re_lu": "relu",
}  # fmt: skip
"""The name here of functions that have another in a version of Keras or TensorFlow."""


def function_name(name: str) -> str:
    """Return the function that an operator computes, from its class or TensorFlow's name for it."""
    last = name.rpartition(".")[2]
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", last).lower()
    return OTHER_NAMES.get(snake, OTHER_NAMES.get(snake.replace("_", ""), snake))
