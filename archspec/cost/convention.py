"""The totals of a network as other tools print them: one rule for each tool.

A rule says what the tool counts for a layer of each kind. Kinds that move values and compute
nothing count 0 everywhere; those that a rule does not name are reported as not known, rather than
counted as 0. The rules were read off the tools' code and are held, to the last digit, against what
the tools print of torchvision's networks (tests/conventions.json, which tests/convention_tools.py
makes).

The tools for PyTorch watch modules: what a network calls as a function, many of them miss. The
rules are for networks that are written with modules. Where torchvision's are not, or have a pool
that changes nothing, the test has the difference and its reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from archspec import arguments
from archspec.cost.size import refuse_open
from archspec.ops.functions import kind_of
from archspec.ops.unknown import Unknown

if TYPE_CHECKING:
    from archspec.graph.graph import Graph, Layer, Node


class Work:
    """A layer's sizes for one example, of which the rules are made."""

    def __init__(self, layer: Layer) -> None:
        self._layer = layer
        self.macs = layer.macs
        """Multiply-adds, as archspec counts them."""
        self.inputs = layer.inputs[0].size if layer.inputs else 0
        """Values of the first input."""
        self.values = layer.output.size
        """Values of the output."""
        self.channels: int = layer.output.channels
        """Channels of the output."""

    @property
    def places(self) -> int:
        """Positions of the output: its values divided by its channels."""
        return self.values // self.channels

    @property
    def biases(self) -> int:
        """Additions of a bias: 1 a value where there is one."""
        return self.values if getattr(self._layer.op, "bias", False) else 0

    @property
    def params(self) -> int:
        """Weights that it uses, without statistics."""
        return _params(self._layer, statistics=False, shared=True)

    @property
    def merged(self) -> int:
        """Values of all inputs but one."""
        return sum(shape.size for shape in self._layer.inputs[1:])

    @property
    def window(self) -> int:
        """Values that a pool sees for each of its output."""
        op: Any = self._layer.op
        return prod(op.window(self._layer.inputs[0].rank))


Count: TypeAlias = Callable[[Work], int]


def nothing(work: Work) -> int:  # noqa: ARG001
    """Return 0: the tool is known to count nothing for such a layer."""
    return 0


CONVOLUTIONS: Final = ("convolution", "depthwise_convolution")
PRODUCTS: Final = (*CONVOLUTIONS, "transposed_convolution", "fully_connected")
NORMS: Final = ("layer_norm", "group_norm", "instance_norm")
POOLS: Final = ("max_pool", "avg_pool")
GLOBAL_POOLS: Final = ("global_avg_pool", "global_max_pool")
MERGES: Final = ("add", "multiply", "subtract")
EMBEDDINGS: Final = ("position_embedding", "parameter")
SIGMOIDS: Final = ("sigmoid", "tanh", "hard_swish", "hard_sigmoid")
FUNCTIONS: Final = ("relu", "relu6", "leaky_relu", "elu", "silu", "gelu")
"""Activations that PyTorch has as modules and functions of the same name."""


def rules_of(*lines: tuple[Iterable[str] | str, Count]) -> Mapping[str, Count]:
    """Return what counts for each kind, from lines of one kind or several."""
    return MappingProxyType(
        {
            kind: count
            for kinds, count in lines
            for kind in ((kinds,) if isinstance(kinds, str) else kinds)
        }
    )


@dataclass(frozen=True)
class Rule:
    """The counting of one tool."""

    tool: str
    """The tool and the version that the rule is checked against."""
    prints: str
    """The tool's own name for its count; "" for a tool that prints parameters alone."""
    about: str
    """The rule in a sentence."""
    counts: Mapping[str, Count]
    """Count for a layer, by its kind, or by its function for an activation."""
    attention: bool = True
    """Whether the layers inside of attention are counted."""
    last_softmax: bool = False
    """Whether a softmax at an output counts: PyTorch's networks leave it to their loss."""
    params: str = "all"
    """Parameters that it prints: `all` weights, `learned` ones without moving statistics, those of
    `modules` for which it has a rule, or `none`."""


RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "fvcore": Rule(
            "fvcore 0.1.5",
            "flops",
            "multiply-adds without biases; 2 a value for batch norm, 5 for other norms; 1 an "
            "input value for adaptive pools; torch's fused attention counts nothing",
            rules_of(
                (PRODUCTS, lambda x: x.macs),
                ("matmul", lambda x: x.macs),
                ("batch_norm", lambda x: 2 * x.values),
                (NORMS, lambda x: 5 * x.values),
                ("global_avg_pool", lambda x: x.inputs),
                ((*FUNCTIONS, *SIGMOIDS), nothing),
                ((*POOLS, "global_max_pool", "softmax", *MERGES, *EMBEDDINGS), nothing),
            ),
            attention=False,
            params="learned",
        ),
        "torchinfo": Rule(
            "torchinfo 1.8.0",
            "mult-adds",
            "weights and biases of a convolution at each output position; of all other layers "
            "once, for a sequence too; torch's fused attention counts nothing",
            rules_of(
                (CONVOLUTIONS, lambda x: x.macs + x.biases),
                ("transposed_convolution", lambda x: x.params * x.places),
                (("fully_connected", "batch_norm", *NORMS, "prelu"), lambda x: x.params),
                ((*FUNCTIONS, *SIGMOIDS), nothing),
                ((*POOLS, *GLOBAL_POOLS, "softmax", "matmul", *MERGES, *EMBEDDINGS), nothing),
            ),
            attention=False,
            params="learned",
        ),
        "ptflops": Rule(
            "ptflops 0.7.5, backend pytorch",
            "macs",
            "multiply-adds and biases; 2 a value for norms, 1 for layer norm; modules of relu, "
            "elu, gelu and pools count twice, since the module and the function that it calls both "
            "do; no softmax at an output",
            rules_of(
                (PRODUCTS, lambda x: x.macs + x.biases),
                ("matmul", lambda x: x.macs),
                (("batch_norm", "group_norm", "instance_norm"), lambda x: 2 * x.values),
                ("layer_norm", lambda x: x.values),
                (("relu", "elu", "gelu", "prelu"), lambda x: 2 * x.values),
                (("relu6", "leaky_relu", "silu", "softmax", "rescale"), lambda x: x.values),
                ((*POOLS, *GLOBAL_POOLS), lambda x: 2 * x.inputs),
                (SIGMOIDS, nothing),
                ((*MERGES, *EMBEDDINGS), nothing),
            ),
            params="learned",
        ),
        "ptflops_aten": Rule(
            "ptflops 0.7.5, backend aten",
            "macs",
            "multiply-adds and biases of convolutions and matrix products, nothing else; torch's "
            "fused attention counts nothing",
            rules_of(
                (PRODUCTS, lambda x: x.macs + x.biases),
                ("matmul", lambda x: x.macs),
                ((*FUNCTIONS, *SIGMOIDS, "prelu"), nothing),
                (("batch_norm", *NORMS, *POOLS, *GLOBAL_POOLS), nothing),
                (("softmax", *MERGES, *EMBEDDINGS), nothing),
            ),
            attention=False,
            params="learned",
        ),
        "calflops": Rule(
            "calflops 0.3.2",
            "FLOPs",
            "2 for a multiply-add; a bias of convolutions alone; 2 a value for batch norm, 5 for "
            "other norms; 1 for most activations, an input value of pools; no softmax at an "
            "output; torch's fused attention counts nothing",
            rules_of(
                (CONVOLUTIONS, lambda x: 2 * x.macs + x.biases),
                (("fully_connected", "matmul"), lambda x: 2 * x.macs),
                ("batch_norm", lambda x: 2 * x.values),
                (NORMS, lambda x: 5 * x.values),
                (("relu", "leaky_relu", "elu", "silu", "gelu", "prelu"), lambda x: x.values),
                ("softmax", lambda x: x.values),
                ((*POOLS, *GLOBAL_POOLS), lambda x: x.inputs),
                (("relu6", *SIGMOIDS), nothing),
                ((*MERGES, *EMBEDDINGS), nothing),
            ),
            attention=False,
            params="learned",
        ),
        "thop": Rule(
            "thop 0.1.1",
            "macs",
            "multiply-adds without biases; 4 a value for norms with factor and offset; 1 an "
            "output value of average pools, an input and an output value of adaptive ones; no "
            "softmax at an output; attention, and parameters that stand in no such module, "
            "count nothing",
            rules_of(
                (PRODUCTS, lambda x: x.macs),
                (("batch_norm", "layer_norm", "instance_norm"), lambda x: 4 * x.values),
                ("global_avg_pool", lambda x: x.inputs + x.values),
                ("avg_pool", lambda x: x.values),
                ("prelu", lambda x: x.values),
                ("softmax", lambda x: x.places * (3 * x.channels - 1)),
                ((*FUNCTIONS, *SIGMOIDS), nothing),
                (("max_pool", "global_max_pool", "matmul", *MERGES, *EMBEDDINGS), nothing),
            ),
            attention=False,
            params="modules",
        ),
        "keras": Rule(
            "Keras 3.15, count_params",
            "",
            "all weights, moving statistics too; Keras counts no operations",
            rules_of(),
        ),
        "tensorflow": Rule(
            "TensorFlow 2.21, tf.compat.v1.profiler",
            "float_ops",
            "2 for a multiply-add; 1 a value for biases and merges, 2 for batch norm and 6 more a "
            "channel, 9 for layer norm, 5 for softmax; the window an output value for pools; "
            "nothing for relu, as for all functions that are one op of TensorFlow",
            rules_of(
                ((*CONVOLUTIONS, "fully_connected"), lambda x: 2 * x.macs + x.biases),
                ("matmul", lambda x: 2 * x.macs),
                ("batch_norm", lambda x: 2 * x.values + 6 * x.channels),
                ("layer_norm", lambda x: 9 * x.values + 4 * x.places),
                (POOLS, lambda x: x.window * x.values),
                ("global_avg_pool", lambda x: x.inputs),
                ("softmax", lambda x: 5 * x.values),
                ("gelu", lambda x: 4 * x.values),
                (MERGES, lambda x: x.merged),
                ("rescale", lambda x: 2 * x.values),
                ("position_embedding", lambda x: x.values),
                ("lrn", lambda x: 9 * x.values),
                (("relu", "relu6"), nothing),
            ),
            last_softmax=True,
            params="none",
        ),
    }
)
"""The rule of each tool, by its name."""


