"""A graph as a program: equal blocks become functions, equal rounds become loops."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from archspec.ejection.keras_layers import EITHER_PADDING
from archspec.ejection.levels import (
    HOLE,
    FunctionLevel,
    Level,
    LoopLevel,
    MainLevel,
    NotAlikeError,
)
from archspec.ejection.outline import Id, Leaf, Loop, Nest, Outline, Round, layers_in
from archspec.ejection.positional import argument_name
from archspec.ejection.program import (
    Apply,
    Call,
    Carried,
    Collected,
    Constant,
    Expression,
    Final,
    For,
    Formula,
    Function,
    If,
    Item,
    Made,
    Merged,
    Operand,
    Program,
    Statement,
    Symbol,
    Value,
    expressions,
    parts,
    read_by,
    statements,
)
from archspec.ejection.recording import Construction, layer_name
from archspec.ejection.repeats import (
    Column,
    aligned,
    first_path,
    is_reordered,
    keys_of,
    parent,
    roll,
)

MOST_ATTEMPTS = 200
"""Largest number of loops that are given up before all are."""


class Evaluated(NamedTuple):
    """The value of an expression, and the parameters in it."""

    value: Any
    names: tuple[str, ...]


class Member(NamedTuple):
    """One of the networks that a program is to be, and the values of its parameters there."""

    outline: Outline
    values: Mapping[str, Any] = {}
    formulas: Mapping[str, Evaluated] = {}
    """Values that the spec computes from these, by the Python expression."""


@dataclass
class Refusals:
    """Loops and functions that were given up, because no program could be written with them."""

    loops: set[str] = field(default_factory=set)
    """Paths at which no loop may begin."""
    kinds: dict[str, int] = field(default_factory=dict)
    """Kinds for which only equal blocks share a function (1), or every block has its own (2)."""


def program_of(member: Member, refusals: Refusals, *, shapes: bool = True) -> Program:
    """Return a graph as a program.

    Args:
        member: The network.
        refusals: Loops that may not be; all that had to be given up is added.
        shapes: Whether expressions may ask for the shapes of tensors.
    """
    refused, strict = refusals.loops, refusals.kinds
    for _ in range(MOST_ATTEMPTS):
        try:
            return _Abstraction([member], refusals, shapes=shapes).program()
        except NotAlikeError as error:
            loops = error.loops
            while loops and loops <= refused:  # single rounds beside loops: refuse what is around
                loops = frozenset(parent(each) for each in loops) - {""}
            if error.loops:
                refused |= loops or error.loops
            elif not error.kind:
                break  # another attempt would be the same
            else:
                strict[error.kind] = strict.get(error.kind, 0) + 1
    graph = member.outline.graph
    refused |= {node.name for node in graph.nodes} | {scope.name for scope in graph.scopes}
    strict.update(dict.fromkeys(strict, 2))
    return _Abstraction([member], refusals, shapes=shapes).program()


def program_of_all(
    members: Sequence[Member], refusals: Refusals, *, shapes: bool = True
) -> Program | None:
    """Return one program that is each of some networks; None if there is none.

    Args:
        members: The networks. The first one's values are the defaults of the parameters.
        refusals: What had to be given up for the first one alone.
        shapes: Whether expressions may ask for the shapes of tensors.
    """
    try:
        return _Abstraction(members, refusals, shapes=shapes).program()
    except NotAlikeError:
        return None


MOST_INLINE = 4
"""Largest number of layers of a block that is written where it stands, if it is used once."""


class _Abstraction:
    def __init__(
        self,
        members: Sequence[Member],
        refusals: Refusals,
        *,
        shapes: bool,
    ) -> None:
        self.members = members
        self.strict = refusals.kinds
        outlines = [member.outline.items(sample) for sample, member in enumerate(members)]
        self._dissolve_small([item for items in outlines for item in items])
        self.outlines = [roll(items, refusals.loops) for items in outlines]
        self.shapes: dict[Id, Any] = {}
        self.readers: dict[int, list[int]] = {}
        self.results: set[int] = set()
        for outline, *_ in members:
            if shapes:
                self.shapes.update(outline.shapes)
            self.readers.update(outline.readers)
            self.results |= {index + outline.offset for index in outline.graph.outputs.values()}
        self.functions: dict[int, tuple[Function, int]] = {}
        """The function of each block, by its identity, and the number of its use."""
        self.made: list[Function] = []

    def program(self) -> Program:
        self._make_functions()
        members = self.members
        parameters = [
            Symbol(name, tuple(_argument(each.values[name]) for each in members))
            for name in members[0].values
        ]
        level = MainLevel(parameters, self.formulas(parameters), len(members))
        level.shapes = self.shapes
        level.items = [item for items in self.outlines for item in items]
        graphs = [each.outline.graph for each in members]
        graph = graphs[0]
        inputs = {}
        for name in graph.inputs:
            value = Value(self._indices(name, "inputs"), name)
            level.values.append(value)
            shapes = [
                _argument(tuple(each.nodes[each.inputs[name]].shape.known)) for each in graphs
            ]
            inputs[name] = value, level.resolve(shapes, "shape")
        body = self._body(level, [Round("", items, is_group=True) for items in self.outlines])
        outputs = {
            name: self._operand(level, self._indices(name, "outputs")) for name in graph.outputs
        }
        used = {*_expressions(body)}
        for _, shape in inputs.values():
            used |= {*parts(shape)}
        return Program(
            graph.name, inputs, outputs, self.made, body, [e for e in parameters if e in used]
        )

    def formulas(self, parameters: Sequence[Symbol]) -> list[tuple[Formula, tuple[Any, ...]]]:
        """Return the spec's own expressions of the parameters, with their values."""
        by_name = {each.name: each for each in parameters}
        tables = [each.formulas for each in self.members]
        result = []
        for text in tables[0]:
            values = tuple(_argument(table[text].value) for table in tables)
            names = tables[0][text].names
            if any(repr(each) != repr(values[0]) for each in values):
                symbols = tuple(by_name[name] for name in names)
                result.append((Formula(text, symbols), values))
        return result

    def _indices(self, name: str, what: str) -> tuple[int, ...]:
        """Return an input or an output of each network."""
        outlines = [each.outline for each in self.members]
        tables = [getattr(each.graph, what) for each in outlines]
        if any({*table} != {*tables[0]} for table in tables):
            raise NotAlikeError
        return tuple(
            table[name] + each.offset for table, each in zip(tables, outlines, strict=True)
        )

    # Functions.

    def _make_functions(self) -> None:
        """Make a function of each kind of block, inner blocks first."""
        blocks: dict[str, list[Nest]] = {}
        heights: dict[int, int] = {}

        def visit(items: Iterable[Any]) -> int:
            height = 0
            for item in items:
                if isinstance(item, Loop):
                    height = max([height, *(visit(each.items) for each in item.rounds)])
                elif isinstance(item, Nest):
                    inner = visit(item.items)
                    heights[id(item)] = inner
                    if item.element is not None:
                        blocks.setdefault(item.kind, []).append(item)
                        inner += 1
                    height = max(height, inner)
            return height

        for items in self.outlines:
            visit(items)
        kinds = sorted(blocks, key=lambda kind: max(heights[id(each)] for each in blocks[kind]))
        for kind in kinds:
            for number, alike in enumerate(self._alike(blocks[kind]), start=1):
                for block in alike:
                    block.function = number
                try:
                    self._make_function(kind, number, alike)
                except NotAlikeError as error:
                    raise NotAlikeError(error.loops, kind) from None

    def _dissolve_small(self, items: list[Any]) -> None:
        """Let small blocks that are used once be groups: a function for them would say nothing."""
        blocks: dict[str, list[Nest]] = {}
        waiting = [*items]
        while waiting:
            item = waiting.pop()
            if isinstance(item, Nest):
                waiting += item.items
                if item.element is not None:
                    blocks.setdefault(item.kind, []).append(item)
        for of_kind in blocks.values():
            small = [each for each in of_kind if each.stop - each.start <= MOST_INLINE]
            if not small or self.strict.get(of_kind[0].kind, 0) > 1:
                continue
            for alike in self._alike(of_kind):
                is_single = len({each.sample for each in alike}) == len(alike)
                if is_single and alike[0] in small:
                    for each in alike:
                        each.element = None

    def _alike(self, blocks: list[Nest]) -> list[list[Nest]]:
        """Return blocks of a kind in groups that one function can be, the largest first."""
        alike: dict[Any, list[Nest]] = {}
        for block in blocks:
            alike.setdefault(keys_of(_round(block)), []).append(block)
        if self.strict.get(blocks[0].kind, 0) > 1:
            by_path: dict[str, list[Nest]] = {}
            for block in blocks:
                by_path.setdefault(block.path, []).append(block)
            return [*by_path.values()]
        groups: list[list[list[Nest]]] = []
        for equal in alike.values():
            for group in groups:
                samples = [each[0] for each in group]
                if self._are_alike([*samples, equal[0]]):
                    group.append(equal)
                    break
            else:
                groups.append([equal])
        merged = [[block for equal in group for block in equal] for group in groups]
        return sorted(merged, key=len, reverse=True)

    def _are_alike(self, blocks: list[Nest]) -> bool:
        """Return whether one function can be all these blocks."""
        if self.strict.get(blocks[0].kind, 0):
            return False
        rounds = [_round(each) for each in blocks]
        columns = aligned(rounds, blocks=True)
        return columns is not None and not is_reordered(rounds, columns)

    def _make_function(self, kind: str, number: int, blocks: list[Nest]) -> None:
        fields = _fields(blocks)
        names = [layer_name(block.path) for block in blocks]
        level = FunctionLevel(names, fields, [block.sample for block in blocks])
        level.shapes = self.shapes
        level.items = [item for block in blocks for item in block.items]
        reads = [[*_read_around(block.items)] for block in blocks]
        for place in range(min(map(len, reads))):
            value = Value(tuple(each[place] for each in reads), "other" if place else "x")
            level.inputs.append(value)
            level.values.append(value)
        body = self._body(level, [_round(block) for block in blocks])
        returns = self._returns(level, [(block.start, block.stop) for block in blocks])
        used = {part for part in _expressions(body) if isinstance(part, Symbol)}
        parameters = [each for each in (*level.fields, *level.parameters) if each in used]
        function = Function(
            f"{kind}_{number}" if number > 1 else kind,
            kind,
            tuple(block.element for block in blocks),
            [each for each in level.inputs if each in _operands(body, returns)],
            [*parameters, *([level.name] if level.name in used else [])],
            body,
            returns,
            tuple(block.path for block in blocks),
        )
        self.made.append(function)
        for use, block in enumerate(blocks):
            self.functions[id(block)] = function, use

    def _returns(self, level: Level, places: list[tuple[int, int]]) -> list[Operand]:
        """Return the tensors of a function that are read outside of it."""
        needed = [self._read_outside(start, stop) for start, stop in places]
        last = [max(each) for each in needed]
        returns: list[Operand] = [self._operand(level, last)]
        rest = [each - {index} for each, index in zip(needed, last, strict=True)]
        for value in [*level.values]:
            if not any(rest):
                break
            here = [k for k, each in enumerate(rest) if value.ids[k] in each]
            if here:
                returns.append(value)
                for k in here:
                    rest[k] = rest[k] - {value.ids[k]}
        if any(rest):
            raise NotAlikeError
        return returns

    def _read_outside(self, start: int, stop: int) -> set[int]:
        return {
            index
            for index in range(start, stop)
            if index in self.results
            or any(not start <= reader < stop for reader in self.readers.get(index, ()))
        }

    # Bodies.

    def _body(self, level: Level, rounds: list[Round]) -> list[Statement]:
        columns = aligned(rounds, blocks=isinstance(level, FunctionLevel))
        if columns is None:
            raise NotAlikeError
        body: list[Statement] = []
        for column in columns:
            if None not in column:
                body.append(self._statement(level, column))
                continue
            flags = [item is not None for item in column]
            hint = _hint(next(item for item in column if item))
            test = level.test(flags)
            test = level.made_up(flags, hint) if test is None else test
            # Inside `if activation:` the function is `activation`; inside `if preactivate:` a
            # `scale=True` has nothing to do with it.
            is_flag = isinstance(test, Symbol) and {*map(type, test.values)} <= {bool}
            prefer = [test] if isinstance(test, Symbol) and not is_flag else []
            statement = self._statement(level, column, prefer)
            previous = body[-1] if body else None
            if isinstance(previous, If) and previous.condition == test:
                previous.body.append(statement)
            else:
                body.append(If(test, [statement]))
        return body

    def _statement(self, level: Level, column: Column, prefer: Sequence[Symbol] = ()) -> Statement:
        sample = next(item for item in column if item is not None)
        try:
            if isinstance(sample, Leaf):
                return self._apply(level, column, prefer)
            if isinstance(sample, Loop):
                return self._loop(level, column)
            return self._call(level, column)
        except NotAlikeError as error:
            if error.loops or not isinstance(sample, Loop):
                raise
            starts = (_start(each.rounds[0]) for each in column if isinstance(each, Loop))
            raise NotAlikeError(frozenset(starts)) from None

    def _apply(self, level: Level, leaves: Sequence[Any], prefer: Sequence[Symbol] = ()) -> Apply:
        sample = next(leaf for leaf in leaves if leaf is not None)
        inputs = self._inputs(level, [leaf and leaf.inputs for leaf in leaves])
        arguments: list[tuple[int | str, Expression]] = []
        for key in sample.construction.arguments:
            values = [
                HOLE if leaf is None else _argument(leaf.construction.arguments[key])
                for leaf in leaves
            ]
            if any(value is not HOLE for value in values) and key != "name":
                values = [HOLE if value == EITHER_PADDING else value for value in values]
            if all(value is HOLE for value in values):
                arguments.append((key, Constant(EITHER_PADDING)))
                continue
            arguments.append(
                (key, level.resolve(values, argument_name(sample.construction, key), prefer=prefer))
            )
        out = tuple(HOLE if leaf is None else leaf.out for leaf in leaves)
        target = _added(level, Value(out, _hint(sample)))
        layer = Made(sample.construction.name, tuple(arguments))
        nodes = tuple(None if leaf is None else leaf.node for leaf in leaves)
        first = sample.owner in ("", sample.path)
        return Apply(target, layer, inputs, nodes, sample.owner, first)

    def _call(self, level: Level, blocks: Sequence[Any]) -> Call:
        uses = [None if block is None else self.functions[id(block)] for block in blocks]
        known = [use for use in uses if use is not None]
        function = known[0][0]
        if any(other is not function for other, _ in known):
            raise NotAlikeError

        def values_of(values: Sequence[Any]) -> list[Any]:
            return [HOLE if use is None else values[use[1]] for use in uses]

        inputs = tuple(self._operand(level, values_of(each.ids)) for each in function.inputs)
        arguments: dict[Symbol, Expression] = {}
        for symbol in function.parameters:
            arguments[symbol] = level.resolve(values_of(symbol.values), symbol.name)
        hint = _hint(next(block for block in blocks if block is not None))
        targets = tuple(
            _added(level, Value(tuple(values_of(_ids(each))), hint)) for each in function.returns
        )
        numbers = tuple(None if use is None else use[1] for use in uses)
        return Call(targets, function, inputs, arguments, numbers)

    # Loops.

    def _loop(self, level: Level, loops: Sequence[Any]) -> For:
        places = [
            (k, number, each)
            for k, loop in enumerate(loops)
            for number, each in enumerate(loop.rounds if loop else ())
        ]
        parents, numbers, rounds = (list(column) for column in zip(*places, strict=True))
        sample = next(loop for loop in loops if loop is not None)
        inner = LoopLevel(level, parents, numbers)
        inner.firsts = [next(_read_around([*each.items]), HOLE) for each in rounds]
        body = self._body(inner, rounds)
        for each in inner.carried:
            each.update = self._update(inner, each)
        counts = [HOLE if loop is None else len(loop.rounds) for loop in loops]
        count = level.resolve(counts, _count_hint(sample))
        level.loops.append(inner)
        starts = tuple(tuple(map(_start, loop.rounds)) for loop in loops if loop is not None)
        return For(
            count,
            inner.index,
            inner.variables,
            body,
            inner.carried,
            inner.collected,
            parents,
            starts,
        )

    def _update(self, level: LoopLevel, carried: Carried) -> Value:
        """Return the tensor of a round that the next one takes for `carried`."""
        wanted: list[Any] = [HOLE] * level.size
        for k, number in enumerate(level.rounds):
            if number:
                wanted[k - 1] = carried.ids[k]
        update = self._known(level, wanted)
        if not isinstance(update, Value) or update is carried or update not in level.values:
            raise NotAlikeError
        return update

    # Tensors.

    def _inputs(self, level: Level, reads: Sequence[Any]) -> tuple[Operand, ...]:
        counts = {len(each) for each in reads if each is not None}
        if len(counts) > 1:
            raise NotAlikeError
        columns = [
            [HOLE if each is None else each[place] for each in reads]
            for place in range(counts.pop())
        ]
        operands = [self._operand(level, column) for column in columns]
        lists = {each.list for each in operands if isinstance(each, Item)}
        if len(operands) > 2 and len(lists) == 1 and not all(isinstance(e, Item) for e in operands):
            # The last round's is at hand by its name, too: the list as a whole is easier to read.
            listed = [self._listed(level, column) for column in columns]
            if all(each is not None and each.list in lists for each in listed):
                return tuple(each for each in listed if each is not None)
        return tuple(operands)

    def _operand(self, level: Level, ids: Sequence[Any]) -> Operand:
        """Return what a statement reads to get these tensors; a new input if nothing known does."""
        found = self._known(level, ids)
        if found is not None:
            return found
        if isinstance(level, LoopLevel):
            return self._carried(level, ids)
        if not isinstance(level, FunctionLevel) or {*ids} & {*_made(level.items)}:
            raise NotAlikeError(frozenset(_loops_around(level.items, {*ids})))
        value = Value(tuple(ids), "x" if not level.inputs else "other")
        level.inputs.append(value)
        level.values.insert(0, value)
        return value

    def _known(self, level: Level, ids: Sequence[Any]) -> Operand | None:
        """Return what gives these tensors; None if nothing known does."""
        if all(each is HOLE for each in ids):
            return None
        for value in reversed(level.values):
            if _same(ids, value.ids):
                return value
        for loop in reversed(level.loops):
            if found := self._after(level, loop, ids):
                return found
        if found := self._merged(level, ids):
            return found
        if isinstance(level, LoopLevel):
            lifted = level.lifted(ids)
            if lifted is not None and (around := self._known(level.around, lifted)) is not None:
                return around
        return self._listed(level, ids)

    def _after(self, level: Level, loop: LoopLevel, ids: Sequence[Any]) -> Value | None:
        """Return the tensor of a loop's last round."""
        last: list[int | None] = [None] * level.size
        for c, k in enumerate(loop.parents):
            last[k] = c
        for carried in loop.carried:
            update, initial = carried.update, carried.initial
            if update is None or not isinstance(initial, Value):
                continue
            start = _ids_at(level, initial)
            final = tuple(start[k] if c is None else update.ids[c] for k, c in enumerate(last))
            if _same(ids, final):
                return _added(level, Final(final, carried.hint, source=carried))
        for value in reversed(loop.values):
            final = tuple(HOLE if c is None else value.ids[c] for c in last)
            if _same(ids, final) and not isinstance(value, Carried):
                return _added(level, Final(final, value.hint, source=value))
        return None

    def _merged(self, level: Level, ids: Sequence[Any]) -> Value | None:
        """Return a tensor that a statement gives where it is carried out, else another."""
        for place in range(len(level.values) - 1, -1, -1):
            value = level.values[place]
            if HOLE not in value.ids or isinstance(value, (Merged, Final, Carried)):
                continue
            if value in level.inputs:
                continue
            pairs = [(a, b) for a, b in zip(ids, value.ids, strict=True) if HOLE not in (a, b)]
            if not pairs or any(a != b for a, b in pairs):
                continue
            rest = [a if b is HOLE else HOLE for a, b in zip(ids, value.ids, strict=True)]
            other = self._known(level, rest)
            if not isinstance(other, Value):
                continue
            if other in level.values and level.values.index(other) > level.values.index(value):
                continue
            theirs = _ids_at(level, other)
            both = tuple(b if a is HOLE else a for a, b in zip(value.ids, theirs, strict=True))
            merged = Merged(both, value.hint, then=value, other=other)
            level.values.insert(level.values.index(value) + 1, merged)
            return merged
        return None

    def _listed(self, level: Level, ids: Sequence[Any]) -> Item | None:
        """Return an item of the list of a tensor that an earlier loop gives in each round."""
        around: Level = level
        uses = list(range(level.size))
        while True:
            for loop in reversed(around.loops):
                for value in loop.values:
                    places = {
                        (loop.parents[c], each): loop.rounds[c]
                        for c, each in enumerate(value.ids)
                        if each is not HOLE
                    }
                    numbers = [
                        HOLE if each is HOLE else places.get((uses[k], each))
                        for k, each in enumerate(ids)
                    ]
                    if None in numbers:
                        continue
                    index = level.counter(numbers) or level.resolve(numbers, "number")
                    return Item(_collected(loop, value), index)
            if not isinstance(around, LoopLevel):
                return None
            uses = [around.parents[k] for k in uses]
            around = around.around

    def _carried(self, level: LoopLevel, ids: Sequence[Any]) -> Carried:
        """Return a new tensor that each round takes from the round before."""
        whole = level.firsts if _same(ids, level.firsts) else ids
        firsts = [each if r == 0 else HOLE for each, r in zip(whole, level.rounds, strict=True)]
        lifted = level.lifted(firsts)
        if lifted is None or any(
            each is HOLE for each, r in zip(whole, level.rounds, strict=True) if r == 0
        ):
            raise NotAlikeError
        initial = self._operand(level.around, lifted)
        value = Carried(tuple(whole), getattr(initial, "hint", ""), initial=initial)
        level.carried.append(value)
        level.values.insert(0, value)
        return value


