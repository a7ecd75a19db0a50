"""Estimates of a training step on an engine, against what the engines themselves say."""

import json
import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from pages import ROOT
from support.backends import missing
from support.commands import output, run
from support.specs import graph_of, spec_of
from torch_saved import BATCH, DTYPES, spec

import archspec
from archspec.cost.estimate import ESTIMATED, cpu, jax_gpu, jax_tpu, tensorflow_gpu
from archspec.cost.estimate.torch_saved import RULES, saved_tensors
from archspec.cost.report import Report
from archspec.cost.setting import Setting
from archspec.errors import UsageError
from cli import options

HERE = Path(__file__).parent
SAVED = json.loads((HERE / "torch_saved.json").read_text(encoding="utf-8"))
CALIBRATE = HERE.parent / "benchmarks" / "memory"
IMAGE = 8 * 8 * 4


# PyTorch


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SAVED["saved"])
def test_autograd_saves_what_the_rule_says_to_the_byte(name, dtype):
    report = archspec.report(spec(name), dtype=dtype)
    memory = saved_tensors(report.graph, report.setting, on_cpu=True)
    assert memory.footprint(memory.saved).at(BATCH) == SAVED["saved"][name][dtype]


def test_every_rule_was_held_against_torch():
    graphs = [archspec.report(spec(name)).graph for name in SAVED["saved"]]
    met = {node.op.kind or "input" for graph in graphs for node in graph.nodes}
    assert set(RULES) <= met


@pytest.mark.keras
def test_the_saved_bytes_are_those_of_the_torch_that_is_installed():
    if reason := missing("torch"):
        pytest.skip(reason)
    done = run("lenet5", "conv", code=MEASURE, engine="torch")
    assert done.returncode == 0, done.stderr
    expected = {name: SAVED["saved"][name] for name in ("lenet5", "conv")}
    assert json.loads(done.stdout) == expected


MEASURE = f"""
import json, sys
sys.path.insert(0, {str(HERE)!r})
from torch_saved import measured
print(json.dumps(dict(measured(sys.argv[1:]))))
"""


def test_a_max_pool_keeps_eight_bytes_for_the_place_of_each_maximum():
    # The input is saved in a layout of its own, and its convolution's output is not saved.
    with_pool = graph_of("convolution: {filters: 4, kernel: 1}, max_pool: 2")
    setting = archspec.report("lenet5", batch=1).setting
    memory = saved_tensors(with_pool, setting)
    kernel = 4 * 4
    values = IMAGE + kernel + IMAGE  # what the convolution reads, its kernel, what the pool reads
    assert memory.footprint(memory.saved).at(1) == 4 * values + 8 * IMAGE // 4


def test_a_dropout_of_a_gpu_keeps_a_byte_where_that_of_a_cpu_keeps_a_float():
    graph = graph_of("convolution: {filters: 4, kernel: 1}, dropout: 0.5")
    setting = archspec.report("lenet5", batch=1).setting
    kept = [
        memory.footprint(memory.saved).at(1)
        for memory in (saved_tensors(graph, setting), saved_tensors(graph, setting, on_cpu=True))
    ]
    assert kept[1] - kept[0] == 3 * IMAGE


def test_torch_holds_its_outputs_and_the_gradients_of_the_step_before():
    report = archspec.report("lenet5", batch=8, engine="torch-gpu")
    memory = saved_tensors(report.graph, report.setting)
    held = memory.footprint(memory.saved | memory.outputs).at(8)
    parts = report.memory
    assert report.estimate.bytes == parts.weights + parts.gradients + parts.optimizer + held
    assert report.estimate.band is None  # nobody measured it
    assert "workspaces come on top" in report.estimate.accuracy


def test_a_network_without_a_rule_is_refused_and_named():
    with pytest.raises(UsageError, match="no estimate for torch-gpu of a network with `lrn`"):
        archspec.report("alexnet", engine="torch-gpu")


# JAX


