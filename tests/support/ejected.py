"""Ejected programs, run with a stand-in for Keras that knows what each call must be."""

import inspect
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np  # noqa: F401  (it can be imported once alone, and `run` forgets what it imports)

from archspec.ejection.keras_layers import EITHER_PADDING, tidied
from archspec.ejection.layer_sources import table
from archspec.ejection.recording import Construction, constructions
from archspec.graph.graph import Graph
from archspec.keras_model.build import shapes_of_shared


def in_layout(source: str) -> str:
    """Return a program in Ruff's layout: that of black, in a tenth of the time that black takes."""
    ruff = Path(sys.executable).with_name("ruff")
    command = [ruff, "format", "--isolated", "-"]
    return subprocess.run(command, input=source, capture_output=True, text=True, check=True).stdout


def scope_of(source: str) -> dict[str, Any]:
    """Run a program; return its definitions."""
    scope: dict[str, Any] = {"__name__": "ejected"}
    exec(compile(source, "ejected.py", "exec"), scope)  # noqa: S102
    return scope


class Tensor:
    """What a stand-in layer gives: the tensor of the graph that it is."""

    def __init__(self, id_: Any, shape: Any) -> None:
        self.id = id_
        self._shape = shape

    @property
    def shape(self) -> tuple[int | None, ...]:
        assert self._shape is not None, "a program asks for the shape of what is padded"
        return (None, *self._shape.known)


class Layer:
    """A layer that is made, and knows nothing but the constructor's call."""

    def __init__(self, run: "Run", made: Construction) -> None:
        self.run = run
        self.made = made

    def __call__(self, inputs: Any) -> Tensor:
        read = inputs if isinstance(inputs, list) else [inputs]
        return self.run.applied(self.made, tuple(each.id for each in read))


class Block:
    """The base of a program's own layers and models: `call` runs within its name."""

    run: "Run"
    is_model = False

    def __init__(self, *parts: Any, name: str = "") -> None:
        self.parts = parts
        self.named = name

    def __iter__(self) -> Any:
        return iter((*self.parts, self.named))

    def get_config(self) -> dict[str, Any]:
        return {}

    def __call__(self, *inputs: Any) -> Any:
        names = [] if self.is_model else [self.named]
        self.run.around += names
        outputs = self.call(*inputs)  # type: ignore[attr-defined]
        del self.run.around[len(self.run.around) - len(names) :]
        if self.is_model:
            self.parts = (*inputs, outputs)
        for parameter in list(inspect.signature(type(self).__init__).parameters)[1:-1]:
            assert parameter in self.get_config()
        return outputs


class Run:
    """One run of an ejected program: every layer applied is compared with the graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.around: list[str] = []
        """Names of the blocks in which a layer is applied."""
        self.expected: dict[tuple[str, Any], list[tuple[Construction, Any, Any]]] = {}
        shared = shapes_of_shared(graph)
        names: dict[str, Construction] = {}
        for node in graph.nodes:
            if node.is_input:
                continue
            owner = node.layer.owner
            x = shared.get(owner or node.name) or (*node.layer.inputs, node.shape)[0]
            inputs: Any = node.inputs
            chain = constructions(node, x)
            for number, own in enumerate(chain):
                made, last = own, number == len(chain) - 1
                id_ = node.index if last else (node.index, number)
                name = own.arguments["name"]
                if last:
                    names[node.name] = own
                    made = names[owner] if owner else own
                    name = made.arguments["name"]
                shape = node.shape if last else None
                calls = self.expected.setdefault((name, inputs), [])
                calls.append((tidied(made), id_, shape))
                inputs = (id_,)

    def applied(self, made: Construction, inputs: tuple[Any, ...]) -> Tensor:
        name = "-".join([*self.around, made.arguments["name"]])
        made = Construction(made.name, {**made.arguments, "name": name})
        assert (name, inputs) in self.expected, (name, inputs)
        wanted, id_, shape = self.expected[name, inputs].pop(0)
        if not self.expected[name, inputs]:
            del self.expected[name, inputs]
        assert same(wanted, tidied(named(made))), (wanted, named(made))
        return Tensor(id_, shape)

    def input(self, shape: Any, name: str) -> Tensor:
        index = self.graph.inputs[name]
        assert tuple(shape) == tuple(self.graph.nodes[index].shape.known)
        return Tensor(index, self.graph.nodes[index].shape)


def named(made: Construction) -> Construction:
    """A call with the arguments by name that archspec's ops give by name."""
    arguments = dict(made.arguments)
    for key, place in (("kernel_size", 1), ("kernel_size", 0), ("pool_size", 0)):
        first = made.name.startswith("Conv") and place == 1
        only = made.name.startswith("Depthwise") and key == "kernel_size" and place == 0
        pool = "Pooling" in made.name and key == "pool_size" and not made.name.startswith("Global")
        if (first or only or pool) and place in arguments:
            arguments[key] = arguments.pop(place)
    return Construction(made.name, arguments)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, Construction):
        assert isinstance(b, Construction)
        keys = a.arguments.keys() == b.arguments.keys()
        return (
            a.name == b.name
            and keys
            and all(same(a.arguments[key], b.arguments[key]) for key in a.arguments)
        )
    if EITHER_PADDING in (a, b):
        return True
    if isinstance(a, (tuple, list)):
        return isinstance(b, (tuple, list)) and len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def run(source: str, graph: Graph, /, **values: Any) -> Any:
    """Run an ejected program; return what it gives to `keras.Model`.

    `values` are arguments of its `build_model`.

    Every layer must be one of the graph's, with its arguments, on its inputs, and none be missing.
    """
    state = Run(graph)

    layer = type("Layer", (Block,), {"run": state})
    model = type("Model", (Block,), {"run": state, "is_model": True})

    class Namespace(ModuleType):
        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            if name == "Layer":
                return layer
            return recorder(name)

    def recorder(name: str) -> Any:
        def make(*positional: Any, **arguments: Any) -> Any:
            given = {**dict(enumerate(positional)), **arguments}
            made = Construction(
                name, {k: v.made if isinstance(v, Layer) else v for k, v in given.items()}
            )
            return Layer(state, made) if "name" in arguments else made

        return make

    keras: Any = ModuleType("keras")
    keras.layers = Namespace("keras.layers")
    keras.initializers = Namespace("keras.initializers")
    keras.initializers.Initializer = object
    keras.ops = Namespace("keras.ops")
    keras.saving = SimpleNamespace(register_keras_serializable=lambda **_: lambda cls: cls)
    keras.KerasTensor = object
    keras.Input = state.input
    keras.Model = model
    with mock.patch.dict(sys.modules, {"keras": keras, "keras.layers": keras.layers}):
        scope = scope_of(source)
        for name in table():
            if name in scope and isinstance(scope[name], type):
                scope[name] = recorder(name)
        inputs, outputs, _ = scope["build_model"](**values)
    assert not state.expected, [*state.expected][:3]
    given = outputs if isinstance(outputs, dict) else {next(iter(graph.outputs)): outputs}
    assert {name: each.id for name, each in given.items()} == dict(graph.outputs)
    taken = inputs if isinstance(inputs, dict) else {next(iter(graph.inputs)): inputs}
    assert {name: each.id for name, each in taken.items()} == dict(graph.inputs)
    return scope
