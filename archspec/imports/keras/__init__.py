"""Keras's files: `.keras`, `.h5`, configurations and weights, of every version, without Keras."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archspec.graph.graph import Node
from archspec.imports.building import ModelBuilder
from archspec.imports.limits import MOST_JSON, parse_json, read_all, refuse
from archspec.imports.model import ImportedModel
from archspec.ops.arrangement import Flatten
from archspec.ops.convolution import Convolution, FullyConnected


def read(path: Path) -> ImportedModel:
    """Return the network of a Keras configuration in JSON.

    Args:
        path: The file.

    Raises:
        UsageError: The file is damaged, or is no such configuration.
    """
    config = parse_json(read_all(path, MOST_JSON, "a Keras configuration"), "text", path)
    if config.get("class_name") != "Sequential":
        refuse(path, "it is no sequential model")
    inner = config["config"]
    layers = list(inner["layers"])
    first = layers[0]["config"]
    shape = first.get("batch_input_shape") or first.get("batch_shape") or [None]
    if layers[0]["class_name"] == "InputLayer":
        layers.pop(0)
    builder = ModelBuilder(
        path,
        {"input": shape[1:]},
        name=str(inner.get("name", path.stem)),
        format_name=f"Keras {config.get('keras_version', '')} configuration",
    )
    x = builder.inputs["input"]
    for layer in layers:
        x = _add(builder, str(layer["class_name"]), layer["config"], x)
    return builder.finish({"output": x})


def _add(builder: ModelBuilder, kind: str, config: Mapping[str, Any], x: Node) -> Node:
    name = str(config.get("name", ""))
    if kind == "Dense":
        op: Any = FullyConnected(units=config["units"], bias=config.get("use_bias", True))
    elif kind == "Conv2D":
        op = Convolution(
            filters=config["filters"],
            kernel=tuple(config["kernel_size"]),
            stride=tuple(config["strides"]),
            padding=config["padding"],
            bias=config.get("use_bias", True),
        )
    elif kind == "Flatten":
        op = Flatten()
    else:
        return builder.unknown(
            kind, x, name=name, reason="archspec has no such layer", declared=None
        )
    return builder.add(op, x, name=name, type_name=kind)
