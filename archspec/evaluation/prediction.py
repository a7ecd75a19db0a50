"""Trained networks and new images -> the classes that these likely show.

Several networks answer together, by the mean of their probabilities.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from archspec import arguments
from archspec.data import newimages
from archspec.data.newimages import Chunk
from archspec.data.values import Range
from archspec.display import Displayed
from archspec.errors import UsageError
from archspec.evaluation import trained
from archspec.evaluation.evaluation import Progress, check_numbers, check_passes
from archspec.evaluation.inference import ahead
from archspec.evaluation.trained import Network, Place
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOP: Final = 3
"""How many classes of an image are told."""

BATCH: Final = 32
"""Images at a time."""


class Guess(NamedTuple):
    """A class that an image may show."""

    class_name: str
    probability: float
    deviation: float | None = None
    """Standard deviation of the probability over the passes of `mc_dropout`."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What networks take an image for."""

    image: str
    """Its file, or its place in an array, as photos.npy[3]."""
    guesses: tuple[Guess, ...]
    """The likeliest first; none where the image cannot be read."""
    error: str | None = None
    """Why it cannot be read."""

    def to_dict(self) -> dict[str, Any]:
        said: dict[str, Any] = {"image": self.image}
        if self.error is not None:
            return {**said, "error": self.error}
        return {**said, "predictions": [_said(guess) for guess in self.guesses]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Prediction:
        guesses = [
            Guess(str(guess["class"]), float(guess["probability"]), _float(guess.get("deviation")))
            for guess in data.get("predictions", ())
        ]
        error = data.get("error")
        return cls(str(data["image"]), tuple(guesses), None if error is None else str(error))


def _said(guess: Guess) -> dict[str, Any]:
    said = {"class": guess.class_name, "probability": guess.probability}
    return said if guess.deviation is None else {**said, "deviation": guess.deviation}


def _float(value: Any) -> float | None:
    return None if value is None else float(value)


@dataclass(frozen=True, slots=True)
class Predictions(Displayed, Sequence[Prediction]):
    """What networks take some images for, in the order in which these were given."""

    RENDERER = "predictions"

    runs: tuple[str, ...]
    """Which networks, as they were given; several answer together."""
    images: tuple[Prediction, ...]
    notes: tuple[str, ...] = ()
    """What else is to be known, as that classes have no names."""

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> Any:
        return self.images[index]

    @property
    def unread(self) -> tuple[Prediction, ...]:
        """The images that could not be read."""
        return tuple(image for image in self.images if image.error is not None)

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads back as the same."""
        return {
            "runs": list(self.runs),
            "images": [image.to_dict() for image in self.images],
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Predictions:
        """What `to_dict` gave. Raises `UsageError` for anything else."""
        try:
            return cls(
                tuple(map(str, data["runs"])),
                tuple(map(Prediction.from_dict, data["images"])),
                tuple(map(str, data["notes"])),
            )
        except (AttributeError, LookupError, TypeError, ValueError):
            raise UsageError("these are no predictions as archspec writes them") from None


def predict(
    runs: Place | Sequence[Place],
    images: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | NDArray[Any],
    *,
    top: int = TOP,
    flip: bool = False,
    batch: int = BATCH,
    normalize: str | None = None,
    white: float | None = None,
    mc_dropout: int | None = None,
    seed: int | None = None,
    progress: Progress | None = None,
) -> Predictions:
    """Return which classes trained networks see in images.

    Each image is prepared as those that a network was trained on; several networks answer together
    by the mean of their probabilities.

    Args:
        runs: A run, its folder or a .keras file, or a list of them.
        images: Files, folders of them, .npy and .npz arrays, or an array (n, height, width,
            channels).
        top: How many classes of an image are told, the likeliest first.
        flip: Take the mean over an image and its mirror image.
        batch: Images at a time.
        normalize: How the images of .keras files were prepared.
        white: The value of white in arrays. Black is then 0, or in training's proportion to white
            where there are negative values; both are as in training, unless given.
        mc_dropout: Take the mean over so many passes with dropout alone active, and their standard
            deviation.
        seed: What decides which units are dropped.
        progress: Is told how many images are done, of how many.

    Returns:
        Predictions that print themselves: for each image its likeliest classes, or why it cannot be
        read.

    Raises:
        UsageError: If anything but single images is wrong.
    """
    check_numbers(batch, top, white)
    arguments.flag("flip", flip)
    check_passes(mc_dropout, seed)
    if not hasattr(images, "__len__") and not isinstance(images, os.PathLike):
        raise arguments.wrong("images", images, "a path, a list of paths, or an array")
    chosen = trained.find(runs, normalize)
    if isinstance(images, (str, os.PathLike)):
        images = [images]
    if len(images) == 0:
        raise UsageError("there is no image: name files, folders, or .npy and .npz arrays")
    networks = [trained.load(each, normalize) for each in chosen]
    if mc_dropout is not None:
        networks = [each.with_dropout(mc_dropout, seed or 0) for each in networks]
    trained.check_together(networks, flip=flip)
    chunks = newimages.chunks(images, networks[0].input_shape, batch)
    if white is not None and all(chunk.extremes is None for chunk in chunks):
        raise UsageError("`white=` is for arrays; of image files white is known")
    # All of them first: before much is computed it is known that none is refused.
    ranges = [[_range(network, chunk, white) for network in networks] for chunk in chunks]
    names, notes = chosen[0].class_names, []
    if names is None:
        names = tuple(map(str, range(networks[0].classes)))
        notes.append(f"{chosen[0].name} does not name its classes: they are numbers, from 0")
    counts = [len(chunk.names) for chunk in chunks]
    found: list[Prediction] = []
    pixels = ahead(lambda index: _read(chunks[index], networks), len(chunks))
    for chunk, limits, read in zip(chunks, ranges, pixels, strict=True):
        answers = _answers(networks, read, limits, min(batch, max(counts)), flip)
        found += (
            Prediction(image, *_guesses(answer, names, top, spreads=mc_dropout is not None))
            for image, answer in zip(chunk.names, answers, strict=True)
        )
        if progress:
            progress(len(found), sum(counts))
    return Predictions(tuple(each.name for each in chosen), tuple(found), tuple(notes))


def _range(network: Network, chunk: Chunk, white: float | None) -> Range | None:
    if chunk.extremes is None:  # files, which are read in the range of training
        return network.preprocessing.range
    return network.range_of(chunk.extremes, chunk.where, white)


def _read(chunk: Chunk, networks: Sequence[Network]) -> list[list[Any]]:
    """Return the pixels of each image for each network, or why there are none."""
    known: dict[tuple[Shape, str, Range | None], list[Any]] = {}
    keys = [
        (each.input_shape, each.preprocessing.resize, each.preprocessing.range) for each in networks
    ]
    for key in keys:
        if key not in known:
            known[key] = chunk.read(*key)
    return [known[key] for key in keys]


def _answers(
    networks: Sequence[Network],
    read: Sequence[Sequence[Any]],
    ranges: Sequence[Range | None],
    batch: int,
    flip: bool,
) -> list[Any]:
    """Return the mean probabilities of each image and their spread, or why it cannot be read."""
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
        raise UsageError(f"{names} answers with infinity or no number: its weights are no good")
    passes = sum(network.passes for network in networks)
    mean = total / passes
    spread = np.sqrt(np.maximum(squares / passes - mean**2, 0))
    found = dict(zip(right, zip(mean, spread, strict=True), strict=True))
    return [found.get(index, reason) for index, reason in enumerate(answers)]


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
