"""Operators that are several of ONNX's others, written out as these.

onnxruntime joins operators that follow each other (FusedConv, SkipLayerNormalization), and saves
the network so if it is asked to; ONNX itself has some as well (Attention, since version 23). For a
processor's vector units, onnxruntime also puts channels into blocks of 8 or 16 (`nchwc`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, TypeAlias

from archspec.errors import UsageError
from archspec.imports.onnx.quantized import MICROSOFT
from archspec.imports.onnx.source import FILLED, MALFORMED, REASON, Constant, Step
from archspec.imports.onnx.writing import Unwritten, Writer

BLOCKED: Final = f"{MICROSOFT}nchwc."
"""The domain of operators whose channels are in blocks."""

BLOCKED_NOTE: Final = (
    "onnxruntime wrote the file for one kind of processor: numbers of filters may be rounded up to "
    "a multiple of 8 or 16, with kernels of zeros, and the values of kernels cannot be read."
)


class _Writing(Writer):
    """The steps that take the place of one."""

    def __init__(self, step: Step, constants: dict[str, Constant]) -> None:
        super().__init__(constants)
        self.name = step.name or step.outputs[0]
        self.prefix = step.outputs[0]


Rule: TypeAlias = Callable[[_Writing, Step, "list[str]"], None]
"""Writes a step, whose inputs are given by their names; empty ones are added at the end."""

MOST_INPUTS: Final = 12
"""Number of inputs that a rule is given, those that are left out among them."""


def written_out(
    steps: Iterable[Step], constants: dict[str, Constant], told: dict[str, None]
) -> list[Step]:
    """Return the steps, with several others for each that is several.

    The constants that these read, and notes about what is written, are added to those given.
    """
    steps = list(steps)
    if all(step.op not in RULES and not step.op.startswith(BLOCKED) for step in steps):
        return steps
    if any(step.op.startswith(BLOCKED) for step in steps):
        told.setdefault(BLOCKED_NOTE)
        with suppress(*MALFORMED):
            steps = _unblocked(steps, constants)
    written: list[Step] = []
    for step in steps:
        rule = RULES.get(step.op)
        if rule is None or not step.outputs:
            written.append(step)
            continue
        new = _Writing(step, constants)
        try:
            rule(new, step, [*step.inputs, *[""] * (MOST_INPUTS - len(step.inputs))])
        except Unwritten as why:
            written.append(replace(step, attributes={**step.attributes, REASON: str(why)}))
        except MALFORMED:
            written.append(step)
        else:
            written += new.steps
    return written


def _activated(w: _Writing, step: Step, x: str) -> None:
    """Write the function that ends a step, with its numbers."""
    function = step.get("activation", "") or "Identity"
    given = step.get("activation_params", []) or [
        step.attributes.get(name) for name in ("activation_alpha", "activation_beta")
    ]
    names = {"Clip": ("min", "max"), "HardSigmoid": ("alpha", "beta"), "LeakyRelu": ("alpha",),
             "Elu": ("alpha",)}.get(function, ())  # fmt: skip
    numbers = {
        name: float(number)
        for name, number in zip(names, given, strict=False)
        if number is not None
    }
    w.step(function, [x], step.outputs[:1], **numbers)


_OWN: Final = {"activation", "activation_params", "activation_alpha", "activation_beta"}


def _with_activation(op: str, sum_at: int = 0) -> Rule:
    """Return the rule of an operator that ends with a function, after an optional sum."""

    def write(w: _Writing, step: Step, inputs: list[str]) -> None:
        plain = {name: value for name, value in step.attributes.items() if name not in _OWN}
        x = w.stepped(op, inputs[: sum_at or 3], **plain)
        if sum_at and inputs[sum_at]:
            x = w.stepped("Add", [x, inputs[sum_at]])
        _activated(w, step, x)

    return write


def _product(w: _Writing, step: Step, inputs: list[str]) -> None:
    """Write FusedMatMul: factors that may be turned, times a number."""
    if step.get("transBatchA", 0) or step.get("transBatchB", 0):
        raise Unwritten("its batch is another axis")
    turned = {name: step.get(name, 0) for name in ("transA", "transB")}
    alpha = step.get("alpha", 1.0)
    if alpha == 1:
        w.step("MatMul", inputs[:2], step.outputs[:1], **turned)
        return
    product = w.stepped("MatMul", inputs[:2], **turned)
    w.step("Mul", [product, w.number(alpha)], step.outputs[:1])


def _sum(w: _Writing, *names: str) -> str:
    """Write the sum of those values that are there."""
    first, *others = [name for name in names if name]
    for other in others:
        first = w.stepped("Add", [first, other])
    return first


def _added(w: _Writing, step: Step, inputs: list[str]) -> None:
    """Write BiasAdd: x, bias and what is added to both."""
    w.step("Add", [w.stepped("Add", inputs[:2]), inputs[2]], step.outputs[:1])


def _same(op: str) -> Rule:
    """Return the rule of an operator that ONNX has as well."""

    def write(w: _Writing, step: Step, inputs: list[str]) -> None:
        w.step(op, inputs, step.outputs, **step.attributes)

    return write


def _image(w: _Writing, step: Step, inputs: list[str]) -> None:
    """Write ImageScaler, with which CoreML's networks begin: x times a number, plus a bias."""
    bias = step.get("bias", [])
    x = w.stepped("Mul", [inputs[0], w.number(step.get("scale", 1.0))])
    offsets = w.constant(Constant.of((len(bias), 1, 1), bias, "float"))
    w.step("Add", [x, offsets], step.outputs[:1])


