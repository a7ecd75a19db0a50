"""Weights from elsewhere: another Keras model, a file, or keras.applications' for ImageNet.

    model = archspec.build(archspec.load("resnet50_keras"), weights="imagenet")
    archspec.weights.copy("trained.keras", model)

A `.keras` file, and an `.h5` of a whole model, say how their layers are joined, and that decides
which layer is which (see `matching`). A file of weights alone does not: it is read into the model
that it was written from, as the names of its layers tell, and copied from there.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final

from archspec.diagnostics import UsageError
from archspec.emit.engine import deep, first_line, keras_home, load_file, load_keras, loading
from archspec.emit.heads import head_layers
from archspec.emit.matching import Parts, match, parts
from archspec.graph.builder import MOST_NODES
from archspec.spec.loading import find

IMAGENET: Final = "imagenet"
"""Instead of a file: keras.applications' weights of the network that is called like the model."""

SUFFIXES: Final = (".keras", ".h5", ".hdf5")


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied: the names of each pair of layers, here and there, and the parameters."""

    layers: tuple[tuple[str, str], ...]
    params: int

    def __str__(self) -> str:
        return f"copied {self.params:,} parameters of {len(self.layers):,} layers"


def copy(source: Any, model: Any) -> Copied:
    """Give a Keras model the weights of another one: all of them, or none.

    `source` is a model, the path of a `.keras` or `.h5` file, or `imagenet`. Raises `UsageError`
    where a layer has no certain counterpart, and then `model` is as it was.
    """
    keras = load_keras()
    with deep(MOST_NODES):
        there = source_model(keras, source, model)
        try:
            pairs = match(parts(model), parts(there))
        except UsageError as error:
            of = f"of {source} " if isinstance(source, (str, os.PathLike)) else ""
            hint = _keras_variant(model.name) if source == IMAGENET else ""
            raise UsageError(
                f"the weights {of}are not those of `{model.name}`: {error}{hint}"
            ) from None
    return assign(keras, pairs)


def assign(keras: Any, pairs: Sequence[tuple[Any, Any]]) -> Copied:
    """Give the first layer of each pair the second one's weights."""
    params = 0
    for mine, other in pairs:
        for ours, theirs in zip(_sorted(mine), _sorted(other), strict=True):
            ours.assign(keras.ops.convert_to_numpy(theirs))
            params += prod(ours.shape)
    return Copied(tuple((mine.name, other.name) for mine, other in pairs), params)


def _sorted(layer: Any) -> list[Any]:
    """A layer's weights in the order in which matching compared them."""
    return sorted(layer.weights, key=lambda w: (w.name, tuple(w.shape)))


def source_model(keras: Any, source: Any, model: Any) -> Any:
    """The model whose weights are meant by `source`, wanted for `model`."""
    if isinstance(source, keras.Model):
        return source
    if not isinstance(source, (str, os.PathLike)):
        kind = type(source).__name__
        raise UsageError(f"weights come from a Keras model, a file or {IMAGENET!r}, not a {kind}")
    if source == IMAGENET:
        return _imagenet(keras, model)
    path = Path(source)
    if not path.is_file():
        raise UsageError(f"there is no file {path}" if not path.is_dir() else f"{path} is a folder")
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path}: weights come from a file that ends in {', '.join(SUFFIXES)}")
    held = None if path.suffix == ".keras" else _weights_in(path)
    if held is None:
        return load_file(path)
    written_from = _written_from(keras, path, list(held), model)
    other = _with_classes(keras, written_from, held)
    if other is not None:
        with contextlib.suppress(Exception):  # it was only a guess, and Keras says of the other
            other.load_weights(path)
            return other
    with loading(path, "an unknown version of Keras"):
        written_from.load_weights(path)
    return written_from


def _weights_in(path: Path) -> dict[str, tuple[int, ...]] | None:
    """The layers that have weights in a file of weights, by name; None for a whole model.

    With each layer stands the last extent of its first weight: of a kernel, the channels it makes.
    """
    import h5py  # noqa: PLC0415  (Keras needs it as well)

    if not h5py.is_hdf5(path):
        raise UsageError(f"{path} is not an HDF5 file: it is damaged, or something else")
    with h5py.File(path) as file:
        if "model_config" in file.attrs:
            return None
        names = _listed(file, "layer_names")
        new = path.name.endswith(".weights.h5")  # Keras goes by the name, not by what is inside
        if new == bool(names) and (names or "layers" in file):
            right = f"{path.stem.removesuffix('.weights')}{'.h5' if new else '.weights.h5'}"
            raise UsageError(f"Keras can read {path} only under another name, such as {right}")
        if names:
            weights = {name: _listed(file[name], "weight_names") for name in names}
            return {name: _channels(file[name], of[0]) for name, of in weights.items() if of}
        if "layers" not in file:
            raise UsageError(f"{path} holds neither a Keras model nor a model's weights")
        held: dict[str, tuple[int, ...]] = {}

        def visit(place: str, group: Any) -> None:
            if place.endswith("/vars") and len(group):
                held[_text(group.attrs.get("name", ""))] = _channels(group, "0")

        file["layers"].visititems(visit)
        return held