class Counted(NamedTuple):
    """The totals of a network as a tool prints them."""

    convention: str
    """Name of the convention."""
    rule: Rule
    ops: int | None
    """Count of operations; None for a tool that counts none."""
    params: int | None
    """Parameters; None for a tool that prints none."""
    unknown: Mapping[str, int]
    """Kinds for which there is no checked rule, each with its number of layers: they count 0."""

    @property
    def figure(self) -> int | None:
        """The count of operations; the parameters for a tool that counts none."""
        return self.params if self.ops is None else self.ops

    @property
    def title(self) -> str:
        """Name of the figure: the tool, and its own word for what it prints."""
        return f"{self.convention} {self.rule.prints or 'params'}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, as in every JSON form."""
        return {
            "tool": self.rule.tool,
            "prints": self.rule.prints or None,
            "ops": self.ops,
            "params": self.params,
            "rule": self.rule.about,
            "not_counted": dict(self.unknown),
        }


def count(graph: Graph, convention: str) -> Counted:
    """Return the totals of a network as a tool prints them, for one example.

    Args:
        graph: The network.
        convention: A name of `RULES`.

    Raises:
        UsageError: There is no such convention, or the size of the input is open.
    """
    rule = RULES[arguments.one_of("convention", convention, RULES)]
    refuse_open(graph, "the count of another tool")
    ops, params, unknown = 0, 0, Counter[str]()
    outputs = {*graph.outputs.values()}
    for node, fused in _layers(graph):
        skipped = fused and not rule.attention
        kind = kind_of(node.op)
        last = kind == "softmax" and node.index in outputs
        if rule.prints and not skipped and (rule.last_softmax or not last):
            if kind in rule.counts:
                ops += rule.counts[kind](Work(node.layer))
            elif isinstance(node.op, Unknown):
                ops += node.layer.macs
                unknown[node.op.label] += 1
            elif node.layer.macs or node.layer.other_ops:
                unknown[kind] += 1
        if rule.params == "modules" and (skipped or kind in EMBEDDINGS or kind not in rule.counts):
            continue
        params += _params(node.layer, statistics=rule.params == "all") + node.op.unlisted
    return Counted(
        convention,
        rule,
        ops if rule.prints else None,
        None if rule.params == "none" else params,
        MappingProxyType(dict(sorted(unknown.items()))),
    )


def conventions(names: Sequence[str] | str) -> tuple[str, ...]:
    """Return the names of conventions; `all` means each of them.

    Raises:
        UsageError: There is no such convention.
    """
    given = arguments.names("convention", names)
    if given == ("all",):
        return tuple(RULES)
    return tuple(
        dict.fromkeys(
            arguments.one_of("convention", name, RULES, beside=", or all") for name in given
        )
    )


def _layers(graph: Graph) -> Iterator[tuple[Node, bool]]:
    """Yield every layer, and whether it is inside of attention."""
    fused = [False] * graph.size
    for scope in graph.scopes:
        if scope.kind == "attention":
            fused[scope.start : scope.stop] = [True] * (scope.stop - scope.start)
    for node in graph.nodes:
        yield node, fused[node.index]


def _params(layer: Layer, *, statistics: bool, shared: bool = False) -> int:
    """Return the values of a layer's weights, with or without moving statistics."""
    weights = layer.used if shared else layer.weights
    return sum(
        prod(weight.shape)
        for weight in weights
        if statistics or not weight.name.startswith("moving_")
    )
