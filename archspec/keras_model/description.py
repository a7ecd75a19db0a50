"""A Keras model as a layer graph, from the configuration that its file has.

Versions of Keras write it differently: how inputs are named, whether a sequential model has an
input, whether the calls of a model are counted from 0 or 1.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from archspec.errors import UsageError
from archspec.keras_model.assembly import Assembly, LayerArray, LayerCall, assembly, unknown
from archspec.keras_model.guards import refuse
from archspec.keras_model.kerasconfig import (
    UnfamiliarError,
    kernel_shape,
    kind_of,
    output_shape,
    variable_names,
)
from archspec.keras_model.matching import Extents, LayerGraph

LayerConfig: TypeAlias = Mapping[str, Any]
"""A layer as a configuration describes it: `class_name`, `config`, perhaps `inbound_nodes`."""

ShapedArray: TypeAlias = tuple[tuple[int, ...], Any]
"""Shape and value of an array."""


class Arrays(Protocol):
    """The arrays of a model's layers."""

    def of(self, layers: Sequence[LayerConfig]) -> Sequence[Sequence[ShapedArray]]:
        """Return shape and value of each array of each layer, in Keras's order."""

    def inside(self, layers: Sequence[LayerConfig], index: int) -> Arrays:
        """Return the arrays of a model that is a layer."""


def name_of(layer: LayerConfig) -> str:
    """Return the name of a layer."""
    return str(layer.get("name") or layer["config"]["name"])


def layers_of(model: LayerConfig) -> list[LayerConfig] | None:
    """Return the layers of a model, which may be a layer itself; None for any other layer."""
    config = model.get("config")
    # Keras 2.0 wrote a sequential model's layers without a name around them.
    layers = config.get("layers") if isinstance(config, Mapping) else config
    return layers if isinstance(layers, list) else None


def described(
    model: LayerConfig, arrays: Arrays, images: Sequence[Extents] | None = None
) -> LayerGraph:
    """Return the layer graph of a functional or sequential model.

    Args:
        model: Its configuration, of any version of Keras.
        arrays: Its weights.
        images: Extents of each input, for those that the configuration leaves open.

    Raises:
        UsageError: It is another kind of model.
        UnfamiliarError: A layer is of an unknown class.

    """
    try:
        shapes = _input_shapes(model)
        if images is not None and len(images) == len(shapes):
            shapes = {
                name: tuple(b if a is None else a for a, b in zip(shape, image, strict=True))
                if len(image) == len(shape)
                else shape
                for (name, shape), image in zip(shapes.items(), images, strict=True)
            }
        name = str(model["config"]["name"]) if isinstance(model["config"], Mapping) else "model"
        keys: dict[Hashable, tuple[str, Extents]] = {
            ("input", name): (name if len(shapes) > 1 else "input", shape)
            for name, shape in shapes.items()
        }
        joined = assembly(name, keys)
        return joined.finish(_walk(model, arrays, joined, list(keys), (), ()))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise UnfamiliarError(f"a configuration that is not as Keras writes it ({error})") from None


def _input_shapes(model: LayerConfig) -> dict[str, Extents]:
    """Return the shape of each input of a model, by the name of its layer."""
    layers = layers_of(model)
    name = model["config"].get("name", "model") if isinstance(model["config"], Mapping) else "model"
    if not layers:
        raise UsageError(unknown(name))
    first = [layer for layer in layers if layer["class_name"] == "InputLayer"][:1] or layers[:1]
    if _is_joined(model):
        named = {name_of(layer): layer for layer in layers}
        first = [named[each] for each in _input_names(model)]
    return {name_of(layer): _input_shape(layer, model, name) for layer in first}


def _input_names(model: LayerConfig) -> list[str]:
    return [reference.name for reference in _references(model["config"]["input_layers"])]


def _input_shape(layer: LayerConfig, model: LayerConfig, name: str) -> Extents:
    if layers_of(layer) is not None:
        return next(iter(_input_shapes(layer).values()))
    config = layer["config"]
    shape = config.get("batch_shape") or config.get("batch_input_shape")
    if shape is None and isinstance(model["config"], Mapping):
        shape = model["config"].get("build_input_shape")
    if shape is None:
        raise UsageError(unknown(name))
    return tuple(shape[1:])


def _walk(
    model: LayerConfig,
    arrays: Arrays,
    assembly: Assembly,
    given: Sequence[Hashable],
    scope: tuple[str, ...],
    calls: tuple[int, ...],
) -> dict[str, Hashable]:
    """Add the calls of a model's layers; return the keys of its outputs.

    Args:
        model: The configuration of the model.
        arrays: Its weights.
        assembly: What the calls are added to.
        given: The keys of its inputs, in order.
        scope: The names of the models in which it is.
        calls: The number of the call of each of these: a model may be used several times.
    """
    layers = layers_of(model)
    if layers is None:
        raise UnfamiliarError(str(model.get("class_name")))
    stored = arrays.of(layers)
    joins = _Joins(model, layers) if _is_joined(model) else _Chain(layers)
    inputs_by_name: Mapping[str, Hashable] = {}
    if _is_joined(model):
        inputs_by_name = dict(zip(_input_names(model), given, strict=True))
    made: dict[tuple[str, int], list[Hashable]] = {}
    for index, number, references in joins.calls():
        layer = layers[index]
        name, kind = name_of(layer), kind_of(layer)
        inputs = [made[reference.call][reference.output] for reference in references]
        if kind == "InputLayer":
            made[name, number] = [inputs_by_name.get(name, given[0])]
        elif layers_of(layer) is not None:
            inside = arrays.inside(layers, index)
            outer = (*scope, name), (*calls, number)
            made[name, number] = [*_walk(layer, inside, assembly, inputs or given, *outer).values()]
        else:
            place = "/".join((*scope, name))
            key = (*scope, name, *calls, number)
            made[name, number] = [key]
            assembly.add(_call(place, layer, stored[index], assembly, inputs or given, key))
    return {name: made[end.call][end.output] for name, end in joins.outputs(model).items()}


