"""A network before training: activations and gradients of its first step, layer by layer.

Weights and examples are drawn by NumPy, so that a seed gives the same on every backend; only
Keras's own initialisers draw from the backend.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from archspec import arguments
from archspec.cost.report import Report, Row, report
from archspec.data import dataset
from archspec.data.fitting import input_misfits
from archspec.data.sources import SOURCES
from archspec.display import Displayed
from archspec.errors import Problem, UsageError, suggestion
from archspec.graph.graph import Graph, Layer, Node
from archspec.imports.loading import spec_for
from archspec.keras_model.build import build, layer_name
from archspec.keras_model.engine import deep, load_keras
from archspec.keras_model.verify import last_calls
from archspec.lazy import np
from archspec.ops.convolution import Banked
from archspec.ops.op import Op
from archspec.ops.shape import Shape
from archspec.recipe.train import Recipe
from archspec.runs.storage import plain
from archspec.spec.document import Spec
from archspec.spec.findings import spec_error
from archspec.training import gradients
from archspec.training.activity import BOUNDS, DYING, dead, function_of, linear_range

if TYPE_CHECKING:
    from numpy.typing import NDArray

GAUSSIAN: Final = "gaussian"
"""Data whose values are all drawn from the unit gaussian."""

KERAS: Final = "keras"
"""Keras's own initialiser, Glorot's uniform distribution.

Its variance is 2 / (fan in + fan out); that of `xavier` is 1 / fan in, as in CS231n's lecture.
"""

SCALES: Final = {"xavier": 1.0, "he": 2.0}
"""Variance times fan in of each such initialiser."""

_CALLED: Final = {"kaiming": "he", "he_": "he", "msra": "he", "glorot": "xavier"}
"""Beginnings of these initialisers' other names."""


@dataclass(frozen=True, slots=True)
class Gaussian:
    """Kernels drawn from a gaussian of mean 0; all other weights start as in Keras."""

    variance: float
    per_input: bool
    """Whether the variance is divided by the fan in."""

    @classmethod
    def read(cls, text: str) -> Gaussian | None:
        """Return an initialiser by name, None for Keras's own; raise `UsageError` for others."""
        if text == KERAS:
            return None
        if text in SCALES:
            return cls(SCALES[text], per_input=True)
        name, _, number = text.partition(":")
        try:
            std = float(number)
        except ValueError:
            std = -1.0
        if name != "normal" or not 0 <= std < float("inf"):
            near = next((ours for word, ours in _CALLED.items() if text.startswith(word)), None)
            known = f"write {KERAS}, {', '.join(SCALES)}, or normal:STD, such as normal:0.01"
            hint = f"did you mean `{near}`?" if near else known
            raise UsageError(f"there is no initialiser `{text}`; {hint}")
        return cls(std * std, per_input=False)

    def std(self, layer: Layer) -> float:
        """Return the standard deviation of a layer's kernel."""
        if not self.per_input:
            return math.sqrt(self.variance)
        return math.sqrt(self.variance * layer.output.size / layer.macs)


SCHEMA_VERSION = 1
"""Version of the JSON form. It grows when a key changes its meaning or goes."""

CONVENTION = (
    "mean, std: of a layer's outputs, over the batch; dead: share of its units, of a map its "
    "channels, that are 0 throughout the batch; saturated: share of its outputs within 0.5 % of "
    "their range from a bound; gradient: L2 norm, over all weights of the layer. The loss is the "
    "cross-entropy with random labels; after a sigmoid, each value has a label of 0 or 1."
)
"""Meaning of the columns, shown under every table."""


class Activity(NamedTuple):
    """Measures of a layer's outputs, and of the gradient of its weights."""

    mean: float
    std: float
    dead: float | None
    """Share of dead units; None for a function without any."""
    saturated: float | None
    """Share of saturated outputs; None for a function without bounds."""
    gradient: float | None
    """Norm of the gradient; None for a layer without trained weights."""


class ProbeRow(NamedTuple):
    """A row of the table: the output of a layer or block, and the gradient of all in it."""

    row: Row
    activity: Activity


