"""XLA's dump of a compilation -> the memory that the program needs, part by part.

XLA writes, with `--xla_dump_hlo_as_text`, how it has laid out the memory of a program (the buffer
assignment), how long each value is alive (the live ranges), and the program itself, whose
operations carry the names of Keras's layers. It writes them before it makes code, which is why a
measurement need not wait for the code.

XLA writes a peak too, but of the values without what fills tiles, and on a TPU of both memories
together, with that on the chip. The peak here is that of the device's memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

ASSIGNMENT: Final = "-buffer-assignment.txt"
LIVE_RANGES: Final = "-live-range.txt"
LAST: Final = (
    "_after_optimizations-memory-usage-report.txt",
    ".after_optimizations_after_buffer_assignment.txt",  # for a TPU
)
"""Ends of the names of files that are written after those that are read here."""
OPTIMIZED: Final = "after_optimizations"

_ALLOCATION: Final = re.compile(
    r"allocation \d+: size (\d+), (?P<color>color \d+, )?(?:page \d+, )?(?P<kind>.*):$"
)
_VALUE: Final = re.compile(
    r" value: <\d+ (?P<name>\S+?)(?:\{(?P<index>[\d,]*)\})? @(?P<memory>\d+)>"
    r" \(size=(?P<size>\d+),offset=(?P<offset>\d+)\)"
)
_LIFE: Final = re.compile(r"    (\S+)\{([\d,]*)\}:(\d+)-(\d+)$")
_DEFINITION: Final = re.compile(r"\s+(?:ROOT )?%?([\w.-]+) = (.*)$")
_OPERATION: Final = re.compile(r"^(?P<shape>\(.*?\)|\S+) (?P<name>[\w-]+)\((?P<operands>[^)]*)\)")
_OP_NAME: Final = re.compile(r'op_name="([^"]*)"')
_ARRAY: Final = re.compile(r"[a-z]+\d*(?:e\d+m\d+\w*)?\[[\d,]*\]")
_WORD: Final = re.compile(r"[^/()]+")

DEEPEST: Final = 20
"""Most operations, each the source of the next, among which a name is looked for."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """A value that is alive at the peak of a program."""

    bytes: int
    shape: str
    """Dtype and shape as XLA writes them: `f32[32,224,224,64]`."""
    role: str
    """Part of the program that it belongs to: `forward`, `backward`, `input`, `weights`,
    `statistics` (weights that are not trained), `optimizer`, `metrics` or `other`."""
    step: str
    """Path of the step of the spec that it belongs to; empty for none."""
    operation: str
    """Name of the operation that made it, as JAX has it; empty for an argument."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, as in every JSON form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class CompiledMemory:
    """The memory of a compiled program, in bytes, as XLA lays it out."""

    arguments: int
    """Bytes of the arguments: weights, the optimizer's state, the batch."""
    temporaries: int
    """Bytes that are needed only while the program runs."""
    outputs: int
    aliased: int
    """Bytes of outputs that take the place of arguments."""
    at_peak: int = 0
    """Most bytes that are alive at a time; less than the total, whose layout has gaps."""
    buffers: tuple[Buffer, ...] = ()
    """The largest values alive at the peak, the largest first."""
    roles: tuple[tuple[str, int], ...] = ()
    """Bytes alive at the peak by role."""

    @property
    def total(self) -> int:
        """Bytes that the program needs."""
        return self.arguments + self.temporaries + self.outputs - self.aliased

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, as in every JSON form."""
        return {
            "arguments": self.arguments,
            "temporaries": self.temporaries,
            "outputs": self.outputs,
            "aliased": self.aliased,
            "total": self.total,
            "at_peak": self.at_peak,
            "at_peak_by_role": dict(self.roles),
            "largest": [buffer.to_dict() for buffer in self.buffers],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CompiledMemory:
        """Return what `to_dict` wrote; raise `KeyError` or `TypeError` for other data."""
        return cls(
            data["arguments"],
            data["temporaries"],
            data["outputs"],
            data["aliased"],
            data["at_peak"],
            tuple(Buffer(**buffer) for buffer in data["largest"]),
            tuple(data["at_peak_by_role"].items()),
        )


def options(folder: Path) -> dict[str, str | bool]:
    """Return the options of a compilation with which XLA writes its layout into a folder.

    A TPU's compiler takes them from the compilation alone, not from `XLA_FLAGS`.
    """
    return {
        "xla_dump_to": str(folder),
        "xla_dump_hlo_as_text": True,
        # Code that will not run need not be fast.
        "xla_gpu_disable_gpuasm_optimizations": True,
    }


def finished(folder: Path) -> Path | None:
    """Return the program's file in a folder of dumps, once all is written that `read` needs."""
    for end in LAST:
        for last in folder.glob(f"*{end}"):
            return last.with_name(last.name.partition(OPTIMIZED)[0] + f"{OPTIMIZED}.txt")
    return None


