"""Networks side by side, and where two of them differ: the figures, the alignment, the command."""

import csv
import io
import json
import re
from itertools import pairwise, permutations
from math import ceil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.commands import output, run
from support.specs import spec_of

import archspec
from archspec import SpecError, UsageError
from archspec.cost import alignment
from archspec.cost.alignment import align
from archspec.cost.checks import connections
from archspec.cost.compare import FIGURES, Comparison, compare
from archspec.cost.difference import Difference, diff
from archspec.cost.report import Row, report
from archspec.ops.shape import Shape
from archspec.render import comparison as render_comparison
from archspec.render import difference as render_difference
from archspec.render.comparison import COLUMNS, find
from archspec.spec.document import Spec
from archspec.spec.loading import load, networks

ROOT = Path(__file__).parent.parent


def sequence(*steps: str, name: str = "net", more: str = "") -> Spec:
    layers = "".join(f"  - {step}\n" for step in steps)
    return spec_of(f"name: {name}\ninput: [8, 8, 4]\nlayers:\n{layers}{more}")


# Which networks a word means


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("vgg", ["vgg11", "vgg11_lrn", "vgg13", "vgg16_c", "vgg16", "vgg19"]),
        ("vgg16", ["vgg16"]),
        ("vgg:vgg19", ["vgg19"]),
        ("specs/vgg.yaml", ["vgg11", "vgg11_lrn", "vgg13", "vgg16_c", "vgg16", "vgg19"]),
        ("specs/vgg.yaml:vgg13", ["vgg13"]),
        ("alexnet", ["alexnet"]),  # a family and one of its variants
    ],
)
def test_a_word_means_a_family_or_one_network(word, names):
    if word.startswith("specs/"):
        word = str(ROOT / word)
    assert [spec.name for spec in networks(word)] == names


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("vgg:vgg9", "has no variant `vgg9`; did you mean `vgg19`?"),
        ("vgg16:vgg19", "`vgg16` is one network: it has no variant `vgg19`"),
        ("vgg:", "there is no spec called `vgg:`; did you mean `vgg`?"),
        ("nothing:at_all", "there is no spec called `nothing`"),
    ],
)
def test_a_variant_behind_a_colon_must_be_there(word, message):
    with pytest.raises(UsageError) as error:
        networks(word)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("EfficientNetB0", "efficientnet_b0"),  # keras.applications
        ("efficientnetv2-s", "efficientnet_v2_s"),  # the paper's code
        ("ViT-B/16", "vit_b_16"),  # the paper: also the path of a file that is not there
        ("RegNetX-1.6GF", "regnet_x_1_6gf"),
        ("squeezenet1_0", "squeezenet_v1_0"),  # torchvision
        ("mobilenetv3_large_100", "mobilenet_v3_large"),  # timm
        ("swin_tiny", "swin_t"),
        ("ResNeXt-50", "resnext50_32x4d"),
        ("vit_base_patch16_224", "vit"),
    ],
)
def test_a_name_as_papers_and_libraries_write_it_finds_the_network(word, name):
    with pytest.raises(UsageError) as error:
        networks(word)
    assert str(error.value) == f"there is no spec called `{word}`; did you mean `{name}`?"


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("a:" + "b" * 5_000, "there is no spec called `a`"),
        ("name: mine\ninput: [8, 8, 3]\nlayers: [flatten]\n" * 99, "not by its text"),
    ],
)
def test_what_is_too_long_for_a_file_is_no_spec(word, message):
    with pytest.raises(UsageError, match=message):
        archspec.load(word)


def test_a_colon_names_a_variant_for_load_too():
    assert load("vgg:vgg19").name == "vgg19"


def test_a_file_with_a_colon_in_its_name_is_a_file(tmp_path):
    path = tmp_path / "a:b"
    path.write_text("name: small\ninput: [4, 1]\nlayers: [flatten]", encoding="utf-8")
    assert [spec.name for spec in networks(path)] == ["small"]


# The figures


