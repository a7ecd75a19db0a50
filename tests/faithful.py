"""Differences of archspec's networks from keras.applications', for equal weights and images.

python tests/faithful.py               measures all networks: the table of docs/faithful.md
python tests/faithful.py VARIANT...    measures some of them
"""

import platform
import sys
from collections.abc import Iterator
from itertools import takewhile
from typing import Any, NamedTuple

import numpy as np

import archspec
from archspec.keras_model.assembly import CONSTANTS
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
    "inception_v3": "InceptionV3",
    "inception_resnet_v2": "InceptionResNetV2",
    "xception": "Xception",
    "convnext_tiny": "ConvNeXtTiny",
    "convnext_small": "ConvNeXtSmall",
    "convnext_base": "ConvNeXtBase",
    "convnext_large": "ConvNeXtLarge",
    "convnext_xlarge": "ConvNeXtXLarge",
    "nasnet_mobile": "NASNetMobile",
    "nasnet_large": "NASNetLarge",
    "mobilenet": "MobileNet",
    "mobilenet_v2": "MobileNetV2",
    "mobilenet_v3_small": "MobileNetV3Small",
    "mobilenet_v3_large": "MobileNetV3Large",
    "efficientnet_b0": "EfficientNetB0",
    "efficientnet_b1": "EfficientNetB1",
    "efficientnet_b2": "EfficientNetB2",
    "efficientnet_b3": "EfficientNetB3",
    "efficientnet_b4": "EfficientNetB4",
    "efficientnet_b5": "EfficientNetB5",
    "efficientnet_b6": "EfficientNetB6",
    "efficientnet_b7": "EfficientNetB7",
    "efficientnet_v2_b0": "EfficientNetV2B0",
    "efficientnet_v2_b1": "EfficientNetV2B1",
    "efficientnet_v2_b2": "EfficientNetV2B2",
    "efficientnet_v2_b3": "EfficientNetV2B3",
    "efficientnet_v2_s": "EfficientNetV2S",
    "efficientnet_v2_m": "EfficientNetV2M",
    "efficientnet_v2_l": "EfficientNetV2L",
}
"""Variant to the function of keras.applications that makes the same network.

The first variant of a family stands for it where the others would take too long.
"""

ODD = 75
"""Extent of the images at which every kind of padding puts its zeros elsewhere.

No network of keras.applications takes smaller images than Inception-v3, which takes these.
"""

IMAGENET = ((0.485, 0.456, 0.406), (0.229**2, 0.224**2, 0.225**2))
"""Mean and variance of ImageNet's pixels from 0 to 1.

EfficientNet's layer that normalises by them holds them as weights, which random ones would lack.
"""

EVEN = 128
"""Extent of the images at which strided windows are padded on one side alone."""


class Distances(NamedTuple):
    """Largest differences, in standard deviations of what keras.applications gives."""

    before: float
    """Difference of the logits before the weights are copied."""
    prepared: float
    """Difference of the images as the networks prepare them inside; 0 where they do not."""
    features: float
    """Difference of the input of the middle layer of those with weights."""
    logits: float


