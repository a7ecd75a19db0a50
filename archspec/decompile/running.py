"""Model files, each run by its own framework, so that a spec's model can be compared with it."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from archspec.errors import UsageError
from archspec.imports.model import ABSENT, BATCH, ImportedModel
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Arrays: TypeAlias = Sequence["NDArray[Any]"]

EXAMPLES: Final = 2
"""Number of random examples on which two models are compared, if the file leaves it open."""

TOLERANCE: Final = 1e-4
"""Tolerance for values of 32 bits: sums in another order differ by about 1e-6."""

COARSE: Final = 0.1
"""Tolerance for values that the file rounds to 8 bits, a network of many layers in each of them."""


class Runner(NamedTuple):
    """A model file, ready to run."""

    run: Callable[[Arrays], Arrays]
    """Returns the outputs for the inputs: all in the file's order, with archspec's axes."""
    batch: int
    """Number of examples that it takes at once."""
    tolerance: float = TOLERANCE
    """Largest difference of outputs, as a share of the largest of them, that rounding explains."""


def open_runner(model: ImportedModel) -> Runner:
    """Return a model file, opened by its own framework.

    Raises:
        UsageError: The framework is not installed, or archspec runs no files of this format.
    """
    for beginning, opened in _RUNNERS.items():
        if model.format.startswith(beginning):
            return opened(model)
    why = _NOT_RUN.get(model.format.split()[0], "archspec runs none of this format")
    raise _unlike(model, why)


def _keras(model: ImportedModel) -> Runner:
    from archspec.keras_model.calls import inputs_of  # noqa: PLC0415
    from archspec.keras_model.engine import load_file  # noqa: PLC0415  (Keras)
    from archspec.keras_model.formats import runner  # noqa: PLC0415

    file = load_file(model.path)
    run, names = runner(file), [*inputs_of(file)]

    def run_file(inputs: Arrays) -> Arrays:
        given = [_as_in_file(x, axes) for x, axes in zip(inputs, model.input_axes, strict=True)]
        outputs = run(dict(zip(names, given, strict=True))).values()
        return [_as_in_spec(y, axes) for y, axes in zip(outputs, model.output_axes, strict=True)]

    return Runner(run_file, EXAMPLES)


def _onnx(model: ImportedModel) -> Runner:
    if importlib.util.find_spec("onnxruntime") is None:
        raise _lacking(model, "ONNX Runtime", "onnxruntime")
    import onnxruntime  # noqa: PLC0415  (slow)

    if len(model.input_axes) != len(model.graph.inputs):
        raise _unlike(model, "it takes inputs that the network does not read")
    if not all((*model.input_axes, *model.output_axes)):
        raise _unlike(model, "it flattens an output in another order than archspec")
    try:
        session = onnxruntime.InferenceSession(model.path, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001  (its errors have no other class in common)
        raise _failed(model, "ONNX Runtime", error) from None
    given = session.get_inputs()
    batches = [
        extent
        for each, axes in zip(given, model.input_axes, strict=True)
        for extent, axis in zip(each.shape, axes, strict=True)
        if axis == BATCH and isinstance(extent, int)
    ]

    def run(inputs: Arrays) -> Arrays:
        arrays = {
            each.name: _as_in_file(x, axes).astype(_ONNX_DTYPES.get(each.type, "float32"))
            for each, x, axes in zip(given, inputs, model.input_axes, strict=True)
        }
        try:
            outputs = session.run(None, arrays)
        except Exception as error:  # noqa: BLE001
            raise _failed(model, "ONNX Runtime", error) from None
        return [_as_in_spec(y, axes) for y, axes in zip(outputs, model.output_axes, strict=True)]

    return Runner(run, batches[0] if batches else EXAMPLES)


_ONNX_DTYPES: Final = {
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(uint8)": "uint8",
}


def _tflite(model: ImportedModel) -> Runner:
    if importlib.util.find_spec("ai_edge_litert") is not None:
        from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415
    elif importlib.util.find_spec("tensorflow") is not None:
        import tensorflow as tf  # noqa: PLC0415

        Interpreter = tf.lite.Interpreter  # noqa: N806  (a class)
    else:
        raise _lacking(model, "LiteRT", "ai-edge-litert")
    try:
        with warnings.catch_warnings(action="ignore"):  # TensorFlow says that it will go
            interpreter = Interpreter(model_path=model.path)
    except (ValueError, RuntimeError) as error:
        raise _failed(model, "LiteRT", error) from None
    is_open = all(each["shape_signature"][0] < 0 for each in interpreter.get_input_details())
    batch = EXAMPLES if is_open else int(interpreter.get_input_details()[0]["shape"][0])

    def run(inputs: Arrays) -> Arrays:
        try:
            for each, x in zip(interpreter.get_input_details(), inputs, strict=True):
                interpreter.resize_tensor_input(each["index"], x.shape)
            interpreter.allocate_tensors()
            for each, x in zip(interpreter.get_input_details(), inputs, strict=True):
                interpreter.set_tensor(each["index"], _rounded(x, each))
            interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise _failed(model, "LiteRT", error) from None
        return [
            _widened(interpreter.get_tensor(each["index"]), each)
            for each in interpreter.get_output_details()
        ]

    is_coarse = any(
        np.dtype(each["dtype"]).itemsize == 1 and each["quantization"][0]
        for each in interpreter.get_tensor_details()
    )
    return Runner(run, batch, COARSE if is_coarse else TOLERANCE)


def _rounded(x: Any, details: Any) -> Any:
    """Return values as a TFLite file takes them, rounded to whole numbers where it says so."""
    scale, zero = details["quantization"]
    if not scale:
        return x.astype(details["dtype"])
    bounds = np.iinfo(details["dtype"])
    return np.clip(np.round(x / scale + zero), bounds.min, bounds.max).astype(details["dtype"])


def _widened(y: Any, details: Any) -> Any:
    scale, zero = details["quantization"]
    return (y.astype("float32") - zero) * scale if scale else y


def _as_in_file(x: Any, axes: Sequence[int]) -> Any:
    """Return an array [batch, *archspec's axes] with the axes of the file."""
    present = [0 if axis == BATCH else axis + 1 for axis in axes if axis != ABSENT]
    present += sorted({*range(x.ndim)} - {*present})  # a batch of one that the file does not have
    new = [at for at, axis in enumerate(axes) if axis == ABSENT]
    moved = np.transpose(x, present)
    return np.expand_dims(moved, new) if BATCH in axes else np.expand_dims(moved[..., 0], new)


def _as_in_spec(y: Any, axes: Sequence[int]) -> Any:
    """Return an array of the file as [batch, *archspec's axes]."""
    order = sorted((axis, at) for at, axis in enumerate(axes) if axis != ABSENT)
    absent = [at for at, axis in enumerate(axes) if axis == ABSENT]
    moved = np.transpose(y, [*(at for _, at in order), *absent])
    moved = moved.reshape(moved.shape[: len(order)])
    return moved if BATCH in axes else moved[None]


def _unlike(model: ImportedModel, why: str) -> UsageError:
    return UsageError(
        f"{model.path} is not run here: {why}. The layers of the spec are those of the file "
        "all the same: they were compared"
    )


def _lacking(model: ImportedModel, framework: str, package: str) -> UsageError:
    return UsageError(
        f"{model.path} is not run here: {framework} is not installed: pip install {package}"
    )


def _failed(model: ImportedModel, framework: str, error: Exception) -> UsageError:
    return UsageError(f"{framework} cannot run {model.path}: {error!s:.300}")


_RUNNERS: Final = {"Keras": _keras, "ONNX": _onnx, "TFLite": _tflite}
"""Functions that open a file, by the beginning of the format's name."""

_NOT_RUN: Final = {
    "PyTorch": "PyTorch would run what is pickled in it",
    "Caffe": "it holds no weights",
    "Darknet": "it holds no weights",
}
"""Reasons why files of other formats are not run, by the first word of the format's name."""
