"""Learned constants: what a network knows before it sees its input."""

from typing import Annotated, Any, Literal, TypeAlias

from archspec.declare.metadata import Bounds, Expect
from archspec.errors import Problem
from archspec.ops.fields import Count, Number
from archspec.ops.op import Elementwise, Reach, Saved, Weight, Weighted, Work, pointwise
from archspec.ops.shape import Shape

Deviation: TypeAlias = Annotated[
    float, Bounds(ge=0, lt=float("inf")), Expect("a finite number from 0")
]


class Parameter(Weighted, kind="parameter", main="shape"):
    """A learned constant that is added to the input, multiplies it, or takes its place.

    It has as many axes as the input, or fewer: then it stands at the last ones, as in NumPy. An
    extent of 1 is repeated to the input's: `parameter: {shape: [1, 64], use: multiply}` is a factor
    a channel. With `use: alone` the output is the constant itself, of any shape, the same for every
    example, as DETR's object queries are.
    """

    shape: tuple[Count, ...]
    """Extents, channels last."""
    use: Literal["add", "multiply", "alone"] = "add"
    """Whether the array is added to the input, multiplies it, or is the output alone."""
    initial: Number = 0.0
    """The mean of the initial values."""
    deviation: Deviation = 0.0
    """The standard deviation of the initial values, which are normally distributed."""

    def output_shape(self, x: Shape) -> Shape:
        if not 1 <= len(self.shape) <= 4:
            message = "`parameter` has at most three spatial axes, and the channels"
            raise Problem("shape", message)
        if self.use == "alone":
            return Shape(self.shape)
        axes = zip(reversed(self.shape), reversed(x), strict=False)
        if len(self.shape) > len(x) or any(own not in (1, n) for own, n in axes):
            raise Problem(
                "shape",
                f"a parameter of {'x'.join(map(str, self.shape))} does not fit an input of {x}",
                help="extents must be equal, or 1 in the parameter: that is repeated",
            )
        return x

    def weights(self, x: Shape) -> tuple[Weight, ...]:  # noqa: ARG002
        return (Weight("parameter", self.shape),)

    def work(self, x: Shape, y: Shape) -> Work:  # noqa: ARG002
        return Work(0, 0 if self.use == "alone" else y.size)

    def saved_for_backward(self) -> Saved:
        return Saved(input=self.use == "multiply" and self.trainable)

    def reach(self, x: Shape) -> Reach | None:
        return None if self.use == "alone" else pointwise(x)

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.Parameter(
            self.shape, self.use, initial=self.initial, deviation=self.deviation, name=name
        )


class PositionEmbedding(Elementwise, Weighted, kind="position_embedding", main="method"):
    """A vector for each place added to the values there, so that attention can tell places apart.

    Learned, it starts normally distributed with a deviation of 0.02 (Dosovitskiy et al. 2020,
    arXiv:2010.11929, equation 1). `sine` is fixed: channels 2i and 2i + 1 are sine and cosine of
    position / 10000^(2i / channels) (Vaswani et al. 2017, section 3.5); with more spatial axes than
    one, each has an equal part of the channels.
    """

    method: Literal["learned", "sine"] = "learned"
    """Whether the vectors are learned, or sines and cosines of the position."""

    def output_shape(self, x: Shape) -> Shape:
        if x.rank == 0:
            raise Problem("shape", f"a vector has no positions: `position_embedding` on {x}")
        if self.method == "sine" and x.channels % (2 * x.rank):
            raise Problem(
                "shape",
                f"{x.channels} channels cannot be split into sines and cosines of {x.rank} "
                f"{'axis' if x.rank == 1 else 'axes'}",
                help=f"their number must be a multiple of {2 * x.rank}",
            )
        return x

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        return (Weight("embedding", tuple(x)),) if self.method == "learned" else ()

    def work(self, x: Shape, y: Shape) -> Work:  # noqa: ARG002
        return Work(0, y.size)

    def saved_for_backward(self) -> Saved:
        return Saved()

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.PositionEmbedding(self.method, name=name)


class ClassToken(Weighted, kind="class_token", main="count"):
    """Learned vectors put before a sequence; what attention gathers there is classified.

    `slice: {axis: length, stop: 1}` and `flatten` give the first one as a vector. (Devlin et al.
    2018; Dosovitskiy et al. 2020, arXiv:2010.11929, equation 1)
    """

    count: Count = 1
    """Number of vectors; DeiT has two, one of them for distillation."""

    def output_shape(self, x: Shape) -> Shape:
        if x.rank != 1:
            raise Problem(
                "shape",
                f"`class_token` needs a sequence, [positions, channels], not {x}",
                help="`patchify` makes one of an image",
            )
        return Shape((x[0] + self.count, x.channels))

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        return (Weight("token", (self.count, x.channels)),)

    def work(self, x: Shape, y: Shape) -> Work:  # noqa: ARG002
        return Work(0, 0)

    def saved_for_backward(self) -> Saved:
        return Saved()

    def reach(self, x: Shape) -> Reach | None:
        return pointwise(x)

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.ClassToken(self.count, name=name)


class Embedding(Weighted, kind="embedding", main="filters"):
    """A learned vector for each word of a text, looked up by the word's number.

    The input is a vector of whole numbers: `input: [200]` is a text of 200 words, of which
    `embedding: {words: 20000, filters: 64}` makes a sequence of 200 places and 64 channels. Words
    are counted from 0; a number beyond the last word is read as the last, one below 0 as the first.
    Training needs `normalize: none`, which leaves the numbers as they are. (Bengio et al. 2003,
    section 2)
    """

    filters: Count
    """Values of each word's vector: the output's channels."""
    words: Count
    """Number of different words."""

    def output_shape(self, x: Shape) -> Shape:
        if x.rank:
            raise Problem(
                "shape",
                f"`embedding` needs a vector of the numbers of words, not {x}",
                help="as `input: [200]`, the numbers of 200 words",
            )
        return Shape((x.channels, self.filters))

    def weights(self, x: Shape) -> tuple[Weight, ...]:  # noqa: ARG002
        return (Weight("embeddings", (self.words, self.filters)),)

    def work(self, x: Shape, y: Shape) -> Work:  # noqa: ARG002
        return Work(0, 0)

    def saved_for_backward(self) -> Saved:
        return Saved(input=self.trainable)

    def reach(self, x: Shape) -> Reach | None:  # noqa: ARG002
        return None

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.WordEmbedding(self.words, self.filters, name=name)
