"""Blocks: each is the same network as its parts written by hand, and small ones checked by eye."""

import copy
import pickle
import re
from math import prod

import pytest
from pages import ROOT
from support.specs import spec_of

import archspec
from archspec.blocks.block import Block
from archspec.blocks.conv import Conv
from archspec.compile import catalog
from archspec.compile.expand import expand
from archspec.compile.plan import compile_plan
from archspec.compile.step import SpecBlock
from archspec.errors import Diagnostic, Problem, SpecError, UsageError
from archspec.graph.builder import Builder, Kept
from archspec.graph.graph import Graph, Layer, Node
from archspec.ops.elementwise import Activate
from archspec.ops.merge import Add
from archspec.ops.pooling import MaxPool
from archspec.ops.shape import Shape
from archspec.ops.windows import Windowed
from archspec.spec.findings import Findings


def network(steps: str, *, input: str = "[8, 8, 16]", head: str = "") -> Graph:  # noqa: A002
    return expand(spec_of(f"name: net\ninput: {input}\n{head}\nlayers:\n{steps}"))


def structure(graph: Graph) -> list:
    """Everything but the names: each layer's op, shapes, weights and costs, and the edges."""
    layers = [[getattr(node.layer, name) for name in Layer.__slots__] for node in graph.nodes]
    return [*zip(layers, [node.inputs for node in graph.nodes], strict=True)]


def kinds(graph: Graph) -> list[str]:
    return [node.op.kind for node in graph.nodes[1:]]


PRE_ACTIVATION = "norm: batch, activation: relu, order: norm-act-conv"
FRACTAL_UNIT = "kernel: 3, padding: 1, norm: batch, activation: relu"