def _added(level: Level, value: Value) -> Value:
    """Return a tensor that there is at a level from now on."""
    level.values.append(value)
    return value


def _expressions(body: list[Statement]) -> Iterator[Expression]:
    """Yield the expressions of statements, and all expressions in them."""
    for statement in statements(body):
        yield from expressions(statement)


def _operands(body: list[Statement], returns: list[Operand]) -> set[Any]:
    """Return the tensors that statements read, also those that conditions compare."""
    read: set[Any] = set()
    waiting: list[Any] = [*returns]
    for statement in statements(body):
        waiting += read_by(statement)
    while waiting:
        value = waiting.pop()
        if value in read:
            continue
        read.add(value)
        if isinstance(value, Merged):
            waiting += [value.then, value.other]
        if isinstance(value, Carried):
            waiting += [value.initial, value.update]
        if isinstance(value, Final):
            waiting.append(value.source)
    return read


def _collected(loop: LoopLevel, value: Value) -> Collected:
    for each in loop.collected:
        if each.of is value:
            return each
    sizes = {loop.parents.count(k) for k in loop.parents}
    count = sizes.pop() if len(sizes) == 1 and HOLE not in value.ids else 0
    made = Collected((), "skips", of=value, count=count)
    loop.collected.append(made)
    return made


