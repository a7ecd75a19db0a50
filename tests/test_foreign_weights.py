"""Weights from files of other versions of Keras, and of other descriptions of a network."""

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from support.networks import randomized
from support.specs import spec_of

import archspec
from archspec.errors import UsageError
from archspec.imports.inputs import Given
from archspec.imports.keras.calls import NoArrays, input_shapes
from archspec.imports.keras.reader import read_calls
from archspec.imports.keras.variables import variable_names
from archspec.keras_model.build import build
from archspec.keras_model.engine import load_keras
from archspec.keras_model.weights import copy

pytestmark = [pytest.mark.keras, pytest.mark.usefixtures("new_session")]

FILES = Path(__file__).parent / "modelfiles"
OUTPUTS = np.load(FILES / "outputs.npz")

NET = """
name: net
input: [6, 6, 2]
defaults: {batch_norm: {epsilon: 1e-3}}
layers:
  - convolution: {filters: 3, kernel: 3, padding: same, bias: false}
  - batch_norm: {scale: false}
  - activation: relu
  - branches:
      - [separable_conv: {filters: 3, padding: same, bias: true}]
      - [conv: {filters: 3, kernel: 1}]
    merge: add
  - activation: relu
  - depthwise_conv: 3
  - batch_norm: {center: false}
  - max_pool: 2
  HIDDEN
  - softmax
"""

HIDDEN = {
    "fully connected": "- flatten\n  - fc: {units: 4, activation: relu}\n  - fc: 3",
    "convolutions": (
        "- conv: {filters: 4, kernel: 2, activation: relu}\n"
        "  - conv: {filters: 3, kernel: 1}\n"
        "  - flatten"
    ),
}
"""The last layers of `net`, as the files have them and as convolutions."""

CHAIN = """
name: chain
input: [6, 6, 2]
defaults: {batch_norm: {epsilon: 1e-3}}
layers:
  - separable_conv: {filters: 3, bias: true}
  - batch_norm: {scale: false}
  - activation: relu
  - flatten
  - fc: {units: 4, activation: relu}
  - fc: 3
"""


def outputs(model: Any, images: np.ndarray) -> np.ndarray:
    return np.asarray(load_keras().ops.convert_to_numpy(model(images)))


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype("float32")


# Files of other versions


@pytest.mark.parametrize("last", HIDDEN)
@pytest.mark.parametrize(
    ("name", "writer"),
    [
        ("net-2.12.keras", "Keras 2.12.0 on tensorflow"),
        ("net-2.15.keras", "Keras 2.15.0"),
        ("net-2.15.h5", "Keras 2.15.0 on tensorflow"),
        ("net-3.0.5.keras", "Keras 3.0.5"),
    ],
)
def test_a_whole_model_of_another_version_computes_the_same_here(name, writer, last):
    ours = build(spec_of(NET.replace("HIDDEN", HIDDEN[last])))
    copied = copy(FILES / name, ours)
    (note,) = copied.notes
    assert note.startswith("there `normalization")
    assert "computes (x - [0.5, -0.5]) / [2, 0.5], which is not copied" in note
    key = name.rpartition(".")[0]
    images = (OUTPUTS[f"{key}-images"] - np.array([0.5, -0.5])) / np.array([2.0, 0.5])
    assert np.allclose(outputs(ours, images.astype("float32")), OUTPUTS[key], atol=1e-5)
    with pytest.raises(UsageError, match=f"was written by {writer}\nchange the spec where"):
        copy(FILES / name, build(spec_of(CHAIN)))


@pytest.mark.parametrize("version", ["2.15", "3.0.5"])
def test_weights_without_the_names_of_layers_are_told_by_shapes_and_order(version):
    ours = archspec.build(spec_of(CHAIN), weights=FILES / f"chain-{version}.weights.h5")
    found = outputs(ours, OUTPUTS[f"chain-{version}-images"])
    assert np.allclose(found, OUTPUTS[f"chain-{version}"], atol=1e-5)


