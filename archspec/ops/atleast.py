"""Amounts of which a part is unknown, as those of a network with a layer that archspec cannot cost.

Such an amount passes through sums and products as whole numbers do, so that nothing that adds up
costs needs code for it, and no total loses what is unknown in it.
"""

from typing import Any


class AtLeast(int):
    """A lower bound of an unknown amount: `80 + ?` as text, `?` where nothing of it is known."""

    __slots__ = ()

    def __add__(self, other: Any) -> Any:
        return _made(int.__add__(self, other))

    __radd__ = __add__

    def __mul__(self, other: Any) -> Any:
        return _made(int.__mul__(self, other))

    __rmul__ = __mul__

    def __sub__(self, other: Any) -> Any:
        return _made(int.__sub__(self, other))

    def __rsub__(self, other: Any) -> Any:
        return _made(int.__rsub__(self, other))

    def __format__(self, form: str) -> str:
        return f"{format(int(self), form)} + ?" if self else "?"

    def __str__(self) -> str:
        return format(self, "")

    def __repr__(self) -> str:
        return f"AtLeast({int(self)})"


def _made(value: Any) -> Any:
    return value if value is NotImplemented else AtLeast(value)


UNKNOWN = AtLeast(0)
"""An amount of which nothing is known."""
