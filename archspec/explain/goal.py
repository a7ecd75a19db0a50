"""What images are judged by: the score of a class, or what a unit of a layer computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from archspec.diagnostics import UsageError
from archspec.explain.circuit import Tensor, Values
from archspec.explain.gradient import compiled
from archspec.explain.study import Study
from archspec.explain.subject import Subject, batched

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST: Final = 20
"""Classes, or units of a layer, that are taken where none are named."""


@dataclass(frozen=True, eq=False)
class Goal:
    """The classes of a network, or the units of one of its layers, before their activation."""

    subject: Subject
    call: str
    """Whose value before its activation it is."""
    layer: str | None
    """The layer, as the user calls it; None for classes."""
    at: str
    """`mean` of a channel's map, or its `centre`."""

    @classmethod
    def of(cls, subject: Subject, layer: str | None, at: str) -> Goal:
        """The units of a layer; without one the classes.

        Raises:
            UsageError: there is no such layer, or the network tells no classes apart.

        """
        if layer is not None:
            return cls(subject, subject.layer(layer).name, layer, at)
        _ = subject.class_names
        return cls(subject, subject.circuit.scores, None, at)

    def chosen(
        self, target: str | int | Sequence[str] | None, unit: int | Sequence[int] | None
    ) -> tuple[list[int], list[str]]:
        """The numbers of the classes or units that are meant, and what is to be said of that.

        Raises:
            UsageError: there is no such class or unit, or there are too many to take every one.

        """
        if self.layer is None:
            return self._classes(target), []
        count = self.subject.circuit[self.call].shape[-1]
        if unit is None:
            few = f"the first {MOST} of {count} units of {self.layer}; `unit=` names another"
            return list(range(min(count, MOST))), [few] if count > MOST else []
        units = [unit] if isinstance(unit, int) else list(dict.fromkeys(unit))
        if max(units) >= count:
            raise UsageError(
                f"`unit={max(units)}`: {self.layer} has {count} units, 0 to {count - 1}"
            )
        return units, []

    def _classes(self, target: str | int | Sequence[str] | None) -> list[int]:
        subject = self.subject
        if target is None:
            count = len(subject.class_names)
            if count > MOST:
                raise UsageError(
                    f"{subject.name} tells {count} classes apart: name some with `target=`"
                )
            return list(range(count))
        given = [target] if isinstance(target, (str, int)) else target
        return list(dict.fromkeys(subject.class_index(each) for each in given))

    def name(self, number: int) -> str:
        """What a class or a unit is called."""
        if self.layer is None:
            return f"class {self.subject.class_names[number]}"
        return f"{self.layer}, unit {number}"

    def values(self, values: Values) -> Tensor:
        """(n, units) of a run that watched `call`."""
        ops = self.subject.keras.ops
        found = ops.cast(values.before[self.call], "float32")
        axes = tuple(range(1, len(found.shape) - 1))
        if self.at == "mean":
            return ops.mean(found, axis=axes) if axes else found
        return found[(slice(None), *(extent // 2 for extent in found.shape[1:-1]))]

    @cached_property
    def _measure(self) -> Callable[..., Any]:
        def function(pixels: Tensor) -> Tensor:
            return self.values(self.subject.run(pixels, watch={self.call}))

        return compiled(self.subject.circuit, function)

    def measured(self, pixels: NDArray[Any], batch: int) -> NDArray[np.float64]:
        """(n, units) of raw pixels.

        Raises:
            UsageError: they are not finite: the network's weights are corrupt.

        """
        import numpy as np  # noqa: PLC0415

        found = np.concatenate(list(batched(self._measure, batch, pixels))).astype(np.float64)
        if not np.isfinite(found).all():
            raise UsageError(
                f"{self.subject.name} produced outputs that are not finite: its weights are corrupt"
            )
        return found


@dataclass(frozen=True, eq=False)
class Best:
    """The real image that a class or a unit answers to most."""

    name: str
    score: float
    pixels: NDArray[Any]


def best_images(study: Study, goal: Goal, numbers: Sequence[int]) -> dict[int, Best]:
    """Find among the images of a study the best one for each class or unit."""
    found: dict[int, Best] = {}
    samples = study.all_samples
    for rows, pixels in samples.batches():
        scores = goal.measured(pixels, study.batch)
        for number in numbers:
            row = int(scores[:, number].argmax())
            best = found.get(number)
            if best is None or scores[row, number] > best.score:
                name = samples.names[rows[row]]
                found[number] = Best(name, float(scores[row, number]), pixels[row])
    return found
