"""Claims about a network, and whether they hold: published figures, expectations, budgets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from operator import eq, ge, gt, le, lt
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from archspec.cost.estimate import ESTIMATED
from archspec.element import show
from archspec.errors import Diagnostic, KeyPath, Problem, UsageError, suggestion
from archspec.spec.document import Spec
from archspec.spec.findings import spec_error

if TYPE_CHECKING:
    from archspec.cost.report import Report
    from archspec.graph.graph import Graph

FIGURES: Mapping[str, Callable[[Report], Any]] = {
    "params": lambda report: report.totals.params,
    "trainable": lambda report: report.totals.trainable,
    "non_trainable": lambda report: report.totals.non_trainable,
    "macs": lambda report: report.totals.macs,
    "flops": lambda report: report.totals.flops,
    "other_ops": lambda report: report.totals.other_ops,
    "connections": lambda report: connections(report.graph),
    "weight_layers": lambda report: report.totals.weight_layers,
    "layers": lambda report: report.totals.layers,
    "activations": lambda report: report.totals.activations,
    "weight_bytes": lambda report: report.memory.weights,
    "inference_bytes": lambda report: report.memory.inference,
    "must_keep": lambda report: report.memory.must_keep,
}
"""Figures of a network. Bytes are for the report's setting.

Where the input's size is open, some are formulas in it, and `inference_bytes` is None.
"""

TRAINING = "training_bytes"
"""Claim about the bytes of a training step; a mapping in it names the figure that it means."""


def _estimated(engine: str) -> Callable[[Report], int]:
    """Return the figure of a training step's bytes on an engine."""

    def figure(report: Report) -> int:
        from archspec.cost.estimate.engines import estimate  # noqa: PLC0415

        return estimate(report, engine).bytes

    return figure


TRAINING_FIGURES: Mapping[str, Callable[[Report], Any]] = {
    "must_keep": FIGURES["must_keep"],
    **{engine: _estimated(engine) for engine in ESTIMATED},
}
"""Figures of a training step: what must be kept, and the estimate for each engine."""

TRAINING_NAMES = tuple(TRAINING_FIGURES)
"""Figures that `training_bytes` may name."""

MAY_BE_NAMED = "; or bounds by figure, as {must_keep: 6 GB}"
"""Another way to write the bound of a training step's bytes."""

MUST_KEEP = f"{TRAINING}.must_keep"
"""Figure that a plain number after `training_bytes` claims."""

CLAIMS: Mapping[str, Callable[[Report], Any]] = {
    **{name: figure for name, figure in FIGURES.items() if name != "must_keep"},
    **{f"{TRAINING}.{name}": figure for name, figure in TRAINING_FIGURES.items()},
}
"""Figures that a claim may be about."""

CLAIM_NAMES = tuple(dict.fromkeys(name.partition(".")[0] for name in CLAIMS))
"""Keys of `expect` and `budget`."""


def connections(graph: Graph) -> int:
    """Return the connections of a network, as LeCun et al. 1998 count them."""
    return sum(
        node.op.connection_count(*node.layer.inputs, node.layer.output) for node in graph.nodes
    )


COMPARISONS = {"<": lt, "<=": le, ">": gt, ">=": ge, "=": eq, "==": eq, "": eq}
"""Comparisons of a claim by their symbols."""
_SUFFIXES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9, "T": 10**12}
_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_BOUND = re.compile(
    r"\s*(<=|>=|==|<|>|=|)\s*([0-9][0-9_,]{0,40}(?:\.[0-9]{1,40})?)(?:[eE]\+?([0-9]{1,2}))?"
    r"\s*([A-Za-z]{0,3})\s*"
)


_At: TypeAlias = Callable[[KeyPath], AbstractContextManager[None]]
"""Contexts that note a problem at a place, and go on after it."""


