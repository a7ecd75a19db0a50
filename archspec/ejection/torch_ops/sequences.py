"""Merges and the ops of sequences, as PyTorch has them: tokens, masks, recurrence."""

from __future__ import annotations

from archspec.ejection.recording import Construction, call
from archspec.ejection.torch_ops.place import CannotWriteError, Place


def parameter_rule(place: Place) -> Construction:
    op = place.op
    return call("Parameter", op.shape, op.use, mean=op.initial, deviation=op.deviation)


def position_rule(place: Place) -> Construction:
    if place.op.method != "learned":
        raise CannotWriteError("the method `sine` has no counterpart in torch.nn")
    return call("PositionEmbedding", *place.x)


def relative_bias_rule(place: Place) -> Construction:
    return call("RelativePositionBias", place.op.extents(), place.x[-3])


def window_mask_rule(place: Place) -> Construction:
    return call("ShiftedWindowMask", *zip(*place.op.axes(), strict=True))


def recurrent_rule(place: Place) -> Construction:
    op = place.op
    if op.dropout:
        raise CannotWriteError("PyTorch's recurrent layers drop no inputs")
    name = type(op).__name__
    usual = type(op)(units=op.units)
    for argument in ("activation", "recurrent_activation", "reset_after"):
        default = getattr(usual, argument, None)
        if getattr(op, argument, None) != default:
            said = str(default).lower()
            raise CannotWriteError(
                f"PyTorch's nn.{name.upper()} has no other `{argument}` than {said}"
            )
    return call(
        name,
        place.x.channels,
        op.units,
        bias=op.bias,
        bidirectional=op.bidirectional,
        last=op.output == "last",
    )