def _biased(op: str, **attributes: Any) -> Rule:
    """Return the rule of a function after an optional bias."""

    def write(w: _Writing, step: Step, inputs: list[str]) -> None:
        w.step(op, [_sum(w, *inputs[:2])], step.outputs[:1], **attributes)

    return write


def _softmax(w: _Writing, step: Step, inputs: list[str]) -> None:
    """Write BiasSoftmax; the scores' last axis is meant wherever its softmax begins."""
    w.step("Softmax", [_sum(w, *inputs[:2])], step.outputs[:1], axis=step.get("axis", -1))


def _quick_gelu(w: _Writing, step: Step, inputs: list[str]) -> None:
    """Write x * sigmoid(alpha * x)."""
    alpha = step.get("alpha", 1.702)
    x = inputs[0] if alpha == 1 else w.stepped("Mul", [inputs[0], w.number(alpha)])
    w.step("Mul", [inputs[0], w.stepped("Sigmoid", [x])], step.outputs[:1])


def _skip_norm(op: str, bias_at: int, count: int) -> Rule:
    """Return the rule of a norm of a sum, which may be an output as well."""

    def write(w: _Writing, step: Step, inputs: list[str]) -> None:
        x = _sum(w, inputs[0], inputs[1], inputs[bias_at])
        epsilon = step.get("epsilon", 1e-5)
        arrays = inputs[2 : 2 + count]
        w.step(op, [x, *arrays], step.outputs[:1], epsilon=epsilon, axis=-1)
        if len(step.outputs) > 3 and step.outputs[3]:
            w.step("Identity", [x], step.outputs[3:4])

    return write


def _group_norm(w: _Writing, step: Step, inputs: list[str]) -> None:
    """Write GroupNorm: x, factors, offsets; SkipGroupNorm: with what is added before."""
    x = total = _sum(w, inputs[0], *inputs[3:5])
    channels = -1 if step.get("channels_last", 1) else 1
    attributes = {"num_groups": step.get("groups", 32), "epsilon": step.get("epsilon", 1e-5),
                  "archspec.channels": channels}  # fmt: skip
    if step.get("activation", 0):
        x = w.stepped("GroupNormalization", [x, *inputs[1:3]], **attributes)
        w.step("Mul", [x, w.stepped("Sigmoid", [x])], step.outputs[:1])
    else:
        w.step("GroupNormalization", [x, *inputs[1:3]], step.outputs[:1], **attributes)
    if len(step.outputs) > 1 and step.outputs[1]:
        w.step("Identity", [total], step.outputs[1:2])


