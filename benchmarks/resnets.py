"""ResNets written by hand, as people write them for speed, and a tuned training step for each.

The other side of `gpu.py`. PyTorch: channels last, autocast to bfloat16, compiled. JAX: NHWC in
bfloat16, one compiled step that may overwrite its state. Both train float32 weights by SGD with
momentum on batches of bytes, which they normalise on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

MEAN = (123.675, 116.28, 103.53)
DEVIATION = (58.395, 57.12, 57.375)
"""Mean and deviation of ImageNet, white being 255, as in the recipe's `normalize: torch`."""

LEARNING_RATE = 0.1
MOMENTUM = 0.9

EPSILON = 1e-5
KEPT = 0.9
"""Momentum of a batch norm's running statistics, at each step."""

EXPANSION = 4
"""A bottleneck's output channels, in multiples of its filters."""


class ResNet(NamedTuple):
    """The variables in which the networks of two of archspec's families differ."""

    classes: int
    filters: tuple[int, ...]
    """Of each stage."""
    units: tuple[int, ...]
    """Of each stage."""
    large: bool
    """Whether the stem is ImageNet's, 7x7 with a max pool; otherwise it is 3x3."""
    bottleneck: bool
    pad: bool
    """Whether shortcuts that must widen do so by zeros; otherwise by a projection."""


class Training(NamedTuple):
    """A network and its optimizer on a device."""

    params: int
    """Values of its weights and of its running statistics."""
    step: Callable[[Any, Any], Any]
    """Train on bytes (images, height, width, channels) and labels; return the loss, not awaited."""
    wait: Callable[[Any], float]
    """Wait for a loss on the device, and return its value."""
    memory: Callable[[], int | None]
    """The device's peak in bytes; None where it keeps no count."""
    forget: Callable[[], None]
    """Let the peak be that of what follows, where the engine can."""
    device: str


class Window(NamedTuple):
    """A convolution, and the batch norm after it."""

    kernel: int
    inputs: int
    outputs: int
    stride: int = 1
    active: bool = True
    """Whether a ReLU follows."""


class Unit(NamedTuple):
    """A residual unit."""

    windows: tuple[Window, ...]
    projection: Window | None
    stride: int
    pad: int
    """Channels of zeros that its shortcut is given."""


def described(family: str, settings: Mapping[str, Any]) -> ResNet | None:
    """The network of one of archspec's specs, by its variables; None where that is another."""
    if family == "resnet" and not settings["keras"]:
        units, bottleneck = tuple(settings["units"]), settings["style"] == "bottleneck"
        filters = tuple(64 * 2**stage for stage in range(len(units)))
        return ResNet(settings["classes"], filters, units, True, bottleneck, False)
    if family == "cifar_resnet":
        each = (settings["depth"] - 2) // 6
        return ResNet(settings["classes"], (16, 32, 64), (each,) * 3, False, False, True)
    return None


def stem_of(net: ResNet) -> Window:
    return Window(7 if net.large else 3, 3, net.filters[0], 2 if net.large else 1)


def units_of(net: ResNet) -> Iterator[Unit]:
    channels = net.filters[0]
    for stage, (filters, count) in enumerate(zip(net.filters, net.units, strict=True)):
        for number in range(count):
            stride = 2 if stage and not number else 1
            outputs = filters * EXPANSION if net.bottleneck else filters
            windows = (
                Window(3, channels, filters, stride),
                Window(3, filters, filters, active=False),
            )
            if net.bottleneck:
                windows = (
                    Window(1, channels, filters),
                    Window(3, filters, filters, stride),
                    Window(1, filters, outputs, active=False),
                )
            projection, pad = None, 0
            if net.pad:
                pad = outputs - channels
            elif stride > 1 or outputs != channels:
                projection = Window(1, channels, outputs, stride, active=False)
            yield Unit(windows, projection, stride, pad)
            channels = outputs


