"""The graph that a spec expands to: layers at known shapes, joined by edges."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import takewhile, zip_longest
from math import prod
from typing import Any, ClassVar, NamedTuple, TypeAlias

from archspec.display import Displayed
from archspec.element import Element
from archspec.errors import KeyPath, Problem
from archspec.ops.fields import LARGEST
from archspec.ops.op import Op, Reach, Rearrangement, Saved, Weight, needs_size
from archspec.ops.shape import UNKNOWN_SHAPE, Shape, plain

SEPARATOR = "/"
"""Separator of the parts of a node's path, as in stage3/unit1/conv2."""

IN_KERAS = "-"
"""Replacement for `SEPARATOR` in names of Keras's layers, where `/` is not allowed."""

MAIN_OUTPUT = "output"
"""Name of the output of a spec's `layers`, beside which its heads stand."""


class Input(Rearrangement):
    """An image or a vector that comes in. It is not a kind: `input:` or `inputs:` declares it."""

    extent: tuple[Any, ...]
    """Whole numbers; an `Extent` for an axis that is open. Empty if a model file does not tell."""

    def output_shape(self) -> Shape:
        return Shape(self.extent) if self.extent else UNKNOWN_SHAPE

    @property
    def word(self) -> str:
        return "input"

    @property
    def label(self) -> str:
        return "INPUT"

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        return layers.Input(x.known, name=name)


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """An op at the shapes of its inputs, and all that it costs for one example."""

    op: Op
    inputs: tuple[Shape, ...]
    output: Shape
    weights: tuple[Weight, ...]
    params: int
    trainable: int
    macs: int
    other_ops: int
    kernels: int
    """1 for a layer that owns a kernel, which is what the 16 of VGG-16 counts; else 0."""
    saved: Saved
    saved_inside: int
    """Values, beside input and output, that training keeps."""
    reach: Reach | None
    learns: bool
    """Whether training changes weights that it uses, its own or those of `owner`."""
    owner: str = ""
    """Path of the layer whose weights it uses; "" where it has its own, or none."""
    measured: dict[Hashable, Any] = field(default_factory=dict)
    """Results of `cost/` that are the same wherever the layer is used."""

    # What an `Expansion` counts: nodes, how often an input is read, characters of paths inside.
    size: ClassVar[int] = 1
    reads: ClassVar[int] = 1
    longest: ClassVar[int] = 0

    @property
    def edges(self) -> int:
        """Number of inputs."""
        return len(self.inputs)

    @property
    def used(self) -> tuple[Weight, ...]:
        """The weights that it uses: its own, or those of `owner`."""
        return self.op.weights(*self.inputs) if self.owner else self.weights

    def __eq__(self, other: object) -> bool:
        # The rest follows from these two.
        return self is other or (
            isinstance(other, Layer)
            and self.op == other.op
            and self.inputs == other.inputs
            and self.owner == other.owner
        )

    def __hash__(self) -> int:
        return hash((self.op, self.inputs))


def _is_possible(extent: Any) -> bool:
    """Whether a formula gives extents from 1 to the largest, at some size of the input."""
    return bool(extent >= 1) and max(map(abs, extent.terms.values())) <= LARGEST


@lru_cache(maxsize=16_384)
def layer_at(op: Op, inputs: tuple[Shape, ...]) -> Layer:
    """Return `op` applied to inputs of these shapes; raise `Problem` where they do not fit."""
    output = op.output_shape(*inputs)
    for extent in output:
        if not (1 <= extent <= LARGEST if isinstance(extent, int) else _is_possible(extent)):
            raise Problem("limit", f"`{op.kind}` would give {output}: an extent over {LARGEST}")
    weights = op.weights(*inputs)
    if output.is_open or any(shape.is_open for shape in inputs):
        _check_open(op, inputs, output, weights)
    if op.frozen:
        weights = tuple(weight._replace(trainable=False) for weight in weights)
    counts = [prod(weight.shape) for weight in weights]
    trainable = sum(n for n, weight in zip(counts, weights, strict=True) if weight.trainable)
    work = op.work(*inputs, output)
    return Layer(
        op,
        inputs,
        output,
        weights,
        params=sum(counts, op.unlisted),
        trainable=trainable + op.unlisted,
        macs=work.macs,
        other_ops=work.other_ops,
        kernels=int(any(weight.name == "kernel" for weight in weights)) + op.unlisted,
        saved=op.saved_for_backward(),
        saved_inside=op.saved_inside(*inputs),
        reach=op.reach(*inputs[: op.most_inputs] or (output,)),
        learns=trainable > 0,
    )