def _call(
    place: str,
    layer: LayerConfig,
    stored: Sequence[ShapedArray],
    assembly: Assembly,
    inputs: Sequence[Hashable],
    key: Hashable,
) -> LayerCall:
    kind, config = kind_of(layer), layer["config"]
    names = variable_names(kind, config)
    if len(names) != len(stored):
        raise UnfamiliarError(f"{kind} with {len(stored)} arrays of weights")
    weights = [LayerArray(name, *array) for name, array in zip(names, stored, strict=True)]
    shapes = [assembly.maker(each, place).shape for each in inputs]
    kernel = kernel_shape(kind, config, shapes[0]) if stored else None
    if kernel is not None and None not in kernel and kernel != stored[0][0]:
        refuse(
            assembly.model,
            f"`{place}` declares a kernel of {list(kernel)} and stores {list(stored[0][0])}",
        )
    shape = output_shape(kind, config, shapes)
    return LayerCall(place, kind, config, weights, inputs, [key], shape)


def _is_joined(model: LayerConfig) -> bool:
    return isinstance(model["config"], Mapping) and "input_layers" in model["config"]


class _Reference(NamedTuple):
    """A tensor: the name of the layer that makes it, the numbers of the call and of the output."""

    name: str
    number: int
    output: int

    @property
    def call(self) -> tuple[str, int]:
        return self.name, self.number


class _Chain:
    """The joins of a sequential model's layers."""

    def __init__(self, layers: Sequence[LayerConfig]) -> None:
        self._layers = layers

    def calls(self) -> Iterator[tuple[int, int, list[_Reference]]]:
        """Yield each layer's index, the number of the call, and its inputs: none for the image."""
        before: list[_Reference] = []
        for index, layer in enumerate(self._layers):
            yield index, 0, before
            before = [_Reference(name_of(layer), 0, 0)]

    def outputs(self, _: LayerConfig) -> dict[str, _Reference]:
        return {"0": _Reference(name_of(self._layers[-1]), 0, 0)}


class _Joins:
    """The joins of a functional model's layers."""

    def __init__(self, model: LayerConfig, layers: Sequence[LayerConfig]) -> None:
        self._places: dict[tuple[str, int], int] = {}
        self._nodes: dict[tuple[str, int], Any] = {}
        self._counts: dict[str, int] = {}
        for index, layer in enumerate(layers):
            name = name_of(layer)
            nodes = layer.get("inbound_nodes") or [[]]
            self._counts[name] = len(nodes)
            for number, node in enumerate(nodes):
                self._places[name, number] = index
                self._nodes[name, number] = node
        latest: dict[str, int] = {}
        for reference in _references([*self._nodes.values(), model["config"]["output_layers"]]):
            latest[reference.name] = max(latest.get(reference.name, 0), reference.number)
        # Keras 2 counts the calls of a model from 1.
        self._first = {name: max(0, n + 1 - self._counts[name]) for name, n in latest.items()}

    def calls(self) -> Iterator[tuple[int, int, list[_Reference]]]:
        """Yield the same as a chain does; each call comes after those that make its inputs."""
        inputs = {call: self._references(node) for call, node in self._nodes.items()}
        done: set[tuple[str, int]] = set()
        for start in inputs:
            waiting = [start]
            while waiting:
                call = waiting[-1]
                missing = [each.call for each in inputs[call] if each.call not in done]
                if call in done or not missing:
                    waiting.pop()
                    if call not in done:
                        done.add(call)
                        yield self._places[call], call[1], inputs[call]
                elif len(waiting) > len(inputs):
                    raise UnfamiliarError("layers that are joined in a circle")
                else:
                    waiting.append(missing[0])

    def outputs(self, model: LayerConfig) -> dict[str, _Reference]:
        ends = model["config"]["output_layers"]
        if isinstance(ends, Mapping):
            return {str(name): self._references(end)[0] for name, end in ends.items()}
        return {str(index): end for index, end in enumerate(self._references(ends))}

    def _references(self, node: Any) -> list[_Reference]:
        """Return the tensors that a node names."""
        return [
            reference._replace(number=reference.number - self._first.get(reference.name, 0))
            for reference in _references(node)
        ]


def _references(node: Any) -> Iterator[_Reference]:
    """Yield the tensors that a part of a configuration names, at any depth."""
    if isinstance(node, Mapping):
        if node.get("class_name") == "__keras_tensor__":
            yield _Reference(*node["config"]["keras_history"])
            return
        node = list(node.values())
    if not isinstance(node, (list, tuple)):
        return
    if len(node) > 2 and isinstance(node[0], str) and isinstance(node[1], int):
        if node[0] != "_CONSTANT_VALUE":
            yield _Reference(*node[:3])
        node = node[3:]
    for each in node:
        yield from _references(each)
