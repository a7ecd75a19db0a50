"""The machine that a run computes on: its devices, the memory in use, the rate that it reaches."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from archspec.lazy import np

GAUGE_SECONDS: Final = 1.0
"""Seconds between two looks of a gauge."""

MEASURING_SECONDS: Final = 0.25
SMALLEST: Final = 256
LARGEST: Final = 8192
"""Rows of the square matrices that are multiplied: at most 0.8 GB of them, in float32."""

TRIES: Final = 3
"""Measurements of each size, of which the least counts: other processes may disturb one."""

IN_A_ROW: Final = 4
"""Multiplications between two waits for the device."""


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Bytes in use, and the most there ever were."""

    used: int
    peak: int
    device: bool
    """Whether the memory is the accelerators' own, or else the process's, with its data."""


def devices(keras: Any) -> list[str]:
    """Return the devices that Keras computes on, as `gpu:0`."""
    if keras.backend.backend() == "torch":
        import torch  # noqa: PLC0415  (of the three, only the backend in use is there)

        count = torch.cuda.device_count()
        return [f"gpu:{index}" for index in range(count)] or ["cpu:0"]
    return [str(name).lower() for name in keras.distribution.list_devices()]


def memory(keras: Any) -> MemoryUse:
    """Return the accelerators' memory, or the process's if the backend does not tell; or 0."""
    with contextlib.suppress(RuntimeError, ValueError, KeyError, AttributeError):
        pairs = _device_memory(keras)
        if pairs:
            used, peak = (sum(values) for values in zip(*pairs, strict=True))
            return MemoryUse(used, peak, device=True)
    used, peak = _process_memory()
    return MemoryUse(used, peak, device=False)


def _device_memory(keras: Any) -> list[tuple[int, int]]:
    """Bytes in use and their peak, of each accelerator that the backend keeps count of."""
    backend = keras.backend.backend()
    if backend == "torch":
        import torch  # noqa: PLC0415

        count = range(torch.cuda.device_count())
        return [(torch.cuda.memory_allocated(i), torch.cuda.max_memory_allocated(i)) for i in count]
    if backend == "jax":
        import jax  # noqa: PLC0415

        stats = [d.memory_stats() for d in jax.local_devices() if d.platform != "cpu"]
        return [(s["bytes_in_use"], s["peak_bytes_in_use"]) for s in stats if s]
    import tensorflow as tf  # noqa: PLC0415

    names = [d.name.removeprefix("/device:") for d in tf.config.list_logical_devices("GPU")]
    infos = [tf.config.experimental.get_memory_info(name) for name in names]
    return [(info["current"], info["peak"]) for info in infos]


def _process_memory() -> tuple[int, int]:
    """Return the process's resident bytes, and their peak."""
    with contextlib.suppress(OSError, ValueError):
        lines = Path("/proc/self/status").read_text(encoding="utf-8")
        sizes = dict(re.findall(r"^(VmRSS|VmHWM):\s*(\d+) kB", lines, re.MULTILINE))
        if len(sizes) == 2:
            return int(sizes["VmRSS"]) * 1024, int(sizes["VmHWM"]) * 1024
    with contextlib.suppress(ImportError):
        import resource  # noqa: PLC0415  (not on every system)

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        most *= 1 if platform.system() == "Darwin" else 1024
        return most, most
    return 0, 0


class Gauge:
    """Bytes of memory to show: the device's peak, or what the process has now."""

    def __init__(self, measure: Callable[[], MemoryUse] | None, clock: Callable[[], float]) -> None:
        self._measure = measure
        self._clock = clock
        self._next = float("-inf")
        self._bytes = 0

    def read(self) -> int:
        now = self._clock()
        if self._measure is not None and now >= self._next:
            self._next = now + GAUGE_SECONDS
            memory = self._measure()
            self._bytes = memory.peak if memory.device else memory.used
        return self._bytes


def peak_flops(
    keras: Any, dtype: str = "float32", clock: Callable[[], float] = time.perf_counter
) -> float:
    """FLOPs a second of the best of a few large matrix multiplications, on one device.

    `dtype` is a dtype, or a policy such as mixed_bfloat16. The multiplications take about 0.3 s,
    without their compilation. The result is 0 if it cannot be measured.
    """
    best, left, size = 0.0, MEASURING_SECONDS, SMALLEST
    try:
        while True:
            multiply = _multiplication(keras, size, dtype.removeprefix("mixed_"))
            multiply(1)  # compiles, and wakes up what has not been used yet
            tries = [_timed(multiply, 1, clock) for _ in range(TRIES)]
            best = max(best, 2 * size**3 / min(tries))
            left -= sum(tries)
            larger = _larger(size, TRIES * min(tries), left)
            if larger == size:
                break
            size = larger
        while IN_A_ROW * min(tries) < left:
            seconds = _timed(multiply, IN_A_ROW, clock)
            best = max(best, IN_A_ROW * 2 * size**3 / seconds)
            left -= seconds
    except Exception:  # noqa: BLE001  (out of memory and an unknown dtype have no class in common)
        return best
    return best


