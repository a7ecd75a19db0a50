"""A spec as source code."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from functools import partial
from math import prod
from os import PathLike
from typing import NamedTuple, TypeAlias

from archspec.compile.expand import expand
from archspec.ejection.keras_layers import tidied
from archspec.ejection.keras_training import training
from archspec.ejection.keras_writer import KerasWriter
from archspec.ejection.layout import WIDTH, escaped
from archspec.ejection.outline import Outline
from archspec.ejection.parameters import written_program
from archspec.ejection.program import Program
from archspec.ejection.recording import Construction, constructions
from archspec.ejection.sequential import SequentialWriter, check_sequential
from archspec.ejection.subclassed import SubclassedWriter
from archspec.ejection.torch_ejecting import written
from archspec.errors import UsageError, suggestion
from archspec.graph.graph import Graph, Node
from archspec.imports.loading import spec_for
from archspec.keras_model.build import shapes_of_shared
from archspec.ops.op import Op
from archspec.ops.shape import Shape
from archspec.recipe.train import Recipe
from archspec.spec.document import Spec


class Ejected(NamedTuple):
    """A network as source, and sentences about what the source does not say."""

    source: str
    notes: list[str]


def eject(
    spec: Spec | Graph | str | PathLike[str],
    *,
    style: str = "functional",
    train: bool = False,
    framework: str = "keras",
) -> str:
    """Return a network as plain source of Keras or PyTorch, in which there is no archspec.

    Args:
        spec: A spec, a path or a name as `load` takes them, or a graph.
        style: Of Keras: `functional`, functions of tensors; `sequential`, a `keras.Sequential`; or
            `subclassed`, a `keras.layers.Layer` for each kind of block and a `keras.Model`.
        train: Whether the spec's recipe follows as a script that trains the network with Keras.
            What it does not do as `fit` does stands in its docstring.
        framework: `keras`; or `torch`, a `nn.Module` for each kind of block and one for all.

    Returns:
        For Keras a module with a function `build_model`, whose parameters are those variables of
        the spec on which the source can depend, and one for each kind of block; with `train`, also
        `load_data` and `train_model`. For PyTorch a module with a class for each, that of the
        network with such parameters, and a function `load_weights` for what `torch_weights` gives.

    Raises:
        SpecError: The spec has mistakes.
        UsageError: It is a model file; or the network is not a chain of layers, as a sequential one
            must be; or a layer cannot be written as source: the message names it; or `train` is
            wanted for PyTorch, for a graph, or for a network of several inputs or of maps.

    Example:
        >>> "def build_model(classes: int = 10) -> keras.Model:" in archspec.eject("lenet5")
        True
    """
    return ejected(spec, style=style, train=train, framework=framework).source


def ejected(
    spec: Spec | Graph | str | PathLike[str],
    *,
    style: str = "functional",
    train: bool = False,
    framework: str = "keras",
) -> Ejected:
    """Return the source of `eject`, and the notes in it."""
    if style not in STYLES:
        raise UsageError(f"there is no style `{style}`; {suggestion(style, STYLES, what='styles')}")
    if framework not in FRAMEWORKS:
        help_ = suggestion(framework, FRAMEWORKS, what="frameworks")
        raise UsageError(f"there is no framework `{framework}` here; {help_}")
    known: Spec | None = None
    if isinstance(spec, Graph):
        graph, about = spec, spec.name
    else:
        known = spec_for("`archspec.eject`", spec)
        graph, about = expand(known), known.document.about or known.name
    if framework == "torch":
        if style != "functional" or train:
            what = "`train=True`" if train else f"`style={style!r}`"
            raise UsageError(
                f"{what} is for Keras; source of PyTorch has the network alone, in one style"
            )
        lines = about_lines(graph, about, buffers=True)
        return Ejected(written(graph, lines, known).source, [])
    if train and known is None:
        raise UsageError("a graph has no recipe to train with; give the spec")
    recipe = Recipe.resolve(known.train) if train and known else None
    is_mixed = recipe is not None and recipe.precision.startswith("mixed_")
    layers = partial(keras_layers, known={}, is_mixed=is_mixed)
    layers_of = layers(graph)
    if style == "sequential":
        check_sequential(graph)
    script = None
    if recipe is not None and known is not None:
        weights = {name: each.loss_weight for name, each in known.document.heads.items()}
        script = training(recipe, graph, layers_of, weights)

    def write(program: Program) -> str:
        return STYLES[style](program, graph).source(about_lines(graph, about), script)

    outline = Outline(graph, layers_of)
    shapes = style == "functional"
    source = written_program(outline, known, layers, write, shapes=shapes)
    return Ejected(source, script.notes if script else [])


Known: TypeAlias = dict[tuple[str, Op, Shape], tuple[Construction, ...]]
"""Constructor calls by a node's path, its op, and the shape of its input."""


def keras_layers(
    graph: Graph, known: Known, *, is_mixed: bool = False
) -> Callable[[Node], tuple[Construction, ...]]:
    """Return a function that gives the constructor calls of a node's layers in Keras.

    Args:
        graph: The network.
        known: Calls that other networks had; those of this one are added.
        is_mixed: Whether the layers that give its outputs are in float32 under every policy.
    """
    ends = [graph.nodes[index] for index in graph.outputs.values()] if is_mixed else []
    exact = {node.layer.owner or node.name for node in ends}
    shared = shapes_of_shared(graph)

    def layers_of(node: Node) -> tuple[Construction, ...]:
        x = shared.get(node.layer.owner or node.name) or (*node.layer.inputs, node.shape)[0]
        key = node.name, node.op, x
        if key not in known:
            known[key] = tuple(tidied(each) for each in constructions(node, x))
        if (node.layer.owner or node.name) not in exact:
            return known[key]
        return tuple(  # as `archspec.build`: the loss is computed in float32
            Construction(each.name, {**each.arguments, "dtype": "float32"}) for each in known[key]
        )

    return layers_of


STYLES = {
    "functional": KerasWriter,
    "sequential": SequentialWriter,
    "subclassed": SubclassedWriter,
}
"""The writer of each style."""

FRAMEWORKS = ("keras", "torch")
"""Frameworks whose source can be written."""


def about_lines(graph: Graph, about: str, *, buffers: bool = False) -> list[str]:
    """Return the lines of a docstring about a network.

    Args:
        graph: The network.
        about: The docstring's first sentence.
        buffers: Count moving statistics by themselves: in PyTorch they are not parameters.
    """
    params = sum(node.layer.params for node in graph.nodes)
    moving = sum(
        prod(weight.shape)
        for node in graph.nodes
        for weight in node.layer.weights
        if weight.name.startswith("moving_")
    )
    count = f"{params:,} parameters"
    if buffers and moving:
        count = f"{params - moving:,} parameters, and {moving:,} moving statistics in buffers"
    output = ", ".join(str(graph.nodes[index].shape) for index in graph.outputs.values())
    text = f"Input {graph.input_text}, output {output}; {count}."
    first = escaped(about.strip() or "A network.")
    return [*textwrap.wrap(first, WIDTH - 8), "", *textwrap.wrap(text, WIDTH - 8)]
