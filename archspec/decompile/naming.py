"""Names of steps: those that others read, and those of the source that the language can carry."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Final, NamedTuple

from archspec.compile import catalog
from archspec.decompile.steps import PREVIOUS, Step, walk
from archspec.decompile.view import View
from archspec.spec.document import name_problem
from archspec.text import free_name

IMAGE: Final = "image"
"""Name of the only input of a network some of whose inner steps read it."""

LONGEST: Final = 56
"""Largest number of characters of a name that is taken over: 64 with a number behind it."""

EARLIER_LATER: Final = ("earlier", "later")
"""Names of the two inputs of a block whose layers have no names that tell them apart."""

MERGED: Final = {"add": "sum", "concat": "joined", "multiply": "product"}
"""Names of steps of a cell that join others, where the source has none."""

NOWHERE: Final = -3
"""Entry of what is around a block: the block's steps read nothing of it."""

_NUMBERED: Final = re.compile(r"([a-z][a-z0-9_]*?)_?[0-9]*")

_MADE: Final = frozenset(
    {
        "conv1d",
        "conv2d",
        "conv3d",
        "depthwise_conv2d",
        "separable_conv2d",
        "conv2d_transpose",
        "dense",
        "activation",
        "batch_normalization",
        "layer_normalization",
        "max_pooling2d",
        "average_pooling2d",
        "zero_padding2d",
        "global_average_pooling2d",
        "global_max_pooling2d",
        "input_layer",
        "concatenate",
        "multiply",
        "average",
        "re_lu",
        "leaky_re_lu",
        "rescaling",
        "normalization",
        "branch",
        "branches",
        "layers",
        "merge",
        "step",
        "head",
        "node",
        "gemm",
        "relu",
    }
)
"""Names that programs give to layers by their type, with a number."""


_LAST: Final = frozenset({"mul", "out", "output"})
"""Further words at the end of the name of a block's last layer that say nothing of the block."""


class _Group(NamedTuple):
    """A group of steps around the one that is named."""

    entry: int
    steps: list[Step]
    """The steps before it."""


