"""Loops: equal neighbours become a `repeat`, alike ones a `for` with what differs as lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby, pairwise
from typing import Any, Final, NamedTuple

from archspec.decompile.extents import ways_from_shapes
from archspec.decompile.naming import common_name
from archspec.decompile.steps import (
    PREVIOUS,
    Expression,
    First,
    Step,
    computes,
    type_name,
    type_of,
    usual,
    walk,
)
from archspec.ops.axes import AXES
from archspec.ops.shape import Shape
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
"""Kinds whose first round in a `repeat` may differ by an argument of `FIRST`."""

COUNT: Final = "n"
"""Name of a variable that counts rounds or layers, of which no width is a multiple."""

SHORT: Final = {"repeat": COUNT, "layers": COUNT, "amount": "pad"}
"""Names of variables for arguments whose own name would mislead."""

CONDITIONS: Final = {"conv": "project"}
"""Names of conditions for steps whose own kind would mislead."""

LACKING: Final = object()
"""The value of a variable in a round that has no step with it."""


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
    inside = [*walk((*steps, *heads))]
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


@dataclass
class _Rolling:
    reads: Counter[int]
    """Number of times that each node is read by its name."""
    owners: set[int]
    """Outputs of steps whose weights others share."""
    left: int = WORK

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
            first,
            arguments=arguments,
            repeat=times + 1,
            rounds=rounds,
            output=others.output,
            shape=None,
        )

    def _loops(self, steps: list[Step], *, exact: bool) -> list[Step]:
        """Return steps with the loops that shorten the text most."""
        best: tuple[float, int, int, Step] | None = None
        keys = [_exact_key(step) if exact else _skeleton(step) for step in steps]
        costs = [*accumulate(map(cost, steps), initial=0.0)]
        longest = 1 if exact else LONGEST_PERIOD
        for period in range(1, min(longest, len(steps) // 2) + 1):
            for start, rounds in _runs(keys, period):
                if self.left < 0:
                    break
                stop = start + period * rounds
                before = costs[stop] - costs[start]
                edges = range(start, stop + 1, period)
                one = max(costs[end] - costs[begin] for begin, end in pairwise(edges))
                if best is not None and before - one <= best[0]:  # a round at least remains
                    continue
                self.left -= period * rounds
                span = steps[start:stop]
                made = self._loop(span, period, self._entry(steps, start), exact=exact)
                if made is None:
                    continue
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
        """Return steps as a loop with rounds of a length; None where they are not rounds."""
        rounds = []
        for i in range(0, len(span), period):
            rounds.append(Round(span[i : i + period], entry))
            entry = span[i + period - 1].output
        if len(rounds) > MOST_ROUNDS or not self._is_closed(rounds):
            return None
        if any(map(_asks_group, span)):
            return None
        alike = Alike(rounds)
        body = alike.steps()
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
            inside = [*walk(steps)]
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
    return step.kind, len(step.sources), inner, merge, tuple(step.loop), step.name, step.when


def _exact_key(step: Step) -> Any:
    """Return all that two steps must have in common to be rounds of a `repeat`."""
    inner = tuple(tuple(map(_exact_key, each)) for each in step.inner)
    values = repr((step.arguments, step.repeat, step.loop, step.when))
    return step.kind, len(step.sources), inner, values


def cost(step: Step) -> float:
    """Return roughly how much there is to read in a step."""
    total = 3.0 + 2 * (step.repeat is not None) + (step.when is not None) + len(step.sources) - 1
    for name, value in step.arguments.items():
        if step.element is None or step.branches or value != usual(step, name):
            total += 2 if isinstance(value, First) else 1
    total += sum(2 + 0.4 * _size(values) for values in step.loop.values())
    return total + sum(map(cost, (each for sequence in step.inner for each in sequence)))


def _size(values: Any) -> int:
    """Return the number of values in a list, those in its lists counted three times."""
    return sum(3 * _size(each) if isinstance(each, list) else 1 for each in values)


class _UnlikeError(Exception):
    """Raised where rounds differ in what no variable can be."""


class Alike:
    """Rounds of a loop, of which one remains; what differs becomes lists."""

    def __init__(
        self,
        rounds: Sequence[Round],
        *,
        are_apart: bool = False,
        key: Callable[[Step], Hashable] | None = None,
    ) -> None:
        """Take the rounds.

        Args:
            rounds: Steps that are alike.
            are_apart: Whether they are places of a block, which sees no variables around it.
            key: What steps must have in common to be one, where some rounds may lack steps that
                others have; None where none may.
        """
        self._are_apart = are_apart
        self._key = key
        self._rounds = rounds
        self._every = tuple(range(len(rounds)))
        self.lists: dict[str, list[Any]] = {}
        self._known: dict[str, str] = {}
        self._bases: dict[str, str] = {}
        """The name of each variable, without a number that tells it from others."""
        self._inner = {name for steps, _ in rounds for each in walk(steps) for name in each.loop}
        self._places: list[dict[int, int]] = [{} for _ in rounds]
        """The place of every step so far in its round by its output, for each round."""
        self._outputs: list[int] = []
        """The output of the step that remains at each place."""

    def steps(self) -> list[Step] | None:
        """Return the steps of one round, in which differences are variables; None if none can be.

        `lists` has the values of the variables then.
        """
        try:
            return self._steps([each.steps for each in self._rounds], self._every)
        except _UnlikeError:
            return None

    def _steps(self, columns: Sequence[Sequence[Step]], numbers: tuple[int, ...]) -> list[Step]:
        """Return the steps of one for the rounds of these numbers."""
        rows: Sequence[Sequence[Step | None]]
        if self._key is not None:
            rows = aligned(columns, self._key)
        elif len({len(column) for column in columns}) > 1:
            raise _UnlikeError
        else:
            rows = [*zip(*columns, strict=True)]
        starts = {
            number: column[0].shape
            for number, column in zip(numbers, columns, strict=True)
            if column and column[0].sources == (PREVIOUS,)
        }
        made: list[Step] = []
        for row in rows:
            having = [pair for pair in zip(numbers, row, strict=True) if pair[1] is not None]
            places = tuple(number for number, _ in having)
            step = self._step([step for _, step in having if step], places, starts)
            if len(places) < len(numbers):
                step.when = places
            made.append(step)
        return made

    def _step(
        self,
        alike: Sequence[Step],
        numbers: tuple[int, ...],
        starts: Mapping[int, Shape | None],
    ) -> Step:
        """Return one step for those at the same place of each round.

        `starts` has the shape that the group around it takes, in each round where it is known.
        """
        shapes = _Shapes(
            [None if step.repeat is not None else step.shape for step in alike],
            [starts.get(number) for number in numbers],
        )
        first = alike[0]
        read = [[step.sources[i] for step in alike] for i in range(len(first.sources))]
        owners = [step.owner for step in alike]
        if not all(self._is_same(each, numbers) for each in (*read, owners)):
            raise _UnlikeError
        arguments = {
            name: self._value(name, [step.arguments[name] for step in alike], numbers, shapes)
            for name in first.arguments
        }
        sources = tuple(self._as_written(source, numbers[0]) for source in first.sources)
        shape = first.shape if len({step.shape for step in alike}) == 1 else None
        made = replace(first, arguments=arguments, sources=sources, shape=shape)
        if self._are_apart:
            made.layer = common_name([step.layer for step in alike])
        if any(step.repeat is not None for step in alike):
            made.repeat = self._value("repeat", [step.repeat or 1 for step in alike], numbers)
        if any(step.loop[name] != first.loop[name] for name in first.loop for step in alike):
            raise _UnlikeError
        if first.body:
            made.body = self._steps([step.body for step in alike], numbers)
        made.branches = [
            self._steps([step.branches[i] for step in alike], numbers)
            for i in range(len(first.branches))
        ]
        for number, step in zip(numbers, alike, strict=True):
            self._places[number][step.output] = len(self._outputs)
        self._outputs.append(made.output)
        return made

    def _as_written(self, source: int, number: int) -> int:
        """Return what a step of a round reads, in terms of the round that remains."""
        if number == 0:
            return source
        if source == self._rounds[number].entry:
            return self._rounds[0].entry
        place = self._places[number].get(source)
        return source if place is None else self._outputs[place]

    def _is_same(self, sources: Sequence[int], numbers: Sequence[int]) -> bool:
        """Return whether rounds read the same: by place in the round, or outside of it."""
        if len({*sources}) == 1:
            return True
        pairs = zip(numbers, sources, strict=True)
        if all(self._rounds[n].entry == each for n, each in pairs):
            return True
        places = {self._places[n].get(each) for n, each in zip(numbers, sources, strict=True)}
        return len(places) == 1 and None not in places

    def _value(
        self,
        name: str,
        values: Sequence[Any],
        numbers: tuple[int, ...],
        shapes: _Shapes | None = None,
    ) -> Any:
        """Return the value of an argument in these rounds, or a variable, or what gives it."""
        if self._are_apart:
            values = _spread(values)
            if any(isinstance(value, Expression) for value in values):
                if type_of(values) is None:
                    raise _UnlikeError
                return self._listed(name, values, numbers)
        if all(value == values[0] and type(value) is type(values[0]) for value in values):
            return values[0]
        if any(isinstance(value, First) for value in values):
            both = [v if isinstance(v, First) else First(v, v) for v in values]
            first = self._value(name, [each.first for each in both], numbers)
            others = self._value(name, [each.others for each in both], numbers)
            if first is None or others is None:
                raise _UnlikeError
            return first if first == others else First(first, others)
        if any(isinstance(value, dict) or computes(value) for value in values):
            raise _UnlikeError
        if all(isinstance(value, list) and len(value) == len(values[0]) for value in values):
            columns = [*zip(*values, strict=True)]
            one: list[Any] = [*values[0]]
            differ = []
            for at, each in enumerate(columns):
                if any(v != each[0] for v in each):
                    axis = AXES.get(len(columns) - 1, ())[at : at + 1] or ("channels",)
                    follows = shapes and shapes.give(axis[0], each)
                    one[at] = follows
                    differ += [] if follows else [at]
            if not differ:
                return one
            if len(differ) == 1 and all(type(v) is int for v in columns[differ[0]]):
                one[differ[0]] = self._value(name, columns[differ[0]], numbers)
                return one
        if self._are_apart and shapes is not None and not self._is_listed(values, numbers):
            follows = shapes.give(name, values)
            if follows is not None:
                return follows
        return self._listed(name, values, numbers)

    def _is_listed(self, values: Sequence[Any], numbers: tuple[int, ...]) -> bool:
        """Return whether values are those of a variable so far, or a multiple of it."""
        by_number = dict(zip(numbers, values, strict=True))
        mine = [by_number.get(number, LACKING) for number in self._every]
        return any(_multiple(name, others, mine) for name, others in self.lists.items())

    def _listed(self, name: str, values: Sequence[Any], numbers: tuple[int, ...]) -> Expression:
        """Return the variable that has these values in these rounds."""
        type_ = type_of(values)
        by_number = dict(zip(numbers, values, strict=True))
        values = [by_number.get(number, LACKING) for number in self._every]
        key = repr([(type_name(value), value) for value in values])
        if key not in self._known:
            base = SHORT.get(name, name)
            self._known[key] = self._variable(base)
            self.lists[self._known[key]] = values
            self._bases[self._known[key]] = base
        return Expression(self._known[key], type_)

    def _variable(self, name: str) -> str:
        def is_taken(name: str) -> bool:
            problem = name_problem(name, "a variable", variable=True)
            return name in self.lists or name in self._inner or problem is not None

        return free_name(name, is_taken, mark="")

    def named(self, body: list[Step]) -> dict[str, list[Any]]:
        """Return the lists of a loop; multiples of another are computed in `body` instead."""
        texts: dict[str, str] = {}
        # The sort is stable: lists with a value in each round stand first.
        lists = sorted(self.lists.items(), key=lambda item: LACKING in item[1])
        self.lists = {}
        for name, values in lists:
            is_count = self._bases[name] == COUNT
            known = (
                _multiple(other, others, values)
                for other, others in self.lists.items()
                if is_count == (self._bases[other] == COUNT)
            )
            text = next(filter(None, known), "")
            if not text:
                text = self._variable(self._bases[name])
                self.lists[text] = values
            if text != name:
                texts[name] = text
        for each in walk(body) if texts else ():
            each.arguments = {
                name: _computed(value, texts) for name, value in each.arguments.items()
            }
            each.repeat = _computed(each.repeat, texts)
        self._conditions(body)
        return self.lists

    def _conditions(self, body: list[Step]) -> None:
        """Give the steps that some rounds lack their conditions, and `lists` what these read."""
        by_rounds: dict[tuple[int, ...], list[Step]] = {}
        for each in walk(body):
            if each.when is not None:
                by_rounds.setdefault(each.when, []).append(each)
        for numbers, steps in by_rounds.items():
            condition = self._condition(numbers, steps)
            for step in steps:
                step.when = condition
        if by_rounds:
            _group(body)
        for values in self.lists.values():
            if LACKING in values:
                usual = Counter(map(repr, (v for v in values if v is not LACKING)))
                text = usual.most_common(1)[0][0]
                filling = next(value for value in values if repr(value) == text)
                values[:] = [filling if value is LACKING else value for value in values]

    def _condition(self, numbers: tuple[int, ...], steps: Sequence[Step]) -> Expression:
        """Return the condition of steps that only these rounds have."""
        having = [number in numbers for number in self._every]
        for name, values in self.lists.items():
            filled = [0 if value is LACKING else value for value in values]
            for limit in (0, 1):
                if {*map(type, filled)} <= {int, float} and having == [
                    value > limit for value in filled
                ]:
                    values[:] = filled
                    return Expression(f"{name} > {limit}")
            if values == having:
                return Expression(name)
            if all(type(v) is bool and v != has for v, has in zip(values, having, strict=True)):
                return Expression(f"not {name}")
        if any(step.arguments.get("stride") not in (None, 1) for step in steps):
            word = "downsample"
        else:
            word = CONDITIONS.get(steps[0].kind, steps[0].kind)
        name = self._variable(word)
        self.lists[name] = having
        return Expression(name, "bool")


class _Shapes(NamedTuple):
    """Shapes from which the values of a step may follow, one for each round."""

    of_step: Sequence[Shape | None]
    """Shapes that the step reads."""
    of_group: Sequence[Shape | None]
    """Shapes that the group around it reads."""

    def give(self, name: str, values: Sequence[Any]) -> Expression | None:
        """Return how values follow from the shapes; None where they do not."""
        ways = [
            *ways_from_shapes(name, values, self.of_step, "in"),
            *ways_from_shapes(name, values, self.of_group, "input", equal=True),
        ]
        return Expression(min(ways)[1]) if ways else None


def aligned(
    columns: Sequence[Sequence[Step]], key: Callable[[Step], Hashable]
) -> list[list[Step | None]]:
    """Return rows of steps that are the same, as few as can be; None where a column lacks one."""
    keys = [tuple(map(key, column)) for column in columns]
    rows: list[_Row] = []
    for each in sorted({*keys}, key=lambda each: (-len(each), keys.index(each))):
        rows = _merged(rows, each)
    table: list[list[Step | None]] = []
    for row in rows:
        places = [row.places.get(each) for each in keys]
        table.append(
            [
                None if place is None else column[place]
                for column, place in zip(columns, places, strict=True)
            ]
        )
    return table


class _Row(NamedTuple):
    """Key that the steps of a row have in common, and its place in each sequence of keys."""

    key: Hashable
    places: dict[tuple[Hashable, ...], int]


def _merged(rows: Sequence[_Row], keys: tuple[Hashable, ...]) -> list[_Row]:
    """Return rows with another sequence in them: by the longest common subsequence."""
    height, width = len(rows), len(keys)
    longest = [[0] * (width + 1) for _ in range(height + 1)]
    for i in range(height - 1, -1, -1):
        for j in range(width - 1, -1, -1):
            longest[i][j] = (
                1 + longest[i + 1][j + 1]
                if rows[i].key == keys[j]
                else max(longest[i + 1][j], longest[i][j + 1])
            )
    made: list[_Row] = []
    i = j = 0
    while i < height or j < width:
        if i < height and j < width and rows[i].key == keys[j]:
            made.append(_Row(keys[j], rows[i].places | {keys: j}))
            i, j = i + 1, j + 1
        elif j == width or (i < height and longest[i + 1][j] >= longest[i][j + 1]):
            made.append(rows[i])
            i += 1
        else:
            made.append(_Row(keys[j], {keys: j}))
            j += 1
    return made


def _group(steps: list[Step]) -> None:
    """Make steps of one condition, one after the other, a group, those inside steps too."""
    made: list[Step] = []
    for inner in (each for step in steps for each in step.inner):
        _group(inner)
    for when, run in groupby(steps, key=lambda step: step.when):
        these = [*run]
        if (
            when is None
            or len(these) < 2
            or any(each.sources != (PREVIOUS,) for each in these)
            or any(map(_asks_group, these))
        ):
            made += these
            continue
        body = [replace(each, when=None) for each in these]
        made.append(Step("layers", these[-1].output, body=body, when=when))
    steps[:] = made


def _asks_group(step: Step) -> bool:
    """Return whether an argument follows from what the group around a step reads."""
    return any(
        isinstance(each, Expression) and each.startswith("input.")
        for value in step.arguments.values()
        for each in (value if isinstance(value, list) else [value])
    )


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
    pairs = [pair for pair in zip(values, others, strict=True) if pair[1] is not LACKING]
    if not all(type(each) is int and each > 0 for pair in pairs for each in pair):
        return None
    first, other = pairs[0]
    if all(a == b for a, b in pairs):
        return name
    if other % first == 0 and all(b == a * (other // first) for a, b in pairs):
        return f"{name} * {other // first}"
    for share in {first // other, 2}:
        if share > 1 and all(b == a // share for a, b in pairs):
            return f"{name} // {share}"
    return None
