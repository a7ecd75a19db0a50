"""Keras's files of every version as networks, read without Keras."""

import json
import re
import zipfile
from pathlib import Path
from shutil import copy
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from support.random_specs import specs
from support.specs import spec_of

import archspec
from archspec.compile.expand import expand
from archspec.errors import UsageError
from archspec.graph.graph import Graph, Node
from archspec.imports.keras.calls import Call, NoArrays, walk
from archspec.imports.keras.config import Arguments, UnfamiliarError
from archspec.imports.keras.owners import with_owners
from archspec.keras_model.engine import load_keras
from archspec.ops.functions import kind_of

FILES = Path(__file__).parent / "modelfiles"

NET = {
    "backbone/first": (54, "6x6x3"),
    "backbone/norm1": (9, "6x6x3"),
    "backbone/separable/depthwise": (27, "6x6x3"),
    "backbone/separable": (12, "6x6x3"),
    "backbone/projection": (12, "6x6x3"),
    "top/depthwise": (30, "4x4x3"),
    "top/norm2": (9, "4x4x3"),
    "top/hidden": (52, "4"),
    "last": (15, "3"),
}
"""Parameters and output of each layer with weights of the network that every version wrote."""


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("net-2.12.keras", "Keras 2.12.0 HDF5"),
        ("net-2.15.keras", "Keras 2.15.0 .keras"),
        ("net-2.15.h5", "Keras 2.15.0 HDF5"),
        ("net-3.0.5.keras", "Keras 3.0.5 .keras"),
    ],
)
def test_models_inside_a_model_are_layers_with_paths(name, form):
    model = archspec.load(FILES / name)
    assert model.format == form
    weighted = {n.name: (n.layer.params, str(n.shape)) for n in model.graph.nodes if n.layer.params}
    assert weighted == NET
    assert model.params == 220
    assert model.unknown == model.notes == ()
    arrays = model.weights()
    assert {node: sum(map(np.size, each)) for node, each in arrays.items()} == {
        node: params for node, (params, _) in NET.items()
    }
    assert arrays["backbone/first"][0].shape == (3, 3, 2, 3)
    assert (arrays["backbone/norm1"][2] > 0).all()  # the moving variance is the last


# What Keras itself says of each file


MADE = Path(__file__).parent / "model_files" / "keras"

TRUTH = {path.stem.partition("-")[2]: json.loads(path.read_text()) for path in MADE.glob("keras-*")}
"""What each version of Keras says of the models that it wrote, by version and model."""

FLOATS = sorted(
    name
    for name in (path.name for path in MADE.iterdir())
    if name.partition("-")[0] in {"zoo", "chain", "operators", "sequence", "counted", "old"}
    and not name.endswith(".weights.h5")
)
"""Files of networks all of whose layers archspec knows."""


def truth_of(name: str) -> dict[str, Any]:
    net, _, rest = name.partition("-")
    version = max((each for each in TRUTH if rest.startswith(each)), key=len)
    return TRUTH[version][net]


def layer(kind: str, name: str, *sources: Any, **config: Any) -> dict[str, Any]:
    """A layer of a functional model, as Keras 2 describes it."""
    call = {"inbound_nodes": [*sources]}
    return {"class_name": kind, "name": name, "config": {"name": name, **config}, **call}


def parts(model: archspec.ImportedModel, layer: str) -> list[Node]:
    """The nodes that a layer of Keras became."""
    return [n for n in model.graph.nodes if n.name == layer or n.name.startswith(f"{layer}/")]


@pytest.mark.parametrize("name", FLOATS)
def test_each_layer_has_the_output_the_parameters_and_the_arrays_that_keras_says(name):
    model, truth = archspec.load(MADE / name), truth_of(name)
    assert model.unknown == ()
    assert not any("shapes" in note for note in model.notes)
    assert archspec.report(model).totals.params == truth["params"]
    assert model.params == (truth["params"] if model.has_weights else None)
    arrays = model.weights() if model.has_weights else {}
    for layer in truth["layers"]:
        nodes = parts(model, layer["name"])
        assert list(nodes[-1].shape.known) == layer["shape"], layer["name"]
        assert sum(node.layer.params for node in nodes) == layer["params"], layer["name"]
        if model.has_weights:
            sums = [float(np.sum(a)) for node in nodes for a in arrays.get(node.name, ())]
            assert sums == pytest.approx(layer["sums"], rel=1e-4), layer["name"]


@pytest.mark.parametrize("name", FLOATS)
def test_the_arrays_have_the_shapes_of_the_weights(name):
    model = archspec.load(MADE / name)
    arrays = model.weights() if model.has_weights else {}
    for node in model.graph.nodes:
        if node.name in arrays:
            shapes = [weight.shape for weight in node.layer.weights]
            assert [array.shape for array in arrays[node.name]] == shapes


# Traps


@pytest.mark.parametrize("name", [name for name in FLOATS if name.startswith("zoo")])
def test_a_layer_and_a_model_that_are_called_twice_share_their_weights(name):
    nodes = {node.name: node for node in archspec.load(MADE / name).graph.nodes}
    assert nodes["shared@2"].layer.owner == "shared"
    assert nodes["inner@2/point"].layer.owner == "inner/point"
    names = list(nodes)
    assert [names[i] for i in nodes["sum"].inputs] == ["shared", "shared@2"]
    assert [names[i] for i in nodes["inner@2/point"].inputs] == ["inner/inner_norm"]


@pytest.mark.parametrize("name", [name for name in FLOATS if name.startswith("zoo")])
def test_a_slope_has_another_name_in_each_version(name):
    nodes = {node.name: node for node in archspec.load(MADE / name).graph.nodes}
    assert nodes["leaky"].op.function.slope == 0.125


ENDS = {"input_layers": [["x", 0, 0]], "output_layers": [["y", 0, 0]]}
"""The ends of a functional model from `x` to `y`."""


def test_a_relu_with_a_slope_and_a_limit_is_not_shown_without_the_limit(tmp_path):
    x = layer("InputLayer", "x", batch_shape=[None, 8])
    given = ["x", 0, 0, {"alpha": 0.1, "max_value": 6.0}]
    y = layer("TFOpLambda", "y", given, function="keras.activations.relu")
    (unknown,) = archspec.load(config_file(tmp_path, [x, y], **ENDS)).unknown
    assert unknown.reason == "it has a slope below 0 and a limit"


@pytest.mark.parametrize("function", ["add", "divide", "maximum"])
def test_constants_along_the_width_are_not_those_of_channels_that_are_first(tmp_path, function):
    x = layer("InputLayer", "x", batch_shape=[None, 3, 8, 6])
    conv = {"filters": 4, "kernel_size": [3, 3], "data_format": "channels_first"}
    w = layer("Conv2D", "w", [["x", 0, 0, {}]], **conv)
    given = ["w", 0, 0, {"y": [1.0, 2.0, 3.0, 4.0]}]
    y = layer("TFOpLambda", "y", given, function=f"math.{function}")
    (unknown,) = archspec.load(config_file(tmp_path, [x, w, y], **ENDS)).unknown
    assert unknown.reason == "its constants stand along another axis than the channels"


@pytest.mark.parametrize("name", [name for name in FLOATS if name.startswith("operators")])
def test_operators_are_the_same_in_all_versions(name):
    model = archspec.load(MADE / name)
    steps = [(node.op.word, str(node.shape)) for node in model.graph.nodes]
    assert steps[:7] == [
        ("input", "8x8x4"),
        ("convolution", "8x8x4"),
        ("add", "8x8x4"),
        ("rescale", "8x8x4"),
        ("slice", "7x8x4"),
        ("slice", "7x8x3"),
        ("max_pool", "7x4x3"),
    ]
    assert model.graph.nodes[3].op.scale == 0.5


def test_a_sequential_model_without_an_input_layer_has_its_shape_in_the_first_layer():
    model = archspec.load(MADE / "chain-2.2.4.h5")
    assert model.graph.input_text == "9x9x2"
    assert model.graph.nodes[1].name == "block/conv"  # a name of Keras 2 may hold a slash


@pytest.mark.parametrize("form", ["h5", "keras"])
def test_keras_counts_the_factors_of_an_adaptation_which_a_keras_file_has_merged(form):
    model = archspec.load(MADE / f"adapted-3.15.1.{form}")
    assert model.params == 82
    assert archspec.report(model).totals.params == 54
    kernel, bias = model.weights()["adapted"]
    assert (kernel.shape, bias.shape) == ((8, 6), (6,))
    assert "low-rank adaptation (LoRA)" in " ".join(model.notes)


@pytest.mark.parametrize("rank", ["NaN", "Infinity", "-1", "1e9", '"2"'])
def test_a_rank_that_is_not_one_leaves_the_layer_unknown(tmp_path, rank):
    path = tmp_path / "net.keras"
    with zipfile.ZipFile(MADE / "adapted-3.15.1.keras") as source, zipfile.ZipFile(path, "w") as z:
        for name in source.namelist():
            content = source.read(name)
            z.writestr(name, re.sub(rb'(?<="lora_rank": )\d+', rank.encode(), content))
    model = archspec.load(path)
    assert [layer.name for layer in model.unknown] == ["adapted"]
    json.dumps(model.to_dict(), allow_nan=False)


def test_quantized_kernels_are_the_numbers_that_they_stand_for():
    model = archspec.load(MADE / "quantized-3.15.1.keras")
    counts = {layer["name"]: layer["params"] for layer in truth_of("quantized-3.15.1")["layers"]}
    assert model.params == sum(counts.values()) == 3_367
    arrays = model.weights()
    values = {name: np.asarray(arrays[name][0]) for name in counts}
    for name in ("int8", "int4", "grouped"):
        assert values[name].dtype == np.float32
        assert 0.3 < abs(values[name]).max() < 1  # Glorot's limit for 7 or 8 inputs
    assert f"Keras counts the {counts['float8']:,} values" in " ".join(model.notes)


def test_layers_of_a_user_are_unknown_with_their_arrays_and_shapes():
    model = archspec.load(MADE / "custom-3.15.1.keras")
    assert [layer[:2] for layer in model.unknown] == [("twice", "Twice"), ("code", "Lambda")]
    assert "runs Python code" in model.unknown[1].reason
    nodes = {node.name: node for node in model.graph.nodes}
    assert [(weight.shape) for weight in nodes["twice"].layer.weights] == [(3,)]
    assert str(nodes["conv"].shape) == "2x2x2"  # Keras 3 writes the shapes between layers
    assert model.params == 3 + 56
    older = archspec.load(MADE / "custom-2.15.0.h5")  # and this version does not
    assert [layer.name for layer in older.unknown] == ["twice", "code", "conv"]


def test_a_saved_model_has_keras_own_description_beside_its_graph(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"the graph, which is not read")
    (tmp_path / "keras_metadata.pb").write_bytes((MADE / "saved-2.15.0.pb").read_bytes())
    model, truth = archspec.load(tmp_path), truth_of("zoo-2.15.0")
    assert model.format == "Keras 2.15.0 SavedModel"
    assert archspec.report(model).totals.params == truth["params"]
    for layer in truth["layers"]:
        assert list(parts(model, layer["name"])[-1].shape.known) == layer["shape"]
    assert not model.has_weights


def test_a_kernel_in_another_order_of_axes_is_not_taken_for_one(tmp_path):
    path = copy(MADE / "old-1.2.2.h5", tmp_path)
    with h5py.File(path, "a") as file:
        group = file["model_weights/first"]
        name = next(name for name in group.attrs["weight_names"] if b"_W" in name)
        kernel = group[name][()]
        del group[name]
        group[name] = kernel.transpose(3, 2, 0, 1)
    model = archspec.load(path)
    with pytest.raises(UsageError, match=r"its weights cannot be given.* other arrays for first"):
        model.weights()
    assert "Layer first has other weights than its configuration says" in model.notes[0]


def test_a_file_of_weights_alone_is_a_table_of_weights():
    model = archspec.load(MADE / "zoo-3.15.1.weights.h5")
    params = {node.name: node.layer.params for node in model.graph.nodes[1:]}
    assert params["hidden"] == 567
    assert params["inner_norm"] == 12
    assert model.params == truth_of("zoo-3.15.1")["params"]
    assert "holds weights alone" in model.notes[0]


