"""Graphs back to specs: every network gives a spec, and the spec the same network."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from support.random_specs import specs
from support.specs import graph_of, spec_of, telling_families

import archspec
from archspec.cli import main
from archspec.compile.expand import expand
from archspec.decompile.decompiler import decompiled
from archspec.decompile.naming import Naming
from archspec.decompile.proof import difference
from archspec.decompile.running import open_runner
from archspec.decompile.steps import Step
from archspec.decompile.view import View
from archspec.decompile.weighted import compare_outputs
from archspec.graph.graph import Graph
from archspec.imports.building import ModelBuilder
from archspec.ops.arrangement import Reshape, Slice
from archspec.ops.convolution import Convolution, FullyConnected
from archspec.ops.elementwise import Activate
from archspec.ops.merge import Add, Concat, MatMul, Multiply
from archspec.ops.normalization import LayerNorm
from archspec.ops.pooling import GlobalAvgPool, MaxPool
from archspec.spec.loading import load, networks

SMALL = 1_000
"""Largest number of layers of the networks that are tried by default."""


def text_of(graph: Graph) -> str:
    """Return the text of the spec that a graph gives, which has the same network."""
    made = decompiled(graph)
    assert difference(graph, made.graph, made.order) is None
    return made.text


def spec_from(layers: str, extent: str = "[32, 32, 4]") -> list[str]:
    """Return the lines of `layers` of the spec that the network of these steps gives."""
    return text_of(graph_of(layers, extent)).partition("layers:\n")[2].splitlines()


def apart(*units: str) -> Graph:
    """Return a network in which three or four units stand apart, on 8, 12, 16 and 24 channels."""
    between = (
        ["conv: 8"],
        ["max_pool: 2", "conv: 12"],
        ["conv: 16", "activation: relu"],
        ["avg_pool: 2", "conv: 24"],
    )
    steps = [step for before, unit in zip(between, units, strict=False) for step in (*before, unit)]
    return graph_of(", ".join(steps), "[32, 32, 4]")


def builder(**inputs: tuple[int, ...]) -> ModelBuilder:
    return ModelBuilder("net.onnx", inputs, name="net", format_name="ONNX")


@pytest.mark.parametrize("family", telling_families())
def test_every_family_gives_a_spec_of_the_same_network(family):
    for spec in networks(family):
        graph = expand(spec)
        if graph.size <= SMALL:
            text_of(graph)


@given(specs())
@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
def test_random_networks_give_specs_of_the_same_networks(spec):
    text_of(expand(spec_of(json.dumps(spec))))


@pytest.mark.parametrize(
    ("network", "most"),
    [("vgg16", 20), ("resnet50_keras", 40), ("densenet121", 40), ("mobilenet_v2", 45)],
)
def test_well_known_networks_are_as_short_as_a_person_would_write_them(network, most):
    assert len(text_of(expand(load(network))).splitlines()) <= most


def test_what_norms_that_stand_alone_have_is_not_said_of_those_in_blocks():
    """As in a head of its own, whose norms are another library's than the backbone's."""
    alone = "convolution: {filters: 4, kernel: 1}, batch_norm: {epsilon: 1e-5}"
    unit = "conv: {filters: 4, norm: batch, activation: relu}"
    layers = ", ".join([*[unit] * 4, *[alone] * 3])
    text = text_of(graph_of(layers, "[16, 16, 4]"))
    assert text.partition("defaults:\n")[2].splitlines() == [
        "  conv: {norm: batch, activation: relu}",
        "layers:",
        "  - {conv: 4, repeat: 4}",
        f"  - {{repeat: 3, layers: [{alone}]}}",
    ]


@pytest.mark.parametrize(
    ("number", "written"),
    [
        ("0.00392156862745098", "=1 / 255"),
        ("0.003921569", "=1 / 255"),
        ("0.00784313725490196", "=1 / 127.5"),
        ("0.25", "0.25"),
        ("0.17677669", "0.17677669"),
    ],
)
def test_simple_fractions_are_written_as_such(number, written):
    assert spec_from(f"rescale: {number}") == [f"  - rescale: {written}"]


def test_a_loop_is_not_called_as_steps_are_that_use_a_block_of_the_spec():
    """The rounds of a loop `stage` are `stage1` and so on, as are the uses of a block `stage`."""
    loop = Step("layers", 1, body=[Step("conv", 1, name="skip")])
    Naming(View(graph_of("conv: 4")), [loop], [], ["stage"]).name_loops([loop])
    assert loop.name == "stage_1"


def test_a_name_of_any_length_has_room_for_a_number_behind_it():
    b = builder(image=(8,))
    made = [b.inputs["image"]]
    for units in (8, 4, 2):
        name = "tower" * 20 + str(units)
        made.append(b.add(FullyConnected(units=units), made[-1], name=name, type_name="Gemm"))
    x = b.add(Concat(), *made[1:], name="all", type_name="Concat")
    text = text_of(b.finish({"out": x}).graph)
    names = {*re.findall(r"tower\w+", text)}
    assert len(names) > 1
    assert max(map(len, names)) <= 64


BLOCKS = [
    "conv: {filters: 8, norm: batch, activation: relu}",
    "conv: {filters: 8, norm: batch, activation: relu, order: norm-act-conv}",
    "separable_conv: {filters: 8, norm: batch}",
    "residual: 4",
    "residual: {filters: 8, stride: 2}",
    "residual: {filters: 4, style: bottleneck}",
    "residual: {filters: 8, gate: squeeze_excitation}",
    "residual: {filters: 8, order: norm-act-conv}",
    "residual: {filters: 8, shortcut: pad, stride: 2}",
    "inverted_residual: 4",
    "inverted_residual: {filters: 8, stride: 2}",
    "inverted_residual: {filters: 4, gate: {squeeze_excitation: 8}}",
    "inverted_residual: {filters: 4, fused: true}",
    "inception: {conv1x1: 4, conv3x3: 8, conv5x5: 2, reduce3x3: 4, reduce5x5: 2, pool_proj: 4}",
    "inception: {conv1x1: 4, conv3x3: 8, conv5x5: 2}",
    "fire: {squeeze: 4, expand1x1: 8, expand3x3: 8}",
    "dense: {layers: 3, growth: 4}",
    "dense: {layers: 2, growth: 4, bottleneck: null}",
    "dual_path: {layers: 2, filters: 8, growth: 4, width: 2, cardinality: 4}",
    "fractal: 8",
    "squeeze_excitation: 2",
    "mlpconv: {filters: [8, 8, 4], kernel: 5}",
    "patchify: {filters: 8, patch: 4}",
    "attention: 2",
    "attention: {heads: 2, window: 4, shift: 2, relative_position_bias: true}",
    "transformer: 2",
    "transformer: {heads: 2, order: post-norm, layer_scale: 0.1, drop_path: 0.1}",
]


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_is_recognised(block):
    kind = block.partition(":")[0]
    made = spec_from(block)
    assert len([line for line in made if line.lstrip(" -").startswith((kind, f"{{{kind}"))]) == 1
    assert [line for line in made if line.startswith("  - ")][1:] == []


def test_the_order_of_summands_does_not_hide_a_block():
    first = "conv: {filters: 4, padding: 1, norm: batch, activation: relu, bias: false}"
    second = "conv: {filters: 4, padding: 1, norm: batch, bias: false}"
    unit = f"{{branches: [[], [{first}, {second}]], merge: add}}"
    assert spec_from(f"{unit}, activation: relu") == ["  - residual: 4"]


def test_attention_in_steps_is_the_block():
    """On a sequence, a fully connected layer needs no word that it works at each position."""
    parts = [
        "[slice: {axis: height, stop: 2}, {name: q, rescale: 0.5}, "
        "{name: k, slice: {axis: height, start: 2, stop: 4}, from: heads}, "
        "{name: scores, matmul: {transpose_b: true}, from: [q, k]}, softmax]",
        "[slice: {axis: height, start: 4, stop: 6}]",
    ]
    layers = (
        "layer_norm, fc: 24, reshape: [16, 6, 4], "
        "{name: heads, permute: [width, height, channels]}, "
        f"{{branches: [{', '.join(parts)}], merge: matmul}}, "
        "permute: [width, height, channels], reshape: [16, 8], fc: 8"
    )
    assert spec_from(layers, "[16, 8]") == ["  - layer_norm", "  - attention: 2"]


@pytest.mark.parametrize(
    ("step", "written"),
    [
        ("rescale: 0.07500000000000001", "rescale: 0.075"),
        ("rescale: 0.1767766952966369", "rescale: 0.17677669"),
        ("rescale: 0.1234567", "rescale: 0.1234567"),
        ("dropout: 0.08461538461538462", "dropout: 0.08461539"),  # as its own is written
        ("dropout: 0.30000000000000004", "dropout: 0.3"),
        ("activation: {relu: {max: 6}}", "activation: relu6"),
    ],
)
def test_values_are_written_as_short_as_single_precision_allows(step, written):
    assert spec_from(f"softmax, {step}") == ["  - softmax", f"  - {written}"]


def test_numbers_that_differ_in_single_precision_are_told_apart():
    ours, theirs = graph_of("rescale: 0.1234567"), graph_of("rescale: 0.1234568")
    assert difference(ours, theirs, range(2)) is not None


def test_a_width_is_no_multiple_of_a_count():
    unit = """{{branches: [[], [conv: {{filters: {0}, kernel: 1}}, softmax,
        conv: {{filters: 8, kernel: 1}}]], merge: add}}"""
    units = ", ".join(unit.format(width) for width in (32, 64, 64, 96, 96, 96))
    assert spec_from(f"conv: 8, {units}")[1] == "  - for: {n: [1, 2, 3], filters: [32, 64, 96]}"


def test_a_comment_says_what_file_it_was_and_that_the_spec_is_the_same():
    text = archspec.import_model(FILES / "darknet/yolov3_tiny.cfg").text
    first, *_, last = [line for line in text.splitlines() if line.startswith("#")]
    assert first.startswith("# yolov3_tiny.cfg: Darknet")
    assert "parameters" in first
    assert last.startswith("# Compiled, this spec has the layers of the file")


def test_equal_steps_become_a_loop():
    assert spec_from("conv: 8, conv: 8, conv: 8") == ["  - {conv: 8, repeat: 3}"]


GATED = """{{branches: [[], [global_avg_pool, {{reshape: [1, 1, {width}]}},
    {{conv: {{filters: {narrow}, kernel: 1}}}}, {{conv: {{filters: {width}, kernel: 1}}}}]],
    merge: multiply}}"""
"""A gate as keras.applications writes it, which is not a kind of archspec's."""


