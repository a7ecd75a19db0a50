"""Names of a program's variables, chosen as a person does: `x` for what goes through.

A tensor takes over the variable of one that is not read any more, if it is computed from it, so
that a chain of layers is a chain of `x = ...`. Where a tensor is one of two, or goes from one round
of a loop to the next, both have one variable; if that is not possible, an `Alias` is inserted.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from archspec.ejection.program import (
    Alias,
    Append,
    Apply,
    Call,
    Carried,
    Collected,
    Final,
    For,
    If,
    Item,
    Merged,
    Operand,
    Program,
    Statement,
    Symbol,
    Value,
    read_by,
    statements,
)
from archspec.text import free_name

RESERVED = frozenset({*keyword.kwlist, *dir(builtins), "keras", "layers", "ops", "math", "np"})
"""Names that no variable may have."""


def identifier(text: str, taken: Iterable[str] = ()) -> str:
    """Return a text as a name that Python allows and nothing else has."""
    name = re.sub(r"\W", "_", text).strip("_") or "y"
    name = f"_{name}" if name[0].isdigit() else name
    used = {*taken, *RESERVED}
    return free_name(name, used.__contains__)


def name_classes(program: Program, taken: Iterable[str]) -> str:
    """Name a program's functions as classes; return a name for the class of the whole network."""
    used = {*taken}
    title = _camel(program.name) or "Network"
    title += "Network" if title in used else ""
    used.add(title)
    for function in program.functions:
        name = _camel(function.name)
        while name in used:
            name += "Block"
        function.name = name
        used.add(name)
    return title


def _camel(name: str) -> str:
    words = [each for each in re.split(r"[^A-Za-z0-9]+", name) if each]
    text = "".join(word[0].upper() + word[1:] for word in words)
    return f"Net{text}" if text[:1].isdigit() else text


