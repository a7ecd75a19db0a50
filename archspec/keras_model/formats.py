"""The formats that a Keras model is exported to: what each needs, how it is written and run.

Keras's own exporters write them. To test a file, `open` returns a function from a batch to the
outputs. Both are NumPy arrays by name, as the file names them.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from archspec.arguments import place
from archspec.errors import UsageError
from archspec.keras_model.calls import is_functional

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Batch: TypeAlias = dict[str, NDArray[Any]]
    """An array for each input, by its name."""
    Outputs: TypeAlias = dict[str, NDArray[Any]]
    Runner: TypeAlias = Callable[[Batch], Outputs]

ONLY: Final = "output"
"""Name of a single output; several outputs have their own names."""

MOST_BYTES: Final = 2**31 - 1
"""Largest size of a protocol buffer or a flat buffer."""


@dataclass(frozen=True, slots=True)
class Format:
    """A file format for models."""

    name: str
    suffix: str
    """Suffix of the file; empty for a folder."""
    write: Callable[[Any, Path], None]
    open: Callable[[Any, Path], Runner]
    """Takes the model as well, because a file of weights does not say how they are joined."""
    packages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Packages that each backend needs to write it; empty if any backend can."""

    @property
    def is_keras(self) -> bool:
        """Whether Keras reads it back unchanged; any other format computes in float32."""
        return not self.packages

    @property
    def is_one_buffer(self) -> bool:
        """Whether a file is a single protocol buffer or flat buffer, of at most `MOST_BYTES`."""
        return bool(self.packages and self.suffix)

    def check(self, path: str | os.PathLike[str], backend: str) -> None:
        """Raise `UsageError` if this backend cannot write it, or a package is missing."""
        if self.packages and backend not in self.packages:
            raise UsageError(
                f"{path}: Keras writes {self.name} on {' or '.join(self.packages)}, not on "
                f"{backend}; {self.elsewhere(backend)}"
            )
        missing = [
            name
            for name in self.packages.get(backend, ())
            if importlib.util.find_spec(name) is None
        ]
        if missing:
            extra = " jax2onnx" if "jax2onnx" in missing else ""
            raise UsageError(
                f"{path}: to write {self.name} on {backend}, Keras needs {', '.join(missing)}: "
                f"pip install 'keras-archspec[onnx]'{extra}"
            )

    def elsewhere(self, backend: str) -> str:
        """Return advice for a backend that cannot write it."""
        others = [name for name in self.packages if name != backend]
        installed = [name for name in others if importlib.util.find_spec(name) is not None]
        install = "" if installed else f"pip install 'keras-archspec[{others[0]}]' and "
        return (
            "a .keras file is the same on every backend: "
            f"{install}export it with KERAS_BACKEND={(installed or others)[0]} set"
        )


def format_of(path: str | os.PathLike[str]) -> Format:
    """Return the format of a path's suffix; a folder has none, or ends in a slash."""
    text = place("path", path)
    folder = text.endswith(os.sep)
    for form in FORMATS:
        if folder or not Path(text).suffix:
            if not form.suffix:
                return form
        elif form.suffix and Path(text).name.endswith(form.suffix):
            return form
    known = ", ".join(form.suffix for form in FORMATS if form.suffix)
    raise UsageError(
        f"{path}: the suffix says what to write: {known}; without one, a SavedModel's folder"
    )


def inputs_of(model: Any) -> dict[str, Any]:
    """Return the symbolic inputs of a model by name, in the order in which Keras flattens them."""
    if _takes_names(model):
        return {str(name): model.input[name] for name in sorted(model.input)}
    return {tensor.name: tensor for tensor in model.inputs}


def _takes_names(model: Any) -> bool:
    """Return whether a model takes its inputs as a dict; a sequential one takes a single input."""
    return is_functional(model) and isinstance(model.input, Mapping)


def runner(model: Any) -> Runner:
    """Return a Keras model as a function, in inference mode."""

    def run(batch: Batch) -> Outputs:
        size = len(next(iter(batch.values())))
        return _arrays(_by_name(model.predict(_given(model, batch), batch_size=size, verbose=0)))

    return run