@cache
def known_peak_flops(keras: Any, dtype: str) -> float:
    """`peak_flops` as it was first measured in this process, in which several trainings may run."""
    return peak_flops(keras, dtype)


def _larger(size: int, seconds: float, left: float) -> int:
    """Return the next size to try after one that takes `seconds`; the same one ends the search."""
    for times in (4, 2):  # for each there is something to compile
        if size * times <= LARGEST and times**3 * seconds <= left:
            return size * times
    return size


def _multiplication(keras: Any, size: int, dtype: str) -> Callable[[int], None]:
    """Return a function that multiplies two matrices a number of times, and waits for the last."""
    # Zeros would draw less power, and be faster than what training multiplies.
    block = np.random.default_rng(0).standard_normal((SMALLEST, SMALLEST), dtype=np.float32)
    times = size // SMALLEST
    matrix = keras.ops.tile(keras.ops.convert_to_tensor(block, dtype=dtype), (times, times))

    def multiply(times: int) -> None:
        for _ in range(times):
            product = keras.ops.matmul(matrix, matrix)
        if hasattr(product, "block_until_ready"):
            product.block_until_ready()
        else:
            keras.ops.convert_to_numpy(keras.ops.cast(product[0, 0], "float32"))

    return multiply


def _timed(multiply: Callable[[int], None], times: int, clock: Callable[[], float]) -> float:
    start = clock()
    multiply(times)
    return max(clock() - start, 1e-9)


def describe(keras: Any) -> dict[str, Any]:
    """Return a description of the machine, for a run's folder."""
    description: dict[str, Any] = {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cpu": _cpu(),
        "cores": cores(),
        "ram_bytes": ram_bytes(),
        "backend": keras.backend.backend(),
        "devices": devices(keras),
    }
    if any(name.startswith("gpu") for name in description["devices"]):
        description["gpus"] = gpus()
    return {name: value for name, value in description.items() if value}


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def ram_bytes() -> int:
    """Return the bytes of the machine, or the limit of its container; 0 if unknown."""
    size = 0
    with contextlib.suppress(OSError, ValueError, AttributeError):
        size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, ValueError):  # "max" is not a number
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="utf-8"))
        size = min(size or limit, limit)
    return size


def free_memory() -> int:
    """Return the bytes that this process may still take, within its container's limit."""
    free = _free_ram()
    try:
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text(encoding="ascii"))
        used = int((group / "memory.current").read_text(encoding="ascii"))
        statistics = (group / "memory.stat").read_text(encoding="ascii").split()
        # Files that were read count as used until another process needs the memory.
        files = int(statistics[statistics.index("inactive_file") + 1])
    except (OSError, ValueError):  # without a limit, the file contains "max"
        return free
    return max(0, min(free, limit - used + files))


def _free_ram() -> int:
    with contextlib.suppress(OSError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        available = (line.split()[1] for line in lines if line.startswith("MemAvailable:"))
        if size := next(available, None):
            return int(size) * 1024
    return ram_bytes() // 2 or 2**31  # half of all, on systems that do not say what is free


def _cpu() -> str:
    with contextlib.suppress(OSError, ValueError):
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
        if named:
            return named[1].strip()
    if platform.system() == "Darwin":
        return _output_of("sysctl", "-n", "machdep.cpu.brand_string") or platform.machine()
    return platform.processor() or platform.machine()


def gpus() -> list[dict[str, Any]]:
    """Name and memory of each of the machine's NVIDIA GPUs, as its driver tells."""
    lines = _output_of(
        "nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"
    )
    rows = (line.rpartition(",") for line in lines.splitlines())
    return [
        {"name": name.strip(), "memory_bytes": int(mebibytes) * 2**20}
        for name, _, mebibytes in rows
        if mebibytes.strip().isdigit()
    ]


def _output_of(command: str, *arguments: str) -> str:
    """Return what a command prints; '' where it does not exist, fails or hangs."""
    path = shutil.which(command)
    if path is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603  (no word of it comes from a user)
            [path, *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
