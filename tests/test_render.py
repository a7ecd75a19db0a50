"""A report as text, arithmetic, Markdown and CSV: exact, aligned, as wide as there is room."""

import csv
import io
import re

import pytest
from support.specs import spec_of

from archspec.cost.report import CONVENTION, Report, report
from archspec.errors import UsageError
from archspec.render import report as rendering
from archspec.render.amounts import byte_size
from archspec.render.formulas import formulas
from archspec.spec.loading import load

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def vgg() -> Report:
    return report(load("vgg16"))


def table(shown: str) -> list[str]:
    """The lines of the table alone."""
    return shown.split("\n\n")[1].splitlines()


def test_the_table_of_lenet():
    assert rendering.text(report(load("lenet5"))) == (
        """\
lenet5
LeNet-5 (LeCun et al. 1998, Gradient-based learning applied to document recognition, fig. 2)
input 32x32x1, batch 1, float32

layer               output    params     MACs  other ops   memory  field  stride
--------------------------------------------------------------------------------
input     INPUT     32x32x1        0        0          0  4.10 kB      1       1
c1        CONV5-6   28x28x6      156  117,600      9,408  18.8 kB      5       1
s2        AVGPOOL2  14x14x6        0        0      4,704  4.70 kB      6       2
c3        CONV5-16  10x10x16   2,416  240,000      3,200  6.40 kB     14       2
s4        AVGPOOL2  5x5x16         0        0      1,600  1.60 kB     16       4
flatten1  FLATTEN   400            0        0          0      0 B    all     all
c5        FC-120    120       48,120   48,000        240    480 B    all     all
f6        FC-84     84        10,164   10,080        168    336 B    all     all
fc1       FC-10     10           850      840         40     40 B    all     all
--------------------------------------------------------------------------------
total                         61,706  416,520     19,360  36.5 kB

parameters    61,706  all trained; 5 weight layers
MACs         416,520  833,040 FLOPs
other ops     19,360
activations    9,118
must keep    2.15 MB  weights 247 kB + gradients 247 kB + adam 494 kB + saved for backward 1.17 MB;
                      by `train:` batch 32, adam
inference     274 kB  weights 247 kB + forward peak 27.6 kB
counting     1 MAC = one multiply-add of a convolution, fully connected layer or matrix product, for
             one example; FLOPs = 2 x MACs; biases, norms, activations, pools and merges are other
             ops. Memory counts each output once; in-place ops and views need none.
published    params, macs, weight_layers, 6 stage shapes agree
             source: figure 2, with every map of C3 connected to all of S2, and nothing learned in
             S2 and S4
"""
    )


def test_a_report_prints_as_its_table(vgg):
    assert str(vgg) == rendering.text(vgg)
    assert vgg._repr_markdown_() == rendering.markdown(vgg)


@pytest.mark.parametrize(
    "variant", ["lenet5", "vgg16", "resnet50", "googlenet_aux", "fractalnet40"]
)
@pytest.mark.parametrize("depth", [None, 1, 2])
@pytest.mark.parametrize("arithmetic", [False, True])
def test_no_line_is_wider_than_the_terminal(variant, depth, arithmetic):
    costs = report(load(variant))
    for width in (40, 52, 66, 79, 80, 100, 120, 160, 200):
        shown = rendering.text(costs, depth=depth, width=width, color=True, arithmetic=arithmetic)
        widest = max((ESCAPE.sub("", line) for line in shown.splitlines()), key=len)
        assert len(widest) <= width, widest


def test_a_narrow_table_leaves_out_the_least_important_columns():
    costs = report(load("resnet50"))

    def titles(width: int) -> list[str]:
        return re.split(r"  +", table(rendering.text(costs, depth=1, width=width))[0])

    every = ["layer", "output", "params", "not trained", "MACs", "other ops", "memory", "field"]
    assert titles(200) == [*every, "stride"]
    assert titles(112) == every
    assert titles(100) == ["layer", "output", "params", "not trained", "MACs", "memory", "field"]
    assert titles(80) == ["layer", "output", "params", "MACs", "memory"]
    assert titles(60) == ["layer", "output", "params", "MACs"]
    assert titles(40) == ["layer", "output", "params"]


