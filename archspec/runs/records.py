"""What the files of a run's beginning hold: its data, its weights' source, its environments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import ConfigDict, Field

from archspec.data.duplicates import Copies
from archspec.data.preprocessing import Preprocessing
from archspec.data.values import PixelValues
from archspec.errors import UsageError
from archspec.runs import storage
from archspec.runs.files import DATA, ENVIRONMENT, TRANSFER
from archspec.runs.storage import STRICT, Count, DamagedError

VERSION: Final = 1
"""Of `data.json`. A file without one is of archspec 0.1.0."""

MOST_NAMED: Final = 6
"""How many new steps a line names."""


@dataclass(frozen=True, slots=True)
class PartSizes:
    """How many images are for what."""

    train: Count
    validation: Count
    test: Count


@dataclass(frozen=True, slots=True)
class DataRecord:
    """`data.json`: what a run learns from; enough to prepare another image in the same way.

    A field that older files lack has a default.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    source: str
    description: str
    images: PartSizes
    class_names: Annotated[tuple[str, ...], Field(min_length=2)]
    """In the order of the network's outputs."""
    preprocessing: Preprocessing
    fingerprint: str
    """As in `Data`."""
    fingerprint_covers: str
    skipped: tuple[tuple[str, str], ...] = ()
    """Files that were left out, and why."""
    copies: Copies | None = None
    """As in `Data`."""
    values: PixelValues | None = None
    """What the values of the images are; None in runs of files before version 2."""
    notes: tuple[str, ...] = ()
    """What else was said of the data, a line each."""
    split_rule: Literal[1, 2] = 1
    """By which images were split: `splitting.SPLIT_RULE`, or 1 in files that do not say it."""
    split: str = ""
    """SHA-256 of which images are for what: what is held out must not be learnt from."""
    version: Count = 0

    def __post_init__(self) -> None:
        if len(set(self.class_names)) < len(self.class_names):
            raise ValueError("`class_names` has a name twice")
        channels = len(self.preprocessing.mean), len(self.preprocessing.deviation)
        if channels[0] != channels[1]:
            raise ValueError("`preprocessing.mean` and `deviation` are not of as many channels")
        limits = self.preprocessing.range
        if limits is not None and limits.span <= 0:
            raise ValueError("`preprocessing.range` has a white that is not above black")

    @classmethod
    def read(cls, home: Path) -> DataRecord:
        """Return what a run's folder says; raise `UsageError` where it does not."""
        try:
            text = _with_range(storage.content(home / DATA))
            return storage.parse(text, cls, str(home / DATA))
        except FileNotFoundError:
            raise UsageError(
                f"there is no {home / DATA}, which says what was learnt: put it back"
            ) from None

    def of_version_0(self) -> DataRecord:
        """Return what a folder of archspec 0.1.0 says: between `origin.json` and this, a kill."""
        return replace(self, version=0, copies=None, values=None, split="", notes=())

    def write(self, home: Path) -> None:
        """Write `data.json`."""
        storage.write(home / DATA, self)


def _with_range(text: bytes) -> bytes | str:
    """The text of a file; of version 0, with the range of the pixels where it has their white."""
    try:
        found = json.loads(text)
        prepared = found["preprocessing"]
        prepared["range"] = [0.0, prepared.pop("scale")]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return text  # of today, or for its reader to refuse
    return json.dumps(found)


@dataclass(frozen=True, slots=True)
class TransferRecord:
    """`transfer.json`: what a network began with that did not begin with random weights."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    source: str
    layers: tuple[tuple[str, str], ...]
    """The names of the layers that were copied, here and there."""
    params: Count
    """How many parameters these have."""
    new: tuple[str, ...]
    """The layers with weights that keep their initial ones."""
    new_params: Count
    steps: tuple[str, ...]
    """What a table calls the new layers."""
    notes: tuple[str, ...] = ()
    """What else the source computes with, which is no weight."""

    def __str__(self) -> str:
        copied = f"copied {self.params:,} parameters of {len(self.layers):,} layers"
        named = ", ".join(self.steps[:MOST_NAMED])
        more = f" and {len(self.steps) - MOST_NAMED:,} more" if self.steps[MOST_NAMED:] else ""
        new = f"new: {named}{more} ({self.new_params:,} parameters)" if self.new else "nothing new"
        return "\n".join([f"{copied} from {self.source}; {new}", *self.notes])

    @classmethod
    def read(cls, home: Path) -> TransferRecord | None:
        """Return what a run's folder says, None where it says nothing; raise `UsageError`."""
        try:
            return storage.read(home / TRANSFER, cls)
        except FileNotFoundError:
            return None

    def write(self, home: Path) -> None:
        """Write `transfer.json`."""
        storage.write(home / TRANSFER, self)


def environments(home: Path) -> tuple[Mapping[str, Any], ...]:
    """Return what each process computed on that trained here; nothing of a damaged file."""
    try:
        return storage.read(home / ENVIRONMENT, tuple[dict[str, Any], ...])
    except (FileNotFoundError, DamagedError):
        return ()


def add_environment(home: Path, environment: Mapping[str, Any]) -> None:
    """Add this process to `environment.json`, which nothing but people reads."""
    storage.write(home / ENVIRONMENT, [*environments(home), environment])