def name_symbols(body: Sequence[Statement], parameters: Sequence[Symbol], depth: int = 0) -> None:
    """Give every variable of a loop a name that no other one around it has."""
    taken = {each.name for each in parameters}
    for statement in body:
        if isinstance(statement, If):
            name_symbols(statement.body, parameters, depth)
        if not isinstance(statement, For):
            continue
        statement.index.name = identifier("ijklmn"[depth % 6] * (depth // 6 + 1), taken)
        inner = [*parameters, statement.index]
        for symbol in statement.variables:
            names = {"layers", *(each.name for each in inner)}
            if symbol.name in names and symbol.name.endswith("s"):
                symbol.name = f"{symbol.name.removesuffix('s')}_count"
            symbol.name = identifier(symbol.name, names)
            inner.append(symbol)
        name_symbols(statement.body, inner, depth + 1)


class _Web:
    """Tensors that must have one variable, and where they are."""

    def __init__(self, value: Value) -> None:
        self.values = [value]
        self.start: float = 0
        self.end: float = 0
        self.name = ""
        self.carried: Carried | None = None
        """The tensor of a loop for which this keeps a variable free at the end of each round."""


def singular(word: str) -> str:
    """Return the name of one of several things: `conv2` of `convs2`."""
    return re.sub(r"(?<=..)s(\d*)$", r"\1", word)


def name_tensors(
    body: list[Statement],
    inputs: Sequence[Value],
    returns: Sequence[Any],
    taken: Iterable[str],
    parameters: Iterable[str] = (),
) -> None:
    """Give every tensor of a function a name, and insert the aliases that this needs.

    Args:
        body: The statements.
        inputs: The tensors that come in.
        returns: What is read at the end.
        taken: Names that are not free, those of functions among them.
        parameters: Further such names.
    """
    own = {*parameters}
    _Naming(body, inputs, returns, {*taken, *own}, own).run()


@dataclass
class _Naming:
    body: list[Statement]
    inputs: Sequence[Value]
    returns: Sequence[Any]
    taken: set[str]
    parameters: set[str]
    position: dict[int, int] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)
    around: dict[int, list[For]] = field(default_factory=dict)
    """The loops in which each tensor is made, by its identity."""
    webs: dict[int, _Web] = field(default_factory=dict)
    order: list[tuple[int, Any, Value]] = field(default_factory=list)
    """Each tensor that is made, by position, with its statement."""
    uses: list[tuple[Any, int, list[For]]] = field(default_factory=list)
    under: dict[int, If] = field(default_factory=dict)
    """The condition under which each tensor is made, by its identity."""
    aliases: dict[int, Alias] = field(default_factory=lambda: defaultdict(Alias))
    """The assignments before each statement, by its identity."""
    named: list[_Web] = field(default_factory=list)
    finals: dict[int, _Web] = field(default_factory=dict)
    """The web of each carried tensor after its loop, by the identity of the tensor."""
    updates: dict[int, list[tuple[Carried, For]]] = field(default_factory=dict)
    """The tensors that loops carry, with their loops, by the identity of what they become."""

    def run(self) -> None:
        _place_appends(self.body)
        for each in self.inputs:
            self._made(each, 0, None, [])
        end = self._walk(self.body, 0, [])
        self.uses += [(operand, end + 1, []) for operand in self.returns]
        self._join()
        for operand, at, around in self.uses:
            self._extend(operand, at, around)
        for at, statement, value in sorted(self.order, key=lambda each: each[0]):
            web = self.webs[id(value)]
            if not web.name:
                self._name(web, at, statement, value)
        for web in {id(each): each for each in self.webs.values()}.values():
            for value in web.values:
                value.name = web.name
        self._insert(self.body)
        for statement in statements(self.body):
            if isinstance(statement, For):
                for collected in statement.collected:
                    self._name_list(collected)
                self._carry_on(statement)

    def _carry_on(self, loop: For) -> None:
        """Let what a loop carries have its variables at the end of each round."""
        alias = Alias()
        for each in loop.carried:
            self._assign(alias, each.name, each.update)
        if alias.tensors:
            loop.body.append(alias)

    # What is made and read, and where.

    def _made(self, value: Value, at: int, statement: Any, around: list[For]) -> None:
        self.webs[id(value)] = web = _Web(value)
        web.start = web.end = at
        self.around[id(value)] = [*around]
        self.order.append((at, statement, value))

    def _walk(
        self, body: Sequence[Statement], at: int, around: list[For], under: If | None = None
    ) -> int:
        for statement in body:
            at += 1
            self.position[id(statement)] = at
            self.uses += [(each, at, around) for each in read_by(statement)]
            if isinstance(statement, (Apply, Call)):
                for target in statement.targets:
                    self._made(target, at, statement, around)
                    if under:
                        self.under[id(target)] = under
            if isinstance(statement, If):
                at = self._walk(statement.body, at, around, statement)
            if isinstance(statement, For):
                inner = [*around, statement]
                for carried in statement.carried:
                    self._made(carried, at, statement, inner)
                    if carried.update is not None:
                        self.updates.setdefault(id(carried.update), []).append((carried, statement))
                at = self._walk(statement.body, at, inner) + 1
                self.ends[id(statement)] = at
                for carried in statement.carried:
                    self.uses.append((carried.update, at, inner))
        return at

    def _join(self) -> None:
        """Let tensors that must have one variable have one."""
        waiting = [operand for operand, _, _ in self.uses]
        while waiting:
            value = waiting.pop()
            if not isinstance(value, Value) or id(value) in self.webs:
                continue
            same = None
            if isinstance(value, Merged):
                same = value.then
            if isinstance(value, Final) and isinstance(value.source, Carried):
                self._made_by_loop(value, value.source)
                continue
            if isinstance(value, Final):
                same = value.source
            if same is None:
                continue
            if id(same) not in self.webs:
                waiting += [value, same]
                continue
            web = self.webs[id(same)]
            web.values.append(value)
            self.webs[id(value)] = web
            self.around[id(value)] = self.around[id(same)]
            if isinstance(value, Merged) and value.other is not None:
                waiting.append(value.other)
                under = self.under.get(id(value.then))
                at = self.position[id(under)] if under else int(web.start)
                self.uses.append((value.other, at, self.around[id(same)]))

    def _made_by_loop(self, value: Final, carried: Carried) -> None:
        """Let what a loop carries be a tensor of its own after the loop."""
        if id(carried) not in self.webs:
            return
        loop = next(
            loop for each, loop in chain.from_iterable(self.updates.values()) if each is carried
        )
        self._made(value, self.ends[id(loop)], carried, self.around[id(carried)][:-1])
        self.finals[id(carried)] = self.webs[id(value)]

    def _extend(self, operand: Any, at: int, around: list[For]) -> None:
        if isinstance(operand, Item) or operand is None or isinstance(operand, Collected):
            return
        web = self.webs[id(operand)]
        made = operand if isinstance(operand, Carried) else web.values[0]
        inside = self.around[id(made)]
        outer = next((each for each in around if each not in inside), None)
        web.end = max(web.end, self.ends[id(outer)] if outer else at)

    # Names.

    def _name(self, web: _Web, at: int, statement: Any, value: Value) -> None:
        if isinstance(statement, Carried):
            web.name = self.webs[id(statement)].name
            self.named.append(web)
            return
        after = self.finals.get(id(value))
        for name in self._wanted(web, statement, value):
            if name and self._is_free(name, web, at):
                if after and not self._is_free(name, after, after.start):
                    continue
                web.name = name
                break
        else:
            hint = "x" if isinstance(value, Carried) else value.hint
            if isinstance(statement, (Apply, Call)) and statement.inputs[0] in self.inputs:
                is_main = any(each in self.inputs for each in self.returns)
                hint = "x" if is_main else hint
            if hint in self.taken and statement is not None:
                hint = f"{hint}_out" if hint in self.parameters else "y"
            names = {each.name for each in self.named if each.end > at or each.start >= at}
            web.name = identifier(hint, names | self.taken)
        self.named.append(web)
        if isinstance(value, Carried):
            held = _Web(value)
            held.start = held.end = self.ends[id(statement)]
            held.start -= 0.5
            held.end += 0.5
            held.name, held.carried = web.name, value
            self.named.append(held)
        merged = next((each for each in web.values if isinstance(each, Merged)), None)
        if merged is not None and id(merged.then) in self.under:
            under = self.under[id(merged.then)]
            self._assign(self.aliases[id(under)], web.name, merged.other)
        if isinstance(value, Carried):
            self._assign(self.aliases[id(statement)], web.name, value.initial)

    def _assign(self, alias: Alias, name: str, tensor: Operand | None) -> None:
        """Let a variable be a tensor's, if it is not already."""
        if isinstance(tensor, Item) or (tensor and self.webs[id(tensor)].name != name):
            alias.tensors[name] = tensor

    def _wanted(self, web: _Web, statement: Any, value: Value) -> Iterable[str]:
        if isinstance(value, Carried):
            if isinstance(value.initial, Value):
                yield self.webs[id(value.initial)].name
            return
        for each in web.values:
            for carried, _ in self.updates.get(id(each), ()):
                yield self.webs[id(carried)].name
        for each in web.values:
            if isinstance(each, Merged) and isinstance(each.other, Value):
                yield self.webs[id(each.other)].name
        if isinstance(statement, (Apply, Call)):
            if value is not statement.targets[0]:
                return
            for operand in statement.inputs:
                if isinstance(operand, Value):
                    yield self.webs[id(operand)].name

    def _is_free(self, name: str, web: _Web, at: float) -> bool:
        return not any(
            each.name == name and each.end > at and each.start < max(web.end, at + 1)
            for each in self.named
            if each is not web and not (each.carried and each.carried.update in web.values)
        )

    def _name_list(self, collected: Collected) -> None:
        names = {each.name for each in self.named} | self.taken
        collected.name = identifier(collected.hint, names)
        self.taken.add(collected.name)

    def _insert(self, body: list[Statement]) -> None:
        for statement in [*body]:
            if isinstance(statement, (If, For)):
                self._insert(statement.body)
            alias = self.aliases[id(statement)]
            if alias.tensors:
                body.insert(body.index(statement), alias)


def _place_appends(body: list[Statement]) -> None:
    """Let every tensor of which a loop keeps a list be appended where it is made."""
    for statement in [*body]:
        if isinstance(statement, (If, For)):
            _place_appends(statement.body)
        if isinstance(statement, For):
            for collected in statement.collected:
                place = next(
                    (n for n, each in enumerate(statement.body) if _makes(each, collected.of)), -1
                )
                statement.body.insert(place + 1, Append(collected))


def _makes(statement: Statement, value: Value | None) -> bool:
    if isinstance(value, Merged):
        return _makes(statement, value.then)
    if isinstance(value, Final):
        return isinstance(statement, For) and (
            value.source in statement.carried or _makes(statement, value.source)
        )
    if isinstance(statement, (If, For)):
        return any(_makes(each, value) for each in statement.body)
    return isinstance(statement, (Apply, Call)) and value in statement.targets