@pytest.mark.parametrize("name", ["lenet5", "resnet50", "googlenet_aux"])
def test_an_entry_says_what_the_report_says(name):
    costs = report(load(name), batch=4, dtype="mixed_float16", optimizer="sgd")
    entry = compare(name, batch=4, dtype="mixed_float16", optimizer="sgd").baseline
    assert {figure: getattr(entry, figure) for figure in FIGURES} == {
        **costs.totals._asdict(),
        "connections": connections(costs.graph),
        "weight_bytes": costs.memory.weights,
        "inference_bytes": costs.memory.inference,
        "must_keep": costs.memory.must_keep,
    }


@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        # Araujo, Norris & Sim 2019, Computing Receptive Fields of CNNs, table of networks
        ("alexnet", 195),
        ("vgg16", 212),
        ("resnet50_keras", 483),
        ("resnet101_keras", 1027),
        ("resnet152_keras", 1507),
    ],
)
def test_the_receptive_field_is_that_of_the_last_layer_that_does_not_see_everything(name, pixels):
    assert compare(name).baseline.field == (pixels, pixels)


def test_a_head_does_not_change_the_receptive_field():
    plain, auxiliary = compare("googlenet", "googlenet_aux").entries
    assert plain.field == auxiliary.field


@pytest.mark.parametrize(
    ("name", "mebibytes", "giga_macs"), [("resnext101_64x4d", 320, 15.5), ("dpn98", 236, 11.7)]
)
def test_the_lectures_closing_table(name, mebibytes, giga_macs):
    """Chen et al. 2017, table 2: its MB are 2**20 bytes, rounded up; its FLOPs are MACs."""
    entry = compare(name).baseline
    assert ceil(entry.weight_bytes / 2**20) == mebibytes
    assert round(entry.macs / 1e9, 1) == giga_macs


# The comparison


def test_ratios_are_to_the_network_given_first_whatever_the_order():
    found = compare("resnet50", "vgg16", "lenet5", sort="params")
    assert [entry.name for entry in found.entries] == ["lenet5", "resnet50", "vgg16"]
    assert found.baseline.name == "resnet50"
    assert [f"{found.ratio(entry, 'params'):.3f}" for entry in found.entries] == [
        "0.002",
        "1.000",
        "5.402",
    ]


def test_there_is_no_ratio_to_nothing():
    found = compare("vgg16", "resnet50")
    assert [found.ratio(entry, "non_trainable") for entry in found.entries] == [None, None]


@pytest.mark.parametrize("figure", ["name", "input", "field", *FIGURES])
def test_every_figure_can_be_sorted_by(figure):
    names = ("vgg16", "lenet5", "resnet18", "nin_cifar10")
    rising = [getattr(entry, figure) for entry in compare(*names, sort=figure).entries]
    falling = [getattr(entry, figure) for entry in compare(*names, sort=f"-{figure}").entries]
    assert all(a <= b for a, b in pairwise(rising))
    assert falling == rising[::-1]


@pytest.mark.parametrize("name", ["setting", "inputs", "counted", "estimate"])
def test_what_has_no_order_is_no_figure_to_sort_by(name):
    with pytest.raises(UsageError, match=f"there is no figure `{name}` to sort by; "):
        compare("vgg16", "lenet5", sort=name)


@pytest.mark.parametrize("sort", [None, ""])
def test_without_a_sort_the_order_is_the_one_given(sort):
    assert [e.name for e in compare("vgg16", "lenet5", "alexnet", sort=sort).entries] == [
        "vgg16",
        "lenet5",
        "alexnet",
    ]


def test_two_files_of_one_name_are_told_apart(tmp_path):
    for name in "ab":
        text = f"name: mine\ninput: [{ord(name)}, 1]\nlayers: [conv: 2]"
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    paths = [str(tmp_path / f"{name}.yaml") for name in "ab"]
    assert [entry.name for entry in compare(*paths).entries] == [f"mine ({p})" for p in paths]
    assert [entry.name for entry in compare(paths[0], paths[0]).entries] == ["mine", "mine"]


def test_what_cannot_be_compared_is_said():
    with pytest.raises(UsageError, match="nothing to compare"):
        compare()
    with pytest.raises(UsageError, match="no figure `parms` to sort by; did you mean `params`"):
        compare("lenet5", sort="-parms")
    with pytest.raises(UsageError, match="dtype `float31` is not known"):
        compare("lenet5", dtype="float31")
    with pytest.raises(SpecError, match="unknown-kind"):
        compare("lenet5", sequence("cnv: 4"))


