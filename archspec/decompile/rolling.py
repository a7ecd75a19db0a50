"""Loops: equal neighbours become a `repeat`, alike ones a `for` with what differs as lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from archspec.decompile.naming import common_name
from archspec.decompile.steps import (
    PREVIOUS,
    Expression,
    First,
    Step,
    computes,
    default_of,
    plain,
    type_name,
    type_of,
)
from archspec.spec.document import name_problem
from archspec.text import free_name

LONGEST_PERIOD = 24
"""Largest number of steps in a round of a loop."""

MOST_ROUNDS = 1_000
"""Largest number of rounds: the language's lists are no longer."""

WORK = 400_000
"""Steps that are compared until no further loops are looked for."""

FIRST: Final = frozenset({"stride", "preactivate", "expansion", "shortcut"})
"""Arguments that may differ between the first round of a `repeat` and the others."""

JOINED: Final = frozenset({"residual", "inverted_residual"})
"""Kinds of which the first of several may differ."""

SHORT: Final = {"repeat": "n", "layers": "n", "amount": "pad"}
"""Names of variables for arguments whose own name would mislead."""

Values = tuple[Any, ...]


def rolled(
    steps: Sequence[Step], entry: int, starts: Sequence[int], heads: Sequence[Step]
) -> list[Step]:
    """Return the same steps with loops.

    Args:
        steps: The steps.
        entry: The node that the first of them reads.
        starts: The nodes at which heads start.
        heads: The steps of all heads.
    """
    inside = [each for step in (*steps, *heads) for each in step.walk()]
    reads = reads_of(inside, starts)
    return _Rolling(reads, {each.owner for each in inside}).sequence(steps, entry)


def reads_of(steps: Iterable[Step], starts: Sequence[int]) -> Counter[int]:
    """Return the number of times that each node is read by its name.

    Args:
        steps: All steps, those inside others too.
        starts: The nodes at which heads start.
    """
    reads = Counter(source for each in steps for source in each.sources)
    reads.update(starts)
    return reads


class Round(NamedTuple):
    """Steps that may be a round of a loop, and what the first of them reads."""

    steps: Sequence[Step]
    entry: int


