"""Pictures of a run: what stands in them, that they are always the same, and how large they get."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font
from PIL import Image
from support.commands import run
from support.predictions import measure

from archspec.render.confusion import write_confusion
from archspec.render.curves import write_curves, write_rates
from archspec.render.figures import FONT, MOST_POINTS, fonts_for, spread, thinned

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def svg(tmp_path) -> Path:
    """The file of a picture whose texts a test reads. A PNG beside it would double its time."""
    return tmp_path / "picture.svg"


@pytest.fixture
def files(svg) -> tuple[Path, Path]:
    return svg, svg.with_suffix(".png")


def texts(svg: Path) -> list[str]:
    return ["".join(text.itertext()) for text in ET.parse(svg).iter(f"{SVG}text")]  # noqa: S314


def check_png(png: Path) -> None:
    with Image.open(png) as image:
        assert image.format == "PNG"
        assert max(image.size) < 2_500


def history(epochs: int, **more) -> list[dict[str, float]]:
    """A run that learns; its lowest validation loss is in its last epoch but one."""
    return [
        {
            "epoch": epoch,
            "loss": 2 * 0.8**epoch + 0.25,
            "accuracy": 1 - 0.5**epoch,
            "val_loss": 2 * 0.8**epoch + 0.5 + 0.2 * (epoch == epochs),
            "val_accuracy": 0.9 - 0.4 * 0.5**epoch,
            "learning_rate": 0.01,
            "seconds": 2.0,
            "images_per_second": 700.0,
            **more,
        }
        for epoch in range(1, epochs + 1)
    ]


def confused(classes: int, names: list[str] | None = None):
    """Ten images a class; the first has three that were taken for the last."""
    labels = np.repeat(np.arange(classes), 10)
    predicted = labels.copy()
    predicted[:3] = classes - 1
    one_hot = np.eye(classes, dtype=np.float32)[predicted]
    return measure(labels, one_hot, names or [f"kind{n}" for n in range(classes)])


# Curves


def test_lines_are_named_where_they_end_with_their_last_value(svg):
    write_curves(history(20), 19, "lenet5", svg)
    said = texts(svg)
    assert "lenet5" in said
    assert {"training 0.273", "validation 0.723"} <= set(said)  # 2 * 0.8^20 is 0.023
    assert {"training 100.00%", "validation 90.00%", "learning rate 0.01"} <= set(said)
    assert {"loss", "accuracy", "epoch"} <= set(said)
    assert not any("not a number" in text for text in said)


@pytest.mark.parametrize("least", [0.5, 1e-6])
def test_the_least_possible_loss_is_a_named_line(svg, least):
    write_curves(history(9), 8, "net", svg, least_loss=least)
    assert f"least possible {least:.3g}" in texts(svg)


def test_the_best_epoch_is_marked_with_its_values(svg):
    write_curves(history(20), 2, "lenet5", svg)
    assert "best epoch 2: validation loss 1.78, accuracy 80.00%" in texts(svg)
    write_curves(history(20), None, "lenet5", svg)
    assert not any("best" in text for text in texts(svg))


def test_a_run_of_one_epoch_is_a_dot_in_each_panel(svg):
    write_curves(history(1), 1, "one", svg)
    assert "best epoch 1: validation loss 2.3, accuracy 70.00%" in texts(svg)
    assert texts(svg).count("1") == 1  # the only epoch of the axis


def test_a_run_without_validation_shows_what_it_has(svg):
    rows = [{k: v for k, v in row.items() if not k.startswith("val_")} for row in history(5)]
    write_curves(rows, 5, "net", svg)
    assert not any("validation" in text for text in texts(svg))
    assert any(text.startswith("best epoch 5: training loss") for text in texts(svg))


@pytest.mark.parametrize(
    ("missing", "gone"),
    [("learning_rate", "learning rate"), ("accuracy", "accuracy")],
)
def test_a_panel_without_values_is_left_out(missing, gone, svg):
    rows = [{k: v for k, v in row.items() if missing not in k} for row in history(5)]
    write_curves(rows, None, "net", svg)
    assert not any(gone in text for text in texts(svg))


def test_a_validation_every_other_epoch_is_one_line(svg):
    rows = history(10)
    for row in rows[::2]:
        row["val_loss"], row["val_accuracy"] = None, ""
    write_curves(rows, None, "net", svg)
    assert "validation 0.915" in texts(svg)
    write_curves(rows, 4, "net", svg)
    assert any(text.startswith("best epoch 4: validation") for text in texts(svg))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308])
def test_a_loss_that_is_no_number_is_a_cross(value, svg):
    rows = history(10)
    rows[5]["loss"] = rows[6]["val_loss"] = value
    write_curves(rows, None, "net", svg)
    assert "x: loss infinite or not a number" in texts(svg)
    assert "nan" not in svg.read_text(encoding="utf-8").lower().replace("not a number", "")


@pytest.mark.parametrize(
    "value",
    [3.4e38, 0.0, *(pytest.param(value, marks=pytest.mark.slow) for value in (-3.4e38, 1e-308))],
)
def test_any_loss_can_be_drawn(value, files):
    rows = history(10)
    rows[0]["loss"] = rows[9]["val_loss"] = value
    write_curves(rows, 9, "net", *files)
    assert f"validation {value:.3g}" in texts(files[0])
    write_rates([0.1, 1.0, 10.0], [1.0, value, 3.0], 1.0, "net", *files)
    assert "learning rate 1" in texts(files[0])
    check_png(files[1])


def test_a_loss_over_decades_has_a_logarithmic_axis(svg):
    rows = history(10)
    rows[0]["loss"] = 5_000
    write_curves(rows, None, "net", svg)
    assert {"loss (logarithmic)", "1", "10", "100", "1000"} <= set(texts(svg))


@pytest.mark.parametrize(
    ("rates", "shown"),
    [
        ([0.1] * 4 + [0.01] * 4 + [0.001] * 2, {"0.1", "0.01", "0.001"}),
        ([0.05 * (1 + math.cos(math.pi * n / 10)) for n in range(10)], {"0", "0.05", "0.1"}),
        ([0.1] * 10, {"0", "0.05", "0.1"}),
        ([0.0] * 10, {"learning rate 0"}),
    ],
    ids=["steps", "cosine", "constant", "zero"],
)
def test_the_learning_rate_has_the_axis_that_its_schedule_needs(rates, shown, svg):
    rows = [{**row, "learning_rate": rate} for row, rate in zip(history(10), rates, strict=True)]
    write_curves(rows, None, "net", svg)
    assert shown <= set(texts(svg))


def test_losses_of_heads_are_named(svg):
    write_curves(history(5, output_loss=0.3, aux1_loss=0.4, val_aux1_loss=9), None, "net", svg)
    assert {"output 0.3", "aux1 0.4"} <= set(texts(svg))
    assert not any(text.endswith(" 9") for text in texts(svg))


def test_the_accuracy_may_have_another_name(svg):
    rows = [{"epoch": 1, "loss": 1, "output_acc": 0.5, "val_output_acc": 0.25}]
    write_curves(rows, None, "net", svg, measure="output_acc")
    assert {"training 50.00%", "validation 25.00%"} <= set(texts(svg))


def test_of_an_epoch_run_twice_the_later_row_counts(svg):
    first, second = history(8)[:6], [{**row, "loss": 0.125} for row in history(8)[4:]]
    write_curves([*first, *second], None, "net", svg)
    assert "training 0.125" in texts(svg)
    once = svg.read_bytes()
    write_curves([*first[:4], *second], None, "net", svg)
    assert svg.read_bytes() == once


def test_a_run_without_an_epoch_says_so(svg):
    write_curves([], None, "net", svg)
    assert "no epoch was completed" in texts(svg)


def test_numbers_may_come_from_a_csv_file(svg):
    write_curves([{"epoch": "1", "loss": "0.5", "val_loss": ""}], 1, "net", svg)
    assert "training 0.5" in texts(svg)


def test_ten_thousand_epochs_fit_a_small_file(svg):
    random = np.random.default_rng(0)
    rows = [
        {k: v * random.uniform(0.5, 1) if k != "epoch" else v for k, v in row.items()}
        for row in history(10_000)
    ]
    write_curves(rows, 9_000, "net", svg)
    assert "10,000" in texts(svg)
    assert svg.stat().st_size < 300_000


def test_thinned_lines_keep_their_ends_their_extremes_and_their_gaps():
    points = [(float(n), math.sin(n)) for n in range(12_345)]
    points[5_000] = (5_000.0, 99.0)
    points[7_000] = (7_000.0, -99.0)
    points[9_000:9_100] = [(float(n), math.nan) for n in range(9_000, 9_100)]
    thin = thinned(points)
    assert len(thin) <= MOST_POINTS
    assert {points[0], points[5_000], points[7_000], points[-1]} <= set(thin)
    assert thin == sorted(thin)
    assert any(math.isnan(y) for _, y in thin)
    assert thinned(points[:MOST_POINTS]) == points[:MOST_POINTS]


@pytest.mark.parametrize(
    ("places", "apart"),
    [
        ([0.2, 0.8], [0.2, 0.8]),
        ([0.5, 0.5], [0.45, 0.55]),
        ([0.3, 0.5, 0.5], [0.3, 0.45, 0.55]),
        ([0.38, 0.5, 0.5], [0.36, 0.46, 0.56]),
        ([0.0, 0.0, 0.0], [0.0, 0.1, 0.2]),
        ([0.99, 1.0], [0.9, 1.0]),
        ([], []),
    ],
)
def test_labels_move_apart_and_stay_beside_their_panel(places, apart):
    assert spread(places, 0.1) == pytest.approx(apart)


# Learning rates


def test_the_chosen_learning_rate_is_marked(svg):
    rates = np.geomspace(1e-5, 10, 60)
    losses = [2 - rate if rate < 1 else 1e6 for rate in rates]
    write_rates(rates, losses, 0.032, "rates", svg)
    said = texts(svg)
    assert "learning rate 0.032" in said
    assert {"1e-05", "0.001", "0.1", "10"} <= set(said)
    assert not any("00000" in text for text in said)  # where it diverges is out of the picture
    write_rates(rates, losses, None, "rates", svg)
    assert not any(text.startswith("learning rate 0") for text in texts(svg))


@pytest.mark.parametrize("losses", [[], [math.nan], [2.0], [2.0, 2.0], [1.0, 2.0, math.inf]])
def test_few_losses_make_a_picture_too(losses, svg):
    rates = [10.0 ** (n - 5) for n in range(len(losses))]
    write_rates(rates, losses, None, "rates", svg)
    finite = any(map(math.isfinite, losses))
    assert ("no loss was a finite number" in texts(svg)) != finite


# Scores


def test_the_confusion_matrix_of_few_classes_holds_counts_and_recalls(svg):
    write_confusion(confused(3), "test images", svg)
    said = texts(svg)
    assert said.count("10") == 2
    assert {"7", "3", "70.0%"} <= set(said)
    assert said.count("100.0%") == 2
    assert said.count("kind0") == said.count("kind2") == 2
    assert "accuracy 90.00% of 30 images" in said


@pytest.mark.parametrize(
    ("classes", "counted", "named"),
    [(1, True, True), (2, True, True), (20, True, True), (21, False, True), (101, False, False)],
)
def test_more_classes_are_shaded_without_counts_and_then_without_names(
    classes, counted, named, svg
):
    write_confusion(confused(classes), "test images", svg)
    said = texts(svg)
    assert ("10" in said or "7" in said) == counted
    assert ("recall" in said) == counted
    assert ("of row" in said) != counted
    assert said.count("kind0") == (2 if named else 0)
    assert (f"predicted ({classes:,} classes)" in said) != named


def test_a_thousand_classes_fit_a_small_picture_and_no_mistake_is_lost(files):
    sizes = []
    for classes in (400, 1_000):
        labels = np.arange(classes)
        one_hot = np.eye(classes, dtype=np.float32)
        write_confusion(measure(labels, one_hot[::-1], labels.astype(str)), "net", *files)
        sizes.append(files[0].stat().st_size)
        with Image.open(files[1]) as image:
            pixels = np.asarray(image.convert("L"))
        rows = pixels[200:800, 60:1_060]
        assert (rows.min(axis=1) < 100).all()  # each row has its dark dot
    assert sizes[1] < 100_000
    assert "; a dot is the highest of 3 x 3 classes" in "".join(texts(files[0]))


@pytest.mark.parametrize(
    "name",
    [
        *("猫", "$a_b^{", "a<b>&", "\x07bell\n", "\udce9", "x" * 300),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("кошка", "قطة")),
    ],
)
def test_a_class_may_have_any_name(name, files):
    """Warnings are errors here: one of a letter that no font has would be seen."""
    write_confusion(confused(2, [name, "other"]), name, *files)
    write_curves(history(2), None, name, *files)
    assert len(texts(files[0])) > 5
    check_png(files[1])


def test_a_font_is_looked_for_where_the_usual_one_lacks_a_letter():
    """Fonts that come with matplotlib: STIX has signs that DejaVu lacks."""
    manager = font_manager.fontManager

    def letters(font: str) -> set[int]:
        return set(FT2Font(manager.findfont(font)).get_charmap())

    lacking = chr(min(letters("STIXGeneral") - letters(FONT)))
    (found,) = fonts_for(f"abc {lacking}")
    assert ord(lacking) in letters(found)
    assert fonts_for("plain") == fonts_for("épée кошка") == []
    assert fonts_for("\U0010fffd") == []  # which no font has


# Files


@pytest.mark.parametrize(
    "draw",
    [
        lambda png: write_curves([], None, "net", png),
        lambda png: write_curves(history(3, loss=math.nan, val_loss=5_000), 2, "net", png),
        lambda png: write_curves(history(10_000, aux_loss=0.25), 9_000, "net", png),
        lambda png: write_rates([], [], None, "rates", png),
        lambda png: write_rates([0.1, 1.0, 10.0], [1.0, 0.5, math.inf], 1.0, "rates", png),
        lambda png: write_confusion(confused(1), "images", png),
        lambda png: write_confusion(confused(20), "images", png),
        lambda png: write_confusion(confused(101), "images", png),
    ],
)
def test_each_picture_is_a_png_of_bounded_size_as_well(draw, tmp_path):
    draw(tmp_path / "picture.png")
    check_png(tmp_path / "picture.png")


def test_the_same_run_gives_the_same_bytes(files):
    written = []
    for _ in range(2):
        write_curves(history(30), 29, "net", *files)
        curves = [path.read_bytes() for path in files]
        write_confusion(confused(30), "net", *files)
        written.append([*curves, *(path.read_bytes() for path in files)])
    assert written[0] == written[1]


def test_a_user_s_own_settings_neither_count_nor_change(files):
    write_curves(history(5), None, "net", *files)
    usual = [path.read_bytes() for path in files]
    with mpl.rc_context():
        mpl.rcParams["lines.linewidth"] = 20
        mpl.rcParams["axes.facecolor"] = "red"
        write_curves(history(5), None, "net", *files)
        assert mpl.rcParams["axes.facecolor"] == "red"
        assert mpl.rcParams["text.parse_math"]
    assert [path.read_bytes() for path in files] == usual


def test_nothing_is_left_where_a_picture_cannot_be_written(tmp_path):
    with pytest.raises(OSError, match="none"):
        write_curves(history(5), None, "net", tmp_path / "a.svg", tmp_path / "none" / "a.png")
    assert {path.name for path in tmp_path.iterdir()} <= {"a.svg"}


@pytest.mark.parametrize("backend", ["svg", "module://a_notebook_that_is_elsewhere"])
def test_the_backend_is_the_user_s_even_where_it_is_not_installed(backend, tmp_path):
    code = """
import sys, pathlib, os
from archspec.render.curves import write_curves
assert "matplotlib" not in sys.modules and "numpy" not in sys.modules
write_curves([{"loss": 1}], None, "net", pathlib.Path("a.svg"), pathlib.Path("a.png"))
assert "matplotlib.pyplot" not in sys.modules
print(os.environ["MPLBACKEND"])
"""
    done = run(code=code, cwd=tmp_path, MPLBACKEND=backend)
    assert done.stdout.strip() == backend, done.stderr
    assert (tmp_path / "a.svg").is_file()
