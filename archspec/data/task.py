"""The task of a network: what the labels of examples are, and so what its outputs mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

TaskKind: TypeAlias = Literal["classification", "multi_label", "regression"]

NOUNS: Final[Mapping[TaskKind, tuple[str, str]]] = {
    "classification": ("class", "classes"),
    "multi_label": ("label", "labels"),
    "regression": ("value", "values"),
}
"""Words for what each output of a network stands for, one and several, by the kind of task."""


MAIN_MEASURES: Final[Mapping[TaskKind, str]] = {
    "classification": "accuracy",
    "multi_label": "accuracy",
    "regression": "mae",
}
"""The measure that every run of a task records beside the loss."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task for a network: one class of several, a set of labels, or numbers.

    `classification` is one class for each example, by a softmax. `multi_label` is a set of labels
    for each, by a sigmoid for each label. `regression` is one or several numbers for each.
    """

    kind: TaskKind
    names: tuple[str, ...]
    """Names of the classes, labels or values, in the order of the network's outputs."""

    @property
    def outputs(self) -> str:
        """The number of classes, labels or values, as `3 values`."""
        return f"{len(self.names):,} {NOUNS[self.kind][len(self.names) != 1]}"

    def __str__(self) -> str:
        return f"{self.kind}, {self.outputs}"
