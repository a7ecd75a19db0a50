"""The facts below a report's table, in every format: totals, memory, convention, claims."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from archspec.cost.checks import Check
from archspec.cost.report import CONVENTION, Report
from archspec.cost.setting import Setting
from archspec.render.amounts import byte_size, thousands
from archspec.text import counted

if TYPE_CHECKING:
    from archspec.cost.convention import Counted
    from archspec.cost.stored import Stored
    from archspec.graph.graph import Node

UNBROKEN = "\N{NO-BREAK SPACE}"
"""A space at which a line must not end."""


NEEDS_SIZE = "which needs a size: --at 512x768, or `at='512x768'` in Python"
"""End of a line about a figure that has no formula in the input's size."""


MOST_TYPES = 5
"""Largest number of types of unknown layers that a line names."""

MOST_NOTES = 10
"""Largest number of notes, or of unknown layers, that stand below a table."""


class Fact(NamedTuple):
    """A line below a table: a name, a figure, and details."""

    name: str
    figure: str
    detail: str
    holds: bool | None = None
    """Whether a claim is true; None for a fact that is not a claim."""

    @property
    def content(self) -> str:
        """The figure with the details in brackets, or what there is of both."""
        both = self.figure and self.detail
        return f"{self.figure} ({self.detail})" if both else self.figure or self.detail


def facts(report: Report) -> Iterator[Fact]:
    """Yield the facts of a network, each a line."""
    totals, memory, setting = report.totals, report.memory, report.setting
    trained = "all trained"
    if totals.non_trainable:
        trained = f"{thousands(totals.trainable)} trained, {thousands(totals.non_trainable)} not"
    layers = counted(totals.weight_layers, "weight layer")
    yield _amount(
        report, "params", Fact("parameters", thousands(totals.params), f"{trained}; {layers}")
    )
    if report.graph.is_open:
        yield from _facts_by_size(report)
    else:
        macs = Fact("MACs", thousands(totals.macs), f"{thousands(totals.flops)} FLOPs")
        yield _amount(report, "macs", macs)
        yield _amount(report, "other_ops", Fact("other ops", thousands(totals.other_ops), ""))
        yield _amount(report, "activations", Fact("activations", thousands(totals.activations), ""))
    weights = ("weights", memory.weights)
    state = ("gradients", memory.gradients), (setting.optimizer.label, memory.optimizer)
    parts = _sum(weights, *state, ("saved for backward", memory.saved)) + _recipe(setting)
    if memory.inference is None or memory.forward_peak is None:
        yield Fact("must keep", "", parts)
        yield Fact("inference", "", f"{_sum(weights)} + forward{UNBROKEN}peak, {NEEDS_SIZE}")
    else:
        yield _amount(report, "must_keep", Fact("must keep", byte_size(memory.must_keep), parts))
        if (estimate := report.estimate) is not None:
            detail = f"{estimate.engine}: {estimate.basis}; {estimate.accuracy}"
            yield Fact("estimate", byte_size(estimate.bytes), detail)
        terms = _sum(weights, ("forward peak", memory.forward_peak))
        inference = Fact("inference", byte_size(memory.inference), terms)
        yield _amount(report, "inference", inference)
    if report.stored:
        yield _stored(report.stored)
    yield from map(_counted, report.counted)
    yield from facts_of_file(report)
    yield Fact("counting", "", CONVENTION)
    for section in dict.fromkeys(check.section for check in report.checks):
        yield from _claims(section, [each for each in report.checks if each.section == section])


def _amount(report: Report, figure: str, fact: Fact) -> Fact:
    """Return the fact of a figure; that only a part of it is known where layers are unknown."""
    nodes = report.lacking(figure)
    if not nodes:
        return fact
    known = fact.figure.removesuffix(" + ?")
    known = "" if known == "?" else f"at least {known} + ".replace(" ", UNBROKEN)
    return Fact(fact.name, "", f"{known}unknown ({_types(nodes)})")


def _types(nodes: Sequence[Node]) -> str:
    """Return the number of unknown layers, and their types, the most frequent ones first."""
    types = Counter(node.op.label for node in nodes)
    named = [label if n == 1 else f"{n} {label}" for label, n in types.most_common(MOST_TYPES)]
    more = len(types) - MOST_TYPES
    named += [counted(more, "other type")] if more > 0 else []
    return f"{counted(len(nodes), 'layer')}: {', '.join(named)}"


def lacking(report: Report) -> dict[str, str]:
    """Return what is unknown of each figure of which only a part is known."""
    figures = (*report.totals._fields, *report.memory.to_dict())
    return {
        name: f"unknown: {_types(nodes)}" for name in figures if (nodes := report.lacking(name))
    }


