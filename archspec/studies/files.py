"""The name of every file in the folder of a search. No other module spells them."""

from __future__ import annotations

from typing import Final

STUDY: Final = "search.json"
"""The place of the trials: their storage, and the study's name in it."""

DATABASE: Final = "study.db"
"""The trials, as Optuna stores them, unless another storage was given."""

TRIALS: Final = "trials"
"""Folder of the runs, each called by the number of its trial."""

TABLE: Final = "trials.csv"
"""A row for each trial."""

BEST: Final = "best.yaml"
"""The best network, its variables resolved, with the recipe by which it was trained."""
