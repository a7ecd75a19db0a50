"""Weights copied from another model or a file: each to its layer, all of them or none."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from support.commands import BACKEND, run
from support.networks import randomized
from support.specs import spec_of

import archspec
from archspec.errors import UsageError
from archspec.keras_model.build import build
from archspec.keras_model.engine import load_keras
from archspec.keras_model.weights import copy

pytestmark = [pytest.mark.keras, pytest.mark.usefixtures("new_session")]


CHAIN = """
name: chain
input: [6, 6, 2]
defaults: {batch_norm: {epsilon: 1e-3}}
layers:
  - conv: {filters: 4, kernel: 3, norm: batch, bias: true, activation: relu}
  - conv: {filters: 4, kernel: 3}
  - flatten
  - fc: 3
"""

UNIT = """
name: unit
input: [6, 6, 2]
defaults: {batch_norm: {epsilon: 1e-3}}
layers:
  - residual: {filters: 2, style: bottleneck, bias: true}
  - global_avg_pool
  - fc: 3
"""
"""The projection's weights and the last convolution's have the same names and shapes."""

PAIR = """
name: pair
input: [6, 6, 2]
layers:
  - {branches: [[conv: {filters: 2, kernel: 1}], [conv: {filters: 2, kernel: 1}]], merge: add}
  - global_avg_pool
