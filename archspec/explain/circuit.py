"""A Keras model as a sequence of layer calls: run on new images, watched, and edited.

Keras gives the output of any layer, but not of one inside a nested model, nor the value before an
activation that is fused into a layer, nor ReLUs with another gradient. So the graph is walked here
call by call, into nested models too; no layer is cloned or changed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal, TypeAlias

from archspec.errors import UsageError, suggestion
from archspec.explain import nonlinearity
from archspec.explain.nonlinearity import ENDS, PASSING, Rectifier
from archspec.graph.graph import MAIN_OUTPUT

AnyTensor: TypeAlias = Any
"""Tensor of the current backend."""

ReluRule: TypeAlias = Literal["vanilla", "guided", "deconvnet"]
"""Rule by which ReLUs pass gradients back (see `rectified`)."""

RESHAPING: Final = frozenset({"Flatten", "Reshape", "Squeeze", "Cast", "Dropout"})
"""Layers and ops that leave the values of a softmax before them as they are, in inference."""


@dataclass(frozen=True, slots=True)
class CircuitCall:
    """A call of a layer or op of the model."""

    name: str
    """Name of the layer, behind those of nested models with `/`; a second call ends in `:2`."""
    kind: str
    """Keras's class, such as `Conv2D`."""
    layer: Any
    shape: tuple[int, ...]
    """Shape of the output, without the batch."""
    inputs: tuple[str, ...]
    """Names of the calls whose outputs it takes; `INPUT` for the image."""
    activation: str | None = None
    """Keras's name of the activation that it is or ends in."""
    fused: bool = False
    """Whether the activation is part of a layer that has weights."""
    rectifier: Rectifier | None = None
    """The activation, if it is a ReLU."""
    opaque: bool = False
    """Whether the call runs code that may contain ReLUs unseen."""

    @property
    def weights(self) -> tuple[Any, ...]:
        """The layer's variables."""
        return tuple(getattr(self.layer, "weights", ()))


INPUT: Final = "input"
"""Name of the image among the inputs of calls."""


@dataclass(slots=True)
class Trace:
    """Outputs of a run of the circuit, for the calls that were watched.

    All are float32, whatever precision the model computes in. A call with several outputs is
    represented by the first.
    """

    output: AnyTensor = None
    """The model's main output."""
    after: dict[str, AnyTensor] = field(default_factory=dict)
    """Output of each call."""
    before: dict[str, AnyTensor] = field(default_factory=dict)
    """Value before the activation that the call is or ends in; without one, its output."""


class Circuit:
    """A functional or Sequential Keras model, walked call by call."""

    def __init__(self, keras: Any, model: Any, name: str) -> None:
        """Find the calls of a model by running it once on a black image.

        Raise `UsageError` if the model is not a graph of layers, or its channels come first.
        """
        self.keras = keras
        self.model = model
        self.name = name
        if not _is_graph(model):
            raise UsageError(
                f"{name} is a {type(model).__name__} whose layers are joined in Python code: only "
                "functional and Sequential models that are built can be explained"
            )
        self.calls: dict[str, CircuitCall] = {}
        self.scores = ""
        """Name of the call whose value before its activation is the scores of the classes.

        In a network that ends in a softmax, it is the softmax, before which stand the logits.
        """
        self.gives_shares = False
        """Whether the scores are probabilities that no known softmax makes."""
        self._record()

    def __getitem__(self, name: str) -> CircuitCall:
        return self.calls[name]

    def find(self, name: str) -> CircuitCall:
        """Return the call of this name, or the last one of a block of this name.

        Raise `UsageError` if there is no such call.
        """
        if name in self.calls:
            return self.calls[name]
        plain = name.replace("-", "/")
        known = {each.replace("-", "/"): each for each in self.calls}
        if plain in known:
            return self.calls[known[plain]]
        inside = [each for each in known if each.startswith(f"{plain}/")]
        if inside:
            return self.calls[known[inside[-1]]]
        hint = suggestion(name, self.calls, what="layers")
        raise UsageError(f"{self.name} has no layer `{name}`; {hint}")

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Return the shape of a call's output, or of the image for `INPUT`, without the batch."""
        if name == INPUT:
            return tuple(self.model.inputs[0].shape[1:])
        return self.calls[name].shape

    def before(self, name: str) -> frozenset[str]:
        """Return the calls that a call's output depends on, including itself."""
        result: set[str] = set()
        waiting = [name]
        while waiting:
            each = waiting.pop()
            if each not in result and each in self.calls:
                result.add(each)
                waiting += self.calls[each].inputs
        return frozenset(result)

    @property
    def used(self) -> tuple[CircuitCall, ...]:
        """Calls that the scores depend on, in order, without those of further outputs."""
        before = self.before(self.scores)
        return tuple(call for name, call in self.calls.items() if name in before)

    def run(
        self,
        images: AnyTensor,
        *,
        watch: Collection[str] = (),
        relu: ReluRule = "vanilla",
        edit: Mapping[str, Callable[[AnyTensor], AnyTensor]] | None = None,
        training: Collection[str] = (),
    ) -> Trace:
        """Run the model on prepared images, in inference.

        Args:
            images: (n, *input), on the model's own scale.
            watch: names of calls whose values are kept.
            relu: rule by which ReLUs pass gradients back.
            edit: functions that replace the outputs of calls, by name.
            training: kinds of layers that run as in training, such as `Dropout`.

        """
        walk = _Walk(self, set(watch), relu, dict(edit or {}), set(training))
        dtype = self.keras.backend.standardize_dtype(self.model.inputs[0].dtype)
        if "float" in dtype:  # only real numbers have a gradient
            images = self.keras.ops.cast(images, dtype)
        values = walk.values
        values.output = walk.kept(self._main(walk.graph(self.model, images, "")))
        return values

    def _main(self, outputs: Any) -> AnyTensor:
        """Return the model's main output."""
        if isinstance(outputs, dict) and len(outputs) > 1:
            outputs = outputs[MAIN_OUTPUT]
        return self.keras.tree.flatten(outputs)[0]

    def _record(self) -> None:
        keras = self.keras
        black = keras.ops.zeros((1, *self.shape_of(INPUT)), dtype=self.model.inputs[0].dtype)
        walk = _Recording(self)
        walk.makers[id(black)] = INPUT
        output = self._main(walk.graph(self.model, black, ""))
        last = walk.makers.get(id(output), next(reversed(self.calls), ""))
        # The softmax or sigmoid at the model's end, if no later layer changes its values.
        self.scores = self._first_of(last, PASSING | RESHAPING)
        if self.calls[self.scores].activation not in ENDS:
            self.scores = self._first_of(last, PASSING)
        result = keras.ops.convert_to_numpy(walk.kept(output))
        self.gives_shares = (
            self.calls[self.scores].activation is None
            and bool((result >= 0).all())
            and abs(float(result.sum()) - 1) < SUM_NOISE
        )

    def _first_of(self, name: str, passing: Collection[str]) -> str:
        """Return the call whose values reach a call through calls of these kinds only."""
        call = self.calls[name]
        passes = not call.fused and (call.activation or call.kind) in passing
        if not passes or len(call.inputs) != 1 or call.inputs[0] == INPUT:
            return name
        return self._first_of(call.inputs[0], passing)


