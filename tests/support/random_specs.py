"""Random specs, drawn from what the kinds say of themselves.

Arguments are drawn from the annotations of a kind's fields, so a kind that somebody adds is tested
with no line written for it. A step that does not fit where it stands is left out: every spec that
comes from here is valid.
"""

import itertools
import json
import types
from functools import lru_cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hypothesis import assume
from hypothesis import strategies as st
from support.specs import spec_of

from archspec.blocks.squeeze_excitation import SqueezeExcitation
from archspec.compile import catalog
from archspec.compile.expand import expand
from archspec.declare.metadata import Bounds, Chosen, InstanceOf
from archspec.element import ArgumentProblems, Element, step_arguments
from archspec.errors import Problem
from archspec.graph.builder import Builder
from archspec.ops.axes import names_of_axes
from archspec.ops.merge import Merge
from archspec.ops.op import Elementwise
from archspec.ops.shape import Shape

KINDS = {
    kind: cls
    for kind, cls in catalog.kinds().items()
    if not issubclass(cls, Merge) and kind != "max_unpool"
}
"""Kinds that may have one input; `max_unpool` needs what its `max_pool` read."""
MERGES = {kind: cls for kind, cls in catalog.kinds().items() if issubclass(cls, Merge)}

INNER = sorted(
    kind
    for kind, cls in KINDS.items()
    if issubclass(cls, (Elementwise, SqueezeExcitation)) and kind not in ("lrn", "group_norm")
)
"""Kinds that may be a gate, because they keep the shape."""

MOST_VALUES = 3_000
MOST_NODES = 60
"""A step that makes a larger tensor, or more layers, is left out: small networks are as random."""

BOOLEANS = st.booleans()

ATTEMPTS = 4
"""Attempts to draw valid arguments for a kind."""


