"""`activations` and `filters`: what units do, and what kernels look like, with planted answers."""

import json

import numpy as np
import pytest
from support.networks import images

from archspec import explain
from archspec.errors import UsageError

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.keras

LAYERS = keras.layers


def one_convolution(activation, *, bias=(0.0, -1.0, 0.0)):
    """A convolution of three filters, the second of which is 0 with a negative bias."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 8, 1))
    x = LAYERS.Conv2D(3, 3, padding="same", name="conv")(inputs)
    x = activation(x)
    outputs = LAYERS.Dense(2, activation="softmax", name="fc")(LAYERS.Flatten()(x))
    model = keras.Model(inputs, outputs)
    kernel = np.zeros((3, 3, 1, 3), np.float32)
    kernel[1, 1, 0, 0] = 1.0  # what comes in
    kernel[1, 1, 0, 2] = -1.0
    model.get_layer("conv").set_weights([kernel, np.array(bias, np.float32)])
    return model


def relu(x):
    return LAYERS.ReLU(name="relu")(x)


def tables(model, pixels, **given):
    """Rows of the tables of a model's units over all of some images, by the columns' names."""
    *_, units = explain.activations(model, pixels, dead=True, normalize="none", white=255, **given)
    return [
        [dict(zip(table.columns, row, strict=True)) for row in table.rows] for table in units.items
    ]


def test_a_unit_is_dead_where_no_image_reaches_it():
    pixels = images(70, (6, 8, 1))
    pixels[:, 0, 0] = 0.0  # one place of the first channel, that is 0 for every image
    pixels[69, 5, 7] = 280
    layers, units = tables(one_convolution(relu), pixels, batch=32)
    assert layers == [
        {
            "layer": "relu",
            "activation": "relu",
            "shape": "6x8x3",
            "channels": 3,
            "dead channels": 2,
            "share of channels dead": pytest.approx(2 / 3),
            "share of units dead": pytest.approx((1 + 48 + 48) / 144),
            "saturated": None,
            "largest": pytest.approx(280),
            "which are dead": "1, 2",
        }
    ]
    assert [unit["dead"] for unit in units] == [False, True, True]
    assert [unit["share of units dead"] for unit in units] == pytest.approx([1 / 48, 1, 1])
    assert units[0]["image"].strip("[]") == "69"  # of the last batch, which is a short one
    assert units[0]["largest"] == pytest.approx(280)


@pytest.mark.parametrize(
    "activation",
    [
        LAYERS.LeakyReLU(),
        LAYERS.ReLU(negative_slope=0.1),
        LAYERS.Activation("silu"),
        LAYERS.PReLU(),
    ],
    ids=["leaky", "slope", "swish", "prelu"],
)
def test_a_unit_that_has_a_slope_below_0_is_never_dead(activation):
    model = one_convolution(activation, bias=(-300.0,) * 3)  # everything is below 0
    layers, units = tables(model, images(4, (6, 8, 1)))
    assert [layer["dead channels"] for layer in layers] == [None]
    assert [unit["dead"] for unit in units] == [None] * 3


def test_an_output_is_saturated_within_half_a_percent_of_a_bound():
    pixels = np.zeros((5, 6, 8, 1), np.float32)
    pixels[:, :3] = 270
    pixels[:, 3:] = 260
    model = one_convolution(LAYERS.Activation("tanh"), bias=(0, -3, 0))
    kernel, bias = model.get_layer("conv").get_weights()
    model.get_layer("conv").set_weights([kernel / 100, bias])
    layers, units = tables(model, pixels, batch=2)  # tanh 2.7 is 0.991, tanh 2.6 is 0.989
    assert [unit["saturated"] for unit in units] == [0.5, 1.0, 0.5]
    assert layers[0]["saturated"] == pytest.approx(2 / 3)
    assert layers[0]["dead channels"] is None


def test_maps_are_what_the_layer_puts_out():
    pixels = images(2, (6, 8, 1))
    found = explain.activations(one_convolution(relu), pixels, layer="relu", normalize="none")
    for exhibit, image in zip(found, pixels, strict=True):
        maps = exhibit.items[1]
        np.testing.assert_allclose(maps.values[0], image[..., 0], rtol=1e-6)
        assert maps.values.shape == (3, 6, 8)  # neither square nor turned
        assert maps.limits == (0, image.max())  # one scale for all channels
        assert maps.facts["silent"] == "2 of 3"
        assert not maps.own_scale
    (own,) = explain.activations(
        one_convolution(relu), pixels[:1], layer="relu", scale="channel", normalize="none"
    )
    assert own.items[1].own_scale == "tile"


def deep():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            LAYERS.Input((16, 16, 3)),
            *(LAYERS.Conv2D(4, 3, activation="relu", name=f"conv{n}") for n in range(1, 5)),
            LAYERS.Flatten(),
            LAYERS.Dense(7, activation="relu", name="hidden"),
            LAYERS.Dense(3, activation="softmax", name="fc"),
        ]
    )


def test_without_a_layer_the_first_maps_and_the_last_are_shown():
    found = explain.activations(deep(), images(1, (16, 16, 3)), normalize="unit")
    assert found.settings["layer"] == ["conv1", "conv2", "conv4"]
    assert [item.name for item in found[0].items] == ["image", "conv1", "conv2", "conv4"]


def test_units_of_a_vector_are_a_strip_and_logits_are_signed():
    pixels = images(1, (16, 16, 3))
    (found,) = explain.activations(deep(), pixels, layer=["hidden", "conv1"], normalize="unit")
    assert found.items[1].values.shape == (7,)
    assert found.items[1].look == "positive"
    (linear,) = explain.activations(
        one_convolution(relu), images(1, (6, 8, 1)), layer="conv", normalize="none"
    )
    assert linear.items[1].look == "signed"
    assert linear.items[1].limits[0] == -linear.items[1].limits[1]


@pytest.mark.parametrize(("shape", "drawn"), [((20, 2), (4, 18)), ((6, 7, 8, 1), (4, 4, 5, 6))])
def test_signals_and_volumes_have_maps(shape, drawn, tmp_path):
    layer = {2: LAYERS.Conv1D, 4: LAYERS.Conv3D}[len(shape)]
    inputs = keras.Input(shape)
    x = LAYERS.Flatten()(layer(4, 3, activation="relu", name="conv")(inputs))
    model = keras.Model(inputs, LAYERS.Dense(2, name="fc")(x))
    found = explain.activations(model, images(1, shape), dead=True, normalize="unit")
    assert found[0].items[1].values.shape == drawn
    assert (found.save(tmp_path / "out") / "0-conv.png").exists()


def test_weights_that_are_not_finite_are_named_also_where_a_relu_hides_them():
    model = one_convolution(relu, bias=(0, np.nan, 0))
    with pytest.raises(UsageError, match="conv/bias has values that are not finite"):
        explain.activations(model, images(2, (6, 8, 1)), dead=True, normalize="none")


def test_a_layer_whose_outputs_overflow_is_named():
    model = one_convolution(relu, bias=(3e38, 0, 0))
    model.get_layer("conv").set_weights(
        [np.full((3, 3, 1, 3), 3e38, np.float32), np.zeros(3, np.float32)]
    )
    with pytest.raises(
        UsageError, match=r"(layer relu|functional\w*) produced outputs that are not"
    ):
        explain.activations(model, images(2, (6, 8, 1)), dead=True, normalize="none")


def test_a_network_without_units_says_so():
    inputs = keras.Input((4, 4, 1))
    model = keras.Model(inputs, LAYERS.Dense(2, activation="softmax")(LAYERS.Flatten()(inputs)))
    with pytest.raises(UsageError, match="no activations but those of its scores"):
        explain.activations(model, images(1, (4, 4, 1)), dead=True, normalize="none")


def test_units_are_tables_in_the_folder(tmp_path):
    pixels = images(3, (6, 8, 1))
    found = explain.activations(one_convolution(relu), pixels, dead=True, normalize="none")
    folder = found.save(tmp_path / "out")
    rows = (folder / "all-images-units.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0].startswith("layer,channel,largest,image,dead")
    assert rows[2].startswith("relu,1,0.0,")
    record = json.loads((folder / "explain.json").read_text(encoding="utf-8"))
    assert record["exhibits"][-1]["facts"] == {"images": 3, "dead": 2}


def test_filters_of_a_model_need_not_know_how_images_are_prepared(tmp_path):
    model = one_convolution(relu)
    model.save(tmp_path / "mine.keras")
    for run in (model, str(tmp_path / "mine.keras")):
        assert explain.filters(run)[0].name == "conv"
