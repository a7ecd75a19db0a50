"""Layers that stand in several places of a model: in several models of it, or in wrappers.

Keras counts their weights once. Keras 3 stores the arrays of such a layer in one place, and gives
an id to its other places; files in which each place has the arrays, as `.h5`, do not tell them from
layers that only look alike: there the values do.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from archspec.imports.keras.calls import Call, ShapedArray
from archspec.imports.keras.config import (
    SHARED,
    TIME_DISTRIBUTED,
    LayerConfig,
    class_of,
    name_of,
)
from archspec.lazy import np

Path: TypeAlias = tuple[str, ...]


def with_owners(calls: Sequence[Call]) -> list[Call]:
    """Return calls that know where their layer stands first, if it stands in several places.

    A layer that is applied at each time in one of its places is so in all, at one time elsewhere.
    """
    alike: dict[Hashable, dict[Path, Call]] = {}
    for call in calls:
        layer = _own(call.layer)
        key = name_of(layer), class_of(layer)
        alike.setdefault(key, {}).setdefault(call.path, call)
    owners: dict[Path, tuple[Path, Sequence[ShapedArray] | None]] = {}
    candidates = [
        same for places in alike.values() if len(places) > 1 for same in _described_alike(places)
    ]
    for places in candidates:
        if _have_one_id(places):
            stored = [call.stored for call in places.values() if call.stored is not None]
            arrays = max(stored, key=len, default=None)
            owners |= dict.fromkeys(places, (next(iter(places)), arrays))
    for first, other in _with_equal_values(candidates):
        owner = owners.setdefault(first.path, (first.path, first.stored))
        owners[other.path] = owner
    timed = {
        owners[call.path][0] for call in calls if call.path in owners and _is_timed(call.layer)
    }
    return [
        _owned(call, *owners[call.path], is_timed=owners[call.path][0] in timed)
        if call.path in owners
        else call
        for call in calls
    ]


def _owned(
    call: Call, owner: Path, arrays: Sequence[ShapedArray] | None, *, is_timed: bool
) -> Call:
    once = is_timed and not _is_timed(call.layer)
    layer = call.layer
    if once:
        config = {"name": name_of(layer), "layer": layer, "once": True}
        layer = {"class_name": TIME_DISTRIBUTED, "config": config}
    return replace(call, first=owner, stored=arrays, layer=layer)


def _is_timed(layer: LayerConfig) -> bool:
    return class_of(layer) == TIME_DISTRIBUTED


def _own(layer: LayerConfig) -> LayerConfig:
    """Return the layer that a TimeDistributed applies; any other as it is."""
    while _is_timed(layer) and isinstance(inner := layer["config"].get("layer"), Mapping):
        layer = inner
    return layer


def _described_alike(places: Mapping[Path, Call]) -> Iterator[dict[Path, Call]]:
    """Yield the places of layers that have the same arguments, where they are several."""
    alike: dict[str, dict[Path, Call]] = {}
    for path, call in places.items():
        config = repr(_without_ids(_own(call.layer)["config"]))
        alike.setdefault(config, {})[path] = call
    yield from (same for same in alike.values() if len(same) > 1)


def _without_ids(value: Any) -> Any:
    """Return a part of a configuration without the ids of what is in several places."""
    if isinstance(value, Mapping):
        return {name: _without_ids(each) for name, each in value.items() if name != SHARED}
    return [*map(_without_ids, value)] if isinstance(value, list) else value


def _have_one_id(places: Mapping[Path, Call]) -> bool:
    """Return whether places have one id; the place that Keras writes first may lack it."""
    ids = [_own(call.layer).get(SHARED) for call in places.values()]
    stored = sum(bool(call.stored) for call in places.values())
    return len({*ids} - {None}) == 1 and ids.count(None) < 2 and stored < 2


def _with_equal_values(candidates: Sequence[Mapping[Path, Call]]) -> Iterator[tuple[Call, Call]]:
    """Yield the first place of a layer with each other one: those whose arrays are equal.

    Arrays of one number, as those of a new norm, prove nothing: they follow the other layers of
    the models that they are in.
    """
    groups = [group for places in candidates for group in _of_equal_values(places.values())]
    models: dict[Path, Path] = {}
    """The first model with a layer of each model that has one in common with another."""
    for (first, *others), is_proof in groups:
        for other in others if is_proof else ():
            model = first.path[:-1]
            models.setdefault(other.path[:-1], models.get(model, model))
            yield first, other
    for calls, is_proof in groups:
        begun: dict[Path, Call] = {}
        for call in () if is_proof else calls:
            model = call.path[:-1]
            first = begun.setdefault(models.get(model, model), call)
            if first is not call:
                yield first, call


def _of_equal_values(calls: Iterable[Call]) -> Iterator[tuple[list[Call], bool]]:
    """Yield the calls whose arrays are equal, and whether that proves them to be one layer.

    Each array is read once, and only where another layer has the same shapes.
    """
    by_shapes: dict[Hashable, list[Call]] = {}
    for call in calls:
        if call.stored:
            by_shapes.setdefault(tuple(shape for shape, _ in call.stored), []).append(call)
    for alike in by_shapes.values():
        equal: dict[bytes, tuple[list[Call], bool]] = {}
        for call in alike if len(alike) > 1 else ():
            digest, is_proof = _digest(call.stored or ())
            equal.setdefault(digest, ([], is_proof))[0].append(call)
        yield from (group for group in equal.values() if len(group[0]) > 1)


def _digest(stored: Sequence[ShapedArray]) -> tuple[bytes, bool]:
    """Return a digest of the values of arrays, and whether one of them has several."""
    import hashlib  # noqa: PLC0415  (few files have such layers)

    digest, varies = hashlib.blake2b(), False
    for _, array in stored:
        values = np.asarray(array)
        digest.update(values.tobytes())
        varies = varies or bool(values.size > 1 and np.ptp(values.astype("float64")))
    return digest.digest(), varies
