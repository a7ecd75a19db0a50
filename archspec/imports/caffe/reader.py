"""The reader of Caffe's `.prototxt` files: their layers one after the other."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from archspec.errors import UsageError
from archspec.graph.graph import Node
from archspec.imports.building import ModelBuilder
from archspec.imports.caffe import (
    activation,
    arrangement,
    convolution,
    merging,
    normalization,
    pooling,
    recurrent,
)
from archspec.imports.caffe.inputs import inputs_of
from archspec.imports.caffe.layer import (
    ENDS,
    LOSSES,
    Layer,
    is_phased,
    layers_of,
    scales_after_norms,
)
from archspec.imports.caffe.net import Laid, Made, Net, Rule, laid
from archspec.imports.caffe.weights import read_weights
from archspec.imports.inputs import NOTHING_GIVEN, Given
from archspec.imports.model import ImportedModel
from archspec.imports.modeltext import ModelText, TextProblem, read_text
from archspec.imports.prototext import parse

_BOXES: Final = {"DetectionOutput": 2, "MultiBoxLoss": 2}
"""Number of a layer's inputs that are the network's outputs: places and classes of boxes."""

_WITHOUT_WEIGHTS: Final = {
    "ArgMax", "BatchReindex", "Filter", "Im2col", "ImResize", "Log", "Nms", "Reduction",
    "Threshold", "Tile",
}  # fmt: skip
"""Types that archspec has no op for, and that learn nothing."""

_PRIORS: Final = "PriorBox"
"""Type of a layer that makes boxes from extents alone: they are not part of the network."""


def read(
    path: str | os.PathLike[str],
    *,
    given: Given = NOTHING_GIVEN,
    weights: str | os.PathLike[str] | None = None,
) -> ImportedModel:
    """Return the network of a Caffe `.prototxt` file.

    Args:
        path: The file.
        given: The shape of its first input, which a file for training may lack, before its own.
        weights: The `.caffemodel` file of its weights, which is read when they are asked for.

    Raises:
        UsageError: It cannot be read, or has no input or no output.
        SpecError: It is not protobuf's text format, or its layers do not join.
    """
    if not isinstance(weights, str | os.PathLike | None):
        raise UsageError(f"`weights` must be the path of a .caffemodel file, not {weights!r:.80}")
    text = read_text(path, "a Caffe network")
    try:
        return _network(text, given, weights)
    except TextProblem as problem:
        raise text.error(problem) from None


def _network(
    text: ModelText, given: Given, weights: str | os.PathLike[str] | None
) -> ImportedModel:
    message = parse(text.text)
    phase, layers = layers_of(message)
    if not layers:
        raise TextProblem(
            1, "this file holds no layers", help="a network is a list of `layer { ... }`"
        )
    assumed: list[str] = []
    inputs = dict(inputs_of(message, layers, assumed))
    if given.shape is not None:
        inputs = {next(iter(inputs), "data"): given.shape} | dict([*inputs.items()][1:])
        assumed.clear()
    kind = "train_val, phase " + phase if is_phased(message) else "deploy"
    builder = ModelBuilder(
        text.path,
        inputs or {"data": ()},
        name=message.word("name") or text.stem,
        format_name=f"Caffe .prototxt ({kind})",
        given=given,
    )
    for sentence in assumed:
        builder.note(sentence)
    net = Net(builder, scales_after_norms(layers))
    outputs = _follow(net, layers)
    if net.averages:
        builder.note(
            "Caffe keeps one number more in each BatchNorm layer, the factor of its moving "
            "averages; the table leaves it out."
        )
    reader = None if weights is None else partial(read_weights, weights, net.weighted, net.unfit)
    return builder.finish(outputs, params=net.params, weights=reader)


def _follow(net: Net, layers: Sequence[Layer]) -> dict[str, Node]:
    """Add all layers, and return the outputs by their blobs: what none reads, the last first."""
    scales = {layer.line for layer in net.folded.values()}
    read: set[str] = set()
    outputs: dict[str, Node] = {}
    ends: dict[str, Node] = {}
    for layer in layers:
        if layer.is_data:
            continue
        sources = _sources(net, layer)
        read.update(layer.bottoms)
        if layer.type == _PRIORS or (layer.bottoms and not sources and layer.type not in ENDS):
            net.priors.update(layer.tops)
            continue
        if layer.line in scales and len(sources) == 1:
            made: Made = sources[0]
        elif layer.type in ENDS:
            ends.update((blob, net.blobs[blob].node) for blob in _read_by_end(net, layer))
            continue
        else:
            made = _made(net, layer, sources)
        nodes = [made] * len(layer.tops) if isinstance(made, Node | Laid) else made
        for top, each in zip(layer.tops, nodes, strict=False):
            if top in net.pooled and top in layer.tops[1:]:
                continue
            net.blobs[top] = each if isinstance(each, Laid) else laid(each)
            outputs.pop(top, None)
            outputs[top] = net.blobs[top].node
            if top not in layer.bottoms:
                read.discard(top)
    found = {top: node for top, node in outputs.items() if top not in read}
    found.update({top: node for top, node in ends.items() if top not in found})
    return dict(reversed(found.items()))


def _read_by_end(net: Net, layer: Layer) -> Sequence[str]:
    """Return the blobs that are outputs of the network, of those that a last layer reads."""
    if layer.type == "DetectionOutput":
        net.builder.note(
            "What a DetectionOutput layer reads is an output; that it makes boxes of it costs "
            "nothing here."
        )
    if layer.type in _BOXES or layer.type.endswith("Loss"):
        return layer.bottoms[: _BOXES.get(layer.type, 1)]
    return ()


def _sources(net: Net, layer: Layer) -> list[Laid]:
    """Return a layer's bottoms, but for labels, boxes and places of maxima."""
    sources = []
    for number, bottom in enumerate(layer.bottoms):
        if bottom in net.blobs:
            sources.append(net.blobs[bottom])
        elif bottom in net.priors or bottom in net.pooled:
            continue
        elif number == 0 or layer.type not in ENDS | LOSSES.keys():
            raise TextProblem(
                layer.line,
                f"layer `{layer.name}` reads `{bottom}`, which no layer before it makes",
            )
    return sources


