"""The calls of a model's layers, in an order in which every tensor is made before it is used.

Models inside the model are taken apart: their layers have paths, such as `backbone/conv1`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, NamedTuple, Protocol, TypeAlias

from archspec.imports.keras.config import (
    TIME_DISTRIBUTED,
    Arguments,
    Extents,
    LayerConfig,
    Reference,
    UnfamiliarError,
    arguments_of,
    class_of,
    is_joined,
    layers_of,
    model_in,
    name_of,
    references_in,
    shape_without_batch,
)

ShapedArray: TypeAlias = tuple[tuple[int, ...], Any]
"""Shape and value of an array."""

MOST_CALLS = 100_000
"""Calls of layers that are followed: a small file can call a model in a model again and again."""


class Arrays(Protocol):
    """The arrays of a model's layers."""

    def of(self, layers: Sequence[LayerConfig]) -> Sequence[Sequence[ShapedArray] | None]:
        """Return shape and value of each array of each layer, in Keras's order.

        None for a layer whose arrays the file does not tell.
        """

    def inside(self, layers: Sequence[LayerConfig], index: int) -> Arrays:
        """Return the arrays of a model that is a layer."""


class NoArrays:
    """The arrays of a configuration alone: there are none."""

    def of(self, layers: Sequence[LayerConfig]) -> Sequence[Sequence[ShapedArray] | None]:
        """Return None for each layer."""
        return [None] * len(layers)

    def inside(self, layers: Sequence[LayerConfig], index: int) -> Arrays:  # noqa: ARG002
        """Return the same: no arrays."""
        return self


class Tensor(NamedTuple):
    """A tensor in the whole model: the path of its layer, the calls of each, the output."""

    path: tuple[str, ...]
    numbers: tuple[int, ...]
    output: int


@dataclass(frozen=True)
class Call:
    """One call of a layer that is not a model."""

    path: tuple[str, ...]
    """Names of the models in which the layer is, and its own."""
    numbers: tuple[int, ...]
    """Number of the call of each of these, from 0."""
    layer: LayerConfig
    stored: Sequence[ShapedArray] | None
    """Shape and value of each array of the layer; None if the file does not tell them."""
    inputs: Sequence[Hashable]
    """The tensors that it reads."""
    arguments: Arguments
    """Arguments of the call; none for a layer of a sequential model."""
    tensors: Mapping[Reference, Hashable]
    """The tensor that each reference in `arguments` means."""
    first: tuple[str, ...] = ()
    """Path of the layer where it stands first; empty for its own."""
    in_timed: bool = False
    """Whether a model around it is applied at each time, of which the file's shapes say nothing."""

    @property
    def owner(self) -> tuple[str, ...]:
        """The path of the layer whose weights the call has."""
        return self.first or self.path

    @property
    def place(self) -> str:
        """The path as text."""
        return "/".join(self.path)

    def output(self, index: int = 0) -> Tensor:
        """Return the tensor that the call makes, by its number."""
        return Tensor(self.path, self.numbers, index)


def input_shapes(model: LayerConfig) -> dict[str, Extents | None]:
    """Return the shape of each input of a model by the name of its layer; None if it is not told.

    Raises:
        UnfamiliarError: The model says nothing about its layers.
    """
    layers = layers_of(model)
    if not layers:
        raise UnfamiliarError(class_of(model))
    first = [layer for layer in layers if layer["class_name"] == "InputLayer"][:1] or layers[:1]
    if is_joined(model):
        named = {name_of(layer): layer for layer in layers}
        first = [named[each] for each in input_names(model)]
    # A sequential model without an input layer has the shape of its input in its first layer.
    names = [name_of(each) if class_of(each) == "InputLayer" else "input" for each in first]
    return {n: _input_shape(layer, model) for n, layer in zip(names, first, strict=True)}


def input_names(model: LayerConfig) -> list[str]:
    """Return the names of the layers that are a joined model's inputs."""
    return [reference.name for reference in references_in(model["config"]["input_layers"])]


