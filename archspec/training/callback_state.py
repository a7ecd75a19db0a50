"""What Keras's callbacks remember from epoch to epoch: kept in a checkpoint, and given back.

None of them says what it remembers. It is the attributes that a training has changed, but for the
arguments that a callback was made with: those are in the recipe, and Keras turns some of them about
in each training anew, as it does the sign of `min_delta`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Final

from archspec.errors import UsageError
from archspec.runs.checkpoint import Checkpoint

ARRAYS: Final = "callback/"


def remembering(keras: Any, callbacks: Sequence[Any], held: Checkpoint | None = None) -> Any:
    """A callback whose `memory()` is what those before it remember: plain values, and arrays.

    With a checkpoint they remember what it holds, from when their training begins: Keras lets them
    forget just before.
    """
    if held and len(held.callbacks) != len(callbacks):
        raise UsageError(
            f"the checkpoint is of {len(held.callbacks)} callbacks, and the recipe has "
            f"{len(callbacks)}"
        )

    class Remembering(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
            self.begun = [_values(callback) for callback in callbacks]
            if held:
                _restore(callbacks, held.callbacks, held.arrays)

        def memory(self) -> tuple[list[dict[str, Any]], dict[str, Any]]:
            plain = [
                {name: value for name, value in _values(callback).items() if value != was.get(name)}
                for callback, was in zip(callbacks, self.begun, strict=True)
            ]
            return plain, _arrays(callbacks)

    return Remembering()


def _values(callback: Any) -> dict[str, Any]:
    """A callback's plain attributes, but for what it was told."""
    import numpy as np  # noqa: PLC0415

    kinds = bool, int, float, str, np.number, np.bool_, type(None)
    told = inspect.signature(type(callback)).parameters
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in vars(callback).items()
        if name not in told and isinstance(value, kinds)
    }


def _arrays(callbacks: Sequence[Any]) -> dict[str, Any]:
    """The lists of arrays among the callbacks' attributes, as weights are, each array by a name."""
    return {
        f"{ARRAYS}{index}/{name}/{number:05}": array
        for index, callback in enumerate(callbacks)
        for name, value in vars(callback).items()
        if _is_arrays(value)
        for number, array in enumerate(value)
    }


def _is_arrays(value: Any) -> bool:
    import numpy as np  # noqa: PLC0415

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
    for (number, attribute), held in lists.items():
        setattr(callbacks[number], attribute, held)
