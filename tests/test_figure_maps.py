"""Figures of feature maps: what is true of each, and LeNet-5 and AlexNet as their papers draw them.

`python tests/test_figure_maps.py` writes the pictures in tests/figures as they are drawn now; look
at each that differs.
"""

import json
import sys
from pathlib import Path
from random import Random
from xml.etree import ElementTree as ET

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.map_checks import check_nodes, check_places, crossed_texts, text_box
from support.random_specs import specs
from support.specs import size_of, spec_of
from support.wired_specs import wired_spec

import archspec
from archspec.errors import SpecError, UsageError
from archspec.render.figure import maps
from archspec.render.figure.drawing import Circle, Drawing, Group, Polygon, Rect, Text
from archspec.render.figure.drawing import Path as Line
from archspec.render.figure.svg import svg

FIGURES = Path(__file__).parent / "figures"

PAPERS = ("lenet5", "alexnet", "alexnet_grouped")
"""Networks whose maps are compared with a picture in tests/figures."""

WIDEST = 2_400
"""Width in points that a figure may have."""

NAMES = [
    variant["name"] if number == 0 else pytest.param(variant["name"], marks=pytest.mark.slow)
    for family in archspec.networks().to_dict()
    for number, variant in enumerate(family["variants"])
]
"""One network of each family, and the others in `make test-all`."""


def drawn(steps: str, extent: str = "[32, 32, 3]", **settings: object) -> Drawing:
    """The maps of a network of these steps."""
    spec = spec_of(f"{{name: net, input: {extent}, layers: [{steps}]}}")
    return maps.drawing(archspec.draw(spec, style="maps", **settings))


def group(drawing: Drawing, path: str) -> Group:
    return next(mark for mark in drawing.walk() if isinstance(mark, Group) and mark.path == path)


def paths(drawing: Drawing) -> list[str]:
    """The paths of the maps, those of layers that are only named left out."""
    return [mark.path for mark in drawing.marks if isinstance(mark, Group) and solids(mark)]


def solids(mark: Group) -> list[Rect | Polygon]:
    return [each for each in mark.marks if isinstance(each, Rect | Polygon)]


def texts(mark: Group | Drawing) -> list[str]:
    return [each.text for each in mark.marks if isinstance(each, Text)]


def named(drawing: Drawing) -> list[str]:
    """All texts of all groups."""
    return [text for mark in drawing.marks if isinstance(mark, Group) for text in texts(mark)]


def front(mark: Group) -> Rect:
    """The front of a map's first solid."""
    return next(each for each in mark.marks if isinstance(each, Rect))


