"""Probes: the lecture's tables, gradients by hand, and the same on every backend."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from support.specs import spec_of

from archspec.cli import main
from archspec.compile.expand import expand
from archspec.errors import SpecError, UsageError
from archspec.spec.loading import load
from archspec.training.probe import Gaussian, probe

LECTURE = {
    "normal:0.01": [0.213, 0.0476, 0.0107, 0.00238, 5.32e-4, 1.19e-4, 2.67e-5, 5.98e-6],
    "normal:1.0": [0.982] * 10,
    "xavier": [0.628, 0.486, 0.408, 0.357, 0.320, 0.293, 0.273, 0.255, 0.241, 0.229],
}
"""Standard deviations of the ten tanh layers; the first digits as the lecture prints them."""


def rows(readings):
    """The activities of the fully connected layers."""
    return [activity for row, activity in readings if row.kind == "fc"]


@pytest.mark.keras
@pytest.mark.parametrize("init", LECTURE)
def test_the_lectures_ten_tanh_layers(init):
    layers = rows(probe(load("lecture_tanh"), init=init, batch=1000).rows())
    stds = [layer.std for layer in layers]
    assert stds[: len(LECTURE[init])] == pytest.approx(LECTURE[init], rel=0.02)
    assert all(abs(layer.mean) < 0.01 * layer.std for layer in layers)
    assert all((layer.saturated > 0.9) == (init == "normal:1.0") for layer in layers)
    assert {layer.dead for layer in layers} == {None}


@pytest.mark.keras
def test_relu_needs_twice_the_variance():
    """With Xavier's, half of the second moment is lost in each layer; He's keeps it."""
    xavier, he = (
        [layer.mean**2 + layer.std**2 for layer in rows(found.rows())]
        for found in (probe(load("lecture_relu"), init=i, batch=200) for i in ("xavier", "he"))
    )
    assert xavier == pytest.approx([0.5**n for n in range(1, 11)], rel=0.25)
    assert he == pytest.approx([1.0] * 10, rel=0.25)


SMALL = """
name: small
input: [1, 6]
layers:
  - flatten
  - fc: {units: 5, bias: false, activation: tanh}
  - fc: {units: 4, bias: false, activation: relu}
  - fc: {units: 3, bias: false, activation: softmax}
