"""Compiled steps, of which a plan consists."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final, NamedTuple, cast

from archspec.blocks.block import Block
from archspec.declare.declaration import REQUIRED, DeclarationError
from archspec.declare.metadata import Expect
from archspec.element import Element, show, whole
from archspec.errors import KeyPath, Mend, Problem, did_you_mean, nearest
from archspec.graph.builder import Builder
from archspec.graph.graph import Node
from archspec.ops.merge import Merge
from archspec.spec.document import Argument, BlockDefinition, name_problem
from archspec.spec.expressions import Expression, is_expression
from archspec.spec.findings import Findings
from archspec.spec.operations import has_arguments
from archspec.spec.template import (
    BROKEN,
    Inner,
    Known,
    Passed,
    Template,
    compile_template,
    evaluate,
    is_constant,
    names_in,
    size,
)
from archspec.vocabulary import folded, key_hint, key_meant, readings, value_meant

MODIFIERS = ("name", "from", "repeat", "when")
"""Keys that may stand beside the kind of any step."""

GROUPS = {
    "layers": (*MODIFIERS, "for", "let"),
    "branches": (*MODIFIERS, "for", "merge"),
    "share": MODIFIERS,
}
"""Steps that consist of steps, or of those of another, with the keys that may be beside them."""


class Step(NamedTuple):
    """One compiled step: `element`, `body`, `branches` or `shared` says what it is."""

    path: KeyPath
    """Place in the document."""
    kind: str
    name: Template = None
    sources: tuple[Template, ...] | None = ()
    """Names of its inputs, None for the previous step; empty if that is the only one; None if they
    are broken."""
    sources_key: str = "from"
    """The key under which they stand."""
    given_inputs: tuple[str, ...] = ()
    """The block's names for them, where `from` is a mapping."""
    with_previous: bool | None = False
    """Whether the previous step comes before the named ones, as in `add: shortcut`; None if that
    depends on the value of the only one: it does before a name, and not before a list."""
    repeat: Template = None
    loop: Mapping[str, Template] = MappingProxyType({})
    let: Mapping[str, Template] = MappingProxyType({})
    """Variables of a group, in the order in which they are computed."""
    when: Template = True
    element: type[Element] | None = None
    arguments: Mapping[str, Template] = MappingProxyType({})
    """Arguments, completed by the spec's `defaults`."""
    given: frozenset[str] = frozenset()
    """Names of the arguments that stand at the step itself."""
    constant: Element | None = None
    """The element itself, where no argument is an expression."""
    body: tuple[Step, ...] = ()
    branches: tuple[tuple[str, tuple[Step, ...]], ...] = ()
    merge: type[Merge] | None = None
    shared: Template = None
    """Name of the step whose weights it shares, of a `share`."""
    broken: bool = False
    """Whether something about it is wrong, so that it has no output."""

    weight: int = 1
    """Work of one round, without that of the steps in it: 1 for most."""

    @property
    def templates(self) -> tuple[Template, ...]:
        """The values that it is computed from, without those of the steps in it."""
        computed = *self.loop.values(), *self.let.values(), *self.arguments.values()
        own = self.name, self.repeat, self.when, self.shared
        return *own, *computed, *(self.sources or ())

    @property
    def looping(self) -> bool:
        return bool(self.loop) or self.repeat is not None

    @property
    def reads_by_round(self) -> bool:
        """Whether the names of its inputs are computed from the variables of its own loop."""
        if not self.looping or not self.sources:
            return False
        own = {*self.loop, "index"}
        return any(name in own for source in self.sources for name in names_in(source))

    @property
    def fewest_inputs(self) -> int:
        """Smallest number of inputs that it can have."""
        if self.element is None:
            return 1
        if issubclass(self.element, SpecBlock):
            return max(1, len(self.element.input_names))
        return 2 if issubclass(self.element, Merge) else 1

    def numbered(self, number: int) -> str | None:
        """Return the name in this round; None where it is an expression, or there is none."""
        if not isinstance(self.name, str):
            return None
        return f"{self.name}{number}" if self.looping else self.name

    def weighed(self) -> Step:
        """Return the same step with its weight."""
        values = sum(map(size, self.templates))
        fields = len(self.element.model_fields) if self.element else 0
        if self.element and issubclass(self.element, SpecBlock):
            values += self.element.computing
        return self._replace(weight=1 + (values + fields) // 16)


def names_read(steps: Iterable[Step]) -> Iterator[Template]:
    """Yield every name that steps, and those in them, take their inputs from."""
    for step in steps:
        yield from (source for source in step.sources or () if source is not None)
        yield from names_read(step.body)
        for _, branch in step.branches:
            yield from names_read(branch)


def names_in_blocks(blocks: Iterable[type[SpecBlock]]) -> set[str]:
    """Return the variables that blocks of a spec read, their own arguments among them."""
    names: set[str] = set()
    for block in blocks:
        for template in (*block.let.values(), *block.computed.values()):
            names.update(names_in(template))
        steps = [*block.body]
        while steps:
            step = steps.pop()
            steps += [*step.body, *(inner for _, branch in step.branches for inner in branch)]
            for template in step.templates:
                if isinstance(template, Inner):
                    steps.append(template.step)
                else:
                    names.update(names_in(template))
    return names


class SpecBlock(Block):
    """A block that a spec defines: its fields are the arguments, its body the steps."""

    serial: ClassVar[int] = 0
    """Number of the definition: blocks of two specs may have the same name."""

    body: ClassVar[tuple[Step, ...]] = ()
    let: ClassVar[Mapping[str, Template]] = {}
    """Its variables, in the order in which they are computed."""
    input_names: ClassVar[tuple[str, ...]] = ()
    """The names of its inputs; none if it has one that is not named."""
    computed: ClassVar[Mapping[str, Template]] = {}
    """Defaults that are computed from other arguments, in an order in which they can be."""
    computing: ClassVar[int] = 0
    """Work to compute them."""
    lost: ClassVar[Mapping[str, Any]] = {}
    """Arguments whose declaration is wrong, each BROKEN."""

    def expand(self, b: Builder, x: Node) -> Node:
        return b.carry_out(self, b, x)  # only the expander can

    def __repr__(self) -> str:
        return f"{super().__repr__()}#{self.serial}"


class Plan(NamedTuple):
    """A spec's steps, compiled."""

    layers: tuple[Step, ...]
    heads: Mapping[str, Step]
    """A group of steps for each head, by the name of the head."""
    defaults: Mapping[type[Element], Mapping[str, Template]]
    blocks: Mapping[str, type[SpecBlock]]
    """Blocks that the spec defines, by their names."""
    names: frozenset[str]
    """Every name that a step, a group or a head of the spec has."""
    parsed: dict[tuple[type[Element], str], Element]
    """Elements of steps so far, by the text of their arguments: a network's are one object each,
    which caches find at once."""
    read_in_blocks: frozenset[str]
    """The spec's variables that its own blocks read, beside their arguments."""


def report_arguments(findings: Findings, step: Step, problems: Mapping[str, Problem]) -> None:
    """Report mistakes in a step's arguments, each where the user wrote it.

    A mistake in `defaults` is reported once, there, and not at each step that takes them.
    """
    where = (*step.path, step.kind)
    for name, problem in problems.items():
        if problem.code == "missing" or not name:
            findings.report(problem, where, key=True)
        elif name in step.given:
            findings.report(problem, (*where, name))
        elif step.element and issubclass(step.element, SpecBlock) and name in step.element.computed:
            template = step.element.computed[name]
            if isinstance(template, Expression):
                problem.help = f"`{template.text}` is the default of `{name}`"
            findings.report(problem, where, key=True)


def is_count(value: object) -> bool:
    """Whether a value is a whole number from 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def meant(value: object, fits: Callable[[Any], bool]) -> str | None:
    """Return a help line for a value in another tool's notation, as `"3"` or `yes`."""
    reading = next((each for each in readings(value) if fits(whole(each))), None)
    return None if reading is None else did_you_mean(show(whole(reading)))


def is_bool(value: object) -> bool:
    return isinstance(value, bool)


def inline(value: Any) -> str:
    """Return a value as it may stand within `{}`; dots for a long one."""
    return show(value).strip('"') if isinstance(value, (int, float, str)) else "..."


def no_single_value(cls: type[Element]) -> Problem:
    help_ = cls.hints.get("", f"write `- {cls.kind}` alone: it has no arguments")
    if cls.model_fields and "" not in cls.hints:
        names = ", ".join(cls.model_fields)
        help_ = f"its arguments: {names}; write them as `{cls.kind}: {{name: value}}`"
    return Problem("type", f"`{cls.kind}` takes no single value", help=help_)


def not_a_list(key: str | int, data: Any) -> Problem:
    """Return the problem of a value, mostly a single step, where a list of steps is needed."""
    what = "`layers`" if key == "layers" else "a branch"
    step = f"{{{next(iter(data))}: ...}}" if isinstance(data, dict) and data else data
    help_ = None
    if isinstance(step, str):
        help_ = f"a single step is written as a list, too: `[{step}]`"
        help_ = Mend(help_, f"[{step}]") if step is data else help_
    return Problem("type", f"{what} must be a list of steps, not {show(data)}", help=help_)


def misplaced(cls: type[Element] | None, data: Mapping[str, Any], key: str) -> str:
    """Return a help line for a key that is not allowed beside a kind."""
    argument = None if cls is None else key if key in cls.model_fields else None
    if cls is not None and argument is None:
        argument = key_meant(key, cls.model_fields)
    if cls is None or argument is None:
        return key_hint(key, MODIFIERS, what="allowed beside a kind")
    given = data[cls.kind]
    if given is None and argument == key:
        return f"`{key}` is an argument of `{cls.kind}`: indent it below `{cls.kind}:`"
    single = cls.main not in (None, argument) and isinstance(given, (int, float, str))
    first = f"{cls.main}: {given}, " if single else "..., "
    right = f"{cls.kind}: {{{first}{argument}: {inline(data[key])}}}"
    return f"`{argument}` is an argument: write `{right}`"


def relative_meant(name: object) -> str | None:
    """Return a help line for another tool's word for the step before."""
    before = name == -1 or (isinstance(name, str) and folded(name) in _BEFORE)
    if before:
        return "the input of a step is the step before it by default: leave this out"
    counted = isinstance(name, int) and not isinstance(name, bool)
    return "steps are referred to by name: give that step a `name`" if counted else None


_BEFORE = frozenset({"previous", "prev", "last", "before", "1"})


def report_defaults(
    findings: Findings, cls: type[Element], values: Mapping[str, Any]
) -> tuple[str, ...]:
    """Report what is wrong with some defaults of a kind, others being unsaid; give their names."""
    problems = cls.problems(values, later=cls.model_fields)
    wrong = [name for name in problems if name in values]
    for name in wrong:
        findings.report(problems[name], ("defaults", cls.kind, name))
    return tuple(wrong)


_SERIALS = count(1)


def declare(
    name: str, definition: BlockDefinition, variables: Mapping[str, Any], findings: Findings
) -> type[SpecBlock]:
    """Return the class of a block that a spec defines, its body still empty."""
    fields = _Arguments(name, definition, variables, findings).fields()
    body = {arg: default for arg, (_, default) in fields.items() if default is not REQUIRED}
    annotations = {arg: annotation for arg, (annotation, _) in fields.items()}
    namespace = {"__annotations__": annotations, "__doc__": definition.about, **body}
    block: Any = type(name, (SpecBlock,), namespace)
    block.kind = name
    block.main = next(iter(definition.args), None)
    block.serial = next(_SERIALS)
    block.lost = {arg: BROKEN for arg in definition.args if arg not in fields}
    block.computed = {arg: value for arg, value in body.items() if not is_constant(value)}
    block.computing = sum(map(size, block.computed.values()))
    block.input_names = _input_names(name, definition, findings)
    block.most_inputs = max(1, len(block.input_names))
    return cast("type[SpecBlock]", block)


def _input_names(block: str, definition: BlockDefinition, findings: Findings) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for i, name in enumerate(definition.inputs):
        problem = name_problem(name, "an input")
        if problem is None and name in names:
            problem = Problem("duplicate", f"two inputs are called `{name}`")
        if problem:
            findings.report(problem, ("blocks", block, "inputs", i))
        else:
            names[name] = None
    return tuple(names)


_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
    "str": ((str,), "a word"),
    "list": ((tuple,), "a list"),
    "activation": ((str, dict), "an activation"),
}
"""Types of arguments: the Python types of their values, and words for them."""


