"""The text of a spec for a graph, proved to give this graph."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import chain
from typing import Any, Final

from archspec.compile.expand import expand
from archspec.decompile.arrangement import Arrangement
from archspec.decompile.cells import Cells
from archspec.decompile.defaults import common_arguments, convolution_defaults
from archspec.decompile.factoring import Factoring, OwnBlock, inner_first
from archspec.decompile.naming import Naming, spec_name
from archspec.decompile.proof import difference
from archspec.decompile.recognition import Recognition, Unit
from archspec.decompile.rolling import rolled
from archspec.decompile.steps import Expression, Step, plain, walk
from archspec.decompile.view import View
from archspec.decompile.writing import Writer, pair, said_once
from archspec.errors import SpecError, UsageError
from archspec.graph.graph import Graph
from archspec.ops.elementwise import Activate
from archspec.ops.unknown import Unknown
from archspec.spec.document import choose, validate
from archspec.spec.source import parse


@dataclass(frozen=True)
class Decompiled:
    """A spec that was made from a graph."""

    text: str
    graph: Graph
    """The graph that the text compiles to."""
    order: tuple[int, ...]
    """The node of the original graph for each of `graph`'s; -1 for one that was added."""

    @property
    def length(self) -> int:
        """Number of lines of the text."""
        return self.text.count("\n")


def decompiled(graph: Graph, name: str = "", comment: Sequence[str] = ()) -> Decompiled:
    """Return the spec that a person would have written for a graph.

    Args:
        graph: The graph.
        name: Name of the network. Default: the graph's.
        comment: Lines that stand above the spec.

    Raises:
        UsageError: The language cannot say a layer of the graph.
    """
    _refuse_unknown(graph)
    view = View(graph)
    failures: list[str] = []
    best: Decompiled | None = None
    draft: _Draft | None = None
    recognised = cache(partial(_recognised, view))
    for effort in (OPTIONS, BLOCKS, LOOPS, KINDS, STEPS):
        if effort == BLOCKS and (best is not None or (draft and not draft.has_optional)):
            continue
        if best is not None and effort < LOOPS:
            break
        for has_shapes in (True, False):
            draft = _Draft(
                view,
                name or graph.name,
                comment,
                effort,
                *recognised(effort > STEPS),
                has_shapes=has_shapes,
            )
            made = _proved(graph, draft, failures)
            if made is not None and (best is None or made.length < best.length):
                best = made
            if made is not None and (
                not _ASKS.search(made.text) or (best and made.length > FAR * best.length)
            ):
                break
        if effort >= BLOCKS and best is not None and not (draft and draft.blocks):
            break
    if best is None:
        raise UsageError(f"this model cannot be written as a spec: {failures[-1]}")
    return best


FAR = 1.1
"""Length of a text, as a multiple of the shortest, from which on it is not tried in another way."""

_ASKS = re.compile(r"=in(put)?\.")
"""Start of an expression in which a number follows from a shape."""


def _proved(graph: Graph, draft: _Draft, failures: list[str]) -> Decompiled | None:
    """Return a draft that gives the graph; None for another, whose fault is added to `failures`."""
    try:
        text, order = draft.text()
        source = parse(text)
        made = expand(choose(validate(source), source, None, {}))
    except SpecError as error:
        failures.append(str(error))
        return None
    fault = difference(graph, made, order)
    if fault is None:
        return Decompiled(text, made, tuple(order))
    failures.append(fault)
    return None


STEPS, KINDS, LOOPS, BLOCKS, OPTIONS = range(5)
"""Efforts to make a text short: a step for each layer; blocks and loops; arguments said once too;
blocks of the spec's own for steps that stand apart; and steps that only some of their uses have."""


def _recognised(view: View, has_blocks: bool) -> tuple[dict[str, dict[str, Any]], list[Unit]]:
    """Return arguments that are said once, and units: a unit for each layer without blocks."""
    if not has_blocks:
        return {}, Recognition(view, {}).steps()
    defaults = common_arguments(view)
    convolution = convolution_defaults(view)
    if convolution:
        defaults["conv"] = convolution
    return defaults, Recognition(view, defaults).run()


