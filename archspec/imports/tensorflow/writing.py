"""Writes operators of TensorFlow as the steps of ONNX that do the same.

SavedModels and TFLite files have the same operators under other names; `archspec.imports.onnx`
then follows one vocabulary. TensorFlow has the channels last and ONNX second, so operators that
know their channels stand between two Transposes, which only relabel axes there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from archspec.imports.onnx.extents import CannotFold
from archspec.imports.onnx.folding import folded
from archspec.imports.onnx.source import FULL_NAME, MALFORMED, REASON, SCOPE, Dims
from archspec.imports.onnx.writing import Unwritten
from archspec.imports.onnx.writing import Writer as OnnxWriter

OPSET: Final = 20
"""Version of ONNX's operators in which TensorFlow's are written."""

END: Final = 2**31 - 1
"""The place after the last along an axis of any extent."""
MOST_SHORT: Final = 64
"""Largest number of values of a constant that are made as short as they were written."""


@dataclass(frozen=True)
class Spread:
    """A map whose places stand in the batch: half of a dilated convolution."""

    x: str
    block: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    axis: int = 0
    """The spatial axis that a sequence has more, for a convolution of maps; 0 for none."""
    convolution: dict[str, Any] | None = None
    """The arguments of the convolution of it, if that came already."""


class Writer(OnnxWriter):
    """Writes steps. Values go by names; a constant has a name among them."""

    def __init__(self, path: Path) -> None:
        super().__init__({})
        self.path = path
        self.dims: dict[str, Dims] = {}
        """The declared shape of values, the batch among them."""
        self.scope = ""
        """Name of the layer at hand."""
        self.full_name = ""
        """Its name if another layer has that."""
        self.told: dict[str, None] = {}
        """Sentences about what archspec has otherwise than the file, in their order."""
        self.spreads: dict[str, Spread] = {}
        self._made = 0

    def step(
        self, op: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any
    ) -> None:
        """Add a step; compute one that reads constants alone.

        Args:
            op: ONNX's operator.
            inputs: What it reads; "" for an optional input that is left out.
            outputs: Names of its outputs.
            attributes: The operator's attributes.
        """
        attributes |= {SCOPE: self.scope, FULL_NAME: self.full_name}
        super().step(op, inputs, outputs, **attributes)
        step = self.steps[-1]
        if step.inputs and all(each in self.constants for each in step.inputs):
            with suppress(CannotFold):
                made = folded(step, [self.constants[each] for each in step.inputs])
                self.constants.update(zip(outputs, made, strict=False))
                self.steps.pop()

    def made(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a step and return the name of its output."""
        self._made += 1
        output = f"archspec {self._made}"
        self.step(op, inputs, [output], **attributes)
        return output

    def attempt(
        self,
        kind: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        rule: Callable[[], None] | None,
        *,
        on_spread: bool,
        reasons: Mapping[str, str],
    ) -> None:
        """Write an operator; one that has no counterpart becomes an unknown layer.

        Args:
            kind: Its name in the file.
            inputs: What it reads.
            outputs: Names of its outputs.
            rule: Writes its steps; None where it has no counterpart.
            on_spread: Whether it may read a map whose places stand in the batch.
            reasons: Why it has no counterpart, for those of which more can be said.
        """
        before = len(self.steps)
        reason = reasons.get(kind, "archspec does not know this operator")
        if not on_spread and any(each in self.spreads for each in inputs):
            rule, reason = None, "places stand in the batch of its input"
        if rule is not None:
            try:
                rule()
            except Unwritten as why:
                reason = str(why)
            except MALFORMED:
                reason = "its inputs and arguments are not those of this operator"
            else:
                return
        del self.steps[before:]
        # No rule reads a step of this name: it becomes an unknown layer.
        given = list(map(self.map_of, inputs))
        self.step(f"archspec.{kind}", given, outputs, **{REASON: reason})

    def integers(self, name: str) -> list[int] | None:
        """Return the values of a small constant as whole numbers; None for another value."""
        constant = self.constants.get(name)
        if constant is None or constant.values is None:
            return None
        return [int(number) for number in constant.values]

    def wanted(self, name: str, what: str) -> list[int]:
        """Return the values of an input that must be a small constant."""
        values = self.integers(name)
        if values is None:
            raise Unwritten(f"its {what} is computed as the network runs")
        return values

    def kernel(self, name: str, rank: int) -> tuple[int, ...]:
        """Return the extents of a kernel of so many axes."""
        constant = self.constants.get(name)
        if constant is None or len(constant.dims) != rank or min(constant.dims) < 1:
            raise Unwritten("its kernel is not known")
        return constant.dims

    def map_of(self, x: str) -> str:
        """Return the map whose places went into the batch; another value as it is."""
        return self.spreads[x].x if x in self.spreads else x

    def groups(self, x: str, depth: int, filters: int) -> int:
        """Return a convolution's number of groups, which only the depth of its filters tells."""
        channels = (self.dims.get(x) or self.dims.get(self.map_of(x)) or (None,))[-1]
        groups = channels // depth if isinstance(channels, int) and channels % depth == 0 else 1
        return groups if groups and filters % groups == 0 else 1

    def rank(self, name: str) -> int:
        """Return the number of axes of a value, the batch among them."""
        constant, dims = self.constants.get(name), self.dims.get(name)
        if constant is None and dims is None:
            raise Unwritten("the shape of its input is not known")
        return len(constant.dims if constant else dims or ())

    # Layouts.

    def with_channels(
        self, op: str, inputs: Sequence[str], output: str, rank: int, **attributes: Any
    ) -> None:
        """Add a step whose first input and output have the channels as the second axis.

        Args:
            op: ONNX's operator.
            inputs: What it reads; the first has the channels last.
            output: Name of the output, with the channels last.
            rank: Number of axes, the batch among them.
            attributes: The operator's attributes.
        """
        x = self.made("Transpose", inputs[0], perm=[0, rank - 1, *range(1, rank - 1)])
        y = self.made(op, x, *inputs[1:], **attributes)
        declared = self.dims.get(output)
        if declared is not None and len(declared) == rank:
            self.dims[y] = (declared[0], declared[-1], *declared[1:-1])
        self.step("Transpose", [y], [output], perm=[0, *range(2, rank), 1])

    # Operators.

    def convolution(
        self,
        x: str,
        output: str,
        *,
        kernel: str,
        places: Sequence[int],
        strides: Sequence[int],
        dilations: Sequence[int],
        padding: str | Sequence[tuple[int, int]],
        bias: str = "",
        groups: int = 1,
    ) -> None:
        """Add a convolution.

        Args:
            x: What it reads.
            output: Name of its output.
            kernel: The kernel, with its axes as ONNX has them.
            places: The kernel's spatial extents.
            strides: The stride along each spatial axis.
            dilations: The dilation likewise.
            padding: `same`, `valid`, or amounts before and after each spatial axis.
            bias: The bias; none if it is empty.
            groups: Number of groups.
        """
        arguments: dict[str, Any] = {
            "kernel": kernel, "places": places, "strides": strides, "dilations": dilations,
            "padding": padding, "bias": bias, "groups": groups,
        }  # fmt: skip
        if x in self.spreads:
            arguments |= {"scope": self.scope, "full_name": self.full_name}
            self.spreads[output] = replace(self.spreads[x], convolution=arguments)
            return
        self.with_channels(
            "Conv",
            [x, kernel, bias],
            output,
            len(places) + 2,
            strides=list(strides),
            dilations=list(dilations),
            group=groups,
            **_padding(padding),
        )

    def transposed(
        self,
        x: str,
        output: str,
        *,
        kernel: str,
        places: Sequence[int],
        strides: Sequence[int],
        dilations: Sequence[int] = (),
        padding: str,
        bias: str = "",
    ) -> None:
        """Add a transposed convolution, as `convolution` adds a plain one."""
        dilations = list(dilations) or [1] * len(places)
        attributes = _padding(padding)
        before, after = self.dims.get(x, ()), self.dims.get(output, ())
        extents = list(zip(before[1:-1], after[1:-1], strict=False))
        if extents and all(isinstance(n, int) for pair in extents for n in pair):
            reach = [(k - 1) * d + 1 for k, d in zip(places, dilations, strict=True)]
            usual = [
                n * s if padding == "same" else n * s + max(k - s, 0)
                for (n, _), s, k in zip(extents, strides, reach, strict=True)
            ]
            wanted = [n for _, n in extents]
            if usual != wanted and padding == "same":
                attributes["output_shape"] = wanted
            elif usual != wanted:
                more = [
                    m - (n - 1) * s - k
                    for (n, m), s, k in zip(extents, strides, reach, strict=True)
                ]
                attributes = {"pads": [0] * 2 * len(places), "output_padding": more}
        self.with_channels(
            "ConvTranspose",
            [x, kernel, bias],
            output,
            len(places) + 2,
            strides=list(strides),
            dilations=dilations,
            **attributes,
        )

    def pool(
        self,
        op: str,
        x: str,
        output: str,
        size: Sequence[int],
        strides: Sequence[int],
        padding: Any,
    ) -> None:
        """Add a pool over windows."""
        attributes = {"kernel_shape": list(size), "strides": list(strides), **_padding(padding)}
        self.with_channels(op, [x], output, len(size) + 2, **attributes)

    def response_norm(
        self, x: str, output: str, radius: int, *, alpha: float, beta: float, bias: float
    ) -> None:
        """Add a local response norm."""
        size = 2 * radius + 1
        alpha *= size  # ONNX divides it by the size
        self.with_channels("LRN", [x], output, 4, size=size, alpha=alpha, beta=beta, bias=bias)

    def space_to_batch(self, x: str, output: str, block: str, pads: str) -> None:
        """Keep a map whose places go into the batch, for the convolution that follows."""
        amounts = self.wanted(pads, "padding")
        pairs = tuple(zip(amounts[::2], amounts[1::2], strict=True))
        self.spreads[output] = Spread(x, tuple(self.wanted(block, "block")), pairs)

    def batch_to_space(self, x: str, output: str, crops: str) -> None:
        """Add the dilated convolution of a map whose places stand in the batch."""
        spread, cut = self.spreads.get(x), self.wanted(crops, "crop")
        if spread is None or spread.convolution is None:
            raise Unwritten("no convolution stands before it")
        arguments = dict(spread.convolution)
        if spread.axis:
            cut[2 * spread.axis - 2 : 2 * spread.axis - 2] = [0, 0]
        padding = undilated(spread.pads, cut, arguments["places"], spread.block)
        if padding is None or arguments["padding"] != "valid":
            raise Unwritten("its padding is of no known kind")
        arguments |= {"padding": padding, "dilations": spread.block}
        self.scope, self.full_name = arguments.pop("scope"), arguments.pop("full_name")
        thin = f"{output} thin" if spread.axis else output
        self.convolution(spread.x, thin, **arguments)
        if spread.axis:
            self.step("Squeeze", [thin, self.ints([spread.axis])], [output])

    def unsqueeze(self, x: str, output: str, axis: int) -> None:
        """Add an axis of extent 1."""
        spread = self.spreads.get(x)
        if spread is None:
            self.step("Unsqueeze", [x, self.ints([axis])], [output])
            return
        axis += len(spread.block) + 3 if axis < 0 else 0
        if spread.axis or not 1 <= axis <= len(spread.block) + 1:
            raise Unwritten("places stand in the batch of its input")
        wide = self.made("Unsqueeze", spread.x, self.ints([axis]))
        if spread.x in self.dims:
            dims = self.dims[spread.x]
            self.dims[wide] = (*dims[:axis], 1, *dims[axis:])
        at = axis - 1
        block = (*spread.block[:at], 1, *spread.block[at:])
        pads = (*spread.pads[:at], (0, 0), *spread.pads[at:])
        self.spreads[output] = Spread(wide, block, pads, axis)

    def squeeze(self, x: str, output: str, axes: Sequence[int]) -> None:
        """Drop axes of extent 1; all of them if none is named."""
        spread = self.spreads.get(x)
        if spread is None:
            self.step("Squeeze", [x, self.ints(axes) if axes else ""], [output])
        elif spread.axis and [axis % (len(spread.block) + 2) for axis in axes] == [spread.axis]:
            self.spreads[output] = spread
        else:
            raise Unwritten("places stand in the batch of its input")

    def strided_slice(self, inputs: Sequence[str], output: str, masks: dict[str, int]) -> None:
        """Add a slice as Python's `x[1:, ..., None, 0]`.

        Args:
            inputs: What it reads: a value, then of each entry the first place, the place after the
                last, and the distance between places.
            output: Name of its output.
            masks: Bits by entry: `begin`, `end`, `ellipsis`, `new_axis` and `shrink_axis`.
        """

        def has(mask: str, entry: int) -> bool:
            return bool(masks.get(mask, 0) >> entry & 1)

        x = inputs[0]
        begin, end, strides = (self.wanted(each, "places") for each in inputs[1:4])
        count = len(begin)
        cuts, dropped, added = [], [], []
        axis = place = 0
        """The axis of the input, and that of the result before any is dropped."""
        for entry in range(count):
            if has("ellipsis", entry):
                rest = sum(not has("new_axis", later) for later in range(entry + 1, count))
                skipped = self.rank(x) - axis - rest if entry + 1 < count else 0
                axis, place = axis + skipped, place + skipped
                continue
            if has("new_axis", entry):
                added.append(place)
                place += 1
                continue
            first, last, by = begin[entry], end[entry], strides[entry]
            if has("shrink_axis", entry):
                last, by = (first + 1 or END), 1
                dropped.append(axis)
            else:
                first = 0 if has("begin", entry) and by > 0 else first
                last = END if has("end", entry) and by > 0 else last
                place += 1
            if (first, last, by) != (0, END, 1):
                cuts.append((first, last, axis, by))
            axis += 1
        if cuts:
            x = self.made("Slice", x, *map(self.ints, zip(*cuts, strict=True)))
        if dropped:
            x = self.made("Squeeze", x, self.ints(dropped))
        if added:
            x = self.made("Unsqueeze", x, self.ints(added))
        self.step("Identity", [x], [output])

    def pack(self, parts: Sequence[str], output: str, axis: int) -> None:
        """Join values along a new axis."""
        wider = [self.made("Unsqueeze", each, self.ints([axis])) for each in parts]
        self.step("Concat", wider, [output], axis=axis)

    def unpack(self, x: str, outputs: Sequence[str], axis: int) -> None:
        """Take a value apart along an axis, which goes."""
        for at, output in enumerate(outputs):
            self.step("Gather", [x, self.number(at)], [output], axis=axis)

    def split(self, x: str, outputs: Sequence[str], axis: int, sizes: Sequence[int] = ()) -> None:
        """Take a value apart along an axis, in equal parts if no sizes are given."""
        given = [x, self.ints(sizes)] if sizes else [x]
        more = {} if sizes else {"num_outputs": len(outputs)}
        self.step("Split", given, outputs, axis=axis, **more)

    def pad(
        self, x: str, output: str, amounts: str, mode: str = "constant", value: str = ""
    ) -> None:
        """Pad the ends of each axis."""
        numbers = self.wanted(amounts, "padding")
        pads = self.ints([*numbers[::2], *numbers[1::2]])
        self.step("Pad", [x, pads, value], [output], mode=mode)

    def resize(self, x: str, output: str, size: str, mode: str, *, centred: bool) -> None:
        """Change the extents of a map's places.

        Args:
            x: What it reads.
            output: Name of its output.
            size: The extents.
            mode: `nearest`, `linear` or `cubic`.
            centred: Whether the centres of pixels are at halves, not at whole numbers or so that
                the corners agree.
        """
        before, declared = self.dims.get(x, ())[1:-1], self.dims.get(output, ())[1:-1]
        to = self.integers(size) or [n for n in declared if isinstance(n, int)]
        if len(to) != 2:
            raise Unwritten("its size is computed as the network runs")
        repeats = [isinstance(n, int) and m % n == 0 for n, m in zip(before, to, strict=False)]
        if not centred and not (mode == "nearest" and all(repeats)):
            self.told.setdefault(
                "A resize of the file places its pixels otherwise (align_corners, or pixels from "
                "0 on); archspec's has their centres at halves."
            )
        sizes = self.ints(to)
        self.with_channels("Resize", [x, "", "", sizes], output, 4, axes=[2, 3], mode=mode)

    def product(self, a: str, b: str, output: str, *, turn_a: bool, turn_b: bool) -> None:
        """Multiply matrices, the last two axes of values."""

        def turned(x: str) -> str:
            rank = self.rank(x)
            return self.made("Transpose", x, perm=[*range(rank - 2), rank - 1, rank - 2])

        self.step("MatMul", [turned(a) if turn_a else a, turned(b) if turn_b else b], [output])