def test_long_paths_are_abbreviated_where_there_is_no_room():
    costs = report(load("resnet50"))
    paths = [line.split()[0] for line in table(rendering.text(costs, width=60))]
    assert paths[2:8] == ["input", "conv1", "pool1", "s1/u1/conv1", "s1/u1/conv2", "s1/u1/conv3"]
    assert paths[8:10] == ["s1/u1/projection", "s1/u1/add"]
    layers = paths[2:-2]
    assert len(set(layers)) == len(layers) == len(costs.rows())
    assert [line.split()[0] for line in table(rendering.text(costs))[2:-2]] == [
        row.path for row in costs.rows()
    ]


def test_every_column_starts_or_ends_below_its_title(vgg):
    header, rule, *body, _, total = table(rendering.text(vgg))
    assert set(rule) == {"-"}
    assert {len(line) for line in (header, rule, *body)} == {len(rule)}
    for match in re.finditer(r"params|MACs|other ops|memory|field|stride", header):
        end = match.end()
        assert all(line[end : end + 1] in ("", " ") for line in (*body, total))
        assert all(line[end - 1] != " " for line in body)


def test_plain_without_colour_and_the_same_words_with_it(vgg):
    plain = rendering.text(vgg, width=100)
    assert {character for character in plain if not character.isprintable()} == {"\n"}
    assert ESCAPE.sub("", rendering.text(vgg, width=100, color=True)) == plain


@pytest.mark.parametrize("render", [rendering.text, rendering.markdown])
def test_what_a_spec_says_of_itself_cannot_drive_the_terminal(render):
    spec = spec_of(
        '{name: net, about: "red \\e[31m", input: [8, 3], layers: [flatten],'
        ' published: {net: {params: 0, source: "\\e]0;title\\a"}}}'
    )
    shown = render(report(spec))
    assert "\x1b" not in shown
    assert "red \\x1b[31m" in shown


def test_a_false_claim_stands_below_the_table():
    spec = spec_of(
        "{name: net, input: [8, 8, 3], layers: [conv: {filters: 4, kernel: 3}],"
        " published: {net: {params: 112, macs: 1, source: nowhere}}, budget: {params: 100}}"
    )
    shown = rendering.text(report(spec), color=True)
    assert "\x1b[32mparams agree\x1b[0m" in shown
    assert "\x1b[1;31mmacs is 3,888, not 1\x1b[0m" in shown
    assert "source: nowhere" in shown
    assert "\x1b[1mbudget       \x1b[0m\x1b[1;31mparams is 112, not <= 100\x1b[0m" in shown


@pytest.mark.parametrize("render", [rendering.text, rendering.markdown])
def test_every_format_says_how_it_counts(vgg, render):
    words = " ".join(render(vgg).split())
    assert CONVENTION in words


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.00 kB"),
        (9_994, "9.99 kB"),
        (9_996, "10.0 kB"),
        (99_949, "99.9 kB"),
        (99_951, "100 kB"),
        (999_499, "999 kB"),
        (999_501, "1.00 MB"),
        (60_950_432, "61.0 MB"),
        (553_430_176, "553 MB"),
        (2_274_671_136, "2.27 GB"),
        (3 * 10**12, "3.00 TB"),
        (10**16, "10,000 TB"),
    ],
)
def test_bytes_have_three_digits(size, shown):
    assert byte_size(size) == shown


