"""Plan -> graph: the steps carried out, one after the other, with shapes known at each.

A step that fails leaves no node, and whatever depends on it is passed over in silence: its own
arguments are still checked, but no problem is reported that is only a consequence of another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

from archspec import catalog
from archspec.blocks.block import Block
from archspec.diagnostics import Diagnostic, Problem, nearest
from archspec.element import ArgumentProblems, Element
from archspec.graph.builder import MOST_NODES, Builder
from archspec.graph.graph import SEPARATOR, Graph, Node
from archspec.ops.fields import LARGEST
from archspec.ops.merge import Merge
from archspec.ops.op import Op
from archspec.ops.shape import Shape
from archspec.plan import compile_plan
from archspec.spec.document import Path, Spec, spec_error, variables
from archspec.spec.expressions import Expression
from archspec.step import (
    Plan,
    SpecBlock,
    Step,
    Template,
    argument_places,
    default_problems,
    name_problem,
)

MOST_REPEATS = 10_000
"""The most that `repeat` and `for` may say."""

AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
"""What `in.` calls the spatial axes, by their number."""


def expand(spec: Spec) -> Graph:
    """The graph of a spec; raise `SpecError` with everything that is wrong with it."""
    plan = compile_plan(spec)
    values, broken = variables(spec)
    found = [*spec.found, *plan.found, *broken]
    graph = None
    if not broken:
        graph = _Run(spec, plan, values, found).graph()
    if found or graph is None:
        raise spec_error(spec.source, found)
    return graph


class _Passed(Exception):  # noqa: N818
    """A step that cannot be carried out, for a reason that is reported already."""


class _Run:
    """One walk over a plan."""

    def __init__(
        self, spec: Spec, plan: Plan, values: Mapping[str, Any], found: list[Diagnostic]
    ) -> None:
        self.spec = spec
        self.plan = plan
        self.found = found
        self.variables = {name: value for name, value in values.items() if name != "input"}
        self.shape = self._input_shape(values["input"])
        self.builder = Builder(self.shape or (1, 1), self._defaults())
        self.enclosing: Node | None = self.builder.input if self.shape else None
        self.floor = ""
        self.named: dict[str, Node | None] = {}
        self.parsed: dict[tuple[type[Element], str], Element] = {}
        self.carried = 0

    def graph(self) -> Graph | None:
        """The whole network; None where something is wrong."""
        try:
            outputs = {"output": self._sequence(self.plan.layers, self.enclosing, self.variables)}
            weights = {"output": 1.0}
            for name, head in self.plan.heads.items():
                if self._when(head, outputs["output"], self.variables):
                    outputs[name] = self._step(head, outputs["output"], self.variables)
                    weights[name] = self.spec.document.heads[name].loss_weight
        except _Passed:
            return None
        nodes = {name: node for name, node in outputs.items() if node is not None}
        if self.found or len(nodes) < len(outputs):
            return None
        return self.builder.finish(self.spec.name, nodes, weights)

    # What holds for the whole run.

    def _input_shape(self, extent: Any) -> tuple[int, ...] | None:
        if extent is None:  # what was written is no input, and reported
            return None
        right = isinstance(extent, tuple) and 2 <= len(extent) <= 4
        path = self.spec.settings["input"][1]
        if not right:
            help_ = "as [height, width, channels]; one to three spatial axes, then the channels"
            self._report(Problem("value", f"`input` cannot be {extent}", help=help_), path or ())
            return None
        for i, n in enumerate(extent):
            if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= LARGEST:
                problem = Problem("value", f"`input` needs whole numbers from 1, not {n}")
                self._report(problem, (*path, i) if path else ())
                return None
        return tuple(extent)

    def _defaults(self) -> dict[str, dict[str, Any]]:
        defaults: dict[str, dict[str, Any]] = {}
        for kind, arguments in self.plan.defaults.items():
            for name, template in arguments.items():
                try:
                    value = self._evaluate(template, self.variables, None)
                except Problem as problem:
                    self._report(problem, ("defaults", kind, name))
                except _Passed:
                    senseless = Problem("expression", "`in` has no meaning in `defaults`")
                    self._report(senseless, ("defaults", kind, name))
                else:
                    defaults.setdefault(kind, {})[name] = value
            for name, wrong in self._default_problems(kind, defaults.get(kind, {})):
                self._report(wrong, ("defaults", kind, name))
        return defaults

    def _default_problems(
        self, kind: str, values: Mapping[str, Any]
    ) -> Iterable[tuple[str, Problem]]:
        try:
            return default_problems(catalog.find(kind), values)
        except Problem:
            return ()  # a block of the spec's own: its steps say what is wrong

    # Steps.

    def _sequence(
        self, steps: tuple[Step, ...], x: Node | None, env: Mapping[str, Any]
    ) -> Node | None:
        for step in steps:
            x = self._step(step, x, env)
        return x

    def _step(self, step: Step, x: Node | None, env: Mapping[str, Any]) -> Node | None:
        try:
            inputs = self._inputs(step, x)
            rounds = self._rounds(step, inputs[0], env)
        except _Passed:
            return None
        looping = bool(step.loop) or step.repeat is not None
        for number, bindings in enumerate(rounds, start=1):
            self._count(step)
            inner = {**env, **bindings} if bindings else env
            try:
                if not self._when(step, inputs[0], inner):
                    continue
                name = step.name
                if isinstance(name, Expression):
                    name = self._named(step, inputs[0], inner)
                elif name is not None and looping:
                    name = f"{name}{number}"
                x = self._once(step, inputs, inner, name)
            except Problem as problem:
                if problem.code == "limit" and len(self.builder.nodes) >= MOST_NODES:
                    self._stop(problem, step)
                self._report(problem, (*step.path, step.kind), key=True)
                x = None
            except _Passed:
                x = None
            inputs = (x,)
        return x

    def _once(
        self, step: Step, inputs: tuple[Node | None, ...], env: Mapping[str, Any], name: str | None
    ) -> Node | None:
        """Carry a step out once."""
        if step.kind == "layers" and not step.branches:
            if len(inputs) > 1:
                raise Problem("shape", "`layers` takes one input")
            if name is None:  # only brackets: the steps belong to the scope around
                with self._inside(inputs[0]):
                    return self._sequence(step.body, inputs[0], env)
        path = self.builder.claim(step.kind or "step", name)
        self.named[path] = None
        if step.broken:
            return None
        if step.kind == "layers":
            with self.builder.scope(path, "layers"), self._inside(inputs[0]):
                y = self._sequence(step.body, inputs[0], env)
        elif step.kind == "branches":
            y = self._branches(step, path, inputs, env)
        else:
            y = self._element(step, path, inputs, env)
        self.named[path] = y
        return y

    def _branches(
        self,
        step: Step,
        path: str,
        inputs: tuple[Node | None, ...],
        env: Mapping[str, Any],
    ) -> Node | None:
        if len(inputs) > 1:
            raise Problem("shape", "`branches` takes one input, which every branch sees")
        ends: list[Node | None] = []
        with self.builder.scope(path, "branches"), self._inside(inputs[0]):
            for name, steps in step.branches:
                branch = self.builder.claim("branch", name)
                with self.builder.scope(branch, "branch"):
                    end = self._sequence(steps, inputs[0], env)
                self.named[branch] = end
                ends.append(end)
            nodes = [end for end in ends if end is not None]
            if step.merge is None or len(nodes) < len(ends):
                return None
            return self.builder(step.merge.parse({}), *nodes, name=step.merge.kind)

    def _element(
        self,
        step: Step,
        path: str,
        inputs: tuple[Node | None, ...],
        env: Mapping[str, Any],
    ) -> Node | None:
        element = step.constant or self._parse(step, inputs[0], env)
        nodes = tuple(node for node in inputs if node is not None)
        if isinstance(element, SpecBlock):
            return self._spec_block(element, path, inputs)
        if len(nodes) < len(inputs):
            return None
        if not isinstance(element, (Op, Block)):
            raise TypeError(f"{step.kind} is neither an op nor a block")
        if isinstance(element, Merge):
            if len(nodes) < 2:
                help_ = f"as `{step.kind}: name` or `{step.kind}: [a, b]`"
                raise Problem("shape", f"`{step.kind}` needs two inputs at least", help=help_)
        elif len(nodes) > element.most_inputs:
            most = (
                "one input" if element.most_inputs == 1 else f"at most {element.most_inputs} inputs"
            )
            raise Problem("shape", f"`{step.kind}` takes {most}, not {len(nodes)}")
        return self.builder.place(element, path, nodes)

    def _spec_block(
        self, element: SpecBlock, path: str, inputs: tuple[Node | None, ...]
    ) -> Node | None:
        if len(inputs) > 1:
            raise Problem("shape", f"`{element.kind}` takes one input, not {len(inputs)}")
        arguments = {name: getattr(element, name) for name in type(element).model_fields}
        floor, self.floor = self.floor, path
        try:
            with self.builder.scope(path, element.kind), self._inside(inputs[0]):
                return self._sequence(element.body, inputs[0], {**self.variables, **arguments})
        finally:
            self.floor = floor

    @contextmanager
    def _inside(self, x: Node | None) -> Iterator[None]:
        """Within a group or a block, `input` is what came in there."""
        outer, self.enclosing = self.enclosing, x
        try:
            yield
        finally:
            self.enclosing = outer

    # What a step refers to.

    def _inputs(self, step: Step, x: Node | None) -> tuple[Node | None, ...]:
        if not step.sources:
            return (x,)
        try:
            named = tuple(self._lookup(name) for name in step.sources)
        except Problem as problem:
            self._fail(problem, step, step.sources_key)
        return (x, *named) if step.with_previous else named

    def _lookup(self, name: str) -> Node | None:
        """The node of a name: of this scope, or of the nearest one around it."""
        if name == "input":
            return self.enclosing
        prefix = self.builder.prefix
        while True:
            if prefix + name in self.named:
                return self.named[prefix + name]
            if not prefix or prefix == self.floor + SEPARATOR:
                break
            prefix = prefix[: prefix.rstrip(SEPARATOR).rfind(SEPARATOR) + 1]
        if name in self.plan.names:
            raise Problem(
                "circular",
                f"`{name}` comes after this step, or is out of its sight",
                help="a step may take from earlier ones of its own group and of those around it",
            )
        cut = len(self.builder.prefix)
        within = [path[cut:] for path in self.named if path.startswith(self.builder.prefix)]
        match = nearest(name, [*within, *self.named, "input"])
        last = [path for path in within if SEPARATOR not in path][-8:]
        help_ = f"did you mean `{match}`?" if match else f"before it: {', '.join([*last, 'input'])}"
        raise Problem("unknown-name", f"no step before this one is called `{name}`", help=help_)

    def _rounds(self, step: Step, x: Node | None, env: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The loop variables of every round; one round without any for a plain step."""
        if step.loop:
            lists = {
                name: self._value(step, ("for", name), template, x, env)
                for name, template in step.loop.items()
            }
            for name, values in lists.items():
                if not isinstance(values, tuple):
                    self._fail(Problem("type", f"`{name}` must be a list here"), step, "for", name)
            lengths = {name: len(values) for name, values in lists.items()}
            if len(set(lengths.values())) > 1:
                said = ", ".join(f"`{name}` has {n}" for name, n in lengths.items())
                self._fail(Problem("value", f"lists of unequal length: {said}"), step, "for")
            return [
                dict(zip(lists, values, strict=True), index=index)
                for index, values in enumerate(zip(*lists.values(), strict=True))
            ]
        if step.repeat is None:
            return [{}]
        times = self._value(step, ("repeat",), step.repeat, x, env)
        if isinstance(times, bool) or not isinstance(times, int) or times < 0:
            problem = Problem("value", f"`repeat` must be a whole number from 0, not {times}")
            self._fail(problem, step, "repeat")
        if times > MOST_REPEATS:
            problem = Problem("limit", f"`repeat` of {times:,} is more than {MOST_REPEATS:,}")
            self._fail(problem, step, "repeat")
        return [{"index": index} for index in range(times)]

    def _when(self, step: Step, x: Node | None, env: Mapping[str, Any]) -> bool:
        if step.when is True:
            return True
        value = self._value(step, ("when",), step.when, x, env)
        if not isinstance(value, bool):
            self._fail(Problem("type", f"`when` must be true or false, not {value}"), step, "when")
        return value

    def _named(self, step: Step, x: Node | None, env: Mapping[str, Any]) -> str:
        value = self._value(step, ("name",), step.name, x, env)
        problem = name_problem(value)
        if problem:
            self._fail(problem, step, "name")
        return str(value)

    # Values.

    def _parse(self, step: Step, x: Node | None, env: Mapping[str, Any]) -> Element:
        if step.element is None:
            raise _Passed
        own = (*step.path, step.kind)
        values = {}
        for name, template in step.arguments.items():
            try:
                values[name] = self._evaluate(template, env, x)
            except Problem as problem:
                self._report(problem, (*own, name))
                raise _Passed from None
        key = (step.element, repr(values))
        element = self.parsed.get(key)
        if element is None:
            try:
                element = self.parsed[key] = step.element.parse(values)
            except ArgumentProblems as problems:
                for place, is_key, wrong in argument_places(step, problems, step.given):
                    self._report(wrong, place, key=is_key)
                raise _Passed from None
        return element

    def _value(
        self,
        step: Step,
        where: Path,
        template: Template,
        x: Node | None,
        env: Mapping[str, Any],
    ) -> Any:
        try:
            return self._evaluate(template, env, x)
        except Problem as problem:
            self._fail(problem, step, *where)

    def _evaluate(self, template: Template, env: Mapping[str, Any], x: Node | None) -> Any:
        if isinstance(template, Expression):
            if not template.inputs:
                return template.evaluate(env)
            if x is None:
                raise _Passed
            return template.evaluate(env, _described(x.shape))
        if isinstance(template, tuple):
            return tuple(self._evaluate(item, env, x) for item in template)
        return template

    # Problems.

    def _count(self, step: Step) -> None:
        self.carried += 1
        if self.carried > MOST_NODES:
            self._stop(Problem("limit", f"the spec asks for more than {MOST_NODES:,} steps"), step)

    def _stop(self, problem: Problem, step: Step) -> NoReturn:
        self._report(problem, (*step.path, step.kind), key=True)
        raise spec_error(self.spec.source, self.found)

    def _fail(self, problem: Problem, step: Step, *where: str | int) -> NoReturn:
        self._report(problem, (*step.path, *where))
        raise _Passed

    def _report(self, problem: Problem, path: Path, *, key: bool = False) -> None:
        self.found.append(problem.at(self.spec.source.span(path, key=key)))


def _described(shape: Shape) -> dict[str, int]:
    """What an expression may ask of its step's input, as `in.channels`."""
    described = {"channels": shape.channels, "rank": shape.rank}
    described.update(zip(AXES.get(shape.rank, ()), shape.spatial, strict=True))
    return described
