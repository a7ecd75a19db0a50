#!/usr/bin/env bash
# Keras 3.15.1: a model with `0.5 * x` is saved as .h5, and cannot be loaded from it.
#
# Expected: `load_model` reads the .h5 file that `model.save` wrote a line before, as it reads the
#           .keras file of the same model.
# Real:     the file is read as one of Keras 2, whose calls are given tensors alone: "Only input tensors
#           may be passed as positional arguments. The following argument value should be passed as a
#           keyword argument: 0.5".
# Way out:  the `.keras` format, or a Rescaling layer in place of the operator.
#
# Output seen:
#   keras 3.15.1
#   .keras: loaded
#   .h5: ValueError: Only input tensors may be passed as positional arguments.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet keras==3.15.1 "jax[cpu]==0.7.2" numpy==2.3.5 h5py==3.14.0 2>/dev/null
cd "$work"
export KERAS_BACKEND=jax
"$work/venv/bin/python" - 2>errors <<'PYTHON' || { cat errors >&2; exit 1; }
import sys

import keras

vector = keras.Input((4,))
model = keras.Model(vector, 0.5 * vector)
print(f"keras {keras.__version__}")
model.save("model.keras")
keras.saving.load_model("model.keras")
print(".keras: loaded")
model.save("model.h5")
try:
    keras.saving.load_model("model.h5")
except ValueError as error:
    message = str(error).partition(" The ")[0]
    print(f".h5: ValueError: {message}")
    sys.exit("Only input tensors" not in message)
sys.exit(".h5: loaded")
PYTHON