def _check_open(
    op: Op, inputs: tuple[Shape, ...], output: Shape, weights: tuple[Weight, ...]
) -> None:
    """Raise `Problem` where the channels, or a weight, depend on the size of the input."""
    if not isinstance(output.channels, int):
        raise Problem(
            "shape",
            f"`{op.kind}` would give {output}: the number of channels must not depend on the "
            "input's size, which is open",
            help=f"`global_avg_pool` gives as many at every size; or {needs_size()}",
        )
    if any(not isinstance(extent, int) for weight in weights for extent in weight.shape):
        raise Problem(
            "shape",
            f"`{op.kind}` has weights for each place of {inputs[0]}: their number must not "
            "depend on the input's size, which is open",
            help=needs_size(),
        )


def shared_layer(layer: Layer, owner: str, inputs: tuple[Shape, ...]) -> Layer:
    """Return a layer applied again, to inputs of these shapes, with the same weights.

    Args:
        layer: The layer.
        owner: Its path.
        inputs: The shapes of the inputs.

    Raises:
        Problem: It does not fit them, or would have other weights there.
    """
    again, weights = layer_at(layer.op, inputs), layer.op.weights(*layer.inputs)
    if not again.weights and not weights:
        return again
    for weight, other in zip_longest(weights, layer.op.weights(*inputs)):
        if weight != other:
            what = f"the {weight.name} of `{owner}` is"
            shapes = "x".join(map(str, weight.shape)), "x".join(map(str, other.shape))
            raise Problem(
                "shape",
                f"{what} {shapes[0]} for an input of {layer.inputs[0]}, "
                f"and would be {shapes[1]} for {inputs[0]}: the weights cannot be shared",
                help=_mend_shared(layer.inputs[0], inputs[0]),
            )
    return replace(
        again, weights=(), params=0, trainable=0, kernels=0, owner=layer.owner or owner, measured={}
    )


def _mend_shared(first: Shape, other: Shape) -> str:
    if first.channels != other.channels and first.rank:
        return "both inputs must have the same channels; a 1x1 `conv` before it makes them equal"
    return "both inputs must have the same shape here; a global pool before it makes them equal"


class Node(NamedTuple):
    """A layer at its place: `name` is its path, `inputs` are the indices of earlier nodes."""

    index: int  # type: ignore[assignment]  # hides `tuple.index`
    name: str
    layer: Layer
    inputs: tuple[int, ...]

    @property
    def op(self) -> Op:
        return self.layer.op

    @property
    def shape(self) -> Shape:
        return self.layer.output

    @property
    def is_input(self) -> bool:
        """Whether the node is an input of the network."""
        return isinstance(self.layer.op, Input)

    @property
    def channels(self) -> int:
        return self.layer.output[-1]

    @property
    def start(self) -> int:
        return self.index

    @property
    def costs(self) -> Layer:
        return self.layer

    def moved(self, index: int, name: str, inputs: tuple[int, ...]) -> "Node":
        """Return the same layer at another place."""
        return Node(index, name, self.layer, inputs)


class Scope(NamedTuple):
    """A block, a group or a branch that became nodes: nodes[start:stop] stand below its path."""

    name: str
    kind: str
    label: str
    start: int
    stop: int
    row: bool = False
    """Whether a table shows it as one row even where it shows every layer."""
    owner: str = ""
    """Path of the block or group whose weights it uses; "" where it has its own, or none."""
    element: Element | None = None
    """The block with its arguments; None for a group or a branch, and in a graph of another process
    for a block that the spec defines."""

    # A spec's own blocks are other classes each time that it is read; what they became is compared.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scope) and self[:-1] == other[:-1]

    def __hash__(self) -> int:
        return hash(self[:-1])

    def moved(self, by: int, name: str) -> "Scope":
        """Return the scope moved by a number of nodes, with another path."""
        _, kind, label, start, stop, row, owner, element = self
        return Scope(name, kind, label, start + by, stop + by, row, owner, element)


class Expansion:
    """The layers of a block on an input of one shape, the same wherever the block is used.

    It has one input, and all its nodes lead to the last one, its output. So its sums are computed
    once for all its uses. Paths and indices are relative to its path and first node; its input is
    -1.
    """

    def __init__(self, pieces: "tuple[Piece, ...]", scopes: tuple[Scope, ...]) -> None:
        self.pieces = pieces
        self.scopes = scopes
        """The block's scope, then those of groups in it; nested blocks have their own."""
        self.size: int = pieces[-1].index + 1
        """Number of nodes."""
        self.edges = 0
        """Number of inputs of all its nodes."""
        self.reads = 0
        """Number of times that its input is read."""
        self.longest = 0
        """Characters of the longest path in it."""
        self.output: Shape = pieces[-1].shape
        self.measured: dict[Hashable, Any] = {}
        """Results of `cost/` that are the same wherever the block is used."""
        self.params = self.trainable = self.macs = self.other_ops = self.kernels = 0
        for _, name, costs, inputs in pieces:
            self.edges += costs.edges
            self.reads += costs.reads * inputs.count(-1)
            self.longest = max(self.longest, len(name) + costs.longest)
            self.params += costs.params
            self.trainable += costs.trainable
            self.macs += costs.macs
            self.other_ops += costs.other_ops
            self.kernels += costs.kernels

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Expansion)
            and self.pieces == other.pieces
            and self.scopes == other.scopes
        )

    def __hash__(self) -> int:
        return hash((self.size, self.edges, self.params, self.output))


