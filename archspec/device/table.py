"""The accelerators that archspec knows.

Memory, bandwidth and peaks are from the makers' data sheets, which the rows name. A data sheet
that counts with sparsity is halved. What XLA must know beside them (multiprocessors, clocks,
caches, shared memory) is from the makers' white papers and from the table of compute capabilities
in the CUDA C++ Programming Guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from archspec.device.device import Device, NvidiaChip, TpuChip

KIB: Final = 1024
MIB: Final = 1024 * KIB
GB: Final = 10**9
TERA: Final = 1e12


def _hopper(cores: int, clock: float) -> NvidiaChip:
    return NvidiaChip((9, 0), cores, 128, clock, 50 * MIB, 228 * KIB, 227 * KIB, 2048)


def _ampere(cores: int, clock: float) -> NvidiaChip:
    return NvidiaChip((8, 0), cores, 64, clock, 40 * MIB, 164 * KIB, 163 * KIB, 2048)


def _ada(cores: int, clock: float, l2_cache: int) -> NvidiaChip:
    return NvidiaChip((8, 9), cores, 128, clock, l2_cache, 100 * KIB, 99 * KIB, 1536)


def _peaks(**tera: float) -> Mapping[str, float]:
    return {dtype: rate * TERA for dtype, rate in tera.items()}


_H100: Final = "NVIDIA H100 Tensor Core GPU data sheet (2023): SXM; dense rates are half of its"
_H200: Final = "NVIDIA H200 Tensor Core GPU data sheet (2024): SXM; dense rates are half of its"
_A100: Final = "NVIDIA A100 Tensor Core GPU data sheet (2021): SXM4"
_L4: Final = "NVIDIA L4 Tensor Core GPU data sheet (2023); dense rates are half of its"
_ADA: Final = (
    "NVIDIA Ada GPU Architecture white paper (2023), appendix A: tensor rates with FP32 sums"
)
_T4: Final = "NVIDIA T4 70W Low Profile PCIe GPU Accelerator product brief (2020)"
_V100: Final = "NVIDIA V100 Tensor Core GPU data sheet (2020): SXM2"
_V5E: Final = "Google Cloud TPU documentation (2024): TPU v5e, key chip specifications"

_HOPPER_PEAKS: Final = _peaks(
    float64=34, float32=67, tf32=494.7, bfloat16=989.4, float16=989.4, float8=1978.9, int8=1978.9
)
_AMPERE_PEAKS: Final = _peaks(
    float64=9.7, float32=19.5, tf32=156, bfloat16=312, float16=312, int8=624
)
_VOLTA_PEAKS: Final = _peaks(float64=7.8, float32=15.7, float16=125)
_VOLTA: Final = NvidiaChip((7, 0), 80, 64, 1.53, 6 * MIB, 96 * KIB, 96 * KIB, 2048)

DEVICES: Final[tuple[Device, ...]] = (
    Device(
        "h100",
        "NVIDIA H100 SXM, 80 GB",
        80 * GB,
        3.35e12,
        _HOPPER_PEAKS,
        _H100,
        _hopper(132, 1.98),
    ),
    Device(
        "h200",
        "NVIDIA H200 SXM, 141 GB",
        141 * GB,
        4.8e12,
        _HOPPER_PEAKS,
        _H200,
        _hopper(132, 1.98),
    ),
    Device(
        "a100",
        "NVIDIA A100 SXM4, 40 GB",
        40 * GB,
        1.555e12,
        _AMPERE_PEAKS,
        _A100,
        _ampere(108, 1.41),
    ),
    Device(
        "a100-80gb",
        "NVIDIA A100 SXM4, 80 GB",
        80 * GB,
        2.039e12,
        _AMPERE_PEAKS,
        _A100,
        _ampere(108, 1.41),
    ),
    Device(
        "l4",
        "NVIDIA L4, 24 GB",
        24 * GB,
        0.3e12,
        _peaks(float32=30.3, tf32=60, bfloat16=121, float16=121, float8=242.5, int8=242.5),
        _L4,
        _ada(58, 2.04, 48 * MIB),
    ),
    Device(
        "rtx4090",
        "NVIDIA GeForce RTX 4090, 24 GB",
        24 * GB,
        1.008e12,
        _peaks(float32=82.6, tf32=82.6, bfloat16=165.2, float16=165.2, float8=330.3, int8=660.6),
        _ADA,
        _ada(128, 2.52, 72 * MIB),
    ),
    Device(
        "t4",
        "NVIDIA T4, 16 GB",
        16 * GB,
        0.32e12,
        _peaks(float32=8.1, float16=65, int8=130),
        _T4,
        NvidiaChip((7, 5), 40, 64, 1.59, 4 * MIB, 64 * KIB, 64 * KIB, 1024),
    ),
    Device("v100", "NVIDIA V100 SXM2, 16 GB", 16 * GB, 0.9e12, _VOLTA_PEAKS, _V100, _VOLTA),
    Device("v100-32gb", "NVIDIA V100 SXM2, 32 GB", 32 * GB, 0.9e12, _VOLTA_PEAKS, _V100, _VOLTA),
    Device(
        "v5e",
        "Google TPU v5e, 16 GB",
        16 * GB,
        0.819e12,
        _peaks(bfloat16=197, int8=393),
        _V5E,
        TpuChip("v5e:2x2", "v5litepod-4"),
    ),
)
"""The accelerators, in the order of lists."""

ANY_CPU: Final = Device("cpu", "a CPU", 0, 0.0, {}, "no data sheet: XLA plans alike for all CPUs")
"""Any processor that XLA compiles for: no accelerator, and so not among them."""

BY_NAME: Final[Mapping[str, Device]] = {device.name: device for device in DEVICES}
