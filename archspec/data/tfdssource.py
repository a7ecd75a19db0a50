"""`tfds`: data sets of TensorFlow Datasets, by random access; TensorFlow itself is not needed."""

from __future__ import annotations

import contextlib
import hashlib
import re
import sys
from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from archspec.data.examples import TEST, TRAIN, VALIDATION, EncodedImages, LabelledImages, Preview
from archspec.data.values import BYTES, OF_DTYPES, Range
from archspec.errors import UsageError
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    from archspec.data.recipe import DataRecipe

PARTS: Final = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
"""Their usual splits; others, as `unlabeled`, are not used."""

NAME: Final = re.compile(r"[a-z0-9_]+(/[A-Za-z0-9_.-]+)?(:\d+\.\d+\.\d+)?")
"""A data set, its configuration, its version; nothing that would make code be fetched."""


def preview(recipe: DataRecipe, _: Shape) -> Preview:
    """The classes, and the extent of an image; nothing is downloaded."""
    features = _features(_library(), recipe.name or "")
    extents = features["image"].shape
    shape = None if None in extents else Shape(extents)
    return Preview(tuple(features["label"].names), shape)


def load(recipe: DataRecipe, _: Shape) -> LabelledImages:
    """The images, still encoded, and the labels; downloaded when they are first asked for."""
    import numpy as np  # noqa: PLC0415

    name = recipe.name or ""
    library = _library()
    features = _features(library, name)
    with _explained(name), contextlib.redirect_stdout(sys.stderr):
        splits = library.data_source(name, decoders={"image": library.decode.SkipDecoding()})
    digest = hashlib.sha256()
    sources: list[Any] = []
    labels: list[int] = []
    parts: list[int] = []
    for split, part in PARTS.items():
        if split not in splits:
            continue
        source = splits[split]
        found = []
        with _explained(name):
            for example in source:
                found.append(int(example["label"]))
                digest.update(example["image"])
        if min(found, default=-1) < 0:
            continue  # of competitions, whose labels are kept secret
        sources.append(source)
        labels += found
        parts += [part] * len(found)
    if TRAIN not in parts:
        raise UsageError(f"{name} has no labelled examples to train on, in a split `train`")
    ends = list(accumulate(map(len, sources)))

    def get(index: int) -> bytes:
        which = bisect_right(ends, index)
        source = sources[which]
        content: bytes = source[index - ends[which] + len(source)]["image"]
        return content

    return LabelledImages(
        name=f"tfds {name}",
        class_names=tuple(features["label"].names),
        labels=np.array(labels, np.int32),
        images=EncodedImages([f"image {index}" for index in range(len(labels))], get),
        range=_range(features["image"]),
        parts=np.array(parts, np.int8) if len(sources) > 1 else None,
        digest=digest.hexdigest(),
        covers="the encoded images",
    )


def _range(feature: Any) -> Range:
    """Black and white, by the type that a data set says its pixels have."""
    import numpy as np  # noqa: PLC0415

    return OF_DTYPES.get(np.dtype(getattr(feature, "dtype", "uint8")).name, BYTES)


def _library() -> Any:
    try:
        import tensorflow_datasets  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(
            f"`tfds` needs TensorFlow Datasets ({error}): pip install 'keras-archspec[tfds]'"
        ) from None
    return tensorflow_datasets


def _features(library: Any, name: str) -> Any:
    """What an example of the data set consists of, `image` and `label` among it."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"`{name}` is not a name of TensorFlow Datasets; write a data set's, "
            "as `cifar10`, and perhaps what of it, as `cifar10_corrupted/fog_1:1.0.0`"
        )
    with _explained(name):
        features = library.builder(name).info.features
    for needed, attribute in (("image", "encoding_format"), ("label", "names")):
        if needed not in features or not hasattr(features[needed], attribute):
            raise UsageError(f"{name} is not a set of images with a class each: no such `{needed}`")
    return features


@contextlib.contextmanager
def _explained(name: str) -> Any:
    """Make whatever the library raises an error that says which data set."""
    try:
        yield
    except Exception as error:
        first = str(error).strip().partition("\n")[0][:500]
        raise UsageError(f"TensorFlow Datasets cannot give {name}: {first}") from error