def kept(engine: ModuleType, layers: str, dtype: str = "float32") -> int:
    """Return the bytes of an example that are kept for the backward pass."""
    report = Report(graph_of(layers), setting=Setting(dtype=dtype))
    fixed, example = engine.terms(report)["kept"]
    assert fixed == 0
    return example


on_gpu, on_cpu = partial(kept, jax_gpu), partial(kept, cpu)


RELU = "conv: {filters: 4, kernel: 1, activation: relu}"


@pytest.mark.parametrize(
    ("layers", "tensors"),
    [
        # A convolution keeps its input, which is not counted where it is the network's.
        ("convolution: {filters: 4, kernel: 1}, convolution: {filters: 4, kernel: 1}", 1),
        # The ReLU keeps its input, and the next convolution the ReLU's output.
        (f"{RELU}, convolution: {{filters: 4, kernel: 1}}", 2),
        # A norm's output is computed again from its input, which is the convolution's output.
        ("conv: {filters: 4, kernel: 1, norm: batch}, convolution: {filters: 4, kernel: 1}", 2),
        # So is the input of a SiLU; must keep has three tensors here.
        (
            "conv: {filters: 4, kernel: 1, norm: batch, activation: silu}, "
            "convolution: {filters: 4, kernel: 1}",
            2,
        ),
        # The erf of a GELU is kept beside input and output.
        (
            "conv: {filters: 4, kernel: 1, activation: gelu}, convolution: {filters: 4, kernel: 1}",
            3,
        ),
        # What a max pool reads is computed again.
        (f"{RELU}, max_pool: 2", 1),
    ],
)
def test_xla_keeps_what_is_in_memory_and_computes_the_rest_again(layers, tensors):
    assert on_gpu(layers) == 4 * tensors * IMAGE
    assert on_gpu(layers, "mixed_bfloat16") == 2 * tensors * IMAGE


def test_a_concatenation_is_computed_again_from_its_parts():
    concat = f"{{branches: [[{RELU}], [{RELU}]], merge: concat}}, batch_norm"
    # Both convolutions' outputs, and neither their ReLUs nor the 8 channels together.
    assert on_gpu(concat) == 4 * 2 * IMAGE
    assert on_gpu(concat, "mixed_bfloat16") == 2 * 2 * IMAGE


@pytest.mark.parametrize(
    ("reader", "in_full"),
    [
        ("avg_pool: 2", 1),
        ("max_pool: 2", 1),
        ("convolution: {filters: 4, kernel: 2, stride: 2}", 0),
    ],
)
def test_a_tanh_is_kept_in_float32_unless_a_product_reads_it(reader, in_full):
    # As XLA compiled these three for an H100 in mixed_bfloat16, at 64x64.
    layers = f"conv: {{filters: 4, kernel: 1, activation: tanh}}, {reader}"
    assert on_gpu(layers) == 4 * IMAGE
    assert on_gpu(layers, "mixed_bfloat16") == (4 if in_full else 2) * IMAGE


def test_an_estimate_is_a_fixed_part_and_one_for_each_example():
    one, many = (archspec.report("vgg16", batch=n, engine="jax-gpu").estimate for n in (1, 64))
    assert many.bytes - one.bytes == 63 * one.footprint.example
    assert one.footprint == many.footprint == jax_gpu.RULE.footprint(archspec.report("vgg16"))


def test_vgg_needs_more_than_must_be_kept_and_densenet_less():
    for name, more in (("vgg16", True), ("densenet121", False)):
        report = archspec.report(name, batch=32, optimizer="momentum", engine="jax-gpu")
        assert (report.estimate.bytes > 1.2 * report.memory.must_keep) is more


# TensorFlow


def test_tensorflow_has_the_rule_of_jax_and_errors_of_its_own():
    report = archspec.report("vgg16", batch=32, optimizer="momentum")
    assert tensorflow_gpu.RULE.footprint(report) == jax_gpu.RULE.footprint(report)
    assert tensorflow_gpu.RULE.band.cases < jax_gpu.RULE.band.cases
    assert "tensorflow" in tensorflow_gpu.RULE.band.versions


