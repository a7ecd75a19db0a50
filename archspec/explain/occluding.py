"""A patch that hides a part of an image: its positions, and what a network says at each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from archspec.errors import UsageError
from archspec.explain.attribution import MapRequest
from archspec.explain.circuit import CircuitCall
from archspec.explain.gradient import compiled
from archspec.explain.subject import Subject, even
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PART: Final = 7
"""Default number of patches side by side along the shorter side: 32 pixels of 224."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The positions of a patch."""

    extent: tuple[int, ...]
    """The image's, without channels."""
    patch: int
    stride: int
    starts: tuple[tuple[int, ...], ...]
    """First pixel of the patch along each side."""

    @classmethod
    def of(cls, shape: Sequence[int], patch: int | None, stride: int | None) -> Grid:
        """Return the positions, the last ones flush with the border.

        Raise `UsageError` if the patch is larger than the image.
        """
        extent = tuple(shape[:-1])
        shorter = min(extent)
        if patch is None:
            patch = min(shorter, max(2, shorter // PART))
        if patch > shorter:
            raise UsageError(f"`patch={patch}` is larger than the image: {shorter} pixels at most")
        stride = stride or max(1, patch // 2)
        last = [side - patch for side in extent]
        starts = [tuple(sorted({*range(0, end + 1, stride), end})) for end in last]
        return cls(extent, patch, stride, tuple(starts))

    @property
    def counts(self) -> tuple[int, ...]:
        """Positions along each side."""
        return tuple(map(len, self.starts))

    @property
    def leaves_gaps(self) -> bool:
        """Whether there are pixels that no patch hides."""
        return any(
            after - before > self.patch
            for starts in self.starts
            for before, after in itertools.pairwise(starts)
        )

    @property
    def slices(self) -> list[tuple[slice, ...]]:
        """The pixels that are hidden at each position, row by row."""
        return [
            tuple(slice(start, start + self.patch) for start in starts)
            for starts in itertools.product(*self.starts)
        ]

    def per_pixel(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Return for each pixel the mean of the values of the positions that hide it.

        A sum would depend on how many they are: fewer at the border.
        """
        total, coverage = np.zeros(self.extent), np.zeros(self.extent)
        for place, value in zip(self.slices, values, strict=True):
            total[place] += value
            coverage[place] += 1
        hidden = coverage > 0  # with a stride above the patch some pixels never are
        return np.divide(total, coverage, out=np.zeros(self.extent), where=hidden)


@dataclass(frozen=True, eq=False)
class Occluded:
    """The network's answer at each position of the patch: a few numbers, however many classes."""

    scores: NDArray[np.float64]
    """(positions,) scores of the class, before the softmax."""
    shares: NDArray[np.float64]
    """(positions,) probabilities of the class."""
    answers: NDArray[np.intp]
    """(positions,) the most probable class."""
    channel: int
    """Channel (without a layer, class) whose sum is largest without a patch."""
    whole: float
    """The sum of that channel without a patch."""
    sums: NDArray[np.float64]
    """(positions,) sums of that map."""


def occluded(
    request: MapRequest, hidden: NDArray[Any], grid: Grid, call: CircuitCall | None
) -> Occluded:
    """Hide a part of one image by a patch of `hidden`, at one position after the other.

    The strongest map of the layer `call` is summed; for None, the scores in its place.
    """
    subject, (image,), (target,) = request.subject, request.pixels, request.targets
    slices = grid.slices
    function = _scores_and_sums(subject, call)
    # The image as it is comes first: it costs no extra pass.
    places: list[tuple[slice, ...] | None] = [None, *slices]
    size = even(len(places), request.batch)
    scores, shares, answers, sums = [], [], [], []
    channel, whole = 0, 0.0
    for start in range(0, len(places), size):
        some = places[start : start + size]
        images = np.repeat(image[None].astype(np.float32), size, axis=0)
        for one, place in zip(images, some, strict=False):
            if place is not None:
                one[place] = hidden[place]
        result, strength = (each[: len(some)].astype(float) for each in function(images))
        if not np.isfinite(result).all():
            raise UsageError(f"{subject.name} gives scores that are not finite where a patch is")
        if start == 0:
            channel = int(strength[0].argmax())
            whole = float(strength[0, channel])
        # Copies, since a column of an array keeps all of that.
        scores.append(result[:, target].copy())
        shares.append(subject.probabilities(result)[:, target].copy())
        answers.append(result.argmax(axis=1))
        sums.append(strength[:, channel].copy())
        request.tick(max(0, start + len(some) - 1), len(slices))
    return Occluded(
        np.concatenate(scores)[1:],
        np.concatenate(shares)[1:],
        np.concatenate(answers)[1:],
        channel,
        whole,
        np.concatenate(sums)[1:],
    )


def _scores_and_sums(subject: Subject, call: CircuitCall | None) -> Callable[..., Any]:
    """Return a function of images that gives scores, and the sums of a layer's maps."""
    scores, ops = subject.circuit.scores, subject.keras.ops
    watch = (scores,) if call is None else (scores, call.name)

    def run(images: Any) -> Any:
        values = subject.run(images, watch=watch)
        logits = subject.logits(values)
        if call is None:
            return logits, logits
        maps_ = values.after[call.name]
        return logits, ops.sum(maps_, axis=tuple(range(1, len(maps_.shape) - 1)))

    function: Callable[..., Any] = subject.once(
        ("occlusion", watch), lambda: compiled(subject.circuit, run)
    )
    return function
