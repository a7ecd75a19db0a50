"""What images are judged by: the score of a class, or what a unit of a layer computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from archspec.errors import UsageError
from archspec.explain.circuit import Call, Tensor, Values
from archspec.explain.gradient import compiled
from archspec.explain.study import Study
from archspec.explain.subject import Subject, batched

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST: Final = 20
"""Classes, or units of a layer, that are taken where none are named."""


def check_choice(target: Any, layer: Any, unit: Any) -> None:
    """Check that a class is asked for, or a layer and perhaps a unit of it.

    Raises:
        UsageError: both are, or a unit of no layer.

    """
    if unit is not None and layer is None:
        raise UsageError("`unit=` is a unit of a layer: name it with `layer=`")
    if target is not None and layer is not None:
        raise UsageError("name either a class with `target=`, or a `layer=`, not both")


def check_unit(call: Call, unit: int) -> None:
    """Raise `UsageError` where a layer has no unit of this number."""
    count = call.shape[-1] if call.shape else 1
    if unit >= count:
        raise UsageError(f"`unit={unit}`: {call.name} has {count} units, 0 to {count - 1}")


@dataclass(frozen=True, eq=False)
class Goal:
    """The classes of a network, or the units of one of its layers, before their activation."""

    subject: Subject
    call: str
    """The call whose value before its activation is meant."""
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
        check_unit(self.subject.circuit[self.call], max(units))
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
        self.subject.check_finite(found, self.layer or "")
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
