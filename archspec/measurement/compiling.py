"""A job -> the memory that XLA plans for it, in a process of its own.

XLA lays out a program's memory before it makes code for the device, which takes most of its time.
So the process is ended as soon as the layout is written. Where a version of XLA writes no layout,
or in other files, the compilation runs to its end, and tells the sums alone.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import math
import os
import pickle
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from archspec import system
from archspec.errors import UsageError
from archspec.keras_model.build import layer_name
from archspec.keras_model.engine import shortened
from archspec.measurement import dump, worker
from archspec.measurement.dump import CompiledMemory
from archspec.measurement.job import Job

COMPILERS: Final = {
    "cuda": ("jax_plugins.xla_cuda12", "NVIDIA GPUs", "measure"),
    "tpu": ("libtpu", "TPUs", "measure-tpu"),
    "cpu": ("jaxlib", "CPUs", "jax"),
}
"""Module of JAX's compiler, what it compiles for, and archspec's extra that has it, by platform."""

LOOK_SECONDS: Final = 0.1
"""Time between two looks at the process."""

MOST_MEMORY: Final = 0.8
"""Share of the memory of this machine, or of its container, that the process may take."""

ENDING_SECONDS: Final = 5.0


def check(platform: str) -> None:
    """Raise `UsageError` if what compiles for a platform of JAX is not installed.

    Args:
        platform: `cuda`, `tpu` or `cpu`.
    """
    needed, what, extra = COMPILERS[platform]
    if is_installed("jax") and is_installed(needed):
        return
    command = f"pip install 'keras-archspec[{extra}]'"
    elsewhere = sys.platform != "linux" and platform != "cpu"
    where = f"; it is made for Linux only, not {sys.platform}" if elsewhere else ""
    raise UsageError(f"compiling for {what} needs JAX and its compiler for them: {command}{where}")


def is_installed(module: str) -> bool:
    """Return whether a module, which may be inside a package, could be imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package that it is in
        return False


def compiled(job: Job) -> CompiledMemory:
    """Return the memory that XLA plans for a program on a device that this machine need not have.

    Args:
        job: The program and the device.

    Raises:
        UsageError: The compiler is not installed, refuses the program, or ended without a result.
    """
    platform = job.device.platform
    check(platform)
    with tempfile.TemporaryDirectory(prefix="archspec-") as name:
        folder = Path(name)
        changes = {"JAX_PLATFORMS": "cpu"}
        if platform == "tpu":
            changes |= _of_a_tpu_host(job)
        with _process(job, changes, folder) as process:
            program = _awaited(process, folder, job)
            news = _news(folder)
        if program is not None:
            steps = {layer_name(node): node.name for node in job.graph.nodes}
            return dump.read(program, news.get("arguments", {}), steps)
    if "memory" in news:
        return CompiledMemory(**news["memory"])
    raise _failure(job, news, process)


def run_once(job: Job) -> Mapping[str, Any] | None:
    """Return the device at hand and its peak bytes after one run; None where JAX sees no GPU.

    Args:
        job: The program; its device is not looked at.
    """
    if not any(Path("/dev").glob("nvidia[0-9]*")):
        return None
    with tempfile.TemporaryDirectory(prefix="archspec-") as name:
        folder = Path(name)
        changes = {"JAX_PLATFORMS": "cuda", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        with _process(job, changes, folder, worker.RUN) as process:
            _awaited(process, folder, job)
            news = _news(folder)
    return news if news.get("peak") else None


def _of_a_tpu_host(job: Job) -> dict[str, str]:
    """Return the variables that keep libtpu from looking for its host, and for a chip to lock."""
    return {
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
        "TPU_SKIP_MDS_QUERY": "1",
        "TPU_ACCELERATOR_TYPE": getattr(job.device.chip, "accelerator", ""),
        "TPU_WORKER_HOSTNAMES": "localhost",
    }


@contextlib.contextmanager
def _process(
    job: Job, changes: Mapping[str, str], folder: Path, *arguments: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Start the process of a job, which ends with the block at the latest."""
    environment = {**os.environ, **changes, "KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3"}
    with (folder / "news").open("wb") as news, (folder / "log").open("wb") as log:
        program = [sys.executable, "-P", "-m", worker.__name__]
        process = subprocess.Popen(  # noqa: S603
            [*program, str(os.getpid()), str(folder), *arguments],
            stdin=subprocess.PIPE,
            stdout=news,
            stderr=log,
            env=environment,
        )
    try:
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError), process.stdin:
                process.stdin.write(pickle.dumps(job))
        yield process
    finally:
        process.kill()
        process.wait(ENDING_SECONDS)


def _awaited(process: subprocess.Popen[bytes], folder: Path, job: Job) -> Path | None:
    """Return the dumped program once it is whole; None when the process has ended without one.

    Raises `UsageError` if the process takes nearly all memory of this machine or container.
    """
    most = MOST_MEMORY * (system.ram_bytes() or math.inf)
    while (program := dump.finished(folder)) is None:
        if process.poll() is not None:
            return dump.finished(folder)
        if (used := _resident(process.pid)) > most:
            raise UsageError(
                f"compiling {job.graph.name} took {used / 1e9:.1f} GB, nearly all of this "
                "machine's memory: measure a smaller variant, or on a larger machine"
            )
        time.sleep(LOOK_SECONDS)
    return program


def _resident(process: int) -> int:
    """Return the bytes of a process; 0 where the system does not tell."""
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
        if match := re.search(r"^VmRSS:\s*(\d+) kB", status, re.MULTILINE):
            return int(match[1]) * 1024
    return 0


def _news(folder: Path) -> dict[str, Any]:
    """Return all that the process has told.

    The last line may be cut, and others may be what Keras or JAX print.
    """
    told: dict[str, Any] = {}
    for line in (folder / "news").read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            if isinstance(news := json.loads(line), dict):
                told |= news
    if "error" not in told:
        told["log"] = (folder / "log").read_text(encoding="utf-8", errors="replace")[-2000:]
    return told


def _failure(job: Job, news: Mapping[str, Any], process: subprocess.Popen[bytes]) -> UsageError:
    """Return the error of a process that ended without a result."""
    what = f"the {job.purpose} step of {job.graph.name} for {job.device}"
    if "error" in news:
        return UsageError(f"cannot compile {what}: {news['error']}")
    if process.returncode and process.returncode < 0:
        reason = f"the compiler was ended by signal {-process.returncode}"
        if process.returncode == -9:
            reason += ", as a system does that is short of memory"
    else:
        last = [line for line in news.get("log", "").splitlines() if line.strip()][-1:]
        reason = shortened(last[0]) if last else f"the compiler ended with {process.returncode}"
    if job.device.target:
        reason += (
            f"; compare {job.device.source} with XLA's own descriptions: a field may be missing"
        )
    return UsageError(f"cannot compile {what}: {reason}")