def weights_file(path: Path, **arrays: tuple[int, ...]) -> Path:
    """Write weights as Keras 3 does; `layers__conv__vars__0` is layers/conv/vars/0."""
    with h5py.File(path, "w") as file:
        for name, shape in arrays.items():
            file[name.replace("__", "/")] = np.zeros(shape, "float32")
    return path


def write_keras(path: Path, config: dict[str, Any], weights: Path) -> None:
    """Write a `.keras` file of a configuration and a file of weights."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        archive.write(weights, "model.weights.h5")


def test_the_weights_of_a_class_of_its_own_stand_under_its_attributes(tmp_path):
    """Keras puts them beside `layers`; the optimizer and metrics are not layers."""
    arrays: dict[str, tuple[int, ...]] = {
        "layers__stem__vars__0": (3, 4),
        "blocks__res__conv__vars__0": (4, 4),
        "blocks__res__vars__0": (2,),
        "blocks__res_1__vars__0": (2,),
        "scores__vars__0": (4, 2),
        "vars__0": (),
        "optimizer__vars__0": (100,),
        "loss_tracker__vars__0": (),
    }
    path = weights_file(tmp_path / "net.weights.h5", **arrays)
    model = archspec.load(path)
    params = {node.name: node.layer.params for node in model.graph.nodes[1:]}
    assert params == {"stem_1": 12, "res_2": 2 + 16, "res_3": 2, "scores_4": 8}

    whole = tmp_path / "net.keras"
    write_keras(whole, {"class_name": "Net", "config": {"depth": 2}}, path)
    model = archspec.load(whole)
    assert model.params == 12 + 18 + 2 + 8
    assert model.notes[0].startswith("Net is a class of its own")
    (tmp_path / "net.json").write_text(json.dumps({"class_name": "Net", "config": {"layers": 2}}))
    with pytest.raises(UsageError, match="Net is a class of its own"):
        archspec.load(tmp_path / "net.json")


def test_a_configuration_without_a_class_is_refused_as_damaged(tmp_path):
    weights = weights_file(tmp_path / "net.weights.h5", layers__conv__vars__0=(3, 3, 3, 4))
    path = tmp_path / "net.keras"
    write_keras(path, {"config": {"name": "net"}}, weights)
    with pytest.raises(UsageError, match="its configuration is not that of a network with layers"):
        archspec.load(path)


def test_the_weights_of_a_model_at_each_time_are_counted(tmp_path):
    arrays: dict[str, tuple[int, ...]] = {
        "layers__time_distributed__vars__0": (),
        "layers__time_distributed__layer__layers__conv__vars__0": (3, 3, 3, 4),
    }
    model = archspec.load(weights_file(tmp_path / "net.weights.h5", **arrays))
    assert model.params == 1 + 108


def test_the_state_of_a_cell_is_an_output_of_its_own_without_weights(tmp_path):
    """A recurrent layer that gives its state to another, as in translation."""
    shapes = {"kernel": (3, 16), "recurrent_kernel": (4, 16), "bias": (16,)}
    layers = [
        layer("InputLayer", "words", batch_input_shape=[None, 5, 3]),
        layer("LSTM", "lstm", [["words", 0, 0, {}]], units=4, return_state=True),
    ]
    config = {
        "name": "net",
        "layers": layers,
        "input_layers": [["words", 0, 0]],
        "output_layers": [["lstm", 0, 1], ["lstm", 0, 2]],
    }
    path = tmp_path / "net.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Model", "config": config})
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = ["words", "lstm"]
        group.create_group("words").attrs["weight_names"] = []
        group.create_group("lstm").attrs["weight_names"] = list(shapes)
        for name, shape in shapes.items():
            group["lstm"][name] = np.zeros(shape, "float32")
    model = archspec.load(path)
    params = {node.name: node.layer.params for node in model.graph.nodes}
    assert params == {"words": 0, "lstm": 48 + 64 + 16, "lstm/output2": 0}
    assert [each.name for each in model.unknown] == ["lstm/output2"]  # the state of the cell


def test_long_lists_of_names_are_cut_into_pieces(tmp_path):
    path = copy(MADE / "zoo-2.15.0.h5", tmp_path)
    with h5py.File(path, "a") as file:
        group = file["model_weights"]
        names = list(group.attrs["layer_names"])
        del group.attrs["layer_names"]
        group.attrs["layer_names0"], group.attrs["layer_names1"] = names[:5], names[5:]
    assert archspec.load(path).params == truth_of("zoo-2.15.0")["params"]


def config_file(tmp_path: Path, layers: list[Any], **more: Any) -> Path:
    path = tmp_path / "model.json"
    config = {"name": "net", "layers": layers, **more}
    path.write_text(json.dumps({"class_name": "Sequential", "config": config}), encoding="utf-8")
    return path


def dense(**config: Any) -> dict[str, Any]:
    return {"class_name": "Dense", "config": {"name": "fc", "units": 4, **config}}


def test_a_sequential_model_that_was_called_has_the_shape_of_that_call(tmp_path):
    path = config_file(tmp_path, [dense()], build_input_shape=[32, 8])
    assert archspec.report(archspec.load(path)).totals.params == 36


def test_a_sequential_model_that_was_never_called_has_no_shapes(tmp_path):
    model = archspec.load(config_file(tmp_path, [dense()]))
    assert [(layer.name, layer.reason) for layer in model.unknown] == [
        ("fc", "the shape of its input is not known")
    ]


@pytest.mark.parametrize("inputs", [["x", 0, 0], [["x", 0, 0]], {"x": ["x", 0, 0]}])
def test_inputs_are_named_in_three_ways(tmp_path, inputs):
    layers = [
        layer("InputLayer", "x", batch_input_shape=[None, 8]),
        layer("Dense", "fc", [["x", 0, 0, {}]], units=4),
    ]
    path = config_file(tmp_path, layers, input_layers=inputs, output_layers=[["fc", 0, 0]])
    assert archspec.report(archspec.load(path)).totals.params == 36


def test_channels_that_are_first_are_shown_last(tmp_path):
    conv = {"name": "conv", "filters": 4, "kernel_size": [3, 3], "data_format": "channels_first"}
    layers = [
        {"class_name": "Conv2D", "config": conv | {"batch_input_shape": [None, 3, 8, 6]}},
        {"class_name": "BatchNormalization", "config": {"name": "norm", "axis": [1]}},
        {"class_name": "Flatten", "config": {"name": "flat"}},
    ]
    model = archspec.load(config_file(tmp_path, layers))
    nodes = {node.name: str(node.shape) for node in model.graph.nodes}
    assert nodes["conv"] == nodes["norm"] == "6x4x4"
    assert nodes["flat/permute"] == "4x6x4"  # the output has the order of the file
    assert "channels first" in model.notes[0]
    assert model.notes[1].startswith("flat flattens its maps in another order")
    assert model.input_axes == ((-1, 2, 0, 1),)


@pytest.mark.parametrize("form", ["keras", "h5"])
def test_a_model_at_each_time_is_its_layers_at_each_time(keras, tmp_path, form):
    layers = keras.layers
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")(image)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Add(name="add")([x, layers.DepthwiseConv2D(3, padding="same", name="dw")(x)])
    x = layers.Concatenate(name="join")([x, layers.SeparableConv2D(2, 1, name="sep")(x)])
    x = layers.UpSampling2D(name="up")(layers.MaxPooling2D(name="pool")(x))
    x = layers.Conv2DTranspose(3, 2, strides=2, name="transposed")(x)
    frame = keras.Model(image, layers.Dense(6, name="fc")(layers.Flatten(name="flat")(x)))
    film = keras.Input((5, 8, 8, 3))
    x = layers.TimeDistributed(frame, name="frames")(film)
    model = keras.Model(film, layers.LSTM(4, name="lstm")(x))
    read = assert_computes_the_same(model, tmp_path / f"net.{form}")
    macs = {node.name: node.layer.macs for node in read.graph.nodes}
    assert macs["frames/conv"] == 5 * 8 * 8 * 4 * 27


def test_merges_repeat_what_has_an_extent_of_1(keras, tmp_path):
    """A gate by hand: a vector or a map of one channel, merged with maps of several."""
    layers = keras.layers
    image = keras.Input((6, 5, 3))
    x = layers.Conv2D(4, 3, padding="same")(image)
    gate = layers.Dense(4, activation="sigmoid")(layers.GlobalAveragePooling2D()(x))
    attention = layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x)
    for merge in (layers.Multiply, layers.Add, layers.Subtract, layers.Maximum, layers.Average):
        x = merge()([x, gate])
        x = merge()([x, attention])
        x = merge()([layers.Reshape((1, 1, 4))(gate), x])
    x = layers.Minimum()([x + attention, attention])
    assert_computes_the_same(keras.Model(image, x), tmp_path / "net.keras")


@pytest.mark.parametrize("form", ["keras", "h5"])
def test_a_layer_whose_configuration_is_brief_is_no_operator(keras, tmp_path, form):
    """Keras writes `trainable` for every layer but a few, and for no operator."""
    image = keras.Input((6, 5, 3))
    x = keras.layers.SpatialDropout2D(0.2)(keras.layers.Conv2D(4, 3)(image))
    read = saved(keras.Model(image, x + x), tmp_path / f"net.{form}")
    assert [node.op.kind for node in read.graph.nodes[2:]] == ["spatial_dropout", "add"]


def saved(model: Any, path: Path) -> archspec.ImportedModel:
    """Save a model of Keras's and read the file."""
    model.save(path)
    return archspec.load(path)