SAME = {
    "squeeze_excitation": (
        "- squeeze_excitation: {ratio: 5, function: hard_sigmoid}",
        """
- {global_avg_pool: {keep_axes: true}}
- {convolution: {filters: 3, kernel: 1}}
- activation: relu
- {convolution: {filters: 16, kernel: 1}}
- activation: hard_sigmoid
- multiply: [input, activation2]
""",
    ),
    "squeeze_excitation of fully connected layers": (
        "- squeeze_excitation: {channels: 6, style: fc, bias: false, activation: silu}",
        """
- global_avg_pool
- {fully_connected: {units: 6, bias: false}}
- activation: silu
- {fully_connected: {units: 16, bias: false}}
- activation: sigmoid
- reshape: [1, 1, 16]
- multiply: [input, reshape1]
""",
    ),
    "squeeze_excitation by MobileNet's rule for channels": (
        "- squeeze_excitation: {ratio: 1.5, divisor: 8}",
        "- squeeze_excitation: {channels: 16}",
    ),
    "residual with a gate on its branch": (
        "- residual: {filters: 16, gate: {squeeze_excitation: {channels: =in.channels // 8}}}",
        """
- {conv: {filters: 16, padding: 1, norm: batch, activation: relu}}
- {conv: {filters: 16, padding: 1, norm: batch}}
- squeeze_excitation: 8
- add: input
- activation: relu
""",
    ),
    "residual with a gate on its 3x3": (
        "- residual: {filters: 4, style: bottleneck, gate: squeeze_excitation, gate_on: 3x3}",
        """
- {conv: {filters: 4, kernel: 1, norm: batch, activation: relu}}
- {conv: {filters: 4, padding: 1, norm: batch, activation: relu}}
- squeeze_excitation
- {conv: {filters: 16, kernel: 1, norm: batch}}
- add: input
- activation: relu
""",
    ),
    "inverted_residual": (
        "- inverted_residual: {filters: 16, kernel: 5, activation: silu, drop_path: 0.2}",
        """
- {conv: {filters: 96, kernel: 1, norm: batch, activation: silu}}
- {depthwise_conv: {kernel: 5, padding: same, bias: false}}
- batch_norm
- activation: silu
- {conv: {filters: 16, kernel: 1, norm: batch}}
- drop_path: 0.2
- add: [input, drop_path1]
""",
    ),
    "inverted_residual with a gate, that changes the shape": (
        "- inverted_residual: {filters: 24, stride: 2, width: 40, padding: 1, gate: {scale: {}}}",
        """
- {conv: {filters: 40, kernel: 1, norm: batch, activation: relu6}}
- {depthwise_conv: {kernel: 3, stride: 2, padding: 1, bias: false}}
- batch_norm
- activation: relu6
- scale
- {conv: {filters: 24, kernel: 1, norm: batch}}
""",
    ),
    "inverted_residual without expansion or norm": (
        "- inverted_residual: {filters: 8, expansion: 1, norm: null, linear: false}",
        """
- {depthwise_conv: {kernel: 3, padding: same}}
- activation: relu6
- {conv: {filters: 8, kernel: 1, activation: relu6}}
""",
    ),
    "fused inverted_residual": (
        "- inverted_residual: {filters: 16, expansion: 4, fused: true, gate: squeeze_excitation}",
        """
- {conv: {filters: 64, padding: same, norm: batch, activation: relu6}}
- squeeze_excitation
- {conv: {filters: 16, kernel: 1, norm: batch}}
- add: [input, conv2]
""",
    ),
    "fused inverted_residual without expansion": (
        "- inverted_residual: {filters: 16, expansion: 1, fused: true}",
        """
- {conv: {filters: 16, padding: same, norm: batch, activation: relu6}}
- add: [input, conv1]
""",
    ),
    "conv": (
        "- conv: {filters: 4, padding: same, activation: relu}",
        """
- convolution: {filters: 4, kernel: 3, padding: same}
- activation: relu
""",
    ),
    "conv with norm has no bias": (
        "- conv: {filters: 4, kernel: 5, stride: 2, padding: 2, norm: batch, activation: relu}",
        """
- convolution: {filters: 4, kernel: 5, stride: 2, padding: 2, bias: false}
- batch_norm
- activation: relu
""",
    ),
    "conv with norm and a bias that was asked for": (
        "- conv: {filters: 4, norm: layer, bias: true}",
        """
- convolution: {filters: 4, kernel: 3}
- layer_norm
""",
    ),
    "pre-activation conv": (
        "- conv: {filters: 4, groups: 2, norm: batch, activation: relu, order: norm-act-conv}",
        """
- batch_norm
- activation: relu
- convolution: {filters: 4, kernel: 3, groups: 2, bias: false}
""",
    ),
    "conv with dropout": (
        "- conv: {filters: 4, norm: batch, activation: relu, dropout: 0.2}",
        """
- convolution: {filters: 4, kernel: 3, bias: false}
- dropout: 0.2
- batch_norm
- activation: relu
""",
    ),
    "fc": (
        """
- flatten
- fc: {units: 7, norm: batch, activation: relu}
- fc: 5
""",
        """
- flatten
- fully_connected: {units: 7, bias: false}
- batch_norm
- activation: relu
- fully_connected: 5
""",
    ),
    "mlpconv": (
        "- mlpconv: {kernel: 5, padding: 2, stride: 2, filters: [8, 6, 4]}",
        """
- conv: {filters: 8, kernel: 5, padding: 2, stride: 2, activation: relu}
- conv: {filters: 6, kernel: 1, activation: relu}
- conv: {filters: 4, kernel: 1, activation: relu}
""",
    ),
    "separable_conv": (
        """
- separable_conv:
    {filters: 4, stride: 2, padding: same, multiplier: 2, norm: batch, activation: relu}
""",
        """
- depthwise_conv: {kernel: 3, stride: 2, padding: same, multiplier: 2, bias: false}
- convolution: {filters: 4, kernel: 1, bias: false}
- batch_norm
- activation: relu
""",
    ),
    "inception": (
        """
- inception: {conv1x1: 4, reduce3x3: 3, conv3x3: 6, reduce5x5: 2, conv5x5: 5, pool_proj: 7}
""",
        """
- branches:
    - [conv: {filters: 4, kernel: 1, padding: same, activation: relu}]
    - - conv: {filters: 3, kernel: 1, padding: same, activation: relu}
      - conv: {filters: 6, kernel: 3, padding: same, activation: relu}
    - - conv: {filters: 2, kernel: 1, padding: same, activation: relu}
      - conv: {filters: 5, kernel: 5, padding: same, activation: relu}
    - - max_pool: {size: 3, stride: 1, padding: same}
      - conv: {filters: 7, kernel: 1, padding: same, activation: relu}
  merge: concat
""",
    ),
    "naive inception": (
        "- inception: {conv1x1: 4, conv3x3: 6, conv5x5: 5}",
        """
- branches:
    - [conv: {filters: 4, kernel: 1, padding: same, activation: relu}]
    - [conv: {filters: 6, kernel: 3, padding: same, activation: relu}]
    - [conv: {filters: 5, kernel: 5, padding: same, activation: relu}]
    - [max_pool: {size: 3, stride: 1, padding: same}]
  merge: concat
""",
    ),
    "fire": (
        "- fire: {squeeze: 3, expand1x1: 6, expand3x3: 10}",
        """
- conv: {filters: 3, kernel: 1, padding: same, activation: relu}
- branches:
    - [conv: {filters: 6, kernel: 1, padding: same, activation: relu}]
    - [conv: {filters: 10, kernel: 3, padding: same, activation: relu}]
  merge: concat
""",
    ),
    "fire with a simple bypass": (
        "- fire: {squeeze: 3, expand1x1: 6, expand3x3: 10, bypass: simple}",
        """
- {name: fire, fire: {squeeze: 3, expand1x1: 6, expand3x3: 10}}
- add: [input, fire]
""",
    ),
    "fire with a complex bypass": (
        "- fire: {squeeze: 3, expand1x1: 6, expand3x3: 6, bypass: complex}",
        """
- {name: fire, fire: {squeeze: 3, expand1x1: 6, expand3x3: 6}}
- {name: bypass, from: input, convolution: {filters: 12, kernel: 1, padding: same}}
- add: [bypass, fire]
""",
    ),
    "dense": (
        "- dense: {layers: 2, growth: 3}",
        """
- name: unit
  repeat: 2
  layers:
    - batch_norm
    - activation: relu
    - convolution: {filters: 12, kernel: 1, bias: false}
    - batch_norm
    - activation: relu
    - {name: new, convolution: {filters: 3, kernel: 3, padding: 1, bias: false}}
    - concat: [input, new]
""",
    ),
    "plain dense": (
        "- dense: {layers: 3, growth: 2, bottleneck: null, dropout: 0.2}",
        """
- name: unit
  repeat: 3
  layers:
    - batch_norm
    - activation: relu
    - convolution: {filters: 2, kernel: 3, padding: 1, bias: false}
    - {name: new, dropout: 0.2}
    - concat: [input, new]
""",
    ),
    "transition": (
        "- transition: 0.3",
        """
- batch_norm
- activation: relu
- convolution: {filters: =floor(0.3 * in.channels), kernel: 1, bias: false}
- avg_pool: {size: 2, stride: 2}
""",
    ),
    "basic residual": (
        "- residual: 16",
        """
- conv: {filters: 16, kernel: 3, padding: 1, norm: batch, activation: relu}
- conv: {filters: 16, kernel: 3, padding: 1, norm: batch}
- add: input
- activation: relu
""",
    ),
    "basic residual with a projection": (
        "- residual: {filters: 32, stride: 2}",
        """
- branches:
    - - conv: {filters: 32, kernel: 3, padding: 1, stride: 2, norm: batch, activation: relu}
      - conv: {filters: 32, kernel: 3, padding: 1, norm: batch}
    - - conv: {filters: 32, kernel: 1, stride: 2, norm: batch}
  merge: add
- activation: relu
""",
    ),
    "basic residual with a padded shortcut": (
        "- residual: {filters: 32, stride: 2, shortcut: pad}",
        """
- branches:
    - - conv: {filters: 32, kernel: 3, padding: 1, stride: 2, norm: batch, activation: relu}
      - conv: {filters: 32, kernel: 3, padding: 1, norm: batch}
    - [max_pool: {size: 1, stride: 2}, pad_channels: 32]
  merge: add
- activation: relu
""",
    ),
    "stochastic depth as its authors wrote it": (
        """
- residual:
    {filters: 32, stride: 2, shortcut: pad, subsample: average, bias: true, drop_path: 0.5}
""",
        """
- branches:
    - - convolution: {filters: 32, kernel: 3, padding: 1, stride: 2}
      - batch_norm
      - activation: relu
      - convolution: {filters: 32, kernel: 3, padding: 1}
      - batch_norm
      - drop_path: 0.5
    - [avg_pool: {size: 2, stride: 2, ceil: true}, pad_channels: 32]
  merge: add
- activation: relu
""",
    ),
    "bottleneck": (
        "- residual: {filters: 4, style: bottleneck}",
        """
- conv: {filters: 4, kernel: 1, norm: batch, activation: relu}
- conv: {filters: 4, kernel: 3, padding: 1, norm: batch, activation: relu}
- conv: {filters: 16, kernel: 1, norm: batch}
- add: input
- activation: relu
""",
    ),
    "bottleneck that strides on its first 1x1": (
        "- residual: {filters: 8, style: bottleneck, stride: 2, stride_on: 1x1, bias: true}",
        """
- branches:
    - - conv: {filters: 8, kernel: 1, stride: 2, norm: batch, bias: true, activation: relu}
      - conv: {filters: 8, kernel: 3, padding: 1, norm: batch, bias: true, activation: relu}
      - conv: {filters: 32, kernel: 1, norm: batch, bias: true}
    - - conv: {filters: 32, kernel: 1, stride: 2, norm: batch, bias: true}
  merge: add
- activation: relu
""",
    ),
    "bottleneck of many paths": (
        "- residual: {filters: 8, style: bottleneck, expansion: 2, cardinality: 4, width: 3}",
        """
- conv: {filters: 12, kernel: 1, norm: batch, activation: relu}
- conv: {filters: 12, kernel: 3, padding: 1, groups: 4, norm: batch, activation: relu}
- conv: {filters: 16, kernel: 1, norm: batch}
- add: input
- activation: relu
""",
    ),
    "pre-activation": (
        "- residual: {filters: 16, order: norm-act-conv}",
        """
- batch_norm
- activation: relu
- convolution: {filters: 16, kernel: 3, padding: 1, bias: false}
- batch_norm
- activation: relu
- convolution: {filters: 16, kernel: 3, padding: 1, bias: false}
- add: input
""",
    ),
    "pre-activation, shared with the projection": (
        "- residual: {filters: 32, stride: 2, order: norm-act-conv}",
        """
- batch_norm
- activation: relu
- branches:
    - - convolution: {filters: 32, kernel: 3, padding: 1, stride: 2, bias: false}
      - batch_norm
      - activation: relu
      - convolution: {filters: 32, kernel: 3, padding: 1, bias: false}
    - - convolution: {filters: 32, kernel: 1, stride: 2, bias: false}
  merge: add
""",
    ),
    "pre-activation where the stem has activated": (
        "- residual: {filters: 16, order: norm-act-conv, preactivate: false}",
        """
- convolution: {filters: 16, kernel: 3, padding: 1, bias: false}
- batch_norm
- activation: relu
- convolution: {filters: 16, kernel: 3, padding: 1, bias: false}
- add: input
""",
    ),
    "wide, with dropout between its convolutions": (
        "- residual: {filters: 16, order: norm-act-conv, dropout: 0.3}",
        """
- batch_norm
- activation: relu
- convolution: {filters: 16, kernel: 3, padding: 1, bias: false}
- batch_norm
- activation: relu
- dropout: 0.3
- convolution: {filters: 16, kernel: 3, padding: 1, bias: false}
- add: input
""",
    ),
    "pre-activation as in keras.applications": (
        """
- residual:
    {filters: 8, style: bottleneck, order: norm-act-conv, bias: outer}
- residual:
    {filters: 8, style: bottleneck, order: norm-act-conv, bias: outer, stride: 2, shortcut: pad}
""",
        """
- batch_norm
- activation: relu
- branches:
    - - conv: {filters: 8, kernel: 1, norm: batch, activation: relu}
      - conv: {filters: 8, kernel: 3, padding: 1, norm: batch, activation: relu}
      - convolution: {filters: 32, kernel: 1}
    - - convolution: {filters: 32, kernel: 1}
  merge: add
- branches:
    - - batch_norm
      - activation: relu
      - conv: {filters: 8, kernel: 1, norm: batch, activation: relu}
      - conv: {filters: 8, kernel: 3, padding: 1, stride: 2, norm: batch, activation: relu}
      - convolution: {filters: 32, kernel: 1}
    - - max_pool: {size: 1, stride: 2}
  merge: add
""",
    ),
    "dual_path": (
        "- dual_path: {layers: 2, filters: 8, growth: 2, width: 3, cardinality: 2, stride: 2}",
        f"""
- {{name: paths, conv: {{filters: 12, kernel: 1, stride: 2, {PRE_ACTIVATION}}}}}
- {{name: residual, from: paths, slice: {{stop: 8}}}}
- {{name: dense, from: paths, slice: {{start: 8}}}}
- {{from: input, conv: {{filters: 6, kernel: 1, {PRE_ACTIVATION}}}}}
- conv: {{filters: 6, kernel: 3, padding: 1, stride: 2, groups: 2, {PRE_ACTIVATION}}}
- {{name: unit1, conv: {{filters: 10, kernel: 1, {PRE_ACTIVATION}}}}}
- {{name: added1, slice: {{stop: 8}}}}
- {{name: new1, from: unit1, slice: {{start: 8}}}}
- {{name: sum1, add: [residual, added1]}}
- concat: [sum1, dense, new1]
- conv: {{filters: 6, kernel: 1, {PRE_ACTIVATION}}}
- conv: {{filters: 6, kernel: 3, padding: 1, groups: 2, {PRE_ACTIVATION}}}
- {{name: unit2, conv: {{filters: 10, kernel: 1, {PRE_ACTIVATION}}}}}
- {{name: added2, slice: {{stop: 8}}}}
- {{name: new2, from: unit2, slice: {{start: 8}}}}
- {{name: sum2, add: [sum1, added2]}}
- concat: [sum2, dense, new1, new2]
""",
    ),
    "fractal of two columns": (
        "- fractal: {filters: 4, columns: 2}",
        f"""
- {{conv: {{filters: 4, {FRACTAL_UNIT}}}}}
- {{name: deep, conv: {{filters: 4, {FRACTAL_UNIT}}}}}
- {{name: shallow, from: input, conv: {{filters: 4, {FRACTAL_UNIT}}}}}
- mean: [deep, shallow]
""",
    ),
    "fractal of three columns": (
        "- fractal: {filters: 4, columns: 3, drop_path: 0.2}",
        f"""
- {{conv: {{filters: 4, {FRACTAL_UNIT}}}}}
- {{name: deep1, conv: {{filters: 4, {FRACTAL_UNIT}}}}}
- {{name: middle1, from: input, conv: {{filters: 4, {FRACTAL_UNIT}}}}}
- {{name: joined, from: [deep1, middle1], join: {{rate: 0.2}}}}
- {{conv: {{filters: 4, {FRACTAL_UNIT}}}}}
- {{name: deep2, conv: {{filters: 4, {FRACTAL_UNIT}}}}}
- {{name: middle2, from: joined, conv: {{filters: 4, {FRACTAL_UNIT}}}}}
- {{name: shallow, from: input, conv: {{filters: 4, {FRACTAL_UNIT}}}}}
- {{from: [deep2, middle2, shallow], join: {{rate: 0.2}}}}
""",
    ),
}
"""A block, and the same written out."""


