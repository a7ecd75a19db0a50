"""The tree of a program: functions, loops and calls, in no framework's words yet.

A writer for a framework turns this tree into source. Every value that differs between two uses of
a function, or two rounds of a loop, is an expression of parameters and variables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from archspec.element import Element
from archspec.graph.graph import Node

# Expressions.


@dataclass(eq=False)
class Symbol:
    """A parameter of a function, a variable of a loop, or its number, which counts from 1."""

    name: str
    values: tuple[Any, ...]
    """Value in each use of the function, or in each round of all uses of the loop."""
    role: str = "parameter"
    """`parameter`, `variable`, `index`, or `name`, with which a function's layers' names begin."""


@dataclass(frozen=True)
class Constant:
    """A number, a word, true or false, or None."""

    value: Any


@dataclass(frozen=True)
class Arithmetic:
    """Two expressions joined by `+`, `-`, `*` or `//`."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Comparison:
    """Two expressions compared by `==`, `!=`, `>` or `<=`."""

    operator: str
    left: Expression
    right: Expression
    is_least: bool = field(default=False, compare=False)
    """Whether the right side is the least value that the left side has."""


@dataclass(frozen=True)
class Both:
    """Two conditions that are both true."""

    left: Expression
    right: Expression


@dataclass(frozen=True)
class Not:
    """A condition that is false."""

    condition: Expression


@dataclass(frozen=True)
class Choice:
    """`then` where a condition is true, else `other`."""

    condition: Expression
    then: Expression
    other: Expression


@dataclass(frozen=True)
class Text:
    """A text with expressions in it."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True)
class Formula:
    """An expression as the spec has it, in Python."""

    text: str
    symbols: tuple[Symbol, ...]


@dataclass(frozen=True)
class Row:
    """A tuple."""

    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Table:
    """A mapping of texts to expressions."""

    items: tuple[tuple[Any, Expression], ...]


@dataclass(frozen=True)
class Made:
    """An object: a class's name and its constructor's arguments, by position or by name."""

    name: str
    arguments: tuple[tuple[int | str, Expression], ...]


@dataclass(frozen=True)
class Extent:
    """Length of a tensor along an axis, the batch being 0."""

    value: Value
    axis: int


@dataclass(frozen=True)
class SameShape:
    """Whether two tensors have the same shape."""

    left: Value
    right: Value


Expression: TypeAlias = (
    Symbol
    | Constant
    | Arithmetic
    | Comparison
    | Both
    | Not
    | Choice
    | Text
    | Formula
    | Row
    | Table
    | Made
    | Extent
    | SameShape
)

# Tensors.


@dataclass(eq=False)
class Value:
    """A tensor of the program: a parameter of a function, or what a statement gives."""

    ids: tuple[Any, ...]
    """The tensor of the graph that it is in each use of the function, or round of the loop."""
    hint: str = ""
    """Name that says what it is."""
    name: str = ""
    """Name of its variable, given at last."""


@dataclass(eq=False)
class Merged(Value):
    """A tensor that is `then` where a statement is carried out, else `other`."""

    then: Value | None = None
    other: Operand | None = None


@dataclass(eq=False)
class Carried(Value):
    """A tensor that each round of a loop takes from the round before."""

    initial: Operand | None = None
    update: Value | None = None


@dataclass(eq=False)
class Final(Value):
    """A tensor of a loop's last round, or what it carries, after the loop."""

    source: Value | None = None


@dataclass(eq=False)
class Collected(Value):
    """A list of a tensor of each round of a loop."""

    of: Value | None = None
    count: int = 0
    """Number of its tensors; 0 where it varies."""


@dataclass(frozen=True)
class Item:
    """One tensor of a list."""

    list: Collected
    index: Expression


Operand: TypeAlias = Value | Item

# Statements.


@dataclass(eq=False)
class Apply:
    """A layer applied to tensors."""

    target: Value
    layer: Made
    inputs: tuple[Operand, ...]
    nodes: tuple[Node | None, ...]
    """The node of each use, for writers that need the op or its shapes."""
    reuse: str = ""
    """Path of the layer, where it is applied several times; `first` says whether this makes it."""
    first: bool = True

    @property
    def targets(self) -> tuple[Value, ...]:
        """Its only target, as a call may have several."""
        return (self.target,)


