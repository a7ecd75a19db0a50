"""`deconvnet` and `guided`: ReLUs with another gradient, switches, and what excites a unit most."""

import numpy as np
import pytest
from pages import ROOT
from support.maps.relus import hidden
from support.networks import circuit_of, gradient, images, linear, relu_net, seeded, subject_of

from archspec import explain
from archspec.compile.expand import expand
from archspec.cost.receptive_field import receptive_fields
from archspec.errors import UsageError
from archspec.explain.attribution import class_gradients
from archspec.explain.receptive_windows import seen
from archspec.explain.subject import open_subject
from archspec.spec.loading import load

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.keras

L = keras.layers


def pooled(values, size, strides):
    """Return the gradient through a max pool for 1, 2, 3, .. at its outputs."""
    inputs = keras.Input((*values.shape, 1))
    rank = values.ndim
    pool = getattr(L, f"MaxPooling{rank}D")(size, strides=strides)
    model = keras.Model(inputs, pool(inputs))
    upstream = np.arange(1, 1 + np.prod(model.output_shape[1:]), dtype=np.float32)
    upstream = keras.ops.reshape(
        keras.ops.convert_to_tensor(upstream), (1, *model.output_shape[1:])
    )
    found = gradient(
        circuit_of(model),
        lambda run: keras.ops.sum(run.output * upstream, axis=tuple(range(1, rank + 2))),
        values[None, ..., None].astype(np.float32),
        relu="deconvnet",
    )
    return found[0, ..., 0].tolist()


def test_a_shared_maximum_of_pools_that_overlap_gets_the_sum():
    """AlexNet's pools, 3 wide and 2 apart: an unpooling that writes would keep one of them."""
    assert pooled(np.array([0, 1, 9, 1, 0]), 3, 2) == [0, 0, 1 + 2, 0, 0]
    values = np.zeros((5, 5))
    values[2, 2] = 1
    assert pooled(values, 3, 2)[2][2] == 1 + 2 + 3 + 4


def test_of_equal_values_the_first_has_the_switch():
    assert pooled(np.array([0, 0, 5, 5]), 2, 2) == [1, 0, 2, 0]
    assert pooled(np.ones((2, 2)), 2, 2) == [[1, 0], [0, 0]]


def test_relus_that_others_overlook_are_changed():
    """An op, an `Activation` and a nested model: peers give the plain gradient, and say nothing."""
    subject = subject_of(hidden(keras))
    given = images(2, (15, 15, 3))
    plain, guided = (class_gradients(subject, given, [0, 1], 2, r) for r in ("vanilla", "guided"))
    assert np.abs(plain - guided).max() > 0.1 * np.abs(plain).max()
    found = explain.guided(subject, given, target=1)
    np.testing.assert_allclose(
        found[0].items[1].values, class_gradients(subject, given, [1, 1], 2, "guided")[0]
    )
    assert found.notes == ("the gradient is changed at 2 ReLUs; switches of 1 max pool on the way",)


def of_one_layer():
    """A unit of a single convolution: what is projected is its kernel, at its strongest place."""
    inputs = keras.Input((9, 12, 1))
    x = L.Conv2D(2, 3, activation="relu", name="conv")(inputs)
    return seeded(keras.Model(inputs, L.Dense(2, name="out")(L.GlobalMaxPooling2D()(x))))


@pytest.mark.parametrize("method", [explain.deconvnet, explain.guided])
def test_a_unit_is_projected_from_its_value_at_one_place(method):
    model = of_one_layer()
    given = images(12, (9, 12, 1))
    kernel, bias = (np.asarray(each) for each in model.get_layer("conv").get_weights())
    exhibit = method(model, given, layer="conv", unit=1, normalize="none")[0]
    patches, maps = (item.values for item in exhibit.items)
    assert patches.shape == (9, 3, 3, 1)
    assert maps.shape == (9, 3, 3)
    values = exhibit.facts["activations"]
    assert values == sorted(values, reverse=True)
    flat = kernel[:, :, 0, 1]
    for patch, map_, value in zip(patches[..., 0], maps, values, strict=True):
        assert (patch * flat).sum() + bias[1] == pytest.approx(value, rel=1e-4)
        np.testing.assert_allclose(map_, value * flat, rtol=1e-4)


@pytest.mark.parametrize("method", [explain.deconvnet, explain.guided])
def test_pixels_are_no_relu_so_a_map_may_be_below_0(method):
    """The score is the sum of max(0, -x), of x from -1 for black to 1 for white."""
    inputs = keras.Input((2, 3, 1))
    x = keras.layers.Conv2D(1, 1, use_bias=False, activation="relu")(inputs)
    scores = keras.layers.Dense(2, use_bias=False)(keras.layers.Flatten()(x))
    model = keras.Model(inputs, scores)
    model.set_weights([np.full((1, 1, 1, 1), -1.0), np.tile([1.0, 0.0], (6, 1))])
    found = method(model, np.zeros((1, 2, 3, 1)), target=0, normalize="symmetric")
    np.testing.assert_allclose(found[0].items[1].values, np.full((2, 3), -1 / 127.5), rtol=1e-6)


