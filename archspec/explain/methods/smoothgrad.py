"""SmoothGrad: the gradient's mean over noisy copies of an image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final, Unpack

from archspec.explain.attribution import MapRequest, class_gradients, groups
from archspec.explain.gallery import Exhibit, Gallery, Picture
from archspec.explain.method import Allowed, ClassName, method
from archspec.explain.samples import ImagesLike
from archspec.explain.study import Common, Study
from archspec.explain.subject import Explainable, even
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NOISE: Final = 0.15
SAMPLES: Final = 50


@method
def smoothgrad(
    run: Explainable,
    images: ImagesLike = None,
    *,
    target: ClassName = None,
    noise: Annotated[float, Allowed(0, 10)] = NOISE,
    samples: Annotated[int, Allowed(1, 100_000)] = SAMPLES,
    **common: Unpack[Common],
) -> Gallery:
    """Return the gradient of a class's score, averaged over noisy copies of each image.

    The noise is Gaussian; its deviation is a share of the way from black to white. Signed gradients
    are averaged, so that what fluctuates cancels; the map is the absolute value of their mean, its
    maximum over the channels. Smilkov et al. 2017, SmoothGrad, section 3.

    Args:
        run: a run, its folder, a model file, a Keras model, or a spec.
        images: files, folders, arrays, or images of the data such as `test:0-3`.
        target: the class, by name; by default the most probable one.
        noise: standard deviation of the noise, as a share of the pixels' range.
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
            mean = mean_gradient(group, noise, samples)
            yield group.exhibit(
                "smoothgrad",
                [
                    Picture("smoothgrad", "smoothgrad", abs(mean).max(axis=-1), "positive"),
                    Picture("gradient", "mean gradient", mean.sum(axis=-1), "signed"),
                ],
                {"noise": noise, "samples": samples, "seed": study.seed},
            )

    return study.gallery(exhibits())


def maps(
    request: MapRequest, *, noise: float = NOISE, samples: int = SAMPLES
) -> NDArray[np.float64]:
    """Return |mean gradient over noisy copies|, the maximum over channels."""
    means = [mean_gradient(each, noise, samples) for each in request.each()]
    return np.stack([abs(mean).max(axis=-1) for mean in means])


def mean_gradient(request: MapRequest, noise: float, samples: int) -> NDArray[np.float64]:
    """Return the mean of the signed gradients over noisy copies of an image, of its shape.

    All images get the same noise, drawn by NumPy, so that it is the same on every backend.
    """
    subject, image = request.subject, request.pixels[0]
    span = subject.range.span if subject.range else float(np.ptp(image))
    random = np.random.default_rng(request.seed)
    total = np.zeros(image.shape)
    size = even(samples, request.batch)
    for start in range(0, samples, size):
        noisy = image + noise * span * random.standard_normal((size, *image.shape), np.float32)
        used = min(size, samples - start)  # all batches are of one size: compiled once
        gradients = class_gradients(subject, noisy, [request.targets[0]] * size, size)[:used]
        total += gradients.sum(axis=0, dtype=float)
        request.tick(start + used, samples)
    return total / samples
