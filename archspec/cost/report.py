"""The report: a graph's costs as rows that add up to its totals."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, groupby
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from archspec import arguments
from archspec.compile.network import graph_of
from archspec.cost.checks import Check, check_graph
from archspec.cost.memory import MemoryBytes, MemoryModel, measure
from archspec.cost.receptive_field import ReceptiveField, receptive_fields
from archspec.cost.setting import Setting, setting
from archspec.display import Displayed, renderer
from archspec.errors import UsageError
from archspec.graph.graph import SEPARATOR, Graph, Node, Scope
from archspec.imports.loading import as_network
from archspec.imports.model import ImportedModel, Network
from archspec.ops.atleast import UNKNOWN, AtLeast
from archspec.ops.shape import Shape, UnknownShape, plain
from archspec.spec.document import Spec

if TYPE_CHECKING:
    from archspec.cost.convention import Counted
    from archspec.cost.estimate.footprint import Estimate
    from archspec.cost.stored import Stored

SCHEMA_VERSION = 3
"""Version of the JSON form. It grows when a key changes its meaning or is removed."""

CONVENTION = (
    "1 MAC = one multiply-add of a convolution, fully connected layer or matrix product, "
    "for one example; "
    "FLOPs = 2 x MACs; biases, norms, activations, pools and merges are other ops. "
    "Memory counts each output once; in-place ops and views need none."
)
"""Counting convention, which stands under every table."""


_OF_WEIGHTS = frozenset(
    {"params", "trainable", "non_trainable", "weight_layers", "weights", "gradients", "optimizer"}
    | {"weight_bytes"}
)
"""Figures that are known where all weights are."""

_OF_PRODUCTS = frozenset({"macs", "flops"})
"""Figures that are known where all layers are that multiply and add."""

_OF_SHAPES = frozenset({"activations", "forward_peak"})
"""Figures that are known where all shapes are."""

GROUPS = frozenset({"layers", "branch", "branches"})
"""Kinds of scopes that add nothing to the steps in them."""

LONGEST_LABEL = 24

RowItem: TypeAlias = Node | Scope
"""Layer, block or group that a row shows."""


class Row(NamedTuple):
    """One line: a layer, or a block or group as one. Columns of integers add up to the totals."""

    path: str
    kind: str
    label: str
    """Name as in a paper's table, such as CONV3-64."""
    shape: Shape
    """Output shape, channels last, without the batch."""
    params: int
    trainable: int
    non_trainable: int
    macs: int
    """Count for one example."""
    other_ops: int
    """Count for one example."""
    activations: int
    """Values of the outputs that need memory of their own, for one example."""
    field: ReceptiveField | None
    """Receptive field and cumulative stride; None where the whole input is seen."""
    start: int
    stop: int
    """The row shows the nodes from `start` up to but without `stop`."""
    shared_with: str = ""
    """Path of the step that has its weights; "" where it has its own, or none."""


class Totals(NamedTuple):
    """Sums over all rows, for one example.

    Of a model file with layers that archspec does not know, some are
    `archspec.ops.atleast.AtLeast`.
    """

    params: int
    trainable: int
    non_trainable: int
    macs: int
    flops: int
    other_ops: int
    activations: int
    weight_layers: int
    """Layers that own a kernel."""
    layers: int
    """Primitive ops, the inputs not counted."""