def _annotation(kind: str) -> Any:
    """Return the annotation of an argument of a type."""
    if kind == "activation":
        from archspec.blocks.activated import Activation  # noqa: PLC0415  (few specs need it)

        return Activation
    plain = {"int": int, "float": float, "bool": bool, "str": str, "list": tuple[Any, ...]}
    return Annotated[plain[kind], Expect(_TYPES[kind][1])]


_TRIAL_VALUES: Final[Mapping[str, tuple[Any, Any]]] = {
    "int": (64, 7),
    "float": (0.5, 1.25),
    "bool": (True, False),
    "str": ("a", "b"),
    "list": ((1,), (1, 2)),
    "activation": ("relu", "tanh"),
}
"""Two values of each type: the type of a computed default is seen by computing it with both."""


class _Arguments:
    """The declarations of a block's arguments, read."""

    def __init__(
        self,
        block: str,
        definition: BlockDefinition,
        variables: Mapping[str, Any],
        findings: Findings,
    ) -> None:
        self.path: KeyPath = ("blocks", block, "args")
        self.variables = variables
        self.findings = findings
        self.known = Known(variables).inside(definition.args)
        self.written = definition.args
        self.trials: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
        self.constants = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in variables.items()
            if not is_expression(value)
        }

    def fields(self) -> dict[str, tuple[Any, Any]]:
        """Return each argument's annotation and default, without those that are wrong.

        Computed defaults come last, each after those that it needs.
        """
        arguments: dict[str, Argument] = {}
        computed: dict[str, Template] = {}
        fields: dict[str, tuple[Any, Any]] = {}
        for arg, written in self.written.items():
            argument = self._argument(arg, written)
            if argument is None:
                continue
            place: KeyPath = (*self.path, arg)
            place = (*place, "default") if isinstance(written, dict) else place
            try:
                if argument.type is None or _is_computed(argument.default):
                    computed[arg] = compile_template(
                        argument.default, place, self.known, self.findings, shaped=False
                    )
                else:
                    fields[arg] = _field(arg, argument.type, argument, place, self.findings)
            except Problem as problem:
                self.findings.report(problem, place)
            except Passed:
                continue
            arguments[arg] = argument
            if argument.type is not None:
                self._try(arg, argument.type)
        for arg in self._ordered(computed):
            kind = arguments[arg].type or self._derived(computed[arg])
            if kind is None:
                written = inline(arguments[arg].default)
                help_ = f"as `{arg}: {{type: int, default: {written}}}`"
                message = f"the type of `{arg}` does not follow from its default"
                self.findings.report(Problem("missing", message, help=help_), (*self.path, arg))
                continue
            self._try(arg, kind)
            fields[arg] = _annotation(kind), computed[arg]
        return fields

    def _argument(self, arg: str, written: Any) -> Argument | None:
        unfit = name_problem(arg, "an argument", variable=True)
        if unfit is None and hasattr(SpecBlock, arg):
            help_ = "archspec has its own use for this name"
            unfit = Problem("value", f"an argument cannot be called `{arg}`", help=help_)
        if unfit:
            self.findings.report(unfit, (*self.path, arg), key=True)
            return None
        try:
            return _argument(written)
        except Problem as problem:
            self.findings.report(problem, (*self.path, arg))
            return None

    def _ordered(self, computed: Mapping[str, Template]) -> list[str]:
        """Return the arguments with computed defaults, each after those that it needs."""
        needs = {
            arg: {name for name in names_in(template) if name in computed}
            for arg, template in computed.items()
            if template is not BROKEN
        }
        users: dict[str, list[str]] = {}
        for arg, names in needs.items():
            for name in names:
                users.setdefault(name, []).append(arg)
        ordered = [arg for arg, names in needs.items() if not names]
        ordered += [arg for arg, template in computed.items() if template is BROKEN]
        for arg in ordered:
            for user in users.get(arg, ()):
                needs[user].discard(arg)
                if not needs[user]:
                    ordered.append(user)
        circular = {arg: names for arg, names in needs.items() if names}
        if circular:
            self._report_circle(circular)
        return [arg for arg in ordered if computed[arg] is not BROKEN]

    def _report_circle(self, needs: Mapping[str, set[str]]) -> None:
        """Report one circle of arguments, each of which needs some of the others."""
        trail = {(arg := next(iter(needs))): None}
        while (arg := min(needs[arg])) not in trail:
            trail[arg] = None
        names = list(trail)
        circle = " -> ".join([*names[names.index(arg) :], arg])
        problem = Problem("circular", f"defaults that depend on each other: {circle}")
        self.findings.report(problem, (*self.path, arg))

    def _derived(self, template: Template) -> str | None:
        """Return the type that a computed default has for trial values; None if it varies."""
        kinds = set()
        for values in self.trials:
            try:
                value = evaluate(template, ChainMap(values, self.constants))
            except (Problem, Passed, KeyError):
                return None
            kinds.add(next((k for k, (types, _) in _TYPES.items() if type(value) in types), None))
        if kinds == {"int", "float"}:
            return "float"
        return kinds.pop() if len(kinds) == 1 else None

    def _try(self, arg: str, kind: str) -> None:
        """Add trial values of an argument of this type."""
        for values, value in zip(self.trials, _TRIAL_VALUES[kind], strict=True):
            values[arg] = value


