"""Spec -> plan: every step checked for what can be known before shapes are, and compiled.

The expander walks the plan. Because all steps are checked first, also those in branches that are
not taken, one run reports every mistake.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from archspec.compile import catalog
from archspec.compile.step import (
    GROUPS,
    MODIFIERS,
    Plan,
    SpecBlock,
    Step,
    inline,
    is_bool,
    is_count,
    meant,
    misplaced,
    names_in_blocks,
    no_single_value,
    not_a_list,
    relative_meant,
    report_arguments,
    report_defaults,
    short_list,
)
from archspec.element import (
    Element,
    choice_arguments,
    is_choice,
    show,
    step_arguments,
    unknown_argument,
    whole,
)
from archspec.errors import KeyPath, Mend, Problem, did_you_mean, listed, nearest, suggestion
from archspec.graph.builder import Kept
from archspec.ops.functions import NAMES
from archspec.ops.merge import Merge
from archspec.spec.document import NAME, Head, Mapped, Spec, name_problem
from archspec.spec.expressions import is_expression
from archspec.spec.findings import Findings
from archspec.spec.operations import has_arguments
from archspec.spec.template import (
    BROKEN,
    Inner,
    Known,
    Template,
    compile_template,
    expression_meant,
    is_constant,
    names_written,
)
from archspec.vocabulary import key_hint, value_meant

MOST_KEPT = 20_000
"""Number of pieces of former networks of a plan from which on they are forgotten."""

MOST_PLANS = 8
"""Number of plans of texts from which on they are forgotten, all together."""

MOST_BLOCKS = 1_000
"""Largest number of blocks that a spec may define: each becomes a class."""

NOTHING = Known()
"""No variables."""

_AS_INNER = "as `squeeze_excitation`, or a kind with its arguments, as `{kind: {name: value}}`"

_BESIDE = {*GROUPS["layers"], *GROUPS["branches"]}
"""Keys that may stand beside the one that gives the kind of a step."""


def compile_plan(spec: Spec, findings: Findings) -> Plan:
    """Compile all of a spec. What is wrong is reported, and the steps concerned are `broken`.

    A plan without mistakes is kept: variants and variables do not change it, and a text may be
    read again.
    """
    source = spec.source
    plan: Plan | None = source.kept.get("plan") or PLANS.get((source.name, source.lines))
    if plan is None:
        before = len(findings.diagnostics)
        plan = _Planner(spec, findings).plan()
        if len(findings.diagnostics) > before or spec.lost:
            return plan
        if len(PLANS) >= MOST_PLANS:
            PLANS.clear()
        PLANS[source.name, source.lines] = plan
    source.kept["plan"] = plan
    return plan


PLANS: dict[tuple[str, tuple[str, ...]], Plan] = {}
"""Plans of texts that may be read again, by their names and lines."""


class _Planner:
    def __init__(self, spec: Spec, findings: Findings) -> None:
        self.document = spec.document
        self.lost = spec.lost
        self.findings = findings
        self.report = findings.report
        self.variables = Known(spec.document.vars)
        self.names: set[str] = set()
        self.blocks: dict[str, type[SpecBlock]] = {}
        self.defaults: dict[type[Element], dict[str, Template]] = {}
        self.taken: set[str] = set()
        """Blocks of the spec that no step can use: their name, or one of their inputs, is wrong."""
        self.uses: dict[str, dict[str, KeyPath]] = {}
        """Blocks that each block of the spec uses, and where."""
        self.inside: str | None = None

    def plan(self) -> Plan:
        if len(self.document.blocks) > MOST_BLOCKS:
            message = f"{len(self.document.blocks):,} blocks are more than {MOST_BLOCKS:,}"
            self.report(Problem("limit", message), ("blocks",), key=True)
            raise self.findings.error()
        if self.document.blocks:
            self._declare_blocks()
        self._compile_defaults(self.document.defaults)
        for name, definition in self.document.blocks.items():
            self.inside = name
            known = self.variables.inside(definition.args)
            let = self._let(definition.let, ("blocks", name, "let"), known)
            self.blocks[name].let = let
            known = known.inside(let)
            self.blocks[name].body = self._steps(
                definition.layers, ("blocks", name, "layers"), known
            )
        self.inside = None
        layers = self._steps(self.document.layers, ("layers",), self.variables)
        heads = {name: self._head(name, head) for name, head in self.document.heads.items()}
        if self._report_circles():
            layers, heads = (), {}
        read = frozenset(names_in_blocks(self.blocks.values()) & self.document.vars.keys())
        return Plan(
            layers,
            heads,
            self.defaults,
            self.blocks,
            frozenset(self.names),
            {},
            read,
            Kept(MOST_KEPT),
        )

    # Blocks of the spec's own, and heads.

    def _declare_blocks(self) -> None:
        from archspec.compile.definition import declare  # noqa: PLC0415  (many specs have none)

        for name, definition in self.document.blocks.items():
            if not self._is_free(name):
                self.taken.add(name)
            block = declare(name, definition, self.document.vars, self.findings)
            self.blocks[name] = block
            self.names.update(block.input_names)
            if len(block.input_names) < len(definition.inputs):
                self.taken.add(name)

    def _is_free(self, name: str) -> bool:
        """Return whether a block may have this name; report it if not."""
        problem = None
        if name in _BESIDE or name in GROUPS:
            problem = Problem("value", f"`{name}` is a reserved word; choose another name")
        elif catalog.get(name):
            message = f"archspec already has a kind `{name}`"
            problem = Problem("duplicate", message, help="choose another name")
        if problem:
            self.report(problem, ("blocks", name), key=True)
        return problem is None

    def _report_circles(self) -> bool:
        """Report blocks that contain themselves; return whether there are any."""
        done: set[str] = set()
        circular = False
        for first in self.uses:
            trail = {first: iter(self.uses[first].items())}
            while trail:
                name = next(reversed(trail))
                used, path = next(trail[name], ("", ()))
                if not used:
                    done.add(name)
                    del trail[name]
                elif used in trail:
                    names = list(trail)
                    circle = " -> ".join([*names[names.index(used) :], used])
                    problem = Problem("circular", f"blocks that contain themselves: {circle}")
                    self.report(problem, path, key=True)
                    circular = True
                elif used not in done:
                    trail[used] = iter(self.uses.get(used, {}).items())
        return circular

    def _head(self, name: str, head: Head) -> Step:
        path: KeyPath = ("heads", name)
        self.names.add(name)
        return Step(
            path,
            "layers",
            name,
            sources=self._sources(head.source, (*path, "from"), self.variables),
            when=self._when(head.when, (*path, "when"), self.variables),
            body=self._steps(head.layers, (*path, "layers"), self.variables),
        ).finished()

    # Steps.

    def _steps(self, data: Any, path: KeyPath, known: Known) -> tuple[Step, ...]:
        if isinstance(data, list):
            return tuple(self._step(item, (*path, i), known) for i, item in enumerate(data))
        self.report(not_a_list(path[-1], data), path)
        return ()

    def _step(self, data: Any, path: KeyPath, known: Known) -> Step:
        before = len(self.findings.diagnostics)
        if isinstance(data, str):
            data = {data: None}
        if not isinstance(data, dict) or not data:
            help_ = "a step is `- kind: arguments`, or `- kind` alone"
            if isinstance(data, list) and len(data) == 2 and self._find(str(data[0])):
                help_ = did_you_mean(f"{data[0]}: {inline(data[1])}")
            self.report(Problem("type", f"this is not a step: {show(data)}", help=help_), path)
            return Step(path, "", broken=True)
        kind = self._kind(data, path)
        if kind is None:
            return Step(path, "", name=self._name(data.get("name"), (*path, "name")), broken=True)
        step = self._modifiers(kind, data, path, known)
        if step.looping or "for" in data:
            known = known.inside({*step.loop, "index"})
        if "" in step.loop:  # who knows which variables there would be
            return step._replace(broken=True)
        # A group with a broken step inside is not broken itself: the step passes that on.
        if kind == "layers":
            let = self._let(data.get("let", {}), (*path, "let"), known)
            step, known = step._replace(let=let), known.inside(let)
            broken = len(self.findings.diagnostics) > before
            body = self._steps(data[kind], (*path, kind), known)
            if data[kind] == []:
                help_ = "`activation: linear` passes its input on, for a step that is only a name"
                self.report(Problem("value", "`layers` is empty", help=help_), (*path, kind))
            step = step._replace(body=body, broken=broken or not body)
        elif kind == "branches":
            step = self._branches(step, data, path, known)
        elif kind == "share":
            step = self._share(step, data[kind], (*path, kind), known)
            step = step._replace(broken=step.broken or len(self.findings.diagnostics) > before)
        else:
            astray = any(self._is_argument(kind, key) for key in data.keys() - {kind})
            step = self._element(step, data[kind], path, known, astray=astray)
            step = step._replace(broken=step.broken or len(self.findings.diagnostics) > before)
        return step.finished()

    def _kind(self, data: Mapping[str, Any], path: KeyPath) -> str | None:
        """Return the one key that gives the step's kind; report every other that is not allowed."""
        group = next((word for word in GROUPS if word in data), None)
        allowed = GROUPS.get(group or "", MODIFIERS)
        others = [key for key in data if key != group and key not in allowed]
        if group is not None:
            for key in others:
                hint = key_hint(key, allowed, what=f"allowed beside `{group}`")
                problem = Problem(
                    "unknown-key", f"`{key}` is not allowed beside `{group}`", help=hint
                )
                self.report(problem, (*path, key), key=True)
            return group
        possible = [key for key in others if key not in _BESIDE]
        kinds = [key for key in possible if key in self.blocks or catalog.get(key)]
        if not possible:
            help_ = "add the kind, as `conv: 64`, or `layers: [...]`"
            if word := next((key for key in others if key in ("for", "let")), None):
                help_ = f"`{word}` goes with `layers: [...]`, the steps that use its names"
            self.report(Problem("missing", "this step has no kind", help=help_), path)
            return None
        kind = kinds[0] if kinds else possible[0]
        if not kinds and isinstance(data[kind], str) and self._find(data[kind]):
            others = [kind]  # as `type: conv`: what stands beside it are arguments
        for key in others:
            if key == kind:
                continue
            message, hint = f"`{key}` is not allowed beside a kind", ""
            if key in kinds and not self._is_argument(kind, key):
                message = f"a step has one kind, this one has `{kind}` and `{key}`"
                hint = f"begin a new step: `- {key}: ...`"
            elif key in ("for", "let"):
                hint = f"`{key}` goes with `layers: [...]`"
            hint = hint or misplaced(self._find(kind), data, key)
            self.report(Problem("unknown-key", message, help=hint), (*path, key), key=True)
        return kind

    def _find(self, kind: str) -> type[Element] | None:
        return self.blocks.get(kind) or catalog.get(kind)

    def _is_argument(self, kind: str, key: str) -> bool:
        cls = self._find(kind)
        return cls is not None and key in cls.model_fields

    # Modifiers.

    def _modifiers(self, kind: str, data: Mapping[str, Any], path: KeyPath, known: Known) -> Step:
        loop: dict[str, Template] = {}
        if "for" in data:
            loop = self._loop(data["for"], (*path, "for"), known)
            if "repeat" in data:
                problem = Problem("unknown-key", "`for` and `repeat` cannot be used together")
                self.report(problem, (*path, "repeat"), key=True)
        repeat = whole(data.get("repeat"))
        if repeat is None or is_count(repeat) or is_expression(repeat):
            repeat = self._template(repeat, (*path, "repeat"), known)
        else:
            message = f"`repeat` must be a whole number from 0, not {show(repeat)}"
            help_ = expression_meant(repeat, known) or meant(repeat, is_count)
            self.report(Problem("type", message, help=help_), (*path, "repeat"))
            repeat = BROKEN
        if loop or repeat is not None:
            known = known.inside({*loop, "index"})
        block, given = self.blocks.get(kind), data.get("from")
        if block and block.input_names and (given is None or isinstance(given, dict)):
            sources = self._inputs_by_name(block, given or {}, (*path, "from"), known)
        else:
            sources = self._sources(given, (*path, "from"), known)
        return Step(
            path,
            kind,
            name=self._name(data.get("name"), (*path, "name"), known),
            sources=sources,
            given_inputs=block.input_names if block and isinstance(given, dict) else (),
            repeat=repeat,
            loop=loop,
            when=self._when(data.get("when", True), (*path, "when"), known),
        )

    def _name(self, name: Any, path: KeyPath, known: Known = NOTHING) -> Template:
        if name is None:
            return None
        if is_expression(name):
            return self._template(name, path, known)
        problem = name_problem(name, "a step")
        if problem:
            self.report(problem, path)
            return BROKEN
        self.names.add(name)
        return name

    def _when(self, when: Any, path: KeyPath, known: Known, *, shaped: bool = True) -> Template:
        if isinstance(when, bool) or is_expression(when):
            return compile_template(when, path, known, self.findings, shaped=shaped)
        message = f"`when` must be true, false or an expression, not {show(when)}"
        help_ = expression_meant(when, known) or meant(when, is_bool) or "as `when: =wide`"
        self.report(Problem("type", message, help=help_), path)
        return BROKEN

    def _sources(self, data: Any, path: KeyPath, known: Known) -> tuple[Template, ...] | None:
        """Return the names that `from` or a merge gives, some of them computed."""
        if data is None:
            return ()
        names = [data] if isinstance(data, str) else data
        if not isinstance(names, list) or not all(isinstance(n, str) for n in names) or not names:
            message = f"`{path[-1]}` must be a name or a list of names, not {show(data)}"
            help_ = relative_meant(data)
            if isinstance(data, dict):
                help_ = "only a block whose definition has `inputs` takes them by name"
            self.report(Problem("type", message, help=help_), path)
            return None
        places = [(*path, i) for i in range(len(names))] if names is data else [path]
        sources = tuple(self._source(*each, known) for each in zip(names, places, strict=True))
        return None if BROKEN in sources else sources

    def _inputs_by_name(
        self, block: type[SpecBlock], given: Mapping[str, Any], path: KeyPath, known: Known
    ) -> tuple[Template, ...] | None:
        """Return the sources of a block's inputs, in their order; one may be the step before."""
        names = block.input_names
        before = len(self.findings.diagnostics)
        for name in given:
            if name not in names:
                problem = Problem("unknown-key", f"`{block.kind}` has no input `{name}`")
                problem.help = suggestion(str(name), names, what="inputs")
                self.report(problem, (*path, name), key=True)
        left = [name for name in names if name not in given]
        if len(left) > 1 and len(self.findings.diagnostics) == before:
            example = ", ".join(f"{name}: ..." for name in names)
            message = f"`{block.kind}` has {len(names)} inputs; {listed(left)} are not given"
            help_ = f"`from: {{{example}}}`; one that is left out is the step before"
            self.report(Problem("missing", message, help=help_), path if given else path[:-1])
        sources: list[Template] = []
        for name in names:
            source = given.get(name)
            if isinstance(source, str):
                source = self._source(source, (*path, name), known)
            elif name in given:
                message = f"`{name}` must be the name of a step, not {show(source)}"
                self.report(Problem("type", message), (*path, name))
            sources.append(source)
        broken = BROKEN in sources or len(self.findings.diagnostics) > before
        return None if broken else tuple(sources)

    def _source(self, name: str, path: KeyPath, known: Known) -> Template:
        """Return the template of a name; a text in quotes, or a variable, may be computed."""
        plain = name.removeprefix("=").strip()
        if is_expression(name) and NAME.fullmatch(plain) and plain not in known:
            near = nearest(plain, known)
            help_ = (
                did_you_mean(f"={near}")
                if near
                else Mend(f"a name is written without `=`: `{plain}`", plain)
            )
            self.report(Problem("unknown-name", f"`{plain}` is not a variable", help=help_), path)
            return BROKEN
        return self._template(name, path, known)

    def _loop(self, data: Any, path: KeyPath, known: Known) -> dict[str, Template]:
        if not isinstance(data, dict) or not data:
            help_ = "as `for: {filters: [64, 128], n: [1, 2]}`"
            message = f"`for` must map names to lists, not {show(data)}"
            self.report(Problem("type", message, help=help_), path)
            return {"": BROKEN}
        loop: dict[str, Template] = {}
        for name, values in data.items():
            loop[name] = BROKEN
            problem = name_problem(name, "a loop's variable", variable=True)
            if problem:
                self.report(problem, (*path, name), key=True)
            elif not (isinstance(values, list) or is_expression(values)):
                message = f"`{name}` must be a list here, not {show(values)}"
                counted = f"=range({values})"
                counts = Mend(f"`{name}: {counted}` counts from 0", counted)
                hint = counts if is_count(values) else expression_meant(values, known)
                self.report(Problem("type", message, help=hint), (*path, name))
            else:
                loop[name] = self._template(values, (*path, name), known)
        return loop

    def _let(self, data: Any, path: KeyPath, known: Known) -> dict[str, Template]:
        """Return the variables of a group or a block; each may use those before it."""
        if not isinstance(data, dict):
            help_ = "as `let: {width: =in.channels}`"
            message = f"`let` must map names to values, not {show(data)}"
            self.report(Problem("type", message, help=help_), path)
            return {}
        let: dict[str, Template] = {}
        inner = known.inside(let)  # which sees what is added
        for name, value in data.items():
            problem = name_problem(name, "a variable", variable=True)
            if problem:
                self.report(problem, (*path, name), key=True)
                continue
            later = [each for each in names_written(value) if each in data and each not in let]
            later = [each for each in later if each not in known]
            if later:
                message = f"`{later[0]}` has no value yet"
                help_ = "a value may use those before it in the same `let`"
                code = "circular" if later[0] == name else "unknown-name"
                self.report(Problem(code, message, help=help_), (*path, name))
                let[name] = BROKEN
                continue
            let[name] = self._template(value, (*path, name), inner)
        return let

    # Branches.

    def _branches(self, step: Step, data: Mapping[str, Any], path: KeyPath, known: Known) -> Step:
        written = data["branches"]
        where = (*path, "branches")
        named: dict[Any, Any] = {}
        if isinstance(written, list):
            named = {f"branch{i + 1}": steps for i, steps in enumerate(written)}
        elif isinstance(written, dict):
            named = written
        else:
            message = f"`branches` must be a list of lists of steps, not {show(written)}"
            self.report(Problem("type", message), where)
            step = step._replace(broken=True)
        if isinstance(written, (list, dict)) and len(named) < 2:
            help_ = "[] is the identity branch"
            problem = Problem("value", "`branches` needs at least two branches", help=help_)
            self.report(problem, where)
            step = step._replace(broken=True)
        branches = []
        for i, (name, steps) in enumerate(named.items()):
            key = name if isinstance(written, dict) else i
            unfit = name_problem(name, "a branch")
            if unfit:
                self.report(unfit, (*where, key), key=True)
            self.names.add(name)
            before = len(self.findings.diagnostics)
            body = self._steps(steps, (*where, key), known)
            if not isinstance(steps, list) and len(self.findings.diagnostics) > before:
                step = step._replace(broken=True)
            branches.append((name, body))
        return step._replace(branches=tuple(branches), merge=self._merge(data, path))

    def _share(self, step: Step, name: Any, path: KeyPath, known: Known) -> Step:
        """Return a step that shares the weights of the one with a name."""
        if isinstance(name, str):
            return step._replace(shared=self._source(name, path, known))
        help_ = "as `share: tower`"
        if isinstance(name, dict) and len(name) == 1:
            help_ = "name the step first, then share it: `share: NAME`"
        message = f"`share` must be the name of an earlier step, not {show(name)}"
        self.report(Problem("type", message, help=help_), path)
        return step._replace(shared=BROKEN)

    def _merge(self, data: Mapping[str, Any], path: KeyPath) -> type[Merge] | None:
        """Return the class of the merge; None if it is broken."""
        word = data.get("merge")
        cls = catalog.get(word) if isinstance(word, str) else None
        if cls is not None and _merges_alone(cls):
            return cls
        merges = sorted(kind for kind, cls in catalog.kinds().items() if _merges_alone(cls))
        if word is None:
            help_ = f"add `merge: concat`, or another of {', '.join(merges)}"
            self.report(Problem("missing", "`branches` needs `merge`", help=help_), path)
            return None
        hint = suggestion(str(word), merges, what="merges", meant=value_meant(str(word), merges))
        problem = Problem("value", f"`merge` cannot be {show(word)}", help=hint)
        self.report(problem, (*path, "merge"))
        return None

    # Ops and blocks.

    def _element(
        self,
        step: Step,
        data: Any,
        path: KeyPath,
        known: Known,
        *,
        astray: bool = False,
        shaped: bool = True,
    ) -> Step:
        """Return the step of a kind; `astray`: some of its arguments are beside it, not below."""
        where = (*path, step.kind)
        cls = self._class(step.kind, where)
        if cls is None or step.kind in self.taken:
            return step._replace(broken=True)
        step = step._replace(element=cls)
        if issubclass(cls, Merge) and not isinstance(data, dict) and data is not None:
            return self._merge_step(step, cls, data, where, known)
        if data is None or (isinstance(data, dict) and not is_choice(cls, data)):
            given = data or {}
        elif cls.main is not None:
            given = {cls.main: data}
        else:
            self.report(no_single_value(cls), where)
            return step
        arguments: dict[str, Template] = {}
        has_unknown = any(name not in cls.model_fields for name in given)
        for name, value in given.items():
            place = (*where, name) if isinstance(data, dict) else where
            if name in cls.model_fields:
                arguments[name] = self._argument(cls, name, value, place, known, shaped=shaped)
            else:
                meant = expression_meant(given, known) if value is None else None
                self._report_unknown(cls, name, place, key=isinstance(data, dict), meant=meant)
        step = step._replace(
            arguments={**self.defaults.get(cls, {}), **arguments},
            given=frozenset(arguments),
        )
        return self._checked(step, cls, known, incomplete=has_unknown or astray)

    def _argument(
        self,
        cls: type[Element],
        name: str,
        value: Any,
        path: KeyPath,
        known: Known,
        *,
        shaped: bool = True,
    ) -> Template:
        """Return the template of an argument, which is a step where the kind takes one."""
        is_step = isinstance(value, dict) or (isinstance(value, str) and not is_expression(value))
        if is_step and name in step_arguments(cls):
            return self._inner(name, value, path, known, shaped=shaped)
        mappings = name in choice_arguments(cls)
        return compile_template(value, path, known, self.findings, shaped=shaped, mappings=mappings)

    def _inner(
        self, name: str, data: Any, path: KeyPath, known: Known, *, shaped: bool
    ) -> Template:
        """Return a step that is an argument: the element itself where it is constant."""
        before = len(self.findings.diagnostics)
        data = {data: None} if isinstance(data, str) else data
        kind = self._kind(data, path) if data else None
        if kind is None:
            if not data:
                self.report(Problem("missing", f"`{name}` has no kind", help=_AS_INNER), path)
            return BROKEN
        for key in data:
            if key != kind and key in _BESIDE and key != "when":
                message = f"`{key}` is not allowed in `{name}`"
                self.report(Problem("unknown-key", message, help=_AS_INNER), (*path, key), key=True)
        when = self._when(data.get("when", True), (*path, "when"), known, shaped=shaped)
        step = Step(path, kind, when=when)
        if kind in GROUPS:
            help_ = "several steps are a block of your own, under `blocks`"
            message = f"`{name}` is one step, not a group"
            self.report(Problem("type", message, help=help_), (*path, kind), key=True)
            return BROKEN
        step = self._element(step, data[kind], path, known, shaped=shaped)
        if step.element is not None and issubclass(step.element, Merge):
            message = f"`{name}` has one input, and `{kind}` needs more"
            self.report(Problem("type", message, help=_AS_INNER), (*path, kind), key=True)
        if step.broken or len(self.findings.diagnostics) > before:
            return BROKEN
        return step.constant if step.constant is not None and step.when is True else Inner(step)

    def _report_unknown(
        self, cls: type[Element], name: str, place: KeyPath, *, key: bool, meant: str | None = None
    ) -> None:
        """Report an argument that a kind does not have; `meant` is what is known of it."""
        if issubclass(cls, SpecBlock) and name in cls.lost:
            return
        problem = unknown_argument(cls, name)
        problem.help = meant or problem.help
        if name in MODIFIERS and place[0] != "defaults":
            problem.help = f"it belongs beside the kind: `{{{cls.kind}: ..., {name}: ...}}`"
        self.report(problem, place, key=key)

    def _checked(
        self, step: Step, cls: type[Element], known: Known, *, incomplete: bool = False
    ) -> Step:
        """Return the step, its constant arguments checked; with its element if all are constant.

        `incomplete`: an argument of another name was dropped. It may be the one that is missing.
        """
        constants = {name: v for name, v in step.arguments.items() if is_constant(v)}
        computed = issubclass(cls, SpecBlock) and not cls.computed.keys() <= step.arguments.keys()
        complete = len(constants) == len(step.arguments) and not computed
        excused = incomplete or {("defaults",), ("defaults", step.kind)} & self.lost
        problems = cls.problems(constants, later=step.arguments)
        wrong = {
            name: problem
            for name, problem in problems.items()
            if name in constants or (problem.code == "missing" and not excused)
        }
        for name in constants.keys() & wrong:
            wrong[name].help = expression_meant(constants[name], known) or wrong[name].help
        report_arguments(self.findings, step, wrong)
        if problems:
            return step._replace(broken=complete or bool(wrong))
        return step._replace(constant=cls.parse(constants)) if complete else step

    def _class(self, kind: str, where: KeyPath) -> type[Element] | None:
        if kind in self.blocks:
            if self.inside is not None:
                self.uses.setdefault(self.inside, {}).setdefault(kind, where)
            return self.blocks[kind]
        cls = catalog.get(kind)
        if cls is None and not self.lost & {("blocks",), ("blocks", kind)}:
            groups = () if where[0] == "defaults" else tuple(GROUPS)
            problem = catalog.unknown_kind(kind, (*self.blocks, *groups))
            self.report(problem, where, key=True)
        return cls

    def _merge_step(
        self, step: Step, cls: type[Merge], data: Any, where: KeyPath, known: Known
    ) -> Step:
        """Return a merge that names its inputs: one beside the previous step, or all of them."""
        names = data if isinstance(data, list) else [data]
        problem = None
        if not all(isinstance(name, str) for name in names):
            message = f"`{step.kind}` takes names of steps, not {show(data)}"
            problem = Problem("type", message, help=relative_meant(data))
        elif isinstance(data, list) and len(data) < 2 and not any(map(is_expression, data)):
            problem = short_list(step.kind)
        if step.sources:
            twice = Problem("unknown-key", f"`{step.kind}` names its inputs already; drop `from`")
            self.report(twice, (*step.path, "from"), key=True)
        if step.repeat is not None and isinstance(data, list):
            help_ = f"`{step.kind}: name` can be repeated: it takes the previous step each time"
            endless = Problem("unknown-key", "a list of names cannot be repeated", help=help_)
            self.report(endless, (*step.path, "repeat"), key=True)
        if problem:
            self.report(problem, where)
            return step._replace(sources=None)
        if step.looping:
            known = known.inside(("index",))
        step = step._replace(
            sources=self._sources(data, where, known),
            sources_key=step.kind,
            with_previous=None if is_expression(data) else isinstance(data, str),
            arguments=dict(self.defaults.get(cls, {})),
        )
        return self._checked(step, cls, NOTHING)

    # Values and defaults.

    def _template(self, value: Any, path: KeyPath, known: Known) -> Template:
        mappings = has_arguments(value, NAMES)
        return compile_template(value, path, known, self.findings, mappings=mappings)

    def _compile_defaults(self, data: Mapping[str, Mapped]) -> None:
        for kind, arguments in data.items():
            path: KeyPath = ("defaults", kind)
            cls = self._class(kind, path)
            if cls is None:
                continue
            compiled = self.defaults.setdefault(cls, {})
            for name, value in arguments.items():
                if name not in cls.model_fields:
                    self._report_unknown(cls, name, (*path, name), key=True)
                    continue
                compiled[name] = self._argument(
                    cls, name, value, (*path, name), self.variables, shaped=False
                )
            constants = {name: v for name, v in compiled.items() if is_constant(v)}
            for name in report_defaults(self.findings, cls, constants):
                compiled[name] = BROKEN


def _merges_alone(cls: type[Element]) -> TypeGuard[type[Merge]]:
    """Whether a kind is a merge that needs no arguments, so that `merge` may name it."""
    required = (field for field in cls.model_fields.values() if field.is_required())
    return issubclass(cls, Merge) and not any(required)
