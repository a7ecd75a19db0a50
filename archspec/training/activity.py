"""Dead and saturated units: units through which a gradient does not come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from numpy.typing import NDArray

DYING: Final = frozenset({"relu", "relu6"})
"""Functions that give 0, and no slope, to every number below it.

A unit of another function is never dead: a leaky ReLU, ELU or swish has a slope below 0.
"""

BOUNDS: Final = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0), "softsign": (-1.0, 1.0)}
"""Lowest and highest output of the functions that flatten towards both."""

CLOSE: Final = 0.005
"""Share of the range from a bound in which an output is saturated: for tanh, beyond +-0.99."""


def dead(maxima: NDArray[Any]) -> float:
    """Return the share of dead units.

    Args:
        maxima: (units,) The largest output of each unit over all images, and of a map over all
            places too. One batch or one image is too few to call a unit dead in a trained network.

    """
    return float((maxima <= 0).mean())


def linear_range(function: str) -> tuple[float, float]:
    """Return the outputs of a function of `BOUNDS` beyond which it is saturated."""
    low, high = BOUNDS[function]
    margin = CLOSE * (high - low)
    return low + margin, high - margin
