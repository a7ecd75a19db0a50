"""Pictures of values: scales, tiles and their names, values with more axes."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from archspec.explain.gallery import Chart, Exhibit, Gallery, Page, Picture, Table
from archspec.render.gallery import charts, drawing, page

FAINT_AND_STRONG = np.stack([np.full((4, 4), 0.01), np.full((4, 4), 1.0)])


def tiles(**given):
    return Picture("tiles", "tiles", FAINT_AND_STRONG, "signed", tiles=("0", "1"), **given)


def test_tiles_share_a_scale_or_have_their_own():
    shared, own = drawing.coloured(tiles()), drawing.coloured(tiles(own_scale="tile"))
    side = drawing.TILE
    first, second = (slice(0, side), slice(0, side)), (slice(0, side), slice(side + 4, None))
    assert shared[first].mean() > 240  # nearly white, as nearly 0
    assert (own[first][0, 0] == own[second][0, 0]).all()
    assert "own" in drawing.scale_of(tiles(own_scale="tile"))
    assert "own" not in drawing.scale_of(tiles())


def test_a_row_of_tiles_may_have_a_scale_of_its_own():
    values = np.stack([np.full((4, 4), level) for level in (0.01, 0.005, 1.0, 0.5)])
    grid = Picture("a", "a", values, "signed", tiles=[""] * 4, columns=2, own_scale="row")
    drawn = drawing.coloured(grid)
    side = drawing.TILE
    np.testing.assert_array_equal(drawn[:side], drawn[-side:])  # both rows 1 and a half
    assert (drawn[0, 0] != drawn[0, -1]).any()


def test_names_stand_below_tiles_and_below_the_picture_where_they_are_too_long():
    assert len(drawing.coloured(tiles())) > drawing.TILE
    assert drawing.fits_below(tiles())
    long = Picture("a", "a", FAINT_AND_STRONG, "signed", tiles=("a name of many letters", "1"))
    assert "a name of many letters, 1" in page.whole(gallery(long))


def test_what_stands_below_a_map_is_not_said_of_its_image_as_well():
    shown = gallery(tiles(facts={"class": "cat"}))
    known = {"class": "cat", "true class": "dog"}
    text = page.whole(replace(shown, exhibits=(replace(shown.exhibits[0], facts=known),)))
    assert "<p>true class dog</p>" in text
    assert "</b>class cat" in text


def test_a_name_may_stand_below_the_tiles_after_it_that_have_none():
    row = np.zeros((4, 4, 4))
    name = "a name of many letters"
    grid = Picture("a", "a", row, "signed", tiles=[name, "", "", ""], columns=4)
    assert drawing.fits_below(grid)
    assert not drawing.fits_below(replace(grid, tiles=[name, "1", "", ""]))
    assert not drawing.fits_below(replace(grid, columns=1))


def test_a_grid_has_the_columns_that_it_is_given():
    narrow = drawing.coloured(tiles(columns=1))
    assert narrow.shape[1] == drawing.TILE
    assert len(narrow) > 2 * drawing.TILE


@pytest.mark.parametrize(
    ("shape", "look", "said"),
    [
        ((5, 8, 8), "positive", "slice 2 of 0 to 4"),
        ((5, 8, 8, 1), "pixels", "slice 2 of 0 to 4"),
        ((8, 8, 7), "pixels", "mean of 7 channels"),
        ((8, 8, 3), "pixels", ""),
        ((8, 8), "signed", ""),
    ],
)
def test_values_of_more_axes_are_drawn_in_part_and_that_is_said(shape, look, said):
    picture = Picture("a", "a", np.random.default_rng(0).uniform(size=shape), look, limits=(0, 1))
    assert drawing.coloured(picture).shape == (224, 224, 3)
    assert drawing.scale_of(picture).partition("; ")[2] == said


def test_a_row_of_large_tiles_is_no_wider_than_a_large_picture():
    maps = Picture("a", "a", np.zeros((16, 224, 224)), "signed", tiles=[""] * 16, columns=8)
    assert drawing.coloured(maps).shape[1] <= drawing.LARGEST + 8 * drawing.GAP


@pytest.mark.parametrize("size", [64, 4096])
def test_a_vector_is_a_strip_that_can_be_seen(size):
    picture = Picture("a", "a", np.linspace(0, 1, size), "positive")
    height, width, _ = drawing.coloured(picture).shape
    assert height == drawing.STRIP
    assert 224 <= width <= drawing.LARGEST


def test_a_page_shows_the_first_rows_of_a_long_table_and_says_so():
    table = Table("units", "units", ("unit",), [(number,) for number in range(12_345)])
    text = page.whole(gallery(table))
    assert "the first 40 of 12,345 rows" in text
    assert text.count("<tr>") == 41


def gallery(item):
    return Gallery("method", "net", {}, (Exhibit("a", "a", [item]),))


HOSTILE = '</title><script>alert(1)</script>"><img src=x onerror=alert(1)>'


def test_names_cannot_become_part_of_a_page():
    values = np.ones((2, 4, 4))
    items = [
        Picture("a", HOSTILE, values[0], "positive", {HOSTILE: HOSTILE}),
        Picture("b", HOSTILE, values, "pixels", tiles=[HOSTILE, "b"]),
        Chart("c", HOSTILE, HOSTILE, HOSTILE, {HOSTILE: [(0, 1)]}, {HOSTILE: HOSTILE}),
        Table("d", HOSTILE, [HOSTILE], [[HOSTILE]]),
        Page("e", HOSTILE, HOSTILE),
    ]
    exhibit = Exhibit(HOSTILE, HOSTILE, items, {HOSTILE: HOSTILE})
    settings = {HOSTILE: HOSTILE}
    hostile = Gallery(HOSTILE, HOSTILE, settings, (exhibit,), (HOSTILE,), (HOSTILE,))
    for text in (page.whole(hostile), hostile._repr_html_()):
        assert "<script" not in text
        assert "<img src=x" not in text
        assert text.count("<img ") == 3


def test_a_page_of_its_own_is_shut_off_in_a_frame():
    text = page.whole(gallery(Page("map", "a map", "<script>play()</script>")))
    assert '<iframe sandbox="allow-scripts" srcdoc="&lt;script&gt;' in text


def test_a_picture_is_described_for_those_who_do_not_see_it():
    many = Picture("a", "kernels", np.ones((900, 2, 2)), "signed", tiles=["name"] * 900)
    text = page.whole(gallery(many))
    alt = text.partition('alt="')[2].partition('"')[0]
    assert alt.startswith("kernels; 38 in a row: name, name")
    assert len(alt) < 1_100


@pytest.mark.parametrize("count", [1, 5_000])
def test_of_very_many_tiles_the_first_are_drawn(count):
    picture = Picture("a", "a", np.ones((count, 2, 2)), "positive", tiles=[""] * count)
    assert drawing.coloured(picture).size < 2**26
    assert ("the first 4,096 of 5,000" in drawing.scale_of(picture)) == (count == 5_000)


@pytest.mark.parametrize("scattered", [False, True])
@pytest.mark.parametrize("lines", [0, 1, 60])
def test_a_chart_of_any_number_of_lines_and_length_of_names_is_bounded(lines, scattered):
    named = {f"{number}{'long' * 100}": [(0, number), (1, 2)] for number in range(lines)}
    chart = Chart("a", "long title " * 100, "x", "y", named, scattered=scattered)
    with Image.open(io.BytesIO(charts.chart_png(chart))) as drawn:
        assert max(drawn.size) < 1_200


def test_a_picture_of_a_folder_is_drawn_once(tmp_path, monkeypatch):
    drawn = []
    draw = drawing.png
    monkeypatch.setattr(drawing, "png", lambda item: drawn.append(item) or draw(item))
    gallery(Picture("a", "a", np.ones((2, 2)), "positive")).save(tmp_path / "out")
    assert len(drawn) == 1
