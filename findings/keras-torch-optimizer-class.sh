#!/usr/bin/env bash
# Keras 3.15.1: a .keras file of a model that was compiled on the torch backend names a class of
# that backend for its optimizer, so another backend cannot load it without compile=False.
#
# Expected: a .keras file loads on every backend, as one that was compiled on JAX does.
# Real: config.json names keras.src.backend.torch.optimizers.torch_adam, which JAX's Keras cannot
# import where torch is not installed:
#
#   written on torch: keras.src.backend.torch.optimizers.torch_adam.Adam
#   written on jax: keras.optimizers.Adam
#   loaded on jax, written on jax: Adam
#   loaded on jax, written on torch: TypeError
#   loaded on jax, written on torch, compile=False: not compiled
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/on-torch"
python3 -m venv "$folder/on-jax"
"$folder/on-torch/bin/pip" install -q keras==3.15.1 torch==2.13.0
"$folder/on-jax/bin/pip" install -q keras==3.15.1 jax==0.10.2
cd "$folder"

cat > write.py <<'PYTHON'
import json
import zipfile

import keras

backend = keras.backend.backend()
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.save(f"{backend}.keras")
with zipfile.ZipFile(f"{backend}.keras") as archive:
    optimizer = json.loads(archive.read("config.json"))["compile_config"]["optimizer"]
print(f"written on {backend}: {optimizer['module']}.{optimizer['class_name']}")
PYTHON

cat > load.py <<'PYTHON'
import keras


def load(backend, **options):
    try:
        model = keras.saving.load_model(f"{backend}.keras", **options)
        return type(model.optimizer).__name__ if model.compiled else "not compiled"
    except TypeError as error:
        return type(error).__name__


print("loaded on jax, written on jax:", load("jax"))
print("loaded on jax, written on torch:", load("torch"))
print("loaded on jax, written on torch, compile=False:", load("torch", compile=False))
PYTHON

KERAS_BACKEND=torch "$folder/on-torch/bin/python" write.py > found.txt
KERAS_BACKEND=jax "$folder/on-jax/bin/python" write.py >> found.txt
KERAS_BACKEND=jax "$folder/on-jax/bin/python" load.py >> found.txt
cat found.txt

diff found.txt - <<'EXPECTED'
written on torch: keras.src.backend.torch.optimizers.torch_adam.Adam
written on jax: keras.optimizers.Adam
loaded on jax, written on jax: Adam
loaded on jax, written on torch: TypeError
loaded on jax, written on torch, compile=False: not compiled
EXPECTED