class PlacedBlock(NamedTuple):
    """A block at its place in a graph: the nodes from `start` to `index`, its output."""

    index: int  # type: ignore[assignment]  # hides `tuple.index`
    name: str
    costs: Expansion
    inputs: tuple[int, ...]
    """The one node that it reads."""

    @property
    def start(self) -> int:
        return self.index + 1 - self.costs.size

    @property
    def shape(self) -> Shape:
        return self.costs.output

    def moved(self, index: int, name: str, inputs: tuple[int, ...]) -> "PlacedBlock":
        """Return the same block at another place."""
        return PlacedBlock(index, name, self.costs, inputs)


Piece: TypeAlias = Node | PlacedBlock
"""A single layer, or all the layers of a block."""


def _pieces_at(
    pieces: Iterable[Piece],
    shapes: dict[int, Shape],
    sizes: Mapping[str, int],
    made: dict[tuple[int, Shape], Expansion],
) -> tuple[Piece, ...]:
    """Return pieces where the network's open axes have these extents.

    Args:
        pieces: The pieces of a graph or an expansion.
        shapes: The output shape of each node before them, by its index; theirs are added.
        sizes: Extent of each open axis.
        made: The expansions so far, by the identity of the open one and the shape of its input.
    """
    changed: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, Node):
            op = piece.op
            if isinstance(op, Input):
                op = Input(extent=tuple(piece.shape.at(sizes)))
            try:
                given = tuple([shapes[index] for index in piece.inputs])
                owner = piece.layer.owner
                layer = shared_layer(piece.layer, owner, given) if owner else layer_at(op, given)
            except Problem as problem:
                problem.path = problem.path or piece.name
                raise
            changed.append(piece._replace(layer=layer))
        else:
            x = shapes[piece.inputs[0]]
            key = id(piece.costs), x
            if key not in made:
                try:
                    inner = _pieces_at(piece.costs.pieces, {-1: x}, sizes, made)
                except Problem as problem:
                    problem.path = piece.name + (problem.path or "")
                    raise
                made[key] = Expansion(inner, piece.costs.scopes)
            changed.append(piece._replace(costs=made[key]))
        shapes[piece.index] = changed[-1].shape
    return tuple(changed)


def nodes_of(pieces: Iterable[Piece]) -> list[Node]:
    """Return all nodes of a graph's pieces, those in blocks too."""
    nodes: list[Node] = []
    for piece in pieces:
        if isinstance(piece, Node):
            nodes.append(piece)
        else:
            nodes += placed_nodes(piece.costs.pieces, piece.name, piece.start, piece.inputs[0])
    return nodes


def placed_nodes(pieces: Iterable[Piece], path: str, start: int, x: int) -> list[Node]:
    """Return all nodes of an expansion's pieces where it stands.

    Args:
        pieces: Some of the expansion's pieces.
        path: The path of the block.
        start: Index of the block's first node.
        x: Index of the block's input.
    """
    nodes: list[Node] = []
    for index, name, costs, inputs in pieces:
        read = tuple([start + each if each >= 0 else x for each in inputs])
        if isinstance(costs, Layer):
            nodes.append(Node(start + index, path + name, costs, read))
        else:
            first = start + index + 1 - costs.size
            nodes += placed_nodes(costs.pieces, path + name, first, read[0])
    return nodes


def scopes_of(
    pieces: Iterable[Piece], scopes: Sequence[Scope], path: str = "", start: int = 0
) -> list[Scope]:
    """Return scopes and those in blocks among the pieces, an outer one before those inside it.

    `path` and `start` are the path and the first node of the block in which all of them are.
    """
    own = [scope.moved(start, path + scope.name) for scope in scopes]
    merged: list[Scope] = []
    done = 0
    for piece in pieces:
        if isinstance(piece, PlacedBlock):
            first, block = start + piece.start, piece.costs
            while done < len(own) and own[done].start <= first:
                merged.append(own[done])
                done += 1
            merged += scopes_of(block.pieces, block.scopes, path + piece.name, first)
    return [*merged, *own[done:]]


