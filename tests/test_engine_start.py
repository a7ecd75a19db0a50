"""An engine's start: one line says that it takes long, its log is held back, and Ctrl-C ends it."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time
from importlib.util import find_spec

import click
import pytest
from support.commands import LONG

from archspec.cli import engine
from archspec.cli.engine import EngineCommand
from archspec.keras_model import starting as module
from archspec.keras_model.starting import announcing, starting


@pytest.fixture(autouse=True)
def own_settings(monkeypatch):
    """Set the variables that a start changes, so that each test leaves them as they were."""
    for name in module.SETTINGS:
        monkeypatch.setenv(name, "3")


# Announcements


def announced_while(start: float, monkeypatch, **how: bool) -> list[str]:
    """Return the lines that are printed for an engine that takes so long to start."""
    lines: list[str] = []
    announced = threading.Event()

    def say(text: str) -> None:
        lines.append(text)
        announced.set()

    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0 if start else LONG)
    with announcing(say, **how), starting("jax"):
        announced.wait(start)
    return lines


def test_an_engine_that_takes_long_to_start_is_named(monkeypatch):
    assert announced_while(LONG, monkeypatch) == ["starting JAX ..."]


def test_a_line_that_vanishes_takes_the_place_of_one_that_would_stand(monkeypatch):
    standing: list[str] = []
    with announcing(standing.append):
        assert announced_while(LONG, monkeypatch, instead=True) == ["starting JAX ..."]
    assert standing == []
    assert announced_while(0.01, monkeypatch, instead=True) == []  # nobody was to be told


def test_of_one_that_starts_at_once_nothing_is_said(monkeypatch):
    assert announced_while(0, monkeypatch) == []


@pytest.mark.parametrize(
    ("options", "terminal", "line"),
    [
        ([], True, "starting PyTorch ...\n"),
        ([], False, ""),
        (["--quiet"], True, ""),
        (["--json"], True, ""),
        (["--format", "json"], True, ""),
    ],
)
def test_a_command_says_it_to_people_alone(monkeypatch, capsys, options, terminal, line):
    announced = threading.Event()

    def say(text: str) -> None:
        click.echo(text, err=True)
        announced.set()

    def start(**_: object) -> None:
        with starting("torch"):
            announced.wait(LONG if line else 0)

    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.0 if line else 0.01)
    monkeypatch.setattr(engine, "say", say)
    monkeypatch.setattr(engine, "terminal_width", lambda _: 80 if terminal else None)
    params = [
        click.Option(["--quiet"], is_flag=True),
        click.Option(["--json", "as_json"], is_flag=True),
    ]
    params.append(click.Option(["--format", "form"]))
    EngineCommand("start", params=params, callback=start).main(options, standalone_mode=False)
    assert capsys.readouterr() == ("", line)


# What is held back

NOISY = r"""
import os
for line in (
    b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    b"I0000 00:00:1795870759.906837    8672 port.cc:153] oneDNN custom operations are on.",
    b"2025-01-01 10:00:00.123456: E external/xla/cuda.cc:9] failed call to cuInit",
    b"a line that nobody logs",
):
    os.write(2, line + b"\n")
if os.environ.get("BROKEN"):
    raise ImportError("libcudart is not there")
"""


def stderr_of_import(folder, code: str, **environment: str) -> str:
    """Return what is printed while an engine with this code is imported."""
    (folder / "tensorflow.py").write_text(code, encoding="utf-8")
    script = """
from archspec.keras_model.starting import starting
try:
    with starting("tensorflow"):
        import tensorflow
except ImportError:
    pass
"""
    inherited = {n: v for n, v in os.environ.items() if n not in module.SETTINGS}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**inherited, "PYTHONPATH": str(folder), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr


def test_what_tensorflow_logs_while_it_is_imported_is_held_back_and_nothing_else(tmp_path):
    assert stderr_of_import(tmp_path, NOISY) == "a line that nobody logs\n"


def test_where_the_import_fails_all_is_let_through(tmp_path):
    shown = stderr_of_import(tmp_path, NOISY, BROKEN="1").splitlines()
    assert [line.split()[0] for line in shown] == ["WARNING:", "I0000", "2025-01-01", "a"]


def test_the_line_about_the_start_is_not_held_back(tmp_path):
    """Somebody who waits is to read it now, not when the wait is over."""
    code = "import os, time\nos.write(2, b'held back\\n')\ntime.sleep(600)"
    (tmp_path / "tensorflow.py").write_text(code, encoding="utf-8")
    script = """
import sys
from archspec.keras_model import starting
starting.PATIENCE_SECONDS = 0.1
say = lambda text: print(text, file=sys.stderr, flush=True)
with starting.announcing(say), starting.starting("tensorflow"):
    import tensorflow
