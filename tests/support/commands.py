"""Run `archspec` commands and Python code in processes that a warm one forks.

A fork has its own streams, terminal, environment, folder, signals and exit code, as a process that
Python starts has, but does not spend seconds on imports. What only a start can show, such as which
modules a command imports, is tested with real ones: `test_startup.py`, `test_engine_start.py`.

`python -m support.commands SOCKET [MODULE ...]` is the warm process, of the backend that
KERAS_BACKEND names or of none. All processes of a run of the tests share it: they connect to its
socket, and it forks for each of their requests until all have closed their connections.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import fcntl
import gc
import importlib
import io
import json
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from archspec.keras_model.starting import SETTINGS

LONG = 1800
"""Seconds after which a test has failed; nothing takes as long where all is well."""

BACKEND = os.environ.get("KERAS_BACKEND") or "tensorflow"
"""Keras's backend in these tests."""

TRIES = 20
"""Most attempts to reach a warm process."""

NUMBER = struct.Struct("i")

IMPORTED = (
    *(f"archspec.cli.{name}" for name in ("build", "check", "compare", "draw", "eject", "fit")),
    *("archspec.cli.list", "archspec.cli.show", "archspec.spec.reader"),
    *("archspec.cost.compare", "archspec.cost.report", "archspec.inventory", "archspec.proof"),
    *("archspec.data.dataset", "archspec.ejection.ejecting", "archspec.recipe.train"),
    *("archspec.render.comparison", "archspec.render.figure.writing", "archspec.render.report"),
)
"""Modules that a warm process imports besides an engine."""

TRAINING = (
    *("archspec.cli.evaluate", "archspec.cli.explain", "archspec.training.fit"),
    *("archspec.training.progress", "archspec.render.page.document", "archspec.render.run"),
    *("archspec.render.curves", "archspec.render.confusion", "archspec.render.mistakes"),
    *("archspec.render.evaluation", "archspec.evaluation.heldout", "archspec.data.published"),
    *("matplotlib.backends.backend_svg", "PIL.PngImagePlugin", "sklearn.datasets"),
)
"""Modules that most trainings and evaluations import, of a warm process with an engine."""


class Forked:
    """A process that a warm one forked; it ends with this object."""

    def __init__(self, warm: socket.socket, task: dict[str, Any], streams: list[IO[Any]]) -> None:
        self._arguments, self._streams = task["arguments"], streams
        self._replies, theirs = socket.socketpair()
        self._code: int | None = None
        with theirs:
            socket.send_fds(warm, [b"\0"], [each.fileno() for each in (theirs, *streams)])
        self._replies.sendall(json.dumps(task).encode() + b"\n")
        self.pid = self._number()

    def _number(self) -> int:
        (number,) = NUMBER.unpack(self._replies.recv(NUMBER.size, socket.MSG_WAITALL))
        return int(number)

    def poll(self) -> int | None:
        """Return the exit code, which is negative for a signal, or None while the process runs."""
        return self._ended(0)

    def wait(self) -> int:
        """Return the exit code."""
        code = self._ended(LONG)
        if code is None:
            self._replies.close()  # which kills it
            raise TimeoutError(f"the process did not end in {LONG} s")
        return code

    def finish(self) -> subprocess.CompletedProcess[str]:
        """Return what came of the process; its streams are files."""
        code, texts = self.wait(), []
        for stream in self._streams:
            with stream:
                stream.seek(0)
                texts.append(stream.read())
        return subprocess.CompletedProcess(self._arguments, code, *texts)

    def _ended(self, seconds: float) -> int | None:
        if self._code is None and select.select([self._replies], [], [], seconds)[0]:
            self._code = os.waitstatus_to_exitcode(self._number())
            self._replies.close()
        return self._code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


def _inherited() -> dict[str, str]:
    """Return this process's environment as it was before an engine was imported."""
    return {name: value for name, value in os.environ.items() if name not in SETTINGS}


@cache
def _warm(backend: str, modules: tuple[str, ...]) -> socket.socket:
    """Return a connection to the warm process of a backend and more modules.

    The first to ask starts it, and it ends when all who asked have ended.
    """
    tests = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    address = Path(tempfile.gettempdir(), f"archspec-{tests}-{'-'.join((backend, *modules))}")
    for _ in range(TRIES):
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(address))
            if connection.recv(1):  # sent once all is imported; "" by one that just ended
                atexit.register(connection.close)
                return connection
        except FileNotFoundError:
            _start_warm(address, backend, modules)
        except ConnectionError:
            time.sleep(0.1)  # it is about to listen, or to end
        connection.close()
    raise RuntimeError(f"the warm process at {address} does not answer")


def _start_warm(address: Path, backend: str, modules: tuple[str, ...]) -> None:
    """Start the warm process, unless another process is about to; who connects waits for it."""
    with socket.socket(socket.AF_UNIX) as listening:
        try:
            listening.bind(str(address))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return
            raise
        listening.listen()
        process = subprocess.Popen(
            [sys.executable, "-m", "support.commands", str(listening.fileno()), *modules],
            cwd=Path(__file__).parents[1],
            env=_inherited() | {"KERAS_BACKEND": backend},
            pass_fds=[listening.fileno()],
        )
    atexit.register(process.wait)