class Naming:
    """Names for the steps of a network.

    Args:
        view: The network.
        steps: The steps of its `layers`.
        heads: Names of its heads, which no step may have.
        kinds: Names of its own blocks, which steps have with a number by themselves, as `stem1`.
    """

    def __init__(
        self,
        view: View,
        steps: Sequence[Step],
        heads: Iterable[str],
        kinds: Iterable[str] = (),
    ) -> None:
        self.view = view
        self.steps = steps
        self.inputs = self._inputs(view)
        """The name of each input by its node."""
        self.texts: dict[tuple[int, int], str] = {}
        """Names that steps read, by the identity of the step and the node."""
        self._kinds = {*kinds}
        self._taken = {*self.inputs.values(), *heads}
        self._groups: list[_Group] = []
        self._ports: Mapping[int, str] = {}

    @staticmethod
    def _inputs(view: View) -> dict[int, str]:
        indices = [*view.graph.inputs.values()]
        if len(indices) == 1:
            return {indices[0]: "input"}
        names = {index: spec_name(name, "input") for name, index in view.graph.inputs.items()}
        if len({*names.values()}) < len(names) or "input" in names.values():
            names = {index: f"{name}_{i}" for i, (index, name) in enumerate(names.items(), 1)}
        return names

    def run(self, extra: Mapping[str, Sequence[Step]], starts: Mapping[str, int]) -> None:
        """Name every step that another reads.

        Args:
            extra: The steps of each head.
            starts: The node at which each head starts.
        """
        first = next(iter(self.inputs))
        self._walk(self.steps, first)
        for name, steps in extra.items():
            self._groups = [_Group(first, [*self.steps])]
            self.texts[id(steps), starts[name]] = self._text(starts[name])
            self._walk(steps, starts[name])

    def run_block(self, body: list[Step], entry: int, inputs: Mapping[int, str]) -> None:
        """Name the steps of a block of the spec's own that others of them read.

        Args:
            body: The steps.
            entry: The node that the first of them reads.
            inputs: Names of the block's inputs, if it has several.
        """
        self._groups = [_Group(NOWHERE, [])]
        self._ports = inputs
        self._taken |= {*inputs.values()}
        every = [*walk(body)]
        for step, name in zip(every, distinct_names([each.layer for each in every]), strict=True):
            step.layer = name
        self._walk(body, entry)
        self.name_loops(body)

    def _walk(self, steps: Sequence[Step], entry: int) -> None:
        group = _Group(entry, [])
        self._groups.append(group)
        previous = entry
        for step in steps:
            for source in step.sources:
                if source != PREVIOUS:
                    self.texts[id(step), source] = self._text(source)
                elif len(step.sources) > 1 and not step.adds_previous:
                    self.texts[id(step), PREVIOUS] = self._text(previous)
            if step.owner >= 0:
                self.texts[id(step), step.owner] = self._text(step.owner, by_name=True)
            start = step.sources[0] if step.sources[0] != PREVIOUS else previous
            for sequence in step.inner:
                self._walk(sequence, start)
            group.steps.append(step)
            previous = step.output
        self._groups.pop()

    def _text(self, source: int, *, by_name: bool = False) -> str:
        """Return what a step writes to read a node; with `by_name` never `input`."""
        if source in self._ports:
            return self._ports[source]
        if not by_name and self._groups[-1].entry == source and len(self._groups) > 1:
            return "input"
        for group in reversed(self._groups):
            for step in reversed(group.steps):
                if step.output == source or source in step.rounds:
                    return self._named(step, source)
        name = self.inputs.get(source)
        if name is None:
            raise KeyError(source)
        if name == "input" and len(self._groups) > 1:
            name = self.inputs[source] = self._free(IMAGE)
        return name

    def _named(self, step: Step, source: int) -> str:
        if not step.name:
            word = "skip" if step.repeat is None and not step.loop else "stage"
            if self._ports and step.is_merge:
                word = MERGED.get(step.kind, word)
            step.name = self._free(suited(step.layer) or word, counted=bool(step.rounds))
        if step.rounds:
            numbers = [i for i, each in enumerate(step.rounds, start=1) if each == source]
            return f"{step.name}{numbers[-1]}"
        return step.name

    def _free(self, name: str, *, counted: bool = False) -> str:
        """Return a name that nothing else has, nor gets by itself.

        Args:
            name: The name, if it is free.
            counted: Whether a loop has it, whose rounds have it with their number.
        """

        def is_taken(each: str) -> bool:
            word = re.sub("[0-9]+$", "", each)
            own = word in self._kinds and (counted or word != each)
            return own or each in self._taken or not is_free(each)

        free = free_name(name, is_taken, first=1)
        self._taken.add(free)
        return free

    def name_loops(self, steps: Sequence[Step], word: str = "stage") -> None:
        """Name the loops that contain names, so that each round has its own."""
        for step in steps:
            for sequence in step.inner:
                self.name_loops(sequence, "unit")
            if step.body and not step.name and any(each.name for each in step.body):
                step.name = self._free(word, counted=True)


def is_free(name: str) -> bool:
    """Return whether no step is given this name automatically, such as conv3."""
    if name_problem(name, "a step") is not None:
        return False
    numbered = re.fullmatch(r"(.*?)[0-9]+", name)
    word = numbered[1] if numbered else name
    return not _is_kind(word)


def spec_name(name: str, instead: str) -> str:
    """Return a name as a spec may have it; `instead` where nothing of it is left."""
    tidy = _tidy(name)
    if tidy[:1].isdigit():
        tidy = f"{instead}_{tidy}"[:LONGEST]
    return tidy if tidy and name_problem(tidy, "it") is None else instead


def _tidy(name: str, longest: int = LONGEST) -> str:
    """Return a name in letters and digits, with an underscore for everything else."""
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:longest]


@lru_cache(maxsize=16_384)
def suited(name: str) -> str:
    """Return a layer's name as the language can carry it; empty for one that says nothing."""
    tidy = _tidy(name)
    made = _NUMBERED.fullmatch(tidy)
    return "" if not tidy or (made and made[1] in _MADE) or not is_free(tidy) else tidy


