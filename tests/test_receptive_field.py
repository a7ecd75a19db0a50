"""Receptive fields: small networks by hand, known ones against the literature."""

from fractions import Fraction

import pytest
from support.specs import graph_of, spec_of

from archspec.compile.expand import expand
from archspec.cost.receptive_field import ReceptiveField, receptive_fields
from archspec.cost.report import report
from archspec.render import report as rendering
from archspec.spec.loading import load


def last_field(layers: str, extent: str = "[64, 64, 4]") -> ReceptiveField | None:
    return receptive_fields(graph_of(layers, extent))[-1]


def conv(kernel: int, **arguments: int) -> str:
    more = "".join(f", {name}: {value}" for name, value in arguments.items())
    return f"convolution: {{filters: 4, kernel: {kernel}, padding: same{more}}}"


@pytest.mark.parametrize(
    ("layers", "size", "stride"),
    [
        (["activation: relu"], 1, 1),
        ([conv(1)], 1, 1),
        ([conv(3)], 3, 1),
        ([conv(3), conv(3)], 5, 1),
        ([conv(3), conv(3), conv(3)], 7, 1),
        ([conv(7)], 7, 1),
        ([conv(3, stride=2), conv(3)], 7, 2),
        ([conv(1, stride=2), conv(3)], 5, 2),
        ([conv(3), "max_pool: 2", conv(3)], 8, 2),
        ([conv(3, dilation=2)], 5, 1),
        ([conv(3), conv(3, dilation=2), conv(3, dilation=4)], 15, 1),
        (["depthwise_conv: 3", "avg_pool: {size: 3, stride: 2}"], 5, 2),
        # An upsampled value sees what its source sees, and its neighbour stands half a step away.
        (["max_pool: 2", "upsample: 2"], 2, 1),
        (["max_pool: 4", "upsample: 2", conv(3)], 8, 2),
        (["max_pool: 4", "resize: 32", conv(3)], 8, 2),
        (["max_pool: 4", "{resize: {method: bilinear}, from: [max_pool1, input]}"], 8, 1),
        ([conv(2, stride=2), "transposed_conv: {filters: 4, kernel: 2, stride: 2}"], 2, 1),
        (["pad: 3", "crop: 1", "slice: {stop: 2}", "batch_norm", "dropout: 0.5"], 1, 1),
    ],
)
def test_a_chain_of_windows(layers, size, stride):
    assert last_field(", ".join(layers)) == ReceptiveField((size, size), (stride, stride))


@pytest.mark.parametrize(
    "layers",
    [
        "flatten, fully_connected: 3",
        "global_avg_pool",
        "global_max_pool: {keep_axes: true}",
        "group_norm: {groups: 2}",
        "reshape: [16, 1024]",
        "path_draw: 3, softmax",  # a vector that has no place
    ],
)
def test_what_mixes_all_places_sees_the_whole_input(layers):
    assert last_field(layers) is None


def test_nothing_narrows_what_has_seen_everything():
    # A squeeze-and-excitation gate: the product of a local value and a global one.
    squeeze = "[global_avg_pool: {keep_axes: true}, convolution: {filters: 4, kernel: 1}]"
    assert last_field(f"{{branches: [[], {squeeze}], merge: multiply}}") is None


@pytest.mark.parametrize("merge", ["add", "concat", "mean", "max", "multiply"])
def test_a_merge_sees_what_its_widest_input_sees(merge):
    ways = f"[[{conv(3)}, {conv(3)}], [{conv(7)}], []]"
    assert last_field(f"{{branches: {ways}, merge: {merge}}}") == ReceptiveField((7, 7), (1, 1))


@pytest.mark.parametrize(
    ("layers", "extent", "field"),
    [
        (
            "convolution: {filters: 2, kernel: [3, 5], stride: [1, 2]}",
            "[64, 64, 4]",
            ((3, 5), (1, 2)),
        ),
        ("convolution: {filters: 2, kernel: 9}", "[64, 4]", ((9,), (1,))),
        ("max_pool: 2, convolution: {filters: 2, kernel: 3}", "[8, 8, 8, 4]", ((6,) * 3, (2,) * 3)),
    ],
)
def test_every_axis_counts_for_itself(layers, extent, field):
    assert last_field(layers, extent) == ReceptiveField(*field)


def test_an_axis_that_is_not_upsampled_is_not_interpolated():
    field = last_field("upsample: {factor: [2, 1], method: bilinear}")
    assert field == ReceptiveField((2, 1), (Fraction(1, 2), 1))


def test_a_fraction_of_a_pixel_remains_exact():
    field = last_field(f"upsample: 3, {conv(3)}")
    assert field == ReceptiveField((Fraction(5, 3),) * 2, (Fraction(1, 3),) * 2)


# Of the networks below the convolutional part alone is asked for: what follows sees everything.
@pytest.mark.parametrize(
    ("variant", "path", "size"),
    [
        # Araujo, Norris & Sim 2019, "Computing receptive fields of CNNs", and its table of results.
        ("alexnet", "conv1", 11),
        ("alexnet", "conv2", 51),
        ("alexnet", "conv3", 99),
        ("alexnet", "conv4", 131),
        ("alexnet", "conv5", 163),
        ("alexnet", "pool5", 195),
        ("vgg11", "stage1/pool", 4),
        ("vgg11", "stage3/pool", 30),
        ("vgg11", "stage5/pool", 150),
        ("vgg16", "stage1/pool", 6),
        ("vgg16", "stage2/pool", 16),
        ("vgg16", "stage3/pool", 44),
        ("vgg16", "stage4/pool", 100),
        ("vgg16", "stage5/pool", 212),
        ("resnet50_keras", "stage4", 483),
        ("resnet101_keras", "stage4", 1027),
        ("resnet152_keras", "stage4", 1507),
        # With the stride on the 3x3, as torchvision has it, a stage sees a step less of the coarse.
        ("resnet18", "stage4", 435),
        ("resnet34", "stage4", 899),
        ("resnet50", "stage1", 35),
        ("resnet50", "stage2", 91),
        ("resnet50", "stage3", 267),
        ("resnet50", "stage4", 427),
        ("resnet101", "stage4", 971),
        # Widest way through each module: its 5x5.
        ("googlenet", "inception_3b", 91),
        ("googlenet", "inception_4e", 427),
        ("googlenet", "inception_5b", 715),
    ],
)
def test_known_networks(variant, path, size):
    graph = expand(load(variant))
    scopes = {scope.name: scope.stop - 1 for scope in graph.scopes}
    nodes = {node.name: node.index for node in graph.nodes}
    field = receptive_fields(graph)[(nodes | scopes)[path]]
    assert field.size == (size, size)


def test_a_fraction_of_a_pixel_is_shown_as_people_read_it():
    costs = report(
        spec_of(
            "{name: up, input: [90, 90, 1], layers: ["
            "{max_pool: {size: [91, 25], stride: 1, padding: same}}, {upsample: [3, 1]}, "
            "{max_pool: {size: [2, 1], stride: 1, padding: same}}]}"
        )
    )
    last = costs.rows()[-1]
    assert last.field.size == (Fraction(274, 3), 25)
    assert "91.3x25  0.333x1" in str(costs)
    data = costs.to_dict()["rows"][-1]
    assert data["field"] == [274 / 3, 25]
    assert "91.33333333333333x25" in rendering.csv(costs)
