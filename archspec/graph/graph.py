"""The graph: what a spec expands to, and all that the analysis and the emitter read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from math import prod
from typing import Any, NamedTuple

from archspec.display import Displayed
from archspec.errors import Problem
from archspec.ops.fields import LARGEST
from archspec.ops.op import Op, Reach, Saved, Weight, Work
from archspec.ops.shape import Shape

SEPARATOR = "/"

IN_KERAS = "-"
"""What stands for it in the names of Keras's layers, where `/` is refused."""
"""Between the parts of a node's path, as in stage3/unit1/conv2."""


class Input(Op):
    """The image that comes in. Not a kind: a spec declares it with `input:`."""

    extent: tuple[int, ...]

    def output_shape(self) -> Shape:
        return Shape(self.extent)

    def weights(self) -> tuple[Weight, ...]:
        return ()

    def work(self, y: Shape) -> Work:  # noqa: ARG002
        return Work(0, 0)

    def saved_for_backward(self) -> Saved:
        return Saved()

    def reach(self, x: Shape) -> Reach | None:
        return Reach((1,) * x.rank, (1,) * x.rank)

    @property
    def label(self) -> str:
        return "INPUT"

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.Input(self.extent, name=name)


@dataclass(frozen=True, slots=True)
class Layer:
    """An op at the shapes of its inputs: all it costs for one example, computed once."""

    op: Op
    inputs: tuple[Shape, ...]
    output: Shape
    weights: tuple[Weight, ...]
    params: int
    trainable: int
    macs: int
    other_ops: int
    saved: Saved
    reach: Reach | None


@lru_cache(maxsize=16_384)
def layer_at(op: Op, inputs: tuple[Shape, ...]) -> Layer:
    """`op` applied to inputs of these shapes. Where a network repeats itself, this does not."""
    output = op.output_shape(*inputs)
    for extent in output:
        if not 1 <= extent <= LARGEST:
            raise Problem("limit", f"`{op.kind}` would give {output}: an extent over {LARGEST}")
    weights = op.weights(*inputs)
    if op.frozen:
        weights = tuple(weight._replace(trainable=False) for weight in weights)
    counts = [prod(weight.shape) for weight in weights]
    work = op.work(*inputs, output)
    return Layer(
        op,
        inputs,
        output,
        weights,
        params=sum(counts),
        trainable=sum(n for n, weight in zip(counts, weights, strict=True) if weight.trainable),
        macs=work.macs,
        other_ops=work.other_ops,
        saved=op.saved_for_backward(),
        reach=op.reach(inputs[0] if inputs else output),
    )


@dataclass(frozen=True, slots=True)
class Node:
    """A layer at its place: `name` is its path, `inputs` are the indices of earlier nodes."""

    index: int
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
    def channels(self) -> int:
        return self.layer.output[-1]


class Scope(NamedTuple):
    """A block, a group or a branch that became nodes: nodes[start:stop] stand below its path."""

    name: str
    kind: str
    label: str
    start: int
    stop: int
    row: bool = False
    """Whether a table shows it as one row even where it shows every layer."""


def reaching(nodes: Sequence[Node], outputs: Iterable[int]) -> list[bool]:
    """Whether each node's output is needed for one of these; the input's always is."""
    needed = [False] * len(nodes)
    needed[0] = True
    for index in outputs:
        needed[index] = True
    for node in reversed(nodes):
        if needed[node.index]:
            for index in node.inputs:
                needed[index] = True
    return needed


@dataclass(frozen=True)
class Graph(Displayed):
    """A network: `nodes` in an order in which every input comes before its use."""

    RENDERER = "graph"

    name: str
    nodes: tuple[Node, ...]
    outputs: Mapping[str, int]
    """Node index of each output; the main one is called `output` and comes first."""
    scopes: tuple[Scope, ...] = ()
    loss_weights: Mapping[str, float] = field(default_factory=dict)
    """Weight of each output's loss in training."""

    @property
    def input(self) -> Shape:
        return self.nodes[0].shape

    @property
    def output(self) -> Shape:
        return self.nodes[next(iter(self.outputs.values()))].shape

    @cached_property
    def paths(self) -> Mapping[str, Shape]:
        """The output shape at every path: nodes, and blocks and groups by their last node."""
        shapes = {scope.name: self.nodes[scope.stop - 1].shape for scope in self.scopes}
        shapes.update((node.name, node.shape) for node in self.nodes)
        return shapes

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: each node with its op and inputs, and the node of each output."""
        names = [node.name for node in self.nodes]
        return {
            "name": self.name,
            "nodes": [
                {
                    "name": node.name,
                    "op": node.op.kind or "input",
                    "arguments": node.op.model_dump(mode="json"),
                    "shape": list(node.shape),
                    "inputs": [names[each] for each in node.inputs],
                }
                for node in self.nodes
            ],
            "outputs": {output: names[index] for output, index in self.outputs.items()},
        }
