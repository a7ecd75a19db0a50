"""Normalisations: values are centred and scaled by statistics of their neighbours."""

from typing import Any

from archspec.errors import Problem
from archspec.ops.axes import AlongAxis
from archspec.ops.fields import Count, Number, Odd, Positive, Rate
from archspec.ops.op import Elementwise, Reach, Saved, Weight, Weighted, Work, needs_spatial
from archspec.ops.shape import Shape


class _Normalization(Elementwise, Weighted):
    """Base of norms: statistics, then a learned factor and offset for each channel."""

    family = "normalization"

    epsilon: Positive = 1e-3
    """Added to the variance."""
    scale: bool = True
    """Whether each channel has a learned factor, gamma."""
    center: bool = True
    """Whether each channel has a learned offset, beta."""

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        learned = (("gamma", self.scale), ("beta", self.center))
        return tuple(Weight(name, (x.channels,)) for name, has in learned if has)

    def saved_for_backward(self) -> Saved:
        return Saved(input=True)

    def keras_arguments(self, name: str) -> dict[str, Any]:
        return {
            "epsilon": self.epsilon,
            "scale": self.scale,
            "center": self.center,
            "name": name,
        }


class BatchNorm(_Normalization, kind="batch_norm"):
    """Each channel normalised over the batch and all places. (Ioffe & Szegedy 2015)

    At inference it is one multiply-add a value with the moving statistics, which are weights that
    are not trained. So it is in training with `trainable: false`, and the statistics stay.
    """

    momentum: Rate = 0.99
    """Share of the moving statistics that a step keeps (1 minus torch's momentum)."""

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        moving = ("moving_mean", "moving_variance")
        return super().weights(x) + tuple(Weight(name, (x.channels,), False) for name in moving)

    def work(self, x: Shape, y: Shape) -> Work:  # noqa: ARG002
        return Work(0, 2 * y.size)

    def saved_for_backward(self) -> Saved:
        return Saved(input=self.trainable)

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.BatchNormalization(momentum=self.momentum, **self.keras_arguments(name))


class _SampleNormalization(_Normalization):
    """Base of norms by statistics of the example itself, computed at inference too."""

    in_place = False

    def work(self, x: Shape, y: Shape) -> Work:  # noqa: ARG002
        # Mean, squared deviation and its sum, normalisation, factor and offset.
        return Work(0, y.size * (5 + self.scale + self.center))


class LayerNorm(_SampleNormalization, kind="layer_norm"):
    """Each place normalised over its channels. (Ba et al. 2016; per place as in ConvNeXt)"""

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.LayerNormalization(**self.keras_arguments(name))


class GroupNorm(_SampleNormalization, kind="group_norm", main="groups"):
    """Groups of channels normalised over all places. (Wu & He 2018)"""

    groups: Count = 32
    """Number of groups; it divides the channels."""

    def output_shape(self, x: Shape) -> Shape:
        if x.channels % self.groups:
            raise Problem(
                "shape", f"{x.channels} channels cannot be split into {self.groups} groups"
            )
        return x

    def reach(self, x: Shape) -> Reach | None:
        return super().reach(x) if x.rank == 0 else None

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.GroupNormalization(groups=self.groups, **self.keras_arguments(name))


class InstanceNorm(_SampleNormalization, kind="instance_norm"):
    """Each channel of an example normalised over all its places.

    (Ulyanov et al. 2016, arXiv:1607.08022)
    """

    def output_shape(self, x: Shape) -> Shape:
        needs_spatial(self.kind, x)
        return x

    def reach(self, x: Shape) -> Reach | None:  # noqa: ARG002
        return None

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        return layers.GroupNormalization(groups=x.channels, **self.keras_arguments(name))


class RmsNorm(Elementwise, Weighted, kind="rms_norm"):
    """Each place divided by the root mean square of its channels, times a learned factor.

    (Zhang & Sennrich 2019, arXiv:1910.07467)
    """

    family = "normalization"

    in_place = False

    epsilon: Positive = 1e-6
    """Added to the mean square."""

    def weights(self, x: Shape) -> tuple[Weight, ...]:
        return (Weight("scale", (x.channels,)),)

    def work(self, x: Shape, y: Shape) -> Work:  # noqa: ARG002
        return Work(0, 4 * y.size)  # square, sum, division, factor

    def saved_for_backward(self) -> Saved:
        return Saved(input=True)

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        return layers.RMSNormalization(epsilon=self.epsilon, name=name)


class UnitNorm(AlongAxis, kind="unit_norm", main="axis"):
    """A vector divided by its length, the root of its sum of squares: L2 normalisation.

    By default each place's channels are a vector, as embeddings that are compared by their angle
    are (Schroff et al. 2015, arXiv:1503.03832). A `scale` after it learns a length for each channel
    (Liu et al. 2015, arXiv:1506.04579, section 3.3).
    """

    family = "normalization"

    in_place = False

    def work(self, x: Shape, y: Shape) -> Work:  # noqa: ARG002
        return Work(0, 3 * y.size)  # square, sum, division

    def saved_for_backward(self) -> Saved:
        return Saved(input=True)

    def emit(self, layers: Any, name: str, x: Shape) -> Any:
        return layers.UnitNormalization(axis=self.keras_axis(x), name=name)


class LocalResponseNorm(Elementwise, kind="lrn", main="size"):
    """Each value divided by its neighbours' strength across channels. (Krizhevsky 2012, sec. 3.3)

    y = x / (k + alpha' * sum of squares over `size` channels) ** beta, where alpha' is alpha
    divided by the size (`divide`: Caffe, torch) or alpha itself (the paper, TensorFlow).
    """

    family = "normalization"

    in_place = False

    size: Odd = 5
    """Number of neighbouring channels, the middle one among them."""
    alpha: Number = 1e-4
    """Weight of the neighbours."""
    beta: Number = 0.75
    """Exponent."""
    k: Number = 1.0
    """Offset inside the power."""
    divide: bool = True
    """Whether alpha is divided by the size, as Caffe and torch do."""

    def work(self, x: Shape, y: Shape) -> Work:  # noqa: ARG002
        return Work(0, y.size * (self.size + 4))

    def saved_for_backward(self) -> Saved:
        return Saved(input=True, output=True)

    def emit(self, layers: Any, name: str, x: Shape) -> Any:  # noqa: ARG002
        alpha = self.alpha / self.size if self.divide else self.alpha
        return layers.LocalResponseNormalization(
            size=self.size, alpha=alpha, beta=self.beta, k=self.k, name=name
        )