class Check(NamedTuple):
    """A claim, and the figure that it is about."""

    section: str
    """published, expect or budget."""
    figure: str
    """A name of `CLAIMS`, or `stage PATH`."""
    claim: str
    found: str
    holds: bool
    source: str = ""
    path: KeyPath = ()
    """Place of the claim in the spec."""
    setting: str = ""
    """Setting that bytes were counted for; empty for other figures."""
    actual: int = 0
    """The figure, of an expectation or a budget."""
    bound: int = 0
    """The number that it is compared with, of an expectation or a budget."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "section": self.section,
            "figure": self.figure,
            "claim": self.claim,
            "found": self.found,
            "holds": self.holds,
            "source": self.source,
            "setting": self.setting,
        }

    def diagnostic(self, spec: Spec) -> Diagnostic:
        """Return the problem of a claim that does not hold."""
        message = f"{self.figure} of {spec.name} is {self.found}, not {self.claim}"
        if self.setting:
            message += f" (counted at {self.setting})"
        problem = Problem(
            self.section, message, help=f"claimed by {self.source}" if self.source else None
        )
        return problem.at(spec.source.span(self.path))


def check_graph(spec: Spec, report: Report) -> tuple[Check, ...]:
    """Return the checks of all claims of a spec; raise `SpecError` for one that is not valid."""
    diagnostics: list[Diagnostic] = []

    @contextmanager
    def at(path: KeyPath) -> Iterator[None]:
        """Note a problem of the claim at a place."""
        try:
            yield
        except Problem as problem:
            span = spec.source.span(path, key=problem.code.startswith("unknown-"))
            diagnostics.append(problem.at(span))

    checks = [*_published(spec, report, at), *_bounds(spec, report, at)]
    if diagnostics:
        raise spec_error(spec.source, diagnostics)
    return tuple(checks)


def _published(spec: Spec, report: Report, at: _At) -> Iterator[Check]:
    published = spec.published
    if published is None:
        return
    path: KeyPath = ("published", spec.name)
    size = "" if published.at is None else str(published.at)
    if size:
        sized: Report | None = None
        with at((*path, "at")):
            sized = _sized(report, spec, size)
        if sized is None:
            return
        report = sized
    where = f" at {size}" if size else ""
    for figure in (name for name in FIGURES if getattr(published, name, None) is not None):
        place = (*path, figure)
        with at(place):
            claim, actual = getattr(published, figure), FIGURES[figure](report)
            if not isinstance(actual, int):
                raise _open(figure, "write the size beside the figures, as `at: 512x768`")
            found, holds = f"{actual:,}", claim == actual
            claimed = f"{claim:,}{where}"
            yield Check("published", figure, claimed, found, holds, published.source, place)
    for stage, shape in published.stages.items():
        place = (*path, "stages", stage)
        with at(place):
            shown = report.graph.shape_at(stage)
            if shown is None:
                help_ = suggestion(stage, report.graph.paths, what="steps")
                raise Problem("unknown-name", f"there is no step `{stage}`", help=help_)
            extents = shape if isinstance(shape, list) else [shape]  # a vector needs no brackets
            if not extents or any(type(extent) is not int for extent in extents):
                help_ = "whole numbers, channels last, such as [56, 56, 256]"
                raise Problem("type", f"`{show(shape)}` is not a valid shape", help=help_)
            claimed = "x".join(map(str, extents)) + where
            found, holds = str(shown), extents == list(shown)
            yield Check(
                "published", f"stage {stage}", claimed, found, holds, published.source, place
            )


def _bounds(spec: Spec, report: Report, at: _At) -> Iterator[Check]:
    sections = {"expect": spec.document.expect, "budget": spec.document.budget}
    for section, claims in sections.items():
        for path, figure, written in _claimed(section, claims, report.engine):
            with at(path):
                yield _bound(spec, report, path, figure, written)


def _bound(spec: Spec, report: Report, path: KeyPath, figure: str, written: Any) -> Check:
    """Return the check of an expectation or a budget; raise `Problem` for one that is wrong."""
    section, name = str(path[0]), str(path[-1])
    if figure not in CLAIMS:
        hint = suggestion(name, _siblings(path), what="figures")
        raise Problem("unknown-key", f"there is no figure `{name}`", help=hint)
    claim_of, _, size = written.partition(" at ") if isinstance(written, str) else (written, "", "")
    others = MAY_BE_NAMED if name == TRAINING else ""
    symbol, bound = read_bound(claim_of, in_bytes="_bytes" in figure, others=others)
    if section == "budget":
        symbol = _at_most(symbol, written)
    sized = _sized(report, spec, size) if size else report
    try:
        actual = CLAIMS[figure](sized)
    except UsageError as error:  # no estimate for an engine
        raise Problem("value", str(error)) from None
    if not isinstance(actual, int):
        claim = f'"{symbol or "="} {bound:,} at 512x768"'
        raise _open(name, f"write the size of the claim, as `{name}: {claim}`")
    holds = COMPARISONS[symbol](actual, bound)
    claim = f"{symbol} {bound:,}".strip() + (f" at {size.strip()}" if size else "")
    setting = _setting(figure, report)
    return Check(section, figure, claim, f"{actual:,}", holds, "", path, setting, actual, bound)


def _claimed(
    section: str, claims: Mapping[str, Any], engine: str | None
) -> Iterator[tuple[KeyPath, str, Any]]:
    """Yield the place, the figure and the bound of each claim of a section.

    A budget of a training step that names no figure is for the engine's estimate too, if there is
    one: the step must fit.
    """
    for name, written in claims.items():
        if name != TRAINING:
            yield (section, name), name, written
        elif isinstance(written, Mapping) and written:
            for which, bound in written.items():
                yield (section, name, which), f"{name}.{which}", bound
        else:
            yield (section, name), MUST_KEEP, written
            if engine is not None and section == "budget":
                yield (section, name), f"{TRAINING}.{engine}", written


def _siblings(path: KeyPath) -> Iterable[str]:
    """Return the names that may stand in the place of a claim's."""
    return TRAINING_NAMES if TRAINING in path[:-1] else CLAIM_NAMES


