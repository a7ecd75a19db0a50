"""Blocks: each is the same network as its parts written by hand, and small ones checked by eye."""

from math import prod

import pytest
from helpers import spec_of

from archspec.diagnostics import Diagnostic, SpecError
from archspec.expand import expand
from archspec.graph.graph import Graph


def network(steps: str, *, input: str = "[8, 8, 16]", head: str = "") -> Graph:  # noqa: A002
    return expand(spec_of(f"name: net\ninput: {input}\n{head}\nlayers:\n{steps}"))


def structure(graph: Graph) -> list:
    """Everything but the names: each layer's op, shapes, weights and costs, and the edges."""
    return [(node.layer, node.inputs) for node in graph.nodes]


def kinds(graph: Graph) -> list[str]:
    return [node.op.kind for node in graph.nodes[1:]]


SAME = {
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
- repeat: 2
  layers:
    - branches:
        - []
        - - batch_norm
          - activation: relu
          - convolution: {filters: 12, kernel: 1, bias: false}
          - batch_norm
          - activation: relu
          - convolution: {filters: 3, kernel: 3, padding: 1, bias: false}
      merge: concat
""",
    ),
    "plain dense": (
        "- dense: {layers: 3, growth: 2, bottleneck: null, dropout: 0.2}",
        """
- repeat: 3
  layers:
    - branches:
        - []
        - - batch_norm
          - activation: relu
          - convolution: {filters: 2, kernel: 3, padding: 1, bias: false}
          - dropout: 0.2
      merge: concat
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
- branches:
    - - conv: {filters: 16, kernel: 3, padding: 1, norm: batch, activation: relu}
      - conv: {filters: 16, kernel: 3, padding: 1, norm: batch}
    - []
  merge: add
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
    - [avg_pool: {size: 2, stride: 2}, pad_channels: 32]
  merge: add
- activation: relu
""",
    ),
    "bottleneck": (
        "- residual: {filters: 4, style: bottleneck}",
        """
- branches:
    - - conv: {filters: 4, kernel: 1, norm: batch, activation: relu}
      - conv: {filters: 4, kernel: 3, padding: 1, norm: batch, activation: relu}
      - conv: {filters: 16, kernel: 1, norm: batch}
    - []
  merge: add
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
- branches:
    - - conv: {filters: 12, kernel: 1, norm: batch, activation: relu}
      - conv: {filters: 12, kernel: 3, padding: 1, groups: 4, norm: batch, activation: relu}
      - conv: {filters: 16, kernel: 1, norm: batch}
    - []
  merge: add
- activation: relu
""",
    ),
    "pre-activation": (
        "- residual: {filters: 16, order: norm-act-conv}",
        """
- branches:
    - - batch_norm
      - activation: relu
      - convolution: {filters: 16, kernel: 3, padding: 1, bias: false}
      - batch_norm
      - activation: relu
      - convolution: {filters: 16, kernel: 3, padding: 1, bias: false}
    - []
  merge: add
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
- branches:
    - - convolution: {filters: 16, kernel: 3, padding: 1, bias: false}
      - batch_norm
      - activation: relu
      - convolution: {filters: 16, kernel: 3, padding: 1, bias: false}
    - []
  merge: add
""",
    ),
    "wide, with dropout between its convolutions": (
        "- residual: {filters: 16, order: norm-act-conv, dropout: 0.3}",
        """
- branches:
    - - batch_norm
      - activation: relu
      - convolution: {filters: 16, kernel: 3, padding: 1, bias: false}
      - batch_norm
      - activation: relu
      - dropout: 0.3
      - convolution: {filters: 16, kernel: 3, padding: 1, bias: false}
    - []
  merge: add
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
            "value",
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
            "- transition: 1.5",
            "type",
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
