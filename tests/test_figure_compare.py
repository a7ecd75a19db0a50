"""Figures of comparisons: where two networks differ, and parameters against MACs.

The pictures are in tests/figures. After a change of the looks, this file, run as a program, draws
them anew; look at the difference.
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from conftest import MORE
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.commands import output, run
from support.figure_checks import check_boxes, check_overlaps, check_text, check_ways
from support.random_specs import specs
from support.specs import spec_of

import archspec
from archspec.cost.difference import Difference
from archspec.errors import SpecError, UsageError
from archspec.figure import draw
from archspec.render.difference import is_quiet
from archspec.render.figure import difference as side_by_side
from archspec.render.figure import outline, plot
from archspec.render.figure.difference import arranged
from archspec.render.figure.drawing import Circle, Drawing, Group, Rect, Text
from archspec.render.figure.metrics import text_width
from archspec.render.figure.paired import Side
from archspec.render.figure.svg import svg
from archspec.render.figure.writing import drawing

FOLDER = Path(__file__).parent / "figures"

PAIRS = [
    ("vgg16", "vgg19"),
    ("resnet18", "resnet34"),
    ("resnet50", "resnet50_keras"),
    ("inception_naive", "inception_bottleneck"),
    ("googlenet", "googlenet_aux"),
]
"""Networks of the pictures of differences."""

PICTURES: dict[str, Callable[[], Drawing]] = {
    f"difference_{before}_{after}": lambda pair=(before, after): drawing(draw(archspec.diff(*pair)))
    for before, after in PAIRS
} | {
    "plot": lambda: drawing(
        draw(archspec.compare("alexnet", "vgg", "googlenet", "resnet", "squeezenet", "densenet201"))
    )
}

FURTHER = [
    ("alexnet", "vgg16"),
    ("resnet34", "preresnet50"),
    ("densenet121", "densenet169"),
    ("cifar_resnet110", "cifar_resnet1202"),
    ("squeezenet_v1_0", "squeezenet_v1_0_complex_bypass"),
    ("fractalnet20", "fractalnet40"),
    ("dpn92", "dpn98"),
    ("lenet5", "googlenet"),
    ("wrn_28_10", "wrn_16_8"),
]


@pytest.mark.parametrize("name", PICTURES)
def test_the_picture_is_the_one_that_was_looked_at(name):
    expected = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    assert svg(PICTURES[name]()) == expected
    ET.fromstring(expected)  # noqa: S314  (it is from this repository)


# What differs is marked


def groups(drawn: Drawing) -> list[Group]:
    return [mark for mark in drawn.marks if isinstance(mark, Group)]


def shown(side: Side) -> Iterator[tuple[str, str, bool]]:
    """Mark and path of every box with nothing inside, and whether it stands for several."""
    for box in side.root.walk():
        if not box.boxes:
            yield side.mark(box), box.path, box in side.spans


def check(difference: Difference) -> None:
    drawn = drawing(draw(difference))
    check_text(drawn)
    sides, layouts = arranged(difference)
    for number, (side, layout) in enumerate(zip(sides, layouts, strict=True)):
        check_boxes(side.root, layout)
        check_ways(side.root, layout)
        check_overlaps(layout)
        check_marks(
            difference, side, [(step.before, step.after)[number] for step in difference.steps]
        )
    leaves = [group for group in groups(drawn) if not group_has_title(group)]
    assert sorted(sign for group in leaves for sign in group_marks(group)) == sorted(
        mark for side in sides for mark, _, _ in shown(side) if mark != "="
    )


def group_has_title(group: Group) -> bool:
    """Whether it is a frame, whose text stands at its start."""
    return [mark.anchor for mark in group.marks if isinstance(mark, Text)] == ["start"]


def group_marks(group: Group) -> list[str]:
    """The mark of a box by its tone, which its sign says as well."""
    shape = group.marks[0]
    assert isinstance(shape, Rect | Circle)
    marks = [mark for mark, tone in side_by_side.TONES.items() if tone == shape.tone]
    texts = [mark.text for mark in group.marks if isinstance(mark, Text)]
    if isinstance(shape, Rect):
        assert [text for text in texts if text in side_by_side.TONES] == marks
        assert shape.dashed == (marks in (["-"], ["+"]))
    else:
        assert texts[1:] == marks or not texts or texts == marks  # after the sign of the merge
    return marks


def check_marks(difference: Difference, side: Side, rows: list) -> None:
    """Every row that differs is marked by what it is, and no other is."""
    expected = {
        row.path: "=" if is_quiet(step, difference.shared) else step.mark
        for step, row in zip(difference.steps, rows, strict=True)
        if row
    }
    repeated = {
        row.path
        for box in side.root.walk()
        for row in rows
        if box.times > 1 and row and box.stop <= row.start < box.end
    }
    seen = set()
    for box in side.root.walk():
        if box.boxes:
            continue
        paths = [rows[number].path for number in side.numbers(box)]
        assert {expected[path] for path in paths} == {side.mark(box)}
        assert (len(paths) > 1) == (box in side.spans or box.times > 1)
        seen.update(paths)
    assert seen | repeated == set(expected)


@pytest.mark.parametrize(("before", "after"), [*PAIRS, *FURTHER])
@pytest.mark.parametrize("depth", [None, 2])
def test_all_that_differs_is_marked_and_nothing_else(before, after, depth):
    check(archspec.diff(before, after, depth=depth))


@settings(max_examples=round(40 * MORE))
@given(data=specs(), other=specs(), place=st.integers(0, 20), ops=st.booleans())
def test_the_difference_of_random_networks_is_drawn_whole_and_clearly(data, other, place, ops):
    layers = data["layers"]
    shorter = data | {"layers": layers[: place % len(layers)] + layers[place % len(layers) + 1 :]}
    for after in (other, shorter):
        try:
            difference = archspec.diff(
                spec_of(json.dumps(data)), spec_of(json.dumps(after)), ops=ops
            )
        except SpecError:
            assume(after is shorter)
            continue
        check(difference)


def test_counterparts_stand_at_one_height():
    for before, after in PAIRS[:3]:
        sides, layouts = arranged(archspec.diff(before, after))
        first, second = (
            {side.numbers(each.box)[0]: each.y for each in layout.boxes if not each.box.boxes}
            for side, layout in zip(sides, layouts, strict=True)
        )
        both = first.keys() & second.keys()
        assert len(both) > 5
        assert all(math.isclose(first[number], second[number], abs_tol=0.01) for number in both)


def test_equal_layers_are_one_box_that_says_how_many_it_stands_for():
    drawn = drawing(draw(archspec.diff("resnet18", "resnet34")))
    folded = [group for group in groups(drawn) if "equal layers" in group.title]
    assert folded[0].title == "input to pool1: 3 equal layers"
    shared = drawing(draw(archspec.diff("resnet50", "resnet50_keras")))
    title = next(group.title for group in groups(shared) if "equal layers" in group.title)
    assert title == "input to stage1: 8 equal layers, 11 layers with nothing but the above"


def test_two_equal_networks_are_one_box_each():
    drawn = drawing(draw(archspec.diff("vgg16", "vgg16")))
    assert [group.title for group in groups(drawn)] == ["input to fc3: 25 equal layers"] * 2


def test_titles_say_what_changed_and_what_follows():
    drawn = drawing(draw(archspec.diff("resnet50", "resnet50_keras")))
    title = next(group.title for group in groups(drawn) if group.path == "stage2/unit1/conv1")
    assert title == (
        "~ stage2/unit1/conv1: stride 1 -> 2, output 56x56x128 -> 28x28x128, "
        "params 33,280 -> 33,408 (+128), MACs 102,760,448 -> 25,690,112 (-77,070,336)"
    )


def test_the_heading_has_the_totals_and_what_all_layers_share():
    texts = [
        mark.text
        for mark in drawing(draw(archspec.diff("resnet50", "resnet50_keras"))).marks
        if isinstance(mark, Text)
    ]
    assert "+26,560" in texts
    assert "~ bias false -> true in all 53 convolution layers of both" in texts


def test_a_difference_of_too_many_boxes_says_how_to_fold(monkeypatch):
    monkeypatch.setattr(outline, "MOST_BOXES", 10)
    with pytest.raises(UsageError, match=r"\d+ boxes are too many .* `archspec.diff\(..., depth=1"):
        drawing(draw(archspec.diff("alexnet", "vgg16")))


# Parameters against MACs


def circles(drawn: Drawing) -> dict[str, Circle]:
    return {group.path: group.marks[0] for group in groups(drawn)}


def boxes_of_names(drawn: Drawing, names: set[str]) -> list[tuple[float, float, float, float]]:
    return [
        (mark.x, mark.y - mark.size, mark.x + text_width(mark.text, mark.size), mark.y)
        for mark in drawn.marks
        if isinstance(mark, Text) and mark.text in names
    ]


@pytest.mark.parametrize(
    ("words", "figure"),
    [
        (("alexnet", "vgg", "resnet", "densenet"), "inference_bytes"),  # each by its own `train:`
        (("resnet",), "must_keep"),
    ],
)
def test_the_area_of_a_circle_is_the_memory(words, figure):
    comparison = archspec.compare(*words)
    drawn = drawing(draw(comparison))
    found = circles(drawn)
    shares = [found[each.name].radius ** 2 / getattr(each, figure) for each in comparison.entries]
    assert max(shares) == pytest.approx(min(shares))
    title = "inference at batch 1, float32" if len(words) > 1 else "training must keep at batch 256"
    assert any(title in mark.text for mark in drawn.marks if isinstance(mark, Text))


def test_circles_stand_where_their_numbers_are_on_logarithmic_axes():
    comparison = archspec.compare("lenet5", "squeezenet_v1_1", "resnet50", "vgg16")
    found = circles(drawing(draw(comparison)))
    for figure, axis in (("macs", "x"), ("params", "y")):
        points = sorted(
            (math.log10(getattr(each, figure)), getattr(found[each.name], axis))
            for each in comparison.entries
        )
        slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(points)]
        assert max(slopes) == pytest.approx(min(slopes))
        assert (slopes[0] > 0) == (axis == "x")


@pytest.mark.parametrize("words", [("resnet", "vgg"), tuple(archspec.networks())])
def test_no_name_is_over_another(words):
    comparison = archspec.compare(*words, at="384x384" if len(words) > 2 else None)
    drawn = drawing(draw(comparison))
    check_text(drawn)
    boxes = boxes_of_names(drawn, set(comparison.names))
    note = [mark.text for mark in drawn.walk() if isinstance(mark, Text) and "no room" in mark.text]
    omitted = int(note[0].split()[0]) if note else 0
    assert len(boxes) + omitted == len(comparison.names)
    for number, one in enumerate(boxes):
        for other in boxes[number + 1 :]:
            apart = (
                one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
            )
            assert apart


@given(st.lists(st.tuples(st.integers(0, 10**14), st.integers(0, 10**10)), min_size=1, max_size=8))
def test_axes_have_numbers_whatever_the_amounts(pairs):
    for values in zip(*pairs, strict=True):
        axis = plot.Axis(values, 50.0, 400.0)
        assert all(50 <= axis.at(value) <= 450 for value in values)
        ticks = list(axis.ticks())
        assert 1 <= len(ticks) <= 12
        places = [place for _, place in ticks]
        assert places == sorted(places)
        assert ("0", axis.at(0)) in ticks or min(values) > 0


def test_a_network_without_macs_has_a_place():
    empty = spec_of("name: empty\ninput: [8, 8, 4]\nlayers:\n  - {activation: relu}\n")
    drawn = drawing(draw(archspec.compare(empty, "lenet5")))
    check_text(drawn)
    assert circles(drawn)["empty"].x < circles(drawn)["lenet5"].x


def test_names_of_files_are_escaped(tmp_path):
    text = (Path(archspec.__file__).parent.parent / "specs" / "lenet.yaml").read_text()
    names = ["<script>alert(1)<.yaml", "\"'&amp;.yaml"]
    for name in names:
        (tmp_path / name).write_text(text)
    comparison = archspec.compare(*(tmp_path / name for name in names))
    for figure in (draw(comparison), draw(archspec.diff(*(tmp_path / name for name in names)))):
        written = svg(drawing(figure))
        assert "<script" not in written
        ET.fromstring(written)  # noqa: S314  (it is ours)


# Networks beside each other

PLAIN = """
name: plain34
about: ResNet-34 without shortcuts (He et al. 2015, figure 3, in the middle)
input: [224, 224, 3]
defaults: {conv: {norm: batch, activation: relu}}
layers:
  - {name: conv1, conv: {filters: 64, kernel: 7, stride: 2, padding: 3}}
  - {name: pool1, max_pool: {size: 3, stride: 2, padding: 1}}
  - for: {filters: [64, 128, 256, 512], n: [6, 8, 12, 6], stride: [1, 2, 2, 2]}
    name: stage
    layers:
      - name: conv
        repeat: =n
        conv: {filters: =filters, kernel: 3, stride: =stride if index == 0 else 1, padding: 1}
  - global_avg_pool
  - fc: {units: 1000, activation: softmax}
