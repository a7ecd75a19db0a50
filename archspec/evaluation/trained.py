"""A run's folder or a model file -> a trained network, ready to classify images.

A run's folder records its classes and how its images were prepared; a separate file does not.
Everything that can be checked without Keras is checked before it is loaded.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from archspec import arguments
from archspec.cost.size import graph_at
from archspec.data import preprocessing
from archspec.data.pixels import ArrayPixels
from archspec.data.preprocessing import NEEDS_COLOUR, Preprocessing
from archspec.data.splitting import SPLIT_RULE, SplitRule
from archspec.data.targets import TargetScale
from archspec.data.task import NOUNS, TaskKind
from archspec.data.values import BYTES, Range
from archspec.decompile.importing import import_model
from archspec.errors import UsageError, beside, listed
from archspec.evaluation.dropout import dropping
from archspec.evaluation.inference import answers, main_output
from archspec.graph.graph import Graph
from archspec.imports.loading import is_model_file
from archspec.keras_model.build import build
from archspec.keras_model.engine import load_file, load_keras
from archspec.keras_model.verify import other_network
from archspec.lazy import np
from archspec.ops.shape import Shape
from archspec.recipe import compilation
from archspec.recipe.train import Recipe
from archspec.runs import storage
from archspec.runs.files import DATA, MODELS, SPEC
from archspec.runs.origin import RunSetup
from archspec.runs.outcome import saved_model
from archspec.runs.records import DataRecord
from archspec.spec.document import Spec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archspec.runs.outcome import Run

RunSource: TypeAlias = "str | PathLike[str] | Run"
"""A run, its folder, or a model file."""

NORMALIZE: Final = ("unit", "symmetric", "torch", "caffe", "none")
"""Normalisations that a model file may need: those that do not depend on training images."""

BRIGHTER: Final = 1.5
"""Largest factor between white and an array's largest value."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained network before it is loaded; what a model file does not record is None."""

    name: str
    """Name of the network as the user gave it."""
    file: Path
    class_names: tuple[str, ...] | None = None
    """Names of the classes, labels or values."""
    kind: TaskKind = "classification"
    """The kind of task that it was trained for."""
    preprocessing: Preprocessing | None = None
    spec: Spec | None = None
    graph: Graph | None = None
    recipe: Recipe | None = None
    data: DataRecord | None = None
    """Record of the training data."""

    @property
    def inputs(self) -> Mapping[str, Shape]:
        """Shape of each input of the network by name; empty if it is not known."""
        return self.graph.input_shapes if self.graph else {}

    @property
    def scale(self) -> TargetScale | None:
        """Scale on which it learnt numbers."""
        return self.data.scale if self.data else None

    @property
    def fingerprint(self) -> str | None:
        """Fingerprint of the training data."""
        return self.data.fingerprint if self.data else None

    @property
    def split_rule(self) -> SplitRule:
        """Version of the rule by which the data were split."""
        return self.data.split_rule if self.data else SPLIT_RULE


def find(
    runs: RunSource | Sequence[RunSource], normalize: str | None = None
) -> tuple[Trained, ...]:
    """Return trained networks by run, folder or file, all with the same classes.

    `normalize` says how the images of those that are files were normalised. Raises `UsageError` if
    there is no such network, or their classes differ.
    """
    if isinstance(runs, (str, PathLike)) or not isinstance(runs, Sequence):
        runs = [runs]
    if not runs:
        raise UsageError("no run was given: name its folder, or a model file")
    if normalize is not None:
        arguments.one_of("normalize", normalize, NORMALIZE)
    places = (arguments.place("runs", getattr(run, "folder", run)) for run in runs)
    networks = [_find(Path(place)) for place in places]
    seen: set[Path] = set()
    for each in networks:
        if each.file.resolve() in seen:
            raise UsageError(f"{each.name} is given twice: an ensemble takes each run once")
        seen.add(each.file.resolve())
    named = [each for each in networks if each.class_names is not None]
    for each in named[1:]:
        _check_same_classes(named[0], each)
    bare = [each for each in networks if each.preprocessing is None]
    if bare and normalize is None:
        raise UsageError(
            f"{bare[0].name} does not record how its images were prepared: "
            f"give `normalize=`, one of {', '.join(NORMALIZE)}"
        )
    if normalize is not None and not bare:
        raise UsageError(f"`normalize=` is for model files: {networks[0].name} records its own")
    class_names = named[0].class_names if named else None
    kind = named[0].kind if named else "classification"
    return tuple(replace(each, class_names=class_names, kind=kind) for each in networks)


