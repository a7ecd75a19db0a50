"""The arrays in an open model file, layer by layer, for every version's layout."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from archspec.keras_model.description import Arrays, LayerConfig, ShapedArray, layers_of, name_of
from archspec.keras_model.kerasconfig import UnfamiliarError, kind_of, variable_names
from archspec.keras_model.modelfile import LAYERS, ModelFile, names_in

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
        return list(_placed(file.weights, ()))
    return [layer for name in names_in(file.weights, "layer_names") for layer in _named(file, name)]


class _ByName:
    """The arrays of a model in whose file each layer has a group of its name."""

    def __init__(self, group: Any) -> None:
        self._group = group

    def of(self, layers: Sequence[LayerConfig]) -> Sequence[Sequence[ShapedArray]]:
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

    def of(self, layers: Sequence[LayerConfig]) -> Sequence[Sequence[ShapedArray]]:
        owners = [(f"/{place}".rpartition("/")[0], data) for place, data in self._datasets.items()]
        return [
            _shaped([data for owner, data in owners if owner.endswith(f"/{name_of(layer)}")])
            for layer in layers
        ]

    def inside(self, layers: Sequence[LayerConfig], index: int) -> Arrays:  # noqa: ARG002
        return self


class _ByPlace:
    """The arrays of a model whose layers are counted by class, each model for itself.

    Versions count differently, and only some note a layer's name; all keep the order.
    """

    def __init__(self, group: Any) -> None:
        self._group = group

    def of(self, layers: Sequence[LayerConfig]) -> Sequence[Sequence[ShapedArray]]:
        arrays: list[list[ShapedArray]] = [[] for _ in layers]
        owners: dict[str, list[int]] = {}
        for index, layer in enumerate(layers):
            if variable_names(kind_of(layer), layer["config"]) and layers_of(layer) is None:
                owners.setdefault(_snake(kind_of(layer)), []).append(index)
        for kind, indices in owners.items():
            groups = [group for group in _counted(self._group, kind) if len(_variables(group))]
            if len(groups) != len(indices):
                raise UnfamiliarError(f"{len(groups)} of {len(indices)} layers `{kind}`")
            for index, group in zip(indices, groups, strict=True):
                arrays[index] = _shaped(_variables(group))
        return arrays

    def inside(self, layers: Sequence[LayerConfig], index: int) -> Arrays:
        kind = _snake(kind_of(layers[index]))
        before = sum(_snake(kind_of(layer)) == kind for layer in layers[:index])
        groups = _counted(self._group, kind)
        if before >= len(groups):
            raise UnfamiliarError(f"{len(groups)} of more models `{kind}`")
        return _ByPlace(_container(groups[before]))


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


def _variables(group: Any) -> list[Any]:
    """Return a layer's arrays, which have the names 0, 1, 2 and so on."""
    variables = group.get("vars", {})
    return (
        [variables[place] for place in sorted(variables, key=int)]
        if all(map(str.isdigit, variables))
        else []
    )


def _snake(kind: str) -> str:
    """Return a class's name as Keras writes it in paths."""
    kind = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", kind))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", kind).lower()


def _placed(group: Any, scope: tuple[str, ...]) -> Iterator[StoredLayer]:
    layers = _container(group)
    for place in sorted(layers, key=lambda place: (_kind(place), _number(place))):
        layer = layers[place]
        arrays = tuple(_variables(layer))
        if arrays:
            name = layer["vars"].attrs.get("name", "")
            kind = _kind(place)
            yield StoredLayer(str(name), (*scope, kind), kind, arrays)
        yield from _placed(layer, (*scope, place))


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
