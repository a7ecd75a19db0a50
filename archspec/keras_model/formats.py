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
from archspec.keras_model import onnx_file
from archspec.keras_model.calls import by_name, given
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Batch: TypeAlias = dict[str, NDArray[Any]]
    """An array for each input, by its name."""
    Outputs: TypeAlias = dict[str, NDArray[Any]]
    Runner: TypeAlias = Callable[[Batch], Outputs]

MOST_BYTES: Final = 2**31 - 1
"""Largest size of a protocol buffer or a flat buffer."""


@dataclass(frozen=True, slots=True)
class Format:
    """A file format for models."""

    name: str
    suffix: str
    """Suffix of the file; empty for a folder."""
    write: Callable[..., None]
    """Takes the model, the path, and for a format with `opsets` an `opset`."""
    open: Callable[[Any, Path], Runner]
    """Takes the model as well, because a file of weights does not say how they are joined."""
    packages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Packages that each backend needs to write it; empty if any backend can."""
    opsets: Mapping[str, range] = field(default_factory=dict)
    """Versions of the format's operators that each backend can write; empty if it has none."""

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

    def check_opset(self, path: str | os.PathLike[str], backend: str, opset: Any) -> None:
        """Raise `UsageError` if the format has no such opset, or this backend does not write it."""
        if not self.opsets:
            raise UsageError(f"{path}: only an ONNX file has an opset; leave `opset` out")
        opsets = self.opsets[backend]
        if isinstance(opset, bool) or not isinstance(opset, int) or opset not in opsets:
            raise UsageError(
                f"{path}: Keras on {backend} writes the opsets {opsets[0]} to {opsets[-1]} of "
                f"{self.name}, not {opset!r}"
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


def runner(model: Any) -> Runner:
    """Return a Keras model as a function, in inference mode."""

    def run(batch: Batch) -> Outputs:
        size = len(next(iter(batch.values())))
        return _arrays(by_name(model.predict(given(model, batch), batch_size=size, verbose=0)))

    return run


def _arrays(outputs: Mapping[str, Any]) -> Outputs:
    return {name: np.asarray(each) for name, each in outputs.items()}


def _open_keras(_: Any, path: Path) -> Runner:
    import keras  # noqa: PLC0415

    return runner(keras.saving.load_model(path, compile=False))


def _open_weights(model: Any, path: Path) -> Runner:
    import keras  # noqa: PLC0415

    fresh = keras.models.clone_model(model)
    fresh.load_weights(path)
    return runner(fresh)


def _write_tflite(model: Any, path: Path) -> None:
    _unrolled(model).export(path, format="litert", verbose=False)


def _unrolled(model: Any) -> Any:
    """Return the same network without loops: TFLite has no lists of tensors, which these keep."""

    def recurrent(config: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the configurations of recurrent layers in that of a layer."""
        directions = (config.get(key) for key in ("layer", "backward_layer"))
        found = [config, *(each["config"] for each in directions if each)]
        return [each for each in found if "unroll" in each]

    def unroll(config: dict[str, Any]) -> dict[str, Any]:
        for each in recurrent(config):
            each["unroll"] = True
        return config

    if not any(recurrent(layer.get_config()) for layer in model.layers):
        return model
    return remade(model, unroll)


def remade(model: Any, changed: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """Return a network with the same weights, its layers of changed configurations."""
    import keras  # noqa: PLC0415

    def make(layer: Any) -> Any:
        return type(layer).from_config(changed(layer.get_config()))

    clone = keras.models.clone_model(model, clone_function=make)
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
        by_name(serve(**{name: tf.constant(x) for name, x in batch.items()}))
    )


def _open_tflite(_: Any, path: Path) -> Runner:
    import tensorflow as tf  # noqa: PLC0415

    interpreter = tf.lite.Interpreter(model_path=str(path))
    run = interpreter.get_signature_runner()
    return lambda batch: _arrays(by_name(run(**batch)))


FORMATS: Final = (
    Format(".keras", ".keras", lambda model, path: model.save(path), _open_keras),
    Format("weights", ".weights.h5", lambda model, path: model.save_weights(path), _open_weights),
    Format(
        "ONNX",
        ".onnx",
        onnx_file.write,
        _open_onnx,
        {
            "tensorflow": ("tf2onnx", "onnx", "onnxruntime"),
            "torch": ("onnxscript", "onnx", "onnxruntime"),
            "jax": ("jax2onnx", "onnx", "onnxruntime"),
        },
        onnx_file.OPSETS,
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