@dataclass(eq=False)
class Call:
    """A function called."""

    targets: tuple[Value, ...]
    function: Function
    inputs: tuple[Operand, ...]
    arguments: dict[Symbol, Expression]
    uses: tuple[int | None, ...] = ()
    """The number of the function's use that each use of this statement is."""


@dataclass(eq=False)
class If:
    """Statements that are carried out under a condition."""

    condition: Expression
    body: list[Statement]


@dataclass(eq=False)
class For:
    """Statements that are carried out once for each number from 1, or each value of variables."""

    count: Expression
    index: Symbol
    variables: dict[Symbol, Expression]
    """Each variable, and the list of its values."""
    body: list[Statement]
    carried: list[Carried] = field(default_factory=list)
    collected: list[Collected] = field(default_factory=list)
    parents: Sequence[int] = ()
    """The use of what is around in which each round is."""
    starts: tuple[tuple[str, ...], ...] = ()
    """Paths at which the rounds of these loops begin, for each use."""


@dataclass(eq=False)
class Alias:
    """Further variables for tensors, all assigned at once."""

    tensors: dict[str, Operand] = field(default_factory=dict)


@dataclass(eq=False)
class Append:
    """A tensor appended to a list."""

    list: Collected


Statement: TypeAlias = Apply | Call | If | For | Alias | Append


@dataclass(eq=False)
class Function:
    """A function of tensors and parameters, which one kind of block has become."""

    name: str
    kind: str
    elements: tuple[Element | None, ...]
    inputs: list[Value]
    parameters: list[Symbol]
    body: list[Statement]
    returns: list[Operand]
    paths: tuple[str, ...] = ()
    """The path of the block in each use."""


@dataclass(eq=False)
class Program:
    """A network: functions, each after those that it calls, and the one that builds it all."""

    name: str
    inputs: dict[str, tuple[Value, Expression]]
    """Each input with its shape, without the batch."""
    outputs: dict[str, Operand]
    functions: list[Function]
    body: list[Statement]
    parameters: list[Symbol] = field(default_factory=list)
    """Variables of the spec that the network depends on; the first value of each is its default."""
    constants: dict[str, Any] = field(default_factory=dict)
    """The value of every other variable of the spec."""

    def statements(self) -> Iterator[Statement]:
        """Yield the statements of all functions and of the network, those inside them too."""
        for body in (*(each.body for each in self.functions), self.body):
            yield from statements(body)


def statements(body: Sequence[Statement]) -> Iterator[Statement]:
    """Yield statements, and those inside them."""
    for statement in body:
        yield statement
        if isinstance(statement, (If, For)):
            yield from statements(statement.body)


def parts(expression: Any) -> Iterator[Any]:
    """Yield an expression, and all expressions in it."""
    yield expression
    inner: Sequence[Any] = ()
    match expression:
        case Arithmetic() | Comparison() | Both():
            inner = (expression.left, expression.right)
        case Not():
            inner = (expression.condition,)
        case Choice():
            inner = (expression.condition, expression.then, expression.other)
        case Text(values) | Row(values) | Formula(_, values):
            inner = values
        case Table(pairs) | Made(_, pairs):
            inner = [value for _, value in pairs]
    for each in inner:
        yield from parts(each)


def expressions(statement: Statement) -> Iterator[Any]:
    """Yield the expressions of a statement, and all in them, not those of the statements in it."""
    roots: list[Any] = []
    operands: Sequence[Any] = ()
    if isinstance(statement, Apply):
        roots, operands = [statement.layer], statement.inputs
    elif isinstance(statement, Call):
        roots, operands = [*statement.arguments.values()], statement.inputs
    elif isinstance(statement, If):
        roots = [statement.condition]
    elif isinstance(statement, For):
        roots = [statement.count, *statement.variables.values()]
        operands = [each.initial for each in statement.carried]
    roots += [each.index for each in operands if isinstance(each, Item)]
    for root in roots:
        yield from parts(root)


def read_by(statement: Statement) -> Iterator[Any]:
    """Yield the tensors that a statement reads, also those for whose shapes it asks."""
    if isinstance(statement, (Apply, Call)):
        yield from statement.inputs
    if isinstance(statement, Append):
        yield statement.list.of
    for part in expressions(statement):
        if isinstance(part, Extent):
            yield part.value
        elif isinstance(part, SameShape):
            yield from (part.left, part.right)
    if isinstance(statement, For):
        yield from (each.initial for each in statement.carried)