def test_a_file_is_read_without_being_loaded(keras, monkeypatch):
    for place in (keras.saving, keras.models):
        monkeypatch.setattr(place, "load_model", None)
        monkeypatch.setattr(keras.Model, "load_weights", None)
    for name in ("net-2.12.keras", "net-3.0.5.keras"):
        copied = copy(FILES / name, build(spec_of(NET.replace("HIDDEN", HIDDEN["convolutions"]))))
        assert copied.layers


def without_names(path: Path) -> Path:
    """A file of weights as versions before 3.15 wrote it."""
    with h5py.File(path, "a") as file:
        file.visititems(lambda _, held: held.attrs.pop("name", None) and None)
    return path


def test_layers_side_by_side_with_weights_of_the_same_shapes_are_refused(keras, tmp_path):
    x = keras.Input((6, 6, 2))
    y = keras.layers.SeparableConv2D(2, 3, padding="same")(x)
    y = keras.layers.Add()([y, keras.layers.Conv2D(2, 1)(x)])
    keras.Model(x, y).save_weights(tmp_path / "a.weights.h5")
    spec = """
    name: two
    input: [6, 6, 2]
    layers:
      - branches:
          - [separable_conv: {filters: 2, padding: same}]
          - [conv: {filters: 2, kernel: 1}]
        merge: add
    """
    with pytest.raises(UsageError) as refused:
        copy(without_names(tmp_path / "a.weights.h5"), build(spec_of(spec)))
    first, writer, advice = str(refused.value).splitlines()
    assert first.endswith(
        "holds the weights of 2 layers, not how they are joined, and "
        "`branches1-branch1-separable_conv1-pointwise-convolution` and "
        "`branches1-branch2-conv1-convolution` of `two` have weights of the same shapes: nothing "
        "tells which is which"
    ), first
    assert writer == "it was written by Keras 2.12 or later"
    assert advice.startswith("save the model that they belong to as a whole")


BRANCHES = """
name: branches
input: [6, 6, 2]
layers:
  - {name: stem, conv: {filters: 2, kernel: 1}}
  - {branches: [[conv: {filters: 2, kernel: 3, padding: same}], []], merge: add}
  - {branches: [[conv: {filters: 2, kernel: 1}], [conv: {filters: 2, kernel: 5, padding: same}]], merge: add}
  - global_avg_pool
  - fc: 2
"""  # noqa: E501
"""Layers of the same shapes, but each of these depends on the one before."""


def test_layers_in_branches_are_told_where_there_is_only_one_order(tmp_path):
    theirs = randomized(build(spec_of(BRANCHES)))
    theirs.save_weights(tmp_path / "a.weights.h5")
    ours = archspec.build(spec_of(BRANCHES), weights=without_names(tmp_path / "a.weights.h5"))
    images = noise(2, 6, 6, 2)
    assert np.array_equal(outputs(ours, images), outputs(theirs, images))


# Other descriptions of a network


def test_models_inside_a_model_in_memory_are_taken_apart(keras):
    layers = keras.layers
    inner = keras.Sequential([keras.Input((6, 6, 2)), layers.Conv2D(4, 3), layers.ReLU()])
    x = keras.Input((6, 6, 2))
    y = keras.Sequential([keras.Input((4, 4, 4)), layers.Flatten(), layers.Dense(3)])(inner(x))
    theirs = randomized(keras.Model(x, y))
    spec = "{name: net, input: [6, 6, 2], layers: [{conv: {filters: 4, kernel: 3, activation: relu}}, flatten, {fc: 3}]}"  # noqa: E501
    ours = build(spec_of(spec))
    copied = copy(theirs, ours)
    assert [there for _, there in copied.layers] == [
        f"{inner.name}/{inner.layers[0].name}",
        f"{y._keras_history.operation.name}/{theirs.layers[-1].layers[-1].name}",  # noqa: SLF001
    ]
    images = noise(2, 6, 6, 2)
    assert np.allclose(outputs(ours, images), outputs(theirs, images), atol=1e-5)


