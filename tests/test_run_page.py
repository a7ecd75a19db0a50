"""The page of a run, `index.html`: what it shows while the run goes on, and when it has ended."""

import base64
import hashlib
import math
import re
import threading
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import archspec
from archspec.evaluation.scores import Bin, Cell, Scores
from archspec.render.figure.drawing import Drawing, Text
from archspec.render.figure.history import drawing, ticks
from archspec.render.figure.svg import svg
from archspec.render.run_page import RunPage
from archspec.runs.outcome import Run

HOSTILE = """
name: a<script>alert(1)</script>
about: "</title><script>alert(2)</script>"
input: [8, 8, 1]
layers:
  - flatten
  - fc: 2
"""


def rows(epochs: int, **last: float) -> list[dict[str, float]]:
    history = [
        {
            "epoch": epoch,
            "loss": 2.0 / epoch,
            "accuracy": 1 - 0.5 / epoch,
            "val_loss": 2.1 / epoch,
            "val_accuracy": 1 - 0.6 / epoch,
            "learning_rate": 0.01,
            "images_per_second": 900.0,
        }
        for epoch in range(1, epochs + 1)
    ]
    if history:
        history[-1] |= last
    return history


def page_of(name: str | Path = "lenet5") -> RunPage:
    recipe = {"data": {"source": "</pre><script>"}, "optimizer": {"adam": {}}}
    return RunPage(archspec.report(name), recipe, "digits & <b>more</b>", "accuracy", 4)


def run_of(home: Path, outcome: str = "finished", **more: object) -> Run:
    values = {
        "folder": home,
        "name": "lenet5",
        "outcome": outcome,
        "history": tuple(rows(4)),
        "best_epoch": 4,
        "test": {"accuracy": 0.75},
        "test_accuracy": 0.75,
        "seconds": 12.0,
        "params": 61_706,
    }
    return Run(**(values | more))


SCORES = Scores(
    ("cat", "<script>alert(3)</script>"),
    (Cell(0, 0, 2), Cell(0, 1, 1), Cell(1, 1, 1)),
    (),
    (Bin(4, 3, 0.8),),
)


