"""One call of a Keras layer while it becomes ops: what the functions of the tables work with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Final, NamedTuple, TypeAlias

from archspec.graph.graph import Node
from archspec.imports.building import ModelBuilder, one_or_each
from archspec.imports.flattening import in_order
from archspec.imports.keras.calls import ShapedArray
from archspec.imports.keras.config import Config, Extents
from archspec.imports.keras.layout import FOLLOWING, Flattened
from archspec.imports.multiplying import may_multiply
from archspec.ops.axes import AXES, Axis
from archspec.ops.convolution import LocalConv
from archspec.ops.op import Op, Weight, Weighted
from archspec.ops.padding import Mode
from archspec.ops.shape import Shape, UnknownShape

FIXED: Final = frozenset(
    {"moving_mean", "moving_variance", "mean", "variance", "count", "kernel_scale"}
)
"""Names of arrays that training does not change by gradients."""


class UnlikeError(Exception):
    """A layer computes what no op does; the message is a clause that says what."""


class StoredArray(NamedTuple):
    """An array that is read from the file when the weights are asked for."""

    shape: tuple[int, ...]
    """Shape of the array as the op has it."""
    places: tuple[str, ...]
    """Paths of the datasets in the HDF5 file from which it is computed."""
    made: Callable[..., Any] | None = None
    """Computes it from these; None where it is the first of them."""


@dataclass(frozen=True)
class Padding:
    """Padding that a layer of its own adds for the layer after it."""

    sides: tuple[tuple[int, int], ...]
    """Values before and after, for each spatial axis."""
    mode: str = "zeros"
    """Values that stand there: zeros, reflect, replicate, circular."""
    pool: Config | None = None
    """Arguments of a pool whose padding depends on the input's size."""


@dataclass
class KerasLayer:
    """One call of a layer: its class, its arguments, the nodes that it reads."""

    kind: str
    """Class of the layer; for an operator, the name of its function."""
    config: Config
    name: str
    """Path of the layer."""
    inputs: list[Node]
    args: tuple[Any, ...]
    """Arguments of the call, with nodes for tensors."""
    kwargs: Mapping[str, Any]
    stored: Sequence[ShapedArray] | None
    """The layer's arrays; None if the file does not tell them."""
    variables: Sequence[str]
    """Names of the arrays, if the class is known."""
    declared: Extents | None
    """Shape of the first output, as the file says it; None if it does not."""
    model: ModelBuilder
    keras: int
    """First number of the version of Keras that wrote the file: 1, 2 or 3."""
    channels_first: bool
    """Whether the inputs have their channels as the first axis in the file."""
    weights: dict[str, Sequence[StoredArray]]
    """Arrays of the nodes of the whole model, by name."""
    unfit: list[str]
    """Clauses about arrays of the whole model that cannot be given in Keras's layout."""
    wants_first: bool = False
    """Whether the next layer that minds has the channels of the output first."""
    flattened: Flattened | None = None
    """Order of the input's values in the file, for a vector that has another than archspec's."""
    first: KerasLayer | None = None
    """The first call of the layer, whose weights this one shares; None for the first itself."""
    used: frozenset[int] = frozenset({0})
    """Numbers of the outputs that the network uses."""
    padding: Padding | None = None
    """Padding of the input by the layer before."""
    times: int = 0
    """Axes before the spatial ones, along which windows are 1: one where it is applied at each
    time."""
    extra: int = 0
    """Parameters that Keras counts beside the arrays in the file."""
    reason: str = ""
    """Why archspec does not know the layer; empty if it does."""
    is_foreign: bool = False
    """Whether its class is not Keras's."""
    misfit: str = ""
    """Clause about arrays of the file that are not those of the ops; empty if they all are."""
    parts: dict[str, Node] = field(default_factory=dict)
    """Nodes that the call became, by their names within the layer."""
    makes_first: bool = False
    """Whether the output has its channels as the first axis in the file."""
    made: Flattened | None = None
    """Order of the output's values in the file, for a vector that has another than archspec's."""

    @property
    def x(self) -> Node:
        """The first node that the layer reads."""
        return self.inputs[0]

    @property
    def shape(self) -> Shape:
        """Shape of the first input; raise `UnlikeError` where it is not known."""
        if isinstance(self.x.shape, UnknownShape):
            raise UnlikeError("the shape of its input is not known")
        return self.x.shape

    @property
    def shown(self) -> Extents | None:
        """The declared shape of the first output, channels last."""
        shape = self.declared
        if shape is None or not self.makes_first or len(shape) < 2:
            return shape
        return (*shape[1:], shape[0])

    def declare_input(self) -> None:
        """Take the shape of the first input for that of the output, where the file has none."""
        if self.declared is None and self.inputs:
            shape = self.x.shape.known or None
            turned = shape is not None and self.makes_first and len(shape) > 1
            self.declared = (shape[-1], *shape[:-1]) if shape and turned else shape

    @property
    def trainable(self) -> dict[str, Any]:
        """The argument `trainable` of an op with weights, where it is not the default."""
        return {} if self.config.get("trainable", True) else {"trainable": False}

    def add(
        self,
        op: Op,
        *inputs: Node,
        part: str = "",
        stored: Sequence[ShapedArray] | None = None,
        sources: Sequence[StoredArray] | None = None,
    ) -> Node:
        """Add an op and return its node.

        Args:
            op: The op.
            inputs: The nodes that it reads; by default those that the layer reads.
            part: Name of the op within the layer; empty for the one that has the layer's name.
            stored: The arrays of the op in the file; by default all of the layer's for the op that
                has its name, and none for another.
            sources: How they are computed, where the file stores them in another form.
        """
        name = f"{self.name}/{part}" if part else self.name
        declared = None if part else self.shown
        given = inputs or tuple(self.inputs)
        shared = self.first.parts.get(part) if self.first else None
        if shared is not None and shared.layer.used:
            return self.model.share(
                shared, *given, name=name, type_name=self.kind, declared=declared
            )
        arrays = self.stored if stored is None and not part else stored
        node = self.model.add(
            op,
            *given,
            name=name,
            type_name=self.kind,
            declared=declared,
            arrays=None if arrays is None else self.listed(arrays),
        )
        if sources is None and arrays is not None:
            sources = [StoredArray(shape, (data.name,)) for shape, data in arrays]
        self._keep(node, sources)
        self.parts[part] = node
        return node

    def _keep(self, node: Node, sources: Sequence[StoredArray] | None) -> None:
        """Remember where a node's arrays are, where they are those of its op."""
        wanted = node.layer.weights
        if not wanted or not sources:
            return
        if self._is_of_theano(node):
            self.unfit.append(f"the kernel of {node.name} has its axes in Theano's order")
            return
        if len(wanted) == len(sources) and all(
            prod(w.shape) == prod(s.shape)
            # Other axes are another form of the array; other extents are another array.
            and (w.shape == s.shape or len(w.shape) != len(s.shape))
            for w, s in zip(wanted, sources, strict=True)
        ):
            self.weights[node.name] = [
                self._reordered(source._replace(shape=w.shape), w.name)
                for w, source in zip(wanted, sources, strict=True)
            ]
        else:
            self.unfit.append(f"the file has other arrays for {node.name} than archspec computes")
            theirs = ", ".join("x".join(map(str, source.shape)) for source in sources)
            ours = ", ".join(f"{w.name} {'x'.join(map(str, w.shape))}" for w in wanted)
            self.misfit = f"the file has arrays of {theirs}, and archspec computes {ours}"
            self.model.note(
                f"Layer {node.name} has other weights than its configuration says: {self.misfit}."
            )

    def _is_of_theano(self, node: Node) -> bool:
        """Whether a node's kernel is one whose first axes are the channels."""
        is_local = isinstance(node.op, LocalConv)
        windows = node.op.family == "window" or any(len(w.shape) > 2 for w in node.layer.weights)
        return self.channels_first and (is_local or (self.keras < 2 and windows))

    def _reordered(self, source: StoredArray, name: str) -> StoredArray:
        """Return an array of a layer that reads flattened maps with its rows in their order."""
        flattened, made = self.flattened, source.made
        if flattened is None or self.kind not in FOLLOWING:
            return source
        if source.shape[:1] != (flattened.maps.size,) or (self.kind == "Dense" and name == "bias"):
            return source

        def ordered(*values: Any) -> Any:
            array = made(*values) if made else values[0]
            return in_order(array.reshape(source.shape), *flattened)

        return source._replace(made=ordered)

    def listed(self, arrays: Iterable[ShapedArray]) -> list[Weight]:
        """Return arrays of the file as the weights of an op that archspec does not know."""
        given = list(arrays)
        shapes = [shape for shape, _ in given]
        names = self.variables if len(self.variables) == len(shapes) else ()
        trains = bool(self.config.get("trainable", True))
        return [
            Weight(name, shape, trains and name not in FIXED)
            for name, shape in zip(
                names or [_called(data, i) for i, (_, data) in enumerate(given)],
                shapes,
                strict=True,
            )
        ]

    def unknown(self, reason: str, output: int = 0) -> Node:
        """Add a layer that archspec does not know, with the shape and weights in the file."""
        self.reason = reason
        # The weights are the first output's that is used, and the first call's.
        if output != min(self.used, default=0) or self.first is not None:
            arrays: list[Weight] | None = []
        else:
            arrays = None if self.stored is None else self.listed(self.stored)
        node = self.model.unknown(
            self.kind,
            *self.inputs,
            name=f"{self.name}/output{output}" if output else self.name,
            reason=reason,
            declared=None if output else self.shown,
            arrays=arrays,
            multiplies=self.is_foreign or may_multiply(self.kind.rpartition(".")[2]),
        )
        if arrays:
            self._keep(
                node, [StoredArray(shape, (data.name,)) for shape, data in self.stored or ()]
            )
        return node

    def spatial(self, value: Any) -> Any:
        """Return a number, or a list of one for each spatial axis, as the extents of a window."""
        rank = self.shape.rank - self.times
        return (*(1,) * self.times, *per_axis(value, rank)) if self.times else window(value, rank)

    def sides(self, value: Any) -> tuple[tuple[int, int], ...]:
        """Return amounts before and after each axis, as Keras's padding and cropping say them.

        A number is for all spatial sides, a list of numbers for each axis; for one axis it is
        [before, after].
        """
        rank = self.shape.rank - self.times
        if isinstance(value, int):
            pairs = [(value, value)] * rank
        elif rank == 1 and len(value) == 2 and all(isinstance(each, int) for each in value):
            pairs = [(value[0], value[1])]
        else:
            pairs = [(p, p) if isinstance(p, int) else (int(p[0]), int(p[1])) for p in value]
        if len(pairs) != rank:
            raise UnlikeError(f"it has amounts for {len(pairs)} of {rank} axes")
        return (*((0, 0),) * self.times, *pairs)

    def axis(self, axis: Any, x: Shape | None = None) -> int:
        """Return the place in a shape of an axis that Keras counts with the batch.

        Raises:
            UnlikeError: It is the batch, or there is no such axis.
        """
        x = self.shape if x is None else x
        if isinstance(axis, (list, tuple)) and len(axis) == 1:
            (axis,) = axis
        if not isinstance(axis, int):
            raise UnlikeError(f"it works along the axes {axis}")
        place = axis + len(x) if axis < 0 else axis - 1
        if not 0 <= place < len(x):
            raise UnlikeError(f"it works along the axis {axis}")
        if self.channels_first and len(x) > 1:
            place = len(x) - 1 if place == 0 else place - 1
        return place

    def axis_name(self, axis: Any, x: Shape | None = None) -> Axis:
        """Return the name of an axis that Keras counts with the batch."""
        x = self.shape if x is None else x
        names: tuple[Axis, ...] = (*AXES.get(x.rank, ()), "channels")
        return names[self.axis(axis, x)]


