"""Elementwise functions: each by its name, with the arguments that it has.

A function is a word, as `activation: relu`; with its main argument, or with arguments by name, it
is a mapping: `activation: {leaky_relu: 0.1}`, `activation: {relu: {max: 6}}`.
"""

from functools import cache
from typing import Annotated, Any, ClassVar, Final, NamedTuple, TypeAlias

from archspec.declare.metadata import Chosen, Expect, Instead
from archspec.element import Element
from archspec.errors import Mend
from archspec.ops.fields import FromZero, Number, Positive
from archspec.ops.op import Saved


class Plain(NamedTuple):
    """A function without arguments."""

    kind: str
    about: str
    cost: int = 1
    """Other ops for each value."""
    saved: Saved = Saved(output=True)
    """Tensor from which training takes the derivative.

    It is the output where that tells the slope, as relu's sign and tanh's value do. A function
    with a dip gives one output for two inputs, so its input is kept.
    """

    in_keras: bool = True
    """Whether Keras has an activation of this name."""

    def emit(self, layers: Any, name: str) -> Any:
        """Return the Keras layer that computes the function."""
        if not self.in_keras:
            return layers.Function(self.kind, {}, name=name)
        return layers.Activation(self.kind, name=name)

    def argument(self, layers: Any) -> Any:
        """Return the function as an argument of a Keras layer: its name, or a layer."""
        return self.kind if self.in_keras else self.emit(layers, self.kind)


PLAIN: Final = {
    each.kind: each
    for each in (
        Plain("relu6", "min(max(x, 0), 6). (Krizhevsky 2010; Howard et al. 2017)"),
        Plain("selu", "A scaled elu that keeps mean 0 and variance 1. (Klambauer et al. 2017)"),
        Plain("silu", "x * sigmoid(x). (Elfwing et al. 2017)", saved=Saved(input=True)),
        Plain(
            "swish",
            "x * sigmoid(x), another name of silu. (Ramachandran et al. 2017)",
            saved=Saved(input=True),
        ),
        Plain("mish", "x * tanh(softplus(x)). (Misra 2019)", saved=Saved(input=True)),
        Plain("tanh", "The hyperbolic tangent."),
        Plain("sigmoid", "1 / (1 + exp(-x))."),
        Plain(
            "hard_swish",
            "x * hard_sigmoid(x). (Howard et al. 2019, MobileNetV3)",
            saved=Saved(input=True),
        ),
        Plain("hard_tanh", "x, cut at -1 and 1. (Collobert 2004)"),
        Plain("softplus", "log(1 + exp(x)). (Dugas et al. 2001)"),
        Plain("softsign", "x / (1 + |x|). (Turian et al. 2009)"),
        Plain("sparse_plus", "0 up to -1, x from 1, and (x + 1)^2 / 4 between."),
        Plain("sparse_sigmoid", "0 up to -1, 1 from 1, and (x + 1) / 2 between."),
        Plain("exponential", "exp(x)."),
        Plain(
            "abs",
            "|x|, the rectification of Jarrett et al. 2009.",
            saved=Saved(input=True),
            in_keras=False,
        ),
        Plain("log_sigmoid", "log(sigmoid(x))."),
        Plain("tanh_shrink", "x - tanh(x).", saved=Saved(input=True)),
        Plain("softmax", "Exponentials of the channels, which sum to one.", cost=3),
        Plain("log_softmax", "The logarithm of the softmax over the channels.", cost=3),
        Plain("sparsemax", "The nearest point on the simplex. (Martins & Astudillo 2016)", cost=3),
        Plain("linear", "x itself.", cost=0, saved=Saved()),
    )
}
"""The functions without arguments, by their words."""


class Function(Element):
    """A function with arguments, which are its fields."""

    cost: ClassVar[int] = 1
    saved: ClassVar[Saved] = Saved(output=True)

    in_keras: ClassVar[bool] = True
    """Whether Keras's function of this name has the same defaults."""

    def __init_subclass__(cls, *, word: str, main: str | None = None) -> None:
        super().__init_subclass__()
        cls.kind = word  # in messages; it is not a kind of step
        cls.main = main

    def emit(self, layers: Any, name: str) -> Any:
        """Return the Keras layer that computes the function."""
        if self.in_keras and self == type(self)():
            return layers.Activation(self.kind, name=name)
        return self.layer(layers, name)

    def argument(self, layers: Any) -> Any:
        """Return the function as an argument of a Keras layer: its name, or a layer."""
        plain = self.in_keras and self == type(self)()
        return self.kind if plain else self.layer(layers, self.kind)

    def layer(self, layers: Any, name: str) -> Any:
        """Return the Keras layer that computes the function with its arguments."""
        return layers.Function(self.kind, self.model_dump(), name=name)


class Relu(Function, word="relu"):
    """max(x, 0). (Nair & Hinton 2010; Krizhevsky et al. 2012, section 3.1)"""

    max: Positive | None = None
    """Largest output; null for no limit."""
    threshold: FromZero = 0.0
    """Input below which the output is 0."""

    def layer(self, layers: Any, name: str) -> Any:
        return layers.ReLU(max_value=self.max, threshold=self.threshold, name=name)


