"""Steps as YAML, written as the specs that come with archspec are: a step a line where it fits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from archspec.decompile.meaning import decimal
from archspec.decompile.naming import Naming
from archspec.decompile.proposals.layers import WORDS
from archspec.decompile.steps import (
    PREVIOUS,
    Expression,
    First,
    Step,
    computes,
    default_of,
    plain,
    usual,
)
from archspec.element import is_choice
from archspec.ops.convolution import Convolution

WIDTH = 100
"""Characters of the longest line."""

_PLAIN: Final = re.compile(r"(?:=[0-9]|=?[A-Za-z_])[A-Za-z0-9_ =+*/.<>()%-]*")
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})

SAID = frozenset({"kernel", "stride", "padding"})
"""Arguments that blocks say of their convolutions, so that a default changes no block."""

SHORT = 8
"""Characters of the longest number that is written as it is, if it is a simple fraction."""

MOST_PARTS = 1000
"""Largest number by which one is divided in a simple fraction."""

SEVERAL = 4
"""Number of steps that are too many for one line."""

Common = Mapping[str, Mapping[str, Any]]
"""Plain values of arguments, by kind and name."""


_NORMS: Final = frozenset(norm.kind for norm in WORDS)


def said_once(steps: Iterable[Step], given: Common) -> dict[str, dict[str, Any]]:
    """Return `given` with the arguments that enough steps share to be written once.

    Those of norms stay where they are: what is said once of norms goes for those in blocks, too.
    """
    defaults = {kind: dict(values) for kind, values in given.items()}
    counts: dict[tuple[str, str], Counter[str]] = {}
    values: dict[str, Any] = {}
    known: dict[str, Any] = {}
    for step in steps:
        if step.element is None or step.branches or step.is_merge or step.kind in _NORMS:
            continue
        known[step.kind] = step.element
        for name, value in step.arguments.items():
            text = repr(value)
            values[text] = value
            counts.setdefault((step.kind, name), Counter())[text] += 1
    for (kind, name), found in counts.items():
        text, most = found.most_common(1)[0]
        value = values[text]
        by_itself = plain(default_of(known[kind], name))
        if name in defaults.get(kind, {}) or value == by_itself or known[kind].main == name:
            continue
        if value is None or computes(value):
            continue
        if kind == "conv" and name not in SAID:
            continue
        others = found.total() - most - found.get(repr(by_itself), 0)
        if most - found.get(repr(by_itself), 0) >= 3 and most > others:
            defaults.setdefault(kind, {})[name] = value
    return defaults


class Writer:
    """Writes steps, without the arguments that are defaults."""

    def __init__(self, naming: Naming, defaults: Common) -> None:
        self.naming = naming
        self.defaults = defaults

    def steps(self, steps: Sequence[Step], indent: int) -> list[str]:
        """Return the lines of a list of steps."""
        return [line for step in steps for line in lines_of(self.data(step), indent)]

    def data(self, step: Step) -> Any:
        """Return a step as a spec has it, as plain data."""
        data: dict[str, Any] = {}
        if step.loop:
            data["for"] = step.loop
        if step.name:
            data["name"] = step.name
        if step.repeat is not None and (step.kind == "layers" or step.name):
            data["repeat"] = _value(step.repeat)
        if step.when is not None and step.inner:
            data["when"] = _value(step.when)
        if step.owner >= 0:
            data["share"] = self.naming.texts[id(step), step.owner]
            self._add_sources(data, step)
            return data
        if step.kind == "layers":
            self._add_sources(data, step)
            data["layers"] = [self.data(each) for each in step.body]
            return data
        if step.branches:
            self._add_sources(data, step)
            data["branches"] = [[self.data(each) for each in way] for way in step.branches]
            data["merge"] = step.arguments["merge"]
        else:
            said = self._bare(step)
            arguments = self._arguments(said)
            if said is not step and len(flow(arguments)) >= len(flow(self._arguments(step))):
                said, arguments = step, self._arguments(step)
            merged = self._merged(step)
            if step.is_merge and merged is not None and not arguments:
                data[step.kind] = merged
            else:
                data[said.kind] = _short(said, arguments)
                self._add_sources(data, step)
        if step.repeat is not None and "repeat" not in data:
            data["repeat"] = _value(step.repeat)
        if step.when is not None:
            data["when"] = _value(step.when)
        return step.kind if data == {step.kind: None} else data

    def _bare(self, step: Step) -> Step:
        """Return a `conv` as the op `convolution` where the others have more and it has no more."""
        given = self.defaults.get("conv", {})
        if step.kind != "conv" or not given.keys() & {"norm", "activation"}:
            return step
        values = step.arguments
        of_op = {name: value for name, value in values.items() if name in Convolution.model_fields}
        of_op["bias"] = values["bias"] is None or values["bias"]
        if any(
            value is not None and value != usual(step, name)
            for name, value in values.items()
            if name not in of_op
        ):
            return step
        return replace(step, kind="convolution", element=Convolution, arguments=of_op)

    def _arguments(self, step: Step) -> dict[str, Any]:
        given = self.defaults.get(step.kind, {})
        main = step.element.main if step.element else step.main
        ordered = sorted(step.arguments.items(), key=lambda item: item[0] != main)
        return {
            name: _fraction(value) if step.kind == "rescale" else _value(value)
            for name, value in ordered
            if value != (given[name] if name in given else usual(step, name))
        }

    def _merged(self, step: Step) -> Any:
        """Return what a merge without arguments has as its value: a name, or a list."""
        if not step.is_merge:
            return None
        texts = self._names(step)
        return texts[1] if step.adds_previous else texts

    def _names(self, step: Step) -> list[str]:
        return [self.naming.texts.get((id(step), each), "") for each in step.sources]

    def _add_sources(self, data: dict[str, Any], step: Step) -> None:
        names = self._names(step)
        if len(names) > 1:
            data["from"] = names
        elif step.sources != (PREVIOUS,):
            data["from"] = names[0]


def _value(value: Any) -> Any:
    """Return a value as it is written: one that is computed is a text that begins with `=`."""
    if isinstance(value, list):
        return [_value(each) for each in value]
    if isinstance(value, Expression):
        return f"={value}"
    if isinstance(value, First):
        return f"={_operand(value.first)} if index == 0 else {_operand(value.others)}"
    return value


def _operand(value: Any) -> str:
    """Return a value as an expression has it."""
    if isinstance(value, Expression):
        return str(value)
    return scalar(value) if isinstance(value, bool) else repr(value)


def _short(step: Step, arguments: dict[str, Any]) -> Any:
    """Return arguments in the shortest form: nothing, the main one alone, or all by name."""
    if not arguments:
        return None
    cls = step.element
    main = cls.main if cls else step.main
    if main not in arguments or len(arguments) > 1:
        return arguments
    value = arguments[main]
    if isinstance(value, dict) and (cls is None or not is_choice(cls, value)):
        return arguments
    return value


def scalar(value: Any) -> str:
    """Return a number or a text as YAML."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return re.sub(r"e([+-])0*(\d)", r"e\1\2", repr(value))
    if isinstance(value, int):
        return str(value)
    text = str(value)
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS and " #" not in text:
        return text if not text.endswith(" ") else f'"{text}"'
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _fraction(value: Any) -> Any:
    """Return a factor as `=1 / 255` if it is one divided by a whole number or a half of one."""
    if type(value) is not float or not 1 / MOST_PARTS <= value < 1 or len(repr(value)) <= SHORT:
        return _value(value)
    parts = round(2 / value) / 2
    shown = int(parts) if parts.is_integer() else parts
    return f"=1 / {shown}" if decimal(1 / parts) == decimal(value) else value


