"""A file of Keras's becomes a graph: each call of a layer by a function of a table."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, Final, NamedTuple

from archspec.declare.declaration import DeclarationError
from archspec.errors import Problem, UsageError
from archspec.graph.graph import Node
from archspec.imports.building import ModelBuilder, about
from archspec.imports.formats import HDF5, ZIP
from archspec.imports.inputs import NOTHING_GIVEN, Given
from archspec.imports.keras import (
    activation,
    attention,
    operators,
    own,
    quantized,
    recurrent,
)
from archspec.imports.keras.calls import (
    Arrays,
    Call,
    NoArrays,
    Tensor,
    input_shapes,
    walk,
)
from archspec.imports.keras.config import (
    Config,
    Extents,
    LayerConfig,
    Reference,
    UnfamiliarError,
    class_of,
    function_name,
    is_own_class,
    name_of,
    operator_of,
    shape_without_batch,
)
from archspec.imports.keras.layer import Function, KerasLayer, Padding, StoredArray, UnlikeError
from archspec.imports.keras.layout import (
    FOLLOWING,
    Flattened,
    Layouts,
    file_axes,
    kind_of_call,
)
from archspec.imports.keras.masks import masked, without_masks
from archspec.imports.keras.metadata import saved_config
from archspec.imports.keras.modelfile import ModelFile, open_model
from archspec.imports.keras.older import modern
from archspec.imports.keras.owners import with_owners
from archspec.imports.keras.stored import arrays_of
from archspec.imports.keras.variables import variable_names
from archspec.imports.keras.weightfile import read_arrays, read_weights
from archspec.imports.limits import fault, read_head, refuse
from archspec.imports.model import BATCH, ImportedModel
from archspec.imports.model import Arrays as ArraysByNode
from archspec.ops.fields import LARGEST
from archspec.text import free_name

TABLE: Final[Mapping[str, Function]] = {
    **attention.LAYERS,
    **recurrent.LAYERS,
    **recurrent.PLAIN,
}
"""The function of each of Keras's layers, by its class."""

FOREIGN: Final = "it is not one of Keras's layers"
"""Reason why a layer of a user's is unknown."""

REASONS: Final = {"Lambda": "it runs Python code, which archspec never does"}
"""Reasons why layers of Keras's are unknown, for those that can be said better."""


def read_file(path: Path, given: Given = NOTHING_GIVEN) -> ImportedModel:
    """Return the network in a file of Keras's.

    Raises:
        UsageError: The file is damaged, or holds no network.
    """
    if is_text(path):
        from archspec.imports.keras.text import read_text  # noqa: PLC0415  (imports PyYAML)

        config, form = read_text(path)
        if is_own_class(config):
            raise UsageError(
                f"{path} has no layers: {class_of(config)} is a class of its own, and only its "
                "Python code says which layers it has; export the model where that is "
                "(`model.export(folder)`), and read the folder"
            )
        return _model(_alone(path, config, form), given)
    with open_model(path) as file:
        if file.config is None:
            return _weights(file)
        if is_own_class(file.config):
            return _weights(file, class_of(file.config))
        form = ".keras" if file.by_place else "HDF5"
        return _model(_Described(path, file.config, arrays_of(file), file.version, form), given)


def _weights(file: ModelFile, kind: str = "") -> ImportedModel:
    """Return the arrays of a file as a table of their own."""
    try:
        return read_weights(file, kind)
    except (LookupError, TypeError, ValueError, AttributeError):
        refuse(file.path, "its layers do not hold arrays of weights")


def read_saved(folder: Path, given: Given = NOTHING_GIVEN) -> ImportedModel | None:
    """Return the network that Keras describes beside a SavedModel's graph; None if it does not.

    Raises:
        UsageError: What it says is damaged.
    """
    config = saved_config(folder)
    if config is None:
        return None
    return _model(_alone(folder, config, "SavedModel"), given)