@dataclass(frozen=True, repr=False)
class Report(Displayed):
    """Costs of a network. Print it, or read its rows, totals and memory."""

    RENDERER = "report"

    graph: Graph
    spec: Spec | None = None
    """Spec of the graph, with its description and claims."""
    setting: Setting = field(default_factory=Setting)
    """Setting that bytes are counted for."""
    conventions: tuple[str, ...] = ()
    """Names of other tools whose totals are shown too, as in `archspec.cost.convention`."""
    storage: str = ""
    """Form of storage whose bytes are shown too, as `int8`; "" for none."""
    engine: str | None = None
    """Engine for which a training step's bytes are estimated."""
    model: ImportedModel | None = None
    """The model file that the graph was read from; None for a spec's."""

    @property
    def name(self) -> str:
        return self.graph.name

    @property
    def about(self) -> str:
        """The spec's description; of a model file, its format."""
        if self.model is not None:
            return self.model.format
        return self.spec.about if self.spec else ""

    @property
    def file(self) -> str:
        """Path of the spec or of the model file; empty for a graph alone."""
        if self.model is not None:
            return self.model.path
        return self.spec.source.name if self.spec else ""

    @cached_property
    def unknown(self) -> tuple[Node, ...]:
        """The layers of a model file that archspec does not know."""
        return () if self.model is None else self.model.unknown_nodes

    @cached_property
    def behind_unknown(self) -> frozenset[int]:
        """The nodes of which nobody can say how much of the input they see: unknown layers, and
        all that read them.
        """
        behind = {node.index for node in self.unknown}
        for node in self.graph.nodes if behind else ():
            if not behind.isdisjoint(node.inputs):
                behind.add(node.index)
        return frozenset(behind)

    def lacking(self, figure: str) -> tuple[Node, ...]:
        """Return the unknown layers without which a figure is only a part of itself.

        Args:
            figure: A name of `Totals`, of `MemoryBytes`, or of a claim.
        """
        if figure == "layers":
            return ()
        if figure in _OF_WEIGHTS:
            return tuple(node for node in self.unknown if node.op.unlisted is UNKNOWN)
        if figure in _OF_SHAPES:
            return tuple(node for node in self.unknown if isinstance(node.shape, UnknownShape))
        if figure in _OF_PRODUCTS:
            return tuple(node for node in self.unknown if isinstance(node.layer.macs, AtLeast))
        return self.unknown

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """Published figures, expectations and budgets, each with the actual figure."""
        return check_graph(self.spec, self) if self.spec else ()

    @cached_property
    def counted(self) -> tuple[Counted, ...]:
        """Totals as other tools print them, for each of `conventions`."""
        if not self.conventions:
            return ()
        from archspec.cost.convention import count  # noqa: PLC0415

        return tuple(count(self.graph, name) for name in self.conventions)

    @cached_property
    def stored(self) -> Stored | None:
        """Bytes of the weights in the form of `storage`; None without one."""
        if not self.storage:
            return None
        if self.lacking("weights"):
            refuse_unknown(self, "`stored`")
        from archspec.cost.stored import stored  # noqa: PLC0415

        return stored(self.graph, self.storage)

    @cached_property
    def estimate(self) -> Estimate | None:
        """The bytes of a training step on `engine`; None where none was named."""
        if self.engine is None:
            return None
        refuse_unknown(self, "an estimate")
        from archspec.cost.estimate.engines import estimate  # noqa: PLC0415

        return estimate(self, self.engine)

    @cached_property
    def fields(self) -> list[ReceptiveField | None]:
        return receptive_fields(self.graph)

    @cached_property
    def memory_model(self) -> MemoryModel:
        """Memory in values, for any setting."""
        return measure(self.graph)

    @cached_property
    def memory(self) -> MemoryBytes:
        """The five parts in bytes, for this report's setting."""
        return self.memory_model.at(self.setting)

    @cached_property
    def smallest(self) -> Mapping[str, int] | None:
        """The smallest size that a network of open extents takes, by axis; None for others."""
        if not self.graph.is_open:
            return None
        from archspec.graph.sizes import smallest  # noqa: PLC0415  (few networks are open)

        return smallest(self.graph)

    @cached_property
    def totals(self) -> Totals:
        parts = [piece.costs for piece in self.graph.pieces]
        params, trainable = self.memory_model.params, self.memory_model.trainable
        macs = sum([part.macs for part in parts])
        return Totals(
            params=params,
            trainable=trainable,
            non_trainable=params - trainable,
            macs=macs,
            flops=2 * macs,
            other_ops=sum([part.other_ops for part in parts]),
            activations=sum(self.memory_model.owned),
            weight_layers=sum([part.kernels for part in parts]),
            layers=self.graph.size - len(self.graph.inputs),
        )

    def rows(self, depth: int | None = None, *, ops: bool = False) -> tuple[Row, ...]:
        """Return the rows of the table: every layer, a convolution and its activation being one.

        `depth` groups what lies deeper than that many levels of the path; `ops` shows each
        primitive instead. Whatever the grouping, columns add up to the totals.
        """
        check_rows(depth, ops=ops)
        nodes = len(self.graph.nodes)
        return tuple(map(self.row, self._parts(0, nodes, depth, ops=ops)))

    def _parts(self, start: int, stop: int, depth: int | None, *, ops: bool) -> Iterator[RowItem]:
        """Yield the items that show the nodes from `start` to `stop`."""
        scopes = self.graph.scopes
        place = bisect_left(self._scope_starts, start)
        index = start
        while index < stop:
            chosen: RowItem | None = None
            while place < len(scopes) and scopes[place].start <= index:
                scope = scopes[place]
                # Outer scopes come before those inside them.
                if chosen is None and scope.start == index and _is_row(scope, depth, ops=ops):
                    chosen = scope
                place += 1
            chosen = chosen or self.graph.nodes[index]
            yield chosen
            index = chosen.stop if isinstance(chosen, Scope) else index + 1

    @cached_property
    def _scope_starts(self) -> list[int]:
        return [scope.start for scope in self.graph.scopes]

    def row(self, part: RowItem) -> Row:
        """Return what a layer, or all layers of a block or a group, cost together."""
        if isinstance(part, Scope):
            start, stop, kind, label = part.start, part.stop, part.kind, self._label(part)
            shared_with = part.owner
        else:
            start, stop = part.index, part.index + 1
            kind, label = part.op.word, part.op.label
            shared_with = part.layer.owner
        one_by_one = self.graph.is_open or self.unknown
        sums = self._sums_one_by_one if one_by_one else self._sums_of_closed
        params, trainable, fixed, macs, other_ops, activations = sums(start, stop)
        last = stop - 1
        return Row(
            part.name,
            kind,
            label,
            self.graph.nodes[last].shape,
            params,
            trainable,
            fixed,
            macs,
            other_ops,
            activations,
            self.fields[last],
            start,
            stop,
            shared_with,
        )

    def _label(self, scope: Scope) -> str:
        """Return a block's own label; for a group its contents, as `2 x CONV3-64, POOL2`."""
        if scope.kind not in GROUPS:
            return scope.label
        inside = scope.name.count(SEPARATOR) + 2
        parts = self._parts(scope.start, scope.stop, inside, ops=False)
        labels = [part.label if isinstance(part, Scope) else part.op.label for part in parts]
        runs = [(label, len(list(run))) for label, run in groupby(labels)]
        text = ", ".join(label if count == 1 else f"{count} x {label}" for label, count in runs)
        return text if len(text) <= LONGEST_LABEL else f"{len(labels)} STEPS"

    def _sums_of_closed(self, start: int, stop: int) -> list[int]:
        """Return the sum of each column over a stretch of nodes."""
        return [column[stop] - column[start] for column in self._sums]

    def _sums_one_by_one(self, start: int, stop: int) -> list[int]:
        """Return the same without running sums: of formulas they would be long, and of an unknown
        layer on they would all be unknown.
        """
        from archspec.ops.extent import total  # noqa: PLC0415

        return [total(column[start:stop]) for column in self._columns]

    @cached_property
    def _sums(self) -> tuple[list[int], ...]:
        """Running sums of the columns, so that any stretch of nodes is one subtraction."""
        return tuple(list(accumulate(column, initial=0)) for column in self._columns)

    @cached_property
    def _columns(self) -> tuple[Sequence[int], ...]:
        layers = [node.layer for node in self.graph.nodes]
        return (
            [layer.params for layer in layers],
            [layer.trainable for layer in layers],
            [layer.params - layer.trainable for layer in layers],
            [layer.macs for layer in layers],
            [layer.other_ops for layer in layers],
            self.memory_model.owned,
        )

    def to_dict(self, depth: int | None = None, *, ops: bool = False) -> dict[str, Any]:
        """Return everything as plain data: the JSON form, versioned by `schema_version`.

        `depth` and `ops` say what has a row, as in `rows`; its layers are always all there.
        """
        return {
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "about": self.about,
            "convention": CONVENTION,
            **self.setting.to_dict(),
            "input": plain(self.graph.input) if len(self.graph.inputs) == 1 else None,
            "inputs": {name: plain(shape) for name, shape in self.graph.input_shapes.items()},
            "smallest_input": self.smallest,
            "outputs": {
                name: {
                    "layer": self.graph.nodes[index].name,
                    "shape": plain(self.graph.nodes[index].shape),
                    "loss_weight": self.graph.loss_weights.get(name, 1.0),
                }
                for name, index in self.graph.outputs.items()
            },
            **self._source(),
            "totals": {name: self._known(name, n) for name, n in self.totals._asdict().items()},
            "memory_bytes": {
                name: self._known(name, n) for name, n in self.memory.to_dict().items()
            },
            **({"estimate": self.estimate.to_dict()} if self.estimate else {}),
            "memory_model": {
                "weights": plain(self.memory_model.params),
                "trainable_weights": plain(self.memory_model.trainable),
                "saved_values_per_example": plain(self.memory_model.saved_values),
                "saved_mask_bytes_per_example": plain(self.memory_model.saved_mask_bytes),
                "forward_peak_values_per_example": plain(self.memory_model.forward_values),
                "activation_bytes_per_value": self.setting.value_bytes,
            },
            **(
                {"conventions": {each.convention: each.to_dict() for each in self.counted}}
                if self.counted
                else {}
            ),
            **({"stored": self.stored.to_dict()} if self.stored else {}),
            "checks": [check.to_dict() for check in self.checks],
            "rows": [_row_dict(row) for row in self.rows(depth, ops=ops)],
            "layers": [self._layer_dict(node) for node in self.graph.nodes],
            "blocks": [
                {
                    "path": scope.name,
                    "kind": scope.kind,
                    "label": scope.label,
                    "first_layer": self.graph.nodes[scope.start].name,
                    "last_layer": self.graph.nodes[scope.stop - 1].name,
                }
                for scope in self.graph.scopes
            ],
        }

    def _known(self, figure: str, value: Any) -> Any:
        """Return a figure as JSON has it: None where unknown layers are a part of it."""
        return None if self.lacking(figure) else plain(value)

    def _source(self) -> dict[str, Any]:
        """Return what only the report of a model file has: what the file says, what is unknown."""
        model = self.model
        if model is None:
            return {}
        figures = {**self.totals._asdict(), **self.memory.to_dict()}
        return {
            "file": model.path,
            "format": model.format,
            "params_by_format": model.params,
            "notes": list(model.notes),
            "unknown": [layer._asdict() for layer in model.unknown],
            "at_least": {
                name: plain(int(n) if isinstance(n, int) else n)
                for name, n in figures.items()
                if self.lacking(name)
            },
        }

    def save(
        self, path: str | PathLike[str], *, depth: int | None = None, ops: bool = False
    ) -> Path:
        """Write the report's page to an .html file: figure, table and memory, in a browser.

        `depth` and `ops` say what has a row, as in `rows`.

        Raises:
            UsageError: The path ends otherwise or cannot be written, or there are too many rows.

        Example:
            >>> archspec.report("lenet5").save("lenet5.html").name
            'lenet5.html'
        """
        place = Path(arguments.place("path", path))
        return Path(renderer("page.document").write(self, place, depth=depth, ops=ops))

    def _layer_dict(self, node: Node) -> dict[str, Any]:
        return {
            **_row_dict(self.row(node)),
            "inputs": [self.graph.nodes[index].name for index in node.inputs],
            "arguments": plain(node.op.model_dump(mode="json")),
            **self._declared(node),
            "weights": [
                {"name": weight.name, "shape": list(weight.shape), "trainable": weight.trainable}
                for weight in node.layer.weights
            ],
        }

    def _declared(self, node: Node) -> dict[str, Any]:
        """Return the shape that a model file declares for a layer, where it does."""
        declared = None if self.model is None else self.model.declared.get(node.name)
        return {} if declared is None else {"declared_shape": list(declared)}

    def __repr__(self) -> str:
        """Return one line, as a report may be in a list."""
        totals = self.totals
        return f"<Report of {self.name}: {totals.params:,} parameters, {totals.macs:,} MACs>"


