"""A check after each epoch that the images are still those that the run began with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from archspec.runs.files import DATA
from archspec.training.callbacks import Logs, Watcher
from archspec.training.hosts import Hosts

if TYPE_CHECKING:
    from archspec.data.dataset import Data


class DataCheck(Watcher):
    """A watcher that ends a run whose images changed, before the epoch is recorded.

    With `on_error: skip`, others stand in for unreadable images: a warning says so if that affects
    a validation score.
    """

    def __init__(self, data: Data, watchers: Sequence[Watcher], hosts: Hosts) -> None:
        self._data = data
        self._watchers = watchers
        self._hosts = hosts
        self._failed = 0

    def epoch_ends(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002
        data = self._data
        with self._hosts.all_succeed():
            data.check_unchanged()
        failed = len(data.validation) - len(data.without_failed(data.validation))
        if failed > self._failed:
            self._failed = failed
            for watcher in self._watchers:
                watcher.warns(
                    f"{failed:,} of the {len(data.validation):,} validation images can no longer "
                    "be read: others of their classes take their place, and count twice in the "
                    f"validation's measures; {DATA} names them"
                )
