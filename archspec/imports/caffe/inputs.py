"""Shapes of the inputs of a Caffe network: declared, or those of its data layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from archspec.imports.caffe.layer import ENDS, LOSSES, Layer
from archspec.imports.prototext import Message


def inputs_of(
    message: Message, layers: Sequence[Layer], assumed: list[str]
) -> Iterator[tuple[str, tuple[int | None, ...]]]:
    """Yield the name and the shape of each input, channels last; () where the file does not tell.

    Args:
        message: The network.
        layers: The layers of the phase that is read.
        assumed: Sentences about what the file does not tell are added to it.
    """
    names = message.words("input")
    shapes = [shape.integers("dim") for shape in message.messages("input_shape")]
    dims = message.integers("input_dim")
    shapes += [dims[start : start + 4] for start in range(0, len(dims), 4)]
    for number, name in enumerate(names):
        yield name, _channels_last(shapes[number]) if number < len(shapes) else ()
    read = {
        bottom
        for layer in layers
        if layer.type not in ENDS
        for bottom in layer.bottoms[: 1 if layer.type in LOSSES else None]
    }
    for layer in layers:
        if layer.is_data:
            for number, top in enumerate(layer.tops):
                if number == 0 or top in read:
                    yield top, _data_shape(layer, number, assumed)


def _channels_last(dims: Sequence[int]) -> tuple[int, ...]:
    """Return a shape of Caffe's, whose first extent is the batch and whose second the channels."""
    return (*dims[2:], dims[1]) if len(dims) > 1 else ()


def _data_shape(layer: Layer, number: int, assumed: list[str]) -> tuple[int | None, ...]:
    """Return the shape that a data layer gives; () where it does not tell."""
    param = layer.param(
        {"DummyData": "dummy_data", "MemoryData": "memory_data"}.get(layer.type, "input")
    )
    shapes = [shape.integers("dim") for shape in param.messages("shape")]
    if shapes:
        return _channels_last(shapes[min(number, len(shapes) - 1)])
    if "channels" in param:
        sizes = [param.integers(name) for name in ("height", "width", "channels")]
        return tuple(size[min(number, len(size) - 1)] for size in sizes if size)
    if number:
        return ()
    own = {"ImageData": "image_data", "WindowData": "window_data"}.get(layer.type, "data")
    transform, data = layer.param("transform"), layer.param(own)
    crop = transform.integer("crop_size") or data.integer("crop_size")
    resized = transform.message("resize_param")
    height = crop or data.integer("new_height") or resized.integer("height")
    width = crop or data.integer("new_width") or resized.integer("width")
    if not height or not width:
        assumed.append(
            f"The file does not say how large the images of layer {layer.name} are: set `input`, "
            "as [28, 28, 1]."
        )
        return ()
    means = len(transform.words("mean_value"))
    if not data.flag("is_color", default=True) or transform.flag("force_gray", default=False):
        channels = 1
    elif (
        means > 1
        or layer.type in {"ImageData", "WindowData"}
        or transform.flag("force_color", default=False)
    ):
        channels = means if means > 1 else 3
    else:
        channels = 3
        assumed.append(
            f"The file does not say how many channels the images of layer {layer.name} have; "
            "3 are assumed."
        )
    return (height, width, channels)
