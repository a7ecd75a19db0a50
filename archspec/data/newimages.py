"""Paths and arrays -> chunks of images of unknown class, as any network takes them.

Until a chunk is read, only names are in memory, and arrays as NumPy opens them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from archspec.data import arrays, filetypes, table
from archspec.data.fileaccess import missing_file
from archspec.data.imagefile import Encoded, UnreadableError
from archspec.data.names import legible
from archspec.data.pixels import ArrayPixels
from archspec.data.preprocessing import Preprocessing
from archspec.data.values import BYTES
from archspec.errors import RecipeError, UsageError
from archspec.lazy import np
from archspec.ops.shape import Shape
from archspec.system import cores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archspec.data.recipe import DataRecipe

ARRAYS: Final = (".npy", ".npz")

MOST_PIPED: Final = 2**28
"""Largest size of an image that comes through a pipe, which may never end."""

MEASURED: Final = 1_000
"""Images of an array whose extremes are measured."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some images, by their names."""

    names: tuple[str, ...]
    read: Callable[[Shape, Preprocessing], list[Any]]
    """A function of an input's shape and its preprocessing, which says how to resize, and the range
    for pixels of files. It gives the pixels of each image, or as text the reason why there are
    none."""
    extremes: tuple[float, float] | None = None
    """The smallest and the largest value in the array that they are from; None for files."""
    where: str = ""
    """Name of that array in messages."""


def chunks(
    given: Sequence[str | os.PathLike[str]] | NDArray[Any] | Mapping[str, NDArray[Any]],
    inputs: Mapping[str, Shape],
    size: int,
    recipe: DataRecipe | None = None,
) -> list[Chunk]:
    """Return all images of files, folders, tables and arrays, in order, in chunks of up to `size`.

    `inputs` are those of a network. Tables are read as `recipe`, that of the training, says. For
    one input, a path that cannot be read becomes a chunk that says why.

    For several, `given` are arrays by the names of the inputs; or tables, .npz files and folders of
    .npy files, which hold them. Raises `UsageError` if an input has no array, another shape, or
    another number of examples.
    """
    shape, several = next(iter(inputs.values())), len(inputs) > 1
    if isinstance(given, Mapping):
        if missing := [name for name in inputs if name not in given]:
            raise UsageError(f"there is no array `{missing[0]}`, for the input of that name")
        return list(_of_inputs({name: given[name] for name in inputs}, "", inputs, size))
    if isinstance(given, np.ndarray) and not several:
        return list(_of_array(given, "", shape, size))
    result: list[Chunk] = []
    files: list[Path] = []

    def flush() -> None:
        result.extend(_of_files(files[at : at + size]) for at in range(0, len(files), size))
        files.clear()

    for path in map(Path, given):
        is_table = path.suffix.lower() in table.SUFFIXES
        if several or is_table or path.suffix in ARRAYS:
            flush()
        if is_table:
            result.extend(_of_table(path, recipe, inputs, size))
        elif several:
            by_name = arrays.inputs_of(path, inputs)
            result.extend(_of_inputs(by_name, legible(str(path)), inputs, size))
        elif path.suffix in ARRAYS:
            result.extend(_of_array_file(path, shape, size))
        elif path.is_dir():
            files += list(_walk(path)) or [path]  # reading it says that it has no images
        else:
            files.append(path)
    flush()
    return result


def _of_table(
    path: Path, recipe: DataRecipe | None, inputs: Mapping[str, Shape], size: int
) -> Iterator[Chunk]:
    """Yield the rows of a table."""
    if not path.exists():
        raise missing_file(path)
    try:
        rows = list(table.unlabelled(path, recipe, inputs))
    except RecipeError as error:
        raise UsageError(str(error)) from None
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        given = [values for _, values in part]
        yield Chunk(tuple(legible(place) for place, _ in part), partial(_of_rows, given, inputs))


def _of_rows(
    rows: Sequence[Mapping[str, Any] | str],
    inputs: Mapping[str, Shape],
    _: Shape,
    preprocessing: Preprocessing,
) -> list[Any]:
    """Return the examples of rows: an array for each, or for each of several inputs."""
    ways = dict(preprocessing.inputs) or dict.fromkeys(inputs, preprocessing)

    def one(row: Mapping[str, Any] | str) -> Any:
        if isinstance(row, str):
            return row
        read = {
            name: ways[name].read(given, inputs[name])
            if inputs[name].rank
            else np.array(given, np.float32)
            for name, given in row.items()
        }
        return read if len(inputs) > 1 else next(iter(read.values()))

    return _each(one, rows)


def _each(read: Callable[[Any], Any], given: Sequence[Any]) -> list[Any]:
    """Return what `read` makes of each, or as text why it cannot be read, by several threads."""

    def one(each: Any) -> Any:
        try:
            return read(each)
        except UnreadableError as error:
            return str(error)
        except OSError as error:
            return error.strerror or "it cannot be read"

    with ThreadPoolExecutor(cores()) as pool:
        return list(pool.map(one, given))


