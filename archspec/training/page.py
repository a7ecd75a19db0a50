"""A run's page, `index.html`, written while it trains."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from archspec.cost.report import Report
from archspec.cost.setting import setting
from archspec.display import renderer
from archspec.evaluation.scores import TaskScores
from archspec.runs.outcome import Run
from archspec.runs.state import RunState
from archspec.training.callbacks import Watcher
from archspec.training.session import Session

SHARE: Final = 0.02
"""Largest share of the time to spend on the page: of short epochs, not each one writes it."""


class PageWriter(Watcher):
    """A watcher that writes the page after epochs.

    A page that cannot be written ends no training: the others are told so once.
    """

    def __init__(
        self, session: Session, home: Path, state: RunState, watchers: Sequence[Watcher]
    ) -> None:
        plan, recipe = session.plan, session.recipe.to_dict()
        counted = [recipe[name] for name in ("batch", "precision", "optimizer")]
        self._page: Any = renderer("run_page").RunPage(
            Report(plan.graph, plan.spec, setting(plan.spec, *counted)),
            recipe,
            session.data.describe(),
            session.objective.measure,
            session.recipe.epochs,
            session.least_loss.value if session.least_loss else None,
        )
        self._home = home
        self._state = state
        self._watchers = watchers
        self._is_due = 0.0
        self._failed = False

    def begin(self) -> None:
        """Write the network's page, and the run's before its first epoch."""
        with self._told_if_unwritable():
            self._page.write_network(self._home)
        self.write()

    def write(self, run: Run | None = None, scores: TaskScores | None = None) -> None:
        """Write the page now; `run` and the scores of its test images are known at the end."""
        began = time.monotonic()
        state = self._state
        with self._told_if_unwritable():
            self._page.write(self._home, state.rows, state.best_epoch, run, scores)
        now = time.monotonic()
        self._is_due = now + (now - began) / SHARE

    def saved(self, path: Path, epoch: int, *, best: bool) -> None:  # noqa: ARG002
        """Write the page if it is due."""
        if time.monotonic() >= self._is_due:
            self.write()

    @contextmanager
    def _told_if_unwritable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self._failed:
                self._failed = True
                for watcher in self._watchers:
                    watcher.warns(f"the run's page cannot be written: {error.strerror}")
