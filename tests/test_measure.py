"""`archspec measure`: the compiler's word on memory, from its dump and through its process."""

import importlib.util
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.commands import run

import archspec
from archspec.cli import main
from archspec.device.finding import find
from archspec.errors import UsageError
from archspec.measurement import cache, compiling, dump
from archspec.measurement.job import Job
from archspec.measurement.measurement import Measurement, measure, recipe_of
from archspec.recipe.train import Recipe

ROOT = Path(__file__).parent.parent
SAVED = Path(__file__).parent / "compiled"
"""What XLA wrote for a network of one convolution, one norm and one fully connected layer."""

PROGRAM = SAVED / "small_after_optimizations.txt"

SPEC = """
name: small
input: [8, 8, 1]
layers:
  - {name: conv, conv: {filters: 4, kernel: 3}}
  - flatten
  - {name: scores, fc: {units: 3, activation: softmax}}
"""


@pytest.fixture(autouse=True)
def _no_cache_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "small.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return str(path)


def saved(most: int = 10) -> dump.CompiledMemory:
    named = json.loads((SAVED / "arguments.json").read_text(encoding="utf-8"))
    return dump.read(PROGRAM, named["arguments"], named["steps"], most)


# The dump


def test_bytes_by_part_are_the_sums_of_the_buffer_assignment():
    memory = saved()
    # The weights and their momentum, four statistics, counters, a batch of two and its labels.
    assert memory.arguments == 2_504
    assert memory.total == (memory.arguments + memory.temporaries + memory.outputs - memory.aliased)
    assert memory.aliased <= min(memory.arguments, memory.outputs)


def test_the_largest_buffers_at_the_peak_belong_to_steps_of_the_spec():
    memory = saved(most=20)
    first, *others = memory.buffers
    assert (first.bytes, first.shape) == (2 * 8 * 8 * 4 * 4, "f32[2,8,8,4]")
    assert (first.role, first.step) == ("forward", "stage1/conv/convolution")
    assert [each.bytes for each in memory.buffers] == sorted(
        (each.bytes for each in memory.buffers), reverse=True
    )
    inputs = [each.shape for each in others if each.role == "input"]
    assert inputs == ["f32[2,8,8,1]", "f32[2,3]"]
    momentum = next(each for each in others if each.role == "optimizer")
    assert (momentum.shape, momentum.step) == ("f32[3,3,1,4]", "stage1/conv/convolution")


def test_roles_add_up_to_all_that_is_alive_at_the_peak():
    memory = saved()
    assert sum(size for _, size in memory.roles) == memory.at_peak == 11_800
    assert saved(most=2).buffers == memory.buffers[:2]
    assert saved(most=2).at_peak == memory.at_peak


def test_a_layout_is_whole_once_the_file_after_it_is_there(tmp_path: Path):
    assert dump.finished(tmp_path) is None
    (tmp_path / PROGRAM.name).touch()
    assert dump.finished(tmp_path) is None
    (tmp_path / f"small{dump.LAST[0]}").touch()
    assert dump.finished(tmp_path) == tmp_path / PROGRAM.name


