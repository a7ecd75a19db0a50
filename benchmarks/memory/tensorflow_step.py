"""The training step of Keras on TensorFlow, planned by XLA for an NVIDIA GPU that need not exist.

    python benchmarks/memory/tensorflow_step.py vgg16 32 float32 FOLDER

`compile.py --engine tensorflow-gpu` starts this program, and reads what XLA writes. TensorFlow
traces the step that `fit` runs with `jit_compile`, and gives XLA's program for it, with the
variables as arguments whose place the updated ones take. It gives a program of resources only for
a device that is there, so this is the program that it makes for a CPU. JAX's compiler for GPUs
takes it instead of one of JAX. Both TensorFlow and the extra `measure` must be installed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"

import jax
import keras
import tensorflow as tf
from jax._src import compiler
from jax._src.interpreters import mlir
from jax._src.lib import _jax
from jax._src.lib.mlir import ir
from jax.experimental import topologies

import archspec
from archspec.compile.expand import expand
from archspec.device import target
from archspec.device.finding import find
from archspec.measurement import dump
from archspec.measurement.measurement import SGD_WITH_MOMENTUM
from archspec.measurement.step import compiled_model
from archspec.recipe.train import Recipe

MODULE = "jit_train_step"
"""Name of the program: that of JAX's, by which XLA is told what to write."""


def program(network: str, batch: int, dtype: str) -> bytes:
    """Return the training step as a serialized program of XLA."""
    settings = {"batch": batch, "precision": dtype, "optimizer": SGD_WITH_MOMENTUM}
    recipe = Recipe.resolve({}, settings)
    model, labels = compiled_model(keras, expand(archspec.load(network)), recipe)

    def batched(array: Any) -> Any:
        return tf.zeros((batch, *array.shape[1:]), array.dtype)

    @tf.function(jit_compile=True)
    def step(x: Any, y: Any) -> Any:
        return model.train_step((x, y))

    x = tf.nest.map_structure(batched, model.input)
    y = tf.nest.map_structure(batched, labels)
    serialized: bytes = step.experimental_get_compiler_ir(x, y)(stage="hlo_serialized")
    return serialized


def planned(serialized: bytes, device: str, folder: Path) -> Any:
    """Return the statistics of a program's memory, compiled for a device.

    Args:
        serialized: The program.
        device: The device's name.
        folder: Where XLA writes how it lays out the memory.
    """
    described = target.described(find(device))
    topology = topologies.get_topology_desc(
        "", platform="cuda", target_config=described, topology="1x1x1"
    )
    chip = topology.devices[0]
    with mlir.make_ir_context():
        module = ir.Module.parse(_jax.mlir.hlo_to_stablehlo(serialized))
        module.operation.attributes["sym_name"] = ir.StringAttr.get(MODULE)
        _without_copies(module.operation)
    options = compiler.get_compile_options(
        num_replicas=1, num_partitions=1, env_options_overrides=dump.options(folder)
    )
    compiled = compiler.backend_compile_and_load(
        chip.client, module, _jax.DeviceList((chip,)), options, []
    )
    return compiled.get_compiled_memory_stats()


def _without_copies(operation: Any) -> None:
    """Remove the copies of results, which are no operation of StableHLO and change nothing."""
    for region in operation.regions:
        for block in region.blocks:
            for each in list(block.operations):
                inner = each.operation
                if inner.name == "mhlo.copy":
                    inner.results[0].replace_all_uses_with(inner.operands[0])
                    inner.erase()
                else:
                    _without_copies(inner)


def main() -> None:
    network, batch, dtype, folder = sys.argv[1:]
    jax.config.update("jax_platforms", "cpu")
    print(planned(program(network, int(batch), dtype), "h100", Path(folder)))


if __name__ == "__main__":
    main()