def _ids_at(level: Level, value: Value) -> Sequence[Any]:
    """Return a tensor's ids for the uses of a level, perhaps inside the one that gives it."""
    levels = [level]
    while isinstance(levels[-1], LoopLevel) and value not in levels[-1].values:
        levels.append(levels[-1].around)
    ids: Sequence[Any] = value.ids
    for inner in reversed(levels[:-1]):
        if isinstance(inner, LoopLevel):
            ids = inner.extended(ids)
    return ids


def _ids(operand: Operand) -> tuple[Any, ...]:
    if isinstance(operand, Item):
        raise NotAlikeError
    return operand.ids


def _same(ids: Sequence[Any], others: Sequence[Any]) -> bool:
    return all(a is HOLE or a == b for a, b in zip(ids, others, strict=True))


def _round(block: Nest) -> Round:
    return Round(block.path, block.items, is_group=True)


def _read_around(items: list[Any]) -> Iterator[Id]:
    """Yield the tensors from outside that items read."""
    made: set[Id] = set()
    for layer in layers_in(items):
        for read in layer.inputs:
            if read not in made:
                made.add(read)
                yield read
        made.add(layer.out)


def _fields(blocks: list[Nest]) -> dict[str, list[Any]]:
    """Return the values of the arguments in which blocks differ, each as a program has it."""
    first = blocks[0].element
    fields: dict[str, list[Any]] = {}
    for name in type(first).model_fields if first else ():
        values = [_argument(getattr(block.element, name)) for block in blocks]
        kinds = {type(value) for value in values} - {type(None)}
        is_plain = len(kinds) == 1 and all(isinstance(value, _PLAIN) for value in values)
        if is_plain and any(repr(value) != repr(values[0]) for value in values):
            fields[name] = values
    return fields


