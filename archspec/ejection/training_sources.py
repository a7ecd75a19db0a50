"""Sources of a recipe's data that a script reads itself, as the lines of its `load_data`.

What a script cannot find out by itself is looked up in the data when it is written: which columns
of a table are meant, and which files of a folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from archspec.data import idx, table
from archspec.data.examples import Preview
from archspec.data.names import TEST, TRAIN, VALIDATION
from archspec.data.recipe import DataRecipe
from archspec.data.task import TaskKind
from archspec.ejection.layout import Brackets, Code, Joined, unindented
from archspec.ejection.python import literal
from archspec.ops.shape import Shape

OWN: Final = {VALIDATION: "x_val, y_val", TEST: "x_test, y_test"}
"""Variables of the parts that a source has itself."""


@dataclass
class Reading:
    """Lines that give `images` and `labels`, and the parts that a source has itself."""

    about: str
    lines: list[str]
    own: dict[int, str] = field(default_factory=dict)
    """The variables of each part beside `images` and `labels`, to train on."""
    parts: set[str] = field(default_factory=set)
    """Definitions in `training_parts.py` that the lines use."""
    is_files: bool = False
    """Whether `images` are paths of files, or their contents."""
    notes: list[str] = field(default_factory=list)
    """Sentences about what the lines read that may not be meant."""


def read_table(data: DataRecipe, shape: Shape, kind: TaskKind, preview: Preview) -> Reading | None:
    """Return the lines that read a CSV file; None for one that they cannot read.

    Args:
        data: The recipe's data.
        shape: The network's input: a vector of features, or images.
        kind: The task that the labels are for.
        preview: The table's facts.
    """
    how = table.reading_of(data, shape)
    if how is None or data.separator is not None:
        return None
    call = Brackets(
        "read_table(",
        ["Path(DATA)", f"delimiter={literal(how.delimiter)}", f"encoding={literal(how.encoding)}"],
    )
    result = unindented(Joined(["table = ", call]))
    if how.has_gaps:
        result.append(f"table = [row for row in table if row[{literal(how.labels[0])}]]")
    what = "rows of a table"
    if how.image is not None:
        what = "files of images that a table names"
        folder = how.folder.relative_to(Path(str(data.path)).parent)
        beside = "".join(f" / {literal(each)}" for each in folder.parts)
        name = f"row[{literal(how.image)}]"
        file = f'f"{{{name.replace(chr(34), chr(39))}}}{how.suffix}"' if how.suffix else name
        result += [
            f"folder = Path(DATA).parent{beside}",
            f"images = np.array([str(folder / {file}) for row in table])",
        ]
    else:
        number = "number" if how.has_words else "float"
        result += [
            *_columns("features", how.features),
            f"images = [[{number}(row[name]) for name in features] for row in table]",
            'images = np.array(images, "float32")',
        ]
    result += _labels(how, kind, preview)
    reading = Reading(
        f"Return the {what} with their labels.",
        result,
        parts={"read_table", *(["number"] if how.has_words else [])},
        is_files=how.image is not None,
    )
    if len({*how.parts.values()}) > 1:
        _divide(reading, how)
    return reading


def _divide(reading: Reading, how: table.Reading) -> None:
    """Add the lines that put rows into the parts that a column names."""
    reading.lines.append(f"words = np.array([row[{literal(how.split)}].lower() for row in table])")
    reading.own = {part: pair for part, pair in OWN.items() if part in how.parts.values()}
    for part, pair in (*reading.own.items(), (TRAIN, "images, labels")):
        words = sorted(word for word, each in how.parts.items() if each == part)
        is_one = f"words == {literal(words[0])}"
        several = f"np.isin(words, [{', '.join(map(literal, words))}])"
        reading.lines += [
            f"chosen = {is_one if len(words) == 1 else several}",
            f"{pair} = images[chosen], labels[chosen]",
        ]


def _columns(name: str, columns: Sequence[str]) -> list[str]:
    items: list[Code] = [literal(each) for each in columns]
    return unindented(Brackets(f"{name} = [", items, "]"))


def _labels(how: table.Reading, kind: TaskKind, preview: Preview) -> list[str]:
    """Return the lines that read labels: numbers of classes, or rows of numbers."""
    if kind != "classification":
        return [
            *_columns("outputs", preview.names[kind]),
            "labels = [[float(row[name]) for name in outputs] for row in table]",
            'labels = np.array(labels, "float32")',
        ]
    if len(how.labels) > 1:
        return [
            *_columns("classes", preview.class_names),
            "labels = [[float(row[name]) for name in classes] for row in table]",
            "labels = np.argmax(labels, axis=1)",
        ]
    cell = f"row[{literal(how.labels[0])}]"
    if all(name.isdigit() for name in preview.class_names):
        is_plain = all(each.isdigit() for each in how.cells)
        cell = f"int({cell})" if is_plain else f"int(float({cell}))"
    return [
        f"labels = [{cell} for row in table]",
        "labels = np.unique(labels, return_inverse=True)[1]  # in the order of classes",
    ]


def read_idx(data: DataRecipe, preview: Preview | None) -> Reading:
    """Return the lines that read images and labels in MNIST's format.

    Args:
        data: The recipe's data.
        preview: The facts of the files; None where they are not here: MNIST's names are taken.
    """
    pairs: Sequence[idx.Pair] = (
        idx.Pair(Path("train-images-idx3-ubyte"), Path("train-labels-idx1-ubyte"), TRAIN),
        idx.Pair(Path("t10k-images-idx3-ubyte"), Path("t10k-labels-idx1-ubyte"), TEST),
    )
    channels = 1
    if preview is not None and preview.shape is not None:
        pairs, channels = idx.pairs_in(Path(str(data.path))), preview.shape[-1]
    axis = "[..., None]" if channels == 1 else ""
    result = ["folder = Path(DATA)"]
    own = {}
    names = {TRAIN: "images, labels", **OWN}
    for pair in pairs:
        images, labels = names[pair.part].split(", ")
        result += [
            f"{images} = read_idx(folder / {literal(pair.images.name)}){axis}",
            f"{labels} = read_idx(folder / {literal(pair.labels.name)}).astype(int)",
        ]
        if pair.part != TRAIN:
            own[pair.part] = names[pair.part]
    known = preview.class_names if preview else ()
    if [*known] != [str(n) for n in range(len(known))]:
        each = [names[pair.part].split(", ")[1] for pair in pairs]
        result.append(f"classes = np.unique(np.concatenate([{', '.join(each)}]))")
        result += [f"{label} = np.searchsorted(classes, {label})" for label in each]
    about = "Return the images and labels of a folder of IDX files."
    notes = ["The folder was not there: `load_data` reads MNIST's files."]
    return Reading(about, result, own, {"read_idx"}, notes=notes if preview is None else [])


def read_tfds() -> Reading:
    """Return the lines that read a data set of TensorFlow Datasets."""
    call = Brackets("tfds.data_source(", ["DATA", 'decoders={"image": tfds.decode.SkipDecoding()}'])
    result = [
        *unindented(Joined(["splits = ", call])),
        'images, labels = read_examples(splits["train"])',
        'x_test, y_test = read_examples(splits["test"])',
    ]
    about = "Return the encoded images of a data set with their classes."
    notes = ["`load_data` reads the splits train and test."]
    return Reading(about, result, {TEST: OWN[TEST]}, {"read_examples"}, True, notes)
