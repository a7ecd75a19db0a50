"""Write Keras models with the Keras that is installed: python make_keras.py FOLDER.

Beside the files it writes what Keras itself says of each: `keras-VERSION.json` has the parameters,
each layer's output shape and number of weights, and the sum of each array. It runs on every
version from Keras 1.2 to 3.15 (see README.md).
"""

# ruff: noqa: SLF001, PTH118, PTH123, UP031, I001  (it runs on Python 3.7 too)
import json
import os
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np

import keras

VERSION = keras.__version__
if VERSION.startswith(("2.12", "2.15")):
    from tensorflow import keras

MAJOR = int(VERSION.split(".")[0])
MODERN = MAJOR > 2 or tuple(map(int, VERSION.split(".")[:2])) >= (2, 12)
layers = keras.layers
Model, Sequential = keras.models.Model, keras.models.Sequential


def zoo():
    """A network with models inside, which are called twice, and a layer that is called twice."""
    image = layers.Input((8, 8, 3), name="image")
    axis = 3 if MAJOR < 3 else -1
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(image)
    x = layers.BatchNormalization(axis=axis, name="norm")(x)
    first = x = layers.LeakyReLU(0.125, name="leaky")(x)
    inside = layers.Input((8, 8, 4), name="inside")
    y = layers.Conv2D(4, 1, use_bias=False, name="point")(inside)
    y = layers.BatchNormalization(scale=False, name="inner_norm")(y)
    inner = Model(inside, y, name="inner")
    once = inner(x)
    twice = inner(once)
    shared = layers.Conv2D(4, 3, padding="same", name="shared")
    x = layers.add([shared(once), shared(twice)], name="sum")
    x = layers.concatenate([x, first], name="joined")
    x = layers.SeparableConv2D(6, 3, strides=2, padding="same", name="separable")(x)
    x = layers.Conv2DTranspose(5, 2, strides=2, name="up")(x)
    x = layers.ZeroPadding2D(((1, 0), (0, 1)), name="pad")(x)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Dropout(0.25, name="drop")(x)
    top = Sequential(name="top")
    top.add(layers.Flatten(input_shape=(4, 4, 5), name="flat"))
    top.add(layers.Dense(7, activation="relu", name="hidden"))
    x = top(x)
    return Model(image, layers.Dense(3, activation="softmax", name="last")(x), name="zoo")


def chain():
    """A sequential model; before Keras 3 it has no input layer."""
    model = Sequential(name="chain")
    conv = layers.Conv2D(4, 3, strides=2, name="block/conv" if MAJOR < 3 else "conv")
    if MAJOR < 3:
        conv = layers.Conv2D(4, 3, strides=2, name="block/conv", input_shape=(9, 9, 2))
    else:
        model.add(layers.Input((9, 9, 2)))
    model.add(conv)
    model.add(layers.ELU(0.5, name="elu"))
    model.add(layers.AveragePooling2D(2, name="pool"))
    model.add(layers.Flatten(name="flat"))
    model.add(layers.Dense(3, name="last"))
    return model


def operators():
    """Tensors that are added, scaled and cut by Python's operators."""
    image = layers.Input((8, 8, 4), name="image")
    x = layers.Conv2D(4, 3, padding="same", name="conv")(image)
    x = x + image
    x = 0.5 * x
    x = x[:, 1:, ::2, :3]
    x = keras.activations.relu(x)
    return Model(image, layers.Dense(2, name="last")(x), name="operators")


def sequence():
    """Recurrent layers, alone and both ways, and a layer at each time."""
    words = layers.Input((6, 3), name="words")
    x = layers.LSTM(4, return_sequences=True, name="lstm")(words)
    x = layers.Bidirectional(layers.GRU(3, return_sequences=True), name="both")(x)
    x = layers.TimeDistributed(layers.Dense(5, activation="tanh"), name="each")(x)
    x = layers.LayerNormalization(name="norm")(x)
    x = layers.MultiHeadAttention(2, 3, name="attention")(x, x)
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    return Model(words, layers.Dense(2, name="last")(x), name="sequence")