@pytest.mark.parametrize(("block", "parts"), SAME.values(), ids=SAME)
def test_a_block_is_its_parts(block, parts):
    assert structure(network(block)) == structure(network(parts))


DEFAULTS = """
defaults:
  conv: {kernel: 5, stride: 2, padding: 3}
  max_pool: {size: 3, stride: 2, padding: 1}
  avg_pool: {size: 3, stride: 2, padding: 1}
"""


@pytest.mark.parametrize("name", [n for n, (block, _) in SAME.items() if "- conv" not in block])
def test_defaults_of_shape_stay_outside_blocks(name):
    block, _ = SAME[name]
    assert structure(network(block, head=DEFAULTS)) == structure(network(block))


def test_defaults_of_substance_reach_into_blocks():
    normalized = network(
        "- inception: {conv1x1: 4, conv3x3: 6, conv5x5: 5}", head="defaults: {conv: {norm: batch}}"
    )
    branch = ["convolution", "batch_norm", "activation"]
    assert kinds(normalized) == [*branch * 3, "max_pool", "concat"]
    assert not any(node.op.bias for node in normalized.nodes if node.op.kind == "convolution")


@pytest.mark.parametrize(
    ("steps", "input_", "output", "weights"),
    [
        # 1x1 and a bias; then (1x1 and biases) beside (3x3 and biases)
        (
            "- fire: {squeeze: 1, expand1x1: 2, expand3x3: 3}",
            (4, 4, 2),
            (4, 4, 5),
            [2, 1, 2, 2, 9 * 3, 3],
        ),
        ("- mlpconv: {kernel: 3, filters: [5, 2]}", (4, 4, 1), (2, 2, 2), [9 * 5, 5, 5 * 2, 2]),
        ("- separable_conv: {filters: 7, kernel: 3}", (5, 5, 2), (3, 3, 7), [9 * 2, 2 * 7, 7]),
        (
            "- inception: {conv1x1: 1, conv3x3: 2, conv5x5: 3, pool_proj: 4}",
            (6, 6, 1),
            (6, 6, 10),
            [1, 1, 9 * 2, 2, 25 * 3, 3, 4, 4],
        ),
        # four vectors of batch normalisation over 6, then over 6 + 2 channels
        (
            "- dense: {layers: 2, growth: 2, bottleneck: null}",
            (4, 4, 6),
            (4, 4, 10),
            [6, 6, 6, 6, 9 * 6 * 2, 8, 8, 8, 8, 9 * 8 * 2],
        ),
        # floor(0.5 * 7) channels; a row and a column are lost
        ("- transition", (5, 5, 7), (2, 2, 3), [7, 7, 7, 7, 7 * 3]),
        (
            "- residual: {filters: 1, style: bottleneck}",
            (4, 4, 4),
            (4, 4, 4),
            [4, *[1] * 4, 9, *[1] * 4, 4, *[4] * 4],
        ),
    ],
)
def test_a_block_by_eye(steps, input_, output, weights):
    graph = network(steps, input=str(list(input_)))
    assert graph.output == output
    found = [prod(weight.shape) for node in graph.nodes for weight in node.layer.weights]
    assert found == weights


