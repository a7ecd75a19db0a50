"""Merges: several tensors become one."""

from typing import Any

from archspec.errors import Problem
from archspec.ops.axes import Axis, place_of_axis
from archspec.ops.op import Reach, Saved, Weightless, Work, pointwise
from archspec.ops.shape import Shape


class Merge(Weightless):
    """Base of ops of two or more inputs, named by the step or gathered by `branches`."""

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


def agreements(first: Shape, other: Shape) -> dict[str, tuple[int, int]]:
    """Return where the spatial extents of two open shapes of one rank are equal.

    Returns:
        A multiple and a rest for each open axis along which they are not equal at every size;
        nothing where there are no such sizes, or they are not known.

    Example:
        >>> from archspec.ops.extent import Extent
        >>> height = Extent.open("height")
        >>> agreements(Shape((height, 3)), Shape((height // 4 * 4, 3)))
        {'height': (4, 0)}
    """
    if not (first.is_open or other.is_open):
        return {}
    from archspec.ops.extent import agreement  # noqa: PLC0415

    found: dict[str, tuple[int, int]] = {}
    for ours, theirs in zip(first.spatial, other.spatial, strict=True):
        if ours == theirs:
            continue
        agreed = agreement(ours, theirs)
        if agreed is None:
            return {}
        (axis,) = (ours - theirs).axes  # type: ignore[attr-defined]  # a formula
        found[axis] = agreed
    return found


def _sizes(first: Shape, other: Shape) -> str:
    """Return a help line for open extents that agree at some sizes; empty for others."""
    wheres = [
        (f"{axis} is {rest} more than " if rest else f"{axis} is ", multiple, rest)
        for axis, (multiple, rest) in agreements(first, other).items()
    ]
    if not wheres:
        return ""
    text = " and ".join(f"{where}a multiple of {multiple}" for where, multiple, _ in wheres)
    if any(rest for _, _, rest in wheres):
        return (
            f"they agree where {text}; `crop` with both as inputs makes one as large as the other"
        )
    multiples = " and ".join(
        dict.fromkeys(f"`multiple of {multiple}`" for _, multiple, _ in wheres)
    )
    return (
        f"they agree where {text}: write {multiples} for these axes of `input`, or `crop` one to "
        "the extents of the other"
    )


def _mend(first: Shape, other: Shape) -> str:
    if axes := _axes(first, other):
        return axes
    if not first.rank:
        return "`fc` on one of them makes them equally long; `concat` takes unequal ones"
    if sizes := _sizes(first, other):
        return sizes
    if first.spatial == other.spatial:
        return "a 1x1 `conv` on one of them makes the channels equal; `concat` takes unequal ones"
    if first.channels == other.channels:
        return _STRIDES
    return "both the strides and the filters on the two ways differ"


class _Repeating(Merge):
    """Base of merges that repeat an extent of 1 to that of the other inputs."""

    def output_shape(self, *inputs: Shape) -> Shape:
        first, *others = inputs
        if any(len(other) != len(first) for other in others):
            return super().output_shape(*inputs)
        widest = Shape(next((n for n in axis if n != 1), 1) for axis in zip(*inputs, strict=True))
        for other in inputs:
            if any(n not in (1, most) for n, most in zip(other, widest, strict=True)):
                return super().output_shape(*inputs)
        return widest


class Add(_Repeating, kind="add"):
    """Elementwise sum; an extent of 1 is repeated. (He et al. 2015, equation 1)"""

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.Add(name=name)


class Mean(_Repeating, kind="mean"):
    """Elementwise mean; an extent of 1 is repeated. (Larsson et al. 2016, FractalNet)"""

    def work(self, *shapes: Shape) -> Work:
        return Work(0, super().work(*shapes).other_ops + shapes[-1].size)

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.Average(name=name)


class Max(_Repeating, kind="max"):
    """Elementwise maximum; an extent of 1 is repeated. (Goodfellow et al. 2013, maxout)"""

    def saved_for_backward(self) -> Saved:
        return Saved(input=True)

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.Maximum(name=name)


class Min(_Repeating, kind="min"):
    """Elementwise minimum; an extent of 1 is repeated."""

    def saved_for_backward(self) -> Saved:
        return Saved(input=True)

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.Minimum(name=name)


class _Pair(Merge):
    """Base of merges of two inputs, whose order counts."""

    def output_shape(self, *inputs: Shape) -> Shape:
        if len(inputs) != 2:
            raise Problem(
                "shape",
                f"`{self.kind}` takes two inputs, not {len(inputs)}",
                help=f"as `{self.kind}: [a, b]`, or `{self.kind}: b` after the step a",
            )
        return super().output_shape(*inputs)


