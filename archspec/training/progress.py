"""How far a training run is: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable
from typing import Final, TextIO

from archspec.training.callbacks import Logs

REDRAW_SECONDS: Final = 0.1
BAR_WIDTH: Final = 20


def tell(stream: TextIO, text: str) -> None:
    """Write `text` at once; a reader who went away is no reason to end a training."""
    with contextlib.suppress(OSError):
        stream.write(text)
        stream.flush()


class Progress:
    """A line for the epoch under way, rewritten on a terminal; elsewhere one line an epoch."""

    def __init__(
        self,
        stream: TextIO,
        *,
        epochs: int,
        images: int,
        batch: int,
        accuracy: str = "accuracy",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._epochs = epochs
        self._images = images
        self._batch = batch
        self._accuracy = accuracy
        self._clock = clock
        self._live = stream.isatty()
        self._colour = self._live and not os.environ.get("NO_COLOR")
        self._drawn = float("-inf")
        self._width = 0
        self._started = self._epoch_started = clock()
        self._epoch = self._seen = 0
        self._logs: Logs = {}
        self._rate = 0.0
        self._validation = ""

    def epoch_begins(self, epoch: int) -> None:
        self._epoch, self._seen = epoch, 0
        self._epoch_started = self._clock()

    def steps_done(self, steps: int, logs: Logs) -> None:
        now = self._clock()
        self._seen, self._logs = min(steps * self._batch, self._images), logs
        if now > self._epoch_started:
            self._rate = self._seen / (now - self._epoch_started)
        if self._live and now - self._drawn >= REDRAW_SECONDS:
            self._drawn = now
            self._redraw()

    def epoch_ends(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002  (the watcher's face)
        self._logs = logs
        self._validation = self._measures("val_")
        if not self._live:
            stopped = "" if self._seen == self._images else "(stopped within)"
            fields = [*self._fields(bar=False), stopped]
            tell(self._stream, "  ".join(filter(None, fields)) + "\n")

    def close(self) -> None:
        """Show where the run ended, and leave the cursor on a line of its own."""
        if self._live and self._epoch:
            self._redraw()
            tell(self._stream, "\n")

    def _redraw(self) -> None:
        columns = shutil.get_terminal_size().columns - 1  # a full line would wrap
        text = fit_fields(self._fields(bar=True), columns)
        padding = " " * (min(self._width, columns) - len(text))
        self._width = len(text)
        if self._colour:
            text = text.replace("#", "\x1b[32m#", 1).replace("]", "\x1b[0m]", 1)
        tell(self._stream, f"\r{text}{padding}")

    def _fields(self, *, bar: bool) -> list[str]:
        """Most important first: a narrow terminal shows as many as fit."""
        done = (self._epoch - 1 + self._seen / self._images) / self._epochs
        left = (self._clock() - self._started) * (1 - done) / done if done else 0.0
        filled = BAR_WIDTH * self._seen // self._images
        return [
            f"epoch {self._epoch:>{len(str(self._epochs))}}/{self._epochs}",
            f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}]" if bar else "",
            f"ETA {duration(left)}",
            self._measures(""),
            f"validation {self._validation}" if self._validation else "",
            f"{self._rate:,.0f} images/s",
        ]

    def _measures(self, prefix: str) -> str:
        loss = self._logs.get(f"{prefix}loss")
        accuracy = self._logs.get(f"{prefix}{self._accuracy}")
        parts = (
            "" if loss is None else f"loss {loss:{'.4f' if abs(loss) < 1e4 else '.3g'}}",
            "" if accuracy is None else f"accuracy {accuracy:6.1%}",
        )
        return " ".join(filter(None, parts))


def fit_fields(fields: list[str], columns: int) -> str:
    """As many leading fields as `columns` hold, two spaces apart."""
    text = ""
    for field in filter(None, fields):
        longer = f"{text}  {field}" if text else field
        if len(longer) > columns:
            break
        text = longer
    return text


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, as 1:02:03 or 0:07."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
