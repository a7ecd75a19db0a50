"""Several devices, and several hosts, train as one device would; what cannot be shared is said."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import random
import socket
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from support.commands import Forked, run, start
from support.left_behind import assert_same, left, measures

import archspec
from archspec import system
from archspec.cli import main
from archspec.data import dataset
from archspec.data.recipe import DataRecipe
from archspec.errors import RecipeError, UsageError
from archspec.ops.shape import Shape
from archspec.recipe.train import Recipe
from archspec.training.distribution import Devices, choose
from archspec.training.feeding import Feed
from archspec.training.hosts import Hosts

PROGRAM = (Path(__file__).parent / "support/training_program.py").read_text(encoding="utf-8")

PLAIN = """
name: plain
input: [8, 8, 1]
layers:
  - conv: {filters: 4, kernel: 3, padding: same, activation: relu}
  - flatten
  - fc: 10
"""
THREE = PLAIN.replace("plain", "three").replace("fc: 10", "fc: 3")
NORMED = """
name: normed
input: [8, 8, 1]
layers:
  - {name: pixels, batch_norm: {momentum: 0.5}}
  - conv: {filters: 4, kernel: 3, padding: same, norm: batch, activation: relu}
  - dropout: 0.3
  - flatten
  - fc: 10
"""

SETS = """
name: sets
input: [8, 8, 1]
layers:
  - flatten
  - fc: {units: 3, activation: sigmoid}
train: {data: {source: arrays, path: sets.npz}}
"""
PAIR = """
name: pair
inputs: {right: [8, 8, 1], left: [8, 8, 1], facts: [3]}
layers:
  - {name: tower, from: left, layers: [{conv: {filters: 4, kernel: 3}}, flatten]}
  - {name: twin, share: tower, from: right}
  - concat: [tower, twin, facts]
  - fc: 2
train: {data: {source: arrays, path: pair.npz, targets: standardize}, metrics: [r2_score]}
"""
"""Several inputs, from which numbers are learnt."""
SPECS = (PLAIN, THREE, NORMED, SETS, PAIR)

EVEN = {
    "data": {"source": "digits", "per_class": 12},
    "batch": 32,
    "epochs": 2,
    "schedule": "cosine",
    "optimizer": {"sgd": {"learning_rate": 0.1, "momentum": 0.9}},
}
"""120 training images, in batches of 32 and a last one of 24; 179 for the validation."""

ONCE = EVEN | {"epochs": 1}

ODD = ONCE | {"data": {"source": "digits", "classes": [1, 2, 3], "per_class": 15}, "batch": 64}
"""45 training images, and 54 for the validation: each less than a batch."""

EXACT = {"deterministic": True, "steps_per_execution": 1}

TASK = {key: value for key, value in EVEN.items() if key != "data"} | EXACT

FLAGS = "--xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0"
"""Two devices; and XLA, which spends most of these runs' time on compiling, takes less of it."""

RATES = {"jax": 0.1, "tensorflow": 1e-9}
"""With 45 images TensorFlow drops one; without learning the difference does not show."""

INNER = ("optimizer", "lossscaleoptimizer", "inner_optimizer", "adam")


# Whole runs


def train(place: Path, jobs: list[Any], backend: str, *hosts: int) -> Forked:
    """Start a process that makes two devices of the CPU and trains in `place`."""
    for text in SPECS:
        (place / f"{text.split()[1]}.yaml").write_text(text, encoding="utf-8")
    return start(
        *(json.dumps(jobs), *hosts), code=PROGRAM, engine=backend, cwd=place, XLA_FLAGS=FLAGS
    )


def write_arrays(place: Path) -> None:
    """Write random examples of sets of labels, and of numbers from several inputs."""
    random = np.random.default_rng(0)
    images, others = random.normal(size=(2, 160, 8, 8, 1)).astype("float32")
    corner = images[:, :2, :2, 0].sum(axis=(1, 2))
    numbers = np.stack([corner, 100 - 10 * corner], axis=1)
    sets = images[:, 0, :3, 0] > 0
    facts = random.normal(size=(160, 3)).astype("float32")
    np.savez(place / "sets.npz", x=images, y=sets)
    np.savez(place / "pair.npz", left=images, right=others, facts=facts, y=numbers)


def printed(process: Forked) -> str:
    """Return what a process printed, when all went well."""
    done = process.finish()
    assert done.returncode == 0, done.stderr
    return done.stdout


def free_port() -> int:
    """Return a port that nobody has, and that the system gives nobody who asks for any."""
    while True:
        port = random.randrange(20_000, 30_000)  # noqa: S311
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


@pytest.fixture(scope="module", params=["tensorflow", "jax"])
def backend(request) -> str:
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return request.param