def counted():
    """A Normalization, whose mean, variance and count are weights; constants as arrays."""
    image = layers.Input((4, 4, 3), name="image")
    normalization = layers.Normalization(name="normalization")
    x = normalization(image)
    normalization.adapt(np.arange(96, dtype="float32").reshape(2, 4, 4, 3))
    x = layers.Rescaling(np.float32(0.5), offset=np.float32(1), name="rescale")(x)
    x = layers.Flatten(name="flat")(x)
    return Model(image, layers.Dense(2, name="last")(x), name="counted")


def custom():
    """A layer of the user's own, and one of code."""

    class Twice(layers.Layer):
        def build(self, shape):
            self.factor = self.add_weight(name="factor", shape=(shape[-1],))

        def call(self, x):
            return x * self.factor

    image = layers.Input((4, 4, 3), name="image")
    x = Twice(name="twice")(image)
    x = layers.Lambda(lambda x: x + 1, output_shape=(4, 4, 3), name="code")(x)
    x = layers.Conv2D(2, 3, name="conv")(x)
    return Model(image, x, name="custom")


def quantized():
    """Dense layers of eight and four bits, and of float8."""
    model = Sequential([layers.Input((8,))])
    for name in ("int8", "int4", "grouped", "float8", "plain"):
        model.add(layers.Dense(5 if name == "plain" else 7, name=name))
    return model


def adapted():
    """A dense layer with a low-rank adaptation."""
    model = Sequential([layers.Input((8,)), layers.Dense(6, name="adapted")])
    model.layers[-1].enable_lora(2)
    return model


def first():
    """Channels that are first: flattened in both ways, gated, permuted, read along the width."""
    order = {"data_format": "channels_first"}
    image = layers.Input((3, 8, 6), name="image")
    x = layers.Conv2D(4, 3, name="conv", **order)(image)
    x = layers.BatchNormalization(axis=1, name="norm")(x)
    x = layers.PReLU(name="prelu")(x)
    gate = layers.GlobalAveragePooling2D(name="pool", **order)(x)
    gate = layers.Reshape((4, 1, 1), name="gate")(gate)
    gate = layers.Conv2D(4, 1, activation="sigmoid", name="gated", **order)(gate)
    x = layers.Multiply(name="scaled")([x, gate])
    y = layers.Flatten(name="flat")(x)  # its rows are channels first
    y = layers.BatchNormalization(name="flat_norm")(y)
    y = layers.Dropout(0.5, name="drop")(y)
    y = layers.Dense(5, activation="tanh", name="hidden")(y)
    z = layers.Flatten(name="flat_last", **order)(x)  # and of this one channels last
    z = layers.Dense(5, name="hidden_last")(z)
    w = layers.Dense(3, name="columns")(x)  # along the width
    w = layers.Permute((2, 3, 1), name="permuted")(w)
    w = layers.Reshape((18, 4), name="sequence")(w)
    w = layers.GRU(5, name="gru")(w)
    v = layers.Dense(24, name="seed")(gate[:, :, 0, 0])
    v = layers.Reshape((2, 4, 3), name="maps")(v)
    v = layers.Conv2D(5, (4, 3), name="last_conv", **order)(v)
    v = layers.Flatten(name="ones")(v)
    x = layers.Add(name="sum")([y, z, w, v])
    u = layers.Conv2D(2, 3, name="head", **order)(layers.Permute((2, 1, 3), name="turned")(image))
    ends = [layers.Dense(3, name="last")(x), layers.Flatten(name="end")(u)]
    return Model(image, [*ends, u], name="first")


def outputs(model):
    """Return what a model of one input makes of numbers that grow from 0 to 1."""
    shape = (2, *model.inputs[0].shape[1:])
    given = np.linspace(0, 1, int(np.prod(shape)), dtype="float32").reshape(shape)
    return [np.asarray(each).tolist() for each in model(given)]


