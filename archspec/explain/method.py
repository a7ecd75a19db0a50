"""The arguments of a method, each declared once, in its signature and its docstring.

The signature says what an argument may be, and the docstring what it means. The check of a call,
the options of the command line and their help are made of these two.
"""

from __future__ import annotations

import functools
import inspect
import math
import numbers
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar, get_args, get_origin
from typing import get_type_hints as type_hints

from archspec import arguments
from archspec.errors import UsageError, suggestion

LARGEST: Final = 1e9
"""Largest absolute value of a number: the square or cube of a larger one overflows in float32."""

COMMON: Final = {"normalize", "white", "data", "batch", "seed", "progress"}
"""Arguments that every method takes: `Study.open` checks them."""

ABOUT_IMAGES: Final = {"data", "white"}
"""Arguments that only methods of images take."""

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Allowed:
    """Allowed values of an argument, as metadata of its type: `Annotated[int, Allowed(1)]`."""

    least: float = -LARGEST
    most: float = LARGEST
    words: tuple[str, ...] = ()
    metavar: str = ""
    """Name of a value in the help of the command line."""


ClassName: TypeAlias = Annotated[str | int | None, Allowed(metavar="CLASS")]
LayerName: TypeAlias = Annotated[str | None, Allowed(metavar="LAYER")]
UnitNumber: TypeAlias = Annotated[int | None, Allowed(0)]
PixelValue: TypeAlias = Annotated[str | float, Allowed(metavar="VALUE")]


@dataclass(frozen=True, slots=True)
class MethodArgument:
    """An argument that only this method has."""

    name: str
    kind: Literal["whole", "number", "flag", "text"]
    several: bool
    """Whether a list of values may be given."""
    allowed: Allowed
    default: Any
    help: str
    """Text of the docstring."""

    def checked(self, value: Any) -> Any:
        """Return a value as the method takes it.

        Raise `UsageError` if the argument may not have this value.
        """
        if value is None:
            return None
        if self.several:
            values = value if isinstance(value, (list, tuple)) else [value]
            if not values:
                raise arguments.wrong(self.name, value, "one or more")
            return tuple(map(self._one, values))
        return self._one(value)

    def _one(self, value: Any) -> Any:
        name, least, most = self.name, self.allowed.least, self.allowed.most
        if self.allowed.words:
            return arguments.one_of(name, value, self.allowed.words)
        match self.kind:
            case "flag":
                return arguments.flag(name, value)
            case "whole":
                number: float = arguments.whole(name, value, least=int(max(least, 0)))
            case "number":
                given = None if isinstance(value, str) else finite(value)
                if given is None:
                    raise arguments.wrong(name, value, "a finite number")
                number = given
            case "text":
                if isinstance(value, numbers.Real) and not isinstance(value, bool):
                    return value  # a class by its number, or the value of a pixel
                return arguments.text(name, value)
        if not least <= number <= most:
            raise arguments.wrong(name, value, f"from {least:g} to {most:g}")
        return number


def finite(value: Any) -> float | None:
    """Return a finite number, which may be given as text; None for anything else."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def method(function: F) -> F:
    """Declare a function as a method of `archspec.explain`.

    Its arguments are checked before it runs, and its gallery gets its name and their values.
    """
    name = function.__name__
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checked(*positional: Any, **named: Any) -> Any:
        own = arguments_of(function)
        common = COMMON if takes_images(function) else COMMON - ABOUT_IMAGES
        others = common | ({"run", "images"} & set(signature.parameters))
        for each, value in named.items():
            if each in own:
                named[each] = own[each].checked(value)
            elif each not in others:
                hint = suggestion(each, [*own, *sorted(common)], what="arguments")
                raise UsageError(f"`{name}` takes no argument `{each}`; {hint}")
        gallery = function(*positional, **named)
        values = {each: named.get(each, argument.default) for each, argument in own.items()}
        settings = {**values, **gallery.settings}
        return replace(gallery, method=name.replace("_", "-"), settings=settings)

    return checked  # type: ignore[return-value]


def arguments_of(function: Callable[..., Any]) -> Mapping[str, MethodArgument]:
    """Return the arguments that are not common to all methods, by name."""
    return _arguments_of(inspect.unwrap(function))


@functools.cache
def _arguments_of(function: Callable[..., Any]) -> Mapping[str, MethodArgument]:
    own = {
        name: parameter
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    # Only their types are evaluated: those of `run` and `images` name what is not imported.
    declared = SimpleNamespace(
        __annotations__={name: parameter.annotation for name, parameter in own.items()}
    )
    hints = type_hints(declared, vars(inspect.getmodule(function)), include_extras=True)
    texts = _argument_texts(function)
    return {
        name: _argument(name, hints[name], parameter.default, texts[name])
        for name, parameter in own.items()
    }


def _argument(name: str, hint: Any, default: Any, text: str) -> MethodArgument:
    allowed = Allowed()
    if get_origin(hint) is Annotated:
        hint, allowed = get_args(hint)
    alternatives = [hint, *get_args(hint)]
    types = {each for one in alternatives for each in (one, *get_args(one))}
    kind: Any = "text"
    if str not in types:
        kind = "flag" if bool in types else "number" if float in types else "whole"
    several = any(get_origin(each) is Sequence for each in alternatives)
    return MethodArgument(name, kind, several, allowed, default, text)


def _argument_texts(function: Callable[..., Any]) -> dict[str, str]:
    """Return the docstring's text for each argument, on one line, as a sentence."""
    section = (inspect.getdoc(function) or "").partition("\nArgs:\n")[2].partition("\n\n")[0]
    entries = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {name: re.sub(r"\s+", " ", text[:1].upper() + text[1:]) for name, text in entries}


def takes_images(function: Callable[..., Any]) -> bool:
    """Return whether a method looks at images."""
    return "images" in inspect.signature(function).parameters
