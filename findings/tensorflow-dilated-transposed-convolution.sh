#!/usr/bin/env bash
# TensorFlow 2.21.0, Keras 3.15.1: a dilated transposed convolution runs on a CPU only where XLA
# compiles it, and Keras leaves XLA off on a CPU.
#
# Expected: a layer that Keras builds, whose shape and parameters it prints, can be called on the same
#           machine, as the dilated convolution can.
# Real:     `Conv2DTranspose(dilation_rate=2)` is built with its output shape, and a call raises an error;
#           so does the gradient of tf.nn.conv2d with `dilations`, which is the same sum, but not that of
#           tf.nn.convolution, which Keras's `Conv2D` calls: it moves the dilation into the batch.
#           `predict` after `compile()` fails too, since jit_compile="auto" is False without a GPU. With
#           jit_compile=True it computes what the sum over the kernel's taps gives.
# Way out:  compile the model with jit_compile=True, which a process that was made deterministic refuses;
#           or another backend of Keras.
#
# Output seen:
#   tensorflow 2.21.0, keras 3.15.1; the layer's output is (None, 12, 12, 4)
#   called: InvalidArgumentError, dilation rates larger than 1
#   predict, compiled with auto: InvalidArgumentError, dilation rates larger than 1
#   predict, compiled with True: as the sum, to 1e-5
#   gradient of tf.nn.convolution: computed
#   gradient of tf.nn.conv2d: InvalidArgumentError, dilation rates larger than 1
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet tensorflow==2.21.0 keras==3.15.1 numpy==2.4.6
cd "$work"
export TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES= KERAS_BACKEND=tensorflow
"$work/venv/bin/python" - <<'PYTHON'
import sys

import keras
import numpy as np
import tensorflow as tf

layer = keras.layers.Conv2DTranspose(4, 3, dilation_rate=2, use_bias=False)
model = keras.Sequential([keras.layers.Input((8, 8, 3)), layer])
images = np.random.default_rng(1).normal(size=(2, 8, 8, 3)).astype("float32")
kernel = layer.get_weights()[0]  # 3 x 3 taps, outputs, inputs

painted = np.zeros((2, 12, 12, 4), "float32")
for row in range(3):
    for column in range(3):
        tap = np.einsum("nhwi,oi->nhwo", images, kernel[row, column])
        painted[:, 2 * row : 2 * row + 8, 2 * column : 2 * column + 8] += tap


def tried(run, right="as the sum, to 1e-5"):
    """What a call gives: as the sum, other numbers, or the error."""
    try:
        given = np.asarray(run())
    except tf.errors.InvalidArgumentError as error:
        said = "dilation rates larger than 1"
        return f"InvalidArgumentError, {said if said in str(error) else error}"
    return right if np.allclose(given, wanted[right], atol=1e-5) else "other numbers"


def gradient(convolve):
    """The gradient of all outputs of a convolution whose weights are 1."""
    image, ones = tf.Variable(images[:1]), tf.ones((3, 3, 3, 4))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(convolve(image, ones, strides=1, padding="VALID", dilations=2))
    return tape.gradient(total, image)


# Each value is below as many taps as fit into the image around it, in 4 outputs.
along = np.array([1, 1, 2, 2, 2, 2, 1, 1], "float32")
wanted = {
    "as the sum, to 1e-5": painted,
    "computed": 4 * np.broadcast_to(np.outer(along, along)[None, :, :, None], (1, 8, 8, 3)),
}
print(f"tensorflow {tf.__version__}, keras {keras.__version__}; the layer's output is {model.output_shape}")
seen = {"called": tried(lambda: model(images))}
for jit in ("auto", True):
    model.compile(jit_compile=jit)
    seen[f"predict, compiled with {jit}"] = tried(lambda: model.predict(images, verbose=0))
for convolve in (tf.nn.convolution, tf.nn.conv2d):
    name = f"gradient of tf.nn.{'convolution' if convolve is tf.nn.convolution else 'conv2d'}"
    seen[name] = tried(lambda: gradient(convolve), "computed")
for name, value in seen.items():
    print(f"{name}: {value}")
refused = "InvalidArgumentError, dilation rates larger than 1"
expected = [refused, refused, "as the sum, to 1e-5", "computed", refused]
sys.exit(list(seen.values()) != expected)
PYTHON
