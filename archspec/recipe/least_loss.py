"""The least that a loss can be where labels are smoothed: what is left when all is learned.

A smoothed label is a distribution over the classes, and a cross-entropy is least, and the entropy
of that distribution, where the network gives just this one (Szegedy et al. 2016, section 7).
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
    """What a run's loss does not fall below, however well the network learns."""

    value: float
    smoothing: float
    measure: str
    """`loss`, for training and validation; or `validation loss`, where that of the training has
    another bound, or none that is known."""

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
    """The least possible loss of a recipe with smoothed labels, exact; None for any other loss.

    Args:
        recipe: The recipe.
        outputs: The number of classes of each output.
        loss_weights: What each output counts; one that is not named counts 1.
        mean_weight: What a training image weighs on average, by the recipe's `class_weights`.
        validated: Whether there are validation images, which are not weighed and not mixed.

    """
    said = recipe.loss.arguments
    smoothing = said.get("label_smoothing") or 0.0
    entropy = _ENTROPIES.get(recipe.loss.name)
    if entropy is None or not smoothing or said.get("reduction") == "sum":
        return None
    value = sum(loss_weights.get(name, 1.0) * entropy(smoothing, n) for name, n in outputs.items())
    mixed = any(augmentation.mixes_labels for augmentation in recipe.augment)
    if said.get("reduction") == "mean_with_sample_weight":
        mean_weight = 1.0
    if not mixed and math.isclose(mean_weight, 1.0, rel_tol=1e-6):
        return LeastLoss(value, smoothing, "loss")
    if validated:
        return LeastLoss(value, smoothing, "validation loss")
    return None if mixed else LeastLoss(value * mean_weight, smoothing, "loss")


def _categorical(smoothing: float, classes: int) -> float:
    """Of one class against all: 1 - s + s/K for the class, s/K for each other one."""
    other = smoothing / classes
    return _entropy(1 - smoothing + other) + (classes - 1) * _entropy(other)


def _binary(smoothing: float, classes: int) -> float:  # noqa: ARG001
    """Of each class by itself, yes or no: 1 - s/2 and s/2, the same for each."""
    return _entropy(1 - smoothing / 2) + _entropy(smoothing / 2)


def _entropy(share: float) -> float:
    return -share * math.log(share) if share else 0.0


_ENTROPIES: Final[Mapping[str, Callable[[float, int], float]]] = {
    "categorical_crossentropy": _categorical,
    "binary_crossentropy": _binary,
}
