"""The name of every file in a run's folder."""

from __future__ import annotations

from typing import Final

SPEC: Final = "spec.yaml"
"""The network with its variables, and the whole recipe: `archspec fit RUN/spec.yaml` repeats it."""

DATA: Final = "data.json"
"""What the run learns from, and how its images are prepared: `records.DataRecord`."""

ORIGIN: Final = "origin.json"
"""What `spec.yaml` and `data.json` said when the run began: `beginning.Origin`."""

TRANSFER: Final = "transfer.json"
"""From which weights a run began that did not begin with random ones: `records.TransferRecord`."""

ENVIRONMENT: Final = "environment.json"
"""What each sitting computes on: `records.environments`."""

HISTORY: Final = "history.csv"
"""A row for each completed epoch."""

CURVES: Final = ("curves.svg", "curves.png")
"""The history as pictures."""

UNITS: Final = "units.csv"
"""Gradients, dead and saturated units by layer and epoch: `units.write`."""

UNITS_PICTURES: Final = ("units.svg", "units.png")
"""The same as pictures."""

BEST: Final = "best.keras"
"""The model of the best epoch."""

FINAL: Final = "final.keras"
"""The model of the last epoch."""

MODELS: Final = (BEST, FINAL)
"""The models of a run's folder, the better first."""

SCORES: Final = "scores.json"
PER_CLASS: Final = "per_class.csv"
CONFUSION: Final = "confusion.csv"
CONFUSION_PICTURES: Final = ("confusion.svg", "confusion.png")
"""How the best model did on the test images."""

RESULT: Final = "run.json"
"""What came of the run: `outcome.Run`."""

SUMMARY: Final = "summary.md"
"""What was trained and what came of it, in words."""

CHECKPOINTS: Final = "checkpoints"
"""The folder of what a run can go on from: `checkpoint.Checkpoint`."""

CALLBACKS: Final = "callbacks"
"""The folder of what Keras's callbacks write."""

TENSORBOARD: Final = "tensorboard"
"""The folder of TensorBoard's logs."""

CLAIM: Final = ".claimed"
"""Who trains in a folder holds this file in it locked."""