"""
    command = [sys.executable, "-c", script]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), module.LEVEL: "3"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "starting TensorFlow ...\n"
        process.kill()


def test_whoever_asks_for_the_log_has_it(tmp_path):
    assert "oneDNN" in stderr_of_import(tmp_path, NOISY, TF_CPP_MIN_LOG_LEVEL="0")


@pytest.mark.keras
@pytest.mark.skipif(find_spec("jax") is None, reason="JAX is not installed")
def test_nothing_but_the_table_is_on_a_terminal_where_keras_imports_tensorflow_beside_jax():
    environment = {n: v for n, v in os.environ.items() if n not in module.SETTINGS}
    done = subprocess.run(
        [sys.executable, "-m", "archspec.cli", "probe", "lenet5", "--batch", "2"],
        env={**environment, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout.startswith("lenet5")


# Ctrl-C


def run(body) -> None:
    EngineCommand("body", callback=body).main([], standalone_mode=False)


def wait_for_ctrl_c() -> None:
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        time.sleep(0.01)
    raise AssertionError("no KeyboardInterrupt came")


@pytest.fixture
def pythons_handler():
    """Python's own handler of Ctrl-C, which a shell's background jobs begin without."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("pythons_handler")
def test_a_ctrl_c_that_garbage_collection_lost_is_raised_again():
    """JAX has such a callback; an exception in it is printed and forgotten."""

    def lose(phase: str, _: object) -> None:
        if phase == "stop":
            gc.callbacks.remove(lose)
            signal.raise_signal(signal.SIGINT)

    def body() -> None:
        gc.callbacks.append(lose)
        gc.collect()
        wait_for_ctrl_c()

    with pytest.raises(click.exceptions.Abort):
        run(body)


@pytest.mark.usefixtures("pythons_handler")
def test_a_ctrl_c_of_which_cpp_code_makes_another_error_is_still_one():
    def body() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise RuntimeError("XlaRuntimeError: INTERNAL") from None

    with pytest.raises(click.exceptions.Abort):
        run(body)


@pytest.mark.usefixtures("pythons_handler")
def test_a_ctrl_c_while_an_engine_is_imported_waits_until_it_is_there():
    """Raised inside, it leaves C++ modules half made, which may end the process."""
    done = []

    def start() -> None:
        with starting("jax"):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            done.append(True)

    with pytest.raises(KeyboardInterrupt):
        start()
    assert done == [True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def interrupted(script: str, *said: str) -> int:
    """Press Ctrl-C each time a script says the next line; return its exit code."""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in said:
            assert process.stdout.readline() == f"{line}\n"
            process.send_signal(signal.SIGINT)
        return process.wait(LONG)


def test_a_ctrl_c_while_an_engine_starts_ends_a_command_on_the_spot():
    script = """
import signal, time
from archspec.cli.engine import EngineCommand
from archspec.keras_model.starting import starting
signal.signal(signal.SIGINT, signal.default_int_handler)
def body():
    with starting("jax"):
        print("ready", flush=True)
        while True:
            time.sleep(60)
EngineCommand("body", callback=body).main([])
"""
    assert interrupted(script, "ready") == 130


@pytest.mark.usefixtures("pythons_handler")
def test_a_ctrl_c_that_somebody_took_away_is_raised_again(monkeypatch):
    monkeypatch.setattr(engine, "INSISTING_SECONDS", 0.1)
    taken = []

    def body() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except:  # noqa: E722  (as an import does)
            taken.append(True)
        wait_for_ctrl_c()

    with pytest.raises(click.exceptions.Abort):
        run(body)
    assert taken == [True]


def test_without_ctrl_c_an_error_is_what_it_is():
    def body() -> None:
        raise RuntimeError("XlaRuntimeError: INTERNAL")

    before = signal.set_wakeup_fd(-1), sys.unraisablehook
    with pytest.raises(RuntimeError, match="INTERNAL"):
        run(body)
    assert (signal.set_wakeup_fd(-1), sys.unraisablehook) == before


def test_the_second_ctrl_c_ends_a_command_that_lets_none_through():
    script = """
import time, signal
from archspec.cli.engine import EngineCommand
signal.signal(signal.SIGINT, signal.default_int_handler)
def body():
    while True:
        try:
            print("ready", flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            print("lost", flush=True)
EngineCommand("body", callback=body).main([])
"""
    assert interrupted(script, "ready", "lost") == 130


@pytest.mark.slow
@pytest.mark.keras
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
@pytest.mark.parametrize("command", ["probe lenet5", "fit lenet5 --epochs 100000 --quiet"])
def test_a_ctrl_c_at_any_moment_of_the_first_seconds_ends_a_command(tmp_path, backend, command):
    """One alone; a training stops after its step, and says so."""
    for attempt in range(20):
        # A shell's background jobs, as this may be one, begin without the handler of Ctrl-C.
        script = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        script += "print('begins', flush=True); from archspec.cli import main; "
        script += "main(prog_name='archspec')"
        arguments = [sys.executable, "-c", script, *command.split()]
        environment = {**os.environ, "KERAS_BACKEND": backend}
        with subprocess.Popen(
            arguments,
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "begins\n"
            time.sleep(random.Random(attempt).uniform(0.1, 10))  # noqa: S311
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(LONG)
            code = process.poll()
            process.kill()
            _, complaints = process.communicate()
            # It came too late: when all is done, or while Python ends, without handlers of signals.
            done = command.startswith("probe") and code in (0, -signal.SIGINT)
            assert code == 130 or done, (attempt, code, complaints)
            assert "Traceback" not in complaints
            assert "Exception ignored" not in complaints
