#!/usr/bin/env bash
# Keras 3.15.1: model.export() marks the variables of a frozen layer as trainable.
#
# Expected: in a SavedModel that `model.export` writes of a model with a frozen layer, the variables of
#           that layer are not trainable, as `tf.Variable.trainable` says of them and as a gradient tape
#           reads it.
# Real:     the list `trainable_variables` of the exported object is right, but each variable is stored
#           as trainable: what is loaded again watches all of them, and a reader that asks the variables
#           counts too many.
# Way out:  ask the lists of the loaded object, not its variables.
#
# Output seen:
#   tensorflow 2.21.0, keras 3.15.1
#   listed as trainable: ['free/bias', 'free/kernel']
#   marked as trainable: ['free/bias', 'free/kernel', 'frozen/bias', 'frozen/kernel']
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet tensorflow==2.21.0 keras==3.15.1 numpy==2.4.6 2>/dev/null
cd "$work"
export CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3 TF_ENABLE_ONEDNN_OPTS=0 KERAS_BACKEND=tensorflow
"$work/venv/bin/python" - 2>errors <<'PYTHON' || { cat errors >&2; exit 1; }
import sys

import keras
import tensorflow as tf

image = keras.Input((4, 4, 3))
maps = keras.layers.Conv2D(2, 3, trainable=False, name="frozen")(image)
model = keras.Model(image, keras.layers.Conv2D(2, 1, name="free")(maps))
model.export("exported", verbose=False)
loaded = tf.saved_model.load("exported")


def names(variables):
    return sorted({variable.name.removesuffix(":0") for variable in variables})


listed = names(loaded.trainable_variables)
marked = names(variable for variable in loaded.variables if variable.trainable)
print(f"tensorflow {tf.__version__}, keras {keras.__version__}")
print(f"listed as trainable: {listed}")
print(f"marked as trainable: {marked}")
free, frozen = ["free/bias", "free/kernel"], ["frozen/bias", "frozen/kernel"]
sys.exit((listed, marked) != (free, free + frozen))
PYTHON
