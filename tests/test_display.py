"""Values that print themselves, for those that no command shows: spec, graph, run, export."""

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.predictions import measure
from support.specs import spec_of

import archspec
from archspec.display import Displayed
from archspec.errors import Diagnostic, Span
from archspec.evaluation.evaluation import Evaluation, Result
from archspec.evaluation.prediction import Guess, Prediction, Predictions
from archspec.keras_model.export import Exported
from archspec.render import notebook
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
    best = 1 if score else None
    run = Run("net", outcome, rows, best, {}, score, 2.0, 24, folder=Path("a"))
    assert str(run).splitlines() == lines
    assert run._repr_markdown_().splitlines()[2:] == [f"- {line}" for line in lines]
    assert json.loads(json.dumps(run.to_dict(), allow_nan=False))["history"][0]["loss"] is None


def test_an_export_says_how_near_it_is_and_what_was_widened():
    exported = Exported(Path("a.onnx"), 2_000, 1.5e-7, 1e-4, 32, "mixed_float16")
    near, widened = str(exported).splitlines()
    assert near.startswith("a.onnx: 2.00 kB, largest difference to the model 1.5e-07 over ")
    assert "over 32 examples: " in near
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


# Notebooks: the figure above the table


class Html(HTMLParser):
    """The elements and the texts of a page; fails where tags do not match."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002
        self.tags[tag] += 1
        self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:  # noqa: ARG002
        self.tags[tag] += 1

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: archspec.load("lenet5"), "AVGPOOL2"),
        (lambda: archspec.report("lenet5"), "61,706"),
        (lambda: archspec.report("lenet5").graph, "convolution"),
        (lambda: archspec.compare("vgg"), "vgg19"),
        (lambda: archspec.diff("vgg16", "vgg19"), "+5,309,696"),
        (lambda: archspec.draw("lenet5"), "CONV5-6"),
    ],
    ids=["spec", "report", "graph", "comparison", "difference", "figure"],
)
def test_a_notebook_shows_the_figure_above_the_table(make, text):
    value = make()
    shown = value._repr_html_()
    page = Html(shown)
    assert page.tags["svg"] == 1
    assert any(text in each for each in page.texts)
    if isinstance(value, Displayed):
        assert page.tags["table"] + page.tags["pre"] >= 1
        assert shown.index("</svg>") < max(shown.find("<table"), shown.find("<pre"))
        assert "<svg" not in value._repr_markdown_()  # for programs that show no HTML


def test_a_value_without_a_figure_is_shown_as_markdown():
    assert archspec.kinds()._repr_html_() is None


def test_rows_of_a_notebook_are_those_of_the_markdown():
    report = archspec.report("resnet18")
    rows = Html(report._repr_html_()).tags["tr"]
    assert rows == sum(line.startswith("|") for line in report._repr_markdown_().splitlines()) - 1


def test_outputs_in_one_page_share_every_rule_and_have_no_names():
    shown = [archspec.draw(name)._repr_html_() for name in ("lenet5", "vgg16")]
    rules: dict[str, str] = {}
    for page in shown:
        assert " id=" not in page
        sheet = re.findall(r"<style>@media screen\{(.*?\})\}</style>", page, re.DOTALL)
        for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", "".join(sheet)):
            assert re.fullmatch(r":is\(.*\) \.archspec \.\w+", selector)
            assert rules.setdefault(selector, body) == body
    assert rules


@pytest.mark.parametrize("network", ["cifar_resnet1202", "densenet201"])
def test_a_notebook_folds_what_is_too_large_to_look_at(network):
    page = Html(archspec.report(network)._repr_html_())
    assert page.tags["tr"] <= notebook.MOST_ROWS + 3
    assert page.tags["g"] <= notebook.MOST_BOXES


def test_a_notebook_shows_a_long_chain_as_a_table_that_is_cut():
    layers = "".join(f"  - {{conv: {{filters: {4 + n % 2}, kernel: 1}}}}\n" for n in range(3_000))
    spec = spec_of(f"name: long\ninput: [8, 8, 4]\nlayers:\n{layers}")
    for value in (spec, archspec.report(spec)):
        page = Html(value._repr_html_())
        assert page.tags["svg"] == 0
        assert "... 2,601 more rows" in page.texts
        assert page.tags["tr"] == notebook.MOST_ROWS + 3


def test_a_spec_whose_network_cannot_be_made_is_shown_as_yaml():
    spec = spec_of("name: wrong\ninput: [8, 8, 4]\nlayers:\n  - {conv: {filters: 4, kernel: 9}}\n")
    page = Html(spec._repr_html_())
    assert page.tags["pre"] == 1
    assert page.tags["svg"] == page.tags["table"] == 0


def test_what_a_spec_says_is_escaped_in_a_notebook():
    hostile = '<script>alert(1)</script> & "quotes"'
    spec = spec_of(
        f"name: net\nabout: {json.dumps(hostile)}\ninput: [8, 8, 4]\nlayers:\n  - {{conv: 4}}\n"
        "defaults: {conv: {kernel: 1}}\n"
    )
    for value in (spec, archspec.report(spec)):
        page = Html(value._repr_html_())
        assert page.tags["script"] == 0
        assert hostile in page.texts


def test_a_figure_is_dark_in_dark_notebooks_alone(open_page, tmp_path):
    shown = tmp_path / "notebook.html"
    shown.write_text(f"<!doctype html><body>{archspec.draw('lenet5')._repr_html_()}</body>")
    page = open_page(shown, color_scheme="dark")  # which the notebook's own theme overrules
    fill = "() => getComputedStyle(document.querySelector('svg .paper')).fill"
    assert page.evaluate(fill) == "rgb(255, 255, 255)"
    for attribute, value in (("data-jp-theme-light", "false"), ("class", "vscode-dark")):
        page.evaluate(f"() => document.body.setAttribute('{attribute}', '{value}')")
        assert page.evaluate(fill) == "rgb(21, 25, 31)"
        page.evaluate(f"() => document.body.removeAttribute('{attribute}')")