def _find(place: Path) -> Trained:
    kind = storage.kind_of(place)
    if kind == "folder" and not is_model_file(place):
        if not storage.exists(place / SPEC):
            raise UsageError(f"{place} is not the folder of a run")
        return _of_run(str(place), place, saved_model(place))
    if place.suffix == ".keras" and kind == "file":
        home = place.parent
        if place.name in MODELS and storage.exists(home / SPEC) and storage.exists(home / DATA):
            return _of_run(str(place), home, place)
        return Trained(str(place), place)
    if kind and is_model_file(place):
        return Trained(str(place), place)
    if kind:
        raise UsageError(f"{place} is neither a run's folder nor a model file")
    raise UsageError(f"there is no run {place}{beside(place)}")


def _of_run(name: str, home: Path, file: Path) -> Trained:
    beginning = RunSetup.read(home)
    graph = beginning.graph
    channels = len(beginning.data.preprocessing.mean)
    if channels != graph.input.channels:
        raise UsageError(
            f"{home / DATA} is for images of {channels} channels, and {home / SPEC} takes "
            f"{graph.input}"
        )
    return Trained(
        name,
        file,
        class_names=beginning.data.class_names,
        kind=beginning.data.task,
        preprocessing=beginning.data.preprocessing,
        graph=graph,
        spec=beginning.spec,
        recipe=beginning.recipe,
        data=beginning.data,
    )


def _check_same_classes(one: Trained, other: Trained) -> None:
    if one.kind != other.kind:
        raise UsageError(
            f"{one.name} was trained for {one.kind} and {other.name} for {other.kind}: they cannot "
            "be scored or predict together"
        )
    nouns = NOUNS[one.kind][1]
    here, there = one.class_names or (), other.class_names or ()
    if here == there:
        return
    only = [name for name in here if name not in there]
    others = [name for name in there if name not in here]
    if only or others:
        apart = "; ".join(
            f"only {each.name} has {listed(names)}"
            for each, names in ((one, only), (other, others))
            if names
        )
    else:
        apart = "they are in another order"
    raise UsageError(
        f"{one.name} has {len(here)} {nouns} and {other.name} {len(there)}, which differ: {apart}"
    )


