"""Times of layers on the machine at hand: what is run, how often, and what is shown beside it."""

import json
from itertools import count

import pytest
from support.commands import BACKEND, run
from support.specs import spec_of

from archspec import UsageError
from archspec.cost.report import report
from archspec.graph.graph import Graph
from archspec.measurement.timing import (
    LEAST_SAMPLES,
    MOST_SAMPLES,
    WARM_UP,
    row_graph,
    time_network,
    timed,
)

REPEATED = """
name: repeated
input: [8, 8, 4]
layers:
  - {name: unit, repeat: 3, conv: {filters: 4, kernel: 3, padding: same, activation: relu}}
  - {name: flat, flatten: {}}
  - {name: out, fc: 10}
"""


class Ticking:
    """A clock that goes on by a second at each look, whatever is done between."""

    def __init__(self, step: float) -> None:
        self._times = count(0)
        self._step = step

    def __call__(self) -> float:
        return next(self._times) * self._step


def test_a_function_is_warmed_up_and_then_run_for_each_sample():
    calls = []
    timing = timed(lambda: calls.append(0), Ticking(0.5))
    assert (timing.samples, timing.calls) == (LEAST_SAMPLES, 1)
    assert len(calls) == WARM_UP + LEAST_SAMPLES
    assert (timing.seconds, timing.lower, timing.upper) == (0.5, 0.5, 0.5)


def test_a_short_function_is_run_many_times_for_a_sample():
    calls = []
    timing = timed(lambda: calls.append(0), Ticking(2**-13))
    assert timing.calls == 8
    assert timing.samples == MOST_SAMPLES
    assert len(calls) == WARM_UP + 8 * MOST_SAMPLES


@pytest.mark.parametrize(
    "name", ["resnet18", "densenet121", "googlenet", "vit_b_16", "siamese", "crnn", "unet"]
)
def test_every_row_alone_is_a_network_with_the_same_shapes_and_macs(name):
    costs = report(name)
    for row in costs.rows():
        if row.kind == "input":
            continue
        alone, _ = row_graph(costs.graph, row.start, row.stop)
        assert isinstance(alone, Graph)
        layers = [node.layer for node in alone.nodes if node.inputs]
        assert sum(layer.macs for layer in layers) == row.macs
        ends = [alone.nodes[index].shape for index in alone.outputs.values()]
        assert row.shape in ends


def test_equal_rows_share_a_key_and_others_do_not():
    costs = report(spec_of(REPEATED))
    keys = [row_graph(costs.graph, row.start, row.stop)[1] for row in costs.rows()[1:]]
    assert len({*keys[:3]}) == 1
    assert len({*keys}) == 3


@pytest.mark.keras
def test_each_distinct_row_is_run_once_and_the_whole_too():
    lines = []
    times = time_network(spec_of(REPEATED), "CPU", batch=2, progress=lines.append)
    assert [(row.bound.path, row.equals) for row in times.rows] == [("unit1", 3), ("out", 1)]
    assert {*times.paths} == {"unit1", "unit2", "unit3", "out"}
    assert all(row.timing.lower <= row.timing.seconds <= row.timing.upper for row in times.rows)
    assert times.inference.seconds > 0
    assert times.rows_seconds > 0
    assert "1 of 2: unit1" in lines
    device = times.roofline.device
    assert device.bandwidth > 0
    assert "measured here" in device.source
    assert json.loads(json.dumps(times.to_dict()))["inference"]["measured"]["samples"] >= 5
    assert "all 4 rows run alone" in str(times)


@pytest.mark.keras
@pytest.mark.skipif(BACKEND != "jax", reason="a training step is timed on JAX")
def test_a_training_step_is_run_on_jax():
    times = time_network(spec_of(REPEATED), batch=2, training=True)
    assert times.step.seconds > 0


@pytest.mark.keras
def test_a_device_that_is_not_at_hand_is_refused():
    with pytest.raises(UsageError, match="there is no NVIDIA H100"):
        time_network("lenet5", "h100")


def test_options_of_the_other_measurement_are_refused():
    for arguments in (["--training"], ["--csv"], ["-o", "a.svg"]):
        done = run("measure", "lenet5", *arguments)
        assert done.returncode == 2
    assert run("measure", "lenet5", "--time", "--fresh").returncode == 2
