"""Activations: the maps of layers for images, and the units that no image of a data set reaches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Unpack

from archspec.errors import UsageError
from archspec.explain.circuit import Circuit, LayerCall
from archspec.explain.gallery import Exhibit, Gallery, Picture, Table
from archspec.explain.gradient import compiled
from archspec.explain.method import Allowed, method
from archspec.explain.samples import ImagesLike, Samples
from archspec.explain.study import Common, Study
from archspec.explain.subject import Explainable, batched
from archspec.explain.unit_activity import UnitActivity, activations_of, measure

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIRST: Final = 2
"""How many of the first layers are shown where none are named, beside the last one with places."""

SHOWN: Final = 256
"""How many channels of a layer are shown, at most."""

LISTED: Final = 12
"""How many dead channels of a layer a row of the table names."""


@method
def activations(
    run: Explainable,
    images: ImagesLike = None,
    *,
    layer: Annotated[Sequence[str] | None, Allowed(metavar="LAYER")] = None,
    scale: Annotated[str, Allowed(words=("layer", "channel"))] = "layer",
    dead: bool = False,
    **common: Unpack[Common],
) -> Gallery:
    """Return what chosen layers make of images, and which units no image reaches.

    A map of a channel is what the layer puts out at each place, after its activation. With
    `dead=True`, all images of the part of the data are run as well: a unit behind a ReLU is dead
    where its largest output over all of them is 0, and a channel where all of its units are, so
    that no gradient reaches it. A unit of a leaky ReLU, ELU or swish is never called dead. An
    output of tanh or sigmoid is saturated within 0.5 % of its range from a bound.

    Args:
        run: a run, its folder, a .keras file, a Keras model, or a spec.
        images: files, folders, arrays, or images of the data such as `test:0-3`.
        layer: a layer, or a block for its last layer; by default the first two activations that
            have maps, and the last one.
        scale: `layer`: all channels of a layer are on one scale, up to its largest absolute output
            for the image; `channel`: each is on a scale of its own.
        dead: whether to count dead and saturated units over all images of the part of the data that
            the images are of, or over all images, where they are files or arrays.
        **common: `normalize`, `white`, `data`, `batch`, `seed`, `progress`: see `Common`.

    Returns:
        A gallery with an exhibit for each image, whose pictures hold (channels, height, width)
        maps, or (units,); with `dead` one more, whose tables are `layers` and `units`.

    Raises:
        UsageError: there is no such run, image or layer, or the network's outputs are not finite.

    Example:
        >>> activations("runs/digits", "test:0", layer="conv1")[0].items[1].values.shape
        (16, 32, 32)

    """
    study = Study.open(run, images, **common)
    circuit = study.subject.circuit
    chosen = [circuit.find(name) for name in layer] if layer else default_layers(circuit)

    def exhibits() -> Iterator[Exhibit]:
        yield from _maps(study, chosen, scale)
        if dead:
            yield _units(study)

    return study.gallery(exhibits(), layer=[call.name for call in chosen])


def default_layers(circuit: Circuit) -> list[LayerCall]:
    """The first activations that have places and the last one; without any, all layers' outputs."""
    calls = activations_of(circuit) or [call for call in circuit.calls.values() if call.weights]
    maps = [call for call in calls if len(call.shape) > 1]
    return [*maps[:FIRST], *maps[FIRST:][-1:]] or list(calls)


def _maps(study: Study, chosen: Sequence[LayerCall], scale: str) -> Iterator[Exhibit]:
    """An exhibit for each image."""
    subject, samples = study.subject, study.samples
    names = [call.name for call in chosen]
    function = compiled(
        subject.circuit, lambda pixels: dict(subject.run(pixels, watch=names).after)
    )
    for numbers, pixels in samples.batches(study.batch):
        (outputs,) = batched(function, study.batch, pixels)
        scores = subject.scores(pixels, study.batch)
        for at, number in enumerate(numbers):
            pictures = [picture(call, outputs[call.name][at], scale) for call in chosen]
            # A network that tells no classes apart has maps all the same.
            known = subject.network.classes
            facts = study.facts_of(scores[at], int(scores[at].argmax())) if known else {}
            result = f"maps of {', '.join(names)}"
            if facts:
                result += f"; class {facts['class']}, probability {facts['probability']:.1%}"
            yield Exhibit(
                samples.names[number],
                result,
                [study.picture_of(pixels[at]), *pictures],
                facts,
            )
        study.tick(int(numbers[-1]) + 1, len(samples))