def _input_shape(layer: LayerConfig, model: LayerConfig) -> Extents | None:
    if layers_of(layer) is not None:
        return next(iter(input_shapes(layer).values()))
    config = layer["config"]
    shape = config.get("batch_shape") or config.get("batch_input_shape")
    if shape is None and isinstance(model["config"], Mapping):
        shape = model["config"].get("build_input_shape")
    return None if shape is None else shape_without_batch(shape)


def walk(
    model: LayerConfig,
    arrays: Arrays,
    given: Sequence[Hashable],
    scope: tuple[str, ...] = (),
    calls: tuple[int, ...] = (),
    counted: Iterator[int] | None = None,
) -> tuple[list[Call], dict[str, Hashable]]:
    """Return the calls of a model's layers, and its outputs by their names or numbers.

    Args:
        model: The configuration of a functional or sequential model.
        arrays: Its weights.
        given: Its input tensors, in their order.
        scope: Its path, of one that is called itself.
        calls: The numbers of the calls on the path.
        counted: Counts the calls that are followed.

    Raises:
        UnfamiliarError: The configuration is not as Keras writes it.
    """
    counted = counted or count(1)
    layers = layers_of(model)
    if layers is None:
        raise UnfamiliarError(class_of(model))
    stored = arrays.of(layers)
    joins = _Joins(model, layers) if is_joined(model) else _Chain(layers)
    inputs_by_name: Mapping[str, Hashable] = {}
    if is_joined(model):
        inputs_by_name = dict(zip(input_names(model), given, strict=True))
    found: list[Call] = []
    made: dict[tuple[str, int], Callable[[int], Hashable]] = {}
    """The output of a number of each call; a configuration does not say how many there are."""
    for index, number, arguments in joins.calls():
        if next(counted) > MOST_CALLS:
            raise UnfamiliarError(f"more than {MOST_CALLS:,} calls of layers")
        layer = layers[index]
        name = name_of(layer)
        tensors = {each: _made(made, each) for each in arguments.references}
        inputs = [tensors[each] for each in arguments.references] or given
        path, numbers = (*scope, name), (*calls, number)
        if class_of(layer) == "InputLayer":
            made[name, number] = [inputs_by_name.get(name, given[0])].__getitem__
        elif (inner := model_in(layer)) is not None:
            inside = arrays.inside(layers, index)
            calls_inside, outputs = walk(inner, inside, inputs, path, numbers, counted)
            found += calls_inside if inner is layer else map(_at_each_time, calls_inside)
            made[name, number] = [*outputs.values()].__getitem__
        else:
            call = Call(path, numbers, layer, stored[index], inputs, arguments, tensors)
            made[name, number] = call.output
            found.append(call)
    return found, {name: _made(made, end) for name, end in joins.outputs(model).items()}


def _at_each_time(call: Call) -> Call:
    """Return the call of a layer in a model that is applied at each time."""
    config = {"name": name_of(call.layer), "layer": call.layer}
    layer = {"class_name": TIME_DISTRIBUTED, "config": config}
    return replace(call, layer=layer, in_timed=True)


def _made(
    made: Mapping[tuple[str, int], Callable[[int], Hashable]], reference: Reference
) -> Hashable:
    return made[reference.call](reference.output)


class _Chain:
    """The joins of a sequential model's layers."""

    def __init__(self, layers: Sequence[LayerConfig]) -> None:
        self._layers = layers

    def calls(self) -> Iterator[tuple[int, int, Arguments]]:
        """Yield each layer's index, the number of the call, and its inputs: none for the image."""
        before: tuple[Reference, ...] = ()
        for index, layer in enumerate(self._layers):
            yield index, 0, Arguments(before, {})
            before = (Reference(name_of(layer), 0, 0),)

    def outputs(self, _: LayerConfig) -> dict[str, Reference]:
        return {"0": Reference(name_of(self._layers[-1]), 0, 0)}