SUM_NOISE: Final = 1e-2
"""Tolerance of the sum of probabilities in half precision."""


def _graph(model: Any) -> Any:
    """Return the functional model that a model is, or that a Sequential model holds."""
    return getattr(model, "_functional", None) or model


def _is_graph(model: Any) -> bool:
    """Return whether calling a model is Keras's own walk through its graph."""
    graph = _graph(model)
    if not hasattr(graph, "_run_through_graph") or not getattr(graph, "inputs", None):
        return False
    return str(type(model).call.__module__).startswith("keras.")


class _Walk:
    """One run through a model."""

    def __init__(
        self,
        circuit: Circuit,
        watch: set[str],
        relu: ReluRule,
        edit: dict[str, Callable[[AnyTensor], AnyTensor]],
        training: set[str],
    ) -> None:
        self.circuit = circuit
        self.watch = watch
        self.relu = relu
        self.edit = edit
        self.training = training
        self.values = Trace()
        self._counts: dict[str, int] = {}

    def graph(self, model: Any, inputs: Any, scope: str) -> Any:
        """Return the outputs of a model in this scope for standardized inputs."""
        return _graph(model)._run_through_graph(  # noqa: SLF001  (Keras's walk, as in clone_model)
            inputs, operation_fn=lambda op: partial(self.call, op, scope)
        )

    def cast(self, model: Any, inputs: Any) -> Any:
        """Return inputs of a nested model, cast as it declares."""
        return _graph(model)._standardize_inputs(inputs)  # noqa: SLF001

    def call(self, op: Any, scope: str, *args: Any, **kwargs: Any) -> Any:
        if _is_graph(op):
            inputs = self.cast(op, args[0] if args else kwargs["inputs"])
            return self.graph(op, inputs, f"{scope}{op.name}/")
        name = f"{scope}{op.name}"
        self._counts[name] = count = self._counts.get(name, 0) + 1
        if count > 1:
            name = f"{name}:{count}"
        output = self.one(name, op, args, kwargs)
        if name in self.edit:
            tree = self.circuit.keras.tree
            first, *others = tree.flatten(output)
            output = tree.pack_sequence_as(output, [self.edit[name](first), *others])
        if name in self.watch:
            self.values.after[name] = self.kept(output)
            self.values.before.setdefault(name, self.values.after[name])
        return output

    def kept(self, output: Any) -> AnyTensor:
        """Return a call's first output as float32."""
        keras = self.circuit.keras
        first = keras.tree.flatten(output)[0]
        if keras.backend.standardize_dtype(first.dtype) == "float32":
            return first
        return keras.ops.cast(first, "float32")

    def one(self, name: str, op: Any, args: Any, kwargs: Any) -> Any:
        """Return the output of a call, with its activation computed separately where needed."""
        call = self.circuit.calls[name]
        rectifier = call.rectifier if self.relu != "vanilla" else None
        if call.activation is None or not (name in self.watch or rectifier):
            return self.plain(op, args, kwargs)

        def activated(function: Callable[[AnyTensor], AnyTensor], inside: AnyTensor) -> AnyTensor:
            if name in self.watch:
                self.values.before[name] = self.kept(inside)
            if rectifier:
                return rectified(self.circuit.keras, function, rectifier, self.relu, inside)
            return function(inside)

        if call.fused:
            with _replaced(op, partial(activated, op.activation)):
                return self.plain(op, args, kwargs)
        values, named = list(args), dict(kwargs)
        place: Any = values or named
        at: Any = 0 if values else next(iter(named))
        if nonlinearity.is_number(place[at]):  # maximum(0, x)
            place, at = (values, 1) if len(values) > 1 else (named, next(iter(named)))

        def whole(inside: AnyTensor) -> AnyTensor:
            place[at] = inside
            return self.plain(op, values, named)

        return activated(whole, place[at])

    def plain(self, op: Any, args: Any, kwargs: Any) -> Any:
        """Call a layer as Keras does, in inference unless its kind is in `training`."""
        if getattr(op, "_call_has_training_arg", False):
            kwargs = {**kwargs, "training": type(op).__name__ in self.training}
        return op(*args, **kwargs)


