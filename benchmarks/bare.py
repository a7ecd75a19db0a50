"""What `archspec fit lenet5 --epochs 1` does, as people write it in Keras; `training.py` times it.

It says when its first step is done, and writes nothing.
"""

import keras
import numpy as np
from sklearn.datasets import load_digits

layers = keras.layers


class FirstStep(keras.callbacks.Callback):
    def on_train_batch_end(self, batch: int, logs: object = None) -> None:  # noqa: ARG002
        if batch == 0:
            print("first step", flush=True)


digits = load_digits()
images = keras.ops.image.resize(digits.images[..., np.newaxis].astype("float32"), (32, 32))
images = keras.ops.convert_to_numpy(images)
images = (images - images.mean()) / images.std()
labels = keras.utils.to_categorical(digits.target)
order = np.random.default_rng(0).permutation(len(images))
train, validation, test = np.split(order, [1259, 1438])

model = keras.Sequential(
    [
        keras.Input((32, 32, 1)),
        layers.Conv2D(6, 5, activation="tanh"),
        layers.AveragePooling2D(2),
        layers.Conv2D(16, 5, activation="tanh"),
        layers.AveragePooling2D(2),
        layers.Flatten(),
        layers.Dense(120, activation="tanh"),
        layers.Dense(84, activation="tanh"),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile(
    keras.optimizers.Adam(),
    keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
    metrics=["accuracy"],
)
model.fit(
    images[train],
    labels[train],
    batch_size=32,
    epochs=1,
    validation_data=(images[validation], labels[validation]),
    callbacks=[FirstStep()],
    verbose=0,
)
model.evaluate(images[test], labels[test], verbose=0)
