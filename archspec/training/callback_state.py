"""State of Keras's callbacks, such as their patience: kept in checkpoints, and restored.

Keras's callbacks have no interface for it. Their state is the plain attributes that training has
changed, except those named like arguments: these are in the recipe, and Keras changes some in each
training anew, such as the sign of `min_delta`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Final

from archspec.errors import UsageError
from archspec.lazy import np
from archspec.runs.checkpoints import Checkpoint

ARRAYS: Final = "callback/"
"""Prefix of the callbacks' arrays in a checkpoint."""


def callback_state(
    keras: Any, callbacks: Sequence[Any], checkpoint: Checkpoint | None = None
) -> Any:
    """Return a Keras callback to come after `callbacks`, whose `read()` returns their state.

    The state is plain values for each callback, and all arrays by name. With a checkpoint, their
    state is restored when training begins, after Keras has reset them.
    """
    if checkpoint and len(checkpoint.callbacks) != len(callbacks):
        raise UsageError(
            f"the checkpoint has {len(checkpoint.callbacks)} callbacks, and the recipe has "
            f"{len(callbacks)}"
        )

    class CallbackState(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
            self.initial = [_values(callback) for callback in callbacks]
            if checkpoint:
                _restore(callbacks, checkpoint.callbacks, checkpoint.arrays)

        def read(self) -> tuple[list[dict[str, Any]], dict[str, Any]]:
            plain = [
                {name: value for name, value in _values(callback).items() if value != was.get(name)}
                for callback, was in zip(callbacks, self.initial, strict=True)
            ]
            return plain, _arrays(callbacks)

    return CallbackState()


def _values(callback: Any) -> dict[str, Any]:
    """Return a callback's plain attributes, except those named like its arguments."""
    kinds = bool, int, float, str, np.number, np.bool_, type(None)
    arguments = inspect.signature(type(callback)).parameters
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in vars(callback).items()
        if name not in arguments and isinstance(value, kinds)
    }


def _arrays(callbacks: Sequence[Any]) -> dict[str, Any]:
    """Return all lists of arrays among the callbacks' attributes, such as weights, by name."""
    return {
        f"{ARRAYS}{index}/{name}/{number:05}": array
        for index, callback in enumerate(callbacks)
        for name, value in vars(callback).items()
        if _is_arrays(value)
        for number, array in enumerate(value)
    }


def _is_arrays(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, np.ndarray) for v in value)


def _restore(
    callbacks: Sequence[Any], plain: Sequence[Mapping[str, Any]], arrays: Mapping[str, Any]
) -> None:
    lists: dict[tuple[int, str], list[Any]] = {}
    for name in sorted(arrays):
        if name.startswith(ARRAYS):
            _, index, attribute, _ = name.split("/")
            lists.setdefault((int(index), attribute), []).append(arrays[name])
    for callback, values in zip(callbacks, plain, strict=True):
        vars(callback).update(values)
    for (number, attribute), each in lists.items():
        setattr(callbacks[number], attribute, each)