def test_the_library_offers_what_the_command_does():
    assert archspec.compare is compare
    assert archspec.diff is diff
    assert archspec.Comparison is Comparison
    assert archspec.Difference is Difference


# The comparison as text


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_the_table_fits_the_terminal(width):
    found = compare("vgg", "resnet", "densenet")
    lines = render_comparison.text(found, width=width).splitlines()
    assert max(map(len, lines)) <= width
    assert all(f"{entry.macs:,}" in "\n".join(lines) for entry in found.entries)


def test_the_input_is_a_column_where_inputs_differ_and_a_line_where_they_do_not():
    same, other = str(compare("vgg16", "vgg19")), str(compare("vgg16", "lenet5"))
    assert "\ninput 224x224x3, batch 256, float32, momentum, inference at batch 1" in same
    assert other.splitlines()[0].split()[:2] == ["network", "input"]
    assert "training by each network's `train:`, inference at batch 1, ratios to vgg16" in other


def test_a_single_network_has_no_ratios():
    assert "ratio" not in str(compare("vgg16"))


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (1.0, "1.00x"),
        (0.9949, "0.99x"),
        (0.1, "0.10x"),
        (0.0456, "0.046x"),
        (0.0001, "<0.001x"),
        (0.0, "0x"),
        (23.456, "23.46x"),
        (12345.6, "12,346x"),
    ],
)
def test_a_ratio_has_the_digits_that_say_something(ratio, text):
    assert find("params_ratio").text(ratio) == text


def test_a_ratio_to_nothing_is_an_empty_cell():
    networks = compare("vgg16", "resnet50")  # VGG has no parameter that is not trained
    lines = render_comparison.csv(networks, columns=["non_trainable", "non_trainable_ratio"])
    assert lines.splitlines()[1:] == ["0,", "53120,"]
    table = render_comparison.markdown(networks, columns=["non_trainable", "non_trainable_ratio"])
    assert table.splitlines()[2:4] == ["| 0 |  |", "| 53,120 |  |"]


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("params", "params"),
        ("MACs", "macs"),
        ("size", "weight_bytes"),
        ("size_ratio", "weight_bytes_ratio"),
        ("Depth", "weight_layers"),
        ("must keep", "must_keep"),
        ("not trained", "non_trainable"),
        ("network", "name"),
    ],
)
def test_a_column_is_called_by_its_name_or_its_title(said, name):
    assert find(said).name == name


def test_the_csv_has_every_figure_as_a_plain_number():
    found = compare("lenet5", "vgg16")
    rows = list(csv.DictReader(io.StringIO(render_comparison.csv(found))))
    assert list(rows[0]) == [column.name for column in COLUMNS]
    for row, entry in zip(rows, found.entries, strict=True):
        assert {figure: int(row[figure]) for figure in FIGURES} == {
            figure: getattr(entry, figure) for figure in FIGURES
        }
        assert row["field"] == str(entry.field[0])


def test_the_markdown_is_a_table():
    found = compare("lenet5", "vgg16")
    table = [line for line in found._repr_markdown_().splitlines() if line.startswith("|")]
    assert len(table) == 4
    assert len({line.count("|") for line in table}) == 1
    assert "| 1.00x |" in table[2]


def test_the_json_holds_every_figure_and_its_ratio():
    data = json.loads(json.dumps(compare("lenet5", "vgg16", batch=2).to_dict()))
    assert (data["schema_version"], data["baseline"]) == (3, "lenet5")
    assert {network["batch"] for network in data["networks"]} == {2}
    vgg16 = data["networks"][1]
    assert vgg16["params"] == 138_357_544
    assert vgg16["field"] == [212, 212]
    assert vgg16["ratios"].keys() == set(FIGURES)
    assert vgg16["ratios"]["params"] == 138_357_544 / 61_706


# Alignment


def marks(difference: Difference) -> str:
    return "".join(step.mark for step in difference.steps)


