"""Layers of Caffe that give values another shape, order or number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Final

from archspec.graph.graph import Node
from archspec.imports.building import one_or_each
from archspec.imports.caffe.layer import Layer
from archspec.imports.caffe.net import Laid, Made, Net, Rule, laid, moving, usual
from archspec.imports.modeltext import TextProblem
from archspec.ops.arrangement import Crop, Flatten, Reshape, Slice
from archspec.ops.arrangement import Upsample as UpsampleOp
from archspec.ops.axes import names_of_axes
from archspec.ops.pooling import MaxUnpool
from archspec.ops.resizing import Resize
from archspec.ops.shuffles import ChannelShuffle


def vector(net: Net, layer: Layer, x: Laid, part: str = "") -> Laid:
    """Return all values as a vector: those of maps in archspec's order, others in Caffe's."""
    if len(x.order) < 2:
        return x
    if not x.is_usual:
        x = net.straightened(layer, x)
    node = net.add(layer, Flatten, x.node, part=part)
    if x.is_straight:
        net.straight.add(node.index)
    return laid(node)


def flatten(net: Net, layer: Layer, x: Laid) -> Made:
    param, rank = layer.param("flatten"), len(x.order)
    first, last = (
        axis + (rank + 1 if axis < 0 else 0)
        for axis in (param.integer("axis", 1), param.integer("end_axis", -1))
    )
    if (first, last) == (1, rank):
        return vector(net, layer, x)
    if not 1 <= first <= last <= rank:
        return net.unknown(layer, x.node, reason="it joins the batch with other axes", arrays=())
    extents = [x.node.shape[axis] for axis in x.order]
    joined = [*extents[: first - 1], prod(extents[first - 1 : last]), *extents[last:]]
    return _reshaped(net, layer, x, joined)


def reshape(net: Net, layer: Layer, x: Laid) -> Made:
    param = layer.param("reshape")
    dims = param.message("shape").integers("dim")
    own = [0, *(x.node.shape[axis] for axis in x.order)]  # 0 for the batch
    start, count = param.integer("axis"), param.integer("num_axes", -1)
    start += len(own) + 1 if start < 0 else 0
    end = len(own) if count < 0 else start + count
    given = [
        own[start + at] if n == 0 and start + at < len(own) else n for at, n in enumerate(dims)
    ]
    batch, *extents = [*own[:start], *given, *own[end:]] or [0]
    known = prod(n for n in extents if n != -1)
    size = x.node.shape.size
    if extents.count(-1) == 1 and known and size % known == 0 and batch in {0, 1}:
        extents = [size // known if n == -1 else n for n in extents]
    if batch not in {0, 1, -1} or not extents or -1 in extents or prod(extents) != size:
        return net.unknown(layer, x.node, reason="it joins the batch with other axes", arrays=())
    return _reshaped(net, layer, x, extents)


def _reshaped(net: Net, layer: Layer, x: Laid, extents: Sequence[int]) -> Laid:
    """Return a blob with other extents: its values in Caffe's order."""
    if len(extents) == 1:
        return vector(net, layer, x)
    if list(extents) == [x.node.shape[axis] for axis in x.order]:
        return x
    straight = net.straightened(layer, x)
    node = net.add(layer, Reshape, straight.node, to=tuple(extents))
    return Laid(node, tuple(range(len(extents))))


def permute(net: Net, layer: Layer, x: Laid) -> Made:
    """Give Caffe's axes another order: nothing moves until a layer needs it."""
    given = layer.param("permute").integers("order")
    order = [*given, *(axis for axis in range(len(x.order) + 1) if axis not in given)]
    if order[0] != 0 or sorted(order) != list(range(len(x.order) + 1)):
        return net.unknown(layer, x.node, reason="it moves the batch", arrays=())
    return Laid(x.node, tuple(x.order[axis - 1] for axis in order[1:]))


