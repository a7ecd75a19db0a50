"""State of optimizers for each weight that they train, by Keras's names and arguments.

As in Keras 3.15, whose optimizers the tests build on weights of every rank to compare. Slots have
the dtype of their weight. Single numbers (the count of updates, the learning rate, a loss's scale)
are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from archspec.arguments import wrong
from archspec.errors import UsageError, suggestion

Arguments: TypeAlias = Mapping[str, Any]
WeightShape: TypeAlias = tuple[int, ...]

WRAPPER: Final = "lossscaleoptimizer"
"""Optimizer that keeps the state of its `inner_optimizer`."""

MOMENTUM: Final = "momentum"
"""Name in a report of SGD with momentum."""


def _adam(arguments: Arguments) -> int:
    return 3 if arguments.get("amsgrad") else 2


def _rmsprop(arguments: Arguments) -> int:
    return 1 + bool(arguments.get("momentum")) + bool(arguments.get("centered"))


def _adafactor(_: Arguments, shape: WeightShape, __: str) -> int:
    """Return the values of a velocity, and of the sums along each of its last two axes."""
    rows_and_columns = 0
    if len(shape) > 1:
        rows_and_columns = prod(shape[:-1]) + prod((*shape[:-2], shape[-1]))
    return prod(shape) + rows_and_columns


def _muon(arguments: Arguments, shape: WeightShape, path: str) -> int:
    """Return the values of a momentum, and of a velocity where Adam is used: not for a matrix."""
    adam = (
        len(shape) != 2
        or (arguments.get("exclude_embeddings", True) and "embedding" in path.lower())
        or any(re.search(pattern, path) for pattern in arguments.get("exclude_layers") or ())
    )
    return (2 if adam else 1) * prod(shape)


COPIES: Final[Mapping[str, Callable[[Arguments], int]]] = MappingProxyType(
    {
        "sgd": lambda arguments: int(bool(arguments.get("momentum"))),
        MOMENTUM: lambda _: 1,
        "rmsprop": _rmsprop,
        "adagrad": lambda _: 1,
        "lion": lambda _: 1,
        "adadelta": lambda _: 2,
        "adam": _adam,
        "adamw": _adam,
        "adamax": lambda _: 2,
        "nadam": lambda _: 2,
        "lamb": lambda _: 2,
        "schedulefreeadamw": lambda _: 2,
        "ftrl": lambda _: 2,
    }
)
"""Number of values that an optimizer keeps for each value of a weight, by its arguments."""

BY_WEIGHT: Final[Mapping[str, Callable[[Arguments, WeightShape, str], int]]] = MappingProxyType(
    {"adafactor": _adafactor, "muon": _muon}
)
"""Number of values that an optimizer keeps for a weight, where its shape and path matter."""

KNOWN: Final = (*COPIES, *BY_WEIGHT, WRAPPER)
"""Optimizers of which it is known what they keep."""


@dataclass(frozen=True)
class Optimizer:
    """An optimizer by Keras's name, with those of its arguments that are not their default."""

    name: str = "adam"
    arguments: Arguments = field(default_factory=dict)

    @classmethod
    def read(cls, value: Any) -> Optimizer:
        """Return the optimizer of a name, or of one name with its arguments, `{name: {...}}`.

        Raises:
            UsageError: The value is neither, or there is no optimizer of that name.
        """
        if isinstance(value, cls):
            return value
        name: Any = value
        arguments: Any = {}
        if isinstance(value, Mapping) and len(value) == 1:
            ((name, arguments),) = value.items()
        if not isinstance(name, str) or not isinstance(arguments, Mapping | None):
            raise wrong("optimizer", value, "a name, or one name with its arguments")
        if name not in KNOWN:
            hint = suggestion(name, KNOWN, what="optimizers")
            raise UsageError(f"optimizer `{name}` is not known; {hint}")
        return cls(name, dict(arguments or {}))

    @property
    def label(self) -> str:
        """Name in a table, by the arguments on which its memory depends."""
        if self.name == WRAPPER:
            return self.inner.label
        if self.name == "sgd" and self.arguments.get("momentum"):
            return MOMENTUM
        return self.name

    @property
    def inner(self) -> Optimizer:
        """Optimizer inside the scaling of the loss."""
        return Optimizer.read(self.arguments.get("inner_optimizer", "adam"))

    def to_dict(self) -> str | dict[str, Any]:
        """Return plain data that `read` takes: a name, or a name with its arguments."""
        return {self.name: dict(self.arguments)} if self.arguments else self.name

    @property
    def copies(self) -> int | None:
        """Number of values kept for each value of a weight; None where shape or path matters."""
        if self.name == WRAPPER:
            return self.inner.copies
        count = COPIES.get(self.name)
        return None if count is None else count(self.arguments) + self._whole_copies

    @property
    def _whole_copies(self) -> int:
        """Number of copies of the weights: their averages, and gradients summed over steps."""
        averages = bool(self.arguments.get("use_ema"))
        return averages + bool(self.arguments.get("gradient_accumulation_steps"))

    def values(self, weights: Iterable[tuple[str, WeightShape]]) -> int:
        """Return the number of values kept for weights of these paths (Keras's) and shapes."""
        if self.name == WRAPPER:
            return self.inner.values(weights)
        copies = self.copies
        if copies is not None:
            return copies * sum(prod(shape) for _, shape in weights)
        kept = BY_WEIGHT[self.name]
        return sum(
            kept(self.arguments, shape, path) + self._whole_copies * prod(shape)
            for path, shape in weights
        )
