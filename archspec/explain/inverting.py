"""Search for images that have given features at a layer: see `invert`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from archspec.explain.circuit import AnyTensor, Circuit
from archspec.explain.gradient import TensorFunction, compiled, derivative, repeated
from archspec.explain.image_search import Canvas, descended, stretches, total_variation
from archspec.explain.nonlinearity import ENDS, PASSING
from archspec.explain.study import Study
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LAYERS: Final = 6
"""Number of layers whose features are inverted by default."""

SAME_FEATURES: Final = 0.02
"""Relative error of features below which they count as equal."""

OTHER_IMAGE: Final = 0.05
"""Root mean square difference, as a share of the range, above which images differ."""


def spread(circuit: Circuit, most: int = LAYERS) -> list[str]:
    """Return a few layers over the depth of a network: activations, pools, and the scores."""
    last = circuit[circuit.scores]
    if last.activation in ENDS and not last.fused:
        last = circuit[last.inputs[0]]
    others = [
        call.name
        for call in circuit.used
        if (call.activation and call.activation not in PASSING) or "Pool" in call.kind
        if call.name not in {last.name, circuit.scores}
    ]
    result = [*others, last.name]
    most = min(most, len(result))
    places = [round(at * (len(result) - 1) / max(most - 1, 1)) for at in range(most)]
    return [result[place] for place in places]


@dataclass(frozen=True, eq=False)
class InvertedImage:
    """An image that was reconstructed from features."""

    layer: str
    pixels: NDArray[Any]
    features: float | None
    """|f(x) - f(x0)| / |f(x0)|; None where all features of the image are 0."""
    difference: float
    """Root mean square difference of the pixels, as a share of the range."""

    @property
    def is_another(self) -> bool:
        """Whether the image is another one with the same features."""
        same = self.features is not None and self.features < SAME_FEATURES
        return same and self.difference > OTHER_IMAGE


@dataclass(frozen=True, eq=False)
class Inversion:
    """The descent to images that have given features at a layer."""

    study: Study
    canvas: Canvas
    layer: str
    tv: float
    beta: float
    norm: float
    alpha: float
    steps: int
    rate: float

    def _features(self, u: AnyTensor) -> AnyTensor:
        """Return (n, numbers) outputs of the layer, or the scores at the last layer."""
        subject = self.study.subject
        ops = subject.keras.ops
        values = subject.run(self.canvas.tensor_of_pixels(ops, u), watch={self.layer})
        is_last = self.layer == subject.circuit.scores
        result = (values.before if is_last else values.after)[self.layer]
        return ops.cast(ops.reshape(result, (u.shape[0], -1)), "float32")

    @cached_property
    def _wanted(self) -> TensorFunction:
        return compiled(self.study.subject.circuit, self._features)

    @cached_property
    def _descend(self) -> TensorFunction:
        """Function (first, last, (u, moments), features, their squares) -> state."""
        keras, canvas = self.study.subject.keras, self.canvas
        ops = keras.ops

        def loss(
            u: AnyTensor, wanted: AnyTensor, squares: AnyTensor
        ) -> tuple[AnyTensor, tuple[()]]:
            error = ops.sum(ops.square(self._features(u) - wanted), axis=-1) / squares
            if self.tv:
                error = error + self.tv * total_variation(ops, u, self.beta)
            if self.norm:
                powers = ops.power(ops.abs(u), self.alpha)
                error = error + self.norm * ops.sum(powers, axis=tuple(range(1, u.ndim)))
            return error, ()

        def step(number: AnyTensor, state: Any, wanted: AnyTensor, squares: AnyTensor) -> Any:
            slope, _ = derivative(keras, loss, state[0], wanted, squares)
            u, *moments = descended(ops, number, self.steps, state, slope, self.rate)
            return canvas.clipped(ops, u), *moments

        return repeated(self.study.subject.circuit, step)

    def images(
        self, pixels: NDArray[Any], start: str, done: int, total: int
    ) -> list[InvertedImage]:
        """Return an image that is reconstructed from the features of each.

        Raise `UsageError` if the features are not finite.
        """
        canvas, study = self.canvas, self.study
        wanted = self._wanted(canvas.u(pixels))
        study.subject.check_finite(wanted, self.layer)
        squares = np.square(wanted).sum(axis=1)
        u = np.stack([canvas.start(start, study.seed)] * len(pixels))
        nothing = np.zeros_like(u)
        state = (u, nothing, nothing)
        for first, last in stretches(self.steps):
            state = self._descend(first, last, state, wanted, np.where(squares > 0, squares, 1))
            study.tick(done + last, total)
        errors = np.sqrt(np.square(self._wanted(state[0]) - wanted).sum(axis=1))
        made = canvas.pixels(state[0])
        apart = np.square(state[0] - canvas.u(pixels)).reshape(len(pixels), -1)
        return [
            InvertedImage(
                self.layer,
                made[row],
                float(errors[row] / np.sqrt(squares[row])) if squares[row] else None,
                float(np.sqrt(apart[row].mean())),
            )
            for row in range(len(pixels))
        ]
