"""Weights from another Keras model, a file, or keras.applications' for ImageNet.

    model = archspec.build(archspec.load("resnet50_keras"), weights="imagenet")
    archspec.weights.copy("trained.keras", model)

A `.keras` file, and an `.h5` of a whole model, say how their layers are joined, and that decides
which layer is which (see `matching`). A file of weights alone does not: names and shapes must
decide, without doubt (see `unjoined`). Files are read without Keras, so those work as well that
today's Keras cannot load.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from math import isclose, prod
from typing import Any, Final, NamedTuple

from archspec.arguments import wrong
from archspec.display import Sentences
from archspec.errors import UsageError, first_few
from archspec.imports.keras.config import UnfamiliarError
from archspec.imports.keras.modelfile import ModelFile, open_model
from archspec.imports.keras.stored import arrays_of, layers_in
from archspec.imports.keras.weightfile import values_of
from archspec.imports.limits import refuse
from archspec.keras_model.description import described
from archspec.keras_model.engine import first_line, keras_home, load_file, load_keras
from archspec.keras_model.joining import layer_graph
from archspec.keras_model.matching import Constant, LayerGraph, LayerNode, LayerWeight, match
from archspec.keras_model.unjoined import UncertainError, adopt
from archspec.lazy import np
from archspec.spec.loading import find

IMAGENET: Final = "imagenet"
"""The source that means keras.applications' weights of the network with the model's name."""


LONGEST: Final = 16
"""Largest number of channels whose constants a message lists."""


@dataclass(frozen=True, slots=True)
class Copied(Sentences):
    """The weights that were copied: each pair of layers, here and there, and the parameters."""

    layers: tuple[tuple[str, str], ...]
    params: int
    notes: tuple[str, ...] = ()
    """Differences that are not in weights: how each network prepares its images."""

    def __str__(self) -> str:
        return f"copied {self.params:,} parameters of {len(self.layers):,} layers"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


class WeightSource(NamedTuple):
    """A network whose weights can be read while its file is open."""

    graph: LayerGraph
    origin: str
    """The writer of the file, as a line of a message; empty for a model in memory."""


def copy(source: Any, model: Any) -> Copied:
    """Give a Keras model the weights of another one: all of them, or none.

    Args:
        source: A Keras model, the path of a file of Keras 2 or 3 (`.keras`, `.h5`, `.weights.h5`;
            its first bytes tell which), or `imagenet`.
        model: The model that gets them. If that fails, it does not change.

    Returns:
        The names of each pair of layers, and the number of parameters that were copied.

    Raises:
        UsageError: A layer has no certain counterpart, or the file cannot be read.

    Example:
        >>> model = archspec.build("lenet5")
        >>> print(archspec.weights.copy(archspec.build("lenet5"), model))
        copied 61,706 parameters of 5 layers
    """
    keras = load_keras()
    if not isinstance(model, keras.Model):
        raise wrong("model", model, "a Keras model")
    ours = layer_graph(model)
    with open_source(keras, source, model, ours) as there:
        try:
            pairs = match(ours, there.graph)
        except UsageError as error:
            of = f"of {source} " if isinstance(source, (str, os.PathLike)) else ""
            hint = _keras_variant(model.name) if source == IMAGENET else ""
            raise UsageError(
                f"the weights {of}are not those of `{model.name}`: {error}{hint}{there.origin}\n"
                "change the spec where they begin to differ; if only the last do, `transfer` takes "
                "over the rest"
            ) from None
        return assign(keras, pairs, differing_constants(ours, there.graph))


def assign(
    keras: Any, pairs: Sequence[tuple[LayerNode, LayerNode]], notes: tuple[str, ...] = ()
) -> Copied:
    """Give the first node of each pair the second one's weights."""
    params = 0
    for mine, other in pairs:
        for ours, theirs in zip(_sorted(mine), _sorted(other), strict=True):
            ours.value.assign(np.reshape(_array(keras, theirs.value), ours.value.shape))
            params += prod(ours.value.shape)
    return Copied(tuple((mine.name, other.name) for mine, other in pairs), params, notes)


def _sorted(node: LayerNode) -> list[LayerWeight]:
    """Return a node's weights in the order in which matching compared them."""
    return sorted(node.weights, key=lambda weight: (weight.name, weight.form))


def _array(keras: Any, value: Any) -> Any:
    """Return the values of a Keras variable, or of a dataset in a file."""
    return values_of(value) if hasattr(value, "attrs") else keras.ops.convert_to_numpy(value)


def differing_constants(ours: LayerGraph, theirs: LayerGraph) -> tuple[str, ...]:
    """Return lines about constants with which only one of the networks prepares its images.

    They are not weights and are not copied; on images prepared differently than in training, a
    network is wrong without an error.
    """
    nothing = Constant("", (0.0,), (1.0,))
    here, there = [nothing, *ours.constants], [nothing, *theirs.constants]
    lines = [
        f"there `{constant.name}` computes {_formula(constant)}, which is not copied: "
        f"{_advice(constant)}"
        for constant in theirs.constants
        if not any(_computes_the_same(constant, each) for each in here)
    ]
    lines += [
        f"here `{constant.name}` computes {_formula(constant)}, and nothing there does"
        for constant in ours.constants
        if not any(_computes_the_same(constant, each) for each in there)
    ]
    return tuple(lines)


