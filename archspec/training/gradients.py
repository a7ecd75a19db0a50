"""Norms of a loss's gradients by each weight of a model, without a step of training.

Keras's trainers know how each backend takes gradients. Here they do it for an optimizer that keeps
the norms and leaves the weights as they are, so that it works compiled and on every backend.
"""

from __future__ import annotations

from math import sqrt
from typing import Any


def keeper(keras: Any) -> Any:
    """An optimizer whose `norms` are those of the last step's gradients; it changes no weight."""

    class Keeper(keras.optimizers.Optimizer):  # type: ignore[misc]
        def build(self, variables: Any) -> None:
            super().build(variables)
            self.norms = [
                self.add_variable((), dtype="float32", name=f"norm_{index}")
                for index, _ in enumerate(variables)
            ]

        def apply(self, grads: Any, trainable_variables: Any = None) -> None:  # noqa: ARG002
            for norm, gradient in zip(self.norms, grads, strict=True):
                if gradient is not None:
                    values = keras.ops.cast(gradient, "float32")
                    norm.assign(keras.ops.sqrt(keras.ops.sum(keras.ops.square(values))))

    return Keeper(learning_rate=1.0)


def measure(keras: Any, model: Any, x: Any, y: Any) -> tuple[float, dict[str, float]]:
    """Return the loss of one batch, and the norm of its gradient by each weight, by its path.

    Args:
        keras: The module.
        model: A model compiled with `keeper`. Its layers do as in training: norms use the batch's
            statistics and move their averages, dropout draws.
        x: Images.
        y: What the model's loss takes.

    """
    import numpy as np  # noqa: PLC0415

    weights = model.trainable_weights
    if not weights:
        return float(np.ravel(model.test_on_batch(x, y))[0]), {}
    if not model.optimizer.built:
        model.optimizer.build(weights)
    loss = float(np.ravel(model.train_on_batch(x, y))[0])
    norms = model.optimizer.norms
    return loss, {
        weight.path: float(keras.ops.convert_to_numpy(norm))
        for weight, norm in zip(weights, norms, strict=True)
    }


def of_layer(norms: dict[str, float], layer: Any) -> float | None:
    """Return the norm by all weights of a layer; None where nothing of it is trained."""
    weights = layer.trainable_weights
    return sqrt(sum(norms.get(weight.path, 0.0) ** 2 for weight in weights)) if weights else None