@dataclass(frozen=True, slots=True, eq=False)
class LoadedNetwork:
    """A trained network that is loaded, with the preprocessing of its images."""

    trained: Trained
    keras: Any
    model: Any
    input_shape: Shape
    preprocessing: Preprocessing
    classes: int
    """Number of classes, labels or values; 0 if its output is not a vector of them."""
    passes: int = 1
    """Number of passes over an image; more than one with active dropout."""

    @property
    def name(self) -> str:
        return self.trained.name

    @property
    def inputs(self) -> Mapping[str, Shape]:
        """Shape of each input by name."""
        return self.trained.inputs or {"input": self.input_shape}

    @property
    def kind(self) -> TaskKind:
        """The kind of task that it was trained for."""
        return self.trained.kind

    def answers(
        self, pixels: Any, *, limits: Range | None, batch: int, flip: bool = False
    ) -> NDArray[np.float64]:
        """Return probabilities or numbers (images, outputs), the mean over all passes.

        Pixels are (images, *input), for several inputs such arrays by their names. `limits` are
        their black and white, or None for those of training. With `flip`, the mean is also over an
        image and its mirror image.
        """
        each = self.samples(pixels, limits=limits, batch=batch, flip=flip)
        mean: NDArray[np.float64] = sum(each, start=next(each)) / self.passes
        return mean

    def samples(
        self, pixels: Any, *, limits: Range | None, batch: int, flip: bool = False
    ) -> Iterator[NDArray[np.float64]]:
        """Yield the outputs of each pass, as `answers` returns their mean."""
        images: Any = self.preprocessing.on(limits)(pixels)
        if flip:
            mirrored = np.ascontiguousarray(images[..., ::-1, :])  # PyTorch needs it contiguous
        for _ in range(self.passes):
            sample = self._answer(images, batch)
            if flip:
                other = self._answer(mirrored, batch)
                sample = (sample + other) / 2
            yield sample

    def _answer(self, images: Any, batch: int) -> NDArray[np.float64]:
        kind, scale = self.kind, self.trained.scale
        return answers(self.keras, self.model, images, batch=batch, kind=kind, scale=scale)

    def range_of(
        self, extremes: tuple[float, float], where: str, white: float | None = None
    ) -> Range | None:
        """Return black and white of an array: those of training, if its values fit them.

        `extremes` are the smallest and the largest value. With `white`, black is 0, or with
        negative values, in the same proportion to white as in training.
        """
        limits = self.preprocessing.range
        smallest, largest = extremes
        if white is not None:
            self.check_range(where)
        if limits is None or white == limits.white:
            return limits
        if smallest == largest == limits.black and white is None:
            return limits  # all black, on any scale
        if white is not None:
            return Range(white * limits.black / limits.white if smallest < 0 else 0.0, white)
        too_dark = largest <= 1 < limits.white
        if self.trained.preprocessing is None:  # then training's white is a guess
            too_dark = largest < limits.white / BRIGHTER
        beyond = (BRIGHTER - 1) * limits.span
        too_dark = too_dark or smallest < limits.black - beyond
        unsigned = limits.black < 0 <= smallest
        if too_dark or unsigned or largest > limits.white + beyond:
            raise UsageError(
                f"{where} has values from {smallest:g} to {largest:g}, and {self.name} takes "
                f"{limits.black:g} for black and {limits.white:g} for white: "
                "give the value of white with `white=`"
            )
        return limits

    def check_range(self, where: str) -> None:
        """Raise `UsageError` if training's black and white are unknown, unlike those of `where`."""
        if self.preprocessing.range is None:
            raise UsageError(
                f"{self.name} was trained on arrays whose black and white are unknown, so {where} "
                "cannot be put on their scale: give .npy or .npz files of such arrays, or train "
                "with `data.range: [BLACK, WHITE]`"
            )


def load(
    trained: Trained, normalize: str | None = None, *, classifier: bool = True, at: Any = None
) -> LoadedNetwork:
    """Load a network, one with an open input for images of the size `at`.

    Raises:
        UsageError: The file is damaged, has no weights, or layers that archspec does not know; or
            the model does not take images, or should be a `classifier` and is not.

    """
    keras = load_keras()
    file = trained.file
    model = load_file(file) if file.suffix == ".keras" else import_model(file).build()
    if trained.graph and (different := other_network(trained.graph, model)):
        raise UsageError(f"{trained.file} is not the model of its run: {different}")
    jit = compilation.jit(keras, trained.recipe or Recipe(), model)
    if jit != "auto":
        model.jit_compile = jit
    if at is not None:
        trained, model = _resized(trained, model, at)
    network = of_model(keras, model, trained, normalize)
    if classifier and not network.classes:
        output = tuple(main_output(model).shape[1:])
        raise UsageError(
            f"{trained.name} does not output one number for each of several classes, but {output}: "
            "give the folder of a run, which records what its outputs mean"
        )
    return network


def _resized(trained: Trained, model: Any, at: Any) -> tuple[Trained, Any]:
    """Return a network with an open input and its model, for images of another size."""
    if trained.spec is None or trained.recipe is None or trained.recipe.data.size is None:
        raise UsageError(
            f"{trained.name} takes images of one size, to which others are resized: `at=` is for "
            "networks whose input is open, as `input: [null, null, 3]`"
        )
    graph = graph_at(trained.spec, at)
    other = build(graph)
    other.set_weights(model.get_weights())
    return replace(trained, graph=graph), other


