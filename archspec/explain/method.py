"""The arguments of a method, described once: for the function's check and for the command line."""

from __future__ import annotations

import functools
import inspect
import math
import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from archspec import arguments
from archspec.errors import UsageError, suggestion

LARGEST: Final = 1e9
"""No number is larger than this, either way: float32 would overflow in its square, or its cube."""

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Option:
    """An argument of a method: what it may be, and one line that says what it is for."""

    help: str
    kind: Literal["whole", "number", "flag", "text"] = "text"
    least: float = -math.inf
    """The least number that it may be."""
    most: float = math.inf
    choices: tuple[str, ...] = ()
    """The words that it may be."""
    several: bool = False
    """Whether it may be given several times: as a list, in Python."""
    metavar: str = ""
    """What the help calls a value."""

    def checked(self, name: str, value: Any) -> Any:
        """Return a value that the argument may have.

        Raises:
            UsageError: it may not have this one.

        """
        if value is None:
            return None
        if self.several:
            listed = value if isinstance(value, (list, tuple)) else [value]
            if not listed:
                raise arguments.wrong(name, value, "one or more")
            return tuple(self._one(name, each) for each in listed)
        return self._one(name, value)

    def _one(self, name: str, value: Any) -> Any:
        if self.choices:
            return arguments.one_of(name, value, self.choices)
        match self.kind:
            case "flag":
                return arguments.flag(name, value)
            case "whole":
                number: float = arguments.whole(name, value, least=int(max(self.least, 0)))
            case "number":
                number = self._number(name, value)
            case _:
                if isinstance(value, numbers.Real) and not isinstance(value, bool):
                    return value  # a class by its number, or a value of the background
                return arguments.text(name, value)
        least, most = max(self.least, -LARGEST), min(self.most, LARGEST)
        if not least <= number <= most:
            raise arguments.wrong(name, value, f"from {least:g} to {most:g}")
        return number

    def _number(self, name: str, value: Any) -> float:
        try:
            number = math.nan if isinstance(value, (bool, str)) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise arguments.wrong(name, value, "a finite number")
        return number


TARGET: Final = Option("The class, by its name.  [the most probable one]", metavar="CLASS")
LAYER: Final = Option("The layer, or a block's name for its last layer.", metavar="LAYER")
UNIT: Final = Option("The layer's channel, or number of its unit, from 0.", "whole", least=0)

COMMON: Final = {"normalize", "white", "data", "batch", "seed", "progress"}
"""Arguments that every method takes: `Study.open` checks them."""

ABOUT_IMAGES: Final = {"data", "white"}
"""Arguments that only methods of images take."""


def method(**options: Option) -> Callable[[F], F]:
    """Declare a function as a method of `archspec.explain`: its own arguments are checked first.

    Args:
        options: for each keyword argument of the function, what it may be.

    """

    def declare(function: F) -> F:
        common = COMMON if takes_images(function) else COMMON - ABOUT_IMAGES
        known = {"run", *(["images"] if takes_images(function) else []), *common}

        @functools.wraps(function)
        def checked(*given: Any, **named: Any) -> Any:
            for name, value in named.items():
                if name in options:
                    named[name] = options[name].checked(name, value)
                elif name not in known:
                    hint = suggestion(name, [*options, *sorted(common)], what="arguments")
                    raise UsageError(f"`{function.__name__}` takes no argument `{name}`; {hint}")
            return function(*given, **named)

        vars(checked)["options"] = options
        return checked  # type: ignore[return-value]

    return declare


def options_of(function: Callable[..., Any]) -> Mapping[str, Option]:
    """The arguments that a method has of its own."""
    found: Mapping[str, Option] = vars(function)["options"]
    return found


def default_of(function: Callable[..., Any], name: str) -> Any:
    """The default of a method's argument."""
    return inspect.signature(function).parameters[name].default


def takes_images(function: Callable[..., Any]) -> bool:
    """Whether a method looks at images."""
    return "images" in inspect.signature(function).parameters
