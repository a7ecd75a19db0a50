"""`archspec fits`: the largest batch that fits in a memory."""

import json
import shlex

import pytest
from click.testing import CliRunner
from support.commands import output, run
from support.specs import spec_of

import archspec
from archspec.cli import main
from archspec.compile.expand import expand
from archspec.device.finding import find
from archspec.errors import UsageError
from archspec.measurement import cache, compiling
from archspec.measurement.dump import CompiledMemory
from archspec.measurement.fits import MUST_KEEP
from archspec.measurement.job import Job, versions
from archspec.measurement.measurement import recipe_of

SMALL = "name: small\ninput: [16, 16, 3]\nlayers: [conv: {filters: 4, kernel: 3}, flatten, fc: 2]\n"


def must_keep(batch, **options):
    return archspec.report(spec_of(SMALL), batch=batch, **options).memory.must_keep


@pytest.mark.parametrize("batch", [1, 2, 7, 1000])
def test_the_largest_batch_is_exact(batch):
    room = must_keep(batch)
    for memory, largest in ((room, batch), (room + 1, batch), (room - 1, batch - 1)):
        entry = archspec.fits(spec_of(SMALL), memory).entries[0]
        assert (entry.figure, entry.batch) == (MUST_KEEP, largest)
        assert entry.bytes == must_keep(largest or 1)
        assert entry.fits is (largest > 0)


def test_the_estimate_is_that_of_a_report_and_the_next_batch_is_too_large():
    (_, entry) = archspec.fits("resnet50", "10GB", engine="torch-gpu").entries
    assert entry.figure == "torch-gpu"
    largest, more = (
        archspec.report("resnet50", batch=n, engine="torch-gpu").estimate
        for n in (entry.batch, entry.batch + 1)
    )
    assert entry.bytes == largest.bytes <= 10 * 10**9 < more.bytes


@pytest.mark.parametrize(
    ("memory", "size"),
    [("24GB", 24 * 10**9), ("24 gib", 24 * 2**30), ("1.5 MB", 1_500_000), (7_777, 7_777)],
)
def test_a_memory_is_bytes_or_text_with_a_unit(memory, size):
    assert archspec.fits(spec_of(SMALL), memory).memory == size


def test_the_memory_of_a_device_is_that_of_its_data_sheet():
    found = archspec.fits(spec_of(SMALL), device="h100")
    assert found.memory == 80 * 10**9
    assert str(found).splitlines()[1].startswith("a training step in 80.0 GB of NVIDIA H100")
    # Of the device's memory, less may be left.
    assert archspec.fits(spec_of(SMALL), "70GB", device="h100").memory == 70 * 10**9


@pytest.mark.parametrize("wanted", [1, 12, 13, 64])
def test_equal_batches_are_accumulated_up_to_the_wanted_one(wanted):
    sums = archspec.report(spec_of(SMALL)).memory.gradients
    entry = archspec.fits(spec_of(SMALL), must_keep(12) + sums, global_batch=wanted).entries[0]
    assert entry.accumulate * entry.accumulated_batch == wanted
    # 13 is prime: with 12 examples at most, only 13 batches of one make it.
    expected = {1: (1, 1), 12: (1, 12), 64: (8, 8)}
    if wanted in expected:
        assert (entry.accumulate, entry.accumulated_batch) == expected[wanted]


def test_the_sums_of_the_gradients_take_memory_too():
    room = must_keep(8)
    sums = archspec.report(spec_of(SMALL)).memory.gradients
    for memory, batches in ((room + sums, 2), (room + sums - 1, 4)):
        entry = archspec.fits(spec_of(SMALL), memory, optimizer="adam", global_batch=16).entries[0]
        largest = archspec.fits(spec_of(SMALL), memory).entries[0].batch
        expected = 1 if largest >= 16 else batches
        assert entry.accumulate == expected


def test_no_accumulation_reaches_a_batch_where_none_fits_beside_the_sums():
    found = archspec.fits(spec_of(SMALL), must_keep(1), global_batch=2)
    assert found.entries[0].batch == 1
    assert found.entries[0].accumulate is None
    assert "must keep: 2 examples are out of reach" in str(found)


def test_what_to_change_is_listed_where_nothing_fits_and_is_true():
    found = archspec.fits("vgg16", "1.2GB")
    assert [entry.batch for entry in found.entries] == [0, 0]
    options = {remedy.option: remedy.batch for remedy in found.remedies}
    again = archspec.fits("vgg16", "1.2GB", optimizer="sgd")
    assert options["--optimizer sgd"] == min(entry.batch for entry in again.entries) > 0
    smaller = archspec.fits(archspec.load("vgg16", input=[112, 112, 3]), "1.2GB")
    assert options["--set input=[112,112,3]"] == min(entry.batch for entry in smaller.entries) > 0
    assert archspec.fits("vgg16", "24GB").remedies == ()


def test_where_no_change_helps_alone_several_do_together():
    (remedy,) = archspec.fits("resnet50", "250MB").remedies
    assert remedy.option == "--dtype mixed_bfloat16 --optimizer sgd"
    how = {"dtype": "mixed_bfloat16", "optimizer": "sgd"}
    entries = archspec.fits("resnet50", "250MB", **how).entries
    assert min(entry.batch for entry in entries) == remedy.batch > 0


def test_an_open_network_is_made_smaller_by_its_size():
    found = archspec.fits("fcn8s", "2.4GB", at="512x512", optimizer="adam")
    assert "--at 128x128" in {remedy.option for remedy in found.remedies}
    with pytest.raises(UsageError, match="`fits` needs a size"):
        archspec.fits("fcn8s", "2GB")


