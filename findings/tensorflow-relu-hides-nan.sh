#!/usr/bin/env bash
# TensorFlow 2.21.0: in a graph on the CPU, convolution + bias + ReLU makes 0 of NaN; eagerly it does not.
#
# Grappler fuses the three operations into one of oneDNN (the default on x86), whose ReLU gives 0 for
# NaN where tf.nn.relu gives NaN; with TF_ENABLE_ONEDNN_OPTS=0 it does not. So a network with a corrupt
# weight puts out finite numbers, and a check of its outputs passes.
#
# Expected: the same values, NaN among them, eagerly and in a graph.
# Seen:     eagerly [nan], in a graph [0.]
#           without the ReLU [nan], in a graph [nan]
set -euo pipefail
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
python3 -m venv "$home/venv"
"$home/venv/bin/pip" install --quiet tensorflow==2.21.0 numpy==2.4.6
TF_CPP_MIN_LOG_LEVEL=3 "$home/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
import tensorflow as tf

image = tf.ones((1, 6, 8, 1))
kernel = tf.ones((3, 3, 1, 1))
bias = tf.constant([np.nan], tf.float32)


def linear(image):
    return tf.nn.bias_add(tf.nn.conv2d(image, kernel, 1, "SAME"), bias)


def rectified(image):
    return tf.nn.relu(linear(image))


def values(function):
    return np.unique(function(image).numpy())


eager, graph = values(rectified), values(tf.function(rectified, autograph=False))
print(f"eagerly {eager}, in a graph {graph}")
plain, plain_graph = values(linear), values(tf.function(linear, autograph=False))
print(f"without the ReLU {plain}, in a graph {plain_graph}")
is_hidden = np.isnan(eager).all() and (graph == 0).all()
sys.exit(not (is_hidden and np.isnan(plain).all() and np.isnan(plain_graph).all()))
PYTHON
