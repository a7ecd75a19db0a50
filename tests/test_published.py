"""Published figures: every network that comes with archspec costs exactly what its source says."""

import json
import re
from dataclasses import replace
from functools import cache
from itertools import takewhile
from math import prod
from pathlib import Path

import click
import pytest
from support.specs import families, spec_of

from archspec.cli import main
from archspec.compile.expand import expand
from archspec.cost.checks import check_graph
from archspec.cost.report import report
from archspec.graph.graph import Graph, Node
from archspec.spec.loading import load

FIGURES = json.loads((Path(__file__).parent / "figures.json").read_text(encoding="utf-8"))
"""Counted from other definitions of the same networks: torchvision, keras.applications, Caffe."""

FAMILIES = list(families())
VARIANTS = [name for _, document in FAMILIES for name in document.variants or [document.name]]


@cache
def graph(variant: str) -> Graph:
    return expand(load(variant))


def below(variant: str, path: str) -> list[Node]:
    """The layers of one step."""
    nodes = graph(variant).nodes
    return [node for node in nodes if node.name == path or node.name.startswith(f"{path}/")]


@pytest.mark.parametrize("variant", FIGURES)
def test_a_network_is_counted_as_elsewhere(variant):
    layers = [node.layer for node in graph(variant).nodes]
    trainable = sum(layer.trainable for layer in layers)
    counted = {
        "input": list(graph(variant).input),
        "params_trainable": trainable,
        "params_non_trainable": sum(layer.params for layer in layers) - trainable,
        "macs": sum(layer.macs for layer in layers),
        "weight_layers": sum(
            any(weight.name == "kernel" for weight in layer.weights) for layer in layers
        ),
    }
    assert counted == {name: FIGURES[variant][name] for name in counted}


@pytest.mark.parametrize("variant", FIGURES)
def test_its_stages_have_the_shapes_known_elsewhere(variant):
    ours = [list(graph(variant).paths[path]) for path in load(variant).published.stages]
    assert ours == [shape for _, shape in FIGURES[variant]["stages"]]


@pytest.mark.parametrize("variant", FIGURES)
def test_its_scores_are_as_many_as_its_classes(variant):
    # The lecture's Inception modules classify nothing.
    classes = FIGURES[variant].get("classes")
    assert classes is None or graph(variant).output == (classes,)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_bundled_network_says_what_is_published_and_it_holds(variant):
    spec = load(variant)
    assert spec.published.source
    checks = check_graph(spec, report(spec))
    assert {"params", "trainable"} & {check.figure for check in checks}
    assert [check for check in checks if not check.holds] == []


