#!/usr/bin/env bash
# Keras 3.15.1: 7 of EfficientNetB0's 5,330,571 parameters are no parameters of EfficientNet: three
# means, three variances, and a counter of how often they were adapted.
#
# `keras.applications.EfficientNetB0` begins with a Normalization layer, which keeps `mean`,
# `variance` and an integer `count` as weights. `count_params()` and `summary()` count all of them,
# so a comparison with another library's EfficientNet is off by 7.
#
# Expected: the kernels, biases and norms alone: 5,330,564 parameters.
# Seen:     EfficientNetB0 5,330,571 parameters
#           mean float32 (3,), variance float32 (3,), count int32 ()
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet keras==3.15.1 jax==0.10.2 numpy==2.4.6
KERAS_BACKEND=jax "$home/venv/bin/python" - <<'PYTHON'
import sys

import keras

model = keras.applications.EfficientNetB0(weights=None)
print(f"EfficientNetB0 {model.count_params():,} parameters")
(layer,) = (each for each in model.layers if isinstance(each, keras.layers.Normalization))
kept = [(weight.name, weight.dtype, tuple(weight.shape)) for weight in layer.weights]
print(", ".join(" ".join(map(str, each)) for each in kept))
rest = model.count_params() - layer.count_params()
right = [("mean", "float32", (3,)), ("variance", "float32", (3,)), ("count", "int32", ())]
sys.exit((model.count_params(), rest, kept) != (5_330_571, 5_330_564, right))
PYTHON
