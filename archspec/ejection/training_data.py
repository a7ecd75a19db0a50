"""A recipe's `data` and `augment` as lines of a training script.

What the lines draw at random is what `archspec fit` draws: images are split, put in order and
changed by NumPy's generators, seeded in the same way (`training.feeding`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from archspec.data import arrays, idx
from archspec.data.augment import Augmentation
from archspec.data.augment.colour import ColorJitter
from archspec.data.augment.geometry import (
    Flip,
    RandomCrop,
    RandomResizedCrop,
    Rotation,
    Shift,
)
from archspec.data.augment.mixing import CutMix, Mixup
from archspec.data.augment.noise import GaussianNoise, RandomErasing
from archspec.data.dataset import SMALL_BYTES
from archspec.data.examples import Preview
from archspec.data.names import PARTS, TEST, TRAIN, VALIDATION
from archspec.data.preprocessing import CAFFE_MEAN, MEASURED, NEEDS_RANGE, TORCH
from archspec.data.sources import SOURCES
from archspec.data.task import TaskKind
from archspec.data.values import LEVELS
from archspec.ejection.layout import INDENT, Brackets, Code, indented, lines, unindented
from archspec.ejection.python import literal
from archspec.ejection.training_sources import OWN, Reading, read_idx, read_table, read_tfds
from archspec.errors import ArchspecError, listed
from archspec.ops.shape import Shape
from archspec.recipe.train import Recipe

FILLS: Final = {"zero": "constant", "reflect": "reflect", "edge": "edge"}
"""NumPy's words for the content of places that an augmentation uncovers."""

KERAS_SETS: Final = {
    "mnist": 70_000,
    "fashion_mnist": 70_000,
    "cifar10": 60_000,
    "cifar100": 60_000,
}
"""Sources that Keras downloads, with the number of their images."""

DATA_FILES: Final = {
    "arrays": "the .npz file",
    "folder": "the folder of images",
    "idx": "the folder of IDX files",
    "table": "the table",
}
"""Descriptions of what `DATA` names in a script, by source."""


PILLOW: Final = (
    "Pillow alone reads the files: pixels differ where archspec decodes a large JPEG at a "
    "smaller size, puts white behind transparent pixels, or reads more than 8 bits."
)
"""Note of a script that reads files of images."""


BATCHES: Final = '''\
class Batches(keras.utils.PyDataset):
    """Batches of {first}, with their labels.

    Those to train on come in a new order in each epoch{changed}.
    """
{outputs}
    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        mean: np.ndarray | float,
        deviation: np.ndarray | float,
        *,
        training: bool = False,
    ) -> None:
        super().__init__()
        self.images = images
        self.labels = labels
        self.mean = np.float32(mean)
        self.deviation = np.float32(deviation)
        self.training = training
{weights}        self.begin(epoch=1)

    def __len__(self) -> int:
        return math.ceil(len(self.images) / BATCH)

    def __getitem__(self, index: int) -> {result}:
{body}
    def begin(self, epoch: int) -> None:
        """Put the images in the order of an epoch, counted from 1."""
        self.epoch = epoch
        self.order = np.arange(len(self.images))
        if self.training:
            random = np.random.default_rng((SEED, epoch, 0))
            self.order = random.permutation(len(self.images))
'''
"""The class that makes batches."""


