"""Attribution: what each pixel contributes to the score of a class, by any of several methods.

Each such method has a function `maps` in its module, and all are called in the same way, so that
whatever uses a map (`segment`, `faithfulness`, `overview`) can use any of them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from archspec import arguments
from archspec.errors import UsageError
from archspec.explain.circuit import ReluRule
from archspec.explain.gallery import Exhibit, FactValue, Item, Picture, PictureLook
from archspec.explain.gradient import differentiated
from archspec.explain.study import BATCH, Study, Tick
from archspec.explain.subject import Subject, batched
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(kw_only=True, eq=False)
class MapRequest:
    """Images, and for each the class whose score its map is to explain."""

    subject: Subject
    pixels: NDArray[Any]
    """(n, *shape) raw pixels."""
    targets: Sequence[int]
    """Number of the class of each image."""
    batch: int = BATCH
    """Images, or variants of one, that go through the network at a time."""
    seed: int = 0
    progress: Tick | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    def tick(self, done: int, total: int) -> None:
        """Report how many steps of the work on these images are done; it may end the work."""
        if self.progress:
            self.progress(done, total)

    def each(self) -> Iterator[MapRequest]:
        """Yield a request for each image alone, whose progress is a part of this one's."""
        count = len(self)
        for at, target in enumerate(self.targets):

            def tick(done: int, total: int, at: int = at) -> None:
                self.tick(at * total + done, count * total)

            yield MapRequest(
                subject=self.subject,
                pixels=self.pixels[at : at + 1],
                targets=(target,),
                batch=self.batch,
                seed=self.seed,
                progress=tick,
            )


Maps: TypeAlias = "Callable[[MapRequest], NDArray[np.float64]]"
"""Function that returns a map of each image, (n, *extent): of the image's extent, without channels.

Raises `UsageError` where the network has no such maps.
"""

ATTRIBUTIONS: Final[dict[str, PictureLook]] = {
    "saliency": "positive",
    "smoothgrad": "positive",
    "integrated-gradients": "signed",
    "grad-cam": "positive",
    "occlusion": "signed",
    "deconvnet": "positive",
    "guided": "positive",
}
"""Attribution methods, and how their maps are shown: in a `signed` one, values below 0 are evidence
against the class."""


def maps_by(name: str, argument: str = "by") -> Maps:
    """Return the function `maps` of a method; raise `UsageError` if there is no such method."""
    arguments.one_of(argument, name, ATTRIBUTIONS)
    module = importlib.import_module(f"archspec.explain.methods.{name.replace('-', '_')}")
    function: Maps = module.maps
    return function


def class_gradients(
    subject: Subject,
    pixels: NDArray[Any],
    targets: Sequence[int],
    batch: int = BATCH,
    relu: ReluRule = "vanilla",
) -> NDArray[np.float32]:
    """Return d score / d raw pixels for the class of each image, of the pixels' shape.

    The score is that before the softmax.
    """
    scores, ops = subject.circuit.scores, subject.keras.ops

    def score(images: Any, chosen: Any) -> Any:
        logits = subject.logits(subject.run(images, watch=(scores,), relu=relu))
        return ops.sum(logits * chosen, axis=-1), ()

    function = subject.once(
        ("class_gradients", relu), lambda: differentiated(subject.circuit, score)
    )
    chosen = subject.one_hot(targets)
    gradients = np.concatenate([each for each, _ in batched(function, batch, pixels, chosen)])
    check_finite(subject, gradients)
    return gradients


def check_finite(subject: Subject, values: NDArray[Any]) -> None:
    """Raise `UsageError` where gradients of a network whose scores are finite are not finite."""
    if not np.isfinite(values).all():
        raise UsageError(
            f"{subject.name} has gradients that are not finite at this image, though its scores are"
        )


def check_places(subject: Subject) -> None:
    """Raise `UsageError` unless the network takes images, signals or volumes, which have maps."""
    if subject.shape.rank == 0:
        raise UsageError(
            f"{subject.name} takes vectors of {subject.shape}: maps need images, signals or "
            "volumes, whose values have positions"
        )


@dataclass(kw_only=True, eq=False)
class Group(MapRequest):
    """Images of a study that are explained together."""

    study: Study
    names: tuple[str, ...]
    scores: NDArray[np.float64]
    """(n, classes), before the softmax."""
    begin: int
    """Number of images before these."""
    total: int
    """Number of images in all."""
    steps: int = 1
    """Steps of the work on an image."""

    def tick(self, done: int, total: int) -> None:
        """Report how far the work on these images is, as a part of that on all."""
        self.steps = max(1, total // len(self))
        self.study.tick(self.begin * self.steps + done, self.total * self.steps)

    def exhibit(
        self,
        what: str,
        items: Sequence[Item],
        facts: Mapping[str, FactValue] = MappingProxyType({}),
        *,
        extra: str = "",
        at: int = 0,
    ) -> Exhibit:
        """Return an image with its maps; the first map is the main one and shows all the facts."""
        known = self.study.facts_of(self.scores[at], self.targets[at])
        every = {**known, **facts}
        summary = self.study.summary(what, known)
        first, *others = items
        if isinstance(first, Picture):
            if first.look != "mask" and first.is_zero:
                summary += "; the map is 0 everywhere"
            first = replace(first, facts={**every, **first.facts})
        shown = [self.study.picture_of(self.pixels[at]), first, *others]
        return Exhibit(self.names[at], summary + extra, shown, every)


def groups(
    study: Study,
    target: str | int | None,
    size: int | None = None,
    *,
    prefer_label: bool = False,
) -> Iterator[Group]:
    """Yield the images of a study, `size` or else a batch of them at a time.

    The class to explain is `target`, by default the most probable one of each image, or with
    `prefer_label` the true one where it is known. Raises `UsageError` for a network of vectors,
    which have no maps.
    """
    subject, samples = study.subject, study.samples
    check_places(subject)
    for numbers, pixels in samples.batches(size or study.batch):
        scores = subject.scores(pixels, study.batch)
        if target is None and prefer_label and samples.labels is not None:
            targets = tuple(int(label) for label in samples.labels[numbers])
        else:
            targets = tuple(study.target(target, each) for each in scores)
        group = Group(
            subject=subject,
            pixels=pixels,
            targets=targets,
            batch=study.batch,
            seed=study.seed,
            study=study,
            names=tuple(samples.names[number] for number in numbers),
            scores=scores,
            begin=int(numbers[0]),
            total=len(samples),
        )
        yield group
        group.tick(len(group) * group.steps, len(group) * group.steps)