def test_xla_plans_a_step_of_tensorflow_nearly_as_one_of_jax(calibrate):
    totals = [
        {(each["network"], each["batch"], each["dtype"]): each["total"] for each in entries}
        for entries in (
            calibrate.truth_of(engine)["entries"] for engine in ("jax-gpu", "tensorflow-gpu")
        )
    ]
    apart = [abs(total / totals[0][case] - 1) for case, total in totals[1].items()]
    alike = sum(each < 0.001 for each in apart)
    page = " ".join((ROOT / "docs" / "costs.md").read_text("utf-8").split())
    assert (
        f"Of {len(apart)} steps that were compiled for both, {alike} differ by less than 0.1%, and "
        f"the others by up to {max(apart):.1%}" in page
    )


# CPU

CONV = "convolution: {filters: 4, kernel: 1}"


@pytest.mark.parametrize(
    ("layers", "tensors"),
    [
        # The input, in another layout for the gradient of the kernel.
        (CONV, 1),
        # And what the convolution before gives, as on a GPU.
        (f"{CONV}, {CONV}", 2),
        # A norm reads the convolution's result with its bias, which is kept with it and without.
        (f"{CONV}, batch_norm, {CONV}", 4),
        (f"{CONV[:-1]}, bias: false}}, batch_norm, {CONV}", 3),
        # A concatenation is written where a norm reads it; on a GPU it is computed again.
        (f"{{branches: [[{CONV}], [{CONV}]], merge: concat}}, batch_norm", 3),
        # A dropout keeps two random numbers for a value, beside what is read of it.
        (f"{CONV}, dropout: 0.5, {CONV}", 2 + 2),
        # A GELU keeps two tensors beside its input and its output.
        (f"{CONV}, activation: gelu, {CONV}", 3 + 2),
        # A SiLU is written, with its sigmoid.
        (f"{CONV}, activation: silu, {CONV}", 3 + 1),
    ],
)
def test_on_a_cpu_xla_keeps_more_than_on_a_gpu(layers, tensors):
    assert on_cpu(layers) == tensors * IMAGE * 4


@pytest.mark.parametrize(
    ("layers", "bytes_"),
    [
        # The input and what the second convolution reads in both precisions; the first one's
        # result in full, as a norm reads it, and with its bias in half.
        (f"{CONV}, batch_norm, {CONV}", (4 + 2) + (4 + 2) + (4 + 2)),
        # The second convolution reads what is computed of a result in half precision.
        (f"{CONV}, activation: relu, {CONV}", (4 + 2) + 2 + 4),
        # So does a product, which alone reads what the first one gives.
        ("flatten, fully_connected: 256, fully_connected: 10", (4 + 2) + 4),
        # What a GELU computes on its way is in half precision, beside its input and output.
        (f"{CONV}, activation: gelu, {CONV}", (4 + 2) + 2 + 4 + 2 * 2),
        # A layer norm computes in float32, and keeps four tensors beside its input.
        (f"{CONV}, layer_norm", (4 + 2) + 2 + 4 * 4),
    ],
)
def test_on_a_cpu_convolutions_are_computed_in_float32(layers, bytes_):
    assert on_cpu(layers, "mixed_bfloat16") == bytes_ * IMAGE


def test_on_a_cpu_a_max_pool_has_four_numbers_for_each_value_that_it_reads_and_gives():
    small = 4 * 4 * 4
    before, copies = 2 * 4 * IMAGE, 2 * 4 * IMAGE
    apart = f"{CONV}, max_pool: 2"
    assert on_cpu(apart) == before + copies + 16 * IMAGE + 16 * small
    # Windows that overlap add up their gradients in a map of zeros.
    overlapping = f"{CONV}, max_pool: {{size: 3, stride: 2, padding: same}}"
    assert on_cpu(overlapping) == on_cpu(apart) + 4 * IMAGE
    # The numbers of a later pool are there from the beginning; what this one gives is read then.
    assert on_cpu(f"{apart}, max_pool: 2") == on_cpu(apart) + 16 * small + 4 * small
    # A window of one value has no maximum.
    assert on_cpu(f"{CONV}, max_pool: {{size: 1, stride: 2}}") == before


