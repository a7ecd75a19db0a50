"""Methods that show what a trained network sees, from its filters to images that fool it.

    gallery = archspec.explain.saliency("runs/digits", "test:0-3")
    gallery.save("saliency")                  # index.html, PNGs, raw values, explain.json

Each method is a function of a run (or a model file, a Keras model, a spec) and of images; it works
on TensorFlow, JAX and PyTorch, and returns a `Gallery`. A method is imported when it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from archspec.explain.gallery import Chart as Chart
    from archspec.explain.gallery import Exhibit as Exhibit
    from archspec.explain.gallery import Gallery as Gallery
    from archspec.explain.gallery import Picture as Picture
    from archspec.explain.gallery import Table as Table
    from archspec.explain.methods.activations import activations as activations
    from archspec.explain.methods.deconvnet import deconvnet as deconvnet
    from archspec.explain.methods.embed import embed as embed
    from archspec.explain.methods.faithfulness import faithfulness as faithfulness
    from archspec.explain.methods.filters import filters as filters
    from archspec.explain.methods.fool import fool as fool
    from archspec.explain.methods.grad_cam import grad_cam as grad_cam
    from archspec.explain.methods.guided import guided as guided
    from archspec.explain.methods.integrated_gradients import (
        integrated_gradients as integrated_gradients,
    )
    from archspec.explain.methods.invariance import invariance as invariance
    from archspec.explain.methods.invert import invert as invert
    from archspec.explain.methods.maximize import maximize as maximize
    from archspec.explain.methods.occlusion import occlusion as occlusion
    from archspec.explain.methods.overview import overview as overview
    from archspec.explain.methods.saliency import saliency as saliency
    from archspec.explain.methods.segment import segment as segment
    from archspec.explain.methods.smoothgrad import smoothgrad as smoothgrad

METHODS: Final[dict[str, str]] = {
    "overview": "All that is quickly computed for an image, on one page.",
    "activations": "Outputs of layers for an image; units that no image activates.",
    "filters": "Kernels of layers: their norms, their noise, and Gabor functions.",
    "embed": "Images that are similar to a layer: neighbours, PCA, t-SNE, a map.",
    "saliency": "Pixels that a class's score depends on.",
    "smoothgrad": "Saliency with less noise: the mean over noisy copies.",
    "integrated-gradients": "Contribution of each pixel to a class's score.",
    "grad-cam": "Regions whose feature maps raise a class's score.",
    "segment": "A mask of the pixels that a score depends on, by GrabCut.",
    "occlusion": "Scores while a patch hides a part of the image.",
    "deconvnet": "Pixels that excite a class or a unit, by the network run backwards.",
    "guided": "Pixels that excite a class or a unit, by guided backpropagation.",
    "faithfulness": "Tests of attribution maps: deletion, re-initialised layers, pointing.",
    "invariance": "Accuracy on images that are moved, turned, scaled, redrawn.",
    "maximize": "An image that maximises the score of a class, or a unit.",
    "invert": "An image reconstructed from the features of a layer.",
    "fool": "A change too small to see that makes the network wrong.",
}
"""Methods by their names on the command line, with the first line of their help."""

_VALUES: Final = ("Chart", "Exhibit", "Gallery", "Picture", "Table")

FUNCTIONS: Final = {name.replace("-", "_"): name for name in METHODS}

__all__ = sorted([*FUNCTIONS, *_VALUES])  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name in FUNCTIONS:
        module = importlib.import_module(f"archspec.explain.methods.{name}")
    elif name in _VALUES:
        module = importlib.import_module("archspec.explain.gallery")
    else:
        raise AttributeError(f"module 'archspec.explain' has no attribute {name!r}")
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
