"""CIFAR's binary version, in a folder or in its .tar.gz, which is read without unpacking it.

A record is the label, or for CIFAR-100 the coarse and the fine label, and 3 x 32 x 32 bytes
(A. Krizhevsky, 2009). The version for Python consists of pickles, and reading a pickle runs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from archspec.data import tarfiles
from archspec.data.examples import LabelledImages, Preview
from archspec.data.fileaccess import missing_file, reading
from archspec.data.names import TEST, TRAIN
from archspec.errors import UsageError
from archspec.lazy import np
from archspec.ops.shape import Shape

SHAPE: Final = Shape((32, 32, 3))
MOST_BYTES: Final = 2**28
"""Largest size of a file; CIFAR-100's training images take 154 MB."""


class _BinaryVersion(NamedTuple):
    """The files of a set and their layout."""

    train: tuple[str, ...]
    test: str
    labels: int
    """Bytes before each image, the last of which is the class."""
    archive: str
    folder: str
    pickles: tuple[str, ...]


VERSIONS: Final = {
    "cifar10": _BinaryVersion(
        tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        "test_batch.bin",
        1,
        "cifar-10-binary.tar.gz",
        "cifar-10-batches-bin",
        ("data_batch_1", "cifar-10-batches-py", "cifar-10-python.tar.gz"),
    ),
    "cifar100": _BinaryVersion(
        ("train.bin",),
        "test.bin",
        2,
        "cifar-100-binary.tar.gz",
        "cifar-100-binary",
        ("train", "cifar-100-python", "cifar-100-python.tar.gz"),
    ),
}


def preview_files(path: Path, class_names: tuple[str, ...], name: str) -> Preview:
    """Return the classes and the shape of an image; raise `UsageError` if there are no files."""
    _place(path, name)
    return Preview(class_names, SHAPE)


def load_files(path: Path, class_names: tuple[str, ...], name: str) -> LabelledImages:
    """Return the images and labels in a folder or an archive. Raises `UsageError`."""
    version = VERSIONS[name]
    place = _place(path, name)
    files = (*version.train, version.test)
    contents = dict(_from_archive(place, name) if place.is_file() else _from_folder(place, files))
    if missing := [file for file in files if file not in contents]:
        raise UsageError(f"{place} has no {missing[0]}, which belongs to {name}")
    records = []
    for file in files:
        content = np.frombuffer(contents[file], np.uint8)
        if not len(content) or len(content) % (version.labels + SHAPE.size):
            raise UsageError(
                f"{file} in {place} has {len(content):,} bytes, which is not a multiple of a "
                f"record's {version.labels + SHAPE.size:,}"
            )
        records.append(content.reshape(-1, version.labels + SHAPE.size))
    every = np.concatenate(records)
    labels = every[:, version.labels - 1]
    if labels.max() >= len(class_names):
        raise UsageError(
            f"{place} has the label {labels.max()}, but {name} has {len(class_names)} classes, "
            "from 0"
        )
    parts = [TRAIN] * len(version.train) + [TEST]
    images = every[:, version.labels :].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return LabelledImages(
        name=f"{name} {path}",
        class_names=class_names,
        labels=labels.astype(np.int32),
        images=np.ascontiguousarray(images),
        parts=np.repeat(np.array(parts, np.int8), list(map(len, records))),
    )


def _place(path: Path, name: str) -> Path:
    """Return the folder of the files, or the archive."""
    version = VERSIONS[name]
    if path.is_file():
        return path
    if not path.is_dir():
        raise missing_file(path, "folder or file")
    for folder in (path, path / version.folder):
        if (folder / version.test).is_file():
            return folder
    if (path / version.archive).is_file():
        return path / version.archive
    for pickle in version.pickles:
        if (path / pickle).exists():
            raise _pickled(path / pickle, name)
    raise UsageError(f"{path} has neither {version.archive} nor its {', '.join(version.train)}")


def _pickled(path: Path, name: str) -> UsageError:
    return UsageError(
        f"{path} holds pickles, which archspec does not read: reading a pickle runs it. "
        f"Take the binary version, {VERSIONS[name].archive}"
    )


def _from_folder(folder: Path, files: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    for name in files:
        file = folder / name
        with reading(file):
            if file.is_file():
                if (size := file.stat().st_size) > MOST_BYTES:
                    raise UsageError(f"{file} has {size:,} bytes, more than {MOST_BYTES:,}")
                yield name, file.read_bytes()


def _from_archive(archive: Path, name: str) -> Iterator[tuple[str, bytes]]:
    version = VERSIONS[name]
    for member in tarfiles.members(archive):
        file = PurePosixPath(member.name).name
        if file in (*version.train, version.test):
            yield file, member.read()
        elif file in {"data_batch_1", "train"}:
            raise _pickled(archive, name)
