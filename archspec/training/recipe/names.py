"""The names that Keras 3.15 has for its classes, as a recipe spells them, and those refused.

Known without Keras, so that a misspelt one is found at once, with all else that is wrong in a
recipe, and so that an editor can complete them. Where a newer Keras is installed, it is asked
itself (`archspec.training.compilation.families`); `tests/test_compilation.py` compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from archspec.diagnostics import nearest, suggestion

KERAS: Final = (3, 15)
"""The version whose names these are."""


@dataclass(frozen=True, slots=True)
class Family:
    """One of Keras's families of classes."""

    word: str
    names: tuple[str, ...]
    refused: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Names that a recipe may not give, with what to write instead."""
    own: tuple[str, ...] = ()
    """Names beside Keras's that are archspec's."""
    closed: bool = False
    """Whether no newer Keras adds a name that a recipe may give."""

    def refusal(self, name: str) -> str | None:
        """A help line where `name` is none that a recipe may give, else None."""
        if name in self.names:
            return None
        if name in self.refused:
            return self.refused[name]
        if not self.closed and _is_newer():
            return None
        meant = nearest(name, (*self.own, *self.names, *self.refused))
        if meant is not None and meant in self.refused:
            return self.refused[meant]
        return suggestion(name, (*self.own, *self.names), what=self.plural)

    @property
    def plural(self) -> str:
        return f"{self.word}es" if self.word.endswith("s") else f"{self.word}s"


def _is_newer() -> bool:
    """Whether the Keras that is installed may have more names."""
    from importlib.metadata import version  # noqa: PLC0415  (only where something may be wrong)

    major, minor, *_ = version("keras").split(".")
    return (int(major), int(minor)) > KERAS


OPTIMIZERS: Final = Family(
    "optimizer",
    (
        "adadelta",
        "adafactor",
        "adagrad",
        "adam",
        "adamax",
        "adamw",
        "ftrl",
        "lamb",
        "lion",
        "lossscaleoptimizer",
        "muon",
        "nadam",
        "rmsprop",
        "schedulefreeadamw",
        "sgd",
    ),
    {"multioptimizer": "all weights are trained by one optimizer"},
)

LOSSES: Final = Family(
    "loss",
    (
        "binary_crossentropy",
        "binary_focal_crossentropy",
        "categorical_crossentropy",
        "categorical_focal_crossentropy",
        "categorical_generalized_cross_entropy",
        "categorical_hinge",
        "cosine_similarity",
        "dice",
        "hinge",
        "huber",
        "kl_divergence",
        "log_cosh",
        "mean_absolute_error",
        "mean_squared_error",
        "mean_squared_logarithmic_error",
        "poisson",
        "sparse_categorical_crossentropy",
        "squared_hinge",
        "tversky",
    ),
    {
        "circle": "it compares embeddings, and a network here gives a score for each class",
        "ctc": "it is for sequences, and an image here has one class",
        "mean_absolute_percentage_error": "it divides by labels, and most of them are 0",
    },
)

METRICS: Final = Family(
    "metric",
    (
        "auc",
        "binary_accuracy",
        "binary_crossentropy",
        "binary_io_u",
        "categorical_accuracy",
        "categorical_crossentropy",
        "categorical_hinge",
        "concordance_correlation",
        "cosine_similarity",
        "f1_score",
        "f_beta_score",
        "false_negatives",
        "false_positives",
        "hinge",
        "io_u",
        "kl_divergence",
        "log_cosh_error",
        "mean_absolute_error",
        "mean_absolute_percentage_error",
        "mean_io_u",
        "mean_squared_error",
        "mean_squared_logarithmic_error",
        "one_hot_io_u",
        "one_hot_mean_io_u",
        "pearson_correlation",
        "poisson",
        "precision",
        "precision_at_recall",
        "r2_score",
        "recall",
        "recall_at_precision",
        "root_mean_squared_error",
        "sensitivity_at_specificity",
        "sparse_categorical_accuracy",
        "sparse_categorical_crossentropy",
        "sparse_top_k_categorical_accuracy",
        "specificity_at_sensitivity",
        "squared_hinge",
        "top_k_categorical_accuracy",
        "true_negatives",
        "true_positives",
    ),
    {
        "accuracy": "the accuracy is recorded of every run",
        "mean": "it is of values, not of labels and predictions",
        "mean_metric_wrapper": "it takes a function, and a recipe runs no code",
        "sum": "it is of values, not of labels and predictions",
    },
)

SCHEDULES: Final = Family(
    "schedule",
    (
        "cosine_decay",
        "cosine_decay_restarts",
        "exponential_decay",
        "inverse_time_decay",
        "piecewise_constant_decay",
        "polynomial_decay",
    ),
    own=("plateau", "step", "cosine"),
)
"""Those of Keras count steps, archspec's own epochs."""

_RESUMES: Final = "a run resumes by itself: `archspec fit --resume RUN`"
_SCHEDULE: Final = "write `schedule:` instead: plateau, step, cosine or one of Keras's"
_SHOWN: Final = "every run shows its progress and records its history"

CALLBACKS: Final = Family(
    "callback",
    ("csv_logger", "early_stopping", "model_checkpoint", "tensor_board"),
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
        "terminate_on_nan": "every run stops at a loss that is no number",
    },
    closed=True,
)
"""A callback may write files, in the run's folder, but calls no code and opens no connection."""
