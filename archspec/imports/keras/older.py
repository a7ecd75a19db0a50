"""Configurations of Keras 1 with the names of Keras 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from archspec.imports.keras.config import LayerConfig, layers_of

CLASSES: Final[Mapping[str, str]] = {
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "SeparableConvolution2D": "SeparableConv2D",
    "Deconvolution2D": "Conv2DTranspose",
}
"""Keras 2's name of each class that has another in Keras 1."""

ARGUMENTS: Final[Mapping[str, str]] = {
    "nb_filter": "filters",
    "filter_length": "kernel_size",
    "subsample": "strides",
    "subsample_length": "strides",
    "atrous_rate": "dilation_rate",
    "border_mode": "padding",
    "bias": "use_bias",
    "p": "rate",
    "pool_length": "pool_size",
    "stride": "strides",
    "inner_activation": "recurrent_activation",
    "length": "size",
}
"""Keras 2's name of each argument that has another in Keras 1."""

ORDERS: Final[Mapping[str, str]] = {"tf": "channels_last", "th": "channels_first"}

_KERNEL: Final = ("kernel_dim1", "kernel_dim2", "kernel_dim3")
_UNITS: Final = frozenset({"Dense", "LSTM", "GRU", "SimpleRNN", "TimeDistributedDense"})


def modern(layer: LayerConfig) -> LayerConfig:
    """Return a layer, or a model with its layers, with the names of Keras 2.

    One that has them already is returned as it is.
    """
    inner = layers_of(layer)
    config = layer.get("config")
    if inner is not None:
        layers = [modern(each) if isinstance(each, Mapping) else each for each in inner]
        if not isinstance(config, Mapping):
            return {**layer, "config": layers}
        return {**layer, "config": {**config, "layers": layers}}
    if not isinstance(config, Mapping):
        return layer
    kind = str(layer.get("class_name"))
    return {**layer, "class_name": CLASSES.get(kind, kind), "config": _arguments(kind, config)}


def _arguments(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    named = {new: config[old] for old, new in ARGUMENTS.items() if old in config}
    if "nb_row" in config:
        named["kernel_size"] = [config["nb_row"], config["nb_col"]]
    elif _KERNEL[0] in config:
        named["kernel_size"] = [config[name] for name in _KERNEL]
    if kind in _UNITS and "output_dim" in config:
        named["units"] = config["output_dim"]
    if config.get("dim_ordering") in ORDERS:
        named["data_format"] = ORDERS[config["dim_ordering"]]
    if isinstance(config.get("layer"), Mapping):
        named["layer"] = modern(config["layer"])
    return {**named, **config}
