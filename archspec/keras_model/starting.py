"""A quiet start of an engine: one line where it takes long, no logs, and Ctrl-C put off.

TensorFlow, XLA, absl and JAX log to the terminal how they were built and what they did not find.
Their settings suppress that, except for TensorFlow's first lines: it writes those to descriptor 2,
past Python's `sys.stderr`, before it reads any setting. And TensorFlow may be imported late: with
JAX or PyTorch as its backend, Keras imports it where it is installed, to save a model.

With TF_CPP_MIN_LOG_LEVEL=0 in the environment, everything is shown.

A KeyboardInterrupt during the import leaves C++ modules half initialized: of 38 processes that were
interrupted in their first ten seconds, one crashed. So Ctrl-C waits until the engine has started.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import FrameType
from typing import Any, Final

NAMES: Final = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
"""Names of Keras's backends, as people write them."""

PATIENCE_SECONDS: Final = 1.0
"""Longest start of an engine without a message."""

LEVEL: Final = "TF_CPP_MIN_LOG_LEVEL"
"""Log level of TensorFlow's and XLA's C++ code: 0 shows everything, 3 only what ends the process.
At 2, a TensorFlow built for GPUs reports a machine without one as an error."""

SETTINGS: Final = {LEVEL: "3", "GRPC_VERBOSITY": "ERROR", "TORCH_CPP_LOG_LEVEL": "ERROR"}
"""Environment variables that an engine reads when it is loaded; one that is set already stays."""

LOGGERS: Final = ("tensorflow", "jax")

_LOGGED: Final = (
    rb"(WARNING: All log messages before absl::InitializeLog\(\)"
    rb"|[IWE]\d{4} \d\d:\d\d:\d\d"
    rb"|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWE] ).*\n?"
)
"""A line of TensorFlow's C++ log, in absl's format or the older one."""

_starting: Final = threading.Event()

_say: ContextVar[Callable[[str], None] | None] = ContextVar("say", default=None)

_redirected: Final[list[tuple[int, int]]] = []
"""While standard error is held back: a copy of its descriptor, and that of the file instead."""

_redirecting: Final = threading.Lock()


@contextlib.contextmanager
def announcing(say: Callable[[str], None] | None, *, instead: bool = False) -> Iterator[None]:
    """Call `say`, in a separate thread, for each engine that takes over a second to start.

    With None, nothing is announced. With `instead`, `say` replaces an outer one, if there is one.
    """
    token = _say.set(None if instead and _say.get() is None else say)
    try:
        yield
    finally:
        _say.reset(token)


@contextlib.contextmanager
def starting(backend: str) -> Iterator[None]:
    """Import Keras and `backend` inside: announced if it takes long, its log held back."""
    quiet = _set_log_levels()
    text = f"starting {NAMES[backend]} ..."
    timer = threading.Timer(PATIENCE_SECONDS, _announce, [_say.get(), text])
    timer.daemon = True
    timer.start()
    try:
        with _without_interrupts(), _held_back(holds=quiet and backend == "tensorflow"):
            _starting.set()
            yield
    finally:
        _starting.clear()
        timer.cancel()
    if quiet:
        _quiet_late_imports()


def is_starting() -> bool:
    """Return whether an engine is being imported; callable from any thread."""
    return _starting.is_set()


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Put off a Ctrl-C until the end, then call its handler."""
    previous = signal.getsignal(signal.SIGINT)
    is_main = threading.current_thread() is threading.main_thread()
    if not (is_main and callable(previous)):
        yield
        return
    pressed: list[FrameType | None] = []
    signal.signal(signal.SIGINT, lambda _, frame: pressed.append(frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
    if pressed:
        previous(signal.SIGINT, pressed[0])


def _announce(say: Callable[[str], None] | None, text: str) -> None:
    """Call `say`, if there is one, with standard error as it was where it is held back."""
    if say is None:
        return
    with _redirecting:
        for terminal, _ in _redirected:
            os.dup2(terminal, 2)
        say(text)
        for _, file in _redirected:
            os.dup2(file, 2)


def _set_log_levels() -> bool:
    """Set what engines read when they are loaded; return whether their logs are suppressed."""
    import logging  # noqa: PLC0415

    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    if os.environ[LEVEL] == "0":
        return False
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.ERROR)
    return True


def _quiet_late_imports() -> None:
    """Suppress what absl logs from now on, and TensorFlow where Keras imports it later."""
    absl: Any = sys.modules.get("absl.logging")
    if absl is not None:  # its logger must not be touched before absl makes it
        absl.set_verbosity(absl.ERROR)
    modules = sys.modules.get("keras.src.utils.module_utils")
    lazy: Any = getattr(
        modules, "tensorflow", None
    )  # imports the module when an attribute is asked for
    initialize: Any = getattr(type(lazy), "initialize", None)
    if initialize is None or "tensorflow" in sys.modules:
        return

    def initialize_quietly() -> None:
        with _without_interrupts(), _held_back():
            initialize(lazy)

    lazy.initialize = initialize_quietly


@contextlib.contextmanager
def _held_back(*, holds: bool = True) -> Iterator[None]:
    """Hold back standard error, then write it without log lines; with them after an exception."""
    try:
        terminal = os.dup(2) if holds else -1
    except OSError:  # it is closed
        terminal = -1
    if terminal < 0:
        yield
        return
    import re  # noqa: PLC0415
    import tempfile  # noqa: PLC0415

    if sys.stderr is not None:
        sys.stderr.flush()
    failed = True
    with tempfile.TemporaryFile() as file:
        with _redirecting:
            _redirected.append((terminal, file.fileno()))
            os.dup2(file.fileno(), 2)
        try:
            yield
            failed = False
        finally:
            with _redirecting:
                _redirected.pop()
                os.dup2(terminal, 2)
                os.close(terminal)
            file.seek(0)
            written = file.read()
            with contextlib.suppress(OSError):  # nobody reads it
                os.write(2, written if failed else re.sub(_LOGGED, b"", written))
