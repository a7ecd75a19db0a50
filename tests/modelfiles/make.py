"""Write `net` and `chain` with the Keras that is installed: python make.py FOLDER VERSION."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

keras = tf.keras
layers = keras.layers


def backbone() -> Any:
    """A model for use as a layer, with branches whose weights have the same shapes."""
    image = keras.Input((6, 6, 2))
    x = layers.Conv2D(3, 3, padding="same", use_bias=False, name="first")(image)
    x = layers.BatchNormalization(scale=False, name="norm1")(x)
    x = layers.ReLU()(x)
    y = layers.SeparableConv2D(3, 3, padding="same", name="separable")(x)
    shortcut = layers.Conv2D(3, 1, name="projection")(x)
    x = layers.Add()([y, shortcut])
    return keras.Model(image, layers.Activation("relu")(x), name="backbone")


def net() -> Any:
    """Models inside a model, constants, and layers of every kind that is stored in its own way."""
    image = keras.Input((6, 6, 2))
    x = layers.Normalization(mean=[0.5, -0.5], variance=[4.0, 0.25])(image)
    top = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            layers.DepthwiseConv2D(3, name="depthwise"),
            layers.BatchNormalization(center=False, name="norm2"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(4, activation="relu", name="hidden"),
            layers.Dropout(0.5),
        ],
        name="top",
    )
    x = top(backbone()(x))
    return keras.Model(image, layers.Dense(3, activation="softmax", name="last")(x), name="all")


def chain() -> Any:
    """Layers one after the other."""
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.SeparableConv2D(3, 3, name="separable"),
            layers.BatchNormalization(scale=False, name="norm"),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(4, name="hidden"),
            layers.ReLU(),
            layers.Dense(3, name="last"),
        ],
        name="chain",
    )


def main(folder: Path, version: str) -> None:
    """Write each network in each format, and its outputs."""
    random = np.random.default_rng(0)
    for function in (net, chain):
        model = function()
        values = []
        for weight in model.weights:
            positive = "variance" in weight.name or "gamma" in weight.name
            draw = random.uniform(0.5, 1.5, weight.shape) if positive else None
            values.append(random.normal(size=weight.shape) if draw is None else draw)
        model.set_weights(values)
        images = random.normal(size=(2, 6, 6, 2)).astype("float32")
        path = folder / f"{function.__name__}-{version}"
        np.savez(f"{path}.npz", images=images, outputs=np.asarray(model(images)))
        model.save(f"{path}.keras")
        model.save(f"{path}.h5")
        model.save_weights(f"{path}.weights.h5")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
