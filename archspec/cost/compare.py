"""The comparison: the figures of several networks, and their ratios to the first."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from archspec.arguments import text
from archspec.cost import checks
from archspec.cost.report import CONVENTION, Report, float_or_int, report
from archspec.cost.setting import Setting
from archspec.cost.size import at_if_open, refuse_open
from archspec.display import Displayed
from archspec.errors import UsageError, suggestion
from archspec.imports.loading import as_networks
from archspec.imports.model import Network
from archspec.ops.atleast import AtLeast
from archspec.ops.shape import Shape, plain

if TYPE_CHECKING:
    from archspec.cost.convention import Counted
    from archspec.cost.estimate.footprint import Estimate

SCHEMA_VERSION = 3
"""Version of the JSON form. It grows when a key changes its meaning or is removed."""


class NetworkFigures(NamedTuple):
    """The figures of a network, named as in `published` and `budget`.

    Bytes are for a setting, the other figures for one example.
    """

    name: str
    input: Shape
    params: int
    trainable: int
    non_trainable: int
    macs: int
    flops: int
    other_ops: int
    activations: int
    weight_layers: int
    """The depth: layers that own a kernel."""
    connections: int
    """Weighted inputs and biases of all outputs, as LeCun et al. 1998 count them."""
    layers: int
    weight_bytes: int
    """The model's size: all its weights, and nothing of a file's format."""
    inference_bytes: int
    must_keep: int
    """Bytes that a training step keeps on any engine."""
    field: tuple[int | Fraction, ...]
    """Receptive field of the last layer before the main output that does not see everything."""
    setting: Setting
    """Setting that the bytes are counted for."""
    inputs: Mapping[str, Shape]
    """Shape of each input; `input` is that of the first."""
    counted: tuple[Counted, ...] = ()
    """Totals as other tools print them, where they were asked for."""
    estimate: Estimate | None = None
    """The bytes of a training step on an engine, where one was named."""

    def to_dict(self) -> dict[str, Any]:
        figures = plain(self._asdict())
        del figures["setting"], figures["counted"], figures["estimate"]
        if self.estimate:
            figures["estimate"] = self.estimate.to_dict()
        if self.counted:
            figures["conventions"] = {each.convention: each.to_dict() for each in self.counted}
        return {
            **figures,
            "input": list(self.input) if len(self.inputs) == 1 else None,
            "inputs": {name: list(shape) for name, shape in self.inputs.items()},
            "field": list(map(float_or_int, self.field)),
            **self.setting.to_dict(),
        }


FIGURES = tuple(checks.FIGURES)
"""Names of the whole numbers, which have a ratio."""


@dataclass(frozen=True)
class Comparison(Displayed):
    """Networks side by side. Print it, or read its entries and ratios."""

    RENDERER = "comparison"

    reports: tuple[Report, ...]
    """The networks; ratios are to the first."""
    sort: str | None = None
    """Figure to sort by, largest first after a `-`; by default the order given."""

    def __post_init__(self) -> None:
        if not self.reports:
            raise UsageError("there is nothing to compare")
        for costs in self.reports:
            refuse_open(costs.graph, "a comparison")
        if self.sort is not None:
            text("sort", self.sort)
        key = (self.sort or "name").removeprefix("-")
        known = NetworkFigures._fields[: NetworkFigures._fields.index("setting")]
        if key not in known:
            hint = suggestion(key, known, what="figures")
            raise UsageError(f"`sort={self.sort!r}`: there is no figure `{key}` to sort by; {hint}")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """A name for each of the reports, in their order."""
        return distinct_names(self.reports)

    @cached_property
    def baseline(self) -> NetworkFigures:
        """The network that was given first."""
        return figures_of(self.reports[0], self.names[0])

    @cached_property
    def entries(self) -> tuple[NetworkFigures, ...]:
        """Every network, sorted."""
        entries = list(map(figures_of, self.reports, self.names))
        if self.sort:
            key = attrgetter(self.sort.removeprefix("-"))
            entries.sort(key=key, reverse=self.sort.startswith("-"))
        return tuple(entries)

    def ratio(self, network: NetworkFigures, figure: str) -> float | None:
        """Return a figure in multiples of the first network's; None where that is 0, or unknown."""
        unit: int = getattr(self.baseline, figure)
        value: int = getattr(network, figure)
        if not unit or isinstance(unit, AtLeast) or isinstance(value, AtLeast):
            return None
        return value / unit

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data: the JSON form, versioned by `schema_version`."""
        return {
            "schema_version": SCHEMA_VERSION,
            "convention": CONVENTION,
            "baseline": self.baseline.name,
            "networks": [
                {
                    **each.to_dict(),
                    "ratios": {figure: self.ratio(each, figure) for figure in FIGURES},
                }
                for each in self.entries
            ],
        }


def compare(
    *specs: Network | str | os.PathLike[str],
    batch: int | None = None,
    dtype: str | None = None,
    optimizer: str | Mapping[str, Any] | None = None,
    sort: str | None = None,
    at: str | int | Sequence[int] | None = None,
    convention: Sequence[str] | str = (),
    engine: str | None = None,
) -> Comparison:
    """Compare networks: their costs side by side.

    Args:
        specs: Specs, model files' models, or paths and names as `load` takes them. A family means
            all its variants.
        batch: As in `report`, for all networks.
        dtype: As in `report`.
        optimizer: As in `report`.
        sort: The figure to sort by, such as `"params"`, or `"-params"` for the largest first.
            Default: the order given.
        at: As in `report`, for the networks whose input is open.
        convention: As in `report`: a column for each of these tools.
        engine: As in `report`: a column for the estimate.

    Returns:
        A comparison that prints itself: `entries` has the figures, `ratio` their multiples of the
        first network's.

    Raises:
        SpecError: A spec has mistakes.
        UsageError: An argument is wrong.

    Example:
        >>> archspec.compare("lenet5", "vgg16").entries[1].params
        138357544
    """
    networks = as_networks(specs)
    reports = tuple(
        report(
            spec,
            batch=batch,
            dtype=dtype,
            optimizer=optimizer,
            at=at_if_open(spec, at),
            convention=convention,
            engine=engine,
        )
        for spec in networks
    )
    return Comparison(reports, sort)


def distinct_names(reports: Sequence[Report]) -> tuple[str, ...]:
    """Return a name for each network, with its file where files use the same name."""
    files = [costs.file for costs in reports]
    named = {(costs.name, file) for costs, file in zip(reports, files, strict=True)}
    often = Counter(name for name, _ in named)
    return tuple(
        f"{costs.name} ({file})" if often[costs.name] > 1 and file else costs.name
        for costs, file in zip(reports, files, strict=True)
    )


def figures_of(costs: Report, name: str) -> NetworkFigures:
    """Return the figures of one network, to be called `name`."""
    figures = {figure: value(costs) for figure, value in checks.FIGURES.items()}
    return NetworkFigures(
        name,
        costs.graph.input,
        field=_last_field(costs),
        setting=costs.setting,
        inputs=costs.graph.input_shapes,
        counted=costs.counted,
        estimate=costs.estimate,
        **figures,
    )


def _last_field(costs: Report) -> tuple[int | Fraction, ...]:
    """Return the receptive field of the last layer on the way to the main output that has one."""
    graph = costs.graph
    index = next(iter(graph.outputs.values()))
    on_the_way = {index}
    while (field := costs.fields[index]) is None:  # the input sees itself, at the latest
        on_the_way.remove(index)
        on_the_way.update(graph.nodes[index].inputs)
        index = max(on_the_way)
    return field.size