def _made(net: Net, layer: Layer, sources: list[Laid]) -> Made:
    """Return the nodes of a layer's tops."""
    rule = RULES.get(layer.type)
    if rule is None:
        return _without_op(net, layer, sources)
    _check_count(layer, sources, rule.counts)
    return rule.add(net, layer, sources)


def _without_op(net: Net, layer: Layer, sources: Sequence[Laid]) -> Node:
    """Add a layer of a type that archspec lacks, some of which learn nothing."""
    nodes = [each.node for each in sources]
    if layer.type not in _WITHOUT_WEIGHTS or not nodes:
        return net.unknown(layer, *nodes)
    shape: tuple[int, ...] | None = None
    if layer.type in ("Log", "Threshold"):
        shape = tuple(nodes[0].shape)
    elif layer.type == "ArgMax" and layer.param("argmax").integer("axis") == 1:
        shape = (*nodes[0].shape[:-1], layer.param("argmax").integer("top_k", 1))
    return net.unknown(layer, *nodes, shape=shape or None, arrays=())


def _check_count(layer: Layer, sources: Sequence[Laid], counts: range) -> None:
    if len(sources) not in counts:
        found = f"{len(sources)} {'bottom' if len(sources) == 1 else 'bottoms'}"
        message = f"layer `{layer.name}` ({layer.type}) cannot have {found}"
        raise TextProblem(layer.line, message)


RULES: Final[Mapping[str, Rule]] = {
    **activation.RULES,
    **arrangement.RULES,
    **convolution.RULES,
    **merging.RULES,
    **normalization.RULES,
    **pooling.RULES,
    **recurrent.RULES,
}
"""The rules of the layers that archspec knows, by their types."""