def values(annotation: Any, x: Shape, bounds: tuple[Any, ...] = ()) -> st.SearchStrategy[Any]:
    """Plain data for an annotation, likely to fit an input of shape `x`."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if any(isinstance(item, InstanceOf) for item in parts[1:]):
        return st.sampled_from(INNER).flatmap(
            lambda kind: st.builds(lambda given: {kind: given}, arguments(KINDS[kind], x))
        )
    if chosen := _chosen(bounds):
        named = [
            _named(name, cls, x) for name, cls in chosen.options.items() if not isinstance(cls, str)
        ]
        return st.one_of(st.sampled_from([*chosen.options]), *named)
    if origin is Annotated:
        return values(parts[0], x, (*bounds, *parts[1:]))
    if origin is Literal:
        return st.sampled_from(parts)
    if origin in (Union, types.UnionType):
        return st.one_of([values(part, x, bounds) for part in parts])
    if origin is tuple and parts[1:] == (...,):
        length = st.sampled_from([max(x.rank, 1)] * 6 + [1, 2, 3])
        item = values(parts[0], x)
        return length.flatmap(lambda n: st.tuples(*[item] * n))
    if origin is tuple:
        return st.tuples(*(values(part, x) for part in parts))
    if annotation is bool:
        return st.booleans()
    if annotation is type(None):
        return st.none()
    numbers = {int: [0, 1, 1, 2, 2, 3, 4, 5, x.channels], float: [0.0, 1e-3, 0.25, 0.5, 1.0, -2.5]}
    return st.sampled_from([n for n in numbers[annotation] if _within(n, bounds)])


def _chosen(metadata: tuple[Any, ...]) -> Chosen | None:
    return next((part for part in metadata if isinstance(part, Chosen)), None)


def _named(name: str, cls: type[Element], x: Shape) -> st.SearchStrategy[Any]:
    """A name with its arguments, by name or, if there is one alone, as a single value."""
    given = arguments(cls, x)
    short = given.map(lambda args: {name: args[cls.main] if [*args] == [cls.main] else args})
    return st.one_of(given.map(lambda args: {name: args}), short)


def _within(number: float, bounds: tuple[Any, ...]) -> bool:
    return all(bound.holds(number) for bound in bounds if isinstance(bound, Bounds))


def _extents(x: Shape) -> st.SearchStrategy[Any]:
    """Extents for the same number of values: almost no random ones would do."""
    orders = sorted({*itertools.permutations(x), (x.size,), (1, x.size), (x.size, 1, 1)})
    return st.sampled_from([*orders, (None, *x[1:]), (1, None)])


def _divisors(number: int) -> st.SearchStrategy[int]:
    return st.sampled_from([n for n in range(1, number + 1) if number % n == 0])


def _block(x: Shape) -> st.SearchStrategy[Any]:
    """Extents of blocks that cut an input without rest."""
    return st.tuples(*map(_divisors, x.spatial))


def _windows(x: Shape) -> st.SearchStrategy[Any]:
    """A map, windows in it and a shift such that `x` may be the scores of these windows."""
    windows, _, positions, *_ = *x, 0, 0
    extent = windows * positions
    shift = st.integers(0, max(positions - 1, 0))
    return st.fixed_dictionaries(
        {"extent": st.just((extent,)), "window": st.just((positions,)), "shift": st.tuples(shift)}
    )


LIKELY = {
    "reshape": {"to": _extents},
    "permute": {"to": lambda x: st.permutations(names_of_axes(x)).map(tuple)},
    "space_to_depth": {"factor": _block},
    # TensorFlow runs these on a CPU without dilation only.
    "transposed_conv": {"dilation": lambda _: st.just(1)},
    "transposed_convolution": {"dilation": lambda _: st.just(1)},
    "relative_position_bias": {"window": lambda x: st.sampled_from([(x[-1],), (1, x[-1])])},
    "shifted_window_mask": _windows,
    "attention": {
        "heads": lambda x: _divisors(x.channels),
        "window": lambda x: st.none() | _block(x),
    },
    "transformer": {
        "heads": lambda x: _divisors(x.channels),
        "window": lambda x: st.none() | _block(x),
    },
}
"""Arguments of which almost no random ones would do: they must fit the input exactly, say."""

SQUARE = {"relative_position_bias", "causal_mask", "shifted_window_mask"}
"""Kinds whose input has two equal axes at its end, which random inputs rarely have."""


def inputs(kind: str) -> st.SearchStrategy[Shape]:
    """Shapes of inputs, among which those that a kind needs are not rare."""
    spatial = st.lists(st.integers(1, 9), max_size=3)
    shapes = st.builds(
        lambda axes, last: Shape((*axes, last)), spatial, st.sampled_from([1, 2, 4, 6])
    )
    if kind in SQUARE:
        outer = st.lists(
            st.integers(1, 3), min_size=1 + (kind == "shifted_window_mask"), max_size=2
        )
        return st.builds(lambda axes, n: Shape((*axes, n, n)), outer, st.integers(1, 6))
    return shapes


@st.composite
def arguments(draw: st.DrawFn, cls: type[Element], x: Shape) -> dict[str, Any]:
    """Arguments of a kind: those it needs, and some of those it has defaults for."""
    likely = LIKELY.get(cls.kind, {})
    if callable(likely):
        return draw(likely(x))
    return {
        name: draw(_argument(cls, name, x))
        for name, info in cls.model_fields.items()
        if info.is_required() or draw(BOOLEANS)
    }


@lru_cache(maxsize=20_000)
def _argument(cls: type[Element], name: str, x: Shape) -> st.SearchStrategy[Any]:
    """Values of an argument; to make a strategy takes longer than to draw from it."""
    likely = LIKELY.get(cls.kind, {}).get(name)
    info = cls.model_fields[name]
    return likely(x) if likely else values(info.annotation, x, tuple(info.metadata))


@st.composite
def steps(draw: st.DrawFn, x: Shape) -> tuple[dict[str, Any], Shape] | None:
    """A step that fits `x`, and the shape it makes; None where the one that was drawn does not."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    for _ in range(ATTEMPTS):
        given = draw(arguments(KINDS[kind], x))
        builder = Builder(x)
        try:
            y = builder(element_of(kind, given), builder.input).shape
        except (Problem, ArgumentProblems):
            continue
        largest = max(node.shape.size for node in builder.nodes)
        if largest <= MOST_VALUES and len(builder.nodes) <= MOST_NODES:
            return {kind: given}, y
    return None


