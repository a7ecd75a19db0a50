"""Trained networks and images of known classes -> how well the networks tell these apart.

Several networks are judged each by itself and as an ensemble, by the mean of their probabilities
(CS231n 2016, lecture 7; Krizhevsky et al. 2012, section 6.1). Images go through in batches, so that
as much memory is needed for a million of them as for a thousand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any, Final

from archspec import arguments
from archspec.display import Displayed
from archspec.errors import UsageError
from archspec.evaluation import heldout, trained
from archspec.evaluation.heldout import Images
from archspec.evaluation.inference import ahead, averages, scores_of
from archspec.evaluation.scores import Scores
from archspec.evaluation.tally import TOP, Tally
from archspec.evaluation.trained import Network, Place, Trained
from archspec.recipe.families import LOSSES, METRICS
from archspec.recipe.parts import Named
from archspec.recipe.train import OF_INDICES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Evaluation", "Result", "evaluate", "scores_of"]

BATCH: Final = 32
"""Images at a time, where no recipe says."""

Progress = Callable[[int, int], None]
"""Told how many images are done, of how many."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a network fared, or an ensemble of several."""

    name: str
    """Of the run, as it was given."""
    measures: Mapping[str, float]
    """Loss and metrics of the recipe, of the main output. An ensemble has those of its runs'
    recipes if they are the same ones; a .keras file has none."""
    scores: Scores

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "measures": dict(self.measures),
            "scores": self.scores.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Result:
        measures = {str(name): float(value) for name, value in data["measures"].items()}
        return cls(str(data["name"]), measures, Scores.from_dict(data["scores"]))


@dataclass(frozen=True, slots=True)
class Evaluation(Displayed):
    """How one or several trained networks fared on the same images."""

    RENDERER = "evaluation"

    data: str
    """What the images are of."""
    part: str
    """Of that, `test`, `validation`, `train` or `all`."""
    flip: bool
    """Whether an image's probabilities are the mean over it and its mirror image."""
    mc_dropout: int | None = field(default=None, kw_only=True)
    """Over how many passes with dropout they are the mean; None for one without."""
    runs: tuple[Result, ...]
    ensemble: Result | None
    """Of all runs together, if they are several."""
    notes: tuple[str, ...] = ()
    """What else is to be known, as of images that were trained on."""

    @property
    def result(self) -> Result:
        """The ensemble's, or the only run's."""
        return self.ensemble or self.runs[0]

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads back as the same."""
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
        """What `to_dict` gave. Raises `UsageError` for anything else."""
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
            raise UsageError("this is not an evaluation as archspec writes it") from None


def evaluate(
    runs: Place | Sequence[Place],
    *,
    data: str | PathLike[str] | None = None,
    part: str | None = None,
    flip: bool = False,
    batch: int | None = None,
    top: int | None = None,
    normalize: str | None = None,
    white: float | None = None,
    mc_dropout: int | None = None,
    seed: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Score trained networks on images they were not trained on, alone and together.

    Each network gets the same images, prepared as its own were; several answer together by the mean
    of their probabilities.

    Args:
        runs: A run, its folder or a .keras file, or a list of them.
        data: Other data: a source's name, or a path, as `fit` takes it. Those of the runs unless
            given.
        part: `test`, `validation`, `train` or `all`. The test images, unless given; of other data
            without any, all.
        flip: Take the mean over an image and its mirror image.
        batch: Images at a time.
        top: The k of top-k accuracy.
        normalize: How the images of .keras files were prepared.
        white: The value of white in arrays; as in training, unless given.
        mc_dropout: Take the mean over so many passes with dropout alone active.
        seed: What decides which units are dropped.
        progress: Is told how many images are done, of how many.

    Returns:
        An evaluation that prints itself: loss, metrics and scores of each run, and of all together.

    Raises:
        UsageError: If an argument is wrong, the data are not what they were, or a network learnt
            from images that were to be held out.
    """
    parts = (*heldout.PARTS, heldout.ALL)
    if part is not None:
        arguments.one_of("part", part, parts)
    if data is not None:
        arguments.place("data", data)
    check_numbers(batch, top, white)
    arguments.flag("flip", flip)
    check_passes(mc_dropout, seed)
    chosen = trained.find(runs, normalize)
    choice = heldout.choose(chosen, data)
    if white is not None and choice.recipe.source != "arrays":
        raise UsageError("`white=` is for arrays; of other data white is known")
    # Keras takes seconds to load: where a run says what it takes, its data are looked at first.
    known = next((each for each in chosen if each.class_names and each.input_shape), None)
    if known and known.class_names and known.input_shape:
        recipe = heldout.with_known_classes(
            choice, known.name, known.class_names, known.input_shape
        )
        _check_top(top, len(known.class_names))
    networks = [trained.load(each, normalize) for each in chosen]
    if mc_dropout is not None:
        networks = [each.with_dropout(mc_dropout, seed or 0) for each in networks]
    if not known:
        shape = networks[0].input_shape
        recipe = heldout.with_known_classes(choice, chosen[0].name, None, shape)
        _check_top(top, networks[0].classes)
    trained.check_together(networks, flip=flip)
    images = heldout.load(networks, choice, recipe, part=part, white=white)
    size = batch_of(batch, chosen, len(images.indices))
    results, ensemble = _judge(networks, images, size, (top,) if top else TOP, flip, progress)
    return Evaluation(
        images.name, images.part, flip, results, ensemble, images.notes, mc_dropout=mc_dropout
    )


