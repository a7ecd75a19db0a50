"""The name of every file in a run's folder. No other module spells them."""

from __future__ import annotations

from typing import Final

SPEC: Final = "spec.yaml"
"""The network with its variables, and the whole recipe: `archspec fit RUN/spec.yaml` repeats it."""

DATA: Final = "data.json"
"""The run's data and how its images are prepared: `records.DataRecord`."""

ORIGIN: Final = "origin.json"
"""The contents of `spec.yaml` and `data.json` when the run began: `origin.Origin`."""

TRANSFER: Final = "transfer.json"
"""The source of a run's initial weights where they are not random: `records.TransferRecord`."""

ENVIRONMENT: Final = "environment.json"
"""Machine and versions of each process that trained the run: `records.environments`."""

HISTORY: Final = "history.csv"
"""A row for each completed epoch."""

CURVES: Final = ("curves.svg", "curves.png")
"""Pictures of the history."""

UNITS: Final = "units.csv"
"""Gradients, dead and saturated units by layer and epoch: `units.write`."""

UNITS_PICTURES: Final = ("units.svg", "units.png")
"""Pictures of `units.csv`."""

BEST: Final = "best.keras"
"""The model of the best epoch."""

FINAL: Final = "final.keras"
"""The model of the last epoch."""

MODELS: Final = (BEST, FINAL)
"""The models of a run's folder, the better first."""

SCORES: Final = "scores.json"
PER_CLASS: Final = "per_class.csv"
PER_LABEL: Final = "per_label.csv"
PER_VALUE: Final = "per_value.csv"
CONFUSION: Final = "confusion.csv"
CONFUSION_PICTURES: Final = ("confusion.svg", "confusion.png")
"""Scores of the best model on the test images: by class, label or value."""

MISTAKES: Final = "mistakes.csv"
MISTAKES_PICTURES: Final = ("mistakes.svg", "mistakes.png")
"""Test images of which the best model was surest of a wrong class or label, or whose numbers it
missed most."""

RESULT: Final = "run.json"
"""The run's result: `outcome.Run`."""

INDEX: Final = "index.html"
"""The page of a folder: a run's, with the network, the recipe, curves and results, written while it
goes on; a gallery's, with all its pictures."""

NETWORK_PAGE: Final = "network.html"
"""A page with the costs of every layer, as `archspec build SPEC -o network.html` writes it."""

SUMMARY: Final = "summary.md"
"""A page for people: the network, the data and the result."""

LINKED: Final = (SPEC, HISTORY, BEST, FINAL, SUMMARY)
"""Files to which the page of a run has links."""

CHECKPOINTS: Final = "checkpoints"
"""Folder of the checkpoints from which a run resumes: `checkpoints.Checkpoint`."""

CALLBACKS: Final = "callbacks"
"""Folder of the files that Keras's callbacks write."""

TENSORBOARD: Final = "tensorboard"
"""Folder of TensorBoard's logs."""

RATES: Final = "rates.csv"
RATES_PICTURES: Final = ("rates.svg", "rates.png")
"""Learning rates that were tried and the loss at each, in a folder that holds nothing else."""

CLAIM: Final = ".claimed"
"""A file that the process which trains in a folder holds locked."""