def test_the_peak_of_a_tpu_is_that_of_its_memory_and_of_whole_tiles(tmp_path: Path):
    program = tmp_path / "module_0000.jit_train_step.cl_1.after_optimizations.txt"
    layout = f"{program.stem}{dump.ASSIGNMENT}"
    (tmp_path / layout).write_text(
        """\
BufferAssignment:
allocation 0: size 512, page 0, thread-local:
allocation 1: size 204800, page 0, parameter 0, shape |f32[400,120]| at {}, maybe-live-out:
 value: <1 state_0__4_.1 @0> (size=204800,offset=0): f32[400,120]{1,0:T(8,128)}
allocation 2: size 7352832, color 1, page 0, preallocated-temp:
 value: <2 copy-start.1{0} @1> (size=204800,offset=0): f32[400,120]{1,0:T(8,128)S(1)}
allocation 3: size 802816, page 0, preallocated-temp:
 value: <3 fusion.32 @0> (size=802816,offset=0): f32[32,14,14,6]{0,3,2,1:T(8,128)}
""",
        encoding="utf-8",
    )
    (tmp_path / f"{program.stem}{dump.LIVE_RANGES}").write_text(
        """\
  BufferLiveRange:
    state_0__4_.1{}:0-3
    copy-start.1{0}:1-2
    fusion.32{}:3-3
  Live ranges at 1 (peak):
    copy-start.1{0}: 192000 bytes (cumulative: 192000 bytes)
    state_0__4_.1{}: 192000 bytes (cumulative: 384000 bytes)
""",
        encoding="utf-8",
    )
    program.write_text(
        """\
ENTRY %main {
  %state_0__4_.1 = f32[400,120]{1,0:T(8,128)} parameter(0), metadata={op_name="state[0][0]"}
  %fusion.32 = f32[32,14,14,6]{0,3,2,1:T(8,128)} fusion(), metadata={op_name="jit(f)/conv1/conv"}
}
""",
        encoding="utf-8",
    )
    assert dump.finished(tmp_path) is None
    (tmp_path / f"module_0000.jit_train_step.cl_1{dump.LAST[1]}").touch()
    assert dump.finished(tmp_path) == program
    memory = dump.read(
        program, {"state[0]": ["weights:fc1/kernel"]}, {"fc1": "fc1", "conv1": "conv1"}
    )
    assert memory.arguments == memory.aliased == 204_800
    assert memory.temporaries == 802_816  # 6 channels take 8 places, 32 examples 128
    assert [(each.bytes, each.role, each.step) for each in memory.buffers] == [
        (802_816, "forward", "conv1"),
        (204_800, "weights", "fc1"),
    ]


# The step


def test_without_a_recipe_the_step_is_updated_by_adam_as_it_is_counted(spec: str):
    compiled_with = recipe_of(archspec.load(spec), None, None, None).optimizer
    assert compiled_with.name == archspec.report(spec).setting.optimizer.name == "adam"


# What was compiled before


def job(spec: str, purpose: str = "training", device: str = "h100", **recipe: object) -> Job:
    graph = archspec.report(spec).graph
    return Job(graph, Recipe.resolve({}, recipe), find(device), purpose)


def test_a_result_is_kept_for_the_same_job_alone(spec: str):
    same = job(spec).digest({"jax": "1"})
    assert job(spec, epochs=3, seed=7).digest({"jax": "1"}) == same
    changed = Path(spec).with_name("other.yaml")
    changed.write_text(SPEC.replace("kernel: 3", "kernel: 5"), encoding="utf-8")
    others = [
        job(spec).digest({"jax": "2"}),
        job(spec, "inference").digest({"jax": "1"}),
        job(spec, device="a100").digest({"jax": "1"}),
        job(spec, batch=64).digest({"jax": "1"}),
        job(spec, precision="mixed_bfloat16").digest({"jax": "1"}),
        job(spec, optimizer={"adam": {"amsgrad": True}}).digest({"jax": "1"}),
        job(spec, loss="categorical_hinge").digest({"jax": "1"}),
        job(str(changed)).digest({"jax": "1"}),
    ]
    assert len({same, *others}) == len(others) + 1


def test_what_was_kept_is_read_back_and_what_is_damaged_is_not():
    assert cache.read("abc") is None
    cache.keep("abc", saved())
    assert cache.read("abc") == saved()
    (cache.folder() / "abc.json").write_text('{"arguments": 1}', encoding="utf-8")
    assert cache.read("abc") is None
    (cache.folder() / "abc.json").write_bytes(b"\xff{")
    assert cache.read("abc") is None


# The process that compiles


