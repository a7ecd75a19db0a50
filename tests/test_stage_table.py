"""The table of a family's stages is the paper's own.

`python tests/test_stage_table.py` writes the pictures in tests/figures anew.
"""

import csv
import io
import itertools
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from support.commands import run
from support.random_specs import specs
from support.specs import family_names, spec_of

import archspec
from archspec.cost.report import Report, report
from archspec.errors import UsageError
from archspec.figure import Figure
from archspec.render.figure import stage_drawing, stage_text
from archspec.render.figure.drawing import Rect, Text
from archspec.render.figure.metrics import text_width
from archspec.render.figure.stages import StageTable, stage_tables
from archspec.render.figure.svg import svg
from archspec.spec.bundled import bundled
from archspec.spec.loading import networks

FIGURES = Path(__file__).parent / "figures"

# Simonyan & Zisserman 2014, table 1, with its column C, and D and E named as the networks are.
VGG = """
A         A-LRN      B          C          D          E
conv3-64  conv3-64   conv3-64   conv3-64   conv3-64   conv3-64
          LRN        conv3-64   conv3-64   conv3-64   conv3-64
maxpool
conv3-128 conv3-128  conv3-128  conv3-128  conv3-128  conv3-128
                     conv3-128  conv3-128  conv3-128  conv3-128
maxpool
conv3-256 conv3-256  conv3-256  conv3-256  conv3-256  conv3-256
conv3-256 conv3-256  conv3-256  conv3-256  conv3-256  conv3-256
                                conv1-256  conv3-256  conv3-256
                                                      conv3-256
maxpool
conv3-512 conv3-512  conv3-512  conv3-512  conv3-512  conv3-512
conv3-512 conv3-512  conv3-512  conv3-512  conv3-512  conv3-512
                                conv1-512  conv3-512  conv3-512
                                                      conv3-512
maxpool
conv3-512 conv3-512  conv3-512  conv3-512  conv3-512  conv3-512
conv3-512 conv3-512  conv3-512  conv3-512  conv3-512  conv3-512
                                conv1-512  conv3-512  conv3-512
                                                      conv3-512
maxpool
FC-4096
FC-4096
FC-1000
soft-max
"""

# He, Zhang, Ren & Sun 2015, table 1.
RESNET = [
    ("112×112", ["7×7, 64, stride 2"]),
    ("56×56", ["3×3 max pool, stride 2"]),
    (
        "56×56",
        [
            "[3×3, 64; 3×3, 64] × 2",
            "[3×3, 64; 3×3, 64] × 3",
            "[1×1, 64; 3×3, 64; 1×1, 256] × 3",
            "[1×1, 64; 3×3, 64; 1×1, 256] × 3",
            "[1×1, 64; 3×3, 64; 1×1, 256] × 3",
        ],
    ),
    (
        "28×28",
        [
            "[3×3, 128; 3×3, 128] × 2",
            "[3×3, 128; 3×3, 128] × 4",
            "[1×1, 128; 3×3, 128; 1×1, 512] × 4",
            "[1×1, 128; 3×3, 128; 1×1, 512] × 4",
            "[1×1, 128; 3×3, 128; 1×1, 512] × 8",
        ],
    ),
    (
        "14×14",
        [
            "[3×3, 256; 3×3, 256] × 2",
            "[3×3, 256; 3×3, 256] × 6",
            "[1×1, 256; 3×3, 256; 1×1, 1024] × 6",
            "[1×1, 256; 3×3, 256; 1×1, 1024] × 23",
            "[1×1, 256; 3×3, 256; 1×1, 1024] × 36",
        ],
    ),
    (
        "7×7",
        [
            "[3×3, 512; 3×3, 512] × 2",
            "[3×3, 512; 3×3, 512] × 3",
            "[1×1, 512; 3×3, 512; 1×1, 2048] × 3",
            "[1×1, 512; 3×3, 512; 1×1, 2048] × 3",
            "[1×1, 512; 3×3, 512; 1×1, 2048] × 3",
        ],
    ),
    ("1×1", ["average pool, 1000-d fc, softmax"]),
]