def test_a_dual_path_appends_to_one_path_and_adds_to_the_other():
    # 16 + 2 * 3 channels at first, 3 more for each of 4 units; the sum's extent never changes
    graph = network("- dual_path: {layers: 4, filters: 16, growth: 3, width: 1, cardinality: 2}")
    ends = [node for node in graph.nodes if node.op.kind == "concat"]
    assert [node.channels for node in ends] == [25, 28, 31, 34]
    assert {node.channels for node in graph.nodes if node.op.kind == "add"} == {16}


@pytest.mark.parametrize(("columns", "deepest", "convolutions"), [(1, 1, 1), (3, 4, 7), (4, 8, 15)])
def test_a_fractal_of_c_columns_is_two_to_the_c_minus_1_deep(columns, deepest, convolutions):
    graph = network(f"- fractal: {{filters: 2, columns: {columns}}}", input="[4, 4, 2]")
    depth = [0] * len(graph.nodes)
    for node in graph.nodes[1:]:
        before = max(depth[index] for index in node.inputs)
        depth[node.index] = before + (node.op.kind == "convolution")
    assert depth[-1] == deepest
    assert kinds(graph).count("convolution") == convolutions


def test_every_join_of_a_network_reads_the_one_draw():
    graph = network("""
- {name: paths, path_draw: 3}
- from: input
  repeat: 2
  layers:
    - {from: [input, paths], fractal: {filters: 4, columns: 3, drop_path: 0.1}}
""")
    joins = [node for node in graph.nodes if node.op.kind == "join"]
    assert [node.op.columns for node in joins] == [(0, 1), (0, 1, 2)] * 2
    assert {graph.nodes[node.inputs[-1]].name for node in joins} == {"paths"}
    assert sum(node.op.kind == "path_draw" for node in graph.nodes) == 1


@pytest.mark.parametrize("style", ["basic", "bottleneck"])
def test_an_averaging_shortcut_rounds_as_the_convolutions_do(style):
    unit = f"{{filters: 4, style: {style}, stride: 2, shortcut: pad, subsample: average}}"
    graph = expand(spec_of(f"{{name: net, input: [7, 9, 3], layers: [residual: {unit}]}}"))
    assert graph.nodes[-1].shape.spatial == (4, 5)


@pytest.mark.parametrize(
    ("compression", "channels", "kept"),
    [(0.29, 100, 29), (0.5, 5, 2), (0.1, 5, 1), ("'=1/3'", 9, 3)],
)
def test_a_transition_keeps_the_floor_of_what_is_written(compression, channels, kept):
    layers = f"[transition: {compression}]"
    graph = expand(spec_of(f"{{name: net, input: [4, 4, {channels}], layers: {layers}}}"))
    assert graph.nodes[-1].shape == (2, 2, kept)


def test_an_option_a_shortcut_has_no_weights():
    padded = network("- residual: {filters: 32, stride: 2, shortcut: pad}")
    assert kinds(padded)[-4:] == ["max_pool", "pad_channels", "add", "activation"]
    assert padded.output == (4, 4, 32)


def test_the_layers_of_a_block_are_named_after_their_parts():
    graph = network("- {name: unit, residual: {filters: 32, stride: 2}}")
    assert [node.name for node in graph.nodes[1:]] == [
        "unit/conv1/convolution",
        "unit/conv1/norm",
        "unit/conv1/activation",
        "unit/conv2/convolution",
        "unit/conv2/norm",
        "unit/projection/convolution",
        "unit/projection/norm",
        "unit/add",
        "unit/activation",
    ]