def _is_computed(default: Any) -> bool:
    """Whether variables or other arguments enter a default."""
    if isinstance(default, list):
        return any(map(_is_computed, default))
    return is_expression(default) and bool(Expression.parse(default).names)


def _field(
    arg: str, kind: str, argument: Argument, path: KeyPath, findings: Findings
) -> tuple[Any, Any]:
    """Return an argument's annotation and its default, `REQUIRED` for none, which is at `path`."""
    types, words = _TYPES[kind]
    annotation = _annotation(kind)
    if "default" not in argument.model_fields_set:
        return annotation, REQUIRED
    template = compile_template(
        argument.default,
        path,
        frozenset(),
        findings,
        shaped=False,
        mappings=kind == "activation",
    )
    default = evaluate(template, {})
    default = whole(default) if kind in ("int", "list") else default
    if default is None:
        return annotation | None, None
    if not isinstance(default, types) or (isinstance(default, bool) and kind != "bool"):
        raise Problem("type", f"the default of `{arg}` must be {words}, not {show(default)}")
    return annotation, _activation(path[1], arg, default) if kind == "activation" else default


def _activation(block: str | int, arg: str, written: Any) -> Any:
    """Return an activation that is an argument's default; raise `Problem` if it is none."""
    annotations = {arg: _annotation("activation")}
    cls: type[Element] = type(arg, (Element,), {"__annotations__": annotations})
    cls.kind = str(block)
    problems = cls.problems({arg: written}, later=())
    if problems:
        raise problems[arg]
    return getattr(cls.parse({arg: written}), arg)


