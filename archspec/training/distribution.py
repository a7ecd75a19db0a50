"""The devices that share each batch, by Keras's own ways: one face for TensorFlow's and for JAX's.

On TensorFlow it is `tf.distribute.MirroredStrategy`: a model made in its scope splits what it is
given. On JAX it is `keras.distribution.DataParallel`: variables made in its scope are on each
device. There the batches are laid out here, because Keras would give the last, smaller one of an
epoch the layout of the first, which it may not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from archspec import system
from archspec.errors import Problem, RecipeError
from archspec.recipe.parts import Named
from archspec.recipe.train import Recipe
from archspec.training.hosts import ALONE, Hosts, hushed

HOW_TO_MAKE_MORE: Final = {
    "jax": "to try it out on a CPU, XLA_FLAGS=--xla_force_host_platform_device_count={count} in "
    "the environment makes {count} of it",
    "tensorflow": "to try it out on a CPU, tf.config.set_logical_device_configuration makes "
    "{count} of it, before anything is computed",
}

CLIPS: Final = "each device would clip its own share of a gradient"
NOT_AT_EACH_STEP: Final = "what devices do together they do at each step"
NOT_ON_TENSORFLOW: Final = {
    "clipnorm": CLIPS,
    "clipvalue": CLIPS,
    "global_clipnorm": CLIPS,
    "ema_overwrite_frequency": NOT_AT_EACH_STEP,
    "gradient_accumulation_steps": NOT_AT_EACH_STEP,
}
"""Arguments of optimizers, and why they cannot be where devices share a batch."""


@dataclass(frozen=True, slots=True, eq=False)
class Devices:
    """What shares each batch; alone, one device, on which everything is as Keras does it."""

    count: int = 1
    """On all hosts."""
    hosts: Hosts = ALONE
    engine: Any = None
    """TensorFlow's strategy, or Keras's distribution on JAX."""
    backend: str = ""

    def scope(self) -> AbstractContextManager[Any]:
        """Inside, what has variables is made: models, optimizers, metrics."""
        return nullcontext() if self.engine is None else self.engine.scope()

    @property
    def multiple(self) -> int:
        """A training epoch's images are so many, or a multiple.

        TensorFlow's devices weigh what each has of a batch alike, even if one has an image more.
        """
        return self.count if self.backend == "tensorflow" else 1

    def check_images(self, train: int, validation: int) -> None:
        """Raise `RecipeError` where each device cannot have one."""
        for what, images in {"training": train, "validation": validation or train}.items():
            if images < self.multiple:
                message = f"{self.count} devices cannot share {images} {what} images"
                raise RecipeError([(("devices",), Problem("value", message))])

    def steps_per_execution(self, steps: int) -> int:
        """Of so many as one device would run; a strategy fails within TensorFlow's own loop."""
        return 1 if self.backend == "tensorflow" else steps

    def shared(self, images: int) -> bool:
        """Whether a batch of so many is shared, and not computed whole by each device."""
        return images % self.count == 0

    def mine(self, images: int) -> slice:
        """What this host reads of a batch of so many."""
        if not self.shared(images):
            return slice(images)
        share = images // self.hosts.count
        return slice(self.hosts.index * share, (self.hosts.index + 1) * share)

    def lay_out(self, keras: Any, batch: tuple[Any, ...], images: int) -> tuple[Any, ...]:
        """What this host has of a batch of so many, on its devices, as part of the whole."""
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
        """Compute something together, before what is said meanwhile could disturb anybody."""
        import jax  # noqa: PLC0415  (loaded already, by Keras)
        import numpy as np  # noqa: PLC0415

        ones = np.ones(self.count // self.hosts.count, np.float32)
        with hushed():
            (shared,) = self.lay_out(keras, (ones,), self.count)
            jax.block_until_ready(keras.ops.sum(shared))

    def make_steps(self, model: Any) -> None:
        """Make a compiled model's steps, whose results are to be laid out as its variables are.

        Keras makes no others then.
        """
        if self.backend == "jax":
            with self.scope():
                model.make_train_function()
                model.make_test_function()

    def align(self, model: Any) -> None:
        """Give all devices the means of what only their own share of the images has changed.

        On TensorFlow that are the running statistics of batch norms. Each device has its own, and
        only the first one's would be saved.
        """
        if self.backend != "tensorflow":
            return
        import tensorflow as tf  # noqa: PLC0415  (loaded already, by Keras)

        for variable in model.non_trainable_weights:
            held = self.engine.experimental_local_results(variable.value)
            if variable.value.dtype.is_floating:
                first = tf.identity(held[0])  # the mean by differences: equal ones stay, to the bit
                differences = tf.add_n([tf.identity(value) - first for value in held])
                variable.assign(first + differences / len(held))

    def aligning(self, keras: Any) -> list[Any]:
        """Callbacks that align before others look, and before a validation."""
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
    """The devices that a recipe asks for, of each host as many.

    Raises `RecipeError` where there are not as many, or cannot share what the recipe says.
    """
    backend = keras.backend.backend()
    names = _names(keras, hosts)
    there = min(map(len, names))
    wanted = there if recipe.devices == "all" else recipe.devices or 1
    if backend == "torch" and wanted > 1:
        message = "with PyTorch, Keras computes on one device"
        hint = "set KERAS_BACKEND=jax or KERAS_BACKEND=tensorflow"
        raise RecipeError([(("devices",), Problem("value", message, help=hint))])
    if wanted > there:
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
    """One for all runs of a process: of two, TensorFlow takes what one adds up for the other's."""
    import tensorflow as tf  # noqa: PLC0415  (loaded already, by Keras)

    return tf.distribute.MirroredStrategy(devices)


def _names(keras: Any, hosts: Hosts) -> list[list[str]]:
    """Of each host's devices, as `gpu:0`."""
    if hosts.count == 1:
        return [system.devices(keras)]
    import jax  # noqa: PLC0415  (nothing else has several hosts)

    names: list[list[str]] = [[] for _ in range(hosts.count)]
    for device in jax.devices():
        names[device.process_index].append(f"{device.platform}:{device.id}")
    return names


def _too_many(wanted: int, names: list[list[str]], backend: str) -> Problem:
    host = min(range(len(names)), key=lambda index: len(names[index]))
    there = len(names[host])
    place = f" on host {host}" if len(names) > 1 else ""
    verb = "is" if there == 1 else "are"
    message = f"there {verb} {there} of the {wanted} devices{place}: {', '.join(names[host])}"
    only_cpus = all(name.startswith("cpu") for name in names[host])
    hint = HOW_TO_MAKE_MORE.get(backend) if only_cpus else None
    return Problem("value", message, help=hint and hint.format(count=wanted))


def _check_batch(recipe: Recipe, count: int) -> None:
    over = recipe.batch % count
    if over:
        lower, higher = recipe.batch - over, recipe.batch - over + count
        near = lower if lower and over <= count - over else higher
        message = f"{count} devices cannot share a batch of {recipe.batch} images evenly"
        problem = Problem("value", message, help=f"the nearest that they can share is {near}")
        raise RecipeError([(("batch",), problem)])


def _check_for_tensorflow(recipe: Recipe) -> None:
    """What a strategy does otherwise than one device would, or not at all."""
    found: list[tuple[tuple[str, ...], Problem]] = []
    if recipe.jit is True:
        message = "with TensorFlow, XLA compiles no step that devices share"
        found.append((("jit",), Problem("value", message, help="leave it out")))
    if recipe.steps_per_execution not in {"auto", 1}:
        message = "with TensorFlow, what devices share runs one step per execution"
        problem = Problem("value", message, help="leave it out, or write auto")
        found.append((("steps_per_execution",), problem))
    path: tuple[str, ...] = ("optimizer",)
    named = recipe.optimizer
    while isinstance(inner := named.arguments.get("inner_optimizer"), Mapping):
        path, named = (*path, named.name, "inner_optimizer"), Named.model_validate(inner)
    for argument, reason in NOT_ON_TENSORFLOW.items():
        if named.arguments.get(argument) is not None:
            message = f"with TensorFlow, {reason}, so `{argument}` would not do what it says"
            problem = Problem("value", message, help="leave it out, or set KERAS_BACKEND=jax")
            found.append(((*path, named.name, argument), problem))
    if found:
        raise RecipeError(found)