def read(
    program: Path,
    arguments: Mapping[str, Sequence[str]],
    steps: Mapping[str, str],
    most: int = 10,
) -> CompiledMemory:
    """Return the memory of a dumped program.

    Args:
        program: The file of the program after XLA's optimizations; the others are beside it.
        arguments: Paths of the arguments that are lists, by their names in the program, as
            `state[0]`; of the others the list is empty.
        steps: Path of the step of each Keras layer, by its name.
        most: Number of buffers to return.
    """
    stem = program.name.removesuffix(".txt")
    assignment = program.with_name(stem + ASSIGNMENT).read_text(encoding="utf-8").splitlines()
    with program.with_name(stem + LIVE_RANGES).open(encoding="utf-8") as lines:
        alive = _alive_at_peak(_lives(lines, _places(assignment)))
    with program.open(encoding="utf-8") as lines:
        names = _Names(lines, arguments, steps)
    buffers = sorted(
        (names.buffer(life.name, life.index, life.place.bytes) for life in alive),
        key=lambda buffer: -buffer.bytes,
    )
    roles: dict[str, int] = {}
    for buffer in buffers:
        roles[buffer.role] = roles.get(buffer.role, 0) + buffer.bytes
    return CompiledMemory(
        *_assigned(assignment),
        sum(roles.values()),
        tuple(buffers[:most]),
        tuple(sorted(roles.items(), key=lambda pair: -pair[1])),
    )


def _assigned(lines: Iterable[str]) -> tuple[int, int, int, int]:
    """Return the bytes of arguments, temporaries, outputs and aliased outputs."""
    arguments = temporaries = outputs = aliased = 0
    for line in lines:
        if (match := _ALLOCATION.match(line)) is None:
            continue
        if match["color"]:  # on the chip, not in its memory
            continue
        size, kind = int(match[1]), match["kind"]
        lives_on = kind.endswith("maybe-live-out")
        if kind.startswith("parameter"):
            arguments += size
            aliased += size * lives_on
        if lives_on:
            outputs += size
        elif kind.startswith("preallocated-temp"):
            temporaries += size
    return arguments, temporaries, outputs, aliased


class _Place(NamedTuple):
    """The part of the device's memory that a value takes."""

    allocation: int
    offset: int
    bytes: int
    """Bytes of the value; on a TPU with what fills tiles."""


@dataclass(frozen=True, slots=True)
class _Life:
    """A value, and the first and the last instruction of the program at which it is alive."""

    name: str
    index: str
    """Index in the tuple that the operation returns; "" where it returns no tuple."""
    place: _Place
    first: int
    last: int


def _places(lines: Iterable[str]) -> dict[tuple[str, str], _Place]:
    """Return the place of each value in the device's memory by its name and index."""
    places: dict[tuple[str, str], _Place] = {}
    allocation = -1
    for line in lines:
        if _ALLOCATION.match(line) is not None:
            allocation += 1
        elif (match := _VALUE.match(line)) is not None and match["memory"] == "0":
            place = _Place(allocation, int(match["offset"]), int(match["size"]))
            places[match["name"], match["index"] or ""] = place
    return places


