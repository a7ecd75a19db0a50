"""Plan -> graph: the steps carried out, one after the other, with shapes known at each.

No problem is reported that may only be the consequence of another. Where a step does not fit, its
output is assumed as far as it is certain (`assumption.py`). One that fails otherwise leaves no
node, and of whatever depends on it only its own arguments are checked.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias, TypeVar

from archspec.blocks.block import Block
from archspec.compile import catalog
from archspec.compile.assumption import Assumptions
from archspec.compile.inputs import input_extents
from archspec.compile.names import UNREAD, Names
from archspec.compile.plan import compile_plan
from archspec.compile.step import (
    GROUPS,
    Carried,
    Placed,
    Plan,
    SpecBlock,
    Step,
    is_count,
    names_read,
    report_arguments,
    report_defaults,
    short_list,
)
from archspec.element import ArgumentProblems, Element, show, step_arguments, whole
from archspec.errors import (
    KeyPath,
    Problem,
    UsageError,
    listed,
)
from archspec.graph.builder import Builder, reads_alone
from archspec.graph.graph import MAIN_OUTPUT, SEPARATOR, Graph, Node, reaching
from archspec.ops.axes import AXES
from archspec.ops.functions import NAMES
from archspec.ops.merge import Merge
from archspec.ops.op import Op, needs_size
from archspec.ops.shape import Shape
from archspec.spec.document import Spec, name_problem
from archspec.spec.expressions import Expression, Meter
from archspec.spec.findings import Findings
from archspec.spec.template import BROKEN, Inner, Passed, Template, evaluate, is_constant, size
from archspec.spec.variables import variables

MOST_REPEATS = 10_000
"""Largest value of `repeat`."""

MOST_STEPS = 50_000
"""Largest number of steps carried out; one with much to evaluate counts as several."""

DEEPEST = 64
"""Largest nesting of steps, those of blocks included."""

MOST_PARSED = 5_000
"""Number of elements of former networks of a plan from which on they are forgotten."""

GATE_DEPTH = 3
"""Levels of nesting that a block counts more where it is a gate: Python's stack grows by more."""

_Key = TypeVar("_Key")

_Env: TypeAlias = Mapping[str, Any]
"""Variables at a step."""

_Inputs: TypeAlias = tuple[Node | None, ...]
"""Inputs of a step; None for one that is missing because of a mistake."""


class _Taken(NamedTuple):
    """The inputs of a step."""

    nodes: _Inputs
    missing: Sequence[tuple[Problem, KeyPath]] = ()
    """Problems of those that do not exist, with their places."""
    previous: int | None = None
    """The one that is the previous step, where others are named."""

    def after(self, x: Node | None) -> _Inputs:
        """Return the inputs of the next round, when the last one gave `x`."""
        if self.previous is None:
            return (x,)
        return (*self.nodes[: self.previous], x, *self.nodes[self.previous + 1 :])


def expand(spec: Spec) -> Graph:
    """Return the graph of a spec; raise `SpecError` with everything that is wrong with it."""
    findings = Findings(spec.source, spec.diagnostics)
    plan = compile_plan(spec, findings)
    values = variables(spec, findings, NAMES)
    if spec.lost:  # the steps may refer to it
        raise findings.error()
    run = _Run(spec, plan, values, findings)
    try:
        return run.graph()
    finally:
        del run.builder.carry_out  # the two hold each other: the collector would have to find them