@pytest.fixture(scope="module")
def place(backend, tmp_path_factory) -> Path:
    """Runs on one and on two devices."""
    place = tmp_path_factory.mktemp(backend)
    still = ODD | {"optimizer": {"sgd": {"learning_rate": RATES[backend]}}}
    exact = EVEN | EXACT | {"augment": ["horizontal_flip"], "batch": 40}
    write_arrays(place)
    jobs = [
        ["pair.yaml", "pair-one", TASK, 0],
        ["pair.yaml", "pair-left", TASK | {"devices": 2}, 2],
        ["plain.yaml", "one", ONCE, 0],
        ["plain.yaml", "two", ONCE | {"devices": 2}, 0],
        ["three.yaml", "odd-one", still, 0],
        ["three.yaml", "odd-two", still | {"devices": "all"}, 0],
        ["normed.yaml", "normed-one", exact, 0],
        ["normed.yaml", "normed-two", exact | {"devices": 2}, -2],
    ]
    assert printed(train(place, jobs, backend)) == ""
    return place


@pytest.fixture(scope="module")
def sets(backend, tmp_path_factory) -> Path:
    """Runs that learn sets of labels, on one and on two devices."""
    place = tmp_path_factory.mktemp(f"sets-{backend}")
    write_arrays(place)
    jobs = [["sets.yaml", "one", TASK, 0], ["sets.yaml", "two", TASK | {"devices": 2}, 0]]
    assert printed(train(place, jobs, backend)) == ""
    return place


@pytest.fixture(scope="module")
def hosts(tmp_path_factory) -> Path:
    """Runs on two hosts, of one device each or of two, and what the hosts said."""
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    place = tmp_path_factory.mktemp("hosts")
    write_arrays(place)
    port = free_port()
    logged = ONCE | {"devices": "all", "callbacks": ["csv_logger"]}
    started = []
    for host in range(2):
        jobs = [
            ["plain.yaml", "quarrel", ONCE | {"seed": host}, 0],
            ["plain.yaml", "four", logged, 0],
            ["pair.yaml", "pair-left", TASK, 2],
        ]
        started.append(train(place, jobs, "jax", 2, host, port))
    for host, process in enumerate(started):
        (place / f"said-{host}").write_text(printed(process))
    return place


def assert_like(home: Path, other: Path) -> None:
    for row, another in zip(measures(home), measures(other), strict=True):
        assert row == pytest.approx(another, rel=2e-5, abs=1e-6)


@pytest.mark.keras
def test_two_devices_train_as_one_does(place):
    assert_like(place / "two", place / "one")


@pytest.mark.keras
def test_two_devices_learn_numbers_as_one_does(place):
    """From several inputs, by a run that was stopped and resumed."""
    assert_like(place / "pair-left", place / "pair-one")


@pytest.mark.keras
@pytest.mark.slow
def test_two_devices_learn_sets_of_labels_as_one_does(sets):
    assert_like(sets / "two", sets / "one")


@pytest.mark.keras
def test_every_image_counts_once_where_devices_cannot_share_them_evenly(place, backend):
    odd = [measures(place / name) for name in ("odd-one", "odd-two")]
    if backend == "tensorflow":
        odd = [
            [{k: v for k, v in row.items() if k.startswith("val_")} for row in run] for run in odd
        ]
    for row, another in zip(*odd, strict=True):
        assert row == pytest.approx(another, rel=2e-5, abs=1e-6)


@pytest.mark.keras
def test_a_run_on_two_devices_goes_on_as_if_it_had_not_been_stopped(place):
    assert_same(left(place / "normed-two", 2, 1), place / "normed-two")


@pytest.mark.keras
def test_batch_norm_and_dropout_are_of_the_whole_batch_on_jax_only(place, backend):
    one, two = measures(place / "normed-one")[0], measures(place / "normed-two")[0]
    assert (one["loss"] == pytest.approx(two["loss"], rel=2e-5)) == (backend == "jax")


@pytest.mark.keras
def test_running_means_are_of_the_images_of_all_devices(place):
    """They follow the means of batches, whose halves have other ones."""
    one, two = (
        archspec.load_model(place / f"normed-{count}" / "final.keras") for count in ("one", "two")
    )
    mean, of_two = (model.get_layer("pixels").moving_mean.numpy() for model in (one, two))
    assert mean != 0
    np.testing.assert_allclose(of_two, mean, atol=2e-6)


@pytest.mark.keras
def test_two_hosts_train_as_one_device_does(hosts, place, backend):
    if backend != "jax":
        pytest.skip("only JAX has several hosts")
    assert_like(hosts / "four", place / "one")


@pytest.mark.keras
def test_a_run_on_two_hosts_goes_on_as_if_it_had_not_been_stopped(hosts, place, backend):
    if backend != "jax":
        pytest.skip("only JAX has several hosts")
    assert len(json.loads((hosts / "pair-left/environment.json").read_text())) == 2
    assert_like(hosts / "pair-left", place / "pair-one")