def _padding(padding: str | Sequence[tuple[int, int]]) -> dict[str, Any]:
    """Return a padding as ONNX's attributes."""
    if padding == "same":
        return {"auto_pad": "SAME_UPPER"}
    if isinstance(padding, str):
        return {"auto_pad": "VALID"}
    before, after = zip(*padding, strict=True)
    return {"pads": [*before, *after]}


def undilated(
    pads: Sequence[tuple[int, int]],
    crops: Sequence[int],
    kernel: Sequence[int],
    block: Sequence[int],
) -> Any:
    """Return the padding of a dilated convolution whose places stood in the batch.

    Args:
        pads: The amounts that are added along each axis before places go into the batch.
        crops: The amounts that are cut off, before and after along each axis, as they come back.
        kernel: The kernel's spatial extents.
        block: The dilation.

    Returns:
        The padding; None where more is cut off than was added, or the axes are not those.
    """
    if not len(pads) == len(kernel) == len(block) or len(crops) != 2 * len(pads):
        return None
    ends = zip(pads, crops[::2], crops[1::2], strict=True)
    sides = tuple((before - cut, after - end) for (before, after), cut, end in ends)
    if min(map(min, sides)) < 0:
        return None
    total = [(k - 1) * d for k, d in zip(kernel, block, strict=True)]
    if sides == tuple((each // 2, each - each // 2) for each in total):
        return "same"
    return sides if any(map(any, sides)) else "valid"
