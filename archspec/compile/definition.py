"""Blocks that a spec defines: the class of each, with the arguments that it declares."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from itertools import count
from typing import Annotated, Any, Final, cast

from archspec.compile.step import SpecBlock, inline
from archspec.declare.declaration import REQUIRED, DeclarationError
from archspec.declare.metadata import Expect
from archspec.element import Element, show, whole
from archspec.errors import KeyPath, Problem, did_you_mean, nearest
from archspec.spec.document import Argument, BlockDefinition, name_problem
from archspec.spec.expressions import Expression, is_expression
from archspec.spec.findings import Findings
from archspec.spec.operations import has_arguments
from archspec.spec.template import (
    BROKEN,
    Known,
    Passed,
    Template,
    compile_template,
    evaluate,
    is_constant,
    names_in,
    size,
)
from archspec.vocabulary import value_meant

_SERIALS = count(1)


def declare(
    name: str, definition: BlockDefinition, variables: Mapping[str, Any], findings: Findings
) -> type[SpecBlock]:
    """Return the class of a block that a spec defines, its body still empty."""
    fields = _Arguments(name, definition, variables, findings).fields()
    body = {arg: default for arg, (_, default) in fields.items() if default is not REQUIRED}
    annotations = {arg: annotation for arg, (annotation, _) in fields.items()}
    namespace = {"__annotations__": annotations, "__doc__": definition.about, **body}
    block: Any = type(name, (SpecBlock,), namespace)
    block.kind = name
    block.main = next(iter(definition.args), None)
    block.serial = next(_SERIALS)
    block.lost = {arg: BROKEN for arg in definition.args if arg not in fields}
    block.computed = {arg: value for arg, value in body.items() if not is_constant(value)}
    block.computing = sum(map(size, block.computed.values()))
    block.input_names = _input_names(name, definition, findings)
    block.most_inputs = max(1, len(block.input_names))
    return cast("type[SpecBlock]", block)


def _input_names(block: str, definition: BlockDefinition, findings: Findings) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for i, name in enumerate(definition.inputs):
        problem = name_problem(name, "an input")
        if problem is None and name in names:
            problem = Problem("duplicate", f"two inputs are called `{name}`")
        if problem:
            findings.report(problem, ("blocks", block, "inputs", i))
        else:
            names[name] = None
    return tuple(names)


_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
    "str": ((str,), "a word"),
    "list": ((tuple,), "a list"),
    "activation": ((str, dict), "an activation"),
}
"""Types of arguments: the Python types of their values, and words for them."""


def _annotation(kind: str) -> Any:
    """Return the annotation of an argument of a type."""
    if kind == "activation":
        from archspec.blocks.activated import Activation  # noqa: PLC0415  (few specs need it)

        return Activation
    plain = {"int": int, "float": float, "bool": bool, "str": str, "list": tuple[Any, ...]}
    return Annotated[plain[kind], Expect(_TYPES[kind][1])]


_TRIAL_VALUES: Final[Mapping[str, tuple[Any, Any]]] = {
    "int": (64, 7),
    "float": (0.5, 1.25),
    "bool": (True, False),
    "str": ("a", "b"),
    "list": ((1,), (1, 2)),
    "activation": ({"leaky_relu": 0.1}, {"elu": 0.5}),
}
"""Two values of each type: the type of a computed default is seen by computing it with both."""


class _Arguments:
    """The declarations of a block's arguments, read."""

    def __init__(
        self,
        block: str,
        definition: BlockDefinition,
        variables: Mapping[str, Any],
        findings: Findings,
    ) -> None:
        self.path: KeyPath = ("blocks", block, "args")
        self.variables = variables
        self.findings = findings
        self.known = Known(variables).inside(definition.args)
        self.written = definition.args
        self.trials: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
        self.constants = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in variables.items()
            if not is_expression(value)
        }

    def fields(self) -> dict[str, tuple[Any, Any]]:
        """Return each argument's annotation and default, without those that are wrong.

        Computed defaults come last, each after those that it needs.
        """
        arguments: dict[str, Argument] = {}
        computed: dict[str, Template] = {}
        fields: dict[str, tuple[Any, Any]] = {}
        for arg, written in self.written.items():
            argument = self._argument(arg, written)
            if argument is None:
                continue
            place: KeyPath = (*self.path, arg)
            place = (*place, "default") if isinstance(written, dict) else place
            try:
                if argument.type is None or _is_computed(argument.default):
                    computed[arg] = compile_template(
                        argument.default, place, self.known, self.findings, shaped=False
                    )
                else:
                    fields[arg] = _field(arg, argument.type, argument, place, self.findings)
            except Problem as problem:
                self.findings.report(problem, place)
            except Passed:
                continue
            arguments[arg] = argument
            if argument.type is not None:
                self._try(arg, argument.type)
        for arg in self._ordered(computed):
            kind = arguments[arg].type or self._derived(computed[arg])
            if kind is None:
                written = inline(arguments[arg].default)
                help_ = f"as `{arg}: {{type: int, default: {written}}}`"
                message = f"the type of `{arg}` does not follow from its default"
                self.findings.report(Problem("missing", message, help=help_), (*self.path, arg))
                continue
            self._try(arg, kind)
            fields[arg] = _annotation(kind), computed[arg]
        return fields

    def _argument(self, arg: str, written: Any) -> Argument | None:
        unfit = name_problem(arg, "an argument", variable=True)
        if unfit is None and hasattr(SpecBlock, arg):
            help_ = "archspec has its own use for this name"
            unfit = Problem("value", f"an argument cannot be called `{arg}`", help=help_)
        if unfit:
            self.findings.report(unfit, (*self.path, arg), key=True)
            return None
        try:
            return _argument(written)
        except Problem as problem:
            self.findings.report(problem, (*self.path, arg))
            return None

    def _ordered(self, computed: Mapping[str, Template]) -> list[str]:
        """Return the arguments with computed defaults, each after those that it needs."""
        needs = {
            arg: {name for name in names_in(template) if name in computed}
            for arg, template in computed.items()
            if template is not BROKEN
        }
        users: dict[str, list[str]] = {}
        for arg, names in needs.items():
            for name in names:
                users.setdefault(name, []).append(arg)
        ordered = [arg for arg, names in needs.items() if not names]
        ordered += [arg for arg, template in computed.items() if template is BROKEN]
        for arg in ordered:
            for user in users.get(arg, ()):
                needs[user].discard(arg)
                if not needs[user]:
                    ordered.append(user)
        circular = {arg: names for arg, names in needs.items() if names}
        if circular:
            self._report_circle(circular)
        return [arg for arg in ordered if computed[arg] is not BROKEN]

    def _report_circle(self, needs: Mapping[str, set[str]]) -> None:
        """Report one circle of arguments, each of which needs some of the others."""
        trail = {(arg := next(iter(needs))): None}
        while (arg := min(needs[arg])) not in trail:
            trail[arg] = None
        names = list(trail)
        circle = " -> ".join([*names[names.index(arg) :], arg])
        problem = Problem("circular", f"defaults that depend on each other: {circle}")
        self.findings.report(problem, (*self.path, arg))

    def _derived(self, template: Template) -> str | None:
        """Return the type that a computed default has for trial values; None if it varies."""
        kinds = set()
        for values in self.trials:
            try:
                value = evaluate(template, ChainMap(values, self.constants))
            except (Problem, Passed, KeyError):
                return None
            kinds.add(next((k for k, (types, _) in _TYPES.items() if type(value) in types), None))
        if kinds == {"int", "float"}:
            return "float"
        if kinds == {"str", "activation"}:  # a name without arguments is a word
            return "activation"
        return kinds.pop() if len(kinds) == 1 else None

    def _try(self, arg: str, kind: str) -> None:
        """Add trial values of an argument of this type."""
        for values, value in zip(self.trials, _TRIAL_VALUES[kind], strict=True):
            values[arg] = value


