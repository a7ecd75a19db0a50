"""Attribution: what each pixel does for the score of a class, by whichever method.

Each such method has a function `maps` in its file, and all are called in one way, so that what
uses a map (`segment`, `faithfulness`, `overview`) can use any.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from archspec import arguments
from archspec.errors import UsageError
from archspec.explain.circuit import Rule
from archspec.explain.gallery import Exhibit, Fact, Item, Picture, PictureLook
from archspec.explain.gradient import differentiated
from archspec.explain.study import BATCH, Study, Tick
from archspec.explain.subject import Subject, batched

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Maps(Protocol):
    """The function `maps` of a method."""

    def __call__(
        self,
        subject: Subject,
        pixels: NDArray[Any],
        targets: Sequence[int],
        *,
        batch: int = BATCH,
        seed: int = 0,
        tick: Tick | None = None,
    ) -> NDArray[np.float64]:
        """Return a map of each image for a class.

        Args:
            subject: the network.
            pixels: (n, *shape) raw pixels.
            targets: the number of a class for each image.
            batch: images, or variants of one, that go through the network at a time.
            seed: seed of what is random.
            tick: told how far the work is.

        Returns:
            (n, *extent) maps, of the images' extent, without channels.

        """
        ...


ATTRIBUTIONS: Final[dict[str, PictureLook]] = {
    "saliency": "positive",
    "smoothgrad": "positive",
    "integrated-gradients": "signed",
    "grad-cam": "positive",
    "occlusion": "signed",
    "deconvnet": "positive",
    "guided": "positive",
}
"""Every such method, and how its maps are shown: of a `signed` one, what is below 0 speaks against
the class."""


def maps_by(name: str, argument: str = "by") -> Maps:
    """Return the function `maps` of a method.

    Raises:
        UsageError: there is no such method.

    """
    arguments.one_of(argument, name, ATTRIBUTIONS)
    module = importlib.import_module(f"archspec.explain.methods.{name.replace('-', '_')}")
    found: Maps = module.maps
    return found


def class_gradients(
    subject: Subject,
    pixels: NDArray[Any],
    targets: Sequence[int],
    batch: int = BATCH,
    relu: Rule = "vanilla",
) -> NDArray[np.float32]:
    """Return d score of each image's class / d its raw pixels, of the pixels' shape.

    The score is that before the softmax.
    """
    import numpy as np  # noqa: PLC0415

    scores, ops = subject.circuit.scores, subject.keras.ops

    def score(images: Any, chosen: Any) -> Any:
        logits = subject.logits(subject.run(images, watch=(scores,), relu=relu))
        return ops.sum(logits * chosen, axis=-1), ()

    function = subject.once(
        ("class_gradients", relu), lambda: differentiated(subject.circuit, score)
    )
    chosen = subject.one_hot(targets)
    found = np.concatenate([each for each, _ in batched(function, batch, pixels, chosen)])
    check_finite(subject, found)
    return found


def check_finite(subject: Subject, values: NDArray[Any]) -> None:
    """Check what was computed of a network whose scores are finite.

    Raises:
        UsageError: it is not finite.

    """
    import numpy as np  # noqa: PLC0415

    if not np.isfinite(values).all():
        raise UsageError(
            f"{subject.name} has gradients that are not finite at this image, though its scores are"
        )


def check_places(subject: Subject) -> None:
    """Check that the network takes images, signals or volumes, of which there are maps.

    Raises:
        UsageError: it takes vectors, whose values have no place.

    """
    if subject.shape.rank == 0:
        raise UsageError(
            f"{subject.name} takes vectors of {subject.shape}: a map is of images, signals or "
            "volumes, whose values have a place"
        )


@dataclass(eq=False)
class Group:
    """Some images that are explained at a time, each with the class that is asked for."""

    study: Study
    names: tuple[str, ...]
    pixels: NDArray[np.float32]
    """(n, *shape) raw pixels."""
    scores: NDArray[np.float64]
    """(n, classes), before the softmax."""
    targets: tuple[int, ...]
    begin: int
    """Images before these."""
    total: int
    """Images in all."""
    steps: int = 1
    """Steps of the work on an image."""

    def __len__(self) -> int:
        return len(self.names)

    def tick(self, done: int, total: int) -> None:
        """Say how far the work on these images is, as a part of that on all."""
        self.steps = max(1, total // len(self))
        self.study.tick(self.begin * self.steps + done, self.total * self.steps)

    def facts(self, at: int) -> dict[str, Fact]:
        """The class of an image, its score and its probability."""
        return self.study.facts_of(self.scores[at], self.targets[at])

    def exhibit(
        self, at: int, what: str, items: Sequence[Item], extra: str = "", **facts: Fact
    ) -> Exhibit:
        """An image and its maps; the first of them is the main one, and has all the facts."""
        known = self.facts(at)
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

    Args:
        study: the network and its images.
        target: the class that is asked for; None for the most probable one of each image.
        size: images at a time.
        prefer_label: take the true class, where it is known, before the most probable one.

    Raises:
        UsageError: the network takes vectors, of which there is no map.

    """
    subject, samples = study.subject, study.samples
    check_places(subject)
    for numbers, pixels in samples.batches(size or study.batch):
        scores = subject.scores(pixels, study.batch)
        if target is None and prefer_label and samples.labels is not None:
            targets = tuple(int(label) for label in samples.labels[numbers])
        else:
            targets = tuple(study.target(target, each) for each in scores)
        names = tuple(samples.names[number] for number in numbers)
        begin, total = int(numbers[0]), len(samples)
        group = Group(study, names, pixels, scores, targets, begin, total)
        yield group
        group.tick(len(group) * group.steps, len(group) * group.steps)
