"""An optimizer's averages of the weights, in the place of the weights where those are judged.

An optimizer with `use_ema` keeps an average of each weight over the steps. Keras trains on with
the weights themselves and gives the model their averages when `fit` ends. What comes before,
validation and saving the best epoch, must see the averages as well: else another model is chosen
than is saved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any


@contextmanager
def averaged(keras: Any, model: Any) -> Iterator[None]:
    """The model with its optimizer's averages, where it keeps some; then as it was, to the bit."""
    weights = model.trainable_weights
    if not core(model.optimizer).use_ema:
        yield
        return
    before = [keras.ops.convert_to_numpy(weight).copy() for weight in weights]
    try:
        model.optimizer.finalize_variable_values(weights)
        for weight in weights:  # JAX gave both one buffer, which a validation's first step consumes
            weight.assign(keras.ops.copy(weight))
        yield
    finally:
        for weight, value in zip(weights, before, strict=True):
            weight.assign(value)


def core(optimizer: Any) -> Any:
    """The optimizer that changes the weights, where another one scales the loss for it."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def seeing_averages(keras: Any, callbacks: Sequence[Any]) -> list[Any]:
    """Callbacks, and around them two that show averages to validations and at an epoch's end."""
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
