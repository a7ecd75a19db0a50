"""Extents that depend on the size of the input: exact formulas that behave as whole numbers do.

`input: [null, null, 3]` leaves height and width open. A convolution's rule then computes with
formulas such as `ceil(height/2)`, and needs no code for them: sums, products and floor divisions of
formulas are formulas. A comparison that every large enough size decides is decided; one that
depends on the size raises `Problem`. What does not depend on the size is a plain `int`.

A formula is a sum of products of axes and of floor divisions. Chains of strides become a single
division: floor(floor(h / 2) / 2) is floor(h / 4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from math import gcd, lcm, prod
from operator import attrgetter
from typing import Any, Final, NamedTuple, NoReturn, TypeAlias

from archspec.errors import Problem

LONGEST: Final = 200
"""Largest number of characters of a division in a formula; each step may add to it."""

MOST_TERMS: Final = 500
"""Largest number of terms of a formula."""

LONGEST_PERIOD: Final = 1_000
"""Largest period in which formulas are compared size by size."""

A_SIZE: Final = (
    "write the size in `input`, as `input: [224, 224, 3]`, or give one from outside, as "
    "`at='224x224'`"
)
"""Help where an extent must be known."""


class Axis(NamedTuple):
    """An open axis of the input, whose extent is any multiple of `unit`."""

    name: str
    unit: int = 1

    @property
    def axis(self) -> str:
        return self.name

    @property
    def text(self) -> str:
        return self.name

    @property
    def order(self) -> tuple[str, str]:
        return self.name, ""


class Floor(NamedTuple):
    """A floor division that no simpler formula has; `text` identifies it."""

    numerator: Extent
    divisor: int
    text: str
    axis: str
    """Name of the first axis that it depends on."""

    @property
    def order(self) -> tuple[str, str]:
        return self.axis, self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Floor) and self.text == other.text

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.text)


Atom: TypeAlias = Axis | Floor
Monomial: TypeAlias = tuple[Atom, ...]
"""A product of atoms in a fixed order; empty for a constant."""


class Extent:
    """A whole number that depends on the open extents of the input.

    Its text is a formula: `ceil(height/2)`, or with thousands separated as `f"{extent:,}"`.

    Example:
        >>> height = Extent.open("height")
        >>> print((height + 1) // 2 * 64)
        64*ceil(height/2)
        >>> ((height + 1) // 2).at({"height": 7})
        4
    """

    __slots__ = ("_samples", "_text", "terms")

    def __init__(self, terms: Mapping[Monomial, int]) -> None:
        """Prefer arithmetic: it gives plain whole numbers where nothing depends on the size."""
        self.terms = terms
        """Factor of each monomial, none of them 0."""
        self._samples: tuple[int, ...] | None = None
        self._text: str | None = None

    @classmethod
    def open(cls, name: str, unit: int = 1) -> Extent:
        """Return the extent of an open axis, which is any multiple of `unit`."""
        return cls({(Axis(name, unit),): unit})

    # Arithmetic.

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, int | Extent):
            return NotImplemented
        return total((self, other))

    __radd__ = __add__

    def __neg__(self) -> Any:
        return self * -1

    def __sub__(self, other: Any) -> Any:
        return self + -other if isinstance(other, int | Extent) else NotImplemented

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __mul__(self, other: Any) -> Any:
        if not isinstance(other, int | Extent):
            return NotImplemented
        if isinstance(other, int):
            return _made({monomial: factor * other for monomial, factor in self.terms.items()})
        return _made(_products(self.terms, other.terms, key=attrgetter("order")))

    __rmul__ = __mul__

    def __floordiv__(self, divisor: Any) -> Any:
        if not isinstance(divisor, int):
            return self._unknown("divide by a number that depends on the size")
        if divisor < 1:
            return -self // -divisor
        return _floor(self, divisor)

    def __mod__(self, divisor: Any) -> Any:
        return self - self // divisor * divisor

    def __divmod__(self, divisor: Any) -> Any:
        return self // divisor, self % divisor

    def __rfloordiv__(self, other: object) -> NoReturn:
        self._unknown(f"divide {other} by it")

    def __truediv__(self, other: object) -> NoReturn:
        self._unknown("divide it with a fraction")

    __rtruediv__ = __truediv__

    def __abs__(self) -> Any:
        return self if self >= 0 else -self

    def __index__(self) -> int:  # noqa: PLE0305  (it raises)
        self._unknown("use it as a number")

    __int__ = __float__ = __index__

    # Comparisons.

    def __eq__(self, other: object) -> bool:
        """Whether both are equal at every size."""
        if not isinstance(other, Extent):
            return False
        if self.terms == other.terms:
            return True
        if self.samples != other.samples:
            return False
        difference = self - other
        return not isinstance(difference, Extent) or difference.bounds() == (0, 0)

    def __hash__(self) -> int:
        return hash(self.samples)

    @property
    def samples(self) -> tuple[int, ...]:
        """Values at some sizes: equal formulas may differ in their terms, but not in these."""
        if self._samples is None:
            axes = {name: self.unit(name) for name in self.axes}
            self._samples = tuple(
                self.at({name: unit * (step + i) for i, (name, unit) in enumerate(axes.items())})
                for step in _SAMPLED
            )
        return self._samples

    def __bool__(self) -> bool:
        return _sign_of(self, self, "is 0") != 0

    def __lt__(self, other: Any) -> bool:
        return not self >= other

    def __ge__(self, other: Any) -> bool:
        return bool(_sign_of(self - other, self, f"is at least {other}", zero=1) >= 0)

    def __gt__(self, other: Any) -> bool:
        return bool(_sign_of(self - other, self, f"is above {other}", zero=-1) > 0)

    def __le__(self, other: Any) -> bool:
        return not self > other

    # Values.

    def at(self, sizes: Mapping[str, int]) -> int:
        """Return the value at a size.

        Args:
            sizes: Extent of each open axis, in values of the input.

        Raises:
            Problem: An extent is not the multiple that its axis needs.
        """
        return sum(
            factor * prod(_value(atom, sizes) for atom in monomial)
            for monomial, factor in self.terms.items()
        )

    def growth(self) -> dict[tuple[str, ...], Fraction]:
        """Return the factors of the terms of the highest degree, by the axes they grow with."""
        degree = max(map(len, self.terms))
        rates: dict[tuple[str, ...], Fraction] = {}
        for monomial, factor in self.terms.items():
            if len(monomial) < degree:
                continue
            for axes, rate in _growth(monomial).items():
                rates[axes] = rates.get(axes, Fraction(0)) + factor * rate
        return {axes: rate for axes, rate in rates.items() if rate}

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes that it depends on."""
        names = {name for monomial in self.terms for atom in monomial for name in _axes(atom)}
        return tuple(sorted(names))

    def period(self) -> int | None:
        """Return the number of steps of its one axis after which all its divisions repeat.

        None where there are several axes, a product of them, or more steps than are compared.
        """
        if len(self.axes) != 1 or max(map(len, self.terms)) > 1:
            return None
        periods = [_period(atom) for monomial in self.terms for atom in monomial]
        known = [period for period in periods if period is not None]
        period = lcm(*known) if len(known) == len(periods) else None
        return period if period is not None and period <= LONGEST_PERIOD else None

    def bounds(self) -> tuple[int, int] | None:
        """Return the least and the largest value if it stays between two; None if unknown."""
        if self.growth() or (period := self.period()) is None:
            return None
        (name,) = self.axes
        unit = self.unit(name)
        values = [self.at({name: unit * (step + 1)}) for step in range(period)]
        return min(values), max(values)

    def unit(self, name: str) -> int:
        """Return what the sizes of an axis are multiples of."""
        return next(
            _unit(atom, name) for term in self.terms for atom in term if name in _axes(atom)
        )

    # Text.

    def __format__(self, form: str) -> str:
        separator = "," if "," in form else ""
        return format(_text(self, separator), form.replace(",", ""))

    def __str__(self) -> str:
        if self._text is None:
            self._text = _text(self, "")
        return self._text

    def __repr__(self) -> str:
        return f"<Extent {self}>"

    def _unknown(self, what: str) -> NoReturn:
        raise Problem("shape", f"the extent {self} depends on the size: cannot {what}", help=A_SIZE)


_SAMPLED: Final = (1, 6, 10**6 + 3, 10**LONGEST + 39)
"""Sizes by which unequal formulas are told apart, the last of them beyond any divisor."""


def agreement(first: Any, second: Any) -> tuple[int, int] | None:
    """Return where two extents of one axis agree: at multiples of a number, plus a rest.

    None where that is at no such sizes, or not known.

    Example:
        >>> height = Extent.open("height")
        >>> agreement(height, height // 4 * 4)
        (4, 0)
    """
    difference = first - second
    if not isinstance(difference, Extent) or difference.growth():
        return None
    period = difference.period()
    if period is None:
        return None
    (name,) = difference.axes
    unit = difference.unit(name)
    agreeing = [not difference.at({name: unit * (step + period)}) for step in range(period)]
    for multiple in (each for each in range(1, period + 1) if period % each == 0):
        if all(agreeing[::multiple]):
            return multiple * unit, 0
    return (period * unit, agreeing.index(True) * unit) if True in agreeing else None


# Making formulas.


def total(values: Iterable[Any]) -> Any:
    """Return the sum of whole numbers, of which some may depend on the size."""
    constant = 0
    terms: dict[Monomial, int] = {}
    for value in values:
        if isinstance(value, Extent):
            for monomial, factor in value.terms.items():
                terms[monomial] = terms.get(monomial, 0) + factor
        else:
            constant += value
    if not terms:
        return constant
    terms[()] = terms.get((), 0) + constant
    return _made(terms)


def _made(terms: Mapping[Monomial, int]) -> Any:
    """Return a formula, or a whole number where no term depends on the size."""
    left = {monomial: factor for monomial, factor in terms.items() if factor}
    if len(left) > MOST_TERMS:
        raise Problem(
            "limit",
            f"a formula in the input's size has more than {MOST_TERMS:,} terms",
            help=A_SIZE,
        )
    if not left or (len(left) == 1 and () in left):
        return left.get((), 0)
    return Extent(left)


def _atom(numerator: Extent, divisor: int) -> Floor:
    text = _floor_text(numerator, divisor, 0, "")
    if len(text) > LONGEST:
        message = f"the formula of an extent has more than {LONGEST} characters"
        raise Problem("limit", message, help=A_SIZE)
    return Floor(numerator, divisor, text, numerator.axes[0])


def _floor(dividend: Extent, divisor: int) -> Any:
    """Return the floor division in its simplest form."""
    leading = next(dividend.terms[monomial] for monomial in _ordered(dividend) if monomial)
    if leading < 0:
        return -((-dividend + (divisor - 1)) // divisor)
    whole: dict[Monomial, int] = {}
    rest: dict[Monomial, int] = {}
    for monomial, factor in dividend.terms.items():
        whole[monomial], rest[monomial] = divmod(factor, divisor)
    constant = rest.pop((), 0)
    rest = {monomial: factor for monomial, factor in rest.items() if factor}
    if not rest:  # the constant is less than the divisor
        return _made(whole)
    common = gcd(divisor, *rest.values())
    rest = {monomial: factor // common for monomial, factor in rest.items()}
    constant, divisor = constant // common, divisor // common
    if divisor == 1:
        return total((_made(whole), _made(rest), constant))
    ((monomial, factor), *more) = rest.items()
    if not more and factor == 1 and len(monomial) == 1 and isinstance(monomial[0], Floor):
        inner = monomial[0]
        quotient = (inner.numerator + constant * inner.divisor) // (divisor * inner.divisor)
    else:
        numerator = Extent({**rest, (): constant}) if constant else Extent(rest)
        quotient = Extent({(_atom(numerator, divisor),): 1})
    return total((_made(whole), quotient))


# Reading formulas.


def _value(atom: Atom, sizes: Mapping[str, int]) -> int:
    if isinstance(atom, Floor):
        return atom.numerator.at(sizes) // atom.divisor
    steps, rest = divmod(sizes[atom.name], atom.unit)
    if rest:
        message = f"{atom.name} must be a multiple of {atom.unit}, not {sizes[atom.name]}"
        raise Problem("shape", message)
    return steps


def _growth(monomial: Monomial) -> dict[tuple[str, ...], Fraction]:
    """Return what a product grows like: the factor by the axes of each term."""
    rates: dict[tuple[str, ...], Fraction] = {(): Fraction(1)}
    own: dict[tuple[str, ...], Fraction]
    for atom in monomial:
        own = {(atom.axis,): Fraction(1)}
        if isinstance(atom, Floor):
            own = {axes: rate / atom.divisor for axes, rate in atom.numerator.growth().items()}
        rates = _products(rates, own)
    return rates


def _products(
    first: Mapping[Any, Any], second: Mapping[Any, Any], key: Callable[[Any], Any] | None = None
) -> dict[Any, Any]:
    """Return the products of all terms of two sums, which are factors by monomial or by axes."""
    terms: dict[Any, Any] = {}
    for ours, by in first.items():
        for theirs, times in second.items():
            joined = tuple(sorted(ours + theirs, key=key))
            terms[joined] = terms.get(joined, 0) + by * times
    return terms


def _sign_of(difference: Any, extent: Extent, what: str, zero: int = 0) -> int:
    """Return 1, 0 or -1: the sign of a difference at every size that is large enough.

    `zero` is the sign to give a difference that is 0 at some sizes and beyond it at others, where
    the comparison does not tell the two apart.
    """
    if not isinstance(difference, Extent):
        return int(difference > 0) - int(difference < 0)
    rates = difference.growth().values()
    if rates and min(rates) > 0:
        return 1
    if rates and max(rates) < 0:
        return -1
    bounds = difference.bounds()
    if bounds is not None:
        least, largest = bounds
        if least > 0 or (least == 0 and zero > 0):
            return 1
        if largest < 0 or (largest == 0 and zero < 0):
            return -1
        if least == largest:
            return 0
    raise Problem("shape", f"it depends on the size whether {extent} {what}", help=A_SIZE)


def _axes(atom: Atom) -> tuple[str, ...]:
    return (atom.name,) if isinstance(atom, Axis) else atom.numerator.axes


def _unit(atom: Atom, name: str) -> int:
    return atom.unit if isinstance(atom, Axis) else atom.numerator.unit(name)


def _period(atom: Atom) -> int | None:
    """Return the number of steps after which a division has grown by a whole number."""
    if isinstance(atom, Axis):
        return 1
    period = atom.numerator.period()
    if period is None:
        return None
    grown = sum(atom.numerator.growth().values()) * period
    return int(period * (atom.divisor // gcd(int(grown), atom.divisor)))


# Writing formulas.


def _ordered(extent: Extent) -> list[Monomial]:
    """Return the monomials, those that grow fastest first."""

    def rank(monomial: Monomial) -> tuple[Any, ...]:
        rates = _growth(monomial)
        fastest = max(len(axes) for axes in rates)
        return -fastest, -sum(rates.values()), tuple(atom.order for atom in monomial)

    return sorted(extent.terms, key=rank)


def _text(extent: Extent, form: str) -> str:
    return _factored(extent, form) or _grouped(extent, form) or _joined(extent, form)


def _joined(extent: Extent, form: str) -> str:
    """Return the terms with their signs between them."""
    ordered = [monomial for monomial in _ordered(extent) if monomial]
    constant = extent.terms.get((), 0)
    texts = []
    if len(ordered) == 1 and extent.terms[ordered[0]] == 1 and len(ordered[0]) == 1:
        (atom,) = ordered[0]
        if isinstance(atom, Floor):  # the constant is shortest inside
            return _floor_text(atom.numerator, atom.divisor, constant, form)
    for monomial in ordered:
        factor = extent.terms[monomial]
        texts.append((factor < 0, _term(abs(factor), monomial, form)))
    if constant:
        texts.append((constant < 0, format(abs(constant), form)))
    (negative, first), *rest = texts
    return (
        ("-" if negative else "")
        + first
        + "".join(f" {'-' if negative else '+'} {text}" for negative, text in rest)
    )


def _term(factor: int, monomial: Monomial, form: str) -> str:
    """Return a product; an axis of which only multiples are possible divides its factor."""
    scaled = Fraction(factor, prod(atom.unit for atom in monomial if isinstance(atom, Axis)))
    texts = [_atom_text(atom, form) for atom in monomial]
    if scaled.numerator != 1:
        texts.insert(0, format(scaled.numerator, form))
    return "*".join(texts) + (f"/{scaled.denominator:{form}}" if scaled.denominator > 1 else "")


def _atom_text(atom: Atom, form: str) -> str:
    if isinstance(atom, Floor) and form:
        return _floor_text(atom.numerator, atom.divisor, 0, form)
    return atom.text


def _floor_text(numerator: Extent, divisor: int, offset: int, form: str) -> str:
    """Return a division plus a whole number, as `ceil(height/2)` where that is shorter."""
    constant = numerator.terms.get((), 0)
    rest = numerator - constant
    ((monomial, factor), *more) = rest.terms.items()
    if not more and len(monomial) == 1 and (unit := getattr(monomial[0], "unit", 1)) > 1:
        # In values of the input: where height is 32 n, floor((n + 1)/2) is floor((height + 32)/64).
        common = gcd(factor, unit)
        scale = unit // common
        rest = Extent({(Axis(monomial[0].axis),): factor // common})
        rounds_up = (constant + 1) % divisor == 0
        constant, divisor = (constant + rounds_up) * scale - rounds_up, divisor * scale
    inner = _text(rest, form)
    if len(rest.terms) > 1:
        inner = f"({inner})"
    if (constant + 1) % divisor == 0:
        more = (constant + 1) // divisor - 1 + offset
        return f"ceil({inner}/{divisor:{form}})" + _signed(more, form)
    constant += offset * divisor
    if constant % divisor == 0:
        return f"floor({inner}/{divisor:{form}})" + _signed(constant // divisor, form)
    return f"floor(({_text(rest, form)}{_signed(constant, form)})/{divisor:{form}})"


def _signed(number: int, form: str) -> str:
    if not number:
        return ""
    return f" {'-' if number < 0 else '+'} {format(abs(number), form)}"


def _factored(extent: Extent, form: str) -> str:
    """Return a formula as a product of one factor for each axis; empty if it is not one."""
    if len(extent.axes) < 2:
        return ""
    factors: list[Extent] = []
    content = gcd(*extent.terms.values())
    rest: Any = Extent({monomial: factor // content for monomial, factor in extent.terms.items()})
    for axis in extent.axes[:-1]:
        parts = _split(rest, axis)
        if parts is None:
            return ""
        factors.append(parts[0])
        rest = parts[1]
    factors.append(rest)
    if not all(isinstance(factor, Extent) and len(factor.axes) == 1 for factor in factors):
        return ""
    if all(len(factor.terms) == 1 for factor in factors):
        return ""  # a single term
    return _product(content, factors, form)


def _product(content: int, factors: Iterable[Extent], form: str) -> str:
    """Return the text of a number times formulas."""
    by = Fraction(content)
    texts = []
    for factor in factors:
        ((monomial, times), *more) = factor.terms.items()
        if not more and times == 1 and len(monomial) == 1 and isinstance(monomial[0], Axis):
            by /= monomial[0].unit
            texts.append(monomial[0].text)
        else:
            texts.append(bracketed(_joined(factor, form)))
    if by.numerator != 1:
        texts.insert(0, format(by.numerator, form))
    return "*".join(texts) + (f"/{by.denominator:{form}}" if by.denominator > 1 else "")


def _grouped(extent: Extent, form: str) -> str:
    """Return a sum of products of sums, such as 9*(ceil(height/2) - 3)*(ceil(width/2) - 3).

    Empty where no term is such a product, or it is not clear which terms belong to it.
    """
    pairs = [monomial for monomial in extent.terms if len(monomial) == 2]
    atoms = [atom for pair in pairs for atom in pair]
    rest: Any = extent
    texts = []
    for pair in _ordered(Extent(dict.fromkeys(pairs, 1))) if pairs else ():
        times = extent.terms[pair]
        first, second = pair
        # The factor of each atom alone tells what is added to the other.
        added, left = divmod(extent.terms.get((second,), 0), times)
        more, over = divmod(extent.terms.get((first,), 0), times)
        if left or over or not (added or more) or times < 0 or first.axis == second.axis:
            continue
        if atoms.count(first) > 1 or atoms.count(second) > 1:
            continue
        factors = Extent({(first,): 1}) + added, Extent({(second,): 1}) + more
        texts.append(_product(times, factors, form))
        rest = rest - times * (factors[0] * factors[1])
    if not texts:
        return ""
    if isinstance(rest, int):
        return " + ".join(texts) + _signed(rest, form)
    return " + ".join([*texts, _joined(rest, form)]).replace("+ -", "- ")


def bracketed(text: str) -> str:
    """Return a formula in brackets if it is a sum."""
    depth = 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == " " and not depth:
            return f"({text})"
    return text


def _split(extent: Extent, axis: str) -> tuple[Extent, Any] | None:
    """Return a formula in one axis and one in the others, whose product it is; else None."""
    table: dict[Monomial, dict[Monomial, int]] = {}
    for monomial, factor in extent.terms.items():
        ours = tuple(atom for atom in monomial if atom.axis == axis)
        table.setdefault(ours, {})[tuple(a for a in monomial if a.axis != axis)] = factor
    first = next(iter(table.values()))
    common = gcd(*first.values())
    column = {monomial: factor // common for monomial, factor in first.items()}
    row: dict[Monomial, int] = {}
    (key, unit), *_ = column.items()
    for ours, factors in table.items():
        times, left = divmod(factors.get(key, 0), unit)
        if left or factors != {monomial: times * factor for monomial, factor in column.items()}:
            return None
        row[ours] = times
    made = _made(row), _made(column)
    return made if isinstance(made[0], Extent) else None
