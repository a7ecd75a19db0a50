#!/usr/bin/env bash
# tf-keras-vis 0.8.7 (with Keras 3.15.1, TensorFlow 2.21.0): `ReplaceToLinear` leaves a Softmax layer.
#
# The modifier is there so that saliency is that of a class's score before the softmax, as the paper
# has it: behind a softmax the gradient of a sure network is nearly 0, and what is left depends on
# the other classes. It sets the `activation` of the last layer to `linear`.
#
# Expected: of a model whose last layer is `keras.layers.Softmax` the map is that of the scores too,
# or an error says that the layer has no activation to replace.
# Real: `Softmax` gets an attribute `activation` that nothing reads. There is no error and no
# warning, and the map is that of the probability. The same network with its softmax as an argument
# of the Dense layer gives the map of the scores.
#
# Output seen:
#   softmax in the Dense layer: map equals that of the scores: True
#   softmax as a layer:         map equals that of the scores: False
#   softmax as a layer:         map equals that of the probability: True
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet tensorflow==2.21.0 keras==3.15.1 tf-keras-vis==0.8.7
cd "$work"
TF_CPP_MIN_LOG_LEVEL=3 "$work/venv/bin/python" - <<'PYTHON'
import keras
import numpy as np
import tensorflow as tf
from tf_keras_vis.saliency import Saliency
from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
from tf_keras_vis.utils.scores import CategoricalScore

weights = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")
image = np.random.default_rng(1).uniform(size=(1, 4, 4, 1)).astype("float32")


def network(inside):
    inputs = keras.Input((4, 4, 1))
    flat = keras.layers.Flatten()(inputs)
    end = {"activation": "softmax"} if inside else {}
    outputs = keras.layers.Dense(3, use_bias=False, name="scores", **end)(flat)
    model = keras.Model(inputs, outputs if inside else keras.layers.Softmax()(outputs))
    model.get_layer("scores").set_weights([weights])
    return model


def saliency(model):
    found = Saliency(model, model_modifier=ReplaceToLinear(), clone=True)
    return found(CategoricalScore([0]), image, normalize_map=False)[0]


of_scores = abs(weights[:, 0]).reshape(4, 4)
pixels = tf.constant(image)
with tf.GradientTape() as tape:
    tape.watch(pixels)
    probability = network(inside=False)(pixels)[:, 0]
of_probability = abs(tape.gradient(probability, pixels).numpy()[0, ..., 0])

inside, layer = saliency(network(inside=True)), saliency(network(inside=False))
seen = (
    np.allclose(inside, of_scores, rtol=1e-4),
    np.allclose(layer, of_scores, rtol=1e-4),
    np.allclose(layer, of_probability, rtol=1e-4),
)
print("softmax in the Dense layer: map equals that of the scores:", seen[0])
print("softmax as a layer:         map equals that of the scores:", seen[1])
print("softmax as a layer:         map equals that of the probability:", seen[2])
assert seen == (True, False, True), "tf-keras-vis does otherwise now"
PYTHON
