#!/usr/bin/env bash
# TensorFlow 2.21.0: the TFLite converter declares a height of 1 for Keras's UpSampling2D.
#
# Expected: the maps in the .tflite file of a model that upsamples 8x8 to 16x16 are declared as they are:
#           a batch of any size, and [.., 16, 16, 8].
# Real:     after the first axis is repeated, the extents of the second are taken from a shape that is
#           computed as the model runs, so the file has -1 for the batch and for the height too, and a 1
#           in the place of both in `shape`. A program that believes the file's shapes, as a viewer or a
#           count of operations does, sees a map of 1x16. The interpreter computes the right one.
# Way out:  interpolation="bilinear", whose shape is declared as it is; a reader computes it itself.
#
# Output seen:
#   tensorflow 2.21.0, keras 3.15.1
#   declared: shape [1, 1, 16, 8], signature [-1, -1, 16, 8]
#   computed: [1, 16, 16, 8]
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
import numpy as np
import tensorflow as tf

image = keras.Input((8, 8, 8))
maps = keras.layers.UpSampling2D(2)(image)
model = keras.Model(image, keras.layers.ReLU()(maps))
model.export("exported", verbose=False)
content = tf.lite.TFLiteConverter.from_saved_model("exported").convert()
interpreter = tf.lite.Interpreter(model_content=content)
(output,) = interpreter.get_output_details()
declared = [output["shape"].tolist(), output["shape_signature"].tolist()]
interpreter.allocate_tensors()
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.zeros((1, 8, 8, 8), "float32"))
interpreter.invoke()
computed = list(interpreter.get_tensor(output["index"]).shape)
print(f"tensorflow {tf.__version__}, keras {keras.__version__}")
print(f"declared: shape {declared[0]}, signature {declared[1]}")
print(f"computed: {computed}")
sys.exit((declared, computed) != ([[1, 1, 16, 8], [-1, -1, 16, 8]], [1, 16, 16, 8]))
PYTHON