def windows_of(net: ResNet) -> Iterator[Window]:
    """The units, in the order in which they are computed."""
    yield stem_of(net)
    for unit in units_of(net):
        yield from unit.windows
        if unit.projection:
            yield unit.projection


def width_of(net: ResNet) -> int:
    """Channels before the classes."""
    return net.filters[-1] * (EXPANSION if net.bottleneck else 1)


def in_torch(net: ResNet) -> Any:
    """The network as a module: (images, 3, height, width) to logits."""
    import torch  # noqa: PLC0415
    from torch import nn  # noqa: PLC0415
    from torch.nn import functional  # noqa: PLC0415

    def convolution(window: Window) -> Any:
        kernel, inputs, outputs, stride, active = window
        layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        norm = nn.BatchNorm2d(outputs, EPSILON, 1 - KEPT)
        return nn.Sequential(layer, norm, *([nn.ReLU(inplace=True)] if active else []))

    class Residual(nn.Module):
        def __init__(self, unit: Unit) -> None:
            super().__init__()
            self.branch = nn.Sequential(*map(convolution, unit.windows))
            self.projection = convolution(unit.projection) if unit.projection else None
            self.stride, self.pad = unit.stride, unit.pad

        def forward(self, x: Any) -> Any:
            shortcut = x if self.projection is None else self.projection(x)
            if self.pad:
                shortcut = x[:, :, :: self.stride, :: self.stride]
                shortcut = functional.pad(shortcut, (0, 0, 0, 0, 0, self.pad))
            return functional.relu(self.branch(x) + shortcut)

    pool = [nn.MaxPool2d(3, 2, 1)] if net.large else []
    units = map(Residual, units_of(net))
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width_of(net), net.classes)
    torch.manual_seed(0)
    return nn.Sequential(convolution(stem_of(net)), *pool, *units, *head)


def torch_training(net: ResNet) -> Training:
    import torch  # noqa: PLC0415

    on_gpu = torch.cuda.is_available()
    device = torch.device("cuda" if on_gpu else "cpu")
    torch.backends.cudnn.benchmark = True
    network = in_torch(net).to(device, memory_format=torch.channels_last).train()
    compiled = torch.compile(network)
    optimizer = torch.optim.SGD(
        network.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, fused=True
    )
    mean, deviation = (
        torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (MEAN, DEVIATION)
    )

    def on_device(array: Any) -> Any:
        tensor = torch.from_numpy(array)
        return tensor.pin_memory().to(device, non_blocking=True) if on_gpu else tensor

    def step(images: Any, labels: Any) -> Any:
        x = (on_device(images).permute(0, 3, 1, 2) - mean) / deviation
        with torch.autocast(device.type, torch.bfloat16):
            predicted = compiled(x)
        loss = torch.nn.functional.cross_entropy(predicted.float(), on_device(labels))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    running = [buffer for buffer in network.buffers() if buffer.is_floating_point()]
    return Training(
        sum(tensor.numel() for tensor in (*network.parameters(), *running)),
        step,
        float,
        torch.cuda.max_memory_allocated if on_gpu else lambda: None,
        torch.cuda.reset_peak_memory_stats if on_gpu else lambda: None,
        torch.cuda.get_device_name() if on_gpu else "CPU",
    )


