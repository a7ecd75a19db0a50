"""The network to explain, from a run, a model file, a model or a spec: a function of raw pixels.

Every method works on the raw pixels of the run's images: the run's own preprocessing is part of the
function that is differentiated. So a gradient is by a raw pixel, a patch has the value of a raw
pixel, and results can be shown and written as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike, fspath, sep
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from archspec import arguments
from archspec.data.preprocessing import Preprocessing
from archspec.data.values import Range
from archspec.errors import UsageError, suggestion
from archspec.evaluation import trained
from archspec.evaluation.inference import main_output
from archspec.evaluation.trained import LoadedNetwork, RunSource, Trained
from archspec.explain.circuit import INPUT, AnyTensor, Circuit, CircuitCall, ReluRule, Trace
from archspec.explain.gradient import compiled
from archspec.keras_model.build import build
from archspec.keras_model.engine import load_keras
from archspec.lazy import np
from archspec.ops.shape import Shape
from archspec.runs import storage
from archspec.spec.document import Spec
from archspec.spec.loading import load as load_spec

if TYPE_CHECKING:
    from numpy.typing import NDArray


class KerasModel(Protocol):
    """A Functional or Sequential model of Keras 3, described without importing Keras."""

    name: Any
    layers: Any

    def get_config(self) -> Any: ...


Explainable: TypeAlias = "RunSource | Spec | KerasModel | Subject"
"""A run, its folder, a model file, a Keras model, or a spec, whose weights are then random.