def start(
    *arguments: object,
    code: str | None = None,
    engine: str = "",
    modules: tuple[str, ...] = (),
    cwd: Path | None = None,
    streams: list[IO[Any]] | None = None,
    **environment: str,
) -> Forked:
    """Start `archspec ARGUMENTS`, or Python `code`; what it prints goes to files of its own.

    It has Keras's backend `engine` imported, or none, and `modules`. Environment variables are
    beside this process's; one that is "" is not set.
    """
    chosen = {"KERAS_BACKEND": engine, **SETTINGS} if engine else {}
    task = {
        "arguments": [str(argument) for argument in arguments],
        "code": code,
        "cwd": str(cwd or Path.cwd()),
        "environment": {n: v for n, v in (_inherited() | chosen | environment).items() if v},
    }
    files = streams or [tempfile.TemporaryFile("w+") for _ in range(2)]  # noqa: SIM115
    return Forked(_warm(engine, modules), task, files)


def run(*arguments: object, **how: Any) -> subprocess.CompletedProcess[str]:
    """Return what came of `start(*arguments, **how)`."""
    return start(*arguments, **how).finish()


def on_terminal(*arguments: str, columns: int = 80, **how: Any) -> str:
    """Return what `archspec ARGUMENTS` writes to a terminal of so many columns."""
    outer, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    defaults = {"NO_COLOR": "", "COLUMNS": "", "TERM": "xterm-256color"}
    with open(terminal, "wb") as inner:  # noqa: PTH123
        process = start(*arguments, streams=[inner, inner], **(defaults | how))
    written = b""
    try:
        while part := os.read(outer, 65536):
            written += part
    except OSError:  # Linux says so that the other end is closed
        pass
    os.close(outer)
    process.wait()
    return written.decode().replace("\r\n", "\n")


def output(*arguments: str) -> str:
    """Return what a command prints that has nothing to complain of."""
    done = run(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def imported_by(code: str, **how: Any) -> set[str]:
    """Return the modules that a Python of its own has imported when it has run `code`."""
    code = f"{code}\nimport sys\nprint()\nprint(*sys.modules)"
    printed = subprocess.check_output([sys.executable, "-c", code], text=True, **how)
    return set(printed.splitlines()[-1].split())


# The warm process


def _serve(listening: socket.socket) -> dict[str, Any]:
    """Fork for each request; return, in the process that was forked, its task."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait
    address = listening.getsockname()
    connections: list[socket.socket] = []
    while True:
        for ready in select.select([listening, *connections], [], [])[0]:
            if ready is listening:
                connections.append(listening.accept()[0])
                connections[-1].sendall(b"\0")
                continue
            message, files, *_ = socket.recv_fds(ready, 1, 3)
            if not message:
                connections.remove(ready)
                ready.close()
                continue
            reply, *streams = files
            if os.fork() == 0:
                for each in (listening, *connections):
                    each.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                signal.signal(signal.SIGINT, signal.default_int_handler)
                return _forked(socket.socket(fileno=reply), streams)
            for file in files:
                os.close(file)
        if not connections:
            Path(address).unlink()  # who asks from now on starts another
            os._exit(0)


def _forked(reply: socket.socket, streams: list[int]) -> dict[str, Any]:
    """Fork again, and return in the new process. Wait for it, and tell how it ended.

    Whoever asked for it may close the socket, or end itself: then the process is killed.
    """
    with reply.makefile("rb") as lines:
        task: dict[str, Any] = json.loads(lines.readline())
    ended, held = os.pipe()  # `held` is closed by the end of the process
    process = os.fork()
    if process:
        os.close(held)
        reply.sendall(NUMBER.pack(process))
        if reply in select.select([reply, ended], [], [])[0]:
            os.kill(process, signal.SIGKILL)
        status = os.waitpid(process, 0)[1]
        with contextlib.suppress(OSError):
            reply.sendall(NUMBER.pack(status))
        os._exit(0)
    os.close(ended)
    reply.close()
    for number, file in enumerate(streams, start=1):
        os.dup2(file, number)
    for file in set(streams):
        os.close(file)
    return task


def _open(number: int, errors: str) -> io.TextIOWrapper:
    """Open a standard stream as Python does when it starts."""
    file = open(number, "wb", closefd=False)  # noqa: SIM115
    return io.TextIOWrapper(
        file, "utf-8", errors, line_buffering=number == 2 or os.isatty(number), write_through=False
    )


def _begin(task: dict[str, Any]) -> None:
    """Make this process what its task says."""
    os.chdir(task["cwd"])
    os.environ.clear()
    os.environ.update(task["environment"])
    sys.stdout = sys.__stdout__ = _open(1, "strict")
    sys.stderr = sys.__stderr__ = _open(2, "backslashreplace")
    sys.argv = ["archspec" if task["code"] is None else "-c", *task["arguments"]]
    sys.path[0] = ""
    sys.modules["__main__"] = ModuleType("__main__")


if __name__ == "__main__":
    listens = socket.socket(fileno=int(sys.argv[1]))
    try:
        for module in (*IMPORTED, *sys.argv[2:]):
            importlib.import_module(module)
        if os.environ["KERAS_BACKEND"]:
            importlib.import_module("archspec.keras_model.engine").load_keras()
            importlib.import_module("tensorflow")  # Keras imports it on JAX as well, to seed it
            for module in TRAINING:
                importlib.import_module(module)
            # Each process that trains would measure what the machine can do, on all cores.
            importlib.import_module("archspec.system").MEASURING_SECONDS = 0.01
    except BaseException:
        Path(listens.getsockname()).unlink()
        raise
    os.fsync = lambda _: None  # as in the tests' own process
    gc.freeze()  # forks need not look for garbage in what they share
    work = _serve(listens)
    _begin(work)
    # At the top, so that the process ends as any other one: exit code, traceback, what is flushed.
    if work["code"] is None:
        sys.exit(importlib.import_module("archspec.cli").main())
    exec(compile(work["code"], "<string>", "exec"), vars(sys.modules["__main__"]))  # noqa: S102
