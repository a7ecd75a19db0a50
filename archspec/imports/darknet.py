"""Darknet's networks: `.cfg` files of sections, and the `.weights` beside them when it is named.

A layer has no name of its own: it is called by its kind and the number that Darknet prints, as
`conv0`. A convolution, its batch norm and its activation are one section, and a node each.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import Any, Final, NamedTuple, TypeAlias

from archspec.element import Element
from archspec.errors import UsageError
from archspec.graph.graph import Node
from archspec.imports.building import ModelBuilder
from archspec.imports.inputs import NOTHING_GIVEN, Given
from archspec.imports.limits import open_file
from archspec.imports.model import Arrays, Extents, ImportedModel
from archspec.imports.modeltext import ModelText, TextProblem, parse_op, read_text
from archspec.imports.multiplying import may_multiply
from archspec.ops.arrangement import Crop, Flatten, PadChannels, Reshape, Slice, Upsample
from archspec.ops.convolution import (
    Convolution,
    DepthwiseConvolution,
    FullyConnected,
    LocalConv,
    TransposedConvolution,
)
from archspec.ops.elementwise import Activate, Dropout, Softmax
from archspec.ops.merge import Add, Concat, Multiply
from archspec.ops.normalization import BatchNorm, LocalResponseNorm, UnitNorm
from archspec.ops.op import Op, Weight
from archspec.ops.pooling import AvgPool, GlobalAvgPool, MaxPool
from archspec.ops.shape import Shape
from archspec.ops.shuffles import SpaceToDepth
from archspec.ops.tokens import Parameter

EPSILON: Final = 1e-5
"""Number that Darknet adds to a batch norm's variance on a GPU; on a CPU it is a little else."""

LEAKY: Final = 0.1
"""Slope of Darknet's leaky below 0."""

MOST_SECTIONS: Final = 50_000
"""Largest number of sections of a file."""

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

_NAMES: Final = {
    "conv": "convolutional", "deconv": "deconvolutional", "conn": "connected", "max": "maxpool",
    "avg": "avgpool", "soft": "softmax", "activ": "activation", "lrn": "normalization",
    "network": "net",
}  # fmt: skip
"""Darknet's shorter words for its sections."""

_SHORT: Final = {
    "convolutional": "conv", "deconvolutional": "deconv", "connected": "connected",
    "maxpool": "max", "avgpool": "avg",
}  # fmt: skip
"""The words that Darknet prints for a layer, where they are not the section's."""


@dataclass
class Section:
    """A section: `[convolutional]` and its options."""

    kind: str
    line: int
    options: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Each option's text and its line."""

    def __contains__(self, name: str) -> bool:
        return name in self.options

    def word(self, name: str, default: str = "") -> str:
        """Return the text of an option."""
        return self.options.get(name, (default, 0))[0]

    def integer(self, name: str, default: int = 0) -> int:
        """Return the whole number of an option."""
        numbers = self.integers(name)
        return numbers[0] if numbers else default

    def integers(self, name: str) -> list[int]:
        """Return the whole numbers of an option, which commas separate; [] where it is absent.

        As Darknet does, what follows the digits is passed over: `2.0` is 2, and so is `2#comment`.
        """
        text, line = self.options.get(name, ("", 0))
        words = [word for word in text.split(",") if word]
        numbers = [re.match(r"[-+]?\d{1,18}(?!\d)", word) for word in words]
        for word, number in zip(words, numbers, strict=True):
            if number is None:
                raise TextProblem(line, f"`{name}` must be a whole number, not {word[:40]!r}")
        return [int(number[0]) for number in numbers if number]

    def real(self, name: str, default: float) -> float:
        """Return the number of an option."""
        text, line = self.options.get(name, ("", 0))
        try:
            return float(text) if text else default
        except ValueError:
            message = f"`{name}` must be a number, not {text[:40]!r}"
            raise TextProblem(line, message) from None