A `Subject` is a network that is loaded already, which one method passes to another.
"""

UNPREPARED: Final = "none"
"""Default preparation of images for methods that look at none."""

UNTRAINED: Final = "unit"
"""Default preparation of images for a network that was never trained."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A network that is explained."""

    network: LoadedNetwork
    circuit: Circuit
    notes: tuple[str, ...] = ()
    """Remarks on the network, for example that it is untrained."""

    @property
    def keras(self) -> Any:
        return self.network.keras

    @property
    def name(self) -> str:
        return self.network.name

    @property
    def shape(self) -> Shape:
        """Shape of an image."""
        return self.network.input_shape

    @property
    def preprocessing(self) -> Preprocessing:
        return self.network.preprocessing

    @property
    def range(self) -> Range | None:
        """Black and white among raw pixels; None where they are not known."""
        return self.preprocessing.range

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes; numbers where they have none.

        Raise `UsageError` if the network is not a classifier.
        """
        if self.network.kind == "regression":
            raise UsageError(
                f"{self.name} predicts numbers, and this method explains a class or a label"
            )
        if not self.network.classes:
            raise UsageError(
                f"{self.name} is not a classifier: its output is "
                f"{tuple(main_output(self.network.model).shape[1:])}"
            )
        names = self.network.trained.class_names
        return names or tuple(map(str, range(self.network.classes)))

    def class_index(self, name: str | int) -> int:
        """Return the number of a class, given by its name or, if it has none, by its number."""
        names = self.class_names
        if isinstance(name, str) and name in names:
            return names.index(name)
        if not isinstance(name, str):
            index = arguments.whole("target", name, least=0)
            if index < len(names):
                return index
            raise UsageError(
                f"`target={index}`: {self.name} has {len(names)} classes, 0 to {len(names) - 1}"
            )
        hint = suggestion(name, names, what="classes")
        raise UsageError(f"`target={name!r}`: {self.name} has no such class; {hint}")

    @cached_property
    def _made(self) -> dict[Any, Any]:
        return {}

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return the value of a key, such as a compiled function, which is made once."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def prepared(self, pixels: AnyTensor) -> AnyTensor:
        """Return raw pixels as the network takes them: a float32 tensor, (n, *shape)."""
        ops, how = self.keras.ops, self.preprocessing
        values = ops.cast(pixels, "float32")
        if how.reverse_channels:
            values = ops.flip(values, axis=-1)
        mean = ops.convert_to_tensor(how.mean, dtype="float32")
        deviation = ops.convert_to_tensor(how.deviation, dtype="float32")
        return (values - mean) / deviation

    def run(
        self,
        pixels: AnyTensor,
        *,
        watch: Collection[str] = (),
        relu: ReluRule = "vanilla",
        edit: Mapping[str, Callable[[AnyTensor], AnyTensor]] | None = None,
    ) -> Trace:
        """Run the network on a tensor of raw pixels (see `Circuit.run`)."""
        return self.circuit.run(self.prepared(pixels), watch=watch, relu=relu, edit=edit)

    def logits(self, values: Trace) -> AnyTensor:
        """Return (n, classes) scores before the softmax, of a run that watched `circuit.scores`.

        They are float32, whatever precision the network computes in.
        """
        scores = self.keras.ops.cast(values.before[self.circuit.scores], "float32")
        if len(scores.shape) == 2:
            return scores
        return self.keras.ops.reshape(scores, (-1, len(self.class_names)))

    @cached_property
    def _predict(self) -> Callable[..., Any]:
        watch = (self.circuit.scores,)
        return compiled(self.circuit, lambda pixels: self.logits(self.run(pixels, watch=watch)))

    def scores(self, pixels: NDArray[Any], batch: int) -> NDArray[np.float64]:
        """Return (n, classes) scores before the softmax, `batch` images at a time.

        Raise `UsageError` if they are not finite.
        """
        result = np.concatenate(
            [each.astype(np.float64) for each in batched(self._predict, batch, pixels)]
        )
        self.check_finite(result)
        return result

    def check_finite(self, outputs: NDArray[Any], layer: str = "") -> None:
        """Raise `UsageError` where outputs of the network, or of a layer, are not finite."""
        if not np.isfinite(outputs).all():
            where = f" at {layer}" if layer else ""
            raise UsageError(
                f"{self.name} produced outputs that are not finite{where}: its weights are corrupt"
            )

    def one_hot(self, targets: Sequence[int] | NDArray[np.intp]) -> NDArray[np.float32]:
        """Return (n, classes) weights of the scores: 1 for the class of each image, else 0."""
        return np.eye(len(self.class_names), dtype=np.float32)[np.asarray(targets, np.intp)]

    def probabilities(self, scores: NDArray[Any]) -> NDArray[np.float64]:
        """Return (n, classes) probabilities of scores, by the network's end or else a softmax."""
        scores = scores.astype(np.float64)
        if self.circuit.gives_shares:
            return scores
        if self.circuit[self.circuit.scores].activation in {"sigmoid", "log_sigmoid"}:
            odds: NDArray[np.float64] = 1 / (1 + np.exp(-scores))
            return odds
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
        return shares

    def layer(self, name: str) -> CircuitCall:
        """Return the layer of a name; raise `UsageError` if there is no layer of this name."""
        return self.circuit.find(arguments.text("layer", name))

    @cached_property
    def penultimate(self) -> CircuitCall:
        """The layer whose output is the input of the last layer with a kernel: the features.

        Raise `UsageError` if the network has fewer than two layers with kernels.
        """
        kernels = [
            call
            for call in self.circuit.used
            if any(len(weight.shape) > 1 for weight in call.weights)
        ]
        result = next((name for call in kernels[-1:] for name in call.inputs), INPUT)
        if len(kernels) < 2 or result == INPUT:
            raise UsageError(
                f"{self.name} has no layer between the image and its scores: name one with `layer=`"
            )
        return self.circuit[result]


def even(count: int, batch: int) -> int:
    """Return the size of batches, at most `batch`, for which the last one is nearly full."""
    return math.ceil(count / math.ceil(count / batch))


def batched(function: Callable[..., Any], batch: int, *arrays: NDArray[Any]) -> Any:
    """Yield the results of a compiled function of arrays, `batch` rows at a time.

    All batches have one size (see `even`), so that the function is compiled once. The last one is
    filled up, and the results of the filling are cut off.
    """
    count = len(arrays[0])
    batch = even(count, batch)
    for start in range(0, count, batch):
        rows = [array[start : start + batch] for array in arrays]
        used = len(rows[0])
        if used < batch:
            rows = [np.concatenate([r, np.repeat(r[:1], batch - used, axis=0)]) for r in rows]
        yield _cut(function(*rows), used)


