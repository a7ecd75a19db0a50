"""Commands that start an engine: messages meanwhile, and a Ctrl-C that always ends them."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

from .output import echo, terminal_width, vanishing_line

INTERRUPTED: Final = 130
"""Exit code of a command that Ctrl-C ended."""

LOST: Final = b"\0"
"""Written among the numbers of signals: the exception of the last Ctrl-C was lost."""

LOST_SECONDS: Final = 0.1
"""Time after which a lost exception is raised again: by then the callback has returned."""

INSISTING_SECONDS: Final = 3.0
"""Time after which it is raised again if it has not ended the command, for any reason."""


class EngineCommand(click.Command):
    """A command that may start an engine.

    On a terminal it reports a start that takes long, but not with `--quiet` or `--json`.
    """

    def invoke(self, ctx: click.Context) -> Any:
        from archspec.keras_model.starting import announcing

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
            from archspec.keras_model.refusals import explained

            with explained():
                raise


def say(text: str) -> None:
    """Print the progress of a command to standard error."""
    echo(text, err=True)


@contextmanager
def loading_line(*, quiet: bool) -> Iterator[Callable[[str], None] | None]:
    """Yield what `vanishing_line` does; at first the line tells of the engine's start."""
    with vanishing_line(quiet=quiet) as show:
        if show is None:
            yield None
            return
        from archspec.keras_model.starting import announcing

        show("loading ..")
        with announcing(show, instead=True):
            yield show


@contextmanager
def counter(*, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Yield a function that shows a count of images in such a line."""
    with loading_line(quiet=quiet) as show:
        yield show and (lambda done, total: show(f"{done:,} of {total:,} images"))


class _CtrlC:
    """Handler of Ctrl-C in a separate thread, which also works while C++ code runs.

    Python raises a KeyboardInterrupt when C++ code returns, which may take long; and an engine may
    lose it: an exception inside a callback of garbage collection, as JAX has one, is printed and
    ignored, and so is one in an import with `except:`. Here it is raised again until the command
    has ended, unless it asked a training to stop. While an engine starts, and the second time,
    Ctrl-C ends the process at once: every file is complete at any moment.
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
            os.write(self._writer, LOST)
        else:
            self._usual(unraisable)

    def _listen(self, reader: int) -> None:
        from select import select

        insists = False
        while True:
            if not select([reader], [], [], INSISTING_SECONDS if insists else None)[0]:
                self._raise_again()
            elif not (number := os.read(reader, 1)):
                return
            elif number == LOST:
                time.sleep(LOST_SECONDS)
                self._raise_again()
            elif number[0] == signal.SIGINT:
                insists = self._press()

    def _press(self) -> bool:
        """Count a Ctrl-C; end the process by it, or say whether it is to end the command."""
        from archspec.keras_model.starting import is_starting
        from archspec.training.interrupt import is_a_request

        self.presses += 1
        if self.presses > 1 or is_starting():
            os.write(2, b"\n")  # the cursor may be anywhere
            os._exit(INTERRUPTED)
        return not is_a_request()

    def _raise_again(self) -> None:
        self.presses -= 1  # the number is written again, too
        _thread.interrupt_main()
