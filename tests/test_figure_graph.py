"""Figures of blocks: what is true of each, on random networks and on those of the papers.

The pictures of the papers are in tests/figures. After a change of the looks,
`python tests/test_figure_graph.py` draws them anew; look at the difference.
"""

import json
from pathlib import Path
from random import Random
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.figure_checks import check_layout, check_text, crossings, laid_out
from support.random_specs import specs
from support.specs import spec_of
from support.wired_specs import wired_spec

import archspec
from archspec.errors import SpecError, UsageError
from archspec.figure import Figure
from archspec.render.figure import network
from archspec.render.figure.drawing import RAMP, Drawing, Group, Text
from archspec.render.figure.svg import svg

FOLDER = Path(__file__).parent / "figures"

PICTURES: dict[str, dict[str, Any]] = {
    "inception_naive": {},
    "inception_bottleneck": {},
    "resnet34": {},
    "resnet50": {},
    "preresnet50": {},
    "densenet121": {},
    "squeezenet_v1_0_complex_bypass": {},
    "dpn92": {},
    "fractalnet20": {},
    "googlenet_aux": {},
    "resnet18": {"show": ("params", "macs"), "bar": "params", "color": "macs"},
    "alexnet_grouped": {"ops": True},
    "siamese": {},
    "vit_b_16": {"ops": True},
}
"""Networks of the figures in the papers, with what is shown of each."""

SMALLER = {"dpn92": {"units": [3, 1, 1, 1]}}
"""Variables of networks that would be too large to look at."""


def drawn(name: str, **options: Any) -> Figure:
    return archspec.draw(archspec.load(name, **SMALLER.get(name, {})), **options)


def picture(name: str) -> Drawing:
    return network.drawing(drawn(name, **PICTURES[name]))


def check(figure: Figure) -> None:
    check_layout(figure)
    check_layout(figure, tallest=150)  # so that there are columns wherever there can be
    check_text(network.drawing(figure))


@given(data=specs(), ops=st.booleans(), repeats=st.booleans())
def test_a_random_network_is_drawn_whole_and_clearly(data, ops, repeats):
    check(archspec.draw(spec_of(json.dumps(data)), ops=ops, repeats=repeats))


@given(seed=st.integers(0, 2**32), most=st.sampled_from([5, 10, 20, 40]))
def test_any_wiring_is_drawn_whole_and_clearly(seed, most):
    try:
        random = Random(seed)  # noqa: S311  (it keeps no secret)
        figure = archspec.draw(spec_of(json.dumps(wired_spec(random, most))))
    except SpecError:
        assume(False)
    check(figure)


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize(
    "options",
    [{}, {"depth": 1}, {"depth": 2}, {"repeats": True}, {"ops": True}, {"show": ("params",)}],
    ids=str,
)
def test_the_papers_networks_are_drawn_whole_and_clearly(name, options):
    check(drawn(name, **options))


@pytest.mark.parametrize("name", [name for name in PICTURES if name != "dpn92"])
def test_lines_of_the_papers_networks_do_not_cross(name):
    _, layout = laid_out(drawn(name, **PICTURES[name]))
    assert crossings(layout) == 0


@pytest.mark.parametrize("name", PICTURES)
def test_the_picture_is_the_one_that_was_looked_at(name):
    expected = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    assert svg(picture(name)) == expected
    ET.fromstring(expected)  # noqa: S314  (it is from this repository)


def texts(drawing: Drawing) -> list[str]:
    return [mark.text for mark in drawing.walk() if isinstance(mark, Text)]


def group(drawing: Drawing, path: str) -> Group:
    return next(mark for mark in drawing.walk() if isinstance(mark, Group) and mark.path == path)


def test_repeats_are_one_block_that_says_how_many_it_stands_for():
    drawing = network.drawing(archspec.draw("cifar_resnet1202"))
    assert "unit2 \u00d7 199: residual" in texts(drawing)
    assert drawing.height < 2_000


def test_repeats_that_grow_are_one_block_that_shows_the_first_and_the_last():
    drawing = network.drawing(archspec.draw("densenet121", show="params"))
    assert "unit1 \u00d7 12" in texts(drawing)
    first = group(drawing, "dense2/unit1/conv1x1")
    report = archspec.report("densenet121")
    params = {row.path: row.params for row in report.rows()}
    low, high = params["dense2/unit1/conv1x1"], params["dense2/unit12/conv1x1"]
    assert low < high
    assert f"{low:,}..{high:,} params" in [text.text for text in first.marks[1:]]


def branches(count: int, *after: dict[str, Any]) -> Figure:
    """A network of equal branches."""
    ways = {f"way{number}": [{"conv": 4}, {"conv": 8}] for number in range(count)}
    layers = [{"name": "b", "branches": ways, "merge": "add"}, *after]
    return archspec.draw(spec_of(json.dumps({"name": "n", "input": [8, 8, 3], "layers": layers})))