def _alone(path: Path, config: LayerConfig, form: str) -> _Described:
    """Return what a configuration without weights says."""
    return _Described(path, config, NoArrays(), str(config.get("keras_version", "")), form)


class CallRead(NamedTuple):
    """A call of a layer, and what it became."""

    call: Call
    layer: KerasLayer | None
    """None if it only pads the input of the next layer, which does so itself."""
    shape: Extents
    """Shape of its first output, channels last without the batch; () if it is not known."""


def read_calls(
    config: LayerConfig, arrays: Arrays, shapes: Mapping[str, Extents], given: Given
) -> tuple[list[CallRead], Mapping[str, Hashable]]:
    """Return the calls of a model's layers, and the tensors that are its outputs, by their names.

    Args:
        config: Its configuration, of any version of Keras.
        arrays: Its weights.
        shapes: The shape of each of its inputs, by the name of the layer.
        given: What is known of the inputs beside that.

    Raises:
        UnfamiliarError: The configuration is not as Keras writes it.
        MultiplesError: It joins maps that are of one size at some sizes of the input alone.
    """
    described = _Described(Path(name_of(config)), modern(config), arrays, "", "")
    reader = _Reader(described, given, shapes)
    read: list[CallRead] = []
    for call in reader.calls:
        layer = reader.add(call)
        read.append(CallRead(call, layer, reader.nodes[call.output()].shape.known))
    return read, reader.outputs


def is_text(path: Path) -> bool:
    """Return whether a file is a configuration as text."""
    head = read_head(path, 4096)
    return b"\0" not in head and not head.startswith((ZIP, HDF5))


class _Described(NamedTuple):
    """A file's description of a network."""

    path: Path
    config: LayerConfig
    arrays: Arrays
    version: str
    """The version of Keras that wrote it; empty if the file does not tell."""
    form: str
    """The kind of file, such as `HDF5`."""


def _model(described: _Described, given: Given) -> ImportedModel:
    """Return the network that a file describes."""
    path = described.path
    try:
        return _Reader(described._replace(config=modern(described.config)), given).read()
    except UnfamiliarError as error:
        refuse(path, f"its configuration is not that of a network with layers ({error})")
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        refuse(path, f"its configuration is not as Keras writes it: {fault(error)}")