def _is_computed(default: Any) -> bool:
    """Whether variables or other arguments enter a default."""
    if isinstance(default, list):
        return any(map(_is_computed, default))
    return is_expression(default) and bool(Expression.parse(default).names)


def _field(
    arg: str, kind: str, argument: Argument, path: KeyPath, findings: Findings
) -> tuple[Any, Any]:
    """Return an argument's annotation and its default, `REQUIRED` for none, which is at `path`."""
    types, words = _TYPES[kind]
    annotation = _annotation(kind)
    if "default" not in argument.model_fields_set:
        return annotation, REQUIRED
    template = compile_template(
        argument.default,
        path,
        frozenset(),
        findings,
        shaped=False,
        mappings=kind == "activation",
    )
    default = evaluate(template, {})
    default = whole(default) if kind in ("int", "list") else default
    if default is None:
        return annotation | None, None
    if not isinstance(default, types) or (isinstance(default, bool) and kind != "bool"):
        raise Problem("type", f"the default of `{arg}` must be {words}, not {show(default)}")
    return annotation, _activation(path[1], arg, default) if kind == "activation" else default


def _activation(block: str | int, arg: str, written: Any) -> Any:
    """Return an activation as the default of an argument; raise `Problem` for an unknown one."""
    annotations = {arg: _annotation("activation")}
    cls: type[Element] = type(arg, (Element,), {"__annotations__": annotations})
    cls.kind = str(block)
    problems = cls.problems({arg: written}, later=())
    if problems:
        raise problems[arg]
    return getattr(cls.parse({arg: written}), arg)


def _argument(written: Any) -> Argument:
    """Return an argument's declaration, from its type, its default, or both in a mapping."""
    if isinstance(written, dict):
        try:
            argument = Argument.model_validate(written)
        except DeclarationError:
            help_ = f"type is one of {', '.join(_TYPES)}; default and about may be left out"
            if has_arguments(written) and not written.keys() & Argument.model_fields.keys():
                help_ = f"as `{{type: activation, default: {show(written)}}}`"
            message = "an argument is {type: ..., default: ..., about: ...}"
            raise Problem("type", message, help=help_) from None
        if argument.type is None and "default" not in argument.model_fields_set:
            help_ = "as `{type: int}`, or `{default: 64}`"
            raise Problem("missing", "an argument needs a type or a default", help=help_)
        given = {"default": argument.default, "about": argument.about}
        return argument if argument.type else _with_default(argument.default, given)
    if isinstance(written, str) and not is_expression(written):
        if written not in _TYPES:
            meant = value_meant(written, _TYPES) or nearest(written, _TYPES)
            word = f"a word is a default as `{{type: str, default: {written}}}`"
            hint = did_you_mean(meant) if meant else f"{word}; types: {', '.join(_TYPES)}"
            raise Problem("value", f"there is no type `{written}`", help=hint)
        return Argument.model_validate({"type": written})
    return _with_default(written, {"default": written})


def _with_default(default: Any, given: Mapping[str, Any]) -> Argument:
    """Return the declaration of an argument whose type is that of its default."""
    if is_expression(default):
        return Argument.model_validate(given)
    for kind in (bool, int, float, list, str):  # a bool is an int, too
        if isinstance(default, kind):
            return Argument.model_validate({**given, "type": kind.__name__})
    help_ = "as `filters: int`, or `filters: 64`"
    raise Problem("type", "an argument needs a type or a default value", help=help_)
