"""Model -> a file or a folder for other programs, kept only if it gives the model's outputs.

It is run under a temporary name on the same inputs as the model, in a batch and as a batch of one,
which shows that the batch size is open. A file that fails, or gives other outputs, is removed.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import math
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from archspec.arguments import wrong
from archspec.display import Displayed
from archspec.errors import ArchspecError, UsageError
from archspec.graph.builder import MOST_NODES
from archspec.keras_model.calls import inputs_of
from archspec.keras_model.engine import deep, first_line, load_keras
from archspec.keras_model.formats import MOST_BYTES, Format, format_of, remade, runner
from archspec.keras_model.refusals import refusal
from archspec.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archspec.keras_model.formats import Batch, Outputs

TOLERANCE: Final = 1e-4
"""Two outputs are equal if they differ by no more than this share of the largest, or of 1.

Twenty layers that sum in another order differ by 3e-6 of the largest logit. After training that is
tens, and a softmax between two nearly equal logits passes on a quarter of the difference.
"""

EXAMPLES: Final = 32
"""Number of random examples that are tried if none are given."""

MOST_VALUES: Final = 2**23
"""Largest number of values in them: running them takes many times their memory."""


@dataclass(frozen=True, slots=True)
class Exported(Displayed):
    """A file that was written, and its largest difference from the model."""

    RENDERER = "exported"

    path: Path
    bytes: int
    """Size of the file, or of all files in the folder."""
    largest_difference: float
    """Largest difference of an output to the model's; as a share of the largest output above 1."""
    tolerance: float
    images: int
    """Number of examples on which both were run."""
    widened: str | None
    """Dtype policy of a model that computes in less than float32, if the format is not Keras's own:
    then the file computes in float32, and was compared with the model in float32."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {**asdict(self), "path": str(self.path)}


class UnequalError(ArchspecError):
    """An exported file gives other outputs than the model, and was removed."""

    def __init__(self, exported: Exported) -> None:
        super().__init__(exported)
        self.exported = exported

    def __str__(self) -> str:
        return (
            f"{self.exported.path} was not written: its outputs differ from the model's by up to "
            f"{self.exported.largest_difference:.1e} over {self.exported.images} examples, more "
            f"than {self.exported.tolerance:g}"
        )


def export(
    model: Any,
    path: str | os.PathLike[str],
    *,
    inputs: NDArray[Any] | Mapping[str, NDArray[Any]] | None = None,
    tolerance: float = TOLERANCE,
    force: bool = False,
    opset: int | None = None,
) -> Exported:
    """Write a Keras model for other programs, and prove the file by running it.

    A model that computes in less than float32 is exported in float32, but for Keras's own formats.
    Standard output and error of the process are suppressed meanwhile: exporters write to both.

    Args:
        model: A Keras model.
        path: The file. Its suffix is the format: .keras, .weights.h5, .onnx, .tflite, or none for
            the folder of a SavedModel.
        inputs: Examples to run both with, such as images, (n, height, width, channels); for a model
            with several inputs, an array for each by its name. By default random ones.
        tolerance: Largest difference of an output to the model's; where outputs are larger than 1,
            as a share of the largest.
        force: Whether to replace an existing file, or the folder of a SavedModel.
        opset: Version of ONNX's operators, for an ONNX file: 13 to 18 on TensorFlow, 18 to 23 on
            torch and JAX. By default that which the backend's converter prefers.

    Returns:
        The file that was written, and the largest difference of its outputs to the model's.

    Raises:
        UnequalError: Outputs differ by more than `tolerance`.
        UsageError: The model cannot be written in that format, here or on this backend.

    Example:
        >>> exported = archspec.export(archspec.build("lenet5"), "lenet5.weights.h5")
        >>> exported.largest_difference
        0.0
    """
    form = check_target(path, force=force)
    keras = load_keras()
    if not isinstance(model, keras.Model):
        hint = "; `archspec.load_model` gives that of a file"
        raise wrong("model", model, "a Keras model", hint)
    backend = keras.backend.backend()
    form.check(path, backend)
    if opset is not None:
        form.check_opset(path, backend, opset)
    batch = _inputs(model, inputs)
    _check_size(form, model, path)
    target = Path(path)
    widened = None if form.is_keras else _policy(model)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".archspec-") as scratch:
            built = Path(scratch, f"model{form.suffix}")
            with _hushed(), deep(MOST_NODES):
                if widened:
                    model = remade(model, lambda config: {**config, "dtype": "float32"})
                options = {} if opset is None else {"opset": opset}
                write = functools.partial(form.write, model, built, **options)
                difference = _largest_difference(form, backend, model, built, batch, path, write)
            size = len(next(iter(batch.values())))
            exported = Exported(target, _size(built), difference, tolerance, size, widened)
            if not difference <= tolerance:
                raise UnequalError(exported)
            _place(built, target, Path(scratch, "replaced"))
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error
    return exported


def check_target(path: str | os.PathLike[str], *, force: bool = False) -> Format:
    """Return the format of a path; raise `UsageError` if it cannot be written."""
    form = format_of(path)
    target = Path(path)
    parent = target.parent
    if not form.suffix:  # `serving/NAME/1/`, as TensorFlow Serving wants it, is made as a whole
        parent = next((each for each in target.parents if each.exists()), parent)
    if not parent.is_dir():
        raise UsageError(f"{path}: there is no folder {parent}")
    if not os.access(parent, os.W_OK):
        raise UsageError(f"{path}: nothing can be written to {parent}")
    if os.path.lexists(target):
        if target.is_dir() and form.suffix:
            raise UsageError(f"{path} is a folder, not a file to replace")
        if not form.suffix and not (target / "saved_model.pb").is_file():
            raise UsageError(f"{path} exists already, and is not a SavedModel to replace")
        if not force:
            raise UsageError(f"{path} exists already; `force=True` replaces it")
    return form


def _check_size(form: Format, model: Any, path: str | os.PathLike[str]) -> None:
    weights = 4 * sum(math.prod(weight.shape) for weight in model.weights)
    if form.is_one_buffer and weights > MOST_BYTES:
        raise UsageError(
            f"{path}: {form.name} holds at most {MOST_BYTES:,} bytes, and the weights of "
            f"`{model.name}` are {weights:,}; a SavedModel holds them"
        )


def _inputs(model: Any, given: Any) -> Batch:
    """Return the inputs to try: those given, if they fit the model, or standard normal noise."""
    if not getattr(model, "inputs", None):
        raise UsageError(
            f"`{model.name}` does not say what it takes: only a functional model, or a sequential "
            "one with an `Input`, can be exported"
        )
    takes = inputs_of(model)
    if given is None:
        return _noise(model.name, takes)
    if len(takes) == 1 and not isinstance(given, Mapping):
        given = dict.fromkeys(takes, given)
    if not isinstance(given, Mapping) or set(given) != set(takes):
        raise UsageError(f"`inputs` must have an array for each of {', '.join(takes)}, by its name")
    batch = {
        name: _examples("inputs" if len(takes) == 1 else f"inputs[{name!r}]", given[name], tensor)
        for name, tensor in takes.items()
    }
    counts = {name: len(array) for name, array in batch.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{count} of {name}" for name, count in counts.items())
        raise UsageError(f"`inputs` must have as many examples of each input, not {listed}")
    return batch


def _noise(model: str, takes: Mapping[str, Any]) -> Batch:
    """Return random examples for a model's symbolic inputs."""
    extents = {name: tuple(tensor.shape[1:]) for name, tensor in takes.items()}
    for each in extents.values():
        if None in each:
            raise UsageError(f"`{model}` takes any of {each}: give `inputs` to try")
    size = enough(sum(map(math.prod, extents.values())))
    random = np.random.default_rng(0)
    return {
        name: random.normal(size=(size, *each)).astype(takes[name].dtype)
        for name, each in extents.items()
    }


