"""A Keras model as a layer graph, from the configuration that its file has."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from archspec.errors import UsageError
from archspec.imports.inputs import read_at_multiples
from archspec.imports.keras.calls import Arrays, Tensor, input_shapes
from archspec.imports.keras.config import Extents, LayerConfig, UnfamiliarError, layers_of
from archspec.imports.keras.reader import CallRead, read_calls
from archspec.imports.keras.variables import kind_of, variable_names
from archspec.imports.limits import refuse
from archspec.keras_model.assembly import LayerArray, LayerCall, assembly, unknown
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
        UsageError: It is another kind of model, or its weights are not those of its layers.
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
        calls, ends = read_at_multiples(lambda given: read_calls(model, arrays, shapes, given))
        for call, layer, _ in calls:
            if layer is not None and layer.misfit:
                refuse(name, f"of layer `{call.place}` {layer.misfit}")
        keys: dict[Hashable, tuple[str, Extents]] = {
            ("input", name): (name if len(shapes) > 1 else "input", shape)
            for name, shape in shapes.items()
        }
        joined = assembly(name, keys)
        for each in calls:
            joined.add(_layer_call(each))
        return joined.finish(ends)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise UnfamiliarError(f"a configuration that is not as Keras writes it ({error})") from None


def _known(shape: Extents | None, model: str) -> Extents:
    if shape is None:
        raise UsageError(unknown(model))
    return shape


def _layer_call(read: CallRead) -> LayerCall:
    call, layer, shape = read
    kind, config = kind_of(call.layer), call.layer["config"]
    if layer is not None and layer.reason:
        raise UnfamiliarError(f"{kind} (`{call.place}`): {layer.reason}")
    names, stored = variable_names(kind, config), call.stored or ()
    if len(names) != len(stored) or any(isinstance(t, Tensor) and t.output for t in call.inputs):
        raise UnfamiliarError(f"{kind} with {len(stored)} arrays of weights")
    weights = [LayerArray(name, *array) for name, array in zip(names, stored, strict=True)]
    return LayerCall(call.place, kind, config, weights, call.inputs, [call.output()], shape)