def report(
    spec: Network | str | PathLike[str],
    *,
    batch: int | None = None,
    dtype: str | None = None,
    optimizer: str | Mapping[str, Any] | None = None,
    inference: bool = False,
    at: str | int | Sequence[int] | None = None,
    convention: Sequence[str] | str = (),
    stored: str = "",
    engine: str | None = None,
) -> Report:
    """Return the cost of a network, line by line: shapes, parameters, MACs and memory.

    Args:
        spec: A spec, a model file's model, or a path or a name as `load` takes them.
        batch: Images in a batch. Default: for training the batch of the spec's `train:`, for all
            else one image.
        dtype: Keras's dtype policy, such as `"mixed_bfloat16"`. Default: the `precision` of the
            spec's `train:`, or float32.
        optimizer: The optimizer whose state is counted: a name of Keras's, `"momentum"` (SGD with
            momentum), or a name with its arguments, `{"adam": {"amsgrad": True}}`. Default: that
            of the spec's `train:`, or Adam.
        inference: Whether to leave out the heads, which only help to train.
        at: The size at which a network whose input is open is evaluated: `"512x768"`,
            `(512, 768)`, or `512` for all open axes. Default: what depends on the size is a
            formula in `height` and `width`.
        convention: Other tools whose totals the report has too: `"fvcore"`, `"torchinfo"`,
            `"ptflops"`, `"ptflops_aten"`, `"calflops"`, `"thop"`, `"keras"`, `"tensorflow"`;
            several in a list, or `"all"`.
        stored: Form of storage in which the bytes of the weights are counted too: `"int8"`,
            `"int4"`, or `"sparse:0.9"` for kernels of which nine tenths are zeros.
        engine: The engine on which a training step's bytes are estimated too: `"jax-gpu"`,
            `"tensorflow-gpu"`, `"torch-gpu"`, or `"cpu"` (JAX).

    Returns:
        A report that prints itself: `totals`, `memory` in bytes, `estimate`, `rows()`, and
        the `setting` for which bytes are counted.

    Raises:
        SpecError: The spec has mistakes.
        UsageError: An argument is wrong.

    Example:
        >>> archspec.report("lenet5").totals.params
        61706
    """
    network = as_network(spec, inference=inference)
    if at is not None and isinstance(network, ImportedModel):
        from archspec.cost.size import model_at  # noqa: PLC0415

        network, at = model_at(network, at), None
    model = network if isinstance(network, ImportedModel) else None
    written = None if isinstance(network, ImportedModel) else network
    chosen = setting(written, batch, dtype, optimizer)
    if at is None:
        graph = graph_of(network)
    else:
        from archspec.cost.size import graph_at  # noqa: PLC0415

        graph = graph_at(network, at)
    shown: tuple[str, ...] = ()
    if convention:
        from archspec.cost.convention import conventions  # noqa: PLC0415

        shown = conventions(convention)
    costs = Report(graph, written, chosen, shown, stored, engine, model)
    _ = costs.counted, costs.stored, costs.estimate
    _ = costs.checks  # a claim that says nothing is a mistake of the spec, to be heard of now
    return costs


