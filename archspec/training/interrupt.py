"""A stop that Ctrl-C asks for, or a scheduler: after the step under way, with everything saved.

Left to itself a Ctrl-C would come anywhere, with the weights of some backends half-way between two
steps; or nowhere: raised inside a callback of JAX's garbage collection it is printed and forgotten.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any


class Interrupt:
    """Whether a training was asked to stop, by SIGINT (Ctrl-C) or SIGTERM.

    While it trains, the first signal is a request: training stops after the step under way, the run
    is saved, and then the signal reaches the handler that stood there before; but for Python's own
    of Ctrl-C, whose KeyboardInterrupt would take the run away from who called `fit`.

    Before that there is nothing to save, and the second signal insists: it reaches the handler
    before at once, and where that comes back, a KeyboardInterrupt ends the call.
    """

    def __init__(self) -> None:
        self.requested = False
        self.training = False
        """Whether a signal is a request, as from the first step on."""
        self._stop: Callable[[], None] = _nothing
        self._previous: dict[int, Any] = {}
        self._owed: int | None = None
        """The signal that the handler before is to have when the run is saved."""

    @contextlib.contextmanager
    def caught(self) -> Iterator[Interrupt]:
        """Handle the signals inside; in a thread other than the main one, which gets none, do not.

        At the end the handlers stand as before, and the one that is owed a signal gets it.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        for asked in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(asked) is not None:  # else it is C's, and cannot be put back
                self._previous[asked] = signal.signal(asked, self._handle)
        try:
            yield self
        finally:
            for number, handler in self._previous.items():
                signal.signal(number, handler)
            if self._owed is not None:
                signal.raise_signal(self._owed)

    def begin_training(self, stop: Callable[[], None]) -> None:
        """From now on a signal is a request, on which `stop` is called.

        Raises `KeyboardInterrupt` where a signal came before and its exception was lost.
        """
        self.training, self._stop = True, stop
        if self.requested:
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        first, self.requested = not self.requested, True
        previous = self._previous[number]
        if first and self.training:
            self._owed = None if previous is signal.default_int_handler else number
            self._stop()
            return
        self._owed = None
        if callable(previous):
            previous(number, frame)
        elif previous == signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        raise KeyboardInterrupt


def _nothing() -> None:
    """Stop nothing."""


def is_a_request() -> bool:
    """Whether Ctrl-C would ask a training to stop now; any thread may ask."""
    owner = getattr(signal.getsignal(signal.SIGINT), "__self__", None)
    return isinstance(owner, Interrupt) and owner.training