def changed(difference: Difference, path: str) -> dict[str, tuple]:
    """Return the argument that differs in a row, before and after."""
    step = next(step for step in difference.steps if step.row.path == path)
    return {
        f"{change.layer} {change.what}".strip(): (change.before, change.after)
        for change in step.changes
    }


def test_a_deeper_network_has_more_rows():
    found = diff("vgg16", "vgg19")
    assert [step.row.path for step in found.steps if step.mark != "="] == [
        "stage3/conv4",
        "stage4/conv4",
        "stage5/conv4",
    ]
    assert marks(found).count("+") == 3
    assert marks(diff("vgg19", "vgg16")) == marks(found).replace("+", "-")


def test_a_step_put_in_between_renumbers_the_others_and_changes_nothing_else():
    before = sequence("conv: 8", "conv: 16", "conv: 32")
    after = sequence("conv: 8", "conv: {filters: 8, kernel: 1}", "conv: 16", "conv: 32")
    found = diff(before, after)
    assert marks(found) == "==+=="
    assert [step.is_renamed for step in found.steps] == [False, False, False, True, True]


def test_a_step_by_another_name_is_the_same_step():
    before = sequence("{name: first, conv: 8}", "{name: last, conv: 4}")
    after = sequence("{name: stem, conv: 8}", "{name: head, conv: 4}")
    found = diff(before, after)
    assert found.equal
    assert str(found) == (
        "net and net are equal: 3 rows, 2 rows by another name, 588 params, 14,976 MACs\n"
    )


def test_a_network_is_equal_to_itself():
    found = diff("resnet50", "resnet50")
    assert found.equal
    assert str(found).startswith("resnet50 and resnet50 are equal: ")


def _row(path: str, kind: str, filters: int) -> Row:
    shape = Shape((8, 8, filters))
    return Row(path, kind, f"{kind}-{filters}", shape, filters, 0, 0, 0, 0, 0, None, 0, 0)


rows = st.lists(
    st.builds(_row, st.sampled_from("abcdef"), st.sampled_from("xy"), st.integers(1, 3)),
    max_size=12,
)


