"""Units of a network over a whole data set: which never fire, which are saturated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archspec.explain.circuit import AnyTensor, Circuit, CircuitCall
from archspec.explain.gradient import compiled
from archspec.explain.nonlinearity import ENDS, PASSING
from archspec.explain.samples import Samples
from archspec.explain.study import Tick
from archspec.explain.subject import Subject
from archspec.lazy import np
from archspec.training.activity import BOUNDS, dead, linear_range

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class UnitActivity:
    """Outputs of the units of one activation over all images of a data set."""

    call: CircuitCall
    maxima: NDArray[Any]
    """(channels,) largest output of each channel, over all images and positions."""
    strongest: NDArray[Any]
    """(channels,) number of the image with that output."""
    unit_maxima: NDArray[Any]
    """Largest output of each unit, in the shape of the activation's output."""
    saturated: NDArray[Any] | None
    """(channels,) share of outputs within 0.5 % of a bound; None without bounds."""

    @property
    def dead_channels(self) -> NDArray[Any] | None:
        """Numbers of the channels that are 0 everywhere; None where a unit cannot die."""
        return np.flatnonzero(self.maxima <= 0) if self.call.rectifier else None

    @property
    def dead_units(self) -> float | None:
        """Share of the units that are 0 for every image; None where a unit cannot die."""
        return dead(self.unit_maxima) if self.call.rectifier else None


def activations_of(circuit: Circuit) -> tuple[CircuitCall, ...]:
    """Return the calls whose outputs are activations of units, without the probabilities."""
    return tuple(
        call
        for call in circuit.used
        if call.activation not in {None, *PASSING}
        and not (call.name == circuit.scores and call.activation in ENDS)
    )


def measure(
    subject: Subject, calls: Sequence[CircuitCall], samples: Samples, batch: int, tick: Tick
) -> list[UnitActivity]:
    """Run the network on all images, and return the outputs of some activations' units.

    Outputs of `batch` images are in memory at a time, and `tick` gets the progress after each
    batch. Raises `UsageError` if they are not finite.
    """
    function = compiled(subject.circuit, lambda pixels: _reduced(subject, calls, pixels))
    batch = min(batch, len(samples))
    peaks: dict[str, list[Any]] = {call.name: [] for call in calls}
    saturated: dict[str, Any] = {}
    unit_maxima: dict[str, Any] = {}
    for numbers, pixels in samples.batches(batch):
        # A shorter last batch is filled up with its own images, to be compiled once.
        filled = np.resize(pixels, (batch, *pixels.shape[1:]))
        for name, (maxima, peak, *outside) in function(filled).items():
            peaks[name].append(peak[: len(pixels)])
            unit_maxima[name] = np.maximum(unit_maxima.get(name, maxima), maxima)
            for share in outside:
                total = share[: len(pixels)].sum(axis=0, dtype=float)
                saturated[name] = saturated.get(name, 0.0) + total
        tick(int(numbers[-1]) + 1, len(samples))
    result = []
    for call in calls:
        largest = np.concatenate(peaks[call.name])
        subject.check_finite(largest, call.name)
        activity = UnitActivity(
            call=call,
            maxima=largest.max(axis=0),
            strongest=largest.argmax(axis=0),
            unit_maxima=unit_maxima[call.name],
            saturated=saturated[call.name] / len(largest) if call.name in saturated else None,
        )
        result.append(activity)
    return result


def _reduced(subject: Subject, calls: Sequence[CircuitCall], pixels: AnyTensor) -> dict[str, Any]:
    """Reduce each activation on the device.

    Return the largest output of each unit, (*shape), and of each image and channel, (n, channels);
    with bounds, also the share of saturated outputs of each image and channel.
    """
    ops = subject.keras.ops
    values = subject.run(pixels, watch=[call.name for call in calls])
    result = {}
    for call in calls:
        output = ops.cast(values.after[call.name], "float32")
        places = tuple(range(1, len(output.shape) - 1))
        kept = [ops.max(output, axis=0), ops.max(output, axis=places) if places else output]
        if call.activation in BOUNDS:
            low, high = linear_range(call.activation)
            outside = ops.cast(ops.logical_or(output < low, output > high), "float32")
            kept.append(ops.mean(outside, axis=places) if places else outside)
        result[call.name] = tuple(kept)
    return result
