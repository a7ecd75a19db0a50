"""Names of the arguments that constructors take by position."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from archspec.ejection.recording import Construction


def argument_name(made: Construction, key: int | str) -> str:
    """Return the name of a parameter for an argument of a constructor."""
    if isinstance(key, str):
        return key
    names = POSITIONAL.get(made.name.partition("|")[0], ())
    return names[key] if key < len(names) else "value"


POSITIONAL: Final[Mapping[str, tuple[str, ...]]] = {
    "Dense": ("units",),
    "Dropout": ("rate",),
    "Activation": ("activation",),
    "Reshape": ("shape",),
    "Pad": ("amounts",),
    "Function": ("function", "arguments"),
    "ChannelSlice": ("start", "stop"),
    "AxisSlice": ("axis", "start", "stop"),
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN"), ("units",)),
    **{
        f"{kind}{rank}D{end}": ("filters",)
        for kind in ("Conv", "SeparableConv")
        for rank in (1, 2, 3)
        for end in ("", "Transpose")
    },
    **{f"ZeroPadding{rank}D": ("padding",) for rank in (1, 2, 3)},
    **{f"Cropping{rank}D": ("cropping",) for rank in (1, 2, 3)},
    **{f"UpSampling{rank}D": ("size",) for rank in (1, 2, 3)},
    **{
        f"nn.{kind}{rank}d": ("in_channels", "out_channels", "kernel_size")
        for kind in ("Conv", "ConvTranspose")
        for rank in (1, 2, 3)
    },
    **{f"nn.BatchNorm{rank}d": ("channels",) for rank in (1, 2, 3)},
    **{f"nn.{kind}Pool{rank}d": ("size",) for kind in ("Max", "Avg") for rank in (1, 2, 3)},
    **{f"nn.ZeroPad{rank}d": ("padding",) for rank in (1, 2, 3)},
    "nn.Linear": ("in_features", "out_features"),
    "nn.LayerNorm": ("channels",),
    "nn.GroupNorm": ("groups", "channels"),
    "nn.Dropout": ("rate",),
    "DropPath": ("rate",),
    "activation": ("activation",),
    "Scale": ("channels",),
    "Parameter": ("shape", "use"),
    "ClassToken": ("count", "channels"),
    "RelativePositionBias": ("window", "heads"),
    "CausalMask": ("positions",),
    **dict.fromkeys(("SpaceToDepth", "DepthToSpace"), ("rows", "columns")),
}
"""Names of the first arguments of constructors, which ops give by position."""
