"""`arrays`: images and labels as NumPy keeps them, in an .npz file or in a directory of .npy files.

An .npz is read into memory, only what is named; an .npy is mapped, and may be larger than that.
Pickles are refused: to read one is to run it.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from archspec.data.classes import check_names
from archspec.data.examples import MOST_CLASSES, LabelledImages, Preview
from archspec.data.pixels import free_memory
from archspec.data.values import measure
from archspec.errors import UsageError, suggestion
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from archspec.data.recipe import DataRecipe

MOST_NUMBERS: Final = 12
"""How many labels a message writes out."""

NAMES: Final = {"images": ("x", "images"), "labels": ("y", "labels")}
"""What arrays are called unless the recipe says."""


class _Header(NamedTuple):
    shape: tuple[int, ...]
    dtype: Any


def preview(recipe: DataRecipe, input_shape: Shape) -> Preview:
    """The classes, and the extent of an image."""
    path = Path(recipe.path or "")
    keys = _keys(path, recipe)
    header = _header(path, keys["images"])
    _, class_names = _read_labels(path, keys["labels"], recipe)
    return Preview(class_names, Shape(_with_channels(header.shape, input_shape)[1:]))


def load(recipe: DataRecipe, input_shape: Shape) -> LabelledImages:
    """The images, of which every value has been looked at, and the labels."""
    import numpy as np  # noqa: PLC0415

    path = Path(recipe.path or "")
    keys = _keys(path, recipe)
    images = read(path, keys["images"])
    if _with_channels(images.shape, input_shape) != images.shape:
        images = images[..., np.newaxis]
    labels, class_names = _read_labels(path, keys["labels"], recipe)
    if len(images) != len(labels):
        raise UsageError(
            f"{path} has {len(images):,} images in `{keys['images']}`, "
            f"but {len(labels):,} labels in `{keys['labels']}`"
        )
    groups = None
    if recipe.group is not None:
        if recipe.group not in (names := _names(path)):
            hint = suggestion(recipe.group, names, what="it has")
            raise UsageError(f"{path} has no array `{recipe.group}` to `group` by; {hint}")
        groups = _groups(read(path, recipe.group), len(images), f"`{recipe.group}` in {path}")
    return LabelledImages(
        name=f"arrays {path}",
        class_names=class_names,
        labels=labels,
        images=images,
        groups=groups,
        values=measure(images, f"`{keys['images']}` in {path}"),
    )


def unlabelled(path: Path) -> NDArray[Any]:
    """The array in an .npy file, or the images in an .npz file: the only array of one, or x."""
    if path.suffix == ".npy":
        if not path.is_file():
            raise UsageError(f"there is no file {path}")
        return read(path.parent, path.stem)
    found = _names(path)
    keys = found if len(found) == 1 else [key for key in NAMES["images"] if key in found]
    if not keys:
        hint = suggestion("", found, what="it has")
        raise UsageError(f"{path} has no `{'` or `'.join(NAMES['images'])}`; {hint}")
    return read(path, keys[0])


def _with_channels(shape: tuple[int, ...], wanted: Shape) -> tuple[int, ...]:
    """Grey images may be stored without an axis for their one channel."""
    return (*shape, 1) if len(shape) == len(wanted) else shape


def _keys(path: Path, recipe: DataRecipe) -> dict[str, str]:
    """What images and labels are called."""
    found = _names(path)
    keys = {}
    for role, defaults in NAMES.items():
        given: str | None = getattr(recipe, role)
        key = given or next((name for name in defaults if name in found), None)
        if key is None:
            hint = suggestion("", found, what="it has")
            raise UsageError(
                f"{path} has no `{'` or `'.join(defaults)}`; say which array is the {role}, "
                f"as `{role}: NAME`; {hint}"
            )
        if key not in found:
            hint = suggestion(key, found, what="it has")
            raise UsageError(f"{path} has no array `{key}`; {hint}")
        keys[role] = key
    return keys


def without_labels(path: Path) -> str:
    """What is wrong with a file that is no .npz, and what would be right."""
    if path.suffix.lower() != ".npy":
        return "is neither an .npz file nor a folder of .npy files"
    return (
        "is a single array, and labels are needed too: save both in an .npz file, as by "
        "`numpy.savez(path, x=images, y=labels)`, or in a folder as x.npy and y.npy"
    )


def _names(path: Path) -> list[str]:
    with _explained(path):
        if path.is_dir():
            return sorted(file.stem for file in path.glob("*.npy"))
        if not path.exists():
            raise UsageError(f"there is no file {path}")
        if path.suffix.lower() != ".npz":
            raise UsageError(f"{path} {without_labels(path)}")
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        return sorted(name.removesuffix(".npy") for name in names if name.endswith(".npy"))


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Make what a file's readers raise an error that says which file."""
    import zlib  # noqa: PLC0415

    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        # RuntimeError: what zipfile says of an encrypted file.
        raise UsageError(f"{path} is damaged, or no file of NumPy's: {error}") from None
    except (NotImplementedError, MemoryError, OverflowError) as error:
        raise UsageError(f"{path} cannot be read: {error or 'too large'}") from None