def assert_computes_the_same(model: Any, path: Path) -> archspec.ImportedModel:
    """Check that a saved model has no unknown layer, and the outputs that Keras computes."""
    for variable in model.weights:
        variable.assign(np.random.default_rng(1).uniform(0.1, 0.9, variable.shape))
    read = saved(model, path)
    assert read.unknown == ()
    assert read.params == model.count_params()
    given = [np.random.default_rng(0).random((2, *x.shape[1:]), np.float32) for x in model.inputs]
    imported = archspec.import_model(read)
    built = imported.build()
    named = dict(zip(imported.graph.inputs, given, strict=True))
    made = built(named if isinstance(built.input, dict) else given[0])
    ours = [made[name] for name in imported.graph.outputs] if isinstance(made, dict) else [made]
    theirs = model(given if len(given) > 1 else given[0])
    for one, other in zip(ours, theirs if isinstance(theirs, list) else [theirs], strict=True):
        assert np.asarray(one) == pytest.approx(np.asarray(other), abs=1e-5, rel=1e-5)
    return read


@pytest.mark.parametrize("form", ["keras", "h5"])
def test_attention_and_products_of_sequences_compute_the_same(keras, tmp_path, form):
    layers = keras.layers
    a, b = keras.Input((5, 4)), keras.Input((7, 4))
    x, weights = layers.Attention(name="products")([a, b], return_attention_scores=True)
    y = layers.AdditiveAttention(name="sums")([a, b, layers.Dense(4)(b)])
    z = layers.MultiHeadAttention(2, 3)(a, b, return_attention_scores=True)[1]
    rows = layers.Dot(axes=2)([a, b])
    columns = layers.Dot(axes=(1, 1))([rows, a])
    vectors = layers.Dot(axes=1, normalize=True)([layers.Flatten()(x), layers.Flatten()(y)])
    outputs = [layers.ReLU()(each) for each in (x, weights, y, z, columns, vectors)]
    read = assert_computes_the_same(keras.Model([a, b], outputs), tmp_path / f"net.{form}")
    macs = {node.name: node.layer.macs for node in read.graph.nodes}
    assert macs["products/scores"] == macs["products"] == macs["sums/scale"] == 5 * 7 * 4


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_both_directions_are_merged_in_every_way_and_give_their_states(keras, tmp_path, kind):
    layers, make = keras.layers, getattr(keras.layers, kind)
    x = start = keras.Input((6, 3))
    for mode in ("sum", "ave", "mul"):
        x = layers.Bidirectional(make(4, return_sequences=True), merge_mode=mode)(x)
    x, y = layers.Bidirectional(make(4, return_sequences=True), merge_mode=None)(x)
    z, *states = layers.Bidirectional(make(2, return_sequences=True, return_state=True))(y)
    last, state = make(3, return_state=True)(x)[:2]
    sequence, end = make(3, return_sequences=True, return_state=True)(x)[:2]
    forward, backward = states[:: len(states) // 2]
    ends = (z, forward, backward, layers.Add()([last, state]), sequence, end)
    outputs = [layers.Rescaling(2.0)(each) for each in ends]
    assert_computes_the_same(keras.Model(start, outputs), tmp_path / "net.keras")


def test_recurrences_with_other_functions_and_gates_compute_the_same(keras, tmp_path):
    layers = keras.layers
    x = start = keras.Input((6, 3))
    for make in (layers.LSTM, layers.GRU, layers.SimpleRNN):
        x = make(4, activation="relu", return_sequences=True)(x)
    x = layers.LSTM(4, recurrent_activation="hard_sigmoid", return_sequences=True)(x)
    x = layers.GRU(4, reset_after=False, use_bias=False, return_sequences=True)(x)
    x = layers.Bidirectional(layers.GRU(4, reset_after=False))(x)
    assert_computes_the_same(keras.Model(start, x), tmp_path / "net.keras")


@pytest.mark.parametrize("form", ["keras", "h5"])
def test_recurrences_of_cells_are_one_after_another(keras, tmp_path, form):
    """A `.keras` file has the arrays of the cells in the order of their classes."""
    layers = keras.layers
    x = start = keras.Input((6, 3))
    x = layers.RNN([layers.LSTMCell(5), layers.GRUCell(4)], return_sequences=True)(x)
    x = layers.RNN(layers.StackedRNNCells([layers.SimpleRNNCell(2), layers.LSTMCell(4)]))(x)
    assert_computes_the_same(keras.Model(start, x), tmp_path / f"net.{form}")


def test_masks_of_keras_3_are_left_out_with_a_note(keras, tmp_path):
    """Operators that compute nothing else go with them; one that another layer reads stays."""
    layers = keras.layers
    words, values = keras.Input((6,)), keras.Input((6, 3))
    x = layers.Embedding(9, 4, mask_zero=True)(words)
    x = layers.LSTM(4, name="lstm", return_sequences=True)(x)
    y = layers.GRU(4, name="gru")(layers.Masking(name="masking")(values))
    model = keras.Model([words, values], [layers.GlobalAveragePooling1D(name="mean")(x), y])
    read = assert_computes_the_same(model, tmp_path / "net.keras")  # no word is 0, and no value
    kinds = {node.op.kind for node in read.graph.nodes[2:]}
    assert kinds == {"embedding", "activation", "gru", "lstm", "global_avg_pool"}
    notes = " ".join(read.notes)
    assert "3 layers leave out places that a mask names" in notes
    assert all(name in notes for name in ("lstm", "gru", "mean", "masking marks places"))


def test_a_mask_that_is_an_input_makes_a_layer_unknown(keras, tmp_path):
    x, mask = keras.Input((6, 3)), keras.Input((6,), dtype="bool")
    model = keras.Model([x, mask], keras.layers.LSTM(4, name="lstm")(x, mask=mask))
    (unknown,) = saved(model, tmp_path / "net.keras").unknown
    assert (unknown.name, unknown.reason) == ("lstm", "a mask says which places it leaves out")


def test_vectors_of_an_open_number_of_images_are_read(keras, tmp_path):
    layers = keras.layers
    x = film = keras.Input((None, 4, 1))
    for each in (layers.Conv1D(3, 2), layers.MaxPooling1D(2), layers.Flatten()):
        x = layers.TimeDistributed(each)(x)
    y = layers.TimeDistributed(layers.GlobalAveragePooling1D())(film)
    model = keras.Model(film, [layers.LSTM(2, name="lstm")(x), layers.LSTM(2, name="means")(y)])
    read = saved(model, tmp_path / "net.keras")
    assert read.unknown == ()
    (lstm,) = (node for node in read.graph.nodes if node.name == "lstm")
    assert str(lstm.layer.macs) == f"{(3 + 2) * 4 * 2}*height"
    assert sum(node.layer.params for node in read.graph.nodes) == model.count_params()


@pytest.mark.parametrize("form", ["keras", "h5"])
@pytest.mark.parametrize("is_model", [True, False])
@pytest.mark.parametrize("elsewhere", ["at each time", "once", "in a model"])
def test_a_layer_in_two_places_is_counted_once(keras, tmp_path, form, is_model, elsewhere):
    """HDF5 has its arrays in both places, and nothing but their values says that they are one."""
    layers = keras.layers
    inside = keras.Input((4, 4, 2))
    tower = layers.Conv2D(2, 3, padding="same", name="shared")
    if is_model:
        tower = keras.Model(inside, layers.BatchNormalization(name="norm")(tower(inside)))
    film, image = keras.Input((3, 4, 4, 2)), keras.Input((4, 4, 2))
    at_each_time = layers.TimeDistributed(tower)(film)
    if elsewhere == "at each time":
        model = keras.Model(film, [at_each_time, layers.TimeDistributed(tower)(film[:, 1:])])
    elif elsewhere == "once":
        model = keras.Model([film, image], [at_each_time, tower(image)])
    else:
        outer = keras.Model(inside, layers.ReLU()(tower(inside)), name="outer")
        model = keras.Model(image, [outer(image), tower(image)])
    read = assert_computes_the_same(model, tmp_path / f"net.{form}")
    assert archspec.report(read).totals.params == model.count_params()


def test_layers_that_only_look_alike_are_counted_each(keras, tmp_path):
    """Two towers made by one function: equal names and arguments, and values of their own."""
    layers = keras.layers

    def tower(name: str) -> Any:
        x = keras.Input((4,))
        y = layers.BatchNormalization(name="norm")(layers.Dense(4, name="dense")(x))
        return keras.Model(x, y, name=name)

    x = keras.Input((4,))
    model = keras.Model(x, layers.Add()([tower("one")(x), tower("two")(x)]))
    read = saved(model, tmp_path / "net.h5")
    assert read.params == model.count_params() == 2 * (20 + 16)


def test_each_array_is_read_once_however_often_its_layer_stands():
    """Files may have thousands of layers that look alike: comparing each two would take hours."""
    read = []

    class Stored:
        """An array in a file, which notes when it is read."""

        def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
            read.append(self)
            return np.arange(4.0)

    layer = {"class_name": "Dense", "config": {"name": "dense", "units": 2}}
    calls = [
        Call((f"tower{i}", "dense"), (0, 0), layer, [((2, 2), Stored())], [], Arguments((), {}), {})
        for i in range(50)
    ]
    assert {call.owner for call in with_owners(calls)} == {("tower0", "dense")}
    assert len(read) == 50


@pytest.mark.parametrize("is_inner_first", [True, False])
def test_a_model_that_stands_at_two_depths_is_counted_once(keras, tmp_path, is_inner_first):
    """Its arrays are in the file once, in whichever place Keras writes first."""
    x = keras.Input((6,))
    y = keras.layers.Dense(6, name="same")(x)
    inner = keras.Model(x, keras.layers.LayerNormalization()(keras.layers.ReLU()(y)), name="inner")
    middle = keras.Model(x, keras.layers.Dense(6, name="own")(inner(x)), name="middle")
    y = middle(inner(x)) if is_inner_first else inner(middle(x))
    model = keras.Model(x, keras.layers.Dense(2)(y))
    read = assert_computes_the_same(model, tmp_path / "net.keras")
    assert archspec.report(read).totals.params == model.count_params()


def test_only_the_state_after_an_open_length_is_unknown(keras, tmp_path):
    x = keras.Input((None, 3))
    y, state = keras.layers.GRU(4, name="gru", return_sequences=True, return_state=True)(x)
    model = keras.Model(x, [y, state])
    read = saved(model, tmp_path / "net.keras")
    assert [(node.name, str(node.shape)) for node in read.graph.nodes[1:]] == [
        ("gru", "length x 4"),
        ("gru/output1", "?"),
    ]
    assert sum(node.layer.params for node in read.graph.nodes) == model.count_params()


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "more"),
    [
        (3, 2, "same", 1),
        (4, 2, "same", 1),
        (5, 3, "same", 0),
        (1, 2, "same", 1),
        (3, 2, "valid", 1),
        (2, 3, "valid", 1),
        (2, 3, "same", 1),
    ],
)
def test_the_output_padding_of_a_transposed_convolution_is_keras_own(
    keras, tmp_path, kernel, stride, padding, more
):
    image = keras.Input((5, 4, 2))
    op = keras.layers.Conv2DTranspose(3, kernel, stride, padding, output_padding=more)
    assert_computes_the_same(keras.Model(image, op(image)), tmp_path / "net.keras")