class _Joins:
    """The joins of a functional model's layers."""

    def __init__(self, model: LayerConfig, layers: Sequence[LayerConfig]) -> None:
        self._places: dict[tuple[str, int], int] = {}
        self._nodes: dict[tuple[str, int], Arguments] = {}
        counts: dict[str, int] = {}
        for index, layer in enumerate(layers):
            name = name_of(layer)
            nodes = _calls_in(layer) or [[]]
            counts[name] = len(nodes)
            for number, node in enumerate(nodes):
                self._places[name, number] = index
                self._nodes[name, number] = arguments_of(node)
        named = [each for node in self._nodes.values() for each in node.references]
        ends = references_in(model["config"]["output_layers"])
        if any(isinstance(node, Mapping) for layer in layers for node in _calls_in(layer)):
            # Keras 3 counts the calls of a functional model from 1 among the outputs alone.
            self._first = _first_numbers(named, counts)
            joined = {name_of(layer) for layer in layers if _is_functional(layer)}
            zeros = {end.name for end in ends if end.number == 0}
            self._first_end = dict.fromkeys(joined - zeros, 1)
        else:  # Keras 2 does everywhere.
            self._first = self._first_end = _first_numbers([*named, *ends], counts)
        if any(self._first.values()):
            self._nodes = {call: self._renumbered(node) for call, node in self._nodes.items()}

    def calls(self) -> Iterator[tuple[int, int, Arguments]]:
        """Yield the same as a chain does; each call comes after those that make its inputs."""
        needed = {call: [r.call for r in node.references] for call, node in self._nodes.items()}
        done: set[tuple[str, int]] = set()
        for start in needed:
            waiting = [start]
            while waiting:
                call = waiting[-1]
                missing = next((each for each in needed[call] if each not in done), None)
                if call in done or missing is None:
                    waiting.pop()
                    if call not in done:
                        done.add(call)
                        yield self._places[call], call[1], self._nodes[call]
                elif len(waiting) > len(needed):
                    raise UnfamiliarError("layers that are joined in a circle")
                else:
                    waiting.append(missing)

    def outputs(self, model: LayerConfig) -> dict[str, Reference]:
        ends = model["config"]["output_layers"]
        if isinstance(ends, Mapping):
            return {str(name): self._ends(end)[0] for name, end in ends.items()}
        return {str(index): end for index, end in enumerate(self._ends(ends))}

    def _ends(self, node: Any) -> list[Reference]:
        return [_counted(reference, self._first_end) for reference in references_in(node)]

    def _renumbered(self, node: Any) -> Any:
        if isinstance(node, Arguments):
            kwargs = {name: self._renumbered(value) for name, value in node.kwargs.items()}
            return Arguments(tuple(map(self._renumbered, node.args)), kwargs)
        if isinstance(node, Reference):
            return _counted(node, self._first)
        if isinstance(node, Mapping):
            return {name: self._renumbered(value) for name, value in node.items()}
        return [*map(self._renumbered, node)] if isinstance(node, list) else node


def _calls_in(layer: LayerConfig) -> Sequence[Any]:
    """Return what a configuration says of the calls of a layer."""
    return layer.get("inbound_nodes") or ()


def _is_functional(layer: LayerConfig) -> bool:
    """Return whether a layer is a model that says how its layers are joined."""
    return layers_of(layer) is not None and is_joined(layer)


def _first_numbers(references: Sequence[Reference], counts: Mapping[str, int]) -> dict[str, int]:
    """Return the number that the first call of each layer has, from its last one's."""
    latest: dict[str, int] = {}
    for reference in references:
        latest[reference.name] = max(latest.get(reference.name, 0), reference.number)
    return {name: max(0, number + 1 - counts[name]) for name, number in latest.items()}


def _counted(reference: Reference, first: Mapping[str, int]) -> Reference:
    """Return a reference whose call is counted from 0."""
    return reference._replace(number=reference.number - first.get(reference.name, 0))