PAPERS_RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")


def reports_of(*names: str) -> list[Report]:
    return [report(spec) for name in names for spec in networks(name)]


def only_table(*names: str) -> StageTable:
    (table,) = stage_tables(reports_of(*names))
    return table


def column(table: StageTable, place: int) -> list[str]:
    return [line for stage in table.stages if (cell := stage.cells[place]) for line in cell.lines]


def rows(table: StageTable) -> list[tuple[str, list[str]]]:
    """Each stage's size, and its cells as texts; one that spans all columns once."""
    return [
        (
            stage.size,
            ["; ".join(cell.lines) if cell else "" for cell in stage.cells][
                : 1 if stage.spans else None
            ],
        )
        for stage in table.stages
    ]


# The tables of papers


def papers_vgg() -> list[list[str]]:
    """The lines of each column; a line that stands alone at the left is in all of them."""
    head, *lines = VGG.strip().splitlines()
    starts = [match.start() for match in re.finditer(r"\S+", head)]
    columns: list[list[str]] = [[] for _ in starts]
    for line in lines:
        spans = not line.startswith(("conv", " "))
        for place, (start, stop) in enumerate(itertools.pairwise([*starts, 100])):
            text = line.strip() if spans else line[start:stop].strip()
            columns[place] += [text] if text else []
    return columns


def test_vggs_table_is_table_1_of_its_paper_cell_by_cell():
    table = only_table("vgg")
    assert table.names == ("vgg11", "vgg11_lrn", "vgg13", "vgg16_c", "vgg16", "vgg19")
    for place, expected in enumerate(papers_vgg()):
        assert column(table, place) == expected
    # maxpool and the classifier are one cell for all columns.
    assert [stage.spans for stage in table.stages] == [False, True] * 5 + [True]


def test_vggs_table_has_the_papers_figures():
    totals = only_table("vgg").totals
    assert totals["weight_layers"] == (11, 11, 13, 16, 16, 19)
    # Table 2, in millions: 133, 133, 134, 138, 144.
    assert [round(value / 1e6) for value in totals["params"]] == [133, 133, 133, 134, 138, 144]


def test_resnets_table_is_table_1_of_its_paper_cell_by_cell():
    table = only_table(*PAPERS_RESNETS)
    assert rows(table) == RESNET


def test_resnets_flops_are_those_of_the_paper():
    # The paper strides on a bottleneck's first 1x1, as the networks of Keras do, and truncates.
    table = only_table(
        "resnet18", "resnet34", "resnet50_keras", "resnet101_keras", "resnet152_keras"
    )
    assert [int(value / 1e8) / 10 for value in table.totals["macs"]] == [1.8, 3.6, 3.8, 7.5, 11.2]


def test_resnets_notes_say_what_the_papers_caption_says():
    notes = only_table(*PAPERS_RESNETS).notes
    assert notes[0] == "Not listed: the stride of the first unit of stage2, stage3 and stage4."


def test_densenets_table_has_dense_blocks_and_transitions():
    imagenet, cifar = stage_tables(reports_of("densenet"))
    assert imagenet.names[0] == "densenet121"
    assert cifar.names == ("densenet40_12", "densenet_bc_100_12", "densenet_bc_190_40")
    # Huang et al. 2016, table 1: 6, 12, 24, 16 pairs of 1x1 and 3x3.
    assert [line for line in column(imagenet, 0) if line.startswith("[")] == [
        f"[1×1, 128; 3×3, 32] × {times}" for times in (6, 12, 24, 16)
    ]
    transition = next(stage for stage in imagenet.stages if stage.name == "transition1")
    assert transition.cells[0]
    assert transition.cells[0].lines == ("1×1, 128", "2×2 average pool, stride 2")