def _cut(result: Any, count: int) -> Any:
    """Return the first rows of every array in a result; a number for all rows stays."""
    if isinstance(result, dict):
        return {key: _cut(each, count) for key, each in result.items()}
    if isinstance(result, (tuple, list)):
        return type(result)(_cut(each, count) for each in result)
    return result[:count] if getattr(result, "ndim", 0) else result


def open_subject(
    run: Explainable, *, normalize: str | None = None, seed: int = 0, looks: bool = True
) -> Subject:
    """Load the network to explain; a `Subject` is returned as it is.

    `normalize` says how images are prepared, for files, models and specs, which do not; it may be
    missing where the method `looks` at none. The weights of a spec, which is untrained, are of
    `seed`.

    Raises:
        UsageError: there is no such run, or its network cannot be explained.
        SpecError: the spec is wrong.

    """
    if isinstance(run, Subject):
        return run
    notes: list[str] = []
    if (spec := _spec(run)) is not None:
        keras = load_keras()
        keras.utils.set_random_seed(seed)
        network = trained.of_model(
            keras, build(spec), Trained(spec.name, Path()), normalize or UNTRAINED
        )
        notes.append(f"{network.name} is untrained: its weights are random, of seed {seed}")
    elif hasattr(run, "get_config") and hasattr(run, "layers"):
        name = str(getattr(run, "name", "the model"))
        normalize = normalize if looks else normalize or UNPREPARED
        if normalize is None:
            raise UsageError(
                f"{name} does not say how its images are prepared: say `normalize=`, one of "
                f"{', '.join(trained.NORMALIZE)}"
            )
        arguments.one_of("normalize", normalize, trained.NORMALIZE)
        network = trained.of_model(load_keras(), run, Trained(name, Path()), normalize)
    else:
        place = getattr(run, "folder", run)
        if not isinstance(place, (str, PathLike)):
            raise arguments.wrong(
                "run", run, "a run, its folder, a model file, a Keras model or a spec"
            )
        if not looks and Path(place).is_file():
            normalize = normalize or UNPREPARED
        (chosen,) = trained.find(place, normalize)
        network = trained.load(chosen, normalize, classifier=False)
    if len(network.inputs) > 1:
        raise UsageError(
            f"{network.name} has several inputs, and `explain` shows what a network sees in one"
        )
    _check_weights(network)
    circuit = Circuit(network.keras, network.model, network.name)
    if network.classes and circuit.gives_shares:
        notes.append(
            f"{network.name} gives probabilities, without a softmax that can be left out: they "
            "stand for the scores, and have hardly any gradient where the network is certain"
        )
    return Subject(network, circuit, tuple(notes))


def _check_weights(network: LoadedNetwork) -> None:
    """Raise `UsageError` where weights are not finite.

    The outputs need not show it: on the CPU, TensorFlow 2.21 fuses a convolution, its bias and its
    ReLU into one oneDNN operation, which turns NaN into 0.
    """
    for weight in network.model.weights:
        if not network.keras.backend.is_float_dtype(weight.dtype):
            continue
        if not np.isfinite(network.keras.ops.convert_to_numpy(weight)).all():
            raise UsageError(
                f"{network.name}: {weight.path} has values that are not finite: its weights are "
                "corrupt"
            )


def _spec(run: Explainable) -> Spec | None:
    """Return the spec, unless `run` is a run's folder or a model's file."""
    if isinstance(run, Spec):
        return run
    if not isinstance(run, (str, PathLike)):
        return None
    name = fspath(run)
    family, _, variant = name.rpartition(":")
    if Path(family or variant).suffix in {".yaml", ".yml", ".json"}:
        return load_spec(name)
    if storage.kind_of(Path(name)) or sep in name or "." in name:
        return None
    try:
        return load_spec(name)
    except UsageError:  # not the name of a spec either: the run is missing
        return None
