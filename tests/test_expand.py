"""A whole spec and the network that it is: variables, variants, defaults, blocks, heads."""

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml
from support.specs import family_names, graph_of, spec_of

from archspec.compile.expand import expand
from archspec.compile.plan import PLANS
from archspec.errors import SpecError, UsageError
from archspec.graph.graph import Graph
from archspec.spec.document import choose, validate
from archspec.spec.loading import load, networks
from archspec.spec.source import parse
from archspec.spec.writing import to_yaml


def shapes(text: str, variant: str | None = None, **variables: Any) -> list[str]:
    """Name and shape of every layer."""
    graph = expand(spec_of(text, variant, **variables))
    return [f"{node.name} {node.shape}" for node in graph.nodes]


def widths(text: str, variant: str | None = None, **variables: Any) -> list[int]:
    """The channels of every layer after the input."""
    return [node.channels for node in expand(spec_of(text, variant, **variables)).nodes[1:]]


@pytest.mark.parametrize(
    ("extent", "expected"),
    [
        ("[9, 2]", "7x4"),
        ("[9, 8, 2]", "7x6x4"),
        ("[9, 8, 7, 2]", "7x6x5x4"),
    ],
)
def test_the_input_decides_the_number_of_axes(extent, expected):
    graph = expand(spec_of(f"{{name: n, input: {extent}, layers: [conv: 4]}}"))
    assert str(graph.output) == expected


@pytest.mark.parametrize(
    ("extent", "axes"),
    [
        ("[9, 2]", "in.length"),
        ("[9, 8, 2]", "in.height + in.width"),
        ("[9, 8, 7, 2]", "in.depth + in.height + in.width"),
    ],
)
def test_an_expression_names_the_axes_of_its_input(extent, axes):
    text = f"{{name: n, input: {extent}, layers: [pad_channels: = 100 * in.rank + {axes}]}}"
    total = {"[9, 2]": 9, "[9, 8, 2]": 17, "[9, 8, 7, 2]": 24}[extent]
    assert widths(text) == [100 * extent.count(",") + total]


# Variables, variants, and values from outside.

FAMILY = """
name: family
input: [8, 8, =channels]
vars: {half: =width // 2, width: 16, channels: 3, widths: [=half, =width]}
variants:
  small: {width: 8}
  gray: {channels: 1, widths: [5, 6]}
  family: {}
  tiny: {input: [4, 4, 2]}
layers:
- for: {filters: =widths}
  layers: [conv: {filters: =filters, kernel: 1}]
"""


def test_variables_may_need_one_another_in_any_order():
    assert widths(FAMILY) == [8, 16]


@pytest.mark.parametrize(
    ("variant", "extent", "expected"),
    [
        (None, (8, 8, 3), [8, 16]),
        ("family", (8, 8, 3), [8, 16]),
        ("small", (8, 8, 3), [4, 8]),
        ("gray", (8, 8, 1), [5, 6]),
        ("tiny", (4, 4, 2), [8, 16]),
    ],
)
def test_a_variant_changes_variables_and_what_needs_them(variant, extent, expected):
    graph = expand(spec_of(FAMILY, variant))
    assert (graph.name, graph.input) == (variant or "family", extent)
    assert [node.channels for node in graph.nodes[1:]] == expected


def nested(levels: int) -> list[Any]:
    outer: list[Any] = []
    for _ in range(levels):
        outer = [outer]
    return outer


def test_without_a_variant_of_the_familys_name_the_first_is_meant():
    assert spec_of(FAMILY.replace("  family: {}\n", "")).name == "small"


@pytest.mark.parametrize(
    ("variant", "given", "expected"),
    [
        (None, {"width": 4}, [2, 4]),
        ("small", {"width": 4}, [2, 4]),
        ("gray", {"width": 4}, [5, 6]),
        ("small", {"widths": [7]}, [7]),
        ("small", {"widths": (7, 9)}, [7, 9]),
        ("small", {"half": "=width * 3"}, [24, 8]),
    ],
)
def test_what_is_set_from_outside_counts_last(variant, given, expected):
    assert widths(FAMILY, variant, **given) == expected


@pytest.mark.parametrize("extent", [[6, 7, 1], (6, 7, 1), [6, "=3 + 4", "=channels - 2"]])
def test_the_input_may_be_set_from_outside(extent):
    graph = expand(spec_of(FAMILY, "tiny", input=extent))
    assert graph.input == (6, 7, 1)


