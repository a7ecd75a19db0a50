"""A method at work: the network and the images it was given, its progress, and a stop by Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any, Final, TypedDict, TypeVar

from archspec import __version__, arguments
from archspec.explain.gallery import Exhibit, Fact, Gallery, Picture
from archspec.explain.samples import SHOWN, ImagesLike, Samples, load_samples
from archspec.explain.subject import Explainable, Subject, open_subject
from archspec.training.interrupt import Interrupt

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")

Tick = Callable[[int, int], None]
"""A function that is told how many steps of the work are done, of how many; it may end it."""

BATCH: Final = 32
"""Images, or positions of a patch, that go through the network at a time."""

MOST_VALUES: Final = 2**28
"""Pixel values of a batch, at most: a GiB of float32, whatever batch is asked for."""


class Common(TypedDict, total=False):
    """What every method takes, beside its own arguments."""

    normalize: str | None
    """How the images of a model file, a model or a spec are prepared."""
    white: float | None
    """The value of white in arrays; as in training, where it is not given."""
    data: str | PathLike[str] | None
    """Other data than the run's own for images such as test:3."""
    batch: int
    """Images, or variants of one, that go through the network at a time."""
    seed: int
    """Seed of whatever is random."""
    progress: Tick | None


@dataclass(eq=False)
class Study:
    """A network, and what of it is to be explained."""

    subject: Subject
    images: ImagesLike
    data: str | PathLike[str] | None
    white: float | None
    batch: int
    seed: int
    progress: Tick | None
    normalize: str | None = None
    _interrupt: Interrupt = field(default_factory=Interrupt)
    _loaded: list[Samples] = field(default_factory=list)
    """All images that were looked at: what is to be known of them is said in the end."""
    _amid: bool = False
    """Whether what is under way is not asked to end, and has to be cut short."""

    @classmethod
    def open(
        cls, run: Explainable, images: ImagesLike = None, *, looks: bool = True, **common: Any
    ) -> Study:
        """Check the arguments that every method takes, and load the network.

        Raises:
            UsageError: one of them is wrong, or there is no such network.

        """
        progress = common.get("progress")
        if progress is not None and not callable(progress):
            raise arguments.wrong("progress", progress, "a function of two numbers, or None")
        batch = arguments.whole("batch", common.get("batch", BATCH))
        seed = arguments.whole("seed", common.get("seed", 0), least=0)
        subject = open_subject(run, normalize=common.get("normalize"), seed=seed, looks=looks)
        batch = min(batch, max(1, MOST_VALUES // subject.shape.size))
        return cls(
            subject,
            images,
            common.get("data"),
            common.get("white"),
            batch,
            seed,
            progress,
            common.get("normalize"),
        )

    @cached_property
    def samples(self) -> Samples:
        """The images that are named; of a part of the data, the first few."""
        return self.load(most=SHOWN)

    @cached_property
    def all_samples(self) -> Samples:
        """The images that are named, of a part of the data all."""
        return self.load(most=None)

    def load(self, images: ImagesLike = None, *, most: int | None) -> Samples:
        """Other images than those of the study, if any are named (see `load_samples`)."""
        chosen = self.images if images is None else images
        found = load_samples(self.subject, chosen, data=self.data, white=self.white, most=most)
        self._loaded.append(found)
        return found

    def target(self, given: str | int | None, scores: NDArray[Any]) -> int:
        """The class that is meant: the one that is given, or the most probable one."""
        return int(scores.argmax()) if given is None else self.subject.class_index(given)

    def facts_of(self, scores: NDArray[Any], target: int) -> dict[str, Fact]:
        """The class that an image is explained for, its score and its probability."""
        return {
            "class": self.subject.class_names[target],
            "score": float(scores[target]),
            "probability": float(self.subject.probabilities(scores[None])[0, target]),
        }

    def summary(self, what: str, facts: Mapping[str, Any]) -> str:
        """A line for the terminal: what was found of which class, its score and probability."""
        score, share = facts["score"], facts["probability"]
        return f"{what} of class {facts['class']}, score {score:.3g}, probability {share:.1%}"

    def tick(self, done: int, total: int) -> None:
        """Say how far the work is; end it, where Ctrl-C asks for that."""
        if self._interrupt.requested:
            raise _Stopped
        if self.progress:
            self.progress(done, total)

    def unless_interrupted(self, work: Callable[[], T]) -> T | None:
        """Do work of a library that nothing can be asked amid; Ctrl-C ends it, and gives None."""
        self._amid = True
        try:
            return None if self._interrupt.requested else work()
        except _Stopped:
            return None
        finally:
            self._amid = False

    def _on_request(self) -> None:
        """What Ctrl-C does at once: nothing, as the next tick ends the work."""
        if self._amid:
            raise _Stopped

    def picture_of(
        self, pixels: NDArray[Any], name: str = "image", title: str = "image"
    ) -> Picture:
        """An image as the network takes it, to be shown beside its maps."""
        limits = self.subject.range
        return Picture(name, title, pixels, "pixels", limits=limits)

    def shown(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Raw pixels as values from 0 to 1, for a map to be laid over (see `Picture.over`)."""
        import numpy as np  # noqa: PLC0415

        limits = self.subject.range
        black, white = limits or (float(pixels.min()), float(pixels.max()))
        return np.clip((pixels - black) / ((white - black) or 1.0), 0, 1).astype(np.float32)

    def gallery(
        self,
        method: str,
        exhibits: Iterable[Exhibit],
        settings: Mapping[str, Fact],
        notes: Iterable[str] = (),
    ) -> Gallery:
        """Do the work of a method, one exhibit after the other; Ctrl-C keeps what is done."""
        begun = time.perf_counter()
        done: list[Exhibit] = []
        interrupted = False
        with self._interrupt.caught():
            self._interrupt.begin_training(self._on_request)
            try:
                before = begun
                for exhibit in exhibits:
                    now = time.perf_counter()
                    done.append(replace(exhibit, seconds=now - before))
                    before = now
            except _Stopped:
                interrupted = True
        loaded = self._loaded
        said = [*self.subject.notes, *(note for each in loaded for note in each.notes), *notes]
        return Gallery(
            method=method,
            network=self.subject.name,
            settings={**settings, "seed": self.seed},
            exhibits=tuple(done),
            notes=tuple(dict.fromkeys(said)),
            unread=tuple(dict.fromkeys(each for one in loaded for each in one.unread)),
            interrupted=interrupted or self._interrupt.requested,
            seconds=time.perf_counter() - begun,
            given=self._given(),
        )

    def _given(self) -> dict[str, Fact]:
        """What was named, for a record from which the result comes again."""
        return {
            "images": _named(self.images),
            "data": None if self.data is None else str(self.data),
            "normalize": self.normalize,
            "white": self.white,
            "batch": self.batch,
            "backend": str(self.subject.keras.backend.backend()),
            "archspec": __version__,
        }


def _named(images: ImagesLike) -> Fact:
    """Images as they were named; of arrays their shape."""
    shape = getattr(images, "shape", None)
    if images is None or isinstance(images, str):
        return images
    if shape is not None:
        return f"an array of the shape {tuple(shape)}"
    return [str(_named(each)) for each in images] if isinstance(images, Sequence) else str(images)


class _Stopped(Exception):  # noqa: N818  (no error)
    """Ctrl-C asked for the work to end."""