def test_many_equal_branches_are_one_that_says_how_many_it_stands_for():
    figure = branches(32)
    assert "way0 \u00d7 32 in parallel" in texts(network.drawing(figure))
    check(figure)
    assert "way1" in texts(network.drawing(branches(2)))  # two are soon drawing


def test_equal_branches_that_others_tell_apart_are_all_drawn():
    figure = branches(4, {"concat": ["b", "b/way1"]})
    assert {"way0", "way1", "way2", "way3"} <= {*texts(network.drawing(figure))}
    check(figure)


def test_every_repeat_of_a_deep_network_is_drawn_on_a_page():
    figure = archspec.draw("cifar_resnet110", repeats=True)
    _, drawing = laid_out(figure)
    check(figure)
    assert sum(each.box.name.startswith("unit") for each in drawing.boxes) == 54
    assert 0.5 < drawing.width / drawing.height < 2


def test_more_boxes_than_anyone_can_look_at_are_refused():
    with pytest.raises(UsageError, match=r"boxes are too many .* `archspec.draw\(..., depth=1\)`"):
        archspec.draw("cifar_resnet1202", repeats=True, ops=True).to_dict()


def test_depth_folds_what_the_table_groups():
    for depth in (1, 2, 3):
        figure = archspec.draw("googlenet_aux", depth=depth)
        root, _ = laid_out(figure)
        paths = [box.path for box in root.walk() if box.item and not box.boxes]
        assert paths == [row.path for row in figure.report.rows(depth)]


@pytest.mark.parametrize("depth", [1, None])
def test_heads_stand_beside_what_is_beside_them_however_wide_it_is_below(depth):
    _, drawn = laid_out(archspec.draw("googlenet_aux", depth=depth))
    places = {place.box.path: place for place in drawn.boxes}
    head, other = places["aux1"], places["aux2"]
    assert head.bottom < other.y
    assert other.x > places["inception_4e"].right
    assert places["inception_4b"].right < head.x < other.right


def test_the_frame_of_a_block_says_its_name_and_kind():
    drawing = network.drawing(archspec.draw("inception_naive"))
    assert "module: inception" in texts(drawing)
    assert "fire2" in texts(network.drawing(archspec.draw("squeezenet_v1_0")))  # kind in the name


def test_rows_of_a_fractal_are_dissolved_so_that_its_columns_are_seen():
    root, _ = laid_out(archspec.draw("fractalnet20"))
    kinds = {box.row.kind for box in root.walk() if box.boxes}
    assert "fractal" in kinds
    assert "row" not in kinds


def test_a_frame_shows_what_all_in_it_costs_together():
    drawing = network.drawing(archspec.draw("squeezenet_v1_0", show=["params", "macs"]))
    row = next(row for row in archspec.report("squeezenet_v1_0").rows(1) if row.path == "fire2")
    shown = [mark.text for mark in group(drawing, "fire2").marks if isinstance(mark, Text)]
    assert shown == ["fire2", f"{row.params:,} params", f"{row.macs:,} MACs"]


def test_a_layer_that_sees_the_whole_input_has_the_strongest_colour():
    drawing = network.drawing(archspec.draw("lenet5", show="field", color="field"))
    last = group(drawing, "fc1")
    assert getattr(last.marks[0], "tone", "") == f"ramp{RAMP - 1}"
    assert "field all" in texts(drawing)


def test_a_figure_that_is_named_twice_is_shown_once():
    twice, once = (archspec.draw("lenet5", show=names) for names in (["macs", "macs"], "macs"))
    assert twice.to_dict() == once.to_dict()


def test_a_box_without_any_of_a_figure_has_neither_text_nor_bar_for_it():
    drawing = network.drawing(archspec.draw("lenet5", show="params", bar="params"))
    pool = group(drawing, "s2")
    assert [type(mark).__name__ for mark in pool.marks] == ["Rect", "Text", "Text"]


@pytest.mark.parametrize("nesting", [1, 10, 30])
def test_nested_groups_are_nested_frames(nesting):
    step: dict[str, Any] = {"conv": 4, "name": "inmost"}
    for number in range(nesting):
        step = {"name": f"g{number}", "layers": [step, {"conv": 4, "name": f"after{number}"}]}
    data = {"name": "nested", "input": [8, 8, 4], "layers": [step]}
    spec = spec_of(json.dumps(data | {"defaults": {"conv": {"padding": "same"}}}))
    figure = archspec.draw(spec)
    check(figure)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in PICTURES:
        (FOLDER / f"{name}.svg").write_text(svg(picture(name)), encoding="utf-8")