class _Rolling:
    def __init__(self, reads: Counter[int], owners: set[int]) -> None:
        self.reads = reads
        """Number of times that each node is read by its name."""
        self.owners = owners
        """Outputs of steps whose weights others share."""
        self.left = WORK

    def sequence(self, steps: Sequence[Step], entry: int) -> list[Step]:
        """Return steps with loops, those inside them too.

        What is equal becomes a `repeat` everywhere, before what is alike becomes a `for`, outside
        before inside: groups that differ in a number are alike only as long as each is written
        in the same way.
        """
        return self._alike(self._equal(list(steps), entry), entry)

    def _equal(self, steps: list[Step], entry: int) -> list[Step]:
        self._inside(steps, entry, self._equal)
        return self._after_first(self._loops(steps, exact=True))

    def _alike(self, steps: list[Step], entry: int) -> list[Step]:
        result = self._loops(steps, exact=False)
        while len(result) < len(steps):
            steps, result = result, self._loops(result, exact=False)
        self._inside(result, entry, self._alike)
        return result

    @staticmethod
    def _inside(
        steps: Iterable[Step], entry: int, rolled: Callable[[list[Step], int], list[Step]]
    ) -> None:
        """Replace the sequences inside steps."""
        for step in steps:
            start = step.sources[0] if step.sources[0] != PREVIOUS else entry
            step.branches = [rolled(way, start) for way in step.branches]
            step.body = rolled(step.body, start) if step.body else []
            entry = step.output

    def _after_first(self, steps: list[Step]) -> list[Step]:
        """Join a step and its repetitions after it that differ in the stride or the like."""
        result: list[Step] = []
        i = 0
        while i < len(steps):
            joined = self._joined(steps[i], steps[i + 1]) if i + 1 < len(steps) else None
            result.append(joined or steps[i])
            i += 2 if joined else 1
        return result

    def _joined(self, first: Step, others: Step) -> Step | None:
        if first.kind not in JOINED or first.kind != others.kind or first.repeat is not None:
            return None
        if first.sources != (PREVIOUS,) or others.sources != (PREVIOUS,) or others.loop:
            return None
        differ = [n for n, value in first.arguments.items() if others.arguments[n] != value]
        times = others.repeat or 1
        if not differ or not FIRST.issuperset(differ) or not isinstance(times, int):
            return None
        if times < 2 and differ != ["stride"]:
            return None
        arguments = others.arguments | {
            name: First(first.arguments[name], others.arguments[name]) for name in differ
        }
        rounds = (first.output, *(others.rounds or (others.output,)))
        return replace(
            first, arguments=arguments, repeat=times + 1, rounds=rounds, output=others.output
        )

    def _loops(self, steps: list[Step], *, exact: bool) -> list[Step]:
        """Return steps with the loops that shorten the text most."""
        best: tuple[float, int, int, Step] | None = None
        keys = [_exact_key(step) if exact else _skeleton(step) for step in steps]
        longest = 1 if exact else LONGEST_PERIOD
        for period in range(1, min(longest, len(steps) // 2) + 1):
            for start, rounds in _runs(keys, period):
                if self.left < 0:
                    break
                self.left -= period * rounds
                span = steps[start : start + period * rounds]
                made = self._loop(span, period, self._entry(steps, start), exact=exact)
                if made is None:
                    continue
                before = sum(map(cost, span))
                gain = before - cost(made)
                least = max(3, before / 4) if made.loop else 0
                if gain > least and (best is None or gain > best[0]):
                    best = gain, start, period * rounds, made
        if best is None:
            return steps
        _, start, length, made = best
        left, right = steps[:start], steps[start + length :]
        result = [*self._loops(left, exact=exact), made, *self._loops(right, exact=exact)]
        return self._loops(result, exact=exact) if exact else result

    @staticmethod
    def _entry(steps: Sequence[Step], start: int) -> int:
        return steps[start - 1].output if start else PREVIOUS

    def _loop(self, span: list[Step], period: int, entry: int, *, exact: bool) -> Step | None:
        """Return steps as a loop of rounds that are so long; None where they are none."""
        rounds = []
        for i in range(0, len(span), period):
            rounds.append(Round(span[i : i + period], entry))
            entry = span[i + period - 1].output
        if len(rounds) > MOST_ROUNDS or not self._is_closed(rounds):
            return None
        alike = Alike(rounds)
        body = alike.steps([each.steps for each in rounds])
        if body is None or (exact and alike.lists):
            return None
        last = span[-1]
        outputs = tuple(each.steps[-1].output for each in rounds)
        if alike.lists:
            loop = alike.named(body)
            return Step("layers", last.output, loop=loop, body=body, rounds=outputs)
        if period == 1 and body[0].repeat is None and len(body[0].sources) == 1:
            return replace(body[0], repeat=len(rounds), rounds=outputs, output=last.output)
        return Step("layers", last.output, repeat=len(rounds), body=body, rounds=outputs)

    def _is_closed(self, rounds: Sequence[Round]) -> bool:
        """Return whether what is inside a round is read in that round alone."""
        for steps, _ in rounds:
            inside = [each for step in steps for each in step.walk()]
            own = Counter(source for each in inside for source in each.sources)
            if any(each.output in self.owners for each in inside):
                return False
            last = steps[-1].output
            if any(
                self.reads[output] > own[output]
                for each in inside
                for output in (each.output, *each.rounds)
                if output != last
            ):
                return False
        return True


def _runs(keys: Sequence[Any], period: int) -> Iterator[tuple[int, int]]:
    """Yield starts and numbers of rounds where keys repeat with a period."""
    start = 0
    size = len(keys)
    while start + period < size:
        if keys[start] != keys[start + period]:
            start += 1
            continue
        stop = start
        while stop + period < size and keys[stop] == keys[stop + period]:
            stop += 1
        length = stop - start + period
        for shift in range(min(period, length - 2 * period + 1)):
            yield start + shift, (length - shift) // period
        start = stop


def _skeleton(step: Step) -> Any:
    """Return what two steps must have in common to be rounds of a loop."""
    inner = tuple(tuple(map(_skeleton, each)) for each in step.inner)
    merge = step.arguments["merge"] if step.branches else ""
    return step.kind, len(step.sources), inner, merge, tuple(step.loop), step.name


def _exact_key(step: Step) -> Any:
    """Return all that two steps must have in common to be rounds of a `repeat`."""
    inner = tuple(tuple(map(_exact_key, each)) for each in step.inner)
    values = repr((step.arguments, step.repeat, step.loop))
    return step.kind, len(step.sources), inner, values


def cost(step: Step) -> float:
    """Return about how much there is to read in a step."""
    total = 3.0 + 2 * (step.repeat is not None) + len(step.sources) - 1
    for name, value in step.arguments.items():
        if step.element is None or step.branches or value != plain(default_of(step.element, name)):
            total += 2 if isinstance(value, First) else 1
    total += sum(2 + 0.4 * _size(values) for values in step.loop.values())
    return total + sum(map(cost, (each for sequence in step.inner for each in sequence)))


def _size(values: Any) -> int:
    """Return the number of values in a list, those in its lists counted three times."""
    return sum(3 * _size(each) if isinstance(each, list) else 1 for each in values)


class Alike:
    """Rounds of a loop, of which one remains; what differs becomes lists."""

    def __init__(self, rounds: Sequence[Round], *, are_apart: bool = False) -> None:
        """Take the rounds.

        Args:
            rounds: Steps that are alike.
            are_apart: Whether they are places of a block, which sees no variables around it.
        """
        self._are_apart = are_apart
        self.lists: dict[str, list[Any]] = {}
        self._known: dict[str, str] = {}
        self._inner = {
            name
            for steps, _ in rounds
            for step in steps
            for each in step.walk()
            for name in each.loop
        }
        self._entries = tuple(each.entry for each in rounds)
        self._places: list[dict[int, int]] = []
        """The place of every step in its round by its output, for each round."""
        for steps, _ in rounds:
            inside = (each for step in steps for each in step.walk())
            self._places.append({step.output: place for place, step in enumerate(inside)})

    def steps(self, columns: Sequence[Sequence[Step]]) -> list[Step] | None:
        """Return the steps of one round, in which differences are variables."""
        if len({len(column) for column in columns}) > 1:
            return None
        made = [self.step(alike) for alike in zip(*columns, strict=True)]
        return None if None in made else made  # type: ignore[return-value]

    def step(self, alike: Sequence[Step]) -> Step | None:
        """Return one step for those at the same place of each round."""
        first = alike[0]
        if not all(
            self._is_same([step.sources[i] for step in alike]) for i in range(len(first.sources))
        ):
            return None
        if not self._is_same([step.owner for step in alike]):
            return None
        arguments = {}
        for name in first.arguments:
            value = self.value(name, [step.arguments[name] for step in alike])
            if value is None and any(step.arguments[name] is not None for step in alike):
                return None
            arguments[name] = value
        made = replace(first, arguments=arguments)
        if self._are_apart:
            made.layer = common_name([step.layer for step in alike])
        if any(step.repeat is not None for step in alike):
            made.repeat = self.value("repeat", [step.repeat or 1 for step in alike])
            if made.repeat is None:
                return None
        for name in first.loop:
            if any(step.loop[name] != first.loop[name] for step in alike):
                return None
        if first.body:
            body = self.steps([step.body for step in alike])
            if body is None:
                return None
            made.body = body
        if first.branches:
            made.branches = []
            for i in range(len(first.branches)):
                way = self.steps([step.branches[i] for step in alike])
                if way is None:
                    return None
                made.branches.append(way)
        return made

    def _is_same(self, sources: Sequence[int]) -> bool:
        """Return whether the rounds read the same: by place in the round, or outside of it."""
        if len({*sources}) == 1:
            return True
        if tuple(sources) == self._entries:
            return True
        places = {known.get(each) for known, each in zip(self._places, sources, strict=True)}
        return len(places) == 1 and None not in places

    def value(self, name: str, values: Sequence[Any]) -> Any:
        """Return the value in all rounds, or a variable; None where none can be written."""
        if self._are_apart:
            values = _spread(values)
            if any(isinstance(value, Expression) for value in values):
                return None if type_of(values) is None else self._listed(name, values)
        if all(value == values[0] and type(value) is type(values[0]) for value in values):
            return values[0]
        if any(isinstance(value, First) for value in values):
            both = [v if isinstance(v, First) else First(v, v) for v in values]
            first = self.value(name, [each.first for each in both])
            others = self.value(name, [each.others for each in both])
            if first is None or others is None:
                return None
            return first if first == others else First(first, others)
        if any(isinstance(value, dict) or computes(value) for value in values):
            return None
        if all(isinstance(value, list) and len(value) == len(values[0]) for value in values):
            columns = [*zip(*values, strict=True)]
            differ = [at for at, each in enumerate(columns) if any(v != each[0] for v in each)]
            if len(differ) == 1 and all(type(v) is int for v in columns[differ[0]]):
                one: list[Any] = [*values[0]]
                one[differ[0]] = self.value(name, columns[differ[0]])
                return one
        return self._listed(name, values)

    def _listed(self, name: str, values: Sequence[Any]) -> Expression:
        """Return the variable that has these values."""
        values = [*values]
        key = repr([(type_name(value), value) for value in values])
        if key not in self._known:
            self._known[key] = self._variable(SHORT.get(name, name))
            self.lists[self._known[key]] = values
        return Expression(self._known[key], type_of(values))

    def _variable(self, name: str) -> str:
        def is_taken(name: str) -> bool:
            problem = name_problem(name, "a variable", variable=True)
            return name in self.lists or name in self._inner or problem is not None

        return free_name(name, is_taken, mark="")

    def named(self, body: list[Step]) -> dict[str, list[Any]]:
        """Return the lists of a loop; multiples of another are computed in `body` instead."""
        computed: dict[str, str] = {}
        kept: dict[str, list[Any]] = {}
        for name, values in self.lists.items():
            text = next(
                (text for other in kept if (text := _multiple(other, kept[other], values))), None
            )
            if text:
                computed[name] = text
            else:
                kept[name] = values
        if computed:
            for step in body:
                for each in step.walk():
                    each.arguments = {
                        name: _computed(value, computed) for name, value in each.arguments.items()
                    }
                    each.repeat = _computed(each.repeat, computed)
        return kept


def _spread(values: Sequence[Any]) -> Sequence[Any]:
    """Return amounts in one form: a number as a list of it where others are lists."""
    form = next((value for value in values if type(value) is list), None)
    if form is None or {*map(type, values)} != {int, list}:
        return values
    return [_filled(form, value) if type(value) is int else value for value in values]


def _filled(form: Any, value: int) -> Any:
    return [_filled(each, value) for each in form] if isinstance(form, list) else value


def _computed(value: Any, computed: dict[str, str]) -> Any:
    if isinstance(value, First):
        return First(_computed(value.first, computed), _computed(value.others, computed))
    if isinstance(value, list):
        return [_computed(each, computed) for each in value]
    if isinstance(value, Expression):
        return Expression(computed.get(value, value), value.type)
    return value


def _multiple(name: str, values: list[Any], others: list[Any]) -> str | None:
    """Return the text of `others` as a multiple or a share of `values`; None if it is neither."""
    if not all(type(each) is int and each > 0 for each in (*values, *others)):
        return None
    pairs = [*zip(values, others, strict=True)]
    first, other = pairs[0]
    if other % first == 0 and all(b == a * (other // first) for a, b in pairs):
        return f"{name} * {other // first}"
    if first % other == 0 and all(b * (first // other) == a for a, b in pairs):
        return f"{name} // {first // other}"
    return None
