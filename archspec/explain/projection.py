"""Projections: pixels that excite a class or unit, by gradients through changed ReLUs.

`deconvnet` and `guided` differ only in the rule of `archspec.explain.circuit.rectified`. A max pool
passes its gradient to the position of its maximum, which is unpooling through switches; where
windows overlap, the gradients of a shared maximum are added.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from archspec.errors import UsageError
from archspec.explain.attribution import MapRequest, check_finite, class_gradients, groups
from archspec.explain.circuit import Circuit, CircuitCall, ReluRule
from archspec.explain.gallery import Exhibit, FactValue, Gallery, Picture
from archspec.explain.gradient import compiled, differentiated
from archspec.explain.maximizing import check_choice, check_unit
from archspec.explain.nonlinearity import PASSING
from archspec.explain.receptive_windows import PixelRange, seen
from archspec.explain.samples import Samples
from archspec.explain.study import Study
from archspec.explain.subject import Subject, batched
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOP: Final = 9
"""Number of images that are shown of a unit, as in Zeiler and Fergus 2013."""

SHOWN: Final = 4
"""Default number of units of a layer that are shown."""


def projections(
    study: Study,
    rule: ReluRule,
    target: str | int | None,
    layer: str | None,
    unit: int | None,
    units: int,
) -> Gallery:
    """Return the gallery of `deconvnet` or `guided`.

    Raise `UsageError` if there is no ReLU to change, or no such class, layer or unit.
    """
    check_choice(target, layer, unit)
    if layer is None:
        notes = way(study.subject, study.subject.circuit.scores, rule)
        return study.gallery(_of_classes(study, rule, target), notes, units=None)
    call = _with_activation(study.subject.circuit, study.subject.layer(layer))
    if unit is not None:
        check_unit(call, unit)
    notes = way(study.subject, call.name, rule)
    return study.gallery(_of_units(study, rule, call, unit, units), notes)


def absolute(request: MapRequest, rule: ReluRule) -> NDArray[np.float64]:
    """Return the absolute projection of each image's class, the maximum over channels.

    Raise `UsageError` if there is no ReLU to change on the way.
    """
    subject = request.subject
    way(subject, subject.circuit.scores, rule)
    maps = class_gradients(subject, request.pixels, request.targets, request.batch, rule)
    strengths: NDArray[np.float64] = abs(maps).max(axis=-1).astype(float)
    return strengths


def way(subject: Subject, name: str, rule: ReluRule) -> list[str]:
    """Return notes on the gradient's way from a layer to the pixels: the ReLUs that are changed.

    Raise `UsageError` if there is no ReLU on it.
    """
    circuit = subject.circuit
    calls = [call for each, call in circuit.calls.items() if each in circuit.before(name)]
    rectifiers = [call for call in calls if call.rectifier]
    others = [
        f"{call.name} ({call.activation})"
        for call in calls
        if call.activation not in {None, *PASSING}
        and not call.rectifier
        # The score is what the last activation is given.
        and not (call.name == name == circuit.scores)
    ]
    opaque = [f"{call.name} ({call.kind})" for call in calls if call.opaque]
    unseen = f"{_listed(opaque)}: code that is not looked into" if opaque else ""
    if not rectifiers:
        instead = "; ".join(filter(None, [_listed(others), unseen])) or "there is no activation"
        raise UsageError(
            f"{subject.name} has no ReLU between its pixels and {name} ({instead}), so that "
            f"{rule} would show the plain gradient: use `saliency`"
        )
    pools = [call for call in calls if "MaxPool" in call.kind]
    switches = f"switches of {_count(len(pools), 'max pool')}" if pools else "no max pool"
    notes = [f"the gradient is changed at {_count(len(rectifiers), 'ReLU')}; {switches} on the way"]
    if others:
        notes.append(f"activations that keep their plain gradient: {_listed(others)}")
    if unseen:
        notes.append(f"{unseen}, so that ReLUs in it would keep their plain gradient")
    return notes


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}"


def _listed(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _with_activation(circuit: Circuit, call: CircuitCall) -> CircuitCall:
    """Return the ReLU behind a layer, if it has one."""
    takers = [each for each in circuit.calls.values() if call.name in each.inputs]
    if call.activation is None and len(takers) == 1 and takers[0].rectifier:
        return takers[0] if not takers[0].fused else call
    return call


def _signed(name: str, title: str, maps: NDArray[Any], **shown: Any) -> Picture:
    """Return maps (*extent, channels) as a picture: of 3 colors, or of the sum of the channels."""
    values = maps if maps.shape[-1] == 3 else maps.sum(axis=-1)
    return Picture(name, title, values, "signed", **shown)


def _of_classes(study: Study, rule: ReluRule, target: str | int | None) -> Iterator[Exhibit]:
    """Yield an exhibit for each image: the projection of its class's score."""
    for group in groups(study, target):
        maps = class_gradients(study.subject, group.pixels, group.targets, study.batch, rule)
        for at, map_ in enumerate(maps):
            yield group.exhibit(f"{rule} map", [_signed(rule, f"{rule} map", map_)], at=at)


