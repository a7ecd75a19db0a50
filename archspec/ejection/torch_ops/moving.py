"""Ops that move values, as PyTorch has them: reshapes, slices, resizing, shuffles."""

from __future__ import annotations

from archspec.ejection.recording import Construction, call
from archspec.ejection.torch_ops.place import FIRST, CannotWriteError, Place
from archspec.ejection.torch_ops.windows import padding_of, window_of, window_or_all
from archspec.ops import shuffles
from archspec.ops.fields import per_axis, per_side


def pad_rule(place: Place) -> Construction:
    op = place.op
    mode = "" if op.mode == "zeros" else op.mode
    return padding_of(per_side(op.amount, place.x.rank, "amount"), mode)


def pad_channels_rule(place: Place) -> Construction:
    amount = place.op.to - place.x.channels
    rank = place.x.rank if place.layout == FIRST else 0
    return call("F.pad", (*(0, 0) * rank, 0, amount))


def crop_rule(place: Place) -> Construction:
    op, x = place.op, place.x
    if op.amount is None:
        offsets = op.offsets(x.rank)
        return call("crop_like", None if offsets is None else tuple(offsets))
    sides = per_side(op.amount, x.rank, "amount")
    return padding_of([(-before, -after) for before, after in sides])


def upsample_rule(place: Place) -> Construction:
    op, x = place.op, place.x
    factor = window_of(per_axis(op.factor, x.rank, "factor"))
    if op.method == "nearest":
        return call("nn.Upsample", scale_factor=factor)
    return call("nn.Upsample", scale_factor=factor, mode="bilinear")


def resize_rule(place: Place) -> Construction:
    op, x = place.op, place.x
    mode = {"nearest": "nearest-exact", "bilinear": "bilinear", "bicubic": "bicubic"}[op.method]
    if x.rank == 1 and op.method != "nearest":
        if op.method == "bicubic":
            raise CannotWriteError("F.interpolate has no bicubic method for sequences")
        mode = "linear"
    if op.to is None:
        return call("resize_like", mode)
    return call("resize", per_axis(op.to, x.rank, "to"), mode)


def slice_rule(place: Place) -> Construction:
    at, start, stop = place.op.cut(place.x)
    return call("slice", place.axis(at) % (len(place.x) + 1), start, stop, len(place.x))


def roll_rule(place: Place) -> Construction:
    steps = place.op.steps(place.x)
    return call("roll", window_or_all(steps), window_or_all(place.spatial))


def shuffle_rule(place: Place) -> Construction:
    if not place.x.rank:
        raise CannotWriteError("nn.ChannelShuffle takes no vectors")
    return call("nn.ChannelShuffle", place.op.groups)


def space_to_depth_rule(place: Place) -> Construction:
    op, x = place.op, place.x
    factors = op.factors(x)
    if x.rank != 2:
        raise CannotWriteError("it has other than two spatial axes")
    is_forward = isinstance(op, shuffles.SpaceToDepth)
    if op.order == "places":
        return call("SpaceToDepth" if is_forward else "DepthToSpace", *factors)
    if len({*factors}) > 1:
        raise CannotWriteError("PyTorch's pixel shuffle has one factor for both axes")
    return call("nn.PixelUnshuffle" if is_forward else "nn.PixelShuffle", factors[0])