def test_a_padding_before_a_transposed_convolution_is_a_layer(tmp_path):
    """Such a convolution cuts off its own padding, so it cannot have that of its input."""
    x = layer("InputLayer", "x", batch_shape=[None, 8, 8, 3])
    pad = layer("ZeroPadding2D", "t-pad", [["x", 0, 0, {}]], padding=[[1, 1], [1, 1]])
    conv = {"filters": 4, "kernel_size": [3, 3], "strides": [2, 2]}
    t = layer("Conv2DTranspose", "t", [["t-pad", 0, 0, {}]], **conv)
    ends = {"input_layers": [["x", 0, 0]], "output_layers": [["t", 0, 0]]}
    graph = archspec.load(config_file(tmp_path, [x, pad, t], **ends)).graph
    assert [str(node.shape) for node in graph.nodes] == ["8x8x3", "10x10x3", "21x21x4"]


@pytest.mark.parametrize("rate", [[0.5, 0.5], [[0.5]]])
def test_a_list_is_no_rate(tmp_path, rate):
    x = layer("InputLayer", "x", batch_shape=[None, 8, 8, 3])
    y = layer("SpatialDropout2D", "y", [["x", 0, 0, {}]], rate=rate)
    ends = {"input_layers": [["x", 0, 0]], "output_layers": [["y", 0, 0]]}
    assert archspec.load(config_file(tmp_path, [x, y], **ends)).unknown


