"""Values that print themselves, for those that no command shows: spec, graph, run, export."""

import json
from pathlib import Path

import pytest
from support.specs import spec_of

import archspec
from archspec.errors import Diagnostic, Span
from archspec.evaluation.evaluation import Evaluation, Result
from archspec.evaluation.prediction import Guess, Prediction, Predictions
from archspec.evaluation.tally import measure
from archspec.keras_model.export import Exported
from archspec.runs.outcome import Run


def test_a_spec_prints_as_a_spec_of_its_own():
    spec = archspec.load("vgg", "vgg19", classes=10)
    assert spec_of(str(spec)).to_dict() == spec.to_dict()
    assert spec._repr_markdown_() == f"```yaml\n{spec}```\n"


def test_a_graph_has_a_row_for_each_op_with_its_inputs():
    graph = archspec.report("resnet18").graph
    lines = str(graph).splitlines()[2:]
    assert [line.split()[0] for line in lines] == [node.name for node in graph.nodes]
    data = json.loads(json.dumps(graph.to_dict()))
    for line, node in zip(lines, data["nodes"], strict=True):
        assert line.endswith(", ".join(node["inputs"]))
        assert "x".join(map(str, node["shape"])) in line


@pytest.mark.parametrize(
    ("outcome", "lines"),
    [
        ("finished", ["test accuracy 75.00% (epoch 1); trained 1 epoch", "2.0 s", "a"]),
        (
            "interrupted",
            [
                "interrupted after 1 whole epoch: no test score",
                "2.0 s",
                "`archspec.resume('a')` goes on",
                "a",
            ],
        ),
    ],
)
def test_a_run_says_how_it_ended_and_where_it_is(outcome, lines):
    score = 0.75 if outcome == "finished" else None
    rows = ({"loss": float("inf"), "images_per_second": 0.0},)
    run = Run(Path("a"), "net", outcome, rows, 1 if score else None, {}, score, 2.0, 24)
    assert str(run).splitlines() == lines
    assert run._repr_markdown_().splitlines()[2:] == [f"- {line}" for line in lines]
    assert json.loads(json.dumps(run.to_dict(), allow_nan=False))["history"][0]["loss"] is None


def test_an_export_says_how_near_it_is_and_what_was_widened():
    exported = Exported(Path("a.onnx"), 2_000, 1.5e-7, 1e-4, 32, "mixed_float16")
    near, widened = str(exported).splitlines()
    assert near.startswith("a.onnx: 2.00 kB, largest difference to the model 1.5e-07 over 32")
    assert widened == "a.onnx: computes in float32, the model in mixed_float16"
    assert exported.to_dict()["path"] == "a.onnx"


def test_a_diagnostic_says_its_place():
    problem = Diagnostic("value", "too large", Span(3, 5, 3, 9), file="a.yaml")
    assert str(problem) == "a.yaml:3:5: error[value] too large"
    assert {**problem.to_dict(), "help": 0}.items() >= {"line": 3, "column": 5, "help": 0}.items()


def test_an_evaluation_in_markdown_ends_its_table_of_runs_with_the_ensemble():
    scores = measure([0, 1], [[0.9, 0.1], [0.6, 0.4]], "ab")
    runs = [Result(name, {"loss": 0.5}, scores) for name in ("one", "two")]
    both = Result("together", {}, scores)
    shown = Evaluation("digits", "test", False, tuple(runs), both)._repr_markdown_()
    assert "digits, test: 2 images.\n" in shown
    rows = [line for line in shown.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows[2:5]] == ["| one", "| two", "| **together**"]
    assert rows[4].endswith("| **-** |")


def test_predictions_in_markdown_name_the_images_that_could_not_be_read():
    images = (Prediction("a|b.png", (Guess("cat", 0.9),)), Prediction("c.png", (), "damaged"))
    shown = Predictions(("runs/a",), images)._repr_markdown_()
    assert "| a&#124;b.png | cat | 90.0% |" in shown
    assert shown.endswith("\n- c.png: damaged\n")
