"""The names that Keras has for its classes, as a recipe spells them, and those that it may not say.

The names and their arguments are those of Keras 3.15, from `keras.json`:

    python -m archspec.recipe.families > archspec/recipe/keras.json

Known without Keras, so that a misspelt one is found at once, with all else that is wrong in a
recipe, and so that an editor can complete them. Where a newer Keras is installed, it is asked
itself (`archspec.recipe.families`).
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
"""The version whose names these are."""

Parameters: TypeAlias = Mapping[str, tuple[()] | tuple[Any]]
"""The arguments of a class by name, each with its default, or with nothing if it has none."""


@cache
def _keras() -> Mapping[str, Mapping[str, Parameters]]:
    """The arguments of each class of each family."""
    text = Path(__file__).with_name("keras.json").read_text(encoding="utf-8")
    return {
        word: {
            name: {argument: tuple(default) for argument, default in arguments.items()}
            for name, arguments in classes.items()
        }
        for word, classes in json.loads(text).items()
    }


@dataclass(frozen=True, slots=True)
class Family:
    """One of Keras's families of classes."""

    word: str
    refused: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Names that a recipe may not give, with what to write instead."""
    own: tuple[str, ...] = ()
    """Names beside Keras's that are archspec's."""
    closed: bool = False
    """Whether no newer Keras adds a name that a recipe may give."""
    objects: Mapping[str, Family] = field(default_factory=lambda: MappingProxyType({}))
    """Arguments that are themselves named, each with its family."""
    given: tuple[str, ...] = ()
    """Arguments that archspec gives where a recipe does not."""

    @property
    def classes(self) -> Mapping[str, Parameters]:
        """The classes that a recipe may name, each with its arguments."""
        known = _keras()[self.word].items()
        return {name: arguments for name, arguments in known if name not in self.refused}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.classes)

    def problem(self, name: str) -> Problem | None:
        """What is wrong with a name, if anything is."""
        hint = self.refusal(name)
        if hint is None:
            return None
        message = f"{'there is' if self.own else 'Keras has'} no {self.word} `{name}`"
        if name in self.refused:
            message = f"a recipe takes no {self.word} `{name}`"
        return Problem("unknown-name", message, help=hint)

    def refusal(self, name: str) -> str | None:
        """A help line where `name` is none that a recipe may give, else None."""
        if name in self.names:
            return None
        if name in self.refused:
            return self.refused[name]
        if not self.closed and is_newer():
            return None
        meant = nearest(name, (*self.own, *self.names, *self.refused))
        if meant is not None and meant in self.refused:
            return self.refused[meant]
        names = (*self.own, *self.names)
        return suggestion(name, names, what=self.plural, meant=value_meant(name, names))

    @property
    def plural(self) -> str:
        return f"{self.word}es" if self.word.endswith("s") else f"{self.word}s"


def is_newer() -> bool:
    """Whether the Keras that is installed may have more names."""
    from importlib.metadata import version  # noqa: PLC0415  (only where something may be wrong)

    major, minor, *_ = version("keras").split(".")
    return (int(major), int(minor)) > KERAS


SCHEDULES: Final = Family(
    "schedule", own=("plateau", "step", "cosine"), given=("initial_learning_rate",)
)
"""Those of Keras count steps, archspec's own epochs."""

_OF_SEVERAL: Final = {"multioptimizer": "all weights are trained by one optimizer"}
_RATE: Final = {"learning_rate": replace(SCHEDULES, own=(), given=())}
OPTIMIZERS: Final = Family(
    "optimizer",
    _OF_SEVERAL,
    objects={
        **_RATE,
        "inner_optimizer": Family(
            "optimizer", {**_OF_SEVERAL, "lossscaleoptimizer": "one is enough"}, objects=_RATE
        ),
    },
)

LOSSES: Final = Family(
    "loss",
    {
        "circle": "it compares embeddings, and a network here gives a score for each class",
        "ctc": "it is for sequences, and an image here has one class",
        "mean_absolute_percentage_error": "it divides by labels, and most of them are 0",
    },
)

METRICS: Final = Family(
    "metric",
    {
        "accuracy": "the accuracy is recorded of every run",
        "mean": "it is of values, not of labels and predictions",
        "mean_metric_wrapper": "it takes a function, and a recipe runs no code",
        "sum": "it is of values, not of labels and predictions",
    },
)

_RESUMES: Final = f"a run resumes by itself: {call('resume', ...)}"
_SCHEDULE: Final = "write `schedule:` instead: plateau, step, cosine or one of Keras's"
_SHOWN: Final = "every run shows its progress and records its history"

CALLBACKS: Final = Family(
    "callback",
    {
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
"""A callback may write files, in the run's folder, but calls no code and opens no connection."""
