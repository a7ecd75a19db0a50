"""Spec -> plan: every step checked for what can be known before shapes are, and compiled.

The plan is what the expander walks. Checking all steps first, those in branches not taken too,
is what lets one run report every mistake.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import ValidationError, create_model

from archspec import catalog
from archspec.diagnostics import Diagnostic, Problem, suggestion
from archspec.element import ArgumentProblems, Element, Expect, unknown_argument
from archspec.ops.merge import Merge
from archspec.spec.document import NAME, RESERVED, Argument, Path, Spec
from archspec.spec.expressions import Expression, is_expression
from archspec.spec.source import Source
from archspec.step import (
    GROUPS,
    MODIFIERS,
    Plan,
    SpecBlock,
    Step,
    Template,
    argument_places,
    default_problems,
    has_expression,
    name_problem,
)


def compile_plan(spec: Spec) -> Plan:
    """Compile all of a spec; what is wrong is in `found`, and the steps concerned are `broken`."""
    compiler = _Compiler(spec.source, frozenset(spec.document.vars))
    return compiler.compile(spec)


class _Compiler:
    def __init__(self, source: Source, variables: frozenset[str]) -> None:
        self.source = source
        self.variables = variables
        self.found: list[Diagnostic] = []
        self.names: set[str] = set()
        self.blocks: dict[str, type[SpecBlock]] = {}
        self.defaults: dict[str, dict[str, Template]] = {}
        self.uses: dict[str, dict[str, Path]] = {}
        self.inside: str | None = None

    def compile(self, spec: Spec) -> Plan:
        document = spec.document
        for name, definition in document.blocks.items():
            self._declare(name, definition.about, definition.args)
        self._compile_defaults(document.defaults)
        for name, definition in document.blocks.items():
            self.inside = name
            known = self.variables | set(definition.args)
            steps = self._steps(definition.layers, ("blocks", name, "layers"), known)
            if name in self.blocks:
                self.blocks[name].body = steps
        self.inside = None
        circular = self._circles()
        layers = self._steps(document.layers, ("layers",), self.variables)
        heads = {}
        for name, head in document.heads.items():
            self.names.add(name)
            path: Path = ("heads", name)
            heads[name] = Step(
                path,
                "layers",
                name,
                sources=() if head.source is None else (head.source,),
                when=self._template(head.when, (*path, "when"), self.variables),
                body=self._steps(head.layers, (*path, "layers"), self.variables),
            )
        if circular:
            layers, heads = (), {}
        return Plan(layers, heads, self.defaults, frozenset(self.names), tuple(self.found))

    # What a block of the spec's own is called and takes.

    def _declare(self, name: str, about: str, args: Mapping[str, Any]) -> None:
        path: Path = ("blocks", name)
        try:
            catalog.find(name)
        except Problem:
            pass
        else:
            self._report(Problem("duplicate", f"archspec has a `{name}` already"), path, key=True)
            return
        fields: dict[str, Any] = {}
        for arg, written in args.items():
            if not NAME.fullmatch(arg) or arg in RESERVED or hasattr(SpecBlock, arg):
                problem = Problem("value", f"an argument cannot be called `{arg}`")
                self._report(problem, (*path, "args", arg), key=True)
                continue
            try:
                argument = _argument(written)
                kind = _TYPES[argument.type]
                if argument.default is None:
                    fields[arg] = (kind, ...)
                else:
                    fields[arg] = (kind, _frozen(argument.default))
            except Problem as problem:
                self._report(problem, (*path, "args", arg))
        block = create_model(name, __base__=SpecBlock, **fields)
        block.__doc__ = about
        block.kind = name
        block.main = next(iter(fields), None)
        self.blocks[name] = block

    def _circles(self) -> bool:
        """Report blocks that are made of themselves."""
        done: set[str] = set()

        def visit(name: str, trail: tuple[str, ...]) -> bool:
            for used, path in self.uses.get(name, {}).items():
                if used in trail:
                    circle = " -> ".join([*trail[trail.index(used) :], used])
                    problem = Problem("circular", f"blocks that are made of themselves: {circle}")
                    self._report(problem, path, key=True)
                    return True
                if used not in done and len(trail) < 60 and visit(used, (*trail, used)):
                    return True
            done.add(name)
            return False

        circular = [visit(name, (name,)) for name in self.blocks]  # every one is reported
        return any(circular)

    # Steps.

    def _steps(self, data: Iterable[Any], path: Path, known: frozenset[str]) -> tuple[Step, ...]:
        if not isinstance(data, list):
            self._report(Problem("type", f"`{path[-1]}` must be a list of steps"), path)
            return ()
        return tuple(self._step(item, (*path, i), known) for i, item in enumerate(data))

    def _step(self, data: Any, path: Path, known: frozenset[str]) -> Step:
        before = len(self.found)
        if isinstance(data, str):
            data = {data: None}
        if not isinstance(data, dict) or not data:
            help_ = "a step is `- kind: arguments`, or `- kind` alone"
            self._report(Problem("type", "this is not a step", help=help_), path)
            return Step(path, "", broken=True)
        kind = self._kind(data, path)
        if kind is None:
            return Step(path, "", broken=True)
        step = self._modifiers(kind, data, path, known)
        inner = (
            known | set(step.loop) | ({"index"} if step.loop or step.repeat is not None else set())
        )
        # A group with a broken step inside is not broken itself: the step passes that on.
        if kind == "layers":
            broken = len(self.found) > before
            body = self._steps(data[kind], (*path, kind), inner)
            return replace(step, body=body, broken=broken or not body)
        if kind == "branches":
            broken = len(self.found) > before
            return replace(self._branches(step, data, path, inner), broken=broken)
        step = self._element(step, data[kind], path, inner)
        return replace(step, broken=step.broken or len(self.found) > before)

    def _kind(self, data: Mapping[str, Any], path: Path) -> str | None:
        """The one key that says what the step is; reports everything else that is not allowed."""
        group = next((word for word in GROUPS if word in data), None)
        allowed = GROUPS.get(group or "", MODIFIERS)
        others = [key for key in data if key != group and key not in allowed]
        if group is None and len(others) == 1:
            return others[0]
        if group is not None:
            for key in others:
                problem = Problem(
                    "unknown-key",
                    f"`{key}` cannot stand beside `{group}`",
                    help=suggestion(key, allowed, what=f"beside `{group}` may stand"),
                )
                self._report(problem, (*path, key), key=True)
            return group
        if not others:
            help_ = "add the kind, as `conv: 64`, or `layers: [...]`"
            self._report(Problem("missing", "this step has no kind", help=help_), path)
            return None
        kinds = [key for key in others if self._exists(key)]
        kind = kinds[0] if kinds else others[0]
        for key in others:
            if key == kind:
                continue
            if key in kinds:
                problem = Problem(
                    "unknown-key",
                    f"a step has one kind, this one has `{kind}` and `{key}`",
                    help=f"begin a new step: `- {key}: ...`",
                )
            else:
                hint = suggestion(key, allowed, what="beside a kind may stand")
                if kinds and key in catalog.find(kind).model_fields:
                    hint = f"`{key}` is an argument: write `{kind}: {{..., {key}: ...}}`"
                elif key == "for":
                    hint = "`for` goes with `layers: [...]`"
                problem = Problem("unknown-key", f"`{key}` cannot stand beside a kind", help=hint)
            self._report(problem, (*path, key), key=True)
        return kind

    def _exists(self, kind: str) -> bool:
        if kind in self.blocks:
            return True
        try:
            catalog.find(kind)
        except Problem:
            return False
        return True

    def _modifiers(
        self, kind: str, data: Mapping[str, Any], path: Path, known: frozenset[str]
    ) -> Step:
        step = Step(path, kind)
        loop: dict[str, Template] = {}
        if "for" in data and kind in GROUPS:
            loop = self._loop(data["for"], (*path, "for"), known)
            if "repeat" in data:
                problem = Problem("unknown-key", "`for` and `repeat` cannot stand together")
                self._report(problem, (*path, "repeat"), key=True)
        repeat = data.get("repeat")
        number = isinstance(repeat, int) and not isinstance(repeat, bool) and repeat >= 0
        if repeat is not None and not (number or is_expression(repeat)):
            problem = Problem("type", "`repeat` must be a whole number from 0")
            self._report(problem, (*path, "repeat"))
            repeat = None
        inner = known | set(loop) | ({"index"} if loop or repeat is not None else set())
        return replace(
            step,
            name=self._name(data.get("name"), (*path, "name"), inner),
            sources=self._sources(data.get("from"), (*path, "from")),
            repeat=self._template(repeat, (*path, "repeat"), known),
            loop=loop,
            when=self._template(data.get("when", True), (*path, "when"), inner),
        )

    def _name(self, name: Any, path: Path, known: frozenset[str]) -> Template:
        if name is None:
            return None
        if is_expression(name):
            return self._template(name, path, known)
        problem = name_problem(name)
        if problem:
            self._report(problem, path)
            return None
        self.names.add(name)
        return name

    def _sources(self, data: Any, path: Path) -> tuple[str, ...]:
        if data is None:
            return ()
        names = [data] if isinstance(data, str) else data
        if not isinstance(names, list) or not all(isinstance(n, str) for n in names) or not names:
            self._report(Problem("type", "`from` must be a name or a list of names"), path)
            return ()
        return tuple(names)

    def _loop(self, data: Any, path: Path, known: frozenset[str]) -> dict[str, Template]:
        if not isinstance(data, dict) or not data:
            help_ = "as `for: {filters: [64, 128], n: [1, 2]}`"
            problem = Problem("type", "`for` must give names their lists", help=help_)
            self._report(problem, path)
            return {}
        loop = {}
        for name, values in data.items():
            unfit = name_problem(name)
            if unfit:
                self._report(unfit, (*path, name), key=True)
            elif not (isinstance(values, list) or is_expression(values)):
                self._report(Problem("type", f"`{name}` must be a list here"), (*path, name))
            else:
                loop[name] = self._template(values, (*path, name), known)
        return loop

    def _branches(
        self, step: Step, data: Mapping[str, Any], path: Path, known: frozenset[str]
    ) -> Step:
        written = data["branches"]
        where = (*path, "branches")
        if isinstance(written, list):
            named: dict[Any, Any] = dict(enumerate(written))
        elif isinstance(written, dict):
            named = written
        else:
            self._report(Problem("type", "`branches` must be a list of lists of steps"), where)
            return step
        if len(named) < 2:
            problem = Problem("value", "`branches` needs two branches at least; [] is the identity")
            self._report(problem, where)
        branches = []
        for key, steps in named.items():
            name = f"branch{key + 1}" if isinstance(key, int) else key
            unfit = name_problem(name)
            if unfit:
                self._report(unfit, (*where, key), key=True)
            self.names.add(name)
            branches.append((name, self._steps(steps, (*where, key), known)))
        return replace(step, branches=tuple(branches), merge=self._merge(data, path))

    def _merge(self, data: Mapping[str, Any], path: Path) -> type[Merge] | None:
        words = sorted(
            kind for kind, cls in catalog.kinds().items() if issubclass(cls, Merge)
        )  # third parties may add their own
        word = data.get("merge")
        if word is None:
            help_ = f"add `merge: concat` (or {', '.join(words)})"
            problem = Problem("missing", "`branches` needs `merge`", help=help_)
            self._report(problem, path)
            return None
        if word not in words:
            hint = suggestion(str(word), words, what="merges")
            problem = Problem("value", f"`merge` cannot be `{word}`", help=hint)
            self._report(problem, (*path, "merge"))
            return None
        found = catalog.find(word)
        return found if issubclass(found, Merge) else None

    def _element(self, step: Step, data: Any, path: Path, known: frozenset[str]) -> Step:
        where = (*path, step.kind)
        cls = self._class(step.kind, where)
        if cls is None:
            return step
        step = replace(step, element=cls)
        if issubclass(cls, Merge) and isinstance(data, (str, list)) and not is_expression(data):
            return self._merge_step(step, data, where)
        given = self._arguments(cls, data, where)
        if given is None:
            return step
        before = len(self.found)
        arguments = {}
        for name, value in given.items():
            scalar = not isinstance(data, dict)
            place = where if scalar else (*where, name)
            if name not in cls.model_fields:
                self._report(unknown_argument(cls, name), place, key=not scalar)
                continue
            arguments[name] = self._template(value, place, known)
        complete = {**self.defaults.get(step.kind, {}), **arguments}
        step = replace(step, arguments=complete, given=frozenset(arguments))
        if len(self.found) > before or any(map(has_expression, complete.values())):
            return step
        try:
            return replace(step, constant=cls.parse(complete))
        except ArgumentProblems as problems:
            for place, key, problem in argument_places(step, problems, arguments):
                self._report(problem, place, key=key)
            return replace(step, broken=True)

    def _class(self, kind: str, where: Path) -> type[Element] | None:
        if kind in self.blocks:
            if self.inside is not None:
                self.uses.setdefault(self.inside, {}).setdefault(kind, where)
            return self.blocks[kind]
        try:
            return catalog.find(kind)
        except Problem:
            problem = catalog.unknown_kind(kind, (*self.blocks, *GROUPS))
            self._report(problem, where, key=True)
            return None

    def _merge_step(self, step: Step, data: str | list[Any], where: Path) -> Step:
        if step.sources:
            problem = Problem("unknown-key", f"`{step.kind}` names its inputs already; drop `from`")
            self._report(problem, (*step.path, "from"), key=True)
        names = [data] if isinstance(data, str) else data
        if isinstance(data, list) and len(data) < 2:
            help_ = f"`{step.kind}: name` merges the previous step with the named one"
            problem = Problem("value", "a list names every input, two at least", help=help_)
            self._report(problem, where)
            return step
        if not all(isinstance(name, str) for name in names):
            self._report(Problem("type", f"`{step.kind}` takes names of steps"), where)
            return step
        element = step.element.parse({}) if step.element else None
        previous = isinstance(data, str)
        return replace(
            step,
            sources=tuple(names),
            sources_key=step.kind,
            with_previous=previous,
            constant=element,
        )

    def _arguments(self, cls: type[Element], data: Any, where: Path) -> dict[str, Any] | None:
        """A step's arguments by name, from a mapping, a scalar for the main field, or nothing."""
        if isinstance(data, dict):
            return data
        if data is None:
            return {}
        if cls.main is None:
            names = ", ".join(cls.model_fields) or "none"
            help_ = f"its arguments: {names}; write them as `{cls.kind}: {{name: value}}`"
            problem = Problem("type", f"`{cls.kind}` takes no single value", help=help_)
            self._report(problem, where)
            return None
        return {cls.main: data}

    # Values and defaults.

    def _template(self, value: Any, path: Path, known: frozenset[str]) -> Template:
        """Compile what may hold expressions; names that are not known are reported."""
        if isinstance(value, list):
            return tuple(self._template(v, (*path, i), known) for i, v in enumerate(value))
        if isinstance(value, dict):
            self._report(Problem("type", "a mapping cannot stand here"), path)
            return None
        if not is_expression(value):
            return value
        try:
            expression = Expression.parse(value)
        except Problem as problem:
            self._report(problem, path)
            return None
        for name in sorted(expression.names - known):
            hint = suggestion(name, known, what="variables")
            self._report(Problem("unknown-name", f"`{name}` is not defined", help=hint), path)
        return expression

    def _compile_defaults(self, data: Mapping[str, Mapping[str, Any]]) -> None:
        for kind, arguments in data.items():
            path: Path = ("defaults", kind)
            cls = self._class(kind, path)
            if cls is None:
                continue
            compiled = self.defaults.setdefault(kind, {})
            for name, value in arguments.items():
                if name in cls.model_fields:
                    compiled[name] = self._template(value, (*path, name), self.variables)
                else:
                    self._report(unknown_argument(cls, name), (*path, name), key=True)
            if any(map(has_expression, compiled.values())):
                continue  # what they come to is only known when they are evaluated
            for name, problem in default_problems(cls, compiled):
                self._report(problem, (*path, name))

    def _report(self, problem: Problem, path: Path, *, key: bool = False) -> None:
        self.found.append(problem.at(self.source.span(path, key=key)))


_TYPES: dict[str, Any] = {
    "int": Annotated[int, Expect("a whole number")],
    "float": Annotated[float, Expect("a number")],
    "bool": Annotated[bool, Expect("true or false")],
    "str": Annotated[str, Expect("a word")],
    "list": Annotated[tuple[Any, ...], Expect("a list")],
}


def _argument(written: Any) -> Argument:
    """An argument's declaration, from its type, its default, or both in a mapping."""
    if isinstance(written, dict):
        try:
            return Argument(**written)
        except (ValidationError, TypeError):
            help_ = f"type is one of {', '.join(_TYPES)}"
            problem = Problem("type", "an argument is {type, default, about}", help=help_)
            raise problem from None
    if isinstance(written, str):
        if written not in _TYPES:
            hint = suggestion(written, _TYPES, what="types")
            raise Problem("value", f"there is no type `{written}`", help=hint)
        return Argument(type=written)  # type: ignore[arg-type]
    for name, types in (("bool", bool), ("int", int), ("float", float), ("list", list)):
        if isinstance(written, types):
            return Argument(type=name, default=written)  # type: ignore[arg-type]
    raise Problem("type", "an argument needs a type or a default value")


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
