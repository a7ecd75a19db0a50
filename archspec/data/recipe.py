"""`train.data`: the data to train on, their split, and how they are fitted to the network."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from archspec.data import grouping
from archspec.data.section import RecipeSection, Seed, Share
from archspec.data.sources import SOURCES, keys_of
from archspec.data.targets import TargetsSetting
from archspec.declare.metadata import Expect
from archspec.errors import nearest
from archspec.ops.fields import Count

_Name = Annotated[str, Field(min_length=1)]
_Names = Annotated[tuple[_Name, ...], Field(min_length=1)]


class DataRecipe(RecipeSection):
    """The data to train on, their split, and how they are fitted to the network."""

    source: str = next(iter(SOURCES))
    """The kind of data. `digits` are 1,797 handwritten digits, bundled with scikit-learn; `folder`
    is a folder of your own images. docs/training.md describes all."""
    path: _Name | None = None
    """A folder or a file, relative to the working directory. For a `table` or a `webdataset` it may
    be a pattern such as `train-*.parquet` or `train-{000..009}.tar`. For `mnist`,
    `fashion_mnist`, `cifar10` and `cifar100`: a folder of their authors' files, instead of a
    download."""
    name: _Name | None = None
    """Name of a data set of TensorFlow Datasets (`tfds`)."""
    images: (
        Annotated[
            _Name | Annotated[dict[str, _Name], Field(min_length=1)],
            Expect("a name, or a name for each input"),
        ]
        | None
    ) = None
    """Name of the images. In `arrays`, the key in an .npz file, or the stem of an .npy file, by
    default x or images. In a `table`, the column of paths or of encoded images, if it is not
    obvious; for a network with several inputs of images, the column of each, by default that of
    the input's name. In a `webdataset` with several pictures a sample, what follows the first dot
    of a picture's name, as `left.jpg`."""
    labels: Annotated[_Name | _Names, Expect("a name, or a list of names")] | None = None
    """Name of the labels. In `arrays`, the key or the stem, by default y or labels. In a `table`,
    the column of classes, sets of labels or numbers, if it is not obvious, or a list of columns: of
    numbers, or of 0 and 1 for each label. In a `webdataset`, a key of its `.json`, or what follows
    the first dot of a label's name, by default cls or txt."""
    features: (
        Annotated[
            _Names | Annotated[dict[str, _Names], Field(min_length=1)],
            Expect("a list of names, or such a list for each input"),
        ]
        | None
    ) = None
    """Columns of a `table` with the numbers of an input that is a vector, in this order; by default
    all that hold neither images, labels, parts nor groups. For a network with several such inputs,
    a list for each."""
    separator: Annotated[str, Field(min_length=1, max_length=8)] | None = None
    """Text between the labels of an example, in a `table` whose column of labels holds sets of
    them: `"|"` for `cat|dog`. An empty cell is the empty set."""
    split: _Name | None = None
    """Column of a `table` that says train, validation or test, if its name is not obvious."""
    classes: (
        Annotated[
            tuple[Annotated[str, Field(json_schema_extra={"type": ["string", "integer"]})], ...],
            Field(min_length=2),
            Expect("a list of two or more names"),
        ]
        | None
    ) = None
    """Names of the classes to use, in the order of the network's outputs; by default all."""
    per_class: Count | None = None
    """Largest number of training images of each class; by default all are used."""
    validation: Share = 0.1
    """Share of the images held out to choose the best epoch, if the source has none for that."""
    test: Share = 0.2
    """Share of the images held out for the final score, if the source has none for that."""
    range: Annotated[tuple[float, float], Expect("two numbers, as [0, 255]")] | None = None
    """The values of black and of white, where neither the images' type nor their values show them:
    in arrays, and in files of floats or signed numbers. See docs/training.md."""
    group: _Name | None = None
    """A regular expression. Images in whose names (within the source) it matches the same text are
    kept together in training, validation or test; if it has a group in round brackets, as
    `(patient\\d+)_`, only that counts. For a `table`, it may be the name of a column instead, and
    for `arrays` it is the name of an array."""
    duplicates: Literal["warn", "drop", "error"] = "warn"
    """Treatment of copies of an image in more than one of training, validation and test, or in
    several classes. `warn` prints a note. `drop` keeps those in the test, or else in validation,
    and none of an image in several classes. `error` stops."""
    seed: Seed = 0
    """Seed of the split. It is not the run's, so runs with different seeds share their test
    images."""
    stratify: bool = True
    """Whether each class is split in the same shares."""
    resize: Literal["stretch", "pad", "crop"] = "stretch"
    """Fitting of images of other proportions: `stretch` distorts them, `pad` adds black bars,
    `crop` cuts off the sides."""
    size: (
        Annotated[
            Count | Annotated[tuple[Count, ...], Field(min_length=1, max_length=3)],
            Expect("a number, or a list of extents as [64, 64]"),
        ]
        | None
    ) = None
    """Height and width that images are resized to for a network whose input is open; one number for
    both. By default that of the images where all have the same, as in arrays."""
    targets: TargetsSetting = "none"
    """Scale on which numbers are learnt (a regression): `none` as they are, or `standardize` by the
    training labels' mean and deviation, for each value. The measure `mae`, scores and predictions
    are always in the units of the labels; the loss and the recipe's metrics are on this scale."""
    normalize: Literal["standardize", "unit", "symmetric", "torch", "caffe", "none"] = "standardize"
    """Scale of the pixels: `standardize` by the training images' mean and deviation, `unit` to
    [0, 1], `symmetric` to [-1, 1], `torch` and `caffe` as published weights of torchvision and
    Caffe expect them."""
    on_error: Literal["stop", "skip"] = "stop"
    """Treatment of image files that cannot be read: `stop` with an error, or `skip` them."""
    cache: Annotated[Literal["auto", True, False], Expect("auto, true or false")] = "auto"
    """Whether decoded images are kept in memory; `auto` keeps them if they fit."""

    @property
    def label_columns(self) -> tuple[str, ...]:
        """The names in `labels`."""
        return (self.labels,) if isinstance(self.labels, str) else self.labels or ()

    @property
    def image_name(self) -> str | None:
        """The only name in `images`."""
        return self.images if isinstance(self.images, str) else None

    @property
    def label_name(self) -> str | None:
        """The only name in `labels`."""
        return self.labels if isinstance(self.labels, str) else None

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return keys_of(value) if isinstance(value, str) else value

    @field_validator("source")
    @classmethod
    def _is_available(cls, source: str) -> str:
        if source not in SOURCES:
            near = nearest(source, SOURCES)
            hint = f"did you mean `{near}`?" if near else f"available: {', '.join(SOURCES)}"
            raise ValueError(f"`{source}` is not available; {hint}")
        return source

    @field_validator("classes", mode="before")
    @classmethod
    def _may_be_numbers(cls, classes: Any) -> Any:
        """Return class names as text: those of digits are written as numbers."""
        if not isinstance(classes, (list, tuple)):
            return classes
        return tuple(str(name) if type(name) is int else name for name in classes)

    @field_validator("classes")
    @classmethod
    def _differ(cls, classes: tuple[str, ...] | None) -> tuple[str, ...] | None:
        seen: set[str] = set()
        for name in classes or ():
            if name in seen:
                raise ValueError(f"`{name}` is given twice")
            seen.add(name)
        return classes

    @model_validator(mode="after")
    def _has_what_its_source_needs(self) -> DataRecipe:
        source = SOURCES[self.source]
        for option in (
            *("path", "name", "images", "labels", "features", "split"),
            *("separator", "group", "range"),
        ):
            given = getattr(self, option) is not None
            if given and option not in source.options:
                takers = [name for name, each in SOURCES.items() if option in each.options]
                raise ValueError(
                    f"`{self.source}` takes no `{option}`; it is for {', '.join(takers)}"
                )
            if not given and option == source.needs:
                raise ValueError(f"`{self.source}` needs `{option}`")
        if self.group is not None and self.source != "arrays":
            try:
                grouping.check(self.group)
            except ValueError as error:
                raise ValueError(f"`group`: {error}") from None
        if isinstance(self.labels, tuple) and self.source != "table":
            raise ValueError(f"`labels`: `{self.source}` takes one name; a `table` takes a list")
        if isinstance(self.images, dict) and self.source != "table":
            raise ValueError(f"`images`: `{self.source}` takes one name; a `table` takes several")
        if isinstance(self.labels, tuple) and self.separator is not None:
            raise ValueError("`separator` is for labels in one column: name one in `labels`")
        if self.range is not None and not -math.inf < self.range[0] < self.range[1] < math.inf:
            raise ValueError("`range` must be the value of black and a larger one of white, finite")
        if self.path is not None and "\0" in self.path:
            raise ValueError("`path` contains a null character")
        if self.validation + self.test >= 1:
            raise ValueError(
                "`validation` and `test` leave nothing to train on: their sum must be below 1"
            )
        return self