def flow(value: Any) -> str:
    """Return a value in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_item, value)) + "]"
    return scalar(value)


def _item(value: Any) -> str:
    """Return an item of a list in one line; a mapping of one key needs no braces there."""
    text = flow(value)
    return text[1:-1] if isinstance(value, dict) and len(value) == 1 else text


def lines_of(step: Any, indent: int) -> list[str]:
    """Return the lines of a step in a list, or of a sequence of steps."""
    margin = " " * indent
    if isinstance(step, list):  # a branch
        text = f"{margin}- {flow(step)}"
        if len(text) <= WIDTH and len(step) <= SEVERAL and not any(map(_is_group, step)):
            return [text]
        inner = [line for each in step for line in lines_of(each, indent + 2)]
        return [f"{margin}- {inner[0].strip()}", *inner[1:]]
    if not isinstance(step, dict):
        return [f"{margin}- {scalar(step)}"]
    text = f"{margin}- {_item(step) if len(step) == 1 else flow(step)}"
    if len(text) <= WIDTH and not _is_group(step):
        return [text]
    body = [line for key, value in step.items() for line in pair(key, value, indent + 2)]
    return [f"{margin}- {body[0].strip()}", *body[1:]]


def _is_group(step: Any) -> bool:
    """Return whether a step is a group with more in it than a line should have."""
    if not isinstance(step, dict):
        return False
    inner = step.get("layers", ())
    many = len(inner) >= SEVERAL or any(map(_is_group, inner))
    return many or "for" in step or "branches" in step


def pair(key: str, value: Any, indent: int) -> list[str]:
    """Return the lines of a key and its value."""
    margin = " " * indent
    text = f"{margin}{key}: {flow(value)}"
    if key in ("layers", "branches") and isinstance(value, list):
        few = key == "layers" and len(value) < SEVERAL and not any(map(_is_group, value))
        if few and len(text) <= WIDTH:
            return [text]
        return [f"{margin}{key}:", *(line for each in value for line in lines_of(each, indent + 2))]
    if len(text) <= WIDTH:
        return [text]
    if isinstance(value, dict):
        inner = [line for each in value.items() for line in pair(*each, indent + 2)]
        return [f"{margin}{key}:", *inner]
    if isinstance(value, list):
        return [f"{margin}{key}:", *_wrapped(value, indent + 2)]
    return [text]


def _wrapped(values: Sequence[Any], indent: int) -> list[str]:
    """Return the lines of a long list."""
    margin = " " * indent
    lines: list[str] = []
    line = margin + "["
    for number, value in enumerate(values, start=1):
        text = _item(value) + ("]" if number == len(values) else ",")
        if line.strip() not in ("", "[") and len(line) + len(text) + 1 > WIDTH:
            lines.append(line)
            line = margin + " "
        line += text if line.strip() in ("", "[") else f" {text}"
    return [*lines, line]
