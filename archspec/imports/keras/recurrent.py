"""Keras's recurrent layers and wrappers as ops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from math import prod
from typing import Any, Final

from archspec.graph.graph import Node
from archspec.imports.keras import (
    activation,
    arrangement,
    convolution,
    merging,
    normalization,
    pooling,
)
from archspec.imports.keras.activation import function
from archspec.imports.keras.calls import ShapedArray
from archspec.imports.keras.config import Config, class_of
from archspec.imports.keras.layer import Function, KerasLayer, UnlikeError, per_axis
from archspec.imports.keras.variables import snake, variable_names
from archspec.ops.arrangement import Reshape, Slice
from archspec.ops.convolution import Convolution
from archspec.ops.merge import Add, Mean, Multiply
from archspec.ops.pooling import AvgPool, MaxPool
from archspec.ops.recurrence import Gru, Lstm, Rnn
from archspec.ops.shape import Shape

_OPS: Final[Mapping[str, Any]] = {"LSTM": Lstm, "GRU": Gru, "SimpleRNN": Rnn}


def recurrent(layer: KerasLayer) -> Node | Mapping[int, Node]:
    """Add LSTM, GRU or SimpleRNN."""
    _declare(layer, layer.config["units"])
    y = layer.add(_OPS[layer.kind](**_arguments(layer, layer.kind, layer.config)))
    if not layer.config.get("return_state"):
        return y
    states = _states(layer, layer.kind, y, "state", 1, at=-1)
    return {0: y, **states}


def cells(layer: KerasLayer) -> Node:
    """Add RNN: a recurrence for each of its cells, one after another."""
    given = layer.config["cell"]
    listed = given["config"].get("cells") if class_of(given) == "StackedRNNCells" else None
    kinds = [(class_of(cell).removesuffix("Cell"), cell["config"]) for cell in listed or [given]]
    if not kinds or any(kind not in _OPS for kind, _ in kinds):
        names = ", ".join(f"{kind}Cell" for kind, _ in kinds)
        raise UnlikeError(f"its cells are {names}")
    _declare(layer, kinds[-1][1]["units"])
    if layer.config.get("return_state"):
        raise UnlikeError("it returns the states of its cells")
    counts = [3 if config.get("use_bias", True) else 2 for _, config in kinds]
    if layer.stored is not None and len(layer.stored) != sum(counts):
        raise UnlikeError(f"it has {len(layer.stored)} arrays")
    arrays = _arrays_of_cells(layer, kinds, counts)
    x = layer.x
    for number, (kind, config) in enumerate(kinds):
        is_last = number == len(kinds) - 1
        sequences = layer.config.get("return_sequences") if is_last else True
        arguments = _arguments(layer, kind, {**config, "return_sequences": sequences})
        part = "" if is_last else f"cell{number}"
        x = layer.add(_OPS[kind](**arguments), x, part=part, stored=arrays[number])
    return x


def _arrays_of_cells(
    layer: KerasLayer, kinds: Sequence[tuple[str, Config]], counts: Sequence[int]
) -> Sequence[Sequence[ShapedArray] | None]:
    """Return the arrays of each cell: `.keras` files have the cells of a class side by side."""
    stored = layer.stored
    if stored is None:
        return [None] * len(kinds)
    in_order = range(len(kinds))
    arrays: dict[int, Sequence[ShapedArray]] = {}
    for order in (in_order, sorted(in_order, key=lambda number: snake(kinds[number][0]))):
        ends = [*accumulate((counts[number] for number in order), initial=0)]
        arrays = {
            number: stored[start:end]
            for number, (start, end) in zip(order, pairwise(ends), strict=True)
        }
        if all(arrays[number][1][0][:1] == (kinds[number][1]["units"],) for number in in_order):
            break
    return [arrays[number] for number in in_order]


def convolutional(layer: KerasLayer) -> Node:
    """Say the shape of ConvLSTM1D, 2D or 3D, of which archspec has no op."""
    config, x = layer.config, layer.shape
    if layer.declared is None and not layer.channels_first:
        images = Shape(x[1:])
        op = Convolution(
            filters=config["filters"],
            kernel=per_axis(config["kernel_size"], images.rank),
            stride=per_axis(config.get("strides", 1), images.rank),
            dilation=per_axis(config.get("dilation_rate", 1), images.rank),
            padding=config.get("padding", "valid"),
        )
        known = op.output_shape(images).known
        length = x[0] if isinstance(x[0], int) else None
        if known is not None:
            layer.declared = (length, *known) if config.get("return_sequences") else known
    raise UnlikeError("archspec has no recurrence of convolutions")


def _declare(layer: KerasLayer, units: int) -> None:
    """Take the shape that a recurrence gives for that of the output, where the file has none.

    Raises:
        UnlikeError: It reads its sequence backwards.
    """
    if layer.declared is None and layer.shape.rank == 1:
        length = layer.shape[0] if isinstance(layer.shape[0], int) else None
        sequences = layer.config.get("return_sequences")
        layer.declared = (length, units) if sequences else (units,)
    if layer.config.get("go_backwards"):
        raise UnlikeError("it reads its sequence backwards alone")


def _states(
    layer: KerasLayer, kind: str, y: Node, part: str, output: int, *, at: int
) -> dict[int, Node]:
    """Add the states in which a layer ends, those that are used, by the numbers of the outputs.

    Args:
        layer: The layer.
        kind: Its class, or that of the layer inside.
        y: Its output in one direction.
        part: Name of the nodes.
        output: Number of the first state.
        at: The position that it reads last: -1, or 0 for the other direction.
    """
    states: dict[int, Node] = {}
    if output in layer.used:
        states[output] = y
        if y.shape.rank and y.shape.is_open:
            reason = "it returns the state at the end of an open length"
            states[output] = layer.unknown(reason, output)
        elif y.shape.rank:
            length = y.shape[0]
            place = length - 1 if at else 0
            end = Slice(start=place, stop=place + 1, axis="length")
            states[output] = layer.add(
                Reshape(to=(y.shape.channels,)), layer.add(end, y, part=f"{part}_place"), part=part
            )
    if kind == "LSTM" and output + 1 in layer.used:
        reason = "archspec's layer does not give the state of its cell"
        states[output + 1] = layer.unknown(reason, output + 1)
    return states


_JOINED: Final[Mapping[str, Any]] = {"sum": Add, "ave": Mean, "mul": Multiply}
"""The op of each way to merge both directions, but `concat`."""


def bidirectional(layer: KerasLayer) -> Node | Mapping[int, Node]:
    """Add Bidirectional: a layer that joins both directions, taken apart for other merges."""
    inner = layer.config["layer"]
    kind, config = class_of(inner), inner["config"]
    if kind not in _OPS:
        raise UnlikeError(f"it reads both ways with a {kind}")
    mode = layer.config.get("merge_mode", "concat")
    if mode not in (None, "concat", *_JOINED):
        raise UnlikeError(f"it merges both ways by {mode!r}")
    other = layer.config.get("backward_layer")
    if other and other["config"].get("units") != config["units"]:
        raise UnlikeError("its two layers differ")
    op = _OPS[kind](bidirectional=True, **_arguments(layer, kind, config))
    with_states = bool(config.get("return_state"))
    if mode == "concat":
        y = layer.add(op)
        if not with_states:
            return y
        outputs = {0: y}
    else:
        y = layer.add(op, part="both", stored=layer.stored)
        outputs = {}
    units, count = config["units"], 2 if kind == "LSTM" else 1
    forth, back = (
        layer.add(Slice(start=start, stop=start + units), y, part=name)
        if mode != "concat" or state in layer.used
        else y
        for name, start, state in (("forward", 0, 1), ("backward", units, 1 + count))
    )
    if mode is None:
        outputs = {0: forth, 1: back}
    elif mode != "concat":
        outputs = {0: layer.add(_JOINED[mode](), forth, back, stored=[])}
    if with_states:
        first = len(outputs)
        outputs |= _states(layer, kind, forth, "forward_state", first, at=-1)
        outputs |= _states(layer, kind, back, "backward_state", first + count, at=0)
    return outputs


def _arguments(layer: KerasLayer, kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    if len(layer.inputs) > 1:
        raise UnlikeError("it begins with a state that is given to it")
    functions = {
        name: function(config[name], layer)
        for name in ("activation", "recurrent_activation")
        if name in config and (name == "activation" or kind != "SimpleRNN")
    }
    if kind == "GRU":
        # Before Keras 3 the default differs; a file without the argument has one row of biases.
        functions["reset_after"] = bool(config.get("reset_after", layer.keras > 2))
    if config.get("recurrent_dropout"):
        layer.model.note(
            f"{layer.name} drops {config['recurrent_dropout']:g} of its state in training "
            "(`recurrent_dropout`), which archspec's layer does not."
        )
    dropout = {"dropout": config["dropout"]} if config.get("dropout") else {}
    return {
        "units": config["units"],
        "output": "sequence" if config.get("return_sequences") else "last",
        "bias": config.get("use_bias", True),
        **functions,
        **dropout,
        **layer.trainable,
    }


def spectral_normalization(layer: KerasLayer) -> Node:
    """Add SpectralNormalization: the layer inside, whose kernel it divides in training alone.

    A `.keras` file stores the kernel twice: before the vector, and with the layer inside.
    """
    inner = layer.config["layer"]
    kind, config = class_of(inner), inner["config"]
    count = len(variable_names(kind, config))
    if layer.stored is not None:
        is_twice = len(layer.stored) == count + 2
        own = layer.stored[2:] if is_twice else layer.stored[:-1]
        layer.stored = [*own, layer.stored[1 if is_twice else -1]]
    add = _NORMALIZED.get(kind)
    if add is None:
        raise UnlikeError(f"it normalizes the kernel of a {kind}")
    stored = None if layer.stored is None else layer.stored[:-1]
    within = replace(layer, kind=kind, config=config, stored=stored)
    layer.model.note(
        f"{layer.name} divides its kernel by its largest singular value in training, by a vector "
        "of its own, which Keras counts as a parameter (`SpectralNormalization`); shown is the "
        f"{kind}."
    )
    node = add(within)
    assert isinstance(node, Node)  # noqa: S101  (none of these has several outputs)
    return node


_NORMALIZED: Final[Mapping[str, Function]] = {
    name: function
    for name, function in convolution.LAYERS.items()
    if name == "Dense" or name.startswith("Conv")
}
"""Layers whose kernel SpectralNormalization normalizes."""


def time_distributed(layer: KerasLayer) -> Node:
    """Add TimeDistributed: the layer inside, on an input with one axis more.

    A layer that is applied at each time elsewhere has `once` here, and its input lacks that axis.
    """
    if layer.config.get("once"):
        return _at_one_time(layer)
    return _at_each_time(layer)


def _at_one_time(layer: KerasLayer) -> Node:
    if any(x.shape.is_open for x in layer.inputs):
        raise UnlikeError("it is applied at each time elsewhere, and its input here is open")
    longer = [
        layer.add(Reshape(to=(1, *x.shape)), x, part=f"once{place}")
        for place, x in enumerate(layer.inputs)
    ]
    y = _at_each_time(replace(layer, inputs=longer, declared=None))
    return layer.add(Reshape(to=y.shape[1:]), y, part="output")


def _at_each_time(layer: KerasLayer) -> Node:
    inner = layer.config["layer"]
    kind, config = class_of(inner), inner["config"]
    if config.get("data_format") == "channels_first":
        raise UnlikeError("it has its channels first")
    if len(layer.inputs) > 1 and kind not in merging.LAYERS:
        raise UnlikeError("it has several inputs")
    within = replace(layer, kind=kind, config=_moved(config), times=1)
    _declare_sequences(layer, kind, config)
    if kind not in _AT_EACH_TIME:
        raise UnlikeError(f"it applies a {kind} at each time")
    node = _AT_EACH_TIME[kind](within)
    assert isinstance(node, Node)  # noqa: S101  (none of these has several outputs)
    return node


def _declare_sequences(layer: KerasLayer, kind: str, config: Config) -> None:
    """Take the shape that a recurrence at each time gives, where the file has none."""
    ways = 1
    if kind == "Bidirectional":
        ways = 2 if config.get("merge_mode", "concat") == "concat" else 1
        kind, config = class_of(config["layer"]), config["layer"]["config"]
    if kind in _OPS and layer.declared is None and layer.shape.rank == 2:
        length, positions, _ = (n if isinstance(n, int) else None for n in layer.shape)
        sequence = (positions,) if config.get("return_sequences") else ()
        layer.declared = (length, *sequence, ways * config["units"])


def _moved(config: Config) -> Config:
    """Return a configuration whose axes are counted with one axis more before them."""
    moved = {name: _later(config[name]) for name in ("axis", "shared_axes") if config.get(name)}
    if "shared_axes" in config:  # a slope is that of all times
        moved["shared_axes"] = [1, *moved.get("shared_axes", ())]
    return {**config, **moved}


def _later(axes: Any) -> Any:
    """Return an axis, or each of a list, with one axis more before it."""
    if isinstance(axes, (list, tuple)):
        return [_later(axis) for axis in axes]
    return axes + 1 if axes > 0 else axes


def _flatten(layer: KerasLayer) -> Node:
    length, *rest = layer.shape
    return layer.add(_reshaped(length, prod(rest)))


def _embedding(layer: KerasLayer) -> Node:
    x = layer.shape
    if x.is_open or len(x) != 2:
        raise UnlikeError(f"it looks up vectors at each time of {x}")
    words = layer.add(Reshape(to=(x.size,)), part="words")
    vectors = convolution.embedding(replace(layer, inputs=[words], declared=None))
    return layer.add(Reshape(to=(*x, vectors.shape.channels)), vectors, part="output")


def _reshaped(*extents: Any) -> Reshape:
    """Return a reshape, of which one extent may be open."""
    return Reshape(to=tuple(n if isinstance(n, int) and n > 0 else None for n in extents))


def _global(op: Any) -> Function:
    def pool(layer: KerasLayer) -> Node:
        length, *spatial, channels = layer.shape
        if not spatial or not all(isinstance(n, int) for n in spatial):
            raise UnlikeError("it pools all of an input whose size is not known")
        keep = layer.config.get("keepdims")
        x = layer.add(op(size=(1, *spatial)), part="" if keep else "pool")
        return x if keep else layer.add(_reshaped(length, channels), x)

    return pool


def _reshape(layer: KerasLayer) -> Node:
    return layer.add(_reshaped(layer.shape[0], *layer.config["target_shape"]))


_SAME = """
    Dense Dropout BatchNormalization LayerNormalization Rescaling UnitNormalization
    Add Subtract Multiply Average Maximum Minimum Concatenate
    Activation ReLU LeakyReLU ELU PReLU Softmax
    Conv1D Conv2D DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D
    Conv1DTranspose Conv2DTranspose UpSampling1D UpSampling2D MaxPooling1D MaxPooling2D
    AveragePooling1D AveragePooling2D ZeroPadding1D ZeroPadding2D Cropping1D Cropping2D
"""
"""Layers that compute the same with one axis more, along which their windows are 1."""

PLAIN: Final[Mapping[str, Function]] = {
    **activation.LAYERS,
    **arrangement.LAYERS,
    **convolution.LAYERS,
    **merging.LAYERS,
    **normalization.LAYERS,
    **pooling.LAYERS,
}
"""The function of each layer that knows no time, by its class."""

_AT_EACH_TIME: Final[Mapping[str, Function]] = {
    **{name: PLAIN[name] for name in _SAME.split()},
    "Embedding": _embedding,
    "Flatten": _flatten,
    "Reshape": _reshape,
    **{f"GlobalMaxPooling{rank}D": _global(MaxPool) for rank in (1, 2)},
    **{f"GlobalAveragePooling{rank}D": _global(AvgPool) for rank in (1, 2)},
}
"""The function of each layer that can be applied at each time."""


LAYERS: Final[Mapping[str, Function]] = {
    **dict.fromkeys(_OPS, recurrent),
    "RNN": cells,
    **{f"ConvLSTM{rank}D": convolutional for rank in (1, 2, 3)},
    "Bidirectional": bidirectional,
    "SpectralNormalization": spectral_normalization,
    "TimeDistributed": time_distributed,
}
"""The function of each class."""