def sections(text: str) -> list[Section]:
    """Return the sections of a configuration.

    As Darknet does, blanks are dropped wherever they stand, and a line that begins with `#` or `;`
    is a comment; behind a value there is none.

    Raises:
        TextProblem: A line is neither a section nor an option.
    """
    found: list[Section] = []
    for number, written in enumerate(text.split("\n"), 1):
        line = re.sub(r"[ \t\r\f\v]", "", written)
        if not line or line[0] in "#;\0":
            continue
        if line[0] == "[":
            if len(found) >= MOST_SECTIONS:
                raise TextProblem(number, f"more than {MOST_SECTIONS:,} sections")
            kind = line.strip("[]").lower()
            found.append(Section(_NAMES.get(kind, kind), number))
            continue
        name, equals, value = line.partition("=")
        if not equals or not name:
            raise TextProblem(
                number,
                f"expected a section, as `[convolutional]`, or an option, not {line[:40]!r}",
                help="an option is written as `filters=32`",
            )
        if not found:
            raise TextProblem(number, f"`{name[:40]}` stands before the first section")
        found[-1].options.setdefault(name, (value, number))  # Darknet takes the first, too
    return found


class Stored(NamedTuple):
    """An array of a `.weights` file, and where it goes."""

    node: str
    place: int
    """Its place among the weights of the node's op."""
    shape: tuple[int, ...]
    """The shape that it has in the file."""
    axes: tuple[int, ...]
    """The order of these axes in Keras's layout."""
    wanted: tuple[int, ...]
    """The shape of the op's weight."""


Rule: TypeAlias = "Callable[[_Net, Section, Node], Node]"


@dataclass
class _Net:
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


def read(
    path: str | os.PathLike[str],
    *,
    given: Given = NOTHING_GIVEN,
    weights: str | os.PathLike[str] | None = None,
) -> ImportedModel:
    """Return the network of a Darknet `.cfg` file.

    Args:
        path: The file.
        given: The shape of its input, before that in the file, which Darknet's users edit.
        weights: The `.weights` file of its weights, which is read when they are asked for.

    Raises:
        UsageError: It cannot be read.
        SpecError: It is not a configuration, or its sections do not join.
    """
    if not isinstance(weights, str | os.PathLike | None):
        raise UsageError(f"`weights` must be the path of a .weights file, not {weights!r:.80}")
    text = read_text(path, "a Darknet configuration")
    try:
        return _read(text, given, weights)
    except TextProblem as problem:
        raise text.error(problem) from None


def _read(text: ModelText, given: Given, weights: str | os.PathLike[str] | None) -> ImportedModel:
    first, *others = sections(text.text) or [Section("", 1)]
    if first.kind != "net":
        raise TextProblem(first.line, "a Darknet configuration begins with the section [net]")
    extents = [first.integer(name) for name in ("height", "width", "channels")]
    shape: Extents = tuple(extents)
    if not all(extents):
        shape = (first.integer("inputs"),) if "inputs" in first else ()
    builder = ModelBuilder(
        text.path,
        {"input": given.shape or shape},
        name=text.stem,
        format_name="Darknet .cfg",
        given=given,
    )
    net = _Net(text, builder)
    x = builder.inputs["input"]
    for section in others:
        rule = SECTIONS.get(section.kind)
        start = len(net.outputs)
        x = net.unknown(section, x) if rule is None else rule(net, section, x)
        net.outputs[start:] = [x]
    # The last output comes first, as archspec's own YOLOv3 has it.
    found = dict(reversed(net.heads.items()))
    if x not in found.values():
        found = {"end": x, **found}
    reader = None if weights is None else partial(_arrays, weights, net.stored, net.unreadable)
    return builder.finish(found, weights=reader)


def _padding(section: Section, size: int, dilation: int = 1) -> int:
    """Return the zeros on each side: half the kernel with `pad=1`, whatever `padding` is."""
    amount = size // 2 if section.integer("pad") else section.integer("padding")
    return amount * dilation


def _strides(section: Section) -> int | tuple[int, int]:
    """Return the stride, which may be `stride_x` and `stride_y`."""
    stride = section.integer("stride", 1)
    down, right = section.integer("stride_y", stride), section.integer("stride_x", stride)
    return down if down == right else (down, right)