def test_on_a_cpu_the_gradient_of_a_depthwise_kernel_is_that_of_a_whole_one():
    layers = "depthwise_convolution: {kernel: 3, bias: false}"
    report = archspec.report(spec_of(f"name: net\ninput: [8, 8, 4]\nlayers: [{layers}]\n"))
    assert cpu.terms(report)["gradients"] == (4 * (3 * 3 * 4 + 3 * 3 * 4 * 4), 0)


# A TPU


def on_tpu(layers: str, shape: str = "[8, 8, 64]", dtype: str = "float32") -> jax_tpu.Tensors:
    spec = spec_of(f"name: net\ninput: {shape}\nlayers: [{layers}]\n")
    return jax_tpu.tensors(archspec.report(spec, dtype=dtype, optimizer="momentum"))


@pytest.mark.parametrize(
    ("shape", "values"),
    [
        # As libtpu 0.0.52 lays out the weights and the inputs of LeNet-5.
        ((120,), 128),
        ((400, 120), 400 * 128),
        ((120, 84), 128 * 88),
        ((84, 10), 128 * 16),
        ((5, 5, 6, 16), 5 * 5 * 8 * 128),
        ((5, 5, 1, 6), 5 * 5 * 1 * 128),
        ((32, 32, 32, 1), 32 * 32 * 1 * 128),
        # And of VGG16.
        ((32, 224, 224, 3), 32 * 3 * 224 * 256),
    ],
)
def test_on_a_tpu_two_axes_of_a_tensor_fill_tiles(shape, values):
    assert jax_tpu.in_tiles(shape) == values


def test_on_a_tpu_the_last_axis_is_the_one_that_leaves_less_empty():
    # The channels are last at batch 32, the examples at batch 128.
    assert [jax_tpu.of_batch(batch, 64) for batch in (8, 32, 128, 256)] == [
        128 * 8,
        128 * 32,
        128 * 64,
        256 * 64,
    ]


def test_on_a_tpu_a_convolution_computes_the_relu_before_it_once_more():
    conv = "conv: {filters: 64, kernel: 3, padding: same, activation: null}"
    image = 8 * 8
    # The input in half precision, and the outputs of the convolutions: no ReLU is kept.
    assert on_tpu(f"{conv}, activation: relu, {conv}, activation: relu").kept == {
        64: image * (2 + 4 + 4)
    }
    # A max pool reads a ReLU in memory; what it gives is read by a convolution alone.
    assert on_tpu(f"{conv}, activation: relu, max_pool: 2, {conv}, activation: relu").kept == {
        64: image * (2 + 4 + 4) + 16 * 2 + 16 * 4
    }


@pytest.mark.parametrize(("dtype", "bytes_"), [("float32", 4), ("mixed_bfloat16", 2 + 2)])
def test_on_a_tpu_the_erf_of_a_gelu_is_kept_in_half_precision_alone(dtype, bytes_):
    assert on_tpu("fc: 256, activation: gelu, fc: {units: 2}", "[512]", dtype).kept[256] == bytes_


def test_on_a_tpu_a_convolution_in_groups_reads_tiles_of_a_group():
    plain, grouped = (
        on_tpu(f"conv: 128, conv: {{filters: 128, kernel: 3, groups: {groups}}}").kept
        for groups in (1, 32)
    )
    # 128 channels in 32 groups of 4: another tensor, in half precision.
    assert grouped == {**plain, 4: 2 * 6 * 6 * 32}
    # As libtpu 0.0.52 lays out the input of ResNeXt-50's first such convolution at batch 8.
    assert 2 * 56 * 56 * 32 * jax_tpu.of_batch(8, 4) == 102_760_448