def picture(call: LayerCall, values: NDArray[Any], scale: str) -> Picture:
    """What a layer puts out for one image: a grid of its channels, or a strip of its units."""
    import numpy as np  # noqa: PLC0415

    values = values.astype(np.float32)
    look: Any = "signed" if (values < 0).any() else "positive"
    most = float(np.abs(values).max(initial=0.0)) or 1.0
    limits = (-most if look == "signed" else 0.0, most)
    stem = call.name.replace("/", "-").replace(":", "-")
    channels = values.shape[-1]
    title = f"{call.name}: {channels} {'channels' if values.ndim > 1 else 'units'}"
    facts: dict[str, Any] = {"largest": float(values.max(initial=0.0))}
    if call.rectifier:
        silent = (values <= 0).reshape(-1, channels).all(axis=0).sum()
        facts["silent"] = f"{silent} of {channels}"
    if values.ndim == 1:
        return Picture(stem, title, values, look, facts, limits)
    maps = np.moveaxis(values, -1, 0)
    title += f" of {'x'.join(map(str, maps.shape[1:]))}"
    if values.ndim == 2:  # a signal: a row for each channel, as time runs to the right
        return Picture(stem, f"{title}, one below the other", maps, look, facts, limits)
    kept = np.arange(channels)
    if channels > SHOWN:
        peaks = np.abs(maps).reshape(channels, -1).max(axis=1)
        kept = np.sort(np.argsort(-peaks, kind="stable")[:SHOWN])
        title += f", the {SHOWN} strongest"
    return Picture(
        stem,
        title,
        maps[kept],
        look,
        facts,
        limits,
        tiles=[str(number) for number in kept],
        own_scale="tile" if scale == "channel" else None,
    )


def _units(study: Study) -> Exhibit:
    """What the units do over the whole part of the data."""
    samples = study.samples
    if samples.part:
        samples = study.load(samples.part, most=None)
    calls = activations_of(study.subject.circuit)
    if not calls:
        raise UsageError(
            f"{study.subject.name} has no activations but those of its scores: no unit of it can "
            "be dead or saturated; leave out `dead=True`"
        )
    result = measure(study.subject, calls, samples, study.batch, study.tick)
    where = samples.where or "all images"
    dying = [each for each in result if each.dead_channels is not None]
    bounded = [each.saturated.mean() for each in result if each.saturated is not None]
    facts: dict[str, Any] = {"images": len(samples)}
    lines = []
    if dying:
        count = sum(len(each.maxima) for each in dying)
        facts["dead"] = sum(map(_dead_count, dying))
        where_dead = ", ".join(f"{each.call.name} {_dead_count(each)}" for each in dying)
        lines.append(f"{facts['dead']} of {count} channels behind ReLUs dead ({where_dead})")
    if bounded:
        facts["saturated"] = float(sum(bounded) / len(bounded))
        by_layer = ", ".join(
            f"{each.call.name} {each.saturated.mean():.1%}"
            for each in result
            if each.saturated is not None
        )
        lines.append(f"outputs saturated: {by_layer}")
    if not lines:
        lines.append("no unit can be dead or saturated: there is neither a ReLU nor a bound")
    summary = f"{len(samples):,} images: {'; '.join(lines)}"
    return Exhibit(where, summary, [_layers(result), _rows(result, samples)], facts)


def _dead_count(activity: UnitActivity) -> int:
    channels = activity.dead_channels
    return 0 if channels is None else len(channels)


def _layers(result: Sequence[UnitActivity]) -> Table:
    """A row for each activation."""
    columns = [
        "layer",
        "activation",
        "shape",
        "channels",
        "dead channels",
        "share of channels dead",
        "share of units dead",
        "saturated",
        "largest",
        "which are dead",
    ]
    rows = []
    for each in result:
        dead = each.dead_channels
        listed = [] if dead is None else [str(number) for number in dead[:LISTED]]
        if dead is not None and len(dead) > LISTED:
            listed.append(f"and {len(dead) - LISTED} more")
        rows.append(
            [
                each.call.name,
                each.call.activation,
                "x".join(map(str, each.call.shape)),
                len(each.maxima),
                None if dead is None else len(dead),
                None if dead is None else len(dead) / len(each.maxima),
                each.dead_units,
                None if each.saturated is None else float(each.saturated.mean()),
                float(each.maxima.max()),
                ", ".join(listed),
            ]
        )
    return Table("layers", "activations over all images", columns, rows)


def _rows(result: Sequence[UnitActivity], samples: Samples) -> Table:
    """A row for each channel: the units of a fully connected layer are its channels."""
    columns = [
        "layer",
        "channel",
        "largest",
        "image",
        "dead",
        "share of units dead",
        "saturated",
    ]
    rows: list[list[Any]] = []
    for each in result:
        silent = (each.unit_maxima <= 0).reshape(-1, len(each.maxima)).mean(axis=0)
        can_die = each.call.rectifier is not None
        for channel, largest in enumerate(each.maxima):
            rows.append(
                [
                    each.call.name,
                    channel,
                    float(largest),
                    samples.names[each.strongest[channel]],
                    bool(largest <= 0) if can_die else None,
                    float(silent[channel]) if can_die else None,
                    None if each.saturated is None else float(each.saturated[channel]),
                ]
            )
    return Table("units", "largest activation of each channel, and its image", columns, rows)