def _called(data: Any, number: int) -> str:
    """Return the name that an array has in the file, where that is not a number alone."""
    name = str(getattr(data, "name", "")).rpartition("/")[2].partition(":")[0]
    return f"array{number}" if not name or name.isdigit() else name


Function: TypeAlias = Callable[[KerasLayer], "Node | Mapping[int, Node]"]
"""Adds the ops of a layer, and returns the node of its output, or of each that is used."""


def window(value: Any, rank: int | None = None) -> Any:
    """Return extents as a spec has them: one number where all are equal.

    Args:
        value: A number, or a list of one for each axis.
        rank: Number of axes that it must have, if it is a list.
    """
    if isinstance(value, (list, tuple)):
        extents = [int(each) for each in value]
        if rank is not None and len(extents) != rank:
            raise UnlikeError(f"it has {len(extents)} extents for {rank} axes")
        return one_or_each(extents)
    return int(value)


def per_axis(value: Any, rank: int) -> tuple[int, ...]:
    """Return an extent for each axis, as `window` reads it."""
    given = window(value, rank)
    return (given,) * rank if isinstance(given, int) else tuple(given)


def _extents(value: Any) -> Any:
    """Return whole numbers as an op has them, and anything else unchanged."""
    is_list = isinstance(value, list) and all(type(each) is int for each in value)
    return window(value) if is_list else value


