"""Functions of tensors, compiled by the backend at hand, and their gradients.

TensorFlow traces a graph, JAX compiles with XLA, PyTorch runs as it is. In inference no image of a
batch changes what the network makes of another: the gradient of the sum of their scores holds the
gradient of each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from archspec.explain.circuit import Circuit, Rule, Tensor, Values

if TYPE_CHECKING:
    from numpy.typing import NDArray

Function: TypeAlias = Callable[..., Any]
"""Tensors -> a tensor, or a tuple or dict of them."""

Score: TypeAlias = Callable[[Values], Tensor]
"""What a run of the circuit gave -> (n,) scores, or any tensor whose sum is meant."""


def compiled(circuit: Circuit, function: Function) -> Function:
    """Return a function of arrays that computes `function` of tensors, and gives arrays.

    It is compiled anew for each shape that it is given, so give batches of one size.
    """
    return _run(circuit, function, with_gradient=False)


def differentiated(circuit: Circuit, function: Function) -> Function:
    """Return a function of arrays that also gives the gradient by the first of them.

    Args:
        circuit: whose variables `function` may use.
        function: of tensors (x, *others) gives (score, further): the score is summed, and of the
            sum the gradient by x is taken; `further` is what else is wanted of the same pass.

    Returns:
        A function of arrays (x, *others) that gives (gradient, further), as arrays.

    """
    return _run(circuit, function, with_gradient=True)


def gradient(
    circuit: Circuit, score: Score, images: NDArray[Any], *, watch: Any = (), relu: Rule = "vanilla"
) -> NDArray[Any]:
    """Return d score / d images, of the images' shape, on the scale that the model takes.

    Args:
        circuit: the model.
        score: of what the run gave one number an image, such as
            `lambda values: values.before["fc"][:, 3]`.
        images: (n, *input), prepared for the model.
        watch: the calls that `score` looks at.
        relu: what ReLUs do with the gradient.

    """

    def function(x: Tensor) -> tuple[Tensor, tuple[()]]:
        return score(circuit.run(x, watch=watch, relu=relu)), ()

    found: NDArray[Any] = differentiated(circuit, function)(images)[0]
    return found


def _run(circuit: Circuit, function: Function, *, with_gradient: bool) -> Function:
    keras = circuit.keras
    match keras.backend.backend():
        case "tensorflow":
            run = _tensorflow(function, with_gradient)
        case "jax":
            run = _jax(keras, circuit.model, function, with_gradient)
        case _:
            run = _torch(keras, function, with_gradient)

    def on_arrays(*arrays: Any) -> Any:
        tensors = [keras.ops.convert_to_tensor(array) for array in arrays]
        return keras.tree.map_structure(keras.ops.convert_to_numpy, run(*tensors))

    return on_arrays


def _tensorflow(function: Function, with_gradient: bool) -> Function:
    import tensorflow as tf  # noqa: PLC0415  (loaded already, by Keras)

    if not with_gradient:
        return tf.function(function)  # type: ignore[no-any-return]

    @tf.function  # type: ignore[untyped-decorator]
    def run(x: Tensor, *others: Tensor) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            score, further = function(x, *others)
        zero = tf.UnconnectedGradients.ZERO
        return tape.gradient(score, x, unconnected_gradients=zero), further

    return run  # type: ignore[no-any-return]


def _jax(keras: Any, model: Any, function: Function, with_gradient: bool) -> Function:
    """Under jit the weights are arguments: as constants they would be compiled into the program."""
    import jax  # noqa: PLC0415  (loaded already, by Keras)

    variables = list(model.variables)

    def stateless(x: Tensor, others: Any, weights: Any) -> Any:
        mapping = list(zip(variables, weights, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            found = function(x, *others)
        if not with_gradient:
            return found
        score, further = found
        return score.sum(), further

    step = jax.jit(jax.grad(stateless, has_aux=True) if with_gradient else stateless)
    return lambda x, *others: step(x, others, [variable.value for variable in variables])


def _torch(keras: Any, function: Function, with_gradient: bool) -> Function:
    import torch  # noqa: PLC0415  (loaded already, by Keras)

    if not with_gradient:

        def forward(*tensors: Tensor) -> Any:
            with torch.no_grad():
                return function(*tensors)

        return forward

    def run(x: Tensor, *others: Tensor) -> Any:
        x = x.detach().requires_grad_(True)
        with torch.enable_grad():
            score, further = function(x, *others)
            # Not `backward`, which would fill the gradients of the model's weights too.
            found = torch.autograd.grad(score.sum(), x, allow_unused=True)[0]
        found = torch.zeros_like(x) if found is None else found
        return found, keras.tree.map_structure(lambda each: each.detach(), further)

    return run
