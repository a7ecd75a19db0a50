"""Activations: feature maps of layers, and units that no image of a data set activates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Unpack

from archspec.errors import UsageError
from archspec.explain.circuit import Circuit, CircuitCall
from archspec.explain.gallery import Exhibit, Gallery, Picture, Table
from archspec.explain.gradient import compiled
from archspec.explain.method import Allowed, method
from archspec.explain.samples import ImagesLike, Samples
from archspec.explain.study import Common, Study
from archspec.explain.subject import Explainable, batched
from archspec.explain.unit_activity import UnitActivity, activations_of, measure
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIRST: Final = 2
"""Default number of first layers that are shown, beside the last one that has maps."""

SHOWN: Final = 256
"""Largest number of channels of a layer that are shown."""

LISTED: Final = 12
"""Largest number of dead channels that a row of the table names."""


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
    """Return feature maps of layers, and the units that no image activates.

    The map of a channel is its output at each position, after the activation. With `dead=True`, all
    images of the part of the data are run as well: a unit behind a ReLU is dead if its largest
    output over all of them is 0, and a channel if all of its units are, so that it gets no
    gradient. Units of a leaky ReLU, ELU or swish cannot be dead. An output of tanh or sigmoid is
    saturated within 0.5 % of its range from a bound.

    Args:
        run: a run, its folder, a model file, a Keras model, or a spec.
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


def default_layers(circuit: Circuit) -> list[CircuitCall]:
    """Return the first activations that have maps and the last one, or else all layers."""
    calls = activations_of(circuit) or [call for call in circuit.calls.values() if call.weights]
    maps = [call for call in calls if len(call.shape) > 1]
    return [*maps[:FIRST], *maps[FIRST:][-1:]] or list(calls)


def _maps(study: Study, chosen: Sequence[CircuitCall], scale: str) -> Iterator[Exhibit]:
    """Yield an exhibit for each image."""
    subject, samples = study.subject, study.samples
    names = [call.name for call in chosen]
    function = subject.once(
        ("activations", *names),
        lambda: compiled(
            subject.circuit, lambda pixels: dict(subject.run(pixels, watch=names).after)
        ),
    )
    for numbers, pixels in samples.batches(study.batch):
        (outputs,) = batched(function, study.batch, pixels)
        scores = subject.scores(pixels, study.batch)
        for at, number in enumerate(numbers):
            pictures = [picture(call, outputs[call.name][at], scale) for call in chosen]
            # A network that is not a classifier has maps too.
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


def picture(call: CircuitCall, values: NDArray[Any], scale: str) -> Picture:
    """Return a layer's output for one image: a grid of its channels, or a strip of its units."""
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
    if values.ndim == 2:  # a signal: a row for each channel, time to the right
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
    """Return the activity of the units over the whole part of the data."""
    samples = study.samples
    if samples.part:
        samples = study.load(samples.part, most=None)
    calls = activations_of(study.subject.circuit)
    if not calls:
        raise UsageError(
            f"{study.subject.name} has no activations but those of its scores: no unit of it can "
            "be dead or saturated; leave out `dead=True`"
        )
    activities = measure(study.subject, calls, samples, study.batch, study.tick)
    dead = {
        each.call.name: len(each.dead_channels)
        for each in activities
        if each.dead_channels is not None
    }
    saturated = {
        each.call.name: float(each.saturated.mean())
        for each in activities
        if each.saturated is not None
    }
    facts: dict[str, Any] = {"images": len(samples)}
    lines = []
    if dead:
        count = sum(len(each.maxima) for each in activities if each.call.name in dead)
        facts["dead"] = sum(dead.values())
        by_layer = ", ".join(f"{name} {number}" for name, number in dead.items())
        lines.append(f"{facts['dead']} of {count} channels behind ReLUs dead ({by_layer})")
    if saturated:
        facts["saturated"] = sum(saturated.values()) / len(saturated)
        by_layer = ", ".join(f"{name} {share:.1%}" for name, share in saturated.items())
        lines.append(f"outputs saturated: {by_layer}")
    if not lines:
        lines.append("no unit can be dead or saturated: there is neither a ReLU nor a bound")
    summary = f"{len(samples):,} images: {'; '.join(lines)}"
    tables = [_layers(activities), _channels(activities, samples)]
    return Exhibit(samples.where or "all images", summary, tables, facts)


def _layers(activities: Sequence[UnitActivity]) -> Table:
    """Return a row for each activation."""
    rows: list[dict[str, Any]] = []
    for each in activities:
        dead, channels = each.dead_channels, len(each.maxima)
        listed = [] if dead is None else [str(number) for number in dead[:LISTED]]
        if dead is not None and len(dead) > LISTED:
            listed.append(f"and {len(dead) - LISTED} more")
        row = {
            "layer": each.call.name,
            "activation": each.call.activation,
            "shape": "x".join(map(str, each.call.shape)),
            "channels": channels,
            "dead channels": None if dead is None else len(dead),
            "share of channels dead": None if dead is None else len(dead) / channels,
            "share of units dead": each.dead_units,
            "saturated": None if each.saturated is None else float(each.saturated.mean()),
            "largest": float(each.maxima.max()),
            "which are dead": ", ".join(listed),
        }
        rows.append(row)
    return Table.of_rows("layers", "activations over all images", rows)


def _channels(activities: Sequence[UnitActivity], samples: Samples) -> Table:
    """Return a row for each channel, where a unit of a fully connected layer is a channel."""
    rows: list[dict[str, Any]] = []
    for each in activities:
        silent = (each.unit_maxima <= 0).reshape(-1, len(each.maxima)).mean(axis=0)
        can_die = each.call.rectifier is not None
        for channel, largest in enumerate(each.maxima):
            row = {
                "layer": each.call.name,
                "channel": channel,
                "largest": float(largest),
                "image": samples.names[each.strongest[channel]],
                "dead": bool(largest <= 0) if can_die else None,
                "share of units dead": float(silent[channel]) if can_die else None,
                "saturated": None if each.saturated is None else float(each.saturated[channel]),
            }
            rows.append(row)
    return Table.of_rows("units", "largest activation of each channel, and its image", rows)