def batch_of(given: int | None, chosen: Sequence[Trained], count: int) -> int:
    """Return how many of `count` images are judged at a time: as in training, if nothing says."""
    recipes = [each.recipe for each in chosen if each.recipe]
    return min(given or (recipes[0].batch if recipes else BATCH), count)


def check_numbers(batch: int | None, top: int | None, white: float | None) -> None:
    """Raise `UsageError` for a number that cannot be."""
    for name, number in (("batch", batch), ("top", top)):
        if number is not None:
            arguments.whole(name, number)
    if white is not None:
        arguments.finite("white", white)


def check_passes(mc_dropout: int | None, seed: int | None) -> None:
    """Raise `UsageError` for a number of passes, or a seed of what they drop, that cannot be."""
    if mc_dropout is not None:
        arguments.whole("mc_dropout", mc_dropout)
    if seed is not None:
        arguments.whole("seed", seed, least=0)
        if mc_dropout is None:
            raise UsageError("`seed=` says what is dropped, and goes with `mc_dropout=`")


def _check_top(top: int | None, classes: int) -> None:
    if top is not None and top >= classes:
        raise UsageError(f"`top={top}`: of {classes} classes, one of the {classes} is always right")


def _judge(
    networks: Sequence[Network],
    images: Images,
    batch: int,
    top: Sequence[int],
    flip: bool,
    progress: Progress | None,
) -> tuple[tuple[Result, ...], Result | None]:
    keras, count = networks[0].keras, len(images.indices)
    judges = [_Judge(keras, network.trained, images, top) for network in networks]
    together = _Judge(keras, _common([each.trained for each in networks]), images, top)

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
            found = network.probabilities(pixels[id(store)], limits=limits, batch=batch, flip=flip)
            judge.add(labels, found)
            total = total + found
        if len(networks) > 1:
            together.add(labels, total / len(networks))
        done += len(labels)
        if progress:
            progress(done, count)
    results = tuple(judge.result() for judge in judges)
    return results, together.result() if len(networks) > 1 else None


def _common(chosen: Sequence[Trained]) -> Trained:
    """An ensemble as if it were one: with a recipe if all have the same loss and metrics."""
    recipes = [each.recipe for each in chosen]
    same = all(
        recipe is not None
        and recipes[0] is not None
        and (recipe.loss, recipe.metrics) == (recipes[0].loss, recipes[0].metrics)
        for recipe in recipes
    )
    name = f"ensemble of {len(chosen)}"
    return Trained(name, chosen[0].file, recipe=recipes[0] if same else None)


@dataclass(slots=True)
class _Judge:
    """Counts and measures probabilities as they come."""

    keras: Any
    network: Trained
    images: Images
    top: Sequence[int]
    tally: Tally = field(init=False)
    loss: Any = None
    metrics: list[Any] = field(default_factory=list)
    one_hot: bool = False
    total: float = 0.0

    def __post_init__(self) -> None:
        self.tally = Tally(self.images.class_names, top=self.top)
        recipe = self.network.recipe
        if recipe is None:
            return
        self.one_hot = recipe.loss.name not in OF_INDICES
        self.loss = LOSSES.make(
            self.keras, _of_probabilities(recipe.loss), ("loss",), from_logits=False
        )
        self.metrics = [
            METRICS.make(self.keras, _of_probabilities(each), ("metrics", i), from_logits=False)
            for i, each in enumerate(recipe.metrics)
        ]

    def add(self, labels: NDArray[np.int32], found: NDArray[np.float64]) -> None:
        import numpy as np  # noqa: PLC0415

        self.tally.add(labels, found)
        if self.loss is None:
            return
        classes = len(self.images.class_names)
        truth = np.eye(classes, dtype=np.float32)[labels] if self.one_hot else labels
        predicted = found.astype(np.float32)
        self.total += float(self.loss(truth, predicted)) * len(labels)
        for metric in self.metrics:
            metric.update_state(truth, predicted)

    def result(self) -> Result:
        scores = self.tally.scores()
        measures: dict[str, Any] = {}
        if self.loss is not None:
            measures["loss"] = self.total / scores.images
        measures |= {metric.name: metric.result() for metric in self.metrics}
        return Result(self.network.name, averages(self.keras, measures), scores)


def _of_probabilities(named: Named) -> Named:
    """The same, whatever it says of logits: here there are none any more."""
    arguments = {key: value for key, value in named.arguments.items() if key != "from_logits"}
    return named.model_copy(update={"arguments": arguments})