@dataclass(frozen=True)
class Probe(Displayed):
    """Activations and gradients of a network before training; `rows` has them by layer."""

    RENDERER = "probe"

    report: Report
    """The network's report, for the same batch."""
    data: str
    """Name of the data, such as gaussian."""
    init: str
    """Name of the initialiser, such as normal:0.01."""
    seed: int
    loss: float
    activities: tuple[Activity, ...]
    """Measures of every node of the report's graph."""

    @property
    def name(self) -> str:
        return self.report.name

    def rows(self, depth: int | None = None, *, ops: bool = False) -> tuple[ProbeRow, ...]:
        """Return the rows of the report's table, where a layer and its activation are one."""
        return tuple(ProbeRow(row, self._activity(row)) for row in self.report.rows(depth, ops=ops))

    def _activity(self, row: Row) -> Activity:
        inside = self.activities[row.start : row.stop]
        gradients = [each.gradient for each in inside if each.gradient is not None]
        return inside[-1]._replace(gradient=math.hypot(*gradients) if gradients else None)

    def to_dict(self, depth: int | None = None, *, ops: bool = False) -> dict[str, Any]:
        """Return everything as plain data: the JSON form, versioned by `schema_version`.

        Infinite and NaN numbers are None, and `input` where there are several `inputs`.
        """
        graph = self.report.graph
        return {
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "about": self.report.about,
            "convention": CONVENTION,
            "input": list(graph.input) if len(graph.inputs) == 1 else None,
            "inputs": {name: list(shape) for name, shape in graph.input_shapes.items()},
            "batch": self.report.setting.batch,
            "data": self.data,
            "init": self.init,
            "seed": self.seed,
            "loss": plain(self.loss),
            "rows": [
                {
                    "path": row.path,
                    "kind": row.kind,
                    "label": row.label,
                    "shape": list(row.shape),
                    **plain(activity._asdict()),
                }
                for row, activity in self.rows(depth, ops=ops)
            ],
        }


def probe(
    spec: Spec | str | PathLike[str],
    *,
    init: str = KERAS,
    data: str = GAUSSIAN,
    batch: int = 32,
    seed: int = 0,
) -> Probe:
    """Measure activations and gradients of an untrained network on one batch.

    Layers act as in training: norms use the batch's statistics, dropout drops. The loss is the
    cross-entropy of each output with random labels. After a sigmoid each value is a yes or no of
    its own; any other output counts as the logits of classes, or, if it is a single value, as a
    number, whose loss is the squared error.

    Args:
        spec: A spec, or a path or a name as `load` takes them.
        init: The initialiser of kernels: `keras` (Keras's own), `normal:0.01` (a gaussian of that
            standard deviation), `xavier` (variance 1 / fan in) or `he` (variance 2 / fan in).
        data: `gaussian`, or a source of images as in a recipe, such as `digits`.
        batch: Number of examples.
        seed: Seed of weights, examples and labels.

    Returns:
        A probe that prints itself as a table: for each layer the mean and standard deviation of
        its outputs, the share of dead or saturated units, and the gradient norm of its weights.

    Raises:
        SpecError: The spec is wrong.
        UsageError: An argument is wrong, or Keras's backend is not installed.

    Example:
        >>> len(archspec.probe("lenet5", init="he", batch=4).activities) > 0
        True
    """
    batch = arguments.whole("batch", batch)
    seed = arguments.whole("seed", seed, least=0)
    start = Gaussian.read(arguments.text("init", init))
    arguments.text("data", data)
    if data not in (GAUSSIAN, *SOURCES):
        hint = suggestion(data, (GAUSSIAN, *SOURCES), what="data")
        raise UsageError(f"there is no data `{data}` to feed; {hint}")
    spec = spec_for("`archspec.probe`", spec)
    costs = report(spec, batch=batch)
    graph = costs.graph
    _check_size(spec, graph)
    if data != GAUSSIAN and len(graph.inputs) > 1:
        raise UsageError(f"`{graph.name}` has {len(graph.inputs)} inputs: it is fed noise alone")
    if data != GAUSSIAN:
        _check_input(spec, data, graph.input)
    keras = load_keras()
    keras.utils.set_random_seed(seed)
    random = np.random.default_rng(seed)
    fed = {
        name: _examples(data, shape, batch, random) for name, shape in graph.input_shapes.items()
    }
    examples = fed if len(fed) > 1 else next(iter(fed.values()))
    model = build(graph)
    if start is not None:
        _draw_kernels(model, graph, start, random)
    calls = last_calls(graph, model)
    with deep(len(graph.nodes)):
        watched = keras.Model(model.input, [call.outputs[0] for call in calls])
        outputs = watched(examples, training=True)
        seen = [
            _activity(node, keras.ops.convert_to_numpy(output))
            for node, output in zip(graph.nodes, outputs, strict=True)
        ]
        del outputs
        scores = {name: calls[index].outputs[0] for name, index in _scores(graph).items()}
        loss, norms = _gradients(
            keras, keras.Model(model.input, scores), graph, examples, batch, random
        )
    return Probe(
        report=costs,
        data=data,
        init=init,
        seed=seed,
        loss=loss,
        activities=tuple(
            activity._replace(gradient=gradients.of_layer(norms, call.layer))
            for activity, call in zip(seen, calls, strict=True)
        ),
    )