@pytest.mark.parametrize("suffix", ["keras", "h5", ""])
def test_a_model_that_is_used_twice_gives_its_weights_to_a_shared_step(keras, tmp_path, suffix):
    inner = randomized(keras.Sequential([keras.Input((6, 6, 2)), keras.layers.Conv2D(2, 1)]))
    x = keras.Input((6, 6, 2))
    theirs = source = keras.Model(x, inner(inner(x)))
    if suffix:
        source = tmp_path / f"a.{suffix}"
        theirs.save(source)
    ours = build(
        spec_of(
            "{name: net, input: [6, 6, 2], layers: "
            "[{convolution: {filters: 2, kernel: 1}, name: a}, {share: a}]}"
        )
    )
    assert copy(source, ours).params == 6
    image = np.random.default_rng(0).random((1, 6, 6, 2), "float32")
    np.testing.assert_allclose(ours(image), theirs(image), atol=1e-6)


def test_a_model_that_is_used_twice_does_not_stand_for_two_steps(keras):
    inner = keras.Sequential([keras.Input((6, 6, 2)), keras.layers.Conv2D(2, 1)])
    x = keras.Input((6, 6, 2))
    ours = build(
        spec_of(
            "{name: net, input: [6, 6, 2], layers: "
            "[{convolution: {filters: 2, kernel: 1}, repeat: 2}]}"
        )
    )
    with pytest.raises(UsageError, match="one layer there stands where several stand here"):
        copy(keras.Model(x, inner(inner(x))), ours)


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5", ""])
def test_fully_connected_layers_slide_over_larger_images_as_convolutions(keras, tmp_path, suffix):
    """The test procedure of VGG's authors. (Simonyan and Zisserman 2014, section 3.2)"""
    layers = keras.layers
    theirs = randomized(
        keras.Sequential(
            [
                keras.Input((6, 6, 2)),
                layers.Conv2D(3, 3),
                layers.MaxPooling2D(2),
                layers.Flatten(),
                layers.Dense(4, activation="relu"),
                layers.Dense(3),
            ]
        )
    )
    spec = """
    name: dense
    input: [SIZE, SIZE, 2]
    layers:
      - conv: {filters: 3, kernel: 3}
      - max_pool: 2
      - conv: {filters: 4, kernel: 2, activation: relu}
      - conv: {filters: 3, kernel: 1}
    """
    source: Any = theirs
    if suffix:
        source = tmp_path / f"a{suffix}"
        (theirs.save if suffix == ".keras" else theirs.save_weights)(source)
    same = archspec.build(spec_of(spec.replace("SIZE", "6")), weights=source)
    images = noise(2, 8, 8, 2)
    corner = images[:, 2:, :6]
    assert np.allclose(outputs(same, corner)[:, 0, 0], outputs(theirs, corner), atol=1e-5)
    if suffix == ".weights.h5":
        return  # without its network a file does not tell how large its images were
    larger = archspec.build(spec_of(spec.replace("SIZE", "8")), weights=source)
    assert np.allclose(outputs(larger, images)[:, 1, 0], outputs(theirs, corner), atol=1e-5)


def test_a_convolution_over_all_that_there_is_becomes_a_fully_connected_layer(keras):
    layers = keras.layers
    convolutions = [layers.Conv2D(4, 6, activation="relu"), layers.Conv2D(3, 1)]
    theirs = randomized(keras.Sequential([keras.Input((6, 6, 2)), *convolutions]))
    spec = "{name: net, input: [6, 6, 2], layers: [flatten, {fc: {units: 4, activation: relu}}, {fc: 3}]}"  # noqa: E501
    ours = archspec.build(spec_of(spec), weights=theirs)
    images = noise(2, 6, 6, 2)
    assert np.allclose(outputs(ours, images), outputs(theirs, images)[:, 0, 0], atol=1e-5)


