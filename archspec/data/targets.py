"""The scale of a regression's numbers: the network learns them with mean 0 and deviation 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, FiniteFloat

from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PositiveFinite = Annotated[float, Field(gt=0, allow_inf_nan=False)]

TargetsSetting = Literal["none", "standardize"]


@dataclass(frozen=True, slots=True)
class TargetScale:
    """(number - mean) / deviation, for each value of a label: what the network learns."""

    mean: tuple[FiniteFloat, ...]
    deviation: tuple[PositiveFinite, ...]

    def scaled(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Return labels (examples, values) as the network learns them."""
        scaled: NDArray[np.float32] = ((values - np.array(self.mean)) / self.deviation).astype(
            np.float32
        )
        return scaled

    def original(self, outputs: NDArray[Any]) -> NDArray[np.float64]:
        """Return outputs of the network (examples, values) in the units of the labels."""
        original: NDArray[np.float64] = outputs * np.array(self.deviation) + np.array(self.mean)
        return original


def fit(setting: TargetsSetting, targets: NDArray[Any]) -> TargetScale | None:
    """Return the scale that a recipe's `targets` names, of the training labels; None for `none`.

    A value that is the same in all labels keeps the deviation 1.
    """
    if setting == "none":
        return None
    values = targets.astype("float64")
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    deviation[deviation <= 1e-6 * abs(mean)] = 1
    deviation[deviation == 0] = 1
    return TargetScale(tuple(mean.tolist()), tuple(deviation.tolist()))
