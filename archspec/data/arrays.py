"""`arrays`: images and labels as NumPy saves them, in an .npz file or in a folder of .npy files.

The named arrays of an .npz are read into memory; an .npy is mapped, and may be larger than memory.
Pickles are refused: reading a pickle runs it.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from archspec.data.examples import LabelledImages, Preview
from archspec.data.fileaccess import check_memory, missing_file, reading
from archspec.data.names import MOST_CLASSES, check_names
from archspec.data.task import TaskKind
from archspec.data.values import measure
from archspec.errors import UsageError, suggestion
from archspec.lazy import np
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archspec.data.recipe import DataRecipe

MOST_NUMBERS: Final = 12
"""Labels that a message writes out."""

NAMES: Final = {"images": ("x", "images"), "labels": ("y", "labels")}
"""Names of the arrays unless the recipe gives others."""


class Header(NamedTuple):
    """The shape and the type of an array in a file."""

    shape: tuple[int, ...]
    dtype: Any


def preview(recipe: DataRecipe, inputs: Mapping[str, Shape]) -> Preview:
    """Return what the labels may be, and the shape of an image, or those of several inputs."""
    path = Path(recipe.path or "")
    keys = keys_of(path, recipe, inputs)
    every = {
        name: Shape(_with_channels(header_of(path, name or keys["images"]).shape, wanted)[1:])
        for name, wanted in inputs.items()
    }
    shape, shapes = next(iter(every.values())), every if len(inputs) > 1 else {}
    values = read(path, keys["labels"])
    others = _other_names(values, keys["labels"], f"`{keys['labels']}` in {path}")
    try:
        _, class_names = _read_labels(path, keys["labels"], recipe)
    except UsageError as error:
        if not others:
            raise
        return Preview((), shape, others, str(error), shapes)
    return Preview(class_names, shape, others, "", shapes)


def load(
    recipe: DataRecipe, inputs: Mapping[str, Shape], kind: TaskKind = "classification"
) -> LabelledImages:
    """Return the images, with every value measured, and the labels.

    For a network with several inputs, they are the arrays of the inputs' names.
    """
    path = Path(recipe.path or "")
    keys = keys_of(path, recipe, inputs)
    shapes = {name or keys["images"]: shape for name, shape in inputs.items()}
    images = {name: _images(path, name, shape) for name, shape in shapes.items()}
    targets = None
    if kind == "classification":
        labels, class_names = _read_labels(path, keys["labels"], recipe)
    else:
        values = read(path, keys["labels"])
        labels, targets = np.zeros(len(values), np.int32), _matrix(values).astype(np.float32)
        class_names = _other_names(values, keys["labels"], f"`{keys['labels']}` in {path}")[kind]
    for name, array in images.items():
        if len(array) != len(labels):
            raise UsageError(
                f"{path} has {len(array):,} images in `{name}`, "
                f"but {len(labels):,} labels in `{keys['labels']}`"
            )
    groups = None
    if recipe.group is not None:
        _check_has(path, _names(path), recipe.group, " to `group` by")
        groups = _groups(read(path, recipe.group), len(labels), f"`{recipe.group}` in {path}")
    loaded = {
        name: LabelledImages(
            name=f"arrays {path}",
            class_names=class_names,
            labels=labels,
            images=array,
            groups=groups,
            values=measure(array, f"`{name}` in {path}"),
            targets=targets,
        )
        for name, array in images.items()
    }
    return replace(loaded[keys["images"]], inputs=loaded if len(inputs) > 1 else {})


def unlabelled(path: Path) -> NDArray[Any]:
    """Return the array in an .npy file, or the images in an .npz file: its only array, or x."""
    if path.suffix == ".npy":
        if not path.is_file():
            raise missing_file(path)
        return read(path.parent, path.stem)
    names = _names(path)
    keys = names if len(names) == 1 else [key for key in NAMES["images"] if key in names]
    if not keys:
        hint = suggestion("", names, what="it has")
        raise UsageError(f"{path} has no `{'` or `'.join(NAMES['images'])}`; {hint}")
    return read(path, keys[0])


def _images(path: Path, key: str, wanted: Shape) -> NDArray[Any]:
    """Return an array of images, with an axis for the channel."""
    images = read(path, key)
    if _with_channels(images.shape, wanted) != images.shape:
        return images[..., np.newaxis]
    return images


def inputs_of(path: Path, inputs: Mapping[str, Shape]) -> dict[str, NDArray[Any]]:
    """Return the arrays of a network's inputs by name; raise `UsageError` if one is not there."""
    _check_inputs(path, _names(path), inputs)
    return {name: _images(path, name, shape) for name, shape in inputs.items()}


