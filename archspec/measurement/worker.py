"""The process that compiles: a job comes on standard input, news of it goes to standard output.

`python -m archspec.measurement.worker PARENT FOLDER` is started by `compiling.py`. A crash of the
compiler, or its hunger for memory, ends this process alone. Each piece of news is a line of JSON.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from archspec.device import target
from archspec.device.device import Device, TpuChip
from archspec.errors import ArchspecError
from archspec.keras_model.engine import first_line, load_keras, shortened
from archspec.measurement import dump
from archspec.measurement.job import Job
from archspec.measurement.step import Program, forward_pass, training_step

RUN: Final = "run"
"""Argument with which the program is run on the device that is at hand, and not only compiled."""


PARENT_SECONDS: Final = 1.0
"""Time between two looks at the process that started this one."""


def main() -> None:
    """Do the job that standard input has.

    The first argument is the number of the process that started this one, the second the folder
    into which XLA writes.
    """
    threading.Thread(target=_end_with, args=(int(sys.argv[1]),), daemon=True).start()
    job: Job = pickle.load(sys.stdin.buffer)  # noqa: S301  (from the process that started this)
    try:
        _do(job, Path(sys.argv[2]), runs=RUN in sys.argv)
    except ArchspecError as error:
        _tell(error=str(error))
    except Exception as error:  # noqa: BLE001  (of Keras, JAX or XLA, which have many)
        _tell(error=shortened(first_line(error)), kind=type(error).__name__)


def _end_with(parent: int) -> None:
    """End this process when its parent has ended: a compilation may take minutes and gigabytes."""
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)  # also while C++ code runs


def _do(job: Job, folder: Path, *, runs: bool) -> None:
    keras = load_keras()
    recipe = job.recipe
    described = (
        training_step(keras, job.graph, recipe)
        if job.purpose == "training"
        else forward_pass(keras, job.graph, recipe.batch, recipe.precision)
    )
    with described as program:
        if runs:
            _tell(**_run(program))
            return
        _tell(arguments=program.names)
        import jax  # noqa: PLC0415  (loaded already, by Keras)

        device = _absent(job.device)
        placed = jax.tree.map(
            lambda each: jax.ShapeDtypeStruct(each.shape, each.dtype, sharding=device),
            program.arguments,
        )
        lowered = jax.jit(program.function, donate_argnums=program.donated).lower(*placed)
        _tell(traced=True)
        memory = lowered.compile(compiler_options=dump.options(folder)).memory_analysis()
        _tell(
            memory={
                "arguments": memory.argument_size_in_bytes,
                "temporaries": memory.temp_size_in_bytes,
                "outputs": memory.output_size_in_bytes,
                "aliased": memory.alias_size_in_bytes,
            }
        )


def _absent(device: Device) -> Any:
    """Return the sharding that places arrays on a device that this machine need not have."""
    if device.platform == "cpu":
        return None
    from jax.experimental import topologies  # noqa: PLC0415
    from jax.sharding import SingleDeviceSharding  # noqa: PLC0415

    if isinstance(device.chip, TpuChip):
        topology = topologies.get_topology_desc(device.chip.topology, "tpu")
    else:
        topology = topologies.get_topology_desc(
            "", platform="cuda", target_config=target.described(device), topology="1x1x1"
        )
    return SingleDeviceSharding(topology.devices[0])


def _run(program: Program) -> Mapping[str, Any]:
    """Return the first device at hand, and the peak of its memory after one run on zeros."""
    import jax  # noqa: PLC0415

    arguments = program.zeros()
    compiled = jax.jit(program.function, donate_argnums=program.donated).lower(*arguments).compile()
    jax.block_until_ready(compiled(*arguments))
    device = jax.devices()[0]
    stats = device.memory_stats() or {}
    return {"device": device.device_kind, "peak": stats.get("peak_bytes_in_use")}


def _tell(**news: Any) -> None:
    sys.stdout.write(json.dumps(news, default=list) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