def _given(model: Any, batch: Mapping[str, Any]) -> Any:
    """Return values as a model takes its inputs: by name, in a list, or the only one.

    In a list they are as `inputs_of` has them: an input without a name of its own gets another one
    whenever its model is made.
    """
    if _takes_names(model):
        return dict(batch)
    values = list(batch.values())
    return values if len(values) > 1 else values[0]


def _by_name(outputs: Any) -> dict[str, Any]:
    """Return outputs by name, in the order in which Keras flattens them."""
    if isinstance(outputs, Mapping):
        outputs = {str(name): outputs[name] for name in sorted(outputs)}
    elif isinstance(outputs, (list, tuple)):
        outputs = {f"{ONLY}_{number}": each for number, each in enumerate(outputs)}
    else:
        return {ONLY: outputs}
    return dict(zip([ONLY], outputs.values(), strict=True)) if len(outputs) == 1 else outputs


def _arrays(outputs: Mapping[str, Any]) -> Outputs:
    import numpy as np  # noqa: PLC0415

    return {name: np.asarray(each) for name, each in outputs.items()}


def _open_keras(_: Any, path: Path) -> Runner:
    import keras  # noqa: PLC0415

    return runner(keras.saving.load_model(path, compile=False))


def _open_weights(model: Any, path: Path) -> Runner:
    import keras  # noqa: PLC0415

    fresh = keras.models.clone_model(model)
    fresh.load_weights(path)
    return runner(fresh)


def _write_onnx(model: Any, path: Path) -> None:
    import keras  # noqa: PLC0415
    import onnx  # noqa: PLC0415

    match keras.backend.backend():
        case "tensorflow":
            _convert_tensorflow(model, path)
        case "torch":
            _convert_torch(model, path)
        case _:
            # Keras exports a model only once it was called, and JAX's `predict` does not count.
            model(_given(model, _zeros(model, 1)), training=False)
            model.export(path, format="onnx", verbose=False)
    # Each of the three invents names for the outputs and for the size of the batch, torch and
    # jax2onnx for the inputs too, and torch's notes from which file of this machine a node comes.
    proto = onnx.load(path)
    _replace_erfc(proto.graph)
    ends = [*proto.graph.input, *proto.graph.output]
    called = [*inputs_of(model), *_by_name(model.output)]
    names = {tensor.name: name for tensor, name in zip(ends, called, strict=True)}
    # A value inside, which converters name after its operation, may have the name of an input.
    inner = {name: f"{name}/inner" for name in called}
    _rename(proto.graph, inner | names)
    for tensor in ends:
        tensor.type.tensor_type.shape.dim[0].dim_param = "batch"
    for node in proto.graph.node:
        node.ClearField("metadata_props")
    onnx.save(proto, path)


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    """Rename values of an ONNX graph, also in the graphs that are arguments of its nodes."""
    for value in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        for values in (node.input, node.output):
            values[:] = [names.get(name, name) for name in values]
        for argument in node.attribute:
            for inside in [argument.g] * argument.HasField("g") + [*argument.graphs]:
                _rename(inside, names)


def _zeros(model: Any, size: int) -> dict[str, Any]:
    """Return a batch of zeros for each input of a model."""
    import keras  # noqa: PLC0415

    return {
        name: keras.ops.zeros((size, *tensor.shape[1:]), dtype=tensor.dtype)
        for name, tensor in inputs_of(model).items()
    }


def _replace_erfc(graph: Any) -> None:
    """Write 1 - erf(x) for erfc(x), TensorFlow's for GELU, which ONNX lacks and tf2onnx leaves."""
    from onnx.helper import make_node  # noqa: PLC0415

    nodes = []
    for node in graph.node:
        if node.op_type != "Erfc":
            nodes.append(node)
            continue
        (y,) = node.output
        nodes += [
            make_node("Constant", [], [f"{y}/one"], value_float=1.0),
            make_node("Erf", node.input, [f"{y}/erf"]),
            make_node("Sub", [f"{y}/one", f"{y}/erf"], [y]),
        ]
    del graph.node[:]
    graph.node.extend(nodes)


