"""The arrays in an open model file, layer by layer, for every version's layout."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from archspec.imports.keras.calls import Arrays, NoArrays, ShapedArray
from archspec.imports.keras.config import (
    TIME_DISTRIBUTED,
    LayerConfig,
    class_of,
    is_operator,
    layers_of,
    name_of,
)
from archspec.imports.keras.modelfile import LAYERS, ModelFile, names_in
from archspec.imports.keras.variables import kind_of, snake, variable_names

NORMALIZATION: Final = "normalization"
"""Kind of layers whose arrays are the mean and variance of images, which are not trained."""


class StoredLayer(NamedTuple):
    """A layer in a file of weights alone."""

    name: str
    """Name of the layer; empty if the file does not have it."""
    order: tuple[str, ...]
    """Group in which layers were counted: the file has an order only within one."""
    kind: str
    """Class in snake case; empty if the file does not have it."""
    arrays: tuple[Any, ...]
    """HDF5 datasets, in Keras's order."""


def arrays_of(file: ModelFile) -> Arrays:
    """Return the arrays of the network that a file describes."""
    return _ByPlace(_container(file.weights)) if file.by_place else _ByName(file.weights)


def layers_in(file: ModelFile) -> list[StoredLayer]:
    """Return the layers with weights in a file of weights alone, in its order."""
    if file.by_place:
        attributes = attributes_of(file.weights)
        owned = [each for name in attributes for each in _layer(file.weights[name], name, ())]
        return [*_placed(file.weights, ()), *owned]
    return [layer for name in names_in(file.weights, "layer_names") for layer in _named(file, name)]


class _ByName:
    """The arrays of a model in whose file each layer has a group of its name."""

    def __init__(self, group: Any) -> None:
        self._group = group

    def of(self, layers: Sequence[LayerConfig]) -> Sequence[Sequence[ShapedArray] | None]:
        return [
            [] if layers_of(layer) is not None else _shaped(self._datasets(name_of(layer)).values())
            for layer in layers
        ]

    def inside(self, layers: Sequence[LayerConfig], index: int) -> Arrays:
        return _Flat(self._datasets(name_of(layers[index])))

    def _datasets(self, name: str) -> dict[str, Any]:
        if name not in self._group:
            return {}
        group = self._group[name]
        return {place: group[place] for place in names_in(group, "weight_names")}


class _Flat:
    """The arrays of a model inside a model: all in one group, with their layers in their names."""

    def __init__(self, datasets: dict[str, Any]) -> None:
        self._datasets = datasets

    def of(self, layers: Sequence[LayerConfig]) -> Sequence[Sequence[ShapedArray] | None]:
        if not any("/" in place for place in self._datasets):
            return [_shaped(self._by_variable(layer)) for layer in layers]
        return [_shaped(self._owned(name_of(layer))) for layer in layers]

    def _by_variable(self, layer: LayerConfig) -> list[Any]:
        """Return the arrays of a layer of Keras 3.0, which writes their names alone.

        No two arrays of a group have one name, so each is that of the layer that has such a
        variable.
        """
        names = variable_names(kind_of(layer), layer["config"])
        return [self._datasets[name] for name in names if name in self._datasets]

    def _owned(self, name: str) -> list[Any]:
        owners = [(f"/{place}".rpartition("/")[0], data) for place, data in self._datasets.items()]
        own = [data for owner, data in owners if owner.endswith(f"/{name}")]
        # A recurrent layer's arrays are those of its cell, one level below.
        return own or [data for owner, data in owners if f"/{name}/" in f"{owner}/"]

    def inside(self, layers: Sequence[LayerConfig], index: int) -> Arrays:  # noqa: ARG002
        return self


class _ByPlace:
    """The arrays of a model whose layers are counted by class, each model for itself.

    Versions count differently, and only some note a layer's name; all keep the order.
    """

    def __init__(self, group: Any) -> None:
        self._group = group

    def of(self, layers: Sequence[LayerConfig]) -> Sequence[Sequence[ShapedArray] | None]:
        arrays: list[Sequence[ShapedArray] | None] = [[] for _ in layers]
        for kind, indices in _by_kind(layers).items():
            groups = self._groups(kind, [layers[index] for index in indices])
            for index, group in zip(indices, groups, strict=True):
                arrays[index] = None if group is None else _shaped(_variables(group))
        return arrays

    def _groups(self, kind: str, layers: Sequence[LayerConfig]) -> list[Any]:
        """Return the group of each of the layers of a class; None where it is not certain."""
        groups = _counted(self._group, kind)
        named = _by_name(groups)
        if named is not None:
            return [named.get(name_of(layer), {}) for layer in layers]
        if len(groups) == len(layers):
            return groups
        stored = [group for group in groups if _variables(group)]
        owners = [layer for layer in layers if variable_names(kind_of(layer), layer["config"])]
        if len(stored) not in (len(owners), len(layers)):
            return [None] * len(layers)
        waiting = iter(stored)
        every = len(stored) == len(layers)
        return [next(waiting) if every or layer in owners else {} for layer in layers]

    def inside(self, layers: Sequence[LayerConfig], index: int) -> Arrays:
        kind = snake(kind_of(layers[index]))
        before = sum(snake(kind_of(layer)) == kind for layer in layers[:index])
        groups = _counted(self._group, kind)
        group = (_by_name(groups) or {}).get(name_of(layers[index]))
        if group is None:
            if before >= len(groups):
                return NoArrays()
            group = groups[before]
        if class_of(layers[index]) == TIME_DISTRIBUTED:
            group = group.get("layer", {})
        return _ByPlace(_container(group))


