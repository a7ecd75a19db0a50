"""Files that describe a run: its data, the source of its weights, its environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import ConfigDict, Field

from archspec.data.duplicates import Copies
from archspec.data.preprocessing import Preprocessing
from archspec.data.targets import TargetScale
from archspec.data.task import TaskKind
from archspec.data.values import PixelValues
from archspec.errors import UsageError
from archspec.runs import storage
from archspec.runs.files import DATA, ENVIRONMENT, TRANSFER
from archspec.runs.storage import STRICT, DamagedError, NotNegativeInt

VERSION: Final = 1
"""Version of `data.json`. A file without one was written by archspec 0.1.0."""

MOST_NAMED: Final = 6
"""Largest number of new steps that a line names."""


@dataclass(frozen=True, slots=True)
class PartSizes:
    """Number of images in each part of the data."""

    train: NotNegativeInt
    validation: NotNegativeInt
    test: NotNegativeInt


@dataclass(frozen=True, slots=True)
class DataRecord:
    """`data.json`: the data of a run, and all that is needed to prepare another image alike.

    Fields that older files lack have a default.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    source: str
    description: str
    images: PartSizes
    class_names: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of the classes, labels or values, in the order of the network's outputs."""
    preprocessing: Preprocessing
    fingerprint: str
    """Digest of the data, as in `Data`."""
    fingerprint_covers: str
    skipped: tuple[tuple[str, str], ...] = ()
    """Files that were left out, and the reason for each."""
    copies: Copies | None = None
    """Images that are in the data more than once, as in `Data`."""
    values: PixelValues | None = None
    """Type and range of the images' values; None in older records."""
    notes: tuple[str, ...] = ()
    """Other remarks about the data, a line each."""
    split_rule: Literal[1, 2] = 1
    """Version of the rule that split the images: `splitting.SPLIT_RULE`, 1 in older records."""
    split: str = ""
    """SHA-256 of which images are in which part: no held-out image may be trained on later."""
    task: TaskKind = "classification"
    """The kind of task: `classification` in older records."""
    scale: TargetScale | None = None
    """Scale on which the network learns numbers; None for that of the labels."""
    version: NotNegativeInt = 0

    def __post_init__(self) -> None:
        if self.task == "classification" and len(self.class_names) == 1:
            raise ValueError("`class_names` must be several")
        if self.scale is not None and not (
            len(self.scale.mean) == len(self.scale.deviation) == len(self.class_names)
        ):
            raise ValueError("`scale` is not for as many values as `class_names` has")
        if len(set(self.class_names)) < len(self.class_names):
            raise ValueError("`class_names` has a name twice")
        channels = len(self.preprocessing.mean), len(self.preprocessing.deviation)
        if channels[0] != channels[1]:
            raise ValueError(
                "`preprocessing.mean` and `preprocessing.deviation` differ in their number of "
                "channels"
            )
        limits = self.preprocessing.range
        if limits is not None and limits.span <= 0:
            raise ValueError("`preprocessing.range` has a white that is not above its black")

    @classmethod
    def read(cls, home: Path) -> DataRecord:
        """Return the record in a run's folder.

        Raises:
            UsageError: The file is missing, damaged or cannot be read.

        """
        try:
            text = _with_range(storage.content(home / DATA))
            return storage.parse(text, cls, str(home / DATA))
        except FileNotFoundError:
            raise UsageError(
                f"there is no {home / DATA}, which describes the training data: put it back"
            ) from None

    def as_version_0(self) -> DataRecord:
        """Return the record as archspec 0.1.0 wrote it.

        A resumed run of that version may be killed between writing `origin.json` and `data.json`.
        """
        return replace(self, version=0, copies=None, values=None, split="", notes=())

    def write(self, home: Path) -> None:
        """Write `data.json`."""
        storage.write(home / DATA, self)


def _with_range(text: bytes) -> bytes | str:
    """Return a file's text, where version 0 has only the white of pixels with their range."""
    try:
        record = json.loads(text)
        preprocessing = record["preprocessing"]
        preprocessing["range"] = [0.0, preprocessing.pop("scale")]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return text  # of a newer version, or for the reader to refuse
    return json.dumps(record)


@dataclass(frozen=True, slots=True)
class TransferRecord:
    """`transfer.json`: the source of a network's initial weights where they are not random."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    source: str
    layers: tuple[tuple[str, str], ...]
    """Names of the layers that were copied, in this network and in the source."""
    params: NotNegativeInt
    """Number of parameters in these layers."""
    new: tuple[str, ...]
    """The layers with weights that keep their random initial ones."""
    new_params: NotNegativeInt
    steps: tuple[str, ...]
    """Names of the new layers in the report's table."""
    notes: tuple[str, ...] = ()
    """Remarks on settings of the source that are not weights."""

    def __str__(self) -> str:
        copied = f"copied {self.params:,} parameters of {len(self.layers):,} layers"
        named = ", ".join(self.steps[:MOST_NAMED])
        more = f" and {len(self.steps) - MOST_NAMED:,} more" if self.steps[MOST_NAMED:] else ""
        new = f"new: {named}{more} ({self.new_params:,} parameters)" if self.new else "nothing new"
        return "\n".join([f"{copied} from {self.source}; {new}", *self.notes])

    @classmethod
    def read(cls, home: Path) -> TransferRecord | None:
        """Return the record in a run's folder, None where there is none; raise `UsageError`."""
        try:
            return storage.read(home / TRANSFER, cls)
        except FileNotFoundError:
            return None

    def write(self, home: Path) -> None:
        """Write `transfer.json`."""
        storage.write(home / TRANSFER, self)


def environments(home: Path) -> tuple[Mapping[str, Any], ...]:
    """Return the environment of each process that trained here; nothing of a damaged file."""
    try:
        return storage.read(home / ENVIRONMENT, tuple[dict[str, Any], ...])
    except (FileNotFoundError, DamagedError):
        return ()


def add_environment(home: Path, environment: Mapping[str, Any]) -> None:
    """Add this process to `environment.json`, which is only for people."""
    storage.write(home / ENVIRONMENT, [*environments(home), environment])