def test_googlenets_modules_have_a_line_for_each_branch():
    cells = {stage.name: stage.cells[0] for stage in only_table("googlenet").stages}
    module = cells["inception_3a"]
    assert module
    # Szegedy et al. 2014, table 1: #1x1 64, #3x3 reduce 96, #3x3 128, #5x5 reduce 16, #5x5 32,
    # pool proj 32, output 28x28x256.
    assert module.lines == (
        "1×1, 64",
        "1×1, 96 → 3×3, 128",
        "1×1, 16 → 5×5, 32",
        "3×3 max pool → 1×1, 32",
    )
    assert module.shape == (28, 28, 256)


def test_squeezenets_fire_modules_are_rows_as_in_its_paper():
    table = stage_tables(reports_of("squeezenet"))[0]
    assert [stage.name for stage in table.stages] == [
        *("conv1", "pool1", "fire2", "fire3", "fire4", "pool4", "fire5", "fire6", "fire7"),
        *("fire8", "pool8", "fire9", "conv10", "global_avg_pool1"),
    ]
    # The squeeze layer, which both expansions read.
    assert column(table, 0)[2:5] == ["1×1, 16", "→ 1×1, 64", "→ 3×3, 64"]


def test_resnexts_cells_have_the_cardinality():
    table = stage_tables(reports_of("resnext"))[0]
    assert "[1×1, 128; 3×3, 128, C=32; 1×1, 256] × 3" in column(table, 0)


def test_a_gate_that_is_used_again_is_written_as_the_first_time():
    layers = "  - {squeeze_excitation: 4, name: gate}\n  - {max_pool: 2}\n  - {share: gate}\n"
    (table,) = stage_tables([report(spec_of(f"name: twice\ninput: [8, 8, 32]\nlayers:\n{layers}"))])
    assert column(table, 0) == ["SE, 8", "2×2 max pool, stride 2", "SE, 8"]


# What holds for every table


def check(reports: list[Report]) -> None:
    tables = stage_tables(reports)
    assert sum(len(table.names) for table in tables) == len(reports)
    known = {each.name: each for each in reports}
    for table in tables:
        for place, name in enumerate(table.names):
            costs = known[name]
            cells = [cell for stage in table.stages if (cell := stage.cells[place])]
            # Each layer is in one cell, and the cells are in the network's order.
            ends = [0 if not cells else 1, *(cell.row.stop for cell in cells)]
            assert [cell.row.start for cell in cells] == ends[:-1]
            assert ends[-1] == len(costs.graph.nodes)
            assert sum(cell.row.params for cell in cells) == costs.totals.params
            assert sum(cell.row.macs for cell in cells) == costs.totals.macs
            assert sum(cell.weight_layers for cell in cells) == costs.totals.weight_layers
            for cell in cells:
                listed = sum(part.kernels * part.times for part in cell.parts)
                assert listed + cell.shortcuts == cell.weight_layers


@pytest.mark.parametrize("family", family_names())
def test_every_layer_is_in_one_cell_and_figures_add_up(family):
    check(reports_of(str(bundled()[family])))


@given(specs())
def test_every_random_network_has_a_table(data):
    costs = report(spec_of(json.dumps(data)))
    if len(costs.graph.nodes) > 1:
        check([costs])
    drawn = stage_drawing.drawing(Figure((costs,), "table"))
    ET.fromstring(svg(drawn))  # noqa: S314


@pytest.mark.parametrize("family", family_names())
def test_texts_are_on_the_page_and_do_not_overlap(family):
    drawn = stage_drawing.drawing(Figure(tuple(reports_of(str(bundled()[family]))), "table"))
    texts = [mark for mark in drawn.walk() if isinstance(mark, Text)]
    spots = []
    for mark in texts:
        width = text_width(mark.text, mark.size, bold=mark.bold)
        left = mark.x - {"start": 0, "middle": 0.5, "end": 1}[mark.anchor] * width
        assert left >= 0
        assert left + width <= drawn.width
        assert mark.size <= mark.y <= drawn.height
        spots.append((left, left + width, mark.y - mark.size * 0.7, mark.y))
    spots.sort()
    for number, (_, right, top, bottom) in enumerate(spots):
        for left, _, other_top, other_bottom in spots[number + 1 :]:
            assert left >= right or other_top >= bottom or other_bottom <= top
    for mark in drawn.walk():
        if isinstance(mark, Rect):
            assert 0 <= mark.x <= mark.x + mark.width <= drawn.width


