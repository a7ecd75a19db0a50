"""Layers with weights, attention and dropout: operators of ATen, one function each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from archspec.imports.onnx.writing import Unwritten
from archspec.imports.pytorch.arrangement import repeated
from archspec.imports.pytorch.writing import (
    Arguments,
    Operator,
    Program,
    by_rank,
    each_axis,
    first_tensor,
    on_tensors,
    tensor_name,
)


def convolution(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    rank = p.rank(a["weight"]) - 2
    padding = a.get("padding", 0)
    attributes: dict[str, Any] = {
        "strides": each_axis(a.get("stride") or 1, rank),
        "dilations": each_axis(a.get("dilation") or 1, rank),
        "group": int(a.get("groups") or 1),
    }
    if isinstance(padding, str):
        attributes["auto_pad"] = "VALID" if padding == "valid" else "SAME_UPPER"
    else:
        attributes["pads"] = each_axis(padding or 0, rank) * 2
    op = "ConvTranspose" if a.get("transposed") else "Conv"
    if a.get("transposed"):
        attributes["output_padding"] = each_axis(a.get("output_padding") or 0, rank)
    inputs = [a["input"].name, a["weight"].name, tensor_name(a.get("bias"))]
    p.step(op, inputs, outputs[:1], **attributes)


def linear(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    inputs = [a["input"].name, a["weight"].name, tensor_name(a.get("bias"))]
    p.step("Gemm", inputs, outputs, transB=1)


def addmm(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    factors = {name: float(a[name]) for name in ("alpha", "beta") if a.get(name) is not None}
    p.step("Gemm", [a["mat1"].name, a["mat2"].name, a["self"].name], outputs, **factors)


def add_products(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    """Write beta * self + alpha * (batch1 @ batch2)."""
    product = _times(p, p.stepped("MatMul", [a["batch1"].name, a["batch2"].name]), a.get("alpha"))
    p.step("Add", [product, _times(p, a["self"].name, a.get("beta"))], outputs)


def _times(p: Program, name: str, factor: float | None) -> str:
    """Return a value times a number."""
    return name if factor in (None, 1) else p.stepped("Mul", [name, p.number(float(factor or 0))])


def batch_norm(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    names = ("input", "weight", "bias", "running_mean", "running_var")
    if not tensor_name(a.get("running_mean")):
        if p.dims[a["input"].name][0] != 1:
            raise Unwritten("it normalises by the statistics of the batch alone")
        instance_norm(p, a, outputs[:1])  # those of one example are the batch's
        return
    p.step(
        "BatchNormalization",
        [tensor_name(a.get(name)) for name in names],
        outputs[:1],
        epsilon=float(a.get("eps", 1e-5)),
        momentum=1 - float(a.get("momentum", 0.1)),
    )


def _norm(p: Program, a: Arguments, op: str, outputs: Sequence[str], **attributes: Any) -> None:
    names = [tensor_name(a.get(name)) for name in ("input", "weight", "bias")]
    p.step(op, names, outputs[:1], epsilon=float(a.get("eps", 1e-5)), **attributes)


def layer_norm(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    _norm(p, a, "LayerNormalization", outputs, axis=-len(a["normalized_shape"]))


def group_norm(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    _norm(p, a, "GroupNormalization", outputs, num_groups=int(a["num_groups"]))


def instance_norm(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    _norm(p, a, "InstanceNormalization", outputs)


def root(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    """Write x * rsqrt(mean(x^2) + epsilon), times a weight."""
    # Without an epsilon torch takes that of the type, here of float32.
    given = a if a.get("eps") is not None else {**a, "eps": 2.0**-23}
    _norm(p, given, "RMSNormalization", outputs, axis=-len(a["normalized_shape"]))


def weight_norm(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    """Write a direction at a length: g * v / |v|. (Salimans & Kingma 2016, equation 2)"""
    direction, length = a["v"].name, a["g"].name
    rank, kept = len(p.dims[direction]), int(a.get("dim") or 0)
    axes = p.ints([axis for axis in range(rank) if axis != kept % rank])
    squares = p.stepped("Mul", [direction, direction])
    norm = p.stepped("Sqrt", [p.stepped("ReduceSum", [squares, axes], keepdims=1)])
    p.step("Mul", [direction, p.stepped("Div", [length, norm])], outputs[:1])


def dropout(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    x = first_tensor(a)
    if a.get("train") or a.get("training"):
        p.step("Dropout", [x.name], outputs[:1], ratio=float(a["p"]))
    else:
        p.step("Identity", [x.name], outputs[:1])


def attention(p: Program, a: Arguments, outputs: Sequence[str]) -> None:
    """Write scaled dot-product attention: a product, a softmax, a product."""
    q, k, v = (a[name].name for name in ("query", "key", "value"))
    rank = len(p.dims[q])
    size, places = p.dims[q][-1], p.dims[q][-2]
    if a.get("is_causal") and p.dims[k][-2] != places:
        raise ValueError
    if a.get("enable_gqa"):
        k, v = (_for_heads(p, each, p.dims[q][-3]) for each in (k, v))
    order = [*range(rank - 2), rank - 1, rank - 2]
    scope, scale = p.scope, a.get("scale") or size**-0.5
    turned = p.stepped("Transpose", [k], perm=order)
    p.scope = f"{scope}.scale"
    scaled = p.stepped("Mul", [q, p.number(float(scale))])
    p.scope = f"{scope}.scores"
    scores = p.stepped("MatMul", [scaled, turned])
    p.scope = f"{scope}.mask"
    if a.get("attn_mask") is not None:
        scores = p.stepped("Add", [scores, a["attn_mask"].name])
    if a.get("is_causal"):
        scores = p.stepped("archspec.CausalMask", [scores])
    p.scope = f"{scope}.softmax"
    share = p.stepped("Softmax", [scores], axis=-1)
    p.scope = f"{scope}.values"
    p.step("MatMul", [share, v], outputs)


def _for_heads(p: Program, x: str, heads: Any) -> str:
    """Return keys or values each of which several heads share, once for each head."""
    dims = p.dims[x]
    return repeated(p, x, len(dims) - 3, heads // dims[-3])


OPERATORS: Final[Mapping[str, Operator]] = {
    **by_rank("conv", convolution),
    **by_rank(
        "conv_transpose",
        lambda p, a, outputs: convolution(p, {**a, "transposed": True}, outputs),
    ),
    "convolution": convolution,
    "linear": linear,
    "addmm": addmm,
    **dict.fromkeys(("mm", "bmm", "mv", "dot", "vdot", "matmul"), on_tensors("MatMul")),
    "baddbmm": add_products,
    "batch_norm": batch_norm,
    **dict.fromkeys(
        (
            "_native_batch_norm_legit",
            "_native_batch_norm_legit_functional",
            "_native_batch_norm_legit_no_training",
            "native_batch_norm",
        ),
        batch_norm,
    ),
    "layer_norm": layer_norm,
    "native_layer_norm": layer_norm,
    "group_norm": group_norm,
    "native_group_norm": lambda p, a, outputs: group_norm(
        p, {**a, "num_groups": a["group"]}, outputs
    ),
    "rms_norm": root,
    **dict.fromkeys(("_weight_norm", "_weight_norm_interface"), weight_norm),
    "instance_norm": instance_norm,
    "dropout": dropout,
    "feature_dropout": dropout,
    "embedding": on_tensors("Gather", axis=0),
    "scaled_dot_product_attention": attention,
}
"""The function of each operator, without its overload and the `_` of those in place."""