def element_of(kind: str, given: dict[str, Any]) -> Element:
    """Build an element from plain data, in which an argument may be a step."""
    cls = KINDS[kind]
    inner = {
        name: element_of(*next(iter(given[name].items())))
        for name in step_arguments(cls) & given.keys()
        if given[name] is not None
    }
    return cls.parse(given | inner)


def _merged(merge: str, shapes: list[Shape], given: dict[str, Any] | None = None) -> Shape | None:
    try:
        return MERGES[merge].parse(given or {}).output_shape(*shapes)
    except Problem:
        return None


@st.composite
def branches(draw: st.DrawFn, x: Shape) -> tuple[dict[str, Any], Shape] | None:
    """Sequences of steps side by side, and what merges them."""
    ways, ends = [], []
    for _ in range(draw(st.integers(2, 3))):
        way: list[dict[str, Any]] = []
        y = x
        for _ in range(draw(st.integers(0, 2))):
            made = draw(steps(y))
            if made:
                way.append(made[0])
                y = made[1]
        ways.append(way)
        ends.append(y)
    for merge in draw(st.permutations(sorted(MERGES))):
        y = _merged(merge, ends)
        if y is not None and y.size <= MOST_VALUES:
            return {"branches": ways, "merge": merge}, y
    return None


@st.composite
def pooled_and_back(draw: st.DrawFn, x: Shape) -> tuple[dict[str, Any], Shape] | None:
    """The largest values of windows, put back where they were."""
    if not x.rank:
        return None
    size = draw(st.tuples(*(st.integers(1, min(extent, 3)) for extent in x.spatial)))
    back = {"max_unpool": size, "from": ["pooled", "input"]}
    return {"layers": [{"max_pool": size, "name": "pooled"}, back]}, x


@st.composite
def joins(
    draw: st.DrawFn, before: dict[str, Shape], last: str
) -> tuple[dict[str, Any], Shape] | None:
    """A merge of the last step with an earlier one."""
    earlier = draw(st.sampled_from(sorted(before)))
    for merge in draw(st.permutations(sorted(MERGES))):
        given = draw(arguments(MERGES[merge], before[last])) if draw(st.booleans()) else {}
        y = _merged(merge, [before[last], before[earlier]], given)
        if y is not None and y.size <= MOST_VALUES:
            return {merge: given, "from": [last, earlier]} if given else {merge: earlier}, y
    return None


@st.composite
def computed(draw: st.DrawFn, names: str | list[str]) -> Any:
    """Names of steps as they may be computed: a text, or a list of texts."""
    if isinstance(names, list):
        whole = "[" + ", ".join([draw(_text(name)) for name in names]) + "]"
        parts = [draw(computed(name)) for name in names]
        return draw(st.sampled_from([names, f"={whole}", f"=[n for n in {whole}]", parts]))
    return draw(st.sampled_from([names, "=" + draw(_text(names))]))


@st.composite
def _text(draw: st.DrawFn, name: str) -> str:
    """An expression that gives a name."""
    cut = draw(st.integers(0, len(name)))
    joined = f"'{name[:cut]}' + '{name[cut:]}'"
    if name[-1].isdigit():
        joined = draw(st.sampled_from([joined, f"'{name[:-1]}' + str({name[-1]})"]))
    return draw(st.sampled_from([f"({joined})", f"['x', {joined}][1:][0]"]))


@st.composite
def named_steps(
    draw: st.DrawFn, step: dict[str, Any], name: str, blocks: dict[str, Any]
) -> dict[str, Any]:
    """The same step with its names computed, in a group with `let`, or as a block of the spec."""
    step = dict(step)
    merge = next((kind for kind in MERGES if kind in step), None)
    # In a group, `input` is the group's own.
    reads_input = "input" in (step.get(merge), *step.get("from", ()))
    if merge and isinstance(step[merge], str) and draw(st.integers(0, 3)) == 0:
        blocks[name] = {"inputs": ["left", "right"], "layers": [{merge: "right"}]}
        source = draw(computed(step[merge]))
        step = {name: None, "from": {"right": source}}
    for key in ("from", merge):
        if isinstance(step.get(key), (str, list)):
            step[key] = draw(computed(step[key]))
    step["name"] = draw(computed(name))
    if not reads_input and draw(st.integers(0, 5)) == 0:
        let = {"name": f"='{name}'", "same": "=input.channels == in.channels and name"}
        step = {"let": let, "layers": [step | {"name": "=same"}]}
    return step