"""


def test_a_plain_network_stands_beside_resnet34():
    drawn = drawing(draw(spec_of(PLAIN), "resnet34"))
    check_text(drawn)
    alone = [drawing(draw(each)) for each in (spec_of(PLAIN), "resnet34")]
    paths = [group.path for group in groups(drawn)]
    assert paths == [group.path for each in alone for group in groups(each)]
    titles = [mark for mark in drawn.marks if isinstance(mark, Text) and mark.bold]
    assert [title.text for title in titles] == ["plain34", "resnet34"]
    right_of_first = [group for group in groups(drawn) if leftmost(group) >= titles[1].x - 12]
    assert len(right_of_first) == len(groups(alone[1]))


def leftmost(group: Group) -> float:
    shape = group.marks[0]
    return shape.x - (shape.radius if isinstance(shape, Circle) else 0.0)


def test_a_bar_means_the_same_in_networks_beside_each_other():
    drawn = drawing(draw("lenet5", "alexnet", bar="params"))
    bars = {
        group.path: [mark.width for mark in group.marks if isinstance(mark, Rect)][1:]
        for group in groups(drawn)
    }
    params = {
        row.path: row.params
        for name in ("lenet5", "alexnet")
        for row in archspec.report(name).rows()
    }
    full = max(params.values())
    assert bars["c5"][1] / bars["c5"][0] == pytest.approx(params["c5"] / full)
    assert bars["fc6"][1] / bars["fc6"][0] == pytest.approx(params["fc6"] / full)


def test_feature_maps_are_of_one_network():
    with pytest.raises(UsageError, match="the style maps draws one network, not 2"):
        draw("lenet5", "alexnet", style="maps")


# Python and the command line


def test_a_comparison_is_drawn_as_it_is():
    comparison = archspec.compare("vgg")
    with pytest.raises(UsageError, match="a comparison is drawn as it is, without other"):
        draw(comparison, depth=1)
    with pytest.raises(UsageError, match="drawn alone"):
        draw(comparison, "vgg16")
    assert repr(draw(comparison)).startswith("<Figure of vgg11")
    assert draw(archspec.diff("vgg16", "vgg19")).to_dict()["style"] == "difference"


def written(*arguments: str) -> str:
    """Return what a command prints that writes files."""
    done = run(*arguments)
    assert done.returncode == 0
    assert all(line.startswith("wrote ") for line in done.stderr.splitlines())
    return done.stdout


def test_the_command_writes_a_figure_beside_the_table(tmp_path):
    plotted, different = tmp_path / "plot.svg", tmp_path / "difference.svg"
    assert "vgg19" in written("compare", "vgg", "-o", str(plotted))
    assert plotted.read_text(encoding="utf-8") == svg(drawing(draw(archspec.compare("vgg"))))
    assert "--- vgg16" in written("compare", "--diff", "vgg16", "vgg19", "-o", str(different))
    expected = svg(drawing(draw(archspec.diff("vgg16", "vgg19"))))
    assert different.read_text(encoding="utf-8") == expected


def test_names_of_networks_hide_no_dot():
    families = "alexnet cifar_resnet densenet dpn fractalnet googlenet nin preresnet resnet resnext"
    drawn = drawing(draw(archspec.compare(*families.split(), "wide_resnet", "vgg")))
    dots = [mark for mark in drawn.walk() if isinstance(mark, Circle) and mark.tone == "ink"]
    titles = {mark.path for mark in drawn.walk() if isinstance(mark, Group)}
    names = [mark for mark in drawn.walk() if isinstance(mark, Text) and mark.text in titles]
    assert len(dots) == len(titles) > len(names) > 40  # the others had no room
    for name in names:
        right = name.x + text_width(name.text, name.size)
        assert not any(
            name.x < dot.x < right and name.y - 0.7 * name.size < dot.y < name.y for dot in dots
        ), name.text


def test_plot_leaves_the_table_out(tmp_path):
    assert output("compare", "vgg", "--plot").startswith("<svg")
    target = tmp_path / "plot.svg"
    assert written("compare", "vgg", "--plot", "-o", str(target)) == ""
    assert ET.parse(target)  # noqa: S314  (it is ours)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vgg", "-o", "plot.gif"), r"plot.gif: the suffix says what to write: .*\.tex"),
        (("--runs", "a", "-o", "curves.pdf"), r"curves.pdf: .* \.svg, \.png"),
        (("--runs", "a", "--plot"), "--plot does not go with --runs"),
        (("vgg", "--plot", "--json"), "--format json does not go with --plot"),
        (("vgg", "--plot", "--columns", "name"), "--columns does not go with --plot"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run("compare", *arguments)
    assert done.returncode == 2
    assert re.search(message, done.stderr)


if __name__ == "__main__":
    for name, make in PICTURES.items():
        (FOLDER / f"{name}.svg").write_text(svg(make()), encoding="utf-8")