def slice_(net: Net, layer: Layer, blob: Laid) -> Made:
    param, x = layer.param("slice"), blob.node
    axis = blob.name_of(param.integer("axis", param.integer("slice_dim", 1)))
    if axis is None:
        return [net.unknown(layer, x, reason="it divides the batch")] * len(layer.tops)
    extent = x.shape[names_of_axes(x.shape).index(axis)]
    tops = len(layer.tops)
    points = param.integers("slice_point")
    if not points and extent % tops == 0:
        points = [extent // tops * number for number in range(1, tops)]
    if len(points) != tops - 1:
        message = f"layer `{layer.name}` has {tops} tops, but {len(points)} places to cut at"
        raise TextProblem(layer.line, message)
    ends = [0, *points, extent]
    parts = range(tops)
    return [
        Laid(
            net.add(layer, Slice, x, part=str(n + 1), start=ends[n], stop=ends[n + 1], axis=axis),
            blob.order,
        )
        for n in parts
    ]


def shuffle_channel(net: Net, layer: Layer, x: Node) -> Node:
    return net.add(
        layer, ChannelShuffle, x, groups=layer.param("shuffle_channel").integer("group", 1)
    )


def interp(net: Net, layer: Layer, x: Node) -> Node:
    """Add the bilinear resize of DeepLab and PSPNet, whose corners stay where they are."""
    param = layer.param("interp")
    cut = [param.integer(name) for name in ("pad_beg", "pad_end")]
    if any(cut) or not x.shape.rank or x.shape.is_open:
        return net.unknown(layer, x, reason="it cuts the maps, or their size is open", arrays=())
    shrink, zoom = param.integer("shrink_factor", 1), param.integer("zoom_factor", 1)
    sizes = [
        param.integer(name) or _zoomed((extent - 1) // max(shrink, 1) + 1, zoom)
        for name, extent in zip(("height", "width"), x.shape.spatial, strict=True)
    ]
    net.builder.note(
        "An Interp layer keeps the centres of corner pixels where they are; archspec's resize "
        "does not."
    )
    return net.add(layer, Resize, x, to=one_or_each(sizes), method="bilinear")


def _zoomed(extent: int, factor: int) -> int:
    """Return an extent of which every gap between two places becomes as many as the factor."""
    return extent + (extent - 1) * (factor - 1)


def upsample(net: Net, layer: Layer, x: Node) -> Node:
    """Repeat values; with the places of maxima, put them back there (SegNet)."""
    param = layer.param("upsample")
    factor = param.integer("scale", 2)
    before = next((net.pooled[each] for each in layer.bottoms if each in net.pooled), None)
    if before is None:
        return net.add(layer, UpsampleOp, x, factor=factor)
    if any(n != factor * m for n, m in zip(before.shape.spatial, x.shape.spatial, strict=True)):
        reason = "its maps are not a whole multiple of what was pooled"
        shape = (*before.shape.spatial, x.shape.channels)
        return net.unknown(layer, x, reason=reason, shape=shape, arrays=())
    return net.add(layer, MaxUnpool, x, before, size=factor)


def crop(net: Net, layer: Layer, inputs: list[Laid]) -> Node:
    param = layer.param("crop")
    x, like = net.usual_nodes(layer, inputs)
    offsets = param.integers("offset") or [0]
    if param.integer("axis", 2) != 2:
        return net.unknown(layer, x, like, reason="it cuts channels", arrays=())
    offset = offsets[0] if len(offsets) == 1 else offsets
    return net.add(layer, Crop, x, like, offset=offset)


RULES: Final[Mapping[str, Rule]] = {
    "Crop": Rule(crop, range(2, 3)),
    "Flatten": moving(flatten),
    "Interp": usual(interp),
    "Permute": moving(permute),
    "Reshape": moving(reshape),
    "ShuffleChannel": usual(shuffle_channel),
    "Slice": moving(slice_),
    "Upsample": usual(upsample),
}
