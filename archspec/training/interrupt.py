"""Ctrl-C and SIGTERM as a request to stop training after the current step, with everything saved.

Otherwise a KeyboardInterrupt could come between two halves of a step, which leaves some backends'
weights inconsistent; or be lost: Python prints and forgets one that is raised inside a callback of
garbage collection, as JAX has.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any


class Interrupt:
    """Handlers of SIGINT (Ctrl-C) and SIGTERM that ask a training to stop.

    They chain to the handlers that they replace. While a network trains, the first signal stops it
    after the current step; once the run is saved, the signal goes on to the former handler. Only
    Python's own handler of Ctrl-C is left out then: its KeyboardInterrupt would discard the run
    that `fit` returns.

    Before training there is nothing to save, and a second signal insists: both go to the former
    handler at once, and if it returns, a KeyboardInterrupt ends the call.
    """

    def __init__(self) -> None:
        self.requested = False
        self.training = False
        """Whether a signal is a request, which it is from the first step on."""
        self._stop: Callable[[], None] = _nothing
        self._former: dict[int, Any] = {}
        self._pending: int | None = None
        """The signal to hand to its former handler when the run is saved."""

    @contextlib.contextmanager
    def caught(self) -> Iterator[Interrupt]:
        """Install the handlers, then restore the former ones and hand them a pending signal.

        Does nothing in threads other than the main one, which get no signals.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        for caught in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(caught) is not None:  # None: a C handler, which cannot be restored
                self._former[caught] = signal.signal(caught, self._handle)
        try:
            yield self
        finally:
            for number, handler in self._former.items():
                signal.signal(number, handler)
            if self._pending is not None:
                signal.raise_signal(self._pending)

    def begin_training(self, stop: Callable[[], None]) -> None:
        """Take signals as requests from now on, and call `stop` on the first.

        Raises:
            KeyboardInterrupt: A signal came before, and its exception was lost.

        """
        self.training, self._stop = True, stop
        if self.requested:
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        first, self.requested = not self.requested, True
        former = self._former[number]
        if first and self.training:
            self._pending = None if former is signal.default_int_handler else number
            self._stop()
            return
        self._pending = None
        if callable(former):
            former(number, frame)
        elif former == signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        raise KeyboardInterrupt


def _nothing() -> None:
    """Stop nothing."""


def is_a_request() -> bool:
    """Return whether Ctrl-C would now ask a training to stop; any thread may call this."""
    owner = getattr(signal.getsignal(signal.SIGINT), "__self__", None)
    return isinstance(owner, Interrupt) and owner.training
