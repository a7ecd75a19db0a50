"""A method at work: its network and images, its progress, and its end by Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any, Final, TypedDict, TypeVar

from archspec import __version__, arguments
from archspec.explain.gallery import Exhibit, FactValue, Gallery, Picture
from archspec.explain.samples import SHOWN, ImagesLike, Samples, load_samples
from archspec.explain.subject import Explainable, Subject, open_subject
from archspec.lazy import np
from archspec.training.interrupt import Interrupt

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T")

Tick = Callable[[int, int], None]
"""Function that is called with the number of steps that are done, and of all; it may raise."""

BATCH: Final = 32
"""Images, or positions of a patch, that go through the network at a time."""

MOST_VALUES: Final = 2**28
"""Largest number of pixel values in a batch: a GiB of float32, whatever batch is asked for."""


class Common(TypedDict, total=False):
    """The arguments that every method takes beside its own."""

    normalize: str | None
    """Preparation of the images of a model file, a model or a spec."""
    white: float | None
    """The value of white in arrays; by default that of the training images."""
    data: str | PathLike[str] | None
    """Other data than the run's own for images such as test:3."""
    batch: int
    """Images, or variants of one, that go through the network at a time."""
    seed: int
    """Seed of all random numbers."""
    progress: Tick | None


@dataclass(eq=False)
class Study:
    """A network and the images that a method looks at."""

    subject: Subject
    images: ImagesLike
    data: str | PathLike[str] | None = None
    white: float | None = None
    batch: int = BATCH
    seed: int = 0
    progress: Tick | None = None
    normalize: str | None = None
    _interrupt: Interrupt = field(default_factory=Interrupt)
    _loaded: list[Samples] = field(default_factory=list)
    """All images that were looked at, whose notes the gallery repeats."""
    _is_uninterruptible: bool = False
    """Whether code is running that does not tick, so that Ctrl-C has to raise."""

    @classmethod
    def open(
        cls, run: Explainable, images: ImagesLike = None, *, looks: bool = True, **common: Any
    ) -> Study:
        """Check the arguments that every method takes (see `Common`), and load the network.

        Images are read when they are needed; `looks` says whether the method looks at any. Raises
        `UsageError` for a wrong argument, or if there is no such network.
        """
        progress = common.get("progress")
        if progress is not None and not callable(progress):
            raise arguments.wrong("progress", progress, "a function of two numbers, or None")
        common["batch"] = arguments.whole("batch", common.get("batch", BATCH))
        common["seed"] = seed = arguments.whole("seed", common.get("seed", 0), least=0)
        subject = open_subject(run, normalize=common.get("normalize"), seed=seed, looks=looks)
        common["batch"] = min(common["batch"], max(1, MOST_VALUES // subject.shape.size))
        return cls(subject, images, **common)

    @cached_property
    def samples(self) -> Samples:
        """The images, of a part of the data without numbers only the first few."""
        return self.load(most=SHOWN)

    @cached_property
    def all_samples(self) -> Samples:
        """The images, of a part of the data without numbers all."""
        return self.load(most=None)

    def load(self, images: ImagesLike = None, *, most: int | None) -> Samples:
        """Return images, by default those of the study (see `load_samples`)."""
        chosen = self.images if images is None else images
        samples = load_samples(self.subject, chosen, data=self.data, white=self.white, most=most)
        self._loaded.append(samples)
        return samples

    def target(self, name: str | int | None, scores: NDArray[Any]) -> int:
        """Return the number of a class, by default of the most probable one."""
        return int(scores.argmax()) if name is None else self.subject.class_index(name)

    def facts_of(self, scores: NDArray[Any], target: int) -> dict[str, FactValue]:
        """Return the class that an image is explained for, its score and its probability."""
        return {
            "class": self.subject.class_names[target],
            "score": float(scores[target]),
            "probability": float(self.subject.probabilities(scores[None])[0, target]),
        }

    def summary(self, what: str, facts: Mapping[str, Any]) -> str:
        """Return a line for the terminal: the result, its class, score and probability."""
        score, share = facts["score"], facts["probability"]
        return f"{what} of class {facts['class']}, score {score:.3g}, probability {share:.1%}"

    def tick(self, done: int, total: int) -> None:
        """Report the progress; end the work if Ctrl-C was pressed."""
        if self._interrupt.requested:
            raise _Stopped
        if self.progress:
            self.progress(done, total)

    def unless_interrupted(self, work: Callable[[], T]) -> T | None:
        """Return the result of code that does not tick; None if Ctrl-C ends it."""
        self._is_uninterruptible = True
        try:
            return None if self._interrupt.requested else work()
        except _Stopped:
            return None
        finally:
            self._is_uninterruptible = False

    def _on_request(self) -> None:
        if self._is_uninterruptible:  # else the next tick ends the work
            raise _Stopped

    def picture_of(
        self, pixels: NDArray[Any], name: str = "image", title: str = "image", **shown: Any
    ) -> Picture:
        """Return an image of the network's range as a picture."""
        return Picture(name, title, pixels, "pixels", limits=self.subject.range, **shown)

    def shown(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return raw pixels as values from 0 to 1, to lay a map over (see `Picture.over`)."""
        limits = self.subject.range
        black, white = limits or (float(pixels.min()), float(pixels.max()))
        return np.clip((pixels - black) / ((white - black) or 1.0), 0, 1).astype(np.float32)

    def gallery(
        self, exhibits: Iterable[Exhibit], notes: Iterable[str] = (), **resolved: FactValue
    ) -> Gallery:
        """Do the work of a method, one exhibit after the other; Ctrl-C keeps what is done.

        Args:
            exhibits: the work, as a generator.
            notes: remarks on the whole result; read after the work.
            **resolved: settings that differ from the arguments of the method, or that it adds to
                them. `@method` fills in the others, and the method's name.

        """
        start = before = time.perf_counter()
        done: list[Exhibit] = []
        interrupted = False
        with self._interrupt.caught():
            self._interrupt.begin_training(self._on_request)
            try:
                for exhibit in exhibits:
                    now = time.perf_counter()
                    done.append(replace(exhibit, seconds=now - before))
                    before = now
            except _Stopped:
                interrupted = True
        loaded = self._loaded
        remarks = [*self.subject.notes, *(note for each in loaded for note in each.notes), *notes]
        return Gallery(
            method="",
            network=self.subject.name,
            settings={**resolved, "seed": self.seed},
            exhibits=tuple(done),
            notes=tuple(dict.fromkeys(remarks)),
            unread=tuple(dict.fromkeys(each for one in loaded for each in one.unread)),
            interrupted=interrupted or self._interrupt.requested,
            seconds=time.perf_counter() - start,
            given={
                "images": _named(self.images),
                "data": None if self.data is None else str(self.data),
                "normalize": self.normalize,
                "white": self.white,
                "batch": self.batch,
                "backend": str(self.subject.keras.backend.backend()),
                "archspec": __version__,
            },
        )


def _named(images: ImagesLike) -> FactValue:
    """Return images as they were named; of an array, its shape."""
    shape = getattr(images, "shape", None)
    if images is None or isinstance(images, str):
        return images
    if shape is not None:
        return f"an array of the shape {tuple(shape)}"
    return [str(_named(each)) for each in images] if isinstance(images, Sequence) else str(images)


class _Stopped(Exception):  # noqa: N818  (no error)
    """Ctrl-C ends the work."""
