"""Keras's optimizers, losses, metrics, schedules and callbacks by name, without Keras.

Their names and arguments are those of Keras 3.15, from `keras.json`:

    python -m archspec.recipe.objects > archspec/recipe/keras.json

So a misspelt one is found at once, with all other mistakes of a recipe, and an editor can complete
them. If a newer Keras is installed, Keras itself is asked (`archspec.recipe.objects`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from archspec.errors import Problem, call, nearest, suggestion
from archspec.vocabulary import value_meant

KERAS: Final = (3, 15)
"""Version of Keras that `keras.json` describes."""

Parameters: TypeAlias = Mapping[str, tuple[()] | tuple[Any]]
"""The arguments of a class by name, each with its default, or empty if it has none."""


@cache
def _keras() -> Mapping[str, Mapping[str, Parameters]]:
    """Return the arguments of each class of each family."""
    text = Path(__file__).with_name("keras.json").read_text(encoding="utf-8")
    return {
        word: {
            name: {argument: tuple(default) for argument, default in arguments.items()}
            for name, arguments in classes.items()
        }
        for word, classes in json.loads(text).items()
    }


@dataclass(frozen=True, slots=True)
class KerasFamily:
    """A family of Keras's classes: those in one of its modules that have the same base class."""

    word: str
    module: str
    base: str
    refused: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Names that a recipe must not use, each with what to write instead."""
    own: tuple[str, ...] = ()
    """Further names, which are archspec's."""
    closed: bool = False
    """Whether names that only a newer Keras has are refused."""
    objects: Mapping[str, KerasFamily] = field(default_factory=lambda: MappingProxyType({}))
    """Arguments that are objects by name themselves, each with its family."""
    given: tuple[str, ...] = ()
    """Arguments for which archspec has a value where a recipe has none."""

    @property
    def classes(self) -> Mapping[str, Parameters]:
        """The classes that a recipe may name, each with its arguments."""
        known = _keras()[self.word].items()
        return {name: arguments for name, arguments in known if name not in self.refused}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.classes)

    @property
    def plural(self) -> str:
        return f"{self.word}es" if self.word.endswith("s") else f"{self.word}s"

    def problem(self, name: str) -> Problem | None:
        """Return what is wrong with a name; None if a recipe may use it."""
        if name in self.names or (not (self.closed or name in self.refused) and is_newer()):
            return None
        message = f"{'there is' if self.own else 'Keras has'} no {self.word} `{name}`"
        if name in self.refused:
            message = f"a recipe takes no {self.word} `{name}`"
        names = (*self.own, *self.names)
        hint = self.refused.get(nearest(name, (*names, *self.refused)) or "")
        if hint is None:
            hint = suggestion(name, names, what=self.plural, meant=value_meant(name, names))
        return Problem("unknown-name", message, help=hint)


def is_newer() -> bool:
    """Return whether the Keras that is installed may have more names."""
    return _installed() > KERAS


@cache
def _installed() -> tuple[int, int]:
    """Return the version of Keras that is installed, whose package is read once."""
    from importlib.metadata import version  # noqa: PLC0415  (only where a recipe names something)

    major, minor, *_ = version("keras").split(".")
    return int(major), int(minor)


SCHEDULES: Final = KerasFamily(
    "schedule",
    "optimizers.schedules",
    "LearningRateSchedule",
    own=("plateau", "step", "cosine"),
    given=("initial_learning_rate",),
)
"""Keras's count steps, archspec's own count epochs."""

_ONE_OPTIMIZER: Final = {"multioptimizer": "all weights are trained by one optimizer"}
_RATE: Final = {"learning_rate": replace(SCHEDULES, own=(), given=())}
_INNER: Final = KerasFamily(
    "optimizer",
    "optimizers",
    "Optimizer",
    refused={
        **_ONE_OPTIMIZER,
        "lossscaleoptimizer": "`inner_optimizer` is the one whose loss is scaled, such as adam",
    },
    objects=_RATE,
)
OPTIMIZERS: Final = replace(
    _INNER, refused=_ONE_OPTIMIZER, objects={**_RATE, "inner_optimizer": _INNER}
)

LOSSES: Final = KerasFamily(
    "loss",
    "losses",
    "Loss",
    refused={
        "circle": "it compares embeddings, and a network here gives a score for each class",
        "ctc": "it is for sequences, and an image here has one class",
        "mean_absolute_percentage_error": "it divides by labels, and most of them are 0",
    },
)

METRICS: Final = KerasFamily(
    "metric",
    "metrics",
    "Metric",
    refused={
        "accuracy": "every run records the accuracy",
        "mean": "it takes values, not labels and predictions",
        "mean_metric_wrapper": "it takes a function, and a recipe runs no code",
        "sum": "it takes values, not labels and predictions",
    },
)

_RESUMES: Final = f"a run resumes by itself: {call('resume', ...)}"
_SCHEDULE: Final = "write `schedule:` instead: plateau, step, cosine or one of Keras's"
_SHOWN: Final = "every run shows its progress and records its history"

CALLBACKS: Final = KerasFamily(
    "callback",
    "callbacks",
    "Callback",
    refused={
        "backup_and_restore": _RESUMES,
        "callback_list": "write the callbacks themselves",
        "history": _SHOWN,
        "lambda_callback": "a recipe runs no code; give archspec.fit a watcher, from Python",
        "learning_rate_scheduler": _SCHEDULE,
        "orbax_checkpoint": "write `model_checkpoint` instead",
        "progbar_logger": _SHOWN,
        "reduce_lr_on_plateau": "write `schedule: {plateau: {factor: 0.1, patience: 5}}` instead",
        "remote_monitor": "a recipe opens no connection; write `csv_logger` or `tensor_board`",
        "swap_ema_weights": "averages of an optimizer with `use_ema` are judged and saved anyway",
        "terminate_on_nan": "every run stops at a loss that is not a number",
    },
    closed=True,
    given=("filename", "filepath"),
)
"""A callback may write files, in the run's folder, but it calls no code and opens no connection."""

FAMILIES: Final = (OPTIMIZERS, LOSSES, METRICS, SCHEDULES, CALLBACKS)
