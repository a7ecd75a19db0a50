"""Progress of a training run, as people and as programs see it."""

from __future__ import annotations

import fcntl
import io
import json
import math
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from contextlib import suppress

import pytest
from support.simulated_run import Clock, run

from archspec.cli import fit
from archspec.errors import UsageError
from archspec.system import MemoryUse
from archspec.text import duration, number
from archspec.training.callbacks import RunFacts, Watcher, as_keras_callback
from archspec.training.events import Events
from archspec.training.pace import Pace, training_flops
from archspec.training.progress import Progress, Segment, fit_segments

TEN_STEPS = RunFacts("net", epochs=2, images=320, batch=32, validation_images=64)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _wide_and_without_colour(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")


def show(stream: io.StringIO, facts: RunFacts = TEN_STEPS, **how) -> str:
    clock = Clock()
    progress = Progress(stream, clock=clock)
    for _ in run(progress, clock, facts, **how):
        pass
    progress.close()
    return stream.getvalue()


def standing(text: str) -> list[str]:
    """Return what a terminal shows at the end."""
    return [line.split("\r")[-1].rstrip() for line in text.removesuffix("\n").split("\n")]


# Lines for people


def test_without_a_terminal_each_epoch_is_one_plain_line():
    assert show(io.StringIO()).splitlines() == [
        "epoch 1/2  0:05  loss 1.5000  accuracy 50.0%  validation loss 0.7500  accuracy 25.0%  "
        "learning rate 0.1  64 images/s  ETA 0:06  best",
        "epoch 2/2  0:05  loss 1.5000  accuracy 50.0%  validation loss 0.7500  accuracy 25.0%  "
        "64 images/s",
    ]


def test_a_terminal_shows_where_in_the_epoch_a_run_is():
    facts = RunFacts("net", epochs=20, images=320, batch=32, validation_images=64)
    text = show(Terminal(), facts, validation_seconds=1)
    shown = text.split("\r")
    assert any(
        line.startswith("epoch  1/20  step  5/10  [##########..........]  ETA 1:44  loss 1.5000")
        for line in shown
    )
    assert any("validating 2/2" in line for line in shown)


def test_a_terminal_keeps_a_line_of_each_epoch_that_is_over():
    plain = show(io.StringIO()).replace("  ETA 0:06", "")
    assert standing(show(Terminal())) == plain.splitlines()


def test_an_error_in_the_middle_of_an_epoch_has_a_line_of_its_own(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with suppress(UsageError), fit.watching(quiet=False, events=False) as (watcher,):
        watcher.begins(TEN_STEPS)
        watcher.epoch_begins(1)
        raise UsageError("an image cannot be read")
    assert "epoch 1/2" in sys.stderr.getvalue()
    assert sys.stderr.getvalue().endswith("\n")


def test_a_line_is_rewritten_at_most_ten_times_a_second():
    one_second = RunFacts("net", epochs=1, images=1000, batch=1)
    text = show(Terminal(), one_second, step_seconds=lambda _: 0.001)
    # When the epoch begins, ten times, and when it is over; the clock's rounding may take one.
    assert 10 <= text.count("\r") <= 12


def test_the_measures_of_the_recipe_are_shown_and_the_main_one_first():
    logs = {"aux_accuracy": 0.25, "loss": 1e-5, "output_accuracy": 0.5, "mean_squared_error": 2.0}
    facts = RunFacts("net", epochs=1, images=64, batch=32, measure="output_accuracy")
    assert ("loss 1e-05  accuracy 50.0%  aux accuracy 25.0%  mean squared error 2.0000") in show(
        io.StringIO(), facts, logs=logs
    )


def test_a_learning_rate_among_the_measures_is_not_said_twice():
    """Keras's ReduceLROnPlateau puts it there."""
    text = show(io.StringIO(), logs={"loss": 1.5, "learning_rate": 0.1})
    assert text.splitlines()[0].count("learning rate") == 1


def test_speed_is_shown_as_a_share_of_the_machines_peak_and_memory_as_the_backend_tells():
    def line(used: MemoryUse) -> str:
        facts = RunFacts(
            "net",
            epochs=1,
            images=320,
            batch=32,
            flops_per_image=10**6,
            peak_flops=1.28e8,
            memory=lambda: used,
        )
        return show(io.StringIO(), facts)

    own = MemoryUse(used=2 * 10**9, peak=3 * 10**9, device=False)
    device = MemoryUse(used=2 * 10**9, peak=3 * 10**9, device=True)
    assert line(own).endswith("64 images/s  50% of peak  2.0 GB  best\n")
    assert line(device).endswith("64 images/s  50% of peak  3.0 GB  best\n")


def test_an_epoch_that_was_stopped_within_says_so():
    stream = io.StringIO()
    progress = Progress(stream)
    progress.begins(RunFacts("net", epochs=2, images=64, batch=32))
    progress.epoch_begins(1)
    progress.steps_done(1, {"loss": 1.5})
    progress.epoch_ends(1, {"loss": 1.5})
    progress.close()
    assert stream.getvalue().endswith("(stopped within, after step 1/2)\n")


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["file", "terminal"])
def test_what_is_said_stands_on_a_line_of_its_own(stream):
    progress = Progress(stream)
    progress.says("loading the data")
    progress.begins(TEN_STEPS)
    progress.epoch_begins(1)
    progress.steps_done(1, {"loss": 1.5})
    progress.warns("2 images are damaged")
    progress.steps_done(10, {"loss": 1.5})
    progress.epoch_ends(1, {"loss": 1.25})
    progress.close()
    lines = standing(stream.getvalue())
    assert lines[:2] == ["loading the data", "warning: 2 images are damaged"]
    assert lines[2].startswith("epoch 1/2  0:00  loss 1.2500")
    assert len(lines) == 3


def test_steps_that_are_told_in_bunches_do_not_pass_the_end():
    """As with TensorFlow, eight steps at a time: the second time would end at 16."""
    clock, shown, events = Clock(), Terminal(), io.StringIO()
    for watcher in Progress(shown, clock=clock), Events(events, clock=clock):
        watcher.begins(TEN_STEPS)
        watcher.epoch_begins(1)
        for steps in (8, 16):
            clock.now += 1
            watcher.steps_done(steps, {"loss": 1.5})
        clock.now += 1
        watcher.validated(8)
        watcher.epoch_ends(1, {"loss": 1.5})
    assert "step 10/10" in shown.getvalue()
    assert "validating 2/2" in shown.getvalue()
    assert "stopped" not in shown.getvalue()
    assert [json.loads(line).get("step") for line in events.getvalue().splitlines()] == [
        None,
        8,
        10,
        10,
    ]


def test_a_crash_leaves_the_cursor_on_a_line_of_its_own():
    stream = Terminal()
    progress = Progress(stream)
    progress.begins(TEN_STEPS)
    progress.epoch_begins(1)
    progress.steps_done(1, {"loss": 1.5})
    progress.close()
    progress.close()
    assert stream.getvalue().endswith("\n")
    assert stream.getvalue().count("\n") == 1


class Closed(io.StringIO):
    def write(self, _: str) -> int:
        raise BrokenPipeError


class Full(io.StringIO):
    def write(self, _: str) -> int:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("stream", [Closed(), Full()])
def test_a_reader_who_goes_away_ends_no_training(stream):
    assert show(stream) == ""


@pytest.mark.parametrize("columns", [1, 10, 40, 80, 200])
def test_the_line_is_never_wider_than_the_terminal(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    text = show(Terminal())
    assert max(map(len, re.split("[\r\n]", text))) < columns
    assert ("validation" in text) is (columns >= 40)
    assert ("images/s" in text) is (columns > 80)
    assert ("[###" in text) is (columns >= 80)


def test_where_the_room_is_short_the_validation_is_kept_and_the_training_is_not(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert standing(show(Terminal()))[0] == (
        "epoch 1/2  validation loss 0.7500  accuracy 25.0%  best"
    )


def test_no_color_leaves_no_escape(monkeypatch):
    assert "\x1b" not in show(Terminal())
    monkeypatch.delenv("NO_COLOR")
    assert "[\x1b[32m##########\x1b[0m..........]" in show(Terminal())


def test_a_dumb_terminal_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert "\r" not in show(Terminal())


def test_a_terminal_may_change_its_width_while_a_run_goes_on(monkeypatch):
    monkeypatch.delenv("COLUMNS")
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as stream:

        def draw(columns: int) -> str:
            fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            clock.now += 1
            progress.steps_done(1, {"loss": 1.5, "accuracy": 0.5})
            return os.read(leader, 4096).decode().rpartition("\r")[2].rstrip()

        clock = Clock()
        progress = Progress(stream, clock=clock)
        progress.begins(TEN_STEPS)
        progress.epoch_begins(1)
        os.read(leader, 4096)
        assert draw(40) == "epoch 1/2  loss 1.5000  accuracy 50.0%"
        assert draw(20) == "epoch 1/2"
        assert draw(200).startswith("epoch 1/2  step  1/10  [##..................]")
    os.close(leader)


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        (0, ""),
        (2, "ab"),
        (5, "ab"),
        (6, "ab  cd"),
        (8, "ab  cd"),
        (9, "ab  e  cd"),
        (None, "ab  e  cd"),
    ],
)
def test_the_least_important_segments_give_way(columns, line):
    segments = [Segment(0, "ab"), Segment(9, ""), Segment(2, "e"), Segment(1, "cd")]
    assert fit_segments(segments, columns) == line


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("accuracy", 0.97251, "97.3%"),
        ("sparse_top_k_categorical_accuracy", 1.0, "100.0%"),
        ("loss", 0.0, "0.0000"),
        ("loss", 2.302585, "2.3026"),
        ("loss", 3.2e-7, "3.2e-07"),
        ("loss", 123456.0, "1.23e+05"),
        ("loss", math.nan, "nan"),
        ("loss", math.inf, "inf"),
    ],
)
def test_numbers(name, value, text):
    assert number(name, value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3723, "1:02:03")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


