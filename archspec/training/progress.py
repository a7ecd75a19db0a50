"""Progress of a training run for people: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TextIO

from archspec.runs.outcome import Run
from archspec.system import Gauge
from archspec.text import duration, is_error, number, without_controls
from archspec.training.callbacks import Logs, RunFacts, Watcher
from archspec.training.pace import Pace

REDRAW_SECONDS: Final = 0.1
SHORTEST_BAR: Final = 8
LONGEST_BAR: Final = 20


class Segment(NamedTuple):
    """A part of the line; where space is short, those of the highest rank go first."""

    rank: int
    text: str


class Progress(Watcher):
    """A watcher that shows a line for each epoch, live on a terminal.

    Close it however the run ends, so that the cursor is left on a new line.

    Args:
        stream: The terminal or file.
        clock: Returns the time in seconds.
        say: Translates a message, as into the words of the command line.

    """

    def __init__(
        self,
        stream: TextIO,
        *,
        clock: Callable[[], float] = time.monotonic,
        say: Callable[[str], str] = str,
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._say = say
        self._live = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._colour = self._live and not os.environ.get("NO_COLOR")
        self._lock = threading.RLock()  # some backends report steps in another thread
        self._drawn = float("-inf")
        self._width = 0
        self._under_way = self._ended = False

    def begins(self, facts: RunFacts) -> None:
        with self._lock:
            self._facts = facts
            self._pace = Pace(facts, self._clock)
            self._memory = Gauge(facts.memory, self._clock)
            self._logs: Logs = {}
            self._rate: float | None = None
            self._validated: int | None = None
            self._best: int | None = None

    def epoch_begins(self, epoch: int) -> None:
        with self._lock:
            self._settle()
            self._pace.epoch_begins(epoch)
            self._epoch_started = self._clock()
            self._under_way, self._ended = True, False
            self._logs, self._rate, self._validated = {}, None, None
            self._redraw()

    def rate_changes(self, rate: float) -> None:
        with self._lock:
            self._rate = rate

    def steps_done(self, steps: int, logs: Logs) -> None:
        with self._lock:
            self._pace.steps_done(steps)
            self._logs = logs
            self._redraw()

    def validated(self, steps: int) -> None:
        with self._lock:
            self._validated = min(steps, self._facts.validation_steps)
            self._redraw()

    def epoch_ends(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002
        with self._lock:
            self._logs, self._validated, self._ended = logs, None, True
            self._epoch_seconds = self._clock() - self._epoch_started
            self._redraw()

    def saved(self, path: Path, epoch: int, *, best: bool) -> None:  # noqa: ARG002
        with self._lock:
            if best:
                self._best = epoch

    def says(self, text: str) -> None:
        with self._lock:
            if self._ended:
                self._settle()
            self._write_line(without_controls(self._say(text)))
            self._drawn = float("-inf")
            self._redraw()

    def warns(self, text: str) -> None:
        self.says(f"warning: {text}")

    def ends(self, run: Run) -> None:  # noqa: ARG002
        self.close()

    def close(self) -> None:
        """Keep the last line, and leave the cursor on a new one."""
        with self._lock:
            self._settle()

    def _settle(self) -> None:
        """Leave the epoch's line as it is; it waited for `saved`, which comes after the epoch."""
        if self._under_way and (self._ended or self._live):
            self._write_line(self._text(self._columns() if self._live else None))
        self._under_way = self._ended = False

    def _write_line(self, text: str) -> None:
        """Write a line that stays, in place of the live one."""
        if self._width:
            text = f"\r{text.ljust(min(self._width, self._columns()))}"
        write_at_once(self._stream, f"{text}\n")
        self._width = 0

    def _redraw(self) -> None:
        now = self._clock()
        if not self._live or not self._under_way or now - self._drawn < REDRAW_SECONDS:
            return
        self._drawn = now
        columns = self._columns()
        text = self._text(columns)
        padding = " " * (min(self._width, columns) - len(text))
        self._width = len(text)
        if self._colour:
            text = re.sub(r"#+", "\x1b[32m\\g<0>\x1b[0m", text, count=1)
        write_at_once(self._stream, f"\r{text}{padding}")

    def _columns(self) -> int:
        """Return the terminal's present width, less one: a full line would wrap."""
        with contextlib.suppress(OSError, ValueError):
            return max(1, os.get_terminal_size(self._stream.fileno()).columns - 1)
        return max(1, shutil.get_terminal_size().columns - 1)

    def _text(self, columns: int | None) -> str:
        """Return the line of the epoch under way or just over."""
        segments = self._epoch_segments() if self._ended else self._live_segments(columns or 0)
        return fit_segments(segments, columns)

    def _live_segments(self, columns: int) -> list[Segment]:
        facts, pace = self._facts, self._pace
        bar = min(LONGEST_BAR, max(SHORTEST_BAR, round(columns / 10)))
        filled = min(bar, bar * pace.steps // facts.steps)
        where = f"step {pace.steps:>{len(str(facts.steps))}}/{facts.steps}"
        if self._validated is not None:
            where = f"validating {self._validated}/{facts.validation_steps}"
        return [
            self._epoch_segment(),
            Segment(3, where),
            Segment(5, f"[{'#' * filled}{'.' * (bar - filled)}]"),
            self._eta_segment(),
            *self._measures(1, validation=False),
            *self._rates(),
        ]

    def _epoch_segments(self) -> list[Segment]:
        facts, pace = self._facts, self._pace
        whole = pace.steps >= facts.steps
        steps = f"(stopped within, after step {pace.steps}/{facts.steps})"
        return [
            self._epoch_segment(),
            Segment(6, duration(self._epoch_seconds)),
            *self._measures(4, validation=False),
            *self._measures(1, validation=True),
            *self._rates(),
            # On a terminal the live line below shows it.
            Segment(2, "") if self._live or pace.epoch == facts.epochs else self._eta_segment(),
            Segment(2, "best" if self._best == pace.epoch else ""),
            Segment(1, "" if whole else steps),
        ]

    def _epoch_segment(self) -> Segment:
        last = self._facts.epochs
        return Segment(0, f"epoch {self._pace.epoch:>{len(str(last))}}/{last}")

    def _eta_segment(self) -> Segment:
        left = self._pace.seconds_left
        return Segment(2, "" if left is None else f"ETA {duration(left)}")

    def _measures(self, rank: int, *, validation: bool) -> list[Segment]:
        """Return the loss and the main measure, then the other measures in Keras's order."""
        prefix = "val_" if validation else ""
        first = ["loss", self._facts.measure]
        own = [n.removeprefix(prefix) for n in self._logs if n.startswith("val_") == validation]
        own = [
            name for name in own if name != "learning_rate"
        ]  # from a callback; it has its own segment
        names = [*(n for n in first if n in own), *(n for n in own if n not in first)]
        segments = []
        measure = "mae" if is_error(self._facts.measure) else "accuracy"
        for index, name in enumerate(names):
            shown = measure if name == self._facts.measure else name.replace("_", " ")
            word = "validation " if validation and index == 0 else ""
            value = number(name, self._logs[prefix + name])
            segments.append(Segment(rank if name in first else 10, f"{word}{shown} {value}"))
        return segments

    def _rates(self) -> list[Segment]:
        pace, used = self._pace, self._memory.read()
        share, images = pace.share_of_peak, pace.images_per_second
        return [
            Segment(6, "" if self._rate is None else f"learning rate {self._rate:.3g}"),
            Segment(7, f"{images:,.{0 if images >= 10 else 1}f} images/s" if images else ""),
            Segment(8, f"{share:.0%} of peak" if share else ""),
            Segment(9, f"{used / 1e9:.1f} GB" if used else ""),
        ]


def write_at_once(stream: TextIO, text: str) -> None:
    """Write and flush `text`; training goes on if the reader has gone."""
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        # Otherwise Python would try to flush the rest at exit, and report an error.
        with contextlib.suppress(OSError), Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())
    except (OSError, ValueError):
        pass  # a full disk or a closed stream


def fit_segments(segments: Sequence[Segment], columns: int | None) -> str:
    """Return segments two spaces apart, the least important left out if `columns` are few."""
    shown = [segment for segment in segments if segment.text]
    while columns is not None and sum(len(segment.text) + 2 for segment in shown) - 2 > columns:
        least = max(range(len(shown)), key=lambda index: (shown[index].rank, index))
        del shown[least]
    return "  ".join(segment.text for segment in shown)
