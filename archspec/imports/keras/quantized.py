"""Quantized and adapted dense layers: the arrays that a file has for a kernel and a bias."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

from archspec.imports.keras.calls import ShapedArray
from archspec.imports.keras.layer import KerasLayer, StoredArray
from archspec.lazy import np
from archspec.ops.fields import LARGEST

LORA = 2
"""Arrays of a low-rank adaptation: A and B, whose product is added to the kernel."""


def mode_of(config: Mapping[str, Any]) -> str:
    """Return how a layer is quantized, such as `int8`; empty where it is not."""
    dtype = config.get("dtype")
    inner = dtype.get("config") if isinstance(dtype, Mapping) else None
    mode = inner.get("mode") if isinstance(inner, Mapping) else None
    if mode is None and isinstance(dtype, str) and "_from_" in dtype:
        mode = dtype.partition("_from_")[0]
    return str(mode or "").partition("/")[0]


def sources(layer: KerasLayer, shape: tuple[int, int]) -> Sequence[StoredArray] | None:
    """Return how kernel and bias are computed from what the file has for a dense layer.

    Args:
        layer: The layer.
        shape: Shape of the kernel.

    Returns:
        The kernel, and the bias if there is one; None where the file has them as they are, or in a
        form that archspec does not know.
    """
    stored = _ordered(layer.stored or ())
    if _rank(layer.config) and _is_plain(stored):
        return None
    bias = [stored.pop(1)] if layer.config.get("use_bias", True) and len(stored) > 1 else []
    mode = mode_of(layer.config)
    kernel = _kernel(layer.config, mode, stored, shape)
    if kernel is None:
        return None
    _note(layer, mode, shape)
    return [kernel, *(StoredArray(s, (data.name,)) for s, data in bias)]


def count_adaptation(layer: KerasLayer) -> None:
    """Count the low-rank adaptation of a layer whose kernel has it, as `.keras` files do."""
    rank, stored = _rank(layer.config), _ordered(layer.stored or ())
    if not rank or not stored or not _is_plain(stored) or layer.first is not None:
        return
    *rows, columns = stored[0][0]
    layer.extra = rank * (prod(rows) + columns)
    layer.model.note(
        f"Layer {layer.name} has a low-rank adaptation (LoRA) of rank {rank}, which Keras adds "
        f"to the kernel when it saves: it counts {layer.extra:,} values more."
    )


def _is_plain(stored: Sequence[ShapedArray]) -> bool:
    """Return whether arrays are a kernel, and perhaps a bias, alone."""
    return [len(shape) for shape, _ in stored[1:]] in ([], [1])


def _rank(config: Mapping[str, Any]) -> int:
    """Return the rank of a low-rank adaptation; 0 without one."""
    rank = config.get("lora_rank") or 0
    if not isinstance(rank, int) or not 0 <= rank <= LARGEST:
        raise ValueError(f"a rank of {rank}")
    return rank


def _ordered(stored: Sequence[ShapedArray]) -> list[ShapedArray]:
    """Return arrays with the kernel first and the bias second, if the file has their names."""
    first = ("kernel", "bias")
    names = [str(data.name).rpartition("/")[2].partition(":")[0] for _, data in stored]
    places = {name: number for number, name in enumerate(first)}
    order = sorted(range(len(stored)), key=lambda i: places.get(names[i], len(first)))
    return [stored[i] for i in order]


def _kernel(
    config: Mapping[str, Any], mode: str, stored: Sequence[ShapedArray], shape: tuple[int, int]
) -> StoredArray | None:
    rank = _rank(config)
    if not mode and len(stored) == 1 + LORA and rank:
        share = float(config.get("lora_alpha") or rank) / rank
        return _made(shape, stored, lambda kernel, a, b: kernel + share * (a @ b))
    if mode == "int8" and len(stored) == 2:
        return _made(shape, stored, lambda kernel, scale: kernel.astype("float32") / scale)
    if mode == "int4" and len(stored) == 2:
        return _made(shape, stored, lambda kernel, scale: _unpacked(kernel, shape) / scale)
    if mode == "int4" and len(stored) == 4:
        return _made(shape, stored, lambda *arrays: _grouped(shape, *arrays))
    return _made(shape, stored[:1], None) if mode == "float8" and stored else None


def _made(
    shape: tuple[int, int], stored: Sequence[ShapedArray], made: Callable[..., Any] | None
) -> StoredArray:
    return StoredArray(shape, tuple(data.name for _, data in stored), made)


def _unpacked(packed: Any, shape: tuple[int, int]) -> Any:
    """Return the values of four bits, of which each byte has two side by side."""
    bits = packed.astype(np.int8)
    pairs = np.stack([np.left_shift(bits, 4) >> 4, bits >> 4], axis=-1)
    return pairs.reshape(packed.shape[0], -1)[:, : shape[1]].astype("float32")


def _grouped(shape: tuple[int, int], packed: Any, scale: Any, zero: Any, groups: Any) -> Any:
    """Return a kernel of which groups of rows have a scale and a zero point each."""
    rows = groups.astype("int64")
    return (_unpacked(packed, shape) - zero[rows]) * scale[rows]


def _note(layer: KerasLayer, mode: str, shape: tuple[int, int]) -> None:
    count = sum(prod(extents) for extents, _ in layer.stored or ())
    what = f"is quantized ({mode})" if mode else "has a low-rank adaptation (LoRA) apart"
    layer.model.note(
        f"Layer {layer.name} {what}: Keras counts the {count:,} values that it stores; shown are "
        f"the kernel of {shape[0]}x{shape[1]} and the bias that they stand for."
    )