def test_a_depthwise_convolution_is_one_in_as_many_groups_as_channels(keras):
    depthwise = keras.layers.DepthwiseConv2D(3, depth_multiplier=2)
    theirs = randomized(keras.Sequential([keras.Input((6, 6, 3)), depthwise]))
    spec = (
        "{name: net, input: [6, 6, 3], layers: [{convolution: {filters: 6, kernel: 3, groups: 3}}]}"
    )
    ours = archspec.build(spec_of(spec), weights=theirs)
    images = noise(2, 6, 6, 3)
    assert np.allclose(outputs(ours, images), outputs(theirs, images), atol=1e-5)


def rescaled(keras: Any, *first: Any, channels: int = 1) -> Any:
    """A network that begins with layers that prepare its images, for `RESCALED`."""
    layers = keras.layers
    last = [layers.Conv2D(2, 3), layers.GlobalAveragePooling2D(), layers.Dense(2)]
    return keras.Sequential([keras.Input((4, 4, channels)), *first, *last])


RESCALED = "{name: net, input: [4, 4, 1], layers: [FIRST {conv: 2}, global_avg_pool, {fc: 2}]}"


@pytest.mark.parametrize(
    ("first", "notes"),
    [
        ("{rescale: {scale: 0.5, offset: -1}},", ()),
        (
            "",
            (
                "there `rescaling` computes (x - 2) / 2, which is not copied: begin the spec with "
                "`rescale: {scale: 0.5, offset: -1}`",
            ),
        ),
        (
            "{rescale: 0.1},",
            (
                "there `rescaling` computes (x - 2) / 2, which is not copied: begin the spec with "
                "`rescale: {scale: 0.5, offset: -1}`",
                "here `rescale1` computes (x - 0) / 10, and nothing there does",
            ),
        ),
    ],
)
@pytest.mark.parametrize("in_memory", [True, False])
def test_what_constants_do_to_images_is_said_where_it_differs(
    keras, tmp_path, first, notes, in_memory
):
    theirs = rescaled(keras, keras.layers.Rescaling(0.5, -1, name="rescaling"))
    theirs.save(tmp_path / "a.keras")
    source = theirs if in_memory else tmp_path / "a.keras"
    assert copy(source, build(spec_of(RESCALED.replace("FIRST", first)))).notes == notes


@pytest.mark.parametrize("in_memory", [True, False])
def test_constants_in_a_row_are_one(keras, tmp_path, in_memory):
    layers = keras.layers
    first = layers.Rescaling(1 / 4), layers.Normalization(mean=[0.5, 1], variance=[1, 4])
    theirs = rescaled(keras, *first, channels=2)
    theirs.save(tmp_path / "a.keras")
    source = theirs if in_memory else tmp_path / "a.keras"
    spec = RESCALED.replace("1]", "2]")
    rescale = "rescale: {scale: [0.25, 0.125], offset: [-0.5, -0.5]}"
    assert copy(source, build(spec_of(spec.replace("FIRST", f"{{{rescale}}},")))).notes == ()
    (note,) = copy(source, build(spec_of(spec.replace("FIRST", "")))).notes
    assert "computes (x - [2, 4]) / [4, 8], which is not copied" in note
    assert note.endswith(f"begin the spec with `{rescale}`")


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_a_mean_of_images_that_was_measured_is_no_weight(keras, tmp_path, suffix):
    normalization = keras.layers.Normalization(name="norm")
    normalization.adapt(np.array([1.0, 3.0]).reshape(2, 1, 1, 1))
    theirs = rescaled(keras, normalization)
    (theirs.save if suffix == ".keras" else theirs.save_weights)(tmp_path / f"a{suffix}")
    copied = copy(tmp_path / f"a{suffix}", build(spec_of(RESCALED.replace("FIRST", ""))))
    assert copied.notes == (
        "there `norm` computes (x - 2) / 1, which is not copied: begin the spec with `rescale: "
        "{scale: 1, offset: -2}`",
    )


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5"])
def test_weights_in_bfloat16_are_read(keras, tmp_path, suffix):
    layers = [keras.layers.Flatten(), keras.layers.Dense(2, dtype="bfloat16")]
    theirs = randomized(keras.Sequential([keras.Input((2, 1)), *layers]))
    (theirs.save_weights if suffix == ".weights.h5" else theirs.save)(tmp_path / f"a{suffix}")
    spec = spec_of("{name: net, input: [2, 1], layers: [flatten, {fc: 2}]}")
    ours = archspec.build(spec, weights=tmp_path / f"a{suffix}")
    for mine, other in zip(ours.weights, theirs.weights, strict=True):
        wanted = keras.ops.convert_to_numpy(keras.ops.cast(other, "float32"))
        assert np.array_equal(keras.ops.convert_to_numpy(mine), wanted)