def _vectors(w: _Writing, step: Step, inputs: list[str]) -> None:
    """Write EmbedLayerNormalization: words, positions and segments, added and normalised."""
    words, segments, table, places, kinds, factor, offset, _, positions = inputs[:9]
    x = w.stepped("Gather", [table, words], axis=0)
    if positions:
        at = w.stepped("Gather", [places, positions], axis=0)
    else:
        count = w.stepped("Shape", [words], start=1, end=2)
        at = w.stepped("Slice", [places, w.ints([0]), count, w.ints([0])])
        at = w.stepped("Unsqueeze", [at, w.ints([0])])
    x = _sum(w, x, at, w.stepped("Gather", [kinds, segments], axis=0) if segments else "")
    epsilon = step.get("epsilon", 1e-12)
    w.step("LayerNormalization", [x, factor, offset], step.outputs[:1], epsilon=epsilon, axis=-1)
    if len(step.outputs) > 2 and step.outputs[2]:
        w.step("Identity", [x], step.outputs[2:3])


# Attention.


def _scores(w: _Writing, step: Step, parts: Sequence[str], mask: str, *, is_causal: bool) -> str:
    """Write attention on queries, keys and values of [batch, heads, places, size]."""
    queries, keys, values = parts
    scale = step.get("scale", 0.0)
    if scale:
        factor = w.number(scale)
    else:
        size = w.stepped("Cast", [w.stepped("Shape", [queries], start=3)], to=1)
        factor = w.stepped("Reciprocal", [w.stepped("Sqrt", [size])])
    turned = w.stepped("Transpose", [keys], perm=[0, 1, 3, 2])
    scores = w.stepped("MatMul", [w.stepped("Mul", [queries, factor]), turned])
    if mask:
        scores = w.stepped("Add", [scores, mask])
    if is_causal:
        scores = w.stepped("archspec.CausalMask", [scores])
    return w.stepped("MatMul", [w.stepped("Softmax", [scores], axis=-1), values])


def _in_heads(w: _Writing, x: str, heads: int) -> str:
    """Write [batch, places, channels] as [batch, heads, places, size]."""
    x = w.stepped("Reshape", [x, w.ints([0, 0, heads, -1])])
    return w.stepped("Transpose", [x], perm=[0, 2, 1, 3])


def _attend(
    w: _Writing, step: Step, parts: Sequence[str], heads: int, mask: str, *, is_causal: bool
) -> None:
    """Write attention on queries, keys and values; without heads, they have an axis for these."""
    if not heads:
        y = _scores(w, step, parts, mask, is_causal=is_causal)
        w.step("Identity", [y], step.outputs[:1])
        return
    parts = [_in_heads(w, x, heads) for x in parts]
    y = _scores(w, step, parts, mask, is_causal=is_causal)
    y = w.stepped("Transpose", [y], perm=[0, 2, 1, 3])
    w.step("Reshape", [y, w.ints([0, 0, -1])], step.outputs[:1])


def _apart(w: _Writing, x: str, widths: Sequence[int], axis: int) -> list[str]:
    """Write what an array has of queries, keys and values."""
    parts = [w.new(f"{w.prefix}_{word}") for word in ("query", "key", "value")]
    w.step("Split", [x, w.ints(widths)], parts, axis=axis)
    return parts


def _refuse_others(step: Step, places: Mapping[int, str]) -> None:
    """Refuse attention with inputs at these places."""
    for place, reason in places.items():
        if step.input(place):
            raise Unwritten(reason)


_EARLIER: Final = "it reads the keys and values of earlier runs"
_PADDED: Final = "its mask depends on the values of an input"