def reaching(pieces: Sequence[Piece], outputs: Iterable[int]) -> list[bool]:
    """Return for each node whether an output needs it."""
    needed = [False] * (pieces[-1].index + 1)
    for index in outputs:
        needed[index] = True
    for index, _, costs, inputs in reversed(pieces):
        if needed[index]:
            if costs.size > 1:
                needed[index + 1 - costs.size : index] = [True] * (costs.size - 1)
            for each in inputs:
                needed[each] = True
    return needed


def inputs_text(shapes: Mapping[str, Shape]) -> str:
    """Return the shape of a network's input as text; of several, each after its name."""
    if len(shapes) == 1:
        return str(next(iter(shapes.values())))
    shown = [f"{name} {shape}" for name, shape in shapes.items()]
    more = [f"{len(shown) - 3} more"] if len(shown) > 4 else []
    return ", ".join([*(shown[:3] if more else shown), *more])


@dataclass(frozen=True)
class Graph(Displayed):
    """A network: `nodes` in an order in which every input comes before its use."""

    RENDERER = "graph"

    name: str
    pieces: tuple[Piece, ...]
    """The nodes, those of a block in one piece where that can be costed as a whole."""
    outputs: Mapping[str, int]
    """Node index of each output; the main one is called `output` and comes first."""
    outer_scopes: tuple[Scope, ...] = ()
    """The scopes that are not inside a block."""
    loss_weights: Mapping[str, float] = field(default_factory=dict)
    """Weight of each output's loss in training."""
    steps: Mapping[KeyPath, Sequence[tuple[int, int]]] = field(
        default_factory=dict, repr=False, compare=False
    )
    """The nodes, from one up to another, that each step of the spec became in each round of it."""

    @property
    def size(self) -> int:
        """Number of nodes."""
        return self.pieces[-1].index + 1

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        return tuple(nodes_of(self.pieces))

    @cached_property
    def scopes(self) -> tuple[Scope, ...]:
        """All scopes, an outer one before those inside it."""
        return tuple(scopes_of(self.pieces, self.outer_scopes))

    @cached_property
    def inputs(self) -> Mapping[str, int]:
        """Node index of each input; a network's only one is called `input`, or as the spec says."""
        first = takewhile(lambda piece: isinstance(piece, Node) and piece.is_input, self.pieces)
        return {piece.name: piece.index for piece in first}

    @property
    def input(self) -> Shape:
        """Shape of the input; of several, that of the first, at which `layers` begins."""
        return self.pieces[0].shape

    @property
    def input_shapes(self) -> Mapping[str, Shape]:
        """Shape of each input."""
        return {name: self.pieces[index].shape for name, index in self.inputs.items()}

    @property
    def input_text(self) -> str:
        """The shape of the input as text; of several, each after its name."""
        return inputs_text(self.input_shapes)

    @cached_property
    def is_open(self) -> bool:
        """Whether an input has open extents."""
        return any(shape.is_open for shape in self.input_shapes.values())

    def at(self, sizes: Mapping[str, int]) -> "Graph":
        """Return the same layers where the input's open axes have these extents.

        Raises:
            Problem: A layer does not fit such an input; `path` says which.
        """
        return replace(self, pieces=_pieces_at(self.pieces, {}, sizes, {}))

    @property
    def output(self) -> Shape:
        """Shape of the main output."""
        main = next(iter(self.outputs.values()))
        return next(piece.shape for piece in reversed(self.pieces) if piece.index == main)

    @cached_property
    def paths(self) -> Mapping[str, Shape]:
        """The output shape at every path: nodes, and blocks and groups by their last node."""
        shapes = {scope.name: self.nodes[scope.stop - 1].shape for scope in self.scopes}
        shapes.update((node.name, node.shape) for node in self.nodes)
        return shapes

    def shape_at(self, path: str) -> Shape | None:
        """Return the output shape at a path; None where there is no such path."""
        return self._outer_paths.get(path) or self.paths.get(path)

    @cached_property
    def _outer_paths(self) -> Mapping[str, Shape]:
        """The output shape at every path that is not inside a block."""
        ends = {piece.index: piece.shape for piece in self.pieces}
        shapes = {scope.name: ends[scope.stop - 1] for scope in self.outer_scopes}
        shapes.update((piece.name, piece.shape) for piece in self.pieces)
        return shapes

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: each node with its op and inputs; all inputs; each output's node."""
        names = [node.name for node in self.nodes]
        return {
            "name": self.name,
            "nodes": [
                {
                    "name": node.name,
                    "op": node.op.word,
                    "arguments": plain(node.op.model_dump(mode="json")),
                    "shape": plain(node.shape),
                    "inputs": [names[each] for each in node.inputs],
                }
                for node in self.nodes
            ],
            "inputs": list(self.inputs),
            "outputs": {output: names[index] for output, index in self.outputs.items()},
        }
