"""The core of `archspec.explain`: a model as its calls, gradients by raw pixels, what is saved."""

import json

import numpy as np
import pytest
from support.networks import circuit_of, gradient, images, linear, subject_of

import archspec
from archspec import explain
from archspec.errors import UsageError
from archspec.explain.gallery import Exhibit, Gallery, Picture
from archspec.explain.gradient import derivative, repeated

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.keras

LAYERS = keras.layers


def mixed():
    """ReLUs as an op, fused, as a layer, as an object; a nested model; a softmax that is fused."""
    keras.utils.set_random_seed(0)
    inner = keras.Sequential(
        [
            LAYERS.Input((8, 8, 4)),
            LAYERS.Conv2D(5, 3, activation="relu", name="conv"),
            LAYERS.ReLU(max_value=6.0, name="relu6"),
            LAYERS.MaxPooling2D(2, name="pool"),
        ],
        name="backbone",
    )
    inputs = keras.Input((10, 10, 2))
    x = keras.ops.relu(LAYERS.Conv2D(4, 3, name="first")(inputs))
    x = LAYERS.Flatten()(LAYERS.Dropout(0.5)(inner(x)))
    x = LAYERS.Dense(6, activation=LAYERS.ReLU(), name="hidden")(x)
    return keras.Model(inputs, LAYERS.Dense(3, activation="softmax", name="out")(x))


def test_a_circuit_finds_every_relu_wherever_it_hides():
    circuit = circuit_of(mixed())
    first, *others = [call for call in circuit.calls.values() if call.rectifier]
    assert [call.name.split(":")[0] for call in others] == [
        "backbone/conv",
        "backbone/relu6",
        "hidden",
    ]
    assert first.kind == "Relu"
    assert circuit["backbone/relu6"].rectifier.most == 6
    assert circuit.scores == "out"


def test_the_model_is_left_as_it_was():
    model = mixed()
    before = [layer.get_config() for layer in model.layers if layer.name != "backbone"]
    given = images(1, (10, 10, 2)) / 255
    expected = model.predict_on_batch(given)
    circuit = circuit_of(model)
    gradient(circuit, lambda v: v.before["out"][:, 0], given, watch=("out",), relu="guided")
    assert [layer.get_config() for layer in model.layers if layer.name != "backbone"] == before
    assert model.get_layer("out").output.shape == (None, 3)  # of a second call Keras would raise
    np.testing.assert_array_equal(model.predict_on_batch(given), expected)


def test_the_gradient_of_a_linear_network_is_its_weights():
    model = linear(keras, (4, 5, 1))
    weights = np.asarray(model.get_layer("fc").kernel)[:, 2].reshape(4, 5)
    found = explain.saliency(model, images(2, (4, 5, 1)), target=2, normalize="none")
    for exhibit in found:
        np.testing.assert_allclose(exhibit.items[1].values, abs(weights), rtol=1e-6)


def test_gradients_are_by_raw_pixels_and_not_by_what_the_network_sees():
    model = linear(keras, (4, 4, 1))
    weights = abs(np.asarray(model.get_layer("fc").kernel)[:, 0].reshape(4, 4))
    found = explain.saliency(model, images(1, (4, 4, 1)), target=0, normalize="unit")
    np.testing.assert_allclose(found[0].items[1].values, weights / 255, rtol=1e-5)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("vanilla", (0, -1, 0, 1)), ("deconvnet", (1, 0, 0, 1)), ("guided", (0, 0, 0, 1))],
)
def test_what_a_relu_does_with_a_gradient(rule, expected):
    """The input (-1, 2, -3, 4) and the gradient (1, -1, -1, 1), by hand."""
    inputs = keras.Input((4,))
    circuit = circuit_of(keras.Model(inputs, LAYERS.ReLU(name="relu")(inputs)))
    upstream = np.array([[1, -1, -1, 1]], np.float32)
    given = np.array([[-1, 2, -3, 4]], np.float32)
    found = gradient(
        circuit,
        lambda values: keras.ops.sum(values.output * keras.ops.array(upstream), axis=-1),
        given,
        relu=rule,
    )
    assert tuple(found[0]) == expected


def test_a_layer_is_found_by_its_name_or_by_its_blocks():
    circuit = circuit_of(mixed())
    assert circuit.find("backbone/conv").shape == (6, 6, 5)
    assert circuit.find("backbone").name == "backbone/pool"
    with pytest.raises(UsageError, match="has no layer `hiden`; did you mean `hidden`"):
        circuit.find("hiden")


def test_a_subclassed_model_is_refused():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.fc = LAYERS.Dense(2)

        def call(self, x):
            return self.fc(x)

    model = Own()
    model(np.zeros((1, 3), np.float32))
    with pytest.raises(UsageError, match="declares no input; use a functional"):
        subject_of(model)


def test_a_zero_map_is_said_and_not_drawn(tmp_path):
    zero = Picture("map", "a map", np.zeros((4, 4)), "positive")
    gallery = Gallery("saliency", "net", {}, (Exhibit("a", "nothing", [zero]),))
    folder = gallery.save(tmp_path / "out")
    assert not (folder / "a-map.png").exists()
    assert (folder / "a-map.npy").exists()
    assert "0 everywhere" in (folder / "index.html").read_text(encoding="utf-8")


def test_a_gallery_is_a_page_its_pictures_and_their_values(tmp_path):
    model = linear(keras, (4, 5, 1))
    gallery = explain.saliency(model, images(2, (4, 5, 1)), target=1, normalize="none")
    folder = gallery.save(tmp_path / "out")
    record = json.loads((folder / "explain.json").read_text(encoding="utf-8"))
    assert record["method"] == "saliency"
    assert record["settings"] == {"target": 1, "seed": 0}
    assert record["given"] == {
        "images": "an array of the shape (2, 4, 5, 1)",
        "data": None,
        "normalize": "none",
        "white": None,
        "batch": 32,
        "backend": keras.backend.backend(),
        "archspec": archspec.__version__,
    }
    assert np.load(folder / "0-saliency.npy").shape == (4, 5)
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert page.count("<img") == 4
    assert "http" not in page.replace("http-equiv", "")
    gallery.save(folder)  # over its own
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(UsageError, match="holds other files"):
        gallery.save(tmp_path / "mine")


def test_many_steps_are_taken_on_the_device_and_may_be_cut_into_stretches():
    """A step of 0.1 against the slope of x.x leaves 0.8 of x; of step 1 the score is kept."""
    circuit = circuit_of(linear(keras, (2, 2, 1)))
    ops = keras.ops

    def step(number, state, factor):
        x, kept = state
        slope, squares = derivative(keras, lambda x: (ops.sum(x * x), ops.sum(x * x)), x)
        return x - factor * slope, kept + squares * ops.cast(number == 1, "float32")

    run = repeated(circuit, step)
    start = np.full((1, 2, 2, 1), 2.0, np.float32)
    x, kept = run(0, 5, (start, np.float32(0)), np.float32(0.1))
    np.testing.assert_allclose(x, start * 0.8**5, rtol=1e-6)
    np.testing.assert_allclose(kept, 16 * 0.8**2, rtol=1e-6)
    cut = run(2, 5, run(0, 2, (start, np.float32(0)), np.float32(0.1)), np.float32(0.1))
    np.testing.assert_array_equal(cut[0], x)
