"""The value that a model file becomes: a graph of archspec's ops, with all that the file says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NamedTuple, TypeAlias

from archspec.display import Displayed
from archspec.errors import UsageError
from archspec.graph.graph import Graph, Node
from archspec.ops.shape import plain
from archspec.ops.unknown import Unknown
from archspec.spec.document import Spec

Arrays: TypeAlias = Mapping[str, Sequence[Any]]
"""NumPy arrays by node, in the order of `op.weights` and in Keras's layout."""

Extents: TypeAlias = tuple[int | None, ...]
"""A shape as a file declares it, channels last without the batch; None is an open extent."""

BATCH: Final = -1
"""The axis of the batch, which archspec's shapes do not have."""

ABSENT: Final = -2
"""An axis of extent 1 that archspec's shape does not have."""


class UnknownLayer(NamedTuple):
    """A layer that archspec does not know."""

    name: str
    type: str
    """The type of the layer, as the file calls it."""
    reason: str


@dataclass(frozen=True, repr=False)
class ImportedModel(Displayed):
    """A network that was read from a model file. Print it for its table.

    The graph is flat: a node for each layer of the file, in the file's order, under the name that
    the layer has there. A name may hold a `/`, as TensorFlow's do; it is a part of the name, and
    no block. Control characters are written as escapes, and names over 200 characters are cut. A
    second layer of one name gets `_2`, and a layer without a name its type and a number; a note
    says so.
    """

    RENDERER = "imported"

    name: str
    """The network's name in the file; else the name of the file."""
    format: str
    """The format and who wrote the file, as `Keras 3.15.1 .keras`."""
    graph: Graph
    path: str
    """Path of the file."""
    notes: tuple[str, ...] = ()
    """Sentences about what the exporter folded, dropped or doubled, and what does not agree."""
    about_names: tuple[str, ...] = ()
    """Sentences of `notes` about the names of the graph's layers alone."""
    declared: Mapping[str, Extents] = field(default_factory=dict)
    """The shape that the file declares for a node, where it does."""
    params: int | None = None
    """Number of parameters as the framework that wrote the file counts them; None if unknown."""
    input_axes: tuple[tuple[int, ...], ...] = ()
    """The axes of each input in the file: of each the place in archspec's shape, `BATCH` or
    `ABSENT`. Empty for a format whose axes are the batch, and then archspec's."""
    output_axes: tuple[tuple[int, ...], ...] = ()
    """The axes of each output likewise."""
    _read_weights: Callable[[], Arrays] | None = field(default=None, repr=False, compare=False)

    @cached_property
    def unknown_nodes(self) -> tuple[Node, ...]:
        """The nodes of layers that archspec does not know, in the order of the graph."""
        return tuple(node for node in self.graph.nodes if isinstance(node.op, Unknown))

    @property
    def unknown(self) -> tuple[UnknownLayer, ...]:
        """The layers that archspec does not know, in the order of the graph."""
        ops = [(node.name, node.op) for node in self.unknown_nodes]
        return tuple(
            UnknownLayer(name, op.type_name, op.reason)
            for name, op in ops
            if isinstance(op, Unknown)
        )

    @property
    def has_weights(self) -> bool:
        """Whether `weights` can be asked for."""
        return self._read_weights is not None

    def weights(self) -> Arrays:
        """Return the weights of each node that has some, read from the file now.

        Returns:
            NumPy arrays by node, in the order of `op.weights` and in Keras's layout.

        Raises:
            UsageError: The file holds no weights, or they cannot be read.

        Example:
            >>> archspec.load("model.keras").weights()["conv1"][0].shape
            (3, 3, 3, 16)
        """
        if self._read_weights is None:
            raise UsageError(f"{self.path} holds no weights that archspec can read")
        return self._read_weights()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: the graph, and all that the file says about it."""
        return {
            **self.graph.to_dict(),
            "name": self.name,
            "format": self.format,
            "file": self.path,
            "notes": list(self.notes),
            "declared": {name: plain(shape) for name, shape in self.declared.items()},
            "params": self.params,
            "unknown": [layer._asdict() for layer in self.unknown],
        }

    def __repr__(self) -> str:
        """Return one line, as a model may be in a list."""
        return f"<ImportedModel {self.name}: {self.format}>"


Network: TypeAlias = Spec | ImportedModel
"""A spec, or a model that was read from a file: each has one graph."""