@lru_cache(maxsize=16_384)
def scope(name: str) -> str:
    """Return the group that a layer's name tells, as `block2a` of `block2a_se`; empty for none."""
    if not suited(name):
        return ""
    words = re.findall(r"[A-Za-z0-9]+", name)
    numbered = next((at for at, word in enumerate(words, 1) if re.search("[0-9]", word)), 0)
    if numbered and words[numbered - 1].isdigit() and _is_kind("_".join(words[: numbered - 1])):
        return ""  # the number counts layers of a kind, as in `separable_conv_1`
    return "_".join(words[:numbered])


def _is_kind(name: str) -> bool:
    return name in _MADE or name in _kinds()


@cache
def _kinds() -> frozenset[str]:
    return frozenset(catalog.kinds())


def block_name(
    places: Sequence[Sequence[str]],
    taken: Container[str],
    *,
    again: str = "",
    kinds: Sequence[str] = (),
) -> str:
    """Return the name of a block that stands for these layers.

    Args:
        places: The names of the layers in each place, the last layer last.
        taken: The names of other blocks.
        again: What follows a name that another block has already.
        kinds: The kinds of its steps, which name it where the layers' names do not.
    """
    words = _shared_words([each for names in places for each in names])
    words = words or _shared_words([names[-1] for names in places if names])
    words = [] if kinds and all(map(_is_kind, words)) else words
    name = _tidy(_without_kinds(words), LONGEST - len("_block"))
    name = name if len(name) > 1 else "_".join(kinds) or "module"
    base = name if suited(name) else f"{name}_block"
    base = base if suited(base) else "module"
    return free_name(f"{base}{again}" if base in taken else base, taken.__contains__)


def input_names(inputs: Sequence[Sequence[str]]) -> list[str]:
    """Return names for the inputs of a block, the earliest node first.

    Args:
        inputs: The names of the layers that each input is, in all places of the block.
    """
    names = [_without_kinds(_shared_words(layers)) for layers in inputs]
    if len(names) == len(EARLIER_LATER) and len({*map(suited, names)}) == 1:
        return [*EARLIER_LATER]
    found: list[str] = []
    for name in names:
        found.append(free_name(suited(name) or "x", found.__contains__, mark=""))
    return found


def _without_kinds(words: Sequence[str]) -> str:
    """Return words as a name, without the kinds of layers at their end."""
    kept = [*words]
    while len(kept) > 1 and (_is_kind(kept[-1]) or kept[-1] in _LAST):
        kept.pop()
    return "_".join(kept)


def common_name(names: Sequence[str]) -> str:
    """Return the words that names have in common, each at the same place."""
    if all(name == names[0] for name in names):
        return names[0]
    columns = zip(*(re.findall(r"[A-Za-z0-9]+", name) for name in names), strict=False)
    return "_".join(column[0] for column in columns if len({*column}) == 1)


def distinct_names(names: Sequence[str]) -> list[str]:
    """Return names without the words that all share, each distinct from the others if possible."""
    split = [re.findall(r"[A-Za-z0-9]+", name) if suited(name) else [] for name in names]
    counts = Counter(word for words in split for word in {*words})
    several = sum(map(bool, split))
    found = []
    for words in split:
        rest = [word for word in words if counts[word] < several]
        alone = [word for word in rest if counts[word] == 1 and not word.isdigit()]
        found.append("_".join(alone or rest or words))
    return found


def _shared_words(names: Sequence[str]) -> list[str]:
    """Return the words that all names have, without those with numbers, in order."""
    split = [re.findall(r"[A-Za-z0-9]+", name) for name in names]
    if not split:
        return []
    words = [re.sub(r"[0-9]+[a-z]?$", "", word) for word in split[0]]
    others = [{re.sub(r"[0-9]+[a-z]?$", "", word) for word in each} for each in split[1:]]
    shared = [word for word in words if word and all(word in each for each in others)]
    return [word for word in shared if word not in _MADE]