def _convert_tensorflow(model: Any, path: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415

    # A grouped convolution is a function compiled by XLA, because TensorFlow could not run it on a
    # CPU otherwise. tf2onnx knows no such functions, but it does what is traced in their place.
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(run_eagerly=True)
    try:
        model.export(path, format="onnx", verbose=False)
    finally:
        tf.config.run_functions_eagerly(before)


def _convert_torch(model: Any, path: Path) -> None:
    import torch  # noqa: PLC0415

    # Keras falls back on torch's old exporter where the batch is open, and that one refuses any
    # pooling whose padding Keras works out from the extents. To the new one a size of 1 is fixed.
    batch = torch.export.Dim("batch")
    shapes = {name: {0: batch} for name in inputs_of(model)}
    training = model.training
    model.eval()
    try:
        program = torch.onnx.export(
            model,
            (_given(model, _zeros(model, 2)), {}),  # a dict at the end would be keywords
            dynamo=True,
            dynamic_shapes=((_given(model, shapes),),),
            verbose=False,
        )
    finally:
        model.train(training)
    program.save(path)


def _write_tflite(model: Any, path: Path) -> None:
    _unrolled(model).export(path, format="litert", verbose=False)


def _unrolled(model: Any) -> Any:
    """Return the same network without loops: TFLite has no lists of tensors, which these keep."""
    import keras  # noqa: PLC0415

    def recurrent(config: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the configurations of recurrent layers in that of a layer."""
        directions = (config.get(key) for key in ("layer", "backward_layer"))
        found = [config, *(each["config"] for each in directions if each)]
        return [each for each in found if "unroll" in each]

    def unroll(layer: Any) -> Any:
        config = layer.get_config()
        for each in recurrent(config):
            each["unroll"] = True
        return type(layer).from_config(config)

    if not any(recurrent(layer.get_config()) for layer in model.layers):
        return model
    clone = keras.models.clone_model(model, clone_function=unroll)
    clone.set_weights(model.get_weights())
    return clone


def _open_onnx(_: Any, path: Path) -> Runner:
    import onnxruntime  # noqa: PLC0415

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda batch: dict(zip(names, session.run(names, batch), strict=True))


def _open_saved_model(_: Any, path: Path) -> Runner:
    import tensorflow as tf  # noqa: PLC0415

    loaded = tf.saved_model.load(path)
    serve = loaded.signatures["serving_default"]
    return lambda batch: _arrays(
        _by_name(serve(**{name: tf.constant(x) for name, x in batch.items()}))
    )


def _open_tflite(_: Any, path: Path) -> Runner:
    import tensorflow as tf  # noqa: PLC0415

    interpreter = tf.lite.Interpreter(model_path=str(path))
    run = interpreter.get_signature_runner()
    return lambda batch: _arrays(_by_name(run(**batch)))


FORMATS: Final = (
    Format(".keras", ".keras", lambda model, path: model.save(path), _open_keras),
    Format("weights", ".weights.h5", lambda model, path: model.save_weights(path), _open_weights),
    Format(
        "ONNX",
        ".onnx",
        _write_onnx,
        _open_onnx,
        {
            "tensorflow": ("tf2onnx", "onnx", "onnxruntime"),
            "torch": ("onnxscript", "onnx", "onnxruntime"),
            "jax": ("jax2onnx", "onnx", "onnxruntime"),
        },
    ),
    Format(
        "TFLite",
        ".tflite",
        _write_tflite,
        _open_tflite,
        {"tensorflow": ()},
    ),
    Format(
        "a SavedModel",
        "",
        lambda model, path: model.export(path, format="tf_saved_model", verbose=False),
        _open_saved_model,
        {"tensorflow": ()},
    ),
)
"""All formats; `.weights.h5` is Keras's own name for a file of weights alone."""