def test_a_bundled_spec_takes_its_variant_and_variables(tmp_path):
    graph = expand(load("vgg", "vgg11", classes=10, input=[32, 32, 3]))
    assert (graph.name, graph.input, graph.output) == ("vgg11", (32, 32, 3), (10,))
    path = tmp_path / "family.yaml"
    path.write_text(FAMILY, encoding="utf-8")
    assert expand(load(path, "small", channels=2)).input == (8, 8, 2)


@pytest.mark.parametrize(
    ("variant", "given", "message"),
    [
        ("smal", {}, "no variant `smal`; did you mean `small`?"),
        (None, {"wdth": 3}, "no variable `wdth`; did you mean `width`?"),
        (
            None,
            {"width": {}},
            "`width` cannot be set to a mapping: a variable is a number",
        ),
        (None, {"widths": [1, {2}]}, "`widths` cannot be set to a value of type set"),
        (None, {"widths": [1] * 1_001}, "a list of at most 1,000"),
        (None, {"widths": nested(1_000)}, "`widths` cannot be set to a value of type list"),
        (None, {"width": b"3"}, "cannot be set to a value of type bytes"),
        (None, {"width": "=3 +"}, "`width` cannot be set to `=3 +`: the expression cannot be read"),
        (None, {"width": "=hight"}, "cannot be set to `=hight`: there is no `hight`"),
        (None, {"width": "=in.channels"}, "cannot be set to `=in.channels`: there is no `in`"),
        (None, {"width": "=1 / 0"}, "`width`, as it was set: 1 / 0 divides by zero"),
        (None, {"input": 3}, "`input`, as it was set: `input` cannot be 3"),
        (None, {"input": [8, 0, 3]}, "`input` needs whole numbers from 1 to 2147483647, not 0"),
        (None, {"width": "=half"}, "variables that depend on each other: half -> width -> half"),
    ],
)
def test_what_is_set_wrongly_from_outside_is_no_mistake_in_the_spec(variant, given, message):
    with pytest.raises(UsageError) as caught:
        expand(spec_of(FAMILY, variant, **given))
    assert message in str(caught.value)


def test_a_value_that_does_not_fit_is_a_mistake_where_it_is_used():
    with pytest.raises(SpecError) as caught:
        expand(spec_of(FAMILY, widths=3))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.message == "`filters` must be a list here, not 3"
    assert diagnostic.span.line == FAMILY.count("\n", 0, FAMILY.index("=widths")) + 1


def test_loops_and_arguments_hide_variables_of_the_same_name():
    text = """
name: n
input: [8, 8, 3]
vars: {a: 4, b: 5}
blocks:
  twice: {args: {a: int}, layers: [pad_channels: =a * b]}
layers:
- {for: {a: [6]}, layers: [pad_channels: =a, twice: 7]}
- pad_channels: =a * 100
"""
    assert widths(text) == [6, 35, 400]


# Defaults.

DEFAULTS = """
name: n
input: [8, 8, 4]
vars: {width: 6}
defaults:
  conv: {filters: =width, kernel: 1, norm: batch}
  batch_norm: {scale: false}
layers:
- conv
- conv: 5
- conv: {kernel: 3, norm: null}
- fire: {squeeze: 2, expand1x1: 3, expand3x3: 3}
"""


def test_defaults_fill_what_a_step_leaves_unsaid():
    assert shapes(DEFAULTS)[1:6] == [
        "conv1/convolution 8x8x6",
        "conv1/norm 8x8x6",
        "conv2/convolution 8x8x5",
        "conv2/norm 8x8x5",
        "conv3/convolution 6x6x6",  # null said is said
    ]


def test_defaults_reach_into_blocks_but_change_no_kernel_there():
    layers = {node.name: node for node in expand(spec_of(DEFAULTS)).nodes}
    assert "fire1/squeeze/norm" in layers
    assert layers["fire1/expand3x3/convolution"].op.kernel == 3
    assert {node.op.scale for name, node in layers.items() if name.endswith("norm")} == {False}


def test_defaults_reach_into_branches_and_blocks_of_the_specs_own():
    text = """
name: n
input: [8, 8, 4]
defaults: {conv: {kernel: 1}, own: {n: 7}}
blocks: {own: {args: {n: int, m: 1}, layers: [conv: =n]}}
layers:
- own
- own: {m: 2}
- own: 5
- {branches: [[conv: 2], []], merge: concat}
"""
    assert widths(text) == [7, 7, 5, 2, 7]


