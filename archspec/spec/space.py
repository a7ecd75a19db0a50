"""Values of a variable among which a sweep or a search looks: the `search:` section of a spec."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, NamedTuple

from archspec.declare.declaration import Declaration, DeclarationError
from archspec.declare.metadata import Expect
from archspec.element import show
from archspec.errors import Problem
from archspec.spec.operations import MAX_ITEMS, MAX_NUMBER
from archspec.vocabulary import key_hint

MOST_VALUES: Final = 100_000
"""Largest number of values of a range that has a step."""

_FORMS: Final = (
    "as `width: [16, 32, 64]`, `width: {choice: [16, 32]}` or `width: {range: [8, 64], step: 8}`"
)


class SearchRange(Declaration):
    """Values of a variable among which `archspec search` looks: a range or a choice."""

    range: Annotated[list[Any] | None, Expect("two numbers, as [8, 64]")] = None
    """The first and the last value, as `[8, 64]`."""
    step: Annotated[int | float | None, Expect("a number")] = None
    """Distance between the values of a range; by default 1 between whole numbers, while between
    fractions any value is possible."""
    log: Annotated[bool, Expect("true or false")] = False
    """Whether a range is searched by its logarithm, as fits learning rates: without a step."""
    choice: Annotated[list[Any] | None, Expect("a list")] = None
    """The values themselves, instead of a range; a plain list says the same."""


class Dimension(NamedTuple):
    """The values of one variable: those of `choices`, or a range of numbers."""

    name: str
    """A variable, `input` or `variant`."""
    choices: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    step: float | None = None
    """None where any value between `low` and `high` is possible."""
    log: bool = False

    @property
    def is_range(self) -> bool:
        """Whether the values are numbers in a row, whose order means something."""
        return not self.choices

    @property
    def is_whole(self) -> bool:
        """Whether the values are a range of whole numbers."""
        return self.is_range and all(type(n) is int for n in (self.low, self.high, self.step or 1))

    @property
    def values(self) -> tuple[Any, ...] | None:
        """All values, in order; None where there is any number of them."""
        if self.choices:
            return self.choices
        if self.step is None:
            if not self.is_whole:
                return None
            return tuple(range(int(self.low), int(self.high) + 1))
        return tuple(_exact(self.low + i * self.step) for i in range(_steps(self)))

    def __str__(self) -> str:
        """Return the values as an option of the command has them."""
        if self.choices:
            return ",".join(map(show, self.choices))
        step = "" if self.step in (None, 1) else f":{self.step}"
        return f"{self.low}..{self.high}{step}"


def dimension(name: str, written: Any) -> Dimension:
    """Return the values of a variable in `search:`; raise `Problem` if they are not valid."""
    if isinstance(written, (list, tuple)):
        return _choice(name, list(written))
    if not isinstance(written, dict):
        message = f"`{name}` must be a list of values or a range, not {show(written)}"
        raise Problem("type", message, help=_FORMS)
    try:
        values = SearchRange.model_validate(written)
    except DeclarationError as error:
        item = error.errors[0]
        key = str(item["loc"][0])
        if item["type"] == "extra_forbidden":
            hint = key_hint(key, SearchRange.model_fields, what="keys")
            message = f"`{key}` is not a key of the values of `{name}`"
            raise Problem("unknown-key", message, help=hint) from None
        message = f"`{key}` of `{name}` cannot be {show(item['input'])}"
        raise Problem("type", message, help=_FORMS) from None
    if (values.range is None) == (values.choice is None):
        what = "both `range` and `choice`" if values.range else "neither `range` nor `choice`"
        raise Problem("value", f"`{name}` has {what}", help=_FORMS)
    if values.range is None:
        if values.step is not None or values.log:
            raise Problem("value", f"`step` and `log` of `{name}` go with `range`", help=_FORMS)
        return _choice(name, values.choice or [])
    return numbers(name, values.range, values.step, log=values.log)


def numbers(
    name: str, bounds: Sequence[Any], step: float | None = None, *, log: bool = False
) -> Dimension:
    """Return the range of a variable; raise `Problem` if its bounds or its step are wrong."""
    if len(bounds) != 2 or not all(type(n) in (int, float) and abs(n) < MAX_NUMBER for n in bounds):
        message = f"the range of `{name}` must be two numbers within 2^63, not {show(bounds)}"
        raise Problem("type", message, help="as `range: [8, 64]`: the first and the last value")
    low, high = bounds
    if not low <= high:
        raise Problem("value", f"the range of `{name}` is empty: {show(low)} is above {show(high)}")
    if step is not None and not step > 0:
        raise Problem("value", f"the step of `{name}` must be above 0, not {show(step)}")
    if log and (step is not None or low <= 0):
        message = f"`log` of `{name}` needs a range above 0 without a `step`"
        raise Problem("value", message)
    if step is None and type(low) is int and type(high) is int and not log:
        step = 1
    found = Dimension(name, (), low, high, step, log)
    if (found.is_whole or step is not None) and not high - low < MOST_VALUES * (step or 1):
        message = f"the range of `{name}` has more than {MOST_VALUES:,} values"
        raise Problem("limit", message, help=None if log else "take a larger `step`")
    return found


def _choice(name: str, values: list[Any]) -> Dimension:
    if not values:
        raise Problem("value", f"`{name}` has no values", help=_FORMS)
    if len(values) > MAX_ITEMS:
        message = f"`{name}` has {len(values):,} values, more than {MAX_ITEMS:,}"
        raise Problem("limit", message, help="a range may have more, as `{range: [1, 5000]}`")
    seen: set[str] = set()
    for value in values:
        if (text := repr(value)) in seen:
            raise Problem("duplicate", f"`{name}` has the value {show(value)} twice")
        seen.add(text)
    return Dimension(name, tuple(values))


def _steps(dimension: Dimension) -> int:
    """Return the number of values of a range that has a step."""
    step = dimension.step or 1
    return int((dimension.high - dimension.low) / step + 1e-9) + 1


def _exact(value: float) -> float:
    """Return a value of a range without the rounding error of a sum: 0.3 for 0.1 + 0.2."""
    return value if type(value) is int else float(f"{value:.12g}")