def _lives(lines: Iterable[str], places: Mapping[tuple[str, str], _Place]) -> list[_Life]:
    """Return the values that have places, and when they are alive."""
    lives = []
    for line in lines:
        if (match := _LIFE.match(line)) is not None:
            name, index, first, last = match.groups()
            if (place := places.get((name, index))) is not None:
                lives.append(_Life(name, index, place, int(first), int(last)))
    return lives


def _alive_at_peak(lives: Iterable[_Life]) -> list[_Life]:
    """Return the values that are alive when most bytes are, one for each place."""
    lives = sorted(lives, key=lambda life: life.first)
    alive: list[_Life] = []
    most, peak = 0, alive
    for instruction, begun in groupby(lives, key=lambda life: life.first):
        alive = [life for life in alive if life.last >= instruction]
        alive += begun
        # What takes the place of a value is alive beside it for an instruction.
        by_start = {(life.place.allocation, life.place.offset): life for life in alive}
        total = sum(life.place.bytes for life in by_start.values())
        if total > most:
            most, peak = total, list(by_start.values())
    return peak


class _Names:
    """The operations of a program by name, and the steps that they belong to."""

    def __init__(
        self,
        lines: Iterable[str],
        arguments: Mapping[str, Sequence[str]],
        steps: Mapping[str, str],
    ) -> None:
        self._arguments, self._steps = arguments, steps
        self._definitions: dict[str, str] = {}
        for line in lines:
            if (match := _DEFINITION.match(line)) is not None:
                self._definitions[match[1]] = match[2]

    def buffer(self, name: str, index: str, size: int) -> Buffer:
        """Return the value of an operation, of whose results it may be one."""
        definition = self._definitions.get(name, "")
        operation = _OPERATION.match(definition)
        arrays = _ARRAY.findall(operation["shape"]) if operation else []
        place = int(index.partition(",")[0]) if index else 0
        shape = arrays[place] if place < len(arrays) else ""
        return Buffer(size, shape, *self._origin(name))

    def _origin(self, name: str) -> tuple[str, str, str]:
        """Return the role of a value, its step and the operation that made it.

        XLA's own copies have no name: they are called after what they copy.
        """
        for _ in range(DEEPEST):
            definition = self._definitions.get(name, "")
            operation = _OPERATION.match(definition)
            if (found := _OP_NAME.search(definition)) is not None:
                origin = self._named(found[1], is_argument=" parameter(" in definition)
                if origin is not None:
                    return origin
            if operation is None or not operation["operands"]:
                break
            name = operation["operands"].split(",")[0].split()[-1].lstrip("%")
        return "other", "", ""

    def _named(self, name: str, *, is_argument: bool) -> tuple[str, str, str] | None:
        """Return the origin of the value that has a name in JAX; None if no step has it."""
        if is_argument:
            return self._argument(name)
        *scopes, operation = _WORD.findall(name) or [""]
        step = next(filter(None, map(self._step, scopes)), "")
        if not step:
            return None
        return "backward" if "transpose(" in name else "forward", step, operation

    def _argument(self, name: str) -> tuple[str, str, str]:
        group, _, place = name.rpartition("[")
        paths = self._arguments.get(group, ())
        index = int(place[:-1]) if place[:-1].isdigit() else -1
        if not 0 <= index < len(paths):
            return "input", "", ""
        role, _, path = paths[index].partition(":")
        return role, self._step(path.split("/")[0]) or "", ""

    def _step(self, layer: str) -> str | None:
        """Return the step of a layer, which may be one of several that a step has."""
        while layer:
            if layer in self._steps:
                return self._steps[layer]
            layer = layer.rpartition("-")[0]
        return None
