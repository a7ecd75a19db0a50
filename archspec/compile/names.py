"""Names of the steps so far, and what each means where the next step stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice

from archspec.compile.step import Inside, Placed, relative_meant
from archspec.errors import MOST_CANDIDATES, Mend, Problem, did_you_mean, nearest
from archspec.graph.builder import LONGEST_PATH, Builder
from archspec.graph.graph import SEPARATOR, Node
from archspec.spec.findings import MOST_FOUND

UNREAD = LONGEST_PATH + 1
"""Characters of a scope that is inside of all others: no name was looked up."""

EARLIER = "a step may take from earlier ones of its own group and of those around it"


class Names:
    """The names that a step can refer to: those in its scope and in the scopes around it.

    Args:
        builder: Tells the scope of the step that is carried out.
        inputs: The network's inputs, the first one first; None for one that is wrong.
        known: Every name in the spec, of later steps too.
    """

    def __init__(
        self, builder: Builder, inputs: Mapping[str, Node | None], known: frozenset[str]
    ) -> None:
        self.builder = builder
        self.known = known
        self.enclosing = next(iter(inputs.values()))
        """The node that `input` means: the input of the group or block around."""
        self.floor = ""
        """Path of the spec's block in which the step is, which sees nothing outside."""
        self.nodes: dict[str, int | None] = {
            name: node and node.index for name, node in inputs.items() if name != "input"
        }
        """The index of each step's output by its path; None where a mistake makes it unknown."""
        self.trail = list(self.nodes)
        """The keys of `nodes`, in order."""
        self.unfinished: set[str] = set()
        """Paths of the step that is carried out, and of the groups around it."""
        self.placed: dict[str, Placed] = {}
        """The step at each path."""
        self._folded: list[tuple[Sequence[Inside], str, int, int, int]] = []
        """Steps of scopes that were before: of those few are referred to."""
        self.left_out: set[str] = set()
        """Paths of steps that this network does not have."""
        self.vague: set[str] = set()
        """Paths of loops whose rounds are unknown."""
        self.outermost = UNREAD
        """Characters of the outermost scope in which a name was found; may be set to `UNREAD`."""
        self.nameless = False
        """Whether the name of some step is unknown."""
        self._problems: dict[tuple[str, str], Problem] = {}
        """Problems of names that no step has, by scope and name."""

    def remember(self, path: str, node: Node | None) -> None:
        """Keep the output of a step for those after it."""
        self.nodes[path] = node and node.index
        self.trail.append(path)

    @contextmanager
    def apart(self, builder: Builder) -> Iterator[None]:
        """Forget all names while steps are added to a builder, and then those of these steps."""
        ours = self.builder, self.nodes, self.trail, self._folded, self.outermost
        unfinished, self.unfinished = self.unfinished, set()
        self.builder, self.nodes, self.trail, self._folded = builder, {}, [], []
        try:
            yield
        finally:
            self.builder, self.nodes, self.trail, self._folded, self.outermost = ours
            self.unfinished = unfinished

    def inside(self, scope: str, first: int, start: int) -> tuple[Inside, ...]:
        """Return the steps of a scope, as they are wherever it is.

        Args:
            scope: Its path.
            first: Place of the first name inside it.
            start: Its first node; what it reads before that is its input.
        """
        self._unfold()

        def index(i: int) -> int:
            return i - start if i >= start else -1

        inside: list[Inside] = []
        for path in self.trail[first:]:
            output, placed = self.nodes[path], self.placed.get(path)
            moved = placed and placed.moved(-start, -first, index)
            output = None if output is None else index(output)
            inside.append((path[len(scope) :], output, moved))
        return tuple(inside)

    def again(self, steps: Sequence[Inside], scope: str, start: int, x: int) -> None:
        """Add the steps of a scope that was before, at another path.

        Args:
            steps: What `inside` gave.
            scope: Its path.
            start: Its first node.
            x: The node that it reads.
        """
        self._folded.append((steps, scope, len(self.trail), start, x))
        self.trail += [scope] * len(steps)

    def copy(self, owner: str, path: str, by: int, nodes: Mapping[int, Node]) -> None:
        """Add the steps in one that is shared to those of its copy.

        Args:
            owner: The path of the step.
            path: The path of the copy.
            by: Distance of the copy, in nodes.
            nodes: The node of the copy for each of the original's.
        """
        self._unfold()
        placed = self.placed[owner]
        later = len(self.trail) - placed.first

        def index(i: int) -> int:
            return nodes[i].index if i in nodes else i

        for inner in self.trail[placed.first : placed.last]:
            name, output = path + inner.removeprefix(owner), self.nodes[inner]
            self.nodes[name] = None if output is None else index(output)
            self.trail.append(name)
            if known := self.placed.get(inner):
                self.placed[name] = known.moved(by, later, index)

    def _unfold(self) -> None:
        """Make the steps of all scopes known that were before."""
        for steps, scope, first, start, x in self._folded:

            def index(i: int, start: int = start, x: int = x) -> int:
                return start + i if i >= 0 else x

            for place, (name, output, placed) in enumerate(steps, start=first):
                self.trail[place] = path = scope + name
                self.nodes[path] = None if output is None else index(output)
                if placed:
                    self.placed[path] = placed.moved(start, first, index)
        self._folded.clear()

    def lookup(self, name: str) -> Node | None:
        """Return the node of a name in this scope, or in the nearest one around it."""
        if name == "input":
            return self.enclosing
        path = self.path(name)
        if path in self.unfinished:
            message = f"`{name}` is this step, or a group around it, and not known yet"
            raise Problem("circular", message, help=EARLIER)
        return None if path is None else self.output(path)

    def output(self, path: str) -> Node | None:
        """Return the node of a step by its path; None where there is no such step."""
        if path not in self.nodes:
            self._unfold()
        index = self.nodes.get(path)
        return None if index is None else self.builder.output(index)

    def path(self, name: str) -> str | None:
        """Return the path of a name; None where a mistake before it makes it unknown."""
        first, separator, _ = name.partition(SEPARATOR)
        if separator:
            self._unfold()
        for prefix in self._prefixes():
            if prefix + name in self.nodes:
                self.outermost = min(self.outermost, len(prefix))
                return prefix + name
            if self.nodes.get(prefix + first, self) is None or self._is_vague(prefix + first):
                return None
            if prefix + first in self.left_out:
                help_ = "its `when` is false, or it is repeated 0 times"
                raise Problem("unknown-name", f"`{name}` is left out of this network", help=help_)
        if self.nameless:
            return None
        raise self._unknown(name)

    def _unknown(self, name: str) -> Problem:
        """Return the problem of a name that no earlier step has.

        To look for what was meant takes time, so it is done once for the rounds of a loop, and no
        more often than problems are reported.
        """
        key = (self.builder.prefix, name)
        if key not in self._problems:
            if len(self._problems) == MOST_FOUND:
                return Problem("unknown-name", f"no step before this one is called `{name}`")
            self._problems[key] = self._explained(name)
        problem = self._problems[key]
        return Problem(problem.code, problem.message, help=problem.help)

    def _explained(self, name: str) -> Problem:
        """Return the problem of an unknown name, with what was probably meant."""
        self._unfold()
        latest = list(islice(reversed(self.trail), MOST_CANDIDATES))
        visible = [
            path[len(prefix) :]
            for prefix in self._prefixes()
            for path in latest
            if path.startswith(prefix)
        ]
        if name in self.known and any(f"{p}{name}1" in self.nodes for p in self._prefixes()):
            help_ = f"its rounds are called `{name}1`, `{name}2` and so on"
            return Problem("unknown-name", f"`{name}` is a loop, not a single step", help=help_)
        if any(prefix + name in self.nodes for prefix in self._hidden()):
            help_ = "give it as one of its `inputs`: `inputs: [below, skip]`, and `from` at its use"
            message = f"`{name}` is outside of the block, which sees its own inputs and steps alone"
            return Problem("unknown-name", message, help=help_)
        inside = next((path for path in visible if path.endswith(SEPARATOR + name)), None)
        if inside:
            scope = inside[: -len(name) - 1]
            help_ = Mend(f"from here it is called `{inside}`", inside)
            return Problem("unknown-name", f"`{name}` is inside `{scope}`", help=help_)
        if name in self.known:
            help_ = EARLIER
            message = f"`{name}` is defined later, or in a scope this step cannot see"
            return Problem("circular", message, help=help_)
        match = nearest(name, ["input", *visible])
        near = [path for path in visible if SEPARATOR not in path][:8]
        before = f"before it: {', '.join(['input', *near])}"
        help_ = relative_meant(name) or (did_you_mean(match, name) if match else before)
        return Problem("unknown-name", f"no step before this one is called `{name}`", help=help_)

    def _hidden(self) -> Iterator[str]:
        """Yield the scopes around the spec's block in which this step is, outwards."""
        path = self.floor
        while path:
            path = path.rpartition(SEPARATOR)[0]
            yield path and path + SEPARATOR

    def _prefixes(self) -> Iterator[str]:
        """Yield the scopes that this step can see, from the innermost outwards."""
        prefix = self.builder.prefix
        yield prefix
        while prefix and prefix != self.floor + SEPARATOR:
            prefix = prefix[: prefix.rstrip(SEPARATOR).rfind(SEPARATOR) + 1]
            yield prefix

    def _is_vague(self, path: str) -> bool:
        return path.rstrip("0123456789") in self.vague

    def leave_out(self, name: str | None) -> None:
        """Keep that this network has no such step in this scope; None for one without a name."""
        if name is not None:
            self.left_out.add(self.builder.prefix + name)
