"""Ops on one value at a time, as PyTorch has them: activations, norms, dropout, factors."""

from __future__ import annotations

from typing import Any, Final

from archspec.ejection.recording import Construction, call
from archspec.ejection.torch_ops.place import FIRST, CannotWriteError, Place
from archspec.ops.functions import function

PLAIN: Final = {
    "relu": "nn.ReLU",
    "relu6": "nn.ReLU6",
    "selu": "nn.SELU",
    "silu": "nn.SiLU",
    "swish": "nn.SiLU",
    "mish": "nn.Mish",
    "tanh": "nn.Tanh",
    "sigmoid": "nn.Sigmoid",
    "hard_sigmoid": "nn.Hardsigmoid",
    "hard_swish": "nn.Hardswish",
    "hard_tanh": "nn.Hardtanh",
    "softplus": "nn.Softplus",
    "softsign": "nn.Softsign",
    "log_sigmoid": "nn.LogSigmoid",
    "tanh_shrink": "nn.Tanhshrink",
    "linear": "nn.Identity",
    "elu": "nn.ELU",
    "celu": "nn.CELU",
    "gelu": "nn.GELU",
}
"""Modules of functions by their words, where both have the same defaults."""


def activation_rule(place: Place) -> Construction:
    f: Any = function(place.op.function)
    word = f.kind
    if word in PLAIN and (not hasattr(f, "model_dump") or f == type(f)()):
        return call("activation", word)
    made = {
        "softmax": lambda: call("nn.Softmax", dim=place.axis(place.x.rank)),
        "log_softmax": lambda: call("nn.LogSoftmax", dim=place.axis(place.x.rank)),
        "exponential": lambda: call("torch.exp"),
        "abs": lambda: call("torch.abs"),
        "relu": lambda: _bounded(f),
        "leaky_relu": lambda: call("nn.LeakyReLU", f.slope),
        "elu": lambda: call("nn.ELU", f.alpha),
        "celu": lambda: call("nn.CELU", f.alpha),
        "gelu": lambda: call("nn.GELU", approximate="tanh"),
        "soft_shrink": lambda: call("nn.Softshrink", f.threshold),
        "hard_shrink": lambda: call("nn.Hardshrink", f.threshold),
        "threshold": lambda: call("nn.Threshold", f.threshold, f.value),
        "scaled_tanh": lambda: call("scaled_tanh", f.amplitude, f.slope),
        "squareplus": lambda: call("squareplus", f.b),
        "hard_sigmoid": lambda: call("hard_sigmoid", f.slope),
    }.get(word)
    if made is None:
        raise CannotWriteError(f"torch.nn has no `{word}`")
    return made()


def _bounded(f: Any) -> Construction:
    if f.threshold:
        if f.max is not None:
            raise CannotWriteError("torch.nn has no relu with both a threshold and a largest value")
        return call("nn.Threshold", f.threshold, 0.0)
    return call("nn.ReLU6") if f.max == 6 else call("nn.Hardtanh", 0.0, f.max)


def prelu_rule(place: Place) -> Construction:
    op = place.op
    if op.shared == "none":
        raise CannotWriteError("nn.PReLU has no slope for each place")
    count = place.x.channels if op.shared == "places" else 1
    return call("nn.PReLU", count, init=op.initial)


def drop_path_rule(place: Place) -> Construction:
    is_batch = place.op.mode == "batch"
    return call("BatchDropPath" if is_batch else "DropPath", place.op.rate)


def rescale_rule(place: Place) -> Construction:
    op = place.op
    if isinstance(op.scale, tuple) or isinstance(op.offset, tuple):
        return call("RescaleChannels", op.scale, op.offset, dim=place.axis(place.x.rank))
    return call("rescale", op.scale, op.offset)


def scale_rule(place: Place) -> Construction:
    op, x = place.op, place.x
    after = x.rank if place.layout == FIRST else 0
    return call("Scale", x.channels, bias=op.bias, initial=op.initial, axes_after=after)


def batch_norm_rule(place: Place) -> Construction:
    op, x = place.op, place.x
    rank = max(x.rank, 1)
    frozen = op.frozen and rank == 2 and op.scale and op.center
    if op.frozen and not frozen:
        raise CannotWriteError("a `batch_norm` that training leaves as it is has two spatial axes")
    momentum = round(1 - op.momentum, 12)
    name = "FrozenBatchNorm2d" if frozen else f"nn.BatchNorm{rank}d"
    made = call(name, x.channels, eps=op.epsilon, momentum=momentum)
    return _without(op, made)


def _without(op: Any, made: Construction) -> Construction:
    if not op.scale and not op.center:
        key = "elementwise_affine" if made.name.endswith(("LayerNorm", "LayerNorm2d")) else "affine"
        return Construction(made.name, {**made.arguments, key: False})
    if not op.scale:
        return call("without_weight", made)
    return made if op.center else call("without_bias", made)


def layer_norm_rule(place: Place) -> Construction:
    op = place.op
    name = "LayerNorm2d" if place.layout == FIRST else "nn.LayerNorm"
    return _without(op, call(name, place.x.channels, eps=op.epsilon))


def group_norm_rule(place: Place) -> Construction:
    op = place.op
    groups = getattr(op, "groups", place.x.channels)
    return _without(op, call("nn.GroupNorm", groups, place.x.channels, eps=op.epsilon))


def lrn_rule(place: Place) -> Construction:
    if not place.x.rank:
        raise CannotWriteError("nn.LocalResponseNorm takes no vectors")
    op = place.op  # PyTorch divides alpha by the size
    alpha = op.alpha if op.divide else op.alpha * op.size
    return call("nn.LocalResponseNorm", op.size, alpha=alpha, beta=op.beta, k=op.k)