"""
"""Two convolutions that nothing but their names tells apart."""


def chain(keras, *, extent=(6, 6, 2), stride=1, kernel=3, scale=True, bias=True, classes=3):
    """CHAIN in plain Keras, or something that is nearly it."""
    layers = keras.layers
    last = [layers.Dense(classes)] if classes else []
    return keras.Sequential(
        [
            keras.Input(extent),
            layers.Conv2D(4, 3, strides=stride),
            layers.BatchNormalization(scale=scale),
            layers.Activation("relu"),
            layers.Dropout(0.5),
            layers.Conv2D(4, kernel, use_bias=bias, padding="valid" if kernel == 3 else "same"),
            layers.Flatten(),
            *last,
        ],
        name="theirs",
    )


def unit(keras, *, projection_first=True, names=("a", "b", "c", "p")):
    """UNIT in plain Keras."""
    layers = keras.layers
    x = keras.Input((6, 6, 2))

    def conv(y: Any, filters: int, name: str) -> Any:
        y = layers.Conv2D(filters, 3 if name == names[1] else 1, padding="same", name=name)(y)
        return layers.BatchNormalization(name=f"{name}_bn")(y)

    def branch() -> Any:
        y = layers.ReLU()(conv(x, 2, names[0]))
        return conv(layers.ReLU()(conv(y, 2, names[1])), 8, names[2])

    if projection_first:
        shortcut = conv(x, 8, names[3])
        y = layers.Add()([shortcut, branch()])
    else:
        y = branch()
        y = layers.Add()([y, conv(x, 8, names[3])])
    y = layers.GlobalAveragePooling2D()(layers.ReLU()(y))
    return keras.Model(x, layers.Dense(3, name="last")(y), name="theirs")


def values(model: Any) -> list[np.ndarray]:
    return [load_keras().ops.convert_to_numpy(weight) for weight in model.weights]


def differ(ours: Any, theirs: Any) -> float:
    images = np.random.default_rng(1).normal(size=(2, *ours.input_shape[1:])).astype("float32")
    return float(np.abs(values_of(ours, images) - values_of(theirs, images)).max())


def values_of(model: Any, images: np.ndarray) -> np.ndarray:
    return load_keras().ops.convert_to_numpy(model(images))


# From a model


@pytest.mark.parametrize("projection_first", [True, False])
def test_layers_alike_are_told_apart_by_what_they_are_joined_to(keras, projection_first):
    theirs = randomized(unit(keras, projection_first=projection_first))
    ours = build(spec_of(UNIT))
    copied = copy(theirs, ours)
    found = {other: mine for mine, other in copied.layers}
    assert found["p"] == "residual1-projection-convolution"
    assert found["c"] == "residual1-conv3-convolution"
    assert differ(ours, theirs) < 1e-5


def test_what_was_copied_is_said(keras):
    copied = copy(chain(keras), build(spec_of(CHAIN)))
    assert [mine for mine, _ in copied.layers] == [
        "conv1-convolution",
        "conv1-norm",
        "conv2-convolution",
        "fc1-fully_connected",
    ]
    assert str(copied) == "copied 291 parameters of 4 layers"


def test_build_takes_weights(keras):
    theirs = randomized(chain(keras))
    assert differ(archspec.build(spec_of(CHAIN), weights=theirs), theirs) < 1e-5


def test_moving_statistics_come_along(keras):
    theirs = randomized(chain(keras))
    ours = archspec.build(spec_of(CHAIN), weights=theirs)
    (mine,) = [w for w in ours.weights if w.path.endswith("moving_variance")]
    (other,) = [w for w in theirs.weights if w.path.endswith("moving_variance")]
    assert np.array_equal(*map(keras.ops.convert_to_numpy, (mine, other)))


def test_an_image_of_another_size_is_no_obstacle_where_the_weights_are_the_same(keras):
    theirs = randomized(unit(keras))
    ours = build(spec_of(UNIT.replace("[6, 6, 2]", "[9, 9, 2]")))
    assert len(copy(theirs, ours).layers) == 9


REFUSED = {
    "another kernel": (
        {"kernel": 1},
        "the networks differ (4 layers with weights here, 4 there): here `conv2-convolution` "
        "(bias [4], kernel [3, 3, 4, 4]), which gives 2x2x4; there `conv2d_1` "
        "(bias [4], kernel [1, 1, 4, 4]), which gives 4x4x4",
    ),
    "no bias": ({"bias": False}, "there `conv2d_1` (kernel [3, 3, 4, 4])"),
    "no gamma": ({"scale": False}, "(beta [4], moving_mean [4], moving_variance [4])"),
    "another stride": ({"stride": 2, "kernel": 1}, "which gives 4x4x4; there `conv2d` (bias [4]"),
    "other classes": ({"classes": 10}, "kernel [16, 10]), which gives 10"),
    "no last layer": (
        {"classes": None},
        "(4 layers with weights here, 3 there): nothing there is like `fc1-fully_connected`",
    ),
    "other channels": ({"extent": (6, 6, 3)}, "here an input of 6x6x2; there an input of 6x6x3"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_another_network_is_refused_and_nothing_is_copied(keras, case):
    changes, message = REFUSED[case]
    ours = build(spec_of(CHAIN))
    before = values(ours)
    with pytest.raises(UsageError) as refused:
        copy(randomized(chain(keras, **changes)), ours)
    assert message in str(refused.value)
    assert all(map(np.array_equal, values(ours), before))


def test_a_longer_network_is_refused(keras):
    theirs = chain(keras)
    theirs = keras.Sequential([*theirs.layers, keras.layers.Dense(3)])
    theirs.build((None, 6, 6, 2))
    with pytest.raises(UsageError, match="what there follows after `fc1-fully_connected` is not"):
        copy(theirs, build(spec_of(CHAIN)))


def test_twins_are_told_apart_by_name_or_not_at_all(keras):
    ours = build(spec_of(PAIR))
    again = randomized(build(spec_of(PAIR)))
    assert all(mine == other for mine, other in copy(again, ours).layers)
    assert differ(ours, again) == 0
    x = keras.Input((6, 6, 2))
    y = keras.layers.Add()([keras.layers.Conv2D(2, 1, name=name)(x) for name in ("left", "right")])
    theirs = keras.Model(x, keras.layers.GlobalAveragePooling2D()(y))
    with pytest.raises(UsageError, match=r"not certain which layer is which: `left` .* `right`"):
        copy(theirs, ours)


def test_one_layer_does_not_stand_for_two(keras):
    x = keras.Input((6, 6, 2))
    conv = keras.layers.Conv2D(2, 1)
    y = keras.layers.Add()([conv(x), conv(x)])
    theirs = keras.Model(x, keras.layers.GlobalAveragePooling2D()(y))
    with pytest.raises(UsageError, match=r"2 here \(.*\), 1 there"):
        copy(theirs, build(spec_of(PAIR)))


def test_what_does_not_say_how_its_layers_are_joined_is_refused(keras):
    class Subclassed(keras.Model):
        pass

    x, y = keras.Input((6, 6, 2)), keras.Input((6, 6, 2))
    first = keras.layers.Conv2D(4, 1, data_format="channels_first")
    for theirs, message in (
        (Subclassed(), "only a functional or sequential model"),
        (keras.Sequential([keras.layers.Dense(3)]), "only a functional or sequential model"),
        (
            keras.Model([x, y], keras.layers.Add()([x, y])),
            "the number of inputs differs: 1 here, 2 there",
        ),
        (keras.Model(x, first(x)), "has its channels first"),
        (3, "a Keras model, a file or 'imagenet', not from a value of type int"),
    ):
        with pytest.raises(UsageError, match=message):
            copy(theirs, build(spec_of(CHAIN)))
    with pytest.raises(UsageError, match=r"`model='b\.keras'` must be a Keras model"):
        copy("a.keras", "b.keras")
    with pytest.raises(UsageError, match="not from a value of type ndarray"):
        build(spec_of(CHAIN), weights=np.zeros(3))


# From a file


def saved(model: Any, path: Path) -> Path:
    """A file of the kind that its name says; `old.h5` has weights alone, in Keras 2's format."""
    if path.name.endswith(".weights.h5"):
        model.save_weights(path)
    elif path.name == "old.h5":
        whole = saved(model, path.with_name("whole.h5"))
        with h5py.File(whole) as source, h5py.File(path, "w") as target:
            for name, group in source["model_weights"].items():
                source.copy(group, target, name)
            target.attrs.update(source["model_weights"].attrs)
    else:
        model.save(path)
    return path