def _by_kind(layers: Sequence[LayerConfig]) -> dict[str, list[int]]:
    """Return the places of the layers of each class that are neither models nor operators."""
    kinds: dict[str, list[int]] = {}
    for index, layer in enumerate(layers):
        if layers_of(layer) is None and not is_operator(layer):
            kinds.setdefault(snake(class_of(layer)), []).append(index)
    return kinds


def _by_name(groups: Sequence[Any]) -> dict[str, Any] | None:
    """Return groups by the names of their layers; None if the file does not have all of these."""
    stored = [group for group in groups if "vars" in group]
    named = {str(group["vars"].attrs.get("name", "")): group for group in stored}
    named.pop("", None)
    return named if len(named) == len(groups) else None


def _shaped(datasets: Any) -> list[ShapedArray]:
    return [(tuple(data.shape), data) for data in datasets]


def _container(group: Any) -> Any:
    """Return the group of a model's layers."""
    return next((group[name] for name in LAYERS if name in group), {})


def _counted(group: Any, kind: str) -> list[Any]:
    """Return the groups of a class, in the order of their numbers."""
    places = [place for place in group if _kind(place) == kind]
    return [group[place] for place in sorted(places, key=_number)]


def _kind(place: str) -> str:
    return re.sub(r"_\d+$", "", place)


def _number(place: str) -> int:
    return int(place.rpartition("_")[2]) if re.search(r"_\d+$", place) else 0


def _variables(group: Any, *, is_model: bool = False) -> list[Any]:
    """Return a layer's arrays, and after them those of the layers in it.

    Keras calls the arrays 0, 1, 2 and so on.

    Args:
        group: The layer's group.
        is_model: Whether the layer may be a model, whose layers have arrays of their own.
    """
    variables = group.get("vars", {})
    own = []
    if all(map(str.isdigit, variables)):
        own = [variables[place] for place in sorted(variables, key=int)]
    inner = [name for name in group if name != "vars" and name not in _NO_WEIGHTS]
    if is_model:
        inner = [name for name in inner if name not in LAYERS]
    for name in sorted(inner, key=_order_of_part):
        if hasattr(group[name], "keys"):
            own += _variables(group[name])
    return own


_NO_WEIGHTS: Final = frozenset({"seed_generator", "_seed_generator"})
"""Groups inside a layer's group that are not its weights: states of random numbers."""

_PARTS: Final = (
    "cell", "forward_layer", "backward_layer",
    "query_dense", "key_dense", "value_dense", "gate_dense", "output_dense",
)  # fmt: skip
"""Layers that Keras's layers have inside, in the order of their weights."""


def _order_of_part(name: str) -> tuple[int, str, int]:
    plain = name.lstrip("_")
    place = _PARTS.index(plain) if plain in _PARTS else len(_PARTS)
    return place, _kind(name), _number(name)


def _placed(group: Any, scope: tuple[str, ...]) -> Iterator[StoredLayer]:
    """Yield the layers of a model, class by class."""
    layers = _container(group)
    for place in sorted(layers, key=lambda place: (_kind(place), _number(place))):
        yield from _layer(layers[place], place, scope)


def _layer(group: Any, place: str, scope: tuple[str, ...]) -> Iterator[StoredLayer]:
    """Yield a layer and those in it; a list of layers is a group without arrays of its own."""
    if not hasattr(group, "keys"):
        return
    kind = _kind(place)
    if "vars" not in group:
        for inner in sorted(group, key=lambda place: (_kind(place), _number(place))):
            yield from _layer(group[inner], inner, (*scope, place))
        return
    arrays = tuple(_variables(group, is_model=True))
    if arrays:
        name = group["vars"].attrs.get("name", "")
        yield StoredLayer(str(name), (*scope, kind), kind, arrays)
    yield from _placed(group, (*scope, place))


def attributes_of(group: Any) -> list[str]:
    """Return the attributes of a model of a class of its own that hold layers, by their names.

    Its optimizer and its metrics, whose arrays are single numbers, are not layers.
    """
    names = [name for name in group if name not in (*LAYERS, "vars") and "optimizer" not in name]
    return [
        name
        for name in names
        if any(array.shape for layer in _layer(group[name], name, ()) for array in layer.arrays)
    ]


def _named(file: ModelFile, name: str) -> Iterator[StoredLayer]:
    """Yield a layer, or the layers of a model that is one."""
    group = file.weights[name]
    owners: dict[str, list[Any]] = {}
    kinds: dict[str, str] = {}
    for place in names_in(group, "weight_names"):
        owner, _, called = place.rpartition("/")
        owners.setdefault(owner, []).append(group[place])
        if called.startswith("pointwise"):
            kinds[owner] = "separable_conv"
        elif called.partition(":")[0] == "count":
            kinds[owner] = NORMALIZATION
        elif called.startswith("depthwise"):
            kinds.setdefault(owner, "depthwise_conv")
    for owner, arrays in owners.items():
        inner = name if len(owners) == 1 else owner.rpartition("/")[2]
        yield StoredLayer(inner, (), kinds.get(owner, ""), tuple(arrays))
