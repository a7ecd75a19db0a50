"""What a training run shows of itself while it goes on."""

from __future__ import annotations

import io

import pytest

from archspec.training.progress import Progress, duration, fit_fields


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def show(stream: io.StringIO, *, epochs: int = 2, steps: int = 10, step_seconds: float = 0.05):
    """What a run of so many epochs and steps writes, by a clock of its own."""
    now = 0.0
    progress = Progress(stream, epochs=epochs, images=steps * 32, batch=32, clock=lambda: now)
    for epoch in range(1, epochs + 1):
        progress.epoch_begins(epoch)
        for step in range(1, steps + 1):
            now += step_seconds
            progress.steps_done(step, {"loss": 1.5, "accuracy": 0.5})
        logs = {"loss": 1.5, "accuracy": 0.5, "val_loss": 1.25, "val_accuracy": 0.625}
        progress.epoch_ends(epoch, logs)
    progress.close()
    return stream.getvalue()


def test_without_a_terminal_each_epoch_is_one_plain_line():
    assert show(io.StringIO()).splitlines() == [
        "epoch 1/2  ETA 0:00  loss 1.5000 accuracy  50.0%  "
        "validation loss 1.2500 accuracy  62.5%  640 images/s",
        "epoch 2/2  ETA 0:00  loss 1.5000 accuracy  50.0%  "
        "validation loss 1.2500 accuracy  62.5%  640 images/s",
    ]


def test_a_terminal_shows_one_line_rewritten_ten_times_a_second(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    text = show(Terminal(), epochs=1, steps=100, step_seconds=0.01)
    assert text.count("\n") == 1
    assert text.endswith("\n")
    # One second: ten times, give or take the clock's rounding, and once more at the end.
    assert 10 <= text.count("\r") <= 12
    assert "[#####" in text


def test_an_epoch_that_was_stopped_within_says_so():
    stream = io.StringIO()
    progress = Progress(stream, epochs=2, images=64, batch=32)
    progress.epoch_begins(1)
    progress.steps_done(1, {"loss": 1.5})
    progress.epoch_ends(1, {"loss": 1.5})
    assert stream.getvalue().endswith("(stopped within)\n")


def test_a_reader_who_goes_away_ends_no_training():
    class Closed(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    assert show(Closed()) == ""


@pytest.mark.parametrize("columns", [10, 40, 80, 200])
def test_the_line_is_never_wider_than_the_terminal(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    lines = show(Terminal()).rstrip("\n").split("\r")
    assert max(map(len, lines)) < columns
    assert ("validation" in lines[-1]) is (columns > 80)


def test_no_color_leaves_no_escape(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in show(Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in show(Terminal())


@pytest.mark.parametrize(
    ("columns", "line"), [(0, ""), (2, "ab"), (5, "ab"), (6, "ab  cd"), (99, "ab  cd  e")]
)
def test_fields_are_shown_while_they_fit(columns, line):
    assert fit_fields(["ab", "", "cd", "e"], columns) == line


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3723, "1:02:03")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text
