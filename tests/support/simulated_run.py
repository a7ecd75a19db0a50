"""A run that trains nothing, by a clock of its own, for those who watch it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

from archspec.training.callbacks import RunFacts, Watcher


class Clock:
    """Seconds that pass only when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def run(
    watcher: Watcher,
    clock: Clock,
    facts: RunFacts,
    *,
    step_seconds: Callable[[int], float] = lambda _: 0.5,
    validation_seconds: float = 0.0,
    logs: dict[str, float] | None = None,
) -> Iterator[int]:
    """Tell `watcher` of a run; gives the number of each step of the run when it is done."""
    logs = logs or {"loss": 1.5, "accuracy": 0.5}
    watcher.begins(facts)
    number = 0
    for epoch in range(facts.first_epoch, facts.epochs + 1):
        watcher.epoch_begins(epoch)
        if epoch == facts.first_epoch:
            watcher.rate_changes(0.1)
        for step in range(1, facts.steps + 1):
            number += 1
            clock.now += step_seconds(number)
            watcher.steps_done(step, logs)
            yield number
        measured = {f"val_{name}": value / 2 for name, value in logs.items()}
        if facts.validation_images:
            watcher.validated(0)
            clock.now += validation_seconds
            watcher.validated(facts.validation_steps)
        watcher.epoch_ends(epoch, logs | (measured if facts.validation_images else {}))
        watcher.saved(Path("best.keras"), epoch, best=epoch == facts.first_epoch)
    ending = SimpleNamespace(
        outcome="finished",
        folder=Path("runs/net-1"),
        best_epoch=facts.first_epoch,
        test={"loss": 1.0},
        seconds=clock.now,
        advice="",
    )
    watcher.ends(ending)
