"""Write a Keras 1 model with the Keras that is installed: python make_keras1.py FOLDER."""

# ruff: noqa: PTH118, PTH123, F403, F405  (it runs on Python 3.7, as Keras 1 was written)
import json
import os
import sys

import numpy as np
from keras.layers import *
from keras.models import Model


def old():
    """A network of what Keras 2 calls otherwise."""
    i = Input((8, 8, 3), name="image")
    x = Convolution2D(
        4, 3, 3, border_mode="same", activation="relu", name="first", dim_ordering="tf"
    )(i)
    x = BatchNormalization(axis=3, name="norm")(x)
    y = Convolution2D(4, 1, 1, name="point", bias=False, dim_ordering="tf")(x)
    x = merge([x, y], mode="sum", name="sum")
    x = merge([x, y], mode="concat", concat_axis=3, name="joined")
    x = MaxPooling2D((2, 2), name="pool", dim_ordering="tf")(x)
    x = ZeroPadding2D((1, 1), name="pad", dim_ordering="tf")(x)
    x = AveragePooling2D((2, 2), strides=(1, 1), border_mode="same", name="avg", dim_ordering="tf")(
        x
    )
    x = LeakyReLU(0.125, name="leaky")(x)
    x = Flatten(name="flat")(x)
    x = Dropout(0.25, name="drop")(x)
    x = Dense(3, activation="softmax", name="last")(x)
    return Model(i, x, name="old")


def main(folder):
    """Write the model, and what Keras says of it."""
    model = old()
    random = np.random.RandomState(0)
    model.set_weights([random.uniform(0.5, 1.5, w.shape) for w in model.get_weights()])
    model.save(os.path.join(folder, "old-1.2.2.h5"))
    with open(os.path.join(folder, "old-1.2.2.json"), "w") as file:
        file.write(model.to_json())
    rows = [
        {
            "name": layer.name,
            "class": type(layer).__name__,
            "shape": [int(n) for n in layer.output_shape[1:]],
            "params": int(sum(w.size for w in layer.get_weights())),
            "sums": [float(w.astype("float64").sum()) for w in layer.get_weights()],
        }
        for layer in model.layers[1:]
    ]
    facts = {"old": {"params": int(model.count_params()), "layers": rows}}
    with open(os.path.join(folder, "keras-1.2.2.json"), "w") as file:
        json.dump(facts, file, indent=1, sort_keys=True)


if __name__ == "__main__":
    main(sys.argv[1])
