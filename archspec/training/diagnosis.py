"""Why a loss became infinite or no number, as far as the model and the batch still show it.

Causes are looked for in the order in which one leads to the next: data, loss, precision, rate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from archspec.errors import call
from archspec.graph.graph import SEPARATOR
from archspec.keras_model.build import PART
from archspec.keras_model.engine import deep

MAIN: Final = "output"
"""What the labels of a network's only output are called here."""

GROWN: Final = 1.5
"""A loss this many times the lowest before it was growing; less is chance."""

HUGE: Final = 1e4
"""No weight of a network that learns is so large."""

HIGHEST_USUAL_RATE: Final = 1.0
"""No optimizer trains at a higher learning rate but by way of exception; nor does at a tenth of
one that is many times too high, so there the rate is to be looked for, not lowered."""

FLOAT16_LARGEST: Final = 65_504
EXAMPLES: Final = 32
"""Images that are looked at together: the outputs of every layer are held at once."""


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
    """A few sentences: where the loss failed, what shows why, and what may help.

    In one of `steps` it was, which count from 1. `losses` are those measured before, oldest first;
    `learning_rate` is the one in use; `x` and `y` are a batch of these steps, where one is at hand.
    The model is only looked at.
    """
    where = f"step {steps[0]}" if len(steps) == 1 else f"steps {steps[0]} to {steps[-1]}"
    said = [f"The loss became infinite or not a number in epoch {epoch}, {where}."]
    if wrong := wrong_data(model, x, y):
        return " ".join([*said, *wrong])
    said += _broken(keras, model)
    if mismatch := list(_mismatch(keras, model)):
        return " ".join([*said, *mismatch])
    overflow, growth = list(_overflow(keras, model, precision, x)), list(_growth(losses))
    too_fast = [*_exploded(keras, model), *growth]
    said += [*overflow, *too_fast]
    if learning_rate is not None and learning_rate > HIGHEST_USUAL_RATE:
        return " ".join([*said, _unusual_rate(learning_rate)])
    zeros = [] if overflow or too_fast else list(_zeros(keras, model, x))
    if _is_float16(precision) and not growth:
        said.append(
            f"float16 holds no number over {FLOAT16_LARGEST:,}: `precision: mixed_bfloat16` is as "
            "small and has the range of float32."
        )
    elif too_fast or not (overflow or zeros):
        said.append(_rate(model, learning_rate, sure=bool(too_fast)))
    return " ".join([*said, *zeros])


def wrong_data(model: Any, x: Any, y: Any) -> list[str]:
    """What is wrong with a batch: sentences."""
    return [*_images(x), *_labels(model, y)]


def _images(x: Any) -> Iterator[str]:
    import numpy as np  # noqa: PLC0415

    if x is None:
        return
    pixels = np.asarray(x, dtype=np.float32)
    broken = ~np.isfinite(pixels.reshape(len(pixels), -1)).all(axis=1)
    if broken.any():
        yield (
            f"{broken.sum()} of the batch's {len(pixels)} images hold values that are not finite, "
            f"the first at place {broken.argmax() + 1}: mend the data, or how they are normalised."
        )


def _labels(model: Any, y: Any) -> Iterator[str]:
    import numpy as np  # noqa: PLC0415

    for name, output in _outputs(model).items():
        labels = y.get(name) if isinstance(y, Mapping) else y
        if labels is None:
            continue
        given, classes = np.asarray(labels), int(output.shape[-1])
        if given.dtype.kind == "f" and not np.isfinite(given).all():
            yield "Some of the batch's labels are not finite: mend the data."
        elif given.dtype.kind in "iu" and given.ndim == 1 and classes > 1:
            outside = sorted({int(label) for label in given if not 0 <= label < classes})
            if outside:
                yield (
                    f"The batch has the label {outside[0]}, but the network's {classes} outputs "
                    f"are for labels from 0 to {classes - 1}."
                )


