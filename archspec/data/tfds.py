"""`tfds`: data sets of TensorFlow Datasets, by random access; TensorFlow itself is not needed."""

from __future__ import annotations

import contextlib
import hashlib
import re
import sys
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from archspec.data.examples import EncodedImages, LabelledImages, Preview
from archspec.data.names import TEST, TRAIN, VALIDATION
from archspec.data.values import BYTES, OF_DTYPES
from archspec.errors import UsageError, extra
from archspec.keras_model.engine import first_line, shortened
from archspec.lazy import np
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    from archspec.data.recipe import DataRecipe

USUAL_SPLITS: Final = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
"""The usual splits; others, such as `unlabeled`, are not used."""

NAME: Final = re.compile(r"[a-z0-9_]+(/[A-Za-z0-9_.-]+)?(:\d+\.\d+\.\d+)?")
"""The form of a data set's name, configuration and version: no name that makes the library fetch
code."""


def preview(recipe: DataRecipe, _: Shape) -> Preview:
    """Return the classes and the shape of an image, without a download."""
    features = _features(_library(), recipe.name or "")
    extents = features["image"].shape
    shape = None if None in extents else Shape(extents)
    return Preview(tuple(features["label"].names), shape)


def load(recipe: DataRecipe, _: Shape) -> LabelledImages:
    """Return the images, still encoded, and the labels. The first use downloads them."""
    name = recipe.name or ""
    library = _library()
    features = _features(library, name)
    with _from_library(name), contextlib.redirect_stdout(sys.stderr):
        splits = library.data_source(name, decoders={"image": library.decode.SkipDecoding()})
    digest = hashlib.sha256()
    sources: list[Any] = []
    labels: list[int] = []
    parts: list[int] = []
    for split, part in USUAL_SPLITS.items():
        if split not in splits:
            continue
        source = splits[split]
        its_labels = []
        with _from_library(name):
            for example in source:
                its_labels.append(int(example["label"]))
                digest.update(example["image"])
        if min(its_labels, default=-1) < 0:
            continue  # a competition's, which keeps the labels secret
        sources.append(source)
        labels += its_labels
        parts += [part] * len(its_labels)
    if TRAIN not in parts:
        raise UsageError(f"{name} has no labelled examples to train on, in a split `train`")
    ends = list(accumulate(map(len, sources)))

    def get(index: int) -> bytes:
        which = bisect_right(ends, index)
        source = sources[which]
        content: bytes = source[index - ends[which] + len(source)]["image"]
        return content

    dtype = np.dtype(getattr(features["image"], "dtype", "uint8")).name
    return LabelledImages(
        name=f"tfds {name}",
        class_names=tuple(features["label"].names),
        labels=np.array(labels, np.int32),
        images=EncodedImages([f"image {index}" for index in range(len(labels))], get),
        range=OF_DTYPES.get(dtype, BYTES),
        parts=np.array(parts, np.int8) if len(sources) > 1 else None,
        digest=digest.hexdigest(),
        covers="the encoded images",
    )


def _library() -> Any:
    with extra("tfds", "`tfds` needs TensorFlow Datasets"):
        import tensorflow_datasets  # noqa: PLC0415
    return tensorflow_datasets


def _features(library: Any, name: str) -> Any:
    """Return the features of the data set's examples, with `image` and `label` among them."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"`{name}` is not a name of TensorFlow Datasets; write a name as `cifar10`, "
            "perhaps with a configuration and a version, as `cifar10_corrupted/fog_1:1.0.0`"
        )
    with _from_library(name):
        features = library.builder(name).info.features
    for needed, attribute in (("image", "encoding_format"), ("label", "names")):
        if needed not in features or not hasattr(features[needed], attribute):
            raise UsageError(
                f"{name} is not a set of images with one class each: it has no such `{needed}`"
            )
    return features


@contextlib.contextmanager
def _from_library(name: str) -> Iterator[None]:
    """Raise `UsageError`, which names the data set, for whatever the library raises."""
    try:
        yield
    except Exception as error:
        reason = shortened(first_line(error), 500)
        raise UsageError(f"TensorFlow Datasets cannot give {name}: {reason}") from error
