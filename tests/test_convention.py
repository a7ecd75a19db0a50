"""The totals of other tools: each rule against what the tool itself printed, to the last digit."""

import json
from pathlib import Path

import pytest
from support.commands import output, run
from support.specs import spec_of
from support.torchvision_specs import ALEXNET, GOOGLENET

import archspec
from archspec import UsageError
from archspec.cost.convention import RULES, count
from archspec.cost.report import report
from archspec.spec.loading import load
from cli.options import CONVENTIONS

TRUTH = json.loads((Path(__file__).parent / "conventions.json").read_text(encoding="utf-8"))
"""What the tools print of torchvision's networks; `convention_tools.py` made it."""

TOOLS = ("fvcore", "torchinfo", "ptflops", "ptflops_aten", "calflops", "thop")

UNCHANGING = "an adaptive pool that changes nothing at 224x224, which the spec does not have"
FUNCTION = "its pool is a function, which modules' counters do not see, or see once"

DIFFERENT = {
    ("alexnet", "fvcore"): (9_216, UNCHANGING),
    ("alexnet", "ptflops"): (2 * 9_216, UNCHANGING),
    ("alexnet", "calflops"): (9_216, UNCHANGING),
    ("alexnet", "thop"): (2 * 9_216, UNCHANGING),
    ("vgg16", "fvcore"): (25_088, UNCHANGING),
    ("vgg16", "ptflops"): (2 * 25_088, UNCHANGING),
    ("vgg16", "calflops"): (25_088, UNCHANGING),
    ("vgg16", "thop"): (2 * 25_088, UNCHANGING),
    ("densenet121", "ptflops"): (-2 * 50_176, "its last relu and pool are functions: once"),
    ("densenet121", "thop"): (-51_200, FUNCTION),
    ("mobilenet_v2", "ptflops"): (-62_720, FUNCTION),
    ("mobilenet_v2", "thop"): (-62_720 - 1_280, FUNCTION),
    ("googlenet", "ptflops"): (-3_226_160, "its relus are functions, which count once"),
}
"""What torchvision's code has beyond the spec, in the tool's count, and why."""


def network(name):
    match name:
        case "alexnet":
            return report(spec_of(ALEXNET)).graph
        case "googlenet":
            return report(spec_of(GOOGLENET)).graph
        case "squeezenet1_1":
            return report(load("squeezenet_v1_1", input=[224, 224, 3])).graph
    return report(name).graph


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("name", TRUTH["counts"])
def test_a_rule_prints_what_the_tool_prints(name, tool):
    counted, truth = count(network(name), tool), TRUTH["counts"][name][tool]
    more, _ = DIFFERENT.get((name, tool), (0, ""))
    assert counted.ops + more == truth["ops"]
    assert counted.params == truth["params"]
    assert not counted.unknown


def test_the_versions_are_those_that_the_rules_name():
    for tool in TOOLS:
        package = tool.removesuffix("_aten")
        said = RULES[tool].tool.removeprefix(f"{package} ").split(",")[0]
        assert TRUTH["versions"][package].startswith(said)


@pytest.mark.keras
@pytest.mark.parametrize(
    "name",
    [
        "squeezenet_v1_1",
        "mobilenet_v2",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("alexnet", "vgg16", "resnet18", "densenet121", "vit_b_16")
        ),
    ],
)
def test_tensorflow_and_keras_print_what_their_rules_print(name):
    tf = pytest.importorskip("tensorflow")
    if tf.keras.backend.backend() != "tensorflow":
        pytest.skip("TensorFlow profiles graphs of TensorFlow alone")
    model = archspec.build(name)
    tensorflow, keras = archspec.report(name, convention=["tensorflow", "keras"]).counted
    assert tensorflow.ops == float_ops(tf, model)
    assert not tensorflow.unknown
    assert keras.params == model.count_params()


def float_ops(tf, model):
    """Return the operations of a model's forward pass by TensorFlow's profiler."""
    from tensorflow.python.framework import convert_to_constants

    shape = [1, *model.inputs[0].shape[1:]]
    function = tf.function(lambda x: model(x, training=False))
    concrete = function.get_concrete_function(tf.TensorSpec(shape, tf.float32))
    _, frozen = convert_to_constants.convert_variables_to_constants_v2_as_graph(concrete)
    profiler = tf.compat.v1.profiler
    options = {**profiler.ProfileOptionBuilder.float_operation(), "output": "none"}
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(frozen, name="")
        return profiler.profile(graph, options=options).total_float_ops


def test_a_tool_that_counts_no_operations_has_its_parameters():
    (keras,) = archspec.report("resnet18", convention="keras").counted
    assert (keras.ops, keras.params, keras.figure) == (None, 11_699_112, 11_699_112)


def test_a_kind_without_a_rule_is_named_and_not_counted():
    (fvcore,) = archspec.report("alexnet", convention="fvcore").counted
    assert dict(fvcore.unknown) == {"lrn": 2}
    assert "there is no checked rule: 2 lrn" in " ".join(
        output("build", "alexnet", "--convention", "fvcore").split()
    )


def test_weights_that_are_shared_are_counted_once_and_their_work_each_time():
    spec = spec_of(
        "name: two\ninput: [8, 8, 3]\nlayers:\n"
        "  - {name: a, convolution: {filters: 3, kernel: 1}}\n  - {name: b, share: a}\n"
    )
    (thop,) = archspec.report(spec, convention="thop").counted
    assert (thop.ops, thop.params) == (2 * 64 * 9, 12)


def test_the_command_knows_every_rule():
    assert tuple(RULES) == CONVENTIONS
    shown = json.loads(output("build", "lenet5", "--convention", "all", "--json"))
    assert tuple(shown["conventions"]) == CONVENTIONS


def test_a_comparison_has_a_column_for_each_tool():
    text = output("compare", "resnet18", "vgg16", "--convention", "fvcore,keras")
    assert "fvcore flops  keras params" in text
    assert "1,819,065,856    11,699,112" in text


def test_what_is_no_convention_is_refused():
    with pytest.raises(UsageError, match="did you mean `fvcore`"):
        archspec.report("lenet5", convention="fvcor")
    with pytest.raises(UsageError, match="needs a size"):
        archspec.report("fcn8s", convention="fvcore")
    refused = run("compare", "--diff", "vgg16", "vgg19", "--convention", "thop")
    assert "--convention does not go with --diff" in refused.stderr
