"""An optimizer's averages of the weights, used wherever the weights are judged.

An optimizer with `use_ema` keeps an average of each weight over the steps. Keras trains with the
weights themselves, and replaces them by their averages when `fit` ends. Validation and saving the
best epoch come before that and must see the averages too, or another model is chosen than saved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any


@contextmanager
def averaged(keras: Any, model: Any) -> Iterator[None]:
    """Give the model its optimizer's averages inside, if there are any; then restore it exactly."""
    weights = model.trainable_weights
    if not core(model.optimizer).use_ema:
        yield
        return
    before = [keras.ops.convert_to_numpy(weight).copy() for weight in weights]
    try:
        model.optimizer.finalize_variable_values(weights)
        # JAX shares one buffer between both, which a validation's first step would consume.
        for weight in weights:
            weight.assign(keras.ops.copy(weight))
        yield
    finally:
        for weight, value in zip(weights, before, strict=True):
            weight.assign(value)


def core(optimizer: Any) -> Any:
    """Return the optimizer that changes the weights, inside one that scales the loss if need be."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def seeing_averages(keras: Any, callbacks: Sequence[Any]) -> list[Any]:
    """Return callbacks between two that show averages to validations and at an epoch's end."""
    shown = ExitStack()

    class First(keras.callbacks.Callback):  # type: ignore[misc]
        def on_test_begin(self, logs: Any = None) -> None:  # noqa: ARG002
            shown.enter_context(averaged(keras, self.model))

        def on_test_end(self, logs: Any = None) -> None:  # noqa: ARG002
            shown.close()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
            shown.enter_context(averaged(keras, self.model))

    class Last(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
            shown.close()

    return [First(), *callbacks, Last()]