def rows(model, path=""):
    """Yield each layer's path, output shape, number of weights and the sums of its arrays."""
    for layer in model.layers:
        name = path + layer.name
        if type(layer).__name__ == "InputLayer":
            continue
        if hasattr(layer, "layers"):
            yield from rows(layer, name + "/")
            continue
        try:
            shape = layer.output_shape if MAJOR < 3 else layer.output.shape
        except (AttributeError, ValueError, RuntimeError):
            shape = (
                layer.get_output_shape_at(0)
                if MAJOR < 3
                else layer._inbound_nodes[0].outputs[0].shape
            )
        while shape and isinstance(shape[0], (list, tuple)):
            shape = shape[0]
        arrays = [
            np.asarray(w) for w in (layer.get_weights() if hasattr(layer, "get_weights") else [])
        ]
        yield {
            "name": name,
            "class": type(layer).__name__,
            "shape": [None if n is None else int(n) for n in shape[1:]],
            "params": sum(int(a.size) for a in arrays),
            "sums": [float(np.sum(a.astype("float64"))) for a in arrays],
        }


def randomized(model, low=0.5, high=1.5):
    """Give every array other numbers, so that arrays that are mixed up show."""
    random = np.random.RandomState(0)
    arrays = [random.uniform(low, high, np.shape(w)) for w in model.get_weights()]
    # A variance, which begins as ones, is above 0.
    pairs = zip(arrays, model.get_weights())  # noqa: B905
    model.set_weights([np.abs(a) + 0.1 * (low < 0) if np.all(w == 1) else a for a, w in pairs])
    return model


def save(model, folder, name, facts, formats):
    """Write a model in some formats, and keep what Keras says of it."""
    short = ".".join(VERSION.split(".")[:3]).split("-")[0]
    facts[name] = {"params": int(model.count_params()), "layers": list(rows(model))}
    for suffix in formats:
        path = os.path.join(folder, "%s-%s%s" % (name, short, suffix))
        if suffix == ".json":
            text = model.to_json()
        elif suffix == ".yaml":
            text = model.to_yaml()
        else:
            options = (
                {"save_format": "keras_v3"}
                if VERSION.startswith("2.12") and suffix == ".keras"
                else {}
            )
            if suffix == ".weights.h5":
                model.save_weights(path)
            else:
                model.save(path, **options)
            continue
        with open(path, "w") as file:
            file.write(text)


def main(folder):
    """Write all models that this version of Keras can make."""
    facts = {}
    zip_too = [".keras"] if MODERN else []
    text = [".json", ".yaml"] if not MODERN else []
    save(randomized(zoo()), folder, "zoo", facts, [".h5", *zip_too, *text])
    save(randomized(chain()), folder, "chain", facts, [".h5", *zip_too])
    if MODERN:
        save(randomized(operators()), folder, "operators", facts, [".h5", ".keras"])
        # Keras 3.0.5 gives arrays of `sequence` in HDF5 the same names, and fails.
        forms = [".keras"] if VERSION.startswith("3.0") else [".h5", ".keras"]
        save(randomized(sequence()), folder, "sequence", facts, forms)
        save(counted(), folder, "counted", facts, [".keras"])
        save(custom(), folder, "custom", facts, [".keras" if MAJOR > 2 else ".h5"])
    if VERSION.startswith("2.15"):
        saved = os.path.join(folder, "saved-2.15.0")  # of which keras_metadata.pb is kept
        randomized(zoo()).save(saved, save_format="tf")
    if VERSION.startswith("3.15"):
        save(randomized(zoo()), folder, "zoo", facts, [".weights.h5"])
        model = quantized()
        for name in ("int8", "int4", "float8"):
            model.get_layer(name).quantize(name)
        model.get_layer("grouped").quantize(
            "int4", config=keras.quantizers.Int4QuantizationConfig(block_size=4)
        )
        save(model, folder, "quantized", facts, [".keras"])
        model = randomized(first(), -0.5, 0.5)
        save(model, folder, "first", facts, [".keras"])
        facts["first"]["outputs"] = outputs(model)
        save(adapted(), folder, "adapted", facts, [".h5", ".keras"])
    name = "keras-%s.json" % VERSION.split("-")[0]
    with open(os.path.join(folder, name), "w") as file:
        json.dump(facts, file, indent=1, sort_keys=True)


if __name__ == "__main__":
    main(sys.argv[1])
