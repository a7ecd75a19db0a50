"""Ops as PyTorch's modules and functions: what each node of a graph becomes there.

Maps are channels first, as PyTorch's layers want them; sequences of tokens are channels last, as
its linear layers want those. Where an op takes the other order than that of its input, its call
says so: the name of the construction then has the permutation of each input after a `|`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from archspec.ejection.recording import Construction, call
from archspec.ejection.torch_ops import moving, sequences, values, windows
from archspec.ejection.torch_ops.place import (
    FIRST,
    LAST,
    CannotWriteError,
    Place,
    along_axis,
    permutation_of,
    plain_call,
)
from archspec.errors import UsageError
from archspec.graph.graph import Graph, Node
from archspec.ops import (
    arrangement,
    attention,
    convolution,
    elementwise,
    merge,
    normalization,
    paths,
    pooling,
    recurrence,
    resizing,
    shuffles,
    tokens,
)
from archspec.ops.shape import Shape


class Torch:
    """A network's nodes as constructions of PyTorch."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.readers: dict[int, list[Node]] = {}
        for node in graph.nodes:
            for index in node.inputs:
                self.readers.setdefault(index, []).append(node)
        self.layouts: dict[int, str] = {}
        """The layout of each tensor with spatial axes."""
        self.flat: dict[int, Shape] = {}
        """The shape that a vector was, its channels first, before it was flattened."""
        self.made: dict[int, tuple[Construction, ...]] = {}
        results = set(graph.outputs.values())
        owners = {node.layer.owner for node in graph.nodes} - {""}
        self.shared = owners | {node.name for node in graph.nodes if node.layer.owner}
        """Names of nodes that use the same weights as others."""
        for node in graph.nodes:
            if node.is_input:
                self.layouts[node.index] = FIRST
            else:
                self._make(node, results)
        shared: dict[str, tuple[Construction, ...]] = {}
        for node in graph.nodes:
            owner = node.layer.owner
            if not node.is_input and not owner:
                shared[node.name] = self.made[node.index]
            if owner and shared[owner] != self.made[node.index]:
                raise self._refused(
                    node, f"it shares the weights of `{owner}`, on another kind of input"
                )

    def layers_of(self, node: Node) -> tuple[Construction, ...]:
        """Return the constructor calls of a node, in the order in which they are applied."""
        return self.made[node.index]

    def _refused(self, node: Node, why: str) -> UsageError:
        return UsageError(f"`{node.name}` (`{node.op.kind}`) cannot be written for PyTorch: {why}")

    def _make(self, node: Node, results: set[int]) -> None:
        op = node.op
        rule = RULES.get(type(op))
        if rule is None:
            raise self._refused(node, "this writer does not know the step")
        make, wanted = rule
        inputs = [self.graph.nodes[index] for index in node.inputs]
        first = inputs[0]
        if isinstance(op, normalization.LayerNorm) and self._stays_first(node, first):
            wanted = FIRST
        if getattr(op, "order", "") == "channels":  # PyTorch's pixel shuffles
            wanted = FIRST
        layout = wanted or next(
            (self.layouts[each.index] for each in inputs if each.shape.rank), LAST
        )
        if isinstance(op, arrangement.Flatten):
            layout = self._flattened(node, first, results)
        elif first.index in self.flat and not isinstance(op, convolution.FullyConnected):
            self.flat[node.index] = self.flat[first.index]
        is_open = any(each.shape.is_open for each in (*inputs, node))
        if is_open and not isinstance(op, windows.ANY_SIZE):
            slides = getattr(op, "slides", None)
            if slides is None or any(place.is_open for place in slides(first.shape)):
                raise self._refused(node, "what it does depends on the input's size, which is open")
        permuted = []
        for each in inputs:
            rank = each.shape.rank
            is_other = rank and self.layouts[each.index] != layout
            permuted.append(permutation_of(rank, layout) if is_other else "")
        shapes = tuple(each.shape for each in inputs)
        place = Place(op, first.shape, shapes, node.shape, layout)
        try:
            made = make(place)
        except CannotWriteError as error:
            raise self._refused(node, str(error)) from None
        chain = [made] if isinstance(made, Construction) else [*made]
        if op.frozen and chain[-1].name != "FrozenBatchNorm2d":
            chain[-1] = Construction("frozen", {0: chain[-1]})
        if any(permuted):
            head = chain[0]
            chain[0] = Construction("|".join([head.name, *permuted]), head.arguments)
        self.made[node.index] = tuple(chain)
        self.layouts[node.index] = layout

    def _stays_first(self, node: Node, x: Node) -> bool:
        """Return whether a map is normalised between layers that have the channels first."""
        readers = [RULES.get(type(each.op)) for each in self.readers.get(node.index, ())]
        is_map = node.shape.rank == 2 and self.layouts[x.index] == FIRST
        return is_map and not any(each is None or each[1] == LAST for each in readers)

    def _flattened(self, node: Node, x: Node, results: set[int]) -> str:
        """Return the layout in which a map is flattened: channels first if nothing tells."""
        layout = self.layouts[x.index]
        if layout == LAST or not x.shape.rank:
            return layout
        waiting = [node]
        while waiting:
            each = waiting.pop()
            if each.index in results:
                return LAST
            for reader in self.readers.get(each.index, ()):
                if reader.name in self.shared or not isinstance(reader.op, windows.KEEP_ORDER):
                    return LAST
                if isinstance(reader.op, convolution.FullyConnected):
                    continue
                waiting.append(reader)
        self.flat[node.index] = x.shape
        return FIRST


