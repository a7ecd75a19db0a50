"""Norms of a loss's gradients with respect to each weight of a model, without a training step.

Keras's trainers know how to take gradients on each backend. Here they serve an optimizer that
stores the norms and leaves the weights alone, which works on every backend, also compiled.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

from archspec.lazy import np


def norm_optimizer(keras: Any) -> Any:
    """Return an optimizer that stores the last step's gradient `norms` and changes no weight."""

    class NormOptimizer(keras.optimizers.Optimizer):  # type: ignore[misc]
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

    return NormOptimizer(learning_rate=1.0)


def measure(keras: Any, model: Any, x: Any, y: Any) -> tuple[float, dict[str, float]]:
    """Return the loss of one batch, and the norm of its gradient for each weight, by path.

    The model is compiled with `norm_optimizer`. Its layers act as in training: norms use the
    batch's statistics and move their averages, dropout drops.
    """
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
    """Return the norm over all weights of a layer; None if none of them is trained."""
    weights = layer.trainable_weights
    return sqrt(sum(norms.get(weight.path, 0.0) ** 2 for weight in weights)) if weights else None
