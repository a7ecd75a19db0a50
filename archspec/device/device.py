"""An accelerator as its data sheet describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NvidiaChip:
    """The properties of an NVIDIA GPU on which XLA's choices depend."""

    capability: tuple[int, int]
    """Compute capability: major and minor version."""
    cores: int
    """Streaming multiprocessors."""
    lanes: int
    """Float32 units of a multiprocessor."""
    clock: float
    """Boost clock in GHz."""
    l2_cache: int
    """Bytes of the level 2 cache."""
    shared_memory: int
    """Bytes of shared memory of a multiprocessor."""
    most_shared_memory: int
    """Most bytes of shared memory that one block may ask for."""
    threads: int
    """Most threads of a multiprocessor."""


@dataclass(frozen=True, slots=True)
class TpuChip:
    """The properties of a TPU by which its compiler is asked for."""

    topology: str
    """Smallest arrangement of chips that a host has, as `v5e:2x2`."""
    accelerator: str
    """Type of such a host in Google's names, as `v5litepod-4`."""


@dataclass(frozen=True, slots=True)
class Device:
    """An accelerator."""

    name: str
    """Name in commands, as `h100`."""
    title: str
    """Full name, with the form factor and the memory where there are several."""
    memory: int
    """Bytes, at 10^9 a GB: the driver shows up to 7 % more, and takes some of it for itself."""
    bandwidth: float
    """Most bytes a second between the memory and the chip."""
    peaks: Mapping[str, float]
    """Most operations a second by dtype, a multiply-add counted as two, without sparsity.

    `float32` is exact arithmetic; `tf32` is what matrix units make of float32. Sums are float32.
    """
    source: str
    """The document from which the numbers are."""
    chip: NvidiaChip | TpuChip | None = None
    """Properties that its compiler must know; None where there is none for it."""
    target: str = ""
    """The description for XLA, where it was given as a file."""

    @property
    def platform(self) -> str:
        """The platform of JAX that computes on it: `cuda`, `tpu` or `cpu`."""
        if self.target or isinstance(self.chip, NvidiaChip):
            return "cuda"
        return "tpu" if self.chip else "cpu"

    def __str__(self) -> str:
        return self.title