_PLAIN = (int, float, str, tuple, type(None))


def _argument(value: Any) -> Any:
    if type(value) in (int, str, float, bool):
        return value
    if isinstance(value, (list, tuple)):
        return tuple(map(_argument, value))
    if isinstance(value, dict):
        return {key: _argument(each) for key, each in value.items()}
    if isinstance(value, Construction):
        given = {key: _argument(each) for key, each in value.arguments.items()}
        return Construction(value.name, given)
    return value


def _hint(item: Any) -> str:
    path = first_path(item).rpartition("/")[2]
    if isinstance(item, Leaf) and isinstance(item.out, tuple):
        path = "padded"
    return _word(path)


def _word(name: str) -> str:
    """Return a step's name without the number that archspec or a loop gave it."""
    numbered = re.fullmatch(r"([A-Za-z_]+?)_?\d+", name)
    return (numbered[1] if numbered else name) or "y"


def _loops_around(items: Iterable[Any], ids: AbstractSet[Any]) -> Iterator[str]:
    """Yield where the loops begin in which tensors are made, the outermost ones."""
    for item in items:
        if isinstance(item, Loop):
            if any(ids & {*_made(each.items)} for each in item.rounds):
                yield _start(item.rounds[0])
        elif isinstance(item, Nest):
            yield from _loops_around(item.items, ids)


def _made(items: Iterable[Any]) -> Iterator[Id]:
    """Yield the tensors that items make, those inside them too."""
    return (layer.out for layer in layers_in(items))


def _start(around: Round) -> str:
    """Return the path at which a round begins."""
    return around.path if around.is_group else first_path(around.items[0])


def _count_hint(loop: Loop) -> str:
    each = loop.rounds[0]
    word = _word(each.path.rpartition("/")[2]) if each.is_group else _hint(each.items[0])
    return f"{word}s"