def test_a_default_means_the_variables_of_the_spec_wherever_it_is_used():
    text = """
name: n
input: [8, 8, 4]
vars: {a: 3}
defaults: {conv: {kernel: =a}}
blocks: {own: {args: {a: int}, layers: [conv: =a]}}
layers: [own: 5, {for: {a: [1]}, layers: [conv: =a]}]
"""
    assert shapes(text)[1:] == ["own1/conv1/convolution 6x6x5", "conv1/convolution 4x4x1"]


# Blocks of the spec's own.

BLOCKS = """
name: n
input: [8, 8, 4]
vars: {classes: 10}
blocks:
  unit:
    about: Two convolutions around which the input goes.
    args: {filters: int, norm: {type: str, default: null, about: "As in conv."}}
    layers:
    - conv: {filters: =filters, kernel: 1, norm: =norm}
    - {name: mid, conv: {filters: =in.channels, kernel: 1}}
    - concat: input
  stage:
    args:
      filters: [3, 5]
      kernel: {type: int, default: =1 + 1}
      wide: false
      rate: {type: float, default: 0}
    layers:
    - for: {f: =filters}
      layers: [unit: =f]
    - {max_pool: =kernel, when: =wide}
    - dropout: =rate
  top: {layers: [global_avg_pool, fc: =classes]}
layers:
- stage
- {name: last, stage: {filters: [2], wide: true, rate: 0.5}}
- top
"""


def test_a_block_of_the_specs_own_is_a_kind_like_any_other():
    assert shapes(BLOCKS)[1:] == [
        "stage1/unit1/conv1/convolution 8x8x3",
        "stage1/unit1/mid/convolution 8x8x3",
        "stage1/unit1/concat1 8x8x7",
        "stage1/unit2/conv1/convolution 8x8x5",
        "stage1/unit2/mid/convolution 8x8x5",
        "stage1/unit2/concat1 8x8x12",
        "stage1/dropout1 8x8x12",
        "last/unit1/conv1/convolution 8x8x2",
        "last/unit1/mid/convolution 8x8x2",
        "last/unit1/concat1 8x8x14",
        "last/max_pool1 4x4x14",
        "last/dropout1 4x4x14",
        "top1/global_avg_pool1 14",
        "top1/fc1/fully_connected 10",
    ]


def test_a_block_is_a_scope_of_its_kind():
    scopes = expand(spec_of(BLOCKS)).scopes
    assert [(scope.name, scope.kind) for scope in scopes if "/" not in scope.name] == [
        ("stage1", "stage"),
        ("last", "stage"),
        ("top1", "top"),
    ]


def test_inside_a_block_nothing_around_it_is_in_sight():
    text = """
name: n
input: [8, 8, 4]
blocks: {own: {layers: [softmax, add: stem]}}
layers: [{name: stem, softmax: {}}, own]
"""
    with pytest.raises(
        SpecError, match="`stem` is outside of the block, which sees its own inputs and steps alone"
    ):
        expand(spec_of(text))


# Heads.

HEADS = """
name: n
input: [8, 8, 4]
vars: {auxiliary: true}
layers:
- {name: stem, conv: 5}
- {name: body, conv: 6}
- global_avg_pool
heads:
  early: {from: stem, loss_weight: 0.3, when: =auxiliary, layers: [global_avg_pool, fc: 3]}
  late: {layers: [fc: 2, softmax]}
"""


def outputs(graph: Graph) -> dict[str, str]:
    return {name: graph.nodes[index].name for name, index in graph.outputs.items()}


def test_heads_are_further_outputs():
    graph = expand(spec_of(HEADS))
    assert outputs(graph) == {
        "output": "global_avg_pool1",
        "early": "early/fc1/fully_connected",
        "late": "late/softmax1",
    }
    assert graph.loss_weights == {"output": 1.0, "early": 0.3, "late": 1.0}
    layers = {node.name: node for node in graph.nodes}
    assert layers["early/global_avg_pool1"].inputs == (layers["stem/convolution"].index,)
    assert layers["late/fc1/fully_connected"].inputs == (layers["global_avg_pool1"].index,)