def test_of_an_image_one_patch_is_shown_at_most():
    given = np.concatenate([images(2, (9, 12, 1)), np.zeros((3, 9, 12, 1), np.float32)])
    exhibit = explain.deconvnet(of_one_layer(), given, layer="conv", unit=1, normalize="none")[0]
    names = [tile.split("  ")[1] for tile in exhibit.items[0].tiles]
    assert len(names) == len(set(names)) <= len(given)


def test_windows_are_the_pixels_that_a_value_depends_on():
    """Changed one at a time: those inside change the value, the others do not."""
    inputs = keras.Input((14, 11, 1))
    x = L.Conv2D(2, 3, strides=2, padding="same", name="a")(
        L.ZeroPadding2D(((1, 0), (0, 2)))(inputs)
    )
    y = L.Conv2D(2, 1, name="skip")(x)
    x = L.Add()([y, L.DepthwiseConv2D((3, 1), padding="same", dilation_rate=2)(x)])
    x = L.AveragePooling2D(2, strides=1, name="end")(L.BatchNormalization()(x))
    model = keras.Model(inputs, x)
    circuit = circuit_of(model)
    given = np.random.default_rng(0).normal(size=(1, 14, 11, 1)).astype(np.float32)
    for place in ((0, 0), (2, 3), (5, 4)):
        one = np.zeros(model.output_shape[1:], np.float32)
        one[(*place, 0)] = 1
        one = keras.ops.convert_to_tensor(one)
        found = gradient(
            circuit, lambda v, one=one: keras.ops.sum(v.output * one, axis=(1, 2, 3)), given
        )[0, ..., 0]
        rows, columns = np.nonzero(found)
        (top, bottom), (left, right) = seen(circuit, "end", place)
        assert (rows.min(), rows.max()) == (max(top, 0), min(bottom, 13))
        assert (columns.min(), columns.max()) == (max(left, 0), min(right, 10))


def test_windows_are_as_large_as_the_reports_receptive_fields():
    spec = load(ROOT / "docs" / "lecture" / "digits_relu.yaml")
    circuit = open_subject(spec).circuit
    windows = {
        tuple(last - first + 1 for first, last in seen(circuit, call.name, (0, 0)))
        for call in circuit.calls.values()
        if len(call.shape) == 3
    }
    fields = {field.size for field in receptive_fields(expand(spec)) if field}
    assert windows == fields - {(1, 1)}
    assert max(windows) == (24, 24)  # a value behind the last pool


def test_a_network_without_relus_is_refused_and_said_why():
    with pytest.raises(UsageError, match=r"no ReLU .* \(there is no activation\)"):
        explain.guided(linear(keras, (4, 4, 1)), images(1, (4, 4, 1)), normalize="none")
    with pytest.raises(UsageError, match=r"c1-activation \(tanh\), .*plain gradient: use `sal"):
        explain.deconvnet("lenet5", images(1, (32, 32, 1)))


def test_only_what_is_on_the_way_counts():
    """There is no ReLU up to `first`, and one after it."""
    inputs = keras.Input((6, 6, 1))
    x = L.Conv2D(2, 3, activation="tanh", name="first")(inputs)
    x = L.LeakyReLU(name="leaky")(L.Conv2D(2, 3, activation="relu", name="second")(x))
    model = seeded(keras.Model(inputs, L.Dense(2)(L.Flatten()(x))))
    given = images(2, (6, 6, 1))
    with pytest.raises(UsageError, match=r"between its pixels and first \(first \(tanh\)\)"):
        explain.guided(model, given, layer="first", normalize="none")
    notes = explain.guided(model, given, normalize="none").notes
    assert notes[0] == "the gradient is changed at 1 ReLU; no max pool on the way"
    assert notes[1].endswith("keep their plain gradient: first (tanh), leaky (leaky_relu)")


def test_a_unit_that_nothing_excites_is_said():
    model = of_one_layer()
    kernel, bias = model.get_layer("conv").get_weights()
    model.get_layer("conv").set_weights([kernel * [0, 1], bias * 0])
    with pytest.raises(UsageError, match="unit 0 of conv is above 0 in none of the 2 images"):
        explain.guided(model, images(2, (9, 12, 1)), layer="conv", unit=0, normalize="none")


@pytest.mark.parametrize("shape", [(16, 2), (6, 8, 6, 1)])
def test_signals_and_volumes_are_projected_too(shape):
    model = relu_net(keras, shape)
    found = explain.deconvnet(model, images(3, shape), normalize="none")
    assert found[0].items[1].values.shape == shape[:-1]
    unit = explain.guided(model, images(3, shape), layer="conv1", units=1, normalize="none")[0]
    assert unit.facts["receptive field"] == "x".join(["3"] * (len(shape) - 1))
