"""Compiled steps, of which a plan consists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Self, TypeAlias

from archspec.blocks.block import Block
from archspec.element import Element, show, whole
from archspec.errors import KeyPath, Mend, Problem, did_you_mean
from archspec.graph.builder import Builder, Kept
from archspec.graph.graph import Expansion, Node
from archspec.ops.merge import Merge
from archspec.spec.expressions import Expression
from archspec.spec.findings import Findings
from archspec.spec.template import (
    Inner,
    Template,
    names_in,
    shapes_in,
    size,
)
from archspec.vocabulary import folded, key_hint, key_meant, readings

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

    read: tuple[str, ...] = ()
    """Variables around them that the steps in it read."""
    weight: int = 1
    """Work of one round, without that of the steps in it: 1 for most."""

    @property
    def templates(self) -> tuple[Template, ...]:
        """The values that it is computed from, without those of the steps in it."""
        computed = *self.loop.values(), *self.let.values(), *self.arguments.values()
        own = self.name, self.repeat, self.when, self.shared
        return *own, *computed, *(self.sources or ())

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps in it."""
        return (*self.body, *[step for _, branch in self.branches for step in branch])

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

    def finished(self) -> Step:
        """Return the same step with its weight, and what those in it read."""
        values = sum(map(size, self.templates))
        fields = len(self.element.model_fields) if self.element else 0
        if self.element and issubclass(self.element, SpecBlock):
            values += self.element.computing
        read = tuple(sorted(read_inside(self.let, self.steps))) if self.kind in GROUPS else ()
        return self._replace(weight=1 + (values + fields) // 16, read=read)


def names_read(steps: Iterable[Step]) -> Iterator[Template]:
    """Yield every name that steps, and those in them, take their inputs from."""
    for step in steps:
        yield from (source for source in step.sources or () if source is not None)
        yield from names_read(step.steps)


def names_in_blocks(blocks: Iterable[type[SpecBlock]]) -> set[str]:
    """Return the variables that blocks of a spec read, their own arguments among them."""
    read: set[str] = set()
    for block in blocks:
        read.update(*map(_names_of, block.computed.values()))
        read |= read_inside(block.let, block.body)
    return read


def read_inside(let: Mapping[str, Template], steps: Iterable[Step]) -> set[str]:
    """Return the variables that steps and the `let` before them read from around the two."""
    read: set[str] = set()
    own: set[str] = set()
    for name, template in let.items():
        read |= _names_of(template) - own
        own.add(name)
    return read | (set().union(*map(_read_by, steps)) - own)


def _read_by(step: Step) -> set[str]:
    """Return the variables around a step that it reads, with the steps in it."""
    own = {*step.loop, "index"} if step.looping else set()
    once = step.repeat, *step.loop.values()
    in_rounds = *step.arguments.values(), step.when, step.name, step.shared, *(step.sources or ())
    return ({*step.read}.union(*map(_names_of, in_rounds)) - own).union(*map(_names_of, once))


def _names_of(template: Template) -> set[str]:
    """Return the variables that a template reads; a name whose shape it asks for may be one."""
    if isinstance(template, Inner):
        return _read_by(template.step)
    return {*names_in(template), *shapes_in(template)}


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

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave it out of a pickle: its class is made of a spec's text, and in no module.

        A graph has all that it became, and only the name of its scope.
        """
        return _left_out, ()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Mapping[int, Any]) -> Self:
        return self

    @classmethod
    def _problem(cls, name: str, items: list[Any], value: object) -> Problem:
        problem = super()._problem(name, items, value)
        default = cls.model_fields[name].default if name in cls.model_fields else None
        if type(value) is float and type(default) is int and problem.help:
            problem.help += (
                f"; `{name}: {default}.0` in the definition of `{cls.kind}` allows fractions"
            )
        return problem


def _left_out() -> None:
    """Return what stands in a pickle for a block that a spec defines."""


class Placed(NamedTuple):
    """A step that was carried out."""

    inputs: tuple[int | None, ...]
    """Index of each node that it reads; None for one that is missing because of a mistake."""
    start: int
    """The first node."""
    stop: int
    """The node after its last."""
    first: int
    """Place of the first name inside it, in the order of names."""
    last: int
    """The place after the last one."""

    def moved(self, by: int, later: int, index: Callable[[int], int]) -> Placed:
        """Return the same step in a copy of one around it.

        Args:
            by: Distance of the copy, in nodes.
            later: Distance of the copy, in names.
            index: Gives the index in the copy of a node that is read.
        """
        inputs = tuple([None if each is None else index(each) for each in self.inputs])
        _, start, stop, first, last = self
        return Placed(inputs, start + by, stop + by, first + later, last + later)


Inside: TypeAlias = tuple[str, int | None, Placed | None]
"""A step of a scope, wherever that is: its path after the scope's, its output, and what it became.

Nodes are counted from the first one of the scope, whose input is -1. The output is None where a
mistake makes it unknown, the rest for the name of a block's input.
"""


# A plain class: to make a named tuple takes 0.3 ms of every command.
class Carried:
    """The result of a scope's steps on an input, wherever that may be.

    Args:
        expansion: The layers. Nodes are counted from the first one; the input is -1.
        output: The node that the steps give.
        inside: The steps.
        made: Each op and block that was added, with its first node and the node after its last.
        rounds: Place of each round of each step, with its first node and the node after its last.
        steps: Number of steps carried out, weighed.
        looped: Number of rounds of the `for`s in expressions.
    """

    __slots__ = ("expansion", "inside", "looped", "made", "output", "rounds", "steps")

    def __init__(
        self,
        expansion: Expansion,
        output: int,
        inside: tuple[Inside, ...],
        made: tuple[tuple[Step, int, int], ...],
        rounds: tuple[tuple[KeyPath, int, int], ...],
        steps: int,
        looped: int,
    ) -> None:
        self.expansion = expansion
        self.output = output
        self.inside = inside
        self.made = made
        self.rounds = rounds
        self.steps = steps
        self.looped = looped


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
    carried: Kept[tuple[Any, ...], Carried]
    """Results of groups, branches and own blocks in former networks."""


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


def short_list(merge: str) -> Problem:
    """Return the problem of a merge whose list has one name, computed or not."""
    help_ = f"`{merge}: name` merges the previous step with the named one"
    return Problem("value", "a list must name every input, at least two", help=help_)


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
