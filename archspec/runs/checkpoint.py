"""All that a training is at the end of an epoch, in one file: enough to go on as if never stopped.

A checkpoint holds every variable of the model and of its optimizer, the states of their random
numbers among them, what the callbacks remember, and what the run has recorded. Data needs no
state: it is a function of seed, epoch and step (see `feeding`).
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

from archspec.errors import UsageError
from archspec.keras_model.engine import load_keras
from archspec.runs import folder, storage
from archspec.runs.files import CHECKPOINTS
from archspec.runs.state import RunState, history_fault
from archspec.runs.storage import STRICT, DamagedError

KEPT: Final = 2
"""The newest checkpoint may be damaged by a failing disk: the one before it is still there."""

_FACTS: Final = "facts"
_VARIABLES: Final = ("model/", "optimizer/")
_RANDOM: Final = "random/"
_NAME: Final = re.compile(r"epoch-(\d{4,18})\.npz")
_DAMAGES: Final = (
    DamagedError, OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, MemoryError,
    RuntimeError,  # where a flipped bit says that the file is encrypted
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What reading a damaged file raises."""


@dataclass(slots=True)
class Checkpoint:
    """What was saved after so many epochs."""

    epoch: int
    arrays: dict[str, Any]
    """The variables of model and optimizer, random states, and arrays of the callbacks, by name."""
    memory: RunState = field(default_factory=RunState)
    callbacks: Sequence[Mapping[str, Any]] = ()
    """What each of Keras's callbacks remembers, by attribute."""


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a checkpoint's file holds beside its arrays."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    record: RunState
    callbacks: tuple[Mapping[str, Any], ...]
    dtypes: Mapping[str, str]
    """The name of every array's dtype: a file knows no bfloat16, only its two bytes."""


def save(home: Path, checkpoint: Checkpoint, *, spared: int | None = None) -> Path:
    """Write a checkpoint into a run's folder, and remove the oldest of more than `KEPT`.

    That of the epoch `spared` stays.
    """
    import numpy as np  # noqa: PLC0415

    places = home / CHECKPOINTS
    places.mkdir(exist_ok=True)
    path = places / f"epoch-{checkpoint.epoch:04}.npz"
    dtypes = {name: array.dtype.name for name, array in checkpoint.arrays.items()}
    held = _Facts(checkpoint.memory, tuple(checkpoint.callbacks), dtypes)
    facts = json.dumps(asdict(held)).encode()
    with folder.whole(path) as partial, partial.open("wb") as file:
        arrays: dict[str, Any] = {_FACTS: np.frombuffer(facts, np.uint8), **checkpoint.arrays}
        np.savez(file, **arrays)
    for epoch, old in _saved(home)[KEPT:]:
        if epoch != spared:
            old.unlink(missing_ok=True)
    return path


def of_epoch(home: Path, epoch: int) -> Checkpoint | None:
    """None where there is none, or it cannot be read whole."""
    places = [path for saved, path in _saved(home) if saved == epoch]
    return next((held for path in places if (held := _whole(epoch, path))), None)


def latest(home: Path) -> tuple[Checkpoint | None, tuple[Path, ...]]:
    """The newest checkpoint that can be read whole, and those newer that cannot."""
    damaged: list[Path] = []
    for epoch, path in _saved(home):
        if held := _whole(epoch, path):
            return held, tuple(damaged)
        damaged.append(path)
    return None, tuple(damaged)


def _saved(home: Path) -> list[tuple[int, Path]]:
    """Epochs and files of a run's checkpoints, newest first."""
    places = home / CHECKPOINTS
    if not places.is_dir():
        return []
    try:
        paths = list(places.iterdir())
    except OSError as error:
        raise UsageError(f"cannot read {places}: {error.strerror}") from None
    found = ((_NAME.fullmatch(path.name), path) for path in paths)
    return sorted(((int(name[1]), path) for name, path in found if name), reverse=True)


def _whole(epoch: int, path: Path) -> Checkpoint | None:
    """Every array is read, and so its checksum compared, before any of them is used."""
    import numpy as np  # noqa: PLC0415

    try:
        storage.check_readable(path)
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files}
        facts = storage.parse(arrays.pop(_FACTS).tobytes(), _Facts, str(path))
        if any(array.dtype.kind == "V" for array in arrays.values()):
            load_keras()  # with it comes what teaches numpy bfloat16
        arrays = {name: arrays[name].view(dtype) for name, dtype in facts.dtypes.items()}
    except _DAMAGES:
        return None
    memory = facts.record
    if len(memory.rows) != epoch:  # it is called after another epoch than it is of
        return None
    if history_fault(memory.rows, memory.best_epoch, memory.written_epoch):
        return None
    return Checkpoint(epoch, arrays, facts.record, facts.callbacks)


def variables_of(keras: Any, model: Any) -> dict[str, Any]:
    """Every number that training changes in a compiled model and its optimizer, by name."""
    arrays = {name: keras.ops.convert_to_numpy(variable) for name, variable in _variables(model)}
    return arrays | random_state(keras)


def restore(model: Any, checkpoint: Checkpoint) -> None:
    """Give a compiled model and its built optimizer the numbers that they had.

    Raises `UsageError` where they are another's.
    """
    wanted = dict(_variables(model))
    held = {name: a for name, a in checkpoint.arrays.items() if name.startswith(_VARIABLES)}
    shapes = {name: tuple(variable.shape) for name, variable in wanted.items()}
    if shapes != {name: array.shape for name, array in held.items()}:
        raise UsageError("the checkpoint is not of this network, or not of this optimizer")
    for name, array in held.items():
        wanted[name].assign(array)
    restore_random_state(checkpoint.arrays)


def _variables(model: Any) -> Iterator[tuple[str, Any]]:
    """By number: Keras's own names count everything that a process has made.

    The states of random numbers are among a model's variables, but not among its weights.
    """
    for prefix, owner in zip(_VARIABLES, (model, model.optimizer), strict=True):
        for index, variable in enumerate(owner.variables):
            yield f"{prefix}{index:05}", variable


def random_state(keras: Any) -> dict[str, Any]:
    """The states of a backend's own random numbers, by name: on torch, dropout draws from them.

    The others draw from their variables alone.
    """
    if keras.backend.backend() != "torch":
        return {}
    import torch  # noqa: PLC0415  (loaded already, by Keras)

    states = [torch.get_rng_state(), *torch.cuda.get_rng_state_all()]
    return {f"{_RANDOM}{number:05}": state.numpy() for number, state in enumerate(states)}


def restore_random_state(arrays: Mapping[str, Any]) -> None:
    """Let a backend draw the random numbers that it would have drawn."""
    held = [array for name, array in sorted(arrays.items()) if name.startswith(_RANDOM)]
    if held:
        import torch  # noqa: PLC0415

        first, *others = (torch.from_numpy(state) for state in held)
        torch.set_rng_state(first)
        if len(others) == torch.cuda.device_count():  # another machine may have other devices
            torch.cuda.set_rng_state_all(others)
