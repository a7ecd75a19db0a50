"""Checkpoints: the whole state of a training after an epoch in one file, for a bit-exact resume.

A checkpoint holds every variable of the model and its optimizer, including the states of their
random numbers, the attributes of Keras's callbacks, and the run's history. The data has no state:
a batch is a function of seed, epoch and step (see `training.feeding`).
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import ConfigDict

from archspec import atomic
from archspec.errors import UsageError
from archspec.keras_model.engine import load_keras
from archspec.lazy import np
from archspec.runs import storage
from archspec.runs.files import CHECKPOINTS
from archspec.runs.state import RunState, history_fault
from archspec.runs.storage import STRICT, DamagedError

KEPT: Final = 2
"""Number of checkpoints to keep. If a failing disk damages the newest, there is one before it."""

_HEADER: Final = "facts"
"""The name under which files hold the header."""

_VARIABLES: Final = ("model/", "optimizer/")
_RANDOM: Final = "random/"
_NAME: Final = re.compile(r"epoch-(\d{4,18})\.npz")
_DAMAGES: Final = (
    DamagedError, OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, MemoryError,
    RuntimeError,  # a flipped bit marks the file as encrypted
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""Errors that reading a damaged file raises."""


@dataclass(slots=True)
class Checkpoint:
    """The state of a training after an epoch."""

    epoch: int
    arrays: dict[str, Any]
    """Variables of model and optimizer, random states, and arrays of the callbacks, by name."""
    state: RunState = field(default_factory=RunState)
    callbacks: Sequence[Mapping[str, Any]] = ()
    """Attributes of each of Keras's callbacks."""


@dataclass(frozen=True, slots=True)
class _Contents:
    """The plain values in a checkpoint's file, beside its arrays."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    record: RunState
    callbacks: tuple[Mapping[str, Any], ...]
    dtypes: Mapping[str, str]
    """The dtype of every array by name: NumPy files store bfloat16 as two bytes without a type."""


def save(home: Path, checkpoint: Checkpoint, *, spared: int | None = None) -> Path:
    """Write a checkpoint into a run's folder, and return its file.

    Older ones are removed, except for the newest `KEPT` and that of the epoch `spared`.
    """
    places = home / CHECKPOINTS
    places.mkdir(exist_ok=True)
    path = places / f"epoch-{checkpoint.epoch:04}.npz"
    dtypes = {name: array.dtype.name for name, array in checkpoint.arrays.items()}
    header = asdict(_Contents(checkpoint.state, tuple(checkpoint.callbacks), dtypes))
    text = json.dumps(header).encode()
    with atomic.whole(path) as partial, partial.open("wb") as file:
        arrays: dict[str, Any] = {_HEADER: np.frombuffer(text, np.uint8), **checkpoint.arrays}
        np.savez(file, **arrays)
    for epoch, old in _saved(home)[KEPT:]:
        if epoch != spared:
            old.unlink(missing_ok=True)
    return path


def of_epoch(home: Path, epoch: int) -> Checkpoint | None:
    """Return the checkpoint of an epoch; None if there is none or it is damaged."""
    paths = [path for saved, path in _saved(home) if saved == epoch]
    return next(filter(None, (_read(epoch, path) for path in paths)), None)


def latest(home: Path) -> tuple[Checkpoint | None, tuple[Path, ...]]:
    """Return the newest checkpoint that is whole, and the files of newer, damaged ones."""
    damaged: list[Path] = []
    for epoch, path in _saved(home):
        if checkpoint := _read(epoch, path):
            return checkpoint, tuple(damaged)
        damaged.append(path)
    return None, tuple(damaged)


def _saved(home: Path) -> list[tuple[int, Path]]:
    """Return epochs and files of a run's checkpoints, newest first."""
    places = home / CHECKPOINTS
    if not places.is_dir():
        return []
    try:
        paths = list(places.iterdir())
    except OSError as error:
        raise UsageError(f"cannot read {places}: {error.strerror}") from None
    names = ((_NAME.fullmatch(path.name), path) for path in paths)
    return sorted(((int(name[1]), path) for name, path in names if name), reverse=True)


def _read(epoch: int, path: Path) -> Checkpoint | None:
    """Return a checkpoint, None for a damaged one.

    Reading an array checks its checksum. All of them are read before any is used.
    """
    try:
        storage.check_readable(path)
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        header = storage.parse(arrays.pop(_HEADER).tobytes(), _Contents, str(path))
        if any(array.dtype.kind == "V" for array in arrays.values()):
            load_keras()  # which registers bfloat16 with NumPy
        arrays = {name: arrays[name].view(dtype) for name, dtype in header.dtypes.items()}
    except _DAMAGES:
        return None
    state = header.record
    if len(state.rows) != epoch:  # the file was renamed
        return None
    if history_fault(state.rows, state.best_epoch, state.written_epoch):
        return None
    return Checkpoint(epoch, arrays, state, header.callbacks)


def variables_of(keras: Any, model: Any) -> dict[str, Any]:
    """Return all that training changes in a compiled model and its optimizer, by name."""
    arrays = {name: keras.ops.convert_to_numpy(variable) for name, variable in _variables(model)}
    return arrays | random_state(keras)


def restore(model: Any, checkpoint: Checkpoint) -> None:
    """Restore the variables of a compiled model and its built optimizer.

    Raises:
        UsageError: The checkpoint belongs to another network or optimizer.

    """
    variables = dict(_variables(model))
    arrays = {name: a for name, a in checkpoint.arrays.items() if name.startswith(_VARIABLES)}
    shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
    if shapes != {name: array.shape for name, array in arrays.items()}:
        raise UsageError("the checkpoint belongs to another network or another optimizer")
    for name, array in arrays.items():
        variables[name].assign(array)
    restore_random_state(checkpoint.arrays)


def _variables(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield variables under numbered names: Keras's own depend on what else the process has built.

    A model's variables include the states of its random numbers, which its weights do not.
    """
    for prefix, owner in zip(_VARIABLES, (model, model.optimizer), strict=True):
        for index, variable in enumerate(owner.variables):
            yield f"{prefix}{index:05}", variable


def random_state(keras: Any) -> dict[str, Any]:
    """Return the states of a backend's global random numbers, by name.

    On torch, dropout draws from them. The other backends draw only from variables.
    """
    if keras.backend.backend() != "torch":
        return {}
    import torch  # noqa: PLC0415  (loaded already, by Keras)

    states = [torch.get_rng_state(), *torch.cuda.get_rng_state_all()]
    return {f"{_RANDOM}{number:05}": state.numpy() for number, state in enumerate(states)}


def restore_random_state(arrays: Mapping[str, Any]) -> None:
    """Restore the states that `random_state` returned."""
    states = [array for name, array in sorted(arrays.items()) if name.startswith(_RANDOM)]
    if states:
        import torch  # noqa: PLC0415

        first, *others = (torch.from_numpy(state) for state in states)
        torch.set_rng_state(first)
        if len(others) == torch.cuda.device_count():  # another machine may have other devices
            torch.cuda.set_rng_state_all(others)