# When it will be over


class Watched(Pace, Watcher):
    """A pace with the face of a watcher."""

    def steps_done(self, steps, logs):  # noqa: ARG002
        super().steps_done(steps)


LONG = RunFacts("net", epochs=20, images=12_800, batch=128, validation_images=1_280)


@pytest.mark.parametrize(
    ("facts", "step_seconds", "validation_seconds", "after"),
    [
        pytest.param(LONG, lambda _: 0.1, 0.0, 50, id="even steps"),
        pytest.param(LONG, lambda n: 60 if n == 1 else 0.1, 0.0, 50, id="a compilation first"),
        pytest.param(LONG, lambda _: 0.1, 4.0, 250, id="a long validation"),
        pytest.param(LONG, lambda n: 0.01 if n < 400 else 0.2, 4.0, 900, id="slower since a while"),
        pytest.param(LONG, lambda n: 3600 if n == 390 else 0.1, 4.0, 400, id="an hour asleep"),
        pytest.param(LONG, lambda n: 5 if n == 100 else 0.1, 0.4, 110, id="a smaller last batch"),
        pytest.param(LONG, lambda _: 90, 200, 150, id="steps of minutes"),
        pytest.param(
            RunFacts("net", epochs=20, first_epoch=18, images=12_800, batch=128),
            lambda n: 60 if n == 1 else 0.1,
            0.0,
            50,
            id="a run that goes on",
        ),
        pytest.param(
            RunFacts("net", epochs=20, images=128, batch=128),
            lambda n: 9 if n == 1 else 0.5,
            0.0,
            5,
            id="epochs of one step",
        ),
    ],
)
def test_the_time_that_is_left_is_right_within_a_tenth(
    facts, step_seconds, validation_seconds, after
):
    clock = Clock()
    pace = Watched(facts, clock)
    how = {"step_seconds": step_seconds, "validation_seconds": validation_seconds}
    estimate = then = None
    for count in run(pace, clock, facts, **how):
        if count == after:
            estimate, then = pace.seconds_left, clock.now
    assert estimate == pytest.approx(clock.now - then, rel=0.1)