def problem(step: str) -> Diagnostic:
    with pytest.raises(SpecError) as caught:
        network(step)
    (found,) = caught.value.diagnostics
    return found


@pytest.mark.parametrize(
    ("step", "code", "message", "help_"),
    [
        (
            "- residual: {filters: 32, shortcut: identity}",
            "shape",
            "an identity shortcut cannot join 8x8x16 and 8x8x32",
            "`shortcut: projection` or `pad` makes them fit",
        ),
        (
            "- residual: {filters: 8, shortcut: pad}",
            "shape",
            "16 channels cannot be padded to 8",
            None,
        ),
        (
            "- residual: {filters: 16, cardinality: 4}",
            "shape",
            "a basic `residual` has neither `cardinality` nor `width`",
            "add `style: bottleneck`",
        ),
        (
            "- fire: {squeeze: 3, expand1x1: 6, expand3x3: 6, bypass: simple}",
            "shape",
            "`add` needs inputs of one shape, not 8x8x16 and 8x8x12",
            "a 1x1 `conv` on one of them makes the channels equal; `concat` takes unequal ones",
        ),
        (
            "- fire: {squeeze: 3, expand1x1: 6}",
            "missing",
            "`fire` needs `expand3x3`",
            "`expand3x3` is a whole number from 1 to 2147483647",
        ),
        (
            "- {from: [input, input], fractal: {filters: 4}}",
            "shape",
            "the second input of `fractal` is 8x8x16, not a draw of its 3 columns",
            "let it come from `path_draw: 3`",
        ),
        (
            "- {from: [input, input, input], fractal: {filters: 4}}",
            "shape",
            "`fractal` takes at most 2 inputs, not 3",
            None,
        ),
        (
            "- {branches: [[], [global_avg_pool, fc: 16]], merge: multiply}",
            "shape",
            "`multiply` needs inputs of one shape, not 8x8x16 and 16",
            "`global_avg_pool: {keep_axes: true}` or `reshape` gives a vector spatial axes",
        ),
        (
            "- {branches: [[global_avg_pool], [flatten]], merge: add}",
            "shape",
            "`add` needs inputs of one shape, not 16 and 1024",
            "`fc` on one of them makes them equally long; `concat` takes unequal ones",
        ),
        (
            "- {branches: [[], [global_avg_pool]], merge: concat}",
            "shape",
            "`concat` needs inputs that differ in channels alone, not 8x8x16 and 16",
            "`global_avg_pool: {keep_axes: true}` or `reshape` gives a vector spatial axes",
        ),
        (
            "- {from: [input, input], join: {columns: [0]}}",
            "shape",
            "the last input of `join` is 8x8x16, not a draw of that many columns",
            "with `columns`, the last input is the output of `path_draw`",
        ),
        (
            "- {from: [input, input], join: {columns: [0, 1]}}",
            "shape",
            "`join` names the columns of 2 inputs, but has 1",
            None,
        ),
        (
            "- mlpconv: {filters: [], kernel: 3}",
            "type",
            "`filters` of `mlpconv` must be a list of positive whole numbers, not []",
            None,
        ),
        (
            "- transition: 1.5",
            "value",
            "`compression` of `transition` must be a number above 0, at most 1, not 1.5",
            None,
        ),
    ],
)
def test_a_block_that_does_not_fit_says_so_at_its_step(step, code, message, help_):
    found = problem(step)
    assert (found.code, found.message, found.help) == (code, message, help_)
    assert found.span is not None
    assert found.span.line == 5