def refuse_unknown(costs: Report, what: str) -> None:
    """Raise `UsageError` for a model file with unknown layers where all costs are needed."""
    if costs.unknown:
        first = costs.unknown[0]
        others = f", and {len(costs.unknown) - 1:,} more" if len(costs.unknown) > 1 else ""
        raise UsageError(
            f"{what} needs the cost of every layer, and {costs.name} has layers that archspec does "
            f"not know: `{first.name}`, of type {first.op.label}{others}"
        )


def check_rows(depth: int | None, *, ops: bool) -> None:
    """Raise `UsageError` for a wrong `depth` or `ops`."""
    if depth is not None:
        arguments.whole("depth", depth)
    arguments.flag("ops", ops)


def _is_row(scope: Scope, depth: int | None, *, ops: bool) -> bool:
    deep = depth is not None and scope.name.count(SEPARATOR) + 1 >= depth
    return deep or (scope.row and not ops)


def _row_dict(row: Row) -> dict[str, Any]:
    data = {name: plain(value) for name, value in row._asdict().items() if name != "field"}
    del data["start"], data["stop"]
    data["shared_with"] = row.shared_with or None
    reach = row.field
    data["field"] = None if reach is None else list(map(float_or_int, reach.size))
    data["stride"] = None if reach is None else list(map(float_or_int, reach.stride))
    return data


def float_or_int(value: Any) -> int | float:
    """Return a whole number as an int, a fraction (after upsampling) as a float."""
    return int(value) if value == int(value) else float(value)
