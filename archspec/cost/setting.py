"""The setting that bytes are counted for: batch, dtype, optimizer, given or by the recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from archspec import arguments
from archspec.cost.optimizers import BY_WEIGHT, WRAPPER, Optimizer
from archspec.element import show, whole
from archspec.errors import Diagnostic, Problem, UsageError, suggestion
from archspec.spec.document import RECIPE_KEYS, Spec
from archspec.spec.findings import spec_error

ITEM_BYTES: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        "float64": (8, 8),
        "float32": (4, 4),
        "float16": (2, 2),
        "bfloat16": (2, 2),
        "mixed_float16": (4, 2),
        "mixed_bfloat16": (4, 2),
    }
)
"""Bytes of one weight, and of one activation, by Keras dtype policy."""

RECIPE_BATCH: Final = 32
"""Batch of a recipe without one."""


@dataclass(frozen=True)
class Setting:
    """Batch, dtype and optimizer that bytes are counted for.

    A recipe's batch is what a training step takes. All else is about one example unless a batch is
    given: a paper's table, and inference.
    """

    batch: int = 1
    """Examples of a forward pass alone."""
    training_batch: int = 1
    """Examples of a training step."""
    dtype: str = "float32"
    """Keras dtype policy."""
    optimizer: Optimizer = field(default_factory=Optimizer)
    by_recipe: tuple[str, ...] = ()
    """Names of those of `batch`, `dtype` and `optimizer` that the recipe sets."""

    @property
    def weight_bytes(self) -> int:
        """Bytes of a weight, of its gradient, and of a value of the optimizer."""
        return ITEM_BYTES[self.dtype][0]

    @property
    def value_bytes(self) -> int:
        """Bytes of an activation."""
        return ITEM_BYTES[self.dtype][1]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, as in every JSON form."""
        return {
            "batch": self.batch,
            "training_batch": self.training_batch,
            "dtype": self.dtype,
            "optimizer": self.optimizer.to_dict(),
            "by_recipe": list(self.by_recipe),
        }

    def __str__(self) -> str:
        return f"batch {self.training_batch}, {self.dtype}, {self.optimizer.label}"


def setting(
    spec: Spec | None, batch: int | None = None, dtype: str | None = None, optimizer: Any = None
) -> Setting:
    """Return the given values; for others, those of the spec's `train:` or the defaults.

    Raises:
        UsageError: An argument is wrong.
        SpecError: A value of the recipe that is needed is wrong.
    """
    if batch is not None:
        batch = arguments.whole("batch", batch)
    if dtype is not None:
        dtype = _dtype(dtype)
    if optimizer is not None:
        optimizer = _optimizer(optimizer)
    recipe = _Recipe(spec) if spec is not None and spec.train else None
    if recipe is None:
        return Setting(batch or 1, batch or 1, dtype or "float32", optimizer or Optimizer())
    given = {"batch": batch, "dtype": dtype, "optimizer": optimizer}
    read = Setting(
        batch or 1,
        batch or recipe.batch(),
        dtype or recipe.dtype(),
        optimizer or recipe.optimizer(),
        tuple(name for name, value in given.items() if value is None),
    )
    if read.by_recipe:
        recipe.check()
    return read


def _dtype(dtype: Any) -> str:
    if not isinstance(dtype, str):
        raise arguments.wrong("dtype", dtype, f"one of {', '.join(ITEM_BYTES)}")
    if dtype not in ITEM_BYTES:
        raise UsageError(
            f"dtype `{dtype}` is not known; {suggestion(dtype, ITEM_BYTES, what='dtypes')}"
        )
    return dtype


def _optimizer(value: Any) -> Optimizer:
    """Return the given optimizer; raise `UsageError` for arguments that it does not have."""
    optimizer = Optimizer.read(value)
    if optimizer.arguments:
        from archspec.errors import RecipeError  # noqa: PLC0415
        from archspec.recipe.train import Recipe  # noqa: PLC0415

        try:
            Recipe.resolve({"optimizer": optimizer.to_dict()})
        except RecipeError as error:
            hints = [problem.help for _, problem in error.problems if problem.help]
            raise UsageError("; ".join([f"`optimizer=`: {error}", *hints])) from None
    return optimizer


class _Recipe:
    """Values of a spec's `train:` on which memory depends.

    The whole recipe is read only where something in it is wrong: that takes as long as all else
    that a table needs.
    """

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._diagnostics: list[Diagnostic] = []

    def batch(self) -> int:
        value = whole(self._spec.train.get("batch", RECIPE_BATCH))
        try:
            return arguments.whole("batch", value)
        except UsageError:
            self._wrong("batch", value, f"a whole number from 1 to {arguments.LARGEST}")
            return 1

    def dtype(self) -> str:
        value = self._spec.train.get("precision", "float32")
        if not isinstance(value, str) or value not in ITEM_BYTES:
            self._wrong("precision", value, f"one of {', '.join(ITEM_BYTES)}")
            return "float32"
        return value

    def optimizer(self) -> Optimizer:
        value = self._spec.train.get("optimizer", "adam")
        try:
            return Optimizer.read(value)
        except UsageError:
            self._wrong("optimizer", value, "an optimizer of Keras, or one with its arguments")
            return Optimizer()

    def check(self) -> None:
        """Raise `SpecError` if what was read is wrong, with all else that is wrong with it."""
        if not (self._diagnostics or self._is_doubtful()):
            return
        from archspec.recipe.mistakes import places  # noqa: PLC0415
        from archspec.recipe.train import Recipe  # noqa: PLC0415

        with places(self._spec):
            Recipe.resolve(self._spec.train)
        if self._diagnostics:  # a newer Keras has it, but its figures are unknown here
            raise spec_error(self._spec.source, self._diagnostics)

    def _is_doubtful(self) -> bool:
        """Whether a key, or an argument of the optimizer, might be misspelt or wrong."""
        if self._spec.train.keys() - RECIPE_KEYS:
            return True
        optimizer = self.optimizer()
        if not optimizer.arguments:
            return False
        if optimizer.name in (WRAPPER, *BY_WEIGHT):  # their arguments are read, not only counted
            return True
        from archspec.recipe.families import OPTIMIZERS  # noqa: PLC0415

        known = OPTIMIZERS.classes.get(optimizer.name, {})
        return bool(optimizer.arguments.keys() - known.keys())

    def _wrong(self, key: str, value: Any, expected: str) -> None:
        problem = Problem("value", f"`train.{key}` must be {expected}, not {show(value)}")
        self._diagnostics.append(problem.at(self._spec.source.span(("train", key))))