def _broken(keras: Any, model: Any) -> Iterator[str]:
    """Which weights are no numbers by now: the failed step has often spoilt them all."""
    layers = [layer for layer in model.layers if layer.weights]
    broken = [layer for layer in layers if not all(_is_finite(keras, w) for w in layer.weights)]
    if len(broken) == len(layers) > 1:
        yield "The step has left no layer with finite weights."
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
    """A loss that takes the logarithm of what is no probability."""
    losses = getattr(model, "loss", None)
    for name, output in _outputs(model).items():
        loss = losses.get(name) if isinstance(losses, Mapping) else losses
        takes_logits = getattr(loss, "from_logits", None)
        if loss is not None and takes_logits is False and not _is_bounded(keras, output):
            yield (
                f"The loss `{loss.name}` takes the output as a probability, but its layer has no "
                "softmax or sigmoid: leave `from_logits` out of the recipe's loss, which then goes "
                "by the last layer, or end that one in `activation: softmax`."
            )


def _is_bounded(keras: Any, output: Any) -> bool:
    """Whether an output lies between 0 and 1, as far as its layer says."""
    layer = output._keras_history.operation  # noqa: SLF001  (Keras has no public way)
    if isinstance(layer, keras.layers.Softmax):
        return True
    functions = keras.activations
    bounded = (functions.softmax, functions.sigmoid, functions.hard_sigmoid)
    return getattr(layer, "activation", None) in bounded


def _overflow(keras: Any, model: Any, precision: str, x: Any) -> Iterator[str]:
    """The first layer to give what is no number, though all weights are."""
    if x is None or not all(_is_finite(keras, weight) for weight in model.weights):
        return
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    try:
        outputs = [layer.output for layer in layers]
    except (AttributeError, ValueError):  # a layer that is used twice has no one output
        return
    with deep(len(layers)):
        seen = keras.Model(model.inputs, outputs)
    for some in _parts(keras, x):
        for layer, value in zip(layers, seen(some, training=False), strict=True):
            if not _is_finite(keras, value):
                kind = f" in {precision}" if _is_float16(precision) else ""
                yield f"The first layer whose output is not finite{kind} is {_path(layer)}."
                return


def _zeros(keras: Any, model: Any, x: Any) -> Iterator[str]:
    bounded = [name for name, output in _outputs(model).items() if _is_bounded(keras, output)]
    if x is None or not bounded or _from_logits(model):
        return
    zeros = 0
    for some in _parts(keras, x):
        given = model(some, training=False)
        values = given if isinstance(given, Mapping) else {MAIN: given}
        for name in bounded:
            zeros += int(_number(keras, keras.ops.sum(keras.ops.cast(values[name] == 0, "int32"))))
    if zeros:
        yield (
            f"{zeros:,} of the batch's probabilities are exactly 0, and the logarithm of 0 is "
            "infinite: end the network without softmax, and the loss is taken from its logits."
        )


def _parts(keras: Any, x: Any) -> Iterator[Any]:
    for start in range(0, len(x), EXAMPLES):
        yield keras.ops.convert_to_tensor(x[start : start + EXAMPLES])


def _from_logits(model: Any) -> bool:
    losses = getattr(model, "loss", None)
    found = losses.values() if isinstance(losses, Mapping) else [losses]
    return any(getattr(loss, "from_logits", False) for loss in found)


def _growth(losses: Sequence[float]) -> Iterator[str]:
    known = [loss for loss in losses if math.isfinite(loss)]
    if len(known) > 1 and known[-1] > GROWN * min(known[:-1]):
        last = ", ".join(f"{loss:.3g}" for loss in known[-3:])
        yield f"It was growing before: {last}."


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
    return dict(output) if isinstance(output, Mapping) else {MAIN: output}


def _path(layer: Any) -> str:
    """As the spec's author knows it."""
    return str(layer.name).replace(PART, SEPARATOR)
