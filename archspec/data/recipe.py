"""`train.data`: what to train on, what of it for what, and how it is made to fit the network."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from archspec.data import grouping, sources
from archspec.data.section import RecipeSection, Seed, Share
from archspec.data.sources import SOURCES
from archspec.declare.metadata import Expect
from archspec.errors import nearest
from archspec.ops.fields import Count


class DataRecipe(RecipeSection):
    """What to train on, what of it for what, and how it is made to fit the network."""

    source: str = next(iter(SOURCES))
    """`digits`: 1,797 handwritten digits, bundled with scikit-learn. `folder`: your own images."""
    path: Annotated[str, Field(min_length=1)] | None = None
    """A folder or a file, relative to the working directory; of a `table` and a `webdataset` also
    a pattern, as `train-*.parquet` or `train-{000..009}.tar`. Of `mnist`, `fashion_mnist`,
    `cifar10` and `cifar100`: the folder of their authors' files, instead of a download."""
    name: Annotated[str, Field(min_length=1)] | None = None
    """Of `tfds`: a data set of TensorFlow Datasets."""
    images: Annotated[str, Field(min_length=1)] | None = None
    """Of `arrays`: the key in an .npz file, or the stem of an .npy file, else x or images. Of a
    `table`: the column of paths, or of encoded images, where its name is not obvious. Of a
    `webdataset`: what follows a picture's first dot, as `left.jpg`, where a sample has several."""
    labels: Annotated[str, Field(min_length=1)] | None = None
    """Of `arrays`, likewise, else y or labels. Of a `table`: the column of classes. Of a
    `webdataset`: a key of its `.json`, or what follows a label's first dot, else cls or txt."""
    split: Annotated[str, Field(min_length=1)] | None = None
    """Of a `table`: the column that says train, validation or test, where that is not obvious."""
    classes: (
        Annotated[
            tuple[Annotated[str, Field(json_schema_extra={"type": ["string", "integer"]})], ...],
            Field(min_length=2),
            Expect("a list of two or more names"),
        ]
        | None
    ) = None
    """Names of the classes to use, in the order of the network's outputs; all unless given."""
    per_class: Count | None = None
    """At most so many training images of each class."""
    validation: Share = 0.1
    """Share of the images held out to choose the best epoch, where the source holds none out."""
    test: Share = 0.2
    """Share of the images held out for the final score, where the source holds none out."""
    range: Annotated[tuple[float, float], Expect("two numbers, as [0, 255]")] | None = None
    """The values of black and of white, where neither the images' type nor their values show them:
    in arrays, and in files of floats or signed numbers. See
    docs/training.md."""
    group: Annotated[str, Field(min_length=1)] | None = None
    """What images are never split: those whose names (within the source) agree in what this
    regular expression matches, or in its first group in round brackets, as `(patient\\d+)_`. Of a
    `table` the name of a column may stand here instead, and of `arrays` that of an array."""
    duplicates: Literal["warn", "drop", "error"] = "warn"
    """What to do about copies of an image in several parts, or in several classes. `drop` keeps
    those held out, and none of an image in several classes."""
    seed: Seed = 0
    """Of the split. It is not the run's, so that runs with other seeds share their test images."""
    stratify: bool = True
    """Whether each class is split in the same shares."""
    resize: Literal["stretch", "pad", "crop"] = "stretch"
    """How an image of other proportions fits: distorted, with black bars, or cut at the sides."""
    normalize: Literal["standardize", "unit", "symmetric", "torch", "caffe", "none"] = "standardize"
    """`standardize` by the training images' mean and deviation, to [0, 1], to [-1, 1], or as the
    published weights of torchvision or Caffe want it."""
    on_error: Literal["stop", "skip"] = "stop"
    """What to do about image files that cannot be read."""
    cache: Annotated[Literal["auto", True, False], Expect("auto, true or false")] = "auto"
    """Whether decoded images are kept in memory; `auto` where they fit."""

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return sources.meant(value) if isinstance(value, str) else value

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
        """Digits are called by their numbers."""
        if not isinstance(classes, (list, tuple)):
            return classes
        return tuple(str(name) if type(name) is int else name for name in classes)

    @field_validator("classes")
    @classmethod
    def _differ(cls, classes: tuple[str, ...] | None) -> tuple[str, ...] | None:
        seen: set[str] = set()
        for name in classes or ():
            if name in seen:
                raise ValueError(f"`{name}` stands twice")
            seen.add(name)
        return classes

    @model_validator(mode="after")
    def _has_what_its_source_needs(self) -> DataRecipe:
        source = SOURCES[self.source]
        for option in ("path", "name", "images", "labels", "split", "group", "range"):
            given = getattr(self, option) is not None
            if given and option not in source.options:
                takers = [name for name, each in SOURCES.items() if option in each.options]
                raise ValueError(
                    f"`{self.source}` takes no `{option}`; it is of {', '.join(takers)}"
                )
            if not given and option == source.needs:
                raise ValueError(f"`{self.source}` needs `{option}`")
        if self.group is not None and self.source != "arrays":
            try:
                grouping.check(self.group)
            except ValueError as error:
                raise ValueError(f"`group`: {error}") from None
        if self.range is not None and not -math.inf < self.range[0] < self.range[1] < math.inf:
            raise ValueError("`range` is the value of black and a larger one of white, finite")
        if self.path is not None and "\0" in self.path:
            raise ValueError("`path` has a null character in it")
        if self.validation + self.test >= 1:
            raise ValueError("`validation` and `test` leave nothing to train on")
        return self