def in_jax(net: ResNet) -> tuple[Any, Any, Callable[[Any, Any, Any], tuple[Any, Any]]]:
    """Weights, running statistics, and the network.

    It takes both and (images, height, width, 3), and gives logits and the new statistics.
    """
    import jax  # noqa: PLC0415
    from jax import lax  # noqa: PLC0415
    from jax import numpy as jnp  # noqa: PLC0415

    random = np.random.default_rng(0)

    def drawn(*shape: int, fan: int) -> Any:
        return jnp.array(random.normal(0, (2 / fan) ** 0.5, shape), jnp.float32)

    weights: Any = {"convolutions": [], "head": None}
    statistics = []
    for kernel, inputs, outputs, *_ in windows_of(net):
        shape = (kernel, kernel, inputs, outputs)
        weights["convolutions"].append(
            (drawn(*shape, fan=kernel**2 * outputs), jnp.ones(outputs), jnp.zeros(outputs))
        )
        statistics.append((jnp.zeros(outputs), jnp.ones(outputs)))
    width = width_of(net)
    weights["head"] = drawn(width, net.classes, fan=2 * width), jnp.zeros(net.classes)

    def predict(weights: Any, statistics: Any, x: Any) -> tuple[Any, Any]:
        held = iter(zip(weights["convolutions"], statistics, strict=True))
        changed = []

        def convolution(x: Any, window: Window) -> Any:
            (kernel, factor, offset), running = next(held)
            half = window.kernel // 2
            y = lax.conv_general_dilated(
                x,
                kernel.astype(x.dtype),
                (window.stride,) * 2,
                ((half, half),) * 2,
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )
            wide = y.astype(jnp.float32)
            mean = wide.mean((0, 1, 2))
            variance = jnp.maximum(jnp.square(wide).mean((0, 1, 2)) - jnp.square(mean), 0)
            measured = zip(running, (mean, variance), strict=True)
            changed.append(tuple(KEPT * old + (1 - KEPT) * new for old, new in measured))
            scale = factor * lax.rsqrt(variance + EPSILON)
            y = ((wide - mean) * scale + offset).astype(x.dtype)
            return jax.nn.relu(y) if window.active else y

        x = convolution(x, stem_of(net))
        if net.large:
            around = ((0, 0), (1, 1), (1, 1), (0, 0))
            x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), around)
        for unit in units_of(net):
            y = x
            for window in unit.windows:
                y = convolution(y, window)
            shortcut = convolution(x, unit.projection) if unit.projection else x
            if unit.pad:
                shortcut = x[:, :: unit.stride, :: unit.stride]
                shortcut = jnp.pad(shortcut, ((0, 0),) * 3 + ((0, unit.pad),))
            x = jax.nn.relu(y + shortcut)
        kernel, offset = weights["head"]
        return (x.mean((1, 2)) @ kernel.astype(x.dtype)).astype(jnp.float32) + offset, changed

    return weights, statistics, predict


def jax_training(net: ResNet) -> Training:
    import jax  # noqa: PLC0415
    from jax import numpy as jnp  # noqa: PLC0415

    weights, statistics, predict = in_jax(net)
    state = weights, statistics, jax.tree.map(jnp.zeros_like, weights)
    params = sum(leaf.size for leaf in jax.tree.leaves((weights, statistics)))
    mean, deviation = (jnp.array(values, jnp.float32) for values in (MEAN, DEVIATION))

    @partial(jax.jit, donate_argnums=0)
    def train(state: Any, images: Any, labels: Any) -> tuple[Any, Any]:
        weights, statistics, velocity = state
        x = ((images - mean) / deviation).astype(jnp.bfloat16)

        def objective(weights: Any) -> tuple[Any, Any]:
            predicted, changed = predict(weights, statistics, x)
            likely = jax.nn.log_softmax(predicted)
            return -jnp.take_along_axis(likely, labels[:, None], 1).mean(), changed

        (loss, statistics), gradients = jax.value_and_grad(objective, has_aux=True)(weights)
        velocity = jax.tree.map(lambda v, g: MOMENTUM * v + g, velocity, gradients)
        weights = jax.tree.map(lambda w, v: w - LEARNING_RATE * v, weights, velocity)
        return (weights, statistics, velocity), loss

    def step(images: Any, labels: Any) -> Any:
        nonlocal state
        state, loss = train(state, images, labels)
        return loss

    (device, *_) = jax.local_devices()

    def memory() -> int | None:
        kept = device.memory_stats()
        return kept and kept.get("peak_bytes_in_use")

    return Training(params, step, float, memory, lambda: None, device.device_kind)


TRAININGS: dict[str, Callable[[ResNet], Training]] = {"torch": torch_training, "jax": jax_training}
