"""Networks of open extents, evaluated at a size that is given from outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from archspec.compile.expand import expand
from archspec.compile.network import graph_of
from archspec.element import show
from archspec.errors import Problem, SpecError, UsageError
from archspec.graph.graph import Graph
from archspec.graph.sizes import open_input, smallest, words
from archspec.imports.loading import load_model
from archspec.imports.model import ImportedModel, Network
from archspec.ops.axes import AXES
from archspec.ops.fields import LARGEST

_EXAMPLE: Final = "as `at='512x768'`, or `at='512'` for all open axes"


def graph_at(network: Network, at: Any) -> Graph:
    """Return the graph of a network with open extents, for inputs of one size.

    Args:
        network: The network: a spec, or a model that was read from a file.
        at: The size, such as `"512x768"` or `(512, 768)`: an extent for each spatial axis, or one
            for all that are open.

    Raises:
        SpecError: The spec has mistakes.
        UsageError: The size is wrong or too small, or the spec has no open extent.
    """
    if isinstance(network, ImportedModel):
        return model_at(network, at).graph
    try:
        graph = graph_of(network)
    except SpecError:
        spec = network
        # What needs a size, such as `flatten` and `fc`, may be right at this one.
        written = spec.settings.get("input", (None,))[0]
        if not isinstance(written, list) or not any(map(_is_open, written[:-1])):
            raise
        names = AXES.get(len(written) - 1, ())
        sizes = _sizes(at, [None if _is_open(n) else n for n in written[:-1]], names)
        extent = [sizes.get(name, n) for name, n in zip(names, written[:-1], strict=True)]
        overrides = {**spec.overrides, "input": [*extent, written[-1]]}
        return expand(replace(spec, overrides=overrides))
    return at_size(graph, at)


def model_at(model: ImportedModel, at: Any) -> ImportedModel:
    """Return a model with open extents, for inputs of one size; see `graph_at`.

    A file with unknown layers is read again, as they may be known at the size: a pool of all
    places, for one.
    """
    if not (model.unknown and model.graph.is_open):
        return replace(model, graph=at_size(model.graph, at))
    shape = open_input(model.graph)
    sizes = _sizes(at, shape.known[:-1], AXES[shape.rank])
    return load_model(model.path, input=[*shape.at(sizes)])


def at_if_open(network: Network, at: Any) -> Any:
    """Return a size for a network of open input, and None for another: of several networks."""
    if at is None:
        return None
    if isinstance(network, ImportedModel):
        return at if network.graph.is_open else None
    written = (shape for shape, _ in network.inputs.values())
    is_open = any(
        isinstance(shape, list | tuple) and any(map(_is_open, shape[:-1])) for shape in written
    )
    return at if is_open else None


def refuse_open(graph: Graph, what: str) -> None:
    """Raise `UsageError` for a network of open input where a size is needed."""
    if graph.is_open:
        raise UsageError(
            f"{what} needs a size, as the input of {graph.name} is open: `at='512x768'`"
        )


def at_size(graph: Graph, at: Any) -> Graph:
    """Return a network with open extents for inputs of one size; see `graph_at`."""
    shape = open_input(graph)
    if not graph.is_open:
        raise UsageError(
            f"`at=` needs an input of open size: that of {graph.name} is {shape}; another is set "
            f"by `input={[*shape]}`"
        )
    sizes = _sizes(at, shape.known[:-1], AXES[shape.rank])
    try:
        return graph.at(sizes)
    except Problem as problem:
        least = smallest(graph)
        more = f"; it takes inputs of at least {words(shape, least)}" if least else ""
        where = f" at `{problem.path}`" if problem.path else ""
        raise UsageError(
            f"{graph.name} does not fit an input of {words(shape, sizes)}{where}: "
            f"{problem.message}{more}"
        ) from None


def _sizes(at: Any, known: Sequence[int | None], names: Sequence[str]) -> dict[str, int]:
    """Return the extent of each open axis, from what a user gave; None in `known` is open."""
    parts: Any = at.lower().replace("*", "x").split("x") if isinstance(at, str) else at
    if isinstance(at, int) and not isinstance(at, bool):
        parts = [at]
    try:
        numbers = [_extent(part) for part in parts]
    except (TypeError, ValueError):
        raise UsageError(f"`at=` must be a size, {_EXAMPLE}, not {show(at)}") from None
    if len(numbers) == 1:
        numbers = [numbers[0] if n is None else n for n in known]
    if len(numbers) != len(known) or any(
        n not in (None, number) for n, number in zip(known, numbers, strict=False)
    ):
        shape = " x ".join(
            name if n is None else str(n) for name, n in zip(names, known, strict=True)
        )
        raise UsageError(f"`at=` must be {shape} here, {_EXAMPLE}, not {show(at)}")
    pairs = zip(names, known, numbers, strict=True)
    return {name: number for name, n, number in pairs if n is None}


def _extent(part: Any) -> int:
    number = int(part) if isinstance(part, str) and part.strip().isdecimal() else part
    if type(number) is not int or not 1 <= number <= LARGEST:
        raise ValueError(part)
    return number


def _is_open(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.startswith("multiple of "))
