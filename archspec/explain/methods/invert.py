"""Inversion: an image made of nothing but the features that a layer has of another one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Unpack

from archspec.explain.activation import ENDS, PASSING
from archspec.explain.canvas import STARTS, Canvas, descended, stretches, total_variation
from archspec.explain.circuit import Circuit, Tensor
from archspec.explain.gallery import Exhibit, Gallery, Item, Value
from archspec.explain.gradient import Function, compiled, derivative, repeated
from archspec.explain.method import Option, method
from archspec.explain.samples import Images
from archspec.explain.study import Common, Study
from archspec.explain.subject import Explainable

if TYPE_CHECKING:
    from numpy.typing import NDArray

LAYERS: Final = 6
"""Layers whose features are inverted, where none are named."""

SAME_FEATURES: Final = 0.02
"""Relative error of features below which they are taken for those of the image."""

OTHER_IMAGE: Final = 0.05
"""Root mean square difference, as a share of the range, above which it is another image."""


@method(
    layer=Option(
        "A layer, or a block's name for its last layer; may be given several times.  "
        "[6 over the network]",
        several=True,
        metavar="LAYER",
    ),
    steps=Option("Steps of the search.", "whole", least=1, most=100_000),
    rate=Option("Length of the first steps, as a share of the range.", "number", least=1e-6),
    tv=Option("Weight of the total variation.", "number", least=0),
    beta=Option("Power of the total variation: 2 smooths, 1 keeps edges.", "number", 0.5, 4),
    norm=Option("Weight of the norm of the image.", "number", least=0),
    alpha=Option("Power of that norm.", "number", 1, 16),
    start=Option("Where the search starts.", choices=STARTS),
)
def invert(
    run: Explainable,
    images: Images = None,
    *,
    layer: str | Sequence[str] | None = None,
    steps: int = 400,
    rate: float = 0.05,
    tv: float = 0.0003,
    beta: float = 2.0,
    norm: float = 0.0,
    alpha: float = 6.0,
    start: str = "noise",
    **common: Unpack[Common],
) -> Gallery:
    """Make an image anew from what a layer computes of it, to see what the layer has kept.

    The search descends |f(x) - f(x0)|^2 / |f(x0)|^2 + norm sum|u|^alpha
    + tv sum(dx^2 + dy^2)^(beta/2) by Adam, where f are the layer's outputs, x0 is the image,
    and u = (pixel - origin) / (white - black), origin being the training images' mean or grey.
    Mahendran and Vedaldi 2015, Understanding deep image representations by inverting them,
    section 3.

    What a layer has thrown away, as signs at a ReLU and places at a max pool, the prior makes up:
    an image whose features are the same can be another image. So both errors are said: that of
    the features, and that of the pixels.

    Args:
        run: a run, its folder, a .keras file, a Keras model, or a spec.
        images: files, folders, arrays, or images of the data such as `test:0-3`.
        layer: a layer whose features, or a list of them; by default 6 from the first layer to the
            scores.
        steps: how many.
        rate: length of the first steps, as a share of the range; it falls to 0.
        tv: weight of the total variation, which is summed over pixels and channels.
        beta: its power. Below 2 a little is added inside it, since its slope is infinite where an
            image is flat.
        norm: weight of the sum of |u|^alpha.
        alpha: its power.
        start: the origin with noise of a tenth of the range, the origin itself, or grey.
        **common: `normalize`, `white`, `data`, `batch`, `seed`, `progress`: see `Common`.

    Returns:
        A gallery with an exhibit for each image: the image, and what was made of each layer, with
        the relative error |f(x) - f(x0)| / |f(x0)| of its features, and the root mean square
        difference of its pixels as a share of white - black.

    Raises:
        UsageError: there is no such run, image or layer.

    """
    study = Study.open(run, images, **common)
    circuit = study.subject.circuit
    given = [layer] if isinstance(layer, str) else layer or ()
    names = [circuit.find(each).name for each in given] or spread(circuit)
    canvas = Canvas.of(study.subject)
    searches = [
        Inversion(study, canvas, name, tv, beta, norm, alpha, steps, rate) for name in names
    ]
    notes = []
    if not canvas.is_bounded:
        notes.append("black and white are not known: nothing keeps the images between them")

    def exhibits() -> Iterator[Exhibit]:
        samples = study.samples
        done, total = 0, steps * len(names) * -(-len(samples) // study.batch)
        for numbers, pixels in samples.batches(study.batch):
            made = []
            for search in searches:
                made.append(search.images(pixels, start, done, total))
                done += steps
            for row, number in enumerate(numbers):
                yield _exhibit(study, samples.names[number], pixels[row], [m[row] for m in made])

    settings: dict[str, Value] = {
        "layer": names,
        "steps": steps,
        "rate": rate,
        "tv": tv,
        "beta": beta,
        "norm": norm,
        "alpha": alpha,
        "start": start,
    }
    return study.gallery("invert", exhibits(), settings, notes)


def spread(circuit: Circuit, most: int = LAYERS) -> list[str]:
    """The names of a few layers over the depth of a network: activations, pools, and the scores."""
    last = circuit[circuit.scores]
    if last.activation in ENDS and not last.fused:
        last = circuit[last.inputs[0]]
    others = [
        call.name
        for call in circuit.used
        if (call.activation and call.activation not in PASSING) or "Pool" in call.kind
        if call.name not in {last.name, circuit.scores}
    ]
    found = [*others, last.name]
    most = min(most, len(found))
    places = [round(at * (len(found) - 1) / max(most - 1, 1)) for at in range(most)]
    return [found[place] for place in places]


@dataclass(frozen=True, eq=False)
class Made:
    """An image that was made of features."""

    layer: str
    pixels: NDArray[Any]
    features: float | None
    """|f(x) - f(x0)| / |f(x0)|; None where the image has no features at all."""
    difference: float
    """Root mean square difference of the pixels, as a share of the range."""

    @property
    def is_another(self) -> bool:
        """Whether the features are those of the image, and the image is not."""
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

    def _features(self, u: Tensor) -> Tensor:
        """(n, numbers) outputs of the layer; of the last one the scores."""
        subject = self.study.subject
        ops = subject.keras.ops
        values = subject.run(self.canvas.tensor_of_pixels(ops, u), watch={self.layer})
        is_last = self.layer == subject.circuit.scores
        found = (values.before if is_last else values.after)[self.layer]
        return ops.cast(ops.reshape(found, (u.shape[0], -1)), "float32")

    @cached_property
    def _wanted(self) -> Function:
        return compiled(self.study.subject.circuit, self._features)

    @cached_property
    def _descend(self) -> Function:
        """(first, last, (u, moments), features, their squares) -> the state after these steps."""
        keras, canvas = self.study.subject.keras, self.canvas
        ops = keras.ops

        def loss(u: Tensor, wanted: Tensor, squares: Tensor) -> tuple[Tensor, tuple[()]]:
            error = ops.sum(ops.square(self._features(u) - wanted), axis=-1) / squares
            if self.tv:
                error = error + self.tv * total_variation(ops, u, self.beta)
            if self.norm:
                powers = ops.power(ops.abs(u), self.alpha)
                error = error + self.norm * ops.sum(powers, axis=tuple(range(1, u.ndim)))
            return error, ()

        def step(number: Tensor, state: Any, wanted: Tensor, squares: Tensor) -> Any:
            slope, _ = derivative(keras, loss, state[0], wanted, squares)
            u, *moments = descended(ops, number, self.steps, state, slope, self.rate)
            return canvas.clipped(ops, u), *moments

        return repeated(self.study.subject.circuit, step)

    def images(self, pixels: NDArray[Any], start: str, done: int, total: int) -> list[Made]:
        """Make an image of the features of each.

        Raises:
            UsageError: the features are not finite: the network's weights are corrupt.

        """
        import numpy as np  # noqa: PLC0415

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
            Made(
                self.layer,
                made[row],
                float(errors[row] / np.sqrt(squares[row])) if squares[row] else None,
                float(np.sqrt(apart[row].mean())),
            )
            for row in range(len(pixels))
        ]


def _exhibit(study: Study, name: str, pixels: NDArray[Any], made: Sequence[Made]) -> Exhibit:
    items: list[Item] = [study.picture_of(pixels)]
    for number, image in enumerate(made, 1):
        facts: dict[str, Value] = {
            "feature error": image.features,
            "pixel error": image.difference,
        }
        if image.features is None:
            facts["features"] = "all 0: nothing to invert"
        if image.is_another:
            facts["image"] = "another one of the same features"
        picture = study.picture_of(image.pixels, f"layer{number}", image.layer)
        items.append(replace(picture, facts=facts))
    return Exhibit(name, "features, pixels off by: " + ", ".join(map(_said, made)), items)


def _said(image: Made) -> str:
    if image.features is None:
        return f"{image.layer} has no features, all are 0"
    other = " (another image)" if image.is_another else ""
    return f"{image.layer} {image.features:.1%}, {image.difference:.1%}{other}"
