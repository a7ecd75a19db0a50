"""The builder that readers of model files share: names, shapes that disagree, unknown layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from archspec.errors import Problem, UsageError
from archspec.graph.builder import Builder
from archspec.graph.graph import MAIN_OUTPUT, Node
from archspec.imports.inputs import NOTHING_GIVEN, Given, MultiplesError, joinable
from archspec.imports.limits import DamagedModelError
from archspec.imports.model import Arrays, Extents, ImportedModel
from archspec.imports.multiplying import may_multiply
from archspec.ops.fields import LARGEST
from archspec.ops.merge import Concat, Merge
from archspec.ops.op import Op, Weight
from archspec.ops.shape import Shape, UnknownShape
from archspec.ops.unknown import Unknown
from archspec.text import visible

LONGEST_NAME: Final = 200
"""Largest number of characters of a layer's name."""

MOST_NAMED: Final = 3
"""Largest number of layers that a note names."""


class _Names:
    """Names of which none is used twice."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def unique(self, name: str) -> str:
        """Return a name that was not given before: this one, or this one with a number."""
        number = self._counts.get(name, 0) + 1
        unique = name if number == 1 else f"{name}_{number}"
        while unique in self._counts and number > 1:
            number += 1
            unique = f"{name}_{number}"
        self._counts[name] = number
        self._counts.setdefault(unique, 1)
        return unique


class ModelBuilder:
    """Builds the graph of a model file, layer by layer, whatever the file holds.

        b = ModelBuilder(path, {"image": (224, 224, 3)}, name="net", format_name="Keras 3.15")
        x = b.add(Convolution(...), b.inputs["image"], name="conv1", type_name="Conv2D")
        return b.finish({"probabilities": x})

    A layer that does not fit its inputs, or one after a layer of unknown shape, becomes an unknown
    layer: a model file is shown as far as it can be.
    """

    def __init__(
        self,
        path: object,
        inputs: Mapping[str, Sequence[int | None]],
        *,
        name: str,
        format_name: str,
        given: Given = NOTHING_GIVEN,
    ) -> None:
        """Begin the graph of a file.

        Args:
            path: The file, for messages.
            inputs: The shape of each input, channels last without the batch; None for an open
                extent. An empty shape is one that the file does not tell.
            name: The network's name.
            format_name: The format and who wrote the file, as people say it.
            given: What is known of the inputs beside that.

        Raises:
            UsageError: There is no input, too large a one, or another than a user gives.
        """
        self.path = str(path)
        self._notes: dict[str, None] = {}
        """Sentences for `ImportedModel.notes`, in their order."""
        self.declared: dict[str, Extents] = {}
        self.name = _clean(name) or "model"
        self.format = format_name
        self._names = _Names()
        self.helpers: set[str] = set()
        """Names of nodes that a reader added in vain: no note says that they are left out."""
        self._joined: dict[tuple[Op, tuple[int, ...]], Node] = {}
        """Joins by their op and the nodes that they read. PyTorch's DenseNets join all maps so far
        for each layer anew: all but the last of them are read as the join before."""
        self._renamed: list[str] = []
        self._differing: list[str] = []
        self._is_last = given.is_last
        if not inputs:
            raise UsageError(f"{self.path} cannot be shown: its network has no input")
        shapes = {
            self._name(each, "input"): shape
            for each, shape in given.shapes(inputs, self.path).items()
        }
        try:
            self._builder = Builder(shapes)
        except Problem as problem:
            raise self._refused(problem) from None
        if any(shape.is_open for shape in shapes.values()) and given.note:
            self.note(given.note)
        self.inputs: dict[str, Node] = dict(zip(inputs, self._builder.inputs.values(), strict=True))
        """The node of each input, by the name that the file has for it."""

    def add(
        self,
        op: Op,
        *inputs: Node,
        name: str,
        type_name: str,
        declared: Sequence[int | None] | None = None,
        arrays: Iterable[Weight] | None = None,
    ) -> Node:
        """Add a layer that archspec knows.

        Args:
            op: The op that computes the same.
            inputs: The nodes that it reads.
            name: The layer's name in the file.
            type_name: The layer's type in the file.
            declared: The shape of its output in the file, channels last without the batch.
            arrays: The weights that the file has for it, for the case that it does not fit.

        Returns:
            Its node: an unknown layer where the op does not fit the inputs.

        Raises:
            MultiplesError: It joins maps that are of one size at some sizes of the input alone.
            DamagedModelError: The network goes over a limit.
        """
        is_known = not any(isinstance(node.shape, UnknownShape) for node in inputs)
        unique, multiplies = self._name(name, type_name), may_multiply(type_name)
        if not is_known:
            reason = "the shape of its input is not known"
            return self._unknown(unique, type_name, reason, inputs, declared, arrays, multiplies)
        joined = tuple(node.index for node in inputs)
        if isinstance(op, Concat) and (before := self._joined.get((op, joined[:-1]))):
            inputs = (before, inputs[-1])
        try:
            node = self._builder.place(op, unique, inputs)
        except Problem as problem:
            if problem.code == "limit":
                raise self._refused(problem) from None
            if (
                isinstance(op, Merge)
                and not self._is_last
                and (units := joinable([node.shape for node in inputs]))
            ):
                raise MultiplesError(units) from None
            reason = problem.message
            return self._unknown(unique, type_name, reason, inputs, declared, arrays, multiplies)
        if isinstance(op, Concat):
            self._joined[op, joined] = node
        if declared is not None:
            self.compare(node, tuple(declared))
        return node

    def share(
        self,
        first: Node,
        *inputs: Node,
        name: str,
        type_name: str,
        declared: Sequence[int | None] | None = None,
    ) -> Node:
        """Add a layer once more, with the weights of its first use.

        Args:
            first: The node of its first use.
            inputs: The nodes that it reads now.
            name: The name of this use.
            type_name: The layer's type in the file.
            declared: The shape of its output in the file, channels last without the batch.

        Returns:
            Its node: an unknown layer where the weights cannot be shared.
        """
        unique = self._name(name, type_name)
        path, sources = (
            first.layer.owner or first.name,
            dict(zip(first.inputs, inputs, strict=True)),
        )
        try:
            copies = self._builder.share(unique, path, first.index, first.index + 1, sources)
        except Problem as problem:
            if problem.code == "limit":
                raise self._refused(problem) from None
            return self._unknown(unique, type_name, problem.message, inputs, declared, ())
        node = copies[first.index]
        if declared is not None:
            self.compare(node, tuple(declared))
        return node

    def unknown(
        self,
        type_name: str,
        *inputs: Node,
        name: str,
        reason: str,
        declared: Sequence[int | None] | None = None,
        arrays: Iterable[Weight] | None = None,
        multiplies: bool = True,
    ) -> Node:
        """Add a layer that archspec does not know.

        Args:
            type_name: The layer's type in the file.
            inputs: The nodes that it reads.
            name: The layer's name in the file.
            reason: A clause that says why it is unknown.
            declared: The shape of its output in the file; None if the file has none.
            arrays: Its weights; None if the file does not tell them, () if it has none.
            multiplies: Whether it may have MACs.
        """
        unique = self._name(name, type_name)
        return self._unknown(unique, type_name, reason, inputs, declared, arrays, multiplies)

    @property
    def size(self) -> int:
        """Number of nodes so far."""
        return self._builder.size

    def compare(self, node: Node, declared: Extents) -> None:
        """Note where a node's shape is not the one that the file declares."""
        self.declared[node.name] = declared
        known = node.shape.known
        if len(known) != len(declared) or any(
            ours != theirs
            for ours, theirs in zip(known, declared, strict=False)
            if ours is not None and theirs is not None
        ):
            theirs = "x".join("?" if n is None else str(n) for n in declared)
            self._differing.append(f"{node.name} {theirs}, not {node.shape}")

    def note(self, sentence: str) -> None:
        """Add a sentence to the notes, unless it is there."""
        self._notes.setdefault(sentence)

    def finish(
        self,
        outputs: Mapping[str, Node],
        *,
        params: int | None = None,
        weights: Callable[[], Arrays] | None = None,
        input_axes: Sequence[tuple[int, ...]] = (),
        output_axes: Sequence[tuple[int, ...]] = (),
    ) -> ImportedModel:
        """Return the model.

        Args:
            outputs: The nodes that are the network's outputs, by name; the first is the main one.
            params: Number of parameters as the framework that wrote the file counts them.
            weights: Reads the weights from the file, when they are asked for.
            input_axes: The axes of each input in the file, as in `ImportedModel`.
            output_axes: The axes of each output in the file.

        Raises:
            UsageError: There is no output.
        """
        if not outputs:
            raise UsageError(f"{self.path} cannot be shown: its network has no output")
        (_, main), *others = outputs.items()
        names = _Names()
        named = {names.unique(MAIN_OUTPUT): main}
        named.update((names.unique(_clean(name) or "head"), node) for name, node in others)
        graph = self._builder.finish(self.name, named, {})
        kept = {node.name for node in graph.nodes}
        told = kept | self.helpers
        dropped = [node.name for node in self._builder.nodes if node.name not in told]
        if dropped:
            self.note(
                about(
                    dropped,
                    "leads to no output and is left out",
                    "lead to no output and are left out",
                )
            )
        about_names: tuple[str, ...] = ()
        if self._renamed:
            sentence = about(
                self._renamed,
                "is called otherwise here: its name in the file is empty, too long, or used twice",
                "are called otherwise here: their names in the file are empty, too long, or used "
                "twice",
            )
            self.note(sentence)
            about_names = (sentence,)
        if self._differing:
            shown = "; ".join(self._differing[:MOST_NAMED])
            more = len(self._differing) - MOST_NAMED
            self.note(
                f"The file declares other shapes than archspec computes: {shown}"
                + (f"; and {more} more" if more > 0 else "")
                + "."
            )
        return ImportedModel(
            self.name,
            self.format,
            graph,
            self.path,
            tuple(self._notes),
            about_names,
            {name: shape for name, shape in self.declared.items() if name in kept},
            params,
            tuple(input_axes),
            tuple(output_axes),
            weights,
        )

    def _unknown(
        self,
        unique: str,
        type_name: str,
        reason: str,
        inputs: tuple[Node, ...],
        declared: Sequence[int | None] | None,
        arrays: Iterable[Weight] | None,
        multiplies: bool = True,
    ) -> Node:
        extent = None if declared is None else declared_extent(declared, inputs)
        op = Unknown(
            type_name=_clean(type_name) or "layer",
            reason=reason,
            extent=extent,
            arrays=None if arrays is None else tuple(arrays),
            multiplies=multiplies,
        )
        try:
            return self._builder.place(op, unique, inputs)
        except Problem as problem:
            if self._builder.full or extent is None:
                raise self._refused(problem) from None
            shapeless = op.model_copy(update={"extent": None})
            return self._builder.place(shapeless, unique, inputs)

    def _name(self, name: str, type_name: str) -> str:
        """Return a name that no other layer has, and reserve it."""
        clean = _clean(name)
        unique = self._names.unique(clean or f"{_clean(type_name) or 'layer'}_1")
        if unique != name:
            self._renamed.append(unique)
        return unique

    def _refused(self, problem: Problem) -> DamagedModelError:
        return DamagedModelError(f"{self.path} cannot be shown: {problem.message}")


