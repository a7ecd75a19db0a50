"""Dead and saturated units, through which no gradient flows back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from numpy.typing import NDArray

DYING: Final = frozenset({"relu", "relu6"})
"""Functions that are 0 with slope 0 for every number below 0.

Units of other functions are never dead: a leaky ReLU, ELU or swish has a slope below 0.
"""

BOUNDS: Final = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0), "softsign": (-1.0, 1.0)}
"""Lowest and highest output of the functions that saturate at both."""

CLOSE: Final = 0.005
"""Distance from a bound, as a share of the range, within which an output is saturated.

For tanh that is beyond +-0.99.
"""


def function_of(op: Any) -> str | None:
    """Return the word of an op's function, whatever its arguments; None for other ops."""
    function = getattr(op, "function", None)
    return getattr(function, "kind", function)


def dead(maxima: NDArray[Any]) -> float:
    """Return the share of dead units, by the largest output of each over all images.

    For a channel of a map, that is over all places too. In a trained network one batch is too small
    for a verdict.
    """
    return float((maxima <= 0).mean())


def linear_range(function: str) -> tuple[float, float]:
    """Return the outputs between which a function of `BOUNDS` is not saturated."""
    low, high = BOUNDS[function]
    margin = CLOSE * (high - low)
    return low + margin, high - margin
