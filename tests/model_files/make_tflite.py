"""Write the TFLite files of this folder with TensorFlow's converter (tensorflow 2.21, Keras 3.15).

`python tests/model_files/make_tflite.py` writes them anew, and outputs.npz: what TFLite itself
computes of an image. Each is small, and holds one habit of the converter's; kernels are random, so
that equal ones are not merged.
"""

import os
from collections.abc import Callable
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import networks
import numpy as np
import tensorflow as tf
from keras import layers

FOLDER = Path(__file__).parent / "tflite"


def _randomized(model: keras.Model) -> keras.Model:
    """Return a model whose weights are none of them zero."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        low = 0.5 if isinstance(layer, layers.BatchNormalization) else -0.5
        for weight in layer.weights:
            weight.assign(rng.uniform(low, low + 1, weight.shape))
    return model


def _convert(model: keras.Model, **options: object) -> bytes:
    """Return the model as the converter writes it."""
    converter = tf.lite.TFLiteConverter.from_keras_model(_randomized(model))
    for name, value in options.items():
        setattr(converter, name, value)
    return bytes(converter.convert())


def norms() -> bytes:
    """Batch norms and ReLUs, which disappear into convolutions; layers without bias."""
    x = image = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="stem")(x)
    x = layers.BatchNormalization(name="stem_norm")(x)
    x = layers.ReLU(name="stem_relu")(x)
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(x)
    x = layers.SeparableConv2D(12, 3, padding="same", use_bias=False, name="separable")(x)
    x = layers.ReLU(max_value=6, name="relu6")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return _convert(keras.Model(image, layers.Dense(10, "softmax", name="scores")(x)))


def shared() -> bytes:
    """A convolution that is used twice, and axes that change places."""
    image = keras.Input((8, 6, 3))
    share = layers.Conv2D(3, 3, padding="same", name="share")
    x = layers.Permute((2, 1, 3), name="permute")(share(share(image)))
    return _convert(keras.Model(image, layers.Conv2D(4, (1, 2), name="conv")(x)))


def padding() -> bytes:
    """Zero padding before a convolution without it."""
    x = image = keras.Input((16, 16, 3))
    x = layers.ZeroPadding2D(1, name="pad")(x)
    x = layers.Conv2D(8, 3, padding="valid", name="conv")(x)
    x = layers.ZeroPadding2D(((0, 1), (0, 1)), name="pad2")(x)
    x = layers.Conv2D(8, 3, strides=2, padding="valid", name="strided")(x)
    return _convert(keras.Model(image, x))


def _dilated(batch: int | None = None) -> keras.Model:
    x = image = keras.Input((16, 16, 3), batch_size=batch)
    x = layers.Conv2D(8, 3, dilation_rate=2, padding="same", activation="relu", name="same")(x)
    x = layers.Conv2D(8, 3, dilation_rate=(2, 2), padding="valid", name="valid")(x)
    return keras.Model(image, x)


def dilation_open() -> bytes:
    """Dilated convolutions of a model for any batch."""
    return _convert(_dilated())


def dilation_fixed() -> bytes:
    """Dilated convolutions of a model for one image; the file has no shape_signature."""
    return _convert(_dilated(batch=1))


def depthwise() -> bytes:
    """Depthwise convolutions with an activation, as MobileNets have, and with a dilation."""
    x = image = keras.Input((16, 16, 4), batch_size=1)
    x = layers.DepthwiseConv2D(3, padding="same", name="fused")(x)
    x = layers.ReLU(max_value=6, name="relu6")(x)
    x = layers.DepthwiseConv2D(3, dilation_rate=2, activation="relu", name="dilated")(x)
    return _convert(keras.Model(image, x))


def groups() -> bytes:
    x = image = keras.Input((16, 16, 4), batch_size=1)
    return _convert(keras.Model(image, layers.Conv2D(8, 3, groups=2, name="grouped")(x)))


def _small() -> keras.Model:
    x = image = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, activation="relu", name="conv")(x)
    return keras.Model(image, layers.Dense(10, name="scores")(layers.Flatten(name="flatten")(x)))


def float16() -> bytes:
    """Weights of 16 bits, each of which is dequantized before its use."""
    target = tf.lite.TargetSpec()
    target.supported_types = [tf.float16]
    return _convert(_small(), optimizations=[tf.lite.Optimize.DEFAULT], target_spec=target)


def int8() -> bytes:
    """Weights and maps of 8 bits."""
    rng = np.random.default_rng(0)

    def images() -> object:
        for _ in range(4):
            yield [rng.random((1, 16, 16, 3), "float32")]

    return _convert(
        _small(), optimizations=[tf.lite.Optimize.DEFAULT], representative_dataset=images
    )


def sparse() -> bytes:
    """Pruned weights, stored sparsely and made dense by an operator."""
    x = image = keras.Input((16, 16, 16))
    x = layers.Conv2D(64, 1, name="conv")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(64, name="scores")(x))
    for layer in _randomized(model).layers:
        for weight in layer.weights:
            if weight.name == "kernel":
                values = weight.numpy()
                flat = values.reshape(-1, values.shape[-1])
                flat[np.arange(flat.shape[0]) % 8 != 0] = 0
                weight.assign(flat.reshape(values.shape))
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    return bytes(converter.convert())


def residual() -> bytes:
    """Pre-activation, a sum, a concatenation, and ways up again."""
    x = image = keras.Input((16, 16, 8))
    y = layers.BatchNormalization(name="norm")(x)
    y = layers.ReLU(name="relu")(y)
    y = layers.Conv2D(8, 3, padding="same", name="conv")(y)
    x = layers.Add(name="add")([x, y])
    y = layers.MaxPooling2D(2, name="max")(x)
    y = layers.UpSampling2D(2, name="up")(y)
    z = layers.ZeroPadding2D(((1, 1), (0, 2)), name="pad")(x)
    z = layers.Cropping2D(((1, 1), (0, 2)), name="crop")(layers.ReLU(name="padded")(z))
    z = layers.AveragePooling2D(2, name="mean")(z)
    z = layers.Conv2DTranspose(
        4, 3, strides=2, padding="same", activation="sigmoid", name="transposed"
    )(z)
    return _convert(keras.Model(image, layers.Concatenate(name="join")([x, y, z])))


def spelled_out() -> bytes:
    """Norms, attention and functions, which are arithmetic in the file."""
    return _convert(networks.spelled_out())


FILES: dict[str, Callable[[], bytes]] = {
    make.__name__: make
    for make in (
        norms, padding, dilation_open, dilation_fixed, depthwise, groups, float16, int8, sparse,
        residual, shared, spelled_out,
    )
}  # fmt: skip
"""The bytes of each file, by its name."""


def output(content: bytes) -> np.ndarray:
    """Return what TFLite computes of the image that `np.random.default_rng(1)` draws."""
    interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (image,) = interpreter.get_input_details()
    values = np.random.default_rng(1).random(image["shape"], "float32")
    interpreter.set_tensor(image["index"], values)
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    outputs = {}
    for file, make in FILES.items():
        content = make()
        (FOLDER / f"{file}.tflite").write_bytes(content)
        outputs[file] = output(content)
    np.savez_compressed(FOLDER / "outputs.npz", **outputs)