@dataclass
class DataLines:
    """The lines that read images, split them and make batches of them."""

    recipe: Recipe
    shape: Shape
    """The network's input."""
    outputs: tuple[str, ...]
    """Names of the network's outputs."""
    kind: TaskKind
    one_hot: bool
    """Whether the number of a class becomes a vector."""
    classes: int
    """Values of the main output."""
    preview: Preview | None
    """The data's facts; None where the data are not here."""
    absence: str = ""
    """Why there are no facts."""
    parts: set[str] = field(default_factory=set)
    """Names of definitions in `training_parts.py` that the lines use."""
    imports: set[str] = field(default_factory=lambda: {"import math", "import numpy as np"})
    notes: list[str] = field(default_factory=list)
    """Sentences about what the script does not do as `archspec fit` does."""

    def __post_init__(self) -> None:
        self.source = self.recipe.data.source
        self.is_files = False
        self.white = self._white()
        self.mixes = any(each.mixes_labels for each in self.recipe.augment)

    @property
    def constants(self) -> list[str]:
        """Lines of the module's constants."""
        data = self.recipe.data
        if self.source == "tfds":
            return [f"DATA = {literal(data.name)}"]
        return [f"DATA = {literal(data.path)}"] if self.source in DATA_FILES else []

    def lines(self) -> list[str]:
        """Return the lines of all functions and classes of data."""
        result = ["Arrays = tuple[np.ndarray, np.ndarray]", "", "", *self._load()]
        if self.is_files:
            result += ["", "", *self._read_images()]
        if self.recipe.augment:
            result += ["", "", *self._augment()]
        return self._worded([*result, "", "", *self._batches()])

    def _worded(self, lines: list[str]) -> list[str]:
        """Return lines with another word for examples that are not images."""
        if self.source != "table" or self.shape.rank:
            return lines
        return [re.sub(r"\bimages\b", "rows", line) for line in lines]

    def prepared(self) -> list[str]:
        """Return the lines that make batches, in the function that trains."""
        scale = self._scale()
        names = [("train", "x, y"), ("validation", "x_val, y_val"), ("test", "x_test, y_test")]
        data = self.recipe.data
        wanted = {"train": True, "validation": bool(data.validation), "test": bool(data.test)}
        used = [f"({pair})" if wanted[name] else "_" for name, pair in names]
        result = [f"{', '.join(used)} = load_data()", *scale]
        for name, pair in names:
            if wanted[name]:
                more = ", training=True" if name == "train" else ""
                result.append(f"{name} = Batches({pair}, mean, deviation{more})")
        return result

    # Reading.

    def _load(self) -> list[str]:
        reading = self._reading()
        if reading is None:
            return self._unwritten()
        self.parts |= reading.parts
        self.is_files = reading.is_files
        self.notes += [*([PILLOW] if self.is_files else []), *reading.notes]
        head = self._missing() if self.source in DATA_FILES else []
        return [
            "def load_data() -> list[Arrays]:",
            f'{INDENT}"""{reading.about}',
            "",
            f"{INDENT}Those to train on come first, then those to validate and to test.",
            f'{INDENT}"""',
            *indented([*head, *reading.lines, *self._split(reading.own)]),
        ]

    def _reading(self) -> Reading | None:
        """Return the lines that read images and labels; None where a script cannot read them."""
        data = self.recipe.data
        match self.source:
            case "digits":
                self.imports.add("from sklearn.datasets import load_digits")
                body = [
                    "digits = load_digits()",
                    'images = digits.images[..., None].astype("float32")',
                    "labels = digits.target",
                    *self._channels("images", 1),
                ]
                return Reading("Return 1,797 handwritten digits with their classes.", body)
            case "arrays" if str(data.path).lower().endswith(".npz"):
                return Reading("Return the images of a file with their labels.", self._arrays())
            case "folder":
                return self._folder()
            case "idx":
                reading = read_idx(data, self.preview)
                shape = self.preview.shape if self.preview else None
                for pair in ("images, labels", *reading.own.values()):
                    name = pair.split(", ")[0]
                    reading.lines += self._channels(name, shape[-1] if shape else 1)
                return reading
            case "tfds":
                self.imports |= {"import io", "import tensorflow_datasets as tfds"}
                return read_tfds()
            case "table" if self.preview is not None:
                return read_table(data, self.shape, self.kind, self.preview)
            case _ if self.source in KERAS_SETS and data.path is None:
                return self._of_keras()
        return None

    def _of_keras(self) -> Reading:
        """Return the lines that read a data set of Keras's."""
        body = [f"(images, labels), (x_test, y_test) = keras.datasets.{self.source}.load_data()"]
        grey = not self.source.startswith("cifar")
        if grey:
            body.append("images, x_test = images[..., None], x_test[..., None]")
        else:
            body.append("labels, y_test = labels.ravel(), y_test.ravel()")
        for name in ("images", "x_test"):
            body += self._channels(name, 1 if grey else 3)
        about = f"Return the images and classes of {self.source}."
        return Reading(about, body, {TEST: OWN[TEST]})

    def _unwritten(self) -> list[str]:
        self.notes.append(
            f"Data of the source `{self.source}` are read by archspec alone: `load_data` is to be "
            "written."
            if self.source != "table" or self.preview
            else f"`load_data` is to be written, as the table was not read: {self.absence}."
        )
        rows = {
            "classification": (
                f"one-hot rows of {self.classes:,} numbers"
                if self.one_hot
                else "the number of each image's class"
            ),
            "multi_label": f"rows of {self.classes:,} times 0 or 1",
            "regression": f"rows of {self.classes:,} numbers",
        }[self.kind]
        shape = ", ".join(str(each) for each in self.shape)
        text = f"return images, (count, {shape}), with labels: {rows}"
        return [
            "def load_data() -> list[Arrays]:",
            f'{INDENT}"""Return examples to train on, to validate and to test."""',
            *lines(Brackets("raise NotImplementedError(", [literal(text)], comma=False), 1),
        ]

    def _missing(self) -> list[str]:
        """Return the lines that say which file or folder is not there."""
        self.imports.add("from pathlib import Path")
        what = DATA_FILES[self.source]
        return [
            "if not Path(DATA).exists():",
            f'{INDENT}raise FileNotFoundError(f"there is no {{DATA}}: set DATA to {what}")',
        ]

    def _channels(self, name: str, own: int, *, is_bytes: bool = True) -> list[str]:
        """Return the lines that give images the channels of the network's input."""
        wanted = self.shape[-1]
        if own == wanted or not self.shape.rank:
            return []
        if own == 1:
            return [f"{name} = np.repeat({name}, {wanted}, axis=-1)"]
        grey = f"{name} @ np.float32([[0.299], [0.587], [0.114]])"
        return [f'{name} = np.rint({grey}).astype("uint8")' if is_bytes else f"{name} = {grey}"]

    def _arrays(self) -> list[str]:
        path = Path(str(self.recipe.data.path))
        data = self.recipe.data
        images, labels = data.image_name or "x", data.label_name or "y"
        numbers = "labels.ravel().astype(int)"
        if self.preview is None:
            self.notes.append(
                f"The file was not there: `load_data` reads `{images}` and `{labels}` of it, and "
                "takes labels for whole numbers from 0."
            )
        else:
            keys = arrays.keys_of(path, data)
            images, labels = keys["images"], keys["labels"]
            values = arrays.read(path, labels)
            if values.dtype.kind in "SU":
                numbers = "np.unique(labels, return_inverse=True)[1]"
            elif values.ndim == 2 and values.shape[1] > 1:
                numbers = "labels.argmax(axis=1)"
        read = f"file[{literal(labels)}]"
        body = [
            "with np.load(DATA) as file:",
            f"{INDENT}images, labels = file[{literal(images)}], {read}",
        ]
        body += ["if images.dtype != np.uint8:", f'{INDENT}images = images.astype("float32")']
        if self.shape.rank == 2:
            body += ["if images.ndim == 3:", f"{INDENT}images = images[..., None]"]
            own = self.preview.shape if self.preview else None
            if own is not None:
                is_bytes = self._stored().dtype == "uint8"
                body += self._channels("images", own[-1], is_bytes=is_bytes)
        if self.kind != "classification":
            numbers = 'labels.reshape(len(labels), -1).astype("float32")'
        return [*body, f"labels = {numbers}"]

    def _stored(self) -> arrays.Header:
        """Return the shape and the type of a file's images."""
        path = Path(str(self.recipe.data.path))
        return arrays.header_of(path, arrays.keys_of(path, self.recipe.data)["images"])

    def _folder(self) -> Reading:
        reading = Reading(
            "Return the files of images in a folder for each class.",
            ["folder = Path(DATA)"],
            parts={"class_names", "read_folder"},
            is_files=True,
        )
        root = Path(str(self.recipe.data.path))
        inner = [each.name for each in root.iterdir() if each.is_dir()] if root.is_dir() else []
        found = sorted(name for name in inner if name[0] != ".")
        parts = {PARTS[name.lower()]: name for name in found if name.lower() in PARTS}
        classes = "classes = class_names({})"
        if TRAIN not in parts or len(parts) < len(found):
            read = "images, labels = read_folder(folder, classes)"
            reading.lines += [classes.format("folder"), read]
            return reading
        reading.lines += [
            f"training = folder / {literal(parts[TRAIN])}",
            classes.format("training"),
            "images, labels = read_folder(training, classes)",
        ]
        reading.own = {part: pair for part, pair in OWN.items() if part in parts}
        for part, pair in reading.own.items():
            reading.lines.append(f"{pair} = read_folder(folder / {literal(parts[part])}, classes)")
        return reading

    def _split(self, own: Mapping[int, str]) -> list[str]:
        """Return the lines that split examples; parts that the source has stay as they are."""
        data = self.recipe.data
        self.parts.add("split")
        strata = "labels"
        if self.kind != "classification" or not data.stratify:
            strata = "np.zeros(len(labels))"
        shares = [
            f"{name}={literal(0.0 if part in own else float(share))}"
            for part, name, share in (
                (VALIDATION, "validation", data.validation),
                (TEST, "test", data.test),
            )
        ]
        parts = ((TRAIN, "train"), (VALIDATION, "validation"), (TEST, "test"))
        target = ", ".join("_" if part in own else name for part, name in parts) if own else "parts"
        result = unindented(Brackets(f"{target} = split(", [strata, *shares, f"seed={data.seed}"]))
        first = "parts[0]" if not own else "train"
        if self.kind == "regression" and data.targets == "standardize":
            self.parts.add("measure")
            result += [
                f"centre, deviation = measure(labels[{first}])",
                'labels = ((labels - centre) / deviation).astype("float32")',
            ]
            self.notes.append("`mae` is in standard deviations of the labels.")
        if self.kind == "classification" and self.one_hot:
            result += self._one_hot(own)
        if not own:
            return [*result, "return [(images[part], labels[part]) for part in parts]"]
        pairs: list[Code] = [
            f"({own[part]})" if part in own else f"(images[{name}], labels[{name}])"
            for part, name in parts
        ]
        return [*result, *unindented(Brackets("return [", pairs, "]"))]

    def _one_hot(self, own: Mapping[int, str]) -> list[str]:
        names = ["labels", *(pair.split(", ")[1] for pair in own.values())]
        if len(names) == 1:
            return [f'labels = np.eye({self.classes}, dtype="float32")[labels]']
        return [
            f'one_hot = np.eye({self.classes}, dtype="float32")',
            *(f"{name} = one_hot[{name}]" for name in names),
        ]

    def _read_images(self) -> list[str]:
        """Return the lines of the function that reads files of images."""
        height, width = self.shape.spatial
        self.imports |= {"from PIL import Image, ImageOps"}
        items: list[Code] = ["image", f"({width}, {height})", "Image.Resampling.BILINEAR"]
        how = self.recipe.data.resize
        if how == "stretch":
            fitted = Brackets("image = image.resize(", items[1:])
        elif how == "crop":
            fitted = Brackets("image = ImageOps.fit(", items)
        else:  # of an odd number of lines left over, archspec has one more behind the image
            centering = "centering=(0.4999, 0.4999)"
            fitted = Brackets("image = ImageOps.pad(", [*items, centering])
        is_grey = self.shape[-1] == 1
        mode = "L" if is_grey else "RGB"
        what, each = ("paths", "path") if self.source != "tfds" else ("contents", "content")
        opened = each if self.source != "tfds" else f"io.BytesIO({each})"
        return [
            f"def read_images({what}: np.ndarray) -> np.ndarray:",
            f'{INDENT}"""Return images of files as the network takes them, from 0 to 255."""',
            f"{INDENT}images = []",
            f"{INDENT}for {each} in {what}:",
            f"{INDENT * 2}with Image.open({opened}) as file:",
            f'{INDENT * 3}image = ImageOps.exif_transpose(file).convert("{mode}")',
            *lines(fitted, 2),
            f"{INDENT * 2}images.append(np.asarray(image))",
            f"{INDENT}return np.stack(images)" + ("[..., None]" if is_grey else ""),
        ]

    # Batches.

    def _is_resized(self) -> bool:
        """Whether images of arrays may have another extent than the network's input."""
        if self.is_files or self.shape.rank != 2:
            return False
        own = self.preview.shape if self.preview else None
        if own is None:
            return self.source in ("arrays", "idx")
        if own.spatial == self.shape.spatial:
            return False
        if self.recipe.data.resize != "stretch" and (
            own[0] * self.shape[1] != own[1] * self.shape[0]
        ):
            self.notes.append(f"Images are stretched: `resize: {self.recipe.data.resize}`.")
        return True

    def _scale(self) -> list[str]:
        """Return the lines that find the mean and the deviation of the channels."""
        data = self.recipe.data
        white = self.white
        match data.normalize:
            case "unit":
                values = "0.0", literal(white)
            case "symmetric":
                values = literal(white / 2), literal(white / 2)
            case "torch":
                mean, deviation = ([round(each * white, 6) for each in part] for part in TORCH)
                return [f"mean = {mean}", f"deviation = {deviation}"]
            case "caffe":
                mean = [round(each * white / 255, 6) for each in CAFFE_MEAN]
                return [f"mean = {mean}", f"deviation = {literal(white / 255)}"]
            case "none":
                values = "0.0", "1.0"
            case _:
                return self._measured()
        return [f"mean, deviation = {values[0]}, {values[1]}"]

    def _measured(self) -> list[str]:
        self.parts.add("measure")
        sample, result = "x", list[str]()
        if not self._measures_all():
            count = f"min(len(x), {MEASURED})"
            result = [f"chosen = np.random.default_rng(0).choice(len(x), {count}, replace=False)"]
            sample = "x[np.sort(chosen)]"
        if self.is_files:
            sample = f"read_images({sample})"
        elif self._is_resized():
            sample = self._resized(sample)
        call = Brackets("mean, deviation = measure(", [sample], comma=False)
        return [*result, *unindented(call)]

    def _measures_all(self) -> bool:
        """Return whether archspec holds all images in memory, as the network takes them."""
        data = self.recipe.data
        if self.is_files:
            return False
        own = self.preview.shape if self.preview else None
        if own == self.shape or (own is None and not self._is_resized()):
            return True
        if own is None:
            self.notes.append(
                f"Mean and deviation are those of {MEASURED:,} images, in archspec of all where "
                "these are of the network's extent, or few."
            )
            return False
        count, is_bytes = KERAS_SETS.get(self.source, 0), True  # digits are few
        if self.source == "arrays":
            stored = self._stored()
            count, is_bytes = stored.shape[0], stored.dtype == "uint8"
        if self.source == "idx":
            pairs = idx.pairs_in(Path(str(data.path)))
            count = sum(len(idx.read_values(pair.labels)) for pair in pairs)
        needed = count * self.shape.size * (1 if is_bytes else 4)
        return count <= MEASURED or (data.cache is not False and needed <= SMALL_BYTES)

    def _resized(self, images: str) -> str:
        self.parts.add("resize")
        height, width = self.shape.spatial
        return f"resize({images}, {height}, {width})"

    def _batches(self) -> list[str]:
        """Return the lines of the class that makes batches."""
        weights, first = self._weights(), "images"
        outputs: list[str] = []
        if len(self.outputs) > 1:
            names = Brackets("outputs = (", [literal(name) for name in self.outputs], is_tuple=True)
            outputs = ["", *lines(names, 1)]
        if self.is_files:
            first = "encoded images" if self.source == "tfds" else "paths of images"
        return BATCHES.format(
            first=first,
            changed=self._changed(),
            outputs="".join(f"{line}\n" for line in outputs),
            weights="".join(f"{INDENT * 2}{line}\n" for line in weights),
            result="tuple" if weights or len(self.outputs) > 1 else "Arrays",
            body="".join(f"{INDENT * 2}{line}\n" for line in self._one_batch(bool(weights))),
        ).splitlines()

    def _one_batch(self, has_weights: bool) -> list[str]:
        """Return the lines that give the batch of a number."""
        body = ["chosen = self.order[index * BATCH : (index + 1) * BATCH]"]
        read = "read_images(self.images[chosen])" if self.is_files else "self.images[chosen]"
        if self._is_resized():
            body += [f"images = {self._resized(read)}", "labels = self.labels[chosen]"]
        elif self.is_files:
            body += [f"images = {read}", "labels = self.labels[chosen]"]
        else:
            body.append(f"images, labels = {read}, self.labels[chosen]")
        if self.recipe.augment:
            call = "images = augment(images"
            if self.mixes:
                call = "images, labels = augment(images, labels"
            body += [
                "if self.training:",
                f"{INDENT}random = np.random.default_rng((SEED, self.epoch, 1, index))",
                f"{INDENT}{call}, random)",
            ]
        if self.recipe.data.normalize == "caffe":
            body.append("images = images[..., ::-1]  # blue, green, red")
        body.append('images = (images.astype("float32") - self.mean) / self.deviation')
        targets = self._for_outputs("labels")
        if has_weights:
            each = "labels @ self.weights" if self.one_hot else "self.weights[labels]"
            body += [
                "if self.training:",
                f"{INDENT}return images, {targets}, {self._for_outputs(each)}",
            ]
        return [*body, f"return images, {targets}"]

    def _for_outputs(self, value: str) -> str:
        """Return the expression of a value that is the same for all outputs of the network."""
        return f"dict.fromkeys(self.outputs, {value})" if len(self.outputs) > 1 else value

    def _changed(self) -> str:
        return ", changed at random" if self.recipe.augment else ""

    def _weights(self) -> list[str]:
        """Return the lines that give each class its weight in the loss."""
        weights = self.recipe.class_weights
        if weights is None:
            return []
        if weights == "balanced":
            counts = "labels.sum(axis=0)" if self.one_hot else "np.bincount(labels)"
            whole = f"len(labels) / ({self.classes} * {counts})"
            return [f"self.weights = np.float32({whole})"]
        names = self.preview.class_names if self.preview else ()
        unknown = [name for name in weights if name not in names]
        if unknown:
            self.notes.append(
                f"The number of class {listed(unknown)} is not known here: add its weight to "
                "`Batches.weights`."
            )
        return [
            f'self.weights = np.ones({self.classes}, "float32")',
            *(
                f"self.weights[{names.index(name)}] = {literal(float(weight))}"
                for name, weight in weights.items()
                if name in names
            ),
        ]

    # Augmentations.

    def _augment(self) -> list[str]:
        """Return the lines of the function that changes a batch at random."""
        given = ["images: np.ndarray", *(["labels: np.ndarray"] if self.mixes else [])]
        signature = Brackets("def augment(", [*given, "random: np.random.Generator"])
        result = lines(signature, 0, end=f" -> {'Arrays' if self.mixes else 'np.ndarray'}:")
        result.append(f'{INDENT}"""Return a batch changed at random."""')
        for one in self.recipe.augment:
            result += [line for code in self._calls(one) for line in lines(code, 1)]
        return [*result, f"{INDENT}return images{', labels' if self.mixes else ''}"]

    def _calls(self, one: Augmentation) -> list[Code]:
        height, width = self.shape.spatial
        white = f"white={literal(self.white)}"
        match one:
            case Flip():
                return [self._call("flip", f"axis={one.axis}", f"probability={one.probability}")]
            case RandomCrop():
                mode = literal(FILLS[one.fill])
                return [self._call("move", f"{one.padding}", f"{one.padding}", mode)]
            case Shift():
                far = round(one.vertical * height), round(one.horizontal * width)
                return [self._call("move", f"{far[0]}", f"{far[1]}", literal(FILLS[one.fill]))]
            case Rotation():
                return [self._call("rotate", f"{one.degrees:g}", literal(FILLS[one.fill]))]
            case RandomResizedCrop():
                return [self._call("resized_crop", f"area={one.area}", f"ratio={one.ratio}")]
            case GaussianNoise():
                return [self._call("add_noise", f"{one.deviation:g} * {literal(self.white)}")]
            case RandomErasing():
                shares = f"area={one.area}", f"ratio={one.ratio}"
                white = white if one.fill == "noise" else "white=0"
                return [self._call("erase", *shares, f"probability={one.probability}", white)]
            case ColorJitter():
                given = {"brightness": one.brightness, "contrast": one.contrast}
                name = "jitter_grey"
                if self.shape[-1] == 3:
                    name = "jitter"
                    given |= {"saturation": one.saturation, "hue": one.hue}
                return [self._call(name, *(f"{k}={v}" for k, v in given.items()), white)]
            case Mixup() | CutMix():
                made = self._call(one.name, f"alpha={one.alpha}", f"probability={one.probability}")
                made.before = f"images, labels = {one.name}("
                made.items = ["images", "labels", *made.items[1:]]
                return [made]
        self.notes.append(f"The augmentation `{one.name}` is left out.")
        return []

    def _call(self, name: str, *arguments: str) -> Brackets:
        self.parts.add(name)
        return Brackets(f"images = {name}(", ["images", "random", *arguments])

    def _white(self) -> float:
        """Return the value of white, that of black being 0."""
        data = self.recipe.data
        if data.range is not None:
            black, white = data.range
            if black:
                self.notes.append(f"Black is taken for 0, and not for {black:g}.")
            return white
        if self.source == "digits":
            return int(LEVELS.white)
        needs = data.normalize in NEEDS_RANGE or any(e.needs_range for e in self.recipe.augment)
        is_known = self.source in (*KERAS_SETS, "folder", "idx", "tfds")
        if needs and not (is_known or (self.source == "table" and self.shape.rank)):
            self.notes.append("White is taken for 255, and black for 0.")
        return 255


def preview_of(recipe: Recipe, shape: Shape) -> tuple[Preview | None, str]:
    """Return the facts of a recipe's data; None, and why, where they are not here or not clear."""
    if recipe.data.source == "tfds":  # it may ask a server
        return None, ""
    try:
        return SOURCES[recipe.data.source].preview(recipe.data, shape), ""
    except ArchspecError as error:
        return None, str(error).partition("\n")[0]
