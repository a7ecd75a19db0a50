"""Blocks of a spec's own: groups of steps that stand in several places, written once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any, Final, NamedTuple

from archspec.decompile.meaning import SIDES, WINDOWS
from archspec.decompile.naming import block_name, scope
from archspec.decompile.rolling import Alike, Round, cost, reads_of
from archspec.decompile.steps import PREVIOUS, Step, computes, type_name, type_of, walk

LONGEST: Final = 24
"""Largest number of steps of a block."""

NULLABLE: Final = frozenset({"activation", "norm"})
"""Arguments that are a word, or null for none, in uses of one block."""

FEW: Final = 3
"""Largest number of steps of a block that is named by their kinds."""

JOINED: Final = {"add": "residual", "concat": "joined", "multiply": "gated"}
"""Words for blocks by the merge at their end."""

MOST_GROUPS: Final = 8
"""Largest number of groups of places among which those are looked for that may be one block."""

LEAST_GAIN: Final = 8.0
"""Least by which a block shortens the text, in units of `cost`: a reader has to look it up."""

MOST_ARGUMENTS: Final = 6
"""Largest number of arguments of a block."""

SOON: Final = 3
"""Number of steps after a residual branch in which its sum follows."""

HEADER: Final = 5.0
"""Cost of the lines before the steps of a block."""

WORK: Final = 300_000
"""Steps that are looked at until no further blocks are looked for."""

AMOUNTS: Final = WINDOWS | SIDES
"""Arguments that are one number, or a list of one for each axis."""


@dataclass
class OwnBlock:
    """A block that the spec defines."""

    name: str
    args: dict[str, str]
    """The type of each argument."""
    body: list[Step]
    """Steps, with the nodes of the first place where the block stands."""
    entry: int
    """The node that its first step reads there; a number that no node has for one with inputs."""
    inputs: Mapping[int, str] = field(default_factory=dict)
    """The name of each input by the number that its steps read, of a block of several."""

    def usual(self, uses: Iterable[Step]) -> dict[str, Any]:
        """Return the value that most uses give each argument; at least one argument is left out."""
        counts: dict[str, Counter[str]] = {name: Counter() for name in self.args}
        values: dict[str, Any] = {}
        for step in uses:
            if step.kind == self.name:
                for name, count in counts.items():
                    value = step.arguments[name]
                    count[repr(value)] += 1
                    values[repr(value)] = value
        found: dict[str, Any] = {}
        for name, count in counts.items():
            text, most = count.most_common(1)[0]
            value = values[text]
            # A text would be the name of a type.
            is_plain = not computes(value) and type_name(value) == self.args[name] != "str"
            if "None" in count:
                found[name] = None
            elif is_plain and most > 1 and 2 * most > count.total():
                found[name] = value
        if found and len(found) == len(self.args):
            free = next((name for name, value in found.items() if value is not None), "")
            found.pop(free, None)
        return found


def inner_first(blocks: Sequence[OwnBlock]) -> list[OwnBlock]:
    """Return blocks in an order in which each stands after those that it uses."""
    known = {block.name: block for block in blocks}
    order: dict[str, OwnBlock] = {}

    def add(block: OwnBlock) -> None:
        for each in walk(block.body):
            if each.kind in known and each.kind not in order:
                add(known[each.kind])
        order[block.name] = block

    for block in blocks:
        if block.name not in order:
            add(block)
    return [*order.values()]


class _Place(NamedTuple):
    """Steps of a sequence that a block may stand for."""

    sequence: int
    start: int
    stop: int


class Factoring:
    """Replaces steps by blocks, in place."""

    def __init__(
        self,
        steps: list[Step],
        entry: int,
        starts: Sequence[int],
        heads: Sequence[list[Step]],
        blocks: Sequence[OwnBlock],
        *,
        optional: bool = False,
    ) -> None:
        """Take the steps of a network.

        Args:
            steps: The steps of `layers`.
            entry: The node that the first of them reads.
            starts: The node that each head starts at.
            heads: The steps of each head.
            blocks: Blocks that these steps use already.
            optional: Whether a block may have steps that some of its places lack.
        """
        self.blocks = [*blocks]
        self.has_optional = False
        """Whether a block has steps that some of its places lack."""
        self._optional = optional
        self._sequences = [*_sequences(steps, entry)]
        for head, start in zip(heads, starts, strict=True):
            self._sequences += _sequences(head, start)
        for block in blocks:
            self._sequences += _sequences(block.body, block.entry)
        every = [each for sequence, _ in self._sequences for each in sequence]
        self._reads = reads_of(every, starts)
        self._owners = {each.owner for each in every}
        self._left = WORK

    def run(self) -> list[OwnBlock]:
        """Find blocks, those of single branches first, and return them."""
        for single in (True, False):
            while self._left > 0 and self._factor(single=single):
                pass
        return self.blocks

    def _factor(self, *, single: bool) -> bool:
        """Make the block that shortens the text most; return whether there is one."""
        best: _Made | None = None
        families: dict[Hashable, list[list[_Place]]] = {}
        for places in self._groups(single=single):
            if single and self._optional:
                families.setdefault(self._family(places[0]), []).append(places)
            if _apart(places) > 1:
                best = _better(best, self._block([places]))
        for family in families.values():
            largest, *others = sorted(family, key=len, reverse=True)
            best = _better(best, self._joined(largest, others))
        if best is None:
            return False
        places = best.places
        block, calls = self._uses(best)
        self.has_optional = self.has_optional or len(best.groups) > 1
        self.blocks.append(block)
        gone: set[int] = set()
        for place, call in reversed([*zip(places, calls, strict=True)]):
            steps = self._steps(place)
            gone.update(id(inner) for each in walk(steps) for inner in each.inner)
            self._sequences[place.sequence][0][place.start : place.stop] = [call]
        self._sequences = [each for each in self._sequences if id(each[0]) not in gone]
        self._sequences += _sequences(block.body, block.entry)
        return True

    def _groups(self, *, single: bool) -> Iterator[list[_Place]]:
        """Yield places whose steps are alike, in order and without overlaps."""
        keys = [[_key(step) for step in sequence] for sequence, _ in self._sequences]
        firsts = [[_key(step, first=True) for step in each] for each, _ in self._sequences]
        count = Counter(key for each in keys for key in each)
        first_count = Counter(key for each in firsts for key in each)
        groups: dict[Any, list[_Place]] = {}
        for number, (sequence, _) in enumerate(self._sequences):
            for start in range(len(sequence)):
                longest = 1 if single else LONGEST
                rest = takewhile(
                    lambda key: count[key] > 1, keys[number][start + 1 : start + longest]
                )
                length = 1 + sum(1 for _ in rest) if first_count[firsts[number][start]] > 1 else 0
                length = self._closable(number, start, length)
                self._left -= length
                for stop in range(start + 1 if single else start + 2, start + length + 1):
                    place = _Place(number, start, stop)
                    if single and not sequence[start].branches:
                        continue
                    if self._left > 0 and self._is_unit(place):
                        key = firsts[number][start], *keys[number][start + 1 : stop]
                        groups.setdefault(key, []).append(place)
        for found in groups.values():
            places: list[_Place] = []
            for place in found:
                last = places[-1] if places else None
                if last is None or last.sequence != place.sequence or last.stop <= place.start:
                    places.append(place)
            yield places

    def _family(self, place: _Place) -> Hashable:
        """Return what groups must have in common whose steps may be one block."""
        (step,) = self._steps(place)
        return step.arguments["merge"], len(step.branches), len(step.sources)

    def _joined(self, first: list[_Place], others: Sequence[list[_Place]]) -> _Made | None:
        """Return the block that shortens the text most of those for several groups.

        Args:
            first: The group that is one of them.
            others: Groups that may be.
        """
        best: _Made | None = None
        chosen = [first]
        waiting = [*others]
        while waiting:
            better = best
            waiting = [rest for group in waiting if (rest := self._apart_from(chosen, group))]
            waiting = sorted(waiting, key=len, reverse=True)[:MOST_GROUPS]
            for group in waiting:
                better = _better(better, self._block([*chosen, group]))
                if better is not best and better is not None and better.groups[-1] is group:
                    added = group
            if better is best:
                break
            best = better
            chosen.append(added)
            waiting = [each for each in waiting if each is not added]
        return best

    def _apart_from(self, chosen: Sequence[list[_Place]], group: list[_Place]) -> list[_Place]:
        """Return the places that have no step in common with those chosen."""
        taken = [place for places in chosen for place in places]
        return [
            place
            for place in group
            if not any(
                place.sequence == each.sequence
                and place.start < each.stop
                and each.start < place.stop
                for each in taken
            )
            and not self._is_within(taken, place)
            and not any(self._is_within([place], each) for each in taken)
        ]

    def _is_within(self, places: Sequence[_Place], inner: _Place) -> bool:
        """Return whether a place is inside a step of others."""
        sequence, _ = self._sequences[inner.sequence]
        return any(
            each is sequence
            for place in places
            for outer in walk(self._steps(place))
            for each in outer.inner
        )

    def _entry(self, place: _Place) -> int:
        """Return the node that the first of the steps reads."""
        sequence, entry = self._sequences[place.sequence]
        (source, *others) = sequence[place.start].sources
        if source != PREVIOUS and not others:
            return source
        return sequence[place.start - 1].output if place.start else entry

    def _round(self, place: _Place) -> Round:
        """Return the steps, of which the first reads what is before it."""
        first, *others = self._steps(place)
        if len(first.sources) == 1:
            first = replace(first, sources=(PREVIOUS,))
        return Round([first, *others], self._entry(place))

    def _sources(self, place: _Place) -> tuple[int, ...]:
        """Return what a block in place of the steps reads."""
        sources = self._steps(place)[0].sources
        return sources if len(sources) == 1 else (PREVIOUS,)

    def _steps(self, place: _Place) -> list[Step]:
        return self._sequences[place.sequence][0][place.start : place.stop]

    def _is_unit(self, place: _Place) -> bool:
        """Return whether steps may be a block, as far as they tell without others like them."""
        if place.stop - place.start > 1 and self._cuts_group(place):
            return False
        return not self._splits_sum(place) and self._is_closed(place)

    def _closable(self, number: int, start: int, most: int) -> int:
        """Return how many steps from `start` on, up to a limit, one block may hold.

        A step that reads what is before them, or shares weights, ends the block before it.
        """
        known = {self._entry(_Place(number, start, start + 1))}
        first = self._sequences[number][0][start]
        steps = self._sequences[number][0][start : start + most]
        for count, step in enumerate(steps):
            every = [*walk([step])]
            known.update(each.output for each in every)
            for each in every:
                sources = () if each is first and len(each.sources) == 1 else each.sources
                if each.owner >= 0 or each.output in self._owners:
                    return count
                if any(source != PREVIOUS and source not in known for source in sources):
                    return count
        return len(steps)

    def _is_closed(self, place: _Place) -> bool:
        """Return whether others read only the last of these steps."""
        steps = self._round(place).steps
        every = [*walk(steps)]
        self._left -= len(every)
        outputs = {each.output for each in every}
        reads = Counter(each for step in every for each in step.sources if each != PREVIOUS)
        outputs.discard(steps[-1].output)
        return all(self._reads[each] == reads[each] for each in outputs)

    def _splits_sum(self, place: _Place) -> bool:
        """Return whether a step soon after these joins what they read, as a residual unit does."""
        sequence, _ = self._sequences[place.sequence]
        entry = self._entry(place)
        after = sequence[place.stop : place.stop + SOON]
        return any(entry in step.sources for step in after if len(step.sources) > 1)

    def _cuts_group(self, place: _Place) -> bool:
        """Return whether the steps cut through a group that the names of the layers show."""
        sequence, _ = self._sequences[place.sequence]
        edges = [at for at in (place.start, place.stop) if 0 < at < len(sequence)]
        names = [(scope(sequence[at - 1].layer), scope(sequence[at].layer)) for at in edges]
        if any(before and before == after for before, after in names):
            return True
        return len({scope(step.layer) for step in self._steps(place)} - {""}) > 1

    def _block(self, groups: Sequence[list[_Place]]) -> _Made | None:
        """Return a block for places; those of a group have the same steps."""
        places = sorted(place for group in groups for place in group)
        rounds = [*map(self._round, places)]
        alike = Alike(rounds, are_apart=True, key=_loose_key if len(groups) > 1 else None)
        body = alike.steps()
        if body is None or 2 * _options(body) > _options(body, of_all=True):
            return None
        values = alike.named(body)
        types = argument_types(values)
        if types is None:
            return None
        saved = sum(_apart(group) * (sum(map(cost, self._steps(group[0]))) - 3) for group in groups)
        said = self._said(groups, places, values)
        gain = saved - 1.4 * said - sum(map(cost, body)) - HEADER - len(values)
        if gain < LEAST_GAIN:
            return None
        return _Made(gain, groups, rounds, body, types, values)

    def _uses(self, made: _Made) -> tuple[OwnBlock, list[Step]]:
        """Return a block with its name, and the step that uses it in each place."""
        taken = {block.name for block in self.blocks}
        layers = [_layers(steps) for steps, _ in made.rounds]
        again = _word_for(made.body)
        name = block_name(layers, taken, again=again and f"_{again}", kinds=_kinds(made.body))
        calls = [
            Step(
                name,
                steps[-1].output,
                tuple(index for step in steps for index in step.order()),
                arguments={each: values[number] for each, values in made.values.items()},
                sources=self._sources(place),
                layer=steps[-1].layer,
                main=next(iter(made.values), ""),
                shape=steps[0].shape,
            )
            for number, (place, (steps, _)) in enumerate(zip(made.places, made.rounds, strict=True))
        ]
        return OwnBlock(name, made.types, made.body, made.rounds[0].entry), calls

    @staticmethod
    def _said(
        groups: Sequence[list[_Place]],
        places: Sequence[_Place],
        values: Mapping[str, Sequence[Any]],
    ) -> float:
        """Return roughly how many arguments the uses of a block give."""
        if len(groups) == 1:
            return _apart(places) * len(values)
        each = [Counter(map(repr, column)).most_common(1)[0][1] for column in values.values()]
        shares = sorted(most / len(places) if 2 * most > len(places) else 0 for most in each)
        spared = sum(shares[1:] if len(each) > 1 and shares[0] else shares)
        return sum(map(_apart, groups)) * (len(values) - spared)


class _Made(NamedTuple):
    """A block, and what it replaces."""

    gain: float
    """Amount by which it shortens the text, in units of `cost`."""
    groups: Sequence[list[_Place]]
    """Places where it stands; those of a group have the same steps."""
    rounds: list[Round]
    """The steps of each place."""
    body: list[Step]
    """Its own steps."""
    types: dict[str, str]
    """The type of each argument."""
    values: Mapping[str, Sequence[Any]]
    """The value of each argument in each place."""

    @property
    def places(self) -> list[_Place]:
        """The places of all groups, in order."""
        return sorted(place for group in self.groups for place in group)


def _better(first: _Made | None, second: _Made | None) -> _Made | None:
    """Return the one that shortens the text more; the first of equals."""
    if first is None or second is None:
        return first or second
    return second if second.gain > first.gain else first


def _sequences(steps: list[Step], entry: int) -> list[tuple[list[Step], int]]:
    """Return a sequence and all inside it, each with the node that its first step reads."""
    found = [(steps, entry)]
    for sequence, first in found:  # grows as it goes
        previous = first
        for step in sequence:
            start = previous if step.sources[0] == PREVIOUS else step.sources[0]
            found += ((inner, start) for inner in step.inner)
            previous = step.output
    return found


def _kinds(steps: Sequence[Step]) -> list[str]:
    """Return the kinds of a few steps, with an activation's function; an empty list for many."""
    if len(steps) > FEW or any(step.inner for step in steps):
        return []
    functions = [step.arguments.get("function") for step in steps]
    pairs = zip(steps, functions, strict=True)
    return [f if type(f) is str and f.isidentifier() else step.kind for step, f in pairs]