def plain(
    op: type[Op],
    read: Callable[[Any], Any] = _extents,
    fixed: Mapping[str, Any] = {},
    **names: str,
) -> Function:
    """Return the function of a layer whose arguments are those of its op.

    Args:
        op: The op; one with weights is frozen as the layer is.
        read: Makes the op's argument of the layer's.
        fixed: Arguments that the op has for every layer.
        names: The layer's name of each other argument.
    """

    def add(layer: KerasLayer) -> Node:
        arguments = {ours: read(layer.config[theirs]) for ours, theirs in names.items()}
        return layer.add(op(**arguments, **fixed, **trainable(layer, op)))

    return add


def trainable(layer: KerasLayer, op: type[Op]) -> dict[str, Any]:
    """Return the argument `trainable`, for an op with weights."""
    return layer.trainable if issubclass(op, Weighted) else {}


def window_arguments(layer: KerasLayer) -> dict[str, Any]:
    """Return the arguments that all convolutions have."""
    config = layer.config
    padding: Any = config.get("padding", "valid")
    if layer.times and (layer.shape.rank == layer.times or padding not in ("same", "valid")):
        raise UnlikeError("it applies a convolution that archspec cannot apply at each time")
    if layer.padding is not None and padding == "valid":
        padding = padded(layer.padding)
    return {
        "kernel": layer.spatial(config["kernel_size"]),
        "stride": layer.spatial(config.get("strides", 1)),
        "dilation": layer.spatial(config.get("dilation_rate", 1)),
        "padding": padding,
        "bias": config.get("use_bias", True),
        **layer.trainable,
    }


def simplest(pairs: Sequence[tuple[int, int]]) -> Any:
    """Return amounts on the sides as a spec has them: one number where all are equal."""
    if all(before == after for before, after in pairs):
        return window([before for before, _ in pairs])
    return tuple(pairs)


def padded(amounts: Padding) -> Any:
    """Return padding as the argument of an op."""
    from archspec.ops.padding import MODES  # noqa: PLC0415

    if amounts.mode == "zeros":
        return simplest(amounts.sides)
    mode = MODES[amounts.mode](amount=simplest(amounts.sides))
    assert isinstance(mode, Mode)  # noqa: S101  (all modes are)
    return mode