Rule = tuple[Callable[[Place], Any], str]

RULES: Final[dict[type, Rule]] = {
    convolution.Convolution: (windows.convolution_rule, FIRST),
    convolution.DepthwiseConvolution: (windows.depthwise_rule, FIRST),
    convolution.TransposedConvolution: (windows.transposed_rule, FIRST),
    convolution.FullyConnected: (windows.linear_rule, LAST),
    pooling.MaxPool: (windows.max_pool_rule, FIRST),
    pooling.AvgPool: (windows.avg_pool_rule, FIRST),
    pooling.L2Pool: (windows.l2_pool_rule, FIRST),
    pooling.GlobalAvgPool: (windows.global_rule("mean"), ""),
    pooling.GlobalMaxPool: (windows.global_rule("amax"), ""),
    elementwise.Activate: (values.activation_rule, ""),
    elementwise.Glu: (lambda p: call("nn.GLU", dim=p.axis(p.x.rank)), ""),
    elementwise.Softmax: (along_axis("nn.Softmax"), ""),
    elementwise.PRelu: (values.prelu_rule, FIRST),
    elementwise.Dropout: (lambda p: call("nn.Dropout", p.op.rate), ""),
    elementwise.SpatialDropout: (lambda p: call(f"nn.Dropout{p.x.rank}d", p.op.rate), FIRST),
    elementwise.DropPath: (values.drop_path_rule, ""),
    elementwise.Rescale: (values.rescale_rule, ""),
    elementwise.Scale: (values.scale_rule, ""),
    normalization.BatchNorm: (values.batch_norm_rule, FIRST),
    normalization.LayerNorm: (values.layer_norm_rule, LAST),
    normalization.GroupNorm: (values.group_norm_rule, FIRST),
    normalization.InstanceNorm: (values.group_norm_rule, FIRST),
    normalization.RmsNorm: (lambda p: call("nn.RMSNorm", p.x.channels, eps=p.op.epsilon), LAST),
    normalization.UnitNorm: (along_axis("F.normalize"), ""),
    normalization.LocalResponseNorm: (values.lrn_rule, FIRST),
    arrangement.Flatten: (plain_call("nn.Flatten"), ""),
    arrangement.Reshape: (lambda p: call("reshape", *[n or -1 for n in p.op.to]), LAST),
    arrangement.Pad: (moving.pad_rule, FIRST),
    arrangement.PadChannels: (moving.pad_channels_rule, ""),
    arrangement.Crop: (moving.crop_rule, FIRST),
    arrangement.Upsample: (moving.upsample_rule, FIRST),
    arrangement.Slice: (moving.slice_rule, ""),
    resizing.Resize: (moving.resize_rule, FIRST),
    shuffles.Permute: (lambda p: call("permute", *(at + 1 for at in p.op.order(p.x))), LAST),
    shuffles.Roll: (moving.roll_rule, ""),
    shuffles.ChannelShuffle: (moving.shuffle_rule, FIRST),
    shuffles.SpaceToDepth: (moving.space_to_depth_rule, LAST),
    shuffles.DepthToSpace: (moving.space_to_depth_rule, LAST),
    merge.Add: (plain_call("add"), ""),
    merge.Mean: (plain_call("mean_of"), ""),
    merge.Max: (plain_call("maximum"), ""),
    merge.Min: (plain_call("minimum"), ""),
    merge.Subtract: (plain_call("subtract"), ""),
    merge.Divide: (plain_call("divide"), ""),
    merge.AbsoluteDifference: (plain_call("difference"), ""),
    merge.Multiply: (plain_call("multiply"), ""),
    merge.Concat: (along_axis("cat"), ""),
    merge.MatMul: (lambda p: call("matmul_transposed" if p.op.transpose_b else "matmul"), LAST),
    paths.Join: (lambda p: call("Join", p.op.rate, p.op.columns), ""),
    paths.PathDraw: (lambda p: call("PathDraw", p.op.columns, p.op.global_share), ""),
    tokens.ClassToken: (lambda p: call("ClassToken", p.op.count, p.x.channels), LAST),
    tokens.Parameter: (sequences.parameter_rule, LAST),
    tokens.PositionEmbedding: (sequences.position_rule, LAST),
    attention.RelativePositionBias: (sequences.relative_bias_rule, LAST),
    attention.ShiftedWindowMask: (sequences.window_mask_rule, LAST),
    attention.CausalMask: (lambda p: call("CausalMask", p.x[-1]), LAST),
    recurrence.Lstm: (sequences.recurrent_rule, LAST),
    recurrence.Gru: (sequences.recurrent_rule, LAST),
    recurrence.Rnn: (sequences.recurrent_rule, LAST),
}
"""Constructions of each op, and the layout of its input; empty is that of the first input."""
