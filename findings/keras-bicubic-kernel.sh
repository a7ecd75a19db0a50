#!/usr/bin/env bash
# Keras 3.15.1: `bicubic` is another function on torch than on TensorFlow and JAX.
#
# Cubic interpolation has a free parameter: TensorFlow and JAX take a = -0.5, torch a = -0.75.
# `keras.ops.image.resize` leaves it to the backend, so a network that resizes so gives other values
# on another backend.
#
# Expected: the same values on each backend, within rounding.
# Seen, of a 1 among zeros, twice as large; the values beside it:
#           tensorflow 0.8672  0.2266 -0.0703
#           jax        0.8672  0.2266 -0.0703
#           torch      0.8789  0.2617 -0.1055
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet \
    keras==3.15.1 tensorflow==2.21.0 jax==0.10.2 torch==2.13.0 numpy==2.4.6
cat >"$home/cubic.py" <<'PYTHON'
import sys

import keras
import numpy as np

backend = keras.backend.backend()
x = np.zeros((1, 16, 16, 1), np.float32)
x[0, :, 7] = 1
y = keras.ops.image.resize(x, (16, 32), interpolation="bicubic", data_format="channels_last")
beside = keras.ops.convert_to_numpy(y)[0, 8, 15:18, 0]
print(f"{backend:10}", *(f"{value:7.4f}" for value in beside))


def cubic(distance, a):
    if distance < 1:
        return (a + 2) * distance**3 - (a + 3) * distance**2 + 1
    return a * (distance**3 - 5 * distance**2 + 8 * distance - 4)


a = -0.75 if backend == "torch" else -0.5
expected = [cubic(distance, a) for distance in (0.25, 0.75, 1.25)]
sys.exit(not np.allclose(beside, expected, atol=1e-4))
PYTHON
for backend in tensorflow jax torch; do
    KERAS_BACKEND=$backend TF_CPP_MIN_LOG_LEVEL=3 "$home/venv/bin/python" "$home/cubic.py"
done
