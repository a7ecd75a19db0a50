"""The least possible loss with smoothed labels.

A smoothed label is a distribution over the classes. A cross-entropy is least if the network gives
that distribution, and then is its entropy (Szegedy et al. 2016, section 7).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from archspec.recipe.train import Recipe
from archspec.text import number


@dataclass(frozen=True, slots=True)
class LeastLoss:
    """A lower bound of a run's loss, however well the network learns."""

    value: float
    smoothing: float
    measure: str
    """`loss`, for training and validation; or `validation loss`, if the training's has another
    bound, or an unknown one."""

    @property
    def name(self) -> str:
        return f"least possible {self.measure}"

    @property
    def figure(self) -> str:
        return f"{number('loss', self.value)} (label smoothing {self.smoothing:g})"

    def __str__(self) -> str:
        return f"{self.name} {self.figure}"


def least_loss(
    recipe: Recipe,
    outputs: Mapping[str, int],
    loss_weights: Mapping[str, float],
    *,
    mean_weight: float = 1.0,
    validated: bool = True,
) -> LeastLoss | None:
    """Return the least possible loss of a recipe with smoothed labels; None for any other loss.

    Args:
        recipe: The recipe.
        outputs: Number of classes of each output.
        loss_weights: Weight of each output; default: 1.
        mean_weight: Mean weight of a training image, by the recipe's `class_weights`.
        validated: Whether there are validation images, which are neither weighted nor mixed.

    """
    arguments = recipe.chosen_loss.arguments
    smoothing = arguments.get("label_smoothing") or 0.0
    entropy = _ENTROPIES.get(recipe.chosen_loss.name)
    if entropy is None or not smoothing or arguments.get("reduction") == "sum":
        return None
    value = sum(loss_weights.get(name, 1.0) * entropy(smoothing, n) for name, n in outputs.items())
    mixed = any(augmentation.mixes_labels for augmentation in recipe.augment)
    if arguments.get("reduction") == "mean_with_sample_weight":
        mean_weight = 1.0
    if not mixed and math.isclose(mean_weight, 1.0, rel_tol=1e-6):
        return LeastLoss(value, smoothing, "loss")
    if validated:
        return LeastLoss(value, smoothing, "validation loss")
    return None if mixed else LeastLoss(value * mean_weight, smoothing, "loss")


def _categorical(smoothing: float, classes: int) -> float:
    """Return the entropy of a label: 1 - s + s/K for its class, s/K for each other one."""
    other = smoothing / classes
    return _entropy(1 - smoothing + other) + (classes - 1) * _entropy(other)


def _binary(smoothing: float, classes: int) -> float:  # noqa: ARG001
    """Return the mean entropy of a class, yes or no: 1 - s/2 and s/2 for each."""
    return _entropy(1 - smoothing / 2) + _entropy(smoothing / 2)


def _entropy(share: float) -> float:
    return -share * math.log(share) if share else 0.0


_ENTROPIES: Final[Mapping[str, Callable[[float, int], float]]] = {
    "categorical_crossentropy": _categorical,
    "binary_crossentropy": _binary,
}
