"""CIFAR's binary version, in a folder or in its .tar.gz, which is not unpacked.

A record is the label, or of CIFAR-100 the coarse and the fine label, and 3 x 32 x 32 bytes
(A. Krizhevsky, 2009). The version for Python consists of pickles: to read one is to run it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from archspec.data import tarfiles
from archspec.data.examples import TEST, TRAIN, LabelledImages, Preview
from archspec.errors import UsageError
from archspec.ops.shape import Shape

SHAPE: Final = Shape((32, 32, 3))
MOST_BYTES: Final = 2**28
"""Of a file; CIFAR-100 has 154 MB to train on."""


class _BinaryVersion(NamedTuple):
    train: tuple[str, ...]
    test: tuple[str, ...]
    names: str
    """The file of the classes' names, one a line."""
    labels: int
    """Bytes before each image, the last of which is the class."""
    archive: str
    folder: str
    pickles: tuple[str, ...]


LAYOUTS: Final = {
    "cifar10": _BinaryVersion(
        tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        ("test_batch.bin",),
        "batches.meta.txt",
        1,
        "cifar-10-binary.tar.gz",
        "cifar-10-batches-bin",
        ("data_batch_1", "cifar-10-batches-py", "cifar-10-python.tar.gz"),
    ),
    "cifar100": _BinaryVersion(
        ("train.bin",),
        ("test.bin",),
        "fine_label_names.txt",
        2,
        "cifar-100-binary.tar.gz",
        "cifar-100-binary",
        ("train", "cifar-100-python", "cifar-100-python.tar.gz"),
    ),
}


def preview_of(path: Path, class_names: tuple[str, ...], name: str) -> Preview:
    """The classes, and the extent of an image; raises `UsageError` where there are no files."""
    _place(path, name)
    return Preview(class_names, SHAPE)


def loaded(path: Path, class_names: tuple[str, ...], name: str) -> LabelledImages:
    """The images and labels in a folder or an archive. Raises `UsageError`."""
    import numpy as np  # noqa: PLC0415

    layout = LAYOUTS[name]
    place = _place(path, name)
    wanted = (*layout.train, *layout.test)
    contents = dict(_packed(place, wanted) if place.is_file() else _unpacked(place, wanted))
    if missing := [each for each in wanted if each not in contents]:
        raise UsageError(f"{place} has no {missing[0]}, which belongs to {name}")
    records = []
    for file in wanted:
        content = np.frombuffer(contents[file], np.uint8)
        if not len(content) or len(content) % (layout.labels + SHAPE.size):
            raise UsageError(
                f"{file} in {place} has {len(content):,} bytes, which are no records of "
                f"{layout.labels + SHAPE.size:,}"
            )
        records.append(content.reshape(-1, layout.labels + SHAPE.size))
    every = np.concatenate(records)
    labels = every[:, layout.labels - 1]
    if labels.max() >= len(class_names):
        raise UsageError(f"{place} has the label {labels.max()}: {name} has {len(class_names)}")
    parts = [TRAIN] * len(layout.train) + [TEST] * len(layout.test)
    images = every[:, layout.labels :].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return LabelledImages(
        name=f"{name} {path}",
        class_names=class_names,
        labels=labels.astype(np.int32),
        images=np.ascontiguousarray(images),
        parts=np.repeat(np.array(parts, np.int8), [len(each) for each in records]),
    )


def _place(path: Path, name: str) -> Path:
    """The folder of the files, or the archive."""
    layout = LAYOUTS[name]
    if path.is_file():
        return path
    if not path.is_dir():
        raise UsageError(f"there is no folder or file {path}")
    for folder in (path, path / layout.folder):
        if (folder / layout.test[0]).is_file():
            return folder
    if (path / layout.archive).is_file():
        return path / layout.archive
    for pickle in layout.pickles:
        if (path / pickle).exists():
            raise UsageError(
                f"{path / pickle} holds pickles, which are not read: to read one is to run it. "
                f"Take the binary version, {layout.archive}"
            )
    raise UsageError(f"{path} has neither {layout.archive} nor its {', '.join(layout.train)}")


def _unpacked(folder: Path, wanted: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    for name in wanted:
        file = folder / name
        try:
            if file.is_file():
                if (size := file.stat().st_size) > MOST_BYTES:
                    raise UsageError(f"{file} has {size:,} bytes, more than {MOST_BYTES:,}")
                yield name, file.read_bytes()
        except OSError as error:
            raise UsageError(f"cannot read {file}: {error.strerror}") from None


def _packed(archive: Path, wanted: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    for member in tarfiles.members(archive):
        name = PurePosixPath(member.name).name
        if name in wanted:
            yield name, member.read()
        elif name in {"data_batch_1", "train"}:
            raise UsageError(
                f"{archive} holds pickles, which are not read: to read one is to run it. "
                "Take the binary version of CIFAR"
            )
