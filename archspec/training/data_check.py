"""Whether the images are still those that a run began with, looked at after each epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from archspec.training.callbacks import Logs, Watcher
from archspec.training.hosts import Hosts

if TYPE_CHECKING:
    from archspec.data.dataset import Data


class DataCheck(Watcher):
    """A watcher that ends a run whose images changed, before the epoch is written down.

    Of images that others may stand in for, it says so where that touches a score.
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
        failed = len(data.validation) - len(data.read_well(data.validation))
        if failed > self._failed:
            self._failed = failed
            for watcher in self._watchers:
                watcher.warns(
                    f"{failed:,} of the {len(data.validation):,} validation images cannot be read "
                    "any more: others of their classes stand in, and count twice in validation's "
                    "measures; data.json names them"
                )
