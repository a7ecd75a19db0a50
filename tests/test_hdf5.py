"""HDF5 files, read by archspec and by h5py: the same names, shapes, types and values."""

import contextlib
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import h5py
import numpy as np
import pytest
from support.broken_files import changed, files
from support.commands import imported_by

from archspec.errors import UsageError
from archspec.imports.hdf5 import Dataset, Group, open_hdf5
from archspec.imports.limits import MOST_GROUPS, DamagedModelError


def attributes(item: Any) -> dict[str, Any]:
    """The attributes that h5py reads, in Python's own types."""
    return {name: plain(value) for name, value in item.attrs.items()}


def plain(value: Any) -> Any:
    if isinstance(value, h5py.Empty):
        return None
    if isinstance(value, np.ndarray):
        return [plain(each) for each in value.ravel()]
    if isinstance(value, np.void):
        return bytes(value).rstrip(b"\0")
    return value.item() if isinstance(value, np.generic) else value


def agree(theirs: Any, ours: Group | Dataset) -> None:
    """Hold that h5py and archspec read the same, here and below."""
    assert theirs.name == ours.name
    assert attributes(theirs) == dict(ours.attrs)
    if isinstance(theirs, h5py.Dataset):
        assert isinstance(ours, Dataset)
        assert (theirs.shape, theirs.dtype.str) == (ours.shape, ours.dtype)
        assert np.asarray(theirs[()]).tobytes() == ours[()].tobytes()
        return
    assert isinstance(ours, Group)
    assert list(theirs) == list(ours)
    for name in theirs:
        agree(theirs[name], ours[name])


def agree_on(content: bytes) -> None:
    """Hold that h5py and archspec read the same in a whole file."""
    shapes = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            shapes[name] = item.shape

    with h5py.File(io.BytesIO(content), "r") as theirs:
        theirs.visititems(visit)
        ours = opened(content)
        assert ours.shapes() == shapes
        agree(theirs, ours)


def opened(content: bytes) -> Group:
    return open_hdf5(io.BytesIO(content), len(content), "net.h5")


def keras_files() -> Iterator[tuple[str, bytes]]:
    """The name and the HDF5 of each of the tests' Keras files."""
    for path in files():
        content = path.read_bytes()
        if content.startswith(b"\x89HDF"):
            yield path.name, content
        elif path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                yield path.name, archive.read("model.weights.h5")


KERAS = dict(keras_files())


@pytest.mark.parametrize("name", KERAS)
def test_files_of_keras_are_read_as_by_h5py(name):
    agree_on(KERAS[name])


def made(write: Callable[[h5py.File], None], **options: Any) -> bytes:
    """The bytes of a file that h5py writes."""
    target = io.BytesIO()
    with h5py.File(target, "w", **options) as file:
        write(file)
    return target.getvalue()


def numbers(file: h5py.File) -> None:
    for dtype in ("i1", "<i2", ">i4", "i8", "u1", "u2", "u4", ">u8", "f2", "<f4", ">f8", "?", "V2"):
        file[f"of {dtype}"] = np.arange(6).reshape(2, 3).astype("u1").astype(dtype)
    file["scalar"] = np.float32(3.5)
    file["strings"] = np.array([b"ab", b"", b"cde"])
    file["empty"] = np.zeros((0, 4), "f4")


def attributes_of_every_kind(file: h5py.File) -> None:
    values = {
        "text": "ä text", "nothing": "", "bytes": np.bytes_(b"abc"), "number": 3, "real": 2.5,
        "half": np.float16(0.5), "big": np.array([1, 2], ">i4"), "truth": True,
        "truths": np.array([True, False]), "table": np.arange(6.0).reshape(2, 3),
        "names": ["a", "", "ccc"], "fixed": np.array([b"a", b"bb"]), "none": h5py.Empty("f4"),
        "no names": np.array([], "S1"), "opaque": np.void(b"ab"),
    }  # fmt: skip
    for name, value in values.items():
        file.attrs[name] = value
    file.create_group("inside").attrs.update(values)


def many_attributes(file: h5py.File) -> None:
    for number in range(300):
        file.attrs[f"attribute {number}"] = [f"value {number}"] * (number % 5)


def long_lists(file: h5py.File) -> None:
    """What Keras does with 3,000 layers' names, which HDF5 has no room for in one attribute."""
    names = [f"a_layer_with_a_long_name_{number}".encode() for number in range(3000)]
    for number, piece in enumerate(np.array_split(np.array(names), 8)):
        file.attrs[f"layer_names{number}"] = piece
    file.attrs["model_config"] = '{"a": "%s"}' % ("x" * 300_000)


def nested_groups(file: h5py.File) -> None:
    group: Any = file
    for number in range(MOST_GROUPS - 1):
        group = group.create_group(f"level {number}")
        group["kernel:0"] = np.full((2,), number)