def test_a_head_may_be_left_out():
    graph = expand(spec_of(HEADS, auxiliary=False))
    assert list(outputs(graph)) == ["output", "late"]
    assert list(graph.loss_weights) == ["output", "late"]


# Other forms of the same spec.

WHOLE = {"FAMILY": FAMILY, "DEFAULTS": DEFAULTS, "BLOCKS": BLOCKS, "HEADS": HEADS}


@pytest.mark.parametrize("text", WHOLE.values(), ids=WHOLE)
def test_json_says_the_same(text):
    source = parse(json.dumps(yaml.safe_load(text)), "spec.json")
    assert expand(choose(validate(source), source, None, {})) == expand(spec_of(text))


@pytest.mark.parametrize("name", family_names())
def test_a_spec_as_plain_data_is_the_same_network(name):
    for spec in networks(name):
        data = spec.to_dict()
        assert expand(spec_of(json.dumps(data))) == expand(spec)
        assert expand(spec_of(yaml.safe_dump(data, sort_keys=False))) == expand(spec)


@pytest.mark.parametrize("variant", ["small", "gray", "tiny"])
def test_plain_data_keeps_what_was_set(variant):
    spec = spec_of(FAMILY, variant, width=4, input=(5, 5, "=channels"))
    again = spec_of(json.dumps(spec.to_dict()))
    assert (again.name, expand(again)) == (variant, expand(spec))
    assert expand(again).input[:2] == (5, 5)


def test_the_network_without_heads_has_nothing_that_only_they_need():
    spec = spec_of(
        """
name: net
input: [8, 8, 3]
layers:
  - {conv: 4, name: a}
  - {conv: 6, name: side, from: a}
  - {conv: 8, name: b, from: a}
heads:
  aux: {from: side, layers: [global_avg_pool]}
"""
    )
    inference = replace(spec, inference=True)
    with_heads, without = expand(spec), expand(inference)
    assert expand(spec_of(to_yaml(inference.to_dict()))).nodes == without.nodes
    assert {"side", "aux"} <= set(with_heads.paths)
    assert [node.name for node in without.nodes] == ["input", "a/convolution", "b/convolution"]
    assert [(scope.name, scope.start, scope.stop) for scope in without.scopes] == [
        ("a", 1, 2),
        ("b", 2, 3),
    ]


@pytest.mark.parametrize(
    "step",
    [
        "{softmax: {}, from: a, when: =wide}",
        "{add: a, when: =wide}",
        "{concat: [a, nowhere], when: false}",
        "{layers: [softmax], from: a, when: =wide}",
        "{softmax: {}, from: a, repeat: 3, when: =wide and index > 0}",
        "{softmax: {}, from: a, repeat: 0}",
    ],
)
def test_a_step_that_is_left_out_needs_no_input(step):
    text = (
        "{name: n, input: [4, 4, 3], vars: {wide: false}, "
        f"layers: [{{softmax: {{}}, name: a, when: =wide}}, {step}, flatten]}}"
    )
    assert [node.name for node in expand(spec_of(text)).nodes] == ["input", "flatten1"]


def test_a_head_that_is_left_out_needs_no_input():
    text = (
        "{name: n, input: [4, 4, 3], layers: [flatten], "
        "heads: {aux: {from: nowhere, when: false, layers: [flatten]}}}"
    )
    assert len(expand(spec_of(text)).nodes) == 2


@pytest.mark.parametrize(
    ("layers", "plain"),
    [
        ("conv: =16 * 0.5", "conv: 8"),
        ("conv: 8.0", "conv: 8"),
        ("conv: {filters: 8, kernel: [3.0, =6 / 2.0]}", "conv: {filters: 8, kernel: [3, 3]}"),
        ("{conv: 8, repeat: =4 * 0.5}", "{conv: 8, repeat: 2}"),
        ("{conv: 8, repeat: 2.0}", "{conv: 8, repeat: 2}"),
        ("conv: '=[4, 8][0.5 * 2]'", "conv: 8"),
        ("{for: {n: '=range(4.0, 6.0)'}, layers: [conv: =n]}", "conv: 4, conv: 5"),
        ("mlpconv: {kernel: 1, filters: '=[4, 8] * 1.0'}", "mlpconv: {kernel: 1, filters: [4, 8]}"),
        ("pad: [[1.0, 0], [0, 1.0]]", "pad: [[1, 0], [0, 1]]"),
    ],
)
def test_a_float_that_is_whole_is_a_whole_number(layers, plain):
    found, expected = graph_of(layers, "[8.0, =4 * 2.0, 4]"), graph_of(plain, "[8, 8, 4]")
    assert [node.layer.op for node in found.nodes] == [node.layer.op for node in expected.nodes]