class LeakyRelu(Function, word="leaky_relu", main="slope"):
    """x, and `slope` times x below 0. (Maas et al. 2013)"""

    slope: FromZero = 0.2
    """Slope below 0: 0.2 as in Keras; torch has 0.01, Darknet 0.1."""

    def layer(self, layers: Any, name: str) -> Any:
        return layers.LeakyReLU(negative_slope=self.slope, name=name)


class Elu(Function, word="elu", main="alpha"):
    """x, and alpha * (exp(x) - 1) below 0. (Clevert et al. 2015)"""

    alpha: Positive = 1.0
    """Depth of the curve below 0."""

    def layer(self, layers: Any, name: str) -> Any:
        return layers.ELU(alpha=self.alpha, name=name)


class Celu(Function, word="celu", main="alpha"):
    """x, and alpha * (exp(x / alpha) - 1) below 0. (Barron 2017)"""

    alpha: Positive = 1.0
    """Depth of the curve below 0."""


class Gelu(Function, word="gelu", main="approximate"):
    """x times the normal distribution's share below x. (Hendrycks & Gimpel 2016)"""

    saved = Saved(input=True)

    approximate: bool = False
    """Whether the share is computed by a tanh, as in GPT-2, instead of exactly."""


class HardSigmoid(Function, word="hard_sigmoid", main="slope"):
    """slope * x + 1/2, cut at 0 and 1. (Howard et al. 2019)"""

    slope: Positive = 1 / 6
    """Slope at 0: a sixth as in Keras 3 and torch; Keras 2, Theano and ONNX have 0.2."""


class ScaledTanh(Function, word="scaled_tanh"):
    """amplitude * tanh(slope * x), which is 1 at 1. (LeCun et al. 1998, appendix A)"""

    cost = 3
    in_keras = False

    amplitude: Positive = 1.7159
    """Largest output."""
    slope: Positive = 2 / 3
    """Factor of the input."""


class Squareplus(Function, word="squareplus", main="b"):
    """(x + sqrt(x^2 + b)) / 2. (Barron 2021)"""

    b: Positive = 4.0
    """Width of the bend at 0."""


class SoftShrink(Function, word="soft_shrink", main="threshold"):
    """x moved towards 0 by `threshold`, and 0 within it."""

    threshold: Positive = 0.5
    """Distance from 0."""


class HardShrink(Function, word="hard_shrink", main="threshold"):
    """x, and 0 where |x| is at most `threshold`."""

    threshold: Positive = 0.5
    """Distance from 0."""


class Threshold(Function, word="threshold", main="threshold"):
    """x above `threshold`, and `value` elsewhere."""

    in_keras = False
    saved = Saved(input=True)

    threshold: Number = 0.0
    """Number above which values pass."""
    value: Number = 0.0
    """Output for all others."""

    def layer(self, layers: Any, name: str) -> Any:
        arguments = {"threshold": self.threshold, "default_value": self.value}
        return layers.Function(self.kind, arguments, name=name)


_WITH_ARGUMENTS = (
    Relu,
    LeakyRelu,
    Elu,
    Celu,
    Gelu,
    HardSigmoid,
    ScaledTanh,
    Squareplus,
    SoftShrink,
    HardShrink,
    Threshold,
)

FUNCTIONS: Final[dict[str, type[Function] | str]] = {
    **{each.kind: each for each in _WITH_ARGUMENTS},
    **{word: each.about for word, each in PLAIN.items()},
}
"""The class of each function's arguments by its word; a description of one without."""

OPS_OF_THEIR_OWN: Final = ("prelu", "glu")
"""Activations that are not functions, because they have weights or change the shape."""

NAMES: Final = frozenset((*FUNCTIONS, *OPS_OF_THEIR_OWN))
"""Names of all activations."""

_NO_SUCH_FUNCTION = "archspec has no such function; `archspec show activations` lists those it has"

NOTES: Final = Instead(
    dict.fromkeys(
        ("rrelu", "crelu", "geglu", "swiglu", "reglu", "softmin", "maxout", "silu6"),
        _NO_SUCH_FUNCTION,
    )
    | dict.fromkeys(("none", "no", "off", "false"), Mend("for no activation write `null`", "null"))
)
"""Help for words of other tools that are not functions here."""

WORDS: Final = Expect(
    "a function such as relu, or one with its arguments such as {leaky_relu: 0.1}"
)

ElementwiseFunction: TypeAlias = Annotated[
    str | Function,
    Chosen(FUNCTIONS),
    WORDS,
    NOTES,
    Instead(dict.fromkeys(OPS_OF_THEIR_OWN, "it is a step of its own, as `- prelu`")),
]
"""A function by its name, or its name with its arguments."""


def function(value: ElementwiseFunction) -> Function | Plain:
    """Return the function that a field's value means: a word has all its defaults."""
    return value if isinstance(value, Function) else _named(value)


def kind_of(op: Any) -> Any:
    """Return the kind of an op; for an activation, the name of its function."""
    return function(op.function).kind if op.kind == "activation" else op.kind


@cache
def _named(word: str) -> Function | Plain:
    cls = FUNCTIONS[word]
    return PLAIN[word] if isinstance(cls, str) else cls()
