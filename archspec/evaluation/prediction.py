"""Trained networks and new images -> the most likely classes of each image.

Several networks predict together, by the mean of their probabilities.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from archspec import arguments
from archspec.data import newimages
from archspec.data.newimages import Chunk
from archspec.data.values import Range
from archspec.display import Displayed
from archspec.errors import UsageError
from archspec.evaluation import trained
from archspec.evaluation.evaluation import BATCH, ProgressCallback, check_options
from archspec.evaluation.inference import ahead
from archspec.evaluation.trained import LoadedNetwork, RunSource
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOP: Final = 3
"""Number of classes to return for an image."""


class Guess(NamedTuple):
    """A class of an image, with its probability."""

    class_name: str
    probability: float
    deviation: float | None = None
    """Standard deviation of the probability over the passes with dropout."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The most likely classes of one image."""

    image: str
    """Path of the file, or position in an array such as photos.npy[3]."""
    guesses: tuple[Guess, ...]
    """Classes, the most likely first; empty if the image cannot be read."""
    error: str | None = None
    """The reason why the image cannot be read, else None."""

    def to_dict(self) -> dict[str, Any]:
        data: dict[str, Any] = {"image": self.image}
        if self.error is not None:
            return {**data, "error": self.error}
        return {**data, "predictions": [_guess_data(guess) for guess in self.guesses]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Prediction:
        guesses = [
            Guess(str(guess["class"]), float(guess["probability"]), _float(guess.get("deviation")))
            for guess in data.get("predictions", ())
        ]
        error = data.get("error")
        return cls(str(data["image"]), tuple(guesses), None if error is None else str(error))


def _guess_data(guess: Guess) -> dict[str, Any]:
    data = {"class": guess.class_name, "probability": guess.probability}
    return data if guess.deviation is None else {**data, "deviation": guess.deviation}


def _float(value: Any) -> float | None:
    return None if value is None else float(value)


@dataclass(frozen=True, slots=True)
class Predictions(Displayed, Sequence[Prediction]):
    """Predictions for several images, in the order given."""

    RENDERER = "predictions"

    runs: tuple[str, ...]
    """Names of the networks, as they were given."""
    images: tuple[Prediction, ...]
    notes: tuple[str, ...] = ()
    """Remarks, such as that the classes have no names."""

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> Any:
        return self.images[index]

    @property
    def unread(self) -> tuple[Prediction, ...]:
        """The images that could not be read."""
        return tuple(image for image in self.images if image.error is not None)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, from which `from_dict` makes an equal value."""
        return {
            "runs": list(self.runs),
            "images": [image.to_dict() for image in self.images],
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Predictions:
        """Return the value that `to_dict` turned into data; raise `UsageError` for other data."""
        try:
            return cls(
                tuple(map(str, data["runs"])),
                tuple(map(Prediction.from_dict, data["images"])),
                tuple(map(str, data["notes"])),
            )
        except (AttributeError, LookupError, TypeError, ValueError):
            raise UsageError("these are not predictions that archspec wrote") from None


def predict(
    runs: RunSource | Sequence[RunSource],
    images: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | NDArray[Any],
    *,
    top: int = TOP,
    flip: bool = False,
    batch: int = BATCH,
    normalize: str | None = None,
    white: float | None = None,
    mc_dropout: int | None = None,
    seed: int | None = None,
    progress: ProgressCallback | None = None,
) -> Predictions:
    """Predict the classes of images with one or several trained networks.

    Images are prepared for each network as in its training. Several networks predict together by
    the mean of their probabilities.

    Args:
        runs: A run, its folder or a .keras file, or a list of them.
        images: Files, folders of files, .npy and .npz arrays, or an array (n, height, width,
            channels).
        top: Number of classes to return for an image, the most likely first.
        flip: Whether to take the mean over an image and its mirror image.
        batch: Images at a time.
        normalize: How the images of .keras files were normalised.
        white: The value of white in arrays; by default as in training. Black is then 0, or with
            negative values, in the same proportion to white as in training.
        mc_dropout: Number of passes with dropout active to take mean and standard deviation over.
        seed: Seed of the units that are dropped.
        progress: Function to call with the number of images done and the number of all images.

    Returns:
        Predictions that print themselves: the most likely classes of each image, or the reason why
        it cannot be read.

    Raises:
        UsageError: An argument is wrong. An image that cannot be read is not an error.

    Example:
        >>> import numpy as np
        >>> predictions = archspec.predict("runs/lenet5-1", np.zeros((2, 8, 8, 1)))
        >>> len(predictions), len(predictions[0].guesses)
        (2, 3)
    """
    batch = arguments.whole("batch", batch)
    check_options(batch, top, white, flip, mc_dropout, seed)
    if isinstance(images, (str, os.PathLike)):
        images = [images]
    if not hasattr(images, "dtype") and not (
        isinstance(images, Collection)
        and all(isinstance(each, (str, os.PathLike)) for each in images)
    ):
        raise arguments.wrong("images", images, "a path, a list of paths, or an array")
    chosen = trained.find(runs, normalize)
    if len(images) == 0:
        raise UsageError("there is no image: name files, folders, or .npy and .npz arrays")
    networks = trained.load_together(chosen, normalize, flip=flip, mc_dropout=mc_dropout, seed=seed)
    chunks = newimages.chunks(images, networks[0].input_shape, batch)
    if white is not None and all(chunk.extremes is None for chunk in chunks):
        raise UsageError("`white=` is for arrays; the white of image files is known")
    # For all chunks first, so that none is refused after much was computed.
    ranges = [[_range(network, chunk, white) for network in networks] for chunk in chunks]
    names, notes = chosen[0].class_names, []
    if names is None:
        names = tuple(map(str, range(networks[0].classes)))
        notes.append(f"{chosen[0].name} does not name its classes: they are numbers, from 0")
    counts = [len(chunk.names) for chunk in chunks]
    predictions: list[Prediction] = []
    pixels = ahead(lambda index: _read(chunks[index], networks), len(chunks))
    for chunk, limits, read in zip(chunks, ranges, pixels, strict=True):
        answers = _answers(networks, read, limits, min(batch, max(counts)), flip)
        predictions += (
            Prediction(image, *_guesses(answer, names, top, spreads=mc_dropout is not None))
            for image, answer in zip(chunk.names, answers, strict=True)
        )
        if progress:
            progress(len(predictions), sum(counts))
    return Predictions(tuple(each.name for each in chosen), tuple(predictions), tuple(notes))


def _range(network: LoadedNetwork, chunk: Chunk, white: float | None) -> Range | None:
    if chunk.extremes is None:  # image files, which are read in the range of training
        return network.preprocessing.range
    return network.range_of(chunk.extremes, chunk.where, white)


def _read(chunk: Chunk, networks: Sequence[LoadedNetwork]) -> list[list[Any]]:
    """Return for each network the pixels of each image, or the reason why there are none."""
    known: dict[tuple[Shape, str, Range | None], list[Any]] = {}
    keys = [
        (each.input_shape, each.preprocessing.resize, each.preprocessing.range) for each in networks
    ]
    for key in keys:
        if key not in known:
            known[key] = chunk.read(*key)
    return [known[key] for key in keys]


def _answers(
    networks: Sequence[LoadedNetwork],
    read: Sequence[Sequence[Any]],
    ranges: Sequence[Range | None],
    batch: int,
    flip: bool,
) -> list[Any]:
    """Return for each image the probabilities and their deviation, or the reason for none."""
    import numpy as np  # noqa: PLC0415

    answers = [next((p for p in of if isinstance(p, str)), None) for of in zip(*read, strict=True)]
    right = [index for index, reason in enumerate(answers) if reason is None]
    if not right:
        return answers
    total: Any = 0
    squares: Any = 0
    for network, pixels, limits in zip(networks, read, ranges, strict=True):
        given = np.stack([pixels[index] for index in right])
        for each in network.samples(given, limits=limits, batch=batch, flip=flip):
            total = total + each
            squares = squares + each**2
    if not np.isfinite(total).all():
        names = " or ".join(network.name for network in networks)
        raise UsageError(f"{names} produced infinite or NaN outputs: its weights are corrupt")
    passes = sum(network.passes for network in networks)
    mean = total / passes
    spread = np.sqrt(np.maximum(squares / passes - mean**2, 0))
    results = dict(zip(right, zip(mean, spread, strict=True), strict=True))
    return [results.get(index, reason) for index, reason in enumerate(answers)]


def _guesses(
    answer: Any, names: Sequence[str], top: int, *, spreads: bool
) -> tuple[tuple[Guess, ...], str | None]:
    if isinstance(answer, str):
        return (), answer
    mean, spread = answer
    likeliest = (-mean).argsort(kind="stable")[:top]
    guesses = (
        Guess(names[n], float(mean[n]), float(spread[n]) if spreads else None) for n in likeliest
    )
    return tuple(guesses), None
