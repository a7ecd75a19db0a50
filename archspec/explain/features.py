"""Images as points, by their pixels and by their features in a layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from archspec.explain import embedding
from archspec.explain.circuit import CircuitCall
from archspec.explain.gradient import compiled
from archspec.explain.samples import Samples, drawn
from archspec.explain.study import Study
from archspec.explain.subject import Subject, batched
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ImageFeatures:
    """Images as pixels and as features, with their classes and predictions."""

    study: Study
    samples: Samples
    layer: str
    pixels: NDArray[np.float32]
    """(n, *shape) raw pixels."""
    features: NDArray[np.float32]
    """(n, units), of which the largest is 1."""
    predictions: NDArray[np.intp] | None
    metric: str
    k: int

    @cached_property
    def near(self) -> Mapping[str, NDArray[np.intp]]:
        """The (n, k) nearest neighbours in `features` and in `pixels`."""
        flat = self.pixels.reshape(len(self.pixels), -1)
        return {
            "features": embedding.nearest(self.features, self.k, self.metric),
            "pixels": embedding.nearest(flat, self.k),
        }

    def at_most(self, most: int) -> tuple[ImageFeatures, NDArray[np.intp]]:
        """Return at most `most` images, drawn by the seed, and their numbers."""
        numbers = drawn(len(self.samples), most, self.study.seed)
        if len(numbers) == len(self.samples):
            return self, numbers
        fewer = replace(
            self,
            samples=self.samples.only(numbers),
            pixels=self.pixels[numbers],
            features=self.features[numbers],
            predictions=None if self.predictions is None else self.predictions[numbers],
        )
        return fewer, numbers

    @property
    def labels(self) -> NDArray[np.intp] | None:
        return self.samples.labels

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        subject = self.study.subject
        if subject.network.classes:
            return subject.class_names
        count = 0 if self.labels is None else int(self.labels.max()) + 1
        return tuple(map(str, range(count)))

    def called(self, number: int) -> str:
        """Return the class of an image; without labels, its name."""
        if self.labels is None:
            return self.samples.names[number]
        return str(self.class_names[self.labels[number]])


def points_of(
    study: Study, samples: Samples, call: CircuitCall, metric: str, k: int
) -> ImageFeatures:
    """Run the network on all images, whose features are the outputs of a layer.

    Their distance is one of `embedding.METRICS`, and each has `k` neighbours. Raises `UsageError`
    if pixels or features are not finite, or the same for all images.
    """
    subject = study.subject
    function = compiled(subject.circuit, _outputs(subject, call))
    pixels, features, scores = [], [], []
    for numbers, some in samples.batches():
        for values, logits in batched(function, study.batch, some):
            features.append(values)
            scores.append(logits)
        pixels.append(some)
        study.tick(int(numbers[-1]) + 1, len(samples))
    stacked = np.concatenate(pixels)
    embedding.check(stacked.reshape(len(stacked), -1), "the pixels", samples.names)
    return ImageFeatures(
        study,
        samples,
        call.name,
        stacked,
        embedding.check(
            np.concatenate(features),
            f"the features of `{call.name}`",
            samples.names,
            reason=": the network's weights are corrupt, or its values overflow",
        ),
        np.concatenate(scores).argmax(axis=1) if subject.network.classes else None,
        metric,
        k,
    )


def _outputs(subject: Subject, call: CircuitCall) -> Any:
    """Return a function of pixels that gives a layer's outputs, flattened, and the scores."""
    ops, scores = subject.keras.ops, subject.circuit.scores

    def outputs(pixels: Any) -> Any:
        values = subject.run(pixels, watch={call.name, scores})
        features = ops.cast(values.after[call.name], "float32")
        return ops.reshape(features, (features.shape[0], -1)), subject.logits(values)

    return outputs
