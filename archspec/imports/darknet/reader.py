"""Reads a Darknet configuration: its sections in order, each by a rule."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeAlias

from archspec.errors import UsageError
from archspec.graph.graph import Node
from archspec.imports.building import ModelBuilder
from archspec.imports.darknet.arrangement import crop, reorg, upsample
from archspec.imports.darknet.convolution import connected, convolutional, deconvolutional, local
from archspec.imports.darknet.joining import implicit, product, route, shortcut, with_other
from archspec.imports.darknet.net import EPSILON, Net
from archspec.imports.darknet.pooling import pooled
from archspec.imports.darknet.recurrent import recurrent
from archspec.imports.darknet.sections import Section, sections
from archspec.imports.darknet.weights import arrays_of
from archspec.imports.inputs import NOTHING_GIVEN, Given
from archspec.imports.model import Extents, ImportedModel
from archspec.imports.modeltext import ModelText, TextProblem, read_text
from archspec.ops.elementwise import Activate, Dropout, Softmax
from archspec.ops.merge import Add, Multiply
from archspec.ops.normalization import BatchNorm, LocalResponseNorm, UnitNorm
from archspec.ops.pooling import AvgPool, GlobalAvgPool, MaxPool

Rule: TypeAlias = "Callable[[Net, Section, Node], Node]"


def read(
    path: str | os.PathLike[str],
    *,
    given: Given = NOTHING_GIVEN,
    weights: str | os.PathLike[str] | None = None,
) -> ImportedModel:
    """Return the network of a Darknet `.cfg` file.

    Args:
        path: The file.
        given: The shape of its input, before that in the file, which Darknet's users edit.
        weights: The `.weights` file of its weights, which is read when they are asked for.

    Raises:
        UsageError: It cannot be read.
        SpecError: It is not a configuration, or its sections do not join.
    """
    if not isinstance(weights, str | os.PathLike | None):
        raise UsageError(f"`weights` must be the path of a .weights file, not {weights!r:.80}")
    text = read_text(path, "a Darknet configuration")
    try:
        return _read(text, given, weights)
    except TextProblem as problem:
        raise text.error(problem) from None


def _read(text: ModelText, given: Given, weights: str | os.PathLike[str] | None) -> ImportedModel:
    first, *others = sections(text.text) or [Section("", 1)]
    if first.kind != "net":
        raise TextProblem(first.line, "a Darknet configuration begins with the section [net]")
    extents = [first.integer(name) for name in ("height", "width", "channels")]
    shape: Extents = tuple(extents)
    if not all(extents):
        shape = (first.integer("inputs"),) if "inputs" in first else ()
    builder = ModelBuilder(
        text.path,
        {"input": given.shape or shape},
        name=text.stem,
        format_name="Darknet .cfg",
        given=given,
    )
    net = Net(text, builder)
    x = builder.inputs["input"]
    for section in others:
        rule = SECTIONS.get(section.kind)
        start = len(net.outputs)
        x = net.unknown(section, x) if rule is None else rule(net, section, x)
        net.outputs[start:] = [x]
    # The last output comes first, as archspec's own YOLOv3 has it.
    found = dict(reversed(net.heads.items()))
    if x not in found.values():
        found = {"end": x, **found}
    reader = None if weights is None else partial(arrays_of, weights, net.stored, net.unreadable)
    return builder.finish(found, weights=reader)


def softmax(net: Net, section: Section, x: Node) -> Node:
    groups = section.integer("groups", 1)
    if groups > 1 or "tree" in section:
        reason = "each group of its values has a softmax of its own"
        return net.unknown(section, x, reason=reason, shape=x.shape, arrays=())
    return net.add(section, Softmax, x)


def dropout(net: Net, section: Section, x: Node) -> Node:
    return net.add(section, Dropout, x, rate=section.real("probability", 0.5))


def batchnorm(net: Net, section: Section, x: Node) -> Node:
    net.unreadable = net.unreadable or "a [batchnorm] section, which Darknets store differently"
    return net.add(section, BatchNorm, x, epsilon=EPSILON)


def normalization(net: Net, section: Section, x: Node) -> Node:
    return net.add(
        section,
        LocalResponseNorm,
        x,
        size=section.integer("size", 5),
        alpha=section.real("alpha", 0.0001),
        beta=section.real("beta", 0.75),
        k=section.real("kappa", 1.0),
        divide=False,
    )


def cost(net: Net, section: Section, x: Node) -> Node:
    net.builder.note(f"The loss of [{section.kind}] is not part of the network.")
    return x


def head(net: Net, section: Section, x: Node) -> Node:
    """Return what boxes are read from: it is an output of the network."""
    net.builder.note(
        f"The input of [{section.kind}] is an output; the boxes made of it cost nothing here."
    )
    net.heads[net.name(section)] = x
    return x


SECTIONS: Final[Mapping[str, Rule]] = {
    "activation": lambda net, section, x: net.activated(section, x, "linear"),
    "avgpool": lambda net, section, x: net.add(section, GlobalAvgPool, x, keep_axes=True),
    "batchnorm": batchnorm,
    "connected": connected,
    "contrastive": cost,
    "control_channels": lambda net, section, x: with_other(net, section, x, Multiply),
    "conv_lstm": recurrent,
    "convolutional": convolutional,
    "cost": cost,
    "crnn": recurrent,
    "crop": crop,
    "deconvolutional": deconvolutional,
    "detection": head,
    "dropout": dropout,
    "empty": lambda net, section, x: x,  # noqa: ARG005  (as every rule is called)
    "gaussian_yolo": head,
    "gru": recurrent,
    "implicit_add": implicit,
    "implicit_mul": implicit,
    "l2norm": lambda net, section, x: net.add(section, UnitNorm, x),
    "local": local,
    "lstm": recurrent,
    "local_avgpool": lambda net, section, x: pooled(net, section, x, AvgPool),
    "logistic": lambda net, section, x: net.add(section, Activate, x, function="sigmoid"),
    "maxpool": lambda net, section, x: pooled(net, section, x, MaxPool),
    "normalization": normalization,
    "region": head,
    "reorg": reorg,
    "reorg3d": reorg,
    "rnn": recurrent,
    "route": route,
    "sam": product,
    "scale_channels": product,
    "shift_channels": lambda net, section, x: with_other(net, section, x, Add),
    "shortcut": shortcut,
    "silence": lambda net, section, x: x,  # noqa: ARG005
    "softmax": softmax,
    "upsample": upsample,
    "yolo": head,
}
"""The sections, by their names."""
