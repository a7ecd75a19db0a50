"""A run's measures as logs for TensorBoard, whose own writer works without TensorFlow."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from typing import Any

from archspec.errors import Problem, RecipeError
from archspec.runs.files import TENSORBOARD
from archspec.runs.outcome import Run
from archspec.training.callbacks import Logs, Watcher


def check() -> None:
    """Raise `RecipeError` if the package is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        message = "logs for TensorBoard need the package tensorboard"
        hint = "pip install 'keras-archspec[tensorboard]'"
        raise RecipeError([(("tensorboard",), Problem("value", message, help=hint))])


class TensorBoard(Watcher):
    """A watcher that writes each epoch's measures, training and validation in the same chart."""

    def __init__(self, home: Path) -> None:
        from tensorboard.summary.writer.event_file_writer import (  # noqa: PLC0415
            EventFileWriter,
        )

        self._writers = {part: EventFileWriter(str(home / TENSORBOARD / part)) for part in _PARTS}

    def rate_changes(self, rate: float) -> None:
        self._rate = rate

    def epoch_ends(self, epoch: int, logs: Logs) -> None:
        for name, value in {**logs, "learning_rate": self._rate}.items():
            validated = name.startswith("val_")
            part = "validation" if validated else "training"
            self._writers[part].add_event(_event(name.removeprefix("val_"), value, epoch))
        for writer in self._writers.values():
            writer.flush()

    def ends(self, run: Run) -> None:  # noqa: ARG002
        for writer in self._writers.values():
            writer.close()


_PARTS = ("training", "validation")


def _event(name: str, value: float, epoch: int) -> Any:
    from tensorboard.compat.proto.event_pb2 import Event  # noqa: PLC0415
    from tensorboard.compat.proto.summary_pb2 import Summary  # noqa: PLC0415

    scalar = Summary.Value(tag=name, simple_value=value)
    return Event(wall_time=time.time(), step=epoch, summary=Summary(value=[scalar]))