def test_nothing_is_said_of_the_time_left_before_it_is_known():
    clock = Clock()
    pace = Watched(LONG, clock)
    told = []
    for _, _ in zip(run(pace, clock, LONG), range(2), strict=False):
        told.append(pace.seconds_left is not None)
    assert told == [False, True]


def test_a_validation_is_guessed_from_its_images_until_one_without_compiling_was_seen():
    clock = Clock()
    pace = Watched(LONG, clock)
    for count in run(pace, clock, LONG, step_seconds=lambda _: 0.1):
        if count == 50:
            break
    # 19.5 epochs of 100 steps, and 20 validations of 10 batches that take a third of a step.
    assert pace.seconds_left == pytest.approx(0.1 * (1950 + 20 * 10 / 3))


@pytest.mark.parametrize(
    ("trained", "flops"),
    [
        ([True, True, True], 6 * 111),
        ([False, False, True], 2 * (1 + 10 + 3 * 100)),
        ([False, True, False], 2 * (1 + 3 * 10 + 2 * 100)),
        ([False, False, False], 2 * 111),
    ],
)
def test_what_is_frozen_costs_less(trained, flops):
    assert training_flops([1, 10, 100], trained) == flops


# Events for programs


def events(**how) -> list[dict]:
    stream, clock = io.StringIO(), Clock()
    for _ in run(Events(stream, clock=clock, now=lambda: 1.5e9), clock, TEN_STEPS, **how):
        pass
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_run_is_told_as_a_json_object_a_line():
    told = events(step_seconds=lambda _: 0.25)
    kinds = [event["event"] for event in told]
    epoch = ["step", "step", "epoch", "saved"]
    assert kinds == ["start", "step", *epoch, *epoch, "end"]
    assert told[0] == {
        "event": "start",
        "time": 1.5e9,
        "name": "net",
        "epochs": 2,
        "first_epoch": 1,
        "images": 320,
        "batch": 32,
        "steps": 10,
        "validation_images": 64,
        "flops_per_image": None,
        "peak_flops": None,
        "least_loss": None,
    }
    assert told[2] == {
        "event": "step",
        "time": 1.5e9,
        "epoch": 1,
        "step": 5,
        "measures": {"loss": 1.5, "accuracy": 0.5},
        "images_per_second": 128.0,
        "share_of_peak": None,
        "seconds_left": pytest.approx((5 + 10 + 2 * 2 / 3) * 0.25),
        "memory_bytes": None,
    }
    assert told[4] | {"seconds_left": 0} == {
        "event": "epoch",
        "time": 1.5e9,
        "epoch": 1,
        "step": 10,
        "whole": True,
        "measures": {"loss": 1.5, "accuracy": 0.5, "val_loss": 0.75, "val_accuracy": 0.25},
        "learning_rate": 0.1,
        "images_per_second": 128.0,
        "share_of_peak": None,
        "seconds_left": 0,
        "memory_bytes": None,
    }
    saved = {"event": "saved", "time": 1.5e9, "epoch": 1, "path": "best.keras", "best": True}
    assert told[5] == saved
    assert told[-1] == {
        "event": "end",
        "time": 1.5e9,
        "outcome": "finished",
        "folder": "runs/net-1",
        "best_epoch": 1,
        "test": {"loss": 1.0},
        "seconds": 5.0,
        "advice": None,
    }


