"""A Keras model as a layer graph, from the configuration that its file has."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from archspec.errors import UsageError
from archspec.imports.keras.calls import Arrays, Call, Tensor, input_shapes, walk
from archspec.imports.keras.config import Extents, LayerConfig, UnfamiliarError, layers_of
from archspec.imports.keras.variables import kind_of, variable_names
from archspec.imports.limits import refuse
from archspec.keras_model.assembly import Assembly, LayerArray, LayerCall, assembly, unknown
from archspec.keras_model.kerasconfig import kernel_shape, output_shape
from archspec.keras_model.matching import LayerGraph


def described(
    model: LayerConfig, arrays: Arrays, images: Sequence[Extents] | None = None
) -> LayerGraph:
    """Return the layer graph of a functional or sequential model.

    Args:
        model: Its configuration, of any version of Keras.
        arrays: Its weights.
        images: Extents of each input, for those that the configuration leaves open.

    Raises:
        UsageError: It is another kind of model.
        UnfamiliarError: A layer is of an unknown class.

    """
    try:
        name = str(model["config"]["name"]) if isinstance(model["config"], Mapping) else "model"
        if not layers_of(model):
            raise UsageError(unknown(name))
        shapes = {name: _known(shape, name) for name, shape in input_shapes(model).items()}
        if images is not None and len(images) == len(shapes):
            shapes = {
                name: tuple(b if a is None else a for a, b in zip(shape, image, strict=True))
                if len(image) == len(shape)
                else shape
                for (name, shape), image in zip(shapes.items(), images, strict=True)
            }
        keys: dict[Hashable, tuple[str, Extents]] = {
            ("input", name): (name if len(shapes) > 1 else "input", shape)
            for name, shape in shapes.items()
        }
        joined = assembly(name, keys)
        calls = walk(model, arrays, list(keys))
        while True:
            try:
                call = next(calls)
            except StopIteration as end:
                return joined.finish(end.value)
            joined.add(_layer_call(call, joined))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise UnfamiliarError(f"a configuration that is not as Keras writes it ({error})") from None


def _known(shape: Extents | None, model: str) -> Extents:
    if shape is None:
        raise UsageError(unknown(model))
    return shape


def _layer_call(call: Call, assembly: Assembly) -> LayerCall:
    kind, config = kind_of(call.layer), call.layer["config"]
    names, stored = variable_names(kind, config), call.stored or ()
    if len(names) != len(stored) or any(isinstance(t, Tensor) and t.output for t in call.inputs):
        raise UnfamiliarError(f"{kind} with {len(stored)} arrays of weights")
    weights = [LayerArray(name, *array) for name, array in zip(names, stored, strict=True)]
    shapes = [assembly.maker(each, call.place).shape for each in call.inputs]
    kernel = kernel_shape(kind, config, shapes[0]) if stored else None
    if kernel is not None and None not in kernel and kernel != stored[0][0]:
        refuse(
            assembly.model,
            f"`{call.place}` declares a kernel of {list(kernel)} and stores {list(stored[0][0])}",
        )
    shape = output_shape(kind, config, shapes)
    return LayerCall(call.place, kind, config, weights, call.inputs, [call.output()], shape)