def _sized(report: Report, spec: Spec, size: str) -> Report:
    """Return the network as the spec has it, at the size of a claim."""
    from archspec.cost.size import graph_at  # noqa: PLC0415  (few claims are about a size)

    overrides = {name: value for name, value in spec.overrides.items() if name != "input"}
    try:
        return replace(report, graph=graph_at(replace(spec, overrides=overrides), size))
    except UsageError as error:
        raise Problem("value", f"the claim is about another size: {error}") from None


def _open(figure: str, help_: str) -> Problem:
    """Return the problem of a claim without a size about what depends on it."""
    return Problem("value", f"`{figure}` depends on the input's size, which is open", help=help_)


def _setting(figure: str, report: Report) -> str:
    """Return the setting that bytes are counted for; empty for other figures."""
    setting = report.setting
    return {
        "weight_bytes": setting.dtype,
        "inference_bytes": f"batch {setting.batch}, {setting.dtype}",
        TRAINING: str(setting),
    }.get(figure.partition(".")[0], "")


def read_bound(written: Any, *, in_bytes: bool, others: str = "") -> tuple[str, int]:
    """Return a comparison and its number, from `5`, `4.1e9`, `"< 5M"` or `40MB`.

    Args:
        written: What the spec has.
        in_bytes: Whether units of bytes are meant.
        others: What else might be written in its place, for the help of the problem.
    """
    if isinstance(written, int) and not isinstance(written, bool):
        return "", written
    if isinstance(written, float) and written.is_integer():
        return "", int(written)
    match = _BOUND.fullmatch(written) if isinstance(written, str) else None
    suffixes = {**_BYTES, "": 1} if in_bytes else _SUFFIXES
    if match is None or match[4].upper() not in suffixes:
        units = "KB, MB, GB, KiB, MiB, GiB" if in_bytes else "K, M, G"
        help_ = f'a number, or a comparison as "< 5M"; units: {units}{others}'
        shown = written if isinstance(written, str) else show(written)
        raise Problem("value", f"`{shown}` is not a valid bound", help=help_)
    number = match[2].replace("_", "").replace(",", "")
    whole, _, fraction = number.partition(".")
    scale = suffixes[match[4].upper()] * 10 ** int(match[3] or 0)
    return match[1], int(whole) * scale + int(fraction or 0) * scale // 10 ** len(fraction)


def bytes_of(written: Any) -> int:
    """Return a number of bytes, from `1000` or `"24 GB"`; raise `Problem` for anything else."""
    symbol, number = read_bound(written, in_bytes=True)
    if symbol:
        raise Problem("value", f"`{written}` is not a number of bytes")
    return number


def _at_most(symbol: str, written: Any) -> str:
    """Return the comparison of a budget, where a bare number is the most that is allowed."""
    if symbol in ("", "<", "<="):
        return symbol or "<="
    raise Problem(
        "value",
        f"`{written}` is not a valid budget, which is the most a figure may be",
        help="use `expect`",
    )