def _check_inputs(path: Path, names: list[str], inputs: Mapping[str, Shape]) -> None:
    for name in inputs:
        _check_has(path, names, name, ", for the input of that name")


def _check_has(path: Path, names: list[str], key: str, what_for: str = "") -> None:
    if key not in names:
        hint = suggestion(key, names, what="it has")
        raise UsageError(f"{path} has no array `{key}`{what_for}; {hint}")


def _with_channels(shape: tuple[int, ...], wanted: Shape) -> tuple[int, ...]:
    """Return a shape with its axis for the channel, which grey images may be stored without."""
    return (*shape, 1) if len(shape) == len(wanted) else shape


def keys_of(
    path: Path, recipe: DataRecipe, inputs: Mapping[str, Shape] | None = None
) -> dict[str, str]:
    """Return the names of the arrays of images and labels; of several inputs, of the first.

    Raises `UsageError` for a file that cannot be read, or has no such arrays.
    """
    names = _names(path)
    keys = {}
    if inputs and len(inputs) > 1:
        _check_inputs(path, names, inputs)
        keys["images"] = next(iter(inputs))
    for role, defaults in NAMES.items():
        if role in keys:
            continue
        given: str | None = getattr(recipe, role)
        key = given or next((name for name in defaults if name in names), None)
        if key is None:
            hint = suggestion("", names, what="it has")
            raise UsageError(
                f"{path} has no `{'` or `'.join(defaults)}`; name the array of {role}: "
                f"`{role}: NAME`; {hint}"
            )
        _check_has(path, names, key)
        keys[role] = key
    return keys


def without_labels(path: Path) -> str:
    """Return what is wrong with a file that is not an .npz, and what to write instead."""
    if path.suffix.lower() != ".npy":
        return "is neither an .npz file nor a folder of .npy files"
    return (
        "is a single array, and labels are needed too: save both in an .npz file, with "
        "`numpy.savez(path, x=images, y=labels)`, or in a folder as x.npy and y.npy"
    )


def _names(path: Path) -> list[str]:
    with _reading(path):
        if path.is_dir():
            return sorted(file.stem for file in path.glob("*.npy"))
        if not path.exists():
            raise missing_file(path)
        if path.suffix.lower() != ".npz":
            raise UsageError(f"{path} {without_labels(path)}")
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        return sorted(name.removesuffix(".npy") for name in names if name.endswith(".npy"))


def _reading(path: Path) -> AbstractContextManager[None]:
    # RuntimeError is for encrypted files, MemoryError and OverflowError for impossible extents.
    damage = (ValueError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, MemoryError)
    return reading(path, *damage, OverflowError, kind="a NumPy file")


def header_of(path: Path, key: str) -> Header:
    """Return the shape and the type of an array, without reading its values."""
    from numpy.lib import format as npy  # noqa: PLC0415

    with _reading(path), ExitStack() as stack:
        if path.is_dir():
            file: Any = stack.enter_context((path / f"{key}.npy").open("rb"))
        else:
            archive = stack.enter_context(zipfile.ZipFile(path))
            file = stack.enter_context(archive.open(f"{key}.npy"))
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(file)
    if dtype.hasobject:
        raise UsageError(
            f"`{key}` in {path} holds Python objects, which archspec does not read; "
            "save an array of numbers, with one shape for all images"
        )
    if not shape:
        raise UsageError(f"`{key}` in {path} is a single value, not one for each image")
    return Header(shape, dtype)


def read(path: Path, key: str) -> NDArray[Any]:
    """Return an array: of an .npz file in memory, of a folder mapped from its .npy file."""
    header = header_of(path, key)
    if path.is_dir():
        with _reading(path / f"{key}.npy"):
            if 0 in header.shape:  # nothing to map
                return np.empty(header.shape, header.dtype)
            return cast("NDArray[Any]", np.load(path / f"{key}.npy", mmap_mode="r"))
    size = header.dtype.itemsize * math.prod(header.shape)
    hint = "; save it as an .npy file in a folder, which is not read into memory"
    check_memory(f"`{key}` in {path}", size, hint)
    with _reading(path), np.load(path, allow_pickle=False) as archive:
        return cast("NDArray[Any]", archive[key])


