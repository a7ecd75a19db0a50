"""Differences of archspec's networks from keras.applications', for equal weights and images.

python tests/faithful.py      measures every network at 224x224: the table of docs/faithful.md
"""

import platform
import sys
from typing import Any, NamedTuple

import numpy as np

import archspec
from archspec.keras_model.engine import load_keras
from archspec.keras_model.joining import layer_graph
from archspec.keras_model.matching import match

APPLICATIONS = {
    "vgg16": "VGG16",
    "vgg19": "VGG19",
    "resnet50_keras": "ResNet50",
    "resnet101_keras": "ResNet101",
    "resnet152_keras": "ResNet152",
    "resnet50v2_keras": "ResNet50V2",
    "resnet101v2_keras": "ResNet101V2",
    "resnet152v2_keras": "ResNet152V2",
    "densenet121": "DenseNet121",
    "densenet169": "DenseNet169",
    "densenet201": "DenseNet201",
}
"""Variant to the function of keras.applications that makes the same network."""


class Distances(NamedTuple):
    """Largest differences, in standard deviations of what keras.applications gives."""

    before: float
    """Difference of the logits before the weights are copied."""
    features: float
    """Difference of the input of the middle layer of those with weights."""
    logits: float


def measure(variant: str, size: int) -> Distances:
    """Give both networks the same random weights, and then the same random images."""
    keras = load_keras()
    keras.utils.set_random_seed(1)
    shape = (size, size, 3)
    application = getattr(keras.applications, APPLICATIONS[variant])
    theirs = application(weights=None, input_shape=shape, classifier_activation=None)
    ours = archspec.build(archspec.load(variant, input=list(shape)))
    random = np.random.default_rng(1)
    _randomize(keras, theirs, random)

    pairs = match(layer_graph(ours), layer_graph(theirs))
    middle, last = pairs[len(pairs) // 2], pairs[-1]
    here, there = (
        keras.Model(
            model.input,
            [model.get_layer(middle[side].name).input, model.get_layer(last[side].name).output],
        )
        for side, model in enumerate((ours, theirs))
    )
    images = random.normal(size=(2, *shape)).astype("float32")
    wanted = there(images)
    before = _distances(here(images), wanted)
    archspec.weights.copy(theirs, ours)
    return Distances(before[1], *_distances(here(images), wanted))


def _randomize(keras: Any, model: Any, random: np.random.Generator) -> None:
    """Weights as of a trained network: no two channels alike, no tensor that grows or dies out.

    Kernels keep the scale of what passes through ReLUs (He et al. 2015, arXiv:1502.01852). Moving
    statistics are those of a batch of images.
    """
    norms = []
    for layer in model.layers:
        for weight in layer.weights:
            shape = tuple(weight.shape)
            if weight.name == "kernel":
                value = random.normal(size=shape) * np.sqrt(2 / np.prod(shape[:-1]))
            elif weight.name == "gamma":
                value = random.uniform(0.5, 1.5, shape)
            else:
                value = random.normal(size=shape) * 0.1
            if weight.trainable:
                weight.assign(value)
        if isinstance(layer, keras.layers.BatchNormalization):
            norms.append((layer, layer.momentum))
            layer.momentum = 0.0
    if norms:
        model(random.normal(size=(4, *model.input_shape[1:])).astype("float32"), training=True)
    for layer, momentum in norms:
        layer.momentum = momentum


def _distances(these: list[Any], those: list[Any]) -> list[float]:
    to_numpy = load_keras().ops.convert_to_numpy
    pairs = [(to_numpy(a), to_numpy(b)) for a, b in zip(these, those, strict=True)]
    return [float(np.abs(a - b).max() / b.std()) for a, b in pairs]


def main() -> None:
    keras = load_keras()
    say = sys.stdout.write
    say("| archspec | keras.applications | features | logits | before the copy |\n")
    say("|---|---|---|---|---|\n")
    for variant, application in APPLICATIONS.items():
        before, features, logits = measure(variant, 224)
        say(f"| {variant} | {application} | {features:.1g} | {logits:.1g} | {before:.1f} |\n")
        keras.utils.clear_session()
    engine = f"Keras {keras.version()}, {keras.backend.backend()}"
    say(f"\n{engine}, Python {platform.python_version()}, {platform.machine()}, float32.\n")


if __name__ == "__main__":
    main()
