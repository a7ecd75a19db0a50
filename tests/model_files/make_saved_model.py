"""Write the SavedModels of this folder (tensorflow 2.21, Keras 3.15), without their checkpoints.

`python tests/model_files/make_saved_model.py` writes them anew.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import networks
import tensorflow as tf
from keras import layers

FOLDER = Path(__file__).parent / "saved_model"


def keras_export(folder: Path) -> None:
    """Layers that Keras writes as several operators each."""
    x = image = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, trainable=False, name="conv")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU(name="relu")(x)
    y = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    y = layers.BatchNormalization(scale=False, name="unscaled")(y)
    x = layers.Add(name="add")([x, y])
    y = layers.Conv2D(8, 3, dilation_rate=2, padding="same", activation="relu", name="dilated")(x)
    y = layers.MaxPooling2D(2, name="pool")(y)
    y = layers.UpSampling2D(2, name="up")(y)
    x = layers.Concatenate(name="join")([x, y])
    x = layers.SeparableConv2D(8, 3, strides=2, name="separable")(x)
    x = layers.Conv2DTranspose(4, 3, strides=2, name="transposed")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(0.5, name="dropout")(x)
    x = layers.Dense(10, "softmax", name="scores")(x)
    keras.Model(image, x).export(folder, verbose=False)


def shared(folder: Path) -> None:
    """A sequence, which goes twice through one convolution, and through Dense at each place."""
    sequence = keras.Input((12, 5), name="sequence")
    share = layers.Conv1D(5, 3, padding="same", activation="relu", name="share")
    x = share(share(sequence))
    x = layers.Conv1D(6, 4, strides=2, dilation_rate=1, name="strided")(x)
    x = layers.MaxPooling1D(2, name="pool")(x)
    x = layers.Dense(7, name="dense")(x)
    x = layers.Permute((2, 1), name="permute")(x)
    x = layers.Reshape((7, 2, 1), name="reshape")(x)
    x = layers.Dense(4, name="squeeze")(x)
    keras.Model(sequence, layers.Flatten(name="flatten")(x)).export(folder, verbose=False)


def recurrent(folder: Path) -> None:
    """A recurrence, which is a loop in the graph."""
    sequence = keras.Input((12, 5), name="sequence")
    x = layers.GRU(4, name="recurrence")(sequence)
    keras.Model(sequence, layers.Dense(3, name="scores")(x)).export(folder, verbose=False)


def spelled_out(folder: Path) -> None:
    """Norms, attention and functions, which are arithmetic in the graph."""
    networks.spelled_out().export(folder, verbose=False)


class _Module(tf.Module):
    """A network that is written without Keras, with a function that calls another."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = tf.Variable(tf.ones((3, 3, 3, 8)), name="kernel")
        self.bias = tf.Variable(tf.ones(8), name="bias")
        self.gamma = tf.Variable(tf.ones(8), name="gamma")
        self.beta = tf.Variable(tf.ones(8), name="beta")
        self.mean = tf.Variable(tf.zeros(8), name="mean", trainable=False)
        self.variance = tf.Variable(tf.ones(8), name="variance", trainable=False)
        self.matrix = tf.Variable(tf.ones((8, 5)), name="matrix")

    @tf.function
    def features(self, x: tf.Tensor) -> tf.Tensor:
        x = tf.nn.conv2d(x, self.kernel, 2, [[0, 0], [1, 1], [1, 1], [0, 0]]) + self.bias
        x, *_ = tf.compat.v1.nn.fused_batch_norm(
            x, self.gamma, self.beta, self.mean, self.variance, 1e-4, is_training=False
        )
        return tf.nn.leaky_relu(x, 0.1)

    def call(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        x = self.features(image / 127.5 - 1)
        return {"scores": tf.matmul(tf.reduce_mean(x, [1, 2]), self.matrix)}


def module(folder: Path) -> None:
    """A signature of any size of image, which no Keras model was behind."""
    model = _Module()
    spec = tf.TensorSpec((None, None, None, 3), tf.float32, name="image")
    call = tf.function(model.call).get_concrete_function(spec)
    tf.saved_model.save(model, str(folder), signatures=call)


FILES: dict[str, Callable[[Path], None]] = {
    make.__name__: make for make in (keras_export, module, recurrent, shared, spelled_out)
}
"""The writer of each model, by its name."""

if __name__ == "__main__":
    for name, make in FILES.items():
        with tempfile.TemporaryDirectory() as scratch:
            make(Path(scratch) / name)
            (FOLDER / name).mkdir(parents=True, exist_ok=True)
            shutil.copy(Path(scratch) / name / "saved_model.pb", FOLDER / name)
