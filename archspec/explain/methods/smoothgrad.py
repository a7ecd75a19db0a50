"""SmoothGrad: the gradient's mean over noisy copies of an image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Unpack

from archspec.explain.attribution import class_gradients, groups
from archspec.explain.gallery import Exhibit, Gallery, Picture
from archspec.explain.method import TARGET, Option, method
from archspec.explain.samples import ImagesLike
from archspec.explain.study import BATCH, Common, Study, Tick
from archspec.explain.subject import Explainable, Subject, even

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NOISE: Final = 0.15
SAMPLES: Final = 50


@method(
    target=TARGET,
    noise=Option(
        "Standard deviation of the noise, as a share of the pixels' range.", "number", 0, 10
    ),
    samples=Option("Noisy copies of each image.", "whole", 1, 100_000),
)
def smoothgrad(
    run: Explainable,
    images: ImagesLike = None,
    *,
    target: str | int | None = None,
    noise: float = NOISE,
    samples: int = SAMPLES,
    **common: Unpack[Common],
) -> Gallery:
    """Return the gradient of a class's score, averaged over noisy copies of each image.

    The noise is Gaussian; its deviation is a share of the way from black to white. Signed gradients
    are averaged, so that what fluctuates cancels; the map is the absolute value of their mean, its
    maximum over the channels. Smilkov et al. 2017, SmoothGrad, section 3.

    Args:
        run: a run, its folder, a .keras file, a Keras model, or a spec.
        images: files, folders, arrays, or images of the data such as `test:0-3`.
        target: the class, by name; by default the one that the network finds most probable.
        noise: the standard deviation, as a share of the pixels' range.
        samples: noisy copies of each image.
        **common: `normalize`, `white`, `data`, `batch`, `seed`, `progress`: see `Common`.

    Returns:
        A gallery with an exhibit for each image: the image, its map (height, width), and the mean
        of the signed gradients, summed over the channels.

    Raises:
        UsageError: there is no such run, image or class.

    """
    study = Study.open(run, images, **common)

    def exhibits() -> Iterator[Exhibit]:
        for group in groups(study, target, 1):
            (mean,) = mean_gradients(
                study.subject,
                group.pixels,
                group.targets,
                noise=noise,
                samples=samples,
                batch=study.batch,
                seed=study.seed,
                tick=group.tick,
            )
            yield group.exhibit(
                0,
                "smoothgrad",
                [
                    Picture("smoothgrad", "smoothgrad", abs(mean).max(axis=-1), "positive"),
                    Picture("gradient", "mean gradient", mean.sum(axis=-1), "signed"),
                ],
                noise=noise,
                samples=samples,
                seed=study.seed,
            )

    settings = {"target": target, "noise": noise, "samples": samples}
    return study.gallery("smoothgrad", exhibits(), settings)


def maps(
    subject: Subject,
    pixels: NDArray[Any],
    targets: Sequence[int],
    *,
    noise: float = NOISE,
    samples: int = SAMPLES,
    batch: int = BATCH,
    seed: int = 0,
    tick: Tick | None = None,
) -> NDArray[np.float64]:
    """|mean gradient over noisy copies|, the maximum over channels (see `Maps`)."""
    means = mean_gradients(
        subject,
        pixels,
        targets,
        noise=noise,
        samples=samples,
        batch=batch,
        seed=seed,
        tick=tick,
    )
    found: NDArray[np.float64] = abs(means).max(axis=-1)
    return found


def mean_gradients(
    subject: Subject,
    pixels: NDArray[Any],
    targets: Sequence[int],
    *,
    noise: float,
    samples: int,
    batch: int,
    seed: int,
    tick: Tick | None = None,
) -> NDArray[np.float64]:
    """Return the mean of the signed gradients over noisy copies, of the pixels' shape.

    All images get the same noise, drawn by NumPy, so that it is the same on every backend.
    """
    import numpy as np  # noqa: PLC0415

    found = np.zeros(pixels.shape)
    for at, (image, target) in enumerate(zip(pixels, targets, strict=True)):
        limits = subject.range
        span = limits.span if limits else float(np.ptp(image))
        draw = np.random.default_rng(seed)
        size = even(samples, batch)
        for start in range(0, samples, size):
            noisy = image + noise * span * draw.standard_normal((size, *image.shape), np.float32)
            used = min(size, samples - start)  # all batches are of one size: compiled once
            gradients = class_gradients(subject, noisy, [target] * size, size)[:used]
            found[at] += gradients.sum(axis=0, dtype=float)
            if tick:
                tick(at * samples + start + used, len(pixels) * samples)
    return found / samples
