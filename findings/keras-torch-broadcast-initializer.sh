#!/usr/bin/env bash
# Keras 3.15.1: weights whose initializer returns a broadcast tensor cannot be trained, assigned or
# loaded on the torch backend.
#
# Expected: an initializer may return any tensor of the shape and dtype that it is asked for, such as
# the same values for each input, made by keras.ops.broadcast_to; on JAX it trains.
# Real: on torch the variable keeps the broadcast view, whose rows share their memory. The model is
# built and predicts; its first step raises, long after the initializer was called:
#
#   jax: built [1.0, 1.0, 1.0]
#   jax: trained to [0.97, 0.97, 0.97]
#   torch: built [1.0, 1.0, 1.0]
#   torch: RuntimeError: unsupported operation: more than one element of the written-to tensor refers
#
# keras.ops.copy around the result mends it.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q keras==3.15.1 torch==2.13.0 jax==0.10.2
cd "$folder"

cat > train.py <<'PYTHON'
import keras
import numpy as np


class Alike(keras.initializers.Initializer):
    """The same values for each input."""

    def __call__(self, shape, dtype=None):
        return keras.ops.broadcast_to(keras.ops.ones((1, shape[1]), dtype), shape)


backend = keras.backend.backend()
layer = keras.layers.Dense(2, kernel_initializer=Alike())
model = keras.Sequential([keras.Input((3,)), layer])


def column():
    return [round(float(value), 4) for value in keras.ops.convert_to_numpy(layer.kernel)[:, 0]]


print(f"{backend}: built {column()}")
model.compile("sgd", "mse")
try:
    model.fit(np.ones((4, 3), "float32"), np.zeros((4, 2), "float32"), verbose=0)
    print(f"{backend}: trained to {column()}")
except RuntimeError as error:
    print(f"{backend}: RuntimeError: {' '.join(str(error).split()[:12])}")
PYTHON

for backend in jax torch; do
    KERAS_BACKEND=$backend "$folder/venv/bin/python" train.py
done > found.txt
cat found.txt

grep -q "^jax: trained" found.txt
grep -q "^torch: RuntimeError: unsupported operation: more than one element" found.txt
