"""The layers of a stage as a paper's table lists them: lines, and brackets of repeated blocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter
from typing import Final, NamedTuple

from archspec.graph.graph import Node, Scope
from archspec.render.figure.layer_labels import TIMES, Labels, whole_label
from archspec.render.figure.outline import Box

LISTED_ALONE: Final = 4
"""Equal layers in series that have a line each; more have one line with their number."""

THEN: Final = " \u2192 "
"""Sign between the layers of a branch."""

BRANCHES: Final = "branches"
"""Kind of a scope with branches, which is a block unless it is in one."""

BRANCH: Final = "branch"
"""Kind of a scope with one of them."""

SHORTCUT: Final = ("projection", "subsample")
"""Names of layers on the shortcuts of blocks, which papers leave to their text."""


class Part(NamedTuple):
    """Layers in series, or the branches of a block: lines, repeated so many times."""

    lines: tuple[str, ...]
    times: int = 1
    bracket: bool = False
    """Whether the lines stand in a bracket, as those of a repeated block do."""
    kernels: int = 0
    """Number of layers with a kernel among its lines, for one repeat."""

    @property
    def texts(self) -> tuple[str, ...]:
        """Its lines; a bracket, or a line that is repeated, is one."""
        return (self.text,) if self.bracket or self.times > 1 else self.lines

    @property
    def text(self) -> str:
        """The part on one line, such as `[3x3, 64; 3x3, 64] x 2`."""
        text = "; ".join(self.lines)
        if self.bracket:
            return f"[{text}] {TIMES} {self.times}"
        return f"{text} {TIMES} {self.times}" if self.times > 1 else text


class Listing(NamedTuple):
    """Parts of a stage, and what they leave out."""

    parts: tuple[Part, ...]
    shortcuts: int
    """Number of convolutions on shortcuts."""
    strided: frozenset[str]
    """Units whose stride is left out, as it is not that of the other units: first, last, some."""
    left_out: frozenset[str]
    """Families and kinds of layers that no part lists."""
    last: Node | None
    """The last layer that a part lists."""


@dataclass(eq=False)
class _Draft:
    """A part in the making."""

    lines: tuple[str, ...]
    """Its lines with strides."""
    bare: tuple[str, ...]
    """Its lines without the strides of convolutions."""
    kernels: int
    node: int | None = None
    """The layer, where it is a single one."""
    times: int = 1
    bracket: bool = False
    inside: Sequence[_Draft] = ()
    """The layers and blocks in it, if it is a group of the spec that stands once."""

    @property
    def block(self) -> bool:
        return self.node is None

    @property
    def part(self) -> Part:
        return Part(self.lines, self.times, self.bracket, self.kernels)


class _Chain(NamedTuple):
    """Layers of a block on one line."""

    drafts: list[_Draft]
    branches: bool = False
    """Whether the first layer's input is read by others too, as in a fire module's expansions."""

    def line(self, lines: Callable[[_Draft], tuple[str, ...]]) -> str:
        """Return the line, made of the lines of each layer that a function chooses."""
        texts = [draft.part._replace(lines=lines(draft)).text for draft in self.drafts]
        return (THEN.lstrip() if self.branches else "") + THEN.join(texts)


def list_layers(items: Iterable[Box], labels: Labels, *, brackets: bool = False) -> Listing:
    """Return the layers of a stage as a table lists them.

    Args:
        items: The layers and blocks of the stage.
        labels: The way in which layers are written.
        brackets: Whether blocks that stand once are in brackets too.

    """
    lister = _Lister(labels)
    drafts = lister.drafts(items)
    for draft in drafts:
        draft.bracket = draft.bracket or (draft.block and brackets)
    return Listing(
        tuple(draft.part for draft in drafts),
        lister.shortcuts,
        frozenset(lister.strided),
        frozenset(lister.left_out),
        lister.last,
    )


class _Lister:
    """A stage on the way to parts."""

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self.shortcuts = 0
        self.strided: set[str] = set()
        self.left_out: set[str] = set()
        self.last: Node | None = None

    def drafts(self, items: Iterable[Box], *, in_block: bool = False) -> list[_Draft]:
        """Return the parts of a stage or a block, equal ones that follow each other as one."""
        return self._folded(list(self._each(items, in_block=in_block)))

    def _each(self, items: Iterable[Box], *, in_block: bool) -> Iterator[_Draft]:
        for box in items:
            scope, nodes = box.item, box.nodes
            if box.name in SHORTCUT and in_block:
                self.shortcuts += sum(node.layer.kernels for node in nodes)
            elif not isinstance(scope, Scope):
                yield from self._layer(nodes[0])
            elif whole := whole_label(scope, nodes):
                self.last = nodes[-1]
                yield _Draft((whole,), (whole,), sum(node.layer.kernels for node in nodes))
            elif scope.row or scope.kind == BRANCH or (in_block and scope.kind == BRANCHES):
                yield from self._each(box.boxes, in_block=in_block)
            else:
                yield from self._block(box)

    def _layer(self, node: Node) -> Iterator[_Draft]:
        label = self._labels(node)
        if not label.text:
            self.left_out.update((node.op.family, node.op.kind))
            return
        self.last = node
        lines = (label.text + label.stride,)
        # A pool is there for its stride.
        bare = lines if node.op.family == "pooling" else (label.text,)
        yield _Draft(lines, bare, node.layer.kernels, node.index)

    def _block(self, block: Box) -> list[_Draft]:
        if block.is_group:
            opened: Sequence[_Draft] = self._opened(block)
            inside = self._folded(opened)
        else:
            opened = ()
            inside = self.drafts(block.boxes, in_block=True)
        if inside:
            self.last = block.nodes[-1]
        if len(inside) <= 1:
            return [replace(draft, node=None, inside=opened) for draft in inside]
        chains = [_Chain([draft]) for draft in inside]
        if all(draft.node is not None for draft in inside):
            chains = self._chains({draft.node or 0: draft for draft in inside}, block)
        lines = tuple(chain.line(lambda draft: draft.lines) for chain in chains)
        bare = tuple(chain.line(lambda draft: draft.bare) for chain in chains)
        kernels = sum(draft.kernels * draft.times for draft in inside)
        return [_Draft(lines, bare, kernels, inside=opened)]

    def _opened(self, group: Box) -> list[_Draft]:
        """Return the layers and blocks of a group, among them those of groups that stand once."""
        drafts = self._folded(list(self._each(group.boxes, in_block=False)), layers=False)
        return [inner for draft in drafts for inner in draft.inside or [draft]]

    def _chains(self, drafts: Mapping[int, _Draft], block: Box) -> list[_Chain]:
        """Return a block's layers line by line: one a line if in series, else a branch a line."""
        sources = {node: _source(node, drafts, block) for node in drafts}
        readers = Counter(sources.values())
        chains: list[_Chain] = []
        ends: dict[int | None, _Chain] = {}
        for node, draft in drafts.items():
            source = sources[node]
            if source is not None and readers[source] == 1:
                ends[node] = ends.pop(source)
                ends[node].drafts.append(draft)
            else:
                ends[node] = _Chain([draft], branches=source is not None)
                chains.append(ends[node])
        if len(chains) == 1:
            return [_Chain([draft]) for draft in drafts.values()]
        return chains

    def _folded(self, drafts: Sequence[_Draft], *, layers: bool = True) -> list[_Draft]:
        """Return equal parts that follow each other as one: blocks, and layers unless told.

        What shares the weights of others has no kernels of its own, and is apart from them.
        """
        folded: list[_Draft] = []
        same_as = attrgetter("bare", "block", "kernels")
        for (_, block, _), run in groupby(drafts, same_as):
            same = list(run)
            if len(same) > (1 if block else LISTED_ALONE) and (block or layers):
                folded.append(self._one(same))
            else:
                folded += same
        return folded

    def _one(self, same: Sequence[_Draft]) -> _Draft:
        """Return several equal drafts as one; a stride that only some have is left out."""
        first = same[0]
        lines = first.lines
        if any(draft.lines != lines for draft in same):
            lines = first.bare
            places = {place for place, draft in enumerate(same) if draft.lines != lines}
            where = {0: "first", len(same) - 1: "last"}.get(min(places)) if len(places) == 1 else ""
            self.strided.add(where or "some")
        times = sum(draft.times for draft in same)
        bracket = first.bracket or first.block
        return _Draft(lines, first.bare, first.kernels, None, times, bracket)


def _source(index: int, listed: Collection[int], block: Box) -> int | None:
    """Return the listed layer that a layer of a block reads, through layers that are not."""
    nodes = block.report.graph.nodes
    inputs = nodes[index].inputs
    while len(inputs) == 1 and inputs[0] >= block.start:
        if inputs[0] in listed:
            return inputs[0]
        inputs = nodes[inputs[0]].inputs
    return None