@given(rows, rows, st.sampled_from([1, 10, 1000]))
def test_every_row_has_its_place_in_order(before, after, most):
    """Whatever is aligned, by whichever of the ways, no row is lost, doubled or moved."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alignment, "MOST_PAIRS", most)
        pairs = list(align(before, after))
    assert [a for a, _ in pairs if a] == before
    assert [b for _, b in pairs if b] == after
    assert all(a or b for a, b in pairs)


@given(rows)
def test_equal_rows_are_all_pairs(before):
    assert list(align(before, before)) == [(row, row) for row in before]


PAIRS = [
    ("resnet50", "resnet50_keras"),
    ("resnet50", "resnext50_32x4d"),
    ("densenet121", "densenet169"),
    ("lenet5", "vgg16"),
    ("googlenet", "googlenet_aux"),
]


@pytest.mark.parametrize(("before", "after"), PAIRS)
@pytest.mark.parametrize("view", [{}, {"depth": 1}, {"depth": 2}, {"ops": True}], ids=str)
def test_the_rows_differ_by_as_much_as_the_totals(before, after, view):
    found = diff(before, after, **view)
    for figure in ("params", "macs", "activations", "other_ops"):
        ours = sum(getattr(step.after, figure, 0) for step in found.steps)
        theirs = sum(getattr(step.before, figure, 0) for step in found.steps)
        first, second = (getattr(entry, figure) for entry in found.totals)
        assert ours - theirs == second - first
    assert not found.equal


# What differs


def test_keras_moves_the_stride_of_resnet_to_the_first_1x1_and_adds_biases():
    found = diff("resnet50", "resnet50_keras")
    assert [
        (each.kind, each.what, each.before, each.after, each.layers) for each in found.shared
    ] == [
        ("convolution", "bias", False, True, 53),
        ("batch_norm", "epsilon", 1e-5, 1.001e-5, 53),
        ("batch_norm", "momentum", 0.9, 0.99, 53),
    ]
    strides = {
        step.row.path: (change.before, change.after)
        for step in found.steps
        for change in step.changes
        if change.what == "stride"
    }
    assert strides == {
        f"stage{stage}/unit1/{conv}": moved
        for stage in (2, 3, 4)
        for conv, moved in (("conv1", (1, 2)), ("conv2", (2, 1)))
    }
    assert marks(found).count("=") + marks(found).count("~") == len(found.steps)


def test_resnext_has_wider_units_in_groups():
    found = diff("resnet50", "resnext50_32x4d")
    assert changed(found, "stage1/unit1/conv2") == {
        "convolution filters": (64, 128),
        "convolution groups": (1, 32),
        "output": ((56, 56, 64), (56, 56, 128)),
        "params": (37_120, 5_120),
        "macs": (115_605_504, 14_450_688),
    }
    # What comes after sees more channels, and has no argument of its own changed.
    assert changed(found, "stage1/unit1/conv3").keys() == {"params", "macs"}
    assert found.shared == ()


def test_a_layer_that_one_row_lacks_is_a_change_of_that_row():
    before = sequence("conv: {filters: 4, norm: batch, bias: true}")
    after = sequence("conv: {filters: 4, activation: relu}")
    assert changed(diff(before, after), "conv1") == {
        "norm layer": ("batch_norm", None),
        "activation layer": (None, "activation"),
        "params": (164, 148),
    }


def test_another_kind_at_the_same_path_is_a_change():
    before = sequence("{name: pool, max_pool: 2}")
    after = sequence("{name: pool, avg_pool: 2}")
    assert changed(diff(before, after), "pool") == {"kind": ("max_pool", "avg_pool")}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("conv: {filters: 4, kernel: 3, padding: 1}", "conv: {filters: 4, padding: same}"),
        ("conv: {filters: 4, kernel: [3, 3]}", "conv: {filters: 4, kernel: 3}"),
        ("max_pool: 2", "max_pool: {size: 2, stride: 2}"),
        ("max_pool: {size: [2, 2]}", "max_pool: {size: 2, stride: [2, 2]}"),
    ],
)
def test_arguments_that_say_the_same_are_no_difference(first, second):
    assert diff(sequence(first), sequence(second)).equal


@pytest.mark.parametrize(
    ("first", "second", "change"),
    [
        (
            "conv: {filters: 4, stride: 2, padding: 1}",
            "conv: {filters: 4, stride: 2, padding: same}",
            {"convolution padding": (1, "same")},
        ),
        ("max_pool: 2", "max_pool: {size: 2, ceil: true}", {"ceil": (False, True)}),
        ("dropout: 0.5", "dropout: 0.4", {"rate": (0.5, 0.4)}),
        (
            "activation: tanh",
            "activation: relu",
            {"function": ("tanh", "relu")},
        ),
    ],
)
def test_a_difference_need_not_cost_anything(first, second, change):
    found = diff(sequence(first), sequence(second))
    assert changed(found, found.steps[1].row.path) == change
    assert "total: no difference in params, MACs" in str(found)


def test_the_same_layers_in_another_order_differ():
    """Norm and activation before the convolution cost as much as behind it."""
    conv = (
        "conv: {{filters: 4, padding: same, bias: false, norm: batch, activation: relu, order: {}}}"
    )
    found = diff(*(sequence(conv.format(o)) for o in ("conv-norm-act", "norm-act-conv")))
    assert [entry.params for entry in found.totals] == [160, 160]
    assert not found.equal
    assert "convolution inputs" in changed(found, "conv1")


WIRED = (
    "{name: a, conv: {filters: 4, padding: same}}",
    "{name: b, conv: {filters: 4, padding: same}}",
)


def test_the_same_layers_on_other_inputs_differ():
    found = diff(sequence(*WIRED, "add: a"), sequence(*WIRED, "add: input"))
    assert marks(found) == "===~"
    assert changed(found, "add1") == {
        "inputs": (("b/convolution", "a/convolution"), ("b/convolution", "input"))
    }


def test_an_input_that_passes_through_what_was_put_in_is_the_same_input():
    """Simple bypasses add layers to SqueezeNet; what reads their sums is as it was."""
    found = diff("squeezenet_v1_0", "squeezenet_v1_0_simple_bypass")
    assert set(marks(found)) == {"=", "+"}
    assert {step.row.kind for step in found.steps if step.mark == "+"} == {"add"}
    # The unit after those that were added reads, through its shortcut too, another unit's output.
    assert set(marks(diff("resnet50", "resnet101"))) == {"=", "+"}


def test_outputs_and_the_weights_of_their_losses_are_compared():
    head = "heads: {{side: {{from: a, loss_weight: {}, layers: [flatten, fc: 2]}}}}\n"
    plain = sequence(*WIRED)
    light, heavy = (sequence(*WIRED, more=head.format(weight)) for weight in (0.1, 0.3))
    added = diff(plain, light)
    assert [(each.what, each.before) for each in added.outputs] == [("side", None)]
    found = diff(light, heavy)
    assert set(marks(found)) == {"="}
    assert not found.equal
    assert [tuple(each)[:3] for each in found.outputs] == [("loss weight of side", 0.1, 0.3)]


def test_a_group_says_which_of_its_layers_differ():
    found = diff("resnet50", "resnet50_keras", depth=1)
    assert changed(found, "stage2")["unit1/conv1/convolution stride"] == (1, 2)
    assert len(found.steps) == 9


@pytest.mark.parametrize(("before", "after"), list(permutations(("vgg16", "alexnet", "lenet5"), 2)))
def test_the_other_way_round_what_was_added_is_removed(before, after):
    there, back = marks(diff(before, after)), marks(diff(after, before))
    assert [there.count(mark) for mark in "=~-+"] == [back.count(mark) for mark in "=~+-"]


# The difference as text


POOLS = "{repeat: 2, max_pool: {size: 2, stride: 1}}"


def test_the_difference_reads_as_a_diff():
    before = sequence("conv: {filters: 4, padding: same}", POOLS, "flatten")
    after = sequence("conv: {filters: 8, padding: 1}", POOLS, "dropout: 0.5", "flatten", name="big")
    printed = """\