@dataclass(frozen=True, eq=False)
class Strongest:
    """The images that excite each unit of a layer most, at one position each: (units, k)."""

    values: NDArray[np.float64]
    images: NDArray[np.intp]
    places: NDArray[np.intp]
    """Numbers of positions, in the order of rows."""

    def of(self, unit: int) -> Strongest:
        """Return the images in which one unit is above 0."""
        kept = self.values[unit] > 0
        return Strongest(self.values[unit][kept], self.images[unit][kept], self.places[unit][kept])


def strongest(study: Study, samples: Samples, call: CircuitCall) -> Strongest:
    """Return the images of a data set that excite the units of a layer most."""
    subject, ops = study.subject, study.subject.keras.ops

    def function(pixels: Any) -> Any:
        outputs = subject.run(pixels, watch=(call.name,)).after[call.name]
        flat = ops.reshape(outputs, (outputs.shape[0], -1, call.shape[-1]))
        return ops.max(flat, axis=1), ops.argmax(flat, axis=1)

    run = compiled(subject.circuit, function)
    best: tuple[Any, ...] = ()
    for numbers, pixels in samples.batches():
        result = list(batched(run, study.batch, pixels))
        values, places = (np.concatenate(each).T for each in zip(*result, strict=True))
        subject.check_finite(values)
        now = values.astype(np.float64), np.broadcast_to(numbers, values.shape), places
        both = (
            now if not best else [np.concatenate(pair, 1) for pair in zip(best, now, strict=True)]
        )
        order = np.argsort(-both[0], axis=1, kind="stable")[:, :TOP]
        best = tuple(np.take_along_axis(each, order, axis=1) for each in both)
        study.tick(int(numbers[-1]) + 1, len(samples))
    return Strongest(*best)


def _of_units(
    study: Study, rule: ReluRule, call: CircuitCall, unit: int | None, units: int
) -> Iterator[Exhibit]:
    """Yield an exhibit for each unit: the patches that excite it most, and their projections."""
    samples = study.all_samples
    result = strongest(study, samples, call)
    highest = result.values[:, 0]
    chosen = np.argsort(-highest, kind="stable")[:units] if unit is None else [unit]
    chosen = [int(each) for each in chosen if highest[each] > 0]
    if not chosen:
        which = "no unit" if unit is None else f"unit {unit}"
        raise UsageError(
            f"{which} of {call.name} is above 0 in {'any' if unit is None else 'none'} of the "
            f"{len(samples):,} images, so that there is nothing to project"
        )
    project = differentiated(study.subject.circuit, _activation(study.subject, rule, call))
    for each in chosen:
        most = result.of(each)
        pixels = samples.read(most.images)
        rows = (
            _one_hot(most.places, call.shape[:-1]),
            _one_hot(np.full(len(pixels), each), call.shape[-1:]),
        )
        values = most.values.astype(np.float32)
        maps = np.concatenate(
            [part for part, _ in batched(project, study.batch, pixels, *rows, values)]
        )
        check_finite(study.subject, maps)
        names = [samples.names[number] for number in most.images]
        yield _exhibit(study, rule, call, each, names, pixels, maps, most)