def _word_for(steps: Sequence[Step]) -> str:
    """Return a word for what steps do, which tells a block from others of its name; or nothing."""
    every = [*walk(steps)]
    merges = {step.arguments["merge"] for step in every if step.branches}
    kinds = {step.kind for step in every} | merges
    if kinds & {"attention", "transformer"} or {"matmul", "softmax"} <= kinds:
        return "attention"
    ends = [step.arguments["merge"] if step.branches else step.kind for step in steps]
    joins = [each for each in reversed(ends) if each in JOINED]
    return JOINED[joins[0]] if joins else ""


def _layers(steps: Sequence[Step]) -> list[str]:
    """Return the names of the layers of steps, the last one of them last."""
    return [each.layer for step in steps for each in [*walk([step])][::-1] if each.layer]


def _apart(places: Sequence[_Place]) -> int:
    """Return the number of places, neighbours counted once: these are a loop."""
    ends = {(place.sequence, place.stop) for place in places}
    return sum((place.sequence, place.start) not in ends for place in places)


def _key(step: Step, *, first: bool = False) -> Any:
    """Return what steps must have in common to be the same step of a block, or the first of it."""
    inner = tuple(tuple(map(_key, each)) for each in step.inner)
    merge = step.arguments["merge"] if step.branches else ""
    types = tuple(kind_of(name, value) for name, value in step.arguments.items())
    is_free = first and len(step.sources) == 1
    read = tuple(is_free or each == PREVIOUS for each in step.sources)
    return step.kind, inner, merge, types, read


