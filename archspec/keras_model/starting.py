"""While an engine starts: that it does is said, what it logs is held back, and Ctrl-C waits.

TensorFlow, XLA, absl and JAX log to the terminal how they were built and what they did not find.
Their settings keep that off it, all but TensorFlow's first lines: those are written before any
setting is heard, twice, past Python's `sys.stderr`. And they may come late: Keras imports
TensorFlow on every backend where it is installed, to seed it and to save a model.

Whoever sets TF_CPP_MIN_LOG_LEVEL=0 hears everything.

A KeyboardInterrupt inside the import leaves C++ modules half made: of 38 processes that were
interrupted in their first ten seconds, one died of it. So Ctrl-C waits until the engine is there.
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

from archspec.keras_model.registration import Finder

NAMES: Final = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
"""Each of Keras's backends as people call it."""

PATIENCE_SECONDS: Final = 1.0
"""How long an engine may take to start without a word."""

LEVEL: Final = "TF_CPP_MIN_LOG_LEVEL"
"""Of TensorFlow's and XLA's C++: 0 logs all, 3 nothing but why a process dies. At 2 a machine
without a GPU is an error to a TensorFlow that was built for one."""

SETTINGS: Final = {LEVEL: "3", "GRPC_VERBOSITY": "ERROR", "TORCH_CPP_LOG_LEVEL": "ERROR"}
"""Environment variables that an engine reads when it is loaded; one that is set stays."""

LOGGERS: Final = ("tensorflow", "jax")

_LOGGED: Final = (
    rb"(WARNING: All log messages before absl::InitializeLog\(\)"
    rb"|[IWE]\d{4} \d\d:\d\d:\d\d"
    rb"|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWE] ).*\n?"
)
"""A line of TensorFlow's C++ log, in the format of absl, or the one before that."""

_starting: Final = threading.Event()

_say: ContextVar[Callable[[str], None] | None] = ContextVar("say", default=None)


@contextlib.contextmanager
def announcing(say: Callable[[str], None] | None, *, instead: bool = False) -> Iterator[None]:
    """Have `say` told, in a thread of its own, of each engine that takes over a second to start.

    None tells nobody. With `instead` it is told only where another one would be.
    """
    token = _say.set(None if instead and _say.get() is None else say)
    try:
        yield
    finally:
        _say.reset(token)


@contextlib.contextmanager
def starting(backend: str) -> Iterator[None]:
    """Say that `backend` starts if this takes long, and keep off the terminal what it logs."""
    _hush()
    say = _say.get()
    text = f"starting {NAMES[backend]} ..."
    timer = threading.Timer(PATIENCE_SECONDS, say or _nobody, [text])
    timer.daemon = True
    if say is not None:
        timer.start()
    try:
        with _undisturbed():
            _starting.set()
            yield
    finally:
        _starting.clear()
        timer.cancel()
    _hush_absl()


def is_starting() -> bool:
    """Whether an engine is being imported, and nothing else is done; any thread may ask."""
    return _starting.is_set()


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Put off a Ctrl-C until the end, and then let its handler have it."""
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


def _nobody(text: str) -> None:
    """Say nothing."""


def _hush() -> None:
    import logging  # noqa: PLC0415

    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    if os.environ[LEVEL] == "0":
        return
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.ERROR)
    if "tensorflow" not in sys.modules and _TENSORFLOW not in sys.meta_path:
        sys.meta_path.insert(0, _TENSORFLOW)


def _hush_absl() -> None:
    """Let absl's Python log errors only; its logger must not be touched before absl makes it."""
    absl: Any = sys.modules.get("absl.logging")
    if absl is not None and os.environ[LEVEL] != "0":
        absl.set_verbosity(absl.ERROR)


def _held_back(execute: Callable[[], None]) -> None:
    """Execute a module; let through what it writes to standard error, but for what is logged.

    If it fails, that is let through too.
    """
    import re  # noqa: PLC0415
    import tempfile  # noqa: PLC0415

    failed = True
    with tempfile.TemporaryFile() as file:
        try:
            with _undisturbed(), _standard_error_to(file.fileno()):
                execute()
            failed = False
        except KeyboardInterrupt:
            failed = False
            raise
        finally:
            file.seek(0)
            written = file.read()
            with contextlib.suppress(OSError):  # nobody listens
                os.write(2, written if failed else re.sub(_LOGGED, b"", written))


@contextlib.contextmanager
def _standard_error_to(descriptor: int) -> Iterator[None]:
    """File descriptor 2 leads elsewhere inside."""
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        original = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    try:
        os.dup2(descriptor, 2)
        yield
    finally:
        os.dup2(original, 2)
        os.close(original)


_TENSORFLOW: Final = Finder("tensorflow", _held_back)
