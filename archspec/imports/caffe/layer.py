"""Layers of a Caffe file in the words of the newest syntax, and the phase that is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from archspec.imports.modeltext import TextProblem
from archspec.imports.prototext import Message

TRAIN: Final = "TRAIN"

TEST: Final = "TEST"

_V1_TYPES = """
    AbsVal Accuracy ArgMax BNLL Concat ContrastiveLoss Convolution Data Deconvolution Dropout
    DummyData Eltwise EuclideanLoss Exp Flatten HDF5Data HDF5Output HingeLoss Im2col ImageData
    InfogainLoss InnerProduct LRN MemoryData MultinomialLogisticLoss MVN Pooling Power ReLU Sigmoid
    SigmoidCrossEntropyLoss Silence Slice Softmax SoftmaxLoss Split TanH Threshold WindowData
"""
_NEWER_TYPES: Final = {name.upper(): name for name in _V1_TYPES.split()}
"""The type of a layer since 2014, by its word before without `_`."""

_OLDER_NAMES: Final = {"SoftmaxLoss": "SoftmaxWithLoss"}

_DATA: Final = {
    "Data", "ImageData", "HDF5Data", "MemoryData", "WindowData", "DummyData", "Input",
    "AnnotatedData", "VideoData", "DenseImageData",
}  # fmt: skip
"""Types of layers that make data."""

LOSSES: Final = {"SoftmaxWithLoss": "softmax", "SigmoidCrossEntropyLoss": "sigmoid"}
"""Types of losses that hold the network's last function, which is read."""

ENDS: Final = {
    "Accuracy", "Silence", "HDF5Output", "ContrastiveLoss", "EuclideanLoss", "HingeLoss",
    "InfogainLoss", "MultinomialLogisticLoss", "SmoothL1Loss", "MultiBoxLoss", "DetectionEvaluate",
    "DetectionOutput",
}  # fmt: skip
"""Types of layers after the network: losses that only compare, scores, and what makes boxes."""


class Layer(NamedTuple):
    """A layer of the file, in the words of the newest syntax."""

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    message: Message

    @property
    def line(self) -> int:
        return self.message.line

    def param(self, name: str) -> Message:
        """Return the arguments in `NAME_param`."""
        return self.message.message(f"{name}_param")

    @property
    def rates(self) -> list[float]:
        """The factors of the learning rate for its weights, as far as they are given."""
        v2 = [param.real("lr_mult", 1.0) for param in self._params]
        return v2 or self.message.reals("blobs_lr")

    @property
    def is_data(self) -> bool:
        """Whether the layer gives the images: a type of data, or Python code that reads nothing."""
        return self.type in _DATA or (self.type == "Python" and not self.bottoms)

    @property
    def shared_names(self) -> tuple[str, ...]:
        """The names of its weights, which layers of one name share."""
        if self._params:
            return tuple(param.word("name") for param in self._params)
        return tuple(self.message.words("param"))

    @property
    def _params(self) -> list[Message]:
        """The messages `param { ... }`; the syntax before has names alone, as `param: "w"`."""
        values = [value for name, value in self.message.fields if name == "param"]
        return [value for value in values if isinstance(value, Message)]


def layers_of(message: Message) -> tuple[str, list[Layer]]:
    """Return the phase that is read, and its layers: the one of training, if there are two."""
    layers = list(_layers(message))
    phases = {rule.word("phase") for layer in layers for rule in _rules(layer)}
    phase = TRAIN if {TRAIN, "0"} & phases or {TEST, "1"} & phases else TEST
    return phase, [layer for layer in layers if _is_in(layer, phase)]


def _rules(layer: Layer) -> list[Message]:
    return [*layer.message.messages("include"), *layer.message.messages("exclude")]


def is_phased(message: Message) -> bool:
    return any(_rules(layer) for layer in _layers(message))


def _is_in(layer: Layer, phase: str) -> bool:
    """Whether a layer belongs to a phase, by its `include` or `exclude` rules."""
    include, exclude = layer.message.messages("include"), layer.message.messages("exclude")
    if include:
        return any(_meets(rule, phase) for rule in include)
    return not any(_meets(rule, phase) for rule in exclude)


def _meets(rule: Message, phase: str) -> bool:
    """Whether the state of training or of testing, without stages and at level 0, meets a rule."""
    named = {"0": TRAIN, "1": TEST}.get(rule.word("phase"), rule.word("phase", phase))
    levels = rule.integer("min_level") <= 0 <= rule.integer("max_level")
    return named == phase and levels and not rule.words("stage")


def _layers(message: Message) -> Iterator[Layer]:
    """Yield the layers of a network, in either syntax."""
    for name, value in message.fields:
        if name not in {"layer", "layers"} or not isinstance(value, Message):
            continue
        if "layer" in value:
            raise TextProblem(
                value.line,
                "this is Caffe's first syntax, with `layer` inside `layers`",
                help="Caffe's `upgrade_net_proto_text` rewrites it in the newest",
            )
        word = value.word("type")
        type_name = _NEWER_TYPES.get(word.replace("_", ""), word) if name == "layers" else word
        type_name = _OLDER_NAMES.get(type_name, type_name)
        bottoms, tops = tuple(value.words("bottom")), tuple(value.words("top"))
        yield Layer(value.word("name") or type_name, type_name, bottoms, tops, value)


def scales_after_norms(layers: Sequence[Layer]) -> dict[int, Layer]:
    """Return the Scale layer after each BatchNorm layer that nothing else reads, by its line."""
    made: dict[str, Layer] = {}
    readers: dict[int, list[Layer]] = {}
    for layer in layers:
        for bottom in layer.bottoms:
            if bottom in made:
                readers.setdefault(made[bottom].line, []).append(layer)
        made.update(dict.fromkeys(layer.tops, layer))
    found = {}
    for layer in layers:
        after = readers.get(layer.line, [])
        if layer.type == "BatchNorm" and len(after) == 1 and _is_plain_scale(after[0]):
            found[layer.line] = after[0]
    return found


def _is_plain_scale(layer: Layer) -> bool:
    """Whether a layer is a learned factor for each channel."""
    param = layer.param("scale")
    axes = param.integer("axis", 1), param.integer("num_axes", 1)
    return layer.type == "Scale" and len(layer.bottoms) == 1 and axes == (1, 1)