def _loose_key(step: Step) -> Hashable:
    """Return what steps must have in common to be one where their branches may differ."""
    if step.branches:
        return step.kind, step.arguments["merge"], len(step.branches), step.sources == (PREVIOUS,)
    nulls = [name for name in NULLABLE & step.arguments.keys() if step.arguments[name] is None]
    key: Hashable = _key(replace(step, arguments=step.arguments | dict.fromkeys(nulls, "")))
    return key


def _options(steps: Iterable[Step], *, of_all: bool = False) -> int:
    """Return the number of steps, groups not counted, that some places lack, or of all steps."""
    total = 0
    for step in steps:
        counts = of_all or step.when is not None
        total += counts and not step.inner
        total += sum(_options(inner, of_all=counts) for inner in step.inner)
    return total


def argument_types(values: Mapping[str, Sequence[Any]]) -> dict[str, str] | None:
    """Return the type of each argument from its values; None where no block may have them."""
    types = {name: type_ for name, each in values.items() if (type_ := type_of(each))}
    return types if len(types) == len(values) <= MOST_ARGUMENTS else None


def kind_of(name: str, value: Any) -> str:
    """Return the type of an argument's value; the value itself where no type may stand for it."""
    known = type_name(value)
    if name in AMOUNTS and known in ("int", "list"):
        return "amount"
    return known or repr(value)
