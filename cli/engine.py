"""Commands that start an engine: what is said meanwhile, and how Ctrl-C ends them, always."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

from .output import echo, terminal_width

INTERRUPTED: Final = 130
"""The exit code of what Ctrl-C ended."""

AGAIN: Final = b"\0"
"""Written where the numbers of signals are: the last Ctrl-C is to be raised again."""

RAISED_AGAIN_SECONDS: Final = 0.1
"""After what an exception that was lost is raised again: by then its callback is over."""


class EngineCommand(click.Command):
    """A command that may start an engine.

    On a terminal it says so where that takes long, but not with `--quiet` or `--json`.
    """

    def invoke(self, ctx: click.Context) -> Any:
        from archspec.emit.starting import announcing

        silent = bool(ctx.params.get("quiet")) or ctx.params.get("form") == "json"
        silent = silent or terminal_width(sys.stderr) is None
        ctrl_c = _CtrlC()
        try:
            with announcing(None if silent else say), ctrl_c.heard():
                return super().invoke(ctx)
        except Exception as error:
            # C++ code of an engine makes another exception of Python's KeyboardInterrupt.
            if ctrl_c.presses and not isinstance(error, click.exceptions.Exit):
                raise KeyboardInterrupt from error
            raise


def say(text: str) -> None:
    """Say on standard error what a command is at."""
    echo(text, err=True)


class _CtrlC:
    """Hears each Ctrl-C in a thread of its own, also while C++ code runs and Python's does not.

    Python raises a KeyboardInterrupt when it comes back from C++ code, which may take long; and
    inside a callback of garbage collection, as JAX has one, the exception is printed and forgotten.
    Here such a one is raised again, and the second Ctrl-C ends the process on the spot: every file
    is whole at any moment.
    """

    def __init__(self) -> None:
        self.presses = 0
        self._writer = -1

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Hear it inside, in the main thread of a system with pipes that signals can write to."""
        if os.name != "posix" or threading.current_thread() is not threading.main_thread():
            yield
            return
        reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        listener = threading.Thread(target=self._listen, args=(reader,), daemon=True)
        listener.start()
        forgotten, sys.unraisablehook = sys.unraisablehook, self._forgotten
        self._usual = forgotten
        before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            sys.unraisablehook = forgotten
            os.close(self._writer)
            listener.join()
            os.close(reader)

    def _forgotten(self, unraisable: Any) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            os.write(self._writer, AGAIN)
        else:
            self._usual(unraisable)

    def _listen(self, reader: int) -> None:
        while numbers := os.read(reader, 1):
            if numbers == AGAIN:
                self.presses -= 1  # it writes the number again
                time.sleep(RAISED_AGAIN_SECONDS)
                _thread.interrupt_main()
            elif numbers[0] == signal.SIGINT:
                self.presses += 1
                if self.presses > 1:
                    os.write(2, b"\n")  # the cursor may be anywhere
                    os._exit(INTERRUPTED)