def test_where_no_change_helps_it_says_so():
    done = run("fits", "vgg16", "--memory", "2KB")
    assert done.returncode == 1
    assert "not even one example fits, by: must keep, jax-gpu" in done.stdout
    assert "no other dtype, optimizer or input size that was tried makes it fit" in done.stdout


def test_the_estimate_for_a_tpu_is_the_default_for_a_tpu():
    by_default = archspec.fits("vgg16", device="v5e").entries[1]
    assert by_default == archspec.fits("vgg16", device="v5e", engine="jax-tpu").entries[1]
    assert by_default.figure == "jax-tpu"
    assert by_default.to_dict()["example_bytes"] is None  # not the same for every batch
    estimate = archspec.report("vgg16", batch=by_default.batch, engine="jax-tpu").estimate
    assert by_default.bytes == estimate.bytes <= 16 * 10**9
    assert archspec.fits("vgg16", device="l4").entries[1].figure == "jax-gpu"


def test_an_engine_without_a_rule_is_refused_where_it_is_named():
    with pytest.raises(UsageError, match="no estimate for torch-gpu"):
        archspec.fits("alexnet", "4GB", engine="torch-gpu")


def test_the_compilers_word_is_asked_for_by_a_command():
    text = " ".join(str(archspec.fits("vgg16", device="l4")).split())
    batch = archspec.fits("vgg16", device="l4").entries[-1].batch
    command = f"archspec measure vgg16 --device l4 --batch {batch} --dtype float32"
    assert f"the compiler's plan is not known; `{command}` makes it" in text


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimizer": "sgd"},
        {"optimizer": {"adam": {"amsgrad": True}}, "dtype": "mixed_bfloat16"},
        {"spec": {"input": [8, 8, 3]}},
        {"spec": {"input": [None, None, 3]}, "at": "12x10"},
    ],
)
def test_the_command_measures_the_step_that_fits_asks_for(options, tmp_path, monkeypatch):
    """The command is run, with a compiler that is replaced; then `fits` has its figure."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compiling, "check", lambda _: None)
    monkeypatch.setattr(compiling, "compiled", lambda _: CompiledMemory(5, 0, 0, 0))
    monkeypatch.setattr(compiling, "run_once", lambda _: None)
    path = tmp_path / "my net.yaml"
    path.write_text(SMALL.replace("flatten", "global_avg_pool"), encoding="utf-8")
    options = dict(options)
    spec = archspec.load(path, **options.pop("spec", {}))
    (note,) = archspec.fits(spec, "1MB", device="l4", **options).notes
    program, *words = shlex.split(note.split("`")[1])
    assert program == "archspec"
    assert CliRunner().invoke(main, [*words, "--quiet"]).exit_code == 0
    entry = archspec.fits(spec, "1MB", device="l4", **options).entries[-1]
    assert (entry.figure, entry.bytes) == ("compiled", 5)


def test_json_has_every_figure():
    data = json.loads(output("fits", "vgg16", "--memory", "24GB", "--global-batch", "64", "--json"))
    found = archspec.fits("vgg16", "24GB", global_batch=64)
    assert data == json.loads(json.dumps(found.to_dict()))
    first = data["entries"][0]
    assert first["fixed_bytes"] + first["batch"] * first["example_bytes"] == first["bytes"]
    assert [entry["figure"] for entry in data["entries"]] == ["must keep", "jax-gpu"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "or a device, as `device='h100'`; devices: h100, h200, a100, "),
        ({"memory": "much"}, "`memory='much'` must be a number of bytes"),
        ({"memory": 24}, "`memory=24` must be a number of bytes from 1,000, or text such as 24GB"),
        ({"memory": "< 5GB"}, "must be a number of bytes"),
        ({"memory": 0}, "must be a number of bytes"),
        ({"memory": True}, "must be a number of bytes"),
        ({"memory": "5M"}, "must be a number of bytes"),
        ({"memory": "1GB", "global_batch": 0}, "`global_batch=0` must be"),
        ({"device": "h1000"}, "did you mean `h100`"),
    ],
)
def test_what_is_wrong_is_said(options, message):
    with pytest.raises(UsageError) as caught:
        archspec.fits("lenet5", **options)
    assert message in str(caught.value)


def test_a_memory_of_any_size_is_answered_at_once():
    found = archspec.fits("lenet5", 10**30, global_batch=2**31 - 1)
    assert found.entries[0].batch == 2**31 - 1
    assert found.entries[0].accumulate == 1
    assert found.notes == ("no batch over 2,147,483,647 is considered",)
    assert archspec.fits("lenet5", "24GB").notes == ()


@pytest.mark.parametrize("written", ["24GB", "24e9", "2.4e1 GB", 24e9])
def test_a_memory_may_have_an_exponent(written):
    assert archspec.fits("lenet5", written).memory == 24_000_000_000


@pytest.mark.parametrize("share", [0.5, 2])
def test_what_was_compiled_before_stands_beside_the_other_figures(share, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    spec, device = spec_of(SMALL), find("l4")
    batch = archspec.fits(spec, "1MB", device="l4").entries[-1].batch
    recipe = recipe_of(spec, batch, "float32", "adam")
    job = Job(expand(spec), recipe, device, "training")
    cache.keep(job.digest(versions()), CompiledMemory(int(share * 10**6), 0, 0, 0))
    found = archspec.fits(spec, "1MB", device="l4")
    entry = found.entries[-1]
    assert (entry.figure, entry.batch, entry.bytes) == ("compiled", batch, share * 10**6)
    assert entry.fits is (share < 1)
    said = f"the compiler plans 2.00 MB: batch {batch} does not fit" in str(found)
    assert said is not entry.fits
    assert found.notes == ()
