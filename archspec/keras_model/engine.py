"""Keras, imported when a model is needed: with a checked backend, quietly, and for deep models."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from archspec.arguments import place
from archspec.errors import UsageError, call, suggestion
from archspec.imports.keras.config import UnfamiliarError
from archspec.imports.keras.modelfile import ModelFile, open_model
from archspec.imports.limits import DamagedModelError
from archspec.keras_model.optimizers import stand_in_for_torch
from archspec.keras_model.starting import NAMES, starting

BACKENDS: Final = tuple(NAMES)


def load_keras() -> Any:
    """Return the keras module, which then knows archspec's layers and can load any of its models.

    Keras is taken as it is if it is imported already.

    Raises:
        UsageError: The backend of Keras is not installed, or unknown to archspec.
    """
    backend = "" if "keras" in sys.modules else _configured_backend()
    if backend and backend not in BACKENDS:
        hint = suggestion(backend, BACKENDS, what="backends")
        raise UsageError(f"archspec has no backend `{backend}` of Keras; {hint}")
    if backend and importlib.util.find_spec(backend) is None:
        raise UsageError(_advice(backend))
    with starting(backend) if backend else contextlib.nullcontext():
        import keras  # noqa: PLC0415  (seconds, which only a model is worth)

        # They register themselves with Keras, which imports no third party's module for a file.
        from archspec.keras_model import layers, measures, schedules  # noqa: F401, PLC0415

    stand_in_for_torch(keras)
    return keras


@contextlib.contextmanager
def meanwhile(get: Callable[[], Any], set_: Callable[[Any], None], value: Any) -> Iterator[None]:
    """Give a setting another value inside."""
    before = get()
    set_(value)
    try:
        yield
    finally:
        set_(before)


def dtype_policy(keras: Any, policy: Any) -> contextlib.AbstractContextManager[None]:
    """Give a dtype policy, such as `mixed_bfloat16`, to the layers that are made inside."""
    return meanwhile(keras.config.dtype_policy, keras.config.set_dtype_policy, policy)


def _advice(backend: str) -> str:
    others = [name for name in BACKENDS if importlib.util.find_spec(name) is not None]
    other = f", or set KERAS_BACKEND={others[0]}, which is installed" if others else ""
    return (
        f"a Keras model needs {backend}, which is not installed: "
        f"pip install 'keras-archspec[{backend}]'{other}"
    )


def _configured_backend() -> str:
    """Return the backend that Keras will choose, by Keras's own rules."""
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"]
    try:
        return str(json.loads((keras_home() / "keras.json").read_text(encoding="utf-8"))["backend"])
    except (OSError, ValueError, LookupError, TypeError):
        return "tensorflow"


def keras_home() -> Path:
    """Return the folder of Keras's settings and downloads."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")


def load_file(path: str | os.PathLike[str], *, compile: bool = False) -> Any:  # noqa: A002
    """Return the model of a `.keras` or `.h5` file, of any depth, as Keras loads it.

    Args:
        path: The file; its first bytes tell its format.
        compile: Whether to load what training needs: optimizer, losses and metrics.

    Raises:
        UsageError: It holds no model, is not as Keras writes it, or Keras cannot load it.

    """
    with open_model(place("path", path)) as file:
        if file.config is None:
            raise UsageError(
                f"{path} holds a model's weights alone, not how its layers are joined: "
                "give it as `weights` to the network that they belong to"
            )
        _check_kernels(file)
        layers, writer = file.layer_count, file.writer
        suffix = ".keras" if file.by_place else ".h5"
    keras = load_keras()
    with loading(Path(path), writer), deep(layers), _called(Path(path), suffix) as named:
        return keras.saving.load_model(named, compile=compile)


def _check_kernels(file: ModelFile) -> None:
    """Refuse a file with kernels larger than its weights, as far as its layers are known."""
    from archspec.imports.keras.stored import arrays_of  # noqa: PLC0415
    from archspec.keras_model.description import described  # noqa: PLC0415  (not needed to build)

    try:
        described(file.config or {}, arrays_of(file))
    except DamagedModelError:
        raise
    except (UnfamiliarError, UsageError):  # Keras knows more layers and joins
        return


@contextlib.contextmanager
def _called(path: Path, suffix: str) -> Iterator[Path]:
    """Give the same file under a name with the suffix that Keras expects."""
    if path.suffix == suffix or (suffix, path.suffix) == (".h5", ".hdf5"):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder, path.stem + suffix)
        try:
            link.symlink_to(path.absolute())
        except OSError:  # Windows lets few users make links
            shutil.copyfile(path, link)
        yield link


@contextlib.contextmanager
def loading(path: Path, writer: str) -> Iterator[None]:
    """Turn what Keras raises while it loads a file into a `UsageError` with another way."""
    try:
        yield
    except Exception as error:  # Keras raises various types for foreign files
        raise UsageError(
            f"Keras cannot load {path}, written by {writer}: {shortened(first_line(error))}\n"
            f"{call('build', ..., weights=...)} takes its weights without loading it"
        ) from error


def first_line(error: Exception) -> str:
    """Return the first line of an error's message; its type if it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def shortened(line: str, most: int = 300) -> str:
    """Return a line cut to `most` characters: Keras prints whole configurations."""
    return line if len(line) <= most else f"{line[:most].rstrip()} ..."


def deep(layers: int) -> contextlib.AbstractContextManager[None]:
    """Raise the recursion limit inside, so that Keras can recurse once for each layer."""
    limit = max(sys.getrecursionlimit(), 1_000 + 4 * layers)
    return meanwhile(sys.getrecursionlimit, sys.setrecursionlimit, limit)
