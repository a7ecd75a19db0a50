"""Trained networks and new images -> the most likely classes, the labels, or numbers of each.

Several networks predict together, by the mean of their probabilities or numbers.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from archspec import arguments
from archspec.data import newimages
from archspec.data.newimages import Chunk
from archspec.data.preprocessing import Preprocessing
from archspec.data.task import NOUNS, TaskKind
from archspec.data.values import Range
from archspec.display import Displayed
from archspec.errors import UsageError
from archspec.evaluation import trained
from archspec.evaluation.evaluation import (
    BATCH,
    ProgressCallback,
    check_for_task,
    check_options,
)
from archspec.evaluation.inference import ahead
from archspec.evaluation.label_scores import THRESHOLD
from archspec.evaluation.trained import LoadedNetwork, RunSource
from archspec.lazy import np
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOP: Final = 3
"""Number of classes to return for an image."""


class Guess(NamedTuple):
    """A class or label of an image, with its probability."""

    class_name: str
    probability: float
    deviation: float | None = None
    """Standard deviation of the probability over the passes with dropout."""


class Value(NamedTuple):
    """A number of an image, in the units of the training labels."""

    name: str
    number: float
    deviation: float | None = None
    """Standard deviation over the passes with dropout."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The most likely classes of one image, its labels, or its numbers."""

    image: str
    """Path of the file, or position in an array such as photos.npy[3]."""
    guesses: tuple[Guess, ...]
    """Classes, the most likely first; or all labels whose probability reaches the threshold; empty
    for numbers, and if the image cannot be read."""
    error: str | None = None
    """The reason why the image cannot be read, else None."""
    values: tuple[Value, ...] = ()
    """Numbers, in the order of the network's outputs; empty for classes and labels."""

    def to_dict(self) -> dict[str, Any]:
        data: dict[str, Any] = {"image": self.image}
        if self.error is not None:
            return {**data, "error": self.error}
        if self.values:
            return {**data, "values": [_known(value._asdict()) for value in self.values]}
        return {**data, "predictions": [_guess_data(guess) for guess in self.guesses]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Prediction:
        guesses = [
            Guess(str(guess["class"]), float(guess["probability"]), _float(guess.get("deviation")))
            for guess in data.get("predictions", ())
        ]
        values = [
            Value(str(value["name"]), float(value["number"]), _float(value.get("deviation")))
            for value in data.get("values", ())
        ]
        error = None if data.get("error") is None else str(data["error"])
        return cls(str(data["image"]), tuple(guesses), error, tuple(values))


def _guess_data(guess: Guess) -> dict[str, Any]:
    data = {"class": guess.class_name, "probability": guess.probability}
    return _known({**data, "deviation": guess.deviation})


def _known(data: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if value is not None}


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
    task: TaskKind = "classification"
    """The kind of task that the networks were trained for."""

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
            "task": self.task,
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
                _task(data.get("task", "classification")),
            )
        except (AttributeError, LookupError, TypeError, ValueError):
            raise UsageError("these are not predictions that archspec wrote") from None


