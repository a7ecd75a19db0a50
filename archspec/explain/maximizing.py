"""Search for images that maximise a class's score or a unit's value: see `maximize`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from archspec.errors import UsageError
from archspec.explain.circuit import AnyTensor, CircuitCall, Trace
from archspec.explain.gradient import TensorFunction, compiled, derivative, repeated
from archspec.explain.image_search import (
    Canvas,
    blurred,
    descended,
    rolled,
    stretches,
    total_variation,
)
from archspec.explain.study import Study
from archspec.explain.subject import Subject, batched
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST: Final = 20
"""Largest number of classes, or units of a layer, where none are named."""


def check_choice(target: Any, layer: Any, unit: Any) -> None:
    """Check that either a class is named, or a layer and perhaps a unit.

    Raise `UsageError` if both are named, or a unit without a layer.
    """
    if unit is not None and layer is None:
        raise UsageError("`unit=` is a unit of a layer: name it with `layer=`")
    if target is not None and layer is not None:
        raise UsageError("name either a class with `target=`, or a `layer=`, not both")


def check_unit(call: CircuitCall, unit: int) -> None:
    """Raise `UsageError` unless a layer has a unit of this number."""
    count = call.shape[-1] if call.shape else 1
    if unit >= count:
        raise UsageError(f"`unit={unit}`: {call.name} has {count} units, 0 to {count - 1}")


@dataclass(frozen=True, eq=False)
class Goal:
    """The classes of a network, or the units of a layer, before their activation."""

    subject: Subject
    call: str
    """Call whose value before its activation is maximised."""
    layer: str | None
    """Layer as the user names it; None for classes."""
    at: str
    """Value of a channel: the `mean` of its map, or its `centre`."""

    @classmethod
    def of(cls, subject: Subject, layer: str | None, at: str) -> Goal:
        """Return the units of a layer, or the classes.

        Raise `UsageError` if there is no such layer, or the network is not a classifier.
        """
        if layer is not None:
            return cls(subject, subject.layer(layer).name, layer, at)
        _ = subject.class_names
        return cls(subject, subject.circuit.scores, None, at)

    def chosen(
        self, target: str | int | Sequence[str] | None, unit: int | Sequence[int] | None
    ) -> tuple[list[int], list[str]]:
        """Return the numbers of the classes or units, and notes.

        Raise `UsageError` if there is no such class or unit, or too many classes to take all.
        """
        if self.layer is None:
            return self._classes(target), []
        count = self.subject.circuit[self.call].shape[-1]
        if unit is None:
            few = f"the first {MOST} of {count} units of {self.layer}; `unit=` names another"
            return list(range(min(count, MOST))), [few] if count > MOST else []
        units = [unit] if isinstance(unit, int) else list(dict.fromkeys(unit))
        check_unit(self.subject.circuit[self.call], max(units))
        return units, []

    def _classes(self, target: str | int | Sequence[str] | None) -> list[int]:
        subject = self.subject
        if target is None:
            count = len(subject.class_names)
            if count > MOST:
                raise UsageError(f"{subject.name} has {count} classes: name some with `target=`")
            return list(range(count))
        given = [target] if isinstance(target, (str, int)) else target
        return list(dict.fromkeys(subject.class_index(each) for each in given))

    def name(self, number: int) -> str:
        """Return the name of a class or unit."""
        if self.layer is None:
            return f"class {self.subject.class_names[number]}"
        return f"{self.layer}, unit {number}"

    def values(self, values: Trace) -> AnyTensor:
        """Return (n, units) values of a run that watched `call`."""
        ops = self.subject.keras.ops
        result = ops.cast(values.before[self.call], "float32")
        axes = tuple(range(1, len(result.shape) - 1))
        if self.at == "mean":
            return ops.mean(result, axis=axes) if axes else result
        return result[(slice(None), *(extent // 2 for extent in result.shape[1:-1]))]

    @cached_property
    def _measure(self) -> Callable[..., Any]:
        def function(pixels: AnyTensor) -> AnyTensor:
            return self.values(self.subject.run(pixels, watch={self.call}))

        return compiled(self.subject.circuit, function)

    def measured(self, pixels: NDArray[Any], batch: int) -> NDArray[np.float64]:
        """Return (n, units) values of raw pixels; raise `UsageError` if they are not finite."""
        result = np.concatenate(list(batched(self._measure, batch, pixels))).astype(np.float64)
        self.subject.check_finite(result, self.layer or "")
        return result


@dataclass(frozen=True, eq=False)
class BestImage:
    """The real image with the largest value of a class or unit."""

    name: str
    score: float
    pixels: NDArray[Any]


def best_images(study: Study, goal: Goal, numbers: Sequence[int]) -> dict[int, BestImage]:
    """Return the best image of a study for each class or unit."""
    result: dict[int, BestImage] = {}
    samples = study.all_samples
    for rows, pixels in samples.batches():
        scores = goal.measured(pixels, study.batch)
        for number in numbers:
            row = int(scores[:, number].argmax())
            best = result.get(number)
            if best is None or scores[row, number] > best.score:
                name = samples.names[rows[row]]
                result[number] = BestImage(name, float(scores[row, number]), pixels[row])
    return result


BLUR_EVERY: Final = 4
"""Number of steps from one blur to the next."""


@dataclass(frozen=True, eq=False)
class MaximizedImage:
    """The result of a search."""

    pixels: NDArray[Any]
    seed: int
    score: float
    shares: NDArray[Any] | None
    """Probabilities of the classes, if the network is a classifier."""
    has_slope: bool
    """Whether the gradient was other than 0 at any step."""


@dataclass(frozen=True, eq=False)
class Maximization:
    """Gradient ascent to images that maximise units."""

    goal: Goal
    canvas: Canvas
    steps: int
    rate: float
    l2: float
    tv: float
    jitter: int
    blur: float
    start: str

    @cached_property
    def _climb(self) -> TensorFunction:
        """Function (first, last, (u, moments, steepest), wanted, shifts) -> state."""
        subject, canvas, goal = self.goal.subject, self.canvas, self.goal
        ops = subject.keras.ops

        def score(u: AnyTensor, wanted: AnyTensor) -> tuple[AnyTensor, tuple[()]]:
            values = subject.run(canvas.tensor_of_pixels(ops, u), watch={goal.call})
            return ops.sum(goal.values(values) * wanted, axis=-1), ()

        def prior(u: AnyTensor) -> tuple[AnyTensor, tuple[()]]:
            squares = ops.sum(ops.square(u), axis=tuple(range(1, u.ndim)))
            return self.l2 * squares + self.tv * total_variation(ops, u), ()

        def step(number: AnyTensor, state: Any, wanted: AnyTensor, shifts: AnyTensor) -> Any:
            u, first, second, steepest = state
            shift = shifts[number]
            # The gradient is moved back, or the image would drift away.
            upward, _ = derivative(subject.keras, score, rolled(ops, u, shift), wanted)
            downward, _ = derivative(subject.keras, prior, u)
            slope = downward - rolled(ops, upward, -shift)
            steepest = ops.maximum(steepest, ops.max(ops.abs(upward), axis=tuple(range(1, u.ndim))))
            u, first, second = descended(
                ops, number, self.steps, (u, first, second), slope, self.rate
            )
            if self.blur:
                due = ops.equal(ops.mod(number + 1, BLUR_EVERY), 0)
                u = ops.where(due, blurred(ops, u, self.blur), u)
            return canvas.clipped(ops, u), first, second, steepest

        return repeated(subject.circuit, step)

    def images(
        self, study: Study, numbers: Sequence[int], seed: int, done: int, total: int
    ) -> list[MaximizedImage]:
        """Return an image for each class or unit, from the start of one seed."""
        goal, canvas = self.goal, self.canvas
        units = goal.subject.circuit[goal.call].shape[-1]
        wanted = np.eye(units, dtype=np.float32)[list(numbers)]
        start = np.stack([canvas.start(self.start, seed)] * len(numbers))
        axes = max(len(canvas.shape) - 1, 1)
        shifts = np.random.default_rng((seed, 1)).integers(
            -self.jitter, self.jitter + 1, (self.steps, axes), dtype=np.int32
        )
        nothing = np.zeros_like(start)
        state = (start, nothing, nothing, np.zeros(len(numbers), np.float32))
        for first, last in stretches(self.steps):
            state = self._climb(first, last, state, wanted, shifts)
            study.tick(done + last, total)
        pixels = canvas.pixels(state[0])
        scores = goal.measured(pixels, study.batch)
        shares: Any = [None] * len(numbers)
        if goal.subject.network.classes:
            shares = goal.subject.probabilities(goal.subject.scores(pixels, study.batch))
        return [
            MaximizedImage(
                pixels[row], seed, float(scores[row, number]), shares[row], state[3][row] > 0
            )
            for row, number in enumerate(numbers)
        ]
