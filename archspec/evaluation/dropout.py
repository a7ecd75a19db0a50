"""Monte-Carlo dropout: a network whose dropout goes on dropping when it answers.

A network trained with dropout answers without it, which is the mean of all the networks that
dropout makes of it only as long as nothing after it is curved (Srivastava et al. 2014, section 1).
The mean of many passes with other units dropped in each is that mean by its definition, and their
spread says how far the networks disagree (Gal & Ghahramani 2016, arXiv:1506.02142).
"""

from __future__ import annotations

from typing import Any, Final

from archspec.errors import UsageError
from archspec.keras_model.engine import deep

KINDS: Final = (
    *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
    *("AlphaDropout", "GaussianDropout"),
)
"""Keras's layers that leave out units at random. Those that leave out paths are not among them."""


def dropping(keras: Any, model: Any, seed: int, name: str = "the model") -> Any:
    """Return a model that drops units also when it is not training, and no state with the first.

    All else does as in `predict`: norms use their running statistics. Weights are shared.

    Args:
        keras: The module.
        model: A Functional or Sequential model; dropout may be inside of nested models.
        seed: Decides what is dropped, pass by pass, on each backend in its own way.
        name: What a message calls the model.

    Raises:
        UsageError: The model has no dropout.

    """
    kinds = tuple(getattr(keras.layers, kind) for kind in KINDS)
    number = 0

    class Dropping(keras.layers.Layer):  # type: ignore[misc]
        """A dropout that hears nothing of whether the model is training."""

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
        # One of its own: with a seed, and whose random state is not the trained model's.
        fresh = type(layer).from_config({**layer.get_config(), "seed": seed + number})
        number += 1
        return Dropping(fresh)

    with deep(len(model.layers)):
        changed = keras.models.clone_model(model, clone_function=replaced, recursive=True)
    if not number:
        raise UsageError(
            f"{name} has no dropout, so each of the `mc_dropout=` passes would be the same: "
            "train a network with a `dropout` step, or leave it out"
        )
    changed.jit_compile = model.jit_compile
    return changed
