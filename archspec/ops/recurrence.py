"""Recurrent layers: a state is carried from one position of a sequence to the next."""

from typing import Any, ClassVar, Literal

from archspec.errors import Problem
from archspec.ops.fields import Count, Rate
from archspec.ops.functions import ElementwiseFunction, function
from archspec.ops.op import Reach, Saved, Weight, Weighted, Work
from archspec.ops.shape import Shape


class _Recurrent(Weighted):
    """Base of recurrences: one step for each position, on its values and the state before it."""

    family = "recurrence"

    gates: ClassVar[int]
    """Number of vectors that a step computes from its input and from the state."""
    sums: ClassVar[int]
    """Sums and products of a step for each unit, beside the two matrix products and the biases."""
    functions: ClassVar[int]
    """Times that `activation` is computed in a step for each unit; all other gates have theirs."""
    inside: ClassVar[int]
    """Vectors of each step that training keeps, beside input and output."""
    layer: ClassVar[str]
    """The name of Keras's layer."""

    units: Count
    """Length of the state, which is the output at each position."""
    output: Literal["sequence", "last"] = "sequence"
    """Whether the output has every position, or is the last state alone, a vector."""
    bidirectional: bool = False
    """Whether a second layer reads the sequence backwards; the channels of both are joined."""
    bias: bool = True
    """Whether there are learned offsets."""
    dropout: Rate = 0.0
    """Share of the input values dropped in training, the same ones at each position."""
    activation: ElementwiseFunction = "tanh"
    """Function of the new values; in an LSTM of its cell, too."""

    @property
    def biases(self) -> int:
        """Rows of the bias."""
        return 1

    @property
    def function_ops(self) -> int:
        """Operations of a step's functions for each unit."""
        return self.functions * function(self.activation).cost

    @property
    def ways(self) -> int:
        """Number of directions in which the sequence is read."""
        return 2 if self.bidirectional else 1

    def output_shape(self, x: Shape) -> Shape:
        if x.rank != 1:
            raise Problem(
                "shape",
                f"`{self.kind}` needs a sequence, [positions, channels], not {x}",
                help="`reshape` makes one: `reshape: [=in.height * in.width, =in.channels]`",
            )
        channels = self.units * self.ways
        return Shape((x[0], channels) if self.output == "sequence" else (channels,))

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        columns = self.gates * self.units
        one = [
            Weight("kernel", (x.channels, columns)),
            Weight("recurrent_kernel", (self.units, columns)),
        ]
        if self.bias:
            rows = () if self.biases == 1 else (self.biases,)
            one.append(Weight("bias", (*rows, columns)))
        return tuple(one) * self.ways

    def work(self, x: Shape, y: Shape) -> Work:  # noqa: ARG002
        steps = x[0] * self.ways
        macs = (x.channels + self.units) * self.gates * self.units
        biases = self.gates * self.biases if self.bias else 0
        own = self.sums + self.function_ops + biases
        return Work(steps * macs, steps * self.units * own)

    def saved_for_backward(self) -> Saved:
        return Saved(input=self.trainable, output=self.output == "sequence")

    def saved_inside(self, *inputs: Shape) -> int:
        (x,) = inputs
        states = 0 if self.output == "sequence" else 1
        return x[0] * self.ways * self.units * (self.inside + states)

    def reach(self, x: Shape) -> Reach | None:  # noqa: ARG002
        return None

    @property
    def label(self) -> str:
        return f"{'BI' if self.bidirectional else ''}{self.kind.upper()}-{self.units}"

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        layer = getattr(layers, self.layer)(
            self.units,
            **self.functions_for(layers),
            use_bias=self.bias,
            dropout=self.dropout,
            return_sequences=self.output == "sequence",
            name=self.kind if self.bidirectional else name,
            **self.loop_options(),
        )
        return layers.Bidirectional(layer, name=name) if self.bidirectional else layer

    def functions_for(self, layers: Any) -> dict[str, Any]:
        """Return the functions as arguments of Keras's layer, where they are not its defaults."""
        return _given(layers, "activation", self.activation, "tanh")

    def loop_options(self) -> dict[str, Any]:
        """Return arguments of Keras's layer that say which of its loops is used."""
        return {}


def _given(
    layers: Any, name: str, value: ElementwiseFunction, default: str
) -> dict[str, ElementwiseFunction]:
    return {} if value == default else {name: function(value).argument(layers)}


class _Gated(_Recurrent):
    """Base of recurrences whose gates choose what of the state is kept."""

    family = "recurrence"

    recurrent_activation: ElementwiseFunction = "sigmoid"
    """Function of the gates."""

    @property
    def function_ops(self) -> int:
        others = self.gates - 1
        return super().function_ops + others * function(self.recurrent_activation).cost

    def functions_for(self, layers: Any) -> dict[str, Any]:
        gates = _given(layers, "recurrent_activation", self.recurrent_activation, "sigmoid")
        return super().functions_for(layers) | gates


class Lstm(_Gated, kind="lstm", main="units"):
    """Long short-term memory, with a forget gate.

    (Hochreiter & Schmidhuber 1997; Gers et al. 2000, "Learning to forget")

    The kernel has shape (channels, 4 x units): input gate, forget gate, candidate, output gate. The
    forget gate's bias starts at 1.
    """

    gates = 4
    sums = 4 + 3 + 1  # of the two products; three products and a sum of states
    functions = 2  # of the candidate and of the cell
    inside = 5  # four gates and the cell
    layer = "LSTM"


class Gru(_Gated, kind="gru", main="units"):
    """Gated recurrent unit. (Cho et al. 2014, arXiv:1406.1078)

    The kernel has shape (channels, 3 x units): update gate, reset gate, candidate.
    """

    gates = 3
    sums = 3 + 1 + 4  # of the two products; the reset gate's; the mix of state and candidate
    functions = 1
    inside = 4  # three gates, and the candidate's recurrent part or the state that was reset
    layer = "GRU"

    reset_after: bool = True
    """Whether the reset gate acts after the product with the recurrent kernel, as in Keras and
    cuDNN, so that the bias has two rows; else before, as in the paper, with one row."""

    @property
    def biases(self) -> int:
        return 2 if self.reset_after else 1

    def loop_options(self) -> dict[str, Any]:
        # On JAX the faster loop of Keras 3.15 has a float32 bias where there is none, and so fails
        # in mixed precision.
        cudnn = {} if self.bias else {"use_cudnn": False}
        return cudnn if self.reset_after else cudnn | {"reset_after": False}


class Rnn(_Recurrent, kind="rnn", main="units"):
    """The simplest recurrence: tanh of the products with the input and the state. (Elman 1990)"""

    gates = 1
    sums = 1  # of the two products
    functions = 1
    inside = 0
    layer = "SimpleRNN"