class _Reader:
    """Makes the graph of a network from the calls of its layers."""

    def __init__(
        self,
        described: _Described,
        given: Given,
        shapes: Mapping[str, Extents] | None = None,
    ) -> None:
        """Follow the calls; `shapes` are those of the inputs, if not the file's."""
        path, config, arrays, version, form = described
        self.path = path
        self.has_weights = not isinstance(arrays, NoArrays)
        self.shapes: Mapping[str, Extents | None] = shapes or input_shapes(config)
        self.keys: list[Hashable] = [("input", name) for name in self.shapes]
        walked, self.outputs = walk(config, arrays, self.keys)
        plain = without_masks(walked, self.outputs.values())
        self.calls = with_owners(plain)
        self.keras = _major(version, self.calls)
        self.layouts = Layouts(self.calls)
        self.layouts.first.update((key, self.layouts.wishes_first(key)) for key in self.keys)
        self.declared = self._declared()
        self.paddings: dict[Hashable, Padding] = {}
        """Padding that the tensor of a layer adds to the input of the next, which has it itself."""
        self.readers: dict[Hashable, list[Call]] = {}
        """The calls that read each tensor."""
        for call in self.calls:
            for key in call.inputs:
                self.readers.setdefault(key, []).append(call)
        self.used: dict[Any, set[int]] = {}
        """Numbers of the outputs of each call that are used."""
        for key in (*(key for call in self.calls for key in call.inputs), *self.outputs.values()):
            if isinstance(key, Tensor):
                self.used.setdefault((key.path, key.numbers), set()).add(key.output)
        inner = config["config"]
        name = inner.get("name") if isinstance(inner, Mapping) else None
        self.model = ModelBuilder(
            path,
            {
                name: self._last(shape, key) or ()
                for (name, shape), key in zip(self.shapes.items(), self.keys, strict=True)
            },
            name=str(name or path.stem),
            format_name=f"Keras {version or self.keras} {form}",
            given=given,
        )
        if names := masked(walked, plain):
            reads = "places that a mask names (`mask_zero`, Masking); here all are taken"
            self.model.note(about(names, f"leaves out {reads}", f"leave out {reads}"))
        if self.layouts.any_first:
            self.model.note(
                "The file's layers have their channels first; shapes are shown channels last."
            )
        self.nodes: dict[Hashable, Node] = dict(
            zip(self.keys, self.model.inputs.values(), strict=True)
        )
        self.layers: dict[tuple[str, ...], KerasLayer] = {}
        """The first call of each layer."""
        self.weights: dict[str, Sequence[StoredArray]] = {}
        self.unfit: list[str] = []
        """Clauses about arrays that cannot be given in Keras's layout."""

    def read(self) -> ImportedModel:
        """Return the model."""
        for call in self.calls:
            self.add(call)
        ends: dict[str, Node] = {}
        for name, key in self.outputs.items():
            free = free_name(self._end_name(name, key), ends.__contains__)
            ends[free] = self._straight(self._node(key))
        owners = [layer for layer in self.layers.values() if layer.first is None]
        counts = [layer.stored for layer in owners]
        params = None
        if self.has_weights and all(stored is not None for stored in counts):
            params = sum(prod(shape) for stored in counts for shape, _ in stored or ())
            params += sum(layer.extra for layer in owners)
        inputs = [(key, self.nodes[key]) for key in self.keys]
        outputs = zip(self.outputs.values(), ends.values(), strict=True)
        return self.model.finish(
            ends,
            params=params,
            weights=self._arrays if self.has_weights else None,
            input_axes=[self._axes(key, node) for key, node in inputs],
            output_axes=[self._axes(key, node) for key, node in outputs],
        )

    def _axes(self, key: Hashable, node: Node) -> tuple[int, ...]:
        """Return the axes of an input or output in the file, as `ImportedModel` has them."""
        first = self.layouts.first.get(key, False)
        return (BATCH, *file_axes(len(node.shape), first=first))

    def _arrays(self) -> ArraysByNode:
        """Return the arrays of each node; raise `UsageError` where one cannot be given."""
        if self.unfit:
            more = f" (and {len(self.unfit) - 1} more such)" if len(self.unfit) > 1 else ""
            raise UsageError(f"{self.path}: its weights cannot be given: {self.unfit[0]}{more}")
        return read_arrays(self.path, self.weights)

    def _straight(self, node: Node) -> Node:
        """Return a node with its values in the file's order."""
        straight = self.layouts.straight(self.model, node)
        if straight is None:
            self.unfit.append(
                f"{node.name} flattens maps of open size in another order than archspec"
            )
        return straight or node

    def _end_name(self, name: str, key: Hashable) -> str:
        """Return an output's name: that of its layer where the file only has a number."""
        if not name.isdigit() or not isinstance(key, Tensor):
            return name
        calls = zip(key.path, key.numbers, strict=True)
        layer = "-".join(name if not number else f"{name}-{number + 1}" for name, number in calls)
        return f"{layer}-output{key.output}" if key.output else layer

    def _declared(self) -> dict[Hashable, Extents]:
        """Return the shape that the file has for each tensor, where it has one."""
        declared: dict[Hashable, Extents] = {}
        for call in self.calls:
            if call.in_timed:
                continue
            for reference, key in call.tensors.items():
                if reference.shape is not None:
                    declared.setdefault(key, reference.shape)
            built = call.layer.get("build_config")
            shape = built.get("input_shape") if isinstance(built, Mapping) else None
            is_shape = isinstance(shape, list) and all(isinstance(n, int | None) for n in shape)
            if is_shape and shape and len(call.inputs) == 1 and not any(call.numbers):
                declared.setdefault(call.inputs[0], shape_without_batch(shape))
        return declared

    def _last(self, shape: Extents | None, key: Hashable) -> Extents | None:
        """Return the shape of an input with its channels last."""
        if shape is None or not self.layouts.first[key] or len(shape) < 2:
            return shape
        return (*shape[1:], shape[0])

    def _node(self, key: Hashable) -> Node:
        """Return the node of a tensor."""
        if key not in self.nodes and isinstance(key, Tensor):
            layer = self.layers[key.path]
            reason = layer.reason or "archspec does not know how many outputs it has"
            self.nodes[key] = layer.unknown(reason, key.output)
        return self.nodes[key]

    def add(self, call: Call) -> KerasLayer | None:
        """Add what a call becomes, and return it; None if it only pads for the next layer."""
        padding = self._padding_for_next(call)
        if padding is not None:
            self.paddings[call.output()] = padding
            self.nodes[call.output()] = self._node(call.inputs[0])
            self.layouts.first[call.output()] = self.layouts.first.get(call.inputs[0], False)
            return None
        layer = self._layer(call)
        if len(call.inputs) == 1:
            layer.padding = self.paddings.get(call.inputs[0])
        function = _function_of(call.layer, layer)
        if isinstance(layer.kwargs.get("mask"), Node):
            function = _unknown("a mask says which places it leaves out")
        try:
            quantized.count_adaptation(layer)
            made = function(layer)
        except UnlikeError as error:
            made = layer.unknown(str(error))
        except (DeclarationError, Problem) as error:
            if isinstance(error, DeclarationError):
                self._refuse_beyond(layer.name, error)
            made = layer.unknown(f"archspec has no such layer: {_sentence(error)}")
        except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError):
            if layer.kind in activation.LAYERS:
                layer.declare_input()
            made = layer.unknown("its configuration is not as Keras writes it")
        for index, node in ({0: made} if isinstance(made, Node) else made).items():
            self.nodes[call.output(index)] = node
            self.layouts.first[call.output(index)] = layer.makes_first
            if layer.made is not None:
                self.layouts.flattened[node.index] = layer.made
        self.layers.setdefault(call.path, layer)
        return layer

    def _refuse_beyond(self, name: str, error: DeclarationError) -> None:
        """Refuse the file if a number in it is larger than any that archspec takes."""
        for each in error.errors:
            if each["type"] == "less_than_equal" and each["ctx"].get("le") == LARGEST:
                number = f"{each['input']:,}"
                refuse(self.path, f"layer {name} has a number over {LARGEST:,}: {number:.100}")

    def _padding_for_next(self, call: Call) -> Padding | None:
        """Return the padding that a layer adds for the next one, where that is all that it does."""
        readers = self.readers.get(call.output(), ())
        if not call.path[-1].endswith(own.SUFFIX) or len(readers) != 1:
            return None
        (reader,) = readers
        if len(reader.inputs) != 1 or call.output() in self.outputs.values():
            return None
        kind = class_of(call.layer)
        return own.padding_of(kind, call.layer["config"], class_of(reader.layer))

    def _flattened(self, call: Call, given: Sequence[Node]) -> tuple[bool, Flattened | None]:
        """Return whether a call reads flattened maps as they are, and their order in the file."""
        if len(given) != 1 or class_of(call.layer) not in FOLLOWING:
            return False, None
        flattened = self.layouts.flattened.get(given[0].index)
        before = self.layers.get(call.owner)
        if before is not None and before.flattened != flattened and before.parts:
            self.unfit.append(f"{call.place} reads vectors in different orders of their values")
        return True, flattened

    def _layer(self, call: Call) -> KerasLayer:
        config: Config = call.layer["config"]
        kind = class_of(call.layer)
        given = [self._node(key) for key in call.inputs]
        first = self.layouts.order_for(call, given)
        follows, flattened = self._flattened(call, given)
        nodes_by_key = {
            key: self.layouts.node(
                self.model, key, node if follows else self._straight(node), first=first
            )
            for key, node in zip(call.inputs, given, strict=True)
        }
        nodes = {reference: nodes_by_key[key] for reference, key in call.tensors.items()}
        names = variable_names(kind, config)
        declared = self.declared.get(call.output())
        return KerasLayer(
            kind=kind,
            config=config,
            name="/".join(
                name if not number else f"{name}@{number + 1}"
                for name, number in zip(call.path, call.numbers, strict=True)
            ),
            inputs=[nodes_by_key[key] for key in call.inputs],
            args=tuple(_with_nodes(each, nodes) for each in call.arguments.args),
            kwargs={n: _with_nodes(each, nodes) for n, each in call.arguments.kwargs.items()},
            stored=call.stored,
            variables=names,
            declared=declared,
            model=self.model,
            keras=self.keras,
            channels_first=first,
            makes_first=first,
            weights=self.weights,
            unfit=self.unfit,
            wants_first=self.layouts.wishes_first(call.output()),
            flattened=flattened,
            made=None if kind_of_call(call) == "Dense" else flattened,
            first=self.layers.get(call.owner),
            used=frozenset(self.used.get((call.path, call.numbers), (0,))),
        )