# Alignment


def family(**variants: str) -> list[Report]:
    """Networks whose layers are these, in YAML's short form."""
    return [
        report(spec_of(f"{{name: {name}, input: [8, 8, 4], layers: [{layers}]}}"))
        for name, layers in variants.items()
    ]


def test_stages_that_a_network_lacks_are_empty():
    (table,) = stage_tables(
        family(
            a="{name: stem, conv: 8}, {name: pool, max_pool: 2}, {name: top, conv: 9}",
            b="{name: stem, conv: 8}, {name: top, conv: {filters: 9, stride: 2}}",
        )
    )
    assert [stage.name for stage in table.stages] == ["stem", "pool", "top"]
    assert [cell is None for cell in table.stages[1].cells] == [False, True]


def test_stages_in_another_order_keep_their_networks_order():
    names = "{name: a, conv: {kernel: 1, filters: 8}}, {name: pool, max_pool: 1}"
    swapped = "{name: pool, max_pool: 1}, {name: a, conv: {kernel: 1, filters: 8}}"
    (table,) = stage_tables(family(x=names, y=swapped))
    for place, expected in enumerate((["a", "pool"], ["pool", "a"])):
        assert [stage.name for stage in table.stages if stage.cells[place]] == expected


def test_networks_with_other_sizes_in_some_stages_have_them_in_their_cells():
    keras = stage_tables(reports_of("preresnet"))[0]
    stage = next(stage for stage in keras.stages if stage.name == "stage1")
    assert stage.size == ""
    assert [cell and cell.size for cell in stage.cells] == ["56×56"] * 3 + ["28×28"] * 3


def test_variants_of_one_structure_at_other_resolutions_share_a_table():
    text = (
        "{name: net, input: '=[n, n, 3]', vars: {n: 32}, variants: {small: {n: 32}, "
        "large: {n: 64}}, layers: [{conv: 8}, {max_pool: 2}, {conv: 9}]}"
    )
    small = report(spec_of(text.replace("'=[n, n, 3]'", "[32, 32, 3]"), "small"))
    large = report(spec_of(text.replace("'=[n, n, 3]'", "[64, 64, 3]"), "large"))
    (table,) = stage_tables([small, large])
    assert table.title == "inputs 32×32×3, 64×64×3"


# Layers


@pytest.mark.parametrize(
    ("layers", "lines"),
    [
        ("{conv: {filters: 8, kernel: [1, 3]}}", ["conv1x3-8"]),
        ("{conv: {filters: 8, kernel: 3, stride: 2, groups: 2}}", ["conv3-8, 2 groups, stride 2"]),
        ("{repeat: 3, conv: 8}", ["conv3-8"] * 3),
        ("{repeat: 9, conv: 8}", ["conv3-8 × 9"]),
        ("{avg_pool: 2}", ["avgpool"]),
        ("{max_pool: {size: 3, stride: 2}}", ["3×3 max pool, stride 2"]),
        ("flatten, {fc: {units: 5, activation: softmax}}", ["FC-5", "soft-max"]),
        ("flatten", ["flatten"]),
        ("{depthwise_conv: {kernel: 3}}", ["3×3 depthwise, 4"]),
        ("{upsample: 2}", ["upsample"]),
        (
            "{name: unit, repeat: 2, layers: [{conv: 4}, {conv: 8}]}",
            ["conv3-4", "conv3-8", "conv3-4", "conv3-8"],
        ),
        ("{residual: {filters: 8, stride: 2}}", ["3×3, 8, stride 2", "3×3, 8"]),
        ("{repeat: 2, residual: {filters: 4}}", ["[3×3, 4; 3×3, 4] × 2"]),
        (
            "{branches: [[conv: {filters: 8, kernel: 1}], [{conv: 4}, {conv: 6}]], merge: concat}",
            ["1×1, 8", "3×3, 4 → 3×3, 6"],
        ),
    ],
)
def test_layers_are_written_as_in_papers(layers, lines):
    layers = layers.replace("conv: 4}", "conv: {filters: 4, kernel: 3, padding: same}}")
    layers = layers.replace("conv: 6}", "conv: {filters: 6, kernel: 3, padding: same}}")
    layers = layers.replace("conv: 8}", "conv: {filters: 8, kernel: 3, padding: same}}")
    (table,) = stage_tables(family(net=layers))
    assert column(table, 0) == lines


