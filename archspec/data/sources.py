"""The sources of data by the name that a recipe gives; each is imported when it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from archspec.data.task import TaskKind
from archspec.errors import UsageError
from archspec.ops.shape import Shape

if TYPE_CHECKING:
    from archspec.data.examples import LabelledImages, Preview
    from archspec.data.recipe import DataRecipe


@dataclass(frozen=True, slots=True)
class DataSource:
    """A way to get labelled images: a module with `load` and `preview`.

    They take the shape of a network's input; for sources of several inputs, those by the inputs'
    names, of which a single one has none: "".
    """

    module: str
    needs: str | None = None
    """The option that a recipe must give: `path`, `name`, or none."""
    takes: tuple[str, ...] = ()
    """Options that it may give as well: `path`, `images`, `labels`, `features`, `split`,
    `separator`, `group`, `range`."""
    has_any_labels: bool = False
    """Whether labels may be sets or numbers, and not only classes."""
    has_several_inputs: bool = False
    """Whether the source has examples for networks with several inputs."""

    def load(
        self,
        recipe: DataRecipe,
        network: Shape | Mapping[str, Shape],
        kind: TaskKind = "classification",
    ) -> LabelledImages:
        """Return all examples, with labels for a kind of task.

        `network` is its input, which shows whether an array has an axis of channels; or all inputs
        by name.
        """
        more = (kind,) if self.has_any_labels else ()
        examples: LabelledImages = self._call("load", recipe, network, *more)
        return examples

    def preview(self, recipe: DataRecipe, network: Shape | Mapping[str, Shape]) -> Preview:
        """Return the classes, and the shape of an array's images, without loading pixels."""
        preview: Preview = self._call("preview", recipe, network)
        return preview

    def _call(
        self, name: str, recipe: DataRecipe, network: Shape | Mapping[str, Shape], *more: TaskKind
    ) -> Any:
        function = getattr(import_module(f"archspec.data.{self.module}"), name)
        inputs = network if isinstance(network, Mapping) else {"": network}
        first = next(iter(inputs.values()))
        if self.has_several_inputs:
            return function(recipe, inputs if len(inputs) > 1 else {"": first}, *more)
        if len(inputs) > 1:
            saved = ", ".join(f"{name}=..." for name in inputs)
            raise UsageError(
                f"the network has several inputs ({', '.join(inputs)}), and `{recipe.source}` has "
                "one image for each example: write a `table` with a column for each, or save an "
                "array for each input and the labels, as "
                f"`numpy.savez('data.npz', {saved}, y=...)`, and write `data: data.npz`"
            )
        return function(recipe, first, *more)

    @property
    def options(self) -> tuple[str, ...]:
        """All options that a recipe may give beside the source's name."""
        return (*([self.needs] if self.needs else []), *self.takes)


SOURCES: Final[Mapping[str, DataSource]] = {
    "digits": DataSource("published"),
    "mnist": DataSource("published", takes=("path",)),
    "fashion_mnist": DataSource("published", takes=("path",)),
    "cifar10": DataSource("published", takes=("path",)),
    "cifar100": DataSource("published", takes=("path",)),
    "folder": DataSource("folder", "path", ("group", "range")),
    "arrays": DataSource(
        "arrays",
        "path",
        ("images", "labels", "group", "range"),
        has_any_labels=True,
        has_several_inputs=True,
    ),
    "table": DataSource(
        "table",
        "path",
        ("images", "labels", "features", "split", "separator", "group", "range"),
        has_any_labels=True,
        has_several_inputs=True,
    ),
    "webdataset": DataSource("webdataset", "path", ("images", "labels", "group", "range")),
    "idx": DataSource("idx", "path"),
    "tfds": DataSource("tfds", "name"),
}

_FILES: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "cifar10": (("cifar-10-binary.tar.gz",), ("test_batch.bin", "cifar-10-binary.tar.gz")),
    "cifar100": (("cifar-100-binary.tar.gz",), ("fine_label_names.txt", "cifar-100-binary.tar.gz")),
    "idx": ((), ("*images[-.]idx3-ubyte", "*images[-.]idx3-ubyte.gz")),
    "arrays": (("*.npz", "*.npy"), ("*.npy",)),
    "table": (("*.csv", "*.tsv", "*.parquet"), ("*.parquet", "data/*.parquet", "train/*.parquet")),
    "webdataset": (("*.tar", "*.tar.gz", "*.tgz"), ("*.tar", "*.tar.gz", "*.tgz")),
}
"""Names of a file, and of files in a folder, that show which source a path is for."""

FILE_SUFFIXES: Final = ".npz, .csv, .tsv, .parquet, .tar or .tar.gz"
"""The suffixes of files that are data by themselves, as a message lists them."""


def keys_of(text: str) -> dict[str, str]:
    """Return the keys of a recipe's `data` for a word: the name of a source, or a path to images.

    The source of a path shows in a file's name, or in the files of a folder.
    """
    path = Path(text)
    if text in SOURCES or not (path.suffix or len(path.parts) > 1 or "/" in text or path.is_dir()):
        return {"source": text}
    is_folder = path.is_dir()
    for source, (files, inside) in _FILES.items():
        if is_folder and any(next(path.glob(pattern), None) for pattern in inside):
            return {"source": source, "path": text}
        if not is_folder and any(fnmatch(path.name.lower(), pattern) for pattern in files):
            return {"source": source, "path": text}
    return {"source": "folder", "path": text}
