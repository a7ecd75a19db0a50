"""Sweeps: all combinations of some variables' values, their figures, and the front."""

import csv
import io
import json
from itertools import product
from pathlib import Path

import pytest
from support.commands import run

import archspec
from archspec.cost.estimate import ESTIMATED
from archspec.errors import SpecError, UsageError
from archspec.studies.goals import front

NET = """
name: net
input: [8, 8, 1]
vars: {width: 8, depth: 2, kernel: 3}
variants: {plain: {}, wide: {width: 32}}
search:
  width: {range: [4, 16], step: 4}
  depth: [1, 2, 3]
budget: {params: 2K}
layers:
  - {conv: {filters: =width, kernel: =kernel}, repeat: =depth}
  - flatten
  - fc: {units: 10, activation: softmax}
train: {data: digits}
"""


@pytest.fixture
def net(tmp_path):
    path = tmp_path / "net.yaml"
    path.write_text(NET, encoding="utf-8")
    return path


def test_a_sweep_says_of_each_combination_what_its_report_says(net):
    found = archspec.sweep(net)
    assert [tuple(each.values.values()) for each in found] == [*product((4, 8, 12, 16), (1, 2, 3))]
    for each in found:
        costs = archspec.report(archspec.load(net, **each.values))
        assert each.figures == {
            "params": costs.totals.params,
            "macs": costs.totals.macs,
            "other_ops": costs.totals.other_ops,
            "activations": costs.totals.activations,
            "must_keep": costs.memory.must_keep,
        }
        assert each.within == (costs.totals.params <= 2000)


def test_the_front_has_what_no_other_beats(net):
    found = archspec.sweep(net, front="max params, min macs")
    within = [each.figures for each in found if each.within]

    def beats(a, b):
        pairs = (b["params"], a["params"]), (a["macs"], b["macs"])
        return all(x <= y for x, y in pairs) and any(x < y for x, y in pairs)

    best = {each.number for each in found if each.within}
    best -= {
        each.number
        for each in found
        if each.within and any(beats(other, each.figures) for other in within)
    }
    assert {each.number for each in found.front} == best
    assert best


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ([[3], [1], [2], [1]], [1]),
        ([[1, 3], [2, 2], [3, 1], [3, 3], [2, 2]], [0, 1, 2]),
        ([[1, 1, 9], [1, 9, 1], [9, 1, 1], [2, 2, 9], [5, 5, 5]], [0, 1, 4, 2]),
        ([], []),
    ],
)
def test_the_front_of_costs(costs, expected):
    assert front(costs) == expected


def test_combinations_that_are_no_networks_are_counted_with_the_reason(net):
    found = archspec.sweep(net, {"depth": "3..5", "kernel": [3, 5]})
    assert len(found) == 6
    broken = [each for each in found if each.problem]
    assert [each.values for each in broken] == [
        {"depth": 3, "kernel": 5},
        {"depth": 4, "kernel": 3},
        {"depth": 4, "kernel": 5},
        {"depth": 5, "kernel": 3},
        {"depth": 5, "kernel": 5},
    ]
    assert all("is larger than its input" in each.problem for each in broken)
    (why, count, first), *_ = found.reasons
    assert "kernel" in why
    assert count == 3
    assert first.values == {"depth": 3, "kernel": 5}


def test_inputs_and_variants_vary_too(net):
    found = archspec.sweep(net, {"variant": ["plain", "wide"], "input": [16, "8x12"]})
    for each, (variant, shape) in zip(
        found, product(("plain", "wide"), ([16, 16, 1], [8, 12, 1])), strict=True
    ):
        costs = archspec.report(archspec.load(net, variant, input=shape))
        assert each.figures["macs"] == costs.totals.macs


def test_several_processes_give_the_same_table(net):
    vary = {"width": "1..130", "depth": "1..4"}
    alone = archspec.sweep(net, vary)
    together = archspec.sweep(net, vary, jobs=2)
    assert list(together.rows()) == list(alone.rows())
    assert together.front == alone.front


def test_where_nothing_fits_the_nearest_is_named(net):
    found = archspec.sweep(net, where="macs < 100")
    assert not found.front
    assert found.nearest.startswith("width 4, depth 1: macs is 2,7")
    assert found.nearest.endswith("not < 100")


@pytest.mark.parametrize(
    ("vary", "options", "message"),
    [
        ({"widht": [1]}, {}, "has no variable `widht`; did you mean `width`?"),
        ({"width": 3}, {}, "`width` must be a list of values or a range, not 3"),
        ({"width": []}, {}, "`width` has no values"),
        ({"width": "9..1"}, {}, "the range of `width` is empty: 9 is above 1"),
        ({"width": "a..b"}, {}, "must be two numbers"),
        ({"width": {"range": [1, 10**9], "log": True}}, {}, "has more than 100,000 values"),
        ({"width": {"range": [0.1, 10**400], "step": 1}}, {}, "must be two numbers within 2^63"),
        ({"width": [8]}, {"front": 3}, "3 is not an objective"),
        ({"width": [8]}, {"where": 3}, "'3' is not a condition"),
        (["width"], {}, "`vary=['width']` must be variables with their values"),
        ({"width": "1..2:0"}, {}, "the step of `width` must be above 0, not 0"),
        ({"width": "0.5..1.5"}, {}, "a sweep needs a step"),
        ({"width": "1..99999", "depth": "1..1000"}, {}, "combinations are more than 10,000,000"),
        ({"width": [8, 8]}, {}, "`width` has the value 8 twice"),
        ({"variant": ["tiny"]}, {}, "has no variant `tiny`"),
        ({"width": [8]}, {"front": "macz"}, "there is no figure `macz`"),
        ({"width": [8]}, {"front": "max accuracy"}, "known after training only"),
        ({"width": [8]}, {"front": "macs, macs"}, "`macs` is an objective twice"),
        ({"width": [8]}, {"where": "parms < 3"}, "did you mean `params`?"),
        ({"width": [8]}, {"where": "training_bytes < 1GB"}, "mean `training_bytes.must_keep`?"),
        ({"width": [8]}, {"where": "cpu < 1GB"}, "training_bytes.cpu"),
        ({"width": [8]}, {"where": "params < 3 apples"}, "is not a valid bound"),
        ({"width": [8]}, {"where": "small"}, "write one as `params < 20K`"),
        ({"width": [8]}, {"jobs": 0}, "`jobs=0` must be a whole number"),
    ],
)
def test_a_mistake_is_explained(net, vary, options, message):
    with pytest.raises(UsageError) as error:
        archspec.sweep(net, vary, **options)
    assert message in str(error.value)


def test_the_estimate_for_each_engine_is_offered(net):
    with pytest.raises(UsageError) as error:
        archspec.sweep(net, {"width": [8]}, where="bytes_of_a_step < 1GB")
    for engine in ESTIMATED:
        assert f"training_bytes.{engine}" in str(error.value)


def test_a_condition_may_have_commas_in_its_number(net):
    written = archspec.sweep(net, where="params < 1,200, macs < 10,000")
    assert written.where == ("params < 1,200", "macs < 10,000")
    assert [*written.rows()] == [*archspec.sweep(net, where=["params < 1.2K", "macs < 10K"]).rows()]


def test_a_mistake_that_no_values_mend_is_the_specs(net):
    net.write_text(NET.replace("- flatten", "- flaten"), encoding="utf-8")
    with pytest.raises(SpecError, match="flaten"):
        archspec.sweep(net)


def test_a_spec_without_variables_to_vary_says_how_to_write_them():
    with pytest.raises(UsageError, match="has no `search:` section: write one, as `search: "):
        archspec.sweep("vgg16")


def test_the_command_names_the_option_that_gives_values():
    assert "give the values by `--vary`" in run("sweep", "vgg16").stderr


def test_the_command_writes_the_table_and_the_plot(net, tmp_path):
    files = [tmp_path / f"sweep{suffix}" for suffix in (".csv", ".json", ".md", ".svg", ".png")]
    outputs = [part for path in files for part in ("-o", str(path))]
    done = run("sweep", net, "--vary", "width=4..16:4", "--vary", "depth=2,3,9", *outputs)
    assert done.returncode == 0, done.stderr
    assert "12 candidates: width 4..16:4; depth 2,3,9" in done.stdout
    assert "no networks: 4" in done.stdout
    rows = list(csv.DictReader(io.StringIO(files[0].read_text(encoding="utf-8"))))
    assert [(row["width"], row["depth"], row["within"]) for row in rows][:3] == [
        ("4", "2", "True"),
        ("4", "3", "True"),
        ("4", "9", "False"),
    ]
    assert rows[2]["params"] == ""
    assert "larger than its input" in rows[2]["problem"]
    data = json.loads(files[1].read_text(encoding="utf-8"))
    assert data["columns"][:3] == ["width", "depth", "params"]
    assert len(data["rows"]) == data["candidates"] == 12
    picture = Path(files[3]).read_text(encoding="utf-8")
    assert "Candidates of plain" in picture
    assert f"{len(data['front'])} on the front by min macs, max params" in picture
    assert files[4].stat().st_size > 1000


def test_the_command_fails_where_nothing_is_within(net):
    done = run("sweep", net, "--where", "params < 10")
    assert done.returncode == 1
    assert "none is within; the nearest is width 4, depth 3: params is" in done.stdout
