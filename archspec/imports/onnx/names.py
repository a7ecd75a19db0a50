"""Names of layers: what people call them, out of what exporters make of that.

torch names a step after its module and its function, or by a number, and keeps the module's name
with the weights; tf2onnx puts TensorFlow's functions and the model's name before it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from archspec.imports.onnx.source import SCOPE, Step

_WEIGHT: Final = re.compile(
    r"(.+)\.(?:weight|bias|running_mean|running_var|gamma|beta|kernel|weight_ih_l\d+|in_proj_weight)"
)
_TENSORFLOW: Final = re.compile(
    r"^(?:StatefulPartitionedCall|PartitionedCall|functional(?:_\d+)?|sequential(?:_\d+)?"
    r"|model(?:_\d+)?)(?::\d+)?$"
)
_GRAPH_OPS: Final = frozenset(
    [
        "convolution",
        "depthwise_conv",
        "conv2d_transpose",
        "Conv2D",
        "Conv1D",
        "Conv3D",
        "BiasAdd",
        "BiasAdd/ReadVariableOp",
        "MatMul",
        "Relu",
        "Relu6",
        "MaxPool",
        "MaxPool2d",
        "AvgPool",
        "AvgPool2d",
        "Mean",
        "Softmax",
        "Sigmoid",
        "Tanh",
        "add",
        "mul",
        "sub",
        "Add",
        "AddV2",
        "Mul",
        "Sub",
        "concat",
        "ConcatV2",
        "Reshape",
        "FusedBatchNormV3",
        "batchnorm",
        "Pad",
        "Squeeze",
        "Conv",
        "conv_transpose",
        "depthwise",
        "separable_conv2d",
        "Max",
        "Transpose",
    ]
)


def layer_name(step: Step, arrays: Sequence[str] = ()) -> str:
    """Return the name of a step's layer.

    Args:
        step: The step.
        arrays: Names of the stored arrays that are its weights.
    """
    scope = step.attributes.get(SCOPE)
    if isinstance(scope, str) and scope:
        return scope
    for array in arrays:
        match = _WEIGHT.fullmatch(array)
        if match and "/" not in match[1]:
            return match[1]
    name = step.name or next(iter(step.outputs), "")
    if name.startswith("node_"):
        return name.removeprefix("node_")
    if re.fullmatch(r"n\d+", name):
        return next(iter(step.outputs), name)
    if name.startswith("/"):
        return _of_torch(name, step)
    if "/" in name:
        return _of_tensorflow(name)
    return name


def _of_torch(name: str, step: Step) -> str:
    """Return `layer1.0.conv1` for `/layer1/layer1.0/conv1/Conv`."""
    *scopes, function = [part for part in name.split("/") if part]
    path: list[str] = []
    for part in scopes:
        if path and part.startswith(f"{path[-1]}."):
            path[-1] = part
        else:
            path.append(part)
    plain = re.sub(r"_\d+$", "", function)
    if path and plain == step.op and not _is_joint(step.op):
        return ".".join(path)
    return ".".join([*path, function])


def _is_joint(op: str) -> bool:
    """Whether a step is rather written in a module's own code than a module of its own."""
    return op in ("Add", "Concat", "Mul", "Reshape", "Transpose", "Slice", "Split", "MatMul")


def _of_tensorflow(name: str) -> str:
    """Return `conv1_conv` for `StatefulPartitionedCall/resnet50_1/conv1_conv_1/convolution`."""
    parts = [part for part in name.split("/") if part]
    while len(parts) > 1 and _TENSORFLOW.match(parts[0]):
        parts.pop(0)
    while len(parts) > 1 and (
        parts[-1] in _GRAPH_OPS or re.sub(r"_\d+$", "", parts[-1]) in _GRAPH_OPS
    ):
        parts.pop()
    if len(parts) > 1 and name.startswith("StatefulPartitionedCall/"):
        parts.pop(0)
    return "/".join(parts)
