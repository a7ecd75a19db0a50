"""ONNX files that a test writes itself, node by node."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx

import archspec
from archspec.imports.model import ImportedModel


def network(
    path: Path,
    shape: list[Any],
    nodes: list[Any],
    arrays: dict[str, Any],
    *,
    producer: str = "",
    opset: int = 18,
) -> ImportedModel:
    """Return the model of a file with these nodes, of which the last gives the output.

    Args:
        path: Where the file is written.
        shape: The extents of its input `x`, the batch first.
        nodes: What `onnx.helper.make_node` gives.
        arrays: The stored arrays by their names.
        producer: The program that the file says it is of.
        opset: The version of ONNX's operators.
    """
    end = nodes[-1].output[0]
    ends = [
        onnx.helper.make_tensor_value_info("x", 1, shape),
        onnx.helper.make_tensor_value_info(end, 1, None),
    ]
    stored = [
        onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in arrays.items()
    ]
    graph = onnx.helper.make_graph(nodes, "net", ends[:1], ends[1:], stored)
    opsets = [onnx.helper.make_opsetid("", opset)]
    model = onnx.helper.make_model(
        graph, opset_imports=opsets, ir_version=8, producer_name=producer
    )
    onnx.save(model, path)
    return archspec.load(path)
