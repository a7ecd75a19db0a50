"""Layers of model files that archspec does not know: named and listed, and never costed as zero."""

from typing import Any, NoReturn

from archspec.errors import UsageError
from archspec.ops.atleast import UNKNOWN
from archspec.ops.op import Op, Reach, Saved, Weight, Work
from archspec.ops.shape import UNKNOWN_SHAPE, Shape


class Unknown(Op):
    """A layer of a model file that archspec does not know. It is not a kind: no spec can write it.

    It has the shape and the weights that the file declares, and no MACs if its type never has.
    All else is `UNKNOWN`, which no sum loses.
    """

    type_name: str
    """The type of the layer, as the file calls it: `Lambda`, `NonMaxSuppression`."""

    reason: str
    """A clause that says why the layer is unknown."""

    extent: tuple[Any, ...] | None = None
    """The shape of its output, channels last without the batch; None if the file has none."""

    arrays: tuple[Any, ...] | None = None
    """Its weights, each a `Weight`; None if the file does not tell them."""

    multiplies: bool = True
    """Whether it may have MACs; a type such as ArgMax never has."""

    @property
    def word(self) -> str:
        return "unknown"

    @property
    def label(self) -> str:
        return self.type_name

    def output_shape(self, *inputs: Shape) -> Shape:  # noqa: ARG002
        return UNKNOWN_SHAPE if self.extent is None else Shape(self.extent)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:  # noqa: ARG002
        return self.arrays or ()

    def work(self, *shapes: Shape) -> Work:  # noqa: ARG002
        return Work(UNKNOWN if self.multiplies else 0, UNKNOWN)

    @property
    def unlisted(self) -> int:
        return UNKNOWN if self.arrays is None else 0

    def connection_count(self, *shapes: Shape) -> int:  # noqa: ARG002
        return UNKNOWN

    def saved_for_backward(self) -> Saved:
        return Saved()

    def saved_inside(self, *inputs: Shape) -> int:  # noqa: ARG002
        return UNKNOWN

    def reach(self, *inputs: Shape) -> Reach | None:  # noqa: ARG002
        return None

    def emit(self, layers: Any, name: str, x: Shape) -> NoReturn:  # noqa: ARG002
        raise UsageError(
            f"no Keras model can be built: `{name}` is a {self.type_name}, which archspec does "
            f"not know ({self.reason})"
        )