# What is refused


def test_a_layer_that_runs_code_is_refused_and_nothing_of_it_is_run(keras, tmp_path):
    x = keras.Input((6, 6, 2))
    trace = str(tmp_path / "ran")
    y = keras.layers.Lambda(lambda value: (open(trace, "w").close(), value)[1])(x)  # noqa: PTH123
    keras.Model(x, keras.layers.Conv2D(2, 1)(y)).save(tmp_path / "a.keras")
    Path(trace).unlink()
    with pytest.raises(UsageError) as refused:
        copy(tmp_path / "a.keras", build(spec_of(CHAIN)))
    assert not Path(trace).exists()
    lines = str(refused.value).splitlines()
    assert lines[0].endswith(
        "archspec does not know: Lambda (`lambda`): it runs Python code, which archspec never does"
    )
    assert lines[1].startswith("it was written by Keras 3.")
    assert "save_weights" in lines[2]
    assert len(lines) == 3


def test_a_layer_that_only_keras_knows_is_left_to_keras(keras, tmp_path):
    x = keras.Input((6, 6, 2))
    y = keras.layers.Conv2D(2, 3)(x)
    y = keras.ops.expand_dims(keras.ops.squeeze(keras.ops.expand_dims(y, 1), 1), -1)[..., 0]
    theirs = randomized(keras.Model(x, y))
    theirs.save(tmp_path / "a.keras")
    spec = "{name: net, input: [6, 6, 2], layers: [{conv: {filters: 2, kernel: 3}}]}"
    ours = archspec.build(spec_of(spec), weights=tmp_path / "a.keras")
    images = noise(2, 6, 6, 2)
    assert np.array_equal(outputs(ours, images), outputs(theirs, images))


@pytest.mark.parametrize(
    ("what", "old", "new", "message"),
    [
        (
            "a circle",
            b'["first", 0, 0, {}]',
            b'["norm1", 0, 0, {}]',
            "layers that are joined in a circle",
        ),
        ("a class", b'"DepthwiseConv2D"', b'"Own"', "does not know: Own"),
        ("a padding", b'"padding": "same"', b'"padding": "odd"', "Conv2D (`backbone/first`)"),
        (
            "a name",
            b'["first", 0, 0, {}]',
            b'["nobody", 0, 0, {}]',
            "not as Keras writes it ('nobody')",
        ),
        ("less bias", b'"use_bias": true', b'"use_bias": false', "3, and archspec computes kernel"),
        (
            "another order of axes",
            b'"channels_last"',
            b'"channels_first"',
            "arrays of 3x3x2x3, and archspec computes kernel 3x3x6x3",
        ),
    ],
)
def test_a_configuration_that_is_not_keras_s_is_refused_in_a_few_lines(
    tmp_path, what, old, new, message
):
    path = tmp_path / "a.keras"
    with zipfile.ZipFile(FILES / "net-2.15.keras") as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            assert name != "config.json" or old in content, what
            target.writestr(name, content.replace(old, new) if "json" in name else content)
    with pytest.raises(UsageError) as refused:
        copy(path, build(spec_of(NET.replace("HIDDEN", HIDDEN["convolutions"]))))
    assert message in str(refused.value)
    assert len(str(refused.value).splitlines()) <= 5
    assert len(str(refused.value)) < 1_000


def test_a_layer_with_its_channels_first_is_refused(tmp_path, keras):
    first = keras.layers.Conv2D(4, 3, data_format="channels_first")
    keras.Sequential([keras.Input((2, 6, 6)), first]).save(tmp_path / "a.keras")
    with pytest.raises(UsageError, match="has its channels first, archspec has them last"):
        copy(tmp_path / "a.keras", build(spec_of(CHAIN)))