def test_layers_of_groups_in_a_group_have_lines_of_their_own():
    one = "conv: {filters: 4, kernel: 1}"
    two = "conv: {filters: 8, kernel: 1}"
    pair = f"{{name: pair, repeat: 2, layers: [{{{one}}}, {{{two}}}]}}"
    (table,) = stage_tables(
        family(
            net=f"{{name: stage, layers: [{{{two}}}, {{layers: [{{{one}}}, {pair}]}}, {{{two}}}]}}"
        )
    )
    assert column(table, 0) == ["conv1-8", "conv1-4", "[conv1-4; conv1-8] × 2", "conv1-8"]


def test_a_signal_has_kernels_of_one_extent():
    text = "{name: net, input: [64, 2], layers: [residual: 8, max_pool: 2, global_avg_pool, fc: 3]}"
    (table,) = stage_tables([report(spec_of(text))])
    assert column(table, 0) == [
        *("conv 3, 8", "conv 3, 8"),
        "max pool 2, stride 2",
        "average pool, 3-d fc",
    ]
    assert table.stages[0].size == "64×8"


# Formats


def test_a_single_network_has_its_costs_beside_its_stages():
    table = only_table("vgg16")
    assert table.head == ("stage", "output", "vgg16", "parameters", "MACs")
    assert table.costs(table.stages[0]) == ("38,720", "1,936,392,192")
    assert table.ends == (("total", "", "16 weight layers", "138,357,544", "15,470,264,320"),)


def test_markdown_breaks_lines_within_cells_and_escapes_what_it_must():
    figure = archspec.draw("vgg11", "vgg13", style="table")
    text = stage_text.markdown(figure)
    assert "| stage1 | 224×224×64 | conv3-64 | conv3-64<br>conv3-64 |" in text
    assert {line.count("|") for line in text.splitlines() if line.startswith("|")} == {5}


def hostile(tmp_path: Path, name: str) -> Figure:
    """Two files whose networks have one name, so that the table shows those of the files."""
    paths = [tmp_path / f"{letter}{name}.yaml" for letter in "ab"]
    for path in paths:
        path.write_text("{name: net, input: [1, 4], layers: [flatten, fc: 2]}", encoding="utf-8")
    return archspec.draw(*paths, style="table")


def test_names_of_files_are_escaped(tmp_path):
    figure = hostile(tmp_path, "|&_<b>$%{~")
    text = stage_text.markdown(figure)
    assert {line.count("|") for line in text.splitlines() if line.startswith("|")} == {5}
    assert "&#124;&amp;_&lt;b>" in text
    latex = stage_text.latex(figure)
    head = latex.splitlines()[2]
    assert len(re.findall(r"(?<!\\)&", head)) == 3
    assert r"\textbar{}\&\_\textless{}b\textgreater{}\$\%\{$\sim$" in head
    ET.fromstring(figure._repr_svg_())  # noqa: S314


