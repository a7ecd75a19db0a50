"""Names of layers: what people call them, out of what exporters make of that.

torch names a step after its module and its function, or by a number, and keeps the module's name
with the weights; tf2onnx puts TensorFlow's functions and the model's name before it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from archspec.imports.onnx.source import SCOPE, Step

_WEIGHT: Final = re.compile(
    r"(.+)\.(?:weight|bias|running_mean|running_var|gamma|beta|kernel|weight_ih_l\d+|in_proj_weight)"
)
_OUTER: Final = re.compile(r"(?:Stateful)?PartitionedCall(?::\d+)?")
_FUNCTIONS: Final = {
    "BiasAdd",
    "Cast",
    "ExpandDims_1",
    "FusedBatchNormV3",
    "Mean",
    "ReadVariableOp",
    "Reshape",
    "batchnorm",
    "conv_transpose",
    "convolution",
    "depthwise",
    "einsum",
    "merged_input",
    "moments",
    "separable_conv2d",
}
"""Parts of TensorFlow's names that are not layers."""


def layer_name(step: Step, arrays: Sequence[str] = (), model: tuple[str, str] = ("", "")) -> str:
    """Return the name of a step's layer.

    Args:
        step: The step.
        arrays: Names of the stored arrays that are its weights.
        model: The scope that TensorFlow's names are in, and what it adds to each part.
    """
    for array in arrays:
        match = _WEIGHT.fullmatch(array)
        if match and "/" not in match[1]:
            return match[1]
        if model[0] and array.startswith(f"{model[0]}/"):
            return _of_tensorflow(array, model)
    scope = step.attributes.get(SCOPE)
    if isinstance(scope, str) and scope:
        return scope
    name = step.name or next(iter(step.outputs), "")
    if name.startswith("node_"):
        return name.removeprefix("node_")
    if re.fullmatch(r"n\d+", name):
        return next(iter(step.outputs), name)
    if name.startswith("/"):
        return _of_torch(name, step)
    if "/" in name:
        return _of_tensorflow(name, model)
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


def _of_tensorflow(name: str, model: tuple[str, str]) -> str:
    """Return `conv1` for `small_1/conv1_1/convolution`."""
    parts = [part for part in name.split("/") if part]
    while len(parts) > 1 and _OUTER.fullmatch(parts[0]):
        parts.pop(0)
    if len(parts) > 1 and parts[0] == model[0]:
        parts.pop(0)
    if len(parts) > 1:
        parts.pop()  # the function
    while len(parts) > 1 and re.sub(r"_\d+$", "", parts[-1]) in _FUNCTIONS:
        parts.pop()
    return "/".join(part.removesuffix(model[1]) for part in parts)


def model_scope(steps: Sequence[Step]) -> tuple[str, str]:
    """Return the scope that most of TensorFlow's names are in, and what ends the parts inside."""
    names = [step.name.split("/") for step in steps if "/" in step.name.strip("/")]
    names = [name[1:] if _OUTER.fullmatch(name[0]) else name for name in names if name[0]]
    if not names:
        return "", ""
    outer, count = Counter(name[0] for name in names).most_common(1)[0]
    if 2 * count <= len(names):
        return "", ""
    inside = [name[1] for name in names if len(name) > 2 and name[0] == outer]
    # Keras 3 builds a network twice, so TensorFlow numbers each layer's name.
    ending = "_1" if inside and all(name.endswith("_1") for name in inside) else ""
    return outer, ending
