"""Data -> batches, in the form that feeds each of Keras's backends fastest.

The contents of a batch depend only on seed, epoch and step, and on the host where there are
several. There is no other state, so a resumed run gets the same batches.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from archspec.data.augment import Augmentation, augment
from archspec.data.dataset import Subset
from archspec.data.pixels import JoinedPixels
from archspec.data.preprocessing import Preprocessing
from archspec.data.targets import TargetScale
from archspec.errors import UsageError
from archspec.lazy import np
from archspec.training.distribution import Devices

if TYPE_CHECKING:
    from numpy.typing import NDArray

READERS: Final = 4
"""Number of threads that prepare batches ahead."""

CHEAP: Final = 2**17
"""Largest number of values in a batch that is copied faster than a thread can be asked for it."""

_ORDER, _AUGMENT = range(2)
"""Purposes of random numbers, each with its own stream."""


@dataclass(eq=False)
class Feed:
    """The batches of a part of the data."""

    part: Subset
    preprocessing: Preprocessing
    batch: int
    classes: int
    """Number of classes, labels or values."""
    one_hot: bool
    """Whether the number of a class becomes a vector of classes."""
    outputs: tuple[str, ...] | None = None
    """Names of the outputs, each of which gets the labels; None for a single output."""
    seed: int | None = None
    """Seed of order and augmentations; None keeps the order."""
    augmentations: tuple[Augmentation, ...] = ()
    weights: NDArray[np.float32] | None = None
    """Weight of each class in the loss."""
    scale: TargetScale | None = None
    """The scale on which numbers are learnt."""
    devices: Devices = field(default_factory=Devices)
    """Devices that share each batch."""
    epoch: int = 1
    """Number of the epoch that Keras trains next."""
    _ordered: tuple[int, NDArray[np.int64]] | None = field(default=None, init=False, repr=False)
    _failure: UsageError | None = field(default=None, init=False, repr=False)

    def looking_at(self, part: Subset) -> Feed:
        """Return a feed of images that are not trained on: in their own order, not augmented."""
        multiple = self.devices.multiple
        batch = min(self.batch, max(1, len(part) // multiple) * multiple)
        return replace(
            self, part=part, batch=batch, seed=None, augmentations=(), weights=None, epoch=1
        )

    @property
    def images(self) -> int:
        """Number of images per epoch.

        If devices cannot share all training images evenly, a random few are left out of each
        epoch (see `Devices.multiple`).
        """
        count = len(self.part)
        return count if self.seed is None else count - count % self.devices.multiple

    @property
    def steps(self) -> int:
        """Number of batches per epoch."""
        return math.ceil(self.images / self.batch)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Return an epoch's order of images, as positions in the part."""
        count = len(self.part)
        if self.seed is None:
            return np.arange(count)
        ordered = self._ordered  # another thread may be reading ahead into the next epoch
        if ordered is None or ordered[0] != epoch:
            random = np.random.default_rng((self.seed, epoch, _ORDER))
            self._ordered = ordered = epoch, random.permutation(count)[: self.images]
        return ordered[1]

    def batch_at(self, epoch: int, step: int) -> tuple[Any, ...]:
        """Return images, labels and perhaps weights of a step, which counts from 0.

        With several hosts, each gets its share.
        """
        positions = self.order(epoch)[step * self.batch : (step + 1) * self.batch]
        mine = positions[self.devices.mine(len(positions))]
        host = None if len(mine) == len(positions) else self.devices.hosts.index
        return self._spread(*self._examples(epoch, step, mine, host))

    def for_keras(self, keras: Any, *, endless: bool = False) -> Any:
        """Return an epoch's batches as Keras's `fit`, `evaluate` and `predict` take them.

        Each iteration yields the batches of `epoch` as it is by then. With `endless`, which is for
        TensorFlow, later epochs follow, and their batches are read ahead of time.
        """
        if keras.backend.backend() == "tensorflow":
            return self._pipeline(endless=endless)
        return _sequence(keras, self)

    @property
    def _is_looked_up(self) -> bool:
        """Whether preparing a batch only copies from memory."""
        return self.part.pixels.array is not None and not self.augmentations

    @property
    def _is_cheap(self) -> bool:
        """Whether preparing a batch is not worth a thread."""
        return self._is_looked_up and self.batch * self.part.pixels.shape.size <= CHEAP

    @property
    def _epochs_are_alike(self) -> bool:
        """Whether TensorFlow can plan the steps alone, without Python, once for all epochs.

        Several devices share batches otherwise where it knows that they are all of one size.
        """
        return self.seed is None and not self.augmentations and self.devices.count == 1

    @contextmanager
    def reading_errors(self) -> Iterator[None]:
        """Raise the error of reading an image in place of TensorFlow's general one."""
        try:
            yield
        except Exception:
            if self._failure is not None:
                raise self._failure from None
            raise

    def _examples(
        self, epoch: int, step: int, positions: NDArray[np.int64], host: int | None = None
    ) -> tuple[Any, ...]:
        try:
            pixels = self.part.pixels.read(self.part.indices[positions])
        except UsageError as error:
            self._failure = error
            raise
        labels = self._labels(positions)
        if self.one_hot:
            labels = np.eye(self.classes, dtype=np.float32)[labels]
        if self.augmentations:
            purpose = (_AUGMENT, step) if host is None else (_AUGMENT, step, host)
            random = np.random.default_rng((self.seed or 0, epoch, *purpose))
            limits = self.part.pixels.range
            pixels, labels = augment(pixels, labels, self.augmentations, random, limits=limits)
        images = self.preprocessing(pixels)
        if self.weights is None:
            return images, labels
        # The weight of a mixed label is the mean over its classes.
        return images, labels, labels @ self.weights if self.one_hot else self.weights[labels]

    def _labels(self, positions: Any = slice(None)) -> NDArray[Any]:
        """Return labels of examples of the part, on the scale on which they are learnt."""
        labels: NDArray[Any] = self.part.labels[positions]
        return labels if self.scale is None else self.scale.scaled(labels)

    def _spread(self, images: Any, *targets: Any) -> tuple[Any, ...]:
        """Return labels and weights for each output by its name, or for the only one."""
        if self.outputs is None:
            return images, *targets
        return images, *(dict.fromkeys(self.outputs, target) for target in targets)

    def _pipeline(self, *, endless: bool) -> Any:
        """Return a TensorFlow dataset, which prepares batches while a step runs."""
        import tensorflow as tf  # noqa: PLC0415  (loaded already, by Keras)

        is_number = self.part.labels.ndim == 1 and not self.one_hot
        label = tf.TensorSpec((None, self.classes), "float32")
        if is_number:
            label = tf.TensorSpec((None,), "int32")
        pixels = self.part.pixels
        inputs = pixels.inputs if isinstance(pixels, JoinedPixels) else {"": pixels}
        images = [tf.TensorSpec((None, *each.shape), "float32") for each in inputs.values()]
        weight = tf.TensorSpec((None,), "float32")
        specs = [*images, label] if self.weights is None else [*images, label, weight]
        make = tf.data.Dataset
        as_is = tf.autograph.experimental.do_not_convert  # nothing in them is for AutoGraph

        def arrays(*place: Any) -> list[Any]:
            given, *targets = self._examples(*place)
            return [*(given.values() if isinstance(given, dict) else [given]), *targets]

        def examples(epoch: Any, step: Any, positions: Any) -> Any:
            types = [spec.dtype for spec in specs]
            tensors = tf.numpy_function(arrays, [epoch, step, positions], types)
            shaped = list(map(tf.ensure_shape, tensors, [spec.shape for spec in specs]))
            given = shaped[: len(inputs)]
            named = dict(zip(inputs, given, strict=True)) if len(inputs) > 1 else given[0]
            return self._spread(named, *shaped[len(inputs) :])

        def steps(epoch: Any) -> Any:
            """Return each step's positions; one by one they would take longer than the images."""
            order = tf.numpy_function(self.order, [epoch], "int64")
            order = tf.ensure_shape(order, (self.images,))
            whole = self.images - self.images % self.batch
            steps = make.from_tensor_slices(tf.reshape(order[:whole], (-1, self.batch)))
            if whole < self.images:
                steps = steps.concatenate(make.from_tensors(order[whole:]))
            return make.zip(make.from_tensors(epoch).repeat(), steps.enumerate())

        def epochs(_: Any) -> Any:
            epoch = tf.numpy_function(lambda: self.epoch, [], "int64")
            following = make.range(epoch, tf.int64.max)
            return following.flat_map(as_is(steps)) if endless else steps(epoch)

        if self._is_looked_up and self.weights is None:
            examples = self._look_up(tf)
        if self._epochs_are_alike and not endless:
            order = make.range(self.images).batch(self.batch)
            batches = make.zip(make.from_tensors(np.int64(1)).repeat(), order.enumerate())
        else:
            batches = make.from_tensors(0).flat_map(as_is(epochs))
        batches = batches.map(
            as_is(lambda epoch, planned: examples(epoch, *planned)), num_parallel_calls=READERS
        )
        count = tf.data.INFINITE_CARDINALITY if endless else self.steps
        counted = tf.data.experimental.assert_cardinality(count)
        options = tf.data.Options()
        options.autotune.enabled = False  # its thread may take a minute to end
        return batches.apply(counted).prefetch(READERS).with_options(options)

    def _look_up(self, tf: Any) -> Any:
        """Return a function that makes a batch without Python, which small networks wait for."""
        with tf.device("CPU"):
            stored = tf.convert_to_tensor(self.part.pixels.array)
            indices = tf.convert_to_tensor(self.part.indices)
            classes = tf.convert_to_tensor(self._labels())

        def examples(_: Any, __: Any, positions: Any) -> Any:
            images = self.preprocessing(tf.gather(stored, tf.gather(indices, positions)))
            labels = tf.gather(classes, positions)
            return self._spread(
                images, tf.one_hot(labels, self.classes) if self.one_hot else labels
            )

        return examples


def _sequence(keras: Any, feed: Feed) -> Any:
    """Return a feed as a Keras `PyDataset`, for JAX and torch.

    It reads ahead by itself, because Keras may start to read an epoch before `on_epoch_begin`.
    """

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.pool = ThreadPoolExecutor(READERS, thread_name_prefix="batches")
            self.waiting: dict[tuple[int, int], Future[tuple[Any, ...]]] = {}

        def __len__(self) -> int:
            return feed.steps

        def __getitem__(self, step: int) -> tuple[Any, ...]:
            images = min(feed.batch, feed.images - step * feed.batch)
            return feed.devices.lay_out(keras, self.read(feed.epoch, step), images)

        def read(self, epoch: int, step: int) -> tuple[Any, ...]:
            if feed._is_cheap:  # noqa: SLF001
                return feed.batch_at(epoch, step)
            wanted = [(epoch, number) for number in range(step, min(step + READERS, feed.steps))]
            self.waiting = {
                place: self.waiting.get(place) or self.pool.submit(feed.batch_at, *place)
                for place in wanted
            }
            return self.waiting[epoch, step].result()

    return Batches()