--- net
+++ big

   layer               output  params    MACs
... 1 equal row
~  conv1      CONV3-8  8x8x8      296  18,432
    filters 4 -> 8, output 8x8x4 -> 8x8x8, params 148 -> 296, MACs 9,216 -> 18,432
~  max_pool1  POOL2    7x7x8        0       0
    output 7x7x4 -> 7x7x8
~  max_pool2  POOL2    6x6x8        0       0
    output 6x6x4 -> 6x6x8
+  dropout1   DROPOUT  6x6x8        0       0
~  flatten1   FLATTEN  288          0       0
    output 144 -> 288

total         before    after  difference
params           148      296        +148
MACs           9,216   18,432      +9,216
activations      852    1,448        +596
size           592 B  1.18 kB      +592 B
must keep    5.20 kB  9.66 kB    +4.46 kB
batch 1, float32, adam
"""
    assert str(diff(before, after)) == printed


def test_what_all_layers_of_a_kind_share_is_said_once():
    lines = str(diff("resnet50", "resnet50_keras")).splitlines()
    assert lines[2] == "~ bias false -> true in all 53 convolution layers of both"
    assert "... 8 equal rows, 11 rows with nothing but the above" in lines
    assert sum(line.startswith("~  stage") for line in lines) == 6


def test_a_stage_does_not_list_more_changes_than_one_can_read():
    text = str(diff("resnet50", "resnext50_32x4d", depth=1))
    assert "unit1/conv1 filters 64 -> 128" in text
    assert "1 more change inside," in text


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_the_difference_fits_the_terminal(before, after, width):
    text = render_difference.text(diff(before, after), width=width)
    assert max(map(len, text.splitlines())) <= width


def test_a_notebook_shows_the_difference_in_colours():
    found = diff("vgg16", "vgg19")
    assert found._repr_markdown_() == f"```diff\n{found}```\n"


def test_the_json_of_a_difference_holds_every_row():
    data = json.loads(json.dumps(diff("resnet50", "resnet50_keras").to_dict()))
    assert data["schema_version"] == 3
    assert (data["before"]["training_batch"], data["before"]["optimizer"]) == (
        256,
        {"sgd": {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 1e-4}},
    )
    assert data["equal"] is False
    assert data["difference"]["params"] == 25_636_712 - 25_610_152
    assert data["shared"][0] == {
        "kind": "convolution", "what": "bias", "before": False, "after": True, "layers": 53,
    }  # fmt: skip
    step = next(s for s in data["steps"] if s["after"]["path"] == "stage2/unit1/conv1")
    assert step["mark"] == "~"
    assert step["before"]["shape"] == [56, 56, 128]
    assert {
        "what": "stride", "before": 1, "after": 2, "layer": "convolution", "kind": "convolution",
    } in step["changes"]  # fmt: skip
    assert sum(s["mark"] == "=" for s in data["steps"]) == 36


# The command


def test_the_command_compares():
    lines = output("compare", "alexnet", "vgg", "--sort", "-params").splitlines()
    assert [line.split()[0] for line in lines[2:9]] == [
        "vgg19",
        "vgg16",
        "vgg16_c",
        "vgg13",
        "vgg11",
        "vgg11_lrn",
        "alexnet",
    ]
    assert lines[8].count("1.00x") == 2
    # Trained in other batches, no training is a multiple of another.
    assert lines[0].split()[-2:] == ["field", "batch"]


def test_the_command_shows_what_differs():
    assert output("compare", "--diff", "vgg16", "vgg19") == str(diff("vgg16", "vgg19"))
    assert output("compare", "--diff", "vgg16", "vgg19", "--depth", "1") == str(
        diff("vgg16", "vgg19", depth=1)
    )
    assert "stage3/conv4/activation" in output("compare", "--diff", "vgg16", "vgg19", "--ops")


@pytest.mark.parametrize("turned", [False, True])
def test_a_model_file_is_set_beside_a_spec_layer_by_layer(tmp_path, turned):
    """A file has no blocks: a `conv` of the spec is a convolution, a norm and a ReLU in it."""
    file = tmp_path / "net.cfg"
    file.write_text(
        "[net]\nheight=8\nwidth=8\nchannels=4\n"
        "[convolutional]\nbatch_normalize=1\nfilters=4\nsize=3\nstride=1\npad=1\nactivation=relu\n"
    )
    conv, defaults = (
        "filters: 4, padding: same, norm: batch",
        "defaults: {batch_norm: {epsilon: 1e-5}}",
    )
    same, other = (
        sequence(f"conv: {{{conv}, activation: {each}}}", more=defaults) for each in ("relu", "elu")
    )
    sides = (lambda *pair: pair[::-1]) if turned else (lambda *pair: pair)
    difference = diff(*sides(file, other))
    assert [step.mark for step in difference.steps] == ["=", "=", "=", "~"]
    assert diff(*sides(file, other), depth=1).steps[-1].mark != "="
    assert [step.mark for step in diff(*sides(file, same)).steps] == ["=", "=", "=", "="]


def test_a_family_of_two_is_a_pair():
    assert output("compare", "--diff", "inception_example").startswith("--- inception_naive\n")


def test_memory_and_variables_are_options():
    arguments = ("--batch", "8", "--dtype", "float16", "--optimizer", "sgd", "--set", "classes=10")
    data = json.loads(output("compare", "vgg16", *arguments, "--format", "json"))
    costs = report(load("vgg16", classes=10), batch=8, dtype="float16", optimizer="sgd")
    assert data["networks"][0]["must_keep"] == costs.memory.must_keep


def test_every_format_is_written_by_its_suffix(tmp_path):
    found = compare("lenet5", "alexnet")
    paths = {suffix: tmp_path / f"out.{suffix}" for suffix in ("txt", "md", "csv", "json")}
    done = run("compare", "lenet5", "alexnet", *(w for p in paths.values() for w in ("-o", str(p))))
    assert done.returncode == 0
    assert done.stderr.splitlines() == [f"wrote {path}" for path in paths.values()]
    written = {suffix: path.read_text(encoding="utf-8") for suffix, path in paths.items()}
    assert written["txt"] == done.stdout == str(found)
    assert written["md"] == found._repr_markdown_()
    assert written["csv"] == render_comparison.csv(found)
    assert json.loads(written["json"]) == json.loads(json.dumps(found.to_dict()))


@pytest.mark.parametrize("form", ["markdown", "csv"])
def test_columns_are_chosen_in_every_table(form):
    found = compare("lenet5", "alexnet")
    printed = output("compare", "lenet5", "alexnet", "--format", form, "--columns", "name,size")
    assert printed == getattr(render_comparison, form)(found, columns=["name", "weight_bytes"])


def test_the_documentation_shows_what_is_printed():
    page = (ROOT / "docs" / "comparing.md").read_text(encoding="utf-8")
    shown = re.findall(r"```\n\$ archspec (.*)\n([^`]*)```", page)
    assert len(shown) == 3
    for command, expected in shown:
        assert output(*command.split()).startswith(expected)


BROKEN = """\
name: broken
input: [8, 8, 3]
variants: {one: {}, two: {}}
layers:
  - cnv: 4