def test_numbers_of_a_block_follow_from_what_its_steps_read():
    first, second, third = (GATED.format(width=n, narrow=n // 4) for n in (8, 12, 16))
    text = text_of(apart(first, second, third))
    block, _, rest = text.partition("blocks:\n  module:\n")[2].partition("\nlayers:\n")
    assert [line.strip(" -") for line in block.splitlines()] == [
        "layers:",
        "branches:",
        "[]",
        "global_avg_pool",
        "reshape: [1, 1, =in.channels]",
        "conv: {filters: =in.channels // 4, kernel: 1}",
        "conv: {filters: =input.channels, kernel: 1}",
        "merge: multiply",
    ]
    assert rest.count("  - module\n") == 3


def test_steps_that_stand_apart_become_a_block_with_arguments():
    first, second, third = (GATED.format(width=n, narrow=m) for n, m in ((8, 3), (12, 5), (16, 5)))
    text = text_of(apart(first, second, third))
    blocks, _, rest = text.partition("layers:\n  - conv: ")
    assert "blocks:\n  module:\n    args: {filters: int}\n" in blocks
    assert "{filters: =filters, kernel: 1}" in blocks
    assert [line for line in rest.splitlines() if "module" in line] == [
        "  - module: 3",
        "  - module: 5",
        "  - module: 5",
    ]


def optional_units(*units: str) -> list[str]:
    """Return the lines from `blocks` on of the spec of these residual branches with tanh before."""
    layers = ", ".join(f"activation: tanh, {{branches: {unit}, merge: add}}" for unit in units)
    text = text_of(graph_of(f"conv: 8, {layers}", "[32, 32, 4]"))
    return text.partition("\nblocks:\n")[2].splitlines()


def test_a_step_that_some_places_of_a_block_lack_is_optional():
    plain = """[[conv: {{filters: {0}, kernel: 1}}, softmax, conv: {{filters: {0}, padding: same}},
        tanh, conv: {{filters: 8, kernel: 1}}], []]""".replace("tanh", "activation: tanh")
    gated = plain.replace("softmax", "softmax, {{squeeze_excitation: {1}}}")
    lines = optional_units(
        plain.format(16), gated.format(24, 4), plain.format(32), gated.format(40, 2)
    )
    assert "    args: {filters: int, ratio: int}" in lines
    assert "            - {squeeze_excitation: =ratio, when: =ratio > 0}" in lines
    assert "  - for: {filters: [16, 24, 32], ratio: [0, 4, 0]}" in lines


def test_steps_that_only_places_with_a_stride_have_are_on_a_condition_of_it():
    ways = """[[activation: tanh, conv: {{filters: {width}, kernel: 1}}, softmax,
        conv: {{filters: 8, kernel: 1, stride: {stride}}}, softmax], [{skip}]]"""
    skip = "max_pool: {size: 1, stride: 2}, batch_norm"
    strides = {16: 1, 24: 2, 32: 1, 40: 2}
    lines = optional_units(
        *(
            ways.format(width=width, stride=stride, skip=skip if stride > 1 else "")
            for width, stride in strides.items()
        )
    )
    assert "    args: {filters: int, stride: int}" in lines
    assert (
        "          - [{when: =stride > 1, layers: [max_pool: {size: 1, stride: 2}, batch_norm]}]"
        in lines
    )
    assert "  - for: {filters: [16, 24, 32], stride: [1, 2, 1]}" in lines


def test_a_block_of_a_few_layers_without_names_is_named_by_their_kinds():
    unit = (
        "softmax, {{conv: {{filters: {0}, kernel: [1, 5], padding: same, dilation: 2}}}}, softmax"
    )
    between = ("max_pool: 2", "batch_norm", "rescale: 3", "dropout: 0.5", "pad: 1", "avg_pool: 2")
    widths = (8, 16, 8, 32, 16, 8)
    layers = ", ".join(f"{unit.format(n)}, {step}" for n, step in zip(widths, between, strict=True))
    blocks = text_of(graph_of(layers, "[32, 32, 4]")).partition("blocks:\n")[2]
    assert blocks.startswith("  softmax_conv_softmax:\n    args: {filters: int}\n")


def test_groups_with_little_in_common_are_not_one_block():
    one = "[[conv: {{filters: {0}, kernel: 1}}, softmax, conv: {{filters: 8, kernel: 1}}], []]"
    other = """[[max_pool: {{size: {0}, stride: 1, padding: same}}, activation: tanh, batch_norm,
        rescale: 3], []]"""
    lines = optional_units(*(one.format(n) for n in (16, 24, 32)), *map(other.format, (3, 5, 7)))
    assert not [line for line in lines if "when:" in line]


CELL = """- {{name: near{i}, conv: {{filters: {width}, kernel: 1}}, from: c{later}}}
- {{name: far{i}, conv: {{filters: {width}, kernel: 1}}, from: c{earlier}}}
- {{name: left{i}, conv: {{filters: {width}, kernel: 5, padding: same}}, from: near{i}}}
- {{name: right{i}, depthwise_conv: {{kernel: 3, padding: {pad}}}, from: far{i}}}
- {{name: sum{i}, add: [left{i}, right{i}]}}
- {{name: third{i}, depthwise_conv: {{kernel: 5, padding: same}}, from: far{i}}}
- {{name: last{i}, add: [third{i}, near{i}]}}
- {{name: c{i}, concat: [sum{i}, last{i}, far{i}]}}
"""
"""A cell that takes the outputs of the two before it, as in NASNet."""


def test_cells_that_take_the_two_before_them_become_a_block_of_two_inputs():
    cells = [(8, 1), (8, 1), (16, 1), (16, "[[1, 1], [1, 1]]")]
    body = "- {name: c0, max_pool: 2}\n- {name: c1, activation: relu}\n" + "".join(
        CELL.format(i=i, later=i - 1, earlier=i - 2, width=width, pad=pad)
        for i, (width, pad) in enumerate(cells, start=2)
    )
    text = text_of(expand(spec_of(f"name: cells\ninput: [32, 32, 3]\nlayers:\n{body}")))
    assert "    inputs: [earlier, later]\n    args: {filters: int}\n" in text
    _, _, layers = text.partition("\nlayers:\n")
    calls = [line for line in layers.splitlines() if "from: [" in line]
    assert [re.findall(r": (\d+), from: (.*)}", line) for line in calls] == [
        [("8", "[c0, c1]")],
        [("8", "[c1, c2]")],
        [("16", "[c2, c3]")],
        [("16", "[c3, c4]")],
    ]


def test_what_most_uses_of_a_block_have_is_the_default_of_its_argument():
    block = """{{branches: [[], [conv: {{filters: {inner}, kernel: {kernel}, padding: same}},
        softmax, conv: {{filters: {width}, kernel: 1}}, activation: tanh]], merge: add}}"""
    first, second, third, fourth = (
        block.format(width=width, inner=inner, kernel=kernel)
        for width, inner, kernel in ((8, 5, 3), (12, 7, 5), (16, 9, 3), (24, 11, 3))
    )
    text = text_of(apart(first, second, third, fourth))
    assert "args: {filters: int, kernel: 3}" in text
    calls = re.findall(r"\n  - add_block: (.*)", text)
    assert calls == ["5", "{filters: 7, kernel: 5}", "9", "11"]


def test_what_a_step_reads_stands_right_before_it():
    """Keras lists the layers of branches by their distance from the input."""
    b = builder(image=(8,))
    x = b.inputs["image"]
    ends = [x, b.add(Activate(function="tanh"), x, name="other", type_name="")]
    for place in range(3):
        for side, end in enumerate(ends):
            op = FullyConnected(units=8 + 4 * place)
            ends[side] = b.add(op, end, name=f"{'ab'[side]}_{place}", type_name="Gemm")
    both = b.add(Concat(), ends[0], ends[1], name="all", type_name="Concat")
    again = b.add(Concat(), both, ends[0], name="again", type_name="Concat")
    lines = text_of(b.finish({"out": again}).graph).splitlines()
    assert [line for line in lines if "from" in line] == ["  - {activation: tanh, from: input}"]


def test_of_blocks_of_one_name_the_second_says_what_it_does():
    b = builder(image=(8,))
    x = b.inputs["image"]
    between = {"n": LayerNorm(), "a": Activate(function="swish"), "f": FullyConnected(units=8)}
    for number, (sort, kinds) in enumerate(
        zip("ABBABA", ("", "a", "f", "aa", "fn", "af"), strict=True)
    ):
        name = f"stage{number}"
        for kind in kinds:
            x = b.add(between[kind], x, name=f"between{number}_{kind}", type_name="")
        y = x
        for place, function in enumerate(("tanh", "relu") if sort == "A" else ("elu", "selu")):
            units = 8 * (4 - 3 * place)
            y = b.add(LayerNorm(), y, name=f"{name}_norm{place}", type_name="")
            y = b.add(FullyConnected(units=units), y, name=f"{name}_fc{place}", type_name="")
            y = b.add(Activate(function=function), y, name=f"{name}_act{place}", type_name="")
        merge = Multiply() if sort == "A" else Add()
        x = b.add(merge, x, y, name=f"{name}_end", type_name="")
    text = text_of(b.finish({"out": x}).graph)
    assert re.findall(r"\n  (\w+):\n    layers", text) == ["stage", "stage_residual"]


def test_a_block_of_layers_with_long_names_has_a_name_that_a_spec_may_have():
    b = builder(image=(32, 32, 4))
    x = b.inputs["image"]
    before = (), (MaxPool(size=2),), (Activate(function="relu"), MaxPool(size=2))
    for number, (width, ops) in enumerate(zip((8, 12, 16), before, strict=True)):
        for place, op in enumerate((Convolution(filters=width, kernel=3), *ops)):
            x = b.add(op, x, name=f"a{number}_{place}", type_name="")
        y = x
        for place, op in enumerate(
            (
                GlobalAvgPool(),
                Reshape(to=(1, 1, width)),
                Convolution(filters=width // 4, kernel=1),
                Convolution(filters=width, kernel=1),
            )
        ):
            name = f"{'tower' * 20}_{number}_{place}"
            y = b.add(op, y, name=name, type_name="")
        x = b.add(Multiply(), x, y, name=f"{'tower' * 20}_{number}_m", type_name="Mul")
    text = text_of(b.finish({"out": x}).graph)
    (name,) = re.findall(r"\nblocks:\n  (\w+):", text)
    assert len(name) <= 64


def test_neighbours_are_a_loop_and_no_block():
    gate = GATED.format(width=8, narrow=2)
    assert "blocks:" not in text_of(graph_of(f"conv: 8, {gate}, {gate}, {gate}"))


def test_modules_are_a_loop_before_what_is_alike_inside_them_is():
    def module(width: int) -> str:
        way = ", ".join(f"conv: {{filters: {n}, kernel: 1}}" for n in (width, width + 1, width + 2))
        return f"{{branches: [[{way}], [{way}]], merge: concat}}"

    text = text_of(graph_of(f"{module(4)}, {module(6)}"))
    assert "layers:\n  - for: {filters: [4, 6], filters2: [5, 7], filters3: [6, 8]}\n" in text


def test_shared_weights_are_shared_in_the_spec():
    made = text_of(expand(load("siamese")))
    assert "share: tower" in made
    assert made.count("from: right") == 1


def test_a_product_of_two_matrices_without_heads_is_no_attention():
    model = builder(points=(6, 3))
    x = model.inputs["points"]
    three = model.add(Slice(axis="length", stop=3), x, name="three", type_name="")
    square = model.add(Reshape(to=(3, 3)), three, name="square", type_name="")
    product = model.add(MatMul(), x, square, name="product", type_name="")
    scores = model.add(FullyConnected(units=2), product, name="scores", type_name="")
    text_of(model.finish({"scores": scores}).graph)


def test_what_no_block_is_stays_branches():
    layers = "{branches: [[conv: 4], [max_pool: {size: 3, stride: 1}]], merge: add}"
    assert spec_from(layers) == [
        "  - branches:",
        "      - [conv: 4]",
        "      - [max_pool: {size: 3, stride: 1}]",
        "    merge: add",
    ]


FILES = Path(__file__).parent / "model_files"
TEXTS = sorted([*FILES.glob("*/*.prototxt"), *FILES.glob("*/*.cfg")])


@pytest.mark.parametrize("file", TEXTS, ids=lambda path: path.name)
def test_model_files_become_specs_of_the_same_table(file):
    imported = archspec.import_model(file)
    made, model = archspec.report(imported.spec), archspec.report(archspec.load(file))
    assert (made.totals.params, made.totals.macs) == (model.totals.params, model.totals.macs)
    assert [*imported.names] == [node.name for node in imported.model.graph.nodes]
    assert max(map(len, imported.text.splitlines())) <= 100


def test_inception_modules_are_recognised_in_caffes_file():
    text = archspec.import_model(FILES / "caffe" / "googlenet.prototxt").text
    assert text.count("- inception:") == 9


def test_a_spec_is_no_model_file(tmp_path):
    with pytest.raises(
        archspec.UsageError, match="lenet5 is not a model file: it is a spec already"
    ):
        archspec.import_model("lenet5")
    page = tmp_path / "page.html"
    page.write_text("<p>no: model</p>", encoding="utf-8")
    done = CliRunner().invoke(main, ["import", str(page)])
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {page} is not a model file: ")


def test_the_command_prints_the_spec_or_writes_it(tmp_path):
    file = str(FILES / "darknet" / "darknet53.cfg")
    printed = CliRunner().invoke(main, ["import", file])
    assert printed.exit_code == 0
    assert printed.stdout.startswith("# darknet53.cfg: Darknet")
    assert "layers have other names in the spec; `-o names.csv` writes both" in printed.stderr
    spec, names = tmp_path / "net.yaml", tmp_path / "names.csv"
    done = CliRunner().invoke(main, ["import", file, "-o", str(spec), "-o", str(names)])
    assert done.exit_code == 0
    assert "names.csv` writes both" not in done.stderr
    assert spec.read_text(encoding="utf-8") == printed.stdout
    assert names.read_text(encoding="utf-8").startswith("layer,step\ninput,input\n")


def test_a_layer_that_archspec_does_not_know_is_named():
    b = builder(input=(8, 8, 3))
    x = b.add(Activate(function="relu"), b.inputs["input"], name="a", type_name="Relu")
    y = b.unknown("Foo", x, name="strange", reason="archspec has no such layer")
    code = b.unknown("Lambda", y, name="code", reason="it runs Python code")
    message = (
        r"2 layers of this model: `strange` \(Foo\): archspec has no such layer; "
        r"`code` \(Lambda\): it runs Python code\. "
    )
    with pytest.raises(archspec.UsageError, match=message):
        archspec.import_model(b.finish({"output": code}))


def test_names_that_no_spec_has_are_made_fit():
    b = ModelBuilder(
        "net.onnx", {"data:0": (8, 8, 3), "7": (3,)}, name="7 net!", format_name="ONNX"
    )
    x = b.add(Activate(function="relu"), b.inputs["data:0"], name="a", type_name="Relu")
    y = b.add(Activate(function="tanh"), b.inputs["7"], name="b", type_name="Tanh")
    text = archspec.import_model(b.finish({"loss/one": x, "out put": y})).text
    assert "name: model_7_net" in text
    assert "inputs: {data_0: [8, 8, 3], input_7: [3]}" in text
    assert "  out_put:\n    from: input_7" in text


@pytest.mark.keras
def test_a_model_that_is_built_from_a_file_says_that_its_weights_are_random(tmp_path):
    file, again = FILES / "keras" / "first-3.15.1.keras", tmp_path / "again.keras"
    done = CliRunner().invoke(main, ["build", str(file), "-o", str(again)])
    assert done.exit_code == 0
    assert f"random; `archspec import {file} -o {again}` keeps the file's" in done.stderr


@pytest.mark.keras
def test_a_keras_model_becomes_a_spec_whose_model_gives_the_same_outputs(tmp_path):
    file, spec, again = (str(tmp_path / name) for name in ("a.keras", "a.yaml", "b.keras"))
    archspec.build("lenet5").save(file)
    done = CliRunner().invoke(main, ["import", file, "-o", spec, "-o", again, "--verify"])
    assert done.exit_code == 0, done.output
    assert "the outputs are equal on random examples" in done.stderr
    assert archspec.report(spec).totals == archspec.report("lenet5").totals
    assert (
        archspec.import_model(again).text.partition("name:")[2]
        == (archspec.import_model(file).text.partition("name:")[2])
    )


@pytest.mark.keras
def test_outputs_keep_their_names_whatever_reads_them_and_however_often(tmp_path):
    import keras

    image = keras.Input((6, 3))
    inner = keras.layers.Dense(4, name="inner")(image)
    end = keras.layers.Dense(2, name="end")(inner)
    names = []
    for outputs in [end, inner], [inner, end], [end, end], [end, inner, inner]:
        file = tmp_path / "net.json"
        file.write_text(keras.Model(image, outputs).to_json())
        names.append([*expand(archspec.import_model(file).spec).outputs])
    assert names == [
        ["output", "inner"],
        ["output", "end"],
        ["output", "end_2"],
        ["output", "inner", "inner_2"],
    ]


@pytest.mark.keras
@pytest.mark.parametrize(
    ("file", "tolerance"),
    [
        ("keras/zoo-3.0.5.h5", 1e-6),
        ("onnx/torch_script_net.onnx", 1e-5),
        ("onnx/torch_script_gru.onnx", 1e-5),  # the batch is its second axis
        ("onnx/keras_tf_open.onnx", 1e-5),
        ("tflite/residual.tflite", 1e-5),
        ("tflite/int8.tflite", 2e-2),  # it rounds every value to 8 bits
    ],
)
def test_the_file_in_its_framework_gives_the_outputs_of_the_spec(file, tolerance):
    if file.startswith("onnx"):
        pytest.importorskip("onnxruntime")
    imported = archspec.import_model(FILES / file)
    comparison = compare_outputs(imported, imported.build())
    assert comparison.difference < tolerance <= max(comparison.tolerance, 1e-5)


@pytest.mark.keras
def test_other_weights_give_other_outputs():
    imported = archspec.import_model(FILES / "onnx" / "torch_script_net.onnx")
    model = imported.build()
    model.weights[0].assign(-model.weights[0])
    difference, tolerance = compare_outputs(imported, model)
    assert difference > tolerance


def test_what_no_framework_runs_is_said():
    imported = archspec.import_model(FILES / "onnx" / "torch_net.pt2")
    with pytest.raises(archspec.UsageError, match="PyTorch would run what is pickled in it"):
        open_runner(imported.model)


def test_a_framework_that_is_lacking_is_named(monkeypatch):
    imported = archspec.import_model(FILES / "onnx" / "torch_script_net.onnx")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(archspec.UsageError, match="pip install onnxruntime"):
        open_runner(imported.model)


def test_what_is_not_run_is_not_verified(tmp_path):
    file = str(FILES / "darknet" / "darknet53.cfg")
    done = CliRunner().invoke(main, ["import", file, "-o", str(tmp_path / "a.keras")])
    assert done.exit_code == 2
    assert "holds no weights" in done.output


@pytest.mark.parametrize(
    ("ending", "has_classes"),
    [("fc: 10, softmax: null", True), ("fc: 10, unit_norm: null", False)],
)
def test_the_units_of_the_last_layer_alone_are_the_classes(ending, has_classes):
    """The projection of an attention has a sum and a norm behind it, an embedding a norm."""
    text = text_of(graph_of(f"conv: 4, flatten: null, {ending}", "[8, 8, 3]"))
    assert ("classes" in text) == has_classes
