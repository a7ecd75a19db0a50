"""Hand-written training loops, tuned, for a Keras model on each of its backends.

They are the other side of `training.py`: an epoch trains on all images in a new order, and keeps
count of the loss and of the images that were right. They validate nothing and write nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np

PADDING = 4
"""Pixels, of a random crop."""

STEPS_PER_CALL = 100
"""Between two visits of TensorFlow to Python."""


class Task(NamedTuple):
    """A compiled Keras model and what it is to learn."""

    model: Any
    images: Any
    """float32, as the network takes them."""
    labels: Any
    """One-hot."""
    batch: int
    crop: bool
    """Whether images are padded by black, cropped and flipped at random."""


def loop(task: Task) -> Callable[[], float]:
    """An epoch, to be called again and again: its mean loss."""
    model, optimizer = task.model, task.model.optimizer
    optimizer.build(model.trainable_variables)
    optimizer.exclude_from_weight_decay(
        var_list=[variable for variable in model.weights if len(variable.shape) < 2]
    )
    made = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[keras.backend.backend()]
    return made(task)


def _tensorflow(task: Task) -> Callable[[], float]:
    """Many steps are one call; tf.data gathers batches ahead, also of the next epoch."""
    import tensorflow as tf  # noqa: PLC0415

    model, images, labels, batch, crop = task
    optimizer, objective = model.optimizer, model.loss
    height, width = images.shape[1:3]
    with tf.device("CPU"):
        stored, classes = tf.constant(images), tf.constant(labels)

    def examples(positions: Any) -> tuple[Any, Any]:
        return tf.gather(stored, positions), tf.gather(classes, positions)

    def augmented(images: Any, labels: Any) -> tuple[Any, Any]:
        images = tf.image.random_flip_left_right(images)
        padded = tf.pad(images, [[0, 0], [PADDING] * 2, [PADDING] * 2, [0, 0]])
        count = tf.shape(images)[0]
        corners = tf.random.uniform([count, 2], maxval=2 * PADDING + 1, dtype=tf.int32)
        rows = corners[:, :1] + tf.range(height)
        columns = corners[:, 1:] + tf.range(width)
        cropped = tf.gather(padded, rows, axis=1, batch_dims=1)
        return tf.gather(cropped, columns, axis=2, batch_dims=1), labels

    dataset = tf.data.Dataset.range(len(images)).shuffle(len(images)).batch(batch)
    dataset = dataset.map(examples, tf.data.AUTOTUNE)
    if crop:
        dataset = dataset.map(augmented, tf.data.AUTOTUNE)
    batches = iter(dataset.repeat().prefetch(tf.data.AUTOTUNE))

    @tf.function
    def step(images: Any, labels: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            predicted = model(images, training=True)
            loss = objective(labels, predicted)
        optimizer.apply(tape.gradient(loss, model.trainable_weights), model.trainable_weights)
        hits = tf.argmax(predicted, 1) == tf.argmax(labels, 1)
        return loss, tf.reduce_sum(tf.cast(hits, tf.float32))

    @tf.function
    def steps(count: Any) -> tuple[Any, Any]:
        total, right = 0.0, 0.0
        for _ in tf.range(count):
            loss, hits = step(*next(batches))
            total += loss
            right += hits
        return total, right

    count = -(-len(images) // batch)
    per_call = min(count, STEPS_PER_CALL)

    def epoch() -> float:
        total = 0.0
        for done in range(0, count, per_call):
            loss, _ = steps(tf.constant(min(per_call, count - done)))
            total += float(loss)
        return total / count

    return epoch


def _jax(task: Task) -> Callable[[], float]:
    """A compiled step on states that it may overwrite; the images lie on the device."""
    import jax  # noqa: PLC0415

    model, images, labels, batch, crop = task
    optimizer, objective = model.optimizer, model.loss
    stored, classes = jax.device_put(images), jax.device_put(labels)
    height, width, channels = images.shape[1:]

    def augmented(images: Any, key: Any) -> Any:
        keys = jax.random.split(key)
        flips = jax.random.bernoulli(keys[0], shape=(len(images), 1, 1, 1))
        flipped = jax.numpy.where(flips, images[:, :, ::-1], images)
        padded = jax.numpy.pad(flipped, ((0, 0), (PADDING,) * 2, (PADDING,) * 2, (0, 0)))
        corners = jax.random.randint(keys[1], (len(images), 2), 0, 2 * PADDING + 1)

        def cut(image: Any, corner: Any) -> Any:
            return jax.lax.dynamic_slice(image, (*corner, 0), (height, width, channels))

        return jax.vmap(cut)(padded, corners)

    @partial(jax.jit, donate_argnums=0)
    def step(state: Any, positions: Any, key: Any) -> tuple[Any, Any, Any]:
        trained, other, slots = state
        x, y = stored[positions], classes[positions]
        x = augmented(x, key) if crop else x

        def predict(trained: Any) -> tuple[Any, tuple[Any, Any]]:
            predicted, changed = model.stateless_call(trained, other, x, training=True)
            loss = objective(y, predicted)
            return loss, (predicted, changed)

        derived = jax.value_and_grad(predict, has_aux=True)
        (loss, (predicted, other)), gradients = derived(trained)
        trained, slots = optimizer.stateless_apply(slots, gradients, trained)
        return (trained, other, slots), loss, (predicted.argmax(1) == y.argmax(1)).sum()

    lists = model.trainable_variables, model.non_trainable_variables, optimizer.variables
    state = tuple([jax.numpy.array(variable.value) for variable in each] for each in lists)
    random = np.random.default_rng(0)

    def epoch() -> float:
        nonlocal state
        order = random.permutation(len(images))
        measured = []
        for start in range(0, len(order), batch):
            key = jax.random.key(random.integers(2**31))
            state, *figures = step(state, order[start : start + batch], key)
            measured.append(figures)
        return float(np.mean([float(loss) for loss, _ in measured]))

    return epoch


def _torch(task: Task) -> Callable[[], float]:
    """Steps one by one; the images lie on the device."""
    import torch  # noqa: PLC0415

    model, images, labels, batch, crop = task
    optimizer, objective = model.optimizer, model.loss
    stored = keras.ops.convert_to_tensor(images)
    classes = keras.ops.convert_to_tensor(labels)
    height, width = images.shape[1:3]
    weights = [weight.value for weight in model.trainable_weights]

    def augmented(images: Any) -> Any:
        flips = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
        flipped = torch.where(flips, images.flip(2), images)
        padded = torch.nn.functional.pad(flipped, (0, 0) + (PADDING,) * 4)
        corners = torch.randint(2 * PADDING + 1, (len(images), 2, 1), device=images.device)
        rows = corners[:, 0] + torch.arange(height, device=images.device)
        columns = corners[:, 1] + torch.arange(width, device=images.device)
        which = torch.arange(len(images), device=images.device)[:, None, None]
        return padded[which, rows[:, :, None], columns[:, None]]

    def epoch() -> float:
        order = torch.randperm(len(images), device=stored.device)
        losses, right = [], []
        for positions in order.split(batch):
            x, y = stored[positions], classes[positions]
            predicted = model(augmented(x) if crop else x, training=True)
            loss = objective(y, predicted)
            gradients = torch.autograd.grad(loss, weights)
            with torch.no_grad():
                optimizer.apply(gradients, model.trainable_weights)
                right.append((predicted.argmax(1) == y.argmax(1)).sum())
            losses.append(loss.detach())
        return float(torch.stack(losses).mean())

    return epoch
