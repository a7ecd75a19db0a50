"""A Keras model as its calls, one after the other: run on new images, watched, and changed.

Keras can give the output of any layer, but not of one inside a nested model, nor what a layer
computes before the activation that is fused into it, nor ReLUs with another gradient. So the
graph is walked here, call by call, into nested models too; no layer is cloned, and none changed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal, TypeAlias

from archspec.analysis.activity import DYING
from archspec.diagnostics import UsageError, suggestion
from archspec.training.compilation.compilation import MAIN

Tensor: TypeAlias = Any

Rule: TypeAlias = Literal["vanilla", "guided", "deconvnet"]
"""What a ReLU does with the gradient that comes back to it (see `rectified`)."""

FUSED: Final = (
    "Dense",
    "EinsumDense",
    *(f"Conv{rank}D{kind}" for rank in (1, 2, 3) for kind in ("", "Transpose")),
    *(f"{kind}Conv{rank}D" for rank in (1, 2) for kind in ("Depthwise", "Separable")),
)
"""Keras's layers that end in an activation of their own."""

ENDS: Final = frozenset({"softmax", "sigmoid", "log_softmax", "log_sigmoid"})
"""Activations that make probabilities of scores."""

PASSING: Final = frozenset({"linear", "identity"})
"""Activations that give what they get."""


@dataclass(frozen=True, slots=True)
class Rectifier:
    """A ReLU: 0 below the threshold, at most `most`, the slope 1 between them."""

    threshold: float = 0.0
    most: float = float("inf")


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a layer or of an op of the model."""

    name: str
    """The layer's name; below those of nested models, joined by `/`; a second call ends in `:2`."""
    kind: str
    """Keras's class, such as `Conv2D`."""
    layer: Any
    shape: tuple[int, ...]
    """Shape of the output, without the batch."""
    inputs: tuple[str, ...]
    """The calls whose outputs it takes; `INPUT` for the image."""
    activation: str | None = None
    """The activation that it is or that is fused into it, by Keras's name."""
    fused: bool = False
    """Whether the activation is part of a layer that has weights."""
    rectifier: Rectifier | None = None
    """The ReLU that the activation is."""

    @property
    def weights(self) -> tuple[Any, ...]:
        """The layer's variables."""
        return tuple(getattr(self.layer, "weights", ()))


INPUT: Final = "input"
"""Where an image comes in, among the inputs of calls."""


@dataclass(slots=True)
class Values:
    """What a run of the circuit gave, for the calls that were watched."""

    output: Tensor = None
    """The model's main output."""
    after: dict[str, Tensor] = field(default_factory=dict)
    """The output of a call."""
    before: dict[str, Tensor] = field(default_factory=dict)
    """The same before the activation that the call is or ends in; without one, its output."""


class Circuit:
    """A functional or Sequential Keras model, walked call by call."""

    def __init__(self, keras: Any, model: Any, name: str) -> None:
        """Find the calls of a model, by running it once on a black image.

        Raises:
            UsageError: the model is not a graph of layers.

        """
        self.keras = keras
        self.model = model
        self._name = name
        if not _is_graph(model):
            raise UsageError(
                f"{name} is a {type(model).__name__} whose layers are joined in Python code: only "
                "functional and Sequential models that are built can be explained"
            )
        self.calls: dict[str, Call] = {}
        self._record()

    def __getitem__(self, name: str) -> Call:
        return self.calls[name]

    @property
    def rectifiers(self) -> tuple[Call, ...]:
        """The calls that are or end in a ReLU."""
        return tuple(call for call in self.calls.values() if call.rectifier)

    def find(self, name: str) -> Call:
        """Return the call of this name, or the last one of a block of this name.

        Raises:
            UsageError: there is none.

        """
        plain = name.replace("-", "/")
        known = {each.replace("-", "/"): each for each in self.calls}
        if plain in known:
            return self.calls[known[plain]]
        inside = [each for each in known if each.startswith(f"{plain}/")]
        if inside:
            return self.calls[known[inside[-1]]]
        hint = suggestion(name, self.calls, what="layers")
        raise UsageError(f"{self._name} has no layer `{name}`; {hint}")

    def before(self, name: str) -> frozenset[str]:
        """The calls that a call's output depends on, itself included."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            each = waiting.pop()
            if each not in found and each in self.calls:
                found.add(each)
                waiting += self.calls[each].inputs
        return frozenset(found)

    @property
    def scores(self) -> str:
        """The call whose value before its activation is the scores of the classes.

        For a network that ends in a softmax that is the softmax: its `before` is the logits.
        """
        return self._scores

    def run(
        self,
        images: Tensor,
        *,
        watch: Collection[str] = (),
        relu: Rule = "vanilla",
        edit: Mapping[str, Callable[[Tensor], Tensor]] | None = None,
        training: Collection[str] = (),
    ) -> Values:
        """Run the model on a batch as it is prepared for it, as in inference.

        Args:
            images: (n, *input) on the model's own scale.
            watch: names of calls whose values are kept.
            relu: what ReLUs do with gradients.
            edit: by the name of a call, what is made of its output before it goes on.
            training: kinds of layers that behave as in training, such as `Dropout`.

        """
        walk = _Walk(self, set(watch), relu, dict(edit or {}), set(training))
        values = walk.values
        values.output = self._main(walk.through(self.model, images, ""))
        return values

    def _main(self, outputs: Any) -> Tensor:
        """The model's main output among all."""
        if isinstance(outputs, dict) and len(outputs) > 1:
            return outputs[MAIN]
        return self.keras.tree.flatten(outputs)[0]

    def _record(self) -> None:
        keras = self.keras
        shape = tuple(self.model.inputs[0].shape[1:])
        black = keras.ops.zeros((1, *shape), dtype=self.model.inputs[0].dtype)
        walk = _Recording(self)
        output = self._main(walk.through(self.model, black, ""))
        last = walk.makers.get(id(output), next(reversed(self.calls), ""))
        while (call := self.calls[last]).activation in PASSING and not call.fused:
            last = call.inputs[0]
            if last == INPUT:
                break
        self._scores = last


