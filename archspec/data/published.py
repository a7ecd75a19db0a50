"""Published sets of small images: scikit-learn's digits, and those that Keras downloads.

Where a recipe gives a path, the files of their authors are read instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from archspec.data import cifar, idx
from archspec.data.examples import LabelledImages, Preview
from archspec.data.names import TEST, TRAIN
from archspec.errors import UsageError
from archspec.keras_model.engine import first_line, keras_home, shortened
from archspec.lazy import np
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    from archspec.data.recipe import DataRecipe

WAIT_SECONDS: Final = 30
"""Seconds without an answer of a server after which a download is given up."""

DIGITS: Final = tuple("0123456789")

FASHION: Final = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

CIFAR10: Final = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip

CIFAR100: Final = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle",
    "bottle", "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle",
    "caterpillar", "cattle", "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch",
    "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest", "fox",
    "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard",
    "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse",
    "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck",
    "pine_tree", "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray",
    "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail",
    "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank",
    "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle",
    "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
)  # fmt: skip


class _PublishedSet(NamedTuple):
    class_names: tuple[str, ...]
    shape: Shape
    files: str = ""
    """The files in which Keras keeps the set."""


_SETS: Final = {
    "digits": _PublishedSet(DIGITS, Shape((8, 8, 1))),
    "mnist": _PublishedSet(DIGITS, Shape((28, 28, 1)), "mnist.npz"),
    "fashion_mnist": _PublishedSet(
        FASHION,
        Shape((28, 28, 1)),
        "fashion-mnist/train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, "
        "t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz",
    ),
    "cifar10": _PublishedSet(
        CIFAR10, cifar.SHAPE, "cifar-10-python.tar.gz as cifar-10-batches-py-target_archive"
    ),
    "cifar100": _PublishedSet(
        CIFAR100, cifar.SHAPE, "cifar-100-python.tar.gz as cifar-100-python-target_archive"
    ),
}


def class_names(source: str) -> tuple[str, ...]:
    """Return the classes of a published set; none for any other source."""
    return _SETS[source].class_names if source in _SETS else ()


def preview(recipe: DataRecipe, _: Shape) -> Preview:
    """Return the classes and the shape of an image."""
    name = recipe.source
    class_names, shape, _files = _SETS[name]
    if recipe.path is None:
        return Preview(class_names, shape)
    preview_files = cifar.preview_files if name in cifar.VERSIONS else idx.preview_files
    return preview_files(Path(recipe.path), class_names, name)


def load(recipe: DataRecipe, _: Shape) -> LabelledImages:
    """Return all images, with their own test images."""
    name = recipe.source
    class_names, shape, files = _SETS[name]
    if name == "digits":
        return _digits()
    if recipe.path is not None:
        load_files = cifar.load_files if name in cifar.VERSIONS else idx.load_files
        return load_files(Path(recipe.path), class_names, name)
    with _downloading(name, files):
        dataset = import_module(f"keras.datasets.{name}")
        (x_train, y_train), (x_test, y_test) = dataset.load_data()
    return LabelledImages(
        name=name,
        class_names=class_names,
        labels=np.concatenate([y_train, y_test]).ravel().astype(np.int32),
        images=np.concatenate([x_train, x_test]).reshape(-1, *shape),
        parts=np.repeat(np.array([TRAIN, TEST], np.int8), [len(x_train), len(x_test)]),
    )


def _digits() -> LabelledImages:
    """Return 1,797 handwritten digits of 8x8 pixels and 17 levels, bundled with scikit-learn."""
    from sklearn.datasets import load_digits  # noqa: PLC0415

    digits = load_digits()
    return LabelledImages(
        name="digits",
        class_names=DIGITS,
        labels=digits.target.astype(np.int32),
        images=digits.images[..., np.newaxis].astype(np.float32),
    )


@contextmanager
def _downloading(name: str, files: str) -> Iterator[None]:
    """Let Keras download, with its progress on standard error and a limit on how long it waits."""
    import socket  # noqa: PLC0415
    import sys  # noqa: PLC0415

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(WAIT_SECONDS)
    try:
        with redirect_stdout(sys.stderr):
            yield
    except Exception as error:  # Keras raises plain exceptions if it cannot reach a server
        raise UsageError(
            f"{name} could not be downloaded or read: {shortened(first_line(error), 500)}. "
            f"Without a network, put {files} into {keras_home() / 'datasets'}, or let `data.path` "
            "name a folder of the files that its authors publish"
        ) from error
    finally:
        socket.setdefaulttimeout(before)
