"""The unit that networks of attention consist of."""

from typing import Annotated, ClassVar, Literal, TypeAlias

from archspec.blocks.activated import Activation
from archspec.blocks.attention import Attention
from archspec.blocks.block import Block
from archspec.blocks.fc import Fc
from archspec.declare.metadata import Bounds, Expect
from archspec.graph.builder import Builder
from archspec.graph.graph import Node
from archspec.ops.elementwise import Dropout, DropPath, Scale
from archspec.ops.fields import Count, Index, Positive, Rate, Window
from archspec.ops.merge import Add
from archspec.ops.normalization import LayerNorm

_Ratio: TypeAlias = Annotated[
    float, Bounds(gt=0, le=1_024), Expect("a number above 0, at most 1024")
]


class Transformer(Block, kind="transformer", main="heads"):
    """A unit of a transformer's encoder: attention, then two fully connected layers, each residual.

    Layer norm comes before each of the two (`order: pre-norm`, Dosovitskiy et al. 2020,
    arXiv:2010.11929, equations 2 and 3), or after each sum (`post-norm`, Vaswani et al. 2017,
    arXiv:1706.03762). Its input is a sequence or maps; with `window` it is a unit of Swin (Liu et
    al. 2021, arXiv:2103.14030). `layer_scale` is that of Touvron et al. 2021 (arXiv:2103.17239).
    The norms' epsilon is set by `defaults: {layer_norm: {epsilon: 1e-6}}`.
    """

    hints: ClassVar[dict[str, str]] = {
        **Attention.hints,
        **dict.fromkeys(
            ("num_layers", "layers", "depth"),
            "it is one unit: `repeat` beside it gives several",
        ),
    }

    heads: Count
    """Number of heads."""
    head_size: Count | None = None
    """Channels of a head's queries, keys and values; by default its share of the input's."""
    mlp_ratio: _Ratio = 4.0
    """Units of the first fully connected layer, as a multiple of the channels."""
    activation: Activation | None = "gelu"
    """Activation between the two fully connected layers, or null."""
    order: Literal["pre-norm", "post-norm"] = "pre-norm"
    """Whether layer norm comes before attention and fully connected layers, or after each sum."""
    qkv_bias: bool = True
    """Whether queries, keys and values have learned offsets."""
    dropout: Rate = 0.0
    """Share dropped in training after attention and after each fully connected layer."""
    attention_dropout: Rate = 0.0
    """Share of the attention weights dropped in training."""
    drop_path: Rate = 0.0
    """Chance that attention, or the fully connected layers, are dropped for an example."""
    layer_scale: Positive | None = None
    """Initial value of a learned factor for each channel before each sum, or null for none."""
    causal: bool = False
    """Whether a position attends to those before it alone, and to itself."""
    window: Window | None = None
    """Extents of the windows in which places attend to each other; null for everywhere."""
    shift: Index | tuple[Index, ...] = 0
    """Distance by which windows are moved; no axis is shifted that has one window alone."""
    relative_position_bias: bool = False
    """Whether scores have a learned offset by the way from one place to the other."""

    def expand(self, b: Builder, x: Node) -> Node:
        own = {"bias": True, "dropout": self.attention_dropout}
        attention = Attention(**self.passed_to(Attention) | own)
        y = b(attention, self._norm(b, x, 1, "pre-norm"), name="attention")
        if self.dropout:
            y = b(Dropout(rate=self.dropout), y, name="attention_dropout")
        x = self._norm(b, self._add(b, x, y, 1), 1, "post-norm")
        y = self._mlp(b, self._norm(b, x, 2, "pre-norm"))
        return self._norm(b, self._add(b, x, y, 2), 2, "post-norm")

    def _norm(self, b: Builder, x: Node, number: int, order: str) -> Node:
        return b(LayerNorm(), x, name=f"norm{number}") if order == self.order else x

    def _add(self, b: Builder, x: Node, y: Node, number: int) -> Node:
        """Add the sum of a residual branch `y` with its input."""
        if self.layer_scale:
            y = b(Scale(bias=False, initial=self.layer_scale), y, name=f"layer_scale{number}")
        if self.drop_path:
            y = b(DropPath(rate=self.drop_path), y, name=f"drop_path{number}")
        return b(Add(), x, y, name=f"add{number}")

    def _mlp(self, b: Builder, x: Node) -> Node:
        """Add two fully connected layers that work at each position by itself."""
        wide = Fc(
            units=max(1, round(x.channels * self.mlp_ratio)),
            bias=True,
            norm=None,
            activation=self.activation,
            each_place=True,
        )
        narrow = Fc(units=x.channels, bias=True, norm=None, activation=None, each_place=True)
        for number, layer in enumerate((wide, narrow), start=1):
            x = b(layer, x, name=f"fc{number}")
            if self.dropout:
                x = b(Dropout(rate=self.dropout), x, name=f"dropout{number}")
        return x
