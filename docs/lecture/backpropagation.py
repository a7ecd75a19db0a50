"""Backpropagation through a convolution by hand, beside what each installed engine computes.

    python docs/lecture/backpropagation.py

Both gradients of a convolution are convolutions. All arrays are NumPy's, channels last: images
(images, height, width, channels), kernels (height, width, channels, filters), as Keras has them,
whose convolution correlates: it does not turn the kernel.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

ENGINES = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}
"""Backends of Keras, and the module of each."""


class Case(NamedTuple):
    """A convolution of square images with a square kernel."""

    extent: int
    kernel: int
    stride: int
    padding: str

    def __str__(self) -> str:
        kernel, image = (f"{n}x{n}" for n in (self.kernel, self.extent))
        return f"{kernel} on {image}, stride {self.stride}, {self.padding}"

    @property
    def places(self) -> int:
        """Windows along an axis."""
        if self.padding == "same":
            return -(-self.extent // self.stride)
        return (self.extent - self.kernel) // self.stride + 1

    @property
    def covered(self) -> int:
        """From the first window's begin to the last one's end."""
        return (self.places - 1) * self.stride + self.kernel

    @property
    def before(self) -> int:
        """Zeros above and to the left: half of all that are needed, rounded down."""
        return max(self.covered - self.extent, 0) // 2 if self.padding == "same" else 0


ONE_SIDED = Case(8, 3, 2, "same")
"""Needs a single row of zeros, which Keras puts below, and none above."""

CASES = (
    Case(8, 3, 1, "valid"),
    Case(8, 3, 1, "same"),
    Case(8, 4, 1, "same"),  # three rows of zeros: one above, two below
    Case(8, 3, 2, "valid"),  # the last row and column are never looked at
    Case(9, 3, 2, "same"),
    ONE_SIDED,
)


def correlate(images: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Slide a kernel over images at stride 1, only where it fits: what Keras calls convolution."""
    height, width = (n - k + 1 for n, k in zip(images.shape[1:3], kernel.shape[:2], strict=True))
    return sum(
        images[:, row : row + height, column : column + width] @ kernel[row, column]
        for row in range(kernel.shape[0])
        for column in range(kernel.shape[1])
    )


def spread(upstream: np.ndarray, stride: int) -> np.ndarray:
    """Move values apart, with zeros between: as if the stride had been 1, and some left out."""
    images, height, width, filters = upstream.shape
    extents = ((n - 1) * stride + 1 for n in (height, width))
    wide = np.zeros((images, *extents, filters))
    wide[:, ::stride, ::stride] = upstream
    return wide


def fitted(images: np.ndarray, begin: int, extent: int) -> np.ndarray:
    """Cut `extent` rows and columns from `begin` on; where there are none, zeros."""
    after = max(begin + extent - images.shape[1], 0)
    sides = (max(-begin, 0), after)
    padded = np.pad(images, ((0, 0), sides, sides, (0, 0)))
    first = max(begin, 0)
    return padded[:, first : first + extent, first : first + extent]


def input_gradient(
    upstream: np.ndarray, kernel: np.ndarray, case: Case, *, before: int | None = None
) -> np.ndarray:
    """Return dL/dx: the full convolution of the upstream gradient with the kernel.

    That is a correlation with the kernel turned by 180 degrees, its channels in and out swapped,
    over an upstream gradient with zeros all around. What was padded is cut off: `before` rows above
    and columns to the left, as many as Keras pads unless another number is given.
    """
    turned = kernel[::-1, ::-1].swapaxes(2, 3)
    margin = case.kernel - 1
    around = ((0, 0), (margin, margin), (margin, margin), (0, 0))
    full = correlate(np.pad(spread(upstream, case.stride), around), turned)
    return fitted(full, case.before if before is None else before, case.extent)


def kernel_gradient(images: np.ndarray, upstream: np.ndarray, case: Case) -> np.ndarray:
    """Return dL/dw: the valid correlation of the input with the upstream gradient.

    The images take the place of the channels: over them it is summed.
    """
    padded = fitted(images, -case.before, case.covered)
    wide = spread(upstream, case.stride)
    gradient = correlate(padded.transpose(3, 1, 2, 0), wide.transpose(1, 2, 0, 3))
    return gradient.transpose(1, 2, 0, 3)


def engine_gradients(
    images: np.ndarray, kernel: np.ndarray, upstream: np.ndarray, case: Case
) -> tuple[np.ndarray, np.ndarray]:
    """Return dL/dx and dL/dw as the engine under Keras computes them, for L = sum(y * upstream)."""
    import keras  # noqa: PLC0415  (its engine is chosen first)

    ops = keras.ops

    def loss(x: Any, w: Any) -> Any:
        y = ops.conv(x, w, case.stride, case.padding, data_format="channels_last")
        return ops.sum(y * ops.convert_to_tensor(upstream, "float32"))

    x, w = (ops.convert_to_tensor(values, "float32") for values in (images, kernel))
    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf  # noqa: PLC0415

            with tf.GradientTape() as tape:
                tape.watch((x, w))
                value = loss(x, w)
            gradients = tape.gradient(value, (x, w))
        case "jax":
            import jax  # noqa: PLC0415

            gradients = jax.grad(loss, argnums=(0, 1))(x, w)
        case _:
            import torch  # noqa: PLC0415

            inputs = [each.detach().requires_grad_(True) for each in (x, w)]
            gradients = torch.autograd.grad(loss(*inputs), inputs)
    dx, dw = (ops.convert_to_numpy(gradient) for gradient in gradients)
    return dx, dw


def drawn(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return random images, kernel and upstream gradient: 2 images, 3 channels, 4 filters."""
    random = np.random.default_rng(0)
    return (
        random.normal(size=(2, case.extent, case.extent, 3)),
        random.normal(size=(case.kernel, case.kernel, 3, 4)),
        random.normal(size=(2, case.places, case.places, 4)),
    )


def errors(case: Case) -> tuple[float, float]:
    """Return the largest differences in dL/dx and dL/dw between the engine and ours."""
    images, kernel, upstream = drawn(case)
    dx, dw = engine_gradients(images, kernel, upstream, case)
    return (
        float(np.abs(dx - input_gradient(upstream, kernel, case)).max()),
        float(np.abs(dw - kernel_gradient(images, upstream, case)).max()),
    )


def symmetric_error() -> float:
    """Return the error of dL/dx where a row is cut off on each side, and Keras has padded below."""
    images, kernel, upstream = drawn(ONE_SIDED)
    dx, _ = engine_gradients(images, kernel, upstream, ONE_SIDED)
    return float(np.abs(dx - input_gradient(upstream, kernel, ONE_SIDED, before=1)).max())


def report() -> None:
    """Print the errors on the engine that Keras runs on."""
    for case in CASES:
        dx, dw = errors(case)
        print(f"{case!s:<34}  {dx:7.1e}  {dw:7.1e}")
    print(f"{'the same, cut on both sides':<34}  {symmetric_error():7.1e}")


def main() -> None:
    """Print the errors on every engine that is installed, each in a process of its own."""
    for engine, module in ENGINES.items():
        if find_spec(module) is None:
            continue
        environment = {**os.environ, "KERAS_BACKEND": engine, "TF_CPP_MIN_LOG_LEVEL": "3"}
        print(f"{engine:<34}  dL/dx    dL/dw", flush=True)
        subprocess.run([sys.executable, __file__, "report"], env=environment, check=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["report"]:
        report()
    else:
        main()
