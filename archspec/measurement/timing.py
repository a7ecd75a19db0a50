"""The time of each distinct layer, and of the whole network, on the machine at hand.

A row of the table is built as a Keras model of its own, with the tensors that it reads as inputs,
compiled as the backend compiles (JAX and TensorFlow by their tracing, PyTorch eagerly) and run on
random values. Rows of equal layers at equal shapes are run once. The bounds beside the times are
those of `cost/roofline.py`. Of a CPU their peak is measured, by a matrix product, and their
bandwidth by a copy: a row whose tensors stay in a cache, or whose convolution needs fewer
multiplications than its multiply-adds, may be faster than such a bound.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from archspec import arguments, system
from archspec.cost.report import report
from archspec.cost.roofline import Bound, Roofline
from archspec.cost.size import refuse_open
from archspec.device.device import Device
from archspec.device.finding import find
from archspec.device.table import ANY_CPU
from archspec.display import Displayed
from archspec.errors import UsageError
from archspec.graph.graph import Graph, Input, Node, layer_at
from archspec.imports.loading import spec_for
from archspec.keras_model.build import build
from archspec.keras_model.engine import dtype_policy, load_keras
from archspec.lazy import np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

    from archspec.spec.document import Spec

SCHEMA_VERSION: Final = 1
"""Version of the JSON form. It grows when a key changes its meaning or is removed."""

WARM_UP: Final = 2
"""Runs before those that count: the first compiles, the second touches new memory."""

LEAST_SAMPLES: Final = 5
MOST_SAMPLES: Final = 50

SAMPLE_SECONDS: Final = 1e-3
"""Least length of a sample: shorter runs are repeated, and the wait for the device is one."""

MOST_CALLS: Final = 1000
"""Most runs of a sample."""

ROW_SECONDS: Final = 0.2
"""Time after which a row has enough samples, if there are as many as the least."""

COPIED_VALUES: Final = 1 << 26
"""Values of the array whose copy gives the bandwidth: 256 MB, more than a cache holds."""

CPU: Final = "cpu"
"""Name of the machine at hand where it computes on its processor."""


class Timing(NamedTuple):
    """The time of one run: the median of samples, and the middle half of them."""

    seconds: float
    lower: float
    """A quarter of the samples are shorter."""
    upper: float
    """A quarter of the samples are longer."""
    samples: int
    calls: int
    """Runs of each sample."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, as in every JSON form."""
        return self._asdict()