def test_on_a_tpu_a_small_network_is_on_the_chip():
    small = on_tpu("conv: 64, flatten, fc: 2")
    assert small.terms(8)["kept"] == 0
    assert small.terms(64 * 1024)["kept"] > 0


def test_on_a_tpu_bytes_are_not_linear_in_the_batch():
    footprint = archspec.report("vgg16", engine="jax-tpu").estimate.footprint
    assert footprint.example is None
    sizes = [footprint.at(batch) for batch in (1, 7, 8, 9, 127, 128, 129)]
    assert sizes == sorted(sizes)
    # 64 channels stand beside 128 examples without a gap.
    assert footprint.at(128) - footprint.at(64) < footprint.at(64) - footprint.fixed
    largest = footprint.largest_batch(16 * 10**9)
    assert footprint.at(largest) <= 16 * 10**9 < footprint.at(largest + 1)
    assert footprint.largest_batch(10) == 0


# Errors


@pytest.fixture(scope="module")
def calibrate():
    sys.path.insert(0, str(CALIBRATE))
    try:
        yield import_module("calibrate")
    finally:
        sys.path.remove(str(CALIBRATE))


@pytest.mark.parametrize(
    ("engine", "mean", "worst", "networks"),
    [
        ("jax-gpu", 0.08, 0.25, 24),
        ("tensorflow-gpu", 0.08, 0.25, 12),
        ("cpu", 0.08, 0.25, 24),
        ("jax-tpu", 0.08, 0.41, 23),
    ],
)
def test_the_errors_on_families_that_were_held_out_are_within_bounds(
    calibrate, engine, mean, worst, networks
):
    result, judged = calibrate.calibration(engine)
    found = result["errors"]
    assert found["mean"] <= mean
    assert found["worst"] <= worst
    assert found["networks"] >= networks
    assert {case.dtype for case, _ in judged} == {"float32", "mixed_bfloat16"}
    assert "\n".join(calibrate.summary(judged)) in (ROOT / "docs" / "costs.md").read_text("utf-8")
    # The band that is printed is not better than what the truth in the repository says.
    printed = calibrate.RULES[engine].band
    assert printed.mean >= found["mean"] - 0.005
    assert printed.worst >= found["worst"] - 0.01
    assert (printed.networks, printed.cases) == (found["networks"], found["cases"])


# What is shown


def test_the_command_knows_every_engine():
    assert options.ESTIMATED == ESTIMATED


def test_an_unknown_engine_is_refused_with_the_known_ones():
    done = run("build", "lenet5", "--engine", "jax-gpus")
    assert done.returncode == 2
    known = "jax-gpu, tensorflow-gpu, torch-gpu, jax-tpu, cpu"
    assert f"must be one of {known}; did you mean `jax-gpu`?" in done.stderr


def test_an_open_network_needs_a_size():
    open_network = spec_of("name: any\ninput: [null, null, 3]\nlayers: [conv: 4]\n")
    with pytest.raises(UsageError, match="an estimate needs a size"):
        archspec.report(open_network, engine="jax-gpu")
    assert archspec.report(open_network, engine="jax-gpu", at="32x48").estimate is not None


def test_the_estimate_stands_below_must_keep_with_its_error_band():
    text = output("build", "vgg16", "--batch", "32", "--engine", "jax-gpu")
    report = archspec.report("vgg16", batch=32, engine="jax-gpu")
    unbroken = " ".join(text.split())
    assert f"estimate {report.estimate.bytes / 1e9:.2f} GB jax-gpu: " in unbroken
    assert f"off by {report.estimate.band.mean:.1%} on average" in unbroken
    assert "estimate" not in output("build", "vgg16", "--batch", "32")