LECTURE = """
INPUT:  [224x224x3]  memory: 224*224*3 = 150,528  params: 0
CONV3-64:  [224x224x64]  memory: 224*224*64 = 3,211,264  params: (3*3*3)*64 = 1,728 (+64 biases)  MACs: 1,728*50,176 = 86,704,128
CONV3-64:  [224x224x64]  memory: 224*224*64 = 3,211,264  params: (3*3*64)*64 = 36,864 (+64 biases)  MACs: 36,864*50,176 = 1,849,688,064
POOL2:  [112x112x64]  memory: 112*112*64 = 802,816  params: 0
CONV3-128:  [112x112x128]  memory: 112*112*128 = 1,605,632  params: (3*3*64)*128 = 73,728 (+128 biases)  MACs: 73,728*12,544 = 924,844,032
CONV3-128:  [112x112x128]  memory: 112*112*128 = 1,605,632  params: (3*3*128)*128 = 147,456 (+128 biases)  MACs: 147,456*12,544 = 1,849,688,064
POOL2:  [56x56x128]  memory: 56*56*128 = 401,408  params: 0
CONV3-256:  [56x56x256]  memory: 56*56*256 = 802,816  params: (3*3*128)*256 = 294,912 (+256 biases)  MACs: 294,912*3,136 = 924,844,032
CONV3-256:  [56x56x256]  memory: 56*56*256 = 802,816  params: (3*3*256)*256 = 589,824 (+256 biases)  MACs: 589,824*3,136 = 1,849,688,064
CONV3-256:  [56x56x256]  memory: 56*56*256 = 802,816  params: (3*3*256)*256 = 589,824 (+256 biases)  MACs: 589,824*3,136 = 1,849,688,064
POOL2:  [28x28x256]  memory: 28*28*256 = 200,704  params: 0
CONV3-512:  [28x28x512]  memory: 28*28*512 = 401,408  params: (3*3*256)*512 = 1,179,648 (+512 biases)  MACs: 1,179,648*784 = 924,844,032
CONV3-512:  [28x28x512]  memory: 28*28*512 = 401,408  params: (3*3*512)*512 = 2,359,296 (+512 biases)  MACs: 2,359,296*784 = 1,849,688,064
CONV3-512:  [28x28x512]  memory: 28*28*512 = 401,408  params: (3*3*512)*512 = 2,359,296 (+512 biases)  MACs: 2,359,296*784 = 1,849,688,064
POOL2:  [14x14x512]  memory: 14*14*512 = 100,352  params: 0
CONV3-512:  [14x14x512]  memory: 14*14*512 = 100,352  params: (3*3*512)*512 = 2,359,296 (+512 biases)  MACs: 2,359,296*196 = 462,422,016
CONV3-512:  [14x14x512]  memory: 14*14*512 = 100,352  params: (3*3*512)*512 = 2,359,296 (+512 biases)  MACs: 2,359,296*196 = 462,422,016
CONV3-512:  [14x14x512]  memory: 14*14*512 = 100,352  params: (3*3*512)*512 = 2,359,296 (+512 biases)  MACs: 2,359,296*196 = 462,422,016
POOL2:  [7x7x512]  memory: 7*7*512 = 25,088  params: 0
FLATTEN:  [25088]  memory: 0  params: 0
FC-4096:  [4096]  memory: 4,096  params: 7*7*512*4096 = 102,760,448 (+4,096 biases)  MACs: 102,760,448
DROPOUT:  [4096]  memory: 0  params: 0
FC-4096:  [4096]  memory: 4,096  params: 4096*4096 = 16,777,216 (+4,096 biases)  MACs: 16,777,216
DROPOUT:  [4096]  memory: 0  params: 0
FC-1000:  [1000]  memory: 1,000  params: 4096*1000 = 4,096,000 (+1,000 biases)  MACs: 4,096,000
TOTAL:  memory: 15,237,608*4 bytes = 61.0 MB  params: 16 kernels = 138,344,128 (+13,416 biases)  MACs: 15,470,264,320
"""  # noqa: E501
"""The table of CS231n, with exact numbers, and with biases and MACs, which it leaves out."""


def test_the_formulas_of_vgg16_are_the_lectures(vgg):
    lines = [re.sub(r"  +", "  ", line) for line in formulas(vgg)]
    assert lines == LECTURE.strip().splitlines()


@pytest.mark.parametrize("variant", ["resnext50_32x4d", "googlenet_aux", "densenet121", "lenet5"])
@pytest.mark.parametrize("ops", [False, True])
def test_the_arithmetic_is_right(variant, ops):
    """Every `a*b = c` of the lines is computed again."""
    sums = 0
    for line in formulas(report(load(variant)), ops=ops):
        for product, result in re.findall(r"([\d,()*]*\*[\d,()*]*) = ([\d,]+)", line):
            value = 1
            for factor in re.findall(r"[\d,]+", product):
                value *= int(factor.replace(",", ""))
            assert value == int(result.replace(",", "")), line
            sums += 1
    assert sums > 10