@pytest.mark.parametrize("variant", ["mobilenet", "mobilenet_half"])
def test_the_family_that_a_page_adds_holds_too(variant):
    page = Path(__file__).parent.parent / "docs" / "adding-a-family.md"
    written = re.search(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    spec = spec_of(written[1], variant)
    checks = check_graph(spec, report(spec))
    assert checks
    assert [check for check in checks if not check.holds] == []


def test_a_name_means_one_network():
    assert len(VARIANTS) == len(set(VARIANTS))


@pytest.mark.parametrize(("source", "document"), FAMILIES, ids=[d.name for _, d in FAMILIES])
def test_the_header_of_a_spec_cites_and_shows_commands_that_work(source, document):
    header = list(takewhile(lambda line: line.startswith("#"), source.lines))
    assert header, "a spec begins with its header"
    assert re.search(r"\b(19|20)\d\d\b", document.about), "`about` names the paper's year"

    shown = [re.match(r"#   archspec (\w+) (\w+)((?: --\w+)*)(.*)", line) for line in header]
    commands = [match for match in shown if match]
    assert commands
    for command, target, options, promise in (match.groups() for match in commands):
        click_command = main.get_command(click.Context(main), command)
        known = {option for param in click_command.params for option in param.opts}
        assert set(options.split()) <= known
        spec = load(target)
        assert spec.source.name == source.name
        # A number written out in full is a published one.
        published = {v for v in vars(spec.published).values() if isinstance(v, int)}
        promised = {int(n.replace(",", "")) for n in re.findall(r"\d{1,3}(?:,\d{3})+", promise)}
        assert promised <= published


LECTURED = [variant for variant in FIGURES if "lecture_table" in FIGURES[variant]]


@pytest.mark.parametrize("variant", LECTURED)
def test_vgg_row_by_row_as_in_the_lecture(variant):
    table = FIGURES[variant]["lecture_table"]
    rows = [
        (node.op.label, list(node.shape), node.shape.size, kernel_size(node))
        for node in graph(variant).nodes
        if node.op.kind not in {"activation", "flatten", "dropout"}
    ]
    assert [as_lectured(*row) for row in rows] == table["rows"]
    assert sum(values for _, _, values, _ in rows) == table["activations_total"]
    assert sum(weights for *_, weights in rows) == table["weights_without_biases"]


def as_lectured(label: str, shape: list[int], values: int, weights: int) -> list:
    if label.startswith("FC"):
        return ["FC", [1, 1, *shape], values, weights]
    return [label, shape, values, weights]


def kernel_size(node: Node) -> int:
    return sum(prod(w.shape) for w in node.layer.weights if w.name == "kernel")


def test_the_totals_of_the_lectures_vgg16():
    table = FIGURES["vgg16"]["lecture_table"]
    assert table["activations_total"] == 15_237_608
    assert table["weights_without_biases"] == 138_344_128
    biases = sum(node.layer.params - kernel_size(node) for node in graph("vgg16").nodes)
    assert biases == 13_416


@pytest.mark.parametrize(
    ("variant", "path", "params"),
    [
        ("lenet5", "c1", 156),
        ("lenet5", "c3", 2_416),
        ("lenet5", "c5", 48_120),
        ("lenet5", "f6", 10_164),
        ("alexnet", "conv2", 614_656),
        ("alexnet", "conv4", 1_327_488),
        ("alexnet", "fc6", 37_752_832),
        ("alexnet_grouped", "conv2", 307_456),
        ("alexnet_grouped", "conv3", 885_120),
        ("alexnet_grouped", "conv4", 663_936),
        ("alexnet_grouped", "conv5", 442_624),
        ("googlenet_aux", "aux1", 3_188_840),
        ("googlenet_aux", "aux2", 3_190_888),
    ],
)
def test_a_part_of_a_network(variant, path, params):
    assert sum(node.layer.params for node in below(variant, path)) == params


@pytest.mark.parametrize(
    ("module", "params", "macs"),
    [
        ("3a", 163_696, 128_049_152),
        ("3b", 388_736, 304_267_264),
        ("4a", 376_176, 73_608_192),
        ("4b", 449_160, 87_908_352),
        ("4c", 510_104, 99_850_240),
        ("4d", 605_376, 118_515_712),
        ("4e", 868_352, 169_996_288),
        ("5a", 1_043_456, 51_079_168),
        ("5b", 1_444_080, 70_697_984),
    ],
)
def test_a_module_of_googlenet(module, params, macs):
    layers = [node.layer for node in below("googlenet", f"inception_{module}")]
    assert sum(layer.params for layer in layers) == params
    assert sum(layer.macs for layer in layers) == macs


def test_without_its_auxiliary_classifiers_googlenet_is_googlenet():
    inference = expand(replace(load("googlenet_aux"), inference=True))
    assert [*inference.outputs] == ["output"]
    assert [(node.name, node.layer, node.inputs) for node in inference.nodes] == [
        (node.name, node.layer, node.inputs) for node in graph("googlenet").nodes
    ]


def test_the_two_orders_of_alexnet():
    def order(variant):
        kinds = [node.op.kind for node in graph(variant).nodes]
        return [kind for kind in kinds if kind in {"lrn", "max_pool"}][:4]

    assert order("alexnet") == ["max_pool", "lrn", "max_pool", "lrn"]
    assert order("alexnet_grouped") == ["lrn", "max_pool", "lrn", "max_pool"]


def test_the_survival_of_stochastic_depth_falls_linearly():
    nodes = graph("stochastic_depth_110").nodes
    survival = [1 - node.op.rate for node in nodes if node.op.kind == "drop_path"]
    assert len(survival) == 54
    assert survival[0] == pytest.approx(1 - 0.5 / 54)
    assert survival[26] == pytest.approx(0.75)
    assert survival[53] == pytest.approx(0.5)
    assert sum(survival) == pytest.approx(40.25)


def test_keras_resnet_strides_earlier_and_has_biases():
    def strides(variant):
        unit = below(variant, "stage2/unit1")
        return {node.name: node.op.stride for node in unit if node.op.kind == "convolution"}

    assert strides("resnet50") == {
        "stage2/unit1/conv1/convolution": 1,
        "stage2/unit1/conv2/convolution": 2,
        "stage2/unit1/conv3/convolution": 1,
        "stage2/unit1/projection/convolution": 2,
    }
    assert strides("resnet50_keras") == strides("resnet50") | {
        "stage2/unit1/conv1/convolution": 2,
        "stage2/unit1/conv2/convolution": 1,
    }
    assert graph("resnet50_keras").nodes[1].layer.params == 7 * 7 * 3 * 64 + 64
    assert graph("resnet50").nodes[1].layer.params == 7 * 7 * 3 * 64
