"""The types of arguments, each with the words that describe a right value."""

from typing import Annotated, Any, Literal, TypeAlias

from archspec.declare.metadata import Bounds, Converted, Expect, Instead, MinLength, Rule
from archspec.element import whole
from archspec.errors import Mend, Problem, did_you_mean

LARGEST = 2**31 - 1
"""Largest extent, and largest number of filters."""

_Count: TypeAlias = Annotated[int, Bounds(ge=1, le=LARGEST), Converted(whole)]
_Margin: TypeAlias = Annotated[int, Bounds(ge=0, le=LARGEST), Converted(whole)]

Count: TypeAlias = Annotated[_Count, Expect("a whole number from 1 to 2147483647")]
Index: TypeAlias = Annotated[_Margin, Expect("a whole number from 0 to 2147483647")]


Small: TypeAlias = Annotated[
    int, Bounds(ge=1, le=15), Converted(whole), Expect("a whole number from 1 to 15")
]

Odd: TypeAlias = Annotated[
    _Count,
    Rule(lambda number: bool(number % 2), {"not": {"multipleOf": 2}}),
    Expect("an odd whole number from 1 to 2147483647"),
]

Window: TypeAlias = Annotated[
    _Count | tuple[_Count, ...],
    Expect("a positive whole number, or one for each spatial axis such as [3, 3]"),
]
"""An extent along the spatial axes: one number for all, or one each."""

Sides: TypeAlias = Annotated[
    _Margin | tuple[_Margin, ...] | tuple[tuple[_Margin, _Margin], ...],
    Expect(
        "a whole number, one for each spatial axis such as [1, 1], "
        "or [before, after] for each axis such as [[0, 1], [0, 1]]"
    ),
]
"""An amount on the sides of the spatial axes."""

Margins: TypeAlias = Annotated[
    _Margin | tuple[_Margin, ...],
    Expect("a whole number from 0, or one for each spatial axis such as [1, 0]"),
]

Connections: TypeAlias = Annotated[
    tuple[tuple[_Margin, ...], ...],
    Expect("a list of input channels for each filter, such as [[0, 1, 2], [1, 2, 3]]"),
]
"""A table of connections between the channels of an input and those of an output."""

Rate: TypeAlias = Annotated[float, Bounds(ge=0, lt=1), Expect("a number from 0 to below 1")]
Positive: TypeAlias = Annotated[float, Bounds(gt=0, lt=float("inf")), Expect("a number above 0")]
FromZero: TypeAlias = Annotated[
    float, Bounds(ge=0, lt=float("inf")), Expect("a finite number from 0")
]
Number: TypeAlias = Annotated[
    float, Bounds(gt=float("-inf"), lt=float("inf")), Expect("a finite number")
]

PerChannel: TypeAlias = Annotated[
    Number | Annotated[tuple[Number, ...], MinLength(1)],
    Expect("a finite number, or one for each channel such as [0.5, 0.5, 1]"),
]
"""A constant for all channels, or one each."""

_RANDOM = "leave `initial` out: kernels start random (Glorot & Bengio 2010)"

Bank: TypeAlias = Annotated[
    Literal["gabor", "sobel", "log"],
    Instead(
        dict.fromkeys(
            ("random", "glorot", "xavier", "glorotuniform", "glorotnormal", "he", "henormal",
             "heuniform", "kaiming", "lecun", "normal", "uniform", "none", "default"),
            _RANDOM,
        )
        | dict.fromkeys(
            ("laplacian", "laplace", "laplacianofgaussian", "marrhildreth", "mexicanhat", "dog",
             "differenceofgaussians"),
            Mend("did you mean `log`, the Laplacian of Gaussian?", "log"),
        )
        | dict.fromkeys(("prewitt", "scharr", "roberts", "edge", "edges"), did_you_mean("sobel"))
    ),
]  # fmt: skip
"""Kernels known by formula; `archspec.ops.banks` has them."""


def by_x(extents: int | tuple[int, ...]) -> str:
    """Return extents as labels have them: `3`, or `3x1`."""
    return str(extents) if isinstance(extents, int) else "x".join(map(str, extents))


def per_axis(value: int | tuple[int, ...], rank: int, what: str) -> tuple[int, ...]:
    """Return one number for each of `rank` spatial axes."""
    if isinstance(value, int):
        return (value,) * rank
    if len(value) != rank:
        raise Problem(
            "shape",
            f"`{what}` has {len(value)} {'number' if len(value) == 1 else 'numbers'}, "
            f"but its input has {rank} spatial {'axis' if rank == 1 else 'axes'}",
        )
    return value


def per_side(value: Sides, rank: int, what: str) -> tuple[tuple[int, int], ...]:
    """Return (before, after) for each of `rank` spatial axes."""
    sides: tuple[Any, ...] = per_axis(value, rank, what)  # type: ignore[arg-type]  # or pairs
    return tuple(side if isinstance(side, tuple) else (side, side) for side in sides)