def test_dense_is_not_the_fully_connected_layer():
    with pytest.raises(SpecError) as caught:
        network("- dense: {units: 10}")
    helps = [found.help for found in caught.value.diagnostics]
    assert "`dense` is DenseNet's block; the fully connected layer is `fc`" in helps


class Stray(Block):
    """A block with a layer that nothing reads."""

    def expand(self, b: Builder, x: Node) -> Node:
        b(Activate(function="tanh"), x, name="stray")
        return b(Activate(function="relu"), x, name="kept")


class Outward(Block):
    """A block that reads another node than its input."""

    def expand(self, b: Builder, x: Node) -> Node:
        return b(Add(), x, b.input, name="sum")


@pytest.mark.parametrize(
    ("block", "pieces", "nodes"),
    [
        (Conv(filters=4, kernel=1, activation="relu"), ["a", "b"], 6),
        (Stray(), ["a/kept", "b/kept"], 4),  # what nothing reads is left out of the graph
        (Outward(), ["a/sum", "b/sum"], 4),
    ],
    ids=lambda value: getattr(type(value), "__name__", ""),
)
def test_a_block_is_one_piece_where_it_depends_on_its_input_alone(block, pieces, nodes):
    builder = Builder((4, 4, 4))
    x = builder(block, builder(Activate(function="elu"), builder.input), name="a")
    graph = builder.finish("net", {"output": builder(block, x, name="b")}, {})
    assert [piece.name for piece in graph.pieces[2:]] == pieces
    assert len(graph.nodes) == graph.size == nodes
    assert all(0 <= index < node.index for node in graph.nodes[1:] for index in node.inputs)


def test_a_block_seen_before_is_the_same_piece_in_another_graph():
    first, second = (network("- fire: {squeeze: 2, expand1x1: 4, expand3x3: 4}") for _ in range(2))
    assert first.pieces[1].costs is second.pieces[1].costs
    other = network("- fire: {squeeze: 2, expand1x1: 4, expand3x3: 4}", input="[8, 8, 8]")
    assert other.pieces[1].costs is not first.pieces[1].costs


def test_a_copy_of_a_graph_is_equal_to_it():
    graph = network("- fire: {squeeze: 2, expand1x1: 4, expand3x3: 4}")
    for again in (copy.deepcopy(graph), pickle.loads(pickle.dumps(graph))):  # noqa: S301
        assert again == graph
        assert again.nodes == graph.nodes
        assert {*again.pieces} == {*graph.pieces}
    assert graph != network("- fire: {squeeze: 2, expand1x1: 4, expand3x3: 8}")


def test_a_graph_goes_to_another_process_without_the_classes_of_the_specs_own_blocks():
    graph = expand(archspec.load("inception_v3"))
    own = [scope.name for scope in graph.scopes if isinstance(scope.element, SpecBlock)]
    again = pickle.loads(pickle.dumps(graph))  # noqa: S301
    assert again == graph
    lost = [a.name for a, b in zip(again.scopes, graph.scopes, strict=True) if a[-1] != b[-1]]
    assert own == lost != []
    assert copy.deepcopy(graph.scopes[-1].element) == graph.scopes[-1].element


def test_the_defaults_of_a_spec_make_a_block_another():
    plain, normed = (
        network("- fire: {squeeze: 2, expand1x1: 4, expand3x3: 4}", head=head)
        for head in ("", "defaults: {conv: {norm: batch}}")
    )
    assert "batch_norm" in kinds(normed)
    assert "batch_norm" not in kinds(plain)