@pytest.mark.parametrize(
    ("step", "line"),
    [
        (
            "convolution: {filters: 8, kernel: [1, 3], groups: 2, bias: false}",
            "CONV1x3-8: [8x6x8] memory: 8*6*8 = 384 params: (1*3*2)*8 = 48 MACs: 48*48 = 2,304",
        ),
        (
            "conv: {filters: 8, kernel: 1, norm: batch}",
            "CONV1-8: [8x8x8] memory: 8*8*8 = 512 params: (1*1*4)*8 = 32 (+32 norm) "
            "MACs: 32*64 = 2,048",
        ),
        (
            "residual: {filters: 4}",
            "RESIDUAL: [8x8x4] memory: 768 params: 2 kernels = 288 (+32 norm) MACs: 18,432",
        ),
        (
            "transposed_conv: {filters: 8, kernel: 3, bias: false}",
            "TCONV3-8: [10x10x8] memory: 10*10*8 = 800 params: 3*3*8*4 = 288 MACs: 288*64 = 18,432",
        ),
        (
            "depthwise_conv: {kernel: 3, multiplier: 2, bias: false}",
            "DWCONV3: [6x6x8] memory: 6*6*8 = 288 params: 3*3*4*2 = 72 MACs: 72*36 = 2,592",
        ),
        (
            "local_conv: {filters: 2, kernel: 3, bias: false}",
            "LOCAL_CONV: [6x6x2] memory: 6*6*2 = 72 params: 36*36*2 = 2,592 MACs: 2,592",
        ),
        ("global_avg_pool", "GAP: [4] memory: 4 params: 0"),
        ("batch_norm", "BATCH_NORM: [8x8x4] memory: 8*8*4 = 256 params: 0 (+16 norm)"),
        (
            "position_embedding",
            "POSITION_EMBEDDING: [8x8x4] memory: 8*8*4 = 256 params: 0 (+256 other)",
        ),
        (
            "fully_connected: {units: 3, each_place: true}",
            "FC-3: [8x8x3] memory: 8*8*3 = 192 params: 4*3 = 12 (+3 biases) MACs: 12*64 = 768",
        ),
    ],
)
def test_a_formula(step, line):
    spec = spec_of(
        "{name: net, input: [8, 8, 4], defaults: {residual: {style: basic}, conv: {bias: false}},"
        f" layers: [{step}]}}"
    )
    found = list(formulas(report(spec), depth=1))[1]
    assert re.sub(r"  +", " ", found) == line


def test_formulas_of_a_batch_multiply_the_memory():
    *_, total = formulas(report(load("vgg16"), batch=32, dtype="mixed_float16"))
    assert "memory: 15,237,608*32*2 bytes = 975 MB" in total


# Markdown and CSV.


def test_markdown_is_a_table_with_as_many_cells_in_every_row(vgg):
    lines = rendering.markdown(vgg).splitlines()
    assert lines[0] == "### vgg16"
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 1 + 1 + len(vgg.rows()) + 1
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {len(table[1].split("|")) - 1}
    assert set(table[1]) == set("|-: ")
    assert table[-1].startswith("| **total** |")
    assert "**138,357,544**" in table[-1]
    # A table needs an empty line before it and after it.
    first = lines.index(table[0])
    assert lines[first - 1] == lines[first + len(table)] == ""


@pytest.mark.parametrize("variant", ["vgg16", "resnet50", "googlenet_aux"])
@pytest.mark.parametrize("depth", [None, 1])
def test_csv_adds_up(variant, depth):
    costs = report(load(variant), batch=3)
    rows = list(csv.DictReader(io.StringIO(rendering.csv(costs, depth=depth))))
    assert list(rows[0]) == [column.name for column in rendering.COLUMNS]
    totals = costs.totals._asdict()
    for column in rendering.COLUMNS:
        if column.name in totals:
            assert sum(int(row[column.name]) for row in rows) == totals[column.name]
    assert sum(int(row["memory"]) for row in rows) == 3 * 4 * costs.totals.activations
    assert [row["layer"] for row in rows] == [row.path for row in costs.rows(depth)]


@pytest.mark.parametrize("render", [rendering.text, rendering.markdown, rendering.csv])
def test_columns_are_shown_as_asked(vgg, render):
    shown = render(vgg, columns=["macs", "layer"])
    header = next(line for line in shown.splitlines() if "layer" in line)
    assert re.split(r"[ |,]+", header.strip("| "))[0].lower() == "macs"
    with pytest.raises(UsageError, match="there is no column `mac`; did you mean `macs`"):
        render(vgg, columns=["mac"])


def test_columns_that_are_asked_for_stay_in_a_narrow_terminal(vgg):
    names = [column.name for column in rendering.COLUMNS]
    header = table(rendering.text(vgg, columns=names, width=40))[0]
    assert [column.title for column in rendering.COLUMNS if column.title not in header] == []
