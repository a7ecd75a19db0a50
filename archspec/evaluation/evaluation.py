"""Trained networks and images of known classes -> scores.

Several networks are scored each alone and together as an ensemble, by the mean of their
probabilities (CS231n 2016, lecture 7; Krizhevsky et al. 2012, section 6.1). Images are read in
batches, so that a million of them take no more memory than a thousand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from archspec import arguments
from archspec.data.task import Task
from archspec.display import Displayed
from archspec.errors import UsageError
from archspec.evaluation import heldout, scores, trained
from archspec.evaluation.heldout import HeldOutImages
from archspec.evaluation.inference import ahead, averages
from archspec.evaluation.label_scores import THRESHOLD
from archspec.evaluation.scores import TaskScores
from archspec.evaluation.tally import TOP, OutputTally, Tally, tally_of
from archspec.evaluation.trained import LoadedNetwork, RunSource, Trained
from archspec.lazy import np
from archspec.recipe.families import LOSSES, METRICS
from archspec.recipe.objects import make_object
from archspec.recipe.sections import Named
from archspec.recipe.train import OF_INDICES

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCH: Final = 32
"""Images at a time, where there is no recipe."""

ProgressCallback: TypeAlias = Callable[[int, int], None]
"""Function that is called with the number of images done and the number of all images."""


@dataclass(frozen=True, slots=True)
class Result:
    """Scores of one network, or of an ensemble."""

    name: str
    """Name of the run, as it was given."""
    measures: Mapping[str, float]
    """Loss and metrics of the recipe for the main output. An ensemble has them if its runs' recipes
    have the same ones; a model file has none."""
    scores: TaskScores

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "measures": dict(self.measures),
            "scores": self.scores.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Result:
        measures = {str(name): float(value) for name, value in data["measures"].items()}
        return cls(str(data["name"]), measures, scores.from_dict(data["scores"]))


@dataclass(frozen=True, slots=True)
class Evaluation(Displayed):
    """Scores of one or several trained networks on the same images."""

    RENDERER = "evaluation"

    data: str
    """Name of the data."""
    part: str
    """The part of the data: `test`, `validation`, `train` or `all`."""
    flip: bool
    """Whether probabilities are the mean over an image and its mirror image."""
    mc_dropout: int | None = field(default=None, kw_only=True)
    """Number of passes with dropout that probabilities are the mean over; None without dropout."""
    runs: tuple[Result, ...]
    ensemble: Result | None
    """Scores of all runs together, if there are several."""
    notes: tuple[str, ...] = ()
    """Remarks, such as that some images were trained on."""

    @property
    def result(self) -> Result:
        """The result of the ensemble, or of the only run."""
        return self.ensemble or self.runs[0]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, from which `from_dict` makes an equal value."""
        return {
            "data": self.data,
            "part": self.part,
            "images": self.result.scores.images,
            "flip": self.flip,
            "mc_dropout": self.mc_dropout,
            "runs": [run.to_dict() for run in self.runs],
            "ensemble": self.ensemble and self.ensemble.to_dict(),
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Evaluation:
        """Return the value that `to_dict` turned into data; raise `UsageError` for other data."""
        try:
            return cls(
                data=str(data["data"]),
                part=str(data["part"]),
                flip=bool(data["flip"]),
                runs=tuple(map(Result.from_dict, data["runs"])),
                ensemble=Result.from_dict(data["ensemble"]) if data["ensemble"] else None,
                notes=tuple(map(str, data["notes"])),
                mc_dropout=None if data.get("mc_dropout") is None else int(data["mc_dropout"]),
            )
        except (AttributeError, LookupError, TypeError, ValueError):
            raise UsageError("this is not an evaluation that archspec wrote") from None


def evaluate(
    runs: RunSource | Sequence[RunSource],
    *,
    data: str | PathLike[str] | None = None,
    part: str | None = None,
    flip: bool = False,
    batch: int | None = None,
    top: int | None = None,
    threshold: float | None = None,
    normalize: str | None = None,
    white: float | None = None,
    mc_dropout: int | None = None,
    seed: int | None = None,
    progress: ProgressCallback | None = None,
) -> Evaluation:
    """Score trained networks on images that they were not trained on, each alone and together.

    Every network gets the same images, prepared as in its training. Together they predict by the
    mean of their probabilities.

    Args:
        runs: A run, its folder or a model file, or a list of them.
        data: Other data than the runs': the name of a source or a path, as `fit` takes it.
        part: `test`, `validation`, `train` or `all`. By default the test images; of other data
            without test images, all.
        flip: Whether to take the mean over an image and its mirror image.
        batch: Images at a time; by default as in training.
        top: The k of top-k accuracy of classes; by default 5.
        threshold: Probability from which a label counts as predicted, of networks that predict
            sets of labels; by default 0.5.
        normalize: How the images of model files were normalised.
        white: The value of white in arrays; by default as in training.
        mc_dropout: Number of passes with dropout active to take the mean over.
        seed: Seed of the units that are dropped.
        progress: Function to call with the number of images done and the number of all images.

    Returns:
        An evaluation that prints itself: loss, metrics and scores of each run, and of all together.

    Raises:
        UsageError: An argument is wrong, the data have changed, or a network was trained on images
            that should be held out.

    Example:
        >>> archspec.evaluate("runs/lenet5-1").result.scores.images
        359
    """
    parts = (*heldout.PARTS, heldout.ALL)
    if part is not None:
        arguments.one_of("part", part, parts)
    if data is not None:
        arguments.place("data", data)
    check_options(batch, top, white, flip, mc_dropout, seed)
    chosen = trained.find(runs, normalize)
    check_for_task(chosen[0], top=top, threshold=threshold)
    choice = heldout.choose(chosen, data)
    if white is not None and choice.recipe.source != "arrays":
        raise UsageError("`white=` is for arrays; the white of other data is known")
    # Keras takes seconds to load, so the data are checked first where a run tells its classes.
    known = next((each for each in chosen if each.class_names and each.graph), None)
    if known and known.class_names:
        choice = heldout.with_known_classes(choice, known, known.inputs)
        _check_top(top, len(known.class_names))
    networks = trained.load_together(chosen, normalize, flip=flip, mc_dropout=mc_dropout, seed=seed)
    if not known:
        choice = heldout.with_known_classes(choice, chosen[0], networks[0].inputs)
        _check_top(top, networks[0].classes)
    images = heldout.load(networks, choice, part=part, white=white)
    size = batch_of(batch, chosen, len(images.indices))
    results, ensemble = _judge(
        networks, images, size, (top,) if top else TOP, threshold, flip, progress
    )
    return Evaluation(
        images.name, images.part, flip, results, ensemble, images.notes, mc_dropout=mc_dropout
    )


def batch_of(given: int | None, chosen: Sequence[Trained], count: int) -> int:
    """Return how many of `count` images to take at a time: by default as in training."""
    recipes = [each.recipe for each in chosen if each.recipe]
    return min(given or (recipes[0].batch if recipes else BATCH), count)


def check_options(
    batch: int | None,
    top: int | None,
    white: float | None,
    flip: bool,
    mc_dropout: int | None,
    seed: int | None,
) -> None:
    """Raise `UsageError` for an invalid option that `evaluate` and `predict` share."""
    for name, number in (("batch", batch), ("top", top), ("mc_dropout", mc_dropout)):
        if number is not None:
            arguments.whole(name, number)
    if white is not None:
        arguments.finite("white", white)
    arguments.flag("flip", flip)
    if seed is not None:
        arguments.whole("seed", seed, least=0)
        if mc_dropout is None:
            raise UsageError("`seed=` is the seed of dropped units, and needs `mc_dropout=`")


def check_for_task(
    network: Trained, *, top: int | None = None, threshold: float | None = None
) -> None:
    """Raise `UsageError` for an option that is for another task than a network's."""
    if top is not None and network.kind != "classification":
        raise UsageError(
            f"`top=` is for classes, and {network.name} was trained for {network.kind}"
        )
    if threshold is None:
        return
    if network.kind != "multi_label":
        raise UsageError(
            f"`threshold=` is for sets of labels, and {network.name} was trained for {network.kind}"
        )
    arguments.finite("threshold", threshold)
    if not 0 < threshold < 1:
        raise UsageError(f"`threshold={threshold:g}` must be between 0 and 1")


def _check_top(top: int | None, classes: int) -> None:
    if top is not None and top >= classes:
        raise UsageError(f"`top={top}` must be below {classes}, the number of classes")


def _judge(
    networks: Sequence[LoadedNetwork],
    images: HeldOutImages,
    batch: int,
    top: Sequence[int],
    threshold: float | None,
    flip: bool,
    progress: ProgressCallback | None,
) -> tuple[tuple[Result, ...], Result | None]:
    keras, count = networks[0].keras, len(images.indices)
    given = images.task, top, THRESHOLD if threshold is None else threshold
    judges = [_Judge(keras, network.trained, *given) for network in networks]
    ensemble = _Judge(keras, _common([each.trained for each in networks]), *given)

    def read(step: int) -> tuple[Any, dict[int, Any]]:
        part = slice(step * batch, (step + 1) * batch)
        stores = {id(store): store for store in images.stores}
        pixels = {key: store.read(images.indices[part]) for key, store in stores.items()}
        return images.labels[part], pixels

    done = 0
    for labels, pixels in ahead(read, math.ceil(count / batch)):
        total: Any = 0
        for network, judge, store, limits in zip(
            networks, judges, images.stores, images.ranges, strict=True
        ):
            predicted = network.answers(pixels[id(store)], limits=limits, batch=batch, flip=flip)
            judge.add(labels, predicted)
            total = total + predicted
        if len(networks) > 1:
            ensemble.add(labels, total / len(networks))
        done += len(labels)
        if progress:
            progress(done, count)
    results = tuple(judge.result() for judge in judges)
    return results, ensemble.result() if len(networks) > 1 else None


def _common(chosen: Sequence[Trained]) -> Trained:
    """Return an ensemble as one network, with a recipe if all have the same loss and metrics."""
    recipes = [each.recipe for each in chosen]
    scale = chosen[0].scale
    same = all(
        recipe is not None
        and recipes[0] is not None
        and each.scale == scale
        and (recipe.chosen_loss, recipe.metrics) == (recipes[0].chosen_loss, recipes[0].metrics)
        for each, recipe in zip(chosen, recipes, strict=True)
    )
    name = f"ensemble of {len(chosen)}"
    if not same:
        return Trained(name, chosen[0].file)
    return Trained(name, chosen[0].file, recipe=recipes[0], data=chosen[0].data)


@dataclass(slots=True)
class _Judge:
    """Scores, loss and metrics of one network, updated batch by batch."""

    keras: Any
    network: Trained
    task: Task
    top: Sequence[int]
    threshold: float
    tally: Tally | OutputTally = field(init=False)
    loss: Any = None
    metrics: list[Any] = field(default_factory=list)
    one_hot: bool = False
    total: float = 0.0

    def __post_init__(self) -> None:
        self.tally = tally_of(self.task, top=self.top, threshold=self.threshold)
        recipe = self.network.recipe
        if recipe is None:
            return
        is_class = self.task.kind == "classification"
        self.one_hot = is_class and recipe.chosen_loss.name not in OF_INDICES
        self.loss = make_object(
            self.keras, LOSSES, _of_probabilities(recipe.chosen_loss), ("loss",), from_logits=False
        )
        self.metrics = [
            make_object(
                self.keras, METRICS, _of_probabilities(each), ("metrics", i), from_logits=False
            )
            for i, each in enumerate(recipe.metrics)
        ]

    def add(self, labels: NDArray[Any], answers: NDArray[np.float64]) -> None:
        self.tally.add(labels, answers)
        if self.loss is None:
            return
        classes = len(self.task.names)
        truth = np.eye(classes, dtype=np.float32)[labels] if self.one_hot else labels
        predicted = answers.astype(np.float32)
        if (scale := self.network.scale) is not None:  # the loss is on the scale of training
            truth, predicted = scale.scaled(truth), scale.scaled(answers)
        self.total += float(self.loss(truth, predicted)) * len(labels)
        for metric in self.metrics:
            metric.update_state(truth, predicted)

    def result(self) -> Result:
        found = self.tally.scores()
        measures: dict[str, Any] = {}
        if self.loss is not None:
            measures["loss"] = self.total / found.images
        measures |= {metric.name: metric.result() for metric in self.metrics}
        return Result(self.network.name, averages(self.keras, measures), found)


def _of_probabilities(named: Named) -> Named:
    """Return a loss or metric without `from_logits`, since it gets probabilities here."""
    arguments = {key: value for key, value in named.arguments.items() if key != "from_logits"}
    return named.model_copy(update={"arguments": arguments})