@pytest.mark.keras
def test_one_host_keeps_the_run_and_each_says_what_is_wrong(hosts):
    assert not (hosts / "quarrel").exists()
    quarrel = "quarrel: host 1 has another network, recipe or data than host 0\n"
    assert [(hosts / f"said-{host}").read_text() for host in range(2)] == [quarrel, quarrel]
    (environment,) = json.loads((hosts / "four/environment.json").read_text())
    assert (environment["devices"], environment["hosts"]) == (4, 2)
    lines = (hosts / "four/callbacks/log.csv").read_text().splitlines()
    assert len(lines) == 1 + ONCE["epochs"]
    assert not list(hosts.glob("*/.partial*"))


# What is told of a run


@pytest.mark.parametrize(("kind", "times"), [("gpu", 8), ("cpu", 2)])
def test_the_peak_is_of_all_devices_but_a_cpu_counts_once_on_each_host(monkeypatch, kind, times):
    monkeypatch.setattr(system, "known_peak_flops", lambda *_: 1e12)
    four_of_each = Devices(8, Hosts(2, 0, "a:1"), None, "jax")
    assert four_of_each.peak_flops(keras("jax", f"{kind}:0"), "float32") == times * 1e12


# What is in a batch


@pytest.fixture(scope="module")
def feed() -> Feed:
    recipe = DataRecipe.model_validate({"source": "digits", "per_class": 10, "classes": [1, 2, 3]})
    loaded = dataset.load(recipe, Shape((8, 8, 1)))
    return Feed(loaded.train, loaded.preprocessing, 8, 3, one_hot=False, seed=3)


def test_each_host_reads_its_share_of_each_batch_and_all_of_one_that_cannot_be_shared(feed):
    hosts = [replace(feed, devices=Devices(4, Hosts(2, n, "a:1"), None, "jax")) for n in range(2)]
    for step in range(3):
        whole, _ = feed.batch_at(1, step)
        shares = [host.batch_at(1, step)[0] for host in hosts]
        assert np.array_equal(np.concatenate(shares), whole)
    last, _ = feed.batch_at(1, 3)
    assert len(last) == 6
    assert all(np.array_equal(host.batch_at(1, 3)[0], last) for host in hosts)


def test_tensorflow_leaves_other_odd_images_out_in_each_epoch_and_none_of_a_validation(feed):
    shared = replace(feed, devices=Devices(4, backend="tensorflow"))
    assert (shared.images, shared.steps) == (28, 4)
    out = [set(range(30)) - set(shared.order(epoch).tolist()) for epoch in range(1, 5)]
    assert {len(images) for images in out} == {2}
    assert len(set.union(*out)) > 2
    looked_at = shared.looking_at(feed.part)
    assert (looked_at.images, looked_at.batch) == (30, 8)
    assert (
        replace(shared, batch=64).looking_at(feed.part).batch == 28
    )  # Keras begins with an even one


# What cannot be


def keras(backend: str, *devices: str) -> Any:
    """Return a stand-in for Keras that lists devices."""
    return SimpleNamespace(
        backend=SimpleNamespace(backend=lambda: backend),
        distribution=SimpleNamespace(list_devices=lambda: list(devices)),
    )


@pytest.mark.parametrize(
    ("backend", "there", "recipe", "path", "words"),
    [
        (
            "jax",
            ["cpu:0"],
            {"devices": 2},
            ("devices",),
            "there is only 1 of 2 devices: cpu:0",
        ),
        (
            "jax",
            ["gpu:0", "gpu:1"],
            {"devices": 3},
            ("devices",),
            "there are only 2 of 3 devices: gpu:0, gpu:1",
        ),
        ("jax", ["cpu:0"] * 4, {"devices": 4, "batch": 30}, ("batch",), "batch of 30 images"),
        ("tensorflow", ["cpu:0"] * 2, {"devices": "all", "batch": 1}, ("batch",), "a batch of 1"),
        ("tensorflow", ["gpu:0"] * 2, {"devices": 2, "jit": True}, ("jit",), "XLA cannot compile"),
        (
            "tensorflow",
            ["gpu:0"] * 2,
            {"devices": 2, "steps_per_execution": 8},
            ("steps_per_execution",),
            "one step per execution",
        ),
        (
            "tensorflow",
            ["gpu:0"] * 2,
            {"devices": 2, "optimizer": {"adam": {"clipnorm": 1.0}}},
            ("optimizer", "adam", "clipnorm"),
            "clip its own share of a gradient",
        ),
        (
            "tensorflow",
            ["gpu:0"] * 2,
            {
                "devices": 2,
                "optimizer": {
                    "lossscaleoptimizer": {
                        "inner_optimizer": {"adam": {"gradient_accumulation_steps": 4}}
                    }
                },
            },
            (*INNER, "gradient_accumulation_steps"),
            "update at every step",
        ),
    ],
)
def test_what_devices_cannot_share_is_said_at_its_place(backend, there, recipe, path, words):
    with pytest.raises(RecipeError) as caught:
        choose(keras(backend, *there), Recipe.resolve(recipe), Hosts())
    ((place, problem),) = caught.value.problems
    assert place == path
    assert words in problem.message


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        ("jax", "XLA_FLAGS=--xla_force_host_platform_device_count=3"),
        (
            "tensorflow",
            "tf.config.set_logical_device_configuration before anything",
        ),
    ],
)
def test_where_there_are_only_cpus_the_help_says_how_to_make_several_of_one(backend, words):
    with pytest.raises(RecipeError) as caught:
        choose(keras(backend, "cpu:0"), Recipe.resolve({"devices": 3}), Hosts())
    assert words in caught.value.problems[0][1].help


