"""The base class of ops, and all that each op defines: its whole cost, in one place.

Nothing here is a default that could be wrong in silence: an op without a rule for its weights, its
work or what training must keep does not load. The families below each state those rules once.
"""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

from archspec.element import Element
from archspec.errors import Problem
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    from fractions import Fraction


class Weight(NamedTuple):
    """One array an op owns, by the name Keras gives it."""

    name: str
    shape: tuple[int, ...]
    trainable: bool = True


class Work(NamedTuple):
    """Work of one forward pass for one example.

    `macs`: multiply-adds of convolutions and fully connected layers. `other_ops`: everything else
    that is arithmetic (biases, normalisation, activations, pools, merges), one for each elementary
    operation on a value.
    """

    macs: int
    other_ops: int


class Saved(NamedTuple):
    """Tensors of an op that a training step keeps for the backward pass.

    `input`, `output`: the whole tensor. `mask`: one byte for each output value, as dropout's mask.
    A tensor that several ops keep is counted once, where these are added up.
    """

    input: bool = False
    output: bool = False
    mask: bool = False


class Reach(NamedTuple):
    """Window of an op along each spatial axis, and the step between two windows."""

    window: tuple[int, ...]
    stride: "tuple[int | Fraction, ...]"


FROZEN_HINTS: Final = dict.fromkeys(
    ("frozen", "freeze", "fixed"), "weights that training leaves alone are `trainable: false`"
)
"""Help for the other word that says it, which is true where ours is false."""


class Op(Element):
    """A primitive. Shapes are channels last, without the batch; one input unless it is a merge."""

    in_place: ClassVar[bool] = False
    """Whether the forward pass alone may write the output over the input."""

    view: ClassVar[bool] = False
    """Whether the output is the input's memory under another shape."""

    values_of_first: ClassVar[bool] = False
    """Whether only the first input's values are read, and of the others their extents."""

    family: ClassVar[str] = "other"
    """Purpose in a word, by which figures colour it."""

    @property
    def frozen(self) -> bool:
        """Whether training leaves all its weights as they are."""
        return False

    @property
    def unlisted(self) -> int:
        """Number of parameters that `weights` does not list: none where all weights are known."""
        return 0

    def __init_subclass__(cls, *, kind: str = "", **options: Any) -> None:
        rules = {
            name for base in cls.__mro__[1:] for name in getattr(base, "__abstractmethods__", ())
        }
        missing = {name for name in rules if hasattr(getattr(cls, name), "__isabstractmethod__")}
        if kind and missing:
            raise TypeError(f"op `{kind}` does not say: {', '.join(sorted(missing))}")
        super().__init_subclass__(kind=kind, **options)

    @abstractmethod
    def output_shape(self, *args: Any, **kwargs: Any) -> Shape:
        """Return the output's shape from the inputs'; raise `Problem` where they do not fit."""

    @abstractmethod
    def weights(self, *args: Any, **kwargs: Any) -> tuple[Weight, ...]:
        """Return every weight for the inputs' shapes, in Keras's order."""

    @abstractmethod
    def work(self, *args: Any, **kwargs: Any) -> Work:
        """Return the op's work from the inputs' shapes and the output's."""

    def connection_count(self, *args: Any, **kwargs: Any) -> int:  # noqa: ARG002
        """Return the connections of LeCun et al. 1998, from the inputs' shapes and the output's.

        One for each value that is multiplied by a weight or compared with one, and one for each
        bias, at each output. An op without weights has none.
        """
        return 0

    @abstractmethod
    def saved_for_backward(self) -> Saved:
        """Return the tensors that training must keep."""

    def saved_inside(self, *inputs: Shape) -> int:  # noqa: ARG002
        """Return the number of values, beside input and output, that training must keep.

        An op that computes in one go has none; a recurrence keeps the gates of each step.
        """
        return 0

    @abstractmethod
    def reach(self, *args: Any, **kwargs: Any) -> Reach | None:
        """Return the op's window and step on inputs of these shapes, of a merge on the first.

        None where each output sees the whole input.
        """

    @abstractmethod
    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        """Return the Keras layer, or a tuple of layers to apply in order, the last called `name`.

        `layers` is `keras.layers` with archspec's own few beside them: an argument, so that an op
        costs nothing to import.
        """


def pointwise(x: Shape) -> Reach:
    """Return the reach of an op whose output at a place depends on the input there alone."""
    return Reach((1,) * x.rank, (1,) * x.rank)


class Weighted(Op):
    """Base of ops that own weights, which a spec may exclude from training."""

    hints: ClassVar[dict[str, str]] = FROZEN_HINTS

    trainable: bool = True
    """Whether training changes the weights; if not, they stay as they start or are loaded."""

    @property
    def frozen(self) -> bool:
        return not self.trainable


class Elementwise(Op):
    """Base of ops that keep the shape, and whose values depend on the same place alone."""

    in_place = True

    def output_shape(self, x: Shape) -> Shape:
        return x

    def weights(self, x: Shape) -> tuple[Weight, ...]:  # noqa: ARG002
        return ()

    def reach(self, x: Shape) -> Reach | None:
        return pointwise(x)


class Weightless(Op):
    """Base of ops that learn nothing."""

    def weights(self, *args: Any, **kwargs: Any) -> tuple[Weight, ...]:  # noqa: ARG002
        return ()


class Rearrangement(Weightless):
    """Base of ops that compute nothing and learn nothing: values are moved, dropped or given."""

    def work(self, *args: Any, **kwargs: Any) -> Work:  # noqa: ARG002
        return Work(0, 0)

    def saved_for_backward(self) -> Saved:
        return Saved()

    def reach(self, x: Shape) -> Reach | None:
        return pointwise(x)


def needs_size() -> str:
    """Return the help line for what needs an input of known size."""
    from archspec.ops.extent import A_SIZE  # noqa: PLC0415

    return A_SIZE


def needs_spatial(kind: str, x: Shape) -> None:
    """Raise `Problem` for a vector where an op needs at least one spatial axis."""
    if x.rank == 0:
        raise Problem(
            "shape",
            f"`{kind}` needs an input with spatial axes, not a vector of {x.channels}",
            help="it must come before `flatten`, `fc` and the global pools",
        )