def one_or_each(numbers: Sequence[Any]) -> Any:
    """Return one number where all are equal, as a person writes it; else one for each axis."""
    return numbers[0] if len({*numbers}) == 1 else tuple(numbers)


def declared_extent(
    declared: Sequence[int | None], inputs: Sequence[Node]
) -> tuple[Any, ...] | None:
    """Return a declared shape whose open axes are those of the first input; None if unclear."""
    if not declared or not all(n is None or 1 <= n <= LARGEST for n in declared):
        return None
    known = inputs[0].shape if inputs else Shape()
    extents: list[Any] = []
    for at, n in enumerate(declared):
        extent = known[at] if n is None and len(known) == len(declared) else n
        if n is None and (extent is None or isinstance(extent, int)):
            return None
        extents.append(extent)
    return tuple(extents)


def _clean(name: Any) -> str:
    """Return a name that can be printed in a line: cut, with escapes for control characters."""
    text = "".join(map(visible, str(name)[:LONGEST_NAME]))
    return text[:LONGEST_NAME].strip()


def about(names: Sequence[str], one: str, many: str) -> str:
    """Return a sentence about one layer or several, of which the first are named."""
    if len(names) == 1:
        return f"Layer {names[0]} {one}."
    shown = ", ".join(names[:MOST_NAMED])
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"{len(names)} layers {many}: {shown}{more}."