def _refuse_unknown(graph: Graph) -> None:
    """Raise `UsageError` for a graph with layers that archspec does not know."""
    unknown = [(node.name, node.op) for node in graph.nodes if isinstance(node.op, Unknown)]
    if not unknown:
        return
    first = "; ".join(f"`{name}` ({op.label}): {op.reason}" for name, op in unknown[:3])
    more = f"; and {len(unknown) - 3} more" if len(unknown) > 3 else ""
    these = "a layer" if len(unknown) == 1 else f"{len(unknown)} layers"
    raise UsageError(
        f"a spec cannot say {these} of this model: {first}{more}. "
        "`archspec build` shows the table of what is known"
    )


@dataclass
class _Draft:
    """A spec that is not proved yet."""

    view: View
    name: str
    comment: Sequence[str]
    effort: int
    """The most that is done to make the text short."""
    defaults: Mapping[str, Mapping[str, Any]]
    units: Sequence[Unit]
    has_shapes: bool
    """Whether numbers may follow from the shape that a step reads."""
    blocks: list[OwnBlock] = field(default_factory=list)
    has_optional: bool = False
    """Whether a block has steps that some of its uses lack."""

    def text(self) -> tuple[str, list[int]]:
        """Return the text, and the node that each node of its graph is."""
        view, units = self.view, self.units
        cells = Cells(view, units, self.defaults, has_shapes=self.has_shapes)
        if self.effort >= BLOCKS:
            units = cells.run()
        arrangement = Arrangement(view, units, self.defaults, has_shapes=self.has_shapes)
        main, heads = self._parts(units)
        entry = next(iter(view.graph.inputs.values()))
        steps = arrangement.sequence(main, entry)
        order = [*view.graph.inputs.values(), *_order(steps)]
        starts: dict[str, int] = {}
        bodies: dict[str, list[Step]] = {}
        for head, numbers in heads.items():
            output = view.graph.outputs[head]
            if numbers:
                starts[head] = units[numbers[0]].inputs[0]
                bodies[head] = arrangement.sequence(numbers, starts[head])
                order += _order(bodies[head])
            else:
                starts[head] = output
                linear = {"function": "linear"}
                bodies[head] = [Step("activation", -2, (), Activate, linear)]
                order.append(-1)
        output = next(iter(view.graph.outputs.values()))
        if not steps or steps[-1].output != output:
            steps.append(Step("activation", -2, (), Activate, {"function": "linear"}, (output,)))
            order.insert(len(view.graph.inputs) + sum(len([*s.order()]) for s in steps), -1)
        if self.effort >= BLOCKS:
            factoring = Factoring(
                steps,
                entry,
                [*starts.values()],
                [bodies[head] for head in starts],
                cells.blocks,
                optional=self.effort == OPTIONS,
            )
            self.blocks = factoring.run()
            self.has_optional = factoring.has_optional
            for block in self.blocks:
                block.body = rolled(block.body, block.entry, (), ())
        if self.effort:
            outside = [*chain(*bodies.values())]
            steps = rolled(steps, entry, [*starts.values()], outside)
        kinds = [block.name for block in self.blocks]
        naming = Naming(view, steps, [self._head(name) for name in bodies], kinds)
        naming.run(bodies, starts)
        naming.name_loops(steps)
        for block in self.blocks:
            naming.run_block(block.body, block.entry, block.inputs)
        return self._written(steps, bodies, starts, naming), order

    def _parts(self, units: Sequence[Unit]) -> tuple[list[int], dict[str, list[int]]]:
        """Return the units of `layers`, and those that each head has alone."""
        outputs = self.view.graph.outputs
        wanted: dict[int, set[str]] = {}
        for name, index in outputs.items():
            wanted.setdefault(index, set()).add(name)
        needed: list[set[str]] = [set() for _ in units]
        for number in range(len(units) - 1, -1, -1):
            unit = units[number]
            names = wanted.get(unit.output, set())
            needed[number] = names
            for each in (*unit.inputs, *((unit.owner,) if unit.owner >= 0 else ())):
                wanted[each] = wanted.get(each, set()) | names if each in wanted else {*names}
        first = next(iter(outputs))
        heads: dict[str, list[int]] = {name: [] for name in outputs if name != first}
        main = []
        for number, names in enumerate(needed):
            if len(names) == 1 and (name := next(iter(names))) != first:
                heads[name].append(number)
            else:
                main.append(number)
        last = next((n for n in main if units[n].output == outputs[first]), None)
        if last is not None and not any(outputs[first] in units[n].inputs for n in main):
            main = [n for n in main if n != last] + [last]
        return main, heads

    def _written(
        self,
        steps: list[Step],
        bodies: Mapping[str, list[Step]],
        starts: Mapping[str, int],
        naming: Naming,
    ) -> str:
        blocks = (block.body for block in self.blocks)
        every = [*walk(chain(steps, *blocks, *bodies.values()))]
        defaults = {
            kind: {name: plain(value) for name, value in values.items()}
            for kind, values in self.defaults.items()
        }
        if self.effort >= LOOPS:
            defaults = said_once(every, defaults)
        usual = {block.name: block.usual(every) for block in self.blocks}
        for block in self.blocks:
            main = next((name for name in block.args if name not in usual[block.name]), "")
            for step in every:
                if step.kind == block.name:
                    step.main = main
        writer = Writer(naming, defaults | usual)
        lines = [f"# {line}" for line in self.comment]
        lines.append(f"name: {spec_name(self.name, 'model')}")
        shapes = {
            naming.inputs[index]: [_extent(n) for n in self.view.places[index].shape]
            for index in self.view.graph.inputs.values()
        }
        if [*shapes] == ["input"]:
            lines += pair("input", shapes["input"], 0)
        else:
            lines += pair("inputs", shapes, 0)
        variables = self._variables(steps)
        if variables:
            lines += pair("vars", variables, 0)
        if defaults:
            lines.append("defaults:")
            lines += [line for item in defaults.items() for line in pair(*item, 2)]
        lines += self._own_blocks(writer, usual)
        lines += ["layers:", *writer.steps(steps, 2)]
        if bodies:
            lines.append("heads:")
        for head, body in bodies.items():
            lines += [f"  {self._head(head)}:", f"    from: {naming.texts[id(body), starts[head]]}"]
            lines += ["    layers:", *writer.steps(body, 6)]
        return "\n".join(lines) + "\n"

    def _own_blocks(self, writer: Writer, usual: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """Return the lines of `blocks`."""
        lines = ["blocks:"] if self.blocks else []
        for block in inner_first(self.blocks):
            lines.append(f"  {block.name}:")
            if block.inputs:
                lines += pair("inputs", [*block.inputs.values()], 4)
            if block.args:
                optional = {
                    name: {"type": block.args[name], "default": None} if value is None else value
                    for name, value in usual[block.name].items()
                }
                required = {n: each for n, each in block.args.items() if n not in optional}
                lines += pair("args", {**required, **optional}, 4)
            lines += ["    layers:", *writer.steps(block.body, 6)]
        return lines

    def _head(self, name: str) -> str:
        """Return the name of a head as a spec has it."""
        names = [spec_name(each, "head") for each in self.view.graph.outputs]
        number = [*self.view.graph.outputs].index(name)
        alone = names.count(names[number]) == 1 and names[number] not in self.view.graph.inputs
        return names[number] if alone else f"{names[number]}_{number}"

    def _variables(self, steps: Sequence[Step]) -> dict[str, Any]:
        """Make the number of classes a variable; return the variables."""
        if not self.effort:
            return {}
        last = next((s for s in reversed(steps) if s.kind not in _AFTER_CLASSES), None)
        if last is None or last.kind != "fc" or last.repeat is not None:
            return {}
        classes = last.arguments["units"]
        if not isinstance(classes, int) or classes < 2:
            return {}
        last.arguments = last.arguments | {"units": Expression("classes")}
        return {"classes": classes}


_AFTER_CLASSES: Final = {"activation", "dropout", "rescale", "softmax"}
"""Kinds of steps that may follow the one with a unit for each class."""


def _order(steps: Sequence[Step]) -> list[int]:
    return [index for step in steps for index in step.order()]


def _extent(extent: Any) -> Any:
    """Return the extent of an input as a spec has it."""
    if isinstance(extent, int):
        return extent
    ((axis,),) = extent.terms
    return None if axis.unit == 1 else f"multiple of {axis.unit}"