def _has_weights(step: dict[str, Any], x: Shape, blocks: dict[str, Any]) -> bool:
    spec = {"name": "alone", "input": [*x], "blocks": blocks, "layers": [step]}
    return any(node.layer.weights for node in expand(spec_of(json.dumps(spec))).nodes)


@st.composite
def shared(
    draw: st.DrawFn, owners: dict[str, tuple[Shape, Shape]], before: dict[str, Shape], last: str
) -> tuple[list[dict[str, Any]], Shape] | None:
    """An earlier step with its weights, after the last one or beside it and joined with it.

    `owners` are the shapes of input and output of each step that has weights.
    """
    owner = draw(st.sampled_from(sorted(owners)))
    x, y = owners[owner]
    # In the group that is made of it, `input` is the group's.
    alike = (name for name, shape in before.items() if shape == x)
    sources = [name for name in alike if name != "input" or name == last]
    if not sources:
        return None
    source = draw(st.sampled_from(sorted(sources)))
    step = {"share": draw(computed(owner)), "from": draw(computed(source))}
    if source == last:
        return [step], y
    for merge in draw(st.permutations(sorted(MERGES))):
        z = _merged(merge, [y, before[last]])
        if z is not None and z.size <= MOST_VALUES:
            return [step | {"name": "twin"}, {merge: ["twin", last]}], z
    return None


@st.composite
def specs(draw: st.DrawFn, *, several: bool = True) -> dict[str, Any]:
    """A valid spec: a chain of steps, some of them branches and joins, now and then with a head.

    Some of the names of steps are computed, some steps share the weights of others. With
    `several`, some specs have two inputs.
    """
    extent = st.sampled_from([1, 2, 3, 4, 5, 5, 6, 7, 8, 9])
    spatial = draw(st.lists(extent, min_size=1, max_size=3))
    x = Shape((*spatial, draw(st.sampled_from([1, 2, 3, 4, 6, 8]))))
    two = several and draw(st.integers(0, 3)) == 0
    first = "left" if two else "input"
    shapes = {first: x}
    if two:
        shapes["right"] = draw(st.sampled_from([x, x, Shape((5, 5, 2)), Shape((3,))]))
    given = dict(shapes)
    layers: list[dict[str, Any]] = []
    ends = [first]
    blocks: dict[str, Any] = {}
    owners: dict[str, tuple[Shape, Shape]] = {}
    for number in range(draw(st.integers(1, 8))):
        last = ends[-1]
        strategies = [steps(x)] * 8 + [branches(x)] * 2 + [pooled_and_back(x)]
        strategies += [joins(shapes, last)] * 2 * bool(layers)
        if owners and draw(st.integers(0, 3)) == 0:
            again = draw(shared(owners, shapes, last))
            if again:
                group, x = again
                layers.append({"layers": group, "from": last, "name": f"s{number}"})
                ends.append(f"s{number}")
                shapes[f"s{number}"] = x
            continue
        made = draw(draw(st.sampled_from(strategies)))
        if made:
            before, (step, x) = x, made
            layers.append(draw(named_steps(step, f"s{number}", blocks)))
            ends.append(f"s{number}")
            shapes[f"s{number}"] = x
            if not any(kind in step for kind in MERGES) and _has_weights(step, before, blocks):
                owners[f"s{number}"] = before, x
    assume(layers)
    spec: dict[str, Any] = {"name": "random", "layers": layers}
    if two:
        spec["inputs"] = {name: [*shape] for name, shape in given.items()}
        layers.append({"flatten": None, "name": "end"})
        layers.append({"flatten": None, "name": "other", "from": "right"})
        layers.append({"concat": ["end", "other"], "name": "both"})
    else:
        spec["input"] = [*given["input"]]
    if blocks:
        spec["blocks"] = blocks
    source = draw(st.sampled_from(sorted(shapes)))
    head = draw(steps(shapes[source])) if draw(st.integers(0, 5)) == 0 else None
    if head:
        spec["heads"] = {"aux": {"from": draw(computed(source)), "layers": [head[0]]}}
    return spec