def test_latex_spans_columns_and_brackets_blocks():
    latex = stage_text.latex(archspec.draw(*PAPERS_RESNETS, style="table"))
    lines = latex.splitlines()
    assert lines[0] == r"\begin{tabular}{|l|c|c|c|c|c|c|}"
    assert r"\multicolumn{5}{c|}{7$\times$7{,} 64{,} stride 2}" in latex
    for row in (line for line in lines if line.endswith(r"\\") and "multicolumn" not in line):
        assert row.count(" & ") == 6
    assert latex.count(r"\left[") == latex.count(r"\right]") == 4 * 5
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 1 + 4 * 5


def test_csv_has_exact_numbers():
    lines = list(csv.reader(io.StringIO(stage_text.csv(archspec.draw("vgg16", style="table")))))
    assert lines[0] == ["stage", "output", "vgg16"]
    assert lines[1] == ["stage1", "224×224×64", "conv3-64; conv3-64"]
    assert lines[-2] == ["params", "", "138357544"]


def test_plain_data_has_every_part():
    data = archspec.draw("resnet18", style="table").to_dict()
    (table,) = data["tables"]
    stage = next(stage for stage in table["stages"] if stage["path"] == "stage1")
    assert stage["cells"][0]["parts"] == [{"lines": ["3×3, 64", "3×3, 64"], "times": 2}]
    assert table["totals"]["params"] == [11_699_112]


def test_text_has_a_line_for_each_layer():
    text = str(archspec.draw("vgg11", "vgg13", style="table"))
    assert "stage1         224×224×64   conv3-64" in text


# Wrong use


@pytest.mark.parametrize(
    "wrong",
    [{"depth": 1}, {"ops": True}, {"repeats": True}, {"bar": "macs"}, {"color": "macs"}],
)
def test_settings_of_other_styles_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(UsageError, match=f"`{name}=.* does not go with the style table"):
        archspec.draw("vgg", style="table", **wrong)


def test_a_table_has_bounds():
    with pytest.raises(UsageError, match="101 networks are too many"):
        stage_tables(reports_of("lenet5") * 101)
    deep = ", ".join(
        f"{{name: c{i}, conv: {{filters: {i % 7 + 1}, kernel: 1}}}}" for i in range(6000)
    )
    with pytest.raises(UsageError, match="too many for a table"):
        stage_tables(family(deep=deep))


def test_the_command_draws_the_variants_that_have_no_mistakes(tmp_path):
    path = tmp_path / "family.yaml"
    variants = "{small: {n: 2}, broken: {n: 1000000}, large: {n: 3}}"
    text = f"{{vars: {{n: 1}}, variants: {variants}, layers: [{{conv: 8, repeat: =n}}]}}"
    text = "{name: family, input: [9, 9, 1], defaults: {conv: {kernel: 1}}, " + text[1:]
    path.write_text(text, encoding="utf-8")
    done = run("draw", path, "--style", "table")
    assert done.returncode == 1
    assert done.stdout.splitlines()[4].split() == ["stage", "output", "small", "large"]
    assert "`repeat` of 1,000,000 is more than 10,000" in done.stderr
    assert done.stderr.count("error") == 2  # one, and how many there are
    only = run("draw", f"{path}:broken", "--style", "table")
    assert (only.returncode, only.stdout) == (1, "")


# Pictures


PICTURES = {"vgg_table": ("vgg",), "resnet_table": PAPERS_RESNETS}


def picture(name: str) -> str:
    return svg(stage_drawing.drawing(archspec.draw(*PICTURES[name], style="table")))


@pytest.mark.parametrize("name", PICTURES)
def test_the_pictures_are_as_they_were(name):
    assert picture(name) == (FIGURES / f"{name}.svg").read_text(encoding="utf-8")


if __name__ == "__main__":
    FIGURES.mkdir(exist_ok=True)
    for each in PICTURES:
        (FIGURES / f"{each}.svg").write_text(picture(each), encoding="utf-8", newline="\n")
