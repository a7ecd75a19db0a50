"""Functions of tensors, compiled by the current backend, and their gradients.

TensorFlow traces a graph, JAX compiles with XLA, PyTorch runs eagerly. In inference the images of a
batch do not influence each other, so the gradient of the sum of their scores contains the gradient
of each. A search of many steps of gradient descent is one compiled function too: see `repeated`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from archspec.explain.circuit import AnyTensor, Circuit

TensorFunction: TypeAlias = Callable[..., Any]
"""Function of tensors that returns a tensor, or a tuple or dict of tensors."""


def compiled(circuit: Circuit, function: TensorFunction) -> TensorFunction:
    """Return a function of arrays that computes `function` and returns arrays.

    It is compiled again for each new shape, so use batches of one size.
    """
    keras = circuit.keras
    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf  # noqa: PLC0415  (loaded already, by Keras)

            # Without AutoGraph, which has nothing to convert here and warns of source that it
            # cannot read.
            run = tf.function(function, autograph=False)
        case "jax":
            run = _jax(keras, circuit.model, function)
        case _:
            run = _torch(function)
    map_structure = keras.tree.map_structure

    def on_arrays(*arrays: Any) -> Any:
        tensors = map_structure(keras.ops.convert_to_tensor, arrays)
        return map_structure(keras.ops.convert_to_numpy, run(*tensors))

    return on_arrays


def differentiated(circuit: Circuit, function: TensorFunction) -> TensorFunction:
    """Return a function of arrays (x, *others) that returns (d score / d x, further), as arrays.

    `function` takes such tensors and returns (score, further): see `derivative`.
    """
    return compiled(circuit, lambda x, *others: derivative(circuit.keras, function, x, *others))


def repeated(circuit: Circuit, step: TensorFunction) -> TensorFunction:
    """Return a function of arrays that takes many steps on the device, in one compiled loop.

    Args:
        circuit: the network whose variables `step` may use.
        step: function of tensors (number, state, *others) that returns the state after a step, of
            the same shapes and types; it may use `derivative`. A state is a tensor or a tuple.

    Returns:
        A function of (first, last, state, *others) that takes the steps from `first` to before
        `last` and returns the state, as arrays. It is compiled once, whatever the number of steps,
        so a long search may be cut into stretches, between which progress is reported.

    """

    def loop(first: AnyTensor, last: AnyTensor, state: Any, *others: AnyTensor) -> Any:
        return circuit.keras.ops.fori_loop(
            first, last, lambda number, now: step(number, now, *others), state
        )

    return compiled(circuit, loop)


def derivative(
    keras: Any, function: TensorFunction, x: AnyTensor, *others: AnyTensor
) -> tuple[AnyTensor, Any]:
    """Return (d score / d x, further), for use inside a function that is compiled.

    `function` takes tensors (x, *others) and returns (score, further): the gradient of the summed
    score is taken, which is 0 where it does not depend on x; `further` are other results of the
    same pass.
    """
    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf  # noqa: PLC0415  (loaded already, by Keras)

            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(x)
                score, further = function(x, *others)
            zero = tf.UnconnectedGradients.ZERO
            return tape.gradient(score, x, unconnected_gradients=zero), further
        case "jax":
            import jax  # noqa: PLC0415  (loaded already, by Keras)

            def summed(x: AnyTensor) -> Any:
                score, further = function(x, *others)
                return score.sum(), further

            result: tuple[AnyTensor, Any] = jax.grad(summed, has_aux=True)(x)
            return result
        case _:
            import torch  # noqa: PLC0415  (loaded already, by Keras)

            x = x.detach().requires_grad_(True)
            with torch.enable_grad():
                score, further = function(x, *others)
                # Not `backward`, which would also fill the gradients of the model's weights.
                slope = torch.autograd.grad(score.sum(), x, allow_unused=True)[0]
            slope = torch.zeros_like(x) if slope is None else slope
            return slope, keras.tree.map_structure(lambda each: each.detach(), further)


def _jax(keras: Any, model: Any, function: TensorFunction) -> TensorFunction:
    """Return a jitted function, whose weights are arguments: constants would be compiled in."""
    import jax  # noqa: PLC0415  (loaded already, by Keras)

    variables = list(model.variables)

    def stateless(tensors: Any, weights: Any) -> Any:
        mapping = list(zip(variables, weights, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return function(*tensors)

    step = jax.jit(stateless)
    return lambda *tensors: step(tensors, [variable.value for variable in variables])


def _torch(function: TensorFunction) -> TensorFunction:
    import torch  # noqa: PLC0415  (loaded already, by Keras)

    def forward(*tensors: AnyTensor) -> Any:
        with torch.no_grad():
            return function(*tensors)

    return forward