def _examples(argument: str, given: Any, tensor: Any) -> NDArray[Any]:
    """Return what an argument gives for a symbolic input, as an array of its dtype."""
    try:
        array = np.asarray(given, tensor.dtype)
    except (TypeError, ValueError):
        raise UsageError(f"`{argument}` is not an array of numbers") from None
    extents = tuple(tensor.shape[1:])
    if not _fits(array.shape, extents):
        shape = f"`{argument}` of {array.shape}"
        raise UsageError(f"{shape} are not examples of {extents}, one or more")
    return array


def _fits(shape: tuple[int, ...], extents: tuple[int | None, ...]) -> bool:
    """Return whether `shape` is that of one or more examples of `extents`."""
    return (
        len(shape) == 1 + len(extents)
        and shape[0] > 0
        and all(want in {None, have} for want, have in zip(extents, shape[1:], strict=True))
    )


def enough(values: int) -> int:
    """Return the number of random examples to try, if each has `values` values."""
    return max(2, min(EXAMPLES, MOST_VALUES // max(1, values)))


def _policy(model: Any) -> str | None:
    """Return the dtype policy of the layers that do not compute in float32; None if all do."""
    return min({layer.dtype_policy.name for layer in model.layers} - {"float32"}, default=None)


def _largest_difference(
    form: Format,
    backend: str,
    model: Any,
    built: Path,
    batch: Batch,
    path: str | os.PathLike[str],
    write: Callable[[], None],
) -> float:
    """Write the model to `built`, run it, and return the largest difference of outputs."""
    try:
        batches = (batch, {name: x[:1] for name, x in batch.items()})
        expected = [_finite(outputs, model) for outputs in map(runner(model), batches)]
        write()
        outputs = map(form.open(model, built), batches)
        return max(map(_difference, outputs, expected))
    except (OSError, UsageError):
        raise
    except Exception as error:  # converters raise various types
        hint = f"; {form.elsewhere(backend)}" if len(form.packages) > 1 else ""
        raise UsageError(
            f"{path}: Keras on {backend} cannot export `{model.name}` to {form.name}: "
            f"{refusal(error) or first_line(error)}{hint}"
        ) from error


def _finite(outputs: Outputs, model: Any) -> Outputs:
    if not all(np.isfinite(y).all() for y in outputs.values()):
        raise UsageError(f"`{model.name}` gives no finite numbers: there is nothing to compare")
    return outputs


def _difference(outputs: Outputs, expected: Outputs) -> float:
    if {name: y.shape for name, y in outputs.items()} != {n: y.shape for n, y in expected.items()}:
        raise ValueError(f"its outputs are {', '.join(outputs)}, not {', '.join(expected)}")
    return max(
        float(np.max(np.abs(outputs[name] - y)) / max(1.0, np.max(np.abs(y))))
        for name, y in expected.items()
    )


def _size(built: Path) -> int:
    files = [built] if built.is_file() else built.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def _place(built: Path, target: Path, replaced: Path) -> None:
    """Rename a complete file or folder; a folder with that name is restored on failure."""
    if not target.is_dir():
        built.replace(target)
        return
    target.rename(replaced)
    try:
        built.rename(target)
    except OSError:
        replaced.rename(target)
        raise


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Suppress what converters print, through Python and through descriptors 1 and 2."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    kept = [os.dup(descriptor) for descriptor in (1, 2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        for descriptor, original in zip((1, 2), kept, strict=True):
            os.dup2(original, descriptor)
            os.close(original)
        os.close(nowhere)