class _Run:
    """One walk over a plan."""

    def __init__(
        self, spec: Spec, plan: Plan, values: Mapping[str, Any], findings: Findings
    ) -> None:
        self.spec = spec
        self.plan = plan
        self.findings = findings
        self.variables = dict(values)
        self.meter = Meter()
        if len(plan.parsed) > MOST_PARSED:
            plan.parsed.clear()
        self.chosen: dict[tuple[int, str], Element] = {}
        """Elements by the identity of their step, and the text of its arguments."""
        self.defaults: dict[type[Element], dict[str, Any]] = {}
        self.defaults = self._defaults()
        shapes = input_extents(spec, values, findings)
        sound = {
            cls.kind: {name: v for name, v in values.items() if v is not BROKEN}
            for cls, values in self.defaults.items()
        }
        self.builder = Builder({name: s or (1, 1) for name, s in shapes.items()}, sound)
        self.builder.carry_out = self._carry_out
        self.builder.around = repr([(name, values[name]) for name in sorted(plan.read_in_blocks)])
        self.assumptions = Assumptions(self.builder)
        known = {name: node if shapes[name] else None for name, node in self.builder.inputs.items()}
        self.names = Names(self.builder, known, plan.names)
        self.depth = 0
        self.carried = 0
        self.made: list[tuple[Step, int, int]] = []
        """Each op and block that was added, with its first node and the node after its last."""
        self.rounds: list[tuple[KeyPath, int, int]] = []
        """Place of each round of each step, with its first node and the node after its last."""
        self.failed: set[KeyPath] = set()
        """Places of steps, and of names of inputs, that were reported: rounds fail alike."""
        self.unshared: set[tuple[str, str]] = set()
        """Paths of steps that cannot be shared, with the problem: all shares fail alike."""

    def graph(self) -> Graph:
        env: _Env = self.variables
        main = self._sequence(self.plan.layers, self.names.enclosing, env)
        outputs, weights = {MAIN_OUTPUT: main}, {MAIN_OUTPUT: 1.0}
        spared: list[Node | None] = []
        reads_any = False  # by computed names, in a head that is left out
        for name, head in self.plan.heads.items():
            if self.spec.inference or self._when(head, main, env) is False:
                spared += self._inputs(head, main, env).nodes
                read = list(names_read(head.body))
                spared += [self.names.output(each) for each in read if isinstance(each, str)]
                reads_any |= not all(isinstance(each, str) for each in read)
            else:
                outputs[name] = self._step(head, main, env)
                weights[name] = self.spec.document.heads[name].loss_weight
        nodes = {name: node for name, node in outputs.items() if node is not None}
        if not self.findings.diagnostics and not reads_any:
            self._report_unused(node for node in (*nodes.values(), *spared) if node is not None)
        if self.findings.diagnostics:
            raise self.findings.error()
        steps: dict[KeyPath, list[tuple[int, int]]] = {}
        for path, start, stop in self.rounds:
            steps.setdefault(path, []).append((start, stop))
        graph = self.builder.finish(self.spec.name, nodes, weights, steps)
        if graph.is_open:
            try:
                from archspec.ops.extent import total  # noqa: PLC0415

                total(node.shape.size for node in graph.nodes)  # every cost has as many terms
            except Problem as problem:
                self.findings.report(problem, ("layers",), key=True)
                raise self.findings.error() from None
        return graph

    def _report_unused(self, ends: Iterable[Node]) -> None:
        """Report steps that nothing needs: the network would not have their cost.

        `ends` are the outputs, and where heads that are left out would start: what only those
        need is left out with them, and no mistake.
        """
        needed = reaching(self.builder.pieces, (node.index for node in ends))
        if all(needed):
            return
        for name, node in self.builder.inputs.items():
            if not needed[node.index] and len(self.builder.inputs) > 1:
                help_ = f"read it in a step by `from: {name}`, or leave it out of `inputs`"
                problem = Problem("unused", "no step uses this input", help=help_)
                self._report_input(name, problem)
        for step, start, stop in self.made:
            if start < stop and not any(needed[start:stop]):
                path = self.builder.nodes[stop - 1].name
                help_ = "use it in a later step by `from: NAME`, or leave this step out"
                problem = Problem("unused", "no step uses the output of this one", help=help_)
                problem.path = path
                self.findings.report(problem, (*step.path, step.kind), key=True)

    def _report_input(self, name: str, problem: Problem) -> None:
        """Report a mistake of an input where its shape stands; `UsageError` if it was set."""
        path = self.spec.inputs[name][1]
        if path is None:
            raise UsageError(f"`{name}`, as it was set: {problem.message}")
        self.findings.report(problem, path, key=True)

    # What holds for the whole run.

    def _defaults(self) -> dict[type[Element], dict[str, Any]]:
        """Return the values of `defaults`, BROKEN where something is wrong."""
        defaults = {}
        for cls, templates in self.plan.defaults.items():
            values = defaults[cls] = dict.fromkeys(templates, BROKEN)
            for name, template in templates.items():
                try:
                    values[name] = self._default(cls, name, template)
                except Problem as problem:
                    self.findings.report(problem, ("defaults", cls.kind, name))
                except Passed:
                    continue
            known = {name: value for name, value in values.items() if value is not BROKEN}
            if not all(map(is_constant, templates.values())):  # the others are checked
                values |= dict.fromkeys(report_defaults(self.findings, cls, known), BROKEN)
        return defaults

    def _default(self, cls: type[Element], name: str, template: Template) -> Any:
        """Return the value of a default; raise `Passed` or `Problem` where it has none."""
        env: _Env = self.variables
        if not isinstance(template, Inner):
            return self._as_step(cls, name, evaluate(template, env))
        element = self._inner(template.step, None, env)
        if element is BROKEN:
            raise Passed
        return element

    # Steps.

    def _sequence(self, steps: tuple[Step, ...], x: Node | None, env: _Env) -> Node | None:
        for step in steps:
            x = self._step(step, x, env)
        return x

    def _step(self, step: Step, x: Node | None, env: _Env) -> Node | None:
        by_round = step.reads_by_round
        taken = _Taken((x,)) if by_round else self._inputs(step, x, env)
        inputs, missing = taken.nodes, taken.missing
        rounds = self._rounds(step, inputs[0], env)
        if rounds is None:  # unknown number: one round, so that the steps in it are checked as well
            inputs = (None,) * len(inputs)
            rounds = [dict.fromkeys([*step.loop, "index"], BROKEN)]
            if isinstance(step.name, str):
                self.names.vague.add(self.builder.prefix + step.name)
        if not rounds:
            self._count(step)
            self.names.leave_out(step.name if isinstance(step.name, str) else None)
        own = {**env} if any(rounds) else {}  # one for all rounds: they and variables may be many
        for number, bindings in enumerate(rounds, start=1):
            self._count(step)
            own |= bindings
            inner = own or env
            if by_round:
                taken = self._inputs(step, x, inner)
                inputs, missing = taken.nodes, taken.missing
            when = self._when(step, inputs[0], inner)
            if when is False:
                self.names.leave_out(self._name_left_out(step, number, inputs[0], inner))
                continue
            for problem, place in missing:  # a step that is left out needs no inputs
                if place not in self.failed:
                    self.failed.add(place)
                    self.findings.report(problem, place)
            missing = ()
            if when is None:
                inputs = (None,) * len(inputs)
            name = self._name(step, number, inputs[0], inner)
            start = self.builder.size
            try:
                x = self._once(step, inputs, inner, name)
            except Problem as problem:
                self._report_unfit(step, problem)
                x = None
            except Passed:
                x = None
            self.rounds.append((step.path, start, self.builder.size))
            inputs = taken.after(x)
        return x

    def _once(self, step: Step, inputs: _Inputs, env: _Env, name: str | None) -> Node | None:
        """Carry a step out once."""
        if step.kind in ("layers", "branches") and len(inputs) > 1:
            raise Problem("shape", f"`{step.kind}` takes one input, not {len(inputs)}")
        if step.kind == "layers" and name is None:  # the steps belong to the scope around
            y = self._group(step, inputs[0], env)
            self.names.nameless |= not step.body
            return None if step.broken else y
        owner = self._shared(step, inputs[0], env) if step.kind == "share" else None
        kind = step.kind if step.element or step.kind in GROUPS else "step"
        path = self.builder.claim(kind, name)
        self.names.remember(path, None)
        self.names.unfinished.add(path)
        try:
            return self._named(step, path, owner, inputs, env)
        finally:
            self.names.unfinished.discard(path)

    def _named(
        self, step: Step, path: str, owner: str | None, inputs: _Inputs, env: _Env
    ) -> Node | None:
        """Carry a step out that has a path."""
        begun = self.builder.size, len(self.names.trail)
        if step.kind in ("layers", "branches"):
            carry_out = self._group if step.kind == "layers" else self._branches
            key = id(step), repr([env.get(name) for name in step.read])
            with self.builder.scope(path, step.kind):
                y = self._repeated(key, inputs[0], lambda x: carry_out(step, x, env))
        elif step.kind == "share":
            y = None if step.broken or owner is None else self._share(step, path, owner, inputs)
        elif step.element is None:
            self.names.nameless = True
            return None
        else:
            y = None if step.broken else self._element(step, path, inputs, env)
        y = None if step.broken else y
        self.names.nodes[path] = y and y.index
        self.names.placed[path] = self._placed(inputs, begun)
        return y

    def _repeated(
        self, key: tuple[int, str], x: Node | None, carry_out: Callable[[Node | None], Node | None]
    ) -> Node | None:
        """Return the output of the scope's steps, which are carried out where they are new.

        Args:
            key: All that decides what they become, beside the input and what blocks read.
            x: Their input.
            carry_out: Carries them out.
        """
        if x is None or self.findings.diagnostics or self.assumptions.uncertain((x,)):
            return carry_out(x)
        b, names, scope = self.builder, self.names, self.builder.prefix.removesuffix(SEPARATOR)
        around = b.around_text, *key, x.shape, self.depth
        known = self.plan.carried.get(around)
        if known and self._has_room(known, scope):
            return self._again(known, scope, x)
        start, _, place, _ = begun = b.mark
        first, made, rounds = len(names.trail), len(self.made), len(self.rounds)
        steps, looped = self.carried, self.meter.left
        outermost, names.outermost = names.outermost, UNREAD
        y = carry_out(x)
        added = b.pieces[place:]
        alone = names.outermost > len(scope) and reads_alone(added, start, x)
        names.outermost = min(outermost, names.outermost)
        if y is None or not added or not alone or self.findings.diagnostics:
            return y
        carried = Carried(
            b.added(begun, scope),
            y.index - start if y.index >= start else -1,
            names.inside(scope, first, start),
            _moved(self.made[made:], -start),
            _moved(self.rounds[rounds:], -start),
            self.carried - steps,
            looped - self.meter.left,
        )
        self.plan.carried.keep(around, carried, carried.expansion)
        return y

    def _has_room(self, known: Carried, scope: str) -> bool:
        """Whether what steps became may become once more, by all limits."""
        return (
            self.carried + known.steps <= MOST_STEPS
            and self.meter.left >= known.looped
            and self.builder.has_room(known.expansion, scope)
        )

    def _again(self, known: Carried, scope: str, x: Node) -> Node:
        """Add what steps became once more, in a scope, on an input of the same shape."""
        start = self.builder.size
        self.builder.repeat(known.expansion, scope, x)
        self.names.again(known.inside, scope, start, x.index)
        self.made += _moved(known.made, start)
        self.rounds += _moved(known.rounds, start)
        self.carried += known.steps
        self.meter.left -= known.looped
        return x if known.output < 0 else self.builder.output(start + known.output)

    def _group(self, step: Step, x: Node | None, env: _Env) -> Node | None:
        with self._inside(x):
            env = self._let(step.let, (*step.path, "let"), x, env)
            return self._sequence(step.body, x, env)

    def _branches(self, step: Step, x: Node | None, env: _Env) -> Node | None:
        ends: list[Node | None] = []
        with self._inside(x):
            for name, steps in step.branches:
                self._count(step)
                branch = self.builder.claim("branch", name)
                begun = self.builder.size, len(self.names.trail)
                with self.builder.scope(branch, "branch"):
                    end = self._sequence(steps, x, env)
                self.names.placed[branch] = self._placed((x,), begun)
                self.names.remember(branch, end)
                ends.append(end)
            nodes = [end for end in ends if end is not None]
            if step.merge is None or step.broken or len(nodes) < len(ends):
                return None
            merge = self.builder.fill(step.merge.parse({}))
            return self._place(step, merge, self.builder.claim("merge", merge.kind), tuple(nodes))

    def _shared(self, step: Step, x: Node | None, env: _Env) -> str | None:
        """Return the path of the step that another shares; None if it is broken.

        It is looked up before the step that shares it has a name, which may be the same one.
        """
        name = self._value(step, ("share",), step.shared, x, env)
        try:
            return None if name is BROKEN else self._owner(name)
        except Problem as problem:
            self._report(step, ("share",), problem)
            return None

    def _share(self, step: Step, path: str, owner: str, inputs: _Inputs) -> Node | None:
        """Carry out a step that is an earlier one again, with its weights."""
        nodes = tuple([node for node in inputs if node is not None])
        if len(nodes) < len(inputs) or self.assumptions.uncertain(nodes):
            return None
        self.names.outermost = 0  # what it adds has the path of the other step
        y, placed = self.names.output(owner), self.names.placed[owner]
        start, stop = placed.start, placed.stop
        read = [index for index in placed.inputs if index is not None]
        if y is None:
            return None
        if len(nodes) != len(read):
            inputs_of = "one input" if len(read) == 1 else f"{len(read)} inputs"
            raise Problem("shape", f"`{owner}` has {inputs_of}, not {len(nodes)}")
        self._count(step, placed.last - placed.first)
        begun = self.builder.size
        try:
            new = self.builder.share(path, owner, start, stop, dict(zip(read, nodes, strict=True)))
        except Problem as problem:
            if (owner, problem.message) in self.unshared:
                raise Passed from None
            self.unshared.add((owner, problem.message))
            raise
        self.made.append((step, begun, self.builder.size))
        self.names.copy(owner, path, begun - start, new)
        return new.get(y.index, y)

    def _owner(self, name: Any) -> str | None:
        """Return the path of a step that may be shared; None if it is broken."""
        if not isinstance(name, str):
            message = f"`share` must be the name of an earlier step, not {show(name)}"
            raise Problem("type", message)
        path = None if name == "input" else self.names.path(name)
        if path is not None and self.builder.prefix.startswith(path + SEPARATOR):
            help_ = "`repeat` applies a group several times"
            message = f"`{name}` is the group in which this step is: it cannot contain itself"
            raise Problem("circular", message, help=help_)
        placed = self.names.placed.get(path or "")
        known = path is not None and self.names.nodes[path] is not None
        if name == "input" or (known and placed is None):
            help_ = "a step that has weights can be shared"
            raise Problem("value", f"`{name}` is an input: it has no weights", help=help_)
        if path is None or placed is None or self.names.nodes[path] is None:
            return None
        if self.builder.assumes(placed.start, placed.stop):
            return None
        if not self.builder.learns(placed.start, placed.stop):
            help_ = "write the step once more: it is the same at every place"
            raise Problem("value", f"`{name}` has no weights to share", help=help_)
        return path

    def _placed(self, inputs: _Inputs, begun: tuple[int, int]) -> Placed:
        """Return what a step read and became, from what there was when it began."""
        read = tuple([node and node.index for node in inputs])
        return Placed(read, begun[0], self.builder.size, begun[1], len(self.names.trail))

    def _element(self, step: Step, path: str, inputs: _Inputs, env: _Env) -> Node | None:
        element = step.constant or self._parse(step, inputs[0], env)
        if isinstance(element, Merge):
            if len(inputs) < 2:
                if step.sources and step.sources_key == step.kind:
                    raise short_list(step.kind)
                help_ = f"as `{step.kind}: name` or `{step.kind}: [a, b]`"
                raise Problem("shape", f"`{step.kind}` needs at least two inputs", help=help_)
        elif len(inputs) > element.most_inputs:
            most = (
                "one input" if element.most_inputs == 1 else f"at most {element.most_inputs} inputs"
            )
            join = "join them first, as `concat: [a, b]` or `add: [a, b]`"
            hint = join if element.most_inputs == 1 else None
            raise Problem("shape", f"`{step.kind}` takes {most}, not {len(inputs)}", help=hint)
        if isinstance(element, SpecBlock):
            return self._spec_block(element, path, inputs)
        nodes = tuple(node for node in inputs if node is not None)
        if len(nodes) < len(inputs):
            return None
        if not isinstance(element, (Op, Block)):
            raise TypeError(f"{step.kind} is neither an op nor a block")
        start = self.builder.size
        y = self._place(step, element, path, nodes)
        self.made.append((step, start, self.builder.size))
        return y

    def _place(
        self, step: Step, element: Element, path: str, nodes: tuple[Node, ...]
    ) -> Node | None:
        """Return the node of an element; where it does not fit, report it and assume a node."""
        if self.assumptions.uncertain(nodes):
            y, problem = self.assumptions.after(element, path, nodes)
            if problem:
                self._report_unfit(step, problem)
            return y
        try:
            return self.builder.place(element, path, nodes)
        except Problem as problem:
            if problem.code != "shape":
                raise
            if step.element is type(element) and "input" in (step.sources or ()):
                problem.note = self._input_meant()
            self._report_unfit(step, problem)
            return self.assumptions.failed(element, path, nodes)

    def _input_meant(self) -> str | None:
        """Return a note that says what `input` is, which changes with every group."""
        if self.depth == 0 or self.names.enclosing is None:
            return None
        shape = self.names.enclosing.shape
        return f"`input` is {shape} here: the input of the innermost group, loop or block"

    def _report_unfit(self, step: Step, problem: Problem) -> None:
        if step.path not in self.failed:  # the rounds of a loop fail alike
            self.failed.add(step.path)
            self.findings.report(problem, (*step.path, step.kind), key=True)
        if self.builder.full:
            raise self.findings.error() from None

    def _spec_block(self, element: SpecBlock, path: str, inputs: _Inputs) -> Node | None:
        with self.builder.scope(path, element.kind, element=element):
            if len(inputs) > 1:
                return self._body(element, path, inputs)
            key = 0, repr(element)
            return self._repeated(key, inputs[0], lambda x: self._body(element, path, (x,)))

    def _body(self, element: SpecBlock, path: str, inputs: _Inputs) -> Node | None:
        names = element.input_names
        if names and len(inputs) != len(names):
            given = f"here {'is' if len(inputs) == 1 else 'are'} {len(inputs)}"
            message = f"`{element.kind}` has {len(names)} inputs, {listed(names)}; {given}"
            by_name = ", ".join(f"{name}: ..." for name in names)
            help_ = f"`from: {{{by_name}}}`; one that is left out is the step before"
            raise Problem("shape", message, help=help_)
        x = inputs[0]
        arguments = {name: getattr(element, name) for name in type(element).model_fields}
        env: _Env = {**self.variables, **element.lost, **arguments}
        floor, self.names.floor = self.names.floor, path
        try:
            with self._inside(x):
                for name, node in zip(names, inputs, strict=bool(names)):
                    self.names.remember(self.builder.claim("input", name), node)
                self.carried += sum(map(size, element.let.values())) // 16
                env = self._let(element.let, ("blocks", element.kind, "let"), x, env)
                return self._sequence(element.body, x, env)
        finally:
            self.names.floor = floor

    def _carry_out(self, element: SpecBlock, b: Builder, x: Node) -> Node:
        """Return the output of a spec's block that stands inside an archspec's block, as a gate.

        Its steps are known in it alone. Where `b` only tries the block, no mistake is reported.
        """
        with self._apart(b):
            before = len(self.findings.diagnostics)
            y = self._body(element, b.prefix.removesuffix(SEPARATOR), (x,))
            diagnostics = self.findings.diagnostics[before:]
        if diagnostics and b is not self.builder:
            raise Problem("shape", diagnostics[0].message, help=diagnostics[0].help)
        if y is None or diagnostics:
            raise Passed
        return y

    @contextmanager
    def _apart(self, b: Builder) -> Iterator[None]:
        """Add steps to `b`, which may be a trial, while they are known to each other alone."""
        ours = self.builder, self.assumptions, self.findings, self.made, self.rounds
        if b is not self.builder:
            self.builder, self.assumptions, self.made = b, Assumptions(b), []
            self.findings = Findings(self.spec.source)
        self.rounds = []
        self.depth += GATE_DEPTH
        try:
            with self.names.apart(b):
                yield
        finally:
            self.builder, self.assumptions, self.findings, self.made, self.rounds = ours
            self.depth -= GATE_DEPTH

    def _let(self, let: Mapping[str, Template], path: KeyPath, x: Node | None, env: _Env) -> _Env:
        """Return the variables of a group or a block, with those that its `let` computes."""
        if not let:
            return env
        inner = dict(env)
        for name, template in let.items():
            try:
                inner[name] = self._evaluated(template, x, inner)
            except Passed:
                inner[name] = BROKEN
            except Problem as problem:
                inner[name] = BROKEN
                self._report_at((*path, name), problem)
        return inner

    @contextmanager
    def _inside(self, x: Node | None) -> Iterator[None]:
        """Make `input` mean the input of a group or a block while its steps are carried out."""
        if self.depth >= DEEPEST:
            raise Problem("limit", f"steps are nested more than {DEEPEST} deep, blocks included")
        outer, self.names.enclosing = self.names.enclosing, x
        self.depth += 1
        try:
            yield
        finally:
            self.names.enclosing = outer
            self.depth -= 1

    # What a step refers to.

    def _inputs(self, step: Step, x: Node | None, env: _Env) -> _Taken:
        """Return the inputs of a step, and the problems of those that do not exist."""
        if step.sources == ():
            return _Taken((x,))
        previous = 0 if step.with_previous else None
        inputs: list[Node | None] = [x] if step.with_previous else []
        missing: list[tuple[Problem, KeyPath]] = []
        unknown = step.sources is None
        for i, source in enumerate(step.sources or ()):
            by_name = step.given_inputs[i] if step.given_inputs else i
            place = (*step.path, step.sources_key, by_name)
            if source is None:
                previous = i
                inputs.append(x)
                continue
            try:
                names, is_one = self._names_given(step, source, x, env)
                if step.given_inputs and len(names) > 1:
                    message = f"`{by_name}` is one input, and here are {len(names)}"
                    raise Problem("value", message)  # noqa: TRY301
            except Problem as problem:
                missing.append((problem, place))
                unknown = True
                continue
            except Passed:
                unknown = True
                continue
            if step.with_previous is None and is_one:
                previous = 0
                inputs.append(x)
            for name in names:
                try:
                    inputs.append(self.names.lookup(name))
                except Problem as problem:
                    if names != (source,):  # no text to mend stands there
                        problem.help = None if problem.help is None else str(problem.help)
                    missing.append((problem, place))
                    inputs.append(None)
        if unknown:  # of how many, too: as many as the step needs
            return _Taken((None,) * step.fewest_inputs, missing)
        return _Taken(tuple(inputs), missing, previous)

    def _names_given(
        self, step: Step, source: Template, x: Node | None, env: _Env
    ) -> tuple[tuple[str, ...], bool]:
        """Return the names that one source of a step gives, and whether it computed a single one.

        Raises:
            Problem: It gives no names.
            Passed: It depends on a mistake.
        """
        if isinstance(source, str):
            return (source,), False
        value = self._evaluated(source, x, env)
        names = _names(value, step.sources_key)
        self.carried += len(names) // 16
        return names, isinstance(value, str)

    def _rounds(self, step: Step, x: Node | None, env: _Env) -> list[dict[str, Any]] | None:
        """Return the variables of every round, none in the one of a plain step; None if unknown."""
        if step.loop:
            lists = {
                name: self._value(step, ("for", name), template, x, env)
                for name, template in step.loop.items()
            }
            for name, values in lists.items():
                if not isinstance(values, (tuple, type(BROKEN))):
                    message = f"`{name}` must be a list here, not {show(values)}"
                    self._report(step, ("for", name), Problem("type", message))
            if not all(isinstance(values, tuple) for values in lists.values()):
                return None
            lengths = {name: len(values) for name, values in lists.items()}
            if len(set(lengths.values())) > 1:
                by_name = ", ".join(f"`{name}` has {n}" for name, n in lengths.items())
                problem = Problem("value", f"lists of unequal length: {by_name}")
                self._report(step, ("for",), problem)
                return None
            return [
                dict(zip(lists, values, strict=True), index=index)
                for index, values in enumerate(zip(*lists.values(), strict=True))
            ]
        if step.repeat is None:
            return [{}]
        times = whole(self._value(step, ("repeat",), step.repeat, x, env))
        if times is BROKEN:
            return None
        if not is_count(times):
            message = f"`repeat` must be a whole number from 0, not {show(times)}"
            self._report(step, ("repeat",), Problem("value", message))
            return None
        if times > MOST_REPEATS:
            message = f"`repeat` of {times:,} is more than {MOST_REPEATS:,}"
            self._report(step, ("repeat",), Problem("limit", message))
            return None
        return [{"index": index} for index in range(times)]

    def _when(self, step: Step, x: Node | None, env: _Env) -> bool | None:
        """Return whether to carry a step out; None if that is unknown."""
        if step.when is True:
            return True
        value = self._value(step, ("when",), step.when, x, env)
        if isinstance(value, bool):
            return value
        if value is not BROKEN:
            message = f"`when` must be true or false, not {show(value)}"
            self._report(step, ("when",), Problem("type", message, help="as `when: =n > 1`"))
        return None

    def _name_left_out(self, step: Step, number: int, x: Node | None, env: _Env) -> str | None:
        """Return the name that a step which is left out would have; None if that is unknown."""
        if step.name is None or isinstance(step.name, str):
            return step.numbered(number)
        try:
            value = self._evaluated(step.name, x, env)
        except (Problem, Passed):
            return None
        return value if isinstance(value, str) else None

    def _name(self, step: Step, number: int, x: Node | None, env: _Env) -> str | None:
        if step.name is None or isinstance(step.name, str):
            return step.numbered(number)
        value = self._value(step, ("name",), step.name, x, env)
        problem = None if value is BROKEN else name_problem(value, "a step")
        if problem:
            self._report(step, ("name",), problem)
        if problem or value is BROKEN:
            self.names.nameless = True
            return None
        return str(value)

    # Values.

    def _parse(self, step: Step, x: Node | None, env: _Env) -> Element:
        """Return the element of a step some of whose arguments are expressions."""
        if step.element is None:
            raise Passed
        given = {}
        for name in step.given:
            template = step.arguments[name]
            if is_constant(template):
                given[name] = template
            else:
                given[name] = self._value(step, (step.kind, name), template, x, env)
        key = (id(step), repr(given))
        element = self.chosen.get(key)
        if element is None:
            element = self.chosen[key] = self._element_of(step, step.element, given)
        return element

    def _element_of(self, step: Step, cls: type[Element], given: Mapping[str, Any]) -> Element:
        """Return the element of a step with these values of its arguments."""
        values = dict(self.defaults.get(cls, {}))
        for name, value in given.items():
            try:
                values[name] = self._as_step(cls, name, value)
            except Problem as problem:
                self._report(step, (step.kind, name), problem)
                raise Passed from None
        try:
            values = self._with_computed(cls, values)
        except Problem as problem:
            self._report(step, (step.kind,), problem)
            raise Passed from None
        if BROKEN in values.values():
            raise Passed
        key = (cls, repr(values))
        element = self.plan.parsed.get(key)
        if element is None:
            try:
                element = self.plan.parsed[key] = cls.parse(values)
            except ArgumentProblems as problems:
                report_arguments(self.findings, step, problems.problems)
                raise Passed from None
        return element

    def _inner(self, step: Step, x: Node | None, env: _Env) -> Any:
        """Return the element of a step that is an argument; None if it is left out, or BROKEN.

        `in` is the input of the step whose argument it is.
        """
        when = self._when(step, x, env)
        if when is None:
            return BROKEN
        try:
            return (step.constant or self._parse(step, x, env)) if when else None
        except Passed:
            return BROKEN

    def _as_step(self, cls: type[Element], name: str, value: Any) -> Any:
        """Return the value of an argument; for a computed word where a step is needed, the step."""
        if not isinstance(value, str) or name not in step_arguments(cls):
            return value
        kind = self.plan.blocks.get(value) or catalog.get(value)
        if kind is None:
            raise catalog.unknown_kind(value, tuple(self.plan.blocks))
        if issubclass(kind, Merge):
            raise Problem("type", f"`{name}` has one input, and `{value}` needs more")
        try:
            return kind.parse(self._with_computed(kind, self.defaults.get(kind, {})))
        except ArgumentProblems as problems:
            raise next(iter(problems.problems.values())) from None

    def _with_computed(self, cls: type[Element], values: Mapping[str, Any]) -> dict[str, Any]:
        """Return arguments, and the defaults that a spec's block computes from them.

        Raises:
            Problem: If one cannot be computed.
        """
        known = dict(values)
        if not issubclass(cls, SpecBlock) or not cls.computed:
            return known
        others = {
            name: BROKEN if field.is_required() else field.get_default()
            for name, field in cls.model_fields.items()
            if name not in cls.computed
        }
        env = ChainMap(known, others, dict(cls.lost), self.variables)
        for name, template in cls.computed.items():
            if name in values:
                continue
            try:
                known[name] = whole(evaluate(template, env, None, self.meter))
            except Passed:
                known[name] = BROKEN
            except Problem as problem:
                problem.message = f"the default of `{name}` of `{cls.kind}`: {problem.message}"
                raise
        return known

    def _value(
        self, step: Step, where: KeyPath, template: Template, x: Node | None, env: _Env
    ) -> Any:
        """Return the value of what stands at `where` in a step; BROKEN if that is unknown."""
        if isinstance(template, Inner):
            return self._inner(template.step, x, env)
        try:
            return self._evaluated(template, x, env)
        except Problem as problem:
            self._report(step, where, problem)
        except Passed:
            pass
        return BROKEN

    def _evaluated(self, template: Template, x: Node | None, env: _Env) -> Any:
        """Return the value of a template for a step on `x`.

        Raises:
            Problem: If it has none.
            Passed: If it depends on a mistake.
        """
        if template is BROKEN:
            raise Passed
        if is_constant(template):
            return template
        if isinstance(template, Expression) and not template.shaped:
            return evaluate(template, env, None, self.meter)
        uncertain = False

        def shapes(name: str) -> Mapping[str, int]:
            nonlocal uncertain
            node = x if name == "in" else self.names.lookup(name)
            if node is None:
                raise Passed
            extents = _described(node.shape)
            if self.assumptions.uncertain((node,)):
                uncertain = True
                others = _described(self.assumptions.other(node))
                extents = dict(extents.items() & others.items())
            return extents

        try:
            return evaluate(template, env, shapes, self.meter)
        except Problem:
            if uncertain:
                raise Passed from None
            raise

    # Problems.

    def _count(self, step: Step, more: int = 0) -> None:
        self.carried += step.weight + more
        if self.carried > MOST_STEPS:
            if not self.findings.diagnostics:  # it may be their consequence
                problem = Problem("limit", f"the spec asks for more than {MOST_STEPS:,} steps")
                self.findings.report(problem, (*step.path, step.kind), key=True)
            raise self.findings.error()

    def _report(self, step: Step, where: KeyPath, problem: Problem) -> None:
        self._report_at((*step.path, *where), problem)

    def _report_at(self, path: KeyPath, problem: Problem) -> None:
        self.findings.report(problem, path)
        if self.meter.left < 0:
            raise self.findings.error()