def test_json_has_the_engine_the_bytes_and_the_error():
    data = json.loads(output("build", "lenet5", "--batch", "8", "--engine", "jax-gpu", "--json"))
    found = archspec.report("lenet5", batch=8, engine="jax-gpu").estimate
    assert data["estimate"] == found.to_dict()
    assert data["estimate"]["bytes"] == found.bytes
    assert data["estimate"]["error"]["families"] >= 12
    compared = json.loads(
        output("compare", "lenet5", "--batch", "8", "--engine", "jax-gpu", "--json")
    )
    assert compared["networks"][0]["estimate"] == data["estimate"]


def test_a_comparison_has_a_column_for_the_engine():
    text = output("compare", "vgg16", "resnet50", "--batch", "8", "--engine", "jax-gpu")
    header, _, *rows = text.splitlines()
    assert header.split()[-1] == "jax-gpu"
    assert f"jax-gpu: {jax_gpu.RULE.basis}; {jax_gpu.RULE.band}." in " ".join(text.split())
    found = archspec.report("vgg16", batch=8, engine="jax-gpu").estimate
    assert rows[0].endswith(f"{found.bytes / 1e9:.2f} GB")


SMALL = "name: small\ninput: [8, 8, 3]\nlayers: [conv: {filters: 4, kernel: 3}, flatten, fc: 2]\n"


def test_a_budget_may_name_engines_beside_must_keep():
    budget = "budget: {training_bytes: {must_keep: 1 GB, jax-gpu: 1 GB, torch-gpu: 10 B}}\n"
    checks = archspec.report(spec_of(SMALL + budget)).checks
    assert [(check.figure, check.holds) for check in checks] == [
        ("training_bytes.must_keep", True),
        ("training_bytes.jax-gpu", True),
        ("training_bytes.torch-gpu", False),
    ]
    expected = archspec.report(spec_of(SMALL), engine="torch-gpu").estimate
    assert checks[2].found == f"{expected.bytes:,}"
    assert checks[2].setting == "batch 1, float32, adam"


def test_check_holds_a_budget_against_the_estimate_for_an_engine(tmp_path):
    path = tmp_path / "small.yaml"
    budget, spec = "training_bytes: 12 KB", SMALL + "train: {batch: 4, optimizer: sgd}\n"
    path.write_text(f"{spec}budget: {{{budget}}}\n", encoding="utf-8")
    estimate = archspec.report(path, engine="torch-gpu").estimate
    assert archspec.report(path).memory.must_keep < 12_000 < estimate.bytes
    assert archspec.check(path).holds
    done = run("check", path, "--engine", "torch-gpu")
    assert done.returncode == 1
    found = f"training_bytes.torch-gpu of small is {estimate.bytes:,}, not <= 12,000"
    assert found in done.stderr
    assert not archspec.check(path, engine="torch-gpu").holds


def test_check_needs_no_estimate_of_a_network_without_such_a_budget():
    assert archspec.check("crnn", engine="torch-gpu").holds


def test_an_expected_figure_without_a_name_is_what_must_be_kept():
    must_keep = archspec.report(spec_of(SMALL)).memory.must_keep
    spec = spec_of(SMALL + f"expect: {{training_bytes: {must_keep}}}\n")
    assert archspec.check(spec, engine="jax-gpu").holds


def test_a_budget_for_a_network_of_which_an_engine_has_no_estimate_is_a_mistake(tmp_path):
    path = tmp_path / "small.yaml"
    with_lrn = SMALL.replace("[conv", "[lrn, conv", 1)
    path.write_text(with_lrn + "budget: {training_bytes: {torch-gpu: 1 GB}}\n", encoding="utf-8")
    done = run("check", path)
    assert done.returncode == 1
    assert "error[value] there is no estimate for torch-gpu" in " ".join(done.stderr.split())


def test_no_estimate_is_imported_where_none_is_asked_for():
    done = run(code="import sys, archspec; archspec.report('lenet5'); print(*sys.modules)")
    assert "archspec.cost.estimate.engines" not in done.stdout.split()
    assert "archspec.cost.report" in done.stdout.split()