class Subtract(_Pair, _Repeating, kind="subtract"):
    """The first input minus the second, elementwise; an extent of 1 is repeated."""

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.Subtract(name=name)


class AbsoluteDifference(_Pair, kind="absolute_difference"):
    """Elementwise |a - b|: how far apart two embeddings are. (Koch et al. 2015, section 3.1)"""

    def work(self, *shapes: Shape) -> Work:
        return Work(0, 2 * shapes[-1].size)

    def saved_for_backward(self) -> Saved:
        return Saved(input=True)  # the sign of the difference

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.AbsoluteDifference(name=name)


class Multiply(_Repeating, kind="multiply"):
    """Elementwise product; an extent of 1 is repeated, as in a gate. (Hu et al. 2018)"""

    def saved_for_backward(self) -> Saved:
        return Saved(input=True)

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.Multiply(name=name)


class Divide(_Pair, _Repeating, kind="divide"):
    """The first input divided by the second, elementwise; an extent of 1 is repeated.

    Nothing is added to the second: where it may be 0, a `rescale` before it is the paper's epsilon,
    as in `rescale: {scale: 1, offset: 0.0001}`. (Tan et al. 2019, arXiv:1911.09070, section 3.3)
    """

    def saved_for_backward(self) -> Saved:
        return Saved(input=True)

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.Divide(name=name)


class Concat(Merge, kind="concat"):
    """The channels of all inputs, one after the other, or their values along another axis.

    The channels: Szegedy et al. 2014. `{concat: {axis: length}, from: [a, b]}` joins sequences.
    """

    axis: Axis = "channels"
    """The axis along which the inputs are joined; all other extents are equal."""

    def output_shape(self, *inputs: Shape) -> Shape:
        first, *others = inputs
        place = place_of_axis(self.kind, self.axis, first)
        for other in others:
            if len(other) != len(first) or any(
                n != m for at, (n, m) in enumerate(zip(first, other, strict=True)) if at != place
            ):
                alone = "channels alone" if self.axis == "channels" else f"`{self.axis}` alone"
                raise Problem(
                    "shape",
                    f"`concat` needs inputs that differ in {alone}, not {first} and {other}",
                    help=_axes(first, other)
                    or _sizes(first, other)
                    or (_STRIDES if self.axis == "channels" else None),
                )
        return Shape((*first[:place], sum(x[place] for x in inputs), *first[place + 1 :]))

    def work(self, *shapes: Shape) -> Work:  # noqa: ARG002
        return Work(0, 0)

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        place = place_of_axis(self.kind, self.axis, x)
        return layers.Concatenate(axis=-1 if place == x.rank else place + 1, name=name)


class MatMul(Merge, kind="matmul"):
    """The matrix product of two inputs over their last two axes, for each place of the others.

    [..., n, k] and [..., k, m] give [..., n, m]; with `transpose_b`, the second is [..., m, k]. Its
    products count as MACs. (Vaswani et al. 2017, arXiv:1706.03762, equation 1)
    """

    transpose_b: bool = False
    """Whether the second input's last two axes are swapped first."""

    def output_shape(self, *inputs: Shape) -> Shape:
        if len(inputs) != 2:
            raise Problem("shape", f"`matmul` takes two inputs, not {len(inputs)}")
        a, b = inputs
        if not a.rank or a.rank != b.rank or a[:-2] != b[:-2]:
            raise Problem(
                "shape",
                f"`matmul` needs matrices, alike in all axes but the last two, not {a} and {b}",
            )
        inner, columns = (b[-1], b[-2]) if self.transpose_b else (b[-2], b[-1])
        if a[-1] != inner:
            transposed = b[-1 if not self.transpose_b else -2]
            mend = f"`transpose_b: {str(not self.transpose_b).lower()}` would fit"
            raise Problem(
                "shape",
                f"`matmul` of {a} and {b}{' transposed' if self.transpose_b else ''}: the rows of "
                f"the first have {a[-1]} values, the columns of the second {inner}",
                help=mend if a[-1] == transposed else None,
            )
        return Shape((*a[:-1], columns))

    def work(self, *shapes: Shape) -> Work:
        a, *_, y = shapes
        return Work(y.size * a[-1], 0)

    def saved_for_backward(self) -> Saved:
        return Saved(input=True)

    def reach(self, x: Shape) -> Reach | None:  # noqa: ARG002
        return None

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.MatMul(transpose_b=self.transpose_b, name=name)
