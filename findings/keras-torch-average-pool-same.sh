#!/usr/bin/env bash
# Keras 3.15.1: `same` average pooling repeats the image's edge on torch; on JAX and TensorFlow it
# leaves the padding out of the mean.
#
# They differ wherever the padding is not the same on both sides, as with windows of 3 and a stride of
# 2 on an even extent. There the torch backend pads the input itself, by replicating its edge, and
# then pools what it padded. With equal padding on both sides it agrees with the others.
#
# Expected: the last window holds 3 and 4, whose mean is 3.5, on each backend.
# Seen:     tensorflow 4 values [2.  3.5], 5 values [1.5 3.  4.5]
#           jax        4 values [2.  3.5], 5 values [1.5 3.  4.5]
#           torch      4 values [2.    3.667], 5 values [1.5 3.  4.5]
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet \
    keras==3.15.1 tensorflow==2.21.0 jax==0.10.2 torch==2.13.0 numpy==2.4.6
cat >"$home/pool.py" <<'PYTHON'
import sys

import keras
import numpy as np

backend = keras.backend.backend()


def pooled(count):
    x = np.arange(1, count + 1, dtype=np.float32).reshape(1, 1, count, 1)
    pool = keras.layers.AveragePooling2D((1, 3), strides=(1, 2), padding="same")
    return keras.ops.convert_to_numpy(pool(x)).ravel().round(3)


even, odd = pooled(4), pooled(5)
print(f"{backend:10} 4 values {even}, 5 values {odd}")
last = 3.667 if backend == "torch" else 3.5
sys.exit(not (np.allclose(even, [2, last], atol=1e-3) and np.allclose(odd, [1.5, 3, 4.5])))
PYTHON
for backend in tensorflow jax torch; do
    KERAS_BACKEND=$backend TF_CPP_MIN_LOG_LEVEL=3 "$home/venv/bin/python" "$home/pool.py"
done
