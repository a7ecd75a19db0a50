"""Operators of ATen that move values, make slices of them, or pad and resize maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from archspec.imports.pytorch.writing import (
    REAL_TYPES,
    Arguments,
    Operator,
    Program,
    Tensor,
    by_rank,
    first_tensor,
)


def same(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    """Write what keeps every value."""
    x = first_tensor(a).name
    p.copies[outputs[0]] = p.copies.get(x, x)
    p.step("Identity", [x], outputs[:1])


def _shaped(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    """Write what gives the same values other extents."""
    x = first_tensor(a)
    p.step("Reshape", [x.name, p.ints(p.shape_of(outputs[0]))], outputs)


def regrouped(p: Program, x: str, output: str, dims: Sequence[Any], order: Sequence[int]) -> None:
    """Write values whose axes are split, moved and joined again, as those of shuffles are."""
    first = [0, *dims[1:]]
    split = p.stepped("Reshape", [x, p.ints(first)])
    moved = p.stepped("Transpose", [split], perm=list(order))
    p.step("Reshape", [moved, p.ints(p.shape_of(output))], [output])


def channel_shuffle(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    x, groups = a["self"].name, int(a["groups"])
    batch, channels, *rest = p.dims[x]
    order = [0, 2, 1, *range(3, len(rest) + 3)]
    regrouped(p, x, outputs[0], [batch, groups, channels // groups, *rest], order)


def pixel_unshuffle(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    x, by = a["self"].name, int(a["downscale_factor"])
    batch, channels, height, width = p.dims[x]
    regrouped(
        p, x, outputs[0], [batch, channels, height // by, by, width // by, by], (0, 1, 3, 5, 2, 4)
    )


def expand(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    to = [n if n >= 0 else 1 for n in p.shape_of(outputs[0])]
    p.step("Expand", [a["self"].name, p.ints([n or 1 for n in to])], outputs)


def meshgrid(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    """Write a grid for each sequence: its values along one axis, repeated along the others."""
    tensors = a["tensors"]
    order = list(range(len(tensors)))
    if a.get("indexing") == "xy":
        order[:2] = order[1::-1]
    for axis, tensor, output in zip(order, tensors, outputs, strict=True):
        shape = [-1 if at == axis else 1 for at in range(len(tensors))]
        line = p.stepped("Reshape", [tensor.name, p.ints(shape)])
        p.step("Expand", [line, p.ints([int(n) for n in p.dims[output]])], [output])


def as_type(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    """Write a tensor with numbers of another type, or on another device."""
    dtype = a.get("dtype")
    if isinstance(dtype, int) and not isinstance(dtype, bool):
        x = first_tensor(a).name
        p.copies[outputs[0]] = p.copies.get(x, x)
        p.step("Cast", [x], outputs[:1], to=1 if dtype in REAL_TYPES else 7)
    else:
        same(p, a, outputs)


def permute(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    rank = p.rank(a["self"])
    p.step("Transpose", [a["self"].name], outputs, perm=[axis % rank for axis in a["dims"]])


def transpose(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    order = list(range(p.rank(a["self"])))
    one, other = a.get("dim0", a.get("axis0")), a.get("dim1", a.get("axis1"))
    order[one], order[other] = order[other], order[one]
    p.step("Transpose", [a["self"].name], outputs, perm=order)


def turned(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    order = list(reversed(range(p.rank(a["self"]))))
    p.step("Transpose", [a["self"].name], outputs, perm=order)


def cat(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    p.step("Concat", [each.name for each in a["tensors"]], outputs, axis=int(a.get("dim") or 0))


def stack(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    axis = int(a.get("dim") or 0) % len(p.dims[outputs[0]])
    parts = [p.stepped("Unsqueeze", [each.name, p.ints([axis])]) for each in a["tensors"]]
    p.step("Concat", parts, outputs, axis=axis)


def roll(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    p.step("archspec.Roll", [a["self"].name], outputs, by=list(a["shifts"]), axes=list(a["dims"]))


def split(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    axis = int(a.get("dim") or 0)
    sizes = [p.dims[output][axis] for output in outputs]
    p.step("Split", [a["self"].name, p.ints(sizes)], outputs, axis=axis)


def slice_(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    axis, start, stop = int(a.get("dim") or 0), a.get("start") or 0, a.get("end")
    if stop is None:
        stop = 2**63 - 1
    by = a.get("step") or 1
    p.slices[outputs[0]] = a["self"].name, axis, slice(start, stop, by)
    inputs = [a["self"].name, *(p.ints([n]) for n in (start, stop, axis, by))]
    p.step("Slice", inputs, outputs)


def written_into(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    """Keep a constant of which a slice is filled, as the mask of shifted windows is made.

    It is one that the program made, or a copy of a stored one, as the bias of Swin v2's queries,
    keys and values, of which the keys have none.

    Raises:
        KeyError: One of the values is not a constant.
        ValueError: It is a stored array.
    """
    name, value, cuts = a["self"].name, a.get("value", a.get("src", 0)), []
    while name in p.slices:
        name, axis, cut = p.slices[name]
        cuts.append((axis, cut))
    base = p.constants[p.copies.get(name, name)]
    given = p.constants[p.copies.get(value.name, value.name)] if isinstance(value, Tensor) else None
    if name not in p.copies and (base.name or base.count):
        raise ValueError

    def load() -> Any:
        array = part = base.load().copy()
        for axis, cut in reversed(cuts):
            part = part[(slice(None),) * axis + (cut,)]
        part[...] = value if given is None else given.load()
        return array

    filled = replace(base, values=None, load=load)
    if name in p.copies:  # whose own step comes before this one
        p.current[name] = p.constant(filled)
        p.copies[p.current[name]] = p.current[name]
        p.dims[p.current[name]] = p.dims[name]
    else:
        p.constants[name] = filled
    p.step("Identity", [p.current.get(name, name)], outputs)


def unbind(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    axis = int(a.get("dim") or 0)
    for at, output in enumerate(outputs):
        p.step("Gather", [a["self"].name, p.number(at)], [output], axis=axis)


def select(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    axis, index = int(a["dim"]), int(a["index"])
    p.slices[outputs[0]] = a["self"].name, axis, index
    p.step("Gather", [a["self"].name, p.number(index)], outputs, axis=axis)


def index(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    """Write the lookup along one axis by an array of numbers."""
    places = [at for at, each in enumerate(a["indices"]) if each is not None]
    if len(places) != 1:
        raise ValueError
    p.step("Gather", [a["self"].name, a["indices"][places[0]].name], outputs, axis=places[0])


def _resized(mode: str, places: str = "half_pixel") -> Operator:
    def write(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
        x = first_tensor(a)
        sizes = [n if isinstance(n, int) else None for n in p.dims[outputs[0]]]
        first = p.dims[x.name][0]
        sizes[0] = first if isinstance(first, int) else 1
        if None in sizes:
            raise ValueError
        corners = "align_corners" if a.get("align_corners") else places
        known = [n for n in sizes[2:] if n is not None]
        axes = list(range(2, len(sizes)))
        p.step(
            "Resize",
            [x.name, "", "", p.ints(known)],
            outputs,
            mode=mode,
            axes=axes,
            coordinate_transformation_mode=corners,
        )

    return write


def _padded(mode: str) -> Operator:
    def write(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
        given = list(a.get("pad", a.get("padding")) or [])
        rank = p.rank(a["self"])
        before, after = [0] * rank, [0] * rank
        for at in range(len(given) // 2):  # from the last axis on
            before[rank - 1 - at], after[rank - 1 - at] = given[2 * at], given[2 * at + 1]
        words = {"replicate": "edge", "circular": "wrap"}
        chosen = str(a.get("mode") or mode)
        p.step(
            "Pad",
            [a["self"].name, p.ints([*before, *after]), p.number(float(a.get("value") or 0))],
            outputs,
            mode=words.get(chosen, chosen),
        )

    return write


def pixel_shuffle(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    factor = int(a["upscale_factor"])
    p.step("DepthToSpace", [a["self"].name], outputs, blocksize=factor, mode="CRD")


def repeated(p: Program, x: str, axis: int, count: int) -> str:
    """Return a value whose places along an axis stand several times, one after the other."""
    dims = [n if isinstance(n, int) else 0 if at == 0 else -1 for at, n in enumerate(p.dims[x])]
    apart = p.stepped("Unsqueeze", [x, p.ints([axis + 1])])
    ones = [1] * (len(dims) + 1)
    ones[axis + 1] = count
    wide = p.stepped("Expand", [apart, p.ints(ones)])
    dims[axis] *= count
    return p.stepped("Reshape", [wide, p.ints(dims)])


def repeat_interleave(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    axis = int(a["dim"]) % p.rank(a["self"])
    p.step("Identity", [repeated(p, a["self"].name, axis, int(a["repeats"]))], outputs)


def repeat(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    copies, x = list(a["repeats"]), a["self"].name
    more = len(copies) - len(p.dims[x])
    if more:
        x = p.stepped("Unsqueeze", [x, p.ints(range(more))])
    p.step("Tile", [x, p.ints(copies)], outputs)


OPERATORS: Final[Mapping[str, Operator]] = {
    **dict.fromkeys(
        (
            "flatten",
            "unflatten",
            "view",
            "_unsafe_view",
            "reshape",
            "squeeze",
            "unsqueeze",
            "view_copy",
            "reshape_as",
            "view_as",
        ),
        _shaped,
    ),
    "expand": expand,
    "expand_as": expand,
    "meshgrid": meshgrid,
    "permute": permute,
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), transpose),
    "t": turned,
    "numpy_T": turned,
    "cat": cat,
    "stack": stack,
    "roll": roll,
    "concat": cat,
    "split": split,
    "split_with_sizes": split,
    "chunk": split,
    "slice": slice_,
    "select": select,
    "index": index,
    "unbind": unbind,
    "repeat": repeat,
    "repeat_interleave": repeat_interleave,
    **by_rank("upsample_nearest", _resized("nearest", "asymmetric")),
    **by_rank("_upsample_nearest_exact", _resized("nearest")),
    "upsample_linear1d": _resized("linear"),
    "upsample_bilinear2d": _resized("linear"),
    "upsample_trilinear3d": _resized("linear"),
    "upsample_bicubic2d": _resized("cubic"),
    "pad": _padded("constant"),
    "constant_pad_nd": _padded("constant"),
    **by_rank("reflection_pad", _padded("reflect")),
    **by_rank("replication_pad", _padded("replicate")),
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    "channel_shuffle": channel_shuffle,
    **dict.fromkeys(
        ("contiguous", "clone", "detach", "alias", "lift_fresh_copy", "type_as"),
        same,
    ),
    "to": as_type,
    "_to_copy": as_type,
}
"""The function of each operator, without its overload and the `_` of those in place."""