def test_a_function_of_another_package_is_unknown_by_its_reason(tmp_path):
    function = {"class_name": "mylib>Function", "config": {"a": 1}}
    x = layer("InputLayer", "x", batch_shape=[None, 8])
    y = layer("Dense", "y", [["x", 0, 0, {}]], units=4, activation=function)
    ends = {"input_layers": [["x", 0, 0]], "output_layers": [["y", 0, 0]]}
    (unknown,) = archspec.load(config_file(tmp_path, [x, y], **ends)).unknown
    assert unknown.reason == "its function is not one of archspec's"


def test_slopes_and_norms_at_each_time_compute_the_same(keras, tmp_path):
    """The axes of the layer inside are counted without the time."""
    layers = keras.layers
    film = keras.Input((5, 4, 4, 3))
    x = layers.TimeDistributed(layers.PReLU(shared_axes=[1, 2]))(film)
    x = layers.TimeDistributed(layers.UnitNormalization(axis=2))(x)
    x = layers.TimeDistributed(layers.Softmax(axis=1))(x)
    x = layers.TimeDistributed(layers.BatchNormalization(axis=3))(x)
    assert_computes_the_same(keras.Model(film, x), tmp_path / "net.keras")


def test_pools_exchanged_axes_and_places_apart_compute_the_same(keras, tmp_path):
    ops = keras.ops
    image = keras.Input((7, 6, 4))
    x = ops.average_pool(image, (2, 3), strides=2, padding="valid")
    y = ops.swapaxes(ops.max_pool(image, 2, padding="same"), 1, -1)
    first, _, last = ops.unstack(ops.swapaxes(x, 1, 2)[:, :, :3], axis=2)
    assert_computes_the_same(keras.Model(image, [y, first * last]), tmp_path / "net.keras")


