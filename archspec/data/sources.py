"""What can be trained on, by the name that a recipe gives; nothing is loaded before it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from archspec.data.examples import TEST, TRAIN, LabelledImages, Preview
from archspec.errors import UsageError
from archspec.keras_model.engine import keras_home
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    from archspec.data.recipe import DataRecipe

WAIT_SECONDS: Final = 30
"""For an answer of a server, before a download is given up."""

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


@dataclass(frozen=True, slots=True)
class DataSource:
    """A way to labelled images."""

    load: Callable[[DataRecipe, Shape], LabelledImages]
    """All examples. The network's input says how an array's axes are to be read."""
    preview: Callable[[DataRecipe, Shape], Preview]
    """What is known without loading pixels."""
    needs: str | None = None
    """What a recipe must say beside the source's name: `path`, `name`, or nothing."""
    takes: tuple[str, ...] = ()
    """What it may say as well: `path`, `images`, `labels`, `split`, `range`."""

    @property
    def options(self) -> tuple[str, ...]:
        """All that a recipe may say beside the source's name."""
        return (*([self.needs] if self.needs else []), *self.takes)


def _digits(*_: Any) -> LabelledImages:
    """1,797 handwritten digits of 8x8 and 17 levels, bundled with scikit-learn."""
    import numpy as np  # noqa: PLC0415
    from sklearn.datasets import load_digits  # noqa: PLC0415

    digits = load_digits()
    return LabelledImages(
        name="digits",
        class_names=DIGITS,
        labels=digits.target.astype(np.int32),
        images=digits.images[..., np.newaxis].astype(np.float32),
    )


def _of_keras(
    name: str, class_names: tuple[str, ...], shape: Shape, files: str, room: str
) -> DataSource:
    """One of keras.datasets, with its own test images.

    `files` is where Keras keeps it; `room` reads what its authors publish, from a `path`.
    """

    def load(recipe: DataRecipe, _: Shape) -> LabelledImages:
        if recipe.path is not None:
            loaded: LabelledImages = import_module(room).loaded(
                Path(recipe.path), class_names, name
            )
            return loaded
        import numpy as np  # noqa: PLC0415

        with _download(name, files):
            dataset = import_module(f"keras.datasets.{name}")
            (x_train, y_train), (x_test, y_test) = dataset.load_data()
        images = np.concatenate([x_train, x_test])
        parts = np.full(len(images), TRAIN, np.int8)
        parts[len(x_train) :] = TEST
        return LabelledImages(
            name=name,
            class_names=class_names,
            labels=np.concatenate([y_train, y_test]).ravel().astype(np.int32),
            images=images.reshape(-1, *shape),
            parts=parts,
        )

    def preview(recipe: DataRecipe, _: Shape) -> Preview:
        if recipe.path is None:
            return Preview(class_names, shape)
        preview: Preview = import_module(room).preview_of(Path(recipe.path), class_names, name)
        return preview

    return DataSource(load, preview, takes=("path",))


@contextmanager
def _download(name: str, files: str) -> Iterator[None]:
    """Let Keras download without a word on standard output, and not wait for ever."""
    import socket  # noqa: PLC0415
    import sys  # noqa: PLC0415

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(WAIT_SECONDS)
    try:
        with redirect_stdout(sys.stderr):
            yield
    except Exception as error:  # Keras raises plain exceptions for a server out of reach
        reason = str(error).strip().partition("\n")[0][:500]
        home = keras_home() / "datasets"
        raise UsageError(
            f"{name} could not be downloaded or read: {reason}. "
            f"Without a network, put {files} into {home}, or let `data.path` name a folder of "
            "the files that its authors publish"
        ) from error
    finally:
        socket.setdefaulttimeout(before)


def _of_room(name: str, needs: str, takes: tuple[str, ...] = ()) -> DataSource:
    """A source with a module of its own, imported when it is used."""

    def load(recipe: DataRecipe, input_shape: Shape) -> LabelledImages:
        loaded: LabelledImages = import_module(name).load(recipe, input_shape)
        return loaded

    def preview(recipe: DataRecipe, input_shape: Shape) -> Preview:
        preview: Preview = import_module(name).preview(recipe, input_shape)
        return preview

    return DataSource(load, preview, needs, takes)


_IDX, _CIFAR = "archspec.data.idx", "archspec.data.cifar"
_GREY, _COLOUR = Shape((28, 28, 1)), Shape((32, 32, 3))

SOURCES: Final[Mapping[str, DataSource]] = {
    "digits": DataSource(_digits, lambda *_: Preview(DIGITS, Shape((8, 8, 1)))),
    "mnist": _of_keras("mnist", DIGITS, _GREY, "mnist.npz", _IDX),
    "fashion_mnist": _of_keras(
        "fashion_mnist",
        FASHION,
        _GREY,
        "fashion-mnist/train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, "
        "t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz",
        _IDX,
    ),
    "cifar10": _of_keras(
        "cifar10",
        CIFAR10,
        _COLOUR,
        "cifar-10-python.tar.gz as cifar-10-batches-py-target_archive",
        _CIFAR,
    ),
    "cifar100": _of_keras(
        "cifar100",
        CIFAR100,
        _COLOUR,
        "cifar-100-python.tar.gz as cifar-100-python-target_archive",
        _CIFAR,
    ),
    "folder": _of_room("archspec.data.imagefolder", "path", ("group", "range")),
    "arrays": _of_room("archspec.data.arrayfiles", "path", ("images", "labels", "group", "range")),
    "table": _of_room(
        "archspec.data.tablesource",
        "path",
        ("images", "labels", "split", "group", "range"),
    ),
    "webdataset": _of_room(
        "archspec.data.webdataset", "path", ("images", "labels", "group", "range")
    ),
    "idx": _of_room(_IDX, "path"),
    "tfds": _of_room("archspec.data.tfdssource", needs="name"),
}


HOLDING: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "cifar10": (("cifar-10-binary.tar.gz",), ("test_batch.bin", "cifar-10-binary.tar.gz")),
    "cifar100": (("cifar-100-binary.tar.gz",), ("fine_label_names.txt", "cifar-100-binary.tar.gz")),
    "idx": ((), ("*images[-.]idx3-ubyte", "*images[-.]idx3-ubyte.gz")),
    "arrays": (("*.npz", "*.npy"), ("*.npy",)),
    "table": (("*.csv", "*.tsv", "*.parquet"), ("*.parquet", "data/*.parquet", "train/*.parquet")),
    "webdataset": (("*.tar", "*.tar.gz", "*.tgz"), ("*.tar", "*.tar.gz", "*.tgz")),
}
"""Of a source that is told by its path: names of a file, and of files in a folder."""

FILES: Final = ".npz, .csv, .tsv, .parquet, .tar or .tar.gz"
"""How a file ends that is data by itself."""


def meant(text: str) -> dict[str, str]:
    """The keys of a recipe's `data` that a word stands for: a source, or a path to images.

    A path is told by its name, a folder by what is in it, or by being there.
    """
    path = Path(text)
    if text in SOURCES or not (path.suffix or len(path.parts) > 1 or "/" in text or path.is_dir()):
        return {"source": text}
    is_folder = path.is_dir()
    for source, (files, inside) in HOLDING.items():
        if is_folder and any(next(path.glob(pattern), None) for pattern in inside):
            return {"source": source, "path": text}
        if not is_folder and any(fnmatch(path.name.lower(), pattern) for pattern in files):
            return {"source": source, "path": text}
    return {"source": "folder", "path": text}