def _moved(spans: Sequence[tuple[_Key, int, int]], by: int) -> tuple[tuple[_Key, int, int], ...]:
    """Return spans of nodes, each moved by a number of nodes."""
    return tuple([(key, start + by, stop + by) for key, start, stop in spans])


def _names(value: Any, key: str) -> tuple[str, ...]:
    """Return the names of steps that an expression gives; raise `Problem` if it gives no names."""
    names = value if isinstance(value, tuple) else (value,)
    if names and all(isinstance(name, str) for name in names):
        return names
    message = f"`{key}` needs names of steps, not {show(value)}"
    raise Problem("type", message, help='as `="stage" + str(n)`, or a list of such names')


class _Described(dict[str, int]):
    """Values that an expression may ask of a tensor: an error for an extent that is open."""

    def __getitem__(self, name: str) -> int:
        value = super().__getitem__(name)
        if not isinstance(value, int):
            message = f"`{name}` is {value} here: it depends on the input's size, which is open"
            raise Problem("expression", message, help=needs_size())
        return value


@lru_cache(maxsize=1_024)
def _described(shape: Shape) -> Mapping[str, int]:
    """Return what an expression may ask of its step's input, as `in.channels`."""
    described = _Described(channels=shape.channels, rank=shape.rank)
    described.update(zip(AXES.get(shape.rank, ()), shape.spatial, strict=True))
    return described