"""


def test_a_broken_spec_does_not_hide_the_others(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text(BROKEN, encoding="utf-8")
    done = run("compare", "lenet5", str(path), "alexnet")
    assert done.returncode == 1
    assert done.stdout == str(compare("lenet5", "alexnet"))
    assert done.stderr.startswith(f"{path}:5:5: error[unknown-kind]")
    assert done.stderr.count("error[unknown-kind]") == 1  # both variants have the same mistake


def test_a_file_that_is_not_there_does_not_hide_the_others(tmp_path):
    done = run("compare", str(tmp_path / "no.yaml:big"), "lenet5")
    assert done.returncode == 1
    assert done.stdout == str(compare("lenet5"))
    assert f"{tmp_path / 'no.yaml'}: error[file]" in done.stderr


def test_two_broken_specs_are_both_reported_and_not_compared(tmp_path):
    paths = [tmp_path / "a.yaml", tmp_path / "b.yaml"]
    for path in paths:
        path.write_text("name: x\ninput: [8, 8, 3]\nlayers: [cnv: 4]", encoding="utf-8")
    done = run("compare", "--diff", *map(str, paths))
    assert (done.returncode, done.stdout) == (1, "")
    assert [str(path) in done.stderr for path in paths] == [True, True]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument 'SPEC...'"),
        (["vgg61"], "there is no spec called `vgg61`; did you mean `vgg16`?"),
        (["vgg", "--set", "clases=10"], "has no variable `clases`; did you mean `classes`?"),
        (["vgg", "--sort", "parms"], "there is no column `parms`; did you mean `params`?"),
        (["vgg", "--columns", "name,makks"], "there is no column `makks`"),
        (["vgg", "--columns", "name,,size"], "there is no column ``"),
        (["vgg", "--batch", "0"], "Invalid value for '--batch'"),
        (["vgg", "--dtype", "float31"], "dtype `float31` is not known; did you mean `float32`?"),
        (["vgg", "--optimizer", "adamm"], "optimizer `adamm` is not known; did you mean `adam`?"),
        (["vgg", "--format", "html"], "Invalid value for '--format'"),
        (["vgg", "-o", "x.gif"], "x.gif: the suffix says what to write: .txt, .json, .csv, .md"),
        (["vgg", "-o", "nowhere/x.md"], "there is no folder nowhere"),
        (["vgg", "--depth", "1"], "--depth and --ops go with --diff"),
        (["vgg", "--ops"], "--depth and --ops go with --diff"),
        (["vgg", "--columns", "name", "--format", "json"], "--columns does not go with JSON"),
        (["--diff", "vgg16"], "--diff takes two networks, not 1: vgg16"),
        (["--diff", "vgg"], "not 6: vgg11, vgg11_lrn, vgg13, vgg16_c, vgg16, vgg19"),
        (["--diff", "vgg16", "vgg19", "--depth", "0"], "Invalid value for '--depth'"),
        (["--diff", "vgg16", "vgg19", "--sort", "params"], "do not go with --diff"),
        (["--diff", "vgg16", "vgg19", "--columns", "params"], "do not go with --diff"),
        (["--diff", "vgg16", "vgg19", "--format", "csv"], "--diff has no CSV"),
        (["--diff", "vgg16", "vgg19", "-o", "x.csv"], "--diff has no CSV"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_said_before_anything_is_shown(arguments, message):
    done = run("compare", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