class HandedOn(Block):
    """A block that gives its part what was given to it, and leaves the rest to the defaults."""

    kernel: int = 3
    more: bool | int = 1
    """True for twice as many."""

    def expand(self, b: Builder, x: Node) -> Node:
        given = dict.fromkeys(self.model_fields_set & {"kernel"}, self.kernel)
        return b(Conv(filters=8 if self.more is True else 4 * self.more, **given), x, name="a")


def test_equal_blocks_that_differ_in_what_was_given_are_not_one():
    builder = Builder((8, 8, 4), {"conv": {"kernel": 5}})
    shapes = [
        builder(block, builder.input).shape
        for block in (HandedOn(), HandedOn(kernel=3), HandedOn(more=True), HandedOn(more=1))
    ]
    assert shapes == [(4, 4, 4), (6, 6, 4), (4, 4, 8), (4, 4, 4)]


def test_a_block_of_a_spec_cannot_be_used_outside_of_it():
    spec = spec_of("{name: n, input: [4], blocks: {unit: {layers: [fc: 2]}}, layers: [unit]}")
    unit = compile_plan(spec, Findings(spec.source)).blocks["unit"]
    builder = Builder((4,))
    with pytest.raises(UsageError, match="`unit` is a block of a spec"):
        builder(unit(), builder.input)


def test_an_op_with_windows_must_say_which():
    with pytest.raises(TypeError, match="op `peak` does not say: steps, window, work"):

        class Peak(Windowed, kind="peak"):
            output_shape = weights = saved_for_backward = emit = MaxPool.output_shape

    assert "peak" not in catalog.kinds()


def test_a_path_is_as_long_in_a_block_seen_before():
    conv = Conv(filters=4, kernel=1, activation="relu")
    builder = Builder((4, 4, 4))
    builder(conv, builder.input)
    with pytest.raises(Problem, match="longer than 1,000 characters"):
        builder(conv, builder.input, name="a" * 990)


def test_expansions_are_forgotten_before_they_fill_the_memory():
    expansion = network("- conv: {filters: 4, kernel: 1}").pieces[1].costs
    kept = Kept(most=3 * len(expansion.pieces))
    given, shape = frozenset({"filters", "kernel"}), Shape((4, 4, 4))
    keys = [("", Conv(filters=filters, kernel=1), given, shape) for filters in range(1, 9)]
    for key in keys:
        kept.keep(key, expansion, expansion)
        assert kept.get(key) is expansion
    assert sum(kept.get(key) is not None for key in keys) <= 3


OWN_GATE = """
name: net
input: [8, 8, 16]
vars: {mine: true}
blocks:
  own:
    args: {kernel: 3}
    layers:
      - {global_avg_pool: {keep_axes: true}}
      - {conv: {filters: =in.channels, kernel: 1, activation: sigmoid}, name: weights}
      - multiply: [input, weights]
layers:
"""


def test_a_gate_may_be_a_block_of_the_spec():
    """It is expanded at each place anew, and computed words name it as well as written ones."""
    gates = ["own", "{own: {kernel: 3}}", "'=\"own\" if mine else null'"]
    graphs = [
        expand(spec_of(OWN_GATE + f"  - {{repeat: 2, residual: {{filters: 16, gate: {gate}}}}}"))
        for gate in gates
    ]
    assert all(structure(graph) == structure(graphs[0]) for graph in graphs)
    names = [node.name for node in graphs[0].nodes if "/gate/weights/conv" in node.name]
    assert names == [f"residual{n}/gate/weights/convolution" for n in (1, 2)]


def test_the_gates_of_the_page_are_those_of_the_papers():
    """ECA learns one kernel; CBAM two 1x1 convolutions, and one of two channels, without biases."""
    page = (ROOT / "docs" / "gates.md").read_text(encoding="utf-8")
    written = re.search(r"```yaml\n# gates.yaml\n(.*?)```", page, re.DOTALL)
    assert written is not None
    graph = expand(spec_of(written[1]))
    learned = {
        unit: sum(node.layer.params for node in graph.nodes if node.name.startswith(f"{unit}/gate"))
        for unit in ("residual1", "residual2", "residual3", "inverted_residual1")
    }
    assert learned == {
        "residual1": 3,
        "residual2": 5,
        "residual3": 64 * 4 * 2 + 7 * 7 * 2,
        "inverted_residual1": 384 * 48 * 2 + 3 * 3 * 2,
    }


def test_the_first_steps_of_the_page_of_gates_fit():
    page = (ROOT / "docs" / "gates.md").read_text(encoding="utf-8")
    written = re.search(r"```yaml\n(layers:.*?)```", page, re.DOTALL)
    assert written is not None
    graph = expand(spec_of(f"name: net\ninput: [8, 8, 64]\n{written[1]}"))
    reduced = [node.shape.channels for node in graph.nodes if "reduce/convolution" in node.name]
    assert reduced == [64 // 16, 64 // 8, 64 // 4]