@pytest.fixture
def compile_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let a shell script stand for Python in the process that compiles, for any device."""
    path = tmp_path / "compiler"
    monkeypatch.setattr(compiling, "check", lambda _: None)
    monkeypatch.setattr(sys, "executable", str(path))

    def compile_by(script: str) -> None:
        path.write_text(f"#!/bin/sh\ncat > /dev/null\n{script}\n", encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    return compile_by


def test_for_a_cpu_the_jax_that_trains_on_it_is_enough(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compiling, "is_installed", lambda module: module in {"jax", "jaxlib"})
    compiling.check("cpu")
    for platform, extra in (("cuda", "measure"), ("tpu", "measure-tpu")):
        with pytest.raises(UsageError, match=re.escape(f"keras-archspec[{extra}]'")):
            compiling.check(platform)


@pytest.mark.keras
def test_a_network_is_compiled_for_a_cpu(spec: str):
    if not compiling.is_installed("jaxlib"):
        pytest.skip("needs the extra `jax`")
    measured = measure(spec, "cpu", batch=4)
    parts = measured.report.memory
    assert measured.engine == "cpu"
    # The weights, their moments, counters, and a batch of images and one-hot labels.
    counted = parts.weights + parts.optimizer + 4 * (4 * 64 + 4 * 3)
    assert counted <= measured.training.arguments < counted + 200
    assert any(each.step == "conv/convolution" for each in measured.training.buffers)
    assert "of the device's" not in str(measured)
    assert measured.to_dict()["device_memory_bytes"] is None


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("kill -9 $$", "the compiler was ended by signal 9, as a system does that is short of"),
        ("kill -11 $$", "the compiler was ended by signal 11"),
        ('echo \'{"error": "it has no such layer"}\'', "it has no such layer"),
        ("echo 5; echo '[1]'; echo null; echo '{\"error\": \"it is odd\"}'", "it is odd"),
        ("echo 'first' >&2; echo 'RuntimeError: last' >&2; exit 1", "RuntimeError: last"),
        ("exit 3", "the compiler ended with 3"),
        ("exit 0", "the compiler ended with 0"),
    ],
)
def test_a_compiler_that_ends_without_a_result_is_a_sentence(script, message, spec, compile_by):
    compile_by(script)
    with pytest.raises(UsageError) as error:
        measure(spec)
    assert str(error.value).startswith(
        "cannot compile the training step of small for NVIDIA H100 SXM, 80 GB: "
    )
    assert message in str(error.value)


def test_a_compiler_is_ended_once_the_memory_is_laid_out(spec, tmp_path, compile_by):
    names = (SAVED / "arguments.json").read_text(encoding="utf-8").replace("\n", " ")
    compile_by(
        f"""
        cat <<'END'
{names}
END
        cp {SAVED}/*.txt "$5"
        touch "$5/small{dump.LAST[0]}"
        echo $$ > {tmp_path}/pid
        exec sleep 1000
        """
    )
    lines: list[str] = []
    measured = measure(spec, "a100", batch=2, progress=lines.append)
    assert measured.training.total == saved().total
    assert lines == [
        f"compiling the {purpose} step for NVIDIA A100 SXM4, 40 GB ..."
        for purpose in ("training", "inference")
    ]
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text(encoding="utf-8")), 0)
    again = measure(spec, "a100", batch=2, progress=lines.append)
    assert again == measured
    assert len(lines) == 2


def test_a_compiler_that_writes_no_layout_still_tells_the_sums(spec, compile_by):
    parts = {"arguments": 5, "temporaries": 30, "outputs": 4, "aliased": 3}
    compile_by(f"echo '{json.dumps({'memory': parts})}'")
    measured = measure(spec, "v5e")
    assert measured.training.total == 36
    assert measured.training.buffers == ()
    assert measured.engine == "jax-tpu"
    assert "alive at the peak" not in str(measured)


@pytest.mark.skipif(os.name != "posix", reason="a child that waits for its parent's input")
def test_the_compiler_ends_with_the_command_that_was_killed():
    begin = """
import os, subprocess, sys
worker = [sys.executable, "-P", "-m", "archspec.measurement.worker", str(os.getpid())]
process = subprocess.Popen(worker)
print(process.pid, flush=True)
process.wait()
"""
    with subprocess.Popen(
        [sys.executable, "-c", begin], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as command:
        worker = int(command.stdout.readline())
        os.kill(worker, 0)
        command.kill()
        assert command.stdout.read() == b""  # the worker has ended, which held the pipe


def test_a_compiler_that_takes_all_memory_is_ended(spec, compile_by, monkeypatch):
    monkeypatch.setattr(compiling.system, "ram_bytes", lambda: 1)
    compile_by("exec sleep 1000")
    with pytest.raises(UsageError, match="nearly all of this machine's memory"):
        measure(spec)


# Results


def measurement(spec: str) -> Measurement:
    report = archspec.report(spec, batch=2, optimizer="momentum")
    return Measurement(report, find("h100"), saved(), saved(), {"jax": "0.10.2"})


def test_the_table_names_parts_buffers_and_the_other_figure(spec: str):
    shown = str(measurement(spec))
    for line in (
        "compiled for NVIDIA H100 SXM, 80 GB by XLA (jax 0.10.2): batch 2, float32, momentum",
        "temporaries",
        "must keep: ",
        "2.05 kB  f32[2,8,8,4]",
    ):
        assert line in shown
    assert measurement(spec)._repr_markdown_().startswith("### small\n")


def test_json_has_every_figure_by_name(spec: str):
    data = measurement(spec).to_dict()
    training = data["compiled"]["training"]
    assert training["total"] == saved().total
    assert len(training["largest"]) == 10
    assert (
        data["must_keep"] == archspec.report(spec, batch=2, optimizer="momentum").memory.must_keep
    )
    assert (data["engine"], data["device"], data["batch"]) == ("jax-gpu", "h100", 2)
    json.dumps(data, allow_nan=False)


def test_what_this_machine_has_allocated_stands_beside_it(spec: str):
    report = archspec.report(spec, batch=2, optimizer="momentum")
    memory = saved()
    at_hand = {"device": "NVIDIA L4", "peak": 20_500}
    measured = Measurement(report, find("l4"), memory, memory, {}, at_hand)
    assert "One step on this machine's NVIDIA L4 allocated 20.5 kB" in str(measured).replace(
        "\n", " "
    )
    assert measured.to_dict()["at_hand"] == at_hand


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "h1000"], "device `h1000` is not known; did you mean `h100`?"),
        (["--device", "gpu"], "devices: a100, a100-80gb, cpu, h100, "),
        (["--time", "--device", "tensor"], "devices: a100, a100-80gb, cpu, h100, "),
        (["--device", "absent.txtpb"], "cannot read the description of a device in absent.txtpb"),
        (["--batch", "0"], "0 is not in the range"),
        (["--dtype", "float64"], "JAX computes in float32 at most"),
        (["--dtype", "float31"], "did you mean `float32`?"),
        (["--optimizer", "adamm"], "did you mean `adam`?"),
        (["--at", "32"], "needs an input of open size"),
    ],
)
def test_a_mistake_is_told_before_anything_is_compiled(
    arguments: list[str], message: str, spec: str
):
    result = CliRunner().invoke(main, ["measure", spec, *arguments])
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("h100", "compiling for NVIDIA GPUs needs JAX and its compiler for them: pip install"),
        ("v5e", "compiling for TPUs needs JAX and its compiler for them: pip install"),
    ],
)
def test_a_missing_compiler_is_a_sentence_with_the_command(
    device: str, message: str, spec: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    result = CliRunner().invoke(main, ["measure", spec, "--device", device])
    assert result.exit_code == 2
    assert message in result.output


# The step itself

TRACED = """
import jax, sys
from archspec.compile.expand import expand
from archspec.keras_model.engine import load_keras
from archspec.measurement.step import forward_pass, training_step
from archspec.recipe.train import Recipe
import archspec

keras = load_keras()


def bytes_of(tree):
    return sum(each.size * each.dtype.itemsize for each in jax.tree.leaves(tree))


def traced(name, **recipe):
    graph = expand(archspec.load(name))
    with training_step(keras, graph, Recipe.resolve({}, recipe)) as program:
        jax.jit(program.function, donate_argnums=program.donated).lower(*program.arguments)
        state, _ = program.arguments
        print(name, *map(bytes_of, state))
    with forward_pass(keras, graph, 4, "float32") as program:
        jax.jit(program.function).lower(*program.arguments)
        print(name, *map(bytes_of, program.arguments))


traced("lenet5", batch=4, optimizer={"sgd": {"momentum": 0.9}})
traced(sys.argv[1], batch=4, optimizer="adam", precision="mixed_float16")
traced(sys.argv[2], batch=4)
"""

VAST = """
name: vast
input: [200000]
layers:
  - {fc: {units: 200000, bias: false, activation: relu}}
  - {fc: {units: 2}}
"""

MAP_AND_HEADS = """
name: heads
input: [16, 16, 3]
layers:
  - {name: conv, conv: {filters: 4, kernel: 3, padding: same, norm: batch, activation: relu}}
  - {name: map, conv: {filters: 5, kernel: 1, activation: softmax}}
heads:
  side:
    from: conv
    loss_weight: 0.3
    layers: [global_avg_pool, {fc: {units: 2, activation: softmax}}]
"""


@pytest.mark.keras
def test_the_step_has_the_weights_and_state_of_the_report_and_fills_none(tmp_path: Path):
    """A network of 160 GB is traced: its weights are shapes alone."""
    paths = []
    for name, text in (("vast", VAST), ("heads", MAP_AND_HEADS)):
        paths.append(tmp_path / f"{name}.yaml")
        paths[-1].write_text(text, encoding="utf-8")
    ran = run(*paths, code=TRACED, engine="jax")
    assert ran.returncode == 0, ran.stderr
    lines = [line.split() for line in ran.stdout.splitlines()]
    sizes = [[int(word) for word in words[1:]] for words in lines]
    assert len(sizes) == 6
    for (trained, other, state, _), (inferred, _, batch), name, copies in (
        (sizes[0], sizes[1], "lenet5", 1),
        (sizes[2], sizes[3], str(paths[0]), 2),
        (sizes[4], sizes[5], str(paths[1]), 2),
    ):
        report = archspec.report(name)
        assert trained == inferred == 4 * report.memory_model.trainable
        assert other >= 4 * (report.totals.params - report.memory_model.trainable)
        assert 0 < state - copies * trained < 100  # counters and the learning rate
        assert batch == 4 * 4 * report.graph.input.size


# The truth that the repository keeps

TRUTH = ROOT / "benchmarks" / "memory" / "truth"


with_compiler = pytest.mark.skipif(
    not compiling.is_installed("jax_plugins.xla_cuda12"), reason="needs the extra `measure`"
)


@pytest.mark.slow
@with_compiler
def test_the_page_shows_what_the_command_prints():
    page = (ROOT / "docs" / "costs.md").read_text(encoding="utf-8")
    command, output = re.findall(r"```text\n\$ archspec (measure .*)\n((?:.*\n)*?)```", page)[0]
    result = CliRunner().invoke(main, [*command.split(), "--quiet"])
    assert result.output == output


@pytest.mark.slow
@with_compiler
@pytest.mark.parametrize("network", ["squeezenet_v1_1", "cifar_resnet20"])
def test_the_truth_is_compiled_again(network: str):
    compiled_again(network, "h100", "jax-gpu")


@pytest.mark.slow
@pytest.mark.keras
@pytest.mark.parametrize("network", ["lenet5", "cifar_resnet20"])
@pytest.mark.parametrize(
    ("device", "engine", "package", "extra"),
    [("cpu", "cpu", "jaxlib", "jax"), ("v5e", "jax-tpu", "libtpu", "measure-tpu")],
)
def test_the_truth_without_a_gpu_is_compiled_again(network, device, engine, package, extra):
    if not compiling.is_installed(package):
        pytest.skip(f"needs the extra `{extra}`")
    compiled_again(network, device, engine)


@pytest.mark.slow
@with_compiler
def test_the_truth_of_tensorflow_is_compiled_again(monkeypatch: pytest.MonkeyPatch):
    if not compiling.is_installed("tensorflow"):
        pytest.skip("needs the extra `tensorflow`")
    monkeypatch.syspath_prepend(TRUTH.parent)
    program = import_module("compile")
    case = ("lenet5", 32, "float32")
    again = program.measured("tensorflow-gpu", case)
    assert again["total"] == pytest.approx(program.read("tensorflow-gpu")[case]["total"], rel=0.02)


def compiled_again(network: str, device: str, engine: str) -> None:
    entries = json.loads((TRUTH / f"{engine}.json").read_text(encoding="utf-8"))["entries"]
    entry = next(each for each in entries if (each["network"], each["batch"]) == (network, 8))
    again = measure(network, device, batch=8, dtype=entry["dtype"], optimizer="momentum")
    assert again.training.total == pytest.approx(entry["total"], rel=0.02)