@pytest.mark.parametrize("place", ["layers/conv2d", "layers/conv2d/vars/first", "layers/a/vars"])
def test_weights_in_another_place_are_refused(tmp_path, place):
    with h5py.File(tmp_path / "a.weights.h5", "w") as file:
        file[place] = np.zeros((2, 2))
    with pytest.raises(UsageError) as refused:
        copy(tmp_path / "a.weights.h5", build(spec_of(CHAIN)))
    assert len(str(refused.value).splitlines()) <= 5


# The rules, against Keras's own


def instances(keras: Any) -> dict[str, tuple[Any, tuple[int, ...]]]:
    """Layers of every class that files are read with, and the input of each."""
    layers, own = keras.layers, archspec_layers()
    image, line, cube = (7, 8, 4), (9, 4), (5, 6, 7, 4)
    vector = (6,)
    made = {
        "conv same": (layers.Conv2D(6, 3, strides=2, padding="same"), image),
        "conv dilated": (layers.Conv2D(6, (3, 2), dilation_rate=2, use_bias=False), image),
        "conv groups": (layers.Conv2D(6, 1, groups=2), image),
        "conv 1d": (layers.Conv1D(6, 3, strides=2), line),
        "conv 3d": (layers.Conv3D(6, (1, 2, 3)), cube),
        "transposed": (layers.Conv2DTranspose(6, 3, strides=2), image),
        "transposed same": (layers.Conv2DTranspose(6, 3, strides=2, padding="same"), image),
        "transposed small": (layers.Conv1DTranspose(6, 2, strides=3), line),
        "separable": (layers.SeparableConv2D(6, 3, strides=2, depth_multiplier=2), image),
        "separable 1d": (layers.SeparableConv1D(6, 3, use_bias=False), line),
        "depthwise": (layers.DepthwiseConv2D(3, strides=2, depth_multiplier=2), image),
        "depthwise 1d": (layers.DepthwiseConv1D(3, padding="same"), line),
        "dense": (layers.Dense(5), vector),
        "dense of an image": (layers.Dense(5, use_bias=False), image),
        "batch norm": (layers.BatchNormalization(), image),
        "batch norm without gamma": (layers.BatchNormalization(scale=False), image),
        "batch norm without beta": (layers.BatchNormalization(center=False), image),
        "layer norm": (layers.LayerNormalization(center=False), image),
        "group norm": (layers.GroupNormalization(2), image),
        "unit norm": (layers.UnitNormalization(), image),
        "prelu": (layers.PReLU(shared_axes=[1, 2]), image),
        "max pool": (layers.MaxPooling2D(3, strides=2, padding="same"), image),
        "average pool": (layers.AveragePooling1D(2), line),
        "max pool 3d": (layers.MaxPooling3D((1, 2, 2)), cube),
        "global": (layers.GlobalAveragePooling2D(), image),
        "global kept": (layers.GlobalMaxPooling3D(keepdims=True), cube),
        "zero padding": (layers.ZeroPadding2D(((1, 2), (0, 3))), image),
        "zero padding 1d": (layers.ZeroPadding1D((1, 2)), line),
        "zero padding alike": (layers.ZeroPadding2D((1, 2)), image),
        "cropping": (layers.Cropping2D(((1, 2), (0, 3))), image),
        "cropping 3d": (layers.Cropping3D(1), cube),
        "upsampling": (layers.UpSampling2D((2, 3)), image),
        "upsampling 1d": (layers.UpSampling1D(3), line),
        "flatten": (layers.Flatten(), image),
        "reshape": (layers.Reshape((4, -1, 2)), image),
        "permute": (layers.Permute((2, 3, 1)), image),
        "activation": (layers.Activation("relu"), image),
        "dropout": (layers.SpatialDropout2D(0.5), image),
        "rescaling": (layers.Rescaling(2.0), image),
        "normalization": (layers.Normalization(), image),
        "normalization of constants": (layers.Normalization(mean=1.0, variance=4.0), image),
        "pad": (own.Pad(((1, 2), (0, 1))), image),
        "pad channels": (own.Pad(((0, 0), (0, 0), (0, 3))), image),
        "padded average": (
            own.PaddedAveragePooling((3, 3), (2, 2), ((1, 0), (1, 1)), counted=((0, 0), (0, 0))),
            image,
        ),
        "l2 pool": (own.L2Pooling((2, 2), (2, 2), ((0, 0), (0, 1))), image),
        "local": (own.LocalConv(3, (3, 2), (2, 1), (1, 1)), image),
        "scale": (own.Scale(use_bias=False), image),
        "slice": (own.ChannelSlice(1, 3), image),
        "axis slice": (own.AxisSlice(2, 1, 3), image),
        "roll": (own.Roll((1, -2)), image),
        "channel shuffle": (own.ChannelShuffle(2), image),
        "depth to space": (own.DepthToSpace((2, 1), "places"), image),
        "space to depth": (own.SpaceToDepth((1, 2), "channels"), image),
        "resize": (own.Resize((4, 3), "bilinear"), image),
        "class token": (own.ClassToken(2), line),
        "position embedding": (own.PositionEmbedding(), line),
        "sines": (own.PositionEmbedding("sine"), image),
        "parameter": (own.Parameter((8, 1), "add"), image),
        "parameter alone": (own.Parameter((5, 6), "alone"), image),
        "relative positions": (own.RelativePositionBias((3, 3)), (2, 9, 9)),
        "causal mask": (own.CausalMask(), (2, 9, 9)),
        "lrn": (own.LocalResponseNormalization(5, 1e-4, 0.75, 2.0), image),
        "drop path": (own.BatchDropPath(0.5), image),
    }
    return dict(made)