@pytest.mark.parametrize(("batch", "near"), [(30, 28), (31, 32), (3, 4), (2, 4)])
def test_the_nearest_batch_that_can_be_shared_is_named(batch, near):
    with pytest.raises(RecipeError) as caught:
        choose(
            keras("jax", *["gpu:0"] * 4), Recipe.resolve({"devices": 4, "batch": batch}), Hosts()
        )
    assert caught.value.problems[0][1].help == f"the nearest batch that they can share is {near}"


def test_tensorflow_wants_an_image_for_each_device():
    shared = Devices(4, backend="tensorflow")
    shared.check_images(4, 0)
    with pytest.raises(RecipeError, match="4 devices cannot share 3 training images"):
        shared.check_images(3, 10)
    with pytest.raises(RecipeError, match="4 devices cannot share 1 validation images"):
        shared.check_images(10, 1)
    Devices(4, backend="jax").check_images(1, 1)


def test_without_a_wish_there_is_one_device_however_many_there_are():
    devices = choose(keras("jax", "gpu:0", "gpu:1"), Recipe.resolve({"batch": 31}), Hosts())
    assert (devices.count, devices.engine) == (1, None)


@pytest.mark.parametrize("count", [1, 2])
def test_on_pytorch_there_is_one_device_however_many_there_are(monkeypatch, count):
    monkeypatch.setattr(system, "devices", lambda _: [f"gpu:{n}" for n in range(count)])
    with pytest.raises(RecipeError, match="with PyTorch, Keras computes on one device"):
        choose(keras("torch"), Recipe.resolve({"devices": 2}), Hosts())


@pytest.mark.parametrize("backend", ["tensorflow", "torch"])
def test_only_jax_has_several_hosts(backend):
    with pytest.raises(UsageError, match=rf"on {backend}, Keras cannot .*KERAS_BACKEND=jax"):
        Hosts(2, 0, "127.0.0.1:1234").join(keras(backend))


ALONE = """
import sys
from archspec.cli import main
from archspec.training import hosts
hosts.PATIENCE_SECONDS = 3
main(["fit", "lenet5", "--hosts", "2", "--host", sys.argv[1], "--coordinator", sys.argv[2]])
"""


def join_alone(host: int, address: str) -> subprocess.CompletedProcess[str]:
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    return run(host, address, code=ALONE, engine="jax")


@pytest.mark.keras
@pytest.mark.parametrize("host", [0, 1])
def test_a_host_that_nobody_joins_says_so(host):
    address = f"127.0.0.1:{free_port()}"
    done = join_alone(host, address)
    assert done.returncode == 2, done.stderr
    assert f"error: host {host} of 2 did not meet the others at {address}: " in done.stderr
    assert "start each one with its own `--host" in done.stderr


@pytest.mark.keras
def test_a_port_that_is_taken_is_said():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = join_alone(0, f"127.0.0.1:{port}")
    assert done.returncode == 2, done.stderr
    assert f"error: host 0 cannot wait at port {port}: Address already in use" in done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--hosts 2", "--hosts needs --host"),
        ("--host 1", "need --hosts"),
        (
            "--hosts 2 --host 2 --coordinator a:1",
            "`--host 2` must be from 0 to 1: ",
        ),
        ("--hosts 2 --host 0", "`--coordinator` is missing"),
        ("--hosts 2 --host 0 --coordinator localhost", "must be ADDRESS:PORT"),
        ("--hosts 2 --host 0 --coordinator a:99999", "must be ADDRESS:PORT"),
        ("--hosts 0", "--hosts"),
    ],
)
def test_hosts_that_do_not_exist_are_refused(options, words):
    result = CliRunner().invoke(main, ["fit", "lenet5", *options.split()])
    assert result.exit_code == 2
    assert words in result.output
