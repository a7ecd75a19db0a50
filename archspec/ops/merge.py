"""Merges: several tensors become one."""

from typing import Any

from archspec.errors import Problem
from archspec.ops.op import Op, Reach, Saved, Weight, Work, pointwise
from archspec.ops.shape import Shape


class Merge(Op):
    """A family: takes two inputs or more, named by the step or gathered by `branches`."""

    family = "merge"

    def output_shape(self, *inputs: Shape) -> Shape:
        first, *others = inputs
        for other in others:
            if other != first:
                raise Problem(
                    "shape",
                    f"`{self.kind}` needs inputs of one shape, not {first} and {other}",
                    help=_mend(first, other),
                )
        return first

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:  # noqa: ARG002
        return ()

    def work(self, *shapes: Shape) -> Work:
        *inputs, y = shapes
        return Work(0, (len(inputs) - 1) * y.size)

    def saved_for_backward(self) -> Saved:
        return Saved()

    def reach(self, x: Shape) -> Reach | None:
        return pointwise(x)


_STRIDES = "the strides and paddings on the two ways do not agree"


def _axes(first: Shape, other: Shape) -> str:
    """Return a help line for inputs of unlike numbers of axes; empty where those are equal."""
    if first.rank == other.rank:
        return ""
    if 0 in (first.rank, other.rank):
        return "`global_avg_pool: {keep_axes: true}` or `reshape` gives a vector spatial axes"
    return "`reshape` makes the number of spatial axes equal"


def _mend(first: Shape, other: Shape) -> str:
    if axes := _axes(first, other):
        return axes
    if not first.rank:
        return "`fc` on one of them makes them equally long; `concat` takes unequal ones"
    if first.spatial == other.spatial:
        return "a 1x1 `conv` on one of them makes the channels equal; `concat` takes unequal ones"
    if first.channels == other.channels:
        return _STRIDES
    return "both the strides and the filters on the two ways differ"


class Add(Merge, kind="add"):
    """Elementwise sum. (He et al. 2015, equation 1)"""

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.Add(name=name)


class Mean(Merge, kind="mean"):
    """Elementwise mean. (Larsson et al. 2016, the join of FractalNet)"""

    def work(self, *shapes: Shape) -> Work:
        return Work(0, super().work(*shapes).other_ops + shapes[-1].size)

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.Average(name=name)


class Max(Merge, kind="max"):
    """Elementwise maximum. (Goodfellow et al. 2013, maxout)"""

    def saved_for_backward(self) -> Saved:
        return Saved(input=True)

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.Maximum(name=name)


class Multiply(Merge, kind="multiply"):
    """Elementwise product; an extent of 1 is repeated, as in a gate. (Hu et al. 2018)"""

    def output_shape(self, *inputs: Shape) -> Shape:
        first = inputs[0]
        if any(len(other) != len(first) for other in inputs):
            return super().output_shape(*inputs)
        widest = Shape(max(axis) for axis in zip(*inputs, strict=True))
        for other in inputs:
            if any(n not in (1, most) for n, most in zip(other, widest, strict=True)):
                raise Problem(
                    "shape",
                    f"`multiply` cannot combine {' and '.join(map(str, inputs))}",
                    help="extents must be equal, or 1: that is repeated",
                )
        return widest

    def saved_for_backward(self) -> Saved:
        return Saved(input=True)

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.Multiply(name=name)


class Concat(Merge, kind="concat"):
    """The channels of all inputs, one after the other. (Szegedy et al. 2014)"""

    def output_shape(self, *inputs: Shape) -> Shape:
        first, *others = inputs
        for other in others:
            if other.spatial != first.spatial:
                raise Problem(
                    "shape",
                    f"`concat` needs inputs that differ in channels alone, not {first} and {other}",
                    help=_axes(first, other) or _STRIDES,
                )
        return Shape((*first.spatial, sum(x.channels for x in inputs)))

    def work(self, *shapes: Shape) -> Work:  # noqa: ARG002
        return Work(0, 0)

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.Concatenate(name=name)
