"""What a training run tells whoever watches it, and a stop that Ctrl-C asks for.

The watchers are plain objects; `as_keras_callback` is all that Keras sees of them.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeAlias

Logs: TypeAlias = Mapping[str, float]


class Watcher(Protocol):
    """What is told of a run's progress. Epochs count from 1."""

    def epoch_begins(self, epoch: int) -> None: ...

    def steps_done(self, steps: int, logs: Logs) -> None: ...

    def epoch_ends(self, epoch: int, logs: Logs) -> None: ...


def as_keras_callback(keras: Any, watcher: Watcher) -> Any:
    """A Keras callback that tells `watcher`, without making the device wait after each step."""

    class Watching(keras.callbacks.Callback):  # type: ignore[misc]
        # Lets Keras read a step's logs in another thread, which is where they are waited for.
        async_safe = True

        def __init__(self) -> None:
            super().__init__()
            self.lock = threading.Lock()
            self.steps = 0

        def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: ARG002
            self.steps = 0
            watcher.epoch_begins(epoch + 1)

        def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
            with self.lock:
                if batch >= self.steps:  # threads may overtake each other
                    self.steps = batch + 1
                    watcher.steps_done(self.steps, logs or {})

        def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
            watcher.epoch_ends(epoch + 1, averages(keras, logs or {}))

    return Watching()


def averages(keras: Any, logs: Mapping[str, Any]) -> dict[str, float]:
    """A number for each measure: of a metric with a value for each class, their mean."""
    return {name: float(keras.ops.convert_to_numpy(v).mean()) for name, v in logs.items()}


class Interrupt:
    """Whether Ctrl-C was pressed, which asks for a stop after the step under way.

    Left to itself it is raised anywhere, with the weights of some backends half-way between two
    steps. Pressed again it raises KeyboardInterrupt as ever.
    """

    requested = False

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread is ever interrupted
            return
        previous = signal.signal(signal.SIGINT, self._handle)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, previous)

    def _handle(self, *_: object) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
