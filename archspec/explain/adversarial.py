"""Adversarial images: steps along the sign of a gradient, rounded as a file rounds them."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from archspec.data.values import Range
from archspec.errors import UsageError
from archspec.explain.circuit import AnyTensor
from archspec.explain.gradient import TensorFunction, derivative, repeated
from archspec.explain.subject import Subject, batched
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVELS: Final = 255
"""Number of steps from black to white in a PNG file of 8 bits."""

OVERSHOOT: Final = 2.5
"""Sum of the steps of an iterated attack, in epsilons (Madry et al. 2018)."""


@dataclass(frozen=True, eq=False)
class Attack:
    """The fast gradient sign method, once or iterated, on raw pixels."""

    subject: Subject
    limits: Range
    steps: int
    wanted: int | None
    """The class that images are to be taken for; None for any other than now."""

    @classmethod
    def on(cls, subject: Subject, steps: int, target: str | int | None) -> Attack:
        """Return an attack on a network.

        Raise `UsageError` if it is not a classifier, its black and white are not known, or it has
        no such class.
        """
        _ = subject.class_names
        if subject.range is None:
            raise UsageError(
                f"{subject.name} was trained on images of which black and white are not known, so "
                "a change cannot be a share of their range: train with "
                "`data.range: [BLACK, WHITE]`"
            )
        wanted = None if target is None else subject.class_index(target)
        return cls(subject, subject.range, steps, wanted)

    @cached_property
    def _climb(self) -> TensorFunction:
        """Function (first, last, pixels, clean pixels, classes, epsilon, rate) -> pixels."""
        keras, (black, white) = self.subject.keras, self.limits
        ops = keras.ops
        away = -1.0 if self.wanted is None else 1.0

        def odds(pixels: AnyTensor, classes: AnyTensor) -> tuple[AnyTensor, tuple[()]]:
            watch = {self.subject.circuit.scores}
            logits = self.subject.logits(self.subject.run(pixels, watch=watch))
            return away * log_odds(self.subject, logits, classes), ()

        def step(_: AnyTensor, pixels: AnyTensor, *others: AnyTensor) -> AnyTensor:
            clean, classes, epsilon, rate = others
            slope, _ = derivative(keras, odds, pixels, classes)
            pixels = pixels + rate * ops.sign(slope)
            pixels = ops.clip(pixels, clean - epsilon, clean + epsilon)
            return ops.clip(pixels, black, white)

        return repeated(self.subject.circuit, step)

    def __call__(
        self, pixels: NDArray[Any], classes: NDArray[np.intp], epsilon: Any, batch: int
    ) -> NDArray[np.float32]:
        """Return raw pixels (n, *shape) changed by at most `epsilon`, between black and white.

        `classes` (n,) are those to leave; in a targeted attack, to reach. `epsilon` is a share of
        the range: one number or (n,).
        """
        subject = self.subject
        wanted = subject.one_hot(classes)
        most = self._in_pixels(epsilon, pixels)
        rate = most if self.steps == 1 else np.minimum(most, most * (OVERSHOOT / self.steps))

        def climb(pixels: Any, *others: Any) -> Any:
            return self._climb(0, self.steps, pixels, pixels, *others)

        return np.concatenate(list(batched(climb, batch, pixels, wanted, most, rate)))

    def _in_pixels(self, epsilon: Any, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return shares of the range as raw values that broadcast over the images' pixels."""
        most = np.broadcast_to(np.asarray(epsilon) * self.limits.span, len(pixels))
        column: NDArray[np.float32] = most.reshape(-1, *(1,) * (pixels.ndim - 1)).astype(np.float32)
        return column

    def random_signs(
        self, pixels: NDArray[Any], epsilon: Any, seed: int, numbers: NDArray[np.intp]
    ) -> NDArray[np.float32]:
        """Return the control: every pixel changed by `epsilon`, up or down at random.

        The signs of an image depend on the seed and its number only.
        """
        signs = np.stack(
            [
                np.random.default_rng((seed, int(number))).integers(0, 2, pixels.shape[1:]) * 2 - 1
                for number in numbers
            ]
        )
        changed = pixels + self._in_pixels(epsilon, pixels) * signs
        result: NDArray[np.float32] = np.clip(changed, *self.limits).astype(np.float32)
        return result

    def in_files(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return images as files hold them: written as PNGs and read as `predict` reads.

        Images that no picture file can hold are rounded to the same number of levels.
        """
        subject, (black, _) = self.subject, self.limits
        if not holds_pictures(subject):
            levels = np.rint((pixels - black) / self.limits.span * LEVELS)
            result: NDArray[np.float32] = (levels * (self.limits.span / LEVELS) + black).astype(
                "f4"
            )
            return result
        files = (written(each, self.limits) for each in pixels)
        read = [subject.preprocessing.read(file, subject.shape) for file in files]
        return np.stack(read).astype(np.float32)


def log_odds(subject: Subject, logits: AnyTensor, classes: AnyTensor) -> AnyTensor:
    """Return (n,) log(p / (1 - p)) of the classes that are 1 in (n, classes), from the logits.

    The cross-entropy is log(1 + exp(-log odds)), whose gradient has the opposite sign. Unlike that,
    the gradient of the log odds does not vanish where p rounds to 1.
    """
    ops = subject.keras.ops
    logits = ops.cast(logits, "float32")
    own = ops.sum(logits * classes, axis=-1)
    if subject.circuit[subject.circuit.scores].activation == "sigmoid":
        return own
    others = ops.where(classes > 0, ops.full_like(logits, -1e30), logits)
    return own - ops.logsumexp(others, axis=-1)


def holds_pictures(subject: Subject) -> bool:
    """Return whether a picture file can hold the images that a network takes."""
    return len(subject.shape) == 3 and subject.shape[-1] in {1, 3}


def written(pixels: NDArray[Any], limits: Range) -> bytes:
    """Return the PNG file of an image (height, width, 1 or 3), rounded to 8 bits a sample."""
    from PIL import Image  # noqa: PLC0415

    levels = np.clip(np.rint((pixels - limits.black) / limits.span * LEVELS), 0, LEVELS)
    picture = levels.astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(out, "PNG")
    return out.getvalue()


def smallest(fooled: Callable[[NDArray[Any]], NDArray[np.bool_]], count: int) -> NDArray[np.intp]:
    """Return the smallest change of each image that fools, in levels of a file; 0 without one.

    `fooled` returns whether a change of each image fools. The change is doubled, then bisected. An
    attack that succeeds with a change but fails with a larger one, which is rare, can hide a
    smaller one.
    """
    fails, fools = np.zeros(count, int), np.zeros(count, int)
    size = 1
    while not fools.all():
        result = (fools == 0) & fooled(np.full(count, size))
        fools[result] = size
        fails[fools == 0] = size
        if size == LEVELS:
            break
        size = min(2 * size, LEVELS)
    while (open_ := fools - fails > 1).any():
        middle = np.where(open_, (fools + fails) // 2, np.maximum(fools, 1))
        result = fooled(middle)
        fools[open_ & result] = middle[open_ & result]
        fails[open_ & ~result] = middle[open_ & ~result]
    return fools
