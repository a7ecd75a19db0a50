"""Monte-Carlo dropout: a network whose dropout stays active at inference.

A network trained with dropout is all networks that dropout can make of it. Inference
without dropout gives their mean only if all that follows is linear (Srivastava et al. 2014, section
1). The mean over many passes with dropout approximates it in general, and their spread shows how
far the networks disagree (Gal & Ghahramani 2016, arXiv:1506.02142).
"""

from __future__ import annotations

from typing import Any, Final

from archspec.errors import UsageError
from archspec.keras_model.engine import deep

KINDS: Final = (
    *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
    *("AlphaDropout", "GaussianDropout"),
)
"""Keras's layers that drop units at random. Layers that drop whole paths are not among them."""


def dropping(keras: Any, model: Any, seed: int, name: str = "the model") -> Any:
    """Return a copy of a model whose dropout is active at inference too.

    The model is Functional or Sequential, and its dropout may be inside nested models. Norms use
    their running statistics, as in `predict`. The copy shares the model's weights, but no random
    state. A seed drops the same in each pass on one backend, not across backends. Raises
    `UsageError` for a model without dropout.
    """
    kinds = tuple(getattr(keras.layers, kind) for kind in KINDS)
    number = 0

    class Dropping(keras.layers.Layer):  # type: ignore[misc]
        """A dropout layer that is always active."""

        def __init__(self, layer: Any) -> None:
            super().__init__(name=layer.name)
            self.layer = layer

        def call(self, inputs: Any) -> Any:
            return self.layer(inputs, training=True)

        def compute_output_shape(self, shape: Any) -> Any:
            return shape

    def replaced(layer: Any) -> Any:
        nonlocal number
        if not isinstance(layer, kinds) or not layer.rate:
            return layer
        # A new layer, with a seed and a random state that the trained model does not share.
        fresh = type(layer).from_config({**layer.get_config(), "seed": seed + number})
        number += 1
        return Dropping(fresh)

    with deep(len(model.layers)):
        changed = keras.models.clone_model(model, clone_function=replaced, recursive=True)
    if not number:
        raise UsageError(
            f"{name} has no dropout, so all of the `mc_dropout=` passes would be the same: "
            "train a network with a `dropout` step, or leave it out"
        )
    changed.jit_compile = model.jit_compile
    return changed
