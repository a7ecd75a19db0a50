"""Saliency: which pixels a class's score depends on most."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Unpack

from archspec.explain.gallery import Exhibit, Gallery, Picture
from archspec.explain.gradient import differentiated
from archspec.explain.method import TARGET, method
from archspec.explain.samples import Images
from archspec.explain.study import Common, Study
from archspec.explain.subject import Explainable, Subject, batched

if TYPE_CHECKING:
    from numpy.typing import NDArray


@method(target=TARGET)
def saliency(
    run: Explainable,
    images: Images = None,
    *,
    target: str | int | None = None,
    **common: Unpack[Common],
) -> Gallery:
    """Return maps of how much each pixel changes the score of a class.

    The map is the absolute value of d score / d pixel, its maximum over the channels; the score is
    that before the softmax, so that a certain network has a map too. Simonyan, Vedaldi and
    Zisserman 2013, Deep inside convolutional networks, section 3.

    Args:
        run: a run, its folder, a .keras file, a Keras model, or a spec.
        images: files, folders, arrays, or images of the data such as `test:0-3`.
        target: the class, by name; by default the one that the network finds most probable.
        **common: `normalize`, `white`, `data`, `batch`, `seed`, `progress`: see `Common`.

    Returns:
        A gallery with an exhibit for each image: the image and its map, (height, width).

    Raises:
        UsageError: there is no such run, image or class.

    """
    study = Study.open(run, images, **common)

    def exhibits() -> Iterator[Exhibit]:
        subject, samples = study.subject, study.samples
        for numbers, pixels in samples.batches(study.batch):
            scores = subject.scores(pixels, study.batch)
            targets = [study.target(target, each) for each in scores]
            gradients = class_gradients(subject, pixels, targets, study.batch)
            shares = subject.probabilities(scores)
            for at, number in enumerate(numbers):
                chosen = targets[at]
                facts = {
                    "class": subject.class_names[chosen],
                    "score": scores[at, chosen],
                    "probability": shares[at, chosen],
                }
                map_ = abs(gradients[at]).max(axis=-1)
                yield Exhibit(
                    samples.names[number],
                    study.summary("saliency", facts),
                    [
                        study.picture_of(pixels[at]),
                        Picture("saliency", "saliency", map_, "positive", facts),
                    ],
                    facts,
                )
            study.tick(int(numbers[-1]) + 1, len(samples))

    return study.gallery("saliency", exhibits(), {"target": target})


def class_gradients(
    subject: Subject, pixels: NDArray[Any], targets: Any, batch: int, relu: Any = "vanilla"
) -> NDArray[Any]:
    """Return d score of each image's class / d its raw pixels, of the pixels' shape."""
    import numpy as np  # noqa: PLC0415

    scores = subject.circuit.scores
    ops = subject.keras.ops

    def score(images: Any, chosen: Any) -> Any:
        logits = subject.logits(subject.run(images, watch=(scores,), relu=relu))
        return ops.sum(logits * chosen, axis=-1), ()

    function = differentiated(subject.circuit, score)
    chosen = np.eye(len(subject.class_names), dtype=np.float32)[np.asarray(targets)]
    return np.concatenate([found for found, _ in batched(function, batch, pixels, chosen)])
