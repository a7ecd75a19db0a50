"""Padding: how much, and the values that stand there."""

from typing import Annotated, Final, Literal, TypeAlias

from archspec.declare.metadata import Chosen, Expect, Instead
from archspec.element import Element
from archspec.errors import Problem, did_you_mean
from archspec.ops.fields import Sides


class Mode(Element):
    """Padding with values of the input, by the amounts in its field."""

    amount: Literal["same"] | Sides = "same"
    """Amount on each side, as `padding` takes it: same, a number, or one for each axis."""

    def __init_subclass__(cls, *, word: str) -> None:
        super().__init_subclass__()
        cls.kind = word  # in messages; it is not a kind of step
        cls.main = "amount"


class Reflect(Mode, word="reflect"):
    """The input mirrored at its border, which is not repeated: c b [a b c] b a."""


class Replicate(Mode, word="replicate"):
    """The values at the border, repeated: a a [a b c] c c."""


class Circular(Mode, word="circular"):
    """The input from its other end: b c [a b c] a b."""


MODES: Final[dict[str, type[Element]]] = {cls.kind: cls for cls in (Reflect, Replicate, Circular)}
"""Ways to pad with other values than zeros, by their words."""

_OTHER_WORDS: Final = {
    "full": "pad kernel - 1 zeros on each side, as `padding: 2` for a kernel of 3",
    "explicit": "write the amounts themselves, as `padding: 1` or `[[0, 1], [0, 1]]`",
    "symmetric": "archspec mirrors without the border, as `padding: {reflect: 1}`",
    **dict.fromkeys(("none", "no", "false", "0"), did_you_mean("valid")),
    **dict.fromkeys(
        ("zeros", "constant"), "zeros are the default: `padding: same`, or amounts as `padding: 1`"
    ),
    **dict.fromkeys(("reflection", "mirror"), did_you_mean("reflect")),
    **dict.fromkeys(("edge", "replication", "nearest"), did_you_mean("replicate")),
    "wrap": did_you_mean("circular"),
}

MODE_HINTS: Final = {
    "padding_mode": "`padding` names the values too, as `padding: {reflect: 1}`; without a name "
    "they are zeros"
}
"""Help for an argument that convolutions of other tools have."""

ZeroPadding: TypeAlias = Annotated[
    Literal["same", "valid"] | Sides,
    Expect(
        "same, valid, a whole number, one for each spatial axis such as [1, 1], "
        "or [before, after] for each axis such as [[0, 1], [0, 1]]"
    ),
    Instead(
        {
            **_OTHER_WORDS,
            "causal": "a step `pad` before it pads one side, as `pad: [[1, 0]]`",
            **dict.fromkeys(
                ("reflect", "reflection", "mirror", "replicate", "edge", "circular", "wrap"),
                "a step `pad` before it does so, as `pad: {amount: 1, mode: reflect}`",
            ),
        }
    ),
]
"""`same` (output = ceil(input / stride), odd pixel after), `valid` (none), or explicit zeros."""

Padding: TypeAlias = Annotated[
    Literal["same", "valid", "causal"] | Sides | Annotated[str | Mode, Chosen(MODES)],
    Expect(
        "same, valid, causal, a whole number, one for each spatial axis such as [1, 1], "
        "[before, after] for each axis such as [[0, 1], [0, 1]], or other values than zeros such "
        "as {reflect: 1}"
    ),
    Instead(_OTHER_WORDS),
]
"""`ZeroPadding`, and `causal` (zeros before a sequence alone), and values of the input."""


CutPadding: TypeAlias = Annotated[
    Literal["same", "valid"] | Sides,
    Expect(
        "same, valid, a whole number, one for each spatial axis such as [1, 1], "
        "or [before, after] for each axis such as [[0, 1], [0, 1]]"
    ),
    Instead(
        dict.fromkeys(
            ("causal", "reflect", "replicate", "circular"),
            "a transposed convolution pads nothing: `padding` cuts its output's ends",
        )
    ),
]
"""Padding of a transposed convolution: what is cut off the ends of its output."""


def check_mode(mode: str, extents: tuple[int, ...], sides: tuple[tuple[int, int], ...]) -> None:
    """Raise `Problem` where the input has too few values to pad with."""
    for extent, amounts in zip(extents, sides, strict=True):
        most = {"reflect": extent - 1, "circular": extent}.get(mode)
        if most is not None and max(amounts) > most:
            raise Problem(
                "shape",
                f"`{mode}` cannot pad {max(amounts)} where its input has {extent}",
                help=f"{mode} padding is at most {most} there",
            )