def test_the_shapes_of_reductions_and_comparisons_are_known(keras, tmp_path):
    """A `.keras` file has no shape for the last operators."""
    ops = keras.ops
    x = keras.Input((5, 4))
    outputs = [ops.var(x, axis=1), ops.std(x, axis=(-1,), keepdims=True), ops.argmax(x, axis=-1)]
    outputs += [x > 0.5, ops.where(x > 0.5, x, 2 * x), ops.norm(x, axis=2), ops.min(x, axis=(1, 2))]
    model = keras.Model(x, outputs)
    read = saved(model, tmp_path / "net.keras")
    shapes = [read.graph.nodes[index].shape.known for index in read.graph.outputs.values()]
    assert shapes == [y.shape[1:] for y in outputs]


def test_unknown_recurrences_have_their_shape(keras, tmp_path):
    """What comes after them is known; `.h5` files of Keras 2 have no shape for it."""
    layers = keras.layers
    film, pages = keras.Input((5, 8, 8, 3)), keras.Input((4, 6))
    x = layers.ConvLSTM2D(2, 3, strides=2, padding="same", return_sequences=True)(film)
    x = layers.ConvLSTM2D(4, 3, dilation_rate=1)(x)
    vectors = layers.TimeDistributed(layers.Embedding(9, 7, name="words"))(pages)
    y = layers.TimeDistributed(layers.Bidirectional(layers.GRU(3, return_sequences=True)))(vectors)
    model = keras.Model([film, pages], [x, y, layers.LSTM(2, go_backwards=True)(vectors[:, 0])])
    read = saved(model, tmp_path / "net.keras")
    shapes = [read.graph.nodes[index].shape.known for index in read.graph.outputs.values()]
    assert shapes == [y.shape[1:] for y in model.outputs] == [(2, 2, 4), (4, 6, 6), (2,)]
    assert len(read.unknown) == 4
    assert archspec.report(read).totals.params == model.count_params()


def test_all_layers_with_low_rank_adaptations_are_counted_as_keras_does(keras, tmp_path):
    layers = keras.layers
    x = words = keras.Input((6,))
    adapted = [
        layers.Embedding(9, 8),
        layers.Dense(7, use_bias=False),
        layers.EinsumDense("abc,cd->abd", (None, 5), bias_axes="d"),
        layers.Conv1D(4, 3),
    ]
    for layer in adapted:
        x = layer(x)
    model = keras.Model(words, x)
    for layer in adapted:
        layer.enable_lora(2)
    read = saved(model, tmp_path / "net.keras")
    assert read.params == model.count_params()
    assert archspec.report(read).totals.params == 72 + 56 + 35 + 5 + 60 + 4  # the kernels' own


def test_words_at_each_time_compute_the_same(keras, tmp_path):
    pages = keras.Input((4, 6))
    words = keras.layers.TimeDistributed(keras.layers.Embedding(9, 7))(pages)
    assert_computes_the_same(keras.Model(pages, words), tmp_path / "net.keras")


def test_sums_squares_stacks_and_channels_in_the_other_order_compute_the_same(keras, tmp_path):
    ops = keras.ops
    image = keras.Input((4, 6, 3))
    x = ops.sum(ops.square(image[..., ::-1]), axis=(1, 2))
    y = ops.normalize(image, axis=-1) + ops.power(image, 2) + ops.maximum(image, 0.4)
    z = ops.stack([ops.sum(image, axis=1), ops.sum(image, axis=1, keepdims=False)], axis=2)
    assert_computes_the_same(keras.Model(image, [x, y, z]), tmp_path / "net.keras")


@pytest.mark.parametrize("form", ["keras", "h5"])
def test_a_kernel_that_is_normalized_in_training_is_counted_once(keras, tmp_path, form):
    """A `.keras` file stores it twice; Keras's own vector of it is in a note."""
    layers = keras.layers
    image = keras.Input((8, 8, 3))
    x = layers.SpectralNormalization(layers.Conv2D(4, 3, activation="relu"), name="conv")(image)
    x = layers.SpectralNormalization(layers.Dense(2), name="fc")(layers.Flatten()(x))
    read = assert_computes_the_same(keras.Model(image, x), tmp_path / f"net.{form}")
    assert archspec.report(read).totals.params == read.params - 4 - 2
    assert [note.partition(" ")[0] for note in read.notes] == ["conv", "fc"]


def test_a_model_that_is_an_output_and_an_input_is_found_by_both_numbers(keras, tmp_path):
    """Keras 3 counts its calls from 0 where it is read, and from 1 among the outputs."""
    image = keras.Input((8, 8, 3))
    inner = keras.Model(image, keras.layers.Conv2D(3, 3, padding="same")(image), name="inner")
    start = keras.Input((8, 8, 3))
    once = inner(start)
    thrice = inner(inner(once))
    outputs = [once, thrice, keras.layers.ReLU()(once)]
    assert_computes_the_same(keras.Model(start, outputs), tmp_path / "net.keras")


def test_a_layer_of_another_name_in_keras_source_has_its_weights(keras, tmp_path):
    words = keras.Input((6, 8))
    model = keras.Model(words, keras.layers.GroupQueryAttention(4, 4, 2)(words, words))
    read = saved(model, tmp_path / "net.keras")
    assert archspec.report(read).totals.params == model.count_params()


@pytest.mark.keras
def test_a_model_with_its_channels_first_computes_the_same():
    """Keras's own outputs: through Flatten of both orders, PReLU, a gate, a Dense of columns."""
    imported = archspec.import_model(MADE / "first-3.15.1.keras")
    model = imported.build()
    given = np.linspace(0, 1, 2 * 3 * 8 * 6, dtype="float32").reshape(2, 3, 8, 6)
    made = model(given.transpose(0, 2, 3, 1))
    outputs = [np.asarray(made[name]) for name in imported.graph.outputs]
    outputs[2] = outputs[2].transpose(0, 3, 1, 2)
    expected = [np.array(y) for y in truth_of("first-3.15.1")["outputs"]]
    assert all(np.ptp(y) > 0.1 for y in expected)  # they depend on the image
    for ours, theirs in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_means_and_maxima_over_some_axes_compute_the_same(keras, tmp_path):
    """The two maps of spatial attention, a mean of columns, and the product that is repeated."""
    ops = keras.ops
    x = keras.Input((4, 3, 2))
    maps = ops.concatenate([ops.mean(x, -1, keepdims=True), ops.max(x, -1, keepdims=True)], -1)
    gate = keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid")(maps)
    y = ops.mean(x * gate, axis=1)  # of the rows
    model = keras.Model(x, [y, ops.max(x, axis=2, keepdims=True), ops.mean(x, axis=3)])
    model.save(tmp_path / "model.keras")
    imported = archspec.import_model(tmp_path / "model.keras")
    assert not imported.model.unknown
    image = np.random.default_rng(0).normal(size=(2, 4, 3, 2)).astype("float32")
    made = imported.build()(image)
    for name, expected in zip(imported.graph.outputs, model(image), strict=True):
        np.testing.assert_allclose(
            np.squeeze(np.asarray(made[name])), np.squeeze(np.asarray(expected)), atol=1e-6
        )


