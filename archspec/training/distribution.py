"""The devices that share each batch: one interface to Keras's ways on TensorFlow and on JAX.

On TensorFlow that is `tf.distribute.MirroredStrategy`: a model built in its scope splits each
batch. On JAX it is `keras.distribution.DataParallel`: variables made in its scope are on every
device. On JAX the batches are laid out here, because Keras would give the smaller last batch of an
epoch the layout of the first, which may not fit it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from archspec import system
from archspec.errors import Problem, RecipeError
from archspec.lazy import np
from archspec.recipe.sections import Named
from archspec.recipe.train import Recipe
from archspec.training.hosts import ALONE, Hosts, stdout_held_back

HOW_TO_MAKE_MORE: Final = {
    "jax": "to try it on one CPU, set XLA_FLAGS=--xla_force_host_platform_device_count={count} in "
    "the environment: JAX then sees {count} devices",
    "tensorflow": "to try it on one CPU, call tf.config.set_logical_device_configuration before "
    "anything is computed, with {count} devices",
}

CLIPS: Final = "each device would clip its own share of a gradient"
NOT_AT_EACH_STEP: Final = "devices that share a batch update at every step"
NOT_ON_TENSORFLOW: Final = {
    "clipnorm": CLIPS,
    "clipvalue": CLIPS,
    "global_clipnorm": CLIPS,
    "ema_overwrite_frequency": NOT_AT_EACH_STEP,
    "gradient_accumulation_steps": NOT_AT_EACH_STEP,
}
"""Arguments of optimizers that devices cannot have when they share a batch, and the reason."""


@dataclass(frozen=True, slots=True, eq=False)
class Devices:
    """The devices that share each batch; by default one, which Keras uses in its own way."""

    count: int = 1
    """Number of devices on all hosts together."""
    hosts: Hosts = ALONE
    engine: Any = None
    """TensorFlow's strategy, or Keras's distribution on JAX."""
    backend: str = ""

    def scope(self) -> AbstractContextManager[Any]:
        """Return the context in which models, optimizers and metrics are to be made."""
        return nullcontext() if self.engine is None else self.engine.scope()

    @property
    def multiple(self) -> int:
        """Divisor of the number of images in a training epoch.

        TensorFlow gives all devices' shares of a batch the same weight, even if one is larger.
        """
        return self.count if self.backend == "tensorflow" else 1

    def check_images(self, train: int, validation: int) -> None:
        """Raise `RecipeError` unless each device gets at least one image."""
        for what, images in {"training": train, "validation": validation or train}.items():
            if images < self.multiple:
                message = f"{self.count} devices cannot share {images} {what} images"
                raise RecipeError([(("devices",), Problem("value", message))])

    def peak_flops(self, keras: Any, precision: str) -> float:
        """Return the peak of all devices; several devices made of one CPU count as one."""
        is_cpu = system.devices(keras)[0].startswith("cpu")
        count = self.hosts.count if is_cpu else self.count
        return count * system.known_peak_flops(keras, precision)

    def steps_per_execution(self, steps: int) -> int:
        """Return `steps` at a time, or 1: a strategy fails inside TensorFlow's own loop."""
        return 1 if self.backend == "tensorflow" else steps

    def shared(self, images: int) -> bool:
        """Return whether a batch is split, not computed whole by each device."""
        return images % self.count == 0

    def mine(self, images: int) -> slice:
        """Return this host's share of a batch of `images` images."""
        if not self.shared(images):
            return slice(images)
        share = images // self.hosts.count
        return slice(self.hosts.index * share, (self.hosts.index + 1) * share)

    def lay_out(self, keras: Any, batch: tuple[Any, ...], images: int) -> tuple[Any, ...]:
        """Return this host's share of a batch of `images` images as part of a global array."""
        if self.backend != "jax":
            return batch
        import jax  # noqa: PLC0415  (loaded already, by Keras)

        axes = (self.engine.batch_dim_name,) if self.shared(images) else ()
        mesh = self.engine.device_mesh.backend_mesh
        layout = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))

        def put(array: Any) -> Any:
            return jax.make_array_from_process_local_data(layout, array)

        laid_out: tuple[Any, ...] = keras.tree.map_structure(put, batch)
        return laid_out

    def meet(self, keras: Any) -> None:
        """Compute a sum on all devices, so that gloo reports its connections now, unseen."""
        import jax  # noqa: PLC0415  (loaded already, by Keras)

        ones = np.ones(self.count // self.hosts.count, np.float32)
        with stdout_held_back():
            (shared,) = self.lay_out(keras, (ones,), self.count)
            jax.block_until_ready(keras.ops.sum(shared))

    def make_steps(self, model: Any) -> None:
        """Build a compiled model's step functions in the scope, so that Keras builds no others.

        Their results are then laid out over the devices like the model's variables.
        """
        if self.backend == "jax":
            with self.scope():
                model.make_train_function()
                model.make_test_function()

    def align(self, model: Any) -> None:
        """Set the running statistics of batch norms to their mean over all devices.

        On TensorFlow each device updates its own from its share of the images, and only those of
        the first would be saved.
        """
        if self.backend != "tensorflow":
            return
        import tensorflow as tf  # noqa: PLC0415  (loaded already, by Keras)

        for variable in model.non_trainable_weights:
            values = self.engine.experimental_local_results(variable.value)
            if variable.value.dtype.is_floating:
                # By differences, the mean of equal values is exactly that value.
                first = tf.identity(values[0])
                differences = tf.add_n([tf.identity(value) - first for value in values])
                variable.assign(first + differences / len(values))

    def aligning(self, keras: Any) -> list[Any]:
        """Return callbacks that call `align` at an epoch's end and before its validation."""
        if self.backend != "tensorflow":
            return []
        align = self.align

        class Aligning(keras.callbacks.Callback):  # type: ignore[misc]
            def on_test_begin(self, logs: Any = None) -> None:  # noqa: ARG002
                align(self.model)

            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
                align(self.model)

        return [Aligning()]


def choose(keras: Any, recipe: Recipe, hosts: Hosts) -> Devices:
    """Return the devices that a recipe asks for, as many on each host.

    Raises:
        RecipeError: There are too few devices, or they cannot train by this recipe.

    """
    backend = keras.backend.backend()
    names = _names(keras, hosts)
    available = min(map(len, names))
    wanted = available if recipe.devices == "all" else recipe.devices or 1
    if backend == "torch" and wanted > 1:
        message = "with PyTorch, Keras computes on one device"
        hint = "set KERAS_BACKEND=jax or KERAS_BACKEND=tensorflow"
        raise RecipeError([(("devices",), Problem("value", message, help=hint))])
    if wanted > available:
        raise RecipeError([(("devices",), _too_many(wanted, names, backend))])
    count = wanted * hosts.count
    if count == 1:
        return Devices()
    _check_batch(recipe, count)
    chosen = [name for host in names for name in host[:wanted]]
    if backend == "jax":
        engine = keras.distribution.DataParallel(devices=chosen, auto_shard_dataset=False)
    else:
        _check_for_tensorflow(recipe)
        engine = _strategy(tuple(chosen))
    devices = Devices(count, hosts, engine, backend)
    if hosts.count > 1:
        devices.meet(keras)
    return devices


@cache
def _strategy(devices: tuple[str, ...]) -> Any:
    """Return one strategy for all runs of a process: TensorFlow confuses the sums of two."""
    import tensorflow as tf  # noqa: PLC0415  (loaded already, by Keras)

    return tf.distribute.MirroredStrategy(devices)


def _names(keras: Any, hosts: Hosts) -> list[list[str]]:
    """Return the names of each host's devices, such as `gpu:0`."""
    if hosts.count == 1:
        return [system.devices(keras)]
    import jax  # noqa: PLC0415  (nothing else has several hosts)

    names: list[list[str]] = [[] for _ in range(hosts.count)]
    for device in jax.devices():
        names[device.process_index].append(f"{device.platform}:{device.id}")
    return names


def _too_many(wanted: int, names: list[list[str]], backend: str) -> Problem:
    host = min(range(len(names)), key=lambda index: len(names[index]))
    count = len(names[host])
    place = f" on host {host}" if len(names) > 1 else ""
    present = f"is only {count}" if count == 1 else f"are only {count}"
    message = f"there {present} of {wanted} devices{place}: {', '.join(names[host])}"
    only_cpus = all(name.startswith("cpu") for name in names[host])
    hint = HOW_TO_MAKE_MORE.get(backend) if only_cpus else None
    return Problem("value", message, help=hint and hint.format(count=wanted))


def _check_batch(recipe: Recipe, count: int) -> None:
    over = recipe.batch % count
    if over:
        lower, higher = recipe.batch - over, recipe.batch - over + count
        near = lower if lower and over <= count - over else higher
        message = f"{count} devices cannot share a batch of {recipe.batch} images evenly"
        problem = Problem("value", message, help=f"the nearest batch that they can share is {near}")
        raise RecipeError([(("batch",), problem)])


def _check_for_tensorflow(recipe: Recipe) -> None:
    """Raise `RecipeError` for what a strategy cannot do, or does differently than one device."""
    problems: list[tuple[tuple[str, ...], Problem]] = []
    if recipe.jit is True:
        message = "with TensorFlow, XLA cannot compile the steps of devices that share a batch"
        problems.append((("jit",), Problem("value", message, help="leave it out")))
    if recipe.steps_per_execution not in {"auto", 1}:
        message = "with TensorFlow, devices that share a batch run one step per execution"
        problem = Problem("value", message, help="leave it out, or write auto")
        problems.append((("steps_per_execution",), problem))
    path: tuple[str, ...] = ("optimizer",)
    named = recipe.optimizer
    while isinstance(inner := named.arguments.get("inner_optimizer"), Mapping):
        path, named = (*path, named.name, "inner_optimizer"), Named.model_validate(inner)
    for argument, reason in NOT_ON_TENSORFLOW.items():
        if named.arguments.get(argument) is not None:
            message = f"with TensorFlow, {reason}, so `{argument}` would have another effect"
            problem = Problem("value", message, help="leave it out, or set KERAS_BACKEND=jax")
            problems.append(((*path, named.name, argument), problem))
    if problems:
        raise RecipeError(problems)