def _read_labels(
    path: Path, key: str, recipe: DataRecipe
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Return a number from 0 for each example, and the names of the classes."""
    values, where = read(path, key), f"`{key}` in {path}"
    labels, class_names = _labels(values, where)
    least, most = int(labels.min()), int(labels.max())
    if least > 0 and recipe.classes is None:  # names and one-hot rows may lack one by chance
        numbers = sorted(set(labels.tolist()))
        if len(numbers) > MOST_NUMBERS:
            numbers = [*numbers[:2], "...", numbers[-1]]
        raise UsageError(
            f"{where}: labels count from 0, but these are from {least} to {most}; save them as "
            f"`{key} - {least}`, or choose those that occur: "
            f"`classes: [{', '.join(map(str, numbers))}]`"
        )
    return labels, class_names


def _other_names(values: NDArray[Any], key: str, where: str) -> Mapping[TaskKind, tuple[str, ...]]:
    """Return the names of labels and of values, where an array may hold sets of labels or numbers.

    Raises `UsageError` for numbers that are not finite.
    """
    if values.dtype.kind not in "biuf" or values.ndim not in {1, 2} or not values.size:
        return {}
    matrix = _matrix(values)
    numbers = tuple(map(str, range(matrix.shape[1])))
    if ((matrix == 0) | (matrix == 1)).all():
        named = (key,) if len(numbers) == 1 else numbers
        return {"multi_label": named, "regression": named}
    right = (np.abs(matrix) <= np.finfo(np.float32).max).all(axis=1)  # False for NaN
    _check_all(right, values, where, "a finite number")
    names = tuple(f"{key}[{number}]" for number in numbers)
    return {"regression": names if len(names) > 1 else (key,)}


def _matrix(values: NDArray[Any]) -> NDArray[Any]:
    """Return labels as (examples, outputs)."""
    return values[:, None] if values.ndim == 1 else values


def _labels(values: NDArray[Any], where: str) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Return a number from 0 for each example, and the names of the classes.

    `values` are numbers, names (also as bytes, in UTF-8), or one-hot rows.
    """
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if len(values) == 0:
        raise UsageError(f"{where} is empty")
    if values.dtype.kind in "SU" and values.ndim == 1:
        different, numbers = np.unique(values, return_inverse=True)
        names = tuple(_text(name, where) for name in different.tolist())
        check_names(names, where)
        return numbers.astype(np.int32), names
    if values.ndim not in {1, 2} or values.dtype.kind not in "biuf":
        raise UsageError(
            f"{where} must be whole numbers from 0 or names, (n,) or (n, 1), or one-hot rows "
            f"(n, classes), not {values.dtype} of {'x'.join(map(str, values.shape))}"
        )
    if values.ndim == 2:
        right = ((values == 0) | (values == 1)).all(axis=1) & ((values == 1).sum(axis=1) == 1)
        _check_all(right, values, where, "a row with a single 1 and otherwise 0")
        numbers, count = values.argmax(axis=1), values.shape[1]
    else:
        right = (values >= 0) & (values < MOST_CLASSES) & (values == np.floor(values))
        _check_all(right, values, where, f"a whole number from 0 to {MOST_CLASSES - 1:,}")
        numbers = values.astype(np.int64)
        count = int(numbers.max()) + 1
    return numbers.astype(np.int32), tuple(map(str, range(count)))


def _text(name: str | bytes, where: str) -> str:
    """Return a class's name."""
    if isinstance(name, str):
        return name
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{where}: the label {name!r} is not text in UTF-8") from None


def _groups(values: NDArray[Any], count: int, where: str) -> list[str]:
    """Return the group of each image, as text."""
    if values.shape not in {(count,), (count, 1)} or values.dtype.kind not in "biufSU":
        raise UsageError(
            f"{where} must be a number or a name for each of {count:,} images, "
            f"not {values.dtype} of {'x'.join(map(str, values.shape))}"
        )
    return [str(value) for value in values.ravel().tolist()]


def _check_all(right: NDArray[np.bool_], values: NDArray[Any], where: str, what: str) -> None:
    """Raise `UsageError` for the first label that is not `right`."""
    if right.all():
        return
    wrong = int((~right).sum())
    first = int(right.argmin())
    shown = f"{values[first]}"[:60]
    count = f"; {wrong:,} are not" if wrong > 1 else ""
    raise UsageError(f"{where}: the label of image {first} is {shown}, but must be {what}{count}")