def measure(variant: str, size: int) -> Distances:
    """Give both networks the same random weights, and then the same random images.

    Images that are prepared inside are so by other operations, and round differently. A deep
    network with random weights may enlarge that a thousandfold: the rest of both begins with the
    same prepared images.
    """
    keras = load_keras()
    keras.utils.set_random_seed(1)
    shape = (size, size, 3)
    application = getattr(keras.applications, APPLICATIONS[variant])
    theirs = application(weights=None, input_shape=shape, classifier_activation=None)
    ours = archspec.build(archspec.load(variant, input=list(shape)))
    random = np.random.default_rng(1)
    randomize(keras, theirs, random)

    pairs = [
        (mine.name, other.name.removesuffix("/depthwise"))
        for mine, other in match(layer_graph(ours), layer_graph(theirs))
    ]
    layers = [{layer.name: layer for layer in model.layers} for model in (ours, theirs)]
    # Some are inside of a layer: those of an inner model, a separable convolution's second one.
    outer = [pair for pair in pairs if pair[0] in layers[0] and pair[1] in layers[1]]
    middle, last = outer[len(outer) // 2], outer[-1]
    begin = [prepared_of(model) for model in (ours, theirs)]
    here, there = (
        keras.Model(
            begin[side], [layers[side][middle[side]].input, layers[side][last[side]].output]
        )
        for side in range(2)
    )
    images = images_for(theirs, 2, random)
    mine, images = (
        keras.Model(model.input, tensor)(images)
        for model, tensor in zip((ours, theirs), begin, strict=True)
    )
    (prepared,) = distances([mine], [images])
    wanted = there(images)
    before = distances(here(images), wanted)
    copied = archspec.weights.copy(theirs, ours)
    assert not copied.notes, "images are prepared alike, and values scaled alike"
    return Distances(before[1], prepared, *distances(here(images), wanted))


def prepared_of(model: Any) -> Any:
    """Return the tensor of a model's prepared images: after the first layers of constants."""
    first, *others = model.layers
    constants = takewhile(lambda layer: type(layer).__name__ in CONSTANTS, others)
    return [first, *constants][-1].output


def randomize(keras: Any, model: Any, random: np.random.Generator) -> None:
    """Weights as of a trained network: no two channels alike, no tensor that grows or dies out.

    Kernels keep the scale of what passes through ReLUs (He et al. 2015, arXiv:1502.01852). Moving
    statistics are those of a batch of images.
    """
    norms = []
    for layer in _leaves(model):
        if isinstance(layer, keras.layers.Normalization) and layer.input_mean is None:
            for weight, value in zip(layer.weights, IMAGENET, strict=False):
                weight.assign(value)
            layer.finalize_state()
        for weight in layer.weights:
            shape = tuple(weight.shape)
            if weight.name.endswith("kernel"):
                depthwise = "depthwise" in f"{weight.name} {type(layer).__name__}".lower()
                inputs = np.prod(shape[:-2] if depthwise else shape[:-1])
                value = random.normal(size=shape) * np.sqrt(2 / inputs)
            elif weight.name in ("bias", "beta"):
                value = random.normal(size=shape) * 0.1
            else:
                value = random.uniform(0.5, 1.5, shape)
            if weight.trainable:
                weight.assign(value)
        if isinstance(layer, keras.layers.BatchNormalization):
            norms.append((layer, layer.momentum))
            layer.momentum = 0.0
    if norms:
        model(images_for(model, 4, random), training=True)
    for layer, momentum in norms:
        layer.momentum = momentum


def _leaves(model: Any) -> Iterator[Any]:
    """Yield the layers of a model, and of the models in it."""
    for layer in model.layers:
        if getattr(layer, "layers", None):
            yield from _leaves(layer)
        else:
            yield layer


def images_for(model: Any, count: int, random: np.random.Generator) -> Any:
    """Return random images: pixels from 0 to 255 for a model that prepares them itself."""
    shape = (count, *model.input_shape[1:])
    if any(type(layer).__name__ in CONSTANTS for layer in model.layers):
        return random.uniform(0, 255, shape).astype("float32")
    return random.normal(size=shape).astype("float32")


def distances(these: list[Any], those: list[Any]) -> list[float]:
    to_numpy = load_keras().ops.convert_to_numpy
    pairs = [(to_numpy(a), to_numpy(b)) for a, b in zip(these, those, strict=True)]
    # One may give its logits as a map of 1x1.
    return [float(np.abs(a.reshape(b.shape) - b).max() / b.std()) for a, b in pairs]


def main(*variants: str) -> None:
    keras = load_keras()
    say = sys.stdout.write
    say("| archspec | keras.applications | features | logits | before the copy |\n")
    say("|---|---|---|---|---|\n")
    for variant in variants or APPLICATIONS:
        before, _, features, logits = measure(variant, EVEN)
        figures = f"{features:.1g} | {logits:.1g} | {before:.1f}"
        say(f"| {variant} | {APPLICATIONS[variant]} | {figures} |\n")
        sys.stdout.flush()
        keras.utils.clear_session()
    engine = f"Keras {keras.version()}, {keras.backend.backend()}"
    say(f"\n{engine}, Python {platform.python_version()}, {platform.machine()}, float32.\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
