"""The ascent to an image that a class, or a unit of a layer, answers to most (see `maximize`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from archspec.explain.canvas import Canvas, blurred, descended, rolled, stretches, total_variation
from archspec.explain.circuit import Tensor
from archspec.explain.goal import Goal
from archspec.explain.gradient import Function, derivative, repeated
from archspec.explain.study import Study

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLUR_EVERY: Final = 4
"""Steps from one blur to the next."""


@dataclass(frozen=True, eq=False)
class Made:
    """An image that a search has made."""

    pixels: NDArray[Any]
    seed: int
    score: float
    shares: NDArray[Any] | None
    """Probabilities of the classes, where there are any."""
    has_slope: bool
    """Whether anything could be climbed: False where the gradient was 0 all the way."""


@dataclass(frozen=True, eq=False)
class Search:
    """The climb to an image that units answer to."""

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
    def _climb(self) -> Function:
        """(first, last, (u, moments, steepest), wanted, shifts) -> the state after these steps."""
        subject, canvas, goal = self.goal.subject, self.canvas, self.goal
        ops = subject.keras.ops

        def score(u: Tensor, wanted: Tensor) -> tuple[Tensor, tuple[()]]:
            values = subject.run(canvas.tensor_of_pixels(ops, u), watch={goal.call})
            return ops.sum(goal.values(values) * wanted, axis=-1), ()

        def prior(u: Tensor) -> tuple[Tensor, tuple[()]]:
            squares = ops.sum(ops.square(u), axis=tuple(range(1, u.ndim)))
            return self.l2 * squares + self.tv * total_variation(ops, u), ()

        def step(number: Tensor, state: Any, wanted: Tensor, shifts: Tensor) -> Any:
            u, first, second, steepest = state
            shift = shifts[number]
            # Moved back after the step: else the image would drift away, step by step.
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
    ) -> list[Made]:
        """Make an image for each class or unit, all from the start of one seed."""
        import numpy as np  # noqa: PLC0415

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
            Made(pixels[row], seed, float(scores[row, number]), shares[row], state[3][row] > 0)
            for row, number in enumerate(numbers)
        ]
