"""The reason why a loss became infinite or NaN, as far as model and batch still show it.

Causes are tried in the order in which one leads to the next: data, loss, precision, rate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from archspec.errors import call
from archspec.graph.graph import IN_KERAS, MAIN_OUTPUT, SEPARATOR
from archspec.keras_model.engine import deep
from archspec.lazy import np

GROWN: Final = 1.5
"""Multiple of the lowest loss from which a loss counts as growing; less is chance."""

HUGE: Final = 1e4
"""Size that no weight of a network reaches while it learns."""

HIGHEST_USUAL_RATE: Final = 1.0
"""Highest learning rate at which optimizers usually train. Above it, a tenth may still be too
high, so the advice is to search for a rate instead."""

FLOAT16_LARGEST: Final = 65_504
EXAMPLES: Final = 32
"""Images to examine at a time: the outputs of all layers are in memory together."""


def diagnose(
    keras: Any,
    model: Any,
    *,
    epoch: int,
    steps: range,
    losses: Sequence[float] = (),
    learning_rate: float | None = None,
    precision: str = "float32",
    x: Any = None,
    y: Any = None,
) -> str:
    """Return a few sentences: where the loss failed, the likely reason, and possible remedies.

    It failed in one of `steps`, which count from 1. `losses` are the earlier ones, oldest first;
    `x` and `y` are images and labels of a batch of these steps, if at hand. The model is not
    changed.
    """
    where = f"step {steps[0]}" if len(steps) == 1 else f"steps {steps[0]} to {steps[-1]}"
    lines = [f"The loss became infinite or not a number in epoch {epoch}, {where}."]
    if wrong := wrong_data(model, x, y):
        return " ".join([*lines, *wrong])
    lines += _broken(keras, model)
    if mismatch := list(_mismatch(keras, model)):
        return " ".join([*lines, *mismatch])
    overflow, growth = list(_overflow(keras, model, precision, x)), list(_growth(losses))
    too_fast = [*_exploded(keras, model), *growth]
    lines += [*overflow, *too_fast]
    if learning_rate is not None and learning_rate > HIGHEST_USUAL_RATE:
        return " ".join([*lines, _unusual_rate(learning_rate)])
    zeros = [] if overflow or too_fast else list(_zeros(keras, model, x))
    if _is_float16(precision) and not growth:
        lines.append(
            f"The largest float16 number is {FLOAT16_LARGEST:,}: `precision: mixed_bfloat16` takes "
            "as little memory and has the range of float32."
        )
    elif too_fast or not (overflow or zeros):
        lines.append(_rate(model, learning_rate, sure=bool(too_fast)))
    return " ".join([*lines, *zeros])


def wrong_data(model: Any, x: Any, y: Any) -> list[str]:
    """Return sentences about what is wrong with a batch."""
    return [*_images(x), *_labels(model, y)]


def _images(x: Any) -> Iterator[str]:
    if isinstance(x, Mapping):
        for each in x.values():
            yield from _images(each)
        return
    if x is None:
        return
    pixels = np.asarray(x, dtype=np.float32)
    broken = ~np.isfinite(pixels.reshape(len(pixels), -1)).all(axis=1)
    if broken.any():
        yield (
            f"{broken.sum()} of the batch's {len(pixels)} images hold values that are not finite, "
            f"the first is number {broken.argmax() + 1}: check the data and their normalisation."
        )


def _labels(model: Any, y: Any) -> Iterator[str]:
    for name, output in _outputs(model).items():
        labels = y.get(name) if isinstance(y, Mapping) else y
        if labels is None:
            continue
        given, classes = np.asarray(labels), int(output.shape[-1])
        if given.dtype.kind == "f" and not np.isfinite(given).all():
            yield "Some of the batch's labels are not finite: check the data."
        elif given.dtype.kind in "iu" and given.ndim == 1 and classes > 1:
            outside = sorted({int(label) for label in given if not 0 <= label < classes})
            if outside:
                yield (
                    f"The batch has the label {outside[0]}, but the network's {classes} outputs "
                    f"are for labels from 0 to {classes - 1}."
                )


def _broken(keras: Any, model: Any) -> Iterator[str]:
    """Yield which weights are infinite or NaN; often the failed step has spoilt all of them."""
    layers = [layer for layer in model.layers if layer.weights]
    broken = [layer for layer in layers if not all(_is_finite(keras, w) for w in layer.weights)]
    if len(broken) == len(layers) > 1:
        yield "After this step no layer has finite weights."
    elif broken:
        yield (
            f"The first layer with weights that are not finite is {_path(broken[0])} "
            f"({len(broken)} of {len(layers)})."
        )


def _exploded(keras: Any, model: Any) -> Iterator[str]:
    reached = {layer: _largest(keras, layer) for layer in model.layers}
    known = {layer: value for layer, value in reached.items() if math.isfinite(value)}
    most = max(known, key=known.__getitem__, default=None)
    if most is not None and known[most] > HUGE:
        yield f"The weights of {_path(most)} have grown to {known[most]:.1g}."


def _is_finite(keras: Any, variable: Any) -> bool:
    if not keras.backend.is_float_dtype(variable.dtype):
        return True
    return bool(keras.ops.all(keras.ops.isfinite(variable)))


def _largest(keras: Any, layer: Any) -> float:
    return max(
        (
            _number(keras, keras.ops.max(keras.ops.abs(variable)))
            for variable in layer.trainable_weights
            if 0 not in variable.shape
        ),
        default=0.0,
    )


def _number(keras: Any, tensor: Any) -> float:
    return float(keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32")))


def _mismatch(keras: Any, model: Any) -> Iterator[str]:
    """Yield a loss that takes the logarithm of values that are not probabilities."""
    losses = getattr(model, "loss", None)
    for name, output in _outputs(model).items():
        loss = losses.get(name) if isinstance(losses, Mapping) else losses
        takes_logits = getattr(loss, "from_logits", None)
        if loss is not None and takes_logits is False and not _is_bounded(keras, output):
            yield (
                f"The loss `{loss.name}` takes the output as a probability, but its layer has no "
                "softmax or sigmoid: leave `from_logits` out of the recipe's loss, and it "
                "follows from the last layer; or give that layer `activation: softmax`."
            )


def _is_bounded(keras: Any, output: Any) -> bool:
    """Return whether an output is between 0 and 1, judging by its layer."""
    layer = output._keras_history.operation  # noqa: SLF001  (Keras has no public way)
    if isinstance(layer, keras.layers.Softmax):
        return True
    functions = keras.activations
    bounded = (functions.softmax, functions.sigmoid, functions.hard_sigmoid)
    return getattr(layer, "activation", None) in bounded


def _overflow(keras: Any, model: Any, precision: str, x: Any) -> Iterator[str]:
    """Yield the first layer whose output is infinite or NaN, if all weights are finite."""
    if x is None or not all(_is_finite(keras, weight) for weight in model.weights):
        return
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    try:
        outputs = [layer.output for layer in layers]
    except (AttributeError, ValueError):  # a layer that is used twice has no single output
        return
    with deep(len(layers)):
        watched = keras.Model(model.inputs, outputs)
    for images in _parts(keras, x):
        for layer, value in zip(layers, watched(images, training=False), strict=True):
            if not _is_finite(keras, value):
                kind = f" in {precision}" if _is_float16(precision) else ""
                yield f"The first layer whose output is not finite{kind} is {_path(layer)}."
                return


def _zeros(keras: Any, model: Any, x: Any) -> Iterator[str]:
    bounded = [name for name, output in _outputs(model).items() if _is_bounded(keras, output)]
    if x is None or not bounded or _from_logits(model):
        return
    zeros = 0
    for images in _parts(keras, x):
        output = model(images, training=False)
        values = output if isinstance(output, Mapping) else {MAIN_OUTPUT: output}
        for name in bounded:
            zeros += int(_number(keras, keras.ops.sum(keras.ops.cast(values[name] == 0, "int32"))))
    if zeros:
        yield (
            f"{zeros:,} of the batch's probabilities are exactly 0, and the logarithm of 0 is "
            "infinite: leave the softmax out at the end, so that the loss is computed from logits."
        )


def _parts(keras: Any, x: Any) -> Iterator[Any]:
    for start in range(0, len(x), EXAMPLES):
        yield keras.ops.convert_to_tensor(x[start : start + EXAMPLES])


def _from_logits(model: Any) -> bool:
    losses = getattr(model, "loss", None)
    each = losses.values() if isinstance(losses, Mapping) else [losses]
    return any(getattr(loss, "from_logits", False) for loss in each)


def _growth(losses: Sequence[float]) -> Iterator[str]:
    known = [loss for loss in losses if math.isfinite(loss)]
    if len(known) > 1 and known[-1] > GROWN * min(known[:-1]):
        last = ", ".join(f"{loss:.3g}" for loss in known[-3:])
        yield f"It grew before that: {last}."


def _rate(model: Any, rate: float | None, *, sure: bool) -> str:
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    clips = [
        getattr(optimizer, name, None) for name in ("clipnorm", "global_clipnorm", "clipvalue")
    ]
    value = "" if rate is None else f" of {rate:.3g}"
    tenth = "a tenth of it" if rate is None else f"{rate / 10:.3g}"
    clip = "" if any(clips) else ", or clip the gradients with the optimizer's `clipnorm: 1.0`"
    return (
        f"The learning rate{value} is {'' if sure else 'most likely '}too high: try {tenth}, or "
        f"one that {call('find_lr', ...)} finds{clip}."
    )


def _unusual_rate(rate: float) -> str:
    value = "" if math.isinf(rate) else f" of {rate:.3g}"  # beyond float32 it is infinite
    return f"The learning rate{value} is too high: {call('find_lr', ...)} finds one that suits."


def _is_float16(precision: str) -> bool:
    return precision.endswith("float16") and not precision.endswith("bfloat16")


def _outputs(model: Any) -> dict[str, Any]:
    output = model.output
    return dict(output) if isinstance(output, Mapping) else {MAIN_OUTPUT: output}


def _path(layer: Any) -> str:
    """Return a layer's path, as the report names it."""
    return str(layer.name).replace(IN_KERAS, SEPARATOR)