def convolutional(net: _Net, section: Section, x: Node) -> Node:
    filters, size = section.integer("filters", 1), section.integer("size", 1)
    groups, dilation = section.integer("groups", 1), section.integer("dilation", 1)
    has_norm = bool(section.integer("batch_normalize"))
    x = _as_maps(net, section, x)
    if section.integer("antialiasing"):
        return _blurred(net, section, x)
    if "share_index" in section:
        reason = "it uses the weights of another section"
        return net.unknown(section, x, reason=reason, arrays=())
    arguments: dict[str, Any] = {
        "kernel": size,
        "stride": _strides(section),
        "padding": _padding(section, size, dilation) or "valid",
        "dilation": dilation,
        "bias": not has_norm,
    }
    channels = x.shape[-1] if x.shape else 0
    if groups > 1 and groups == channels and filters > 0 and filters % channels == 0:
        multiplier = filters // channels
        y = net.add(section, DepthwiseConvolution, x, multiplier=multiplier, **arguments)
    else:
        y = net.add(section, Convolution, x, filters=filters, groups=groups, **arguments)
    normed = net.normalized(section, y)
    net.keep(y, normed, (filters, max(channels // max(groups, 1), 1), size, size))
    return net.activated(section, normed, "logistic")


def _as_maps(net: _Net, section: Section, x: Node) -> Node:
    """Return a vector as a map of one place, which it is in Darknet."""
    if x.shape and not x.shape.rank:
        return net.add(section, Reshape, x, part="reshape", to=(1, 1, x.shape.channels))
    return x


def _blurred(net: _Net, section: Section, x: Node) -> Node:
    """Add a convolution whose output is blurred where it is made smaller: a shape, and weights."""
    filters, size = section.integer("filters", 1), section.integer("size", 1)
    depth = (x.shape.channels if x.shape else 0) // max(section.integer("groups", 1), 1)
    arrays = [Weight("kernel", (size, size, depth, filters)), *_offsets(section, "", filters)]
    shape = None
    if x.shape.rank == 2:
        strides = _strides(section)
        steps = (strides, strides) if isinstance(strides, int) else strides
        padding = 2 * _padding(section, size, section.integer("dilation", 1))
        reach = (size - 1) * section.integer("dilation", 1) + 1
        places = zip(x.shape.spatial, steps, strict=True)
        spatial = [(n + padding - reach) // max(step, 1) + 1 for n, step in places]
        shape = Shape((*spatial, filters))
    reason = "it blurs its output before the stride"
    net.unreadable = net.unreadable or "a convolution that blurs its output"
    y = net.unknown(section, x, reason=reason, shape=shape, arrays=tuple(arrays))
    return net.activated(section, y, "logistic")


def _offsets(section: Section, part: str, filters: int) -> Iterator[Weight]:
    """Yield the bias of a layer, or the arrays of its batch norm."""
    prefix = f"{part}_" if part else ""
    yield Weight(f"{prefix}bias", (filters,))
    if section.integer("batch_normalize"):
        yield Weight(f"{prefix}scale", (filters,))
        yield Weight(f"{prefix}moving_mean", (filters,), False)
        yield Weight(f"{prefix}moving_variance", (filters,), False)


def deconvolutional(net: _Net, section: Section, x: Node) -> Node:
    filters, size = section.integer("filters", 1), section.integer("size", 1)
    y = net.add(
        section,
        TransposedConvolution,
        x,
        filters=filters,
        kernel=size,
        stride=section.integer("stride", 1),
        padding=_padding(section, size) or "valid",
        bias=not section.integer("batch_normalize"),
    )
    normed = net.normalized(section, y)
    net.keep(y, normed, (x.shape[-1] if x.shape else 0, filters, size, size))
    return net.activated(section, normed, "logistic")


def local(net: _Net, section: Section, x: Node) -> Node:
    size = section.integer("size", 1)
    # With `pad` the output is as large as if windows of any size had a padding of 1.
    padding = 1 if section.integer("pad") else "valid"
    if padding == 1 and size != 3:
        return _local_over_the_edge(net, section, x, size)
    filters, stride = section.integer("filters", 1), section.integer("stride", 1)
    y = net.add(section, LocalConv, x, filters=filters, kernel=size, stride=stride, padding=padding)
    net.unreadable = net.unreadable or "a [local] section"
    return net.activated(section, y, "logistic")


def _local_over_the_edge(net: _Net, section: Section, x: Node, size: int) -> Node:
    """Add a layer of windows whose places are those of a padding of 1, whatever their size."""
    filters, step = section.integer("filters", 1), max(section.integer("stride", 1), 1)
    shape, arrays = None, None
    if x.shape.rank == 2:
        spatial = [(extent - 1) // step + 1 for extent in x.shape.spatial]
        shape = Shape((*spatial, filters))
        kernel = Weight("kernel", (*spatial, size * size * x.shape.channels, filters))
        arrays = (kernel, Weight("bias", tuple(shape)))
    reason = "its windows lie over the edge"
    net.unreadable = net.unreadable or "a [local] section"
    y = net.unknown(section, x, reason=reason, shape=shape, arrays=arrays)
    return net.activated(section, y, "logistic")


def connected(net: _Net, section: Section, x: Node) -> Node:
    units, before = section.integer("output", 1), x.shape
    if len(x.shape) > 1:
        x = net.add(section, Flatten, x, part="flatten")
    has_norm = bool(section.integer("batch_normalize"))
    y = net.add(section, FullyConnected, x, units=units, bias=not has_norm)
    normed = net.normalized(section, y)
    if before:
        net.keep(y, normed, (units, before[-1], *before[:-1]), kernel_first=True)
    return net.activated(section, normed, "logistic")


def maxpool(net: _Net, section: Section, x: Node) -> Node:
    return _pooled(net, section, x, MaxPool)


def local_avgpool(net: _Net, section: Section, x: Node) -> Node:
    return _pooled(net, section, x, AvgPool)


def _pooled(net: _Net, section: Section, x: Node, kind: type[Element]) -> Node:
    """Add a pool. Its padding is the sum of both sides, and one less than its size if not given."""
    strides = _strides(section)
    size = section.integer("size", strides if isinstance(strides, int) else strides[0])
    padding = section.integer("padding", size - 1)
    steps = (strides, strides) if isinstance(strides, int) else strides
    reason, channels = "", x.shape.channels if x.shape else 0
    if section.integer("maxpool_depth"):
        reason, channels = "it pools over channels", section.integer("out_channels", 1)
    elif section.integer("antialiasing"):
        reason = "it blurs its output before the stride"
    if reason:
        places = zip(x.shape.spatial, steps, strict=False)
        spatial = [(extent + padding - size) // max(step, 1) + 1 for extent, step in places]
        shape = Shape((*spatial, channels)) if len(spatial) == 2 else None
        return net.unknown(section, x, reason=reason, shape=shape, arrays=())
    sides: Any = "valid"
    if len(x.shape) == 3 and padding > 0 and size > 0 and min(steps) > 0:
        sides = _sides(x.shape.spatial, size, steps, padding)
    return net.add(section, kind, x, size=size, stride=strides, padding=sides)


def _sides(extents: tuple[int, ...], size: int, steps: tuple[int, ...], padding: int) -> Any:
    """Return the padding of a pool as it has an effect: as far as windows reach.

    A pool of 2 with stride 2 has a padding of 1 by default, which no window of an even input sees.
    """
    sides, same = [], []
    for extent, step in zip(extents, steps, strict=True):
        before = padding // 2
        count = (extent + padding - size) // step + 1
        after = max((count - 1) * step + size - before - extent, 0)
        sides.append((before, after))
        total = max((-(-extent // step) - 1) * step + size - extent, 0)
        same.append((total // 2, total - total // 2) if count == -(-extent // step) else None)
    if all(side == (0, 0) for side in sides):
        return "valid"
    return "same" if sides == same else tuple(sides)


def avgpool(net: _Net, section: Section, x: Node) -> Node:
    return net.add(section, GlobalAvgPool, x, keep_axes=True)


def softmax(net: _Net, section: Section, x: Node) -> Node:
    groups = section.integer("groups", 1)
    if groups > 1 or "tree" in section:
        reason = "each group of its values has a softmax of its own"
        return net.unknown(section, x, reason=reason, shape=x.shape, arrays=())
    return net.add(section, Softmax, x)


def dropout(net: _Net, section: Section, x: Node) -> Node:
    return net.add(section, Dropout, x, rate=section.real("probability", 0.5))


def activation(net: _Net, section: Section, x: Node) -> Node:
    return net.activated(section, x, "linear")


def batchnorm(net: _Net, section: Section, x: Node) -> Node:
    net.unreadable = net.unreadable or "a [batchnorm] section, which Darknets store differently"
    return net.add(section, BatchNorm, x, epsilon=EPSILON)


def normalization(net: _Net, section: Section, x: Node) -> Node:
    return net.add(
        section,
        LocalResponseNorm,
        x,
        size=section.integer("size", 5),
        alpha=section.real("alpha", 0.0001),
        beta=section.real("beta", 0.75),
        k=section.real("kappa", 1.0),
        divide=False,
    )


def l2norm(net: _Net, section: Section, x: Node) -> Node:
    return net.add(section, UnitNorm, x)


def route(net: _Net, section: Section, x: Node) -> Node:  # noqa: ARG001
    """Join the channels of other layers, or parts of them."""
    numbers = section.integers("layers")
    if not numbers:
        raise TextProblem(section.line, "[route] needs `layers`", help="as `layers=-1,8`")
    nodes = [net.source(section, number) for number in numbers]
    groups, group = section.integer("groups", 1), section.integer("group_id")
    if groups > 1:
        nodes = [_part(net, section, node, n + 1, groups, group) for n, node in enumerate(nodes)]
    return nodes[0] if len(nodes) == 1 else net.add(section, Concat, *nodes)


def _part(net: _Net, section: Section, x: Node, number: int, groups: int, group: int) -> Node:
    """Add one of several equal parts of the channels."""
    count = x.shape[-1] // groups if x.shape else 0
    part = "" if len(section.integers("layers")) == 1 else f"part{number}"
    return net.add(section, Slice, x, part=part, start=count * group, stop=count * (group + 1))


def shortcut(net: _Net, section: Section, x: Node) -> Node:
    """Add other layers to this one; its own activation comes after the sum."""
    numbers = section.integers("from")
    if not numbers:
        raise TextProblem(section.line, "[shortcut] needs `from`", help="as `from=-3`")
    others = [net.source(section, number) for number in numbers]
    if (kind := section.word("weights_type", "none")) != "none":
        each = x.shape.channels if kind == "per_channel" and x.shape else 1
        y = net.unknown(
            section,
            x,
            *others,
            reason="it learns a factor for each input",
            shape=x.shape,
            arrays=(Weight("factors", (len(numbers) + 1, each)),),
        )
        net.unreadable = net.unreadable or "a [shortcut] with weights"
        return net.activated(section, y, "linear")
    fitted = [_fitted(net, section, other, x, n + 1) for n, other in enumerate(others)]
    return net.activated(section, net.add(section, Add, x, *fitted), "linear")


def _fitted(net: _Net, section: Section, other: Node, x: Node, number: int) -> Node:
    """Return a shortcut's input with the shape of its other.

    Of larger maps every second place is taken, or third and so on; channels are cut, or have zeros
    after them.
    """
    if other.shape.rank != x.shape.rank or not x.shape:
        return other
    part = f"from{number}"
    factors = [n // m for n, m in zip(other.shape.spatial, x.shape.spatial, strict=True)]
    if any(n != m for n, m in zip(other.shape.spatial, x.shape.spatial, strict=True)):
        wanted = [m * factor for m, factor in zip(x.shape.spatial, factors, strict=True)]
        if wanted != list(other.shape.spatial) or len({*factors}) > 1:
            return other
        stride = factors[0]
        other = net.add(section, MaxPool, other, part=f"{part}_places", size=1, stride=stride)
    if other.shape[-1] == x.shape[-1]:
        return other
    if other.shape[-1] > x.shape[-1]:
        return net.add(section, Slice, other, part=part, stop=x.shape[-1])
    return net.add(section, PadChannels, other, part=part, to=x.shape[-1])


def scale_channels(net: _Net, section: Section, x: Node) -> Node:
    other = net.source(section, section.integer("from", -2))
    return net.activated(section, net.add(section, Multiply, other, x), "linear")


def sam(net: _Net, section: Section, x: Node) -> Node:
    other = net.source(section, section.integer("from", -2))
    return net.activated(section, net.add(section, Multiply, other, x), "linear")


def implicit(net: _Net, section: Section, x: Node) -> Node:  # noqa: ARG001
    """Add a learned vector, which other sections add to maps or multiply them by. (YOLOR 2021)"""
    net.unreadable = net.unreadable or f"a [{section.kind}] section"
    shape = (1, 1, section.integer("filters", 128))
    source = next(iter(net.builder.inputs.values()))
    return net.add(section, Parameter, source, shape=shape, use="alone")


def shift_channels(net: _Net, section: Section, x: Node) -> Node:
    return net.add(section, Add, x, net.source(section, section.integer("from", -2)))


def control_channels(net: _Net, section: Section, x: Node) -> Node:
    return net.add(section, Multiply, x, net.source(section, section.integer("from", -2)))


def upsample(net: _Net, section: Section, x: Node) -> Node:
    stride = section.integer("stride", 2)
    if stride < 0 or section.real("scale", 1.0) != 1:
        spatial = [n * stride if stride > 0 else n // -stride for n in x.shape.spatial]
        shape = Shape((*spatial, x.shape.channels)) if x.shape and stride else None
        reason = "it makes the maps smaller, or scales them"
        return net.unknown(section, x, reason=reason, shape=shape, arrays=())
    return net.add(section, Upsample, x, factor=stride)


def reorg(net: _Net, section: Section, x: Node) -> Node:
    if section.integer("reverse"):
        by = max(section.integer("stride", 1), 1)
        shape = None
        if x.shape.rank == 2 and x.shape.channels % by**2 == 0:
            shape = Shape((*(n * by for n in x.shape.spatial), x.shape.channels // by**2))
        return net.unknown(section, x, reason="it is reversed", shape=shape, arrays=())
    net.builder.note(
        "A [reorg] section is a space_to_depth here; Darknet's order of values differs."
    )
    return net.add(section, SpaceToDepth, x, factor=section.integer("stride", 1))


def crop(net: _Net, section: Section, x: Node) -> Node:
    """Cut the image to a size at which training places it at random."""
    if len(x.shape) != 3:
        return net.unknown(section, x, reason="its input is not an image", arrays=())
    amounts = []
    for name, extent in zip(("crop_height", "crop_width"), x.shape.spatial, strict=True):
        excess = extent - section.integer(name, 1)
        if excess < 0:
            raise TextProblem(section.line, f"`{name}` is larger than the image, {extent}")
        amounts.append((excess // 2, excess - excess // 2))
    if not any(map(any, amounts)):
        return x
    return net.add(section, Crop, x, amount=tuple(amounts))


def cost(net: _Net, section: Section, x: Node) -> Node:
    net.builder.note(f"The loss of [{section.kind}] is not part of the network.")
    return x


def head(net: _Net, section: Section, x: Node) -> Node:
    """Return what boxes are read from: it is an output of the network."""
    net.builder.note(
        f"What [{section.kind}] reads is an output; that it makes boxes of it costs nothing here."
    )
    net.heads[net.name(section)] = x
    return x


def empty(net: _Net, section: Section, x: Node) -> Node:  # noqa: ARG001
    return x


_GATES: Final = {"gru": "zrh", "lstm": "ifog", "conv_lstm": "ifog"}
"""The gates of a recurrent section: a layer of the input and one of the state for each."""


def recurrent(net: _Net, section: Section, x: Node) -> Node:
    """Add a step of a recurrence: its shape and its weights, each layer with a bias or norm."""
    reason = "archspec reads none of Darknet's recurrent layers"
    net.unreadable = net.unreadable or f"a [{section.kind}] section"
    units, has_maps = section.integer("output", 1), section.kind in {"crnn", "conv_lstm"}
    size = section.integer("size", 3)
    window = (size, size) if has_maps else ()
    inner = (x.shape.channels if has_maps else x.shape.size) if x.shape else 0
    layers: list[tuple[str, int, int]] = []
    if section.kind in _GATES:
        for gate in _GATES[section.kind]:
            layers += [(f"w{gate}", inner, units), (f"u{gate}", units, units)]
        if section.integer("peephole") and has_maps:
            layers += [(f"v{gate}", units, units) for gate in "ifo"]
    else:
        hidden = section.integer("hidden", 1)
        layers = [("input", inner, hidden), ("self", hidden, hidden), ("output", hidden, units)]
    arrays = [
        each
        for part, before, after in layers
        for each in (
            Weight(f"{part}_kernel", (*window, before, after)),
            *_offsets(section, part, after),
        )
    ]
    shape = Shape((*x.shape.spatial, units) if has_maps else (units,))
    return net.unknown(section, x, reason=reason, shape=shape, arrays=tuple(arrays))


SECTIONS: Final[Mapping[str, Rule]] = {
    "activation": activation,
    "avgpool": avgpool,
    "batchnorm": batchnorm,
    "connected": connected,
    "contrastive": cost,
    "control_channels": control_channels,
    "conv_lstm": recurrent,
    "convolutional": convolutional,
    "cost": cost,
    "crnn": recurrent,
    "crop": crop,
    "deconvolutional": deconvolutional,
    "detection": head,
    "dropout": dropout,
    "empty": empty,
    "gaussian_yolo": head,
    "gru": recurrent,
    "implicit_add": implicit,
    "implicit_mul": implicit,
    "l2norm": l2norm,
    "local": local,
    "lstm": recurrent,
    "local_avgpool": local_avgpool,
    "logistic": lambda net, section, x: net.add(section, Activate, x, function="sigmoid"),
    "maxpool": maxpool,
    "normalization": normalization,
    "region": head,
    "reorg": reorg,
    "reorg3d": reorg,
    "rnn": recurrent,
    "route": route,
    "sam": sam,
    "scale_channels": scale_channels,
    "shift_channels": shift_channels,
    "shortcut": shortcut,
    "silence": empty,
    "softmax": softmax,
    "upsample": upsample,
    "yolo": head,
}
"""The sections, by their names."""


def _arrays(path: str | os.PathLike[str], stored: list[Stored], unreadable: str) -> Arrays:
    """Return the arrays of a `.weights` file by node.

    Raises:
        UsageError: The file does not hold as many numbers as the network has.
    """
    import numpy as np  # noqa: PLC0415

    if unreadable:
        raise UsageError(f"{path} cannot be read for a network with {unreadable}")
    need = sum(prod(each.shape) for each in stored)
    with open_file(path) as file:
        head = file.read(12)
        if len(head) < 12:
            raise UsageError(f"{path} is not a file of Darknet's weights: it has {len(head)} bytes")
        major, minor, _ = np.frombuffer(head, "<i4").tolist()
        # A count of the images seen in training, which once had 4 bytes.
        is_long = major * 10 + minor >= 2 and major < 1000 and minor < 1000
        file.read(8 if is_long else 4)
        content = file.read(4 * need + 4)
    if len(content) != 4 * need:
        count = f"more than {need:,}" if len(content) > 4 * need else f"{len(content) // 4:,}"
        raise UsageError(
            f"{path} does not belong to this network: it has {count} numbers, not {need:,}"
        )
    numbers = np.frombuffer(content, "<f4")
    arrays: dict[str, dict[int, Any]] = {}
    start = 0
    for node, place, shape, axes, wanted in stored:
        end = start + prod(shape)
        array = numbers[start:end].reshape(shape).transpose(axes).reshape(wanted)
        arrays.setdefault(node, {})[place] = array
        start = end
    return {node: [places[i] for i in sorted(places)] for node, places in arrays.items()}