def test_kernels_of_theano_are_refused(tmp_path):
    path = copy(MADE / "old-1.2.2.h5", tmp_path)
    with h5py.File(path, "a") as file:
        config = file.attrs["model_config"]
        file.attrs["model_config"] = config.replace('"dim_ordering": "tf"', '"dim_ordering": "th"')
    with pytest.raises(UsageError, match="has its axes in Theano's order"):
        archspec.load(path).weights()


def test_a_model_called_in_itself_again_and_again_is_refused(tmp_path):
    layer: dict[str, Any] = {"class_name": "InputLayer", "config": {"name": "x"}}
    for depth in range(30):  # twice in each: 2**30 calls
        name = f"m{depth}"
        inner = {"class_name": "Sequential", "name": name, "config": {"name": name}}
        layer = inner | {"config": {"name": name, "layers": [layer, layer]}}
    layer["config"]["build_input_shape"] = [None, 8]
    path = tmp_path / "model.json"
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(UnfamiliarError, match="more than 100,000 calls"):
        walk(layer, NoArrays(), ["x"])


def test_yaml_makes_no_object_of_python(tmp_path):
    path = tmp_path / "model.yaml"
    path.write_text(
        "backend: tensorflow\nclass_name: Sequential\nconfig:\n- class_name: Dense\n  config:\n"
        "    batch_input_shape: !!python/tuple [null, 8]\n    name: fc\n    units: 4\n"
        "    activation: !!python/object/apply:os.system [exit]\n",
        encoding="utf-8",
    )
    model = archspec.load(path)
    assert [layer.type for layer in model.unknown] == ["Dense"]


# What archspec itself makes


def described(graph: Graph) -> list[tuple[Any, ...]]:
    """What a file of Keras's says of each node: its op's kind, shape, weights, costs and inputs.

    Keras lists layers in another order, so an input is what is said of that node. It has one layer
    for what some ops have in common: softmax is an activation too, an instance norm is a group
    norm, and dropout of whole examples drops all values of a vector.
    """
    alike = {"instance_norm": "group_norm", "spatial_dropout": "dropout", "drop_path": "dropout"}
    seen: dict[int, tuple[Any, ...]] = {}
    for node in graph.nodes:
        kind = kind_of(node.op) if node.op.kind else "input"
        layer = node.layer
        seen[node.index] = (
            alike.get(kind, kind),
            str(node.shape),
            str([weight.shape for weight in layer.used]),
            str((node.op.frozen, layer.macs)),
            hash(tuple(seen[index] for index in node.inputs)),
        )
    return sorted(seen.values())


def read_back(spec: Any, path: Path) -> archspec.ImportedModel:
    path.write_text(archspec.build(spec).to_json(), encoding="utf-8")
    return archspec.load(path)


QUOTIENTS = """\
name: fusion
input: [8, 8, 4]
blocks:
  fuse:
    about: A weighted sum, its weights at least 0 and divided by their sum (EfficientDet).
    inputs: [a, b]
    layers:
      - {name: weights, parameter: {shape: [1, 1, 2], use: alone, initial: 1}}
      - {name: positive, activation: relu}
      - {name: first, slice: {stop: 1}}
      - {name: second, from: positive, slice: {start: 1}}
      - add: first
      - {name: sum, rescale: {scale: 1, offset: 0.0001}}
      - {name: x, multiply: [a, first]}
      - {name: y, multiply: [b, second]}
      - add: x
      - divide: sum
layers:
  - {name: wide, conv: {filters: 4, padding: same}}
  - {name: fused, fuse: {}, from: [input, wide]}
  - min: wide
"""


@pytest.mark.keras
def test_quotients_and_minima_are_read_back(tmp_path):
    spec = spec_of(QUOTIENTS)
    model = read_back(spec, tmp_path / "model.json")
    assert model.notes == model.unknown == ()
    assert {"divide", "min"} < {kind_of(node.op) for node in model.graph.nodes[1:]}
    assert described(model.graph) == described(expand(spec))


@pytest.mark.keras
@pytest.mark.parametrize("function", ["celu: {alpha: 0.5}", "elu: {alpha: 0.5}"])
def test_a_recurrence_keeps_the_arguments_of_its_activation(function, tmp_path):
    spec = spec_of(
        f"name: net\ninput: [4, 2]\nlayers: [rnn: {{units: 3, activation: {{{function}}}}}]"
    )
    model = read_back(spec, tmp_path / "model.json")
    assert model.unknown == ()
    assert [node.op for node in model.graph.nodes] == [node.op for node in expand(spec).nodes]


@pytest.mark.keras
@pytest.mark.parametrize("name", ["squeezenet", "zfnet", "wavenet", "cifar_resnet", "crnn"])
def test_a_network_of_archspec_is_read_back_as_it_was(name, tmp_path):
    model = read_back(name, tmp_path / "model.json")
    assert model.notes == model.unknown == ()
    assert described(model.graph) == described(expand(archspec.load(name)))


@pytest.mark.keras
@pytest.mark.slow
@given(data=specs())
@settings(max_examples=25, suppress_health_check=list(HealthCheck), deadline=None)
def test_any_spec_is_read_back_as_it_was(tmp_path_factory, data):
    spec = spec_of(json.dumps(data))
    model = read_back(spec, tmp_path_factory.mktemp("read") / "model.json")
    load_keras().utils.clear_session(free_memory=False)
    assert model.unknown == ()
    assert described(model.graph) == described(expand(spec))
