"""The report: its columns add up, its totals are known, its JSON form is stable."""

import json
from itertools import pairwise
from math import prod

import pytest
from support.specs import spec_of

from archspec.compile.expand import expand
from archspec.cost.report import CONVENTION, Report, report
from archspec.errors import SpecError, UsageError
from archspec.spec.bundled import bundled
from archspec.spec.document import choose
from archspec.spec.loading import find, load

VARIANTS = [
    (family, variant)
    for family in bundled()
    for variant in find(family)[1].document.variants or [None]
]
"""Every network that comes with archspec."""

SUMMED = ("params", "trainable", "non_trainable", "macs", "other_ops", "activations")


@pytest.fixture(scope="module", params=VARIANTS, ids=lambda each: each[1] or each[0])
def costs(request) -> Report:
    """The report of each network in turn, one for all tests of it."""
    family, variant = request.param
    source, validated, _ = find(family)
    spec = choose(validated, source, variant, {})
    return Report(expand(spec), spec)


def test_columns_add_up_to_the_totals_at_every_depth(costs):
    deepest = max(node.name.count("/") for node in costs.graph.nodes) + 1
    layouts = [costs.rows(), costs.rows(ops=True)]
    layouts += [costs.rows(depth) for depth in range(1, deepest + 1)]
    layouts += [costs.rows(1, ops=True)]
    totals = costs.totals._asdict()
    for rows in layouts:
        for column in SUMMED:
            assert sum(getattr(row, column) for row in rows) == totals[column]
        # Every layer stands in one row, in order.
        assert [row.start for row in rows] == [0, *(row.stop for row in rows[:-1])]
        assert rows[-1].stop == len(costs.graph.nodes)


def test_totals_follow_from_the_layers(costs):
    layers = [node.layer for node in costs.graph.nodes]
    weights = [weight for layer in layers for weight in layer.weights]
    totals = costs.totals
    assert totals.params == sum(prod(weight.shape) for weight in weights)
    assert totals.trainable == sum(prod(w.shape) for w in weights if w.trainable)
    assert totals.params == totals.trainable + totals.non_trainable
    assert totals.flops == 2 * totals.macs
    assert totals.layers == len(layers) - len(costs.graph.inputs)
    assert costs.memory.weights == 4 * totals.params
    assert costs.memory.gradients == 4 * totals.trainable


def test_more_depth_only_splits_rows():
    costs = report(load("googlenet"))
    depths = [{(row.start, row.stop) for row in costs.rows(depth)} for depth in (1, 2, 3)]
    for coarse, fine in pairwise(depths):
        for start, stop in coarse:
            inside = sorted(span for span in fine if start <= span[0] and span[1] <= stop)
            assert inside[0][0] == start
            assert inside[-1][1] == stop


@pytest.mark.parametrize(
    ("variant", "depth", "labels"),
    [
        (
            "vgg16",
            1,
            "INPUT|2 x CONV3-64, POOL2|2 x CONV3-128, POOL2|3 x CONV3-256, POOL2|"
            "3 x CONV3-512, POOL2|3 x CONV3-512, POOL2|"
            "FLATTEN|FC-4096|DROPOUT|FC-4096|DROPOUT|FC-1000",
        ),
        (
            "resnet50",
            1,
            "INPUT|CONV7-64|POOL3|3 x RESIDUAL|4 x RESIDUAL|6 x RESIDUAL|3 x RESIDUAL|GAP|FC-1000",
        ),
        ("lenet5", None, "INPUT|CONV5-6|AVGPOOL2|CONV5-16|AVGPOOL2|FLATTEN|FC-120|FC-84|FC-10"),
    ],
)
def test_rows_are_called_as_a_papers_table_calls_them(variant, depth, labels):
    assert "|".join(row.label for row in report(load(variant)).rows(depth)) == labels


def test_a_group_of_many_different_steps_is_counted():
    steps = ", ".join(f"conv: {{filters: {n}, kernel: 1}}" for n in (8, 16, 24, 32))
    spec = spec_of(f"{{name: net, input: [8, 8, 3], layers: [{{name: stem, layers: [{steps}]}}]}}")
    assert report(spec).rows(1)[1].label == "4 STEPS"


def test_a_convolution_with_its_norm_and_activation_is_one_row_and_three_ops():
    spec = spec_of(
        "{name: net, input: [8, 8, 3],"
        " layers: [conv: {filters: 4, kernel: 3, norm: batch, activation: relu}]}"
    )
    costs = report(spec)
    assert [row.kind for row in costs.rows()] == ["input", "conv"]
    ops = costs.rows(ops=True)
    assert [row.kind for row in ops] == ["input", "convolution", "batch_norm", "activation"]


def test_the_lectures_figures_for_vgg16():
    costs = report(load("vgg16"))
    kernels = sum(
        prod(weight.shape)
        for node in costs.graph.nodes
        for weight in node.layer.weights
        if weight.name == "kernel"
    )
    assert costs.totals.activations == 15_237_608  # the lecture's rows, added up
    assert kernels == 138_344_128  # its parameters, which leave the biases out
    assert costs.totals.params == 138_357_544
    assert costs.totals.macs == 15_470_264_320
    before_fc = next(row for row in costs.rows() if row.path == "stage5/pool")
    assert before_fc.field.size == (212, 212)