def test_every_key_of_an_event_is_documented():
    import archspec.training.events as module

    for event in events():
        assert set(event) - {"event", "time"} <= set(re.findall(r"\w+", module.__doc__))


def test_json_has_no_number_that_is_none():
    assert events(logs={"loss": math.nan, "accuracy": math.inf})[1]["measures"] == {
        "loss": None,
        "accuracy": None,
    }


def test_messages_and_warnings_are_events():
    stream = io.StringIO()
    told = Events(stream, now=lambda: 0)
    told.says("two\nlines")
    told.warns("é")
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == [
        {"event": "message", "time": 0, "text": "two\nlines"},
        {"event": "warning", "time": 0, "text": "é"},
    ]


def test_a_program_that_reads_no_more_is_no_complaint():
    code = """
import sys
from archspec.training.events import Events
told = Events(sys.stdout)
for _ in range(10_000):
    told.says("x" * 100)
print("the training went on", file=sys.stderr)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == "the training went on\n"
    assert process.wait() == 0
    process.stderr.close()


# What Keras tells


def test_keras_tells_a_watcher_of_a_run(keras):
    import numpy as np

    class Notes:
        def __init__(self) -> None:
            self.heard = []

        def __getattr__(self, name):
            return lambda *heard: self.heard.append((name, *heard))

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([2], [0.5, 0.25])
    metrics = ["accuracy", keras.metrics.F1Score()]  # the latter has a value for each class
    model.compile(keras.optimizers.SGD(rate), "categorical_crossentropy", metrics=metrics)
    x, y = np.ones((12, 4), np.float32), np.eye(3, dtype=np.float32)[np.arange(12) % 3]
    notes = Notes()
    model.fit(
        x,
        y,
        batch_size=4,
        epochs=3,
        verbose=0,
        validation_data=(x, y),
        callbacks=[as_keras_callback(keras, notes)],
    )
    names = [name for name, *_ in notes.heard]
    assert names.count("epoch_begins") == names.count("epoch_ends") == 3
    assert [heard[1] for heard in notes.heard if heard[0] == "rate_changes"] == [0.5, 0.25]
    assert next(heard for heard in notes.heard if heard[0] == "validated") == ("validated", 0)
    last = [heard[1] for heard in notes.heard if heard[0] in {"steps_done", "validated"}]
    assert max(last) == 3
    logs = notes.heard[-1][2]
    assert set(logs) == {"loss", "accuracy", "f1_score", "val_loss", "val_accuracy", "val_f1_score"}
    assert all(
        type(value) is float
        for _, *_, told in notes.heard
        if isinstance(told, dict)
        for value in told.values()
    )
