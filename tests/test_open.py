"""Open extents: formulas in the size of the input, and what they are at a size."""

import math
import random
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from support.specs import graph_of, spec_of

import archspec
from archspec.errors import Problem, SpecError, UsageError
from archspec.graph.sizes import smallest
from archspec.ops.extent import Extent, agreement

HEIGHT, WIDTH = Extent.open("height"), Extent.open("width")

OPEN = "[null, null, 3]"


def halved(extent: Any, times: int = 1) -> Any:
    """The extent after strides of two, each rounded up."""
    return extent if not times else halved(-(-extent // 2), times - 1)


# Formulas.

TEXTS: dict[str, Any] = {
    "height": HEIGHT,
    "ceil(height/2)": halved(HEIGHT),
    "ceil(height/32)": halved(HEIGHT, 5),
    "floor((height - 7)/4)": (HEIGHT - 11) // 4 + 1,
    "floor(height/2) - 1": (HEIGHT - 4) // 2 + 1,
    "2*ceil(height/2)": 2 * halved(HEIGHT),
    "9,408*ceil(height/2)*ceil(width/2)": 9408 * halved(HEIGHT) * halved(WIDTH),
    "64*(height - 2)*(width - 2)": 64 * (HEIGHT - 2) * (WIDTH - 2),
    "64*(ceil(height/2) - 1)*(ceil(width/2) - 1) + 3*height*width + 10": (
        64 * (halved(HEIGHT) - 1) * (halved(WIDTH) - 1) + 3 * HEIGHT * WIDTH + 10
    ),
    "height/16": halved(Extent.open("height", 32), 4),
    "ceil(height/64)": halved(Extent.open("height", 32), 6),
    "height*width/4": halved(Extent.open("height", 2)) * halved(Extent.open("width", 2)),
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_formula_is_as_short_as_people_write_it(text: str) -> None:
    assert f"{TEXTS[text]:,}" == text


STEPS: tuple[Callable[[Any, int], Any], ...] = (
    lambda extent, n: extent + n,
    lambda extent, n: extent - n,
    lambda extent, n: extent * n,
    lambda extent, n: extent // n,
    lambda extent, n: -(-extent // n),
)


@pytest.mark.parametrize("seed", range(200))
def test_formulas_and_their_texts_compute_what_whole_numbers_do(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311
    total: Any = 0
    values = dict.fromkeys(range(1, 20), 0)
    for _ in range(draw.randrange(1, 4)):
        extents = [HEIGHT, WIDTH]
        both = {size: [4 * size, 4 * size + 8] for size in values}
        for axis in (0, 1):
            extents[axis] = Extent.open(("height", "width")[axis], draw.choice([1, 1, 4]))
            for _ in range(draw.randrange(5)):
                step, n = draw.choice(STEPS), draw.randrange(1, 9)
                extents[axis] = step(extents[axis], n)
                for size in values:
                    both[size][axis] = step(both[size][axis], n)
        factor = draw.randrange(1, 100)
        total += factor * extents[0] * extents[1]
        values = {size: value + factor * math.prod(both[size]) for size, value in values.items()}
    for size, value in values.items():
        sizes = {"height": 4 * size, "width": 4 * size + 8}
        assert total == value if isinstance(total, int) else total.at(sizes) == value
        assert evaluated(str(total), sizes) == value
        assert evaluated(f"{total:,}".replace(",", ""), sizes) == value


def evaluated(formula: str, sizes: dict[str, int]) -> Fraction:
    """The value of a formula's text."""
    exact = re.sub(r"(\d+)", r"Fraction(\1)", formula)
    names = {name: Fraction(size) for name, size in sizes.items()}
    functions = {"ceil": math.ceil, "floor": math.floor, "Fraction": Fraction}
    return Fraction(eval(exact, functions | names))  # noqa: S307  (a text of this file)


def test_formulas_that_are_equal_at_every_size_are_equal() -> None:
    assert halved(HEIGHT) == HEIGHT - HEIGHT // 2
    assert hash(HEIGHT - HEIGHT // 2) == hash(halved(HEIGHT))
    assert halved(HEIGHT) != halved(WIDTH)
    assert 2 * halved(HEIGHT) != HEIGHT
    assert halved(HEIGHT) - halved(HEIGHT) == 0


def test_what_every_large_size_decides_is_decided_and_nothing_else() -> None:
    assert HEIGHT > 5
    assert max(7, HEIGHT) is HEIGHT
    assert 2 * halved(HEIGHT) >= HEIGHT
    with pytest.raises(Problem, match="it depends on the size whether height is at least width"):
        _ = HEIGHT >= WIDTH
    with pytest.raises(Problem, match="depends on the size"):
        range(HEIGHT)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("extent", "where"),
    [
        (16 * halved(HEIGHT, 4), (16, 0)),
        (HEIGHT // 4 * 4, (4, 0)),
        (32 * ((HEIGHT - 1) // 32) + 1, (32, 1)),
        (2 * HEIGHT, None),
    ],
)
def test_sizes_at_which_two_extents_agree(extent: Any, where: tuple[int, int] | None) -> None:
    assert agreement(extent, HEIGHT) == where


# Networks.

LAYERS = {
    "strided convolutions": "conv: {filters: 4, kernel: 7, stride: 2}, "
    "conv: {filters: 4, stride: 3, padding: same}",
    "explicit padding": "conv: {filters: 4, stride: 2, padding: 1}, "
    "max_pool: {size: 3, stride: 2, padding: 1}",
    "pools rounded up": "max_pool: {size: 3, stride: 2, ceil: true}, "
    "avg_pool: {size: 2, ceil: true}, l2_pool: {size: 3, stride: 2, ceil: true, padding: 1}",
    "pools, padded alike": "max_pool: {size: 3, stride: 2, padding: same}, "
    "avg_pool: {size: 3, stride: 2, padding: same}, l2_pool: {size: 2, stride: 3, padding: same}",
    "sums of windows": "subsampling: {size: 3, stride: 2, padding: same}, "
    "subsampling: {size: 2, padding: 1, ceil: true}",
    "counted padding": "avg_pool: "
    "{size: 3, stride: 2, padding: 1, count_padding: true, ceil: true}",
    "uneven padding": "avg_pool: {size: 3, stride: 2, padding: [[0, 1], [1, 2]]}",
    "dilation": "conv: {filters: 4, dilation: 3, padding: same}, conv: {filters: 4, dilation: 2}",
    "depthwise": "depthwise_conv: {kernel: 3, stride: 2, padding: same}, separable_conv: 6",
    "up again": "conv: {filters: 4, stride: 2, padding: same}, upsample: 2, "
    "transposed_conv: {filters: 4, kernel: 3, stride: 2, padding: same}, "
    "transposed_conv: {filters: 4, kernel: 4, stride: 2}, upsample: {factor: 3, method: bilinear}",
    "pads and crops": "pad: [[1, 2], [0, 3]], crop: 2, slice: {stop: 2}, pad_channels: 5",
    "residual blocks": "pad: 4, residual: 4, residual: {filters: 8, stride: 2}, "
    "residual: {filters: 8, stride: 2, shortcut: pad}",
    "norms": "batch_norm, layer_norm, group_norm: 3, lrn, scale, "
    "spatial_dropout: 0.5, dropout: 0.1",
    "classified": "conv: {filters: 8, stride: 2}, global_avg_pool, fc: 10, softmax",
    "cropped": "pad: 40, conv: {filters: 4, stride: 8, padding: same}, "
    "transposed_conv: {filters: 2, kernel: 16, stride: 8}, "
    "{crop: {offset: 44}, from: [transposed_conv1, input], name: off}, "
    "{crop: {}, from: [transposed_conv1, input], name: middle}, add: off",
    "gated": "{conv: 4, name: a}, {global_max_pool: {keep_axes: true}, name: b}, {multiply: a}",
    "branches": "{branches: [[conv: {filters: 4, padding: same}], "
    "[max_pool: {size: 3, stride: 1, padding: same}]], merge: concat}",
}
"""Steps that a network of any size may have."""


@pytest.mark.parametrize("name", LAYERS)
def test_formulas_at_a_size_are_the_figures_of_the_network_of_that_size(name: str) -> None:
    text = "{name: net, input: %s, layers: [%s]}"
    opened = archspec.report(spec_of(text % (OPEN, LAYERS[name])))
    least = opened.smallest
    assert least is not None
    for more in ((0, 0), (1, 0), (2, 5), (31, 18)):
        sizes = {"height": least["height"] + more[0], "width": least["width"] + more[1]}
        extent = [*sizes.values(), 3]
        closed = archspec.report(spec_of(text % (extent, LAYERS[name])))
        at = archspec.report(opened.spec or "", at=tuple(sizes.values()))
        assert [node.shape for node in at.graph.nodes] == [n.shape for n in closed.graph.nodes]
        assert at.totals == closed.totals
        assert at.memory == closed.memory
        for ours, theirs in zip(opened.rows(ops=True), closed.rows(ops=True), strict=True):
            assert ours.shape.at(sizes) == theirs.shape
            for figure in ("params", "macs", "other_ops", "activations"):
                value = getattr(ours, figure)
                value = value if isinstance(value, int) else value.at(sizes)
                assert value == getattr(theirs, figure), (figure, ours.path)
            assert ours.field == theirs.field
    for axis in least:
        if least[axis] > 1:
            smaller = {**least, axis: least[axis] - 1}
            with pytest.raises(UsageError, match="it takes inputs of at least"):
                archspec.report(opened.spec or "", at=tuple(smaller.values()))


def test_a_block_decides_for_large_inputs_at_every_size() -> None:
    # At 1x1 a stride changes nothing, and a spec of that size would have no projection.
    text = "{name: net, input: %s, layers: [residual: {filters: 3, stride: 2}]}"
    opened, closed = spec_of(text % OPEN), spec_of(text % "[1, 1, 3]")
    params = archspec.report(opened).totals.params
    assert archspec.report(opened, at=1).totals.params == params
    assert archspec.report(closed).totals.params < params


REFUSED = {
    "flatten, fc: 10": "`flatten` would give 3*height*width: the number of channels must not",
    "local_conv: {filters: 4, kernel: 3}": "`local_conv` has weights for each place of height x",
    "reshape: [7, 7, 3]": "height x width x 3 has 3*height*width values, 7x7x3 has 147",
    "conv: =in.height": "`height` is height here: it depends on the input's size",
    "conv: {filters: 3, stride: 2, padding: same}, upsample: 2, {add: [upsample1, input]}": (
        "`add` needs inputs of one shape, not 2*ceil(height/2) x 2*ceil(width/2) x 3 and "
        "height x width x 3"
    ),
}


@pytest.mark.parametrize("layers", REFUSED)
def test_what_needs_a_size_says_so(layers: str) -> None:
    with pytest.raises(SpecError) as refused:
        graph_of(layers, OPEN)
    (diagnostic,) = refused.value.diagnostics
    assert diagnostic.message.startswith(REFUSED[layers])
    assert re.search("`input: .224, 224, 3.`|`multiple of 2`", diagnostic.help or "")


def test_sizes_that_are_multiples_let_branches_meet() -> None:
    layers = "conv: {filters: 3, stride: 4, padding: same}, upsample: 4, add: [upsample1, input]"
    graph = graph_of(layers, "[multiple of 4, multiple of 8, 3]")
    assert str(graph.output) == "height x width x 3"
    assert smallest(graph) == {"height": 4, "width": 8}
    with pytest.raises(Problem, match="width must be a multiple of 8, not 12"):
        graph.at({"height": 12, "width": 12})


def test_a_size_makes_a_spec_right_that_is_wrong_without() -> None:
    spec = spec_of("{name: net, input: [null, 4, 3], layers: [flatten, fc: 10]}")
    assert archspec.report(spec, at="8x4").totals.params == 970
    with pytest.raises(SpecError, match="flatten"):
        archspec.report(spec)


@pytest.mark.parametrize("at", ["8x8", "0x4", "8x4x3", "big", 1.5, (8, 8), True])
def test_a_wrong_size_says_what_is_right(at: Any) -> None:
    spec = spec_of("{name: net, input: [null, 4, 3], layers: [conv: 4]}")
    with pytest.raises(UsageError, match="`at=` must be"):
        archspec.report(spec, at=at)


def test_a_size_that_is_no_multiple_says_what_is_right() -> None:
    spec = spec_of("{name: net, input: [multiple of 32, multiple of 8, 3], layers: [conv: 4]}")
    message = "net does not fit an input of 40x64: height must be a multiple of 32, not 40"
    with pytest.raises(UsageError, match=message):
        archspec.report(spec, at="40x64")


def test_a_size_needs_an_open_input() -> None:
    with pytest.raises(UsageError, match="needs an input of open size: that of lenet5 is 32x32x1"):
        archspec.report("lenet5", at=64)


# Claims.

NET = "{name: net, input: [null, null, 3], layers: [conv: 4, global_avg_pool, fc: 2], %s}"


def test_claims_hold_at_the_size_that_they_name() -> None:
    claims = (
        'expect: {macs: "972008 at 97x27", params: 122}, budget: {inference_bytes: "1MB at 64"}'
    )
    published = (
        "published: {net: {macs: 106928, at: 32x35, source: me, stages: {conv1: [30, 33, 4]}}}"
    )
    report = archspec.report(spec_of(NET % f"{claims}, {published}"))
    held = {(check.section, check.figure): check[2:5] for check in report.checks}
    assert held == {
        ("published", "macs"): ("106,928 at 32x35", "106,928", True),
        ("published", "stage conv1"): ("30x33x4 at 32x35", "30x33x4", True),
        ("expect", "macs"): ("972,008 at 97x27", "256,508", False),
        ("expect", "params"): ("122", "122", True),
        ("budget", "inference_bytes"): ("<= 1,000,000 at 64", "111,160", True),
    }
    elsewhere = archspec.report(spec_of(NET % claims), at=300)
    assert elsewhere.checks[0].found == "256,508"


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ("expect: {macs: 5}", "`macs` depends on the input's size, which is open"),
        ("budget: {inference_bytes: 5}", "`inference_bytes` depends on the input's size"),
        ("published: {net: {macs: 5, source: me}}", "`macs` depends on the input's size"),
        ('expect: {macs: "5 at 2x2"}', "net does not fit an input of 2x2 at `conv1/convolution`"),
        ('expect: {macs: "5 at large"}', "`at=` must be a size"),
    ],
)
def test_a_claim_without_a_size_is_a_mistake(claim: str, message: str) -> None:
    with pytest.raises(SpecError, match=re.escape(message)):
        archspec.report(spec_of(NET % claim))


# Everything that shows a network.


@pytest.mark.parametrize(
    "show",
    [
        lambda spec: archspec.compare(spec, "lenet5"),
        lambda spec: archspec.diff(spec, spec),
        lambda spec: archspec.draw(spec, style="maps"),
        lambda spec: archspec.report(spec).save("net.html"),
    ],
)
def test_what_is_to_scale_needs_a_size_and_says_so(show: Callable[[Any], Any]) -> None:
    with pytest.raises(UsageError, match="needs a size, as the input of net is open"):
        show(spec_of(NET % "about: open"))


def test_networks_of_open_input_are_compared_and_drawn_at_a_size(tmp_path: Any) -> None:
    spec = spec_of(NET % "about: open")
    assert archspec.compare(spec, "lenet5", at=32).entries[0].macs == 108 * 30 * 30 + 8
    assert archspec.diff(spec, spec, at="9x8").equal
    archspec.draw(spec, style="maps", at=16).save(tmp_path / "maps.svg")
    archspec.report(spec, at=16).save(tmp_path / "net.html")
    drawn = archspec.draw(spec).save(tmp_path / "graph.svg").read_text()
    assert "height" in drawn
    for text in (str(archspec.report(spec)), archspec.report(spec)._repr_markdown_()):
        assert "108*(height - 2)*(width - 2)" in text