def _of_inputs(
    by_name: Mapping[str, NDArray[Any]], where: str, inputs: Mapping[str, Shape], size: int
) -> Iterator[Chunk]:
    count = len(next(iter(by_name.values())))
    for name, array in by_name.items():
        extent = "x".join(map(str, array.shape))
        if array.ndim != len(inputs[name]) + 1 or array.dtype.kind not in "biuf":
            raise UsageError(
                f"{where or 'the array'}: `{name}` is {array.dtype} of {extent}, not numbers for "
                f"an input of {inputs[name]}"
            )
        if len(array) != count:
            raise UsageError(
                f"{where or 'the arrays'}: `{name}` has {len(array):,} examples, and "
                f"`{next(iter(by_name))}` has {count:,}"
            )
    for start in range(0, count, size):
        rows = {name: array[start : start + size] for name, array in by_name.items()}
        names = tuple(f"{where}[{n}]" for n in range(start, min(start + size, count)))
        yield Chunk(names, partial(_rows_of_inputs, rows, inputs))


def _rows_of_inputs(
    rows: Mapping[str, NDArray[Any]],
    inputs: Mapping[str, Shape],
    _: Shape,
    preprocessing: Preprocessing,
) -> list[Any]:
    read = {name: _rows(array, inputs[name], preprocessing) for name, array in rows.items()}
    examples = (dict(zip(read, each, strict=True)) for each in zip(*read.values(), strict=True))
    return [
        next((reason for reason in each.values() if isinstance(reason, str)), each)
        for each in examples
    ]


def _walk(top: Path) -> Iterator[Path]:
    """Yield the image files below a folder, sorted by name, without hidden ones."""
    for place, folders, names in os.walk(top):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if filetypes.by_suffix(name) and not name.startswith("."):
                yield Path(place, name)


def _of_files(paths: Sequence[Path]) -> Chunk:
    @cache
    def encoded(path: Path) -> Encoded:
        """Return a file, or the content of a pipe, which can be read once for all networks."""
        if path.is_file() or not path.exists():
            return path
        with path.open("rb") as pipe:
            content = pipe.read(MOST_PIPED + 1)
        if len(content) > MOST_PIPED:
            raise UnreadableError(f"more than {MOST_PIPED:,} bytes came through it")
        return content

    def read(shape: Shape, preprocessing: Preprocessing) -> list[Any]:
        def one(path: Path) -> Any:
            if path.is_dir():
                return f"there is no {filetypes.NAMES} file in it"
            if shape.rank != 2 or shape.channels not in {1, 3}:
                return f"an image file does not fit an input of {shape}; save arrays as .npy"
            return preprocessing.read(encoded(path), shape)

        return _each(one, paths)

    return Chunk(tuple(legible(str(path)) for path in paths), read)


def _of_array_file(path: Path, shape: Shape, size: int) -> Iterator[Chunk]:
    name = legible(str(path))
    try:
        array = arrays.unlabelled(path)
    except UsageError as error:
        reason = str(error)
        yield Chunk((name,), lambda *_: [reason])
        return
    yield from _of_array(array, name, shape, size)


def _of_array(array: NDArray[Any], name: str, shape: Shape, size: int) -> Iterator[Chunk]:
    """Yield the chunks of an array of images, with or without an axis of channels, or of one."""
    extent = "x".join(map(str, array.shape))
    single = array.ndim == len(shape) - 1 or (
        array.ndim == len(shape) and array.shape[-1] == shape.channels
    )
    if single:
        array = array[np.newaxis]
    if array.ndim == len(shape):
        array = array[..., np.newaxis]
    if array.ndim != len(shape) + 1 or array.dtype.kind not in "biuf" or not array.size:
        reason = f"{array.dtype} of {extent} is not an array of images for an input of {shape}"
        yield Chunk((name or "the array",), lambda *_: [reason])
        return
    sample = array[:: -(-len(array) // MEASURED)]
    extremes = float(sample.min()), float(sample.max())
    for start in range(0, len(array), size):
        rows = array[start : start + size]
        numbers = range(start, start + len(rows))
        names = (name or "the array",) if single else tuple(f"{name}[{n}]" for n in numbers)
        yield Chunk(names, partial(_rows, rows), extremes, name or "the array")


def _rows(rows: NDArray[Any], shape: Shape, preprocessing: Preprocessing) -> list[Any]:
    own = Shape(rows.shape[1:])
    resizable = own.rank == shape.rank == 2 and (
        own.channels == shape.channels or {own.channels, shape.channels} == {1, 3}
    )
    if own != shape and not resizable:
        return [f"an image of {own} does not fit an input of {shape}"] * len(rows)
    store = ArrayPixels(np.asarray(rows), shape, preprocessing.resize, limits=BYTES)
    pixels = store.read(np.arange(len(rows)))
    finite = np.isfinite(pixels.reshape(len(rows), -1)).all(axis=1)
    return [
        image if right else "it has pixels that are infinite or NaN"
        for image, right in zip(pixels, finite, strict=True)
    ]