class TimedRow(NamedTuple):
    """A row, and the rows that do the same."""

    bound: Bound
    """Path, label, shape and least time of the first of them."""
    equals: int
    """Number of rows that do the same, this one too."""
    timing: Timing

    @property
    def ratio(self) -> float | None:
        """The time in multiples of the least time."""
        return self.timing.seconds / self.bound.seconds if self.bound.seconds else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, as in every JSON form."""
        return {
            **self.bound.to_dict(),
            "rows": self.equals,
            "measured": self.timing.to_dict(),
            "ratio": self.ratio,
        }


@dataclass(frozen=True, repr=False)
class Timings(Displayed):
    """The time of a network's layers on the machine at hand, beside their least time."""

    RENDERER = "timing"

    roofline: Roofline
    """Least times, by a data sheet or by what this machine reached."""
    backend: str
    """Keras's backend, with its version."""
    rows: tuple[TimedRow, ...]
    """The distinct rows, in the order of the table."""
    inference: Timing
    """Time of the whole forward pass."""
    step: Timing | None = None
    """Time of the whole training step, where it was asked for."""
    paths: Mapping[str, float] = field(default_factory=dict)
    """Seconds of every row by its path, equal rows the same."""

    @property
    def name(self) -> str:
        """Name of the network."""
        return self.roofline.name

    @property
    def rows_seconds(self) -> float:
        """Sum of the times of all rows, each run alone."""
        return sum(row.equals * row.timing.seconds for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data: the JSON form, versioned by `schema_version`."""
        roofline = self.roofline
        return {
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "device": roofline.device.name,
            "device_title": roofline.device.title,
            "peaks": roofline.device.source,
            "peak": roofline.peak,
            "bandwidth": roofline.device.bandwidth,
            "backend": self.backend,
            **roofline.report.setting.to_dict(),
            "rows": [row.to_dict() for row in self.rows],
            "inference": {
                "least_seconds": roofline.inference.seconds,
                "floor_seconds": roofline.floor,
                "measured": self.inference.to_dict(),
                "rows_seconds": self.rows_seconds,
            },
            "training": self.step
            and {"least_seconds": roofline.step.seconds, "measured": self.step.to_dict()},
        }

    def __repr__(self) -> str:
        return f"<Timings of {self.name}: {self.inference.seconds:.3g} s>"


def time_network(
    spec: Spec | str | PathLike[str],
    device: Device | str = CPU,
    *,
    batch: int | None = None,
    dtype: str | None = None,
    training: bool = False,
    at: str | int | Sequence[int] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Timings:
    """Run each distinct layer and the whole network, and return times beside their bounds.

    Args:
        spec: A spec, or a path or a name as `load` takes them.
        device: `"cpu"` for the machine at hand, whose peak and bandwidth are measured, also where
            it has an accelerator; or the name of that accelerator, for the peaks of its data sheet.
        batch: Images in a batch. Default: one for inference, the recipe's for training.
        dtype: Keras's dtype policy. Default: the recipe's precision, or float32.
        training: Whether to run a training step too, which needs Keras on JAX.
        at: The size at which a network whose input is open is evaluated.
        progress: Function that is called with a line before each row.

    Returns:
        Times that print themselves: `rows`, and `inference` and `step` as a whole.

    Raises:
        SpecError: The spec has mistakes.
        UsageError: An argument is wrong, or there is no such device at hand.

    Example:
        >>> times = archspec.time_network("lenet5", batch=8)  # doctest: +SKIP
        >>> times.inference.seconds, times.rows[0].ratio  # doctest: +SKIP
        (0.0004, 3.1)
    """
    arguments.flag("training", training)
    spec = spec_for("a measurement", spec, inference=not training)
    costs = report(spec, batch=batch, dtype=dtype, at=at)
    refuse_open(costs.graph, "a measurement")
    found = find(device, {CPU: ANY_CPU})
    known = None if found is ANY_CPU else found
    keras = load_keras()
    backend = keras.backend.backend()
    if training and backend != "jax":
        raise UsageError(
            f"a training step is timed on JAX, not on {backend}: set KERAS_BACKEND=jax"
        )
    if known is not None:
        _check_at_hand(keras, known)
    say = progress or (lambda _: None)
    setting = costs.setting
    with dtype_policy(keras, setting.dtype):
        if known is None:
            say("measuring the peak by a matrix product, the bandwidth by a copy ...")
        roofline = Roofline(costs, known or measured_device(keras, setting.dtype))
        bounds = {row.path: row for row in roofline.rows()}
        busy = [row for row in costs.rows() if row.path in bounds and bounds[row.path].seconds]
        groups = _distinct(costs.graph, busy)
        timed, paths = [], {}
        for index, (rows, graph) in enumerate(groups, 1):
            first = bounds[rows[0].path]
            say(f"{index} of {len(groups)}: {first.path}")
            timing = _timed_forward(keras, graph, setting.batch)
            timed.append(TimedRow(first, len(rows), timing))
            paths.update({row.path: timing.seconds for row in rows})
        say("the whole network")
        whole = _timed_forward(keras, costs.graph, setting.batch)
        step = None
        if training:
            say("a training step")
            step = _timed_step(keras, spec, costs.graph, setting)
    version = f"Keras {keras.__version__} on {backend}"
    return Timings(roofline, version, tuple(timed), whole, step, paths)


def measured_device(keras: Any, dtype: str) -> Device:
    """Return the machine at hand as a device: its peak and its bandwidth are measured.

    Args:
        keras: The keras module.
        dtype: Keras dtype policy.
    """
    # Other processes may disturb one.
    peak = max(system.peak_flops(keras, dtype) for _ in range(LEAST_SAMPLES))
    copy: Callable[[], Any]
    if _has_accelerator(keras):
        values = keras.ops.ones((COPIED_VALUES,), dtype="float32")
        added = _compiled(keras, lambda array: keras.ops.add(array, 1))
        copy = partial(added, values)
    else:
        copy = _copy_by_threads()
    samples = [_sample(copy, 1, time.perf_counter) for _ in range(WARM_UP + LEAST_SAMPLES)]
    return Device(
        CPU,
        f"this machine ({', '.join(system.devices(keras))})",
        system.ram_bytes(),
        2 * 4 * COPIED_VALUES / min(samples),
        {dtype.removeprefix("mixed_"): peak},
        "measured here: a matrix product and a copy",
    )


def _copy_by_threads() -> Callable[[], None]:
    """Return a copy between two arrays in memory, by a thread for each core.

    An engine's copy would be slower by the time in which the system gives it new pages.
    """
    source, target = np.ones(COPIED_VALUES, np.float32), np.zeros(COPIED_VALUES, np.float32)
    threads = system.cores()
    pool = ThreadPoolExecutor(threads)
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))

    def copy() -> None:
        for _ in pool.map(lambda part: np.copyto(*part), parts):
            pass

    return copy


def _has_accelerator(keras: Any) -> bool:
    return not all(name.startswith(CPU) for name in system.devices(keras))


def _check_at_hand(keras: Any, known: Device) -> None:
    """Raise `UsageError` unless this machine computes on an accelerator."""
    if not _has_accelerator(keras):
        raise UsageError(
            f"there is no {known} at hand, and time is measured, not compiled: "
            "`device='cpu'` measures this machine"
        )


def _distinct(graph: Graph, rows: Sequence[Any]) -> list[tuple[list[Any], Graph]]:
    """Return the rows that do the same, together, each with a graph of its own."""
    groups: dict[Hashable, tuple[list[Any], Graph]] = {}
    for row in rows:
        alone, key = row_graph(graph, row.start, row.stop)
        groups.setdefault(key, ([], alone))[0].append(row)
    return list(groups.values())


def row_graph(graph: Graph, start: int, stop: int) -> tuple[Graph, Hashable]:
    """Return the nodes from `start` up to `stop` as a network, and a key that equal ones share.

    Its inputs are the tensors that the nodes read from outside, its outputs what is read outside.
    """
    inside = graph.nodes[start:stop]
    outside = dict.fromkeys(index for node in inside for index in node.inputs if index < start)
    places = {index: place for place, index in enumerate(outside)}
    places.update({node.index: len(outside) + place for place, node in enumerate(inside)})
    nodes = [
        Node(place, f"x{place}", layer_at(Input(extent=tuple(graph.nodes[index].shape)), ()), ())
        for place, index in enumerate(outside)
    ]
    for place, node in enumerate(inside):
        layer = layer_at(node.op, node.layer.inputs)  # with weights of its own, if it shares others
        reads = tuple(places[index] for index in node.inputs)
        nodes.append(Node(places[node.index], f"y{place}", layer, reads))
    used = {index for node in graph.nodes[stop:] for index in node.inputs}
    used.update(graph.outputs.values())
    ends = [places[node.index] for node in inside if node.index in used]
    outputs = {f"out{place}": index for place, index in enumerate(ends)}
    key = (tuple((node.layer, node.inputs) for node in nodes), tuple(ends))
    return Graph("row", tuple(nodes), outputs), key


def _timed_forward(keras: Any, graph: Graph, batch: int) -> Timing:
    """Return the time of a network's forward pass on random values."""
    model = build(graph)
    policy = keras.config.dtype_policy()
    for layer in model.layers:
        if type(layer).__name__ != "InputLayer" and graph.name == "row":
            layer.dtype_policy = policy  # the model's ends would compute in float32
    values = [_random(keras, (batch, *shape), policy) for shape in graph.input_shapes.values()]
    inputs = values[0] if len(values) == 1 else dict(zip(graph.inputs, values, strict=True))
    function = _forward(keras, model)
    return timed(lambda: function(inputs))


def _random(keras: Any, shape: Sequence[int], policy: Any) -> Any:
    """Return values of a normal distribution: zeros would draw less power, and run faster."""
    values = keras.random.normal(tuple(shape), dtype="float32")
    return keras.ops.cast(values, policy.compute_dtype)


def _forward(keras: Any, model: Any) -> Callable[[Any], Any]:
    """Return the forward pass of a model as the backend runs it, which waits for its result."""
    if keras.backend.backend() == "jax":
        state = [variable.value for variable in model.trainable_variables]
        others = [variable.value for variable in model.non_trainable_variables]
        compiled = _compiled(
            keras, lambda w, v, x: model.stateless_call(w, v, x, training=False)[0]
        )
        return lambda x: compiled(state, others, x)
    return _compiled(keras, lambda x: model(x, training=False))


def _compiled(keras: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function as the backend compiles it."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax  # noqa: PLC0415

        jitted: Callable[..., Any] = jax.jit(function)
        return jitted
    if backend == "tensorflow":
        import tensorflow as tf  # noqa: PLC0415

        return tf.function(function)  # type: ignore[no-any-return]
    import torch  # noqa: PLC0415

    def without_gradients(*arrays: Any) -> Any:
        with torch.no_grad():
            return function(*arrays)

    return without_gradients


def wait(result: Any) -> None:
    """Return when a result is computed: engines of accelerators return before that."""
    leaves = [] if result is None else list(_leaves(result))
    if leaves and hasattr(leaves[0], "block_until_ready"):
        for leaf in leaves:
            leaf.block_until_ready()
    elif leaves and type(leaves[0]).__module__.startswith("torch"):
        import torch  # noqa: PLC0415

        if torch.cuda.is_available():
            torch.cuda.synchronize()
    elif leaves:  # one value of each is fetched from the device
        for leaf in leaves:
            leaf[(slice(0, 1),) * len(leaf.shape)].numpy()


def _leaves(result: Any) -> Iterator[Any]:
    if isinstance(result, Mapping):
        result = result.values()
    elif not isinstance(result, list | tuple):
        yield result
        return
    for part in result:
        yield from _leaves(part)


def timed(run: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> Timing:
    """Return the time of a function whose results `wait` waits for.

    Args:
        run: The function; what it returns is computed when `wait` returns.
        clock: Clock in seconds.
    """
    for _ in range(WARM_UP):
        single = _sample(run, 1, clock)
    calls = min(max(int(SAMPLE_SECONDS / max(single, 1e-9)), 1), MOST_CALLS)
    samples: list[float] = []
    begin = clock()
    while len(samples) < LEAST_SAMPLES or (
        len(samples) < MOST_SAMPLES and clock() - begin < ROW_SECONDS
    ):
        samples.append(_sample(run, calls, clock))
    lower, median, upper = statistics.quantiles(samples, n=4)
    return Timing(median, lower, upper, len(samples), calls)


def _sample(run: Callable[[], Any], calls: int, clock: Callable[[], float]) -> float:
    """Return the seconds of one run, from several in a row and one wait."""
    begin = clock()
    for _ in range(calls):
        result = run()
    wait(result)
    return max(clock() - begin, 1e-12) / calls


def _timed_step(keras: Any, spec: Spec, graph: Graph, setting: Any) -> Timing:
    """Return the time of a training step by the spec's recipe, as JAX runs it, on zeros."""
    import jax  # noqa: PLC0415

    from archspec.measurement.measurement import recipe_of  # noqa: PLC0415
    from archspec.measurement.step import training_step  # noqa: PLC0415

    recipe = recipe_of(spec, setting.training_batch, setting.dtype, None)
    with training_step(keras, graph, recipe) as program:
        state, data = program.zeros()
        compiled = jax.jit(program.function, donate_argnums=program.donated)
        held = [state]

        def run() -> Any:
            logs, held[0] = compiled(held[0], data)
            return logs, held[0]

        return timed(lambda: jax.tree.leaves(run()))