def _check_size(spec: Spec, graph: Graph) -> None:
    """Raise `SpecError` for a network whose input is open."""
    if graph.is_open:
        problem = Problem(
            "value",
            "a probe needs an input of known size",
            help="set the size of the images, as `input=[224, 224, 3]`",
        )
        raise spec_error(spec.source, [problem.at(spec.source.span(("input",)))])


def _check_input(spec: Spec, data: str, extent: Shape) -> None:
    """Raise `SpecError` if the images do not fit the input; the output does not matter here."""
    recipe = Recipe.resolve({}, {"data": data}).data
    preview = SOURCES[recipe.source].preview(recipe, extent)
    for _, problem in input_misfits(recipe, preview, {"input": extent}):
        raise spec_error(spec.source, [problem.at(spec.source.span(("input",)))])


def _examples(
    data: str, extent: Shape, batch: int, random: np.random.Generator
) -> NDArray[np.float32]:
    if data == GAUSSIAN:
        return random.standard_normal((batch, *extent), dtype="float32")
    images = dataset.load(Recipe.resolve({}, {"data": data}).data, extent)
    part = images.train
    if batch > len(part):
        raise UsageError(f"{data} has {len(part):,} images to train on, not {batch:,}")
    chosen = part.indices[random.choice(len(part), batch, replace=False)]
    return images.preprocessing(part.pixels.read(chosen))


def _draw_kernels(model: Any, graph: Graph, start: Gaussian, random: np.random.Generator) -> None:
    for node in graph.nodes:
        if isinstance(node.op, Banked) and node.op.initial:  # a bank of filters, given by a formula
            continue
        if node.layer.owner:  # its weights are another layer's
            continue
        for weight in model.get_layer(layer_name(node)).weights:
            if weight.name == "kernel":
                values = random.standard_normal(weight.shape, dtype="float32")
                weight.assign(values * start.std(node.layer))


def _activity(node: Node, values: NDArray[Any]) -> Activity:
    """Return the measures of a node's output for the whole batch, channels last."""
    function = function_of(node.op)
    dying = saturated = None
    if function in DYING:
        dying = dead(values.reshape(-1, values.shape[-1]).max(axis=0))
    elif function in BOUNDS:
        low, high = linear_range(function)
        saturated = float(((values < low) | (values > high)).mean())
    # A sum over a batch of large maps needs more digits than float32 has.
    mean, std = values.mean(dtype="float64"), values.std(dtype="float64")
    return Activity(float(mean), float(std), dying, saturated, None)


def _scores(graph: Graph) -> dict[str, int]:
    """Return the node of each output, or the input of its softmax or sigmoid.

    A cross-entropy from logits has a gradient however wrong they are, and on all backends.
    """
    return {
        name: graph.nodes[index].inputs[0] if _makes_shares(graph.nodes[index].op) else index
        for name, index in graph.outputs.items()
    }


def _makes_shares(op: Op) -> bool:
    """Return whether an op makes probabilities of logits."""
    if op.kind == "softmax":
        return getattr(op, "axis", None) == "channels"
    return function_of(op) in ("softmax", "sigmoid")


def _gradients(
    keras: Any,
    model: Any,
    graph: Graph,
    examples: Any,
    batch: int,
    random: np.random.Generator,
) -> tuple[float, dict[str, float]]:
    """Return the loss, and the norm of its gradient for each weight by path."""
    losses, labels = {}, {}
    for name, scores in model.output.items():
        *extents, classes = scores.shape[1:]
        if function_of(graph.nodes[graph.outputs[name]].op) == "sigmoid":
            losses[name] = keras.losses.BinaryCrossentropy(from_logits=True)
            labels[name] = random.integers(2, size=(batch, *extents, classes))
        elif classes == 1:
            losses[name] = keras.losses.MeanSquaredError()
            labels[name] = random.integers(2, size=(batch, *extents))
        else:
            losses[name] = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            labels[name] = random.integers(classes, size=(batch, *extents))
    model.compile(
        gradients.norm_optimizer(keras),
        loss=losses,
        loss_weights={name: graph.loss_weights.get(name, 1.0) for name in losses},
        run_eagerly=True,  # it is only one step
        jit_compile=False,
    )
    return gradients.measure(keras, model, examples, labels)
