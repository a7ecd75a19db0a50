"""The proof of specs: every variant is valid, and all that it claims is true."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, cast

from archspec import arguments
from archspec.cost.report import Report, report
from archspec.display import Displayed
from archspec.errors import Diagnostic, SpecError, UsageError
from archspec.imports import loading
from archspec.imports.model import ImportedModel, Network
from archspec.recipe.mistakes import places
from archspec.recipe.train import Recipe
from archspec.spec.document import Spec, choose
from archspec.spec.findings import spec_error
from archspec.spec.loading import find, load, path_or_name


@dataclass(frozen=True)
class Proved:
    """A network, what it costs, and what is wrong with it."""

    name: str
    report: Report | None
    """The costs, with every claim checked; None if the spec is not valid."""
    error: SpecError | None
    """All problems of the spec; None if there are none."""

    @property
    def holds(self) -> bool:
        """Whether the spec is valid and every claim true."""
        return self.error is None

    @property
    def claims(self) -> int:
        """Number of claims."""
        return len(self.report.checks) if self.report else 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: the figures, every claim, and every problem with its place."""
        totals = self.report.totals if self.report else None
        return {
            "name": self.name,
            "holds": self.holds,
            "params": totals.params if totals else None,
            "macs": totals.macs if totals else None,
            "checks": [check.to_dict() for check in self.report.checks] if self.report else [],
            "problems": [each.to_dict() for each in self.error.diagnostics] if self.error else [],
        }


@dataclass(frozen=True)
class Proof(Displayed):
    """Proof of several networks. Print it, or read it."""

    RENDERER = "proof"

    networks: tuple[Proved, ...]

    @property
    def holds(self) -> bool:
        """Whether every network is valid and every claim true."""
        return all(each.holds for each in self.networks)

    @property
    def claims(self) -> int:
        """Number of claims of all networks."""
        return sum(each.claims for each in self.networks)

    def __bool__(self) -> bool:
        """Return `holds`, so that `assert archspec.check(...)` is a test."""
        return self.holds

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: the JSON form."""
        return {"holds": self.holds, "networks": [each.to_dict() for each in self.networks]}


def check(
    *specs: Network | str | PathLike[str],
    variant: str | None = None,
    engine: str | None = None,
    **variables: Any,
) -> Proof:
    """Check specs: every variant and its recipe must be valid, every figure and budget true.

    Args:
        specs: Specs, or paths and names as `load` takes them. A family means all its variants. A
            model file, which claims nothing, is checked for layers that archspec does not know.
        variant: The only variant of each to check.
        engine: The engine for which a training step must also fit in a `training_bytes` of
            `budget:` that names no figure, as in `report`.
        variables: Values of the specs' variables, and `input`, as `load` takes them.

    Returns:
        A proof that prints itself. It is true, and so is `holds`, if nothing is wrong; `networks`
        has the report and the problems of each network.

    Raises:
        UsageError: A name, a variant, a variable or an engine does not exist.

    Example:
        >>> archspec.check("vgg").holds
        True
    """
    if not specs:
        raise UsageError("there is nothing to check: give a spec, a path or a name")
    return proof(specs, variant, variables, engine)


def proof(
    specs: Iterable[Network | str | PathLike[str]],
    variant: str | None,
    variables: Mapping[str, Any],
    engine: str | None = None,
) -> Proof:
    """Return the proof of some specs, of which a variable may have any name."""
    if engine is not None:
        from archspec.cost.estimate.engines import engine as named_engine  # noqa: PLC0415

        engine = named_engine(engine)
    return Proof(tuple(_proofs(specs, variant, variables, engine)))


def _proofs(
    specs: Iterable[Network | str | PathLike[str]],
    variant: str | None,
    variables: Mapping[str, Any],
    engine: str | None,
) -> Iterator[Proved]:
    for spec in specs:
        if isinstance(spec, ImportedModel) or loading.is_model_file(spec):
            file = cast("ImportedModel | str | PathLike[str]", spec)
            yield _read(_model(file, variant, variables))
            continue
        if isinstance(spec, Spec):
            if variant is not None or variables:
                raise UsageError("a spec that is loaded has its variant and its variables already")
            yield _proved(spec, engine)
            continue
        name = path_or_name("specs", spec)
        if variant is not None:
            arguments.text("variant", variant)
        try:
            members = _members(name, variant, variables)
        except SpecError as error:
            yield Proved(name, None, error)
            continue
        yield from (_proved(member, engine) for member in members)


def _model(
    model: ImportedModel | str | PathLike[str], variant: str | None, variables: Mapping[str, Any]
) -> ImportedModel:
    """Return a model file's model, with what the file leaves open."""
    if not isinstance(model, ImportedModel):
        return cast("ImportedModel", loading.load(model, variant, **variables))
    if variant is not None or variables:
        raise UsageError(f"{model.path} is loaded already: give its path to read it otherwise")
    return model


def _read(model: ImportedModel) -> Proved:
    """Return the proof of a model file: its shapes follow, and all its layers are known."""
    wrong = [
        Diagnostic("unknown-kind", f"`{name}` is a layer of type {kind}: {reason}", file=model.path)
        for name, kind, reason in model.unknown
    ]
    return Proved(model.name, report(model), SpecError(tuple(wrong)) if wrong else None)


def _members(name: str, variant: str | None, variables: Mapping[str, Any]) -> tuple[Spec, ...]:
    """Return all variants of a family, or the one that is named."""
    if variant is not None:
        return (load(name, variant, **variables),)
    source, validated, named = find(name)
    chosen: list[str | None] = [named] if named else [*validated.document.variants]
    return tuple(choose(validated, source, each, variables) for each in chosen or [None])


def _proved(spec: Spec, engine: str | None) -> Proved:
    wrong: list[Diagnostic] = []
    try:
        with places(spec):
            Recipe.resolve(spec.train)
    except SpecError as error:
        wrong += error.diagnostics
    costs = None
    try:
        # Bytes are claimed for the recipe: with a wrong one, those claims are not checked.
        costs = report(spec, batch=1, dtype="float32", optimizer="adam") if wrong else report(spec)
        if engine is not None:
            costs = replace(costs, engine=engine)
        checks = costs.checks
    except SpecError as error:
        wrong += error.diagnostics
    else:
        false = (check for check in checks if not check.holds)
        wrong += [check.diagnostic(spec) for check in false if not (wrong and check.setting)]
    return Proved(spec.name, costs, spec_error(spec.source, wrong) if wrong else None)
