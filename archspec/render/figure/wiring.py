"""The wiring of a figure: which of its boxes read which."""

from __future__ import annotations

from collections.abc import Sequence

from archspec.render.figure.outline import Box


class Wiring:
    """The boxes with nothing inside, by number, and which of them read which."""

    def __init__(self, whole: Box) -> None:
        graph = whole.report.graph
        self.boxes = [box for box in whole.walk() if not box.boxes]
        owner = _owners(whole, self.boxes, len(graph.nodes))
        self.sources: list[tuple[int, ...]] = []
        """The boxes that each box reads, in order."""
        self.readers: list[list[int]] = [[] for _ in self.boxes]
        for number, box in enumerate(self.boxes):
            sources = {owner[each] for node in box.nodes for each in node.inputs} - {number}
            self.sources.append(tuple(sorted(sources)))
            for source in self.sources[-1]:
                self.readers[source].append(number)
        self.outputs = {owner[index] for index in graph.outputs.values()}
        self.main = owner[next(iter(graph.outputs.values()))]
        self._owner = owner

    def last(self, box: Box) -> int:
        """Return the number of the box with the output of a block."""
        return self.main if box.item is None else self._owner[box.stop - 1]


def _owners(whole: Box, boxes: Sequence[Box], count: int) -> list[int]:
    """Return for each node the number of the box that shows it, or its first repeat."""
    owner = [-1] * count
    for number, box in enumerate(boxes):
        owner[box.start : box.stop] = [number] * (box.stop - box.start)
    for box in reversed(list(whole.walk())):  # those inside before those around them
        if box.times > 1:
            owner[box.start : box.end] = owner[box.start : box.stop] * box.times
    return owner