def many_groups(file: h5py.File) -> None:
    for number in range(2000):
        group = file.create_group(f"group/a layer called {number}")
        if number % 100 == 0:
            group["kernel"] = np.full((number // 100,), number, "f4")


def ordered(file: h5py.File) -> None:
    group = file.create_group("ordered", track_order=True)
    for number in (3, 1, 2):
        group[f"array {number}"] = number
    for number in range(20):
        group.create_group(f"group {number}")


def two_names(file: h5py.File) -> None:
    file["a/b"] = np.arange(3)
    file["c"] = file["a/b"]
    file["a/itself"] = file["a"]
    assert file["a/itself/itself/b"].shape == (3,)
    del file["a/itself"]


def chunked(file: h5py.File) -> None:
    values = np.arange(1000.0).reshape(20, 50)
    create = file.create_dataset
    create("plain", data=values, chunks=(6, 7))
    create("one", data=values, chunks=(20, 50))
    create("compressed one", data=values, chunks=(20, 50), compression="gzip")


def compressed(file: h5py.File) -> None:
    values = np.arange(1000.0).reshape(20, 50)
    create = file.create_dataset
    create("gzip", data=values, chunks=(6, 7), compression="gzip")
    create("shuffled", data=values, chunks=(7, 9), compression="gzip", shuffle=True)
    create("checked", data=values, chunks=(5, 50), fletcher32=True)
    create("all", data=values, chunks=(5, 50), fletcher32=True, compression=9, shuffle=True)
    create("grown", data=values, chunks=(8, 8), maxshape=(None, None), compression="gzip")
    file["grown"].resize((25, 30))
    create("large", data=np.zeros((2, 3, 70_000), "f2"), compression="gzip")


def compact(file: h5py.File) -> None:
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple((3,))
    array = h5py.h5d.create(file.id, b"compact", h5py.h5t.IEEE_F32LE, space, properties)
    array.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(3, dtype="f4"))


WRITERS = (
    numbers, attributes_of_every_kind, many_attributes, long_lists, nested_groups, many_groups,
    ordered, two_names, compact,
)  # fmt: skip


@pytest.mark.parametrize("libver", ["earliest", "v108", "latest"])
@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_what_h5py_writes_is_read_as_by_h5py(write, libver):
    agree_on(made(write, libver=libver))


@pytest.mark.parametrize("write", [chunked, compressed], ids=lambda write: write.__name__)
def test_chunks_are_read_as_by_h5py(write):
    agree_on(made(write))


def test_order_of_creation_is_kept_in_a_file_that_keeps_it():
    agree_on(made(many_attributes, track_order=True))
    agree_on(made(many_groups, track_order=True))


@pytest.mark.parametrize("size", [70_000, 300_000])
def test_an_attribute_that_is_larger_than_a_header_is_read(size):
    agree_on(made(lambda file: file.attrs.update(a=np.arange(size // 4)), libver="latest"))


def test_chunks_of_the_latest_format_have_shapes_and_one_chunk_has_values():
    content = made(chunked, libver="latest")
    ours = opened(content)
    assert set(ours.shapes().values()) == {(20, 50)}
    values = np.arange(1000.0).reshape(20, 50)
    assert np.array_equal(ours["one"][()], values)
    assert np.array_equal(ours["compressed one"][()], values)
    with pytest.raises(UsageError, match="cut into chunks, in a way that archspec does not read"):
        ours["plain"][()]


# What is refused


def test_a_file_that_is_cut_anywhere_is_refused_or_read():
    content = made(attributes_of_every_kind)
    for size in range(0, len(content), 7):
        with contextlib.suppress(DamagedModelError):
            dict(opened(content[:size]).attrs)
            opened(content[:size]).shapes()


def read_all(item: Group | Dataset) -> None:
    """Read all attributes and values, here and below."""
    dict(item.attrs)
    if isinstance(item, Dataset):
        item[()]
        return
    for name in item:
        read_all(item[name])


@pytest.mark.parametrize("write", [*WRITERS, chunked, compressed], ids=lambda w: w.__name__)
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_a_file_that_is_changed_anywhere_is_refused_or_read(write, libver):
    content = made(write, libver=libver)
    for number in range(20):
        with contextlib.suppress(UsageError):
            root = opened(changed(content, Random(number)))  # noqa: S311
            root.shapes()
            read_all(root)


def pointing(content: bytes, at: int, address: int) -> bytes:
    """A file in which another address stands at a place."""
    return content[:at] + address.to_bytes(8, "little") + content[at + 8 :]


def test_a_tree_that_is_in_itself_is_refused():
    content = made(many_groups)
    place = content.index(b"TREE\0\1")  # of the second level
    with pytest.raises(UsageError, match="a tree in its HDF5 is not as HDF5 writes it"):
        opened(pointing(content, place + 32, place)).shapes()


def test_a_part_outside_of_the_file_is_refused():
    content = made(many_groups)
    with pytest.raises(UsageError, match="refers to a part that it does not have"):
        opened(pointing(content, content.index(b"HEAP") + 24, len(content))).shapes()


def test_extents_beside_one_of_zero_are_bounded():
    content = made(numbers)
    extents = (0).to_bytes(8, "little") + (4).to_bytes(8, "little")
    array = opened(pointing(content, content.index(extents) + 8, 2**62))["empty"]
    assert isinstance(array, Dataset)
    assert array.shape == (0, 2**62)
    with pytest.raises(UsageError, match="empty has extents that no array has"):
        array[()]


def test_texts_that_are_read_again_and_again_are_refused():
    content = made(long_lists)
    attrs = opened(content).attrs
    with pytest.raises(UsageError, match="refer to each other without end"):
        all(attrs["model_config"] for _ in range(1000))


def test_neither_h5py_nor_numpy_is_imported_to_read_shapes(tmp_path):
    path = tmp_path / "net.h5"
    path.write_bytes(made(numbers))
    code = (
        "from archspec.imports.hdf5 import open_hdf5\n"
        f"with open({str(path)!r}, 'rb') as stream:\n"
        f"    assert open_hdf5(stream, {path.stat().st_size}, 'net.h5').shapes()\n"
    )
    assert not {"h5py", "numpy"} & imported_by(code)


def test_values_are_read_from_a_file_of_any_path(tmp_path):
    path = Path(tmp_path, "net.h5")
    path.write_bytes(made(numbers))
    with path.open("rb") as stream:
        root = open_hdf5(stream, path.stat().st_size, path)
        assert root["scalar"][()] == 3.5
        assert "no/such" not in root
        assert root.get("no") is None