def facts_of_file(report: Report) -> Iterator[Fact]:
    """Yield what a model file says beside its graph, and what archspec does not know of it."""
    model, params = report.model, report.totals.params
    if model is None:
        return
    if model.params is not None and model.params != params:
        yield Fact(
            "own count", thousands(model.params), "parameters, as the framework of the file counts"
        )
    for name, type_name, reason in model.unknown[:MOST_NOTES]:
        yield Fact("unknown", "", f"{name} ({type_name}): {reason}")
    if len(model.unknown) > MOST_NOTES:
        yield Fact("unknown", "", f"and {len(model.unknown) - MOST_NOTES:,} more layers")
    for note in model.notes[:MOST_NOTES]:
        yield Fact("note", "", note)
    if len(model.notes) > MOST_NOTES:
        yield Fact("note", "", f"and {len(model.notes) - MOST_NOTES:,} more, which JSON has")


def _stored(weights: Stored) -> Fact:
    """Return the bytes of stored weights in a line."""
    words = [
        f"weights as {weights.form}: {weights.share:.1%} of float32; kernels alone, "
        f"{thousands(weights.kernel_values)} values"
    ]
    if weights.keras_bytes is None:
        words.append("each that is left in float32, with a bit for every value or 4 bytes of place")
    else:
        words[0] += ", with a float32 scale for each output channel"
        words.append(
            f"Keras's model.quantize: {byte_size(weights.keras_bytes)}, as it leaves convolutions"
        )
    return Fact("stored", byte_size(weights.bytes), "; ".join(words))


def _counted(total: Counted) -> Fact:
    """Return the totals of another tool in a line."""
    rule = total.rule
    words = [f"{rule.prints or 'parameters'} of {rule.tool}"]
    if total.ops is not None and total.params is not None:
        words.append(f"{thousands(total.params)} parameters")
    words.append(rule.about)
    if total.unknown:
        kinds = ", ".join(f"{n} {kind}" for kind, n in total.unknown.items())
        words.append(f"not counted, as there is no checked rule: {kinds}")
    return Fact(total.convention, thousands(total.figure or 0), "; ".join(words))


def _facts_by_size(report: Report) -> Iterator[Fact]:
    """Yield what depends on the size of the input, as formulas of any length."""
    from archspec.graph.sizes import open_input, words  # noqa: PLC0415  (few networks are open)

    totals, least = report.totals, report.smallest
    size = words(open_input(report.graph), least) if least else "no size that it takes"
    yield Fact("input", "", f"{report.graph.input_text}, from {size} on")
    figures = (
        ("macs", "MACs", totals.macs),
        ("other_ops", "other ops", totals.other_ops),
        ("activations", "activations", totals.activations),
    )
    for figure, name, value in figures:
        fact = _amount(report, figure, Fact(name, _formula(value), ""))
        yield Fact(name, "", fact.figure or fact.detail)


def _formula(value: int) -> str:
    """Return a formula whose lines may end between its terms, and not within them."""
    depth = 0
    text = ""
    for character in f"{value:,}":
        depth += (character == "(") - (character == ")")
        text += UNBROKEN if character == " " and depth else character
    return text


def common_setting(settings: Sequence[Setting]) -> str:
    """Return the setting for which the bytes of several networks are counted, in a line."""
    if len(set(map(str, settings))) == 1:
        line = str(settings[0])
        if settings[0].batch != settings[0].training_batch:
            line += f", inference at batch {settings[0].batch}"
    else:
        line = "training by each network's `train:`"
        line += f", inference at batch {settings[0].batch}"
    return line


def _recipe(setting: Setting) -> str:
    """Return the part of the setting that the spec's recipe gives."""
    by_name = {
        "batch": f"batch {setting.training_batch}",
        "dtype": setting.dtype,
        "optimizer": setting.optimizer.label,
    }
    if setting.dtype == "float32":
        del by_name["dtype"]  # as without a recipe
    words = ", ".join(by_name[name] for name in setting.by_recipe if name in by_name).replace(
        " ", UNBROKEN
    )
    return f"; by `train:` {words.replace(f',{UNBROKEN}', ', ')}" if words else ""


def _sum(*parts: tuple[str, int]) -> str:
    """Return the terms of a figure, as in `weights 553 MB + forward peak 25.7 MB`."""
    return " + ".join(f"{name} {byte_size(value)}".replace(" ", UNBROKEN) for name, value in parts)


def _claims(section: str, checks: Sequence[Check]) -> Iterator[Fact]:
    """Yield a line for all claims that hold, one for each that does not, and one for the source."""
    holding = [check.figure for check in checks if check.holds]
    if holding:
        names = [figure for figure in holding if not figure.startswith("stage ")]
        stages = len(holding) - len(names)
        names += [f"{stages} stage shapes"] if stages else []
        verb = "agree" if section == "published" else "hold"
        yield Fact(section, "", f"{', '.join(names)} {verb}", holds=True)
    for check in checks:
        if not check.holds:
            yield Fact(
                section, "", f"{check.figure} is {check.found}, not {check.claim}", holds=False
            )
    if checks[0].source:
        yield Fact("", "", f"source: {checks[0].source}")