def _computes_the_same(one: Constant, other: Constant) -> bool:
    """Return whether two constants differ by no more than configurations and float32 do."""
    channels = max(len(one.mean), len(other.mean))
    if not {len(one.mean), len(other.mean)} <= {1, channels}:
        return False
    numbers = [
        zip(*(each * (channels // len(each)) for each in constant[1:]), strict=True)
        for constant in (one, other)
    ]
    return all(
        isclose(deviation, divisor, rel_tol=_ROUNDING)
        and isclose(mean, shift, rel_tol=_ROUNDING, abs_tol=_ROUNDING * abs(divisor))
        for (mean, deviation), (shift, divisor) in zip(*numbers, strict=False)
    )


_ROUNDING: Final = 1e-5
"""Largest relative difference of equal constants."""


def _formula(constant: Constant) -> str:
    return f"(x - {_list(constant.mean)}) / {_list(constant.deviation)}"


def _advice(constant: Constant) -> str:
    pairs = zip(constant.mean, constant.deviation, strict=True)
    scales = _list(tuple(1 / deviation for deviation in constant.deviation), LONGEST)
    offsets = _list(tuple(-mean / deviation for mean, deviation in pairs), LONGEST)
    if len(constant.mean) > LONGEST:
        return "give the network images that are prepared so"
    return f"begin the spec with `rescale: {{scale: {scales}, offset: {offsets}}}`"


def _list(values: tuple[float, ...], most: int = 4) -> str:
    shown = first_few([f"{value + 0.0:.6g}" for value in values], most)
    return shown if len(values) == 1 else f"[{shown}]"


@contextlib.contextmanager
def open_source(keras: Any, source: Any, model: Any, ours: LayerGraph) -> Iterator[WeightSource]:
    """Yield the network that a source of `copy` means for a model, while its file is open.

    Raises:
        UsageError: There is no such source, or the file cannot be read.
    """
    if isinstance(source, keras.Model):
        yield WeightSource(layer_graph(source), "")
    elif isinstance(source, str) and source == IMAGENET:
        yield WeightSource(layer_graph(_imagenet(keras, model)), "")
    elif isinstance(source, (str, os.PathLike)):
        with open_model(source) as file:
            origin = f"\n{source} was written by {file.writer}"
            yield WeightSource(_of_file(keras, file, model, ours), origin)
    else:
        kind = type(source).__name__
        raise UsageError(
            f"weights come from a Keras model, a file or {IMAGENET!r}, "
            f"not from a value of type {kind}"
        )


def _of_file(keras: Any, file: ModelFile, model: Any, ours: LayerGraph) -> LayerGraph:
    if file.config is None:
        return _of_weights(keras, file, model, ours)
    try:
        shapes = [ours.nodes[index].shape for index in ours.inputs]
        return described(file.config, arrays_of(file), shapes)
    except UnfamiliarError as error:
        try:
            return layer_graph(load_file(file.path))
        except UsageError:
            raise UsageError(
                f"{file.path} holds what archspec does not know: {error}\n"
                f"it was written by {file.writer}, and Keras {keras.__version__} cannot load it "
                "either\n"
                "save its weights where it was made, with model.save_weights('NAME.weights.h5')"
            ) from error


def _of_weights(keras: Any, file: ModelFile, model: Any, ours: LayerGraph) -> LayerGraph:
    """Return the graph of a network that has the layers of a file of weights, with those weights.

    It is `model` itself, or the network of keras.applications with its name.
    """
    try:
        layers = layers_in(file)
        return adopt(ours, layers)
    except UncertainError as error:
        reason = str(error).replace("{}", model.name)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        refuse(file.path, "its layers do not hold arrays of weights")
    application = _application(keras, model.name)
    if application is not None:
        # It may not take this input or number of classes.
        with contextlib.suppress(ValueError, UncertainError):
            return adopt(
                layer_graph(
                    application(
                        weights=None,
                        input_shape=model.input_shape[1:],
                        classes=model.output_shape[-1],
                    )
                ),
                layers,
            )
    raise UsageError(
        f"{file.path} holds the weights of {len(layers)} layers, not how they are joined, and "
        f"{reason}\n"
        f"it was written by {file.writer}\n"
        "save the model that they belong to as a whole, where it was made: "
        "model.save('NAME.keras')"
    )


def _application(keras: Any, name: str) -> Any:
    """Return the function of keras.applications that builds the network of this name, or None.

    `inception_v3` is InceptionV3, and `resnet50_keras` ResNet50.
    """
    made = {name.lower(): f for name, f in vars(keras.applications).items() if callable(f)}
    return made.get(name.lower().removesuffix("_keras").replace("_", ""))


def _imagenet(keras: Any, model: Any) -> Any:
    """Return keras.applications' network of the model's name; Keras downloads its weights."""
    application = _application(keras, model.name)
    if application is None:
        raise UsageError(
            f"there are no ImageNet weights for `{model.name}`: keras.applications has no network "
            "of that name"
        )
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras prints its progress
            return application(weights=IMAGENET)
    except Exception as error:
        failed = re.match(r"URL fetch failure on (\S*/(\S+)): (?:None -- )?(.*)", str(error))
        if failed is None:
            raise UsageError(
                f"Keras cannot load the ImageNet weights of {application.__name__}: "
                f"{first_line(error)}"
            ) from error
        url, name, reason = failed.groups()
        raise UsageError(
            f"the ImageNet weights of {application.__name__} are not in "
            f"{keras_home() / 'models' / name}, and {url} cannot be reached ({reason}): "
            "put the file there, or name it instead of `imagenet`"
        ) from None


def _keras_variant(name: str) -> str:
    """Return a hint at the bundled variant that fits keras.applications' weights, if any does."""
    try:
        find(f"{name}_keras")
    except UsageError:
        return ""
    return f"; keras.applications' own is `{name}_keras`"