@pytest.mark.parametrize("name", PAPERS)
def test_the_maps_of_papers_are_drawn_as_in_the_picture(name):
    figure = archspec.draw(name, style="maps")
    assert svg(maps.drawing(figure)) == (FIGURES / f"maps-{name}.svg").read_text("utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_every_bundled_network_is_drawn_whole_and_clearly(name):
    size = size_of(name)
    figure = archspec.draw(name, style="maps", repeats=True, **size)
    drawing = maps.drawing(figure)
    check_nodes(figure.report, drawing)
    folded = maps.drawing(archspec.draw(name, style="maps", **size))
    check_places(folded)
    assert not crossed_texts(folded)
    assert max(drawing.width, folded.width) <= WIDEST
    ET.fromstring(svg(folded))  # noqa: S314  (it was made here)
    assert maps.drawing(archspec.draw(name, style="maps", **size)) == folded


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize(
    "name",
    ["googlenet_aux", "inception_naive", "resnet50", "densenet40_12", "fractalnet20"],
)
def test_opened_blocks_are_drawn_clearly(name, depth):
    drawing = maps.drawing(archspec.draw(name, style="maps", depth=depth))
    check_places(drawing)
    assert not crossed_texts(drawing)
    assert drawing.width <= WIDEST


@pytest.mark.parametrize("ops", [False, True])
@given(data=specs(), depth=st.sampled_from([None, 1, 2, 9]), more=st.booleans())
def test_a_random_network_is_drawn_whole_and_clearly(data, depth, more, ops):
    settings = {"show": ("params", "field"), "bar": "macs", "color": "memory"} if more else {}
    spec = spec_of(json.dumps(data))
    figure = archspec.draw(spec, style="maps", depth=depth, ops=ops, repeats=True, **settings)
    drawing = maps.drawing(figure)
    check_nodes(figure.report, drawing)
    check_places(drawing)
    assert drawing.width <= WIDEST
    ET.fromstring(svg(drawing))  # noqa: S314  (it was made here)


@given(seed=st.integers(0, 2**32), most=st.sampled_from([5, 10, 20, 40]))
def test_any_wiring_is_drawn_whole_and_clearly(seed, most):
    try:
        spec = spec_of(json.dumps(wired_spec(Random(seed), most)))  # noqa: S311  (no secret)
        figure = archspec.draw(spec, style="maps", repeats=True)
    except SpecError:
        assume(False)
    drawing = maps.drawing(figure)
    check_nodes(figure.report, drawing)
    check_places(drawing)
    assert drawing.width <= WIDEST


def test_equal_extents_are_drawn_equal_and_larger_ones_larger():
    drawing = drawn(
        "conv: 64, max_pool: 2, conv: {filters: 128, kernel: 1}, max_pool: 2", "[64, 64, 64]"
    )
    first, second = group(drawing, "input"), group(drawing, "max_pool1")
    third, fourth = group(drawing, "conv2"), group(drawing, "max_pool2")
    assert front(first).height > front(second).height > front(fourth).height
    assert front(second).height == front(third).height
    assert front(third).width > front(second).width == front(first).width


@given(small=st.integers(1, 400), factor=st.integers(2, 9))
def test_a_side_grows_with_the_square_root_of_its_extent(small, factor):
    drawing = drawn(f"avg_pool: {{size: [{factor}, 1]}}", f"[{small * factor}, 3, 30]")
    before, after = front(group(drawing, "input")), front(group(drawing, "avg_pool1"))
    assert before.height / after.height == pytest.approx(factor**0.5)
    assert before.width == after.width


def test_height_and_depth_of_a_map_that_is_not_square():
    drawing = drawn("conv: {filters: 40, kernel: 1}", "[10, 90, 30]")
    mark = group(drawing, "conv1")
    xs = [x for each in solids(mark) if isinstance(each, Polygon) for x, _ in each.points]
    depth = max(xs) - min(xs) - front(mark).width
    assert depth == pytest.approx(0.42 * 3 * front(mark).height)
    assert {"10", "90", "40"} <= {*texts(mark)}


def test_few_channels_are_planes_and_many_a_solid():
    lenet = maps.drawing(archspec.draw("lenet5", style="maps"))
    assert [len(solids(group(lenet, name))) for name in ("input", "c1", "s2", "c3")] == [
        1,
        6,
        6,
        16,
    ]
    assert texts(group(lenet, "c1")) == ["c1", "6@28x28", "CONV5-6"]
    alexnet = maps.drawing(archspec.draw("alexnet", style="maps"))
    assert len(solids(group(alexnet, "input"))) == len(solids(group(alexnet, "conv1"))) == 3


def test_groups_of_channels_are_towers_from_where_they_part_to_where_they_meet():
    drawing = maps.drawing(archspec.draw("alexnet_grouped", style="maps"))
    towers = {path: len(solids(group(drawing, path))) // 3 for path in paths(drawing)}
    assert [path for path, count in towers.items() if count == 2] == [
        *("conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5")
    ]
    assert [path for path, count in towers.items() if count == 1] == ["input", "fc6", "fc7", "fc8"]
    # Of a kernel's lines, four lead from each tower's window to a tower of the next map.
    tapers = {
        path: sum(
            isinstance(each, Line) and len(each.points) == 2 for each in group(drawing, path).marks
        )
        for path in ("conv2", "conv3", "conv4")
    }
    assert tapers == {"conv2": 8, "conv3": 16, "conv4": 8}


def test_many_groups_are_not_drawn_apart():
    drawing = drawn("conv: {filters: 32, kernel: 3, groups: 32}", "[8, 8, 32]")
    assert len(solids(group(drawing, "conv1"))) == 3


def test_a_window_is_on_the_map_that_it_slides_over():
    drawing = drawn("conv: {filters: 64, kernel: 3}", "[27, 27, 3]")
    outline = next(
        each
        for each in group(drawing, "conv1").marks
        if isinstance(each, Line) and len(each.points) == 5
    )
    ys = [y for _, y in outline.points]
    side = next(
        each.points
        for each in solids(group(drawing, "input"))
        if isinstance(each, Polygon) and each.tone == "input"
    )
    height = side[2][1] - side[1][1]
    upwards = side[0][1] - side[1][1]
    # A third of the side and of the depth, as 3 is a ninth of 27.
    assert max(ys) - min(ys) == pytest.approx((height + upwards) / 3)
    assert all(min(x for x, _ in side) < x < max(x for x, _ in side) for x, _ in outline.points)


def test_layers_that_keep_the_shape_are_named_and_not_drawn():
    drawing = drawn("conv: 40, batch_norm, dropout: 0.5, flatten, fc: 10, softmax")
    assert paths(drawing) == ["input", "conv1", "fc1"]
    assert texts(group(drawing, "batch_norm1")) == ["BATCH_NORM"]
    below = [group(drawing, path).marks[-1] for path in ("conv1", "batch_norm1", "dropout1")]
    assert len({text.x for text in below}) == 1
    assert sorted(text.y for text in below) == [text.y for text in below]
    # A flatten makes what the next layer reads, so it is named there.
    assert group(drawing, "flatten1").marks[-1].x == group(drawing, "fc1").marks[-1].x


def test_a_layer_between_a_map_and_one_of_its_two_readers_is_named_at_that_reader():
    drawing = drawn(
        "{name: a, conv: 40}, activation: relu, {name: b, conv: {filters: 40, kernel: 1}}, add: a"
    )
    relu, b = group(drawing, "activation1").marks[-1], group(drawing, "b").marks[-1]
    assert (relu.x, relu.y < b.y) == (b.x, True)


def test_a_flatten_that_nothing_reads_is_a_map():
    assert paths(drawn("conv: 40, flatten")) == ["input", "conv1", "flatten1"]


def test_a_block_is_a_map_unless_depth_opens_it():
    folded = maps.drawing(archspec.draw("inception_bottleneck", style="maps"))
    assert paths(folded) == ["input", "module"]
    opened = maps.drawing(archspec.draw("inception_bottleneck", style="maps", depth=2))
    assert len(paths(opened)) == 9
    rows = {round(front(group(opened, path)).y) for path in paths(opened)}
    assert len(rows) >= 4


def test_what_gates_images_is_beside_their_way():
    gate = "global_avg_pool, {name: gate, fc: 40}, reshape: [1, 1, 40], multiply: x"
    drawing = drawn(f"{{name: x, conv: 40}}, {gate}")
    circle = next(each for each in group(drawing, "multiply1").marks if isinstance(each, Circle))
    x, pool = group(drawing, "x"), group(drawing, "global_avg_pool1")
    assert front(x).y < circle.y < front(x).y + front(x).height
    assert front(pool).y > front(x).y + front(x).height


def test_repeats_are_drawn_once_with_their_number():
    steps = "{name: pair, repeat: 3, layers: [conv: {filters: 3, kernel: 1}, avg_pool: 1]}"
    folded = drawn(steps)
    assert paths(folded) == ["input", "pair1/conv1", "pair1/avg_pool1"]
    assert "\u00d7 3" in [mark.text for mark in folded.marks if isinstance(mark, Text)]
    assert len(paths(drawn(steps, repeats=True))) == 7


def test_figures_and_colours_are_those_that_are_asked_for():
    drawing = drawn("conv: 40, flatten, fc: 10", show="params", bar="macs", color="params")
    mark = group(drawing, "conv1")
    assert "1,120 params" in texts(mark)
    assert {each.tone for each in solids(mark)} >= {"track", "bar"}
    assert front(group(drawing, "fc1")).tone == "ramp8_front"


def test_a_sequence_is_flat():
    drawing = drawn("conv: {filters: 40, kernel: 5}, max_pool: 4, global_avg_pool", "[100, 2]")
    (solid,) = solids(group(drawing, "conv1"))
    assert isinstance(solid, Rect)
    assert {"96", "40"} <= {*texts(group(drawing, "conv1"))}


def test_axes_before_the_last_two_count_with_the_channels():
    drawing = drawn("conv: {filters: 40, kernel: 3, padding: same}", "[16, 28, 14, 3]")
    assert {"28", "14", "16x40"} <= {*texts(group(drawing, "conv1"))}
    assert any("Axes before the last two" in text for text in texts(drawing))


def test_long_names_are_shortened_and_the_whole_one_is_in_the_title():
    name = "n" * 64
    drawing = drawn(f"{{name: {name}, conv: 40}}")
    mark = group(drawing, name)
    assert name in mark.title
    assert any(text.endswith("..") for text in texts(mark))


def test_a_long_network_goes_on_in_further_bands():
    drawing = drawn(", ".join(["conv: {filters: 32, kernel: 1}"] * 90))
    check_places(drawing)
    assert drawing.width <= WIDEST
    names = [mark for mark in drawing.walk() if isinstance(mark, Text) and mark.bold]
    heights = [text_box(mark)[1] for mark in names[1:]]
    assert heights == sorted(heights)
    assert len(set(heights)) > 4


@pytest.mark.parametrize("count", [1_500, 20_000])
def test_too_many_maps_are_refused_with_what_helps(count):
    inner = f"{{repeat: {count // 4}, conv: {{filters: 3, kernel: 1}}}}"
    steps = f"{{name: group, repeat: 4, layers: [{inner}]}}"
    spec = spec_of(f"{{name: net, input: [8, 8, 3], layers: [{steps}]}}")
    figure = archspec.draw(spec, style="maps", repeats=True)
    with pytest.raises(UsageError, match=r"too many for a figure.*depth=1"):
        maps.drawing(figure)
    few = maps.drawing(archspec.draw(spec, style="maps", depth=1))
    assert sum(1 for _ in few.walk()) < 100


def test_lines_past_many_maps_are_bounded():
    names = ", ".join(
        f"{{name: c{number}, conv: {{filters: 3, kernel: 1}}}}" for number in range(700)
    )
    joins = ", ".join(f"add: c{number}" for number in range(699))
    joined = f"{names}, {joins}"
    with pytest.raises(UsageError, match="too many for a figure"):
        drawn(joined)


@pytest.mark.parametrize(
    ("extent", "steps"),
    [
        ("[1, 5000, 3]", "max_pool: 1"),
        ("[5000, 1, 3]", "flatten, fc: 5"),
        ("[2147483647, 1, 1]", "max_pool: 1"),
        ("[1, 2147483647, 1]", "conv: {filters: 64, kernel: 1}"),
        ("[1, 1, 2147483647]", "max_pool: 1"),
        ("[1, 1, 1]", "flatten, fc: 5"),
        ("[2147483647, 3]", "max_pool: 1"),
        ("[7, 1, 2000, 3]", "batch_norm"),
        ("[1, 1, 1, 1]", "pad: 2, patchify: {filters: 1, patch: 1}"),  # numbers on one line
        ("[1, 2147483647]", "flatten, fc: 5"),
    ],
)
def test_extreme_shapes_are_drawn_clearly(extent, steps):
    drawing = drawn(steps, extent)
    check_places(drawing)
    assert not crossed_texts(drawing)
    assert max(drawing.width, drawing.height) < 1_000


if __name__ == "__main__":
    FIGURES.mkdir(exist_ok=True)
    for paper in PAPERS:
        text = svg(maps.drawing(archspec.draw(paper, style="maps")))
        (FIGURES / f"maps-{paper}.svg").write_text(text, encoding="utf-8", newline="\n")
        sys.stdout.write(f"wrote maps-{paper}.svg\n")