class Words(HTMLParser):
    """The text of a page's parts, and its tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.words += data


def written(home: Path) -> Words:
    return Words((home / "index.html").read_text(encoding="utf-8"))


def test_while_it_trains_it_says_how_far_it_is(tmp_path):
    page_of().write(tmp_path, rows(3), 2)
    shown = written(tmp_path)
    assert "training: epoch 3 of 4" in shown.words
    assert "training 0.6667" in shown.words  # the loss at the end of its line
    assert "confusion" not in shown.words.lower()


def test_before_the_first_epoch_there_are_no_curves(tmp_path):
    page_of().write(tmp_path, [], None)
    assert "No epoch is complete yet." in written(tmp_path).words


def test_when_it_has_ended_it_says_what_came_of_it(tmp_path):
    for name in ("confusion.svg", "mistakes.svg"):
        (tmp_path / name).write_text("<svg xmlns='http://www.w3.org/2000/svg'/>", encoding="utf-8")
    page_of().write(tmp_path, rows(4), 4, run_of(tmp_path), SCORES)
    shown = written(tmp_path)
    assert "test accuracy 75.00% (epoch 4); trained 4 epochs" in shown.words
    assert "75.00% of 4 test images right" in shown.words
    assert shown.tags.count("img") == 2
    assert "parameters61,706" in shown.words


def test_a_run_that_diverged_says_why(tmp_path):
    lost = run_of(tmp_path, "diverged", advice="lower the learning rate < 1", test_accuracy=None)
    page_of().write(tmp_path, rows(2), 2, lost)
    assert "lower the learning rate < 1" in written(tmp_path).words


def test_nothing_that_a_user_names_becomes_a_tag(tmp_path):
    spec = tmp_path / "spec.yaml"
    spec.write_text(HOSTILE, encoding="utf-8")
    try:
        page = page_of(spec)
    except archspec.SpecError:  # a name may not hold it; the description may
        spec.write_text(re.sub("name: .*", "name: a", HOSTILE), encoding="utf-8")
        page = page_of(spec)
    page.write(tmp_path, rows(4), 4, run_of(tmp_path, name="</title>"), SCORES)
    shown = written(tmp_path)
    assert shown.tags.count("script") == 1
    assert "b" not in shown.tags
    assert "<script>alert(3)</script>" in shown.words


def test_its_policy_lets_only_its_own_script_run(tmp_path):
    page_of().write(tmp_path, rows(1), 1)
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    script = re.search(r"<script>(.*)</script>", text, re.DOTALL)
    digest = re.search(r"script-src 'sha256-([^']*)'", text)
    assert script is not None
    assert digest is not None
    hashed = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert digest[1] == hashed


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0, 1e-300, 1e300])
@pytest.mark.parametrize("epochs", [1, 2, 5_000])
def test_any_history_is_drawn(epochs, value):
    drawn = drawing(rows(epochs, loss=value, val_loss=value), best_epoch=1, epochs=epochs)
    text = svg(drawn)
    assert "nan" not in text.split("<desc>")[1].split("</desc>")[1]
    assert len(text) < 250_000


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0.0, 1.0, 5, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (1, 7, 8, [1, 2, 3, 4, 5, 6, 7]),
        (0.13, 2.4, 5, [0.5, 1.0, 1.5, 2.0]),
        (3.0, 3.0, 5, [3.0]),
    ],
)
def test_ticks_are_round_numbers(low, high, most, expected):
    assert ticks(low, high, most) == pytest.approx(expected)


def words(drawn: Drawing) -> list[str]:
    return [mark.text for mark in drawn.marks if isinstance(mark, Text)]


def test_the_axis_of_a_long_run_reaches_no_further_than_twice_its_epochs():
    assert "400" in words(drawing(rows(330), epochs=400))
    assert "400" not in words(drawing(rows(20), epochs=400))
    assert "7" in words(drawing(rows(2), epochs=7))


def test_losses_of_outputs_and_other_metrics_are_drawn_too():
    shown = words(drawing(rows(3, aux_loss=0.5, top_5_accuracy=0.9, val_top_5_accuracy=0.8)))
    assert {"aux 0.5", "top 5 accuracy", "training 0.9", "validation 0.8"} <= set(shown)


def test_a_loss_that_falls_far_has_a_logarithmic_axis_and_the_least_possible_is_marked():
    history = [{"epoch": epoch, "loss": 1e6 / 10**epoch} for epoch in range(1, 7)]
    shown = words(drawing(history, least_loss=0.5))
    assert {"10000", "100", "1", "least possible 0.5"} <= set(shown)


def test_a_loss_that_is_no_number_has_a_cross():
    assert "x: infinite or not a number" in words(drawing(rows(3, loss=math.nan)))
    assert "x: infinite or not a number" not in words(drawing(rows(3)))


@pytest.mark.parametrize("value", [1e-4, 3e-7, 1.0, 1e9])
def test_the_texts_of_an_axis_tell_their_values(value):
    history = [{"epoch": n, "loss": 1.0, "learning_rate": value * n} for n in (1, 2)]
    texts = [text for text in words(drawing(history)) if re.fullmatch(r"[\d.e+-]+", text)]
    assert not any(float(text) == 0 for text in texts)


def test_a_rate_that_stays_has_one_value_on_its_axis():
    history = [{"epoch": n, "learning_rate": 0.0003} for n in (1, 2)]
    assert words(drawing(history)).count("0.0003") == 2  # on the axis, and at the line's end
    assert [text for text in words(drawing(history)) if re.match("0[.]", text)] == ["0.0003"] * 2


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_a_page_from_a_server_follows_the_run(tmp_path, open_page):
    page_of().write(tmp_path, rows(1), 1)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        shown = open_page(f"http://127.0.0.1:{server.server_port}/index.html")
        shown.get_by_text("epoch 1 of 4").wait_for()
        page_of().write(tmp_path, rows(2), 2)
        shown.get_by_text("epoch 2 of 4").wait_for()
        (tmp_path / "mistakes.svg").write_text(
            "<svg xmlns='http://www.w3.org/2000/svg'/>", encoding="utf-8"
        )
        page_of().write(tmp_path, rows(4), 4, run_of(tmp_path), SCORES)
        shown.get_by_text("trained 4 epochs").wait_for()
        shown.get_by_text("Surest mistakes").wait_for()
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("width", [360, 2000])
def test_a_page_that_is_a_file_fits_any_window(tmp_path, open_page, width):
    page_of("resnet18").write(tmp_path, rows(4), 4, run_of(tmp_path), SCORES)
    shown = open_page(tmp_path / "index.html", viewport={"width": width, "height": 800})
    assert shown.evaluate("document.documentElement.scrollWidth") <= width


def test_pictures_of_an_earlier_end_are_not_shown_while_it_trains_again(tmp_path):
    for name in ("confusion.svg", "mistakes.svg", "units.svg"):
        (tmp_path / name).write_text("<svg xmlns='http://www.w3.org/2000/svg'/>", encoding="utf-8")
    page_of().write(tmp_path, rows(3), 2)
    assert "img" not in written(tmp_path).tags
    page_of().write(tmp_path, rows(4), 4, run_of(tmp_path, "interrupted", test_accuracy=None))
    assert written(tmp_path).tags.count("img") == 1  # units: they need no test images


def test_a_page_without_news_says_that_its_run_may_have_been_stopped(tmp_path, open_page):
    page_of().write(tmp_path, rows(2), 2)
    page = tmp_path / "index.html"
    shown = open_page(page)
    assert shown.get_by_role("status").inner_text() == ""
    text = page.read_text(encoding="utf-8")
    written = re.search(r'data-written="(\d+)"', text)
    assert written is not None
    earlier = text.replace(written[0], f'data-written="{int(written[1]) - 7500}"')
    page.write_text(earlier, encoding="utf-8")
    shown.get_by_text("No news for 2 h 5 min: the run may have been stopped.").wait_for()


def test_a_page_that_has_ended_expects_no_news(tmp_path, open_page):
    page_of().write(tmp_path, rows(4), 4, run_of(tmp_path), SCORES)
    page = tmp_path / "index.html"
    page.write_text(re.sub(r'data-written="\d+"', 'data-written="0"', page.read_text()))
    assert open_page(page).get_by_role("status").inner_text() == ""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_an_audit_finds_no_barrier(tmp_path, open_page, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page_of("resnet18").write(tmp_path, rows(4), 4, run_of(tmp_path), SCORES)
    window = {"width": width, "height": 800}
    shown = open_page(tmp_path / "index.html", viewport=window, color_scheme=scheme)
    found = axe.Axe().run(shown).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []
