#!/usr/bin/env bash
# Keras 3.0.5: a model with MultiHeadAttention cannot be saved as .h5.
#
# Expected: `model.save("model.h5")` writes a file, as it does for a model of Dense or LSTM layers.
# Real:     "Unable to synchronously create dataset (name already exists)": the kernels of the four
#           projections are all stored as `kernel` in the layer's group.
# Way out:  the `.keras` format. In Keras 3.15.1 the paths of the arrays are their names, and it works.
#
# Output seen:
#   keras 3.0.5
#   .keras: written
#   .h5: ValueError: Unable to synchronously create dataset (name already exists)
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet keras==3.0.5 packaging==24.2 "jax[cpu]==0.4.30" numpy==1.26.4 h5py==3.14.0 2>/dev/null
cd "$work"
export KERAS_BACKEND=jax
"$work/venv/bin/python" - 2>errors <<'PYTHON' || { cat errors >&2; exit 1; }
import sys

import keras

sequence = keras.Input((5, 4))
attention = keras.layers.MultiHeadAttention(num_heads=2, key_dim=2)
model = keras.Model(sequence, attention(sequence, sequence))
print(f"keras {keras.__version__}")
model.save("model.keras")
print(".keras: written")
try:
    model.save("model.h5")
except ValueError as error:
    print(f".h5: ValueError: {error}")
    sys.exit("name already exists" not in str(error))
sys.exit(".h5: written")
PYTHON