ONE_OF_EACH = pytest.mark.parametrize(
    "name", ["whole.keras", "whole.h5", "weights.weights.h5", "old.h5"]
)


@ONE_OF_EACH
def test_a_file_of_the_same_spec_fits(tmp_path, name):
    theirs = randomized(build(spec_of(UNIT)))
    ours = archspec.build(spec_of(UNIT), weights=saved(theirs, tmp_path / name))
    assert differ(ours, theirs) == 0


@ONE_OF_EACH
def test_a_file_of_a_chain_fits_whatever_its_layers_are_called(keras, tmp_path, name):
    theirs = randomized(chain(keras))
    ours = archspec.build(spec_of(CHAIN), weights=saved(theirs, tmp_path / name))
    assert differ(ours, theirs) < 1e-5


@ONE_OF_EACH
def test_a_file_of_weights_alone_is_refused_where_their_order_is_not_certain(keras, tmp_path, name):
    path = saved(randomized(unit(keras)), tmp_path / name)
    ours = build(spec_of(UNIT))
    if name.startswith("whole"):
        assert len(copy(path, ours).layers) == 9
        return
    with pytest.raises(UsageError, match=r"holds the weights of 9 layers, not how they are joined"):
        copy(path, ours)


def test_weights_of_a_longer_chain_are_refused(keras, tmp_path):
    theirs = keras.Sequential([*chain(keras).layers, keras.layers.Dense(3)])
    theirs.build((None, 6, 6, 2))
    with pytest.raises(UsageError, match="the weights of 5 layers"):
        copy(saved(theirs, tmp_path / "longer.weights.h5"), build(spec_of(CHAIN)))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("none.keras", None, "there is no file "),
        (".", None, "is a folder"),
        ("text.keras", "no", "is not a Keras model: it is damaged, or something else"),
        ("text.h5", "no", "is not a Keras model: it is damaged, or something else"),
        ("text.npz", "no", "is not a Keras model: it is damaged, or something else"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path, name, text, message):
    path = tmp_path / name
    if text:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        copy(path, build(spec_of(CHAIN)))
    assert message in str(refused.value)


def test_a_file_that_keras_cannot_load_is_refused(keras, tmp_path):
    whole = saved(chain(keras), tmp_path / "whole.keras").read_bytes()
    (tmp_path / "half.keras").write_bytes(whole.replace(b'"Conv2D"', b'"Conv9D"'))
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    ours = build(spec_of(CHAIN))
    with pytest.raises(UsageError, match=r"half.keras is not a Keras model: the zip is damaged"):
        copy(tmp_path / "half.keras", ours)
    with pytest.raises(UsageError, match="holds neither a Keras model nor a model's weights"):
        copy(tmp_path / "empty.h5", ours)


@pytest.mark.parametrize(
    ("written", "called"),
    [
        ("a.weights.h5", "b.h5"),
        ("old.h5", "b.weights.h5"),
        ("whole.h5", "b.keras"),
        ("whole.keras", "b.h5"),
        ("whole.keras", "b"),
    ],
)
def test_the_first_bytes_tell_the_format_whatever_the_name(keras, tmp_path, written, called):
    theirs = randomized(chain(keras))
    saved(theirs, tmp_path / written).rename(tmp_path / called)
    assert differ(archspec.build(spec_of(CHAIN), weights=tmp_path / called), theirs) < 1e-5