def _activation(subject: Subject, rule: ReluRule, call: CircuitCall) -> Any:
    """Return the score of one activation of each image; its gradient is multiplied by its value."""
    ops = subject.keras.ops

    def score(pixels: Any, places: Any, channels: Any, values: Any) -> Any:
        outputs = subject.run(pixels, watch=(call.name,), relu=rule).after[call.name]
        flat = ops.reshape(outputs, (outputs.shape[0], -1, call.shape[-1]))
        chosen = ops.einsum("npc,np,nc->n", flat, places, channels)
        return chosen * values, ()

    return score


def _one_hot(numbers: NDArray[Any], extent: Sequence[int]) -> NDArray[np.float32]:
    result = np.zeros((len(numbers), int(np.prod(extent))), np.float32)
    result[np.arange(len(numbers)), numbers] = 1
    return result


def _exhibit(
    study: Study,
    rule: ReluRule,
    call: CircuitCall,
    unit: int,
    names: Sequence[str],
    pixels: NDArray[Any],
    maps: NDArray[Any],
    most: Strongest,
) -> Exhibit:
    """Return patches and their projections."""
    windows = [
        _window(study.subject, call, np.unravel_index(place, call.shape[:-1] or (1,)))
        for place in most.places
    ]
    limits = study.subject.range or (float(pixels.min()), float(pixels.max()))
    grey = sum(limits) / 2
    patches = np.stack([_cut(*each, grey) for each in zip(pixels, windows, strict=True)])
    parts = np.stack([_cut(*each, 0.0) for each in zip(maps, windows, strict=True)])
    extent = "x".join(map(str, patches.shape[1:-1]))
    facts: dict[str, FactValue] = {
        "layer": call.name,
        "unit": unit,
        "receptive field": extent,
        "activations": [float(value) for value in most.values],
    }
    tiles = [f"{value:.3g}  {name}" for value, name in zip(most.values, names, strict=True)]
    grid: dict[str, Any] = {"tiles": tiles, "columns": 3}
    is_over = any(
        first < 0 or last >= extent
        for window in windows
        for extent, (first, last) in zip(pixels.shape[1:-1], window, strict=True)
    )
    outside = {"outside the image": "grey"} if is_over else {}
    shown = Picture("patches", "patches", patches, "pixels", outside, limits, **grid)
    projected = _signed(rule, f"{rule} projections", parts, own_scale="tile", **grid)
    return Exhibit(
        f"{call.name} unit {unit}",
        f"excited most by {', '.join(names[:3])} (up to {most.values[0]:.3g}); {extent} pixels",
        [shown, projected],
        facts,
    )


def _window(subject: Subject, call: CircuitCall, place: Sequence[Any]) -> tuple[PixelRange, ...]:
    """Return the pixels that a value depends on, all of an axis where it depends on as many."""
    extents = subject.shape[:-1]
    windows = (
        seen(subject.circuit, call.name, [int(at) for at in place]) if call.shape[:-1] else None
    )
    return tuple(
        (0, extent - 1) if last - first + 1 >= extent else (first, last)
        for extent, (first, last) in zip(
            extents, windows or [(0, extent - 1) for extent in extents], strict=True
        )
    )


def _cut(values: NDArray[Any], window: Sequence[PixelRange], fill: float) -> NDArray[Any]:
    """Return a part of an image, with `fill` beyond its border."""
    result = np.full([*(last - first + 1 for first, last in window), values.shape[-1]], fill)
    into, of = [], []
    for extent, (first, last) in zip(values.shape, window, strict=False):
        low, high = max(first, 0), min(last, extent - 1)
        into.append(slice(low - first, high - first + 1))
        of.append(slice(low, high + 1))
    result[tuple(into)] = values[tuple(of)]
    return result