def _channels(group: Any, name: str) -> tuple[int, ...]:
    """The last extent of a weight, or nothing where the file is not as Keras writes it."""
    return tuple(getattr(group.get(name), "shape", ())[-1:])


def _listed(group: Any, attribute: str) -> list[str]:
    """A list of names, which Keras cuts into numbered pieces where it is too long for HDF5."""
    pieces = [attribute] if attribute in group.attrs else []
    while f"{attribute}{len(pieces)}" in group.attrs:
        pieces.append(f"{attribute}{len(pieces)}")
    return [_text(name) for piece in pieces for name in group.attrs[piece]]


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _written_from(keras: Any, path: Path, names: list[str], model: Any) -> Any:
    """A model that lists its layers as the one whose weights a file holds.

    That is a copy of `model` itself where the names say so, or where there is but one order of
    layers; else the network of keras.applications that is called like it.
    """
    graph = parts(model)
    if len(names) == len(graph.weighted) and (graph.is_chain or set(names) == graph.names):
        return keras.models.clone_model(model)
    application = _application(keras, model.name)
    if application is not None:
        with contextlib.suppress(ValueError):  # an input or an output that it cannot have
            candidate = application(
                weights=None, input_shape=model.input_shape[1:], classes=model.output_shape[-1]
            )
            if _are_names_of(names, parts(candidate)):
                return candidate
    raise UsageError(
        f"{path} holds the weights of {len(names)} layers, not how they are joined, and they are "
        f"not called like the {len(graph.weighted)} of `{model.name}`: save the model that they "
        "belong to as a whole, as model.save('NAME.keras')"
    )


def _with_classes(keras: Any, model: Any, held: Mapping[str, tuple[int, ...]]) -> Any:
    """The same network for as many classes as a file of weights has; None where it has as many."""
    graph = parts(model)
    last = head_layers(graph)
    renamed = [name for name in held if name not in graph.names]
    classes = {held[name] for name in [*(last.keys() & held.keys()), *renamed[-1:]]} - {()}
    if len(classes) != 1 or classes == {(number,) for number in last.values()}:
        return None
    ((number,),) = classes

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if layer.name in last:
            config |= dict.fromkeys({"units", "filters"} & config.keys(), number)
        return type(layer).from_config(config)

    return keras.models.clone_model(model, clone_function=clone)


def _are_names_of(names: list[str], graph: Parts) -> bool:
    """Whether a file's names are a network's, but for the last layer's.

    keras.applications called it differently over time, and wrote conv1/conv for conv1_conv.
    """
    others = {name.replace("/", "_") for name in names} - graph.names
    return len(names) == len(graph.weighted) and len(others) <= 1


def _application(keras: Any, name: str) -> Any:
    """The function of keras.applications that makes the network of this name, or None."""
    made = {name.lower(): f for name, f in vars(keras.applications).items() if callable(f)}
    return made.get(name.lower().removesuffix("_keras"))


def _imagenet(keras: Any, model: Any) -> Any:
    """keras.applications' network of the model's name; Keras downloads the file it has not yet."""
    application = _application(keras, model.name)
    if application is None:
        raise UsageError(
            f"there are no ImageNet weights for `{model.name}`: keras.applications has no network "
            "of that name"
        )
    try:
        with contextlib.redirect_stdout(sys.stderr):  # where Keras writes its progress
            return application(weights=IMAGENET)
    except Exception as error:
        failed = re.match(r"URL fetch failure on (\S*/(\S+)): (?:None -- )?(.*)", str(error))
        if failed is None:
            raise UsageError(
                f"Keras cannot load the ImageNet weights of {application.__name__}: "
                f"{first_line(error)}"
            ) from error
        url, name, reason = failed.groups()
        raise UsageError(
            f"the ImageNet weights of {application.__name__} are not in "
            f"{keras_home() / 'models' / name}, and {url} cannot be reached ({reason}): "
            "put the file there, or name it instead of `imagenet`"
        ) from None


def _keras_variant(name: str) -> str:
    """Where a network and keras.applications' of the same name differ, a variant may not."""
    try:
        find(f"{name}_keras")
    except UsageError:
        return ""
    return f"; keras.applications' own is `{name}_keras`"