def of_model(
    keras: Any, model: Any, trained: Trained, normalize: str | None = None
) -> LoadedNetwork:
    """Return a loaded model as a network, with 0 classes if its output is not a vector of them.

    Raises:
        UsageError: The model does not take single images of a fixed shape, has several outputs
            without a main one, or another number of classes than its run.

    """
    # TensorFlow takes five networks that each trace a function for one that is traced five times.
    logging.getLogger("tensorflow").addFilter(_is_not_of_tracing)
    shapes = [tuple(tensor.shape[1:]) for tensor in getattr(model, "inputs", None) or ()]
    if not shapes:
        raise UsageError(
            f"{trained.name} is a {type(model).__name__} that declares no input; "
            "use a functional or Sequential model"
        )
    several = len(trained.inputs) == len(shapes) > 1
    if (len(shapes) != 1 and not several) or any(not shape or None in shape for shape in shapes):
        raise UsageError(f"{trained.name} takes {shapes}, not single images of a fixed shape")
    outputs = model.outputs
    if len(outputs) > 1 and not (isinstance(model.output, dict) and "output" in model.output):
        raise UsageError(f"{trained.name} has {len(outputs)} outputs, and none is called `output`")
    output = tuple(main_output(model).shape[1:])
    least = 2 if trained.kind == "classification" else 1
    is_vector = len(output) == 1 and output[0] is not None and output[0] >= least
    classes = output[0] if is_vector else 0
    names = trained.class_names
    if names is not None and classes and len(names) != classes:
        nouns = NOUNS[trained.kind][1]
        raise UsageError(f"{trained.name} has {classes} {nouns}, not {len(names)}")
    shape = next(iter(trained.inputs.values())) if several else Shape(shapes[0])
    prepared = trained.preprocessing or _fixed(trained.name, normalize or "none", shape)
    return LoadedNetwork(trained, keras, model, shape, prepared, classes)


def _is_not_of_tracing(record: logging.LogRecord) -> bool:
    return "triggered tf.function retracing" not in record.getMessage()


def load_together(
    chosen: Sequence[Trained],
    normalize: str | None,
    *,
    flip: bool,
    mc_dropout: int | None,
    seed: int | None,
    at: Any = None,
) -> list[LoadedNetwork]:
    """Load networks that are to predict together.

    Raises:
        UsageError: One of them cannot be loaded, or they cannot predict together, or not for
            mirror images with `flip`, or not with `mc_dropout` passes.

    """
    networks = [load(each, normalize, at=at) for each in chosen]
    if mc_dropout is not None:
        for index, each in enumerate(networks):
            model = dropping(each.keras, each.model, seed or 0, each.name)
            networks[index] = replace(each, model=model, passes=mc_dropout)
    first = networks[0]
    for network in networks:
        if network.classes != first.classes:
            raise UsageError(
                f"{first.name} has {first.classes} classes and {network.name} {network.classes}"
            )
        if flip and network.kind == "regression":
            raise UsageError(
                "`flip=True` takes the mean over an image and its mirror image, whose numbers may "
                "be others: it is for classes and labels"
            )
        if flip and len(network.inputs) > 1:
            raise UsageError("`flip=True` is for networks with one input")
        if flip and network.input_shape.rank != 2:
            raise UsageError(
                f"`flip=True` mirrors images of height and width; {network.name} takes "
                f"{network.input_shape}"
            )
    return networks


def _fixed(name: str, how: str, shape: Shape) -> Preprocessing:
    """Return a preprocessing of bytes that does not depend on training images."""
    if how in NEEDS_COLOUR and shape.channels != 3:
        raise UsageError(f"`normalize={how!r}` is for 3 channels, and {name} takes {shape}")
    none = np.empty((0, *shape), np.uint8)
    bytes_ = ArrayPixels(none, shape, "stretch", limits=BYTES)
    return preprocessing.fit(how, "stretch", bytes_, np.empty(0, np.intp))