def test_a_naive_and_a_reduced_inception_module_as_in_the_lecture():
    assert report(load("inception_naive")).totals.macs == 854_196_224
    reduced = report(load("inception_bottleneck"))
    assert reduced.totals.macs == 271_351_808
    # The lecture says 358M: its 3x3 counts twice.
    (conv3x3,) = (row.macs for row in reduced.rows() if row.path == "module/conv3x3")
    assert reduced.totals.macs + conv3x3 == 358_055_936


def test_for_inference_the_heads_are_left_out():
    without = report("googlenet_aux", inference=True)
    assert without.totals == report("googlenet").totals
    assert report("googlenet_aux").totals.params > without.totals.params


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inference": 1}, "`inference=1` must be True or False"),
        ({"dtype": "int8"}, "dtype `int8` is not known; dtypes: "),
    ],
)
def test_a_wrong_option_is_refused_at_once(options, message):
    with pytest.raises(UsageError) as caught:
        report(load("lenet5"), **options)
    assert str(caught.value).startswith(message)


def test_a_claim_about_nothing_is_a_mistake_of_the_spec():
    spec = spec_of("{name: net, input: [8, 3], layers: [flatten], expect: {parms: 5}}")
    with pytest.raises(SpecError) as caught:
        report(spec)
    (problem,) = caught.value.diagnostics
    assert (problem.code, problem.help) == ("unknown-key", "did you mean `params`?")


# The JSON form. Whoever reads it relies on these keys: a key that goes, or means something else,
# needs a new schema_version.


@pytest.fixture(scope="module")
def data():
    return json.loads(json.dumps(report(load("googlenet_aux"), batch=2).to_dict(), allow_nan=False))


ROW = {
    "path", "kind", "label", "shape", "params", "trainable", "non_trainable", "macs", "other_ops",
    "activations", "field", "stride", "shared_with",
}  # fmt: skip


def test_the_keys_of_the_json_form(data):
    assert data["schema_version"] == 3
    assert set(data) == {
        "schema_version", "name", "about", "convention", "batch", "training_batch", "dtype",
        "optimizer", "by_recipe", "input", "inputs", "smallest_input", "outputs", "totals",
        "memory_bytes", "memory_model", "checks", "rows", "layers", "blocks",
    }  # fmt: skip
    assert set(data["totals"]) == {
        "params", "trainable", "non_trainable", "macs", "flops", "other_ops", "activations",
        "weight_layers", "layers",
    }  # fmt: skip
    assert set(data["memory_bytes"]) == {
        "weights", "gradients", "optimizer", "saved", "forward_peak", "must_keep", "inference",
    }  # fmt: skip
    assert set(data["memory_model"]) == {
        "weights", "trainable_weights", "saved_values_per_example",
        "saved_mask_bytes_per_example", "forward_peak_values_per_example",
        "activation_bytes_per_value",
    }  # fmt: skip
    assert {frozenset(row) for row in data["rows"]} == {frozenset(ROW)}
    layer = ROW | {"inputs", "arguments", "weights"}
    assert {frozenset(each) for each in data["layers"]} == {frozenset(layer)}
    weights = [weight for each in data["layers"] for weight in each["weights"]]
    assert {frozenset(weight) for weight in weights} == {frozenset({"name", "shape", "trainable"})}
    assert {frozenset(each) for each in data["checks"]} == {
        frozenset({"section", "figure", "claim", "found", "holds", "source", "setting"})
    }
    assert {frozenset(each) for each in data["blocks"]} == {
        frozenset({"path", "kind", "label", "first_layer", "last_layer"})
    }
    assert data["outputs"].keys() == {"output", "aux1", "aux2"}
    assert data["outputs"]["aux1"].keys() == {"layer", "shape", "loss_weight"}


def test_the_json_form_carries_every_weight_and_edge(data):
    shapes = [weight["shape"] for each in data["layers"] for weight in each["weights"]]
    assert sum(map(prod, shapes)) == data["totals"]["params"] == 13_378_280
    paths = [each["path"] for each in data["layers"]]
    assert len(set(paths)) == len(paths) == data["totals"]["layers"] + 1
    known: set[str] = set()
    for each in data["layers"]:
        assert set(each["inputs"]) <= known
        known.add(each["path"])
    assert {each["first_layer"] for each in data["blocks"]} <= known
    assert {each["layer"] for each in data["outputs"].values()} <= known


def test_the_json_form_says_how_it_counted(data):
    model, memory = data["memory_model"], data["memory_bytes"]
    assert data["convention"] == CONVENTION
    assert memory["weights"] == 4 * model["weights"]
    assert memory["gradients"] == 4 * model["trainable_weights"]
    assert memory["saved"] == data["batch"] * (
        model["saved_values_per_example"] * model["activation_bytes_per_value"]
        + model["saved_mask_bytes_per_example"]
    )
    assert memory["forward_peak"] == (
        data["batch"]
        * model["forward_peak_values_per_example"]
        * model["activation_bytes_per_value"]
    )
    assert sum(row["macs"] for row in data["rows"]) == data["totals"]["macs"]
    assert data["outputs"]["aux1"]["loss_weight"] == 0.3
    assert all(check["holds"] for check in data["checks"])
