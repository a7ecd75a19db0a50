"""Shapes of a model file's inputs: what the file declares, a user gives, and the network needs.

A file may leave extents open, as `Input((None, None, 3))` does. They become formulas
(`ops/extent.py`), unless a user gives a size for them (`input=[256, 256, 3]`). Where the network
only takes some sizes, as a U-Net that joins maps which were made half as large and twice as large
again, `joinable` tells which: the file is read again with extents that are multiples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import lcm
from typing import Any, Final, TypeVar

from archspec.element import show
from archspec.errors import Portable, UsageError
from archspec.imports.limits import refuse
from archspec.imports.model import Extents
from archspec.ops.axes import AXES
from archspec.ops.fields import LARGEST
from archspec.ops.merge import agreements
from archspec.ops.shape import Shape

Read = TypeVar("Read")

MOST_READINGS: Final = 10
"""Times that a file is read to learn which sizes its network takes."""


class MultiplesError(Portable):
    """The network only takes inputs whose open extents are multiples: read the file with them."""

    def __init__(self, units: Mapping[str, int]) -> None:
        """Say the multiple for each open axis that needs one, by the name of the axis."""
        super().__init__(units)
        self.units = units


@dataclass(frozen=True)
class Given:
    """Knowledge of a file's inputs beside what the file declares."""

    shape: Extents | None = None
    """The shape that a user gives, channels last without the batch; None extents stay open."""
    units: Mapping[str, int] = field(default_factory=dict)
    """The number of which the extents of an open axis are multiples, by the name of the axis."""
    is_last: bool = False
    """Whether the file is not read again with other multiples."""

    @classmethod
    def of(cls, value: Any) -> Given:
        """Return what a user's `input` gives.

        Raises:
            UsageError: It is not the shape of an input.
        """
        if value is None:
            return cls()
        is_list = isinstance(value, list | tuple) and value and value[-1] is not None
        if not is_list or not all(
            n is None or (type(n) is int and 1 <= n <= LARGEST) for n in value
        ):
            raise UsageError(
                "`input` must be a list of whole numbers from 1, channels last, such as "
                f"[28, 28, 1], not {show(value)}"
            )
        return cls(tuple(value))

    def with_units(self, units: Mapping[str, int]) -> Given:
        """Return the same with extents that are multiples of these numbers as well."""
        common = {name: lcm(self.units.get(name, 1), unit) for name, unit in units.items()}
        return replace(self, units={**self.units, **common})

    @property
    def note(self) -> str:
        """A sentence about the multiples; empty where there are none."""
        by_unit: dict[int, list[str]] = {}
        for name, unit in self.units.items():
            by_unit.setdefault(unit, []).append(name)
        if not by_unit:
            return ""
        wheres = " and ".join(
            f"{' and '.join(names)} {'are multiples' if names[1:] else 'is a multiple'} of {unit}"
            for unit, names in by_unit.items()
        )
        return f"The input is one whose {wheres}: there the maps that are joined are of one size."

    def shapes(self, declared: Mapping[str, Sequence[int | None]], path: str) -> dict[str, Shape]:
        """Return the shape of each input: open extents as formulas, () where it is not known.

        The given shape is that of the first input with open extents, or of no known shape. Its
        extents are those of all inputs: axes of one name have one extent.

        Args:
            declared: The shapes that the file has, channels last without the batch.
            path: The file, for the message.

        Raises:
            UsageError: The given shape is not one that the file leaves open.
            DamagedModelError: An extent is over the limit.
        """
        for name, shape in declared.items():
            if any(n is not None and n > LARGEST for n in shape):
                refuse(path, f"its input {name} is {_text(shape)}, with an extent over {LARGEST:,}")
        wanted = dict(declared)
        if self.shape is not None:
            fits = [name for name, shape in wanted.items() if _takes(shape, self.shape)]
            if not fits:
                shown = " and ".join(map(_text, wanted.values()))
                raise UsageError(
                    f"{path} is a model file whose input is {shown}: `input` can set what is open "
                    f"in that, and not {_text(self.shape)}"
                )
            wanted[fits[0]] = self.shape
            names = AXES.get(len(self.shape) - 1, ())
            sizes: dict[str, int | None] = dict(zip(names, self.shape, strict=False))
            for name, shape in wanted.items():
                *spatial, channels = shape or (None,)
                axes = AXES.get(len(spatial), ("",) * len(spatial))
                pairs = zip(spatial, axes, strict=True)
                if shape:
                    wanted[name] = (
                        *(sizes.get(axis) if n is None else n for n, axis in pairs),
                        channels,
                    )
        return {name: self._shape(shape) for name, shape in wanted.items()}

    def _shape(self, declared: Sequence[int | None]) -> Shape:
        *spatial, channels = declared or (None,)
        names = AXES.get(len(spatial), ())
        if (
            not (isinstance(channels, int) and 1 <= channels <= LARGEST)
            or len(names) < len(spatial)
            or not all(n is None or 1 <= n <= LARGEST for n in spatial)
        ):
            return Shape()
        if None not in spatial:
            return Shape((*(n for n in spatial if n is not None), channels))
        from archspec.ops.extent import Extent  # noqa: PLC0415  (few inputs are open)

        opened: list[Any] = [
            Extent.open(axis, self.units.get(axis, 1)) if n is None else n
            for axis, n in zip(names, spatial, strict=False)
        ]
        return Shape((*opened, channels))


NOTHING_GIVEN: Final = Given()
"""Nothing beside what the file declares."""


def _takes(declared: Sequence[int | None], given: Extents) -> bool:
    """Whether an input of a file may have a given shape: it is open, not known, or that."""
    return not declared or (
        len(declared) == len(given)
        and all(n is None or n == m for n, m in zip(declared, given, strict=True))
    )


def _text(shape: Sequence[int | None]) -> str:
    """Return a shape as a user writes one."""
    listed = ", ".join("null" if n is None else str(n) for n in shape)
    return f"[{listed}]" if shape else "of no known shape"


def joinable(shapes: Sequence[Shape]) -> dict[str, int]:
    """Return of which numbers the open axes must be multiples for maps to be of one size.

    Args:
        shapes: Shapes of maps whose spatial extents are to be equal.

    Returns:
        A number for each open axis; nothing where there are none with which they are equal.
    """
    first, *others = shapes
    units: dict[str, int] = {}
    for other in others:
        if other.rank != first.rank:
            return {}
        for axis, (multiple, rest) in agreements(first, other).items():
            if rest:
                return {}
            units[axis] = lcm(units.get(axis, 1), multiple)
    return units


def read_at_multiples(read: Callable[[Given], Read], given: Given = NOTHING_GIVEN) -> Read:
    """Return what `read` makes of a file, with open extents that its joins of maps take."""
    for _ in range(MOST_READINGS):
        try:
            return read(given)
        except MultiplesError as error:
            given = given.with_units(error.units)
    return read(replace(given, is_last=True))