def _is_graph(model: Any) -> bool:
    """Whether a model's call is Keras's own walk through its graph."""
    graph = getattr(model, "_functional", None) or model
    if not hasattr(graph, "_run_through_graph") or not getattr(graph, "inputs", None):
        return False
    return str(type(model).call.__module__).startswith("keras.")


class _Walk:
    """One run through a model."""

    def __init__(
        self,
        circuit: Circuit,
        watch: set[str],
        relu: Rule,
        edit: dict[str, Callable[[Tensor], Tensor]],
        training: set[str],
    ) -> None:
        self.circuit = circuit
        self.watch = watch
        self.relu = relu
        self.edit = edit
        self.training = training
        self.values = Values()
        self._counts: dict[str, int] = {}

    def through(self, model: Any, images: Any, scope: str) -> Any:
        """The outputs of a model of this scope, which may be nested in another."""
        graph = getattr(model, "_functional", None) or model
        return graph._run_through_graph(  # noqa: SLF001  (Keras's walk, as clone_model uses it)
            images, operation_fn=lambda op: partial(self.call, op, scope)
        )

    def call(self, op: Any, scope: str, *args: Any, **kwargs: Any) -> Any:
        if _is_graph(op):
            return self.through(op, args[0] if args else kwargs["inputs"], f"{scope}{op.name}/")
        name = f"{scope}{op.name}"
        self._counts[name] = count = self._counts.get(name, 0) + 1
        if count > 1:
            name = f"{name}:{count}"
        output = self.one(name, op, args, kwargs)
        if name in self.edit:
            output = self.edit[name](output)
        if name in self.watch:
            self.values.after[name] = output
            self.values.before.setdefault(name, output)
        return output

    def one(self, name: str, op: Any, args: Any, kwargs: Any) -> Any:
        """The output of a call; where it is needed, in two parts, the activation being the last."""
        call = self.circuit.calls[name]
        rectifier = call.rectifier if self.relu != "vanilla" else None
        if call.activation is None or not (name in self.watch or rectifier):
            return self.plain(op, args, kwargs)
        if call.fused:
            with _replaced(op, self.circuit.keras.activations.linear):
                inside = self.plain(op, args, kwargs)
            activation = op.activation
        else:
            (inside, *args), kwargs = (args, kwargs) if args else (kwargs.values(), {})
            activation = partial(self.activated, op, args, kwargs)
        if name in self.watch:
            self.values.before[name] = inside
        if rectifier:
            return rectified(self.circuit.keras, activation, rectifier, self.relu, inside)
        return activation(inside)

    def activated(self, op: Any, others: Any, kwargs: Any, inside: Tensor) -> Tensor:
        """The output of a call that is an activation."""
        return self.plain(op, (inside, *others), kwargs)

    def plain(self, op: Any, args: Any, kwargs: Any) -> Any:
        """The call as Keras makes it, in inference unless its kind is told to train."""
        if getattr(op, "_call_has_training_arg", False):
            kwargs = {**kwargs, "training": type(op).__name__ in self.training}
        return op(*args, **kwargs)