def predict(
    runs: RunSource | Sequence[RunSource],
    images: str
    | os.PathLike[str]
    | Sequence[str | os.PathLike[str]]
    | NDArray[Any]
    | Mapping[str, NDArray[Any]],
    *,
    top: int | None = None,
    threshold: float | None = None,
    flip: bool = False,
    batch: int = BATCH,
    normalize: str | None = None,
    white: float | None = None,
    mc_dropout: int | None = None,
    seed: int | None = None,
    at: str | int | Sequence[int] | None = None,
    progress: ProgressCallback | None = None,
) -> Predictions:
    """Predict the classes, labels or numbers of images with one or several trained networks.

    Images are prepared for each network as in its training. Several networks predict together by
    the mean of their probabilities or numbers. Numbers are in the units of the training labels.

    Args:
        runs: A run, its folder or a model file, or a list of them.
        images: Files, folders of files, .npy and .npz arrays, tables (.csv, .tsv, .parquet) with
            the columns of the training, or an array (n, height, width, channels). For a network
            with several inputs, arrays by their names, or tables and .npz files with such arrays.
        top: Number of classes to return for an image, the most likely first; by default 3.
        threshold: Probability from which an image has a label; by default 0.5.
        flip: Whether to take the mean over an image and its mirror image.
        batch: Images at a time.
        normalize: How the images of model files were normalised.
        white: The value of white in arrays; by default as in training. Black is then 0, or with
            negative values, in the same proportion to white as in training.
        mc_dropout: Number of passes with dropout active to take mean and standard deviation over.
        seed: Seed of the units that are dropped.
        at: Size to resize the images to, for networks whose input is open: `"96x128"`, or a number
            for height and width. By default that of training.
        progress: Function to call with the number of images done and the number of all images.

    Returns:
        Predictions that print themselves: the most likely classes of each image, its labels or its
        numbers, or the reason why it cannot be read.

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
    named = isinstance(images, Mapping) and all(hasattr(each, "dtype") for each in images.values())
    if not (hasattr(images, "dtype") or named or _are_paths(images)):
        raise arguments.wrong("images", images, "a path, a list of paths, or an array")
    chosen = trained.find(runs, normalize)
    kind = chosen[0].kind
    check_for_task(chosen[0], top=top, threshold=threshold)
    if len(images) == 0:
        raise UsageError("there is no image: name files, folders, or .npy and .npz arrays")
    networks = trained.load_together(
        chosen, normalize, flip=flip, mc_dropout=mc_dropout, seed=seed, at=at
    )
    inputs = networks[0].inputs
    learnt = next((each.recipe.data for each in chosen if each.recipe is not None), None)
    name, several = networks[0].name, len(inputs) > 1
    if isinstance(images, Mapping) and not several:
        raise UsageError(f"{name} has one input: give one array, not several by name")
    if several and not isinstance(images, Mapping) and not _are_paths(images):
        raise UsageError(f"{name} has several inputs: give an array for each by its name, not one")
    inputs = inputs if several else {"": networks[0].input_shape}
    chunks = newimages.chunks(images, inputs, batch, learnt)
    if white is not None and all(chunk.extremes is None for chunk in chunks):
        raise UsageError("`white=` is for arrays; the white of image files is known")
    # For all chunks first, so that none is refused after much was computed.
    ranges = [[_range(network, chunk, white) for network in networks] for chunk in chunks]
    names, notes = chosen[0].class_names, []
    if names is None:
        names = tuple(map(str, range(networks[0].classes)))
        notes.append(f"{chosen[0].name} does not name its classes: they are numbers, from 0")
    told = _Told(kind, names, top or TOP, threshold or THRESHOLD, mc_dropout is not None)
    counts = [len(chunk.names) for chunk in chunks]
    predictions: list[Prediction] = []
    pixels = ahead(lambda index: _read(chunks[index], networks), len(chunks))
    for chunk, limits, read in zip(chunks, ranges, pixels, strict=True):
        answers = _answers(networks, read, limits, min(batch, max(counts)), flip)
        predictions += (
            _prediction(image, answer, told)
            for image, answer in zip(chunk.names, answers, strict=True)
        )
        if progress:
            progress(len(predictions), sum(counts))
    return Predictions(tuple(each.name for each in chosen), tuple(predictions), tuple(notes), kind)


def _are_paths(images: Any) -> bool:
    return isinstance(images, Collection) and all(
        isinstance(each, (str, os.PathLike)) for each in images
    )


def _task(kind: str) -> TaskKind:
    """Return a kind of task by its name; raise `ValueError` for another word."""
    for known in NOUNS:
        if kind == known:
            return known
    raise ValueError(kind)


def _range(network: LoadedNetwork, chunk: Chunk, white: float | None) -> Range | None:
    if chunk.extremes is None:  # image files, which are read in the range of training
        return network.preprocessing.range
    return network.range_of(chunk.extremes, chunk.where, white)


def _read(chunk: Chunk, networks: Sequence[LoadedNetwork]) -> list[list[Any]]:
    """Return for each network the pixels of each image, or the reason why there are none."""
    known: dict[tuple[Shape, Preprocessing], list[Any]] = {}
    keys = [(each.input_shape, _reading(each.preprocessing)) for each in networks]
    for key in keys:
        if key not in known:
            known[key] = chunk.read(*key)
    return [known[key] for key in keys]


def _reading(preprocessing: Preprocessing) -> Preprocessing:
    """Return a preprocessing that is equal for all networks that read the same pixels."""
    inputs = tuple((name, _reading(each)) for name, each in preprocessing.inputs)
    how, limits = preprocessing.resize, preprocessing.range
    return Preprocessing((), (), resize=how, range=limits, inputs=inputs)


def _answers(
    networks: Sequence[LoadedNetwork],
    read: Sequence[Sequence[Any]],
    ranges: Sequence[Range | None],
    batch: int,
    flip: bool,
) -> list[Any]:
    """Return for each image the outputs and their deviation, or the reason for none."""
    answers = [next((p for p in of if isinstance(p, str)), None) for of in zip(*read, strict=True)]
    right = [index for index, reason in enumerate(answers) if reason is None]
    if not right:
        return answers
    several = len(networks[0].inputs) > 1
    total: Any = 0
    squares: Any = 0
    for network, pixels, limits in zip(networks, read, ranges, strict=True):
        given: Any = (
            np.stack([pixels[index] for index in right])
            if not several
            else {
                name: np.stack([pixels[index][name] for index in right]) for name in network.inputs
            }
        )
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


class _Told(NamedTuple):
    """The way in which answers are told."""

    kind: TaskKind
    names: Sequence[str]
    top: int
    threshold: float
    spreads: bool
    """Whether with standard deviations."""


def _prediction(image: str, answer: Any, told: _Told) -> Prediction:
    """Return an image's prediction from its answer, or from the reason for none."""
    if isinstance(answer, str):
        return Prediction(image, (), answer)
    mean, spread = answer

    def of(number: int) -> tuple[str, float, float | None]:
        deviation = float(spread[number]) if told.spreads else None
        return told.names[number], float(mean[number]), deviation

    if told.kind == "regression":
        values = tuple(Value(*of(number)) for number in range(len(mean)))
        return Prediction(image, (), None, values)
    likeliest = (-mean).argsort(kind="stable")
    if told.kind == "multi_label":
        likeliest = likeliest[mean[likeliest] >= told.threshold]
    else:
        likeliest = likeliest[: told.top]
    return Prediction(image, tuple(Guess(*of(number)) for number in likeliest))