def _header(path: Path, key: str) -> _Header:
    """The shape and the type of an array, of which nothing more is read."""
    from numpy.lib import format as npy  # noqa: PLC0415

    with _explained(path), ExitStack() as stack:
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
            f"`{key}` in {path} holds Python objects, which are not read; "
            "save an array of numbers, with one shape for all images"
        )
    if not shape:
        raise UsageError(f"`{key}` in {path} is a single value, not one for each image")
    return _Header(shape, dtype)


def read(path: Path, key: str) -> NDArray[Any]:
    """An array of an .npz file, or one that stays in its .npy file."""
    import numpy as np  # noqa: PLC0415

    header = _header(path, key)
    if path.is_dir():
        with _explained(path / f"{key}.npy"):
            if 0 in header.shape:  # nothing to map
                return np.empty(header.shape, header.dtype)
            return cast("NDArray[Any]", np.load(path / f"{key}.npy", mmap_mode="r"))
    size = header.dtype.itemsize
    for extent in header.shape:
        size *= extent
    if size > (free := free_memory()):
        raise UsageError(
            f"`{key}` in {path} takes {size / 2**30:,.1f} GiB, but {free / 2**30:,.1f} GiB of "
            "memory are free; save it as an .npy file, which is read where it lies"
        )
    with _explained(path), np.load(path, allow_pickle=False) as archive:
        return cast("NDArray[Any]", archive[key])


def _read_labels(
    path: Path, key: str, recipe: DataRecipe
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """A number from 0 for each example, and the names of the classes."""
    values, where = read(path, key), f"`{key}` in {path}"
    labels, class_names = _labels(values, where)
    least, most = int(labels.min()), int(labels.max())
    if least > 0 and recipe.classes is None:  # names and one-hot rows may lack one by chance
        raise UsageError(
            f"{where}: labels count from 0, but these are from {least} to {most}, and 0 never "
            f"occurs; save them as `{key} - {least}`, or choose those that occur, as "
            f"`classes: [{_few(sorted(set(labels.tolist())))}]`"
        )
    return labels, class_names


def _few(numbers: list[int]) -> str:
    """All of a few numbers, or the first and the last."""
    if len(numbers) > MOST_NUMBERS:
        return f"{numbers[0]}, {numbers[1]}, ..., {numbers[-1]}"
    return ", ".join(map(str, numbers))


def _labels(values: NDArray[Any], where: str) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """A number from 0 for each example, and the names of the classes.

    From numbers, names (also of bytes, in UTF-8), or a row for each example with a single 1 in it.
    """
    import numpy as np  # noqa: PLC0415

    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if len(values) == 0:
        raise UsageError(f"{where} is empty")
    if values.dtype.kind in "SU" and values.ndim == 1:
        found, numbers = np.unique(values, return_inverse=True)
        names = tuple(_text(name, where) for name in found.tolist())
        check_names(names, where)
        return numbers.astype(np.int32), names
    if values.ndim not in {1, 2} or values.dtype.kind not in "biuf":
        raise UsageError(
            f"{where} must be whole numbers from 0 or names, (n,) or (n, 1), or one-hot rows "
            f"(n, classes), not {values.dtype} of {'x'.join(map(str, values.shape))}"
        )
    if values.ndim == 2:
        right = ((values == 0) | (values == 1)).all(axis=1) & ((values == 1).sum(axis=1) == 1)
        _all_right(right, values, where, "a row with one 1 and else 0")
        numbers, count = values.argmax(axis=1), values.shape[1]
    else:
        right = (values >= 0) & (values < MOST_CLASSES) & (values == np.floor(values))
        _all_right(right, values, where, f"a whole number from 0 to {MOST_CLASSES - 1:,}")
        numbers = values.astype(np.int64)
        count = int(numbers.max()) + 1
    return numbers.astype(np.int32), tuple(map(str, range(count)))


def _text(name: str | bytes, where: str) -> str:
    """A class's name."""
    if isinstance(name, str):
        return name
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{where}: the label {name!r} is not text in UTF-8") from None


def _groups(values: NDArray[Any], count: int, where: str) -> list[str]:
    """The group of each image, as text."""
    if values.shape not in {(count,), (count, 1)} or values.dtype.kind not in "biufSU":
        raise UsageError(
            f"{where} must be a number or a name for each of {count:,} images, "
            f"not {values.dtype} of {'x'.join(map(str, values.shape))}"
        )
    return [str(value) for value in values.ravel().tolist()]


def _all_right(right: NDArray[np.bool_], values: NDArray[Any], where: str, what: str) -> None:
    if right.all():
        return
    wrong = int((~right).sum())
    first = int(right.argmin())
    shown = f"{values[first]}"[:60]
    count = f"; {wrong:,} are not" if wrong > 1 else ""
    raise UsageError(f"{where}: the label of image {first} is {shown}, but must be {what}{count}")
