"""A Darknet network as it is read: the output of each section, and what its rule adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from archspec.element import Element
from archspec.graph.graph import Node
from archspec.imports.building import ModelBuilder
from archspec.imports.darknet.sections import Section
from archspec.imports.darknet.weights import Stored
from archspec.imports.modeltext import ModelText, TextProblem, parse_op
from archspec.imports.multiplying import may_multiply
from archspec.ops.convolution import DepthwiseConvolution
from archspec.ops.elementwise import Activate
from archspec.ops.normalization import BatchNorm
from archspec.ops.op import Op, Weight
from archspec.ops.shape import Shape

EPSILON: Final = 1e-5
"""Number that Darknet adds to a batch norm's variance on a GPU; on a CPU it is a little else."""

LEAKY: Final = 0.1
"""Slope of Darknet's leaky below 0."""

_ACTIVATIONS: Final[Mapping[str, Any]] = {
    "elu": "elu",
    "gelu": {"gelu": {"approximate": True}},
    "hard_mish": None,
    "hardtan": "hard_tanh",
    "leaky": {"leaky_relu": LEAKY},
    "linear": "linear",
    "logistic": "sigmoid",
    "mish": "mish",
    "relu": "relu",
    "relie": {"leaky_relu": 0.01},
    "relu6": "relu6",
    "revleaky": {"leaky_relu": LEAKY},
    "selu": "selu",
    "silu": "swish",
    "swish": "swish",
    "tanh": "tanh",
}
"""archspec's functions by Darknet's words."""

_SHORT: Final = {
    "convolutional": "conv", "deconvolutional": "deconv", "connected": "connected",
    "maxpool": "max", "avgpool": "avg",
}  # fmt: skip
"""The words that Darknet prints for a layer, where they are not the section's."""


@dataclass
class Net:
    """A file as it is read: the node that each section's output is."""

    text: ModelText
    builder: ModelBuilder
    outputs: list[Node] = field(default_factory=list)
    heads: dict[str, Node] = field(default_factory=dict)
    """The outputs so far that boxes are read from."""
    stored: list[Stored] = field(default_factory=list)
    """The arrays of a `.weights` file, in their order."""
    unreadable: str = ""
    """A layer whose weights archspec cannot read, and so none after it."""

    def name(self, section: Section) -> str:
        """Return the name of the section that is read now."""
        return f"{_SHORT.get(section.kind, section.kind)}{len(self.outputs)}"

    def add(
        self, section: Section, kind: type[Element], *inputs: Node, part: str = "", **arguments: Any
    ) -> Node:
        """Add an op for a section, or for a part of it."""
        where = f"[{section.kind}] {len(self.outputs)}"
        op: Op = parse_op(kind, arguments, section.line, where)
        name = self.name(section) + (f"_{part}" if part else "")
        return self.builder.add(op, *inputs, name=name, type_name=section.kind)

    def unknown(
        self,
        section: Section,
        *inputs: Node,
        reason: str = "archspec does not know this section",
        part: str = "",
        shape: Shape | None = None,
        arrays: tuple[Weight, ...] | None = None,
    ) -> Node:
        """Add a layer that archspec does not know."""
        name = self.name(section) + (f"_{part}" if part else "")
        return self.builder.unknown(
            section.kind,
            *inputs,
            name=name,
            reason=reason,
            declared=shape,
            arrays=arrays,
            multiplies=part != "activation" and may_multiply(section.kind),
        )

    def source(self, section: Section, number: int) -> Node:
        """Return the output of another section: by its number, or, below 0, counted back."""
        index = number + len(self.outputs) if number < 0 else number
        if not 0 <= index < len(self.outputs):
            raise TextProblem(
                section.line,
                f"[{section.kind}] {len(self.outputs)} reads layer {number}, which is not before "
                "it",
            )
        return self.outputs[index]

    def activated(self, section: Section, x: Node, default: str) -> Node:
        """Add a section's activation; the part `activation` beside others of the section."""
        word = section.word("activation", default)
        if word == "linear":
            return x
        function = _ACTIVATIONS.get(word)
        if function is None:
            return self.unknown(
                section,
                x,
                part="activation",
                reason=f"archspec has no activation {word}",
                shape=x.shape,
                arrays=(),
            )
        return self.add(section, Activate, x, part="activation", function=function)

    def normalized(self, section: Section, x: Node) -> Node:
        """Add a section's batch norm, if it has one."""
        if not section.integer("batch_normalize"):
            return x
        return self.add(section, BatchNorm, x, part="norm", epsilon=EPSILON)

    def keep(
        self, layer: Node, norm: Node, kernel: tuple[int, ...], *, kernel_first: bool = False
    ) -> None:
        """Keep where the arrays of a layer and of its norm go.

        Args:
            layer: The layer.
            norm: Its batch norm; the layer itself where it has none.
            kernel: The shape of the kernel in the file.
            kernel_first: Whether the kernel stands before the norm's factor and statistics.
        """
        shapes = [weight.shape for weight in layer.layer.weights]
        if not shapes:  # it does not fit its input
            self.unreadable = self.unreadable or f"a layer such as {layer.name}"
            return
        axes = (*range(2, len(kernel)), 1, 0)
        if isinstance(layer.op, DepthwiseConvolution):
            axes = (2, 3, 0, 1)
        weights = Stored(layer.name, 0, kernel, axes, shapes[0])
        filters = (layer.shape.channels,)
        if norm is layer:
            parts = [Stored(layer.name, 1, filters, (0,), filters), weights]
        else:
            beta, *others = (Stored(norm.name, n, filters, (0,), filters) for n in (1, 0, 2, 3))
            parts = [beta, weights, *others] if kernel_first else [beta, *others, weights]
        self.stored += parts