# From keras.applications


@pytest.fixture
def application(keras, monkeypatch, tmp_path):
    """A network of keras.applications called Unit, which has its ImageNet weights in a file."""
    path = tmp_path / "imagenet.weights.h5"

    def make(weights: str | None = "imagenet", input_shape=(6, 6, 2), classes=3) -> Any:
        assert (input_shape, classes) == ((6, 6, 2), 3)
        model = unit(keras)
        if weights is not None:
            if not path.is_file():
                # Keras raises the base class itself.
                raise Exception(f"URL fetch failure on https://keras/{path.name}: None -- no net")  # noqa: TRY002
            model.load_weights(path)
        return model

    monkeypatch.setattr(keras.applications, "Unit", make, raising=False)
    return path


@pytest.mark.parametrize("name", ["unit", "unit_keras"])
def test_imagenet_is_the_network_of_the_same_name(keras, application, name):
    theirs = randomized(unit(keras))
    saved(theirs, application)
    ours = archspec.build(spec_of(UNIT.replace("name: unit", f"name: {name}")), weights="imagenet")
    assert differ(ours, theirs) < 1e-5


def test_imagenet_says_where_its_file_is_missing(application):
    with pytest.raises(UsageError) as refused:
        archspec.build(spec_of(UNIT), weights="imagenet")
    name = application.name
    assert f"models/{name}, and https://keras/{name} cannot be reached (no net)" in str(
        refused.value
    )


def test_imagenet_is_refused_where_keras_has_no_such_network():
    with pytest.raises(UsageError, match=r"keras.applications has no network of that name"):
        archspec.build(spec_of(CHAIN), weights="imagenet")


@pytest.mark.parametrize("name", ["a.weights.h5", "old.h5"])
@pytest.mark.parametrize("last", ["last", "fc1000"])
@pytest.mark.usefixtures("application")
def test_weights_alone_are_known_by_the_names_of_keras_applications(keras, tmp_path, name, last):
    theirs = randomized(unit(keras))
    theirs.get_layer("last").name = last
    path = saved(theirs, tmp_path / name)
    assert differ(archspec.build(spec_of(UNIT), weights=path), theirs) < 1e-5


# The command


def test_build_writes_a_model_with_the_weights(keras, tmp_path):
    spec = tmp_path / "unit.yaml"
    spec.write_text(UNIT, encoding="utf-8")
    theirs = randomized(unit(keras))
    path = saved(theirs, tmp_path / "t.keras")
    done = run("build", spec, "--weights", path, "-o", tmp_path / "o.keras", engine=BACKEND)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        f"copied 199 parameters of 9 layers from {tmp_path / 't.keras'}",
        f"wrote {tmp_path / 'o.keras'}",
    ]
    assert differ(keras.saving.load_model(tmp_path / "o.keras"), theirs) < 1e-5


def test_build_writes_nothing_where_the_weights_are_of_another_network(keras, tmp_path):
    spec = tmp_path / "unit.yaml"
    spec.write_text(UNIT, encoding="utf-8")
    path = saved(chain(keras), tmp_path / "chain.keras")
    done = run(
        "build", spec, "--weights", path, "-o", tmp_path / "o.keras", "--verify", engine=BACKEND
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: the weights of {path} are not those of `unit`: ")
    assert not (tmp_path / "o.keras").exists()


def test_imagenet_without_a_network_says_what_is_missing(tmp_path):
    spec = tmp_path / "mobilenet.yaml"
    spec.write_text(UNIT.replace("name: unit", "name: mobilenet"), encoding="utf-8")
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    command = ["build", spec, "--weights", "imagenet", "--verify"]
    done = run(*command, engine=BACKEND, KERAS_HOME=str(tmp_path), **nowhere)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: the ImageNet weights of MobileNet are not in ")
    assert f"{tmp_path}/models/mobilenet_1_0_224_tf.h5" in last


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["imagenet"], "--weights goes with a model: add -o NAME.keras, or --verify"),
        (["none.keras", "--verify"], "there is no file none.keras"),
    ],
)
def test_a_mistake_in_the_command_is_told_before_the_table(arguments, message):
    done = run("build", "vgg16", "--weights", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