class _Recording(_Walk):
    """The first run, which records the calls."""

    def __init__(self, circuit: Circuit) -> None:
        super().__init__(circuit, set(), "vanilla", {}, set())
        self.makers: dict[int, str] = {}
        self._kept: list[Any] = []  # keeps tensors alive, so that their ids stay theirs

    def graph(self, model: Any, inputs: Any, scope: str) -> Any:
        self._kept.append(inputs)
        return super().graph(model, inputs, scope)

    def cast(self, model: Any, inputs: Any) -> Any:
        taken = super().cast(model, inputs)
        for before, after in zip(self.circuit.keras.tree.flatten(inputs), taken, strict=True):
            if maker := self.makers.get(id(before)):
                self.makers[id(after)] = maker
        return taken

    def one(self, name: str, op: Any, args: Any, kwargs: Any) -> Any:
        keras = self.circuit.keras
        if getattr(op, "data_format", None) == "channels_first":
            raise UsageError(
                f"{self.circuit.name} has its channels first (layer `{name}`): only models of "
                "images with the channels last, (height, width, channels), can be explained"
            )
        given = keras.tree.flatten((args, kwargs))
        inputs = [self.makers[id(each)] for each in given if id(each) in self.makers]
        # A layer that returns its input object, as Dropout may, is still a separate call.
        taken = {id(each) for each in given}
        output = keras.tree.map_structure(
            lambda each: keras.ops.copy(each) if id(each) in taken else each,
            self.plain(op, args, kwargs),
        )
        outputs = keras.tree.flatten(output)
        for tensor in outputs:
            self.makers[id(tensor)] = name
        self._kept.append(outputs)
        self.circuit.calls[name] = CircuitCall(
            name=name,
            kind=type(op).__name__,
            layer=op,
            shape=tuple(int(extent) for extent in outputs[0].shape[1:]),
            inputs=tuple(dict.fromkeys(inputs)),
            **nonlinearity.facts_of(keras, op, given),
        )
        return output


@contextmanager
def _replaced(layer: Any, activation: Any) -> Iterator[None]:
    """Give a layer another activation for the duration of a call.

    It is set past Keras, which refuses a layer as the new activation of a built layer.
    """
    own = vars(layer)
    before = own.get("activation")
    own["activation"] = activation
    try:
        yield
    finally:
        if before is None:
            del own["activation"]
        else:
            own["activation"] = before


def rectified(
    keras: Any,
    relu: Callable[[AnyTensor], AnyTensor],
    rectifier: Rectifier,
    rule: ReluRule,
    x: AnyTensor,
) -> AnyTensor:
    """Return a ReLU whose gradient follows a rule.

    A ReLU with the input x passes a gradient g back where x > 0 by `vanilla`, where g > 0 by
    `deconvnet` (Zeiler and Fergus 2013, section 2.1), and where both hold by `guided` (Springenberg
    et al. 2014, section 3.4).
    """
    ops = keras.ops

    @ops.custom_gradient  # type: ignore[untyped-decorator]
    def modified(x: AnyTensor) -> Any:
        def gradient(*args: AnyTensor, upstream: AnyTensor = None) -> AnyTensor:
            g = args[0] if upstream is None else upstream
            keep = g > 0
            if rule == "guided":
                keep = ops.logical_and(
                    keep, ops.logical_and(x > rectifier.threshold, x < rectifier.most)
                )
            return ops.where(keep, g, ops.zeros_like(g))

        return relu(x), gradient

    return modified(x)