def archspec_layers() -> Any:
    from archspec.keras_model.layers import Layers

    return Layers()


def shape_read(model: Any) -> tuple[int | None, ...]:
    """The output shape of a model of one layer, from its configuration alone."""
    config = json.loads(model.to_json())
    calls, _ = read_calls(config, NoArrays(), input_shapes(config), Given())
    return calls[-1].shape


FIXED = {
    *("Flatten", "Reshape", "Dense", "Permute", "LocalConv", "SpaceToDepth"),
    *("AxisSlice", "Resize", "Parameter", "PositionEmbedding", "RelativePositionBias"),
    *("CausalMask", "ShiftedWindowMask"),
}
"""Layers whose spatial extents do not follow those of an open input."""


def test_shapes_and_variables_are_those_that_keras_makes(keras):
    for what, (layer, shape) in instances(keras).items():
        kind = type(layer).__name__
        x = keras.Input(shape)
        y = layer(x)
        assert shape_read(keras.Model(x, y)) == tuple(y.shape[1:]), what
        config = keras.saving.serialize_keras_object(layer)["config"]
        names = tuple(weight.name for weight in layer.weights)
        assert variable_names(kind, config) == names, what
        if kind not in FIXED and len(shape) > 1:
            x = keras.Input((*(None for _ in shape[:-1]), shape[-1]))
            y = type(layer).from_config(config)(x)
            assert shape_read(keras.Model(x, y)) == tuple(y.shape[1:]), what


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("Add", [(4, 4, 3), (1, 1, 3)]),
        ("Multiply", [(4, 4, 3), (4, 4, 1)]),
        ("Average", [(4, 3), (4, 3), (4, 3)]),
        ("Concatenate", [(4, 4, 3), (4, 4, 2)]),
        ("MatMul", [(2, 5, 3), (2, 3, 4)]),
    ],
)
def test_merged_shapes_are_those_that_keras_makes(keras, name, shapes):
    layer = getattr(archspec_layers(), name)()
    x = [keras.Input(shape) for shape in shapes]
    y = layer(x)
    assert shape_read(keras.Model(x, y)) == tuple(y.shape[1:])