def test_an_argument_of_a_block_is_whole_or_not_as_its_type_says():
    text = (
        "{name: n, input: [4, 4, 3], "
        "blocks: {b: {args: {n: int, rate: {type: float, default: 0}}, "
        "layers: [conv: {filters: =n, kernel: 1, dropout: =rate}]}}, "
        "layers: [b: {n: =16 * 0.5, rate: 0.25}, b: 8.0]}"
    )
    shapes = [node.shape for node in expand(spec_of(text)).nodes]
    assert shapes[-1] == (4, 4, 8)


@pytest.mark.parametrize("number", ["8.5", "=17 * 0.5", "1.0e+300", "9007199254740994.0"])
def test_a_float_that_is_not_whole_or_not_exact_is_no_count(number):
    with pytest.raises(SpecError, match="must be a whole number from 1"):
        graph_of(f"conv: {number}")


@pytest.mark.parametrize("number", [float("inf"), float("nan"), 8.5])
def test_a_number_from_outside_that_is_no_count_is_refused(number):
    spec = spec_of("{name: n, input: [4, 4, 3], vars: {w: 8}, layers: [conv: =w]}", w=number)
    with pytest.raises(SpecError):
        expand(spec)


@pytest.mark.parametrize(
    ("to", "shape"),
    [
        ("[null, 4]", (32, 4)),
        ("[8, null]", (8, 16)),
        ("[null]", (128,)),
        ("[2, null, 8]", (2, 8, 8)),
    ],
)
def test_a_reshape_works_out_the_one_extent_that_is_null(to, shape):
    assert graph_of(f"reshape: {to}", "[4, 8, 4]").output == shape


def test_a_shared_reshape_fits_another_size():
    """As of the predictions of a detector, at levels of several sizes."""
    graph = graph_of(
        "{name: level, max_pool: 2}, {name: tower, layers: [conv: 6, reshape: [null, 3]]}, "
        "{name: other, share: tower, from: input}, {concat: {axis: length}, from: [tower, other]}",
        "[8, 8, 4]",
    )
    assert graph.output == (2 * 2 * 2 + 6 * 6 * 2, 3)


@pytest.mark.parametrize("default", ["=act", '="tanh" if plain else act'])
@pytest.mark.parametrize("given", ["tanh", "{leaky_relu: 0.2}"])
def test_an_argument_that_defaults_to_an_activation_is_one(default, given):
    args = f"{{act: {{type: activation}}, plain: false, last: '{default}'}}"
    text = f"""
name: net
input: [8, 8, 4]
blocks: {{unit: {{args: {args}, layers: [activation: =last]}}}}
layers: [unit: {{act: {given}}}]
"""
    assert expand(spec_of(text)).nodes[-1].op == graph_of(f"activation: {given}").nodes[-1].op


OWN_GATE = """
name: net
input: [8, 8, 4]
vars: {width: 4, other: 1, kind: my_gate}
blocks:
  my_gate:
    layers:
      - conv: {filters: =width, kernel: 1}
      - conv: {filters: 4, kernel: 1, activation: sigmoid}
layers:
  - residual: {filters: 4, style: basic, gate: =kind}
  - global_avg_pool
  - fc: =other
"""


def test_networks_of_one_text_share_what_was_checked_but_no_values():
    """A block of the spec's own reads the variables of the network that it stands in."""
    source = parse(OWN_GATE)
    validated = validate(source)
    for values in ({}, {"width": 6}, {"other": 3}, {"width": 4.0}, {"width": 6, "other": 3}):
        again = expand(choose(validated, source, None, values))
        PLANS.clear()
        assert again == expand(spec_of(OWN_GATE, **values)), values


def test_a_mistake_in_the_steps_is_found_in_each_network_of_a_text():
    text = "{name: net, input: [8], vars: {n: 1}, layers: [fc: =n, fcc: 2]}"
    source = parse(text)
    validated = validate(source)
    for n in (1, 2):
        with pytest.raises(SpecError, match="fcc"):
            expand(choose(validated, source, None, {"n": n}))
