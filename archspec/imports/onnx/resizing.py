"""Operators that pad, cut off or resize maps, or move places into channels and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from archspec.imports.building import one_or_each
from archspec.imports.model import BATCH
from archspec.imports.onnx.activation import elementwise_on
from archspec.imports.onnx.source import Step
from archspec.imports.onnx.trace import Handler, Trace, Unsupported, Value
from archspec.imports.onnx.windows import last, placed
from archspec.ops.arrangement import Crop, Pad, PadChannels, Upsample
from archspec.ops.op import Op
from archspec.ops.resizing import Resize
from archspec.ops.shuffles import DepthToSpace, SpaceToDepth

MOST_MOVES: Final = 16
"""Largest number of steps that may move axes between a padding and the max pools that read it."""


def pad(t: Trace, step: Step) -> None:
    x = t.value(step)
    amounts = step.attributes.get("pads", step.attributes.get("paddings"))
    amounts = list(amounts) if amounts is not None else t.numbers(step, 1, "amounts")
    axes = [x.at(a) for a in t.numbers(step, 3, "axes")] if t.constant(step, 3) else range(x.rank)
    half = len(amounts) // 2
    pairs = dict(zip(axes, zip(amounts[:half], amounts[half:], strict=True), strict=False))
    if any(not isinstance(n, int) for n in amounts):
        raise Unsupported("its amounts depend on the size of the input")
    pairs = {a: pair for a, pair in pairs.items() if any(pair)}
    if not pairs:
        t.values[step.outputs[0]] = x
        return
    mode = step.get("mode", "constant")
    value: Any = step.attributes.get("value", 0.0)
    if step.input(2):
        value = t.numbers(step, 2, "value")[0]
    words = {"constant": "zeros", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    if mode not in words:
        raise Unsupported(f"archspec does not pad in the mode {mode}")
    if mode == "constant" and value and not _only_feeds_max_pool(t, step, value):
        raise Unsupported(f"archspec pads with zeros, not with {value:g}")
    x = t.straight(step, x)
    channels = x.channels
    if mode == "constant" and list(pairs) == [channels] and pairs[channels][0] == 0:
        to = x.dims[channels] + pairs[channels][1]
        elementwise_on(t, step, x, PadChannels(to=to))
        return
    if min(min(pair) for pair in pairs.values()) < 0:
        _crop(t, step, x, pairs)
        return
    if channels in pairs:
        raise Unsupported("it pads the channels")
    elementwise_on(t, step, x, _pad_op(x, pairs, words[mode]))


def _pad_op(x: Value, pairs: dict[int, Any], mode: str) -> Op:
    sides = [(0, 0)] * x.node.shape.rank
    for axis, pair in pairs.items():
        if x.axes[axis] < 0:
            raise Unsupported("it pads an axis that archspec's shape does not have")
        sides[x.axes[axis]] = tuple(pair)
    amount: Any = tuple(sides)
    if all(before == after for before, after in sides):
        amount = one_or_each([before for before, _ in sides])
    op: Op = Pad.parse({"amount": amount, **({} if mode == "zeros" else {"mode": mode})})
    return op


def _crop(t: Trace, step: Step, x: Value, pairs: dict[int, Any]) -> None:
    """Cut off the ends that are padded by amounts below 0."""
    if any(n > 0 for pair in pairs.values() for n in pair):
        raise Unsupported("it pads one end and cuts another")
    sides = [(0, 0)] * x.node.shape.rank
    for axis, (before, after) in pairs.items():
        if x.axes[axis] < 0 or x.axes[axis] == len(x.node.shape) - 1:
            raise Unsupported("it cuts the batch or the channels")
        sides[x.axes[axis]] = (-before, -after)
    elementwise_on(t, step, x, Crop(amount=tuple(sides)))


def _only_feeds_max_pool(t: Trace, step: Step, value: float) -> bool:
    """Whether a padding with the lowest numbers goes into max pools, where it never wins.

    A converter may move the axes in between.
    """
    moving = [step]
    for each in moving:
        users = t.users.get(each.outputs[0], [])
        if value >= -1e30 or not users or len(moving) > MOST_MOVES + 1:
            return False
        for user in users:
            if user.op in ("Transpose", "Identity"):
                moving.append(user)
            elif user.op != "MaxPool":
                return False
    return True


def resize(t: Trace, step: Step) -> None:
    x = t.value(step)
    modes = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}
    mode = modes.get(step.get("mode", "nearest"))
    if mode is None:
        raise Unsupported("archspec does not resize in this mode")
    sizes, scales = t.constant(step, 3), t.constant(step, 2)
    if step.op == "Upsample" or len(step.inputs) == 2:
        scales, sizes = t.constant(step, 1), None
    axes = step.get("axes", []) or list(range(x.rank))
    new = list(x.dims)
    if sizes is not None and sizes.values:
        for axis, n in zip(axes, sizes.values, strict=True):
            new[x.at(axis)] = n
    else:
        factors = list(scales.values or ()) if scales is not None else step.get("scales", [])
        if len(factors) != len(axes):
            raise Unsupported("its sizes are not known")
        for axis, factor in zip(axes, factors, strict=True):
            own = new[x.at(axis)]
            whole = float(factor).is_integer()
            if not whole and not isinstance(own, int):
                raise Unsupported("its sizes depend on the size of the input")
            new[x.at(axis)] = own * int(factor) if whole else int(own * factor)
    x = t.straight(step, x)
    changed = [a for a in range(x.rank) if new[a] != x.dims[a]]
    if not changed:
        t.values[step.outputs[0]] = x
        return
    channel = last(x, x.rank)[-1] if x.channels in (-1, 1) else x.channels
    if channel in changed or any(x.axes[a] == BATCH for a in changed):
        raise Unsupported("it changes the channels or the batch")
    places = sorted(
        (a for a in range(x.rank) if a != channel and x.axes[a] != BATCH),
        key=lambda a: x.axes[a] if x.axes[a] >= 0 else a,
    )
    x = t.ordered(step, x, (*places, channel))
    extents = [(x.dims[a], new[a]) for a in places]
    op = _resize_op(extents, mode)
    if _lies_otherwise(t, step, op):
        t.note("corners")
    elementwise_on(t, step, x, op)


def _lies_otherwise(t: Trace, step: Step, op: Op) -> bool:
    """Whether a step reads other places of its input than archspec's op, at centres of pixels.

    Whole factors of the nearest pixels are the same however places are counted, but from corners.
    """
    old = "asymmetric" if step.op == "Upsample" or t.opset < 11 else "half_pixel"
    counted = step.get("coordinate_transformation_mode", old)
    if counted == "asymmetric":
        return not isinstance(op, Upsample) or op.method != "nearest"
    return counted in ("align_corners", "tf_crop_and_resize")


def _resize_op(extents: Sequence[tuple[Any, Any]], mode: str) -> Op:
    """Return an `upsample` for whole factors, else a `resize`."""
    op: Op
    factors = []
    for old, new in extents:
        for factor in range(1, 65):
            if old * factor == new:
                factors.append(factor)
                break
    if len(factors) == len(extents) and (
        mode == "nearest" or (mode == "bilinear" and len(extents) == 2)
    ):
        factor = one_or_each(factors)
        op = Upsample.parse({"factor": factor, **({} if mode == "nearest" else {"method": mode})})
        return op
    to = [new for _, new in extents]
    if any(not isinstance(n, int) for n in to):
        raise Unsupported("its sizes depend on the size of the input")
    op = Resize.parse({"to": one_or_each(to), "method": mode})
    return op


def depth_to_space(t: Trace, step: Step) -> None:
    x = t.value(step)
    node = t.aligned(step, x, last(x, 4))
    order = "channels" if step.get("mode", "DCR") == "CRD" else "places"
    op = DepthToSpace.parse({"factor": step.get("blocksize", 1), "order": order})
    t.values[step.outputs[0]] = placed(t.add(step, op, node), 4, x.batch)


def space_to_depth(t: Trace, step: Step) -> None:
    x = t.value(step)
    node = t.aligned(step, x, last(x, 4))
    op = SpaceToDepth(factor=step.get("blocksize", 1))
    t.values[step.outputs[0]] = placed(t.add(step, op, node), 4, x.batch)


LAYERS: Final[dict[str, Handler]] = {
    "Pad": pad,
    "Resize": resize,
    "Upsample": resize,
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth,
}
"""The function for each operator."""