"""


@pytest.mark.keras
def test_the_gradients_are_those_of_the_chain_rule():
    found = probe(spec_of(SMALL), init="normal:0.7", batch=8, seed=5)

    random = np.random.default_rng(5)
    x = random.standard_normal((8, 1, 6), dtype="float32").reshape(8, 6)
    shapes = [(6, 5), (5, 4), (4, 3)]
    w1, w2, w3 = (0.7 * random.standard_normal(shape, dtype="float32") for shape in shapes)
    labels = random.integers(3, size=8)
    h1 = np.tanh(x @ w1)
    h2 = np.maximum(h1 @ w2, 0)
    scores = np.exp(h2 @ w3)
    shares = scores / scores.sum(axis=1, keepdims=True)
    d3 = (shares - np.eye(3)[labels]) / 8
    d2 = d3 @ w3.T * (h2 > 0)
    d1 = d2 @ w2.T * (1 - h1**2)
    norms = [np.linalg.norm(a.T @ d) for a, d in ((x, d1), (h1, d2), (h2, d3))]

    layers = rows(found.rows())
    assert found.loss == pytest.approx(-np.log(shares[range(8), labels]).mean(), rel=1e-5)
    assert [layer.gradient for layer in layers] == pytest.approx(norms, rel=1e-5)
    assert [layer.mean for layer in layers] == pytest.approx(
        [h1.mean(), h2.mean(), shares.mean()], rel=1e-5
    )
    assert [layer.std for layer in layers] == pytest.approx(
        [h1.std(), h2.std(), shares.std()], rel=1e-5
    )
    assert layers[0].saturated == (abs(h1) > 0.99).mean()
    assert layers[1].dead == (h2 == 0).all(axis=0).mean()


@pytest.mark.keras
@pytest.mark.parametrize("units", [1, 3])
@pytest.mark.parametrize(
    "end", ["fc: {units: %s, activation: sigmoid}", "fc: %s, activation: sigmoid"]
)
def test_after_a_sigmoid_each_value_has_a_label_of_its_own(end, units):
    text = "{name: s, input: [1, 6], layers: [flatten, %s]}" % (end % units)
    found = probe(spec_of(text), init="he", batch=8)

    random = np.random.default_rng(0)
    x = random.standard_normal((8, 1, 6), dtype="float32").reshape(8, 6)
    kernel = np.sqrt(2 / 6) * random.standard_normal((6, units), dtype="float32")
    labels = random.integers(2, size=(8, units))
    shares = 1 / (1 + np.exp(-x @ kernel))
    right = -np.log(np.where(labels, shares, 1 - shares)).mean()
    assert found.loss == pytest.approx(right, rel=1e-5)
    slopes = (shares - labels) / shares.size
    gradient = np.hypot(np.linalg.norm(x.T @ slopes), np.linalg.norm(slopes.sum(axis=0)))
    assert rows(found.rows())[0].gradient == pytest.approx(gradient, rel=1e-5)


@pytest.mark.keras
def test_several_inputs_are_named_in_the_json_form():
    text = "{name: two, inputs: {a: [1, 2], b: [3]}, layers: [flatten, concat: b, fc: 2]}"
    data = probe(spec_of(text), batch=2).to_dict()
    assert data["input"] is None
    assert data["inputs"] == {"a": [1, 2], "b": [3]}
    one = probe(spec_of(SMALL), batch=2).to_dict()
    assert one["inputs"] == {"input": one["input"]}


@pytest.mark.keras
def test_a_block_shows_its_last_layer_and_the_gradient_of_all_of_it():
    found = probe(load("lenet5"), batch=4)
    (block,) = [activity for row, activity in found.rows() if row.path == "c1"]
    inside = [a for row, a in found.rows(ops=True) if row.path.startswith("c1/")]
    assert [each.gradient is None for each in inside] == [False, True]
    assert block == inside[1]._replace(gradient=inside[0].gradient)
    assert block.saturated is not None
    assert inside[0].saturated is None
    total = [activity.gradient or 0 for _, activity in found.rows()]
    (grouped,) = [a for row, a in found.rows(depth=1) if row.path == "c1"]
    assert grouped.gradient == total[1]


@pytest.mark.keras
def test_a_channel_is_dead_that_is_zero_everywhere():
    """Scaled to -1, all that ReLU sees of a positive input is negative."""
    layers = "[rescale: {scale: 0, offset: -1}, activation: relu]"
    found = probe(spec_of(f"{{name: dead, input: [2, 2, 3], layers: {layers}}}"), batch=2)
    assert [activity.dead for _, activity in found.rows()] == [None, None, 1.0]


@pytest.mark.keras
def test_heads_add_their_losses_by_their_weights():
    text = (
        "{name: two, input: [1, 6], layers: [flatten, fc: 4], "
        "heads: {aux: {from: flatten1, loss_weight: %s, layers: [fc: 3]}}}"
    )
    none, some = (probe(spec_of(text % weight), batch=8, init="he") for weight in (0, 0.5))
    gradients = [{r.path: a.gradient for r, a in found.rows()} for found in (none, some)]
    assert gradients[0]["fc1"] == pytest.approx(gradients[1]["fc1"])
    assert gradients[0]["aux/fc1"] == 0
    assert gradients[1]["aux/fc1"] > 0
    assert some.loss > none.loss


@pytest.mark.keras
def test_a_seed_repeats_a_probe_and_another_does_not():
    first, again, other = (probe(load("lenet5"), batch=2, seed=seed) for seed in (1, 1, 2))
    assert first.to_dict() == again.to_dict()
    assert first.loss != other.loss


@pytest.mark.keras
def test_digits_are_fed_standardised():
    found = probe(load("lenet5"), data="digits", batch=1000)
    image = found.rows()[0].activity
    assert (image.mean, image.std) == (pytest.approx(0, abs=0.02), pytest.approx(1, abs=0.02))


@pytest.mark.parametrize(
    ("step", "fan_in"),
    [
        ("conv: {filters: 8, kernel: 3, padding: same}", 3 * 3 * 4),
        ("convolution: {filters: 8, kernel: 3, groups: 2}", 3 * 3 * 2),
        ("depthwise_conv: 3", 3 * 3),
        ("local_conv: {filters: 8, kernel: 3}", 3 * 3 * 4),
        ("transposed_conv: {filters: 8, kernel: 4, stride: 2, padding: same}", 2 * 2 * 4),
        ("flatten, fc: 10", 8 * 8 * 4),
    ],
)
def test_the_fan_in_is_what_an_output_is_a_sum_over(step, fan_in):
    graph = expand(spec_of(f"{{name: net, input: [8, 8, 4], layers: [{step}]}}"))
    (layer,) = [node.layer for node in graph.nodes if node.layer.weights]
    assert Gaussian.read("xavier").std(layer) == pytest.approx(fan_in**-0.5)
    assert Gaussian.read("he").std(layer) == pytest.approx((2 / fan_in) ** 0.5)
    assert Gaussian.read("normal:0.01").std(layer) == pytest.approx(0.01)


@pytest.mark.parametrize("init", ["xaver", "normal", "normal:", "normal:-1", "normal:inf", ""])
def test_an_initialiser_that_is_none_is_refused(init):
    with pytest.raises(UsageError, match="there is no initialiser"):
        probe(load("lenet5"), init=init)


@pytest.mark.parametrize(
    ("init", "ours"), [("kaiming", "he"), ("he_normal", "he"), ("glorot_uniform", "xavier")]
)
def test_another_name_of_an_initialiser_is_answered(init, ours):
    with pytest.raises(UsageError, match=f"did you mean `{ours}`"):
        probe(load("lenet5"), init=init)


def test_data_that_do_not_fit_are_refused():
    with pytest.raises(SpecError, match="do not fit an input of 1x500"):
        probe(load("lecture_tanh"), data="digits")
    with pytest.raises(UsageError, match="there is no data `nonsense` to feed"):
        probe(load("lenet5"), data="nonsense")


@pytest.mark.keras
def test_the_formats_say_the_same():
    def shown(form):
        arguments = ["probe", "lenet5", "--batch", "2", "--init", "he", "--format", form]
        return CliRunner().invoke(main, arguments, catch_exceptions=False).stdout

    data = json.loads(shown("json"))
    names, *lines = (line.split(",") for line in shown("csv").splitlines())
    assert names == ["layer", "label", "output", "mean", "std", "dead", "saturated", "gradient"]
    assert [line[0] for line in lines] == [row["path"] for row in data["rows"]]
    assert [float(line[4]) for line in lines] == [row["std"] for row in data["rows"]]
    std = f"{data['rows'][1]['std']:#.3g}"
    assert "| c1 | CONV5-6 | 28x28x6 | " in shown("markdown")
    assert f" | {std} | " in shown("markdown")
    text = shown("text")
    assert "gaussian input 32x32x1, batch 2, kernels he, seed 0" in text
    assert f"  {std}  " in text
    assert "  saturated  " in text
    assert "  dead" not in text.splitlines()[4]