def _self_attention(w: _Writing, step: Step, inputs: list[str]) -> None:
    """Write onnxruntime's Attention: x, kernel, bias, mask, earlier keys, offsets of scores."""
    _refuse_others(step, {3: _PADDED, 4: _EARLIER})
    kernel, heads = w.constants.get(inputs[1]), step.get("num_heads", 0)
    if kernel is None or len(kernel.dims) != 2 or not heads:
        raise Unwritten("its kernel is computed as the network runs")
    widths = step.get("qkv_hidden_sizes", []) or [kernel.dims[1] // 3] * 3
    x = w.stepped("MatMul", [inputs[0], inputs[1]])
    x = w.stepped("Add", [x, inputs[2]]) if inputs[2] else x
    is_causal = bool(step.get("unidirectional", 0))
    _attend(w, step, _apart(w, x, widths, -1), heads, inputs[5], is_causal=is_causal)


def _cross_attention(w: _Writing, step: Step, inputs: list[str]) -> None:
    """Write MultiHeadAttention: queries, keys, values, bias, mask, offsets, earlier keys."""
    _refuse_others(step, {4: _PADDED, 6: _EARLIER, 7: _EARLIER})
    heads, bias = step.get("num_heads", 0), w.constants.get(inputs[3])
    if not heads or not inputs[1] or not inputs[2]:
        raise Unwritten("its queries, keys and values are one array")
    parts = inputs[:3]
    if inputs[3]:
        if bias is None or bias.size % 3:
            raise Unwritten("its bias is computed as the network runs")
        biases = _apart(w, inputs[3], [bias.size // 3] * 3, 0)
        parts = [w.stepped("Add", pair) for pair in zip(parts, biases, strict=True)]
    is_causal = bool(step.get("unidirectional", 0))
    _attend(w, step, parts, heads, inputs[5], is_causal=is_causal)


def _attention(w: _Writing, step: Step, inputs: list[str]) -> None:
    """Write ONNX's own Attention, on arrays with an axis of heads or without."""
    _refuse_others(step, {4: _EARLIER, 5: _EARLIER})
    heads, others = step.get("q_num_heads", 0), step.get("kv_num_heads", 0)
    if heads != others:
        raise Unwritten("several heads share keys and values")
    if step.get("softcap", 0.0):
        raise Unwritten("its scores are bounded")
    is_causal = bool(step.get("is_causal", 0))
    _attend(w, step, inputs[:3], heads, inputs[3], is_causal=is_causal)


# Layouts.


def _channels_last(op: str) -> Rule:
    """Return the rule of an operator on maps whose channels, and those of kernels, are last."""

    def write(w: _Writing, step: Step, inputs: list[str]) -> None:
        kernel = w.constants.get(inputs[1])
        if inputs[1] and (kernel is None or len(kernel.dims) != 4):
            raise Unwritten("its kernel is not one of maps")
        x, *others = (
            w.stepped("Transpose", [name], perm=[0, 3, 1, 2]) if name else "" for name in inputs[:2]
        )
        plain = {name: value for name, value in step.attributes.items() if name not in _OWN}
        y = w.stepped(op, [x, *others, inputs[2]], **plain)
        y = w.stepped("Transpose", [y], perm=[0, 2, 3, 1])
        _activated(w, step, _sum(w, y, inputs[3]))

    return write


def _whole_channels_last(op: str) -> Rule:
    """Return the rule of an operator on whole numbers whose maps may have their channels last.

    The kernel's axes are ONNX's in any case.
    """

    def write(w: _Writing, step: Step, inputs: list[str]) -> None:
        plain = {name: value for name, value in step.attributes.items() if name != "channels_last"}
        if not step.get("channels_last", 0):
            w.step(op, inputs, step.outputs[:1], **plain)
            return
        x = w.stepped("Transpose", inputs[:1], perm=[0, 3, 1, 2])
        y = w.stepped(op, [x, *inputs[1:]], **plain)
        w.step("Transpose", [y], step.outputs[:1], perm=[0, 2, 3, 1])

    return write


def _unblocked(steps: Sequence[Step], constants: dict[str, Constant]) -> list[Step]:
    """Return the steps with those on blocks of channels as those on all channels."""
    counts = _channels(steps, constants)
    new = []
    for step in steps:
        op = step.op.removeprefix(BLOCKED)
        if op == step.op:
            new.append(step)
        elif op == "Conv":
            new.append(_unblocked_convolution(step, constants, counts.get(step.outputs[0], 0)))
        elif op.startswith("Reorder"):
            order = [0, 3, 1, 2] if op == "ReorderInput" else [0, 2, 3, 1]
            moves = bool(step.get("channels_last", 0))
            attributes = {"perm": order} if moves else {}
            name = "Transpose" if moves else "Identity"
            new.append(replace(step, op=name, attributes=attributes))
        elif op == "Upsample":
            scales = f"{step.outputs[0]}_archspec_scales"
            numbers = [float(n) for n in step.get("scales", [])]
            constants[scales] = Constant.of((len(numbers),), numbers, "float")
            new.append(replace(step, op="Resize", inputs=(step.inputs[0], "", scales)))
        else:
            new.append(replace(step, op=op))
    return new


def _channels(steps: Sequence[Step], constants: Mapping[str, Constant]) -> dict[str, int]:
    """Return the channels that values have without those that fill up the last block.

    Where all channels are put together again, their number stands there. Pools, sums and depthwise
    convolutions keep it.
    """
    counts: dict[str, int] = {}
    blocked = [step for step in steps if step.op.startswith(BLOCKED)]
    for ordered in (blocked[::-1], blocked, blocked[::-1]):
        for step in ordered:
            op = step.op.removeprefix(BLOCKED)
            alike = {*step.inputs[:1], *step.outputs[:1]}
            if op == "ReorderOutput":
                counts[step.inputs[0]] = step.get("channels", 0)
                continue
            if op == "ReorderInput":
                continue
            if op == "Conv":
                kernel = constants.get(step.inputs[1])
                if kernel is None or kernel.dims[1] != 1 or step.get("group", 1) == 1:
                    alike.discard(step.inputs[0])
                alike.update(name for name in step.inputs[3:4] if name)
            count = next((counts[name] for name in alike if counts.get(name)), 0)
            counts.update(dict.fromkeys(alike, count) if count else {})
    return counts


def _unblocked_convolution(step: Step, constants: dict[str, Constant], filters: int) -> Step:
    """Return a convolution without the filters that fill up the last block, if they are known."""
    arrays = [_cut(constants, name, filters) for name in step.inputs[1:3]]
    attributes = {**step.attributes, FILLED: 1}
    kernel = constants.get(arrays[0])
    if kernel is not None and kernel.dims[1] == 1 and step.get("group", 1) > 1:
        attributes["group"] = kernel.dims[0]
    inputs = (step.inputs[0], *arrays, *step.inputs[3:])
    return replace(step, op=f"{MICROSOFT}FusedConv", inputs=inputs, attributes=attributes)


def _cut(constants: dict[str, Constant], name: str, filters: int) -> str:
    """Return the name of a kernel or a bias without the filters that fill up the last block.

    The values of a kernel are in the processor's order.
    """
    constant = constants.get(name)
    if constant is None or not constant.dims:
        return name

    def load() -> Any:
        if len(constant.dims) == 1:
            return constant.load()[: dims[0]]
        raise UsageError(
            f"the values of {constant.name or 'a kernel'} cannot be read: onnxruntime put them in "
            "the order of one kind of processor; export the network without its optimizations"
        )

    dims = (min(filters, constant.dims[0]) if filters else constant.dims[0], *constant.dims[1:])
    new = f"{name}_archspec_{dims[0]}"
    values = None if constant.values is None else constant.values[: dims[0]]
    constants[new] = replace(
        constant, dims=dims, values=values if len(dims) == 1 else None, load=load
    )
    return new


RULES: Final[Mapping[str, Rule]] = {
    "Attention": _attention,
    "ImageScaler": _image,
    "SimplifiedLayerNormalization": _same("RMSNormalization"),
    **{
        f"{MICROSOFT}{op}": rule
        for op, rule in {
            "Attention": _self_attention,
            "DequantizeLinear": _same("DequantizeLinear"),
            "BiasAdd": _added,
            "BiasGelu": _biased("Gelu"),
            "BiasSoftmax": _softmax,
            "EmbedLayerNormalization": _vectors,
            "FastGelu": _biased("Gelu", approximate="tanh"),
            "FusedConv": _with_activation("Conv", 3),
            "FusedGemm": _with_activation("Gemm"),
            "FusedMatMul": _product,
            "Gelu": _biased("Gelu"),
            "GroupNorm": _group_norm,
            "MultiHeadAttention": _cross_attention,
            "NhwcConv": _channels_last("Conv"),
            "NhwcFusedConv": _channels_last("Conv"),
            "QLinearAveragePool": _whole_channels_last(f"{MICROSOFT}QLinearAveragePool"),
            "QLinearConv": _whole_channels_last("QLinearConv"),
            "QLinearGlobalAveragePool": _whole_channels_last(
                f"{MICROSOFT}QLinearGlobalAveragePool"
            ),
            "QuantizeLinear": _same("QuantizeLinear"),
            "NhwcMaxPool": _channels_last("MaxPool"),
            "QuickGelu": _quick_gelu,
            "SkipGroupNorm": _group_norm,
            "SkipLayerNormalization": _skip_norm("LayerNormalization", 4, 2),
            "SkipSimplifiedLayerNormalization": _skip_norm("RMSNormalization", 3, 1),
            "TransposeMatMul": _product,
        }.items()
    },
}
"""The rule of each operator that is several."""