class _Recording(_Walk):
    """The first run, which finds out what calls there are."""

    def __init__(self, circuit: Circuit) -> None:
        super().__init__(circuit, set(), "vanilla", {}, set())
        self.makers: dict[int, str] = {}
        self._kept: list[Any] = []  # an id is a tensor's as long as that lives

    def through(self, model: Any, images: Any, scope: str) -> Any:
        for tensor in self.circuit.keras.tree.flatten(images):
            self.makers.setdefault(id(tensor), INPUT)
            self._kept.append(tensor)
        return super().through(model, images, scope)

    def one(self, name: str, op: Any, args: Any, kwargs: Any) -> Any:
        flatten = self.circuit.keras.tree.flatten
        inputs = [
            self.makers[id(each)] for each in flatten((args, kwargs)) if id(each) in self.makers
        ]
        output = self.plain(op, args, kwargs)
        first = flatten(output)[0]
        for tensor in flatten(output):
            # An op that gives the very tensor it got, as an Identity does, makes nothing.
            self.makers[id(tensor)] = name
            self._kept.append(tensor)
        activation, fused = _activation(op)
        self.circuit.calls[name] = Call(
            name=name,
            kind=type(op).__name__,
            layer=op,
            shape=tuple(int(extent) for extent in first.shape[1:]),
            inputs=tuple(dict.fromkeys(inputs)),
            activation=activation,
            fused=fused,
            rectifier=_rectifier(op, activation),
        )
        return output


def _activation(op: Any) -> tuple[str | None, bool]:
    """The activation that an operation is or ends in, and whether it is fused into it."""
    kind = type(op).__name__
    if not type(op).__module__.startswith("keras."):
        return None, False
    if kind in FUSED or kind == "Activation":
        name = _name(op.activation)
        return (None, False) if kind in FUSED and name in PASSING else (name, kind in FUSED)
    if kind == "Identity":
        return "identity", False
    if kind in OPS:
        return OPS[kind], False
    return None, False


OPS: Final = {
    "ReLU": "relu",
    "Relu": "relu",
    "Relu6": "relu6",
    "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
    "Sigmoid": "sigmoid",
    "LogSigmoid": "log_sigmoid",
    "Tanh": "tanh",
    "LeakyReLU": "leaky_relu",
    "LeakyRelu": "leaky_relu",
    "PReLU": "prelu",
    "ELU": "elu",
    "Elu": "elu",
    "Selu": "selu",
    "Gelu": "gelu",
    "Silu": "silu",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_silu",
    "Mish": "mish",
    "Celu": "celu",
}
"""Layers and ops of Keras that are an activation, by their class."""


def _name(activation: Any) -> str:
    """Keras's name of an activation; of a function of its own, what Python calls it."""
    if activation is None:
        return "linear"
    found = getattr(activation, "__name__", None) or type(activation).__name__
    return OPS.get(found, str(found))


def _rectifier(op: Any, activation: str | None) -> Rectifier | None:
    """The ReLU that an operation is; None for a leaky one, which lets everything through."""
    if activation not in DYING:
        return None
    function = getattr(op, "activation", op)
    slope = float(getattr(function, "negative_slope", 0.0) or 0.0)
    if slope:
        return None
    most = getattr(function, "max_value", None)
    most = 6.0 if activation == "relu6" else float("inf") if most is None else float(most)
    return Rectifier(float(getattr(function, "threshold", 0.0) or 0.0), most)


@contextmanager
def _replaced(layer: Any, activation: Any) -> Iterator[None]:
    """A layer with another activation, while it is called here.

    Set behind Keras's back, which lets no built layer have another activation that is a layer.
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
    keras: Any, relu: Callable[[Tensor], Tensor], rectifier: Rectifier, rule: Rule, x: Tensor
) -> Tensor:
    """A ReLU whose gradient follows a rule.

    Of a gradient g that comes back to a ReLU of the input x, `vanilla` lets through where x > 0,
    `deconvnet` where g > 0 (Zeiler and Fergus 2013, section 2.1), and `guided` where both are
    (Springenberg et al. 2014, section 3.4).
    """
    ops = keras.ops

    @ops.custom_gradient  # type: ignore[untyped-decorator]
    def modified(x: Tensor) -> Any:
        def gradient(*args: Tensor, upstream: Tensor = None) -> Tensor:
            g = args[0] if upstream is None else upstream
            keep = g > 0
            if rule == "guided":
                keep = ops.logical_and(
                    keep, ops.logical_and(x > rectifier.threshold, x < rectifier.most)
                )
            return ops.where(keep, g, ops.zeros_like(g))

        return relu(x), gradient

    return modified(x)