def _argument(written: Any) -> Argument:
    """Return an argument's declaration, from its type, its default, or both in a mapping."""
    if isinstance(written, dict):
        try:
            argument = Argument.model_validate(written)
        except DeclarationError:
            help_ = f"type is one of {', '.join(_TYPES)}; default and about may be left out"
            if has_arguments(written) and not written.keys() & Argument.model_fields.keys():
                help_ = f"as `{{type: activation, default: {show(written)}}}`"
            message = "an argument is {type: ..., default: ..., about: ...}"
            raise Problem("type", message, help=help_) from None
        if argument.type is None and "default" not in argument.model_fields_set:
            help_ = "as `{type: int}`, or `{default: 64}`"
            raise Problem("missing", "an argument needs a type or a default", help=help_)
        given = {"default": argument.default, "about": argument.about}
        return argument if argument.type else _with_default(argument.default, given)
    if isinstance(written, str) and not is_expression(written):
        if written not in _TYPES:
            meant = value_meant(written, _TYPES) or nearest(written, _TYPES)
            word = f"a word is a default as `{{type: str, default: {written}}}`"
            hint = did_you_mean(meant) if meant else f"{word}; types: {', '.join(_TYPES)}"
            raise Problem("value", f"there is no type `{written}`", help=hint)
        return Argument.model_validate({"type": written})
    return _with_default(written, {"default": written})


def _with_default(default: Any, given: Mapping[str, Any]) -> Argument:
    """Return the declaration of an argument whose type is that of its default."""
    if is_expression(default):
        return Argument.model_validate(given)
    for name, types in (("bool", bool), ("int", int), ("float", float), ("list", list)):
        if isinstance(default, types):
            return Argument.model_validate({**given, "type": name})
    if isinstance(default, str):
        return Argument.model_validate({**given, "type": "str"})
    help_ = "as `filters: int`, or `filters: 64`"
    raise Problem("type", "an argument needs a type or a default value", help=help_)
