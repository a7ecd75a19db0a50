#!/usr/bin/env bash
# Keras 3.15.1: `celu` is smooth at 0 with the slope 1; on TensorFlow its gradient there is 2.
#
# There it is max(x, 0) + alpha expm1(min(x, 0) / alpha), and at the tie TensorFlow gives the whole
# gradient to x in both. Behind a layer without a bias a black pixel is exactly 0, so it happens.
#
# Expected: the slope 1 at 0 and close to it, on each backend.
# Seen:     tensorflow [0.9999 2.     1.    ]
#           jax        [0.9999 1.     1.    ]
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet keras==3.15.1 tensorflow==2.21.0 jax==0.10.2 numpy==2.4.6
cat >"$home/slope.py" <<'PYTHON'
import sys

import keras
import numpy as np

points = np.array([-1e-4, 0.0, 1e-4], np.float32)
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    x = tf.constant(points)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = keras.ops.celu(x)
    slopes = tape.gradient(y, x).numpy()
else:
    import jax

    slopes = np.asarray(jax.grad(lambda x: keras.ops.celu(x).sum())(points))
print(f"{keras.backend.backend():10}", slopes)
expected = 2.0 if keras.backend.backend() == "tensorflow" else 1.0
sys.exit(not (slopes[1] == expected and abs(slopes[[0, 2]] - 1).max() < 1e-3))
PYTHON
for backend in tensorflow jax; do
    KERAS_BACKEND=$backend TF_CPP_MIN_LOG_LEVEL=3 "$home/venv/bin/python" "$home/slope.py"
done