def _function_of(config: LayerConfig, layer: KerasLayer) -> Function:
    """Return the function of a layer; for a layer that archspec does not know, one that says so."""
    kind = layer.kind
    if function := operator_of(config):
        layer.kind = function_name(function)
        if layer.stored is None:
            layer.stored = []
        if layer.kind in operators.LAYERS:
            return operators.LAYERS[layer.kind]
        operators.declare(layer)
        layer.kind = function
        return _unknown("archspec has no op for this operator")
    package = _package(config)
    if package == own.PACKAGE and kind in own.LAYERS:
        return own.LAYERS[kind]
    layer.is_foreign = bool(package) or kind not in TABLE
    if package:
        layer.kind = f"{package}>{kind}"
        return _unknown(FOREIGN)
    if kind in TABLE:
        return TABLE[kind]
    return _unknown(REASONS.get(kind, "archspec has no such layer"))


def _package(config: LayerConfig) -> str:
    """Return the package of a layer that is not Keras's; empty for Keras's own."""
    for name in (config.get("registered_name"), config["class_name"]):
        package, mark, _ = str(name or "").rpartition(">")
        if mark and package not in ("keras", "Keras", "keras.src"):
            return package
    module = str(config.get("module") or "keras")
    is_keras = module.split(".", maxsplit=1)[0] in ("keras", "tf_keras", "builtins", "keras_core")
    return "" if is_keras else module


def _unknown(reason: str) -> Function:
    return lambda layer: layer.unknown(reason)


def _with_nodes(value: Any, nodes: Mapping[Reference, Node]) -> Any:
    """Return an argument of a call with nodes for references."""
    if isinstance(value, Reference):
        return nodes[value]
    if isinstance(value, Mapping):
        return {name: _with_nodes(each, nodes) for name, each in value.items()}
    return [_with_nodes(each, nodes) for each in value] if isinstance(value, list) else value


def _major(version: str, calls: Sequence[Call]) -> int:
    """Return the first number of the version of Keras that wrote a file."""
    if version[:1].isdigit():
        return int(version.partition(".")[0])
    modern = any(
        isinstance(node, Mapping)
        for call in calls
        for node in call.layer.get("inbound_nodes") or ()
    )
    return 3 if modern else 2


def _sentence(error: DeclarationError | Problem) -> str:
    return error.message if isinstance(error, Problem) else str(error).partition("\n")[0][:200]
