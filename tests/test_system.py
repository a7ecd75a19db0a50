"""The machine as a run's folder describes it."""

from __future__ import annotations

import json
import re
import sys
from types import SimpleNamespace

import pytest

from archspec import system as machine
from archspec.system import Gauge, MemoryUse


def keras_on(backend: str, **more) -> SimpleNamespace:
    return SimpleNamespace(backend=SimpleNamespace(backend=lambda: backend), **more)


# Memory

TORCH = {
    "cuda": SimpleNamespace(
        device_count=lambda: 2,
        memory_allocated=lambda index: 100 + index,
        max_memory_allocated=lambda index: 200 + index,
    )
}
JAX = {
    "local_devices": lambda: [
        SimpleNamespace(
            platform="gpu",
            memory_stats=lambda: {"bytes_in_use": 100, "peak_bytes_in_use": 200},
        ),
        SimpleNamespace(
            platform="gpu", memory_stats=lambda: {"bytes_in_use": 101, "peak_bytes_in_use": 201}
        ),
    ]
}
TENSORFLOW = {
    "config": SimpleNamespace(
        list_logical_devices=lambda _: [
            SimpleNamespace(name="/device:GPU:0"),
            SimpleNamespace(name="/device:GPU:1"),
        ],
        experimental=SimpleNamespace(
            get_memory_info=lambda name: {
                "GPU:0": {"current": 100, "peak": 200},
                "GPU:1": {"current": 101, "peak": 201},
            }[name]
        ),
    )
}


@pytest.mark.parametrize(
    ("backend", "names"), [("torch", TORCH), ("jax", JAX), ("tensorflow", TENSORFLOW)]
)
def test_the_memory_of_all_accelerators_is_told(monkeypatch, backend, names):
    monkeypatch.setitem(sys.modules, backend, SimpleNamespace(**names))
    assert machine.memory(keras_on(backend)) == MemoryUse(used=201, peak=401, device=True)


def test_an_accelerator_that_does_not_tell_is_no_error(monkeypatch):
    silent = [SimpleNamespace(platform="gpu", memory_stats=lambda: None)]
    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(local_devices=lambda: silent))
    assert not machine.memory(keras_on("jax")).device


def test_without_an_accelerator_the_memory_is_the_processs(keras):
    if not machine.devices(keras)[0].startswith("cpu"):
        pytest.skip("there is an accelerator")
    before = machine.memory(keras)
    taken = bytearray(b"1") * 200_000_000
    after = machine.memory(keras)
    assert not after.device
    assert after.used - before.used > 0.9 * len(taken)
    assert after.peak >= after.used


def test_a_gauge_looks_once_a_second_and_shows_a_devices_peak():
    looks = []

    def look() -> MemoryUse:
        looks.append(now)
        return MemoryUse(used=1, peak=2, device=now > 1)

    gauge = Gauge(look, lambda: now)
    shown = []
    for now in (0.0, 0.5, 0.9, 1.5):  # noqa: B007  (the closures read it)
        shown.append(gauge.read())  # noqa: PERF401
    assert shown == [1, 1, 1, 2]
    assert looks == [0.0, 1.5]
    assert Gauge(None, lambda: 0.0).read() == 0


# Speed


class Arithmetic:
    """Keras's, on a machine of so many FLOPs a second and with a clock of its own."""

    def __init__(self, rate: float, *, memory: int = 2**40, compiling: float = 0.0) -> None:
        self.rate = rate
        self.memory = memory
        self.compiling = compiling
        self.now = 0.0
        self.sizes: list[int] = []

    def clock(self) -> float:
        return self.now

    def convert_to_tensor(self, block, dtype):
        assert dtype == "bfloat16"
        return len(block)

    def tile(self, rows: int, times: tuple[int, int]) -> int:
        return rows * times[0]

    def matmul(self, rows: int, _: int) -> SimpleNamespace:
        if 3 * 2 * rows**2 > self.memory:
            raise RuntimeError("out of memory")
        self.now += 0.0 if rows in self.sizes else self.compiling
        self.sizes.append(rows)
        self.now += 1e-6 + 2 * rows**3 / self.rate
        return SimpleNamespace(block_until_ready=lambda: None)


@pytest.mark.parametrize("rate", [1e9, 2e10, 3e11, 1e13, 1e15])
def test_the_measured_peak_is_the_machines_in_a_third_of_a_second(rate):
    ops = Arithmetic(rate)
    measured = machine.peak_flops(keras_on("jax", ops=ops), "mixed_bfloat16", ops.clock)
    assert measured == pytest.approx(rate, rel=0.01)
    assert ops.now < 0.35


def test_what_is_compiled_first_does_not_count():
    ops = Arithmetic(1e15, compiling=2.0)
    measured = machine.peak_flops(keras_on("jax", ops=ops), "bfloat16", ops.clock)
    assert measured == pytest.approx(1e15, rel=0.01)


def test_a_full_device_is_measured_with_what_fits():
    ops = Arithmetic(1e15, memory=200_000_000)
    measured = machine.peak_flops(keras_on("jax", ops=ops), "bfloat16", ops.clock)
    assert max(ops.sizes) == 4096
    assert measured == pytest.approx(1e15, rel=0.01)


@pytest.mark.keras
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_every_backend_can_be_measured(dtype):
    from archspec.keras_model.engine import load_keras

    # From a machine of the nineties to one that nobody has.
    assert 1e7 < machine.peak_flops(load_keras(), dtype) < 1e18


@pytest.mark.keras
def test_what_cannot_be_measured_is_no_error():
    from archspec.keras_model.engine import load_keras

    assert machine.peak_flops(load_keras(), "float3") == 0


# For the run's folder


@pytest.mark.keras
def test_a_machine_is_described_in_json():
    from archspec.keras_model.engine import load_keras

    found = json.loads(json.dumps(machine.describe(load_keras())))
    assert found["backend"] in {"tensorflow", "jax", "torch"}
    assert re.fullmatch(r"(cpu|gpu|tpu):\d+", found["devices"][0])
    assert found["cores"] >= 1
    assert found["ram_bytes"] > 100_000_000
    assert found["cpu"]
    assert ("gpus" in found) <= found["devices"][0].startswith("gpu")


@pytest.mark.parametrize(
    ("script", "found"),
    [
        (
            "echo 'NVIDIA H100, 80GB HBM3, 81559'; echo 'Old, [N/A]'",
            [{"name": "NVIDIA H100, 80GB HBM3", "memory_bytes": 81559 * 2**20}],
        ),
        ("echo 'no driver' >&2; exit 9", []),
        ("echo", []),
        ("echo nonsense", []),
    ],
)
def test_gpus_are_what_their_driver_tells(tmp_path, monkeypatch, script, found):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.gpus() == found


def test_a_machine_without_nvidias_driver_has_no_gpus(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.gpus() == []
